/* The types and constants of POSIX that kernel.h uses. */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <winsock2.h>
#include <ws2tcpip.h>
#include <afunix.h>
#include <bcrypt.h>
#include <direct.h>
#include <io.h>

#define TIOCOUTQ 1
#define EAI_OVERFLOW EAI_FAIL

struct iovec {
    void *iov_base;
    size_t iov_len;
};

struct msghdr {
    struct iovec *msg_iov;
    size_t msg_iovlen;
};

static inline char *kernel_mkdtemp(char *name) { return _mktemp(name) && _mkdir(name) == 0 ? name : NULL; }

#define mkdtemp(name) kernel_mkdtemp(name)

#endif
