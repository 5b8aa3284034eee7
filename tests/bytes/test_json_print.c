/* JSON, PRINT: the output of the printf-like calls. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/json.h"
#include "../helpers/test.h"

#include <inttypes.h>
#include <locale.h>

/* --- writing ---------------------------------------------------------------------------------------- */

/* Prints into buffers of every size up to the needed size and more. "" stands for a failure, which may
   appear only when the text would fit. */
static void check_printed(const char *wanted, const char *file, int line, const char *format, ...) {
    size_t needed = strlen(wanted), most = needed ? needed + 3 : 400, size;
    for (size = 0; size <= most; size++) {
        char *room = (char *)malloc(size ? size : 1);
        va_list arguments;
        size_t written;
        memset(room, 'z', size ? size : 1);
        va_start(arguments, format);
        written = ws_json_vprint(size ? room : NULL, size, format, arguments);
        va_end(arguments);
        if (needed || written < size || size == most)
            test_equal((long long)written, (long long)needed, format, file, line);
        if (size)
            test_memory(room, strlen(room), needed < size ? wanted : "", needed < size ? needed : 0, format, file,
                    line);
        free(room);
    }
}

/* The same without the compiler's check of the format, which these formats fail on purpose. */
#define PRINTED(wanted, ...) check_printed(wanted, __FILE__, __LINE__, __VA_ARGS__)

static void test_formats(void) {
    char room[64];
    const char *volatile none = NULL; /* volatile, or the compiler warns */
    if (!test_begin("formats"))
        return;
    CHECK_EQ(ws_json_print(room, sizeof room, "{'type':'left','room':%s,'n':%d}", "a\"b", 3), 35);
    CHECK_STR(room, "{\"type\":\"left\",\"room\":\"a\\\"b\",\"n\":3}");
    CHECK_EQ(ws_json_print(room, sizeof room, "{'on':%-s,'none':%s}", 1 ? "true" : "false", none), 23);
    CHECK_STR(room, "{\"on\":true,\"none\":null}");
    PRINTED("[]", "[]");
    PRINTED("{\"a\":1}", "{\"a\":1}");
    PRINTED("[1,-2,3,4294967295]", "[%d,%i,%u,%u]", 1, -2, 3u, 0xffffffffu);
    PRINTED("[-1,-2,255,65535]", "[%hhd,%hd,%hhu,%hu]", -1, -2, -1, -1);
    PRINTED("[-9223372036854775808,9223372036854775807,18446744073709551615]", "[%lld,%lld,%llu]",
            (long long)INT64_MIN,
            (long long)INT64_MAX, (unsigned long long)UINT64_MAX);
    PRINTED("[-5,5,-6,6,-7,7,-8,9]", "[%ld,%lu,%zd,%zu,%jd,%ju,%td,%" PRIu64 "]", -5L, 5uL, (ptrdiff_t)-6, (size_t)6,
            (intmax_t)-7,
            (uintmax_t)7, (ptrdiff_t)-8, (uint64_t)9);
    PRINTED("[-1,1]", "[%" PRId64 ",%" PRId8 "]", (int64_t)-1, 1);
    PRINTED("\"\"", "%s", "");
    PRINTED("\"a\"", "%s", "a");
    PRINTED("null", "%s", (char *)NULL);
    PRINTED("null", "%.*s", 3, (char *)NULL);
    PRINTED("null", "%-s", (char *)NULL);
    PRINTED("{\"key \\\"\":1}", "{%s:1}", "key \"");
    PRINTED("[\"abc\",\"\",\"ab\",\"abc\"]", "[%.*s,%.*s,%.2s,%.*s]", 3, "abcdef", 0, "abc", "abc", -1, "abc");
    PRINTED("[\"ab\"]", "[%.9s]", "ab");
    PRINTED("[1,[2]]", "[%-.*s,%-s]", 1, "12", "[2]");
    PRINTED("[\"it's\",\"say \\\"hi\\\"\",\"it's\",\"a\\nb\\u0041\\\\\"]",
            "['it\\'s','say \"hi\"',\"it's\",'a\\nb\\u0041\\\\']");
    PRINTED("[\"id-7-x\",\"100%\"]", "['id-%d-x','%d%%']", 7, 100);
    PRINTED("[\"\xe2\x82\xac\",\"\xe2\x82\xac\"]", "['\xe2\x82\xac',%s]", "\xe2\x82\xac");
    PRINTED(" [ 1 ]\n", " [ %d ]\n", 1);
}

static void test_strings_out(void) {
    char all[130], room[800], back[130];
    ws_json value;
    int c;
    if (!test_begin("strings are escaped"))
        return;
    PRINTED("\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"", "%s", "\"\\/\b\f\n\r\t\x01\x1f\x7f");
    PRINTED("\"\xe2\x80\xa8\xe2\x80\xa9</script>\xf0\x9f\x98\x80'\"", "%s",
            "\xe2\x80\xa8\xe2\x80\xa9</script>\xf0\x9f\x98\x80'");
    PRINTED("[\"\\\",\\\"admin\\\":true,\\\"\"]", "[%s]", "\",\"admin\":true,\"");
    PRINTED("\"%s %d %n\"", "%s", "%s %d %n");
    for (c = 1; c < 128; c++)
        all[c - 1] = (char)c;
    all[127] = 0;
    CHECK(ws_json_print(room, sizeof room, "%s", all) > 0);
    value = json(room);
    CHECK_EQ(ws_json_as_text(value, back, sizeof back), 128);
    CHECK_STR(back, all);
}

/* A format that does not give JSON, or lets a peer's text end its string, fails with every buffer size: "". */
static void test_bad_formats(void) {
    if (!test_begin("bad formats"))
        return;
    PRINTED("", "");
    PRINTED("", "'hello %s'", "Bob");
    PRINTED("", "['a%s']", ",");
    PRINTED("", "'%-s'", "1");
    PRINTED("", "{'a':%-s}", "1,\"admin\":true");
    PRINTED("", "[%-s]", "1,2");
    PRINTED("", "[%-s]", "");
    PRINTED("", "[%-s]", "\"\xff\"");
    PRINTED("", "[%-.*s]", 2, "[1]");
    PRINTED("", "%s", "\xff");
    PRINTED("", "%s", "\xed\xa0\x80");
    PRINTED("", "%.1s", "\xc3\xa9");
    PRINTED("", "{'a':1");
    PRINTED("", "{'a}");
    PRINTED("", "{a:1}");
    PRINTED("", "{'a':1,}");
    PRINTED("", "{%s:1}", (char *)NULL);
    PRINTED("", "%d%s", 1, "a");
    PRINTED("", "%s%s", "a", "b");
    PRINTED("", "%d %d", 1, 2);
    PRINTED("", "'\xff'");
    PRINTED("", "'a\\");
    PRINTED("", "'\\x'");
    PRINTED("", "%%");
    PRINTED("", "\\'");
    PRINTED("", "%x", 1);
    PRINTED("", "%o", 1);
    PRINTED("", "%c", 'a');
    PRINTED("", "%p", (void *)0);
    PRINTED("", "%a", 1.0);
    PRINTED("", "%5d", 1);
    PRINTED("", "%05d", 1);
    PRINTED("", "%+d", 1);
    PRINTED("", "% d", 1);
    PRINTED("", "%.3d", 1);
    PRINTED("", "%-d", 1);
    PRINTED("", "%-g", 1.0);
    PRINTED("", "%#g", 1.0);
    PRINTED("", "%.31f", 1.0);
    PRINTED("", "%.999999999999999f", 1.0);
    PRINTED("", "%hf", 1.0);
    PRINTED("", "%ls", L"a");
    PRINTED("", "%Ld", 1);
    PRINTED("", "%zzd", (size_t)1);
    PRINTED("", "%jjd", (intmax_t)1);
    PRINTED("", "%q", 1);
    PRINTED("", "%");
    PRINTED("", "[%");
    PRINTED("", "[%-");
    PRINTED("", "[%.");
    PRINTED("", "[%l");
    PRINTED("", DEEP("[") "[]" DEEP("]"));
}

static void test_doubles(void) {
    static const double cases[] = {0, 1, -1, 0.1, 0.5, 1.5, 1e15, 1e16, 1e17, 1e21, 1e22, 123456789.125, 1e-5, 1e-7,
            5e-324,
                                   1.7976931348623157e308, 2.2250738585072014e-308, 0.30000000000000004, 1.0 / 3,
                                           9007199254740993.0};
    char room[400];
    size_t i;
    double back, zero = 0;
    if (!test_begin("doubles read back the same"))
        return;
    for (i = 0; i < COUNT(cases) + 20000; i++) {
        double value = i < COUNT(cases) ? cases[i] : random_double();
        CHECK(ws_json_print(room, sizeof room, i & 1 ? "%g" : "%f", value) > 0);
        CHECK(ws_json_as_number(json(room), &back));
        CHECK_MEM(&back, sizeof back, &value, sizeof value);
    }
    PRINTED("[0.1,0.3,1.5,100,1e+21,-0,0.1]", "[%g,%f,%e,%g,%g,%g,%Lf]", 0.1, 0.3, 1.5, 100.0, 1e21, -zero,
            (long double)0.1L);
    PRINTED("[0.33,2,1.0e-05,1e+06,-0.00,1.235]", "[%.2f,%.0f,%.1e,%.1g,%.2f,%.4g]", 1 / 3.0, 2.4, 1e-5, 1e6, -0.001,
            1.2349);
    PRINTED("[1.50,2.5E+00]", "[%.*f,%.*E]", 2, 1.5, 1, 2.5);
    PRINTED("[1.5]", "[%.*f]", -1, 1.5);
    PRINTED("[null,null,null]", "[%g,%f,%.2f]", 1 / zero, -1 / zero, zero / zero);
    CHECK_EQ(ws_json_print(room, sizeof room, "%.30f", -1.7976931348623157e308), 341);
}

/* The library must not follow the program's locale. */
static void test_locale(void) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "ps_AF", "ps_AF.UTF-8",
            "ru_RU.UTF-8"};
    char room[100];
    double back = 0;
    size_t i, found = 0;
    for (i = 0; i < COUNT(names); i++) {
        if (!setlocale(LC_ALL, names[i]) || !strcmp(localeconv()->decimal_point, ".") || !test_begin("locale %s",
                names[i]))
            continue;
        found++;
        PRINTED("[0.5,1.25,-1.50,2.5e-10,\"\xc3\xa9\"]", "[%g,%f,%.2f,%g,%s]", 0.5, 1.25, -1.5, 2.5e-10, "\xc3\xa9");
        CHECK(ws_json_as_number(json("0.1234567890123456789"), &back) && back > 0.12 && back < 0.13);
        CHECK(ws_json_as_number(json("1.5"), &back) && back > 1.4 && back < 1.6);
        CHECK(ws_json_print(room, sizeof room, "%.3f", 1234567.5) == 11 && strcmp(room, "1234567.500") == 0);
    }
    (void)setlocale(LC_ALL, "C");
    if (!found && test_begin("locale with a decimal comma"))
        test_skip("none on this machine");
}

static ws_error append(wsi_memory *memory, wsi_buffer *buffer, const char *format, ...) {
    va_list arguments;
    ws_error error;
    va_start(arguments, format);
    error = wsi_print(memory, buffer, &wsi_json, format, arguments);
    va_end(arguments);
    return error;
}

/* The function behind ws_send_json appends and, on failure, leaves the buffer's contents alone. */
static void test_append(void) {
    ws_allocator none = {NULL, NULL};
    wsi_memory memory;
    wsi_buffer buffer;
    if (!test_begin("appending to a buffer"))
        return;
    memset(&buffer, 0, sizeof buffer);
    wsi_memory_init(&memory, none, 2000);
    CHECK_EQ(append(&memory, &buffer, "{'a':%s}", "b"), WS_OK);
    CHECK_EQ(append(&memory, &buffer, "[%d]", 1), WS_OK);
    CHECK_MEM(buffer.data, buffer.size, "{\"a\":\"b\"}[1]", 12);
    CHECK_EQ(append(&memory, &buffer, "[%d", 1), WS_ERROR_FORMAT);
    CHECK_EQ(append(&memory, &buffer, "[%s]", "\xff"), WS_ERROR_UTF8);
    CHECK_EQ(append(&memory, &buffer, "[%.*s]", 2000, TEN(TEN(TEN("ab")))), WS_ERROR_MEMORY);
    CHECK_EQ(buffer.size, 12);
    CHECK_EQ(append(&memory, &buffer, "[%.*s]", 500, TEN(TEN(TEN("ab")))), WS_OK);
    CHECK_EQ(buffer.size, 516);
    wsi_buffer_free(&memory, &buffer);
    CHECK_EQ(memory.used, 0);
}

/* Several texts together may need more than the largest size_t, though none of them has its own memory. */
static void test_endless(void) {
    wsi_buffer buffer = {NULL, SIZE_MAX - 5, 0};
    wsi_printer printer;
    if (!test_begin("texts that are too long to be counted"))
        return;
    memset(&printer, 0, sizeof printer);
    printer.buffer = &buffer;
    wsi_print_put(&printer, "abcd", 4);
    CHECK_EQ(printer.error, WS_OK);
    CHECK_EQ(buffer.size, SIZE_MAX - 1);
    wsi_print_put(&printer, "e", 1);
    CHECK_EQ(printer.error, WS_ERROR_MEMORY);
    CHECK_EQ(buffer.size, SIZE_MAX - 1);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_formats();
    test_strings_out();
    test_bad_formats();
    test_doubles();
    test_locale();
    test_append();
    test_endless();
    return test_finish();
}
