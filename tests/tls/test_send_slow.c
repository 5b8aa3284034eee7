/* SEND: progress is what the peer takes, not what the socket accepts: a peer that reads steadily gets everything,
   however slowly, and one that takes nothing is dropped at the deadline. The clock is the test's, so that a rate is
   exact: bytes in each step of it. The system's buffer for sending is large: it becomes writable again only after many
   steps, while each deadline ends after three. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/tls.h"

#include <sys/un.h>

enum {
    STEP = 1000,      /* milliseconds */
    DEADLINE = 3000,  /* each of them */
    RATE = 10000,     /* bytes in a step */
    UNIX_RATE = 40000, /* Linux holds half of the buffer, 106 KB, in one piece, and reports whole pieces only */
    SEND_BUFFER = 200000
};

typedef enum slow_way { OVER_TCP, OVER_TLS, OVER_UNIX, WAYS } slow_way;

static const char *const way_names[WAYS] = {"TCP", "TLS", "a Unix socket"};

static peer *reader;
static uint8_t body[600000];
static size_t body_size;
static char folder[] = "ws_test_slow_XXXXXX";
static ws_id kept;

static void no_message(ws_conn *conn, unsigned number, ws_message message) { (void)conn, (void)number, (void)message; }

static void answer(ws_request *request, void *user) {
    (void)user;
    CHECK(ws_reply_data(request, 200, NULL, body, body_size));
}

static void keep(ws_request *request, void *user) {
    (void)user;
    kept = ws_keep(request, NULL, NULL);
}

static ws_server_config slow_config(slow_way way) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.handshake_ms = config.limits.ping_ms = config.limits.pong_ms = DEADLINE;
    config.limits.close_ms = config.limits.answer_ms = DEADLINE;
    config.limits.buffered = 300000;
    if (way == OVER_UNIX) {
        static char path[64];
        (void)snprintf(path, sizeof path, "%s/socket", folder);
        config.unix_path = path;
    }
#ifndef WS_NO_TLS
    if (way == OVER_TLS) {
        config.tls.cert_pem = certs.server.pem;
        config.tls.key_pem = certs.server.key_pem;
    }
#endif
    return config;
}

/* Small segments and a small buffer for receiving: reading makes room at once, as on a network. */
static int slow_socket(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), segment = 1400, size = 16384, on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static peer *slow_peer(int fd) {
    peer *p = &net.peers[net.peer_count++];
    memset(p, 0, sizeof *p);
    p->fd = fd;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return p;
}

static bool slow_connect(slow_way way, const char *unix_path) {
    struct sockaddr_in address;
    struct sockaddr_un local;
    int fd = way == OVER_UNIX ? socket(AF_UNIX, SOCK_STREAM, 0) : slow_socket(), connected;
    memset(&address, 0, sizeof address);
    memset(&local, 0, sizeof local);
    address.sin_family = AF_INET;
    address.sin_port = htons(ws_port(net.server));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    local.sun_family = AF_UNIX;
    if (way == OVER_UNIX) {
        (void)snprintf(local.sun_path, sizeof local.sun_path, "%s", unix_path);
        connected = connect(fd, (struct sockaddr *)&local, sizeof local);
    } else {
        connected = connect(fd, (struct sockaddr *)&address, sizeof address);
    }
    reader = slow_peer(fd);
#ifndef WS_NO_TLS
    if (way == OVER_TLS)
        (void)tls_on(reader);
#endif
    return connected == 0;
}

static void slow_write(const char *text) {
#ifndef WS_NO_TLS
    CHECK(!reader->tls || tls_handshake(reader));
#endif
    reader->deaf = strncmp(text, "GET /ws ", 8) != 0;
    peer_text(reader, text);
    (void)net_settle();
}

/* The part of an answer after its head. */
static size_t slow_head(void) {
    size_t i;
    for (i = 4; i <= reader->in.size; i++)
        if (memcmp(reader->in.data + i - 4, "\r\n\r\n", 4) == 0)
            return i;
    return 0;
}

/* The WebSocket is open; from here on the test decides what the peer reads. */
static ws_conn *slow_open(void) {
    slow_write("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    CHECK(slow_head() > 0);
    reader->deaf = true;
    reader->in.size = 0;
    return net.conns[1];
}

/* Whether the sender or its system still has bytes for the reader's system, or has ended: then the end will arrive. */
static bool slow_comes(void) {
    for (const wsi_endpoint *from = net.loop->endpoints; from; from = from->next)
        for (const ws_conn *conn = from->conns; conn; conn = conn->next)
            if (conn->queue.size || conn->source.link.unsent || wsi_platform_unsent(conn->source.link.descriptor, true))
                return true;
    return net.loop->conn_count == 0;
}

/* A step of the clock in which this many bytes are read, unless no more arrive. false: the end. */
static bool slow_step(size_t rate) {
    static uint8_t buffer[UNIX_RATE];
    size_t done = 0;
    int tries;
    for (tries = 0; tries < 20000 && done < rate && !reader->ended; tries++) {
        ssize_t got = recv(reader->fd, buffer, rate - done, MSG_DONTWAIT);
        if (got > 0) {
            peer_received(reader, buffer, (size_t)got);
            done += (size_t)got;
        } else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
            reader->ended = true;
            reader->reset = got < 0;
        } else if (!net_round(1000) && !slow_comes()) {
            break;
        }
    }
    net_wait(STEP);
    return !reader->ended;
}

/* --- what is sent --- */

static ws_message slow_message(void) {
    ws_message message = {body, body_size, WS_BINARY};
    return message;
}

static void send_message(void) { CHECK(ws_send(slow_open(), slow_message())); }

static void send_and_close(void) {
    ws_conn *conn = slow_open();
    CHECK(ws_send(conn, slow_message()) && ws_close(conn, 1000, NULL));
}

static void send_broadcast(void) {
    ws_conn *conn = slow_open();
    CHECK(ws_join(conn, "r") && ws_room_slow(net.server, "r", WS_SLOW_WAIT));
    CHECK(ws_server_broadcast(net.server, "r", slow_message()));
}

/* A broadcast after the first finds the member's queue full: 1013. */
static void send_too_much(void) {
    ws_conn *conn = slow_open();
    CHECK(ws_join(conn, "r") && ws_server_broadcast(net.server, "r", slow_message()));
    for (int i = 0; i < 10 && ws_state(conn) == WS_OPEN; i++) {
        (void)net_settle();
        CHECK(ws_server_broadcast(net.server, "r", slow_message()));
    }
    CHECK_EQ(ws_state(conn), WS_CLOSING);
}

static void get_page(void) { slow_write("GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); }

static void get_file(void) { slow_write("GET /files/body HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); }

static void get_answer(void) { slow_write("GET /answer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); }

static void get_kept(void) {
    slow_write("GET /keep HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(ws_reply_data(ws_kept(net.loop, kept), 200, NULL, body, body_size));
}

/* The next request is answered, too. */
static void get_two(void) {
    slow_write("GET /files/body HTTP/1.1\r\nHost: a\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* The peer asks for nothing more and ends its stream (RFC 9112 9.6). */
static void get_half(void) {
    slow_write("GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_finish(reader);
}

static const struct {
    const char *title;
    void (*send)(void);
    bool http;        /* after a head */
    const char *tail; /* what must follow the body; NULL: anything, it closes with 1013 */
    size_t tail_size;
    bool stays;       /* the connection is open still when all has arrived */
} sends[] = {{"a message", send_message, false, "", 0, true},
             {"a message and a close", send_and_close, false, "\x88\x02\x03\xe8", 4, false},
             {"a broadcast to a room that waits", send_broadcast, false, "", 0, true},
             {"broadcasts up to the limit, and 1013", send_too_much, false, NULL, 0, false},
             {"a page", get_page, true, "", 0, false},
             {"a file", get_file, true, "", 0, false},
             {"a handler's answer", get_answer, true, "", 0, false},
             {"the answer to a request that was kept", get_kept, true, "", 0, false},
             {"a file, and the request behind it", get_two, true, "HTTP/1.1 200 OK", 15, false},
             {"a page, for one that half-closed", get_half, true, "", 0, false}};

enum { SENDS = sizeof sends / sizeof *sends };

static void slow_start(slow_way way, size_t size) {
    ws_server_config config = slow_config(way);
    int send_buffer = SEND_BUFFER;
    char path[80];
    size_t i;
    FILE *file;
    body_size = size;
    for (i = 0; i < size; i++)
        body[i] = (uint8_t)(i * 31 >> 3);
    (void)snprintf(path, sizeof path, "%s/body", folder);
    file = fopen(path, "wb");
    CHECK(file && fwrite(body, 1, size, file) == size && fclose(file) == 0);
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)unlink(path);
    CHECK(net_start_with(NULL, &config));
    net.on_message = no_message;
    net.quiet = true;
    if (way != OVER_UNIX)
        (void)setsockopt(net.server->listeners->source.link.descriptor, SOL_SOCKET, SO_SNDBUF, &send_buffer,
                         sizeof send_buffer);
    CHECK(net_route("/ws") && ws_page(net.server, "/small", "text/plain", "small"));
    CHECK(ws_files(net.server, "/files/", folder));
    CHECK(ws_http(net.server, "GET", "/answer", answer, NULL) && ws_http(net.server, "GET", "/page", answer, NULL));
    CHECK(ws_http(net.server, "GET", "/keep", keep, NULL));
    CHECK(slow_connect(way, path));
}

static void slow_row(slow_way way, size_t row, size_t size) {
    size_t from, behind, rate = way == OVER_UNIX ? UNIX_RATE : RATE;
    int i;
    slow_start(way, size);
    sends[row].send();
    for (i = 0; i < 400 && reader->in.size < size + 400 && slow_step(rate); i++) {
        if (sends[row].stays && reader->in.size >= size + 10)
            break;
    }
    from = sends[row].http ? slow_head() : size < 65536 ? 4 : 10;
    CHECK(reader->in.size >= from + size);
    if (reader->in.size < from + size) {
        printf("    %zu of %zu bytes came in %d s\n", reader->in.size, from + size, i);
        TLS_END();
        return;
    }
    CHECK(i >= (int)(size / rate) - 4); /* the transfer took its time */
    CHECK_MEM(reader->in.data + from, size, body, size);
    behind = reader->in.size - from - size;
    if (!sends[row].tail) { /* more messages came, and at last the close */
        while (slow_step(rate)) {}
        CHECK_MEM(reader->in.data + reader->in.size - 20, 20, "\x88\x12\x03\xf5reads too slowly", 20);
    } else {
        CHECK(behind >= sends[row].tail_size
              && memcmp(reader->in.data + from + size, sends[row].tail, sends[row].tail_size) == 0);
    }
    if (sends[row].stays)
        CHECK_EQ(net.closed, 0);
    TLS_END();
}

/* From the moment at which it stops reading, a peer has the time of its deadlines and no more: those of a ping and a
   pong, or of an answer and a close, add up. Its system may find room for a little more after a while, whatever the
   program behind it does: that is one deadline more, or two. */
static void slow_dead(slow_way way, size_t row) {
    int i;
    slow_start(way, 500000);
    sends[row].send();
    net_wait(DEADLINE - 500);
    CHECK_EQ(net.loop->conn_count, 1);
    for (i = DEADLINE - 500; i < 6 * DEADLINE && net.loop->conn_count; i += 500)
        net_wait(500);
    CHECK_EQ(net.loop->conn_count, 0);
    CHECK(i <= 4 * DEADLINE);
    if (row == 0)
        CHECK(i >= 2 * DEADLINE);
    TLS_END();
}

/* Windows does not report what the peer has taken: bytes that its system holds beyond a deadline are unknown. */
static bool slow_is_told(size_t row, size_t size) {
    return (size == 150000 && !sends[row].stays) || test_posix("a system that tells what the peer has taken");
}

static void test_rows(void) {
    static const size_t sizes[] = {150000, 500000}; /* the system takes it all at once; or not */
    size_t row, size;
    int way;
    for (way = 0; way < WAYS; way++) {
#ifdef WS_NO_TLS
        if (way == OVER_TLS)
            continue;
#endif
        for (row = 0; row < SENDS; row++) {
            test_posix_from_here(way == OVER_UNIX ? "Unix sockets" : NULL);
            for (size = way == OVER_UNIX ? 1 : 0; size < 2; size++)
                if (test_begin("slow: %s of %zu bytes, over %s", sends[row].title, sizes[size], way_names[way])
                    && (sends[row].tail || size) && slow_is_told(row, sizes[size]))
                    slow_row((slow_way)way, row, sizes[size]);
            if (test_begin("dead: %s, over %s: dropped at its deadline", sends[row].title, way_names[way]))
                slow_dead((slow_way)way, row);
        }
    }
}

/* ws_shutdown ends at its time, even if a peer is still reading. */
static void test_shutdown(void) {
    int i;
    if (!test_begin("slow: ws_shutdown does not wait beyond its time") || !slow_is_told(0, 500000))
        return;
    slow_start(OVER_TCP, 500000);
    send_message();
    CHECK(ws_shutdown(net.loop, 10 * STEP));
    for (i = 0; i < 10; i++) {
        CHECK_EQ(net.loop->conn_count, 1);
        CHECK(slow_step(RATE));
    }
    (void)slow_step(RATE);
    CHECK_EQ(net.loop->conn_count, 0);
    TLS_END();
}

/* --- a client that sends to a slow server --- */

#ifndef WS_NO_TLS
static void test_client(bool secure) {
    ws_client_config config;
    int i, segment = 1400, size = 16384, send_buffer = SEND_BUFFER;
    tls_client *c;
    if (!test_begin("slow: a client's message and close, %s", secure ? "wss" : "ws"))
        return;
    memset(&config, 0, sizeof config);
    config.limits = slow_config(OVER_TCP).limits;
    config.tls.accept_any_certificate = secure;
    body_size = 500000;
    net_start_loop(NULL);
    uint16_t port = tls_port();
    (void)setsockopt(tls_listener->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    (void)setsockopt(tls_listener->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    c = tls_dial_port(secure ? "wss" : "ws", port, &config);
    reader = secure ? tls_accept(&certs.server) : tls_accept_plain();
    CHECK(tls_answer(reader));
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, 1);
    reader->deaf = true;
    reader->in.size = 0;
    if (c->opened) {
        (void)setsockopt(c->conn->source.link.descriptor, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
        CHECK(ws_send(c->conn, slow_message()) && ws_close(c->conn, 1000, NULL));
        for (i = 0; i < 200 && reader->in.size < body_size + 14 + 8 && slow_step(RATE); i++) {}
        CHECK_EQ(reader->in.size, body_size + 14 + 8);
        CHECK(i > 40);
        CHECK_EQ(c->closed, 0);
    }
    TLS_END();
}
#endif

int main(int argc, char **argv) {
    char path[80];
    test_start(argc, argv);
    if (!mkdtemp(folder))
        return 1;
#ifndef WS_NO_TLS
    certs_start();
#endif
    test_rows();
    test_posix_from_here(NULL);
    test_shutdown();
#ifndef WS_NO_TLS
    test_client(false);
    test_client(true);
    certs_end();
#endif
    (void)snprintf(path, sizeof path, "%s/body", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)unlink(path);
    (void)rmdir(folder);
    return test_finish();
}
