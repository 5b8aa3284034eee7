/* RECEIVE: ws_pause over TLS: bytes that OpenSSL has read wait there, and are delivered after ws_resume. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/tls.h"

#ifdef WS_NO_TLS

int main(int argc, char **argv) {
    test_start(argc, argv);
    if (test_begin("paused with bytes left inside OpenSSL"))
        test_skip("no TLS");
    return test_finish();
}

#else

static unsigned until; /* pauses at this message, and each one after */

static void pausing(ws_conn *conn, unsigned number, ws_message message) {
    (void)number, (void)message;
    if (--until == 0) {
        CHECK(ws_pause(conn));
        until = 1;
    }
}

static void test_left_in_tls(void) {
    enum { MESSAGES = 400, SIZE = 1000 }; /* more than a receive buffer, many in a record */
    bytes out = {NULL, 0, 0};
    ws_loop_config loop;
    ws_server_config config;
    unsigned i;
    if (!test_begin("paused with bytes left inside OpenSSL"))
        return;
    memset(&loop, 0, sizeof loop);
    memset(&config, 0, sizeof config);
    loop.receive_size = 16384;
    loop.max_spare = 1;
    config.tls.cert_pem = certs.server.pem;
    config.tls.key_pem = certs.server.key_pem;
    CHECK(net_start_with(&loop, &config));
    net.quiet = true;
    net.on_message = pausing;
    until = 3;
    peer *p = tls_connect(0);
    peer_upgrade(p, "/", NULL);
    CHECK_EQ(peer_take_status(p), 101);
    for (i = 0; i < MESSAGES; i++)
        wire_write(&out, "82#1000", true);
    CHECK_EQ(peer_send(p, out.data, out.size), out.size);
    bytes_free(&out);
    CHECK(net_settle());
    CHECK_EQ(net.received, 3 * SIZE);
    for (i = 4; i < 200; i++) { /* one at a time */
        CHECK(ws_resume(net.conns[1]) && net_settle());
        if (net.received != i * SIZE)
            CHECK_EQ(net.received, i * SIZE);
    }
    until = UINT_MAX;
    CHECK(ws_resume(net.conns[1]));
    UNTIL(net.received == MESSAGES * SIZE);
    CHECK(net_settle());
    CHECK_EQ(net.received, MESSAGES * SIZE);
    TLS_END();
}

/* One byte of a record does not fit into the receive buffer, while the socket has nothing more. */
static void test_last_byte(void) {
    bytes out = {NULL, 0, 0};
    ws_loop_config loop;
    ws_server_config config;
    if (!test_begin("paused with one byte left inside OpenSSL, and none in the socket"))
        return;
    memset(&loop, 0, sizeof loop);
    memset(&config, 0, sizeof config);
    loop.receive_size = 16384;
    loop.max_spare = 1;
    config.tls.cert_pem = certs.server.pem;
    config.tls.key_pem = certs.server.key_pem;
    CHECK(net_start_with(&loop, &config));
    net.quiet = true;
    net.on_message = pausing;
    until = 1;
    peer *p = tls_connect(0);
    peer_upgrade(p, "/", NULL);
    CHECK_EQ(peer_take_status(p), 101);
    wire_write(&out, "16x82#1000 82#248", true);
    CHECK_EQ(out.size, 16384);
    CHECK_EQ(peer_send(p, out.data, out.size), out.size);
    bytes_free(&out);
    CHECK(net_settle());
    CHECK_EQ(net.received, 1000);
    CHECK(net.conns[1]->source.link.pending);
    until = UINT_MAX;
    CHECK(ws_resume(net.conns[1]) && net_settle());
    CHECK_EQ(net.received, 16248);
    TLS_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    certs_start();
    test_left_in_tls();
    test_last_byte();
    certs_end();
    return test_finish();
}
#endif
