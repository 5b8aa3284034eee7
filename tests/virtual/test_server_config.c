/* SERVER, FILES, LIFE: invalid configs. Above all, a config that asks for TLS or a transport is never served
   unencrypted. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

static bool opens(ws_link *link, const char *host, void *user) { return (void)link, (void)host, (void)user, true; }
static bool opens_too(ws_link *link, const char *host, void *user) { return opens(link, host, user); }
static ptrdiff_t reads(ws_link *link, void *data, size_t size) { return (void)link, (void)data, (void)size, 0; }
static ptrdiff_t writes(ws_link *link, const void *data, size_t size) {
    return (void)link, (void)data, (ptrdiff_t)size;
}
static ptrdiff_t shuts(ws_link *link) { return (void)link, 1; }
static void closes(ws_link *link) { (void)link; }

static ws_transport whole(void) {
    ws_transport transport;
    memset(&transport, 0, sizeof transport);
    transport.open = opens;
    transport.read = reads;
    transport.write = writes;
    transport.shut = shuts;
    transport.close = closes;
    return transport;
}

/* A server with this transport: WS_OK, or the error. */
static ws_error starts(const ws_transport *transport, const ws_tls_config *tls) {
    ws_server_config config;
    ws_error error;
    memset(&config, 0, sizeof config);
    config.host = "127.0.0.1";
    config.transport = transport;
    if (tls)
        config.tls = *tls;
    net_start_loop(NULL);
    (void)ws_listen(net.loop, &config);
    error = ws_loop_error(net.loop);
    NET_END();
    return error;
}

static void test_transports(void) {
    static const char *const names[] = {"nothing", "open", "read", "write", "shut", "close"};
    for (int missing = 0; missing < 6; missing++) {
        ws_client_config client;
        ws_transport transport = whole();
        if (!test_begin("a transport that lacks %s", names[missing]))
            continue;
        transport.open = missing == 1 ? NULL : opens;
        transport.read = missing == 2 ? NULL : reads;
        transport.write = missing == 3 ? NULL : writes;
        transport.shut = missing == 4 ? NULL : shuts;
        transport.close = missing == 5 ? NULL : closes;
        CHECK_EQ(starts(&transport, NULL), missing ? WS_ERROR_ARGUMENT : WS_OK);
        memset(&client, 0, sizeof client);
        client.transport = &transport;
        net_start_loop(NULL);
        ws_handler handler = net_handler();
        ws_conn *conn = ws_dial(net.loop, "ws://127.0.0.1:1/", &handler, &client);
        CHECK_EQ(ws_last_error(conn), missing ? WS_ERROR_ARGUMENT : WS_OK);
        NET_END();
    }
}

static void test_server_names(void) {
    static const struct { const char *name; bool good; } cases[] = {
        {NULL, true}, {"a.example", true}, {"::1", true}, {"a b", false}, {"", false}, {"a:b", false}, {".a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_handler handler = net_handler();
        ws_client_config client;
        if (!test_begin("tls.server_name '%s'", cases[i].name ? cases[i].name : "NULL"))
            continue;
        memset(&client, 0, sizeof client);
        client.tls.server_name = cases[i].name;
        net_start_loop(NULL);
        ws_conn *conn = ws_dial(net.loop, "ws://127.0.0.1:1/", &handler, &client);
        CHECK_EQ(ws_last_error(conn), cases[i].good ? WS_OK : WS_ERROR_ARGUMENT);
        NET_END();
    }
}

/* A further address uses the server's transport, or its config names none. */
static void test_also(void) {
    static int one, two;
    ws_transport transport = whole();
    ws_server_config config;
    if (!test_begin("further addresses, and transports that are not the server's"))
        return;
    memset(&config, 0, sizeof config);
    config.host = "127.0.0.1";
    config.transport = &transport;
    transport.user = &one;
    net_start_loop(NULL);
    net.server = ws_listen(net.loop, &config);
    CHECK(net.server && ws_listen_also(net.server, &config));
    transport.user = &two;
    CHECK(!ws_listen_also(net.server, &config));
    transport.user = &one;
    transport.open = opens_too;
    CHECK(!ws_listen_also(net.server, &config));
    config.transport = NULL;
    config.tls.cert_pem = "x";
    CHECK(!ws_listen_also(net.server, &config));
    CHECK(!ws_listen_also(net.server, NULL) && !ws_listen_also(NULL, &config));
    NET_END();
}

/* Whichever field of TLS a config sets, it is not served unencrypted. */
static void test_tls_fields(void) {
    static const size_t strings[] = {offsetof(ws_tls_config, cert_file), offsetof(ws_tls_config, cert_pem),
        offsetof(ws_tls_config, key_file), offsetof(ws_tls_config, key_pem), offsetof(ws_tls_config, ca_file),
        offsetof(ws_tls_config, ca_pem), offsetof(ws_tls_config, crl_file)};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        ws_tls_config tls;
        if (!test_begin("a server with nothing but field %zu of TLS", i))
            continue;
        memset(&tls, 0, sizeof tls);
        *(const char **)(void *)((char *)&tls + strings[i]) = "x";
        ws_error error = starts(NULL, &tls);
        CHECK(error == WS_ERROR_TLS || error == WS_ERROR_NO_TLS);
    }
}

static void test_types(void) {
    static const struct { const char *name, *type; } cases[] = {
        {"a.css", "text/css"}, {"a.CSS", "text/css"}, {".css", "text/css"}, {"a", "application/octet-stream"},
        {"", "application/octet-stream"}, {"a.", "application/octet-stream"}, {"a.b/c", "application/octet-stream"},
        {"a/", "application/octet-stream"}, {"a.none", "application/octet-stream"}, {"a.tar.zip", "application/zip"},
    };
    char charset[120];
    if (!test_begin("types of files, and invalid charsets"))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_STR(wsi_files_type(wsi_text_z(cases[i].name)), cases[i].type);
    memset(charset, 'c', sizeof charset - 1);
    charset[sizeof charset - 1] = 0;
    CHECK(behaviour_start());
    CHECK(ws_files_charset(net.server, "/none/", ".", "") && ws_files_charset(net.server, "/own/", ".", "koi8-r"));
    charset[80] = 0;
    CHECK(ws_files_charset(net.server, "/long/", ".", charset));
    charset[80] = 'c';
    CHECK(!ws_files_charset(net.server, "/longer/", ".", charset));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
    BEHAVIOUR_END();
    CHECK(behaviour_start());
    CHECK(!ws_files_charset(net.server, "/bad/", ".", "a b") && !ws_files_charset(NULL, "/", ".", ""));
    BEHAVIOUR_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_transports();
    test_server_names();
    test_also();
    test_tls_fields();
    test_types();
    return test_finish();
}
