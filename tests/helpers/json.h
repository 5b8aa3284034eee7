/* Random numbers for the tests of JSON, and a short way to parse a text. */
#ifndef JSON_H
#define JSON_H

#include <stdint.h>
#include <string.h>

#define TEN(x) x x x x x x x x x x
#define DEEP(x) TEN(x) TEN(x) TEN(x) TEN(x) TEN(x) TEN(x) x x x x /* 64 */

static inline ws_json json(const char *data) { return ws_json_parse(data, strlen(data)); }

static uint64_t seed = 1;

static inline uint64_t some(void) { /* SplitMix64 */
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline double random_double(void) {
    double value;
    uint64_t bits;
    do {
        bits = some();
        memcpy(&value, &bits, sizeof value);
    } while (!(value - value == 0));
    return value;
}

#endif
