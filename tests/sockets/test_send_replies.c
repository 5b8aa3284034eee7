/* SEND, ENGINE: what a callback sends, in any order and to anybody, arrives as it was sent, byte for byte. Peers
   send at random, whole messages and fragments, cut anywhere; callbacks do at random what programs do. Each call that
   succeeds adds its frame to what that peer must have received in the end. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

enum { PEERS = 4, LONGEST = 70000 };

static uint32_t state;
static bytes expected[PEERS + 1]; /* by the connection's number */
static unsigned answers;

static uint32_t below(uint32_t number) {
    state = state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state >> 8) * number >> 24);
}

/* A server's frame. */
static void expect(const ws_conn *conn, unsigned first, const void *data, size_t size) {
    bytes *to = &expected[net_number(conn)];
    uint8_t header[10] = {(uint8_t)first, (uint8_t)(size < 126 ? size : size < 65536 ? 126 : 127)};
    size_t used = 2, i;
    for (i = size < 126 ? 0 : size < 65536 ? 2 : 8; i--;)
        header[used++] = (uint8_t)((uint64_t)size >> (8 * i));
    bytes_add(to, header, used);
    bytes_add(to, data, size);
    answers++;
}

static void send_one(ws_conn *conn, ws_message message) {
    if (ws_send(conn, message))
        expect(conn, 0x80u | (unsigned)message.type, message.data, message.size);
}

static void send_parts(ws_conn *conn, ws_message message) {
    ws_message part = message;
    part.size /= 2;
    CHECK(ws_send_part(conn, part, false));
    expect(conn, (unsigned)message.type, part.data, part.size);
    part.data += part.size;
    part.size = message.size - part.size;
    CHECK(ws_send_part(conn, part, true));
    expect(conn, 0x80, part.data, part.size);
}

static void send_all(ws_conn *conn, ws_message message, bool self) {
    unsigned i;
    if (self)
        CHECK(ws_server_broadcast(net.server, NULL, message));
    else
        CHECK(ws_broadcast_others(conn, "room", message));
    for (i = 1; i <= PEERS; i++)
        if (self || net.conns[i] != conn)
            expect(net.conns[i], 0x80u | (unsigned)message.type, message.data, message.size);
}

static void act(ws_conn *conn, ws_message message) {
    static uint8_t large[20000];
    ws_message other = message;
    ws_conn *to = below(2) ? conn : net.conns[1 + below(PEERS)];
    switch (below(12)) {
    case 0: other.type = WS_BINARY; break;
    case 1:
        other.size = message.size / 2; /* the front half of the message */
        break;
    case 2:
        other.data += message.size / 2;
        other.size -= message.size / 2;
        break;
    case 3: other.data = (const uint8_t *)"short", other.size = 5; break;
    case 4:
        memset(large, 'L', sizeof large);
        other.data = large, other.size = sizeof large - below(15000);
        break;
    case 5: send_parts(to, message); return;
    case 6: send_all(conn, message, true); return;
    case 7: send_all(conn, message, false); return;
    case 8:
        CHECK(ws_ping(to, "ping", 4));
        expect(to, 0x89, "ping", 4);
        return;
    default: break; /* sends the message as it came */
    }
    send_one(to, other);
}

static void on_open(ws_conn *conn) {
    net_open(conn);
    CHECK(ws_join(conn, "room"));
}

static void on_message(ws_conn *conn, ws_message message) {
    unsigned count = below(4);
    CHECK_EQ(message.data[message.size], 0);
    while (count--)
        act(conn, message);
    CHECK_EQ(message.data[message.size], 0); /* the message is unchanged by what was sent */
    CHECK(!message.size || message.data[0] == message.data[message.size - 1]);
}

/* A client's frame: its payload begins and ends with the same letter. */
static void add_frame(bytes *out, unsigned first, size_t size) {
    uint8_t header[14] = {(uint8_t)first, (uint8_t)(0x80u | (size < 126 ? size : size < 65536 ? 126 : 127))}, byte;
    size_t used = 2, i;
    for (i = size < 126 ? 0 : size < 65536 ? 2 : 8; i--;)
        header[used++] = (uint8_t)((uint64_t)size >> (8 * i));
    for (i = 0; i < 4; i++)
        header[used++] = (uint8_t)below(256);
    bytes_add(out, header, used);
    for (i = 0; i < size; i++) {
        byte = (uint8_t)((i && i + 1 < size ? 'a' + below(26) : 'A') ^ header[used - 4 + (i & 3)]);
        bytes_add(out, &byte, 1);
    }
}

static void add_message(bytes *out) {
    unsigned type = 1 + below(2), count;
    size_t size = below(8) ? below(140) : below(10) ? below(3000) : below(LONGEST);
    if (below(5)) {
        add_frame(out, 0x80 | type, size);
        return;
    }
    for (count = below(3); count--; type = 0) {
        add_frame(out, type, below(200));
        if (!below(3))
            add_frame(out, 0x8a, below(100)); /* a pong between the fragments */
    }
    add_frame(out, 0x80 | type, below(200));
}

static void test_random(uint32_t seed, bool small) {
    peer *p[PEERS];
    ws_server_config config;
    ws_handler handler;
    bytes out = {NULL, 0, 0};
    unsigned i, turn;
    if (!test_begin("at random %u, %s", (unsigned)seed, small ? "small buffers" : "large buffers"))
        return;
    state = seed;
    answers = 0;
    memset(&config, 0, sizeof config);
    config.limits.buffered = (size_t)1 << 30;
    net_start_loop(NULL);
    net.server = ws_listen(net.loop, &config);
    net.quiet = true;
    handler = net_handler();
    handler.on_open = on_open;
    handler.on_message = on_message;
    CHECK(ws_route(net.server, "/", &handler));
    if (small)
        net_small_buffers();
    for (i = 0; i < PEERS; i++) {
        p[i] = net_open_with("/", small ? 4096 : 0);
        expected[i + 1].size = 0;
    }
    for (turn = 0; turn < 150; turn++) {
        peer *from = p[below(PEERS)];
        size_t cut;
        for (out.size = 0, i = 1 + below(6); i--;)
            add_message(&out);
        for (i = 0; i < PEERS; i++)
            p[i]->deaf = small && !below(3);
        cut = below(3) ? out.size : below((uint32_t)out.size + 1);
        (void)peer_send(from, out.data, cut);
        if (cut < out.size)
            (void)net_round(0);
        (void)peer_send(from, out.data + cut, out.size - cut);
        for (i = below(4); i--;)
            (void)net_round(0);
    }
    for (i = 0; i < PEERS; i++)
        p[i]->deaf = false;
    for (i = 0; i < PEERS; i++) {
        for (size_t wanted = 0; wanted != expected[i + 1].size;) { /* meanwhile others may cause more */
            wanted = expected[i + 1].size;
            CHECK(peer_wait(p[i], wanted)); /* the system may take 200 ms for a window */
        }
        CHECK_MEM(p[i]->in.data, p[i]->in.size, expected[i + 1].data, expected[i + 1].size);
        free(expected[i + 1].data);
        memset(&expected[i + 1], 0, sizeof expected[0]);
    }
    CHECK(answers > 150);
    free(out.data);
    NET_END();
}

int main(int argc, char **argv) {
    uint32_t seed;
    test_start(argc, argv);
    for (seed = 1; seed <= 20; seed++) {
        test_random(seed, false);
        test_random(seed, true);
    }
    return test_finish();
}
