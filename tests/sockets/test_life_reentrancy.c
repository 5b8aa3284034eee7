/* LIFE, SERVER, LOOP: every callback does everything to every object. Whatever happens, each
   on_open has one on_close, nothing is used after it is freed (ASan), and service continues. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

typedef enum where {
    IN_OPEN, IN_MESSAGE, IN_CHUNK, IN_PONG, IN_DRAIN, IN_CLOSE, IN_TIMER, IN_POST, IN_WATCH, WHERES
} where;

static const char *const where_names[WHERES] = {"on_open", "on_message", "on_chunk", "on_pong", "on_drain",
                                                "on_close", "a timer", "a post", "a watch"};

/* --- what is done --- */

static struct {
    bool server_freed, ended; /* ended: stopped or shut down */
    unsigned listens, timers, seed;
    int watched[2];
} did;

static ws_message hello(void) {
    ws_message message;
    message.data = (const uint8_t *)"hello";
    message.size = 5;
    message.type = WS_TEXT;
    return message;
}

static unsigned below(unsigned bound) {
    did.seed = did.seed * 1664525u + 1013904223u;
    return (did.seed >> 10) % bound;
}

static void nothing(ws_loop *loop, void *user) {
    (void)loop;
    (void)user;
}

static void do_nothing(ws_conn *self) { (void)self; }
static void do_close_self(ws_conn *self) { (void)ws_close(self, 4001, "self"); }
static void do_drop_self(ws_conn *self) { ws_drop(self); }

static void do_close_others(ws_conn *self) {
    for (unsigned i = 1; i <= net.opened; i++)
        if (net.conns[i] != self)
            (void)ws_close(net.conns[i], 4002, "other");
}

static void do_drop_others(ws_conn *self) {
    for (unsigned i = 1; i <= net.opened; i++)
        if (net.conns[i] != self)
            ws_drop(net.conns[i]);
}

static void do_drop_all(ws_conn *self) {
    do_drop_others(self);
    ws_drop(self);
}

static void do_close_then_drop(ws_conn *self) {
    (void)ws_close(self, 1000, NULL);
    ws_drop(self);
    (void)ws_send(self, hello());
    (void)ws_close(self, 1000, NULL);
    CHECK(ws_state(self) == WS_CLOSED);
}

static void do_leave(ws_conn *self) {
    for (unsigned i = 1; i <= net.opened; i++)
        (void)ws_leave(net.conns[i], "r");
    (void)ws_leave(self, "r");
}

static void do_join(ws_conn *self) {
    for (unsigned i = 1; i <= net.opened; i++) {
        (void)ws_join(net.conns[i], "new");
        (void)ws_join(net.conns[i], "r");
    }
    (void)ws_join(self, "own");
}

static void do_broadcast(ws_conn *self) {
    (void)ws_broadcast(self, "r", hello());
    (void)ws_broadcast_others(self, NULL, hello());
    if (!did.server_freed)
        (void)ws_server_broadcast(net.server, "r", hello());
}

static void do_broadcast_large(ws_conn *self) {
    static uint8_t large[100000];
    ws_message message = hello();
    message.data = large;
    message.size = sizeof large;
    (void)ws_broadcast(self, "r", message);
    (void)ws_broadcast(self, NULL, message);
}

static void do_send(ws_conn *self) {
    static uint8_t large[200000];
    (void)ws_send(self, hello());
    for (unsigned i = 1; i <= net.opened; i++) {
        (void)ws_send(net.conns[i], hello());
        (void)ws_send_binary(net.conns[i], large, 1 + i * 30000 % sizeof large);
        (void)ws_ping(net.conns[i], "x", 1);
    }
    (void)ws_send(self, hello());
}

static void do_send_parts(ws_conn *self) {
    (void)ws_send_part(self, hello(), false);
    (void)ws_broadcast(self, "r", hello());
    (void)ws_send_part(self, hello(), below(2) == 0);
}

static void do_free_server(ws_conn *self) {
    ws_server *server = net.server;
    if (did.server_freed)
        return;
    did.server_freed = true;
    ws_server_free(server);
    if (!net.loop->busy)
        return;
    ws_server_free(server); /* it stays usable until the callback returns */
    (void)ws_broadcast(self, "r", hello());
    (void)ws_server_broadcast(server, NULL, hello());
    (void)ws_join(self, "new");
    (void)ws_send(self, hello());
    (void)ws_room_count(server, "r");
    CHECK(self == NULL || ws_state(self) == WS_CLOSED);
}

static void do_stop(ws_conn *self) {
    (void)self;
    (void)ws_stop(net.loop);
}

static void do_free_loop(ws_conn *self) {
    (void)self;
    ws_loop_free(net.loop); /* only stops */
    CHECK(net.loop->stopped);
}

static void do_shutdown(ws_conn *self) {
    (void)self;
    did.ended = true;
    (void)ws_shutdown(net.loop, 50);
}

static void do_listen(ws_conn *self) {
    ws_server *server;
    ws_handler handler = net_handler();
    (void)self;
    if (did.listens++ > 3 || net.loop->shutting_down)
        return;
    server = ws_listen(net.loop, NULL);
    CHECK(server != NULL && ws_route(server, "/", &handler));
    if (did.listens == 2)
        ws_server_free(server);
}

static void do_run(ws_conn *self) {
    (void)self;
    CHECK(!ws_run_once(net.loop, 0));
}

static void do_timers(ws_conn *self) {
    ws_id id = ws_after(net.loop, 1, nothing, self);
    ws_cancel(net.loop, ws_every(net.loop, 1, nothing, self));
    if (did.timers++ % 2)
        ws_cancel(net.loop, id);
}

static const struct {
    const char *name;
    void (*call)(ws_conn *self);
} actions[] = {
    {"do nothing", do_nothing},         {"close itself", do_close_self},
    {"drop itself", do_drop_self},      {"close the others", do_close_others},
    {"drop the others", do_drop_others}, {"drop all", do_drop_all},
    {"close, drop, send", do_close_then_drop}, {"leave", do_leave},
    {"join", do_join},                  {"broadcast", do_broadcast},
    {"broadcast much", do_broadcast_large}, {"send to all", do_send},
    {"send parts", do_send_parts},      {"free the server", do_free_server},
    {"stop", do_stop},                  {"free the loop", do_free_loop},
    {"shut down", do_shutdown},         {"listen", do_listen},
    {"run", do_run},                    {"set timers", do_timers}};

enum { ACTIONS = sizeof actions / sizeof *actions };

/* --- where it is done --- */

static struct {
    where in;
    size_t action, closing; /* closing: what each on_close does */
    bool armed;
} plan;

static void act(where in, ws_conn *self) {
    if (!plan.armed || plan.in != in)
        return;
    if (in != IN_CLOSE)
        plan.armed = false; /* acts only once */
    actions[plan.action].call(self);
}

static void when_open(ws_conn *conn, unsigned number) {
    (void)ws_join(conn, "r");
    if (number > 4)
        act(IN_OPEN, conn);
}

static void when_message(ws_conn *conn, unsigned number, ws_message message) {
    (void)ws_send(conn, message);
    if (number == 2)
        act(IN_MESSAGE, conn);
}

static void when_drain(ws_conn *conn, unsigned number) {
    (void)number;
    act(IN_DRAIN, conn);
}

static void when_close(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number;
    (void)why;
    act(IN_CLOSE, conn);
    if (plan.in != IN_CLOSE)
        actions[plan.closing].call(conn);
}

static void when_chunk(ws_conn *conn, ws_chunk chunk) {
    net.received += chunk.size;
    act(IN_CHUNK, conn);
}

static void when_pong(ws_conn *conn, ws_message payload) {
    (void)ws_send(conn, payload);
    act(IN_PONG, conn);
}

static void when_timer(ws_loop *loop, void *user) {
    (void)loop;
    (void)user;
    act(IN_TIMER, net.conns[2]);
}

static void when_posted(void *argument) {
    (void)argument;
    act(IN_POST, net.conns[2]);
}

static void when_watched(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    char byte;
    (void)user;
    (void)ready;
    (void)!read(descriptor, &byte, 1);
    act(IN_WATCH, net.conns[2]);
    (void)ws_watch(loop, descriptor, WS_NONE, NULL, NULL);
}

/* Four open connections in a room, the third of which does not read, and has much pending. */
static void set_up(peer **p) {
    ws_handler handler = net_handler();
    ws_server_config config;
    memset(&config, 0, sizeof config);
    memset(&did, 0, sizeof did);
    config.limits.buffered = 100000;
    CHECK(net_start_with(NULL, &config));
    handler.on_chunk = when_chunk;
    handler.on_pong = when_pong;
    CHECK(ws_route(net.server, "/chunk", &handler));
    net_small_buffers();
    net.on_open = when_open;
    net.on_message = when_message;
    net.on_drain = when_drain;
    net.on_close = when_close;
    for (int i = 1; i <= 4; i++)
        p[i] = net_open_with("/", i == 3 ? 4096 : 0);
    p[3]->deaf = true;
    peer_frames(p[3], "82#300000");
    net_settle();
}

static void trigger(peer **p) {
    peer *extra;
    peer_frames(p[1], "81\"m\" 81\"n\"");
    peer_frames(p[4], "81\"m\" 81\"n\"");
    switch (plan.in) {
    case IN_OPEN:
        extra = net_connect();
        peer_upgrade(extra, "/", NULL);
        break;
    case IN_MESSAGE: peer_frames(p[2], "81\"m\" 81\"n\" 01\"cut\""); break;
    case IN_CHUNK:
        extra = net_connect();
        peer_upgrade(extra, "/chunk", NULL);
        peer_frames(extra, "82#70000 82#10 02#9");
        break;
    case IN_PONG:
        extra = net_connect();
        peer_upgrade(extra, "/chunk", NULL);
        peer_frames(extra, "8a\"p\" 8a\"q\" 82#9 8a\"\"");
        break;
    case IN_DRAIN: p[3]->deaf = false; break;
    case IN_CLOSE: peer_frames(p[2], "88<03e8>"); break;
    case IN_TIMER:
        (void)ws_after(net.loop, 5, when_timer, NULL);
        net.now += 5;
        break;
    case IN_POST: CHECK(ws_post(net.loop, when_posted, NULL)); break;
    case IN_WATCH:
        CHECK(write(did.watched[1], "x", 1) == 1);
        CHECK(ws_watch(net.loop, did.watched[0], WS_READ, when_watched, NULL));
        break;
    case WHERES: break;
    }
}

static void run_plan(void) {
    peer *p[5];
    set_up(p);
    CHECK_EQ(pipe(did.watched), 0);
    plan.armed = true;
    trigger(p);
    CHECK(net_settle());
    CHECK(!plan.armed || plan.in == IN_CLOSE); /* the action has run */
    plan.armed = false;
    peer_frames(p[1], "81\"more\"");
    peer_frames(p[2], "81\"more\"");
    CHECK(net_settle());
    if (did.server_freed)
        CHECK_EQ(net.closed, net.opened);
    else if (!did.ended)
        CHECK(net_serves());
    if (did.ended)
        net_wait(50);
    (void)close(did.watched[0]);
    (void)close(did.watched[1]);
    NET_END();
}

static void test_everything_everywhere(void) {
    size_t in, action;
    for (in = 0; in < WHERES; in++) {
        for (action = 0; action < ACTIONS; action++) {
            if (!test_begin("in %s: %s", where_names[in], actions[action].name))
                continue;
            memset(&plan, 0, sizeof plan);
            plan.in = (where)in;
            plan.action = action;
            run_plan();
        }
    }
}

static void test_pairs(void) {
    size_t action, closing;
    for (action = 1; action < ACTIONS; action++) {
        if (!test_begin("in on_message: %s, and everything in on_close", actions[action].name))
            continue;
        for (closing = 1; closing < ACTIONS; closing++) {
            memset(&plan, 0, sizeof plan);
            plan.in = IN_MESSAGE;
            plan.action = action;
            plan.closing = closing;
            run_plan();
        }
    }
}

/* --- outside of callbacks --- */

static void test_outside(void) {
    size_t action;
    for (action = 0; action < ACTIONS; action++) {
        peer *p[5];
        if (strcmp(actions[action].name, "free the loop") == 0 || strcmp(actions[action].name, "run") == 0)
            continue; /* outside of callbacks these two really free or run the loop */
        if (!test_begin("outside of callbacks: %s", actions[action].name))
            continue;
        memset(&plan, 0, sizeof plan);
        plan.in = WHERES;
        plan.closing = 9; /* on_close broadcasts */
        set_up(p);
        actions[action].call(did.server_freed ? NULL : net.conns[2]);
        if (did.server_freed) /* all connections ended at once */
            CHECK_EQ(net.closed, net.opened);
        CHECK(net_settle());
        if (!did.server_freed && !did.ended)
            CHECK(net_serves());
        NET_END();
    }
}

/* --- at random --- */

static void random_action(ws_conn *self) {
    static const size_t gentle[] = {0, 1, 2, 7, 8, 9, 10, 11, 12, 18, 19};
    static const size_t rough[] = {3, 4, 5, 6, 17};
    unsigned dice = below(60);
    if (dice < 30)
        actions[gentle[below(sizeof gentle / sizeof *gentle)]].call(self);
    else if (dice == 59)
        actions[rough[below(5)]].call(self);
}

static void random_open(ws_conn *conn, unsigned number) {
    (void)number;
    (void)ws_join(conn, "r");
    if (below(3) == 0)
        (void)ws_room_slow(net.server, "r", (ws_slow)below(5));
    random_action(conn);
}

static void random_message(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    (void)ws_send(conn, message);
    random_action(conn);
}

static void random_drain(ws_conn *conn, unsigned number) {
    (void)number;
    random_action(conn);
}

static void random_close(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number;
    (void)why;
    random_action(conn);
}

static void random_peer(peer *p) {
    static const char *const frames[] = {"81\"x\"", "82#3000", "01\"a\" 80\"b\"", "89\"p\"", "88<03e8>",
                                         "82#90000", "81<ff>", "81\"x\" 81\"y\" 81\"z\""};
    switch (below(12)) {
    case 0: peer_close(p); break;
    case 1: peer_reset(p); break;
    case 2: (void)shutdown(p->fd, SHUT_WR); break;
    case 3: p->deaf = !p->deaf; break;
    default: {
        bytes out = {NULL, 0, 0};
        wire_write(&out, frames[below(8)], true);
        (void)!send(p->fd, out.data, out.size, MSG_NOSIGNAL); /* what does not fit is cut off */
        bytes_free(&out);
    }
    }
}

static void test_random(void) {
    unsigned seed, i;
    for (seed = 1; seed <= 20; seed++) {
        ws_server_config config;
        if (!test_begin("at random, seed %u", seed))
            continue;
        memset(&did, 0, sizeof did);
        memset(&config, 0, sizeof config);
        config.limits.buffered = 50000;
        CHECK(net_start_with(NULL, &config));
        did.seed = seed;
        net_small_buffers();
        net.quiet = true;
        net.on_open = random_open;
        net.on_message = random_message;
        net.on_drain = random_drain;
        net.on_close = random_close;
        for (i = 0; i < 600; i++) {
            if (net.peer_count < 100 && below(5) == 0) {
                peer *p = net_connect_to(ws_port(net.server), below(2) ? 4096 : 0);
                peer_upgrade(p, "/", NULL);
            }
            if (net.peer_count)
                random_peer(&net.peers[below((unsigned)net.peer_count)]);
            net.now += below(300);
            (void)net_round(0);
            net.log.size = 0;
        }
        CHECK(net.opened > 20);
        net.on_open = NULL;
        net.on_message = NULL;
        net.on_drain = NULL;
        net.on_close = NULL;
        CHECK(net_serves());
        NET_END();
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_everything_everywhere();
    test_pairs();
    test_outside();
    test_random();
    return test_finish();
}
