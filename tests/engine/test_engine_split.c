/* ENGINE: whole conversations, handshake included, cut at every byte. The events and the output must be the same
   wherever the network cuts the input, and however slowly the output is sent. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/drive.h"
#include "../helpers/wire_cases.h"

#define MOST 3000 /* bytes of a conversation */

static size_t splits; /* all cuts tried */

typedef struct outcome {
    bytes out, details;
    ws_error error;
    ws_conn_state state;
} outcome;

/* Feeds the conversation up to cut, then the rest; in pieces if piece is set. */
static void converse(outcome *o, ws_role role, const bytes *in, size_t cut, size_t piece, size_t send_step) {
    drive d;
    splits++;
    CHECK(drive_start(&d, role, NULL));
    d.send_step = send_step;
    drive_pump(&d);
    if (piece) {
        drive_feed_pieces(&d, in->data, in->size, piece);
    } else {
        (void)drive_feed(&d, in->data, cut);
        (void)drive_feed(&d, in->data + cut, in->size - cut);
    }
    ws_engine_ended(&d.engine);
    drive_pump(&d);
    CHECK(!d.unzeroed && !d.memory.wrong && d.steps < DRIVE_MAX_STEPS);
    memset(o, 0, sizeof *o);
    bytes_add(&o->out, d.out.data, d.out.size);
    bytes_add(&o->details, d.details.data, d.details.size);
    o->error = ws_engine_error(&d.engine);
    o->state = ws_engine_state(&d.engine);
    drive_free(&d);
}

static void free_outcome(outcome *o) {
    bytes_free(&o->out);
    bytes_free(&o->details);
}

static void check_same(outcome *is, const outcome *wanted) {
    CHECK_MEM(is->out.data, is->out.size, wanted->out.data, wanted->out.size);
    CHECK_MEM(is->details.data, is->details.size, wanted->details.data, wanted->details.size);
    CHECK_EQ(is->error, wanted->error);
    CHECK_EQ(is->state, wanted->state);
    free_outcome(is);
}

static void run(const char *name, ws_role role, const bytes *in) {
    static const size_t pieces[] = {1, 2, 3, 5, 13};
    outcome whole, other;
    size_t i;
    if (in->size > MOST || !test_begin("%s, %s", name, role == WS_ROLE_SERVER ? "server" : "client"))
        return;
    converse(&whole, role, in, in->size, 0, 0);
    for (i = 0; i < in->size; i++) {
        converse(&other, role, in, i, 0, 0);
        check_same(&other, &whole);
    }
    for (i = 0; i < COUNT(pieces); i++) {
        converse(&other, role, in, 0, pieces[i], 0);
        check_same(&other, &whole);
    }
    converse(&other, role, in, 0, 1, 1); /* and the output byte by byte */
    check_same(&other, &whole);
    free_outcome(&whole);
}

static void run_frames(const char *name, ws_role role, const char *frames) {
    const char *head = role == WS_ROLE_SERVER ? DRIVE_REQUEST : DRIVE_RESPONSE;
    bytes in = {NULL, 0, 0};
    if (strlen(frames) > MOST)
        return;
    bytes_add(&in, head, strlen(head));
    wire_write(&in, frames, role == WS_ROLE_SERVER);
    run(name, role, &in);
    bytes_free(&in);
}

/* The short cases of the wire table, after a handshake. */
static void run_table(const wire_case *cases, size_t count) {
    size_t i;
    for (i = 0; i < count; i++)
        if (!strchr(cases[i].in, 'x') || strlen(cases[i].in) < 40) {
            run_frames(cases[i].name, WS_ROLE_SERVER, cases[i].in);
            run_frames(cases[i].name, WS_ROLE_CLIENT, cases[i].in);
        }
}

static void run_conversations(void) {
    static const struct { const char *name, *frames; } cases[] = {
        {"two messages, pings, fragments, close",
         "81\"Hello\" 82#130 89\"a\" 01<c3> 89#125 00<a9c3> 8a 80<a9> 02 00#126 00 80#3 89 88<0fa0>\"bye \"<c3a9>"},
        {"cut off inside a message", "01\"Hello\" 89\"x\" 00#3"},
        {"cut off inside a frame of 16 MiB", "81\"a\" 82@1000000"},
        {"reserved bit at the end", "81\"a\" 82#200 c1\"b\" 81\"c\""},
        {"bad text at the end", "01\"abc\"<f09f> 00<98> 80<41> 81\"c\""},
        {"bad text before the end of its frame", "81\"abc\"<ed>*60<a0>\"more\""},
        {"too long a message", "02#300 00#300 80@ffffffff 81\"a\""},
        {"a close in the middle of a message", "01\"a\" 88<03e8>\"x\" 80\"b\""},
        {"bad close", "81\"a\" 88<03ee>"}, {"garbage", "81\"a\" ff\"garbage\" 00 12"},
        {"masked the wrong way", "81\"a\" !82#150 81\"b\""},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        run_frames(cases[i].name, WS_ROLE_SERVER, cases[i].frames);
        run_frames(cases[i].name, WS_ROLE_CLIENT, cases[i].frames);
    }
}

/* Handshakes of all kinds. No bytes after a refusal may change it. */
static void run_handshakes(void) {
    static const struct { const char *name; ws_role role; const char *text; } cases[] = {
        {"empty line first", WS_ROLE_SERVER, "\r\n" DRIVE_REQUEST},
        {"empty lines first", WS_ROLE_SERVER, "\r\n\r\n\r\n" DRIVE_REQUEST},
        {"bare CR first", WS_ROLE_SERVER, "\r" DRIVE_REQUEST},
        {"bare LF first", WS_ROLE_SERVER, "\n" DRIVE_REQUEST},
        {"CR CR LF first", WS_ROLE_SERVER, "\r\r\n" DRIVE_REQUEST},
        {"bare LF", WS_ROLE_SERVER, "GET / HTTP/1.1\nHost: a\r\n\r\n"},
        {"bare CR", WS_ROLE_SERVER, "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"},
        {"obs-fold", WS_ROLE_SERVER, "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"},
        {"plain GET", WS_ROLE_SERVER, "GET / HTTP/1.1\r\nHost: a\r\n\r\n" DRIVE_REQUEST},
        {"HTTP/2", WS_ROLE_SERVER, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        {"TLS", WS_ROLE_SERVER, "\x16\x03\x01\x02"},
        {"no version", WS_ROLE_SERVER, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
         "Connection: upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85"},
         {"cut off", WS_ROLE_SERVER, "GET / HTTP/1.1\r\nHost"},
        {"nothing", WS_ROLE_SERVER, ""},
        {"200", WS_ROLE_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
        {"bad answer", WS_ROLE_CLIENT, "HTTP/1.1 101 Ok\r\nUpgrade: \x01\r\n\r\n"},
        {"cut off answer", WS_ROLE_CLIENT, "HTTP/1.1 101 Ok\r\nUpgra"},
        {"empty line before the answer", WS_ROLE_CLIENT, "\r\n" DRIVE_RESPONSE},
        {"no HTTP", WS_ROLE_CLIENT, "220 mail ready\r\n"},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        bytes in = {NULL, 0, 0};
        bytes_add(&in, cases[i].text, strlen(cases[i].text));
        run(cases[i].name, cases[i].role, &in);
        bytes_free(&in);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    run_handshakes();
    run_conversations();
    run_table(wire_framing, COUNT(wire_framing));
    run_table(wire_fragments, COUNT(wire_fragments));
    run_table(wire_utf8_fragments, COUNT(wire_utf8_fragments));
    run_table(wire_closing, COUNT(wire_closing));
    run_table(wire_own, COUNT(wire_own));
    if (test_begin("the number of cuts"))
        CHECK(splits > 10000 || *test_now.filter);
    printf("%zu splits tried\n", splits);
    return test_finish();
}
