/* CLIENT: open connections: callbacks that do anything, ends, bridges, masks, backpressure, deadlines. Connecting is
   in test_client.c. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

static const calls_name names[] = {{"moves.test", "127.0.0.1", false}, {"slow.test", "127.0.0.1", true},
                                   {NULL, NULL, false}};

/* --- callbacks that do anything --- */

typedef enum where { IN_OPEN, IN_MESSAGE, IN_CHUNK, IN_DRAIN, IN_CLOSE, IN_ERROR, IN_TIMER, WHERES } where;

static const char *const where_names[WHERES] = {"on_open", "on_message", "on_chunk", "on_drain", "on_close",
    "on_error", "a timer"};

static struct {
    bool server_freed, ended;
    unsigned dials;
    raw_server *raw;
    where where;
    void (*what)(ws_conn *conn);
    unsigned times;
    ws_id ids[64]; /* of the clients */
    size_t id_count;
} act;

static ws_conn *act_client(size_t i) { return ws_find(net.loop, act.ids[i]); }

static void do_nothing(ws_conn *self) { (void)self; }

static void do_close(ws_conn *self) { (void)ws_close(self, 4001, "self"); }

static void do_drop(ws_conn *self) { ws_drop(self); }

static void do_close_all(ws_conn *self) {
    size_t i;
    (void)self;
    for (i = 0; i < act.id_count; i++)
        (void)ws_close(act_client(i), 4002, "all");
}

static void do_drop_all(ws_conn *self) {
    size_t i;
    for (i = 0; i < act.id_count; i++)
        ws_drop(act_client(i));
    for (i = 1; i <= net.opened; i++)
        ws_drop(net.conns[i]);
    ws_drop(self);
}

static void do_close_then_drop(ws_conn *self) {
    (void)ws_close(self, 1000, NULL);
    ws_drop(self);
    (void)ws_close(self, 1000, NULL);
}

static void do_send(ws_conn *self) {
    static const uint8_t data[100000];
    size_t i;
    if (act.times > 50)
        return;
    (void)ws_send_text(self, "from a callback");
    (void)ws_send_binary(self, data, sizeof data);
    (void)ws_ping(self, "x", 1);
    for (i = 0; i < act.id_count; i++)
        (void)ws_send_text(act_client(i), "to all");
}

static void do_send_and_drop(ws_conn *self) {
    (void)ws_send_text(self, "the last");
    ws_drop(self);
    (void)ws_send_text(self, "too late");
}

static void do_free_server(ws_conn *self) {
    (void)self;
    if (!act.server_freed)
        ws_server_free(net.server);
    act.server_freed = true;
}

static void do_free_loop(ws_conn *self) {
    (void)self;
    act.ended = true;
    ws_loop_free(net.loop); /* inside a callback it only stops the loop */
}

static void do_stop(ws_conn *self) {
    act.ended = true;
    (void)ws_stop(ws_conn_loop(self) ? ws_conn_loop(self) : net.loop);
}

static void do_shutdown(ws_conn *self) {
    (void)self;
    act.ended = true;
    (void)ws_shutdown(net.loop, 100);
}

static void act_dial(uint16_t port, uint32_t reconnect_ms);

static void do_dial(ws_conn *self) {
    (void)self;
    if (act.dials++ < 8) {
        act_dial(act.server_freed ? 1 : ws_port(net.server), 0);
        act_dial(1, 0);
    }
}

static void do_ask(ws_conn *self) {
    char text[100];
    (void)ws_header(self, "Upgrade");
    (void)ws_body(self);
    (void)ws_status(self);
    (void)ws_last_error_text(self);
    (void)ws_peer(self, text, sizeof text);
    (void)ws_subprotocol(self);
    (void)ws_closed(self);
    (void)ws_buffered(self);
    (void)ws_join(self, "room");
    (void)ws_broadcast_text(self, NULL, "to nobody");
    (void)ws_leave(self, "room");
    (void)ws_peer_certificate(self, text, sizeof text);
    (void)ws_tls_session(self);
}

static const struct {
    const char *name;
    void (*what)(ws_conn *conn);
} acts[] = {{"nothing", do_nothing}, {"closes", do_close}, {"drops", do_drop}, {"closes all clients", do_close_all},
            {"drops all", do_drop_all}, {"closes, drops, closes", do_close_then_drop}, {"sends", do_send},
            {"sends and drops", do_send_and_drop}, {"frees the server", do_free_server}, {"frees the loop",
                do_free_loop},
            {"stops", do_stop}, {"shuts down", do_shutdown}, {"dials", do_dial}, {"asks for everything", do_ask}};

static void act_now(where place, ws_conn *conn) {
    if (act.where == place && act.times++ < 100)
        act.what(conn);
}

static void act_open(ws_conn *conn) {
    static const uint8_t large[3000];
    net_open(conn);
    if (!ws_conn_server(conn)) {
        (void)ws_send_text(conn, "hello");
        (void)ws_send_binary(conn, large, sizeof large);
    }
    act_now(IN_OPEN, conn);
}

static void act_message(ws_conn *conn, ws_message message) {
    if (ws_conn_server(conn))
        (void)ws_send(conn, message);
    else
        act_now(IN_MESSAGE, conn);
}

static void act_chunk(ws_conn *conn, ws_chunk chunk) {
    (void)chunk;
    act_now(IN_CHUNK, conn);
}

static void act_drain(ws_conn *conn) {
    if (!ws_conn_server(conn))
        act_now(IN_DRAIN, conn);
}

static void act_close(ws_conn *conn, ws_close_info why) {
    act_now(IN_CLOSE, conn);
    net_close(conn, why);
}

static void act_error(ws_conn *conn) {
    client_error(conn);
    act_now(IN_ERROR, conn);
}

static void act_timer(ws_loop *loop, void *user) {
    (void)loop;
    (void)user;
    act_now(IN_TIMER, act_client(0));
}

static void act_dial(uint16_t port, uint32_t reconnect_ms) {
    ws_client_config config = reconnecting(reconnect_ms, reconnect_ms);
    ws_handler handler;
    char url[60];
    ws_conn *conn;
    memset(&handler, 0, sizeof handler);
    handler.on_open = act_open;
    handler.on_message = act_message;
    handler.on_drain = act_drain;
    handler.on_close = act_close;
    handler.on_error = act_error;
    if (act.where == IN_CHUNK)
        handler.on_chunk = act_chunk;
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)port);
    conn = ws_dial(net.loop, url, &handler, &config);
    if (conn && act.id_count < COUNT(act.ids))
        act.ids[act.id_count++] = ws_conn_id(conn);
}

/* A server, clients of it with and without reconnecting, one that is refused, one in each phase. */
static void run_act(where place, void (*what)(ws_conn *)) {
    static const uint8_t big[5 << 20];
    ws_handler handler = net_handler();
    ws_server_config config;
    int i;
    client_start(NULL);
    memset(&act, 0, sizeof act);
    memset(&config, 0, sizeof config);
    act.where = place;
    act.what = what;
    net.quiet = true;
    config.reuse_port = WSI_PLATFORM_REUSE_PORT >= 0;
    net.server = ws_listen(net.loop, &config);
    int held = net_hold_port(ws_port(net.server)); /* clients reconnect after the server's end */
    handler.on_open = act_open;
    handler.on_message = act_message;
    handler.on_close = act_close;
    CHECK(ws_route(net.server, "/", &handler));
    raw_server *silent = raw_listen();
    act_dial(ws_port(net.server), 50);
    act_dial(ws_port(net.server), 0);
    act_dial(raw_refusing_port(), 50);
    act_dial(raw_refusing_port(), 0);
    act_dial(silent->port, 50);
    act_dial(ws_port(net.server), 50);
    (void)ws_after(net.loop, 20, act_timer, NULL);
    for (i = 0; i < 40 && !act.ended; i++)
        (void)net_round(0);
    if (!act.ended)
        (void)ws_send_binary(act_client(1), big, sizeof big); /* some of it is queued, and on_drain follows */
    for (i = 0; i < 40 && !act.ended; i++) {
        net.now += 10;
        (void)net_round(0);
        net.log.size = 0;
    }
    if (!act.ended)
        ws_drop(act_client(0));
    if (!act.ended)
        (void)ws_close(act_client(5), 1000, NULL);
    for (i = 0; i < 40 && !act.ended; i++) {
        net.now += 10;
        (void)net_round(0);
        net.log.size = 0;
    }
    if (what != do_drop_all && what != do_free_server)
        CHECK(act.times > 0);
    if (held >= 0)
        (void)close(held);
    CLIENT_END();
}

static void dial_again(ws_conn *conn) {
    ws_client_config config = client_config();
    (void)conn;
    config.unix_path = "build/nobody-listens-here";
    if (client.errors < 1000)
        (void)client_dial("ws://a/", &config);
}

static void test_dialing_again(void) {
    if (!test_begin("a program that dials anew in each on_error, which fails at once, does not hold up the loop"))
        return;
    client_start(NULL);
    client.on_error = dial_again;
    dial_again(NULL);
    (void)net_round(0);
    CHECK(client.errors > 0 && client.errors < 10);
    for (unsigned before = 0; before < client.errors && client.errors < 100; (void)net_round(0))
        before = client.errors;
    CHECK(client.errors >= 100); /* but the program goes on dialing */
    client.on_error = NULL;
    CLIENT_END();
}

/* What a program may do between such a ws_dial and its on_error. */
static void drop_it(ws_conn *conn) { ws_drop(conn); }
static void close_it(ws_conn *conn) { (void)ws_close(conn, 1000, NULL); }
static void shut_down(ws_conn *conn) { (void)ws_shutdown(ws_conn_loop(conn), 100); }
static void free_loop(ws_conn *conn) {
    ws_loop_free(ws_conn_loop(conn));
    net.loop = NULL;
}

static void test_failed_at_once(void) {
    static void (*const acts_before[])(ws_conn *) = {drop_it, close_it, shut_down, free_loop};
    if (!test_begin("a dial that failed at once is dropped, closed or freed before its on_error: that comes once"))
        return;
    for (unsigned i = 0; i < 8; i++) {
        ws_client_config config = client_config();
        client_start(NULL);
        config.unix_path = "build/nobody-listens-here";
        config.reconnect_ms = i < 4 ? 0 : 60000;
        ws_conn *conn = client_dial("ws://a/", &config);
        CHECK(conn && client.errors == 0 && ws_loop_timeout(net.loop) == 0);
        net_inside(true);
        acts_before[i % 4](conn);
        net_inside(false);
        for (int rounds = 0; net.loop && rounds < 5 && ws_run_once(net.loop, 0); rounds++)
            continue;
        CHECK_EQ(client.errors, 1);
        CHECK(!net.loop || !ws_find(net.loop, client.id));
        CLIENT_END();
    }
}

static void test_reentrancy(void) {
    size_t i, place;
    for (place = 0; place < WHERES; place++)
        for (i = 0; i < COUNT(acts); i++)
            if (test_begin("%s: %s", where_names[place], acts[i].name))
                run_act((where)place, acts[i].what);
}

/* --- the end of the loop, in every phase --- */

typedef enum phase {
    PHASE_NEW, PHASE_RESOLVE, PHASE_CONNECT, PHASE_PROXY, PHASE_HANDSHAKE, PHASE_HALF_HEAD, PHASE_REDIRECTED,
        PHASE_OPEN, PHASE_SENDING,
    PHASE_CLOSING, PHASE_CLOSED_BY_PEER, PHASE_PAUSE, PHASES
} phase;

static const char *const phase_names[PHASES] = {"just dialed", "resolving", "connecting", "at the proxy",
    "in the handshake", "in the head",
                                                "redirected", "open", "sending", "closing", "closed by the peer",
                                                "between attempts"};

/* Waits until the peer's system has acknowledged what it took. It does so in real time: later this would be a sign
   of life, and move a deadline of the virtual clock. */
static void await_acknowledgements(const ws_conn *conn) {
    ws_socket descriptor = conn->source.link.descriptor;
    for (int i = 0; i < 2000 && wsi_platform_unsent(descriptor, true) > wsi_platform_unsent(descriptor, false); i++) {
        struct timeval millisecond = {0, 1000};
        (void)select(0, NULL, NULL, NULL, &millisecond);
    }
}

/* Brings a client into the phase. What is to be cleaned up stays in `client` and `net`. */
static void enter_phase(phase wanted, bool reconnects) {
    static const uint8_t big[6 << 20];
    ws_client_config config = reconnecting(reconnects ? 100 : 0, 0);
    raw_server *raw = raw_listen_on(NULL, wanted == PHASE_CONNECT ? 0 : 8);
    char text[100];
    peer *p;
    if (wanted == PHASE_RESOLVE) {
        (void)client_dial("ws://slow.test:1/", &config);
        net_settle();
        return;
    }
    if (wanted == PHASE_CONNECT) { /* a listener that accepts nobody */
        (void)raw_fill_hole(raw);
        (void)client_dial_raw(raw, &config);
        net_settle();
        return;
    }
    if (wanted == PHASE_PROXY) {
        (void)snprintf(text, sizeof text, "http://127.0.0.1:%u", (unsigned)raw->port);
        config.proxy = text;
    }
    (void)client_dial_raw(raw, &config);
    if (wanted == PHASE_NEW)
        return;
    p = raw_accept(raw);
    const char *head = raw_head(p);
    if (wanted == PHASE_HALF_HEAD)
        peer_text(p, "HTTP/1.1 101 Switching Pro");
    if (wanted == PHASE_REDIRECTED) {
        peer_text(p, "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n");
        (void)raw_head(raw_accept(raw));
    }
    if (wanted >= PHASE_OPEN)
        raw_answer(p, head, NULL);
    net_settle();
    if (wanted == PHASE_SENDING) {
        p->deaf = true;
        (void)ws_send_binary(client.conn, big, sizeof big);
        (void)ws_send_text(client.conn, "behind it");
        net_settle();
        await_acknowledgements(client.conn);
    }
    if (wanted == PHASE_CLOSING)
        (void)ws_close(client.conn, 4000, "bye");
    if (wanted == PHASE_CLOSED_BY_PEER)
        peer_frames(p, "88<0fa1>");
    if (wanted == PHASE_PAUSE)
        peer_close(p);
    net_settle();
}

static void run_end(phase p, int how, bool reconnects) {
    unsigned attempts;
    client_start(NULL);
    calls_hold();
    enter_phase(p, reconnects);
    attempts = client.errors + net.opened;
    if (how == 0) {
        CHECK(ws_shutdown(net.loop, 100));
        net_settle();
        net_wait(101);
        CHECK(!ws_run_once(net.loop, 0));
        CHECK(ws_find(net.loop, client.id) == NULL);
        CHECK(ws_loop_error(net.loop) == WS_OK);
    } else if (how == 1) {
        ws_drop(client.conn);
        net_settle();
        CHECK(ws_find(net.loop, client.id) == NULL);
    } else if (how == 2) {
        (void)ws_close(client.conn, 1000, NULL);
        net_settle();
        net_wait(5001);
        net_settle();
        CHECK(ws_find(net.loop, client.id) == NULL);
    }
    ws_loop_free(net.loop);
    net.loop = NULL;
    CHECK_EQ(client.errors + net.opened, p >= PHASE_OPEN ? attempts : attempts + 1);
    calls_let_go();
    CLIENT_END();
}

static void test_ends(void) {
    static const char *const how_names[] = {"ws_shutdown", "ws_drop", "ws_close", "ws_loop_free"};
    int p, how, reconnects;
    for (how = 0; how < 4; how++)
        for (p = 0; p < PHASES; p++)
            for (reconnects = p == PHASE_PAUSE; reconnects < 2; reconnects++)
                if (test_begin("%s while the client is %s%s", how_names[how], phase_names[p],
                               reconnects ? ", reconnecting" : "")
                    && (how != 2 || p < PHASE_OPEN || net_tells_unsent()))
                    run_end((phase)p, how, reconnects);
}

static void test_shutdown_closes(void) {
    if (!test_begin("ws_shutdown closes an open client with 1001, and sends what is queued before"))
        return;
    client_start(NULL);
    raw_server *raw = raw_listen();
    ws_client_config config = reconnecting(10, 10);
    (void)client_dial_raw(raw, &config);
    peer *p = raw_open(raw);
    CHECK(ws_send_text(client.conn, "the last"));
    CHECK(ws_shutdown(net.loop, 1000));
    CHECK_SENT(p, "81\"the last\" 88<03e9>\"program ends\"");
    peer_frames(p, "88<03e9>");
    peer_close(p);
    net_settle();
    CHECK_LOG("o1 c1:1001::y");
    CHECK(!ws_run_once(net.loop, 0));
    CHECK(client_dial_raw(raw, NULL) == NULL || raw_nobody(raw)); /* no new attempt begins */
    CLIENT_END();
}

/* --- servers and clients in one loop --- */

static ws_id upstream_of[NET_CONNS], downstream_of[NET_CONNS];
static ws_handler upstream_handler;

static void bridge_down_open(ws_conn *conn) {
    ws_conn *up;
    net_open(conn);
    up = ws_dial(net.loop, client_url(&client.servers[0], "/up"), &upstream_handler, NULL);
    if (!up) {
        CHECK(up != NULL);
        return;
    }
    downstream_of[net_number(conn)] = ws_conn_id(conn);
    ws_set_user(up, &downstream_of[net_number(conn)]); /* an id has 64 bits, a pointer may have 32 */
    upstream_of[net_number(conn)] = ws_conn_id(up);
}

static void bridge_down_message(ws_conn *conn, ws_message message) {
    ws_conn *up = ws_find(net.loop, upstream_of[net_number(conn)]);
    CHECK(ws_send(up, message));
}

static void bridge_down_close(ws_conn *conn, ws_close_info why) {
    (void)ws_close(ws_find(net.loop, upstream_of[net_number(conn)]), why.code == 1006 ? 1001 : why.code, why.reason);
    net_close(conn, why);
}

static ws_conn *bridge_other(ws_conn *up) { return ws_find(net.loop, *(const ws_id *)ws_user(up)); }

static unsigned bridge_opened, bridge_closed;

static void bridge_up_open(ws_conn *conn) {
    (void)conn;
    bridge_opened++;
}

static void bridge_up_message(ws_conn *conn, ws_message message) { CHECK(ws_send(bridge_other(conn), message)); }

static void bridge_up_close(ws_conn *conn, ws_close_info why) {
    bridge_closed++;
    (void)ws_close(bridge_other(conn), why.code, why.reason);
}

static void test_bridge(void) {
    enum { PAIRS = 20 };
    ws_handler down = net_handler();
    peer *browsers[PAIRS], *services[PAIRS];
    char text[60];
    unsigned i;
    if (!test_begin("a bridge in one loop: messages and closes pass in both directions"))
        return;
    bridge_opened = bridge_closed = 0;
    memset(&upstream_handler, 0, sizeof upstream_handler);
    upstream_handler.on_open = bridge_up_open;
    upstream_handler.on_message = bridge_up_message;
    upstream_handler.on_close = bridge_up_close;
    client_start(NULL);
    raw_server *raw = raw_listen();
    net.server = ws_listen(net.loop, NULL);
    down.on_open = bridge_down_open;
    down.on_message = bridge_down_message;
    down.on_close = bridge_down_close;
    CHECK(ws_route(net.server, "/", &down));
    for (i = 0; i < PAIRS; i++) {
        browsers[i] = net_peer("/");
        services[i] = raw_accept(raw);
        raw_answer(services[i], raw_head(services[i]), NULL);
    }
    net_settle();
    CHECK_EQ(bridge_opened, PAIRS);
    for (i = 0; i < PAIRS; i++) {
        (void)snprintf(text, sizeof text, "81\"up %u\" 82#%u", i, i * 3000);
        peer_frames(browsers[i], text);
    }
    for (i = 0; i < PAIRS; i++) {
        (void)snprintf(text, sizeof text, "81\"up %u\" 82#%u", i, i * 3000);
        CHECK_SENT(services[i], text);
        (void)snprintf(text, sizeof text, "81\"down %u\" 81*%u", i, i * 4000);
        peer_frames(services[i], text);
    }
    for (i = 0; i < PAIRS; i++) {
        (void)snprintf(text, sizeof text, "81\"down %u\" 81*%u", i, i * 4000);
        CHECK_FRAMES(browsers[i], text);
    }
    for (i = 0; i < PAIRS; i++)
        if (i % 2)
            peer_frames(browsers[i], "88<0fa1>\"bye\"");
        else
            peer_frames(services[i], "88<0fa2>\"end\"");
    net_settle();
    for (i = 0; i < PAIRS; i++)
        if (i % 2)
            CHECK_SENT(services[i], "88<0fa1>\"bye\"");
        else
            CHECK_FRAMES(browsers[i], "88<0fa2>\"end\"");
    for (i = 0; i < PAIRS; i++) {
        peer_frames(browsers[i], "88<0fa2>");
        peer_frames(services[i], "88<0fa1>");
        peer_close(services[i]);
    }
    net_settle();
    CHECK_EQ(bridge_closed, PAIRS);
    CHECK_EQ(net.closed, PAIRS);
    CLIENT_END();
}

/* A client of a server in the same loop: both ends are ours. */
static void test_both_ends(void) {
    if (!test_begin("server and client in one loop: echo, close, ids"))
        return;
    CHECK(net_start());
    memset(&client, 0, sizeof client);
    net.echo = false;
    char url[60];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)ws_port(net.server));
    (void)client_dial(url, NULL);
    net_settle();
    CHECK_EQ(net.opened, 2);
    CHECK(net.ids[1] != net.ids[2]);
    ws_conn *other = net.conns[1] == client.conn ? net.conns[2] : net.conns[1];
    CHECK(ws_conn_server(other) == net.server && ws_conn_server(client.conn) == NULL);
    net.log.size = 0;
    CHECK(ws_send_text(client.conn, "up") && ws_send_text(other, "down"));
    net_settle();
    CHECK_EQ(net.received, 6);
    CHECK_EQ(ws_room_count(net.server, NULL), 1); /* a client is in no room of the server's */
    CHECK(!ws_join(client.conn, "room"));
    CHECK(ws_close(other, 4000, "enough"));
    net_settle();
    CHECK_EQ(net.closed, 2);
    CHECK(net.codes[1] == 4000 && net.codes[2] == 4000);
    NET_END();
}

/* --- masks --- */

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void test_masks(void) {
    enum { FRAMES = 10000, FRAME = 2 + 4 + 5 };
    static uint32_t keys[FRAMES];
    size_t i, k, bits = 0, same = 0, zero = 0, different = 1;
    if (!test_begin("10,000 frames have 10,000 keys that nobody can predict"))
        return;
    client_start(NULL);
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, NULL);
    peer *p = raw_open(raw);
    for (i = 0; i < FRAMES; i++) {
        CHECK(ws_send_text(client.conn, "hello"));
        if (i % 7 == 0) /* some frames alone, others together in one write */
            (void)net_round(0);
    }
    (void)peer_wait(p, FRAMES * FRAME);
    CHECK_EQ(p->in.size, FRAMES * FRAME);
    for (i = 0; i < FRAMES && p->in.size == FRAMES * FRAME; i++) {
        const uint8_t *frame = p->in.data + i * FRAME;
        CHECK(frame[0] == 0x81 && frame[1] == 0x85);
        for (k = 0; k < 5; k++)
            CHECK((frame[6 + k] ^ frame[2 + (k & 3)]) == "hello"[k]);
        memcpy(&keys[i], frame + 2, 4);
        same += i && keys[i] == keys[i - 1];
        zero += keys[i] == 0;
        for (k = 0; i && k < 32; k++)
            bits += ((keys[i] ^ keys[i - 1]) >> k) & 1;
    }
    CHECK_EQ(same, 0);
    CHECK(zero <= 1);
    CHECK(bits > (size_t)FRAMES * 15 && bits < (size_t)FRAMES * 17); /* half of the bits change */
    qsort(keys, FRAMES, sizeof *keys, by_value);
    for (i = 1; i < FRAMES; i++)
        different += keys[i] != keys[i - 1];
    CHECK(different >= FRAMES - 10);
    CLIENT_END();
}

static void test_no_random(void) {
    unsigned sent = 0;
    if (test_begin("the random source fails: the send fails, and nothing is sent")) {
        calls_reset();
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        bytes wanted = {NULL, 0, 0};
        calls.inside = true;
        calls.fail_at[CALLS_ENTROPY] = 1;
        calls.fail_after = true;
        calls.error = EIO;
        while (sent < 20000 && ws_send_text(client.conn, "x")) /* bytes that were fetched before are used up first */
            sent++;
        CHECK(sent < 20000);
        CHECK_EQ(ws_last_error(client.conn), WS_ERROR_RANDOM);
        CHECK(!ws_send_binary(client.conn, "y", 1) && !ws_ping(client.conn, "z", 1));
        CHECK(!ws_send_part(client.conn, (ws_message){(const uint8_t *)"w", 1, WS_TEXT}, true));
        CHECK_EQ(ws_last_error(client.conn), WS_ERROR_RANDOM);
        calls.inside = false;
        net_settle();
        while (sent--)
            wire_write(&wanted, "81\"x\"", false);
        bytes plain = {NULL, 0, 0};
        CHECK(wire_plain(&plain, p->in.data, p->in.size, true));
        CHECK_MEM(plain.data, plain.size, wanted.data, wanted.size);
        bytes_free(&plain);
        bytes_free(&wanted);
        p->in.size = 0;
        calls_reset();
        CHECK(ws_send_text(client.conn, "again")); /* the source works again */
        CHECK_SENT(p, "81\"again\"");
        CLIENT_END();
    }
    if (test_begin("the random source fails in the handshake: WS_ERROR_RANDOM, and no request")) {
        calls_reset();
        client_start(NULL);
        raw_server *raw = raw_listen();
        calls.fail_at[CALLS_ENTROPY] = 1;
        calls.fail_after = true;
        calls.error = EIO;
        (void)client_dial_raw(raw, NULL);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_RANDOM);
        int fd = accept(raw->fd, NULL, NULL);
        if (fd >= 0) {
            peer *p = raw_peer(fd);
            (void)peer_read(p);
            CHECK_EQ(p->in.size, 0);
        }
        calls_reset();
        CLIENT_END();
    }
    if (test_begin("the random source fails when a ping or a close must be answered: the key is never zero")) {
        calls_reset();
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        while (true) { /* use up the bytes that were fetched before */
            calls.inside = true;
            calls.fail_at[CALLS_ENTROPY] = 1;
            calls.fail_after = true;
            calls.error = EIO;
            bool good = ws_send_text(client.conn, "x");
            calls.inside = false;
            if (!good)
                break;
        }
        net_settle();
        p->in.size = 0;
        calls.count[CALLS_ENTROPY] = 0;
        peer_frames(p, "89\"ping\" 88<03e8>");
        net_settle();
        CHECK_EQ(p->in.size, 0);
        calls_reset();
        peer_close(p);
        net_settle();
        CHECK_EQ(net.closed, 1);
        CLIENT_END();
    }
}

/* --- backpressure --- */

static unsigned drains;

static void note_drain(ws_conn *conn, unsigned number) {
    (void)conn;
    (void)number;
    drains++;
}

static void test_pressure(void) {
    static uint8_t block[100000];
    size_t sent = 0, peak;
    if (!test_begin("a server that does not read: BUFFERED, bounded memory, on_drain, then sending resumes"))
        return;
    drains = 0;
    client_start(NULL);
    net.on_drain = note_drain;
    ws_client_config config = client_config();
    config.limits.buffered = 1 << 20;
    config.limits.ping_ms = WS_OFF;
    raw_server *raw = raw_listen();
    int small = 8192;
    (void)setsockopt(raw->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    (void)client_dial_raw(raw, &config);
    peer *p = raw_open(raw);
    p->deaf = true;
    while (sent < 2000 && ws_send_binary(client.conn, block, sizeof block)) {
        sent++;
        (void)net_round(0);
        (void)net_round(0);
    }
    CHECK(sent > 10 && sent < 2000);
    CHECK_EQ(ws_last_error(client.conn), WS_ERROR_BUFFERED);
    CHECK(ws_buffered(client.conn) >= 1 << 20 && ws_buffered(client.conn) < (1 << 20) + 2 * sizeof block);
    CHECK_EQ(ws_state(client.conn), WS_OPEN);
    peak = net.memory.peak;
    CHECK(peak < 4 << 20);
    CHECK(!ws_send_text(client.conn, "x") && ws_last_error(client.conn) == WS_ERROR_BUFFERED);
    peer_frames(p, "81\"it reads no more while it cannot send\"");
    net_settle();
    drains = 0;
    p->deaf = false;
    (void)peer_wait(p, sent * (sizeof block + 14));
    net_settle();
    CHECK_EQ(ws_buffered(client.conn), 0);
    CHECK(drains >= 1);
    CHECK(ws_send_text(client.conn, "on"));
    net_settle();
    CHECK(p->in.size > sent * (sizeof block + 14));
    CLIENT_END();
}

/* A server that floods with pings and reads nothing: pongs do not pile up. */
static void test_ping_flood(void) {
    size_t i;
    if (!test_begin("a ping flood from a server that does not read: memory stays flat"))
        return;
    client_start(NULL);
    raw_server *raw = raw_listen();
    int small = 8192;
    (void)setsockopt(raw->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    (void)client_dial_raw(raw, NULL);
    peer *p = raw_open(raw);
    p->deaf = true;
    for (i = 0; i < 3000; i++)
        peer_frames(p, "100x89#125");
    net_settle();
    CHECK(net.memory.peak < 1 << 20);
    CHECK_EQ(net.closed, 0);
    CLIENT_END();
}

static void test_too_big(void) {
    if (!test_begin("a message over limits.message: 1009; one of exactly that size is accepted"))
        return;
    client_start(NULL);
    ws_client_config config = client_config();
    config.limits.message = 1000;
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, &config);
    peer *p = raw_open(raw);
    peer_frames(p, "82#1000");
    CHECK_SENT(p, "82#1000");
    peer_frames(p, "82#600 02#600 80#401");
    CHECK_SENT(p, "82#600 88<03f1>");
    CHECK_EQ(net.codes[1] ? net.codes[1] : 1009, 1009);
    peer_close(p);
    net_settle();
    CHECK_EQ(net.codes[1], 1009);
    CLIENT_END();
}

static void chunk_start(ws_conn *conn, ws_chunk chunk) { net_chunk(conn, chunk); }

static void test_chunks(void) {
    if (!test_begin("a client that takes messages in chunks"))
        return;
    ws_handler handler = client_handler();
    handler.on_chunk = chunk_start;
    client_start(NULL);
    raw_server *raw = raw_listen();
    (void)ws_dial(net.loop, client_url(raw, "/"), &handler, NULL);
    peer *p = raw_open(raw);
    peer_frames(p, "81\"hello\" 01\"ab\" 80\"cd\"");
    net_settle();
    CHECK(net.received == 9 && net.log.size > 8 && memcmp(net.log.data, "o1 k1:5fl", 9) == 0);
    CLIENT_END();
}

/* --- deadlines --- */

static unsigned pongs;

static void count_pong(ws_conn *conn, ws_message payload) {
    CHECK(conn == client.conn && payload.size == (pongs ? 0u : 3u));
    pongs++;
}

static void test_pongs(void) {
    if (!test_begin("a client's on_pong sees the answers to ws_ping and to limits.ping_ms"))
        return;
    client_start(NULL);
    raw_server *raw = raw_listen();
    ws_handler handler = client_handler();
    handler.on_pong = count_pong;
    pongs = 0;
    net_inside(true);
    client.conn = ws_dial(net.loop, client_url(raw, "/"), &handler, NULL);
    net_inside(false);
    peer *p = raw_open(raw);
    CHECK(ws_ping(client.conn, "rtt", 3));
    CHECK_SENT(p, "89\"rtt\"");
    peer_frames(p, "8a\"rtt\"");
    net_settle();
    CHECK_EQ(pongs, 1);
    net_wait(25100);
    CHECK_SENT(p, "89\"\"");
    peer_frames(p, "8a\"\"");
    net_settle();
    CHECK_EQ(pongs, 2);
    CLIENT_END();
}

static void test_pings(void) {
    if (test_begin("a silent server is pinged, kept after a pong, dropped without one")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        net.log.size = 0;
        net_wait(24900);
        CHECK_EQ(p->in.size, 0);
        net_wait(200);
        CHECK(p->in.size >= 6 && p->in.data[0] == 0x89 && p->in.data[1] & 0x80);
        bytes plain = {NULL, 0, 0};
        CHECK(wire_plain(&plain, p->in.data, p->in.size, true) && plain.size);
        if (plain.size) {
            plain.data[0] = 0x8a;
            (void)peer_send(p, plain.data, plain.size);
        }
        bytes_free(&plain);
        net_settle();
        p->in.size = 0;
        net_wait(24900);
        CHECK_EQ(p->in.size, 0);
        net_wait(200);
        CHECK(p->in.size >= 6 && p->in.data[0] == 0x89);
        net_wait(19800);
        CHECK_LOG("");
        net_wait(400);
        CHECK_LOG("c1:1006::n");
        CHECK(p->ended);
        CLIENT_END();
    }
    if (test_begin("any byte from the server proves that it is alive")) {
        int i;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        net.echo = false;
        for (i = 0; i < 20; i++) {
            net_wait(20000);
            peer_frames(p, "81\"x\"");
            net_settle();
        }
        CHECK_EQ(p->in.size, 0);
        CHECK_EQ(net.closed, 0);
        CLIENT_END();
    }
    if (test_begin("WS_OFF for pings: a silent server is left alone")) {
        client_start(NULL);
        ws_client_config config = client_config();
        config.limits.ping_ms = WS_OFF;
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer *p = raw_open(raw);
        net_wait(36000000);
        CHECK(p->in.size == 0 && net.closed == 0);
        CLIENT_END();
    }
}

static void look_at_timeout(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number;
    client.error = ws_last_error(conn);
    (void)snprintf(client.text, sizeof client.text, "%s", ws_last_error_text(conn));
    CHECK_EQ(ws_closed(conn).code, why.code);
    CHECK(ws_closed(conn).clean == why.clean && strcmp(ws_closed(conn).reason, why.reason) == 0);
}

static void test_closing(void) {
    if (test_begin("a client that closes waits for the server to end TCP")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        CHECK(ws_close(client.conn, 4000, "enough"));
        CHECK_EQ(ws_state(client.conn), WS_CLOSING);
        CHECK(!ws_send_text(client.conn, "x") && ws_last_error(client.conn) == WS_ERROR_STATE);
        CHECK(!ws_close(client.conn, 4000, "enough"));
        CHECK_SENT(p, "88<0fa0>\"enough\"");
        peer_frames(p, "81\"dropped\" 88<0fa0>\"enough\"");
        net_settle();
        CHECK(!p->ended); /* RFC 6455 7.1.1: the server is the first to end TCP */
        peer_close(p);
        net_settle();
        CHECK_LOG("o1 c1:4000:enough:y");
        CHECK(ws_find(net.loop, client.id) == NULL);
        CLIENT_END();
    }
    if (test_begin("a server that answers the close but never ends TCP: a clean close, freed at the deadline")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        (void)ws_close(client.conn, 1000, NULL);
        CHECK_SENT(p, "88<03e8>");
        peer_frames(p, "88<03e8>");
        net_settle();
        net_wait(4900);
        CHECK(!p->ended);
        net_wait(200);
        CHECK(p->ended);
        CHECK_LOG("o1 c1:1000::y");
        CLIENT_END();
    }
    if (test_begin("a server that never answers the close: 1006 at the deadline, with an error text")
        && net_tells_unsent()) {
        client_start(NULL);
        net.on_close = look_at_timeout;
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        (void)ws_close(client.conn, 1000, NULL);
        peer_frames(p, "81\"still talking\"");
        net_settle();
        net_wait(4900);
        CHECK_LOG("o1");
        net_wait(200);
        CHECK_LOG("c1:1006::n");
        CHECK_EQ(client.error, WS_ERROR_TIMEOUT);
        CHECK(strlen(client.text) > 10);
        CHECK(p->ended);
        CLIENT_END();
    }
    if (test_begin("the server closes: the client answers, and is freed when TCP ends, or at the deadline")) {
        int ends;
        for (ends = 0; ends < 2; ends++) {
            client_start(NULL);
            raw_server *raw = raw_listen();
            (void)client_dial_raw(raw, NULL);
            peer *p = raw_open(raw);
            peer_frames(p, "88<0fa1>\"go\"");
            CHECK_SENT(p, "88<0fa1>\"go\"");
            CHECK(!p->ended);
            if (ends)
                peer_close(p);
            net_wait(ends ? 0 : 5001);
            CHECK(p->fd < 0 || p->ended);
            CHECK_LOG("o1 c1:4001:go:y");
            CLIENT_END();
        }
    }
    if (test_begin("the stream ends, or breaks, without a close: 1006, with an error text")) {
        int reset;
        for (reset = 0; reset < 2; reset++) {
            client_start(NULL);
            net.on_close = look_at_timeout;
            raw_server *raw = raw_listen();
            (void)client_dial_raw(raw, NULL);
            peer *p = raw_open(raw);
            peer_frames(p, "81\"before\" 01\"half\"");
            net_settle();
            if (reset)
                peer_reset(p);
            else
                peer_close(p);
            net_settle();
            CHECK_LOG("o1 t1:before c1:1006::n");
            CHECK_EQ(client.error, WS_ERROR_CLOSED);
            CHECK(strlen(client.text) > 10);
            CLIENT_END();
        }
    }
    if (test_begin("illegal codes and reasons are refused before anything is sent")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        CHECK(!ws_close(client.conn, 1006, NULL) && ws_last_error(client.conn) == WS_ERROR_CLOSE_CODE);
        CHECK(!ws_close(client.conn, 1000, "\xff"));
        CHECK(!ws_send_text(client.conn, "\xff") && ws_last_error(client.conn) == WS_ERROR_UTF8);
        CHECK_SENT(p, "");
        CHECK(ws_close(client.conn, 0, NULL));
        CHECK_SENT(p, "88");
        CLIENT_END();
    }
    if (test_begin("parts, pings and pongs from a client")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        ws_message part = {(const uint8_t *)"part", 4, WS_TEXT};
        CHECK(ws_send_part(client.conn, part, false) && !ws_send_text(client.conn, "no"));
        CHECK(ws_ping(client.conn, "p", 1));
        CHECK(ws_send_part(client.conn, part, true) && ws_send_text(client.conn, "yes"));
        CHECK_SENT(p, "01\"part\" 89\"p\" 80\"part\" 81\"yes\"");
        peer_frames(p, "8a\"p\" 89\"q\"");
        CHECK_SENT(p, "8a\"q\"");
        CLIENT_END();
    }
}

/* A stale id is recognized. */
static void test_stale(void) {
    ws_id first;
    if (!test_begin("the id of a freed client finds nothing, even when its slot is reused"))
        return;
    client_start(NULL);
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, NULL);
    (void)raw_open(raw);
    first = client.id;
    ws_drop(client.conn);
    net_settle();
    (void)client_dial_raw(raw, NULL);
    (void)raw_open(raw);
    CHECK(client.id != first && ws_find(net.loop, first) == NULL && ws_find(net.loop, client.id) == client.conn);
    CLIENT_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    calls_table = names;
    test_dialing_again();
    test_failed_at_once();
    test_reentrancy();
    test_ends();
    test_shutdown_closes();
    test_bridge();
    test_both_ends();
    test_masks();
    test_no_random();
    test_pressure();
    test_ping_flood();
    test_too_big();
    test_chunks();
    test_pings();
    test_pongs();
    test_closing();
    test_stale();
    return test_finish();
}
