/* A form that says hello to the user who fills it in, and goodbye two seconds later. htmx sends the form's fields, and
   puts the HTML of the answer where its id says. The page's own JavaScript only checks that htmx is there. Needs htmx 2
   and version 2 of its WebSocket extension, htmx-ext-ws. From the top of the tree:

       cc -O2 -DWS_NO_TLS -o htmx examples/htmx.c
       ./htmx                              then open http://127.0.0.1:8000/

   The browser loads htmx from the Internet. For machines without it, --scripts FOLDER serves htmx.min.js and ws.js (the
   WebSocket extension) from a folder.
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <stdio.h>
#include <stdlib.h>

enum { NAME_MAX_BYTES = 100, GOODBYE_MS = 2000 };

static const char usage[] =
    "usage: htmx [--scripts FOLDER] " SERVER_OPTIONS
    "Serves a form whose answers come over a WebSocket.\n"
    "--scripts: serve htmx.min.js (htmx 2) and ws.js (htmx-ext-ws 2) from this folder.\n"
    SERVER_HELP("8000");

static const char page[] =
    "<!doctype html>\n"
    "<html lang='en'>\n"
    "<head>\n"
    "<meta charset='utf-8'>\n"
    "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
    "<title>htmx</title>\n"
    "<link rel='icon' href='data:,'>\n"
    "<script src='%s'></script>\n"
    "<script src='%s'></script>\n"
    "<style>\n"
    "  :root { color-scheme: light dark; --line: #888; --accent: #3b6fe0; --error: light-dark(#c33, #f77) }\n"
    "  body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 12vh auto; padding: 0 1.2rem }\n"
    "  form { display: flex; gap: .6rem }\n"
    "  input { flex: 1; min-width: 0; font: inherit; padding: .5rem .8rem; border: 1px solid var(--line);\n"
    "    border-radius: .5rem }\n"
    "  button { font: inherit; padding: .5rem 1.1rem; border: 0; border-radius: .5rem; color: #fff;\n"
    "    background: var(--accent) }\n"
    "  ::placeholder { color: inherit; opacity: .7 }\n"
    "  #said { min-height: 3rem; margin: 1.2rem 0; font-size: 1.5rem; overflow-wrap: anywhere }\n"
    "  .error { color: var(--error) }\n"
    "</style>\n"
    "</head>\n"
    "<body hx-ext='ws' ws-connect='/ws'>\n"
    "<h1>Who are you?</h1>\n"
    "<form id='form' ws-send>\n"
    "  %-s\n"
    "  <button>Say hello</button>\n"
    "</form>\n"
    "<p id='said'>Hello, world</p>\n"
    "<script>\n"
    "  const offline = '; offline: start ./htmx --scripts FOLDER';\n"
    "  const problem = !window.htmx ? 'htmx did not load' + offline\n"
    "    : !/^2\\./.test(htmx.version) ? 'this is htmx ' + htmx.version\n"
    "    : !htmx.createWebSocket ? 'its extension ws.js did not load' + offline : '';\n"
    "  if (problem) said.outerHTML = `<p class='error' role='alert'>This page needs htmx 2: ${problem}.</p>`;\n"
    "</script>\n"
    "<noscript><p class='error'>This page needs JavaScript, for htmx.</p></noscript>\n"
    "</body>\n"
    "</html>\n";

/* The input field, sent with the page, and again to empty it. */
static const char input[] =
    "<input id='name' name='name' placeholder='Your name' aria-label='Your name' maxlength='50' autocomplete='off' "
    "required autofocus>";

typedef struct visitor {
    ws_id conn, timer;
    char name[NAME_MAX_BYTES + 1]; /* for say_goodbye */
} visitor;

/* A connection cancels this timer when it ends, so the visitor still exists. */
static void say_goodbye(ws_loop *in, void *user) {
    visitor *who = user;
    who->timer = 0;
    ws_send_html(ws_find(in, who->conn), "<p id='said'>Goodbye, %s</p>%-s", who->name, input);
}

static void enter(ws_conn *conn) {
    visitor *who = calloc(1, sizeof *who);
    ws_set_user(conn, who);
    if (who)
        who->conn = ws_conn_id(conn);
    else
        ws_close(conn, WS_CLOSE_TRY_LATER, "the server is short of memory");
}

/* The message is a JSON object of the form's fields. Any other message gets an error, and the socket stays open. */
static void answer(ws_conn *conn, ws_message message) {
    visitor *who = ws_user(conn);
    if (message.type != WS_TEXT || !ws_json_text(message, "name", who->name, sizeof who->name) || !*who->name) {
        ws_send_html(conn, "<p id='said' class='error'>Please send a name of at most %d bytes.</p>", NAME_MAX_BYTES);
        return;
    }
    ws_cancel(ws_conn_loop(conn), who->timer); /* of two names in two seconds the newer one counts */
    who->timer = ws_after(ws_conn_loop(conn), GOODBYE_MS, say_goodbye, who);
    ws_send_html(conn, "<p id='said'>Hello, %s</p>", who->name);
}

static void leave(ws_conn *conn, ws_close_info why) {
    visitor *who = ws_user(conn);
    (void)why;
    if (who)
        ws_cancel(ws_conn_loop(conn), who->timer);
    free(who);
}

/* A file that is missing, or a path too long for the buffer, makes ws_run fail and name it. */
static void serve_script(ws_server *server, const char *path, const char *folder) {
    char file[4096];
    snprintf(file, sizeof file, "%s%s", folder, path);
    ws_page_file(server, path, "text/javascript; charset=utf-8", file);
}

static void serve_page(ws_server *server, const char *scripts) {
    char html[sizeof page + sizeof input + 256];
    if (scripts) {
        serve_script(server, "/htmx.min.js", scripts);
        serve_script(server, "/ws.js", scripts);
        ws_html_print(html, sizeof html, page, "/htmx.min.js", "/ws.js", input);
    } else {
        ws_html_print(html, sizeof html, page, "https://unpkg.com/htmx.org@2/dist/htmx.min.js",
                      "https://unpkg.com/htmx-ext-ws@2/ws.js", input);
    }
    ws_page(server, "/", "text/html; charset=utf-8", html);
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 8000, .hosts = "127.0.0.1, localhost, [::1]", /* against DNS rebinding */
                               .limits = {.message = 4096}};
    ws_loop_config loop_config = {.trace = NULL};
    ws_handler handler = {.on_open = enter, .on_message = answer, .on_close = leave};
    const char *scripts = NULL;
    const program_option own[] = {{.name = "--scripts", .text = &scripts}, {.name = NULL}};
    read_server_options(argc, argv, usage, own, &config, &loop_config);
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/ws", &handler);
    serve_page(server, scripts);
    announce(loop, server, "http");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "htmx: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
