/* Prints the wire table for firmware.py, a case in a line: its name, what a client sends and what a server sends, what
   must come back (unmasked), in hex. */
#include "../helpers/wire.h"
#include "../helpers/wire_cases.h"

enum { LONGEST = 8000 }; /* longer ones fit no board */

static bool too_long(const char *text) {
    char *end;
    for (; *text; text++)
        if (((*text == '*' || *text == '#') && strtoul(text + 1, NULL, 10) > LONGEST)
            || (*text >= '1' && *text <= '9' && strtoul(text, &end, 10) > LONGEST / 10 && *end == 'x'))
            return true;
    return false;
}

static void column(const char *text, bool masked, char end) {
    bytes b = {NULL, 0, 0};
    size_t i;
    wire_write(&b, *text == ' ' ? text + 1 : text, masked);
    for (i = 0; i < b.size; i++)
        printf("%02x", b.data[i]);
    putchar(end);
    bytes_free(&b);
}

static void print(const wire_case *c) {
    if (too_long(c->in)) {
        puts(c->name); /* firmware.py counts it */
        return;
    }
    printf("%s\t", c->name);
    column(c->in, true, '\t');
    column(c->in, false, '\t');
    column(c->out, false, '\n');
}

int main(void) {
    wire_run_all(print);
    return 0;
}
