/* What an idle connection costs: the bytes that the loop's allocator holds more with N open
   connections than with none, divided by N; select takes N up to about 500 in one process, as
   both ends live here. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <stdio.h>

enum { CONNECTIONS = 480 };

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

int main(void) {
    ws_loop_config config;
    ws_server_config server_config;
    ws_handler handler;
    ws_loop *loop;
    ws_server *server;
    size_t before, i;
    memset(&config, 0, sizeof config);
    memset(&server_config, 0, sizeof server_config);
    memset(&handler, 0, sizeof handler);
    config.allocator.resize = counting;
    handler.on_open = on_open;
    loop = ws_loop_new(&config);
    server = ws_listen(loop, &server_config);
    if (!ws_route(server, "/", &handler))
        return 1;
    before = held;
    for (i = 0; i < CONNECTIONS; i++) {
        if (open_peer(ws_port(server)) < 0)
            return 1;
        while (opened <= i && ws_run_once(loop, 1000)) {}
    }
    printf("idle connection: %zu bytes (%d connections; struct %zu)\n", (held - before) / CONNECTIONS, CONNECTIONS,
           sizeof(ws_conn));
    ws_loop_free(loop);
    return held != 0;
}
