/* The bound: an echo over epoll(7) that knows no frames. raw [--room] [--tls CERT KEY]; prints its port.
   --room: what one sends goes to all; each is greeted by one byte when it is in. Linux. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#ifndef NO_TLS
#include <openssl/ssl.h>
#else
typedef struct SSL SSL;
#endif

enum { PEERS = 20000 };

static SSL *tls[PEERS];
static char open_now[PEERS];
static int room, poller, highest;

#ifndef NO_TLS
static SSL_CTX *context;

static int secure(const char *cert, const char *key) {
    context = SSL_CTX_new(TLS_server_method());
    if (context)
        SSL_CTX_set_read_ahead(context, 1);
    return context && SSL_CTX_use_certificate_chain_file(context, cert) == 1
           && SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1;
}

static int start(int peer) {
    if (!context)
        return 1;
    SSL_free(tls[peer]);
    tls[peer] = SSL_new(context);
    if (!tls[peer] || SSL_set_fd(tls[peer], peer) != 1)
        return 0;
    SSL_set_accept_state(tls[peer]); /* SSL_read does the handshake */
    return fcntl(peer, F_SETFL, O_NONBLOCK) == 0;
}

static int echo_tls(SSL *ssl, char *bytes, int size) { /* 1: goes on */
    do {
        int got = SSL_read(ssl, bytes, size);
        if (got <= 0)
            return SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ;
        if (SSL_write(ssl, bytes, got) != got)
            return 0;
    } while (SSL_has_pending(ssl));
    return 1;
}
#else
static int secure(const char *cert, const char *key) { return cert == key; }

static int start(int peer) { return peer >= 0; }

static int echo_tls(SSL *ssl, char *bytes, int size) { return !ssl && !bytes && !size; }
#endif

static int echo(int peer, char *bytes, size_t size) {
    ssize_t n;
    int i;
    if (tls[peer])
        return echo_tls(tls[peer], bytes, (int)size);
    n = recv(peer, bytes, size, 0);
    if (n <= 0 || !room)
        return n > 0 && send(peer, bytes, (size_t)n, 0) == n;
    for (i = 0; i <= highest; i++)
        if (open_now[i])
            (void)!send(i, bytes, (size_t)n, 0);
    return 1;
}

static void take(int listener) {
    int peer = accept(listener, NULL, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = peer}};
    if (peer < 0 || peer >= PEERS || !start(peer) || epoll_ctl(poller, EPOLL_CTL_ADD, peer, &event) != 0)
        return;
    open_now[peer] = 1;
    if (room)
        (void)!send(peer, "x", 1, 0);
    highest = peer > highest ? peer : highest;
}

static void serve(int listener) {
    static char bytes[1 << 16];
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = listener}}, ready[256];
    int n, i;
    poller = epoll_create1(0);
    (void)epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    while ((n = epoll_wait(poller, ready, 256, -1)) >= 0) {
        for (i = 0; i < n; i++) {
            int peer = ready[i].data.fd;
            if (peer == listener) {
                take(listener);
            } else if (!echo(peer, bytes, sizeof bytes)) {
                open_now[peer] = 0;
                (void)close(peer);
            }
        }
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    struct rlimit files;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to a peer that has gone */
    room = argc > 1 && strcmp(argv[1], "--room") == 0;
    if (argc - room == 4 && !secure(argv[2 + room], argv[3 + room])) {
        fprintf(stderr, "raw: certificate or key cannot be used\n");
        return 1;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0
        || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 511) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("raw");
        return 1;
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    serve(listener);
    return 0;
}
