/* SERVER: what it bounds beyond its defaults, and what a hook decides for one connection. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

static void answer(ws_request *request, void *user) {
    (void)user;
    (void)ws_reply(request, 200, NULL, "ok");
}

static bool start(const ws_server_config *config) {
    return net_start_with(NULL, config) && ws_http(net.server, "GET", "/ok", answer, NULL);
}

/* --- broadcasts --- */

static void test_broadcasts(void) {
    ws_id ids[4];
    if (!test_begin("broadcasts of text: to the others, and from outside; the ids of all connections"))
        return;
    CHECK(net_start());
    peer *first = net_peer("/"), *second = net_peer("/"), *third = net_peer("/");
    CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r"));
    CHECK(ws_broadcast_others_text(net.conns[1], "r", "a") && ws_server_broadcast_text(net.server, "r", "b"));
    CHECK(ws_broadcast_others_text(net.conns[2], NULL, "c") && ws_server_broadcast_text(net.server, NULL, "d"));
    CHECK(ws_broadcast_others_json(net.conns[3], "r", "{'n':%d}", 1));
    CHECK(ws_broadcast_others_json(net.conns[1], NULL, "[%s]", "x"));
    CHECK_FRAMES(first, "81\"b\" 81\"c\" 81\"d\" 81<7b226e223a317d>");
    CHECK_FRAMES(second, "81\"a\" 81\"b\" 81\"d\" 81<7b226e223a317d> 81<5b2278225d>");
    CHECK_FRAMES(third, "81\"c\" 81\"d\" 81<5b2278225d>");
    CHECK(!ws_broadcast_others_text(net.conns[1], "r", NULL) && !ws_server_broadcast_text(net.server, "r", NULL));
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_ARGUMENT);
    CHECK(!ws_broadcast_others_text(NULL, "r", "x") && !ws_server_broadcast_text(NULL, "r", "x"));
    CHECK(!ws_broadcast_others_json(NULL, "r", "1") && !ws_broadcast_others_json(net.conns[1], "r", "x"));
    CHECK_EQ(ws_room_members(net.server, NULL, ids, 4), 3);
    peer_close(third);
    CHECK(net_settle());
    CHECK_EQ(ws_room_members(net.server, NULL, ids, 4), 2);
    CHECK(ids[0] + ids[1] == net.ids[1] + net.ids[2] && ids[0] != ids[1]);
    NET_END();
}

/* --- compression of one connection --- */

static const ws_deflate_config *chosen;
static bool accepted;

static void choose(ws_request *request, void *user) {
    ws_acceptance how;
    (void)user;
    memset(&how, 0, sizeof how);
    how.deflate = chosen;
    accepted = ws_accept(request, &how);
}

static void test_compression(void) {
    static const ws_deflate_config off = {false, false, 0, 0, 0}, on = {true, false, 0, 0, 100},
                                   wrong = {true, false, 7, 0, 0}, unused = {false, false, 7, 0, 0};
    static const struct {
        const char *name;
        bool handler;
        const ws_deflate_config *hook;
        int status;
        bool used;
    } cases[] = {
        {"the handler's: on", true, NULL, 101, true}, {"the handler's: off", false, NULL, 101, false},
        {"off for this one", true, &off, 101, false}, {"on for this one", false, &on, 101, true},
        {"out of range", true, &wrong, 500, false}, {"off, whatever it holds", true, &unused, 101, false}};
    static char text[201], frame[300];
    memset(text, 'a', 200);
    (void)snprintf(frame, sizeof frame, "81\"%s\"", text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_handler handler = net_handler();
        if (!test_begin("compression, %s", cases[i].name))
            continue;
#ifdef WS_NO_DEFLATE
        test_skip("no compression");
        continue;
#endif
        CHECK(net_start());
        chosen = cases[i].hook;
        handler.deflate.on = cases[i].handler;
        CHECK(ws_route(net.server, "/z", &handler) && ws_before(net.server, choose, NULL));
        peer *p = net_connect();
        peer_upgrade(p, "/z", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        CHECK_EQ(peer_status(p), cases[i].status);
        CHECK_EQ(accepted, cases[i].status == 101);
        CHECK_EQ(peer_has(p, "permessage-deflate"), cases[i].used);
        peer_take_head(p);
        if (cases[i].status == 101) {
            peer_frames(p, frame);
            CHECK(net_settle());
            CHECK_EQ(p->in.data[0], cases[i].used ? 0xc1 : 0x81);
        }
        NET_END();
    }
}

/* --- times --- */

#define GET "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"

static void test_idle(void) {
    ws_server_config config;
    int given;
    for (given = 0; given < 2; given++) {
        uint64_t idle = given ? 30000 : 75000;
        if (!test_begin("between requests a connection may be idle for idle_ms, by default 75 s"))
            continue;
        memset(&config, 0, sizeof config);
        config.limits.idle_ms = given ? 30000 : 0;
        CHECK(start(&config));
        peer *silent = net_connect(), *p = net_connect();
        for (int i = 0; i < 3; i++) {
            peer_text(p, GET);
            CHECK_EQ(peer_take_status(p), 200);
            p->in.size = 0;
            net_wait(idle - 1000);
            CHECK(!p->ended && silent->ended);
        }
        net_wait(2000);
        CHECK(p->ended && p->in.size == 0);
        NET_END();
    }
}

/* Neither the first request's head nor a later one gets more than handshake_ms. */
static void test_slow_head(void) {
    ws_server_config config;
    if (!test_begin("a later head has handshake_ms from its first byte"))
        return;
    memset(&config, 0, sizeof config);
    config.limits.handshake_ms = 5000;
    config.limits.idle_ms = 60000;
    CHECK(start(&config));
    peer *p = net_connect();
    peer_text(p, GET);
    CHECK_EQ(peer_take_status(p), 200);
    p->in.size = 0;
    net_wait(30000);
    peer_text(p, "G");
    CHECK(net_settle());
    for (int i = 0; i < 4; i++) {
        net_wait(1000);
        peer_text(p, "E");
        CHECK(net_settle() && !p->ended);
    }
    net_wait(1001);
    CHECK(p->ended);
    CHECK_EQ(peer_status(p), 408);
    p = net_connect();
    peer_text(p, GET "GET");
    CHECK_EQ(peer_take_status(p), 200);
    p->in.size = 0;
    net_wait(5001);
    CHECK_EQ(peer_status(p), 408);
    p = net_connect();
    peer_text(p, GET);
    net_wait(55000);
    peer_text(p, "GET /ok HTTP/1.1\r\n");
    net_wait(4000);
    p->in.size = 0;
    peer_text(p, "Host: a\r\n\r\n");
    CHECK_EQ(peer_take_status(p), 200);
    p->in.size = 0;
    net_wait(59000);
    peer_upgrade(p, "/", NULL);
    CHECK_EQ(peer_take_status(p), 101);
    CHECK(peer_echo(p, "open"));
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_broadcasts();
    test_compression();
    test_idle();
    test_slow_head();
    return test_finish();
}
