/* INFLATE: streams written by hand, every kind of invalid stream, cuts, limits, the window.
   test_inflate_zlib.c reads what zlib writes. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"

#include <stdlib.h>

enum { ROOM = 70000 };

static wsi_inflate inflate_state;

/* The stream to decompress, and the size of its steps; then the result. */
typedef struct job {
    const uint8_t *in;
    size_t in_size, in_step, out_step, limit, window; /* steps: bytes given at a time; 0: all */
    const uint8_t *history;
    size_t history_size;
    uint8_t out[ROOM];
    size_t out_size, in_left;
    wsi_inflate_result result;
    bool ended;
} job;

/* A block of exactly this size that begins with these bytes. */
static uint8_t *block(const uint8_t *data, size_t data_size, size_t size) {
    uint8_t *made = (uint8_t *)malloc(size ? size : 1);
    if (!made)
        abort();
    if (data_size)
        memcpy(made, data, data_size);
    return made;
}

/* Input and output lie in blocks of exactly their size, so that a sanitizer sees each access beyond them. They
   move with each call. Continues after a final block while there is input. */
static void run(job *j) {
    uint8_t *out = block(NULL, 0, 0);
    wsi_inflate_io io;
    size_t at = 0;
    memset(&io, 0, sizeof io);
    io.history = j->history;
    io.history_size = j->history_size;
    io.window = j->window ? j->window : 32768;
    io.out_capacity = 0;
    wsi_inflate_start(&inflate_state);
    for (;;) {
        size_t part = j->in_step && j->in_step < j->in_size - at ? j->in_step : j->in_size - at;
        size_t left = j->limit - io.out_size, room = j->out_step && j->out_step < left ? j->out_step : left;
        uint8_t *in = block(j->in + at, part, part), *moved = block(out, io.out_size, io.out_size + room);
        free(out);
        io.out = out = moved;
        io.out_capacity = io.out_size + room;
        io.in = in;
        io.in_size = part;
        j->result = wsi_inflate_run(&inflate_state, &io);
        CHECK(io.in == in + (part - io.in_size));
        at += part - io.in_size;
        free(in);
        if (j->result == WSI_INFLATE_BAD || (j->result == WSI_INFLATE_OUTPUT && io.out_size == j->limit))
            break;
        if (j->result == WSI_INFLATE_INPUT)
            CHECK_EQ(io.in_size, 0);
        if (j->result == WSI_INFLATE_OUTPUT)
            CHECK_EQ(io.out_size, io.out_capacity);
        if (at == j->in_size && j->result != WSI_INFLATE_OUTPUT)
            break;
    }
    if (io.out_size)
        memcpy(j->out, out, io.out_size);
    free(out);
    j->out_size = io.out_size;
    j->in_left = j->in_size - at;
    j->ended = wsi_inflate_ended(&inflate_state);
}

static job now;

static void begin(const void *in, size_t size) {
    memset(&now, 0, sizeof now);
    now.in = (const uint8_t *)in;
    now.in_size = size;
    now.limit = ROOM;
}

/* Decompresses at once, and with each pair of small steps. The result must always be the same. */
static void gives(const void *in, size_t size, const void *text, size_t text_size, wsi_inflate_result result) {
    size_t in_step, out_step;
    for (in_step = 0; in_step <= 3; in_step++)
        for (out_step = 0; out_step <= 3; out_step++) {
            begin(in, size);
            now.in_step = in_step;
            now.out_step = out_step;
            run(&now);
            CHECK_EQ(now.result, result);
            CHECK_MEM(now.out, now.out_size, text, text_size);
            CHECK_EQ(now.in_left, result == WSI_INFLATE_BAD ? now.in_left : 0);
        }
}

#define GIVES(bytes, text, result) gives((bytes), sizeof(bytes) - 1, (text), sizeof(text) - 1, (result))

/* --- streams by hand --- */

static void test_vectors(void) {
    if (!test_begin("the examples of RFC 7692 7.2.3"))
        return;
    GIVES("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", "Hello", WSI_INFLATE_INPUT);
    CHECK(now.ended);
    GIVES("\xf2\x00\x11\x00\x00\x00\x00\xff\xff", "H", WSI_INFLATE_BAD); /* the second message refers to the first */
    begin("\xf2\x00\x11\x00\x00\x00\x00\xff\xff", 9);
    now.history = (const uint8_t *)"Hello";
    now.history_size = 5;
    run(&now);
    CHECK_EQ(now.result, WSI_INFLATE_INPUT);
    CHECK_MEM(now.out, now.out_size, "Hello", 5);
    GIVES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00\x00\x00\xff\xff", "Hello", WSI_INFLATE_INPUT); /* stored */
    CHECK(now.ended);
    GIVES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x00\x00\xff\xff", "Hello", WSI_INFLATE_INPUT); /* BFINAL */
    CHECK(now.ended);
    GIVES("\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello", WSI_INFLATE_DONE);
    CHECK(now.ended);
    GIVES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00\x00\x00\xff\xff", "Hello", WSI_INFLATE_INPUT);
    CHECK(now.ended);
    test_begin("empty messages, and many blocks");
    GIVES("\x00\x00\x00\xff\xff", "", WSI_INFLATE_INPUT);
    CHECK(now.ended);
    GIVES("\x02\x00\x00\x00\xff\xff", "", WSI_INFLATE_INPUT);
    CHECK(now.ended);
    GIVES("\x03\x00", "", WSI_INFLATE_DONE);
    GIVES("", "", WSI_INFLATE_INPUT);
    CHECK(now.ended);
    GIVES("\x01\x01\x00\xfe\xff" "a\x01\x01\x00\xfe\xff" "b\x03\x00\x00\x01\x00\xfe\xff" "c", "abc", WSI_INFLATE_INPUT);
    CHECK(now.ended);
    GIVES("\x4b\x04\x00", "a", WSI_INFLATE_DONE);
    GIVES("\x4b\x04\x02\x00", "aaaa", WSI_INFLATE_DONE);
}

static void test_cut_off(void) {
    static const uint8_t message[] = "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff";
    size_t size;
    if (!test_begin("a truncated message has not ended"))
        return;
    for (size = 1; size < sizeof message - 1; size++) {
        begin(message, size);
        run(&now);
        CHECK_EQ(now.result, WSI_INFLATE_INPUT);
        CHECK(!now.ended);
    }
}

/* --- streams by a writer of bits --- */

typedef struct writer {
    uint8_t data[70000];
    size_t bits;
} writer;

static writer w;

static void put(uint32_t value, uint32_t count) {
    for (; count; count--, value >>= 1, w.bits++) {
        if (!(w.bits & 7))
            w.data[w.bits >> 3] = 0;
        w.data[w.bits >> 3] = (uint8_t)(w.data[w.bits >> 3] | (value & 1) << (w.bits & 7));
    }
}

/* Computes the code of a symbol from the lengths of all codes (RFC 1951 3.2.2). */
static void put_code(const uint8_t *lengths, size_t size, size_t symbol) {
    uint32_t code = 0, length, bit;
    size_t i;
    for (length = 1; length <= lengths[symbol]; length++) {
        code <<= 1;
        for (i = 0; i < size; i++)
            if (lengths[i] == length && (length < lengths[symbol] || i < symbol))
                code++;
    }
    for (bit = lengths[symbol]; bit--;)
        put(code >> bit & 1, 1);
}

static uint8_t literals[288], distances[32], order_lengths[19];

/* Complete codes: for 0 to 255, the end, and one distance. */
static void usual(void) {
    memset(&w, 0, sizeof w);
    memset(literals, 0, sizeof literals);
    memset(distances, 0, sizeof distances);
    memset(order_lengths, 4, 16);
    memset(order_lengths + 16, 0, 3);
    literals['a'] = 2;
    literals['b'] = 2;
    literals[256] = 2;
    literals[258] = 2; /* a length of 4 */
    distances[0] = 1;
    distances[3] = 1;
}

static void put_lengths_of_lengths(uint32_t hlit, uint32_t hdist) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    size_t i;
    put(1, 1);
    put(2, 2);
    put(hlit - 257, 5);
    put(hdist - 1, 5);
    put(15, 4);
    for (i = 0; i < 19; i++)
        put(order_lengths[order[i]], 3);
}

static void put_literal(size_t symbol) { put_code(literals, 288, symbol); }

static void put_distance(size_t symbol) { put_code(distances, 32, symbol); }

/* A last block with the fixed codes. */
static void begin_fixed(void) {
    usual();
    memset(literals, 8, 288);
    memset(literals + 144, 9, 112);
    memset(literals + 256, 7, 24);
    memset(distances, 5, 32);
    put(3, 3);
}

static void put_head(uint32_t hlit, uint32_t hdist) {
    size_t i;
    put_lengths_of_lengths(hlit, hdist);
    for (i = 0; i < hlit; i++)
        put_code(order_lengths, 19, literals[i]);
    for (i = 0; i < hdist; i++)
        put_code(order_lengths, 19, distances[i]);
}

static size_t written(void) { return (w.bits + 7) / 8; }

static void put_rest(void) { /* so that missing input cannot be the reason */
    put(0, 32);
    put(0, 32);
}

#define WRITTEN(text, result) gives(w.data, written(), (text), sizeof(text) - 1, (result))

static void test_dynamic(void) {
    if (!test_begin("a dynamic block"))
        return;
    usual();
    put_head(259, 4);
    put_literal('a');
    put_literal('b');
    put_literal(258);
    put_distance(0);
    put_literal('a');
    put_literal(258);
    put_distance(3);
    put_literal(256);
    WRITTEN("abbbbbabbba", WSI_INFLATE_DONE);
    test_begin("codes of all lengths up to 15 bits");
    usual();
    memset(literals, 0, sizeof literals);
    {
        uint8_t i;
        for (i = 0; i < 14; i++)
            literals['a' + i] = (uint8_t)(i + 1);
        literals[256] = literals['o'] = 15;
        for (i = 0; i < 14; i++)
            distances[i] = (uint8_t)(i + 1);
        distances[14] = distances[15] = 15;
    }
    put_head(257, 16);
    {
        size_t i;
        for (i = 'a'; i <= 'o'; i++)
            put_literal(i);
        for (i = 'o'; i >= 'a'; i--)
            put_literal(i);
    }
    put_literal(256);
    WRITTEN("abcdefghijklmnoonmlkjihgfedcba", WSI_INFLATE_DONE);
}

static void test_repeats(void) {
    size_t i;
    if (!test_begin("repeated lengths"))
        return;
    usual();
    memset(order_lengths, 0, sizeof order_lengths);
    order_lengths[16] = order_lengths[17] = order_lengths[18] = order_lengths[8] = order_lengths[9] = 3;
    order_lengths[1] = order_lengths[7] = order_lengths[0] = 3;
    put_lengths_of_lengths(257, 2);
    for (i = 0; i < 255; i++)
        literals[i] = 8;
    literals[255] = literals[256] = 9;
    literals[258] = 0;
    put_code(order_lengths, 19, 8);
    for (i = 1; i < 255;) {
        uint32_t times = i + 6 <= 255 ? 6 : (uint32_t)(255 - i);
        put_code(order_lengths, 19, times < 3 ? 8 : 16);
        if (times >= 3)
            put(times - 3, 2);
        i += times < 3 ? 1 : times;
    }
    put_code(order_lengths, 19, 9);
    put_code(order_lengths, 19, 9);
    put_code(order_lengths, 19, 1);
    put_code(order_lengths, 19, 1);
    for (i = 0; i < 256; i += 5)
        put_literal(i);
    put_literal(256);
    begin(w.data, written());
    run(&now);
    CHECK_EQ(now.result, WSI_INFLATE_DONE);
    CHECK_EQ(now.out_size, 52);
    for (i = 0; i < now.out_size; i++)
        CHECK_EQ(now.out[i], i * 5);
}

/* --- invalid streams --- */

static void test_wrong_blocks(void) {
    if (!test_begin("invalid blocks"))
        return;
    GIVES("\x06", "", WSI_INFLATE_BAD); /* type 3 */
    GIVES("\x07\x00", "", WSI_INFLATE_BAD);
    GIVES("\x00\x05\x00\xfa\xfeHello", "", WSI_INFLATE_BAD); /* NLEN */
    GIVES("\x00\x00\x00\x00\x00", "", WSI_INFLATE_BAD);
    CHECK_EQ(wsi_inflate_run(&inflate_state, &(wsi_inflate_io){0}), WSI_INFLATE_BAD); /* and stays invalid */
    CHECK(!wsi_inflate_ended(&inflate_state));
}

static void test_wrong_symbols(void) {
    uint32_t symbol;
    if (!test_begin("symbols that may not be used"))
        return;
    for (symbol = 0; symbol < 2; symbol++) {
        begin_fixed();
        put_literal('a');
        put_literal(286 + symbol);
        put_rest();
        WRITTEN("a", WSI_INFLATE_BAD);
        begin_fixed();
        put_literal('a');
        put_literal(257);
        put_distance(30 + symbol);
        put_rest();
        WRITTEN("a", WSI_INFLATE_BAD);
    }
    test_begin("more codes than there are symbols");
    for (symbol = 287; symbol <= 288; symbol++) {
        usual();
        put_head(symbol, 4);
        put_literal(256);
        put_rest();
        WRITTEN("", WSI_INFLATE_BAD);
    }
    for (symbol = 31; symbol <= 32; symbol++) {
        usual();
        put_head(259, symbol);
        put_literal(256);
        put_rest();
        WRITTEN("", WSI_INFLATE_BAD);
    }
    usual();
    put_head(286, 30);
    put_literal(256);
    WRITTEN("", WSI_INFLATE_DONE);
}

static void bad_head(void) {
    put_head(259, 4);
    put_rest();
    WRITTEN("", WSI_INFLATE_BAD);
}

static void test_wrong_codes(void) {
    if (!test_begin("over-subscribed and incomplete codes"))
        return;
    usual();
    literals['c'] = 15; /* one too many */
    bad_head();
    usual();
    literals['a'] = 3; /* one too few */
    bad_head();
    usual();
    literals['a'] = literals['b'] = literals[258] = 0; /* only the end symbol, with two bits */
    bad_head();
    usual();
    distances[1] = 1;
    bad_head();
    usual();
    distances[0] = 2;
    bad_head();
    usual();
    distances[0] = distances[3] = 2;
    bad_head();
    usual();
    distances[0] = 0;
    distances[3] = 2;
    bad_head();
    usual();
    literals['c'] = 2; /* no end symbol: the code is complete without it */
    literals[256] = 0;
    bad_head();
    test_begin("invalid codes for lengths");
    usual();
    order_lengths[16] = 7;
    bad_head();
    usual();
    order_lengths[15] = 5;
    bad_head();
    usual();
    memset(order_lengths, 0, sizeof order_lengths);
    put_lengths_of_lengths(257, 1);
    put_rest();
    WRITTEN("", WSI_INFLATE_BAD);
    usual();
    memset(order_lengths, 0, sizeof order_lengths);
    order_lengths[1] = 1;
    put_lengths_of_lengths(257, 1);
    put_rest();
    WRITTEN("", WSI_INFLATE_BAD);
}

/* zlib accepts these codes, because encoders write them: one code of one bit, or no code where none is used. */
static void test_lonely_codes(void) {
    if (!test_begin("a single distance code"))
        return;
    usual();
    distances[3] = 0;
    put_head(259, 4);
    put_literal('a');
    put_literal(258);
    put_distance(0);
    put_literal(256);
    WRITTEN("aaaaa", WSI_INFLATE_DONE);
    usual();
    distances[3] = 0;
    put_head(259, 4);
    put_literal('a');
    put_literal(258);
    put(1, 1); /* the missing code */
    put_rest();
    WRITTEN("a", WSI_INFLATE_BAD);
    test_begin("no distance code");
    usual();
    distances[0] = distances[3] = 0;
    put_head(259, 1);
    put_literal('b');
    put_literal(256);
    WRITTEN("b", WSI_INFLATE_DONE);
    usual();
    distances[0] = distances[3] = 0;
    put_head(259, 1);
    put_literal('b');
    put_literal(258);
    put_rest();
    WRITTEN("b", WSI_INFLATE_BAD);
    test_begin("an end symbol of one bit, and no other code");
    usual();
    literals['a'] = literals['b'] = literals[258] = 0;
    literals[256] = 1;
    put_head(257, 1);
    put_literal(256);
    WRITTEN("", WSI_INFLATE_DONE);
    usual();
    literals['a'] = literals['b'] = literals[258] = 0;
    literals[256] = 1;
    put_head(257, 1);
    put(1, 1);
    put_rest();
    WRITTEN("", WSI_INFLATE_BAD);
}

static void test_wrong_repeats(void) {
    size_t i;
    if (!test_begin("invalid repeats"))
        return;
    usual();
    memset(order_lengths, 0, sizeof order_lengths);
    order_lengths[16] = order_lengths[18] = order_lengths[1] = order_lengths[0] = 2;
    put_lengths_of_lengths(257, 1);
    put_code(order_lengths, 19, 16); /* no length before it */
    put_rest();
    WRITTEN("", WSI_INFLATE_BAD);
    for (i = 0; i < 2; i++) { /* repeats as many lengths as are left, then one more */
        w.bits = 0;
        put_lengths_of_lengths(258, 3);
        put_code(order_lengths, 19, 18);
        put(127, 7); /* 138 zeros */
        put_code(order_lengths, 19, 18);
        put(106, 7); /* 117: 255 in all */
        put_code(order_lengths, 19, 1);
        put_code(order_lengths, 19, 1); /* the literal 255, and the end */
        put_code(order_lengths, 19, 0); /* the length 257 */
        put_code(order_lengths, 19, 16);
        put((uint32_t)i, 2); /* the distances: three, or four */
        put(1, 1);           /* the end */
        if (i)
            put_rest();
        WRITTEN("", i ? WSI_INFLATE_BAD : WSI_INFLATE_DONE);
    }
}

/* A block that ends within a byte: a sync flush ends on a whole byte, so something is missing. */
static void test_ends_within_a_byte(void) {
    size_t count, i;
    for (count = 0; count < 8; count++) {
        if (!test_begin("a block ends within a byte, %zu literals of nine bits", count))
            continue;
        begin_fixed();
        w.bits = 0;
        put(2, 3); /* not the last block */
        for (i = 0; i < count; i++)
            put_literal(200);
        put_literal(256);
        begin(w.data, written());
        run(&now);
        CHECK_EQ(now.result, WSI_INFLATE_INPUT);
        CHECK_EQ(now.out_size, count);
        CHECK_EQ(now.ended, w.bits % 8 == 0);
    }
}

/* --- the window --- */

/* The code and the extra bits of a distance. */
static void put_far(uint32_t distance) {
    uint32_t symbol = 0, base = 1, extra = 0;
    for (; distance >= base + ((uint32_t)1 << extra); extra = symbol < 4 ? 0 : symbol / 2 - 1) {
        base += (uint32_t)1 << extra;
        symbol++;
    }
    put_distance(symbol);
    put(distance - base, extra);
}

/* A match of three bytes from this distance, then this many literals, then the end of the stream. */
static void put_match(uint32_t distance, size_t behind) {
    begin_fixed();
    put_literal(257);
    put_far(distance);
    while (behind--)
        put_literal('b');
    put_literal(256);
}

static uint8_t past[40000];

static void test_windows(void) {
    uint32_t bits, i;
    for (i = 0; i < sizeof past; i++)
        past[i] = (uint8_t)(i * 7 + (i >> 8));
    for (bits = 8; bits <= 15; bits++) {
        size_t window = (size_t)1 << bits, distance;
        if (!test_begin("a window of %d bits", (int)bits))
            continue;
        for (distance = window - 3; distance <= window + 2 && distance <= 32768; distance++)
            for (i = 0; i < 2; i++) { /* the slow steps read few bytes, the fast loop reads more */
                put_match((uint32_t)distance, i * 20);
                begin(w.data, written());
                now.window = window;
                now.history = past + 100;
                now.history_size = 33000;
                run(&now);
                CHECK_EQ(now.result, distance <= window ? WSI_INFLATE_DONE : WSI_INFLATE_BAD);
                CHECK_EQ(now.out_size, distance <= window ? 3 + i * 20 : 0);
                if (distance <= window)
                    CHECK_MEM(now.out, 3, past + 33100 - distance, 3);
            }
    }
    if (!test_begin("a distance that reaches before the first byte"))
        return;
    for (i = 1; i < 12; i++) {
        uint8_t wanted[3];
        size_t k;
        put_match(i, 0);
        begin(w.data, written());
        now.history = past;
        now.history_size = 8;
        run(&now);
        CHECK_EQ(now.result, i <= 8 ? WSI_INFLATE_DONE : WSI_INFLATE_BAD);
        CHECK_EQ(now.out_size, i <= 8 ? 3 : 0);
        for (k = 0; k < 3 && i <= 8; k++)
            wanted[k] = k < i ? past[8 - i + k] : wanted[k - i];
        if (i <= 8)
            CHECK_MEM(now.out, now.out_size, wanted, 3);
    }
}

/* Each length from each small distance, at each place of the fast loop and of the careful one, is compared with a plain
   copy. The first bytes come from the history. */
static void test_matches(void) {
    static const uint16_t bases[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31,
                                     35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    uint32_t distance, length;
    if (!test_begin("matches of all lengths"))
        return;
    for (distance = 1; distance <= 40; distance++) {
        static uint8_t wanted[ROOM];
        size_t size = 0, k;
        begin_fixed();
        for (length = 0; length < 29; length++) {
            uint32_t more = length < 8 || length == 28 ? 0 : length / 4 - 1;
            put_literal(length * 8);
            wanted[size++] = (uint8_t)(length * 8);
            put_literal(257 + length);
            put(more ? 1 : 0, more);
            put_far(distance);
            for (k = 0; k < (size_t)bases[length] + (more ? 1 : 0); k++, size++)
                wanted[size] = size >= distance ? wanted[size - distance] : past[50 + size - distance];
        }
        put_literal(256);
        for (k = 0; k < 4; k++) {
            begin(w.data, written());
            now.history = past;
            now.history_size = 50;
            now.in_step = k & 1 ? 5 : 0;
            now.out_step = k & 2 ? 7 : 0;
            run(&now);
            CHECK_EQ(now.result, WSI_INFLATE_DONE);
            CHECK_MEM(now.out, now.out_size, wanted, size);
        }
    }
}

/* The caller may move the front of the output to the end of the history at any time. */
static void test_moving_front(void) {
    static const uint8_t stream[] = "\x00\x05\x00\xfa\xffHello\x4b\x04\x02\x00";
    static uint8_t history[64], out[64];
    wsi_inflate_io io;
    size_t total = 0;
    uint8_t all[64];
    wsi_inflate_result result;
    if (!test_begin("the front of the output moves to the history"))
        return;
    memset(&io, 0, sizeof io);
    io.in = stream;
    io.in_size = sizeof stream - 1;
    io.out = out;
    io.history = history;
    io.window = 256;
    wsi_inflate_start(&inflate_state);
    do {
        io.out_size = 0;
        io.out_capacity = 1;
        result = wsi_inflate_run(&inflate_state, &io);
        if (io.out_size)
            all[total++] = history[io.history_size++] = out[0];
    } while (result == WSI_INFLATE_OUTPUT && total < sizeof all);
    CHECK_EQ(result, WSI_INFLATE_DONE);
    CHECK_MEM(all, total, "Helloaaaa", 9);
}

/* --- limits --- */

static void test_limit(void) {
    size_t limit, i;
    if (!test_begin("a decompression bomb stops at the limit, to the byte"))
        return;
    begin_fixed();
    put_literal('x');
    for (i = 0; i < 2000; i++) {
        put_literal(285);
        put_distance(0);
    }
    put_literal(256);
    for (limit = 0; limit <= 1200; limit++) {
        begin(w.data, written());
        now.limit = limit;
        now.out_step = limit & 1 ? 100 : 0;
        run(&now);
        CHECK_EQ(now.result, WSI_INFLATE_OUTPUT);
        CHECK_EQ(now.out_size, limit);
    }
    test_begin("a message of exactly the limit is accepted");
    for (limit = 5; limit <= 6; limit++) {
        begin("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", 11);
        now.limit = limit;
        run(&now);
        CHECK_EQ(now.result, WSI_INFLATE_INPUT);
        CHECK(now.ended);
    }
    begin("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", 11);
    now.limit = 4;
    run(&now);
    CHECK_EQ(now.result, WSI_INFLATE_OUTPUT);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_vectors();
    test_cut_off();
    test_dynamic();
    test_repeats();
    test_wrong_blocks();
    test_wrong_symbols();
    test_wrong_codes();
    test_lonely_codes();
    test_wrong_repeats();
    test_ends_within_a_byte();
    test_windows();
    test_matches();
    test_moving_front();
    test_limit();
    return test_finish();
}
