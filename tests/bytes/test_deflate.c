/* DEFLATE: what the compressor writes is read back by the small inflater of tiny_inflate.h. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/deflate_texts.h"
#include "../helpers/test.h"
#include "../helpers/tiny_inflate.h"

enum { LARGEST = 100000 };

static const int levels[] = {0, 1, 6, 9};
static uint8_t text[LARGEST], packed[LARGEST * 2], unpacked[LARGEST * 2];

static wsi_deflate *make(int level, int window_bits, bool takeover) {
    wsi_deflate *z = (wsi_deflate *)malloc(wsi_deflate_size(level, window_bits, takeover));
    if (!z)
        abort();
    wsi_deflate_init(z, level, window_bits, takeover);
    return z;
}

static tiny_inflate reader(int window_bits) {
    tiny_inflate tiny;
    memset(&tiny, 0, sizeof tiny);
    tiny.out = unpacked;
    tiny.capacity = sizeof unpacked;
    tiny.window = (size_t)1 << window_bits;
    tiny.oldest = SIZE_MAX;
    return tiny;
}

/* Compresses one part, checks its end, and reads it back. Returns the size without the last four bytes. */
static size_t through(wsi_deflate *z, tiny_inflate *tiny, const void *data, size_t size) {
    size_t written = wsi_deflate_run(z, (const uint8_t *)data, size, packed, wsi_deflate_bound(size));
    size_t from = tiny->size;
    CHECK(written >= 5 && written <= wsi_deflate_bound(size));
    if (written < 5)
        return 0;
    CHECK_MEM(packed + written - 4, 4, "\x00\x00\xff\xff", 4);
    CHECK(tiny_inflate_run(tiny, packed, written));
    CHECK_MEM(unpacked + from, tiny->size - from, data, size);
    return written - 4;
}

/* RFC 7692 7.2.3.1, 7.2.3.6 */
static void test_examples(void) {
    size_t i;
    for (i = 0; i < sizeof levels / sizeof *levels; i++) {
        wsi_deflate *z = make(levels[i], 15, true);
        tiny_inflate tiny = reader(15);
        if (test_begin("the RFC's examples, level %d", levels[i])) {
            CHECK_EQ(through(z, &tiny, "Hello", 5), 7);
            CHECK_MEM(packed, 7, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
            CHECK(through(z, &tiny, "Hello", 5) <= 5);
            CHECK_EQ(through(z, &tiny, NULL, 0), 1);
            CHECK_MEM(packed, 5, "\x00\x00\x00\xff\xff", 5);
            CHECK_EQ(tiny.size, 10);
        }
        free(z);
    }
}

/* Blocks with the greatest number of literals that 16-bit counts allow. */
static void test_many_literals(void) {
    size_t i;
    for (i = 0; i < sizeof levels / sizeof *levels; i++) {
        wsi_deflate *z = make(levels[i], 15, false);
        tiny_inflate tiny = reader(15);
        if (test_begin("blocks with the most literals, level %d", levels[i])) {
            for (size_t at = 0; at + 3 <= LARGEST; at += 3) { /* few different bytes, but no four appear twice */
                text[at] = at / 3 & 127;
                text[at + 1] = at / 3 >> 7 & 127;
                text[at + 2] = (uint8_t)(128 | at / 3 >> 14);
            }
            memset(text + WSI_DEFLATE_STEP - 9, 0, 99);
            CHECK(through(z, &tiny, text, LARGEST) < LARGEST);
            memset(text, 'a', LARGEST);
            tiny.size = 0;
            CHECK(through(z, &tiny, text, LARGEST) < 250);
        }
        free(z);
    }
}

/* A stored block has at most 65535 bytes. Larger data needs several, even if matches save more at that size. */
static void test_stored(void) {
    static const size_t sizes[] = {0, 1, 65534, 65535, 65536, LARGEST};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        wsi_deflate *z = make(1, 15, false);
        tiny_inflate tiny = reader(15);
        if (test_begin("%zu bytes in stored blocks", sizes[i])) {
            for (size_t k = 0; k < sizes[i]; k++)
                text[k] = (uint8_t)(k * 7 + (k >> 8));
            z->out.at = packed;
            wsi_deflate_put_stored(z, text, sizes[i]);
            CHECK_EQ(z->out.at - packed, sizes[i] + (sizes[i] > 65535 ? 10 : 5));
            CHECK(tiny_inflate_run(&tiny, packed, (size_t)(z->out.at - packed)));
            CHECK_MEM(unpacked, tiny.size, text, sizes[i]);
        }
        free(z);
    }
}

/* Each block has the expected kind, and no other kind would be much smaller. */
static void test_kinds(void) {
    uint32_t state = 1;
    size_t i;
    for (i = 0; i < sizeof levels / sizeof *levels; i++) {
        wsi_deflate *z = make(levels[i], 15, false);
        tiny_inflate noise = reader(15), few = reader(15), json = reader(15), all = reader(15);
        if (test_begin("kinds of blocks, level %d", levels[i])) {
            text_make(&state, 1, text, 1000);
            CHECK_EQ(through(z, &noise, text, 1000), 1000 + 5 + 1);
            CHECK(noise.kinds[0] == 2 && !noise.kinds[1] && !noise.kinds[2]);
            (void)through(z, &few, "what is short", 13);
            CHECK(few.kinds[0] == 1 && few.kinds[1] == 1 && !few.kinds[2]);
            text_make(&state, 5, text, 1000);
            CHECK(through(z, &json, text, 1000) < 500);
            CHECK(json.kinds[0] == 1 && !json.kinds[1] && json.kinds[2] == 1);
            text_make(&state, 1, text, LARGEST); /* the smallest blocks spend one byte in 200 on headers */
            CHECK(through(z, &all, text, LARGEST) <= LARGEST + LARGEST / 200 + 6);
        }
        free(z);
    }
}

/* Documents of each kind and of all sizes, alone and one after another. */
static void test_sizes(unsigned kind, int level, bool takeover) {
    wsi_deflate *z = make(level, 9, takeover);
    tiny_inflate tiny = reader(9);
    uint32_t state = kind;
    size_t size;
    if (test_begin("all sizes to 300: %s, level %d, %s", text_names[kind], level, takeover ? "takeover" : "alone"))
        for (size = 0; size <= 300; size++) {
            tiny = takeover ? tiny : reader(9);
            text_make(&state, kind, text, size);
            (void)through(z, &tiny, text, size);
        }
    free(z);
}

/* The tables of level 0 are too small for the largest windows. */
static void test_windows(int level, int bits) {
    wsi_deflate *z = make(level, bits, true), *alone = make(level, bits, false);
    tiny_inflate tiny = reader(bits), other = reader(bits);
    uint32_t state = 7;
    size_t at, size;
    if (test_begin("distances, level %d, window bits %d", level, bits)) {
        text_make(&state, 9, text, 80000);
        for (at = 0; at < 80000; at += size) {
            size = 1 + text_below(&state, 3000);
            size = size < 80000 - at ? size : 80000 - at;
            (void)through(z, &tiny, text + at, size);
        }
        CHECK(tiny.furthest <= (size_t)1 << bits);
        CHECK(tiny.furthest > (size_t)1 << (bits - 1) || (!level && bits > 13));
        (void)through(alone, &other, text, 80000);
        CHECK(other.furthest <= (size_t)1 << bits);
        CHECK(other.furthest > (size_t)1 << (bits - 1) || (!level && bits > 13));
    }
    free(z);
    free(alone);
}

/* The distance of a match may be as large as the window, and no larger. */
static void test_edges(int level, int bits) {
    size_t window = (size_t)1 << bits, back;
    uint32_t state = 5;
    for (back = window - 1; back <= window + 1; back++) {
        wsi_deflate *z = make(level, bits, true);
        tiny_inflate tiny = reader(bits);
        if (test_begin("level %d, window bits %d: a repetition after %zu bytes", level, bits, back)) {
            text_make(&state, 1, text, 40);
            text_make(&state, 0, text + 40, back - 40);
            memcpy(text + back, text, 40);
            (void)through(z, &tiny, text, back);
            CHECK((through(z, &tiny, text + back, 40) < 30) == (back <= window));
            CHECK((tiny.furthest == back) == (back <= window));
        }
        free(z);
    }
}

/* Without takeover, and after a reset, the output depends on the message alone, however often the position numbers have
   wrapped around. */
static void test_no_history(int level, bool takeover) {
    wsi_deflate *z = make(level, 15, takeover), *fresh = make(level, 15, takeover);
    static uint8_t wanted[LARGEST * 2];
    uint32_t state = 3;
    int i;
    if (test_begin("no history, level %d, %s", level, takeover ? "after a reset" : "without takeover"))
        for (i = 0; i < 600; i++) {
            tiny_inflate tiny = reader(15);
            size_t size = text_below(&state, i % 50 ? 2000 : LARGEST), written;
            text_make(&state, (unsigned)i % TEXT_KINDS, text, size);
            wsi_deflate_init(fresh, level, 15, takeover);
            written = wsi_deflate_run(fresh, text, size, wanted, sizeof wanted);
            wsi_deflate_reset(z);
            CHECK_EQ(through(z, &tiny, text, size), written - 4);
            CHECK_MEM(packed, written, wanted, written);
        }
    free(z);
    free(fresh);
}

static void test_takeover(void) {
    wsi_deflate *z = make(1, 15, true), *alone = make(1, 15, false);
    tiny_inflate tiny = reader(15), other = reader(15);
    uint32_t state = 3;
    if (test_begin("with takeover the second of two equal messages is small; after a reset it is not")) {
        text_make(&state, 1, text, 1000);
        CHECK(through(z, &tiny, text, 1000) > 1000);
        CHECK(through(z, &tiny, text, 1000) < 30);
        tiny.oldest = SIZE_MAX;
        wsi_deflate_reset(z);
        CHECK(through(z, &tiny, text, 1000) > 1000);
        CHECK(tiny.oldest == SIZE_MAX);
        CHECK(through(alone, &other, text, 1000) > 1000);
        CHECK(through(alone, &other, text, 1000) > 1000);
        CHECK(other.oldest == SIZE_MAX);
    }
    free(z);
    free(alone);
}

/* A message in parts also works without takeover. The parts then share no history. */
static void test_parts(int level, bool takeover) {
    wsi_deflate *z = make(level, 12, takeover);
    uint32_t state = 11;
    int i;
    if (test_begin("parts, level %d, %s", level, takeover ? "takeover" : "alone"))
        for (i = 0; i < 50; i++) {
            tiny_inflate tiny = reader(12);
            size_t size = text_below(&state, 20000), at, part;
            text_make(&state, (unsigned)i % TEXT_KINDS, text, size);
            wsi_deflate_reset(z);
            for (at = 0; at < size; at += part) {
                part = text_below(&state, 5000);
                part = part < size - at ? part : size - at;
                (void)through(z, &tiny, text + at, part);
            }
            CHECK_MEM(unpacked, tiny.size, text, size);
        }
    free(z);
}

/* With too little room the result is 0, and nothing is written behind it. The compressor continues without history. */
static void test_capacity(int level, unsigned kind, bool takeover) {
    wsi_deflate *z = make(level, 10, takeover);
    uint32_t state = 13;
    size_t size = 1500, needed, capacity;
    if (test_begin("capacity, level %d, %s, %s", level, text_names[kind], takeover ? "takeover" : "alone")) {
        text_make(&state, kind, text, size);
        needed = wsi_deflate_run(z, text, size, packed, wsi_deflate_bound(size));
        for (capacity = 0; capacity <= needed + 20; capacity++) {
            tiny_inflate tiny = reader(10);
            size_t written;
            memset(packed, 0xee, sizeof packed);
            wsi_deflate_reset(z);
            written = wsi_deflate_run(z, text, size, packed, capacity);
            CHECK(written ? written == needed && written <= capacity : capacity < needed + 20);
            CHECK(packed[capacity] == 0xee && packed[capacity + 1] == 0xee && packed[capacity + 7] == 0xee);
            (void)through(z, &tiny, "go on, without what was lost", 28);
            CHECK(written || tiny.size == 28);
        }
    }
    free(z);
}

/* All of the memory is used, and no byte after it: a guard follows it. */
static void test_memory_size(int level, int bits, bool takeover) {
    size_t size = wsi_deflate_size(level, bits, takeover), i;
    uint8_t *memory = (uint8_t *)malloc(size + 64);
    wsi_deflate *z = (wsi_deflate *)(void *)memory;
    tiny_inflate tiny = reader(bits);
    uint32_t state = 17;
    if (!memory)
        abort();
    if (test_begin("memory, level %d, window bits %d, %s", level, bits, takeover ? "takeover" : "alone")) {
        memset(memory, 0xee, size + 64);
        wsi_deflate_init(z, level, bits, takeover);
        for (i = 0; i < TEXT_KINDS; i++) {
            tiny = takeover ? tiny : reader(bits);
            text_make(&state, (unsigned)i, text, 15000);
            (void)through(z, &tiny, text, 15000);
        }
        for (i = 0; i < 64; i++)
            CHECK_EQ(memory[size + i], 0xee);
    }
    free(memory);
}

/* The bits that Huffman codes without a length limit would take. */
static uint64_t shortest(const uint16_t *frequency, unsigned symbols) {
    uint32_t weights[WSI_DEFLATE_LITERALS];
    uint64_t bits = 0;
    unsigned count = 0, i, j;
    for (i = 0; i < symbols; i++)
        if (frequency[i])
            weights[count++] = frequency[i];
    for (; count > 1; count--) {
        for (i = 0; i < 2; i++) /* move the two smallest to the front */
            for (j = i + 1; j < count; j++)
                if (weights[j] < weights[i]) {
                    uint32_t weight = weights[i];
                    weights[i] = weights[j];
                    weights[j] = weight;
                }
        weights[1] += weights[0];
        bits += weights[1];
        weights[0] = weights[count - 1];
    }
    return bits;
}

static void check_codes(uint16_t *frequency, unsigned symbols, unsigned limit) {
    wsi_deflate *z = make(1, 8, false);
    uint16_t codes[WSI_DEFLATE_LITERALS];
    uint8_t lengths[WSI_DEFLATE_LITERALS];
    tiny_code code;
    unsigned i, j, longest = 0, used = 0;
    uint64_t told, bits = 0, best;
    for (i = 0; i < symbols; i++)
        used += frequency[i] > 0;
    told = wsi_deflate_codes(z, frequency, codes, lengths, symbols, limit);
    CHECK(tiny_code_make(&code, lengths, symbols));
    for (i = 0; i < symbols; i++) {
        CHECK(!lengths[i] == !frequency[i]);
        longest = lengths[i] > longest ? lengths[i] : longest;
        bits += (uint64_t)lengths[i] * frequency[i];
        for (j = 0; j < i; j++) /* a rarer symbol has no shorter code */
            CHECK(frequency[i] <= frequency[j] || !lengths[j] || lengths[i] <= lengths[j]);
    }
    best = shortest(frequency, symbols);
    CHECK(longest <= limit);
    CHECK(bits >= best && (longest == limit || bits == best));
    CHECK(bits <= best + best / 5); /* the limit costs little */
    CHECK_EQ(told + (used < 2 ? 2 - used : 0), bits); /* unused symbols, added to complete the code */
    free(z);
}

static void test_codes(void) {
    static const unsigned limits[] = {7, 15}, symbols[] = {19, 286};
    uint16_t frequency[WSI_DEFLATE_LITERALS];
    uint32_t state = 19;
    unsigned i, which, round, some;
    for (which = 0; which < 2; which++) {
        if (test_begin("codes of at most %u bits", limits[which]))
            for (round = 0; round < 300; round++) {
                memset(frequency, 0, sizeof frequency);
                some = 1 + text_below(&state, symbols[which]);
                for (i = 0; i < some; i++)
                    frequency[text_below(&state, symbols[which])] = (uint16_t)text_below(&state, 17u << round % 3);
                check_codes(frequency, symbols[which], limits[which]);
            }
        if (!test_begin("codes of at most %u bits for frequencies that would need more", limits[which]))
            continue;
        memset(frequency, 0, sizeof frequency);
        frequency[0] = frequency[7] = 1; /* Fibonacci numbers make the deepest tree */
        for (i = 2; i < 19; i++)
            frequency[i * 7 % 19] = (uint16_t)(frequency[(i - 1) * 7 % 19] + frequency[(i - 2) * 7 % 19]);
        check_codes(frequency, symbols[which], limits[which]);
        for (i = 19; i < symbols[which]; i++)
            frequency[i] = 1;
        check_codes(frequency, symbols[which], limits[which]);
        for (i = 0; i < symbols[which]; i++)
            frequency[i] = (uint16_t)(i < 12 ? 1 << i : 1);
        check_codes(frequency, symbols[which], limits[which]);
    }
}

int main(int argc, char **argv) {
    size_t i;
    unsigned kind, takeover;
    int bits;
    test_start(argc, argv);
    test_examples();
    test_many_literals();
    test_stored();
    test_kinds();
    test_takeover();
    test_codes();
    for (takeover = 0; takeover < 2; takeover++)
        for (i = 0; i < sizeof levels / sizeof *levels; i++) {
            test_no_history(levels[i], takeover);
            test_parts(levels[i], takeover);
            test_capacity(levels[i], 1, takeover);
            test_capacity(levels[i], 5, takeover);
            for (kind = 0; kind < TEXT_KINDS; kind++)
                test_sizes(kind, levels[i], takeover);
            for (bits = 8; bits <= 15; bits++)
                test_memory_size(levels[i], bits, takeover);
        }
    for (i = 0; i < sizeof levels / sizeof *levels; i++)
        for (bits = 8; bits <= 15; bits++) {
            test_windows(levels[i], bits);
            test_edges(levels[i], bits);
        }
    return test_finish();
}
