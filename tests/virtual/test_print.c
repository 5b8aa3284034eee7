/* PRINT: HTML whose values cannot break out, into buffers and out of connections. What PRINT and JSON
   share, numbers above all, is tested in test_json.c, too. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

static ws_message message_of(const char *text) {
    ws_message message;
    message.data = (const uint8_t *)text;
    message.size = strlen(text);
    message.type = WS_TEXT;
    return message;
}

/* Prints into every size of buffer up to what is needed and beyond; "": it fails, whatever the size. */
static void check_html(const char *wanted, const char *file, int line, const char *format, ...) {
    size_t needed = strlen(wanted), size;
    for (size = 0; size <= needed + 3; size++) {
        char *room = (char *)malloc(size ? size : 1);
        va_list arguments;
        size_t written;
        memset(room, 'z', size ? size : 1);
        va_start(arguments, format);
        written = ws_html_vprint(size ? room : NULL, size, format, arguments);
        va_end(arguments);
        test_equal((long long)written, (long long)needed, format, file, line);
        if (size)
            test_memory(room, strlen(room), needed < size ? wanted : "", needed < size ? needed : 0, format, file,
                        line);
        free(room);
    }
}

/* Past the compiler's check of the format, which some of these fail on purpose. */
#define HTML(wanted, ...) check_html(wanted, __FILE__, __LINE__, __VA_ARGS__)

static void test_escaped(void) {
    char all[128], room[400];
    int c;
    if (!test_begin("HTML: %%s is always escaped"))
        return;
    HTML("<p>Ann</p>", "<p>%s</p>", "Ann");
    HTML("<p></p>", "<p>%s</p>", "");
    HTML("&amp;&lt;&gt;&#34;&#39;", "%s", "&<>\"'");
    HTML("a&amp;b", "%s", "a&b");
    HTML("&amp;amp;", "%s", "&amp;");
    HTML("<p>&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;</p>", "<p>%s</p>", "</p><script>alert(1)</script>");
    HTML("<input value='&#39; onfocus=&#39;x'>", "<input value='%s'>", "' onfocus='x");
    HTML("<input value=\"&#34; onfocus=&#34;x\">", "<input value=\"%s\">", "\" onfocus=\"x");
    HTML("caf\xc3\xa9 \xf0\x9f\x98\x80", "%s", "caf\xc3\xa9 \xf0\x9f\x98\x80");
    HTML("ab &lt;b abc", "%.*s %.2s %.*s", 2, "abc", "<b>", -1, "abc");
    HTML("%s %n", "%s", "%s %n");
    for (c = 1; c < 128; c++)
        all[c - 1] = (char)c;
    all[127] = 0;
    CHECK_EQ(ws_html_print(room, sizeof room, "%s", all), 127 + 4 + 3 + 3 + 4 + 4);
    CHECK(!strpbrk(room, "<>\"'"));
}

static void test_formats(void) {
    if (!test_begin("HTML: the other conversions"))
        return;
    HTML("<b>bold</b>", "%-s", "<b>bold</b>");
    HTML("<b>x", "%-.*s", 4, "<b>xyz");
    HTML("<td>-1</td><td>4294967295</td>", "<td>%d</td><td>%u</td>", -1, 0xffffffffu);
    HTML("-9223372036854775808 7", "%lld %zu", (long long)INT64_MIN, (size_t)7);
    HTML("0.1 1.50 1e+100", "%g %.2f %g", 0.1, 1.5, 1e100);
    HTML("100% 'a' \"b\" \\", "%d%% 'a' \"b\" \\", 100);
    HTML("<i></i>", "<i>%s</i>", (char *)NULL);
    HTML("<i></i>", "<i>%.*s%-s</i>", 3, (char *)NULL, (char *)NULL);
    HTML("<i></i>", "<i>%f</i>", strtod("nan", NULL));
    HTML("<i></i>", "<i>%f</i>", strtod("inf", NULL));
}

static void test_bad(void) {
    if (!test_begin("HTML: invalid UTF-8 and unknown conversions fail"))
        return;
    HTML("", "");
    HTML("", "<p>%s</p>", "\xff");
    HTML("", "<p>%s</p>", "\xc3");
    HTML("", "<p>%-s</p>", "<b>\xed\xa0\x80</b>");
    HTML("", "<p>%.1s</p>", "\xc3\xa9"); /* cut within a character */
    HTML("", "%x", 1);
    HTML("", "%p", (void *)NULL);
    HTML("", "%c", 'a');
    HTML("", "%5d", 1);
    HTML("", "%+d", 1);
    HTML("", "%ls", L"a");
    HTML("", "a%");
    HTML("", "%.31f", 1.0);
}

static void test_sent(void) {
    ws_conn *client, *other;
    ws_message message;
    if (!test_begin("HTML: ws_send_html, ws_broadcast_html, ws_server_broadcast_html"))
        return;
    CHECK(behaviour_start());
    client = behaviour_open("/");
    other = behaviour_open("/");
    CHECK(ws_send_html(net.conns[1], "<p id='said'>%s</p>", "<Bob>"));
    CHECK(ws_receive(client, &message));
    CHECK_EQ(message.type, WS_TEXT);
    CHECK_MEM(message.data, message.size, "<p id='said'>&lt;Bob&gt;</p>", 28);
    CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r"));
    CHECK(ws_broadcast_html(net.conns[2], "r", "<i>%d</i>", 7));
    CHECK(ws_receive(client, &message) && message.size == 8 && memcmp(message.data, "<i>7</i>", 8) == 0);
    CHECK(ws_receive(other, &message) && message.size == 8 && memcmp(message.data, "<i>7</i>", 8) == 0);
    CHECK(ws_server_broadcast_html(net.server, NULL, "<b>%s</b>", "&"));
    CHECK(ws_receive(other, &message) && message.size == 12 && memcmp(message.data, "<b>&amp;</b>", 12) == 0);
    CHECK(ws_receive(client, &message) && message.size == 12);
    for (int i = 0; i < 2; i++) { /* the buffer of the large one is not kept */
        static char large[66001];
        memset(large, 'l', sizeof large - 1);
        CHECK(ws_send_html(net.conns[1], "%s", large));
        CHECK(ws_receive(client, &message) && message.size == sizeof large - 1);
        CHECK(ws_send_html(net.conns[1], "small"));
        CHECK(ws_receive(client, &message) && message.size == 5);
        CHECK(net.loop->printed.capacity < 1000);
    }
    CHECK(!ws_send_html(net.conns[1], "%s", "\xff"));
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_UTF8);
    CHECK(!ws_broadcast_html(net.conns[1], "r", "%s", "\xff"));
    CHECK(!ws_server_broadcast_html(net.server, "r", "%s", "\xff"));
    CHECK(!ws_send_html(NULL, "a") && !ws_broadcast_html(NULL, "r", "a") && !ws_server_broadcast_html(NULL, "r", "a"));
    CHECK(!ws_broadcast_html(client, "r", "a")); /* a client has no rooms */
    CHECK_EQ(ws_last_error(client), WS_ERROR_ARGUMENT);
    BEHAVIOUR_END();
}

#define FORMAT "the result is not JSON, or the format has an unknown conversion; see the function's comment"

/* An invalid format has another error than a text that is not UTF-8, or an invalid argument. */
static void test_bad_formats(void) {
    static char bad[][12] = {"{'a':%s", "[%y]", "{%s:1,}", "'%s'", "[%-s]", "%.40f", "%5d", ""};
    if (!test_begin("formats that make no JSON: the error text"))
        return;
    CHECK(behaviour_start());
    ws_conn *client = behaviour_open("/");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *format = bad[i]; /* not a literal: the compiler cannot warn */
        CHECK(!ws_send_json(client, format, "a"));
        CHECK_EQ(ws_last_error(client), WS_ERROR_FORMAT);
        CHECK_STR(ws_last_error_text(client), DETAIL(ws_last_error(client), FORMAT));
        CHECK(!ws_broadcast_json(net.conns[1], NULL, format, "a"));
        CHECK_STR(ws_last_error_text(net.conns[1]), DETAIL(ws_last_error(net.conns[1]), FORMAT));
    }
    char *volatile none = NULL; /* volatile: or the compiler objects */
    CHECK(!ws_send_json(client, none, 1) && !ws_send_html(client, none, 1));
    CHECK_EQ(ws_last_error(client), WS_ERROR_ARGUMENT);
    char unknown[] = "<p>%x</p>";
    CHECK(!ws_send_html(client, unknown, 1));
    CHECK_STR(ws_last_error_text(client), DETAIL(ws_last_error(client), FORMAT));
    CHECK(!ws_send_json(client, "%s", "\xff"));
    CHECK_EQ(ws_last_error(client), WS_ERROR_UTF8);
    BEHAVIOUR_END();
}

/* The fields of a form as the ws extension of htmx sends them. */
static void test_form(void) {
    static const char sent[] =
        "{\"msg\":\"it's \\\"me\\\" <b>\",\"tag\":[\"a\",\"b\"],\"n\":3,\"empty\":\"\",\"HEADERS\":{\"HX-Request\":"
        "\"true\",\"HX-Trigger\":\"form\",\"HX-Trigger-Name\":null,\"HX-Target\":\"form\",\"HX-Current-URL\":"
        "\"http://127.0.0.1:8000/\"}}";
    ws_message message = message_of(sent);
    char text[40], html[80];
    int64_t n = 0;
    if (!test_begin("htmx forms: fields, arrays, any type, HEADERS with null; absent is not empty"))
        return;
    CHECK(ws_json_text(message, "msg", text, sizeof text));
    CHECK_STR(text, "it's \"me\" <b>");
    CHECK(ws_html_print(html, sizeof html, "<p>%s</p>", text) > 0);
    CHECK_STR(html, "<p>it&#39;s &#34;me&#34; &lt;b&gt;</p>");
    CHECK(ws_json_text(message, "tag[1]", text, sizeof text) && strcmp(text, "b") == 0);
    CHECK(ws_json_integer(message, "n", &n) && n == 3);
    CHECK(ws_json_text(message, "empty", text, sizeof text) && !*text);
    CHECK_EQ(ws_json_find(message, "none").type, WS_JSON_ABSENT);
    CHECK(ws_json_text(message, "HEADERS.HX-Trigger", text, sizeof text) && strcmp(text, "form") == 0);
    CHECK_EQ(ws_json_find(message, "HEADERS.HX-Trigger-Name").type, WS_JSON_NULL);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_escaped();
    test_formats();
    test_bad();
    test_sent();
    test_bad_formats();
    test_form();
    return test_finish();
}
