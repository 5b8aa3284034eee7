/* FILES: files that the system does not open or read. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#include <sys/resource.h>

static char folder[] = "build/server-files-XXXXXX"; /* where make runs the tests from */

static const char *in_folder(const char *name) {
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text, size_t size) {
    FILE *file = fopen(in_folder(name), "wb");
    CHECK(file && fwrite(text, 1, size, file) == size && fclose(file) == 0);
}

static void start(void) {
    CHECK(net_start());
    CHECK(ws_files(net.server, "/", folder));
}

static peer *get(const char *path) {
    char text[300];
    peer *p = net_connect();
    (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    peer_text(p, text);
    net_settle();
    return p;
}

/* RFC 9110 15.5.4, 15.5.5, 15.6.1, 15.6.4: a client that reads 404 may forget the link for good, so it must be true. */
static void test_reasons(void) {
    static const struct { calls_kind call; size_t at; int error, status; } cases[] = {
        {CALLS_OPENAT, 1, ENOENT, 404}, {CALLS_OPENAT, 1, ENOTDIR, 404}, {CALLS_OPENAT, 1, ELOOP, 404},
        {CALLS_OPENAT, 1, ENAMETOOLONG, 404}, {CALLS_OPENAT, 1, ENXIO, 404}, {CALLS_OPENAT, 1, EACCES, 403},
        {CALLS_OPENAT, 1, EPERM, 403}, {CALLS_OPENAT, 1, EMFILE, 503}, {CALLS_OPENAT, 1, ENFILE, 503},
        {CALLS_OPENAT, 1, ENOMEM, 503}, {CALLS_OPENAT, 1, EIO, 500}, {CALLS_OPENAT, 2, EACCES, 403},
        {CALLS_OPENAT, 2, EMFILE, 503}, {CALLS_OPENAT, 2, ENOENT, 404}, {CALLS_FSTAT, 1, EIO, 500},
        {CALLS_FSTAT, 1, EOVERFLOW, 500},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!test_begin("%s number %zu fails with %s: %d", calls_names[cases[i].call], cases[i].at,
                        strerror(cases[i].error), cases[i].status))
            continue;
        start();
        calls_reset();
        calls.fail_at[cases[i].call] = cases[i].at;
        calls.fail_after = cases[i].call == CALLS_FSTAT; /* what serves kqueue asks about sockets */
        calls.error = cases[i].error;
        CHECK_EQ(peer_status(get("/sub/a.txt")), cases[i].status);
        calls_reset();
        CHECK_EQ(peer_status(get("/sub/a.txt")), 200);
        NET_END();
    }
}

/* With no descriptor left the folder itself cannot be opened. */
static void test_no_descriptor(void) {
    int taken[2000];
    size_t count = 0;
    struct rlimit limit, before;
    peer *p;
    if (!test_begin("no descriptor left: an existing file is 503, and 200 later")
        || !test_posix("a limit of descriptors"))
        return;
    start();
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    limit = before;
    limit.rlim_cur = 256;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    p = net_connect(); /* the socket is accepted before */
    net_settle();
    while (count < 2000 && (taken[count] = dup(0)) >= 0)
        count++;
    CHECK_EQ(errno, EMFILE);
    peer_text(p, "GET /sub/a.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(peer_status(p), 503);
    while (count)
        (void)close(taken[--count]);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_EQ(peer_status(get("/sub/a.txt")), 200);
    NET_END();
}

static void check_withheld(const char *name) {
    uid_t user = geteuid();
    CHECK(chmod(in_folder(name), 0) == 0);
    CHECK(user != 0 || seteuid(65534) == 0); /* root may read everything */
    CHECK_EQ(peer_status(get("/sub/a.txt")), 403);
    CHECK(user != 0 || seteuid(user) == 0);
    CHECK(chmod(in_folder(name), 0700) == 0);
    CHECK_EQ(peer_status(get("/sub/a.txt")), 200);
}

static void test_not_ours(void) {
    if (!test_begin("no permission for a file, its folder or the top folder: 403")
        || !test_posix("chmod"))
        return;
    start();
    check_withheld("sub/a.txt");
    check_withheld("sub");
    check_withheld("");
    NET_END();
}

/* A sparse file, without a byte on the disk. */
static void test_large(void) {
    peer *p;
    if (!test_begin("a file of 5,000,000,000 bytes is served, where long has 32 bits as well"))
        return;
    CHECK(TEST_WINDOWS || sizeof(ino_t) > 4); /* or fstat fails for an inode above 2^32, with EOVERFLOW */
    start();
    put("large", "", 0);
    CHECK(truncate(in_folder("large"), 5000000000) == 0);
    p = net_connect();
    peer_text(p, "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n");
    net_settle();
    CHECK(peer_has(p, "\r\nContent-Length: 5000000000\r\n"));
    CHECK_EQ(peer_status(p), 200);
    NET_END();
}

/* Removes what this suite made, and nothing else. */
static void remove_files(void) {
    static const char *const names[] = {"large", "sub/a.txt", "sub", "a.txt", ""};
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        CHECK(remove(in_folder(names[i])) == 0);
}

int main(int argc, char **argv) {
    test_start_in_tree(argc, argv);
    (void)test_begin("files to serve");
    CHECK(mkdtemp(folder) && mkdir(in_folder("sub"), 0700) == 0);
    put("a.txt", "a", 1);
    put("sub/a.txt", "a", 1);
    test_reasons();
    test_no_descriptor();
    test_not_ours();
    test_large();
    (void)test_begin("the files are removed");
    remove_files();
    return test_finish();
}
