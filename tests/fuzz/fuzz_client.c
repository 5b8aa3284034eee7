/* libFuzzer target: a client whose servers, proxies and networks are the input: a program of answers, redirects, bytes,
   frames, connects that fail, names that resolve late, ends, faults and time. The first bytes are the client's config.

   What must hold: a request is whole and for the host that it goes to; credentials, headers and the proxy's password
   reach nobody but whom they are for; what the client sends is frames, masked, as judge.h reads them, in order; it gets
   what judge.h reads in what the server sent; on_open, on_close and on_error come in turns; it does not come back
   before its time; memory and descriptors are given back. */
#include "network.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/drive.h"
#include "judge.h"
#include "program.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

enum { SCRIPT = 32, STEPS = 3000 };

typedef struct server { /* the far end of a connection that the client made */
    size_t read_at, parsed;
    bytes got, sent;     /* in clear */
    bool veiled, tunnel; /* behind a proxy's 200, or there was no proxy: the rest is with the server */
    bool proxied, asked, raw;
    size_t answered;     /* proxies: where in sent their answer ends */
    size_t from;         /* of sent: frames begin here; 0: not yet */
    char host[128];      /* whom it is for: "a.example:80" */
    char head[2000];     /* the request */
    judge in, out;       /* of the client's frames; of the server's */
} server;

typedef struct world {
    ws_loop *loop;
    ws_conn *conn;
    ws_id id;
    uint64_t now, earliest; /* no connect before */
    drive_memory memory;
    ws_client_config config;
    server servers[NETWORK_PEERS];
    enum { IDLE, DIALING, OPENED } state;
    unsigned opened, closed, errors;
    int current;            /* the server of the open connection; -1 */
    judge_list sends, received;
    uint64_t chunk_hash, part_hash;
    size_t part_size, chunk_size;
    unsigned part_type;
    bool secure, plain_allowed, veiled, raw, moves;
    bool ended; /* no further attempt follows, and w.conn is there only while it is open */
    char first[128];        /* whom the secrets are for */
    uint8_t script[SCRIPT][3];
    size_t scripted, played, outcome_count;
    uint8_t outcomes[SCRIPT]; /* of connects */
    unsigned depth, steps;
} world;

static world w;

static const char *const urls[] = {
    "ws://alice:SECRETU@a.example/chat?x=1", "ws://a.example:8080/", "wss://alice:SECRETU@a.example/chat",
    "wss://a.example:8443", "ws://10.0.0.1/", "ws://[fd00::1]:8080/", "ws://c.example/", "http://b.example/"};
static const char *const places[] = {
    "/other?y=2", "ws://b.example/", "wss://b.example/x", "ws://a.example:8080/", "wss://a.example/",
    "http://a.example/",
    "//b.example/y", "ws://eve:EVIL@b.example/", "../..//./z", "?q", "#f", "ftp://a.example/", "ws://10.0.0.2:8080/",
    "wss://a.example:8443/", "https://B.example./", "ws://a.example.:80/"};

/* --- names, and what connects come to --- */

static const char *resolve(const char *host) {
    static const char *const names[][2] = {
        {"a.example", "10.0.0.1 fd00::1"}, {"b.example", "10.0.0.2"}, {"B.example.", "10.0.0.2 10.0.0.22"},
        {"a.example.", "10.0.0.1"}, {"proxy.example", "10.0.0.9"}, {"many.example", "10.0.1.1 10.0.1.2 fd00::11"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], host) == 0)
            return names[i][1];
    return NULL;
}

static bool is_proxy(const network_peer *peer) { return network_port(&peer->name) == 3128; }

static int connecting(network_peer *peer) {
    static const int outcomes[] = {0, EINPROGRESS, ECONNREFUSED, ETIMEDOUT};
    server *s = &w.servers[peer - network.peers];
    unsigned outcome = w.outcome_count ? w.outcomes[--w.outcome_count] : 1;
    unsigned port = network_port(&peer->name);
    memset(s, 0, sizeof *s);
    HOLDS(w.now >= w.earliest && w.state == DIALING);
    w.earliest = 0;
    s->proxied = w.config.proxy != NULL;
    HOLDS(s->proxied == is_proxy(peer));
    s->tunnel = !s->proxied;
    s->veiled = w.veiled;
    HOLDS(!w.secure || w.plain_allowed || s->proxied || w.raw || port == 443 || port == 8443);
    return outcomes[outcome % 4];
}

/* --- actions --- */

static void play(void);

static void send_message(ws_message message) {
    judge_message one = judged(message);
    if (w.conn && ws_send(w.conn, message))
        judge_add(&w.sends, one);
}

static void send_part(ws_message part, bool last) {
    uint64_t hash = judge_hash(part.data, part.size, w.part_type ? w.part_hash : 0);
    unsigned type = part.type == WS_TEXT ? 1 : 2;
    if (!ws_send_part(w.conn, part, last))
        return;
    w.part_size = part.size + (w.part_type ? w.part_size : 0);
    w.part_type = w.part_type ? w.part_type : type;
    w.part_hash = hash;
    if (last) {
        judge_message one = {w.part_type, w.part_size, w.part_hash};
        judge_add(&w.sends, one);
        w.part_type = 0;
    }
}

/* Whether w.conn may be used. */
static bool alive(void) { return w.conn && w.state != IDLE && !(w.ended && w.state != OPENED); }

static void act(const uint8_t *step) {
    static const size_t sizes[] = {0, 1, 12, 64, 125, 126, 700, 4000, 16384, 65535, 65536, 70000};
    ws_message message = make_message('D', (unsigned)w.sends.count, sizes[step[2] % 12], step[1] & 1);
    if (!alive())
        return;
    switch (step[0] % 16) {
    case 0:
    case 1:
    case 2: send_message(message); break;
    case 3:
    case 4: send_part(message, step[1] & 2); break;
    case 5: (void)ws_ping(w.conn, filler, step[2] % 130); break;
    case 6:
    case 7:
        if (ws_close(w.conn, (uint16_t)(step[1] & 1 ? 1000 + step[2] % 16 : 0), "reason"))
            w.ended = true;
        break;
    case 8: (void)ws_pause(w.conn); break;
    case 9: (void)ws_resume(w.conn); break;
    case 10:
        ws_drop(w.conn);
        w.ended = true;
        break;
    case 11: (void)ws_body(w.conn), (void)ws_header_at(w.conn, "set-cookie", 1); break;
    case 12: (void)ws_last_error_text(w.conn); break;
    case 13: HOLDS(!ws_header_at(w.conn, "x", step[2]) || ws_status(w.conn)); break;
    case 14: (void)ws_buffered(w.conn); break;
    default: HOLDS(ws_find(w.loop, w.id) == w.conn); break;
    }
}

static void play(void) {
    if (w.played < w.scripted && w.depth < 3) {
        w.depth++;
        act(w.script[w.played++]);
        w.depth--;
    }
}

/* --- callbacks --- */

static void is_ours(ws_conn *conn) { HOLDS(ws_user(conn) == &w && (!w.id || ws_conn_id(conn) == w.id)); }

static void on_open(ws_conn *conn) {
    is_ours(conn);
    HOLDS(w.state == DIALING && ws_state(conn) == WS_OPEN && ws_status(conn) == 101);
    w.state = OPENED;
    w.opened++;
    w.current = -1;
    for (int i = 0; i < network.peer_count; i++)
        if (network.peers[i].fd >= 0 && network.peers[i].fd == conn->source.link.descriptor)
            w.current = i;
    w.sends.count = w.sends.taken = w.received.count = w.received.taken = 0;
    w.part_type = 0, w.chunk_hash = 0;
    play();
}

static void on_message(ws_conn *conn, ws_message message) {
    is_ours(conn);
    HOLDS(w.state == OPENED && !message.data[message.size]);
    judge_add(&w.received, judged(message));
    send_message(message);
    play();
}

static void on_chunk(ws_conn *conn, ws_chunk chunk) {
    is_ours(conn);
    HOLDS(w.state == OPENED && chunk.first == (w.chunk_hash == 0));
    w.chunk_size = chunk.size + (chunk.first ? 0 : w.chunk_size);
    w.chunk_hash = judge_hash(chunk.data, chunk.size, w.chunk_hash);
    if (chunk.last) {
        judge_message one = {chunk.type == WS_TEXT ? 1 : 2, w.chunk_size, w.chunk_hash};
        judge_add(&w.received, one);
        w.chunk_hash = 0;
    }
    play();
}

static void on_pong(ws_conn *conn, ws_message payload) {
    is_ours(conn);
    HOLDS(w.state == OPENED && payload.size < 126);
    play();
}

static void on_drain(ws_conn *conn) {
    is_ours(conn);
    HOLDS(w.state == OPENED);
    play();
}

static void compare(void);

/* Whoever is away does not come back at once. */
static void came_to_end(const ws_conn *conn, bool refused) {
    const char *after = refused ? ws_header(conn, "retry-after") : NULL;
    uint64_t pause = w.config.reconnect_ms / 2, seconds = 0, most = w.config.retry_after_max_ms;
    int status = refused ? ws_status(conn) : 0;
    if (after && (status == 429 || status == 503) && *after >= '0' && *after <= '9' && strlen(after) < 9
        && strspn(after, "0123456789") == strlen(after))
        seconds = (uint64_t)atoi(after);
    most = most ? most : 300000;
    w.earliest = w.now + pause + (seconds * 1000 < most ? seconds * 1000 : most);
}

static void on_close(ws_conn *conn, ws_close_info why) {
    is_ours(conn);
    HOLDS(w.state == OPENED && why.code >= 1000 && why.reason && ws_closed(conn).code == why.code);
    compare();
    w.closed++;
    came_to_end(conn, false);
    play();
    w.state = w.config.reconnect_ms && !w.ended ? DIALING : IDLE;
    w.current = -1;
}

static void on_error(ws_conn *conn) {
    is_ours(conn);
    HOLDS(w.state == DIALING && ws_last_error(conn) && *ws_last_error_text(conn));
    w.errors++;
    came_to_end(conn, true);
    w.ended = w.ended || ws_state(conn) == WS_CLOSED;
    play();
    w.state = w.ended ? IDLE : DIALING;
}

static bool before(ws_conn *conn, const char **url, const char *const **headers) {
    is_ours(conn);
    (void)headers;
    if (w.moves) { /* elsewhere: what was for the first one is not for it */
        *url = "ws://b.example/moved";
        if (strcmp(w.first, "b.example:80") != 0)
            (void)snprintf(w.first, sizeof w.first, "nobody");
        w.secure = false;
    }
    return true;
}

/* --- the servers --- */

static void server_send(server *s, const void *data, size_t size) {
    network_peer *peer = &network.peers[s - w.servers];
    size_t at = peer->in.size;
    if (peer->finished || peer->reset || !(s->got.size || s->raw))
        return;
    bytes_add(&s->sent, data, size);
    bytes_add(&peer->in, data, size);
    for (size_t i = at; s->veiled && s->tunnel && i < peer->in.size; i++)
        peer->in.data[i] ^= VEIL;
}

static const char *accept_of(const server *s) {
    static char text[32];
    uint8_t digest[20];
    const char *key = judge_header_in(s->head, "Sec-WebSocket-Key");
    char all[64];
    (void)snprintf(all, sizeof all, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key ? key : "");
    (void)SHA1((const uint8_t *)all, strlen(all), digest);
    (void)EVP_EncodeBlock((uint8_t *)text, digest, 20);
    return text;
}

/* A Location with bytes of the input in the middle, or anywhere. */
static const char *spliced(const char *place) {
    static char text[200];
    size_t before = take() % (strlen(place) + 1), size = take() % 24, i = before;
    memcpy(text, place, before);
    for (; size && in.size; size--)
        text[i++] = (char)take();
    (void)snprintf(text + i, sizeof text - i, "%s", place + before);
    for (char *c = text; *c; c++)
        *c = *c == '\r' || *c == '\n' ? 'x' : *c;
    w.raw = true; /* whom it names, and whether with TLS, is not known here */
    return text;
}

static void answer(server *s, unsigned how, unsigned more) {
    static const char *const extras[] = {
        "", "Sec-WebSocket-Extensions: permessage-deflate\r\n", "Sec-WebSocket-Protocol: chat\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9; server_max_window_bits=8\r\n",
        "Sec-WebSocket-Extensions: unknown\r\n", "Sec-WebSocket-Protocol: other\r\n",
        "Set-Cookie: a=b\r\n X: folded\r\n"};
    static const char *const refusals[] = {
        "HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nRetry-After: 100\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 503 Busy\r\nRetry-After: Wed, 21 Oct 2035 07:28:00 GMT\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nbody",
        "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n", "HTTP/1.1 407 Who\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999999999\r\n\r\n", "0\r\n\r\n", "5\r\nabcde\r\n0\r\n\r\n",
        "HTTP/1.1 426 Old\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n", "SSH-2.0\r\n\r\n"};
    static const int moves[] = {301, 302, 303, 307, 308};
    char text[1500];
    if (s->proxied && !s->tunnel && s->got.size && how % 4) {
        static const char yes[] = "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n";
        server_send(s, yes, sizeof yes - 1);
        s->tunnel = true;
        s->answered = s->sent.size;
        return;
    }
    if (!s->got.size)
        return;
    if (how % 4 < 2) {
        (void)snprintf(text, sizeof text, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: %s\r\n"
                       "Sec-WebSocket-Accept: %s\r\n%s\r\n", more & 8 && more & 16 ? "close" : "upgrade, x",
                       more & 32 && more & 64 ? "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" : accept_of(s), extras[more & 7]);
        server_send(s, text, strlen(text));
        if (!s->from && s->asked && !s->raw) {
            s->from = s->sent.size;
            judge_agree(&s->in, text, false);
            judge_agree(&s->out, text, true);
            s->in.masked = true;
            if (w.config.deflate.on == false)
                s->in.deflate = s->out.deflate = false;
        }
    } else if (how % 4 == 2) {
        (void)snprintf(text, sizeof text, "HTTP/1.1 %d Moved\r\nLocation: %s\r\n\r\n", moves[more / 16 % 5],
                       how & 64 ? spliced(places[more % 16]) : places[more % 16]);
        server_send(s, text, strlen(text));
    } else {
        server_send(s, refusals[more % 14], strlen(refusals[more % 14]));
    }
}

static void server_frame(server *s, unsigned first, unsigned kind, size_t size) {
    static uint8_t payload[LARGEST];
    bytes out = {NULL, 0, 0};
    wire_frame frame;
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)((kind & 3) == 0 ? 'a' + i % 26 : (kind & 3) == 1 ? take() : (i * i) & 255);
    if ((kind & 3) == 2 && size >= 2) {
        unsigned value = take();
        payload[0] = (uint8_t)(3 + (value >> 7));
        payload[1] = (uint8_t)(0xe8 + value % 24);
    }
    memset(&frame, 0, sizeof frame);
    frame.first = first;
    frame.data = payload;
    frame.size = size;
    frame.length_bits = kind & 0x40 ? 16 : kind & 0x80 ? 64 : 0;
    wire_frame_add(&out, &frame, (kind & 0x3c) == 0x3c);
    server_send(s, out.data, out.size);
    bytes_free(&out);
}

static void server_compressed(server *s, size_t size, unsigned level) {
    static uint8_t plain[LARGEST], packed[LARGEST * 2];
    bytes out = {NULL, 0, 0};
    size_t made;
    for (size_t i = 0; i < size; i++)
        plain[i] = (uint8_t)('a' + (i * i / 7) % 13);
    made = judge_deflate(plain, size, packed, sizeof packed, level);
    wire_put(&out, 0xc1, packed, made, false);
    server_send(s, out.data, out.size);
    bytes_free(&out);
}

/* --- what the servers got --- */

static bool has(const char *text, const char *part) { return strstr(text, part) != NULL; }

/* The parts of a request that must be there once. */
static void check_lines(const char *head) {
    static const char *const once[] = {"Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"};
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        const char *value = judge_header_in(head, once[i]);
        HOLDS(value && !judge_header_in(strchr(value, '\r') - 0, once[i]));
    }
    for (const char *line = head; *line; line = strstr(line, "\r\n") + 2)
        for (const char *c = line; *c != '\r'; c++)
            HOLDS((uint8_t)*c >= ' ' && (uint8_t)*c < 127);
    HOLDS(strcspn(judge_header_in(head, "Sec-WebSocket-Key"), "\r") == 24);
}

/* "a.example" and port 80 are "a.example:80". */
static void name_host(char *out, size_t size, const char *value, bool secure) {
    size_t length = strcspn(value, "\r");
    bool port = memchr(value, ':', length) && value[length - 1] != ']';
    (void)snprintf(out, size, "%.*s%s", (int)length, value, port ? "" : secure ? ":443" : ":80");
}

static const char user_secret[] = "YWxpY2U6U0VDUkVUV"; /* "alice:SECRETU" in base64, less its end */
static const char proxy_secret[] = "cDpTRUNSRVRQ";      /* "p:SECRETP" */

/* From ws:// to wss:// of the same host, both at their own ports: that may take all along. */
static bool raised(const char *host) {
    size_t size = strlen(host);
    return size > 4 && strcmp(host + size - 4, ":443") == 0 && strlen(w.first) == size - 1
           && strncasecmp(host, w.first, size - 4) == 0 && strcmp(w.first + size - 4, ":80") == 0;
}

/* Whether the peer has one of the addresses of this host. */
static bool is_at(const network_peer *peer, const char *host) {
    char name[128], address[64];
    struct sockaddr_storage wanted;
    size_t size = strcspn(host, host[0] == '[' ? "]" : ":");
    (void)snprintf(name, sizeof name, "%.*s", (int)(host[0] == '[' ? size - 1 : size), host + (host[0] == '['));
    const char *all = resolve(name), *end = strrchr(name, 'l');
    if (!all && end && strncasecmp(end >= name + 4 ? end - 4 : name, "local", 5) == 0)
        return true; /* localhost has no look-up */
    for (all = all ? all : name; *all; all += strspn(all, " ")) {
        (void)snprintf(address, sizeof address, "%.*s", (int)strcspn(all, " "), all);
        all += strcspn(all, " ");
        network_address(&wanted, address, network_port(&peer->name));
        if (memcmp(&wanted, &peer->name, wanted.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                      : sizeof(struct sockaddr_in)) == 0)
            return true;
    }
    return false;
}

static void check_request(server *s) {
    const network_peer *peer = &network.peers[s - w.servers];
    unsigned port = network_port(&peer->name);
    char host[128];
    const char *value = judge_header_in(s->head, "Host");
    HOLDS(strncmp(s->head, "GET /", 5) == 0 && value);
    check_lines(s->head);
    HOLDS(!has(s->head, proxy_secret) && !judge_header_in(s->head, "Proxy-Authorization"));
    name_host(host, sizeof host, value, s->proxied ? has(s->host, ":443") : port == 443);
    if (s->proxied)
        HOLDS(strcasecmp(host, s->host) == 0);
    else
        HOLDS(atoi(strrchr(host, ':') + 1) == (int)port && is_at(peer, host));
    if (strcasecmp(host, w.first) != 0 && !raised(host)) {
        HOLDS(!has(s->head, user_secret) && !has(s->head, "SECRET"));
        HOLDS(!judge_header_in(s->head, "Cookie"));
    }
    HOLDS(!has(s->head, "SECRETU") && !has(s->head, "EVIL")); /* never as they stand in the URL */
    s->asked = true;
}

static void check_tunnel(server *s) {
    const char *target = s->head + 8;
    HOLDS(strncmp(s->head, "CONNECT ", 8) == 0 && !has(s->head, user_secret) && !has(s->head, "SECRETH"));
    HOLDS(!has(s->head, "SECRETC") && !judge_header_in(s->head, "Cookie"));
    (void)snprintf(s->host, sizeof s->host, "%.*s", (int)strcspn(target, " "), target);
    HOLDS(strncmp(judge_header_in(s->head, "Host"), s->host, strlen(s->host)) == 0);
}

/* Takes a head out of what came. false: it is not whole. */
static bool server_head(server *s) {
    char *text, *end;
    bytes_add_byte(&s->got, 0);
    s->got.size--;
    text = (char *)s->got.data + s->parsed;
    end = strstr(text, "\r\n\r\n");
    if (!end)
        return false;
    HOLDS((size_t)(end - text) + 4 < sizeof s->head);
    (void)snprintf(s->head, sizeof s->head, "%.*s", (int)(end - text) + 4, text);
    s->parsed += (size_t)(end - text) + 4;
    return true;
}

static void heard(judge *j, const uint8_t *data, size_t size) {
    judge_message last = j->list.all[j->list.count - 1], next;
    (void)data, (void)size;
    if (w.current < 0 || j != &w.servers[w.current].in)
        return;
    HOLDS(w.sends.taken < w.sends.count);
    next = w.sends.all[w.sends.taken++];
    HOLDS(next.hash == last.hash && next.size == last.size && next.type == last.type);
}

static void server_read(server *s) {
    network_peer *peer = &network.peers[s - w.servers];
    size_t from = s->got.size;
    if (peer->out.size > s->read_at) {
        bytes_add(&s->got, peer->out.data + s->read_at, peer->out.size - s->read_at);
        s->read_at = peer->out.size;
        for (size_t i = from; s->veiled && s->tunnel && i < s->got.size; i++)
            s->got.data[i] ^= VEIL;
    }
    if (s->proxied && !s->host[0]) {
        if (!server_head(s))
            return;
        check_tunnel(s);
    }
    if (!w.veiled && w.secure && !w.moves && !w.plain_allowed && s->tunnel && !w.raw) {
        HOLDS(!s->got.size || s->got.size == s->parsed || s->got.data[s->parsed] == 0x16); /* TLS, or nothing */
        return;
    }
    if (!s->tunnel) {
        HOLDS(s->got.size == s->parsed || s->raw); /* nothing before the proxy's answer */
        return;
    }
    if (!s->asked && s->got.size > s->parsed && s->got.data[s->parsed] == 'G' && server_head(s))
        check_request(s);
    if (!s->from || !s->asked)
        return;
    s->in.on_message = heard;
    judge_read(&s->in, s->got.data + s->parsed, s->got.size - s->parsed);
    HOLDS(!s->in.wrong && !s->in.lost);
}

/* What the client was told is what the server said, so far. */
static void compare(void) {
    server *s = w.current >= 0 ? &w.servers[w.current] : NULL;
    for (int i = 0; i < network.peer_count; i++)
        if (network.peers[i].dialed)
            server_read(&w.servers[i]);
    if (!s || !s->from)
        return;
    judge_read(&s->out, s->sent.data + s->from, s->sent.size - s->from);
    if (s->out.lost)
        return;
    HOLDS(w.received.count <= s->out.list.count);
    for (; w.received.taken < w.received.count; w.received.taken++) {
        judge_message a = w.received.all[w.received.taken], b = s->out.list.all[w.received.taken];
        HOLDS(a.type == b.type && a.size == b.size && a.hash == b.hash);
    }
}

static void run(unsigned rounds) {
    while (rounds-- && w.steps < STEPS) {
        w.steps++;
        if (!ws_run_once(w.loop, 0))
            break;
    }
    compare();
}

/* --- the program --- */

/* Of the input; it belongs to the config, too. */
static unsigned last_byte(void) { return in.size ? in.data[in.size - 1] : 0; }

static void traced(const ws_trace_event *event, void *user) {
    char text[300];
    size_t size = 1 + (size_t)(event->time + (uint64_t)event->kind * 37) % sizeof text;
    HOLDS(user == &w && event->text && (event->data || !event->data_size));
    (void)judge_hash(event->data, event->data_size, 0); /* all of it can be read */
    ws_trace_text(event, text, size);
    HOLDS(strlen(text) < size);
}

static void dial(void) {
    static const char *const secret[] = {"Authorization: Bearer SECRETH", "Cookie: c=SECRETC", NULL};
    static const char *const cookie[] = {"Cookie: c=SECRETC", NULL};
    unsigned a = take(), b = take(), c = take(), last = last_byte();
    ws_client_config *config = &w.config;
    ws_handler handler;
    const char *url = urls[a & 7], *authority = strstr(url, "//") + 2, *at = strchr(authority, '@');
    size_t size;
    memset(&handler, 0, sizeof handler);
    handler.on_open = on_open;
    handler.on_message = on_message;
    handler.on_drain = on_drain;
    handler.on_close = on_close;
    handler.on_error = on_error;
    handler.on_pong = on_pong;
    handler.on_chunk = last & 1 ? on_chunk : NULL;
    handler.user = &w;
    authority = at ? at + 1 : authority;
    size = strcspn(authority, "/");
    w.secure = strncmp(url, "wss", 3) == 0;
    (void)snprintf(w.first, sizeof w.first, "%.*s%s", (int)size, authority,
                   memchr(authority, ':', size) && authority[0] != '[' ? "" : strstr(authority, "]:") ? ""
                   : w.secure ? ":443" : ":80");
    config->headers = a & 8 ? secret : a & 16 ? cookie : NULL;
    config->proxy = (a & 96) == 96 ? "http://p:SECRETP@proxy.example:3128" : a & 32 ? "http://10.0.0.9:3128" : NULL;
    config->origin = a & 128 ? "https://a.example" : NULL;
    config->reconnect_ms = b & 3 ? (b & 3) * 300u : 0;
    config->reconnect_max_ms = b & 4 ? 1000 : 0;
    config->before_reconnect = b & 8 ? before : NULL;
    w.moves = (b & 24) == 24;
    config->max_redirects = b & 32 ? 2 : 0;
    config->allow_wss_to_ws = w.plain_allowed = b & 64;
    config->subprotocols = b & 128 ? "chat, other" : NULL;
    config->deflate.on = c & 1;
    config->deflate.context = c & 2;
    config->limits.message = c & 4 ? 3000 : 0;
    config->limits.buffered = c & 8 ? 3000 : 0;
    w.veiled = w.secure || c & 16;
    config->transport = w.veiled ? &veil_transport : NULL;
    if ((c & 224) == 224) { /* OpenSSL, with a server that has none */
        w.veiled = false;
        config->transport = NULL;
    }
    config->tls.accept_any_certificate = true; /* which loads no roots */
    config->limits.head = c & 32 ? 400 : 0;
    config->limits.body = c & 64 ? 4 : 0;
    network.later = c & 128;
    w.state = DIALING;
    w.conn = ws_dial(w.loop, url, &handler, config);
    HOLDS(w.conn);
    w.id = ws_conn_id(w.conn);
}

static void fail(unsigned what, unsigned when) {
    static const int errors[] = {ENOMEM, EMFILE, ECONNRESET, EAGAIN, EINTR, EPIPE, ENOBUFS, ETIMEDOUT};
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
    static const uint32_t times[] = {1, 10, 100, 250, 1000, 5001, 10001, 25001, 31000, 76000, 350000};
    unsigned what = take(), a = take(), b = take(), c;
    int last = network.peer_count - 1, number = a & 128 && last >= 0 ? (int)(a % (unsigned)(last + 1)) : last;
    server *s = number >= 0 ? &w.servers[number] : NULL;
    network_peer *peer = number >= 0 ? &network.peers[number] : NULL;
    size_t size;
    switch (what % 16) {
    case 0:
    case 1: run(1 + b % 8); break;
    case 2: w.now += times[b % 11]; run(3); break;
    case 3:
    case 4:
        run(2);
        if (s)
            answer(s, a, b);
        break;
    case 5: /* any bytes */
        size = b < in.size ? b : in.size;
        if (s) {
            w.raw = s->raw = true;
            server_send(s, in.data, size);
        }
        in.data += size, in.size -= size;
        break;
    case 6:
        c = take();
        if (s)
            server_frame(s, 0x80 | (b & 15), c & 0xc3, take() % 130);
        break;
    case 7:
        c = take();
        if (s)
            server_frame(s, b, a & 64 ? 0 : c & 3, c * 290u % LARGEST);
        break;
    case 8:
        if (s)
            server_compressed(s, b * 270u % LARGEST, a);
        break;
    case 9:
        if (peer) {
            peer->finished = peer->finished || b & 1;
            peer->reset = peer->reset || (b & 6) == 6;
        }
        break;
    case 10:
        if (peer)
            peer->room = b < 200 ? b * b : SIZE_MAX;
        break;
    case 11:
        if (w.outcome_count < SCRIPT)
            w.outcomes[w.outcome_count++] = (uint8_t)b;
        if (peer && peer->connecting == EINPROGRESS)
            peer->connecting = a & 1 ? ECONNREFUSED : 0;
        break;
    case 12:
    case 13:
        if (w.scripted < SCRIPT) {
            w.script[w.scripted][0] = (uint8_t)a;
            w.script[w.scripted][1] = (uint8_t)b;
            w.script[w.scripted++][2] = (uint8_t)take();
        }
        break;
    case 14: act((const uint8_t[]){(uint8_t)a, (uint8_t)b, (uint8_t)take()}); break;
    default:
        if (b & 1)
            fail(a, take());
        else if (b & 2)
            network_run_tasks();
        else
            network.piece = b >> 2;
        break;
    }
    if (a & 1 && peer && peer->connecting == EINPROGRESS && what % 16 < 9)
        peer->connecting = 0;
    HOLDS(w.memory.used <= w.loop->memory.limit);
}

static void start(void) {
    ws_loop_config loop;
    memset(&loop, 0, sizeof loop);
    w.now = 1000000;
    w.current = -1;
    loop.allocator.resize = drive_resize;
    loop.allocator.user = &w.memory;
    loop.clock = virtual_clock;
    loop.clock_user = &w.now;
    loop.wall_clock = virtual_wall;
    loop.poller = WS_POLLER_SELECT;
    loop.receive_size = 16384;
    loop.trace = last_byte() & 2 ? traced : NULL;
    loop.trace_user = &w;
    network.on_connect = connecting;
    network.on_name = resolve;
    w.loop = ws_loop_new(&loop);
    HOLDS(w.loop);
}

/* It is told to stop, and does. */
static void settle(void) {
    w.memory.fail_at = 0;
    memset(network.fail_in, 0, sizeof network.fail_in);
    network.piece = 0;
    w.steps = 0;
    w.scripted = w.played = 0;
    run(4);
    if (alive())
        (void)ws_resume(w.conn);
    run(2);
    if (alive())
        ws_drop(w.conn);
    w.ended = true;
    for (int i = 0; i < network.peer_count; i++) {
        network.peers[i].room = SIZE_MAX;
        network.peers[i].finished = true;
    }
    network_run_tasks();
    run(8);
    w.now += 60000;
    run(8);
    HOLDS(w.loop->conn_count == 0);
}

static void finish(void) {
    ws_loop_free(w.loop);
    network_run_tasks();
    compare();
    for (int i = 0; i < network.peer_count; i++) {
        server *s = &w.servers[i];
        judge_free(&s->in);
        judge_free(&s->out);
        bytes_free(&s->sent);
        bytes_free(&s->got);
    }
    free(w.sends.all);
    free(w.received.all);
    HOLDS(w.opened == w.closed && !w.memory.used && !w.memory.wrong && !veils);
    network_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    network_start();
    memset(&w, 0, sizeof w);
    in.data = data;
    in.size = size;
    start();
    dial();
    while (in.size && network.peer_count < NETWORK_PEERS - 8)
        operate();
    settle();
    finish();
    return 0;
}
