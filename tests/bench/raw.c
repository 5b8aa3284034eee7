/* The bound: an echo over select(2) that does nothing else. raw PORT, and over TLS: raw PORT CERT KEY */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>
#ifndef NO_TLS
#include <fcntl.h>
#include <openssl/ssl.h>

static SSL_CTX *context;
static SSL *tls[FD_SETSIZE];

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

/* 1: goes on. */
static int echo_tls(SSL *ssl, char *bytes, int size) {
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
static int secure(const char *cert, const char *key) {
    (void)cert;
    (void)key;
    return 0;
}

static int start(int peer) {
    (void)peer;
    return 1;
}
#endif

static int echo(int peer, char *bytes, int size) {
    ssize_t n;
#ifndef NO_TLS
    if (tls[peer])
        return echo_tls(tls[peer], bytes, size);
#endif
    n = recv(peer, bytes, (size_t)size, 0);
    return n > 0 && send(peer, bytes, (size_t)n, 0) == n;
}

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
            if (peer >= 0 && peer < FD_SETSIZE && start(peer)) {
                FD_SET(peer, &all);
                highest = peer > highest ? peer : highest;
            }
            FD_CLR(listener, &ready);
        }
        for (i = 0; i <= highest; i++) {
            if (!FD_ISSET(i, &ready) || echo(i, bytes, sizeof bytes))
                continue;
            FD_CLR(i, &all);
            (void)close(i);
        }
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to a peer that has gone */
    if (argc == 4 && !secure(argv[2], argv[3])) {
        fprintf(stderr, "raw: certificate or key cannot be used\n");
        return 1;
    }
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
