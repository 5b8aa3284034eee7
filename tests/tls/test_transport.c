/* TRANSPORT: the seam: carriers that are as awkward as the seam allows, and a second TLS library,
   mbedTLS (transport_mbedtls.h), with itself and with OpenSSL; where it is installed. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/tls.h"

#if defined(__has_include) && !defined(WS_NO_TLS)
#if __has_include(<mbedtls/ssl.h>)
#include <mbedtls/version.h>
#if MBEDTLS_VERSION_MAJOR == 2
#define HAS_MBEDTLS
#include "../helpers/transport_mbedtls.h"
#endif
#endif
#endif

enum { MIB = 1 << 20 };

static uint8_t *sample(size_t size) {
    uint8_t *data = (uint8_t *)malloc(size + 1);
    uint32_t x = 1;
    size_t i;
    if (!data)
        abort();
    for (i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (uint8_t)(x >> 24);
    }
    return data;
}

/* --- awkward carriers --- */

/* One byte at a time; each may wait for the other direction, as TLS does, and bytes read from
   the socket lie in the session, where select does not see it. */
typedef struct odd_session {
    int descriptor;
    uint8_t held[5000]; /* read ahead */
    size_t from, size;
    unsigned reads, writes, shuts;
    uint8_t *offered;    /* a copy of a postponed write's bytes: the same must be offered again */
    size_t offered_size;
    uint8_t kept[100];   /* taken, and not sent yet */
    size_t kept_size;
} odd_session;

typedef struct odd_carrier {
    ws_transport transport;
    bool contrary;  /* every second call waits for the other direction */
    bool keeps;     /* takes bytes, and sends them when it is called again */
    bool never_shuts, never_opens, breaks; /* breaks: write fails after 300 bytes */
    size_t step;    /* bytes of a call */
    unsigned opened, closed, shut_calls, wrong;
} odd_carrier;

static odd_carrier carrier; /* all of the running test's connections */
static char verified[100];  /* the name that the last client's open had to verify */

static bool odd_open(ws_link *link, const char *host, void *user) {
    odd_session *session;
    carrier.wrong += user != &carrier || link->session != NULL;
    if (host)
        (void)snprintf(verified, sizeof verified, "%s", host);
    if (carrier.never_opens)
        return false;
    session = (odd_session *)calloc(1, sizeof *session);
    if (!session)
        abort();
    session->descriptor = link->descriptor;
    link->session = session;
    carrier.opened++;
    return true;
}

static ptrdiff_t odd_read(ws_link *link, void *data, size_t size) {
    odd_session *s = (odd_session *)link->session;
    size_t step = carrier.step < size ? carrier.step : size;
    carrier.wrong += link->wants != WS_READ || !size;
    if (carrier.contrary && s->reads++ % 2) {
        link->wants = WS_WRITE; /* which it can do at once */
        return 0;
    }
    if (s->from == s->size) {
        ssize_t got = recv(s->descriptor, s->held, sizeof s->held, 0);
        if (got <= 0)
            return got == 0 ? WS_ENDED : errno == EAGAIN || errno == EWOULDBLOCK ? 0 : WS_FAILED;
        s->from = 0;
        s->size = (size_t)got;
    }
    step = step < s->size - s->from ? step : s->size - s->from;
    memcpy(data, s->held + s->from, step);
    s->from += step;
    link->pending = s->from < s->size;
    return (ptrdiff_t)step;
}

/* Sends the bytes that were kept before, then takes some. */
static ptrdiff_t odd_keep(ws_link *link, const void *data, size_t size) {
    odd_session *s = (odd_session *)link->session;
    size_t step = carrier.step < size ? carrier.step : size;
    carrier.wrong += !size && !s->kept_size; /* called in vain */
    if (s->kept_size && send(s->descriptor, s->kept, s->kept_size, MSG_NOSIGNAL) != (ssize_t)s->kept_size)
        return WS_FAILED;
    s->kept_size = step < sizeof s->kept ? step : sizeof s->kept;
    if (s->kept_size)
        memcpy(s->kept, data, s->kept_size);
    link->unsent = s->kept_size > 0;
    return (ptrdiff_t)s->kept_size;
}

static ptrdiff_t odd_put_off(odd_session *s, const void *data, size_t size) {
    s->offered = (uint8_t *)malloc(size);
    if (!s->offered)
        abort();
    memcpy(s->offered, data, size);
    s->offered_size = size;
    return 0;
}

static ptrdiff_t odd_write(ws_link *link, const void *data, size_t size) {
    odd_session *s = (odd_session *)link->session;
    size_t step = carrier.step < size ? carrier.step : size;
    ssize_t sent;
    if (carrier.keeps)
        return odd_keep(link, data, size);
    carrier.wrong += link->wants != WS_WRITE || !size;
    carrier.wrong += s->offered && (size < s->offered_size || memcmp(s->offered, data, s->offered_size) != 0);
    free(s->offered);
    s->offered = NULL;
    if (carrier.breaks && s->writes > 300)
        return WS_FAILED;
    if (s->writes++ % 2 && carrier.contrary)
        return odd_put_off(s, data, size);
    sent = send(s->descriptor, data, step, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return odd_put_off(s, data, size);
    return sent < 0 ? WS_FAILED : sent;
}

static ptrdiff_t odd_shut(ws_link *link) {
    odd_session *s = (odd_session *)link->session;
    carrier.shut_calls++;
    if (s->kept_size && send(s->descriptor, s->kept, s->kept_size, MSG_NOSIGNAL) < 0)
        return WS_FAILED;
    s->kept_size = 0;
    link->unsent = false;
    if (!carrier.never_shuts && (!carrier.contrary || s->shuts++ >= 3))
        return 1;
    link->wants = carrier.never_shuts ? WS_READ : WS_WRITE;
    return 0;
}

static void odd_close(ws_link *link) {
    carrier.wrong += !link->session;
    if (link->session)
        free(((odd_session *)link->session)->offered);
    free(link->session);
    link->session = NULL;
    carrier.closed++;
}

static ws_error odd_reason(ws_link *link, char *text, size_t size) {
    (void)link;
    if (!carrier.breaks)
        return WS_OK;
    (void)snprintf(text, size, "the carrier pigeon was lost");
    return WS_ERROR_TLS;
}

/* A server on the carrier. */
static bool start_odd_limited(size_t step, bool contrary, size_t buffered) {
    const ws_transport transport = {odd_open, odd_read, odd_write, odd_shut, odd_close, odd_reason, &carrier};
    ws_server_config config;
    memset(&carrier, 0, sizeof carrier);
    carrier.transport = transport;
    carrier.step = step;
    carrier.contrary = contrary;
    memset(&config, 0, sizeof config);
    config.transport = &carrier.transport;
    config.limits.buffered = buffered;
    return net_start_with(NULL, &config);
}

static bool start_odd(size_t step, bool contrary) { return start_odd_limited(step, contrary, 0); }

static tls_client *dial_odd(const char *scheme, const char *server_name) {
    ws_client_config config;
    memset(&config, 0, sizeof config);
    config.tls.server_name = server_name;
    config.transport = &carrier.transport;
    return tls_dial_port(scheme, ws_port(net.server), &config);
}

static void end_odd(const char *file, int line) {
    tls_finish(file, line);
    test_equal(carrier.closed, carrier.opened, "close for each open", file, line);
    test_equal(carrier.wrong, 0, "wants, sessions and repeated writes are right", file, line);
}

#define ODD_END() end_odd(__FILE__, __LINE__)

static void test_odd(size_t step, bool contrary, bool both) {
    size_t size = step < 10 ? 1000 : 20000;
    uint8_t *data = sample(size);
    tls_client *c;
    if (!test_begin("a transport of %zu bytes a call%s, %s", step,
                    contrary ? ", each waiting for the other direction" : "",
                    both ? "on both sides" : "at the server only")) {
        free(data);
        return;
    }
    CHECK(start_odd(step, contrary));
    c = both ? dial_odd("ws", NULL) : tls_dial_port("ws", ws_port(net.server), NULL);
    UNTIL(c->opened);
    CHECK(ws_send_text(c->conn, "hello") && ws_send_text(c->conn, "again"));
    UNTIL(c->messages == 2);
    CHECK_MEM(c->in.data, c->in.size, "helloagain", 10);
    c->in.size = 0;
    CHECK(ws_send_binary(c->conn, data, size));
    UNTIL(c->messages == 3);
    CHECK_MEM(c->in.data, c->in.size, data, size);
    CHECK(ws_close(c->conn, 1000, NULL));
    UNTIL(c->closed == 1 && c->clean);
    (void)net_settle();
    net_wait(5001);
    CHECK_EQ(carrier.opened, both ? 2 : 1);
    CHECK_EQ(carrier.closed, carrier.opened);
    ODD_END();
    free(data);
}

static void test_odd_keeps(size_t step) {
    tls_client *c;
    if (!test_begin("a transport that keeps up to %zu bytes back until it is called again", step))
        return;
    CHECK(start_odd(step, false));
    carrier.keeps = true;
    c = dial_odd("ws", NULL);
    UNTIL(c->opened);
    CHECK(ws_send_text(c->conn, "hello") && ws_send_binary(c->conn, verified, sizeof verified));
    UNTIL(c->messages == 2);
    CHECK_EQ(c->in.size, 5 + sizeof verified);
    CHECK(ws_close(c->conn, 1000, NULL));
    UNTIL(c->closed == 1 && c->clean);
    (void)net_settle();
    CHECK_EQ(carrier.closed, 2);
    ODD_END();
}

/* The bytes of a postponed write must be offered again, even if a policy drops broadcasts from the queue. */
static void test_odd_policy(ws_slow policy, size_t size) {
    uint8_t *data = sample(size);
    ws_message message;
    peer *p;
    int i;
    if (!test_begin("a postponed write is not changed by policy %d, broadcasts of %zu bytes", (int)policy,
                    size)) {
        free(data);
        return;
    }
    CHECK(start_odd_limited(5000, false, 100000));
    net_small_buffers();
    p = net_open_with("/", 4096);
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", policy));
    p->deaf = true;
    message.data = data;
    message.size = size;
    message.type = WS_BINARY;
    for (i = 0; i < 400 && net.conns[1]; i++) {
        data[0] = (uint8_t)i;
        (void)ws_server_broadcast(net.server, "r", message);
        if (i % 3 == 0)
            (void)net_round(0);
        if (i % 20 == 19) {
            uint8_t some[3000];
            (void)!recv(p->fd, some, sizeof some, MSG_DONTWAIT);
            (void)net_round(0);
            (void)net_round(0);
        }
    }
    p->deaf = false;
    UNTIL(!net.conns[1] || ws_buffered(net.conns[1]) == 0); /* the system may take 200 ms for a window */
    (void)net_settle();
    CHECK_EQ(net.closed, 0);
    CHECK(net.conns[1] && ws_buffered(net.conns[1]) == 0);
    ODD_END();
    free(data);
}

static void test_odd_wss(void) {
    tls_client *c;
    if (!test_begin("a transport replaces TLS, too: wss:"))
        return;
    CHECK(start_odd(1000, false));
    c = dial_odd("wss", NULL);
    UNTIL(c->opened || c->errors);
    CHECK_STR(verified, "127.0.0.1");
    CHECK_EQ(c->opened, 1);
    CHECK_EQ(carrier.opened, 2);
    CHECK(ws_tls_session(net.conns[1]) != NULL);
    c = dial_odd("wss", "host.test"); /* the name that it must verify */
    UNTIL(c->opened || c->errors);
    CHECK_STR(verified, "host.test");
    ODD_END();
}

static void test_odd_failures(void) {
    tls_client *c;
    peer *p;
    if (!test_begin("a transport that does not open, breaks, never shuts down"))
        return;
    CHECK(start_odd(1000, false));
    carrier.never_opens = true;
    p = net_connect();
    UNTIL(p->ended);
    c = dial_odd("ws", NULL);
    UNTIL(c->errors);
    CHECK_EQ(net.opened, 0);
    ODD_END();
    CHECK(start_odd(1, false));
    c = dial_odd("ws", NULL);
    UNTIL(c->opened);
    carrier.breaks = true;
    CHECK(ws_send_text(c->conn, "a few more bytes than it carries, so that it breaks behind the request"));
    CHECK(ws_send_binary(c->conn, verified, sizeof verified));
    UNTIL(c->closed);
    CHECK_EQ(c->code, 1006);
    CHECK_EQ(c->error, WS_ERROR_TLS);
    CHECK_TOLD(c, "the carrier pigeon was lost");
    ODD_END();
    CHECK(start_odd(1000, false));
    c = dial_odd("ws", NULL);
    UNTIL(c->opened);
    carrier.never_shuts = true;
    CHECK(ws_close(c->conn, 1000, NULL));
    (void)net_settle();
    net_wait(5001);
    net_wait(5001);
    CHECK(c->closed == 1 && c->code == 1000);
    CHECK(carrier.shut_calls > 0 && carrier.shut_calls < 200); /* it is not called again and again */
    CHECK_EQ(carrier.closed, 2);
    ODD_END();
}

static void test_odd_missing(void) {
    ws_client_config config;
    ws_server_config server;
    ws_transport empty;
    tls_client *c;
    if (!test_begin("a transport without its functions is refused"))
        return;
    memset(&empty, 0, sizeof empty);
    memset(&server, 0, sizeof server);
    server.transport = &empty;
    net_start_loop(NULL);
    CHECK(ws_listen(net.loop, &server) == NULL);
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
    TLS_END();
    CHECK(net_start());
    memset(&config, 0, sizeof config);
    config.transport = &empty;
    c = tls_dial_port("ws", ws_port(net.server), &config);
    UNTIL(c->errors || !c->conn);
    CHECK(!c->conn || c->error == WS_ERROR_ARGUMENT);
    TLS_END();
}

/* --- mbedTLS --- */

#ifdef HAS_MBEDTLS

static mbed server_side, client_side;

typedef enum pair { BOTH_MBED, MBED_CLIENT, MBED_SERVER, PAIRS } pair;

static const char *const pair_names[] = {"mbedTLS with mbedTLS", "mbedTLS client, OpenSSL server",
                                         "OpenSSL client, mbedTLS server"};

static bool start_pair(pair kind, const cert *own) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    if (kind == MBED_CLIENT) {
        config.tls.cert_pem = own->pem;
        config.tls.key_pem = own->key_pem;
    } else {
        CHECK(mbed_start(&server_side, true, own->pem, own->key_pem, NULL));
        config.transport = &server_side.transport;
    }
    if (kind != MBED_SERVER)
        CHECK(mbed_start(&client_side, false, NULL, NULL, certs.ca.pem));
    return net_start_with(NULL, &config);
}

static tls_client *dial_pair(pair kind) {
    ws_client_config config;
    char url[100];
    (void)snprintf(url, sizeof url, "wss://localhost:%u/", (unsigned)ws_port(net.server)); /* it verifies no address */
    memset(&config, 0, sizeof config);
    if (kind == MBED_SERVER)
        config.tls.ca_pem = certs.ca.pem;
    else
        config.transport = &client_side.transport;
    return tls_dial(url, &config);
}

static void end_pair(pair kind, const char *file, int line) {
    tls_finish(file, line);
    if (kind != MBED_CLIENT)
        mbed_end(&server_side);
    if (kind != MBED_SERVER)
        mbed_end(&client_side);
}

#define PAIR_END(kind) end_pair((kind), __FILE__, __LINE__)

static void test_pair_echo(pair kind) {
    tls_client *c;
    int i;
    if (!test_begin("%s: echo and close", pair_names[kind]))
        return;
    CHECK(start_pair(kind, &certs.server));
    net.quiet = true;
    c = dial_pair(kind);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, 1);
    if (c->errors)
        printf("    %s\n", c->why);
    for (i = 0; i < 200; i++)
        CHECK(ws_send_text(c->conn, "small"));
    UNTIL(c->messages == 200);
    CHECK(ws_send_binary(c->conn, "", 0));
    UNTIL(c->messages == 201);
    CHECK(ws_close(c->conn, 1000, "bye"));
    UNTIL(c->closed);
    CHECK(c->code == 1000 && c->clean && c->error == WS_OK);
    CHECK_LOG("o1 c1:1000:bye:y");
    PAIR_END(kind);
}

/* Small buffers and many sizes: almost every write is a partial one. */
static void test_pair_large(pair kind) {
    uint8_t *data = sample(MIB);
    tls_client *c;
    size_t i, total = 0;
    if (!test_begin("%s: 1 MiB both ways through small buffers", pair_names[kind])) {
        free(data);
        return;
    }
    CHECK(start_pair(kind, &certs.server));
    net_small_buffers();
    net.echo = false;
    net.quiet = true;
    c = dial_pair(kind);
    UNTIL(c->opened || c->errors);
    CHECK(ws_send_binary(c->conn, data, MIB) && ws_send_binary(net.conns[1], data, MIB));
    UNTIL(c->messages == 1 && net.received == MIB);
    CHECK_MEM(c->in.data, c->in.size, data, MIB);
    c->in.size = 0;
    for (i = 1; i < 60; i++) { /* more bytes follow what is offered again */
        size_t size = i * i * 11;
        CHECK(ws_send_binary(net.conns[1], data + total, size));
        total += size;
        (void)net_round(0);
    }
    UNTIL(c->messages == 60);
    CHECK_MEM(c->in.data, c->in.size, data, total);
    PAIR_END(kind);
    free(data);
}

static void test_pair_close(pair kind) {
    tls_client *c;
    if (!test_begin("%s: a peer that vanishes is 1006, one that closes is not awaited for ever", pair_names[kind]))
        return;
    CHECK(start_pair(kind, &certs.server));
    c = dial_pair(kind);
    UNTIL(c->opened || c->errors);
    ws_drop(net.conns[1]);
    UNTIL(c->closed);
    CHECK(c->code == 1006 && !c->clean);
    c = dial_pair(kind);
    UNTIL(c->opened || c->errors);
    ws_drop(c->conn);
    UNTIL(net.closed == 2);
    CHECK_EQ(net.codes[2], 1006);
    c = dial_pair(kind);
    UNTIL(c->opened || c->errors);
    CHECK(ws_close(net.conns[3], 1001, NULL));
    UNTIL(c->closed && net.closed == 3);
    CHECK(c->code == 1001 && c->clean && net.codes[3] == 1001);
    PAIR_END(kind);
}

static void test_pair_refused(pair kind) {
    tls_client *c;
    if (!test_begin("%s: a wrong host and an unknown CA are refused with an error text", pair_names[kind]))
        return;
    CHECK(start_pair(kind, &certs.wrong_host));
    c = dial_pair(kind);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    CHECK(strlen(c->why) > 20);
    PAIR_END(kind);
    CHECK(start_pair(kind, &certs.stranger));
    c = dial_pair(kind);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    CHECK(strlen(c->why) > 20);
    (void)net_settle();
    net_wait(10001);
    CHECK_EQ(net.opened, 0);
    PAIR_END(kind);
}

/* The transport alone, over a pair of sockets: writes of all sizes, offered again with more. */
static void test_retry_rule(void) {
    uint8_t *data = sample(MIB), *got = sample(MIB);
    size_t sent = 0, received = 0, offered = 1, zeros = 0;
    int ends[2], small = 4096, i;
    ws_link links[2];
    if (!test_begin("mbedTLS: a write that is offered again with more bytes loses nothing")) {
        free(data);
        free(got);
        return;
    }
    CHECK(mbed_start(&server_side, true, certs.server.pem, certs.server.key_pem, NULL));
    CHECK(mbed_start(&client_side, false, NULL, NULL, certs.ca.pem));
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    memset(links, 0, sizeof links);
    for (i = 0; i < 2; i++) {
        (void)fcntl(ends[i], F_SETFL, fcntl(ends[i], F_GETFL) | O_NONBLOCK);
        (void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        links[i].descriptor = ends[i];
    }
    CHECK(mbed_open(&links[0], NULL, &server_side) && mbed_open(&links[1], "localhost", &client_side));
    for (i = 0; i < 100000 && received < MIB; i++) {
        ptrdiff_t result;
        if (sent < MIB) {
            links[1].wants = WS_WRITE;
            result = mbed_write(&links[1], data + sent, offered < MIB - sent ? offered : MIB - sent);
            CHECK(result >= 0);
            zeros += result == 0;
            sent += (size_t)result;
            offered = result ? 1 + offered * 7 % 20011 : offered + 1000;
        }
        links[0].wants = WS_READ;
        result = mbed_read(&links[0], got + received, i % 3 ? 100 : 5000);
        CHECK(result >= 0);
        received += (size_t)result;
    }
    CHECK(zeros > 10);
    CHECK_EQ(received, MIB);
    CHECK(memcmp(got, data, MIB) == 0);
    CHECK_EQ(mbed_shut(&links[1]), 1);
    CHECK_EQ(mbed_read(&links[0], got, 10), WS_ENDED);
    for (i = 0; i < 2; i++) {
        mbed_close(&links[i]);
        (void)close(ends[i]);
    }
    mbed_end(&server_side);
    mbed_end(&client_side);
    free(data);
    free(got);
}

static void test_mbedtls(void) {
    int kind;
    certs_start();
    test_retry_rule();
    for (kind = 0; kind < PAIRS; kind++) {
        test_pair_echo((pair)kind);
        test_pair_large((pair)kind);
        test_pair_close((pair)kind);
        test_pair_refused((pair)kind);
    }
    certs_end();
}

#else

static void test_mbedtls(void) {
    (void)test_begin("mbedTLS");
    test_skip("needs OpenSSL for certificates, and mbedTLS 2.28");
}

#endif

int main(int argc, char **argv) {
    size_t step;
    test_start(argc, argv);
    for (step = 1; step <= 10000; step *= 100) {
        test_odd(step, false, true);
        test_odd(step, true, true);
        test_odd(step, true, false);
    }
    test_odd_keeps(1);
    test_odd_keeps(100);
    test_odd_policy(WS_SLOW_DROP_OLDEST, 1000);
    test_odd_policy(WS_SLOW_DROP_OLDEST, 30000);
    test_odd_policy(WS_SLOW_LATEST, 1000);
    test_odd_policy(WS_SLOW_LATEST, 30000);
    test_odd_wss();
    test_odd_failures();
    test_mbedtls();
    test_odd_missing();
    return test_finish();
}
