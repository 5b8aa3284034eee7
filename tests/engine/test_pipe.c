/* PIPE: conversations of a client and a server, two connected engines with a virtual clock. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/engine.h"

typedef struct pair {
    drive server, client;
    ws_pipe pipe;
} pair;

/* Reads the events of one end, and echoes messages on the server. The pipe carries the output. */
static void read_events(drive *d) {
    ws_event event;
    while (ws_engine_next(&d->engine, &event))
        drive_event(d, &event);
}

/* Steps the pipe until nothing moves. false: something always moved. */
static bool settle(pair *p) {
    size_t step;
    int idle = 0;
    for (step = 0; step < 3000000; step++) {
        idle = ws_pipe_step(&p->pipe) ? 0 : idle + 1;
        read_events(&p->server);
        read_events(&p->client);
        if (idle > 2)
            return true;
    }
    return false;
}

static bool start_pair(pair *p, size_t piece, const ws_engine_config *server,
    const ws_engine_config *client) {
    memset(p, 0, sizeof *p);
    if (!drive_start(&p->server, WS_ROLE_SERVER, server) || !drive_start(&p->client, WS_ROLE_CLIENT, client))
        return false;
    p->client.silent = true;
    p->pipe.ends[0] = &p->server.engine;
    p->pipe.ends[1] = &p->client.engine;
    p->pipe.step_size = piece;
    return true;
}

static bool open_pair(pair *p, size_t piece) {
    bool good = start_pair(p, piece, NULL, NULL) && settle(p) && drive_logged(&p->client, "o")
                && drive_logged(&p->server, "ro");
    p->client.log.size = p->server.log.size = 0;
    return good;
}

static void free_pair(pair *p) {
    CHECK(!p->server.memory.wrong && !p->client.memory.wrong);
    ws_engine_free(&p->server.engine);
    ws_engine_free(&p->client.engine);
    CHECK_EQ(p->server.memory.used, 0);
    CHECK_EQ(p->client.memory.used, 0);
    drive_free(&p->server);
    drive_free(&p->client);
}

static void test_echo(size_t piece) {
    bytes sample = {NULL, 0, 0};
    size_t size;
    pair p;
    if (!test_begin("echo, pieces of %zu", piece))
        return;
    wire_sample(&sample, 0, 70000, true);
    CHECK(open_pair(&p, piece));
    for (size = 0; size < 70000; size = size * 5 + 1)
        CHECK(ws_engine_send(&p.client.engine,
            message_of(sample.data, size, size % 2 ? WS_TEXT : WS_BINARY)));
    CHECK(settle(&p));
    CHECK(drive_logged(&p.client, "BTBTBTBT"));
    CHECK_MEM(p.client.log.data, p.client.log.size, p.server.log.data, p.server.log.size);
    CHECK_MEM(p.client.details.data + p.client.details.size - 30, 30,
        p.server.details.data + p.server.details.size - 30, 30);
    CHECK_EQ(p.client.received, p.server.received);
    free_pair(&p);
    bytes_free(&sample);
}

static void test_parts(size_t piece) {
    pair p;
    if (!test_begin("a message in parts with a ping inside, pieces of %zu", piece))
        return;
    CHECK(open_pair(&p, piece));
    CHECK(ws_engine_send_part(&p.client.engine, message_of("one ", 4, WS_TEXT), false));
    CHECK(ws_engine_ping(&p.client.engine, "ping", 4));
    CHECK(ws_engine_send_part(&p.client.engine, message_of("two", 3, WS_TEXT), true));
    CHECK(settle(&p));
    CHECK(drive_logged(&p.server, "pT"));
    CHECK(drive_logged(&p.client, "qT"));
    CHECK_EQ(p.client.received, 7);
    free_pair(&p);
}

static void test_close(size_t piece, bool server_first) {
    pair p;
    drive *first, *second;
    if (!test_begin("%s closes, pieces of %zu", server_first ? "server" : "client", piece))
        return;
    CHECK(open_pair(&p, piece));
    first = server_first ? &p.server : &p.client;
    second = server_first ? &p.client : &p.server;
    CHECK(ws_engine_close(&first->engine, 3001, "enough"));
    CHECK(settle(&p));
    CHECK(drive_logged(first, "c") && drive_logged(second, "c"));
    CHECK_EQ(first->close_code, 3001);
    CHECK_EQ(second->close_code, 3001);
    CHECK(ws_engine_done(&first->engine) && ws_engine_done(&second->engine));
    CHECK_EQ(ws_engine_error(&first->engine), WS_OK);
    CHECK_EQ(ws_pipe_step(&p.pipe), 0);
    free_pair(&p);
}

static void test_close_from_both(void) {
    pair p;
    if (!test_begin("both close at the same time"))
        return;
    CHECK(open_pair(&p, 1));
    CHECK(ws_engine_close(&p.server.engine, 1001, NULL));
    CHECK(ws_engine_close(&p.client.engine, 1000, NULL));
    CHECK(settle(&p));
    CHECK(drive_logged(&p.client, "c") && drive_logged(&p.server, "c"));
    CHECK_EQ(p.client.close_code, 1001);
    CHECK_EQ(p.server.close_code, 1000);
    free_pair(&p);
}

/* One end fails and closes the connection. The other end learns why. */
static void test_over_limit(void) {
    ws_engine_config config;
    uint8_t data[200] = {0};
    pair p;
    if (!test_begin("a message over the peer's limit"))
        return;
    memset(&config, 0, sizeof config);
    config.limits.message = 100;
    CHECK(start_pair(&p, 3, &config, NULL) && settle(&p));
    CHECK(ws_engine_send(&p.client.engine, message_of(data, sizeof data, WS_BINARY)));
    CHECK(settle(&p));
    CHECK(drive_logged(&p.server, "rox"));
    CHECK(drive_logged(&p.client, "oc"));
    CHECK_EQ(p.client.close_code, 1009);
    CHECK_EQ(ws_engine_error(&p.server.engine), WS_ERROR_TOO_BIG);
    free_pair(&p);
}

static void test_refused(void) {
    ws_engine_config config;
    pair p;
    if (!test_begin("a refused handshake"))
        return;
    memset(&config, 0, sizeof config);
    config.limits.head = 60;
    CHECK(start_pair(&p, 0, &config, NULL) && settle(&p));
    CHECK(drive_logged(&p.client, "fx") && drive_logged(&p.server, "x"));
    CHECK_EQ(ws_engine_error(&p.client.engine), WS_ERROR_REFUSED);
    CHECK_EQ(ws_engine_error(&p.server.engine), WS_ERROR_TOO_BIG);
    free_pair(&p);
}

static void test_subprotocol(void) {
    ws_engine_config server, client;
    pair p;
    if (!test_begin("a subprotocol is agreed"))
        return;
    memset(&server, 0, sizeof server);
    memset(&client, 0, sizeof client);
    server.subprotocols = "b, a";
    client.subprotocols = "a, b";
    CHECK(start_pair(&p, 1, &server, &client) && settle(&p));
    CHECK(drive_logged(&p.client, "o") && drive_logged(&p.server, "ro"));
    free_pair(&p);
}

/* --- the virtual clock --- */

static void test_keep_alive(void) {
    int minute;
    pair p;
    if (!test_begin("an hour of silence, kept alive by pings"))
        return;
    CHECK(open_pair(&p, 0));
    for (minute = 0; minute < 60 * 60; minute += 5) {
        ws_pipe_wait(&p.pipe, 5000);
        CHECK(settle(&p));
    }
    CHECK_EQ(ws_engine_state(&p.server.engine), WS_OPEN);
    CHECK_EQ(ws_engine_state(&p.client.engine), WS_OPEN);
    CHECK(p.client.log.size + p.server.log.size >= 3600 / 25);
    free_pair(&p);
}

/* The first wait counts like any other: the clock starts before it. */
static void test_first_wait(void) {
    pair p;
    if (!test_begin("one wait of 25 seconds brings a ping"))
        return;
    CHECK(open_pair(&p, 0));
    ws_pipe_wait(&p.pipe, 25000);
    CHECK(settle(&p));
    CHECK(p.client.log.size && memchr(p.client.log.data, 'q', p.client.log.size) != NULL);
    free_pair(&p);
}

static void test_handshake_time(void) {
    pair p;
    if (!test_begin("nothing arrives: both ends abandon the handshake after 10 seconds"))
        return;
    CHECK(start_pair(&p, 0, NULL, NULL));
    p.pipe.cut = true;
    ws_pipe_wait(&p.pipe, 1);
    ws_pipe_wait(&p.pipe, 9998);
    CHECK(settle(&p));
    CHECK_EQ(ws_engine_state(&p.client.engine), WS_CONNECTING);
    ws_pipe_wait(&p.pipe, 2);
    CHECK(settle(&p));
    CHECK(drive_logged(&p.client, "x") && drive_logged(&p.server, "x"));
    CHECK_EQ(ws_engine_error(&p.client.engine), WS_ERROR_TIMEOUT);
    CHECK_EQ(ws_engine_error(&p.server.engine), WS_ERROR_TIMEOUT);
    free_pair(&p);
}

/* The cable is cut. Each end notices it on its own, after 25 + 20 seconds. */
static void test_cut(void) {
    int second;
    pair p;
    if (!test_begin("the cable is cut"))
        return;
    CHECK(open_pair(&p, 0));
    ws_pipe_wait(&p.pipe, 1000);
    CHECK(ws_engine_send(&p.client.engine, message_of("x", 1, WS_TEXT)));
    CHECK(settle(&p));
    p.pipe.cut = true;
    for (second = 0; second < 44; second++)
        ws_pipe_wait(&p.pipe, 1000);
    CHECK(settle(&p));
    CHECK_EQ(ws_engine_state(&p.server.engine), WS_OPEN);
    ws_pipe_wait(&p.pipe, 1000);
    CHECK(settle(&p));
    CHECK_EQ(ws_engine_state(&p.server.engine), WS_CLOSED);
    CHECK_EQ(ws_engine_state(&p.client.engine), WS_CLOSED);
    CHECK_EQ(p.client.close_code, 1006);
    CHECK_EQ(p.server.close_code, 1006);
    CHECK_EQ(ws_engine_error(&p.server.engine), WS_ERROR_TIMEOUT);
    free_pair(&p);
}

static void test_close_time(void) {
    pair p;
    if (!test_begin("the close is never answered"))
        return;
    CHECK(open_pair(&p, 0));
    ws_pipe_wait(&p.pipe, 1000);
    p.pipe.cut = true;
    CHECK(ws_engine_close(&p.client.engine, 1000, NULL));
    ws_pipe_wait(&p.pipe, 4999);
    CHECK_EQ(ws_engine_state(&p.client.engine), WS_CLOSING);
    ws_pipe_wait(&p.pipe, 1);
    CHECK_EQ(ws_engine_state(&p.client.engine), WS_CLOSED);
    CHECK_EQ(ws_engine_error(&p.client.engine), WS_ERROR_TIMEOUT);
    CHECK(settle(&p));
    CHECK(drive_logged(&p.client, "x"));
    free_pair(&p);
}

static void test_null(void) {
    ws_pipe pipe;
    if (!test_begin("a pipe without ends"))
        return;
    memset(&pipe, 0, sizeof pipe);
    CHECK_EQ(ws_pipe_step(NULL), 0);
    CHECK_EQ(ws_pipe_step(&pipe), 0);
    ws_pipe_wait(NULL, 5);
    ws_pipe_wait(&pipe, 5);
    CHECK_EQ(pipe.now, 5);
    ws_engine engine;
    ws_engine_config config;
    memset(&config, 0, sizeof config);
    CHECK(ws_engine_init(&engine, &config));
    pipe.ends[0] = &engine; /* it has one end */
    CHECK_EQ(ws_pipe_step(&pipe), 0);
    ws_engine_free(&engine);
}

/* Bytes for which one end has no room stay with the other, however often the pipe steps. */
static void test_crowded(void) {
    static uint8_t room[1024];
    ws_engine_config fixed;
    char frames[8];
    pair p;
    if (!test_begin("an end that reads no events"))
        return;
    memset(&fixed, 0, sizeof fixed);
    fixed.memory = room;
    fixed.memory_size = sizeof room;
    CHECK(start_pair(&p, 0, &fixed, NULL) && settle(&p));
    p.server.log.size = 0;
    memset(frames, 'x', sizeof frames);
    for (int i = 0; i < 200; i++)
        CHECK(ws_engine_send(&p.client.engine, message_of(frames, sizeof frames, WS_BINARY)));
    for (int i = 0; i < 20; i++)
        (void)ws_pipe_step(&p.pipe);
    CHECK_EQ(ws_pipe_step(&p.pipe), 0);
    CHECK(ws_engine_output(&p.client.engine).size > 1000);
    CHECK(settle(&p));
    CHECK_EQ(p.server.log.size, 200);
    free_pair(&p);
}

/* --- fixed memory on both ends: nothing is allocated, and all of it is used --- */

static void test_fixed(size_t size, size_t piece) {
    static uint8_t rooms[2][4096];
    ws_engine_config configs[2];
    bytes sample = {NULL, 0, 0};
    size_t i, limit = size / 2 - 272;
    pair p;
    if (!test_begin("echo of the largest message in %zu bytes of memory, pieces of %zu", size, piece))
        return;
    memset(configs, 0, sizeof configs);
    for (i = 0; i < 2; i++) {
        configs[i].memory = rooms[i];
        configs[i].memory_size = size;
    }
    wire_sample(&sample, 0, limit + 1, true);
    CHECK(start_pair(&p, piece, &configs[0], &configs[1]) && settle(&p));
    for (i = 0; i < 50; i++) {
        CHECK(ws_engine_send(&p.client.engine, message_of(sample.data, limit, i % 2 ? WS_TEXT : WS_BINARY)));
        CHECK(settle(&p));
        CHECK_EQ(p.client.received, (i + 1) * limit);
    }
    CHECK_EQ(p.server.memory.calls + p.client.memory.calls, 0);
    CHECK(ws_engine_send(&p.client.engine, message_of(sample.data, limit + 1, WS_TEXT)));
    CHECK(settle(&p));
    CHECK_EQ(p.client.close_code, 1009);
    free_pair(&p);
    bytes_free(&sample);
}

int main(int argc, char **argv) {
    static const size_t pieces[] = {0, 1, 2, 3, 7, 125, 1000};
    size_t i;
    test_start(argc, argv);
    for (i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        test_echo(pieces[i]);
        test_parts(pieces[i]);
        test_close(pieces[i], true);
        test_close(pieces[i], false);
        test_fixed(1024, pieces[i]);
        test_fixed(2048, pieces[i]);
        test_fixed(4096, pieces[i]);
    }
    test_close_from_both();
    test_over_limit();
    test_refused();
    test_subprotocol();
    test_keep_alive();
    test_first_wait();
    test_handshake_time();
    test_cut();
    test_close_time();
    test_null();
    test_crowded();
    return test_finish();
}
