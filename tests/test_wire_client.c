/* The wire table of wire_cases.h in the client's role, over sockets: the test is the server that plays
   the peer's frames, in one go, frame by frame, and in pieces. */
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "client.h"
#include "wire_cases.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static raw_server *server;
static bytes letters; /* of what the callbacks saw: T, B, and c or x at the end */

static void letter(char c) { bytes_add(&letters, &c, 1); }

static void note_message(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    letter(message.type == WS_TEXT ? 'T' : 'B');
    CHECK(ws_send(conn, message));
}

static void note_close(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)conn;
    (void)number;
    letter(why.clean ? 'c' : 'x');
}

/* The events of a case that a program sees. */
static void wanted_letters(bytes *out, const char *events) {
    bytes all = {NULL, 0, 0};
    size_t i;
    wire_events(&all, events);
    for (i = 0; i < all.size; i++)
        if (strchr("TBcx", all.data[i]))
            bytes_add(out, all.data + i, 1);
    bytes_free(&all);
}

/* A new client, in the loop that all cases share. */
static peer *start_case(void) {
    letters.size = 0;
    raw_forget();
    net.opened = net.closed = 0;
    memset(net.closings, 0, sizeof net.closings);
    net.log.size = 0;
    (void)client_dial_raw(server, NULL);
    return raw_open(server);
}

static void check_case(peer *p, const wire_case *c) {
    bytes wanted = {NULL, 0, 0}, plain = {NULL, 0, 0};
    wire_write(&wanted, *c->out == ' ' ? c->out + 1 : c->out, false);
    (void)peer_wait(p, wanted.size);
    CHECK(net_settle());
    CHECK(wire_plain(&plain, p->in.data, p->in.size, true));
    CHECK_MEM(plain.data, plain.size, wanted.data, wanted.size);
    CHECK(!p->ended); /* the server ends TCP, and the client waits for it */
    peer_close(p);
    CHECK(net_settle());
    wanted.size = 0;
    wanted_letters(&wanted, c->events);
    CHECK_MEM(letters.data, letters.size, wanted.data, wanted.size);
    CHECK_EQ(net.codes[1], c->code);
    CHECK_EQ(net.closings[1], 1);
    CHECK(ws_find(net.loop, client.id) == NULL);
    CHECK_EQ(client.errors, 0);
    bytes_free(&wanted);
    bytes_free(&plain);
}

static void run_pieces(const wire_case *c, const bytes *in, size_t piece) {
    peer *p = start_case();
    size_t i;
    for (i = 0; i < in->size; i += piece) {
        (void)peer_send(p, in->data + i, piece < in->size - i ? piece : in->size - i);
        if (piece < in->size)
            (void)ws_run_once(net.loop, 0);
    }
    check_case(p, c);
}

static void run_frames(const wire_case *c) {
    const char *rest = c->in;
    bytes frame = {NULL, 0, 0};
    size_t at = 0;
    peer *p = start_case();
    while (*rest) {
        frame.size = 0;
        rest = wire_next(rest, &frame, false, &at);
        (void)peer_send(p, frame.data, frame.size);
        (void)ws_run_once(net.loop, 0);
    }
    bytes_free(&frame);
    check_case(p, c);
}

static void run_case(const wire_case *c) {
    bytes in = {NULL, 0, 0};
    if (!test_begin("%s for a client, over a socket", c->name))
        return;
    wire_write(&in, c->in, false);
    run_pieces(c, &in, c->piece ? c->piece : in.size);
    if (!c->piece)
        run_frames(c);
    if (!c->piece && in.size < 400)
        run_pieces(c, &in, 1);
    bytes_free(&in);
}

static void run_table(const wire_case *cases, size_t count) {
    size_t i;
    for (i = 0; i < count; i++)
        run_case(&cases[i]);
}

static void run_texts(void) {
    size_t i;
    for (i = 0; i < COUNT(wire_texts); i++) {
        bool valid = wire_texts[i].valid;
        char in[200];
        wire_case c;
        memset(&c, 0, sizeof c);
        (void)snprintf(in, sizeof in, "81<%s>%s", wire_texts[i].hex, valid ? WIRE_END : "");
        c.name = wire_texts[i].name;
        c.in = in;
        c.out = valid ? in : WIRE_1007;
        c.events = valid ? "Tc" : "x";
        c.code = valid ? 1000 : 1007;
        run_case(&c);
    }
}

static void run_codes(void) {
    size_t i;
    for (i = 0; i < COUNT(wire_codes); i++) {
        char in[40];
        wire_case c;
        memset(&c, 0, sizeof c);
        (void)snprintf(in, sizeof in, "88<%04x>", (unsigned)wire_codes[i].code);
        c.name = wire_codes[i].name;
        c.in = in;
        c.out = wire_codes[i].legal ? in : WIRE_1002;
        c.events = wire_codes[i].legal ? "c" : "x";
        c.code = wire_codes[i].legal ? wire_codes[i].code : 1002;
        run_case(&c);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("the loop of all clients starts");
    client_start(NULL);
    server = raw_listen();
    net.quiet = true;
    net.on_message = note_message;
    net.on_close = note_close;
    CHECK(net.loop != NULL && server->fd >= 0);
    run_table(wire_framing, COUNT(wire_framing));
    run_table(wire_fragments, COUNT(wire_fragments));
    run_table(wire_utf8_fragments, COUNT(wire_utf8_fragments));
    run_texts();
    run_table(wire_closing, COUNT(wire_closing));
    run_codes();
    run_table(wire_limits, COUNT(wire_limits));
    run_table(wire_own, COUNT(wire_own));
    (void)test_begin("the loop of all clients ends");
    CLIENT_END();
    bytes_free(&letters);
    return test_finish();
}
