/* The server under test: echo on /, and on /room every message goes to all that are there.
   server [--select] [--loops N] [--tls CERT KEY]; prints its port. Several loops share it, a thread each. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

enum { MAX_LOOPS = 64 };

static ws_loop *loops[MAX_LOOPS]; /* here, for the signal handler */
static int count = 1;

static void stop(int number) {
    (void)number;
    for (int i = 0; i < count; i++)
        ws_stop(loops[i]);
}

static void echo(ws_conn *conn, ws_message message) {
    if (!ws_send(conn, message))
        ws_drop(conn);
}

static void join(ws_conn *conn) { ws_join(conn, "room"); }

static void tell_all(ws_conn *conn, ws_message message) { ws_broadcast(conn, "room", message); }

static void *run(void *loop) {
    if (ws_run(loop) != WS_OK)
        fprintf(stderr, "server: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return NULL;
}

static bool prepare(ws_loop **loop, const ws_loop_config *loop_config, ws_server_config *config) {
    ws_server *server;
    *loop = ws_loop_new(loop_config);
    server = ws_listen(*loop, config);
    ws_route(server, "/", &(ws_handler){.on_message = echo, .deflate = {.on = true}}); /* load -z offers it */
    ws_route(server, "/room", &(ws_handler){.on_open = join, .on_message = tell_all});
    config->port = ws_port(server);
    return !ws_loop_error(*loop);
}

int main(int argc, char **argv) {
    /* Pings, which a busy machine's runs may last long enough for, are not what load expects. */
    ws_server_config config = {.origins = "*", .limits = {.message = 64 << 20, .buffered = 128 << 20,
                                                          .ping_ms = 3600000}};
    ws_loop_config loop_config = {.trace = NULL};
    pthread_t threads[MAX_LOOPS];
    int i;
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--select") == 0)
            loop_config.poller = WS_POLLER_SELECT;
        else if (strcmp(argv[i], "--loops") == 0 && i + 1 < argc && atoi(argv[i + 1]) <= MAX_LOOPS)
            count = atoi(argv[++i]);
        else if (strcmp(argv[i], "--tls") == 0 && i + 2 < argc)
            config.tls.cert_file = argv[++i], config.tls.key_file = argv[++i];
    }
    config.reuse_port = count > 1;
    for (i = 0; i < count; i++)
        if (!prepare(&loops[i], &loop_config, &config)) {
            fprintf(stderr, "server: %s\n", ws_loop_error_text(loops[i]));
            return 1;
        }
    signal(SIGTERM, stop);
    printf("%u\n", config.port);
    fflush(stdout);
    for (i = 1; i < count; i++)
        if (pthread_create(&threads[i], NULL, run, loops[i]) != 0)
            return 1;
    (void)run(loops[0]);
    for (i = 1; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    return 0;
}
