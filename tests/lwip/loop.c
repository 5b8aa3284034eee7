/* LOOP on lwIP: the select multiplexer as a server and as a client over lwIP's loop-back interface. */
#define WS_IMPLEMENTATION
#define WS_LWIP
#include "../../ws.h"
#include "../helpers/test.h"
#include "lwip/tcpip.h"
#include <pthread.h>

enum { LARGE = 20000, PATIENCE = 20000 /* ms, and no test takes them */, POSTS = 100, CROWD = 12 };

#ifdef WS_SMALL
enum { FOUND = 4 };
#define SAYS(text, error, wanted) (strcmp((text), ws_error_text(error)) == 0) /* it says no more */
#else
enum { FOUND = 1 }; /* of the crowd: all look up at once, which takes two sockets each */
#define SAYS(text, error, wanted) (strstr((text), (wanted)) == (text))
#endif

typedef struct world {
    ws_loop *loop;
    ws_server *server;
    ws_conn *clients[2];
    char url[64], log[512], said[256];
    ws_error failed;
    unsigned opened, refused, closed, ran, in_order;
    size_t large;
    bool late;
} world;

static world now;

static void note(const char *text) {
    if (strlen(now.log) + strlen(text) + 2 < sizeof now.log)
        strcat(strcat(now.log, text), " ");
}

static void give_up(ws_loop *loop, void *user) {
    (void)loop, (void)user;
    now.late = true;
}

/* Runs the loop until the condition holds. */
#define UNTIL(condition)                                              \
    do {                                                              \
        ws_id patience = ws_after(now.loop, PATIENCE, give_up, NULL); \
        now.late = false;                                             \
        while (!(condition) && !now.late && ws_run_once(now.loop, WS_OFF)) {} \
        ws_cancel(now.loop, patience);                                \
        CHECK(condition);                                             \
    } while (0)

/* --- the server: everybody is in the room "all", and says what the others hear --- */

static void on_open(ws_conn *conn) { CHECK(ws_join(conn, "all")); }

static void on_message(ws_conn *conn, ws_message message) {
    if (message.size == LARGE)
        CHECK(ws_send(conn, message));
    else
        CHECK(ws_broadcast_others(conn, "all", message));
}

static void on_close(ws_conn *conn, ws_close_info why) {
    char text[64];
    (void)snprintf(text, sizeof text, "server:%u:%s", (unsigned)why.code,
                   ws_last_error(conn) == WS_ERROR_TIMEOUT ? "timeout" : "");
    note(text);
    now.closed++;
}

/* --- the clients --- */

static void client_open(ws_conn *conn) { (void)conn, now.opened++; }

static void client_message(ws_conn *conn, ws_message message) {
    size_t i;
    if (message.size < LARGE) {
        note(conn == now.clients[0] ? "first:" : "second:");
        note((const char *)message.data);
        return;
    }
    for (i = 0; i < message.size && message.data[i] == (uint8_t)(i * 7); i++) {}
    now.large = i;
}

static void client_close(ws_conn *conn, ws_close_info why) {
    char text[64];
    (void)snprintf(text, sizeof text, "client%d:%u", conn == now.clients[1], (unsigned)why.code);
    note(text);
}

static void client_error(ws_conn *conn) {
    now.refused++;
    now.failed = ws_last_error(conn);
    (void)snprintf(now.said, sizeof now.said, "%s", ws_last_error_text(conn));
}

static const ws_handler client = {NULL, client_open, client_message, NULL, NULL, client_close, client_error, NULL,
                                  NULL, {false, false, 0, 0, 0}, NULL};

static bool start(void) {
    static const ws_handler handler = {NULL, on_open, on_message, NULL, NULL, on_close, NULL, NULL, NULL,
                                       {false, false, 0, 0, 0}, NULL};
    ws_server_config config;
    memset(&now, 0, sizeof now);
    memset(&config, 0, sizeof config);
    config.limits.ping_ms = config.limits.pong_ms = 150;
    now.loop = ws_loop_new(NULL);
    now.server = ws_listen(now.loop, &config);
    CHECK(ws_route(now.server, "/", &handler));
    CHECK(ws_port(now.server) != 0);
    CHECK_STR(ws_loop_error_text(now.loop), ws_error_text(WS_OK));
    (void)snprintf(now.url, sizeof now.url, "ws://board.test:%u/", (unsigned)ws_port(now.server));
    return now.server != NULL;
}

static void connect_both(void) {
    now.clients[0] = ws_dial(now.loop, now.url, &client, NULL);
    now.clients[1] = ws_dial(now.loop, now.url, &client, NULL);
    UNTIL(ws_room_count(now.server, "all") == 2 && now.opened == 2);
}

/* How many can be had. */
static int count_sockets(void) {
    int sockets[MEMP_NUM_NETCONN], count = 0, i;
    while (count < MEMP_NUM_NETCONN && (sockets[count] = lwip_socket(AF_INET, SOCK_STREAM, 0)) >= 0)
        count++;
    for (i = 0; i < count; i++)
        (void)lwip_close(sockets[i]);
    return count;
}

/* All are given back; a closed one is lwIP's for a moment. */
static bool all_sockets_free(void) {
    unsigned tries;
    for (tries = 0; tries < 300 && count_sockets() < MEMP_NUM_NETCONN; tries++)
        sys_msleep(10);
    return tries < 300;
}

static void end(void) {
    ws_loop_free(now.loop);
    CHECK(all_sockets_free());
    test_end();
}

static void test_rooms(void) {
    char peer[64];
    if (!test_begin("two clients, a room, a broadcast"))
        return;
    CHECK(start());
    connect_both();
    CHECK(ws_peer(now.clients[0], peer, sizeof peer) && strncmp(peer, "127.0.0.1:", 10) == 0);
    CHECK(ws_send_text(now.clients[0], "one"));
    UNTIL(strlen(now.log));
    CHECK_STR(now.log, "second: one ");
    CHECK(ws_server_broadcast(now.server, "all", (ws_message){(const uint8_t *)"two", 3, WS_TEXT}));
    UNTIL(strlen(now.log) > 30);
    CHECK(strstr(now.log, "first: two") && strstr(now.log, "second: two"));
    now.log[0] = 0;
    CHECK(ws_close(now.clients[0], WS_CLOSE_NORMAL, "bye"));
    UNTIL(now.closed == 1 && strstr(now.log, "client"));
    CHECK(strstr(now.log, "server:1000:") && strstr(now.log, "client0:1000"));
    CHECK_EQ(ws_room_count(now.server, "all"), 1);
    end();
}

static void test_large(void) {
    static uint8_t data[LARGE];
    size_t i;
    if (!test_begin("a message of several windows of lwIP's comes back"))
        return;
    CHECK(start());
    connect_both();
    for (i = 0; i < LARGE; i++)
        data[i] = (uint8_t)(i * 7);
    CHECK(ws_send(now.clients[1], (ws_message){data, LARGE, WS_BINARY}));
    UNTIL(now.large);
    CHECK_EQ(now.large, LARGE);
    end();
}

/* A peer that says nothing after its handshake, and waits for the end. */
static void *silent(void *argument) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: board.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    struct sockaddr_in to;
    char answer[512];
    int *descriptor = (int *)argument;
    memset(&to, 0, sizeof to);
    to.sin_len = sizeof to;
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = PP_HTONL(INADDR_LOOPBACK);
    to.sin_port = lwip_htons(ws_port(now.server));
    *descriptor = lwip_socket(AF_INET, SOCK_STREAM, 0);
    if (lwip_connect(*descriptor, (const struct sockaddr *)&to, sizeof to) == 0
        && lwip_send(*descriptor, request, sizeof request - 1, 0) == sizeof request - 1)
        while (lwip_recv(*descriptor, answer, sizeof answer, 0) > 0) {}
    return NULL;
}

static void test_silent(void) {
    pthread_t thread;
    int descriptor;
    if (!test_begin("a peer that answers no ping misses its deadline; others do not"))
        return;
    CHECK(start());
    connect_both();
    CHECK(pthread_create(&thread, NULL, silent, &descriptor) == 0);
    UNTIL(ws_room_count(now.server, "all") == 3);
    UNTIL(now.closed == 1);
    CHECK_STR(now.log, "server:1006:timeout ");
    CHECK_EQ(ws_room_count(now.server, "all"), 2);
    CHECK(pthread_join(thread, NULL) == 0);
    (void)lwip_close(descriptor);
    end();
}

static void ran(void *argument) {
    now.in_order += *(const unsigned *)argument == now.ran;
    now.ran++;
}

static void *post(void *argument) {
    unsigned *numbers = (unsigned *)argument, i;
    for (i = 0; i < POSTS; i++) {
        numbers[i] = i;
        while (!ws_post(now.loop, ran, &numbers[i])) /* there is no room until the loop has run some */
            sys_msleep(1);
        if (i == POSTS / 2)
            sys_msleep(50); /* the loop sleeps again */
    }
    return NULL;
}

static void test_post(void) {
    static unsigned numbers[POSTS];
    pthread_t thread;
    unsigned i;
    if (!test_begin("posts of another thread wake the loop, each is run once, in order"))
        return;
    CHECK(start());
    CHECK(pthread_create(&thread, NULL, post, numbers) == 0);
    UNTIL(now.ran == POSTS);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQ(now.in_order, POSTS);
    for (i = 0; ws_post(now.loop, ran, &numbers[0]); i++) {}
    CHECK(i > 0 && i < POSTS);
    UNTIL(now.ran == POSTS + i);
    CHECK(ws_run_once(now.loop, 0));
    CHECK_EQ(now.ran, POSTS + i);
    end();
}

static void test_nobody(void) {
    if (!test_begin("nobody listens; a name that nobody knows"))
        return;
    CHECK(start());
    CHECK(ws_dial(now.loop, "ws://127.0.0.1:9/", &client, NULL) != NULL);
    UNTIL(now.refused == 1);
    CHECK_EQ(now.failed, WS_ERROR_CONNECT);
    CHECK(SAYS(now.said, now.failed, "cannot connect to 127.0.0.1:9: lwIP error 104"));
    CHECK(ws_dial(now.loop, "ws://nowhere.test/", &client, NULL) != NULL);
    UNTIL(now.refused == 2);
    CHECK_EQ(now.failed, WS_ERROR_RESOLVE);
    CHECK(SAYS(now.said, now.failed, "cannot resolve nowhere.test: lwIP error"));
    end();
}

static void test_crowd(void) {
    unsigned i;
    if (!test_begin("more connections than sockets: some fail, none hangs, and then there is room again"))
        return;
    CHECK(start());
    for (i = 0; i < CROWD; i++)
        CHECK(ws_dial(now.loop, now.url, &client, NULL) != NULL);
    UNTIL(now.opened + now.refused == CROWD);
    CHECK(now.opened >= FOUND && now.refused > 0);
    CHECK(now.failed != WS_OK);
    ws_loop_free(now.loop);
    CHECK(all_sockets_free());
    CHECK(start());
    connect_both();
    end();
}

static void test_ports(void) {
    ws_server_config config;
    if (!test_begin("a port in use, a Unix socket"))
        return;
    CHECK(start());
    memset(&config, 0, sizeof config);
    config.unix_path = "/nowhere";
    CHECK(!ws_listen(now.loop, &config));
    CHECK(SAYS(ws_loop_error_text(now.loop), WS_ERROR_ADDRESS, "/nowhere: this build has no Unix sockets"));
    ws_loop_free(now.loop);
    CHECK(start());
    memset(&config, 0, sizeof config);
    config.descriptor = lwip_socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!ws_listen(now.loop, &config));
    char wanted[80];
    (void)snprintf(wanted, sizeof wanted, "descriptor %d: it is a socket that does not listen", config.descriptor);
    CHECK(SAYS(ws_loop_error_text(now.loop), WS_ERROR_ARGUMENT, wanted));
    ws_loop_free(now.loop);
    CHECK_EQ(lwip_close(config.descriptor), 0);
    CHECK(start());
    memset(&config, 0, sizeof config);
    config.port = ws_port(now.server);
    CHECK(!ws_listen(now.loop, &config));
    CHECK_EQ(ws_loop_error(now.loop), WS_ERROR_IN_USE);
    end();
}

static void *shut_down(void *argument) {
    sys_msleep(50);
    CHECK(ws_shutdown((ws_loop *)argument, 1000));
    return NULL;
}

static void test_shutdown(void) {
    pthread_t thread;
    if (!test_begin("ws_shutdown from another thread closes all and ends ws_run"))
        return;
    CHECK(start());
    connect_both();
    CHECK(pthread_create(&thread, NULL, shut_down, now.loop) == 0);
    CHECK_EQ(ws_run(now.loop), WS_OK);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQ(now.closed, 2);
    CHECK(strstr(now.log, "client0:1012") && strstr(now.log, "client1:1012"));
    end();
}

static void started(void *argument) { sys_sem_signal((sys_sem_t *)argument); }

int main(int argc, char **argv) {
    sys_sem_t ready;
    test_start(argc, argv);
    (void)sys_sem_new(&ready, 0);
    tcpip_init(started, &ready);
    sys_sem_wait(&ready);
    sys_sem_free(&ready);
    test_rooms();
    test_large();
    test_silent();
    test_post();
    test_nobody();
    test_crowd();
    test_ports();
    test_shutdown();
    return test_finish();
}
