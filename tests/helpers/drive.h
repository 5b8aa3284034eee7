/*
   Drives one ws_engine: feeds it bytes in pieces of any size, logs its events, collects its output, echoes messages.
   The allocator counts, and can be made to fail. Include "../../ws.h" with WS_IMPLEMENTATION first.
*/
#ifndef DRIVE_H
#define DRIVE_H

#include "wire.h"

#define DRIVE_REQUEST \
    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define DRIVE_RESPONSE \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
#define DRIVE_MAX_STEPS 50000000u /* a test that takes more is in an endless loop */

typedef struct drive_memory {
    size_t used, peak, calls;
    size_t fail_at;   /* the number of the allocation that fails, from 1; 0: none */
    size_t fail_more; /* how many later ones fail, too */
    bool fail_after;  /* all later ones fail, too */
    bool wrong;       /* an old_size was not the size of the block */
} drive_memory;

/* Each block begins with its size, to be compared with the old_size that ws.h gives. It stands there twice, so that
   what is written before the block is noticed. */
static inline void *drive_resize(void *user, void *block, size_t old_size, size_t new_size) {
    drive_memory *memory = (drive_memory *)user;
    uint8_t *base = block ? (uint8_t *)block - 16 : NULL;
    uint64_t sizes[2] = {0, 0};
    size_t real;
    if (base)
        memcpy(sizes, base, sizeof sizes);
    real = (size_t)sizes[0];
    memory->wrong = memory->wrong || real != old_size || sizes[1] != sizes[0];
    if (!new_size) {
        free(base);
        memory->used -= real;
        return NULL;
    }
    memory->calls++;
    if (memory->fail_at && memory->calls >= memory->fail_at
        && (memory->fail_after || memory->calls <= memory->fail_at + memory->fail_more))
        return NULL;
    base = (uint8_t *)realloc(base, new_size + 16);
    if (!base)
        abort();
    sizes[0] = sizes[1] = new_size;
    memcpy(base, sizes, sizeof sizes);
    memory->used = memory->used - real + new_size;
    memory->peak = memory->used > memory->peak ? memory->used : memory->peak;
    return base + 16;
}

#ifndef WS_NO_ENGINE
typedef struct drive {
    ws_engine engine;
    drive_memory memory;
    bytes out;             /* all bytes that the engine sent */
    bytes log;             /* its events, as letters: see drive_event */
    bytes details;         /* the same events with size, hash and close code */
    uint16_t close_code;
    uint32_t random_count;
    uint32_t random_fails_at; /* 0: never */
    size_t send_step;      /* bytes to take at a time; 0: all */
    size_t received;       /* bytes of messages */
    size_t steps;
    bool silent;           /* does not echo */
    bool joins;            /* logs a message in chunks as one letter */
    bool stuck;            /* takes no output, like a peer that does not read */
    bool unzeroed;         /* a message had no zero byte after it */
    bool unsent;           /* a chunk could not be echoed */
} drive;

/* The first nonce is that of RFC 6455, whose Sec-WebSocket-Accept is known. After it, no key of four bytes repeats. */
static inline bool drive_random(void *user, void *data, size_t size) {
    drive *d = (drive *)user;
    uint8_t *out = (uint8_t *)data;
    size_t i;
    d->random_count++;
    if (d->random_fails_at && d->random_count >= d->random_fails_at)
        return false;
    if (size == 16) {
        memcpy(out, "the sample nonce", 16);
        return true;
    }
    for (i = 0; i < size; i++)
        out[i] = (uint8_t)(d->random_count * 2654435761u >> (8 * (i & 3)));
    return size == 4;
}

#ifndef WS_NO_CLIENT
static inline void drive_host(ws_engine_config *config) {
    if (!config->host)
        config->host = "server.example.com";
}
#else
static inline void drive_host(ws_engine_config *config) { (void)config; }
#endif

/* Fills in what the test's config leaves out. */
static inline bool drive_start(drive *d, ws_role role, const ws_engine_config *config) {
    ws_engine_config c;
    memset(d, 0, sizeof *d);
    memset(&c, 0, sizeof c);
    if (config)
        c = *config;
    c.role = role;
    c.allocator.resize = drive_resize;
    c.allocator.user = &d->memory;
    c.random = drive_random;
    c.random_user = d;
    drive_host(&c);
    return ws_engine_init(&d->engine, &c);
}

/* Frees everything. To check for leaks, look at d->memory.used afterwards. */
static inline void drive_free(drive *d) {
    ws_engine_free(&d->engine);
    if (d->memory.wrong) {
        (void)fprintf(stderr, "ws.h wrote before a block, or did not know its size\n");
        abort();
    }
    bytes_free(&d->out);
    bytes_free(&d->log);
    bytes_free(&d->details);
}

static inline uint64_t drive_hash(const uint8_t *data, size_t size) {
    uint64_t hash = 0xcbf29ce484222325u;
    size_t i;
    for (i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

/* r request, o open, f refused, T text, B binary, C chunk, p ping, q pong, c clean close, x unclean close. */
static inline char drive_letter(const ws_event *event) {
    switch (event->type) {
    case WS_EVENT_REQUEST: return event->message.type == WS_TEXT ? 'r' : '?';
    case WS_EVENT_OPEN: return 'o';
    case WS_EVENT_REFUSED: return 'f';
    case WS_EVENT_MESSAGE: return event->message.type == WS_TEXT ? 'T' : 'B';
    case WS_EVENT_CHUNK: return 'C';
    case WS_EVENT_PING: return event->message.type == WS_BINARY ? 'p' : '?';
    case WS_EVENT_PONG: return event->message.type == WS_BINARY ? 'q' : '?';
    case WS_EVENT_CLOSED: return event->close.clean ? 'c' : 'x';
    }
    return '?';
}

/* Echoes a chunk. */
static inline void drive_chunk(drive *d, const ws_chunk *chunk) {
    char letter = chunk->type == WS_TEXT ? 'T' : 'B';
    ws_message part;
    part.data = chunk->data;
    part.size = chunk->size;
    part.type = chunk->type;
    d->unzeroed = d->unzeroed || chunk->data[chunk->size];
    d->received += chunk->size;
    bytes_add(&d->log, d->joins ? &letter : "C", !d->joins || chunk->last ? 1 : 0);
    if (!d->silent)
        d->unsent = d->unsent || !ws_engine_send_part(&d->engine, part, chunk->last);
}

static inline void drive_event(drive *d, const ws_event *event) {
    char letter = drive_letter(event), line[96];
    const uint8_t *data = event->message.data;
    size_t size = event->message.size;
    if (event->type == WS_EVENT_CHUNK) {
        drive_chunk(d, &event->chunk);
        return;
    }
    if (event->type == WS_EVENT_CLOSED) {
        data = (const uint8_t *)event->close.reason;
        size = strlen(event->close.reason);
        d->close_code = event->close.code;
    }
    bytes_add(&d->log, &letter, 1);
    (void)snprintf(line, sizeof line, "%c %zu %016llx %u\n", letter, size,
        (unsigned long long)drive_hash(data, size),
                   (unsigned)event->close.code);
    bytes_add(&d->details, line, strlen(line));
    if (event->type == WS_EVENT_MESSAGE) {
        d->unzeroed = d->unzeroed || data[size];
        d->received += size;
        if (!d->silent)
            (void)ws_engine_send(&d->engine, event->message);
    }
}

/* Takes the output. true: there was some. */
static inline bool drive_drain(drive *d) {
    ws_span out;
    bool some = false;
    while (!d->stuck && (out = ws_engine_output(&d->engine)).size && d->steps++ < DRIVE_MAX_STEPS) {
        size_t size = d->send_step && d->send_step < out.size ? d->send_step : out.size;
        bytes_add(&d->out, out.data, size);
        ws_engine_sent(&d->engine, size);
        some = true;
    }
    return some;
}

static inline void drive_pump(drive *d) {
    ws_event event;
    bool some = true;
    while (some && d->steps < DRIVE_MAX_STEPS) {
        some = false;
        while (d->steps++ < DRIVE_MAX_STEPS && ws_engine_next(&d->engine, &event)) {
            drive_event(d, &event);
            some = true;
        }
        if (drive_drain(d))
            some = true;
    }
}

/* Feeds bytes as one read of a socket would; returns how many the engine took. */
static inline size_t drive_feed(drive *d, const void *data, size_t size) {
    const uint8_t *from = (const uint8_t *)data;
    size_t done = 0;
    while (done < size && d->steps++ < DRIVE_MAX_STEPS) {
        ws_span in = ws_engine_input(&d->engine);
        size_t step = in.size < size - done ? in.size : size - done;
        if (!step)
            break;
        memcpy(in.data, from + done, step);
        ws_engine_received(&d->engine, step);
        done += step;
        drive_pump(d);
    }
    drive_pump(d); /* what happens without input, such as a close */
    return done;
}

static inline void drive_feed_text(drive *d, const char *text) { (void)drive_feed(d, text, strlen(text)); }

/* Feeds in pieces of this size; 0: all at once. */
static inline void drive_feed_pieces(drive *d, const uint8_t *data, size_t size, size_t piece) {
    size_t i;
    for (i = 0; piece && i < size; i += piece)
        (void)drive_feed(d, data + i, piece < size - i ? piece : size - i);
    if (!piece)
        (void)drive_feed(d, data, size);
}

/* Feeds frames in the language of wire.h, masked as the engine's role requires. */
static inline void drive_feed_wire(drive *d, const char *text) {
    bytes in = {NULL, 0, 0};
    wire_write(&in, text, d->engine.env.role == WS_ROLE_SERVER);
    (void)drive_feed(d, in.data, in.size);
    bytes_free(&in);
}

/* Does the opening handshake, then empties the logs. */
static inline bool drive_open(drive *d, ws_role role, const ws_engine_config *config) {
    if (!drive_start(d, role, config))
        return false;
    drive_pump(d);
    drive_feed_text(d, role == WS_ROLE_SERVER ? DRIVE_REQUEST : DRIVE_RESPONSE);
    d->out.size = d->log.size = d->details.size = 0;
    return ws_engine_state(&d->engine) == WS_OPEN;
}

/* Whether the engine has sent exactly these frames, in the language of wire.h. */
static inline bool drive_sent(const drive *d, const char *text) {
    bytes plain = {NULL, 0, 0}, wanted = {NULL, 0, 0};
    bool same = wire_plain(&plain, d->out.data, d->out.size, d->engine.env.role == WS_ROLE_CLIENT);
    wire_write(&wanted, text, false);
    same = same && plain.size == wanted.size
    && (!plain.size || memcmp(plain.data, wanted.data, plain.size) == 0);
    bytes_free(&plain);
    bytes_free(&wanted);
    return same;
}

static inline bool drive_logged(const drive *d, const char *letters) {
    return d->log.size == strlen(letters) && (!d->log.size || memcmp(d->log.data, letters, d->log.size) == 0);
}
#endif /* WS_NO_ENGINE */

#endif
