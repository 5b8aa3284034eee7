/* A load generator for echo servers, without any code of ws.h: raw frames over poll(2). Each
   connection keeps so many messages in flight; every byte that comes back is compared.

     load PORT CONNECTIONS IN_FLIGHT SIZE MESSAGES text|binary|raw|tls|tls-raw

   tls is binary over TLS 1.3, certificates unverified. raw and tls-raw send the same bytes to an echo
   without handshake and frames. Built with -DNO_TLS it needs no OpenSSL. */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifndef NO_TLS
#include <openssl/ssl.h>
#else
typedef void SSL;
#endif

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

typedef struct batch { /* what one connection sends at a time, and what must come back */
    unsigned char *out, *in;
    size_t out_size, in_size;
} batch;

typedef struct peer {
    int descriptor;
    SSL *tls; /* NULL: plain */
    size_t sent, received;
} peer;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* Bytes, or -1: not now, or never again. */
#ifndef NO_TLS
static void secure(peer *p) {
    static SSL_CTX *context;
    if (!context)
        context = SSL_CTX_new(TLS_client_method());
    p->tls = context ? SSL_new(context) : NULL;
    if (!p->tls || SSL_set_fd(p->tls, p->descriptor) != 1 || SSL_connect(p->tls) != 1)
        fail("TLS");
    SSL_set_mode(p->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static ssize_t put(const peer *p, const void *data, size_t size, int flags) {
    return p->tls ? SSL_write(p->tls, data, (int)size) : send(p->descriptor, data, size, flags | MSG_NOSIGNAL);
}

static ssize_t take(const peer *p, void *data, size_t size, int flags) {
    return p->tls ? SSL_read(p->tls, data, (int)size) : recv(p->descriptor, data, size, flags);
}

static bool more(const peer *p) { return p->tls && SSL_has_pending(p->tls); }
#else
static void secure(peer *p) {
    (void)p;
    fail("built without TLS");
}

static ssize_t put(const peer *p, const void *data, size_t size, int flags) {
    return send(p->descriptor, data, size, flags | MSG_NOSIGNAL);
}

static ssize_t take(const peer *p, void *data, size_t size, int flags) {
    return recv(p->descriptor, data, size, flags);
}

static bool more(const peer *p) {
    (void)p;
    return false;
}
#endif

static size_t put_header(unsigned char *to, size_t size, unsigned opcode, bool masked) {
    static const unsigned char key[4] = {0x11, 0x82, 0x43, 0xf4};
    size_t used = 2, i;
    to[0] = (unsigned char)(0x80 | opcode);
    to[1] = (unsigned char)((size < 126 ? size : size < 65536 ? 126 : 127) | (masked ? 0x80u : 0u));
    if (size >= 126)
        for (i = size < 65536 ? 2 : 8; i--;)
            to[used++] = (unsigned char)((uint64_t)size >> (8 * i));
    if (masked)
        memcpy(to + used, key, 4);
    return used + (masked ? 4 : 0);
}

static void fill(batch *all, size_t size, size_t count, const char *kind) {
    bool raw = strstr(kind, "raw") != NULL;
    unsigned opcode = strcmp(kind, "text") == 0 ? 1 : 2;
    size_t n, i;
    all->out = malloc((size + 14) * count);
    all->in = malloc((size + 14) * count);
    if (!all->out || !all->in)
        fail("malloc");
    for (n = 0; n < count; n++) {
        unsigned char *out = all->out + all->out_size, *in = all->in + all->in_size;
        size_t out_header = raw ? 0 : put_header(out, size, opcode, true);
        size_t in_header = raw ? 0 : put_header(in, size, opcode, false);
        for (i = 0; i < size; i++) {
            in[in_header + i] = (unsigned char)(' ' + (i + n) % 95);
            out[out_header + i] = in[in_header + i] ^ (raw ? 0 : out[out_header - 4 + (i & 3)]);
        }
        all->out_size += out_header + size;
        all->in_size += in_header + size;
    }
}

static void open_peer(peer *p, uint16_t port, const char *kind) {
    struct sockaddr_in address;
    int on = 1;
    char answer[1024];
    size_t got = 0;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (p->descriptor < 0 || connect(p->descriptor, (struct sockaddr *)&address, sizeof address) != 0
        || setsockopt(p->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        fail("connect");
    if (strncmp(kind, "tls", 3) == 0)
        secure(p);
    if (strstr(kind, "raw"))
        return;
    if (put(p, request, sizeof request - 1, 0) != (ssize_t)(sizeof request - 1))
        fail("send");
    while (got < 4 || memcmp(answer + got - 4, "\r\n\r\n", 4) != 0) {
        ssize_t n = take(p, answer + got, sizeof answer - got, 0);
        if (n <= 0)
            fail("handshake");
        got += (size_t)n;
    }
}

static void push(peer *p, const batch *all) {
    while (p->sent < all->out_size) {
        ssize_t n = put(p, all->out + p->sent, all->out_size - p->sent, MSG_DONTWAIT);
        if (n <= 0)
            return;
        p->sent += (size_t)n;
    }
}

/* Moves bytes both ways; true when a batch has come back whole and the next is on its way. */
static bool pump(struct pollfd *slot, peer *p, const batch *all) {
    static unsigned char bytes[1 << 20];
    bool whole = false;
    if (slot->revents & POLLOUT)
        push(p, all);
    if (slot->revents & POLLIN) {
        do {
            size_t room = all->in_size - p->received < sizeof bytes ? all->in_size - p->received : sizeof bytes;
            ssize_t n = take(p, bytes, room, MSG_DONTWAIT);
            if (n <= 0 && p->tls)
                break; /* a part of a record */
            if (n <= 0 || memcmp(bytes, all->in + p->received, (size_t)n) != 0) {
                fprintf(stderr, "load: wrong bytes came back\n");
                exit(1);
            }
            p->received += (size_t)n;
        } while (more(p) && p->received < all->in_size);
        if (p->received == all->in_size) {
            whole = true;
            p->sent = p->received = 0;
            push(p, all);
        }
    }
    slot->events = (short)(p->sent < all->out_size ? POLLIN | POLLOUT : POLLIN);
    return whole;
}

int main(int argc, char **argv) {
    size_t connections, in_flight, messages, done = 0, i;
    struct pollfd *slots;
    peer *peers;
    batch all = {NULL, NULL, 0, 0};
    if (argc != 7) {
        fprintf(stderr, "usage: load PORT CONNECTIONS IN_FLIGHT SIZE MESSAGES text|binary|raw|tls|tls-raw\n");
        return 2;
    }
    connections = (size_t)atol(argv[2]);
    in_flight = (size_t)atol(argv[3]);
    messages = (size_t)atol(argv[5]);
    fill(&all, (size_t)atol(argv[4]), in_flight, argv[6]);
    slots = calloc(connections, sizeof *slots);
    peers = calloc(connections, sizeof *peers);
    if (!slots || !peers)
        fail("calloc");
    for (i = 0; i < connections; i++) {
        open_peer(&peers[i], (uint16_t)atoi(argv[1]), argv[6]);
        if (peers[i].tls)
            (void)fcntl(peers[i].descriptor, F_SETFL, O_NONBLOCK);
        slots[i].fd = peers[i].descriptor;
        slots[i].events = POLLIN | POLLOUT;
    }
    while (done < messages) {
        if (poll(slots, (nfds_t)connections, 10000) <= 0)
            fail("poll");
        for (i = 0; i < connections; i++)
            if (pump(&slots[i], &peers[i], &all))
                done += in_flight;
    }
    printf("%zu messages\n", done);
    return 0;
}
