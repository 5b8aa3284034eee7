/* JSON-RPC 2.0 (https://www.jsonrpc.org/specification) over a WebSocket, with notifications and batches. A request is
   a text message, and so is its response. The server has a page to try it. From the top of the tree:

       cc -O2 -DWS_NO_TLS -o json_api examples/json_api.c
       ./json_api                          then open http://127.0.0.1:8000/

   To add a method, write a function and add a line to the table `methods`.
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REQUEST_MAX = 64 * 1024, RESULT_MAX = 32 * 1024, ANSWER_MAX = 64 * 1024 };
enum { MALFORMED = -32700, INVALID_REQUEST = -32600, NO_METHOD = -32601, INVALID_PARAMS = -32602, INTERNAL = -32603 };

static const char usage[] =
    "usage: json_api " SERVER_OPTIONS
    "Serves JSON-RPC 2.0 at /rpc, a page to try it at /, and metrics for Prometheus at /metrics.\n"
    SERVER_HELP("8000");

/* --- the methods: each writes its result as JSON and returns what ws_json_print returned, or 0: invalid params --- */

/* Finds a parameter by position or by name, whichever the request uses. */
static ws_json param(ws_json params, size_t index, const char *name) {
    return params.type == WS_JSON_OBJECT ? ws_json_member(params, name) : ws_json_element(params, index);
}

/* Whether an array has more than `count` elements. Unknown members of an object are ignored. */
static bool more_than(ws_json params, size_t count) {
    return params.type == WS_JSON_ARRAY && ws_json_element(params, count).type != WS_JSON_ABSENT;
}

static size_t add(ws_json params, char *result, size_t size) {
    double a, b;
    if (more_than(params, 2) || !ws_json_as_number(param(params, 0, "a"), &a)
        || !ws_json_as_number(param(params, 1, "b"), &b) || !isfinite(a + b))
        return 0;
    return ws_json_print(result, size, "%g", a + b);
}

/* [1, 2, 3], or {"numbers": [1, 2, 3]} */
static size_t sum(ws_json params, char *result, size_t size) {
    ws_json numbers = params.type == WS_JSON_OBJECT ? ws_json_member(params, "numbers") : params;
    double number, total = 0;
    if (numbers.type != WS_JSON_ARRAY)
        return 0;
    for (ws_json item = {0}; ws_json_next(numbers, NULL, &item); total += number)
        if (!ws_json_as_number(item, &number))
            return 0;
    return isfinite(total) ? ws_json_print(result, size, "%g", total) : 0;
}

static size_t echo(ws_json params, char *result, size_t size) {
    ws_json value = param(params, 0, "value");
    if (value.type == WS_JSON_ABSENT || more_than(params, 1))
        return 0;
    return ws_json_print(result, size, "%-.*s", (int)value.size, value.data);
}

static size_t repeat(ws_json params, char *result, size_t size) {
    char text[256], repeated[RESULT_MAX] = "";
    int64_t count;
    size_t length;
    if (more_than(params, 2) || !ws_json_as_text(param(params, 0, "text"), text, sizeof text)
        || !ws_json_as_integer(param(params, 1, "count"), &count) || count < 0)
        return 0;
    length = strlen(text);
    if (length && (uint64_t)count > (sizeof repeated - 1) / length)
        return size; /* too long */
    for (size_t i = 0; length && i < (size_t)count; i++)
        memcpy(repeated + i * length, text, length + 1);
    return ws_json_print(result, size, "%s", repeated);
}

static size_t utc(ws_json params, char *result, size_t size) {
    time_t now = time(NULL);
    char text[32];
    (void)params;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    return ws_json_print(result, size, "{'utc':%s,'unix':%lld}", text, (long long)now);
}

static const struct method {
    const char *name;
    size_t (*call)(ws_json params, char *result, size_t size);
} methods[] = {{"add", add}, {"sum", sum}, {"echo", echo}, {"repeat", repeat}, {"time", utc}};

/* --- JSON-RPC --- */

typedef struct answer {
    char text[ANSWER_MAX];
    size_t size;
    bool full;
} answer;

/* Appends one response; commas separate those of a batch. value is the result if code is 0, else the error's message.
   The id is copied exactly from the request. false: it does not fit, and nothing is appended. */
static bool put(answer *out, ws_json id, int code, const char *value) {
    size_t from = out->size > 1 ? out->size + 1 : out->size, size;
    size_t room = from + 1 < sizeof out->text ? sizeof out->text - 1 - from : 0; /* one is for the ']' */
    char *text = out->text + from;
    if (code)
        size = ws_json_print(text, room, "{'jsonrpc':'2.0','error':{'code':%d,'message':%s},'id':%-.*s}", code, value,
                             (int)id.size, id.data);
    else
        size = ws_json_print(text, room, "{'jsonrpc':'2.0','result':%-s,'id':%-.*s}", value, (int)id.size, id.data);
    if (!size || size >= room) {
        out->text[out->size] = 0;
        return false;
    }
    if (from != out->size)
        out->text[out->size] = ',';
    out->size = from + size;
    return true;
}

static const ws_json no_id = {"null", 4, WS_JSON_NULL, NULL};

/* If the response does not fit, an error replaces it. If that does not fit either, one error replaces all responses. */
static void respond(answer *out, ws_json id, int code, const char *value) {
    if (!put(out, id, code, value) && !put(out, id, INTERNAL, "Internal error: the answer is too long"))
        out->full = true;
}

/* Calls the method; returns 0, or the code of an error. */
static int call(ws_json method, ws_json params, char *result, size_t room) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (ws_json_is(method, methods[i].name)) {
            size_t size = methods[i].call(params, result, room);
            return !size ? INVALID_PARAMS : size >= room ? INTERNAL : 0;
        }
    }
    return NO_METHOD;
}

static void one(answer *out, ws_json request) {
    char result[RESULT_MAX];
    ws_json id = ws_json_member(request, "id"), method = ws_json_member(request, "method");
    ws_json params = ws_json_member(request, "params");
    bool notification = id.type == WS_JSON_ABSENT; /* gets no response, not even an error */
    bool good = request.type == WS_JSON_OBJECT && ws_json_is(ws_json_member(request, "jsonrpc"), "2.0")
                && method.type == WS_JSON_STRING && id.type != WS_JSON_BOOL && id.type < WS_JSON_ARRAY
                && (params.type == WS_JSON_ABSENT || params.type >= WS_JSON_ARRAY);
    int code;
    if (!good) {
        bool known = id.type == WS_JSON_NUMBER || id.type == WS_JSON_STRING;
        respond(out, known ? id : no_id, INVALID_REQUEST, "Invalid Request");
        return;
    }
    code = call(method, params, result, sizeof result);
    if (notification)
        return;
    respond(out, id, code, code == NO_METHOD ? "Method not found" : code == INVALID_PARAMS ? "Invalid params"
                           : code ? "Internal error: the answer is too long" : result);
}

static void batch(answer *out, ws_json requests) {
    out->text[out->size++] = '[';
    for (ws_json item = {0}; !out->full && ws_json_next(requests, NULL, &item);)
        one(out, item);
    if (out->size == 1)
        out->size = 0; /* notifications only: no response at all */
    else
        out->text[out->size++] = ']';
    out->text[out->size] = 0;
}

static void receive(ws_conn *conn, ws_message message) {
    answer out = {.size = 0};
    ws_json request = ws_json_parse(message.data, message.size);
    if (message.type != WS_TEXT) {
        ws_close(conn, WS_CLOSE_UNSUPPORTED, "text only");
        return;
    }
    if (request.type < WS_JSON_NULL)
        respond(&out, no_id, MALFORMED, "Parse error");
    else if (request.type == WS_JSON_ARRAY && ws_json_element(request, 0).type != WS_JSON_ABSENT)
        batch(&out, request);
    else
        one(&out, request);
    if (out.full) {
        out.size = 0;
        put(&out, no_id, INTERNAL, "Internal error: the answer is too long");
    }
    if (out.size)
        ws_send_text(conn, out.text);
}

static const char page[] =
    "<!doctype html>\n"
    "<html lang=en>\n"
    "<meta charset=utf-8>\n"
    "<meta name=viewport content='width=device-width, initial-scale=1'>\n"
    "<title>JSON-RPC</title>\n"
    "<link rel=icon href='data:,'>\n"
    "<style>\n"
    ":root { color-scheme: light dark; --line: #888; --accent: #3b6fe0; --soft: #8881 }\n"
    "* { box-sizing: border-box }\n"
    "body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; height: 100dvh; margin: auto; padding: 1rem;\n"
    "  display: flex; flex-direction: column; gap: .7rem }\n"
    "h1 { font-size: 1.4rem; margin: 0 } h1 small { font-weight: 400; font-size: .9rem; opacity: .7 }\n"
    "#samples { display: flex; flex-wrap: wrap; gap: .4rem }\n"
    "button { font: inherit; padding: .35rem .8rem; border: 1px solid var(--line); border-radius: 2rem;\n"
    "  background: none; color: inherit; cursor: pointer }\n"
    "#send { background: var(--accent); color: #fff; align-self: end }\n"
    "textarea { font: 15px/1.5 monospace; padding: .7rem; min-height: 5.5rem; width: 100%;\n"
    "  border: 1px solid var(--line); border-radius: .7rem; flex-shrink: 0; resize: vertical }\n"
    "#log { flex: 1; overflow-y: auto; margin: 0; padding: 0; list-style: none; font: 14px/1.5 monospace }\n"
    "li { padding: .35rem .7rem; margin: .3rem 0; border-radius: .5rem; overflow-wrap: anywhere;\n"
    "  white-space: pre-wrap }\n"
    "li.got { background: var(--soft); border-left: 3px solid #26a269 } li.error { border-left-color: #e01b24 }\n"
    "</style>\n"
    "<h1>JSON-RPC 2.0 <small id=state></small></h1>\n"
    "<div id=samples></div>\n"
    "<textarea id=request spellcheck=false aria-label=Request></textarea>\n"
    "<button id=send>Send</button>\n"
    "<ol id=log aria-live=polite></ol>\n"
    "<script src=/page.js></script>\n";

static const char page_js[] =
    "'use strict';\n"
    "const $ = id => document.getElementById(id);\n"
    "const samples = {\n"
    "  add: '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":[19, 23]}',\n"
    "  'by name': '{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"add\",\"params\":{\"a\":0.5,\"b\":2}}',\n"
    "  time: '{\"jsonrpc\":\"2.0\",\"id\":\"now\",\"method\":\"time\"}',\n"
    "  notification: '{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[\"nobody answers\"]}',\n"
    "  batch: '[{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"sum\",\"params\":[1,2,3]},\\n'\n"
    "    + ' {\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"fly\"}]',\n"
    "  'too long': '{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"repeat\",\"params\":[\"ha\", 1000000]}',\n"
    "  'not JSON': '{\"jsonrpc\":' };\n"
    "let socket, lasting, tries = 0;\n"
    "function connect() {\n"
    "  socket = new WebSocket(location.origin.replace('http', 'ws') + '/rpc');\n"
    "  socket.onopen = () => { lasting = setTimeout(() => { tries = 0; }, 10000); show('connected'); };\n"
    "  socket.onmessage = event => {\n"
    "    const answer = JSON.parse(event.data);\n"
    "    line(event.data, [].concat(answer).some(one => one.error) ? 'got error' : 'got');\n"
    "  };\n"
    "  socket.onclose = event => {\n"
    "    clearTimeout(lasting);\n"
    "    show('disconnected ' + event.reason);\n"
    "    setTimeout(connect, 500 * Math.min(20, 2 ** tries++) * (0.5 + Math.random() / 2));\n"
    "  };\n"
    "}\n"
    "function show(text) { $('state').textContent = text; $('send').disabled = text !== 'connected'; }\n"
    "function line(text, kind) {\n"
    "  const item = $('log').appendChild(document.createElement('li'));\n"
    "  item.className = kind;\n"
    "  item.textContent = text.length > 2000 ? text.slice(0, 2000) + '...' : text;\n"
    "  while ($('log').childElementCount > 200) $('log').firstChild.remove();\n"
    "  $('log').scrollTop = $('log').scrollHeight;\n"
    "}\n"
    "$('send').onclick = () => { line($('request').value, 'sent'); socket.send($('request').value); };\n"
    "for (const name in samples) {\n"
    "  const button = $('samples').appendChild(document.createElement('button'));\n"
    "  button.textContent = name;\n"
    "  button.onclick = () => { $('request').value = samples[name]; };\n"
    "}\n"
    "$('request').value = samples.add;\n"
    "show('connecting');\n"
    "connect();\n";

/* Prometheus' text format, version 0.0.4. */
static void metrics(ws_request *request, void *user) {
    ws_stats now = ws_server_stats(ws_request_server(request));
    const struct {
        const char *name, *label, *type, *help; /* help NULL: the same name as above, with another label */
        double value;
    } all[] = {{"ws_open", "", "gauge", "Open WebSockets", (double)now.open},
               {"ws_buffered_bytes", "", "gauge", "Unsent bytes of all connections", (double)now.buffered},
               {"ws_memory_bytes", "", "gauge", "Memory allocated by the loop", (double)now.memory},
               {"ws_longest_round_seconds", "", "gauge", "Longest round of the loop", (double)now.longest_ms / 1000},
               {"ws_accepted_total", "", "counter", "Accepted connections", (double)now.accepted},
               {"ws_refused_total", "{status=\"4xx\"}", "counter", "Refused requests", (double)now.refused_4xx},
               {"ws_refused_total", "{status=\"5xx\"}", "counter", NULL, (double)now.refused_5xx},
               {"ws_dropped_total", "", "counter", "Broadcasts that missed a member", (double)now.dropped},
               {"ws_received_messages_total", "", "counter", "Messages received", (double)now.messages_in},
               {"ws_sent_messages_total", "", "counter", "Messages sent", (double)now.messages_out},
               {"ws_received_bytes_total", "", "counter", "Bytes read from sockets", (double)now.bytes_in},
               {"ws_sent_bytes_total", "", "counter", "Bytes written to sockets", (double)now.bytes_out}};
    char text[3000];
    size_t size = 0;
    (void)user;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].help)
            size += (size_t)snprintf(text + size, sizeof text - size, "# HELP %s %s.\n# TYPE %s %s\n", all[i].name,
                                     all[i].help, all[i].name, all[i].type);
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s %.17g\n", all[i].name, all[i].label,
                                 all[i].value);
    }
    ws_reply(request, 200, "text/plain; version=0.0.4", text);
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 8000, .hosts = "127.0.0.1, localhost, [::1]", /* against DNS rebinding */
                               .limits = {.message = REQUEST_MAX}};
    ws_loop_config loop_config = {.trace = NULL};
    read_server_options(argc, argv, usage, NULL, &config, &loop_config);
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/rpc", &(ws_handler){.on_message = receive});
    ws_page(server, "/", "text/html; charset=utf-8", page);
    ws_http(server, "GET", "/metrics", metrics, NULL);
    ws_page(server, "/page.js", "text/javascript; charset=utf-8", page_js);
    announce(loop, server, "http");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "json_api: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
