/* Slow work in worker threads: the loop takes questions, the workers compute, and ws_post brings each answer back to
   the loop's thread. From the top of the tree:

       cc -O2 -pthread -DWS_NO_TLS -o pool examples/pool.c
       ./pool                              then send a number to ws://127.0.0.1:9004/

   A worker touches no connection: it has the id, and the answer looks the connection up. A client that has left is not
   found, and nothing is sent.
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 4, JOBS = 256 };

static const char usage[] =
    "usage: pool [PORT] [--host ADDRESS] [--verbose]\n"
    "Send a number: worker threads count the primes below it.\n"
    "Listens on port 9004 of 127.0.0.1 unless told otherwise; port 0: any free one.\n"
    "--verbose: what happens goes to standard error.\n";

typedef struct job {
    struct job *next;
    ws_id conn;          /* who asked */
    uint32_t number, primes;
} job;

static ws_loop *loop; /* here, for the signal handler */
static job jobs[JOBS], *unused; /* of the loop's thread */
static job *first, **last = &first; /* jobs that wait for a worker; the lock guards them and `ending` */
static bool ending;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;

/* --- in the loop's thread --- */

static void answer(void *argument) {
    job *done = argument;
    ws_send_json(ws_find(loop, done->conn), "{'below':%u,'primes':%u}", (unsigned)done->number,
                 (unsigned)done->primes);
    done->next = unused;
    unused = done;
}

static void ask(ws_conn *conn, ws_message message) {
    int64_t number;
    job *next = unused;
    if (!ws_json_integer(message, "", &number) || number < 0 || number > 10000000) {
        ws_send_json(conn, "{'error':'send a number from 0 to 10000000'}");
    } else if (!next) {
        ws_send_json(conn, "{'error':'all is busy: ask again later'}");
    } else {
        unused = next->next;
        next->next = NULL;
        next->conn = ws_conn_id(conn);
        next->number = (uint32_t)number;
        pthread_mutex_lock(&lock);
        *last = next;
        last = &next->next;
        pthread_cond_signal(&more);
        pthread_mutex_unlock(&lock);
    }
}

/* --- in the workers' threads --- */

static uint32_t primes_below(uint32_t number) {
    uint32_t primes = number > 2, candidate, divisor;
    for (candidate = 3; candidate < number; candidate += 2) {
        for (divisor = 3; divisor * divisor <= candidate && candidate % divisor; divisor += 2) {}
        primes += divisor * divisor > candidate;
    }
    return primes;
}

static job *take(void) {
    job *taken;
    pthread_mutex_lock(&lock);
    while (!first && !ending)
        pthread_cond_wait(&more, &lock);
    taken = ending ? NULL : first;
    if (taken && !(first = taken->next))
        last = &first;
    pthread_mutex_unlock(&lock);
    return taken;
}

static void *work(void *unused_argument) {
    job *taken;
    (void)unused_argument;
    while ((taken = take()) != NULL) {
        taken->primes = primes_below(taken->number);
        ws_post(loop, answer, taken); /* cannot fail: there are fewer jobs than posts that may wait */
    }
    return NULL;
}

/* --- start and end --- */

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
        const char **value = !strcmp(word, "--host") ? &config->host : NULL;
        if (value && i + 1 < argc) {
            *value = argv[++i];
        } else if (*word && !word[strspn(word, "0123456789")] && strtol(word, NULL, 10) <= 65535) {
            config->port = (uint16_t)strtol(word, NULL, 10);
        } else if (!strcmp(word, "--verbose")) {
            loop_config.trace = trace;
        } else if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
            fputs(usage, stdout);
            exit(0);
        } else {
            fprintf(stderr, "pool: \"%s\" %s\n%s", word,
                    value ? "needs a value" : "is neither an option nor a port from 0 to 65535", usage);
            exit(2);
        }
    }
}

int main(int argc, char **argv) {
    ws_server_config config = {.host = "127.0.0.1", .port = 9004, .limits = {.message = 64}};
    pthread_t workers[WORKERS];
    ws_server *server;
    ws_error error;
    int started = 0, i;
    options(argc, argv, &config);
    if (strcmp(config.host, "127.0.0.1") == 0) /* no page can point a name of its own here */
        config.hosts = "127.0.0.1, localhost, [::1]";
    for (i = 0; i < JOBS; i++) {
        jobs[i].next = unused;
        unused = &jobs[i];
    }
    loop = ws_loop_new(&loop_config);
    server = ws_listen(loop, &config);
    ws_route(server, "/", &(ws_handler){.on_message = ask});
    while (started < WORKERS && pthread_create(&workers[started], NULL, work, NULL) == 0)
        started++;
    if (!ws_loop_error(loop) && started) {
        signal(SIGINT, stop);
        signal(SIGTERM, stop);
        printf(strchr(config.host, ':') ? "ws://[%s]:%u/\n" : "ws://%s:%u/\n", config.host, ws_port(server));
        fflush(stdout);
    }
    error = started ? ws_run(loop) : WS_ERROR_SYSTEM; /* returns at once when something above has failed */
    if (error)
        fprintf(stderr, "pool: %s\n", started ? ws_loop_error_text(loop) : "the system has no more threads");
    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_broadcast(&more);
    pthread_mutex_unlock(&lock);
    for (i = 0; i < started; i++)
        pthread_join(workers[i], NULL);
    ws_loop_free(loop); /* behind the workers, which post to it */
    return error ? 1 : 0;
}
