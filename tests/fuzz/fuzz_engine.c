/* libFuzzer target: hostile bytes for an engine of either role, in pieces, with sends, closes, pings
   and ticks in between. The first byte chooses role, memory and whether to compress; then how, in a
   byte of its own; then come commands. What must hold is checked here; the sanitizers see the rest. */
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#define HOLDS(condition) ((condition) ? (void)0 : abort())

static bool fixed_random(void *user, void *data, size_t size) {
    (void)user;
    memset(data, 0x5a, size);
    return true;
}

static void act(ws_engine *engine, uint8_t command, const ws_event *event) {
    switch (command & 15) {
    case 0: (void)ws_engine_close(engine, (uint16_t)(command * 40), "bye"); break;
    case 1: (void)ws_engine_ping(engine, "ping", 4); break;
    case 2: (void)ws_engine_accept(engine); break;
    case 3: (void)ws_engine_respond(engine, 200, "text/plain", "body"); break;
    case 4: (void)ws_engine_send_part(engine, event->message, (command & 16) != 0); break;
    case 5: (void)ws_engine_tick(engine, (uint64_t)command * 200); break;
    default: (void)ws_engine_send(engine, event->message); break;
    }
}

/* Takes the events that there are; returns whether the closing was among them. */
static bool take_events(ws_engine *engine, uint8_t command, bool closed) {
    ws_event event;
    while (ws_engine_next(engine, &event)) {
        HOLDS(!closed); /* nothing comes behind it */
        if (event.type == WS_EVENT_MESSAGE) {
            HOLDS(event.message.data[event.message.size] == 0);
            HOLDS(event.message.size <= engine->env.limits.message);
            HOLDS(event.message.type == WS_BINARY || wsi_utf8_valid(event.message.data, event.message.size));
        }
        closed = event.type == WS_EVENT_CLOSED;
        act(engine, command, &event);
    }
    return closed;
}

static ws_deflate_config deflate_of(uint8_t choice) {
    static const int8_t levels[] = {1, 6, 9, -1};
    ws_deflate_config config;
    memset(&config, 0, sizeof config);
    config.on = true;
    config.window_bits = (uint8_t)(8 + (choice & 7));
    config.context = (choice & 8) != 0;
    config.level = levels[choice >> 4 & 3];
    config.threshold = choice & 64 ? 1 : 0;
    return config;
}

/* Past the handshake, where the fuzzer would be long in coming. */
static void open_now(ws_engine *engine, bool one_way) {
    const ws_deflate_config *deflate = engine->env.deflate; /* NULL with memory of its own */
    wsi_agreed *agreed = &engine->env.agreed;
    engine->core.state = WSI_OPEN;
    engine->opened = true;
    if (!deflate)
        return;
    agreed->on = true;
    agreed->keep_out = deflate->context;
    agreed->keep_in = deflate->context && !one_way;
    agreed->in_bits = agreed->out_bits = deflate->window_bits;
    HOLDS(wsi_permessage_extend(&engine->core, deflate));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t memory[4096];
    ws_engine_config config;
    ws_deflate_config deflate;
    ws_engine engine;
    bool closed = false, one_way = false, opened = size && data[0] & 8;
    if (size < 2)
        return 0;
    memset(&config, 0, sizeof config);
    config.role = data[0] & 1 ? WS_ROLE_CLIENT : WS_ROLE_SERVER;
    config.random = fixed_random;
    config.host = "host";
    config.subprotocols = "chat, superchat";
    config.limits.message = data[0] & 2 ? 300 : 0;
    config.limits.buffered = data[0] & 2 ? 1000 : 0;
    config.memory = data[0] & 4 ? memory : NULL;
    config.memory_size = sizeof memory;
    if (data[0] & 16) {
        deflate = deflate_of(data[1]);
        one_way = (data[1] & 128) != 0;
        config.deflate = &deflate;
        config.limits.message = config.limits.message ? config.limits.message : 100000; /* what a few bytes become */
        data++, size--;
    }
    HOLDS(ws_engine_init(&engine, &config));
    if (opened)
        open_now(&engine, one_way);
    for (data++, size--; size > 1;) {
        uint8_t command = data[0];
        ws_span in = ws_engine_input(&engine), out;
        size_t piece = data[1] < size - 2 ? data[1] : size - 2;
        piece = piece < in.size ? piece : in.size;
        if (piece)
            memcpy(in.data, data + 2, piece);
        ws_engine_received(&engine, piece);
        data += 2 + piece;
        size -= 2 + piece;
        closed = take_events(&engine, command, closed);
        out = ws_engine_output(&engine);
        ws_engine_sent(&engine, command & 32 ? out.size : out.size / 2);
    }
    ws_engine_ended(&engine);
    (void)take_events(&engine, 255, closed);
    ws_engine_free(&engine);
    HOLDS(engine.memory.used == 0 || engine.fixed);
    return 0;
}
