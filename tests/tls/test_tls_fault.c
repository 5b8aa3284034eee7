/* TLS, both ends in one loop: the Nth allocation of ws.h, the Nth of OpenSSL, the Nth system call
   fails, or is short, for all N: no crash, no leak, no hang, and behind the fault all is served again. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#ifdef WS_NO_TLS

#include "../helpers/test.h"

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("faults of TLS");
    test_skip("built with WS_NO_TLS");
    return test_finish();
}

#else

#include "../helpers/tls.h"

enum { LARGE = 50000, ALL = 100000 };

/* --- OpenSSL's allocator --- */

static struct {
    size_t used, calls;
    size_t fail_at; /* counted from 1; 0: none */
    bool fail_after;
} crypto;

static bool crypto_fails(void) {
    size_t count = ++crypto.calls;
    return crypto.fail_at && (count == crypto.fail_at || (crypto.fail_after && count > crypto.fail_at));
}

/* Each block has its size in front. */
static void *crypto_resize(void *block, size_t size) {
    uint8_t *base = block ? (uint8_t *)block - 16 : NULL;
    size_t old = 0;
    if (crypto_fails())
        return NULL;
    if (base)
        memcpy(&old, base, sizeof old);
    base = (uint8_t *)realloc(base, size + 16);
    if (!base)
        abort();
    memcpy(base, &size, sizeof size);
    crypto.used += size - old;
    return base + 16;
}

static void *crypto_malloc(size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return crypto_resize(NULL, size);
}

static void crypto_free(void *block, const char *file, int line) {
    size_t old;
    (void)file;
    (void)line;
    if (!block)
        return;
    memcpy(&old, (uint8_t *)block - 16, sizeof old);
    crypto.used -= old;
    free((uint8_t *)block - 16);
}

static void *crypto_realloc(void *block, size_t size, const char *file, int line) {
    if (size)
        return crypto_resize(block, size);
    crypto_free(block, file, line);
    return NULL;
}

/* Bytes that OpenSSL holds, less what it keeps for a thread: errors, random generators. */
static size_t crypto_used(void) {
    OPENSSL_thread_stop();
    return crypto.used;
}

/* --- the scenario --- */

static uint8_t large[LARGE];

/* At most so many rounds, fewer when nothing moves: what a fault cuts short must not be waited for. */
static void rounds(int count) {
    int still = 0;
    while (count-- && still < 3)
        still = net_round(0) ? 0 : still + 1;
}

static tls_client *dial(void) {
    ws_client_config config;
    tls_client *c;
    memset(&config, 0, sizeof config);
    config.tls.ca_pem = certs.ca.pem;
    config.tls.cert_pem = certs.alice.pem;
    config.tls.key_pem = certs.alice.key_pem;
    calls.inside = true;
    c = tls_dial_port("wss", ws_port(net.server), &config);
    calls.inside = false;
    return c;
}

static void inside_send(ws_conn *conn, const void *data, size_t size) {
    calls.inside = true;
    (void)ws_send_binary(conn, data, size);
    calls.inside = false;
}

/* A loop and a server with client certificates. false: a fault hit it. */
static bool start(const drive_memory *memory) {
    ws_server_config config;
    ws_loop_config loop;
    size_t descriptors = net_descriptors();
    memset(&net, 0, sizeof net);
    memset(&config, 0, sizeof config);
    memset(&loop, 0, sizeof loop);
    if (memory)
        net.memory = *memory;
    net.descriptors = descriptors;
    net.now = 1000000;
    net.echo = net.quiet = true;
    loop.allocator.resize = drive_resize;
    loop.allocator.user = &net.memory;
    loop.clock = net_clock;
    loop.clock_user = &net.now;
    config.tls.cert_pem = certs.server.pem;
    config.tls.key_pem = certs.server.key_pem;
    config.tls.ca_pem = certs.ca.pem;
    net.loop = ws_loop_new(&loop);
    calls.inside = true;
    net.server = net.loop ? ws_listen(net.loop, &config) : NULL;
    calls.inside = false;
    return net.server && net_route("/");
}

static bool reloads = true; /* false: what a start has set up serves to the end */

/* Handshakes, an echo, a large message, a reload, a broadcast, a close; then all deadlines. */
static void scenario(void) {
    ws_tls_config renewed;
    char name[100];
    tls_client *c = dial();
    int i;
    c->first = "hello";
    net_small_buffers();
    rounds(60);
    (void)ws_peer_certificate(net.conns[1], name, sizeof name);
    inside_send(c->conn, large, sizeof large);
    rounds(100);
    memset(&renewed, 0, sizeof renewed);
    renewed.cert_pem = certs.renewed.pem;
    renewed.key_pem = certs.renewed.key_pem;
    renewed.ca_pem = certs.ca.pem;
    if (reloads)
        (void)ws_server_tls(net.server, &renewed);
    (void)ws_server_broadcast(net.server, NULL, (ws_message){large, 300, WS_BINARY});
    rounds(10);
    (void)ws_close(c->conn, 1000, "bye");
    rounds(20);
    for (i = 0; i < 5; i++) {
        net.now += 20000;
        rounds(5);
    }
    if (calls.fail_after && calls.error == EINTR) { /* a loop that cannot look judges nobody: its next wait does */
        calls.fail_at[CALLS_WAIT] = 0;
        rounds(5);
    }
    CHECK(!c->conn || ws_loop_error(net.loop)); /* it has ended, in whatever way */
}

static void faults_off(void) {
    net.memory.fail_at = 0;
    crypto.fail_at = 0;
    calls.limit = 0;
    memset(calls.fail_at, 0, sizeof calls.fail_at);
}

/* Goes on without faults: a new client gets its echo, and a clean close. */
static bool recovered(void) {
    tls_client *c;
    int i;
    faults_off();
    rounds(3);
    net.now += 200; /* listening goes on */
    rounds(3);
    c = dial();
    c->first = "alive";
    for (i = 0; i < 2000 && !c->messages && !c->errors && !c->closed; i++)
        (void)net_round(100);
    (void)ws_close(c->conn, 1000, NULL);
    for (i = 0; i < 2000 && !c->closed && !c->errors; i++)
        (void)net_round(100);
    if (c->messages != 1)
        printf("    not served again: %s\n", c->why);
    return c->messages == 1 && c->in.size == 5 && c->code == 1000 && c->clean;
}

/* --- allocations --- */

static void test_own_allocations(bool after) {
    size_t n, points = 0, failed_starts = 0;
    bool through = false;
    if (!test_begin("the Nth allocation of ws.h fails, %s, for all N", after ? "and all behind it" : "once"))
        return;
    for (n = 1; n < ALL && !through; n++) {
        drive_memory memory;
        bool started;
        calls_reset();
        memset(&memory, 0, sizeof memory);
        memory.fail_at = n;
        memory.fail_after = after;
        started = start(&memory);
        if (started) {
            scenario();
            CHECK_EQ(ws_loop_error(net.loop), WS_OK);
            through = net.memory.calls < n;
            CHECK(recovered());
        } else {
            failed_starts++;
            CHECK(!net.loop || ws_loop_error(net.loop) == WS_ERROR_MEMORY);
        }
        points += !through;
        TLS_END();
    }
    CHECK(through && points > 20 && failed_starts > 5);
    if (test_now.running)
        printf("allocations of ws.h: %zu points, %zu of them in starting\n", points, failed_starts);
}

/* The scenario with OpenSSL's Nth allocation failing. false: there is no such allocation any more. */
static bool crypto_fault(size_t n, bool after, bool again) {
    bool started, hit;
    calls_reset();
    crypto.calls = 0;
    crypto.fail_at = n;
    crypto.fail_after = after;
    started = start(NULL);
    if (started) {
        scenario();
        CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    } else {
        CHECK(net.loop && (ws_loop_error(net.loop) == WS_ERROR_MEMORY || ws_loop_error(net.loop) == WS_ERROR_TLS));
    }
    hit = crypto.calls >= n;
    faults_off();
    if (started && again)
        CHECK(recovered());
    TLS_END();
    return hit;
}

/* How many allocations a start takes. */
static size_t crypto_start(void) {
    calls_reset();
    crypto.calls = 0;
    CHECK(start(NULL));
    TLS_END();
    return crypto.calls;
}

/* N counts on by step, closer within the start, which all that follows depends on: what is accepted
   there must serve. All N take minutes (TEST_ALL=1). */
static void test_crypto_allocations(bool after, size_t step) {
    size_t n, points = 0, used, starting;
    bool hit = true;
    if (!test_begin("OpenSSL's Nth allocation fails, %s, for %s N", after ? "and all behind it" : "once",
                    step == 1 ? "all" : "many"))
        return;
    (void)crypto_fault(ALL * 10, false, true); /* what OpenSSL makes once and keeps */
    (void)crypto_fault(1000, true, true);
    (void)crypto_fault(ALL * 10, false, true);
    starting = crypto_start();
    used = crypto_used();
    for (n = 1; n < ALL && hit; n += n < starting ? (step + 4) / 5 : step) {
        reloads = n >= starting;
        hit = crypto_fault(n, after, n < starting || points % 4 == 0);
        if (crypto_used() > used) { /* kept once, or lost each time? */
            size_t once = crypto_used();
            (void)crypto_fault(n, after, false);
            CHECK_EQ(crypto_used(), once);
            if (crypto_used() != once)
                printf("    OpenSSL's allocation %zu: %zu bytes are lost\n", n, crypto_used() - once);
            used = crypto_used();
        }
        points += hit;
    }
    reloads = true;
    CHECK(n < ALL && points > 100 / step);
    if (test_now.running)
        printf("allocations of OpenSSL: %zu points, every %zu\n", points, step);
}

/* --- system calls --- */

static const struct {
    calls_kind kind;
    int error; /* 0: short */
    bool sticks; /* ws_run ends with an error, rightly */
} faults[] = {
    {CALLS_RECV, EAGAIN, false},  {CALLS_RECV, EINTR, false},      {CALLS_RECV, ECONNRESET, false},
    {CALLS_RECV, 0, false},       {CALLS_SEND, EAGAIN, false},     {CALLS_SEND, EINTR, false},
    {CALLS_SEND, EPIPE, false},   {CALLS_SEND, ENOBUFS, false},    {CALLS_SEND, 0, false},
    {CALLS_SENDMSG, EAGAIN, false}, {CALLS_SENDMSG, ECONNRESET, false}, {CALLS_ACCEPT, EAGAIN, false},
    {CALLS_ACCEPT, EMFILE, false}, {CALLS_SELECT, EINTR, false},   {CALLS_SELECT, EBADF, true},
    {CALLS_SOCKET, EMFILE, false}, {CALLS_SOCKET, ENOMEM, false},  {CALLS_FCNTL, EINVAL, false},
    {CALLS_SETSOCKOPT, EINVAL, false}, {CALLS_SHUTDOWN, ENOTCONN, false}};

/* One call fails; false: there is no such call any more. */
static bool fault_at(size_t i, size_t n, bool after) {
    bool hit;
    calls_reset();
    if (!start(NULL))
        abort();
    calls_reset();
    calls.fail_at[faults[i].kind] = n;
    calls.fail_after = after;
    calls.error = faults[i].error;
    scenario();
    hit = calls.count[faults[i].kind] >= n;
    if (faults[i].sticks && hit)
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_SYSTEM);
    else
        CHECK(ws_loop_error(net.loop) == WS_OK && recovered());
    calls_reset();
    TLS_END();
    return hit;
}

static void test_faults(bool after) {
    size_t i, n, points;
    for (i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (!test_begin("the Nth %s %s %d, %s, for all N", calls_names[faults[i].kind],
                        faults[i].error ? "fails with" : "is short", faults[i].error,
                        after ? "and all behind it" : "once"))
            continue;
        for (n = 1, points = 0; n < 2000 && fault_at(i, n, after); n++)
            points++;
        CHECK(n < 2000);
        if (faults[i].kind == CALLS_RECV || faults[i].kind == CALLS_SEND || faults[i].kind == CALLS_SELECT)
            CHECK(points > 0);
    }
}

static void test_sizes(void) {
    static const size_t sizes[] = {1, 2, 3, 5, 17, 100, 1000};
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        tls_client *c;
        if (!test_begin("every recv and send takes at most %zu bytes", sizes[i]))
            continue;
        calls_reset();
        CHECK(start(NULL));
        calls.limit = sizes[i];
        c = dial();
        c->first = "hello";
        UNTIL(c->messages == 1);
        inside_send(c->conn, large, 3000);
        UNTIL(c->messages == 2);
        CHECK(c->in.size == 3005 && memcmp(c->in.data + 5, large, 3000) == 0);
        CHECK(ws_close(c->conn, 1000, NULL));
        UNTIL(c->closed == 1 && c->clean);
        scenario();
        CHECK(recovered());
        calls_reset();
        TLS_END();
    }
}

int main(int argc, char **argv) {
    const char *all = getenv("TEST_ALL");
    size_t step = all && *all == '1' ? 1 : 199, i;
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        abort(); /* OpenSSL has allocated already */
    test_start(argc, argv);
    certs_start();
    for (i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7 + i / 251);
    test_sizes();
    test_own_allocations(false);
    test_own_allocations(true);
    test_faults(false);
    test_faults(true);
    test_crypto_allocations(false, step);
    test_crypto_allocations(true, step);
    certs_end();
    return test_finish();
}

#endif
