/*
   Replaces the system calls that ws.h makes, so that a test can count them and make them fail. Include it before
   "../../ws.h": the name of each call then means a function here. Calls count and fail only while ws.h is running in
   the test's thread (net.h says when), so those of the test's own peers do not. A test may give a table of names, from
   which host names are looked up.
*/
#ifndef CALLS_H
#define CALLS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#if defined(_WIN32)
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#endif
#if defined(__linux__) || defined(__APPLE__)
#include <sys/random.h>
#endif
#if defined(WSI_KQUEUE)
#include <sys/event.h> /* of tests/helpers/kqueue */
#elif defined(__linux__)
#include <sys/epoll.h>
#endif

typedef enum calls_kind {
    CALLS_RECV, CALLS_SEND, CALLS_SENDMSG, CALLS_ACCEPT, CALLS_SELECT, CALLS_PIPE, CALLS_FCNTL,
    CALLS_SOCKET, CALLS_BIND, CALLS_LISTEN, CALLS_SETSOCKOPT, CALLS_READ, CALLS_WRITE,
    CALLS_SHUTDOWN, CALLS_CONNECT, CALLS_GETSOCKOPT, CALLS_SOCKETPAIR, CALLS_GETADDRINFO, CALLS_THREAD,
    CALLS_ENTROPY, CALLS_OPENAT, CALLS_FSTAT, CALLS_CHMOD, CALLS_KERNEL_OPEN, CALLS_KERNEL_CONTROL, CALLS_KERNEL_FETCH,
    CALLS_KINDS
} calls_kind;

#if defined(WSI_POLLER_DEFAULT)
enum { CALLS_WAIT = CALLS_KERNEL_FETCH }; /* the kind of call with which this test's loops wait */
#else
enum { CALLS_WAIT = CALLS_SELECT };
#endif

#if defined(_WIN32) /* the kind of call that carries posts */
#define CALLS_MAIL CALLS_SOCKET
#else
#define CALLS_MAIL CALLS_PIPE
#endif

static const char *const calls_names[CALLS_KINDS] = {
    "recv", "send", "sendmsg", "accept", "select", "pipe", "fcntl", "socket", "bind", "listen",
    "setsockopt", "read", "write", "shutdown", "connect", "getsockopt", "socketpair", "getaddrinfo",
    "pthread_create", "getentropy", "openat", "fstat", "chmod", "kqueue or epoll_create1", "kevent or epoll_ctl",
    "kevent or epoll_wait"};

typedef struct calls_state {
    bool inside;                /* a call of ws.h is running */
    size_t count[CALLS_KINDS];  /* how many calls ws.h has made */
    size_t fail_at[CALLS_KINDS]; /* the number of the call that fails, from 1; 0: none */
    bool fail_after;            /* all later calls fail, too */
    int error;                  /* the errno; 0: the call does not fail, but moves only one byte */
    size_t limit;               /* the most bytes that one call of ws.h moves; 0: any number */
    size_t sent_to[1024];       /* send and sendmsg calls by descriptor */
    int stuck;                  /* once this descriptor's socket is full, it takes nothing more; 0: none. Otherwise
                                   the system may find room after a while, whatever the peer does */
    bool stuck_full;
} calls_state;

/* Each thread has its own state, so that only calls of the test's thread count. tcc has no thread-local variables. */
#if defined(__TINYC__)
static calls_state calls;
#else
static __thread calls_state calls;
#endif

static inline void calls_reset(void) { memset(&calls, 0, sizeof calls); }

static inline size_t calls_writes(void) { return calls.count[CALLS_SEND] + calls.count[CALLS_SENDMSG]; }

/* Counts a call. true: it must fail. */
static inline bool calls_hit(calls_kind kind) {
    size_t at = calls.fail_at[kind], count;
    if (!calls.inside)
        return false;
    count = ++calls.count[kind];
    if (!at || count < at || (count > at && !calls.fail_after))
        return false;
    errno = calls.error;
    return true;
}

/* How many bytes a call may move if it does not fail. */
static inline size_t calls_size(bool hit, size_t size) {
    if (hit && size)
        return 1;
    return calls.inside && calls.limit && size > calls.limit ? calls.limit : size;
}

static inline void calls_sent_to(int fd) {
    if (calls.inside && fd >= 0 && fd < 1024)
        calls.sent_to[fd]++;
}

/* --- threads --- */

static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t calls_gate = PTHREAD_COND_INITIALIZER; /* signals every change here and in "names" */
static int calls_threads; /* how many threads are running */

static inline void calls_count_thread(int change) {
    (void)pthread_mutex_lock(&calls_lock);
    calls_threads += change;
    (void)pthread_cond_broadcast(&calls_gate);
    (void)pthread_mutex_unlock(&calls_lock);
}

/* Waits until one of the threads that are running now has ended. false: there is none. */
static inline bool calls_await_thread(void) {
    (void)pthread_mutex_lock(&calls_lock);
    int before = calls_threads;
    while (calls_threads && calls_threads == before)
        (void)pthread_cond_wait(&calls_gate, &calls_lock);
    (void)pthread_mutex_unlock(&calls_lock);
    return before > 0;
}

/* --- names --- */

typedef struct calls_name {
    const char *name;      /* NULL ends the table */
    const char *addresses; /* "127.0.0.2 ::1", tried in this order; NULL: the name is unknown */
    bool held;             /* the answer waits for calls_let_go */
} calls_name;

/* Set this once, before the first look-up. The system looks up names that are not in the table. */
static const calls_name *calls_table;

static bool calls_open_gate;
static unsigned calls_resolving; /* how many answers are held */

static inline void calls_hold(void) {
    (void)pthread_mutex_lock(&calls_lock);
    calls_open_gate = false;
    (void)pthread_mutex_unlock(&calls_lock);
}

static inline void calls_let_go(void) {
    (void)pthread_mutex_lock(&calls_lock);
    calls_open_gate = true;
    (void)pthread_cond_broadcast(&calls_gate);
    while (calls_resolving)
        (void)pthread_cond_wait(&calls_gate, &calls_lock);
    (void)pthread_mutex_unlock(&calls_lock);
}

static inline void calls_pass_gate(void) {
    (void)pthread_mutex_lock(&calls_lock);
    calls_resolving++;
    while (!calls_open_gate)
        (void)pthread_cond_wait(&calls_gate, &calls_lock);
    calls_resolving--;
    (void)pthread_cond_broadcast(&calls_gate);
    (void)pthread_mutex_unlock(&calls_lock);
}

enum { CALLS_MARK = 0x40000000 }; /* in ai_flags of addresses that were allocated here */

static inline struct addrinfo *calls_address(const char *text, size_t size, unsigned port) {
    struct made {
        struct addrinfo info;
        struct sockaddr_in6 six;
        struct sockaddr_in four;
    } *made = (struct made *)calloc(1, sizeof *made);
    char address[64];
    if (!made || size >= sizeof address)
        abort();
    memcpy(address, text, size);
    address[size] = 0;
    made->info.ai_flags = CALLS_MARK;
    made->info.ai_socktype = SOCK_STREAM;
    made->info.ai_protocol = IPPROTO_TCP;
    made->info.ai_family = strchr(address, ':') ? AF_INET6 : AF_INET;
    made->six.sin6_family = AF_INET6;
    made->six.sin6_port = made->four.sin_port = htons((uint16_t)port);
    made->four.sin_family = AF_INET;
    if (made->info.ai_family == AF_INET6) {
        made->info.ai_addr = (struct sockaddr *)&made->six;
        made->info.ai_addrlen = sizeof made->six;
        (void)inet_pton(AF_INET6, address, &made->six.sin6_addr);
    } else {
        made->info.ai_addr = (struct sockaddr *)&made->four;
        made->info.ai_addrlen = sizeof made->four;
        (void)inet_pton(AF_INET, address, &made->four.sin_addr);
    }
    return &made->info;
}

static inline int calls_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                                    struct addrinfo **result) {
    const calls_name *name = calls_table;
    const char *text;
    if (calls_hit(CALLS_GETADDRINFO))
        return calls.error == ENOMEM ? EAI_MEMORY : EAI_AGAIN;
    while (name && name->name && (!host || strcasecmp(name->name, host) != 0))
        name++;
    if (!name || !name->name)
        return getaddrinfo(host, port, hints, result);
    if (hints && hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    if (name->held)
        calls_pass_gate();
    *result = NULL;
    for (text = name->addresses; text && *text;) {
        size_t size = strcspn(text, " ");
        *result = calls_address(text, size, port ? (unsigned)atoi(port) : 0);
        result = &(*result)->ai_next;
        text += size + strspn(text + size, " ");
    }
    return name->addresses ? 0 : EAI_NONAME;
}

static inline void calls_freeaddrinfo(struct addrinfo *all) {
    if (all && !(all->ai_flags & CALLS_MARK)) {
        freeaddrinfo(all);
        return;
    }
    while (all) {
        struct addrinfo *next = all->ai_next;
        free(all);
        all = next;
    }
}

#if defined(_WIN32)
#include <calls_windows.h>
#else
/* --- POSIX --- */

static inline ssize_t calls_recv(int fd, void *data, size_t size, int flags) {
    bool hit = calls_hit(CALLS_RECV);
    return hit && calls.error ? -1 : recv(fd, data, calls_size(hit, size), flags);
}

/* Whether this is the descriptor that takes nothing more. */
static inline bool calls_stuck(int fd) {
    bool stuck = calls.stuck_full && fd == calls.stuck;
    if (stuck)
        errno = EAGAIN;
    return stuck;
}

/* A short write shows that the socket is full, as EAGAIN does. */
static inline ssize_t calls_sent(int fd, ssize_t sent, size_t size) {
    if (fd == calls.stuck && (sent < 0 ? errno == EAGAIN : (size_t)sent < size))
        calls.stuck_full = true;
    return sent;
}

static inline ssize_t calls_send(int fd, const void *data, size_t size, int flags) {
    bool hit = calls_hit(CALLS_SEND);
    calls_sent_to(fd);
    if (calls_stuck(fd) || (hit && calls.error))
        return -1;
    return calls_sent(fd, send(fd, data, calls_size(hit, size), flags), size);
}

/* A call that must be short sends only the first bytes of the spans. */
static inline ssize_t calls_sendmsg(int fd, const struct msghdr *message, int flags) {
    bool hit = calls_hit(CALLS_SENDMSG);
    size_t limit = hit ? 1 : calls.inside ? calls.limit : 0, size = 0, i;
    calls_sent_to(fd);
    if (calls_stuck(fd) || (hit && calls.error))
        return -1;
    if (limit && message->msg_iovlen)
        return send(fd, message->msg_iov[0].iov_base,
                    message->msg_iov[0].iov_len < limit ? message->msg_iov[0].iov_len : limit, flags);
    for (i = 0; i < (size_t)message->msg_iovlen; i++)
        size += message->msg_iov[i].iov_len;
    return calls_sent(fd, sendmsg(fd, message, flags), size);
}

static inline int calls_accept(int fd, struct sockaddr *address, socklen_t *size) {
    return calls_hit(CALLS_ACCEPT) ? -1 : accept(fd, address, size);
}

#if defined(__linux__)
static inline int calls_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
    return calls_hit(CALLS_ACCEPT) ? -1 : accept4(fd, address, size, flags);
}
#endif

static inline int calls_select(int count, fd_set *reads, fd_set *writes, fd_set *others, struct timeval *timeout) {
    return calls_hit(CALLS_SELECT) ? -1 : select(count, reads, writes, others, timeout);
}

static inline int calls_pipe(int *ends) { return calls_hit(CALLS_PIPE) ? -1 : pipe(ends); }

static inline int calls_fcntl(int fd, int command, int argument) {
    return calls_hit(CALLS_FCNTL) ? -1 : fcntl(fd, command, argument);
}

/* fcntl takes two or three arguments. */
#define CALLS_FCNTL_PICK(fd, command, argument, ...) calls_fcntl(fd, command, argument)
#define CALLS_FCNTL_CALL(...) CALLS_FCNTL_PICK(__VA_ARGS__, 0, 0)

static inline int calls_socket(int family, int type, int protocol) {
    return calls_hit(CALLS_SOCKET) ? -1 : socket(family, type, protocol);
}

static inline int calls_bind(int fd, const struct sockaddr *address, socklen_t size) {
    return calls_hit(CALLS_BIND) ? -1 : bind(fd, address, size);
}

static inline int calls_listen(int fd, int backlog) { return calls_hit(CALLS_LISTEN) ? -1 : listen(fd, backlog); }

static inline int calls_chmod(const char *path, mode_t mode) { return calls_hit(CALLS_CHMOD) ? -1 : chmod(path, mode); }

static inline int calls_setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    return calls_hit(CALLS_SETSOCKOPT) ? -1 : setsockopt(fd, level, name, value, size);
}

static inline ssize_t calls_read(int fd, void *data, size_t size) {
    return calls_hit(CALLS_READ) ? -1 : read(fd, data, size);
}

static inline ssize_t calls_write(int fd, const void *data, size_t size) {
    return calls_hit(CALLS_WRITE) ? -1 : write(fd, data, size);
}

static inline int calls_shutdown(int fd, int how) { return calls_hit(CALLS_SHUTDOWN) ? -1 : shutdown(fd, how); }

static inline int calls_connect(int fd, const struct sockaddr *address, socklen_t size) {
    return calls_hit(CALLS_CONNECT) ? -1 : connect(fd, address, size);
}

static inline int calls_getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    return calls_hit(CALLS_GETSOCKOPT) ? -1 : getsockopt(fd, level, name, value, size);
}

static inline int calls_socketpair(int family, int type, int protocol, int *ends) {
    return calls_hit(CALLS_SOCKETPAIR) ? -1 : socketpair(family, type, protocol, ends);
}

typedef struct calls_begun {
    void *(*run)(void *);
    void *user;
} calls_begun;

static inline void *calls_run(void *argument) {
    calls_begun begun = *(calls_begun *)argument;
    free(argument);
    void *result = begun.run(begun.user);
    calls_count_thread(-1);
    return result;
}

static inline int calls_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *user) {
    calls_begun *begun = calls_hit(CALLS_THREAD) ? NULL : (calls_begun *)malloc(sizeof *begun);
    int error = EAGAIN;
    if (!begun)
        return error;
    begun->run = run;
    begun->user = user;
    calls_count_thread(1);
    error = pthread_create(thread, attributes, calls_run, begun);
    if (error) {
        calls_count_thread(-1);
        free(begun);
    }
    return error;
}

static inline int calls_entropy(void *data, size_t size) {
    return calls_hit(CALLS_ENTROPY) ? -1 : getentropy(data, size);
}

static inline int calls_openat(int folder, const char *name, int flags) {
    return calls_hit(CALLS_OPENAT) ? -1 : openat(folder, name, flags);
}

static inline int calls_fstat(int fd, struct stat *status) { return calls_hit(CALLS_FSTAT) ? -1 : fstat(fd, status); }

#if defined(WSI_KQUEUE)
static inline int calls_kqueue(void) { return calls_hit(CALLS_KERNEL_OPEN) ? -1 : kqueue(); }

static inline int calls_kevent(int poller, const struct kevent *changes, int change_count, struct kevent *events,
                               int most, const struct timespec *timeout) {
    bool hit = calls_hit(most ? CALLS_KERNEL_FETCH : CALLS_KERNEL_CONTROL);
    return hit ? -1 : kevent(poller, changes, change_count, events, most, timeout);
}
#elif defined(__linux__)
static inline int calls_epoll_create(int flags) {
    return calls_hit(CALLS_KERNEL_OPEN) ? -1 : epoll_create1(flags);
}

static inline int calls_epoll_ctl(int poller, int operation, int fd, struct epoll_event *event) {
    return calls_hit(CALLS_KERNEL_CONTROL) ? -1 : epoll_ctl(poller, operation, fd, event);
}

static inline int calls_epoll_wait(int poller, struct epoll_event *events, int most, int timeout) {
    return calls_hit(CALLS_KERNEL_FETCH) ? -1 : epoll_wait(poller, events, most, timeout);
}
#endif

#define recv calls_recv
#define send calls_send
#define sendmsg calls_sendmsg
#define accept calls_accept
#define accept4 calls_accept4
#define select calls_select
#define pipe calls_pipe
#define fcntl(...) CALLS_FCNTL_CALL(__VA_ARGS__)
#define socket calls_socket
#define bind calls_bind
#define listen calls_listen
#define chmod calls_chmod
#define setsockopt calls_setsockopt
#define read calls_read
#define write calls_write
#define shutdown calls_shutdown
#define connect calls_connect
#define getsockopt calls_getsockopt
#define socketpair calls_socketpair
#define pthread_create calls_thread
#define getrandom(data, size, flags) (calls_entropy(data, size) ? -1 : (ssize_t)(size))
#define getentropy calls_entropy
#define openat calls_openat
#define fstat calls_fstat
#define kqueue calls_kqueue
#define kevent(...) calls_kevent(__VA_ARGS__)
#define epoll_create1 calls_epoll_create
#define epoll_ctl calls_epoll_ctl
#define epoll_wait calls_epoll_wait
#endif
#define getaddrinfo calls_getaddrinfo
#define freeaddrinfo calls_freeaddrinfo

#endif
