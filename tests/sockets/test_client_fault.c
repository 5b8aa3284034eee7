/* The Nth allocation and the Nth system call fail, or are short, for all N, for clients: in a loop,
   through redirect, proxy, name and reconnecting, and blocking. No crash, no leak, no hang, and behind
   the fault the next client gets through. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const calls_name names[] = {{"one.test", "127.0.0.2 127.0.0.1", false}, {"nowhere.invalid", NULL, false},
    {NULL, NULL, false}};

/* A few rounds: what a fault cuts short must not be waited for. */
static void rounds(int count) {
    while (count--)
        (void)net_round(0);
}

/* The next connection, or one that has ended when there is none. */
static peer *next_of(raw_server *raw) {
    int i, fd = -1;
    for (i = 0; i < 6 && fd < 0; i++) {
        rounds(1);
        fd = accept(raw->fd, NULL, NULL);
    }
    return raw_peer(fd);
}

/* Takes the next request's head; "" when it does not come. */
static const char *head_of(peer *p) {
    int i;
    for (i = 0; i < 20 && !peer_has(p, "\r\n\r\n") && !p->ended; i++)
        rounds(1);
    if (!peer_has(p, "\r\n\r\n"))
        p->ended = true;
    return raw_head(p);
}

static void leave(void (*how)(ws_conn *conn)) {
    ws_conn *conn = ws_find(net.loop, client.id);
    net_inside(true);
    how(conn);
    net_inside(false);
}

static void by_close(ws_conn *conn) { (void)ws_close(conn, 4000, "enough"); }
static void by_drop(ws_conn *conn) { ws_drop(conn); }

static void by_sending(ws_conn *conn) {
    static const uint8_t data[30000];
    (void)ws_send_text(conn, "from the client");
    (void)ws_send_binary(conn, data, sizeof data);
    (void)ws_ping(conn, "p", 1);
}

static unsigned dialed; /* connections that ws_dial gave */

static void dial(const char *url, const ws_client_config *config) {
    dialed += client_dial(url, config) != NULL;
}

/* Redirected, opened, an echo, an orderly end. */
static void scene_plain(raw_server *raw) {
    static const char *const lines[] = {"Cookie: a=b", "X-Mine: 1", NULL};
    ws_client_config config = client_config();
    const char *head;
    peer *p;
    config.headers = lines;
    config.subprotocols = "chat, superchat";
    config.origin = "https://a.example";
    dial(client_url(raw, "/old"), &config);
    p = next_of(raw);
    (void)head_of(p);
    peer_text(p, "HTTP/1.1 307 There\r\nLocation: ../new?x\r\nContent-Length: 0\r\n\r\n");
    rounds(2);
    p = next_of(raw);
    head = head_of(p);
    raw_answer(p, head, "Sec-WebSocket-Protocol: chat\r\nSet-Cookie: c=d\r\n");
    rounds(2);
    peer_frames(p, "81\"hello\" 01\"a\" 89\"ping\" 80\"b\" 82#40000");
    rounds(4);
    leave(by_sending);
    rounds(3);
    leave(by_close);
    rounds(2);
    peer_frames(p, "88<0fa0>");
    rounds(1);
    peer_close(p);
    rounds(2);
}

/* Through a proxy, again and again: opened and broken, refused, opened and dropped. */
static void scene_proxy(raw_server *raw) {
    ws_client_config config = client_config();
    char proxy[80];
    peer *p;
    int i;
    (void)snprintf(proxy, sizeof proxy, "http://me:too@127.0.0.1:%u", (unsigned)raw->port);
    config.proxy = proxy;
    config.reconnect_ms = 50;
    dial("ws://us:er@example.com/x", &config);
    for (i = 0; i < 3; i++) {
        const char *head;
        p = next_of(raw);
        (void)head_of(p);
        peer_text(p, "HTTP/1.1 200 ok\r\n\r\n");
        head = head_of(p);
        if (i == 1) {
            peer_text(p, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
        } else {
            raw_answer(p, head, NULL);
            rounds(2);
            peer_frames(p, "81\"through\"");
        }
        rounds(3);
        if (i == 0)
            peer_reset(p);
        rounds(2);
        net.now += 50u << (i + 1);
    }
    leave(by_drop);
    rounds(3);
}

/* A name with two addresses, one of which refuses; a name without any; a port that refuses. */
static void scene_names(raw_server *raw) {
    char url[60];
    const char *head;
    unsigned errors = client.errors;
    peer *p;
    int i, fd = -1;
    (void)snprintf(url, sizeof url, "ws://one.test:%u/", (unsigned)raw->port);
    dial(url, NULL);
    for (i = 0; i < 300 && fd < 0 && client.errors == errors && ws_find(net.loop, client.id); i++) {
        (void)net_round(i < 20 ? 0 : 500);
        fd = accept(raw->fd, NULL, NULL);
    }
    p = raw_peer(fd);
    head = head_of(p);
    raw_answer(p, head, NULL);
    rounds(3);
    peer_frames(p, "81\"by name\" 88<03e8>");
    rounds(3);
    peer_close(p);
    rounds(2);
    errors = client.errors;
    dial("ws://nowhere.invalid/", NULL);
    for (i = 0; i < 200 && client.errors == errors && ws_find(net.loop, client.id); i++)
        (void)net_round(i < 20 ? 0 : 500);
    dial("ws://127.0.0.1:1/", NULL);
    dial("nonsense", NULL);
    rounds(4);
}

static void scenario(raw_server *raw) {
    net.quiet = true;
    dialed = 0;
    scene_plain(raw);
    scene_proxy(raw);
    scene_names(raw);
    net.now += 60000; /* all deadlines */
    rounds(5);
    net.now += 60000;
    rounds(5);
}

/* Without faults: the next client gets through. */
static bool recovered(raw_server *raw) {
    unsigned opened;
    peer *p;
    int i;
    net.memory.fail_at = 0;
    net_inside(false);
    memset(calls.fail_at, 0, sizeof calls.fail_at);
    calls.limit = 0;
    rounds(3);
    raw_forget();
    while ((i = accept(raw->fd, NULL, NULL)) >= 0) /* what a fault left in the queue */
        (void)close(i);
    opened = net.opened;
    if (!client_dial_raw(raw, NULL))
        return false;
    p = raw_accept(raw);
    raw_answer(p, raw_head(p), NULL);
    for (i = 0; i < 100 && net.opened == opened; i++)
        (void)net_round(100);
    peer_frames(p, "81\"alive\"");
    (void)peer_wait(p, 11);
    return p->in.size == 11 && p->in.data[0] == 0x81 && p->in.data[1] == 0x85;
}

/* Each connection that was given had its one on_error, or on_open; more with reconnecting. */
static void check_told(void) { CHECK(client.errors + net.opened >= dialed); }

static void test_allocations(bool after) {
    size_t n, points = 0;
    if (!test_begin("clients: the Nth allocation fails, %s, for all N", after ? "and all behind it" : "once"))
        return;
    for (n = 1; n < 5000; n++) {
        bool through;
        raw_server *raw;
        calls_reset();
        client_start(NULL);
        raw = raw_listen();
        net.memory.fail_at = net.memory.calls + n;
        net.memory.fail_after = after;
        scenario(raw);
        through = net.memory.calls < net.memory.fail_at;
        points += !through;
        check_told();
        CHECK_EQ(ws_loop_error(net.loop), WS_OK);
        CHECK(recovered(raw));
        CLIENT_END();
        if (through)
            break;
    }
    CHECK(n < 5000 && points > 20);
    if (test_now.running)
        printf("clients, allocations: %zu points\n", points);
}

static const struct {
    calls_kind kind;
    int error;   /* 0: short */
    bool sticks; /* the loop ends with an error, rightly */
    bool rare;   /* need not happen in the scenario */
} faults[] = {
    {CALLS_SOCKET, EMFILE, false, false},  {CALLS_SOCKET, ENOBUFS, false, false},    {CALLS_SOCKET, EAFNOSUPPORT,
        false, false},
    {CALLS_CONNECT, ENETUNREACH, false, false}, {CALLS_CONNECT, ECONNREFUSED, false, false}, {CALLS_CONNECT,
        EADDRNOTAVAIL, false, false},
    {CALLS_CONNECT, EINTR, false, false},  {CALLS_CONNECT, EACCES, false, false},    {CALLS_GETSOCKOPT, EINVAL, false,
        true},
    {CALLS_SETSOCKOPT, ENOPROTOOPT, false, true}, {CALLS_FCNTL, EINVAL, false, true}, {CALLS_SOCKETPAIR, EMFILE,
        false, false},
    {CALLS_THREAD, EAGAIN, false, false},  {CALLS_GETADDRINFO, EAGAIN, false, true}, {CALLS_GETADDRINFO, ENOMEM,
        false, true},
    {CALLS_ENTROPY, EIO, false, false},    {CALLS_RECV, EAGAIN, false, false},       {CALLS_RECV, EINTR, false, false},
    {CALLS_RECV, ECONNRESET, false, false}, {CALLS_RECV, ETIMEDOUT, false, false},   {CALLS_RECV, 0, false, false},
    {CALLS_SEND, EAGAIN, false, true},     {CALLS_SEND, EINTR, false, true},         {CALLS_SEND, EPIPE, false, true},
    {CALLS_SEND, 0, false, true},          {CALLS_SENDMSG, EAGAIN, false, true},     {CALLS_SENDMSG, EPIPE, false,
        true},
    {CALLS_SENDMSG, 0, false, true},       {CALLS_SELECT, EINTR, false, false},      {CALLS_SELECT, EBADF, true, false},
    {CALLS_READ, EAGAIN, false, true},     {CALLS_READ, EINTR, false, true},         {CALLS_READ, EIO, false, true},
    {CALLS_WRITE, EAGAIN, false, true},    {CALLS_SHUTDOWN, ENOTCONN, false, true}};

/* One call fails; false: there is no such call any more. */
static bool fault_at(size_t i, size_t n, bool after) {
    raw_server *raw;
    bool hit;
    int step;
    calls_reset();
    client_start(NULL);
    raw = raw_listen();
    calls.fail_at[faults[i].kind] = n;
    calls.fail_after = after;
    calls.error = faults[i].error;
    scenario(raw);
    hit = calls.count[faults[i].kind] >= n;
    if (after && faults[i].kind == CALLS_SELECT && faults[i].error == EINTR) {
        calls.fail_at[CALLS_SELECT] = 0; /* a loop that cannot look judges nobody: its next wait does */
        for (step = 0; step < 5; step++) {
            net.now += 20000;
            rounds(5);
        }
    }
    if (faults[i].sticks && hit) {
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_SYSTEM);
    } else {
        check_told();
        CHECK(ws_loop_error(net.loop) == WS_OK && recovered(raw));
    }
    calls_reset();
    CLIENT_END();
    return hit;
}

static void test_faults(bool after) {
    size_t i, n, points;
    for (i = 0; i < COUNT(faults); i++) {
        if (!test_begin("clients: the Nth %s %s %d, %s, for all N", calls_names[faults[i].kind],
                        faults[i].error ? "fails with" : "is short", faults[i].error,
                            after ? "and all behind it" : "once"))
            continue;
        for (n = 1, points = 0; n < 3000 && fault_at(i, n, after); n++)
            points++;
        CHECK(n < 3000);
        CHECK(points > 0 || faults[i].rare);
        if (test_now.running && !after)
            printf("clients, %s %d: %zu points\n", calls_names[faults[i].kind], faults[i].error, points);
    }
}

static void test_sizes(void) {
    static const size_t sizes[] = {1, 2, 3, 17, 1000};
    size_t i;
    for (i = 0; i < COUNT(sizes); i++) {
        raw_server *raw;
        if (!test_begin("clients: every read and write takes at most %zu bytes", sizes[i]))
            continue;
        calls_reset();
        client_start(NULL);
        raw = raw_listen();
        calls.limit = sizes[i];
        scenario(raw);
        check_told();
        CHECK(recovered(raw));
        calls_reset();
        CLIENT_END();
    }
}

/* --- blocking --- */

/* A server in a thread of its own, whose calls do not fail: redirects, answers, says something, waits
   for a close, closes. Ended by a request for /quit. */
static raw_server partner;

static size_t partner_read(int fd, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    while (used + 1 < size && !strstr(text, "\r\n\r\n")) {
        ssize_t got = recv(fd, text + used, 1, 0);
        if (got <= 0)
            return 0;
        text[++used] = 0;
    }
    return used;
}

static void partner_serve(int fd, const char *head) {
    static const char said[] = "\x81\x05hello\x89\x01p\x82\x03\x01\x02\x03";
    bytes out = {NULL, 0, 0};
    raw_fill(&out, head, RAW_GOOD "\r\n");
    bytes_add(&out, said, sizeof said - 1);
    (void)send(fd, out.data, out.size, MSG_NOSIGNAL);
    bytes_free(&out);
    while (true) { /* small masked frames, up to a close */
        uint8_t frame[6], payload[125];
        if (recv(fd, frame, 6, MSG_WAITALL) != 6)
            return;
        if ((frame[1] & 127) && recv(fd, payload, frame[1] & 127, MSG_WAITALL) != (frame[1] & 127))
            return;
        if (frame[0] == 0x88)
            break;
    }
    (void)send(fd, "\x88\x02\x03\xe8", 4, MSG_NOSIGNAL);
}

static void *partner_run(void *unused) {
    static char head[8000];
    struct timeval limit = {1, 0};
    (void)unused;
    while (true) {
        int fd = accept(partner.fd, NULL, NULL);
        if (fd < 0)
            continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (partner_read(fd, head, sizeof head)) {
            static const char moved[] = "HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n";
            if (strncmp(head, "GET /quit", 9) == 0) {
                (void)close(fd);
                return NULL;
            }
            if (strncmp(head, "GET /old", 8) == 0)
                (void)send(fd, moved, sizeof moved - 1, MSG_NOSIGNAL);
            else
                partner_serve(fd, head);
        }
        (void)close(fd);
    }
}

static pthread_t partner_thread;

static void partner_start(void) {
    memset(&client, 0, sizeof client);
    partner = *raw_listen();
    (void)fcntl(partner.fd, F_SETFL, fcntl(partner.fd, F_GETFL) & ~O_NONBLOCK);
    if (pthread_create(&partner_thread, NULL, partner_run, NULL) != 0)
        abort();
}

static void partner_end(void) {
    static const char quit[] = "GET /quit HTTP/1.1\r\n\r\n";
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(partner.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0
        || send(fd, quit, sizeof quit - 1, MSG_NOSIGNAL) != (ssize_t)sizeof quit - 1)
        abort();
    (void)pthread_join(partner_thread, NULL);
    (void)close(fd);
    raw_close(&partner);
}

static drive_memory blocking_memory;

/* Connects, talks, closes; whatever fails. true: all of it worked. A fault that stays is not waited for. */
static bool blocking_scenario(const char *host, bool after_all) {
    ws_client_config config = client_config();
    ws_message message;
    char url[100];
    bool good;
    ws_conn *conn;
    config.allocator.resize = drive_resize;
    config.allocator.user = &blocking_memory;
    config.connect_ms = after_all ? 40 : 2000;
    config.receive_ms = after_all ? 30 : 2000;
    config.limits.handshake_ms = after_all ? 40 : 2000;
    config.limits.close_ms = 30;
    config.limits.ping_ms = config.limits.pong_ms = after_all ? 30 : 0;
    config.subprotocols = "chat";
    (void)snprintf(url, sizeof url, "ws://me:too@%s:%u/old", host, (unsigned)partner.port);
    calls.inside = true;
    conn = ws_connect(url, &config);
    good = conn && !ws_last_error(conn);
    good = ws_send_text(conn, "hello") && good;
    good = ws_receive(conn, &message) && message.size == 5 && good;
    good = ws_receive(conn, &message) && message.size == 3 && good;
    good = ws_close(conn, 1000, NULL) && good;
    good = !ws_receive(conn, &message) && good;
    CHECK(!conn || ws_last_error(conn) || ws_state(conn) != WS_CONNECTING); /* what did not work has its reason */
    ws_free(conn);
    calls.inside = false;
    CHECK_EQ(blocking_memory.used, 0);
    CHECK(!blocking_memory.wrong);
    return good;
}

static void test_blocking_allocations(bool after) {
    size_t n, points = 0, descriptors;
    if (!test_begin("blocking: the Nth allocation fails, %s, for all N", after ? "and all behind it" : "once"))
        return;
    calls_reset();
    descriptors = net_descriptors();
    partner_start();
    for (n = 1; n < 2000; n++) {
        memset(&blocking_memory, 0, sizeof blocking_memory);
        blocking_memory.fail_at = n;
        blocking_memory.fail_after = after;
        bool good = blocking_scenario("127.0.0.1", after);
        points += blocking_memory.calls >= n;
        if (blocking_memory.calls < n) {
            CHECK(good);
            break;
        }
    }
    CHECK(n < 2000 && points > 3);
    partner_end();
    CHECK_EQ(net_descriptors(), descriptors);
    if (test_now.running)
        printf("blocking, allocations: %zu points\n", points);
}

static void test_blocking_faults(bool after) {
    size_t i, n, points, most = after ? 3 : 200; /* a fault that stays costs all of the deadlines */
    for (i = 0; i < COUNT(faults); i++) {
        size_t descriptors;
        bool name = faults[i].kind == CALLS_THREAD || faults[i].kind == CALLS_SOCKETPAIR;
        if (!test_begin("blocking: the Nth %s %s %d, %s, for all N", calls_names[faults[i].kind],
                        faults[i].error ? "fails with" : "is short", faults[i].error,
                            after ? "and all behind it" : "once"))
            continue;
        calls_reset();
        descriptors = net_descriptors();
        partner_start();
        for (n = 1, points = 0; n <= most; n++) {
            bool hit, good;
            calls_reset();
            memset(&blocking_memory, 0, sizeof blocking_memory);
            calls.fail_at[faults[i].kind] = n;
            calls.fail_after = after;
            calls.error = faults[i].error;
            good = blocking_scenario(name ? "one.test" : "127.0.0.1", after);
            hit = calls.count[faults[i].kind] >= n;
            calls_reset();
            points += hit;
            if (!hit) {
                CHECK(good);
                break;
            }
        }
        CHECK(n <= 200);
        memset(&blocking_memory, 0, sizeof blocking_memory);
        CHECK(blocking_scenario("127.0.0.1", false)); /* and without a fault it works again */
        partner_end();
        client_await_descriptors(descriptors);
        CHECK_EQ(net_descriptors(), descriptors);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    calls_table = names;
    test_allocations(false);
    test_allocations(true);
    test_faults(false);
    test_faults(true);
    test_sizes();
    test_blocking_allocations(false);
    test_blocking_allocations(true);
    test_blocking_faults(false);
    test_blocking_faults(true);
    return test_finish();
}
