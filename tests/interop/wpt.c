/* A server with the handlers that the web-platform-tests' folder websockets/ asks for, by their names, and the pages
   of tests/interop/wpt. What no well-behaved server does, a transport does.

       wpt FOLDER [--cert FILE --key FILE]      prints http://127.0.0.1:PORT/?https=PORT
*/
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <signal.h>
#include <stdio.h>

enum { SEVERAL_MIB = 8 << 20 };

static ws_loop *loop;

/* --- a transport that misbehaves ------------------------------------------------------------------------------- */

typedef enum misdeed { NONE, WRONG_ACCEPT, NO_HTTP, DELAYED_CLOSE, ABORTED_CLOSE, DATA_BEHIND_CLOSE, DEAF } misdeed;

typedef struct odd {
    misdeed what;
    bool asked, answered;
    uint64_t since; /* when it began to wait; 0: not yet */
} odd;

static misdeed misdeed_of(const char *head) {
    static const struct { const char *start; misdeed what; } all[] = {
        {"GET /wrong_accept_key ", WRONG_ACCEPT}, {"GET /invalid ", NO_HTTP},
        {"GET /delayed-passive-close ", DELAYED_CLOSE}, {"GET /passive-close-abort ", ABORTED_CLOSE},
        {"GET /echo_close_data ", DATA_BEHIND_CLOSE}, {"GET /sleep_10_v13 ", DEAF},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strncmp(head, all[i].start, strlen(all[i].start)) == 0)
            return all[i].what;
    return NONE;
}

/* "Not now" for so long. The socket is ready all the time, so the loop asks again at once: a nap spares the machine. */
static bool waits(odd *it, uint32_t milliseconds) {
    if (!it->since)
        it->since = ws_now(loop) + 1;
    if (ws_now(loop) + 1 - it->since >= milliseconds)
        return false;
    usleep(2000);
    return true;
}

static bool odd_open(ws_link *link, const char *host, void *user) {
    (void)host, (void)user;
    link->session = calloc(1, sizeof(odd));
    return link->session != NULL;
}

static ptrdiff_t odd_result(ssize_t done) {
    if (done > 0)
        return done;
    return done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : WS_FAILED;
}

static ptrdiff_t odd_read(ws_link *link, void *data, size_t size) {
    odd *it = (odd *)link->session;
    char head[64] = "";
    ssize_t got;
    if (it->what == DEAF && it->answered && waits(it, 10000))
        return 0;
    got = recv(link->descriptor, data, size, 0);
    if (got == 0)
        return WS_ENDED;
    if (got > 0 && !it->asked) {
        memcpy(head, data, (size_t)got < sizeof head - 1 ? (size_t)got : sizeof head - 1);
        it->what = misdeed_of(head);
        it->asked = true;
    }
    return odd_result(got);
}

static ptrdiff_t odd_send(ws_link *link, const void *data, size_t size) {
    return odd_result(send(link->descriptor, data, size, MSG_NOSIGNAL));
}

/* In place of the bytes that the library wants to send: small ones, which a new socket takes whole. */
static ptrdiff_t odd_replace(ws_link *link, const char *bytes, size_t size, size_t instead_of) {
    ptrdiff_t sent = odd_send(link, bytes, size);
    return sent == (ptrdiff_t)size ? (ptrdiff_t)instead_of : WS_FAILED;
}

static ptrdiff_t odd_answer(ws_link *link, odd *it, const void *data, size_t size) {
    char head[1000] = "", *accept;
    memcpy(head, data, size < sizeof head - 1 ? size : sizeof head - 1);
    accept = strstr(head, "Sec-WebSocket-Accept: ");
    it->answered = true;
    if (it->what == NO_HTTP)
        return odd_replace(link, "what HTTP?\r\n\r\n", 14, size);
    if (it->what != WRONG_ACCEPT || !accept)
        return odd_send(link, data, size);
    accept += strlen("Sec-WebSocket-Accept: ");
    *accept = *accept == 'x' ? 'y' : 'x';
    return odd_replace(link, head, strlen(head), size);
}

/* Whether the frames of small messages that stand here end with a close. */
static bool ends_with_close(const uint8_t *data, size_t size) {
    while (size >= 2 && (data[0] & 15) != 8 && data[1] < 126 && size > (size_t)data[1] + 2) {
        size -= (size_t)data[1] + 2;
        data += (size_t)data[1] + 2;
    }
    return size >= 2 && data[0] == 0x88;
}

static ptrdiff_t odd_write(ws_link *link, const void *data, size_t size) {
    odd *it = (odd *)link->session;
    char both[200];
    if (!it->answered && size)
        return odd_answer(link, it, data, size);
    if (it->what == NONE || !ends_with_close((const uint8_t *)data, size))
        return size ? odd_send(link, data, size) : 0;
    switch (it->what) {
    case DELAYED_CLOSE: return waits(it, 1000) ? 0 : odd_send(link, data, size);
    case ABORTED_CLOSE: return WS_FAILED;
    case DATA_BEHIND_CLOSE:
        if (size > 100)
            return WS_FAILED;
        memcpy(both, data, size);
        memcpy(both + size, "\201\7Goodbye", 9);
        return odd_replace(link, both, size + 9, size);
    default: return odd_send(link, data, size);
    }
}

static ptrdiff_t odd_shut(ws_link *link) {
    (void)shutdown(link->descriptor, SHUT_WR);
    return 1;
}

static void odd_close(ws_link *link) {
    free(link->session);
    link->session = NULL;
}

/* --- handlers --------------------------------------------------------------------------------------------------- */

/* What is to be said in on_open stands in the user until on_close. */
static void say_later(ws_request *request, ws_slice text, const char *otherwise) {
    ws_acceptance how = {0};
    char *copy = text.data ? (char *)calloc(1, text.size + 1) : strdup(otherwise);
    if (copy && text.data)
        memcpy(copy, text.data, text.size);
    how.user = copy;
    if (!copy || !ws_accept(request, &how))
        free(copy);
}

static void say(ws_conn *conn) {
    ws_send_text(conn, (const char *)ws_user(conn));
}

static void forget(ws_conn *conn, ws_close_info why) {
    (void)why;
    free(ws_user(conn));
}

static void tell_cookie(ws_request *request) {
    say_later(request, ws_request_header(request, "Cookie"), "(none)");
}

static void tell_origin(ws_request *request) {
    say_later(request, ws_request_header(request, "Origin"), "(none)");
}

static void tell_referrer(ws_request *request) {
    say_later(request, ws_request_header(request, "Referer"), "(none)");
}

static void tell_extensions(ws_request *request) {
    say_later(request, ws_request_header(request, "Sec-WebSocket-Extensions"), "(none)");
}

static void tell_query(ws_request *request) {
    say_later(request, ws_request_raw_query(request), "");
}

static void echo(ws_conn *conn, ws_message message) {
    ws_send(conn, message);
    if (message.type == WS_TEXT && strcmp((const char *)message.data, "Goodbye") == 0)
        ws_close(conn, WS_CLOSE_NORMAL, NULL);
}

static void leave_at_goodbye(ws_conn *conn, ws_message message) {
    if (message.type == WS_TEXT && strcmp((const char *)message.data, "Goodbye") == 0)
        ws_close(conn, WS_CLOSE_NORMAL, NULL);
}

static void close_at_once(ws_conn *conn) {
    ws_close(conn, WS_CLOSE_NORMAL, NULL);
}

static void judge_empty(ws_conn *conn, ws_message message) {
    ws_send_text(conn, message.size == 0 ? "pass" : "fail");
}

static void tell_protocol(ws_conn *conn) {
    ws_send_text(conn, *ws_subprotocol(conn) ? ws_subprotocol(conn) : "(none)");
}

/* The first of those that are offered, whatever it is. */
static void first_offered(ws_request *request) {
    ws_slice offered = ws_request_header(request, "Sec-WebSocket-Protocol");
    ws_acceptance how = {0};
    char name[100] = "";
    if (!offered.data)
        return;
    sscanf(offered.data, "%99[^, \t\r\n]", name);
    how.subprotocol = name;
    ws_accept(request, &how);
}

static void later(uint32_t milliseconds, ws_timer_function *function, ws_id id) {
    ws_id *copy = (ws_id *)malloc(sizeof *copy);
    if (copy)
        *copy = id;
    ws_after(loop, milliseconds, function, copy);
}

static void accept_it(ws_loop *in, void *id) {
    ws_request *request = id ? ws_kept(in, *(ws_id *)id) : NULL;
    if (request)
        ws_accept(request, NULL);
    free(id);
}

static void drop(ws_loop *in, void *id) {
    ws_drop(id ? ws_find(in, *(ws_id *)id) : NULL);
    free(id);
}

static void sleep_before(ws_request *request) {
    later(2000, accept_it, ws_keep(request, NULL, NULL));
}

static void set_cookie(ws_request *request, const char *attributes) {
    ws_slice name = ws_request_raw_query(request);
    char line[500];
    const char *lines[] = {line, NULL};
    ws_acceptance how = {0};
    how.headers = lines;
    snprintf(line, sizeof line, "Set-Cookie: ws_test_%.*s=test; Path=/%s", (int)name.size, name.data, attributes);
    ws_accept(request, &how);
}

static void set_plain_cookie(ws_request *request) {
    set_cookie(request, "");
}

static void set_http_cookie(ws_request *request) {
    set_cookie(request, "; HttpOnly");
}

static void set_secure_cookie(ws_request *request) {
    set_cookie(request, "; Secure");
}

static void set_strict_cookie(ws_request *request) {
    set_cookie(request, "; SameSite=Strict");
}

/* What a page cannot do itself: an HttpOnly cookie, or its end. */
static void answer_cookie(ws_request *request, void *user) {
    ws_slice name = ws_request_query(request, "name");
    char line[500];
    const char *lines[] = {line, "Content-Type: text/html", NULL};
    (void)user;
    snprintf(line, sizeof line, "Set-Cookie: %.*s=test; Path=/; HttpOnly", (int)name.size, name.data);
    ws_reply_data(request, 200, lines, "set", 3);
}

static void basic_auth(ws_request *request) {
    static const char *const lines[] = {"WWW-Authenticate: Basic realm=\"camelot\"", NULL};
    if (!ws_slice_is(ws_request_header(request, "Authorization"), "Basic Zm9vOmJhcg==")) /* foo:bar */
        ws_refuse(request, 401, lines, NULL);
}

/* ?code=4000&reason=because, or ?abrupt=1 */
static void remember_close(ws_request *request) {
    if (ws_request_query(request, "abrupt").data)
        say_later(request, ws_request_query(request, "abrupt"), "");
    else
        say_later(request, ws_request_raw_query(request), "");
}

static void close_as_told(ws_conn *conn) {
    unsigned code = 0;
    char reason[124] = "";
    const char *told = (const char *)ws_user(conn);
    sscanf(told, "code=%u&reason=%123s", &code, reason);
    if (strcmp(told, "1") == 0)
        later(50, drop, ws_conn_id(conn));
    else
        ws_close(conn, (uint16_t)code, code ? reason : NULL);
}

/* A message of 8 MiB, and behind it how many milliseconds it took the page to take it. */
static void send_much(ws_conn *conn) {
    static uint8_t much[SEVERAL_MIB];
    uint64_t *start = (uint64_t *)malloc(sizeof *start);
    if (start)
        *start = ws_now(loop);
    ws_set_user(conn, start);
    ws_send_text(conn, "");
    ws_send_binary(conn, much, sizeof much);
}

static void tell_time(ws_conn *conn) {
    uint64_t *start = (uint64_t *)ws_user(conn);
    if (start)
        ws_send_json(conn, "%u", (unsigned)(ws_now(loop) - *start));
    free(start);
    ws_set_user(conn, NULL);
}

/* How many there are of those that say /counted. */
static unsigned counted;

static void count(ws_conn *conn) {
    (void)conn;
    counted++;
}

static void count_down(ws_conn *conn, ws_close_info why) {
    (void)conn, (void)why;
    counted--;
}

static void tell_count(ws_conn *conn) {
    ws_send_json(conn, "%u", counted);
}

/* --- servers ---------------------------------------------------------------------------------------------------- */

static void websockets(ws_server *server) {
    static const ws_deflate_config packed = {.on = true};
    struct { const char *path; ws_handler handler; } all[] = {
        {"/echo", {.on_message = echo, .subprotocols = "echo"}},
        {"/echo_raw", {.on_message = echo}},
        {"/echo_deflate", {.on_message = echo, .deflate = packed}},
        {"/echo_context", {.on_message = echo, .deflate = {.on = true, .context = true}}},
        {"/echo_exit", {.on_message = leave_at_goodbye}},
        {"/echo_close_data", {.on_message = leave_at_goodbye}},
        {"/echo-cookie", {.on_request = tell_cookie, .on_open = say, .on_close = forget}},
        {"/echo-query", {.on_request = tell_query, .on_open = say, .on_close = forget}},
        {"/echo-query_v13", {.on_request = tell_query, .on_open = say, .on_close = forget}},
        {"/origin", {.on_request = tell_origin, .on_open = say, .on_close = forget}},
        {"/referrer", {.on_request = tell_referrer, .on_open = say, .on_close = forget}},
        {"/extensions", {.on_request = tell_extensions, .on_open = say, .on_close = forget}},
        {"/empty-message", {.on_message = judge_empty}},
        {.path = "/handshake_no_extensions"},
        {.path = "/handshake_no_protocol"},
        {"/handshake_protocol", {.subprotocols = "foobar", .deflate = packed}},
        {"/handshake_sleep_2", {.on_request = sleep_before}},
        {"/protocol", {.on_open = tell_protocol, .subprotocols = "foobar"}},
        {"/protocol_array", {.on_request = first_offered, .on_open = tell_protocol}},
        {"/set-cookie", {.on_request = set_plain_cookie}},
        {"/set-cookie_http", {.on_request = set_http_cookie}},
        {"/set-cookie-secure", {.on_request = set_secure_cookie}},
        {"/set-cookies-samesite", {.on_request = set_strict_cookie}},
        {"/basic_auth", {.on_request = basic_auth, .on_message = echo}},
        {"/simple_handshake", {.on_open = close_at_once}},
        {"/remote-close", {.on_request = remember_close, .on_open = close_as_told, .on_close = forget}},
        {"/send-backpressure", {.on_open = send_much, .on_drain = tell_time, .on_close = forget}},
        {"/count", {.on_open = tell_count}},
        {"/counted", {.on_open = count, .on_message = echo, .on_close = count_down}},
        {"/delayed-passive-close", {.on_message = echo}},
        {"/passive-close-abort", {.on_message = echo}},
        {"/sleep_10_v13", {.on_message = echo}},
        {"/wrong_accept_key", {.on_message = echo}},
        {"/invalid", {.on_message = echo}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ws_route(server, all[i].path, &all[i].handler);
}

static ws_server *serve(ws_server_config *config, const char *folder) {
    char path[1000];
    ws_server *server;
    config->origins = "*";
    config->limits.buffered = 2 * SEVERAL_MIB;
    server = ws_listen(loop, config);
    websockets(server);
    ws_http(server, "GET", "/cookie", answer_cookie, NULL);
    snprintf(path, sizeof path, "%s/windows-1252.html", folder);
    ws_page_file(server, "/windows-1252.html", "text/html; charset=windows-1252", path);
    ws_files(server, "/", folder);
    return server;
}

static void on_signal(int number) {
    (void)number;
    ws_stop(loop);
}

int main(int argc, char **argv) {
    ws_transport transport = {odd_open, odd_read, odd_write, odd_shut, odd_close, NULL, NULL};
    ws_server_config plain = {.transport = &transport}, secure = {.host = "127.0.0.1"};
    ws_server *first, *second = NULL;
    ws_error error;
    if (argc < 2)
        return 2;
    loop = ws_loop_new(NULL);
    first = serve(&plain, argv[1]);
    if (argc > 5) {
        secure.tls.cert_file = argv[3];
        secure.tls.key_file = argv[5];
        second = serve(&secure, argv[1]);
    }
    if (!ws_loop_error(loop)) {
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        printf("http://127.0.0.1:%u/?https=%u\n", ws_port(first), second ? ws_port(second) : 0);
        fflush(stdout);
    }
    error = ws_run(loop);
    if (error)
        fprintf(stderr, "wpt: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
