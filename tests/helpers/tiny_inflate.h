/* A small, slow, strict inflater (RFC 1951) for tests of the compressor. It refuses incomplete codes, a block marked
   as the last, and distances beyond the window. */
#ifndef TINY_INFLATE_H
#define TINY_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct tiny_inflate {
    const uint8_t *in;
    size_t bit, bits; /* bits read, and all bits */
    uint8_t *out;     /* the whole output; earlier output is the history */
    size_t size, capacity, window;
    bool bad;
    unsigned kinds[3]; /* the numbers of stored, fixed and dynamic blocks */
    size_t furthest;   /* the largest distance */
    size_t oldest;     /* the lowest offset in `out` that was copied from */
} tiny_inflate;

static inline unsigned tiny_bits(tiny_inflate *z, unsigned count) {
    unsigned value = 0, i;
    z->bad = z->bad || z->bits - z->bit < count;
    for (i = 0; i < count && !z->bad; i++, z->bit++)
        value |= (unsigned)(z->in[z->bit / 8] >> z->bit % 8 & 1) << i;
    return value;
}

/* A canonical code: its symbols ordered by length, and in their own order within a length. */
typedef struct tiny_code {
    unsigned counts[16], symbols[288];
} tiny_code;

/* false: the code is incomplete. */
static inline bool tiny_code_make(tiny_code *code, const uint8_t *lengths, unsigned symbols) {
    unsigned length, i, place = 0, sum = 0;
    memset(code, 0, sizeof *code);
    for (length = 1; length <= 15; length++)
        for (i = 0; i < symbols; i++)
            if (lengths[i] == length) {
                code->symbols[place++] = i;
                code->counts[length]++;
                sum += 32768u >> length;
            }
    return sum == 32768;
}

static inline unsigned tiny_symbol(tiny_inflate *z, const tiny_code *code) {
    unsigned value = 0, first = 0, place = 0, length; /* first: the lowest code of this length */
    for (length = 1; length <= 15; length++) {
        value = value * 2 + tiny_bits(z, 1);
        if (value - first < code->counts[length])
            return code->symbols[place + value - first];
        place += code->counts[length];
        first = (first + code->counts[length]) * 2;
    }
    z->bad = true;
    return 0;
}

static inline void tiny_put(tiny_inflate *z, unsigned byte) {
    z->bad = z->bad || z->size == z->capacity;
    if (!z->bad)
        z->out[z->size++] = (uint8_t)byte;
}

static inline void tiny_copy(tiny_inflate *z, unsigned length, size_t distance) {
    z->bad = z->bad || distance > z->window || distance > z->size;
    z->furthest = !z->bad && distance > z->furthest ? distance : z->furthest;
    z->oldest = !z->bad && z->size - distance < z->oldest ? z->size - distance : z->oldest;
    while (length-- && !z->bad)
        tiny_put(z, z->out[z->size - distance]);
}

static inline void tiny_codes(tiny_inflate *z, const uint8_t *literals, const uint8_t *distances) {
    tiny_code literal_code, distance_code;
    z->bad = !tiny_code_make(&literal_code, literals, 288) || !tiny_code_make(&distance_code, distances, 32) || z->bad;
    while (!z->bad) {
        unsigned symbol = tiny_symbol(z, &literal_code), length, extra, distance;
        if (symbol == 256)
            return;
        if (symbol < 256) {
            tiny_put(z, symbol);
            continue;
        }
        extra = symbol < 265 || symbol == 285 ? 0 : (symbol - 261) / 4;
        length = symbol == 285 ? 258 : symbol < 265 ? symbol - 254 : ((symbol - 261) % 4 + 4) * (1u << extra) + 3;
        length += tiny_bits(z, extra);
        symbol = tiny_symbol(z, &distance_code);
        extra = symbol < 4 ? 0 : symbol / 2 - 1;
        distance = symbol < 4 ? symbol + 1 : (symbol % 2 + 2) * (1u << extra) + 1;
        z->bad = z->bad || symbol > 29;
        tiny_copy(z, length, distance + tiny_bits(z, extra));
    }
}

static inline void tiny_dynamic(tiny_inflate *z) {
    static const uint8_t order[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t all[320 + 138] = {0}, literals[288] = {0}, distances[32] = {0}, orders[19] = {0};
    tiny_code code;
    unsigned literal = 257 + tiny_bits(z, 5), distance = 1 + tiny_bits(z, 5), count = 4 + tiny_bits(z, 4), i, at = 0;
    for (i = 0; i < count; i++)
        orders[order[i]] = (uint8_t)tiny_bits(z, 3);
    z->bad = z->bad || literal > 286 || distance > 30 || !tiny_code_make(&code, orders, 19);
    while (at < literal + distance && !z->bad) {
        unsigned symbol = tiny_symbol(z, &code), repeated = symbol == 16 && at ? all[at - 1] : 0;
        z->bad = z->bad || (symbol == 16 && !at);
        count = symbol < 16 ? 1 : symbol == 16 ? 3 + tiny_bits(z, 2) : symbol == 17 ? 3 + tiny_bits(z, 3)
                                                                                    : 11 + tiny_bits(z, 7);
        while (count--)
            all[at++] = (uint8_t)(symbol < 16 ? symbol : repeated);
    }
    z->bad = z->bad || at != literal + distance;
    memcpy(literals, all, literal);
    memcpy(distances, all + literal, distance);
    z->bad = z->bad || !literals[256];
    tiny_codes(z, literals, distances);
}

static inline void tiny_stored(tiny_inflate *z) {
    unsigned size;
    z->bad = z->bad || tiny_bits(z, (unsigned)(0 - z->bit) & 7);
    size = tiny_bits(z, 16);
    z->bad = z->bad || tiny_bits(z, 16) != (size ^ 0xffff);
    while (size-- && !z->bad)
        tiny_put(z, tiny_bits(z, 8));
}

static inline void tiny_fixed(tiny_inflate *z) {
    uint8_t literals[288], distances[32];
    memset(literals, 8, 288);
    memset(literals + 144, 9, 112);
    memset(literals + 256, 7, 24);
    memset(distances, 5, 32);
    tiny_codes(z, literals, distances);
}

/* Reads whole blocks. false: they are malformed, or end inside a block. */
static inline bool tiny_inflate_run(tiny_inflate *z, const uint8_t *in, size_t size) {
    z->in = in;
    z->bit = 0;
    z->bits = size * 8;
    while (z->bit < z->bits && !z->bad) {
        unsigned last = tiny_bits(z, 1), kind = tiny_bits(z, 2);
        z->bad = z->bad || last || kind == 3;
        if (!z->bad)
            z->kinds[kind]++;
        if (!z->bad)
            kind == 0 ? tiny_stored(z) : kind == 1 ? tiny_fixed(z) : tiny_dynamic(z);
    }
    return !z->bad;
}

#endif
