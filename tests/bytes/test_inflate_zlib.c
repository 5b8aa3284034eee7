/* INFLATE reads what zlib compresses, with all its levels, strategies, windows and flushes; and broken streams,
   on which both must agree. Needs zlib. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"

#ifdef __has_include
#if __has_include(<zlib.h>)
#include <zlib.h>
#endif
#endif

#ifdef ZLIB_VERSION

enum { ROOM = 1 << 18 };

static uint8_t document[ROOM], packed[2 * ROOM], out[ROOM];
static wsi_inflate ours;
static uint32_t seed = 1;

static uint32_t next_random(uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* Noise, few letters, repetitions near and far, runs, and mixtures of these. */
static void make_document(size_t size) {
    size_t i = 0;
    uint32_t kind = next_random(6);
    while (i < size) {
        size_t part = 1 + next_random(kind == 4 ? 2000 : 40), k;
        size_t back = i ? 1 + next_random((uint32_t)(kind == 2 && i > 30 ? 30 : i)) : 0;
        uint32_t what = kind == 5 ? next_random(5) : kind;
        for (k = 0; k < part && i < size; k++, i++)
            document[i] = (uint8_t)(what == 0 ? next_random(256) : what == 1 ? 'a' + next_random(9)
                                    : back && (what < 4 || k) ? document[what == 4 ? i - 1 : i - back]
                                    : next_random(256));
    }
}

/* Compresses `size` bytes in messages whose ends are flushed in different ways. `last` is the flush of the last one. */
static size_t compress_document(size_t size, int level, int strategy, int window, int memory, int last) {
    static const int flushes[] = {Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK};
    z_stream stream;
    size_t done = 0;
    memset(&stream, 0, sizeof stream);
    CHECK_EQ(deflateInit2(&stream, level, Z_DEFLATED, -window, memory, strategy), Z_OK);
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    while (done < size) {
        size_t part = 1 + next_random((uint32_t)(size / 3 + 10));
        part = part < size - done ? part : size - done;
        stream.next_in = document + done;
        stream.avail_in = (uInt)part;
        CHECK_EQ(deflate(&stream, flushes[next_random(5)]), Z_OK);
        done += part;
    }
    (void)deflate(&stream, last);
    done = sizeof packed - stream.avail_out;
    (void)deflateEnd(&stream);
    return done;
}

typedef struct verdict {
    wsi_inflate_result result;
    size_t size, left;
} verdict;

/* Input in pieces of at most in_step bytes, output in pieces of out_step; 0: all at once. */
static verdict by_ours(size_t size, size_t window, size_t in_step, size_t out_step) {
    wsi_inflate_io io;
    verdict found;
    size_t at = 0;
    memset(&io, 0, sizeof io);
    io.out = out;
    io.window = window;
    wsi_inflate_start(&ours);
    for (;;) {
        size_t part = in_step && in_step < size - at ? in_step : size - at, room = sizeof out - io.out_size;
        io.in = packed + at;
        io.in_size = part;
        io.out_capacity = io.out_size + (out_step && out_step < room ? out_step : room);
        found.result = wsi_inflate_run(&ours, &io);
        at += part - io.in_size;
        if (found.result == WSI_INFLATE_DONE || found.result == WSI_INFLATE_BAD
            || (found.result == WSI_INFLATE_INPUT && at == size)
            || (found.result == WSI_INFLATE_OUTPUT && io.out_size == sizeof out))
            break;
    }
    found.size = io.out_size;
    found.left = size - at;
    return found;
}

static void check_round(size_t size, size_t packed_size, size_t window, int last) {
    int turn;
    for (turn = 0; turn < 3; turn++) {
        size_t in_step = turn == 1 ? 1 + next_random(20) : 0, out_step = turn == 2 ? 1 + next_random(300) : 0;
        verdict found = by_ours(packed_size, window, in_step, out_step);
        CHECK_EQ(found.result, last == Z_FINISH ? WSI_INFLATE_DONE : WSI_INFLATE_INPUT);
        CHECK_EQ(found.left, 0);
        CHECK(wsi_inflate_ended(&ours));
        CHECK_MEM(out, found.size, document, size);
        memset(out, 0, size);
    }
}

static void test_rounds(void) {
    int level, strategy, window;
    for (level = 0; level <= 9; level++)
        for (strategy = Z_DEFAULT_STRATEGY; strategy <= Z_FIXED; strategy++) {
            if (!test_begin("level %d, strategy %d", level, strategy))
                continue;
            for (window = 9; window <= 15; window++) {
                int times;
                for (times = 0; times < 30; times++) { /* 10,500 documents in all */
                    size_t size = next_random(times == 0 ? 150000 : times < 4 ? 20000 : 1500);
                    int last = next_random(2) ? Z_FINISH : Z_SYNC_FLUSH;
                    make_document(size);
                    check_round(size, compress_document(size, level, strategy, window, 1 + times % 9, last),
                                (size_t)1 << window, last);
                }
            }
        }
}

/* The input in pieces of every size, so that its first cut is at every byte. */
static void test_cuts(void) {
    int level;
    for (level = 0; level <= 9; level++) {
        size_t size = 300 + next_random(3000), packed_size, cut;
        if (!test_begin("cut at every byte, level %d", level))
            continue;
        make_document(size);
        packed_size = compress_document(size, level, Z_DEFAULT_STRATEGY, 15, 8, Z_FINISH);
        for (cut = 1; cut <= packed_size; cut++) {
            verdict found = by_ours(packed_size, 32768, cut, cut % 7 ? 0 : cut);
            CHECK_EQ(found.result, WSI_INFLATE_DONE);
            CHECK_MEM(out, found.size, document, size);
        }
    }
}

/* One compressor, one decompressor, many messages. Each may refer to earlier ones (RFC 7692 7.2.3.2). */
static void test_takeover(void) {
    int window;
    for (window = 9; window <= 15; window++) {
        z_stream stream;
        size_t begin = 0, message;
        if (!test_begin("messages that refer to earlier ones, window bits %d", window))
            continue;
        make_document(ROOM);
        memset(&stream, 0, sizeof stream);
        CHECK_EQ(deflateInit2(&stream, 6, Z_DEFLATED, -window, 8, Z_DEFAULT_STRATEGY), Z_OK);
        for (message = 0; message < 60; message++) {
            size_t size = next_random(4000), room = (size_t)1 << window;
            wsi_inflate_io io;
            stream.next_in = document + begin;
            stream.avail_in = (uInt)size;
            stream.next_out = packed;
            stream.avail_out = sizeof packed;
            CHECK_EQ(deflate(&stream, Z_SYNC_FLUSH), size ? Z_OK : Z_BUF_ERROR);
            memset(&io, 0, sizeof io);
            io.in = packed;
            io.in_size = sizeof packed - stream.avail_out;
            io.out = out;
            io.out_capacity = size;
            io.window = room;
            io.history_size = begin < room ? begin : room;
            io.history = document + begin - io.history_size;
            wsi_inflate_start(&ours);
            CHECK_EQ(wsi_inflate_run(&ours, &io), WSI_INFLATE_INPUT);
            CHECK_MEM(out, io.out_size, document + begin, size);
            CHECK(wsi_inflate_ended(&ours));
            begin += size;
        }
        (void)deflateEnd(&stream);
    }
}

static verdict by_zlib(size_t size, uint8_t *to) {
    z_stream stream;
    verdict found;
    int result;
    memset(&stream, 0, sizeof stream);
    CHECK_EQ(inflateInit2(&stream, -15), Z_OK);
    stream.next_in = packed;
    stream.avail_in = (uInt)size;
    stream.next_out = to;
    stream.avail_out = sizeof out;
    result = inflate(&stream, Z_SYNC_FLUSH);
    found.result = result == Z_STREAM_END ? WSI_INFLATE_DONE : result == Z_DATA_ERROR ? WSI_INFLATE_BAD
                   : stream.avail_out ? WSI_INFLATE_INPUT : WSI_INFLATE_OUTPUT;
    found.size = sizeof out - stream.avail_out;
    found.left = stream.avail_in;
    (void)inflateEnd(&stream);
    return found;
}

/* Streams with flipped bits, and noise: both decoders accept or refuse them after the same output. */
static void test_broken(void) {
    static uint8_t theirs[ROOM];
    int times, good = 0, bad = 0;
    if (!test_begin("broken streams"))
        return;
    for (times = 0; times < 20000; times++) {
        size_t size = 1 + next_random(400), packed_size, k;
        verdict a, b, c;
        make_document(size);
        packed_size = compress_document(size, (int)next_random(10), (int)next_random(4), 15, 8, Z_FINISH);
        for (k = next_random(4); k--;)
            packed[next_random((uint32_t)(times & 1 || packed_size < 60 ? packed_size : 60))] ^=
                (uint8_t)(1 << next_random(8));
        if (times % 10 == 0)
            for (k = 0; k < packed_size; k++)
                packed[k] = (uint8_t)(k ? next_random(256) : 5); /* a dynamic block */
        a = by_ours(packed_size, 32768, 0, 0);
        b = by_zlib(packed_size, theirs);
        if (a.result == WSI_INFLATE_BAD && b.result == WSI_INFLATE_INPUT) { /* no codes for lengths at all: */
            memset(packed + packed_size, 0, 64);                            /* zlib notices the missing end later */
            b = by_zlib(packed_size + 64, theirs);
        }
        CHECK_EQ(a.result, b.result);
        CHECK_MEM(out, a.size, theirs, b.size);
        if (a.result != WSI_INFLATE_BAD)
            CHECK_EQ(a.left, b.left);
        c = by_ours(packed_size, 32768, 1 + next_random(3), 1 + next_random(3));
        CHECK_EQ(a.result, c.result);
        CHECK_MEM(out, c.size, theirs, b.size);
        good += a.result == WSI_INFLATE_DONE;
        bad += a.result == WSI_INFLATE_BAD;
    }
    CHECK(good > 1000);
    CHECK(bad > 1000);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_rounds();
    test_cuts();
    test_takeover();
    test_broken();
    return test_finish();
}

#else

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("zlib");
    test_skip("needs zlib's header");
    return test_finish();
}

#endif
