/* SERVER: listening on a Unix socket: no file of others is removed, and nothing blocks. */
#include "../helpers/calls.h"

#ifndef _WIN32
/* A file that ws.h removes is another program's once a socket is closed: at the same path, with the same inode. */
static const char *path_taken; /* NULL: nobody takes it */
static char path_again[300];   /* a second name of the file */
static int renamed;            /* how often the second name became the first */

static int taken_unlink(const char *path) {
    if (path_taken && calls.inside && link(path, path_again) != 0)
        return -1;
    return unlink(path);
}

static int taken_close(int fd) {
    int result = close(fd);
    if (path_taken && calls.inside && rename(path_again, path_taken) == 0)
        renamed++;
    return result;
}

#define unlink taken_unlink
#define close taken_close
#endif
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#include <signal.h>
#if defined(__linux__)
#include <sys/sysmacros.h> /* makedev */
#endif

static char folder[] = "build/server-unix-XXXXXX"; /* where make runs the tests from */

static const char *in_folder(const char *name) {
    static char path[2][300];
    static int turn;
    turn = !turn;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* A socket of that type bound to the path; backlog -1: it does not listen. */
static int bound(const char *path, int type, int backlog) {
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, type, 0);
    CHECK(wsi_platform_unix(path, &address) && fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(backlog < 0 || listen(fd, backlog) == 0);
    return fd;
}

/* A socket that does not block. */
static int client(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

/* Connects until the system says that no more fit. Returns how many there are. */
static size_t fill(const char *path, int *fds, size_t most) {
    struct sockaddr_un address;
    size_t count = 0;
    CHECK(wsi_platform_unix(path, &address));
    for (; count < most; count++) {
        fds[count] = client();
        if (connect(fds[count], (struct sockaddr *)&address, sizeof address) != 0)
            break;
    }
    CHECK(count < most && errno == EAGAIN);
    return count + 1;
}

static bool listens_at(const char *path) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.unix_path = path;
    return net_start_with(NULL, &config);
}

static bool exists(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0;
}

/* Whether the socket at the path takes connections. */
static bool answers(const char *path) {
    struct sockaddr_un address;
    int fd = client();
    bool good = wsi_platform_unix(path, &address) && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    return good;
}

static volatile sig_atomic_t rang;

static void ring(int number) { rang = number; }

typedef enum thing { FILE_, EMPTY_FILE, LINK_, DANGLING, LINK_TO_OLD, FIFO, FOLDER, DEVICE, LIVE, FULL, DATAGRAM,
    PACKETS, THINGS } thing;

static const struct { const char *what, *word; } things[THINGS] = {
    {"a regular file", "regular file"}, {"an empty file", "regular file"}, {"a link to a file", "symbolic link"},
    {"a link to nothing", "symbolic link"}, {"a link to an old socket", "symbolic link"}, {"a FIFO", "FIFO"},
    {"a folder", "folder"}, {"a device", "device"}, {"a socket that somebody listens on", "in use"},
    {"one whose queue is full", "in use"}, {"a datagram socket", "in use"}, {"one of packets", "in use"}};

static int put(thing kind, const char *path) {
    const char *other = in_folder("other");
    int fd = -1;
    if (kind == FILE_ || kind == EMPTY_FILE || kind == LINK_) {
        FILE *file = fopen(kind == LINK_ ? other : path, "w");
        CHECK(file && fputs(kind == EMPTY_FILE ? "" : "mine", file) >= 0 && fclose(file) == 0);
    }
    if (kind == LINK_TO_OLD)
        (void)close(bound(other, SOCK_STREAM, 1));
    if (kind == LINK_ || kind == DANGLING || kind == LINK_TO_OLD)
        CHECK(symlink("other", path) == 0);
    if (kind == FIFO)
        CHECK(mkfifo(path, 0600) == 0);
    if (kind == FOLDER)
        CHECK(mkdir(path, 0700) == 0);
    if (kind == DEVICE && mknod(path, S_IFCHR | 0600, makedev(1, 3)) != 0)
        return -2; /* needs root */
    if (kind == LIVE || kind == FULL)
        fd = bound(path, SOCK_STREAM, kind == LIVE ? 8 : 0);
    if (kind == DATAGRAM)
        fd = bound(path, SOCK_DGRAM, -1);
    if (kind == PACKETS)
        fd = bound(path, SOCK_SEQPACKET, 1);
    return fd;
}

/* Anything that may be at the path is kept, and the error names the path and what is there. */
static void test_occupied(void) {
    const char *path = in_folder("socket");
    char kept[300];
    int kind;
    (void)snprintf(kept, sizeof kept, "%s", path);
    for (kind = 0; kind < THINGS; kind++) {
        wsi_file_id before = {0, 0}, after = {0, 0};
        int fd, taken[64];
        size_t count = 0;
        if (!test_begin("%s is at unix_path: it is kept", things[kind].what))
            continue;
        fd = put((thing)kind, kept);
        if (fd == -2) {
            test_skip("only root makes devices");
            continue;
        }
        if (kind == FULL)
            count = fill(kept, taken, 64);
        CHECK(wsi_platform_file_id(kept, &before));
        rang = 0;
        (void)alarm(5); /* a connect to the one with a full queue would block for ever */
        CHECK(!listens_at(kept));
        (void)alarm(0);
        CHECK(!rang);
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_IN_USE);
        CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL(kept)));
        CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL(things[kind].word)));
        CHECK(wsi_platform_file_id(kept, &after) && before.inode == after.inode && before.device == after.device);
        CHECK(kind != LIVE || answers(kept));
        NET_END();
        CHECK(exists(kept));
        while (count)
            (void)close(taken[--count]);
        if (fd >= 0)
            (void)close(fd);
        CHECK(remove(kept) == 0);
        (void)remove(in_folder("other"));
    }
}

static void test_old(void) {
    const char *path = in_folder("old");
    int listening, fd;
    for (listening = 0; listening < 2; listening++) {
        if (!test_begin("a socket that nobody listens on %s is replaced", listening ? "any more" : "yet"))
            continue;
        fd = bound(path, SOCK_STREAM, listening ? 1 : -1);
        if (listening)
            (void)close(fd);
        CHECK(listens_at(path) && answers(path));
        CHECK(net_settle());
        NET_END();
        CHECK(!exists(path));
        if (!listening)
            (void)close(fd);
    }
}

static void test_ends(void) {
    const char *path = in_folder("end");
    int how;
    for (how = 0; how < 3; how++) {
        if (!test_begin("the socket's file is removed by %s", how == 0 ? "ws_loop_free" : how == 1 ? "ws_server_free"
                                                                                             : "ws_shutdown"))
            continue;
        CHECK(!exists(path) && listens_at(path) && exists(path));
        if (how == 1)
            ws_server_free(net.server);
        if (how == 2)
            CHECK(ws_shutdown(net.loop, 1000) && net_settle());
        CHECK_EQ(exists(path), how == 0);
        NET_END();
        CHECK(!exists(path));
    }
}

static void test_no_folder(void) {
    if (!test_begin("a path in a folder that does not exist: the error says so"))
        return;
    CHECK(!listens_at(in_folder("none/socket")));
    CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL("none/socket")));
    CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL(strerror(ENOENT))));
    NET_END();
}

/* A second server that takes the path over, as a restart without a pause does. */
static void test_successor(void) {
    const char *path = in_folder("next");
    ws_server_config config;
    ws_server *next;
    memset(&config, 0, sizeof config);
    config.unix_path = path;
    if (test_begin("a server that ends leaves its successor's socket alone")) {
        CHECK(listens_at(path) && unlink(path) == 0);
        next = ws_listen(net.loop, &config);
        CHECK(next && answers(path));
        ws_server_free(net.server);
        CHECK(exists(path) && answers(path));
        CHECK(net_settle());
        ws_server_free(next);
        CHECK(!exists(path));
        NET_END();
    }
    if (test_begin("a server that ends leaves a file alone that took its socket's place")) {
        FILE *file;
        CHECK(listens_at(path) && unlink(path) == 0);
        file = fopen(path, "w");
        CHECK(file && fclose(file) == 0);
        NET_END();
        CHECK(exists(path) && remove(path) == 0);
    }
    if (test_begin("two servers at one path: the second one fails, the first keeps serving")) {
        CHECK(listens_at(path) && !ws_listen(net.loop, &config));
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_IN_USE);
        CHECK(answers(path));
        NET_END();
    }
}

/* A failure after bind leaves no file. */
static void test_faults(void) {
    static const calls_kind kinds[] = {CALLS_SOCKET, CALLS_FCNTL, CALLS_BIND, CALLS_CHMOD, CALLS_LISTEN, CALLS_CONNECT,
                                       CALLS_KERNEL_CONTROL};
    const char *path = in_folder("fault");
    size_t i, at, failed = 0, chmods = 0;
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        for (at = 1; at < 6; at++) {
            ws_server_config config;
            if (!test_begin("%s number %zu fails in listening", calls_names[kinds[i]], at))
                continue;
            (void)close(bound(path, SOCK_STREAM, 1));
            memset(&config, 0, sizeof config);
            config.unix_path = path;
            config.unix_mode = 0600;
            net_start_loop(NULL);
            calls_reset();
            calls.fail_at[kinds[i]] = at;
            calls.error = EMFILE;
            net_inside(true);
            net.server = ws_listen(net.loop, &config);
            net_inside(false);
            failed += !net.server;
            chmods += kinds[i] == CALLS_CHMOD && !net.server
                      && strstr(ws_loop_error_text(net.loop), NET_DETAIL(strerror(EMFILE)));
            calls_reset();
            CHECK(net.server || ws_loop_error(net.loop));
            CHECK(!net.server || answers(path));
            CHECK(!net.server || net_settle());
            NET_END();
            CHECK(!exists(path) || kinds[i] < CALLS_LISTEN || kinds[i] == CALLS_CONNECT);
            (void)remove(path);
        }
    }
    CHECK(failed > 3);
    CHECK_EQ(chmods, 1); /* the error text is the system's */
}

#ifndef _WIN32
/* A file that has the removed one's inode number is not removed. */
static void test_taken(void) {
    char path[300];
    ws_server_config config;
    if (!test_begin("the mode cannot be set, and another program takes the path"))
        return;
    memset(&config, 0, sizeof config);
    (void)snprintf(path, sizeof path, "%s/taken", folder);
    (void)snprintf(path_again, sizeof path_again, "%s/again", folder);
    config.unix_path = path;
    config.unix_mode = 0600;
    net_start_loop(NULL);
    calls_reset();
    calls.fail_at[CALLS_CHMOD] = 1;
    calls.error = EPERM;
    path_taken = path;
    net_inside(true);
    net.server = ws_listen(net.loop, &config);
    net_inside(false);
    path_taken = NULL;
    calls_reset();
    CHECK(renamed == 1 && !net.server && exists(path) && !exists(path_again));
    NET_END();
    (void)remove(path);
    (void)remove(path_again);
}
#else
static void test_taken(void) {}
#endif

#ifdef __linux__
#define LIMIT "a unix_path has 1 to 107 bytes"
#else
#define LIMIT "a unix_path has 1 to 103 bytes"
#endif

static void test_mode(void) {
    static const unsigned modes[] = {0, 0600, 0660, 0666, 0700};
    const char *path = in_folder("mode");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        ws_server_config config;
        struct stat status;
        if (!test_begin("unix_mode %o, whatever the umask is", modes[i]))
            continue;
        memset(&config, 0, sizeof config);
        config.unix_path = path;
        config.unix_mode = modes[i];
        mode_t before = umask(i % 2 ? 0 : 0117);
        CHECK(net_start_with(NULL, &config));
        (void)umask(before);
        CHECK(stat(path, &status) == 0);
        CHECK_EQ(status.st_mode & 07777, modes[i] ? modes[i] : 0660);
        CHECK(answers(path) && net_settle());
        NET_END();
    }
}

static void test_bad_path(void) {
    char longest[130];
    const char *const bad[] = {"", "build/none/such/socket", longest};
    size_t i;
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    memcpy(longest, "build/", 6);
    if (!test_begin("a path that is empty, too long, or in no folder"))
        return;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(!listens_at(bad[i]));
        CHECK_EQ(ws_loop_error(net.loop), i == 1 ? WS_ERROR_SYSTEM : WS_ERROR_ADDRESS);
        if (i == 0)
            CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL(": " LIMIT));
        if (i == 2)
            CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL("aaa: " LIMIT)));
        NET_END();
    }
    char path[400];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = 0;
    CHECK(!listens_at(path));
    CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL("aaa: " LIMIT))); /* the error text has room for it */
    NET_END();
}

int main(int argc, char **argv) {
    struct sigaction action;
    test_start_in_tree(argc, argv);
    memset(&action, 0, sizeof action);
    action.sa_handler = ring;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    test_posix_from_here("Unix sockets");
    (void)test_begin("a folder for sockets");
    CHECK(mkdtemp(folder) != NULL);
    test_occupied();
    test_old();
    test_ends();
    test_no_folder();
    test_successor();
    test_faults();
    test_taken();
    test_mode();
    test_bad_path();
    (void)test_begin("the folder is empty at the end");
    CHECK(rmdir(folder) == 0);
    return test_finish();
}
