/* Decompression by ws.h and by zlib, and, with -DZLIB_NG -lz-ng and -DLIBDEFLATE -ldeflate, by zlib-ng and libdeflate
   (which has no takeover), side by side in one run: 1 MiB in messages of one size, which all differ, as else the
   processor learns the one message by heart. Each is a raw stream of its own; or, with takeover, reaches back into
   those before it, which for ws.h lie ready as its history.
   cc -O2 tests/bench/inflate.c -o inflate -lz && ./inflate
   Prints MB/s of output, CPU time, the best of several interleaved turns, and how many times as fast as each other one
   ours is. For callgrind: ./inflate ws|zlib|n (zlib-ng)|libdeflate KIND SIZE LEVEL TURNS decompresses by one of them
   only; KIND 0 JSON, 1 text, 2 HTML; add 3 for takeover. */
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#include <stdio.h>
#include <time.h>
#include <zlib.h>
#ifdef ZLIB_NG /* its header and zlib's exclude each other; where long has 64 bits the streams are the same */
int zng_inflateInit2(z_stream *stream, int bits);
int zng_inflateReset(z_stream *stream);
int zng_inflate(z_stream *stream, int flush);
#endif
#ifdef LIBDEFLATE
#include <libdeflate.h>
#endif

enum { TURNS = 25, ALL = 1 << 20, SMALLEST = 256, TAIL = 4, FINAL = 2, OTHERS = 3 };

static uint8_t documents[ALL + 4096], packed[ALL * 2], result[ALL + 512];
static size_t size, count, ends[ALL / SMALLEST + 1]; /* of a message; message i ends at packed[ends[i + 1]]: with the
                                                        four bytes of its flush, and an empty last block */
static bool takeover;
static uint32_t seed;

static uint32_t next_random(uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static const char *word(void) {
    static const char *const words[] = {
        "the", "of", "and", "to", "in", "a", "is", "that", "it", "was", "for", "on", "are", "with", "as", "his",
        "they", "be", "at", "one", "have", "this", "from", "by", "hot", "but", "some", "what", "there", "we",
        "can", "out", "other", "were", "all", "your", "when", "up", "use", "how", "said", "an", "each", "she",
        "which", "their", "time", "will", "way", "about", "many", "then", "them", "would", "write", "like",
        "message", "connection", "server", "browser", "morning", "river", "mountain", "between", "thought",
        "children", "question", "remember", "different", "something", "together", "yesterday", "window",
    };
    uint32_t all = sizeof words / sizeof *words, a = next_random(all), b = next_random(all);
    return words[a < b ? a : b]; /* the first ones more often */
}

static size_t json(char *to, size_t room) {
    return (size_t)snprintf(to, room,
        "{\"id\":%u,\"user\":\"%s%u\",\"type\":\"%s\",\"time\":\"2026-%02u-%02uT%02u:%02u:%02uZ\",\"price\":%u.%02u,"
        "\"active\":%s,\"tags\":[\"%s\",\"%s\"],\"text\":\"%s %s %s\"},\n",
        next_random(1000000), word(), next_random(1000), next_random(3) ? "message" : "presence", next_random(12) + 1,
        next_random(28) + 1, next_random(24), next_random(60), next_random(60), next_random(1000), next_random(100),
        next_random(2) ? "true" : "false", word(), word(), word(), word(), word());
}

static size_t text(char *to, size_t room) {
    uint32_t i, words = 4 + next_random(12);
    size_t made = 0;
    for (i = 0; i < words; i++)
        made += (size_t)snprintf(to + made, room - made, "%s%s", i ? next_random(9) ? " " : ", " : "", word());
    to[0] = (char)(to[0] - 'a' + 'A');
    return made + (size_t)snprintf(to + made, room - made, next_random(5) ? ". " : ".\n");
}

static size_t html(char *to, size_t room) {
    return (size_t)snprintf(to, room,
        "<li class=\"entry %s\" id=\"entry-%u\"><a href=\"/%s/%s/%u\">%s %s</a>"
        "<span class=\"when\">%02u:%02u</span><p>%s %s %s %s %s</p></li>\n",
        next_random(2) ? "odd" : "even", next_random(100000), word(), word(), next_random(1000), word(), word(),
        next_random(24), next_random(60), word(), word(), word(), word(), word());
}

static void make(int kind, size_t message, int level) {
    static size_t (*const makers[3])(char *, size_t) = {json, text, html};
    z_stream stream;
    size_t i, made;
    takeover = kind > 2;
    seed = (uint32_t)kind % 3 + 1;
    for (made = 0; made < ALL;)
        made += makers[kind % 3]((char *)documents + made, 4096);
    size = message;
    count = ALL / size;
    memset(&stream, 0, sizeof stream);
    if (deflateInit2(&stream, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    for (i = 0; i < count; i++) {
        stream.next_in = documents + i * size;
        stream.avail_in = (uInt)size;
        stream.next_out = packed + ends[i];
        stream.avail_out = (uInt)(sizeof packed - ends[i]);
        if (deflate(&stream, Z_SYNC_FLUSH) != Z_OK)
            abort();
        ends[i + 1] = sizeof packed - stream.avail_out + FINAL;
        memcpy(packed + ends[i + 1] - FINAL, "\x03", FINAL);
        if (!takeover)
            (void)deflateReset(&stream);
    }
    (void)deflateEnd(&stream);
}

static z_stream theirs;
static wsi_inflate ours;

static void by_either(z_stream *stream, size_t i, int (*reset)(z_stream *), int (*run)(z_stream *, int)) {
    if ((!takeover || !i) && reset(stream) != Z_OK)
        abort();
    stream->next_in = packed + ends[i];
    stream->avail_in = (uInt)(ends[i + 1] - ends[i] - FINAL);
    stream->next_out = result;
    stream->avail_out = sizeof result;
    if (run(stream, Z_SYNC_FLUSH) != Z_OK || sizeof result - stream->avail_out != size)
        abort();
}

static void by_zlib(size_t i) { by_either(&theirs, i, inflateReset, inflate); }

#ifdef ZLIB_NG
static z_stream theirs_ng;

static void by_zlib_ng(size_t i) { by_either(&theirs_ng, i, zng_inflateReset, zng_inflate); }
#endif

#ifdef LIBDEFLATE
static struct libdeflate_decompressor *libdeflate;

static void by_libdeflate(size_t i) {
    if (libdeflate_deflate_decompress(libdeflate, packed + ends[i], ends[i + 1] - ends[i], result, size, NULL)
        != LIBDEFLATE_SUCCESS)
        abort();
}
#endif

static const struct { const char *name; void (*run)(size_t i); } others[OTHERS] = {
    {"zlib", by_zlib},
#ifdef ZLIB_NG
    {"n", by_zlib_ng},
#else
    {"n", NULL},
#endif
#ifdef LIBDEFLATE
    {"libdeflate", by_libdeflate},
#else
    {"libdeflate", NULL},
#endif
};

/* As the engine does: the message, then the four bytes of its tail. */
static void by_ws(size_t i) {
    wsi_inflate_io io;
    memset(&io, 0, sizeof io);
    io.in = packed + ends[i];
    io.in_size = ends[i + 1] - ends[i] - TAIL - FINAL;
    if (takeover) {
        io.history_size = i * size < 32768 ? i * size : 32768;
        io.history = documents + i * size - io.history_size;
    }
    io.out = result;
    io.out_capacity = sizeof result;
    io.window = 32768;
    wsi_inflate_start(&ours);
    if (wsi_inflate_run(&ours, &io) != WSI_INFLATE_INPUT)
        abort();
    io.in_size = TAIL;
    if (wsi_inflate_run(&ours, &io) != WSI_INFLATE_INPUT || io.out_size != size || !wsi_inflate_ended(&ours))
        abort();
}

static double seconds(void (*work)(size_t)) {
    clock_t start = clock();
    for (size_t i = 0; i < count; i++)
        work(i);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

static void compare(int kind, size_t message, int level) {
    static const char *const names[6] = {"JSON", "text", "HTML", "JSON, takeover", "text, takeover",
                                         "HTML, takeover"};
    double best[OTHERS + 1] = {1e9, 1e9, 1e9, 1e9};
    int turn, i;
    make(kind, message, level);
    for (turn = 0; turn < TURNS; turn++)
        for (i = 0; i <= OTHERS; i++) {
            void (*run)(size_t) = i == OTHERS ? by_ws : others[i].run;
            if (!run || (takeover && i == 2))
                continue;
            double took = seconds(run);
            if (memcmp(result, documents + (count - 1) * size, size) != 0)
                abort();
            best[i] = took < best[i] ? took : best[i];
        }
    printf("%-14s %7zu bytes, level %d to %2.0f %%: ws.h %5.0f MB/s", names[kind], size, level,
           (double)ends[count] / (double)(count * size) * 100, (double)(count * size) / best[OTHERS] / 1e6);
    for (i = 0; i < OTHERS; i++)
        if (best[i] < 1e9)
            printf("%s %.2f", i == 0 ? ", zlib" : i == 1 ? ", zlib-ng" : ", libdeflate", best[i] / best[OTHERS]);
    printf("\n");
}

int main(int argc, char **argv) {
    static const size_t sizes[] = {1024, 16384, ALL};
    size_t i;
    int kind;
    if (inflateInit2(&theirs, -15) != Z_OK)
        return 1;
#ifdef ZLIB_NG
    if (zng_inflateInit2(&theirs_ng, -15) != Z_OK)
        return 1;
#endif
#ifdef LIBDEFLATE
    libdeflate = libdeflate_alloc_decompressor();
#endif
    if (argc == 6) {
        void (*run)(size_t) = by_ws;
        make(atoi(argv[2]), (size_t)atol(argv[3]), atoi(argv[4]));
        for (i = 0; i < OTHERS; i++)
            if (others[i].run && !strcmp(argv[1], others[i].name))
                run = others[i].run;
        for (i = 0; i < (size_t)atol(argv[5]); i++)
            (void)seconds(run);
        return 0;
    }
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (kind = 0; kind < (sizes[i] < ALL ? 6 : 3); kind++) {
            compare(kind, sizes[i], 6);
            compare(kind, sizes[i], 1);
        }
    return 0;
}
