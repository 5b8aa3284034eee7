/*
   A world in which anything can fail: a loop on the system of kernel.h, with servers, clients and raw peers, on a
   virtual clock. world.memory makes the Nth allocation fail, kernel.fault the Nth system call. No test waits for what a
   fault has prevented. Include "kernel.h" and "../../ws.h" with WS_IMPLEMENTATION first.
*/
#ifndef FAULTS_H
#define FAULTS_H

#undef realloc /* the test's own allocations never fail */

#include "drive.h"
#include "test.h"

enum { PORT = 9000, PROXY_PORT = 9001, OTHER_PORT = 9002, RAWS = 24 };

typedef struct raw { /* a peer without ws.h, whose own calls never fail */
    int file;        /* 0: none */
    bytes in;
    bool deaf;
    bool proxy;      /* answers CONNECT, then passes all bytes to `onward`, and back */
    struct raw *onward;
} raw;

typedef struct world_state {
    ws_loop *loop;
    ws_server *server;
    ws_id client;       /* the client that was dialled last */
    drive_memory memory;
    int proxy;          /* a listening socket; 0: none */
    raw raws[RAWS];
    size_t raw_count;
    unsigned opens, closes, errors, dials, kept, answered, messages;
    bool traced;        /* trace the next loop */
    ws_poller poller;
    void (*on_open)(ws_conn *conn);
    void (*on_message)(ws_conn *conn, ws_message message);
} world_state;

static world_state world;

/* --- raw peers --- */

/* From now on calls are the test's, and none fails. Returns the previous value of kernel.fault.off. */
static inline bool world_outside(void) {
    bool before = kernel.fault.off;
    kernel.fault.off = true;
    return before;
}

static inline raw *raw_new(int file) {
    raw *r = &world.raws[world.raw_count++];
    if (world.raw_count > RAWS)
        abort();
    memset(r, 0, sizeof *r);
    r->file = file;
    return r;
}

static inline raw *raw_connect(uint16_t port) {
    bool before = world_outside();
    int file = kernel_socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr address;
    socklen_t size;
    (void)kernel_tell_address(0, port, &address, &size);
    (void)kernel_connect(file, &address, size);
    kernel.fault.off = before;
    return raw_new(file);
}

static inline void raw_send(raw *r, const void *data, size_t size) {
    bool before = world_outside();
    if (r->file)
        (void)kernel_put_all(r->file, data, size, SIZE_MAX);
    kernel.fault.off = before;
}

static inline void raw_text(raw *r, const char *text) { raw_send(r, text, strlen(text)); }

static inline void raw_close(raw *r) {
    if (r->file)
        (void)kernel_close(r->file);
    r->file = 0;
    bytes_free(&r->in);
}

/* A listening socket of the test. */
static inline int raw_listen(uint16_t port) {
    bool before = world_outside();
    int file = kernel_socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr address;
    socklen_t size;
    (void)kernel_tell_address(0, port, &address, &size);
    (void)kernel_bind(file, &address, size);
    (void)kernel_listen(file, 5);
    kernel.fault.off = before;
    return file;
}

static inline bool raw_has(const raw *r, const char *text) {
    return bytes_find(&r->in, text, 0) != SIZE_MAX;
}

/* Passes on what came through a proxy. The first head is a CONNECT, which it answers. */
static inline void raw_pass_on(raw *r) {
    if (r->proxy && !r->onward) {
        if (!raw_has(r, "\r\n\r\n"))
            return;
        r->onward = raw_connect(PORT);
        r->onward->onward = r;
        raw_text(r, "HTTP/1.1 200 ok\r\n\r\n");
        r->in.size = 0;
    }
    if (r->onward && r->in.size) {
        raw_send(r->onward, r->in.data, r->in.size);
        r->in.size = 0;
    }
}

static inline bool raw_read(raw *r) {
    uint8_t data[4096];
    ssize_t got = r->file && !r->deaf ? kernel_take_some(r->file, data, sizeof data, 0) : -1;
    if (got > 0)
        bytes_add(&r->in, data, (size_t)got);
    raw_pass_on(r);
    if (got == 0) { /* its stream ended, so we end the other one */
        if (r->onward)
            raw_close(r->onward);
        raw_close(r);
    }
    return got > 0;
}

static inline bool raw_serve(void) {
    bool before = world_outside(), some = false;
    int file = world.proxy ? kernel_accept(world.proxy, NULL, NULL, 0) : -1;
    if (file >= 0)
        raw_new(file)->proxy = true;
    for (size_t i = 0; i < world.raw_count; i++)
        some = raw_read(&world.raws[i]) || some;
    kernel.fault.off = before;
    return some;
}

/* --- the loop --- */

static inline uint64_t world_clock(void *user) { return (void)user, kernel.now; }

#ifndef WS_NO_TRACE
static inline void world_trace(const ws_trace_event *event, void *user) {
    char text[60];
    (void)user;
    ws_trace_text(event, text, sizeof text);
}

static inline void world_set_trace(ws_loop_config *config) { config->trace = world.traced ? world_trace : NULL; }
#else
static inline void world_set_trace(ws_loop_config *config) { (void)config; }
#endif

static inline void world_loop(void) {
    ws_loop_config config;
    memset(&config, 0, sizeof config);
    config.allocator.resize = drive_resize;
    config.allocator.user = &world.memory;
    config.clock = world_clock;
    config.poller = world.poller;
    config.receive_size = 16 << 10;
    world_set_trace(&config);
    world.loop = ws_loop_new(&config);
}

/* Advances the clock, from event to event; stops after 500 rounds, as a fault may make a loop spin. */
static inline void world_pass(unsigned milliseconds) {
    uint64_t until = kernel.now + milliseconds;
    for (int rounds = 0; rounds < 500; rounds++) {
        void (*idle)(void) = kernel.idle;
        uint64_t next;
        kernel.found = 0;
        kernel.until = kernel.now + 10;
        kernel.idle = NULL;
        bool runs = ws_run_once(world.loop, WS_OFF);
        kernel.idle = idle;
        if (!runs)
            break;
        next = kernel.until < kernel.next ? kernel.until : kernel.next;
        if (raw_serve() || kernel.found || next <= kernel.now)
            continue;
        if (kernel.now == until)
            return;
        kernel_advance(next < until ? next : until);
    }
    kernel_advance(until);
}

/* What happens while a blocking call waits. */
static inline void world_idle(void) {
    uint64_t until = kernel.until;
    world_pass(0);
    if (kernel.now < until && until != KERNEL_NEVER)
        kernel_advance(kernel.next > kernel.now && kernel.next < until ? kernel.next : until);
}

/* --- servers and clients --- */

static inline void world_opened(ws_conn *conn) {
    world.opens++;
    if (world.on_open)
        world.on_open(conn);
}

static inline void world_message(ws_conn *conn, ws_message message) {
    world.messages++;
    if (world.on_message)
        world.on_message(conn, message);
}

static inline void world_closed(ws_conn *conn, ws_close_info why) {
    (void)conn;
    (void)why;
    world.closes++;
}

static inline void world_failed(ws_conn *conn) {
    (void)ws_last_error_text(conn);
    world.errors++;
}

static inline void echo(ws_conn *conn, ws_message message) {
    world_message(conn, message);
    (void)ws_send(conn, message);
}

static inline ws_handler world_handler(void) {
    ws_handler handler;
    memset(&handler, 0, sizeof handler);
    handler.on_open = world_opened;
    handler.on_message = world_message;
    handler.on_close = world_closed;
    handler.on_error = world_failed;
    return handler;
}

/* Listens on a port of host 0, with an echo at "/alive". */
static inline ws_server *world_listen(const ws_server_config *config, uint16_t port) {
    ws_server_config all;
    ws_handler handler = world_handler();
    memset(&all, 0, sizeof all);
    if (config)
        all = *config;
    all.host = all.host ? all.host : "10.0.0.0";
    all.port = port;
    handler.on_message = echo;
    ws_server *server = ws_listen(world.loop, &all);
    if (server)
        (void)ws_route(server, "/alive", &handler);
    return server;
}

static inline ws_conn *world_dial_with(const char *url, const ws_client_config *config, const ws_handler *handler) {
    ws_conn *conn = ws_dial(world.loop, url, handler, config);
    world.client = ws_conn_id(conn);
    world.dials += conn != NULL;
    return conn;
}

static inline ws_conn *world_dial(const char *url, const ws_client_config *config) {
    ws_handler handler = world_handler();
    return world_dial_with(url, config, &handler);
}

static inline ws_conn *world_client(void) { return ws_find(world.loop, world.client); }

/* --- begin and end --- */

static inline void world_begin(void) {
    kernel_begin(1);
    memset(&world, 0, sizeof world);
    world.poller = WS_POLLER_SELECT;
    kernel.now = 1700000000000; /* 2023 */
}

static inline void world_heal(void) {
    world.memory.fail_at = 0;
    memset(&kernel.fault, 0, sizeof kernel.fault);
    kernel.idle = NULL;
}

/* Frees everything, and checks that nothing is left. */
static inline void world_end(const char *file, int line) {
    int open;
    ws_loop_free(world.loop);
    for (size_t i = 0; i < world.raw_count; i++)
        raw_close(&world.raws[i]);
    if (world.proxy)
        (void)kernel_close(world.proxy);
    test_equal((long long)world.memory.used, 0, "all memory is freed", file, line);
    test_check(!world.memory.wrong, "ws.h passes the right old sizes", file, line);
    test_equal(world.opens, world.closes, "each on_open has its on_close", file, line);
    test_equal(world.kept, world.answered, "each kept request is answered or abandoned", file, line);
    kernel_advance(kernel.now + 1);
    open = kernel_end();
    test_equal(open, 0, "open descriptors", file, line);
}

#define WORLD_END() world_end(__FILE__, __LINE__)

#endif
