/* Echo server on several cores: a thread with a loop of its own for each, all on one port; the system deals out
   the connections. Nothing is shared between the loops. From the top of the tree:

       cc -O2 -pthread -DWS_NO_TLS -o threads examples/threads.c
       ./threads                           then connect to ws://127.0.0.1:9003/
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

enum { MAX_THREADS = 256 };

static const char usage[] =
    "usage: threads [port] [--host ADDR] [--threads N]\n"
    "Sends every message back, from one thread for each core unless told how many. Port 9003 and address 127.0.0.1\n"
    "unless told; port 0 takes a free one.\n";

typedef struct worker {
    pthread_t thread;
    ws_loop *loop;
    ws_server *server;
    int number; /* from 1; who asks hears it, see on_open */
} worker;

static worker workers[MAX_THREADS]; /* here, for the signal handler */
static int count;

/* ws_shutdown may be called from a signal handler, whichever thread that runs in. */
static void stop(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends it at once */
    for (int i = 0; i < count; i++)
        ws_shutdown(workers[i].loop, 2000);
}

static void greet(ws_conn *conn) {
    const worker *self = ws_user(conn);
    ws_send_json(conn, "{'thread':%d,'of':%d}", self->number, count);
}

static void on_message(ws_conn *conn, ws_message message) {
    if (!ws_send(conn, message)) /* too much waits for a slow reader: say so, never lose one silently */
        ws_close(conn, WS_CLOSE_TRY_LATER, "your echoes pile up: read them");
}

static void *serve(void *argument) {
    worker *self = argument;
    (void)ws_run(self->loop);
    return NULL;
}

/* A number within these bounds, or -1. */
static long number_in(const char *text, long lowest, long highest) {
    char *end;
    long number = strtol(text, &end, 10);
    return *text >= '0' && end != text && !*end && number >= lowest && number <= highest ? number : -1;
}

static bool arguments(int words, char **word, ws_server_config *config) {
    for (int i = 1; i < words; i++) {
        const char *value = i + 1 < words ? word[i + 1] : "";
        if (strcmp(word[i], "--host") == 0 && *value)
            config->host = word[++i];
        else if (strcmp(word[i], "--threads") == 0 && number_in(value, 1, MAX_THREADS) > 0)
            count = (int)number_in(word[++i], 1, MAX_THREADS);
        else if (number_in(word[i], 0, 65535) >= 0)
            config->port = (uint16_t)number_in(word[i], 0, 65535);
        else {
            fprintf(stderr, "threads: cannot make sense of \"%s\"\n%s", word[i], usage);
            return false;
        }
    }
    return true;
}

/* A loop that listens. The first one finds the port, if it is to be a free one; the others share it. */
static ws_error prepare(worker *self, ws_server_config *config) {
    ws_handler handler = {.on_open = greet, .on_message = on_message, .user = self};
    self->loop = ws_loop_new(NULL);
    self->server = ws_listen(self->loop, config);
    ws_route(self->server, "/", &handler);
    if (self->server)
        config->port = ws_port(self->server);
    return ws_loop_error(self->loop);
}

int main(int argc, char **argv) {
    ws_server_config config = {.host = "127.0.0.1", .port = 9003, .origins = "*", .reuse_port = true};
    int prepared = 0, started = 0, status = 0;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    count = count < 1 ? 1 : count > MAX_THREADS ? MAX_THREADS : count;
    if (!arguments(argc, argv, &config))
        return 2;
    if (strcmp(config.host, "127.0.0.1") == 0) /* so that no page whose name was rebound to it gets in */
        config.hosts = "127.0.0.1, localhost, [::1]";
    for (; prepared < count && !status; prepared++) {
        workers[prepared].number = prepared + 1;
        if (prepare(&workers[prepared], &config)) {
            fprintf(stderr, "threads: %s\n", ws_loop_error_text(workers[prepared].loop));
            status = 1;
        }
    }
    if (!status) {
        signal(SIGINT, stop);
        signal(SIGTERM, stop);
        printf(strchr(config.host, ':') ? "ws://[%s]:%u/\n" : "ws://%s:%u/\n", config.host, config.port);
        fflush(stdout);
        for (; started < count && !status; started++)
            status = pthread_create(&workers[started].thread, NULL, serve, &workers[started]) != 0;
        if (status) { /* those that run end again */
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
