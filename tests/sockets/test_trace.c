/* TRACE: events of servers and clients for ws_loop_config.trace, over real sockets: each kind, as a line. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/client.h"

static char lines[20000]; /* all events: a line each, without time and number */
static ws_trace_event last; /* the newest; its pointers are not valid any more */
static char payload[200];
static ws_error closed; /* ws_last_error of the connection that closed last */

static void told(const ws_trace_event *event, void *user) {
    char text[300];
    const char *from;
    size_t size = strlen(lines);
    last = *event;
    CHECK(user == lines && event->text && (event->conn != NULL) == (event->id != 0));
    CHECK_EQ(event->time, ws_now(net.loop));
    if (event->kind == WS_TRACE_REFUSED)
        CHECK(event->size == 0 && !event->data && event->data_size == 0);
    ws_trace_text(event, text, sizeof text);
    from = strchr(text, '#');
    from = from ? strchr(from, ' ') : NULL;
    (void)snprintf(lines + size, sizeof lines - size, "%s\n", from ? from + 1 : text);
    if (event->kind == WS_TRACE_CLOSED)
        closed = ws_last_error(event->conn);
    if (event->kind == WS_TRACE_IN || event->kind == WS_TRACE_OUT)
        (void)snprintf(payload, sizeof payload, "%.*s", (int)event->data_size, (const char *)event->data);
}

static ws_loop_config traced(void) {
    ws_loop_config config;
    memset(&config, 0, sizeof config);
    config.trace = told;
    config.trace_user = lines;
    lines[0] = 0;
    return config;
}

static bool start(const ws_server_config *server) {
    ws_loop_config config = traced();
    memset(&client, 0, sizeof client);
    return net_start_with(&config, server);
}

static void check_lines(const char *wanted, const char *file, int line) {
    test_check(net_settle(), "the loop comes to rest", file, line);
    test_memory(lines, strlen(lines), wanted, strlen(wanted), "what the trace was told", file, line);
    lines[0] = 0;
}

#define CHECK_LINES(wanted) check_lines((wanted), __FILE__, __LINE__)

static bool holds(const char *text) { return strstr(lines, text) != NULL; }

static int count(const char *text) {
    int found = 0;
    for (const char *at = lines; (at = strstr(at, text)) != NULL; at++)
        found++;
    return found;
}

static void test_life(void) {
    peer *p;
    char peer_name[100];
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    if (!test_begin("from accepted to closed: each frame, both ways")) return;
    CHECK(start(NULL));
    p = net_connect();
    (void)getsockname(p->fd, (struct sockaddr *)&own, &size);
    (void)snprintf(peer_name, sizeof peer_name, "accepted: 127.0.0.1:%u\n", (unsigned)ntohs(own.sin_port));
    CHECK_LINES(peer_name);
    peer_upgrade(p, "/", NULL);
    CHECK_EQ(peer_take_status(p), 101);
    CHECK(holds(" bytes: GET / HTTP/1.1\nopened\n"));
    lines[0] = 0;
    peer_frames(p, "81\"hello\"");
    CHECK_LINES("in text 5 bytes\nout text 5 bytes\n");
    CHECK_STR(payload, "hello");
    CHECK(ws_ping(net.conns[1], NULL, 0)); /* without data, as the automatic ones */
    CHECK_LINES("out ping 0 bytes\n");
    peer_frames(p, "01\"ab\" 80\"cde\" 89\"?\"");
    CHECK_LINES("in text 2 bytes more follows\nin continuation 3 bytes\nout text 5 bytes\nin ping 1 bytes\n"
                "out pong 1 bytes\n");
    CHECK_FRAMES(p, "81\"hello\" 89\"\" 81\"abcde\" 8a\"?\"");
    peer_frames(p, "88<03e8>\"bye\"");
    CHECK_LINES("in close 5 bytes\nout close 5 bytes\n"
                "closed 1000 by the peer, in 2 messages 16 bytes, out 2 messages 16 bytes: bye\n");
    CHECK(last.by_peer && !last.by_us && last.messages_in == 2 && last.bytes_out == 16);
    CHECK_LOG("o1 t1:hello t1:abcde c1:1000:bye:y");
    NET_END();
}

static void test_ends(void) {
    peer *p;
    if (!test_begin("who ended the connection, and why")) return;
    CHECK(start(NULL));
    p = net_peer("/");
    lines[0] = 0;
    peer_frames(p, "83\"x\"");
    CHECK_LINES("out close 2 bytes\nclosed 1002 by us, in 0 messages 0 bytes, out 0 messages 2 bytes: "
                "the peer broke the WebSocket framing rules\n");
    p = net_peer("/");
    lines[0] = 0;
    (void)ws_close(net.conns[2], 4000, "en\nough");
    peer_frames(p, "88<0fa0>");
    CHECK_LINES("out close 9 bytes\nin close 2 bytes\n"
                "closed 4000 by us, in 0 messages 2 bytes, out 0 messages 9 bytes\n");
    p = net_peer("/");
    lines[0] = 0;
    peer_reset(p);
    CHECK_LINES("closed 1006, in 0 messages 0 bytes, out 0 messages 0 bytes: "
                "the connection ended without a closing handshake\n");
    CHECK(!last.by_peer && !last.by_us);
    NET_END();
}

static void refuse(ws_request *request, void *user) {
    (void)user;
    if (ws_slice_is(ws_request_path(request), "/program"))
        (void)ws_refuse(request, 401, NULL, "who\nare you?");
}

static void check_refused(const char *path, const char *more, const char *wanted, const char *file, int line) {
    peer *p = net_connect();
    peer_upgrade(p, path, more);
    test_check(net_settle(), "the loop comes to rest", file, line);
    test_check(holds(wanted), wanted, file, line);
    if (!holds(wanted))
        printf("%s", lines);
    lines[0] = 0;
}

#define CHECK_REFUSED(path, more, wanted) check_refused((path), (more), (wanted), __FILE__, __LINE__)

static void test_refused(void) {
    char long_path[2500] = "";
    ws_server_config config;
    peer *p;
    if (!test_begin("each refusal says which rule, header or origin")) return;
    memset(&config, 0, sizeof config);
    config.limits.head = 2000;
    config.limits.handshake_ms = 500;
    CHECK(start(&config) && net_route("/program") && ws_before(net.server, refuse, NULL));
    CHECK_REFUSED("/nowhere", NULL, "\nrefused 404: no ws_route has this path\nclosed\n");
    CHECK_REFUSED("/", "Origin: https://evil.example\r\n",
                  "\nrefused 403: Forbidden: the Origin https://evil.example is not in .origins, nor http(s):// "
                  "with the Host 127.0.0.1:");
    CHECK_REFUSED("/program", NULL, "\nrefused 401: who\n");
    CHECK_REFUSED("/", "Sec-WebSocket-Protocol: a, a\r\n", "\nrefused 400: Sec-WebSocket-Protocol, -Extensions or ");
    CHECK_REFUSED("/", "bad line\r\n", " bytes: GET / HTTP/1.1\nrefused 400: the head, path");
    CHECK_REFUSED("/", "Expect: a miracle\r\n", "\nrefused 417: Expect is not 100-continue\n");
    CHECK_REFUSED("/", "Transfer-Encoding: gzip, chunked\r\n", "\nrefused 501: Transfer-Encoding is not chunked");
    p = net_connect();
    peer_text(p, "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    CHECK_EQ(peer_status(p), 405);
    CHECK(holds("\nrefused 405: a WebSocket needs GET\n"));
    p = net_connect();
    peer_text(p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(peer_status(p), 426);
    CHECK(holds("\nrefused 426: Upgrade Required: this address is a WebSocket\n"));
    p = net_connect();
    peer_text(p, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n");
    CHECK_EQ(peer_status(p), 400);
    CHECK(holds("\nrefused 400: Connection does not say Upgrade\n"));
    p = net_connect();
    peer_text(p, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n");
    CHECK_EQ(peer_status(p), 400);
    CHECK(holds("\nrefused 400: Sec-WebSocket-Key is missing, or not 16 bytes in base64\n"));
    p = net_connect();
    peer_text(p, "GET / HTTP/1.1\r\n");
    net_settle();
    net_wait(600);
    CHECK_EQ(peer_status(p), 408);
    CHECK(holds("\nhead 16 bytes: GET / HTTP/1.1\nrefused 408: it did not arrive in time\n"));
    p = net_connect();
    peer_text(p, "GET /\x01 HTTP/1.1\r\n\r\n");
    CHECK_EQ(peer_status(p), 400);
    CHECK(holds("\nhead 19 bytes: GET /? HTTP/1.1\nrefused 400: "));
    lines[0] = 0;
    memset(long_path, 'a', sizeof long_path - 1);
    peer_upgrade(net_connect(), long_path, NULL);
    net_settle();
    CHECK(holds(" bytes: GET aaa") && holds("\nrefused 431: ") && count(" bytes: GET") == 1);
    NET_END();
}

static void test_full(void) {
    ws_server_config config;
    peer *p;
    if (!test_begin("beyond max_connections")) return;
    memset(&config, 0, sizeof config);
    config.max_connections = 1;
    CHECK(start(&config));
    (void)net_peer("/");
    lines[0] = 0;
    p = net_connect();
    CHECK_EQ(peer_status(p), 503);
    CHECK(strncmp(lines, "refused 503: 127.0.0.1:", 23) == 0 && !last.conn);
    CHECK(holds(": max_connections, address_connections or address_rate is reached, or no memory or descriptor is "
                "left\n"));
    NET_END();
}

static void test_slow(void) {
    static uint8_t data[60000];
    ws_message message = {data, sizeof data, WS_BINARY};
    ws_server_config config;
    peer *p;
    int i;
    if (!test_begin("paused and resumed, broadcasts that are dropped")) return;
    memset(&config, 0, sizeof config);
    config.limits.buffered = 50000;
    CHECK(start(&config));
    net_small_buffers();
    p = net_open_with("/", 4096);
    p->deaf = true;
    CHECK(ws_join(net.conns[1], "room") && ws_room_slow(net.server, "room", WS_SLOW_DROP_NEWEST));
    for (i = 0; i < 100; i++)
        CHECK(ws_server_broadcast(net.server, "room", message));
    CHECK(holds("out binary 60000 bytes\n") && holds("dropped 60004 bytes\n"));
    CHECK_EQ(count("out binary") + count("dropped"), 100); /* each is reported as one of them */
    lines[0] = 0;
    CHECK(ws_room_slow(net.server, "room", WS_SLOW_DROP_OLDEST) && ws_server_broadcast(net.server, "room", message));
    CHECK_LINES("dropped 60004 bytes\n");
    peer_frames(p, "81\"one\" 81\"two\"");
    net_settle();
    CHECK(strncmp(lines, "paused ", 7) == 0 && holds(" bytes unsent\n") && !holds("resumed"));
    lines[0] = 0;
    p->deaf = false;
    net_settle();
    CHECK(holds("in text 3 bytes\n") && holds("\nresumed\n"));
    NET_END();
}

static void test_not_sent(void) {
    static uint8_t data[60000];
    if (!test_begin("a frame is traced as sent only if it is sent or queued")) return;
    CHECK(start(NULL));
    peer *p = net_peer("/");
    lines[0] = 0;
    peer_reset(p);
    while (ws_send_binary(net.conns[1], data, sizeof data)) { /* until the reset has arrived */
        CHECK_STR(lines, "out binary 60000 bytes\n");
        lines[0] = 0;
    }
    CHECK_STR(lines, "");
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_CLOSED);
    net_settle();
    NET_END();
}

#ifndef WS_NO_FORWARD
static void test_rate(void) {
    ws_server_config config;
    if (!test_begin("a connection that a rate pauses again while it is resumed stays paused")) return;
    memset(&config, 0, sizeof config);
    config.message_rate = 4;
    CHECK(start(&config));
    net.echo = false;
    peer *p = net_peer("/");
    lines[0] = 0;
    peer_frames(p, "81\"1\" 81\"2\" 81\"3\" 81\"4\" 81\"5\" 81\"6\" 81\"7\"");
    net_settle();
    CHECK(holds("paused\n") && count("in text") == 5 && !holds("resumed"));
    net_wait(250);
    CHECK(count("in text") == 6 && count("paused") == 1 && !holds("resumed"));
    net_wait(500);
    CHECK(count("in text") == 7 && count("paused") == 1 && count("resumed") == 1);
    NET_END();
}
#else
static void test_rate(void) {}
#endif

static void nothing(ws_loop *loop, void *user) { (void)loop, (void)user; }

static void test_late(void) {
    if (!test_begin("a timer that fires late")) return;
    CHECK(start(NULL));
    CHECK(ws_after(net.loop, 100, nothing, NULL));
    net_wait(100);
    CHECK_LINES("");
    CHECK(ws_after(net.loop, 100, nothing, NULL));
    net_wait(170);
    CHECK_LINES("timer late 70 ms\n");
    NET_END();
}

static void test_text(void) {
    ws_trace_event event;
    char text[30];
    if (!test_begin("a line that does not fit is cut off, and holds nothing but ASCII")) return;
    memset(&event, 0, sizeof event);
    event.kind = WS_TRACE_TLS_FAILED;
    event.time = 61005;
    event.id = (ws_id)9 << 32 | 12;
    event.text = "\x1b[2J\xc3\xa9t\xc3\xa9, and more than fits";
    ws_trace_text(&event, text, sizeof text);
    CHECK_STR(text, "61.005 #12.9 TLS failed: ?[2J");
    ws_trace_text(&event, text, 1);
    CHECK_STR(text, "");
    ws_trace_text(NULL, text, 0);
}

/* Events that the loop never reports, and requests that are refused for each reason. */
static void test_odd_text(void) {
    static const struct { unsigned opcode; const char *name; } opcodes[] = {
        {0, "continuation"}, {1, "text"}, {2, "binary"}, {3, "continuation"}, {7, "continuation"}, {8, "close"},
        {10, "pong"}, {11, "continuation"}, {15, "continuation"}};
    static const struct { int status; bool upgrade, http11, connection, key; const char *why; } whys[] = {
        {400, false, true, true, true, "the head, path"}, {400, true, false, true, true, "a WebSocket needs HTTP/1.1"},
        {400, true, true, false, true, "Connection does not"},
        {400, true, true, true, false, "Sec-WebSocket-Key is missing"},
        {400, true, true, true, true, "Sec-WebSocket-Protocol, "},
        {426, true, true, true, true, "Sec-WebSocket-Version is"}, {403, false, true, true, true, "no permission to"},
        {500, false, true, true, true, "the program gave no answer, or one that cannot be sent, or a file"},
        {299, true, true, true, true, ""}};
    ws_trace_event event;
    char text[200], wanted[100];
    if (!test_begin("invalid opcodes and kinds, and why a request is refused")) return;
    memset(&event, 0, sizeof event);
    event.kind = WS_TRACE_IN;
    event.final = true;
    for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++) {
        event.opcode = (uint8_t)opcodes[i].opcode;
        ws_trace_text(&event, text, sizeof text);
        (void)snprintf(wanted, sizeof wanted, "0.000 #0.0 in %s 0 bytes", opcodes[i].name);
        CHECK_STR(text, wanted);
    }
    event.kind = (ws_trace_kind)99;
    event.text = "\x7f";
    ws_trace_text(&event, text, sizeof text);
    CHECK_STR(text, "0.000 #0.0 ?: ?");
    ws_trace_text(&event, NULL, 10);
    ws_trace_text(&event, text, 0);
    ws_trace_text(NULL, text, sizeof text);
    CHECK_STR(text, "0.000 #0.0 ?: ?");
    for (size_t i = 0; i < sizeof whys / sizeof *whys; i++) {
        wsi_request request;
        memset(&request, 0, sizeof request);
        request.upgrade = whys[i].upgrade;
        request.http11 = whys[i].http11;
        request.connection_upgrade = whys[i].connection;
        request.key = wsi_text_z(whys[i].key ? "dGhlIHNhbXBsZSBub25jZQ==" : "x");
        const char *why = wsi_trace_why(&request, whys[i].status);
        test_check(strncmp(why, whys[i].why, strlen(whys[i].why)) == 0, whys[i].why, __FILE__, __LINE__);
    }
}

static void test_sizes(void) {
    static uint8_t data[70000];
    static const size_t sizes[] = {0, 125, 126, 65535, 65536};
    peer *p;
    if (!test_begin("messages of every size of header")) return;
    CHECK(start(NULL));
    p = net_peer("/");
    net_settle();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char wanted[60];
        lines[0] = 0;
        CHECK(ws_server_broadcast(net.server, NULL, (ws_message){data, sizes[i], WS_BINARY}));
        net_settle();
        (void)snprintf(wanted, sizeof wanted, "out binary %zu bytes\n", sizes[i]);
        CHECK_LINES(wanted);
        p->in.size = 0;
    }
    NET_END();
}

static void take_body(ws_request *request, void *user) {
    (void)user;
    (void)ws_reply(request, 200, NULL, "got it");
}

/* What the server did not like stays the connection's error until it has closed. */
static void test_refused_errors(void) {
    static const struct { const char *request; int status; ws_error error; } cases[] = {
        {"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", 413, WS_ERROR_TOO_BIG},
        {"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n?\r\n", 400, WS_ERROR_HANDSHAKE},
        {"POST /body HTTP/1.1\r\nHost a\r\n\r\n", 400, WS_ERROR_HANDSHAKE},
        {"POST /body HTTP/1.1\r\nHost: a\r\nX: %0200d\r\n\r\n", 431, WS_ERROR_TOO_BIG},
        {"POST /bo", 408, WS_ERROR_TIMEOUT},
    };
    ws_server_config config;
    if (!test_begin("the error of a connection whose request is refused")) return;
    memset(&config, 0, sizeof config);
    config.limits.head = 200;
    config.limits.body = 100;
    CHECK(start(&config) && ws_http(net.server, "POST", "/body", take_body, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400];
        peer *p = net_connect();
        closed = WS_OK;
        (void)snprintf(text, sizeof text, cases[i].request, 0);
        peer_text(p, text);
        CHECK(net_settle());
        if (cases[i].status == 408)
            net_wait(10000);
        CHECK_EQ(peer_status(p), cases[i].status);
        CHECK_EQ(closed, cases[i].error);
    }
    NET_END();
}

/* What a peer sends of a payload later is not in the event of its header. */
static void test_in_parts(void) {
    uint8_t frame[300];
    bytes wire = {NULL, 0, 0};
    peer *p;
    if (!test_begin("a frame that arrives in parts is told with what has come of it")) return;
    CHECK(start(NULL));
    p = net_peer("/");
    lines[0] = 0;
    memset(frame, 'x', sizeof frame);
    wire_put(&wire, 0x8a, NULL, 0, true);
    wire_put(&wire, 0x82, frame, sizeof frame, true);
    CHECK_EQ(peer_send(p, wire.data, 6 + 8 + 3), 6 + 8 + 3);
    CHECK_LINES("in pong 0 bytes\nin binary 300 bytes\n");
    CHECK_STR(payload, "xxx");
    CHECK_EQ(last.data_size, 3);
    CHECK_EQ(peer_send(p, wire.data + 17, wire.size - 17), wire.size - 17);
    CHECK_LINES("out binary 300 bytes\n");
    CHECK_EQ(peer_send(p, wire.data + 6, wire.size - 6), wire.size - 6);
    bytes_free(&wire);
    peer_frames(p, "8a\"pong\"");
    CHECK_LINES("in binary 300 bytes\nout binary 300 bytes\nin pong 4 bytes\n");
    CHECK_STR(payload, "pong");
    p->in.size = 0;
    NET_END();
}

static void test_stderr(void) {
    ws_trace_event event;
    char got[100] = "";
    FILE *file;
    int before;
    if (!test_begin("ws_trace_stderr prints that line")) return;
    file = tmpfile();
    before = dup(STDERR_FILENO);
    memset(&event, 0, sizeof event);
    event.kind = WS_TRACE_ACCEPTED;
    event.time = 61007;
    event.id = (3ull << 32) | 5;
    event.text = "127.0.0.1:80";
    CHECK(file && before >= 0 && dup2(fileno(file), STDERR_FILENO) == STDERR_FILENO);
    ws_trace_stderr(&event, NULL);
    (void)fflush(stderr);
    CHECK(dup2(before, STDERR_FILENO) == STDERR_FILENO);
    (void)close(before);
    rewind(file);
    CHECK(fread(got, 1, sizeof got - 1, file) > 0);
    (void)fclose(file);
    CHECK_STR(got, "61.007 #5.3 accepted: 127.0.0.1:80\n");
}

static void test_totals(void) {
    ws_trace_event event;
    char text[200];
    if (!test_begin("totals of 2^32 and more, where long is 32 bits, too")) return;
    memset(&event, 0, sizeof event);
    event.kind = WS_TRACE_CLOSED;
    event.status = 1000;
    event.messages_in = event.bytes_out = UINT64_MAX;
    event.bytes_in = event.messages_out = (uint64_t)1 << 32;
    ws_trace_text(&event, text, sizeof text);
    CHECK_STR(text, "0.000 #0.0 closed 1000, in 18446744073709551615 messages 4294967296 bytes, "
                    "out 4294967296 messages 18446744073709551615 bytes");
    event.kind = WS_TRACE_DROPPED;
    event.size = (uint64_t)1 << 32;
    ws_trace_text(&event, text, sizeof text);
    CHECK_STR(text, "0.000 #0.0 dropped 4294967296 bytes");
}

static void test_stats(void) {
    static uint8_t data[60000];
    ws_message message = {data, sizeof data, WS_BINARY};
    ws_server_config config;
    ws_stats stats, server;
    size_t in, out;
    peer *p, *slow;
    int i;
    if (!test_begin("figures of a loop and a server")) return;
    memset(&config, 0, sizeof config);
    config.max_connections = 3;
    config.limits.buffered = 50000;
    CHECK(net_start_with(NULL, &config));
    net_small_buffers();
    stats = ws_loop_stats(net.loop);
    CHECK(!stats.open && !stats.accepted && !stats.bytes_in && stats.memory == net.memory.used);
    p = net_connect();
    peer_upgrade(p, "/nowhere", NULL);
    CHECK_EQ(peer_status(p), 404);
    peer_close(p);
    net_settle();
    p = net_peer("/");
    slow = net_open_with("/", 4096);
    (void)net_connect(); /* which sends nothing */
    net_settle();
    CHECK_EQ(peer_status(net_connect()), 503);
    in = (size_t)ws_loop_stats(net.loop).bytes_in;
    out = (size_t)ws_loop_stats(net.loop).bytes_out;
    peer_frames(p, "81\"hello\" 01\"a\" 80\"b\"");
    CHECK_FRAMES(p, "81\"hello\" 81\"ab\"");
    stats = ws_loop_stats(net.loop);
    CHECK_EQ(stats.open, 2);
    CHECK_EQ(stats.others, 1);
    CHECK_EQ(stats.accepted, 4);
    CHECK_EQ(stats.refused_4xx, 1);
    CHECK_EQ(stats.refused_5xx, 1);
    CHECK_EQ(stats.messages_in, 2);
    CHECK_EQ(stats.messages_out, 2);
    CHECK_EQ(stats.bytes_in - in, 11 + 7 + 7);
    CHECK_EQ(stats.bytes_out - out, 7 + 4);
    slow->deaf = true;
    CHECK(ws_join(net.conns[2], "room") && ws_room_slow(net.server, "room", WS_SLOW_DROP_NEWEST));
    for (i = 0; i < 100; i++)
        CHECK(ws_server_broadcast(net.server, "room", message));
    net_settle();
    stats = ws_loop_stats(net.loop);
    CHECK_EQ(stats.messages_out, 2 + 100);
    CHECK(stats.dropped > 50 && stats.dropped < 100);
    CHECK_EQ(stats.buffered, ws_buffered(net.conns[2]));
    CHECK_EQ(stats.bytes_out - out + stats.buffered, 7 + 4 + (100 - stats.dropped) * 60004);
    CHECK_EQ(stats.memory, net.memory.used);
    CHECK(stats.memory_peak >= stats.memory);
    server = ws_server_stats(net.server);
    CHECK(server.open == 2 && server.accepted == 4 && server.dropped == stats.dropped);
    CHECK_EQ(server.refused_5xx, 1);
    ws_server_free(net.server);
    net_settle();
    server = ws_loop_stats(net.loop);
    CHECK(server.open == 0 && server.accepted == 4 && server.dropped == stats.dropped && server.refused_4xx == 1);
    CHECK(ws_server_stats(NULL).memory == 0 && ws_loop_stats(NULL).memory == 0);
    NET_END();
}

static void linger(ws_conn *conn, unsigned number, ws_message message) {
    (void)conn, (void)number, (void)message;
    net.now += 70;
}

static void reply_status(ws_request *request, void *user) {
    int64_t status = 0;
    (void)user;
    CHECK(ws_slice_integer(ws_request_query(request, "status"), &status));
    CHECK(ws_reply(request, (int)status, NULL, "x"));
}

/* From 400 on an answer counts as refused, from 500 on as the server's fault. */
static void test_counted(void) {
    static const int statuses[] = {200, 399, 400, 499, 500, 599};
    ws_loop_config config = traced();
    if (!test_begin("which answers count as refused")) return;
    CHECK(net_start_with(&config, NULL) && ws_http(net.server, "GET", "/status", reply_status, NULL));
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        ws_stats stats;
        char text[100];
        peer *p = net_connect();
        (void)snprintf(text, sizeof text, "GET /status?status=%d HTTP/1.1\r\nHost: a\r\n\r\n", statuses[i]);
        lines[0] = 0;
        peer_text(p, text);
        CHECK_EQ(peer_status(p), statuses[i]);
        stats = ws_server_stats(net.server);
        CHECK_EQ(stats.refused_4xx, i < 2 ? 0 : i < 4 ? i - 1 : 2);
        CHECK_EQ(stats.refused_5xx, i < 4 ? 0 : i - 3);
        CHECK_EQ(holds("refused "), statuses[i] >= 400);
    }
    NET_END();
}

static void test_longest(void) {
    peer *p;
    if (!test_begin("the longest round")) return;
    CHECK(net_start());
    p = net_peer("/");
    net_wait(500);
    CHECK_EQ(ws_loop_stats(net.loop).longest_ms, 0);
    net.on_message = linger;
    peer_frames(p, "81\"x\"");
    net_settle();
    CHECK_EQ(ws_loop_stats(net.loop).longest_ms, 70);
    NET_END();
}

static void pass(void *user) { net.now += *(uint64_t *)user; }

static void stop(void *user) {
    net.now += 40;
    (void)ws_stop((ws_loop *)user);
}

static void test_longest_post(void) {
    uint64_t pause = 30;
    if (!test_begin("the longest round, without a timer; the last one of ws_run; not the time between two")) return;
    CHECK(net_start());
    CHECK(ws_post(net.loop, pass, &pause));
    net_settle();
    CHECK_EQ(ws_loop_stats(net.loop).longest_ms, 30);
    CHECK(ws_post(net.loop, stop, net.loop) && ws_run(net.loop) == WS_OK);
    CHECK_EQ(ws_loop_stats(net.loop).longest_ms, 40);
    net.now += 500;
    CHECK(ws_post(net.loop, stop, net.loop) && ws_run(net.loop) == WS_OK);
    CHECK_EQ(ws_loop_stats(net.loop).longest_ms, 40);
    NET_END();
}

static void others(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number, (void)why;
    CHECK(ws_broadcast_others_text(conn, NULL, "bye"));
}

static void test_leaving(void) {
    if (!test_begin("a broadcast to nobody in on_close does not count as sent")) return;
    CHECK(net_start());
    net.on_close = others;
    (void)net_peer("/");
    ws_drop(net.conns[1]);
    net_settle();
    CHECK_EQ(ws_loop_stats(net.loop).messages_out, 0);
    NET_END();
}

#ifndef WS_NO_CLIENT
static void test_client(void) {
    ws_loop_config config = traced();
    raw_server *raw;
    peer *p;
    const char *head;
    if (!test_begin("a client: the answer's head, refusals, frames")) return;
    client_start(&config);
    raw = raw_listen();
    CHECK(client_dial_raw(raw, NULL));
    p = raw_accept(raw);
    head = raw_head(p);
    raw_answer(p, head, NULL);
    net_settle();
    CHECK(holds(" bytes: HTTP/1.1 101 Switching Protocols\nopened\n"));
    lines[0] = 0;
    (void)ws_send_text(client.conn, "hi");
    peer_frames(p, "81\"you\" 88<03e8>");
    net_settle();
    CHECK(holds("out text 2 bytes\n") && holds("in text 3 bytes\n") && holds("closed 1000 by the peer, "));
    lines[0] = 0;
    CHECK(client_dial_raw(raw, NULL));
    p = raw_accept(raw);
    (void)raw_head(p);
    peer_text(p, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    net_settle();
    CHECK(holds("refused 403: ") && holds(": the server refused: HTTP/1.1 403 Forbidden\n"));
    lines[0] = 0;
    CHECK(client_dial_raw(raw, NULL));
    p = raw_accept(raw);
    (void)raw_head(p);
    peer_text(p, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
    net_settle();
    CHECK(strncmp(lines, "failed 101: 127.0.0.1:", 22) == 0 && !holds("refused"));
    lines[0] = 0;
    raw_stop(raw);
    CHECK(client_dial_raw(raw, NULL));
    net_settle();
    CHECK(holds("failed: cannot connect to 127.0.0.1:") && !holds("refused 0"));
    CLIENT_END();
}

static void test_waiting(void) {
    ws_loop_config config = traced();
    ws_client_config own = client_config();
    raw_server *raw;
    peer *p;
    if (!test_begin("a client that waits to reconnect when its loop is freed was reported as closed before")) return;
    client_start(&config);
    raw = raw_listen();
    own.reconnect_ms = 1000;
    CHECK(client_dial_raw(raw, &own));
    p = raw_accept(raw);
    raw_answer(p, raw_head(p), NULL);
    net_settle();
    peer_frames(p, "88<03e8>");
    net_settle();
    CHECK_EQ(count("closed 1000 by the peer"), 1);
    peer_close(p);
    net_settle();
    CLIENT_END();
    CHECK_EQ(count("closed "), 1);
}
#else
static void test_client(void) {}
static void test_waiting(void) {}
#endif

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_life();
    test_ends();
    test_refused();
    test_full();
    test_slow();
    test_not_sent();
    test_rate();
    test_late();
    test_text();
    test_odd_text();
    test_sizes();
    test_refused_errors();
    test_in_parts();
    test_stderr();
    test_totals();
    test_stats();
    test_counted();
    test_longest();
    test_longest_post();
    test_leaving();
    test_client();
    test_waiting();
    return test_finish();
}
