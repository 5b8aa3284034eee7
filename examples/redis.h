/* A connection to Redis (6 or later) or Valkey in a loop of ws.h. It speaks RESP3, on a socket that ws_watch watches.
   Include ws.h before this file. */
#ifndef REDIS_H
#define REDIS_H

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PENDING = 4096 };

static struct {
    const char *host, *port, *user, *password, *database;
    struct addrinfo *address;
    ws_loop *loop;
    int socket;    /* -1: none */
    bool ready;    /* set by the program when Redis may get commands */
    bool stale;    /* a command was lost because the queue was full */
    bool writing;  /* waiting until the socket is writable */
    ws_id pending[PENDING]; /* a ring: the sender of each command without an answer yet; 0: none */
    unsigned pending_first, pending_count;
    char out[1 << 20], in[1 << 17];
    size_t out_size, in_size;
} redis = {.socket = -1};

/* The program defines redis_lost and redis_answer. Called when the connection is lost, or could not be made: */
static void redis_lost(const char *why);
/* Called for each complete answer or push, which begins at redis.in + at. false: the connection was lost meanwhile. */
static bool redis_answer(size_t at);

/* --- commands --- */

static void redis_event(ws_loop *l, int descriptor, unsigned ready, void *user);

static void redis_watch(void) {
    ws_watch(redis.loop, redis.socket, redis.writing ? WS_READ | WS_WRITE : WS_READ, redis_event, NULL);
}

/* Queues a command of count texts. sender (0: none) is told if it fails. false: too many commands are pending. */
static bool redis_command(ws_id sender, unsigned count, ...) {
    size_t size = redis.out_size;
    va_list texts;
    bool fits = redis.socket >= 0 && redis.pending_count < PENDING;
    va_start(texts, count);
    for (unsigned i = 0; i < count && fits; i++) {
        const char *text = va_arg(texts, const char *);
        char head[16] = "";
        if (i == 0)
            snprintf(head, sizeof head, "*%u\r\n", count);
        size += (size_t)snprintf(redis.out + size, sizeof redis.out - size, "%s$%zu\r\n%s\r\n", head, strlen(text),
                                text);
        fits = size < sizeof redis.out;
    }
    va_end(texts);
    redis.stale = redis.stale || !fits;
    if (!fits)
        return false;
    redis.out_size = size;
    redis.pending[(redis.pending_first + redis.pending_count++) % PENDING] = sender;
    if (!redis.writing) {
        redis.writing = true; /* all commands of a round are sent together */
        redis_watch();
    }
    return true;
}

/* --- answers --- */

/* Returns where the value at `at` ends; 0: it has not fully arrived. */
static size_t redis_value_end(size_t at) {
    long left = 1;
    while (left > 0) {
        const char *line = redis.in + at, *end = memchr(line, '\n', redis.in_size - at);
        long number = end ? strtol(line + 1, NULL, 10) : 0;
        if (!end)
            return 0;
        at = (size_t)(end + 1 - redis.in);
        left += strchr("*>~", *line) ? number : *line == '%' ? 2 * number : 0;
        if (strchr("$=!", *line) && number >= 0)
            at += (size_t)number + 2;
        if (at > redis.in_size)
            return 0;
        left--;
    }
    return at;
}

/* Reads the text at `at`, such as "$5\r\nhello\r\n", and moves `at` past it. */
static ws_slice redis_text(size_t *at) {
    ws_slice text;
    char *data;
    text.size = strtoul(redis.in + *at + 1, &data, 10);
    text.data = data + 2;
    *at = (size_t)(text.data + text.size + 2 - redis.in);
    return text;
}

static void redis_read(void) {
    ssize_t got = recv(redis.socket, redis.in + redis.in_size, sizeof redis.in - 1 - redis.in_size, 0);
    size_t at = 0, end;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got <= 0) {
        redis_lost(got < 0 ? strerror(errno) : "closed the connection");
        return;
    }
    redis.in_size += (size_t)got;
    redis.in[redis.in_size] = 0; /* for strtol and strchr */
    while (at < redis.in_size && (end = redis_value_end(at)) != 0) {
        if (!redis_answer(at))
            return;
        at = end;
    }
    redis.in_size -= at;
    memmove(redis.in, redis.in + at, redis.in_size);
    if (redis.in_size == sizeof redis.in - 1)
        redis_lost("an answer is too long");
}

static void redis_write(void) {
    ssize_t sent = send(redis.socket, redis.out, redis.out_size, 0);
    if (sent < 0 && !redis.ready && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        redis_lost(strerror(errno));
        return;
    } /* once ready, leave the failure to a later read, which first returns what arrived before it */
    redis.out_size -= sent > 0 ? (size_t)sent : 0;
    memmove(redis.out, redis.out + (sent > 0 ? sent : 0), redis.out_size);
    redis.writing = redis.out_size > 0;
    redis_watch();
}

static void redis_event(ws_loop *l, int descriptor, unsigned ready, void *user) {
    (void)l, (void)descriptor, (void)user;
    if (ready & WS_READ)
        redis_read();
    if (ready & WS_WRITE && redis.writing)
        redis_write();
}

/* --- the connection --- */

/* Starts to connect, and queues the commands that log in. false: it failed at once. */
static bool redis_connect(void) {
    redis.socket = socket(redis.address->ai_family, SOCK_STREAM, 0);
    redis.writing = true;
    if (redis.socket < 0 || fcntl(redis.socket, F_SETFL, O_NONBLOCK) < 0
        || fcntl(redis.socket, F_SETFD, FD_CLOEXEC) < 0)
        return redis_lost(strerror(errno)), false;
    if (connect(redis.socket, redis.address->ai_addr, redis.address->ai_addrlen) < 0 && errno != EINPROGRESS)
        return redis_lost(strerror(errno)), false;
    if (!ws_watch(redis.loop, redis.socket, WS_READ | WS_WRITE, redis_event, NULL))
        return redis_lost("out of descriptors or memory"), false;
    if (redis.password)
        redis_command(0, 5, "HELLO", "3", "AUTH", redis.user, redis.password);
    else
        redis_command(0, 2, "HELLO", "3");
    return redis_command(0, 2, "SELECT", redis.database);
}

/* Closes the connection and discards queued commands. */
static void redis_close(void) {
    if (redis.socket >= 0) {
        ws_watch(redis.loop, redis.socket, WS_NONE, NULL, NULL);
        close(redis.socket);
    }
    redis.socket = -1;
    redis.ready = redis.writing = false;
    redis.out_size = redis.in_size = 0;
}

/* --- its URL --- */

/* Decodes %XX in place. */
static void redis_decode(char *text) {
    char *to = text;
    for (; *text; text++) {
        unsigned byte;
        if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1 && text[2]) {
            *to++ = (char)byte;
            text += 2;
        } else {
            *to++ = *text;
        }
    }
    *to = 0;
}

/* Parses a redis:// URL. false: it is malformed. */
static bool redis_url(const char *url) {
    static char copy[1024];
    char *at, *colon, *slash, *host = copy;
    if (strncmp(url, "redis://", 8) != 0 || strlen(url) >= sizeof copy)
        return false;
    strcpy(copy, url + 8);
    redis.port = "6379";
    redis.user = "default";
    redis.database = "0";
    if ((at = strrchr(host, '@')) != NULL) {
        *at = 0;
        if ((colon = strchr(host, ':')) == NULL)
            return false;
        *colon = 0;
        redis_decode(colon + 1);
        redis_decode(host);
        redis.password = colon + 1;
        redis.user = *host ? host : redis.user;
        host = at + 1;
    }
    if ((slash = strchr(host, '/')) != NULL) {
        *slash = 0;
        redis.database = slash[1] ? slash + 1 : redis.database;
    }
    if ((colon = strrchr(host, ':')) != NULL && !strchr(colon, ']')) {
        *colon = 0;
        redis.port = colon + 1;
    }
    redis.host = *host == '[' ? host + 1 : host; /* "[::1]" */
    host[strcspn(host, "]")] = 0;
    return *redis.host && *redis.port && !redis.port[strspn(redis.port, "0123456789")]
           && !redis.database[strspn(redis.database, "0123456789")];
}

/* Looks up the host before the loop runs, since this can block. false: it failed, and stderr says why. */
static bool redis_look_up(ws_loop *loop) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int failed = getaddrinfo(redis.host, redis.port, &hints, &redis.address);
    redis.loop = loop;
    if (failed)
        fprintf(stderr, "Redis at %s: %s\n", redis.host, gai_strerror(failed));
    return !failed;
}

#endif
