/* Servers for blocking clients, each in a thread of its own: one follows a script, the other runs a loop. */
#ifndef BLOCKING_H
#define BLOCKING_H

#include "client.h"

#include <pthread.h>

enum { LAST_RESORT_MS = 60000 }; /* the longest wait for what does not come; then the test fails */

static drive_memory memory;
static size_t descriptors;

static inline ws_client_config blocking(void) {
    ws_client_config config = client_config();
    memset(&memory, 0, sizeof memory);
    config.allocator.resize = drive_resize;
    config.allocator.user = &memory;
    descriptors = net_descriptors();
    return config;
}

static uint32_t asked_ms; /* the longest wait that a call asked for since a test set this to 0 */

static inline bool note_wait(wsi_client *blocking_client, uint32_t wait_ms) {
    asked_ms = wait_ms > asked_ms ? wait_ms : asked_ms;
    return wsi_blocking_round(blocking_client, wait_ms);
}

/* Frees the connection, and checks that nothing of it is left. */
static inline void end_of(ws_conn *conn) {
    ws_free(conn);
    CHECK_EQ(memory.used, 0);
    CHECK(!memory.wrong);
}

static inline uint64_t milliseconds(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static inline bool is_text(ws_message message, const char *text) {
    return message.type == WS_TEXT && message.size == strlen(text) && memcmp(message.data, text, message.size) == 0
           && message.data[message.size] == 0;
}

/* --- a server that is a script --- */

typedef struct script {
    raw_server server;
    pthread_t thread;
    void (*play)(struct script *s);
    int fd;       /* of the accepted connection; -1: none */
    bytes in;     /* what has arrived and was not taken */
    char head[4000];
    bool ended;
} script;

static inline void script_more(script *s) {
    uint8_t buffer[65536];
    ssize_t got = s->fd < 0 || s->ended ? 0 : recv(s->fd, buffer, sizeof buffer, 0);
    if (got > 0)
        bytes_add(&s->in, buffer, (size_t)got);
    else
        s->ended = true;
}

/* Waits until this many bytes have arrived. */
static inline bool script_wait(script *s, size_t size) {
    while (s->in.size < size && !s->ended)
        script_more(s);
    return s->in.size >= size;
}

static inline void script_take(script *s, size_t size) {
    memmove(s->in.data, s->in.data + size, s->in.size - size);
    s->in.size -= size;
}

static inline void script_send(script *s, const void *data, size_t size) {
    const uint8_t *from = (const uint8_t *)data;
    while (size && s->fd >= 0) {
        ssize_t sent = send(s->fd, from, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        from += sent;
        size -= (size_t)sent;
    }
}

static inline void script_frames(script *s, const char *text) {
    bytes out = {NULL, 0, 0};
    wire_write(&out, text, false);
    script_send(s, out.data, out.size);
    bytes_free(&out);
}

static inline void script_close(script *s) {
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

/* Accepts a connection and reads the request's head. */
static inline void script_accept(script *s) {
    struct timeval limit = {LAST_RESORT_MS / 1000, 0};
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

static inline void script_answer(script *s, const char *more) {
    bytes out = {NULL, 0, 0};
    raw_fill(&out, s->head, RAW_GOOD);
    bytes_add(&out, more, strlen(more));
    script_send(s, out.data, out.size);
    bytes_free(&out);
}

static inline void script_open(script *s) {
    script_accept(s);
    script_answer(s, "\r\n");
}

/* Waits until the client ends its stream. */
static inline void script_until_end(script *s) {
    while (!s->ended)
        script_more(s);
}

/* Waits until the client sends something, such as the close frame when it is freed. */
static inline void script_until_more(script *s) {
    size_t before = s->in.size;
    while (!s->ended && s->in.size == before)
        script_more(s);
}

static inline void *script_run(void *argument) {
    script *s = (script *)argument;
    s->play(s);
    script_close(s);
    return NULL;
}

static inline void script_start(script *s, void (*play)(script *s)) {
    struct timeval limit = {LAST_RESORT_MS / 1000, 0};
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

static inline void script_end(script *s) {
    (void)pthread_join(s->thread, NULL);
    raw_close(&s->server);
    bytes_free(&s->in);
    CHECK_EQ(net_descriptors(), descriptors);
}

static inline ws_conn *connect_to(const script *s, const ws_client_config *config) {
    return ws_connect(client_url(&s->server, "/"), config);
}

/* --- a server that is a loop --- */

typedef struct looping {
    ws_loop *loop;
    ws_server *server;
    pthread_t thread;
    char url[100];
    unsigned opened, closed; /* the main thread reads these after the join */
    uint16_t code;
} looping;

static looping served;

static inline void served_open(ws_conn *conn) {
    (void)conn;
    served.opened++;
}

static inline void served_message(ws_conn *conn, ws_message message) {
    if (message.type == WS_TEXT && message.size > 6 && memcmp(message.data, "close ", 6) == 0)
        (void)ws_close(conn, (uint16_t)atoi((const char *)message.data + 6), "as you wish");
    else if (message.type == WS_TEXT && message.size == 4 && memcmp(message.data, "drop", 4) == 0)
        ws_drop(conn);
    else
        (void)ws_send(conn, message);
}

static inline void served_close(ws_conn *conn, ws_close_info why) {
    (void)conn;
    served.closed++;
    served.code = why.code;
}

static inline void *served_run(void *argument) {
    (void)argument;
    (void)ws_run(served.loop);
    return NULL;
}

static inline const char *served_start(const char *path) {
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

static inline void served_end(void) {
    CHECK(ws_shutdown(served.loop, 500));
    CHECK_EQ(pthread_join(served.thread, NULL), 0);
    CHECK_EQ(served.opened, served.closed);
    ws_loop_free(served.loop);
    CHECK_EQ(net_descriptors(), descriptors);
}

/* --- how it ends --- */

/* Everything that a program may do to a connection that has ended. */
static inline void check_dead(ws_conn *conn, ws_error error) {
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

static inline void play_break(script *s) {
    script_open(s);
    script_frames(s, "81\"before\" 01\"half\"");
}

static inline void play_deaf(script *s) {
    script_open(s);
    (void)script_wait(s, 1); /* the client's close frame, which gets no answer */
    script_until_end(s);
}

static bool freed_right;

static inline void play_freed(script *s) {
    bytes plain = {NULL, 0, 0};
    script_open(s);
    freed_right = script_wait(s, 8) && wire_plain(&plain, s->in.data, s->in.size, true) && plain.size == 4
                  && memcmp(plain.data, "\x88\x02\x03\xe8", 4) == 0;
    script_frames(s, "88<03e8>");
    bytes_free(&plain);
}

#endif
