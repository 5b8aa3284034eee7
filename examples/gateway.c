/* Gateway: opens a connection to another server for each client, and forwards messages and close codes both ways, so
   that programs without TLS can reach a wss:// server. A side that sends faster than the other reads is paused; a
   client is also paused until its upstream connection is open. From the top of the tree:

       cc -O2 -o gateway examples/gateway.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o gateway examples/gateway.c            # where wss:// is not needed
       ./gateway ws://127.0.0.1:9001/                              # needs a server there: ./echo
       ./client ws://127.0.0.1:9002/                               # then connect a client here
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WS_NO_TLS
enum { HAS_TLS = false };
#define TLS_ROWS(tls)
#define USAGE "usage: gateway URL " SERVER_OPTIONS "Connects each client to URL, which begins with ws://.\n"
#else
enum { HAS_TLS = true };
#define TLS_ROWS(tls) \
    {.name = "--ca", .text = &(tls).ca_file}, {.name = "--insecure", .flag = &(tls).accept_any_certificate},
#define USAGE \
    "usage: gateway URL [--ca FILE] [--insecure] " SERVER_OPTIONS \
    "Connects each client to URL, which begins with ws:// or wss://.\n" \
    "--ca: trust the CA certificates in this PEM file instead of the system's.\n" \
    "--insecure: trust any certificate; anybody in between can read and change everything.\n"
#endif

static const char usage[] = USAGE SERVER_HELP("9002");

enum { ENOUGH = 1 << 20 }; /* how many bytes may be queued for a side that reads slowly */

typedef struct pair {
    ws_conn *client, *upstream; /* NULL: the connection has ended */
} pair;

static const char *url;
static ws_client_config upstream_config;

/* --- the pair --------------------------------------------------------------------------- */

static void forward(ws_conn *from, ws_conn *to, ws_message message) {
    ws_send(to, message);
    if (ws_buffered(to) >= ENOUGH)
        ws_pause(from); /* until on_drain of the other side */
}

static void release(pair *both) {
    if (!both->client && !both->upstream)
        free(both);
}

/* Closes one side as the other was closed, or with code `broken` if the other ended without a close frame. */
static void pass_on(ws_conn *to, ws_close_info why, uint16_t broken, const char *reason) {
    if (ws_state(to) == WS_CONNECTING)
        ws_drop(to);
    else if (why.code == WS_CLOSE_BROKEN)
        ws_close(to, broken, reason);
    else
        ws_close(to, why.code == WS_CLOSE_NONE ? 0 : why.code, why.reason);
}

/* --- upstream --------------------------------------------------------------------------- */

static void upstream_open(ws_conn *conn) {
    pair *both = (pair *)ws_user(conn);
    ws_resume(both->client);
}

static void upstream_drain(ws_conn *conn) { ws_resume(((pair *)ws_user(conn))->client); }

static void upstream_message(ws_conn *conn, ws_message message) {
    pair *both = (pair *)ws_user(conn);
    forward(conn, both->client, message);
}

static void upstream_close(ws_conn *conn, ws_close_info why) {
    pair *both = (pair *)ws_user(conn);
    both->upstream = NULL;
    pass_on(both->client, why, WS_CLOSE_BAD_GATEWAY, "the upstream broke off");
    release(both);
}

static void log_error(const char *text) {
    const char *field = strstr(text, "tls.ca_file"); /* ws.h names its config's field; print the option instead */
    if (field)
        fprintf(stderr, "gateway: %.*s--ca%s\n", (int)(field - text), text, field + strlen("tls.ca_file"));
    else
        fprintf(stderr, "gateway: %s\n", text);
}

static void upstream_error(ws_conn *conn) {
    pair *both = (pair *)ws_user(conn);
    if (both->client) /* NULL: the client left while we were dialling */
        log_error(ws_last_error_text(conn)); /* the client does not get the details */
    both->upstream = NULL;
    ws_close(both->client, WS_CLOSE_BAD_GATEWAY, "the upstream cannot be reached");
    release(both);
}

/* --- clients ---------------------------------------------------------------------------- */

static void client_open(ws_conn *conn) {
    ws_handler handler = {.on_open = upstream_open, .on_message = upstream_message, .on_drain = upstream_drain,
                          .on_close = upstream_close, .on_error = upstream_error};
    pair *both = (pair *)calloc(1, sizeof *both);
    if (both) {
        both->client = conn;
        handler.user = both;
        both->upstream = ws_dial(ws_conn_loop(conn), url, &handler, &upstream_config);
    }
    ws_set_user(conn, both);
    ws_pause(conn); /* until the upstream is open */
    if (!both || !both->upstream)
        ws_close(conn, WS_CLOSE_TRY_LATER, "the gateway is short of memory");
}

static void client_message(ws_conn *conn, ws_message message) {
    pair *both = (pair *)ws_user(conn);
    forward(conn, both->upstream, message);
}

static void client_drain(ws_conn *conn) { ws_resume(((pair *)ws_user(conn))->upstream); }

static void client_close(ws_conn *conn, ws_close_info why) {
    pair *both = (pair *)ws_user(conn);
    if (!both)
        return;
    both->client = NULL;
    pass_on(both->upstream, why, WS_CLOSE_GOING_AWAY, "the client has gone");
    release(both);
}

/* --- the program ------------------------------------------------------------------------ */

int main(int argc, char **argv) {
    ws_server_config config = {.port = 9002, .hosts = "127.0.0.1, localhost, [::1]"}; /* against DNS rebinding */
    ws_loop_config loop_config = {.trace = NULL};
    ws_handler handler = {.on_open = client_open, .on_message = client_message, .on_drain = client_drain,
                          .on_close = client_close};
    const program_option own[] = {{.name = "URL", .text = &url},
                                  TLS_ROWS(upstream_config.tls)
                                  {.name = NULL}};
    read_server_options(argc, argv, usage, own, &config, &loop_config);
    if (!url || (strncmp(url, "ws://", 5) && strncmp(url, "wss://", 6)))
        bad_usage(url ? url : "URL", url ? "is not a ws:// or wss:// URL" : "is needed");
    if (!HAS_TLS && !strncmp(url, "wss://", 6))
        bad_usage(url, "needs TLS, but this program was built without it");
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/", &handler);
    announce(loop, server, "ws");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "gateway: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
