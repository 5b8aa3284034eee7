/* BYTES: loads and stores of big-endian numbers, and loads of whole words. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"

static void test_load(void) {
    const uint8_t bytes[8] = {0xff, 0x01, 0x80, 0x00, 0x7f, 0xfe, 0x10, 0x02};
    uint64_t wanted = 0;
    size_t count;
    for (count = 0; count <= 8; count++) {
        if (test_begin("load %zu bytes", count))
            CHECK(wsi_bytes_load(bytes, count) == wanted);
        if (count < 8)
            wanted = wanted * 256 + bytes[count];
    }
}

/* A store writes exactly the bytes asked for, highest first. A load then gives the same number. */
static void test_store(void) {
    const uint64_t value = 0x0123456789abcdefu;
    size_t count, i;
    for (count = 0; count <= 8; count++) {
        uint8_t bytes[10];
        if (!test_begin("store %zu bytes", count))
            continue;
        memset(bytes, 0xee, sizeof bytes);
        wsi_bytes_store(bytes + 1, count, value);
        CHECK_EQ(bytes[0], 0xee);
        CHECK_EQ(bytes[count + 1], 0xee);
        for (i = 0; i < count; i++)
            CHECK_EQ(bytes[1 + i], (uint8_t)(value >> (8 * (count - 1 - i))));
        CHECK(wsi_bytes_load(bytes + 1, count) == (count == 8 ? value : value & (((uint64_t)1 << 8 * count) - 1)));
    }
}

static void test_extremes(void) {
    uint8_t bytes[8];
    if (!test_begin("largest and smallest numbers"))
        return;
    wsi_bytes_store(bytes, 8, UINT64_MAX);
    CHECK_MEM(bytes, 8, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    CHECK(wsi_bytes_load(bytes, 8) == UINT64_MAX);
    wsi_bytes_store(bytes, 8, 0);
    CHECK_MEM(bytes, 8, "\0\0\0\0\0\0\0\0", 8);
    wsi_bytes_store(bytes, 2, 1000);
    CHECK_MEM(bytes, 2, "\x03\xe8", 2);
}

static void test_word(void) {
    uint8_t bytes[32];
    size_t i, at;
    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 5);
    for (at = 0; at < 16; at++) {
        uint64_t word;
        if (!test_begin("word from offset %zu", at))
            continue;
        word = wsi_bytes_word(bytes + at);
        CHECK_MEM(&word, 8, bytes + at, 8);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_load();
    test_store();
    test_extremes();
    test_word();
    return test_finish();
}
