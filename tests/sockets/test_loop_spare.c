/* LOOP, RECEIVE: what a loop keeps under load (max_spare): a larger receive buffer, and buffers for large messages. How
   many calls and allocations a message costs then; that it is bounded, and given back. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

enum { MIDDLING = 16 << 10, IN_FLIGHT = 16, LARGE = 1 << 20, LARGE_BLOCK = 64 << 10 };

static size_t large_calls; /* of the allocator, for blocks that malloc takes from the system */

static void *counts_large(void *user, void *block, size_t old_size, size_t new_size) {
    large_calls += old_size >= LARGE_BLOCK || new_size >= LARGE_BLOCK;
    return drive_resize(user, block, old_size, new_size);
}

static peer *start(size_t max_memory, size_t max_spare) {
    ws_loop_config config;
    int size = 1 << 20;
    peer *p;
    memset(&config, 0, sizeof config);
    config.max_memory = max_memory;
    config.max_spare = max_spare;
    calls_reset();
    CHECK(net_start_with(&config, NULL));
    net.loop->memory.allocator.resize = counts_large;
    (void)setsockopt(net.server->listeners->source.link.descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    p = net_peer("/");
    (void)setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    net.quiet = true;
    return p;
}

/* Sends frames of this many bytes, in as few writes as the socket takes; all of them come back. */
static void exchange(peer *p, size_t count, size_t size) {
    bytes out = {NULL, 0, 0};
    size_t header = size < 65536 ? 4 : 10, wanted = count * (header + size), done = 0;
    int tries = 0;
    uint8_t *data = (uint8_t *)calloc(1, size);
    wire_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.first = 0x82;
    frame.data = data;
    frame.size = size;
    while (count--)
        wire_frame_add(&out, &frame, true);
    while ((done < out.size || p->in.size < wanted) && tries++ < 100000) {
        ssize_t sent = done < out.size ? send(p->fd, out.data + done, out.size - done, MSG_NOSIGNAL) : 0;
        done += sent > 0 ? (size_t)sent : 0;
        (void)net_round(sent > 0 ? 0 : 100);
    }
    CHECK_EQ(p->in.size, wanted);
    p->in.size = 0;
    free(data);
    bytes_free(&out);
}

static size_t transfers(void) {
    return calls.count[CALLS_RECV] + calls.count[CALLS_SEND] + calls.count[CALLS_SENDMSG];
}

static void test_middling(void) {
    size_t i, rounds = 20, before;
    peer *p;
    if (!test_begin("spare: 16 messages of 16 KiB in flight: half a call each; idle, the buffer shrinks"))
        return;
    p = start(0, 0);
    before = net.memory.used;
    for (i = 0; i < 2 * rounds; i++) {
        if (i == rounds) {
            calls_reset();
            large_calls = 0;
        }
        exchange(p, IN_FLIGHT, MIDDLING);
    }
    CHECK(transfers() <= rounds * IN_FLIGHT / 2);
    CHECK_EQ(large_calls, 0);
    CHECK(net.loop->receive.capacity > net.loop->gather.capacity);
    net_wait(999);
    CHECK(net.memory.used > before);
    net_wait(1);
    CHECK_EQ(net.memory.used, before);
    CHECK_EQ(net.loop->receive.capacity, net.loop->gather.capacity);
    exchange(p, 1, 1000);
    exchange(p, IN_FLIGHT, MIDDLING);
    NET_END();
}

static void test_large(void) {
    size_t i, before;
    peer *p;
    if (!test_begin("spare: messages of 1 MiB: nothing is allocated after the first ones; idle, all is given back"))
        return;
    p = start(0, 0);
    before = net.memory.used;
    for (i = 0; i < 20; i++) {
        if (i == 10)
            large_calls = 0;
        exchange(p, 1, LARGE);
    }
    CHECK_EQ(large_calls, 0);
    CHECK(net.loop->spare_count > 0);
    CHECK_EQ(net.loop->receive.capacity, net.loop->gather.capacity); /* a large message does not pass through it */
    net_wait(1000);
    CHECK_EQ(net.loop->spare_count, 0);
    CHECK(net.memory.used <= before + 4096);
    exchange(p, 2, LARGE);
    NET_END();
}

static void test_bounds(void) {
    static const size_t sizes[] = {100000, 1 << 20, 70000, 3 << 20, 200000, 500000, 1 << 20, 4 << 20, 90000, 65536};
    size_t i, bound = 2 << 20;
    peer *p;
    if (!test_begin("spare: at most max_spare, whatever arrives"))
        return;
    p = start(0, bound);
    for (i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
        exchange(p, 1 + i % 3, sizes[i % (sizeof sizes / sizeof *sizes)]);
        CHECK(net.loop->spare <= bound);
    }
    NET_END();
    if (!test_begin("spare: a max_spare of 1 keeps nothing"))
        return;
    p = start(0, 1);
    for (i = 0; i < 4; i++) {
        exchange(p, 1, LARGE);
        exchange(p, IN_FLIGHT, MIDDLING);
        CHECK_EQ(net.loop->spare, 0);
        CHECK_EQ(net.loop->receive.capacity, net.loop->gather.capacity);
    }
    NET_END();
}

/* Spare blocks make room for a new message. */
static void test_memory_limit(void) {
    peer *p;
    if (!test_begin("spare: a message that fits into max_memory only without spare blocks"))
        return;
    p = start(12 << 20, 6 << 20);
    exchange(p, 1, 1500000);
    exchange(p, 1, 2500000);
    CHECK(net.loop->spare > 1 << 20);
    exchange(p, 1, 5 << 20);
    CHECK_EQ(net.closed, 0);
    CHECK(net.memory.peak <= 12 << 20);
    NET_END();
}

/* The decompressor keeps the last message, of max_spare, and the receive buffer is large: nothing fits beside it. */
static void test_end_of_loop(void) {
    enum { MESSAGE = 600000, ROOM = 4096 };
    ws_handler handler = net_handler();
    uint8_t *zeros, *packed;
    wsi_deflate *deflate;
    wire_frame frame;
    bytes out = {NULL, 0, 0};
    int i;
    peer *p;
    if (!test_begin("spare: a loop ends under load, after a large compressed message"))
        return;
    p = start(64 << 20, 0);
    handler.deflate.on = true;
    CHECK(ws_route(net.server, "/packed", &handler));
    for (i = 0; i < 40 && net.loop->receive.capacity == net.loop->gather.capacity; i++)
        exchange(p, IN_FLIGHT, MIDDLING);
    CHECK(net.loop->receive.capacity > net.loop->gather.capacity);
    p = net_connect();
    peer_upgrade(p, "/packed", "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n");
    CHECK_EQ(peer_status(p), 101);
    peer_take_head(p);
    zeros = (uint8_t *)calloc(1, MESSAGE);
    packed = (uint8_t *)malloc(ROOM);
    deflate = (wsi_deflate *)malloc(wsi_deflate_size(9, 15, false));
    wsi_deflate_init(deflate, 9, 15, false);
    memset(&frame, 0, sizeof frame);
    frame.first = 0xc2;
    frame.data = packed;
    frame.size = wsi_deflate_run(deflate, zeros, MESSAGE, packed, ROOM) - 4; /* RFC 7692 7.2.1 */
    wire_frame_add(&out, &frame, true);
    net.echo = false;
    net.received = 0;
    (void)peer_send(p, out.data, out.size);
    for (i = 0; i < 100 && net.received < MESSAGE; i++)
        (void)net_round(10);
    CHECK_EQ(net.received, MESSAGE);
    free(deflate);
    free(packed);
    free(zeros);
    bytes_free(&out);
    NET_END();
}

/* A broadcast takes a node of each receiver's queue, which the next one takes again. */
static void test_nodes(void) {
    size_t i, more;
    if (!test_begin("spare: a free node for each connection, 1,024 at least"))
        return;
    for (more = 0; more <= 2000; more += 1000) {
        wsi_node *taken = NULL;
        (void)start(0, 0);
        net.loop->conn_count += more;
        for (i = 0; i < 3000; i++) {
            wsi_node *node = wsi_node_new(net.loop);
            memset(node, 0, sizeof *node);
            node->next = taken;
            taken = node;
        }
        while (taken) {
            wsi_node *next = taken->next;
            wsi_node_free(net.loop, taken);
            taken = next;
        }
        CHECK_EQ(net.loop->free_node_count, more < 1024 ? 1024 : net.loop->conn_count);
        net.loop->conn_count -= more;
        NET_END();
    }
}

/* Blocks are allocated and freed, more than are kept, and some allocations fail: nothing is lost. */
static void test_blocks(void) {
    enum { BLOCKS = 40 };
    void *blocks[BLOCKS];
    size_t sizes[BLOCKS], i;
    if (!test_begin("spare blocks alone: more than are kept, and without memory"))
        return;
    (void)start(0, 8 << 20);
    CHECK_EQ(wsi_spare_round(net.loop, SIZE_MAX), SIZE_MAX); /* there is no step above it */
    CHECK_EQ(wsi_spare_round(net.loop, 100), 100);
    for (i = 0; i < BLOCKS; i++) {
        sizes[i] = LARGE_BLOCK + i * 20000;
        blocks[i] = wsi_spare_resize(net.loop, NULL, 0, sizes[i]);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], (int)i, sizes[i]);
    }
    for (i = 0; i < BLOCKS; i += 2)
        CHECK(!wsi_spare_resize(net.loop, blocks[i], sizes[i], 0));
    CHECK(net.loop->spare_count <= WSI_SPARES && net.loop->spare <= net.loop->max_spare);
    while (wsi_spare_drop(net.loop)) {}
    net.memory.fail_at = net.memory.calls + 1;
    net.memory.fail_after = true;
    for (i = 1; i < BLOCKS; i += 2) { /* larger, smaller: as it was */
        CHECK(!wsi_spare_resize(net.loop, blocks[i], sizes[i], 4 * sizes[i]));
        CHECK(!wsi_spare_resize(net.loop, blocks[i], sizes[i], 100));
        CHECK(((uint8_t *)blocks[i])[0] == i && ((uint8_t *)blocks[i])[sizes[i] - 1] == i);
    }
    wsi_spare_resize_receive(net.loop, 4 * net.loop->receive.capacity);
    net.memory.fail_at = 0;
    for (i = 1; i < BLOCKS; i += 2) {
        void *moved = wsi_spare_resize(net.loop, blocks[i], sizes[i], 2 * sizes[i]);
        CHECK(moved && ((uint8_t *)moved)[0] == i && ((uint8_t *)moved)[sizes[i] - 1] == i);
        CHECK(!wsi_spare_resize(net.loop, moved, 2 * sizes[i], 0));
    }
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_middling();
    test_large();
    test_bounds();
    test_memory_limit();
    test_end_of_loop();
    test_nodes();
    test_blocks();
    return test_finish();
}
