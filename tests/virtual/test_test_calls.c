/* TEST, BLOCKING: calls from the wrong place, the program's own clocks, waits that nothing would end. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

/* A loop may have a virtual clock, a clock of the program, and a wall clock of the program. */
static uint64_t a_wall(void *user) { return *(const uint64_t *)user; }

static void test_clocks(void) {
    static uint64_t seconds = 784111777;
    for (int own = 0; own < 4; own++) {
        ws_loop_config config;
        if (!test_begin("a virtual clock, %s clock, %s wall clock", own & 1 ? "a" : "no", own & 2 ? "a" : "no"))
            continue;
        memset(&config, 0, sizeof config);
        config.virtual_clock = true;
        config.clock = own & 1 ? a_wall : NULL;
        config.clock_user = &seconds;
        config.wall_clock = own & 2 ? a_wall : NULL;
        ws_loop *loop = ws_loop_new(&config);
        CHECK_EQ(ws_loop_error(loop), WS_OK);
        CHECK_EQ(ws_now(loop) == seconds, own & 1);
        CHECK_EQ(loop->wall_clock == a_wall, own >= 2);
        ws_loop_free(loop);
    }
}

static ws_conn *inner;

/* In a callback of the server's the client's end cannot move: the server's loop runs already. */
static void ask_inside(ws_conn *conn, unsigned number, ws_message message) {
    uint64_t before = ws_now(net.loop);
    ws_message got;
    ws_conn *other;
    (void)conn;
    (void)number;
    (void)message;
    if (!inner)
        return;
    ws_test_wait(inner, 1000);
    CHECK_EQ(ws_now(net.loop), before);
    CHECK(!ws_receive_within(inner, &got, 1000));
    CHECK_EQ(ws_last_error(inner), WS_ERROR_STATE);
    other = behaviour_connect("/", NULL);
    CHECK_EQ(ws_last_error(other), WS_ERROR_STATE);
    inner = NULL;
}

static void test_inside(void) {
    if (!test_begin("a test client in a callback of its server"))
        return;
    CHECK(behaviour_start());
    ws_conn *conn = inner = behaviour_open("/");
    ws_conn *second = behaviour_open("/");
    net.on_message = ask_inside;
    CHECK(ws_send_text(second, "now"));
    behaviour_wait(0);
    CHECK(!inner);
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    BEHAVIOUR_END();
}

/* Blocking calls are for blocking clients alone. */
static void test_others_wait(void) {
    ws_message message;
    if (!test_begin("blocking calls on connections that are not blocking clients"))
        return;
    CHECK(behaviour_start());
    ws_conn *conn = behaviour_open("/"), *server = net.conns[1];
    CHECK(!ws_receive_within(conn, NULL, 1) && !ws_receive(conn, NULL) && !ws_receive(NULL, &message));
    CHECK(!ws_receive_within(NULL, &message, 1));
    CHECK(!ws_receive(server, &message) && !ws_receive_within(server, &message, 1));
    CHECK_EQ(ws_last_error(server), WS_ERROR_ARGUMENT);
    ws_test_wait(server, 100);
    ws_test_wait(NULL, 100);
    ws_test_cut(server);
    ws_free(server); /* the caller does not own it */
    CHECK_EQ(ws_state(server), WS_OPEN);
    CHECK(ws_send_text(conn, "still there"));
    CHECK_GETS(conn, "t:still there");
    ws_conn *dialed = ws_dial(net.loop, "ws://127.0.0.1:1/", NULL, NULL);
    ws_free(dialed);
    ws_test_wait(dialed, 100);
    CHECK(!ws_receive(dialed, &message));
    BEHAVIOUR_END();
}

/* Without any deadline nothing would ever wake a wait. */
static void test_for_ever(void) {
    ws_client_config config;
    ws_server_config server;
    ws_limits *limits = &config.limits;
    ws_message message;
    if (!test_begin("a wait that nothing could end"))
        return;
    memset(&config, 0, sizeof config);
    memset(&server, 0, sizeof server);
    limits->ping_ms = limits->pong_ms = limits->handshake_ms = limits->close_ms = WS_OFF;
    server.limits = *limits;
    CHECK(behaviour_start_with(&server));
    ws_conn *conn = behaviour_connect("/", &config);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK(!ws_receive_within(conn, &message, WS_OFF));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TIMEOUT);
    BEHAVIOUR_END();
}

static void test_ended_server(void) {
    if (!test_begin("a server that ends"))
        return;
    CHECK(behaviour_start());
    (void)behaviour_open("/");
    CHECK(ws_shutdown(net.loop, 1000));
    behaviour_wait(0);
    CHECK_EQ(ws_last_error(behaviour_connect("/", NULL)), WS_ERROR_STATE);
    BEHAVIOUR_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_clocks();
    test_inside();
    test_others_wait();
    test_for_ever();
    test_ended_server();
    return test_finish();
}
