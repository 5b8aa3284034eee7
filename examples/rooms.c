/* Chat rooms: everybody who opens /ws/{room} talks to the others in that room. From the top of the tree:

       cc -O2 -o rooms examples/rooms.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o rooms examples/rooms.c                # where --cert is not needed
       ./rooms                             then open http://127.0.0.1:8000/ in two tabs

   A member sends plain text. All members of the room receive JSON of this form:

       {"type": "joined" | "say" | "renamed" | "left", "id": "7", "name": "Ann", "text": "hello", "members": 2}

   "/name Ann" changes the sender's name; the text of "renamed" is the old name.

   The server writes all of the JSON, so no member can speak for another or pretend that somebody left.
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */
#include "rooms_page.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128, TEXT_MAX_BYTES = 4096 };

static const char usage[] =
    "usage: rooms " SERVER_OPTIONS
    "Serves chat rooms: a page, and WebSockets at /ws/ROOM and /ws/ROOM/NAME.\n"
    SERVER_HELP("8000");

typedef struct member {
    char name[NAME_MAX_BYTES + 1];
} member;

/* Tells all members of the connection's room. %s quotes and escapes what peers chose, so that it cannot break out of
   its string. false: no memory. */
static bool tell(ws_conn *conn, const char *type, const char *text, size_t size) {
    const char *room = ws_param(conn, "room");
    const member *who = ws_user(conn);
    return ws_broadcast_json(conn, room, "{'type':%s,'id':'%llu','name':%s,'text':%.*s,'members':%lu}", type,
                             (unsigned long long)ws_conn_id(conn), who->name, (int)size, text,
                             (unsigned long)ws_room_count(ws_conn_server(conn), room));
}

/* false: the name is empty or too long. */
static bool set_name(member *who, const char *name) {
    size_t size = strlen(name);
    if (size == 0 || size > NAME_MAX_BYTES)
        return false;
    memcpy(who->name, name, size + 1);
    return true;
}

static void enter(ws_conn *conn) {
    const char *name = ws_param(conn, "name");
    member *who = calloc(1, sizeof *who);
    ws_set_user(conn, who);
    if (!who)
        ws_close(conn, WS_CLOSE_TRY_LATER, "the server is short of memory");
    else if (!set_name(who, name && *name ? name : "guest") || !ws_join(conn, ws_param(conn, "room")))
        ws_close(conn, WS_CLOSE_POLICY, "this name or room cannot be used");
    else
        tell(conn, "joined", "", 0);
}

static void receive(ws_conn *conn, ws_message message) {
    const char *text = (const char *)message.data;
    member before = *(member *)ws_user(conn);
    bool told = true;
    if (message.type != WS_TEXT)
        ws_close(conn, WS_CLOSE_UNSUPPORTED, "text only");
    else if (strncmp(text, "/name ", 6) != 0)
        told = tell(conn, "say", text, message.size);
    else if (!set_name(ws_user(conn), text + 6))
        ws_close(conn, WS_CLOSE_POLICY, "this name cannot be used");
    else
        told = tell(conn, "renamed", before.name, strlen(before.name));
    if (!told)
        ws_close(conn, WS_CLOSE_TRY_LATER, "the server is short of memory");
}

static void leave(ws_conn *conn, ws_close_info why) {
    member *who = ws_user(conn);
    (void)why;
    if (who && *who->name)
        tell(conn, "left", "", 0); /* the connection has already left its room, so only the others get this */
    free(who);
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 8000, .hosts = "127.0.0.1, localhost, [::1]", /* against DNS rebinding */
                               .limits = {.message = TEXT_MAX_BYTES}};
    ws_loop_config loop_config = {.trace = NULL};
    ws_handler handler = {.on_open = enter, .on_message = receive, .on_close = leave};
    read_server_options(argc, argv, usage, NULL, &config, &loop_config);
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/ws/{room}", &handler);
    ws_route(server, "/ws/{room}/{name}", &handler);
    serve_page(server, "");
    announce(loop, server, "http");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "rooms: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
