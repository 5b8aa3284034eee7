/* Work counted, not timed: what libc does with memory, by its bytes; basic blocks are counted by count.c. Include this
   first, and cost_memcpy and its like take the places of memcpy and its like in ws.h. */
#ifndef COST_H
#define COST_H

#define _GNU_SOURCE 1
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

extern unsigned long long count_blocks;

enum { COST_BYTES = 16 }; /* as many are taken for the work of a block */

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
