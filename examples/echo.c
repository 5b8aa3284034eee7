/* Echo server: every message goes back to the client that sent it. From the top of the tree:
       cc -O2 -o echo examples/echo.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o echo examples/echo.c                  # where --cert is not needed
       ./echo                              then connect to ws://127.0.0.1:9001/ */
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <stddef.h>
#include <stdio.h>

static const char usage[] =
    "usage: echo [--deflate] " SERVER_OPTIONS
    "Sends every message back.\n"
    "--deflate: compress messages for clients that offer it.\n"
    SERVER_HELP("9001");

static void on_message(ws_conn *conn, ws_message message) {
    if (!ws_send(conn, message)) /* too much is queued for a slow reader: close, do not lose a message */
        ws_close(conn, WS_CLOSE_TRY_LATER, "your echoes pile up: read them");
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 9001, .origins = "*"}; /* pages of any site may connect */
    ws_loop_config loop_config = {.trace = NULL}; /* --verbose sets it */
    ws_handler handler = {.on_message = on_message};
    const program_option own[] = {{.name = "--deflate", .flag = &handler.deflate.on}, {.name = NULL}};
    read_server_options(argc, argv, usage, own, &config, &loop_config);
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/", &handler);
    announce(loop, server, "ws"); /* prints the address; Ctrl-C shuts down */
    ws_error error = ws_run(loop); /* returns at once if a call above has failed */
    if (error)
        fprintf(stderr, "echo: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
