/* kernel.h for Windows: passes each call of ws.h on to the corresponding function of kernel.h. Datagrams, which wake
   a loop and carry addresses, are kept here. Files are the real system's, and are counted. */
#ifndef KERNEL_CALLS_H
#define KERNEL_CALLS_H

#include "errors_windows.h"

enum { KERNEL_DATAGRAMS = 64 }; /* in one socket; further ones are lost */

typedef struct kernel_mailbox {
    bool open;
    uint16_t port, peer;
    unsigned count;
    size_t sizes[KERNEL_DATAGRAMS];
    uint8_t *datagrams[KERNEL_DATAGRAMS];
} kernel_mailbox;

static kernel_mailbox kernel_mailboxes[KERNEL_FILES];
static int kernel_a_thread; /* the handle of every thread; each has already run */

static inline kernel_mailbox *kernel_mailbox_of(SOCKET file) {
    (void)kernel_file_of((int)file);
    return kernel_mailboxes[file].open ? &kernel_mailboxes[file] : NULL;
}

/* Returns a result of kernel.h. If it is an error, sets Windows' number for it. */
static inline int kernel_told(long long result) {
    if (result < 0)
        WSASetLastError(windows_error(errno, false));
    return (int)result;
}

static inline BOOL kernel_file_fails(kernel_call call) {
    if (!kernel_fails(call))
        return false;
    SetLastError((DWORD)windows_error(kernel.fault.error, true));
    return true;
}

/* --- sockets --- */

static inline SOCKET kernel_windows_socket(int family, int type, int protocol) {
    int file = kernel_told(kernel_socket(family, type, protocol));
    if (file < 0)
        return INVALID_SOCKET;
    memset(&kernel_mailboxes[file], 0, sizeof kernel_mailboxes[file]);
    kernel_mailboxes[file].open = type == SOCK_DGRAM;
    return (SOCKET)file;
}

static inline SOCKET kernel_windows_accept(SOCKET file, struct sockaddr *address, int *size) {
    int accepted = kernel_told(kernel_accept((int)file, address, size, 0));
    if (accepted >= 0)
        kernel_mailboxes[accepted].open = false;
    return accepted < 0 ? INVALID_SOCKET : (SOCKET)accepted;
}

static inline int kernel_windows_bind(SOCKET file, const struct sockaddr *address, int size) {
    kernel_mailbox *box = kernel_mailbox_of(file);
    if (!box)
        return kernel_told(kernel_bind((int)file, address, size));
    box->port = (uint16_t)(50000 + file);
    return kernel_fails(KERNEL_BIND) ? kernel_told(-1) : 0;
}

static inline int kernel_windows_getsockname(SOCKET file, struct sockaddr *address, int *size) {
    kernel_mailbox *box = kernel_mailbox_of(file);
    if (!box)
        return kernel_told(kernel_getsockname((int)file, address, size));
    return kernel_fails(KERNEL_GETSOCKNAME) ? kernel_told(-1) : kernel_tell_address(0, box->port, address, size);
}

static inline int kernel_windows_connect(SOCKET file, const struct sockaddr *address, int size) {
    kernel_mailbox *box = kernel_mailbox_of(file);
    unsigned host;
    if (!box)
        return kernel_told(kernel_connect((int)file, address, size));
    kernel_address(address, &host, &box->peer);
    return kernel_fails(KERNEL_CONNECT) ? kernel_told(-1) : 0;
}

static inline int kernel_windows_recv(SOCKET file, char *data, int size, int flags) {
    kernel_mailbox *box = kernel_mailbox_of(file);
    if (!box)
        return kernel_told(kernel_recv((int)file, data, (size_t)size, flags));
    if (kernel_fails(KERNEL_READ))
        return kernel_told(kernel.fault.error ? -1 : kernel_fail(EAGAIN));
    if (!box->count)
        return kernel_told(kernel_fail(EAGAIN));
    size = (size_t)size < box->sizes[0] ? size : (int)box->sizes[0];
    memcpy(data, box->datagrams[0], (size_t)size);
    free(box->datagrams[0]);
    box->count--;
    memmove(box->sizes, box->sizes + 1, box->count * sizeof *box->sizes);
    memmove(box->datagrams, box->datagrams + 1, box->count * sizeof *box->datagrams);
    return size;
}

static inline void kernel_post(uint16_t port, const char *data, size_t size) {
    for (kernel_mailbox *box = kernel_mailboxes; box < kernel_mailboxes + KERNEL_FILES; box++) {
        if (!box->open || box->port != port || box->count == KERNEL_DATAGRAMS)
            continue;
        box->sizes[box->count] = size;
        box->datagrams[box->count] = (uint8_t *)malloc(size);
        if (!box->datagrams[box->count])
            abort();
        memcpy(box->datagrams[box->count++], data, size);
    }
}

static inline int kernel_windows_send(SOCKET file, const char *data, int size, int flags) {
    kernel_mailbox *box = kernel_mailbox_of(file);
    if (!box)
        return kernel_told(kernel_send((int)file, data, (size_t)size, flags));
    if (kernel_fails(KERNEL_WRITE))
        return kernel_told(-1);
    kernel_post(box->peer, data, (size_t)size);
    return size;
}

static inline int kernel_windows_send_buffers(SOCKET file, WSABUF *buffers, DWORD count, DWORD *sent) {
    struct iovec vectors[16];
    struct msghdr message = {vectors, count};
    for (DWORD i = 0; i < count; i++) {
        vectors[i].iov_base = buffers[i].buf;
        vectors[i].iov_len = buffers[i].len;
    }
    int size = kernel_told(kernel_sendmsg((int)file, &message, 0));
    *sent = (DWORD)size;
    return size < 0 ? -1 : 0;
}

static inline int kernel_windows_getsockopt(SOCKET file, int level, int name, char *value, int *size) {
    int result = kernel_told(kernel_getsockopt((int)file, level, name, value, size)), error;
    memcpy(&error, value, sizeof error);
    error = error ? windows_error(error, false) : 0;
    if (result == 0 && name == SO_ERROR)
        memcpy(value, &error, sizeof error);
    return result;
}

static inline int kernel_windows_ioctl(SOCKET file, long command, u_long *value) {
    (void)command, (void)value;
    return kernel_told(kernel_fcntl((int)file, 0, 0));
}

static inline int kernel_windows_close(SOCKET file) {
    if (file == INVALID_SOCKET)
        return -1;
    kernel_mailbox *box = kernel_mailbox_of(file);
    while (box && box->count)
        free(box->datagrams[--box->count]);
    kernel_mailboxes[file].open = false;
    return kernel_close((int)file);
}

static inline int kernel_windows_poll(WSAPOLLFD *list, ULONG count, int timeout) {
    int found = 0;
    kernel_update();
    bool fails = kernel_fails(KERNEL_WAIT);
    if (!fails && kernel_flakes())
        fails = kernel_waited(1, 0) && kernel_fail(EINTR);
    if (fails) {
        WSASetLastError(errno == EINTR ? WSAENOBUFS : windows_error(errno, false));
        return -1;
    }
    for (ULONG i = 0; i < count; i++) {
        kernel_mailbox *box = kernel_mailbox_of(list[i].fd);
        unsigned ready = box ? 2u | (box->count > 0) : kernel_ready((int)list[i].fd);
        int told = (ready & 1 ? POLLRDNORM : 0) | (ready & 2 ? POLLWRNORM : 0);
        list[i].revents = (short)((told & list[i].events) | (ready & 4 ? POLLERR | POLLHUP : 0));
        found += list[i].revents != 0;
    }
    return kernel_waited(found, timeout < 0 ? KERNEL_NEVER : (uint64_t)timeout);
}

/* --- clock, randomness, threads --- */

static inline BOOL kernel_windows_count(LARGE_INTEGER *count) {
    count->QuadPart = (long long)kernel.now;
    return true;
}

static inline BOOL kernel_windows_second(LARGE_INTEGER *counts) {
    counts->QuadPart = 1000;
    return true;
}

static inline NTSTATUS kernel_windows_random(UCHAR *data, ULONG size) {
    return kernel_getrandom(data, size) < 0 ? -1 : 0;
}

static inline HANDLE kernel_windows_thread(LPTHREAD_START_ROUTINE run, void *user) {
    if (kernel_fails(KERNEL_THREAD))
        return NULL;
    (void)run(user);
    return &kernel_a_thread;
}

/* --- files --- */

static inline HANDLE kernel_windows_open(const wchar_t *path, DWORD access, DWORD share, DWORD way, DWORD flags) {
    HANDLE file = kernel_file_fails(KERNEL_OPEN_FILE) ? INVALID_HANDLE_VALUE
                                                      : CreateFileW(path, access, share, NULL, way, flags, NULL);
    kernel.open_files += file != INVALID_HANDLE_VALUE;
    return file;
}

static inline BOOL kernel_windows_status(HANDLE file, BY_HANDLE_FILE_INFORMATION *about) {
    return !kernel_file_fails(KERNEL_STATUS) && GetFileInformationByHandle(file, about);
}

static inline BOOL kernel_windows_read(HANDLE file, void *data, DWORD size, DWORD *got) {
    if (kernel_file_fails(KERNEL_READ)) {
        if (kernel.fault.error)
            return false;
        size = size ? 1 : 0;
    }
    return ReadFile(file, data, size, got, NULL);
}

static inline BOOL kernel_windows_close_handle(HANDLE handle) {
    if (handle == &kernel_a_thread)
        return true;
    kernel.open_files--;
    return CloseHandle(handle);
}

#define socket kernel_windows_socket
#define accept kernel_windows_accept
#define bind kernel_windows_bind
#define listen(file, backlog) kernel_told(kernel_listen((int)(file), (backlog)))
#define connect kernel_windows_connect
#define recv kernel_windows_recv
#define send kernel_windows_send
#define WSASend(file, buffers, count, sent, flags, overlapped, routine) \
    kernel_windows_send_buffers((file), (buffers), (count), (sent))
#define shutdown(file, how) kernel_told(kernel_shutdown((int)(file), (how)))
#define setsockopt(file, level, name, value, size) \
    kernel_told(kernel_setsockopt((int)(file), (level), (name), (value), (socklen_t)(size)))
#define getsockopt kernel_windows_getsockopt
#define getsockname kernel_windows_getsockname
#define getpeername(file, address, size) kernel_told(kernel_getpeername((int)(file), (address), (size)))
#define ioctlsocket kernel_windows_ioctl
#define closesocket kernel_windows_close
#define WSAPoll kernel_windows_poll
#define Sleep(milliseconds) ((void)kernel_waited(0, (milliseconds)))
#define SwitchToThread() true
#define SetHandleInformation(handle, mask, flags) true
#define QueryPerformanceCounter kernel_windows_count
#define QueryPerformanceFrequency kernel_windows_second
#define BCryptGenRandom(algorithm, data, size, flags) kernel_windows_random((data), (size))
#define CreateThread(security, stack, run, user, flags, id) kernel_windows_thread((run), (user))
#define CreateFileW(path, access, share, security, way, flags, model) \
    kernel_windows_open((path), (access), (share), (way), (flags))
#define GetFileInformationByHandle kernel_windows_status
#define ReadFile(file, data, size, got, overlapped) kernel_windows_read((file), (data), (size), (got))
#define CloseHandle kernel_windows_close_handle
#define getnameinfo(address, length, host, size, service, service_size, flags) \
    kernel_getnameinfo(address, length, host, size)
#define getaddrinfo kernel_getaddrinfo
#define freeaddrinfo kernel_freeaddrinfo
#define realloc kernel_realloc

#endif
