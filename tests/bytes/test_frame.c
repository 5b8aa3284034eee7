/* FRAME: masking in every alignment, and frame headers. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/ways.h"

static void reference_mask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t key[4]) {
    size_t i;
    for (i = 0; i < size; i++)
        to[i] = from[i] ^ key[i % 4];
}

static void fill(uint8_t *data, size_t size) {
    size_t i;
    for (i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 167 + (i >> 3) + 11);
}

/* Every alignment of source and target, every length up to 80, and the lengths around two blocks of wide registers. */
static void test_mask(void) {
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t from[620], to[620], wanted[620];
    size_t a, b, size;
    fill(from, sizeof from);
    for (a = 0; a < 16; a++)
        for (b = 0; b < 16; b++) {
            if (!test_begin("mask from offset %zu to offset %zu", a, b))
                continue;
            for (size = 0; size <= 600; size += size < 80 ? 1 : 1 + (a + b) % 5) {
                memset(to, 0xee, sizeof to);
                memset(wanted, 0xee, sizeof wanted);
                reference_mask(wanted + b, from + a, size, key);
                wsi_frame_mask(to + b, from + a, size, key);
                CHECK_MEM(to, sizeof to, wanted, sizeof wanted);
            }
        }
}

/* Masking in place, and masking while moving down by each distance, so that source and target overlap. */
static void test_mask_down(void) {
    static const uint8_t key[4] = {0x01, 0x80, 0xff, 0x5a};
    uint8_t data[700], copy[700], wanted[700];
    size_t distance, size;
    for (distance = 0; distance <= 80; distance++) {
        if (!test_begin("mask and move down by %zu", distance))
            continue;
        for (size = 0; size <= 600; size += size < 100 ? 1 : 1 + distance % 9) {
            fill(data, sizeof data);
            memcpy(copy, data, sizeof copy);
            memcpy(wanted, data, sizeof wanted);
            reference_mask(wanted + 3, copy + 3 + distance, size, key);
            wsi_frame_mask(data + 3, data + 3 + distance, size, key);
            CHECK_MEM(data, 3 + size, wanted, 3 + size);
            CHECK_MEM(data + 3 + distance + size, 700 - 3 - distance - size, copy + 3 + distance + size,
                      700 - 3 - distance - size);
        }
    }
}

#ifndef WS_NO_FAST
/* A byte that is not ASCII is found in every position, even among zeros. */
static void test_mask_text(char around) {
    static const uint8_t key[4] = {0x81, 0x02, 0xfe, 0x7f};
    uint8_t plain[900], masked[900], out[900];
    size_t size, at;
    memset(plain, around, sizeof plain);
    for (size = 1; size <= sizeof plain; size += size < 20 ? 1 : 37) {
        if (!test_begin("text of %zu bytes among bytes %d", size, around))
            continue;
        reference_mask(masked, plain, size, key);
        CHECK(wsi_frame_mask_some(out, masked, size, key, true));
        CHECK_MEM(out, size, plain, size);
        for (at = 0; at < size; at++) {
            masked[at] ^= 0x80;
            CHECK(!wsi_frame_mask_some(out, masked, size, key, true));
            masked[at] ^= 0x80;
        }
    }
}
/* The key stands before the payload, as in a frame, and the result overwrites it. */
static void test_mask_over_key(void) {
    uint8_t frame[708], copy[708], wanted[700];
    size_t size, distance;
    for (distance = 4; distance <= 8; distance++) {
        if (!test_begin("mask over the key by %zu", distance))
            continue;
        for (size = 0; size <= 700; size += size < 20 ? 1 : 33) {
            fill(frame, sizeof frame);
            memcpy(copy, frame, sizeof copy);
            reference_mask(wanted, copy + 8, size, copy + 4);
            wsi_frame_mask(frame + 8 - distance, frame + 8, size, frame + 4);
            CHECK_MEM(frame + 8 - distance, size, wanted, size);
        }
    }
}

#else
static void test_mask_text(char around) { (void)around; }
static void test_mask_over_key(void) {}
#endif

/* A payload cut at any byte and masked in two parts equals the payload masked at once. */
static void test_rotate(void) {
    static const uint8_t key[4] = {1, 2, 3, 4};
    uint8_t data[40], wanted[40], out[40], turned[4];
    size_t cut;
    fill(data, sizeof data);
    reference_mask(wanted, data, sizeof data, key);
    for (cut = 0; cut <= sizeof data; cut++) {
        if (!test_begin("mask cut at %zu", cut))
            continue;
        memcpy(turned, key, 4);
        wsi_frame_mask(out, data, cut, turned);
        wsi_frame_rotate(turned, cut);
        wsi_frame_mask(out + cut, data + cut, sizeof data - cut, turned);
        CHECK_MEM(out, sizeof out, wanted, sizeof wanted);
    }
}

static bool known_opcode(int opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

/* All pairs of first two bytes: RFC 6455 5.2 and 5.5; with deflate, RFC 7692 6 as well. The length is the smallest that
   its form allows. */
static void test_first_bytes(bool masked, bool deflate) {
    int first, second;
    for (first = 0; first < 256; first++) {
        bool begins = (first & 15) == 1 || (first & 15) == 2, compressed = deflate && begins && (first & 0x40);
        if (!test_begin("first byte %02x, %s%s", (unsigned)first, masked ? "masked" : "unmasked",
                        deflate ? ", deflate" : ""))
            continue;
        for (second = 0; second < 256; second++) {
            bool control = (first & 8) != 0, good;
            uint8_t data[14] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
            int length = second & 127;
            wsi_frame frame;
            wsi_frame_state found;
            data[0] = (uint8_t)first;
            data[1] = (uint8_t)second;
            if (length == 126)
                data[2] = 1;
            good = !(first & (compressed ? 0x30 : 0x70)) && known_opcode(first & 15) && (second >> 7 != 0) == masked
                   && !(control && (length > 125 || !(first & 0x80)));
            found = wsi_frame_read(&frame, data, sizeof data, masked, deflate);
            CHECK_EQ(found, good ? WSI_FRAME_GOOD : WSI_FRAME_BAD);
            if (!good || found != WSI_FRAME_GOOD)
                continue;
            CHECK_EQ(frame.opcode, first & 15);
            CHECK_EQ(frame.final, first >> 7);
            CHECK_EQ(frame.compressed, compressed);
            CHECK_EQ(frame.size, length == 126 ? 257 : length == 127 ? 0x0001000000010000 : length);
            CHECK_EQ(frame.header_size, 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (masked ? 4 : 0));
        }
    }
}

static void test_sizes(bool masked) {
    static const uint64_t sizes[] = {0, 1, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537, 0x7fffffff, 0x80000000u,
                                     0xffffffffu, 0x100000000u, 0x7fffffffffffffffu};
    size_t i;
    for (i = 0; i < COUNT(sizes); i++) {
        uint8_t header[14];
        wsi_frame frame;
        size_t size, wanted = sizes[i] < 126 ? 2 : sizes[i] < 65536 ? 4 : 10, cut;
        if (!test_begin("header of %llu bytes, %s", (unsigned long long)sizes[i], masked ? "masked" : "unmasked"))
            continue;
        memset(&frame, 0xa5, sizeof frame);
        size = wsi_frame_write(header, 2, true, masked, sizes[i]);
        CHECK_EQ(size, wanted);
        memcpy(header + wanted, "KEYS", 4);
        wanted += masked ? 4 : 0;
        for (cut = 0; cut <= wanted; cut++) { /* in memory that ends with it */
            uint8_t *exact = (uint8_t *)test_exact((const char *)header, cut);
            CHECK_EQ(wsi_frame_read(&frame, exact, cut, masked, false), cut < wanted ? WSI_FRAME_MORE : WSI_FRAME_GOOD);
            free(exact);
        }
        CHECK(frame.size == sizes[i] && frame.opcode == 2 && frame.final);
        CHECK_EQ(frame.header_size, wanted);
        CHECK_MEM(frame.key, 4, masked ? "KEYS" : "\0\0\0", 4);
        CHECK_EQ(wsi_frame_read(&frame, header, wanted, !masked, false), WSI_FRAME_BAD);
    }
}

/* RFC 6455 5.2: a length must use the shortest form, and its highest bit must be 0. */
static void test_bad_lengths(bool masked) {
    static const struct { const char *name; uint8_t second; uint64_t size; } cases[] = {
        {"0 in 16 bits", 126, 0}, {"125 in 16 bits", 126, 125}, {"0 in 64 bits", 127, 0},
        {"125 in 64 bits", 127, 125},
        {"126 in 64 bits", 127, 126}, {"65535 in 64 bits", 127, 65535}, {"2^63", 127, 0x8000000000000000u},
        {"2^64-4", 127, 0xfffffffffffffffcu}, {"2^64-1", 127, UINT64_MAX},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        uint8_t header[14] = {0x82};
        wsi_frame frame;
        if (!test_begin("length %s, %s", cases[i].name, masked ? "masked" : "unmasked"))
            continue;
        header[1] = (uint8_t)(cases[i].second | (masked ? 0x80 : 0));
        wsi_bytes_store(header + 2, cases[i].second == 126 ? 2 : 8, cases[i].size);
        CHECK_EQ(wsi_frame_read(&frame, header, sizeof header, masked, false), WSI_FRAME_BAD);
    }
}

/* A header is refused at its first invalid byte, not only when all of it has arrived. */
static void test_early(void) {
    wsi_frame frame;
    if (!test_begin("headers are refused early"))
        return;
    CHECK_EQ(wsi_frame_read(&frame, (const uint8_t *)"\x83", 1, true, false), WSI_FRAME_BAD);
    CHECK_EQ(wsi_frame_read(&frame, (const uint8_t *)"\xc1", 1, true, false), WSI_FRAME_BAD);
    CHECK_EQ(wsi_frame_read(&frame, (const uint8_t *)"\x09", 1, true, false), WSI_FRAME_BAD);
    CHECK_EQ(wsi_frame_read(&frame, (const uint8_t *)"\x81\x05", 2, true, false), WSI_FRAME_BAD);
    CHECK_EQ(wsi_frame_read(&frame, (const uint8_t *)"\x89\xfe", 2, true, false), WSI_FRAME_BAD);
    CHECK_EQ(wsi_frame_read(&frame, (const uint8_t *)"\x82\xff\x80", 3, true, false), WSI_FRAME_BAD);
    CHECK_EQ(wsi_frame_read(&frame, (const uint8_t *)"\x82\xff\x80", 2, true, false), WSI_FRAME_MORE);
    CHECK_EQ(wsi_frame_read(&frame, (const uint8_t *)"\x83", 0, true, false), WSI_FRAME_MORE);
    CHECK_EQ(wsi_frame_read(&frame, (const uint8_t *)"\x81\x05", 1, true, false), WSI_FRAME_MORE);
}

/* RFC 6455 5.7, the examples. */
static void test_examples(void) {
    wsi_output output;
    uint8_t out[32];
    if (!test_begin("examples of RFC 6455 5.7"))
        return;
    memset(&output, 0, sizeof output);
    output.data = (const uint8_t *)"Hello";
    output.size = 5;
    output.header_size = (uint8_t)wsi_frame_write(output.header, 1, true, false, 5);
    wsi_frame_put(out, &output);
    CHECK_MEM(out, 7, "\x81\x05Hello", 7);
    output.masked = true;
    (void)wsi_frame_write(output.header, 1, true, true, 5);
    memcpy(output.header + 2, "\x37\xfa\x21\x3d", 4);
    output.header_size = 6;
    wsi_frame_put(out, &output);
    CHECK_MEM(out, 11, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    CHECK_EQ(wsi_frame_write(out, 2, false, false, 3), 2);
    CHECK_MEM(out, 2, "\x02\x03", 2);
    CHECK_EQ(wsi_frame_write(out, 2, true, false, 65536), 10);
    CHECK_MEM(out, 10, "\x82\x7f\0\0\0\0\0\x01\0\0", 10);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_rotate();
    for (int i = 0; i < 4; i++)
        test_first_bytes(i & 1, i & 2);
    test_sizes(false);
    test_sizes(true);
    test_bad_lengths(false);
    test_bad_lengths(true);
    test_early();
    test_examples();
    for (int way = 0; way_take(way); way++) {
        test_mask();
        test_mask_down();
        test_mask_over_key();
        test_mask_text(0x7f);
        test_mask_text(0);
    }
    return test_finish();
}
