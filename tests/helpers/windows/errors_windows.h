/* Windows' error numbers for each errno with which a test makes a call fail. On Windows no call is interrupted. */
#ifndef ERRORS_WINDOWS_H
#define ERRORS_WINDOWS_H

#include <errno.h>
#include <stdbool.h>
#include <winsock2.h>

static inline int windows_error(int error, bool file) {
    static const int errors[][2] = {{EAGAIN, WSAEWOULDBLOCK}, {EINTR, WSAEWOULDBLOCK}, {EINPROGRESS, WSAEWOULDBLOCK},
        {EMFILE, WSAEMFILE}, {ENFILE, WSAEMFILE}, {ENOMEM, WSAENOBUFS}, {ENOBUFS, WSAENOBUFS}, {EPIPE, WSAECONNRESET},
        {ECONNRESET, WSAECONNRESET}, {EACCES, WSAEACCES},
        {EPERM, WSAEACCES}, {EADDRINUSE, WSAEADDRINUSE}, {EADDRNOTAVAIL, WSAEADDRNOTAVAIL},
        {EAFNOSUPPORT, WSAEAFNOSUPPORT}, {ENETUNREACH, WSAENETUNREACH}, {ECONNREFUSED, WSAECONNREFUSED},
        {ECONNABORTED, WSAECONNABORTED}, {ETIMEDOUT, WSAETIMEDOUT}, {ENOTCONN, WSAENOTCONN}, {EBADF, WSAENOTSOCK}};
    static const int file_errors[][2] = {{ENOENT, ERROR_FILE_NOT_FOUND}, {ENOTDIR, ERROR_DIRECTORY},
        {ENAMETOOLONG, ERROR_FILENAME_EXCED_RANGE}, {EACCES, ERROR_ACCESS_DENIED}, {EPERM, ERROR_ACCESS_DENIED},
        {ELOOP, ERROR_FILE_NOT_FOUND}, {ENXIO, ERROR_FILE_NOT_FOUND}, /* a link or a socket is found, but not served */
        {EMFILE, ERROR_TOO_MANY_OPEN_FILES}, {ENFILE, ERROR_TOO_MANY_OPEN_FILES}, {ENOMEM, ERROR_NOT_ENOUGH_MEMORY}};
    const int (*pair)[2] = file ? file_errors : errors;
    size_t count = file ? sizeof file_errors / sizeof *file_errors : sizeof errors / sizeof *errors;
    for (; count--; pair++)
        if ((*pair)[0] == error)
            return (*pair)[1];
    return file ? ERROR_INVALID_FUNCTION : WSAEINVAL;
}

#endif
