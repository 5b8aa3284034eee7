/* The wire table over sockets, for either role: what the callbacks saw, and how a peer's frames are delivered.
   Include "net.h" and "wire_cases.h" first. */
#ifndef WIRE_SOCKETS_H
#define WIRE_SOCKETS_H

static struct {
    bool masked;         /* the peer is a client */
    const char *title;   /* appended to a case's name */
    peer *(*start)(void); /* makes a connection for one case; its loop and server serve all cases */
    void (*check)(peer *p, const wire_case *c);
} wire_sockets;

static bytes letters; /* what the callbacks saw: T, B, and c or x at the end */

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

/* The events of a case that callbacks see. */
static void wanted_letters(bytes *out, const char *events) {
    bytes all = {NULL, 0, 0};
    size_t i;
    wire_events(&all, events);
    for (i = 0; i < all.size; i++)
        if (strchr("TBcx", all.data[i]))
            bytes_add(out, all.data + i, 1);
    bytes_free(&all);
}

static void run_pieces(const wire_case *c, const bytes *in, size_t piece) {
    peer *p = wire_sockets.start();
    size_t i;
    for (i = 0; i < in->size; i += piece) {
        (void)peer_send(p, in->data + i, piece < in->size - i ? piece : in->size - i);
        if (piece < in->size)
            (void)ws_run_once(net.loop, 0);
    }
    wire_sockets.check(p, c);
}

static void run_frames(const wire_case *c) {
    const char *rest = c->in;
    bytes frame = {NULL, 0, 0};
    size_t at = 0;
    peer *p = wire_sockets.start();
    while (*rest) {
        frame.size = 0;
        rest = wire_next(rest, &frame, wire_sockets.masked, &at);
        (void)peer_send(p, frame.data, frame.size);
        (void)ws_run_once(net.loop, 0);
    }
    bytes_free(&frame);
    wire_sockets.check(p, c);
}

static void run_case(const wire_case *c) {
    bytes in = {NULL, 0, 0};
    if (!test_begin("%s %s", c->name, wire_sockets.title))
        return;
    wire_write(&in, c->in, wire_sockets.masked);
    run_pieces(c, &in, c->piece ? c->piece : in.size);
    if (!c->piece)
        run_frames(c);
    if (!c->piece && in.size < 400)
        run_pieces(c, &in, 1);
    bytes_free(&in);
}

/* Runs all cases in the loop that was started. */
static void run_all(void) {
    net.quiet = true;
    net.on_message = note_message;
    net.on_close = note_close;
    wire_run_all(run_case);
    bytes_free(&letters);
}

#endif
