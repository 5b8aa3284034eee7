/* libFuzzer target: a whole server, over a network in memory with a virtual clock. The input is a program: the first
   bytes are the server's config, the rest are operations: peers that connect, send bytes, requests or frames, stop
   reading, end or reset; callbacks that do what the program says; allocations and system calls that fail; time.

   What must hold: what a peer gets is HTTP and then frames, as judge.h reads them, and what was sent to it, in order;
   the server gets what judge.h reads in what the peer sent; each on_open has one on_close and nothing follows; no
   secret of one peer reaches another; memory and descriptors are given back; and the loop serves a further peer. */
#include "network.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/certs.h"
#include "../helpers/drive.h"
#include "judge.h"
#include "program.h"
#include "tls_peer.h"

enum { PEERS = 12, CONNS = 256, TIMERS = 16, KEPT = 16, SCRIPT = 64, STEPS = 3000 };

typedef struct client { /* a peer of the network, as this program plays it */
    int peer;             /* -1: none */
    bytes sent;           /* in clear */
    bool speaks;          /* it began with a handshake: from `from` on what it sent is frames */
    size_t from;
    bool raw;             /* it sent what nobody judges */
    bytes got;            /* in clear */
    size_t read_at;       /* of the network's */
    size_t parsed;        /* of got: whole answers */
    bool open;            /* 101 came, the rest is frames */
    judge in, out;        /* of the server's frames; of its own */
    int conn;             /* its record, or -1 */
    char heads[64];       /* the requests whose answers are to come: H for HEAD, G else */
    size_t asked, answered;
    tls_peer tls;         /* ssl NULL: none */
} client;

typedef struct record { /* of a connection that opened */
    ws_conn *conn;
    ws_id id;
    int client;
    enum { NEVER, OPENED, ENDED } state;
    judge_list sends;     /* to it alone */
    uint64_t part_hash;   /* of a message in parts */
    size_t part_size;
    unsigned part_type;   /* 0: none */
    judge_list received;
    uint64_t chunk_hash;
    size_t chunk_size;
    bool closing;         /* the program called ws_close, with this code, behind so many sends */
    unsigned code;
    size_t must;
} record;

typedef struct world {
    ws_loop *loop;
    ws_server *server;
    uint64_t now;
    drive_memory memory;
    client clients[PEERS];
    size_t client_count;
    record records[CONNS];
    int record_count;
    unsigned opened, closed, broadcasts;
    ws_id timers[TIMERS], kept[KEPT];
    size_t timer_count, kept_count;
    uint8_t script[SCRIPT][3];
    size_t scripted, played;
    bool veiled, tls, over, echoes;
    unsigned depth, steps;
} world;

static world w;

/* --- what the program sends --- */

/* Whether these are the bytes of a broadcast. */
static bool is_broadcast(const uint8_t *data, size_t size, unsigned type) {
    unsigned number = 0;
    if (size >= 4 && type == 1
        && (!memcmp(data, "[\"B\"", 4) || !memcmp(data, "{\"B\"", 4) || !memcmp(data, "<i>B", 4)))
        return true; /* one that `format` made */
    if (size < 12 || data[0] != 'B')
        return false;
    for (int i = 1; i < 11; i++)
        number = number * 10 + (unsigned)(data[i] - '0');
    if (number > w.broadcasts)
        return false;
    ws_message wanted = make_message('B', number, size, type == 1);
    return memcmp(wanted.data, data, size) == 0;
}

static bool send_to(record *r, ws_message message) {
    judge_message one = judged(message); /* before: the data may lie in the window */
    if (!ws_send(r->conn, message))
        return false;
    judge_add(&r->sends, one);
    return true;
}

static void send_part(record *r, ws_message part, bool last) {
    unsigned type = part.type == WS_TEXT ? 1 : 2;
    uint64_t hash = judge_hash(part.data, part.size, r->part_type ? r->part_hash : 0);
    if (!ws_send_part(r->conn, part, last))
        return;
    r->part_size = part.size + (r->part_type ? r->part_size : 0);
    r->part_type = r->part_type ? r->part_type : type;
    r->part_hash = hash;
    if (last) {
        judge_message one = {r->part_type, r->part_size, r->part_hash};
        judge_add(&r->sends, one);
        r->part_type = 0;
    }
}

/* --- actions, of callbacks and of the program outside them --- */

static void act(ws_conn *conn, const uint8_t *step);

/* What the program has for the next callback, if anything. */
static void play(ws_conn *conn) {
    if (w.played < w.scripted && w.depth < 3) {
        w.depth++;
        act(conn, w.script[w.played++]);
        w.depth--;
    }
}

static record *record_of(ws_conn *conn) {
    for (int i = 0; i < w.record_count; i++)
        if (w.records[i].state == OPENED && w.records[i].conn == conn)
            return &w.records[i];
    return NULL;
}

static void timer_fired(ws_loop *loop, void *user) {
    HOLDS(loop == w.loop && w.now >= (uintptr_t)user);
    play(NULL);
}

static void posted(void *argument) {
    HOLDS(argument == &w);
    play(NULL);
}

static const char *room_name(unsigned number) {
    static const char *const names[] = {"a", "b", "lobby", "", "a room with a long name, longer than most of them are"};
    return names[number % 5];
}

/* What few programs do. */
static void answer_seldom(ws_request *request, unsigned how) {
    static const char *const text[] = {"Content-Type: text/html", "X-A: 1", NULL};
    switch (how % 8) {
    case 0: (void)ws_reply_html(request, 200, "<p title='%s'>%-s</p>", "<\"&'>", "<b>x</b>"); break;
    case 1: (void)ws_set_session(request, NULL); break;
    case 2: (void)ws_set_cookie(request, "c", "a b", 0); break;
    case 3: (void)ws_redirect(request, "/a\r\nX-B: c"); break;
    case 4: (void)ws_reply_data(request, 304, text, NULL, 0); break;
    case 5: (void)ws_reply_data(request, 205, text, "x", 1); break;
    case 6: (void)ws_set_session(request, "{'a':%d}", 7); break;
    default: (void)ws_reply(request, 200, "text/plain\r\nX-B: c", "echo: no"); break;
    }
}

static void answer(ws_request *request, unsigned how) {
    static const char *const headers[] = {"X-A: b", "Set-Cookie: s=1", NULL}, *const bad[] = {"no colon", NULL};
    ws_acceptance acceptance;
    memset(&acceptance, 0, sizeof acceptance);
    if (how >= 240) {
        answer_seldom(request, how);
        return;
    }
    switch (how % 12) {
    case 0: acceptance.headers = headers; break;
    case 1: acceptance.subprotocol = "chat"; break;
    case 2: (void)ws_refuse(request, 403, headers, "no"); return;
    case 3: (void)ws_refuse(request, 200 + (int)how % 420, NULL, NULL); return;
    case 4: (void)ws_reply(request, 200, "text/plain", "echo: yes"); return;
    case 5: (void)ws_reply_data(request, 404, headers, filler, 3000); return;
    case 6: (void)ws_redirect(request, "/page"); return;
    case 7: (void)ws_set_cookie(request, "c", "v", 100); return;
    case 8: (void)ws_set_session(request, "{'a':%s}", "b"); return;
    case 9: (void)ws_reply_json(request, 200, "{'echo':%s,'n':%d,'f':%.2f}", "x", (int)how, how / 3.0); return;
    case 10: acceptance.headers = bad; break;
    default: acceptance.user = NULL; break;
    }
    (void)ws_accept(request, &acceptance);
}

static void speak(record *r, const uint8_t *step) {
    static const size_t sizes[] = {0, 1, 12, 64, 125, 126, 700, 4000, 16384, 65535, 65536, 70000};
    size_t size = sizes[step[2] % 12];
    bool text = step[1] & 1;
    if (!r)
        return;
    switch (step[0] % 8) {
    case 0:
    case 1: (void)send_to(r, make_message('D', (unsigned)r->sends.count, size, text)); break;
    case 2:
    case 3: send_part(r, make_message('P', step[1], size, text), step[1] >> 1 & 1); break;
    case 4: (void)ws_ping(r->conn, filler, step[2] % 130); break;
    case 5:
        if (ws_close(r->conn, (uint16_t)(step[1] & 1 ? 1000 + step[2] % 16 : 0), step[1] & 2 ? "reason" : NULL)
            && !r->closing) {
            r->closing = true;
            r->code = step[1] & 1 ? 1000u + step[2] % 16 : 1005;
            r->must = r->sends.count;
        }
        break;
    case 6: (void)ws_pause(r->conn); break;
    default: (void)ws_resume(r->conn); break;
    }
}

static void gather(record *r, const uint8_t *step) {
    const char *room = room_name(step[1] >> 3);
    bool text = step[1] & 1;
    ws_message message = make_message('B', w.broadcasts++, 12 + step[2] * 40u, text);
    ws_conn *conn = r ? r->conn : NULL;
    ws_id ids[4];
    switch (step[0] % 8) {
    case 0:
    case 1: (void)ws_join(conn, room); break;
    case 2: (void)ws_leave(conn, room); break;
    case 3: (void)ws_broadcast(conn, step[1] & 2 ? room : NULL, message); break;
    case 4: (void)ws_broadcast_others(conn, room, message); break;
    case 5: (void)ws_server_broadcast(w.server, step[1] & 2 ? room : NULL, message); break;
    case 6: (void)ws_room_slow(w.server, room, (ws_slow)(step[2] % 5)); break;
    default: (void)ws_room_members(w.server, room, ids, 4); break;
    }
}

static void manage(const uint8_t *step) {
    uint32_t wait = step[1] * 40u;
    ws_request *request;
    switch (step[0] % 8) {
    case 0:
    case 1:
        if (w.timer_count < TIMERS)
            w.timers[w.timer_count++] = ws_after(w.loop, wait, timer_fired, (void *)(uintptr_t)(w.now + wait));
        break;
    case 2: ws_cancel(w.loop, w.timer_count ? w.timers[step[1] % w.timer_count] : 7); break;
    case 3: (void)ws_post(w.loop, posted, &w); break;
    case 4:
    case 5:
        request = w.kept_count ? ws_kept(w.loop, w.kept[step[1] % w.kept_count]) : NULL;
        if (request)
            answer(request, step[2]);
        break;
    case 6: HOLDS(ws_loop_stats(w.loop).memory <= ws_loop_stats(w.loop).memory_peak); break;
    default:
        if (step[1] == 77 && step[2] > 200) { /* seldom */
            ws_server_free(w.server);
            w.server = NULL;
        } else if (step[1] == 78 && step[2] > 200) {
            w.over = ws_shutdown(w.loop, step[2] * 10u) || w.over;
        }
        break;
    }
}

/* Calls that no other action makes. */
static void format(record *r, const uint8_t *step) {
    const char *room = room_name(step[1]);
    ws_conn *conn = r ? r->conn : NULL;
    char text[64];
    switch (step[0] % 8) {
    case 0: HOLDS(!r || ws_room_count(w.server, NULL) <= w.opened); break;
    case 1: (void)ws_broadcast_json(conn, room, "['B',%d,%s]", (int)step[2], room); break;
    case 2: (void)ws_broadcast_html(conn, room, "<i>B%s</i>", room); break;
    case 3: (void)ws_server_broadcast_json(w.server, room, "{'B':%.2f}", step[2] / 7.0); break;
    case 4: (void)ws_broadcast_others_json(conn, room, "{'B':%s", room); break; /* no JSON */
    case 5: (void)ws_buffered(conn); break;
    case 6: HOLDS(!ws_peer(conn, text, step[2] % sizeof text) || strlen(text) < step[2] % sizeof text); break;
    default: (void)ws_every(w.loop, 500 + step[1] * 40u, timer_fired, NULL); break;
    }
}

/* step: what, and two arguments. conn: of the callback; NULL: none, then one that the step names. */
static void act(ws_conn *conn, const uint8_t *step) {
    record *r = record_of(conn);
    if ((!r || step[0] & 0x80) && w.record_count)
        r = &w.records[step[1] % (unsigned)w.record_count];
    if (r && r->state != OPENED)
        r = NULL;
    switch (step[0] >> 4 & 7) {
    case 0:
    case 1:
    case 2: speak(r, step); break;
    case 3:
    case 4: gather(r, step); break;
    case 5: manage(step); break;
    case 6:
        if (r)
            ws_drop(r->conn);
        break;
    default:
        if (step[0] & 8)
            format(r, step);
        else
            w.echoes = step[1] & 1;
        break;
    }
}

/* --- callbacks --- */

static int client_of(const ws_conn *conn) {
    int fd = conn->source.link.descriptor;
    for (size_t i = 0; i < w.client_count; i++)
        if (w.clients[i].peer >= 0 && network.peers[w.clients[i].peer].fd == fd)
            return (int)i;
    return -1;
}

static record *opened_record(ws_conn *conn) {
    record *r = record_of(conn);
    HOLDS(r && ws_find(w.loop, r->id) == conn && ws_conn_id(conn) == r->id);
    return r;
}

static void on_open(ws_conn *conn) {
    record *r = &w.records[w.record_count];
    char name[60];
    HOLDS(!record_of(conn) && w.record_count < CONNS);
    w.record_count++;
    memset(r, 0, sizeof *r);
    r->conn = conn;
    r->id = ws_conn_id(conn);
    r->client = client_of(conn);
    r->state = OPENED;
    if (r->client >= 0)
        w.clients[r->client].conn = w.record_count - 1;
    w.opened++;
    HOLDS(ws_state(conn) == WS_OPEN && !ws_closed(conn).code);
    HOLDS(!ws_peer_certificate(conn, name, sizeof name) || strcmp(name, "CN=alice,O=Example") == 0);
    HOLDS(!ws_conn_session(conn).data || ws_json_valid(ws_conn_session(conn).data, ws_conn_session(conn).size));
    if (ws_param(conn, "room"))
        (void)ws_join(conn, ws_param(conn, "room"));
    play(conn);
}

static void on_message(ws_conn *conn, ws_message message) {
    record *r = opened_record(conn);
    HOLDS(!message.data[message.size]);
    judge_add(&r->received, judged(message));
    if (w.echoes)
        (void)send_to(r, message);
    play(conn);
}

static void on_chunk(ws_conn *conn, ws_chunk chunk) {
    record *r = opened_record(conn);
    HOLDS(chunk.first == (r->chunk_hash == 0));
    r->chunk_size = chunk.size + (chunk.first ? 0 : r->chunk_size);
    r->chunk_hash = judge_hash(chunk.data, chunk.size, r->chunk_hash);
    if (chunk.last) {
        judge_message one = {chunk.type == WS_TEXT ? 1 : 2, r->chunk_size, r->chunk_hash};
        judge_add(&r->received, one);
        r->chunk_hash = 0;
    }
    play(conn);
}

static void on_drain(ws_conn *conn) {
    (void)opened_record(conn);
    play(conn);
}

static void on_close(ws_conn *conn, ws_close_info why) {
    record *r = record_of(conn);
    HOLDS(r && why.code >= 1000 && why.reason && ws_closed(conn).code == why.code);
    HOLDS(judge_utf8((const uint8_t *)why.reason, strlen(why.reason)));
    w.closed++;
    play(conn);
    r->state = ENDED;
}

/* Looks at all that a request has. */
static void look_at(ws_request *request) {
    ws_slice n = ws_request_param(request, "n"), x = ws_request_param(request, "x");
    ws_message session = ws_session(request);
    int64_t integer;
    uint64_t natural;
    double number;
    HOLDS(!n.data || ws_slice_integer(n, &integer) || n.size > 18);
    HOLDS(!x.data || ws_slice_number(x, &number));
    (void)ws_slice_unsigned(ws_request_header(request, "Content-Length"), &natural);
    HOLDS(*ws_request_method(request) && ws_request_path(request).data && ws_request_server(request) == w.server);
    (void)ws_request_raw_query(request);
    (void)ws_request_query(request, "x");
    HOLDS(!session.data || !strcmp((const char *)session.data, "{\"a\":\"signed\"}")
          || !strcmp((const char *)session.data, "{\"a\":\"b\"}") || !strcmp((const char *)session.data, "{\"a\":7}"));
}

static void on_request(ws_request *request) {
    ws_id id;
    look_at(request);
    (void)ws_request_query(request, "q");
    (void)ws_request_cookie(request, "secret");
    (void)ws_request_peer(request, (char[64]){0}, 64);
    if (w.played < w.scripted && w.script[w.played][0] & 1 && w.kept_count < KEPT) {
        w.played++;
        id = ws_keep(request, NULL, NULL);
        if (id)
            w.kept[w.kept_count++] = id;
    } else if (w.played < w.scripted && w.script[w.played][0] & 2) {
        answer(request, w.script[w.played++][1]);
    }
}

static void hook(ws_request *request, void *user) {
    (void)user;
    on_request(request);
}

/* HTTP: answers with what it was asked, behind "echo:", so that no answer looks like a head. */
static void on_http(ws_request *request, void *user) {
    ws_message body = ws_request_body(request);
    static uint8_t copy[LARGEST + 8];
    size_t size = body.size < LARGEST ? body.size : LARGEST;
    ws_slice secret = ws_request_cookie(request, "secret");
    (void)user;
    (void)ws_request_form(request, "f");
    (void)ws_session(request);
    on_request(request);
    memcpy(copy, "echo:", 5);
    memcpy(copy + 5, body.data, size);
    if (secret.size && secret.size < 100)
        memcpy(copy + 5, secret.data, secret.size < size ? secret.size : size);
    (void)ws_reply_data(request, 200, NULL, copy, size + 5); /* false where it was answered or kept */
}

/* --- the peers --- */

static const char *secret_of(size_t number) {
    static char text[20];
    (void)snprintf(text, sizeof text, "SECRET-%c%c%c", (char)('A' + number), 'q', (char)('a' + number));
    return text;
}

static void client_send(client *c, const void *data, size_t size) {
    network_peer *peer = &network.peers[c->peer];
    size_t at = peer->in.size;
    if (peer->finished || peer->reset)
        return;
    bytes_add(&c->sent, data, size);
    if (c->tls.ssl) {
        tls_peer_send(&c->tls, peer, data, size);
        return;
    }
    bytes_add(&peer->in, data, size);
    for (size_t i = at; w.veiled && i < peer->in.size; i++)
        peer->in.data[i] ^= VEIL;
}

static void client_ask(client *c, bool head) {
    HOLDS(c->asked < sizeof c->heads);
    c->heads[c->asked++] = head ? 'H' : 'G';
}

static void client_handshake(client *c, unsigned how) {
    static const char *const paths[] = {"/", "/chunks", "/room/a", "/deflate", "/sub", "/context", "/nowhere", "/%zz"};
    static const char *const extras[] = {
        "", "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=9\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n",
        "Sec-WebSocket-Protocol: chat, other\r\n", "Origin: https://a.example\r\n",
        "Origin: http://server.example\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=\"[::1]:3\";host=\"a, b\"\r\n",
        "X-Forwarded-For: \"[::1]:3\", unknown\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Proto: https\r\n"};
    char text[1000];
    if (c->asked == sizeof c->heads)
        return;
    (void)snprintf(text, sizeof text,
                   "GET %s HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nCookie: secret=%s\r\n"
                   "%s\r\n", paths[how & 7], secret_of((size_t)(c - w.clients)), extras[how >> 3 & 7]);
    c->speaks = !c->sent.size; /* behind other requests nobody knows whose answer comes */
    client_send(c, text, strlen(text));
    client_ask(c, false);
    c->from = c->sent.size;
}

/* A cookie of a session, as the server signs it; byte `wrong` is altered, if there is one. */
static const char *signed_session(unsigned wrong) {
    static char text[400];
    const wsi_sessions *sessions = w.server ? wsi_session_of(w.server) : NULL;
    wsi_buffer pair = {NULL, 0, 0};
    wsi_memory memory;
    text[0] = 0;
    wsi_memory_init(&memory, (ws_allocator){NULL, NULL}, SIZE_MAX);
    if (sessions && wsi_session_write(sessions, &memory, &pair, wsi_text("{\"a\":\"signed\"}", 14),
                                      virtual_wall(&w.now))) {
        HOLDS(pair.size < sizeof text);
        memcpy(text, pair.data, pair.size);
        text[pair.size] = 0;
        if (wrong > 8 && wrong < pair.size)
            text[wrong] ^= 1;
    }
    wsi_buffer_free(&memory, &pair);
    return text;
}

/* Requests that depend on a further byte; %s is the cookie of a session. */
static void client_http_seldom(client *c, unsigned how) {
    static const char *const requests[] = {
        "GET /session HTTP/1.1\r\nHost: h\r\nCookie: x=y; %s\r\n\r\n",
        "POST /json HTTP/1.1\r\nHost: h\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 17\r\n"
        "Cookie: %s\r\n\r\n{\"user\":[1,2e3]}\n",
        "POST /json HTTP/1.1\r\nHost: h\r\nContent-Type: a/b+json\r\nContent-Length: 3\r\n\r\n{]}",
        "POST /form HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: "
        "chunked\r\n\r\n7;q=\"\\\";\"\r\nf=a%%2B%%\r\n4\r\n41&g\r\n0\r\nTrailer: x\r\n\r\n",
        "GET /files/packaging/copy.c HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Wed, 15 Nov 2051 22:13:20 GMT\r\n\r\n",
        "GET /files/packaging/copy.c HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n\r\n",
        "GET /files/packaging HTTP/1.1\r\nHost: h\r\n\r\n", "GET /files/%%2e%%2e/ws.h HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /n/-12 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /n/12/0.5/01234567-89ab-cdef-0123-456789ABCDEF HTTP/1.1\r\n"
        "Host: h\r\n\r\n",
        "DELETE /n/12/1./01234567-89ab-cdef-0123-456789ABCDEF HTTP/1.1\r\nHost: h\r\nOrigin: null\r\n"
        "Sec-Fetch-Site: cross-site\r\n\r\n",
        "POST /post HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-site\r\nContent-Length: 1\r\n\r\nx",
        "GET /page?q=1&q=%%41+b&=&x=%%zz HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4, 10.0.0.1:80\r\n\r\n",
        "GET /none HTTP/1.1\r\nHost: h\r\nIf-None-Match: *\r\nCookie: a=\"b\"\r\nCookie: %s\r\n\r\n",
        "GET /files/helpers/net.h HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
        "OPTIONS /page HTTP/1.1\r\nHost: h\r\nAccess-Control-Request-Method: PUT\r\n\r\n"};
    char text[1000];
    (void)snprintf(text, sizeof text, requests[how & 15], signed_session(how >> 4 & 7 ? take() : 0));
    client_send(c, text, strlen(text));
    client_ask(c, false);
}

static void client_http(client *c, unsigned how) {
    static const char *const requests[] = {
        "GET /page HTTP/1.1\r\nHost: h\r\nCookie: secret=%s\r\n\r\n",
        "HEAD /page HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /post HTTP/1.1\r\nHost: h\r\nCookie: secret=%s\r\nContent-Length: 20\r\n\r\n12345678901234567890",
        "POST /post HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n3;x=y\r\n012\r\n0\r\n\r\n",
        "GET /files/ HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
        "GET /files/packaging/copy.c HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /page HTTP/1.0\r\n\r\n",
        "PUT /page HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST /form HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 3\r\n\r\nf=a" "",
        "POST /post HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "GET /session HTTP/1.1\r\nHost: h\r\nCookie: session=abc.def; secret=%s\r\n\r\n",
        "HEAD /files/packaging/copy.c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n",
        "GET /keep HTTP/1.1\r\nHost: h\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://h/page HTTP/1.1\r\nHost: other\r\nConnection: keep-alive\r\n\r\n"};
    char text[1000];
    const char *request = requests[how & 15];
    if (c->asked == sizeof c->heads)
        return;
    if (how & 128) {
        client_http_seldom(c, how);
        return;
    }
    (void)snprintf(text, sizeof text, request, secret_of((size_t)(c - w.clients)));
    client_send(c, text, strlen(text));
    client_ask(c, request[0] == 'H');
    if ((how & 15) == 9 || (how & 15) == 12) /* a body is to follow */
        c->raw = true;
}

static void client_frame(client *c, unsigned first, unsigned kind, size_t size) {
    static uint8_t payload[LARGEST];
    bytes out = {NULL, 0, 0};
    wire_frame frame;
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)((kind & 3) == 0 ? 'a' + i % 26 : (kind & 3) == 1 ? take() : (i * i) & 255);
    if ((kind & 3) == 2 && size >= 2) { /* a close code, or a stored block */
        unsigned value = take();
        payload[0] = (uint8_t)(3 + (value >> 7));
        payload[1] = (uint8_t)(0xe8 + value % 24);
    }
    memset(&frame, 0, sizeof frame);
    frame.first = first;
    frame.data = payload;
    frame.size = size;
    frame.length_bits = kind & 0x40 ? 16 : kind & 0x80 ? 64 : 0;
    wire_frame_add(&out, &frame, (kind & 0x3c) != 0x3c);
    client_send(c, out.data, out.size);
    bytes_free(&out);
}

/* A compressed message. */
static void client_compressed(client *c, size_t size, unsigned level) {
    static uint8_t plain[LARGEST], packed[LARGEST * 2];
    bytes out = {NULL, 0, 0};
    for (size_t i = 0; i < size; i++)
        plain[i] = (uint8_t)('a' + (i * i / 7) % 13);
    wire_put(&out, 0xc1, packed, judge_deflate(plain, size, packed, sizeof packed, level), true);
    client_send(c, out.data, out.size);
    bytes_free(&out);
}

/* The header of a trusted proxy, in front of everything else and never veiled. */
static void proxy_header(network_peer *peer, unsigned how) {
    static const char *const lines[] = {"PROXY TCP4 192.0.2.9 192.0.2.1 1 65535\r\n", "PROXY UNKNOWN\r\n",
                                        "PROXY TCP6 2001:db9::2 ::1 80 443\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n"};
    uint8_t binary[60] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    size_t more = how & 1 ? 12 : 36;
    if (how & 2) {
        bytes_add(&peer->in, lines[how >> 2 & 3], strlen(lines[how >> 2 & 3]));
        return;
    }
    binary[13] = how & 1 ? 0x11 : 0x21;
    binary[15] = (uint8_t)more;
    if (how & 4)
        binary[12 + (how >> 3 & 3)] ^= (uint8_t)take();
    for (size_t i = 16; i < sizeof binary; i++)
        binary[i] = (uint8_t)(i * 7 + how);
    bytes_add(&peer->in, binary, 16 + more);
}

static void client_connect(unsigned from) {
    static const char *const hosts[] = {"192.0.2.1", "192.0.2.2", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.2", ""};
    client *c = &w.clients[w.client_count];
    int peer;
    if (w.client_count == PEERS)
        return;
    peer = network_connect(hosts[from % 6]);
    if (peer < 0)
        return;
    memset(c, 0, sizeof *c);
    c->peer = peer;
    c->conn = -1;
    if (from & 128) {
        c->raw = true; /* whether it is read depends on who the proxy is */
        proxy_header(&network.peers[peer], from >> 1);
    }
    if (w.tls)
        tls_peer_begin(&c->tls, &network.peers[peer], from & 64, from & 32 ? &certs.alice : NULL);
    w.client_count++;
}

/* --- what the peers got --- */

static void heard(judge *j, const uint8_t *data, size_t size) {
    client *c = (client *)j->user;
    record *r;
    judge_message *last = &j->list.all[j->list.count - 1];
    if (c->conn < 0)
        return;
    r = &w.records[c->conn];
    if (r->sends.taken < r->sends.count) {
        judge_message next = r->sends.all[r->sends.taken];
        if (next.hash == last->hash && next.size == last->size && next.type == last->type) {
            r->sends.taken++;
            return;
        }
    }
    HOLDS(is_broadcast(data, size, last->type));
}

/* Reads one answer of HTTP. false: it is not whole. */
static bool client_answer(client *c) {
    char *text = (char *)c->got.data + c->parsed, *end;
    size_t left = c->got.size - c->parsed, head, body = 0;
    const char *length;
    int status;
    bytes_add_byte(&c->got, 0); /* as a text */
    c->got.size--;
    text = (char *)c->got.data + c->parsed;
    end = strstr(text, "\r\n\r\n");
    if (!end)
        return false;
    HOLDS(strncmp(text, "HTTP/1.1 ", 9) == 0);
    status = atoi(text + 9);
    HOLDS(status >= 100 && status <= 699 && text[12] == ' ');
    head = (size_t)(end - text) + 4;
    length = judge_header_in(text, "Content-Length");
    HOLDS(!judge_header_in(text, "Transfer-Encoding"));
    if (status == 101) {
        HOLDS(judge_line_has(judge_header_in(text, "Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") || c->raw);
        c->parsed += head;
        c->open = true;
        c->in.user = c;
        c->in.on_message = heard;
        judge_agree(&c->in, text, true);
        c->out.masked = true;
        judge_agree(&c->out, text, false);
        return false;
    }
    if (status != 100) {
        bool asked = c->answered < c->asked, is_head = asked && c->heads[c->answered] == 'H';
        c->speaks = false;
        HOLDS(length || status == 304 || status == 204 || status == 205);
        body = length && !is_head && status != 304 ? (size_t)atol(length) : 0;
        if (c->raw && body && (left == head ? network.peers[c->peer].closed
                                            : strncmp(text + head, "HTTP/1.1 ", 9) == 0))
            body = 0; /* to a HEAD that nobody here knows of */
    }
    if (left - head < body)
        return false;
    c->answered += status != 100;
    c->parsed += head + body;
    return true;
}

static bool holds_text(const bytes *b, const char *text) {
    return b->size && memmem(b->data, b->size, text, strlen(text)) != NULL;
}

/* What came is read and judged. */
static void client_read(client *c) {
    network_peer *peer = &network.peers[c->peer];
    size_t from = c->got.size;
    if (c->tls.ssl) {
        tls_peer_read(&c->tls, peer, &c->read_at, &c->got);
    } else if (peer->out.size > c->read_at) {
        bytes_add(&c->got, peer->out.data + c->read_at, peer->out.size - c->read_at);
        c->read_at = peer->out.size;
        for (size_t i = from; w.veiled && i < c->got.size; i++)
            c->got.data[i] ^= VEIL;
    }
    while (!c->open && c->got.size > c->parsed && client_answer(c)) {}
    if (!c->open)
        return;
    judge_read(&c->in, c->got.data + c->parsed, c->got.size - c->parsed);
    HOLDS(!c->in.wrong && !c->in.lost);
}

/* What the server was told is what the peer said, so far. */
static void client_compare(client *c) {
    record *r = c->conn >= 0 ? &w.records[c->conn] : NULL;
    if (!r || !c->open)
        return;
    if (c->in.closed && r->closing && c->in.code == r->code)
        HOLDS(r->sends.taken >= r->must);
    if (!c->speaks || !c->sent.size)
        return;
    judge_read(&c->out, c->sent.data + c->from, c->sent.size - c->from);
    if (c->out.lost)
        return;
    HOLDS(r->received.count <= c->out.list.count);
    for (; r->received.taken < r->received.count; r->received.taken++) {
        judge_message a = r->received.all[r->received.taken], b = c->out.list.all[r->received.taken];
        HOLDS(a.type == b.type && a.size == b.size && a.hash == b.hash);
    }
}

static void check_all(void) {
    for (size_t i = 0; i < w.client_count; i++) {
        client *c = &w.clients[i];
        client_read(c);
        client_compare(c);
    }
}

static void run(unsigned rounds) {
    while (rounds-- && w.loop && w.steps < STEPS) {
        w.steps++;
        if (!ws_run_once(w.loop, 0)) {
            w.over = true;
            break;
        }
        for (size_t i = 0; w.tls && i < w.client_count; i++)
            client_read(&w.clients[i]);
    }
    check_all();
}

/* --- the program --- */

static void fail(unsigned what, unsigned when) {
    static const int errors[] = {ENOMEM, EMFILE, ECONNRESET, EAGAIN, EINTR, EPIPE, ENOBUFS, ECONNABORTED};
    unsigned call = what % NETWORK_CALLS;
    if (what < 128) {
        w.memory.fail_at = w.memory.calls + 1 + when % 32;
        w.memory.fail_after = what & 1;
        return;
    }
    network.fail_in[call] = 1 + when % 32;
    network.fail_with[call] = call == NETWORK_SELECT ? EINTR
                              : call == NETWORK_SEND || call == NETWORK_RECV ? (when & 32 ? ECONNRESET : EAGAIN)
                                                                             : errors[when >> 5];
}

static void operate(void) {
    static const uint32_t times[] = {1, 10, 100, 1000, 5001, 10001, 25001, 31000, 76000, 200000};
    unsigned what = take(), a = take(), b;
    client *c = w.client_count ? &w.clients[a % w.client_count] : NULL;
    size_t size;
    if (!c || what % 16 == 0) {
        client_connect(a);
        return;
    }
    b = take();
    switch (what % 16) {
    case 1: client_handshake(c, b); break;
    case 2: client_http(c, b); break;
    case 3: /* any bytes */
        size = b < in.size ? b : in.size;
        c->raw = true;
        if (c->tls.ssl && a & 64)
            bytes_add(&network.peers[c->peer].in, in.data, size); /* between the records */
        else
            client_send(c, in.data, size);
        in.data += size, in.size -= size;
        break;
    case 4: client_frame(c, 0x80 | (b & 15), b & 0xf0 & (take() | 0xc3), take() % 130); break;
    case 5: client_frame(c, b, 0, take() * 300u % LARGEST); break;
    case 6: client_frame(c, b, take(), take() % 140); break;
    case 7: client_compressed(c, b * 270u % LARGEST, take()); break;
    case 8:
        if (c->tls.ssl && b & 0xf0)
            tls_peer_act(&c->tls, &network.peers[c->peer], b >> 4);
        network.peers[c->peer].finished = network.peers[c->peer].finished || b & 1;
        network.peers[c->peer].reset = network.peers[c->peer].reset || (b & 6) == 6;
        break;
    case 9: network.peers[c->peer].room = b < 200 ? b * b : SIZE_MAX; break;
    case 10: run(1 + b % 8); break;
    case 11: w.now += times[b % 10]; run(2); break;
    case 12:
    case 13:
        if (w.scripted < SCRIPT) {
            w.script[w.scripted][0] = (uint8_t)a;
            w.script[w.scripted][1] = (uint8_t)b;
            w.script[w.scripted++][2] = (uint8_t)take();
        }
        break;
    case 14: act(NULL, (const uint8_t[]){(uint8_t)a, (uint8_t)b, (uint8_t)take()}); break;
    default:
        if (b & 1)
            fail(take(), take());
        else
            network.piece = b >> 1;
        break;
    }
    HOLDS(w.memory.used <= w.loop->memory.limit);
}

/* A trace that writes each event, in as much room as its time gives. */
static void traced(const ws_trace_event *event, void *user) {
    char text[300];
    size_t size = 1 + (size_t)(event->time + (uint64_t)event->kind * 37) % sizeof text;
    HOLDS(user == &w && event->text && (event->data || !event->data_size));
    (void)judge_hash(event->data, event->data_size, 0); /* all of it can be read */
    ws_trace_text(event, text, size);
    HOLDS(strlen(text) < size);
    for (const char *at = text; *at; at++)
        HOLDS(*at >= ' ' && *at <= '~');
}

static bool add_routes(void) {
    static const char *const keys[] = {"0123456789abcdef0123456789abcdef", NULL};
    ws_handler handler, other;
    ws_session_config session;
    memset(&handler, 0, sizeof handler);
    memset(&session, 0, sizeof session);
    handler.on_open = on_open;
    handler.on_message = on_message;
    handler.on_drain = on_drain;
    handler.on_close = on_close;
    other = handler;
    if (!ws_route(w.server, "/", &handler) || !ws_route(w.server, "/room/{room}", &handler))
        return false;
    other.on_message = NULL;
    other.on_chunk = on_chunk;
    if (!ws_route(w.server, "/chunks", &other))
        return false;
    handler.deflate.on = true;
    if (!ws_route(w.server, "/deflate", &handler))
        return false;
    handler.deflate.context = true;
    handler.deflate.window_bits = 10;
    handler.on_request = on_request;
    session.keys = keys;
    handler.subprotocols = "superchat, chat";
    return ws_route(w.server, "/context", &handler) && ws_route(w.server, "/sub", &handler)
           && ws_http(w.server, "GET, DELETE", "/n/{n:int}/{x:float}/{i:uuid}", on_http, NULL)
           && ws_http_from(w.server, "*", "GET", "/n/-{n:int}", on_http, NULL)
           && ws_page(w.server, "/page", "text/html", "<p>a page</p>") && ws_before(w.server, hook, NULL)
           && ws_sessions(w.server, &session) && ws_http(w.server, "GET, POST", "/{what}", on_http, NULL)
           && ws_files(w.server, "/files/", "tests");
}

static void start(void) {
    unsigned a = take(), b = take(), c = take();
    ws_loop_config loop;
    ws_server_config server;
    memset(&loop, 0, sizeof loop);
    memset(&server, 0, sizeof server);
    w.now = 1000000;
    w.echoes = true;
    loop.allocator.resize = drive_resize;
    loop.allocator.user = &w.memory;
    loop.clock = virtual_clock;
    loop.clock_user = &w.now;
    loop.wall_clock = virtual_wall;
    loop.poller = WS_POLLER_SELECT;
    loop.receive_size = 16384;
    loop.max_memory = a & 1 ? 400000 : 0;
    loop.max_unfinished = a & 2 ? 3000 : 0;
    loop.max_spare = a & 4 ? 1 : 0;
    w.veiled = a & 8;
    server.transport = w.veiled ? &veil_transport : NULL;
    server.limits.message = a & 16 ? 3000 : 0;
    server.limits.buffered = a & 32 ? 5000 : 0;
    server.limits.body = a & 64 ? 100 : 0;
    server.limits.rooms = a & 128 ? 2 : 0;
    server.origins = b & 1 ? "https://a.example, https://*.b.example" : b & 2 ? "*" : NULL;
    server.hosts = b & 4 ? "server.example, h, 127.0.0.1" : NULL;
    server.proxies = b & 8 ? "10.0.0.0/8, unix, 2001:db8::/32" : NULL;
    server.proxy_protocol = (b & 24) == 24;
    server.forwarded = (b & 40) == 40;
    server.address_connections = b & 32 ? 2 : 0;
    server.address_rate = b & 64 ? 3 : 0;
    server.message_rate = b & 128 ? 5 : 0;
    server.byte_rate = c & 1 ? 1000 : 0;
    server.rate_closes = c & 2;
    server.max_connections = c & 4 ? 4 : 0;
    server.limits.head = c & 8 ? 700 : 0;
    server.limits.ping_ms = c & 16 ? 1000 : 0;
    loop.trace = c & 32 ? traced : NULL;
    loop.trace_user = &w;
    w.tls = network.follows = (c & 192) == 192 && !w.veiled; /* seldom: handshakes take long */
    if (w.tls) {
        server.tls.cert_pem = certs.server.pem;
        server.tls.key_pem = certs.server.key_pem;
        server.tls.ca_pem = b & 2 ? certs.ca.pem : NULL; /* a client may show a certificate */
        server.tls.client_cert_optional = b & 2;
    }
    w.loop = ws_loop_new(&loop);
    HOLDS(w.loop);
    w.server = ws_listen(w.loop, &server);
    HOLDS(w.server && add_routes());
}

/* Faults are over, and all peers read and end: what is open closes, in its time; a further peer is served. */
static void settle(void) {
    w.memory.fail_at = 0;
    memset(network.fail_in, 0, sizeof network.fail_in);
    network.piece = 0;
    w.steps = 0;
    w.scripted = w.played = 0;
    run(4);
    for (int i = 0; i < w.record_count; i++)
        if (w.records[i].state == OPENED)
            (void)ws_resume(w.records[i].conn);
    for (int i = 0; i < network.peer_count; i++) {
        network.peers[i].room = SIZE_MAX;
        network.peers[i].finished = true;
    }
    for (int i = 0; i < 12 || (i < 500 && w.loop->conn_count); i++) { /* longer than every limit, and rate */
        run(6);
        w.now += i < 12 ? 11000 : 100000;
        w.steps = 0;
    }
    if (!w.over && w.server) {
        ws_stats stats = ws_loop_stats(w.loop);
        HOLDS(stats.open == 0 && stats.others == 0 && stats.buffered == 0);
    }
}

static void finish(void) {
    ws_loop_free(w.loop);
    check_all();
    for (size_t i = 0; i < w.client_count; i++) {
        client *c = &w.clients[i];
        for (size_t k = 0; k < w.client_count; k++)
            HOLDS(k == i || !holds_text(&c->got, secret_of(k)) || holds_text(&c->sent, secret_of(k)));
        judge_free(&c->in);
        judge_free(&c->out);
        bytes_free(&c->sent);
        bytes_free(&c->got);
        tls_peer_free(&c->tls);
    }
    for (int i = 0; i < w.record_count; i++) {
        HOLDS(w.records[i].state == ENDED);
        free(w.records[i].sends.all);
        free(w.records[i].received.all);
    }
    HOLDS(w.opened == w.closed && !w.memory.used && !w.memory.wrong && !veils);
    network_end();
}

/* Once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    FILE *file = fopen("tests/fuzz/fuzz_server.c", "r");
    (void)argc, (void)argv;
    if (!file) {
        fprintf(stderr, "start this program at the top of the tree: it serves the files of tests/\n");
        exit(1);
    }
    (void)fclose(file);
    certs_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    network_start();
    memset(&w, 0, sizeof w);
    in.data = data;
    in.size = size;
    start();
    while (in.size && !w.over && w.server && w.record_count < CONNS - 8)
        operate();
    settle();
    finish();
    return 0;
}
