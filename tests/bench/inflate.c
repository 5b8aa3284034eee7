/* Decompression by ws.h and by zlib, side by side in one run: 1 MiB in messages of one size, which all
   differ, as else the processor learns the one message by heart. Each is a raw stream of its own; or, with
   takeover, reaches back into those before it, which for ws.h lie ready as its history.
   cc -O2 tests/bench/inflate.c -o inflate -lz && ./inflate
   Prints MB/s of output, the best of several interleaved turns, and the ratio. For callgrind:
   ./inflate ws|zlib KIND SIZE LEVEL TURNS decompresses by one of them only; KIND 0 JSON, 1 text, 2 HTML;
   add 3 for takeover. */
#define _POSIX_C_SOURCE 200809L
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#include <stdio.h>
#include <time.h>
#include <zlib.h>

enum { TURNS = 25, ALL = 1 << 20, SMALLEST = 256 };

static uint8_t documents[ALL + 4096], packed[ALL * 2], result[ALL + 512];
static size_t size, count, ends[ALL / SMALLEST + 1]; /* of a message; message i ends at packed[ends[i + 1]] */
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
        ends[i + 1] = sizeof packed - stream.avail_out;
        if (!takeover)
            (void)deflateReset(&stream);
    }
    (void)deflateEnd(&stream);
}

static z_stream theirs;
static wsi_inflate ours;

static void by_zlib(size_t i) {
    if ((!takeover || !i) && inflateReset(&theirs) != Z_OK)
        abort();
    theirs.next_in = packed + ends[i];
    theirs.avail_in = (uInt)(ends[i + 1] - ends[i]);
    theirs.next_out = result;
    theirs.avail_out = sizeof result;
    if (inflate(&theirs, Z_SYNC_FLUSH) != Z_OK || sizeof result - theirs.avail_out != size)
        abort();
}

/* As the engine does: the message, then the four bytes of its tail. */
static void by_ws(size_t i) {
    wsi_inflate_io io;
    memset(&io, 0, sizeof io);
    io.in = packed + ends[i];
    io.in_size = ends[i + 1] - ends[i] - 4;
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
    io.in_size = 4;
    if (wsi_inflate_run(&ours, &io) != WSI_INFLATE_INPUT || io.out_size != size || !wsi_inflate_ended(&ours))
        abort();
}

static double seconds(void (*work)(size_t)) {
    struct timespec a, b;
    size_t i;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (i = 0; i < count; i++)
        work(i);
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
}

static void compare(int kind, size_t message, int level) {
    static const char *const names[6] = {"JSON", "text", "HTML", "JSON, takeover", "text, takeover",
                                         "HTML, takeover"};
    double best[2] = {1e9, 1e9};
    int turn;
    make(kind, message, level);
    for (turn = 0; turn < TURNS; turn++) {
        double a = seconds(by_ws), b;
        if (memcmp(result, documents + (count - 1) * size, size) != 0)
            abort();
        b = seconds(by_zlib);
        best[0] = a < best[0] ? a : best[0];
        best[1] = b < best[1] ? b : best[1];
    }
    printf("%-14s %7zu bytes, level %d to %2.0f %%: ws.h %5.0f MB/s, zlib %5.0f MB/s, ratio %.2f\n", names[kind], size,
           level, (double)ends[count] / (double)(count * size) * 100, (double)(count * size) / best[0] / 1e6,
           (double)(count * size) / best[1] / 1e6, best[1] / best[0]);
}

int main(int argc, char **argv) {
    static const size_t sizes[] = {1024, 16384, ALL};
    size_t i;
    int kind;
    if (inflateInit2(&theirs, -15) != Z_OK)
        return 1;
    if (argc == 6) {
        make(atoi(argv[2]), (size_t)atol(argv[3]), atoi(argv[4]));
        for (i = 0; i < (size_t)atol(argv[5]); i++)
            (void)seconds(argv[1][0] == 'w' ? by_ws : by_zlib);
        return 0;
    }
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (kind = 0; kind < (sizes[i] < ALL ? 6 : 3); kind++) {
            compare(kind, sizes[i], 6);
            compare(kind, sizes[i], 1);
        }
    return 0;
}
