/* SESSION: signed cookies, shared by handlers of HTTP and WebSockets. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

static const char *const keys[] = {"0123456789abcdef-first", NULL};
static const char *const many[] = {"0123456789abcdef0", "0123456789abcdef1", "0123456789abcdef2", "0123456789abcdef3",
                                   "0123456789abcdef4", "0123456789abcdef5", "0123456789abcdef6", "0123456789abcdef7",
                                   "0123456789abcdef8", "0123456789abcdef9", NULL};
static char cookie[5000]; /* the newest answer's, "name=value" */
static char seen[400];
static int calls, fails_at; /* 0: no call of it fails */
static bool ends_server;    /* its next call ends the server */

/* For tests alone: it needs no OpenSSL, and is not secure. */
static bool fake_hmac(void *user, const void *key, size_t key_size, const void *data, size_t size, uint8_t mac[32]) {
    const uint8_t *k = (const uint8_t *)key, *d = (const uint8_t *)data;
    uint64_t hash = 1469598103934665603u;
    size_t i;
    calls++;
    if (ends_server)
        ws_server_free(net.server);
    ends_server = false;
    for (i = 0; i < key_size; i++)
        hash = (hash ^ k[i]) * 1099511628211u;
    for (i = 0; i < size; i++)
        hash = (hash ^ d[i]) * 1099511628211u;
    for (i = 0; i < 32; i++, hash = hash * 6364136223846793005u + 1442695040888963407u)
        mac[i] = (uint8_t)(hash >> 56);
    return user == NULL && calls != fails_at;
}

static void log_in(ws_request *request, void *user) {
    (void)user;
    CHECK(ws_set_session(request, "{'user':%s}", "an\xc3\xa9") || net.memory.fail_at);
    (void)ws_reply(request, 200, NULL, "in");
}

static void log_out(ws_request *request, void *user) {
    (void)user;
    CHECK(ws_set_session(request, NULL));
    (void)ws_redirect(request, "/");
}

static void who(ws_request *request, void *user) {
    char name[40];
    ws_message session = ws_session(request), again = ws_session(request);
    (void)user;
    CHECK(session.data == again.data && session.size == again.size);
    if (!session.data)
        (void)ws_reply(request, 200, NULL, "nobody");
    else if (ws_json_text(session, "user", name, sizeof name))
        (void)ws_reply(request, 200, NULL, name);
}

static void opened(ws_conn *conn) {
    ws_message session = ws_conn_session(conn);
    (void)snprintf(seen, sizeof seen, "%s|%.*s", ws_param(conn, "room") ? ws_param(conn, "room") : "",
                   session.data ? (int)session.size : 4, session.data ? (const char *)session.data : "none");
}

static ws_session_config config_of(const char *const *with) {
    ws_session_config config;
    memset(&config, 0, sizeof config);
    config.keys = with;
    config.hmac = fake_hmac;
    return config;
}

static void start_with(const ws_session_config *config) {
    ws_handler handler;
    memset(&handler, 0, sizeof handler);
    handler.on_open = opened;
    seen[0] = 0;
    CHECK(net_start_with(NULL, NULL));
    CHECK(ws_sessions(net.server, config));
    CHECK(ws_http(net.server, "POST", "/login", log_in, NULL));
    CHECK(ws_http(net.server, "POST", "/logout", log_out, NULL));
    CHECK(ws_http(net.server, "GET", "/who", who, NULL));
    CHECK(ws_route(net.server, "/ws/{room}", &handler));
}

static void start(void) {
    ws_session_config config = config_of(keys);
    start_with(&config);
}

static peer *ask(const char *method, const char *path, const char *with) {
    char text[6000];
    peer *p = net_connect();
    size_t at;
    (void)snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: a\r\n%s%s%s\r\n", method, path, with ? "Cookie: " : "",
                   with ? with : "", with ? "\r\n" : "");
    peer_text(p, text);
    net_settle();
    at = peer_find(p, "Set-Cookie: ");
    if (at != SIZE_MAX) {
        const char *from = (const char *)p->in.data + at + 12, *end = strpbrk(from, ";\r");
        size_t size = end ? (size_t)(end - from) : 0;
        if (size < sizeof cookie) {
            memcpy(cookie, from, size);
            cookie[size] = 0;
        }
    }
    return p;
}

static bool is(const char *with, const char *name) {
    char wanted[100];
    peer *p = ask("GET", "/who", with);
    (void)snprintf(wanted, sizeof wanted, "\r\n\r\n%s", name);
    return peer_status(p) == 200 && peer_has(p, wanted);
}

static void test_flow(void) {
    peer *p;
    if (!test_begin("a session is set by a handler, read by another and by a WebSocket, and ended"))
        return;
    start();
    CHECK(is(NULL, "nobody") && is("session=", "nobody") && is("session=a.b.c; x=y", "nobody"));
    p = ask("POST", "/login", NULL);
    CHECK(peer_has(p, "; Path=/; HttpOnly; SameSite=Lax; Max-Age=1209600\r\n") && !peer_has(p, "Secure"));
    CHECK(strncmp(cookie, "session=eyJ1c2VyIjoiYW7DqSJ9.", 29) == 0);
    CHECK(is(cookie, "an\xc3\xa9"));
    p = net_connect();
    {
        char line[5100];
        (void)snprintf(line, sizeof line, "Cookie: a=b; %.3000s\r\n", cookie);
        peer_upgrade(p, "/ws/caf%C3%A9", line);
        CHECK_EQ(peer_status(p), 101);
        CHECK_STR(seen, "caf\xc3\xa9|{\"user\":\"an\xc3\xa9\"}");
    }
    peer_upgrade(net_connect(), "/ws/x", "Cookie: session=forged.1.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    net_settle();
    CHECK_STR(seen, "x|none");
    p = ask("POST", "/logout", cookie);
    CHECK_EQ(peer_status(p), 303);
    CHECK(peer_has(p, "Set-Cookie: session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0\r\n"));
    NET_END();
}

static void test_altered(void) {
    size_t i, size;
    char good[sizeof cookie];
    if (!test_begin("one character altered, cut or added anywhere: no session"))
        return;
    start();
    (void)ask("POST", "/login", NULL);
    memcpy(good, cookie, sizeof good);
    size = strlen(good);
    CHECK(is(good, "an\xc3\xa9"));
    for (i = 8; i < size; i++) {
        char bad[sizeof cookie];
        memcpy(bad, good, sizeof bad);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        CHECK(is(bad, "nobody"));
        bad[i] = 0;
        CHECK(is(bad, "nobody"));
        (void)snprintf(bad, sizeof bad, "%.*sA%s", (int)i, good, good + i);
        CHECK(is(bad, "nobody"));
        while (net.peer_count > 2) { /* makes room for the next ones */
            peer *p = &net.peers[--net.peer_count];
            peer_close(p);
            bytes_free(&p->in);
        }
    }
    NET_END();
}

/* RFC 6265 5.4: the longer path goes first, and what a neighbouring host has set may go before ours: a bad cookie
   of the same name says nothing about the next. */
static void test_several(void) {
    static const char *const forms[] = {
        "session=forged; %s", "%s; session=forged", "session=; session=\"\"; session; x=y; %s; session=z",
        "session=forged\r\nCookie: a=b\r\nCookie: %s", "session=eyJ1c2VyIjoiZXZlIn0.1.AAAA; %s",
        "session=x; session=\"%s\"",
    };
    char good[sizeof cookie], with[sizeof cookie + 200];
    size_t i;
    if (!test_begin("of several cookies of one name the first valid one counts"))
        return;
    start();
    (void)ask("POST", "/login", NULL);
    memcpy(good, cookie, sizeof good);
    for (i = 0; i < sizeof forms / sizeof *forms; i++) {
        peer *p = net_connect();
        char line[sizeof with + 20];
        (void)snprintf(with, sizeof with, forms[i], good + (i == 5 ? 8 : 0));
        test_check(is(with, "an\xc3\xa9"), forms[i], __FILE__, __LINE__);
        (void)snprintf(line, sizeof line, "Cookie: %s\r\n", with);
        seen[0] = 0;
        peer_upgrade(p, "/ws/r", line);
        CHECK_EQ(peer_status(p), 101);
        CHECK_STR(seen, "r|{\"user\":\"an\xc3\xa9\"}");
    }
    CHECK(is("session=a; session=b; session=c", "nobody"));
    NET_END();
}

static void test_keys(void) {
    static const char *const rotated[] = {"0123456789abcdef-newer", "0123456789abcdef-first", NULL};
    static const char *const others[] = {"0123456789abcdef-other", NULL};
    ws_session_config config = config_of(rotated);
    char old[sizeof cookie];
    if (!test_begin("keys rotate: the first signs, all verify; another cookie's signature is refused"))
        return;
    start();
    (void)ask("POST", "/login", NULL);
    memcpy(old, cookie, sizeof old);
    NET_END();
    start_with(&config);
    CHECK(is(old, "an\xc3\xa9"));
    (void)ask("POST", "/login", NULL);
    CHECK(strcmp(old, cookie) != 0 && is(cookie, "an\xc3\xa9"));
    NET_END();
    start();
    CHECK(is(old, "an\xc3\xa9") && is(cookie, "nobody"));
    NET_END();
    config = config_of(others);
    start_with(&config);
    CHECK(is(old, "nobody"));
    NET_END();
    config = config_of(keys);
    config.cookie = "sid";
    config.secure = true;
    start_with(&config);
    {
        char renamed[sizeof cookie];
        (void)snprintf(renamed, sizeof renamed, "sid=%.4000s", old + 8);
        CHECK(is(renamed, "nobody"));
        CHECK(peer_has(ask("POST", "/login", NULL), "; Secure; Max-Age="));
        CHECK(strncmp(cookie, "sid=", 4) == 0 && is(cookie, "an\xc3\xa9"));
    }
    NET_END();
}

static void test_expiry(void) {
    wsi_buffer made = {NULL, 0, 0};
    ws_session_config config = config_of(keys);
    wsi_memory memory;
    wsi_reason why;
    wsi_buffer out = {NULL, 0, 0}, read = {NULL, 0, 0};
    ws_allocator libc = {NULL, NULL};
    if (!test_begin("valid for as many seconds as configured, and not one more"))
        return;
    config.seconds = 100;
    wsi_memory_init(&memory, libc, SIZE_MAX);
    CHECK_EQ(wsi_session_make(&memory, NULL, &config, &made, &why), WS_OK);
    const wsi_sessions *sessions = (const wsi_sessions *)(const void *)made.data;
    CHECK(sessions && wsi_session_write(sessions, &memory, &out, wsi_text("[1]", 3), 1000));
    if (sessions) {
        wsi_slice value = wsi_text((const char *)out.data + 8, out.size - 8);
        CHECK(wsi_session_read(sessions, &memory, &read, value, 1000));
        CHECK_MEM(read.data, read.size, "[1]", 3);
        read.size = 0;
        CHECK(wsi_session_read(sessions, &memory, &read, value, 1099));
        read.size = 0;
        CHECK(!wsi_session_read(sessions, &memory, &read, value, 1100) && !read.size);
        CHECK(wsi_session_read(sessions, &memory, &read, value, 999)); /* another server's clock is ahead */
    }
    wsi_buffer_free(&memory, &out);
    wsi_buffer_free(&memory, &read);
    wsi_buffer_free(&memory, &made);
    CHECK_EQ(memory.used, 0);
}

/* Values that our key has signed, but that are no sessions: an older version may have written them. */
static void test_signed_nonsense(void) {
    static const struct { const char *text; bool good; } cases[] = {
        {"W10.1000", true}, {"W10", false}, {"W10.", false}, {"W10.x", false}, {"W10.1000.1", false}, {".1000", false},
        {"W1.1000", false}, {"@@@.1000", false}, {"YWJj.1000", false}, {"W10.900", false}, {"W10.-1", false},
        {"W10.999999999999999999", true}, {"W10.9999999999999999999", false},
    };
    ws_session_config config = config_of(keys);
    ws_allocator libc = {NULL, NULL};
    wsi_buffer made = {NULL, 0, 0};
    wsi_memory memory;
    wsi_reason why;
    if (!test_begin("signed values that are no session"))
        return;
    config.seconds = 100;
    wsi_memory_init(&memory, libc, SIZE_MAX);
    CHECK_EQ(wsi_session_make(&memory, NULL, &config, &made, &why), WS_OK);
    const wsi_sessions *sessions = (const wsi_sessions *)(const void *)made.data;
    for (size_t i = 0; sessions && i < sizeof cases / sizeof *cases; i++) {
        char text[200], mac[WSI_SESSION_MAC + 1];
        wsi_buffer read = {NULL, 0, 0};
        int size = snprintf(text, sizeof text, "session=%s", cases[i].text);
        CHECK(wsi_session_sign(sessions, sessions->keys, text, (size_t)size, mac));
        (void)snprintf(text, sizeof text, "%s.%.*s", cases[i].text, (int)WSI_SESSION_MAC, mac);
        test_equal(wsi_session_read(sessions, &memory, &read, wsi_text_z(text), 1000), cases[i].good, cases[i].text,
                   __FILE__, __LINE__);
        wsi_buffer_free(&memory, &read);
    }
    wsi_buffer_free(&memory, &made);
    CHECK_EQ(memory.used, 0);
}

/* JSON of every size and names of some are written and read; the allocator gives exactly the requested bytes. */
static void test_every_size(void) {
    static const char *const names[] = {"s", "session", "a-cookie-of-thirty-two-characters"};
    ws_session_config config = config_of(many);
    ws_allocator libc = {NULL, NULL};
    wsi_memory memory;
    wsi_reason why;
    if (!test_begin("JSON of every size"))
        return;
    config.seconds = 100;
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        wsi_buffer made = {NULL, 0, 0};
        config.cookie = names[n];
        wsi_memory_init(&memory, libc, SIZE_MAX);
        CHECK_EQ(wsi_session_make(&memory, NULL, &config, &made, &why), WS_OK);
        const wsi_sessions *sessions = (const wsi_sessions *)(const void *)made.data;
        for (size_t size = 2; sessions && size < 900; size++) {
            wsi_buffer out = {NULL, 0, 0}, read = {NULL, 0, 0};
            char json[900];
            memset(json, '?', size); /* in base64url: with '_' */
            json[0] = json[size - 1] = '"';
            CHECK(wsi_session_write(sessions, &memory, &out, wsi_text(json, size), 999999999999999999u));
            size_t name = strlen(names[n]) + 1;
            wsi_slice value = wsi_text((const char *)out.data + name, out.size - name);
            CHECK(wsi_session_read(sessions, &memory, &read, value, 999999999999999999u));
            CHECK_MEM(read.data, read.size, json, size);
            CHECK(read.data && !read.data[read.size]);
            wsi_buffer_free(&memory, &out);
            wsi_buffer_free(&memory, &read);
        }
        wsi_buffer_free(&memory, &made);
        CHECK_EQ(memory.used, 0);
    }
}

/* Values that are too short for a signature, have another one, or find no memory. */
static void test_not_signed(void) {
    ws_session_config config = config_of(many);
    wsi_buffer made = {NULL, 0, 0}, read = {NULL, 0, 0}, out = {NULL, 0, 0};
    ws_allocator libc = {NULL, NULL};
    char text[60];
    wsi_memory memory;
    wsi_reason why;
    if (!test_begin("values without a signature of ours"))
        return;
    wsi_memory_init(&memory, libc, 10);
    CHECK_EQ(wsi_session_make(&memory, NULL, &config, &made, &why), WS_ERROR_MEMORY);
    wsi_memory_init(&memory, libc, SIZE_MAX);
    CHECK_EQ(wsi_session_make(&memory, NULL, &config, &made, &why), WS_OK);
    const wsi_sessions *sessions = (const wsi_sessions *)(const void *)made.data;
    memset(text, '.', sizeof text);
    for (size_t size = 0; sessions && size <= sizeof text; size++)
        CHECK(!wsi_session_read(sessions, &memory, &read, wsi_text(text + sizeof text - size, size), 1000));
    memory.limit = memory.used;
    CHECK(sessions && !wsi_session_write(sessions, &memory, &out, wsi_text("1", 1), 1000) && !out.size);
    wsi_buffer_free(&memory, &read);
    wsi_buffer_free(&memory, &made);
    CHECK_EQ(memory.used, 0);
}

static void no_sessions(ws_request *request, void *user) {
    (void)user;
    CHECK(!ws_session(request).data && !ws_set_session(request, "1"));
    (void)ws_reply(request, 200, NULL, "none");
}

/* The program's hmac is called while a handshake is being accepted. Like any callback, it may end anything. */
static void test_hmac_ends(void) {
    if (!test_begin("an HMAC that ends the server: the handshake is not accepted"))
        return;
    start();
    ends_server = true;
    peer *p = net_connect();
    peer_upgrade(p, "/ws/x", "Cookie: session=forged.1.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    CHECK(net_settle());
    CHECK(!ends_server);
    CHECK_STR(seen, "");
    CHECK(!peer_has(p, "101"));
    NET_END();
}

/* The Nth call of the program's function fails: there is no session then, and none is set. */
static void test_hmac_fails(void) {
    ws_session_config config = config_of(keys);
    char good[sizeof cookie];
    if (!test_begin("an HMAC that fails, and a server without sessions"))
        return;
    start();
    (void)ask("POST", "/login", NULL);
    memcpy(good, cookie, sizeof good);
    CHECK(is(good, "an\xc3\xa9"));
    fails_at = calls + 1;
    CHECK(is(good, "nobody"));
    CHECK(is(good, "an\xc3\xa9"));
    fails_at = calls + 1;
    net.memory.fail_at = SIZE_MAX; /* log_in may fail */
    cookie[0] = 0;
    CHECK_EQ(peer_status(ask("POST", "/login", NULL)), 200);
    CHECK_STR(cookie, "");
    net.memory.fail_at = 0;
    NET_END();
    CHECK(net_start());
    fails_at = calls + 1;
    CHECK(!ws_sessions(net.server, &config));
    fails_at = 0;
    CHECK(!ws_sessions(net.server, NULL));
    NET_END();
    CHECK(net_start());
    CHECK(ws_http(net.server, "GET", "/who", no_sessions, NULL));
    CHECK(is(NULL, "none"));
    ws_handler handler;
    memset(&handler, 0, sizeof handler);
    handler.on_open = opened;
    CHECK(ws_route(net.server, "/ws/{room}", &handler) && ws_route(net.server, "/plain", &handler));
    peer_upgrade(net_connect(), "/ws/x", "");
    net_settle();
    CHECK_STR(seen, "x|none");
    peer_upgrade(net_connect(), "/plain", "");
    net_settle();
    CHECK_STR(seen, "|none");
    NET_END();
}

static void test_base64url(void) {
    uint8_t data[100], back[140];
    char text[140];
    size_t size, i;
    static const char *const bad[] = {"A", "AAAAA", "AB", "AAB", "A+AA", "A/AA", "AA==", "A A", "\xc3\xa9", "AAAA="};
    if (!test_begin("base64url is encoded and decoded; non-canonical text is refused"))
        return;
    for (i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + (i >> 3));
    for (size = 0; size <= sizeof data; size++) {
        size_t written = wsi_session_encode(text, data, size);
        CHECK_EQ(written, (size * 4 + 2) / 3);
        CHECK_EQ(wsi_session_decode(back, wsi_text(text, written)), size);
        CHECK(!size || memcmp(back, data, size) == 0);
    }
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        test_equal(wsi_session_decode(back, wsi_text_z(bad[i])), -1, bad[i], __FILE__, __LINE__);
    CHECK_EQ(wsi_session_decode(back, wsi_text("AAA\0", 4)), -1);
    memset(data, 0xff, 3);
    CHECK_MEM(text, wsi_session_encode(text, data, 3), "____", 4);
    text[4] = '+'; /* nothing changes after the written text */
    CHECK_MEM(text, wsi_session_encode(text, "\xfb\xef\xbe", 3) + 1, "----+", 5);
}

#ifndef WS_NO_TLS
static void test_hmac(void) {
    static const uint8_t wanted[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95,
        0x75, 0xc7,
                                     0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec,
                                     0x38, 0x43};
    ws_session_config config = config_of(keys);
    uint8_t mac[32];
    if (!test_begin("HMAC-SHA256 of OpenSSL: RFC 4231 4.3; and a session by it"))
        return;
    CHECK(wsi_tls_hmac(NULL, "Jefe", 4, "what do ya want for nothing?", 28, mac));
    CHECK_MEM(mac, 32, wanted, 32);
    config.hmac = NULL;
    start_with(&config);
    (void)ask("POST", "/login", NULL);
    CHECK(is(cookie, "an\xc3\xa9"));
    NET_END();
}
#else
static void test_hmac(void) {
    ws_session_config config = config_of(keys);
    if (!test_begin("without OpenSSL the program must give the function"))
        return;
    config.hmac = NULL;
    CHECK(net_start());
    CHECK(!ws_sessions(net.server, &config));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_NO_TLS);
    NET_END();
}
#endif

static void too_long(ws_request *request, void *user) {
    static char text[3100];
    (void)user;
    memset(text, 'a', sizeof text - 1);
    CHECK(!ws_set_session(request, "{%s", "x") && !ws_set_session(request, "%s", text));
    CHECK(ws_set_session(request, "%.*s", 2998, text) && ws_reply(request, 200, NULL, ""));
    CHECK(!ws_set_session(request, "1"));
}

static void test_bad(void) {
    static const char *const short_key[] = {"0123456789abcdef", "0123456789abcde", NULL}, *const none[] = {NULL};
    ws_session_config config;
    int i;
    if (!test_begin("invalid arguments of ws_sessions and ws_set_session"))
        return;
    for (i = 0; i < 5; i++) {
        config = config_of(i == 0 ? NULL : i == 1 ? none : i == 2 ? short_key : keys);
        if (i == 3)
            config.cookie = "a b";
        if (i == 4)
            config.hmac_user = &config; /* makes the hmac fail */
        CHECK(net_start());
        CHECK(!ws_sessions(net.server, &config));
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
        if (i == 2)
            CHECK_STR(ws_loop_error_text(net.loop),
                      NET_DETAIL("sessions: keys[1] has 15 bytes; a key has at least 16 random bytes"));
        NET_END();
    }
    CHECK(!ws_sessions(NULL, NULL) && !ws_session(NULL).data && !ws_conn_session(NULL).data && !ws_set_session(NULL,
        "1"));
    start();
    config = config_of(keys);
    CHECK(ws_sessions(net.server, &config)); /* once more: the last config counts, nothing is lost */
    CHECK(ws_http(net.server, "GET", "/long", too_long, NULL));
    CHECK_EQ(peer_status(ask("GET", "/long", NULL)), 200);
    CHECK(strlen(cookie) < 4096);
    NET_END();
}

static void test_scarce(void) {
    size_t n, points = 0;
    if (!test_begin("without memory: no session, or a whole one"))
        return;
    start();
    (void)ask("POST", "/login", NULL);
    NET_END();
    for (n = 1; n < 60; n++) {
        char line[5100];
        int status;
        peer *p;
        start();
        p = net_connect();
        (void)snprintf(line, sizeof line, "Cookie: %.3000s\r\n", cookie);
        net.memory.fail_at = net.memory.calls + n;
        peer_upgrade(p, "/ws/r", line);
        status = peer_status(p);
        CHECK(status == 101 || status == 503 || (!status && p->ended));
        CHECK(status != 101 || strcmp(seen, "r|{\"user\":\"an\xc3\xa9\"}") == 0 || strcmp(seen, "r|none") == 0);
        points += status != 101;
        net.memory.fail_at = 0;
        NET_END();
    }
    CHECK(points > 2);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_flow();
    test_altered();
    test_several();
    test_keys();
    test_expiry();
    test_signed_nonsense();
    test_every_size();
    test_not_signed();
    test_hmac_fails();
    test_hmac_ends();
    test_base64url();
    test_hmac();
    test_bad();
    test_scarce();
    CHECK(calls > 0);
    return test_finish();
}
