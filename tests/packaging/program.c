/* What an installed ws.h is tried with: a message through a server and back. */
#define WS_IMPLEMENTATION
#include <ws.h>
#include <stdio.h>
#include <string.h>

static void echo(ws_conn *conn, ws_message message) { ws_send(conn, message); }

int main(void) {
    ws_loop *loop = ws_loop_new(&(ws_loop_config){.virtual_clock = true});
    ws_server *server = ws_listen(loop, &(ws_server_config){.no_port = true});
    ws_message message;
    ws_conn *conn;
    bool same;
    ws_route(server, "/", &(ws_handler){.on_message = echo});
    conn = ws_test_connect(server, "/", NULL);
    ws_send_text(conn, "hello");
    same = ws_receive_within(conn, &message, 1000) && !strcmp((const char *)message.data, "hello");
    ws_free(conn);
    ws_loop_free(loop);
    puts(same ? "hello from " WS_VERSION : "nothing came back");
    return !same;
}
