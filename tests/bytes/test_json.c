/* JSON: the reader, against a corpus and a recursive reference. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/json.h"
#include "../helpers/test.h"

#include <inttypes.h>

typedef struct text {
    const char *data;
    size_t size;
} text;

#define T(literal) {literal, sizeof literal - 1}

/* --- the corpus: what RFC 8259 says, by its section ------------------------------------------------- */

static const text valid[] = {
    /* 2: a text is any value; blanks may surround all tokens */
    T("null"), T("true"), T("false"), T("0"), T("\"\""), T("[]"), T("{}"), T(" null"), T("null "), T("\tnull"),
    T("null\t"), T("\nnull"), T("null\n"), T("\rnull"), T("null\r"), T(" \t\n\r null \t\n\r "), T("[ ]"), T("{ }"),
    T("[\n]"), T("{\r\n}"), T(" [ ] "), T(" { } "), T("[1 ]"), T("[ 1]"), T("[1 ,2]"), T("[1, 2]"), T("{ \"a\":1}"),
    T("{\"a\" :1}"), T("{\"a\": 1}"), T("{\"a\":1 }"), T("{\"a\":1 ,\"b\":2}"), T("{\"a\":1, \"b\":2}"),
    T("{\t\"a\"\n:\r\"b\" }"), T("[        1]"), T("[         1]"), T("[1                   ]"),
    T("\n                                        1"), T("1        \n        \t        \r        "),
    /* 3: literals are in lower case */
    T("[null]"), T("[true]"), T("[false]"), T("[null,true,false]"), T("{\"a\":null}"), T("{\"\":true}"),
    T("{\"a\":false}"), T(" true "), T("[true ]"), T("[\nfalse\n]"),
    /* 4: objects; a name is any string, and need not be unique */
    T("{\"\":\"\"}"), T("{\"\":{}}"), T("{\"a\":{}}"), T("{\"a\":[]}"), T("{\"a\":{\"b\":{\"c\":1}}}"),
    T("{\"a\":1,\"a\":2}"), T("{\"a\":1,\"a\":1}"), T("{\"a\":1,\"b\":2,\"c\":3}"), T("{\"a b\":1}"),
    T("{\"a.b\":1}"), T("{\"\\u0000\":1}"), T("{\"\\\"\":1}"), T("{\"\\\\\":1}"), T("{\"\xe2\x82\xac\":1}"),
    T("{\"1\":1}"), T("{\"a\":[{}]}"), T("{\"{\":\"}\"}"), T("{\"a\":\"]\"}"), T("{\"null\":null}"), T("{\"a\":-1}"),
    T("{\"long name of many bytes\":0}"), T("{\"a\":1,\"\":2,\"b\":[1,2,{\"c\":[]}]}"),
    T("{\"x\":[{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}],\"id\":\"bb\"}"),
    /* 5: arrays of any types */
    T("[1]"), T("[1,2]"), T("[1,\"a\",null,true,[],{}]"), T("[[]]"), T("[[],[]]"), T("[[[]]]"),
    T("[[[[[[[[]]]]]]]]"), T("[{}]"), T("[{},{}]"), T("[\"\"]"), T("[\"a\",\"b\"]"), T("[\"[\"]"), T("[\"]\"]"),
    T("[\",\"]"), T("[[1],[2]]"), T("[[1,2],[3,4],[]]"), T("[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"),
    T("[[],{},[],{},[[]],[{}]]"),
    /* 6: numbers */
    T("-0"), T("1"), T("-1"), T("9"), T("10"), T("123"), T("1234567890"), T("-1234567890"), T("0.0"), T("0.5"),
    T("-0.5"), T("1.0"), T("1.25"), T("0.00000001"), T("123.456"), T("-0.0"), T("1e0"), T("1E0"), T("1e1"), T("1E1"),
    T("1e+1"), T("1e-1"), T("1E+1"), T("1E-1"), T("0e0"), T("0e1"), T("0E+1"), T("-0e-1"), T("0.0e0"), T("1.5e10"),
    T("1.5E-10"), T("1e01"), T("1e00"), T("1e-00"), T("1e+007"), T("1e308"), T("1e309"), T("1e400"), T("-1e400"),
    T("1e-400"), T("1e9999999999999999999999"), T("1e-9999999999999999999999"), T("0e9999999999999999999999"),
    T("9007199254740993"), T("9223372036854775807"), T("-9223372036854775808"), T("18446744073709551616"),
    T("123456789012345678901234567890"), T("0.1234567890123456789012345678901234567890"),
    T("1.7976931348623157e308"), T("5e-324"), T("2.2250738585072014e-308"), T("[0]"), T("[-0]"), T("[1e5]"),
    T("[0,1.5,-2e3]"), T("{\"a\":1.5e-3}"), T("100000000000000000000e-20"), T("[1 , -1]"),
    /* 7: strings: all of Unicode except controls, quote and backslash; every escape */
    T("\"a\""), T("\" \""), T("\"abc\""), T("\"abcdefg\""), T("\"abcdefgh\""), T("\"abcdefghi\""),
    T("\"abcdefghijklmno\""), T("\"abcdefghijklmnop\""), T("\"abcdefghijklmnopqrstuvwxyz0123456789\""),
    T("\"\\\"\""), T("\"\\\\\""), T("\"\\/\""), T("\"\\b\""), T("\"\\f\""), T("\"\\n\""), T("\"\\r\""), T("\"\\t\""),
    T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"/\""), T("\"\\u0000\""), T("\"\\u0020\""), T("\"\\u0022\""),
    T("\"\\u005c\""), T("\"\\u005C\""), T("\"\\u00e9\""), T("\"\\u20AC\""), T("\"\\uabcd\""), T("\"\\uABCD\""),
    T("\"\\uaBcD\""), T("\"\\uffff\""), T("\"\\uFFFE\""), T("\"\\uD83D\\uDE00\""), T("\"\\ud83d\\ude00\""),
    T("\"\\uDBFF\\uDFFF\""), T("\"\\ud800\\udc00\""), T("\"\x7f\""), T("\"\\u007f\""), T("\"'\""), T("\"//\""),
    T("\"/* */\""), T("\"#\""), T("\"{}[]:,\""), T("\"a\\nb\""), T("\"\\\\n\""), T("\"\\\\\\\"\""),
    T("\"12345678\\\"\""), T("\"1234567\\\"\""), T("\"\\\\u0041\""), T("\"\\u0041bc\""), T("\"ab\\u0041\""),
    T("\"\xc2\x80\""), T("\"\xc3\xa9\""), T("\"\xdf\xbf\""), T("\"\xe0\xa0\x80\""), T("\"\xe2\x82\xac\""),
    T("\"\xed\x9f\xbf\""), T("\"\xee\x80\x80\""), T("\"\xef\xbf\xbf\""), T("\"\xf0\x90\x80\x80\""),
    T("\"\xf0\x9f\x98\x80\""), T("\"\xf4\x8f\xbf\xbf\""), T("\"\xe2\x80\xa8\""), T("\"\xe2\x80\xa9\""),
    T("\"\xef\xbb\xbf\""), T("\"a\xc3\xa9" "b\""), T("[\"\xe4\xbd\xa0\xe5\xa5\xbd\"]"),
    T("{\"\xf0\x9f\x98\x80\":\"\xf0\x9f\x98\x80\"}"), T("\"\xc2\xa2\xe0\xa4\xb9\""),
    /* 8.2: the grammar allows lone surrogates */
    T("\"\\ud800\""), T("\"\\udfff\""), T("\"\\udc00\\ud800\""), T("\"\\ud800x\""), T("\"\\ud800\\n\""),
    T("\"\\ud83d\\ud83d\""), T("\"\\ud800\\u0041\""), T("{\"\\udead\":1}"),
    /* 9: depth up to the limit */
    T(DEEP("[") DEEP("]")), T(DEEP("[") "1" DEEP("]")), T(DEEP("{\"a\":") "1" DEEP("}")),
    T("[" TEN("[[],{}],") "[]]"), T("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
    T("[[],[[]],[[[]]],[[[[]]]],[[[[[]]]]]]"),
};

static const text malformed[] = {
    /* 2: nothing, or more than one value */
    T(""), T(" "), T("\n"), T("\t\r\n "), T("1 2"), T("1,2"), T("[],"), T("[]]"), T("{}}"), T("{}{}"), T("[][]"),
    T("null null"), T("\"a\"\"b\""), T("\"a\" \"b\""), T("[1]x"), T("[1] x"), T("1 x"), T("{} //"), T("[1]\0"),
    T("1\0"), T("\0" "1"), T("\0"), T("[\0]"), T("[1,\0" "2]"), T("{\"a\":1}\0"), T("nul\0l"), T("true false"),
    T("[] 1"), T(","), T(":"), T("]"), T("}"),
    /* other blanks, byte order marks, other encodings */
    T("\v1"), T("\f1"), T("1\v"), T("[\f]"), T("\xc2\xa0" "1"), T("1\xc2\xa0"), T("\xe2\x80\xa8" "1"),
    T("\xe3\x80\x80[]"), T("\xef\xbb\xbf{}"), T("\xef\xbb\xbfnull"), T("{}\xef\xbb\xbf"), T("\xef\xbb\xbf"),
    T("\xfe\xff\0{\0}"), T("\xff\xfe{\0}\0"), T("{\0}\0"), T("\b1"), T("\x01"), T("\x1f[]"), T("\x7f"),
    T("\x85" "1"), T("\xa0" "1"), T("[\v1]"), T("[1\f,2]"),
    /* 3: other literals */
    T("n"), T("nul"), T("nulls"), T("nullnull"), T("Null"), T("NULL"), T("True"), T("TRUE"), T("tru"), T("truee"),
    T("t"), T("fals"), T("False"), T("falsey"), T("f"), T("nil"), T("undefined"), T("yes"), T("a"), T("NaN"),
    T("nan"), T("Infinity"), T("-Infinity"), T("inf"), T("-inf"), T("[NaN]"), T("[Infinity]"), T("[-NaN]"),
    T("[nul]"), T("[tru]"), T("[truefalse]"), T("[true false]"), T("{\"a\":tru}"), T("nu ll"), T("n\\u0075ll"),
    T("\xce\xb1"), T("[null,nul]"), T("None"), T("'a'"),
    /* 4: objects */
    T("{"), T("{ "), T("{\""), T("{\"a"), T("{\"a\""), T("{\"a\":"), T("{\"a\":1"), T("{\"a\":1,"), T("{\"a\":1,}"),
    T("{,}"), T("{\"a\"}"), T("{\"a\":}"), T("{:1}"), T("{1:1}"), T("{a:1}"), T("{'a':1}"), T("{null:1}"),
    T("{[]:1}"), T("{{}:1}"), T("{\"a\" 1}"), T("{\"a\"::1}"), T("{\"a\":1 \"b\":2}"), T("{\"a\":1,,\"b\":2}"),
    T("{,\"a\":1}"), T("{\"a\",\"b\"}"), T("{\"a\":1,2}"), T("{\"a\":1:2}"), T("{\"a\"=1}"), T("{\"a\":1;\"b\":2}"),
    T("{\"a\":1]"), T("{]"), T("{\"a\":[}"), T("{}}"), T("{\"a\":1,\"b\"}"), T("{\"a\":1,\"b\":}"), T("{\"a\":{}"),
    T("{\"a\":{\"b\":1}"), T("{true:false}"), T("{\"a\":1,null}"), T("{\"a\":1 // c\n}"), T("{/**/}"),
    T("{\"a\":\"b\" \"c\"}"), T("{\"a\":1}}"), T("{\"a\":\"}"), T("{\"a:1}"), T("{...}"), T("{\"a\":(1)}"),
    T("{\"\\u00\":1}"), T("{\"\xff\":1}"), T("{\"a\n\":1}"), T("{\"a\":1,\"a\"}"), T("{ , }"), T("{\"a\",1}"),
    /* 5: arrays */
    T("["), T("[ "), T("[1"), T("[1,"), T("[1,]"), T("[,]"), T("[,1]"), T("[1,,2]"), T("[1 2]"), T("[1;2]"),
    T("[1:2]"), T("[[]"), T("[[]]]"), T("[}"), T("[{]"), T("[{]}"), T("[(]"), T("[\"a\""), T("[\"a\",]"), T("[\"a]"),
    T("[\"a\" \"b\"]"), T("[1,\n"), T("[1/**/]"), T("[1//\n]"), T("[#1]"), T("[\"a\":1]"), T("[true,]"), T("[,,]"),
    T("[1,2,]"), T("[][1]"), T("[[1,2]"), T("[,"), T("[[[[[[[["), T("[\"\"],"), T("[ , ]"), T("[1,}"), T("[[],"),
    T("[{},"), T("[1]]"), T("(1)"), T("<1>"), T("[1\\n]"), T("[\\]"),
    /* 6: numbers */
    T("-"), T("+"), T("+1"), T("+0"), T("--1"), T("-+1"), T("01"), T("00"), T("-01"), T("-00"), T("007"), T("1."),
    T("-1."), T(".5"), T("-.5"), T("."), T("-."), T("0."), T("0.e1"), T("1.e1"), T("1e"), T("1E"), T("1e+"),
    T("1e-"), T("1E+"), T("e1"), T("-e1"), T("1e1.5"), T("1e1e1"), T("1ee1"), T("1e++1"), T("1e+-1"), T("1.5."),
    T("1.2.3"), T("1..2"), T("1,5"), T("0x1"), T("0x"), T("0X1F"), T("0b1"), T("0o7"), T("1_000"), T("1 000"),
    T("1a"), T("1f"), T("1L"), T("- 1"), T("1 e1"), T("1e 1"), T("1. 5"), T("1 .5"), T("[-]"), T("[+1]"), T("[1.]"),
    T("[.1]"), T("[01]"), T("[1e]"), T("[-01]"), T("[1.e2]"), T("[0x1]"), T("[1-1]"), T("[1+1]"), T("{\"a\":01}"),
    T("{\"a\":1.}"), T("{\"a\":-}"), T("\xef\xbc\x91"), T("\xd9\xa1"), T("1\xd9\xa1"), T("0.\xd9\xa1"),
    T("1e\xd9\xa1"), T("$1"), T("1%"), T("[1e5,1e]"), T("0e"), T("0e+"), T("-0."), T("-0e"), T("0-"), T("1-"),
    T("[- 1]"),
    /* 7: strings */
    T("\""), T("\"a"), T("a\""), T("\"\\"), T("\"\\\""), T("\"\\\\\\\""), T("\"a\"b"), T("\"a\"b\""), T("'"),
    T("''"), T("\"'"), T("`a`"), T("\"\n\""), T("\"\r\""), T("\"\t\""), T("\"\b\""), T("\"\0\""), T("\"\x01\""),
    T("\"\x1f\""), T("\"a\nb\""), T("\"1234567\n\""), T("\"12345678\n\""), T("\"1234567890123456\x1f\""),
    T("\"abcdefghi\0" "jklmnopqrst\""), T("\"a\0b\""), T("\"\\a\""), T("\"\\v\""), T("\"\\0\""), T("\"\\1\""),
    T("\"\\x41\""), T("\"\\'\""), T("\"\\ \""), T("\"\\\n\""), T("\"\\B\""), T("\"\\N\""), T("\"\\U0041\""),
    T("\"\\u\""), T("\"\\u0\""), T("\"\\u00\""), T("\"\\u000\""), T("\"\\u000g\""), T("\"\\u00g0\""),
    T("\"\\ug000\""), T("\"\\u-001\""), T("\"\\u 041\""), T("\"\\u+041\""), T("\"\\u0x41\""), T("\"\\u{41}\""),
    T("\"\\ud83d\\u\""), T("\"\\ud83d\\ude0\""), T("\"\\u004"), T("\"\\u0041"), T("\"\\u"), T("\"\\n"),
    T("\"\\\xc3\xa9\""), T("\"\\u\xc3\xa9" "00\""), T("\"\\u00\xef\xbc\x91" "0\""), T("\"\\e\""), T("\"\\?\""),
    T("\"\\)\""), T("\"\\u@000\""), T("\"\\u`000\""), T("\"\\u:000\""),
    /* 8.1: UTF-8 */
    T("\"\x80\""), T("\"\xbf\""), T("\"\xc0\x80\""), T("\"\xc1\xbf\""), T("\"\xc3\""), T("\"\xc3("), T("\"\xc3\xa9"),
    T("\"\xe2\x82\""), T("\"\xe0\x80\x80\""), T("\"\xe0\x9f\xbf\""), T("\"\xed\xa0\x80\""), T("\"\xed\xbf\xbf\""),
    T("\"\xf0\x80\x80\x80\""), T("\"\xf0\x9f\x98\""), T("\"\xf4\x90\x80\x80\""), T("\"\xf5\x80\x80\x80\""),
    T("\"\xf8\x88\x80\x80\x80\""), T("\"\xfe\""), T("\"\xff\""), T("\"abcdefghijklmnop\xff\""), T("[\"\xe9\"]"),
    T("{\"a\":\"\xe9\"}"), T("\xff"), T("[\xff]"), T("1\xff"), T("[]\xff"), T("\"\xed\xa0\xbd\xed\xb8\x80\""),
    T("\"a\xe2\x82" "b\""), T("\"\xc3\xa9\xa9\""),
    /* comments, and whatever else JSON5 allows */
    T("// c\n1"), T("/* c */1"), T("1 // c"), T("1/**/"), T("# c\n1"), T("[1, // c\n2]"), T("{a:1,}"), T("[1,'b']"),
    T("\"a\\\nb\""), T("[0xff]"), T("{\"a\":+1}"), T("{\"a\":.5,}"), T("/"), T("//"), T("<!-- -->"), T("[1]/"),
    T("\\u0022a\\u0022"), T("`"), T("@"),
};

/* Nested levels of both kinds, without a period of 64, and an innermost value. The caller frees the text. */
static char *nested(size_t levels, const char *inner, size_t *size) {
    char *all = (char *)malloc(levels * 6 + strlen(inner) + 1);
    size_t i, at = 0;
    if (!all)
        abort();
    for (i = 0; i < levels; i++)
        at += (size_t)sprintf(all + at, "%s", i % 3 && i % 7 ? "[" : "{\"a\":");
    at += (size_t)sprintf(all + at, "%s", inner);
    while (i--)
        all[at++] = i % 3 && i % 7 ? ']' : '}';
    all[at] = 0;
    *size = at;
    return all;
}

static const text too_deep[] = {
    T(DEEP("[") "[]" DEEP("]")), T(DEEP("[") "["), T(DEEP("[") "{}" DEEP("]")), T(DEEP("{\"a\":") "[1]" DEEP("}")),
    T(DEEP("[[[[")), T(DEEP("{\"a\":") "{"), T("[0," DEEP("[") DEEP("]") "]"), T("[[],[{}],{\"a\":" DEEP("[1,") "]"),
    T(DEEP(" [ ") DEEP("{\"a\":[")),
};

/* --- the reference: recursive, byte by byte --------------------------------------------------------- */

typedef struct reader {
    const uint8_t *data;
    size_t at, size;
    int depth;
    bool deep;
} reader;

static int peek(const reader *r) { return r->at < r->size ? r->data[r->at] : -1; }

static bool take(reader *r, int c) {
    bool there = peek(r) == c;
    r->at += there;
    return there;
}

static bool among(int c, const char *set) { return c > 0 && strchr(set, c) != NULL; }

static void blanks(reader *r) {
    while (among(peek(r), " \t\r\n"))
        r->at++;
}

static bool reference_digits(reader *r) {
    size_t from = r->at;
    while (among(peek(r), "0123456789"))
        r->at++;
    return r->at > from;
}

static bool reference_number(reader *r) {
    (void)take(r, '-');
    if (!take(r, '0') && !reference_digits(r))
        return false;
    if (take(r, '.') && !reference_digits(r))
        return false;
    if (!take(r, 'e') && !take(r, 'E'))
        return true;
    if (!take(r, '+'))
        (void)take(r, '-');
    return reference_digits(r);
}

static bool reference_string(reader *r) {
    int i;
    if (!take(r, '"'))
        return false;
    while (!take(r, '"')) {
        if (peek(r) < 0x20)
            return false;
        if (!take(r, '\\')) {
            r->at++;
        } else if (take(r, 'u')) {
            for (i = 0; i < 4; i++, r->at++)
                if (!among(peek(r), "0123456789abcdefABCDEF"))
                    return false;
        } else {
            if (!among(peek(r), "\"\\/bfnrt"))
                return false;
            r->at++;
        }
    }
    return true;
}

static bool reference_value(reader *r) {
    static const char *const literals[] = {"true", "false", "null"};
    int i, open = peek(r), close = open + 2;
    for (i = 0; i < 3; i++)
        if (r->size - r->at >= strlen(literals[i]) && !memcmp(r->data + r->at, literals[i], strlen(literals[i])))
            return r->at += strlen(literals[i]), true;
    if (open != '[' && open != '{')
        return open == '"' ? reference_string(r) : reference_number(r);
    r->at++;
    if (++r->depth > WS_JSON_DEPTH)
        return r->deep = true, false;
    blanks(r);
    if (!take(r, close)) {
        do {
            blanks(r);
            if (open == '{' && !reference_string(r))
                return false;
            blanks(r);
            if (open == '{' && !take(r, ':'))
                return false;
            blanks(r);
            if (!reference_value(r))
                return false;
            blanks(r);
        } while (take(r, ','));
        if (!take(r, close))
            return false;
    }
    r->depth--;
    return true;
}

/* 1: a JSON text, 0: none, -1: too deep. */
static int reference(const uint8_t *data, size_t size) {
    reader r;
    memset(&r, 0, sizeof r);
    r.data = data;
    r.size = size;
    if (!wsi_utf8_valid(data, size))
        return 0;
    blanks(&r);
    if (!reference_value(&r))
        return r.deep ? -1 : 0;
    blanks(&r);
    return r.at == r.size;
}

/* --- helpers ---------------------------------------------------------------------------------------- */

static int verdict(ws_json value) {
    return value.type >= WS_JSON_NULL ? 1 : value.type == WS_JSON_TOO_DEEP ? -1 : 0;
}

/* Calls every function on a value and on all values in it. Returns the number of values. */
static size_t use(ws_json value) {
    char *room;
    int64_t integer;
    double number;
    bool boolean;
    ws_json name, item;
    size_t count = 1, needed = ws_json_as_text(value, NULL, 0);
    memset(&item, 0, sizeof item);
    if (needed) {
        room = (char *)malloc(needed);
        CHECK_EQ(ws_json_as_text(value, room, needed), needed);
        if (room)
            CHECK(room[needed - 1] == 0 && wsi_utf8_valid((const uint8_t *)room, needed - 1));
        free(room);
    }
    if (ws_json_as_integer(value, &integer) && integer < (1 << 30) && integer > -(1 << 30))
        CHECK(ws_json_as_number(value, &number) && number >= (double)integer && number <= (double)integer);
    (void)ws_json_as_number(value, &number);
    (void)ws_json_as_bool(value, &boolean);
    (void)ws_json_is(value, "a");
    (void)ws_json_get(value, "a.b[0]");
    (void)ws_json_get(value, "[1]['a']");
    while (ws_json_next(value, &name, &item)) {
        CHECK(item.data > value.data && item.data + item.size < value.data + value.size);
        count += use(item);
        if (name.type != WS_JSON_ABSENT)
            (void)use(name);
    }
    return count;
}

/* Whether two values are the same slice, and every function gives the same result for both. */
static bool alike(ws_json a, ws_json b) {
    size_t size = ws_json_as_text(a, NULL, 0);
    char *one = (char *)malloc(size + 1), *other = (char *)malloc(size + 1);
    double real[2] = {0, 0};
    bool good = one && other && a.data == b.data && a.size == b.size && a.type == b.type
                && ws_json_as_text(a, one, size) == ws_json_as_text(b, other, size) && memcmp(one, other, size) == 0
                && (!size || ws_json_is(a, one) == ws_json_is(b, one)) && !ws_json_is(b, "other")
                && ws_json_as_number(a, &real[0]) == ws_json_as_number(b, &real[1])
                && memcmp(&real[0], &real[1], sizeof real[0]) == 0;
    free(one);
    free(other);
    return good;
}

/* The number of words in the index of a value; 0: the value differs with and without an index. */
static size_t compare(ws_json plain, ws_json indexed) {
    static const char *const paths[] = {"a", "a.b", "[0]", "[1][0]", "a[0].b", "x"};
    ws_json names[2], items[2];
    bool more[2];
    size_t i, words = plain.type >= WS_JSON_ARRAY ? 2 : 1;
    memset(items, 0, sizeof items);
    for (i = 0; i < COUNT(paths); i++)
        if (!alike(ws_json_get(plain, paths[i]), ws_json_get(indexed, paths[i])))
            return 0;
    if (!alike(plain, indexed))
        return 0;
    for (;;) {
        more[0] = ws_json_next(plain, &names[0], &items[0]);
        more[1] = ws_json_next(indexed, &names[1], &items[1]);
        if (more[0] != more[1] || (more[0] && !alike(names[0], names[1])) || !alike(items[0], items[1]))
            return 0;
        if (!more[0])
            return words;
        i = compare(items[0], items[1]);
        if (!i)
            return 0;
        words += i + (names[0].type == WS_JSON_STRING);
    }
}

/* A text gives the same result with an index of any size, in a block of exactly that size, as without one. */
static void check_index(const char *block, size_t size, ws_json value) {
    size_t needed = 0, count, i;
    for (i = 0; i < 5; i++) {
        uint32_t *words;
        ws_json indexed;
        count = i == 0 ? size + 1 : i == 1 ? needed : i == 2 ? needed - 1 : i == 3 ? needed / 2 : 0;
        words = count ? (uint32_t *)malloc(count * sizeof *words) : NULL;
        indexed = ws_json_index(block, size, words, count);
        if (value.type < WS_JSON_NULL) {
            CHECK(alike(value, indexed) && !indexed.index);
            free(words);
            return;
        }
        CHECK_EQ(indexed.index != NULL, i < 2);
        count = compare(value, indexed);
        CHECK(count > 0 && (i == 0 || count == needed));
        needed = count ? count : 1;
        free(words);
    }
}

/* Every function on the text, in a block of its size. The result must be the reference's. */
static void try_text(const char *data, size_t size) {
    char *block = test_exact(data, size);
    ws_json value = ws_json_parse(block, size), forged;
    int type;
    CHECK_EQ(verdict(value), reference((const uint8_t *)(block ? block : ""), size));
    CHECK_EQ(ws_json_valid(block, size), verdict(value) == 1);
    check_index(block, size, value);
    if (value.type >= WS_JSON_NULL)
        (void)use(value);
    else if (block)
        CHECK(value.data >= block && value.data + value.size == block + size);
    for (type = WS_JSON_ABSENT; type <= WS_JSON_OBJECT && value.type < WS_JSON_NULL; type++) {
        int64_t integer; /* an unchecked slice gives wrong results, but no byte after it may be read */
        double number;
        bool yes;
        ws_json item = wsi_json_absent();
        forged.data = block;
        forged.size = size;
        forged.type = (ws_json_type)type;
        forged.index = NULL;
        (void)ws_json_as_text(forged, NULL, 0);
        (void)ws_json_as_integer(forged, &integer);
        (void)ws_json_as_number(forged, &number);
        (void)ws_json_as_bool(forged, &yes);
        (void)ws_json_is(forged, "abc");
        (void)ws_json_get(forged, "a[0].b");
        while (ws_json_next(forged, NULL, &item)) {}
    }
    free(block);
}

static ws_message message_of(const char *data) {
    ws_message message;
    message.data = (const uint8_t *)data;
    message.size = strlen(data);
    message.type = WS_TEXT;
    return message;
}

/* Ends the block, so that a test can write CHECK(is(value, "1")). */
static bool is(ws_json value, const char *wanted) {
    return value.type && value.size == strlen(wanted) && memcmp(value.data, wanted, value.size) == 0;
}

/* --- reading ---------------------------------------------------------------------------------------- */

static void test_table(const char *name, const text *table, size_t count, ws_json_type least, ws_json_type most) {
    size_t i, cut;
    if (test_begin("%s: %zu texts", name, count))
        for (i = 0; i < count; i++) {
            char *block = test_exact(table[i].data, table[i].size);
            ws_json value = ws_json_parse(block, table[i].size);
            if ((value.type < least || value.type > most) && test_failure(__FILE__, __LINE__, "verdict"))
                printf("    %.*s\n", (int)table[i].size, table[i].data);
            free(block);
        }
    if (test_begin("%s: cut at every byte", name))
        for (i = 0; i < count; i++)
            for (cut = 0; cut <= table[i].size; cut++) {
                try_text(table[i].data, cut);
                try_text(table[i].data + cut, table[i].size - cut);
            }
}

static void test_replaced(void) {
    static const text texts[] = {
        T("{\"a\":[1,-2.5e+3,true,null],\"b\\n\":\"c\\u00e9\xc3\xa9\"}"), T(" [ \"12345678\" , { } ] "),
        T("[\"\\ud83d\\ude00\",0.1,false]"), T("{\"name of 16 bytes\":\"and a longer text as the value\"}"),
    };
    size_t i, at;
    int c;
    for (i = 0; i < COUNT(texts); i++) {
        if (!test_begin("text %zu with every byte replaced by every byte", i))
            continue;
        for (at = 0; at < texts[i].size; at++)
            for (c = 0; c < 256; c++) {
                char copy[100];
                memcpy(copy, texts[i].data, texts[i].size);
                copy[at] = (char)c;
                try_text(copy, texts[i].size);
            }
    }
}

/* Every text of up to 5 of these tokens. */
static void test_short(void) {
    static const char *const tokens[] = {"{", "}", "[", "]", ",", ":", "\"", "\"a\"", "1", "-", ".", "0", "e", "\\",
            " ", "true"};
    size_t length, number, limit = 1, i, wrong = 0;
    if (!test_begin("every text of up to 5 tokens"))
        return;
    for (length = 0; length <= 5; length++, limit *= COUNT(tokens))
        for (number = 0; number < limit; number++) {
            char data[40] = "";
            size_t rest = number, size;
            for (i = 0; i < length; i++, rest /= COUNT(tokens))
                strcat(data, tokens[rest % COUNT(tokens)]);
            size = strlen(data);
            wrong += verdict(ws_json_parse(data, size)) != reference((const uint8_t *)data, size);
        }
    CHECK_EQ(wrong, 0);
}

static void test_types(void) {
    ws_json value;
    if (!test_begin("types, and where a text is malformed"))
        return;
    CHECK_EQ(json("null").type, WS_JSON_NULL);
    CHECK_EQ(json("true").type, WS_JSON_BOOL);
    CHECK_EQ(json("false").type, WS_JSON_BOOL);
    CHECK_EQ(json("-1").type, WS_JSON_NUMBER);
    CHECK_EQ(json("\"\"").type, WS_JSON_STRING);
    CHECK_EQ(json(" []\n").type, WS_JSON_ARRAY);
    CHECK(is(json(" \t[ 1 ]\r\n "), "[ 1 ]"));
    CHECK_EQ(json("{}").type, WS_JSON_OBJECT);
    CHECK_EQ(ws_json_parse(NULL, 0).type, WS_JSON_MALFORMED);
    CHECK_EQ(ws_json_parse(NULL, 5).type, WS_JSON_MALFORMED);
    value = json("{\"a\": 01}");
    CHECK(value.type == WS_JSON_MALFORMED && strcmp(value.data, "01}") == 0);
    value = json("[1, nul]");
    CHECK(value.type == WS_JSON_MALFORMED && strcmp(value.data, "nul]") == 0);
    value = json("[1] 2");
    CHECK(value.type == WS_JSON_MALFORMED && strcmp(value.data, "2") == 0);
    value = json(DEEP("[") "[7");
    CHECK(value.type == WS_JSON_TOO_DEEP && strcmp(value.data, "[7") == 0);
    CHECK_EQ(ws_json_get(json("["), "a").type, WS_JSON_MALFORMED);
    CHECK_EQ(ws_json_get(json(DEEP("[[")), "a").type, WS_JSON_TOO_DEEP);
}

/* RFC 8259 9: the reader sets the limit. A program that trusts a text says how deep it may be; the default is 64. */
static void test_deep(void) {
    static const size_t depths[] = {0, 1, 63, 64, 65, 127, 128, 129, 192, 193, 1000, 1024, 1025};
    static uint64_t nesting[16];
    size_t i, words, size, steps;
    char *all;
    if (!test_begin("nested deeper than 64: as deep as the words given allow"))
        return;
    for (i = 0; i < COUNT(depths); i++) {
        all = nested(depths[i], "\"end\"", &size);
        CHECK_EQ(ws_json_parse(all, size).type == WS_JSON_TOO_DEEP, depths[i] > 64);
        for (words = 0; words <= 15; words++) {
            ws_json value;
            nesting[words] = 42;
            value = ws_json_parse_deep(all, size, nesting, words);
            CHECK_EQ(value.type == WS_JSON_TOO_DEEP, depths[i] > 64 + words * 64);
            CHECK(value.type == WS_JSON_TOO_DEEP ? *value.data == '{' || *value.data == '['
                                                 : value.size == size && value.data == all);
            CHECK_EQ(nesting[words], 42);
        }
        if (depths[i] <= 1024) {
            ws_json value = ws_json_parse_deep(all, size, nesting, 15), item;
            for (steps = 0; steps < depths[i]; steps++) { /* by name, by index and by stepping */
                memset(&item, 0, sizeof item);
                (void)(steps % 2 ? ws_json_next(value, NULL, &item) : false);
                value = steps % 2 ? item : ws_json_get(value, value.type == WS_JSON_OBJECT ? "a" : "[0]");
            }
            CHECK(ws_json_is(value, "end"));
        }
        if (size > 100) { /* a bracket of the other kind, outermost and at the end of each word */
            size_t back;
            for (back = 1; back <= depths[i]; back += back == 1 ? 62 : back % 64 ? 1 : 63) {
                all[size - back] ^= '}' ^ ']';
                CHECK_EQ(ws_json_parse_deep(all, size, nesting, 16).type, WS_JSON_MALFORMED);
                all[size - back] ^= '}' ^ ']';
            }
        }
        free(all);
    }
    CHECK_EQ(ws_json_parse_deep(DEEP("[") "[]" DEEP("]"), 130, NULL, 5).type, WS_JSON_TOO_DEEP);
}

/* Items of another container, or of a deeper level, give wrong items, but never one outside the index. */
static void test_index_misused(void) {
    static const char *const texts[] = {"{\"a\":{\"b\":1}}", "{\"a\":[1,[2,{}],3]}", "[{\"a\":[]},{\"b\":[4]}]",
                                        "[[[[]]]]"};
    size_t i, k, steps;
    if (!test_begin("an index, and items from elsewhere"))
        return;
    for (i = 0; i < COUNT(texts); i++)
        for (k = 0; k < COUNT(texts); k++) {
            size_t size = strlen(texts[i]), needed = 0;
            uint32_t *words, other[100];
            ws_json value, from = ws_json_index(texts[k], strlen(texts[k]), other, 100), item;
            needed = ws_json_index(texts[i], size, other + 50, 50).index[1]; /* to its end, by the word */
            words = (uint32_t *)malloc(needed * sizeof *words);
            value = ws_json_index(texts[i], size, words, needed);
            CHECK(words && value.index == words && from.index);
            for (item = i == k ? value : from; item.type >= WS_JSON_ARRAY && ws_json_next(item, NULL, &from);) {
                ws_json before = from;
                for (steps = 0; ws_json_next(value, NULL, &before) && steps < 20; steps++)
                    CHECK(before.data > value.data && before.data + before.size <= value.data + value.size);
                CHECK(steps < 20);
                item = from;
                memset(&from, 0, sizeof from);
            }
            free(words);
        }
    CHECK(!ws_json_index("[1]", 3, NULL, 10).index && ws_json_index("[1]", 3, NULL, 10).type == WS_JSON_ARRAY);
    uint32_t words[8]; /* an altered slice: no byte after it is read */
    char copy[8];
    ws_json altered = ws_json_index("\"abc\"", 5, words, 8);
    altered.size = 1;
    CHECK_EQ(ws_json_as_text(altered, copy, sizeof copy), 0);
}

/* A word of the index has 28 bits for a size: a longer text is read, but gets no index. */
static void test_index_large(void) {
    size_t size = (size_t)1 << 28, k;
    char *large = NULL;
    if (!test_begin("an index of the longest text, and of one that is too long"))
        return;
    large = (char *)calloc(1, size); /* the system provides the pages as they are touched */
    for (k = 0; large && k < 2; k++) {
        uint32_t words[2] = {77, 77};
        memcpy(large, "[1]", 3);
        large[size - 2 + k] = 'x'; /* so the text after the array is not JSON */
        CHECK_EQ(ws_json_index(large, size - 1 + k, words, 2).type, WS_JSON_MALFORMED);
        CHECK_EQ(words[0] == 77, k == 1);
    }
    free(large);
}

/* The answer of a browser's DevTools for a page of 40 nested elements, with two levels for each. */
static void test_devtools(void) {
    char data[6000] = "{\"id\":1,\"result\":{\"root\":", name[16] = "";
    uint64_t nesting[1];
    ws_json node;
    int i, elements;
    if (!test_begin("a DevTools answer of 40 nested elements, 82 levels"))
        return;
    for (i = 0; i < 40; i++)
        (void)sprintf(data + strlen(data), "{\"nodeId\":%d,\"localName\":\"e%d\",\"children\":[", i, i);
    for (i = 0; i < 40; i++)
        strcat(data, "]}");
    strcat(data, "}}");
    CHECK_EQ(json(data).type, WS_JSON_TOO_DEEP);
    node = ws_json_get(ws_json_parse_deep(data, strlen(data), nesting, 1), "result.root");
    for (elements = 0; node.type == WS_JSON_OBJECT; elements++) {
        (void)sprintf(name, "e%d", elements);
        CHECK(ws_json_is(ws_json_get(node, "localName"), name));
        node = ws_json_get(node, "children[0]");
    }
    CHECK_EQ(elements, 40);
}

static void test_paths(void) {
    static const char data[] = "{\"user\":{\"name\":\"Ann\",\"tags\":[\"x\",[10,11],{\"k\":true}]},"
                               "\"data\":[1,2,3],\"a.b\":{\"c\":4},"
                               "\"q'\":5,\"\":6,\"x[0]\":7,\"d\":1,\"d\":2,\"e\\u0073c\":8,\"back\\\\n\":9,"
                               "\"n\":{\"d\":1},\"n\":null,"
                               "\"\\ud800\":0,\"nul\\u0000x\":1,\"last\":{\"deep\":[[],[[],[\"end\"]]]}}";
    static const struct {
        const char *path, *wanted; /* NULL: absent */
    } cases[] = {
        {"user.name", "\"Ann\""}, {"user.tags[0]", "\"x\""}, {"user.tags[1][1]", "11"}, {"user.tags[2].k", "true"},
        {"user.tags[1]", "[10,11]"}, {"user.tags[2]xk", NULL},
        {"user.tags[2]k", NULL}, {"data[0]", "1"}, {"data[2]", "3"},
        {"data", "[1,2,3]"}, {"['a.b'].c", "4"},
        {"[\"a.b\"].c", "4"}, {"['a.b']['c']", "4"}, {"[\"q'\"]", "5"}, {"q'", "5"}, {"['']", "6"}, {"[\"\"]", "6"},
        {"['x[0]']", "7"}, {"d", "2"}, {"esc", "8"}, {"back\\n", "9"}, {"n", "null"},
        {"last.deep[1][1][0]", "\"end\""}, {"['user'].name", "\"Ann\""}, {"user['name']", "\"Ann\""},
        {"data[00002]", "3"}, {"data[3]", NULL}, {"data[-1]", NULL}, {"data[]", NULL}, {"data[x]", NULL},
        {"data[1", NULL}, {"data[1]x", NULL}, {"data[1].x", NULL}, {"data.0", NULL},
        {"data[99999999999999999]", NULL}, {"data[999999999999999999999999]", NULL}, {"user.", NULL},
        {".user", NULL}, {"user..name", NULL}, {".", NULL}, {"[", NULL}, {"[]", NULL}, {"['", NULL},
        {"['user", NULL}, {"['user'", NULL}, {"['user'x]", NULL}, {"['user']name", NULL}, {"['user\"]", NULL},
        {"n.d", NULL}, {"USER", NULL}, {"use", NULL}, {"userx", NULL}, {"user.name.x", NULL}, {"user.name[0]", NULL},
        {"user[0]", NULL}, {"nul", NULL}, {"name", NULL}, {"k", NULL}, {"c", NULL}, {"[0]", NULL}, {"]", NULL},
        {"back\\\\n", NULL}, {"e\\u0073c", NULL},
    };
    size_t i, size = strlen(data);
    char *block;
    if (!test_begin("%zu paths", COUNT(cases)))
        return;
    block = test_exact(data, size);
    for (i = 0; i < COUNT(cases); i++) {
        ws_message message = {NULL, 0, WS_TEXT};
        ws_json value;
        char *path = test_exact(cases[i].path, strlen(cases[i].path) + 1);
        message.data = (const uint8_t *)block;
        message.size = size;
        value = ws_json_find(message, path);
        if ((cases[i].wanted ? !is(value, cases[i].wanted) : value.type != WS_JSON_ABSENT)
            && test_failure(__FILE__, __LINE__, "found"))
            printf("    %s\n", cases[i].path);
        free(path);
    }
    free(block);
    CHECK(is(ws_json_find(message_of(" 5 "), ""), "5"));
    CHECK(is(ws_json_find(message_of("[5]"), NULL), "[5]"));
    CHECK(is(ws_json_find(message_of("[[1],[2,3]]"), "[1][0]"), "2"));
    CHECK(is(ws_json_member(json(data), "a.b"), "{\"c\":4}"));
    CHECK_EQ(ws_json_member(json(data), NULL).type, WS_JSON_ABSENT);
    CHECK_EQ(ws_json_member(json("[1]"), "a").type, WS_JSON_ABSENT);
    CHECK(is(ws_json_element(json("[1,[2],3]"), 1), "[2]"));
    CHECK_EQ(ws_json_element(json("[1]"), SIZE_MAX).type, WS_JSON_ABSENT);
    CHECK_EQ(ws_json_element(json("{\"a\":1}"), 0).type, WS_JSON_ABSENT);
    CHECK(is(ws_json_get(ws_json_get(json(data), "user"), "tags[1]"), "[10,11]"));
    CHECK_EQ(ws_json_get(wsi_json_absent(), "a").type, WS_JSON_ABSENT);
}

static void test_next(void) {
    ws_json object = json(" { \"a\" : 1 , \"b\\n\":[ 2,3 ],\"c\":{\"d\":{}} , \"e\":\"x,y\" } "), name, item, inner;
    const char *const names[] = {"a", "b\n", "c", "e"}, *const items[] = {"1", "[ 2,3 ]", "{\"d\":{}}", "\"x,y\""};
    size_t count = 0, inside = 0, round;
    if (!test_begin("stepping through objects and arrays"))
        return;
    memset(&item, 0, sizeof item);
    inner = item;
    for (round = 0; round < 2; round++) /* a second time with the same variable */
        for (count = 0; ws_json_next(object, &name, &item); count++) {
            CHECK(count < 4 && ws_json_is(name, names[count]) && is(item, items[count]));
            while (ws_json_next(item, NULL, &inner))
                inside++;
        }
    CHECK_EQ(count, 4);
    CHECK_EQ(inside, 6);
    CHECK(!ws_json_next(json("[]"), &name, &item) && !ws_json_next(json("{ }"), &name, &item));
    CHECK(!ws_json_next(json("\"abc\""), &name, &item) && !ws_json_next(json("12"), &name, &item));
    CHECK(!ws_json_next(json("["), &name, &item) && !ws_json_next(wsi_json_absent(), &name, &item));
    item = json("1"); /* an item from elsewhere: begins again */
    CHECK(ws_json_next(json("[7,8]"), &name, &item) && is(item, "7") && name.type == WS_JSON_ABSENT);
    item.data = object.data + 2; /* a forged item: not followed beyond the end */
    item.size = SIZE_MAX / 2;
    CHECK(ws_json_next(object, &name, &item) && is(item, "1"));
    item = wsi_json_absent();
    CHECK_EQ(use(json("[1,[2,[3,{\"a\":4,\"b\":[]}]],\"\"]")), 10);
}

static void test_text(void) {
    static const struct {
        const char *json, *wanted; /* NULL: none */
        size_t size;
    } cases[] = {
        {"\"\"", "", 0}, {"\"abc\"", "abc", 3}, {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"a\\u0000b\"", "a\0b", 3}, {"\"\\u0041\\u00e9\\u20ac\"", "A\xc3\xa9\xe2\x82\xac", 6},
        {"\"\\ud83d\\uDE00!\"", "\xf0\x9f\x98\x80!", 5},
        {"\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8},
        {"\"\xe2\x82\xac\\n\xe2\x82\xac\"", "\xe2\x82\xac\n\xe2\x82\xac", 7},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\ud7ff\\ue000\\uffff\"",
         "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 17},
        {"\"\\\\u0041\"", "\\u0041", 6}, {"\"/\"", "/", 1}, {"\"\\ud800\"", NULL, 0}, {"\"\\udc00\"", NULL, 0},
        {"\"a\\udc00\\ud800b\"", NULL, 0}, {"\"\\ud800\\ud800\\udc00\"", NULL, 0}, {"\"\\ud800\\n\"", NULL, 0},
        {"\"\\ud83d\\u0041\"", NULL, 0}, {"\"\\ud83d\\ud83d\"", NULL, 0}, {"\"\\ud83dxude00\"", NULL, 0},
        {"\"text \\udfff\"", NULL, 0},
        {"1", NULL, 0}, {"null", NULL, 0}, {"[\"a\"]", NULL, 0}, {"{}", NULL, 0}, {"\"a", NULL, 0}, {"", NULL, 0},
    };
    size_t i, size;
    if (!test_begin("%zu strings into every size of buffer", COUNT(cases)))
        return;
    for (i = 0; i < COUNT(cases); i++) {
        size_t needed = cases[i].wanted ? cases[i].size + 1 : 0;
        CHECK_EQ(ws_json_as_text(json(cases[i].json), NULL, 0), needed);
        for (size = 1; size < cases[i].size + 4; size++) {
            char *room = (char *)malloc(size);
            memset(room, 'z', size);
            CHECK_EQ(ws_json_as_text(json(cases[i].json), room, size), needed);
            if (needed && needed <= size)
                CHECK_MEM(room, needed, cases[i].wanted, needed);
            else
                CHECK(room[0] == 0);
            free(room);
        }
    }
    for (size = 0; size < 6; size++) { /* a string that has no escape, according to the index */
        uint32_t words[4];
        char room[6] = "zzzzz";
        ws_json item;
        memset(&item, 0, sizeof item);
        CHECK(ws_json_next(ws_json_index("[\"abc\"]", 7, words, 4), NULL, &item));
        CHECK_EQ(ws_json_as_text(item, size ? room : NULL, size), 4);
        CHECK_STR(room, size == 0 ? "zzzzz" : size < 4 ? "" : "abc");
    }
    CHECK(ws_json_is(json("\"\\u0061\\ud83d\\ude00\""), "a\xf0\x9f\x98\x80"));
    CHECK(ws_json_is(json("\"\""), "") && !ws_json_is(json("\"a\""), "") && !ws_json_is(json("\"\""), "a"));
    CHECK(!ws_json_is(json("\"ab\""), "a") && !ws_json_is(json("\"a\\u0000\""), "a") && !ws_json_is(json("\"a\""),
            "ab"));
    CHECK(!ws_json_is(json("1"), "1") && !ws_json_is(json("\"a\""), NULL) && !ws_json_is(json("\"\\ud800\""),
            "\xed\xa0\x80"));
}

/* The calls that take a message: found, absent, of another type, too big. */
static void test_message(void) {
    ws_message message = message_of("{\"user\":{\"name\":\"Ann\"},\"data\":[1,2,3.5],\"on\":true,"
                                    "\"zero\":\"a\\u0000b\",\"n\":7e0}");
    ws_message bad = message_of("{\"user\":{\"name\":\"Ann\"},\"data\":[1,2,3.5],\"on\":true,}");
    char name[4] = "zzz";
    int64_t integer = 5;
    double number = 6;
    bool on = false;
    if (!test_begin("from a message"))
        return;
    CHECK(ws_json_text(message, "user.name", name, sizeof name));
    CHECK_STR(name, "Ann");
    CHECK(!ws_json_text(message, "user.name", name, 3));
    CHECK_STR(name, "");
    CHECK(!ws_json_text(message, "user.name", NULL, 0));
    CHECK(!ws_json_text(message, "user.nick", name, sizeof name) && !ws_json_text(message, "on", name, sizeof name));
    CHECK(!ws_json_text(message, "zero", name, sizeof name)); /* as a C string it would read "a" */
    CHECK_STR(name, "");
    CHECK_EQ(ws_json_find(message, "user.name").type, WS_JSON_STRING);
    CHECK_EQ(ws_json_find(message, "user.nick").type, WS_JSON_ABSENT);
    CHECK_EQ(ws_json_find(bad, "user.nick").type, WS_JSON_MALFORMED);
    CHECK(!ws_json_integer(message, "data[2]", &integer) && !ws_json_integer(message, "on", &integer));
    CHECK(!ws_json_integer(message, "none", &integer) && !ws_json_integer(bad, "data[1]", &integer));
    CHECK_EQ(integer, 5);
    CHECK(ws_json_integer(message, "data[1]", &integer) && integer == 2);
    CHECK(ws_json_integer(message, "n", &integer) && integer == 7);
    CHECK(!ws_json_number(message, "user", &number) && !ws_json_number(bad, "data[2]", &number));
    CHECK_EQ(number, 6);
    CHECK(ws_json_number(message, "data[2]", &number));
    CHECK_EQ(number * 2, 7);
    CHECK(!ws_json_bool(message, "data", &on) && !ws_json_bool(bad, "on", &on) && !on);
    CHECK(ws_json_bool(message, "on", &on) && on);
    CHECK(!ws_json_text(bad, "user.name", name, sizeof name)); /* no value from a text that is malformed further on */
    CHECK_EQ(ws_json_find(bad, "user").type, WS_JSON_MALFORMED);
}

static void test_integers(void) {
    static const struct {
        const char *json;
        bool good;
        int64_t wanted;
    } cases[] = {
        {"0", true, 0}, {"-0", true, 0}, {"7", true, 7}, {"-7", true, -7}, {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN}, {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0}, {"18446744073709551615", false, 0}, {"18446744073709551616", false, 0},
        {"9007199254740993", true, 9007199254740993}, {"1e3", true, 1000}, {"1E+3", true, 1000},
        {"1000.0", true, 1000}, {"1.5e1", true, 15}, {"1.25e1", false, 0}, {"10e-1", true, 1}, {"1e-1", false, 0},
        {"1.5", false, 0}, {"0.0", true, 0}, {"-0.0e5", true, 0}, {"0e999999999999999999999", true, 0},
        {"0e-999999999999999999999", true, 0}, {"1e18", true, 1000000000000000000}, {"1e19", false, 0},
        {"9e18", true, 9000000000000000000}, {"1e999999999999999999999", false, 0},
        {"1e-999999999999999999999", false, 0}, {"123456789012345678901234567890e-11", false, 0},
        {"1000000000000000000000000000000e-30", true, 1}, {"0.000000000000000000000000000001e30", true, 1},
        {"92233720368547758070e-1", true, INT64_MAX}, {"9.223372036854775807e18", true, INT64_MAX},
        {"-9.223372036854775808e18", true, INT64_MIN}, {"9.2233720368547758071e18", false, 0},
        {"9.223372036854775808e18", false, 0}, {"99999999999999999999", false, 0},
        {"1.00000000000000000000000000000000001", false, 0}, {"1.00000000000000000000000000000000000", true, 1},
        {"\"1\"", false, 0}, {"true", false, 0}, {"null", false, 0}, {"[1]", false, 0}, {"1.", false, 0},
        {"100000000000000000001e0", false, 0},
    };
    size_t i;
    if (!test_begin("%zu integers", COUNT(cases)))
        return;
    for (i = 0; i < COUNT(cases); i++) {
        int64_t integer = 42;
        bool good = ws_json_as_integer(json(cases[i].json), &integer);
        if ((good != cases[i].good || integer != (good ? cases[i].wanted : 42))
            && test_failure(__FILE__, __LINE__, "integer"))
            printf("    %s: %d, %" PRId64 "\n", cases[i].json, good, integer);
    }
}

/* What the writer's %llu writes can be read back. */
static void test_unsigned(void) {
    static const struct {
        const char *json;
        bool good;
        uint64_t wanted;
    } cases[] = {
        {"0", true, 0}, {"-0", true, 0}, {"-0.0e3", true, 0}, {"7", true, 7}, {"-7", false, 0}, {"-1e-1", false, 0},
        {"9223372036854775808", true, (uint64_t)INT64_MAX + 1}, {"18446744073709551614", true, UINT64_MAX - 1},
        {"18446744073709551615", true, UINT64_MAX}, {"18446744073709551615.0", true, UINT64_MAX},
        {"1844674407370955161.5e1", true, UINT64_MAX}, {"1.8446744073709551615e19", true, UINT64_MAX},
        {"18446744073709551615000e-3", true, UINT64_MAX}, {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0}, {"18446744073709551625", false, 0}, {"20000000000000000000", false, 0},
        {"99999999999999999999", false, 0}, {"100000000000000000000", false, 0}, {"1e19", true, 10000000000000000000u},
        {"1e20", false, 0}, {"184467440737095516150", false, 0}, {"18446744073709551615.5", false, 0},
        {"-18446744073709551615", false, 0}, {"1e999999999999999999999", false, 0},
        {"0e999999999999999999999", true, 0}, {"1.5", false, 0}, {"\"1\"", false, 0}, {"null", false, 0},
    };
    uint64_t integer = 42;
    char made[40];
    size_t i;
    if (!test_begin("%zu unsigned integers", COUNT(cases)))
        return;
    for (i = 0; i < COUNT(cases); i++) {
        bool good;
        integer = 42;
        good = ws_json_as_unsigned(json(cases[i].json), &integer);
        if ((good != cases[i].good || integer != (good ? cases[i].wanted : 42))
            && test_failure(__FILE__, __LINE__, "unsigned"))
            printf("    %s: %d, %" PRIu64 "\n", cases[i].json, good, integer);
    }
    CHECK(ws_json_print(made, sizeof made, "{'n':%llu}", (unsigned long long)UINT64_MAX) < sizeof made);
    CHECK(ws_json_unsigned(message_of(made), "n", &integer) && integer == UINT64_MAX);
    CHECK(!ws_json_unsigned(message_of(made), "m", &integer) && integer == UINT64_MAX);
}

/* as_number gives what strtod gives for the same text in the C locale. An infinite result is refused. */
static void check_number(const char *numeral) {
    double wanted = strtod(numeral, NULL), number = 42;
    char *block = test_exact(numeral, strlen(numeral));
    bool good = ws_json_as_number(ws_json_parse(block, strlen(numeral)), &number), finite = wanted - wanted == 0;
    free(block);
    if ((good != finite || (good && memcmp(&number, &wanted, sizeof number) != 0))
        && test_failure(__FILE__, __LINE__, "number"))
        printf("    %.60s: %d, %.17g, should be %.17g\n", numeral, good, number, wanted);
}

static void test_numbers(void) {
    static const char *const cases[] = {
        "0", "-0", "0.0", "-0e9", "1", "0.1", "0.3", "1e22", "1e23", "-1e22", "123456789e-22", "9007199254740992",
        "9007199254740993",
        "9007199254740991e22", "9007199254740993e-1", "1.7976931348623157e308", "1.7976931348623158e308",
        "1.7976931348623159e308", "1e309",
        "-1e309", "1e400", "1e99999999999999999999", "-1e99999999999999999999", "1e-99999999999999999999",
        "0e99999999999999999999", "5e-324",
        "4.9e-324", "2.5e-324", "2.4e-324", "1e-400", "2.2250738585072011e-308", "2.2250738585072012e-308",
        "2.2250738585072014e-308",
        "6.631236846766476e-316", "3.2378839133029012895883524125015321748630094e-319", "7.2057594037927933e16",
        "123456789012345678901234567890",
        "100000000000000000000000000000000000000000e-41", "0.00000000000000000000000000000000000000000000001e46",
        "8.5e0", "1E5", "1e+5",
    };
    char numeral[2000], zeros[1200];
    size_t i;
    if (test_begin("numbers are the nearest double"))
        for (i = 0; i < COUNT(cases); i++)
            check_number(cases[i]);
    if (test_begin("random numbers"))
        for (i = 0; i < 30000; i++) {
            snprintf(numeral, sizeof numeral, "%.*e", (int)(some() % 25), random_double());
            check_number(numeral);
            snprintf(numeral, sizeof numeral, "%s%" PRIu64 ".%" PRIu64 "e%d", i & 1 ? "-" : "", some() >> some() % 64,
                     some() >> some() % 64, (int)(some() % 700) - 350);
            check_number(numeral);
        }
    if (test_begin("numbers of at most 19 digits halfway between two doubles, or very near"))
        for (i = 0; i < 10000; i++) {
            static const char *const halves[] = {".5", ".50", ".499", ".501", "5e-1", "500e-3", ".5e0"};
            uint64_t whole = some() >> 12 | (uint64_t)1 << 52;
            snprintf(numeral, sizeof numeral, "%" PRIu64 "%s", whole, halves[i % COUNT(halves)]);
            check_number(numeral);
            snprintf(numeral, sizeof numeral, "%" PRIu64, whole << (1 + i % 10) | (uint64_t)1 << i % 10);
            check_number(numeral);
        }
    memset(zeros, '0', sizeof zeros);
    if (test_begin("numbers halfway between two doubles, or very near"))
        for (i = 0; i < 2000; i++) {
            uint64_t bits = some() % ((uint64_t)(some() % 4 ? 1100 : 60) << 52);
            double low, high;
            int size;
            memcpy(&low, &bits, sizeof low);
            bits++;
            memcpy(&high, &bits, sizeof high);
            size = snprintf(numeral, sizeof numeral, "%.*Lf", 1100, ((long double)low + (long double)high) / 2);
            check_number(numeral);
            numeral[size++] = '1';
            numeral[size] = 0;
            check_number(numeral);
            snprintf(numeral + size - 1, sizeof numeral - (size_t)size, "%.*s1e-3", (int)(some() % 800), zeros);
            check_number(numeral);
        }
    if (test_begin("numbers with very many zeros")) {
        size_t many = 20000;
        char *big = (char *)malloc(many + 20);
        memset(big, '0', many);
        big[1] = '.';
        memcpy(big + many, "1e19999", 8);
        check_number(big);
        big[0] = '1';
        memcpy(big + 1, zeros, 1);
        memcpy(big + many, "e-19999", 8);
        check_number(big);
        free(big);
        snprintf(numeral, sizeof numeral, "0.%.1000s1e1001", zeros);
        check_number(numeral);
        snprintf(numeral, sizeof numeral, "1%.1000se-1000", zeros);
        check_number(numeral);
        snprintf(numeral, sizeof numeral, "9007199254740993.%.900s", zeros);
        check_number(numeral);
        snprintf(numeral, sizeof numeral, "9007199254740993.%.900s1", zeros);
        check_number(numeral);
        snprintf(numeral, sizeof numeral, "9007199254740993%.900s1e-901", zeros);
        check_number(numeral);
        snprintf(numeral, sizeof numeral, "9007199254740993.%.783s501", zeros); /* the 800th digit is the 5 */
        check_number(numeral);
    }
}

/* Any text written with %s and read again is the same. */
static void test_there_and_back(void) {
    size_t round;
    int wrong = 0;
    if (!test_begin("random texts written and read back"))
        return;
    for (round = 0; round < 20000; round++) {
        char data[200], room[1300], back[200];
        size_t size = 0, count = (size_t)(some() % 40);
        while (count--) {
            uint32_t code = (uint32_t)(some() % (some() % 2 ? 0x80 : some() % 2 ? 0x800 : 0x110000));
            if (code && (code < 0xd800 || code > 0xdfff))
                size += wsi_json_encode(code, (uint8_t *)data + size);
        }
        data[size] = 0;
        wrong += !ws_json_print(room, sizeof room, "{%s:[%.*s]}", data, (int)size, data);
        wrong += ws_json_as_text(ws_json_element(ws_json_member(json(room), data), 0), back, sizeof back) != size + 1;
        wrong += memcmp(data, back, size) != 0;
    }
    CHECK_EQ(wrong, 0);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_table("valid", valid, COUNT(valid), WS_JSON_NULL, WS_JSON_OBJECT);
    test_table("malformed", malformed, COUNT(malformed), WS_JSON_MALFORMED, WS_JSON_MALFORMED);
    test_table("too deep", too_deep, COUNT(too_deep), WS_JSON_TOO_DEEP, WS_JSON_TOO_DEEP);
    test_replaced();
    test_short();
    test_types();
    test_deep();
    test_index_misused();
    test_index_large();
    test_devtools();
    test_paths();
    test_next();
    test_text();
    test_message();
    test_integers();
    test_unsigned();
    test_numbers();
    test_there_and_back();
    return test_finish();
}
