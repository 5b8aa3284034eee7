/* BLOCKING: the blocking calls. The peer is a loop in a thread of its own, or a script that sends a server's bytes.
   Deadlines are in real time, and short. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/blocking.h"

/* --- a server that is a script --- */

static void script_reset(script *s) {
    struct linger linger = {1, 0};
    (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    script_close(s);
}

/* --- tests --- */

static void test_happy(void) {
    ws_client_config config = blocking();
    ws_message message;
    char text[64];
    ws_conn *conn;
    if (!test_begin("connect, send, receive, close, free"))
        return;
    config.subprotocols = "x, chat";
    conn = ws_connect(served_start(NULL), &config);
    CHECK_EQ(ws_last_error(conn), WS_OK);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK_EQ(ws_status(conn), 101);
    CHECK_STR(ws_subprotocol(conn), "chat");
    CHECK(ws_header(conn, "upgrade") && !ws_header(conn, "nothing"));
    CHECK(ws_peer(conn, text, sizeof text) && strncmp(text, "127.0.0.1:", 10) == 0);
    CHECK_EQ(ws_closed(conn).code, 0);
    CHECK(ws_conn_server(conn) == NULL && ws_conn_id(conn) != 0 && ws_user(conn) == NULL);
    ws_set_user(conn, text);
    CHECK(ws_user(conn) == text);
    CHECK(ws_send_text(conn, "hello"));
    CHECK_EQ(ws_buffered(conn), 0); /* ws_send waited until the system had all of it */
    CHECK(ws_receive(conn, &message) && is_text(message, "hello"));
    CHECK(ws_send_binary(conn, "\0\1\2", 3));
    CHECK(ws_receive(conn, &message) && message.type == WS_BINARY && message.size == 3 && message.data[1] == 1);
    CHECK(ws_send_text(conn, ""));
    CHECK(ws_receive(conn, &message) && is_text(message, ""));
    CHECK(!ws_send_text(conn, "\xff") && ws_last_error(conn) == WS_ERROR_UTF8);
    CHECK(!ws_join(conn, "room") && !ws_broadcast_text(conn, NULL, "x"));
    message.data = (const uint8_t *)"part";
    message.size = 4;
    message.type = WS_TEXT;
    CHECK(ws_send_part(conn, message, false) && ws_send_part(conn, message, true));
    CHECK(ws_ping(conn, "p", 1));
    CHECK(ws_receive(conn, &message) && is_text(message, "partpart"));
    CHECK(ws_close(conn, 4000, "bye"));
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK_EQ(ws_closed(conn).code, 4000);
    CHECK(ws_closed(conn).clean);
    CHECK(!ws_receive(conn, &message));
    end_of(conn);
    served_end();
    CHECK(served.opened == 1 && served.code == 4000);
}

static void test_defaults(void) {
    ws_message message;
    ws_conn *conn;
    if (!test_begin("ws_connect without a config"))
        return;
    descriptors = net_descriptors();
    conn = ws_connect(served_start(NULL), NULL);
    CHECK(ws_send_text(conn, "hello") && ws_receive(conn, &message) && is_text(message, "hello"));
    ws_free(conn);
    served_end();
    CHECK_EQ(served.code, 1000);
}

static void test_unix_path(void) {
    ws_client_config config = blocking();
    ws_message message;
    char path[60];
    ws_conn *conn;
    if (!test_begin("over a Unix socket") || !test_posix("Unix sockets"))
        return;
    (void)snprintf(path, sizeof path, "./ws_test_blocking_%d.sock", (int)getpid());
    (void)served_start(path);
    config.unix_path = path;
    conn = ws_connect("ws://localhost/", &config);
    CHECK_EQ(ws_last_error(conn), WS_OK);
    CHECK(ws_send_text(conn, "hello") && ws_receive(conn, &message) && is_text(message, "hello"));
    end_of(conn);
    served_end();
    CHECK(access(path, F_OK) != 0);
}

static void test_big(void) {
    enum { SIZE = 4 << 20 };
    static uint8_t data[SIZE];
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    size_t i;
    if (!test_begin("echoes of 4 MiB, binary and text, and 100 of 40,000 bytes"))
        return;
    for (i = 0; i < SIZE; i++)
        data[i] = (uint8_t)((i * 2654435761u) >> 13);
    conn = ws_connect(served_start(NULL), &config);
    CHECK(ws_send_binary(conn, data, SIZE));
    CHECK(ws_receive(conn, &message) && message.size == SIZE && memcmp(message.data, data, SIZE) == 0);
    for (i = 0; i < SIZE; i++)
        data[i] = (uint8_t)('a' + data[i] % 26);
    message.data = data;
    message.size = SIZE;
    message.type = WS_TEXT;
    CHECK(ws_send(conn, message));
    CHECK(ws_receive(conn, &message) && message.size == SIZE && message.type == WS_TEXT && memcmp(message.data, data,
        SIZE) == 0);
    for (i = 0; i < 100; i++)
        CHECK(ws_send_binary(conn, data + i, 40000));
    for (i = 0; i < 100; i++)
        CHECK(ws_receive(conn, &message) && message.size == 40000 && memcmp(message.data, data + i, 40000) == 0);
    end_of(conn);
    served_end();
}

/* --- waiting --- */

static void play_late(script *s) {
    script_open(s);
    (void)script_wait(s, 8);
    script_frames(s, "81\"at last\"");
    script_until_more(s);
}

static void test_time_limit(void) {
    ws_client_config config = blocking();
    ws_message message;
    uint64_t before;
    ws_conn *conn;
    script s;
    if (!test_begin("ws_receive_within times out: false, WS_ERROR_TIMEOUT, still open, and it can be called again"))
        return;
    config.receive_ms = 60;
    script_start(&s, play_late);
    conn = connect_to(&s, &config);
    wsi_client_of(conn)->wait = note_wait;
    asked_ms = 0;
    before = milliseconds();
    CHECK(!ws_receive(conn, &message));
    CHECK(milliseconds() - before >= 55 && asked_ms > 0 && asked_ms <= 60);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TIMEOUT);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK_EQ(ws_closed(conn).code, 0);
    asked_ms = 0;
    CHECK(!ws_receive_within(conn, &message, 0));
    CHECK_EQ(asked_ms, 0);
    CHECK(!ws_receive_within(conn, &message, 20) && ws_last_error(conn) == WS_ERROR_TIMEOUT);
    CHECK(ws_send_text(conn, "go"));
    CHECK(ws_receive_within(conn, &message, LAST_RESORT_MS) && is_text(message, "at last"));
    end_of(conn);
    script_end(&s);
}

static void play_many(script *s) {
    script_open(s);
    script_frames(s, "81\"0\" 81\"1\" 01\"2\" 00 80 82<03> 100x81\"again\" 82#70000 81\"end\"");
    script_until_more(s);
}

static void test_many(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    int i;
    if (!test_begin("messages back to back, whole and in fragments, are received one by one"))
        return;
    config.receive_ms = LAST_RESORT_MS;
    script_start(&s, play_many);
    conn = connect_to(&s, &config);
    CHECK(ws_receive(conn, &message) && is_text(message, "0"));
    CHECK(ws_receive(conn, &message) && is_text(message, "1"));
    CHECK(ws_receive(conn, &message) && is_text(message, "2"));
    CHECK(ws_receive(conn, &message) && message.type == WS_BINARY && message.size == 1 && message.data[0] == 3);
    for (i = 0; i < 100; i++)
        CHECK(ws_receive_within(conn, &message, LAST_RESORT_MS) && is_text(message, "again"));
    CHECK(ws_receive(conn, &message) && message.size == 70000);
    CHECK(ws_receive(conn, &message) && is_text(message, "end"));
    CHECK(!ws_receive_within(conn, &message, 0) && ws_state(conn) == WS_OPEN);
    end_of(conn);
    script_end(&s);
}

/* A returned message stays valid until the next call, while others arrive. */
static void play_overlap(script *s) {
    script_open(s);
    script_frames(s, "81\"first\" 81\"second\"");
    script_until_more(s);
}

static void test_lifetime(void) {
    ws_client_config config = blocking();
    ws_message first, second;
    char copy[6];
    ws_conn *conn;
    script s;
    if (!test_begin("a message's data stays until the next call, and has a zero after it"))
        return;
    config.receive_ms = LAST_RESORT_MS;
    script_start(&s, play_overlap);
    conn = connect_to(&s, &config);
    CHECK(ws_receive(conn, &first));
    memcpy(copy, first.data, 6);
    CHECK(memcmp(copy, "first", 6) == 0);
    CHECK(ws_receive(conn, &second) && is_text(second, "second"));
    end_of(conn);
    script_end(&s);
}

static bool pong_was_right;

static void play_ping(script *s) {
    bytes plain = {NULL, 0, 0};
    script_open(s);
    script_frames(s, "01\"a\" 89\"are you there\"");
    pong_was_right = script_wait(s, 6 + 13) && wire_plain(&plain, s->in.data, s->in.size, true) && plain.size == 15
                     && memcmp(plain.data, "\x8a\x0d" "are you there", 15) == 0;
    script_frames(s, "80\"b\"");
    bytes_free(&plain);
    script_until_more(s);
}

static void test_ping(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("pings are answered while ws_receive waits, also within a message"))
        return;
    script_start(&s, play_ping);
    conn = connect_to(&s, &config);
    CHECK(ws_receive_within(conn, &message, LAST_RESORT_MS) && is_text(message, "ab"));
    end_of(conn);
    script_end(&s);
    CHECK(pong_was_right);
}

static void play_slowly(script *s) {
    static const char text[] = "\x81\x05hello\x82\x02\x01\x02";
    size_t i;
    script_accept(s);
    {
        bytes out = {NULL, 0, 0};
        raw_fill(&out, s->head, RAW_GOOD "\r\n");
        for (i = 0; i < out.size; i++)
            script_send(s, out.data + i, 1);
        bytes_free(&out);
    }
    for (i = 0; i + 1 < sizeof text; i++)
        script_send(s, text + i, 1);
    script_until_more(s);
}

static void test_bytewise(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("the answer and the messages arrive byte by byte"))
        return;
    config.receive_ms = LAST_RESORT_MS;
    script_start(&s, play_slowly);
    conn = connect_to(&s, &config);
    CHECK(ws_receive(conn, &message) && is_text(message, "hello"));
    CHECK(ws_receive(conn, &message) && message.size == 2);
    end_of(conn);
    script_end(&s);
}

static void play_with_head(script *s) {
    script_accept(s);
    bytes out = {NULL, 0, 0};
    raw_fill(&out, s->head, RAW_GOOD "\r\n");
    wire_write(&out, "81\"behind\" 81\"the head\" 88<0fa1>", false);
    script_send(s, out.data, out.size);
    bytes_free(&out);
    script_until_more(s);
}

static void test_behind_head(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("messages and a close in the same segment as the answer"))
        return;
    config.receive_ms = LAST_RESORT_MS;
    script_start(&s, play_with_head);
    conn = connect_to(&s, &config);
    CHECK(ws_receive(conn, &message) && is_text(message, "behind"));
    CHECK(ws_receive(conn, &message) && is_text(message, "the head"));
    CHECK(!ws_receive(conn, &message));
    CHECK_EQ(ws_closed(conn).code, 4001);
    end_of(conn);
    script_end(&s);
}

/* --- how it ends --- */

static bool answered_right;

static void play_close(script *s) {
    bytes plain = {NULL, 0, 0};
    script_open(s);
    script_frames(s, "81\"one\" 81\"two\" 88<0fa1>\"enough\"");
    answered_right = script_wait(s, 14) && wire_plain(&plain, s->in.data, s->in.size, true) && plain.size == 10
                     && memcmp(plain.data, "\x88\x08\x0f\xa1" "enough", 10) == 0;
    bytes_free(&plain);
}

static void test_peer_closes(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("the peer closes with a code: earlier messages first, then false; ws_closed has the code"))
        return;
    config.receive_ms = LAST_RESORT_MS;
    script_start(&s, play_close);
    conn = connect_to(&s, &config);
    CHECK(ws_receive(conn, &message) && is_text(message, "one"));
    CHECK(ws_receive(conn, &message) && is_text(message, "two"));
    CHECK(!ws_receive(conn, &message));
    CHECK_EQ(ws_last_error(conn), WS_OK);
    CHECK_EQ(ws_closed(conn).code, 4001);
    CHECK_STR(ws_closed(conn).reason, "enough");
    CHECK(ws_closed(conn).clean);
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK(!ws_receive(conn, &message));
    CHECK(!ws_send_text(conn, "x") && ws_last_error(conn) == WS_ERROR_STATE);
    CHECK_EQ(ws_closed(conn).code, 4001);
    end_of(conn);
    script_end(&s);
    CHECK(answered_right);
}

static void test_server_closes(void) {
    static const struct {
        const char *ask;
        uint16_t code;
        ws_error error;
    } ends[] = {{"close 1000", 1000, WS_OK}, {"close 4001", 4001, WS_OK}, {"drop", 1006, WS_ERROR_CLOSED}};
    size_t i;
    for (i = 0; i < COUNT(ends); i++) {
        ws_client_config config = blocking();
        ws_message message;
        ws_conn *conn;
        if (!test_begin("our server ends the connection: %s", ends[i].ask))
            continue;
        conn = ws_connect(served_start(NULL), &config);
        CHECK(ws_send_text(conn, ends[i].ask));
        CHECK(!ws_receive_within(conn, &message, LAST_RESORT_MS));
        CHECK_EQ(ws_closed(conn).code, ends[i].code);
        CHECK_STR(ws_closed(conn).reason, ends[i].error ? "" : "as you wish");
        CHECK_EQ(ws_last_error(conn), ends[i].error);
        if (ends[i].error)
            check_dead(conn, ends[i].error);
        end_of(conn);
        served_end();
    }
    ws_client_config config = blocking();
    ws_message message;
    if (!test_begin("our server shuts down: 1012"))
        return;
    ws_conn *conn = ws_connect(served_start(NULL), &config);
    CHECK(ws_send_text(conn, "x") && ws_receive(conn, &message));
    CHECK(ws_shutdown(served.loop, 500));
    CHECK(!ws_receive_within(conn, &message, LAST_RESORT_MS));
    CHECK_EQ(ws_closed(conn).code, 1012);
    end_of(conn);
    served_end();
}

static void play_reset(script *s) {
    script_open(s);
    script_frames(s, "81\"before\"");
    (void)script_wait(s, 7); /* until it is received: a reset discards bytes in flight */
    script_reset(s);
}

static void test_breaks(void) {
    int reset;
    for (reset = 0; reset < 2; reset++) {
        ws_client_config config = blocking();
        ws_message message;
        ws_conn *conn;
        script s;
        if (!test_begin("the stream %s: WS_ERROR_CLOSED and 1006", reset ? "breaks" : "ends"))
            continue;
        config.receive_ms = LAST_RESORT_MS;
        script_start(&s, reset ? play_reset : play_break);
        conn = connect_to(&s, &config);
        CHECK(ws_receive(conn, &message) && is_text(message, "before"));
        if (reset)
            CHECK(ws_send_text(conn, "x"));
        CHECK(!ws_receive(conn, &message));
        CHECK_EQ(ws_last_error(conn), WS_ERROR_CLOSED);
        CHECK_EQ(ws_closed(conn).code, 1006);
        CHECK(!ws_closed(conn).clean && !*ws_closed(conn).reason);
        CHECK(strlen(ws_last_error_text(conn)) > 10);
        check_dead(conn, WS_ERROR_CLOSED);
        end_of(conn);
        script_end(&s);
    }
}

static void play_gone(script *s) {
    script_open(s);
    script_reset(s);
}

/* SIGPIPE would end this program. */
static void test_send_to_nobody(void) {
    static uint8_t data[1 << 20];
    ws_client_config config = blocking();
    ws_conn *conn;
    script s;
    int i;
    if (!test_begin("sending to a peer that is gone: false, an error, and no signal"))
        return;
    script_start(&s, play_gone);
    conn = connect_to(&s, &config);
    for (i = 0; i < 100 && ws_send_binary(conn, data, sizeof data); i++) {}
    CHECK(i < 100);
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    check_dead(conn, WS_ERROR_CLOSED);
    end_of(conn);
    script_end(&s);
}

static void play_wrong(script *s) {
    script_open(s);
    script_frames(s, "81\"good\" 83\"bad\"");
    script_until_more(s);
}

static void test_protocol_error(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("a bad frame: WS_ERROR_PROTOCOL and 1002"))
        return;
    config.receive_ms = LAST_RESORT_MS;
    config.limits.close_ms = 100;
    script_start(&s, play_wrong);
    conn = connect_to(&s, &config);
    CHECK(ws_receive(conn, &message) && is_text(message, "good"));
    CHECK(!ws_receive(conn, &message));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_PROTOCOL);
    CHECK_EQ(ws_closed(conn).code, 1002);
    check_dead(conn, WS_ERROR_PROTOCOL);
    end_of(conn);
    script_end(&s);
}

static void test_close_unanswered(void) {
    ws_client_config config = blocking();
    uint64_t before;
    ws_conn *conn;
    script s;
    if (!test_begin("ws_close waits for the peer's close frame, close_ms at most"))
        return;
    config.limits.close_ms = 80;
    script_start(&s, play_deaf);
    conn = connect_to(&s, &config);
    before = milliseconds();
    (void)ws_close(conn, 1000, "bye");
    CHECK(milliseconds() - before >= 75 && milliseconds() - before < LAST_RESORT_MS / 2);
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK_EQ(ws_closed(conn).code, 1006);
    CHECK(!ws_closed(conn).clean);
    end_of(conn);
    script_end(&s);
}

static void test_free_closes(void) {
    ws_client_config config = blocking();
    ws_conn *conn;
    script s;
    if (!test_begin("ws_free closes an open connection with 1000"))
        return;
    script_start(&s, play_freed);
    conn = connect_to(&s, &config);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    end_of(conn);
    script_end(&s);
    CHECK(freed_right);
}

static void test_loop_freed_first(void) {
    ws_client_config config = blocking();
    ws_loop_config own;
    if (!test_begin("ws_loop_free ends a connection of ws_connect that nobody has freed"))
        return;
    memset(&own, 0, sizeof own);
    own.allocator = config.allocator;
    config.loop = ws_loop_new(&own);
    CHECK_EQ(ws_state(ws_connect(served_start(NULL), &config)), WS_OPEN);
    ws_loop_free(config.loop);
    CHECK_EQ(memory.used, 0);
    served_end();
    CHECK(served.opened == 1 && served.code == 1006);
}

static void test_drop(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("ws_drop ends the connection at once, without a close frame"))
        return;
    script_start(&s, play_deaf);
    conn = connect_to(&s, &config);
    ws_drop(conn);
    CHECK(!ws_receive(conn, &message));
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK_EQ(ws_closed(conn).code, 1006);
    end_of(conn);
    (void)pthread_join(s.thread, NULL);
    CHECK_EQ(s.in.size, 0);
    raw_close(&s.server);
    bytes_free(&s.in);
}

static void play_own_close(script *s) {
    script_open(s);
    script_frames(s, "81\"unread\"");
    (void)script_wait(s, 8);
    script_frames(s, "81\"late\" 88<03e8>");
}

static void test_own_close(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    int count = 0;
    if (!test_begin("ws_close with unread messages: the close is clean, and ws_receive returns false in the end"))
        return;
    config.receive_ms = LAST_RESORT_MS;
    script_start(&s, play_own_close);
    conn = connect_to(&s, &config);
    CHECK(ws_close(conn, 1000, NULL));
    while (count < 5 && ws_receive(conn, &message))
        count++;
    CHECK(count <= 1);
    CHECK(ws_closed(conn).clean && ws_closed(conn).code == 1000);
    end_of(conn);
    script_end(&s);
}

static void play_silent_peer(script *s) {
    script_open(s);
    script_until_end(s);
}

static void test_dead_peer(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("a peer that answers no ping is dropped while ws_receive waits"))
        return;
    config.limits.ping_ms = 40;
    config.limits.pong_ms = 40;
    script_start(&s, play_silent_peer);
    conn = connect_to(&s, &config);
    CHECK(!ws_receive_within(conn, &message, LAST_RESORT_MS));
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK_EQ(ws_closed(conn).code, 1006);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TIMEOUT);
    end_of(conn);
    script_end(&s);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_happy();
    test_defaults();
    test_unix_path();
    test_big();
    test_time_limit();
    test_many();
    test_lifetime();
    test_ping();
    test_bytewise();
    test_behind_head();
    test_peer_closes();
    test_server_closes();
    test_breaks();
    test_send_to_nobody();
    test_protocol_error();
    test_close_unanswered();
    test_free_closes();
    test_loop_freed_first();
    test_drop();
    test_own_close();
    test_dead_peer();
    return test_finish();
}
