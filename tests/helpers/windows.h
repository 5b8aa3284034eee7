/* What the tests use of POSIX, for Windows: the names of POSIX, for sockets whose numbers are int, and errors in
   errno. ws.h, which is included before this, does not use it. */
#ifndef WINDOWS_SOCKETS_H
#define WINDOWS_SOCKETS_H

#include <afunix.h>
#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utime.h>
#include <unistd.h>

typedef int uid_t;

#define MSG_NOSIGNAL 0
#define MSG_DONTWAIT 0 /* peers never wait */
#define SHUT_RD SD_RECEIVE
#define SHUT_WR SD_SEND
#define SHUT_RDWR SD_BOTH
#define O_NONBLOCK 0x10000
#define SIGPIPE SIGTERM /* Windows has none */
#define SIGUSR1 SIGINT /* so that raise works with it */
#define TIOCOUTQ 0    /* Windows does not tell */
#ifndef TCP_MAXSEG
#define TCP_MAXSEG 4 /* wine does not support it */
#endif
#define F_GETFL 3
#define F_SETFL 4
#define F_GETFD 1
#define FD_CLOEXEC 1
#undef P_tmpdir
#define P_tmpdir "build"

/* Sets errno and returns -1. */
static inline int windows_failed(void) {
    int error = WSAGetLastError();
    errno = error == WSAEWOULDBLOCK ? EAGAIN : error == WSAEADDRINUSE ? EADDRINUSE : ECONNRESET;
    return -1;
}

static inline int windows_fcntl(int fd, int command, int flags) {
    u_long on = (flags & O_NONBLOCK) != 0;
    DWORD about = 0;
    if (command == F_GETFD && fd >= 0 && GetHandleInformation((HANDLE)(SOCKET)fd, &about))
        return about & HANDLE_FLAG_INHERIT ? 0 : FD_CLOEXEC;
    if (command == F_GETFD)
        return fd >= 0 && _get_osfhandle(fd) != -1 ? 0 : -1;
    return command == F_SETFL && ioctlsocket((SOCKET)fd, (long)FIONBIO, &on) != 0 ? windows_failed() : 0;
}

static inline int windows_ioctl(int fd, unsigned long command, int *value) {
    u_long size = 0;
    int result = command ? ioctlsocket((SOCKET)fd, (long)command, &size) : -1;
    *value = (int)size;
    return result;
}

#define WINDOWS_FCNTL_PICK(fd, command, flags, ...) windows_fcntl(fd, command, flags)
#define WINDOWS_FCNTL(...) WINDOWS_FCNTL_PICK(__VA_ARGS__, 0, 0)

static inline int windows_socket(int family, int type, int protocol) {
    WSADATA about;
    SOCKET made;
    (void)WSAStartup(MAKEWORD(2, 2), &about);
    made = socket(family, type, protocol);
    return made == INVALID_SOCKET ? windows_failed() : (int)made;
}

static inline int windows_accept(int fd, struct sockaddr *address, socklen_t *size) {
    SOCKET made = accept((SOCKET)fd, address, size);
    return made == INVALID_SOCKET ? windows_failed() : (int)made;
}

static inline ssize_t windows_recv(int fd, void *data, size_t size, int flags) {
    int got = recv((SOCKET)fd, (char *)data, (int)size, flags);
    return got < 0 ? windows_failed() : got;
}

static inline ssize_t windows_send(int fd, const void *data, size_t size, int flags) {
    int sent = send((SOCKET)fd, (const char *)data, (int)size, flags);
    return sent < 0 ? windows_failed() : sent;
}

/* Windows takes time limits in milliseconds. */
static inline int windows_setsockopt(int fd, int level, int option, const void *value, socklen_t size) {
    DWORD milliseconds = 0;
    if (level == SOL_SOCKET && (option == SO_RCVTIMEO || option == SO_SNDTIMEO)) {
        const struct timeval *limit = (const struct timeval *)value;
        milliseconds = (DWORD)(limit->tv_sec * 1000 + limit->tv_usec / 1000);
        value = &milliseconds;
        size = sizeof milliseconds;
    }
    return setsockopt((SOCKET)fd, level, option, (const char *)value, size) != 0 ? windows_failed() : 0;
}

static inline int windows_getsockopt(int fd, int level, int option, void *value, socklen_t *size) {
    return getsockopt((SOCKET)fd, level, option, (char *)value, size) != 0 ? windows_failed() : 0;
}

static inline int windows_connect(int fd, const struct sockaddr *address, socklen_t size) {
    return connect((SOCKET)fd, address, size) != 0 ? windows_failed() : 0;
}

/* Closes a socket, or else a file of the C runtime. */
static inline int windows_close(int fd) {
    return closesocket((SOCKET)fd) != 0 && WSAGetLastError() == WSAENOTSOCK ? _close(fd) : 0;
}

/* Two connected sockets. */
static inline int windows_pair(int ends[2]) {
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    int listener = windows_socket(AF_INET, SOCK_STREAM, 0);
    memset(&name, 0, sizeof name);
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind((SOCKET)listener, (struct sockaddr *)&name, sizeof name) != 0 || listen((SOCKET)listener, 1) != 0
        || getsockname((SOCKET)listener, (struct sockaddr *)&name, &size) != 0)
        abort();
    ends[1] = windows_socket(AF_INET, SOCK_STREAM, 0);
    if (windows_connect(ends[1], (struct sockaddr *)&name, sizeof name) != 0)
        abort();
    ends[0] = windows_accept(listener, NULL, NULL);
    return windows_close(listener);
}

/* The C runtime's mkstemp lets nobody else open the file, so this is used instead. */
static inline int windows_mkstemp(char *name) {
    return _mktemp(name) ? _open(name, _O_CREAT | _O_EXCL | _O_RDWR | _O_BINARY, 0600) : -1;
}

static inline ssize_t windows_read(int fd, void *data, size_t size) {
    ssize_t got = windows_recv(fd, data, size, 0);
    return got < 0 && WSAGetLastError() == WSAENOTSOCK ? _read(fd, data, (unsigned)size) : got;
}

static inline ssize_t windows_write(int fd, const void *data, size_t size) {
    ssize_t sent = windows_send(fd, data, size, 0);
    return sent < 0 && WSAGetLastError() == WSAENOTSOCK ? _write(fd, data, (unsigned)size) : sent;
}

/* Converts a name from UTF-8. */
static inline const wchar_t *windows_wide(const char *name) {
    static wchar_t wide[2][1024];
    static unsigned turn;
    wchar_t *to = wide[turn++ & 1];
    if (!MultiByteToWideChar(CP_UTF8, 0, name, -1, to, 1024))
        abort();
    return to;
}

static inline FILE *windows_fopen(const char *name, const char *mode) {
    const wchar_t *wide = windows_wide(name);
    return _wfopen(wide, windows_wide(mode));
}

static inline int windows_utime(const char *name, const struct utimbuf *times) {
    struct _utimbuf both = {times->actime, times->modtime};
    return _wutime(windows_wide(name), &both);
}

/* The C runtime's remove does not remove folders. */
static inline int windows_remove(const char *name) {
    const wchar_t *wide = windows_wide(name);
    return _wremove(wide) == 0 ? 0 : _wrmdir(wide);
}

static inline char *windows_mkdtemp(char *name) { return _mktemp(name) && _mkdir(name) == 0 ? name : NULL; }

static inline int windows_poll(struct pollfd *list, unsigned count, int timeout) {
    return WSAPoll(list, count, timeout);
}

static inline int windows_execl(const char *program, ...) { return (void)program, -1; }

#undef socket /* calls.h defines these; the functions here call the system's */
#undef accept
#undef recv
#undef send
#undef setsockopt
#undef getsockopt
#undef connect
#define fopen(name, mode) windows_fopen(name, mode)
#define utime(name, times) windows_utime((name), (times))
#define remove(name) windows_remove(name)
#define dup2(from, to) (_dup2((from), (to)) == 0 ? (to) : -1)
#define mkstemp(name) windows_mkstemp(name)
#define mkdtemp(name) windows_mkdtemp(name)
#define fcntl(...) WINDOWS_FCNTL(__VA_ARGS__)
#define socket windows_socket
#define accept windows_accept
#define recv windows_recv
#define send windows_send
#define setsockopt windows_setsockopt
#define getsockopt windows_getsockopt
#define connect windows_connect
#define geteuid() ((uid_t)1) /* a test does not change its rights */
#define seteuid(user) ((void)(user), -1)
#define truncate truncate64
#define ioctl windows_ioctl
#define poll(list, count, timeout) windows_poll((list), (count), (timeout))
#define close(fd) windows_close(fd)
#define read(fd, data, size) windows_read((fd), (data), (size))
#define write(fd, data, size) windows_write((fd), (data), (size))
#define symlink(to, path) ((void)(to), (void)(path), 0) /* makes no link: a missing file is not served, either */
#define mkfifo(path, mode) ((void)(path), 0)
#define mkdir(path, mode) _mkdir(path)
#define pipe(ends) windows_pair(ends)
#define socketpair(family, type, protocol, ends) windows_pair(ends)
#define lstat(path, status) stat((path), (status))

/* Only tests that are skipped on Windows call these: they fail, or do nothing. */
#define wsi_platform_unix(path, address) ((void)(path), memset((address), 0, sizeof *(address)), false)
#define wsi_platform_file_id(path, id) ((void)(path), memset((id), 0, sizeof *(id)), false)
#define fork() (-1)
#define execl(program, ...) windows_execl((program), __VA_ARGS__)
#define kill(process, number) ((void)(process), (void)(number), -1)
#define waitpid(process, status, flags) ((void)(process), (void)(status), -1)
#define alarm(seconds) ((void)(seconds), 0)
#define mknod(path, mode, device) (-1)
#define sigaction(number, action, before) ((void)(number), (void)(action), (void)(before), 0)
#define WIFEXITED(status) ((void)(status), false)
#define WEXITSTATUS(status) ((void)(status), 1)
#define setenv(name, value, replaces) _putenv_s((name), (value))
#define SIGALRM SIGTERM
#define SIGKILL SIGTERM
#define SIGCHLD SIGTERM
#define SOCK_NONBLOCK 0
struct sigaction {
    void (*sa_handler)(int number);
};

#endif
