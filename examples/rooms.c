/* Chat rooms: whoever opens /ws/{room} talks to those who are in the same room. From the top of the tree:

       cc -O2 -o rooms examples/rooms.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o rooms examples/rooms.c                # where --cert is not needed
       ./rooms                             then open http://127.0.0.1:8000/ in two tabs

   A member sends plain text. All members of the room get JSON, always of this form:

       {"type": "joined" | "say" | "renamed" | "left", "id": "7", "name": "Ann", "text": "hello", "members": 2}

   "/name Ann" changes the sender's name; in "renamed" the text is the name before.

   The server writes all of it, so nobody can speak for another or invent that somebody left.
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128, TEXT_MAX_BYTES = 4096 };

static const char usage[] =
    "usage: rooms [PORT] [--host ADDRESS] [--cert FILE --key FILE]\n"
    "Serves chat rooms.\n"
    "Listens on port 8000 of 127.0.0.1 unless told otherwise; port 0: any free one.\n"
    "--cert (PEM, followed by its chain) and --key: serve https://.\n";

static ws_loop *loop; /* here, for the signal handler */

typedef struct member {
    char name[NAME_MAX_BYTES + 1];
} member;

/* Tells all members of the connection's room. %s quotes and escapes what peers chose, so that it cannot break out of
   its string. false: there is no memory. */
static bool tell(ws_conn *conn, const char *type, const char *text, size_t size) {
    const char *room = ws_param(conn, "room");
    const member *who = ws_user(conn);
    return ws_broadcast_json(conn, room, "{'type':%s,'id':'%llu','name':%s,'text':%.*s,'members':%lu}", type,
                             (unsigned long long)ws_conn_id(conn), who->name, (int)size, text,
                             (unsigned long)ws_room_count(ws_conn_server(conn), room));
}

/* false: there is no name, or it is too long. */
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
        tell(conn, "left", "", 0); /* it has left its room already, so only the others get this */
    free(who);
}

static void stop(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends it at once */
    ws_shutdown(loop, 2000);
}

/* Reads the command line. Ends the program when a word of it is wrong, or asks for help. */
static void options(int argc, char **argv, ws_server_config *config) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        const char **value = !strcmp(word, "--host")   ? &config->host
                             : !strcmp(word, "--cert") ? &config->tls.cert_file
                             : !strcmp(word, "--key")  ? &config->tls.key_file
                                                       : NULL;
        if (value && i + 1 < argc) {
            *value = argv[++i];
        } else if (*word && !word[strspn(word, "0123456789")] && strtol(word, NULL, 10) <= 65535) {
            config->port = (uint16_t)strtol(word, NULL, 10);
        } else if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
            fputs(usage, stdout);
            exit(0);
        } else {
            fprintf(stderr, "rooms: \"%s\" %s\n%s", word,
                    value ? "needs a value" : "is neither an option nor a port from 0 to 65535", usage);
            exit(2);
        }
    }
}

static void serve_page(ws_server *server); /* at the end of the file */

int main(int argc, char **argv) {
    ws_server_config config = {.host = "127.0.0.1", .port = 8000, .limits = {.message = TEXT_MAX_BYTES}};
    ws_handler handler = {.on_open = enter, .on_message = receive, .on_close = leave};
    ws_server *server;
    ws_error error;
    options(argc, argv, &config);
    if (strcmp(config.host, "127.0.0.1") == 0) /* no page can point a name of its own here */
        config.hosts = "127.0.0.1, localhost, [::1]";
    loop = ws_loop_new(NULL);
    server = ws_listen(loop, &config);
    ws_route(server, "/ws/{room}", &handler);
    ws_route(server, "/ws/{room}/{name}", &handler);
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
        fprintf(stderr, "rooms: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}

/* --- the page --------------------------------------------------------------------------- */

/* In pieces, because C99 promises no more than 4,095 characters in a string. */

static const char page_html[] =
    "<!doctype html>\n"
    "<html lang=en>\n"
    "<meta charset=utf-8>\n"
    "<meta name=viewport content='width=device-width, initial-scale=1'>\n"
    "<title>Rooms</title>\n"
    "<link rel=icon href='data:,'>\n"
    "<link rel=stylesheet href=/page.css>\n"
    "<link rel=stylesheet href=/messages.css>\n"
    "<nav>\n"
    "  <h1>Rooms</h1>\n"
    "  <div id=rooms></div>\n"
    "  <form id=other>\n"
    "    <input id=room maxlength=30 autocomplete=off placeholder='New room' aria-label='New room'>\n"
    "    <button>Go</button>\n"
    "  </form>\n"
    "  <label>You are <input id=name maxlength=30 autocomplete=off></label>\n"
    "</nav>\n"
    "<main>\n"
    "  <header>\n"
    "    <h2 id=title></h2>\n"
    "    <span id=members></span>\n"
    "    <button id=state type=button role=status></button>\n"
    "  </header>\n"
    "  <ol id=log aria-live=polite></ol>\n"
    "  <form id=say>\n"
    "    <input id=text maxlength=1000 autocomplete=off placeholder=Message aria-label=Message autofocus>\n"
    "    <button>Send</button>\n"
    "  </form>\n"
    "</main>\n"
    "<script src=/socket.js></script>\n"
    "<script src=/page.js></script>\n";

static const char page_css[] =
    ":root { color-scheme: light dark; --back: #f2f3f7; --card: #fff; --ink: #171923; --soft: #646c80;\n"
    "  --line: #dfe2ea; --accent: #4f46e5; --on: #fff }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  :root { --back: #0d0f14; --card: #171a21; --ink: #e8eaf1; --soft: #98a0b3;\n"
    "    --line: #2a2f3a; --accent: #625ff0; --on: #fff }\n"
    "}\n"
    "* { box-sizing: border-box; margin: 0 }\n"
    "body { height: 100vh; height: 100dvh; display: grid; grid-template: 100% / 16rem minmax(0, 1fr);\n"
    "  background: var(--card); color: var(--ink); font: 16px/1.45 system-ui, sans-serif }\n"
    "nav { display: flex; flex-direction: column; gap: .9rem; padding: 1rem; overflow-y: auto;\n"
    "  background: var(--back); border-right: 1px solid var(--line) }\n"
    "h1 { font-size: 1.25rem }\n"
    "h2 { font-size: 1.1rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }\n"
    "h2::before, #rooms a::before { content: '# '; color: var(--soft) }\n"
    "#rooms { display: flex; flex-direction: column; gap: .15rem; flex: 1 }\n"
    "#rooms a { padding: .4rem .7rem; border-radius: .6rem; color: inherit; text-decoration: none;\n"
    "  white-space: nowrap; overflow: hidden; text-overflow: ellipsis }\n"
    "#rooms a:hover { background: var(--line) }\n"
    "#rooms a[aria-current], #rooms a[aria-current]::before { background: var(--accent); color: var(--on) }\n"
    "form { display: flex; gap: .5rem }\n"
    "label { color: var(--soft); font-size: .85rem }\n"
    "button, input { font: inherit; color: inherit; border-radius: .6rem; border: 1px solid var(--line) }\n"
    "input { background: var(--card); padding: .5rem .8rem; min-width: 0; width: 100% }\n"
    "label input { display: block; color: var(--ink); font-size: 1rem; margin-top: .25rem }\n"
    "button { background: var(--accent); border-color: var(--accent); color: var(--on);\n"
    "  padding: .5rem 1rem; font-weight: 600; cursor: pointer }\n"
    "button:disabled { opacity: .45; cursor: default }\n"
    ":focus-visible { outline: 2px solid var(--accent); outline-offset: 1px }\n"
    "input:focus { outline: 1px solid var(--accent); outline-offset: -1px; border-color: var(--accent) }\n"
    "::placeholder { color: var(--soft); opacity: 1 }\n"
    "main { display: flex; flex-direction: column; min-height: 0 }\n"
    "header { display: flex; align-items: center; gap: .8rem; padding: .8rem 1.2rem;\n"
    "  border-bottom: 1px solid var(--line) }\n"
    "#members { flex: 1; color: var(--soft); font-size: .85rem; white-space: nowrap }\n"
    "#state { background: none; border: 0; padding: 0; color: var(--soft); font-size: .85rem;\n"
    "  font-weight: 400; opacity: 1 }\n"
    "#state::before { content: ''; display: inline-block; width: 10px; height: 10px; margin-right: .45rem;\n"
    "  border-radius: 50%; background: #e5a50a }\n"
    "#state.open::before { background: #26a269 }\n"
    "#state.closed::before { background: #e01b24 }\n"
    "#log { flex: 1; overflow-y: auto; list-style: none; padding: 1rem 1.2rem }\n"
    "li { margin: .35rem auto; color: var(--soft); font-size: .85rem; text-align: center }\n";

static const char messages_css[] =
    "li.say { display: grid; grid-template-columns: 2.2rem minmax(0, max-content); gap: .15rem .6rem;\n"
    "  margin: .8rem 0 0; color: inherit; font-size: 1rem; text-align: left; max-width: 42rem }\n"
    "li.more { margin-top: .2rem }\n"
    "li.more i { visibility: hidden; height: 0 }\n"
    "li.more b { display: none }\n"
    "li i { grid-row: span 2; align-self: end; width: 2.2rem; height: 2.2rem; border-radius: 50%; color: #fff;\n"
    "  font: 600 1rem/2.2rem system-ui; text-align: center; background: hsl(var(--hue) 60% 28%) }\n"
    "li b { grid-column: 2; font-size: .8rem; font-weight: 600; color: var(--soft); overflow-wrap: anywhere }\n"
    "li p { grid-column: 2; justify-self: start; padding: .45rem .8rem; border-radius: 1rem;\n"
    "  background: var(--back); overflow-wrap: anywhere; white-space: pre-wrap }\n"
    "li.mine { grid-template-columns: minmax(0, max-content); justify-content: end; margin-left: auto }\n"
    "li.mine i, li.mine b { display: none }\n"
    "li.mine p { grid-column: 1; background: var(--accent); color: var(--on) }\n"
    "#say { padding: .8rem 1.2rem max(.8rem, env(safe-area-inset-bottom)); border-top: 1px solid var(--line) }\n"
    "@media (max-width: 45rem) {\n"
    "  body { grid-template: auto minmax(0, 1fr) / 100% }\n"
    "  nav { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; padding: .6rem .8rem;\n"
    "    border-right: 0; border-bottom: 1px solid var(--line) }\n"
    "  h1 { display: none }\n"
    "  #rooms { grid-column: 1 / 3; flex-direction: row; overflow-x: auto }\n"
    "  label { font-size: 0 }\n"
    "  label input { margin: 0 }\n"
    "  header, #log, #say { padding-left: .8rem; padding-right: .8rem }\n"
    "}\n";

static const char socket_js[] =
    "'use strict';\n"
    "const $ = id => document.getElementById(id);\n"
    "const rooms = ['lobby', 'games', 'music'];\n"
    "let socket, timer, tries = 0, room, me, last;\n"
    "\n"
    "function connect() {\n"
    "  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';\n"
    "  const path = '/ws/' + encodeURIComponent(room) + '/' + encodeURIComponent($('name').value);\n"
    "  clearTimeout(timer);\n"
    "  if (socket) {\n"
    "    socket.onopen = socket.onmessage = socket.onclose = null;\n"
    "    socket.close(1000);\n"
    "  }\n"
    "  show(tries ? 'reconnecting' : 'connecting', tries ? 'Reconnecting' : 'Connecting');\n"
    "  me = last = null;\n"
    "  socket = new WebSocket(scheme + '//' + location.host + path);\n"
    "  socket.onopen = () => show('open', 'Connected');\n"
    "  socket.onmessage = event => receive(JSON.parse(event.data));\n"
    "  socket.onclose = event => {\n"
    "    $('members').textContent = '';\n"
    "    if (![1006, 1012, 1013].includes(event.code)) {\n"
    "      show('closed', 'Closed: ' + (event.reason || event.code) + '. Connect again');\n"
    "      return;\n"
    "    }\n"
    "    show('reconnecting', 'Reconnecting');\n"
    "    timer = setTimeout(connect, 1000 * Math.min(30, 2 ** tries++) * (0.5 + Math.random() / 2));\n"
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
    "function receive(message) {\n"
    "  if (!me) { /* the first one says that we have joined */\n"
    "    me = message.id;\n"
    "    tries = 0;\n"
    "  }\n"
    "  $('members').textContent = message.members + (message.members === 1 ? ' member' : ' members');\n"
    "  const mine = message.id === me, said = message.type === 'say', line = document.createElement('li');\n"
    "  const add = (tag, text) => { line.appendChild(document.createElement(tag)).textContent = text; };\n"
    "  if (mine && !said) $('name').value = message.name;\n"
    "  if (said) {\n"
    "    line.className = 'say' + (mine ? ' mine' : '') + (last === message.id ? ' more' : '');\n"
    "    line.style.setProperty('--hue', message.id * 137 % 360);\n"
    "    add('i', [...message.name][0].toUpperCase());\n"
    "    add('b', message.name);\n"
    "    add('p', message.text);\n"
    "  } else {\n"
    "    line.textContent = message.type === 'renamed'\n"
    "      ? (mine ? 'You are' : message.text + ' is') + ' now ' + message.name\n"
    "      : mine ? 'You joined as ' + message.name : message.name + ' ' + message.type;\n"
    "  }\n"
    "  last = said && message.id;\n"
    "  const log = $('log'), low = log.scrollHeight - log.scrollTop - log.clientHeight < 80;\n"
    "  log.append(line);\n"
    "  while (log.childElementCount > 500) log.firstChild.remove();\n"
    "  if (low || mine) log.scrollTop = log.scrollHeight;\n"
    "}\n";

static const char page_js[] =
    "/* What goes into the path: no slash, and nothing invisible that could fake another's name. */\n"
    "function clean(text, otherwise) {\n"
    "  const short = [...text.replace(/[/\\p{C}]/gu, '').trim()].slice(0, 30).join('');\n"
    "  return /^\\.*$/.test(short) ? otherwise : short;\n"
    "}\n"
    "\n"
    "/* Goes to the room that stands in the page's address. */\n"
    "function enter() {\n"
    "  let wanted = '';\n"
    "  try { wanted = decodeURIComponent(location.hash.slice(1)); } catch { /* then the lobby */ }\n"
    "  room = clean(wanted, 'lobby');\n"
    "  if (!rooms.includes(room)) rooms.push(room);\n"
    "  $('rooms').replaceChildren(...rooms.map(name => {\n"
    "    const link = document.createElement('a');\n"
    "    link.href = '#' + encodeURIComponent(name);\n"
    "    link.textContent = name;\n"
    "    if (name === room) link.setAttribute('aria-current', 'page');\n"
    "    return link;\n"
    "  }));\n"
    "  $('title').textContent = room;\n"
    "  document.title = room + ' - Rooms';\n"
    "  $('members').textContent = '';\n"
    "  $('log').replaceChildren();\n"
    "  tries = 0;\n"
    "  connect();\n"
    "}\n"
    "\n"
    "$('say').onsubmit = event => {\n"
    "  event.preventDefault();\n"
    "  const text = $('text').value.trim();\n"
    "  if (!text || socket.readyState !== WebSocket.OPEN) return;\n"
    "  socket.send(text);\n"
    "  $('text').value = '';\n"
    "};\n"
    "$('other').onsubmit = event => {\n"
    "  event.preventDefault();\n"
    "  location.hash = '#' + encodeURIComponent(clean($('room').value, room));\n"
    "  $('room').value = '';\n"
    "  $('text').focus();\n"
    "};\n"
    "const guest = 'guest ' + Math.floor(100 + Math.random() * 900); /* not kept: each tab is another */\n"
    "$('name').onchange = () => {\n"
    "  $('name').value = clean($('name').value, guest);\n"
    "  try { localStorage.setItem('name', $('name').value); } catch { /* forbidden: then not */ }\n"
    "  if (socket.readyState === WebSocket.OPEN) socket.send('/name ' + $('name').value);\n"
    "  else connect();\n"
    "};\n"
    "$('state').onclick = connect;\n"
    "window.onhashchange = enter;\n"
    "try { $('name').value = localStorage.getItem('name'); } catch { /* forbidden: then a guest */ }\n"
    "$('name').value = clean($('name').value, guest);\n"
    "enter();\n";

static void serve_page(ws_server *server) {
    ws_page(server, "/", "text/html; charset=utf-8", page_html);
    ws_page(server, "/page.css", "text/css; charset=utf-8", page_css);
    ws_page(server, "/messages.css", "text/css; charset=utf-8", messages_css);
    ws_page(server, "/socket.js", "text/javascript; charset=utf-8", socket_js);
    ws_page(server, "/page.js", "text/javascript; charset=utf-8", page_js);
}
