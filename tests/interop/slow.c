/* A server of large answers with short deadlines, for peers that read slowly but steadily.

       slow FOLDER [--cert FILE --key FILE]
*/
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <signal.h>
#include <stdio.h>

enum { SIZE = 6 << 20, DEADLINE_MS = 5000 };

static ws_loop *loop;
static uint8_t *data; /* noise: nothing of it can be compressed away */

static ws_message large(void) {
    ws_message message = {data, SIZE, WS_BINARY};
    return message;
}

static void send_and_close(ws_conn *conn) {
    ws_send(conn, large());
    ws_close(conn, WS_CLOSE_NORMAL, "that is all");
}

static void send_and_stay(ws_conn *conn) {
    ws_send(conn, large());
}

static void join_and_hear(ws_conn *conn) {
    ws_join(conn, "room");
    ws_broadcast(conn, "room", large());
    ws_leave(conn, "room");
}

static void echo(ws_conn *conn, ws_message message) {
    ws_send(conn, message);
}

static void body(ws_request *request, void *user) {
    (void)user;
    ws_reply_data(request, 200, NULL, data, SIZE);
}

static void on_signal(int number) {
    (void)number;
    ws_stop(loop);
}

static bool fill(const char *folder) {
    char path[1000];
    FILE *file;
    uint32_t noise = 1;
    bool written;
    data = (uint8_t *)malloc(SIZE);
    snprintf(path, sizeof path, "%s/large.bin", folder);
    file = data ? fopen(path, "wb") : NULL;
    if (!file)
        return false;
    for (size_t i = 0; i < SIZE; i++) {
        noise = noise * 1664525 + 1013904223;
        data[i] = (uint8_t)(noise >> 24);
    }
    written = fwrite(data, 1, SIZE, file) == SIZE;
    return fclose(file) == 0 && written;
}

int main(int argc, char **argv) {
    ws_server_config config = {.limits = {.close_ms = DEADLINE_MS, .answer_ms = DEADLINE_MS, .ping_ms = DEADLINE_MS,
                                          .pong_ms = DEADLINE_MS, .buffered = 2 * SIZE}};
    ws_server *server;
    if (argc < 2 || !fill(argv[1]))
        return 2;
    if (argc > 5) {
        config.tls.cert_file = argv[3];
        config.tls.key_file = argv[5];
    }
    signal(SIGPIPE, SIG_IGN);
    loop = ws_loop_new(NULL);
    signal(SIGTERM, on_signal);
    server = ws_listen(loop, &config);
    ws_route(server, "/close", &(ws_handler){.on_open = send_and_close});
    ws_route(server, "/stay", &(ws_handler){.on_open = send_and_stay, .on_message = echo});
    ws_route(server, "/room", &(ws_handler){.on_open = join_and_hear, .on_message = echo});
    ws_http(server, "GET", "/body", body, NULL);
    ws_files(server, "/", argv[1]);
    printf("http%s://127.0.0.1:%u/\n", argc > 5 ? "s" : "", ws_port(server));
    fflush(stdout);
    ws_run(loop);
    fputs(ws_loop_error(loop) ? ws_loop_error_text(loop) : "", stderr);
    ws_loop_free(loop);
    free(data);
    return 0;
}
