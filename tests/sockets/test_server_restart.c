/* SERVER: a listening descriptor that is handed in, and handed over: a process is replaced under load. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#include <signal.h>
#include <sys/wait.h>

static char folder[] = "build/server-restart-XXXXXX"; /* where make runs the tests from */
static const char *program;

static const char *in_folder(const char *name) {
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static bool exists(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0;
}

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

/* --- handed in --- */

static int listening_tcp(void) {
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 100) == 0);
    return fd;
}

static int listening_unix(const char *path) {
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(wsi_platform_unix(path, &address) && bind(fd, (struct sockaddr *)&address, sizeof address) == 0
          && listen(fd, 100) == 0);
    return fd;
}

static bool listens_on(int descriptor, const char *path) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.descriptor = descriptor;
    config.unix_path = path;
    net.server = ws_listen(net.loop, &config);
    return net.server && net_route("/");
}

/* A connection to the path, or to the port. */
static int connected(const char *path, uint16_t port) {
    struct sockaddr_un local;
    struct sockaddr_in address;
    int fd = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM, 0), result;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (path && wsi_platform_unix(path, &local))
        result = connect(fd, (struct sockaddr *)&local, sizeof local);
    else
        result = connect(fd, (struct sockaddr *)&address, sizeof address);
    if (result == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static void test_handed_in(void) {
    if (!test_begin("a listening descriptor is handed in: the server serves there, and closes it at the end"))
        return;
    net_start_loop(NULL);
    int fd = listening_tcp();
    CHECK(listens_on(fd, NULL));
    CHECK(ws_port(net.server) != 0 && net_serves());
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ws_server_free(net.server);
    CHECK(net_settle() && !is_open(fd));
    NET_END();
}

static void test_handed_in_unix(void) {
    const char *path = in_folder("in");
    for (int named = 0; named < 2; named++) {
        if (!test_begin("the same with a Unix socket; its file %s", named ? "is removed, if named" : "stays"))
            continue;
        net_start_loop(NULL);
        CHECK(listens_on(listening_unix(path), named ? path : NULL));
        int fd = connected(path, 0);
        CHECK(fd >= 0 && net_settle() && net.loop->conn_count == 1);
        (void)close(fd);
        CHECK(net_settle());
        NET_END();
        CHECK_EQ(exists(path), !named);
        CHECK(named || remove(path) == 0);
    }
}

static int wrong(int kind) {
    int ends[2];
    switch (kind) {
    case 0: return open(TEST_WINDOWS ? __FILE__ : ".", O_RDONLY);
    case 1: return socket(AF_INET, SOCK_DGRAM, 0);
    case 2: return socket(AF_INET, SOCK_STREAM, 0);
    case 3:
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        (void)close(ends[1]);
        return ends[0];
    case 4: return 999;
    default: return -1;
    }
}

static void test_wrong(void) {
    static const char *const words[] = {"not an open socket", "datagrams", "does not listen", "does not listen",
                                        "not an open socket", "not an open socket"};
    for (int kind = 0; kind < 6; kind++) {
        char text[200];
        if (!test_begin("a descriptor that cannot listen, number %d: the error says what it is", kind))
            continue;
        int fd = wrong(kind), flags = fcntl(fd, F_GETFL);
        net_start_loop(NULL);
        CHECK(!listens_on(fd, NULL));
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
        (void)snprintf(text, sizeof text, "descriptor %d: ", fd);
        CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL(text)) == ws_loop_error_text(net.loop));
        CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL(words[kind])));
        NET_END();
        CHECK_EQ(is_open(fd), kind < 4);
        CHECK_EQ(fcntl(fd, F_GETFL), flags);
        (void)close(fd);
    }
}

static void test_fails(void) {
    const char *path = in_folder("fails");
    if (!test_begin("when listening fails, the program still owns the descriptor and its file"))
        return;
    ws_loop_config config;
    memset(&config, 0, sizeof config);
    config.poller = WS_POLLER_EPOLL;
    net_start_loop(&config);
    int fd = listening_unix(path);
    calls_reset();
    calls.fail_at[CALLS_KERNEL_CONTROL] = 1;
    calls.error = ENOSPC;
    net_inside(true);
    CHECK(!listens_on(fd, path));
    net_inside(false);
    calls_reset();
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_DESCRIPTORS);
    net.descriptors++;
    NET_END();
    CHECK(is_open(fd) && exists(path));
    (void)close(fd);
    CHECK(remove(path) == 0);
}

static void test_twice(void) {
    if (!test_begin("a descriptor that the loop listens on already is refused; the first server continues"))
        return;
    char text[100];
    net_start_loop(NULL);
    int fd = listening_tcp();
    CHECK(listens_on(fd, NULL));
    ws_server *first = net.server;
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.descriptor = fd;
    CHECK(!ws_listen(net.loop, &config));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
    (void)snprintf(text, sizeof text, "descriptor %d: this loop listens on it already", fd);
    CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL(text));
    CHECK(ws_port(first) != 0);
    NET_END();
}

static void test_handed_over(void) {
    const char *path = in_folder("over");
    ws_server_config config;
    if (!test_begin("a Unix socket that was handed over: its file stays until the successor ends"))
        return;
    memset(&config, 0, sizeof config);
    config.unix_path = path;
    CHECK(net_start_with(NULL, &config));
    int fd = (int)ws_hand_over(net.server, 0), successors = dup(fd);
    CHECK(fd >= 0 && (int)ws_hand_over(net.server, 1) == -1 && (int)ws_hand_over(NULL, 0) == -1);
    ws_server_free(net.server);
    CHECK(exists(path) && !is_open(fd));
    CHECK(listens_on(successors, path));
    fd = connected(path, 0);
    CHECK(fd >= 0 && net_settle() && net.loop->conn_count == 1);
    (void)close(fd);
    CHECK(net_settle());
    NET_END();
    CHECK(!exists(path));
}

/* --- a process that is replaced --- */

static struct {
    ws_loop *loop;
    ws_server *server;
    const char *path;
    int news; /* a pipe to the test */
} served;

static void say_who(ws_request *request, void *user) {
    char text[40];
    (void)user;
    (void)snprintf(text, sizeof text, "%ld\n", (long)getpid());
    (void)ws_reply(request, 200, "text/plain", text);
}

/* A signal of the test: starts the successor. */
static void replace(void *unused) {
    char listening[20], news[20];
    int fd = (int)ws_hand_over(served.server, 0);
    (void)unused;
    if (fork() != 0)
        return;
    (void)snprintf(listening, sizeof listening, "%d", dup(fd)); /* these two are not closed on exec */
    (void)snprintf(news, sizeof news, "%d", served.news);
    (void)execl(program, program, "--serve", listening, news, served.path ? served.path : "", (char *)NULL);
    _exit(1);
}

static void on_signal(int number) {
    if (number == SIGUSR1)
        (void)ws_post(served.loop, replace, NULL);
    else
        (void)ws_shutdown(served.loop, 5000);
}

/* The process: "--serve" descriptor news path. It reports its pid and port when it listens. */
static int serve(char **arguments) {
    ws_server_config config;
    struct { long pid; uint16_t port; } news;
    (void)alarm(60); /* the test has failed */
    memset(&served, 0, sizeof served);
    memset(&config, 0, sizeof config);
    memset(&news, 0, sizeof news);
    served.path = *arguments[2] ? arguments[2] : NULL;
    served.news = atoi(arguments[1]);
    config.descriptor = atoi(arguments[0]);
    config.unix_path = served.path;
    served.loop = ws_loop_new(NULL);
    served.server = ws_listen(served.loop, &config);
    (void)ws_http(served.server, "GET", "/", say_who, NULL);
    (void)signal(SIGUSR1, on_signal);
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGCHLD, SIG_IGN);
    news.pid = (long)getpid();
    news.port = ws_port(served.server);
    if (!served.server || write(served.news, &news, sizeof news) != (ssize_t)sizeof news)
        return 1;
    int status = (int)ws_run(served.loop);
    ws_loop_free(served.loop);
    return status;
}

enum { LOADERS = 4, PROCESSES = 6, SEEN = 40 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for load.pid and *load.stop */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

typedef struct load { /* what one thread does */
    const char *path;
    uint16_t port;
    bool *stop;
    unsigned answers, refused, broken, changes;
    long pid; /* the process that answered last */
} load;

/* A request on a connection of its own; returns who answered, or 0. */
static long ask_once(load *l) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    char answer[1000];
    size_t size = 0;
    ssize_t got = 1;
    int fd = connected(l->path, l->port);
    if (fd < 0) {
        l->refused++;
        return 0;
    }
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        l->broken++;
    while (got > 0 && size < sizeof answer - 1) {
        got = recv(fd, answer + size, sizeof answer - 1 - size, 0);
        size += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    answer[size] = 0;
    const char *body = strstr(answer, "\r\n\r\n");
    if (got < 0 || !body || strncmp(answer, "HTTP/1.1 200 ", 13) != 0) {
        l->broken++;
        return 0;
    }
    l->answers++;
    return atol(body + 4);
}

static bool stopped(const load *l) {
    (void)pthread_mutex_lock(&lock);
    bool stop = *l->stop;
    (void)pthread_mutex_unlock(&lock);
    return stop;
}

static void *ask_always(void *argument) {
    load *l = (load *)argument;
    while (!stopped(l)) {
        long pid = ask_once(l);
        if (!pid || pid == l->pid)
            continue;
        l->changes++;
        (void)pthread_mutex_lock(&lock);
        l->pid = pid;
        (void)pthread_cond_signal(&changed);
        (void)pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Waits until this process has answered each thread. */
static void wait_for_all(const load *loads, long pid) {
    (void)pthread_mutex_lock(&lock);
    for (int i = 0; i < LOADERS; i++)
        while (loads[i].pid != pid)
            (void)pthread_cond_wait(&changed, &lock);
    (void)pthread_mutex_unlock(&lock);
}

static void test_replaced(bool local) {
    bool stop = false;
    const char *path = local ? in_folder("served") : NULL;
    struct { long pid; uint16_t port; } news, next;
    load loads[LOADERS];
    pthread_t threads[LOADERS];
    unsigned refused = 0, broken = 0, answers = 0;
    int ends[2];
    char listening[20], to[20];
    if (!test_begin("a process is replaced %d times under load over %s: no connection is refused or broken",
                    PROCESSES, local ? "a Unix socket" : "TCP"))
        return;
    CHECK(pipe(ends) == 0);
    int fd = local ? listening_unix(path) : listening_tcp();
    (void)snprintf(listening, sizeof listening, "%d", fd);
    (void)snprintf(to, sizeof to, "%d", ends[1]);
    pid_t first = fork();
    if (first == 0) {
        (void)close(ends[0]);
        (void)execl(program, program, "--serve", listening, to, path ? path : "", (char *)NULL);
        _exit(1);
    }
    (void)close(fd); /* or connections would wait for this process when all others are gone */
    (void)close(ends[1]);
    CHECK(read(ends[0], &news, sizeof news) == (ssize_t)sizeof news);
    memset(loads, 0, sizeof loads);
    for (int i = 0; i < LOADERS; i++) {
        loads[i].path = path;
        loads[i].port = news.port;
        loads[i].stop = &stop;
        CHECK(pthread_create(&threads[i], NULL, ask_always, &loads[i]) == 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        load own = {path, news.port, NULL, 0, 0, 0, 0, 0};
        for (int seen = 0; seen < SEEN; seen++)
            (void)ask_once(&own);
        CHECK_EQ(own.answers, SEEN);
        wait_for_all(loads, news.pid);
        CHECK(kill((pid_t)news.pid, SIGUSR1) == 0);
        if (read(ends[0], &next, sizeof next) != (ssize_t)sizeof next)
            break;
        CHECK(kill((pid_t)news.pid, SIGTERM) == 0);
        CHECK(next.pid != news.pid && next.port == news.port);
        news = next;
    }
    load own = {path, news.port, NULL, 0, 0, 0, 0, 0};
    while (own.refused + own.broken == 0 && ask_once(&own) != news.pid) {}
    wait_for_all(loads, news.pid);
    (void)pthread_mutex_lock(&lock);
    stop = true;
    (void)pthread_mutex_unlock(&lock);
    for (int i = 0; i < LOADERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(loads[i].changes > PROCESSES);
        refused += loads[i].refused;
        broken += loads[i].broken;
        answers += loads[i].answers;
    }
    CHECK_EQ(refused, 0);
    CHECK_EQ(broken, 0);
    CHECK(answers > 0);
    CHECK(kill((pid_t)news.pid, SIGTERM) == 0);
    CHECK_EQ(read(ends[0], &next, sizeof next), 0); /* all processes have ended */
    (void)close(ends[0]);
    CHECK(waitpid(first, NULL, 0) == first);
    CHECK(connected(path, news.port) < 0);
    CHECK(!local || !exists(path));
}

int main(int argc, char **argv) {
    program = argv[0];
    if (argc > 4 && strcmp(argv[1], "--serve") == 0)
        return serve(argv + 2);
    test_start_in_tree(argc, argv);
    (void)test_begin("a folder for sockets");
    CHECK(mkdtemp(folder) != NULL);
    test_handed_in();
    test_wrong();
    test_twice();
    test_posix_from_here("Unix sockets");
    test_handed_in_unix();
    test_fails();
    test_handed_over();
    test_posix_from_here("fork");
    test_replaced(false);
    test_replaced(true);
    test_posix_from_here(NULL);
    (void)test_begin("the folder is empty at the end");
    CHECK(rmdir(folder) == 0);
    return test_finish();
}
