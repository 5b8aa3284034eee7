/* SERVER: one server listens on several addresses: TCP and Unix, IPv4 and IPv6, plain and TLS, in any order. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/tls.h"

static char folder[] = "build/server-also-XXXXXX"; /* where make runs the tests from */
static char path[300];
static ws_server_config plain, local, secure;

static bool exists(void) {
    struct stat status;
    return lstat(path, &status) == 0;
}

static void enter(ws_conn *conn, unsigned number) {
    (void)number;
    CHECK(ws_join(conn, "all"));
}

static void tell_all(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    CHECK(ws_broadcast(conn, "all", message));
}

static void set_cookie(ws_request *request, void *user) {
    (void)user;
    (void)ws_set_cookie(request, "a", "b", 0);
    (void)ws_reply(request, 200, "text/plain", "set");
}

static void start(const ws_server_config *config) {
    memset(&local, 0, sizeof local);
    memset(&plain, 0, sizeof plain);
    memset(&secure, 0, sizeof secure);
    local.unix_path = path;
#ifndef WS_NO_TLS
    secure.tls.cert_pem = certs.server.pem;
    secure.tls.key_pem = certs.server.key_pem;
#endif
    CHECK(net_start_with(NULL, config));
    net.on_open = enter;
    net.on_message = tell_all;
    CHECK(ws_http(net.server, "GET, POST", "/cookie", set_cookie, NULL));
}

static peer *join_to(peer *p, const struct sockaddr *address, size_t size) {
    memset(p, 0, sizeof *p);
    p->fd = socket(address->sa_family, SOCK_STREAM, 0);
    p->ended = connect(p->fd, address, (socklen_t)size) != 0;
    (void)fcntl(p->fd, F_SETFL, O_NONBLOCK);
    return p;
}

static peer *connect_local(void) {
    struct sockaddr_un address;
    CHECK(wsi_platform_unix(path, &address));
    return join_to(&net.peers[net.peer_count++], (struct sockaddr *)&address, sizeof address);
}

static void open_plain(peer *p) {
    peer_upgrade(p, "/", NULL);
    CHECK_EQ(peer_take_status(p), 101);
}

static void end_with(peer *p) {
    peer_frames(p, "88<03f4>");
    net_settle();
    peer_close(p);
    net_settle();
}

static void test_rooms(void) {
    if (!test_begin("TCP and a Unix socket share routes and rooms; a shutdown reaches both")
        || !test_posix("Unix sockets"))
        return;
    start(NULL);
    CHECK(ws_listen_also(net.server, &local) && ws_listen_also(net.server, &plain));
    uint16_t port = ws_port(net.server), other = ws_port_at(net.server, 2);
    CHECK(port != 0 && other != 0 && port != other && exists());
    peer *a = net_connect(), *b = connect_local(), *c = net_connect_to(other, 0);
    CHECK(ws_port_at(net.server, 0) == port && !ws_port_at(net.server, 1) && !ws_port_at(net.server, 3));
    CHECK((int)ws_hand_over(net.server, 3) == -1 && !ws_port_at(NULL, 0));
    open_plain(a);
    open_plain(b);
    open_plain(c);
    CHECK_EQ(ws_room_count(net.server, "all"), 3);
    peer_frames(b, "81\"hello\"");
    CHECK_FRAMES(a, "81\"hello\"");
    CHECK_FRAMES(b, "81\"hello\"");
    CHECK_FRAMES(c, "81\"hello\"");
    CHECK(ws_shutdown(net.loop, 1000) && net_settle());
    CHECK_FRAMES(a, "88<03f4>\"server restarts\"");
    CHECK_FRAMES(b, "88<03f4>\"server restarts\"");
    CHECK_FRAMES(c, "88<03f4>\"server restarts\"");
    CHECK(net_connect_to(port, 0)->ended && net_connect_to(other, 0)->ended && connect_local()->ended);
    end_with(a);
    end_with(b);
    end_with(c);
    CHECK_EQ(net.loop->conn_count, 0);
    TLS_END();
    CHECK(!exists());
}

static void test_families(void) {
    struct sockaddr_in6 address;
    ws_server_config ipv6;
    if (!test_begin("IPv4 and IPv6 on one port"))
        return;
    start(NULL);
    memset(&ipv6, 0, sizeof ipv6);
    ipv6.host = "::1";
    ipv6.port = ws_port(net.server);
    if (!ws_listen_also(net.server, &ipv6)) {
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ADDRESS);
        TLS_END();
        test_skip("no IPv6 here");
        return;
    }
    memset(&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(ipv6.port);
    address.sin6_addr.s6_addr[15] = 1;
    peer *a = net_connect(), *b = join_to(&net.peers[net.peer_count++], (struct sockaddr *)&address, sizeof address);
    open_plain(a);
    open_plain(b);
    peer_frames(b, "81\"hello\"");
    CHECK_FRAMES(a, "81\"hello\"");
    CHECK_FRAMES(b, "81\"hello\"");
    TLS_END();
}

static void test_ends(void) {
    if (!test_begin("ws_server_free closes all, and removes the socket's file") || !test_posix("Unix sockets"))
        return;
    start(NULL);
    CHECK(ws_listen_also(net.server, &local) && exists());
    (void)connect_local();
    net_settle();
    ws_server_free(net.server);
    CHECK(!exists());
    TLS_END();
}

static void test_errors(void) {
    for (int kind = 0; kind < 5; kind++) {
        ws_server_config config;
        if (!test_begin("an address that cannot be listened on, number %d: the error says why, nothing is left", kind))
            continue;
        start(NULL);
        memset(&config, 0, sizeof config);
        config.port = ws_port(net.server);
        if (kind == 1 && !test_posix("Unix sockets")) {
            TLS_END();
            continue;
        }
        if (kind == 1)
            config.unix_path = folder;
        if (kind == 2)
            config.descriptor = 999;
        if (kind == 4)
            CHECK(ws_shutdown(net.loop, 0) && net_settle());
        CHECK(!ws_listen_also(net.server, kind == 3 ? NULL : &config));
        CHECK_EQ(ws_loop_error(net.loop), kind < 2    ? WS_ERROR_IN_USE
                                          : kind == 4 ? WS_ERROR_STATE
                                                      : WS_ERROR_ARGUMENT);
        if (kind == 2)
            CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL("descriptor 999: it is not an open socket"));
        if (kind > 2)
            CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL(kind == 3 ? "ws_listen_also: config is NULL"
                                                                         : "ws_listen_also: the server is ending"));
        CHECK((int)ws_hand_over(net.server, 1) == -1);
        CHECK(!ws_listen_also(NULL, &config));
        CHECK(!ws_listen_also(net.server, &local) && !exists());
        TLS_END();
    }
}

static void test_full(void) {
    if (!test_begin("when no descriptor is left all listeners pause, and resume later") || !test_posix("Unix sockets"))
        return;
    start(NULL);
    CHECK(ws_listen_also(net.server, &local));
    calls_reset();
    calls.fail_at[CALLS_ACCEPT] = 1;
    calls.fail_after = true;
    calls.error = EMFILE;
    peer *a = net_connect(), *b = connect_local();
    peer_upgrade(a, "/", NULL);
    peer_upgrade(b, "/", NULL);
    net_settle();
    CHECK_EQ(net.loop->conn_count, 0);
    calls_reset();
    net_wait(99);
    CHECK_EQ(net.loop->conn_count, 0);
    net_wait(1);
    CHECK_EQ(net.loop->conn_count, 2);
    CHECK_EQ(peer_take_status(a), 101);
    CHECK_EQ(peer_take_status(b), 101);
    TLS_END();
}

#if defined(__linux__) && !defined(WS_NO_EPOLL) && !defined(WSI_KQUEUE)
/* The listener comes back to the poller by a call that may fail, too. */
static void test_full_twice(void) {
    ws_loop_config loop;
    if (!test_begin("when a listener cannot be watched again, this is retried until it can"))
        return;
    memset(&loop, 0, sizeof loop);
    loop.poller = WS_POLLER_EPOLL;
    CHECK(net_start_with(&loop, NULL));
    calls_reset();
    calls.fail_at[CALLS_ACCEPT] = 1;
    calls.error = EMFILE;
    peer *p = net_connect();
    peer_upgrade(p, "/", NULL);
    net_settle();
    CHECK_EQ(net.loop->conn_count, 0);
    calls_reset();
    calls.fail_at[CALLS_KERNEL_CONTROL] = 1;
    calls.fail_after = true;
    calls.error = ENOMEM;
    net_wait(100);
    net_wait(100);
    CHECK_EQ(calls.count[CALLS_KERNEL_CONTROL], 2);
    CHECK_EQ(net.loop->conn_count, 0);
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    calls_reset();
    net_wait(99);
    CHECK_EQ(net.loop->conn_count, 0);
    net_wait(1);
    CHECK_EQ(net.loop->conn_count, 1);
    CHECK_EQ(peer_take_status(p), 101);
    TLS_END();
}
#else
static void test_full_twice(void) {
    if (test_begin("when a listener cannot be watched again, this is retried until it can"))
        test_skip("no epoll");
}
#endif

#ifndef WS_NO_TEST
/* A listener without a socket is not retried. */
static void test_full_beside_none(void) {
    ws_server_config none;
    if (!test_begin("when no descriptor is left, beside an address that is not listened on")
        || !test_posix("Unix sockets"))
        return;
    memset(&none, 0, sizeof none);
    none.no_port = true;
    start(&none);
    CHECK(ws_listen_also(net.server, &local));
    calls_reset();
    calls.fail_at[CALLS_ACCEPT] = 1;
    calls.error = EMFILE;
    peer *p = connect_local();
    peer_upgrade(p, "/", NULL);
    net_settle();
    CHECK_EQ(net.loop->conn_count, 0);
    net_wait(100);
    CHECK_EQ(peer_take_status(p), 101);
    peer_reset(p);
    net_wait(100);
    CHECK_EQ(net.loop->heap_size, 0); /* no timer is left */
    TLS_END();
}
#else
static void test_full_beside_none(void) {}
#endif

#ifndef WS_NO_TLS
/* "http://127.0.0.1:port" is not the server's own origin over TLS. */
static int with_origin(peer *p, const char *scheme, uint16_t port) {
    char text[300];
    (void)snprintf(text, sizeof text,
                   "POST /cookie HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nOrigin: %s://127.0.0.1:%u\r\n"
                   "Content-Length: 0\r\n\r\n", (unsigned)port, scheme, (unsigned)port);
    peer_text(p, text);
    return peer_status(p);
}

static void test_tls(void) {
    for (int first = 0; first < 2; first++) {
        if (!test_begin("plain and TLS, %s first: rooms, origins, cookies, certificates", first ? "TLS" : "plain"))
            continue;
        start(NULL);
        ws_server_free(net.server);
        net_settle();
        net.server = ws_listen(net.loop, first ? &secure : &plain);
        CHECK(net_route("/") && ws_http(net.server, "POST", "/cookie", set_cookie, NULL));
        peer *early = net_connect(); /* a plain one, before there is TLS */
        if (!first)
            open_plain(early);
        CHECK(ws_listen_also(net.server, first ? &plain : &secure) && ws_listen_also(net.server, &local));
        uint16_t in_clear = ws_port_at(net.server, (size_t)first), over_tls = ws_port_at(net.server, (size_t)!first);
        peer *a = net_connect_to(in_clear, 0), *b = tls_on(net_connect_to(over_tls, 0)), *c = connect_local();
        open_plain(a);
        CHECK_EQ(tls_upgrade(b), 101);
        open_plain(c);
        peer_frames(b, "82#100000");
        CHECK_FRAMES(a, "82#100000");
        CHECK_FRAMES(b, "82#100000");
        CHECK_FRAMES(c, "82#100000");
        if (!first)
            CHECK_FRAMES(early, "82#100000");
        peer *p = net_connect_to(in_clear, 0);
        CHECK(with_origin(p, "http", in_clear) == 200 && !peer_has(p, "; Secure"));
        p = tls_on(net_connect_to(over_tls, 0));
        CHECK(tls_handshake(p) && with_origin(p, "https", over_tls) == 200 && peer_has(p, "; Secure"));
        p = tls_on(net_connect_to(over_tls, 0));
        CHECK(tls_handshake(p) && with_origin(p, "http", over_tls) == 403);
        CHECK(ws_tls_session(net.conns[first ? 1 : 2]) == NULL && ws_tls_session(net.conns[first ? 2 : 3]) != NULL);
        CHECK(ws_server_tls(net.server, &secure.tls));
        peer_frames(a, "81\"still\"");
        CHECK_FRAMES(b, "81\"still\"");
        peer_close(early);
        TLS_END();
        CHECK(!exists());
    }
}

static void test_turned_away(void) {
    ws_server_config config;
    if (!test_begin("max_connections counts all: a plain connection gets 503, one of TLS no bytes"))
        return;
    memset(&config, 0, sizeof config);
    config.max_connections = 1;
    start(&config);
    CHECK(ws_listen_also(net.server, &secure));
    open_plain(net_connect());
    peer *p = net_connect(), *q = net_connect_to(ws_port_at(net.server, 1), 0);
    peer_text(p, "GET / HTTP/1.1\r\n\r\n");
    CHECK_EQ(peer_status(p), 503);
    net_settle();
    CHECK(q->ended && q->in.size == 0);
    TLS_END();
}

static void test_proxied(void) {
    ws_server_config config;
    if (!test_begin("a PROXY header comes first, plain or with TLS"))
        return;
    memset(&config, 0, sizeof config);
    config.proxies = "127.0.0.1";
    config.proxy_protocol = true;
    start(&config);
    CHECK(ws_listen_also(net.server, &secure));
    peer *a = net_connect(), *b = net_connect_to(ws_port_at(net.server, 1), 0);
    peer_text(a, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    open_plain(a);
    peer_text(b, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    CHECK_EQ(tls_upgrade(tls_on(b)), 101);
    peer_frames(a, "81\"hello\"");
    CHECK_FRAMES(b, "81\"hello\"");
    TLS_END();
}

static void test_transports(void) {
    ws_transport other;
    if (!test_begin("a server has TLS, or one transport"))
        return;
    start(NULL);
    CHECK(ws_listen_also(net.server, &secure) && ws_listen_also(net.server, &secure));
    other = net.server->transport;
    other.user = &other;
    plain.transport = &other;
    CHECK(!ws_listen_also(net.server, &plain));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
    CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL("transport: the server has another transport, or TLS")));
    TLS_END();
}
#endif

int main(int argc, char **argv) {
    test_start_in_tree(argc, argv);
    (void)test_begin("a folder for sockets");
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    test_rooms();
    test_families();
    test_ends();
    test_errors();
    test_full();
    test_full_beside_none();
    test_full_twice();
#ifndef WS_NO_TLS
    certs_start();
    test_tls();
    test_turned_away();
    test_proxied();
    test_transports();
    certs_end();
#endif
    (void)test_begin("the folder is empty at the end");
    CHECK(rmdir(folder) == 0);
    return test_finish();
}
