/* An echo over uWebSockets, and /room: uws [--tls CERT KEY]; prints its port. PEER=uws tests/bench/run measures it.
   With uWebSockets and uSockets beside each other, and what -c made of uSockets/src with -DLIBUS_USE_OPENSSL:
       c++ -std=c++20 -O3 -march=native -DLIBUS_USE_OPENSSL -DUWS_NO_ZLIB -IuWebSockets/src -IuSockets/src uws.cpp *.o \
           -lssl -lcrypto */
#include "App.h"

#include <csignal>
#include <cstdio>
#include <unistd.h>

struct nothing {};

template <class App> static void serve(App &&app) {
    auto echo = [](auto *socket, std::string_view message, uWS::OpCode code) { socket->send(message, code); };
    auto join = [](auto *socket) { socket->subscribe("room"); };
    auto tell_all = [&app](auto *, std::string_view message, uWS::OpCode code) { app.publish("room", message, code); };
    auto print = [](auto *listener) {
        printf("%d\n", us_socket_local_port(0, reinterpret_cast<us_socket_t *>(listener)));
        fflush(stdout);
    };
    unsigned most = 64u << 20;
    app.template ws<nothing>("/", {.maxPayloadLength = most, .idleTimeout = 0, .maxBackpressure = 2 * most,
                                   .message = echo})
        .template ws<nothing>("/room", {.maxPayloadLength = most, .idleTimeout = 0, .maxBackpressure = 2 * most,
                                        .open = join, .message = tell_all})
        .listen("127.0.0.1", 0, print)
        .run();
}

int main(int argc, char **argv) {
    signal(SIGTERM, [](int) { _exit(0); });
    signal(SIGPIPE, SIG_IGN);
    if (argc == 4)
        serve(uWS::SSLApp({.key_file_name = argv[3], .cert_file_name = argv[2]}));
    else
        serve(uWS::App());
    return 0;
}
