/* The wire table of wire_cases.h in the client's role, over sockets: the test is the server that sends
   the peer's frames, at once, frame by frame, and in pieces. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"
#include "../helpers/wire_cases.h"
#include "../helpers/wire_sockets.h"

static raw_server *server;
/* A new client, in the loop that all cases share. */
static peer *start_case(void) {
    letters.size = 0;
    raw_forget();
    net.opened = net.closed = 0;
    memset(net.closings, 0, sizeof net.closings);
    net.log.size = 0;
    (void)client_dial_raw(server, NULL);
    return raw_open(server);
}

static void check_case(peer *p, const wire_case *c) {
    bytes wanted = {NULL, 0, 0}, plain = {NULL, 0, 0};
    wire_write(&wanted, *c->out == ' ' ? c->out + 1 : c->out, false);
    (void)peer_wait(p, wanted.size);
    CHECK(net_settle());
    CHECK(wire_plain(&plain, p->in.data, p->in.size, true));
    CHECK_MEM(plain.data, plain.size, wanted.data, wanted.size);
    CHECK(!p->ended); /* the server ends TCP, and the client waits for it */
    peer_close(p);
    CHECK(net_settle());
    wanted.size = 0;
    wanted_letters(&wanted, c->events);
    CHECK_MEM(letters.data, letters.size, wanted.data, wanted.size);
    CHECK_EQ(net.codes[1], c->code);
    CHECK_EQ(net.closings[1], 1);
    CHECK(ws_find(net.loop, client.id) == NULL);
    CHECK_EQ(client.errors, 0);
    bytes_free(&wanted);
    bytes_free(&plain);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("the loop of all clients starts");
    client_start(NULL);
    server = raw_listen();
    CHECK(net.loop != NULL && server->fd >= 0);
    wire_sockets.masked = false;
    wire_sockets.title = "for a client, over a socket";
    wire_sockets.start = start_case;
    wire_sockets.check = check_case;
    run_all();
    (void)test_begin("the loop of all clients ends");
    CLIENT_END();
    return test_finish();
}
