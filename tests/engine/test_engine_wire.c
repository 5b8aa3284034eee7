/* ENGINE, FRAME, MESSAGES: the wire table of wire_cases.h against an engine, in both roles. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/drive.h"
#include "../helpers/wire_cases.h"

#define SHORT 400    /* bytes; shorter inputs are cut in two at every place */
#define MIDDLE 20000 /* shorter inputs are sent in small pieces */
#define LONG 8000000 /* longer inputs are sent only at once */

static const ws_role roles[] = {
#ifndef WS_NO_SERVER
    WS_ROLE_SERVER,
#endif
#ifndef WS_NO_CLIENT
    WS_ROLE_CLIENT
#endif
};

static const char *role_name(ws_role role) { return role == WS_ROLE_SERVER ? "server" : "client"; }

static void check_outcome(const drive *d, const wire_case *c) {
    bytes plain = {NULL, 0, 0}, wanted = {NULL, 0, 0}, events = {NULL, 0, 0};
    CHECK(wire_plain(&plain, d->out.data, d->out.size, d->engine.env.role == WS_ROLE_CLIENT));
    wire_write(&wanted, *c->out == ' ' ? c->out + 1 : c->out, false);
    CHECK_MEM(plain.data, plain.size, wanted.data, wanted.size);
    wire_events(&events, c->events);
    CHECK_MEM(d->log.data, d->log.size, events.data, events.size);
    CHECK_EQ(d->close_code, c->code);
    CHECK(ws_engine_done(&d->engine));
    CHECK_EQ(ws_engine_state(&d->engine), WS_CLOSED);
    CHECK(!d->unzeroed && !d->memory.wrong);
    CHECK(d->steps < DRIVE_MAX_STEPS);
    bytes_free(&plain);
    bytes_free(&wanted);
    bytes_free(&events);
}

static void finish(drive *d, const wire_case *c) {
    check_outcome(d, c);
    ws_engine_free(&d->engine);
    CHECK_EQ(d->memory.used, 0);
    drive_free(d);
}

static void run_pieces(const wire_case *c, ws_role role, const bytes *in, size_t piece) {
    drive d;
    CHECK(drive_open(&d, role, NULL));
    drive_feed_pieces(&d, in->data, in->size, piece);
    finish(&d, c);
}

static void run_frames(const wire_case *c, ws_role role) {
    const char *rest = c->in;
    bytes frame = {NULL, 0, 0};
    size_t at = 0;
    drive d;
    CHECK(drive_open(&d, role, NULL));
    while (*rest) {
        frame.size = 0;
        rest = wire_next(rest, &frame, role == WS_ROLE_SERVER, &at);
        (void)drive_feed(&d, frame.data, frame.size);
    }
    bytes_free(&frame);
    finish(&d, c);
}

static void run_cuts(const wire_case *c, ws_role role, const bytes *in) {
    size_t cut;
    for (cut = 1; cut < in->size; cut++) {
        drive d;
        CHECK(drive_open(&d, role, NULL));
        (void)drive_feed(&d, in->data, cut);
        (void)drive_feed(&d, in->data + cut, in->size - cut);
        finish(&d, c);
    }
}

/* --- in chunks --- */

/* Copies the payloads of whole messages to one stream, and control frames to another. */
static void join(const bytes *frames, bytes *messages, bytes *controls) {
    bytes message = {NULL, 0, 0};
    size_t at = 0;
    uint8_t type = 0;
    while (at + 2 <= frames->size) {
        const uint8_t *frame = frames->data + at;
        size_t size = frame[1], header = 2, i;
        if (size > 125) {
            header += size == 126 ? 2 : 8;
            for (size = 0, i = 2; i < header; i++)
                size = size << 8 | frame[i];
        }
        at += header + size;
        if (frame[0] & 8) {
            bytes_add(controls, frame, header + size);
            continue;
        }
        type = frame[0] & 15 ? frame[0] & 15 : type;
        bytes_add(&message, frame + header, size);
        if (frame[0] & 0x80) {
            bytes_add(messages, &type, 1);
            bytes_add(messages, &message.size, sizeof message.size);
            bytes_add(messages, message.data, message.size);
            message.size = 0;
        }
    }
    bytes_free(&message);
}

static void finish_chunks(drive *d, const wire_case *c, const uint8_t *memory) {
    bytes plain = {NULL, 0, 0}, wanted = {NULL, 0, 0}, events = {NULL, 0, 0}, streams[4];
    int i;
    memset(streams, 0, sizeof streams);
    CHECK(wire_plain(&plain, d->out.data, d->out.size, d->engine.env.role == WS_ROLE_CLIENT));
    wire_write(&wanted, *c->out == ' ' ? c->out + 1 : c->out, false);
    join(&plain, &streams[0], &streams[1]);
    join(&wanted, &streams[2], &streams[3]);
    CHECK_MEM(streams[0].data, streams[0].size, streams[2].data, streams[2].size);
    CHECK_MEM(streams[1].data, streams[1].size, streams[3].data, streams[3].size);
    wire_events(&events, c->events);
    CHECK_MEM(d->log.data, d->log.size, events.data, events.size);
    CHECK_EQ(d->close_code, c->code);
    CHECK(ws_engine_done(&d->engine));
    CHECK(!d->unzeroed && !d->unsent && d->steps < DRIVE_MAX_STEPS);
    CHECK_EQ(*memory, 0x5a);
    for (i = 0; i < 4; i++)
        bytes_free(&streams[i]);
    bytes_free(&plain);
    bytes_free(&wanted);
    bytes_free(&events);
    drive_free(d);
}

/* Sends handshake and messages of any size through 1 KiB: up to cut, then the rest; or in pieces. */
static void run_chunks(const wire_case *c, ws_role role, const bytes *in, size_t cut, size_t piece) {
    static uint8_t memory[1025];
    ws_engine_config config;
    drive d;
    memset(&config, 0, sizeof config);
    config.memory = memory;
    config.memory_size = sizeof memory - 1;
    config.chunks = true;
    memory[sizeof memory - 1] = 0x5a;
    CHECK(drive_open(&d, role, &config));
    d.joins = true;
    (void)drive_feed(&d, in->data, cut);
    drive_feed_pieces(&d, in->data + cut, in->size - cut, piece);
    finish_chunks(&d, c, memory + sizeof memory - 1);
}

static void run_all_chunks(const wire_case *c, ws_role role, const bytes *in) {
    size_t cut;
    if (c->code == 1009 || in->size > 10 * MIDDLE || !test_begin("%s in chunks %s", c->name, role_name(role)))
        return;
    run_chunks(c, role, in, 0, 0);
    if (in->size < MIDDLE)
        run_chunks(c, role, in, 0, 1);
    for (cut = 1; cut < in->size && in->size < SHORT; cut++)
        run_chunks(c, role, in, cut, 0);
}

/* One case in one role, cut in every way. */
static void run_case(const wire_case *c, ws_role role) {
    bytes in = {NULL, 0, 0};
    if (!test_begin("%s %s", c->name, role_name(role)))
        return;
    wire_write(&in, c->in, role == WS_ROLE_SERVER);
    run_pieces(c, role, &in, c->piece);
    if (!c->piece && in.size < LONG)
        run_frames(c, role);
    if (!c->piece && in.size < MIDDLE)
        run_pieces(c, role, &in, 1);
    if (in.size < SHORT)
        run_cuts(c, role, &in);
    run_all_chunks(c, role, &in);
    bytes_free(&in);
}

static void run_both(const wire_case *c) {
    size_t i;
    for (i = 0; i < COUNT(roles); i++)
        run_case(c, roles[i]);
}

/* RFC 6455 7.4 and the registry, for each of the 65,536 numbers. */
static void run_all_codes(ws_role role) {
    unsigned code;
    int wrong = 0;
    if (!test_begin("W every close code %s", role_name(role)))
        return;
    for (code = 0; code < 65536; code++) {
        bool legal = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006)
                     || (code >= 3000 && code < 5000);
        char in[20], out[20];
        drive d;
        (void)snprintf(in, sizeof in, "88<%04x>", code);
        (void)snprintf(out, sizeof out, "88<%04x>", legal ? code : 1002);
        wrong += !drive_open(&d, role, NULL);
        drive_feed_wire(&d, in);
        wrong += !drive_sent(&d, out) || !drive_logged(&d, legal ? "c" : "x");
        drive_free(&d);
    }
    CHECK_EQ(wrong, 0);
}

/* 6.4.3 and 6.4.4: only the start of a text frame arrives, and its last byte makes the text invalid.
   The failure must come before the frame is complete. */
static void run_early(const char *name, ws_role role, size_t first, size_t second) {
    const char *text = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80" "edited";
    bytes in = {NULL, 0, 0};
    size_t header = role == WS_ROLE_SERVER ? 6 : 2;
    drive d;
    if (!test_begin("%s %s", name, role_name(role)))
        return;
    wire_put(&in, 0x81, text, strlen(text), role == WS_ROLE_SERVER);
    CHECK(drive_open(&d, role, NULL));
    (void)drive_feed(&d, in.data, header + first);
    CHECK_EQ(d.out.size, 0);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    (void)drive_feed(&d, in.data + header + first, second);
    CHECK(drive_sent(&d, "88<03ef>"));
    CHECK(drive_logged(&d, "x"));
    CHECK_EQ(d.close_code, 1007);
    drive_free(&d);
    bytes_free(&in);
}

/* Every first byte, with an empty payload, on a new connection and inside a message. */
static void run_first_bytes(ws_role role, bool inside) {
    unsigned first;
    for (first = 0; first < 256; first++) {
        unsigned opcode = first & 15;
        bool control = opcode >= 8, starts = opcode == 1 || opcode == 2;
        bool good = !(first & 0x70) && opcode <= 10 && !(opcode > 2 && opcode < 8)
        && (!control || first & 0x80)
                    && (!starts || !inside) && (opcode || inside);
        drive d;
        if (!test_begin("W first byte %02x%s %s", first, inside ? " inside a message" : "", role_name(role)))
            continue;
        CHECK(drive_open(&d, role, NULL));
        if (inside)
            drive_feed_wire(&d, "01\"a\"");
        d.out.size = 0;
        {
            char in[8];
            (void)snprintf(in, sizeof in, "%02x", first);
            drive_feed_wire(&d, in);
        }
        CHECK_EQ(ws_engine_state(&d.engine) == WS_OPEN, good && opcode != 8);
        CHECK_EQ(drive_sent(&d, "88<03ea>"), !good);
        drive_free(&d);
    }
}

static void run_role(ws_role role) {
    run_early("6.4.3", role, 11, 2);
    run_early("6.4.4", role, 12, 1);
    run_all_codes(role);
    run_first_bytes(role, false);
    run_first_bytes(role, true);
}

int main(int argc, char **argv) {
    size_t i;
    test_start(argc, argv);
    wire_run_all(run_both);
    for (i = 0; i < COUNT(roles); i++)
        run_role(roles[i]);
    return test_finish();
}
