/*
   What the targets of whole servers and clients share: the input as a program, its clock, messages that can be told
   apart, and a transport that stands in for TLS.
*/
#ifndef PROGRAM_H
#define PROGRAM_H

enum { LARGEST = 70000 };

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static input in;
static uint8_t filler[LARGEST + 1];

/* The next byte of the program; 0 behind its end. */
static unsigned take(void) {
    if (!in.size)
        return 0;
    in.size--;
    return *in.data++;
}

static uint64_t virtual_clock(void *user) { return *(const uint64_t *)user; }

static uint64_t virtual_wall(void *user) { return 1700000000u + *(const uint64_t *)user / 1000; }

/* --- messages --- */

/* A message of this size, which its number tells from others. kind: 'B' if it is broadcast. */
static ws_message make_message(char kind, unsigned number, size_t size, bool text) {
    ws_message message;
    int head;
    size = size > LARGEST ? LARGEST : size;
    for (size_t i = 0; i < size; i++)
        filler[i] = (uint8_t)(text ? 'a' + (i * 7 + number) % 26 : (i * 131 + number * 31) & 255);
    if (size >= 12) {
        head = snprintf((char *)filler, 12, "%c%010u", kind, number % 1000000000u);
        filler[head] = ':';
    }
    message.data = filler;
    message.size = size;
    message.type = text ? WS_TEXT : WS_BINARY;
    return message;
}

static judge_message judged(ws_message message) {
    judge_message one;
    one.type = message.type == WS_TEXT ? 1 : 2;
    one.size = message.size;
    one.hash = judge_hash(message.data, message.size, 0);
    return one;
}

/* --- a transport that stands in for TLS: what it carries is veiled, and it holds back what does not fit --- */

enum { VEIL = 0x2a, VEIL_HOLDS = 700 };

typedef struct veil {
    uint8_t unsent[VEIL_HOLDS];
    size_t size;
    unsigned turn;
} veil;

static unsigned veils;

static bool veil_open(ws_link *link, const char *host, void *user) {
    (void)host, (void)user;
    link->session = calloc(1, sizeof(veil));
    HOLDS(link->session);
    veils++;
    return true;
}

static ptrdiff_t veil_result(ssize_t done) {
    return done >= 0 ? (ptrdiff_t)done : errno == EAGAIN || errno == EINTR ? 0 : (ptrdiff_t)WS_FAILED;
}

static ptrdiff_t veil_flush(ws_link *link) {
    veil *v = (veil *)link->session;
    ptrdiff_t sent = v->size ? veil_result(send(link->descriptor, v->unsent, v->size, 0)) : 0;
    if (sent > 0) {
        v->size -= (size_t)sent;
        memmove(v->unsent, v->unsent + sent, v->size);
    }
    link->unsent = v->size > 0;
    return sent < 0 ? sent : !v->size;
}

static ptrdiff_t veil_read(ws_link *link, void *data, size_t size) {
    veil *v = (veil *)link->session;
    ptrdiff_t got;
    if (++v->turn % 5 == 0 && v->size && veil_flush(link) == 0) { /* it wants to write before it reads */
        link->wants = WS_WRITE;
        return 0;
    }
    got = recv(link->descriptor, data, size, 0);
    got = got == 0 ? (ptrdiff_t)WS_ENDED : veil_result(got);
    for (ptrdiff_t i = 0; i < got; i++)
        ((uint8_t *)data)[i] ^= VEIL;
    return got;
}

static ptrdiff_t veil_write(ws_link *link, const void *data, size_t size) {
    veil *v = (veil *)link->session;
    ptrdiff_t flushed = v->size ? veil_flush(link) : 1;
    size = size < VEIL_HOLDS ? size : VEIL_HOLDS;
    if (flushed <= 0 || !size)
        return flushed < 0 ? (ptrdiff_t)WS_FAILED : 0;
    for (size_t i = 0; i < size; i++)
        v->unsent[i] = (uint8_t)(((const uint8_t *)data)[i] ^ VEIL);
    v->size = size;
    return veil_flush(link) < 0 ? (ptrdiff_t)WS_FAILED : (ptrdiff_t)size;
}

static ptrdiff_t veil_shut(ws_link *link) { return veil_flush(link); }

static void veil_close(ws_link *link) {
    free(link->session);
    veils--;
}

static const ws_transport veil_transport = {veil_open, veil_read, veil_write, veil_shut, veil_close, NULL, NULL};

#endif
