/* cc -std=c99 -Wall -Wextra -pedantic -Wconversion -Wshadow -Werror test_sha1.c */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/ways.h"

static void check_digest(const void *data, size_t size, const char *wanted) {
    uint8_t digest[20];
    char text[41];
    int i;
    wsi_sha1((const uint8_t *)data, size, digest);
    for (i = 0; i < 20; i++)
        (void)snprintf(text + i * 2, 3, "%02x", digest[i]);
    CHECK_STR(text, wanted);
}

/* FIPS 180-4's examples, and RFC 3174's. */
static void test_vectors(void) {
    static const struct { const char *text, *digest; } cases[] = {
        {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
         "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
         "a49b2446a02c645bf419f995b67091253a04a259"},
        {"The quick brown fox jumps over the lazy dog", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        if (test_begin("digest of \"%.20s\"", cases[i].text))
            check_digest(cases[i].text, strlen(cases[i].text), cases[i].digest);
}

static void test_million(void) {
    size_t size = 1000000;
    char *text;
    if (!test_begin("digest of a million a"))
        return;
    text = (char *)malloc(size);
    CHECK(text != NULL);
    if (text)
        memset(text, 'a', size);
    if (text)
        check_digest(text, size, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(text);
}

/* The digest of all digests of 0 to 300 bytes: every place of the padding within its block. */
static void test_lengths(void) {
    static uint8_t data[300], digests[301 * 20];
    size_t i;
    if (!test_begin("digests of 0 to 300 bytes"))
        return;
    for (i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + 3);
    for (i = 0; i <= sizeof data; i++)
        wsi_sha1(data, i, digests + i * 20);
    check_digest(digests, sizeof digests, "43debf5006166594c976375f1c06253e43d53ddf");
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    for (int way = 0; way_take(way); way++) {
        test_vectors();
        test_million();
        test_lengths();
    }
    return test_finish();
}
