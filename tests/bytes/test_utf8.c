/* UTF8: the validator, against a reference that decodes. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/ways.h"

/* The reference: decodes a character, then checks its number. Returns the number of bytes of the first character, 0 if
   it is invalid, -1 if it is incomplete but could become valid. */
static int character(const uint8_t *data, size_t size) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    int bytes = data[0] < 0x80 ? 1 : data[0] >> 5 == 6 ? 2 : data[0] >> 4 == 14 ? 3 : data[0] >> 3 == 30 ? 4
    : 0;
    uint32_t low, high;
    int i;
    if (bytes < 2)
        return bytes;
    low = (uint32_t)data[0] & (0x7fu >> bytes);
    high = low;
    for (i = 1; i < bytes; i++) { /* the range that the missing bytes still allow */
        bool here = (size_t)i < size;
        if (here && data[i] >> 6 != 2)
            return 0;
        low = low << 6 | (here ? data[i] & 63u : 0);
        high = high << 6 | (here ? data[i] & 63u : 63);
    }
    if (high < least[bytes] || low > 0x10ffff || (low >= 0xd800 && high <= 0xdfff))
        return 0;
    return (size_t)bytes <= size ? bytes : -1;
}

/* 1: valid, 0: invalid, -1: incomplete. */
static int reference(const uint8_t *data, size_t size) {
    size_t i = 0;
    while (i < size) {
        int bytes = character(data + i, size - i);
        if (bytes <= 0)
            return bytes;
        i += (size_t)bytes;
    }
    return 1;
}

static int tested(const uint8_t *data, size_t size) {
    uint32_t state = 0;
    if (!wsi_utf8_feed(&state, data, size))
        return 0;
    return state ? -1 : 1;
}

static size_t encode(uint32_t code, uint8_t out[4]) {
    size_t i, bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (i = bytes; i-- > 1; code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 63));
    out[0] = (uint8_t)(bytes == 1 ? code : (0xf00u >> bytes) | code);
    return bytes;
}

/* Every code point, and numbers above. Of the code points, only surrogates are invalid. */
static void test_code_points(void) {
    uint32_t code;
    int wrong = 0;
    if (!test_begin("every code point"))
        return;
    for (code = 0; code < 0x1fffff; code++) {
        uint8_t bytes[4];
        size_t size = encode(code, bytes);
        bool valid = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        wrong += wsi_utf8_valid(bytes, size) != valid;
    }
    CHECK_EQ(wrong, 0);
}

/* Every sequence of 1, 2 and 3 bytes. */
static void test_short_sequences(void) {
    uint32_t number, limit = 256;
    size_t size;
    for (size = 1; size <= 3; size++, limit *= 256) {
        int wrong = 0;
        if (!test_begin("every sequence of %zu bytes", size))
            continue;
        for (number = 0; number < limit; number++) {
            uint8_t bytes[3];
            wsi_bytes_store(bytes, size, number);
            wrong += tested(bytes, size) != reference(bytes, size);
        }
        CHECK_EQ(wrong, 0);
    }
}

/* Every three bytes after the lead bytes of four-byte characters and after their neighbours. The last
   byte has one value of each class. */
static void test_long_sequences(void) {
    static const uint8_t leads[] = {0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff};
    static const uint8_t lasts[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0xa0, 0xbf, 0xc0, 0xe0, 0xff};
    size_t lead, last;
    uint32_t middle;
    for (lead = 0; lead < sizeof leads; lead++) {
        int wrong = 0;
        if (!test_begin("sequences of 4 bytes that begin with %02x", leads[lead]))
            continue;
        for (middle = 0; middle < 65536; middle++)
            for (last = 0; last < sizeof lasts; last++) {
                uint8_t bytes[4];
                bytes[0] = leads[lead];
                wsi_bytes_store(bytes + 1, 2, middle);
                bytes[3] = lasts[last];
                wrong += tested(bytes, 4) != reference(bytes, 4);
            }
        CHECK_EQ(wrong, 0);
    }
}

/* One invalid byte at each offset of ASCII of each length and alignment. The fast path must not
   skip it. */
static void test_ascii(void) {
    uint8_t room[112];
    size_t from, size, bad;
    int wrong = 0;
    if (!test_begin("a high byte anywhere in ASCII"))
        return;
    for (from = 0; from < 16; from++)
        for (size = 0; size <= 80; size++) {
            memset(room, 'a', sizeof room);
            wrong += tested(room + from, size) != 1;
            for (bad = 0; bad < size; bad++) {
                room[from + bad] = 0x80;
                wrong += tested(room + from, size) != 0;
                room[from + bad] = 'a';
            }
        }
    CHECK_EQ(wrong, 0);
}

/* A character in each position within ASCII, complete and truncated. */
static void test_mixed(void) {
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    uint8_t room[64];
    size_t which, at;
    int wrong = 0;
    if (!test_begin("a character anywhere in ASCII"))
        return;
    for (which = 0; which < 3; which++)
        for (at = 0; at < 40; at++) {
            size_t bytes = strlen(characters[which]);
            memset(room, 'z', sizeof room);
            memcpy(room + at, characters[which], bytes);
            wrong += tested(room, sizeof room) != 1;
            wrong += tested(room, at + bytes) != 1;
            wrong += tested(room, at + bytes - 1) != -1;
            wrong += wsi_utf8_valid(room, at + bytes - 1);
        }
    CHECK_EQ(wrong, 0);
}

/* A text fed in two parts, cut anywhere, gives the result of the whole. An invalid byte is refused at
   once, not at the end of the text. */
static void test_cuts(void) {
    static const char *const texts[] = {
        "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf",
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80" "edited", "ab\xf4\x90\x80\x80",
        "a\xc0\x80", "\xe0\x9f\xbf",
        "abcdefghijklmnopqrstuvwxyz\xff" "abcdefghijklmnopqrstuvwxyz", "\xe2\x82", "\xf0\x90\x80", "\xed\xa0",
    };
    size_t i, cut;
    for (i = 0; i < sizeof texts / sizeof *texts; i++) {
        const uint8_t *data = (const uint8_t *)texts[i];
        size_t size = strlen(texts[i]);
        if (!test_begin("text %zu cut anywhere", i))
            continue;
        for (cut = 0; cut <= size; cut++) {
            uint32_t state = 0;
            int parts = wsi_utf8_feed(&state, data, cut) && wsi_utf8_feed(&state, data + cut, size - cut);
            CHECK_EQ(parts && state ? -1 : parts, reference(data, size));
            CHECK_EQ(tested(data, cut), reference(data, cut));
        }
    }
}

/* Four bytes, each from an edge of a row in the table of well-formed characters, at changing offsets of texts. Each
   text has one kind of character. */
static void test_blocks(void) {
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
                                    0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    static const char *const fills[] = {"z", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    enum { EDGES = sizeof edges, SIZE = 268 };
    uint8_t room[SIZE + 4];
    uint32_t step = test_quick() ? 7 : 1;
    for (size_t fill = 0; fill < 4; fill++) {
        size_t unit = strlen(fills[fill]);
        int wrong = 0;
        if (!test_begin("edges among characters of %zu bytes", unit))
            continue;
        for (uint32_t number = 0; number < EDGES * EDGES * EDGES * EDGES; number += step) {
            uint8_t four[4] = {edges[number % EDGES], edges[number / EDGES % EDGES],
                               edges[number / (EDGES * EDGES) % EDGES], edges[number / (EDGES * EDGES * EDGES)]};
            size_t at = number * 7 % 200, size = 0;
            while (size + unit <= at)
                memcpy(room + size, fills[fill], unit), size += unit;
            memcpy(room + size, four, 4);
            for (size += 4; size + unit <= SIZE; size += unit)
                memcpy(room + size, fills[fill], unit);
            wrong += tested(room, size) != reference(room, size);
        }
        CHECK_EQ(wrong, 0);
    }
}

/* Mostly valid text of every kind, with or without a random byte put in, fed at once and in two parts. The results are
   those of the reference. UTF8_BYTES is the number of bytes to test; 1e9 has passed. */
static void test_random(void) {
    static uint8_t room[4096];
    const char *asked = getenv("UTF8_BYTES");
    double left = asked ? strtod(asked, NULL) : 4e6;
    uint32_t seed = 12345;
    int wrong = 0;
    if (!test_begin("random text"))
        return;
    while (left > 0) {
        size_t size = 0, wanted = (seed >> 8) % 900, kind = seed >> 28, cut;
        while (size < wanted) {
            uint32_t code, range = kind % 5 == 0 ? 0x80 : kind % 5 == 1 ? 0x800 : kind % 5 == 2 ? 0x10000 : 0x110000;
            seed = seed * 1664525 + 1013904223;
            code = (seed >> 9) % range;
            size += encode(code >= 0xd800 && code <= 0xdfff ? 0x20ac : code, room + size);
            if (kind == 15)
                kind = seed >> 29;
        }
        seed = seed * 1664525 + 1013904223;
        if (size && seed >> 31)
            room[(seed >> 8) % size] = (uint8_t)(seed >> 3);
        cut = size ? (seed >> 4) % (size + 1) : 0;
        int whole = reference(room, size);
        uint32_t state = 0;
        bool parts = wsi_utf8_feed(&state, room, cut) && wsi_utf8_feed(&state, room + cut, size - cut);
        wrong += tested(room, size) != whole || (parts ? state ? -1 : 1 : 0) != whole;
        left -= (double)size + 1;
    }
    CHECK_EQ(wrong, 0);
}

static void test_empty(void) {
    uint32_t state = 0;
    if (!test_begin("an empty text"))
        return;
    CHECK(wsi_utf8_valid((const uint8_t *)"", 0));
    CHECK(wsi_utf8_valid(NULL, 0));
    CHECK(wsi_utf8_feed(&state, (const uint8_t *)"\xe2", 1));
    CHECK(wsi_utf8_feed(&state, (const uint8_t *)"", 0));
    CHECK(state != 0);
    CHECK(wsi_utf8_feed(&state, (const uint8_t *)"\x82\xac", 2));
    CHECK(state == 0);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_empty();
    test_code_points();
    test_short_sequences();
    test_long_sequences();
    test_ascii();
    test_mixed();
    test_cuts();
    for (int way = 0; way_take(way); way++) {
        test_blocks();
        test_random();
    }
    return test_finish();
}
