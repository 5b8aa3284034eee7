/*
   For tests of TLS, on top of client.h: clients of ws.h in the server's loop, each with a record, and peers whose TLS
   is OpenSSL over memory, so that a test can see, count, delay and truncate the ciphertext. The functions of net.h and
   client.h (peer_send, peer_frames, peer_status, CHECK_FRAMES, ...) take these peers, too. Everything runs in one
   thread. The clock stands still unless a test advances it.

   Include "../../ws.h" with WS_IMPLEMENTATION first.
*/
#ifndef TLS_H
#define TLS_H

#include "client.h"

#include <ctype.h>

/* Serves until the condition holds, and checks that it does. */
#define UNTIL(condition)                                                     \
    do {                                                                     \
        int tries_;                                                          \
        for (tries_ = 0; tries_ < TLS_TRIES && !(condition); tries_++)       \
            (void)net_round(200);                                            \
        test_check((condition) ? true : false, #condition, __FILE__, __LINE__); \
    } while (0)

enum { TLS_CLIENTS = 300, TLS_TRIES = 8000 };

/* --- clients of ws.h --- */

typedef struct tls_client {
    ws_conn *conn; /* NULL: it has ended */
    unsigned opened, closed, errors, drains;
    unsigned messages;
    ws_type type;  /* of the last message */
    bytes in;      /* all messages, joined */
    uint16_t code; /* of on_close */
    bool clean;
    ws_error error; /* when the connection ended */
    char why[1000];
    char certificate[400]; /* the server's, in on_open; "": none */
    bool echo;
    const char *first; /* sent in on_open */
    bool again;        /* it reconnects, so it may end more than once */
} tls_client;

static tls_client tls_clients[TLS_CLIENTS];
static size_t tls_client_count;

static inline void tls_client_opened(ws_conn *conn) {
    tls_client *c = (tls_client *)ws_user(conn);
    c->opened++;
    c->conn = conn;
    if (!ws_peer_certificate(conn, c->certificate, sizeof c->certificate))
        c->certificate[0] = 0;
    if (c->first)
        (void)ws_send_text(conn, c->first);
}

static inline void tls_client_message(ws_conn *conn, ws_message message) {
    tls_client *c = (tls_client *)ws_user(conn);
    c->messages++;
    c->type = message.type;
    bytes_add(&c->in, message.data, message.size);
    if (c->echo)
        (void)ws_send(conn, message);
}

static inline void tls_client_drained(ws_conn *conn) { ((tls_client *)ws_user(conn))->drains++; }

static inline void tls_client_ended(tls_client *c, ws_conn *conn) {
    c->error = ws_last_error(conn);
    (void)snprintf(c->why, sizeof c->why, "%s", ws_last_error_text(conn));
    c->conn = NULL;
}

static inline void tls_client_closed(ws_conn *conn, ws_close_info why) {
    tls_client *c = (tls_client *)ws_user(conn);
    c->closed++;
    c->code = why.code;
    c->clean = why.clean;
    tls_client_ended(c, conn);
}

static inline void tls_client_failed(ws_conn *conn) {
    tls_client *c = (tls_client *)ws_user(conn);
    c->errors++;
    tls_client_ended(c, conn);
}

/* Starts a client's first attempt. */
static inline tls_client *tls_dial(const char *url, const ws_client_config *config) {
    tls_client *c = &tls_clients[tls_client_count++];
    ws_handler handler;
    if (tls_client_count > TLS_CLIENTS)
        abort();
    memset(c, 0, sizeof *c);
    memset(&handler, 0, sizeof handler);
    handler.on_open = tls_client_opened;
    handler.on_message = tls_client_message;
    handler.on_drain = tls_client_drained;
    handler.on_close = tls_client_closed;
    handler.on_error = tls_client_failed;
    handler.user = c;
    c->conn = ws_dial(net.loop, url, &handler, config);
    return c;
}

/* Dials "wss://127.0.0.1:port/". */
static inline tls_client *tls_dial_port(const char *scheme, uint16_t port, const ws_client_config *config) {
    char url[100];
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u/", scheme, (unsigned)port);
    return tls_dial(url, config);
}

/* --- the listener of the test's own servers --- */

static raw_server *tls_listener;

static inline uint16_t tls_port(void) {
    if (!tls_listener)
        tls_listener = raw_listen();
    return tls_listener->port;
}

/* Accepts the next connection there, without TLS; fd -1: none came. */
static inline peer *tls_accept_plain(void) { return raw_accept(tls_listener); }

/* Waits for a client's request, over TLS or not, and answers it with 101. false: the client has left. */
static inline bool tls_answer(peer *p) {
    const char *head = raw_head(p);
    if (*head)
        raw_answer(p, head, NULL);
    return *head != 0;
}

#ifdef WS_NO_TLS

static inline void tls_end(void) {}

#else

#include "certs.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* --- peers that speak TLS --- */

typedef struct tls_session {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    bool open;             /* its handshake is complete */
    bool failed, notified; /* its stream broke; close_notify has arrived */
    unsigned long error;   /* OpenSSL's reason for the failure */
    bool held;             /* keeps back all that it has encrypted */
    size_t piece;          /* the most bytes of ciphertext to move in a round, each way; 0: any number */
    bytes received, unsent; /* ciphertext that the session has not read yet, and that has not been sent */
    /* application data records that have arrived since a test set this to 0, and the largest of them */
    size_t records, largest;
    uint8_t head[5];
    size_t head_size, body_left;
} tls_session;

static inline void tls_received(peer *p, const uint8_t *data, size_t size) { bytes_add(&p->tls->received, data, size); }

/* Counts the records. */
static inline void tls_tap(tls_session *t, const uint8_t *data, size_t size) {
    size_t i;
    for (i = 0; i < size; i++) {
        if (t->body_left) {
            size_t step = t->body_left < size - i ? t->body_left : size - i;
            t->body_left -= step;
            i += step - 1;
            continue;
        }
        t->head[t->head_size++] = data[i];
        if (t->head_size < sizeof t->head)
            continue;
        t->head_size = 0;
        t->body_left = (size_t)t->head[3] << 8 | t->head[4];
        if (t->head[0] == SSL3_RT_APPLICATION_DATA) {
            t->records++;
            t->largest = t->body_left > t->largest ? t->body_left : t->largest;
        }
    }
}

/* Whether a call failed, according to its result, and will not succeed later. */
static inline bool tls_broke(tls_session *t, int result) {
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        break;
    case SSL_ERROR_ZERO_RETURN:
        t->notified = true;
        break;
    default:
        t->failed = true;
        if (!t->error)
            t->error = ERR_peek_last_error();
    }
    ERR_clear_error();
    return t->failed;
}

static inline bool tls_flush(peer *p) {
    tls_session *t = p->tls;
    bool some = false;
    uint8_t buffer[4096];
    int got;
    while ((got = BIO_read(t->out, buffer, sizeof buffer)) > 0)
        bytes_add(&t->unsent, buffer, (size_t)got);
    while (t->unsent.size && !t->held && p->fd >= 0) {
        size_t size = t->piece && t->piece < t->unsent.size ? t->piece : t->unsent.size;
        ssize_t sent = send(p->fd, t->unsent.data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        bytes_take(&t->unsent, (size_t)sent);
        some = true;
        if (t->piece)
            break;
    }
    return some;
}

/* Decrypts what has arrived, and sends what is queued. true: it has read or sent something. */
static inline bool tls_pump(peer *p) {
    static uint8_t buffer[1 << 14];
    tls_session *t = p->tls;
    size_t size = t->piece && t->piece < t->received.size ? t->piece : t->received.size;
    bool some = false;
    int got = 1;
    if (size) {
        tls_tap(t, t->received.data, size);
        (void)BIO_write(t->in, t->received.data, (int)size);
        bytes_take(&t->received, size);
        some = true;
    }
    ERR_clear_error();
    if (!t->open && !t->failed) {
        got = SSL_do_handshake(t->ssl);
        t->open = got == 1;
        if (got != 1)
            (void)tls_broke(t, got);
    }
    while (t->open && !t->failed && !t->notified && got > 0) {
        got = SSL_read(t->ssl, buffer, sizeof buffer);
        if (got > 0)
            bytes_add(&p->in, buffer, (size_t)got);
        else
            (void)tls_broke(t, got);
        some = some || got > 0;
    }
    return tls_flush(p) || some;
}

/* Encrypts, and waits for the peer if needed, as in a renegotiation. Returns how many bytes were encrypted. */
static inline size_t tls_send(peer *p, const void *data, size_t size) {
    const uint8_t *from = (const uint8_t *)data;
    size_t done = 0;
    int tries;
    for (tries = 0; done < size && !p->tls->failed && tries < TLS_TRIES; tries++) {
        int sent;
        ERR_clear_error();
        sent = SSL_write(p->tls->ssl, from + done, (int)(size - done));
        if (sent > 0)
            done += (size_t)sent;
        else if (!tls_broke(p->tls, sent))
            (void)net_round(200);
    }
    (void)tls_flush(p);
    return done;
}

static inline bool tls_over(const peer *p) {
    return p->tls->failed || p->tls->notified || (p->ended && !p->tls->received.size);
}

/* Sends close_notify. */
static inline void tls_notify(peer *p) {
    (void)SSL_shutdown(p->tls->ssl);
    (void)tls_flush(p);
}

static const peer_layer tls_layer = {tls_received, tls_pump, tls_send, tls_over, tls_notify};

/* Puts TLS on a peer, as a server if the peer was accepted. Its handshake begins in the next round. */
static inline peer *tls_on(peer *p) {
    tls_session *t = (tls_session *)calloc(1, sizeof *t);
    if (!t)
        abort();
    t->context = SSL_CTX_new(TLS_method());
    t->ssl = t->context ? SSL_new(t->context) : NULL;
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out)
        abort();
    SSL_set_bio(t->ssl, t->in, t->out);
    (void)SSL_set_mode(t->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (p->server)
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    p->layer = &tls_layer;
    p->tls = t;
    return p;
}

static inline void tls_own(peer *p, const cert *own) {
    certs_need(SSL_use_certificate(p->tls->ssl, own->x509) == 1 && SSL_use_PrivateKey(p->tls->ssl, own->key) == 1);
}

static inline void tls_versions(peer *p, int version) {
    certs_need(SSL_set_min_proto_version(p->tls->ssl, version) == 1
               && SSL_set_max_proto_version(p->tls->ssl, version) == 1);
}

/* A client with a connected socket; set up its SSL before the next round. */
static inline peer *tls_connect(int receive_buffer) {
    return tls_on(net_connect_to(ws_port(net.server), receive_buffer));
}

/* Accepts the next connection to tls_port, as a TLS server with this certificate. */
static inline peer *tls_accept(const cert *own) {
    peer *p = tls_on(tls_accept_plain());
    tls_own(p, own);
    if (own == &certs.server || own == &certs.renewed)
        (void)SSL_add1_chain_cert(p->tls->ssl, certs.middle.x509);
    return p;
}

/* Serves until its TLS handshake is complete or has failed. */
static inline bool tls_handshake(peer *p) {
    int i;
    for (i = 0; i < TLS_TRIES && !p->tls->open && !tls_over(p); i++)
        (void)net_round(200);
    return p->tls->open;
}

/* Both handshakes of a client. Returns the status of the second; 0: the first failed. */
static inline int tls_upgrade(peer *p) {
    if (!tls_handshake(p))
        return 0;
    peer_upgrade(p, "/", NULL);
    return peer_take_status(p);
}

/* A client whose WebSocket is open. */
static inline peer *tls_open(void) {
    peer *p = tls_connect(0);
    test_equal(tls_upgrade(p), 101, "the handshake's status", __FILE__, __LINE__);
    return p;
}

/* Frees the sessions of all peers. */
static inline void tls_end(void) {
    size_t i;
    for (i = 0; i < net.peer_count; i++) {
        tls_session *t = net.peers[i].tls;
        if (!t)
            continue;
        SSL_free(t->ssl);
        SSL_CTX_free(t->context);
        bytes_free(&t->received);
        bytes_free(&t->unsent);
        free(t);
        net.peers[i].tls = NULL;
        net.peers[i].layer = NULL;
    }
}

#endif

/* Whether the text contains one of the words "this|that", in any letter case. */
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
    (void)snprintf(report, sizeof report, "\"%s\" should contain \"%s\"", text, words);
    test_check(tls_says(text, words), report, file, line);
}

#define CHECK_SAYS(text, words) tls_check_says((text), (words), __FILE__, __LINE__)
/* Checks what the error text of a client contains. */
#define CHECK_TOLD(client, words) CHECK_SAYS((client)->why, DETAIL((client)->error, words))

/* Ends a test as NET_END does, and checks that each client ended exactly once. */
static inline void tls_finish(const char *file, int line) {
    size_t i;
    tls_end();
    if (tls_listener)
        raw_close(tls_listener);
    tls_listener = NULL;
    client.server_count = 0;
    net_finish(file, line);
    for (i = 0; i < tls_client_count; i++) {
        test_equal(tls_clients[i].closed, tls_clients[i].opened, "a client's on_close for each on_open", file, line);
        test_check(tls_clients[i].again || tls_clients[i].opened + tls_clients[i].errors <= 1,
                   "on_error is called once, or never", file, line);
        bytes_free(&tls_clients[i].in);
    }
    tls_client_count = 0;
}

#define TLS_END() tls_finish(__FILE__, __LINE__)

#endif
