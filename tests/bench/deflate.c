/* cc -O2 -o deflate tests/bench/deflate.c -lz
   The compressor against zlib, and, with -DZLIB_NG -lz-ng and -DLIBDEFLATE -ldeflate, against zlib-ng and libdeflate
   (which has no takeover and no flush) at the same level: the same texts, in turns within one run, the best of several,
   CPU time. A row tells how many MB/s of text ours takes, which part of the size is left, and both as quotients to each
   of the others: above 1.00 ours is faster, at most 1.000 ours is smaller. Level 0 of ours stands against level 1 of
   theirs, as theirs compresses nothing.
   `deflate 6` is the rows of one level. `deflate json 1024 takeover 1 4` compresses the text four times with ours
   alone: for callgrind; a sixth argument names another compressor. */
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#include "../helpers/deflate_texts.h"

#include <stdio.h>
#include <time.h>
#include <zlib.h>
#ifdef ZLIB_NG /* its header and zlib's exclude each other; where long has 64 bits the streams are the same */
int zng_deflateInit2(z_stream *stream, int level, int method, int bits, int memory, int strategy);
int zng_deflateReset(z_stream *stream);
int zng_deflate(z_stream *stream, int flush);
#endif
#ifdef LIBDEFLATE
#include <libdeflate.h>
#endif

enum { TEXT = 4 << 20, ROUNDS = 7, OTHERS = 3 };

static uint8_t text[TEXT], packed[TEXT * 2];

/* Each compresses all of the text in messages of this size, and returns how large it has become. */
typedef size_t compressor(void *state, size_t message, size_t count, bool takeover);

static size_t ours(void *state, size_t message, size_t count, bool takeover) {
    size_t i, total = 0;
    (void)takeover;
    for (i = 0; i < count; i++) {
        size_t size = wsi_deflate_run((wsi_deflate *)state, text + i * message, message, packed, sizeof packed);
        if (!size)
            abort();
        total += size - 4;
    }
    return total;
}

typedef struct zlib {
    z_stream stream;
    int (*reset)(z_stream *stream);
    int (*run)(z_stream *stream, int flush);
} zlib;

static size_t by_zlib(void *state, size_t message, size_t count, bool takeover) {
    zlib *z = (zlib *)state;
    size_t i, total = 0;
    for (i = 0; i < count; i++) {
        if (!takeover && z->reset(&z->stream) != Z_OK)
            abort();
        z->stream.next_in = text + i * message;
        z->stream.avail_in = (uInt)message;
        z->stream.next_out = packed;
        z->stream.avail_out = (uInt)sizeof packed;
        if (z->run(&z->stream, Z_SYNC_FLUSH) != Z_OK || z->stream.avail_in)
            abort();
        total += sizeof packed - z->stream.avail_out - 4;
    }
    return total;
}

static void *make_zlib(int level) {
    zlib *z = (zlib *)calloc(1, sizeof *z);
    if (!z || deflateInit2(&z->stream, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    z->reset = deflateReset;
    z->run = deflate;
    return z;
}

#ifdef ZLIB_NG
static void *make_zlib_ng(int level) {
    zlib *z = (zlib *)calloc(1, sizeof *z);
    if (!z || zng_deflateInit2(&z->stream, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    z->reset = zng_deflateReset;
    z->run = zng_deflate;
    return z;
}
#endif

#ifdef LIBDEFLATE
static size_t by_libdeflate(void *state, size_t message, size_t count, bool takeover) {
    size_t i, total = 0;
    for (i = 0; i < count && !takeover; i++)
        total += libdeflate_deflate_compress((struct libdeflate_compressor *)state, text + i * message, message, packed,
                                             sizeof packed);
    return total;
}

static void *make_libdeflate(int level) { return libdeflate_alloc_compressor(level); }
#endif

static const struct { const char *name; compressor *run; void *(*make)(int level); } others[OTHERS] = {
    {"zlib", by_zlib, make_zlib},
#ifdef ZLIB_NG
    {"zlib-ng", by_zlib, make_zlib_ng},
#else
    {"zlib-ng", NULL, NULL},
#endif
#ifdef LIBDEFLATE
    {"libdeflate", by_libdeflate, make_libdeflate},
#else
    {"libdeflate", NULL, NULL},
#endif
};

static wsi_deflate *make(int level, bool takeover) {
    wsi_deflate *z = (wsi_deflate *)malloc(wsi_deflate_size(level, 15, takeover));
    if (!z)
        abort();
    wsi_deflate_init(z, level, 15, takeover);
    return z;
}

static void turn(compressor *run, void *state, size_t message, bool takeover, double *best, size_t *size) {
    clock_t start = clock();
    *size = run(state, message, TEXT / message, takeover);
    double took = (double)(clock() - start) / CLOCKS_PER_SEC;
    *best = took < *best ? took : *best;
}

static void row(const char *kind, size_t message, bool takeover, int level) {
    double best[OTHERS + 1] = {1e9, 1e9, 1e9, 1e9};
    size_t sizes[OTHERS + 1] = {0};
    void *states[OTHERS], *z = make(level, takeover);
    int round, i;
    for (i = 0; i < OTHERS; i++)
        states[i] = others[i].make ? others[i].make(level ? level : 1) : NULL;
    for (round = 0; round < ROUNDS; round++) {
        turn(ours, z, message, takeover, &best[OTHERS], &sizes[OTHERS]);
        for (i = 0; i < OTHERS; i++)
            if (states[i])
                turn(others[i].run, states[i], message, takeover, &best[i], &sizes[i]);
    }
    printf("%-8s %8zu  %-9s %5d %8.1f %8.3f", kind, message, takeover ? "takeover" : "alone", level,
           TEXT / best[OTHERS] * 1e-6, (double)sizes[OTHERS] / TEXT);
    for (i = 0; i < OTHERS; i++)
        if (sizes[i])
            printf("    %5.2f %6.3f", best[i] / best[OTHERS], (double)sizes[OTHERS] / (double)sizes[i]);
        else
            printf("        -      -");
    printf("\n");
    free(z); /* those of the others live on */
}

int main(int argc, char **argv) {
    static const size_t messages[] = {1 << 10, 1 << 14, 1 << 20};
    static const int levels[] = {0, 1, 6};
    int kind, message, takeover, level;
    if (argc > 5) {
        compressor *run = ours;
        void *state = make(atoi(argv[4]), *argv[3] == 't');
        text_written(*argv[1] == 'j' ? 0 : *argv[1] == 'e' ? 1 : 2, text, TEXT);
        for (int i = 0; i < OTHERS && argc > 6; i++)
            if (others[i].run && !strcmp(others[i].name, argv[6])) {
                run = others[i].run;
                state = others[i].make(atoi(argv[4]));
            }
        for (int i = atoi(argv[5]); i > 0; i--)
            (void)run(state, (size_t)atol(argv[2]), TEXT / (size_t)atol(argv[2]), *argv[3] == 't');
        return 0;
    }
    printf("text      message           level     MB/s     left  speed/zlib  size  /zlib-ng  size  /libdeflate  "
           "size\n");
    for (level = 0; level < 3; level++)
        for (kind = 0; kind < TEXT_WRITTEN && (argc < 2 || atoi(argv[1]) == levels[level]); kind++)
            for (message = 0, text_written((unsigned)kind, text, TEXT); message < 3; message++)
                for (takeover = 0; takeover < 2; takeover++)
                    row(text_written_names[kind], messages[message], takeover, levels[level]);
    return 0;
}
