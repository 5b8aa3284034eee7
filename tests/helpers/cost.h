/* Counts work instead of time: the bytes that memcpy and its like copy, and the basic blocks that run (count.c).
   Include this first: in ws.h, cost_memcpy and its like then replace memcpy and its like. */
#ifndef COST_H
#define COST_H

#define _GNU_SOURCE 1
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h> /* on Windows this header and the next call memcpy and memset */
#include <wchar.h>

extern unsigned long long count_blocks;

enum { COST_BYTES = 16 }; /* this many bytes count as much as one basic block */

static unsigned long long count_bytes;

static void *cost_memcpy(void *to, const void *from, size_t size) {
    count_bytes += size;
    return memcpy(to, from, size);
}
static void *cost_memmove(void *to, const void *from, size_t size) {
    count_bytes += size;
    return memmove(to, from, size);
}
static void *cost_memset(void *to, int byte, size_t size) {
    count_bytes += size;
    return memset(to, byte, size);
}

#endif
