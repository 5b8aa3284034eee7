/* ENGINE, LOOP: after a failed creation all other calls are safe, and the reason is kept. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

/* Every call that takes an engine, on one that ws_engine_init refused: nothing happens, and the reason stays. */
static void check_refused(ws_engine *engine, ws_error error) {
    ws_engine other;
    ws_engine_config config;
    ws_event event;
    ws_pipe pipe;
    ws_message message = {(const uint8_t *)"a", 1, WS_BINARY};
    memset(&pipe, 0, sizeof pipe);
    memset(&config, 0, sizeof config);
    CHECK_EQ(ws_engine_error(engine), error);
    CHECK_EQ(ws_engine_state(engine), WS_CLOSED);
    CHECK(ws_engine_done(engine));
    CHECK_EQ(ws_engine_input(engine).size, 0);
    ws_engine_received(engine, 1);
    CHECK(!ws_engine_next(engine, &event));
    CHECK_EQ(ws_engine_output(engine).size, 0);
    ws_engine_sent(engine, 1);
    CHECK(ws_engine_tick(engine, 1000) == UINT64_MAX);
    CHECK(!ws_engine_accept(engine) && !ws_engine_respond(engine, 200, NULL, NULL));
    CHECK(!ws_engine_send(engine, message) && !ws_engine_send_part(engine, message, true));
    CHECK(!ws_engine_ping(engine, NULL, 0) && !ws_engine_close(engine, 1000, NULL));
    ws_engine_ended(engine);
    CHECK(ws_engine_init(&other, &config));
    pipe.ends[0] = engine;
    pipe.ends[1] = &other;
    CHECK_EQ(ws_pipe_step(&pipe), 0);
    ws_pipe_wait(&pipe, 1000);
    ws_engine_free(&other);
    CHECK_EQ(ws_engine_error(engine), error);
    ws_engine_free(engine);
    ws_engine_free(engine);
    CHECK_EQ(ws_engine_error(engine), error);
}

static bool no_random(void *user, void *data, size_t size) {
    (void)user, (void)data, (void)size;
    return false;
}

static void test_engine_refused(void) {
    static const char *const headers[] = {"Not a header", NULL};
    static uint8_t memory[2048];
    static const struct {
        const char *what;
        ws_role role;
        const char *host, *path, *subprotocols;
        size_t memory_size;
        bool headers, random_fails;
        ws_error error;
    } rows[] = {
        {"a client without a host", WS_ROLE_CLIENT, NULL, NULL, NULL, 0, false, false, WS_ERROR_ARGUMENT},
        {"a host with a line break", WS_ROLE_CLIENT, "a\r\nb", NULL, NULL, 0, false, false, WS_ERROR_ARGUMENT},
        {"a path without a slash", WS_ROLE_CLIENT, "a", "b", NULL, 0, false, false, WS_ERROR_ARGUMENT},
        {"a path with a fragment", WS_ROLE_CLIENT, "a", "/#b", NULL, 0, false, false, WS_ERROR_ARGUMENT},
        {"an offer that is no list", WS_ROLE_CLIENT, "a", NULL, "a,,;", 0, false, false, WS_ERROR_ARGUMENT},
        {"subprotocols with a line break", WS_ROLE_SERVER, NULL, NULL, "a\n", 0, false, false, WS_ERROR_ARGUMENT},
        {"a line that is no header", WS_ROLE_CLIENT, "a", NULL, NULL, 0, true, false, WS_ERROR_ARGUMENT},
        {"memory that is too small", WS_ROLE_SERVER, NULL, NULL, NULL, 1023, false, false, WS_ERROR_ARGUMENT},
        {"a random source that fails", WS_ROLE_CLIENT, "a", NULL, NULL, 0, false, true, WS_ERROR_RANDOM},
        {"and with memory of its own", WS_ROLE_CLIENT, "a", NULL, NULL, 2048, false, true, WS_ERROR_RANDOM},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ws_engine_config config;
        ws_engine engine;
        drive_memory counted;
        if (!test_begin("ws_engine_init is refused, and every other call does nothing: %s", rows[i].what))
            continue;
        memset(&config, 0, sizeof config);
        memset(&counted, 0, sizeof counted);
        memset(&engine, 0xa5, sizeof engine); /* as a variable on the stack may be */
        config.role = rows[i].role;
        config.host = rows[i].host;
        config.path = rows[i].path;
        config.subprotocols = rows[i].subprotocols;
        config.headers = rows[i].headers ? headers : NULL;
        config.memory = rows[i].memory_size ? memory : NULL;
        config.memory_size = rows[i].memory_size;
        config.random = rows[i].random_fails ? no_random : wsi_platform_random;
        config.allocator.resize = drive_resize;
        config.allocator.user = &counted;
        CHECK(!ws_engine_init(&engine, &config));
        check_refused(&engine, rows[i].error);
        CHECK_EQ(counted.used, 0);
    }
    for (int what = 0; what < 5; what++) {
        static const char *const names[] = {"origins", "a deflate config", "a role that is none",
                                            "output_size beyond memory_size", "output_size that leaves no input"};
        ws_deflate_config deflate;
        ws_engine_config config;
        ws_engine engine;
        if (!test_begin("ws_engine_init is refused, and every other call does nothing: %s", names[what]))
            continue;
        memset(&config, 0, sizeof config);
        memset(&deflate, 0, sizeof deflate);
        memset(&engine, 0xa5, sizeof engine);
        config.origins = what == 0 ? "a.example" : NULL;
        deflate.on = true;
        deflate.window_bits = 7;
        config.deflate = what == 1 ? &deflate : NULL;
        config.role = what == 2 ? (ws_role)2 : WS_ROLE_SERVER;
        config.memory = what >= 3 ? memory : NULL;
        config.memory_size = sizeof memory;
        config.output_size = what == 3 ? sizeof memory + 1 : sizeof memory - 100;
        CHECK(!ws_engine_init(&engine, &config));
        check_refused(&engine, WS_ERROR_ARGUMENT);
    }
    if (test_begin("ws_engine_init is refused: no config")) {
        ws_engine engine;
        memset(&engine, 0xa5, sizeof engine);
        CHECK(!ws_engine_init(&engine, NULL));
        check_refused(&engine, WS_ERROR_ARGUMENT);
        CHECK(!ws_engine_init(NULL, NULL));
    }
}

static void test_engine_memory(void) {
    if (!test_begin("ws_engine_init without memory: MEMORY, and every other call does nothing"))
        return;
    for (size_t at = 1;; at++) {
        ws_engine_config config;
        ws_engine engine;
        drive_memory counted;
        memset(&config, 0, sizeof config);
        memset(&counted, 0, sizeof counted);
        memset(&engine, 0xa5, sizeof engine);
        config.role = WS_ROLE_CLIENT;
        config.host = "a";
        config.random = wsi_platform_random;
        config.allocator.resize = drive_resize;
        config.allocator.user = &counted;
        counted.fail_at = at;
        if (ws_engine_init(&engine, &config)) {
            ws_engine_free(&engine);
            CHECK(at > 1);
            CHECK_EQ(counted.used, 0);
            break;
        }
        check_refused(&engine, WS_ERROR_MEMORY);
        CHECK_EQ(counted.used, 0);
    }
}

/* --- loops, servers, clients --- */

static void never(ws_loop *loop, void *user) { (void)loop, (void)user; }
static void never_ready(ws_loop *loop, ws_socket fd, unsigned ready, void *user) {
    (void)loop, (void)fd, (void)ready, (void)user;
}

/* What a program does with a loop, whether or not it checks its error. */
static void use_loop(ws_loop *loop) {
    ws_handler handler = net_handler();
    ws_server *server = ws_listen(loop, NULL);
    ws_conn *dialled = ws_dial(loop, "ws://127.0.0.1:1/", &handler, NULL), *tested;
    fd_set reads, writes;
    struct timeval timeout = {0, 0};
    int highest = -1;
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    CHECK(ws_header(dialled, "a") == NULL && ws_status(dialled) == 0 && ws_body(dialled)[0] == 0); /* no answer yet */
    CHECK(ws_last_error_text(dialled)[0] != 0);
    (void)ws_route(server, "/", &handler);
    (void)ws_page(server, "/page", "text/html", "a");
    (void)ws_port(server);
    tested = ws_test_connect(server, "/", NULL);
    (void)ws_send_text(tested, "a");
    (void)ws_receive_within(tested, &(ws_message){NULL, 0, WS_TEXT}, 0);
    ws_free(tested);
    (void)ws_cancel(loop, ws_after(loop, 1, never, NULL));
    (void)ws_watch(loop, 0, WS_NONE, never_ready, NULL);
    (void)ws_loop_fds(loop, &reads, &writes, &highest, &timeout);
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    (void)ws_loop_dispatch(loop, &reads, &writes);
    CHECK(ws_loop_error_text(loop)[0] != 0);
    (void)ws_stop(loop);
    if (loop)
        (void)ws_run_once(loop, 0);
    ws_server_free(server);
    ws_loop_free(loop);
}

static void test_loop_without_memory(void) {
    if (!test_begin("a loop without memory: all calls are safe, nothing leaks"))
        return;
    for (size_t at = 1; at < 200; at++) {
        ws_loop_config config;
        drive_memory counted;
        memset(&net, 0, sizeof net);
        memset(&config, 0, sizeof config);
        memset(&counted, 0, sizeof counted);
        net.now = 1000;
        config.virtual_clock = true;
        config.allocator.resize = drive_resize;
        config.allocator.user = &counted;
        counted.fail_at = at;
        counted.fail_after = at % 2 == 0;
        use_loop(ws_loop_new(&config));
        CHECK_EQ(counted.used, 0);
        CHECK(!counted.wrong);
        bytes_free(&net.log);
        if (counted.calls < at)
            break;
    }
}

static void test_client_without_memory(void) {
    if (!test_begin("ws_connect without memory: NULL or a reason, and every other call does nothing"))
        return;
    for (size_t at = 1; at < 200; at++) {
        ws_client_config config;
        drive_memory counted;
        ws_message message;
        ws_conn *conn;
        memset(&config, 0, sizeof config);
        memset(&counted, 0, sizeof counted);
        config.allocator.resize = drive_resize;
        config.allocator.user = &counted;
        counted.fail_at = at;
        conn = ws_connect("ws://127.0.0.1:1/", &config); /* nobody listens there */
        CHECK(ws_last_error(conn) != WS_OK && ws_last_error_text(conn)[0] != 0);
        CHECK(!ws_send_text(conn, "a") && !ws_receive(conn, &message) && !ws_close(conn, 1000, NULL));
        CHECK(ws_header(conn, "a") == NULL && ws_status(conn) == 0 && ws_body(conn)[0] == 0);
        CHECK_EQ(ws_state(conn) == WS_OPEN, false);
        ws_free(conn);
        CHECK_EQ(counted.used, 0);
        if (counted.calls < at)
            break;
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_engine_refused();
    test_engine_memory();
    test_loop_without_memory();
    test_client_without_memory();
    return test_finish();
}
