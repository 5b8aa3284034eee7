/*
   A server without a port and its test clients, in virtual time: for what a program sees of a server, without sockets.
   Callbacks write the log of net.h. What a client got is written as

       t:hello         a text message
       b:00ff          a binary one
       c:1000:bye      the connection has ended: ws_closed's code and reason

   Include "net.h" first.
*/
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H

#include "net.h"

enum { BEHAVIOUR_CLIENTS = 16 };

typedef struct behaviour_state {
    drive_memory memory; /* of the clients */
    ws_conn *clients[BEHAVIOUR_CLIENTS];
    size_t count;
} behaviour_state;

static behaviour_state behaviour;

/* A loop in virtual time, and a server without a port and without routes; config may be NULL. */
static inline bool behaviour_start_bare(const ws_server_config *config) {
    ws_loop_config loop;
    ws_server_config server;
    size_t descriptors = net_descriptors();
    memset(&net, 0, sizeof net);
    memset(&behaviour, 0, sizeof behaviour);
    memset(&loop, 0, sizeof loop);
    memset(&server, 0, sizeof server);
    if (config)
        server = *config;
    server.no_port = true;
    net.descriptors = descriptors;
    net.echo = true;
    loop.virtual_clock = true;
    loop.allocator.resize = drive_resize;
    loop.allocator.user = &net.memory;
    net.loop = ws_loop_new(&loop);
    net.server = ws_listen(net.loop, &server);
    return net.server != NULL;
}

/* Does what behaviour_start_bare does, and adds a handler at "/" that writes the log. */
static inline bool behaviour_start_with(const ws_server_config *config) {
    return behaviour_start_bare(config) && net_route("/");
}

static inline bool behaviour_start(void) { return behaviour_start_with(NULL); }

/* Tries to connect; config may be NULL. The client is freed by BEHAVIOUR_END. */
static inline ws_conn *behaviour_connect(const char *target, const ws_client_config *config) {
    ws_client_config all;
    ws_conn *conn;
    memset(&all, 0, sizeof all);
    if (config)
        all = *config;
    all.allocator.resize = drive_resize;
    all.allocator.user = &behaviour.memory;
    conn = ws_test_connect(net.server, target, &all);
    if (!conn || behaviour.count == BEHAVIOUR_CLIENTS)
        abort();
    behaviour.clients[behaviour.count++] = conn;
    return conn;
}

static inline ws_conn *behaviour_open(const char *target) {
    ws_conn *conn = behaviour_connect(target, NULL);
    test_equal(ws_status(conn), 101, "the handshake's status", __FILE__, __LINE__);
    test_equal(ws_state(conn), WS_OPEN, "the state after the handshake", __FILE__, __LINE__);
    return conn;
}

/* Advances the clock. With 0, everything happens that needs no time. The clients do not receive. */
static inline void behaviour_wait(uint32_t milliseconds) {
    size_t i;
    if (behaviour.count)
        ws_test_wait(behaviour.clients[0], milliseconds);
    for (i = 0; i < behaviour.count; i++)
        ws_test_wait(behaviour.clients[i], 0);
}

/* Compares what a client got since the last call, and whether its connection has ended. Takes no virtual time. */
static inline void behaviour_check(ws_conn *conn, const char *wanted, const char *file, int line) {
    bytes got = {NULL, 0, 0};
    char piece[80];
    ws_message message;
    size_t i;
    behaviour_wait(0);
    while (ws_receive_within(conn, &message, 0)) {
        bytes_add(&got, message.type == WS_TEXT ? " t:" : " b:", 3);
        if (message.type == WS_TEXT)
            bytes_add(&got, message.data, message.size);
        for (i = 0; message.type == WS_BINARY && i < message.size; i++)
            bytes_add(&got, piece, (size_t)snprintf(piece, sizeof piece, "%02x", message.data[i]));
        if (message.data[message.size])
            bytes_add(&got, " unzeroed", 9);
    }
    if (ws_state(conn) == WS_CLOSED) {
        bytes_add(&got, piece, (size_t)snprintf(piece, sizeof piece, " c:%u:", (unsigned)ws_closed(conn).code));
        bytes_add(&got, ws_closed(conn).reason, strlen(ws_closed(conn).reason));
    }
    test_memory(got.size ? got.data + 1 : got.data, got.size ? got.size - 1 : 0, wanted, strlen(wanted),
                "what the client got", file, line);
    bytes_free(&got);
}

#define CHECK_GETS(conn, wanted) behaviour_check((conn), (wanted), __FILE__, __LINE__)

/* Frees the clients, then does what NET_END does. */
static inline void behaviour_finish(const char *file, int line) {
    size_t i;
    for (i = 0; i < behaviour.count; i++)
        ws_free(behaviour.clients[i]);
    net_finish(file, line);
    test_equal((long long)behaviour.memory.used, 0, "the clients free all memory", file, line);
    test_check(!behaviour.memory.wrong, "the clients pass the right old sizes", file, line);
}

#define BEHAVIOUR_END() behaviour_finish(__FILE__, __LINE__)

#endif
