/* Sends a file of any size to each client, as one message in parts. However slowly a client reads, its connection takes
   no more than some 80 KiB of memory. From the top of the tree:

       cc -O2 -DWS_NO_TLS -o pump examples/pump.c
       ./pump ws.h                         then, in another terminal: ./wscat --binary ws://127.0.0.1:9005/ >copy
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PART = 16 << 10, AHEAD = 64 << 10 };

static const char usage[] =
    "usage: pump FILE " SERVER_OPTIONS
    "Sends a file to each client that connects, then closes.\n"
    SERVER_HELP("9005");

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
            ws_drop(conn); /* so that the client does not take half a file for the whole */
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

int main(int argc, char **argv) {
    ws_server_config config = {.port = 9005, .hosts = "127.0.0.1, localhost, [::1]"}; /* against DNS rebinding */
    ws_loop_config loop_config = {.trace = NULL};
    const program_option own[] = {{.name = "FILE", .text = &file_name}, {.name = NULL}};
    read_server_options(argc, argv, usage, own, &config, &loop_config);
    if (!file_name)
        bad_usage("FILE", "is needed");
    FILE *probe = fopen(file_name, "rb");
    if (!probe || (fgetc(probe) == EOF && ferror(probe))) { /* fopen opens a folder, but reading it fails */
        fprintf(stderr, "pump: \"%s\" cannot be read: %s\n", file_name, strerror(errno));
        return 1;
    }
    fclose(probe);
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/", &(ws_handler){.on_open = begin, .on_drain = push, .on_close = end});
    announce(loop, server, "ws");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "pump: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
