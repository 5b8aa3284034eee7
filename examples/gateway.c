/* Gateway: each client gets a connection of its own to another server, and messages and close codes
   go both ways. So programs that cannot speak TLS reach a wss:// server. A side that sends faster than
   the other one reads is paused, and so is a client until its upstream is open. From the top of the tree:

       cc -O2 -o gateway examples/gateway.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o gateway examples/gateway.c            # where wss:// is not needed
       ./gateway ws://127.0.0.1:9001/                              # wants a server there: ./echo
       ./client ws://127.0.0.1:9002/                               # and a client here
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: gateway URL [PORT] [--host ADDRESS] [--ca FILE] [--insecure] [--verbose]\n"
    "Connects each client to the URL, ws:// or wss://.\n"
    "Listens on port 9002 of 127.0.0.1 unless told otherwise; port 0: any free one.\n"
    "--ca: trust servers whose certificate these certificates (PEM) have signed, not the system's.\n"
    "--insecure: trust any certificate; anybody in between can read and change everything.\n"
    "--verbose: what happens goes to standard error.\n";

enum { ENOUGH = 1 << 20, BAD_GATEWAY = 1014 }; /* so many bytes may wait for a side that reads slowly */

typedef struct pair {
    ws_conn *client, *upstream; /* NULL: has ended */
} pair;

static ws_loop *loop; /* here, for the signal handler */
static const char *url;
static ws_client_config upstream_config;

/* --- the pair --------------------------------------------------------------------------- */

static void forward(ws_conn *from, ws_conn *to, ws_message message) {
    ws_send(to, message);
    if (ws_buffered(to) >= ENOUGH)
        ws_pause(from); /* until on_drain of the other one */
}

static void release(pair *both) {
    if (!both->client && !both->upstream)
        free(both);
}

/* Closes one side as the other was closed; with code `broken` when that ended without a close. */
static void pass_on(ws_conn *to, ws_close_info why, uint16_t broken, const char *reason) {
    if (ws_state(to) == WS_CONNECTING)
        ws_drop(to);
    else if (why.code == WS_CLOSE_BROKEN)
        ws_close(to, broken, reason);
    else
        ws_close(to, why.code == WS_CLOSE_NONE ? 0 : why.code, why.reason);
}

/* --- upstream --------------------------------------------------------------------------- */

static void upstream_open(ws_conn *conn) {
    pair *both = (pair *)ws_user(conn);
    ws_resume(both->client);
}

static void upstream_drain(ws_conn *conn) { ws_resume(((pair *)ws_user(conn))->client); }

static void upstream_message(ws_conn *conn, ws_message message) {
    pair *both = (pair *)ws_user(conn);
    forward(conn, both->client, message);
}

static void upstream_close(ws_conn *conn, ws_close_info why) {
    pair *both = (pair *)ws_user(conn);
    both->upstream = NULL;
    pass_on(both->client, why, BAD_GATEWAY, "the upstream broke off");
    release(both);
}

static void upstream_error(ws_conn *conn) {
    pair *both = (pair *)ws_user(conn);
    if (both->client) /* else the client has left, and dialling was given up */
        fprintf(stderr, "gateway: %s\n", ws_last_error_text(conn)); /* the client need not know it all */
    both->upstream = NULL;
    ws_close(both->client, BAD_GATEWAY, "the upstream cannot be reached");
    release(both);
}

/* --- clients ---------------------------------------------------------------------------- */

static void client_open(ws_conn *conn) {
    ws_handler handler = {.on_open = upstream_open, .on_message = upstream_message, .on_drain = upstream_drain,
                          .on_close = upstream_close, .on_error = upstream_error};
    pair *both = (pair *)calloc(1, sizeof *both);
    if (both) {
        both->client = conn;
        handler.user = both;
        both->upstream = ws_dial(loop, url, &handler, &upstream_config);
    }
    ws_set_user(conn, both);
    ws_pause(conn); /* until the upstream is open */
    if (!both || !both->upstream)
        ws_close(conn, WS_CLOSE_TRY_LATER, "the gateway is short of memory");
}

static void client_message(ws_conn *conn, ws_message message) {
    pair *both = (pair *)ws_user(conn);
    forward(conn, both->upstream, message);
}

static void client_drain(ws_conn *conn) { ws_resume(((pair *)ws_user(conn))->upstream); }

static void client_close(ws_conn *conn, ws_close_info why) {
    pair *both = (pair *)ws_user(conn);
    if (!both)
        return;
    both->client = NULL;
    pass_on(both->upstream, why, WS_CLOSE_GOING_AWAY, "the client has gone");
    release(both);
}

/* --- the program ------------------------------------------------------------------------ */

static void stop(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends it at once */
    ws_shutdown(loop, 2000);
}

static ws_loop_config loop_config;

static void trace(const ws_trace_event *event, void *user) {
    char line[300];
    (void)user;
    ws_trace_text(event, line, sizeof line);
    fprintf(stderr, "%s\n", line);
}

/* Reads the command line. Ends the program when a word of it is wrong, or asks for help. */
static void options(int argc, char **argv, ws_server_config *config) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        const char **value = !strcmp(word, "--host") ? &config->host
                             : !strcmp(word, "--ca") ? &upstream_config.tls.ca_file
                                                     : NULL;
        if (value && i + 1 < argc) {
            *value = argv[++i];
        } else if (!strcmp(word, "--insecure")) {
            upstream_config.tls.accept_any_certificate = true;
        } else if (!url && (!strncmp(word, "ws://", 5) || !strncmp(word, "wss://", 6))) {
            url = word;
        } else if (*word && !word[strspn(word, "0123456789")] && strtol(word, NULL, 10) <= 65535) {
            config->port = (uint16_t)strtol(word, NULL, 10);
        } else if (!strcmp(word, "--verbose")) {
            loop_config.trace = trace;
        } else if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
            fputs(usage, stdout);
            exit(0);
        } else {
            fprintf(stderr, "gateway: \"%s\" %s\n%s", word,
                    value ? "needs a value" : "is neither an option, a ws:// or wss:// URL, nor a port from 0 to 65535",
                    usage);
            exit(2);
        }
    }
    if (!url) {
        fprintf(stderr, "gateway: a ws:// or wss:// URL is needed\n%s", usage);
        exit(2);
    }
}

int main(int argc, char **argv) {
    ws_server_config config = {.host = "127.0.0.1", .port = 9002};
    ws_handler handler = {.on_open = client_open, .on_message = client_message, .on_drain = client_drain,
                          .on_close = client_close};
    ws_server *server;
    ws_error error;
    options(argc, argv, &config);
    if (strcmp(config.host, "127.0.0.1") == 0) /* no page can point a name of its own here */
        config.hosts = "127.0.0.1, localhost, [::1]";
    loop = ws_loop_new(&loop_config);
    server = ws_listen(loop, &config);
    ws_route(server, "/", &handler);
    if (!ws_loop_error(loop)) {
        signal(SIGINT, stop);
        signal(SIGTERM, stop);
        printf(strchr(config.host, ':') ? "ws://[%s]:%u/\n" : "ws://%s:%u/\n", config.host, ws_port(server));
        fflush(stdout);
    }
    error = ws_run(loop); /* returns at once when something above has failed */
    if (error)
        fprintf(stderr, "gateway: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
