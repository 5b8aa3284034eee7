/* cc -O2 -o deflate tests/bench/deflate.c -lz
   The compressor against zlib at levels 1 and 6: the same texts, in turns within one run, the best of several.
   `fast` stands against zlib's level 1, `good` against its level 6. A row tells how many MB/s of text ours takes, which
   part of the size is left, and both as quotients to zlib's: above 1.00 ours is faster, at most 1.000 ours is smaller.
   `deflate json 1024 takeover fast 1000` compresses a thousand messages once, with ours alone: for callgrind. */
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#include "../helpers/deflate_texts.h"

#include <stdio.h>
#include <time.h>
#include <zlib.h>

enum { TEXT = 4 << 20, ROUNDS = 9 };

static uint8_t text[TEXT], packed[TEXT * 2];

static double now(void) {
    struct timespec time;
    (void)timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Compresses all of the text in messages of this size; returns how large it has become. */
static size_t ours(wsi_deflate *z, size_t message, size_t count) {
    size_t i, total = 0;
    for (i = 0; i < count; i++) {
        size_t size = wsi_deflate_run(z, text + i * message, message, packed, sizeof packed);
        if (!size)
            abort();
        total += size - 4;
    }
    return total;
}

static size_t theirs(z_stream *z, size_t message, size_t count, bool takeover) {
    size_t i, total = 0;
    for (i = 0; i < count; i++) {
        if (!takeover && deflateReset(z) != Z_OK)
            abort();
        z->next_in = text + i * message;
        z->avail_in = (uInt)message;
        z->next_out = packed;
        z->avail_out = (uInt)sizeof packed;
        if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in)
            abort();
        total += sizeof packed - z->avail_out - 4;
    }
    return total;
}

static wsi_deflate *make(int level, bool takeover) {
    wsi_deflate *z = (wsi_deflate *)malloc(wsi_deflate_size(level, 15, takeover));
    if (!z)
        abort();
    wsi_deflate_init(z, level, 15, takeover);
    return z;
}

static void row(const char *kind, size_t message, bool takeover, int level) {
    z_stream other;
    wsi_deflate *z = make(level, takeover);
    double best[2] = {1e9, 1e9}, start;
    size_t count = TEXT / message, sizes[2] = {0, 0};
    int i;
    memset(&other, 0, sizeof other);
    if (deflateInit2(&other, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    for (i = 0; i < ROUNDS; i++) {
        start = now();
        sizes[0] = ours(z, message, count);
        best[0] = now() - start < best[0] ? now() - start : best[0];
        start = now();
        sizes[1] = theirs(&other, message, count, takeover);
        best[1] = now() - start < best[1] ? now() - start : best[1];
    }
    printf("%-8s %8zu  %-9s %-5s %8.1f %8.3f %10.2f %9.3f\n", kind, message, takeover ? "takeover" : "alone",
           level == 1 ? "fast" : "good", (double)(count * message) / best[0] * 1e-6,
           (double)sizes[0] / (double)(count * message), best[1] / best[0], (double)sizes[0] / (double)sizes[1]);
    (void)deflateEnd(&other);
    free(z);
}

int main(int argc, char **argv) {
    static const size_t messages[] = {1 << 10, 1 << 14, 1 << 20};
    int kind, message, takeover, level;
    if (argc == 6) {
        text_written(*argv[1] == 'j' ? 0 : *argv[1] == 'e' ? 1 : 2, text, TEXT);
        (void)ours(make(*argv[4] == 'f' ? 1 : 6, *argv[3] == 't'), (size_t)atol(argv[2]), (size_t)atol(argv[5]));
        return 0;
    }
    printf("text      message                      MB/s     left  speed/zlib size/zlib\n");
    for (level = 1; level <= 6; level += 5)
        for (kind = 0; kind < TEXT_WRITTEN; kind++)
            for (message = 0, text_written((unsigned)kind, text, TEXT); message < 3; message++)
                for (takeover = 0; takeover < 2; takeover++)
                    row(text_written_names[kind], messages[message], takeover, level);
    return 0;
}
