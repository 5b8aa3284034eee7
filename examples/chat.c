/* Chat: one room for all who open the page. From the top of the tree:
       cc -O2 -o chat examples/chat.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o chat examples/chat.c                  # where --cert is not needed
       ./chat                              then open http://127.0.0.1:8000/ in two tabs
   The server passes each message on as it is, "Ann: hello", and nobody checks the name: rooms.c does more. */
#define WS_IMPLEMENTATION
#include "../ws.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: chat [PORT] [--host ADDRESS] [--cert FILE --key FILE]\n"
    "Serves a chat page on port 8000 of 127.0.0.1; port 0: any free one. --cert, --key (PEM): https://.\n";
static ws_loop *loop; /* here, for the signal handler */

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
    else if (!ws_broadcast(conn, NULL, message)) /* NULL: to all, the sender included */
        ws_close(conn, WS_CLOSE_TRY_LATER, "the server is short of memory");
}

static void stop(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends it at once */
    ws_shutdown(loop, 2000);
}

/* Reads the command line. Ends the program when a word of it is wrong, or asks for help. */
static void options(int argc, char **argv, ws_server_config *config) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        const char **value = !strcmp(word, "--host") ? &config->host : !strcmp(word, "--cert") ? &config->tls.cert_file
                             : !strcmp(word, "--key") ? &config->tls.key_file : NULL;
        if (value && i + 1 < argc) {
            *value = argv[++i];
        } else if (*word && !word[strspn(word, "0123456789")] && strtol(word, NULL, 10) <= 65535) {
            config->port = (uint16_t)strtol(word, NULL, 10);
        } else if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
            fputs(usage, stdout);
            exit(0);
        } else {
            fprintf(stderr, "chat: \"%s\" %s\n%s", word,
                    value ? "needs a value" : "is neither an option nor a port from 0 to 65535", usage);
            exit(2);
        }
    }
}

int main(int argc, char **argv) {
    ws_server_config config = {.host = "127.0.0.1", .port = 8000, .limits = {.message = 8192}};
    ws_server *server;
    options(argc, argv, &config);
    if (!strcmp(config.host, "127.0.0.1")) /* no page can point a name of its own here */
        config.hosts = "127.0.0.1, localhost, [::1]";
    loop = ws_loop_new(NULL);
    server = ws_listen(loop, &config);
    ws_route(server, "/ws", &(ws_handler){.on_message = say});
    ws_page(server, "/", "text/html; charset=utf-8", page);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    if (server)
        printf(strchr(config.host, ':') ? "%s://[%s]:%u/\n" : "%s://%s:%u/\n",
               config.tls.cert_file ? "https" : "http", config.host, ws_port(server));
    fflush(stdout);
    if (ws_run(loop)) /* returns at once when something above has failed */
        fprintf(stderr, "chat: %s\n", ws_loop_error_text(loop));
    return ws_loop_error(loop) ? 1 : 0;
}
