/*
   The system calls that ws.h makes, so that a test can count them and let them fail. Include it
   before "../ws.h": from there on each name stands for the function here. Calls count and fail
   only while the library is inside (net.h says so), never those of the test's own peers.
*/
#ifndef CALLS_H
#define CALLS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

typedef enum calls_kind {
    CALLS_RECV, CALLS_SEND, CALLS_SENDMSG, CALLS_ACCEPT, CALLS_SELECT, CALLS_PIPE, CALLS_FCNTL,
    CALLS_SOCKET, CALLS_BIND, CALLS_LISTEN, CALLS_SETSOCKOPT, CALLS_READ, CALLS_WRITE,
    CALLS_SHUTDOWN, CALLS_KINDS
} calls_kind;

static const char *const calls_names[CALLS_KINDS] = {
    "recv", "send", "sendmsg", "accept", "select", "pipe", "fcntl", "socket", "bind", "listen",
    "setsockopt", "read", "write", "shutdown"};

typedef struct calls_state {
    bool inside;                /* the library runs */
    size_t count[CALLS_KINDS];  /* calls from inside */
    size_t fail_at[CALLS_KINDS]; /* this call fails, counted from 1; 0: none */
    bool fail_after;            /* and all behind it */
    int error;                  /* with this errno; 0: is short, one byte */
    size_t limit;               /* inside: so many bytes at most in one call; 0: any */
    size_t sent_to[1024];       /* send and sendmsg calls by descriptor */
} calls_state;

static calls_state calls;

static inline void calls_reset(void) { memset(&calls, 0, sizeof calls); }

static inline size_t calls_writes(void) { return calls.count[CALLS_SEND] + calls.count[CALLS_SENDMSG]; }

/* Counts a call; true: it has to fail. */
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

/* How many bytes a call may carry, when it is not to fail. */
static inline size_t calls_size(bool hit, size_t size) {
    if (hit && size)
        return 1;
    return calls.inside && calls.limit && size > calls.limit ? calls.limit : size;
}

static inline ssize_t calls_recv(int fd, void *data, size_t size, int flags) {
    bool hit = calls_hit(CALLS_RECV);
    return hit && calls.error ? -1 : recv(fd, data, calls_size(hit, size), flags);
}

static inline void calls_sent_to(int fd) {
    if (calls.inside && fd >= 0 && fd < 1024)
        calls.sent_to[fd]++;
}

static inline ssize_t calls_send(int fd, const void *data, size_t size, int flags) {
    bool hit = calls_hit(CALLS_SEND);
    calls_sent_to(fd);
    return hit && calls.error ? -1 : send(fd, data, calls_size(hit, size), flags);
}

/* A short one: so many bytes of the first parts. */
static inline ssize_t calls_sendmsg(int fd, const struct msghdr *message, int flags) {
    bool hit = calls_hit(CALLS_SENDMSG);
    size_t limit = hit ? 1 : calls.inside ? calls.limit : 0;
    calls_sent_to(fd);
    if (hit && calls.error)
        return -1;
    if (limit && message->msg_iovlen)
        return send(fd, message->msg_iov[0].iov_base,
                    message->msg_iov[0].iov_len < limit ? message->msg_iov[0].iov_len : limit, flags);
    return sendmsg(fd, message, flags);
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

/* fcntl has two forms. */
#define CALLS_FCNTL_PICK(fd, command, argument, ...) calls_fcntl(fd, command, argument)
#define CALLS_FCNTL_CALL(...) CALLS_FCNTL_PICK(__VA_ARGS__, 0, 0)

static inline int calls_socket(int family, int type, int protocol) {
    return calls_hit(CALLS_SOCKET) ? -1 : socket(family, type, protocol);
}

static inline int calls_bind(int fd, const struct sockaddr *address, socklen_t size) {
    return calls_hit(CALLS_BIND) ? -1 : bind(fd, address, size);
}

static inline int calls_listen(int fd, int backlog) { return calls_hit(CALLS_LISTEN) ? -1 : listen(fd, backlog); }

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
#define setsockopt calls_setsockopt
#define read calls_read
#define write calls_write
#define shutdown calls_shutdown

#endif
