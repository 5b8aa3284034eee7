/* DIAL: requests of every length without memory for one of their lines, and clients that a callback ends in a round
   that has an event for them. */
#include "../helpers/kernel.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/faults.h"

static void start(void) {
    world_begin();
    world_loop();
    world.server = world_listen(NULL, PORT);
    world.proxy = raw_listen(PROXY_PORT);
}

/* --- requests of every length: each line in turn is the first that needs memory --- */

static void dial_at_length(size_t size, bool through) {
    char user[400], origin[400], letters[240];
    ws_client_config config;
    memset(&config, 0, sizeof config);
    memset(letters, 'a', sizeof letters);
    (void)snprintf(user, sizeof user, "%s%.*s:p@10.0.0.0:%d%s", through ? "http://" : "ws://", (int)size, letters,
                   through ? PROXY_PORT : PORT, through ? "" : "/alive");
    (void)snprintf(origin, sizeof origin, "https://%.*s", (int)size, letters);
    config.proxy = through ? user : NULL;
    config.origin = through ? NULL : origin;
    (void)world_dial(through ? "ws://10.0.0.0:9000/alive" : user, &config);
}

static void test_lengths(bool through) {
    size_t size, n, failed = 0;
    if (!test_begin("the Nth allocation fails: requests of every length, %s", through ? "to a proxy" : "to a server"))
        return;
    for (size = 1; size < 240; size++)
        for (n = 1; n < 100; n++) {
            start();
            world.memory.fail_at = world.memory.calls + n;
            dial_at_length(size, through);
            world_pass(20);
            bool hit = world.memory.calls >= world.memory.fail_at;
            failed += world.errors > 0;
            CHECK_EQ(ws_loop_error(world.loop), WS_OK);
            world_heal();
            WORLD_END();
            if (!hit)
                break;
        }
    CHECK(failed > 100);
}

/* --- a callback ends a client, and the same round has an event for it --- */

static struct {
    int kind, listens, proxy;
    ws_id other;
    bool told;
} round_of;

static void ends_other(ws_conn *conn, ws_message message) {
    static const char *const urls[] = {"ws://10.0.0.0:9000/alive", "ws://host0:9000/alive", NULL};
    (void)message;
    if (!ws_conn_server(conn)) { /* the first of this round's events */
        ws_drop(ws_find(world.loop, round_of.other));
        round_of.told = true;
    } else if (urls[round_of.kind]) {
        ws_id before = world.client;
        round_of.other = ws_conn_id(world_dial(urls[round_of.kind], NULL));
        world.client = before;
    } else {
        bool off = world_outside();
        (void)kernel_put_all(round_of.proxy, "HTTP/1.1 200 ok\r\n\r\n", 19, SIZE_MAX);
        kernel.fault.off = off;
    }
}

static void test_same_round(int kind) {
    static const char *const kinds[] = {"its connection", "the answer of a look-up", "a proxy's answer"};
    ws_client_config config;
    if (!test_begin("a client that is dropped in the round that brings %s", kinds[kind]))
        return;
    memset(&round_of, 0, sizeof round_of);
    memset(&config, 0, sizeof config);
    round_of.kind = kind;
    start();
    (void)world_dial("ws://10.0.0.0:9000/alive", NULL);
    ws_id first = world.client;
    world_pass(20);
    if (kind == 2) {
        round_of.listens = raw_listen(OTHER_PORT);
        config.proxy = "http://10.0.0.0:9002";
        round_of.other = ws_conn_id(world_dial("ws://example.com/", &config));
        world_pass(20);
        round_of.proxy = kernel_accept(round_of.listens, NULL, NULL, 0);
        CHECK(round_of.proxy >= 0);
    }
    world.on_message = ends_other;
    CHECK(ws_send_text(ws_find(world.loop, first), "now"));
    world_pass(20);
    CHECK(round_of.told && !ws_find(world.loop, round_of.other));
    CHECK_EQ(ws_state(ws_find(world.loop, first)), WS_OPEN);
    if (kind == 2) {
        (void)kernel_close(round_of.proxy);
        (void)kernel_close(round_of.listens);
    }
    WORLD_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_lengths(false);
    test_lengths(true);
    for (int kind = 0; kind < 3; kind++)
        test_same_round(kind);
    return test_finish();
}
