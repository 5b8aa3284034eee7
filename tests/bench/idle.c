/* What an idle connection costs: the bytes that the loop's allocator holds more with N open connections than with
   none, divided by N: idle [N]; 10,000 unless told. The peers live in a process of their own. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

static size_t held;

static void *counting(void *user, void *block, size_t old_size, size_t new_size) {
    void *moved = new_size ? realloc(block, new_size) : NULL;
    (void)user;
    if (!new_size)
        free(block);
    if (moved || !new_size)
        held = held - old_size + new_size;
    return moved;
}

static size_t opened;

static void on_open(ws_conn *conn) {
    (void)conn;
    opened++;
}

static int open_peer(uint16_t port) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in address;
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0
        || send(descriptor, request, sizeof request - 1, 0) < 0)
        return -1;
    return descriptor;
}

/* Opens them, and holds them until the pipe ends. */
static void be_peers(uint16_t port, size_t count, int pipe_end) {
    char byte;
    size_t i;
    for (i = 0; i < count; i++)
        if (open_peer(port) < 0)
            _exit(1);
    (void)!read(pipe_end, &byte, 1);
    _exit(0);
}

int main(int argc, char **argv) {
    ws_loop_config config;
    ws_server_config server_config;
    ws_handler handler;
    struct rlimit files;
    ws_loop *loop;
    ws_server *server;
    size_t before, count = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
    int ends[2];
    memset(&config, 0, sizeof config);
    memset(&server_config, 0, sizeof server_config);
    memset(&handler, 0, sizeof handler);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    config.allocator.resize = counting;
    handler.on_open = on_open;
    loop = ws_loop_new(&config);
    server = ws_listen(loop, &server_config);
    if (!ws_route(server, "/", &handler) || !count || pipe(ends) != 0)
        return 1;
    before = held;
    if (fork() == 0) {
        (void)close(ends[1]);
        be_peers(ws_port(server), count, ends[0]);
    }
    while (opened < count && ws_run_once(loop, 10000)) {}
    printf("idle connection: %zu bytes (%zu connections; struct %zu)\n", (held - before) / count, opened,
           sizeof(ws_conn));
    (void)close(ends[1]);
    (void)wait(NULL);
    ws_loop_free(loop);
    return held != 0 || opened != count;
}
