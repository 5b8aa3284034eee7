/* TEXT: characters, comparisons, lists, numbers, base64 and percent-decoding. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"

/* RFC 9110 5.6.2: every byte is compared with the RFC's list. */
static void test_characters(void) {
    const char *token = "!#$%&'*+-.^_`|~0123456789"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    int i;
    if (!test_begin("classes of characters"))
        return;
    for (i = 0; i < 256; i++) {
        char c = (char)i;
        bool upper = i >= 'A' && i <= 'Z';
        CHECK_EQ(wsi_text_token_char(c), i && strchr(token, i) != NULL);
        CHECK_EQ(wsi_text_digit(c), i && strchr("0123456789", i) != NULL);
        CHECK_EQ(wsi_text_lower(c), (char)(upper ? i + 32 : i));
    }
}

#ifndef WS_NO_NET
static void test_hex(void) {
    const char *digits = "0123456789abcdef";
    int i;
    if (!test_begin("hexadecimal digits"))
        return;
    for (i = 1; i < 256; i++) {
        char lower = (char)(i >= 'A' && i <= 'F' ? i + 32 : i);
        const char *at = strchr(digits, lower);
        CHECK_EQ(wsi_text_hex((char)i), at ? at - digits : -1);
    }
    CHECK_EQ(wsi_text_hex(0), -1);
}
#endif

static void test_compare(void) {
    if (!test_begin("comparing"))
        return;
    CHECK(wsi_text_is(wsi_text_z("abc"), "abc"));
    CHECK(!wsi_text_is(wsi_text_z("abc"), "abd"));
    CHECK(!wsi_text_is(wsi_text_z("abc"), "abcd"));
    CHECK(!wsi_text_is(wsi_text_z("abc"), "ABC"));
    CHECK(wsi_text_is(wsi_text(NULL, 0), ""));
    CHECK(wsi_text_is(wsi_text_z(NULL), ""));
    CHECK(wsi_text_is_nocase(wsi_text_z("WebSocket"), "wEBsOCKET"));
    CHECK(!wsi_text_is_nocase(wsi_text_z("WebSocket"), "WebSocke"));
    CHECK(!wsi_text_is_nocase(wsi_text_z("[{@"), "{[`")); /* 32 apart, but not letters */
    CHECK(!wsi_text_is_nocase(wsi_text_z("\xc4"), "\xe4"));
    CHECK(wsi_text_same_nocase(wsi_text("aXb", 2), wsi_text("AxC", 2)));
}

static void test_trim(void) {
    static const struct { const char *text, *wanted; } cases[] = {
        {"a", "a"}, {"  a", "a"}, {"a\t ", "a"}, {" \ta b\t", "a b"}, {"", ""}, {" \t ", ""}, {"\na", "\na"},
        {"\va", "\va"},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++)
        if (test_begin("trim case %zu", i)) {
            wsi_slice slice = wsi_text_trim(wsi_text_z(cases[i].text));
            CHECK_MEM(slice.data, slice.size, cases[i].wanted, strlen(cases[i].wanted));
        }
}

/* The elements of a list, each followed by '|'. */
static void test_lists(void) {
    static const struct { const char *list, *wanted; } cases[] = {
        {"", ""}, {"a", "a|"}, {"a,b", "a|b|"}, {" a , b\t,c ", "a|b|c|"}, {",", ""}, {",,a,,", "a|"},
        {" , , ", ""},
        {"a b,c", "a b|c|"}, {"a,", "a|"}, {"\"a,b\"", "\"a|b\"|"},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        wsi_slice list = wsi_text_z(cases[i].list), element;
        char joined[64] = "";
        if (!test_begin("list '%s'", cases[i].list))
            continue;
        while (wsi_text_next(&list, &element)) {
            strncat(joined, element.data, element.size);
            strcat(joined, "|");
        }
        CHECK_STR(joined, cases[i].wanted);
    }
}

static void test_membership(void) {
    wsi_slice list = wsi_text_z("chat, superchat ,Mqtt");
    if (!test_begin("member of a list"))
        return;
    CHECK(wsi_text_in_list(list, wsi_text_z("chat")));
    CHECK(wsi_text_in_list(list, wsi_text_z("superchat")));
    CHECK(!wsi_text_in_list(list, wsi_text_z("super")));
    CHECK(!wsi_text_in_list(list, wsi_text_z("mqtt"))); /* subprotocols are case-sensitive */
    CHECK(!wsi_text_in_list(list, wsi_text_z("")));
    CHECK(!wsi_text_in_list(wsi_text_z(NULL), wsi_text_z("chat")));
}

static void test_numbers(void) {
    static const struct { const char *text; bool good; uint64_t number; } cases[] = {
        {"0", true, 0}, {"7", true, 7}, {"0012", true, 12}, {"65536", true, 65536},
        {"4294967296", true, 4294967296u}, {"999999999999999999", true, 999999999999999999u},
        {"", false, 0}, {"-1", false, 0}, {"+1", false, 0}, {" 1", false, 0}, {"1 ", false, 0},
        {"1a", false, 0},
        {"0x10", false, 0}, {"1,1", false, 0}, {"1.0", false, 0}, {"18446744073709551616", false, 0},
        {"99999999999999999999999999", false, 0}, {"\xd9\xa1", false, 0},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        uint64_t number = 0;
        if (!test_begin("number '%s'", cases[i].text))
            continue;
        CHECK_EQ(wsi_text_number(wsi_text_z(cases[i].text), &number), cases[i].good);
        CHECK(number == cases[i].number);
    }
}

static void test_decimal(void) {
    static const uint64_t numbers[] = {0, 9, 10, 101, 65535, 4294967296u, UINT64_MAX};
    size_t i;
    for (i = 0; i < COUNT(numbers); i++) {
        char out[21], wanted[32];
        size_t size;
        (void)snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)numbers[i]);
        if (!test_begin("decimal %s", wanted))
            continue;
        memset(out, '#', sizeof out);
        size = wsi_text_decimal(out, numbers[i]);
        CHECK_MEM(out, size, wanted, strlen(wanted));
        CHECK_EQ(out[size], '#');
    }
}

/* RFC 4648 10, and texts with the last characters of the alphabet. */
static void test_base64(void) {
    static const struct { const char *data, *wanted; } cases[] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"}, {"\xff\xff\xff", "////"}, {"\xfb\xef\xbe", "++++"},
        {"the sample nonce", "dGhlIHNhbXBsZSBub25jZQ=="},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        char out[64];
        size_t size;
        if (!test_begin("base64 %s", cases[i].wanted))
            continue;
        memset(out, '#', sizeof out);
        size = wsi_text_base64(out, (const uint8_t *)cases[i].data, strlen(cases[i].data));
        CHECK_MEM(out, size, cases[i].wanted, strlen(cases[i].wanted));
        CHECK_EQ(out[size], '#');
    }
}

static void test_nonce(void) {
    static const struct { const char *text; bool good; } cases[] = {
        {"dGhlIHNhbXBsZSBub25jZQ==", true}, {"AQIDBAUGBwgJCgsMDQ4PEC==", true},
        {"++++++++++++++++++++//==", true},
        {"", false}, {"dGhlIHNhbXBsZSBub25jZQ", false}, {"dGhlIHNhbXBsZSBub25jZQ=", false},
        {"dGhlIHNhbXBsZSBub25jZQ===", false}, {"dGhlIHNhbXBsZSBub25jZQA=", false},
        {"dGhlIHNhbXBsZSBub25jZQAA", false},
        {"dGhlIHNhbXBsZSBub25j-_==", false}, {"dGhlIHNhbXBs=SBub25jZQ==", false},
        {"dGhlIHNhbXBs SBub25jZQ==", false},
        {"dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==", false},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++)
        if (test_begin("nonce '%s'", cases[i].text))
            CHECK_EQ(wsi_text_is_base64_16(wsi_text_z(cases[i].text)), cases[i].good);
    if (test_begin("nonce with a zero byte"))
        CHECK(!wsi_text_is_base64_16(wsi_text("dGhlIHNhbXBs\0SBub25jZQ==", 24)));
}

#ifndef WS_NO_NET
static void test_unescape(void) {
    static const struct { const char *text; ptrdiff_t size; const char *wanted; } cases[] = {
        {"", 0, ""}, {"abc", 3, "abc"}, {"%41", 1, "A"}, {"a%20b", 3, "a b"}, {"%2f%2F", 2, "//"},
        {"%c3%A9", 2, "\xc3\xa9"},
        {"%25%34%31", 3, "%41"}, {"a+b", 3, "a+b"}, {"%0a", 1, "\n"}, {"%ff", 1, "\xff"},
        {"%", -1, ""}, {"%4", -1, ""}, {"abc%", -1, ""}, {"%g1", -1, ""}, {"%1g", -1, ""}, {"%%41", -1, ""},
        {"%00", -1, ""},
        {"a%00b", -1, ""}, {"%-1", -1, ""},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        char out[32];
        ptrdiff_t size;
        if (!test_begin("unescape '%s'", cases[i].text))
            continue;
        size = wsi_text_unescape(wsi_text_z(cases[i].text), out);
        CHECK_EQ(size, cases[i].size);
        if (size >= 0)
            CHECK_MEM(out, (size_t)size, cases[i].wanted, strlen(cases[i].wanted));
    }
}
#endif

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_characters();
    test_compare();
    test_trim();
    test_lists();
    test_membership();
    test_numbers();
    test_decimal();
    test_base64();
    test_nonce();
#ifndef WS_NO_NET
    test_hex();
    test_unescape();
#endif
    return test_finish();
}
