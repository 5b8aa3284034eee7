/*
   A server and raw client sockets in one thread, on 127.0.0.1 and a free port, with a virtual clock, so that nothing
   sleeps. Callbacks write a log, which tests compare:

       o1              on_open of the first connection that opened
       t1:hello        on_message, text; b1:5 binary, its size
       k1:5fl          on_chunk of 5 bytes, first and last
       d1              on_drain
       c1:1000:bye:y   on_close: code, reason, clean or not

   Include "../../ws.h" with WS_IMPLEMENTATION first ("calls.h" before that, if needed).
*/
#ifndef NET_H
#define NET_H

#include "drive.h"
#include "test.h"

#include <dirent.h>
#if defined(_WIN32)
#include "windows.h"
#define NET_PROC false /* wine shows that of Linux */
#define NET_RESETS (!GetProcAddress(GetModuleHandleA("ntdll"), "wine_get_version"))
#else
#define NET_PROC true
#define NET_RESETS true
#include <poll.h>
#include <sys/ioctl.h>
#endif

enum { NET_PEERS = 256, NET_CONNS = 4096, NET_ROUNDS = 20000 };

typedef struct peer peer;

/* A layer between a peer and its socket: TLS (tls.h). */
typedef struct peer_layer {
    void (*received)(peer *p, const uint8_t *data, size_t size); /* bytes came from the socket */
    bool (*pump)(peer *p);                                       /* true: it has read or sent something */
    size_t (*send)(peer *p, const void *data, size_t size);
    bool (*over)(const peer *p); /* nothing more can arrive */
    void (*finish)(peer *p);     /* announces that no more will be sent */
} peer_layer;

struct peer {          /* the other side of a connection of ws.h: a socket of the test */
    int fd;            /* -1: closed */
    bool server;       /* it was accepted, so it sends unmasked frames */
    bytes in;          /* what has arrived, decrypted, and was not taken by the test */
    bool deaf;         /* does not read */
    bool ended, reset; /* its stream has ended, properly or by a reset */
    const peer_layer *layer;  /* NULL: none */
    struct tls_session *tls;  /* the layer's state */
};

typedef struct net_state {
    ws_loop *loop;
    ws_server *server;
    uint64_t now; /* the time of the virtual clock */
    uint64_t wall; /* seconds since 1970; 0: unknown, and answers have no Date */
    drive_memory memory;
    bytes log;
    peer peers[NET_PEERS];
    size_t peer_count, descriptors;
    /* each at its number in the log */
    ws_conn *conns[NET_CONNS];
    ws_id ids[NET_CONNS];
    unsigned closings[NET_CONNS];
    uint16_t codes[NET_CONNS];
    unsigned opened, closed;
    uint64_t received; /* bytes of messages */
    bool echo, quiet;  /* quiet: messages are not logged */
    /* what a test does in callbacks */
    void (*on_open)(ws_conn *conn, unsigned number);
    void (*on_message)(ws_conn *conn, unsigned number, ws_message message);
    void (*on_drain)(ws_conn *conn, unsigned number);
    void (*on_close)(ws_conn *conn, unsigned number, ws_close_info why);
} net_state;

static net_state net;

/* What the loop's error text contains. */
#define NET_DETAIL(words) DETAIL(ws_loop_error(net.loop), words)

#if defined(CALLS_H)
static inline void net_inside(bool inside) { calls.inside = inside; }
#else
static inline void net_inside(bool inside) { (void)inside; }
#endif

/* --- the log --- */

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
static inline void net_log(const char *format, ...) {
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (net.log.size)
        bytes_add(&net.log, " ", 1);
    bytes_add(&net.log, line, strlen(line));
}

/* Compares the log and empties it. */
static inline void net_check_log(const char *wanted, const char *file, int line) {
    test_memory(net.log.data, net.log.size, wanted, strlen(wanted), "the log of callbacks", file, line);
    net.log.size = 0;
}

#define CHECK_LOG(wanted) net_check_log((wanted), __FILE__, __LINE__)

/* --- callbacks --- */

static inline unsigned net_number(const ws_conn *conn) { return (unsigned)(uintptr_t)ws_user(conn); }

static inline void net_open(ws_conn *conn) {
    unsigned number = ++net.opened;
    if (number >= NET_CONNS)
        abort();
    ws_set_user(conn, (void *)(uintptr_t)number);
    net.conns[number] = conn;
    net.ids[number] = ws_conn_id(conn);
    net_log("o%u", number);
    if (net.on_open)
        net.on_open(conn, number);
}

static inline void net_message(ws_conn *conn, ws_message message) {
    unsigned number = net_number(conn);
    net.received += message.size;
    if (message.data[message.size])
        net_log("unzeroed");
    if (!net.quiet && message.type == WS_TEXT && message.size < 100)
        net_log("t%u:%s", number, (const char *)message.data);
    else if (!net.quiet)
        net_log("%c%u:%zu", message.type == WS_TEXT ? 't' : 'b', number, message.size);
    if (net.on_message)
        net.on_message(conn, number, message);
    else if (net.echo)
        (void)ws_send(conn, message);
}

static inline void net_chunk(ws_conn *conn, ws_chunk chunk) {
    net.received += chunk.size;
    net_log("k%u:%zu%s%s", net_number(conn), chunk.size, chunk.first ? "f" : "", chunk.last ? "l" : "");
}

static inline void net_drain(ws_conn *conn) {
    net_log("d%u", net_number(conn));
    if (net.on_drain)
        net.on_drain(conn, net_number(conn));
}

static inline void net_close(ws_conn *conn, ws_close_info why) {
    unsigned number = net_number(conn);
    net.closed++;
    net.closings[number]++;
    net.codes[number] = why.code;
    net_log("c%u:%u:%s:%s", number, (unsigned)why.code, why.reason, why.clean ? "y" : "n");
    if (net.on_close)
        net.on_close(conn, number, why);
    net.conns[number] = NULL;
}

static inline ws_handler net_handler(void) {
    ws_handler handler;
    memset(&handler, 0, sizeof handler);
    handler.on_open = net_open;
    handler.on_message = net_message;
    handler.on_drain = net_drain;
    handler.on_close = net_close;
    return handler;
}

/* --- start and end --- */

static inline uint64_t net_clock(void *user) { return *(const uint64_t *)user; }

static inline uint64_t net_wall_clock(void *user) {
    (void)user;
    return net.wall;
}

/* How many descriptors this process has open; 0: unknown on this system. */
static inline size_t net_descriptors(void) {
    DIR *folder = NET_PROC ? opendir("/proc/self/fd") : NULL;
    size_t count = 0;
    if (!folder)
        return 0;
    while (readdir(folder))
        count++;
    (void)closedir(folder);
    return count;
}

/* Whether this many descriptors are open; true where that is unknown. */
static inline bool net_holds(size_t descriptors) { return !NET_PROC || net_descriptors() == descriptors; }

/* A loop with the counting allocator and the virtual clock; config may be NULL. */
static inline void net_start_loop(const ws_loop_config *config) {
    ws_loop_config all;
    size_t descriptors = net_descriptors();
    memset(&net, 0, sizeof net);
    memset(&all, 0, sizeof all);
    if (config)
        all = *config;
    net.descriptors = descriptors;
    net.now = 1000000;
    net.echo = true;
    all.allocator.resize = drive_resize;
    all.allocator.user = &net.memory;
    all.clock = net_clock;
    all.clock_user = &net.now;
    all.wall_clock = net_wall_clock;
    net.loop = ws_loop_new(&all);
}

/* Frees everything, and checks what holds for every test: each on_open had one on_close, no memory and no descriptor
   is left, and ws.h knew the size of each block. */
static inline void net_finish(const char *file, int line) {
    size_t i;
    net_inside(true);
    ws_loop_free(net.loop);
    net_inside(false);
    for (i = 0; i < net.peer_count; i++) {
        if (net.peers[i].fd >= 0)
            (void)close(net.peers[i].fd);
        bytes_free(&net.peers[i].in);
    }
    test_equal(net.closed, net.opened, "on_close for each on_open", file, line);
    for (i = 1; i <= net.opened; i++)
        if (net.closings[i] != 1)
            test_equal(net.closings[i], 1, "on_close exactly once", file, line);
    test_equal((long long)net.memory.used, 0, "all memory is freed", file, line);
    test_check(!net.memory.wrong, "ws.h passes the right old sizes", file, line);
    if (NET_PROC)
        test_equal((long long)net_descriptors(), (long long)net.descriptors, "all descriptors are closed", file, line);
    bytes_free(&net.log);
    net.loop = NULL;
}

#define NET_END() net_finish(__FILE__, __LINE__)

/* --- rounds --- */

/* Adds bytes that have arrived from the peer's socket. */
static inline void peer_received(peer *p, const void *data, size_t size) {
    if (p->layer)
        p->layer->received(p, (const uint8_t *)data, size);
    else
        bytes_add(&p->in, data, size);
}

/* Reads what has arrived. true: there was something. */
static inline bool peer_read(peer *p) {
    static uint8_t buffer[1 << 16];
    bool some = false;
    while (p->fd >= 0 && !p->deaf && !p->ended) {
        ssize_t got = recv(p->fd, buffer, sizeof buffer, 0);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        some = true;
        p->ended = got <= 0;
        p->reset = got < 0;
        if (got > 0)
            peer_received(p, buffer, (size_t)got);
    }
    return (p->layer && p->layer->pump(p)) || some;
}

/* Whether nothing more can arrive. */
static inline bool peer_over(const peer *p) { return p->layer ? p->layer->over(p) : p->ended; }

/* If there are many peers, one call finds out which of them can be read. */
static inline bool net_read_all(void) {
    static struct pollfd list[NET_PEERS];
    static peer *asked[NET_PEERS];
    unsigned count = 0, i;
    bool some = false;
    for (i = 0; i < net.peer_count; i++) {
        peer *p = &net.peers[i];
        if (net.peer_count < 4 || p->layer || p->fd < 0 || p->deaf || p->ended) {
            some = peer_read(p) || some;
            continue;
        }
        list[count].fd = p->fd;
        list[count].events = POLLIN;
        asked[count++] = p;
    }
    if (count && poll(list, count, 0) > 0)
        for (i = 0; i < count; i++)
            some = (list[i].revents && peer_read(asked[i])) || some;
    return some;
}

#ifndef WS_NO_HOST
static inline bool net_sets(fd_set *reads, fd_set *writes, int *highest, struct timeval *timeout) {
    return ws_loop_fds(net.loop, reads, writes, highest, timeout);
}
#else /* as the loop itself uses select */
static inline bool net_sets(fd_set *reads, fd_set *writes, int *highest, struct timeval *timeout) {
    (void)timeout;
    *reads = net.loop->poll.reads.set;
    *writes = net.loop->poll.writes.set;
    *highest = net.loop->poll.highest;
    return true;
}
#endif

/* One round of the loop and of all peers. true: something happened. */
static inline bool net_round(int wait_us) {
    fd_set reads, writes;
    struct timeval timeout;
    int highest = -1;
    bool some = false;
    timeout.tv_sec = 0;
    timeout.tv_usec = wait_us;
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    if (net_sets(&reads, &writes, &highest, &timeout))
        some = select(highest + 1, &reads, &writes, NULL, &timeout) > 0;
    net_inside(true);
    (void)ws_run_once(net.loop, 0);
    net_inside(false);
    return net_read_all() || some || wsi_loop_is_due(net.loop, net.loop->now);
}

/* Repeats until nothing happens any more. false: it does not end. */
static inline bool net_settle(void) {
    int i, still = 0;
    for (i = 0; i < NET_ROUNDS && still < 3; i++)
        still = net_round(still == 2 ? 1000 : 0) ? 0 : still + 1;
    return still == 3;
}

/* Advances the clock, then settles. */
static inline void net_wait(uint64_t milliseconds) {
    net.now += milliseconds;
    test_check(net_settle(), "the loop settles", __FILE__, __LINE__);
}

/* Whether the system distinguishes unsent bytes from unacknowledged ones, as Linux does, but not qemu-user. If not,
   the running test counts as skipped: an acknowledgement that comes late in real time would move a deadline of the
   virtual clock. */
static inline bool net_tells_unsent(void) {
#if defined(__linux__)
    int fd = socket(AF_INET, SOCK_STREAM, 0), size = 0;
    bool tells = ioctl(fd, 0x894b, &size) == 0;
    (void)close(fd);
    if (!tells)
        test_skip("no SIOCOUTQNSD");
    return tells;
#else
    return true;
#endif
}

/* Binds one more socket to the port of a listener with SO_REUSEPORT. It does not listen. When the listener is closed,
   the port refuses connections, but no server of another program gets it. -1: this system cannot do it. */
static inline int net_hold_port(uint16_t port) {
    int fd = -1;
#if defined(SO_REUSEPORT)
    struct sockaddr_in address;
    int on = 1;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0
        || bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        fd = -1;
    }
#else
    (void)port;
#endif
    return fd;
}

/* --- peers --- */

static inline peer *net_connect_to(uint16_t port, int receive_buffer) {
    struct sockaddr_in address;
    peer *p = &net.peers[net.peer_count++];
    int flags, on = 1;
    if (net.peer_count > NET_PEERS)
        abort();
    memset(p, 0, sizeof *p);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* bytes are sent at once */
    if (receive_buffer)
        (void)setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        p->ended = p->reset = true;
        return p;
    }
    flags = fcntl(p->fd, F_GETFL);
    (void)fcntl(p->fd, F_SETFL, flags | O_NONBLOCK);
    return p;
}

static inline void peer_close(peer *p) {
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = -1;
}

/* Ends the peer's stream; the peer can still read. */
static inline void peer_finish(peer *p) {
    if (p->layer)
        p->layer->finish(p);
    else
        (void)shutdown(p->fd, SHUT_WR);
}

/* For a test that needs a reset to be distinct from the end of a stream. false: it counts as skipped. */
static inline bool net_resets(void) {
    if (!NET_RESETS)
        test_skip("under wine a reset looks like an end");
    return NET_RESETS;
}

/* Closes the socket with a reset. */
static inline void peer_reset(peer *p) {
    struct linger linger;
    linger.l_onoff = 1;
    linger.l_linger = 0;
    (void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    peer_close(p);
}

/* Sends everything, and serves while the socket is full. Returns how many bytes were sent. */
static inline size_t peer_send(peer *p, const void *data, size_t size) {
    const uint8_t *from = (const uint8_t *)data;
    size_t done = 0;
    int tries = 0;
    if (p->layer)
        return p->layer->send(p, data, size);
    while (done < size && p->fd >= 0 && tries < 200) {
        ssize_t sent = send(p->fd, from + done, size - done, MSG_NOSIGNAL);
        if (sent > 0) {
            done += (size_t)sent;
            tries = 0;
        } else if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            break;
        } else {
            tries += !net_round(100);
        }
    }
    return done;
}

static inline void peer_text(peer *p, const char *text) { (void)peer_send(p, text, strlen(text)); }

/* Sends frames in the language of wire.h, masked if the peer is a client. */
static inline void peer_frames(peer *p, const char *text) {
    bytes out = {NULL, 0, 0};
    wire_write(&out, text, !p->server);
    (void)peer_send(p, out.data, out.size);
    bytes_free(&out);
}

/* Serves until this many bytes have arrived, or the stream ends. */
static inline bool peer_wait(peer *p, size_t size) {
    int i;
    for (i = 0; i < NET_ROUNDS && p->in.size < size && !peer_over(p); i++)
        (void)net_round(100);
    return p->in.size >= size;
}

static inline void peer_take(peer *p, size_t size) {
    bytes_take(&p->in, size < p->in.size ? size : p->in.size);
}

static inline size_t peer_find(const peer *p, const char *text) {
    return bytes_find(&p->in, text, 0);
}

/* Serves until a response's head has arrived, and returns its status; 0: none came. */
static inline int peer_status(peer *p) {
    int i;
    for (i = 0; i < NET_ROUNDS && peer_find(p, "\r\n\r\n") == SIZE_MAX && !peer_over(p); i++)
        (void)net_round(100);
    if (peer_find(p, "\r\n\r\n") == SIZE_MAX || memcmp(p->in.data, "HTTP/1.1 ", 9) != 0)
        return 0;
    return atoi((const char *)p->in.data + 9);
}

static inline bool peer_has(const peer *p, const char *text) { return peer_find(p, text) != SIZE_MAX; }

/* The offset after this text in what has arrived; 0: not found. */
static inline size_t peer_behind(const peer *p, const char *text) {
    size_t at = peer_find(p, text);
    return at == SIZE_MAX ? 0 : at + strlen(text);
}

static inline void peer_take_head(peer *p) {
    size_t at = peer_find(p, "\r\n\r\n");
    peer_take(p, at == SIZE_MAX ? 0 : at + 4);
}

/* The status of the next response, whose head is taken; 0: none came. */
static inline int peer_take_status(peer *p) {
    int status = peer_status(p);
    peer_take_head(p);
    return status;
}

/* Checks that exactly these frames have arrived, and takes them. */
static inline void peer_check(peer *p, const char *frames, const char *file, int line) {
    bytes wanted = {NULL, 0, 0};
    wire_write(&wanted, frames, false);
    (void)peer_wait(p, wanted.size);
    test_check(net_settle(), "the loop settles", file, line);
    test_memory(p->in.data, p->in.size, wanted.data, wanted.size, frames, file, line);
    p->in.size = 0;
    bytes_free(&wanted);
}

#define CHECK_FRAMES(p, frames) peer_check((p), (frames), __FILE__, __LINE__)

/* Whether the server echoes to this peer. */
static inline bool peer_echo(peer *p, const char *word) {
    bytes wanted = {NULL, 0, 0};
    char text[100];
    bool good;
    (void)snprintf(text, sizeof text, "81\"%s\"", word);
    wire_write(&wanted, text, false);
    peer_frames(p, text);
    good = peer_wait(p, wanted.size) && p->in.size == wanted.size && memcmp(p->in.data, wanted.data, wanted.size) == 0;
    p->in.size = 0;
    bytes_free(&wanted);
    return good;
}

/* --- a server on a free port, and its clients --- */

#ifndef WS_NO_SERVER

static inline bool net_route(const char *pattern) {
    ws_handler handler = net_handler();
    return ws_route(net.server, pattern, &handler);
}

/* A loop, and a server on a free port with a handler at "/" that writes the log. */
static inline bool net_start_with(const ws_loop_config *loop, const ws_server_config *server) {
    net_start_loop(loop);
    net.server = ws_listen(net.loop, server);
    return net.server && net_route("/");
}

static inline bool net_start(void) { return net_start_with(NULL, NULL); }

/* For tests that measure memory: the loop keeps no spare memory. */
static inline bool net_start_exact(void) {
    ws_loop_config config;
    memset(&config, 0, sizeof config);
    config.max_spare = 1;
    return net_start_with(&config, NULL);
}

static inline bool net_start_limits(const ws_limits *limits) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.limits = *limits;
    return net_start_with(NULL, &config);
}

static inline peer *net_connect(void) { return net_connect_to(ws_port(net.server), 0); }

/* Connections made from now on have small socket buffers, which a few bytes fill. */
static inline void net_small_buffers(void) {
    int size = 8192;
    (void)setsockopt(net.server->listeners->source.link.descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

/* Sends the text in two pieces, split at every place: the answer is the same. */
static inline void check_cuts(const char *text, const char *wanted) {
    size_t i, size = strlen(text);
    for (i = 0; i <= size; i++) {
        peer *p = net_connect();
        (void)peer_send(p, text, i);
        net_settle();
        (void)peer_send(p, text + i, size - i);
        net_settle();
        CHECK_MEM(p->in.data, p->in.size, wanted, strlen(wanted));
        peer_close(p);
        net_settle();
        net.peer_count--;
        bytes_free(&p->in);
    }
}

/* Sends an opening handshake; more: further header lines, each with its CRLF. */
static inline void peer_upgrade(peer *p, const char *path, const char *more) {
    char text[8192];
    (void)snprintf(text, sizeof text,
                   "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                   path, (unsigned)ws_port(net.server), more ? more : "");
    peer_text(p, text);
}

/* A peer whose WebSocket is open. */
static inline peer *net_open_with(const char *path, int receive_buffer) {
    peer *p = net_connect_to(ws_port(net.server), receive_buffer);
    peer_upgrade(p, path, NULL);
    test_equal(peer_status(p), 101, "the handshake's status", __FILE__, __LINE__);
    peer_take_head(p);
    return p;
}

static inline peer *net_peer(const char *path) { return net_open_with(path, 0); }

/* Whether a new connection gets its echo. Leaves the log unchanged. */
static inline bool net_serves(void) {
    size_t log = net.log.size;
    bool good, echo = net.echo;
    void (*on_message)(ws_conn *, unsigned, ws_message) = net.on_message;
    peer *p = net_connect();
    net.echo = true;
    net.on_message = NULL;
    peer_upgrade(p, "/", NULL);
    good = peer_status(p) == 101;
    peer_take_head(p);
    peer_frames(p, "81\"alive\" 88<03e8>");
    (void)peer_wait(p, 11);
    good = good && p->in.size == 11 && memcmp(p->in.data, "\x81\5alive\x88\2\3\xe8", 11) == 0;
    peer_close(p);
    bytes_free(&p->in);
    net_settle();
    net.echo = echo;
    net.on_message = on_message;
    net.log.size = log;
    return good;
}

#endif

#endif
