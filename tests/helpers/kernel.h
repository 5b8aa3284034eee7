/*
   An operating system in memory: sockets, pipes, select, epoll and names, with a virtual clock and a seed. Include it
   before "../../ws.h": each system call of ws.h then means a function here. The first host has the address 10.0.0.0;
   kernel.host is the one whose program is running. Bytes arrive in order, in pieces, after a delay. Two hosts can be
   parted for a while or for ever, and a connection can be reset by one end or both. Calls may be cut short or
   interrupted, and the one that kernel.fault names fails. Paths of Unix sockets exist only here. Files are those of the
   real system, but have descriptors of this one.

   Time passes only in kernel_advance. A wait that finds nothing ready returns at once, and kernel.until says when it
   would have ended. If kernel.idle is set, it is called instead, lets others run, and advances the clock.
*/
#ifndef KERNEL_H
#define KERNEL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
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
#if defined(__linux__)
#include <sys/epoll.h>
#endif
#if defined(__linux__) || defined(__APPLE__)
#include <sys/random.h>
#endif

#define KERNEL_NEVER UINT64_MAX

enum { KERNEL_FILES = 512, KERNEL_HOSTS = 8, KERNEL_SEGMENTS = 64, KERNEL_NONE = -1, KERNEL_PATHS = 4 };

typedef enum kernel_kind {
    KERNEL_FREE, KERNEL_SOCKET, KERNEL_LISTENER, KERNEL_STREAM, KERNEL_EPOLL, KERNEL_FILE
} kernel_kind;

typedef enum kernel_call {
    KERNEL_RECV, KERNEL_SEND, KERNEL_SENDMSG, KERNEL_ACCEPT, KERNEL_WAIT, KERNEL_PIPE, KERNEL_FCNTL, KERNEL_IOCTL,
    KERNEL_MAKE_SOCKET, KERNEL_BIND, KERNEL_LISTEN, KERNEL_CONNECT, KERNEL_SETSOCKOPT, KERNEL_GETSOCKOPT,
    KERNEL_GETSOCKNAME, KERNEL_GETPEERNAME, KERNEL_NAME, KERNEL_READ, KERNEL_WRITE, KERNEL_SHUTDOWN, KERNEL_PAIR,
    KERNEL_THREAD, KERNEL_MASK, KERNEL_LOOK_UP, KERNEL_RANDOM, KERNEL_OPEN_FILE, KERNEL_STATUS, KERNEL_MAKE_EPOLL,
    KERNEL_CONTROL, KERNEL_UNLINK, KERNEL_CHMOD, KERNEL_MALLOC, KERNEL_HMAC, /* calls of the program */
    KERNEL_OPENSSL,
    KERNEL_CALLS
} kernel_call;

typedef struct kernel_fault {
    kernel_call call;
    size_t at;    /* the number of the call of this kind that fails, from 1; 0: none */
    bool after;   /* all later calls fail, too */
    int error;    /* the errno; 0: the call moves only one byte */
    bool off;     /* for now, no call fails or is counted */
    size_t counts[KERNEL_CALLS];
} kernel_fault;

typedef enum kernel_mark { KERNEL_DATA, KERNEL_FIN, KERNEL_RST } kernel_mark;

typedef struct kernel_segment {
    uint64_t at;
    size_t size;
    kernel_mark mark;
} kernel_segment;

typedef struct kernel_flow { /* one direction: bytes that have arrived, then those on their way, then those not sent
                                yet */
    uint8_t *bytes;          /* a ring of `room` bytes */
    size_t room, first;
    size_t arrived, flying, unsent;
    size_t send_room, receive_room;
    kernel_segment segments[KERNEL_SEGMENTS];
    unsigned segment_first, segment_count;
    uint64_t last_at;
    bool finish, ended; /* the writer has ended the stream; the reader has seen the end */
    uint64_t all;       /* how many bytes have arrived in all */
} kernel_flow;

typedef enum kernel_phase { KERNEL_ASKS, KERNEL_ANSWERED, KERNEL_REFUSED, KERNEL_OPEN } kernel_phase;

typedef struct kernel_stream {
    struct kernel_stream *next;
    kernel_flow to[2];   /* towards end 0, which connected, and towards end 1 */
    int files[2];        /* KERNEL_NONE: closed, or not accepted yet */
    int errors[2];       /* the error that the next call returns, once */
    bool dead[2];        /* a reset has arrived there */
    unsigned hosts[2];
    uint16_t ports[2];
    kernel_phase phase;
    bool queued, local;  /* it waits in its listener's queue; it is a pipe, or a pair on one host */
    int listener;
    uint64_t at;         /* when the next phase begins */
    uint64_t delay, jitter;
    size_t piece;        /* the largest segment */
    uint64_t moved_at;   /* when bytes last arrived at either end */
    unsigned serial;
} kernel_stream;

typedef struct kernel_watch {
    bool on;
    uint32_t events;
    void *data;
} kernel_watch;

typedef struct kernel_file {
    kernel_kind kind;
    kernel_stream *stream;
    int end;               /* which end of the stream it is */
    unsigned host;
    uint16_t port;
    kernel_watch *watches; /* an epoll's: one for each file */
    int real;              /* a real file's descriptor */
    bool local;            /* a Unix socket; its port stands for its path */
} kernel_file;

typedef struct kernel_state {
    uint64_t now, next;    /* milliseconds; the time of the next arrival */
    uint64_t random;
    unsigned host;         /* the host whose program is running */
    kernel_file files[KERNEL_FILES];
    int first_file, most_files; /* the lowest number; one more than the highest number given so far */
    int open_files;
    kernel_stream *streams;
    unsigned serial;
    uint64_t parted[KERNEL_HOSTS][KERNEL_HOSTS]; /* until when these two hosts are parted */
    int found;             /* how many files the last wait found ready */
    uint64_t until;        /* when that wait would have ended */
    unsigned flaky;        /* one of this many calls is interrupted or cut short; 0: none */
    bool forgets;          /* a reset discards what has arrived and was not read, as on some systems */
    uint64_t delay, jitter; /* of connections made from now on */
    size_t piece, send_room, receive_room;
    uint64_t calls, bytes;
    kernel_fault fault;
    void (*idle)(void);
    char paths[KERNEL_PATHS][32]; /* of Unix sockets; "": free */
} kernel_state;

static kernel_state kernel;

static inline uint32_t kernel_random(void) { /* xorshift64* */
    kernel.random ^= kernel.random >> 12;
    kernel.random ^= kernel.random << 25;
    kernel.random ^= kernel.random >> 27;
    return (uint32_t)((kernel.random * 0x2545f4914f6cdd1du) >> 32);
}

/* A number from 0 to count - 1. */
static inline unsigned kernel_pick(unsigned count) { return (unsigned)((uint64_t)kernel_random() * count >> 32); }

static inline bool kernel_one_in(unsigned count) { return count && !kernel_pick(count); }

static inline bool kernel_flakes(void) { return kernel_one_in(kernel.flaky); }

static inline int kernel_fail(int error) {
    errno = error;
    return -1;
}

/* Counts a call. true: it fails with errno, or is cut short. */
static inline bool kernel_fails(kernel_call call) {
    size_t count = kernel.fault.off ? 0 : ++kernel.fault.counts[call], at = kernel.fault.at;
    if (!count || !at || call != kernel.fault.call || count < at || (count > at && !kernel.fault.after))
        return false;
    errno = kernel.fault.error;
    kernel.now += count > at && count % 4 == 0; /* repeated attempts take time */
    return true;
}

/* --- streams --- */

static inline void kernel_expect(uint64_t at) {
    if (at < kernel.next)
        kernel.next = at;
}

/* When something that is sent now would arrive at this end. */
static inline uint64_t kernel_arrival(kernel_stream *stream, int end) {
    kernel_flow *flow = &stream->to[end];
    uint64_t parted = kernel.parted[stream->hosts[!end]][stream->hosts[end]];
    uint64_t from = parted > kernel.now ? parted : kernel.now, at = KERNEL_NEVER;
    if (from != KERNEL_NEVER)
        at = from + stream->delay + (stream->jitter ? kernel_pick((unsigned)stream->jitter + 1) : 0);
    if (at < flow->last_at)
        at = flow->last_at;
    flow->last_at = at;
    kernel_expect(at);
    return at;
}

static inline kernel_segment *kernel_segment_at(kernel_flow *flow, unsigned index) {
    return &flow->segments[(flow->segment_first + index) % KERNEL_SEGMENTS];
}

static inline void kernel_launch(kernel_stream *stream, int end, size_t size, kernel_mark mark) {
    kernel_flow *flow = &stream->to[end];
    kernel_segment *segment = kernel_segment_at(flow, flow->segment_count++);
    segment->size = size;
    segment->mark = mark;
    segment->at = kernel_arrival(stream, end);
}

/* Sends what the reader has room for, then the end of the stream. One place stays free, for a reset. */
static inline void kernel_flush(kernel_stream *stream, int end) {
    kernel_flow *flow = &stream->to[end];
    while (flow->unsent && flow->segment_count < KERNEL_SEGMENTS - 1
           && flow->arrived + flow->flying < flow->receive_room) {
        size_t room = flow->receive_room - flow->arrived - flow->flying, size = flow->unsent;
        size = size < room ? size : room;
        size = size < stream->piece ? size : stream->piece;
        flow->unsent -= size;
        flow->flying += size;
        kernel_launch(stream, end, size, KERNEL_DATA);
    }
    if (flow->finish && !flow->unsent && flow->segment_count < KERNEL_SEGMENTS - 1) {
        flow->finish = false;
        kernel_launch(stream, end, 0, KERNEL_FIN);
    }
}

/* Tells this end that the connection is lost. */
static inline void kernel_send_reset(kernel_stream *stream, int end) {
    kernel_flow *flow = &stream->to[end];
    if (stream->dead[end] || flow->segment_count == KERNEL_SEGMENTS)
        return;
    if (flow->unsent) /* the writer takes these for sent */
        stream->moved_at = kernel.now;
    flow->unsent = 0;
    flow->finish = false;
    kernel_launch(stream, end, 0, KERNEL_RST);
}

static inline void kernel_arrive(kernel_stream *stream, int end, const kernel_segment *segment) {
    kernel_flow *flow = &stream->to[end];
    stream->moved_at = kernel.now;
    flow->flying -= segment->size;
    if (stream->dead[end]) { /* it accepts no more bytes, and answers with an error */
        kernel_send_reset(stream, !end);
        return;
    }
    flow->arrived += segment->size;
    flow->all += segment->size;
    if (segment->mark == KERNEL_FIN)
        flow->ended = true;
    if (segment->mark != KERNEL_RST)
        return;
    stream->dead[end] = true;
    stream->errors[end] = ECONNRESET;
    stream->to[!end].unsent = 0;
    stream->to[!end].finish = false;
    if (kernel.forgets)
        flow->arrived = 0;
}

static inline void kernel_update_flow(kernel_stream *stream, int end) {
    kernel_flow *flow = &stream->to[end];
    while (flow->segment_count && flow->segments[flow->segment_first].at <= kernel.now) {
        kernel_segment segment = flow->segments[flow->segment_first];
        flow->segment_first = (flow->segment_first + 1) % KERNEL_SEGMENTS;
        flow->segment_count--;
        kernel_arrive(stream, end, &segment);
    }
    if (flow->arrived && stream->files[end] == KERNEL_NONE && !stream->queued) { /* nobody reads it any more */
        flow->first = flow->arrived = 0;
        kernel_send_reset(stream, !end);
    }
    kernel_flush(stream, end);
    if (flow->segment_count)
        kernel_expect(flow->segments[flow->segment_first].at);
}

static inline int kernel_listener(unsigned host, uint16_t port) {
    for (int i = 0; i < kernel.most_files; i++)
        if (kernel.files[i].kind == KERNEL_LISTENER && kernel.files[i].host == host && kernel.files[i].port == port)
            return i;
    return KERNEL_NONE;
}

static inline void kernel_update_phase(kernel_stream *stream) {
    if (stream->phase == KERNEL_ASKS && stream->at <= kernel.now) {
        stream->listener = kernel_listener(stream->hosts[1], stream->ports[1]);
        stream->phase = stream->listener == KERNEL_NONE ? KERNEL_REFUSED : KERNEL_ANSWERED;
        stream->queued = stream->phase == KERNEL_ANSWERED;
        stream->at = kernel_arrival(stream, 0);
        stream->to[1].last_at = stream->at; /* nothing arrives before this acknowledgement */
    }
    if (stream->phase == KERNEL_ANSWERED && stream->at <= kernel.now)
        stream->phase = KERNEL_OPEN;
    if (stream->phase == KERNEL_REFUSED && stream->at <= kernel.now && !stream->dead[0]) {
        stream->dead[0] = true;
        stream->errors[0] = ECONNREFUSED;
    }
    if (stream->at > kernel.now)
        kernel_expect(stream->at);
}

static inline bool kernel_over(const kernel_stream *stream) {
    return stream->files[0] == KERNEL_NONE && stream->files[1] == KERNEL_NONE && !stream->queued;
}

static inline void kernel_free_stream(kernel_stream *stream) {
    free(stream->to[0].bytes);
    free(stream->to[1].bytes);
    free(stream);
}

/* Lets everything arrive that is due by now, and frees streams that have ended. */
static inline void kernel_update(void) {
    kernel_stream **at = &kernel.streams;
    if (kernel.now < kernel.next)
        return;
    kernel.next = KERNEL_NEVER;
    while (*at) {
        kernel_stream *stream = *at;
        if (kernel_over(stream)) {
            *at = stream->next;
            kernel_free_stream(stream);
            continue;
        }
        kernel_update_phase(stream);
        kernel_update_flow(stream, 0);
        kernel_update_flow(stream, 1);
        at = &stream->next;
    }
}

static inline void kernel_advance(uint64_t now) {
    kernel.now = now;
    kernel_update();
}

static inline void kernel_init_flow(kernel_flow *flow, size_t send_room, size_t receive_room) {
    flow->send_room = send_room;
    flow->receive_room = receive_room;
    flow->room = send_room + receive_room;
    flow->bytes = (uint8_t *)malloc(flow->room);
    if (!flow->bytes)
        abort();
}

static inline kernel_stream *kernel_new_stream(bool local) {
    kernel_stream *stream = (kernel_stream *)calloc(1, sizeof *stream);
    if (!stream)
        abort();
    for (int end = 0; end < 2; end++) {
        kernel_init_flow(&stream->to[end], local ? 8192 : kernel.send_room, local ? 8192 : kernel.receive_room);
        stream->files[end] = KERNEL_NONE;
    }
    stream->local = local;
    stream->phase = KERNEL_OPEN;
    stream->delay = local ? 0 : kernel.delay;
    stream->jitter = local ? 0 : kernel.jitter;
    stream->piece = local ? 8192 : kernel.piece;
    stream->serial = ++kernel.serial;
    stream->moved_at = kernel.now;
    stream->hosts[0] = stream->hosts[1] = kernel.host;
    stream->next = kernel.streams;
    kernel.streams = stream;
    return stream;
}

/* --- what a test does to the network --- */

/* A partition begins or ends: what is on its way gets a new time of arrival. */
static inline void kernel_reroute(kernel_stream *stream, int end) {
    kernel_flow *flow = &stream->to[end];
    flow->last_at = 0;
    for (unsigned i = 0; i < flow->segment_count; i++)
        kernel_segment_at(flow, i)->at = kernel_arrival(stream, end);
}

static inline void kernel_part(unsigned one, unsigned other, uint64_t until) {
    kernel.parted[one][other] = kernel.parted[other][one] = until;
    for (kernel_stream *stream = kernel.streams; stream; stream = stream->next) {
        if ((stream->hosts[0] != one || stream->hosts[1] != other) && (stream->hosts[0] != other
                                                                       || stream->hosts[1] != one))
            continue;
        kernel_reroute(stream, 0);
        kernel_reroute(stream, 1);
        if (stream->phase != KERNEL_OPEN && stream->at > kernel.now)
            stream->at = kernel_arrival(stream, stream->phase == KERNEL_ASKS);
        if (stream->phase != KERNEL_OPEN)
            stream->to[1].last_at = stream->at;
    }
}

static inline void kernel_heal(void) {
    for (unsigned i = 0; i < KERNEL_HOSTS; i++)
        for (unsigned j = 0; j <= i; j++)
            if (kernel.parted[i][j])
                kernel_part(i, j, 0);
}

/* Loses the connection of this number, counted over all. sides: a bit for each end that notices at once; the other
   end notices when it sends. */
static inline void kernel_lose(unsigned number, unsigned sides) {
    for (kernel_stream *stream = kernel.streams; stream; stream = stream->next)
        if (!stream->local && stream->phase == KERNEL_OPEN && number-- == 0) {
            for (int end = 0; end < 2; end++)
                if (sides >> end & 1)
                    kernel_send_reset(stream, end);
            return;
        }
}

static inline kernel_stream *kernel_stream_of(int file) {
    return file >= 0 && file < KERNEL_FILES ? kernel.files[file].stream : NULL;
}

/* --- files --- */

static inline int kernel_open_file(kernel_kind kind, kernel_stream *stream, int end) {
    int file = kernel.first_file;
    while (file < KERNEL_FILES && kernel.files[file].kind != KERNEL_FREE)
        file++;
    if (file == KERNEL_FILES)
        return kernel_fail(EMFILE);
    memset(&kernel.files[file], 0, sizeof kernel.files[file]);
    kernel.files[file].kind = kind;
    kernel.files[file].stream = stream;
    kernel.files[file].end = end;
    kernel.files[file].host = kernel.host;
    if (stream)
        stream->files[end] = file;
    if (file >= kernel.most_files)
        kernel.most_files = file + 1;
    kernel.open_files++;
    return file;
}

static inline kernel_file *kernel_file_of(int file) {
    kernel.calls++;
    if (file < 0 || file >= KERNEL_FILES || kernel.files[file].kind == KERNEL_FREE) {
        printf("  a system call on %d, which is not open\n", file);
        abort();
    }
    return &kernel.files[file];
}

static inline int kernel_socket(int family, int type, int protocol) {
    (void)type;
    (void)protocol;
    if (kernel_fails(KERNEL_MAKE_SOCKET))
        return -1;
    int file = kernel_open_file(KERNEL_SOCKET, NULL, 0);
    if (file >= 0)
        kernel.files[file].local = family == AF_UNIX;
    return file;
}

/* The index of a Unix socket's path; KERNEL_PATHS: unknown. */
static inline int kernel_path(const char *path) {
    int i = 0;
    while (i < KERNEL_PATHS && strcmp(kernel.paths[i], path) != 0)
        i++;
    return i;
}

/* A Unix socket's port is the index of its path, from 1. */
static inline void kernel_address(const struct sockaddr *address, unsigned *host, uint16_t *port) {
    struct sockaddr_in ipv4;
    if (address->sa_family == AF_UNIX) {
        *host = kernel.host;
        *port = (uint16_t)(1 + kernel_path(((const struct sockaddr_un *)(const void *)address)->sun_path));
        return;
    }
    memcpy(&ipv4, address, sizeof ipv4);
    *host = ntohl(ipv4.sin_addr.s_addr) & 255;
    *port = ntohs(ipv4.sin_port);
}

static inline int kernel_bind(int file, const struct sockaddr *address, socklen_t size) {
    kernel_file *own = kernel_file_of(file);
    unsigned host;
    (void)size;
    if (kernel_fails(KERNEL_BIND))
        return -1;
    if (address->sa_family == AF_UNIX) { /* bind creates its file */
        int place = kernel_path("");
        if (kernel_path(((const struct sockaddr_un *)(const void *)address)->sun_path) < KERNEL_PATHS)
            return kernel_fail(EADDRINUSE);
        (void)snprintf(kernel.paths[place], sizeof *kernel.paths, "%.31s",
                       ((const struct sockaddr_un *)(const void *)address)->sun_path);
    }
    kernel_address(address, &host, &own->port);
    return kernel_listener(own->host, own->port) == KERNEL_NONE ? 0 : kernel_fail(EADDRINUSE);
}

static inline int kernel_listen(int file, int backlog) {
    (void)backlog;
    if (kernel_fails(KERNEL_LISTEN))
        return -1;
    kernel_file_of(file)->kind = KERNEL_LISTENER;
    return 0;
}

static inline int kernel_connect(int file, const struct sockaddr *address, socklen_t size) {
    kernel_file *own = kernel_file_of(file);
    kernel_stream *stream;
    (void)size;
    if (kernel_fails(KERNEL_CONNECT))
        return -1;
    stream = kernel_new_stream(false);
    kernel_address(address, &stream->hosts[1], &stream->ports[1]);
    if (own->local && kernel_listener(stream->hosts[1], stream->ports[1]) == KERNEL_NONE) { /* nobody listens, and
                                                                                               that is known at once */
        kernel_expect(kernel.now);
        return kernel_fail(stream->ports[1] > KERNEL_PATHS ? ENOENT : ECONNREFUSED);
    }
    stream->ports[0] = (uint16_t)(40000 + stream->serial % 20000);
    own->kind = KERNEL_STREAM;
    own->stream = stream;
    own->end = 0;
    stream->files[0] = file;
    stream->phase = KERNEL_ASKS;
    stream->at = kernel_arrival(stream, 1);
    return kernel_fail(kernel_flakes() ? EINTR : EINPROGRESS);
}

static inline kernel_stream *kernel_waiting(int file) {
    kernel_stream *first = NULL;
    kernel_update();
    for (kernel_stream *stream = kernel.streams; stream; stream = stream->next)
        if (stream->queued && stream->listener == file && (!first || stream->serial < first->serial))
            first = stream;
    return first;
}

static inline int kernel_accept(int file, struct sockaddr *address, socklen_t *size, int flags) {
    kernel_file *own = kernel_file_of(file);
    kernel_stream *stream = kernel_waiting(file);
    int accepted;
    (void)address;
    (void)size;
    (void)flags;
    if (kernel_fails(KERNEL_ACCEPT))
        return -1;
    if (!stream || kernel_flakes())
        return kernel_fail(EAGAIN);
    if (kernel_flakes())
        return kernel_fail(kernel_one_in(2) ? EMFILE : ECONNABORTED);
    accepted = kernel_open_file(KERNEL_STREAM, stream, 1);
    if (accepted < 0)
        return -1;
    stream->queued = false;
    kernel.files[accepted].host = own->host;
    kernel.files[accepted].local = own->local;
    return accepted;
}

static inline int kernel_accept_plain(int file, struct sockaddr *address, socklen_t *size) {
    return kernel_accept(file, address, size, 0);
}

static inline void kernel_take(kernel_flow *flow, uint8_t *data, size_t size) {
    size_t whole = flow->room - flow->first;
    size_t part = size < whole ? size : whole;
    memcpy(data, flow->bytes + flow->first, part);
    memcpy(data + part, flow->bytes, size - part);
}

static inline ssize_t kernel_take_some(int file, void *data, size_t size, int flags) {
    kernel_file *own = kernel_file_of(file);
    kernel_stream *stream = own->stream;
    kernel_flow *flow = &stream->to[own->end];
    kernel_update();
    if (!stream->local && kernel_flakes())
        return kernel_fail(kernel_one_in(2) ? EINTR : EAGAIN);
    if (!flow->arrived && stream->errors[own->end]) {
        int error = stream->errors[own->end];
        stream->errors[own->end] = 0;
        return kernel_fail(error);
    }
    if (!flow->arrived)
        return flow->ended || stream->dead[own->end] ? 0 : kernel_fail(EAGAIN);
    size = size < flow->arrived ? size : flow->arrived;
    if (!stream->local && size > 1 && kernel_flakes())
        size = 1 + kernel_pick((unsigned)size);
    kernel_take(flow, (uint8_t *)data, size);
    if (flags & MSG_PEEK)
        return (ssize_t)size;
    flow->first = (flow->first + size) % flow->room;
    flow->arrived -= size;
    kernel_flush(stream, own->end);
    return (ssize_t)size;
}

static inline ssize_t kernel_recv(int file, void *data, size_t size, int flags) {
    bool fails = kernel_fails(KERNEL_RECV);
    if (fails && kernel.fault.error)
        return -1;
    return kernel_take_some(file, data, fails && size ? 1 : size, flags);
}

/* How many bytes can be written now; -1: the call fails. */
static inline ssize_t kernel_space(int file) {
    kernel_file *own = kernel_file_of(file);
    kernel_stream *stream = own->stream;
    kernel_flow *flow = &stream->to[!own->end];
    size_t held = flow->arrived + flow->flying + flow->unsent, space;
    kernel_update();
    if (stream->errors[own->end]) {
        int error = stream->errors[own->end];
        stream->errors[own->end] = 0;
        return kernel_fail(error);
    }
    if (stream->dead[own->end] || flow->finish || (stream->local && stream->files[!own->end] == KERNEL_NONE))
        return kernel_fail(EPIPE);
    if (!stream->local && kernel_flakes())
        return kernel_fail(kernel_one_in(2) ? EINTR : EAGAIN);
    space = stream->local ? flow->room - held : flow->send_room - flow->unsent - flow->flying;
    if (!space || stream->phase == KERNEL_ASKS)
        return kernel_fail(EAGAIN);
    return (ssize_t)(!stream->local && kernel_flakes() ? 1 + kernel_pick((unsigned)space) : space);
}

static inline void kernel_put(kernel_flow *flow, const uint8_t *data, size_t size) {
    size_t at = (flow->first + flow->arrived + flow->flying + flow->unsent) % flow->room;
    size_t part = size < flow->room - at ? size : flow->room - at;
    memcpy(flow->bytes + at, data, part);
    memcpy(flow->bytes, data + part, size - part);
    flow->unsent += size;
    kernel.bytes += size;
}

static inline ssize_t kernel_put_spans(int file, const struct msghdr *message, size_t most) {
    ssize_t space = kernel_space(file);
    kernel_file *own = &kernel.files[file];
    kernel_flow *flow = &own->stream->to[!own->end];
    size_t left;
    if (space < 0)
        return -1;
    space = (size_t)space < most ? space : (ssize_t)most;
    left = (size_t)space;
    for (size_t i = 0; i < (size_t)message->msg_iovlen && left; i++) {
        size_t size = message->msg_iov[i].iov_len < left ? message->msg_iov[i].iov_len : left;
        kernel_put(flow, (const uint8_t *)message->msg_iov[i].iov_base, size);
        left -= size;
    }
    if (own->stream->local) { /* at once */
        flow->arrived += flow->unsent;
        flow->unsent = 0;
    }
    kernel_flush(own->stream, !own->end);
    if (kernel.flaky) /* cut short without a reason: it looks as if the peer had taken the rest */
        own->stream->moved_at = kernel.now;
    return space - (ssize_t)left;
}

static inline ssize_t kernel_sendmsg(int file, const struct msghdr *message, int flags) {
    bool fails = kernel_fails(KERNEL_SENDMSG);
    (void)flags;
    return fails && kernel.fault.error ? -1 : kernel_put_spans(file, message, fails ? 1 : SIZE_MAX);
}

static inline ssize_t kernel_put_all(int file, const void *data, size_t size, size_t most) {
    struct iovec vector;
    struct msghdr message;
    vector.iov_base = (void *)(uintptr_t)data;
    vector.iov_len = size;
    memset(&message, 0, sizeof message);
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    return kernel_put_spans(file, &message, most);
}

static inline ssize_t kernel_send(int file, const void *data, size_t size, int flags) {
    bool fails = kernel_fails(KERNEL_SEND);
    (void)flags;
    return fails && kernel.fault.error ? -1 : kernel_put_all(file, data, size, fails ? 1 : SIZE_MAX);
}

static inline ssize_t kernel_read(int file, void *data, size_t size) {
    const kernel_file *own = kernel_file_of(file);
    bool fails = kernel_fails(KERNEL_READ);
    if (fails && kernel.fault.error)
        return -1;
    size = fails && own->kind == KERNEL_FILE ? 1 : size;
    return own->kind == KERNEL_FILE ? read(own->real, data, size) : kernel_take_some(file, data, size, 0);
}

static inline ssize_t kernel_write(int file, const void *data, size_t size) {
    return kernel_fails(KERNEL_WRITE) ? -1 : kernel_put_all(file, data, size, SIZE_MAX);
}

static inline int kernel_shutdown(int file, int how) {
    kernel_file *own = kernel_file_of(file);
    (void)how;
    if (kernel_fails(KERNEL_SHUTDOWN))
        return -1;
    if (own->stream->dead[own->end])
        return kernel_fail(ENOTCONN);
    own->stream->to[!own->end].finish = true;
    kernel_flush(own->stream, !own->end);
    return 0;
}

/* If bytes are unread, closing sends a reset. */
static inline void kernel_close_end(kernel_stream *stream, int end) {
    bool unread = stream->to[end].arrived != 0;
    stream->files[end] = KERNEL_NONE;
    if (!stream->local && !stream->dead[end]) {
        if (unread)
            kernel_send_reset(stream, !end);
        else
            stream->to[!end].finish = !stream->to[!end].ended;
        kernel_flush(stream, !end);
    }
    kernel_expect(kernel.now);
}

static inline int kernel_close(int file) {
    kernel_file *own = kernel_file_of(file);
    if (own->kind == KERNEL_LISTENER)
        for (kernel_stream *stream = kernel.streams; stream; stream = stream->next)
            if (stream->queued && stream->listener == file) {
                stream->queued = false;
                kernel_send_reset(stream, 0);
                kernel_expect(kernel.now);
            }
    if (own->stream)
        kernel_close_end(own->stream, own->end);
    if (own->kind == KERNEL_FILE)
        (void)close(own->real);
    for (int i = 0; i < kernel.most_files; i++)
        if (kernel.files[i].watches)
            kernel.files[i].watches[file].on = false;
    free(own->watches);
    memset(own, 0, sizeof *own);
    kernel.open_files--;
    return 0;
}

static inline int kernel_pair(int *ends, int reader) {
    kernel_stream *stream = kernel_new_stream(true);
    ends[reader] = kernel_open_file(KERNEL_STREAM, stream, 0);
    ends[!reader] = kernel_open_file(KERNEL_STREAM, stream, 1);
    return ends[0] < 0 || ends[1] < 0 ? -1 : 0;
}

static inline int kernel_pipe(int *ends) { return kernel_fails(KERNEL_PIPE) ? -1 : kernel_pair(ends, 0); }

static inline int kernel_socketpair(int family, int type, int protocol, int *ends) {
    (void)family;
    (void)type;
    (void)protocol;
    return kernel_fails(KERNEL_PAIR) ? -1 : kernel_pair(ends, 0);
}

static inline int kernel_fcntl(int file, int command, int argument) {
    (void)command;
    (void)argument;
    (void)kernel_file_of(file);
    return kernel_fails(KERNEL_FCNTL) ? -1 : 0;
}

static inline int kernel_ioctl(int file, unsigned long request, int *result) {
    kernel_file *own = kernel_file_of(file);
    kernel_flow *flow = &own->stream->to[!own->end];
    kernel_update();
    if (kernel_fails(KERNEL_IOCTL))
        return -1;
    *result = (int)(request == TIOCOUTQ ? flow->unsent + flow->flying : flow->unsent);
    return 0;
}

static inline int kernel_setsockopt(int file, int level, int name, const void *value, socklen_t size) {
    (void)level;
    (void)name;
    (void)value;
    (void)size;
    (void)kernel_file_of(file);
    return kernel_fails(KERNEL_SETSOCKOPT) ? -1 : 0;
}

/* SO_ERROR, what has been acknowledged, and what a listening socket says of itself. */
static inline int kernel_getsockopt(int file, int level, int name, void *value, socklen_t *size) {
    kernel_file *own = kernel_file_of(file);
    kernel_stream *stream = own->stream;
    kernel_update();
    if (kernel_fails(KERNEL_GETSOCKOPT))
        return -1;
    if (level == SOL_SOCKET && (name == SO_TYPE || name == SO_ACCEPTCONN)) {
        int answer = name == SO_TYPE ? SOCK_STREAM : own->kind == KERNEL_LISTENER;
        memcpy(value, &answer, sizeof answer);
    } else if (level == SOL_SOCKET && name == SO_ERROR) {
        int error = stream->errors[own->end];
        stream->errors[own->end] = 0;
        memcpy(value, &error, sizeof error);
    } else if (level == IPPROTO_TCP && *size == 16 * sizeof(uint64_t)) {
        memset(value, 0, *size);
        memcpy((uint8_t *)value + 15 * sizeof(uint64_t), &stream->to[!own->end].all, sizeof(uint64_t));
    }
    return 0;
}

static inline int kernel_tell_address(unsigned host, uint16_t port, struct sockaddr *address, socklen_t *size) {
    struct sockaddr_in ipv4;
    memset(&ipv4, 0, sizeof ipv4);
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    ipv4.sin_addr.s_addr = htonl(0x0a000000u | host);
    memcpy(address, &ipv4, sizeof ipv4);
    *size = sizeof ipv4;
    return 0;
}

static inline int kernel_getsockname(int file, struct sockaddr *address, socklen_t *size) {
    kernel_file *own = kernel_file_of(file);
    if (kernel_fails(KERNEL_GETSOCKNAME))
        return -1;
    (void)kernel_tell_address(own->host, own->port, address, size);
    address->sa_family = own->local ? AF_UNIX : AF_INET;
    return 0;
}

static inline int kernel_getpeername(int file, struct sockaddr *address, socklen_t *size) {
    kernel_file *own = kernel_file_of(file);
    kernel_stream *stream = own->stream;
    if (kernel_fails(KERNEL_GETPEERNAME))
        return -1;
    if (stream->dead[own->end])
        return kernel_fail(ENOTCONN);
    (void)kernel_tell_address(stream->hosts[!own->end], stream->ports[!own->end], address, size);
    address->sa_family = own->local ? AF_UNIX : AF_INET;
    return 0;
}

/* --- waits --- */

static inline unsigned kernel_ready(int file) { /* 1: readable, 2: writable, 4: broken */
    kernel_file *own = kernel_file_of(file);
    kernel_stream *stream = own->stream;
    if (own->kind == KERNEL_LISTENER)
        return kernel_waiting(file) ? 1 : 0;
    if (!stream)
        return 0;
    const kernel_flow *in = &stream->to[own->end], *out = &stream->to[!own->end];
    bool broken = stream->dead[own->end] || stream->errors[own->end];
    bool space = stream->local || out->unsent + out->flying < out->send_room - out->send_room / 3;
    if (broken)
        return 7;
    if (stream->phase != KERNEL_OPEN && own->end == 0)
        return 0;
    return (in->arrived || in->ended ? 1u : 0u) | (space ? 2u : 0u);
}

/* Ends a wait: it has found something, or records how long it would have lasted. */
static inline int kernel_waited(int found, uint64_t milliseconds) {
    kernel.found = found;
    kernel.until = milliseconds == KERNEL_NEVER ? KERNEL_NEVER : kernel.now + milliseconds;
    if (!found && milliseconds && kernel.idle)
        kernel.idle();
    return found;
}

static inline int kernel_select(int count, fd_set *reads, fd_set *writes, fd_set *others, struct timeval *timeout) {
    uint64_t wait = timeout ? (uint64_t)timeout->tv_sec * 1000 + (uint64_t)timeout->tv_usec / 1000 : KERNEL_NEVER;
    int found = 0;
    (void)others;
    kernel.calls++;
    kernel_update();
    if (kernel_fails(KERNEL_WAIT))
        return -1;
    if (kernel_flakes()) {
        (void)kernel_waited(1, 0);
        return kernel_fail(EINTR);
    }
    for (int file = 0; file < count; file++) {
        bool read = FD_ISSET(file, reads), write = FD_ISSET(file, writes);
        unsigned ready = read || write ? kernel_ready(file) : 0;
        if (read && !(ready & 1))
            FD_CLR(file, reads);
        if (write && !(ready & 2))
            FD_CLR(file, writes);
        found += (read && ready & 1) + (write && ready & 2);
    }
    return kernel_waited(found, wait);
}

#if defined(__linux__)
static inline int kernel_epoll_create(int flags) {
    int file = kernel_fails(KERNEL_MAKE_EPOLL) ? -1 : kernel_open_file(KERNEL_EPOLL, NULL, 0);
    (void)flags;
    if (file < 0)
        return -1;
    kernel.files[file].watches = (kernel_watch *)calloc(KERNEL_FILES, sizeof(kernel_watch));
    if (!kernel.files[file].watches)
        abort();
    return file;
}

static inline int kernel_epoll_ctl(int poller, int operation, int file, struct epoll_event *event) {
    kernel_watch *watch = &kernel_file_of(poller)->watches[file];
    if (operation != EPOLL_CTL_DEL && kernel_fails(KERNEL_CONTROL)) /* removing an entry never fails */
        return -1;
    if (kernel_file_of(file)->kind == KERNEL_FILE)
        return kernel_fail(EPERM);
    if (watch->on != (operation != EPOLL_CTL_ADD))
        return kernel_fail(watch->on ? EEXIST : ENOENT);
    watch->on = operation != EPOLL_CTL_DEL;
    watch->events = event->events;
    watch->data = event->data.ptr;
    return 0;
}

static inline int kernel_epoll_wait(int poller, struct epoll_event *events, int most, int timeout) {
    const kernel_watch *watches = kernel_file_of(poller)->watches;
    int found = 0;
    kernel_update();
    if (kernel_fails(KERNEL_WAIT))
        return -1;
    if (kernel_flakes()) {
        (void)kernel_waited(1, 0);
        return kernel_fail(EINTR);
    }
    for (int file = 0; file < kernel.most_files && found < most; file++) {
        unsigned ready = watches[file].on ? kernel_ready(file) : 0;
        uint32_t told = (ready & 1 ? (uint32_t)EPOLLIN : 0u) | (ready & 2 ? (uint32_t)EPOLLOUT : 0u);
        told &= watches[file].events;
        told |= ready & 4 ? (uint32_t)(EPOLLERR | EPOLLHUP) : 0u;
        if (!told)
            continue;
        events[found].events = told;
        events[found++].data.ptr = watches[file].data;
    }
    return kernel_waited(found, timeout < 0 ? KERNEL_NEVER : (uint64_t)timeout);
}
#endif

/* --- names, threads, randomness --- */

struct kernel_made {
    struct addrinfo info;
    struct sockaddr_in ipv4;
};

/* "10.0.0.1" is host 1. "host1" is host 1, too, but the first of its addresses belongs to nobody. */
static inline int kernel_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                                     struct addrinfo **result) {
    bool named = host && strncmp(host, "host", 4) == 0, numeric = host && strncmp(host, "10.0.0.", 7) == 0;
    unsigned number = named ? (unsigned)(host[4] - '0') : numeric ? (unsigned)(host[7] - '0') : 0;
    if (kernel_fails(KERNEL_LOOK_UP))
        return kernel.fault.error;
    if ((!named && !numeric) || (named && hints->ai_flags & AI_NUMERICHOST))
        return EAI_NONAME;
    for (unsigned at = named ? 0 : 1; at < 2; at++) {
        struct kernel_made *made = (struct kernel_made *)calloc(1, sizeof *made);
        socklen_t size;
        if (!made)
            abort();
        made->info.ai_family = AF_INET;
        made->info.ai_socktype = SOCK_STREAM;
        made->info.ai_addr = (struct sockaddr *)(void *)&made->ipv4;
        (void)kernel_tell_address(at ? number : KERNEL_HOSTS - 1, (uint16_t)atoi(port), made->info.ai_addr, &size);
        made->info.ai_addrlen = size;
        *result = &made->info;
        result = &made->info.ai_next;
    }
    return 0;
}

static inline void kernel_freeaddrinfo(struct addrinfo *all) {
    while (all) {
        struct addrinfo *next = all->ai_next;
        free(all);
        all = next;
    }
}

static inline int kernel_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t size) {
    unsigned number;
    uint16_t port;
    (void)length;
    if (kernel_fails(KERNEL_NAME))
        return EAI_FAMILY;
    kernel_address(address, &number, &port);
    return snprintf(host, size, "10.0.0.%u", number) < (int)size ? 0 : EAI_OVERFLOW;
}

static inline int kernel_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *user) {
    (void)attributes;
    if (kernel_fails(KERNEL_THREAD))
        return EAGAIN;
    memset(thread, 0, sizeof *thread);
    (void)run(user);
    return 0;
}

static inline ssize_t kernel_getrandom(void *data, size_t size) {
    if (kernel_fails(KERNEL_RANDOM))
        return -1;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)data)[i] = (uint8_t)kernel_random();
    return (ssize_t)size;
}

#if !defined(_WIN32)
static inline int kernel_mask(int how, const sigset_t *mask, sigset_t *before) {
    return kernel_fails(KERNEL_MASK) ? EINVAL : pthread_sigmask(how, mask, before);
}
#endif

/* libc's allocator, which a look-up uses. */
static inline void *kernel_realloc(void *block, size_t size) {
    return kernel_fails(KERNEL_MALLOC) ? NULL : realloc(block, size);
}

#if !defined(_WIN32)
static inline int kernel_clock(clockid_t clock, struct timespec *now) {
    (void)clock;
    now->tv_sec = (time_t)(kernel.now / 1000);
    now->tv_nsec = (long)(kernel.now % 1000) * 1000000;
    return 0;
}

/* --- files, and those of Unix sockets --- */

static inline int kernel_adopt_file(int real) {
    int file = real < 0 ? -1 : kernel_open_file(KERNEL_FILE, NULL, 0);
    if (file >= 0)
        kernel.files[file].real = real;
    return file;
}

static inline int kernel_open(const char *name, int flags) {
    return kernel_fails(KERNEL_OPEN_FILE) ? -1 : kernel_adopt_file(open(name, flags));
}

static inline int kernel_openat(int folder, const char *name, int flags) {
    int real = kernel_file_of(folder)->real;
    return kernel_fails(KERNEL_OPEN_FILE) ? -1 : kernel_adopt_file(openat(real, name, flags));
}

static inline FILE *kernel_fopen(const char *name, const char *mode) {
    return kernel_fails(KERNEL_OPEN_FILE) ? NULL : fopen(name, mode);
}

static inline ssize_t kernel_pread(int file, void *data, size_t size, off_t at) {
    return kernel_fails(KERNEL_READ) ? -1 : pread(kernel_file_of(file)->real, data, size, at);
}

static inline int kernel_fstat(int file, struct stat *status) {
    return kernel_fails(KERNEL_STATUS) ? -1 : fstat(kernel_file_of(file)->real, status);
}

static inline int kernel_stat(const char *name, struct stat *status) {
    return kernel_fails(KERNEL_STATUS) ? -1 : stat(name, status);
}

static inline int kernel_lstat(const char *name, struct stat *status) {
    int place = kernel_path(name);
    if (kernel_fails(KERNEL_STATUS))
        return -1;
    if (place == KERNEL_PATHS)
        return lstat(name, status);
    memset(status, 0, sizeof *status);
    status->st_mode = S_IFSOCK;
    status->st_ino = (ino_t)place;
    return 0;
}

static inline int kernel_unlink(const char *name) {
    int place = kernel_path(name);
    if (kernel_fails(KERNEL_UNLINK) || place == KERNEL_PATHS)
        return -1;
    kernel.paths[place][0] = 0;
    return 0;
}

static inline int kernel_chmod(const char *name, mode_t mode) {
    (void)mode;
    if (kernel_fails(KERNEL_CHMOD))
        return -1;
    return kernel_path(name) == KERNEL_PATHS ? kernel_fail(ENOENT) : 0;
}
#endif

/* Frees everything; returns how many files were open. */
static inline int kernel_end(void) {
    int open = kernel.open_files;
    while (kernel.streams) {
        kernel_stream *stream = kernel.streams;
        kernel.streams = stream->next;
        kernel_free_stream(stream);
    }
    for (int i = 0; i < kernel.most_files; i++) {
        free(kernel.files[i].watches);
        if (kernel.files[i].kind == KERNEL_FILE)
            (void)close(kernel.files[i].real);
    }
    return open;
}

static inline void kernel_begin(uint64_t seed) {
    memset(&kernel, 0, sizeof kernel);
    kernel.random = seed * 0x9e3779b97f4a7c15u + 0x1234567u;
    kernel.random = kernel.random ? kernel.random : 1;
    for (int i = 0; i < 8; i++)
        (void)kernel_random();
    kernel.now = 1000000;
    kernel.next = KERNEL_NEVER;
    kernel.first_file = 3;
    kernel.piece = 1460;
    kernel.send_room = kernel.receive_room = 65536;
}

#if defined(_WIN32)
#include <kernel_calls.h>
#else
#define recv kernel_recv
#define send kernel_send
#define sendmsg kernel_sendmsg
#define accept kernel_accept_plain
#define accept4 kernel_accept
#define select kernel_select
#define pipe kernel_pipe
#define fcntl kernel_fcntl
#define ioctl kernel_ioctl
#define socket kernel_socket
#define bind kernel_bind
#define listen kernel_listen
#define setsockopt kernel_setsockopt
#define getsockopt kernel_getsockopt
#define getsockname kernel_getsockname
#define getpeername kernel_getpeername
#define getnameinfo(address, length, host, size, service, service_size, flags) \
    kernel_getnameinfo(address, length, host, size)
#define read kernel_read
#define write kernel_write
#define close kernel_close
#define shutdown kernel_shutdown
#define connect kernel_connect
#define socketpair kernel_socketpair
#define pthread_create kernel_thread
#undef pthread_sigmask /* a macro on NetBSD */
#define pthread_sigmask kernel_mask
#define realloc kernel_realloc
#define clock_gettime kernel_clock
#define open kernel_open
#define openat kernel_openat
#define fopen kernel_fopen
#define pread kernel_pread
#define fstat kernel_fstat
#define lstat kernel_lstat
#define stat(name, status) kernel_stat(name, status)
#define unlink kernel_unlink
#define chmod kernel_chmod
#define pthread_detach(thread) ((void)(thread), 0)
#define getrandom(data, size, flags) kernel_getrandom(data, size)
#define getaddrinfo kernel_getaddrinfo
#define freeaddrinfo kernel_freeaddrinfo
#define epoll_create1 kernel_epoll_create
#define epoll_ctl kernel_epoll_ctl
#define epoll_wait kernel_epoll_wait
#endif

#endif
