/* Chat: one room for all who open the page. From the top of the tree:

       cc -O2 -o chat examples/chat.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o chat examples/chat.c                  # where --cert is not needed
       ./chat                              then open http://127.0.0.1:8000/ in two tabs

   The server passes on what it gets, as it is. What it means, {"name": ..., "text": ...}, is the
   pages' business, and a page trusts none of it: it shows everything as plain text.
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include <signal.h>
#include <stdio.h>

static const char usage[] =
    "usage: chat [port] [--host ADDR] [--cert FILE --key FILE]\n"
    "Serves a chat page. Port 8000 and address 127.0.0.1 unless told; port 0 takes a free one.\n"
    "--cert (PEM, its chain behind it) and --key: serve https://.\n";

static ws_loop *loop; /* here, for the signal handler */

static void say(ws_conn *conn, ws_message message) {
    if (message.type != WS_TEXT)
        ws_close(conn, WS_CLOSE_UNSUPPORTED, "text only");
    else if (!ws_broadcast(conn, NULL, message)) /* NULL: to all, the sender too */
        ws_close(conn, WS_CLOSE_TRY_LATER, "the server is short of memory");
}

static void stop(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends it at once */
    ws_shutdown(loop, 2000);
}

static bool arguments(int count, char **words, ws_server_config *config) {
    for (int i = 1; i < count; i++) {
        char *end;
        long port = strtol(words[i], &end, 10);
        if (strcmp(words[i], "--host") == 0 && i + 1 < count)
            config->host = words[++i];
        else if (strcmp(words[i], "--cert") == 0 && i + 1 < count)
            config->tls.cert_file = words[++i];
        else if (strcmp(words[i], "--key") == 0 && i + 1 < count)
            config->tls.key_file = words[++i];
        else if (*words[i] >= '0' && end != words[i] && !*end && port <= 65535)
            config->port = (uint16_t)port;
        else {
            fprintf(stderr, "chat: cannot make sense of \"%s\"\n%s", words[i], usage);
            return false;
        }
    }
    return true;
}

static void serve_page(ws_server *server); /* at the end of the file */

int main(int argc, char **argv) {
    ws_server_config config = {.host = "127.0.0.1", .port = 8000, .limits = {.message = 8192}};
    ws_server *server;
    ws_error error;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (!arguments(argc, argv, &config))
        return 2;
    if (strcmp(config.host, "127.0.0.1") == 0) /* so that no page whose name was rebound to it gets in */
        config.hosts = "127.0.0.1, localhost, [::1]";
    loop = ws_loop_new(NULL);
    server = ws_listen(loop, &config);
    ws_route(server, "/ws", &(ws_handler){.on_message = say});
    serve_page(server);
    if (!ws_loop_error(loop)) {
        signal(SIGINT, stop);
        signal(SIGTERM, stop);
        printf(strchr(config.host, ':') ? "%s://[%s]:%u/\n" : "%s://%s:%u/\n",
               config.tls.cert_file ? "https" : "http", config.host, ws_port(server));
        fflush(stdout);
    }
    error = ws_run(loop); /* returns at once when something above has failed */
    if (error)
        fprintf(stderr, "chat: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}

/* --- the page --------------------------------------------------------------------------- */

static const char html[] =
    "<!doctype html>\n"
    "<html lang=en>\n"
    "<meta charset=utf-8>\n"
    "<meta name=viewport content='width=device-width, initial-scale=1'>\n"
    "<title>Chat</title>\n"
    "<link rel=icon href='data:,'>\n"
    "<link rel=stylesheet href=/style.css>\n"
    "<header>\n"
    "  <h1>Chat</h1>\n"
    "  <button id=state type=button role=status></button>\n"
    "</header>\n"
    "<ol id=log aria-live=polite></ol>\n"
    "<form id=say>\n"
    "  <input id=name maxlength=30 autocomplete=off placeholder=Name aria-label='Your name'>\n"
    "  <input id=text maxlength=1000 autocomplete=off placeholder=Message aria-label=Message autofocus>\n"
    "  <button>Send</button>\n"
    "</form>\n"
    "<script src=/script.js></script>\n";

static const char css[] =
    ":root { color-scheme: light dark; --back: #f3f4f6; --card: #fff; --ink: #17191f; --soft: #636b7a;\n"
    "  --line: #dfe2e8; --accent: #0f766e; --on: #fff }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  :root { --back: #0e1013; --card: #181b20; --ink: #e9ebef; --soft: #97a0b0;\n"
    "    --line: #2b3038; --accent: #2dd4bf; --on: #04211d }\n"
    "}\n"
    "* { box-sizing: border-box; margin: 0 }\n"
    "body { height: 100vh; height: 100dvh; max-width: 46rem; margin: auto; display: flex;\n"
    "  flex-direction: column; background: var(--card); color: var(--ink);\n"
    "  font: 16px/1.45 system-ui, sans-serif }\n"
    "html { background: var(--back) }\n"
    "header { display: flex; align-items: center; padding: .7rem 1rem; border-bottom: 1px solid var(--line) }\n"
    "h1 { font-size: 1.15rem; flex: 1 }\n"
    "button, input { font: inherit; color: inherit; border-radius: .6rem; border: 1px solid var(--line) }\n"
    "input { background: var(--back); padding: .55rem .8rem; min-width: 0 }\n"
    "button { background: var(--accent); border-color: var(--accent); color: var(--on);\n"
    "  padding: .55rem 1rem; font-weight: 600; cursor: pointer }\n"
    "button:disabled { opacity: .45; cursor: default }\n"
    ":focus-visible { outline: 2px solid var(--accent); outline-offset: 1px }\n"
    "input:focus { outline: 1px solid var(--accent); outline-offset: -1px; border-color: var(--accent) }\n"
    "#state { background: none; border: 0; padding: 0; color: var(--soft); font-size: .85rem;\n"
    "  font-weight: 400; opacity: 1 }\n"
    "#state::before { content: ''; display: inline-block; width: 10px; height: 10px; margin-right: .45rem;\n"
    "  border-radius: 50%; background: #e5a50a }\n"
    "#state.open::before { background: #26a269 }\n"
    "#state.closed::before { background: #e01b24 }\n"
    "#log { flex: 1; overflow-y: auto; list-style: none; padding: 1rem }\n"
    "#log:empty::before { content: 'Nothing said yet. Open this page in a second tab and say hello.';\n"
    "  display: block; padding: 25vh 1rem 0; text-align: center; color: var(--soft) }\n"
    "li { display: grid; grid-template-columns: 2.2rem 1fr auto; gap: 0 .7rem; padding: .45rem 0 }\n"
    "li i { grid-row: span 2; width: 2.2rem; height: 2.2rem; border-radius: 50%; font: 600 1rem/2.2rem system-ui;\n"
    "  text-align: center; color: #fff; background: hsl(var(--hue) 55% 42%) }\n"
    "li b { font-size: .9rem; overflow-wrap: anywhere }\n"
    "li time { color: var(--soft); font-size: .75rem }\n"
    "li p { grid-column: 2 / 4; overflow-wrap: anywhere; white-space: pre-wrap }\n"
    "#say { display: flex; gap: .5rem; padding: .7rem 1rem; border-top: 1px solid var(--line);\n"
    "  padding-bottom: max(.7rem, env(safe-area-inset-bottom)) }\n"
    "#name { width: 7.5rem }\n"
    "#text { flex: 1 }\n"
    "@media (max-width: 30rem) {\n"
    "  #say { flex-wrap: wrap }\n"
    "  #name { width: 100% }\n"
    "}\n";

static const char script[] =
    "'use strict';\n"
    "const $ = id => document.getElementById(id);\n"
    "let socket, lasting, tries = 0;\n"
    "\n"
    "function connect() {\n"
    "  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';\n"
    "  show(tries ? 'reconnecting' : 'connecting', tries ? 'Reconnecting' : 'Connecting');\n"
    "  socket = new WebSocket(scheme + '//' + location.host + '/ws');\n"
    "  socket.onopen = () => {\n"
    "    lasting = setTimeout(() => { tries = 0; }, 10000); /* one that ends at once is no success */\n"
    "    show('open', 'Connected');\n"
    "  };\n"
    "  socket.onmessage = event => receive(event.data);\n"
    "  socket.onclose = event => {\n"
    "    clearTimeout(lasting);\n"
    "    if (![1006, 1012, 1013].includes(event.code)) {\n"
    "      show('closed', 'Closed: ' + (event.reason || event.code) + '. Connect again');\n"
    "      return;\n"
    "    }\n"
    "    const seconds = Math.min(30, 2 ** tries++) * (0.5 + Math.random() / 2);\n"
    "    show('reconnecting', 'Reconnecting');\n"
    "    setTimeout(connect, seconds * 1000);\n"
    "  };\n"
    "}\n"
    "\n"
    "function show(state, text) {\n"
    "  $('state').className = state;\n"
    "  $('state').textContent = text;\n"
    "  $('state').disabled = state !== 'closed';\n"
    "  document.querySelector('#say button').disabled = state !== 'open';\n"
    "}\n"
    "\n"
    "/* Whatever came: only strings, and only as text, never as markup. */\n"
    "function receive(data) {\n"
    "  let said = {};\n"
    "  try { said = Object(JSON.parse(data)); } catch { said.text = data; }\n"
    "  const name = clean(said.name) || 'someone';\n"
    "  const line = document.createElement('li');\n"
    "  const add = (tag, text) => { line.appendChild(document.createElement(tag)).textContent = text; };\n"
    "  line.style.setProperty('--hue', [...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 360, 7));\n"
    "  add('i', [...name][0].toUpperCase());\n"
    "  add('b', name);\n"
    "  add('time', new Date().toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));\n"
    "  add('p', typeof said.text === 'string' ? said.text : data);\n"
    "  const low = $('log').scrollHeight - $('log').scrollTop - $('log').clientHeight < 80;\n"
    "  $('log').append(line);\n"
    "  while ($('log').childElementCount > 500) $('log').firstChild.remove();\n"
    "  if (low) line.scrollIntoView({ block: 'end' });\n"
    "}\n"
    "\n"
    "/* Control and invisible characters could fake another's name or turn the line around. */\n"
    "function clean(name) {\n"
    "  return typeof name === 'string' ? [...name.replace(/\\p{C}/gu, '').trim()].slice(0, 30).join('') : '';\n"
    "}\n"
    "\n"
    "$('say').onsubmit = event => {\n"
    "  event.preventDefault();\n"
    "  const text = $('text').value.trim();\n"
    "  if (!text || socket.readyState !== WebSocket.OPEN) return;\n"
    "  socket.send(JSON.stringify({ name: clean($('name').value), text }));\n"
    "  $('text').value = '';\n"
    "};\n"
    "$('state').onclick = connect;\n"
    "$('name').onchange = () => { try { localStorage.setItem('name', $('name').value); } catch { } };\n"
    "try { $('name').value = localStorage.getItem('name') || ''; } catch { }\n"
    "if (!$('name').value) $('name').value = 'guest ' + Math.floor(100 + Math.random() * 900);\n"
    "connect();\n";

static void serve_page(ws_server *server) {
    ws_page(server, "/", "text/html; charset=utf-8", html);
    ws_page(server, "/style.css", "text/css; charset=utf-8", css);
    ws_page(server, "/script.js", "text/javascript; charset=utf-8", script);
}
