/* Slow work in worker threads: the loop takes questions, the workers compute, and ws_post brings each answer back to
   the loop's thread. From the top of the tree:

       cc -O2 -pthread -DWS_NO_TLS -o pool examples/pool.c
       ./pool                              then send a number to ws://127.0.0.1:9004/

   A worker touches no connection: it has the id, and the answer looks the connection up. A client that has left is not
   found, and nothing is sent.
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h"

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
    ws_id conn;          /* who asked */
    uint32_t number, primes;
} job;

static ws_loop *loop;
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

int main(int argc, char **argv) {
    ws_server_config config = {.port = 9004, .limits = {.message = 64}};
    pthread_t workers[WORKERS];
    ws_server *server;
    int started, i, status;
    loop = start(argc, argv, usage, NULL, &config);
    for (i = 0; i < JOBS; i++) {
        jobs[i].next = unused;
        unused = &jobs[i];
    }
    server = ws_listen(loop, &config);
    ws_route(server, "/", &(ws_handler){.on_message = ask});
    for (started = 0; started < WORKERS; started++)
        if (pthread_create(&workers[started], NULL, work, NULL) != 0)
            break;
    if (!started)
        fprintf(stderr, "pool: the system has no more threads\n");
    status = started ? run_server(server, "ws") : 1;
    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_broadcast(&more);
    pthread_mutex_unlock(&lock);
    for (i = 0; i < started; i++)
        pthread_join(workers[i], NULL);
    ws_loop_free(loop); /* behind the workers, which post to it */
    return status;
}
