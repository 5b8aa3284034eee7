/*
   A small language for frames, so that a test can write in one line what is sent. It does not depend on ws.h: the same
   text describes what a peer sends and what it must receive, in either role, over an engine or a socket.

       81"Hello"            first byte in hex, then the payload in quotes
       88<03e8>"bye"        payload in hex, then more of it in quotes
       01*100 80*20         100 bytes of sample text; a continuation frame has the next 20
       82#100               100 sample bytes of all values
       3x89"a"              a frame, three times
       !81"Hello"           masked the wrong way for its sender
       ~81"a" ^81"a"        length in 16 or 64 bits, even if it fits into fewer
       82@8000000000000000  a header with this length, in 64 bits, without payload
*/
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    uint8_t *data;
    size_t size, capacity;
} bytes;

static inline void bytes_reserve(bytes *b, size_t size) {
    if (b->data && b->capacity - b->size >= size)
        return;
    b->capacity = b->capacity + b->capacity / 2 + size + 64;
    b->data = (uint8_t *)realloc(b->data, b->capacity);
    if (!b->data)
        abort();
}

static inline void bytes_add(bytes *b, const void *data, size_t size) {
    bytes_reserve(b, size);
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

/* Removes this many bytes from the front. */
static inline void bytes_take(bytes *b, size_t size) {
    b->size -= size;
    if (b->size)
        memmove(b->data, b->data + size, b->size);
}

/* The offset of a text, at or after `from`; SIZE_MAX: not found. */
static inline size_t bytes_find(const bytes *b, const char *text, size_t from) {
    size_t size = strlen(text);
    for (; from + size <= b->size; from++)
        if (memcmp(b->data + from, text, size) == 0)
            return from;
    return SIZE_MAX;
}

static inline size_t bytes_count(const bytes *b, const char *text) {
    size_t at = bytes_find(b, text, 0), count = 0;
    for (; at != SIZE_MAX; count++)
        at = bytes_find(b, text, at + 1);
    return count;
}

static inline void bytes_add_byte(bytes *b, unsigned value) {
    uint8_t byte = (uint8_t)value;
    bytes_add(b, &byte, 1);
}

static inline void bytes_free(bytes *b) {
    free(b->data);
    memset(b, 0, sizeof *b);
}

/* --- frames --- */

typedef struct wire_frame {
    unsigned first;          /* FIN, RSV and opcode */
    int length_bits;         /* 16 or 64; 0: the shortest form */
    bool wrong_mask, bare;   /* bare: a header that announces `announced` bytes, without payload */
    uint64_t announced;
    const uint8_t *data;
    size_t size;
} wire_frame;

static inline void wire_number(bytes *out, uint64_t number, int count) {
    while (count--)
        bytes_add_byte(out, (unsigned)(number >> (8 * count)) & 255);
}

/* Appends a frame. Each masked frame has a key of its own, derived from its offset. */
static inline void wire_frame_add(bytes *out, const wire_frame *frame, bool masked) {
    uint64_t size = frame->bare ? frame->announced : frame->size;
    int bits = frame->length_bits ? frame->length_bits : size < 126 ? 7 : size < 65536 ? 16 : 64;
    unsigned mask_bit = masked ? 0x80 : 0;
    uint32_t seed = (uint32_t)out->size * 2654435761u + 0x9e3779b9u;
    uint8_t key[4];
    size_t i, at;
    bytes_add_byte(out, frame->first);
    bytes_add_byte(out, mask_bit | (bits == 7 ? (unsigned)size : bits == 16 ? 126 : 127));
    if (bits > 7)
        wire_number(out, size, bits / 8);
    for (i = 0; i < 4; i++)
        key[i] = (uint8_t)(seed >> (8 * i));
    if (masked)
        bytes_add(out, key, 4);
    at = out->size;
    bytes_add(out, frame->data, frame->bare ? 0 : frame->size);
    for (i = at; masked && i < out->size; i++)
        out->data[i] = (uint8_t)(out->data[i] ^ key[(i - at) & 3]);
}

static inline void wire_put(bytes *out, unsigned first, const void *data, size_t size, bool masked) {
    wire_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.first = first;
    frame.data = (const uint8_t *)data;
    frame.size = size;
    wire_frame_add(out, &frame, masked);
}

/* Unmasks a stream of frames. false: a frame is masked but should not be, or the reverse, or the stream ends inside
   a frame. */
static inline bool wire_plain(bytes *plain, const uint8_t *data, size_t size, bool masked) {
    size_t i = 0, k;
    while (i < size) {
        const uint8_t *key;
        size_t extended, header;
        uint64_t length;
        if (size - i < 2 || (data[i + 1] >> 7 != 0) != masked)
            return false;
        length = data[i + 1] & 127;
        extended = length < 126 ? 0 : length == 126 ? 2 : 8;
        header = 2 + extended + (masked ? 4 : 0);
        if (size - i < header)
            return false;
        for (k = 0, length = extended ? 0 : length; k < extended; k++)
            length = length << 8 | data[i + 2 + k];
        if (length > size - i - header)
            return false;
        bytes_add_byte(plain, data[i]);
        bytes_add_byte(plain, data[i + 1] & 127u);
        bytes_add(plain, data + i + 2, extended);
        key = data + i + header - 4;
        bytes_add(plain, data + i + header, (size_t)length);
        for (k = 0; masked && k < length; k++)
            plain->data[plain->size - length + k] ^= key[k & 3];
        i += header + (size_t)length;
    }
    return true;
}

/* --- the language --- */

static inline unsigned wire_hex(const char *text) {
    unsigned value = 0;
    (void)sscanf(text, "%2x", &value);
    return value;
}

/* Sample bytes depend on their offset, so that a piece in the wrong place is noticed. */
static inline void wire_sample(bytes *out, size_t from, size_t count, bool text) {
    size_t i;
    bytes_reserve(out, count);
    for (i = from; i < from + count; i++) {
        uint32_t mixed = (uint32_t)i * 2654435761u >> 20;
        out->data[out->size++] = (uint8_t)(text ? 32 + mixed % 95 : mixed & 255);
    }
}

/* Reads the payload of one frame. `at`: the offset in the message, for sample bytes. */
static inline const char *wire_payload(const char *text, bytes *payload, size_t *at) {
    while (*text && *text != ' ') {
        char kind = *text++;
        if (kind == '"') {
            for (; *text != '"'; text++)
                bytes_add_byte(payload, (unsigned char)*text);
            text++;
        } else if (kind == '<') {
            for (; *text != '>'; text += 2)
                bytes_add_byte(payload, wire_hex(text));
            text++;
        } else if (kind == '*' || kind == '#') {
            size_t count = strtoul(text, (char **)&text, 10);
            wire_sample(payload, *at, count, kind == '*');
            *at += count;
        } else {
            abort(); /* an error in a test */
        }
    }
    return text;
}

static inline const char *wire_prefix(const char *text, wire_frame *frame, size_t *times) {
    const char *x = text;
    while (*x >= '0' && *x <= '9')
        x++;
    *times = 1;
    if (*x == 'x' && x > text) {
        *times = strtoul(text, NULL, 10);
        text = x + 1;
    }
    frame->wrong_mask = *text == '!';
    frame->length_bits = *text == '~' ? 16 : *text == '^' ? 64 : 0;
    return text + (*text == '!' || *text == '~' || *text == '^');
}

/* Appends the next frame of the text, masked as its sender must mask it, and returns the rest of the text. */
static inline const char *wire_next(const char *text, bytes *out, bool masked, size_t *at) {
    wire_frame frame;
    size_t control_at;
    bytes payload = {NULL, 0, 0};
    const char *start;
    size_t times;
    while (*text == ' ')
        text++;
    memset(&frame, 0, sizeof frame);
    start = text = wire_prefix(text, &frame, &times);
    frame.first = wire_hex(text);
    while (times--) {
        if ((frame.first & 15) == 1 || (frame.first & 15) == 2)
            *at = 0;
        payload.size = control_at = 0;
        text = start + 2;
        if (*text == '@') {
            frame.bare = true;
            frame.length_bits = 64;
            frame.announced = strtoull(text + 1, (char **)&text, 16);
        } else {
            text = wire_payload(text, &payload, frame.first & 8 ? &control_at : at);
        }
        frame.data = payload.data;
        frame.size = payload.size;
        wire_frame_add(out, &frame, masked != frame.wrong_mask);
    }
    bytes_free(&payload);
    while (*text == ' ')
        text++;
    return text;
}

static inline void wire_write(bytes *out, const char *text, bool masked) {
    size_t at = 0;
    while (*text)
        text = wire_next(text, out, masked, &at);
}

/* Writes "2T 3p c" as "TTpppc". */
static inline void wire_events(bytes *out, const char *text) {
    while (*text) {
        size_t times = 1;
        if (*text >= '0' && *text <= '9')
            times = strtoul(text, (char **)&text, 10);
        for (; *text != ' ' && times; times--)
            bytes_add_byte(out, (unsigned char)*text);
        text++;
    }
}

#endif
