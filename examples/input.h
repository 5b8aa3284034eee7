/* Standard input inside a loop. On POSIX the loop watches the descriptor; on Windows standard input is no socket, so a
   thread reads it. To copy an example that includes this file, copy this file, too.

       input_start   call this first
       input_raw     makes input and output binary, except on a console
       input_watch   calls ready in the loop's thread while there is something to read; NULL: stops that
       input_read    like read(2), for up to INPUT_PIECE bytes; call it only in ready
       input_end     call this before you free the loop
*/
#ifndef INPUT_H
#define INPUT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { INPUT_PIECE = 65536 };

static struct {
    bool terminal_in, terminal_out; /* whether standard input and output are terminals */
    void (*ready)(void);
#if defined(_WIN32)
    ws_loop *loop;  /* NULL: freed */
    SRWLOCK lock;   /* guards loop */
    HANDLE thread, taken;
    bool here;      /* a piece was read that input_read has not taken yet */
    int size, error;
    char piece[INPUT_PIECE];
#endif
} input;

#if !defined(_WIN32)
#include <signal.h>
#include <unistd.h>

#define INPUT_END_KEY "Ctrl-D"

static inline void input_start(void) {
    int descriptor;
    do /* open closed standard streams, so that no socket gets their numbers */
        descriptor = open("/dev/null", O_RDWR);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    close(descriptor);
    signal(SIGPIPE, SIG_IGN);
    input.terminal_in = isatty(STDIN_FILENO);
    input.terminal_out = isatty(STDOUT_FILENO);
}

static inline void input_raw(void) {} /* POSIX has no text mode */

static inline void input_watched(ws_loop *loop, int descriptor, unsigned ready, void *user) {
    (void)loop, (void)descriptor, (void)ready, (void)user;
    input.ready();
}

static inline bool input_watch(ws_loop *loop, void (*ready)(void)) {
    input.ready = ready;
    return ws_watch(loop, STDIN_FILENO, ready ? WS_READ : WS_NONE, input_watched, NULL);
}

static inline ptrdiff_t input_read(char *data) { return read(STDIN_FILENO, data, INPUT_PIECE); }

static inline void input_end(void) {}

#else
#include <io.h>

#define INPUT_END_KEY "Ctrl-Z and Enter"

static inline void input_start(void) {
    input.terminal_in = _isatty(0);
    input.terminal_out = _isatty(1);
    SetConsoleOutputCP(CP_UTF8); /* a console needs whole characters in each write, so output is buffered */
    setvbuf(stdout, NULL, _IOFBF, INPUT_PIECE);
    if (input.terminal_out)
        _setmode(1, _O_BINARY);
}

/* Otherwise the C library turns "\n" into "\r\n", and Ctrl-Z ends a file. */
static inline void input_raw(void) {
    if (!input.terminal_in)
        _setmode(0, _O_BINARY);
    if (!input.terminal_out)
        _setmode(1, _O_BINARY);
}

/* Reads a line from the console as UTF-8 into input.piece; returns its size, or 0 if it begins with Ctrl-Z. */
static inline int input_typed(void) {
    wchar_t line[INPUT_PIECE / 3];
    DWORD got = 0;
    int size;
    if (!ReadConsoleW(GetStdHandle(STD_INPUT_HANDLE), line, INPUT_PIECE / 3, &got, NULL) || !got || *line == 26)
        return 0;
    size = WideCharToMultiByte(CP_UTF8, 0, line, (int)got, input.piece, INPUT_PIECE, NULL, NULL);
    if (size >= 2 && memcmp(input.piece + size - 2, "\r\n", 2) == 0)
        input.piece[--size - 1] = '\n';
    return size;
}

static inline void input_again(void *unused) {
    (void)unused;
    if (input.here && input.ready)
        input.ready();
}

static inline void input_came(void *unused) {
    input.here = true;
    input_again(unused);
}

/* Tells the loop, unless it has ended, that a piece was read. If the post fails, tries again a little later. */
static inline void input_tell(void) {
    bool told = false;
    while (!told) {
        AcquireSRWLockExclusive(&input.lock);
        told = !input.loop || ws_post(input.loop, input_came, NULL);
        ReleaseSRWLockExclusive(&input.lock);
        if (!told)
            Sleep(10);
    }
}

static DWORD WINAPI input_run(void *unused) {
    do {
        input.size = input.terminal_in ? input_typed() : _read(0, input.piece, INPUT_PIECE);
        input.error = errno;
        input_tell();
        WaitForSingleObject(input.taken, INFINITE);
    } while (input.size > 0);
    (void)unused;
    return 0;
}

static inline bool input_watch(ws_loop *loop, void (*ready)(void)) {
    input.ready = ready;
    if (!ready)
        return true;
    if (input.thread)
        return ws_post(loop, input_again, NULL);
    input.loop = loop;
    input.taken = CreateEvent(NULL, FALSE, FALSE, NULL);
    input.thread = input.taken ? CreateThread(NULL, 0, input_run, NULL, 0, NULL) : NULL;
    return input.thread != NULL;
}

static inline ptrdiff_t input_read(char *data) {
    int size = input.size;
    if (size > 0)
        memcpy(data, input.piece, (size_t)size);
    errno = input.error;
    input.here = false;
    SetEvent(input.taken);
    return size;
}

/* The thread may be blocked in a read; it ends with the process. */
static inline void input_end(void) {
    AcquireSRWLockExclusive(&input.lock);
    input.loop = NULL;
    ReleaseSRWLockExclusive(&input.lock);
    input.ready = NULL;
}
#endif

#endif
