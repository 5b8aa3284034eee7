/* BOUNDS, SERVER: bounds that are off by default, and what a hook decides for one connection. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

static void answer(ws_request *request, void *user) {
    (void)user;
    (void)ws_reply(request, 200, NULL, "ok");
}

static void host(ws_request *request, void *user) {
    ws_slice name = ws_request_header(request, "host");
    (void)user;
    (void)ws_reply_data(request, 200, NULL, name.data, name.size);
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

/* --- bounds of addresses --- */

#ifndef WS_NO_FORWARD

/* Units of a rate that one call after the other spends at the same time; when the peer has to wait, and how long. */
static void test_arithmetic(void) {
    static const struct { uint32_t rate; uint64_t units; unsigned calls, wait; } cases[] = {
        {1, 1, 1, 0}, {1, 1, 2, 1000}, {2, 1, 2, 0}, {2, 1, 3, 500}, {3, 1, 4, 334}, {1000, 1000, 1, 0},
        {1000, 1001, 1, 1}, {1000, 1, 1001, 1}, {4294967295u, 4294967295u, 2, 1000}, {1000000, 3000000, 1, 2000},
        {100000000, 60, 5000000, 2000}, /* 300 MB in messages of 60 bytes */
    };
    if (!test_begin("a rate counts what small messages use as exactly as what large ones use"))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t paid = 0, wait = 0, most = cases[i].wait;
        for (unsigned k = 0; k < cases[i].calls; k++)
            wait = wsi_bounds_spend(&paid, 1700000000000u, cases[i].rate, cases[i].units);
        CHECK(wait <= most && wait + most / 500 >= most); /* 0.2 % */
        CHECK(wsi_bounds_spend(&paid, 1700000000000u + wait, cases[i].rate, 0) == 0);
    }
}

/* The status of a new connection's answer; it stays open after 101. more: header lines. */
static int join(const char *more) {
    peer *p = net_connect();
    peer_upgrade(p, "/", more);
    return peer_take_status(p);
}

static int join_from(const char *address) {
    char more[200];
    (void)snprintf(more, sizeof more, "X-Forwarded-For: %s\r\n", address);
    return join(more);
}

static void test_connections(void) {
    ws_server_config config;
    size_t i;
    if (!test_begin("open connections of one address"))
        return;
    memset(&config, 0, sizeof config);
    config.address_connections = 3;
    config.limits.close_ms = 1000;
    CHECK(start(&config));
    for (i = 0; i < 3; i++)
        CHECK_EQ(join(NULL), 101);
    for (i = 0; i < 3; i++)
        CHECK_EQ(join("X-Forwarded-For: 10.0.0.1\r\n"), 503); /* nobody trusts it */
    ws_drop(net.conns[2]);
    CHECK(net_settle());
    CHECK_EQ(join(NULL), 101);
    CHECK_EQ(join(NULL), 503);
    CHECK_EQ(net.server->bounds->addresses.count, 1);
    for (i = 1; i <= 4; i++)
        ws_drop(net.conns[i]);
    CHECK(net_settle());
    CHECK_EQ(net.server->bounds->addresses.count, 0);
    peer *p = net_connect(); /* each connection counts, whatever number of requests it sends */
    for (i = 0; i < 5; i++) {
        peer_text(p, GET);
        CHECK_EQ(peer_take_status(p), 200);
        p->in.size = 0;
    }
    NET_END();
}

/* A peer that never ends its stream keeps a descriptor until close_ms. */
static void test_closing(void) {
    ws_server_config config;
    size_t i;
    if (!test_begin("a connection of an address counts until its descriptor is closed"))
        return;
    memset(&config, 0, sizeof config);
    config.address_connections = 3;
    config.limits.close_ms = 5000;
    CHECK(start(&config));
    for (i = 0; i < 3; i++) {
        CHECK_EQ(join(NULL), 101);
        peer_frames(&net.peers[i], "88<03e8>");
        CHECK(net_settle() && net.closed == i + 1);
    }
    CHECK_EQ(join(NULL), 503);
    peer_close(&net.peers[0]);
    CHECK(net_settle());
    CHECK_EQ(join(NULL), 101);
    CHECK_EQ(join(NULL), 503);
    net_wait(5001);
    CHECK_EQ(join(NULL), 101);
    CHECK_EQ(net.server->bounds->addresses.count, 1);
    NET_END();
}

static void test_connection_rate(void) {
    ws_server_config config;
    int i;
    if (!test_begin("new connections of one address in a second"))
        return;
    memset(&config, 0, sizeof config);
    config.address_rate = 4;
    CHECK(start(&config));
    for (i = 0; i < 4; i++)
        CHECK_EQ(join(NULL), 101);
    CHECK_EQ(join(NULL), 503);
    CHECK_EQ(join(NULL), 503);
    net_wait(249);
    CHECK_EQ(join(NULL), 503);
    net_wait(1);
    CHECK_EQ(join(NULL), 101);
    CHECK_EQ(join(NULL), 503);
    net_wait(60000);
    for (i = 0; i < 4; i++)
        CHECK_EQ(join(NULL), 101);
    CHECK_EQ(join(NULL), 503);
    NET_END();
}

/* The system accepts a connection that was reset already, delivers its bytes, but cannot tell its address. */
static void test_reset(void) {
    static const char request[] = "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n";
    ws_server_config config;
    if (!test_begin("connections that are reset before they are accepted do not get around address_rate"))
        return;
    memset(&config, 0, sizeof config);
    config.address_rate = 4;
    CHECK(start(&config));
    for (int i = 0; i < 20; i++) {
        peer *p = net_connect();
        peer_text(p, request);
        peer_reset(p);
    }
    CHECK(net_settle());
    CHECK(ws_server_stats(net.server).accepted <= 4);
    CHECK_EQ(join(NULL), 101);
    NET_END();
}

static void test_reset_counts_nothing(void) {
    ws_server_config config;
    if (!test_begin("a connection that is reset before it is accepted does not end the count of the one before it"))
        return;
    memset(&config, 0, sizeof config);
    config.address_connections = 2;
    config.address_rate = 100; /* keeps the address without connections */
    CHECK(start(&config));
    CHECK_EQ(join(NULL), 101);
    CHECK_EQ(join(NULL), 101);
    peer_close(&net.peers[1]);
    CHECK(net_settle());
    for (int i = 0; i < 3; i++)
        peer_reset(net_connect());
    CHECK(net_settle());
    CHECK_EQ(join(NULL), 101);
    CHECK_EQ(join(NULL), 503);
    NET_END();
}

/* Through a trusted proxy an address is known once the head has arrived. */
static void test_forwarded(void) {
    static const struct { const char *first, *second; bool same; } cases[] = {
        {"10.0.0.1", "10.0.0.1", true}, {"10.0.0.1", "10.0.0.2", false}, {"10.0.0.1", "::ffff:10.0.0.1", true},
        {"[2001:db8:1:2::3]:80", "2001:db8:1:2:ffff::", true}, {"2001:db8:1:2::3", "2001:db8:1:3::3", false},
        {"1.2.3.4:5, 10.0.0.9", "10.0.0.9", true}, {"::2", "::1", true},
        {"::ffff:0:1", "::1", false}, {"::ffff:1.2.3.4", "::1", false}};
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.address_connections = 1;
    config.proxies = "127.0.0.1";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!test_begin("one connection of each address: %s and %s", cases[i].first, cases[i].second))
            continue;
        CHECK(start(&config));
        CHECK_EQ(join_from(cases[i].first), 101);
        CHECK_EQ(join_from(cases[i].second), cases[i].same ? 503 : 101);
        CHECK_EQ(join(NULL), 101); /* the proxy itself does not count */
        CHECK_EQ(join(NULL), 101);
        ws_drop(net.conns[1]);
        CHECK(net_settle());
        CHECK_EQ(join_from(cases[i].first), 101);
        NET_END();
    }
}

/* A new connection to a server on ::1; its answer's status. */
static int join_ipv6(const char *more) {
    struct sockaddr_in6 address;
    peer *p = &net.peers[net.peer_count++];
    memset(p, 0, sizeof *p);
    memset(&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(ws_port(net.server));
    address.sin6_addr = in6addr_loopback;
    p->fd = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQ(connect(p->fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(fcntl(p->fd, F_SETFL, O_NONBLOCK), 0);
    peer_upgrade(p, "/", more);
    return peer_take_status(p);
}

static void test_ipv6(void) {
    static const char *const proxies[] = {NULL, "::1", "::/1", "127.0.0.1, ::2"};
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++) {
        bool trusted = i == 1 || i == 2;
        ws_server_config config;
        if (!test_begin("one connection of each address, from ::1; proxies: %s", proxies[i] ? proxies[i] : "none"))
            continue;
        memset(&config, 0, sizeof config);
        config.host = "::1";
        config.address_connections = 1;
        config.proxies = proxies[i];
        if (!start(&config)) {
            CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ADDRESS);
            NET_END();
            test_skip("no IPv6 here");
            return;
        }
        CHECK_EQ(join_ipv6("X-Forwarded-For: 10.0.0.1\r\n"), 101);
        CHECK_EQ(join_ipv6("X-Forwarded-For: 10.0.0.2\r\n"), trusted ? 101 : 503); /* ::1 itself counts */
        CHECK_EQ(join_ipv6("X-Forwarded-For: 10.0.0.1\r\n"), 503);
        NET_END();
    }
}

static void test_proxy_protocol(void) {
    static const char *const names[] = {"10.0.0.1", "10.0.0.1", "10.0.0.2"};
    static const int statuses[] = {101, 503, 101};
    ws_server_config config;
    if (!test_begin("one connection of each address that a PROXY header names"))
        return;
    memset(&config, 0, sizeof config);
    config.address_connections = 1;
    config.proxies = "127.0.0.1";
    config.proxy_protocol = true;
    CHECK(start(&config));
    for (size_t i = 0; i < 3; i++) {
        char line[100];
        peer *p = net_connect();
        (void)snprintf(line, sizeof line, "PROXY TCP4 %s 127.0.0.1 5000 80\r\n", names[i]);
        peer_text(p, line);
        peer_upgrade(p, "/", NULL);
        CHECK_EQ(peer_take_status(p), statuses[i]);
    }
    NET_END();
}

/* Addresses without connections are remembered for their rate, but not many, and not for long. */
static void test_many_addresses(void) {
    enum { ADDRESSES = 6000 };
    ws_server_config config;
    size_t before, after;
    if (!test_begin("memory for %d addresses", ADDRESSES))
        return;
    memset(&config, 0, sizeof config);
    config.address_connections = 100;
    config.address_rate = 1;
    config.proxies = "127.0.0.1";
    CHECK(start(&config));
    CHECK_EQ(join(NULL), 101);
    before = net.loop->memory.used;
    for (int i = 0; i < ADDRESSES; i++) {
        uint8_t address[16] = {0x20, 1, (uint8_t)(i >> 8), (uint8_t)i};
        CHECK(wsi_bounds_enter(net.conns[1], address));
        wsi_bounds_leave(net.conns[1]);
    }
    after = net.loop->memory.used;
    CHECK(net.server->bounds->addresses.count <= WSI_BOUNDS_UNUSED + net.server->endpoint.count);
    CHECK(after - before < WSI_BOUNDS_UNUSED * 120 + 70000);
    net_wait(1000);
    CHECK_EQ(join_from("10.0.0.1"), 101);
    CHECK_EQ(net.server->bounds->addresses.count, 1);
    NET_END();
}

/* --- bounds of connections --- */

static void rate_start(uint32_t messages, uint32_t size, bool closes) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.message_rate = messages;
    config.byte_rate = size;
    config.rate_closes = closes;
    CHECK(start(&config));
    net.echo = false;
}

static void test_message_rate(void) {
    if (!test_begin("beyond message_rate a connection waits; nothing is lost; others are served"))
        return;
    rate_start(4, 0, false);
    peer *p = net_peer("/"), *other = net_peer("/");
    net.log.size = 0;
    peer_frames(p, "81\"1\" 81\"2\" 81\"3\" 81\"4\" 81\"5\" 81\"6\" 81\"7\"");
    CHECK(net_settle());
    CHECK_LOG("t1:1 t1:2 t1:3 t1:4 t1:5");
    peer_frames(other, "81\"a\" 81\"b\"");
    net_wait(249);
    CHECK_LOG("t2:a t2:b");
    net_wait(1);
    CHECK_LOG("t1:6");
    net_wait(250);
    CHECK_LOG("t1:7");
    net_wait(60000);
    peer_frames(p, "2x81\"x\" 8a\"\" 81\"y\" 81\"z\" 81\"!\"");
    CHECK(net_settle());
    CHECK_LOG("t1:x t1:x t1:y t1:z"); /* the pong counts */
    CHECK(ws_close(net.conns[1], 1000, NULL));
    peer_frames(p, "88<03e8>");
    CHECK(net_settle());
    CHECK_LOG("c1:1000::y");
    NET_END();
}

static void test_byte_rate(void) {
    if (!test_begin("beyond byte_rate a connection waits, longer for a large message"))
        return;
    rate_start(0, 1000, false);
    peer *p = net_peer("/");
    net.log.size = 0;
    peer_frames(p, "82#600 82#400 82#3000 82#1");
    CHECK(net_settle());
    CHECK_LOG("b1:600 b1:400 b1:3000");
    net_wait(2999);
    CHECK_LOG("");
    net_wait(1);
    CHECK_LOG("b1:1");
    NET_END();
}

static void test_control_rate(void) {
    if (!test_begin("pings and pongs count by their bytes, each as a message"))
        return;
    rate_start(4, 0, false);
    peer *p = net_peer("/");
    peer_frames(p, "89\"1\" 8a\"2\" 89\"3\" 8a\"4\" 89\"5\" 89\"6\" 81\"7\"");
    CHECK_FRAMES(p, "8a\"1\" 8a\"3\" 8a\"5\"");
    net_wait(250);
    CHECK_FRAMES(p, "8a\"6\"");
    CHECK_LOG("o1");
    net_wait(250);
    CHECK_LOG("t1:7");
    NET_END();
}

/* If they counted, each would pause the connection, which closing resumes at once (20 times the work), or close it. */
static void test_closing_rate(void) {
    for (int closes = 0; closes < 2; closes++) {
        if (!test_begin("pings after our close do not count%s", closes ? ", nor close it again" : ""))
            continue;
        rate_start(2, 0, closes == 1);
        peer *p = net_peer("/");
        CHECK(ws_close(net.conns[1], 1000, NULL));
        peer_frames(p, "9x89\"\"");
        CHECK(net_settle());
        CHECK_EQ(wsi_bounds_slot(net.conns[1])->messages, 0);
        CHECK_EQ(ws_last_error(net.conns[1]), WS_OK);
        peer_frames(p, "88<03e8>");
        CHECK(net_settle());
        CHECK_LOG("o1 c1:1000::y");
        NET_END();
    }
}

static void test_rate_and_pause(void) {
    if (!test_begin("a rate's pause and the program's: both have to end"))
        return;
    rate_start(1, 0, false);
    peer *p = net_peer("/");
    net.log.size = 0;
    peer_frames(p, "81\"1\" 81\"2\" 81\"3\" 81\"4\"");
    CHECK(net_settle());
    CHECK_LOG("t1:1 t1:2");
    CHECK(ws_resume(net.conns[1]) && net_settle());
    CHECK_LOG("");
    CHECK(ws_pause(net.conns[1]));
    net_wait(1000);
    CHECK_LOG("");
    CHECK(ws_resume(net.conns[1]) && net_settle());
    CHECK_LOG("t1:3");
    ws_server_free(net.server);
    CHECK(net_settle());
    CHECK_LOG("c1:1006::n");
    NET_END();
}

static void test_rate_closes(void) {
    if (!test_begin("with rate_closes a connection is closed with 1008"))
        return;
    rate_start(2, 0, true);
    peer *p = net_peer("/");
    net.log.size = 0;
    peer_frames(p, "81\"1\" 81\"2\" 81\"3\" 81\"4\" 88<03f0>");
    CHECK_FRAMES(p, "88<03f0>\"too many messages\"");
    CHECK_LOG("t1:1 t1:2 c1:1008::y");
    NET_END();
}

static void test_chunk_rate(void) {
    ws_handler handler = net_handler();
    if (!test_begin("chunks count by their bytes, their message once"))
        return;
    rate_start(1, 1000, false);
    handler.on_chunk = net_chunk;
    CHECK(ws_route(net.server, "/chunks", &handler));
    peer *p = net_peer("/chunks");
    net.log.size = 0;
    peer_frames(p, "02#600");
    CHECK(net_settle());
    peer_frames(p, "80#400");
    CHECK(net_settle());
    peer_frames(p, "82#1 82#1");
    CHECK(net_settle());
    CHECK_LOG("k1:600f k1:400l k1:1fl");
    net_wait(1000);
    CHECK_LOG("k1:1fl");
    NET_END();
}

/* --- origins behind a proxy --- */

static void test_origin(void) {
    static const struct { const char *lines; int trusted, foreign; } cases[] = {
        {"Origin: https://a.example\r\n", 403, 403},
        {"Origin: https://a.example\r\nX-Forwarded-Host: a.example\r\n", 101, 403},
        {"Origin: https://a.example:8443\r\nX-Forwarded-Host: a.example:8443\r\n", 101, 403},
        {"Origin: https://a.example:8443\r\nX-Forwarded-Host: a.example\r\n", 403, 403},
        {"Origin: http://a.example\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Proto: https\r\n", 403, 403},
        {"Origin: http://a.example\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Proto: http\r\n", 101, 403},
        {"Origin: https://a.example\r\nX-Forwarded-Host: b.example, a.example\r\nX-Forwarded-Proto: HTTPS\r\n", 101,
         403},
        {"Origin: https://a.example\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Host: b.example\r\n", 403, 403},
        {"Origin: https://a.example\r\nX-Forwarded-Host: a.example,\r\nX-Forwarded-Host:\r\n", 101, 403},
        {"Origin: https://127.0.0.1:%u\r\nX-Forwarded-Host: a.example\r\n", 403, 101},
        {"Origin: https://127.0.0.1:%u\r\nX-Forwarded-Host: a/b\r\n", 403, 101},
        {"Origin: http://127.0.0.1:%u\r\nX-Forwarded-Proto: https\r\n", 403, 101},
        {"Origin: http://127.0.0.1:%u\r\n", 101, 101}};
    ws_server_config config;
    memset(&config, 0, sizeof config);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int trusted = 0; trusted < 2; trusted++) {
            const char *own = strstr(cases[i].lines, "%u");
            char lines[400];
            if (!test_begin("the origin behind a%s proxy, %zu", trusted ? " trusted" : "n unknown", i))
                continue;
            config.proxies = trusted ? "127.0.0.1" : "10.0.0.1";
            CHECK(start(&config));
            (void)snprintf(lines, sizeof lines, "%s", cases[i].lines);
            if (own)
                (void)snprintf(lines, sizeof lines, "%.*s%u%s", (int)(own - cases[i].lines), cases[i].lines,
                               (unsigned)ws_port(net.server), own + 2);
            CHECK_EQ(join(lines), trusted ? cases[i].trusted : cases[i].foreign);
            NET_END();
        }
    }
}

#ifndef WS_NO_HTTP
static void test_origin_of_post(void) {
    ws_server_config config;
    if (!test_begin("a POST behind a trusted proxy; Host is unchanged"))
        return;
    memset(&config, 0, sizeof config);
    config.proxies = "127.0.0.1";
    CHECK(start(&config) && ws_http(net.server, "POST", "/post", host, NULL));
    peer *p = net_connect();
    peer_text(p, "POST /post HTTP/1.1\r\nHost: inner\r\nContent-Length: 0\r\nOrigin: https://a.example\r\n"
                 "X-Forwarded-Host: a.example\r\n\r\n");
    CHECK_EQ(peer_status(p), 200);
    CHECK(peer_has(p, "\r\n\r\ninner"));
    NET_END();
}
#endif

static void test_bounds(void) {
    test_arithmetic();
    test_origin();
#ifndef WS_NO_HTTP
    test_origin_of_post();
#endif
    test_connections();
    test_closing();
    test_connection_rate();
    test_reset();
    test_reset_counts_nothing();
    test_forwarded();
    test_ipv6();
    test_proxy_protocol();
    test_many_addresses();
    test_message_rate();
    test_byte_rate();
    test_control_rate();
    test_closing_rate();
    test_rate_and_pause();
    test_rate_closes();
    test_chunk_rate();
}
#else
static void test_bounds(void) {}
#endif

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_broadcasts();
    test_compression();
    test_idle();
    test_slow_head();
    test_bounds();
    return test_finish();
}
