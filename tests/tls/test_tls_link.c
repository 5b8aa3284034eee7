/* TLS: the functions of its transport one by one, at both ends of a pair of sockets. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#ifdef WS_NO_TLS

#include "../helpers/test.h"

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("TLS's transport");
    test_skip("built with WS_NO_TLS");
    return test_finish();
}

#else

#include "../helpers/tls_start.h"

enum { RECORD = 1 << 14 };

typedef struct side {
    ws_link link;
    wsi_tls *tls;
} side;

static wsi_memory memory;
static size_t of_openssl; /* bytes that OpenSSL holds */
static size_t fail_after; /* counts allocations down to the one that fails; 0: none */
static side ours, theirs; /* a server's and a client's */
static uint8_t room[4 * RECORD];

static void *resize(void *block, size_t size, const char *file, int line) {
    size_t *old = block ? (size_t *)block - 2 : NULL, *made = NULL;
    (void)file, (void)line;
    if (size && fail_after && !--fail_after)
        return NULL;
    of_openssl += size - (old ? *old : 0);
    if (size && (made = (size_t *)realloc(old, size + 2 * sizeof *made)) == NULL)
        abort();
    if (size)
        *made = size;
    else
        free(old);
    return size ? made + 2 : NULL;
}

static void *allocate(size_t size, const char *file, int line) { return resize(NULL, size, file, line); }

static void release(void *block, const char *file, int line) { (void)resize(block, 0, file, line); }

/* Reads once, as a connection does when its socket is readable. */
static ptrdiff_t get(side *s, void *data, size_t size) {
    s->link.budget = 1;
    s->link.wants = WS_READ;
    s->link.pending = false;
    return wsi_tls_read(&s->link, data, size);
}

static ptrdiff_t put(side *s, const void *data, size_t size) {
    s->link.wants = WS_WRITE;
    return wsi_tls_write(&s->link, data, size);
}

static void check_put(side *s, const char *text, int line) {
    test_equal(put(s, text, strlen(text)), (long long)strlen(text), "bytes written", __FILE__, line);
}

#define PUT(side, text) check_put((side), (text), __LINE__)

static wsi_tls *setup(bool serves, wsi_reason *why) {
    wsi_tls *tls = wsi_tls_new(&memory);
    ws_tls_config config = with(&certs.server), trust = trusting().tls;
    CHECK_EQ(wsi_tls_complete(tls, serves ? &config : &trust, serves ? wsi_tls_fill_server : wsi_tls_fill_client, why),
             WS_OK);
    return tls;
}

/* Both ends, before their handshake. send_buffer: of ours; 0: the system's. */
static void begin(int send_buffer) {
    wsi_reason why;
    int pair[2];
    memset(&ours, 0, sizeof ours);
    memset(&theirs, 0, sizeof theirs);
    wsi_reason_clear(&why);
    certs_need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (int i = 0; i < 2; i++)
        certs_need(fcntl(pair[i], F_SETFL, O_NONBLOCK) == 0);
    if (send_buffer)
        certs_need(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer) == 0);
    ours.link.descriptor = pair[0];
    theirs.link.descriptor = pair[1];
    ours.tls = setup(true, &why);
    theirs.tls = setup(false, &why);
    CHECK(wsi_tls_open(&ours.link, NULL, ours.tls) && wsi_tls_open(&theirs.link, "localhost", theirs.tls));
}

static void shake(void) {
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(get(&theirs, room, sizeof room), 0);
        CHECK_EQ(get(&ours, room, sizeof room), 0);
    }
    CHECK(SSL_is_init_finished(wsi_tls_of(&ours.link)->ssl) && SSL_is_init_finished(wsi_tls_of(&theirs.link)->ssl));
    CHECK_EQ(ERR_peek_error(), 0);
}

static void end_side(side *s) {
    if (s->link.session) {
        wsi_tls_close(&s->link);
        CHECK(!s->link.session && !s->link.unsent);
    }
    wsi_tls_release(s->tls);
    wsi_tcp_close(&s->link);
}

static void end(void) {
    end_side(&ours);
    end_side(&theirs);
    CHECK_EQ(memory.used, 0);
}

static void check_failed(side *s, ws_error error, const char *says, int line) {
    char text[300] = "";
    test_equal(wsi_tls_reason(&s->link, text, sizeof text), error, "why it failed", __FILE__, line);
    tls_check_says(text, says, __FILE__, line);
    test_check(ERR_peek_error() == 0, "OpenSSL's queue is empty", __FILE__, line);
}

#define CHECK_FAILED(side, error, says) check_failed((side), (error), (says), __LINE__)

static void test_read(void) {
    char text[10];
    if (!test_begin("read: what does not fit is pending; several records at once; nothing behind the buffer"))
        return;
    begin(0);
    shake();
    CHECK_EQ(get(&ours, text, 0), 0);
    PUT(&theirs, "abc");
    CHECK_EQ(get(&ours, text, 2), 2);
    CHECK(ours.link.pending);
    CHECK_EQ(get(&ours, text + 2, 2), 1);
    CHECK(!ours.link.pending && ours.link.wants == WS_READ);
    CHECK_MEM(text, 3, "abc", 3);
    CHECK_EQ(get(&ours, text, 5), 0);
    CHECK(!ours.link.pending && ours.link.wants == WS_READ);
    PUT(&theirs, "0123");
    PUT(&theirs, "4567");
    text[6] = '!';
    CHECK_EQ(get(&ours, text, 6), 6);
    CHECK_MEM(text, 7, "012345!", 7);
    CHECK(ours.link.pending);
    CHECK_EQ(get(&ours, text, 6), 2);
    CHECK_MEM(text, 2, "67", 2);
    CHECK(!ours.link.pending);
    CHECK_EQ(wsi_tls_shut(&ours.link), 1);
    end();
}

static void test_half_record(void) {
    int aside[2], kept;
    ptrdiff_t size;
    char text[10];
    if (!test_begin("read: a whole record and a half: nothing is pending until the rest arrives"))
        return;
    begin(0);
    shake();
    certs_need(socketpair(AF_UNIX, SOCK_STREAM, 0, aside) == 0);
    kept = theirs.link.descriptor;
    theirs.link.descriptor = aside[0];
    PUT(&theirs, "abc");
    PUT(&theirs, "def");
    theirs.link.descriptor = kept;
    size = recv(aside[1], room, sizeof room, 0);
    certs_need(size > 10 && send(kept, room, (size_t)size - 10, 0) == size - 10);
    CHECK_EQ(get(&ours, text, sizeof text), 3);
    CHECK(!ours.link.pending);
    certs_need(send(kept, room + size - 10, 10, 0) == 10);
    CHECK_EQ(get(&ours, text, sizeof text), 3);
    CHECK_MEM(text, 3, "def", 3);
    for (int i = 0; i < 2; i++)
        (void)close(aside[i]);
    end();
}

static void test_one_receive(void) {
    size_t got = 0;
    ptrdiff_t part;
    unsigned calls = 0;
    if (!test_begin("read: one receive for a call, however much there is"))
        return;
    begin(0);
    shake();
    for (int i = 0; i < 3; i++)
        CHECK_EQ(put(&theirs, room, RECORD), RECORD);
    do {
        part = get(&ours, room, sizeof room);
        CHECK(part > 0 && part <= RECORD && (part < RECORD || !ours.link.budget));
        got += part > 0 ? (size_t)part : 0;
        calls++;
    } while (part > 0 && got < 3 * RECORD);
    CHECK(got == 3 * RECORD && calls >= 3);
    end();
}

static void test_last(bool notified) {
    char text[10];
    if (!test_begin("read: the peer's last bytes, then its end %s close_notify", notified ? "by" : "without"))
        return;
    begin(0);
    shake();
    PUT(&theirs, "abc");
    if (notified)
        CHECK_EQ(wsi_tls_shut(&theirs.link), 1);
    wsi_tcp_shutdown(&theirs.link);
    CHECK_EQ(get(&ours, text, sizeof text), 3);
    if (!notified)
        (void)BIO_new_file("/nowhere/at/all", "r"); /* leaves an error of the program's in OpenSSL's queue */
    CHECK_EQ(ours.link.pending, notified); /* close_notify came with the bytes, so the socket may not report it */
    CHECK_EQ(get(&ours, text, sizeof text), notified ? WS_ENDED : WS_FAILED);
    if (!notified)
        CHECK_FAILED(&ours, WS_ERROR_CLOSED, "the connection ended within TLS");
    end();
}

/* Writes until the socket is full and ciphertext is left. Returns how many bytes were taken. */
static size_t fill(void) {
    size_t all = 0;
    for (int i = 0; i < 100 && !ours.link.unsent; i++) {
        ptrdiff_t sent = put(&ours, room, 1000);
        CHECK(sent >= 0);
        all += sent > 0 ? (size_t)sent : 0;
    }
    CHECK(ours.link.unsent);
    return all;
}

static void test_full(void) {
    size_t all, got = 0;
    ptrdiff_t part = 0;
    int shut = 0, i;
    if (!test_begin("a full socket: nothing more is taken; close_notify waits behind what is unsent"))
        return;
    begin(4096);
    shake();
    all = fill();
    for (i = 0; i < 3; i++) {
        CHECK_EQ(put(&ours, room, 100), 0);
        CHECK_EQ(put(&ours, room, 0), 0);
        CHECK_EQ(wsi_tls_shut(&ours.link), 0);
    }
    for (i = 0; i < 200 && part >= 0; i++) {
        part = get(&theirs, room, 1000);
        got += part > 0 ? (size_t)part : 0;
        if (shut < 1)
            shut = (int)wsi_tls_shut(&ours.link);
        CHECK(shut == 0 || (shut == 1 && !ours.link.unsent));
    }
    CHECK(part == WS_ENDED && shut == 1 && got == all);
    CHECK_EQ(wsi_tls_shut(&ours.link), 1);
    end();
}

static void test_nothing_unsent(void) {
    ws_socket kept;
    if (!test_begin("flush: a socket is left alone while nothing is unsent"))
        return;
    begin(0);
    shake();
    kept = ours.link.descriptor;
    ours.link.descriptor = -1;
    CHECK_EQ(wsi_tls_flush(&ours.link), 1);
    ours.link.descriptor = kept;
    end();
}

static void test_flushed(void) {
    if (!test_begin("a socket that was full: the next write sends what was unsent, and takes more"))
        return;
    begin(4096);
    shake();
    (void)fill();
    for (int i = 0; i < 200 && ours.link.unsent; i++) {
        (void)get(&theirs, room, 1000);
        CHECK_EQ(put(&ours, room, 0), 0);
    }
    CHECK(!ours.link.unsent);
    CHECK_EQ(put(&ours, room, 10), 10);
    end();
}

static void test_flushed_at_once(void) {
    ptrdiff_t part;
    if (!test_begin("a socket that has room for all that was unsent: the same write takes more"))
        return;
    begin(4096);
    shake();
    (void)fill();
    do /* theirs reads all that the socket holds, so ours has room again */
        part = get(&theirs, room, sizeof room);
    while (part > 0);
    CHECK_EQ(put(&ours, room, 10), 10);
    CHECK(!ours.link.unsent);
    end();
}

static void test_gone(void) {
    if (!test_begin("a full socket whose peer has gone: each call fails"))
        return;
    begin(4096);
    shake();
    (void)fill();
    wsi_tcp_close(&theirs.link);
    CHECK_EQ(put(&ours, room, 0), WS_FAILED);
    CHECK_EQ(put(&ours, room, 100), WS_FAILED);
    CHECK_EQ(wsi_tls_shut(&ours.link), WS_FAILED);
    end();
}

static void test_limit(void) {
    static uint8_t much[WSI_TLS_UNSENT + 1];
    BIO *bio;
    size_t left;
    if (!test_begin("ciphertext that waits has a limit; an alert beyond it is the connection's end"))
        return;
    begin(4096);
    shake();
    bio = SSL_get_wbio(wsi_tls_of(&ours.link)->ssl);
    CHECK_EQ(BIO_write(bio, much, WSI_TLS_UNSENT), WSI_TLS_UNSENT); /* the socket takes some of it */
    CHECK(ours.link.unsent && wsi_tls_of(&ours.link)->out.size < WSI_TLS_UNSENT);
    left = WSI_TLS_UNSENT - wsi_tls_of(&ours.link)->out.size;
    CHECK(BIO_write(bio, much, (int)left + 1) < 0);
    CHECK_EQ(wsi_tls_of(&ours.link)->out.size, WSI_TLS_UNSENT - left);
    CHECK_EQ(BIO_write(bio, much, (int)left), (int)left);
    CHECK(BIO_write(bio, much, 1) < 0);
    (void)BIO_new_file("/nowhere/at/all", "r"); /* leaves an error of the program's in OpenSSL's queue */
    CHECK_EQ(wsi_tls_shut(&ours.link), 0); /* what was queued before goes out if it still can */
    CHECK_EQ(wsi_tls_shut(&ours.link), WS_FAILED);
    CHECK_FAILED(&ours, WS_ERROR_CLOSED, "the connection ended within TLS");
    end();
}

static void test_no_memory(void) {
    if (!test_begin("no memory for ciphertext that the socket did not take"))
        return;
    begin(4096);
    shake();
    memory.limit = memory.used;
    for (int i = 0; i < 100 && !wsi_tls_of(&ours.link)->failed; i++)
        (void)put(&ours, room, 1000);
    CHECK(!ours.link.unsent);
    CHECK_FAILED(&ours, WS_ERROR_CLOSED, "the connection ended within TLS");
    memory.limit = SIZE_MAX;
    end();
}

static void test_unopened(void) {
    if (!test_begin("a handshake that has not come to its end is closed without close_notify"))
        return;
    begin(0);
    CHECK_EQ(get(&theirs, room, sizeof room), 0);
    CHECK_EQ(wsi_tls_shut(&theirs.link), 1);
    CHECK_EQ(get(&ours, room, sizeof room), 0);
    CHECK_EQ(wsi_tls_shut(&ours.link), 1);
    wsi_tcp_shutdown(&theirs.link);
    CHECK_EQ(get(&ours, room, sizeof room), WS_FAILED);
    CHECK_EQ(wsi_tls_shut(&ours.link), WS_FAILED);
    end();
}

static void test_buffers(bool reads) {
    static ws_link others[WSI_TLS_RECENT];
    wsi_tls_session *session;
    size_t held = 0;
    if (!test_begin("one that has lost its buffers to others, and %s, is among the recent again",
                    reads ? "reads" : "writes"))
        return;
    begin(0);
    shake();
    session = wsi_tls_of(&ours.link);
    for (unsigned i = 0; i < WSI_TLS_RECENT; i++) {
        CHECK(session->recent);
        others[i] = ours.link;
        others[i].session = NULL;
        CHECK(wsi_tls_open(&others[i], NULL, ours.tls));
        held = of_openssl;
        wsi_tls_keep_buffers(wsi_tls_of(&others[i]));
    }
    CHECK(!session->recent && held > of_openssl + 2 * RECORD);
    CHECK_EQ(reads ? get(&ours, room, 1) : put(&ours, "a", 1), reads ? 0 : 1);
    CHECK(session->recent && ours.tls->recent[session->recent - 1] == session);
    CHECK_EQ(wsi_tls_of(&others[0])->recent, 0);
    for (unsigned i = 0; i < WSI_TLS_RECENT; i++)
        wsi_tls_close(&others[i]);
    for (unsigned i = 0; i < WSI_TLS_RECENT; i++)
        CHECK(!ours.tls->recent[i] || ours.tls->recent[i] == session);
    end();
}

static void test_fault(void) {
    if (!test_begin("which failures are told as the certificate's, and which as another protocol's"))
        return;
    for (int alert = 0; alert < 256; alert++) {
        bool ours_is_refused = (alert >= SSL3_AD_BAD_CERTIFICATE && alert <= TLS1_AD_UNKNOWN_CA)
                               || alert == TLS13_AD_CERTIFICATE_REQUIRED;
        CHECK_STR(wsi_tls_fault(SSL_AD_REASON_OFFSET + alert),
                  ours_is_refused ? "the peer does not accept our certificate, or wants one: " : "TLS failed: ");
    }
    CHECK_STR(wsi_tls_fault(SSL_R_WRONG_VERSION_NUMBER), "the peer does not speak TLS on this port: ");
    CHECK_STR(wsi_tls_fault(SSL_R_HTTP_REQUEST), "the peer does not speak TLS on this port: ");
    CHECK_STR(wsi_tls_fault(SSL_R_PACKET_LENGTH_TOO_LONG), "the peer does not speak TLS on this port: ");
    CHECK_STR(wsi_tls_fault(SSL_R_NO_SHARED_CIPHER), "TLS failed: ");
}

static void test_files(void) {
    static const size_t fields[] = {offsetof(ws_tls_config, cert_file), offsetof(ws_tls_config, key_file),
                                    offsetof(ws_tls_config, ca_file), offsetof(ws_tls_config, crl_file)};
    if (!test_begin("a config's files have changed if any one has"))
        return;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        ws_tls_config config;
        uint64_t before;
        memset(&config, 0, sizeof config);
        *(const char **)(void *)((char *)&config + fields[i]) = certs_file("changing.pem", "one");
        before = wsi_tls_files(&config);
        CHECK_EQ(wsi_tls_files(&config), before);
        (void)certs_file("changing.pem", "another");
        CHECK(wsi_tls_files(&config) != before);
    }
}

static unsigned long raised; /* by fill_in_vain: a reason; 0: none */
static bool vain;

static bool fill_in_vain(SSL_CTX *context, const ws_tls_config *config, wsi_reason *why) {
    (void)context, (void)config, (void)why;
    if (raised)
        ERR_put_error(ERR_LIB_SSL, 0, (int)raised, __FILE__, __LINE__);
    return !vain;
}

static void test_setup_fails(void) {
    static const struct { unsigned long reason; const char *says; } faults[] = {
        {0, "is there enough memory?"}, {ERR_R_MALLOC_FAILURE, "is there enough memory?"},
        {SSL_R_LIBRARY_HAS_NO_CIPHERS, "is its configuration file in order?"}};
    ws_tls_config config;
    memset(&config, 0, sizeof config);
    if (!test_begin("a context that OpenSSL cannot make: the text says what to look at"))
        return;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        wsi_tls *tls = wsi_tls_new(&memory);
        wsi_reason why;
        (void)wsi_reason_set(&why, WS_ERROR_TLS, "an earlier failure");
        (void)BIO_new_file("/nowhere/at/all", "r"); /* the program's error */
        raised = faults[i].reason;
        vain = true;
        CHECK_EQ(wsi_tls_complete(tls, &config, fill_in_vain, &why), WS_ERROR_TLS);
        CHECK_SAYS(wsi_reason_text(&why), DETAIL(WS_ERROR_TLS, faults[i].says));
        CHECK(ERR_peek_error() == 0 && !tls->context);
        vain = false;
        CHECK_EQ(wsi_tls_complete(tls, &config, fill_in_vain, &why), WS_OK);
        CHECK(ERR_peek_error() == 0 && tls->context);
        wsi_tls_release(tls);
    }
}

static void test_setup_memory(void) {
    if (!test_begin("no memory for a config's strings, or for all: NULL, and nothing is left"))
        return;
    ws_loop *loop = ws_loop_new(NULL);
    ws_tls_config config = trusting().tls;
    size_t before = loop->memory.used, limit = loop->memory.limit;
    wsi_reason why;
    loop->memory.limit = before + sizeof(wsi_tls) + 1;
    CHECK(wsi_tls_share(loop, &config) == NULL);
    CHECK(!loop->tls && loop->memory.used == before);
    loop->memory.limit = limit;
    wsi_reason_clear(&why);
    CHECK_EQ(wsi_tls_complete(NULL, &config, wsi_tls_fill_client, &why), WS_ERROR_MEMORY);
    CHECK_STR(wsi_reason_text(&why), ws_error_text(WS_ERROR_MEMORY));
    ws_loop_free(loop);
}

/* The n-th allocation of OpenSSL fails. What is made is complete, what fails says so, and nothing is left of it. */
static void test_setup_fault(bool serves) {
    ws_tls_config config = serves ? with(&certs.server) : trusting().tls;
    wsi_tls_fill *fills = serves ? wsi_tls_fill_server : wsi_tls_fill_client;
    bool all = false;
    if (!test_begin("OpenSSL lacks memory while a %s is set up", serves ? "server" : "client with the system's roots"))
        return;
    config.ca_pem = NULL;
    for (size_t n = 1; n < 10000000 && !all; n += 1 + n / 8) {
        wsi_tls *tls = wsi_tls_new(&memory);
        ws_link link;
        wsi_reason why;
        memset(&link, 0, sizeof link);
        link.descriptor = -1;
        wsi_reason_clear(&why);
        fail_after = n;
        ws_error error = wsi_tls_complete(tls, &config, fills, &why);
        CHECK(error ? error == WS_ERROR_TLS && !tls->context : tls->context != NULL);
        CHECK_EQ(wsi_reason_text(&why) != NULL, error != WS_OK);
        CHECK(ERR_peek_error() == 0);
        const char *host = serves ? NULL : n % 2 ? "localhost" : "127.0.0.1";
        bool opened = !error && wsi_tls_open(&link, host, tls);
        CHECK(ERR_peek_error() == 0 && opened == (link.session != NULL));
        all = fail_after != 0;
        CHECK(opened || !all);
        fail_after = 0;
        if (opened)
            wsi_tls_close(&link);
        wsi_tls_release(tls);
        CHECK_EQ(memory.used, 0);
    }
    CHECK(all);
}

/* The first allocations of OpenSSL while a client takes the system's roots: later ones are of roots that it skips. */
static void test_roots_fault(void) {
    ws_tls_config config;
    bool said = false;
    if (!test_begin("no memory for the system's roots: the text says what is missing"))
        return;
    memset(&config, 0, sizeof config);
    for (size_t n = 1; n < 60; n++) {
        SSL_CTX *context = SSL_CTX_new(TLS_method());
        wsi_reason why;
        wsi_reason_clear(&why);
        fail_after = n;
        bool good = wsi_tls_fill_client(context, &config, &why);
        fail_after = 0;
        CHECK(!good || !wsi_reason_text(&why));
        said = said || (wsi_reason_text(&why) && strstr(wsi_reason_text(&why), DETAIL(WS_ERROR_TLS, "system's CA")));
        ERR_clear_error();
        SSL_CTX_free(context);
    }
    CHECK(said || TEST_WINDOWS); /* there the store is opened by Windows */
}

/* Each allocation of OpenSSL while a connection is opened, and ours. */
static void test_open_fault(const char *host) {
    ws_tls_config config = host ? trusting().tls : with(&certs.server);
    wsi_tls *tls = wsi_tls_new(&memory);
    ws_link link;
    wsi_reason why;
    bool opened = false;
    if (!test_begin("no memory for a connection of %s: no session, no error of OpenSSL's", host ? host : "a server"))
        return;
    memset(&link, 0, sizeof link);
    link.descriptor = -1;
    CHECK_EQ(wsi_tls_complete(tls, &config, host ? wsi_tls_fill_client : wsi_tls_fill_server, &why), WS_OK);
    memory.limit = memory.used;
    CHECK(!wsi_tls_open(&link, host, tls) && !link.session);
    memory.limit = SIZE_MAX;
    for (size_t n = 1; n < 1000 && !opened; n++) {
        fail_after = n;
        opened = wsi_tls_open(&link, host, tls);
        fail_after = 0;
        CHECK(opened == (link.session != NULL) && ERR_peek_error() == 0);
    }
    CHECK(opened);
    wsi_tls_close(&link);
    wsi_tls_release(tls);
    CHECK_EQ(memory.used, 0);
}

/* A client's next attempt, after one that loaded its files. */
static void test_reload_memory(void) {
    ws_tls_config config = trusting().tls;
    static ws_conn conn;
    wsi_endpoint endpoint;
    wsi_dialer dialer;
    ws_transport transport;
    wsi_reason why;
    if (!test_begin("no memory to load files that have changed: the next attempt uses the old ones"))
        return;
    ws_loop *loop = ws_loop_new(NULL);
    memset(&endpoint, 0, sizeof endpoint);
    memset(&dialer, 0, sizeof dialer);
    wsi_reason_clear(&why);
    config.ca_file = certs_file("changing.pem", config.ca_pem);
    config.ca_pem = NULL;
    conn.engine.env = &endpoint.env;
    dialer.why = &why;
    endpoint.loop = loop;
    endpoint.conns = &conn;
    endpoint.dialer = &dialer;
    endpoint.tls = wsi_tls_share(loop, &config);
    CHECK_EQ(wsi_tls_dial(&endpoint, &transport), WS_OK);
    const wsi_tls *before = endpoint.tls;
    size_t limit = loop->memory.limit;
    (void)certs_file("changing.pem", "another");
    loop->memory.limit = loop->memory.used;
    CHECK_EQ(wsi_tls_dial(&endpoint, &transport), WS_OK);
    CHECK(endpoint.tls == before && transport.user == before && !wsi_reason_text(&why));
    loop->memory.limit = limit;
    wsi_tls_release(endpoint.tls);
    wsi_tls_end(loop); /* which a loop does that had a client */
    ws_loop_free(loop);
}

static void test_no_sessions(void) {
    if (!test_begin("a server keeps no sessions: its tickets need no memory"))
        return;
    begin(0);
    shake();
    CHECK_EQ(SSL_CTX_sess_number(ours.tls->context), 0);
    CHECK_EQ(SSL_CTX_get_session_cache_mode(ours.tls->context), SSL_SESS_CACHE_OFF);
    end();
}

int main(int argc, char **argv) {
    ws_allocator none;
    test_start(argc, argv);
    certs_need(CRYPTO_set_mem_functions(allocate, resize, release) == 1);
    certs_start();
    memset(&none, 0, sizeof none);
    wsi_memory_init(&memory, none, SIZE_MAX);
    test_read();
    test_half_record();
    test_one_receive();
    test_last(true);
    test_last(false);
    test_full();
    test_nothing_unsent();
    test_flushed();
    test_flushed_at_once();
    test_gone();
    test_limit();
    test_no_memory();
    test_unopened();
    test_buffers(true);
    test_buffers(false);
    test_fault();
    test_files();
    test_setup_fails();
    test_setup_memory();
    test_setup_fault(true);
    test_setup_fault(false);
    test_roots_fault();
    test_open_fault(NULL);
    test_open_fault("localhost");
    test_open_fault("127.0.0.1");
    test_reload_memory();
    test_no_sessions();
    certs_end();
    return test_finish();
}

#endif
