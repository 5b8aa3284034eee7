/* CLIENT: reconnecting, over real sockets: how long the pauses are, how it ends, ten thousand times. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

/* --- reconnecting: how long the pauses are --- */

/* Advances the clock by milliseconds until the counter has that value. Returns how many. */
static uint32_t time_until(const unsigned *counter, unsigned wanted, uint32_t most) {
    uint32_t passed = 0;
    (void)net_round(0);
    (void)net_round(0);
    while (*counter < wanted && passed < most) {
        passed++;
        net.now++;
        (void)net_round(0);
        (void)net_round(0);
    }
    return passed;
}

static void test_backoff(void) {
    static const struct {
        uint32_t first, longest;
    } pauses[] = {{100, 1600}, {1000, 0}, {50, 50}, {700, 300}};
    size_t i;
    for (i = 0; i < COUNT(pauses); i++) {
        uint32_t longest = pauses[i].longest ? pauses[i].longest : 30000, whole = pauses[i].first;
        ws_client_config config = reconnecting(pauses[i].first, pauses[i].longest);
        char url[60];
        unsigned n;
        longest = longest < whole ? whole : longest;
        if (!test_begin("pauses from %u to %u ms: doubled with each failure, shortened by up to half",
                        pauses[i].first, longest))
            continue;
        client_start(NULL);
        (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)raw_refusing_port());
        (void)client_dial(url, &config);
        net_settle();
        CHECK_EQ(client.errors, 1);
        for (n = 1; n < 10; n++) {
            uint32_t pause = time_until(&client.errors, n + 1, 40000);
            whole = whole > longest ? longest : whole;
            CHECK(pause + 2 >= whole / 2 && pause <= whole + 2);
            CHECK_EQ(client.error, WS_ERROR_CONNECT);
            CHECK_EQ(ws_conn_id(client.conn), client.id);
            whole *= 2;
        }
        CHECK(ws_find(net.loop, client.id) == client.conn);
        CLIENT_END();
    }
}

static unsigned first_pauses[200];

static void note_pause(ws_conn *conn) {
    size_t number = (size_t)(uintptr_t)ws_user(conn);
    if (client.errors > COUNT(first_pauses))
        first_pauses[number] = (unsigned)(net.now - 1000000);
}

static void test_jitter(void) {
    ws_client_config config = reconnecting(1000, 1000);
    ws_handler handler = client_handler();
    unsigned i, k, below = 0, above = 0, different = 0;
    char url[60];
    if (!test_begin("the pauses of many clients differ, between half and the whole"))
        return;
    client_start(NULL);
    client.on_error = note_pause;
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)raw_refusing_port());
    memset(first_pauses, 0, sizeof first_pauses);
    for (i = 0; i < COUNT(first_pauses); i++) {
        handler.user = (void *)(uintptr_t)i;
        CHECK(ws_dial(net.loop, url, &handler, &config) != NULL);
    }
    net_settle();
    CHECK_EQ(client.errors, COUNT(first_pauses));
    for (i = 0; i < 1002; i++) {
        net.now++;
        (void)net_round(0);
        (void)net_round(0);
        net.log.size = 0;
    }
    for (i = 0; i < COUNT(first_pauses); i++) {
        bool seen = false;
        CHECK(first_pauses[i] >= 499 && first_pauses[i] <= 1002);
        below += first_pauses[i] < 650;
        above += first_pauses[i] > 850;
        for (k = 0; k < i; k++)
            seen = seen || first_pauses[k] == first_pauses[i];
        different += !seen;
    }
    CHECK(below > 20 && above > 20 && different > 80); /* 60, 60 and 165 are to be expected */
    CLIENT_END();
}

static void test_reset_pause(void) {
    ws_client_config config = reconnecting(100, 100000);
    int i;
    if (!test_begin("a connection that lasted resets the pauses; user, id and log of each opening"))
        return;
    client_start(NULL);
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, &config);
    for (i = 0; i < 6; i++) { /* refused six times */
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        peer_text(p, "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n");
        net_settle();
        CHECK_EQ(client.errors, (unsigned)i + 1);
        CHECK_EQ(client.status, 503);
        net_wait(100u << i);
    }
    peer *p = raw_open(raw);
    CHECK_EQ(net.ids[1], client.id);
    CHECK(net.conns[1] == client.conn);
    CHECK_EQ(ws_state(client.conn), WS_OPEN);
    net.log.size = 0;
    net_wait(10000);
    peer_frames(p, "88<03e8>");
    CHECK_SENT(p, "88<03e8>");
    peer_close(p);
    net_settle();
    CHECK_LOG("c1:1000::y");
    CHECK(ws_find(net.loop, client.id) == client.conn);
    CHECK(!ws_send_text(client.conn, "in between") && ws_last_error(client.conn) != WS_OK);
    CHECK(ws_state(client.conn) != WS_OPEN);
    net_wait(49);
    CHECK(raw_nobody(raw));
    net_wait(52);
    p = raw_open(raw);
    CHECK_EQ(net.ids[2], client.id);
    CHECK(ws_send_text(client.conn, "again"));
    CHECK_SENT(p, "81\"again\"");
    net_wait(10000);
    peer_reset(p);
    net_settle();
    net_wait(101);
    p = raw_open(raw);
    CHECK_EQ(ws_status(client.conn), 101);
    CHECK_LOG("o2 c2:1006::n o3");
    CLIENT_END();
}

/* Each attempt is a complete one: it resolves, goes through the proxy, follows redirects. */
static const calls_name names[] = {{"moves.test", "127.0.0.1", false}, {"slow.test", "127.0.0.1", true},
                                   {NULL, NULL, false}};

static void test_whole_attempts(void) {
    ws_client_config config = reconnecting(100, 100);
    char url[60];
    int i;
    if (!test_begin("each attempt begins at the first URL and resolves its name again"))
        return;
    client_start(NULL);
    raw_server *raw = raw_listen(), *other = raw_listen();
    (void)snprintf(url, sizeof url, "ws://me:too@moves.test:%u/from", (unsigned)raw->port);
    (void)client_dial(url, &config);
    for (i = 0; i < 3; i++) {
        char text[200];
        peer *p = raw_accept(raw);
        const char *head = raw_head(p);
        CHECK(strncmp(head, "GET /from HTTP/1.1\r\n", 20) == 0);
        CHECK_EQ(raw_header_count(head, "Authorization"), 1); /* what the redirect dropped is back */
        (void)snprintf(text, sizeof text, "HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n", client_url(other, "/to"));
        peer_text(p, text);
        p = raw_open(other);
        peer_close(p);
        net_settle();
        net_wait(101);
    }
    CHECK_EQ(client.errors, 0);
    CHECK_LOG("o1 c1:1006::n o2 c2:1006::n o3 c3:1006::n");
    CLIENT_END();
}

/* A config that can never work is not tried again. */
static void test_hopeless(void) {
    static const char *const bad[] = {"X: a\r\nY: b", NULL};
    ws_client_config config = reconnecting(10, 10);
    int i;
    if (!test_begin("a bad URL, header or proxy ends a client at once, reconnecting or not"))
        return;
    for (i = 0; i < 3; i++) {
        client_start(NULL);
        config.headers = i == 1 ? bad : NULL;
        config.proxy = i == 2 ? "nonsense" : NULL;
        (void)client_dial(i ? "ws://127.0.0.1:1/" : "nonsense", &config);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK(ws_find(net.loop, client.id) == NULL);
        net_wait(10000);
        CHECK_EQ(client.errors, 1);
        CLIENT_END();
    }
}

/* --- what on_error and on_close can tell --- */

static ws_conn_state states[2]; /* in the newest on_error: at its start, and after ws_close if ends_there */
static bool ends_there;

static void note_state(ws_conn *conn) {
    states[0] = ws_state(conn);
    if (ends_there)
        (void)ws_close(conn, 1000, NULL);
    states[1] = ws_state(conn);
}

static void closes_closed(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number;
    (void)why;
    CHECK_EQ(ws_state(conn), WS_CLOSED);
}

static bool never_again(ws_conn *conn, const char **url, const char *const **headers) {
    (void)url;
    (void)headers;
    return ws_state(conn) != WS_CONNECTING; /* the state is WS_CONNECTING */
}

static void test_last_error(void) {
    if (test_begin("ws_state in on_error: whether another attempt follows")) {
        static const struct {
            uint32_t reconnect_ms;
            bool bad, ends, again;
        } cases[] = {{0, false, false, false}, {100, false, false, true}, {100, true, false, false},
                     {100, false, true, false}};
        for (size_t i = 0; i < COUNT(cases); i++) {
            ws_client_config config = reconnecting(cases[i].reconnect_ms, 0);
            char url[60];
            client_start(NULL);
            client.on_error = note_state;
            ends_there = cases[i].ends;
            (void)snprintf(url, sizeof url, cases[i].bad ? "nonsense" : "ws://127.0.0.1:%u/",
                           (unsigned)raw_refusing_port());
            (void)client_dial(url, &config);
            net_settle();
            CHECK_EQ(client.errors, 1);
            CHECK_EQ(states[0], cases[i].again || cases[i].ends ? WS_CONNECTING : WS_CLOSED);
            CHECK_EQ(states[1], cases[i].again ? WS_CONNECTING : WS_CLOSED);
            CHECK_EQ(ws_find(net.loop, client.id) != NULL, cases[i].again);
            CHECK(!cases[i].again || ws_state(client.conn) == WS_CONNECTING);
            net_wait(10000);
            CHECK_EQ(client.errors, 1 + cases[i].again);
            CLIENT_END();
        }
        ends_there = false;
    }
    if (test_begin("ws_state is WS_CLOSED in on_close, and in the on_error of an attempt that before_reconnect ends")) {
        ws_client_config config = reconnecting(100, 0);
        config.before_reconnect = never_again;
        client_start(NULL);
        client.on_error = note_state;
        net.on_close = closes_closed;
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer_reset(raw_open(raw));
        net_settle();
        CHECK_EQ(net.closed, 1);
        CHECK_EQ(ws_state(client.conn), WS_CONNECTING);
        net_wait(101);
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(states[0], WS_CLOSED);
        CLIENT_END();
    }
}

static bool opens;

static bool open_or_fail(ws_link *link, const char *host, void *user) {
    return opens && raw_link_open(link, host, user);
}

static void test_older_reason(void) {
    ws_client_config config = reconnecting(100, 100);
    ws_transport transport = raw_transport;
    if (!test_begin("a transport that cannot be opened is not explained by the answer to an earlier attempt"))
        return;
    client_start(NULL);
    transport.open = open_or_fail;
    config.transport = &transport;
    opens = true;
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, &config);
    peer *p = raw_accept(raw);
    raw_reply(p, raw_head(p), RAW_101 RAW_CON RAW_ACC "\r\n");
    net_settle();
    CHECK_EQ(client.error, WS_ERROR_HANDSHAKE);
    CHECK_WHY("lacks the header Upgrade");
    opens = false;
    net_wait(101);
    (void)raw_accept(raw);
    net_settle();
    CHECK_EQ(client.errors, 2);
    CHECK_EQ(client.error, WS_ERROR_MEMORY);
    CHECK(strstr(client.text, "Upgrade") == NULL);
    CHECK_WHY("memory");
    CLIENT_END();
}

/* --- reconnecting: how it ends --- */

typedef enum stop_where { STOP_ERROR, STOP_OPEN, STOP_MESSAGE, STOP_CLOSE, STOP_PAUSE, STOP_CONNECTING,
    STOP_HANDSHAKE, STOPS } stop_where;

static const char *const stop_names[STOPS] = {"on_error", "on_open", "on_message", "on_close", "the pause",
    "a connect", "a handshake"};

static bool stop_by_drop;

static void stop(ws_conn *conn) {
    if (stop_by_drop)
        ws_drop(conn);
    else
        (void)ws_close(conn, 1000, NULL);
}

static void stop_in_open(ws_conn *conn, unsigned number) {
    (void)number;
    stop(conn);
}

static void stop_in_message(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    (void)message;
    stop(conn);
}

static void stop_in_close(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number;
    (void)why;
    stop(conn);
}

static void finish_close(peer *p) {
    net_settle();
    if (!p->ended)
        peer_frames(p, "88<03e8>");
    net_settle();
    peer_close(p);
    net_settle();
}

static void run_stop(stop_where where) {
    ws_client_config config = reconnecting(100, 100);
    unsigned errors, opened;
    client_start(NULL);
    raw_server *raw = raw_listen();
    peer *p = NULL;
    if (where == STOP_ERROR || where == STOP_PAUSE) {
        client.on_error = where == STOP_ERROR ? stop : NULL;
        raw_stop(raw);
    }
    net.on_open = where == STOP_OPEN ? stop_in_open : NULL;
    net.on_message = where == STOP_MESSAGE ? stop_in_message : NULL;
    net.on_close = where == STOP_CLOSE ? stop_in_close : NULL;
    (void)client_dial_raw(raw, &config);
    if (where == STOP_CONNECTING)
        stop(client.conn);
    if (where >= STOP_CONNECTING) {
        net_settle();
    } else if (where == STOP_ERROR || where == STOP_PAUSE) {
        net_settle();
        CHECK_EQ(client.errors, 1);
    } else {
        p = raw_open(raw);
        peer_frames(p, where == STOP_MESSAGE ? "81\"stop\"" : "89");
        net_settle();
        if (where == STOP_CLOSE)
            peer_reset(p);
        finish_close(p);
    }
    if (where == STOP_HANDSHAKE) {
        p = raw_accept(raw);
        (void)raw_head(p);
        net_settle();
        stop(client.conn);
        net_settle();
    }
    if (where == STOP_PAUSE) {
        net_wait(10);
        stop(client.conn);
        net_settle();
    }
    errors = client.errors;
    opened = net.opened;
    CHECK_EQ(opened + errors, 1); /* each attempt ended exactly once */
    CHECK(ws_find(net.loop, client.id) == NULL);
    net_wait(10000);
    net_wait(10000);
    CHECK_EQ(client.errors, errors);
    CHECK_EQ(net.opened, opened);
    CHECK_EQ(net.closed, opened);
    CLIENT_END();
}

static void test_stops(void) {
    int where, drop;
    for (where = 0; where < STOPS; where++)
        for (drop = 0; drop < 2; drop++)
            if (test_begin("%s in %s ends reconnecting", drop ? "ws_drop" : "ws_close", stop_names[where])) {
                stop_by_drop = drop;
                run_stop((stop_where)where);
            }
}

/* --- reconnecting: ten thousand times --- */

static struct {
    unsigned opened, closed, errors, messages;
    ws_id id;
    bool other_id;
} often;

static void often_open(ws_conn *conn) {
    often.opened++;
    often.other_id = often.other_id || ws_conn_id(conn) != often.id;
    (void)ws_send_text(conn, "hello");
}

static void often_message(ws_conn *conn, ws_message message) {
    (void)conn;
    (void)message;
    often.messages++;
}

static void often_close(ws_conn *conn, ws_close_info why) {
    (void)conn;
    (void)why;
    often.closed++;
}

static void often_error(ws_conn *conn) {
    (void)conn;
    often.errors++;
}

/* One life of the connection; each kind of end has its turn. */
static void live_once(raw_server *raw, unsigned turn) {
    unsigned opened = often.opened, errors = often.errors;
    int fd = -1, i;
    for (i = 0; i < 300 && fd < 0; i++) {
        fd = accept(raw->fd, NULL, NULL);
        if (fd < 0 && !net_round(0))
            net.now++;
    }
    peer *p = raw_peer(fd);
    const char *head = raw_head(p);
    if (turn % 7 == 6) {
        peer_text(p, turn % 2 ? "HTTP/1.1 503 x\r\n\r\n" : "nonsense\r\n\r\n");
        for (i = 0; i < 100 && often.errors == errors; i++)
            (void)net_round(0);
    } else {
        raw_answer(p, head, "X-Long: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
        for (i = 0; i < 100 && often.opened == opened; i++)
            (void)net_round(0);
        peer_frames(p, turn % 3 ? "81\"hello\"" : "01\"a\"");
        if (turn % 5 == 1)
            peer_frames(p, "88<03e8>");
        if (turn % 5 == 2)
            peer_frames(p, "83");
        if (turn % 5 == 3)
            peer_reset(p);
        (void)net_round(0);
        peer_close(p);
        for (i = 0; i < 100 && often.closed == opened; i++)
            (void)net_round(0);
    }
    raw_forget();
}

static void test_ten_thousand(void) {
    enum { TIMES = 10000, EARLY = 200 };
    ws_client_config config = reconnecting(4, 4);
    size_t memory = 0, descriptors = 0, peak = 0;
    ws_handler handler;
    unsigned i;
    if (!test_begin("10,000 reconnects: neither memory nor descriptors grow"))
        return;
    memset(&often, 0, sizeof often);
    memset(&handler, 0, sizeof handler);
    handler.on_open = often_open;
    handler.on_message = often_message;
    handler.on_close = often_close;
    handler.on_error = often_error;
    client_start(NULL);
    raw_server *raw = raw_listen();
    often.id = ws_conn_id(ws_dial(net.loop, client_url(raw, "/"), &handler, &config));
    for (i = 0; i < TIMES; i++) {
        live_once(raw, i);
        if (i == EARLY) {
            memory = net.memory.used;
            peak = net.memory.peak;
            descriptors = net_descriptors();
        }
    }
    CHECK_EQ(often.opened + often.errors, TIMES);
    CHECK(often.opened > 8000 && often.messages > 3000);
    CHECK_EQ(often.closed, often.opened);
    CHECK(!often.other_id);
    CHECK(net.memory.used <= memory && net.memory.peak <= peak);
    CHECK_EQ(net_descriptors(), descriptors);
    CLIENT_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    calls_table = names;
    test_backoff();
    test_jitter();
    test_reset_pause();
    test_whole_attempts();
    test_hopeless();
    test_last_error();
    test_older_reason();
    test_stops();
    test_ten_thousand();
    return test_finish();
}
