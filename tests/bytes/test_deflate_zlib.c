/* DEFLATE: zlib reads what the compressor writes. Needs zlib. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/deflate_texts.h"
#include "../helpers/test.h"

#if defined(__has_include)
#if __has_include(<zlib.h>)
#define HAS_ZLIB
#include <zlib.h>
#endif
#endif

#ifdef HAS_ZLIB

enum { LARGEST = 3 << 20 };

static uint8_t text[LARGEST], packed[LARGEST + LARGEST / 64], unpacked[LARGEST];

static void open_reader(z_stream *reader, int bits) {
    memset(reader, 0, sizeof *reader);
    if (inflateInit2(reader, bits == 8 ? -9 : -bits) != Z_OK) /* raw; zlib has no window of 256 bytes */
        abort();
}

static bool read_back(z_stream *reader, size_t written, size_t size) {
    int result;
    reader->next_in = packed;
    reader->avail_in = (uInt)written;
    reader->next_out = unpacked;
    reader->avail_out = (uInt)sizeof unpacked;
    result = inflate(reader, Z_SYNC_FLUSH);
    return (result == Z_OK || result == Z_BUF_ERROR) && !reader->avail_in && sizeof unpacked - reader->avail_out == size
           && memcmp(unpacked, text, size) == 0;
}

/* Messages one after another. exact: each lies in a block of exactly its size, for the sanitizer. */
static void exchange(int level, int bits, bool takeover, size_t largest, unsigned count) {
    wsi_deflate *z = (wsi_deflate *)malloc(wsi_deflate_size(level, bits, takeover));
    uint32_t state = (uint32_t)(level * 100 + bits);
    z_stream reader;
    unsigned i;
    if (!z)
        abort();
    wsi_deflate_init(z, level, bits, takeover);
    open_reader(&reader, bits);
    for (i = 0; i < count; i++) {
        size_t size = text_below(&state, (uint32_t)largest), written;
        uint8_t *out = (uint8_t *)malloc(wsi_deflate_bound(size)), *in = (uint8_t *)malloc(size + 1);
        if (!out || !in)
            abort();
        text_make(&state, i % TEXT_KINDS, text, size);
        memcpy(in + 1, text, size); /* at an odd address, and ends where its block ends */
        written = wsi_deflate_run(z, in + 1, size, out, wsi_deflate_bound(size));
        CHECK(written > 4 && written <= wsi_deflate_bound(size));
        memcpy(packed, out, written);
        CHECK(read_back(&reader, written, size));
        if (!takeover) {
            (void)inflateEnd(&reader);
            open_reader(&reader, bits);
        }
        free(out);
        free(in);
    }
    (void)inflateEnd(&reader);
    free(z);
}

static void test_messages(int level, int bits, bool takeover) {
    if (test_begin("zlib reads, level %d, window bits %d, %s", level, bits, takeover ? "takeover" : "alone"))
        exchange(level, bits, takeover, 5000, 200);
    if (test_begin("zlib reads, level %d, window bits %d, %s, long", level, bits, takeover ? "takeover" : "alone"))
        exchange(level, bits, takeover, 300000, 2 * TEXT_KINDS);
}

static void test_large(int level, bool takeover) {
    if (test_begin("zlib reads, level %d, more than a MiB, %s", level, takeover ? "takeover" : "alone"))
        exchange(level, 15, takeover, LARGEST, TEXT_KINDS);
}

/* Compresses the whole text in messages of this size, without their tails, which are not sent. */
static size_t all_of_ours(int level, bool takeover, size_t all, size_t size) {
    wsi_deflate *z = (wsi_deflate *)malloc(wsi_deflate_size(level, 15, takeover));
    size_t at, total = 0;
    if (!z)
        abort();
    wsi_deflate_init(z, level, 15, takeover);
    for (at = 0; at < all; at += size)
        total += wsi_deflate_run(z, text + at, size, packed, sizeof packed) - 4;
    free(z);
    return total;
}

static size_t all_of_zlibs(int level, bool takeover, size_t all, size_t size) {
    z_stream z;
    size_t at, total = 0;
    memset(&z, 0, sizeof z);
    if (deflateInit2(&z, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    for (at = 0; at < all; at += size) {
        if (!takeover)
            (void)deflateReset(&z);
        z.next_in = text + at;
        z.avail_in = (uInt)size;
        z.next_out = packed;
        z.avail_out = (uInt)sizeof packed;
        (void)deflate(&z, Z_SYNC_FLUSH);
        total += sizeof packed - z.avail_out - 4;
    }
    (void)deflateEnd(&z);
    return total;
}

/* The benchmark's demands on sizes, which need no clock. */
static void test_ratio(unsigned kind, size_t size, bool takeover) {
    enum { ALL = 1 << 20 };
    if (!test_begin("%s in messages of %u bytes, %s: no larger than with zlib", text_written_names[kind],
                    (unsigned)size, takeover ? "takeover" : "alone"))
        return;
    text_written(kind, text, ALL);
    CHECK(all_of_ours(1, takeover, ALL, size) <= all_of_zlibs(1, takeover, ALL, size));
    CHECK(all_of_ours(6, takeover, ALL, size) <= all_of_zlibs(6, takeover, ALL, size));
}

int main(int argc, char **argv) {
    static const size_t sizes[] = {1 << 10, 1 << 14, 1 << 20};
    static const int levels[] = {0, 1, 6, 9};
    unsigned takeover, i;
    int bits;
    test_start(argc, argv);
    for (i = 0; i < sizeof levels / sizeof *levels; i++)
        for (takeover = 0; takeover < 2; takeover++) {
            for (bits = 8; bits <= 15; bits++)
                test_messages(levels[i], bits, takeover);
            test_large(levels[i], takeover);
        }
    for (i = 0; i < TEXT_WRITTEN * 3; i++)
        for (takeover = 0; takeover < 2; takeover++)
            test_ratio(i / 3, sizes[i % 3], takeover);
    return test_finish();
}

#else

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("zlib reads the output");
    test_skip("built without zlib");
    return test_finish();
}
#endif
