/* The JSON reader of ws.h beside a tokenizer that allocates nothing, written below, and beside json-c, jansson and
   yyjson where they are, which build a tree: the same documents in interleaved turns of one run, the best of several.
   cc -O2 -DJSON_C -DJANSSON -DYYJSON tests/bench/json.c -o json -ljson-c -ljansson -lyyjson && ./json
   1 MiB in documents of one kind and size, which all differ, as else the processor learns the one by heart. Columns:
   `valid` is ws_json_valid, `walk` ws_json_parse and then a visit to every value, numbers converted and strings
   measured as they are unescaped, `index` the same with ws_json_index; MB/s, and how many times as fast as the others
   each of them is. yyjson's tree, in memory of the caller's, is visited in the same way. CPU time.
   For callgrind: ./json valid|walk|index|tokens|json-c|jansson|yyjson KIND TURNS reads the documents of one row, by
   one reader. */
#define _POSIX_C_SOURCE 200809L
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#include <stdio.h>
#include <time.h>
#ifdef JSON_C
#include <json-c/json.h>
#endif
#ifdef YYJSON
#include <yyjson.h>
#endif
#ifdef JANSSON /* its header gives names to others than json-c's does, so that they go into no one file */
typedef struct json_t json_t;
json_t *json_loadb(const char *data, size_t size, size_t flags, void *error);
void json_delete(json_t *value);
#endif

enum { ALL = 1 << 20, TURNS = 15, DOCUMENTS = ALL / 64, TOKENS = ALL / 4 };

/* --- a tokenizer: a flat array of tokens, given by the caller; one pass, byte by byte --- */

/* It holds brackets against each other and knows escapes, for these it needs to find the tokens. It does not check
   UTF-8, the spelling of numbers and literals, nor where commas and colons stand, nor that names are strings. */
typedef struct token {
    int type, begin, end, items, parent;
} token;

typedef struct tokenizer {
    const char *text;
    token *tokens;
    int size, capacity, count, open; /* open: the innermost array or object, or -1 */
} tokenizer;

static bool add_token(tokenizer *t, int type, int begin, int end) {
    token *made = t->tokens + t->count;
    if (t->count == t->capacity)
        return false;
    if (t->open >= 0)
        t->tokens[t->open].items++;
    made->type = type;
    made->begin = begin;
    made->end = end;
    made->items = 0;
    made->parent = t->open;
    t->count++;
    return true;
}

/* These return where the token ends, or -1. */

static int tokenize_string(tokenizer *t, int at) {
    int begin = ++at, i;
    for (; at < t->size; at++) {
        if (t->text[at] == '"')
            return add_token(t, '"', begin, at) ? at + 1 : -1;
        if (t->text[at] != '\\')
            continue;
        if (++at == t->size || !strchr("\"\\/bfnrtu", t->text[at]))
            return -1;
        for (i = 0; t->text[at] == 'u' && i < 4; i++)
            if (at + 1 + i >= t->size || !strchr("0123456789abcdefABCDEF", t->text[at + 1 + i]))
                return -1;
    }
    return -1;
}

static int tokenize_scalar(tokenizer *t, int at) {
    int begin = at;
    for (; at < t->size; at++) {
        char c = t->text[at];
        if (c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\r' || c == '\t')
            break;
        if (c < 0x20 || c == 0x7f)
            return -1;
    }
    return add_token(t, 'v', begin, at) ? at : -1;
}

static int tokenize_close(tokenizer *t, int at) {
    token *open = t->tokens + t->open;
    if (t->open < 0 || open->type != (t->text[at] == '}' ? '{' : '['))
        return -1;
    open->end = at + 1;
    t->open = open->parent;
    return at + 1;
}

static int tokenize_next(tokenizer *t, int at) {
    switch (t->text[at]) {
    case '{':
    case '[':
        if (!add_token(t, t->text[at], at, -1))
            return -1;
        t->open = t->count - 1;
        return at + 1;
    case '}':
    case ']': return tokenize_close(t, at);
    case '"': return tokenize_string(t, at);
    case ' ':
    case '\n':
    case '\r':
    case '\t':
    case ',':
    case ':': return at + 1;
    default: return tokenize_scalar(t, at);
    }
}

/* Returns how many tokens there are, or -1. */
static int tokenize(const char *text, size_t size, token *tokens, int capacity) {
    tokenizer t = {NULL, NULL, 0, 0, 0, -1};
    int at = 0;
    t.text = text;
    t.tokens = tokens;
    t.size = (int)size;
    t.capacity = capacity;
    while (at >= 0 && at < t.size)
        at = tokenize_next(&t, at);
    return at < 0 || t.open >= 0 ? -1 : t.count;
}

/* --- the documents --- */

static char text[ALL + (1 << 17)];
static size_t ends[DOCUMENTS + 1], count; /* document i stands from ends[i] to ends[i + 1] */
static uint32_t seed;

static uint32_t below(uint32_t number) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % number;
}

static const char *word(void) {
    static const char *const words[] = {
        "the", "of", "and", "to", "in", "that", "it", "was", "for", "on", "with", "they", "be", "this", "from", "hot",
        "some", "what", "there", "out", "other", "were", "your", "when", "said", "each", "which", "their", "time",
        "message", "connection", "server", "browser", "morning", "river", "mountain", "between", "thought", "children",
        "question", "remember", "different", "something", "together", "yesterday", "window", "caf\xc3\xa9",
        "\xe2\x82\xac",
    };
    uint32_t all = sizeof words / sizeof *words, a = below(all), b = below(all);
    return words[a < b ? a : b]; /* the first ones more often */
}

static size_t chat(char *to) {
    return (size_t)sprintf(to, "{\"type\":\"%s\",\"room\":\"%s\",\"id\":%u,\"from\":\"%s%u\",\"text\":\"%s %s %s %s\"}",
                           below(3) ? "message" : "presence", word(), below(1000000), word(), below(1000), word(),
                           word(), word(), word());
}

static size_t record(char *to) {
    return (size_t)sprintf(to,
                           "{\"id\":%u,\"user\":{\"name\":\"%s%u\",\"roles\":[\"%s\",\"%s\"]},\"active\":%s,"
                           "\"time\":\"2026-%02u-%02uT%02u:%02u:%02uZ\",\"price\":%u.%02u,\"parent\":null,"
                           "\"text\":\"%s %s %s %s %s\"}",
                           below(1000000), word(), below(1000), word(), word(), below(2) ? "true" : "false",
                           below(12) + 1, below(28) + 1, below(24), below(60), below(60), below(1000), below(100),
                           word(), word(), word(), word(), word());
}

static size_t pretty(char *to) {
    return (size_t)sprintf(to,
                           "{\n        \"id\": %u,\n        \"name\": \"%s %s\",\n        \"tags\": [\n"
                           "            \"%s\",\n            \"%s\"\n        ],\n        \"open\": %s\n    }",
                           below(1000000), word(), word(), word(), word(), below(2) ? "true" : "false");
}

static size_t number(char *to) {
    switch (below(4)) {
    case 0: return (size_t)sprintf(to, "%u", below(1000));
    case 1: return (size_t)sprintf(to, "-%u.%06u", below(180), below(1000000));
    case 2: return (size_t)sprintf(to, "%u.%02ue-%u", below(10), below(100), below(30));
    default: return (size_t)sprintf(to, "%u", below(10000000));
    }
}

static size_t escapes(char *to) {
    size_t size = 1;
    uint32_t i, words = 5 + below(30);
    to[0] = '"';
    for (i = 0; i < words; i++)
        size += (size_t)sprintf(to + size, "%s%s%s", word(), below(4) ? " " : below(2) ? "\\n" : "\\\"",
                                below(20) ? "" : "\\u00e9");
    to[size] = '"';
    return size + 1;
}

static const struct { const char *name; size_t (*piece)(char *to); size_t size; } kinds[] = {
    {"chat messages", chat, 0},         {"records", record, 1 << 10},    {"records", record, 1 << 14},
    {"records", record, ALL},           {"indented", pretty, 1 << 14},   {"numbers", number, 1 << 10},
    {"numbers", number, ALL},           {"text, escapes", escapes, 1 << 10}, {"text, escapes", escapes, ALL},
};

/* Size 0: each piece is a document; else they are the elements of arrays of about this size. */
static void make(int kind) {
    size_t size = 0, from;
    seed = (uint32_t)kind + 1;
    for (count = 0; size < ALL - ALL / 8; ends[++count] = size) {
        if (!kinds[kind].size) {
            size += kinds[kind].piece(text + size);
            continue;
        }
        text[size] = '[';
        for (from = size++; size - from < kinds[kind].size - kinds[kind].size / 16; text[size++] = ',')
            size += kinds[kind].piece(text + size);
        text[size - 1] = ']';
    }
}

/* --- the readers: each takes one document, and returns something that depends on all of it, never 0 --- */

static size_t by_valid(const char *data, size_t size) { return ws_json_valid(data, size); }

static size_t visit(ws_json value) {
    ws_json name, item = {NULL, 0, WS_JSON_ABSENT, NULL};
    size_t sum = 1;
    double real = 0;
    bool yes = false;
    switch (value.type) {
    case WS_JSON_STRING: return ws_json_as_text(value, NULL, 0);
    case WS_JSON_NUMBER: return ws_json_as_number(value, &real) ? 1 + (real > 0) : 0;
    case WS_JSON_BOOL: return ws_json_as_bool(value, &yes) ? 1 + (size_t)yes : 0;
    case WS_JSON_ARRAY:
    case WS_JSON_OBJECT:
        while (ws_json_next(value, &name, &item))
            sum += name.size + visit(item);
        return sum;
    default: return value.type == WS_JSON_NULL;
    }
}

static size_t by_walk(const char *data, size_t size) { return visit(ws_json_parse(data, size)); }

static size_t by_index(const char *data, size_t size) {
    static uint32_t words[ALL];
    return visit(ws_json_index(data, size, words, ALL));
}

static size_t by_tokens(const char *data, size_t size) {
    static token tokens[TOKENS];
    int found = tokenize(data, size, tokens, TOKENS);
    return found < 0 ? 0 : (size_t)found;
}

#ifdef JSON_C
static size_t by_json_c(const char *data, size_t size) {
    static json_tokener *tokener;
    json_object *tree;
    tokener = tokener ? tokener : json_tokener_new();
    json_tokener_reset(tokener);
    tree = json_tokener_parse_ex(tokener, data, (int)size);
    json_object_put(tree);
    return tree != NULL;
}
#else
#define by_json_c NULL
#endif

#ifdef JANSSON
static size_t by_jansson(const char *data, size_t size) {
    json_t *tree = json_loadb(data, size, 0, NULL);
    if (tree)
        json_delete(tree);
    return tree != NULL;
}
#else
#define by_jansson NULL
#endif

#ifdef YYJSON
static size_t visit_tree(yyjson_val *value) {
    size_t sum = 1, i, all;
    yyjson_val *name, *item;
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_STR: return yyjson_get_len(value) + 1;
    case YYJSON_TYPE_NUM: return 1 + (yyjson_get_num(value) > 0);
    case YYJSON_TYPE_BOOL: return 1 + (size_t)yyjson_get_bool(value);
    case YYJSON_TYPE_ARR:
        yyjson_arr_foreach(value, i, all, item) sum += visit_tree(item);
        return sum;
    case YYJSON_TYPE_OBJ:
        yyjson_obj_foreach(value, i, all, name, item) sum += yyjson_get_len(name) + 2 + visit_tree(item);
        return sum;
    default: return yyjson_is_null(value);
    }
}

static size_t by_yyjson(const char *data, size_t size) {
    static uint64_t memory[4 * ALL];
    yyjson_alc arena;
    return yyjson_alc_pool_init(&arena, memory, sizeof memory)
           ? visit_tree(yyjson_doc_get_root(yyjson_read_opts((char *)(uintptr_t)data, size, 0, &arena, NULL))) : 0;
}
#else
#define by_yyjson NULL
#endif

enum { VALID, WALK, INDEX, OTHERS, READERS = 7 };

static const struct { const char *name; size_t (*read)(const char *data, size_t size); } readers[READERS] = {
    {"valid", by_valid}, {"walk", by_walk}, {"index", by_index}, {"tokens", by_tokens},
    {"json-c", by_json_c}, {"jansson", by_jansson},
    {"yyjson", by_yyjson},
};

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double seconds(int reader) {
    double start = now();
    size_t i;
    for (i = 0; i < count; i++)
        if (!readers[reader].read(text + ends[i], ends[i + 1] - ends[i])) {
            printf("%s refuses document %zu\n", readers[reader].name, i);
            exit(1);
        }
    return now() - start;
}

static void row(int kind) {
    double best[READERS] = {1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9}, took;
    int turn, i;
    make(kind);
    for (turn = 0; turn < TURNS; turn++)
        for (i = 0; i < READERS; i++) {
            took = readers[i].read ? seconds(i) : 1e9;
            best[i] = took < best[i] ? took : best[i];
        }
    printf("%-14s %8zu", kinds[kind].name, ends[count] / count);
    for (i = 0; i < READERS; i++)
        printf(readers[i].read ? " %7.0f" : "       -", (double)ends[count] / best[i] * 1e-6);
    for (i = OTHERS; i < READERS; i++)
        printf(readers[i].read ? " %8.2f %5.2f %5.2f" : "        -     -     -", best[i] / best[VALID],
               best[i] / best[WALK], best[i] / best[INDEX]);
    printf("\n");
}

int main(int argc, char **argv) {
    int kind, reader, turn;
    if (argc == 4) {
        make(atoi(argv[2]));
        for (reader = 0; reader < READERS; reader++)
            for (turn = 0; readers[reader].read && !strcmp(argv[1], readers[reader].name) && turn < atoi(argv[3]);)
                turn += seconds(reader) > 0;
        return 0;
    }
    printf("%-14s %8s %7s %7s %7s %7s %7s %7s %7s  valid, walk, index beside tokens, json-c, jansson, yyjson\n", "MB/s",
           "bytes", "valid", "walk", "index", "tokens", "json-c", "jansson", "yyjson");
    for (kind = 0; kind < (int)(sizeof kinds / sizeof *kinds); kind++)
        row(kind);
    return 0;
}
