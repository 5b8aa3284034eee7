/* Documents of all kinds for the tests of the compressor, made from a number. */
#ifndef DEFLATE_TEXTS_H
#define DEFLATE_TEXTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_KINDS = 10 };

static const char *const text_names[TEXT_KINDS] = {"zeros", "noise", "periodic", "few letters", "copies", "JSON",
                                                   "runs", "noise and runs", "rare letters", "far copies"};

static inline uint32_t text_below(uint32_t *state, uint32_t number) {
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(*state >> 8) * number >> 24);
}

static inline void text_copies(uint32_t *state, uint8_t *out, size_t size, uint32_t furthest) {
    size_t at = 0;
    while (at < size) {
        size_t back = 1 + text_below(state, furthest), count = 3 + text_below(state, text_below(state, 8) ? 20 : 300);
        if (back > at || !text_below(state, 3)) {
            out[at++] = (uint8_t)(' ' + text_below(state, 90));
            continue;
        }
        for (; count && at < size; count--, at++)
            out[at] = out[at - back];
    }
}

static inline void text_json(uint32_t *state, uint8_t *out, size_t size) {
    char record[200];
    size_t at = 0, count;
    for (; at < size; at += count) {
        count = (size_t)sprintf(record, "{\"id\":%u,\"name\":\"user%u\",\"at\":[%u.%u,%u],\"on\":%s},",
                                text_below(state, 100000), text_below(state, 50), text_below(state, 180),
                                text_below(state, 1000), text_below(state, 90),
                                text_below(state, 2) ? "true" : "false");
        count = count < size - at ? count : size - at;
        memcpy(out + at, record, count);
    }
}

static inline void text_runs(uint32_t *state, uint8_t *out, size_t size, uint32_t noise) {
    size_t at = 0, i;
    while (at < size) {
        size_t count = 1 + text_below(state, text_below(state, 4) ? 30 : 3000);
        bool noisy = text_below(state, 100) < noise;
        uint8_t byte = (uint8_t)text_below(state, 256);
        for (i = 0; i < count && at < size; i++)
            out[at++] = noisy ? (uint8_t)text_below(state, 256) : byte;
    }
}

static inline void text_make(uint32_t *state, unsigned kind, uint8_t *out, size_t size) {
    uint32_t some = 1 + text_below(state, 7);
    size_t i;
    switch (kind) {
    case 4: text_copies(state, out, size, 1000); return;
    case 5: text_json(state, out, size); return;
    case 6: text_runs(state, out, size, 0); return;
    case 7: text_runs(state, out, size, 50); return;
    case 9: text_copies(state, out, size, 70000); return;
    default: break;
    }
    for (i = 0; i < size; i++) {
        uint32_t byte = text_below(state, 256);
        out[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? byte : kind == 2 ? 'a' + i % some : byte % (some + 1));
        if (kind == 8) /* each letter half as frequent as the one before */
            for (byte = 0; byte < 255 && text_below(state, 2); byte++)
                out[i] = (uint8_t)byte;
    }
}

#endif
