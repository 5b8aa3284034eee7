/* SHA1: known digests, from wsi_sha1_block with padding added here, and the digests of keys. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/ways.h"

static void take_block(uint32_t hash[5], const uint32_t words[16]) {
#ifdef WS_NO_FAST
    uint32_t turned[5], v[21];
    int i;
    for (i = 0; i < 5; i++)
        turned[i] = hash[4 - i];
    memcpy(v + 5, words, 16 * sizeof *words);
    wsi_sha1_block(turned, v);
    for (i = 0; i < 5; i++)
        hash[i] = turned[4 - i];
#else
    uint32_t w[80];
    memcpy(w, words, 16 * sizeof *words);
    wsi_sha1_block(hash, w);
#endif
}

/* SHA-1 of a text of any size. wsi_sha1 itself handles only one size. */
static void take_digest(const uint8_t *data, size_t size, uint8_t digest[20]) {
    uint32_t hash[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u}, words[16], word = 0;
    size_t i, end = (size + 72) / 64 * 64; /* followed by the length */
    for (i = 0; i < end; i++) {
        word = word << 8 | (i < size ? data[i] : i == size ? 0x80u : 0);
        words[i / 4 % 16] = i + 1 < end ? word : (uint32_t)size * 8;
        if (i % 64 == 63)
            take_block(hash, words);
    }
    for (i = 0; i < 20; i++)
        digest[i] = (uint8_t)(hash[i / 4] >> (24 - i % 4 * 8));
}

static void check_hex(const uint8_t digest[20], const char *wanted) {
    char text[41];
    int i;
    for (i = 0; i < 20; i++)
        (void)snprintf(text + i * 2, 3, "%02x", digest[i]);
    CHECK_STR(text, wanted);
}

static void check_digest(const void *data, size_t size, const char *wanted) {
    uint8_t digest[20];
    take_digest((const uint8_t *)data, size, digest);
    check_hex(digest, wanted);
}

/* The examples of FIPS 180-4 and RFC 3174. */
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
    if (!test_begin("digest of a million times 'a'"))
        return;
    text = (char *)malloc(size);
    CHECK(text != NULL);
    if (text)
        memset(text, 'a', size);
    if (text)
        check_digest(text, size, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(text);
}

/* The digest of the digests of 0 to 300 bytes covers every place of the padding within its block. */
static void test_lengths(void) {
    static uint8_t data[300], digests[301 * 20];
    size_t i;
    if (!test_begin("digests of 0 to 300 bytes"))
        return;
    for (i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + 3);
    for (i = 0; i <= sizeof data; i++)
        take_digest(data, i, digests + i * 20);
    check_digest(digests, sizeof digests, "43debf5006166594c976375f1c06253e43d53ddf");
}

/* What a server and a client compute. Each of 10,000 keys begins with the digest of the previous one. */
static void test_keys(void) {
    uint8_t key[24], digest[20];
    int i;
    if (!test_begin("digests of keys and the GUID"))
        return;
    wsi_sha1((const uint8_t *)"dGhlIHNhbXBsZSBub25jZQ==", digest);
    check_hex(digest, "b37a4f2cc0624f1690f64606cf385945b2bec4ea"); /* RFC 6455 1.3 */
    for (i = 0; i < 10000; i++) {
        memcpy(key, digest, 20);
        memcpy(key + 20, digest, 4);
        wsi_sha1(key, digest);
    }
    check_hex(digest, "b1b2dc847376a189de66f3b22ad6f6313b5ac34f");
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    for (int way = 0; way_take(way); way++) {
        test_vectors();
        test_million();
        test_lengths();
        test_keys();
    }
    return test_finish();
}
