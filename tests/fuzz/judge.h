/*
   Reads one direction of a WebSocket, and knows nothing of the library: frames by RFC 6455, messages inflated by zlib.
   What is wrong is told, and what came is kept as a list of messages: their type, size and hash. Include it behind
   network.h, whose bytes and HOLDS it uses.
*/
#ifndef JUDGE_H
#define JUDGE_H

#include <zlib.h>

typedef struct judge_message {
    unsigned type; /* 1 text, 2 binary */
    size_t size;
    uint64_t hash;
} judge_message;

typedef struct judge_list {
    judge_message *all;
    size_t count, capacity, taken;
} judge_list;

enum { JUDGE_MOST = 1 << 20 }; /* a message beyond is not followed any more */

typedef struct judge {
    bool masked;                /* frames must be */
    bool deflate, context;      /* as agreed */
    int bits;
    size_t at;                  /* so much of the stream was read */
    const char *wrong;          /* NULL: nothing */
    bool lost;                  /* a message was too large to follow */
    bool closed;                /* a close frame came */
    unsigned code;
    unsigned type;              /* of the message that has not ended; 0: none */
    bool compressed;
    bytes message;
    bytes plain;
    judge_list list;
    bool inflating;
    z_stream zlib;
    void (*on_message)(struct judge *j, const uint8_t *data, size_t size);
    void *user;
} judge;

static inline uint64_t judge_hash(const void *data, size_t size, uint64_t hash) {
    const uint8_t *from = (const uint8_t *)data;
    hash = hash ? hash : 14695981039346656037u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ from[i]) * 1099511628211u;
    return hash;
}

static inline void judge_add(judge_list *list, judge_message message) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        list->all = (judge_message *)realloc(list->all, list->capacity * sizeof *list->all);
        HOLDS(list->all);
    }
    list->all[list->count++] = message;
}

static inline void judge_free(judge *j) {
    bytes_free(&j->message);
    bytes_free(&j->plain);
    free(j->list.all);
    if (j->inflating)
        (void)inflateEnd(&j->zlib);
    memset(j, 0, sizeof *j);
}

/* UTF-8, slowly: by value, not by table. */
static inline bool judge_utf8(const uint8_t *text, size_t size) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < size;) {
        unsigned first = text[i++];
        unsigned more = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : first >> 3 == 30 ? 3 : 9;
        uint32_t value = more ? first & (0x3fu >> more) : first;
        if (more == 9 || more > size - i)
            return false;
        for (unsigned k = 0; k < more; k++, i++) {
            if (text[i] >> 6 != 2)
                return false;
            value = value << 6 | (text[i] & 63);
        }
        if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return false;
    }
    return true;
}

/* Inflates j->message into j->plain. false: it is not DEFLATE. */
static inline bool judge_inflate(judge *j) {
    static uint8_t buffer[16384];
    static const uint8_t tail[] = {0, 0, 0xff, 0xff};
    int result = Z_OK;
    j->plain.size = 0;
    if (!j->inflating) {
        memset(&j->zlib, 0, sizeof j->zlib);
        HOLDS(inflateInit2(&j->zlib, -j->bits) == Z_OK);
        j->inflating = true;
    } else if (!j->context) {
        HOLDS(inflateReset(&j->zlib) == Z_OK);
    }
    bytes_add(&j->message, tail, sizeof tail);
    j->zlib.next_in = j->message.data;
    j->zlib.avail_in = (uInt)j->message.size;
    do {
        j->zlib.next_out = buffer;
        j->zlib.avail_out = sizeof buffer;
        result = inflate(&j->zlib, Z_SYNC_FLUSH);
        bytes_add(&j->plain, buffer, sizeof buffer - j->zlib.avail_out);
        j->lost = j->lost || j->plain.size > JUDGE_MOST;
        if (result == Z_STREAM_END) /* a last block: the next begins anew (RFC 7692 7.2.3.4) */
            HOLDS(inflateReset(&j->zlib) == Z_OK);
    } while (!j->lost && (result == Z_STREAM_END ? j->zlib.avail_in > 0 : result == Z_OK && !j->zlib.avail_out));
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
}

/* Compresses a message by itself, for a window of 512 bytes; returns the size. level: its last decimal digit; its high
   bits choose zlib's strategy. */
static inline size_t judge_deflate(const uint8_t *data, size_t size, uint8_t *out, size_t room, unsigned level) {
    z_stream zlib;
    memset(&zlib, 0, sizeof zlib);
    HOLDS(deflateInit2(&zlib, (int)(level % 10), Z_DEFLATED, -9, 8, (int)(level >> 4) % 5) == Z_OK);
    zlib.next_in = (Bytef *)(uintptr_t)data;
    zlib.avail_in = (uInt)size;
    zlib.next_out = out;
    zlib.avail_out = (uInt)room;
    HOLDS(deflate(&zlib, Z_SYNC_FLUSH) == Z_OK || !size);
    (void)deflateEnd(&zlib);
    return zlib.total_out >= 4 ? zlib.total_out - 4 : 0;
}

static inline void judge_whole(judge *j) {
    const bytes *from = j->compressed ? &j->plain : &j->message;
    judge_message message;
    if (j->compressed && !judge_inflate(j)) {
        j->wrong = "no DEFLATE";
        return;
    }
    if (j->lost)
        return;
    if (j->type == 1 && !judge_utf8(from->data, from->size)) {
        j->wrong = "text that is not UTF-8";
        return;
    }
    message.type = j->type;
    message.size = from->size;
    message.hash = judge_hash(from->data, from->size, 0);
    judge_add(&j->list, message);
    if (j->on_message)
        j->on_message(j, from->data, from->size);
    j->type = 0;
}

static inline const char *judge_close(judge *j, const uint8_t *data, size_t size) {
    unsigned code = size > 1 ? (unsigned)data[0] << 8 | data[1] : 1005;
    j->closed = true;
    j->code = code;
    if (size == 1)
        return "a close frame of one byte";
    if (size && (code < 1000 || code > 4999 || (code > 1014 && code < 3000) || code == 1004 || code == 1005
                 || code == 1006))
        return "a close code that must not be sent";
    return size > 2 && !judge_utf8(data + 2, size - 2) ? "a reason that is not UTF-8" : NULL;
}

static inline const char *judge_frame(judge *j, unsigned first, const uint8_t *data, size_t size) {
    unsigned opcode = first & 15;
    if (opcode >= 8)
        return opcode == 8 ? judge_close(j, data, size) : NULL;
    if ((opcode == 0) != (j->type != 0))
        return "fragments out of order";
    if (opcode) {
        j->type = opcode;
        j->compressed = first >> 6 & 1;
        j->message.size = 0;
    }
    bytes_add(&j->message, data, size);
    if (first & 0x80)
        judge_whole(j);
    return j->wrong;
}

static inline const char *judge_header(const judge *j, unsigned first, unsigned second, uint64_t size) {
    unsigned opcode = first & 15, length = second & 127;
    if (second >> 7 != (unsigned)j->masked)
        return "masked, or not masked";
    if (first & 0x30 || (first & 0x40 && (!j->deflate || opcode == 0 || opcode >= 8)))
        return "a reserved bit";
    if ((opcode > 2 && opcode < 8) || opcode > 10)
        return "an unknown opcode";
    if (opcode >= 8 && (length > 125 || !(first & 0x80)))
        return "a control frame that is long or in parts";
    if ((length == 126 && size < 126) || (length == 127 && (size < 65536 || size >> 63)))
        return "a length that is not in its shortest form";
    return j->closed ? "a frame behind the close frame" : NULL;
}

/* Reads one frame. false: it is not whole, or wrong. */
static inline bool judge_next(judge *j, const uint8_t *stream, size_t size) {
    const uint8_t *data = stream + j->at;
    uint8_t *plain;
    size_t left = size - j->at, extended, header, k;
    uint64_t length;
    if (j->wrong || j->lost || left < 2)
        return false;
    length = data[1] & 127;
    extended = length < 126 ? 0 : length == 126 ? 2 : 8;
    header = 2 + extended + (data[1] & 0x80 ? 4 : 0);
    if (left < header)
        return false;
    for (k = 0, length = extended ? 0 : length; k < extended; k++)
        length = length << 8 | data[2 + k];
    j->wrong = judge_header(j, data[0], data[1], length);
    if (j->wrong || length > left - header)
        return false;
    plain = (uint8_t *)malloc((size_t)length + 1);
    HOLDS(plain);
    for (k = 0; k < length; k++)
        plain[k] = (uint8_t)(data[header + k] ^ (data[1] & 0x80 ? data[header - 4 + (k & 3)] : 0));
    j->wrong = judge_frame(j, data[0], plain, (size_t)length);
    free(plain);
    j->at += header + (size_t)length;
    return !j->wrong;
}

static inline void judge_read(judge *j, const uint8_t *stream, size_t size) {
    while (judge_next(j, stream, size)) {}
}

/* The value of a header in a head, in any case; NULL: there is none. It ends with a CR. */
static inline const char *judge_header_in(const char *head, const char *name) {
    size_t size = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
        const char *value = line + 2 + size;
        if (strncasecmp(line + 2, name, size) != 0 || *value != ':')
            continue;
        for (value++; *value == ' '; value++) {}
        return value;
    }
    return NULL;
}

/* Whether a head's line holds the text. */
static inline bool judge_line_has(const char *value, const char *text) {
    const char *found = value ? strstr(value, text) : NULL;
    return found && found < strchr(value, '\r');
}

/* What an answer's Sec-WebSocket-Extensions agrees on, for the stream of this role. */
static inline void judge_agree(judge *j, const char *head, bool of_server) {
    const char *value = judge_header_in(head, "Sec-WebSocket-Extensions"), *bits;
    const char *window = of_server ? "server_max_window_bits=" : "client_max_window_bits=";
    j->bits = 15;
    if (!judge_line_has(value, "permessage-deflate"))
        return;
    j->deflate = true;
    j->context = !judge_line_has(value, of_server ? "server_no_context_takeover" : "client_no_context_takeover");
    if (judge_line_has(value, window)) {
        bits = strstr(value, window) + strlen(window);
        j->bits = atoi(*bits == '"' ? bits + 1 : bits);
    }
    HOLDS(j->bits >= 8 && j->bits <= 15);
}

#endif
