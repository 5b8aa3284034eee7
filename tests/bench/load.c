/* A load generator without any code of ws.h: raw frames over epoll(7). Every byte that comes back
   is compared. All messages in flight of a connection are written at once.

     load [-m echo|room|connect|idle] [-c CONNECTIONS] [-p IN_FLIGHT] [-s SIZE] [-n MESSAGES]
          [-a ACTIVE] [-t] [-r] [-z] [-e] [-S PID] PORT

   room: one connection sends to /room, all receive. connect: open, handshake, close, CONNECTIONS at a
   time. idle: opens the connections and prints what the server's memory grows by each.
   -a only so many connections send; -t text; -r for a server that knows no frames: no handshake, and what a server of
   WebSockets would send goes both ways; -z text like JSON, compressed without context: what comes back is unpacked
   once, and must be the same bytes from then on; -e TLS 1.3, unverified; -S counts what the process PID spends
   meanwhile: instructions if the system tells them, CPU time, and page faults. Linux. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifndef NO_ZLIB
#include <zlib.h>
#endif
#ifndef NO_TLS
#include <openssl/ssl.h>
#else
typedef struct SSL SSL;
#endif

typedef struct batch { /* what one connection sends at a time, and what must come back */
    unsigned char *out, *in;
    size_t out_size, in_size;
} batch;

typedef struct peer {
    int descriptor;
    SSL *tls; /* NULL: plain */
    size_t sent, received;
    uint64_t since;
    bool waits_to_write;
} peer;

static struct {
    const char *mode;
    size_t connections, active, in_flight, size, messages;
    bool text, raw, packed, tls;
    int server;
    uint16_t port;
} want = {"echo", 100, SIZE_MAX, 1, 125, 60000, false, false, false, false, 0, 0};

static int poller, counters[2] = {-1, -1}; /* of instructions in user space, and in the kernel */
static batch all;
static uint32_t *latencies; /* nanoseconds */
static size_t measured, kept;

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "wrong");
    exit(1);
}

static uint64_t now(clockid_t clock) {
    struct timespec at = {0, 0};
    (void)clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

/* --- the wire ------------------------------------------------------------------------------ */

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

static bool more(const peer *p) { return p->descriptor < 0; }
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

static void fill(void) {
    size_t n, i;
    all.out = malloc((want.size + 14) * want.in_flight);
    all.in = malloc((want.size + 14) * want.in_flight);
    if (!all.out || !all.in)
        fail("malloc");
    for (n = 0; n < want.in_flight; n++) {
        unsigned char *out = all.out + all.out_size, *in = all.in + all.in_size;
        size_t out_header = put_header(out, want.size, want.text ? 1 : 2, !want.raw);
        size_t in_header = put_header(in, want.size, want.text ? 1 : 2, false);
        for (i = 0; i < want.size; i++) {
            in[in_header + i] = (unsigned char)(' ' + (i + n) % 95);
            out[out_header + i] = in[in_header + i];
            if (!want.raw)
                out[out_header + i] ^= out[out_header - 4 + (i & 3)];
        }
        all.out_size += out_header + want.size;
        all.in_size += in_header + want.size;
    }
}

#define EXTENSION \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"

static void dial(peer *p) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int on = 1;
    address.sin_port = htons(want.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(p, 0, sizeof *p);
    p->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (p->descriptor < 0 || connect(p->descriptor, (struct sockaddr *)&address, sizeof address) != 0
        || setsockopt(p->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        fail("connect");
    if (want.tls)
        secure(p);
}

static void ask(peer *p) {
    char request[500];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                        strcmp(want.mode, "room") == 0 ? "/room" : "/", want.packed ? EXTENSION : "");
    if (want.raw ? put(p, "x", 1, 0) != 1 : put(p, request, (size_t)size, 0) != size)
        fail("handshake");
}

static void hear(peer *p) { /* the answer, whole and right */
    char answer[2048];
    size_t got = 0;
    for (;;) {
        ssize_t n = take(p, answer + got, sizeof answer - 1 - got, 0);
        if (n <= 0)
            fail("handshake");
        got += (size_t)n;
        answer[got] = 0;
        if (want.raw || (got >= 4 && memcmp(answer + got - 4, "\r\n\r\n", 4) == 0))
            break;
    }
    errno = 0;
    if (!want.raw && (strncmp(answer, "HTTP/1.1 101", 12) != 0 || !strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
                      || (want.packed && !strstr(answer, "permessage-deflate"))))
        fail("handshake");
}

/* --- permessage-deflate (RFC 7692) ----------------------------------------------------------- */

#ifndef NO_ZLIB
static void take_all(const peer *p, unsigned char *to, size_t size) {
    while (size) {
        ssize_t n = take(p, to, size, 0);
        if (n <= 0)
            fail("connection ended");
        to += n;
        size -= (size_t)n;
    }
}

static size_t pack(const unsigned char *text, unsigned char *to, size_t room) {
    z_stream z;
    memset(&z, 0, sizeof z);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (uInt)want.size;
    z.next_out = to;
    z.avail_out = (uInt)room;
    if (deflateInit2(&z, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK || deflate(&z, Z_SYNC_FLUSH) != Z_OK)
        fail("deflate");
    room -= z.avail_out;
    (void)deflateEnd(&z);
    return room - 4; /* RFC 7692 7.2.1 */
}

static bool unpacks(unsigned char *packed, size_t size, const unsigned char *text) { /* with 4 bytes of room behind */
    unsigned char *out = malloc(want.size + 1);
    z_stream z;
    int result;
    memset(&z, 0, sizeof z);
    memcpy(packed + size, "\0\0\377\377", 4);
    z.next_in = packed;
    z.avail_in = (uInt)size + 4;
    z.next_out = out;
    z.avail_out = (uInt)want.size + 1;
    result = out && inflateInit2(&z, -15) == Z_OK ? inflate(&z, Z_SYNC_FLUSH) : Z_MEM_ERROR;
    (void)inflateEnd(&z);
    size = want.size + 1 - z.avail_out;
    result = result == Z_OK && size == want.size && memcmp(out, text, size) == 0;
    free(out);
    return result;
}

/* Sends a message, unpacks what comes back, and adds that to what must come back from now on. */
static void learn(const peer *p, const unsigned char *frame, size_t size, const unsigned char *text) {
    unsigned char *in = all.in + all.in_size, *payload = in + 2;
    size_t length;
    if (put(p, frame, size, 0) != (ssize_t)size)
        fail("send");
    take_all(p, in, 2);
    length = in[1];
    if (length >= 126) {
        take_all(p, payload, 2);
        length = (size_t)payload[0] << 8 | payload[1];
        payload += 2;
    }
    errno = 0;
    if ((in[0] != 0xc1 && in[0] != 0x81) || in[1] > 126 || length > want.size)
        fail("the frame that came back");
    take_all(p, payload, length);
    all.in_size += (size_t)(payload - in) + length;
    if (in[0] == 0x81 ? length != want.size || memcmp(payload, text, length) != 0 : !unpacks(payload, length, text))
        fail("the message that came back");
}

static void fill_packed(void) {
    size_t room = want.size + want.size / 100 + 100, n, i, at;
    unsigned char *text = malloc(want.size + 200), *packed = malloc(room);
    peer first;
    all.out = malloc((room + 14) * want.in_flight);
    all.in = malloc((room + 14) * want.in_flight);
    if (!text || !packed || !all.out || !all.in || want.size > 60000)
        fail("memory, or -s above 60000");
    dial(&first);
    ask(&first);
    hear(&first);
    for (n = 0; n < want.in_flight; n++) {
        unsigned char *out = all.out + all.out_size;
        size_t size, header;
        for (at = 0, i = n; at < want.size; i++)
            at += (size_t)sprintf((char *)text + at,
                                  "{\"id\":%zu,\"user\":\"user%zu\",\"text\":\"hello %zu\",\"on\":%s},",
                                  i * 7919 % 10007, i * 31 % 97, i * i % 1009, i % 3 ? "true" : "false");
        size = pack(text, packed, room);
        header = put_header(out, size, 0x41, true);
        for (i = 0; i < size; i++)
            out[header + i] = packed[i] ^ out[header - 4 + (i & 3)];
        all.out_size += header + size;
        learn(&first, out, header + size, text);
    }
    free(text);
    free(packed);
}
#else
static void fill_packed(void) { fail("built without zlib"); }
#endif

/* --- what the server spends ---------------------------------------------------------------- */

static int count_instructions(bool kernel) {
    struct perf_event_attr what;
    memset(&what, 0, sizeof what);
    what.type = PERF_TYPE_HARDWARE;
    what.size = sizeof what;
    what.config = PERF_COUNT_HW_INSTRUCTIONS;
    what.exclude_kernel = !kernel;
    what.exclude_user = kernel;
    what.exclude_hv = 1;
    return (int)syscall(SYS_perf_event_open, &what, want.server, -1, -1, 0);
}

static uint64_t page_faults(void) { /* the tenth field of stat; the second, a name in parentheses, may hold anything */
    char path[64], text[1024];
    unsigned long faults = 0;
    FILE *file;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", want.server);
    file = want.server ? fopen(path, "r") : NULL;
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        (void)fclose(file);
        if (!strrchr(text, ')') || sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %lu", &faults) != 1)
            fail(path);
    }
    return faults;
}

static void spent(uint64_t sum[4]) {
    clockid_t clock;
    int i;
    for (i = 0; i < 2; i++)
        if (counters[i] < 0 || read(counters[i], &sum[i], sizeof sum[i]) != sizeof sum[i])
            sum[i] = 0;
    sum[2] = want.server && clock_getcpuclockid(want.server, &clock) == 0 ? now(clock) : 0;
    sum[3] = page_faults();
}

static int by_size(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return a < b ? -1 : a > b;
}

static void note(uint64_t from) {
    uint64_t took = now(CLOCK_MONOTONIC) - from;
    if (kept < measured)
        latencies[kept++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

static double percentile(double share) { return kept ? latencies[(size_t)(share * (double)(kept - 1))] / 1000.0 : 0; }

/* --- the patterns -------------------------------------------------------------------------- */

static void push(peer *p) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = p}};
    while (p->sent < all.out_size) {
        ssize_t n = put(p, all.out + p->sent, all.out_size - p->sent, MSG_DONTWAIT);
        if (n <= 0)
            break;
        p->sent += (size_t)n;
    }
    if (p->waits_to_write == (p->sent < all.out_size))
        return;
    p->waits_to_write = !p->waits_to_write;
    event.events = p->waits_to_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
    (void)epoll_ctl(poller, EPOLL_CTL_MOD, p->descriptor, &event);
}

static void begin(peer *p) {
    p->sent = 0;
    p->since = now(CLOCK_MONOTONIC);
    push(p);
}

static bool pull(peer *p) { /* true: the batch has come whole */
    static unsigned char bytes[1 << 20];
    do {
        size_t room = all.in_size - p->received < sizeof bytes ? all.in_size - p->received : sizeof bytes;
        ssize_t n = take(p, bytes, room, MSG_DONTWAIT);
        if (n < 0 && (p->tls || errno == EAGAIN))
            break; /* a part of a record */
        errno = 0;
        if (n <= 0 || memcmp(bytes, all.in + p->received, (size_t)n) != 0)
            fail(n <= 0 ? "connection ended" : "the bytes that came back");
        p->received += (size_t)n;
    } while (p->received < all.in_size && more(p));
    if (p->received < all.in_size)
        return false;
    p->received = 0;
    return true;
}

static peer *open_all(void) {
    peer *peers = calloc(want.connections, sizeof *peers);
    size_t i;
    if (!peers)
        fail("calloc");
    for (i = 0; i < want.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &peers[i]}};
        dial(&peers[i]);
        if (!want.raw)
            ask(&peers[i]);
        if (!want.raw || strcmp(want.mode, "room") == 0) /* the raw room greets: the peer is in it */
            hear(&peers[i]);
        if (want.tls)
            (void)fcntl(peers[i].descriptor, F_SETFL, O_NONBLOCK);
        (void)epoll_ctl(poller, EPOLL_CTL_ADD, peers[i].descriptor, &event);
    }
    return peers;
}

static size_t echo_or_room(peer *peers, bool room) {
    struct epoll_event ready[256];
    size_t done = 0, whole = 0, i;
    for (i = 0; i < (room ? 1 : want.connections) && i < want.active; i++)
        begin(&peers[i]);
    while (done < want.messages) {
        int n = epoll_wait(poller, ready, 256, 30000), at;
        if (n <= 0)
            fail("no answer");
        for (at = 0; at < n; at++) {
            peer *p = ready[at].data.ptr;
            if (ready[at].events & EPOLLOUT)
                push(p);
            if (!(ready[at].events & ~(uint32_t)EPOLLOUT) || !pull(p))
                continue;
            done += want.in_flight;
            if (!room || ++whole == want.connections) {
                whole = 0;
                p = room ? peers : p;
                note(p->since);
                begin(p);
            }
        }
    }
    return done;
}

static size_t connects(void) {
    static const unsigned char bye[8] = {0x88, 0x82, 0, 0, 0, 0, 3, 0xe8};
    peer *peers = calloc(want.connections, sizeof *peers);
    unsigned char end[64];
    size_t done = 0, i, part;
    while (peers && done < want.messages) {
        for (i = 0; i < want.connections; i++) {
            dial(&peers[i]);
            peers[i].since = now(CLOCK_MONOTONIC);
            ask(&peers[i]);
        }
        for (i = 0; i < want.connections; i++) {
            hear(&peers[i]);
            if (!want.raw && put(&peers[i], bye, sizeof bye, 0) != sizeof bye)
                fail("close");
        }
        for (i = 0; i < want.connections; i++) {
            for (part = 0; !want.raw && part < 4;) {
                ssize_t n = take(&peers[i], end + part, 4 - part, 0);
                if (n <= 0)
                    fail("close");
                part += (size_t)n;
            }
            errno = 0;
            if (!want.raw && (end[0] != 0x88 || end[1] != 2 || end[2] != 3 || end[3] != 0xe8))
                fail("close");
            (void)close(peers[i].descriptor);
            note(peers[i].since);
        }
        done += want.connections;
    }
    return done;
}

static size_t server_memory(void) { /* bytes that are resident */
    char path[64];
    unsigned long pages = 0;
    FILE *file;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", want.server);
    file = fopen(path, "r");
    if (!file || fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file)
        (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void arguments(int argc, char **argv) {
    int letter;
    while ((letter = getopt(argc, argv, "m:c:a:p:s:n:trzeS:")) != -1) {
        switch (letter) {
        case 'm': want.mode = optarg; break;
        case 'c': want.connections = strtoul(optarg, NULL, 10); break;
        case 'a': want.active = strtoul(optarg, NULL, 10); break;
        case 'p': want.in_flight = strtoul(optarg, NULL, 10); break;
        case 's': want.size = strtoul(optarg, NULL, 10); break;
        case 'n': want.messages = strtoul(optarg, NULL, 10); break;
        case 't': want.text = true; break;
        case 'r': want.raw = true; break;
        case 'z': want.packed = true; break;
        case 'e': want.tls = true; break;
        case 'S': want.server = atoi(optarg); break;
        default: exit(2);
        }
    }
    if (optind + 1 != argc || !want.connections || !want.in_flight || !want.size) {
        fprintf(stderr, "usage: see tests/bench/load.c\n");
        exit(2);
    }
    want.port = (uint16_t)atoi(argv[optind]);
}

int main(int argc, char **argv) {
    uint64_t before[4], after[4], start;
    struct rlimit files;
    size_t done, memory;
    peer *peers = NULL;
    arguments(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    poller = epoll_create1(0);
    if (want.packed)
        fill_packed();
    else
        fill();
    measured = want.messages + want.connections;
    latencies = malloc(measured * sizeof *latencies);
    if (!latencies)
        fail("malloc");
    memory = server_memory();
    if (strcmp(want.mode, "connect") != 0)
        peers = open_all();
    if (strcmp(want.mode, "idle") == 0) {
        printf("idle=%zu\n", (server_memory() - memory) / want.connections);
        return 0;
    }
    if (want.server) {
        counters[0] = count_instructions(false);
        counters[1] = count_instructions(true);
    }
    spent(before);
    start = now(CLOCK_MONOTONIC);
    done = peers ? echo_or_room(peers, strcmp(want.mode, "room") == 0) : connects();
    start = now(CLOCK_MONOTONIC) - start;
    spent(after);
    qsort(latencies, kept, sizeof *latencies, by_size);
    printf("messages=%zu rate=%.0f p50=%.1f p99=%.1f p999=%.1f", done, (double)done * 1e9 / (double)start,
           percentile(0.5), percentile(0.99), percentile(0.999));
    if (counters[0] >= 0)
        printf(" user=%.0f", (double)(after[0] - before[0]) / (double)done);
    if (counters[1] >= 0)
        printf(" kernel=%.0f", (double)(after[1] - before[1]) / (double)done);
    if (after[2])
        printf(" cpu=%.0f faults=%.2f", (double)(after[2] - before[2]) / (double)done,
               (double)(after[3] - before[3]) / (double)done);
    printf("\n");
    return 0;
}
