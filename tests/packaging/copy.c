/* Two of these, compiled with other switches, are one program: two copies of ws.h, none of which the other sees.
   SERVER answers what the other one sends. */
#define WS_API static
#define WS_IMPLEMENTATION
#include <ws.h>
#include <stdio.h>
#include <string.h>

ws_loop *serve(uint16_t *port);
bool turn(ws_loop *loop);

#ifdef SERVER
static void echo(ws_conn *conn, ws_message message) { ws_send(conn, message); }

ws_loop *serve(uint16_t *port) {
    ws_loop *loop = ws_loop_new(NULL);
    ws_server *server = ws_listen(loop, NULL);
    ws_route(server, "/", &(ws_handler){.on_message = echo});
    *port = ws_port(server);
    return loop;
}

bool turn(ws_loop *loop) { return ws_run_once(loop, 1); }
#else
static bool came;

static void greet(ws_conn *conn) { ws_send_text(conn, "hello"); }

static void hear(ws_conn *conn, ws_message message) {
    came = !strcmp((const char *)message.data, "hello");
    ws_close(conn, WS_CLOSE_NORMAL, "");
}

int main(void) {
    ws_loop *loop = ws_loop_new(NULL), *other;
    char url[64];
    uint16_t port = 0;
    int turns;
    other = serve(&port);
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)port);
    ws_dial(loop, url, &(ws_handler){.on_open = greet, .on_message = hear}, NULL);
    for (turns = 0; turns < 1000 && !came; turns++)
        if (!turn(other) || !ws_run_once(loop, 1))
            break;
    puts(came ? "hello" : "nothing came back");
    ws_loop_free(loop);
    return !came;
}
#endif
