/* wscat: sends lines to a WebSocket and prints its messages, in a terminal or a pipe. From the top of the tree:

       cc -O2 -o wscat examples/wscat.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o wscat examples/wscat.c                # where wss:// is not needed
       ./wscat --help
       echo hello | ./wscat ws://127.0.0.1:9001/                   # needs a server: ./echo
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "input.h" /* standard input */
#include "program.h" /* options; see there for how to copy an example */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WS_NO_TLS
#define TLS_USAGE
#define TLS_ROWS(tls)
#else
#define TLS_USAGE \
    "  --ca FILE            trust the CA certificates in this PEM file instead of the system's\n" \
    "  --cert FILE, --key FILE   send the server this client certificate (PEM)\n" \
    "  --insecure           trust any certificate: anybody in between can read and change everything\n"
#define TLS_ROWS(tls) \
    {.name = "--ca", .text = &(tls).ca_file}, {.name = "--cert", .text = &(tls).cert_file}, \
    {.name = "--key", .text = &(tls).key_file}, {.name = "--insecure", .flag = &(tls).accept_any_certificate},
#endif

static const char usage[] =
    "usage: wscat URL [option...]\n"
    "Sends each input line as a text message, and prints each message that arrives as a line.\n"
    "When the input ends, it waits for further messages, then closes the connection.\n"
    "  -H 'Name: value'     send this header; may be repeated\n"
    "  --subprotocol NAME   offer this subprotocol, or several: \"chat, superchat\"\n"
    "  --origin URL         send this Origin header\n"
    "  --binary             send binary messages: one for each typed line, or one for a whole pipe or file;\n"
    "                       print the bytes of binary messages that arrive, except to a terminal\n"
    "  --deflate            offer compression (permessage-deflate)\n"
    "  --wait SECONDS       after the input ends, close when nothing has arrived for this long; \"inf\": never.\n"
    "                       Default: 1, or 0 if the input is a terminal\n"
    "  --proxy URL          tunnel through this proxy: http://user:password@host:port\n"
    TLS_USAGE
    "  --verbose            log requests, frames and errors to standard error\n"
    "Exit status: 0 after a clean close with 1000, 1001 or without a code; 1 otherwise; 2: bad usage.\n";

enum { ENOUGH_UNSENT = 262144 };

static struct {
    const char *url, *wait;
    const char **headers; /* room for one per argument and the NULL */
    ws_client_config config;
    bool binary, verbose;
    uint32_t wait_ms;
} option;

static ws_loop *loop;
static ws_conn *conn; /* NULL after it has ended */
static int status = 1;
static bool failed;    /* an error occurred on our side: the exit status is 1 even after a clean close */

static char *line; /* input since the last line break */
static size_t line_size, line_room;
static unsigned long lines;
static bool streaming;  /* a message in parts is unfinished: each read of a pipe or file is one part */
static bool ended;      /* nothing more to send */
static uint64_t heard;  /* when data last arrived, or was still being sent */

/* --- output ----------------------------------------------------------------------------- */

/* Prints a peer's text so that it cannot control the terminal: control characters become ^[ and the like, and those
   from U+0080 to U+009F, whose first byte is C2, a replacement character. */
static void show(FILE *file, const void *text, size_t size) {
    static bool after_c2; /* kept, because a chunk may end after that byte */
    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];
        if (after_c2 && byte < 0xa0)
            fputs("\357\277\275", file);
        else if (after_c2)
            fprintf(file, "\302%c", byte);
        else if (byte == 127 || (byte < ' ' && byte != '\n' && byte != '\t'))
            fprintf(file, "^%c", byte ^ 64);
        else if (byte != 0xc2)
            putc(byte, file);
        after_c2 = !after_c2 && byte == 0xc2;
    }
}

static void complain(const char *text) {
    fputs("wscat: ", stderr);
    show(stderr, text, strlen(text));
    putc('\n', stderr);
}

static void give_up(const char *why) {
    if (why)
        complain(why);
    failed = failed || why;
    ended = true;
    input_watch(loop, NULL);
    ws_close(conn, WS_CLOSE_NORMAL, NULL);
}

static void on_chunk(ws_conn *from, ws_chunk chunk) {
    static size_t size; /* of the message so far */
    bool raw = chunk.type == WS_BINARY && option.binary && !input.terminal_out;
    size = chunk.first ? chunk.size : size + chunk.size;
    heard = ws_now(ws_conn_loop(from));
    if (chunk.type == WS_TEXT && input.terminal_out)
        show(stdout, chunk.data, chunk.size);
    else if (chunk.type == WS_TEXT || raw)
        fwrite(chunk.data, 1, chunk.size, stdout);
    else if (chunk.last)
        printf("<%lu bytes>", (unsigned long)size);
    if (chunk.last && !raw)
        putchar('\n');
    if (fflush(stdout) || ferror(stdout)) /* a broken pipe is no error: its reader wants no more */
        give_up(errno == EPIPE ? NULL : strerror(errno));
}

/* --- input ------------------------------------------------------------------------------ */

static bool sent(bool taken) {
    char text[100];
    if (taken || ws_state(conn) != WS_OPEN)
        return taken;
    snprintf(text, sizeof text, "line %lu is not UTF-8; --binary sends any bytes", lines);
    give_up(ws_last_error(conn) == WS_ERROR_UTF8 ? text : ws_last_error_text(conn));
    return false;
}

static bool send_line(const char *text, size_t size) {
    ws_message message = {(const uint8_t *)text, size, option.binary ? WS_BINARY : WS_TEXT};
    lines++;
    return sent(ws_send(conn, message));
}

static void send_lines(size_t more) {
    size_t start = 0, from = line_size;
    char *end;
    line_size += more;
    while ((end = (char *)memchr(line + from, '\n', line_size - from))) {
        size_t stop = (size_t)(end - line);
        if (!send_line(line + start, stop - start))
            return;
        start = from = stop + 1;
    }
    line_size -= start;
    memmove(line, line + start, line_size);
}

static void send_part(const char *bytes, size_t size, bool last) {
    ws_message part = {(const uint8_t *)bytes, size, WS_BINARY};
    streaming = !last;
    sent(ws_send_part(conn, part, last));
}

static void close_when_quiet(ws_loop *in, void *user) {
    uint64_t quiet;
    (void)user;
    if (ws_buffered(conn))
        heard = ws_now(in);
    quiet = ws_now(in) - heard;
    if (quiet >= option.wait_ms)
        ws_close(conn, WS_CLOSE_NORMAL, NULL);
    else
        ws_after(in, option.wait_ms - (uint32_t)quiet, close_when_quiet, NULL);
}

static void end_of_input(void) {
    if (streaming)
        send_part("", 0, true);
    else if (line_size)
        send_line(line, line_size);
    if (ended)
        return;
    ended = true;
    input_watch(loop, NULL);
    heard = ws_now(loop);
    if (option.wait_ms != WS_OFF)
        close_when_quiet(loop, NULL);
}

static void on_input(void) {
    ptrdiff_t got;
    if (ws_buffered(conn) > ENOUGH_UNSENT) { /* the peer is slow: on_drain continues */
        input_watch(loop, NULL);
        return;
    }
    if (line_room - line_size < INPUT_PIECE) {
        size_t room = line_room * 2 + INPUT_PIECE;
        char *larger = room > line_room ? (char *)realloc(line, room) : NULL;
        if (!larger) {
            give_up("this line is too long for the memory of this machine");
            return;
        }
        line = larger;
        line_room = room;
    }
    got = input_read(line + line_size);
    if (got > 0 && option.binary && !input.terminal_in)
        send_part(line, (size_t)got, false);
    else if (got > 0)
        send_lines((size_t)got);
    else if (got == 0)
        end_of_input();
    else if (errno != EINTR && errno != EAGAIN)
        give_up(strerror(errno));
}

/* --- the connection --------------------------------------------------------------------- */

static void on_open(ws_conn *opened) {
    const char *subprotocol = ws_subprotocol(opened);
    if (input.terminal_in)
        fprintf(stderr, "connected%s%s; %s ends\n", *subprotocol ? " with " : "", subprotocol, INPUT_END_KEY);
    if (!input_watch(loop, on_input))
        give_up("no memory");
}

static void on_drain(ws_conn *drained) {
    (void)drained;
    if (!ended && !input_watch(loop, on_input))
        give_up("no memory");
}

static void on_close(ws_conn *closed, ws_close_info why) {
    const char *reason = why.clean ? why.reason : ws_last_error_text(closed);
    fprintf(stderr, "closed with %u%s", why.code, *reason ? ": " : "");
    show(stderr, reason, strlen(reason));
    putc('\n', stderr);
    if (why.clean && (why.code == WS_CLOSE_NORMAL || why.code == WS_CLOSE_GOING_AWAY || why.code == WS_CLOSE_NONE))
        status = failed ? 1 : 0;
    conn = NULL;
    ws_stop(loop);
}

/* The option whose file the error is about; "": the error is about no file. */
static const char *option_of(ws_error error, const char *text) {
    const char *const named[][2] = {{"--ca ", option.config.tls.ca_file}, {"--cert ", option.config.tls.cert_file},
                                    {"--key ", option.config.tls.key_file}};
    for (size_t i = 0; error == WS_ERROR_TLS && i < sizeof named / sizeof *named; i++)
        if (named[i][1] && strstr(text, named[i][1]))
            return named[i][0];
    return "";
}

static void on_error(ws_conn *refused) {
    const char *text = ws_last_error_text(refused), *body = ws_body(refused), *field = strstr(text, "tls.ca_file");
    fprintf(stderr, "wscat: %s", option_of(ws_last_error(refused), text));
    if (field) { /* ws.h names its config's field; print the option instead */
        show(stderr, text, (size_t)(field - text));
        fputs("--ca", stderr);
        text = field + strlen("tls.ca_file");
    }
    show(stderr, text, strlen(text));
    putc('\n', stderr);
    if (ws_last_error(refused) == WS_ERROR_REFUSED && *body) { /* the server's reason */
        show(stderr, body, strlen(body));
        putc('\n', stderr);
    }
    conn = NULL;
    ws_stop(loop);
}

static void interrupted(void *user) {
    (void)user;
    if (ws_state(conn) == WS_OPEN)
        ws_close(conn, WS_CLOSE_NORMAL, NULL);
    else
        ws_drop(conn);
}

static void on_signal(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends the program at once */
    ws_post(loop, interrupted, NULL);
}

/* --- arguments -------------------------------------------------------------------------- */

static uint32_t seconds(const char *text) {
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !(number >= 0))
        bad_usage(text, "is not a time for --wait: give seconds, or \"inf\"");
    return number < 4e6 ? (uint32_t)(number * 1000) : WS_OFF;
}

static void options(int argc, char **argv) {
    size_t headers = 0;
    ws_client_config *config = &option.config;
    const program_option own[] = {{.name = "URL", .text = &option.url},
                                  {.name = "-H", .text = option.headers, .count = &headers},
                                  {.name = "--subprotocol", .text = &config->subprotocols},
                                  {.name = "--origin", .text = &config->origin},
                                  {.name = "--binary", .flag = &option.binary},
                                  {.name = "--deflate", .flag = &config->deflate.on},
                                  {.name = "--wait", .text = &option.wait},
                                  {.name = "--proxy", .text = &config->proxy},
                                  TLS_ROWS(config->tls)
                                  {.name = "--verbose", .flag = &option.verbose},
                                  {.name = NULL}};
    read_options(argc, argv, usage, own);
    for (size_t i = 0; i < headers; i++)
        if (!strchr(option.headers[i], ':'))
            bad_usage(option.headers[i], "is not a header: -H needs 'Name: value'");
    if (!option.url)
        bad_usage("URL", "is needed");
    if (config->tls.key_file && !config->tls.cert_file)
        bad_usage("--key", "needs --cert beside it");
    option.wait_ms = seconds(option.wait);
}

static int run(void) {
    ws_handler handler = {.on_open = on_open, .on_chunk = on_chunk, .on_drain = on_drain,
                          .on_close = on_close, .on_error = on_error};
    ws_error error = WS_ERROR_MEMORY;
    option.config.headers = option.headers;
    option.config.limits.buffered = SIZE_MAX; /* otherwise reading would pause after a long line */
    loop = ws_loop_new(&(ws_loop_config){.max_memory = SIZE_MAX, .trace = option.verbose ? ws_trace_stderr : NULL});
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    conn = ws_dial(loop, option.url, &handler, &option.config);
    if (conn)
        error = ws_run(loop);
    if (error)
        complain(ws_error_text(error));
    input_end();
    ws_loop_free(loop);
    free(line);
    return error ? 1 : status;
}

int main(int argc, char **argv) {
    int result;
    input_start();
    option.wait = input.terminal_in ? "0" : "1"; /* a user who types Ctrl-D wants to end at once */
    option.headers = (const char **)calloc((size_t)argc + 1, sizeof *option.headers);
    if (!option.headers) {
        complain("no memory");
        return 1;
    }
    options(argc, argv);
    if (option.binary)
        input_raw();
    result = run();
    free(option.headers);
    return result;
}
