/*
   Raw servers for a client under test, in the same thread: they listen on a free port, accept in the test's rounds, and
   send what the test says, valid or not. Include this instead of net.h. With "calls.h" before ws.h, host names are
   looked up in a table.

   Callbacks write the log of net.h, which here also has

       e:6             on_error, with the number of its ws_error

   What on_error saw is kept in `client`.
*/
#ifndef CLIENT_H
#define CLIENT_H

#include "net.h"

#if !defined(_WIN32)
#include <sys/un.h>
#endif

enum { RAW_SERVERS = 16, RAW_ROUNDS = 3000, RAW_HEAD = 40000 };

typedef struct raw_server {
    int fd;
    uint16_t port; /* 0: a Unix socket */
} raw_server;

typedef struct client_state {
    raw_server servers[RAW_SERVERS];
    size_t server_count;
    unsigned errors; /* on_error calls */
    ws_error error;  /* of the last on_error */
    int status;
    char text[800], body[800];
    ws_conn *conn;   /* the connection dialed last */
    ws_id id;
    void (*on_error)(ws_conn *conn);
} client_state;

static client_state client;

static inline void client_error(ws_conn *conn) {
    client.errors++;
    client.error = ws_last_error(conn);
    client.status = ws_status(conn);
    (void)snprintf(client.text, sizeof client.text, "%s", ws_last_error_text(conn));
    (void)snprintf(client.body, sizeof client.body, "%s", ws_body(conn) ? ws_body(conn) : "");
    net_log("e:%u", (unsigned)client.error);
    if (client.on_error)
        client.on_error(conn);
}

static inline ws_handler client_handler(void) {
    ws_handler handler = net_handler();
    handler.on_error = client_error;
    return handler;
}

static inline ws_conn *client_dial(const char *url, const ws_client_config *config) {
    ws_handler handler = client_handler();
    net_inside(true);
    client.conn = ws_dial(net.loop, url, &handler, config);
    net_inside(false);
    client.id = ws_conn_id(client.conn);
    return client.conn;
}

/* "ws://127.0.0.1:port" and the target. */
static inline const char *client_url(const raw_server *raw, const char *target) {
    static char url[4][3000];
    static unsigned turn;
    char *text = url[turn++ & 3];
    (void)snprintf(text, sizeof *url, "ws://127.0.0.1:%u%s", (unsigned)raw->port, target);
    return text;
}

static inline ws_conn *client_dial_raw(const raw_server *raw, const ws_client_config *config) {
    return client_dial(client_url(raw, "/"), config);
}

static inline ws_client_config client_config(void) {
    ws_client_config config;
    memset(&config, 0, sizeof config);
    return config;
}

static inline ws_client_config reconnecting(uint32_t first, uint32_t longest) {
    ws_client_config config = client_config();
    config.reconnect_ms = first;
    config.reconnect_max_ms = longest;
    return config;
}

/* --- start and end --- */

static inline void client_start(const ws_loop_config *config) {
    memset(&client, 0, sizeof client);
    net_start_loop(config);
}

/* address: NULL for 127.0.0.1, "::1", or the path of a Unix socket, with a slash. backlog -1: connections are
   refused. fd is -1 if the address cannot be had. */
static inline raw_server *raw_listen_on(const char *address, int backlog) {
    raw_server *raw = &client.servers[client.server_count++];
    struct sockaddr_storage all;
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&all;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&all;
    struct sockaddr_un *path = (struct sockaddr_un *)(void *)&all;
    socklen_t size = sizeof *four;
    bool bad;
    int on = 1;
    if (client.server_count > RAW_SERVERS)
        abort();
    memset(&all, 0, sizeof all);
    if (!address) {
        four->sin_family = AF_INET;
        four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (strchr(address, '/')) {
        path->sun_family = AF_UNIX;
        (void)snprintf(path->sun_path, sizeof path->sun_path, "%s", address);
        size = sizeof *path;
    } else {
        six->sin6_family = AF_INET6;
        six->sin6_addr = in6addr_loopback;
        size = sizeof *six;
    }
    raw->fd = socket(all.ss_family, SOCK_STREAM, 0);
    if (all.ss_family == AF_INET6)
        (void)setsockopt(raw->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
#if defined(SO_REUSEPORT)
    if (!address) /* for raw_stop */
        (void)setsockopt(raw->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
#endif
    bad = raw->fd < 0 || bind(raw->fd, (struct sockaddr *)&all, size) != 0
          || (backlog >= 0 && listen(raw->fd, backlog) != 0);
    if (bad) {
        if (raw->fd >= 0)
            (void)close(raw->fd);
        raw->fd = -1;
        return raw;
    }
    size = sizeof all;
    (void)getsockname(raw->fd, (struct sockaddr *)&all, &size);
    raw->port = all.ss_family == AF_UNIX ? 0 : ntohs(all.ss_family == AF_INET ? four->sin_port : six->sin6_port);
    (void)fcntl(raw->fd, F_SETFL, fcntl(raw->fd, F_GETFL) | O_NONBLOCK);
    return raw;
}

static inline raw_server *raw_listen(void) { return raw_listen_on(NULL, 128); }

static inline void raw_close(raw_server *raw) {
    if (raw->fd >= 0)
        (void)close(raw->fd);
    raw->fd = -1;
}

/* From now on the port refuses connections. It stays bound, so that no server of another program gets it. */
static inline void raw_stop(raw_server *raw) {
    int held = net_hold_port(raw->port);
    raw_close(raw);
    raw->fd = held;
}

/* A port of 127.0.0.1 that refuses connections. It stays bound, so that no server of another program gets it. */
static inline uint16_t raw_refusing_port(void) { return raw_listen_on(NULL, -1)->port; }

/* Closes and forgets all peers: there is room for NET_PEERS. */
static inline void raw_forget(void) {
    size_t i;
    for (i = 0; i < net.peer_count; i++) {
        peer_close(&net.peers[i]);
        bytes_free(&net.peers[i].in);
    }
    net.peer_count = 0;
}

/* A look-up's thread frees its descriptors after it has sent the answer: waits until only this many are open. */
static inline void client_await_descriptors(size_t wanted) {
#ifdef CALLS_H
    while ((!NET_PROC || net_descriptors() != wanted) && calls_await_thread()) {}
#else
    (void)wanted; /* without calls.h, tests look up no names */
#endif
}

/* Whether a thread is looking a name up. On a busy machine that may take long, so these rounds are not counted. */
static inline bool client_resolves(void) {
    size_t i;
    for (i = 0; net.loop && i < WSI_LOOKUPS; i++)
        if (net.loop->lookups[i].source.link.interest)
            return true;
    return false;
}

static inline void client_finish(const char *file, int line) {
    size_t i;
    for (i = 0; i < client.server_count; i++)
        raw_close(&client.servers[i]);
    net_inside(true);
    ws_loop_free(net.loop);
    net_inside(false);
    net.loop = NULL;
    raw_forget();
    client_await_descriptors(net.descriptors);
    net_finish(file, line);
}

#define CLIENT_END() client_finish(__FILE__, __LINE__)

/* --- accepting --- */

static inline peer *raw_peer(int fd) {
    peer *p = &net.peers[net.peer_count++];
    int on = 1;
    if (net.peer_count > NET_PEERS)
        abort();
    memset(p, 0, sizeof *p);
    p->fd = fd;
    p->server = true;
    p->ended = fd < 0;
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return p;
}

/* Serves until a client connects. If none does, the test fails, and the peer has ended already. */
static inline peer *raw_accept_at(raw_server *raw, const char *file, int line) {
    int i, fd = -1;
    for (i = 0; i < RAW_ROUNDS && fd < 0; i += !client_resolves()) {
        fd = accept(raw->fd, NULL, NULL);
        if (fd < 0)
            (void)net_round(100);
    }
    test_check(fd >= 0, "a client connects", file, line);
    return raw_peer(fd);
}

#define raw_accept(raw) raw_accept_at((raw), __FILE__, __LINE__)

/* Whether nobody has connected once everything has settled. */
static inline bool raw_nobody(raw_server *raw) {
    int fd;
    net_settle();
    fd = accept(raw->fd, NULL, NULL);
    if (fd >= 0)
        (void)raw_peer(fd);
    return fd < 0;
}

/* Fills the queue of a listener that accepts nothing, so that a further connection waits. false: this system refuses
   instead. */
static inline bool raw_fill_hole(raw_server *hole) {
    int i;
    for (i = 0; i < 20; i++) {
        struct sockaddr_in address;
        fd_set writes;
        struct timeval timeout = {0, 20000};
        peer *p = raw_peer(socket(AF_INET, SOCK_STREAM, 0));
        memset(&address, 0, sizeof address);
        address.sin_family = AF_INET;
        address.sin_port = htons(hole->port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)connect(p->fd, (struct sockaddr *)&address, sizeof address);
        FD_ZERO(&writes);
        FD_SET(p->fd, &writes);
        p->deaf = true;
        if (select(p->fd + 1, NULL, &writes, NULL, &timeout) == 0)
            return true;
    }
    return false;
}

/* --- heads --- */

/* Waits for a request's head and takes it. "": none came. Valid until the next call. */
static inline const char *raw_head(peer *p) {
    static char head[RAW_HEAD];
    size_t at, i;
    for (i = 0; i < RAW_ROUNDS && peer_find(p, "\r\n\r\n") == SIZE_MAX && !peer_over(p); i++)
        (void)net_round(100);
    at = peer_find(p, "\r\n\r\n");
    head[0] = 0;
    if (at == SIZE_MAX || at + 4 >= sizeof head)
        return head;
    memcpy(head, p->in.data, at + 4);
    head[at + 4] = 0;
    peer_take(p, at + 4);
    return head;
}

static inline bool raw_same_name(const char *line, const char *name) {
    size_t i;
    for (i = 0; name[i]; i++)
        if ((line[i] | 32) != (name[i] | 32))
            return false;
    return line[i] == ':';
}

/* How many lines of this name the head has; value: that of the first, without the leading space. */
static inline int raw_find_header(const char *head, const char *name, char *value, size_t size) {
    const char *line = strstr(head, "\r\n");
    int count = 0;
    value[0] = 0;
    for (; line && line[2] && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
        const char *from = line + 2 + strlen(name) + 1;
        if (!raw_same_name(line + 2, name) || count++)
            continue;
        from += strspn(from, " ");
        (void)snprintf(value, size, "%.*s", (int)strcspn(from, "\r"), from);
    }
    return count;
}

static inline int raw_header_count(const char *head, const char *name) {
    char value[2];
    return raw_find_header(head, name, value, sizeof value);
}

/* The value; NULL: there is none, or more than one. Valid for four calls. */
static inline const char *raw_header(const char *head, const char *name) {
    static char values[4][3000];
    static unsigned turn;
    char *value = values[turn++ & 3];
    return raw_find_header(head, name, value, sizeof *values) == 1 ? value : NULL;
}

/* Whether the head has exactly this line, once. */
static inline bool raw_has_line(const char *head, const char *line) {
    size_t size = strlen(line);
    const char *at = strstr(head, line), *again = at ? strstr(at + size, line) : NULL;
    return at && (at == head || at[-1] == '\n') && at[size] == '\r' && !(again && again[-1] == '\n');
}

static inline int raw_lines(const char *head) {
    int count = 0;
    for (; (head = strstr(head, "\r\n")) != NULL; head += 2)
        count++;
    return count - 1; /* without the empty line */
}

/* The Sec-WebSocket-Accept for a request's head. */
static inline const char *raw_accept_value(const char *head) {
    static char accept[29];
    const char *key = raw_header(head, "Sec-WebSocket-Key");
    uint8_t digest[20];
    accept[0] = 0;
    if (!key || strlen(key) != 24)
        return accept;
    wsi_sha1((const uint8_t *)key, digest);
    accept[wsi_text_base64(accept, digest, sizeof digest)] = 0;
    return accept;
}

/* The text, with the accept value in place of each '$'. */
static inline void raw_fill(bytes *out, const char *head, const char *text) {
    for (; *text; text++) {
        const char *accept = raw_accept_value(head);
        if (*text == '$')
            bytes_add(out, accept, strlen(accept));
        else
            bytes_add(out, text, 1);
    }
}

static inline void raw_reply(peer *p, const char *head, const char *text) {
    bytes out = {NULL, 0, 0};
    raw_fill(&out, head, text);
    (void)peer_send(p, out.data, out.size);
    bytes_free(&out);
}

#define RAW_UP "Upgrade: websocket\r\n"
#define RAW_CON "Connection: Upgrade\r\n"
#define RAW_ACC "Sec-WebSocket-Accept: $\r\n"
#define RAW_101 "HTTP/1.1 101 Switching Protocols\r\n"
#define RAW_GOOD RAW_101 RAW_UP RAW_CON RAW_ACC

/* Answers as a good server does; more: further lines, each with its CRLF. */
static inline void raw_answer(peer *p, const char *head, const char *more) {
    char text[2000];
    (void)snprintf(text, sizeof text, RAW_GOOD "%s\r\n", more ? more : "");
    raw_reply(p, head, text);
}

/* Accepts and answers a client, and settles: its WebSocket is open. */
static inline peer *raw_open_at(raw_server *raw, const char *file, int line) {
    peer *p = raw_accept_at(raw, file, line);
    unsigned opened = net.opened;
    raw_answer(p, raw_head(p), NULL);
    test_check(net_settle(), "the loop settles", file, line);
    test_equal(net.opened, opened + 1, "on_open", file, line);
    return p;
}

#define raw_open(raw) raw_open_at((raw), __FILE__, __LINE__)

/* --- frames --- */

/* Checks that the client has sent exactly these frames, all masked, and takes them. */
static inline void raw_check(peer *p, const char *frames, const char *file, int line) {
    bytes wanted = {NULL, 0, 0}, plain = {NULL, 0, 0};
    wire_write(&wanted, frames, false);
    test_check(net_settle(), "the loop settles", file, line);
    test_check(wire_plain(&plain, p->in.data, p->in.size, true), "whole frames, all masked", file, line);
    test_memory(plain.data, plain.size, wanted.data, wanted.size, frames, file, line);
    p->in.size = 0;
    bytes_free(&wanted);
    bytes_free(&plain);
}

#define CHECK_SENT(p, frames) raw_check((p), (frames), __FILE__, __LINE__)

/* --- a transport as plain as TCP, in place of TLS for a wss: URL --- */

static unsigned raw_links; /* how many are open */
static char raw_verified[200]; /* the host that the last one was opened for */

static inline bool raw_link_open(ws_link *link, const char *host, void *user) {
    (void)snprintf(raw_verified, sizeof raw_verified, "%s", host ? host : "");
    link->session = user;
    raw_links++;
    return true;
}

static inline ptrdiff_t raw_link_read(ws_link *link, void *data, size_t size) {
    ssize_t got = recv(link->descriptor, data, size, 0);
    if (got > 0)
        return got;
    return !got ? WS_ENDED : errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : WS_FAILED;
}

static inline ptrdiff_t raw_link_write(ws_link *link, const void *data, size_t size) {
    ssize_t sent = send(link->descriptor, data, size, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : WS_FAILED;
}

static inline ptrdiff_t raw_link_shut(ws_link *link) {
    return shutdown(link->descriptor, SHUT_WR) == 0 ? 1 : WS_FAILED;
}

static inline void raw_link_close(ws_link *link) {
    (void)link;
    raw_links--;
}

static const ws_transport raw_transport = {raw_link_open,  raw_link_read, raw_link_write, raw_link_shut,
                                           raw_link_close, NULL,          &raw_links};

/* Whether the text in the last on_error contains this, in any letter case. */
static inline bool says(const char *detail) {
    const char *text, *word = DETAIL(client.error, detail);
    size_t i;
    for (text = client.text; *text; text++) {
        for (i = 0; word[i] && (text[i] | 32) == (word[i] | 32); i++) {}
        if (!word[i])
            return true;
    }
    return false;
}

#define CHECK_WHY(word) \
    do { \
        if (!says(word) && test_failure(__FILE__, __LINE__, "the error text contains " #word)) \
            printf("    is \"%s\", should have \"%s\"\n", client.text, DETAIL(client.error, word)); \
    } while (0)

static inline void client_proxied(ws_client_config *config, const raw_server *raw) {
    static char proxy[60];
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)raw->port);
    *config = client_config();
    config->proxy = proxy;
}

/* Accepts a CONNECT and answers it with 200. asked: its request line. */
static inline peer *let_through(raw_server *raw, char *asked, size_t size) {
    peer *p = raw_accept(raw);
    const char *head = raw_head(p);
    (void)snprintf(asked, size, "%.*s", (int)strcspn(head, "\r"), head);
    peer_text(p, "HTTP/1.1 200 Connection established\r\n\r\n");
    net_settle();
    return p;
}

#endif
