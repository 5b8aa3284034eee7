/* A file of any size to each who connects, as one message in parts: memory stays at a few KiB for a connection, however
   slowly it reads. From the top of the tree:

       cc -O2 -DWS_NO_TLS -o pump examples/pump.c
       ./pump ws.h                         then connect to ws://127.0.0.1:9005/
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 16 << 10, AHEAD = 64 << 10 };

static const char usage[] =
    "usage: pump FILE [PORT] [--host ADDRESS] [--verbose]\n"
    "Sends a file to each client that connects, then closes.\n"
    "Listens on port 9005 of 127.0.0.1 unless told otherwise; port 0: any free one.\n"
    "--verbose: what happens goes to standard error.\n";

static ws_loop *loop; /* here, for the signal handler */
static const char *file_name;

/* Sends until enough is queued. The rest follows in on_drain, which is called when the queue is empty. */
static void push(ws_conn *conn) {
    static uint8_t part[PART];
    FILE *file = ws_user(conn);
    while (ws_buffered(conn) < AHEAD) {
        size_t size = fread(part, 1, sizeof part, file);
        bool last = size < sizeof part;
        ws_message message = {part, size, WS_BINARY};
        if (ferror(file))
            ws_drop(conn); /* half a message must not look like a whole one */
        else if (ws_send_part(conn, message, last) && last)
            ws_close(conn, WS_CLOSE_NORMAL, NULL);
        if (last || ws_state(conn) != WS_OPEN)
            return;
    }
}

static void begin(ws_conn *conn) {
    FILE *file = fopen(file_name, "rb");
    ws_set_user(conn, file);
    if (file)
        push(conn);
    else
        ws_close(conn, WS_CLOSE_INTERNAL, "the file cannot be read");
}

static void end(ws_conn *conn, ws_close_info why) {
    FILE *file = ws_user(conn);
    (void)why;
    if (file)
        fclose(file);
}

static void stop(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends it at once */
    ws_shutdown(loop, 2000);
}

static ws_loop_config loop_config;

static void trace(const ws_trace_event *event, void *user) {
    char line[300];
    (void)user;
    ws_trace_text(event, line, sizeof line);
    fprintf(stderr, "%s\n", line);
}

/* Reads the command line. Ends the program when a word of it is wrong, or asks for help. */
static void options(int argc, char **argv, ws_server_config *config) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        const char **value = !strcmp(word, "--host") ? &config->host : NULL;
        if (value && i + 1 < argc) {
            *value = argv[++i];
        } else if (!file_name && *word != '-') {
            file_name = word;
        } else if (*word && !word[strspn(word, "0123456789")] && strtol(word, NULL, 10) <= 65535) {
            config->port = (uint16_t)strtol(word, NULL, 10);
        } else if (!strcmp(word, "--verbose")) {
            loop_config.trace = trace;
        } else if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
            fputs(usage, stdout);
            exit(0);
        } else {
            fprintf(stderr, "pump: \"%s\" %s\n%s", word,
                    value ? "needs a value" : "is neither an option nor a port from 0 to 65535", usage);
            exit(2);
        }
    }
    if (!file_name) {
        fprintf(stderr, "pump: a FILE is needed\n%s", usage);
        exit(2);
    }
}

int main(int argc, char **argv) {
    ws_server_config config = {.host = "127.0.0.1", .port = 9005};
    ws_server *server;
    ws_error error;
    FILE *probe;
    options(argc, argv, &config);
    probe = fopen(file_name, "rb");
    if (!probe) {
        fprintf(stderr, "pump: \"%s\" cannot be read\n", file_name);
        return 1;
    }
    fclose(probe);
    if (strcmp(config.host, "127.0.0.1") == 0) /* no page can point a name of its own here */
        config.hosts = "127.0.0.1, localhost, [::1]";
    loop = ws_loop_new(&loop_config);
    server = ws_listen(loop, &config);
    ws_route(server, "/", &(ws_handler){.on_open = begin, .on_drain = push, .on_close = end});
    if (!ws_loop_error(loop)) {
        signal(SIGINT, stop);
        signal(SIGTERM, stop);
        printf(strchr(config.host, ':') ? "ws://[%s]:%u/\n" : "ws://%s:%u/\n", config.host, ws_port(server));
        fflush(stdout);
    }
    error = ws_run(loop); /* returns at once when something above has failed */
    if (error)
        fprintf(stderr, "pump: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
