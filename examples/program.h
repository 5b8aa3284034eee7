/* What the examples share: their command line, and how those that serve begin and end. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "../ws.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct program_option {
    const char *name;  /* "--host"; or "FILE": the next word that is no option */
    const char **text; /* where its value goes */
    bool *flag;        /* or what it sets: then it has no value */
    size_t *count;     /* it may come more often: text is a list with room for all of its values */
} program_option;

static struct {
    const char *usage; /* "usage: NAME ..." */
    const char *host;
    bool secure;
    ws_loop *loop; /* here, for the signal handler */
} program;

/* What a server's usage says of the options that all of them have. */
#define SERVER_OPTIONS "[PORT] [--host ADDRESS] [--cert FILE --key FILE] [--verbose]\n"
#define SERVER_HELP(port) "PORT: from 0 (any free one) to 65535; " port " unless told otherwise.\n" \
    "--host: where to listen; 127.0.0.1 unless told otherwise.\n" \
    "--cert (PEM, followed by its chain) and --key: serve with TLS.\n" \
    "--verbose: what happens goes to standard error.\n"

/* Begins a line of standard error with the program's name. */
static inline void say_name(void) {
    const char *name = program.usage + strlen("usage: ");
    fprintf(stderr, "%.*s: ", (int)strcspn(name, " \n"), name);
}

/* Ends the program because of a word of its command line. */
static inline void refuse(const char *word, const char *problem) {
    say_name();
    fprintf(stderr, "\"%s\" %s\n%s", word, problem, program.usage);
    exit(2);
}

/* The option that a word is, or that takes it as its value. NULL: none of this list, which ends with an empty one. */
static inline const program_option *find_option(const program_option *list, const char *word) {
    for (; list && list->name; list++)
        if (*list->name == '-' ? strcmp(list->name, word) == 0 : *word != '-' && !*list->text)
            return list;
    return NULL;
}

/* Reads the command line; lists: the program's own options, and those that it shares with others. Ends the program when
   a word is wrong, or asks for help. */
static inline void read_options(int argc, char **argv, const char *usage, const program_option *own,
                                const program_option *shared) {
    program.usage = usage;
    for (int i = 1; i < argc; i++) {
        const program_option *found = find_option(own, argv[i]);
        if (!found)
            found = find_option(shared, argv[i]);
        if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) {
            fputs(usage, stdout);
            exit(0);
        }
        if (!found)
            refuse(argv[i], *argv[i] == '-' ? "is not an option" : "is one word too many");
        else if (found->flag)
            *found->flag = true;
        else if (*found->name == '-' && i + 1 == argc)
            refuse(argv[i], "needs a value");
        else
            found->text[found->count ? (*found->count)++ : 0] = argv[*found->name == '-' ? ++i : i];
    }
}

/* Reads the command line of a server. */
static inline void server_options(int argc, char **argv, const char *usage, const program_option *own,
                                  ws_server_config *config, ws_loop_config *loop_config) {
    const char *port = NULL;
    bool verbose = false;
    const program_option shared[] = {{.name = "PORT", .text = &port},
                                     {.name = "--host", .text = &config->host},
                                     {.name = "--cert", .text = &config->tls.cert_file},
                                     {.name = "--key", .text = &config->tls.key_file},
                                     {.name = "--verbose", .flag = &verbose},
                                     {.name = NULL}};
    config->host = "127.0.0.1";
    read_options(argc, argv, usage, own, shared);
    if (port && (!*port || port[strspn(port, "0123456789")] || strtol(port, NULL, 10) > 65535))
        refuse(port, "is no port from 0 to 65535");
    if (port)
        config->port = (uint16_t)strtol(port, NULL, 10);
    if (!config->origins && strcmp(config->host, "127.0.0.1") == 0) /* no page can point a name of its own here */
        config->hosts = "127.0.0.1, localhost, [::1]";
    loop_config->trace = verbose ? ws_trace_stderr : NULL;
    program.host = config->host;
    program.secure = config->tls.cert_file != NULL;
}

/* The same; returns a new loop, for one server. */
static inline ws_loop *start(int argc, char **argv, const char *usage, const program_option *own,
                             ws_server_config *config) {
    ws_loop_config loop_config = {.trace = NULL};
    server_options(argc, argv, usage, own, config, &loop_config);
    return program.loop = ws_loop_new(&loop_config);
}

static inline void shut_down(int number) {
    signal(number, SIG_DFL); /* a second Ctrl-C ends it at once */
    ws_shutdown(program.loop, 2000);
}

static inline void print_address(const char *scheme, uint16_t port) {
    printf(strchr(program.host, ':') ? "%s%s://[%s]:%u/\n" : "%s%s://%s:%u/\n", scheme, program.secure ? "s" : "",
           program.host, port);
    fflush(stdout);
}

/* Prints the address, scheme "ws" or "http", and runs the loop until Ctrl-C. Returns the program's exit status. */
static inline int run_server(const ws_server *server, const char *scheme) {
    if (!ws_loop_error(program.loop)) {
        signal(SIGINT, shut_down);
        signal(SIGTERM, shut_down);
        print_address(scheme, ws_port(server));
    }
    if (!ws_run(program.loop)) /* an error: at once, when something before has failed */
        return 0;
    say_name();
    fprintf(stderr, "%s\n", ws_loop_error_text(program.loop));
    return 1;
}

/* The same, and frees the loop. */
static inline int serve(const ws_server *server, const char *scheme) {
    int status = run_server(server, scheme);
    ws_loop_free(program.loop);
    return status;
}

#endif
