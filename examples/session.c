/* Logging in: a form, a signed cookie, and a WebSocket that knows the user. From the top of the tree:

       cc -O2 -o session examples/session.c -lssl -lcrypto
       SESSION_KEY=$(openssl rand -hex 16) ./session     then open http://127.0.0.1:8000/ and log in: ann, apple
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: session " SERVER_OPTIONS
    "Serves a page for users who have logged in: ann with the password apple, or bob with banana.\n"
    "The environment variable SESSION_KEY signs the sessions; those signed with OLD_SESSION_KEY are accepted, too.\n"
    "Without SESSION_KEY the program makes a key, and sessions end with the program.\n"
    SERVER_HELP("8000");

/* A real program stores hashes of passwords (argon2, bcrypt), never the passwords. */
static const struct { const char *name, *password; } users[] = {{"ann", "apple"}, {"bob", "banana"}};

static const char head[] =
    "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
    "<meta name='viewport' content='width=device-width, initial-scale=1'>\n<title>Session</title>\n"
    "<link rel='icon' href='data:,'>\n"
    "<style>\n"
    "  :root { color-scheme: light dark; --line: #888; --accent: #3b6fe0; --error: light-dark(#c33, #f77) }\n"
    "  body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 24rem; margin: 14vh auto; padding: 0 1.2rem }\n"
    "  form { display: grid; gap: .8rem }\n"
    "  label { display: grid; gap: .2rem }\n"
    "  input { font: inherit; padding: .5rem .8rem; border: 1px solid var(--line); border-radius: .5rem }\n"
    "  button { font: inherit; padding: .5rem 1.1rem; border: 0; border-radius: .5rem; color: #fff;\n"
    "    background: var(--accent) }\n"
    "  #said { min-height: 3rem; margin: 1.2rem 0; overflow-wrap: anywhere }\n"
    "  .error { color: var(--error); min-height: 1.6rem; margin: 0 }\n"
    "</style>\n</head>\n<body>\n";

static const char login_page[] =
    "%-s<h1>Who are you?</h1>\n"
    "<form method='post' action='/login'>\n"
    "  <label>Name <input name='name' value='%.*s' autocomplete='username' required autofocus></label>\n"
    "  <label>Password <input name='password' type='password' autocomplete='current-password' required></label>\n"
    "  <p class='error' role='alert'>%s</p>\n"
    "  <button>Log in</button>\n"
    "</form>\n</body>\n</html>\n";

static const char home_page[] =
    "%-s<h1>Hello, %s</h1>\n"
    "<p id='said'>Connecting ...</p>\n"
    "<form method='post' action='/logout'><button>Log out</button></form>\n"
    "<script>\n"
    "const said = document.getElementById('said');\n"
    "function connect() {\n"
    "  const socket = new WebSocket((location.protocol === 'https:' ? 'wss://' : 'ws://') + location.host + '/ws');\n"
    "  socket.onmessage = event => {\n"
    "    const { you, tabs } = JSON.parse(event.data);\n"
    "    said.textContent = 'The socket knows you as ' + you + ', in ' + tabs + (tabs === 1 ? ' tab.' : ' tabs.');\n"
    "  };\n"
    "  socket.onclose = event => {\n"
    "    if (event.code === 1008) location.reload(); // logged out\n"
    "    else setTimeout(connect, 1000);\n"
    "  };\n"
    "}\n"
    "connect();\n"
    "</script>\n</body>\n</html>\n";

/* Copies the session's user to name and returns it; "" if there is no session. */
static const char *user_of(ws_message session, char *name, size_t size) {
    if (!ws_json_text(session, "user", name, size))
        name[0] = 0;
    return name;
}

static void ask(ws_request *request, int status, ws_slice name, const char *problem) {
    ws_reply_html(request, status, login_page, head, (int)name.size, name.data ? name.data : "", problem);
}

static void home(ws_request *request, void *unused) {
    char name[32];
    (void)unused;
    if (*user_of(ws_session(request), name, sizeof name))
        ws_reply_html(request, 200, home_page, head, name);
    else
        ask(request, 200, ws_request_form(request, "name"), "");
}

/* A wrong name and a wrong password get the same answer, so that nobody can find out who has an account. */
static void log_in(ws_request *request, void *unused) {
    ws_slice name = ws_request_form(request, "name"), password = ws_request_form(request, "password");
    (void)unused;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        if (ws_slice_is(name, users[i].name) && ws_slice_is(password, users[i].password)) {
            if (ws_set_session(request, "{'user':%s}", users[i].name))
                ws_redirect(request, "/");
            else
                ws_reply(request, 503, "text/plain", "no memory for a session");
            return;
        }
    }
    ask(request, 401, name, "Wrong name or password.");
}

static void tell_tabs(ws_server *server, const char *name) {
    ws_server_broadcast_json(server, name, "{'you':%s,'tabs':%zu}", name, ws_room_count(server, name));
}

/* Closes all WebSockets of this user with 1008; their pages then reload, and show the login form. */
static void log_out(ws_request *request, void *loop) {
    ws_server *server = ws_request_server(request);
    char name[32];
    ws_id ids[64];
    if (*user_of(ws_session(request), name, sizeof name)) {
        size_t count = ws_room_members(server, name, ids, 64);
        for (size_t i = 0; i < count && i < 64; i++)
            ws_close(ws_find(loop, ids[i]), WS_CLOSE_POLICY, "logged out");
    }
    ws_set_session(request, NULL);
    ws_redirect(request, "/");
}

/* A WebSocket without a session is accepted, then closed with 1008: the page sees that code, and stops reconnecting.
   If it were refused, the page would see only 1006. */
static void enter(ws_conn *conn) {
    char name[32];
    if (!*user_of(ws_conn_session(conn), name, sizeof name)) {
        ws_close(conn, WS_CLOSE_POLICY, "log in first");
    } else if (ws_join(conn, name)) {
        tell_tabs(ws_conn_server(conn), name);
    }
}

static void leave(ws_conn *conn, ws_close_info why) {
    char name[32];
    (void)why;
    if (*user_of(ws_conn_session(conn), name, sizeof name))
        tell_tabs(ws_conn_server(conn), name);
}

/* 128 random bits from the system, as text; "" if that fails: ws_sessions then refuses the key. */
static const char *made_key(void) {
    static char key[33];
    unsigned char bytes[16];
    FILE *file = fopen("/dev/urandom", "rb");
    if (file && fread(bytes, 1, sizeof bytes, file) == sizeof bytes)
        for (size_t i = 0; i < sizeof bytes; i++)
            snprintf(key + 2 * i, 3, "%02x", bytes[i]);
    if (file)
        fclose(file);
    return key;
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 8000, .hosts = "127.0.0.1, localhost, [::1]", /* against DNS rebinding */
                               .limits = {.message = 1024, .body = 4096}};
    ws_loop_config loop_config = {.trace = NULL};
    const char *key = getenv("SESSION_KEY");
    const char *keys[] = {key && *key ? key : made_key(), getenv("OLD_SESSION_KEY"), NULL};
    ws_session_config sessions = {.keys = keys, .seconds = 8 * 3600};
    ws_handler handler = {.on_open = enter, .on_close = leave};
    read_server_options(argc, argv, usage, NULL, &config, &loop_config);
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_sessions(server, &sessions);
    ws_http(server, "GET", "/", home, NULL);
    ws_http(server, "POST", "/login", log_in, NULL);
    ws_http(server, "POST", "/logout", log_out, loop);
    ws_route(server, "/ws", &handler);
    announce(loop, server, "http");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "session: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
