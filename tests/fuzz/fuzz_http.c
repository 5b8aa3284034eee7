/* libFuzzer target: HTTP. An even first byte: what follows is what a peer sends to a server with handlers, pages, kept
   requests and a WebSocket's route, over a transport in memory; at once and in pieces of a size that the first byte
   chooses it must come out the same. An odd one: a head, a chunk's line, a form, a date, a URL with a reference behind
   a line feed, and a server's answer to a client, for the functions that read these. */
#define WS_IMPLEMENTATION
#define WS_NO_TLS
#include "../../ws.h"

#define HOLDS(condition) ((condition) ? (void)0 : abort())

enum { ROOM = 1 << 20, ROUNDS = 100000, HEAD = 1000, BODY = 2000 };

static bool inside(wsi_slice part, wsi_slice whole) {
    return !part.data || (part.data >= whole.data && part.data + part.size <= whole.data + whole.size);
}

/* --- the server's side --- */

typedef struct record { /* what one run has shown */
    char *data;
    size_t size;
} record;

static struct {
    ws_conn *conn; /* NULL: closed */
    const uint8_t *in;
    size_t size, piece;
    bool ended, full;  /* full: takes nothing the next time */
    bool free_choice;  /* what comes back may depend on the pieces */
    record out, seen;
} wire;

static ws_loop *loop;
static ws_server *server;
static ws_id kept;

static void add(record *to, const void *data, size_t size) {
    size = size < ROOM - to->size ? size : ROOM - to->size;
    if (size)
        memcpy(to->data + to->size, data, size);
    to->size += size;
}

static bool wire_open(ws_link *link, const char *host, void *user) {
    (void)host, (void)user;
    wire.conn = (ws_conn *)(void *)((char *)link - offsetof(ws_conn, source));
    link->session = &wire;
    return true;
}

static ptrdiff_t wire_read(ws_link *link, void *data, size_t size) {
    (void)link;
    size = size < wire.size ? size : wire.size;
    if (!size)
        return wire.ended ? WS_ENDED : 0;
    memcpy(data, wire.in, size);
    wire.in += size;
    wire.size -= size;
    return (ptrdiff_t)size;
}

static ptrdiff_t wire_write(ws_link *link, const void *data, size_t size) {
    (void)link;
    wire.full = !wire.full && wire.piece < ROOM;
    if (!wire.full && wire.piece < ROOM)
        return 0;
    size = size < wire.piece ? size : wire.piece;
    add(&wire.out, data, size);
    return (ptrdiff_t)size;
}

static ptrdiff_t wire_shut(ws_link *link) {
    (void)link;
    return 1;
}

static void wire_close(ws_link *link) {
    link->session = NULL;
    wire.conn = NULL;
}

static void see(ws_slice slice) {
    add(&wire.seen, slice.data ? "<" : "-", 1);
    add(&wire.seen, slice.data, slice.size);
    add(&wire.seen, ">", 1);
}

static wsi_slice text_of(ws_slice slice) { return wsi_text(slice.data, slice.size); }

/* Looks at all that stands in a request. */
static void look(ws_request *request) {
    ws_message body = ws_request_body(request), session = ws_session(request);
    ws_slice found[] = {ws_request_path(request), ws_request_query(request, "a"), ws_request_query(request, "b"),
                        ws_request_form(request, "a"), ws_request_param(request, "n"),
                        ws_request_header(request, "x-a"), ws_request_header(request, "cookie"),
                        ws_request_cookie(request, "a"), ws_request_cookie(request, "session")};
    char peer[100];
    int64_t integer;
    uint64_t positive;
    double real;
    size_t i;
    for (i = 0; i < sizeof found / sizeof *found; i++) {
        see(found[i]);
        HOLDS(i > 4 || wsi_utf8_valid((const uint8_t *)found[i].data, found[i].size));
        HOLDS(i > 4 || !found[i].size || !memchr(found[i].data, 0, found[i].size));
        HOLDS(i < 5 || inside(text_of(found[i]), request->head->head));
        HOLDS(!ws_slice_integer(found[i], &integer) || integer < 0 || found[i].data[0] == '-'
              || (ws_slice_unsigned(found[i], &positive) && positive == (uint64_t)integer));
        HOLDS(!ws_slice_number(found[i], &real) || (real <= DBL_MAX && real >= -DBL_MAX));
    }
    HOLDS(inside(text_of(found[4]), request->path) && inside(text_of(found[1]), request->query)
          && inside(text_of(found[3]), wsi_request_buffer(request, WSI_FORM)));
    HOLDS(body.size <= BODY && !body.data[body.size]);
    HOLDS(!session.data || ws_json_valid(session.data, session.size));
    add(&wire.seen, body.data, body.size);
    (void)ws_request_peer(request, peer, sizeof peer);
    wire.free_choice = wire.free_choice || request->head->expects_continue; /* whether 100 is said */
}

static void echo(ws_request *request, void *user) {
    ws_message body = ws_request_body(request);
    (void)user;
    look(request);
    HOLDS(ws_reply_data(request, 200, NULL, body.data, body.size) && !ws_reply(request, 200, NULL, "twice"));
}

static void answer(ws_request *request, void *user) {
    ws_slice a = ws_request_query(request, "a"), b = ws_request_form(request, "a");
    (void)user;
    look(request);
    if (b.data)
        (void)ws_reply_html(request, 200, "<p title='%.*s'>", (int)b.size, b.data);
    else
        (void)ws_reply_json(request, 201, "{'a':%.*s}", (int)a.size, a.data ? a.data : "");
}

/* Puts what the peer chose into header lines. */
static void lead(ws_request *request, void *user) {
    ws_slice a = ws_request_query(request, "a");
    char text[HEAD + 1];
    (void)user;
    look(request);
    HOLDS(a.size < sizeof text);
    if (a.size)
        memcpy(text, a.data, a.size);
    text[a.size] = 0;
    (void)ws_set_cookie(request, "a", text, 60);
    if (ws_set_session(request, "{'a':%s}", text))
        wire.free_choice = true; /* the time stands in it */
    (void)ws_redirect(request, text);
}

static void abandoned(ws_request *request, void *user) {
    (void)request, (void)user;
    kept = 0;
}

static void keep(ws_request *request, void *user) {
    (void)user;
    look(request);
    kept = ws_keep(request, abandoned, NULL);
    HOLDS(kept);
}

static bool answer_kept(void) {
    ws_request *request = kept ? ws_kept(loop, kept) : NULL;
    HOLDS(!kept || request);
    kept = 0;
    if (request)
        echo(request, NULL);
    return request != NULL;
}

static void opened(ws_conn *conn) {
    wire.free_choice = true; /* of many pings the last one is answered */
    (void)ws_send_text(conn, "hello");
}

static void received(ws_conn *conn, ws_message message) { (void)ws_send(conn, message); }

static bool no_secret(void *user, const void *key, size_t key_size, const void *data, size_t size, uint8_t mac[32]) {
    (void)user, (void)key, (void)key_size, (void)data, (void)size;
    memset(mac, 0, 32); /* which a fuzzer can guess */
    return true;
}

static uint64_t same_second(void *user) { /* for Date: both talks say the same */
    (void)user;
    return 784111777;
}

static void start(void) {
    static const char *const keys[] = {"0123456789abcdef", NULL};
    static const ws_transport transport = {wire_open, wire_read, wire_write, wire_shut, wire_close, NULL, NULL};
    ws_session_config session;
    ws_loop_config own;
    ws_server_config config;
    ws_handler handler;
    memset(&session, 0, sizeof session);
    memset(&own, 0, sizeof own);
    memset(&config, 0, sizeof config);
    memset(&handler, 0, sizeof handler);
    session.keys = keys;
    session.hmac = no_secret;
    own.virtual_clock = true;
    own.wall_clock = same_second;
    config.no_port = true;
    config.transport = &transport;
    config.proxies = "unix";
    config.limits.head = HEAD;
    config.limits.body = BODY;
    handler.on_open = opened;
    handler.on_message = received;
    handler.subprotocols = "chat, superchat";
    loop = ws_loop_new(&own);
    server = ws_listen(loop, &config);
    HOLDS(server && ws_sessions(server, &session) && ws_http(server, "GET, POST", "/echo", echo, NULL));
    HOLDS(ws_http(server, "GET, POST", "/a", answer, NULL) && ws_http(server, "PUT", "/n/{n:path}", echo, NULL));
    HOLDS(ws_http(server, "GET", "/go", lead, NULL) && ws_http(server, "GET, POST", "/keep", keep, NULL));
    HOLDS(ws_page(server, "/", "text/html", "<p>") && ws_route(server, "/ws/{n}", &handler));
}

/* Does what can be done; returns whether that was anything. */
static bool serve(void) {
    unsigned ready = (wire.size || wire.ended ? (unsigned)WS_READ : 0u) | WS_WRITE;
    ready &= wire.conn ? wire.conn->source.link.interest : 0u;
    if (ready) {
        loop->busy = true;
        loop->ready[wire.conn->source.link.kind](loop, &wire.conn->source, ready);
        wsi_loop_end_round(loop);
        loop->busy = false;
    }
    (void)ws_run_once(loop, 0);
    return answer_kept() || ready;
}

static void settle(void) {
    int round = 0;
    while (serve())
        HOLDS(++round < ROUNDS); /* it spins */
}

static void talk(const uint8_t *data, size_t size, size_t piece) {
    wire.out.size = wire.seen.size = 0;
    wire.ended = wire.full = wire.free_choice = false;
    wire.piece = piece;
    HOLDS(wsi_server_add(server, -1, true));
    while (size && wire.conn) {
        wire.in = data;
        wire.size = piece < size ? piece : size;
        data += wire.size;
        size -= wire.size;
        settle();
    }
    wire.ended = true;
    settle();
    loop->virtual_now += 1000000;
    settle();
    HOLDS(!wire.conn && !kept);
}

/* What comes back begins with a head that holds no line of the peer's. */
static void check_answer(void) {
    const uint8_t *out = (const uint8_t *)wire.out.data;
    size_t head = wsi_http_scan(out, 0, wire.out.size);
    wsi_slice rest = wsi_text(wire.out.data, head), line, name, value;
    bool http11;
    if (!wire.out.size)
        return;
    HOLDS(head && head != WSI_HTTP_BAD);
    line = wsi_http_line(&rest);
    HOLDS(wsi_upgrade_status(line, &http11) && http11);
    while (wsi_http_header(&rest, &name, &value) == WSI_HEADER_FOUND)
        HOLDS(!wsi_text_is_nocase(name, "x-a"));
}

/* Whether it was asked for the body: only where none has arrived yet, so the pieces decide. */
static bool asked_to_continue(record out) {
    static const char answer[] = "HTTP/1.1 100 Continue";
    size_t i;
    for (i = 0; i + sizeof answer <= out.size; i++)
        if (memcmp(out.data + i, answer, sizeof answer - 1) == 0)
            return true;
    return false;
}

static void converse(const uint8_t *data, size_t size, size_t piece) {
    static char rooms[4][ROOM];
    record out, seen;
    if (!loop)
        start();
    wire.out.data = rooms[0];
    wire.seen.data = rooms[1];
    talk(data, size, ROOM);
    check_answer();
    out = wire.out;
    seen = wire.seen;
    wire.out.data = rooms[2];
    wire.seen.data = rooms[3];
    talk(data, size, piece);
    HOLDS(seen.size == wire.seen.size && memcmp(seen.data, wire.seen.data, seen.size) == 0);
    HOLDS(wire.free_choice || asked_to_continue(out) || asked_to_continue(wire.out)
          || (out.size == wire.out.size && memcmp(out.data, wire.out.data, out.size) == 0));
}

/* --- the functions --- */

/* Finds the same head in pieces, and reads it as a request. */
static void read_head(wsi_slice text, size_t piece) {
    const uint8_t *data = (const uint8_t *)text.data;
    size_t head = wsi_http_scan(data, 0, text.size), from = 0, found = 0, to;
    wsi_request request;
    do {
        to = piece < text.size - from ? from + piece : text.size;
        found = wsi_http_scan(data, from, to);
        from = to;
    } while (!found && from < text.size);
    HOLDS(found == head);
    if (!head || head == WSI_HTTP_BAD || wsi_handshake_request(&request, wsi_text(text.data, head)) != 0)
        return;
    text.size = head;
    HOLDS(inside(wsi_http_method_of(&request), text) && inside(request.target, text)
          && inside(request.query, request.target) && inside(request.host, text) && inside(request.origin, text)
          && inside(request.key, text));
    HOLDS(inside(request.path, request.target) || wsi_text_is(request.path, "/"));
    HOLDS(!request.chunked || !request.content_length);
}

static void read_lines(wsi_slice text, size_t piece) {
    const uint8_t *data = (const uint8_t *)text.data;
    size_t size = 0, part = piece < text.size ? piece : text.size, again = 0;
    int whole = wsi_body_whole_line(data, text.size, 256, &size), before = wsi_body_whole_line(data, part, 256, &again);
    uint64_t chunk;
    HOLDS(!before || (before == whole && size == again));
    if (whole == 1 && wsi_body_chunk_size(wsi_text(text.data, size - 2), &chunk))
        HOLDS(chunk < (uint64_t)1 << 60);
}

static void read_form(wsi_slice text) {
    char *out = (char *)malloc(text.size * 2 + 2);
    ptrdiff_t strict = out ? wsi_http_form(text, out, true) : -1, size = out ? wsi_http_form(text, out, false) : -1, i,
              zeros = 0;
    HOLDS(out && size >= 0 && size <= (ptrdiff_t)text.size * 2 + 2 && (strict == -1 || strict == size));
    for (i = 0; i < size; i++)
        zeros += !out[i];
    HOLDS(size < 1 || (zeros % 2 == 0 && !out[size - 1] && wsi_utf8_valid((const uint8_t *)out, (size_t)size)));
    free(out);
}

static void read_date(wsi_slice text) {
    uint64_t seconds, again;
    char date[29];
    if (!wsi_http_date_read(text, 1700000000, &seconds) || seconds > 253402300799u)
        return;
    wsi_http_date(date, seconds);
    HOLDS(wsi_http_date_read(wsi_text(date, sizeof date), 0, &again) && again == seconds);
}

/* A redirect from a URL to what a Location says. */
static void follow(wsi_slice text, wsi_slice reference) {
    char *out = (char *)malloc(text.size + reference.size + 1);
    wsi_url url, to;
    wsi_slice path, segment;
    bool good = wsi_url_parse(&url, text) == NULL;
    HOLDS(out);
    if (good) {
        size_t size;
        HOLDS(inside(url.host, text) && inside(url.authority, text) && inside(url.target, text)
              && inside(url.credentials, text) && url.port && url.port <= 65535 && url.host.size);
        size = wsi_url_resolve(&url, text, reference, out);
        HOLDS(size <= text.size + reference.size + 1);
        good = wsi_url_parse(&to, wsi_text(out, size)) == NULL && reference.size && reference.data[0] != '#';
        if (good)
            HOLDS(wsi_url_normalize(&to.target, out + (to.target.data - out)) <= size
                  && inside(to.target, wsi_text(out, size)));
        path = good ? wsi_text(to.target.data, wsi_url_until(to.target, "?")) : wsi_text(NULL, 0);
        while (path.size) {
            segment = path;
            if (!wsi_text_until(&path, '/', &segment))
                path.size = 0;
            HOLDS(!wsi_text_is(segment, ".") && !wsi_text_is(segment, ".."));
        }
    }
    free(out);
}

static bool fixed_random(void *user, void *data, size_t size) {
    (void)user;
    memset(data, 0x5a, size);
    return true;
}

/* What a client makes of it: the event that ends its handshake, and the status. Follows where it leads. */
static int hear(wsi_slice text, size_t piece, ws_event_type *type) {
    ws_engine_config config;
    ws_engine engine;
    ws_event event;
    int status = 0;
    memset(&config, 0, sizeof config);
    config.role = WS_ROLE_CLIENT;
    config.random = fixed_random;
    config.host = "host";
    config.limits.head = HEAD;
    HOLDS(ws_engine_init(&engine, &config));
    for (*type = WS_EVENT_REQUEST; *type == WS_EVENT_REQUEST;) {
        ws_span in = ws_engine_input(&engine);
        size_t part = piece < text.size ? piece : text.size;
        part = part < in.size ? part : in.size;
        if (part)
            memcpy(in.data, text.data, part);
        ws_engine_received(&engine, part);
        text = wsi_text(text.data + part, text.size - part);
        if (!part)
            ws_engine_ended(&engine);
        if (!ws_engine_next(&engine, &event))
            continue;
        *type = event.type;
        status = engine.env.status;
        if (event.type == WS_EVENT_REFUSED) {
            wsi_slice head = wsi_text((const char *)event.message.data, event.message.size), name, value;
            (void)wsi_http_line(&head);
            while (wsi_http_header(&head, &name, &value) == WSI_HEADER_FOUND)
                if (wsi_text_is_nocase(name, "location"))
                    follow(wsi_text_z("ws://host/a/b/c?d"), value);
        }
    }
    HOLDS(*type == WS_EVENT_OPEN || *type == WS_EVENT_REFUSED || *type == WS_EVENT_CLOSED);
    ws_engine_free(&engine);
    return status;
}

static void read_all(wsi_slice text, size_t piece) {
    wsi_slice url = text, rest = text, terminated = text;
    const char *zero = text.size ? (const char *)memchr(text.data, 0, text.size) : NULL;
    ws_event_type once, pieces;
    int status = hear(text, ROOM, &once);
    HOLDS(hear(text, piece, &pieces) == status && once == pieces);
    read_head(text, piece);
    read_lines(text, piece);
    read_form(text);
    read_date(text);
    if (zero) /* URLs are C strings */
        terminated.size = (size_t)(zero - text.data);
    rest = terminated;
    if (!wsi_text_until(&rest, '\n', &url))
        url = terminated, rest = wsi_text("", 0);
    follow(url, rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t rest = size ? size - 1 : 0;
    char *text = (char *)malloc(rest ? rest : 1); /* of its exact size */
    HOLDS(text);
    if (rest)
        memcpy(text, data + 1, rest);
    if (size && data[0] & 1)
        read_all(wsi_text(text, rest), 1u + data[0] / 2);
    else if (size)
        converse((const uint8_t *)text, rest, 1u + data[0] / 2);
    free(text);
    return 0;
}
