/*
   network.h for Windows: each call of ws.h is passed on to the function there that stands for it. The datagram socket
   that wakes a loop is a pipe whose ends are one.
*/
#ifndef NETWORK_CALLS_H
#define NETWORK_CALLS_H

#include "errors_windows.h"

/* A result of network.h's; if it is an error, with Windows' number. */
static inline int network_told(long long result) {
    if (result < 0)
        WSASetLastError(windows_error(errno, false));
    return (int)result;
}

static inline SOCKET network_windows_socket(int family, int type, int protocol) {
    int fd = network_told(network_socket_call(family, type, protocol));
    if (fd < 0)
        return INVALID_SOCKET;
    if (type == SOCK_DGRAM) {
        network_at(fd)->kind = NETWORK_PIPE;
        network_at(fd)->other = fd;
    }
    return (SOCKET)fd;
}

static inline SOCKET network_windows_accept(SOCKET fd, struct sockaddr *name, socklen_t *size) {
    int made = network_told(network_accept((int)fd, name, size, 0));
    return made < 0 ? INVALID_SOCKET : (SOCKET)made;
}

static inline int network_windows_connect(SOCKET fd, const struct sockaddr *name, int size) {
    bool wakes = network_at((int)fd)->kind == NETWORK_PIPE;
    return wakes ? 0 : network_told(network_connect_call((int)fd, name, size));
}

static inline int network_windows_send_buffers(SOCKET fd, WSABUF *buffers, DWORD count, DWORD *sent) {
    struct iovec vectors[16];
    struct msghdr message = {vectors, count};
    for (DWORD i = 0; i < count; i++) {
        vectors[i].iov_base = buffers[i].buf;
        vectors[i].iov_len = buffers[i].len;
    }
    int size = network_told(network_sendmsg((int)fd, &message, 0));
    *sent = (DWORD)size;
    return size < 0 ? -1 : 0;
}

/* Never waits. */
static inline int network_windows_poll(WSAPOLLFD *list, ULONG count) {
    int found = 0;
    if (network_fails(NETWORK_SELECT))
        return network_told(-1);
    for (ULONG i = 0; i < count; i++) {
        int fd = (int)list[i].fd;
        int told = (network_readable(fd) ? POLLRDNORM : 0) | (network_writable(fd) ? POLLWRNORM : 0);
        list[i].revents = (short)(told & list[i].events);
        found += list[i].revents != 0;
    }
    return found;
}

#define accept network_windows_accept
#define bind(fd, name, size) network_told(network_bind((int)(fd), (name), (size)))
#define closesocket(fd) network_close((int)(fd))
#define connect network_windows_connect
#define freeaddrinfo network_freeaddrinfo
#define getaddrinfo network_getaddrinfo
#define getpeername(fd, name, size) network_told(network_getpeername((int)(fd), (name), (size)))
#define getsockname(fd, name, size) network_told(network_getsockname((int)(fd), (name), (size)))
#define getsockopt(fd, level, name, value, size) \
    network_told(network_getsockopt((int)(fd), (level), (name), (value), (size)))
#define ioctlsocket(fd, command, value) ((void)(value), network_told(network_fcntl((int)(fd), 0, 0)))
#define listen(fd, backlog) network_told(network_listen((int)(fd), (backlog)))
#define recv(fd, data, size, flags) network_told(network_recv((int)(fd), (data), (size_t)(size), (flags)))
#define send(fd, data, size, flags) network_told(network_send((int)(fd), (data), (size_t)(size), (flags)))
#define setsockopt(fd, level, name, value, size) \
    network_told(network_setsockopt((int)(fd), (level), (name), (value), (socklen_t)(size)))
#define shutdown(fd, how) network_told(network_shutdown((int)(fd), (how)))
#define socket network_windows_socket
#define BCryptGenRandom(algorithm, data, size, flags) (network_getrandom((data), (size), 0) < 0 ? -1 : 0)
#define SetHandleInformation(handle, mask, flags) true
#define WSAPoll(list, count, timeout) network_windows_poll((list), (count))
#define WSASend(fd, buffers, count, sent, flags, overlapped, routine) \
    network_windows_send_buffers((fd), (buffers), (count), (sent))

#endif
