/* The bound: a TCP echo over select(2) that does nothing else. raw PORT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve(int listener) {
    static char bytes[1 << 16];
    fd_set all, ready;
    int highest = listener, i;
    FD_ZERO(&all);
    FD_SET(listener, &all);
    for (;;) {
        ready = all;
        if (select(highest + 1, &ready, NULL, NULL, NULL) < 0)
            return;
        if (FD_ISSET(listener, &ready)) {
            int peer = accept(listener, NULL, NULL);
            if (peer >= 0 && peer < FD_SETSIZE) {
                FD_SET(peer, &all);
                highest = peer > highest ? peer : highest;
            }
            FD_CLR(listener, &ready);
        }
        for (i = 0; i <= highest; i++) {
            ssize_t n;
            if (!FD_ISSET(i, &ready))
                continue;
            n = recv(i, bytes, sizeof bytes, 0);
            if (n > 0 && send(i, bytes, (size_t)n, 0) == n)
                continue;
            FD_CLR(i, &all);
            (void)close(i);
        }
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 9001));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
        || setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0
        || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 511) != 0) {
        perror("raw");
        return 1;
    }
    serve(listener);
    return 0;
}
