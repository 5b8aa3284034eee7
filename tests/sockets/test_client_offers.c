/* HANDSHAKE, PERMESSAGE, CLIENT: servers that ignore a client's parameters of permessage-deflate, and keep their
   context with 15 bits (RFC 7692 7.1: an offer without parameters allows that); and empty header lines. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

#ifndef WS_NO_DEFLATE

enum { TEXT = 31000 };

static const struct {
    const char *name;
    bool context;
    int bits;
    size_t most; /* the most memory that such a client may use */
} clients[] = {
    {"one without context", false, 0, 42 << 10},
    {"one with 9 bits", false, 9, 42 << 10},
    {"one with context", true, 0, 100 << 10},
    {"one with context and 15 bits", true, 15, 160 << 10},
};

static char text[TEXT + 1];

static ws_client_config offering(void) {
    ws_client_config config = client_config();
    config.deflate.on = true;
    return config;
}

/* Bytes without repetitions. */
static void make_text(void) {
    uint32_t seed = 11;
    size_t i;
    for (i = 0; i < TEXT; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = (char)(' ' + (seed >> 24) % 95);
    }
}

/* A server's message, compressed with what it sent before. Returns its size on the wire. */
static size_t send_packed(peer *p, wsi_deflate *deflate, const char *data, size_t size) {
    static uint8_t packed[TEXT * 2];
    bytes out = {NULL, 0, 0};
    size_t written = wsi_deflate_run(deflate, (const uint8_t *)data, size, packed, sizeof packed);
    wire_put(&out, 0xc1, packed, written - 4, false);
    (void)peer_send(p, out.data, out.size);
    bytes_free(&out);
    return written;
}

static void check_message(const char *data, size_t size) {
    char wanted[20];
    net_settle();
    (void)snprintf(wanted, sizeof wanted, "t1:%zu", size);
    CHECK_LOG(size < 100 ? data : wanted);
}

/* The same text twice, as frames on the wire: without context both are the same bytes. */
static void check_own(ws_conn *conn, peer *p, bool context) {
    static const char said[] =
        "a text that is long enough to be compressed, long enough to be compressed, and compressed";
    bytes first = {NULL, 0, 0}, second = {NULL, 0, 0};
    CHECK(ws_send_text(conn, said));
    net_settle();
    CHECK(wire_plain(&first, p->in.data, p->in.size, true));
    p->in.size = 0;
    CHECK(ws_send_text(conn, said));
    net_settle();
    CHECK(wire_plain(&second, p->in.data, p->in.size, true));
    p->in.size = 0;
    CHECK(first.size && first.data[0] == 0xc1 && first.size < sizeof said);
    if (context)
        CHECK(second.size < first.size / 2);
    else
        CHECK_MEM(second.data, second.size, first.data, first.size);
    bytes_free(&first);
    bytes_free(&second);
}

static void test_passed_over(size_t which) {
    ws_client_config config = offering();
    size_t memory = wsi_deflate_size(6, 15, true), before;
    wsi_deflate *deflate;
    raw_server *raw;
    peer *p;
    if (!test_begin("a server answers 'permessage-deflate', whatever was offered: %s", clients[which].name))
        return;
    client_start(NULL);
    net.echo = false;
    config.deflate.context = clients[which].context;
    config.deflate.window_bits = (uint8_t)clients[which].bits;
    raw = raw_listen();
    (void)client_dial_raw(raw, &config);
    p = raw_accept(raw);
    before = net.memory.used;
    raw_answer(p, raw_head(p), "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    net_settle();
    CHECK_LOG("o1");
    if (!net.opened) { /* and closed */
        CLIENT_END();
        return;
    }
    CHECK(net.memory.used > before + TEXT); /* the history that it must keep */
    CHECK(net.memory.used < before + clients[which].most);
    deflate = (wsi_deflate *)malloc(memory);
    wsi_deflate_init(deflate, 6, 15, true);
    CHECK(send_packed(p, deflate, text, TEXT) > TEXT / 2);
    check_message(text, TEXT);
    CHECK(send_packed(p, deflate, text, TEXT) < TEXT / 50); /* the text lies 31,000 bytes back */
    check_message(text, TEXT);
    CHECK(send_packed(p, deflate, "the end", 7) > 4);
    check_message("t1:the end", 7);
    check_own(client.conn, p, clients[which].context);
    free(deflate);
    CHECK_EQ(ws_state(client.conn), WS_OPEN);
    CLIENT_END();
}

/* RFC 7692 7.2.3.2, byte by byte: the second message is made of the first. */
static void test_fragments(void) {
    ws_client_config config = offering();
    raw_server *raw;
    peer *p;
    if (!test_begin("a server that keeps its context: fragments, and a chunk at a time"))
        return;
    client_start(NULL);
    net.echo = false;
    raw = raw_listen();
    (void)client_dial_raw(raw, &config);
    p = raw_accept(raw);
    raw_answer(p, raw_head(p), "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n");
    peer_frames(p, "c1<f248cdc9c90700> 41<f2> 00<00> 89 00<11> 80<0000> c1<f200110000>");
    net_settle();
    CHECK_LOG("o1 t1:Hello t1:Hello t1:Hello");
    CLIENT_END();
}

/* The next server may answer differently. */
static void test_reconnect(void) {
    ws_client_config config = offering();
    raw_server *raw;
    peer *p;
    if (!test_begin("another attempt begins without a context, and gives back its memory"))
        return;
    client_start(NULL);
    net.echo = false;
    config.reconnect_ms = config.reconnect_max_ms = 1;
    raw = raw_listen();
    (void)client_dial_raw(raw, &config);
    p = raw_accept(raw);
    raw_answer(p, raw_head(p), "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    peer_frames(p, "c1<f248cdc9c90700> 88<03e8>");
    net_settle();
    CHECK_LOG("o1 t1:Hello c1:1000::y");
    peer_close(p);
    net_settle();
    net_wait(100000); /* longer than any pause */
    p = raw_accept(raw);
    raw_answer(p, raw_head(p), "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n");
    peer_frames(p, "c1<f248cdc9c90700> c1<f200110000>");
    net_settle();
    CHECK_LOG("o2 t2:Hello c2:1007::n"); /* a distance that reaches back beyond the message */
    CLIENT_END();
}

/* RFC 7692 5.1, 7.1.2: an answer that fits no offer is still fatal. */
static void test_fatal(void) {
    static const char *const bad[] = {
        "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; made_up", "permessage-deflate, permessage-deflate", "x-webkit-deflate-frame",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover"};
    ws_client_config config = offering();
    size_t i;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        char more[200];
        raw_server *raw;
        peer *p;
        if (!test_begin("an answer that fits no offer: %s", bad[i]))
            continue;
        client_start(NULL);
        raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        p = raw_accept(raw);
        (void)snprintf(more, sizeof more, "Sec-WebSocket-Extensions: %s\r\n", bad[i]);
        raw_answer(p, raw_head(p), more);
        net_settle();
        CHECK_EQ(client.error, WS_ERROR_HANDSHAKE);
        CHECK(strstr(client.text, DETAIL(client.error, "does not answer the offer")) != NULL);
        CLIENT_END();
    }
}

static void test_scarce(void) {
    ws_client_config config = offering();
    size_t n, failures = 0, opened = 0;
    if (!test_begin("the Nth allocation fails while such an answer arrives: an error, and nothing leaks"))
        return;
    for (n = 1; n < 30 && !opened; n++) {
        raw_server *raw;
        peer *p;
        client_start(NULL);
        raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        p = raw_accept(raw);
        net.memory.fail_at = net.memory.calls + n;
        raw_answer(p, raw_head(p), "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        net_settle();
        CHECK_EQ(client.errors + net.opened, 1);
        CHECK(!client.errors || client.error == WS_ERROR_MEMORY);
        failures += client.errors;
        opened += net.opened && net.memory.calls < net.memory.fail_at;
        net.memory.fail_at = 0;
        CLIENT_END();
    }
    CHECK(failures >= 2 && opened == 1); /* the context, and its history */
}
#else
static const int clients[1] = {0};
static void make_text(void) {}
static void test_passed_over(size_t which) { (void)which; }
static void test_fragments(void) {}
static void test_reconnect(void) {}
static void test_fatal(void) {}
static void test_scarce(void) {}
#endif

/* A gateway adds such lines to every answer. */
static void test_empty_lines(void) {
    static const struct { const char *lines, *subprotocol; } cases[] = {
        {"Sec-WebSocket-Extensions:\r\nSec-WebSocket-Protocol:\r\n", ""},
        {"Sec-WebSocket-Extensions: \r\n", ""},
        {"Sec-WebSocket-Protocol: \t\r\nSec-WebSocket-Protocol: chat\r\n", "chat"},
        {"Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol:\r\n", "chat"},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_client_config config = client_config();
        raw_server *raw;
        peer *p;
        if (!test_begin("empty header lines in an answer are ignored, %zu", i))
            continue;
        client_start(NULL);
        config.subprotocols = "chat";
        raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        p = raw_accept(raw);
        raw_answer(p, raw_head(p), cases[i].lines);
        net_settle();
        CHECK_LOG("o1");
        if (net.opened)
            CHECK_STR(ws_subprotocol(client.conn), cases[i].subprotocol);
        CLIENT_END();
    }
}

int main(int argc, char **argv) {
    size_t i;
    test_start(argc, argv);
    make_text();
    for (i = 0; i < sizeof clients / sizeof *clients; i++)
        test_passed_over(i);
    test_fragments();
    test_reconnect();
    test_fatal();
    test_scarce();
    test_empty_lines();
    return test_finish();
}
