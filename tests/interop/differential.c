/* What differential.py compares with others: answers any request with 200, and echoes on /ws.

       differential
*/
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <stdio.h>

static void answer(ws_request *request, void *user) {
    (void)user;
    ws_reply(request, 200, "text/plain", "yes");
}

static void echo(ws_conn *conn, ws_message message) { ws_send(conn, message); }

int main(void) {
    ws_loop *loop = ws_loop_new(NULL);
    ws_server *server = ws_listen(loop, NULL);
    ws_handler handler = {0};
    handler.on_message = echo;
    ws_route(server, "/ws", &handler);
    ws_http(server, "GET, POST, PUT, OPTIONS, DELETE", "/{rest:path}", answer, NULL);
    printf("http://127.0.0.1:%u/\n", (unsigned)ws_port(server));
    fflush(stdout);
    return (int)ws_run(loop);
}
