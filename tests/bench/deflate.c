/* cc -O2 -o deflate tests/bench/deflate.c -lz
   The compressor against zlib at levels 1 and 6: the same texts, in turns within one run, the best of several.
   `fast` stands against zlib's level 1, `good` against its level 6. A row tells how many MB/s of text ours takes, which
   part of the size is left, and both as quotients to zlib's: above 1.00 ours is faster, at most 1.000 ours is smaller.
   `deflate json 1024 takeover fast 1000` compresses a thousand messages once, with ours alone: for callgrind. */
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#include <stdio.h>
#include <time.h>
#include <zlib.h>

enum { TEXT = 4 << 20, ROUNDS = 9 };

static uint8_t text[TEXT], packed[TEXT * 2];
static uint32_t state;

static uint32_t below(uint32_t number) {
    state = state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state >> 8) * number >> 24);
}

static const char *const words[] = {
    "the", "of", "and", "a", "to", "in", "that", "it", "was", "he", "for", "on", "with", "his", "as", "at", "by", "had",
    "not", "but", "from", "they", "which", "said", "there", "when", "water", "people", "house", "morning", "would",
    "together", "another", "between", "remember", "question", "thought", "garden", "letter", "window", "evening",
    "country", "something", "children", "against", "through", "market", "river", "station", "company", "number",
    "because", "always", "winter", "mountain", "language", "picture", "machine", "silence", "answer", "history",
    "weather", "journey", "captain", "village", "kitchen", "teacher", "doctor", "father", "mother", "brother", "sister",
    "money", "paper", "voice", "light", "night", "world", "field", "stone", "horse", "street", "corner", "table",
    "door", "hand", "face", "road", "year", "day", "place", "work", "week", "case", "point", "government", "group",
    "problem", "fact", "system", "program", "hour", "game", "line", "end", "member", "law", "car", "city", "community",
    "name", "president", "team", "minute", "idea", "body", "information", "nothing", "ago", "right", "social", "black",
};

/* Rare words are many and common ones few, as in a language. */
static const char *word(void) {
    uint32_t count = sizeof words / sizeof *words, most = 1 + below(count);
    return words[below(1 + below(most))];
}

static size_t english(char *at) {
    size_t size = 0;
    uint32_t i, count = 5 + below(14);
    for (i = 0; i < count; i++) {
        size += (size_t)sprintf(at + size, "%s%s%s", i ? " " : "", word(), i && i + 1 < count && !below(9) ? "," : "");
        if (!below(12)) /* a name, or a word that is not in the list */
            size += (size_t)sprintf(at + size, " %c%c%c%c%c", 'a' + (int)below(26), 'a' + (int)below(26),
                                    'a' + (int)below(26), 'a' + (int)below(26), 'a' + (int)below(26));
    }
    at[0] = (char)(at[0] - 'a' + 'A');
    return size + (size_t)sprintf(at + size, below(6) ? ". " : ".\n\n");
}

static size_t json(char *at) {
    return (size_t)sprintf(at,
                           "{\"id\":%u,\"user\":\"%s%u\",\"room\":\"%s\","
                           "\"time\":\"2024-%02u-%02uT%02u:%02u:%02u.%03uZ\","
                           "\"active\":%s,\"score\":%u.%02u,\"tags\":[\"%s\",\"%s\"],\"text\":\"%s %s %s %s\"},",
                           100000 + below(900000), word(), below(100), word(), 1 + below(12), 1 + below(28), below(24),
                           below(60), below(60), below(1000), below(2) ? "true" : "false", below(1000), below(100),
                           word(), word(), word(), word(), word(), word());
}

static size_t html(char *at) {
    size_t size = (size_t)sprintf(at, "<li class=\"item %s\" id=\"item-%u\"><a href=\"/%s/%u\">", word(), below(10000),
                                  word(), below(10000));
    size += english(at + size);
    return size + (size_t)sprintf(at + size, "</a> <span class=\"count\">%u</span></li>\n", below(1000));
}

static void write_text(const char *kind) {
    static char piece[10000];
    size_t size, at = 0;
    for (state = 1; at < TEXT; at += size) {
        size = *kind == 'j' ? json(piece) : *kind == 'e' ? english(piece) : html(piece);
        size = size < TEXT - at ? size : TEXT - at;
        memcpy(text + at, piece, size);
    }
}

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
    static const char *const kinds[] = {"json", "english", "html"};
    static const size_t messages[] = {1 << 10, 1 << 14, 1 << 20};
    int kind, message, takeover, level;
    if (argc == 6) {
        write_text(argv[1]);
        (void)ours(make(*argv[4] == 'f' ? 1 : 6, *argv[3] == 't'), (size_t)atol(argv[2]), (size_t)atol(argv[5]));
        return 0;
    }
    printf("text      message                      MB/s     left  speed/zlib size/zlib\n");
    for (level = 1; level <= 6; level += 5)
        for (kind = 0; kind < 3; kind++)
            for (message = 0, write_text(kinds[kind]); message < 3; message++)
                for (takeover = 0; takeover < 2; takeover++)
                    row(kinds[kind], messages[message], takeover, level);
    return 0;
}
