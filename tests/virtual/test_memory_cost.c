/* Growth: each table, queue and list that a peer or a program can lengthen costs at most twice as much when it is
   twice as long. Counted, not timed: the compiler calls a counter at each basic block (-fsanitize-coverage=trace-pc),
   and what libc does with memory is counted by its bytes, so that a figure is the same in each run. */
#include "../helpers/cost.h"

static int cost_memcmp(const void *a, const void *b, size_t size) { /* like libc's, it may stop where they differ */
    size_t same = 0;
    while (same < size && ((const unsigned char *)a)[same] == ((const unsigned char *)b)[same])
        same++;
    count_bytes += same < size ? same + 1 : size;
    return memcmp(a, b, size);
}
static size_t cost_strlen(const char *text) {
    size_t size = strlen(text);
    count_bytes += size;
    return size;
}

#include "../helpers/calls.h"

#undef memcpy /* macros on macOS */
#undef memmove
#undef memset
#define memcpy cost_memcpy
#define memmove cost_memmove
#define memset cost_memset
#define memcmp cost_memcmp
#define strlen cost_strlen

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"
#include "../helpers/client.h"

enum { COST_N = 1024 };

static unsigned long long cost_from, cost_sum;

static unsigned long long cost_now(void) { return count_blocks + count_bytes / COST_BYTES; }
static void cost_begin(void) { cost_from = cost_now(); }
static void cost_end(void) { cost_sum += cost_now() - cost_from; }

/* Runs a function with n and 2n. The cost may double, and a tenth more, for the growth of a heap or an array. */
static void check_growth(const char *what, void (*run)(size_t n)) {
    unsigned long long costs[2];
    if (!test_begin("growth: %s", what))
        return;
    for (int i = 0; i < 2; i++) {
        cost_sum = 0;
        run((size_t)COST_N << i);
        costs[i] = cost_sum;
    }
    if (!count_blocks) {
        test_skip("the compiler counts no blocks");
        return;
    }
    CHECK(costs[0] > COST_N); /* it did something */
    CHECK(costs[1] <= costs[0] * 22 / 10);
    if (costs[1] > costs[0] * 22 / 10)
        printf("    %llu for %d, %llu for %d\n", costs[0], COST_N, costs[1], 2 * COST_N);
}

/* --- rooms --- */

static void rooms_start(void) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.rooms = SIZE_MAX;
    CHECK(behaviour_start_with(&config));
    (void)behaviour_open("/");
}

static const char *rooms_name(size_t i) {
    static char name[40];
    (void)snprintf(name, sizeof name, "room %zu", i);
    return name;
}

static void rooms_fill(size_t n) {
    for (size_t i = 0; i < n; i++)
        CHECK(ws_join(net.conns[1], rooms_name(i)));
}

static void rooms_join(size_t n) {
    rooms_start();
    cost_begin();
    rooms_fill(n);
    cost_end();
    BEHAVIOUR_END();
}

static void rooms_join_again(size_t n) {
    rooms_start();
    rooms_fill(n);
    cost_begin();
    rooms_fill(n);
    cost_end();
    BEHAVIOUR_END();
}

static void rooms_leave(size_t n) {
    rooms_start();
    rooms_fill(n);
    cost_begin();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_leave(net.conns[1], rooms_name(i * 7 % n)));
    cost_end();
    BEHAVIOUR_END();
}

static void rooms_end(size_t n) {
    rooms_start();
    rooms_fill(n);
    cost_begin();
    ws_drop(behaviour.clients[0]);
    behaviour_wait(0);
    cost_end();
    CHECK_EQ(ws_room_count(net.server, rooms_name(1)), 0);
    BEHAVIOUR_END();
}

/* A connection that is only there to be a member. */
static ws_conn *member_new(void) {
    ws_conn *conn = wsi_conn_new(&net.server->endpoint);
    conn->engine.state = WSI_OPEN;
    return conn;
}

static void members_join(size_t n) {
    static ws_conn *conns[2 * COST_N];
    rooms_start();
    for (size_t i = 0; i < n; i++)
        conns[i] = member_new();
    cost_begin();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_join(conns[i], "r"));
    for (size_t i = 0; i < n; i++)
        CHECK(ws_leave(conns[i * 7 % n], "r"));
    cost_end();
    CHECK_EQ(ws_room_count(net.server, "r"), 0);
    BEHAVIOUR_END();
}

/* --- what waits for a slow reader --- */

static int slow_peer; /* the other end of the slow member's socket */

/* A member of n rooms of this policy, whose socket takes nothing, as if it were full. buffered: limits.buffered. */
static ws_conn *slow_start(size_t n, ws_slow policy, size_t buffered) {
    static const ws_handler nothing;
    ws_server_config config;
    ws_conn *conn;
    int ends[2];
    memset(&config, 0, sizeof config);
    config.limits.rooms = SIZE_MAX;
    config.limits.buffered = buffered;
    CHECK(behaviour_start_with(&config));
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && wsi_platform_prepare_socket(ends[0]));
    calls.stuck = ends[0];
    calls.stuck_full = true;
    slow_peer = ends[1];
    conn = member_new();
    conn->handler = &nothing;
    conn->source.link.descriptor = ends[0];
    for (size_t i = 0; i < n; i++)
        CHECK(ws_join(conn, rooms_name(i)) && ws_room_slow(net.server, rooms_name(i), policy));
    net.server->open_count++;
    return conn;
}

static void say(size_t room) {
    static const uint8_t text[40];
    ws_message message = {text, sizeof text, WS_BINARY};
    CHECK(ws_server_broadcast(net.server, rooms_name(room), message));
}

static void slow_end(void) {
    (void)close(slow_peer);
    calls_reset();
    BEHAVIOUR_END();
}

/* n rooms, each with one pending message, which newer ones replace again and again. */
static void slow_latest(size_t n) {
    ws_conn *conn = slow_start(n, WS_SLOW_LATEST, 64 << 20);
    conn->blocked = true;
    cost_begin();
    for (size_t i = 0; i < 4 * n; i++)
        say(i % n);
    cost_end();
    CHECK_EQ(conn->queue.size, n * 42);
    slow_end();
}

/* Does the same before the loop knows that the socket is full: all in one round. */
static void slow_latest_round(size_t n) {
    ws_conn *conn = slow_start(n, WS_SLOW_LATEST, 64 << 20);
    cost_begin();
    for (size_t i = 0; i < 4 * n; i++)
        say(i % n);
    wsi_loop_end_round(net.loop);
    cost_end();
    CHECK(conn->blocked);
    CHECK_EQ(conn->queue.size, n * 42);
    slow_end();
}

/* Each room's oldest broadcasts make way for its newest; those of other rooms lie in between, or all before. */
static void slow_oldest(size_t n) {
    ws_conn *conn = slow_start(n, WS_SLOW_DROP_OLDEST, n * 42);
    conn->blocked = true;
    cost_begin();
    for (size_t i = 0; i < 4 * n; i++)
        say(i % n);
    cost_end();
    CHECK(wsi_queue_full(&conn->queue, n * 42));
    slow_end();
}

static void slow_oldest_behind(size_t n) {
    ws_conn *conn = slow_start(2, WS_SLOW_DROP_OLDEST, n * 42);
    conn->blocked = true;
    for (size_t i = 0; i + 8 < n; i++)
        say(0);
    cost_begin();
    for (size_t i = 0; i < 4 * n; i++)
        say(1);
    cost_end();
    CHECK(wsi_queue_full(&conn->queue, n * 42));
    slow_end();
}

/* Nothing else is sent between the parts of a message: broadcasts wait in a queue of their own. */
static void slow_later(size_t n) {
    ws_conn *conn = slow_start(n, WS_SLOW_LATEST, 64 << 20);
    conn->blocked = true;
    for (size_t i = 0; i < n; i++)
        say(i % n);
    conn->engine.sending = WS_BINARY;
    cost_begin();
    for (size_t i = 0; i < 4 * n; i++)
        say(i % n);
    conn->engine.sending = 0;
    wsi_conn_release_later(conn);
    for (size_t i = 0; i < n; i++)
        say(i % n);
    cost_end();
    CHECK_EQ(conn->queue.size, n * 42);
    slow_end();
}

/* Members that leave, or end, with much pending. */
static void slow_leave(size_t n) {
    ws_conn *conn = slow_start(n, WS_SLOW_DROP_OLDEST, 64 << 20);
    conn->blocked = true;
    for (size_t i = 0; i < 4 * n; i++)
        say(i % n);
    cost_begin();
    for (size_t i = 0; i < n; i += 2)
        CHECK(ws_leave(conn, rooms_name(i)));
    wsi_conn_break(conn, WS_ERROR_CLOSED);
    wsi_loop_end_round(net.loop);
    cost_end();
    slow_end();
}

/* --- what a program, or many peers, lengthen in a loop --- */

static unsigned fired;

static void count_fired(ws_loop *loop, void *user) {
    (void)loop, (void)user;
    fired++;
}

static void timers(size_t n) {
    static ws_id ids[2 * COST_N];
    rooms_start();
    fired = 0;
    cost_begin();
    for (size_t i = 0; i < n; i++)
        ids[i] = ws_after(net.loop, (uint32_t)(1 + i * 7919 % n), count_fired, NULL);
    for (size_t i = 0; i < n; i += 2)
        ws_cancel(net.loop, ids[i]);
    behaviour_wait((uint32_t)n + 1);
    cost_end();
    CHECK_EQ(fired, n / 2);
    BEHAVIOUR_END();
}

static void ignore(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    (void)loop, (void)descriptor, (void)ready, (void)user;
}

static void watches(size_t n) {
    static int fds[2 * COST_N];
    ws_loop_config config;
    ws_loop *loop;
    size_t opened = 0;
    memset(&config, 0, sizeof config);
    loop = ws_loop_new(&config);
    while (opened < n && (fds[opened] = socket(AF_INET, SOCK_DGRAM, 0)) >= 0)
        opened++;
    if (opened == n) {
        cost_begin();
        for (size_t i = 0; i < n; i++)
            CHECK(ws_watch(loop, fds[i], WS_READ, ignore, NULL));
        for (size_t i = 0; i < n; i++)
            CHECK(ws_watch(loop, fds[i * 7 % n], WS_READ | WS_WRITE, ignore, NULL));
        for (size_t i = 0; i < n; i++)
            CHECK(ws_watch(loop, fds[i * 5 % n], WS_NONE, NULL, NULL));
        cost_end();
    } else {
        test_skip("not enough descriptors");
    }
    ws_loop_free(loop);
    while (opened)
        (void)close(fds[--opened]);
}

static void connections(size_t n) {
    static ws_conn *conns[2 * COST_N];
    rooms_start();
    cost_begin();
    for (size_t i = 0; i < n; i++)
        conns[i] = member_new();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_find(net.loop, ws_conn_id(conns[i * 7 % n])) == NULL); /* no handler: not open */
    for (size_t i = 0; i < n; i++)
        wsi_conn_break(conns[i * 5 % n], WS_ERROR_CLOSED);
    wsi_loop_end_round(net.loop);
    cost_end();
    CHECK_EQ(net.loop->conn_count, 1);
    BEHAVIOUR_END();
}

/* n connections with an unfinished message each; each further byte that one holds drops another one. */
static void unfinished(size_t n) {
    static ws_conn *conns[2 * COST_N];
    rooms_start();
    for (size_t i = 0; i < n; i++)
        conns[i] = member_new();
    net.loop->max_unfinished = SIZE_MAX; /* none is dropped yet */
    for (size_t i = 0; i < n; i++)
        CHECK(wsi_hold_resize(conns[i], 100));
    cost_begin();
    for (size_t i = 0; i < n; i++) {
        net.loop->window.message = net.loop->window.pos = 0;
        wsi_hold_grown(conns[i * 7 % n], 100 + i, 0);
    }
    net.loop->max_unfinished = net.loop->arriving.used;
    for (size_t i = n - 1; i > n / 2; i--)
        CHECK(wsi_hold_resize(conns[i * 7 % n], 120));
    wsi_loop_end_round(net.loop);
    cost_end();
    CHECK(net.loop->conn_count < n);
    BEHAVIOUR_END();
}

/* --- what one peer sends --- */

static size_t asked_for;

static void look_up(ws_request *request) {
    char name[40];
    (void)snprintf(name, sizeof name, "n%zu", asked_for - 1);
    CHECK(ws_slice_is(ws_request_query(request, name), "v"));
    CHECK(ws_slice_is(ws_request_cookie(request, name), "v"));
    (void)snprintf(name, sizeof name, "X-n%zu", asked_for - 1);
    CHECK(ws_slice_is(ws_request_header(request, name), "v"));
    CHECK(!ws_request_header(request, "None").data && !ws_request_cookie(request, "none").data);
}

static void request_of(size_t n) {
    static char target[64 << 10], cookie[64 << 10], lines[2 * COST_N][40];
    static const char *headers[2 * COST_N + 2];
    ws_server_config server;
    ws_client_config config;
    ws_handler handler;
    size_t query = 0, cookies = 0;
    memset(&server, 0, sizeof server);
    memset(&config, 0, sizeof config);
    server.limits.head = 1 << 20;
    CHECK(behaviour_start_bare(&server));
    handler = net_handler();
    handler.on_request = look_up;
    CHECK(ws_route(net.server, "/", &handler));
    query += (size_t)snprintf(target, sizeof target, "/?");
    cookies += (size_t)snprintf(cookie, sizeof cookie, "Cookie: ");
    for (size_t i = 0; i < n; i++) {
        query += (size_t)snprintf(target + query, sizeof target - query, "%sn%zu=v", i ? "&" : "", i);
        cookies += (size_t)snprintf(cookie + cookies, sizeof cookie - cookies, "%sn%zu=v", i ? "; " : "", i);
        (void)snprintf(lines[i], sizeof lines[i], "X-n%zu: v", i);
        headers[i] = lines[i];
    }
    headers[n] = cookie;
    headers[n + 1] = NULL;
    config.headers = headers;
    asked_for = n;
    cost_begin();
    CHECK_EQ(ws_status(behaviour_connect(target, &config)), 101);
    cost_end();
    BEHAVIOUR_END();
}

static void fragments(size_t n) {
    static const uint8_t part[64];
    ws_message message = {part, sizeof part, WS_BINARY};
    rooms_start();
    cost_begin();
    for (size_t i = 0; i < n; i++) {
        CHECK(ws_send_part(behaviour.clients[0], message, i + 1 == n));
        behaviour_wait(0);
    }
    cost_end();
    CHECK_EQ(net.received, n * sizeof part);
    BEHAVIOUR_END();
}

static void json(size_t n) {
    static char text[16 * 2 * COST_N + 2];
    size_t size = 0, found = 0;
    ws_json value, item;
    memset(&item, 0, sizeof item);
    for (size_t i = 0; i < n; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s\"n%zu\":[1]", i ? "," : "{", i);
    text[size++] = '}';
    cost_begin();
    value = ws_json_parse(text, size);
    while (ws_json_next(value, NULL, &item))
        found++;
    CHECK(ws_json_member(value, "n0").type == WS_JSON_ARRAY);
    cost_end();
    CHECK_EQ(found, n);
}

/* The server's answer comes in n reads, two letters in each. */
static void refusal(size_t n) {
    client_start(NULL);
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, NULL);
    peer *p = raw_accept(raw);
    (void)raw_head(p);
    peer_text(p, "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n");
    net_settle();
    cost_begin();
    for (size_t i = 0; i < n; i++) {
        peer_text(p, "2\r\ngo\r\n");
        (void)net_round(0);
    }
    net_settle();
    cost_end();
    peer_text(p, "0\r\n\r\n");
    net_settle();
    CHECK_EQ(client.error, WS_ERROR_REFUSED);
    CLIENT_END();
}

/* What it costs to read a head of 16 KiB that offers so many subprotocols, and is full of short lines. */
static unsigned long long head_cost(size_t protocols) {
    static char text[16384];
    size_t size = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: p");
    wsi_request request;
    while (--protocols)
        size += (size_t)snprintf(text + size, sizeof text - size, ", p%zu", protocols);
    size += (size_t)snprintf(text + size, sizeof text - size, "\r\n");
    while (size + 6 < sizeof text)
        size += (size_t)snprintf(text + size, sizeof text - size, "a:\r\n");
    size += (size_t)snprintf(text + size, sizeof text - size, "\r\n");
    cost_sum = 0;
    cost_begin();
    CHECK_EQ(wsi_handshake_request(&request, wsi_text(text, size)), 0);
    cost_end();
    return cost_sum;
}

static void test_protocols(void) {
    if (!test_begin("64 subprotocols in a head full of short lines"))
        return;
    unsigned long long one = head_cost(1), many = head_cost(64);
    if (!count_blocks) {
        test_skip("the compiler counts no blocks");
        return;
    }
    CHECK(one > 1000 && many <= IF_SMALL(64u, 2u) * one); /* WS_SMALL has no stack for a list */
}

/* --- secrets --- */

static bool fixed_hmac(void *user, const void *key, size_t key_size, const void *data, size_t size, uint8_t mac[32]) {
    for (uint8_t i = 0; i < 32; i++)
        mac[i] = (uint8_t)(i * 7);
    return !user && key && key_size && data && size;
}

/* What it costs to refuse a session whose signature is wrong at this place. */
static unsigned long long signature_cost(size_t wrong) {
    char signature[WSI_SESSION_MAC + 1] = "";
    wsi_sessions sessions;
    memset(&sessions, 0, sizeof sessions);
    sessions.hmac = fixed_hmac;
    sessions.keys = "0123456789abcdef\0";
    CHECK(wsi_session_sign(&sessions, sessions.keys, "session=e30.1", 13, signature));
    signature[wrong] = signature[wrong] == 'A' ? 'B' : 'A';
    unsigned long long from = count_blocks * COST_BYTES + count_bytes;
    bool accepted = wsi_session_signed(&sessions, wsi_text("session=e30.1", 13), signature);
    unsigned long long to = count_blocks * COST_BYTES + count_bytes;
    CHECK(!accepted);
    return to - from;
}

static void test_signature(void) {
    if (!test_begin("a wrong signature costs the same, wherever it is wrong"))
        return;
    unsigned long long first = signature_cost(0);
    if (!count_blocks) {
        test_skip("the compiler counts no blocks");
        return;
    }
    CHECK(first > WSI_SESSION_MAC * COST_BYTES);
    for (size_t i = 1; i < WSI_SESSION_MAC; i++)
        CHECK_EQ(signature_cost(i), first);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_protocols();
    test_signature();
    check_growth("n rooms joined by one connection", rooms_join);
    check_growth("n rooms joined once more", rooms_join_again);
    check_growth("n rooms left", rooms_leave);
    check_growth("a connection ends that is in n rooms", rooms_end);
    check_growth("n members join and leave a room", members_join);
    check_growth("n rooms of which the latest message waits", slow_latest);
    check_growth("n rooms of which the latest message waits, in one round", slow_latest_round);
    check_growth("n rooms that drop their oldest message", slow_oldest);
    check_growth("a room that drops its oldest message, behind n of another", slow_oldest_behind);
    check_growth("n rooms of which the latest message waits for the end of another", slow_later);
    check_growth("a slow member leaves n rooms, and ends", slow_leave);
    check_growth("n timers, half of them cancelled", timers);
    check_growth("n descriptors watched, changed, and let go", watches);
    check_growth("n connections begin and end", connections);
    check_growth("n unfinished messages, and half of them given up", unfinished);
    check_growth("n query pairs, header lines and cookies, the last looked up", request_of);
    check_growth("n fragments, each one read alone", fragments);
    check_growth("a refusal's body of n chunks, each one read alone", refusal);
    check_growth("n members of a JSON object", json);
    return test_finish();
}
