/* What ws.h uses of Windows' headers, for checking its dialect with a compiler that has none. Nothing is linked. */
#ifndef MSVC_WINSOCK2_H
#define MSVC_WINSOCK2_H
#include <stddef.h>
#include <stdint.h>
#define WINAPI __stdcall
#define MAKEWORD(low, high) ((unsigned short)((low) | (high) << 8))
typedef unsigned char UCHAR;
typedef int BOOL;
typedef int INT;
typedef long LONG;
typedef unsigned long DWORD, ULONG, u_long;
typedef unsigned short WORD, u_short;
typedef void *HANDLE;
typedef uintptr_t SOCKET;
typedef int socklen_t;
typedef union LARGE_INTEGER { long long QuadPart; } LARGE_INTEGER;
typedef struct FILETIME { DWORD dwLowDateTime, dwHighDateTime; } FILETIME;
typedef struct BY_HANDLE_FILE_INFORMATION {
    DWORD dwFileAttributes;
    FILETIME ftCreationTime, ftLastAccessTime, ftLastWriteTime;
    DWORD dwVolumeSerialNumber, nFileSizeHigh, nFileSizeLow, nNumberOfLinks, nFileIndexHigh, nFileIndexLow;
} BY_HANDLE_FILE_INFORMATION;
typedef struct SRWLOCK { void *Ptr; } SRWLOCK;
typedef struct WSADATA { WORD wVersion; } WSADATA;
typedef struct WSABUF { ULONG len; char *buf; } WSABUF;
typedef struct WSAPOLLFD { SOCKET fd; short events, revents; } WSAPOLLFD;
#define FD_SETSIZE 64
typedef struct fd_set { unsigned fd_count; SOCKET fd_array[FD_SETSIZE]; } fd_set;
struct timeval { long tv_sec, tv_usec; };
struct in_addr { u_long s_addr; };
struct sockaddr { u_short sa_family; char sa_data[14]; };
struct sockaddr_in { short sin_family; u_short sin_port; struct in_addr sin_addr; char sin_zero[8]; };
struct in6_addr { UCHAR bytes[16]; };
struct sockaddr_in6 { short sin6_family; u_short sin6_port; u_long sin6_flowinfo; struct in6_addr sin6_addr;
                      u_long i; };
struct sockaddr_storage { short ss_family; char rest[126]; };
struct addrinfo {
    int ai_flags, ai_family, ai_socktype, ai_protocol;
    size_t ai_addrlen;
    char *ai_canonname;
    struct sockaddr *ai_addr;
    struct addrinfo *ai_next;
};
enum { AF_INET = 2, AF_INET6 = 23, SOCK_STREAM = 1, SOCK_DGRAM = 2, SOL_SOCKET = 0xffff, SO_ERROR = 0x1007,
       SO_TYPE = 0x1008, SO_ACCEPTCONN = 0x0002,
       SO_EXCLUSIVEADDRUSE = -5, IPPROTO_TCP = 6, TCP_NODELAY = 1, IPPROTO_IPV6 = 41, IPV6_V6ONLY = 27, MSG_PEEK = 2,
       AI_PASSIVE = 1, AI_NUMERICHOST = 4, AI_NUMERICSERV = 8, NI_NUMERICHOST = 2, INET6_ADDRSTRLEN = 65,
       POLLRDNORM = 0x100, POLLWRNORM = 0x10, POLLERR = 1, POLLHUP = 2, POLLNVAL = 4 };
#define INADDR_LOOPBACK 0x7f000001ul
#define FIONBIO (-2147195266)
enum { WSAEACCES = 10013, WSAEMFILE = 10024, WSAEWOULDBLOCK = 10035, WSAEMSGSIZE = 10040, WSAEOPNOTSUPP = 10045,
       WSAEAFNOSUPPORT = 10047, WSAEADDRINUSE = 10048, WSAEADDRNOTAVAIL = 10049, WSAECONNABORTED = 10053,
       WSAENOBUFS = 10055, WSAETIMEDOUT = 10060 };
enum { HANDLE_FLAG_INHERIT = 1, CP_UTF8 = 65001, MB_ERR_INVALID_CHARS = 8, FORMAT_MESSAGE_FROM_SYSTEM = 0x1000,
       FORMAT_MESSAGE_IGNORE_INSERTS = 0x200, FORMAT_MESSAGE_MAX_WIDTH_MASK = 0xff, FILE_SHARE_READ = 1,
       FILE_SHARE_WRITE = 2, OPEN_EXISTING = 3, FILE_FLAG_BACKUP_SEMANTICS = 0x2000000,
       FILE_FLAG_OPEN_REPARSE_POINT = 0x200000, FILE_TYPE_DISK = 1, FILE_ATTRIBUTE_DIRECTORY = 0x10,
       FILE_ATTRIBUTE_REPARSE_POINT = 0x400, FILE_NAME_NORMALIZED = 0, VOLUME_NAME_DOS = 0, FILE_BEGIN = 0 };
#define GENERIC_READ 0x80000000ul
#define INVALID_HANDLE_VALUE ((HANDLE)(intptr_t)-1)
enum { ERROR_FILE_NOT_FOUND = 2, ERROR_PATH_NOT_FOUND, ERROR_TOO_MANY_OPEN_FILES, ERROR_ACCESS_DENIED,
       ERROR_NOT_ENOUGH_MEMORY = 8, ERROR_SHARING_VIOLATION = 32, ERROR_INVALID_NAME = 123,
       ERROR_FILENAME_EXCED_RANGE = 206, ERROR_DIRECTORY = 267 };
#ifdef __cplusplus
extern "C" {
#endif
int WSAStartup(WORD, WSADATA *);
int WSAGetLastError(void);
void WSASetLastError(int);
int WSASend(SOCKET, WSABUF *, DWORD, DWORD *, DWORD, void *, void *);
int WSAPoll(WSAPOLLFD *, ULONG, INT);
SOCKET socket(int, int, int);
SOCKET accept(SOCKET, struct sockaddr *, int *);
int bind(SOCKET, const struct sockaddr *, int);
int connect(SOCKET, const struct sockaddr *, int);
int listen(SOCKET, int);
int shutdown(SOCKET, int);
int closesocket(SOCKET);
int ioctlsocket(SOCKET, long, u_long *);
int recv(SOCKET, char *, int, int);
int send(SOCKET, const char *, int, int);
int getsockopt(SOCKET, int, int, char *, int *);
int setsockopt(SOCKET, int, int, const char *, int);
int getsockname(SOCKET, struct sockaddr *, int *);
int getpeername(SOCKET, struct sockaddr *, int *);
u_long htonl(u_long);
u_short ntohs(u_short);
int getaddrinfo(const char *, const char *, const struct addrinfo *, struct addrinfo **);
void freeaddrinfo(struct addrinfo *);
int getnameinfo(const struct sockaddr *, socklen_t, char *, DWORD, char *, DWORD, INT);
int inet_pton(int, const char *, void *);
const char *inet_ntop(int, const void *, char *, size_t);
BOOL QueryPerformanceCounter(LARGE_INTEGER *);
BOOL QueryPerformanceFrequency(LARGE_INTEGER *);
DWORD GetCurrentThreadId(void);
HANDLE CreateThread(void *, size_t, DWORD(WINAPI *)(void *), void *, DWORD, DWORD *);
void AcquireSRWLockExclusive(SRWLOCK *);
void ReleaseSRWLockExclusive(SRWLOCK *);
void Sleep(DWORD);
int SwitchToThread(void);
DWORD GetLastError(void);
void SetLastError(DWORD);
BOOL SetHandleInformation(HANDLE, DWORD, DWORD);
BOOL CloseHandle(HANDLE);
DWORD FormatMessageW(DWORD, const void *, DWORD, DWORD, wchar_t *, DWORD, void *);
int WideCharToMultiByte(unsigned, DWORD, const wchar_t *, int, char *, int, const char *, BOOL *);
int MultiByteToWideChar(unsigned, DWORD, const char *, int, wchar_t *, int);
HANDLE CreateFileW(const wchar_t *, DWORD, DWORD, void *, DWORD, DWORD, HANDLE);
DWORD GetFileType(HANDLE);
BOOL GetFileInformationByHandle(HANDLE, BY_HANDLE_FILE_INFORMATION *);
DWORD GetFinalPathNameByHandleW(HANDLE, wchar_t *, DWORD, DWORD);
BOOL ReadFile(HANDLE, void *, DWORD, DWORD *, void *);
BOOL SetFilePointerEx(HANDLE, LARGE_INTEGER, LARGE_INTEGER *, DWORD);
enum { BCRYPT_USE_SYSTEM_PREFERRED_RNG = 2 };
LONG BCryptGenRandom(void *, UCHAR *, ULONG, ULONG);
#ifdef __cplusplus
}
#endif
#endif
