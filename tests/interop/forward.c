/* Tells each client the address that the server sees, behind proxies on 127.0.0.1.

       forward for | forwarded | proxy
*/
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static ws_loop *loop;

static void tell(ws_conn *conn) {
    char peer[100];
    ws_send_text(conn, ws_peer(conn, peer, sizeof peer) ? peer : "unknown");
}

static void tell_request(ws_request *request, void *user) {
    char peer[100];
    (void)user;
    ws_reply(request, 200, NULL, ws_request_peer(request, peer, sizeof peer) ? peer : "unknown");
}

static void on_signal(int number) {
    (void)number;
    ws_stop(loop);
}

int main(int argc, char **argv) {
    const char *how = argc == 2 ? argv[1] : "";
    ws_server_config config = {.proxies = "127.0.0.1", .forwarded = strcmp(how, "forwarded") == 0,
                               .proxy_protocol = strcmp(how, "proxy") == 0};
    loop = ws_loop_new(NULL);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/", &(ws_handler){.on_open = tell});
    if (!ws_http(server, "GET", "/peer", tell_request, NULL)) {
        fprintf(stderr, "forward: %s\n", ws_loop_error_text(loop));
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("http://127.0.0.1:%u/\n", (unsigned)ws_port(server));
    fflush(stdout);
    ws_run(loop);
    ws_loop_free(loop);
    return 0;
}
