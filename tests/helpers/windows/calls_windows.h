/* calls.h for Windows: counts the calls that ws.h makes there, as the calls of POSIX that they correspond to. */
#ifndef CALLS_WINDOWS_H
#define CALLS_WINDOWS_H

#include <bcrypt.h>
#include <winsock2.h>
#include <ws2tcpip.h>

#include "errors_windows.h"

/* Counts a call. true: it must fail, with Windows' number for the errno. */
static inline bool calls_hit_windows(calls_kind kind) {
    bool file = kind == CALLS_OPENAT || kind == CALLS_FSTAT || kind == CALLS_READ;
    if (!calls_hit(kind))
        return false;
    WSASetLastError(windows_error(calls.error, file));
    if (kind == CALLS_SELECT && (calls.error == EINTR || calls.error == EAGAIN))
        WSASetLastError(WSAENOBUFS); /* WSAPoll has no such error */
    return true;
}

static inline int calls_recv(SOCKET fd, char *data, int size, int flags) {
    bool hit = calls_hit_windows(CALLS_RECV);
    return hit && calls.error ? -1 : recv(fd, data, (int)calls_size(hit, (size_t)size), flags);
}

/* Whether this is the socket that takes nothing more. */
static inline bool calls_stuck(SOCKET fd) {
    bool stuck = calls.stuck_full && fd == (SOCKET)calls.stuck;
    if (stuck)
        WSASetLastError(WSAEWOULDBLOCK);
    return stuck;
}

static inline int calls_sent(SOCKET fd, int sent, size_t size) {
    if (calls.stuck && fd == (SOCKET)calls.stuck
        && (sent < 0 ? WSAGetLastError() == WSAEWOULDBLOCK : (size_t)sent < size))
        calls.stuck_full = true;
    return sent;
}

static inline int calls_send(SOCKET fd, const char *data, int size, int flags) {
    bool hit = calls_hit_windows(CALLS_SEND);
    calls_sent_to((int)fd);
    if (calls_stuck(fd) || (hit && calls.error))
        return -1;
    return calls_sent(fd, send(fd, data, (int)calls_size(hit, (size_t)size), flags), (size_t)size);
}

static inline int calls_send_buffers(SOCKET fd, WSABUF *buffers, DWORD count, DWORD *sent, DWORD flags,
                                     WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
    bool hit = calls_hit_windows(CALLS_SENDMSG);
    size_t limit = hit ? 1 : calls.inside ? calls.limit : 0, size = 0;
    DWORD i;
    int result;
    calls_sent_to((int)fd);
    if (calls_stuck(fd) || (hit && calls.error))
        return -1;
    for (i = 0; i < count; i++)
        size += buffers[i].len;
    if (limit && count) {
        result = send(fd, buffers[0].buf, (int)(buffers[0].len < limit ? buffers[0].len : limit), 0);
        *sent = (DWORD)result;
        return result < 0 ? -1 : 0;
    }
    result = WSASend(fd, buffers, count, sent, flags, overlapped, routine);
    (void)calls_sent(fd, result ? -1 : (int)*sent, size);
    return result;
}

static inline SOCKET calls_accept(SOCKET fd, struct sockaddr *address, socklen_t *size) {
    return calls_hit_windows(CALLS_ACCEPT) ? INVALID_SOCKET : accept(fd, address, size);
}

static inline int calls_poll(WSAPOLLFD *list, ULONG count, int timeout) {
    return calls_hit_windows(CALLS_SELECT) ? -1 : WSAPoll(list, count, timeout);
}

static inline int calls_ioctl(SOCKET fd, long command, u_long *argument) {
    return calls_hit_windows(CALLS_FCNTL) ? -1 : ioctlsocket(fd, command, argument);
}

static inline SOCKET calls_socket(int family, int type, int protocol) {
    return calls_hit_windows(CALLS_SOCKET) ? INVALID_SOCKET : socket(family, type, protocol);
}

static inline int calls_bind(SOCKET fd, const struct sockaddr *address, socklen_t size) {
    return calls_hit_windows(CALLS_BIND) ? -1 : bind(fd, address, size);
}

static inline int calls_listen(SOCKET fd, int backlog) {
    return calls_hit_windows(CALLS_LISTEN) ? -1 : listen(fd, backlog);
}

static inline int calls_setsockopt(SOCKET fd, int level, int name, const char *value, socklen_t size) {
    return calls_hit_windows(CALLS_SETSOCKOPT) ? -1 : setsockopt(fd, level, name, value, size);
}

static inline int calls_getsockopt(SOCKET fd, int level, int name, char *value, socklen_t *size) {
    return calls_hit_windows(CALLS_GETSOCKOPT) ? -1 : getsockopt(fd, level, name, value, size);
}

static inline int calls_shutdown(SOCKET fd, int how) {
    return calls_hit_windows(CALLS_SHUTDOWN) ? -1 : shutdown(fd, how);
}

/* Counts only streams: POSIX needs no datagrams to wake a loop. */
static inline int calls_connect(SOCKET fd, const struct sockaddr *address, socklen_t size) {
    int type = SOCK_STREAM, length = sizeof type;
    (void)getsockopt(fd, SOL_SOCKET, SO_TYPE, (char *)&type, &length);
    return type == SOCK_STREAM && calls_hit_windows(CALLS_CONNECT) ? -1 : connect(fd, address, size);
}

static inline NTSTATUS calls_random(BCRYPT_ALG_HANDLE algorithm, UCHAR *data, ULONG size, ULONG flags) {
    return calls_hit(CALLS_ENTROPY) ? -1 : BCryptGenRandom(algorithm, data, size, flags);
}

static inline HANDLE calls_open_path(const wchar_t *path, DWORD access, DWORD share, SECURITY_ATTRIBUTES *security,
                                     DWORD way, DWORD flags, HANDLE model) {
    return calls_hit_windows(CALLS_OPENAT) ? INVALID_HANDLE_VALUE
                                           : CreateFileW(path, access, share, security, way, flags, model);
}

static inline BOOL calls_status(HANDLE file, BY_HANDLE_FILE_INFORMATION *about) {
    return !calls_hit_windows(CALLS_FSTAT) && GetFileInformationByHandle(file, about);
}

static inline BOOL calls_read_file(HANDLE file, void *data, DWORD size, DWORD *got, OVERLAPPED *overlapped) {
    return !calls_hit_windows(CALLS_READ) && ReadFile(file, data, size, got, overlapped);
}

typedef struct calls_begun {
    LPTHREAD_START_ROUTINE run;
    void *user;
} calls_begun;

static inline DWORD WINAPI calls_run(void *argument) {
    calls_begun begun = *(calls_begun *)argument;
    free(argument);
    DWORD result = begun.run(begun.user);
    calls_count_thread(-1);
    return result;
}

static inline HANDLE calls_thread(SECURITY_ATTRIBUTES *security, size_t stack, LPTHREAD_START_ROUTINE run, void *user,
                                  DWORD flags, DWORD *id) {
    calls_begun *begun = calls_hit_windows(CALLS_THREAD) ? NULL : (calls_begun *)malloc(sizeof *begun);
    HANDLE thread;
    if (!begun)
        return NULL;
    begun->run = run;
    begun->user = user;
    calls_count_thread(1);
    thread = CreateThread(security, stack, calls_run, begun, flags, id);
    if (!thread) {
        calls_count_thread(-1);
        free(begun);
    }
    return thread;
}

#define recv calls_recv
#define send calls_send
#define WSASend calls_send_buffers
#define accept calls_accept
#define WSAPoll calls_poll
#define ioctlsocket calls_ioctl
#define socket calls_socket
#define bind calls_bind
#define listen calls_listen
#define setsockopt calls_setsockopt
#define getsockopt calls_getsockopt
#define shutdown calls_shutdown
#define connect calls_connect
#define BCryptGenRandom calls_random
#define CreateFileW calls_open_path
#define GetFileInformationByHandle calls_status
#define ReadFile calls_read_file
#define CreateThread calls_thread

#endif
