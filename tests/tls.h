/*
   For tests of TLS, on top of net.h: clients of ws.h in the server's own loop, and raw peers that
   speak TLS by OpenSSL through memory, so that a test sees, counts, holds back and cuts the
   ciphertext. All in one thread; the clock stands still unless a test moves it.

   Include "../ws.h" with WS_IMPLEMENTATION first.
*/
#ifndef TLS_H
#define TLS_H

#include "net.h"

#include <ctype.h>

/* Serves until the condition holds, and checks that it does at last. */
#define UNTIL(condition)                                                     \
    do {                                                                     \
        int tries_;                                                          \
        for (tries_ = 0; tries_ < TLS_TRIES && !(condition); tries_++)       \
            (void)tls_round(200);                                            \
        test_check((condition) ? true : false, #condition, __FILE__, __LINE__); \
    } while (0)

enum { TLS_CLIENTS = 300, TLS_RAWS = 300, TLS_TRIES = 8000 };

/* --- clients of ws.h --- */

typedef struct client {
    ws_conn *conn; /* NULL: gone */
    unsigned opened, closed, errors, drains;
    unsigned messages;
    ws_type type;  /* of the newest message */
    bytes in;      /* the messages, one behind the other */
    uint16_t code; /* on_close's */
    bool clean;
    ws_error error; /* when it ended */
    char why[1000];
    char certificate[400]; /* the server's, at on_open; "" none */
    bool echo;
    const char *first; /* sent in on_open */
    bool again;        /* it reconnects: may end more than once */
} client;

static client clients[TLS_CLIENTS];
static size_t client_count;

static inline void client_opened(ws_conn *conn) {
    client *c = (client *)ws_user(conn);
    c->opened++;
    c->conn = conn;
    if (!ws_peer_certificate(conn, c->certificate, sizeof c->certificate))
        c->certificate[0] = 0;
    if (c->first)
        (void)ws_send_text(conn, c->first);
}

static inline void client_message(ws_conn *conn, ws_message message) {
    client *c = (client *)ws_user(conn);
    c->messages++;
    c->type = message.type;
    bytes_add(&c->in, message.data, message.size);
    if (c->echo)
        (void)ws_send(conn, message);
}

static inline void client_drained(ws_conn *conn) { ((client *)ws_user(conn))->drains++; }

static inline void client_ended(client *c, ws_conn *conn) {
    c->error = ws_last_error(conn);
    (void)snprintf(c->why, sizeof c->why, "%s", ws_last_error_text(conn));
    c->conn = NULL;
}

static inline void client_closed(ws_conn *conn, ws_close_info why) {
    client *c = (client *)ws_user(conn);
    c->closed++;
    c->code = why.code;
    c->clean = why.clean;
    client_ended(c, conn);
}

static inline void client_failed(ws_conn *conn) {
    client *c = (client *)ws_user(conn);
    c->errors++;
    client_ended(c, conn);
}

/* A client whose attempt has begun. */
static inline client *client_dial(const char *url, const ws_client_config *config) {
    client *c = &clients[client_count++];
    ws_handler handler;
    if (client_count > TLS_CLIENTS)
        abort();
    memset(c, 0, sizeof *c);
    memset(&handler, 0, sizeof handler);
    handler.on_open = client_opened;
    handler.on_message = client_message;
    handler.on_drain = client_drained;
    handler.on_close = client_closed;
    handler.on_error = client_failed;
    handler.user = c;
    c->conn = ws_dial(net.loop, url, &handler, config);
    return c;
}

/* "wss://127.0.0.1:port/" of a server in this test */
static inline client *client_dial_port(const char *scheme, uint16_t port, const ws_client_config *config) {
    char url[100];
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u/", scheme, (unsigned)port);
    return client_dial(url, config);
}

#ifdef WS_NO_TLS

static inline bool tls_round(int wait_us) { return net_round(wait_us); }
static inline void raw_end(void) {}

#else

#include "certs.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* --- raw peers --- */

typedef struct raw {
    peer *p;      /* p->in is ciphertext that the session has not seen yet */
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    bool server;
    bool open;    /* its handshake is through */
    bool failed, notified; /* its stream broke; close_notify came */
    unsigned long error;   /* OpenSSL's reason for failed */
    bool held;    /* sends nothing of what it has encrypted */
    size_t piece; /* moves at most so many bytes of ciphertext in a round, each way; 0: any */
    bytes unsent, plain; /* ciphertext, and what was decrypted, less what a test took */
    /* application data records that came since a test set this to 0, the largest of them */
    size_t records, largest;
    uint8_t head[5];
    size_t head_size, body_left;
} raw;

static raw raws[TLS_RAWS];
static size_t raw_count;
static int raw_listener = -1;

static inline void raw_tap(raw *r, const uint8_t *data, size_t size) {
    size_t i;
    for (i = 0; i < size; i++) {
        if (r->body_left) {
            size_t step = r->body_left < size - i ? r->body_left : size - i;
            r->body_left -= step;
            i += step - 1;
            continue;
        }
        r->head[r->head_size++] = data[i];
        if (r->head_size < sizeof r->head)
            continue;
        r->head_size = 0;
        r->body_left = (size_t)r->head[3] << 8 | r->head[4];
        if (r->head[0] == SSL3_RT_APPLICATION_DATA) {
            r->records++;
            r->largest = r->body_left > r->largest ? r->body_left : r->largest;
        }
    }
}

/* A call's result: whether it failed for good. */
static inline bool raw_broke(raw *r, int result) {
    switch (SSL_get_error(r->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        break;
    case SSL_ERROR_ZERO_RETURN:
        r->notified = true;
        break;
    default:
        r->failed = true;
        if (!r->error)
            r->error = ERR_peek_last_error();
    }
    ERR_clear_error();
    return r->failed;
}

static inline bool raw_flush(raw *r) {
    bool some = false;
    uint8_t buffer[4096];
    int got;
    while ((got = BIO_read(r->out, buffer, sizeof buffer)) > 0)
        bytes_add(&r->unsent, buffer, (size_t)got);
    while (r->unsent.size && !r->held && r->p->fd >= 0) {
        size_t size = r->piece && r->piece < r->unsent.size ? r->piece : r->unsent.size;
        ssize_t sent = send(r->p->fd, r->unsent.data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        r->unsent.size -= (size_t)sent;
        memmove(r->unsent.data, r->unsent.data + sent, r->unsent.size);
        some = true;
        if (r->piece)
            break;
    }
    return some;
}

/* Decrypts what came, sends what is to be sent. true: something moved. */
static inline bool raw_pump(raw *r) {
    static uint8_t buffer[1 << 14];
    size_t size = r->piece && r->piece < r->p->in.size ? r->piece : r->p->in.size;
    bool some = false;
    int got = 1;
    if (size && r->ssl) {
        raw_tap(r, r->p->in.data, size);
        (void)BIO_write(r->in, r->p->in.data, (int)size);
        peer_take(r->p, size);
        some = true;
    }
    ERR_clear_error();
    if (!r->open && !r->failed && r->ssl) {
        got = SSL_do_handshake(r->ssl);
        r->open = got == 1;
        if (got != 1)
            (void)raw_broke(r, got);
    }
    while (r->open && !r->failed && !r->notified && got > 0) {
        got = SSL_read(r->ssl, buffer, sizeof buffer);
        if (got > 0)
            bytes_add(&r->plain, buffer, (size_t)got);
        else
            (void)raw_broke(r, got);
        some = some || got > 0;
    }
    return raw_flush(r) || some;
}

static inline bool tls_round(int wait_us) {
    bool some = net_round(wait_us);
    size_t i;
    for (i = 0; i < raw_count; i++)
        if (raws[i].ssl && raw_pump(&raws[i]))
            some = true;
    return some;
}

static inline raw *raw_new(peer *p, bool server) {
    raw *r = &raws[raw_count++];
    if (raw_count > TLS_RAWS)
        abort();
    memset(r, 0, sizeof *r);
    r->p = p;
    r->server = server;
    r->context = SSL_CTX_new(TLS_method());
    r->ssl = r->context ? SSL_new(r->context) : NULL;
    r->in = BIO_new(BIO_s_mem());
    r->out = BIO_new(BIO_s_mem());
    if (!r->ssl || !r->in || !r->out)
        abort();
    SSL_set_bio(r->ssl, r->in, r->out);
    (void)SSL_set_mode(r->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (server)
        SSL_set_accept_state(r->ssl);
    else
        SSL_set_connect_state(r->ssl);
    return r;
}

static inline void raw_own(raw *r, const cert *own) {
    certs_need(SSL_use_certificate(r->ssl, own->x509) == 1 && SSL_use_PrivateKey(r->ssl, own->key) == 1);
}

static inline void raw_versions(raw *r, int version) {
    certs_need(SSL_set_min_proto_version(r->ssl, version) == 1 && SSL_set_max_proto_version(r->ssl, version) == 1);
}

/* A client that is connected; its handshake begins with the next round, so set up its SSL now. */
static inline raw *raw_client(int receive_buffer) {
    return raw_new(net_connect_to(ws_port(net.server), receive_buffer), false);
}

/* A server's port for ws.h's clients. */
static inline uint16_t raw_listen(void) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (raw_listener < 0) {
        raw_listener = socket(AF_INET, SOCK_STREAM, 0);
        if (raw_listener < 0 || bind(raw_listener, (struct sockaddr *)&address, sizeof address) != 0
            || listen(raw_listener, 100) != 0)
            abort();
        (void)fcntl(raw_listener, F_SETFL, fcntl(raw_listener, F_GETFL) | O_NONBLOCK);
    }
    (void)getsockname(raw_listener, (struct sockaddr *)&address, &size);
    return ntohs(address.sin_port);
}

/* The next connection that comes in there, without TLS; fd -1: none came. */
static inline peer *raw_accept_plain(void) {
    peer *p = &net.peers[net.peer_count++];
    int i, on = 1;
    if (net.peer_count > NET_PEERS)
        abort();
    memset(p, 0, sizeof *p);
    p->fd = -1;
    for (i = 0; i < TLS_TRIES && p->fd < 0; i++) {
        (void)tls_round(200);
        p->fd = accept(raw_listener, NULL, NULL);
    }
    if (p->fd < 0)
        return p;
    (void)fcntl(p->fd, F_SETFL, fcntl(p->fd, F_GETFL) | O_NONBLOCK);
    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return p;
}

/* The same as a TLS server with this certificate, whose handshake begins with the next round. */
static inline raw *raw_accept(const cert *own) {
    raw *r = raw_new(raw_accept_plain(), true);
    raw_own(r, own);
    if (own == &certs.server || own == &certs.renewed)
        (void)SSL_add1_chain_cert(r->ssl, certs.middle.x509);
    return r;
}

/* Encrypts; what waits for the peer (a renegotiation) is waited for. Returns how much went. */
static inline size_t raw_write(raw *r, const void *data, size_t size) {
    const uint8_t *from = (const uint8_t *)data;
    size_t done = 0;
    int tries;
    for (tries = 0; done < size && !r->failed && tries < TLS_TRIES; tries++) {
        int sent;
        ERR_clear_error();
        sent = SSL_write(r->ssl, from + done, (int)(size - done));
        if (sent > 0)
            done += (size_t)sent;
        else if (!raw_broke(r, sent))
            (void)tls_round(200);
    }
    (void)raw_flush(r);
    return done;
}

static inline void raw_text(raw *r, const char *text) { (void)raw_write(r, text, strlen(text)); }

/* Sends frames in the language of wire.h. */
static inline void raw_frames(raw *r, const char *text) {
    bytes out = {NULL, 0, 0};
    wire_write(&out, text, !r->server);
    (void)raw_write(r, out.data, out.size);
    bytes_free(&out);
}

static inline void raw_take(raw *r, size_t size) {
    if (size)
        memmove(r->plain.data, r->plain.data + size, r->plain.size - size);
    r->plain.size -= size;
}

/* Where the text ends in what was decrypted; 0: it is not there. */
static inline size_t raw_behind(const raw *r, const char *text) {
    size_t i, size = strlen(text);
    for (i = 0; i + size <= r->plain.size; i++)
        if (memcmp(r->plain.data + i, text, size) == 0)
            return i + size;
    return 0;
}

/* Whether nothing can come any more. */
static inline bool raw_over(const raw *r) {
    return r->failed || r->notified || (r->p->ended && !r->p->in.size);
}

/* Serves until its TLS handshake is through, or failed. */
static inline bool raw_handshake(raw *r) {
    int i;
    for (i = 0; i < TLS_TRIES && !r->open && !raw_over(r); i++)
        (void)tls_round(200);
    return r->open;
}

/* The status of the response that comes, whose head is taken; 0: none. */
static inline int raw_status(raw *r) {
    int i, status;
    for (i = 0; i < TLS_TRIES && !raw_behind(r, "\r\n\r\n") && !raw_over(r); i++)
        (void)tls_round(200);
    if (!raw_behind(r, "\r\n\r\n") || memcmp(r->plain.data, "HTTP/1.1 ", 9) != 0)
        return 0;
    status = atoi((const char *)r->plain.data + 9);
    raw_take(r, raw_behind(r, "\r\n\r\n"));
    return status;
}

static inline void raw_request(raw *r, const char *path, const char *more) {
    char text[1000];
    (void)snprintf(text, sizeof text,
                   "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                   path, (unsigned)ws_port(net.server), more ? more : "");
    raw_text(r, text);
}

/* Both handshakes of a client; the status of the second, 0 when the first fails. */
static inline int raw_upgrade(raw *r) {
    if (!raw_handshake(r))
        return 0;
    raw_request(r, "/", NULL);
    return raw_status(r);
}

/* A client whose WebSocket is open. */
static inline raw *raw_open(void) {
    raw *r = raw_client(0);
    test_equal(raw_upgrade(r), 101, "the handshake's status", __FILE__, __LINE__);
    return r;
}

/* Both handshakes of a server; false: the client went away. */
static inline bool raw_answer(raw *r) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", name[] = "Sec-WebSocket-Key: ";
    unsigned char text[100], digest[EVP_MAX_MD_SIZE], accepted[64];
    char answer[300];
    unsigned digest_size = 0;
    size_t at;
    int i;
    for (i = 0; i < TLS_TRIES && !raw_behind(r, "\r\n\r\n") && !raw_over(r); i++)
        (void)tls_round(200);
    at = raw_behind(r, name);
    if (!at || !raw_behind(r, "\r\n\r\n"))
        return false;
    memcpy(text, r->plain.data + at, 24);
    memcpy(text + 24, guid, sizeof guid - 1);
    (void)EVP_Digest(text, 24 + sizeof guid - 1, digest, &digest_size, EVP_sha1(), NULL);
    (void)EVP_EncodeBlock(accepted, digest, (int)digest_size);
    (void)snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", (const char *)accepted);
    raw_take(r, raw_behind(r, "\r\n\r\n"));
    raw_text(r, answer);
    return true;
}

/* What a raw client got, exactly these frames; it is taken. */
static inline void raw_check(raw *r, const char *frames, const char *file, int line) {
    bytes wanted = {NULL, 0, 0};
    int i;
    wire_write(&wanted, frames, false);
    for (i = 0; i < TLS_TRIES && r->plain.size < wanted.size && !raw_over(r); i++)
        (void)tls_round(200);
    test_memory(r->plain.data, r->plain.size, wanted.data, wanted.size, frames, file, line);
    r->plain.size = 0;
    bytes_free(&wanted);
}

#define CHECK_RAW(r, frames) raw_check((r), (frames), __FILE__, __LINE__)

/* Whether its echo comes. */
static inline bool raw_echo(raw *r, const char *word) {
    bytes wanted = {NULL, 0, 0};
    char text[100];
    bool good;
    int i;
    (void)snprintf(text, sizeof text, "81\"%s\"", word);
    wire_write(&wanted, text, false);
    raw_frames(r, text);
    for (i = 0; i < TLS_TRIES && r->plain.size < wanted.size && !raw_over(r); i++)
        (void)tls_round(200);
    good = r->plain.size == wanted.size && memcmp(r->plain.data, wanted.data, wanted.size) == 0;
    r->plain.size = 0;
    bytes_free(&wanted);
    return good;
}

/* Ends all of them, before net_finish counts descriptors. */
static inline void raw_end(void) {
    size_t i;
    for (i = 0; i < raw_count; i++) {
        SSL_free(raws[i].ssl);
        SSL_CTX_free(raws[i].context);
        bytes_free(&raws[i].unsent);
        bytes_free(&raws[i].plain);
    }
    raw_count = 0;
    if (raw_listener >= 0)
        (void)close(raw_listener);
    raw_listener = -1;
}

#endif

/* Goes on until nothing moves any more. false: it never ends. */
static inline bool tls_settle(void) {
    int i, still = 0;
    for (i = 0; i < NET_ROUNDS && still < 3; i++)
        still = tls_round(still == 2 ? 1000 : 0) ? 0 : still + 1;
    return still == 3;
}

/* Moves the clock on, then settles. */
static inline void tls_pass(uint64_t milliseconds) {
    net.now += milliseconds;
    test_check(tls_settle(), "the loop comes to rest", __FILE__, __LINE__);
}

/* Whether the text holds one of the words, "this|that", in any case of letters. */
static inline bool tls_says(const char *text, const char *words) {
    char low[1200], word[100];
    size_t i, size;
    for (i = 0; text[i] && i + 1 < sizeof low; i++)
        low[i] = (char)tolower((unsigned char)text[i]);
    low[i] = 0;
    for (; *words; words += size + (words[size] == '|')) {
        size = strcspn(words, "|");
        for (i = 0; i < size && i + 1 < sizeof word; i++)
            word[i] = (char)tolower((unsigned char)words[i]);
        word[i] = 0;
        if (strstr(low, word))
            return true;
    }
    return false;
}

static inline void tls_check_says(const char *text, const char *words, const char *file, int line) {
    char report[1300];
    (void)snprintf(report, sizeof report, "\"%s\" should hold \"%s\"", text, words);
    test_check(tls_says(text, words), report, file, line);
}

#define CHECK_SAYS(text, words) tls_check_says((text), (words), __FILE__, __LINE__)

/* Ends a test as NET_END does; each client ended in one way. */
static inline void tls_finish(const char *file, int line) {
    size_t i;
    raw_end();
    net_finish(file, line);
    for (i = 0; i < client_count; i++) {
        test_equal(clients[i].closed, clients[i].opened, "a client's on_close for each on_open", file, line);
        test_check(clients[i].again || clients[i].opened + clients[i].errors <= 1,
                   "on_error is called once, or never", file, line);
        bytes_free(&clients[i].in);
    }
    client_count = 0;
}

#define TLS_END() tls_finish(__FILE__, __LINE__)

#endif
