/* An echo over libwebsockets: lws; prints its port. What came waits in the session until it may be written. */
#include <libwebsockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct session {
    unsigned char *bytes; /* messages, each behind its size and LWS_PRE bytes of room */
    size_t begin, end, capacity;
    size_t open; /* where the unfinished message begins; end: there is none */
} session;

static volatile int ended;

static void stop(int number) {
    (void)number;
    ended = 1;
}

static int add(session *s, const void *data, size_t size) {
    if (s->end + size > s->capacity) {
        size_t wanted = 2 * (s->end + size) + 4096;
        unsigned char *moved = realloc(s->bytes, wanted);
        if (!moved)
            return -1;
        s->bytes = moved;
        s->capacity = wanted;
    }
    if (data)
        memcpy(s->bytes + s->end, data, size);
    s->end += size;
    return 0;
}

static int received(struct lws *wsi, session *s, const void *data, size_t size) {
    size_t length;
    if (lws_is_first_fragment(wsi)) {
        s->open = s->end;
        if (add(s, NULL, sizeof length + LWS_PRE))
            return -1;
    }
    if (add(s, data, size))
        return -1;
    if (!lws_is_final_fragment(wsi))
        return 0;
    length = s->end - s->open - sizeof length - LWS_PRE;
    memcpy(s->bytes + s->open, &length, sizeof length);
    s->open = s->end;
    lws_callback_on_writable(wsi);
    return 0;
}

static int write_one(struct lws *wsi, session *s) {
    size_t length;
    if (s->begin == s->open)
        return 0;
    memcpy(&length, s->bytes + s->begin, sizeof length);
    if (lws_write(wsi, s->bytes + s->begin + sizeof length + LWS_PRE, length, LWS_WRITE_BINARY) < (int)length)
        return -1;
    s->begin += sizeof length + LWS_PRE + length;
    if (s->begin == s->end)
        s->begin = s->end = s->open = 0;
    if (s->begin < s->open)
        lws_callback_on_writable(wsi);
    return 0;
}

static int serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
    session *s = user;
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: memset(s, 0, sizeof *s); return 0;
    case LWS_CALLBACK_RECEIVE: return received(wsi, s, in, size);
    case LWS_CALLBACK_SERVER_WRITEABLE: return write_one(wsi, s);
    case LWS_CALLBACK_CLOSED: free(s->bytes); return 0;
    default: return 0;
    }
}

int main(void) {
    static const struct lws_protocols protocols[] = {{"echo", serve, sizeof(session), 65536, 0, NULL, 0},
                                                     {NULL, NULL, 0, 0, 0, NULL, 0}};
    struct lws_context_creation_info info;
    struct lws_context *context;
    struct lws_vhost *host;
    memset(&info, 0, sizeof info);
    info.protocols = protocols;
    info.iface = "lo";
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    lws_set_log_level(LLL_ERR, NULL);
    (void)signal(SIGTERM, stop);
    context = lws_create_context(&info);
    host = context ? lws_create_vhost(context, &info) : NULL; /* port 0: a free one */
    if (!host) {
        fprintf(stderr, "lws: cannot listen\n");
        return 1;
    }
    printf("%d\n", lws_get_vhost_listen_port(host));
    fflush(stdout);
    while (!ended && lws_service(context, 0) >= 0) {}
    lws_context_destroy(context);
    return 0;
}
