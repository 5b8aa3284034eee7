/* MEMORY: the allocator, its limit, and growing buffers. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"

typedef struct counts {
    size_t calls, bytes, refuse_above;
} counts;

static void *counted(void *user, void *block, size_t old_size, size_t new_size) {
    counts *c = (counts *)user;
    void *moved = NULL;
    c->calls++;
    if (new_size > c->refuse_above)
        return NULL;
    if (new_size) {
        moved = realloc(block, new_size);
        if (!moved)
            return NULL;
    } else {
        free(block);
    }
    c->bytes = c->bytes - old_size + new_size;
    return moved;
}

static void start(wsi_memory *memory, counts *c, size_t limit) {
    ws_allocator allocator;
    memset(c, 0, sizeof *c);
    c->refuse_above = SIZE_MAX;
    allocator.resize = counted;
    allocator.user = c;
    wsi_memory_init(memory, allocator, limit);
}

static void test_default(void) {
    ws_allocator none = {NULL, NULL};
    wsi_memory memory;
    void *block;
    if (!test_begin("default allocator"))
        return;
    wsi_memory_init(&memory, none, SIZE_MAX);
    block = wsi_memory_resize(&memory, NULL, 0, 100);
    CHECK(block != NULL);
    CHECK_EQ(memory.used, 100);
    if (block)
        memset(block, 1, 100);
    block = wsi_memory_resize(&memory, block, 100, 5000);
    CHECK(block && ((uint8_t *)block)[99] == 1);
    CHECK_EQ(memory.used, 5000);
    wsi_memory_free(&memory, block, 5000);
    CHECK_EQ(memory.used, 0);
}

static void test_limit(void) {
    wsi_memory memory;
    counts c;
    void *a, *b;
    if (!test_begin("limit"))
        return;
    start(&memory, &c, 1000);
    a = wsi_memory_resize(&memory, NULL, 0, 600);
    CHECK(a != NULL);
    CHECK(wsi_memory_resize(&memory, NULL, 0, 401) == NULL);
    CHECK_EQ(c.calls, 1); /* the allocator was not called */
    CHECK_EQ(memory.used, 600);
    b = wsi_memory_resize(&memory, NULL, 0, 400);
    CHECK(b != NULL);
    CHECK_EQ(memory.used, 1000);
    CHECK(wsi_memory_resize(&memory, a, 600, 601) == NULL);
    CHECK(wsi_memory_resize(&memory, NULL, 0, SIZE_MAX) == NULL);
    a = wsi_memory_resize(&memory, a, 600, 10);
    CHECK_EQ(memory.used, 410);
    wsi_memory_free(&memory, a, 10);
    wsi_memory_free(&memory, b, 400);
    CHECK_EQ(memory.used, 0);
    CHECK_EQ(c.bytes, 0);
}

static void test_refusal(void) {
    wsi_memory memory;
    wsi_buffer buffer;
    counts c;
    if (!test_begin("the allocator refuses"))
        return;
    start(&memory, &c, SIZE_MAX);
    memset(&buffer, 0, sizeof buffer);
    CHECK(wsi_buffer_reserve(&memory, &buffer, 200));
    buffer.size = 200;
    memset(buffer.data, 7, 200);
    c.refuse_above = 300;
    CHECK(!wsi_buffer_reserve(&memory, &buffer, 200));
    CHECK_EQ(buffer.size, 200);
    CHECK_EQ(buffer.data[199], 7); /* the old contents remain */
    CHECK_EQ(memory.used, buffer.capacity);
    wsi_buffer_free(&memory, &buffer);
    CHECK(buffer.data == NULL && buffer.capacity == 0 && buffer.size == 0);
    CHECK_EQ(memory.used, 0);
    CHECK_EQ(c.bytes, 0);
    wsi_buffer_free(&memory, &buffer);
}

/* A million bytes appended one by one need few calls of the allocator. */
static void test_growth(void) {
    wsi_memory memory;
    wsi_buffer buffer;
    counts c;
    size_t i;
    if (!test_begin("appending is cheap"))
        return;
    start(&memory, &c, SIZE_MAX);
    memset(&buffer, 0, sizeof buffer);
    for (i = 0; i < 1000000 && wsi_buffer_reserve(&memory, &buffer, 1); i++)
        buffer.data[buffer.size++] = (uint8_t)i;
    CHECK_EQ(buffer.size, 1000000);
    CHECK(c.calls < 30);
    CHECK(buffer.capacity <= 2 * buffer.size);
    for (i = 0; i < buffer.size && buffer.data[i] == (uint8_t)i; i++) {}
    CHECK_EQ(i, 1000000);
    wsi_buffer_free(&memory, &buffer);
    CHECK_EQ(c.bytes, 0);
}

/* Sizes near SIZE_MAX are refused before they are added. */
static void test_overflow(void) {
    static const size_t huge[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 4 + 1};
    wsi_memory memory;
    wsi_buffer buffer;
    counts c;
    size_t i;
    start(&memory, &c, SIZE_MAX);
    memset(&buffer, 0, sizeof buffer);
    CHECK(wsi_buffer_reserve(&memory, &buffer, 10));
    buffer.size = 10;
    c.calls = 0;
    for (i = 0; i < sizeof huge / sizeof *huge; i++)
        if (test_begin("reserve %zu more", huge[i])) {
            CHECK(!wsi_buffer_reserve(&memory, &buffer, huge[i]));
            CHECK_EQ(buffer.size, 10);
            CHECK_EQ(c.calls, 0);
        }
    wsi_buffer_free(&memory, &buffer);
}

static void test_exact_size(void) {
    wsi_memory memory;
    wsi_buffer buffer;
    counts c;
    if (!test_begin("exact size"))
        return;
    start(&memory, &c, SIZE_MAX);
    memset(&buffer, 0, sizeof buffer);
    CHECK(wsi_buffer_resize(&memory, &buffer, 1000));
    CHECK_EQ(buffer.capacity, 1000);
    CHECK(wsi_buffer_resize(&memory, &buffer, 50));
    CHECK_EQ(buffer.capacity, 50);
    CHECK_EQ(memory.used, 50);
    CHECK(wsi_buffer_reserve(&memory, &buffer, 50)); /* fits: no call */
    CHECK_EQ(c.calls, 2);
    wsi_buffer_free(&memory, &buffer);
    wsi_memory_free(&memory, NULL, 10);
    CHECK_EQ(memory.used, 0);
}

#ifndef WS_NO_NET
static void test_blocks(void) {
    wsi_memory memory;
    counts c;
    uint8_t *block;
    char *text;
    size_t i;
    if (!test_begin("zeroed blocks and copied text"))
        return;
    start(&memory, &c, SIZE_MAX);
    block = (uint8_t *)wsi_memory_new(&memory, 100);
    for (i = 0; block && i < 100; i++)
        CHECK_EQ(block[i], 0);
    wsi_memory_free(&memory, block, 100);
    CHECK(wsi_memory_keep(&memory, &text, "abc"));
    CHECK_STR(text, "abc");
    wsi_memory_free_string(&memory, text);
    CHECK(wsi_memory_keep(&memory, &text, NULL) && !text);
    wsi_memory_free_string(&memory, NULL);
    c.refuse_above = 2;
    CHECK(wsi_memory_new(&memory, 3) == NULL);
    CHECK(!wsi_memory_keep(&memory, &text, "abc") && !text);
    CHECK_EQ(memory.used, 0);
    CHECK_EQ(c.bytes, 0);
}
#endif

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_default();
    test_limit();
    test_refusal();
    test_growth();
    test_overflow();
    test_exact_size();
#ifndef WS_NO_NET
    test_blocks();
#endif
    return test_finish();
}
