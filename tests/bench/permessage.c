/* Instructions of a server's engine for one echo of 1 KiB of JSON with compression: those of the run of both ends,
   less those of the client's alone, divided by the messages. callgrind counts them:

       cc -O2 -o permessage tests/bench/permessage.c
       for end in client both; do valgrind --tool=callgrind --callgrind-out-file=/dev/null ./permessage $end 2000; done

   permessage client|both MESSAGES [context|alone] [LEVEL]   prints the echoes' bytes on the wire to those of the text
*/
#define WS_NO_NET
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <stdio.h>

enum { SIZE = 1024 };

static uint32_t seed = 1;

static unsigned number(unsigned below) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* Records as an API sends them. */
static void document(char *out) {
    size_t at = 0;
    while (at < SIZE) {
        static const char *const names[] = {"Ann", "Bob", "Carla", "Dieter", "Eve", "Felix"};
        char record[200];
        int size = snprintf(record, sizeof record,
                            "{\"id\":%u,\"user\":{\"name\":\"%s\",\"mail\":\"%s%u@example.com\"},\"active\":%s,"
                            "\"score\":%u.%u,"
                            "\"tags\":[\"new\",\"t%u\"]},", number(100000), names[number(6)], names[number(6)],
                            number(100),
                            number(2) ? "true" : "false", number(100), number(10), number(20));
        size_t take = (size_t)size < SIZE - at ? (size_t)size : SIZE - at;
        memcpy(out + at, record, take);
        at += take;
    }
}

static bool any_random(void *user, void *data, size_t size) {
    (void)user;
    memset(data, 7, size);
    return true;
}

/* Moves what one end has for the other. Returns how much. */
static size_t carry(ws_engine *from, ws_engine *to) {
    ws_span out = ws_engine_output(from), in = ws_engine_input(to);
    size_t size = out.size < in.size ? out.size : in.size;
    if (size)
        memcpy(in.data, out.data, size);
    ws_engine_received(to, size);
    ws_engine_sent(from, size);
    return size;
}

int main(int argc, char **argv) {
    static ws_engine client, server;
    static char text[SIZE];
    bool both = argc > 1 && strcmp(argv[1], "both") == 0;
    long messages = argc > 2 ? strtol(argv[2], NULL, 10) : 1000, i;
    ws_deflate_config deflate = {.on = true, .context = argc < 4 || strcmp(argv[3], "context") == 0,
                                 .window_bits = 15, .level = (int8_t)(argc > 4 ? atoi(argv[4]) : 0)};
    ws_engine_config config = {.random = any_random, .host = "a", .deflate = &deflate};
    ws_event event;
    size_t echoed = 0;
    config.role = WS_ROLE_SERVER;
    if (!ws_engine_init(&server, &config))
        return 1;
    config.role = WS_ROLE_CLIENT;
    if (!ws_engine_init(&client, &config))
        return 1;
    while (ws_engine_state(&client) == WS_CONNECTING && carry(&client, &server) + 1) {
        while (ws_engine_next(&server, &event)) {}
        (void)carry(&server, &client);
        while (ws_engine_next(&client, &event)) {}
    }
    for (i = 0; i < messages; i++) {
        ws_message message = {(const uint8_t *)text, SIZE, WS_TEXT};
        document(text);
        if (!ws_engine_send(&client, message))
            return 1;
        while (both && carry(&client, &server))
            while (ws_engine_next(&server, &event))
                if (event.type == WS_EVENT_MESSAGE && !ws_engine_send(&server, event.message))
                    return 1;
        echoed += ws_engine_output(&server).size;
        ws_engine_sent(&server, ws_engine_output(&server).size);
        ws_engine_sent(&client, ws_engine_output(&client).size);
    }
    printf("%.3f of the text on the wire\n", (double)echoed / ((double)messages * SIZE));
    return 0;
}
