/* The wire table of wire_cases.h once more, over real sockets against an echo server: at once,
   frame by frame, and in pieces. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"
#include "../helpers/wire_cases.h"
#include "../helpers/wire_sockets.h"

/* A new connection, over the server that all cases share. */
static peer *start_case(void) {
    letters.size = 0;
    net.peer_count = 0;
    net.opened = net.closed = 0;
    memset(net.closings, 0, sizeof net.closings);
    net.log.size = 0;
    return net_peer("/");
}

static void check_case(peer *p, const wire_case *c) {
    bytes wanted = {NULL, 0, 0};
    int i;
    wire_write(&wanted, *c->out == ' ' ? c->out + 1 : c->out, false);
    for (i = 0; i < NET_ROUNDS && !p->ended; i++)
        (void)net_round(100);
    CHECK_MEM(p->in.data, p->in.size, wanted.data, wanted.size);
    CHECK(p->ended && !p->reset); /* all arrives, then the end of the stream */
    wanted.size = 0;
    wanted_letters(&wanted, c->events);
    CHECK_MEM(letters.data, letters.size, wanted.data, wanted.size);
    CHECK_EQ(net.codes[1], c->code);
    CHECK_EQ(net.closings[1], 1);
    bytes_free(&wanted);
    peer_close(p);
    bytes_free(&p->in);
    for (i = 0; i < NET_ROUNDS && net.server->endpoint.count; i++)
        (void)net_round(100);
    CHECK_EQ(net.server->endpoint.count, 0);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("the server of all cases starts");
    CHECK(net_start());
    wire_sockets.masked = true;
    wire_sockets.title = "over a socket";
    wire_sockets.start = start_case;
    wire_sockets.check = check_case;
    run_all();
    (void)test_begin("the server of all cases ends");
    NET_END();
    return test_finish();
}
