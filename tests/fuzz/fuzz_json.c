/* libFuzzer target: JSON. Up to the first line feed a path, then a text: checked, walked, looked up by the path and by
   the paths of all that stands in it; and written: strings through %s, values through %-s, numbers through %g. What
   must hold is checked here; the sanitizers see the rest. */
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#define HOLDS(condition) ((condition) ? (void)0 : abort())

typedef struct walk {
    const char *data; /* the text */
    size_t size, values;
    unsigned depth, deepest;
} walk;

static bool same(ws_json a, ws_json b) { return a.type == b.type && a.data == b.data && a.size == b.size; }

static ws_message message_of(const void *data, size_t size) {
    ws_message message;
    message.data = (const uint8_t *)data;
    message.size = size;
    message.type = WS_TEXT;
    return message;
}

/* Unescapes it, and writes it with %s: it must read back as the same. */
static void check_string(ws_json string) {
    size_t size = ws_json_as_text(string, NULL, 0), written;
    char *text = (char *)malloc(size ? size : 1), *made = (char *)malloc(string.size * 6 + 3), *again;
    ws_json back;
    HOLDS(text && made && size <= string.size - 1); /* no escape is shorter than what it means */
    HOLDS(ws_json_as_text(string, text, size ? size : 1) == size && (!size || !text[size - 1]));
    HOLDS(!size || wsi_utf8_valid((const uint8_t *)text, size - 1));
    HOLDS(ws_json_is(string, text) == (size && strlen(text) == size - 1));
    if (size && !memchr(text, 0, size - 1)) {
        again = (char *)malloc(size);
        written = ws_json_print(made, string.size * 6 + 3, "%s", text);
        HOLDS(again && written > 1 && written < string.size * 6 + 3);
        back = ws_json_parse(made, written);
        HOLDS(back.type == WS_JSON_STRING && back.size == written && ws_json_is(back, text));
        HOLDS(ws_json_as_text(back, again, size) == size && memcmp(text, again, size) == 0);
        free(again);
    }
    free(text);
    free(made);
}

/* An integer is what the double nearest to it is, and what is written reads back the same. */
static void check_number(ws_json number) {
    int64_t integer = 0, back = 0;
    uint64_t positive = 0;
    double real = 0, again = 0;
    bool whole = ws_json_as_integer(number, &integer), good = ws_json_as_number(number, &real);
    char text[64];
    size_t size;
    HOLDS(ws_json_as_unsigned(number, &positive) ? good && (double)positive <= real && (double)positive >= real
                                                 : !whole || integer < 0);
    HOLDS(!whole || integer < 0 || positive == (uint64_t)integer);
    HOLDS(!whole || (good && (double)integer <= real && (double)integer >= real));
    HOLDS(!good || (real <= DBL_MAX && real >= -DBL_MAX));
    if (whole) {
        size = ws_json_print(text, sizeof text, "%lld", (long long)integer);
        HOLDS(size && size < sizeof text && ws_json_integer(message_of(text, size), NULL, &back) && back == integer);
    }
    if (good) {
        size = ws_json_print(text, sizeof text, "%g", real);
        HOLDS(size && size < sizeof text && ws_json_number(message_of(text, size), NULL, &again));
        HOLDS(memcmp(&real, &again, sizeof real) == 0 || (real <= 0 && real >= 0 && again <= 0 && again >= 0));
    }
}

static void visit(walk *w, ws_json value);

static void visit_items(walk *w, ws_json value) {
    ws_json name, item = {NULL, 0, WS_JSON_ABSENT, NULL}, one;
    const char *last = value.data;
    char key[300];
    size_t index = 0;
    for (; ws_json_next(value, &name, &item); index++) {
        HOLDS(item.data > last && item.data + item.size < value.data + value.size);
        last = item.data;
        visit(w, item);
        if (value.type == WS_JSON_OBJECT) {
            HOLDS(name.type == WS_JSON_STRING && name.data > value.data && name.data + name.size < item.data);
            check_string(name);
            if (ws_json_as_text(name, key, sizeof key) > sizeof key || !ws_json_is(name, key))
                continue;
            one = ws_json_member(value, key); /* this one, or a later one of that name */
            HOLDS(one.type >= WS_JSON_NULL && one.data >= item.data);
        } else {
            HOLDS(name.type == WS_JSON_ABSENT && (index > 50 || same(ws_json_element(value, index), item)));
        }
    }
    HOLDS(item.type == WS_JSON_ABSENT && ws_json_element(value, index).type == WS_JSON_ABSENT);
}

static void visit(walk *w, ws_json value) {
    bool yes;
    w->values++;
    HOLDS(value.type >= WS_JSON_NULL && value.size);
    HOLDS(value.data >= w->data && value.data + value.size <= w->data + w->size);
    HOLDS(w->values > 200 || same(ws_json_parse(value.data, value.size), value)); /* by itself it is the same */
    HOLDS(ws_json_as_bool(value, &yes) == (value.type == WS_JSON_BOOL));
    if (value.type == WS_JSON_STRING)
        check_string(value);
    if (value.type == WS_JSON_NUMBER)
        check_number(value);
    w->deepest = ++w->depth > w->deepest ? w->depth : w->deepest;
    if (value.type >= WS_JSON_ARRAY)
        visit_items(w, value);
    w->depth--;
}

/* As a value of a member, and once more as what that member holds. */
static void check_writer(ws_json value) {
    size_t room = value.size + 20, size;
    char *made = (char *)malloc(room), *again = (char *)malloc(room);
    ws_json back;
    HOLDS(made && again);
    size = ws_json_print(made, room, "{'a':[%-.*s]}", (int)value.size, value.data);
    if (size) { /* else too deep by now */
        HOLDS(size == value.size + 8);
        back = ws_json_find(message_of(made, size), "a[0]");
        HOLDS(back.type == value.type && back.size == value.size && memcmp(back.data, value.data, back.size) == 0);
        HOLDS(ws_json_print(again, room, "{'a':[%-.*s]}", (int)back.size, back.data) == size);
        HOLDS(memcmp(made, again, size + 1) == 0);
    }
    free(made);
    free(again);
}

/* What is no JSON may still be a text: between quotes it is what it was. */
static void check_quoted(const char *text, size_t size) {
    size_t room = size * 6 + 3, written;
    const char *zero = (const char *)memchr(text, 0, size);
    char *made = (char *)malloc(room);
    ws_json back;
    HOLDS(made);
    written = ws_json_print(made, room, "%.*s", (int)size, text);
    back = ws_json_parse(made, written);
    HOLDS((written > 0) == wsi_utf8_valid((const uint8_t *)text, zero ? (size_t)(zero - text) : size));
    HOLDS(!written || back.type == WS_JSON_STRING);
    free(made);
}

/* With an index it holds the same values, and an index that is too small is none. */
static void check_index(const walk *plain, ws_json all) {
    uint32_t *words = (uint32_t *)malloc((plain->size + 1) * sizeof *words);
    ws_json value;
    walk w;
    HOLDS(words);
    value = ws_json_index(plain->data, plain->size, words, plain->size + 1);
    memset(&w, 0, sizeof w);
    w.data = plain->data;
    w.size = plain->size;
    HOLDS(same(value, all) && value.index == words);
    visit(&w, value);
    HOLDS(w.values == plain->values && w.deepest == plain->deepest);
    value = ws_json_index(plain->data, plain->size, words, plain->values - 1);
    HOLDS(same(value, all) && !value.index);
    free(words);
}

static void check_look_ups(ws_message message, const char *path) {
    ws_json all = ws_json_parse(message.data, message.size), found = ws_json_find(message, path);
    char buffer[40];
    int64_t integer = 1;
    double real = 1;
    bool yes = true, is;
    HOLDS(same(found, ws_json_get(all, path)));
    HOLDS(found.type < WS_JSON_NULL || same(ws_json_parse(found.data, found.size), found));
    HOLDS(all.type >= WS_JSON_NULL || found.type == all.type);
    is = ws_json_text(message, path, buffer, sizeof buffer);
    HOLDS(is ? ws_json_is(found, buffer) : !buffer[0]);
    HOLDS(ws_json_integer(message, path, &integer) || integer == 1);
    HOLDS(ws_json_number(message, path, &real) || (real >= 1 && real <= 1));
    HOLDS(ws_json_bool(message, path, &yes) || yes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *line = size ? (const uint8_t *)memchr(data, '\n', size) : NULL;
    size_t path_size = line ? (size_t)(line - data) : 0;
    char *path = (char *)malloc(path_size + 1), *text;
    ws_json all;
    walk w;
    if (line)
        data = line + 1, size -= path_size + 1;
    text = (char *)malloc(size ? size : 1); /* both of their exact size */
    HOLDS(path && text);
    memcpy(path, line ? data - path_size - 1 : data, path_size);
    path[path_size] = 0;
    if (size)
        memcpy(text, data, size);
    memset(&w, 0, sizeof w);
    w.data = text;
    w.size = size;
    all = ws_json_parse(text, size);
    HOLDS(all.data >= text && all.data + all.size <= text + size);
    HOLDS(ws_json_valid(text, size) == (all.type >= WS_JSON_NULL));
    if (all.type >= WS_JSON_NULL) {
        visit(&w, all);
        HOLDS(w.deepest <= WS_JSON_DEPTH + 1);
        check_index(&w, all);
        check_writer(all);
    }
    if (size)
        check_quoted(text, size);
    check_look_ups(message_of(text, size), path);
    free(path);
    free(text);
    return 0;
}
