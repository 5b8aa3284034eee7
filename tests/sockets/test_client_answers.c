/* CLIENT: wrong answers: status lines, headers, bodies, streams that end or stall within the head. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

/* --- wrong answers --- */

typedef struct answer_case {
    const char *name, *text; /* $ stands for the right Sec-WebSocket-Accept */
    ws_error error;          /* WS_OK: it opens */
    const char *word;        /* what the error text contains */
} answer_case;

static const answer_case answers[] = {
    {"a good answer", RAW_GOOD "\r\n", WS_OK, NULL},
    {"fields in another order", RAW_101 RAW_ACC RAW_CON RAW_UP "\r\n", WS_OK, NULL},
    {"names and values in other cases",
     RAW_101 "uPGRADE: WEBsocket\r\nconnection: upgrade\r\nSEC-websocket-ACCEPT: $\r\n\r\n", WS_OK, NULL},
    {"a Connection list", RAW_101 RAW_UP "Connection: keep-alive, Upgrade\r\n" RAW_ACC "\r\n", WS_OK, NULL},
    {"other fields, cookies", RAW_GOOD "Server: x\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nDate: now\r\n\r\n", WS_OK,
     NULL},
    {"no reason", "HTTP/1.1 101 \r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_OK, NULL},
    {"100 before 101", "HTTP/1.1 100 Continue\r\n\r\n" RAW_GOOD "\r\n", WS_OK, NULL},
    {"103 with fields before 101", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX: y\r\n\r\n" RAW_GOOD "\r\n", WS_OK,
     NULL},
    {"100, 102, 103 before 101", "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 102 b\r\n\r\nHTTP/1.1 103 c\r\n\r\n" RAW_GOOD "\r\n",
     WS_OK, NULL},

    {"no Upgrade", RAW_101 RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"two Upgrades", RAW_GOOD RAW_UP "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"another Upgrade", RAW_101 "Upgrade: h2c\r\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"Upgrade and more", RAW_101 "Upgrade: websocket, h2c\r\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"an empty Upgrade", RAW_101 "Upgrade:\r\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"no Connection", RAW_101 RAW_UP RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Connection"},
    {"another Connection", RAW_101 RAW_UP "Connection: close\r\n" RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Connection"},
    {"a longer word in Connection", RAW_101 RAW_UP "Connection: upgraded\r\n" RAW_ACC "\r\n", WS_ERROR_HANDSHAKE,
     "Connection"},
    {"no Accept", RAW_101 RAW_UP RAW_CON "\r\n", WS_ERROR_HANDSHAKE, "Sec-WebSocket-Accept"},
    {"nothing but the status", RAW_101 "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"two Accepts", RAW_GOOD RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Sec-WebSocket-Accept"},
    {"a second Accept that is wrong", RAW_GOOD "Sec-WebSocket-Accept: x\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"a wrong Accept", RAW_101 RAW_UP RAW_CON "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"an empty Accept", RAW_101 RAW_UP RAW_CON "Sec-WebSocket-Accept:\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"Accept and one character more", RAW_101 RAW_UP RAW_CON "Sec-WebSocket-Accept: $=\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"a subprotocol that was not offered", RAW_GOOD "Sec-WebSocket-Protocol: other\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Protocol"},
    {"an offered subprotocol", RAW_GOOD "Sec-WebSocket-Protocol: superchat\r\n\r\n", WS_OK, NULL},
    {"a subprotocol in another case", RAW_GOOD "Sec-WebSocket-Protocol: Chat\r\n\r\n", WS_ERROR_HANDSHAKE, "Protocol"},
    {"two subprotocols in one line", RAW_GOOD "Sec-WebSocket-Protocol: chat, superchat\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Protocol"},
    {"two subprotocols in two lines",
     RAW_GOOD "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat\r\n\r\n",
     WS_ERROR_HANDSHAKE, "Protocol"},
    {"one subprotocol twice", RAW_GOOD "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
     WS_ERROR_HANDSHAKE, "Protocol"},
    {"an extension that was not offered", RAW_GOOD "Sec-WebSocket-Extensions: x-made-up\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Extensions"},
    /* RFC 9112 6.3: a 1xx ends with its head, whatever it says of a body */
    {"101 with a length of 0", RAW_GOOD "Content-Length: 0\r\n\r\n", WS_OK, NULL},
    {"101 with a length", RAW_GOOD "Content-Length: 5\r\n\r\n", WS_OK, NULL},
    {"101 in chunks", RAW_GOOD "Transfer-Encoding: chunked\r\n\r\n", WS_OK, NULL},
    {"100 with a length before 101", "HTTP/1.1 100 a\r\nContent-Length: 9\r\n\r\n" RAW_GOOD "\r\n", WS_OK, NULL},
    {"103 in chunks before 101", "HTTP/1.1 103 a\r\nTransfer-Encoding: chunked\r\n\r\n" RAW_GOOD "\r\n", WS_OK,
     NULL},

    {"HTTP/1.0", "HTTP/1.0 101 Switching Protocols\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"HTTP/2.0", "HTTP/2.0 101 Switching Protocols\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"HTTP/0.9", "HTTP/0.9 101 Switching Protocols\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"another protocol's greeting", "SSH-2.0-OpenSSH_9.2\r\n\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"a mail server's greeting", "220 mail.example ESMTP\r\n\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"a request as the answer", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"an empty head", "\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a status of four digits", "HTTP/1.1 1010 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a status of two digits", "HTTP/1.1 10 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"no status", "HTTP/1.1\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a status in letters", "HTTP/1.1 abc x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a negative status", "HTTP/1.1 -101 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"two spaces before the status", "HTTP/1.1  101 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    /* RFC 9112 5.2: a user agent reads a fold as spaces; 2.2: none may follow the status line */
    {"a folded line", RAW_GOOD "X: a\r\n b\r\n\r\n", WS_OK, NULL},
    {"folded handshake", RAW_101 "Upgrade:\r\n \t websocket\r\nConnection: close,\r\n\tUpgrade\r\n"
     "Sec-WebSocket-Accept:\r\n \r\n\t$\r\n \r\n\r\n", WS_OK, NULL},
    {"a folded line before 101", "HTTP/1.1 103 a\r\nX: a\r\n b: c\r\n\r\n" RAW_GOOD "\r\n", WS_OK, NULL},
    {"a fold inside Accept", RAW_101 RAW_UP RAW_CON "Sec-WebSocket-Accept: $\r\n =\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"a fold behind the status line", RAW_101 " X: a\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE,
     "header"},
    {"a bare LF", RAW_101 "Upgrade: websocket\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"only LFs", "HTTP/1.1 101 x\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: $\n\n",
     WS_ERROR_HANDSHAKE, NULL},
    {"a bare CR", RAW_GOOD "X: a\rb\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a control character", RAW_GOOD "X: \x01\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a space before the colon", RAW_101 "Upgrade : websocket\r\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a line without a colon", RAW_GOOD "what\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a line without a name", RAW_GOOD ": what\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a 204 that wants to be a 101", "HTTP/1.1 204 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_REFUSED, "204"},
    {"a lie behind 100", "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n" RAW_UP RAW_CON RAW_ACC "\r\n",
     WS_ERROR_REFUSED, "200"}};

/* Answers in pieces of this many bytes; 0: at once. */
static void run_answer(const answer_case *c, size_t piece) {
    ws_client_config config = client_config();
    bytes out = {NULL, 0, 0};
    char host[40];
    raw_server *raw;
    const char *head;
    size_t i;
    peer *p;
    client_start(NULL);
    raw = raw_listen();
    config.subprotocols = "chat, superchat";
    (void)client_dial_raw(raw, &config);
    p = raw_accept(raw);
    head = raw_head(p);
    raw_fill(&out, head, c->text);
    for (i = 0; i < out.size; i += piece ? piece : out.size) {
        (void)peer_send(p, out.data + i, piece && piece < out.size - i ? piece : !piece ? out.size : out.size - i);
        if (piece)
            (void)net_round(0);
    }
    net_settle();
    (void)snprintf(host, sizeof host, "127.0.0.1:%u", (unsigned)raw->port);
    if (c->error) {
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, c->error);
        CHECK_EQ(net.opened, 0);
        CHECK(p->ended && p->in.size == 0); /* closed, and no close frame: there was no WebSocket */
        CHECK(strlen(client.text) > 10);
        if (c->word)
            CHECK_WHY(c->word);
        CHECK(ws_find(net.loop, client.id) == NULL);
    } else {
        CHECK_EQ(client.errors, 0);
        CHECK_EQ(net.opened, 1);
        CHECK_EQ(ws_status(net.conns[1]), 101);
        peer_frames(p, "81\"hello\"");
        CHECK_SENT(p, "81\"hello\"");
    }
    bytes_free(&out);
    CLIENT_END();
}

static void test_answers(void) {
    size_t i;
    for (i = 0; i < COUNT(answers); i++)
        if (test_begin("answer: %s", answers[i].name)) {
            run_answer(&answers[i], 0);
            run_answer(&answers[i], 1);
            run_answer(&answers[i], 7);
        }
}

/* Each of the three headers has its own errors for missing, repeated and wrong, and so has each other fault. */
static void test_own_sentences(void) {
    static const char *const names[] = {
        "no Upgrade", "another Upgrade", "no Connection", "another Connection", "no Accept", "two Accepts",
        "a wrong Accept",
        "a subprotocol that was not offered", "two subprotocols in two lines", "an extension that was not offered",
        "HTTP/1.0", "another protocol's greeting"};
    static char texts[COUNT(names)][800];
    size_t i, k;
    if (TEST_SMALL || !test_begin("wrong answers: each has its own error text")) /* WS_SMALL has one for all */
        return;
    for (i = 0; i < COUNT(names); i++) {
        for (k = 0; k < COUNT(answers) && strcmp(answers[k].name, names[i]) != 0; k++) {}
        CHECK(k < COUNT(answers));
        client.text[0] = 0;
        run_answer(&answers[k], 0);
        (void)snprintf(texts[i], sizeof texts[i], "%s", client.text);
        for (k = 0; k < i; k++) /* the ports differ: compare the text before them */
            if (strcmp(texts[i], texts[k]) == 0 && test_failure(__FILE__, __LINE__, "two lies, one sentence"))
                printf("    %s, %s: \"%s\"\n", names[i], names[k], texts[i]);
    }
}

static const struct {
    int status;
    const char *reason;
} refusals[] = {{200, "OK"},          {204, "No Content"},   {304, "Not Modified"}, {400, "Bad Request"},
                {401, "Unauthorized"}, {403, "Forbidden"},    {404, "Not Found"},    {426, "Upgrade Required"},
                {429, "Slow Down"},   {500, "Internal Server Error"}, {503, "Service Unavailable"}, {599, ""}};

static char seen_header[100];
static bool seen_all;

static void look_at_refusal(ws_conn *conn) {
    const char *value = ws_header(conn, "x-WHY");
    (void)snprintf(seen_header, sizeof seen_header, "%s", value ? value : "absent");
    seen_all = ws_header(conn, "X-Absent") == NULL && ws_header(conn, NULL) == NULL && ws_header(conn, "") == NULL
               && ws_header(conn, "X-Empty") && !*ws_header(conn, "X-Empty") && ws_state(conn) != WS_OPEN
               && strcmp(ws_header(conn, "X-Twice") ? ws_header(conn, "X-Twice") : "", "1") == 0
               && strcmp(ws_header_at(conn, "x-twice", 1) ? ws_header_at(conn, "x-twice", 1) : "", "2") == 0
               && ws_header_at(conn, "X-Twice", 2) == NULL && ws_header_at(conn, "X-Twice", SIZE_MAX) == NULL
               && ws_header_at(conn, "X-Absent", 0) == NULL && ws_header_at(NULL, "X-Twice", 0) == NULL
               && strcmp(ws_header_at(conn, "X-Twice", 0), "1") == 0 && ws_header_at(conn, NULL, 1) == NULL;
}

static void test_refusals(void) {
    size_t i;
    for (i = 0; i < COUNT(refusals); i++) {
        bool bodiless = refusals[i].status == 204 || refusals[i].status == 304;
        char text[400], number[12];
        raw_server *raw;
        peer *p;
        if (!test_begin("refused with %d: status, headers and body can be read", refusals[i].status))
            continue;
        client_start(NULL);
        client.on_error = look_at_refusal;
        raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        p = raw_accept(raw);
        (void)raw_head(p);
        (void)snprintf(text, sizeof text,
                       "HTTP/1.1 %d %s\r\nX-Why:  because of you \r\nX-Empty:\r\nX-Twice: 1\r\nX-Twice: 2\r\n%s\r\n%s",
                       refusals[i].status, refusals[i].reason, bodiless ? "" : "Content-Length: 8\r\n",
                           bodiless ? "" : "go away!");
        peer_text(p, text);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_REFUSED);
        CHECK_EQ(client.status, refusals[i].status);
        CHECK_STR(client.body, bodiless ? "" : "go away!");
        CHECK_STR(seen_header, "because of you");
        CHECK(seen_all);
        (void)snprintf(number, sizeof number, "%d", refusals[i].status);
        CHECK_WHY(number);
        CHECK_WHY("127.0.0.1");
        CHECK(p->ended);
        CLIENT_END();
    }
}

#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

/* ws_body returns the part of the body that has arrived, without its framing (RFC 9112 6.3). */
static const struct {
    const char *name, *text, *body;
    bool unfinished; /* the client waits for more, until the server ends the stream */
} bodies[] = {
    {"one chunk", "403 No\r\n" CHUNKED "8\r\ngo away!\r\n0\r\n\r\n", "go away!", false},
    {"three chunks, an extension, a trailer",
     "403 No\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\ngo \r\n4 ; c\r\naway\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n",
     "go away!", false},
    {"a chunk with line ends in it",
     "403 No\r\n" CHUNKED "00A\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n",
     "\r\n5\r\n0\r\n\r\n", false},
    {"no chunk", "403 No\r\n" CHUNKED "0\r\n\r\n", "", false},
    {"a chunk that has come in part", "403 No\r\n" CHUNKED "2\r\ngo\r\nFFFF\r\n away", "go away", true},
    {"a chunk's line in part", "403 No\r\n" CHUNKED "2\r\ngo\r\nFF", "go", true},
    {"chunks that end in nonsense", "403 No\r\n" CHUNKED "2\r\ngo\r\nzz\r\n away", "go", false},
    {"a chunk that is longer than it says", "403 No\r\n" CHUNKED "2\r\ngo away\r\n0\r\n\r\n", "go", false},
    {"chunks that are none", "403 No\r\n" CHUNKED "go away!", "", true},
    {"codings over two lines", "403 No\r\nTransfer-Encoding: x\r\n" CHUNKED "2\r\ngo\r\n0\r\n\r\n", "go", false},
    {"chunks and a length: chunks", "403 No\r\nContent-Length: 3\r\n" CHUNKED
     "2\r\ngo\r\n0\r\n\r\n",
     "go", false},
    {"another coding", "403 No\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n2\r\ngo", "2\r\ngo", true},
    {"a length, and more behind it", "403 No\r\nContent-Length: 2\r\n\r\ngo away!", "go", false},
    {"a length of 0", "403 No\r\nContent-Length: 0\r\n\r\ngo away!", "", false},
    {"no length", "403 No\r\n\r\ngo away!", "go away!", true},
    {"204 and bytes", "204 No\r\nContent-Length: 8\r\n\r\ngo away!", "", false},
    {"304 and chunks", "304 No\r\n" CHUNKED "2\r\ngo\r\n0\r\n\r\n", "", false}};

static void test_bodies(void) {
    size_t i;
    for (i = 0; i < COUNT(bodies); i++) {
        char text[400];
        if (!test_begin("a refusal's body: %s", bodies[i].name))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        (void)snprintf(text, sizeof text, "HTTP/1.1 %s", bodies[i].text);
        peer_text(p, text);
        net_settle();
        CHECK_EQ(client.errors, bodies[i].unfinished ? 0 : 1);
        if (bodies[i].unfinished)
            peer_close(p);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_REFUSED);
        CHECK_WHY("refused");
        CHECK_STR(client.body, bodies[i].body);
        CLIENT_END();
    }
}

/* Dials, and is refused with this text, which is sent in pieces of step bytes. */
static peer *refuse_in_pieces(const char *text, size_t step, const ws_client_config *config) {
    size_t size = strlen(text), at;
    client_start(NULL);
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, config);
    peer *p = raw_accept(raw);
    (void)raw_head(p);
    for (at = 0; at < size; at += step) {
        CHECK_EQ(client.errors, 0);
        (void)peer_send(p, text + at, size - at < step ? size - at : step);
        net_settle();
    }
    return p;
}

static void test_scarce_body(void) {
    static const char more[3000] = "way!";
    if (!test_begin("no memory for the rest of a refusal's body: it is reported once, with what has arrived"))
        return;
    peer *p = refuse_in_pieces("HTTP/1.1 403 No\r\nContent-Length: 3004\r\n\r\ngo a", 100, NULL);
    net.memory.fail_at = net.memory.calls + 1;
    net.memory.fail_after = true;
    (void)peer_send(p, more, sizeof more);
    net_settle();
    net.memory.fail_at = 0;
    CHECK_EQ(client.errors, 1);
    CHECK_EQ(client.error, WS_ERROR_REFUSED);
    CHECK_EQ(client.status, 403);
    CHECK_STR(client.body, "go a");
    CHECK(net_settle() && p->ended);
    CHECK_EQ(client.errors, 1);
    CLIENT_END();
}

static size_t body_size;

static void measure_body(ws_conn *conn) { body_size = strlen(ws_body(conn)); }

static void test_bodies_in_pieces(void) {
    static const char length[] = "HTTP/1.1 403 No\r\nContent-Length: 8\r\n\r\ngo away!";
    static const char chunks[] = "HTTP/1.1 403 No\r\n" CHUNKED "3\r\ngo \r\n5\r\naway!\r\n0\r\n"; /* and trailers */
    static char text[80000];
    size_t step, limit;
    ws_client_config config = client_config();
    for (step = 1; step < 50; step += 7) {
        if (test_begin("a refusal's body in pieces of %u bytes: with a length, in chunks", (unsigned)step)) {
            (void)refuse_in_pieces(length, step, NULL);
            CHECK_EQ(client.error, WS_ERROR_REFUSED);
            CHECK_EQ(client.status, 403);
            CHECK_STR(client.body, "go away!");
            CLIENT_END();
            (void)refuse_in_pieces(chunks, step, NULL);
            CHECK_EQ(client.error, WS_ERROR_REFUSED);
            CHECK_STR(client.body, "go away!");
            CLIENT_END();
        }
    }
    for (limit = 1; limit <= 65536; limit *= 16) {
        if (!test_begin("a refusal's body is cut off at limits.body, %u bytes", (unsigned)limit))
            continue;
        config.limits.body = limit == 65536 ? 0 : limit;
        (void)snprintf(text, sizeof text, "HTTP/1.1 500 Oh\r\n\r\n");
        memset(text + strlen(text), 'x', limit - 1);
        text[19 + limit - 1] = 0;
        peer *p = refuse_in_pieces(text, 9000, &config);
        CHECK_EQ(client.errors, 0);
        client.on_error = measure_body;
        peer_text(p, "yz");
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_REFUSED);
        CHECK_EQ(body_size, limit);
        CHECK(p->ended);
        CLIENT_END();
    }
    if (test_begin("the rest of a refusal's body does not arrive: handshake_ms ends the wait")) {
        (void)refuse_in_pieces("HTTP/1.1 403 No\r\nContent-Length: 99999999999\r\n\r\nthe first part", 9, NULL);
        net_wait(9999);
        CHECK_EQ(client.errors, 0);
        net_wait(1);
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_REFUSED);
        CHECK_WHY("403 No");
        CHECK_STR(client.body, "the first part");
        CLIENT_END();
    }
    if (test_begin("a client that is dropped or closed while a refusal's body arrives")) {
        peer *p = refuse_in_pieces("HTTP/1.1 403 No\r\n\r\nthe first part", 9000, NULL);
        CHECK_EQ(ws_state(client.conn), WS_CONNECTING);
        (void)ws_close(client.conn, 1000, NULL);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_STR(client.body, "the first part");
        net_settle();
        CHECK(p->ended);
        CLIENT_END();
    }
    if (test_begin("a redirect is followed without reading its body; a refusal after it has its own")) {
        peer *p = refuse_in_pieces("HTTP/1.1 302 Go\r\nLocation: /b\r\nContent-Length: 50\r\n\r\nmoved", 9000, NULL);
        net_settle();
        CHECK(p->ended);
        peer *second = raw_accept(&client.servers[0]);
        CHECK(strncmp(raw_head(second), "GET /b ", 7) == 0);
        peer_text(second, "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nno");
        net_settle();
        CHECK_EQ(client.errors, 0);
        peer_text(second, "ne");
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_STR(client.body, "none");
        CLIENT_END();
    }
}

/* A program may read the answer after on_open, too. */
static void test_answer_headers(void) {
    if (!test_begin("the answer's headers can be read while the connection is open"))
        return;
    client_start(NULL);
    ws_client_config config = client_config();
    config.subprotocols = "chat";
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, &config);
    peer *p = raw_accept(raw);
    raw_answer(p, raw_head(p), "Set-Cookie: a=b\r\nSec-WebSocket-Protocol: chat\r\n");
    net_settle();
    CHECK_EQ(ws_status(net.conns[1]), 101);
    CHECK(ws_header(net.conns[1], "set-cookie") && strcmp(ws_header(net.conns[1], "set-cookie"), "a=b") == 0);
    CHECK_STR(ws_subprotocol(net.conns[1]), "chat");
    CHECK(ws_header(net.conns[1], "Upgrade") != NULL && ws_header(net.conns[1], "None") == NULL);
    CHECK(ws_header(NULL, "Upgrade") == NULL && ws_status(NULL) == 0);
    peer_frames(p, "81*60000 81*60000"); /* the head does not lie in a buffer that is reused */
    net_settle();
    CHECK(ws_header(net.conns[1], "set-cookie") && strcmp(ws_header(net.conns[1], "set-cookie"), "a=b") == 0);
    CLIENT_END();
}

static void test_endless(void) {
    static const char *const parts[] = {"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
        "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
        "\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue"};
    static const char *const names[] = {"fields", "one line", "heads of 1xx"};
    size_t i, n;
    for (i = 0; i < COUNT(parts); i++) {
        if (!test_begin("an answer of endless %s", names[i]))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        peer_text(p, i == 2 ? "HTTP/1.1 100 Continue" : RAW_101);
        for (n = 0; n < 20000 && !p->ended; n++) {
            peer_text(p, parts[i]);
            (void)net_round(0);
        }
        net_settle();
        CHECK(p->ended && n * strlen(parts[i]) < 300000);
        CHECK_EQ(client.errors, 1);
        CHECK(client.error == WS_ERROR_TOO_BIG || (i == 2 && client.error == WS_ERROR_HANDSHAKE));
        CHECK(net.memory.peak < 1 << 20);
        CLIENT_END();
    }
    if (!test_begin("an answer of exactly limits.head bytes, and of one more"))
        return;
    for (i = 0; i < 2; i++) {
        ws_client_config config = client_config();
        char text[2000];
        client_start(NULL);
        raw_server *raw = raw_listen();
        config.limits.head = 1000;
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        const char *head = raw_head(p);
        size_t used = strlen(RAW_GOOD) - 1 + 28 + strlen("X: \r\n\r\n");
        (void)snprintf(text, sizeof text, RAW_GOOD "X: %0*d\r\n\r\n", (int)(1000 - used + i), 0);
        raw_reply(p, head, text);
        net_settle();
        CHECK_EQ(net.opened, i == 0);
        CHECK_EQ(client.error, i ? WS_ERROR_TOO_BIG : WS_OK);
        CLIENT_END();
    }
}

static void test_behind_the_head(void) {
    if (test_begin("frames in the same segment as the answer are kept")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        bytes out = {NULL, 0, 0};
        raw_fill(&out, raw_head(p), RAW_GOOD "\r\n");
        wire_write(&out, "81\"first\" 01\"sec\" 89\"x\" 80\"ond\" 82#3", false);
        (void)peer_send(p, out.data, out.size);
        bytes_free(&out);
        CHECK_SENT(p, "81\"first\" 8a\"x\" 81\"second\" 82#3");
        CHECK_LOG("o1 t1:first t1:second b1:3");
        CLIENT_END();
    }
    if (test_begin("a body after the answer is not a frame: 1002")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        raw_reply(p, raw_head(p), RAW_GOOD "\r\n<html>hello</html>");
        CHECK_SENT(p, "88<03ea>");
        peer_close(p);
        net_settle();
        CHECK_LOG("o1 c1:1002::n");
        CLIENT_END();
    }
    if (test_begin("a close frame right after the answer")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        bytes out = {NULL, 0, 0};
        raw_fill(&out, raw_head(p), RAW_GOOD "\r\n");
        wire_write(&out, "88<0fa1>\"no\"", false);
        (void)peer_send(p, out.data, out.size);
        bytes_free(&out);
        CHECK_SENT(p, "88<0fa1>\"no\"");
        peer_close(p);
        net_settle();
        CHECK_LOG("o1 c1:4001:no:y");
        CLIENT_END();
    }
    if (test_begin("a masked frame from the server: 1002")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        peer_frames(p, "81\"good\" !81\"bad\"");
        CHECK_SENT(p, "81\"good\" 88<03ea>");
        CHECK_LOG("o1 t1:good c1:1002::n");
        CLIENT_END();
    }
}

/* The stream ends, in order or not, at every byte of the answer. */
static void test_ends_in_the_head(void) {
    static const char text[] = RAW_GOOD "\r\n";
    size_t cut;
    if (!test_begin("the stream ends at every byte of the answer"))
        return;
    for (cut = 0; cut + 2 < sizeof text; cut++) {
        bytes out = {NULL, 0, 0};
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        raw_fill(&out, raw_head(p), text);
        (void)peer_send(p, out.data, cut);
        if (cut & 1)
            net_settle();
        if (cut % 3)
            peer_close(p);
        else
            peer_reset(p);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK(client.error == WS_ERROR_CLOSED || client.error == WS_ERROR_HANDSHAKE);
        CHECK_WHY("127.0.0.1");
        CHECK_EQ(net.opened, 0);
        bytes_free(&out);
        CLIENT_END();
    }
}

static void test_silence(void) {
    if (test_begin("no answer: fails at the handshake's deadline, and the error names it and the host")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        net_wait(9900);
        CHECK_EQ(client.errors, 0);
        net_wait(200);
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_TIMEOUT);
        CHECK_WHY("127.0.0.1");
        CHECK(p->ended);
        CLIENT_END();
    }
    if (test_begin("an answer of one byte a second: fails at the deadline")) {
        static const char slow[] = RAW_101 "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";
        size_t i;
        client_start(NULL);
        ws_client_config config = client_config();
        config.limits.handshake_ms = 20000;
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        for (i = 0; i + 1 < sizeof slow && !p->ended; i++) {
            (void)peer_send(p, slow + i, 1);
            net_wait(1000);
        }
        CHECK(i >= 19 && i <= 21);
        CHECK_EQ(client.error, WS_ERROR_TIMEOUT);
        CLIENT_END();
    }
    if (test_begin("WS_OFF for the handshake: the client waits as long as it takes")) {
        client_start(NULL);
        ws_client_config config = client_config();
        config.limits.handshake_ms = WS_OFF;
        config.connect_ms = WS_OFF;
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        const char *head = raw_head(p);
        net_wait(3600000);
        CHECK_EQ(client.errors, 0);
        raw_answer(p, head, NULL);
        net_settle();
        CHECK_LOG("o1");
        CLIENT_END();
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_answers();
    test_own_sentences();
    test_refusals();
    test_bodies();
    test_scarce_body();
    test_bodies_in_pieces();
    test_answer_headers();
    test_endless();
    test_behind_the_head();
    test_ends_in_the_head();
    test_silence();
    return test_finish();
}
