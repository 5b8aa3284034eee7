#define WS_IMPLEMENTATION
#include "ws.h"

static void echo(ws_conn *conn, ws_message message) { ws_send(conn, message); }

int main(void) {
    ws_loop *loop = ws_loop_new(NULL);
    ws_server *server = ws_listen(loop, &(ws_server_config){ .port = 9001 });
    ws_route(server, "/", &(ws_handler){ .on_message = echo });
    return ws_run(loop);
}
