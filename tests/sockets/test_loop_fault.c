/* LOOP: whole programs, in which the Nth allocation, system call, look-up, thread, random number or allocation of
   OpenSSL fails, once and from then on, for all N (by clang, with sanitizers or on Windows for every fifth): no crash,
   no leak, no hang, each on_open has its on_close, each kept request its answer, and when all works again, the next
   client is served.

   build/test_loop_fault HTTP    runs one scene
   TEST_ALL=1 build/test_loop_fault    every allocation of OpenSSL, not one of many: minutes */
#include "../helpers/kernel.h"

#ifndef WS_NO_TLS
#include "../helpers/openssl_faults.h"
#endif

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/faults.h"

#ifndef WS_NO_TLS
#include "../helpers/certs.h"
#endif

#define SERVER "ws://10.0.0.0:9000"

static uint8_t noise[120000]; /* does not compress */
static const uint8_t zeros[30000];

static ws_message message_of(const void *data, size_t size) {
    ws_message message = {(const uint8_t *)data, size, WS_BINARY};
    return message;
}

/* A client gets its echo and a clean close. */
static bool alive_at(const char *url, const ws_client_config *config) {
    unsigned messages = world.messages;
    (void)world_dial(url, config);
    world_pass(500);
    (void)ws_send_text(world_client(), "alive");
    world_pass(100);
    (void)ws_close(world_client(), 1000, NULL);
    world_pass(100);
    return world.messages == messages + 2 && !world_client();
}

static bool plain_alive(void) { return alive_at(SERVER "/alive", NULL); }

/* --- echo: sending, receiving, compression, slow readers, pauses --- */

static void say_much(ws_conn *conn) {
    ws_message part = {(const uint8_t *)"part, part, part", 16, WS_TEXT}, more = {zeros, 5000, WS_TEXT};
    (void)ws_send_text(conn, "hello");
    (void)ws_send_part(conn, part, false);
    (void)ws_ping(conn, "ping", 4);
    (void)ws_send_part(conn, more, false);
    (void)ws_send_part(conn, part, true);
    (void)ws_send(conn, message_of(noise, 3000));
    (void)ws_send(conn, message_of(zeros, sizeof zeros));
    (void)ws_send_json(conn, "{'name':%s,'list':[1,2,%d]}", "a name that is said again, a name that is said again", 3);
}

static void say_html(ws_conn *conn, ws_message message) {
    if (!ws_conn_server(conn) && message.size == 5) /* or echoes would be answered for ever */
        (void)ws_send_html(conn, "<p>%s</p>", "<>");
}

static ws_deflate_config squeezed(bool context, int8_t level) {
    ws_deflate_config deflate;
    memset(&deflate, 0, sizeof deflate);
    deflate.on = true;
    deflate.context = context;
    deflate.level = level;
    deflate.threshold = 4;
    return deflate;
}

static void echo_start(void) {
    ws_server_config config;
    ws_handler handler = world_handler();
    memset(&config, 0, sizeof config);
    config.limits.buffered = 15000;
    config.origins = "*";
    world.server = world_listen(&config, PORT);
    handler.on_message = echo;
    handler.subprotocols = "chat, other";
    (void)ws_route(world.server, "/plain/{room}", &handler);
    handler.deflate = squeezed(false, 0);
    (void)ws_route(world.server, "/squeezed", &handler);
    handler.deflate = squeezed(true, 6);
    (void)ws_route(world.server, "/context", &handler);
}

static void chunk(ws_conn *conn, ws_chunk part) {
    ws_message message = {part.data, part.size, part.type};
    if (world.messages++ < 20) /* an echo is echoed, too */
        (void)ws_send_part(conn, message, part.last);
}

static void echo_play(void) {
    static const char *const paths[] = {SERVER "/plain/a%20b?x=y", SERVER "/squeezed", SERVER "/context"};
    static const char *const lines[] = {"Cookie: a=b", "X-Mine: 1", NULL};
    ws_id ids[COUNT(paths)];
    ws_handler handler = world_handler();
    ws_client_config config;
    memset(&config, 0, sizeof config);
    config.subprotocols = "other, chat";
    config.headers = lines;
    config.origin = "https://a.example";
    config.limits.buffered = 200000;
    kernel.send_room = kernel.receive_room = 8192;
    world.on_open = say_much;
    world.on_message = say_html;
    for (size_t i = 0; i < COUNT(paths); i++) {
        config.deflate = squeezed(i == 2, (int8_t)(i == 1 ? -1 : 4));
        config.deflate.on = i > 0;
        handler.on_chunk = i == 1 ? chunk : NULL;
        (void)world_dial_with(paths[i], &config, &handler);
        ids[i] = world.client;
    }
    world_pass(20);
    for (size_t i = 0; i < COUNT(paths); i++) {
        ws_conn *conn = ws_find(world.loop, ids[i]);
        (void)ws_pause(conn);
        for (int j = 0; j < 3; j++)
            (void)ws_send(conn, message_of(noise, 9000));
        (void)ws_send(conn, message_of(paths, sizeof paths));
    }
    world_pass(5);
    for (size_t i = 0; i < COUNT(paths); i++)
        (void)ws_resume(ws_find(world.loop, ids[i]));
    world_pass(200);
    (void)ws_close(ws_find(world.loop, ids[0]), 1000, "bye");
    (void)ws_close(ws_find(world.loop, ids[1]), 4000, NULL);
    world_pass(20);
    ws_drop(ws_find(world.loop, ids[2]));
    world_pass(60000); /* all deadlines */
}

/* --- rooms: broadcasts with every policy, members that read nothing, a shutdown --- */

static void enter(ws_conn *conn) {
    if (!ws_conn_server(conn))
        return;
    (void)ws_join(conn, "lobby");
    (void)ws_join(conn, ws_param(conn, "room"));
    (void)ws_broadcast_others_json(conn, "lobby", "{'here':%s}", ws_param(conn, "room"));
    (void)ws_broadcast_html(conn, NULL, "<p>%s", "new");
}

static void repeat(ws_conn *conn, ws_message message) {
    if (ws_conn_server(conn))
        (void)ws_broadcast(conn, "lobby", message);
}

static void rooms_start(void) {
    ws_server_config config;
    ws_handler handler = world_handler();
    memset(&config, 0, sizeof config);
    config.limits.buffered = 20000;
    world.server = world_listen(&config, PORT);
    (void)ws_route(world.server, "/ws/{room}", &handler);
}

static const char request[] = "GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n";

static raw *raw_upgrade(const char *path, const char *lines) {
    raw *r = raw_connect(PORT);
    char text[2000];
    (void)snprintf(text, sizeof text, request, path, lines);
    raw_text(r, text);
    return r;
}

static void raw_frames(raw *r, const char *frames) {
    bool before = world_outside();
    bytes out = {NULL, 0, 0};
    wire_write(&out, frames, true);
    raw_send(r, out.data, out.size);
    bytes_free(&out);
    kernel.fault.off = before;
}

static void rooms_play(void) {
    raw *slow;
    ws_id members[8] = {0};
    kernel.send_room = kernel.receive_room = 8192;
    world.on_open = enter;
    world.on_message = repeat;
    (void)world_dial(SERVER "/ws/one", NULL);
    (void)world_dial(SERVER "/ws/two", NULL);
    slow = raw_upgrade("/ws/three", "");
    world_pass(20);
    (void)ws_send_text(world_client(), "to all");
    slow->deaf = true;
    for (int policy = 0; policy < 5; policy++) {
        (void)ws_room_slow(world.server, "lobby", (ws_slow)(4 - policy));
        for (int i = 0; i < 6; i++)
            (void)ws_server_broadcast(world.server, "lobby", message_of(noise, 6000));
        (void)ws_server_broadcast_json(world.server, "lobby", "[%d]", policy);
        (void)ws_room_members(world.server, "lobby", members, COUNT(members));
        world_pass(5);
        if (policy == 2)
            slow->deaf = false;
    }
    slow->deaf = false;
    raw_frames(slow, "01\"in \" 80\"parts\" 89\"ping\"");
    world_pass(50);
    (void)ws_send_part(ws_find(world.loop, members[0]), message_of(noise, 10), false);
    (void)ws_server_broadcast_text(world.server, NULL, "waits");
    (void)ws_server_broadcast_html(world.server, "one", "<i>");
    (void)ws_send_part(ws_find(world.loop, members[0]), message_of(noise, 10), true);
    (void)ws_leave(ws_find(world.loop, members[1]), "lobby");
    world_pass(20);
    raw_close(slow);
    (void)ws_shutdown(world.loop, 500);
    world_pass(1000);
}

/* --- HTTP: pages, files, bodies, forms, sessions, kept requests, refusals --- */

static char folder[200];

static const char *const written[] = {"a.txt", "index.html", "style.css"};

static const char *written_path(size_t i) {
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, written[i]);
    return path;
}

static void write_file(size_t i, const void *data, size_t size) {
    FILE *file = fopen(written_path(i), "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static bool fake_hmac(void *user, const void *key, size_t key_size, const void *data, size_t size, uint8_t mac[32]) {
    (void)user;
    memset(mac, (int)(key_size + size), 32);
    return data && key && !kernel_fails(KERNEL_HMAC);
}

static void abandoned(ws_request *late, void *user) {
    (void)late;
    (void)user;
    world.answered++;
}

static ws_id kept[4];
static unsigned kept_count;

static void keep(ws_request *asked, void *user) {
    ws_id id = ws_keep(asked, abandoned, user);
    world.kept += id != 0;
    if (id && kept_count < COUNT(kept))
        kept[kept_count++] = id;
}

static void answer_kept(ws_loop *loop, void *user) {
    static const char *const lines[] = {"X-Served-By: a", NULL};
    ws_acceptance how;
    (void)user;
    memset(&how, 0, sizeof how);
    how.headers = lines;
    how.subprotocol = "chat";
    for (unsigned i = 0; i < kept_count; i++) {
        ws_request *late = ws_kept(loop, kept[i]);
        if (!late)
            continue;
        world.answered++;
        if (ws_slice_is(ws_request_path(late), "/later"))
            (void)ws_reply_data(late, 200, lines, noise, 100);
        else
            (void)ws_accept(late, &how);
    }
    kept_count = 0;
}

static void form(ws_request *asked, void *user) {
    static const char *const lines[] = {"X-One: 1", "Content-Type: text/plain", NULL};
    ws_slice name = ws_request_form(asked, "name");
    (void)user;
    (void)ws_set_session(asked, "{'user':%.*s}", (int)name.size, name.data ? name.data : "");
    (void)ws_set_cookie(asked, "seen", "yes", 60);
    if (ws_request_body(asked).size > 4000)
        (void)ws_reply_data(asked, 200, lines, noise, 60000);
    else
        (void)ws_redirect(asked, "/");
}

static void show(ws_request *asked, void *user) {
    ws_message session = ws_session(asked);
    (void)user;
    (void)ws_request_query(asked, "q");
    (void)ws_request_cookie(asked, "seen");
    (void)ws_reply_json(asked, 200, "{'size':%u,'path':%.*s}", (unsigned)session.size,
                        (int)ws_request_path(asked).size, ws_request_path(asked).data);
}

static void page(ws_request *asked, void *user) {
    char peer[80] = "";
    (void)user;
    (void)ws_request_peer(asked, peer, sizeof peer);
    (void)ws_reply_html(asked, 200, "<p>%s", peer);
}

static void check(ws_request *asked, void *user) {
    static const char *const lines[] = {"X-Why: no", NULL};
    (void)user;
    if (ws_slice_is(ws_request_path(asked), "/ws/refused"))
        (void)ws_refuse(asked, 403, lines, "no");
    else if (ws_slice_is(ws_request_path(asked), "/ws/kept"))
        keep(asked, NULL);
}

static const char *const session_keys[] = {"0123456789abcdef-first", NULL};

static void http_start(void) {
    ws_session_config sessions;
    ws_server_config config;
    ws_handler handler = world_handler();
    memset(&sessions, 0, sizeof sessions);
    memset(&config, 0, sizeof config);
    sessions.keys = session_keys;
    sessions.hmac = fake_hmac;
    config.limits.head = 1000;
    config.limits.body = 10000;
    config.hosts = "a, 10.0.0.0";
    config.origins = "http://a";
    world.server = world_listen(&config, PORT);
    handler.subprotocols = "chat";
    (void)ws_sessions(world.server, &sessions);
    (void)ws_before(world.server, check, NULL);
    (void)ws_route(world.server, "/ws/{room}", &handler);
    (void)ws_page(world.server, "/", "text/html", "<p>the page");
    (void)ws_page_file(world.server, "/file", "text/plain", written_path(0));
    (void)ws_http(world.server, "POST", "/form", form, NULL);
    (void)ws_http(world.server, "GET, POST", "/later", keep, NULL);
    (void)ws_http_from(world.server, "*", "GET", "/show/{x:int}/{f:float}/{id:uuid}", show, NULL);
    (void)ws_http(world.server, "GET", "/page", page, NULL);
    (void)ws_files(world.server, "/static/", folder);
    (void)ws_files_charset(world.server, "/latin/", folder, "iso-8859-1");
}

static void http_play(void) {
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /file HTTP/1.0\r\nHost: a\r\n\r\n",
        "POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Transfer-Encoding: chunked\r\n\r\n5\r\nname=\r\n8\r\nan%C3%A9+x\r\n0\r\n\r\n",
        "GET /show/1/2.5/123e4567-e89b-12d3-a456-426614174000?q=a%20b HTTP/1.1\r\nHost: a\r\n"
        "Cookie: seen=yes; session=eyJ1c2VyIjoiYSJ9\r\n\r\n",
        "GET /static/ HTTP/1.1\r\nHost: a\r\n\r\nHEAD /static/a.txt HTTP/1.1\r\nHost: a\r\n\r\n"
        "GET /static/a.txt HTTP/1.1\r\nHost: a\r\n\r\nGET /static/sub/none HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /latin/style.css HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT\r\n\r\n"
        "GET /latin/style.css HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nOrigin: http://a\r\n\r\nab",
        "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n", "GET /none HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: b\r\n\r\n", "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", "nonsense\r\n\r\n"};
    raw *last = NULL;
    kept_count = 0;
    kernel.piece = 300;
    kernel.send_room = kernel.receive_room = 16384;
    for (size_t i = 0; i < COUNT(texts); i++) {
        last = raw_connect(PORT);
        raw_text(last, texts[i]);
        if (i % 4 == 3)
            world_pass(5);
    }
    raw *large = raw_connect(PORT);
    raw_text(large, "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n");
    raw_send(large, noise, 3000);
    (void)raw_upgrade("/ws/refused", "");
    (void)raw_upgrade("/ws/kept", "Sec-WebSocket-Protocol: chat\r\nCookie: session=eyJ1c2VyIjoiYSJ9\r\n");
    (void)raw_upgrade("/ws/foreign", "Origin: http://b\r\n");
    (void)raw_upgrade("/ws/open", "Sec-WebSocket-Protocol: chat\r\n");
    world_pass(20);
    raw_send(large, noise, 2000);
    (void)ws_after(world.loop, 10, answer_kept, NULL);
    world_pass(50);
    raw_text(last, "GET /");
    raw_close(large);
    raw_text(raw_connect(PORT), "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    char head[3000];
    memset(head, 'x', sizeof head);
    raw_text(raw_connect(PORT), "GET /");
    raw_send(&world.raws[world.raw_count - 1], head, sizeof head);
    world_pass(100000);
}

/* --- proxies: trusted addresses, PROXY headers, bounds --- */

static void bounds_start(void) {
    ws_server_config config;
    ws_handler handler = world_handler();
    memset(&config, 0, sizeof config);
    config.proxies = "10.0.0.0/24, fd00::/8, unix";
    config.proxy_protocol = true;
    config.max_connections = 6;
    config.address_connections = 2;
    config.address_rate = 3;
    config.message_rate = 5;
    config.byte_rate = 1000;
    world.server = world_listen(&config, PORT);
    handler.on_message = echo;
    (void)ws_route(world.server, "/ws/{room}", &handler);
}

static void bounds_play(void) {
    static const uint8_t two[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x09\x7f\0\0\1\x12\x34\0\x50";
    static const char *const heads[] = {"PROXY TCP4 192.0.2.1 10.0.0.0 5000 80\r\n", "PROXY TCP6 fd00::1 ::1 1 2\r\n",
                                        "PROXY UNKNOWN\r\n", "PROXY nonsense\r\n"};
    char text[2000];
    raw *r;
    for (size_t i = 0; i < 8; i++) {
        r = raw_connect(PORT);
        if (i < 4)
            raw_text(r, heads[i]);
        else
            raw_send(r, two, sizeof two - 1);
        (void)snprintf(text, sizeof text, request, "/ws/a", i == 1 ? "X-Forwarded-For: 192.0.2.7, 10.0.0.3\r\n" : "");
        raw_text(r, text);
        world_pass(5);
    }
    world_pass(1500);
    for (size_t i = 0; i < 3; i++) {
        raw_frames(&world.raws[i], "20x81\"many\" 20x89\"ping\"");
        world_pass(100);
        raw_frames(&world.raws[i], "82#3000");
        world_pass(3000);
    }
    for (size_t i = 0; i < world.raw_count; i++)
        raw_close(&world.raws[i]);
    world_pass(100000);
}

static bool bounds_alive(void) {
    raw *r = raw_connect(PORT);
    char text[2000];
    raw_text(r, "PROXY TCP4 192.0.2.9 10.0.0.0 5000 80\r\n");
    (void)snprintf(text, sizeof text, request, "/alive", "");
    raw_text(r, text);
    world_pass(100);
    raw_frames(r, "81\"alive\"");
    world_pass(100);
    return raw_has(r, "HTTP/1.1 101 ") && raw_has(r, "\x81\5alive");
}

/* --- clients: names, proxies, redirects, refusals, reconnects --- */

static const char *const moved[] = {"Location: /new", NULL};
static const char *const busy[] = {"Retry-After: 1", "Set-Cookie: a=b", NULL};
static unsigned refusals;

static void direct(ws_request *asked, void *user) {
    ws_slice path = ws_request_path(asked);
    (void)user;
    if (ws_slice_is(path, "/old"))
        (void)ws_refuse(asked, 307, moved, NULL);
    else if (ws_slice_is(path, "/busy") && refusals++ < 2)
        (void)ws_refuse(asked, 503, busy, "a long while, a long while");
    else if (ws_slice_is(path, "/token") && refusals++ < 3)
        (void)ws_refuse(asked, 401, NULL, NULL);
}

static bool renew(ws_conn *conn, const char **url, const char *const **headers) {
    (void)ws_status(conn);
    (void)ws_header(conn, "set-cookie");
    (void)ws_body(conn);
    *url = refusals % 2 ? SERVER "/token?new" : "ws://host0:9000/token";
    *headers = busy;
    return true;
}

static void clients_start(void) {
    ws_server_config config;
    ws_handler handler = world_handler();
    memset(&config, 0, sizeof config);
    config.origins = "*";
    world.server = world_listen(&config, PORT);
    world.proxy = raw_listen(PROXY_PORT);
    refusals = 0;
    (void)ws_before(world.server, direct, NULL);
    handler.on_message = echo;
    (void)ws_route(world.server, "/{any:path}", &handler);
}

static void clients_play(void) {
    static const char *const lines[] = {"Authorization: Bearer x", NULL};
    ws_client_config config;
    ws_id broken, through;
    kernel.delay = 5;
    memset(&config, 0, sizeof config);
    config.headers = lines;
    (void)world_dial("ws://me:too@host0:9000/old", &config);
    world_pass(2000);
    (void)ws_send_text(world_client(), "redirected");
    (void)world_dial("ws://nowhere.invalid/", NULL);
    (void)world_dial("ws://10.0.0.0:1/", NULL);
    (void)world_dial("ws://host6:9000/", NULL);
    (void)world_dial("nonsense", NULL);
    config.proxy = "http://user:password@10.0.0.0:9001";
    (void)world_dial("ws://example.com/x", &config);
    through = world.client;
    config.proxy = "http://host0:9001";
    (void)world_dial("ws://example.com/y", &config);
    config.proxy = NULL;
    config.reconnect_ms = 50;
    config.before_reconnect = renew;
    (void)world_dial(SERVER "/token", &config);
    broken = world.client;
    config.before_reconnect = NULL;
    (void)world_dial(SERVER "/busy", &config);
    world_pass(8000);
    (void)ws_send_text(ws_find(world.loop, through), "through the proxy");
    (void)ws_send(ws_find(world.loop, broken), message_of(noise, 20000));
    world_pass(100);
    kernel_lose(3, 3);
    kernel_lose(1, 1);
    world_pass(3000);
    (void)ws_close(ws_find(world.loop, broken), 1000, NULL);
    world_pass(2000);
    ws_drop(world_client());
    world_pass(60000);
}

/* --- the blocking calls --- */

static void waiting_play(void) {
    static const char *const urls[] = {SERVER "/old", "ws://host0:9000/busy", "ws://host6:9000/", "ws://example.com/",
                                       "nonsense"};
    drive_memory *memory = &world.memory;
    ws_client_config config;
    ws_message message;
    kernel.idle = world_idle;
    kernel.send_room = kernel.receive_room = 8192;
    memset(&config, 0, sizeof config);
    config.allocator.resize = drive_resize;
    config.allocator.user = memory;
    config.connect_ms = config.receive_ms = 1000;
    config.limits.handshake_ms = config.limits.close_ms = 1000;
    for (size_t i = 0; i < COUNT(urls); i++) {
        config.proxy = i == 3 ? "http://10.0.0.0:9001" : NULL;
        ws_conn *conn = ws_connect(urls[i], &config);
        (void)ws_send_text(conn, "hello");
        (void)ws_receive(conn, &message);
        (void)ws_send(conn, message_of(noise, 50000));
        (void)ws_receive_within(conn, &message, 500);
        (void)ws_receive_within(conn, &message, 100);
        (void)ws_ping(conn, NULL, 0);
        (void)ws_close(conn, 1000, NULL);
        (void)ws_receive(conn, &message);
        CHECK(!conn || ws_last_error(conn) || ws_state(conn) != WS_CONNECTING);
        ws_free(conn);
    }
    ws_loop_config own;
    memset(&own, 0, sizeof own);
    own.allocator = config.allocator;
    config.loop = ws_loop_new(&own);
    if (config.loop) {
        ws_conn *conn = ws_connect(SERVER "/new", &config);
        (void)ws_stop(config.loop);
        (void)ws_receive(conn, &message);
        ws_free(conn);
    }
    ws_loop_free(config.loop);
    kernel.idle = NULL;
    world_pass(60000);
}

/* --- Unix sockets, further addresses, descriptors of the program --- */

static void sockets_start(void) {
    ws_server_config config;
    ws_handler handler = world_handler();
    (void)snprintf(kernel.paths[0], sizeof *kernel.paths, "stale"); /* nobody listens there */
    memset(&config, 0, sizeof config);
    config.unix_path = "stale";
    config.unix_mode = 0600;
    config.proxies = "unix";
    world.server = ws_listen(world.loop, &config);
    handler.on_message = echo;
    (void)ws_route(world.server, "/alive", &handler);
    memset(&config, 0, sizeof config);
    config.host = "10.0.0.0";
    config.port = PORT;
    config.reuse_port = true;
    (void)ws_listen_also(world.server, &config);
    memset(&config, 0, sizeof config);
    config.descriptor = raw_listen(OTHER_PORT);
    if (!ws_listen_also(world.server, &config)) {
        bool before = world_outside();
        (void)kernel_close(config.descriptor); /* the program still owns it */
        kernel.fault.off = before;
    }
}

static void sockets_play(void) {
    ws_client_config config;
    ws_id by_path;
    memset(&config, 0, sizeof config);
    config.unix_path = "stale";
    (void)world_dial("ws://any/alive", &config);
    by_path = world.client;
    (void)world_dial("ws://10.0.0.0:9002/alive", NULL);
    config.unix_path = "none";
    (void)world_dial("ws://any/alive", &config);
    config.unix_path = "stale";
    config.proxy = "http://10.0.0.0:1"; /* a path needs none */
    (void)world_dial("ws://any/alive", &config);
    (void)world_dial("ws://10.0.0.0:9002/alive", NULL);
    world_pass(50);
    (void)ws_send_text(ws_find(world.loop, by_path), "by path");
    (void)ws_send_text(world_client(), "by descriptor");
    (void)ws_port_at(world.server, 1);
    (void)ws_hand_over(world.server, 0);
    world_pass(50);
    (void)ws_close(ws_find(world.loop, by_path), 1000, NULL);
    world_pass(60000);
}

/* --- timers, posts, watched descriptors, foreign loops --- */

static void ticked(ws_loop *loop, void *user) {
    (void)user;
    (void)ws_now(loop);
}

static void posted(void *argument) { (void)argument; }

static void watched(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    char byte[10];
    (void)loop;
    (void)ready;
    (void)user;
    bool before = world_outside();
    (void)kernel_read(descriptor, byte, sizeof byte);
    kernel.fault.off = before;
}

static void loop_start(void) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.buffered = 1000000;
    world.server = world_listen(&config, PORT);
}

static void loop_play(void) {
    static int ends[2];
    bool before = world_outside();
    fd_set reads, writes;
    struct timeval timeout = {1, 0};
    int highest = -1;
    ws_id timers[20];
    (void)kernel_pipe(ends);
    (void)kernel_put_all(ends[1], "byte", 4, SIZE_MAX);
    kernel.fault.off = before;
    (void)ws_watch(world.loop, ends[0], WS_READ | WS_WRITE, watched, NULL);
    for (size_t i = 0; i < COUNT(timers); i++)
        timers[i] = i % 2 ? ws_after(world.loop, (uint32_t)i * 7, ticked, NULL)
                          : ws_every(world.loop, 20, ticked, NULL);
    for (int i = 0; i < 60; i++)
        (void)ws_post(world.loop, posted, NULL);
    world_pass(100);
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    if (ws_loop_fds(world.loop, &reads, &writes, &highest, &timeout))
        (void)ws_loop_dispatch(world.loop, &reads, &writes);
    (void)ws_loop_descriptor(world.loop);
    (void)ws_loop_timeout(world.loop);
    for (size_t i = 0; i < COUNT(timers); i += 2)
        ws_cancel(world.loop, timers[i]);
    (void)ws_watch(world.loop, ends[0], WS_NONE, NULL, NULL);
    for (int i = 0; i < 20; i++) {
        (void)world_dial(SERVER "/alive", NULL); /* with so many a loop leaves select */
        if (i % 8 == 0)
            world_pass(5);
    }
    world_pass(20);
    for (int i = 0; i < 3; i++)
        (void)ws_send(world_client(), message_of(noise, sizeof noise));
    world_pass(3000);
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    if (ws_loop_fds(world.loop, &reads, &writes, &highest, &timeout)) /* once more, now with epoll */
        (void)ws_loop_dispatch(world.loop, &reads, &writes);
    before = world_outside();
    (void)kernel_close(ends[0]);
    (void)kernel_close(ends[1]);
    kernel.fault.off = before;
    (void)ws_stop(world.loop);
    (void)ws_run_once(world.loop, 0);
    world_pass(20);
}

/* --- the test client --- */

static void virtual_loop(void) {
    ws_loop_config config;
    memset(&config, 0, sizeof config);
    config.allocator.resize = drive_resize;
    config.allocator.user = &world.memory;
    config.virtual_clock = true;
    world.loop = ws_loop_new(&config);
}

static void virtual_start(void) {
    ws_server_config config;
    ws_handler handler = world_handler();
    memset(&config, 0, sizeof config);
    config.no_port = true;
    world.server = ws_listen(world.loop, &config);
    handler.on_message = echo;
    handler.deflate = squeezed(false, 0);
    (void)ws_route(world.server, "/alive", &handler);
    (void)ws_page(world.server, "/", "text/plain", "a page");
}

static void virtual_play(void) {
    static const char *const lines[] = {"Cookie: a=b", NULL};
    static const char *const paths[] = {"/alive", "/none", "/alive"};
    ws_client_config config;
    ws_message message;
    memset(&config, 0, sizeof config);
    config.headers = lines;
    config.allocator.resize = drive_resize;
    config.allocator.user = &world.memory;
    for (size_t i = 0; i < COUNT(paths); i++) {
        ws_conn *conn = ws_test_connect(world.server, paths[i], &config);
        (void)ws_send_text(conn, "hello");
        (void)ws_receive_within(conn, &message, 100);
        (void)ws_send(conn, message_of(noise, 50000));
        (void)ws_receive_within(conn, &message, 100);
        if (i == 2)
            ws_test_cut(conn);
        ws_test_wait(conn, 60000);
        (void)ws_close(conn, 1000, NULL);
        (void)ws_status(conn);
        ws_free(conn);
    }
}

static bool virtual_alive(void) {
    ws_client_config config;
    ws_message message;
    memset(&config, 0, sizeof config);
    config.allocator.resize = drive_resize;
    config.allocator.user = &world.memory;
    ws_conn *conn = ws_test_connect(world.server, "/alive", &config);
    bool good = ws_send_text(conn, "alive") && ws_receive_within(conn, &message, 1000) && message.size == 5;
    ws_free(conn);
    return good;
}

/* --- TLS --- */

#ifndef WS_NO_TLS
static struct { /* OpenSSL's allocator */
    size_t used, calls;
    size_t fail_at; /* counted from 1; 0: none */
    bool fail_after, starting; /* starting: the one that failed last was within the start */
} crypto;

static bool crypto_fails(void) {
    size_t count = ++crypto.calls;
    return crypto.fail_at && (count == crypto.fail_at || (crypto.fail_after && count > crypto.fail_at));
}

/* Each block is preceded by its size. */
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
    return (void)file, (void)line, crypto_resize(NULL, size);
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

static const char *files[3]; /* certificate with its key, authorities, revocation list */

static void tls_start(void) {
    ws_session_config sessions;
    ws_server_config config;
    ws_handler handler = world_handler();
    memset(&config, 0, sizeof config);
    memset(&sessions, 0, sizeof sessions);
    sessions.keys = session_keys;
    config.tls.cert_file = files[0];
    config.tls.ca_file = files[1];
    config.tls.crl_file = files[2];
    config.tls.client_cert_optional = true;
    world.server = world_listen(&config, PORT);
    handler.on_message = echo;
    (void)ws_sessions(world.server, &sessions);
    (void)ws_http(world.server, "GET", "/form", form, NULL);
    (void)ws_route(world.server, "/ws", &handler);
}

static void named(ws_conn *conn) {
    char name[200];
    (void)ws_peer_certificate(conn, name, sizeof name);
    (void)ws_tls_session(conn);
    (void)ws_send(conn, message_of(noise, 30000));
}

static ws_client_config trusting(void) {
    ws_client_config config;
    memset(&config, 0, sizeof config);
    config.tls.ca_pem = certs.ca.pem;
    config.tls.server_name = "localhost";
    return config;
}

static void tls_play(void) {
    ws_client_config config = trusting();
    ws_tls_config renewed;
    ws_id first;
    world.on_open = named;
    kernel.send_room = kernel.receive_room = 8192;
    (void)world_dial("wss://10.0.0.0:9000/ws", &config);
    first = world.client;
    config.tls.cert_pem = certs.alice.pem;
    config.tls.key_pem = certs.alice.key_pem;
    (void)world_dial("wss://10.0.0.0:9000/ws", &config);
    config.tls.server_name = "other.test";
    (void)world_dial("wss://10.0.0.0:9000/ws", &config);
    memset(&config.tls, 0, sizeof config.tls); /* the system's authorities, and a name in place of an address */
    (void)world_dial("wss://host0:9000/ws", &config);
    raw_text(raw_connect(PORT), "GET / HTTP/1.1\r\n\r\n");
    world_pass(300);
    memset(&renewed, 0, sizeof renewed);
    renewed.cert_pem = certs.renewed.pem;
    renewed.key_pem = certs.renewed.key_pem;
    (void)ws_server_tls(world.server, &renewed);
    (void)ws_server_broadcast(world.server, NULL, message_of(noise, 300));
    world_pass(50);
    (void)ws_close(ws_find(world.loop, first), 1000, "bye");
    world_pass(100);
    for (int i = 0; i < 6; i++)
        world_pass(20000);
}

static bool tls_alive(void) {
    ws_client_config config = trusting();
    return alive_at("wss://10.0.0.0:9000/alive", &config);
}
#endif

/* --- the list --- */

typedef struct scene {
    const char *name;
    void (*loop)(void);
    void (*start)(void); /* a failure here is the loop's error */
    void (*play)(void);
    bool (*alive)(void); /* whether the next client is served; NULL: the scene is over */
    bool traced, crypto, slow; /* slow: if a call fails for ever, only every fifth N is tried */
    ws_poller poller;
} scene;

static const scene scenes[] = {
    {"echo", world_loop, echo_start, echo_play, plain_alive, false, false, false, WS_POLLER_SELECT},
    {"echo, traced", world_loop, echo_start, echo_play, plain_alive, true, false, false, WS_POLLER_EPOLL},
    {"rooms", world_loop, rooms_start, rooms_play, NULL, false, false, false, WS_POLLER_EPOLL},
    {"HTTP", world_loop, http_start, http_play, plain_alive, false, false, false, WS_POLLER_EPOLL},
    {"HTTP, traced", world_loop, http_start, http_play, plain_alive, true, false, false, WS_POLLER_SELECT},
    {"bounds", world_loop, bounds_start, bounds_play, bounds_alive, true, false, false, WS_POLLER_EPOLL},
    {"clients", world_loop, clients_start, clients_play, plain_alive, true, false, false, WS_POLLER_SELECT},
    {"waiting calls", world_loop, clients_start, waiting_play, plain_alive, false, false, true, WS_POLLER_EPOLL},
    {"sockets", world_loop, sockets_start, sockets_play, plain_alive, false, false, false, WS_POLLER_AUTO},
    {"loop", world_loop, loop_start, loop_play, NULL, false, false, true, WS_POLLER_AUTO},
    {"test client", virtual_loop, virtual_start, virtual_play, virtual_alive, false, false, false, WS_POLLER_SELECT},
#ifndef WS_NO_TLS
    {"TLS", world_loop, tls_start, tls_play, tls_alive, false, true, true, WS_POLLER_SELECT},
#endif
};

static void heal(void) {
    world_heal();
#ifndef WS_NO_TLS
    crypto.fail_at = 0;
#endif
}

/* When all works again: the server has an echo for the next client. */
static bool alive(const scene *own) {
    world.on_open = NULL;
    world.on_message = NULL;
    heal();
    if (own->loop == world_loop)
        world_pass(2000); /* listening resumes */
    return own->alive();
}

static size_t points, stopped, made[KERNEL_CALLS]; /* made: calls of the newest run */

/* How many allocations fail. A loop tries again when it has freed something, so it may take several in a row. */
typedef enum span { ONCE, AND_MORE, AND_ALL } span;

static const char *const spans[] = {"once", "and seven behind it", "and all behind it"};

/* One run with one fault, set by memory_at or kernel.fault. true: the fault happened. */
static bool play(const scene *own, const kernel_fault *fault, size_t memory_at, span memory_span) {
    bool hit, started;
    world_begin();
    world.poller = TEST_WINDOWS ? WS_POLLER_SELECT : own->poller;
    world.traced = own->traced;
    world.memory.fail_at = memory_at;
    world.memory.fail_more = memory_span == AND_MORE ? 7 : 0;
    world.memory.fail_after = memory_span == AND_ALL;
    if (fault)
        kernel.fault = *fault;
    own->loop();
    if (world.loop)
        own->start();
    hit = memory_at ? world.memory.calls >= memory_at : fault && kernel.fault.counts[fault->call] >= fault->at;
    started = world.loop && !ws_loop_error(world.loop);
    stopped += !started;
    CHECK(started || hit || own->crypto);
    if (world.loop && started)
        own->play();
    hit = memory_at ? world.memory.calls >= memory_at : fault && kernel.fault.counts[fault->call] >= fault->at;
    memcpy(made, kernel.fault.counts, sizeof made);
    if (started && !(fault && fault->call == KERNEL_WAIT))
        CHECK_EQ(ws_loop_error(world.loop), WS_OK);
    if (started && own->alive && !ws_loop_error(world.loop))
        CHECK(alive(own));
    heal();
    WORLD_END();
    points += hit;
    return hit;
}

static const char *const call_names[KERNEL_CALLS] = {
    "recv", "send", "sendmsg", "accept", "wait", "pipe", "fcntl", "ioctl", "socket", "bind", "listen", "connect",
    "setsockopt", "getsockopt", "getsockname", "getpeername", "getnameinfo", "read", "write", "shutdown", "socketpair",
    "pthread_create", "pthread_sigmask", "getaddrinfo", "getrandom", "open", "stat", "epoll_create1", "epoll_ctl",
    "unlink", "chmod", "realloc", "HMAC", "call of OpenSSL"};

/* Under wine each call for a file takes long. */
static size_t usual_step(void) { return test_quick() || TEST_WINDOWS ? 5 : 1; }

static const char *which(size_t step) { return step == 1 ? "all" : "every fifth"; }

static void test_scene(const scene *own) {
    size_t before = points;
    if (!test_begin("%s: without a fault", own->name))
        return;
    stopped = 0;
    (void)play(own, NULL, 0, ONCE);
    CHECK(!stopped && points == before && world.opens > 1);
}

static void test_allocations(const scene *own, span fails) {
    size_t before = points, n = 1, step = usual_step();
    if (!test_begin("%s: the Nth allocation fails, %s, for %s N", own->name, spans[fails], which(step)))
        return;
    while (n < 5000 && play(own, NULL, n, fails))
        n += step;
    CHECK(n < 5000 && points > before + 20 / step);
}

static const struct {
    kernel_call call;
    int error; /* 0: the call is cut short */
    bool once; /* fails only once: it is tried again until it works */
} faults[] = {
    {KERNEL_RECV, EAGAIN, false},        {KERNEL_RECV, EINTR, false},           {KERNEL_RECV, ECONNRESET, false},
    {KERNEL_RECV, 0, false},             {KERNEL_SEND, EAGAIN, false},          {KERNEL_SEND, EPIPE, false},
    {KERNEL_SEND, 0, false},             {KERNEL_SENDMSG, EAGAIN, false},       {KERNEL_SENDMSG, EPIPE, false},
    {KERNEL_SENDMSG, 0, false},          {KERNEL_ACCEPT, EAGAIN, false},        {KERNEL_ACCEPT, EMFILE, false},
    {KERNEL_ACCEPT, ENOMEM, false},      {KERNEL_ACCEPT, ECONNABORTED, false},  {KERNEL_WAIT, EINTR, false},
    {KERNEL_WAIT, EBADF, false},         {KERNEL_PIPE, EMFILE, false},          {KERNEL_FCNTL, EINVAL, false},
    {KERNEL_IOCTL, EINVAL, false},       {KERNEL_MAKE_SOCKET, EMFILE, false},   {KERNEL_MAKE_SOCKET, ENOBUFS, false},
    {KERNEL_MAKE_SOCKET, EAFNOSUPPORT, false},                                  {KERNEL_BIND, EADDRINUSE, false},
    {KERNEL_BIND, EACCES, false},        {KERNEL_BIND, EPERM, false},           {KERNEL_LISTEN, EADDRINUSE, false},
    {KERNEL_CONNECT, ECONNREFUSED, false}, {KERNEL_CONNECT, ETIMEDOUT, false},  {KERNEL_CONNECT, EMFILE, false},
    {KERNEL_SETSOCKOPT, EINVAL, false},  {KERNEL_GETSOCKOPT, EINVAL, false},    {KERNEL_GETSOCKNAME, EINVAL, false},
    {KERNEL_GETPEERNAME, ENOTCONN, false}, {KERNEL_NAME, EINVAL, false},        {KERNEL_READ, EAGAIN, false},
    {KERNEL_READ, EINTR, true},          {KERNEL_READ, EIO, false},             {KERNEL_READ, 0, false},
    {KERNEL_WRITE, EAGAIN, false},       {KERNEL_WRITE, EINTR, true},           {KERNEL_SHUTDOWN, ENOTCONN, false},
    {KERNEL_PAIR, EMFILE, false},        {KERNEL_THREAD, EAGAIN, false},        {KERNEL_MASK, EINVAL, false},
    {KERNEL_LOOK_UP, EAI_AGAIN, false},  {KERNEL_LOOK_UP, EAI_MEMORY, false},   {KERNEL_RANDOM, EIO, false},
    {KERNEL_RANDOM, EINTR, true},        {KERNEL_OPEN_FILE, EMFILE, false},     {KERNEL_OPEN_FILE, EACCES, false},
    {KERNEL_OPEN_FILE, EIO, false},      {KERNEL_STATUS, EIO, false},           {KERNEL_MAKE_EPOLL, EMFILE, false},
    {KERNEL_CONTROL, ENOSPC, false},     {KERNEL_CONTROL, ENOENT, false},       {KERNEL_UNLINK, EPERM, false},
    {KERNEL_CHMOD, EPERM, false},        {KERNEL_MALLOC, ENOMEM, false},        {KERNEL_HMAC, EIO, false},
    {KERNEL_OPENSSL, ENOMEM, false}};

static void test_call(const scene *own, size_t i, bool after) {
    kernel_fault fault;
    memset(&fault, 0, sizeof fault);
    fault.call = faults[i].call;
    fault.error = faults[i].error;
    fault.after = after;
    size_t step = own->slow && after ? 5 : usual_step();
    if ((after && faults[i].once)
        || !test_begin("%s: the Nth %s %s %d, %s, for %s N", own->name, call_names[fault.call],
                       fault.error ? "fails with" : "is short", fault.error, after ? "and all after it" : "once",
                       which(step)))
        return;
    for (fault.at = 1 + i % step; fault.at < 5000 && play(own, &fault, 0, ONCE); fault.at += step) {}
    CHECK(fault.at < 5000);
}

/* A quick look at which kinds of calls a scene makes: no others are tried. */
static void test_calls(const scene *own) {
    size_t counts[KERNEL_CALLS];
    (void)play(own, NULL, 0, ONCE);
    (void)memcpy(counts, made, sizeof counts);
    for (size_t i = 0; i < COUNT(faults); i++)
        for (int after = 0; after < 2 && counts[faults[i].call]; after++)
            test_call(own, i, after == 1);
}

#ifndef WS_NO_TLS
static bool crypto_play(const scene *own, size_t n, bool after) {
    size_t before = stopped;
    crypto.calls = 0;
    crypto.fail_at = n;
    crypto.fail_after = after;
    (void)play(own, NULL, 0, ONCE);
    crypto.starting = stopped > before;
    points += crypto.calls >= n;
    return crypto.calls >= n;
}

/* N grows by a step, which is smaller within the start: all else depends on that, and a config that is accepted must
   serve. Memory that OpenSSL still holds afterwards is kept once: a second run does not add to it. */
static void test_crypto(const scene *own, bool after) {
    const char *all = getenv("TEST_ALL");
    size_t step = all && *all == '1' ? 1 : 401, n = 1, before = points, used;
    if (!test_begin("%s: OpenSSL's Nth allocation fails, %s, for %s N", own->name, after ? "and all after it" : "once",
                    step == 1 ? "all" : "many"))
        return;
    (void)play(own, NULL, 0, ONCE); /* what OpenSSL makes once and keeps */
    used = crypto_used();
    for (bool hit = true; hit && n < 100000; n += crypto.starting ? (step + 4) / 5 : step) {
        hit = crypto_play(own, n, after);
        if (crypto_used() > used) { /* kept once, or lost each time? */
            used = crypto_used();
            (void)crypto_play(own, n, after);
            CHECK_EQ(crypto_used(), used);
        }
    }
    CHECK(n < 100000 && points > before + 5);
}
#endif

/* Calls that answer with false or 0 when there is no memory, and leave all as it was. */
static void test_refusals(void) {
    if (!test_begin("without memory calls fail, and succeed when there is some again"))
        return;
    world_begin();
    world_loop();
    echo_start();
    (void)world_dial(SERVER "/alive", NULL);
    world_pass(20);
    CHECK_EQ(ws_state(world_client()), WS_OPEN);
    world.memory.fail_at = world.memory.calls + 1;
    world.memory.fail_after = true;
    for (int again = 0; again < 2; again++) {
        bool wanted = again == 1;
        int ends[2] = {-1, -1};
        (void)kernel_pipe(ends);
        CHECK_EQ(ws_after(world.loop, 1000, ticked, NULL) != 0, wanted);
        CHECK_EQ(ws_every(world.loop, 1000, ticked, NULL) != 0, wanted);
        CHECK_EQ(ws_watch(world.loop, ends[0], WS_READ, watched, NULL), wanted);
        CHECK_EQ(world_dial(SERVER "/alive", NULL) != NULL, wanted);
        CHECK_EQ(ws_loop_error(world.loop), WS_OK);
        (void)ws_watch(world.loop, ends[0], WS_NONE, NULL, NULL);
        (void)kernel_close(ends[0]);
        (void)kernel_close(ends[1]);
        world.memory.fail_at = 0;
    }
    WORLD_END();
}

int main(int argc, char **argv) {
    static const char style[] = "@charset \"utf-8\"; p { color: red }";
#ifndef WS_NO_TLS
    static char chain[20000];
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        abort(); /* OpenSSL has allocated already */
#endif
    test_start(argc, argv);
    (void)snprintf(folder, sizeof folder, "%s/ws_faults_XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR")
                                                                      : TEST_WINDOWS ? "build" : "/tmp");
    if (!mkdtemp(folder))
        abort();
    for (size_t i = 0, x = 1; i < sizeof noise; i++, x = x * 1664525 + 1013904223)
        noise[i] = (uint8_t)(x >> 24);
    write_file(0, noise, 50000);
    write_file(1, "<p>index", 8);
    write_file(2, style, sizeof style - 1);
#ifndef WS_NO_TLS
    certs_start();
    (void)snprintf(chain, sizeof chain, "%s%s", certs.server.pem, certs.server.key_pem);
    files[0] = certs_file("server.pem", chain);
    files[1] = certs_file("ca.pem", certs.ca.pem);
    files[2] = certs_file("crl.pem", certs.crl_pem);
    (void)setenv("SSL_CERT_FILE", files[1], 1); /* the system's authorities are ours, and few */
    (void)setenv("SSL_CERT_DIR", certs.folder, 1);
#endif
    for (size_t i = 0; i < COUNT(scenes); i++) {
        test_posix_from_here(scenes[i].start == sockets_start ? "Unix sockets" : NULL);
        test_scene(&scenes[i]);
        for (int k = ONCE; k <= AND_ALL; k++)
            test_allocations(&scenes[i], (span)k);
        test_calls(&scenes[i]);
#ifndef WS_NO_TLS
        if (scenes[i].crypto) {
            test_crypto(&scenes[i], false);
            test_crypto(&scenes[i], true);
        }
#endif
    }
    test_refusals();
#ifndef WS_NO_TLS
    certs_end();
#endif
    for (size_t i = 0; i < COUNT(written); i++)
        (void)remove(written_path(i));
    (void)rmdir(folder);
    printf("%zu points\n", points);
    return test_finish();
}
