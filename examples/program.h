/* What the examples share: their options, Ctrl-C, and the address that a server prints. To copy an example, put this
   file and ws.h beside it, and change "../ws.h" to "ws.h". Of ws.h's switches, the examples allow only WS_NO_TLS.
   To do without this file, replace its functions:

       read_server_options   by setting the fields of config and loop_config: .port, .host, .hosts, .tls, .trace
       announce              by signal(SIGINT, end), where end calls ws_shutdown(loop, 2000)
       bad_usage             by fprintf and exit
*/
#ifndef PROGRAM_H
#define PROGRAM_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct program_option {
    const char *name;  /* "--host"; or "FILE": an argument that is not an option */
    const char **text; /* where to store its value */
    bool *flag;        /* used instead of text: the option has no value, and sets this */
    size_t *count;     /* the option may be repeated: text is an array for all its values, this is their number */
} program_option;

static struct {
    const char *usage; /* "usage: NAME ..." */
    const char *host;
    bool secure;
    ws_loop *loop; /* for the signal handler */
} program;

/* The part of a server's usage that describes the options of all servers. */
#ifdef WS_NO_TLS
#define TLS_OPTIONS
#define TLS_HELP
#else
#define TLS_OPTIONS "[--cert FILE --key FILE] "
#define TLS_HELP "--cert, --key: serve with TLS. Both are PEM files; --cert holds the certificate, then its chain.\n"
#endif
#define SERVER_OPTIONS "[PORT] [--host ADDRESS] " TLS_OPTIONS "[--verbose]\n"
#define SERVER_HELP(port) "PORT: 0 (any free port) to 65535; default " port ".\n" \
    "--host: the address to listen on; default 127.0.0.1. 0.0.0.0: all addresses, and any Host header.\n" \
    TLS_HELP \
    "--verbose: log connections, requests, frames and errors to standard error.\n"

/* Exits because a word of the command line is wrong. */
static inline void bad_usage(const char *word, const char *problem) {
    const char *name = program.usage + strlen("usage: ");
    fprintf(stderr, "%.*s: \"%s\" %s\n%s", (int)strcspn(name, " \n"), name, word, problem, program.usage);
    exit(2);
}

/* Finds the option that a word names or, if is_value, the first argument without a value. NULL: not in this list. */
static inline const program_option *find_option(const program_option *list, const char *word, bool is_value) {
    for (; list && list->name; list++)
        if (*list->name == '-' ? !is_value && strcmp(list->name, word) == 0 : is_value && !*list->text)
            return list;
    return NULL;
}

static inline void read_words(int argc, char **argv, const program_option *own, const program_option *shared) {
    bool options_ended = false;
    for (int i = 1; i < argc; i++) {
        bool is_value = options_ended || *argv[i] != '-';
        const program_option *found = find_option(own, argv[i], is_value);
        if (!found)
            found = find_option(shared, argv[i], is_value);
        if (!is_value && (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help"))) {
            fputs(program.usage, stdout);
            exit(0);
        }
        if (!is_value && strcmp(argv[i], "--") == 0)
            options_ended = true;
        else if (!found)
            bad_usage(argv[i], is_value ? "is one word too many" : "is not an option");
        else if (found->flag)
            *found->flag = true;
        else if (*found->name == '-' && i + 1 == argc)
            bad_usage(argv[i], "needs a value");
        else
            found->text[found->count ? (*found->count)++ : 0] = argv[*found->name == '-' ? ++i : i];
    }
}

/* Reads the command line. Exits if a word is wrong, or is --help. After "--", no word is an option. */
static inline void read_options(int argc, char **argv, const char *usage, const program_option *own) {
    program.usage = usage;
    read_words(argc, argv, own, NULL);
}

/* Adds the address that the server listens on to the names that Host may have. A server that listens on all addresses
   accepts any name, since we do not know what other machines call it. */
static inline const char *hosts_with(const char *hosts, const char *host) {
    static char all[512];
    if (!hosts || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
        return NULL;
    snprintf(all, sizeof all, strchr(host, ':') ? "%s, [%.*s]" : "%s, %.*s", hosts, (int)strcspn(host, "%"), host);
    return all;
}

/* Reads a server's command line, with its own options and those of all servers, into both configs. */
static inline void read_server_options(int argc, char **argv, const char *usage, const program_option *own,
                                       ws_server_config *config, ws_loop_config *loop_config) {
    const char *port = NULL;
    bool verbose = false;
    const program_option shared[] = {{.name = "PORT", .text = &port},
                                     {.name = "--host", .text = &config->host},
#ifndef WS_NO_TLS
                                     {.name = "--cert", .text = &config->tls.cert_file},
                                     {.name = "--key", .text = &config->tls.key_file},
#endif
                                     {.name = "--verbose", .flag = &verbose},
                                     {.name = NULL}};
    program.usage = usage;
    config->host = "127.0.0.1";
    read_words(argc, argv, own, shared);
    if (port && (!*port || port[strspn(port, "0123456789")] || strtol(port, NULL, 10) > 65535))
        bad_usage(port, "is not a port from 0 to 65535");
    if (config->tls.key_file && !config->tls.cert_file)
        bad_usage("--key", "needs --cert beside it");
    if (port)
        config->port = (uint16_t)strtol(port, NULL, 10);
    config->hosts = hosts_with(config->hosts, config->host);
    loop_config->trace = verbose ? ws_trace_stderr : NULL;
    program.host = config->host;
    program.secure = config->tls.cert_file != NULL;
}

/* ws_shutdown may be called from a signal handler. A second Ctrl-C ends the program at once. */
static inline void end_on_signal(int number) {
    (void)number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    ws_shutdown(program.loop, 2000);
}

static inline void print_address(const char *scheme, uint16_t port) {
    printf(strchr(program.host, ':') ? "%s%s://[%s]:%u/\n" : "%s%s://%s:%u/\n", scheme, program.secure ? "s" : "",
           program.host, port);
    fflush(stdout);
}

/* Prints the server's address, with the scheme "ws" or "http", and lets Ctrl-C shut the loop down. Does nothing if a
   call has failed: ws_run will return its error. */
static inline void announce(ws_loop *loop, const ws_server *server, const char *scheme) {
    if (ws_loop_error(loop))
        return;
    program.loop = loop;
    signal(SIGINT, end_on_signal);
    signal(SIGTERM, end_on_signal);
    print_address(scheme, ws_port(server));
}

#endif
