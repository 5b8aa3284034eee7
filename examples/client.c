/* A blocking client: sends one message, prints the answer, and closes. From the top of the tree:

       cc -O2 -o client examples/client.c -lssl -lcrypto
       cc -O2 -DWS_NO_TLS -o client examples/client.c              # where wss:// is not needed
       ./client ws://127.0.0.1:9001/ "hello"                       # needs a server: ./echo
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options; see there for how to copy an example */

#include <stddef.h>
#include <stdio.h>

static const char usage[] =
    "usage: client [URL [TEXT]]\n"
    "Sends TEXT (default: hello) to URL (default: ws://127.0.0.1:9001/), prints the answer, and closes.\n"
    "Write \"--\" before a TEXT that begins with \"-\".\n"
    "Exit status: 0 after a clean close; 1 otherwise; 2: bad usage.\n";

int main(int argc, char **argv) {
    const char *url = NULL, *text = NULL;
    const program_option own[] = {{.name = "URL", .text = &url}, {.name = "TEXT", .text = &text}, {.name = NULL}};
    ws_message answer;
    ws_conn *conn;
    int status = 1;
    read_options(argc, argv, usage, own);
    conn = ws_connect(url ? url : "ws://127.0.0.1:9001/", &(ws_client_config){.receive_ms = 5000});
    if (ws_send_text(conn, text ? text : "hello") && ws_receive(conn, &answer)) {
        fwrite(answer.data, 1, answer.size, stdout);
        puts("");
        ws_close(conn, WS_CLOSE_NORMAL, NULL); /* blocks until the server has closed, too */
        status = ws_closed(conn).clean ? 0 : 1;
    }
    if (ws_last_error(conn))
        fprintf(stderr, "client: %s\n", ws_last_error_text(conn));
    else if (status)
        fprintf(stderr, "client: closed with %u %s\n", ws_closed(conn).code, ws_closed(conn).reason);
    ws_free(conn);
    return status;
}
