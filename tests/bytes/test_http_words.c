/* HTTP: words, parameters, schemes, and a program's own header lines. Each text ends where its memory ends. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include <stdlib.h>

static char *copy; /* the text, in memory that ends with it, so that sanitizers see reads beyond it */

static wsi_slice exact(const char *text) {
    size_t size = strlen(text);
    free(copy);
    copy = test_exact(text, size);
    return wsi_text(copy ? copy : "", size); /* in C, even NULL + 0 is undefined */
}

/* RFC 9110 5.6.6: after a token, as in extensions; or without one, as after a media type, with any quoted string. */
static void test_parameters(void) {
    static const struct { const char *text; bool named, any, good; } cases[] = {
        {"a", true, false, true}, {"a;b", true, false, true}, {"a ; b = c ;d", true, false, true},
        {"a;b=\"c\"", true, false, true}, {"a;b=\"\\c\"", true, false, true},
        {"a;b=\"\\c\\dd\"; e", true, false, true},
        {"", true, false, false}, {"a;", true, false, false}, {"a=b", true, false, false}, {";a", true, false, false},
        {"a;b=c=d", true, false, false}, {"a;b=", true, false, false}, {"a;b=\"\"", true, false, false},
        {"a;b=\"c d\"", true, false, false}, {"a;b=\"c", true, false, false}, {"a;b=\"", true, false, false},
        {"a;b=\"c\\", true, false, false}, {"a;b=\"c\\\"", true, false, false}, {"a;b=\"c\"d", true, false, false},
        {"\"a\"", true, false, false}, {"a;\"b\"", true, false, false}, {"a b", true, false, false},
        {"a;b c", true, false, false}, {"a,b", true, false, false}, {"a;b:c", true, false, false},
        {"", false, true, true}, {";a", false, true, true}, {";a=b;c", false, true, true},
        {";a=\"\"", false, true, true}, {";a=\"b c\"", false, true, true}, {";a=\"b\\\"c\" ; d", false, true, true},
        {";a=\"b\\\"", false, true, false}, {";a=\"b", false, true, false}, {"a", false, true, false},
        {"=a", false, true, false}, {";a=", false, true, false}, {";", false, true, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (test_begin("parameters '%s'", cases[i].text))
            CHECK_EQ(wsi_http_parameters(exact(cases[i].text), cases[i].named, cases[i].any), cases[i].good);
}

static void test_words(void) {
    static const struct { const char *text; bool value, any; const char *word, *rest; } cases[] = {
        {"abc ;x", false, false, "abc", ";x"}, {"a", true, false, "a", ""}, {"\"a b\" ;x", true, true, "a b", ";x"},
        {"\"\\a\"x", true, false, "\\a", "x"}, {"\"a\\\"b\"", true, true, "a\\\"b", ""}, {"\"\"", true, true, "", ""},
        {"\"\"", true, false, NULL, ""}, {"\"a\"", false, true, NULL, ""}, {"", true, true, NULL, ""},
        {";", false, false, NULL, ""}, {"\"a", true, true, NULL, ""}, {"\"a b", true, true, NULL, ""},
        {"\"a", true, false, NULL, ""}, {"\"", true, true, NULL, ""}, {"\"a\\", true, true, NULL, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        wsi_slice rest = exact(cases[i].text), word;
        if (!test_begin("word of '%s'", cases[i].text))
            continue;
        bool found = wsi_http_word(&rest, &word, cases[i].value, cases[i].any);
        CHECK_EQ(found, cases[i].word != NULL);
        if (!cases[i].word)
            continue;
        CHECK_MEM(word.data, word.size, cases[i].word, strlen(cases[i].word));
        CHECK_MEM(rest.data, rest.size, cases[i].rest, strlen(cases[i].rest));
    }
}

static void test_schemes(void) {
    static const struct { const char *text, *scheme, *rest; } cases[] = {
        {"http://a", "http", "a"}, {"x://", "x", ""}, {"a:b://c", NULL, NULL}, {"http:/a", NULL, NULL},
        {"http:/", NULL, NULL}, {"http:", NULL, NULL}, {"http:a/b", NULL, NULL}, {"//a", NULL, NULL}, {"", NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        wsi_slice rest = exact(cases[i].text), scheme = {NULL, 0};
        if (!test_begin("scheme of '%s'", cases[i].text))
            continue;
        CHECK_EQ(wsi_http_scheme(&rest, &scheme), cases[i].scheme != NULL);
        if (!cases[i].scheme)
            continue;
        CHECK_MEM(scheme.data, scheme.size, cases[i].scheme, strlen(cases[i].scheme));
        CHECK_MEM(rest.data, rest.size, cases[i].rest, strlen(cases[i].rest));
    }
}

static void test_safe(void) {
    static const struct { const char *text; char first; bool safe; } cases[] = {
        {NULL, ' ', true}, {"", ' ', true}, {"a b", ' ', true}, {"a b", '!', false}, {"a!b", '!', true},
        {"a~", ' ', true}, {"a\x7f", ' ', false}, {"\x1f", ' ', false}, {"a\r\nb", ' ', false}, {"\xc3\xa9", ' ', true},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (test_begin("program's text %zu, from %d on", i, cases[i].first))
            CHECK_EQ(wsi_http_safe(cases[i].text, cases[i].first), cases[i].safe);
}

static void test_own_headers(void) {
    static const struct { const char *line; bool good; } cases[] = {
        {"A: b", true}, {"A:", true}, {"A: b\tc ~\xc3\xa9", true}, {"A:\t", true}, {NULL, false}, {"A", false},
        {": b", false}, {"A b: c", false}, {"Upgrade: x", false}, {"CONNECTION: x", false}, {"TE: x", false},
        {"sec-websocket-KEY: x", false}, {"Sec-WebSocket-Extensions: x", false}, {"Upgrades: x", true},
        {"A:\x01", false}, {"A: b\nc", false}, {"A: b\r", false}, {"A: \x1f", false}, {"A: \x7f", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (test_begin("program's header line %zu", i))
            CHECK_EQ(wsi_http_own_header(cases[i].line), cases[i].good);
}

static void test_bodiless(void) {
    for (int status = 200; status < 600; status++)
        if (test_begin("body with status %d", status))
            CHECK_EQ(wsi_http_bodiless(status), status == 204 || status == 304);
}

/* The scan for plain bytes stops at control characters in every position, and not at the bytes beside them. */
static void test_plain(void) {
    static const struct { uint8_t byte; bool control; } cases[] = {
        {0, true}, {'\t', true}, {0x1f, true}, {0x7f, true}, {' ', false}, {0x7e, false}, {0x80, false}, {0xff, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (!test_begin("byte %02x in a line of every length, in every place", cases[i].byte))
            continue;
        CHECK_EQ(wsi_http_control(cases[i].byte), cases[i].control);
        for (size_t size = 1; size < 80; size++)
            for (size_t at = 0; at < size; at++) {
                uint8_t *line = (uint8_t *)malloc(size);
                if (!line)
                    return;
                memset(line, 'x', size);
                line[at] = cases[i].byte;
                CHECK_EQ(wsi_http_plain(line, size), cases[i].control ? at : size);
                free(line);
            }
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_parameters();
    test_words();
    test_schemes();
    test_safe();
    test_own_headers();
    test_bodiless();
    test_plain();
    free(copy);
    return test_finish();
}
