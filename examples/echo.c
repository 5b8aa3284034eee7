/* Echo server: every message goes back to the one who sent it. From the top of the tree:

       cc -O2 -o echo examples/echo.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o echo examples/echo.c                  # where --cert is not needed
       ./echo                              then connect to ws://127.0.0.1:9001/
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include <signal.h>
#include <stdio.h>

static const char usage[] =
    "usage: echo [port] [--host ADDR] [--cert FILE --key FILE] [--deflate]\n"
    "Sends every message back. Port 9001 and address 127.0.0.1 unless told; port 0 takes a free one.\n"
    "--cert (PEM, its chain behind it) and --key: serve wss://.\n"
    "--deflate: compress, for clients that offer it (permessage-deflate).\n";

static ws_loop *loop; /* here, for the signal handler */

static void on_message(ws_conn *conn, ws_message message) {
    if (!ws_send(conn, message)) /* too much waits for a slow reader: say so, never lose one silently */
        ws_close(conn, WS_CLOSE_TRY_LATER, "your echoes pile up: read them");
}

static void stop(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends it at once */
    ws_shutdown(loop, 2000);
}

static bool arguments(int count, char **words, ws_server_config *config, ws_handler *handler) {
    for (int i = 1; i < count; i++) {
        char *end;
        long port = strtol(words[i], &end, 10);
        if (strcmp(words[i], "--host") == 0 && i + 1 < count)
            config->host = words[++i];
        else if (strcmp(words[i], "--cert") == 0 && i + 1 < count)
            config->tls.cert_file = words[++i];
        else if (strcmp(words[i], "--key") == 0 && i + 1 < count)
            config->tls.key_file = words[++i];
        else if (strcmp(words[i], "--deflate") == 0)
            handler->deflate.on = true;
        else if (*words[i] >= '0' && end != words[i] && !*end && port <= 65535)
            config->port = (uint16_t)port;
        else {
            fprintf(stderr, "echo: cannot make sense of \"%s\"\n%s", words[i], usage);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    /* A page of any site may connect: nothing is kept here that one site could take from another. */
    ws_server_config config = {.host = "127.0.0.1", .port = 9001, .origins = "*"};
    ws_handler handler = {.on_message = on_message};
    ws_server *server;
    ws_error error;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (!arguments(argc, argv, &config, &handler))
        return 2;
    if (strcmp(config.host, "127.0.0.1") == 0) /* so that no page whose name was rebound to it gets in */
        config.hosts = "127.0.0.1, localhost, [::1]";
    loop = ws_loop_new(NULL);
    server = ws_listen(loop, &config);
    ws_route(server, "/", &handler);
    if (!ws_loop_error(loop)) {
        signal(SIGINT, stop);
        signal(SIGTERM, stop);
        printf(strchr(config.host, ':') ? "%s://[%s]:%u/\n" : "%s://%s:%u/\n",
               config.tls.cert_file ? "wss" : "ws", config.host, ws_port(server));
        fflush(stdout);
    }
    error = ws_run(loop); /* returns at once when something above has failed */
    if (error)
        fprintf(stderr, "echo: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
