/* Echo server on several cores: one thread per core, each with its own loop. All listen on one port, and the system
   distributes the connections. The loops share nothing. From the top of the tree:

       cc -O2 -pthread -DWS_NO_TLS -o threads examples/threads.c
       ./threads                           then connect to ws://127.0.0.1:9003/
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_THREADS = 256 };

static const char usage[] =
    "usage: threads [--threads N] " SERVER_OPTIONS
    "Sends every message back, with N threads (default: one per core).\n"
    SERVER_HELP("9003");

typedef struct worker {
    pthread_t thread;
    ws_loop *loop;
    ws_server *server;
    int number; /* from 1; greet sends it to each client */
} worker;

static worker workers[MAX_THREADS]; /* global, for the signal handler */
static int count;

/* ws_shutdown may be called from a signal handler, in any thread. */
static void stop(int number) {
    (void)number;
    signal(SIGINT, SIG_DFL); /* a second Ctrl-C ends the program at once */
    signal(SIGTERM, SIG_DFL);
    for (int i = 0; i < count; i++)
        ws_shutdown(workers[i].loop, 2000);
}

static void greet(ws_conn *conn) {
    const worker *self = ws_user(conn);
    ws_send_json(conn, "{'thread':%d,'of':%d}", self->number, count);
}

static void on_message(ws_conn *conn, ws_message message) {
    if (!ws_send(conn, message)) /* too much is queued for a slow reader: close, do not lose a message */
        ws_close(conn, WS_CLOSE_TRY_LATER, "your echoes pile up: read them");
}

static void *run_worker(void *argument) {
    worker *self = argument;
    (void)ws_run(self->loop);
    return NULL;
}

/* Makes a worker's loop and lets it listen. With port 0 the first loop picks a free port, which the others share. */
static ws_error prepare(worker *self, ws_server_config *config, const ws_loop_config *loop_config) {
    ws_handler handler = {.on_open = greet, .on_message = on_message, .user = self};
    self->loop = ws_loop_new(loop_config);
    self->server = ws_listen(self->loop, config);
    ws_route(self->server, "/", &handler);
    if (self->server)
        config->port = ws_port(self->server);
    return ws_loop_error(self->loop);
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 9003, .origins = "*", .reuse_port = true};
    int prepared = 0, started = 0, status = 0;
    ws_loop_config loop_config = {.trace = NULL};
    const char *threads = NULL;
    const program_option own[] = {{.name = "--threads", .text = &threads}, {.name = NULL}};
    long wanted;
    read_server_options(argc, argv, usage, own, &config, &loop_config);
    wanted = threads ? strtol(threads, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);
    if (threads && (threads[strspn(threads, "0123456789")] || wanted < 1 || wanted > MAX_THREADS))
        bad_usage(threads, "is not a number of threads: 1 to 256");
    count = (int)(wanted < 1 ? 1 : wanted > MAX_THREADS ? MAX_THREADS : wanted);
    for (; prepared < count && !status; prepared++) {
        workers[prepared].number = prepared + 1;
        if (prepare(&workers[prepared], &config, &loop_config)) {
            fprintf(stderr, "threads: %s\n", ws_loop_error_text(workers[prepared].loop));
            status = 1;
        }
    }
    if (!status) {
        signal(SIGINT, stop);
        signal(SIGTERM, stop);
        print_address("ws", config.port);
        for (; started < count && !status; started++)
            status = pthread_create(&workers[started].thread, NULL, run_worker, &workers[started]) != 0;
        if (status) { /* end the threads that have started */
            fprintf(stderr, "threads: the system has no more threads; ask for fewer with --threads\n");
            started--;
            stop(SIGTERM);
        }
    }
    for (int i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < prepared; i++)
        ws_loop_free(workers[i].loop);
    return status;
}
