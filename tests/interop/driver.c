/* Our client against an echo server, waiting and in a loop. The last line counts.

       driver NAME URL [--ca FILE] [--proxy URL] [--subprotocols LIST] [--most BYTES]
                       [--deflate off|context]

   It offers compression without context, or as --deflate says.
*/
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <stdio.h>

enum { MEMBERS = 30, TURNS = 20, LARGEST = 4 << 20 };

static const char *name, *url;
static ws_client_config config;
static size_t most = LARGEST;
static uint8_t *pattern; /* ASCII, so that it may be text */
static int passed, failed;

static void expect(const char *what, bool good, const char *detail) {
    if (good)
        passed++;
    else
        failed++;
    if (good)
        printf("ok      %s: %s\n", name, what);
    else
        printf("FAILED  %s: %s: %s\n", name, what, detail);
    fflush(stdout);
}

static bool comes(ws_conn *conn, ws_type type, const uint8_t *data, size_t size) {
    ws_message back;
    return ws_receive(conn, &back) && back.type == type && back.size == size && memcmp(back.data, data, size) == 0;
}

static void sizes(ws_conn *conn) {
    static const size_t all[] = {0, 1, 125, 126, 127, 4000, 65535, 65536, 1 << 20, LARGEST};
    for (size_t i = 0; i < sizeof all / sizeof *all && all[i] <= most; i++)
        for (int type = WS_TEXT; type <= WS_BINARY; type++) {
            ws_message message = {pattern, all[i], (ws_type)type};
            char what[60];
            bool good = ws_send(conn, message) && comes(conn, message.type, pattern, all[i]);
            sprintf(what, "%s of %lu bytes", type == WS_TEXT ? "text" : "binary", (unsigned long)all[i]);
            expect(what, good, ws_last_error_text(conn));
        }
}

static void parts(ws_conn *conn) {
    static const char text[] = "three bytes make a \342\202\254, four a \360\237\230\200";
    size_t size = sizeof text - 1;
    bool good = true;
    for (size_t i = 0; i < size; i++)
        good = ws_send_part(conn, (ws_message){(const uint8_t *)text + i, 1, WS_TEXT}, i + 1 == size) && good;
    expect("text in fragments of a byte", good && comes(conn, WS_TEXT, (const uint8_t *)text, size),
           ws_last_error_text(conn));
    for (size_t i = 0; i < 40; i++)
        good = ws_send_part(conn, (ws_message){pattern + i * 100, 100, WS_BINARY}, i == 39) && good;
    expect("binary in 40 fragments", good && comes(conn, WS_BINARY, pattern, 4000), ws_last_error_text(conn));
}

static void order(ws_conn *conn) {
    bool good = ws_ping(conn, "are you there", 13);
    for (size_t i = 0; i < 100; i++)
        good = ws_send(conn, (ws_message){pattern, i, WS_BINARY}) && good;
    for (size_t i = 0; i < 100; i++)
        good = comes(conn, WS_BINARY, pattern, i) && good;
    expect("100 messages keep their order", good, ws_last_error_text(conn));
}

static void closing(uint16_t code) {
    ws_conn *conn = ws_connect(url, &config);
    char what[60];
    ws_close(conn, code, code ? "because" : NULL);
    sprintf(what, "close %u comes back", code);
    expect(what, ws_closed(conn).clean && ws_closed(conn).code == (code ? code : WS_CLOSE_NONE),
           ws_last_error_text(conn));
    ws_free(conn);
}

static void waiting(void) {
    ws_conn *conn = ws_connect(url, &config);
    expect("connect", ws_state(conn) == WS_OPEN && ws_status(conn) == 101, ws_last_error_text(conn));
    if (config.subprotocols)
        expect("the subprotocol", *ws_subprotocol(conn), "none");
    if (ws_state(conn) == WS_OPEN) {
        sizes(conn);
        parts(conn);
        order(conn);
    }
    ws_close(conn, WS_CLOSE_NORMAL, "bye");
    expect("close", ws_closed(conn).clean && ws_closed(conn).code == WS_CLOSE_NORMAL, ws_last_error_text(conn));
    ws_free(conn);
    closing(0);
    closing(4999);
}

/* --- in a loop -------------------------------------------------------------------------- */

static int open_members, turns, clean;
static char trouble[200]; /* of the first that failed */

static ws_message turn_message(int turn) {
    size_t size = (size_t)turn * 997 % (most < 30000 ? most : 30000);
    return (ws_message){pattern + turn, size, turn % 2 ? WS_TEXT : WS_BINARY};
}

static void next_turn(ws_conn *conn) {
    int *turn = (int *)ws_user(conn);
    if (*turn == TURNS)
        ws_close(conn, WS_CLOSE_NORMAL, "done");
    else
        ws_send(conn, turn_message(*turn));
}

static void on_message(ws_conn *conn, ws_message message) {
    int *turn = (int *)ws_user(conn);
    ws_message wanted = turn_message(*turn);
    if (message.type == wanted.type && message.size == wanted.size
        && memcmp(message.data, wanted.data, wanted.size) == 0)
        turns++;
    ++*turn;
    next_turn(conn);
}

static void member_gone(ws_conn *conn) {
    if (ws_last_error(conn) && !*trouble)
        snprintf(trouble, sizeof trouble, "%s", ws_last_error_text(conn));
    if (--open_members == 0)
        ws_stop(ws_conn_loop(conn));
}

static void on_close(ws_conn *conn, ws_close_info why) {
    clean += why.clean && why.code == WS_CLOSE_NORMAL;
    member_gone(conn);
}

static void too_late(ws_loop *loop, void *user) {
    (void)user;
    ws_stop(loop);
}

static void crowd(void) {
    static int turn[MEMBERS];
    ws_loop *loop = ws_loop_new(NULL);
    char detail[300];
    for (int i = 0; i < MEMBERS; i++) {
        ws_handler handler = {.on_open = next_turn, .on_message = on_message, .on_close = on_close,
                              .on_error = member_gone, .user = &turn[i]};
        open_members += ws_dial(loop, url, &handler, &config) ? 1 : 0;
    }
    ws_after(loop, 30000, too_late, NULL);
    ws_run(loop);
    sprintf(detail, "%d of %d echoes, %d of %d closed well; %s", turns, MEMBERS * TURNS, clean, MEMBERS,
            trouble);
    expect("30 connections in a loop", turns == MEMBERS * TURNS && clean == MEMBERS, detail);
    ws_loop_free(loop);
}

int main(int argc, char **argv) {
    config.deflate.on = true;
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ca") == 0)
            config.tls.ca_file = argv[i + 1];
        else if (strcmp(argv[i], "--proxy") == 0)
            config.proxy = argv[i + 1];
        else if (strcmp(argv[i], "--subprotocols") == 0)
            config.subprotocols = argv[i + 1];
        else if (strcmp(argv[i], "--most") == 0)
            most = (size_t)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--deflate") == 0) {
            config.deflate.on = strcmp(argv[i + 1], "off") != 0;
            config.deflate.context = strcmp(argv[i + 1], "context") == 0;
        }
    }
    pattern = (uint8_t *)malloc(LARGEST);
    if (argc < 3 || !pattern)
        return 2;
    name = argv[1];
    url = argv[2];
    config.receive_ms = 20000;
    for (size_t i = 0; i < LARGEST; i++)
        pattern[i] = (uint8_t)(' ' + (i * 7 + i / 251) % 95);
    waiting();
    crowd();
    free(pattern);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
