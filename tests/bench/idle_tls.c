/* What an idle TLS connection costs a server: the bytes that ws.h and OpenSSL hold more with 481
   open connections than with one, divided by 480; each has sent and got back one message. Clients
   are plain OpenSSL in a process of their own. One line for each version of TLS. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/certs.h"

#include <openssl/ssl.h>
#include <sys/wait.h>

enum { CONNECTIONS = 480 };

static size_t own_held, crypto_held, echoed, closed;

static void *own_resize(void *user, void *block, size_t old_size, size_t new_size) {
    void *moved = new_size ? realloc(block, new_size) : NULL;
    (void)user;
    if (!new_size)
        free(block);
    if (moved || !new_size)
        own_held = own_held - old_size + new_size;
    return moved;
}

/* OpenSSL does not tell old sizes: each block has its own in front. */
static void *crypto_resize(void *block, size_t size, const char *file, int line) {
    size_t *base = block ? (size_t *)block - 2 : NULL, old = base ? *base : 0;
    (void)file;
    (void)line;
    if (!size) {
        free(base);
        crypto_held -= old;
        return NULL;
    }
    base = (size_t *)realloc(base, size + 2 * sizeof *base);
    if (!base)
        return NULL;
    *base = size;
    crypto_held += size - old;
    return base + 2;
}

static void *crypto_malloc(size_t size, const char *file, int line) { return crypto_resize(NULL, size, file, line); }

static void crypto_free(void *block, const char *file, int line) { (void)crypto_resize(block, 0, file, line); }

static void on_message(ws_conn *conn, ws_message message) {
    (void)ws_send(conn, message);
    echoed++;
}

static void on_close(ws_conn *conn, ws_close_info why) {
    (void)conn;
    (void)why;
    closed++;
}

/* --- the clients' process --- */

static bool open_client(SSL_CTX *context, uint16_t port) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    static const char frame[] = "\x81\x85\0\0\0\0hello";
    struct sockaddr_in address;
    char answer[1000];
    SSL *ssl = SSL_new(context);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0), got = 0, more;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!ssl || descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0
        || SSL_set_fd(ssl, descriptor) != 1 || SSL_connect(ssl) != 1
        || SSL_write(ssl, request, sizeof request - 1) <= 0)
        return false;
    while (got < 4 || memcmp(answer + got - 4, "\r\n\r\n", 4) != 0) {
        more = SSL_read(ssl, answer + got, (int)sizeof answer - got);
        if (more <= 0)
            return false;
        got += more;
    }
    if (SSL_write(ssl, frame, sizeof frame - 1) <= 0)
        return false;
    for (got = 0; got < 7; got += more)
        if ((more = SSL_read(ssl, answer, sizeof answer)) <= 0)
            return false;
    return true; /* and it stays open until this process ends */
}

static int run_clients(uint16_t port, int version, int until) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    char byte;
    int i;
    if (!context || !SSL_CTX_set_min_proto_version(context, version)
        || !SSL_CTX_set_max_proto_version(context, version))
        return 1;
    for (i = 0; i <= CONNECTIONS; i++)
        if (!open_client(context, port))
            return 1;
    (void)!read(until, &byte, 1);
    return 0;
}

/* --- the server's --- */

static bool measure(int version) {
    ws_loop_config loop_config;
    ws_server_config config;
    ws_handler handler;
    ws_loop *loop;
    ws_server *server;
    size_t own, crypto;
    int ends[2], i;
    pid_t child;
    memset(&loop_config, 0, sizeof loop_config);
    memset(&config, 0, sizeof config);
    memset(&handler, 0, sizeof handler);
    loop_config.allocator.resize = own_resize;
    config.tls.cert_pem = certs.server.pem;
    config.tls.key_pem = certs.server.key_pem;
    handler.on_message = on_message;
    handler.on_close = on_close;
    echoed = closed = 0;
    loop = ws_loop_new(&loop_config);
    server = ws_listen(loop, &config);
    if (!ws_route(server, "/", &handler) || pipe(ends) != 0)
        return false;
    child = fork();
    if (child == 0) {
        (void)close(ends[1]);
        _exit(run_clients(ws_port(server), version, ends[0]));
    }
    (void)close(ends[0]);
    while (echoed < 1 && ws_run_once(loop, 10000)) {}
    (void)ws_run_once(loop, 0);
    own = own_held;
    crypto = crypto_held;
    while (echoed <= CONNECTIONS && closed == 0 && ws_run_once(loop, 10000)) {}
    for (i = 0; i < 5; i++)
        (void)ws_run_once(loop, 10);
    own = (own_held - own) / CONNECTIONS;
    crypto = (crypto_held - crypto) / CONNECTIONS;
    (void)close(ends[1]);
    while (closed <= CONNECTIONS && echoed > CONNECTIONS && ws_run_once(loop, 10000)) {}
    printf("idle TLS 1.%d connection: %zu bytes, %zu of ws.h and %zu of OpenSSL (%d connections)\n",
           version == TLS1_2_VERSION ? 2 : 3, own + crypto, own, crypto, CONNECTIONS);
    (void)waitpid(child, NULL, 0);
    ws_loop_free(loop);
    return echoed == CONNECTIONS + 1 && own_held == 0;
}

int main(void) {
    bool good;
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_resize, crypto_free) != 1)
        return 1;
    certs_start();
    good = measure(TLS1_2_VERSION) && measure(TLS1_3_VERSION);
    certs_end();
    return !good;
}
