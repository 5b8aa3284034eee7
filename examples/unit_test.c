/* How to test your own program: the test runs its real routes in the same process, without sockets, on a virtual clock.
   From the top of the tree:

       cc -O2 -DWS_NO_TLS -o unit_test examples/unit_test.c
       ./unit_test                         prints what failed, and how many checks passed
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options; see there for how to copy an example */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static const char usage[] = "usage: unit_test\nRuns its tests and counts them. Exit status: 0 when all passed.\n";

/* --- the program: an auction that lasts a minute; each bid must be higher than the last ------ */

static int64_t highest;
static bool sold;

static void end_auction(ws_loop *loop, void *server) {
    (void)loop;
    sold = true;
    ws_server_broadcast_json(server, "bidders", "{'sold':%lld}", (long long)highest);
}

static void enter(ws_conn *conn) {
    ws_join(conn, "bidders");
    ws_send_json(conn, "{'highest':%lld}", (long long)highest);
}

static void bid(ws_conn *conn, ws_message message) {
    int64_t amount;
    if (!ws_json_integer(message, "bid", &amount)) {
        ws_close(conn, WS_CLOSE_UNSUPPORTED, "a bid is a number");
    } else if (sold || amount <= highest) {
        ws_send_json(conn, "{'error':%s}", sold ? "the auction is over" : "bid more");
    } else {
        highest = amount;
        ws_broadcast_json(conn, "bidders", "{'highest':%lld}", (long long)highest);
    }
}

static void start_auction(ws_loop *loop, ws_server *server) {
    highest = 0;
    sold = false;
    ws_route(server, "/auction", &(ws_handler){.on_open = enter, .on_message = bid});
    ws_after(loop, 60000, end_auction, server);
}

/* --- its test ---------------------------------------------------------------------------- */

static int passed, failed;

static void check(bool good, const char *what) {
    good ? passed++ : failed++;
    if (!good)
        printf("FAILED  %s\n", what);
}

/* Whether the next message holds this number; waits for it up to one virtual second. */
static bool says(ws_conn *conn, const char *name, int64_t expected) {
    ws_message message;
    int64_t number;
    return ws_receive_within(conn, &message, 1000) && ws_json_integer(message, name, &number) && number == expected;
}

static bool complains(ws_conn *conn) {
    ws_message message;
    return ws_receive_within(conn, &message, 1000) && ws_json_find(message, "error").type == WS_JSON_STRING;
}

static int tests(void) {
    ws_loop *loop = ws_loop_new(&(ws_loop_config){.virtual_clock = true});
    ws_server *server = ws_listen(loop, &(ws_server_config){.no_port = true});
    ws_conn *ann, *bob;
    start_auction(loop, server);
    ann = ws_test_connect(server, "/auction", NULL);
    bob = ws_test_connect(server, "/auction", NULL);
    check(says(ann, "highest", 0) && says(bob, "highest", 0), "both see the highest bid when they join");

    ws_send_json(ann, "{'bid':100}");
    check(says(ann, "highest", 100) && says(bob, "highest", 100), "both see Ann's bid");
    ws_send_json(bob, "{'bid':100}");
    check(complains(bob), "Bob must bid more");

    ws_test_wait(ann, 60000); /* at once: the clock is virtual */
    check(says(ann, "sold", 100) && says(bob, "sold", 100), "the auction ends after a minute");
    ws_send_json(bob, "{'bid':200}");
    check(complains(bob), "a bid after the end is refused");

    ws_send_text(bob, "nonsense");
    check(!ws_receive_within(bob, &(ws_message){0}, 1000) && ws_closed(bob).code == WS_CLOSE_UNSUPPORTED,
          "a message that is not a bid closes the connection");
    ws_free(bob);
    bob = ws_test_connect(server, "/nowhere", NULL);
    check(ws_status(bob) == 404, "another path is not found");

    ws_free(bob);
    ws_free(ann);
    ws_loop_free(loop);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}

int main(int argc, char **argv) {
    read_options(argc, argv, usage, NULL);
    return tests();
}
