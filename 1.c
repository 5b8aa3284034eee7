#define WS_IMPLEMENTATION
#include "ws.h"

/* Stands for your own look-up: ws://127.0.0.1:8000/ws/lobby?token=ann-secret is Ann. */
static const char *user_of(ws_slice token) {
    return ws_slice_is(token, "ann-secret") ? "Ann" : ws_slice_is(token, "bob-secret") ? "Bob" : NULL;
}

static void check(ws_request *request) {
    const char *user = user_of(ws_request_query(request, "token"));
    if (user)
        ws_accept(request, &(ws_acceptance){ .user = (void *)user });
    else
        ws_refuse(request, 401, NULL, "who are you?");
}

static void enter(ws_conn *conn) { ws_join(conn, ws_param(conn, "room")); }

static void say(ws_conn *conn, ws_message message) {
    ws_broadcast_json(conn, ws_param(conn, "room"), "{'from':%s,'text':%.*s}", (const char *)ws_user(conn),
                      (int)message.size, (const char *)message.data);
}

int main(void) {
    ws_loop *loop = ws_loop_new(NULL);
    ws_server *server = ws_listen(loop, &(ws_server_config){ .port = 8000, .limits = { .message = 4096 } });
    ws_route(server, "/ws/{room}", &(ws_handler){ .on_request = check, .on_open = enter, .on_message = say });
    return ws_run(loop);
}
