/* Documents of all kinds for the tests of the compressor, generated from a number. */
#ifndef DEFLATE_TEXTS_H
#define DEFLATE_TEXTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_KINDS = 10 };

static const char *const text_names[TEXT_KINDS] = {"zeros", "noise", "periodic", "few letters", "copies", "JSON",
                                                   "runs", "noise and runs", "rare letters", "far copies"};

static inline uint32_t text_below(uint32_t *state, uint32_t number) {
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(*state >> 8) * number >> 24);
}

static inline void text_copies(uint32_t *state, uint8_t *out, size_t size, uint32_t furthest) {
    size_t at = 0;
    while (at < size) {
        size_t back = 1 + text_below(state, furthest), count = 3 + text_below(state, text_below(state, 8) ? 20 : 300);
        if (back > at || !text_below(state, 3)) {
            out[at++] = (uint8_t)(' ' + text_below(state, 90));
            continue;
        }
        for (; count && at < size; count--, at++)
            out[at] = out[at - back];
    }
}

static inline void text_json(uint32_t *state, uint8_t *out, size_t size) {
    char record[200];
    size_t at = 0, count;
    for (; at < size; at += count) {
        count = (size_t)sprintf(record, "{\"id\":%u,\"name\":\"user%u\",\"at\":[%u.%u,%u],\"on\":%s},",
                                text_below(state, 100000), text_below(state, 50), text_below(state, 180),
                                text_below(state, 1000), text_below(state, 90),
                                text_below(state, 2) ? "true" : "false");
        count = count < size - at ? count : size - at;
        memcpy(out + at, record, count);
    }
}

static inline void text_runs(uint32_t *state, uint8_t *out, size_t size, uint32_t noise) {
    size_t at = 0, i;
    while (at < size) {
        size_t count = 1 + text_below(state, text_below(state, 4) ? 30 : 3000);
        bool noisy = text_below(state, 100) < noise;
        uint8_t byte = (uint8_t)text_below(state, 256);
        for (i = 0; i < count && at < size; i++)
            out[at++] = noisy ? (uint8_t)text_below(state, 256) : byte;
    }
}

static inline void text_make(uint32_t *state, unsigned kind, uint8_t *out, size_t size) {
    uint32_t some = 1 + text_below(state, 7);
    size_t i;
    switch (kind) {
    case 4: text_copies(state, out, size, 1000); return;
    case 5: text_json(state, out, size); return;
    case 6: text_runs(state, out, size, 0); return;
    case 7: text_runs(state, out, size, 50); return;
    case 9: text_copies(state, out, size, 70000); return;
    default: break;
    }
    for (i = 0; i < size; i++) {
        uint32_t byte = text_below(state, 256);
        out[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? byte : kind == 2 ? 'a' + i % some : byte % (some + 1));
        if (kind == 8) /* each letter is half as frequent as the one before */
            for (byte = 0; byte < 255 && text_below(state, 2); byte++)
                out[i] = (uint8_t)byte;
    }
}

/* --- texts like those that people and programs write, also for the benchmark --- */

enum { TEXT_WRITTEN = 3 };

static const char *const text_written_names[TEXT_WRITTEN] = {"json", "english", "html"};

static const char *const text_words[] = {
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

/* Most words are rare, and a few are common, as in a language. */
static inline const char *text_word(uint32_t *state) {
    uint32_t count = sizeof text_words / sizeof *text_words, most = 1 + text_below(state, count);
    return text_words[text_below(state, 1 + text_below(state, most))];
}

static inline size_t text_english_piece(uint32_t *state, char *at) {
    size_t size = 0;
    uint32_t i, count = 5 + text_below(state, 14);
    for (i = 0; i < count; i++) {
        size += (size_t)sprintf(at + size, "%s%s%s", i ? " " : "", text_word(state),
                                i && i + 1 < count && !text_below(state, 9) ? "," : "");
        if (!text_below(state, 12)) { /* a name, or a word that is not in the list */
            unsigned letter;
            at[size++] = ' ';
            for (letter = 0; letter < 5; letter++)
                at[size++] = (char)('a' + (int)text_below(state, 26));
            at[size] = 0;
        }
    }
    at[0] = (char)(at[0] - 'a' + 'A');
    return size + (size_t)sprintf(at + size, text_below(state, 6) ? ". " : ".\n\n");
}

static inline size_t text_json_piece(uint32_t *state, char *at) {
    return (size_t)sprintf(at,
                           "{\"id\":%u,\"user\":\"%s%u\",\"room\":\"%s\","
                           "\"time\":\"2024-%02u-%02uT%02u:%02u:%02u.%03uZ\","
                           "\"active\":%s,\"score\":%u.%02u,\"tags\":[\"%s\",\"%s\"],\"text\":\"%s %s %s %s\"},",
                           100000 + text_below(state, 900000), text_word(state), text_below(state, 100),
                           text_word(state), 1 + text_below(state, 12), 1 + text_below(state, 28),
                           text_below(state, 24), text_below(state, 60), text_below(state, 60),
                           text_below(state, 1000), text_below(state, 2) ? "true" : "false", text_below(state, 1000),
                           text_below(state, 100), text_word(state), text_word(state), text_word(state),
                           text_word(state), text_word(state), text_word(state));
}

static inline size_t text_html_piece(uint32_t *state, char *at) {
    size_t size = (size_t)sprintf(at, "<li class=\"item %s\" id=\"item-%u\"><a href=\"/%s/%u\">", text_word(state),
                                  text_below(state, 10000), text_word(state), text_below(state, 10000));
    size += text_english_piece(state, at + size);
    return size + (size_t)sprintf(at + size, "</a> <span class=\"count\">%u</span></li>\n", text_below(state, 1000));
}

static inline void text_written(unsigned kind, uint8_t *out, size_t total) {
    static char piece[10000];
    uint32_t state = 1;
    size_t size, at = 0;
    for (; at < total; at += size) {
        size = kind == 0   ? text_json_piece(&state, piece)
               : kind == 1 ? text_english_piece(&state, piece)
                           : text_html_piece(&state, piece);
        size = size < total - at ? size : total - at;
        memcpy(out + at, piece, size);
    }
}

#endif
