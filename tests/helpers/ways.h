/* The ways in which this processor can do the work: with all its instruction sets, then with fewer. */
#ifndef WAYS_H
#define WAYS_H
#include <stdbool.h>
#include <stdio.h>

/* Selects the nth way, from 0 on. false: there are no more. */
static bool way_take(int n) {
#if defined(WS_NO_DISPATCH) || !defined(__x86_64__)
    return n == 0;
#else
    static const unsigned without[] = {0, WSI_CPU_AVX512, WSI_CPU_AVX512 | WSI_CPU_AVX2 | WSI_CPU_SHA};
    if (n == sizeof without / sizeof *without)
        return false;
    wsi_cpu_answer = wsi_cpu_ask() & ~without[n];
    return true;
#endif
}

#endif
