/* Who may connect: each client shows a token before the handshake is answered. From the top of the tree:

       cc -O2 -DWS_NO_TLS -o token examples/token.c
       ./token                             then, with wscat beside it:
       ./wscat 'ws://127.0.0.1:8000/ws/lobby?token=ann-secret'
       ./wscat -H 'Authorization: Bearer bob-secret' ws://127.0.0.1:8000/ws/lobby

   A browser cannot send an Authorization header with a WebSocket. Its page puts the token into the query, or a server
   sets it as a cookie (session.c). Proxies log queries, so let such tokens expire soon.
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: token " SERVER_OPTIONS
    "Serves chat rooms, at /ws/NAME, to clients that have a token: ann-secret or bob-secret.\n"
    "The token comes as ?token=ann-secret, or in the header \"Authorization: Bearer ann-secret\".\n"
    SERVER_HELP("8000");

/* Takes as long for a wrong token as for the right one, so that an attacker cannot measure which letters are right. */
static bool same(ws_slice given, const char *secret) {
    size_t size = strlen(secret), i;
    unsigned differs = given.size != size;
    for (i = 0; i < given.size; i++)
        differs |= (unsigned char)given.data[i] ^ (unsigned char)secret[i % size];
    return !differs;
}

/* Replace this with your own look-up. */
static const char *user_of(ws_slice token) {
    static const char *const users[][2] = {{"ann-secret", "Ann"}, {"bob-secret", "Bob"}};
    const char *user = NULL;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        if (same(token, users[i][0]))
            user = users[i][1];
    return user;
}

static ws_slice token_of(const ws_request *request) {
    ws_slice header = ws_request_header(request, "Authorization");
    if (header.size < 7 || memcmp(header.data, "Bearer ", 7) != 0)
        return ws_request_query(request, "token");
    header.data += 7;
    header.size -= 7;
    return header;
}

static void check(ws_request *request) {
    const char *user = user_of(token_of(request));
    if (user)
        ws_accept(request, &(ws_acceptance){.user = (void *)user});
    else
        ws_refuse(request, 401, (const char *const[]){"WWW-Authenticate: Bearer", NULL}, "a token is needed\n");
}

static void enter(ws_conn *conn) {
    ws_join(conn, ws_param(conn, "room"));
    ws_send_json(conn, "{'hello':%s}", (const char *)ws_user(conn));
}

static void say(ws_conn *conn, ws_message message) {
    if (message.type != WS_TEXT)
        ws_close(conn, WS_CLOSE_UNSUPPORTED, "text only");
    else
        ws_broadcast_json(conn, ws_param(conn, "room"), "{'from':%s,'text':%.*s}", (const char *)ws_user(conn),
                          (int)message.size, (const char *)message.data);
}

int main(int argc, char **argv) {
    /* A token proves who it is, so any site's page may connect: a foreign page has no token. */
    ws_server_config config = {.port = 8000, .origins = "*", .limits = {.message = 4096}};
    ws_loop_config loop_config = {.trace = NULL};
    read_server_options(argc, argv, usage, NULL, &config, &loop_config);
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/ws/{room}", &(ws_handler){.on_request = check, .on_open = enter, .on_message = say});
    announce(loop, server, "ws");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "token: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
