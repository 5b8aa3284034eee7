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
    "usage: pump FILE [port] [--host ADDR]\n"
    "Sends a file to each who connects, then closes. Port 9005 and address 127.0.0.1 unless told; port 0 takes a\n"
    "free one.\n";

static ws_loop *loop; /* here, for the signal handler */
static const char *file_name;

/* Sends until enough waits for the reader. The rest follows in on_drain, which comes when all of that is gone. */
static void push(ws_conn *conn) {
    static uint8_t part[PART];
    FILE *file = ws_user(conn);
    while (ws_buffered(conn) < AHEAD) {
        size_t size = fread(part, 1, sizeof part, file);
        bool last = size < sizeof part;
        ws_message piece = {part, size, WS_BINARY};
        if (ferror(file))
            ws_drop(conn); /* half a message must not look like a whole one */
        else if (ws_send_part(conn, piece, last) && last)
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

static bool arguments(int count, char **words, ws_server_config *config) {
    for (int i = 2; i < count; i++) {
        char *end_of;
        long port = strtol(words[i], &end_of, 10);
        if (strcmp(words[i], "--host") == 0 && i + 1 < count)
            config->host = words[++i];
        else if (*words[i] >= '0' && end_of != words[i] && !*end_of && port <= 65535)
            config->port = (uint16_t)port;
        else {
            fprintf(stderr, "pump: cannot make sense of \"%s\"\n%s", words[i], usage);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    ws_server_config config = {.host = "127.0.0.1", .port = 9005};
    ws_server *server;
    ws_error error;
    FILE *probe;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (!arguments(argc, argv, &config))
        return 2;
    if (strcmp(config.host, "127.0.0.1") == 0) /* so that no page whose name was rebound to it gets in */
        config.hosts = "127.0.0.1, localhost, [::1]";
    file_name = argv[1];
    probe = fopen(file_name, "rb");
    if (!probe) {
        fprintf(stderr, "pump: \"%s\" cannot be read\n", file_name);
        return 1;
    }
    fclose(probe);
    loop = ws_loop_new(NULL);
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
