/* Echo server: every message goes back to the client that sent it. From the top of the tree:
       cc -O2 -o echo examples/echo.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o echo examples/echo.c                  # where --cert is not needed
       ./echo                              then connect to ws://127.0.0.1:9001/ */
#define WS_IMPLEMENTATION
#include "../ws.h"
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: echo [PORT] [--host ADDRESS] [--cert FILE --key FILE] [--deflate]\n"
    "Listens on 127.0.0.1, port 9001; port 0: any free one. --cert, --key (PEM): wss://. --deflate: compresses.\n";
static ws_loop *loop; /* here, for the signal handler */

static void on_message(ws_conn *conn, ws_message message) {
    if (!ws_send(conn, message)) /* too much is queued for a slow reader: close, rather than lose one message */
        ws_close(conn, WS_CLOSE_TRY_LATER, "your echoes pile up: read them");
}

static void stop(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends it at once */
    ws_shutdown(loop, 2000);
}

int main(int argc, char **argv) {
    ws_server_config config = {.host = "127.0.0.1", .port = 9001, .origins = "*"}; /* pages of any site may connect */
    ws_handler handler = {.on_message = on_message};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        const char **text = !strcmp(arg, "--host") ? &config.host : !strcmp(arg, "--cert") ? &config.tls.cert_file
                             : !strcmp(arg, "--key") ? &config.tls.key_file : NULL;
        if (text && i + 1 < argc)
            *text = argv[++i];
        else if (!strcmp(arg, "--deflate"))
            handler.deflate.on = true;
        else if (*arg && !arg[strspn(arg, "0123456789")] && strtol(arg, NULL, 10) <= 65535)
            config.port = (uint16_t)strtol(arg, NULL, 10);
        else if (!strcmp(arg, "-h") || !strcmp(arg, "--help"))
            return fputs(usage, stdout) == EOF;
        else {
            fprintf(stderr, "echo: \"%s\" %s\n%s", arg, text ? "needs a value" : "is no option or port 0-65535", usage);
            return 2;
        }
    }
    loop = ws_loop_new(NULL);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/", &handler);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    if (server)
        printf(strchr(config.host, ':') ? "%s://[%s]:%u/\n" : "%s://%s:%u/\n", config.tls.cert_file ? "wss" : "ws",
               config.host, ws_port(server));
    fflush(stdout);
    if (ws_run(loop)) /* returns at once when something above has failed */
        fprintf(stderr, "echo: %s\n", ws_loop_error_text(loop));
    return ws_loop_error(loop) ? 1 : 0;
}
