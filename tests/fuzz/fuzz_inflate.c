/* libFuzzer target: a hostile stream for the decompressor. The first byte chooses the window, the second
   the size of the history, the third and fourth in what pieces input and output are offered. In pieces and
   at once it must come out the same; where zlib is installed, as zlib has it too. */
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#ifdef __has_include
#if __has_include(<zlib.h>)
#include <zlib.h>
#endif
#endif

#define HOLDS(condition) ((condition) ? (void)0 : abort())

enum { LIMIT = 100000 };

typedef struct verdict {
    wsi_inflate_result result;
    size_t size, used;
} verdict;

static wsi_inflate state;
static uint8_t history[32768];

/* Blocks of exactly the size of what is offered: the sanitizers see a step beyond. */
static verdict run(const uint8_t *data, size_t size, const uint8_t *head, bool pieces, uint8_t **out) {
    size_t in_step = pieces ? head[2] : 0, out_step = pieces ? head[3] : 0;
    wsi_inflate_io io;
    verdict found = {WSI_INFLATE_INPUT, 0, 0};
    memset(&io, 0, sizeof io);
    io.window = (size_t)256 << (head[0] & 7);
    io.history_size = (size_t)head[1] * 128;
    io.history = history + sizeof history - io.history_size;
    wsi_inflate_start(&state);
    do {
        size_t part = in_step && in_step < size - found.used ? in_step : size - found.used;
        size_t room = out_step && out_step < LIMIT - io.out_size ? out_step : LIMIT - io.out_size;
        uint8_t *in = (uint8_t *)malloc(part ? part : 1);
        io.out_capacity = io.out_size + room;
        io.out = (uint8_t *)realloc(io.out, io.out_capacity ? io.out_capacity : 1);
        HOLDS(in && io.out);
        if (part)
            memcpy(in, data + found.used, part);
        io.in = in;
        io.in_size = part;
        found.result = wsi_inflate_run(&state, &io);
        HOLDS(io.in_size <= part && io.in == in + (part - io.in_size) && io.out_size <= io.out_capacity);
        HOLDS(found.result != WSI_INFLATE_INPUT || !io.in_size);
        HOLDS(found.result != WSI_INFLATE_OUTPUT || io.out_size == io.out_capacity);
        HOLDS(found.result != WSI_INFLATE_DONE || wsi_inflate_ended(&state));
        found.used += part - io.in_size;
        free(in);
    } while ((found.result == WSI_INFLATE_INPUT && found.used < size)
             || (found.result == WSI_INFLATE_OUTPUT && io.out_size < LIMIT));
    found.size = io.out_size;
    *out = io.out;
    return found;
}

#ifdef ZLIB_VERSION
static void compare(const uint8_t *data, size_t size, const uint8_t *head, verdict ours, const uint8_t *out) {
    static uint8_t theirs[LIMIT];
    size_t history_size = (size_t)head[1] * 128;
    z_stream stream;
    int result;
    if ((head[0] & 7) < 7) /* it does not hold small windows against far distances */
        return;
    memset(&stream, 0, sizeof stream);
    HOLDS(inflateInit2(&stream, -15) == Z_OK);
    HOLDS(inflateSetDictionary(&stream, history + sizeof history - history_size, (uInt)history_size) == Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)size;
    stream.next_out = theirs;
    stream.avail_out = LIMIT;
    result = inflate(&stream, Z_SYNC_FLUSH);
    /* It goes on without any codes for lengths, to find later that there is no end. */
    HOLDS((result == Z_DATA_ERROR) == (ours.result == WSI_INFLATE_BAD)
          || (ours.result == WSI_INFLATE_BAD && size - ours.used < 64 && result != Z_STREAM_END));
    HOLDS((result == Z_STREAM_END) == (ours.result == WSI_INFLATE_DONE));
    HOLDS(stream.total_out == ours.size && memcmp(theirs, out, ours.size) == 0);
    HOLDS(result != Z_STREAM_END || stream.total_in == ours.used);
    (void)inflateEnd(&stream);
}
#else
static void compare(const uint8_t *data, size_t size, const uint8_t *head, verdict ours, const uint8_t *out) {
    (void)data, (void)size, (void)head, (void)ours, (void)out;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *once, *pieces;
    verdict a, b;
    size_t i;
    if (size < 4)
        return 0;
    for (i = history[1] ? sizeof history : 0; i < sizeof history; i++) /* once */
        history[i] = (uint8_t)(i * 31 + (i >> 8));
    a = run(data + 4, size - 4, data, false, &once);
    b = run(data + 4, size - 4, data, true, &pieces);
    HOLDS(a.result == b.result && a.size == b.size && memcmp(once, pieces, a.size) == 0);
    HOLDS(a.used == b.used || a.result == WSI_INFLATE_BAD);
    compare(data + 4, size - 4, data, a, once);
    free(once);
    free(pieces);
    return 0;
}
