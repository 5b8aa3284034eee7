/* The server under test: echo on /, and on /room every message goes to all that are there.
   server [--tls CERT KEY]; prints its port. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <signal.h>
#include <stdio.h>

static ws_loop *loop; /* here, for the signal handler */

static void stop(int number) {
    (void)number;
    ws_stop(loop);
}

static void echo(ws_conn *conn, ws_message message) {
    if (!ws_send(conn, message))
        ws_drop(conn);
}

static void join(ws_conn *conn) { ws_join(conn, "room"); }

static void tell_all(ws_conn *conn, ws_message message) { ws_broadcast(conn, "room", message); }

int main(int argc, char **argv) {
    ws_server_config config = {.origins = "*", .limits = {.message = 64 << 20, .buffered = 128 << 20}};
    ws_server *server;
    if (argc == 4 && strcmp(argv[1], "--tls") == 0) {
        config.tls.cert_file = argv[2];
        config.tls.key_file = argv[3];
    }
    loop = ws_loop_new(NULL);
    server = ws_listen(loop, &config);
    ws_route(server, "/", &(ws_handler){.on_message = echo, .deflate = {.on = true}}); /* load -z offers it */
    ws_route(server, "/room", &(ws_handler){.on_open = join, .on_message = tell_all});
    signal(SIGTERM, stop);
    if (!ws_loop_error(loop)) {
        printf("%u\n", ws_port(server));
        fflush(stdout);
    }
    if (ws_run(loop) != WS_OK)
        fprintf(stderr, "server: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return 0;
}
