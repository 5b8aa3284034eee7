/* A client under test: sends 125 bytes, waits for the echo, and so on: client dial|connect PORT MESSAGES.
   dial: ws_dial in a loop; connect: ws_connect, which blocks. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <stdio.h>

static const uint8_t bytes[125] = {1, 2, 3};
static long left;

static void send_one(ws_conn *conn) { ws_send(conn, (ws_message){.type = WS_BINARY, .data = bytes, .size = 125}); }

static void received(ws_conn *conn, ws_message message) {
    if (message.size == sizeof bytes && --left > 0)
        send_one(conn);
    else
        ws_close(conn, WS_CLOSE_NORMAL, NULL);
}

static void closed(ws_conn *conn, ws_close_info why) {
    (void)why;
    ws_stop(ws_conn_loop(conn));
}

static void failed(ws_conn *conn) { ws_stop(ws_conn_loop(conn)); }

static void dial(const char *url) {
    ws_loop *loop = ws_loop_new(NULL);
    ws_dial(loop, url, &(ws_handler){.on_open = send_one, .on_message = received, .on_close = closed,
                                     .on_error = failed}, NULL);
    (void)ws_run(loop);
    ws_loop_free(loop);
}

static void block(const char *url) {
    ws_conn *conn = ws_connect(url, NULL);
    ws_message message;
    do
        send_one(conn);
    while (ws_receive(conn, &message) && message.size == sizeof bytes && --left > 0);
    ws_free(conn);
}

int main(int argc, char **argv) {
    char url[64];
    if (argc != 4 || (left = atol(argv[3])) < 1)
        return 2;
    snprintf(url, sizeof url, "ws://127.0.0.1:%s/", argv[2]);
    if (strcmp(argv[1], "dial") == 0)
        dial(url);
    else
        block(url);
    return left != 0;
}
