/* Reads texts from stdin, each behind its size in four bytes, the highest first, and writes for each a line: what
   ws.h's JSON reader finds in it, spelled so that nothing is lost. reader.py compares that with Python's.

       cc -o reader tests/interop/reader.c
*/
#define WS_NO_NET
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <stdio.h>

static void spell(ws_json value);

static void spell_string(ws_json value) {
    size_t size = ws_json_as_text(value, NULL, 0), i;
    char *text = size ? malloc(size) : NULL;
    putchar('s');
    if (!text) { /* a lone surrogate */
        putchar('?');
        return;
    }
    (void)ws_json_as_text(value, text, size);
    for (i = 0; i + 1 < size; i++)
        printf("%02x", (unsigned char)text[i]);
    free(text);
}

static void spell_number(ws_json value) {
    int64_t integer;
    double number;
    uint64_t bits;
    if (ws_json_as_integer(value, &integer)) {
        printf("i%lld", (long long)integer);
    } else if (ws_json_as_number(value, &number)) {
        memcpy(&bits, &number, sizeof bits);
        printf("d%016llx", (unsigned long long)bits);
    } else {
        putchar('x');
    }
}

static void spell_all(ws_json value) {
    ws_json name, item = {NULL, 0, WS_JSON_ABSENT, NULL};
    bool object = value.type == WS_JSON_OBJECT;
    putchar(object ? '{' : '[');
    while (ws_json_next(value, &name, &item)) {
        if (object)
            spell_string(name);
        spell(item);
        putchar(',');
    }
    putchar(object ? '}' : ']');
}

static void spell(ws_json value) {
    bool yes = false;
    switch (value.type) {
    case WS_JSON_NULL: putchar('n'); break;
    case WS_JSON_BOOL: putchar(ws_json_as_bool(value, &yes) && yes ? 't' : 'f'); break;
    case WS_JSON_NUMBER: spell_number(value); break;
    case WS_JSON_STRING: spell_string(value); break;
    case WS_JSON_ARRAY:
    case WS_JSON_OBJECT: spell_all(value); break;
    case WS_JSON_TOO_DEEP: fputs("deep", stdout); break;
    default: fputs("bad", stdout); break;
    }
}

int main(void) {
    unsigned char head[4];
    while (fread(head, 1, 4, stdin) == 4) {
        size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        char *text = malloc(size ? size : 1); /* of its exact size: a sanitizer sees what is read beyond it */
        if (!text || fread(text, 1, size, stdin) != size)
            return 1;
        spell(ws_json_parse(text, size));
        putchar('\n');
        free(text);
    }
    return 0;
}
