/* CLIENT: how often a client retries, and what that costs: pauses, look-ups that hang, all addresses of a name. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

/* How many look-ups run at a time, and how many addresses of a name are tried: see connect_ms. HOLES: in holes.test. */
enum { LOOK_UPS = TEST_SMALL ? 1 : 16, ADDRESSES = TEST_SMALL ? 4 : 64, HOLES = TEST_SMALL ? 3 : 29 };

static char many[3][64 * 12 + 40]; /* addresses of names, written by main */
static const calls_name names[] = {
    {"slow.test", "127.0.0.2", true}, {"quick.test", "127.0.0.1", false}, {"held.test", "127.0.0.1", true},
    {"nine.test", "127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5 127.0.0.6 127.0.0.7 127.0.0.8 127.0.0.9 127.0.0.1", false},
    {"turns.test", "127.0.0.1 127.0.0.1 127.0.0.1 ::1", false},
    {"most.test", many[0], false}, {"more.test", many[1], false}, {"holes.test", many[2], false}, {NULL, NULL, false}};

/* --- the pauses --- */

/* Advances the clock by milliseconds until the client connects again. Returns how many. */
static uint32_t come_back(raw_server *raw, peer **p) {
    uint32_t passed = 0;
    int fd = -1;
    while (fd < 0 && passed < 100000) {
        (void)net_round(0);
        (void)net_round(0);
        fd = accept(raw->fd, NULL, NULL);
        passed += fd < 0;
        net.now += fd < 0;
    }
    raw_forget();
    *p = raw_peer(fd);
    return passed;
}

static void check_pause(uint32_t pause, uint32_t whole, int line) {
    if ((pause + 2 < whole / 2 || pause > whole + 2) && test_failure(__FILE__, line, "the pause"))
        printf("    is %u ms, should be between half of %u and the whole\n", (unsigned)pause, (unsigned)whole);
}

#define CHECK_PAUSE(pause, whole) check_pause((pause), (whole), __LINE__)

/* Opens, lets it last, and ends it with these frames. */
static void live(peer *p, uint32_t lasts, const char *frames) {
    raw_answer(p, raw_head(p), NULL);
    net_settle();
    net_wait(lasts);
    peer_frames(p, frames);
    net_settle();
    peer_close(p);
    net_settle();
}

/* A server that accepts each connection and ends it at once counts as one that refuses. */
static void test_short_lives(void) {
    static const struct {
        uint32_t stable, lasts; /* config, and how long each connection lasts */
        bool grows;
    } lives[] = {{0, 0, true}, {0, 9900, true}, {0, 10000, false}, {500, 400, true}, {500, 500, false}};
    size_t i;
    unsigned n;
    for (i = 0; i < COUNT(lives); i++) {
        ws_client_config config = reconnecting(100, 1600);
        uint32_t whole = 100;
        if (!test_begin("stable_ms %u, connections that last %u ms: the pauses %s", (unsigned)lives[i].stable,
                        (unsigned)lives[i].lasts, lives[i].grows ? "grow" : "begin anew each time"))
            continue;
        config.stable_ms = lives[i].stable;
        config.limits.ping_ms = WS_OFF;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        for (n = 1; n < 8; n++) {
            live(p, lives[i].lasts, "88<03e8>");
            CHECK_PAUSE(come_back(raw, &p), whole);
            whole = !lives[i].grows ? 100 : whole * 2 > 1600 ? 1600 : whole * 2;
        }
        CHECK_EQ(net.opened, 7);
        CLIENT_END();
    }
    if (test_begin("failures and short connections add up; a long connection resets the count")) {
        ws_client_config config = reconnecting(100, 1600);
        config.limits.ping_ms = WS_OFF;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        live(p, 0, "88<03e8>");
        CHECK_PAUSE(come_back(raw, &p), 100);
        peer_close(p); /* instead of answering */
        net_settle();
        CHECK_PAUSE(come_back(raw, &p), 200);
        live(p, 20, "88<03e9>");
        CHECK_PAUSE(come_back(raw, &p), 400);
        live(p, 60000, "88<03e9>");
        CHECK_PAUSE(come_back(raw, &p), 100);
        live(p, 0, "88<03e9>");
        CHECK_PAUSE(come_back(raw, &p), 200);
        CLIENT_END();
    }
}

/* A client that is told not to come back takes the longest pause at once. */
static void test_unwelcome(void) {
    static const struct {
        const char *name, *text, *frames; /* text: sent instead of the 101 */
        uint32_t lasts;
        bool longest;
    } ends[] = {{"1008", NULL, "88<03f0>\"go\"", 0, true},
                {"1008 after an hour", NULL, "88<03f0>", 3600000, true},
                {"1000", NULL, "88<03e8>", 0, false},
                {"1012", NULL, "88<03f4>", 0, false},
                {"1013", NULL, "88<03f5>", 0, false},
                {"nothing", NULL, "", 0, false},
                {"400", "400 Bad", NULL, 0, true},
                {"401", "401 Who", NULL, 0, true},
                {"403", "403 No", NULL, 0, true},
                {"404", "404 Where", NULL, 0, true},
                {"408", "408 Late", NULL, 0, true},
                {"426", "426 Upgrade", NULL, 0, true},
                {"429", "429 Slow", NULL, 0, true},
                {"499", "499 x", NULL, 0, true},
                {"500", "500 Oh", NULL, 0, false},
                {"503", "503 Later", NULL, 0, false},
                {"302 without a place", "302 There", NULL, 0, false},
                {"200", "200 OK", NULL, 0, false}};
    size_t i;
    int proxied;
    for (i = 0; i < COUNT(ends); i++) {
        ws_client_config config = reconnecting(100, 20000);
        if (!test_begin("ended by %s: the %s pause follows", ends[i].name, ends[i].longest ? "longest" : "first"))
            continue;
        config.limits.ping_ms = WS_OFF;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        if (ends[i].text) {
            char text[100];
            (void)raw_head(p);
            (void)snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", ends[i].text);
            peer_text(p, text);
            net_settle();
            CHECK_EQ(client.errors, 1);
        } else {
            live(p, ends[i].lasts, ends[i].frames);
            CHECK_EQ(net.closed, 1);
        }
        CHECK_PAUSE(come_back(raw, &p), ends[i].longest ? 20000 : 100);
        live(p, 0, "88<03e8>");
        CHECK_PAUSE(come_back(raw, &p), ends[i].longest ? 20000 : 200);
        live(p, 10000, "88<03e8>"); /* then it is accepted */
        CHECK_PAUSE(come_back(raw, &p), 100);
        CLIENT_END();
    }
    for (proxied = 0; proxied < 3; proxied++) {
        static const char *const answers[] = {"407 Who", "403 No", "502 Oh"};
        ws_client_config config = reconnecting(100, 20000);
        char proxy[60], text[100];
        if (!test_begin("a proxy that refuses with %s: the %s pause follows", answers[proxied],
                        proxied < 2 ? "longest" : "first"))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)raw->port);
        config.proxy = proxy;
        (void)client_dial("ws://example.com/", &config);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        (void)snprintf(text, sizeof text, "HTTP/1.1 %s\r\n\r\n", answers[proxied]);
        peer_text(p, text);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_PAUSE(come_back(raw, &p), proxied < 2 ? 20000 : 100);
        CLIENT_END();
    }
}

/* The pause that the server asks for plus one of the client's own, so that clients do not all return at once. */
static void test_retry_after(void) {
    static const struct {
        const char *status, *lines;
        uint32_t asked, whole; /* the pause: asked, plus between half of whole and whole */
        uint32_t longest;
        bool no_clock;
    } answers[] = {
        {"503 Later", "Retry-After: 60\r\n", 60000, 100, 0, false},
        {"429 Slow", "Retry-After: 7\r\n", 7000, 100, 0, false},
        {"429 Slow", "retry-after:0\r\n", 0, 100, 0, false},
        {"503 Later", "Retry-After: 300\r\n", 300000, 100, 0, false},
        {"503 Later", "Retry-After: 86400\r\n", 300000, 100, 0, false},
        {"503 Later", "Retry-After: 99999999999\r\n", 300000, 100, 0, false},
        {"503 Later", "Retry-After: 86400\r\n", 1500, 100, 1500, false},
        {"503 Later", "Retry-After: 0\r\n", 0, 100, 700, false},
        {"503 Later", "Retry-After: 1\r\n", 1000, 100, 1500, false},
        {"503 Later", "Retry-After: 40\r\n", 40000, 100, WS_OFF, false},
        {"503 Later", "Retry-After: Wed, 14 Oct 2026 17:47:40 GMT\r\n", 60000, 100, 0, false},
        {"429 Slow", "Retry-After: Wednesday, 14-Oct-26 17:46:50 GMT\r\n", 10000, 100, 0, false},
        {"503 Later", "Retry-After: Wed, 14 Oct 2026 17:46:39 GMT\r\n", 0, 100, 0, false}, /* already past */
        {"503 Later", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", 300000, 100, 0, false},
        {"503 Later", "Date: Mon, 01 Jan 2001 00:00:00 GMT\r\nRetry-After: Mon, 01 Jan 2001 00:00:20 GMT\r\n", 20000,
         100, 0, false}, /* its clock is wrong, and that does not matter */
        {"503 Later", "Date: Mon, 01 Jan 2001 00:00:00 GMT\r\nRetry-After: Mon, 01 Jan 2001 00:00:20 GMT\r\n", 20000,
         100, 0, true},
        {"503 Later", "Retry-After: Wed, 14 Oct 2026 17:47:40 GMT\r\n", 0, 100, 0, true}, /* without a clock: unknown */
        {"503 Later", "Retry-After: soon\r\n", 0, 100, 0, false},
        {"503 Later", "Retry-After: -5\r\n", 0, 100, 0, false},
        {"429 Slow", "Retry-After: 1.5\r\n", 0, 20000, 0, false},
        {"500 Oh", "Retry-After: 60\r\n", 0, 100, 0, false},
        {"404 Where", "Retry-After: 60\r\n", 0, 20000, 0, false}};
    size_t i;
    for (i = 0; i < COUNT(answers); i++) {
        ws_client_config config = reconnecting(100, 20000);
        uint32_t pause, again;
        char text[300];
        if (!test_begin("%u: refused with %s, %.*s", (unsigned)i, answers[i].status,
                        (int)strcspn(answers[i].lines, "\r"), answers[i].lines))
            continue;
        config.retry_after_max_ms = answers[i].longest;
        client_start(NULL);
        net.wall = answers[i].no_clock ? 0 : 1792000000; /* Wed, 14 Oct 2026 17:46:40 GMT */
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        (void)snprintf(text, sizeof text, "HTTP/1.1 %s\r\n%sContent-Length: 0\r\n\r\n", answers[i].status,
                       answers[i].lines);
        peer_text(p, text);
        net_settle();
        CHECK_EQ(client.errors, 1);
        for (pause = 0; pause < answers[i].asked; pause += 1000, net.now += 1000)
            CHECK(pause + 1000 > answers[i].asked || raw_nobody(raw)); /* not earlier */
        net.now -= pause - answers[i].asked;
        again = come_back(raw, &p);
        CHECK_PAUSE(again, answers[i].whole);
        peer_close(p); /* instead of answering: the server's request no longer counts */
        net_settle();
        CHECK_PAUSE(come_back(raw, &p), answers[i].whole == 100 ? 200 : 20000);
        CLIENT_END();
    }
}

/* --- another URL and other headers for each attempt --- */

static struct {
    const char *url, *const *headers; /* to set; NULL: leave as it is */
    bool end, drop;
    bool starve; /* there is no memory for the new headers */
    unsigned calls;
    ws_error error;
    int status;
    char had_url[100], had_header[100]; /* of the previous attempt */
} renewal;

static bool renew(ws_conn *conn, const char **url, const char *const **headers) {
    renewal.calls++;
    renewal.error = ws_last_error(conn);
    renewal.status = ws_status(conn);
    (void)snprintf(renewal.had_url, sizeof renewal.had_url, "%s", *url);
    (void)snprintf(renewal.had_header, sizeof renewal.had_header, "%s", **headers ? **headers : "none");
    if (renewal.url)
        *url = renewal.url;
    if (renewal.headers)
        *headers = renewal.headers;
    if (renewal.drop)
        ws_drop(conn);
    if (renewal.starve)
        net.memory.fail_at = net.memory.calls + 2; /* the first call is for the URL */
    return !renewal.end;
}

/* A client whose server has refused it once with 401. */
static raw_server *start_renewal(const char *user) {
    static const char *const first[] = {"Authorization: Bearer one", "Cookie: a=b", NULL};
    ws_client_config config = reconnecting(100, 100);
    char url[100];
    memset(&renewal, 0, sizeof renewal);
    config.before_reconnect = renew;
    config.headers = *user ? NULL : first;
    client_start(NULL);
    raw_server *raw = raw_listen();
    (void)snprintf(url, sizeof url, "ws://%s127.0.0.1:%u/first", user, (unsigned)raw->port);
    (void)client_dial(url, &config);
    peer *p = raw_accept(raw);
    CHECK(strncmp(raw_head(p), "GET /first ", 11) == 0);
    peer_text(p, "HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n");
    net_settle();
    CHECK_EQ(client.errors, 1);
    CHECK_EQ(renewal.calls, 0);
    return raw;
}

static const char *head_of_next(raw_server *raw) {
    net_wait(101);
    peer *p = raw_accept(raw);
    const char *head = raw_head(p);
    peer_close(p);
    net_settle();
    return head;
}

static void test_renewal(void) {
    static const char *const second[] = {"Authorization: Bearer two", NULL};
    static const char *const bad[] = {"Host", NULL};
    if (test_begin("before_reconnect gives a new token, and then another path")) {
        raw_server *raw = start_renewal("");
        renewal.headers = second;
        const char *head = head_of_next(raw);
        CHECK_EQ(renewal.error, WS_ERROR_REFUSED);
        CHECK_EQ(renewal.status, 401);
        CHECK_STR(renewal.had_url, client_url(raw, "/first"));
        CHECK_STR(renewal.had_header, "Authorization: Bearer one");
        CHECK(strncmp(head, "GET /first ", 11) == 0 && raw_has_line(head, "Authorization: Bearer two"));
        CHECK_EQ(raw_header_count(head, "Cookie"), 0);
        renewal.headers = NULL;
        renewal.url = client_url(raw, "/second?token=3");
        head = head_of_next(raw);
        CHECK(strncmp(head, "GET /second?token=3 ", 20) == 0);
        CHECK(raw_has_line(head, "Authorization: Bearer two"));
        CHECK_STR(renewal.had_header, "Authorization: Bearer two");
        renewal.url = NULL;
        head = head_of_next(raw);
        CHECK(strncmp(head, "GET /second?token=3 ", 20) == 0);
        CHECK_EQ(renewal.calls, 3);
        CLIENT_END();
    }
    if (test_begin("another port never gets the earlier headers, only those that are given for it")) {
        raw_server *raw = start_renewal(""), *other = raw_listen();
        renewal.url = client_url(other, "/");
        const char *head = head_of_next(other);
        CHECK_EQ(raw_header_count(head, "Authorization") + raw_header_count(head, "Cookie"), 0);
        renewal.url = NULL;
        head = head_of_next(other);
        CHECK_EQ(raw_header_count(head, "Authorization") + raw_header_count(head, "Cookie"), 0);
        renewal.headers = second;
        head = head_of_next(other);
        CHECK(raw_has_line(head, "Authorization: Bearer two"));
        renewal.url = client_url(raw, "/");
        head = head_of_next(raw);
        CHECK(raw_has_line(head, "Authorization: Bearer two"));
        CLIENT_END();
    }
    if (test_begin("another port never gets the credentials of the earlier URL, only its own")) {
        raw_server *raw = start_renewal("me:secret@"), *other = raw_listen();
        char url[100];
        const char *head;
        (void)raw;
        renewal.url = client_url(other, "/");
        head = head_of_next(other);
        CHECK_EQ(raw_header_count(head, "Authorization"), 0);
        (void)snprintf(url, sizeof url, "ws://you:too@127.0.0.1:%u/", (unsigned)other->port);
        renewal.url = url;
        head = head_of_next(other);
        CHECK(raw_has_line(head, "Authorization: Basic eW91OnRvbw=="));
        CLIENT_END();
    }
    if (test_begin("after 401 the usual pause, as before_reconnect may have a new token; after 403 the longest")) {
        static const unsigned pauses[] = {100, 200, 10000};
        ws_client_config config = reconnecting(100, 10000);
        peer *p;
        memset(&renewal, 0, sizeof renewal);
        config.before_reconnect = renew;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        p = raw_accept(raw);
        for (int i = 0; i < 3; i++) {
            (void)raw_head(p);
            peer_text(p, i < 2 ? "HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n"
                               : "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
            net_settle();
            CHECK_PAUSE(come_back(raw, &p), pauses[i]);
        }
        CLIENT_END();
    }
    if (test_begin("before_reconnect that fails ends the attempts, and on_error reports it")) {
        raw_server *raw = start_renewal("");
        renewal.end = true;
        net_wait(101);
        CHECK_EQ(client.errors, 2);
        CHECK_EQ(client.error, WS_ERROR_ARGUMENT);
        CHECK(strstr(client.text, DETAIL(client.error, "before_reconnect")) != NULL);
        CHECK(ws_find(net.loop, client.id) == NULL);
        net_wait(60000);
        CHECK(raw_nobody(raw));
        CHECK_EQ(client.errors, 2);
        CHECK_EQ(renewal.calls, 1);
        CLIENT_END();
    }
    if (test_begin("headers of before_reconnect that cannot be sent end the attempts")) {
        raw_server *raw = start_renewal("");
        renewal.headers = bad;
        net_wait(101);
        CHECK_EQ(client.errors, 2);
        CHECK_EQ(client.error, WS_ERROR_ARGUMENT);
        CHECK(strstr(client.text, DETAIL(client.error, "line 1 of the headers")) != NULL);
        net_wait(60000);
        CHECK(raw_nobody(raw));
        CLIENT_END();
    }
    if (test_begin("without memory for new headers the attempt fails, and the earlier ones are kept")) {
        raw_server *raw = start_renewal("");
        renewal.headers = second;
        renewal.starve = true;
        net_wait(101);
        CHECK_EQ(client.errors, 2);
        CHECK_EQ(client.error, WS_ERROR_MEMORY);
        renewal.headers = NULL;
        renewal.starve = false;
        const char *head = head_of_next(raw);
        CHECK(raw_has_line(head, "Authorization: Bearer one") && raw_has_line(head, "Cookie: a=b"));
        CLIENT_END();
    }
    if (test_begin("an invalid URL from before_reconnect is an error, and the hook is asked again")) {
        raw_server *raw = start_renewal("");
        renewal.url = "gopher://x";
        net_wait(101);
        CHECK_EQ(client.errors, 2);
        CHECK_EQ(client.error, WS_ERROR_URL);
        renewal.url = client_url(raw, "/good");
        const char *head = head_of_next(raw);
        CHECK(strncmp(head, "GET /good ", 10) == 0);
        CHECK_EQ(raw_header_count(head, "Authorization"), 0);
        CLIENT_END();
    }
    if (test_begin("a client that is dropped in before_reconnect")) {
        raw_server *raw = start_renewal("");
        renewal.drop = true;
        net_wait(101);
        CHECK(ws_find(net.loop, client.id) == NULL);
        net_wait(60000);
        CHECK(raw_nobody(raw));
        CLIENT_END();
    }
}

/* --- look-ups that hang --- */

static ws_conn *dial_name(const char *host, const raw_server *raw, const ws_client_config *config) {
    char url[100];
    (void)snprintf(url, sizeof url, "ws://%s:%u/", host, (unsigned)raw->port);
    return client_dial(url, config);
}

static unsigned threads(void) { return (unsigned)calls.count[CALLS_THREAD]; }

static raw_server *start_held(void) {
    calls_reset();
    calls_hold();
    client_start(NULL);
    return raw_listen();
}

/* Serves until this many are open, some seconds at most; accepts and answers all. step: of the clock. */
static bool open_all(raw_server *raw, unsigned wanted, unsigned step) {
    int i, fd;
    for (i = 0; i < 5000 && net.opened < wanted; i += step || !client_resolves()) {
        (void)net_round(1000);
        net.now += step;
        while ((fd = accept(raw->fd, NULL, NULL)) >= 0) {
            peer *p = raw_peer(fd);
            raw_answer(p, raw_head(p), NULL);
        }
    }
    return net.opened >= wanted;
}

static void test_hanging_look_ups(void) {
    unsigned n;
    if (test_begin("the resolver hangs: 100 clients that retry for a minute cost %u threads, and connect",
                   LOOK_UPS)) {
        ws_client_config config = reconnecting(100, 1000);
        raw_server *raw = start_held();
        for (n = 0; n < 100; n++)
            CHECK(dial_name("held.test", raw, &config) != NULL);
        for (n = 0; n < 120; n++)
            net_wait(500);
        CHECK(client.errors >= 500 && client.error == WS_ERROR_RESOLVE);
        CHECK_EQ(threads(), LOOK_UPS);
        calls_let_go();
        CHECK(open_all(raw, 100, 20));
        CHECK_EQ(net.opened, 100);
        CHECK(threads() <= LOOK_UPS + 100 + LOOK_UPS); /* at most this many answers came while their clients paused */
        CLIENT_END();
    }
    if (test_begin("a client has one look-up: the attempt that waits when the answer comes uses it")) {
        ws_client_config config = reconnecting(100, 100);
        raw_server *raw = start_held();
        (void)dial_name("held.test", raw, &config);
        for (n = 0; n < 5; n++) {
            net_settle();
            net_wait(10000);
            CHECK_EQ(client.errors, n + 1);
            net_wait(101);
        }
        CHECK_EQ(threads(), 1);
        calls_let_go();
        CHECK(open_all(raw, 1, 0));
        CHECK_EQ(threads(), 1);
        CLIENT_END();
    }
    if (test_begin("an answer that comes during a pause is dropped: the next attempt asks again")) {
        ws_client_config config = reconnecting(5000, 5000);
        raw_server *raw = start_held();
        (void)dial_name("held.test", raw, &config);
        net_settle();
        net_wait(10001);
        CHECK_EQ(client.errors, 1);
        size_t held = net_descriptors();
        calls_let_go();
        client_await_descriptors(held - 1); /* the thread's end is closed */
        net_settle();
        CHECK(net_holds(held - 2)); /* and the loop's */
        CHECK_EQ(threads(), 1);
        net_wait(5001);
        CHECK(open_all(raw, 1, 0));
        CHECK_EQ(threads(), 2);
        CLIENT_END();
    }
    if (test_begin("an answer for another name is not used: the right one is looked up")) {
        ws_client_config config = reconnecting(100, 100);
        raw_server *raw = start_held(), *other = raw_listen();
        char text[200];
        (void)client_dial_raw(raw, &config);
        for (n = 0; n < 2; n++) {
            peer *p = raw_accept(raw);
            (void)raw_head(p);
            (void)snprintf(text, sizeof text, "HTTP/1.1 307 x\r\nLocation: ws://%s.test:%u/\r\n\r\n",
                           n ? "quick" : "slow", (unsigned)other->port);
            peer_text(p, text);
            net_settle();
            CHECK_EQ(threads(), 1); /* quick.test waits, too: one look-up at a time */
            if (n)
                break;
            net_wait(10000);
            CHECK_EQ(client.errors, 1);
            net_wait(101);
        }
        calls_let_go();
        CHECK(open_all(other, 1, 0)); /* at 127.0.0.1, where slow.test is not */
        CHECK_EQ(threads(), 2);
        CHECK_EQ(client.errors, 1);
        CLIENT_END();
    }
}

static void drop_all(ws_id *ids, unsigned count) {
    unsigned n;
    for (n = 0; n < count; n++)
        ws_drop(ws_find(net.loop, ids[n]));
    net_settle();
}

/* More clients need a look-up than there are. */
static void test_line(void) {
    enum { RUNNING = LOOK_UPS, WAITING = 20, GONE = TEST_SMALL ? 1 : 10 };
    static ws_id ids[RUNNING + WAITING];
    unsigned n, ways;
    for (ways = 0; ways < 4; ways++) {
        static const char *const names_of[] = {"all get through, in their turn", "the deadline is theirs as well",
                                               "some are dropped", "the loop is freed"};
        if (!test_begin("20 clients in line for a look-up: %s", names_of[ways]))
            continue;
        raw_server *raw = start_held();
        for (n = 0; n < RUNNING + WAITING; n++) {
            (void)dial_name(n < RUNNING ? "held.test" : "quick.test", raw, NULL);
            ids[n] = client.id;
        }
        net_wait(9000);
        CHECK_EQ(threads(), RUNNING);
        CHECK_EQ(client.errors, 0);
        if (ways == 1) {
            net_wait(1001);
            CHECK_EQ(client.errors, RUNNING + WAITING);
            CHECK_EQ(client.error, WS_ERROR_RESOLVE);
            CHECK(strstr(client.text, DETAIL(client.error, ".test")) != NULL);
            for (n = 0; n < 3; n++) { /* hanging look-ups still count, though their clients are freed */
                (void)dial_name("quick.test", raw, NULL);
                net_wait(10001);
            }
            CHECK_EQ(threads(), RUNNING);
            CHECK_EQ(client.errors, RUNNING + WAITING + 3);
            (void)dial_name("quick.test", raw, NULL);
            net_settle();
        }
        if (ways == 2) { /* the first, the last, one in between, and those with a look-up */
            drop_all(ids + RUNNING, 1);
            drop_all(ids + RUNNING + WAITING - 1, 1);
            drop_all(ids + RUNNING + 7, 2);
            drop_all(ids, GONE);
            CHECK_EQ(client.errors, GONE + 4);
        }
        if (ways == 3) {
            net_inside(true);
            ws_loop_free(net.loop);
            net_inside(false);
            net.loop = NULL;
            CHECK_EQ(client.errors, RUNNING + WAITING);
        }
        calls_let_go();
        if (ways != 3) {
            unsigned left = ways == 0 ? RUNNING + WAITING : ways == 1 ? 1 : RUNNING + WAITING - GONE - 4;
            CHECK(open_all(raw, left, 0));
            CHECK_EQ(net.opened, left);
            CHECK_EQ(threads(), ways == 1 ? RUNNING + 1 : ways == 0 ? RUNNING + WAITING : RUNNING + WAITING - 4);
        }
        CLIENT_END();
    }
}

static void dial_again(ws_conn *conn) {
    (void)conn;
    if (client.errors < 200)
        (void)dial_name("held.test", &client.servers[0], NULL);
}

static void test_dialing_again(void) {
    unsigned n;
    if (!test_begin("a program that dials again in each on_error: %u threads, and no more", LOOK_UPS))
        return;
    raw_server *raw = start_held();
    client.on_error = dial_again;
    for (n = 0; n < 20; n++)
        (void)dial_name("held.test", raw, NULL);
    for (n = 0; n < 20; n++)
        net_wait(10001);
    CHECK(client.errors >= 200);
    CHECK_EQ(threads(), LOOK_UPS);
    calls_let_go();
    CLIENT_END();
}

/* --- all addresses of a name --- */

static void test_addresses(void) {
    static const struct {
        const char *host;
        bool good;
    } hosts[] = {{"nine.test", !TEST_SMALL}, {"most.test", true}, {"more.test", false}};
    size_t i;
    unsigned n;
    for (i = 0; i < COUNT(hosts); i++) {
        if (!test_begin("a name whose last address answers: %s", hosts[i].host))
            continue;
        calls_reset();
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)dial_name(hosts[i].host, raw, NULL);
        if (hosts[i].good) {
            CHECK(open_all(raw, 1, 0));
            CHECK_EQ(client.errors, 0);
        } else { /* the last address is one too many */
            for (n = 0; n < 3000 && !client.errors; n += !client_resolves())
                (void)net_round(1000);
            CHECK_EQ(client.error, WS_ERROR_CONNECT);
            CHECK_EQ(calls.count[CALLS_CONNECT], ADDRESSES);
        }
        CLIENT_END();
    }
}

/* A listener on ::1, or on an address of IPv4, at a port that is taken on 127.0.0.1. */
static int listen_beside(const char *ipv4, uint16_t port) {
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    struct sockaddr *address = ipv4 ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    int fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_STREAM, 0), on = 1;
    memset(&six, 0, sizeof six);
    memset(&four, 0, sizeof four);
    six.sin6_family = AF_INET6;
    six.sin6_addr = in6addr_loopback;
    four.sin_family = AF_INET;
    if (ipv4)
        (void)inet_pton(AF_INET, ipv4, &four.sin_addr);
    six.sin6_port = four.sin_port = htons(port);
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (fd >= 0 && (bind(fd, address, ipv4 ? sizeof four : sizeof six) != 0 || listen(fd, 8) != 0)) {
        (void)close(fd);
        return -1;
    }
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

/* Addresses that do not answer, then one that does: each has its share of connect_ms. */
static void test_shares(void) {
    ws_client_config config = client_config();
    unsigned n;
    int fd;
    if (!test_begin("connect_ms is divided among the remaining addresses"))
        return;
    calls_reset();
    client_start(NULL);
    raw_server *hole = raw_listen_on(NULL, 0);
    fd = listen_beside("127.0.0.2", hole->port);
    if (fd < 0 || !raw_fill_hole(hole)) {
        test_skip("no 127.0.0.2, or connections do not wait here");
        if (fd >= 0)
            (void)close(fd);
        CLIENT_END();
        return;
    }
    config.connect_ms = 100 * (HOLES + 1);
    (void)dial_name("holes.test", hole, &config);
    for (n = 0; n < 3000 && !calls.count[CALLS_CONNECT]; n += !client_resolves()) /* until the name is resolved */
        (void)net_round(1000);
    for (n = 1; n <= HOLES; n++) { /* attempt n began at (n - 1) * 100 ms */
        CHECK_EQ(calls.count[CALLS_CONNECT], n);
        net_wait(99);
        CHECK_EQ(calls.count[CALLS_CONNECT], n);
        net_wait(1);
    }
    CHECK_EQ(calls.count[CALLS_CONNECT], HOLES + 1);
    (void)close(client.servers[0].fd);
    client.servers[0].fd = fd;
    CHECK(open_all(&client.servers[0], 1, 0));
    CHECK_EQ(client.errors, 0);
    CLIENT_END();
}

/* --- the race of the families --- */

/* A listener at 127.0.0.1 whose queue is full, and one at ::1 with the same port; *fd -1: none. false: this
   system cannot do it, and the test has ended. */
static raw_server *start_race(int *fd) {
    calls_reset();
    client_start(NULL);
    raw_server *hole = raw_listen_on(NULL, 0);
    *fd = listen_beside(NULL, hole->port);
    if (*fd >= 0 && raw_fill_hole(hole))
        return hole;
    test_skip("no IPv6, or connections do not wait here");
    if (*fd >= 0)
        (void)close(*fd);
    CLIENT_END();
    return NULL;
}

static int accept_one(int listener) {
    int i, fd = -1;
    for (i = 0; i < 3000 && fd < 0; i += !client_resolves()) {
        (void)net_round(1000);
        fd = accept(listener, NULL, NULL);
    }
    return fd;
}

static void await_connects(unsigned wanted) {
    unsigned n;
    for (n = 0; n < 3000 && calls.count[CALLS_CONNECT] < wanted; n += !client_resolves())
        (void)net_round(1000);
    CHECK_EQ(calls.count[CALLS_CONNECT], wanted);
}

static void test_race(void) {
    raw_server *hole;
    int fd;
    if (test_begin("a dead first address costs 250 ms, and the families take turns") && (hole = start_race(&fd))) {
        size_t before = net_descriptors();
        (void)dial_name("turns.test", hole, NULL);
        await_connects(1);
        net_wait(249);
        CHECK_EQ(calls.count[CALLS_CONNECT], 1);
        net_wait(1);
        CHECK_EQ(calls.count[CALLS_CONNECT], 2); /* ::1, which is the last in the table */
        (void)close(hole->fd);
        hole->fd = fd;
        CHECK(open_all(hole, 1, 0));
        client_await_descriptors(before + 1);
        CHECK(net_holds(before + 1)); /* one listener is closed, both ends of the winner are new */
        net_wait(5000);
        CHECK_EQ(calls.count[CALLS_CONNECT], 2);
        CHECK_EQ(client.errors, 0);
        CLIENT_END();
    }
    if (test_begin("a refusal lets the next address begin at once; earlier ones continue until connect_ms")
        && (hole = start_race(&fd))) {
        (void)close(fd);
        (void)dial_name("turns.test", hole, NULL);
        await_connects(1);
        net_wait(250);
        CHECK_EQ(calls.count[CALLS_CONNECT], 3); /* ::1 refuses, another 127.0.0.1 */
        net_wait(250);
        CHECK_EQ(calls.count[CALLS_CONNECT], 4);
        net_wait(9499);
        CHECK_EQ(client.errors, 0);
        net_wait(1);
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_TIMEOUT);
        CLIENT_END();
    }
    if (test_begin("connect_ms off: addresses still begin 250 ms apart") && (hole = start_race(&fd))) {
        ws_client_config config = client_config();
        config.connect_ms = WS_OFF;
        (void)dial_name("turns.test", hole, &config);
        await_connects(1);
        net_wait(250);
        CHECK_EQ(calls.count[CALLS_CONNECT], 2);
        (void)close(hole->fd);
        hole->fd = fd;
        CHECK(open_all(hole, 1, 0));
        CLIENT_END();
    }
    if (test_begin("a program that drops its client ends the race") && (hole = start_race(&fd))) {
        (void)dial_name("turns.test", hole, NULL);
        await_connects(1);
        net_wait(250);
        ws_drop(client.conn);
        net_settle();
        net_wait(10000);
        CHECK_EQ(calls.count[CALLS_CONNECT], 2);
        CHECK_EQ(client.errors, 1);
        (void)close(fd);
        CLIENT_END();
    }
    if (test_begin("a client that reconnects races again each time") && (hole = start_race(&fd))) {
        ws_client_config config = reconnecting(100, 100);
        config.limits.ping_ms = WS_OFF;
        (void)dial_name("turns.test", hole, &config);
        await_connects(1);
        net_wait(250);
        peer *p = raw_peer(accept_one(fd));
        live(p, 0, "88<03e8>");
        net_wait(100);
        await_connects(3);
        net_wait(249);
        CHECK_EQ(calls.count[CALLS_CONNECT], 3);
        net_wait(1);
        CHECK_EQ(calls.count[CALLS_CONNECT], 4);
        (void)close(hole->fd);
        hole->fd = fd;
        CHECK(open_all(hole, 2, 0));
        CLIENT_END();
    }
}

int main(int argc, char **argv) {
    unsigned n, which;
    for (which = 0; which < 3; which++) {
        for (n = 1; n <= (which == 2 ? (unsigned)HOLES : ADDRESSES - 1u + which); n++)
            (void)snprintf(many[which] + strlen(many[which]), 12, which == 2 ? "127.0.0.1 " : "127.0.1.%u ", n);
        (void)strcat(many[which], which == 2 ? "127.0.0.2" : "127.0.0.1");
    }
    test_start(argc, argv);
    calls_table = names;
    test_short_lives();
    test_unwelcome();
    test_retry_after();
    test_renewal();
    test_hanging_look_ups();
    test_line();
    test_dialing_again();
    test_addresses();
    test_shares();
    test_race();
    return test_finish();
}
