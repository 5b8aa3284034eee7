/* ROOMS: rooms, broadcasts, slow readers, the memory budget. Sockets where the system's buffers or the writes
   matter; else test clients. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

static ws_message text_of(const char *text) {
    ws_message message;
    message.data = (const uint8_t *)text;
    message.size = strlen(text);
    message.type = WS_TEXT;
    return message;
}

/* --- members --- */

static void test_members(void) {
    ws_id ids[4];
    if (!test_begin("rooms: join, leave, count, members; an empty room is freed"))
        return;
    CHECK(behaviour_start());
    for (int i = 0; i < 3; i++)
        (void)behaviour_open("/");
    CHECK_EQ(ws_room_count(net.server, "r"), 0);
    CHECK_EQ(ws_room_count(net.server, NULL), 3);
    CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r"));
    CHECK(ws_join(net.conns[1], "r")); /* twice is once */
    CHECK_EQ(ws_room_count(net.server, "r"), 2);
    CHECK_EQ(ws_room_count(net.server, "R"), 0);
    CHECK_EQ(ws_room_members(net.server, "r", ids, 4), 2);
    CHECK(ids[0] + ids[1] == net.ids[1] + net.ids[2] && ids[0] != ids[1]);
    ids[1] = 77;
    CHECK_EQ(ws_room_members(net.server, "r", ids, 1), 2);
    CHECK_EQ(ids[1], 77);
    CHECK_EQ(ws_room_members(net.server, "r", NULL, 0), 2);
    CHECK_EQ(ws_room_members(net.server, NULL, ids, 4), 3);
    CHECK(ids[0] + ids[1] + ids[2] == net.ids[1] + net.ids[2] + net.ids[3]);
    for (int i = 0; i < 3; i++)
        CHECK(ids[i] && ws_find(net.loop, ids[i]) && ws_conn_id(ws_find(net.loop, ids[i])) == ids[i]);
    ids[1] = 77;
    CHECK_EQ(ws_room_members(net.server, NULL, ids, 1), 3);
    CHECK_EQ(ids[1], 77);
    CHECK_EQ(ws_room_members(net.server, NULL, NULL, 3), 3);
    CHECK_EQ(ws_room_members(net.server, "none", ids, 4), 0);
    CHECK(!ws_leave(net.conns[3], "r") && !ws_leave(net.conns[1], "none") && !ws_leave(net.conns[1], NULL));
    CHECK(ws_leave(net.conns[1], "r") && !ws_leave(net.conns[1], "r"));
    CHECK_EQ(ws_room_count(net.server, "r"), 1);
    CHECK_EQ(net.server->rooms.count, 1);
    CHECK(ws_leave(net.conns[2], "r"));
    CHECK_EQ(net.server->rooms.count, 0);
    CHECK(!ws_join(net.conns[1], NULL));
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_ARGUMENT);
    CHECK(ws_join(net.conns[1], "") && ws_join(net.conns[1], "caf\xc3\xa9 / x"));
    CHECK_EQ(ws_room_count(net.server, ""), 1);
    BEHAVIOUR_END();
}

static void test_no_member_yet(void) {
    ws_id ids[4];
    if (!test_begin("rooms: a connection that is not open yet cannot join"))
        return;
    CHECK(net_start());
    for (int i = 0; i < 3; i++)
        (void)net_peer("/");
    (void)net_connect();
    net_settle();
    ids[1] = 77;
    CHECK_EQ(ws_room_members(net.server, NULL, ids, 1), 3);
    CHECK_EQ(ids[1], 77);
    CHECK_EQ(ws_room_members(net.server, NULL, NULL, 3), 3);
    CHECK_EQ(ws_room_count(net.server, NULL), 3);
    NET_END();
}

static void test_rooms_vanish(void) {
    char name[40];
    if (!test_begin("rooms: a connection that ends leaves all of its 500 rooms"))
        return;
    CHECK(behaviour_start());
    ws_conn *a = behaviour_open("/");
    (void)behaviour_open("/");
    size_t before = net.memory.used;
    for (int i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof name, "room %d", i);
        CHECK(ws_join(net.conns[1], name));
        if (i % 5 == 0)
            CHECK(ws_join(net.conns[2], name));
    }
    CHECK_EQ(net.server->rooms.count, 500);
    CHECK_EQ(ws_room_count(net.server, "room 10"), 2);
    CHECK_EQ(ws_room_count(net.server, "room 11"), 1);
    ws_drop(a);
    behaviour_wait(0);
    CHECK(!ws_find(net.loop, net.ids[1]) && ws_find(net.loop, net.ids[2]) == net.conns[2]);
    CHECK_EQ(net.server->rooms.count, 100);
    CHECK_EQ(ws_room_count(net.server, "room 10"), 1);
    for (int i = 0; i < 500; i += 5) {
        (void)snprintf(name, sizeof name, "room %d", i);
        CHECK(ws_leave(net.conns[2], name));
    }
    CHECK_EQ(net.server->rooms.count, 0);
    CHECK(net.memory.used <= before + 2 * 1024 * sizeof(void *)); /* the tables of rooms and memberships */
    BEHAVIOUR_END();
}

static void test_rooms_limit(void) {
    ws_server_config config;
    char name[40];
    if (!test_begin("rooms: a connection may be in limits.rooms of them; beyond that ws_join fails with ROOMS"))
        return;
    for (size_t limit = 0; limit <= 3; limit += 3) {
        unsigned most = limit ? (unsigned)limit : 1000;
        memset(&config, 0, sizeof config);
        config.limits.rooms = limit;
        CHECK(behaviour_start_with(&config));
        (void)behaviour_open("/");
        (void)behaviour_open("/");
        for (unsigned i = 0; i < most; i++) {
            (void)snprintf(name, sizeof name, "room %u", i);
            CHECK(ws_join(net.conns[1], name));
        }
        CHECK(!ws_join(net.conns[1], "more"));
        CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_ROOMS);
        CHECK_EQ(ws_room_count(net.server, "more"), 0);
        CHECK(ws_join(net.conns[1], "room 0")); /* it is a member already */
        CHECK(ws_join(net.conns[2], "more"));   /* the limit is each connection's */
        CHECK(!ws_join(net.conns[1], "more"));
        CHECK(ws_leave(net.conns[1], "room 1") && ws_join(net.conns[1], "more"));   /* from the middle */
        CHECK(ws_leave(net.conns[1], "more") && ws_join(net.conns[1], "room 1"));   /* the newest */
        CHECK(ws_leave(net.conns[1], "room 0") && ws_join(net.conns[1], "more"));   /* the oldest */
        CHECK(!ws_join(net.conns[1], "room 0"));
        CHECK_EQ(net.server->memberships.count, most + 1);
        BEHAVIOUR_END();
    }
}

/* --- broadcasts --- */

static void test_broadcast(void) {
    ws_conn *p[5];
    if (!test_begin("broadcast: with and without the sender, to a room, to all, from outside"))
        return;
    CHECK(behaviour_start());
    for (int i = 1; i < 5; i++)
        p[i] = behaviour_open("/");
    for (unsigned i = 1; i < 4; i++)
        CHECK(ws_join(net.conns[i], "r"));
    CHECK(ws_broadcast(net.conns[1], "r", text_of("a")));
    CHECK(ws_broadcast_others(net.conns[1], "r", text_of("b")));
    CHECK(ws_broadcast_text(net.conns[4], "r", "c")); /* not a member itself */
    CHECK(ws_broadcast_text(net.conns[1], NULL, "d"));
    CHECK(ws_broadcast_others(net.conns[4], NULL, text_of("e")));
    CHECK(ws_server_broadcast(net.server, "r", text_of("f")));
    CHECK(ws_server_broadcast(net.server, NULL, text_of("g")));
    CHECK(ws_broadcast_text(net.conns[1], "nobody", "h"));
    CHECK(ws_server_broadcast(net.server, "nobody", text_of("i")));
    CHECK_GETS(p[1], "t:a t:c t:d t:e t:f t:g");
    CHECK_GETS(p[2], "t:a t:b t:c t:d t:e t:f t:g");
    CHECK_GETS(p[3], "t:a t:b t:c t:d t:e t:f t:g");
    CHECK_GETS(p[4], "t:d t:g");
    BEHAVIOUR_END();
}

static void test_broadcast_wrong(void) {
    ws_message bad = text_of("\xff");
    if (!test_begin("broadcast: bad text, bad arguments"))
        return;
    CHECK(behaviour_start());
    ws_conn *p = behaviour_open("/");
    CHECK(ws_join(net.conns[1], "r"));
    CHECK(!ws_broadcast(net.conns[1], "r", bad));
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_UTF8);
    CHECK(!ws_server_broadcast(net.server, NULL, bad));
    bad.type = WS_BINARY;
    CHECK(ws_broadcast(net.conns[1], "r", bad));
    bad.data = NULL;
    CHECK(!ws_broadcast(net.conns[1], "r", bad));
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_ARGUMENT);
    CHECK(!ws_broadcast_text(net.conns[1], "r", NULL));
    bad.size = 0;
    CHECK(ws_broadcast(net.conns[1], "r", bad));
    bad.type = (ws_type)0;
    CHECK(!ws_broadcast(net.conns[1], "r", bad));
    bad.data = (const uint8_t *)"x";
    bad.size = SIZE_MAX; /* no frame is so long */
    bad.type = WS_BINARY;
    CHECK(!ws_server_broadcast(net.server, NULL, bad) && !ws_server_broadcast(net.server, "r", bad));
    CHECK_GETS(p, "b:ff b:");
    BEHAVIOUR_END();
}

static void test_closing_members(void) {
    size_t waiting[4];
    if (!test_begin("broadcast: closing and dropped members are skipped"))
        return;
    CHECK(behaviour_start());
    ws_conn *a = behaviour_open("/"), *b = behaviour_open("/"), *c = behaviour_open("/");
    for (unsigned i = 1; i < 4; i++)
        CHECK(ws_join(net.conns[i], "r"));
    CHECK(ws_close(net.conns[2], 1000, NULL));
    ws_drop(net.conns[3]);
    for (unsigned i = 1; i < 4; i++)
        waiting[i] = ws_buffered(net.conns[i]);
    CHECK(ws_broadcast_text(net.conns[1], "r", "x"));
    CHECK(ws_broadcast_text(net.conns[1], NULL, "y"));
    for (unsigned i = 1; i < 4; i++) /* nothing is sent after a close, where a client would not see it */
        CHECK_EQ(ws_buffered(net.conns[i]), waiting[i] + (i == 1 ? 6 : 0));
    CHECK_GETS(a, "t:x t:y");
    CHECK_GETS(b, "c:1000:");
    CHECK_GETS(c, "c:1006:");
    BEHAVIOUR_END();
}

static void says_left(ws_conn *conn, unsigned number, ws_close_info why) {
    char text[20];
    size_t waiting = ws_buffered(conn);
    (void)why;
    (void)snprintf(text, sizeof text, "left %u", number);
    CHECK_EQ(ws_room_count(ws_conn_server(conn), "r"), 1);
    CHECK_EQ(ws_buffered(net.conns[2]), 0);
    CHECK(ws_broadcast_text(conn, "r", text) && ws_broadcast_text(conn, NULL, "all"));
    CHECK_EQ(ws_buffered(net.conns[2]), 8 + 5); /* each with a header of 2 */
    CHECK_EQ(ws_buffered(conn), waiting);
}

static void test_left(void) {
    if (!test_begin("broadcast: from on_close it reaches the others, not the one that left"))
        return;
    CHECK(behaviour_start());
    ws_conn *a = behaviour_open("/"), *b = behaviour_open("/");
    CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r"));
    net.on_close = says_left;
    CHECK(ws_close(a, 1000, NULL));
    CHECK_GETS(a, "c:1000:");
    CHECK_GETS(b, "t:left 1 t:all");
    net.on_close = NULL;
    BEHAVIOUR_END();
}

static void broadcasts(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    CHECK(ws_broadcast(conn, "r", message));
}

static void test_one_write(void) {
    ws_loop_config config;
    peer *p[11];
    if (!test_begin("broadcast: several in one round are sent in one write for each receiver"))
        return;
    calls_reset();
    memset(&config, 0, sizeof config);
    config.receive_size = 64 << 10; /* they come in one round */
    CHECK(net_start_with(&config, NULL));
    for (int i = 1; i <= 10; i++) {
        p[i] = net_peer("/");
        CHECK(ws_join(net.conns[i], "r"));
    }
    net.on_message = broadcasts;
    calls_reset();
    peer_frames(p[1], "81\"a\" 81\"b\" 82#1000 81\"c\" 82#20000 81\"d\"");
    net_settle();
    for (int i = 1; i <= 10; i++) {
        CHECK_EQ(calls.sent_to[net.conns[i]->source.link.descriptor], 1);
        CHECK_FRAMES(p[i], "81\"a\" 81\"b\" 82#1000 81\"c\" 82#20000 81\"d\"");
    }
    CHECK_EQ(calls_writes(), 10);
    calls_reset();
    peer_frames(p[2], "81\"from two\"");
    peer_frames(p[3], "81\"from three\"");
    net_settle();
    CHECK(calls_writes() <= 10 + 10);
    NET_END();
}

static void test_framed_once(void) {
    static uint8_t large[200000];
    ws_message message;
    size_t before;
    if (!test_begin("broadcast: framed once, one shared block for 30 receivers that do not read"))
        return;
    CHECK(net_start_exact());
    net_small_buffers();
    for (unsigned i = 1; i <= 30; i++) {
        net_open_with("/", 4096)->deaf = true;
        CHECK(ws_join(net.conns[i], "r"));
    }
    message.data = large;
    message.size = sizeof large;
    message.type = WS_BINARY;
    before = net.memory.used;
    net.memory.peak = before;
    CHECK(ws_broadcast(net.conns[1], "r", message));
    net_settle();
    CHECK(ws_buffered(net.conns[30]) > 100000);
    CHECK(net.memory.peak - before < sizeof large + 30 * 300);
    for (unsigned i = 1; i <= 30; i++)
        net.peers[i - 1].deaf = false;
    for (unsigned i = 1; i <= 30; i++) {
        CHECK(peer_wait(&net.peers[i - 1], sizeof large + 10));
        CHECK_EQ(net.peers[i - 1].in.size, sizeof large + 10);
    }
    CHECK(net.memory.used < before + 30 * 100);
    NET_END();
}

static void test_much_in_one_round(void) {
    static char text[15001];
    peer *p[3];
    size_t i, k, used = 0;
    if (!test_begin("broadcast: far more in one round than a shared block holds"))
        return;
    CHECK(net_start());
    memset(text, 'm', sizeof text - 1);
    for (i = 0; i < 3; i++) {
        p[i] = net_peer("/");
        CHECK(ws_join(net.conns[i + 1], "r"));
    }
    for (k = 0; k < 3; k++) { /* the blocks are given back: memory does not grow */
        for (i = 1; i <= 40; i++) {
            text[i * 370] = 0;
            CHECK(ws_server_broadcast(net.server, "r", text_of(text)));
            text[i * 370] = 'm';
        }
        net_settle();
        for (i = 0; i < 3; i++) {
            CHECK_EQ(p[i]->in.size, 370 * 40 * 41 / 2 + 40 * 4);
            p[i]->in.size = 0;
        }
        CHECK(k < 2 || net.memory.used == used);
        used = net.memory.used;
    }
    CHECK(ws_server_broadcast(net.server, "r", text_of("x"))); /* outside of a round */
    CHECK(ws_close(net.conns[1], 1000, NULL));
    ws_drop(net.conns[2]);
    CHECK_FRAMES(p[0], "81\"x\" 88<03e8>");
    CHECK_FRAMES(p[2], "81\"x\"");
    NET_END();
}

/* --- order --- */

static struct {
    unsigned next, seed; /* numbers go up in the order of the calls */
    bool padded;
} script;

static unsigned script_random(unsigned bound) {
    script.seed = script.seed * 1664525u + 1013904223u;
    return (script.seed >> 10) % bound;
}

/* Sends the next number to connection 2, in a random way. */
static void script_step(void) {
    static char text[40000];
    static const size_t sizes[] = {10, 100, 900, 1100, 5000, 17000, 33000};
    ws_conn *from = net.conns[1], *to = net.conns[2];
    size_t size = script.padded ? sizes[script_random(7)] : 10;
    memset(text, '.', size);
    text[snprintf(text, sizeof text, "%06u", script.next++)] = '.';
    text[size] = 0;
    switch (script_random(7)) {
    case 0: CHECK(ws_send_text(to, text)); break;
    case 1: CHECK(ws_broadcast_text(from, "one", text)); break;
    case 2: CHECK(ws_broadcast_text(to, "two", text)); break;
    case 3: CHECK(ws_broadcast_text(from, NULL, text)); break;
    case 4: CHECK(ws_server_broadcast(net.server, "one", text_of(text))); break;
    case 5: CHECK(ws_broadcast_others(from, "two", text_of(text))); break;
    default:
        CHECK(ws_send_part(to, text_of(text), false) && ws_send_part(to, text_of("end"), true));
        break;
    }
}

static void script_message(ws_conn *conn, unsigned number, ws_message message) {
    unsigned i, count = script_random(12);
    (void)conn;
    (void)number;
    (void)message;
    for (i = 0; i < count; i++)
        script_step();
}

/* The numbers in the messages that a peer got, in their order; the number of them. */
static size_t numbers_of(const peer *p, unsigned *numbers, size_t capacity) {
    bytes plain = {NULL, 0, 0};
    size_t i = 0, count = 0;
    CHECK(wire_plain(&plain, p->in.data, p->in.size, false));
    bytes_add(&plain, "", 1); /* for strtoul */
    while (i + 1 < plain.size) {
        size_t size = plain.data[i + 1], header = 2;
        unsigned opcode = plain.data[i] & 15u;
        if (size == 126)
            header = 4, size = (size_t)plain.data[i + 2] << 8 | plain.data[i + 3];
        else if (size == 127)
            header = 10, size = (size_t)wsi_bytes_load(plain.data + i + 2, 8);
        if ((opcode == 1 || opcode == 2) && count < capacity)
            numbers[count++] = (unsigned)strtoul((const char *)plain.data + i + header, NULL, 10);
        i += header + size;
    }
    bytes_free(&plain);
    return count;
}

static void check_order(const peer *p, unsigned wanted) {
    static unsigned numbers[20000];
    size_t i, count = numbers_of(p, numbers, 20000);
    CHECK_EQ(count, wanted);
    for (i = 0; i < count; i++)
        CHECK_EQ(numbers[i], i);
}

static void test_order(void) {
    static const struct { bool padded, slow; } rows[] = {{false, false}, {true, false}, {false, true}, {true, true}};
    unsigned i, k;
    for (i = 0; i < 4; i++) {
        if (!test_begin("order: ws_send and broadcasts of several rooms to one receiver%s%s",
                        rows[i].padded ? ", of all sizes" : "", rows[i].slow ? ", which reads slowly" : ""))
            continue;
        ws_limits limits;
        memset(&limits, 0, sizeof limits);
        limits.buffered = 64 << 20;
        CHECK(net_start_limits(&limits));
        net.quiet = true;
        net_small_buffers();
        peer *a = net_peer("/"), *b = net_open_with("/", 4096);
        CHECK(ws_join(net.conns[2], "one") && ws_join(net.conns[2], "two") && ws_join(net.conns[1], "one"));
        CHECK(ws_room_slow(net.server, "two", WS_SLOW_DROP_OLDEST)); /* has a queue of its own kind */
        memset(&script, 0, sizeof script);
        script.seed = i + 1;
        script.padded = rows[i].padded;
        net.on_message = script_message;
        b->deaf = rows[i].slow;
        for (k = 0; k < 60; k++) {
            peer_frames(k % 3 ? a : b, "81\"go\" 81\"go\"");
            if (k % 4 == 0)
                script_step();
            if (k % 10 == 9)
                b->deaf = false;
            (void)net_round(0);
            b->deaf = rows[i].slow;
            a->in.size = 0;
        }
        b->deaf = false;
        net_settle();
        CHECK(script.next > 300);
        check_order(b, script.next);
        NET_END();
    }
}

static void test_parts_and_broadcasts(void) {
    if (!test_begin("order: broadcasts wait for the end of a message sent in parts"))
        return;
    CHECK(net_start());
    peer *a = net_peer("/"), *b = net_peer("/");
    CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r"));
    CHECK(ws_send_part(net.conns[2], text_of("one "), false));
    CHECK(ws_broadcast_text(net.conns[1], "r", "x"));
    CHECK(ws_broadcast_text(net.conns[1], NULL, "y"));
    CHECK_FRAMES(a, "81\"x\" 81\"y\"");
    CHECK_FRAMES(b, "01\"one \"");
    CHECK(ws_send_part(net.conns[2], text_of("two "), false));
    CHECK(ws_broadcast_text(net.conns[1], "r", "z"));
    CHECK(ws_send_part(net.conns[2], text_of("end"), true));
    CHECK(ws_send_text(net.conns[2], "after"));
    CHECK(ws_broadcast_text(net.conns[1], "r", "last"));
    CHECK_FRAMES(b, "00\"two \" 80\"end\" 81\"x\" 81\"y\" 81\"z\" 81\"after\" 81\"last\"");
    CHECK(ws_send_part(net.conns[2], text_of("never ends"), false));
    CHECK(ws_broadcast_text(net.conns[1], "r", "lost"));
    peer_close(b); /* pending broadcasts are freed */
    NET_END();
}

static void test_parts_and_full(void) {
    static const ws_slow policies[] = {WS_SLOW_DROP_NEWEST, WS_SLOW_DROP_OLDEST, WS_SLOW_LATEST, WS_SLOW_WAIT};
    ws_limits limits;
    size_t i;
    for (i = 0; i < 4; i++) {
        if (!test_begin("parts: broadcasts that wait for the end do not keep it from being sent, policy %d",
                        (int)policies[i]))
            continue;
        memset(&limits, 0, sizeof limits);
        limits.buffered = 5000;
        CHECK(net_start_limits(&limits));
        peer *b = net_peer("/");
        CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", policies[i]));
        CHECK(ws_send_part(net.conns[1], text_of("begin "), false));
        for (int k = 0; k < 100; k++)
            (void)ws_server_broadcast(net.server, "r", text_of("a message of some fifty bytes, one of very many.."));
        net_settle();
        CHECK(ws_send_part(net.conns[1], text_of("end"), true));
        net_settle();
        CHECK(peer_has(b, "\x80\3end"));
        peer_frames(b, "81\"still served\"");
        net_settle();
        CHECK(peer_has(b, "\x81\x0cstill served"));
        NET_END();
    }
}

/* --- slow readers --- */

static const char *const policy_names[] = {"close", "wait", "drop newest", "drop oldest", "latest"};

enum { SLOW_COUNT = 400 };

typedef struct slow_row {
    ws_slow policy;
    unsigned size, per_round;
} slow_row;

/* Broadcasts the numbers 0 to SLOW_COUNT - 1 to a slow and a fast member; returns how many
   broadcasts were refused. What the slow one has buffered stays near the limit. */
static unsigned slow_broadcast(const slow_row *row, size_t limit) {
    static char text[40000];
    unsigned i, refused = 0;
    for (i = 0; i < SLOW_COUNT; i++) {
        memset(text, '.', row->size);
        text[row->size] = 0;
        (void)snprintf(text, 8, "%06u", i);
        text[6] = '.';
        refused += !ws_server_broadcast(net.server, "r", text_of(text));
        if (net.conns[2])
            CHECK(ws_buffered(net.conns[2]) < limit + row->size + 20 + (row->policy == WS_SLOW_CLOSE ? 20 : 0));
        if (i % row->per_round == row->per_round - 1)
            (void)net_round(0);
    }
    net_settle();
    return refused;
}

/* What the slow member got: for each policy its own pattern. */
static void slow_check(const slow_row *row, const unsigned *numbers, size_t count, bool closed) {
    size_t i, gaps = 0;
    CHECK(count > 0 && count < SLOW_COUNT);
    for (i = 0; i < count; i++) {
        CHECK(i == 0 ? numbers[0] == 0 : numbers[i] > numbers[i - 1]);
        gaps += i > 0 && numbers[i] != numbers[i - 1] + 1;
    }
    CHECK_EQ(closed, row->policy == WS_SLOW_CLOSE);
    switch (row->policy) {
    case WS_SLOW_CLOSE:
    case WS_SLOW_WAIT:
    case WS_SLOW_DROP_NEWEST: CHECK_EQ(gaps, 0); break;
    case WS_SLOW_DROP_OLDEST:
        CHECK_EQ(gaps, 1);
        CHECK_EQ(numbers[count - 1], SLOW_COUNT - 1);
        break;
    case WS_SLOW_LATEST:
        CHECK(gaps >= 1 && gaps <= 2);
        CHECK_EQ(numbers[count - 1], SLOW_COUNT - 1);
        break;
    }
}

static void test_slow(void) {
    static const slow_row rows[] = {
        {WS_SLOW_CLOSE, 500, 1},        {WS_SLOW_CLOSE, 2000, 10},      {WS_SLOW_CLOSE, 30000, 1},
        {WS_SLOW_WAIT, 500, 1},         {WS_SLOW_WAIT, 2000, 10},       {WS_SLOW_WAIT, 30000, 1},
        {WS_SLOW_DROP_NEWEST, 500, 1},  {WS_SLOW_DROP_NEWEST, 2000, 10}, {WS_SLOW_DROP_NEWEST, 30000, 1},
        {WS_SLOW_DROP_OLDEST, 500, 1},  {WS_SLOW_DROP_OLDEST, 2000, 10}, {WS_SLOW_DROP_OLDEST, 30000, 1},
        {WS_SLOW_LATEST, 500, 1},       {WS_SLOW_LATEST, 2000, 10},     {WS_SLOW_LATEST, 30000, 1}};
    static unsigned numbers[SLOW_COUNT + 10];
    ws_limits limits;
    size_t i, count, peak;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!test_begin("slow reader: %s, messages of %u bytes, %u in a round", policy_names[rows[i].policy],
                        rows[i].size, rows[i].per_round))
            continue;
        memset(&limits, 0, sizeof limits);
        limits.buffered = 60000;
        CHECK(net_start_limits(&limits));
        net.quiet = true;
        net_small_buffers();
        peer *fast = net_peer("/"), *slow = net_open_with("/", 4096);
        CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r"));
        CHECK(ws_room_slow(net.server, "r", rows[i].policy));
        slow->deaf = true;
        calls.stuck = net.conns[2]->source.link.descriptor;
        peak = net.memory.used;
        net.memory.peak = peak;
        unsigned refused = slow_broadcast(&rows[i], limits.buffered);
        CHECK(net.memory.peak - peak < 600000);
        CHECK_EQ(refused > 0, rows[i].policy == WS_SLOW_WAIT);
        count = numbers_of(fast, numbers, SLOW_COUNT);
        CHECK_EQ(count, SLOW_COUNT - refused); /* the others are served */
        calls_reset();
        slow->deaf = false;
        net_settle();
        count = numbers_of(slow, numbers, SLOW_COUNT);
        if (rows[i].policy == WS_SLOW_WAIT)
            CHECK_EQ(count, SLOW_COUNT - refused);
        slow_check(&rows[i], numbers, count, peer_has(slow, "\x88\x12\x03\xf5reads too slowly"));
        fast->in.size = slow->in.size = 0;
        CHECK(ws_server_broadcast(net.server, "r", text_of("later")));
        CHECK_FRAMES(fast, "81\"later\"");
        CHECK_FRAMES(slow, rows[i].policy == WS_SLOW_CLOSE ? "" : "81\"later\"");
        NET_END();
    }
}

static void test_latest_waits_alone(void) {
    static uint8_t large[300000];
    static unsigned numbers[100];
    size_t count;
    if (!test_begin("slow reader: latest, at most one message of the room is pending, other messages stay"))
        return;
    CHECK(net_start());
    net_small_buffers();
    peer *b = net_open_with("/", 4096);
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", WS_SLOW_LATEST) && ws_join(net.conns[1], "s"));
    b->deaf = true;
    memset(large, '9', 6);
    CHECK(ws_send_binary(net.conns[1], large, sizeof large));
    net_settle();
    CHECK(ws_server_broadcast(net.server, "r", text_of("000001")));
    CHECK(ws_server_broadcast(net.server, "s", text_of("000002")));
    CHECK(ws_server_broadcast(net.server, "r", text_of("000003")));
    net_settle();
    CHECK(ws_server_broadcast(net.server, "r", text_of("000004")));
    CHECK(ws_server_broadcast(net.server, "r", text_of("000005")));
    CHECK(ws_server_broadcast(net.server, "s", text_of("000006")));
    b->deaf = false;
    net_settle();
    count = numbers_of(b, numbers, 100);
    CHECK_EQ(count, 4);
    CHECK(numbers[1] == 2 && numbers[2] == 5 && numbers[3] == 6);
    NET_END();
}

static void test_latest_in_one_round(void) {
    static char text[200001];
    static unsigned numbers[10];
    if (!test_begin("slow reader: latest, several in the round in which the socket fills up"))
        return;
    CHECK(net_start());
    net_small_buffers();
    peer *b = net_open_with("/", 4096);
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", WS_SLOW_LATEST));
    b->deaf = true;
    memset(text, '.', sizeof text - 1);
    for (unsigned i = 0; i < 5; i++) {
        (void)snprintf(text, 8, "%06u", i);
        text[6] = '.';
        CHECK(ws_server_broadcast(net.server, "r", text_of(text)));
    }
    net_settle();
    CHECK(ws_buffered(net.conns[1]) < 2 * sizeof text + 30);
    b->deaf = false;
    net_settle();
    CHECK_EQ(numbers_of(b, numbers, 10), 2);
    CHECK(numbers[0] == 0 && numbers[1] == 4);
    NET_END();
}

static void test_oldest_one_by_one(void) {
    enum { SENT = 25, FIT = 20 };
    static char text[1001];
    static unsigned numbers[SENT + 1];
    ws_limits limits;
    if (!test_begin("slow reader: drop oldest, several broadcasts of a round of which the socket takes no byte"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.buffered = FIT * 1000;
    CHECK(net_start_limits(&limits));
    peer *b = net_peer("/");
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", WS_SLOW_DROP_OLDEST));
    calls.stuck = net.conns[1]->source.link.descriptor;
    calls.stuck_full = true;
    memset(text, '.', sizeof text - 1);
    for (unsigned i = 0; i < SENT; i++) {
        (void)snprintf(text, 8, "%06u", i);
        text[6] = '.';
        CHECK(ws_server_broadcast_text(net.server, "r", text));
        if (i == FIT - 5)
            (void)net_round(0);
    }
    CHECK_EQ(ws_server_stats(net.server).dropped, SENT - FIT);
    calls_reset();
    net_settle();
    CHECK_EQ(numbers_of(b, numbers, SENT + 1), FIT);
    CHECK(numbers[0] == SENT - FIT && numbers[FIT - 1] == SENT - 1);
    NET_END();
}

static void test_policy_changes(void) {
    static char text[70001];
    static unsigned numbers[10];
    if (!test_begin("slow reader: another policy between the broadcasts of the round in which the socket fills up"))
        return;
    CHECK(net_start());
    net_small_buffers();
    peer *b = net_open_with("/", 4096);
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", WS_SLOW_DROP_OLDEST));
    b->deaf = true;
    memset(text, '.', sizeof text - 1);
    for (unsigned i = 0; i < 6; i++) {
        (void)snprintf(text, 8, "%06u", i);
        text[6] = '.';
        CHECK(ws_server_broadcast(net.server, "r", text_of(text)));
        if (i == 3)
            CHECK(ws_room_slow(net.server, "r", WS_SLOW_LATEST));
    }
    net_settle();
    CHECK(ws_leave(net.conns[1], "r")); /* pending messages no longer belong to a room */
    b->deaf = false;
    net_settle();
    size_t count = numbers_of(b, numbers, 10);
    CHECK(count && numbers[count - 1] == 5);
    NET_END();
}

static uint8_t policy_of(const char *room) { return wsi_room_find(net.server, room)->slow; }

static void test_policy(void) {
    if (!test_begin("slow reader: a policy that is set after somebody joined ends with the room"))
        return;
    CHECK(behaviour_start());
    (void)behaviour_open("/");
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", WS_SLOW_WAIT));
    CHECK(!ws_room_slow(net.server, "r", (ws_slow)5) && !ws_room_slow(net.server, NULL, WS_SLOW_WAIT));
    CHECK_EQ(policy_of("r"), WS_SLOW_WAIT);
    CHECK(ws_leave(net.conns[1], "r") && !wsi_room_find(net.server, "r"));
    CHECK(ws_join(net.conns[1], "r"));
    CHECK_EQ(policy_of("r"), WS_SLOW_CLOSE);
    BEHAVIOUR_END();
}

/* behaviour_start's memory is watched: what is kept is freed with the server. */
static void test_policy_stays(void) {
    if (!test_begin("slow reader: a policy that is set before anybody joins stays, until it is WS_SLOW_CLOSE"))
        return;
    CHECK(behaviour_start());
    (void)behaviour_open("/");
    CHECK(ws_room_slow(net.server, "r", WS_SLOW_WAIT) && ws_room_slow(net.server, "other", WS_SLOW_LATEST));
    CHECK_EQ(ws_room_count(net.server, "r"), 0);
    CHECK(ws_server_broadcast_text(net.server, "r", "nobody hears this"));
    for (int i = 0; i < 2; i++) {
        CHECK(ws_join(net.conns[1], "r"));
        CHECK_EQ(policy_of("r"), WS_SLOW_WAIT);
        CHECK(ws_leave(net.conns[1], "r"));
    }
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", WS_SLOW_DROP_NEWEST));
    CHECK(ws_leave(net.conns[1], "r"));
    CHECK_EQ(policy_of("r"), WS_SLOW_DROP_NEWEST);
    CHECK(ws_room_slow(net.server, "r", WS_SLOW_CLOSE) && !wsi_room_find(net.server, "r"));
    CHECK(ws_room_slow(net.server, "none", WS_SLOW_CLOSE) && !wsi_room_find(net.server, "none"));
    BEHAVIOUR_END();
}

static void burst(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    for (int i = 0; i < 100 && message.data[0] == 'b'; i++)
        CHECK(ws_broadcast_text(conn, "r", "a message of some fifty bytes, one of very many.."));
}

static void test_burst(void) {
    static const ws_slow policies[] = {WS_SLOW_CLOSE, WS_SLOW_WAIT, WS_SLOW_DROP_NEWEST, WS_SLOW_DROP_OLDEST};
    ws_limits limits;
    size_t i;
    for (i = 0; i < 4; i++) {
        if (!test_begin("burst: more than the limit in one round to a member that reads: nothing is lost, %s",
                        policy_names[policies[i]]))
            continue;
        memset(&limits, 0, sizeof limits);
        limits.buffered = 2000;
        CHECK(net_start_limits(&limits));
        net.quiet = true;
        net.on_message = burst;
        peer *a = net_peer("/"), *b = net_peer("/"), *c = net_peer("/");
        CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r") && ws_join(net.conns[3], "r"));
        CHECK(ws_room_slow(net.server, "r", policies[i]));
        peer_frames(b, "81\"b\"");
        peer_frames(c, "81\"c\""); /* in the same round */
        net_settle();
        CHECK_EQ(a->in.size, 100 * 51);
        CHECK_EQ(b->in.size, 100 * 51);
        CHECK_EQ(c->in.size, 100 * 51);
        net.on_message = NULL;
        peer_frames(a, "81\"x\"");
        peer_frames(c, "81\"z\"");
        net_settle(); /* nobody is left paused */
        CHECK_EQ(a->in.size, 100 * 51 + 3);
        CHECK_EQ(c->in.size, 100 * 51 + 3);
        NET_END();
    }
}

/* --- budget --- */

static void test_budget_slow_readers(void) {
    static uint8_t block[20000];
    ws_loop_config config;
    unsigned i, k;
    if (!test_begin("budget: max_memory holds with 40 slow readers; others are served"))
        return;
    memset(&config, 0, sizeof config);
    config.max_memory = 3 << 20;
    CHECK(net_start_with(&config, NULL));
    net.quiet = true;
    net_small_buffers();
    for (i = 1; i <= 40; i++)
        net_open_with("/", 4096)->deaf = true;
    for (k = 0; k < 20; k++) {
        for (i = 1; i <= 40; i++) {
            (void)ws_send_binary(net.conns[i], block, sizeof block);
            (void)net_round(0);
        }
        CHECK(net.memory.used <= config.max_memory);
    }
    net_settle();
    CHECK(net.memory.peak <= config.max_memory);
    CHECK(net.closed > 0); /* some were dropped */
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    CHECK(net_serves());
    NET_END();
}

static void test_budget_half_messages(void) {
    static uint8_t half[300000];
    ws_loop_config config;
    wire_frame frame;
    bytes head = {NULL, 0, 0};
    unsigned i;
    if (!test_begin("budget: max_memory holds with 40 half-sent messages; those beyond get 1013"))
        return;
    memset(&config, 0, sizeof config);
    config.max_memory = 4 << 20;
    CHECK(net_start_with(&config, NULL));
    memset(&frame, 0, sizeof frame);
    frame.first = 0x82;
    frame.bare = true;
    frame.length_bits = 64;
    frame.announced = 2 * sizeof half;
    wire_frame_add(&head, &frame, true);
    for (i = 1; i <= 40; i++) {
        peer *p = net_peer("/");
        (void)peer_send(p, head.data, head.size);
        (void)peer_send(p, half, sizeof half);
    }
    net_settle();
    CHECK(net.memory.peak <= config.max_memory);
    CHECK(net.closed > 20 && net.closed < 40);
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    for (i = 1; i <= net.opened; i++)
        if (net.closings[i])
            CHECK_EQ(net.codes[i], 1013);
    CHECK(net_serves());
    bytes_free(&head);
    NET_END();
}

static void test_budget_broadcast(void) {
    static uint8_t block[100000];
    ws_loop_config config;
    ws_limits limits;
    ws_server_config server;
    ws_message message;
    if (!test_begin("budget: broadcasts that do not fit fail with MEMORY, nobody is dropped"))
        return;
    memset(&config, 0, sizeof config);
    memset(&limits, 0, sizeof limits);
    memset(&server, 0, sizeof server);
    config.max_memory = 1 << 20;
    server.limits.buffered = 64 << 20;
    CHECK(net_start_with(&config, &server));
    net_small_buffers();
    peer *p = net_open_with("/", 4096);
    p->deaf = true;
    CHECK(ws_join(net.conns[1], "r"));
    message.data = block;
    message.size = sizeof block;
    message.type = WS_BINARY;
    int i, failed = 0;
    for (i = 0; i < 30; i++) {
        failed += !ws_broadcast(net.conns[1], "r", message);
        (void)net_round(0);
    }
    CHECK(failed > 10 && failed < 30);
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_MEMORY);
    CHECK_EQ(net.closed, 0);
    p->deaf = false;
    CHECK(peer_wait(p, (size_t)(30 - failed) * 100010));
    net_settle();
    CHECK(ws_broadcast(net.conns[1], "r", message));
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_members();
    test_no_member_yet();
    test_rooms_vanish();
    test_rooms_limit();
    test_broadcast();
    test_broadcast_wrong();
    test_closing_members();
    test_left();
    test_one_write();
    test_framed_once();
    test_much_in_one_round();
    test_order();
    test_parts_and_broadcasts();
    test_parts_and_full();
    test_slow();
    test_latest_waits_alone();
    test_latest_in_one_round();
    test_oldest_one_by_one();
    test_policy_changes();
    test_policy();
    test_policy_stays();
    test_burst();
    test_budget_slow_readers();
    test_budget_half_messages();
    test_budget_broadcast();
    return test_finish();
}
