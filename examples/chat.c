/* Chat: one room for everybody who opens the page. From the top of the tree:
       cc -O2 -o chat examples/chat.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o chat examples/chat.c                  # where --cert is not needed
       ./chat                              then open http://127.0.0.1:8000/ in two tabs
   The server sends each message on unchanged, "Ann: hello". Nobody checks the name: see rooms.c for that. */
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <stdio.h>

static const char usage[] =
    "usage: chat " SERVER_OPTIONS
    "Serves a chat page; everybody who opens it is in the same room.\n"
    SERVER_HELP("8000");
static const char page[] =
    "<!doctype html>\n"
    "<html lang=en>\n"
    "<meta charset=utf-8>\n"
    "<meta name=viewport content='width=device-width, initial-scale=1'>\n"
    "<title>Chat</title>\n"
    "<link rel=icon href='data:,'>\n"
    "<style>\n"
    "  :root { color-scheme: light dark; font: 1.05rem/1.5 system-ui, sans-serif }\n"
    "  body { display: flex; flex-flow: column; height: 94dvh; max-width: 40rem; margin: auto; padding: 3dvh 1rem }\n"
    "  ol { flex: 1; overflow: auto; padding: 0; list-style: none; overflow-wrap: anywhere }\n"
    "  form { display: flex; gap: .5rem }\n"
    "  input, button { font: inherit; padding: .4rem; min-width: 0; border: 1px solid #888; border-radius: .5rem }\n"
    "  button { background: #2458d6; color: #fff }\n"
    "  ::placeholder { color: inherit; opacity: .7 }\n"
    "  #name { width: 7rem } #text { flex: 1 }\n"
    "</style>\n"
    "<div id=state role=status>Connecting</div>\n"
    "<ol id=log aria-live=polite></ol>\n"
    "<form>\n"
    "  <input id=name maxlength=30 value=guest aria-label='Your name'>\n"
    "  <input id=text maxlength=1000 placeholder=Message aria-label=Message autocomplete=off autofocus>\n"
    "  <button>Send</button>\n"
    "</form>\n"
    "<script>\n"
    "const [state, log, name, text] = ['state', 'log', 'name', 'text'].map(id => document.getElementById(id));\n"
    "let socket;\n"
    "function connect() {\n"
    "  socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');\n"
    "  socket.onopen = () => { state.textContent = 'Connected'; };\n"
    "  socket.onclose = () => { state.textContent = 'Reconnecting'; setTimeout(connect, 2000 * Math.random()); };\n"
    "  socket.onmessage = event => {\n"
    "    const line = log.appendChild(document.createElement('li'));\n"
    "    const [, who, what] = /^(.{0,40}?: )?(.*)/s.exec(event.data);\n"
    "    line.appendChild(document.createElement('b')).textContent = who; // as text, never as markup\n"
    "    line.append(what);\n"
    "    line.scrollIntoView();\n"
    "  };\n"
    "}\n"
    "document.forms[0].onsubmit = event => {\n"
    "  event.preventDefault();\n"
    "  if (!text.value || socket.readyState !== 1) return;\n"
    "  socket.send(name.value + ': ' + text.value);\n"
    "  text.value = '';\n"
    "};\n"
    "connect();\n"
    "</script>\n";

static void say(ws_conn *conn, ws_message message) {
    if (message.type != WS_TEXT)
        ws_close(conn, WS_CLOSE_UNSUPPORTED, "text only");
    else if (!ws_broadcast(conn, NULL, message)) /* NULL: to all connections, including the sender */
        ws_close(conn, WS_CLOSE_TRY_LATER, "the server is short of memory");
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 8000, .hosts = "127.0.0.1, localhost, [::1]", /* against DNS rebinding */
                               .limits = {.message = 8192}};
    ws_loop_config loop_config = {.trace = NULL};
    read_server_options(argc, argv, usage, NULL, &config, &loop_config);
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/ws", &(ws_handler){.on_message = say});
    ws_page(server, "/", "text/html; charset=utf-8", page);
    announce(loop, server, "http");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "chat: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
