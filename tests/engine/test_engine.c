/* ENGINE: its public calls, its limits, and attacks on them. Frames on the wire are tested in test_engine_wire.c. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/engine.h"

static ws_message text_of(const char *text) { return message_of(text, strlen(text), WS_TEXT); }

/* --- sending --- */

static void test_send(ws_role role, const char *name) {
    drive d;
    if (!test_begin("sending, %s", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    CHECK(ws_engine_send(&d.engine, text_of("caf\xc3\xa9")));
    CHECK(ws_engine_send(&d.engine, message_of("\xff\x00", 2, WS_BINARY)));
    CHECK(ws_engine_send(&d.engine, message_of(NULL, 0, WS_TEXT)));
    CHECK(ws_engine_send(&d.engine, message_of(NULL, 0, WS_BINARY)));
    CHECK(ws_engine_ping(&d.engine, "abc", 3));
    CHECK(ws_engine_ping(&d.engine, NULL, 0));
    CHECK_EQ(ws_engine_error(&d.engine), WS_OK);
    drive_pump(&d);
    CHECK(drive_sent(&d, "81\"caf\"<c3a9> 82<ff00> 81 82 89\"abc\" 89"));
    drive_free(&d);
}

/* An invalid send is refused with its reason, and leaves the connection as it was. */
static void test_refused_sends(ws_role role, const char *name) {
    uint8_t big[126];
    drive d;
    if (!test_begin("sends that are refused, %s", name))
        return;
    memset(big, 'x', sizeof big);
    CHECK(drive_open(&d, role, NULL));
    CHECK(!ws_engine_send(&d.engine, text_of("\xff")));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_UTF8);
    CHECK(!ws_engine_send(&d.engine, text_of("a\xe2\x82")));
    CHECK(!ws_engine_send(&d.engine, message_of(NULL, 5, WS_BINARY)));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_ARGUMENT);
    CHECK(!ws_engine_send(&d.engine, message_of(NULL, 5, WS_TEXT)));
    CHECK(!ws_engine_send(&d.engine, message_of("a", 1, (ws_type)0)));
    CHECK(!ws_engine_send(&d.engine, message_of("a", 1, (ws_type)8)));
    CHECK(!ws_engine_ping(&d.engine, big, 126));
    CHECK(!ws_engine_ping(&d.engine, NULL, 1));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_ARGUMENT);
    drive_pump(&d);
    CHECK_EQ(d.out.size, 0);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    CHECK(ws_engine_ping(&d.engine, big, 125));
    drive_free(&d);
}

static void test_parts(ws_role role, const char *name) {
    drive d;
    if (!test_begin("sending in parts, %s", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    CHECK(ws_engine_send_part(&d.engine, text_of("a\xe2"), false));
    CHECK(!ws_engine_send(&d.engine, text_of("no")));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_STATE);
    CHECK(ws_engine_ping(&d.engine, "p", 1));
    CHECK(ws_engine_send_part(&d.engine, text_of("\x82"), false));
    CHECK(ws_engine_send_part(&d.engine, text_of(""), false));
    CHECK(!ws_engine_send_part(&d.engine, text_of("x"), false)); /* not the continuation that this character needs */
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_UTF8);
    CHECK(!ws_engine_send_part(&d.engine, text_of(""), true));
    CHECK(ws_engine_send_part(&d.engine, text_of("\xac!"), true));
    CHECK(ws_engine_send(&d.engine, text_of("whole")));
    CHECK(ws_engine_send_part(&d.engine, message_of("\xff", 1, WS_BINARY), true));
    drive_pump(&d);
    CHECK(drive_sent(&d, "01\"a\"<e2> 89\"p\" 00<82> 00 80<ac>\"!\" 81\"whole\" 82<ff>"));
    drive_free(&d);
}

/* An unfinished character must not be sent as text, whatever the last part is. */
static void test_parts_of_text(void) {
    drive d;
    if (test_begin("an empty last part does not complete a character")) {
        CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
        CHECK(ws_engine_send_part(&d.engine, text_of("\xe2"), false));
        CHECK(!ws_engine_send_part(&d.engine, message_of(NULL, 0, WS_TEXT), true));
        CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_UTF8);
        drive_free(&d);
    }
    if (test_begin("a binary part does not continue a text")) {
        CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
        CHECK(ws_engine_send_part(&d.engine, text_of("a"), false));
        CHECK(!ws_engine_send_part(&d.engine, message_of("\xff", 1, WS_BINARY), true));
        drive_free(&d);
    }
    if (test_begin("a text part does not continue a binary message")) {
        CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
        CHECK(ws_engine_send_part(&d.engine, message_of("\xff", 1, WS_BINARY), false));
        CHECK(!ws_engine_send_part(&d.engine, text_of("a"), true));
        drive_free(&d);
    }
}

/* Nothing may be sent before the handshake is complete, or after the close. */
static void test_states(ws_role role, const char *name) {
    drive d;
    if (!test_begin("states, %s", name))
        return;
    CHECK(drive_start(&d, role, NULL));
    drive_pump(&d);
    d.out.size = 0;
    CHECK_EQ(ws_engine_state(&d.engine), WS_CONNECTING);
    CHECK(!ws_engine_send(&d.engine, text_of("a")));
    CHECK(!ws_engine_send_part(&d.engine, text_of("a"), false));
    CHECK(!ws_engine_ping(&d.engine, NULL, 0));
    CHECK(!ws_engine_close(&d.engine, 1000, NULL));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_STATE);
    drive_feed_text(&d, role == WS_ROLE_SERVER ? DRIVE_REQUEST : DRIVE_RESPONSE);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    CHECK(!ws_engine_done(&d.engine));
    d.out.size = 0;
    CHECK(ws_engine_close(&d.engine, 1000, NULL));
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSING);
    CHECK(!ws_engine_send(&d.engine, text_of("a")));
    CHECK(!ws_engine_send_part(&d.engine, text_of("a"), true));
    CHECK(!ws_engine_ping(&d.engine, NULL, 0));
    CHECK(!ws_engine_close(&d.engine, 1000, NULL));
    drive_feed_wire(&d, "88<03e8>");
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSED);
    CHECK(!ws_engine_send(&d.engine, text_of("a")));
    CHECK(!ws_engine_close(&d.engine, 1000, NULL));
    CHECK(drive_sent(&d, "88<03e8>"));
    CHECK(ws_engine_done(&d.engine));
    drive_free(&d);
}

static void test_null(void) {
    ws_event event;
    if (!test_begin("NULL in place of an engine"))
        return;
    ws_engine_free(NULL);
    CHECK(ws_engine_input(NULL).data == NULL && ws_engine_output(NULL).size == 0);
    ws_engine_received(NULL, 1);
    ws_engine_sent(NULL, 1);
    ws_engine_ended(NULL);
    CHECK(!ws_engine_next(NULL, &event));
    CHECK(ws_engine_tick(NULL, 5) == UINT64_MAX);
    CHECK(ws_engine_done(NULL));
    CHECK_EQ(ws_engine_state(NULL), WS_CLOSED);
    CHECK_EQ(ws_engine_error(NULL), WS_ERROR_ARGUMENT);
    CHECK(!ws_engine_accept(NULL) && !ws_engine_respond(NULL, 200, NULL, NULL));
    CHECK(!ws_engine_send(NULL, text_of("")) && !ws_engine_send_part(NULL, text_of(""), true));
    CHECK(!ws_engine_ping(NULL, NULL, 0) && !ws_engine_close(NULL, 0, NULL));
}

static void test_error_texts(void) {
    int error;
    if (test_begin("the texts of errors are in order")) {
        CHECK(strstr(ws_error_text(WS_ERROR_UTF8), "UTF-8") && strstr(ws_error_text(WS_ERROR_FORMAT), "JSON"));
        CHECK(strstr(ws_error_text(WS_ERROR_CONNECT), "accepts") && strstr(ws_error_text(WS_ERROR_TIMEOUT), "in time"));
        CHECK(strcmp(ws_error_text((ws_error)-1), ws_error_text((ws_error)1000)) == 0);
    }
    for (error = WS_OK; error <= (int)WS_ERROR_FORMAT; error++)
        if (test_begin("text of error %d", error)) {
            CHECK(strlen(ws_error_text((ws_error)error)) > 5);
            CHECK(strcmp(ws_error_text((ws_error)error), ws_error_text((ws_error)1000)) != 0);
        }
}

static void feed(ws_engine *engine, const char *data) {
    ws_span in = ws_engine_input(engine);
    size_t size = strlen(data);
    CHECK(in.size >= size);
    if (in.size >= size)
        memcpy(in.data, data, size);
    ws_engine_received(engine, size);
}

/* Each text is true for every cause of its error: an engine has no on_drain, and when a request does not fit into its
   memory, no peer reads too slowly. */
static void test_true_texts(void) {
    static uint8_t memory[1024];
    static char path[600] = "/";
    ws_engine_config config;
    ws_engine engine;
    const char *text;
    drive d;
    if (test_begin("a request too long for the engine's memory")) {
        memset(&config, 0, sizeof config);
        memset(path + 1, 'x', sizeof path - 2);
        config.role = WS_ROLE_CLIENT;
        config.memory = memory;
        config.memory_size = sizeof memory;
        config.host = "a";
        config.path = path;
        config.random = drive_random;
        config.random_user = memset(&d, 0, sizeof d);
        CHECK(!ws_engine_init(&engine, &config));
        CHECK_EQ(ws_engine_error(&engine), WS_ERROR_BUFFERED);
        text = ws_error_text(ws_engine_error(&engine));
        CHECK_STR(text, "too much is unsent: send again in on_drain; an engine may need more memory");
    }
    if (test_begin("a peer's message too long for the engine's memory: 1009")) {
        ws_event event;
        memset(&config, 0, sizeof config);
        config.memory = memory;
        config.memory_size = sizeof memory;
        CHECK(ws_engine_init(&engine, &config));
        feed(&engine, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n");
        CHECK(ws_engine_next(&engine, &event) && event.type == WS_EVENT_REQUEST);
        CHECK(ws_engine_next(&engine, &event) && event.type == WS_EVENT_OPEN);
        ws_engine_sent(&engine, ws_engine_output(&engine).size);
        feed(&engine, "\x82\xfe\x7f\xff" "abcd");
        while (ws_engine_next(&engine, &event)) {}
        CHECK_EQ(event.type, WS_EVENT_REQUEST);
        ws_span out = ws_engine_output(&engine);
        CHECK(out.size >= 4 && memcmp(out.data, "\x88\x02\x03\xf1", 4) == 0);
        CHECK_EQ(ws_engine_error(&engine), WS_ERROR_TOO_BIG);
        CHECK_STR(ws_error_text(WS_ERROR_TOO_BIG), "the peer sent more than limits.message or limits.head allows");
    }
    if (test_begin("a peer's text is not UTF-8")) {
        CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
        drive_feed_wire(&d, "81<ff>");
        CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_UTF8);
        text = ws_error_text(ws_engine_error(&d.engine));
        CHECK_STR(text, "a text, sent or received, is not valid UTF-8; send other data as binary messages");
        drive_free(&d);
    }
    if (test_begin("an engine that is not open yet")) {
        CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
        CHECK(!ws_engine_send(&d.engine, text_of("x")));
        CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_STATE);
        text = ws_error_text(ws_engine_error(&d.engine));
        CHECK(!strstr(text, "on_open") && !strstr(text, "listen") && strstr(text, "the connection is not open"));
        drive_free(&d);
    }
}

/* --- closing --- */

/* RFC 6455 5.5.1, 7.1.2: we close, and the peer answers. Messages in between are dropped. */
static void test_closing(ws_role role, const char *name) {
    drive d;
    if (!test_begin("closing first, %s", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    CHECK(ws_engine_close(&d.engine, 4000, "so long"));
    drive_feed_wire(&d, "81\"dropped\" 02<00> 80<01> 8a 88<0fa0>\"ok\"");
    CHECK(drive_sent(&d, "88<0fa0>\"so long\""));
    check_closed(&d, "qc", 4000, WS_OK);
    drive_free(&d);
    if (!test_begin("both close at once, %s", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    CHECK(ws_engine_close(&d.engine, 1001, NULL));
    drive_feed_wire(&d, "88<03e8>");
    CHECK(drive_sent(&d, "88<03e9>"));
    check_closed(&d, "c", 1000, WS_OK);
    drive_free(&d);
    if (!test_begin("a ping after our close gets no pong, %s", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    CHECK(ws_engine_close(&d.engine, 0, NULL));
    drive_feed_wire(&d, "89\"a\"");
    CHECK(drive_sent(&d, "88"));
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSING);
    drive_free(&d);
    if (!test_begin("a protocol error after our close, %s", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    CHECK(ws_engine_close(&d.engine, 1000, NULL));
    drive_feed_wire(&d, "83");
    CHECK(drive_sent(&d, "88<03e8>")); /* never more than one close frame */
    check_closed(&d, "x", 1002, WS_ERROR_PROTOCOL);
    drive_free(&d);
}

static void test_close_inside_message(ws_role role, const char *name) {
    drive d;
    if (!test_begin("closing inside a message in parts, %s", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    CHECK(ws_engine_send_part(&d.engine, text_of("a"), false));
    CHECK(ws_engine_close(&d.engine, 1000, NULL));
    drive_feed_wire(&d, "88<03e8>");
    CHECK(drive_sent(&d, "01\"a\" 88<03e8>"));
    check_closed(&d, "c", 1000, WS_OK);
    drive_free(&d);
}

/* RFC 6455 7.4: every code that a program may pass. */
static void test_close_codes(void) {
    unsigned code;
    int wrong = 0;
    if (!test_begin("our close with every code"))
        return;
    for (code = 0; code < 65536; code++) {
        bool legal = code == 0 || (code >= 1000 && code <= 1014 && code != 1004 && code != 1005
            && code != 1006)
                     || (code >= 3000 && code < 5000);
        drive d;
        wrong += !drive_open(&d, WS_ROLE_SERVER, NULL);
        wrong += ws_engine_close(&d.engine, (uint16_t)code, NULL) != legal;
        wrong += ws_engine_error(&d.engine) != (legal ? WS_OK : WS_ERROR_CLOSE_CODE);
        wrong += ws_engine_state(&d.engine) != (legal ? WS_CLOSING : WS_OPEN);
        drive_free(&d);
    }
    CHECK_EQ(wrong, 0);
}

static void test_close_reasons(void) {
    char reason[200];
    drive d;
    if (!test_begin("our close with a reason"))
        return;
    CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
    memset(reason, 'r', sizeof reason);
    reason[124] = 0;
    CHECK(!ws_engine_close(&d.engine, 1000, reason));
    CHECK(!ws_engine_close(&d.engine, 0, "reason without a code"));
    CHECK(!ws_engine_close(&d.engine, 0, "r"));
    CHECK(!ws_engine_close(&d.engine, 1000, "bad \xff"));
    CHECK(!ws_engine_close(&d.engine, 1000, "cut \xe2\x82"));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_CLOSE_CODE);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    drive_pump(&d);
    CHECK_EQ(d.out.size, 0);
    reason[123] = 0;
    CHECK(ws_engine_close(&d.engine, 1000, reason));
    drive_pump(&d);
    CHECK_EQ(d.out.size, 2 + 125);
    CHECK_MEM(d.out.data + 4, 123, reason, 123);
    drive_free(&d);
}

static void test_close_event(void) {
    bytes in = {NULL, 0, 0};
    ws_event event;
    ws_span room;
    drive d;
    if (!test_begin("code and reason of the peer's close"))
        return;
    CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
    wire_write(&in, "88<0bb8>\"see you\" 81", true);
    room = ws_engine_input(&d.engine);
    memcpy(room.data, in.data, in.size);
    ws_engine_received(&d.engine, in.size);
    CHECK(ws_engine_next(&d.engine, &event));
    CHECK_EQ(event.type, WS_EVENT_CLOSED);
    CHECK_EQ(event.close.code, 3000);
    CHECK_STR(event.close.reason, "see you");
    CHECK(event.close.clean);
    CHECK(!ws_engine_done(&d.engine)); /* the answer is not sent yet */
    CHECK(!ws_engine_next(&d.engine, &event));
    drive_pump(&d);
    CHECK(ws_engine_done(&d.engine));
    drive_free(&d);
    bytes_free(&in);
}

/* The transport ends before, inside and after every part of a conversation. */
static void test_ended(ws_role role, const char *name) {
    static const struct { const char *in; ws_error error; const char *log; uint16_t code; } cases[] = {
        {"", WS_ERROR_CLOSED, "x", 1006}, {"01\"a\"", WS_ERROR_CLOSED, "x", 1006},
        {"82@ffff0", WS_ERROR_CLOSED, "x", 1006},
        {"81\"a\"", WS_ERROR_CLOSED, "Tx", 1006}, {"88<03e8>", WS_OK, "c", 1000},
        {"83", WS_ERROR_PROTOCOL, "x", 1002},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        drive d;
        if (!test_begin("the transport ends after '%s', %s", cases[i].in, name))
            continue;
        CHECK(drive_open(&d, role, NULL));
        drive_feed_wire(&d, cases[i].in);
        ws_engine_ended(&d.engine);
        ws_engine_ended(&d.engine);
        drive_pump(&d);
        check_closed(&d, cases[i].log, cases[i].code, cases[i].error);
        CHECK(ws_engine_done(&d.engine));
        drive_free(&d);
    }
    if (test_begin("the transport ends inside the handshake, %s", name)) {
        drive d;
        CHECK(drive_start(&d, role, NULL));
        drive_feed_text(&d, "GET / HT");
        ws_engine_ended(&d.engine);
        drive_pump(&d);
        CHECK(ws_engine_done(&d.engine) && d.log.size && d.log.data[d.log.size - 1] == 'x');
        drive_free(&d);
    }
}

/* --- requests --- */

static ws_event next_request(drive *d, const char *text) {
    ws_event event;
    ws_span room;
    memset(&event, 0, sizeof event);
    room = ws_engine_input(&d->engine);
    CHECK(room.size >= strlen(text));
    memcpy(room.data, text, strlen(text));
    ws_engine_received(&d->engine, strlen(text));
    CHECK(ws_engine_next(&d->engine, &event));
    CHECK_EQ(event.type, WS_EVENT_REQUEST);
    return event;
}

static bool out_holds(drive *d, const char *text) {
    bytes_add_byte(&d->out, 0);
    d->out.size--;
    return strstr((const char *)d->out.data, text) != NULL;
}

static void test_request_event(void) {
    ws_event event;
    drive d;
    if (!test_begin("the request, and accepting it"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    event = next_request(&d, DRIVE_REQUEST);
    CHECK_MEM(event.message.data, event.message.size, "/chat", 5);
    CHECK_EQ(event.message.data[5], 0);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CONNECTING);
    CHECK(ws_engine_accept(&d.engine));
    CHECK(!ws_engine_accept(&d.engine));
    CHECK(!ws_engine_respond(&d.engine, 200, NULL, NULL));
    drive_pump(&d);
    CHECK_MEM(d.out.data, d.out.size, DRIVE_RESPONSE, strlen(DRIVE_RESPONSE));
    CHECK(drive_logged(&d, "o"));
    drive_free(&d);
}

static void test_respond(void) {
    drive d;
    if (!test_begin("refusing a request with our own body"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    (void)next_request(&d, DRIVE_REQUEST);
    CHECK(!ws_engine_respond(&d.engine, 101, NULL, NULL));
    CHECK(!ws_engine_respond(&d.engine, 600, NULL, NULL));
    CHECK(!ws_engine_respond(&d.engine, 200, "text/html\r\nX: y", NULL));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_ARGUMENT);
    CHECK(ws_engine_respond(&d.engine, 403, "text/html", "<p>No"));
    drive_pump(&d);
    CHECK(out_starts(&d, "HTTP/1.1 403 Forbidden\r\n"));
    CHECK(out_holds(&d, "\r\nContent-Length: 5\r\n") && out_holds(&d, "\r\nContent-Type: text/html\r\n"));
    CHECK(out_holds(&d, "\r\nConnection: close\r\n") && out_holds(&d, "\r\n\r\n<p>No"));
    CHECK(drive_logged(&d, "x"));
    CHECK(ws_engine_done(&d.engine));
    drive_free(&d);
}

static void test_respond_bounds(void) {
    char type[102];
    drive d;
    if (!test_begin("the limits of an answer's arguments"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    (void)next_request(&d, DRIVE_REQUEST);
    memset(type, 't', sizeof type - 1);
    type[101] = 0;
    CHECK(!ws_engine_respond(&d.engine, 199, NULL, NULL));
    CHECK(!ws_engine_respond(&d.engine, 599, type, NULL));
    type[100] = 0;
    CHECK(ws_engine_respond(&d.engine, 599, type, NULL));
    drive_pump(&d);
    CHECK(out_starts(&d, "HTTP/1.1 599 ") && out_holds(&d, type));
    drive_free(&d);
}

/* The program cannot accept an invalid upgrade, which is always refused. */
static void test_accept_refused(void) {
    drive d;
    if (!test_begin("accepting an invalid upgrade"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    (void)next_request(&d, "POST /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    CHECK(!ws_engine_accept(&d.engine));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_STATE);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CONNECTING);
    drive_pump(&d);
    CHECK(out_starts(&d, "HTTP/1.1 405 "));
    drive_free(&d);
}

/* A connection does not persist after close, HTTP/1.0, an upgrade, or a request that may have a body. */
static void test_persists(void) {
    static const struct { const char *head; bool persists; } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true}, {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", false},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", false}, {DRIVE_REQUEST, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        drive d;
        if (!test_begin("whether another request may follow, %zu", i))
            continue;
        CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
        (void)next_request(&d, cases[i].head);
        CHECK(ws_engine_respond(&d.engine, 200, "text/plain", "ok"));
#ifndef WSI_BARE /* in a bare engine no connection persists */
        CHECK_EQ(ws_engine_state(&d.engine), cases[i].persists ? WS_CONNECTING : WS_CLOSED);
        drive_pump(&d);
        CHECK_EQ(out_holds(&d, "\r\nConnection: close\r\n"), !cases[i].persists);
#endif
        drive_free(&d);
    }
}

/* A size larger than any memory is refused, compressed or not. */
static void test_impossible_size(void) {
    ws_deflate_config deflate;
    ws_engine_config config;
    drive d;
    if (!test_begin("a message of SIZE_MAX bytes"))
        return;
    memset(&deflate, 0, sizeof deflate);
    memset(&config, 0, sizeof config);
    deflate.on = true;
    for (int packed = 0; packed < 2; packed++) {
        config.deflate = packed ? &deflate : NULL;
        CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
        drive_feed_text(&d, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
        d.out.size = 0;
        CHECK(!ws_engine_send(&d.engine, message_of("x", SIZE_MAX, WS_BINARY)));
        CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_ARGUMENT);
        CHECK(!ws_engine_send(&d.engine, message_of("x", SIZE_MAX / 2, WS_BINARY)));
        CHECK(ws_engine_send(&d.engine, message_of("x", 1, WS_BINARY)));
        drive_pump(&d);
        CHECK(drive_sent(&d, "82\"x\""));
        drive_free(&d);
    }
}

/* A request sent in pieces: sending 0 bytes, or more than there are, changes nothing. */
static void test_sent_in_pieces(void) {
    ws_span out;
    drive d;
    size_t i, all;
    if (!test_begin("a request sent byte by byte"))
        return;
    CHECK(drive_start(&d, WS_ROLE_CLIENT, NULL));
    for (i = 0, all = ws_engine_output(&d.engine).size; (out = ws_engine_output(&d.engine)).size && i < all; i++) {
        bytes_add(&d.out, out.data, 1);
        ws_engine_sent(&d.engine, i % 2 ? 0 : out.size + 1); /* no bytes, and more than there are */
        ws_engine_sent(&d.engine, 1);
    }
    CHECK(i == all && !out.size && out_starts(&d, "GET / HTTP/1.1\r\n"));
    drive_feed_text(&d, DRIVE_RESPONSE);
    CHECK(drive_logged(&d, "o"));
    drive_free(&d);
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL)); /* and a server's answer before the connection is open */
    (void)next_request(&d, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(ws_engine_respond(&d.engine, 200, "text/plain", "one"));
    d.send_step = 1;
    drive_pump(&d);
    CHECK(out_starts(&d, "HTTP/1.1 200 OK\r\n"));
    drive_free(&d);
}

#ifdef WSI_BARE /* a bare engine has no persistent connections */
static void test_pages(void) {}
#else
/* Two plain pages, and then the WebSocket, on one connection. */
static void test_pages(void) {
    ws_event event;
    drive d;
    if (!test_begin("pages before the WebSocket, pipelined"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    (void)next_request(&d, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"
        DRIVE_REQUEST);
    CHECK(!ws_engine_accept(&d.engine)); /* not a WebSocket request */
    CHECK(ws_engine_respond(&d.engine, 200, "text/plain", "one"));
    CHECK(ws_engine_next(&d.engine, &event));
    CHECK_EQ(event.type, WS_EVENT_REQUEST);
    CHECK_MEM(event.message.data, event.message.size, "/2", 2);
    CHECK(ws_engine_respond(&d.engine, 200, "text/plain", "two"));
    drive_pump(&d);
    CHECK(drive_logged(&d, "ro"));
    CHECK(out_starts(&d,
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\noneHTTP/1.1 200 OK\r\n"));
    CHECK(out_holds(&d, "\r\n\r\nHTTP/1.1 101 ")); /* no body for HEAD */
    drive_free(&d);
}
#endif

/* Memory for input grows only when it is full. */
static void test_input_fills(void) {
    static const uint8_t header[8] = {0x82, 0xfe, 0x07, 0xd0}; /* 2,000 bytes */
    size_t i, smallest = SIZE_MAX;
    ws_event event;
    drive d;
    if (!test_begin("input fills its memory before the memory grows"))
        return;
    CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
    for (i = 0; i < 1500; i++) {
        ws_span room = ws_engine_input(&d.engine);
        smallest = room.size < smallest ? room.size : smallest;
        room.data[0] = i < sizeof header ? header[i] : 'x';
        ws_engine_received(&d.engine, 1);
        CHECK(!ws_engine_next(&d.engine, &event));
    }
    CHECK_EQ(smallest, 1);
    drive_free(&d);
}

/* Each subprotocol is compared with the others: a higher limit would let one request cost seconds. */
static void test_many_subprotocols(void) {
    size_t count, i, field;
    for (field = 0; field < 2; field++)
        for (count = 64; count <= 65; count++) {
            char text[4000] = DRIVE_REQUEST;
            drive d;
            if (!test_begin("%zu subprotocols in %s", count, field ? "fields of their own" : "one field"))
                continue;
            text[strlen(text) - 2] = 0;
            strcat(text, "Sec-WebSocket-Protocol: a0");
            for (i = 1; i < count; i++)
                (void)snprintf(text + strlen(text), 50, "%sa%zu", field ? "\r\nSec-WebSocket-Protocol: " : ",", i);
            strcat(text, "\r\n\r\n");
            CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
            drive_feed_text(&d, text);
            CHECK(out_starts(&d, count <= 64 ? "HTTP/1.1 101 " : "HTTP/1.1 400 "));
            drive_free(&d);
        }
}

/* RFC 9110 8.6: no Content-Length with 204. */
static void test_no_content(void) {
    drive d;
    if (!test_begin("204 has no Content-Length and no body"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    (void)next_request(&d, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(ws_engine_respond(&d.engine, 204, NULL, NULL));
    drive_pump(&d);
    CHECK(out_starts(&d, "HTTP/1.1 204 ") && !out_holds(&d, "Content-Length"));
    drive_free(&d);
}

/* More input may arrive between a request and its answer. The request must stay unchanged. The
   head just fills the buffer, so that room for more input means moving it. */
static void test_late_accept(void) {
    size_t padding;
    for (padding = 0; padding < 2; padding++) {
        char text[1100] =
            "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX: ";
        const char *leading = padding ? "" : "\r\n";
        ws_event event;
        ws_span room;
        size_t size;
        drive d;
        if (!test_begin("input between request and answer, %s", padding ? "full buffer" : "moved head"))
            continue;
        CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
        room = ws_engine_input(&d.engine);
        for (size = strlen(text); padding && size + 4 < room.size && size + 5 < sizeof text; size++)
            text[size] = 'x';
        memcpy(text + size, "\r\n\r\n", 5);
        memcpy(room.data, leading, strlen(leading));
        memcpy(room.data + strlen(leading), text, size + 4);
        ws_engine_received(&d.engine, strlen(leading) + size + 4);
        CHECK(ws_engine_next(&d.engine, &event));
        CHECK_EQ(event.type, WS_EVENT_REQUEST);
        (void)ws_engine_input(&d.engine);
        CHECK(ws_engine_accept(&d.engine));
        drive_pump(&d);
        CHECK_MEM(d.out.data, d.out.size, DRIVE_RESPONSE, strlen(DRIVE_RESPONSE));
        drive_free(&d);
    }
}

/* --- events --- */

/* The byte after a message is zero while the program has the message. Then the original byte returns. */
static void test_zero_byte(ws_role role, const char *name) {
    drive d;
    if (!test_begin("a zero byte after each message, %s", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    drive_feed_wire(&d, "81\"one\" 82<ffff> 89\"ping\" 01\"a\" 80\"b\" 81 81\"last\"");
    CHECK(!d.unzeroed);
    CHECK(drive_sent(&d, "81\"one\" 82<ffff> 8a\"ping\" 81\"ab\" 81 81\"last\""));
    drive_free(&d);
}

/* Messages in chunks: no limit, first and last are marked, in order, and only the last may be empty. */
static void test_chunks(ws_role role, const char *name) {
    size_t piece;
    for (piece = 0; piece < 4; piece++) {
        bytes in = {NULL, 0, 0}, got = {NULL, 0, 0}, wanted = {NULL, 0, 0};
        ws_engine_config config;
        size_t i, messages = 0;
        bool inside = false;
        drive d;
        if (!test_begin("chunks, pieces of %zu, %s", piece, name))
            continue;
        memset(&config, 0, sizeof config);
        config.limits.message = 100;
        config.chunks = true;
        CHECK(drive_open(&d, role, &config));
        wire_write(&in, "01*300 00 89\"p\" 00*500 80*200 02 80 81<c3a9>", role == WS_ROLE_SERVER);
        wire_sample(&wanted, 0, 1000, true);
        bytes_add(&wanted, "\xc3\xa9", 2);
        for (i = 0; i < in.size;) {
            ws_span room = ws_engine_input(&d.engine);
            size_t step = piece ? piece : in.size;
            ws_event event;
            step = step > in.size - i ? in.size - i : step;
            step = step > room.size ? room.size : step;
            memcpy(room.data, in.data + i, step);
            ws_engine_received(&d.engine, step);
            i += step;
            while (ws_engine_next(&d.engine, &event)) {
                if (event.type != WS_EVENT_CHUNK)
                    continue;
                CHECK_EQ(event.chunk.first, !inside);
                CHECK(event.chunk.size || event.chunk.last);
                CHECK_EQ(event.chunk.type, messages == 1 ? WS_BINARY : WS_TEXT);
                bytes_add(&got, event.chunk.data, event.chunk.size);
                inside = !event.chunk.last;
                messages += event.chunk.last;
            }
        }
        CHECK_EQ(messages, 3);
        CHECK_MEM(got.data, got.size, wanted.data, wanted.size);
        drive_free(&d);
        bytes_free(&in);
        bytes_free(&got);
        bytes_free(&wanted);
    }
}

static void test_chunks_utf8(void) {
    ws_engine_config config;
    drive d;
    if (!test_begin("chunks of bad text"))
        return;
    memset(&config, 0, sizeof config);
    config.chunks = true;
    CHECK(drive_open(&d, WS_ROLE_SERVER, &config));
    drive_feed_wire(&d, "01\"abc\"<e2> 80<ff>");
    CHECK(drive_logged(&d, "Cx"));
    CHECK_EQ(d.close_code, 1007);
    drive_free(&d);
    CHECK(drive_open(&d, WS_ROLE_SERVER, &config));
    drive_feed_wire(&d, "01\"abc\"<e2> 80");
    CHECK(drive_logged(&d, "Cx"));
    CHECK_EQ(d.close_code, 1007);
    drive_free(&d);
}

/* A call at the wrong time, or with wrong arguments, does nothing. */
static void test_misuse(void) {
    uint8_t data[4] = {0};
    ws_event event;
    drive d;
    if (!test_begin("calls out of turn"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    CHECK(!ws_engine_next(&d.engine, &event)); /* before any input */
    CHECK(!ws_engine_next(&d.engine, NULL));
    ws_engine_received(&d.engine, 5); /* without a call of ws_engine_input */
    CHECK(!ws_engine_accept(&d.engine));
    CHECK(!ws_engine_respond(&d.engine, 200, NULL, NULL));
    ws_engine_sent(&d.engine, 5);
    ws_engine_sent(&d.engine, SIZE_MAX);
    drive_feed_text(&d, DRIVE_REQUEST);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    (void)ws_engine_input(&d.engine);
    ws_engine_received(&d.engine, SIZE_MAX); /* more than the room */
    ws_engine_received(&d.engine, 1u << 30);
    ws_engine_received(&d.engine, 0);
    CHECK(!ws_engine_next(&d.engine, &event));
    CHECK(ws_engine_send(&d.engine, message_of(data, 4, WS_BINARY)));
    ws_engine_sent(&d.engine, 1000);
    CHECK_EQ(ws_engine_output(&d.engine).size, 6);
    drive_free(&d);
}

/* An engine is freed inside the loop over its events, and used after that. */
static void test_use_after_free(const char *frame) {
    ws_event event;
    ws_span room;
    bytes in = {NULL, 0, 0};
    drive d;
    if (!test_begin("an engine freed while the program has %s", frame))
        return;
    CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
    CHECK(ws_engine_send(&d.engine, text_of("half sent")));
    ws_engine_sent(&d.engine, 3);
    wire_write(&in, frame, true);
    wire_write(&in, "81\"two\"", true);
    room = ws_engine_input(&d.engine);
    memcpy(room.data, in.data, in.size);
    ws_engine_received(&d.engine, in.size);
    CHECK(ws_engine_next(&d.engine, &event));
    ws_engine_free(&d.engine);
    CHECK(!ws_engine_next(&d.engine, &event));
    CHECK(!ws_engine_send(&d.engine, text_of("a")));
    CHECK_EQ(ws_engine_output(&d.engine).size, 0);
    CHECK_EQ(ws_engine_input(&d.engine).size, 0);
    CHECK(ws_engine_done(&d.engine));
    CHECK_EQ(d.memory.used, 0);
    drive_free(&d);
    bytes_free(&in);
}

/* --- limits --- */

static void test_message_limit(ws_role role, const char *name) {
    static const struct { const char *in; bool good; } cases[] = {
        {"82#1000", true}, {"82#1001", false}, {"02#500 80#500", true}, {"02#500 80#501", false},
        {"02#1000 80", true}, {"02#1000 00 80#1", false},
        {"1000x82#1", true}, {"02#999 89#125 80#1", true}, {"02#2 80@10000", false},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        ws_engine_config config;
        drive d;
        if (!test_begin("limit of 1000 bytes: %s, %s", cases[i].in, name))
            continue;
        memset(&config, 0, sizeof config);
        config.limits.message = 1000;
        CHECK(drive_open(&d, role, &config));
        d.silent = true;
        drive_feed_wire(&d, cases[i].in);
        CHECK_EQ(ws_engine_state(&d.engine) == WS_OPEN, cases[i].good);
        if (!cases[i].good)
            CHECK(drive_sent(&d, "88<03f1>") && ws_engine_error(&d.engine) == WS_ERROR_TOO_BIG);
        drive_free(&d);
    }
}

/* Any number of tiny fragments: the heap holds at most twice the payload. */
static void test_tiny_fragments(ws_role role, const char *name) {
    size_t i;
    bytes one = {NULL, 0, 0}, none = {NULL, 0, 0};
    drive d;
    wire_write(&one, "00#1", role == WS_ROLE_SERVER);
    wire_write(&none, "00", role == WS_ROLE_SERVER);
    if (test_begin("200,000 fragments of one byte, %s", name)) {
        CHECK(drive_open(&d, role, NULL));
        d.silent = true;
        drive_feed_wire(&d, "02");
        for (i = 0; i < 200000; i++)
            (void)drive_feed(&d, one.data, one.size);
        CHECK(d.memory.used <= 2 * 200000 + 4096);
        drive_feed_wire(&d, "80");
        CHECK_EQ(d.received, 200000);
        drive_free(&d);
    }
    if (test_begin("200,000 empty fragments, %s", name)) {
        CHECK(drive_open(&d, role, NULL));
        drive_feed_wire(&d, "02#3");
        for (i = 0; i < 200000; i++)
            (void)drive_feed(&d, none.data, none.size);
        CHECK(d.memory.peak <= 8192);
        drive_feed_wire(&d, "80");
        CHECK(drive_logged(&d, "B"));
        drive_free(&d);
    }
    bytes_free(&one);
    bytes_free(&none);
}

/* Nothing more is read from a peer that does not read, and memory stays constant, whatever it sends and
   however often ws_engine_input is called. */
static void test_flood(ws_role role, const char *name, const char *frame) {
    ws_engine_config config;
    bytes in = {NULL, 0, 0};
    size_t i, taken = 0;
    drive d;
    if (!test_begin("flood of %s to a peer that does not read, %s", frame, name))
        return;
    memset(&config, 0, sizeof config);
    config.limits.buffered = 20000;
    config.limits.message = 1000;
    CHECK(drive_open(&d, role, &config));
    wire_write(&in, frame, role == WS_ROLE_SERVER);
    d.stuck = true;
    for (i = 0; i < 20000; i++)
        taken += drive_feed(&d, in.data, in.size);
    CHECK(taken < 20000 * in.size);
    CHECK(d.memory.peak < 100000);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    d.stuck = false; /* it reads again: everything continues */
    drive_pump(&d);
    CHECK(d.out.size > 20000);
    drive_free(&d);
    bytes_free(&in);
}

static void test_buffered(void) {
    ws_engine_config config;
    uint8_t data[600];
    drive d;
    if (!test_begin("unsent bytes at their limit"))
        return;
    memset(data, 0, sizeof data);
    memset(&config, 0, sizeof config);
    config.limits.buffered = 1000;
    CHECK(drive_open(&d, WS_ROLE_SERVER, &config));
    CHECK(ws_engine_send(&d.engine, message_of(data, sizeof data, WS_BINARY)));
    CHECK(ws_engine_send(&d.engine, message_of(data, sizeof data, WS_BINARY))); /* accepted as a whole */
    CHECK(!ws_engine_send(&d.engine, message_of(data, 1, WS_BINARY)));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_BUFFERED);
    CHECK(!ws_engine_send_part(&d.engine, message_of(data, 1, WS_BINARY), true));
    drive_pump(&d);
    CHECK(ws_engine_send(&d.engine, message_of(data, 1, WS_BINARY)));
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    drive_free(&d);
}

/* --- masks --- */

static int compare_keys(const void *a, const void *b) { return memcmp(a, b, 4); }

static void test_mask_keys(void) {
    static uint8_t keys[10000][4];
    size_t i;
    int same = 0;
    drive d;
    if (!test_begin("10,000 frames of a client have 10,000 different keys"))
        return;
    CHECK(drive_open(&d, WS_ROLE_CLIENT, NULL));
    for (i = 0; i < 10000; i++) {
        d.out.size = 0;
        CHECK(i % 3 ? ws_engine_send(&d.engine, text_of("Hello")) : ws_engine_ping(&d.engine, "Hello", 5));
        drive_pump(&d);
        CHECK(d.out.size == 11 && d.out.data[1] == 0x85);
        memcpy(keys[i], d.out.data + 2, 4);
    }
    qsort(keys, 10000, 4, compare_keys);
    for (i = 1; i < 10000; i++)
        same += memcmp(keys[i - 1], keys[i], 4) == 0;
    CHECK_EQ(same, 0);
    CHECK_EQ(d.random_count, 10001);
    drive_free(&d);
}

static void test_random_fails(void) {
    drive d;
    if (test_begin("the random source fails before a send")) {
        CHECK(drive_open(&d, WS_ROLE_CLIENT, NULL));
        d.random_fails_at = 1;
        CHECK(!ws_engine_send(&d.engine, text_of("a")));
        CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_RANDOM);
        CHECK(!ws_engine_ping(&d.engine, NULL, 0));
        CHECK(!ws_engine_send_part(&d.engine, text_of("a"), false));
        drive_pump(&d);
        CHECK_EQ(d.out.size, 0);
        d.random_fails_at = 0;
        CHECK(ws_engine_send(&d.engine, text_of("a"))); /* no message was begun */
        drive_free(&d);
    }
    if (test_begin("the random source fails before a pong")) {
        CHECK(drive_open(&d, WS_ROLE_CLIENT, NULL));
        d.random_fails_at = 1;
        drive_feed_wire(&d, "89\"a\"");
        CHECK_EQ(d.out.size, 0);
        check_closed(&d, "x", 1006, WS_ERROR_RANDOM);
        drive_free(&d);
    }
    if (test_begin("the random source fails before the answer to a close")) {
        CHECK(drive_open(&d, WS_ROLE_CLIENT, NULL));
        d.random_fails_at = 1;
        drive_feed_wire(&d, "88<03e8>");
        CHECK_EQ(d.out.size, 0);
        check_closed(&d, "x", 1006, WS_ERROR_RANDOM);
        drive_free(&d);
    }
    if (test_begin("the random source fails before a close")) {
        CHECK(drive_open(&d, WS_ROLE_CLIENT, NULL));
        d.random_fails_at = 1;
        CHECK(!ws_engine_close(&d.engine, 1000, NULL));
        CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_RANDOM);
        drive_free(&d);
    }
    if (test_begin("the random source fails before the request")) {
        ws_engine_config config;
        ws_engine engine;
        memset(&d, 0, sizeof d);
        memset(&config, 0, sizeof config);
        config.role = WS_ROLE_CLIENT;
        config.host = "a";
        config.random = drive_random;
        config.random_user = &d;
        d.random_fails_at = 1;
        CHECK(!ws_engine_init(&engine, &config));
    }
}

static void test_server_needs_no_random(void) {
    ws_engine_config config;
    ws_engine engine;
    if (!test_begin("a server needs no random source"))
        return;
    memset(&config, 0, sizeof config);
    CHECK(ws_engine_init(&engine, &config));
    ws_engine_free(&engine);
}

static void test_role(ws_role role, const char *name) {
    test_send(role, name);
    test_refused_sends(role, name);
    test_parts(role, name);
    test_states(role, name);
    test_closing(role, name);
    test_close_inside_message(role, name);
    test_ended(role, name);
    test_zero_byte(role, name);
    test_chunks(role, name);
    test_message_limit(role, name);
    test_tiny_fragments(role, name);
    test_flood(role, name, "82#900");
    test_flood(role, name, "89#125");
}

#define ASKS "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

/* A server's answers to heads, the same in every build, however small. */
static void test_heads(void) {
    static const struct { int status; const char *head; } cases[] = {
        {101, GET ASKS VERSION KEY}, {101, "GET / HTTP/1.1\r\nhost:a:80\r\n" ASKS VERSION KEY},
        {101, GET "upgrade: h2c, WebSocket\r\nconnection: keep-alive\r\nConnection: x,\tUPGRADE\r\n" VERSION KEY},
        {101, GET "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" VERSION KEY},
        {101, "GET ws://b.example/x?y HTTP/1.1\r\nHost: a\r\n" ASKS VERSION KEY "Origin: http://b.example\r\n"},
        {403, "GET ws://b.example/x HTTP/1.1\r\nHost: a\r\n" ASKS VERSION KEY "Origin: http://a\r\n"},
        {101, GET ASKS VERSION KEY "Origin: https://A\r\n"}, {101, GET ASKS VERSION KEY "Origin: http://a:80\r\n"},
        {403, GET ASKS VERSION KEY "Origin: http://a:81\r\n"}, {403, GET ASKS VERSION KEY "Origin: http://b\r\n"},
        {403, GET ASKS VERSION KEY "Origin: null\r\n"}, {403, GET ASKS VERSION KEY "Origin: ftp://a\r\n"},
        {400, GET ASKS VERSION KEY "Origin: http://a\r\nOrigin: http://a\r\n"},
        {101, GET ASKS VERSION KEY "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n"},
        {400, GET ASKS VERSION KEY "Sec-WebSocket-Protocol: a, b, a\r\n"},
        {400, GET ASKS VERSION KEY "Sec-WebSocket-Protocol: a, b\r\nX: y\r\nSec-WebSocket-Protocol: b\r\n"},
        {400, GET ASKS VERSION KEY "Sec-WebSocket-Protocol: a b\r\n"},
        {400, GET ASKS VERSION KEY "Sec-WebSocket-Protocol: ,\r\n"},
        {101, GET ASKS VERSION KEY "Sec-WebSocket-Protocol:\r\n"},
        {400, GET ASKS VERSION KEY KEY}, {400, GET ASKS VERSION VERSION KEY}, {400, GET ASKS VERSION},
        {426, GET ASKS KEY}, {426, GET ASKS "Sec-WebSocket-Version: 8\r\n" KEY},
        {400, GET ASKS VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n"},
        {400, GET "Upgrade: websocket\r\n" VERSION KEY}, {426, GET "Connection: Upgrade\r\n" VERSION KEY},
        {405, "POST / HTTP/1.1\r\nHost: a\r\n" ASKS VERSION KEY},
        {400, "GET / HTTP/1.0\r\nHost: a\r\n" ASKS VERSION KEY},
        {505, "GET / HTTP/2.0\r\nHost: a\r\n" ASKS VERSION KEY},
        {400, "GET / HTTP/1.1 \r\nHost: a\r\n" ASKS VERSION KEY},
        {400, "GET / HTTP/1.1\r\n" ASKS VERSION KEY}, {400, GET "Host: a\r\n" ASKS VERSION KEY},
        {400, "GET / HTTP/1.1\r\nHost:\r\n" ASKS VERSION KEY},
        {400, "GET / HTTP/1.1\r\nHost: a/b\r\n" ASKS VERSION KEY},
        {400, "GET / HTTP/1.1\r\nHost: [::1\r\n" ASKS VERSION KEY},
        {400, "GET /\x7f HTTP/1.1\r\nHost: a\r\n" ASKS VERSION KEY},
        {400, "GET /#x HTTP/1.1\r\nHost: a\r\n" ASKS VERSION KEY},
        {400, "GET x HTTP/1.1\r\nHost: a\r\n" ASKS VERSION KEY},
        {400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n" ASKS VERSION KEY},
        {400, "G=T / HTTP/1.1\r\nHost: a\r\n" ASKS VERSION KEY}, {400, GET "X : y\r\n" ASKS VERSION KEY},
        {400, GET " X: y\r\n" ASKS VERSION KEY}, {400, GET "X: \x01\r\n" ASKS VERSION KEY},
        {400, GET ASKS VERSION KEY "Content-Length: 5\r\n"}, {101, GET ASKS VERSION KEY "Content-Length: 0\r\n"},
        {400, GET ASKS VERSION KEY "Content-Length: 0\r\nContent-Length: 0\r\n"},
        {400, GET ASKS VERSION KEY "Transfer-Encoding: chunked\r\n"},
        {101, "\r\n\r\n" GET ASKS VERSION KEY}, {400, "\rX" GET ASKS VERSION KEY},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[20];
        drive d;
        if (!test_begin("head %zu: %d", i, cases[i].status))
            continue;
        CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
        drive_feed_text(&d, cases[i].head);
        drive_feed_text(&d, "\r\n");
        (void)snprintf(wanted, sizeof wanted, "HTTP/1.1 %d ", cases[i].status);
        CHECK(d.out.size > 13 && memcmp(d.out.data, wanted, 13) == 0);
        drive_free(&d);
    }
}

/* A browser's head of 782 bytes and messages of 128 bytes fit into 1,055 bytes. Input and output never overlap. */
static void test_two_sizes(void) {
    static uint8_t memory[WS_ENGINE_MEMORY(654, 128, 400) + 1];
    static const size_t wrong[] = {1, 319, sizeof memory - 320, sizeof memory - 1, sizeof memory, SIZE_MAX};
    ws_engine_config config;
    char head[800] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nCookie: ";
    ws_engine engine;
    ws_event event;
    ws_span span;
    uint8_t frame[134];
    size_t i;
    if (!test_begin("input and output of different sizes in fixed memory"))
        return;
    memset(&config, 0, sizeof config);
    config.role = WS_ROLE_SERVER;
    config.memory = memory;
    config.memory_size = sizeof memory - 1;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        config.output_size = wrong[i];
        CHECK(!ws_engine_init(&engine, &config));
    }
    config.output_size = 400;
    memory[sizeof memory - 1] = 0x5a;
    CHECK(ws_engine_init(&engine, &config));
    memset(head + strlen(head), 'x', 782 - 4 - strlen(head));
    memcpy(head + 778, "\r\n\r\n", 5);
    span = ws_engine_input(&engine);
    CHECK(span.data == memory && span.size == 782);
    memcpy(span.data, head, 782);
    ws_engine_received(&engine, 782);
    CHECK(ws_engine_next(&engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK(ws_engine_next(&engine, &event) && event.type == WS_EVENT_OPEN);
    span = ws_engine_output(&engine);
    CHECK(span.data == memory + 783 && span.size > 100 && memcmp(span.data, "HTTP/1.1 101 ", 13) == 0);
    ws_engine_sent(&engine, span.size);
    memset(frame, 'y', sizeof frame);
    memcpy(frame, "\x82\xfe\0\x7e", 4);
    for (i = 0; i < 2; i++) { /* the first part of the frame, and the last */
        span = ws_engine_input(&engine);
        CHECK(span.data + span.size <= memory + 655);
        memcpy(span.data, frame + 67 * i, 67);
        ws_engine_received(&engine, 67);
        CHECK_EQ(ws_engine_next(&engine, &event), i == 1);
    }
    CHECK(event.type == WS_EVENT_MESSAGE && event.message.size == 126);
    ws_engine_free(&engine);
    CHECK_EQ(memory[sizeof memory - 1], 0x5a);
}

int main(int argc, char **argv) {
    size_t i;
    test_start(argc, argv);
    for (i = 0; i < 2; i++)
        test_role(roles[i], role_names[i]);
    test_parts_of_text();
    test_two_sizes();
    test_heads();
    test_null();
    test_error_texts();
    test_true_texts();
    test_close_codes();
    test_close_reasons();
    test_close_event();
    test_request_event();
    test_input_fills();
    test_respond();
    test_respond_bounds();
    test_accept_refused();
    test_persists();
    test_impossible_size();
    test_sent_in_pieces();
    test_pages();
    test_many_subprotocols();
    test_no_content();
    test_late_accept();
    test_chunks_utf8();
    test_misuse();
    test_use_after_free("81\"one\"");
    test_use_after_free("89\"one\"");
    test_buffered();
    test_mask_keys();
    test_random_fails();
    test_server_needs_no_random();
    return test_finish();
}
