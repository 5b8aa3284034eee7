/* client.c over libwebsockets: lws_client PORT MESSAGES. */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 125 };

static long left;
static int ended;

static int serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
    static unsigned char bytes[LWS_PRE + SIZE];
    (void)user;
    (void)in;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED: lws_callback_on_writable(wsi); return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE: return lws_write(wsi, bytes + LWS_PRE, SIZE, LWS_WRITE_BINARY) < SIZE ? -1 : 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        if (size != SIZE || --left == 0)
            return -1;
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR: ended = 1; return 0;
    default: return 0;
    }
}

int main(int argc, char **argv) {
    static const struct lws_protocols protocols[] = {{"echo", serve, 0, 65536, 0, NULL, 0},
                                                     {NULL, NULL, 0, 0, 0, NULL, 0}};
    struct lws_context_creation_info info;
    struct lws_client_connect_info where;
    if (argc != 3 || (left = atol(argv[2])) < 1)
        return 2;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    lws_set_log_level(LLL_ERR, NULL);
    memset(&where, 0, sizeof where);
    where.context = lws_create_context(&info);
    where.address = where.host = "127.0.0.1";
    where.port = atoi(argv[1]);
    where.path = "/";
    where.local_protocol_name = "echo";
    if (where.context && lws_client_connect_via_info(&where))
        while (!ended && lws_service(where.context, 0) >= 0) {}
    lws_context_destroy(where.context);
    return left != 0;
}
