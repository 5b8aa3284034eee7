/* Members of chat rooms, each of which says the next thing when its last one has come back: the load of
   tests/bench/cluster.

     members SECONDS PORT... -- PID...     20 rooms of 15; the members of a room are spread over the ports

   Prints messages and deliveries a second, and the CPU time that each process spent for a message. Linux. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 300, ROOM = 15, PIDS = 8, WARM_MS = 1000 };

typedef struct member {
    ws_conn *conn;
    char mark[32]; /* in what it says itself */
} member;

static member members[MEMBERS];
static unsigned long said, heard;
static unsigned open_count;
static const char *pids[PIDS];
static double before[PIDS];
static uint32_t seconds;

/* What a process spent so far, in microseconds. */
static double spent(const char *pid) {
    char path[64], line[64] = "";
    (void)snprintf(path, sizeof path, "/proc/%.20s/schedstat", pid);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file))
        perror(path);
    if (file)
        (void)fclose(file);
    return strtod(line, NULL) / 1000;
}

static void say(member *who) { (void)ws_send_text(who->conn, "forty-two bytes, as of a line that is typed"); }

static void opened(ws_conn *conn) {
    ((member *)ws_user(conn))->conn = conn;
    open_count++;
}

static void received(ws_conn *conn, ws_message message) {
    member *who = (member *)ws_user(conn);
    const char *text = (const char *)message.data;
    if (!strstr(text, "\"say\""))
        return;
    heard++;
    if (strstr(text, who->mark)) {
        said++;
        say(who);
    }
}

static void report(ws_loop *loop, void *user) {
    (void)user;
    printf("%lu messages/s, %lu deliveries/s; CPU us for a message:", said / seconds, heard / seconds);
    for (int i = 0; i < PIDS && pids[i]; i++)
        printf(" %.1f", (spent(pids[i]) - before[i]) / (double)said);
    printf("\n");
    (void)ws_stop(loop);
}

static void begin(ws_loop *loop, void *user) {
    (void)user;
    said = heard = 0;
    for (int i = 0; i < PIDS && pids[i]; i++)
        before[i] = spent(pids[i]);
    (void)ws_after(loop, 1000 * seconds, report, NULL);
}

static void warm(ws_loop *loop, void *user) {
    (void)user;
    if (open_count != MEMBERS) {
        fprintf(stderr, "members: %u of %d are connected\n", open_count, MEMBERS);
        exit(1);
    }
    for (int i = 0; i < MEMBERS; i++)
        say(&members[i]);
    (void)ws_after(loop, WARM_MS, begin, NULL);
}

int main(int argc, char **argv) {
    ws_loop *loop = ws_loop_new(NULL);
    ws_handler handler = {.on_open = opened, .on_message = received};
    int ports = 2, i;
    while (ports < argc && strcmp(argv[ports], "--") != 0)
        ports++;
    for (i = 0; i < PIDS && ports + 1 + i < argc; i++)
        pids[i] = argv[ports + 1 + i];
    seconds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    for (i = 0; i < MEMBERS && seconds && ports > 2; i++) {
        char url[100];
        (void)snprintf(url, sizeof url, "ws://127.0.0.1:%s/ws/r%d/m%d", argv[2 + i % (ports - 2)], i / ROOM, i);
        (void)snprintf(members[i].mark, sizeof members[i].mark, "\"name\":\"m%d\"", i);
        handler.user = &members[i];
        (void)ws_dial(loop, url, &handler, NULL);
    }
    (void)ws_after(loop, 2 * WARM_MS, warm, NULL);
    return (int)ws_run(loop);
}
