/* BLOCKING: connections that fail, two at once, other ways to a server, calls that another thread ends. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/blocking.h"

/* --- a server that is a script --- */

static void script_text(script *s, const char *text) { script_send(s, text, strlen(text)); }

/* --- connections that fail --- */

static void play_refuse(script *s) {
    script_accept(s);
    script_text(s, "HTTP/1.1 404 Not Found\r\nX-Why: nothing here\r\nContent-Length: 9\r\n\r\nno such x");
    script_until_end(s);
}

static void play_lie(script *s) {
    script_accept(s);
    script_text(s, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    script_until_end(s);
}

static void play_nothing(script *s) {
    script_accept(s);
    script_until_end(s);
}

static void play_end(script *s) { script_accept(s); }

static void test_failed(void) {
    static const struct {
        const char *name;
        void (*play)(script *s);
        ws_error error;
        int status;
        const char *word;
    } fails[] = {{"404", play_refuse, WS_ERROR_REFUSED, 404, "404"},
                 {"no Accept", play_lie, WS_ERROR_HANDSHAKE, 101, "Sec-WebSocket-Accept"},
                 {"silence", play_nothing, WS_ERROR_TIMEOUT, 0, "127.0.0.1"},
                 {"an end", play_end, WS_ERROR_CLOSED, 0, "127.0.0.1"}};
    size_t i;
    for (i = 0; i < COUNT(fails); i++) {
        ws_client_config config = blocking();
        uint64_t before = milliseconds();
        ws_conn *conn;
        script s;
        if (!test_begin("a server that answers with %s: the connection has failed, and knows why", fails[i].name))
            continue;
        config.limits.handshake_ms = 80;
        if (i != 2)
            config.limits.handshake_ms = LAST_RESORT_MS;
        script_start(&s, fails[i].play);
        conn = connect_to(&s, &config);
        CHECK(conn != NULL);
        CHECK(milliseconds() - before < LAST_RESORT_MS / 2);
        CHECK_EQ(ws_last_error(conn), fails[i].error);
        CHECK(strstr(ws_last_error_text(conn), DETAIL(ws_last_error(conn), fails[i].word)) != NULL);
        CHECK_EQ(ws_status(conn), fails[i].status);
        if (fails[i].status == 404) {
            CHECK(ws_header(conn, "X-Why") && strcmp(ws_header(conn, "X-Why"), "nothing here") == 0);
            CHECK_STR(ws_body(conn), "no such x");
        }
        check_dead(conn, fails[i].error);
        CHECK(strstr(ws_last_error_text(conn), DETAIL(ws_last_error(conn), fails[i].word)) != NULL);
        end_of(conn);
        script_end(&s);
    }
}

static void test_failed_before(void) {
    static const char *const urls[] = {"", "nonsense", "ftp://127.0.0.1/", "ws://127.0.0.1:0/", "ws://127.0.0.1/#x",
        NULL};
    static const char *const lines[] = {"X: a\r\nY: b", NULL};
    ws_client_config config;
    ws_conn *conn;
    char url[60];
    size_t i;
    for (i = 0; i < COUNT(urls); i++) {
        if (!test_begin("a bad URL fails with WS_ERROR_URL: %s", urls[i] ? urls[i] : "NULL"))
            continue;
        config = blocking();
        conn = ws_connect(urls[i], &config);
        CHECK(conn != NULL);
        check_dead(conn, WS_ERROR_URL);
        CHECK_EQ(ws_status(conn), 0);
        end_of(conn);
        CHECK_EQ(net_descriptors(), descriptors);
    }
    if (test_begin("a bad header fails with WS_ERROR_ARGUMENT")) {
        config = blocking();
        config.headers = lines;
        conn = ws_connect("ws://127.0.0.1:1/", &config);
        check_dead(conn, WS_ERROR_ARGUMENT);
        end_of(conn);
    }
    if (test_begin("a port that refuses fails with WS_ERROR_CONNECT, at once")) {
        memset(&client, 0, sizeof client);
        config = blocking();
        (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)raw_refusing_port());
        conn = ws_connect(url, &config);
        CHECK(strstr(ws_last_error_text(conn), DETAIL(ws_last_error(conn), "127.0.0.1")) != NULL);
        check_dead(conn, WS_ERROR_CONNECT);
        end_of(conn);
        raw_close(&client.servers[0]);
        CHECK_EQ(net_descriptors(), descriptors);
    }
    if (test_begin("an address that does not answer fails at connect_ms")) {
        uint64_t before = milliseconds();
        memset(&client, 0, sizeof client);
        memset(&net, 0, sizeof net);
        config = blocking();
        config.connect_ms = 80;
        raw_server *hole = raw_listen_on(NULL, 0);
        if (raw_fill_hole(hole)) {
            before = milliseconds();
            conn = ws_connect(client_url(hole, "/"), &config);
            CHECK(milliseconds() - before >= 75 && milliseconds() - before < LAST_RESORT_MS / 2);
            CHECK(ws_last_error(conn) == WS_ERROR_TIMEOUT || ws_last_error(conn) == WS_ERROR_CONNECT);
            end_of(conn);
        } else {
            test_skip("connections do not wait here");
        }
        raw_forget();
        raw_close(hole);
        CHECK_EQ(net_descriptors(), descriptors);
    }
    if (test_begin("no memory: NULL, or a connection with an error")) {
        for (i = 1; i < 4; i++) {
            config = blocking();
            memory.fail_at = i;
            memory.fail_after = true;
            conn = ws_connect("ws://127.0.0.1:1/", &config);
            CHECK(!conn || ws_last_error(conn) == WS_ERROR_MEMORY);
            end_of(conn);
        }
    }
}

static void test_null(void) {
    ws_message message = {(const uint8_t *)"x", 1, WS_TEXT};
    char text[10];
    if (!test_begin("a NULL connection: every call does nothing"))
        return;
    ws_free(NULL);
    ws_drop(NULL);
    ws_set_user(NULL, text);
    ws_test_wait(NULL, 5);
    ws_test_cut(NULL);
    CHECK(!ws_receive(NULL, &message) && !ws_receive_within(NULL, &message, 5));
    CHECK(!ws_send(NULL, message) && !ws_send_text(NULL, "x") && !ws_send_binary(NULL, "x", 1));
    CHECK(!ws_send_part(NULL, message, true) && !ws_ping(NULL, NULL, 0) && !ws_close(NULL, 1000, NULL));
    CHECK_EQ(ws_state(NULL), WS_CLOSED);
    CHECK_EQ(ws_last_error(NULL), WS_ERROR_MEMORY);
    CHECK(ws_last_error_text(NULL) && *ws_last_error_text(NULL));
    CHECK(ws_closed(NULL).reason != NULL);
    CHECK(ws_status(NULL) == 0 && !ws_header(NULL, "x") && ws_user(NULL) == NULL && ws_conn_id(NULL) == 0);
    CHECK(ws_body(NULL) == NULL || !*ws_body(NULL));
    CHECK(ws_subprotocol(NULL) && !*ws_subprotocol(NULL));
    CHECK(!ws_peer(NULL, text, sizeof text) && !ws_peer_certificate(NULL, text, sizeof text) && !ws_tls_session(NULL));
    CHECK(ws_conn_server(NULL) == NULL && ws_conn_loop(NULL) == NULL && ws_test_connect(NULL, "/", NULL) == NULL);

    if (!test_begin("NULL as a message, or as the place to store one"))
        return;
    ws_client_config config = blocking();
    ws_conn *conn = ws_connect(served_start(NULL), &config);
    CHECK(!ws_receive(conn, NULL) && !ws_send_text(conn, NULL));
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK(ws_send_binary(conn, NULL, 0) && ws_receive(conn, &message) && message.size == 0);
    end_of(conn);
    served_end();
}

/* --- two at once, redirects, a proxy --- */

static void test_two(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *one, *two;
    if (!test_begin("two connections side by side"))
        return;
    (void)served_start(NULL);
    one = ws_connect(served.url, &config);
    two = ws_connect(served.url, &config);
    CHECK(ws_send_text(one, "one") && ws_send_text(two, "two"));
    CHECK(ws_receive(two, &message) && is_text(message, "two"));
    CHECK(ws_receive(one, &message) && is_text(message, "one"));
    CHECK(ws_close(one, 1000, NULL));
    CHECK(ws_send_text(two, "still") && ws_receive(two, &message) && is_text(message, "still"));
    ws_free(two);
    end_of(one);
    served_end();
}

static void play_redirect(script *s) {
    script_accept(s);
    script_text(s, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
    script_close(s);
    script_open(s);
    script_frames(s, "81\"here\"");
    script_until_more(s);
}

static void play_proxy(script *s) {
    script_accept(s);
    script_text(s, "HTTP/1.1 200 ok\r\n\r\n");
    (void)script_wait(s, 100);
    while (!s->ended && !(s->in.size > 4 && memcmp(s->in.data + s->in.size - 4, "\r\n\r\n", 4) == 0))
        script_more(s);
    memcpy(s->head, s->in.data, s->in.size);
    s->head[s->in.size] = 0;
    s->in.size = 0;
    script_answer(s, "\r\n");
    script_frames(s, "81\"here\"");
    script_until_more(s);
}

static void test_ways(void) {
    int proxy;
    for (proxy = 0; proxy < 2; proxy++) {
        ws_client_config config = blocking();
        ws_message message;
        char url[60];
        ws_conn *conn;
        script s;
        if (!test_begin("%s", proxy ? "through a proxy" : "by a redirect"))
            continue;
        config.receive_ms = LAST_RESORT_MS;
        script_start(&s, proxy ? play_proxy : play_redirect);
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)s.server.port);
        config.proxy = proxy ? url : NULL;
        conn = proxy ? ws_connect("ws://example.com/", &config) : connect_to(&s, &config);
        CHECK_EQ(ws_last_error(conn), WS_OK);
        CHECK(ws_receive(conn, &message) && is_text(message, "here"));
        end_of(conn);
        script_end(&s);
    }
}

/* Only clients in loops reconnect. */
static void test_no_reconnect(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("reconnect_ms has no effect on a blocking connection"))
        return;
    config.reconnect_ms = 1;
    config.receive_ms = LAST_RESORT_MS;
    script_start(&s, play_break);
    conn = connect_to(&s, &config);
    CHECK(ws_receive(conn, &message));
    CHECK(!ws_receive(conn, &message));
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK(!ws_receive(conn, &message));
    end_of(conn);
    script_end(&s);
}

/* --- both families --- */

static void test_race(void) {
    ws_client_config config = blocking();
    struct sockaddr_in6 six;
    uint64_t before;
    char url[60];
    ws_conn *conn;
    script s;
    if (!test_begin("ws_connect to localhost takes 250 ms if 127.0.0.1 does not answer and ::1 does"))
        return;
    config.connect_ms = LAST_RESORT_MS;
    memset(&net, 0, sizeof net);
    memset(&six, 0, sizeof six);
    memset(&client, 0, sizeof client);
    raw_server *hole = raw_listen_on(NULL, 0);
    six.sin6_family = AF_INET6;
    six.sin6_addr = in6addr_loopback;
    six.sin6_port = htons(hole->port);
    memset(&s, 0, sizeof s);
    s.play = play_freed;
    s.server.fd = socket(AF_INET6, SOCK_STREAM, 0);
    s.fd = -1;
    if (bind(s.server.fd, (struct sockaddr *)&six, sizeof six) != 0 || listen(s.server.fd, 8) != 0
        || !raw_fill_hole(hole)) {
        test_skip("no IPv6, or connections do not wait here");
    } else if (pthread_create(&s.thread, NULL, script_run, &s) == 0) {
        (void)snprintf(url, sizeof url, "ws://localhost:%u/", (unsigned)hole->port);
        before = milliseconds();
        conn = ws_connect(url, &config);
        before = milliseconds() - before;
        CHECK_EQ(ws_state(conn), WS_OPEN);
        CHECK(before >= 245 && before < LAST_RESORT_MS / 2); /* its share of connect_ms is no shorter */
        end_of(conn);
        (void)pthread_join(s.thread, NULL);
    }
    (void)close(s.server.fd);
    raw_close(hole);
    raw_forget();
    bytes_free(&s.in);
    CHECK_EQ(net_descriptors(), descriptors);
}

/* --- ended by another thread --- */

static ws_loop *lent; /* the connection's, which the script's thread stops */

static int gate[2];   /* a pipe: the script waits until the main thread writes a byte */

static ws_client_config lending(void) {
    ws_client_config config = blocking();
    ws_loop_config own;
    memset(&own, 0, sizeof own);
    own.allocator = config.allocator;
    config.loop = lent = ws_loop_new(&own);
    if (pipe(gate) != 0)
        abort();
    return config;
}

static void script_pass_gate(void) {
    char byte;
    CHECK_EQ(read(gate[0], &byte, 1), 1);
}

static void open_gate(void) { CHECK_EQ(write(gate[1], "x", 1), 1); }

/* The script's thread may still be inside ws_stop: it must end before the loop does. */
static void end_lending(ws_conn *conn, script *s) {
    ws_free(conn);
    (void)pthread_join(s->thread, NULL);
    ws_loop_free(lent);
    CHECK_EQ(memory.used, 0);
    CHECK(!memory.wrong);
    (void)close(gate[0]);
    (void)close(gate[1]);
    raw_close(&s->server);
    bytes_free(&s->in);
    CHECK_EQ(net_descriptors(), descriptors);
}

static void play_stop_receiving(script *s) {
    script_open(s);
    (void)script_wait(s, 2 + 4 + 2); /* "hi" */
    (void)ws_stop(lent);
    (void)script_wait(s, 2 + 4 + 2 + 2 + 4 + 5); /* "again" */
    script_frames(s, "81\"Hello\"");
    script_take(s, s->in.size);
    (void)script_wait(s, 2 + 4 + 2); /* its close frame, which is not answered */
    (void)ws_stop(lent);
    script_until_end(s);
}

static void play_stop_connecting(script *s) {
    script_accept(s);
    (void)ws_stop(lent);
    script_until_end(s);
}

static void play_stop_sending(script *s) {
    script_open(s);
    (void)script_wait(s, 2 + 4 + 2); /* "hi" */
    (void)ws_stop(lent);
    script_pass_gate();
    script_until_end(s);
}

static void test_stopped(void) {
    ws_message message;
    ws_conn *conn, *other;
    script s;
    if (test_begin("ws_stop in another thread ends ws_receive, which can be called again, and later ws_free")) {
        ws_client_config config = lending();
        config.limits.close_ms = 60000;
        script_start(&s, play_stop_receiving);
        conn = connect_to(&s, &config);
        CHECK(ws_send_text(conn, "hi"));
        CHECK(!ws_receive(conn, &message));
        CHECK_EQ(ws_last_error(conn), WS_ERROR_STOPPED);
        CHECK_EQ(ws_state(conn), WS_OPEN);
        CHECK(ws_send_text(conn, "again"));
        CHECK(ws_receive(conn, &message) && is_text(message, "Hello"));
        CHECK_EQ(ws_loop_stats(lent).messages_in, 1);
        (void)ws_close(conn, 1000, NULL);
        CHECK_EQ(ws_state(conn), WS_CLOSED);
        CHECK(!ws_receive(conn, &message));
        end_lending(conn, &s);
    }
    if (test_begin("ws_stop in another thread ends ws_connect")) {
        ws_client_config config = lending();
        config.limits.handshake_ms = 60000;
        script_start(&s, play_stop_connecting);
        conn = connect_to(&s, &config);
        CHECK(conn != NULL);
        CHECK_EQ(ws_last_error(conn), WS_ERROR_STOPPED);
        CHECK_EQ(ws_state(conn), WS_CLOSED);
        CHECK(strstr(ws_last_error_text(conn), DETAIL(ws_last_error(conn), "ws_stop")) != NULL);
        CHECK(!ws_receive(conn, &message) && !ws_send_text(conn, "x"));
        end_lending(conn, &s);
    }
    if (test_begin("ws_stop ends ws_send to a peer that reads nothing")) {
        ws_client_config config = lending();
        char *much = (char *)calloc(1, 1 << 20);
        unsigned sent;
        script_start(&s, play_stop_sending);
        conn = connect_to(&s, &config);
        CHECK(ws_send_text(conn, "hi"));
        for (sent = 0; sent < 64 && ws_send_binary(conn, much, 1 << 20);)
            sent++;
        CHECK(sent < 64);
        CHECK_EQ(ws_last_error(conn), WS_ERROR_STOPPED);
        CHECK_EQ(ws_state(conn), WS_OPEN);
        CHECK(ws_buffered(conn) > 0);
        open_gate();
        ws_drop(conn);
        free(much);
        end_lending(conn, &s);
    }
    if (test_begin("ws_stop while no call waits ends the next one that would; a loop can be reused, not shared")) {
        ws_client_config config = lending();
        unsigned turn;
        for (turn = 0; turn < 2; turn++) {
            script_start(&s, play_deaf);
            CHECK(ws_stop(lent));
            conn = connect_to(&s, &config);
            CHECK_EQ(ws_last_error(conn), WS_ERROR_STOPPED);
            other = ws_connect("ws://127.0.0.1:9/", &config);
            CHECK_EQ(ws_last_error(other), WS_ERROR_STATE);
            CHECK(strstr(ws_last_error_text(other), DETAIL(ws_last_error(other), "config.loop is in use")) != NULL);
            CHECK(!ws_send_text(other, "x") && ws_state(other) == WS_CLOSED);
            ws_free(other);
            ws_free(conn);
            (void)pthread_join(s.thread, NULL);
            raw_close(&s.server);
            bytes_free(&s.in);
        }
        script_start(&s, play_freed);
        conn = connect_to(&s, &config);
        CHECK_EQ(ws_last_error(conn), WS_OK);
        CHECK_EQ(ws_state(conn), WS_OPEN);
        end_lending(conn, &s);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_failed();
    test_failed_before();
    test_null();
    test_two();
    test_ways();
    test_no_reconnect();
    test_race();
    test_stopped();
    return test_finish();
}
