/*
   A network in memory: the system calls of ws.h that concern sockets, pipes, names and threads, so that a run is the
   same each time, waits for nothing and costs little. Include it before "../../ws.h".

   A peer is the far end of a connection. What the library sent is in peer.out, what it has to read is in peer.in. The
   test decides how much is taken at a time, what a connect comes to, and which call fails.
*/
#ifndef NETWORK_H
#define NETWORK_H

#define _GNU_SOURCE 1
#define _FILE_OFFSET_BITS 64
#if defined(_WIN32)
#include <kernel_types.h>
#else
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#endif
#if defined(__linux__) || defined(__APPLE__)
#include <sys/random.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../helpers/wire.h"

/* What must hold. */
#define HOLDS(condition) ((condition) ? (void)0 : network_fault(#condition, __FILE__, __LINE__))

static inline void network_fault(const char *what, const char *file, int line) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

enum { NETWORK_FIRST = 64, NETWORK_SOCKETS = 160, NETWORK_PEERS = 64, NETWORK_TASKS = 16 };

typedef struct network_peer {
    bytes in, out;           /* to the library, from it */
    size_t in_at;            /* so much of in was read */
    size_t room;             /* so much more may be sent */
    bool finished, reset;    /* the peer's sending side */
    bool shut, closed;       /* the library's: shutdown, close */
    struct sockaddr_storage name;
    int connecting;          /* 0: connected; EINPROGRESS; else it fails with this */
    bool dialed;             /* by the library */
    int fd;
} network_peer;

typedef enum network_kind { NETWORK_FREE, NETWORK_SOCKET, NETWORK_LISTENER, NETWORK_STREAM, NETWORK_PIPE } network_kind;

typedef struct network_socket {
    network_kind kind;
    int peer;                /* STREAM */
    int other;               /* PIPE: the end that is written to or read from; -1: closed */
    bytes pipe;              /* PIPE: to be read here */
    struct sockaddr_storage name;
} network_socket;

typedef enum network_call {
    NETWORK_RECV, NETWORK_SEND, NETWORK_ACCEPT, NETWORK_SELECT, NETWORK_OPEN, NETWORK_OPTION, NETWORK_NAME,
    NETWORK_THREAD, NETWORK_RANDOM, NETWORK_FILE, NETWORK_CALLS
} network_call;

typedef struct network_state {
    network_socket sockets[NETWORK_SOCKETS];
    network_peer peers[NETWORK_PEERS];
    int peer_count, waiting[NETWORK_PEERS], waiting_count; /* peers that nobody has accepted yet */
    size_t piece;            /* bytes at most in one call; 0: any */
    unsigned fail_in[NETWORK_CALLS]; /* which call from now on fails, 1: the next; 0: none */
    int fail_with[NETWORK_CALLS];
    uint64_t random;
    int (*on_connect)(network_peer *peer); /* what a connect comes to: 0, EINPROGRESS or an errno */
    const char *(*on_name)(const char *host); /* its addresses, "10.0.0.1 fd00::1"; NULL: unknown */
    void *(*tasks[NETWORK_TASKS])(void *); /* threads that have not run yet */
    void *arguments[NETWORK_TASKS];
    size_t task_count;
    bool later;              /* threads run when network_run_tasks is called */
    bool follows;            /* OpenSSL may answer the peer's records behind the end, in vain */
} network_state;

static network_state network;

/* --- the test's side --- */

static inline void network_start(void) {
    memset(&network, 0, sizeof network);
    network.random = 88172645463325252u;
}

static inline size_t network_open_count(void) {
    size_t count = 0;
    for (int i = 0; i < NETWORK_SOCKETS; i++)
        count += network.sockets[i].kind != NETWORK_FREE;
    return count;
}

/* No descriptor is left. */
static inline void network_end(void) {
    HOLDS(network_open_count() == 0);
    for (int i = 0; i < network.peer_count; i++) {
        bytes_free(&network.peers[i].in);
        bytes_free(&network.peers[i].out);
    }
}

static inline void network_run_tasks(void) {
    for (size_t i = 0; i < network.task_count; i++)
        (void)network.tasks[i](network.arguments[i]);
    network.task_count = 0;
}

static inline void network_address(struct sockaddr_storage *name, const char *host, unsigned port) {
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)name;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)name;
    memset(name, 0, sizeof *name);
    if (!*host) {
        name->ss_family = AF_UNIX;
    } else if (strchr(host, ':')) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        HOLDS(inet_pton(AF_INET6, host, &six->sin6_addr) == 1);
    } else {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        HOLDS(inet_pton(AF_INET, host, &four->sin_addr) == 1);
    }
}

static inline unsigned network_port(const struct sockaddr_storage *name) {
    return ntohs(name->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)name)->sin6_port
                                             : ((const struct sockaddr_in *)(const void *)name)->sin_port);
}

/* A further peer; -1: there is no place. */
static inline int network_peer_new(void) {
    network_peer *peer = &network.peers[network.peer_count];
    if (network.peer_count == NETWORK_PEERS)
        return -1;
    memset(peer, 0, sizeof *peer);
    peer->room = SIZE_MAX;
    peer->fd = -1;
    return network.peer_count++;
}

/* It connects from this address; host "": a Unix socket. The library has still to accept it. */
static inline int network_connect(const char *host) {
    int peer = network_peer_new();
    if (peer < 0)
        return -1;
    network_address(&network.peers[peer].name, host, 1000u + (unsigned)peer);
    network.waiting[network.waiting_count++] = peer;
    return peer;
}

/* --- the library's side --- */

static inline int network_error(int error) {
    errno = error;
    return -1;
}

static inline bool network_fails(network_call call) {
    if (!network.fail_in[call] || --network.fail_in[call])
        return false;
    errno = network.fail_with[call];
    return true;
}

static inline network_socket *network_at(int fd) {
    network_socket *socket = fd >= NETWORK_FIRST && fd < NETWORK_FIRST + NETWORK_SOCKETS
                                 ? &network.sockets[fd - NETWORK_FIRST] : NULL;
    HOLDS(socket && socket->kind != NETWORK_FREE); /* no call on one that is closed */
    return socket;
}

static inline network_peer *network_peer_of(int fd) {
    const network_socket *socket = network_at(fd);
    return socket->kind == NETWORK_STREAM ? &network.peers[socket->peer] : NULL;
}

static inline int network_open(network_kind kind) {
    int i = 0;
    while (i < NETWORK_SOCKETS && network.sockets[i].kind != NETWORK_FREE)
        i++;
    if (i == NETWORK_SOCKETS || network_fails(NETWORK_OPEN))
        return i == NETWORK_SOCKETS ? network_error(EMFILE) : -1;
    memset(&network.sockets[i], 0, sizeof network.sockets[i]);
    network.sockets[i].kind = kind;
    network.sockets[i].other = -1;
    return NETWORK_FIRST + i;
}

/* A failure leaves ends as they were, as POSIX requires. */
static inline int network_pipe(int *ends) {
    int first = network_open(NETWORK_PIPE), second = first < 0 ? -1 : network_open(NETWORK_PIPE);
    if (second < 0) {
        if (first >= 0)
            network_at(first)->kind = NETWORK_FREE;
        return -1;
    }
    network_at(first)->other = ends[1] = second;
    network_at(second)->other = ends[0] = first;
    return 0;
}

static inline int network_socketpair(int family, int type, int protocol, int *ends) {
    (void)family, (void)type, (void)protocol;
    return network_pipe(ends);
}

static inline int network_socket_call(int family, int type, int protocol) {
    (void)family, (void)type, (void)protocol;
    return network_open(NETWORK_SOCKET);
}

static inline int network_close(int fd) {
    network_socket *socket;
    if (fd < NETWORK_FIRST || fd >= NETWORK_FIRST + NETWORK_SOCKETS)
        return close(fd);
    socket = network_at(fd);
    if (socket->kind == NETWORK_STREAM) {
        network.peers[socket->peer].closed = true;
        network.peers[socket->peer].fd = -1;
    }
    if (socket->kind == NETWORK_PIPE && socket->other >= 0)
        network_at(socket->other)->other = -1;
    bytes_free(&socket->pipe);
    socket->kind = NETWORK_FREE;
    return 0;
}

static inline int network_fcntl(int fd, int command, int argument) {
    (void)network_at(fd), (void)command, (void)argument;
    return network_fails(NETWORK_OPTION) ? -1 : 0;
}

static inline int network_setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    (void)network_at(fd), (void)level, (void)name, (void)value, (void)size;
    return network_fails(NETWORK_OPTION) ? -1 : 0;
}

static inline int network_bind(int fd, const struct sockaddr *name, socklen_t size) {
    network_socket *socket = network_at(fd);
    memcpy(&socket->name, name, (size_t)size < sizeof socket->name ? (size_t)size : sizeof socket->name);
    return network_fails(NETWORK_OPTION) ? -1 : 0;
}

static inline int network_listen(int fd, int backlog) {
    (void)backlog;
    if (network_fails(NETWORK_OPTION))
        return -1;
    network_at(fd)->kind = NETWORK_LISTENER;
    return 0;
}

static inline int network_stream(int fd, int peer) {
    network_socket *socket = network_at(fd);
    socket->kind = NETWORK_STREAM;
    socket->peer = peer;
    network.peers[peer].fd = fd;
    return fd;
}

static inline int network_accept(int fd, struct sockaddr *name, socklen_t *size, int flags) {
    int made, peer;
    (void)name, (void)size, (void)flags;
    HOLDS(network_at(fd)->kind == NETWORK_LISTENER);
    if (!network.waiting_count)
        return network_error(EAGAIN);
    if (network_fails(NETWORK_ACCEPT))
        return -1;
    made = network_open(NETWORK_SOCKET);
    if (made < 0)
        return -1;
    peer = network.waiting[0];
    memmove(network.waiting, network.waiting + 1, (size_t)--network.waiting_count * sizeof *network.waiting);
    return network_stream(made, peer);
}

static inline int network_connect_call(int fd, const struct sockaddr *name, socklen_t size) {
    int peer = network_peer_new();
    if (peer < 0)
        return network_error(EADDRNOTAVAIL);
    memcpy(&network.peers[peer].name, name, size);
    network.peers[peer].dialed = true;
    network.peers[peer].connecting = network.on_connect(&network.peers[peer]);
    (void)network_stream(fd, peer);
    return network.peers[peer].connecting ? network_error(network.peers[peer].connecting) : 0;
}

static inline int network_getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    network_peer *peer = network_peer_of(fd);
    if (network_fails(NETWORK_OPTION))
        return -1;
    if (level != SOL_SOCKET || name != SO_ERROR || !peer)
        return network_error(ENOPROTOOPT);
    *(int *)value = peer->connecting == EINPROGRESS ? 0 : peer->connecting;
    *size = sizeof(int);
    return 0;
}

static inline int network_name(const struct sockaddr_storage *from, struct sockaddr *name, socklen_t *size) {
    memcpy(name, from, (size_t)*size < sizeof *from ? (size_t)*size : sizeof *from);
    return 0;
}

static inline int network_getpeername(int fd, struct sockaddr *name, socklen_t *size) {
    network_peer *peer = network_peer_of(fd);
    return peer ? network_name(&peer->name, name, size) : network_error(ENOTCONN);
}

static inline int network_getsockname(int fd, struct sockaddr *name, socklen_t *size) {
    return network_name(&network_at(fd)->name, name, size);
}

static inline int network_shutdown(int fd, int how) {
    network_peer *peer = network_peer_of(fd);
    (void)how;
    if (!peer || peer->reset)
        return network_error(ENOTCONN);
    peer->shut = true;
    return 0;
}

static inline ssize_t network_take(bytes *from, size_t *at, void *data, size_t size, bool peeks) {
    size_t part = from->size - *at < size ? from->size - *at : size;
    if (part)
        memcpy(data, from->data + *at, part);
    if (!peeks)
        *at += part;
    return (ssize_t)part;
}

static inline size_t network_piece(size_t size) { return network.piece && network.piece < size ? network.piece : size; }

/* Whether the call fails; from a reset on all do. */
static inline bool network_breaks(network_peer *peer, network_call call) {
    bool fails = network_fails(call);
    peer->reset = peer->reset || (fails && errno == ECONNRESET);
    return fails || peer->reset;
}

static inline ssize_t network_recv(int fd, void *data, size_t size, int flags) {
    network_socket *socket = network_at(fd);
    network_peer *peer = network_peer_of(fd);
    if (socket->kind == NETWORK_PIPE) {
        size_t at = 0;
        ssize_t got = network_take(&socket->pipe, &at, data, size, false);
        bytes_take(&socket->pipe, at);
        return got ? got : socket->other < 0 ? 0 : network_error(EAGAIN);
    }
    HOLDS(peer && !peer->connecting);
    if (network_breaks(peer, NETWORK_RECV))
        return peer->reset ? network_error(ECONNRESET) : -1;
    if (peer->in.size > peer->in_at)
        return network_take(&peer->in, &peer->in_at, data, network_piece(size), flags & MSG_PEEK);
    return peer->finished ? 0 : network_error(EAGAIN);
}

static inline ssize_t network_read(int fd, void *data, size_t size) {
    if (fd < NETWORK_FIRST || fd >= NETWORK_FIRST + NETWORK_SOCKETS)
        return network_fails(NETWORK_FILE) ? -1 : read(fd, data, size);
    return network_recv(fd, data, size, 0);
}

static inline ssize_t network_send(int fd, const void *data, size_t size, int flags) {
    network_socket *socket = network_at(fd);
    network_peer *peer = network_peer_of(fd);
    size_t part = network_piece(size);
    (void)flags;
    if (socket->kind == NETWORK_PIPE) {
        if (socket->other >= 0)
            bytes_add(&network_at(socket->other)->pipe, data, size);
        return socket->other >= 0 ? (ssize_t)size : network_error(EPIPE);
    }
    HOLDS(peer && !peer->connecting);
    if (network_breaks(peer, NETWORK_SEND))
        return peer->reset ? network_error(EPIPE) : -1;
    HOLDS(!peer->shut || network.follows); /* nothing follows the end */
    if (peer->shut)
        return network_error(EPIPE);
    part = part < peer->room ? part : peer->room;
    if (!part && size)
        return network_error(EAGAIN);
    bytes_add(&peer->out, data, part);
    peer->room -= peer->room == SIZE_MAX ? 0 : part;
    return (ssize_t)part;
}

static inline ssize_t network_write(int fd, const void *data, size_t size) { return network_send(fd, data, size, 0); }

static inline ssize_t network_sendmsg(int fd, const struct msghdr *message, int flags) {
    ssize_t total = 0;
    for (size_t i = 0; i < (size_t)message->msg_iovlen; i++) {
        size_t size = message->msg_iov[i].iov_len;
        ssize_t sent = network_send(fd, message->msg_iov[i].iov_base, size, flags);
        if (sent < 0)
            return total ? total : -1;
        total += sent;
        if ((size_t)sent < size || network.piece)
            break;
    }
    return total;
}

static inline bool network_readable(int fd) {
    const network_socket *socket = network_at(fd);
    const network_peer *peer = network_peer_of(fd);
    if (socket->kind == NETWORK_LISTENER)
        return network.waiting_count > 0;
    if (socket->kind == NETWORK_PIPE)
        return socket->pipe.size || socket->other < 0;
    return peer && peer->connecting != EINPROGRESS
           && (peer->connecting || peer->in.size > peer->in_at || peer->finished || peer->reset);
}

static inline bool network_writable(int fd) {
    const network_peer *peer = network_peer_of(fd);
    return peer && peer->connecting != EINPROGRESS && (peer->connecting || peer->room || peer->reset);
}

/* Never waits. */
static inline int network_select(int count, fd_set *reads, fd_set *writes, fd_set *others, struct timeval *timeout) {
    int found = 0;
    (void)others, (void)timeout;
    if (network_fails(NETWORK_SELECT))
        return -1;
    for (int fd = 0; fd < count; fd++) {
        if (FD_ISSET(fd, reads) && !network_readable(fd))
            FD_CLR(fd, reads);
        if (FD_ISSET(fd, writes) && !network_writable(fd))
            FD_CLR(fd, writes);
        found += (FD_ISSET(fd, reads) != 0) + (FD_ISSET(fd, writes) != 0);
    }
    return found;
}

#if !defined(_WIN32)
static inline int network_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                                 void *user) {
    (void)attributes;
    *thread = pthread_self();
    if (network.task_count == NETWORK_TASKS || network_fails(NETWORK_THREAD))
        return EAGAIN;
    if (network.later) {
        network.tasks[network.task_count] = run;
        network.arguments[network.task_count++] = user;
    } else {
        (void)run(user);
    }
    return 0;
}

static inline int network_detach(pthread_t thread) { return (void)thread, 0; }
#endif

static inline ssize_t network_getrandom(void *data, size_t size, unsigned flags) {
    uint8_t *out = (uint8_t *)data;
    (void)flags;
    if (network_fails(NETWORK_RANDOM))
        return -1;
    for (size_t i = 0; i < size; i++) {
        network.random ^= network.random << 13;
        network.random ^= network.random >> 7;
        network.random ^= network.random << 17;
        out[i] = (uint8_t)network.random;
    }
    return (ssize_t)size;
}

typedef struct network_made {
    struct addrinfo info;
    struct sockaddr_storage name;
} network_made;

static inline void network_freeaddrinfo(struct addrinfo *all) {
    while (all) {
        struct addrinfo *next = all->ai_next;
        free(all);
        all = next;
    }
}

static inline int network_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                                      struct addrinfo **result) {
    uint8_t address[16];
    char one[64];
    bool numeric = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    const char *all = numeric ? host : network.on_name ? network.on_name(host) : NULL;
    *result = NULL;
    if (network_fails(NETWORK_NAME))
        return EAI_MEMORY;
    if (!all || (!numeric && hints && hints->ai_flags & AI_NUMERICHOST))
        return EAI_NONAME;
    while (*all) {
        network_made *made = (network_made *)calloc(1, sizeof *made);
        size_t size = strcspn(all, " ");
        HOLDS(made && size < sizeof one);
        memcpy(one, all, size);
        one[size] = 0;
        network_address(&made->name, one, port ? (unsigned)atoi(port) : 0);
        made->info.ai_family = made->name.ss_family;
        made->info.ai_socktype = SOCK_STREAM;
        made->info.ai_addr = (struct sockaddr *)&made->name;
        made->info.ai_addrlen = made->name.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                  : sizeof(struct sockaddr_in);
        *result = &made->info;
        result = &made->info.ai_next;
        all += size + strspn(all + size, " ");
    }
    return 0;
}

#if defined(_WIN32)
#include <network_calls.h>
#else
static inline int network_openat(int folder, const char *name, int flags) {
    return network_fails(NETWORK_FILE) ? -1 : openat(folder, name, flags);
}

#define NETWORK_FCNTL(fd, command, argument, ...) network_fcntl(fd, command, argument)

#define accept4 network_accept
#define bind network_bind
#define close network_close
#define connect network_connect_call
#define fcntl(...) NETWORK_FCNTL(__VA_ARGS__, 0, 0)
#define freeaddrinfo network_freeaddrinfo
#define getaddrinfo network_getaddrinfo
#define getpeername network_getpeername
#define getrandom network_getrandom
#define getsockname network_getsockname
#define getsockopt network_getsockopt
#define listen network_listen
#define openat network_openat
#define pipe network_pipe
#define pthread_create network_thread
#define pthread_detach network_detach
#define read network_read
#define recv network_recv
#define select network_select
#define send network_send
#define sendmsg network_sendmsg
#define setsockopt network_setsockopt
#define shutdown network_shutdown
#define socket network_socket_call
#define socketpair network_socketpair
#define write network_write
#endif

#endif
