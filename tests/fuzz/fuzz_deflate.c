/* libFuzzer target: messages through the compressor and back through the tests' small inflater. The first byte
   chooses level, window and takeover; each message is a byte, how many follow and how often they are repeated, and
   these. What must hold is checked here; the sanitizers see the rest. */
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#include "../helpers/tiny_inflate.h"

#define HOLDS(condition) ((condition) ? (void)0 : abort())

enum { MOST = 1 << 16 };

/* Capacity of the bound, or less: then it may fail, and goes on without history. */
static void message(wsi_deflate *z, tiny_inflate *tiny, const uint8_t *data, size_t size, size_t capacity) {
    uint8_t *in = (uint8_t *)malloc(size ? size : 1), *out = (uint8_t *)malloc(capacity ? capacity : 1);
    size_t from = tiny->size, written;
    HOLDS(in && out);
    if (size)
        memcpy(in, data, size);
    written = wsi_deflate_run(z, in, size, out, capacity);
    HOLDS(written <= capacity && (written || capacity < wsi_deflate_bound(size)));
    if (written) {
        HOLDS(written >= 5 && memcmp(out + written - 4, "\x00\x00\xff\xff", 4) == 0);
        HOLDS(tiny_inflate_run(tiny, out, written));
        HOLDS(tiny->size - from == size && memcmp(tiny->out + from, data, size) == 0);
    }
    free(in);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int levels[] = {0, 1, 6, 9};
    static uint8_t unpacked[MOST], text[MOST];
    tiny_inflate tiny;
    wsi_deflate *z;
    bool takeover;
    int bits;
    if (!size)
        return 0;
    bits = 8 + (data[0] & 7);
    takeover = (data[0] & 32) != 0;
    z = (wsi_deflate *)malloc(wsi_deflate_size(levels[data[0] >> 3 & 3], bits, takeover));
    HOLDS(z);
    wsi_deflate_init(z, levels[data[0] >> 3 & 3], bits, takeover);
    memset(&tiny, 0, sizeof tiny);
    tiny.out = unpacked;
    tiny.capacity = sizeof unpacked;
    tiny.window = (size_t)1 << bits;
    for (data++, size--; size > 2 && tiny.size < MOST / 2;) {
        size_t part = data[0] < size - 2 ? data[0] : size - 2, whole = 0, count = 1 + (data[1] & 31);
        bool tight = (data[1] & 32) != 0;
        for (; part && count && whole + part < MOST / 4; count--, whole += part)
            memcpy(text + whole, data + 2, part);
        if (!takeover)
            tiny.size = 0;
        message(z, &tiny, text, whole, tight ? whole / 2 : wsi_deflate_bound(whole));
        if (data[1] & 64)
            wsi_deflate_reset(z);
        data += 2 + part;
        size -= 2 + part;
    }
    free(z);
    return 0;
}
