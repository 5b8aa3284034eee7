/* CLIENT: the blocking calls. The other end is a loop in a thread of its own, or a script that says
   byte by byte what a server would. Deadlines are real here, and short. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

#include <pthread.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static drive_memory memory;
static size_t descriptors;

static ws_client_config blocking(void) {
    ws_client_config config = client_config();
    memset(&memory, 0, sizeof memory);
    config.allocator.resize = drive_resize;
    config.allocator.user = &memory;
    descriptors = net_descriptors();
    return config;
}

/* Frees it; nothing of it is left. */
static void end_of(ws_conn *conn) {
    ws_free(conn);
    CHECK_EQ(memory.used, 0);
    CHECK(!memory.wrong);
}

static uint64_t milliseconds(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static bool is_text(ws_message message, const char *text) {
    return message.type == WS_TEXT && message.size == strlen(text) && memcmp(message.data, text, message.size) == 0
           && message.data[message.size] == 0;
}

/* --- a server that is a script --- */

typedef struct script {
    raw_server server;
    pthread_t thread;
    void (*play)(struct script *s);
    int fd;       /* accepted; -1: not (any more) */
    bytes in;     /* what came, and was not taken */
    char head[4000];
    bool ended;
} script;

static void script_more(script *s) {
    uint8_t buffer[65536];
    ssize_t got = s->fd < 0 || s->ended ? 0 : recv(s->fd, buffer, sizeof buffer, 0);
    if (got > 0)
        bytes_add(&s->in, buffer, (size_t)got);
    else
        s->ended = true;
}

/* Waits for so many bytes, at most three seconds. */
static bool script_wait(script *s, size_t size) {
    while (s->in.size < size && !s->ended)
        script_more(s);
    return s->in.size >= size;
}

static void script_take(script *s, size_t size) {
    memmove(s->in.data, s->in.data + size, s->in.size - size);
    s->in.size -= size;
}

static void script_send(script *s, const void *data, size_t size) {
    const uint8_t *from = (const uint8_t *)data;
    while (size && s->fd >= 0) {
        ssize_t sent = send(s->fd, from, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        from += sent;
        size -= (size_t)sent;
    }
}

static void script_text(script *s, const char *text) { script_send(s, text, strlen(text)); }

static void script_frames(script *s, const char *text) {
    bytes out = {NULL, 0, 0};
    wire_write(&out, text, false);
    script_send(s, out.data, out.size);
    bytes_free(&out);
}

static void script_close(script *s) {
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

static void script_reset(script *s) {
    struct linger linger = {1, 0};
    (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    script_close(s);
}

/* Accepts, and reads a request's head. */
static void script_accept(script *s) {
    struct timeval limit = {3, 0};
    int on = 1;
    size_t i;
    s->fd = accept(s->server.fd, NULL, NULL);
    s->ended = s->fd < 0;
    s->in.size = 0;
    s->head[0] = 0;
    if (s->fd < 0)
        return;
    (void)fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) & ~O_NONBLOCK);
    (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while (!s->ended) {
        for (i = 0; i + 4 <= s->in.size && i + 4 < sizeof s->head; i++)
            if (memcmp(s->in.data + i, "\r\n\r\n", 4) == 0) {
                memcpy(s->head, s->in.data, i + 4);
                s->head[i + 4] = 0;
                script_take(s, i + 4);
                return;
            }
        script_more(s);
    }
}

static void script_answer(script *s, const char *more) {
    bytes out = {NULL, 0, 0};
    raw_fill(&out, s->head, RAW_GOOD);
    bytes_add(&out, more, strlen(more));
    script_send(s, out.data, out.size);
    bytes_free(&out);
}

static void script_open(script *s) {
    script_accept(s);
    script_answer(s, "\r\n");
}

/* Waits for the client's end. */
static void script_until_end(script *s) {
    while (!s->ended)
        script_more(s);
}

/* Waits until the client says something: its close, when it is freed. */
static void script_until_more(script *s) {
    size_t before = s->in.size;
    while (!s->ended && s->in.size == before)
        script_more(s);
}

static void *script_run(void *argument) {
    script *s = (script *)argument;
    s->play(s);
    script_close(s);
    return NULL;
}

static void script_start(script *s, void (*play)(script *s)) {
    struct timeval limit = {3, 0};
    memset(s, 0, sizeof *s);
    memset(&client, 0, sizeof client);
    s->fd = -1;
    s->play = play;
    s->server = *raw_listen();
    (void)fcntl(s->server.fd, F_SETFL, fcntl(s->server.fd, F_GETFL) & ~O_NONBLOCK);
    (void)setsockopt(s->server.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (pthread_create(&s->thread, NULL, script_run, s) != 0)
        abort();
}

static void script_end(script *s) {
    (void)pthread_join(s->thread, NULL);
    raw_close(&s->server);
    bytes_free(&s->in);
    CHECK_EQ(net_descriptors(), descriptors);
}

static ws_conn *connect_to(const script *s, const ws_client_config *config) {
    return ws_connect(client_url(&s->server, "/"), config);
}

/* --- a server that is a loop --- */

typedef struct looping {
    ws_loop *loop;
    ws_server *server;
    pthread_t thread;
    char url[100];
    unsigned opened, closed; /* for the main thread when it is joined */
    uint16_t code;
} looping;

static looping served;

static void served_open(ws_conn *conn) {
    (void)conn;
    served.opened++;
}

static void served_message(ws_conn *conn, ws_message message) {
    if (message.type == WS_TEXT && message.size > 6 && memcmp(message.data, "close ", 6) == 0)
        (void)ws_close(conn, (uint16_t)atoi((const char *)message.data + 6), "as you wish");
    else if (message.type == WS_TEXT && message.size == 4 && memcmp(message.data, "drop", 4) == 0)
        ws_drop(conn);
    else
        (void)ws_send(conn, message);
}

static void served_close(ws_conn *conn, ws_close_info why) {
    (void)conn;
    served.closed++;
    served.code = why.code;
}

static void *served_run(void *argument) {
    (void)argument;
    (void)ws_run(served.loop);
    return NULL;
}

static const char *served_start(const char *path) {
    ws_handler handler;
    ws_server_config config;
    memset(&served, 0, sizeof served);
    memset(&handler, 0, sizeof handler);
    memset(&config, 0, sizeof config);
    config.unix_path = path;
    config.limits.buffered = 64 << 20;
    handler.on_open = served_open;
    handler.on_message = served_message;
    handler.on_close = served_close;
    handler.subprotocols = "chat";
    served.loop = ws_loop_new(NULL);
    served.server = ws_listen(served.loop, &config);
    CHECK(ws_route(served.server, "/", &handler));
    (void)snprintf(served.url, sizeof served.url, "ws://127.0.0.1:%u/", (unsigned)ws_port(served.server));
    if (pthread_create(&served.thread, NULL, served_run, NULL) != 0)
        abort();
    return served.url;
}

static void served_end(void) {
    CHECK(ws_shutdown(served.loop, 500));
    CHECK_EQ(pthread_join(served.thread, NULL), 0);
    CHECK_EQ(served.opened, served.closed);
    ws_loop_free(served.loop);
    CHECK_EQ(net_descriptors(), descriptors);
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
    CHECK_EQ(ws_buffered(conn), 0); /* it waited until the system had it */
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
    if (!test_begin("with no config at all"))
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
    if (!test_begin("over a Unix socket"))
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
    if (!test_begin("4 MiB there and back, binary and text, and 100 of 40,000 bytes"))
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
    if (!test_begin("the time is up: false, WS_ERROR_TIMEOUT, still open, and it may be tried again"))
        return;
    config.receive_ms = 60;
    script_start(&s, play_late);
    conn = connect_to(&s, &config);
    before = milliseconds();
    CHECK(!ws_receive(conn, &message));
    CHECK(milliseconds() - before >= 55 && milliseconds() - before < 1000);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TIMEOUT);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK_EQ(ws_closed(conn).code, 0);
    before = milliseconds();
    CHECK(!ws_receive_within(conn, &message, 0));
    CHECK(milliseconds() - before < 40);
    CHECK(!ws_receive_within(conn, &message, 20) && ws_last_error(conn) == WS_ERROR_TIMEOUT);
    CHECK(ws_send_text(conn, "go"));
    CHECK(ws_receive_within(conn, &message, 2000) && is_text(message, "at last"));
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
    if (!test_begin("messages back to back, whole and in fragments, one by one"))
        return;
    config.receive_ms = 2000;
    script_start(&s, play_many);
    conn = connect_to(&s, &config);
    CHECK(ws_receive(conn, &message) && is_text(message, "0"));
    CHECK(ws_receive(conn, &message) && is_text(message, "1"));
    CHECK(ws_receive(conn, &message) && is_text(message, "2"));
    CHECK(ws_receive(conn, &message) && message.type == WS_BINARY && message.size == 1 && message.data[0] == 3);
    for (i = 0; i < 100; i++)
        CHECK(ws_receive_within(conn, &message, 2000) && is_text(message, "again"));
    CHECK(ws_receive(conn, &message) && message.size == 70000);
    CHECK(ws_receive(conn, &message) && is_text(message, "end"));
    CHECK(!ws_receive_within(conn, &message, 0) && ws_state(conn) == WS_OPEN);
    end_of(conn);
    script_end(&s);
}

/* The message that was returned stays while others come, until the next call. */
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
    if (!test_begin("a message's data stays until the next call, and has a zero behind it"))
        return;
    config.receive_ms = 2000;
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
    if (!test_begin("pings are answered while it waits, inside a message too"))
        return;
    script_start(&s, play_ping);
    conn = connect_to(&s, &config);
    CHECK(ws_receive_within(conn, &message, 2000) && is_text(message, "ab"));
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
    if (!test_begin("answer and messages come byte by byte"))
        return;
    config.receive_ms = 2000;
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
    if (!test_begin("messages and a close in the segment of the answer"))
        return;
    config.receive_ms = 2000;
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

/* All that may be done to a connection that is no more. */
static void check_dead(ws_conn *conn, ws_error error) {
    ws_message message = {(const uint8_t *)"x", 1, WS_TEXT};
    char text[64];
    int again;
    for (again = 0; again < 2; again++) {
        CHECK(!ws_send_text(conn, "x") && !ws_send_binary(conn, "x", 1) && !ws_send(conn, message));
        CHECK(!ws_send_part(conn, message, true) && !ws_ping(conn, NULL, 0));
        CHECK(!ws_close(conn, 1000, NULL));
        CHECK(!ws_receive(conn, &message) && !ws_receive_within(conn, &message, WS_OFF));
        CHECK(!ws_join(conn, "room") && !ws_leave(conn, "room") && !ws_broadcast_text(conn, NULL, "x"));
        ws_drop(conn);
        CHECK_EQ(ws_state(conn), WS_CLOSED);
        CHECK_EQ(ws_buffered(conn), 0);
        CHECK(!ws_peer_certificate(conn, text, sizeof text) && !ws_tls_session(conn));
        CHECK(ws_last_error_text(conn) != NULL && *ws_last_error_text(conn));
        CHECK_EQ(ws_last_error(conn), error);
    }
}

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
    if (!test_begin("the peer closes with a code: first what came before it, then false, and ws_closed"))
        return;
    config.receive_ms = 2000;
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
        if (!test_begin("our server ends it: %s", ends[i].ask))
            continue;
        conn = ws_connect(served_start(NULL), &config);
        CHECK(ws_send_text(conn, ends[i].ask));
        CHECK(!ws_receive_within(conn, &message, 2000));
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
    CHECK(!ws_receive_within(conn, &message, 2000));
    CHECK_EQ(ws_closed(conn).code, 1012);
    end_of(conn);
    served_end();
}

static void play_break(script *s) {
    script_open(s);
    script_frames(s, "81\"before\" 01\"half\"");
}

static void play_reset(script *s) {
    script_open(s);
    script_frames(s, "81\"before\"");
    (void)script_wait(s, 7); /* until it was received: a reset throws away what is on its way */
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
        config.receive_ms = 2000;
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
    config.receive_ms = 2000;
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

static void play_deaf(script *s) {
    script_open(s);
    (void)script_wait(s, 1); /* its close frame, which is not answered */
    script_until_end(s);
}

static void test_close_unanswered(void) {
    ws_client_config config = blocking();
    uint64_t before;
    ws_conn *conn;
    script s;
    if (!test_begin("ws_close waits for the peer's part, at most close_ms"))
        return;
    config.limits.close_ms = 80;
    script_start(&s, play_deaf);
    conn = connect_to(&s, &config);
    before = milliseconds();
    (void)ws_close(conn, 1000, "bye");
    CHECK(milliseconds() - before >= 75 && milliseconds() - before < 1000);
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK_EQ(ws_closed(conn).code, 1006);
    CHECK(!ws_closed(conn).clean);
    end_of(conn);
    script_end(&s);
}

static bool freed_right;

static void play_freed(script *s) {
    bytes plain = {NULL, 0, 0};
    script_open(s);
    freed_right = script_wait(s, 8) && wire_plain(&plain, s->in.data, s->in.size, true) && plain.size == 4
                  && memcmp(plain.data, "\x88\x02\x03\xe8", 4) == 0;
    script_frames(s, "88<03e8>");
    bytes_free(&plain);
}

static void test_free_closes(void) {
    ws_client_config config = blocking();
    ws_conn *conn;
    script s;
    if (!test_begin("ws_free closes one that is open with 1000"))
        return;
    script_start(&s, play_freed);
    conn = connect_to(&s, &config);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    end_of(conn);
    script_end(&s);
    CHECK(freed_right);
}

static void test_drop(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("ws_drop ends it at once, without a close frame"))
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
    if (!test_begin("ws_close with messages unread: it is clean, and ws_receive comes to an end"))
        return;
    config.receive_ms = 2000;
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
    if (!test_begin("a peer that answers no ping is given up while ws_receive waits"))
        return;
    config.limits.ping_ms = 40;
    config.limits.pong_ms = 40;
    script_start(&s, play_silent_peer);
    conn = connect_to(&s, &config);
    CHECK(!ws_receive_within(conn, &message, 2000));
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK_EQ(ws_closed(conn).code, 1006);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TIMEOUT);
    end_of(conn);
    script_end(&s);
}

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
        if (!test_begin("a server that answers with %s: a connection that has failed, and says why", fails[i].name))
            continue;
        config.limits.handshake_ms = 80;
        if (i != 2)
            config.limits.handshake_ms = 2000;
        script_start(&s, fails[i].play);
        conn = connect_to(&s, &config);
        CHECK(conn != NULL);
        CHECK(milliseconds() - before < 1500);
        CHECK_EQ(ws_last_error(conn), fails[i].error);
        CHECK(strstr(ws_last_error_text(conn), fails[i].word) != NULL);
        CHECK_EQ(ws_status(conn), fails[i].status);
        if (fails[i].status == 404) {
            CHECK(ws_header(conn, "X-Why") && strcmp(ws_header(conn, "X-Why"), "nothing here") == 0);
            CHECK_STR(ws_body(conn), "no such x");
        }
        check_dead(conn, fails[i].error);
        CHECK(strstr(ws_last_error_text(conn), fails[i].word) != NULL);
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
        CHECK(strstr(ws_last_error_text(conn), "127.0.0.1") != NULL);
        check_dead(conn, WS_ERROR_CONNECT);
        end_of(conn);
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
            CHECK(milliseconds() - before >= 75 && milliseconds() - before < 1000);
            CHECK(ws_last_error(conn) == WS_ERROR_TIMEOUT || ws_last_error(conn) == WS_ERROR_CONNECT);
            end_of(conn);
        } else {
            test_skip("connections do not wait here");
        }
        raw_forget();
        raw_close(hole);
        CHECK_EQ(net_descriptors(), descriptors);
    }
    if (test_begin("no memory: NULL, or a connection that says so")) {
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
    if (!test_begin("NULL for a connection: nothing happens, everywhere"))
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

    if (!test_begin("NULL for a message or its place"))
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
        config.receive_ms = 2000;
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

/* Reconnecting is for loops: here an end is an end. */
static void test_no_reconnect(void) {
    ws_client_config config = blocking();
    ws_message message;
    ws_conn *conn;
    script s;
    if (!test_begin("reconnect_ms means nothing to a blocking connection"))
        return;
    config.reconnect_ms = 1;
    config.receive_ms = 1000;
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
    if (!test_begin("ws_connect to localhost, whose 127.0.0.1 is dead, takes 250 ms, as ::1 is not"))
        return;
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
        CHECK(before >= 245 && before < 4000); /* 5,000 were its share of connect_ms */
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

static ws_loop *lent; /* to the connection, and stopped by the script's thread */
static int gate[2];   /* a pipe: the script goes on when the main thread has written a byte */

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

/* The script's thread may still be in its ws_stop: it ends before the loop does. */
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
    ws_conn *conn;
    script s;
    if (test_begin("ws_stop of another thread ends ws_receive, which can go on, and later ws_free")) {
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
    if (test_begin("ws_stop of another thread ends ws_connect")) {
        ws_client_config config = lending();
        config.limits.handshake_ms = 60000;
        script_start(&s, play_stop_connecting);
        conn = connect_to(&s, &config);
        CHECK(conn != NULL);
        CHECK_EQ(ws_last_error(conn), WS_ERROR_STOPPED);
        CHECK_EQ(ws_state(conn), WS_CLOSED);
        CHECK(strstr(ws_last_error_text(conn), "ws_stop") != NULL);
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
    if (test_begin("ws_stop when nothing waits ends the next call that would; a loop is lent again, but not twice")) {
        ws_client_config config = lending();
        unsigned turn;
        for (turn = 0; turn < 2; turn++) {
            script_start(&s, play_deaf);
            CHECK(ws_stop(lent));
            conn = connect_to(&s, &config);
            CHECK_EQ(ws_last_error(conn), WS_ERROR_STOPPED);
            CHECK(ws_connect("ws://127.0.0.1:9/", &config) == NULL);
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
    test_drop();
    test_own_close();
    test_dead_peer();
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
