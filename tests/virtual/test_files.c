/* FILES: files of a folder over HTTP. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

#include <utime.h>

static char folder[] = "build/files-XXXXXX"; /* where make runs the tests from */
static char outside[] = "build/outside-XXXXXX";

static void put_in(const char *base, const char *name, const char *text, size_t size) {
    char path[300];
    FILE *file;
    struct utimbuf times = {784111777, 784111777}; /* Sun, 06 Nov 1994 08:49:37 GMT */
    (void)snprintf(path, sizeof path, "%s/%s", base, name);
    file = fopen(path, "wb");
    CHECK(file && fwrite(text, 1, size, file) == size && fclose(file) == 0 && utime(path, &times) == 0);
}

static void put(const char *name, const char *text) { put_in(folder, name, text, strlen(text)); }

static void make_link(const char *to, const char *name) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK(symlink(to, path) == 0);
}

static void make(const char *name, bool fifo) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK((fifo ? mkfifo(path, 0600) : mkdir(path, 0700)) == 0);
}

static void make_files(void) {
    char path[300];
    CHECK(mkdtemp(folder) && mkdtemp(outside));
    put("index.html", "<p>home");
    put("a.css", "p{}");
    put("empty", "");
    put(".hidden", "secret");
    put("a~b.js", "2;");
    put("caf\xc3\xa9.txt", "coffee");
    make("sub", false);
    put("sub/index.html", "<p>sub");
    put("sub/b.js", "1;");
    make("bare", false);
    make("fifo", true);
    make("unread", false);
    put_in(outside, "secret.txt", "secret", 6);
    (void)snprintf(path, sizeof path, "..%s", strchr(outside, '/'));
    make_link(path, "out");
    (void)snprintf(path, sizeof path, "..%s/secret.txt", strchr(outside, '/'));
    make_link(path, "secret.txt");
    make_link("a.css", "inside.css");
    make_link("..", "up");
}

/* Removes what this suite made, and nothing else. */
static void remove_files(void) {
    static const char *const names[] = {"index.html", "a.css", "empty", ".hidden", "a~b.js", "caf\xc3\xa9.txt",
                                        "sub/index.html", "sub/b.js", "big.bin", "out", "secret.txt", "inside.css",
                                        "up", "fifo", "sub", "bare", "unread", ""};
    char path[300];
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)remove(path);
    }
    (void)snprintf(path, sizeof path, "%s/secret.txt", outside);
    (void)remove(path);
    CHECK(remove(outside) == 0);
}

static peer *get(const char *path, const char *more) {
    char text[1000];
    peer *p = net_connect();
    (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, more);
    peer_text(p, text);
    net_settle();
    return p;
}

static void check_file(const char *path, const char *type, const char *body, int line) {
    char head[400], whole[3000];
    peer *p = get(path, "");
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nContent-Type: %s\r\nCache-Control: no-cache\r\n"
                   "X-Content-Type-Options: nosniff\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
                   strlen(body), type);
    (void)snprintf(whole, sizeof whole, "%s%s", head, body);
    test_memory(p->in.data, p->in.size, whole, strlen(whole), path, __FILE__, line);
    p->in.size = 0;
    (void)snprintf(whole, sizeof whole, "HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n", path); /* on the same connection */
    peer_text(p, whole);
    net_settle();
    test_memory(p->in.data, p->in.size, head, strlen(head), path, __FILE__, line);
}

#define CHECK_FILE(path, type, body) check_file((path), (type), (body), __LINE__)

static void start(const char *prefix) {
    CHECK(net_start_with(NULL, NULL));
    CHECK(ws_files(net.server, prefix, folder));
}

static void test_served(void) {
    if (!test_begin("files, by their types; index.html of a folder"))
        return;
    start("/f/");
    CHECK_FILE("/f/", "text/html; charset=utf-8", "<p>home");
    CHECK_FILE("/f/index.html?a=b", "text/html; charset=utf-8", "<p>home");
    CHECK_FILE("/f/a.css", "text/css; charset=utf-8", "p{}");
    CHECK_FILE("/%66/a%2ecss", "text/css; charset=utf-8", "p{}");
    CHECK_FILE("/f/empty", "application/octet-stream", "");
    CHECK_FILE("/f/sub/", "text/html; charset=utf-8", "<p>sub");
    CHECK_FILE("/f/sub/b.js", "text/javascript; charset=utf-8", "1;");
    CHECK_FILE("/f/sub%2Fb.js", "text/javascript; charset=utf-8", "1;");
    CHECK_FILE("/f/caf%C3%A9.txt", "text/plain; charset=utf-8", "coffee");
    CHECK_EQ(peer_status(get("/f/sub", "")), 301);
    CHECK(peer_has(get("/f/sub?x", ""), "\r\nLocation: /f/sub/\r\n"));
    NET_END();
}

/* No path leads out of the folder, and none hangs. */
static void test_escapes(void) {
    static const char *const paths[] = {
        "/../etc/passwd", "/%2e%2e/etc/passwd", "/..%2fetc/passwd", "/%2e%2e%2fetc%2fpasswd", "/sub/../a.css",
        "/sub/%2e%2e/a.css", "/./a.css", "/sub/./b.js", "//a.css", "/%2fetc/passwd", "/sub//b.js", "/.hidden",
        "/%2ehidden", "/..", "/.", "/...", "/..%5cetc", "/sub%5cb.js", "/\\a.css", "/out/secret.txt", "/out", "/out/",
        "/secret.txt", "/inside.css", "/up/index.html", "/up", "/fifo", "/bare/", "/none", "/a.css/", "/a.css/b",
        "/sub/none/", "/%0a", "/a.css%0d", "/a.css%20", "/unread/x",
        "/nul", "/NUL.css", "/sub/con", "/com1", "/COM%C2%B9.txt", "/lpt9%20.x", "/aux%20", "/conin$", "/a.css.",
        "/a.css::$DATA", "/a.css%3ax", "/c:/", "/c:", "/sub./b.js", "/sub%20/b.js", "/a%3f.css", "/*.css", "/a%3ccss",
    };
    size_t i;
    char text[8300] = "";
    if (!test_begin("no way out: dots, encoded or not, slashes, hidden names, symbolic links, FIFOs, devices, streams"))
        return;
    start("/");
    for (i = 0; i < sizeof paths / sizeof *paths; i++) {
        peer *p = get(paths[i], "");
        if (peer_status(p) != 404 || peer_has(p, "secret") || peer_has(p, "root:"))
            test_check(false, paths[i], __FILE__, __LINE__);
        CHECK_EQ(peer_status(p), 404);
    }
    CHECK_EQ(peer_status(get("/a%00.css", "")), 400);
    memset(text, 'a', sizeof text - 1);
    text[0] = '/';
    text[700] = 0;
    CHECK_EQ(peer_status(get(text, "")), 404); /* longer than a name may be */
    CHECK_EQ(peer_status(get("/", "")), 200);
    NET_END();
}

#if defined(_WIN32)
/* The second name, of eight letters and three, that Windows gives a file: for ".git" it may be "GIT~1". */
static void short_name(const char *name, char *target, size_t size) {
    WIN32_FIND_DATAA found;
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    HANDLE search = FindFirstFileA(path, &found);
    bool known = search != INVALID_HANDLE_VALUE && FindClose(search);
    (void)snprintf(target, size, "/%s", known ? found.cAlternateFileName : "");
}
#else
static void short_name(const char *name, char *target, size_t size) { (void)snprintf(target, size, "/%s", name); }
#endif

static void test_short_names(void) {
    char hidden[300];
    if (!test_begin("a hidden file stays hidden by the short name that Windows gives it; others may look like one"))
        return;
    start("/");
    short_name(".hidden", hidden, sizeof hidden);
    CHECK(hidden[1] != 0);
    CHECK_EQ(peer_status(get(hidden, "")), 404);
    CHECK_EQ(peer_status(get("/a~b.js", "")), 200);
    NET_END();
}

static void test_since(void) {
    static const struct { const char *date; int status; } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 304}, {"Sunday, 06-Nov-94 08:49:37 GMT", 304}, {"Sun Nov  6 08:49:37 1994",
        304},
        {"Sun, 06 Nov 1994 08:49:36 GMT", 200}, {"Fri, 01 Jan 2027 00:00:00 GMT", 304}, {"Sun Nov  6 08:49:36 1994",
        200},
        {"Monday, 01-Jan-90 00:00:00 GMT", 200}, {"yesterday", 200}, {"", 200}, {"Sun, 06 Nov 1994 08:49:37", 200},
        {"Sun, 06 Abc 1994 08:49:37 GMT", 200}, {"Sun, 00 Nov 1994 08:49:37 GMT", 200},
        {"Sun, 06 Nov 1994 25:49:37 GMT", 200}, {"Sun, 06 Nov 1969 08:49:37 GMT", 200},
        {"Sun, x6 Nov 1994 08:49:37 GMT", 200},
    };
    size_t i;
    if (!test_begin("If-Modified-Since: three forms of dates; others are ignored"))
        return;
    start("/");
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[100];
        (void)snprintf(line, sizeof line, "If-Modified-Since: %s\r\n", cases[i].date);
        test_equal(peer_status(get("/a.css", line)), cases[i].status, cases[i].date, __FILE__, __LINE__);
    }
    CHECK_EQ(peer_status(get("/a.css", "If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n")),
        200);
    NET_END();
}

static void test_big(void) {
    enum { SIZE = (5 << 20) + 123 };
    static char big[SIZE];
    size_t size = SIZE, i, most;
    peer *p;
    if (!test_begin("a large file: sent as the peer takes it, little of it in memory") || !net_tells_unsent())
        return;
    for (i = 0; i < size; i++)
        big[i] = (char)(i * 31 >> 3);
    put_in(folder, "big.bin", big, size);
    start("/");
    net_small_buffers();
    p = net_connect_to(ws_port(net.server), 8192);
    p->deaf = true;
    peer_text(p, "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
    net_settle();
    most = net.memory.used;
    CHECK(most < 400 << 10);
    p->deaf = false;
    CHECK(peer_wait(p, size));
    net_settle();
    peer_take_head(p);
    CHECK(p->in.size > size && memcmp(p->in.data, big, size) == 0);
    peer_take(p, size);
    CHECK_EQ(peer_status(p), 200); /* the next request */
    p = net_connect_to(ws_port(net.server), 8192); /* disconnects in the middle */
    p->deaf = true;
    peer_text(p, "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    net_settle();
    peer_reset(p);
    net_settle();
    p = net_connect_to(ws_port(net.server), 8192); /* reads nothing */
    p->deaf = true;
    peer_text(p, "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    net_settle();
    net_wait(31000);
    net_wait(6000);
    CHECK_EQ(net.loop->conn_count, 1); /* the first, which may ask for more until idle_ms */
    net_wait(38000);
    net_wait(6000);
    CHECK_EQ(net.loop->conn_count, 0);
    NET_END();
}

static void test_shrinks(void) {
    static const char big[5 << 20];
    char path[300];
    peer *p;
    if (!test_begin("a file that becomes shorter meanwhile ends the connection"))
        return;
    put_in(folder, "big.bin", big, sizeof big);
    start("/");
    net_small_buffers();
    p = net_connect_to(ws_port(net.server), 8192);
    p->deaf = true;
    peer_text(p, "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    net_settle();
    (void)snprintf(path, sizeof path, "%s/big.bin", folder);
    CHECK(truncate(path, 1000) == 0);
    p->deaf = false;
    net_settle();
    CHECK(p->ended);
    NET_END();
}

static void test_scarce(void) {
    size_t n, points = 0;
    if (!test_begin("without memory a file is sent whole or not at all"))
        return;
    for (n = 1; n < 60; n++) {
        int status;
        peer *p;
        start("/");
        p = net_connect();
        net.memory.fail_at = net.memory.calls + n;
        peer_text(p, "GET /a.css HTTP/1.1\r\nHost: a\r\n\r\n");
        net_settle();
        status = peer_status(p);
        CHECK(status == 200 || status == 503 || (!status && p->ended));
        CHECK_EQ(peer_has(p, "p{}"), status == 200);
        points += status != 200;
        net.memory.fail_at = 0;
        NET_END();
    }
    CHECK(points > 2);
}

#define FILL64 "<!-- 456789 123456789 123456789 123456789 123456789 12345678 -->"
#define FILL512 FILL64 FILL64 FILL64 FILL64 FILL64 FILL64 FILL64 FILL64

/* HTML 13.2.3.2 and CSS Syntax 3.2: a charset in Content-Type overrides one that the text names, so then it has none.
   A mere mention in the text does not count: the charset is still UTF-8. */
static void test_charsets(void) {
    static const struct { const char *name, *text; bool own; } cases[] = {
        {"1.html", "<!doctype html><meta charset=windows-1252><p>\xe9", true},
        {"2.html", "<head><META\n  CharSet = 'iso-8859-1'>", true},
        {"3.html", "<meta http-equiv=Content-Type content=\"text/html; charset=koi8-r\">", true},
        {"4.htm", "<meta name=viewport content=x><meta charset=utf-8>", true},
        {"5.html", FILL512 FILL64 FILL64 FILL64 "<meta charset=latin1>", true},
        {"6.css", "@charset \"iso-8859-1\"; p{}", true},
        {"a.html", "<p>no word of it", false}, {"b.html", "", false}, {"c.html", "<p charset=x>", false},
        {"d.html", "<!-- <meta charset=latin1> --><p>", false}, {"e.html", "<meta name=a><p>charset=x", false},
        {"f.html", "<meta name=description content='which charset?'>", false}, {"g.html", "<meta charset", false},
        {"h.html", FILL512 FILL512 "<meta charset=latin1>", false}, {"i.css", " @charset \"latin1\";", false},
        {"j.css", "p{} @charset \"latin1\";", false}, {"k.js", "// <meta charset=latin1>", false},
        {"l.txt", "@charset \"latin1\";", false}, {"m.css", "@charset 'latin1'", false},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[300], type[60];
        const char *name = cases[i].name, *media = strstr(name, ".htm")  ? "text/html"
                                                   : strstr(name, ".css") ? "text/css"
                                                   : strstr(name, ".js")  ? "text/javascript"
                                                                          : "text/plain";
        if (!test_begin("the charset of %s: %.60s", name, cases[i].text))
            continue;
        put(name, cases[i].text);
        start("/f/");
        CHECK(ws_files_charset(net.server, "/old/", folder, "windows-1252"));
        CHECK(ws_files_charset(net.server, "/none/", folder, ""));
        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
        CHECK(!*cases[i].text || ws_page_file(net.server, "/page", media, path));
        (void)snprintf(path, sizeof path, "/f/%s", name);
        (void)snprintf(type, sizeof type, "%s%s", media, cases[i].own ? "" : "; charset=utf-8");
        CHECK_FILE(path, type, cases[i].text);
        if (*cases[i].text) {
            char line[100];
            (void)snprintf(line, sizeof line, "\r\nContent-Type: %s\r\n", type);
            CHECK(peer_has(get("/page", ""), line));
        }
        (void)snprintf(path, sizeof path, "/old/%s", name);
        (void)snprintf(type, sizeof type, "%s%s", media, cases[i].own ? "" : "; charset=windows-1252");
        CHECK_FILE(path, type, cases[i].text);
        (void)snprintf(path, sizeof path, "/none/%s", name);
        CHECK_FILE(path, media, cases[i].text);
        NET_END();
        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
        CHECK(remove(path) == 0);
    }
    if (test_begin("a file that is no text has no charset, whatever the folder's is")) {
        CHECK(net_start());
        CHECK(ws_files_charset(net.server, "/", folder, "windows-1252"));
        CHECK_FILE("/empty", "application/octet-stream", "");
        CHECK(!ws_files_charset(net.server, "/", folder, "a b"));
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
        NET_END();
    }
}

static void test_bad_registration(void) {
    static const struct { const char *prefix, *folder; ws_error error; } bad[] = {
        {"/a", folder, WS_ERROR_ARGUMENT}, {"a/", folder, WS_ERROR_ARGUMENT}, {"", folder, WS_ERROR_ARGUMENT},
        {NULL, folder, WS_ERROR_ARGUMENT}, {"/{a}/", folder, WS_ERROR_ARGUMENT}, {"/", NULL, WS_ERROR_ARGUMENT},
        {"/", "build/none/such", WS_ERROR_FILE}, {"/", __FILE__, WS_ERROR_FILE},
    };
    size_t i;
    if (!test_begin("ws_files with invalid arguments"))
        return;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(net_start());
        CHECK(!ws_files(net.server, bad[i].prefix, bad[i].folder));
        CHECK_EQ(ws_loop_error(net.loop), bad[i].error);
        NET_END();
    }
    CHECK(!ws_files(NULL, "/", folder));
}

int main(int argc, char **argv) {
    test_start_in_tree(argc, argv);
    (void)test_begin("files to serve");
    make_files();
    test_served();
    test_escapes();
    test_short_names();
    test_since();
    test_big();
    test_shrinks();
    test_scarce();
    test_charsets();
    test_bad_registration();
    remove_files();
    return test_finish();
}
