/* Slow work in worker threads: the loop receives requests, the workers compute, and ws_post hands each answer to the
   loop's thread. From the top of the tree:

       cc -O2 -pthread -DWS_NO_TLS -o pool examples/pool.c
       ./pool                              then send a number to ws://127.0.0.1:9004/

   A worker never touches a connection. It has only the id, with which the loop's thread then looks the connection up.
   If the client has left, ws_find returns NULL, and nothing is sent.
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { WORKERS = 4, JOBS = 256 };

static const char usage[] =
    "usage: pool " SERVER_OPTIONS
    "Send a number: worker threads count the primes below it.\n"
    SERVER_HELP("9004");

typedef struct job {
    struct job *next;
    ws_loop *loop;       /* the loop of conn */
    ws_id conn;
    uint32_t number, primes;
} job;

static job jobs[JOBS], *unused; /* used in the loop's thread only */
static job *first, **last = &first; /* the queue of jobs for the workers; the lock guards it and `ending` */
static bool ending;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;

/* --- in the loop's thread --- */

static void answer(void *argument) {
    job *done = argument;
    ws_send_json(ws_find(done->loop, done->conn), "{'below':%u,'primes':%u}", (unsigned)done->number,
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
        ws_send_json(conn, "{'error':'all workers are busy: ask again later'}");
    } else {
        unused = next->next;
        next->next = NULL;
        next->loop = ws_conn_loop(conn);
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
        ws_post(taken->loop, answer, taken); /* cannot fail: more posts than there are jobs may be pending */
    }
    return NULL;
}

/* --- start and end --- */

int main(int argc, char **argv) {
    ws_server_config config = {.port = 9004, .hosts = "127.0.0.1, localhost, [::1]", /* against DNS rebinding */
                               .limits = {.message = 64}};
    ws_loop_config loop_config = {.trace = NULL};
    pthread_t workers[WORKERS];
    int started, i;
    read_server_options(argc, argv, usage, NULL, &config, &loop_config);
    for (i = 0; i < JOBS; i++) {
        jobs[i].next = unused;
        unused = &jobs[i];
    }
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_route(server, "/", &(ws_handler){.on_message = ask});
    for (started = 0; started < WORKERS; started++)
        if (pthread_create(&workers[started], NULL, work, NULL) != 0)
            break;
    if (!started) {
        fprintf(stderr, "pool: the system has no more threads\n");
        ws_loop_free(loop);
        return 1;
    }
    announce(loop, server, "ws");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "pool: %s\n", ws_loop_error_text(loop));
    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_broadcast(&more);
    pthread_mutex_unlock(&lock);
    for (i = 0; i < started; i++)
        pthread_join(workers[i], NULL);
    ws_loop_free(loop); /* only now, because the workers post to it */
    return error ? 1 : 0;
}
