/* The engine on a microcontroller: WebSockets over a serial line, without sockets, malloc or an operating system. Every
   message goes back to its sender. To port it to a board, write the four functions board_...; tests/firmware has them
   for Cortex-M. On a host they use stdin and stdout. From the top of the tree:
    cc -Os -DWS_SMALL -DWS_NO_ALLOC -DWS_NO_NET -DWS_NO_DEFLATE -DWS_NO_CLIENT -o firmware examples/firmware.c
    socat TCP-LISTEN:9001,bind=127.0.0.1,reuseaddr,fork EXEC:./firmware   then connect to ws://127.0.0.1:9001/
   With -DWS_NO_SERVER instead of -DWS_NO_CLIENT it is a client, which sends "hello" first. */
#define WS_IMPLEMENTATION
#include "../ws.h"
#include <stdbool.h>
#include <stdint.h>

int board_read(uint8_t *to, size_t size);             /* returns how many bytes it read; negative: the line is down */
size_t board_write(const uint8_t *from, size_t size); /* returns how many bytes it sent */
bool board_random(void *user, void *to, size_t size); /* for clients: unpredictable bytes; false: it failed */
uint32_t board_milliseconds(void);                    /* since the start */
void serve(void);                                     /* the board's start-up code calls it in a loop */

static uint8_t memory[1024]; /* enough for a browser's head, and for messages of any size in chunks */
static ws_engine engine;
static const ws_engine_config config = {
#ifdef WS_NO_SERVER
    .role = WS_ROLE_CLIENT, .host = "example.com", .path = "/", .random = board_random,
#else
    .role = WS_ROLE_SERVER, .subprotocols = "echo", /* origins is NULL, so pages of other sites are refused */
#endif
    .memory = memory, .memory_size = sizeof memory, .chunks = true};

/* One connection, from its first byte to its last. */
void serve(void) {
    ws_event event;
    (void)ws_engine_init(&engine, &config);
    while (!ws_engine_done(&engine)) {
        ws_span in = ws_engine_input(&engine), out;
        int size = in.size ? board_read(in.data, in.size) : 0;
        if (size < 0)
            ws_engine_ended(&engine);
        else
            ws_engine_received(&engine, (size_t)size);
        (void)ws_engine_tick(&engine, board_milliseconds());
        while (ws_engine_next(&engine, &event)) {
            const ws_chunk *part = &event.chunk;
            if (event.type == WS_EVENT_CHUNK) /* always fits: see ws_engine_config */
                (void)ws_engine_send_part(&engine, (ws_message){part->data, part->size, part->type}, part->last);
            else if (event.type == WS_EVENT_OPEN && config.role == WS_ROLE_CLIENT)
                (void)ws_engine_send(&engine, (ws_message){(const uint8_t *)"hello", 5, WS_TEXT});
        }
        out = ws_engine_output(&engine);
        ws_engine_sent(&engine, out.size ? board_write(out.data, out.size) : 0);
    }
}

#ifndef BOARD /* a host */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int board_read(uint8_t *to, size_t size) {
    struct pollfd line = {.fd = 0, .events = POLLIN};
    int got = poll(&line, 1, 100) > 0 ? (int)read(0, to, size) : 0; /* at most 100 ms, so that deadlines are checked */
    return line.revents && got <= 0 ? -1 : got;
}
size_t board_write(const uint8_t *from, size_t size) { return fwrite(from, 1, size, stdout); }
uint32_t board_milliseconds(void) { return (uint32_t)time(NULL) * 1000; }
bool board_random(void *user, void *to, size_t size) {
    FILE *source = fopen("/dev/urandom", "rb");
    bool good = source && fread(to, 1, size, source) == size;
    return (void)user, source && fclose(source) == 0 && good;
}
int main(int argc, char **argv) {
    if (argc > 1 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))
        return puts("usage: firmware\nEchoes messages: one connection on stdin and stdout.") == EOF;
    if (argc > 1)
        return fprintf(stderr, "firmware: \"%s\" is not an option\nusage: firmware\n", argv[1]) < 0 ? 1 : 2;
    (void)setvbuf(stdout, NULL, _IONBF, 0);
    serve();
    return ws_engine_error(&engine) ? 1 : 0;
}
#endif
