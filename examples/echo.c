/* Echo server: every message goes back to the client that sent it. From the top of the tree:
       cc -O2 -o echo examples/echo.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o echo examples/echo.c                  # where --cert is not needed
       ./echo                              then connect to ws://127.0.0.1:9001/ */
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h"

#include <stddef.h>

static const char usage[] =
    "usage: echo [--deflate] " SERVER_OPTIONS
    "Sends every message back.\n"
    "--deflate: compress messages for clients that offer it.\n"
    SERVER_HELP("9001");

static void on_message(ws_conn *conn, ws_message message) {
    if (!ws_send(conn, message)) /* too much is queued for a slow reader: close, rather than lose one message */
        ws_close(conn, WS_CLOSE_TRY_LATER, "your echoes pile up: read them");
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 9001, .origins = "*"}; /* pages of any site may connect */
    ws_handler handler = {.on_message = on_message};
    const program_option own[] = {{.name = "--deflate", .flag = &handler.deflate.on}, {.name = NULL}};
    ws_loop *loop = start(argc, argv, usage, own, &config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/", &handler);
    return serve(server, "ws");
}
