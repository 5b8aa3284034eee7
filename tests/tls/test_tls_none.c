/* A build without OpenSSL: wss: and certificates are refused with an error text, all else works. */
#ifndef WS_NO_TLS
#define WS_NO_TLS
#endif
#define WS_IMPLEMENTATION
#include "../../ws.h"

#if defined(OPENSSL_VERSION_NUMBER)
#error "WS_NO_TLS includes no header of OpenSSL"
#endif

#include "../helpers/tls.h"

static void test_client(const char *url) {
    ws_conn *conn;
    tls_client *c;
    if (!test_begin("%s without TLS: the error text says so", url))
        return;
    CHECK(net_start());
    c = tls_dial(url, NULL);
    UNTIL(c->errors || c->opened);
    CHECK(c->errors == 1 && c->opened == 0);
    CHECK_EQ(c->error, WS_ERROR_NO_TLS);
    CHECK_TOLD(c, "WS_NO_TLS");
    CHECK_SAYS(ws_error_text(WS_ERROR_NO_TLS), TEST_SMALL ? "without TLS" : "WS_NO_TLS");
    TLS_END();
    conn = ws_connect(url, NULL);
    CHECK(conn != NULL);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_NO_TLS);
    CHECK_SAYS(ws_last_error_text(conn), DETAIL(ws_last_error(conn), "WS_NO_TLS"));
    CHECK(!ws_send_text(conn, "x") && ws_state(conn) == WS_CLOSED);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_NO_TLS);
    ws_free(conn);
}

static int no_context;

/* The fields of TLS that a config may set. */
static const struct {
    const char *name;
    ws_tls_config tls;
} configs[] = {
    {"files", {"cert.pem", "key.pem", NULL, NULL, NULL, NULL, NULL, NULL, false, false, NULL}},
    {"texts", {NULL, NULL, "cert", "key", NULL, NULL, NULL, NULL, false, false, NULL}},
    {"an SSL_CTX", {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, false, &no_context}}};

static void test_server(void) {
    size_t i;
    for (i = 0; i < sizeof configs / sizeof *configs; i++) {
        ws_server_config config;
        if (!test_begin("a server with %s, without TLS, does not start as a plain one", configs[i].name))
            continue;
        memset(&config, 0, sizeof config);
        config.tls = configs[i].tls;
        net_start_loop(NULL);
        net.server = ws_listen(net.loop, &config);
        CHECK(net.server == NULL);
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_NO_TLS);
        CHECK_SAYS(ws_loop_error_text(net.loop), NET_DETAIL("WS_NO_TLS"));
        CHECK_EQ(ws_run(net.loop), WS_ERROR_NO_TLS);
        TLS_END();
    }
    if (!test_begin("ws_server_tls without TLS changes nothing"))
        return;
    CHECK(net_start());
    CHECK(!ws_server_tls(net.server, &configs[0].tls));
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    CHECK_SAYS(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_STATE, "certificate|WS_NO_TLS"));
    CHECK(net_serves());
    TLS_END();
}

static void test_plain(void) {
    char text[100];
    tls_client *c;
    if (!test_begin("ws: works without TLS"))
        return;
    CHECK(net_start());
    c = tls_dial_port("ws", ws_port(net.server), NULL);
    c->first = "plain";
    UNTIL(c->messages == 1);
    CHECK_MEM(c->in.data, c->in.size, "plain", 5);
    CHECK(ws_tls_session(c->conn) == NULL && !ws_peer_certificate(c->conn, text, sizeof text));
    CHECK(ws_close(c->conn, 1000, NULL));
    UNTIL(c->closed == 1 && c->clean);
    TLS_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_client("wss://127.0.0.1:9/");
    test_client("https://localhost/");
    test_server();
    test_plain();
    return test_finish();
}
