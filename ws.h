/*
>> TITLE ==================================================================================

   ws.h - WebSockets for C in one header. MIT licence, text at the end.

   In exactly one file of your program, write this before any other include:
       #define WS_IMPLEMENTATION
       #include "ws.h"
       #include <stdio.h>

       static void echo(ws_conn *conn, ws_message message) { ws_send(conn, message); }

       int main(void) {
           ws_loop *loop = ws_loop_new(NULL);
           ws_server *server = ws_listen(loop, &(ws_server_config){ .port = 9001 });
           ws_route(server, "/", &(ws_handler){ .on_message = echo });
           ws_error error = ws_run(loop);
           if (error) fprintf(stderr, "%s\n", ws_loop_error_text(loop));
           return error;
       }

   Build it with `cc -O2 echo.c -o echo -lssl -lcrypto`, or without wss:// with
   `cc -O2 -DWS_NO_TLS echo.c -o echo`. On Windows add -lws2_32 -lbcrypt, and for wss:// also -lcrypt32.
   Your other files include "ws.h" without the define.

   A client:
       ws_conn *conn = ws_connect("wss://example.com/feed", NULL);
       ws_send_text(conn, "hello");
       for (ws_message message; ws_receive(conn, &message); )
           printf("%s\n", (const char *)message.data);
       if (ws_last_error(conn)) fprintf(stderr, "%s\n", ws_last_error_text(conn));
       ws_free(conn);

   RULES
   - Threads    Use a loop and everything that belongs to it from one thread. Only ws_post, ws_stop and ws_shutdown
                may be called from any thread or signal handler. WS_ASSERT catches most violations.
                A client looks up host names in a separate thread, which may outlive the loop.
   - Lifetime   A ws_conn pointer is valid until its on_close or on_error returns. To use it later, keep its ws_id:
                ws_find returns the connection, or NULL once it has ended. A received message is valid until the
                callback returns; a zero byte follows it. Configs and strings that you pass in are copied.
   - Callbacks  A callback may do anything to any connection: send, close, drop, join, leave, broadcast, free the
                server. The loop calls on_close later, never from inside your call.
   - Errors     A call on a NULL handle does nothing. Calls that fail return false or NULL. ws_last_error or
                ws_loop_error then returns the error; ws_last_error_text or ws_loop_error_text explains it.
                After a failed ws_listen or ws_route, ws_run returns that error at once, so one check at the end is
                enough. The library never prints, exits or touches signals.
   - Zero       A config field that is zero takes the default named in its comment.

   FIRMWARE     Use the engine alone, in one role: define WS_SMALL, WS_NO_NET, WS_NO_ALLOC, WS_NO_DEFLATE, WS_NO_JSON
                and WS_NO_CLIENT or WS_NO_SERVER. examples/firmware.c on a Cortex-M4 (`make firmware`, gcc -Os) takes
                8,470 bytes of flash as a server (17,680 without WS_SMALL), 7,850 as a client, 11,830 with both roles,
                536 bytes of stack, and 200 bytes of RAM besides the engine's memory. With 1 KiB of memory a server
                accepts heads of up to 751 bytes, and messages of any size in chunks (see WS_ENGINE_MEMORY).

   CONTENTS     grep '^>> ' ws.h
*/

/*
>> CONFIG =================================================================================
   Macros that change what is compiled. Everything else is a config field. Compile all files of a program with the same
   switches: they change the sizes of structs.

     WS_IMPLEMENTATION   compiles the functions of ws.h into the source file that defines it
     WS_API              text before each public function, such as static __attribute__((unused)); default: nothing
     WS_ASSERT(x)        checks for mistakes in your program (default: assert)
     WS_MINIMAL          the core with a server: every WS_NO_... except _NET, _SERVER, _ALLOC, _FAST and _TRANSPORT
     WS_SMALL            small code instead of fast code, for firmware, with the same protocol, limits and checks. Most
                         statuses have no reason phrase, errors and refused Origins are not explained, and with
                         WS_NO_HTTP responses have no Date. With WS_NO_NET and WS_NO_DEFLATE also: a frame of 4 GiB or
                         more gets 1009, a time limit above 24 days has no effect, the connection closes after an HTTP
                         response, a refusal has no body, and an invalid element of config.origins matches nothing
     WS_NO_ALLOC         engines use only the memory that you give them; with WS_NO_NET realloc is not linked
     WS_NO_NET           the engine alone: no sockets, clock or operating system
     WS_NO_ENGINE        no public ws_engine; no effect with WS_NO_NET
     WS_NO_CLIENT        no client: no ws_connect, ws_dial, or client role of the engine
     WS_NO_SERVER        no server: no ws_listen, or server role of the engine
     WS_NO_HTTP          no HTTP beside WebSockets: no handlers, bodies, forms, files, sessions
     WS_NO_JSON          no JSON, no HTML writer, and no sessions
     WS_NO_DEFLATE       no compression (permessage-deflate); its config fields stay, without effect
     WS_NO_TLS           no TLS, and no need for OpenSSL. The config fields stay, but a server that sets any of .tls, a
                         client with a wss: URL, and sessions without .hmac fail with NO_TLS
     WS_LWIP             lwIP's sockets (lwip/sockets.h) instead of POSIX's; see the section LWIP. Implies WS_NO_TLS,
                         WS_NO_EPOLL, WS_NO_HTTP and WS_NO_FORWARD
     WS_NO_HOST          no ws_watch, ws_loop_descriptor, ws_loop_timeout, ws_loop_fds or ws_loop_dispatch
     WS_NO_KEEP          no ws_keep: a request must be answered in its callback; has an effect only with WS_NO_HTTP
     WS_NO_UNIX          no Unix sockets, no ws_listen_also, no ws_hand_over, no ws_server_config.descriptor
     WS_NO_TRANSPORT     plain TCP only: no TLS, no ws_transport; has an effect only with WS_NO_CLIENT
     WS_NO_EPOLL         no epoll or kqueue: loops stay on select, with at most FD_SETSIZE descriptors
     WS_NO_DISPATCH      no detection of AVX2, AVX-512 and SHA instructions at run time (x86-64, gcc and clang), and
                         no NEON for UTF-8 on AArch64
     WS_NO_FAST          no fast paths: an echo of 125 bytes takes 1,060 instructions instead of 381, one of 16 KiB
                         13,200 instead of 1,900. Implies WS_NO_DISPATCH; implied by WS_SMALL
     WS_NO_FORWARD       no trusted proxies (X-Forwarded-For, PROXY protocol), no limits per address, no rate limits
     WS_NO_TEST          no test client (ws_test_connect)
     WS_NO_TRACE         no trace (ws_loop_config.trace, ws_trace_text); implied by WS_SMALL
     WS_NO_STATS         no statistics: no ws_loop_stats or ws_server_stats
*/

#if !defined(__cplusplus) && !defined(_MSC_VER) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 199901L)
#error "ws.h needs C99 or later: cc -std=c99"
#undef WS_IMPLEMENTATION
#define WS_H
#endif
#ifndef WS_H
#define WS_H

#ifdef WS_MINIMAL /* Some switches imply others. List a new one in Makefile (WITHOUT), tests/sizes and README, too. */
#undef WS_NO_CLIENT
#define WS_NO_CLIENT
#undef WS_NO_JSON
#define WS_NO_JSON
#undef WS_NO_DEFLATE
#define WS_NO_DEFLATE
#undef WS_NO_ENGINE
#define WS_NO_ENGINE
#undef WS_NO_HOST
#define WS_NO_HOST
#undef WS_NO_UNIX
#define WS_NO_UNIX
#undef WS_NO_STATS
#define WS_NO_STATS
#endif
#ifdef WS_NO_NET
#undef WS_NO_ENGINE
#undef WS_NO_STATS
#define WS_NO_STATS
#endif
#ifndef WS_NO_CLIENT
#undef WS_NO_TRANSPORT
#endif
#if defined(WS_MINIMAL) || defined(WS_LWIP) || defined(WS_NO_TRANSPORT)
#undef WS_NO_TLS
#define WS_NO_TLS
#endif
#if defined(WS_MINIMAL) || defined(WS_LWIP) || (!(defined(__linux__) && defined(__GNUC__)) && !defined(__APPLE__) \
    && !defined(__FreeBSD__) && !defined(__OpenBSD__) && !defined(__NetBSD__) && !defined(__DragonFly__))
#undef WS_NO_EPOLL /* nor with tcc, which does not pack epoll_event */
#define WS_NO_EPOLL
#endif
#ifdef WS_SMALL
#undef WS_NO_FAST
#define WS_NO_FAST
#endif
#if defined(WS_NO_FAST) || defined(WS_MINIMAL) || !defined(__GNUC__) \
    || (!(defined(__x86_64__) && defined(__SSE2__)) && !(defined(__AARCH64EL__) && defined(__ARM_NEON)))
#undef WS_NO_DISPATCH
#define WS_NO_DISPATCH
#endif
#if defined(WS_SMALL) || defined(WS_MINIMAL) || defined(WS_NO_NET)
#undef WS_NO_TRACE
#define WS_NO_TRACE
#endif
#if defined(WS_NO_CLIENT) && defined(WS_NO_SERVER)
#error "WS_NO_CLIENT and WS_NO_SERVER leave no role: define one of them"
#endif
#if defined(WS_MINIMAL) || defined(WS_LWIP) || defined(WS_NO_SERVER) || defined(WS_NO_NET)
#undef WS_NO_HTTP
#define WS_NO_HTTP
#undef WS_NO_FORWARD
#define WS_NO_FORWARD
#endif
#if defined(WS_MINIMAL) || defined(WS_NO_SERVER)
#undef WS_NO_KEEP
#define WS_NO_KEEP
#elif !defined(WS_NO_HTTP)
#undef WS_NO_KEEP
#endif
#if defined(WS_NO_SERVER) || defined(WS_NO_CLIENT) || defined(WS_NO_NET)
#undef WS_NO_TEST
#define WS_NO_TEST
#endif

#if defined(WS_SMALL) && defined(WS_NO_NET) && defined(WS_NO_DEFLATE)
#define WSI_BARE /* the engine alone, as small as possible */
#endif

#define WS_VERSION "0.3.0"
#define WS_VERSION_MAJOR 0
#define WS_VERSION_MINOR 3
#define WS_VERSION_PATCH 0
#define WS_VERSION_AT_LEAST(major, minor, patch) \
    (WS_VERSION_MAJOR * 10000 + WS_VERSION_MINOR * 100 + WS_VERSION_PATCH >= (major) * 10000 + (minor) * 100 + (patch))

/* Strict C (-std=c99) hides POSIX, unless the system's own macro is defined before the first header. */
#if defined(WS_IMPLEMENTATION) && !defined(WS_NO_NET)
#if !defined(_GNU_SOURCE) && (defined(__linux__) || defined(__CYGWIN__) || defined(__EMSCRIPTEN__))
#define _GNU_SOURCE 1
#elif !defined(_DARWIN_C_SOURCE) && defined(__APPLE__)
#define _DARWIN_C_SOURCE 1
#elif !defined(_NETBSD_SOURCE) && defined(__NetBSD__)
#define _NETBSD_SOURCE 1
#elif !defined(__EXTENSIONS__) && defined(__sun)
#define __EXTENSIONS__ 1
#endif
#if !defined(_FILE_OFFSET_BITS) && (defined(__linux__) || defined(__sun)) && !defined(__ANDROID__)
#define _FILE_OFFSET_BITS 64 /* for files of more than 2 GiB on 32-bit systems */
#endif
#endif

#if defined(_WIN32) && !defined(WS_NO_NET) /* make windows.h declare all functions of Windows 7, but few macros */
#if !defined(_WIN32_WINNT)
#define _WIN32_WINNT 0x0601
#endif
#undef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#undef NOMINMAX
#define NOMINMAX
#endif

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if defined(_WIN32) && !defined(WS_NO_NET) && !defined(WS_LWIP)
#include <winsock2.h>
typedef SOCKET ws_socket;
#else
#if defined(WS_LWIP) && !defined(WS_NO_NET)
#include "lwip/sockets.h"
#elif !defined(WS_NO_NET)
#define WSI_POSIX
#include <sys/select.h> /* fd_set */
#include <sys/time.h>
#endif
typedef int ws_socket; /* a descriptor */
#endif

#ifndef WS_API
#define WS_API
#endif

/* Makes the compiler check a format against its arguments. */
#if defined(__GNUC__)
#define WS_PRINTF(format, first) __attribute__((__format__(__printf__, format, first)))
#else
#define WS_PRINTF(format, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
>> API ====================================================================================
   Core: errors, messages, connections, TLS and transports, handlers, servers, rooms, requests, loops, engine.
   Add-ons: HTTP, sessions, clients, JSON, HTML, testing.
   "false: STATE" means that the call returns false and the error is WS_ERROR_STATE. Any call that can fail may also
   fail with ARGUMENT or MEMORY. A text is UTF-8 and ends with a zero byte. Sizes are in bytes.
*/

typedef enum ws_error {
    WS_OK = 0,
    WS_ERROR_MEMORY,      /* the allocator failed, or the loop has reached max_memory */
    WS_ERROR_ARGUMENT,    /* an argument is NULL, out of range or malformed */
    WS_ERROR_STATE,       /* not possible now: the connection is not open, or a message in parts is unfinished */
    WS_ERROR_BUFFERED,    /* too much is already waiting to be sent, or an engine's fixed memory is full */
    WS_ERROR_UTF8,        /* text is not valid UTF-8: yours, or the peer's */
    WS_ERROR_CLOSE_CODE,  /* a close code or reason that must not be sent */
    WS_ERROR_PATTERN,     /* a route's pattern is malformed */
    WS_ERROR_DUPLICATE,   /* a route's pattern has two parameters of the same name */
    WS_ERROR_FILE,        /* a file or folder cannot be read */
    WS_ERROR_ADDRESS,     /* the system cannot listen on this host or port */
    WS_ERROR_IN_USE,      /* the port or Unix socket is in use by another program */
    WS_ERROR_PERMISSION,  /* the system does not permit this port */
    WS_ERROR_SYSTEM,      /* a system call failed: socket, pipe or select */
    WS_ERROR_DESCRIPTORS, /* no descriptor is left, or the loop's poller cannot watch another */
    WS_ERROR_RANDOM,      /* the random source failed */
    WS_ERROR_HANDSHAKE,   /* the peer's opening handshake is invalid */
    WS_ERROR_PROTOCOL,    /* the peer sent invalid frames */
    WS_ERROR_TOO_BIG,     /* the peer's message or head exceeds its limit */
    WS_ERROR_TIMEOUT,     /* the peer did not answer in time */
    WS_ERROR_CLOSED,      /* the connection ended without a closing handshake */
    WS_ERROR_RESOLVE,     /* the host name has no address, or the look-up took too long */
    WS_ERROR_ROOMS,       /* the connection is in limits.rooms rooms already */
#ifndef WS_NO_CLIENT
    WS_ERROR_URL,         /* not a valid URL (RFC 6455 3) */
    WS_ERROR_CONNECT,     /* no address of the host accepted the connection */
    WS_ERROR_PROXY,       /* the proxy refused, or does not speak HTTP */
    WS_ERROR_REDIRECT,    /* too many redirects, or a redirect that cannot be followed */
    WS_ERROR_REFUSED,     /* the server answered with a status other than 101: see ws_status */
    WS_ERROR_STOPPED,     /* ws_stop ended a blocking call: see ws_client_config.loop */
#endif
#if !defined(WS_NO_TRANSPORT) || !defined(WS_NO_HTTP)
    WS_ERROR_TLS,         /* a certificate file cannot be used, or the TLS handshake failed */
    WS_ERROR_CERTIFICATE, /* the peer's certificate cannot be trusted */
    WS_ERROR_NO_TLS,      /* a wss: URL or a certificate is given, but the program was built with WS_NO_TLS */
#endif
    WS_ERROR_FORMAT       /* a format string has an unknown conversion, or the result is not JSON */
} ws_error;

/* One English sentence: what happened and what to do about it. Static, never NULL. */
WS_API const char *ws_error_text(ws_error error);

typedef struct ws_loop ws_loop;       /* an event loop: sockets, timers and posted functions */
typedef struct ws_server ws_server;   /* a listening port with its routes and rooms */
typedef struct ws_conn ws_conn;       /* one WebSocket connection */
typedef struct ws_request ws_request; /* an HTTP or WebSocket request that is not answered yet */
typedef uint64_t ws_id;               /* names a connection, timer or request; never reused; 0: none; can exceed 2^53 */

typedef enum ws_type { WS_TEXT = 1, WS_BINARY = 2 } ws_type;

/* A whole message; text is UTF-8. Received data has a zero byte at data[size]. */
typedef struct ws_message {
    const uint8_t *data;
    size_t size;
    ws_type type;
} ws_message;

/* Part of a text; no zero byte follows it. If the text is absent, data is NULL; if it is empty, only size is 0. */
typedef struct ws_slice {
    const char *data;
    size_t size;
} ws_slice;

/* Part of a message, for on_chunk. It may end in the middle of a UTF-8 character. */
typedef struct ws_chunk {
    const uint8_t *data;
    size_t size;
    ws_type type;
    bool first, last; /* the first or last chunk of its message */
} ws_chunk;

/* Why a connection ended (RFC 6455 7.1). */
typedef struct ws_close_info {
    uint16_t code;
    const char *reason; /* UTF-8, never NULL; valid until on_close returns */
    bool clean;         /* both sides sent a close frame */
} ws_close_info;

/* Close codes (RFC 6455 7.4.1). You may send 1000 to 1003, 1007 to 1014, and 3000 to 4999. */
#define WS_CLOSE_NORMAL 1000
#define WS_CLOSE_GOING_AWAY 1001  /* the user has left the page, or a client's loop is shutting down */
#define WS_CLOSE_PROTOCOL 1002    /* invalid frames */
#define WS_CLOSE_UNSUPPORTED 1003 /* a type of message that the receiver cannot handle */
#define WS_CLOSE_NONE 1005        /* never sent: the peer's close frame had no code */
#define WS_CLOSE_BROKEN 1006      /* never sent: the connection ended without a close frame */
#define WS_CLOSE_BAD_DATA 1007    /* text that is not UTF-8 */
#define WS_CLOSE_POLICY 1008      /* not allowed; a ws.h client reconnects only after its longest pause */
#define WS_CLOSE_TOO_BIG 1009     /* a message over limits.message */
#define WS_CLOSE_INTERNAL 1011    /* an error in the server */
#define WS_CLOSE_RESTART 1012     /* the server is restarting: see ws_shutdown */
#define WS_CLOSE_TRY_LATER 1013   /* overload: the peer reads too slowly, or memory is short */
#define WS_CLOSE_BAD_GATEWAY 1014 /* the server behind this one failed */

typedef enum ws_conn_state { WS_CONNECTING, WS_OPEN, WS_CLOSING, WS_CLOSED } ws_conn_state;

#define WS_OFF UINT32_MAX /* no limit, for times in milliseconds */

/* Limits on a peer. 0 means the default in the comment; SIZE_MAX or WS_OFF means no limit. A peer that keeps reading
   what is queued for it does not time out, however slow it is, except during a client's handshake. */
typedef struct ws_limits {
    size_t head;           /* head of a request or response: 16 KiB; a larger request gets 431 */
    size_t message;        /* a whole message: 16 MiB; a larger one closes the connection with 1009 */
    size_t buffered;       /* unsent bytes of a connection: 4 MiB; beyond that, sends fail and reading pauses. The
                              overhead of many small queued broadcasts is limited separately, to the same size */
    uint32_t handshake_ms; /* time to receive a head, from connecting or from a later request's first byte: 10 s */
    uint32_t ping_ms;      /* silence of the peer after which a ping is sent: 25 s */
    uint32_t pong_ms;      /* further silence after which the connection is dropped: 20 s */
    uint32_t close_ms;     /* how long the peer may take to answer a close frame: 5 s */
#ifndef WS_NO_NET
    size_t body;           /* body of a request: 1 MiB; a larger one gets 413. Client: body of a refusal: 64 KiB */
    uint32_t answer_ms;    /* 30 s each: time for a body to arrive (else 408), for you to answer a kept request (else
                              503), and for the peer to read more of a response (else it is dropped) */
    uint32_t idle_ms;      /* time between two HTTP requests of a connection: 75 s, longer than load balancers wait */
    size_t rooms;          /* rooms that one connection may join: 1,000 */
#endif
} ws_limits;

/* Compression: permessage-deflate (RFC 7692), off by default. With it, an echo of 1 KiB of JSON sends 28 % of the
   bytes, and takes 71,000 instructions instead of 620. A client makes two offers: one with its config's parameters, and
   one without parameters, which any server accepts. If the server accepts the second, it may use context although
   .context is false: the client then needs up to 40 KiB. With WS_NO_DEFLATE these fields have no effect. */
typedef struct ws_deflate_config {
    bool on;             /* a client offers compression, a server accepts it. false: the other fields have no effect */
    bool context;        /* messages may refer to earlier ones (context takeover), and get smaller. With
                            W = 1 << window_bits, each connection then needs 5 * W / 4 bytes to receive; and to send,
                            20 KiB + 3 * W / 2 + min(2 * W, 32 KiB) at level 1, 44 KiB + 7 * W / 2 + min(2 * W, 32 KiB)
                            from level 6 on. false: connections hold nothing between messages; the loop has one
                            compressor (52 KiB at level 1), one decompressor (8 KiB) and a buffer for a message */
    uint8_t window_bits; /* log2 of the window, both ways: 8 to 15; peers may ask for less. 0: 15, or 12 with context */
    int8_t level;        /* 1 (fastest) to 9 (smallest), -1 (least memory). 0: 1 */
    uint16_t threshold;  /* messages below this size are not compressed. 0: 64 */
} ws_deflate_config;

/* resize(user, block, old_size, new_size) allocates if block is NULL, and frees and returns NULL if new_size is 0.
   Otherwise NULL means out of memory, and the block is unchanged. */
typedef struct ws_allocator {
    void *(*resize)(void *user, void *block, size_t old_size, size_t new_size);
    void *user;
} ws_allocator;

#ifndef WS_NO_NET
/* --- connections ------------------------------------------------------------------------ */

/* Sends one message (RFC 6455 5.6). You may reuse the data when the call returns; the bytes are sent when the callback
   returns. false: nothing is sent; STATE, UTF8, or BUFFERED (limits.buffered was already reached). */
WS_API bool ws_send(ws_conn *conn, ws_message message);
WS_API bool ws_send_text(ws_conn *conn, const char *text);
WS_API bool ws_send_binary(ws_conn *conn, const void *data, size_t size);

/* Sends one part of a message as a fragment; the total size need not be known. last: the message ends with this part.
   Until then, other messages on this connection fail with STATE, and broadcasts to it wait. Fails like ws_send. */
WS_API bool ws_send_part(ws_conn *conn, ws_message part, bool last);

/* Sends a ping with up to 125 bytes (RFC 6455 5.5.2), besides the pings of limits.ping_ms. Fails like ws_send. */
WS_API bool ws_ping(ws_conn *conn, const void *data, size_t size);

/* Starts the closing handshake (RFC 6455 7.1.2). code: one of WS_CLOSE_NORMAL and so on, or 0 for none. reason: UTF-8
   of at most 123 bytes, or NULL. Messages that still arrive are dropped; on_close follows. false: STATE, CLOSE_CODE. */
WS_API bool ws_close(ws_conn *conn, uint16_t code, const char *reason);

/* Ends the connection at once, without a closing handshake. on_close follows, with code 1006. */
WS_API void ws_drop(ws_conn *conn);

/* Stop and resume reading, for a program that cannot keep up. No data is lost: at most one receive buffer of it waits
   here, the rest at the peer. ws_resume delivers it at the end of the round. During a pause pings are not answered, so
   the peer may give up; if it closes, that is not noticed. The peer counts as alive while its TCP acknowledges pings
   (Windows, lwIP: until TCP gives up). ws_close ends a pause. false: STATE, which a blocking client always gets. */
WS_API bool ws_pause(ws_conn *conn);
WS_API bool ws_resume(ws_conn *conn);

WS_API ws_conn_state ws_state(const ws_conn *conn); /* NULL: WS_CLOSED */
/* Bytes queued but not sent yet, not counting broadcasts that wait until a message in parts ends. After a result above
   0, on_drain or on_close will be called. To send a file of any size, run this loop in on_open and in on_drain:
   while (more && ws_buffered(conn) < 65536) more = send_next_part(conn); */
WS_API size_t ws_buffered(const ws_conn *conn);
/* The error of the last call that failed (a later success does not clear it), or the one that ended the connection. */
WS_API ws_error ws_last_error(const ws_conn *conn); /* NULL: WS_ERROR_MEMORY */
/* This error as a sentence; a client's names the host, header or certificate at fault. Valid until the next call. */
WS_API const char *ws_last_error_text(const ws_conn *conn);
/* Why the connection ended; its code is 0 until then. reason is valid as long as conn. */
WS_API ws_close_info ws_closed(const ws_conn *conn);
WS_API ws_id ws_conn_id(const ws_conn *conn);     /* never reused; a client keeps its id when it reconnects */
WS_API ws_conn *ws_find(ws_loop *loop, ws_id id); /* NULL: the connection has ended */
WS_API ws_loop *ws_conn_loop(const ws_conn *conn);

/* The subprotocol agreed on; "": the two sides have none in common (RFC 6455 4.2.2). Valid until on_close returns. */
WS_API const char *ws_subprotocol(const ws_conn *conn);

/* Writes the peer's address, "127.0.0.1:5000" or "[::1]:5000"; 64 bytes suffice. false: unknown, closed, too long. */
WS_API bool ws_peer(const ws_conn *conn, char *text, size_t size);

/* A pointer for your own use; initially the handler's user. */
WS_API void ws_set_user(ws_conn *conn, void *user);
WS_API void *ws_user(const ws_conn *conn);

/* --- TLS and other transports (WS_NO_TRANSPORT) ----------------------------------------- */

/* A connection's socket, and its transport's session. */
typedef struct ws_link {
    ws_socket descriptor; /* connected, non-blocking; ws.h closes it */
    uint8_t wants;    /* WS_READ or WS_WRITE: what a call that returns 0 waits for. Preset to the call's own direction:
                         change it if a read must write first, or a write must read first */
    bool pending : 1; /* read sets this if it has more bytes than fitted: it is then called again at once */
    bool unsent : 1;  /* keep this set while the session holds bytes that the socket did not take: write is then called
                         when the socket is writable, with size 0 if there is nothing new */
    bool budget : 1, plain : 1; /* private, like the next line */
    uint8_t interest, kind;
    void *session;    /* NULL before open and after close */
} ws_link;

enum { WS_NONE = 0, WS_READ = 1, WS_WRITE = 2 };
enum { WS_ENDED = -1, WS_FAILED = -2 };

#ifndef WS_NO_TRANSPORT
/* TLS for a server's port, or for a client's wss: URLs: TLS 1.2 or later (higher if the system's OpenSSL requires
   it), with ALPN http/1.1 and session tickets. Files and texts are PEM; a file takes precedence over a text. A server
   loads them in the call that takes the config, a client before it connects to a wss: URL; failure is TLS. A reconnect
   reloads changed files if they are usable. Equal configs are loaded once. OpenSSL's memory is not in max_memory. */
typedef struct ws_tls_config {
    const char *cert_file, *key_file; /* your certificate with its chain; its private key (NULL: it is in cert_file) */
    const char *cert_pem, *key_pem;   /* certificate and key as texts in memory */
    const char *ca_file, *ca_pem;     /* CAs that may sign the peer's certificate: roots or intermediates, at least one
                                         of them usable. Client: NULL means the system's roots, loaded once per loop.
                                         Server: if set, each client must present a certificate (mTLS) */
    const char *crl_file;             /* a certificate revocation list; needs ca_file or ca_pem */
    const char *server_name;          /* client: the name to ask for (SNI) and to verify; NULL: the URL's host */
    bool client_cert_optional;        /* server with ca_file or ca_pem: a client need not present a certificate */
    bool accept_any_certificate;      /* client: verify nothing, so anyone in between can read and change everything */
    void *ssl_ctx;                    /* your own SSL_CTX, instead of files and texts; ws.h takes a reference to it */
} ws_tls_config;

/* Writes the subject of the peer's verified certificate (RFC 4514): "CN=ann,O=Ex". false: none, too long, or closed. */
WS_API bool ws_peer_certificate(const ws_conn *conn, char *text, size_t size);
WS_API void *ws_tls_session(const ws_conn *conn); /* OpenSSL's SSL *, or a ws_transport's session; or NULL */

/* Another TLS library, or anything else that carries bytes: see tests/helpers/transport_mbedtls.h. A session is the
   transport's state for one connection. read and write return a number of bytes, 0 for "try again when ready", WS_ENDED
   (only read: the peer will send no more), or WS_FAILED. After a 0, write gets the same bytes again, possibly followed
   by more. All functions run in the loop's thread. */
typedef struct ws_transport {
    bool (*open)(ws_link *link, const char *host, void *user); /* false: failed. host: the name to verify (the URL's
                                         host or tls.server_name); NULL: this end is the server */
    ptrdiff_t (*read)(ws_link *link, void *data, size_t size);
    ptrdiff_t (*write)(ws_link *link, const void *data, size_t size);
    ptrdiff_t (*shut)(ws_link *link);  /* sends what is unsent, then the end (close_notify). 1: done, 0: try again when
                                          ready, or WS_FAILED */
    void (*close)(ws_link *link);      /* frees the session */
    /* Writes why the session failed into size bytes, with a zero. Returns the error; WS_OK: unknown. May be NULL. */
    ws_error (*reason)(ws_link *link, char *text, size_t size);
    void *user;                        /* passed to open */
} ws_transport;

#ifndef WS_NO_SERVER
/* Replaces a TLS server's certificate; open connections keep theirs. false: nothing has changed;
   ws_loop_error_text says why, but ws_loop_error stays as it was. */
WS_API bool ws_server_tls(ws_server *server, const ws_tls_config *config);
#endif
#endif /* WS_NO_TRANSPORT */

/* --- handlers --------------------------------------------------------------------------- */

/* Callbacks and options for the connections of a route or of a client. Every field may be zero. */
typedef struct ws_handler {
    void (*on_request)(ws_request *request); /* server: a hook for this route alone, called last; see ws_before */
    void (*on_open)(ws_conn *conn);
    void (*on_message)(ws_conn *conn, ws_message message);
    void (*on_chunk)(ws_conn *conn, ws_chunk chunk); /* replaces on_message: messages of any size, in chunks */
    void (*on_drain)(ws_conn *conn); /* everything is sent: send more here. Called once after bytes were queued, after
                                        ws_buffered returned more than 0, or after a send or broadcast failed (BUFFERED,
                                        or because a message in parts was unfinished); never during such a call */
    void (*on_close)(ws_conn *conn, ws_close_info why); /* once for each on_open */
    void (*on_error)(ws_conn *conn); /* client: an attempt to connect failed; see ws_last_error_text */
    const char *subprotocols; /* "chat, superchat", best first. A client offers all, a server picks the first offered */
    void *user;               /* the initial ws_user of each connection */
    ws_deflate_config deflate; /* for a server; a client has its own in its config */
    void (*on_pong)(ws_conn *conn, ws_message payload); /* a pong: to ws_ping, to limits.ping_ms, or unsolicited */
} ws_handler;

#ifndef WS_NO_SERVER
/* --- servers and routes ----------------------------------------------------------------- */

typedef struct ws_server_config {
    const char *host;       /* NULL: 127.0.0.1; "0.0.0.0": any IPv4; "::": any IPv6 and IPv4 (OpenBSD: IPv6 only) */
    uint16_t port;          /* 0: any free port, see ws_port */
    const char *origins;    /* origins whose pages may connect, and may call handlers of POST and the like. NULL: the
                               server's own scheme, host and port; "*": all; or a list,
                               "https://a.example, https://b.example:8443". The host "*.c.example" matches every name
                               below c.example, but not c.example. Others get 403, with the reason. Behind a proxy that
                               hides the port, list the public origin. A page opened as a file has the origin "null" */
    const char *hosts;      /* allowed values of the Host header: "a.example, 127.0.0.1, [::1]:8000". A host without a
                               port allows any port. Others get 403. NULL: all are allowed; then a foreign page counts
                               as same-origin if its name is made to resolve to this address (DNS rebinding) */
    size_t max_connections; /* 100,000, or as many as FD_SETSIZE allows on select (see ws_poller); others get 503 */
    int backlog;            /* for listen(2): 511 */
    bool reuse_port;        /* SO_REUSEPORT: several loops share a port */
#ifndef WS_NO_UNIX
    const char *unix_path;  /* listen on this Unix socket instead, and remove its file at the end. A socket on which
                               nobody listens is replaced; if anything else is there, ws_listen fails with IN_USE */
    unsigned unix_mode;     /* that file's permissions, such as 0660, set before anyone can connect; 0: by the umask */
    ws_socket descriptor;   /* use this stream socket instead, which is already listening: a predecessor's (see
                               ws_hand_over), or a supervisor's. The server closes it, but if ws_listen fails, it stays
                               yours. Two loops that share a socket need a dup each. unix_path, if given, names the
                               socket's file, which is removed at the end. With systemd:
                                   const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
                                   if (pid && atol(pid) == getpid() && count && atoi(count) > 0)
                                       config.descriptor = 3; */
#endif
#ifndef WS_NO_TEST
    bool no_port;           /* do not listen: for ws_test_connect */
#endif
#ifndef WS_NO_FORWARD
    const char *proxies;    /* trusted proxies: "127.0.0.1, 10.0.0.0/8, fd00::/8, unix". ws_peer then reports the
                               rightmost address in X-Forwarded-For that is not a trusted proxy. With origins NULL,
                               Origin must match the last X-Forwarded-Host instead of Host, and its scheme must be https
                               if the last X-Forwarded-Proto is https. NULL: no proxies */
    bool forwarded;         /* read the header Forwarded (RFC 7239) instead of the three X-Forwarded headers. Choose the
                               kind that your proxies set: they may pass on the other kind as the client sent it */
    bool proxy_protocol;    /* these proxies begin each connection with a PROXY header, version 1 or 2 */
    /* Limits on peers; 0 means none. Addresses are those of ws_peer; IPv6 addresses with the same first 64 bits count
       as one. Behind trusted proxies only WebSocket connections count. A rate allows bursts of one second's amount. */
    size_t address_connections; /* open connections of an address; further ones get 503 */
    uint32_t address_rate;  /* new connections of an address per second; further ones get 503 */
    uint32_t message_rate;  /* messages, pings and pongs of a connection per second; beyond that, reading pauses */
    uint32_t byte_rate;     /* bytes of these messages, pings and pongs per second */
    bool rate_closes;       /* beyond a rate, close the connection with 1008 instead of pausing */
#endif
#ifndef WS_NO_TRANSPORT
    ws_tls_config tls;      /* a certificate turns TLS on; ws_listen fails with TLS or NO_TLS if it cannot be used */
    const ws_transport *transport; /* replaces TCP and TLS; copied */
#endif
    ws_limits limits;
} ws_server_config;

/* Starts a server, which the loop owns; ws_server_free ends it earlier. config NULL: all defaults. On failure returns
   NULL and sets the loop's error: ARGUMENT, ADDRESS, IN_USE, PERMISSION, SYSTEM, DESCRIPTORS, MEMORY, STATE. */
WS_API ws_server *ws_listen(ws_loop *loop, const ws_server_config *config);
WS_API void ws_server_free(ws_server *server); /* drops its connections, with on_close for each */
WS_API uint16_t ws_port(const ws_server *server); /* in host byte order; 0: the server has no port */
#ifndef WS_NO_UNIX
/* Listens on one more address, with the same routes, rooms and limits. It uses these fields of config: host, port,
   backlog, reuse_port, unix_path, unix_mode, descriptor, and tls or transport. Without tls or transport, connections
   there are not encrypted. A server has only one certificate (the latest) or one transport. On failure returns false
   and sets the loop's error, as ws_listen does; STATE: the server is ending. */
WS_API bool ws_listen_also(ws_server *server, const ws_server_config *config);
/* The port of any of the server's addresses: index 0 is that of ws_listen, 1 that of the first ws_listen_also. */
WS_API uint16_t ws_port_at(const ws_server *server, size_t index);
/* The descriptor that the server listens on, for a successor's ws_server_config.descriptor; -1: no such index (see
   ws_port_at). It is close-on-exec: let the successor inherit a dup of it. Both processes listen until you call
   ws_shutdown here, which keeps a Unix socket's file. No connection is refused: the successor accepts pending ones. */
WS_API ws_socket ws_hand_over(ws_server *server, size_t index);
#endif
/* Serves WebSockets on a path: "/ws", "/ws/{room}", "/n/{n:int}", "/x/{x:float}", "/i/{id:uuid}", "/f/{rest:path}".
   {name} matches within one segment, up to the next '/' or the character that follows it in the pattern. {name:path}
   must come last, and matches the rest of the path. Paths are percent-decoded first, and must be UTF-8. The first route
   that matches wins. handler and its strings are copied. false, with the loop's error: PATTERN, DUPLICATE, ARGUMENT. */
WS_API bool ws_route(ws_server *server, const char *pattern, const ws_handler *handler);

/* Answers GET and HEAD with this text, which is copied. The pattern and the errors are those of ws_route. */
WS_API bool ws_page(ws_server *server, const char *pattern, const char *content_type, const char *body);

WS_API ws_server *ws_conn_server(const ws_conn *conn); /* NULL for a client */
/* The value of a parameter in the route's pattern, percent-decoded; NULL: the pattern has no such parameter. The peer
   chose the value: any UTF-8 without zeros. Valid until on_close returns. Only hooks can see the query and headers. */
WS_API const char *ws_param(const ws_conn *conn, const char *name);

/* --- rooms ------------------------------------------------------------------------------ */

/* A room is a name within a server. It exists while it has members. A connection leaves its rooms before its on_close
   runs. ws_join also succeeds for a member; false: STATE, ROOMS. ws_leave returns false for a non-member. */
WS_API bool ws_join(ws_conn *conn, const char *room);
WS_API bool ws_leave(ws_conn *conn, const char *room);

/* Send a message to all members of a room; ws_broadcast_others leaves out the sender. room NULL: to all open
   connections of the server; those that read too slowly are closed with 1013. The message is framed once. All messages
   that a member gets in one round of the loop are sent in one write. false: UTF8, or BUFFERED (see WS_SLOW_WAIT). */
WS_API bool ws_broadcast(ws_conn *sender, const char *room, ws_message message);
WS_API bool ws_broadcast_text(ws_conn *sender, const char *room, const char *text);
WS_API bool ws_broadcast_others(ws_conn *sender, const char *room, ws_message message);
WS_API bool ws_broadcast_others_text(ws_conn *sender, const char *room, const char *text);
WS_API bool ws_server_broadcast(ws_server *server, const char *room, ws_message message);
WS_API bool ws_server_broadcast_text(ws_server *server, const char *room, const char *text);

WS_API size_t ws_room_count(const ws_server *server, const char *room); /* members; NULL: open connections */
/* Writes up to capacity ids of members; returns how many members there are. room NULL: all open connections. */
WS_API size_t ws_room_members(const ws_server *server, const char *room, ws_id *ids, size_t capacity);

/* What a broadcast does about a member whose ws_buffered has reached limits.buffered. */
typedef enum ws_slow {
    WS_SLOW_CLOSE = 0,   /* close that member with 1013 (the default) */
    WS_SLOW_WAIT,        /* send to nobody, and fail with BUFFERED: try again in that member's on_drain or on_close */
    WS_SLOW_DROP_NEWEST, /* do not send this message to that member */
    WS_SLOW_DROP_OLDEST, /* drop the room's oldest messages that are queued for that member */
    WS_SLOW_LATEST       /* keep for each member only the room's latest message, until its socket takes more */
} ws_slow;

/* Sets a room's policy. If it is set before anybody joins, it stays until the server ends or WS_SLOW_CLOSE is set; if
   later, until the last member leaves. If peers choose names, call it after ws_join, so empty rooms take no memory. */
WS_API bool ws_room_slow(ws_server *server, const char *room, ws_slow policy);

/* --- requests --------------------------------------------------------------------------- */

/* A function that looks at a request. Path, parameters, query and form are UTF-8; headers and cookies are the bytes
   that the peer sent. Slices are valid until the callback returns; for a kept request, until it is answered. */
typedef void ws_hook(ws_request *request, void *user);

/* Adds a hook for WebSocket requests. Hooks run in the order in which they were added, then the route's on_request. The
   first that refuses ends the chain; if none does, the request is accepted. Malformed requests, unknown paths and
   foreign origins never reach a hook. Failure sets the loop's error. */
WS_API bool ws_before(ws_server *server, ws_hook *hook, void *user);

WS_API const char *ws_request_method(const ws_request *request); /* such as "GET"; "" for NULL */
WS_API ws_slice ws_request_path(const ws_request *request); /* percent-decoded */
WS_API ws_slice ws_request_param(const ws_request *request, const char *name); /* see ws_param */
/* The first value of that name in the query, percent-decoded, with '+' as a space. A pair that cannot be decoded or is
   not UTF-8 ("q=100%", "q=%E9") counts as absent. The raw query is everything after the '?'. */
WS_API ws_slice ws_request_query(const ws_request *request, const char *name);
WS_API ws_slice ws_request_raw_query(const ws_request *request);
/* The first header of that name, in any case. If the target is a whole URL, Host is its authority (RFC 9112 3.2.2). */
WS_API ws_slice ws_request_header(const ws_request *request, const char *name);
/* A cookie as the browser sent it, without surrounding quotes (RFC 6265 4.2). Names are case-sensitive. */
WS_API ws_slice ws_request_cookie(const ws_request *request, const char *name);
/* Like ws_peer; the port is missing if a trusted proxy names none. */
WS_API bool ws_request_peer(const ws_request *request, char *text, size_t size);
WS_API ws_server *ws_request_server(const ws_request *request);

WS_API bool ws_slice_is(ws_slice slice, const char *text); /* whether both are equal */
/* Read a decimal integer, with or without '-'. false: absent, malformed or out of range; *integer is then unchanged. */
WS_API bool ws_slice_integer(ws_slice slice, int64_t *integer);
WS_API bool ws_slice_unsigned(ws_slice slice, uint64_t *integer);

typedef struct ws_acceptance {
    const char *subprotocol; /* a subprotocol that the client offers; NULL: the handler's choice */
    const char *const *headers; /* lines for the response, NULL at the end: {"X-Served-By: a", NULL} */
    void *user;              /* ws_user of the connection; NULL: unchanged */
    const ws_deflate_config *deflate; /* compression of this connection; NULL: the handler's */
} ws_acceptance;

/* Accepts a WebSocket request, unless a later hook refuses it. The headers of all hooks are sent; for other fields the
   last call decides. how may be NULL; it is copied. false: already answered, or not a WebSocket request. false, and the
   client gets 500: no memory, subprotocol was not offered, a header is malformed or reserved, or deflate is invalid. */
WS_API bool ws_accept(ws_request *request, const ws_acceptance *how);
/* Refuses with a status (200 to 599), header lines (or NULL) and a body (NULL: the reason phrase), which is text/plain
   unless a header says otherwise. A page in a browser sees only close code 1006: to tell it why, and keep it from
   reconnecting, accept the request and call ws_close with 1008 in on_open. false: already answered. false, and the
   client gets 500: no memory, or the status or a header is invalid. */
WS_API bool ws_refuse(ws_request *request, int status, const char *const *headers, const char *body);

#ifndef WS_NO_KEEP
/* Keeps a request, to answer it later from a timer or a posted function. Call it in the request's callback, return, and
   do not use the pointer again. Returns an id for ws_kept; 0: no memory, and the client gets 503. abandoned (may be
   NULL) is called if the request can no longer be answered: the connection broke (a half-close by the client does not
   count, RFC 9112 9.6), limits.answer_ms passed (the client gets 503), or the server ends. */
WS_API ws_id ws_keep(ws_request *request, ws_hook *abandoned, void *user);
/* The kept request, valid until this round ends. NULL: answered or abandoned. ws_accept on it runs the next hook. */
WS_API ws_request *ws_kept(ws_loop *loop, ws_id id);
#endif
#endif /* WS_NO_SERVER */

/* --- loops ------------------------------------------------------------------------------ */

/* How a loop waits. By default it begins on select. At the first descriptor numbered 32 or above it moves to epoll
   (Linux) or kqueue (BSD, macOS) and stays there; with WS_NO_EPOLL, and on lwIP, it always stays on select. On Windows
   AUTO and SELECT use WSAPoll, without a limit. After a fork use the loop only in the parent; a child makes its own. */
typedef enum ws_poller {
    WS_POLLER_AUTO = 0,
    WS_POLLER_SELECT, /* always select: at most FD_SETSIZE descriptors (1,024 on most systems). Each wait looks at all
                         of them, so with 400 idle connections a message takes five times the CPU time */
    WS_POLLER_EPOLL   /* epoll or kqueue from the start; the loop fails if there is neither, or with WS_NO_EPOLL */
} ws_poller;

#ifndef WS_NO_TRACE
/* The events that ws_loop_config.trace gets. */
typedef enum ws_trace_kind {
    WS_TRACE_ACCEPTED,   /* a server has a new connection; text: the peer's address */
    WS_TRACE_HEAD,       /* data: the head of a request or, for a client, of a response. If a request is malformed, too
                            large or late, data is the part that has arrived */
    WS_TRACE_REFUSED,    /* a request gets status 400 or above; text: why. Client: an attempt failed; status may be 0 */
    WS_TRACE_TLS_FAILED, /* text: why TLS failed, or why a reconnect keeps the old files although they have changed */
    WS_TRACE_OPENED,     /* a WebSocket opens; text: its subprotocol, or ""; compressed: compression was agreed on */
    WS_TRACE_IN,         /* a frame's header has arrived: opcode, final, compressed, size; data: the payload as far as
                            it has arrived, up to 125 bytes */
    WS_TRACE_OUT,        /* a frame is sent or queued; the same fields, but data is the whole payload */
    WS_TRACE_PAUSED,     /* reading pauses: unsent bytes (size), pipelined requests, ws_pause, a rate limit, or much
                            decompressed data */
    WS_TRACE_RESUMED,    /* reading resumes; data that was already read has been delivered */
    WS_TRACE_DROPPED,    /* a broadcast of size bytes does not reach this member: see ws_room_slow */
    WS_TRACE_CLOSED,     /* status: the close code, or 0 if no WebSocket was open; text: the reason, or the error */
    WS_TRACE_LATE        /* a timer of ws_after or ws_every is late by size milliseconds, at least 20 */
} ws_trace_kind;

/* An event has time, conn, id, and the fields that its kind above names; all other numbers and pointers are zero, and
   text is "". Its pointers are valid until the function returns. */
typedef struct ws_trace_event {
    ws_trace_kind kind;
    int status;
    uint64_t time;    /* as ws_now returns it */
    ws_conn *conn;    /* for ws_peer, ws_user and the like; NULL: none */
    ws_id id;         /* conn's id, or 0 */
    const char *text; /* a text that the peer may have chosen */
    const uint8_t *data;
    size_t data_size;
    uint64_t size;
    uint8_t opcode;   /* RFC 6455 5.2: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong */
    bool final, compressed;
    bool by_us, by_peer; /* CLOSED: who sent the first close frame; neither if the connection broke */
    uint64_t messages_in, messages_out, bytes_in, bytes_out; /* CLOSED: totals; bytes: payload of all frames */
} ws_trace_event;

typedef void ws_trace_function(const ws_trace_event *event, void *user);

/* Writes an event as one line of ASCII, without a line break or payload. A line that does not fit into size bytes,
   including the zero, is cut off; 300 are enough for most events. */
WS_API void ws_trace_text(const ws_trace_event *event, char *text, size_t size);
WS_API void ws_trace_stderr(const ws_trace_event *event, void *user); /* a trace that prints these lines to stderr */
#endif /* WS_NO_TRACE */

typedef struct ws_loop_config {
    ws_allocator allocator; /* resize NULL: realloc and free */
    size_t max_memory;      /* bytes that the loop may allocate in all: 1 GiB */
    size_t max_unfinished;  /* bytes of max_memory that all peers together may use for messages, heads and bodies that
                               have not fully arrived: a quarter. Beyond that, the peer whose data has not grown for the
                               longest time is closed with 1013, or refused with 503 */
    size_t max_spare;       /* bytes of max_memory to keep for speed (a larger receive buffer, free blocks for large
                               messages), until they are unused for a second: a 64th. 1 or WS_NO_FAST: none */
    size_t receive_size;    /* of the receive and the send buffer: 64 KiB, at least 16 KiB (WS_SMALL: 2 and 1 KiB) */
    uint64_t (*clock)(void *user); /* returns milliseconds, which never decrease. NULL: the system's */
    void *clock_user;       /* passed to both clocks */
    uint64_t (*wall_clock)(void *user); /* returns seconds since 1970; 0: unknown, so no Date. NULL: the system's */
#ifndef WS_NO_TEST
    bool virtual_clock;     /* time (also a NULL wall_clock's) passes only in ws_test_wait and test clients' calls */
#endif
    ws_poller poller;
#ifndef WS_NO_TRACE
    ws_trace_function *trace; /* called for each event, to log it. It may call functions that only read, such as
                                 ws_peer, but must not send, close or free anything. NULL: none, at no cost */
    void *trace_user;         /* passed to trace */
#endif
} ws_loop_config;

WS_API ws_loop *ws_loop_new(const ws_loop_config *config); /* config NULL: all defaults. Returns NULL: no memory */
/* Ends servers, connections (with on_close) and timers. Inside a callback it only stops the loop: free it later. */
WS_API void ws_loop_free(ws_loop *loop);
WS_API ws_error ws_loop_error(const ws_loop *loop); /* the first failure. NULL: WS_ERROR_MEMORY */
WS_API const char *ws_loop_error_text(const ws_loop *loop); /* this error as a sentence with the file or address */

/* Runs until ws_stop, or until a ws_shutdown is complete. Returns WS_OK or the loop's error. If ws_listen, ws_route or
   ws_page has failed or fails meanwhile, ws_run returns that error at once. Inside a callback: WS_ERROR_STATE. */
WS_API ws_error ws_run(ws_loop *loop);
/* One round: waits up to wait_ms (WS_OFF: no limit), then serves what is ready. false: stopped, shut down or failed. */
WS_API bool ws_run_once(ws_loop *loop, uint32_t wait_ms);
WS_API uint64_t ws_now(const ws_loop *loop); /* milliseconds; updated in each round */

#ifndef WS_NO_STATS
/* Statistics for monitoring. Counters start at 0 when the loop or server is made, and never decrease. */
typedef struct ws_stats {
    size_t open;         /* WebSockets that are open now */
    size_t others;       /* connections that are now in a handshake, serving HTTP, or closing */
    size_t buffered;     /* bytes of all connections that are unsent now */
    uint64_t accepted;   /* connections accepted so far */
    uint64_t refused_4xx, refused_5xx; /* requests answered with 4xx; with 5xx, including connections that got 503 */
    uint64_t dropped;    /* broadcasts that did not reach a member, counted once for each member: see ws_room_slow */
    /* The rest is of the whole loop, even in ws_server_stats: */
    uint64_t messages_in, messages_out; /* in: handed to the program; out: a broadcast counts once for each member */
    uint64_t bytes_in, bytes_out;       /* bytes read and written; with TLS, of plaintext */
    size_t memory, memory_peak;         /* bytes allocated now, and their maximum so far: see max_memory */
    uint64_t longest_ms; /* the longest round, not counting its wait: no callback took longer */
} ws_stats;

/* Call these from the loop's thread. They take time in proportion to the number of connections. NULL: all zeros. */
WS_API ws_stats ws_loop_stats(const ws_loop *loop);
#ifndef WS_NO_SERVER
WS_API ws_stats ws_server_stats(const ws_server *server);
#endif
#endif /* WS_NO_STATS */

/* Calls function(argument) in the loop's thread in the next round; posts keep their order. May be called from any
   thread or signal handler while the loop exists. false: too many posts are pending (more than 2,000, on lwIP 16), or
   function is NULL (ws_loop_error_text says so in the next round). ws_loop_free drops pending posts. */
WS_API bool ws_post(ws_loop *loop, void (*function)(void *argument), void *argument);
/* Makes ws_run return soon, after earlier posts; connections stay open. May be called like ws_post, but never fails. */
WS_API bool ws_stop(ws_loop *loop);
/* Stops listening, closes all WebSockets with 1012 (clients with 1001), sends what is queued, and drops what is left
   after that time; then ws_run returns. Requests under way are finished first: files are sent, kept requests may be
   answered, bodies may arrive; requests unanswered at the end get 503. A new connection has a second to send a request;
   idle ones are closed. A second call can only shorten the time. May be called in any thread or signal handler. */
WS_API bool ws_shutdown(ws_loop *loop, uint32_t milliseconds);

/* Call function after that time, once or repeatedly. Data that has arrived by then is served first, so that no peer
   times out because a callback is slow. Returns an id for ws_cancel; 0: no memory, or function is NULL. */
typedef void ws_timer_function(ws_loop *loop, void *user);
WS_API ws_id ws_after(ws_loop *loop, uint32_t milliseconds, ws_timer_function *function, void *user);
WS_API ws_id ws_every(ws_loop *loop, uint32_t milliseconds, ws_timer_function *function, void *user);
WS_API void ws_cancel(ws_loop *loop, ws_id timer); /* no effect once the timer is done */

#ifndef WS_NO_HOST
/* Calls function when your descriptor is readable (WS_READ) or writable (WS_WRITE); ready says which. A second call for
   a descriptor replaces the first. Call it with WS_NONE before you close the descriptor. false: no memory, the poller
   cannot watch this descriptor, or function is NULL (ws_loop_error_text says so). */
typedef void ws_watch_function(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user);
WS_API bool ws_watch(ws_loop *loop, ws_socket descriptor, unsigned what, ws_watch_function *function, void *user);

/* To run this loop inside your own: returns a descriptor that is readable (level-triggered) while this loop has work.
   Do not close it. The first call moves the loop to epoll or kqueue, where it stays. -1: this loop can use only select
   (poller is SELECT, Windows, lwIP, WS_NO_EPOLL). Then use ws_loop_fds, or run the loop in a thread of its own. */
WS_API ws_socket ws_loop_descriptor(ws_loop *loop);
/* Sends what is queued, and returns how many milliseconds your loop may wait; -1: without limit. Call it before each
   wait, and ws_run_once(loop, 0) after it. 0: there is work that the descriptor does not show, a callback is running,
   or the loop is stopped or has failed, and ws_run_once will return false. */
WS_API int ws_loop_timeout(ws_loop *loop);
/* To run this loop inside your own select loop, before select: adds descriptors to both sets, raises *highest (start
   with -1) and lowers *timeout (start with yours). On epoll or kqueue it adds one descriptor. Windows ignores *highest.
   false: the loop is stopped, shut down, failed or in a callback; DESCRIPTORS: a descriptor is not below FD_SETSIZE. */
WS_API bool ws_loop_fds(ws_loop *loop, fd_set *reads, fd_set *writes, int *highest, struct timeval *timeout);
/* After select: serves what is set, and due timers. Pass empty sets if select failed. false: see ws_run_once. */
WS_API bool ws_loop_dispatch(ws_loop *loop, const fd_set *reads, const fd_set *writes);
#endif
#endif /* WS_NO_NET */

/* --- engine (WS_NO_ENGINE) -------------------------------------------------------------- */

/* The protocol without sockets: bytes in, events and bytes out. For firmware, for a transport or loop of your own, and
   for tests. All connections above run on the same engine. */

typedef enum ws_role { WS_ROLE_SERVER, WS_ROLE_CLIENT } ws_role;

typedef struct ws_span {
    uint8_t *data;
    size_t size;
} ws_span;

typedef enum ws_event_type {
    WS_EVENT_REQUEST, /* server: a request's head is complete; message is its target. Accept it or respond;
                         otherwise it is accepted when you ask for the next event */
    WS_EVENT_OPEN,    /* the handshake is complete. client: message is the response's head */
    WS_EVENT_REFUSED, /* client: the status is not 101; message is the response's head */
    WS_EVENT_MESSAGE, /* message is valid until you ask for the next event */
    WS_EVENT_CHUNK,   /* replaces MESSAGE if config.chunks is set; chunk is valid as long as a message */
    WS_EVENT_PING,    /* message is the payload; the pong is already queued */
    WS_EVENT_PONG,    /* message is the payload */
    WS_EVENT_CLOSED   /* close says why. Send the output that is left, then close the transport */
} ws_event_type;

typedef struct ws_event {
    ws_event_type type;
    ws_message message;
    ws_chunk chunk;
    ws_close_info close;
} ws_event;

#ifndef WS_NO_ENGINE
/* The memory_size for heads and messages up to these sizes, with an output_size of `output` (at least message + 272):
   static uint8_t memory[WS_ENGINE_MEMORY(700, 128, 400)]. A request's head may also fill all but the last 272 bytes of
   the output's part, so 1 KiB is enough for a head of 751 bytes. */
#define WS_ENGINE_MEMORY(head, message, output) \
    (((head) + 1 > (message) + 272 ? (head) + 1 : (message) + 272) + (output))

/* What is marked "kept" is not copied: it must outlive the engine. */
typedef struct ws_engine_config {
    ws_role role;
    uint8_t *memory;    /* fixed memory, for input and output; limits shrink to fit. NULL: use allocator */
    size_t memory_size; /* at least 1 KiB: see WS_ENGINE_MEMORY */
    size_t output_size; /* the part of memory for output; output and input need at least 320 bytes each; 0: half */
    bool chunks;        /* deliver messages of any size in chunks, as they arrive: WS_EVENT_CHUNK. In fixed memory each
                           chunk is small enough for ws_engine_send_part to send it back */
    ws_allocator allocator; /* resize NULL: realloc and free */
    bool (*random)(void *user, void *data, size_t size); /* client: required, for masking keys; false: it failed */
    void *random_user;
    ws_limits limits;
    const char *subprotocols; /* best first: "chat, superchat". A client offers them, a server chooses one; kept */
#ifndef WS_NO_SERVER
    const char *origins;      /* server: see ws_server_config; kept */
#endif
#ifndef WS_NO_CLIENT
    const char *host, *path;  /* client: the Host header; the request target (NULL: "/") */
    const char *const *headers; /* client: more lines for the request, NULL at the end: {"Cookie: a=b", NULL} */
#endif
    const ws_deflate_config *deflate; /* kept; NULL, .on false or fixed memory: no compression */
} ws_engine_config;

typedef struct ws_engine ws_engine; /* a complete type, for you to place; its fields are private */

/* false: an invalid config, no memory, or no random bytes: see ws_engine_error. All other calls then do nothing. */
WS_API bool ws_engine_init(ws_engine *engine, const ws_engine_config *config);
WS_API void ws_engine_free(ws_engine *engine); /* not needed with fixed memory */
WS_API ws_span ws_engine_input(ws_engine *engine);  /* where to write received bytes; empty when done */
WS_API void ws_engine_received(ws_engine *engine, size_t size); /* how many bytes you wrote there */
WS_API void ws_engine_ended(ws_engine *engine);     /* the transport failed or reached its end */
WS_API bool ws_engine_next(ws_engine *engine, ws_event *event); /* false: more input is needed */
WS_API ws_span ws_engine_output(ws_engine *engine); /* bytes to send, or empty */
WS_API void ws_engine_sent(ws_engine *engine, size_t size); /* how many bytes of the output were sent */
/* Applies the time limits. now: milliseconds of any clock. Returns the latest time at which to call it again. */
WS_API uint64_t ws_engine_tick(ws_engine *engine, uint64_t now);
WS_API bool ws_engine_done(const ws_engine *engine); /* closed, and all output is sent */
WS_API ws_conn_state ws_engine_state(const ws_engine *engine);
/* Why the latest call failed; once the engine is closed, why the connection failed. */
WS_API ws_error ws_engine_error(const ws_engine *engine);

#ifndef WS_NO_SERVER
/* Accepts the pending request (RFC 6455 4.2.2). false: BUFFERED; STATE: no WebSocket request is pending. */
WS_API bool ws_engine_accept(ws_engine *engine);
/* Answers the pending request with an HTTP response. content_type (up to 100 bytes) and body may be NULL. false:
   ARGUMENT (also a status below 200 or above 599), STATE, BUFFERED. */
WS_API bool ws_engine_respond(ws_engine *engine, int status, const char *content_type, const char *body);
#endif
/* Like ws_send, ws_send_part, ws_ping and ws_close. BUFFERED may also mean that the fixed memory is full. */
WS_API bool ws_engine_send(ws_engine *engine, ws_message message);
WS_API bool ws_engine_send_part(ws_engine *engine, ws_message part, bool last);
WS_API bool ws_engine_ping(ws_engine *engine, const void *data, size_t size);
WS_API bool ws_engine_close(ws_engine *engine, uint16_t code, const char *reason);

#if !defined(WS_NO_CLIENT) && !defined(WS_NO_SERVER)
/* Two engines connected in memory, with a virtual clock, for tests. */
typedef struct ws_pipe {
    ws_engine *ends[2];
    size_t step_size; /* bytes that a step carries each way; 0: as many as fit */
    uint64_t now;     /* virtual milliseconds; ws_pipe_wait advances it */
    bool cut;         /* true: nothing arrives any more, as if the cable were cut */
} ws_pipe;

/* Carries up to step_size bytes each way; returns how many in all. Read the events after each step. */
WS_API size_t ws_pipe_step(ws_pipe *pipe);
/* Advances the clock and applies the time limits of both engines. */
WS_API void ws_pipe_wait(ws_pipe *pipe, uint32_t milliseconds);
#endif
#endif /* WS_NO_ENGINE */

#ifndef WS_NO_HTTP
/* --- HTTP (WS_NO_HTTP) ------------------------------------------------------------------ */

/* Calls function for HTTP requests whose path matches pattern (see ws_route), once the body has arrived. methods: "GET,
   POST"; GET includes HEAD. function must call ws_reply or the like, or ws_keep. The server itself refuses other
   methods (405), a malformed path, body, form or JSON (400), a body over limits.body (413), and, except with GET,
   HEAD or OPTIONS, pages of other origins (403, by Origin or Sec-Fetch-Site; see .origins). Fails like ws_route. */
WS_API bool ws_http(ws_server *server, const char *methods, const char *pattern, ws_hook *function, void *user);
/* Like ws_http, but with a list of allowed origins for this route, or "*", instead of the server's. */
WS_API bool ws_http_from(ws_server *server, const char *origins, const char *methods, const char *pattern,
                         ws_hook *function, void *user);

/* The first value of that name in a body of type application/x-www-form-urlencoded, decoded like a query. */
WS_API ws_slice ws_request_form(const ws_request *request, const char *name);
/* The body, followed by a zero byte; its type is WS_TEXT if it is UTF-8. */
WS_API ws_message ws_request_body(const ws_request *request);

/* Answer a request; this refuses a WebSocket request. Text without a charset is sent as UTF-8. content_type NULL: no
   such header. headers ends with NULL or is NULL. Everything is copied. false: already answered. false, and the client
   gets 500: no memory, or the status or a header is invalid. */
WS_API bool ws_reply(ws_request *request, int status, const char *content_type, const char *body);
WS_API bool ws_reply_data(ws_request *request, int status, const char *const *headers, const void *body, size_t size);
WS_API bool ws_redirect(ws_request *request, const char *location); /* 303: continue with a GET (RFC 9110 15.4.4) */
/* Adds a cookie to the response, with Path=/, HttpOnly, SameSite=Lax, and Secure if the server has TLS. seconds: how
   long it lasts; 0: until the browser exits; below 0: delete it. false: already answered; no memory; name is no token;
   or value holds a space, quote, comma, semicolon, backslash or anything beyond ASCII. */
WS_API bool ws_set_cookie(ws_request *request, const char *name, const char *value, int64_t seconds);

/* Like ws_page, with the contents of a file, which this call reads once. It may also fail with FILE. */
WS_API bool ws_page_file(ws_server *server, const char *pattern, const char *content_type, const char *file);
/* Answers GET and HEAD on paths below prefix ("/" or "/static/") with files of a folder. Each request reads the file.
   Serves only regular files that are not hidden (".git") or behind a symbolic link, and index.html for a path that ends
   with '/'. Sends Last-Modified, and 304 for If-Modified-Since (RFC 9110 13.1.3). 404: not found; 403: no permission;
   503: no descriptor is left. Call it after you add the routes below prefix. false: FILE: there is no such folder. */
WS_API bool ws_files(ws_server *server, const char *prefix, const char *folder);
/* Like ws_files, for text in a charset other than UTF-8, such as "windows-1252"; "": send no charset. ws_files and
   ws_page also send none for a style sheet that names its own, or for a page that does so in its first 1,024 bytes. */
WS_API bool ws_files_charset(ws_server *server, const char *prefix, const char *folder, const char *charset);

#ifndef WS_NO_JSON
/* --- sessions (WS_NO_HTTP, WS_NO_JSON) -------------------------------------------------- */

/* A session is JSON in a cookie, signed with HMAC-SHA256: the browser can read it, but not change it. */
typedef struct ws_session_config {
    const char *const *keys; /* texts of at least 16 random bytes, NULL at the end. The first signs; all verify */
    const char *cookie;      /* name of the cookie: "session" */
    uint32_t seconds;        /* how long a session is valid after it was set: 14 days */
    bool secure;             /* mark the cookie Secure even if this server has no TLS, because a proxy has it */
    bool (*hmac)(void *user, const void *key, size_t key_size, const void *data, size_t size, uint8_t mac[32]);
    void *hmac_user;         /* hmac NULL: OpenSSL's. With WS_NO_TLS your own HMAC-SHA256 (RFC 2104) is required */
} ws_session_config;

/* Enables sessions. config is copied. false, with the loop's error: ARGUMENT (a key is too short, ...), NO_TLS. */
WS_API bool ws_sessions(ws_server *server, const ws_session_config *config);
/* The session of a request, or a connection's session when it opened, for ws_json_text and the like. data NULL: there
   is no session, or it was altered or has expired. Valid as long as the request, or until on_close returns. */
WS_API ws_message ws_session(ws_request *request);
WS_API ws_message ws_conn_session(const ws_conn *conn);
/* Sets the session: ws_set_session(request, "{'user':%s}", name) adds its cookie to the response; see ws_json_print. A
   session has at most 3,000 bytes. format NULL: the browser deletes the cookie; earlier copies stay valid until they
   expire. false: ws_sessions was not called, the result is no JSON or too long, no memory, or already answered. */
WS_API bool ws_set_session(ws_request *request, const char *format, ...) WS_PRINTF(2, 3);
#endif /* WS_NO_JSON */
#endif /* WS_NO_HTTP */

#if !defined(WS_NO_CLIENT) && !defined(WS_NO_NET)
/* --- clients (WS_NO_CLIENT) ------------------------------------------------------------- */

typedef struct ws_client_config {
    const char *subprotocols;   /* subprotocols to offer, best first: "chat, superchat"; NULL: the handler's */
    const char *const *headers; /* lines for the request, NULL at the end: {"Cookie: a=b", NULL} */
    bool no_user_agent;         /* send no User-Agent. false: send "ws.h/" WS_VERSION, or the one in headers */
    const char *origin;         /* NULL: no Origin header, which only browsers must send (RFC 6455 4.1) */
    const char *proxy;          /* "http://user:password@host:3128": tunnel through it with CONNECT (RFC 9110 9.3.6) */
    const char *unix_path;      /* connect to this Unix socket; Host and target still come from the URL */
    uint32_t connect_ms;        /* time to look up the name, connect and pass the proxy: 10 s. Up to 64 addresses of a
                                   name are raced, both families in turn, at most 250 ms apart: the first that connects
                                   wins (RFC 8305). One look-up asks for both families, so the slower answer decides. A
                                   loop looks up at most 16 names at a time. WS_SMALL: 4 addresses, one name */
    uint32_t receive_ms;        /* how long ws_receive waits: without limit */
    uint32_t reconnect_ms;      /* ws_dial: the first pause before it reconnects; pauses double. 0: never reconnect */
    uint32_t reconnect_max_ms;  /* the longest pause: 30 s, or reconnect_ms if that is longer. It follows a close with
                                   1008 and a refusal with 4xx, except 429 with Retry-After, and 401 if before_reconnect
                                   is set. Each pause is shortened by a random part, up to half */
    uint32_t retry_after_max_ms; /* a 429 or 503 with Retry-After (RFC 9110 10.2.3) adds that time to the pause, but at
                                   most this: 5 min */
    /* ws_dial: called before each reconnect, for example to get a new token. It may replace the previous *url and
       *headers; new ones are copied. If *url names another host or port, neither the old headers nor the client
       certificate are sent, unless *headers is set as well. ws_last_error and ws_status tell how the previous attempt
       ended. Return false to end all attempts; on_error then gets ARGUMENT. NULL: url and headers stay the same */
    bool (*before_reconnect)(ws_conn *conn, const char **url, const char *const **headers);
    uint32_t stable_ms;         /* a connection that lasts this long resets the pause to reconnect_ms: 10 s */
    int max_redirects;          /* 5; -1: follow none. A redirect to another host or port carries origin and
                                   subprotocols, but no headers, credentials or client certificate */
    bool allow_wss_to_ws;       /* follow redirects from wss: to ws:, which is not encrypted */
    ws_tls_config tls;          /* for wss: */
    const ws_transport *transport; /* replaces TCP and TLS; copied */
    ws_deflate_config deflate;
    ws_limits limits;           /* handshake_ms starts after connect_ms, and covers TLS and HTTP */
    ws_allocator allocator;     /* for ws_connect. resize NULL: realloc and free */
    ws_loop *loop;              /* for ws_connect: run this loop while waiting. Nothing else may be in it; free it after
                                   the connection. ws_stop(loop), from any thread or signal handler, ends the current
                                   blocking call on the connection, or else the next one, with STOPPED. If that call was
                                   opening or closing the connection, the connection has ended; else it stays open, and
                                   a stopped ws_send leaves its data queued. NULL: ws_connect makes a loop */
} ws_client_config;

/* What a client has no field for:
   - A key with a password: set tls.ssl_ctx to an SSL_CTX_new(TLS_client_method()) with SSL_CTX_set_default_passwd_cb,
     SSL_CTX_use_certificate_chain_file, SSL_CTX_use_PrivateKey_file and SSL_CTX_set_default_verify_paths.
   - Pinning: on such an SSL_CTX call SSL_CTX_set_verify(context, SSL_VERIFY_PEER, pin), too. OpenSSL then calls
     pin(good, store) for each certificate. Return 0 for the server's own (X509_STORE_CTX_get_error_depth(store) is 0)
     if you do not know the X509_pubkey_digest of X509_STORE_CTX_get_current_cert(store); otherwise return good.
   - SOCKS5: set unix_path to a tunnel's socket (ssh -L), or dial the proxy with a transport that speaks RFC 1928. */

/* Connects to "ws://host:port/path?query" or "wss://..." (or http:, https:), and waits until the connection is open or
   has failed; pass the connection to ws_free in both cases. "user:password@" becomes Basic credentials. After a failure
   ws_last_error says why (STATE: config.loop is in use), and calls on the connection do nothing. Returns NULL: no
   memory. config is copied; NULL: all defaults. Blocks: do not call it in a loop's callback. */
WS_API ws_conn *ws_connect(const char *url, const ws_client_config *config);

/* On a connection of ws_connect, ws_send blocks until the system has taken all data, and ws_close blocks until the peer
   closes, for at most close_ms. A blocked ws_send receives nothing, so a peer whose messages you do not read may stop
   reading yours: if you send much, receive in between. */

/* Waits up to receive_ms for the next message, and answers pings. The data is valid until the next call on this
   connection. false: the connection has ended (see ws_closed); TIMEOUT: the time is up, but ws_state is still WS_OPEN,
   and you may call again; ARGUMENT: the connection is one of ws_dial. */
WS_API bool ws_receive(ws_conn *conn, ws_message *message);
WS_API bool ws_receive_within(ws_conn *conn, ws_message *message, uint32_t milliseconds);

/* Frees the connection of a blocking or test client; if it is open, closes it first, like ws_close with 1000. Has no
   effect on other connections, which belong to their loop. */
WS_API void ws_free(ws_conn *conn);

/* Connects within a loop, and returns at once. on_open and later on_close follow, or on_error. The connection is freed
   after that, unless reconnect_ms is set: then it reconnects, with the same ws_conn and ws_id, until you call ws_close
   or ws_drop, even between two attempts. If the first attempt failed because of url or config, no other follows. In
   on_error (not in on_close) ws_state is WS_CONNECTING if another attempt follows. url, handler and config are copied.
   NULL: url or handler is NULL, no memory, or the loop is ending; ws_loop_error_text says which. */
WS_API ws_conn *ws_dial(ws_loop *loop, const char *url, const ws_handler *handler, const ws_client_config *config);

/* The response to a client; valid until its next attempt. ws_status is 0 if none came. ws_header: the first header of
   that name; ws_header_at: the one at index (from 0) if the header repeats, as Set-Cookie does. NULL: absent. ws_body:
   the body of a refusal, up to limits.body, as far as it arrived within handshake_ms; "": none. */
WS_API int ws_status(const ws_conn *conn);
WS_API const char *ws_header(const ws_conn *conn, const char *name);
WS_API const char *ws_header_at(const ws_conn *conn, const char *name, size_t index);
WS_API const char *ws_body(const ws_conn *conn);
#endif /* WS_NO_CLIENT */

#ifndef WS_NO_JSON
/* --- JSON (WS_NO_JSON) ------------------------------------------------------------------ */

#define WS_JSON_DEPTH 64 /* how deep arrays and objects may be nested, except in ws_json_parse_deep */

typedef enum ws_json_type {
    WS_JSON_ABSENT = 0, /* no such member or element, or the path is malformed */
    WS_JSON_MALFORMED,  /* the text is not JSON; data points at the first wrong token (not UTF-8: at the start) */
    WS_JSON_TOO_DEEP,   /* nested too deeply; data points at the bracket */
    WS_JSON_NULL, WS_JSON_BOOL, WS_JSON_NUMBER, WS_JSON_STRING, WS_JSON_ARRAY, WS_JSON_OBJECT
} ws_json_type;

/* A value: a slice of a text that is known to be valid JSON, valid as long as that text. Take values only from
   ws_json_parse, ws_json_parse_deep, ws_json_index, ws_json_find and the calls that take a ws_json. */
typedef struct ws_json {
    const char *data; /* the value as written in the text; a string with its quotes */
    size_t size;
    ws_json_type type;
    const uint32_t *index; /* private; NULL: none */
} ws_json;

/* Whether this is exactly one JSON text (RFC 8259): UTF-8 without a byte order mark, nested at most WS_JSON_DEPTH deep.
   An escape of a lone surrogate is allowed, as in the RFC's grammar. */
WS_API bool ws_json_valid(const void *text, size_t size);
/* Validates a text and returns its value; a type below WS_JSON_NULL means an error. One pass, no allocation. */
WS_API ws_json ws_json_parse(const void *text, size_t size);
/* Like ws_json_parse, for deeper nesting: each word in `nesting` allows 64 more levels, so uint64_t nesting[15] allows
   1,024. Only this call uses the words. Read the result with ws_json_get and the calls below it. */
WS_API ws_json ws_json_parse_deep(const void *text, size_t size, uint64_t *nesting, size_t words);
/* Like ws_json_parse, but builds an index in your memory, so that later calls do not read the text again: parsing and
   visiting every value then takes 0.3 to 0.75 of the time. The words must live as long as the values. A number, string,
   name or literal needs one word, an array or object two: size + 1 are always enough, size / 4 usually. With too few
   words, or a text of 256 MiB or more, there is no index: .index is NULL, and everything else is the same. */
WS_API ws_json ws_json_index(const void *text, size_t size, uint32_t *words, size_t count);

/* Finds a value by path: "user.name", "data[2]", "[0].x", "['a.b'].c" or "[\"a.b\"].c"; "" or NULL is the whole text.
   Of several members with the same name the last one counts, as in browsers. Each call validates the whole message,
   then takes up to one pass for each step of the path: for several values use ws_json_parse once, then ws_json_get. */
WS_API ws_json ws_json_find(ws_message message, const char *path);
/* Writes the string at path into buffer, unescaped, with a zero. false, and buffer is "": not JSON; no string there;
   too long for buffer; or the string holds \u0000 or a lone surrogate. */
WS_API bool ws_json_text(ws_message message, const char *path, char *buffer, size_t size);
/* Read the value at path like ws_json_as_integer and so on below. If they return false, the result is unchanged. */
WS_API bool ws_json_integer(ws_message message, const char *path, int64_t *integer);
WS_API bool ws_json_unsigned(ws_message message, const char *path, uint64_t *integer);
WS_API bool ws_json_number(ws_message message, const char *path, double *number);
WS_API bool ws_json_bool(ws_message message, const char *path, bool *boolean);

/* Look into a value without validating it again. Given a MALFORMED or TOO_DEEP value, they return it unchanged. Pass a
   name that a peer chose to ws_json_member, never as part of a path. */
WS_API ws_json ws_json_get(ws_json value, const char *path);
WS_API ws_json ws_json_member(ws_json object, const char *name); /* the last member of that name */
WS_API ws_json ws_json_element(ws_json array, size_t index);     /* from 0 */

/* Private. ws_json_next passes the fields one by one, in registers; a whole ws_json would go through memory. */
WS_API bool ws_json_next_of(const char *data, size_t size, ws_json_type type, const uint32_t *index, ws_json *name,
                            ws_json *item);
/* Steps through an array or object: for (ws_json name, item = {0}; ws_json_next(value, &name, &item);)
   name may be NULL; in an array *name is ABSENT. false: there are no more items, and *item is ABSENT again. */
static inline bool ws_json_next(ws_json container, ws_json *name, ws_json *item) {
    return ws_json_next_of(container.data, container.size, container.type, container.index, name, item);
}

/* Unescapes a string into buffer, with a zero. Returns the size needed, with the zero; if that exceeds size, buffer is
   "". The text may itself hold zeros (\u0000). Returns 0 if the value is no string or holds a lone surrogate. */
WS_API size_t ws_json_as_text(ws_json string, char *buffer, size_t size);
WS_API bool ws_json_is(ws_json string, const char *text); /* whether it is a string that unescapes to text */
/* Read the exact value: 1e3 and 1000.0 are 1000. false: not a number, not an integer, or out of range. */
WS_API bool ws_json_as_integer(ws_json number, int64_t *integer);
WS_API bool ws_json_as_unsigned(ws_json number, uint64_t *integer);
/* Reads the nearest double, in any locale. false: not a number, or beyond the range of double. */
WS_API bool ws_json_as_number(ws_json number, double *result);
WS_API bool ws_json_as_bool(ws_json boolean, bool *result);

/* Writes JSON into buffer, with a zero. Returns the JSON's size without the zero; if that is size or more, the JSON did
   not fit, and buffer is "". Returns 0, and buffer is "", if an argument is not UTF-8, format has a conversion that is
   not listed here, or the result is not JSON (which is checked only if it fits).
     'name'         a string: write single quotes for double quotes, and \' for an apostrophe in a string
     %s %.*s        a text, written as a quoted and escaped string; NULL: null. Not inside ''
     %-s %-.*s      a valid JSON value, unchanged, such as flag ? "true" : "false"; NULL: null
     %d %i %u       an integer, with hh h l ll z j t before the letter, as in PRId64
     %f %e %g       a double with the 15 to 17 digits that read back the same; NaN and infinity: null
     %.2f           the same, rounded as printf does, to up to 30 places. The decimal point is '.' in any locale
     %%             a percent sign inside a string */
WS_API size_t ws_json_print(char *buffer, size_t size, const char *format, ...) WS_PRINTF(3, 4);
WS_API size_t ws_json_vprint(char *buffer, size_t size, const char *format, va_list arguments) WS_PRINTF(3, 0);

/* --- HTML (WS_NO_JSON) ------------------------------------------------------------------ */

/* Writes HTML the way ws_json_print writes JSON, with the same conversions except:
     %s %.*s        a text with & < > " ' escaped, safe inside elements and quoted attributes; NULL: nothing. Not safe
                    in scripts, styles, URLs or attributes without quotes
     %-s %-.*s      markup, written unchanged: only what you or this function made
     %f %e %g       as for JSON, but NaN and infinity write nothing
   Quotes in format are written unchanged. Returns 0, and buffer is "", if the result is empty, an argument is not
   UTF-8, or format has a conversion that is not listed. */
WS_API size_t ws_html_print(char *buffer, size_t size, const char *format, ...) WS_PRINTF(3, 4);
WS_API size_t ws_html_vprint(char *buffer, size_t size, const char *format, va_list arguments) WS_PRINTF(3, 0);

#ifndef WS_NO_NET
/* --- JSON and HTML of connections (WS_NO_JSON) ------------------------------------------ */

/* Send, broadcast or reply with the JSON or HTML that ws_json_print or ws_html_print writes for format:
   ws_send_json(conn, "{'name':%s,'age':%d}", name, age); ws_send_html(conn, "<p id='said'>Hello %s</p>", name), whose
   element htmx swaps in by its id. They fail like the calls for plain data, or with FORMAT: the result is not JSON. */
WS_API bool ws_send_json(ws_conn *conn, const char *format, ...) WS_PRINTF(2, 3);
WS_API bool ws_send_html(ws_conn *conn, const char *format, ...) WS_PRINTF(2, 3);
#ifndef WS_NO_SERVER
WS_API bool ws_broadcast_json(ws_conn *sender, const char *room, const char *format, ...) WS_PRINTF(3, 4);
WS_API bool ws_broadcast_others_json(ws_conn *sender, const char *room, const char *format, ...) WS_PRINTF(3, 4);
WS_API bool ws_server_broadcast_json(ws_server *server, const char *room, const char *format, ...) WS_PRINTF(3, 4);
WS_API bool ws_broadcast_html(ws_conn *sender, const char *room, const char *format, ...) WS_PRINTF(3, 4);
WS_API bool ws_server_broadcast_html(ws_server *server, const char *room, const char *format, ...) WS_PRINTF(3, 4);
/* Reads a decimal number, with or without '-', fraction and exponent, in any locale. Fails like ws_slice_integer. */
WS_API bool ws_slice_number(ws_slice slice, double *number);
#endif
#ifndef WS_NO_HTTP
WS_API bool ws_reply_json(ws_request *request, int status, const char *format, ...) WS_PRINTF(3, 4);
WS_API bool ws_reply_html(ws_request *request, int status, const char *format, ...) WS_PRINTF(3, 4);
#endif
#endif /* WS_NO_NET */
#endif /* WS_NO_JSON */

#ifndef WS_NO_TEST
/* --- testing a program (WS_NO_TEST) ----------------------------------------------------- */

/* Connects to a server in this process, with its real routes, but without sockets, threads, TLS or transport. target:
   "/ws/lobby?a=b". The server's loop needs virtual_clock. Do not run the loop yourself: calls on the connection run it
   as far as needed, and block like those after ws_connect, in virtual time. Do not call this in a callback. Of config,
   only subprotocols, headers, origin, receive_ms, limits and allocator are used. NULL: server is NULL, or no memory. */
WS_API ws_conn *ws_test_connect(ws_server *server, const char *target, const ws_client_config *config);
WS_API void ws_test_wait(ws_conn *conn, uint32_t milliseconds); /* advances the virtual clock */
WS_API void ws_test_cut(ws_conn *conn); /* from now on nothing arrives, as if the cable were cut */
#endif /* WS_NO_TEST */

/* Everything below is private. It is here because the compiler needs the size of an engine. */

#ifdef WSI_BARE /* lengths that a peer announces; milliseconds */
typedef uint32_t wsi_size, wsi_time;
#else
typedef uint64_t wsi_size, wsi_time;
#endif

typedef struct wsi_buffer {
    uint8_t *data;
    size_t size, capacity;
} wsi_buffer;

typedef struct wsi_memory {
    ws_allocator allocator;
    size_t used, limit;
    size_t peak; /* the highest value of used so far */
} wsi_memory;

typedef ws_slice wsi_slice;

typedef struct wsi_request { /* slices of the head */
    wsi_slice head, target, host, origin, key; /* host: the target's authority, or the field Host */
#ifndef WS_NO_NET
    wsi_slice path, query;
#endif
#ifndef WSI_BARE
    wsi_size content_length;
    bool keep_alive, chunked, expects_continue, connection_upgrade, extensions;
#endif
    bool http11, upgrade; /* upgrade: the request asks for a WebSocket */
    int16_t status;       /* the status that refuses the handshake; 0: the handshake is valid */
} wsi_request;

#ifndef WS_NO_DEFLATE
typedef struct wsi_agreed { /* of permessage-deflate; in: received, out: sent */
    bool on, keep_in, keep_out; /* keep: messages refer to earlier ones */
    uint8_t in_bits, out_bits; /* window sizes, as in ws_deflate_config */
} wsi_agreed;
#endif

struct wsi_engine;
struct wsi_window;
struct wsi_output;

#ifdef WS_NO_STATS
#define WSI_COUNT(counter, more) ((void)0)
#else
#define WSI_COUNT(counter, more) ((void)((counter) += (more)))
typedef struct wsi_counts { /* of a server or client, for ws_stats */
    uint64_t accepted, refused[2], dropped; /* refused: with 4xx, 5xx */
} wsi_counts;
#endif

typedef enum wsi_step { WSI_STEP_MORE, WSI_STEP_AGAIN, WSI_STEP_EVENT } wsi_step;

typedef struct wsi_env { /* shared by the engines of one server or client */
    ws_limits limits;
    bool (*output)(struct wsi_engine *engine, const struct wsi_output *output);
    wsi_step (*read)(struct wsi_engine *engine, struct wsi_window *window, ws_event *event); /* parses heads */
    ws_role role;
    const char *subprotocols; /* to offer or choose from, best first */
#ifndef WSI_BARE
    struct wsi_codec *codec;          /* of the loop */
#ifndef WS_NO_STATS
    wsi_counts counts;
#endif
#ifndef WS_NO_TRACE
    struct wsi_tracer *tracer; /* NULL: there is no ws_loop_config.trace */
#endif
    const ws_deflate_config *deflate; /* client: to offer; NULL: none */
#endif
#ifndef WS_NO_SERVER
    wsi_request request; /* the pending request */
    const char *origins;
#ifndef WS_NO_NET
    const char *(*date)(struct wsi_env *env); /* the line "Date: ..." or ""; NULL: no clock */
#endif
#endif
#ifndef WS_NO_CLIENT
    bool (*random)(void *user, void *data, size_t size);
    void *random_user;
    const char *problem; /* what is invalid in the response, or NULL */
    int status;          /* of the response */
    size_t interim;      /* bytes of the interim responses (1xx) before it */
    char accept[28];     /* the Sec-WebSocket-Accept to expect */
#endif
#ifndef WS_NO_DEFLATE
    wsi_agreed agreed; /* what the latest opening handshake agreed on */
#endif
} wsi_env;

#ifdef WS_SMALL
#define WSI_BRIEF 1 /* whether small code matters more than speed and explanations */
#define WSI_ADVICE(text)
#define WSI_BIT     /* reading a whole byte takes less code than reading a bit */
#else
#define WSI_BRIEF 0
#define WSI_ADVICE(text) text
#define WSI_BIT : 1
#endif
#if defined(WS_NO_HTTP) && defined(WS_NO_FORWARD) && defined(WS_NO_TLS) /* no add-on sets `calls` */
#define WSI_ADD_ON(calls) (0 ? (calls) : NULL)
#else
#define WSI_ADD_ON(calls) (calls)
#endif

typedef struct wsi_engine {
    wsi_env *env;
    uint8_t state, error, type, sending; /* type: of the message being received, or the state inside a request's
                                            body. sending: the type of the message that is sent in parts */
    bool final WSI_BIT, pinged WSI_BIT, chunks WSI_BIT;
#ifndef WS_NO_TRACE
    bool traced WSI_BIT; /* its frames are traced one by one, so no fast path is taken */
#endif
    bool in_frame WSI_BIT, clean WSI_BIT, reported WSI_BIT;
    bool first WSI_BIT;  /* the next chunk begins a message; in WSI_HEAD: no byte of the next request has come */
    bool compressed WSI_BIT, parts_compressed WSI_BIT; /* the message being received; the one sent in parts */
    bool ended WSI_BIT;  /* a message has ended since this flag was last read */
#ifndef WS_NO_DEFLATE
    bool deflate WSI_BIT, more_output WSI_BIT; /* compression was agreed on; a full chunk is followed by more */
    bool keep_in WSI_BIT, keep_out WSI_BIT; /* as in wsi_agreed */
    int8_t level;
    uint8_t window_bits; /* in: the low four bits, out: the high four */
    uint16_t threshold;
#endif
    uint8_t key[4];      /* masks the rest of this frame */
    uint16_t close_code;
    uint32_t utf8;        /* state of the UTF-8 validator for the message being received */
    uint32_t utf8_out;    /* the same for the message sent in parts */
    size_t message_size;  /* bytes of the unfinished message */
    wsi_size left;        /* payload bytes of this frame still to come; in a head: bytes scanned */
    wsi_time heard;       /* when data last came from the peer */
    wsi_time since;       /* when the current state, or the wait for a pong, began */
#ifndef WS_NO_NET
    wsi_buffer held;      /* between reads: [message so far][bytes not parsed yet] */
#endif
#ifndef WS_NO_DEFLATE
    struct wsi_context *context; /* NULL: nothing is kept between reads */
#endif
} wsi_engine;

typedef struct wsi_window { /* received bytes: the message so far, ..., from pos to end those not parsed yet */
    uint8_t *base;
    size_t pos, end, message;
#ifndef WSI_BARE
    size_t reply;     /* where the next message's reply may begin: see wsi_engine_whole */
#endif
    uint8_t *patched; /* where a zero byte replaces `saved` */
    uint8_t saved;
} wsi_window;

typedef struct wsi_codec { /* for compression, shared by a loop's connections */
    const struct wsi_codec_calls *calls; /* NULL: WS_NO_DEFLATE */
    const struct wsi_engine *asking;     /* the engine that is allocating: it must not be closed to free memory */
    void (*turn_over)(struct wsi_engine *e); /* much was decompressed: it is other connections' turn. NULL: none */
#ifndef WS_NO_DEFLATE
    wsi_memory *memory, *arriving; /* arriving: limited by max_unfinished; for decompressed data */
    struct wsi_decompressor *spare; /* one that is not in use, or NULL */
    struct wsi_deflate *compressor; /* for connections without context */
    wsi_buffer compressed;          /* the message that was compressed last */
    size_t turn;                    /* bytes decompressed since turn_over was last called */
#endif
} wsi_codec;

#ifndef WS_NO_ENGINE
struct ws_engine {
    wsi_engine core;
    bool fixed, ticked, opened;
    wsi_time now;
    size_t out_sent;
    wsi_buffer in, out;
    wsi_window window;
    wsi_env env;
#ifndef WS_NO_ALLOC
    wsi_memory memory;
#endif
#ifndef WSI_BARE
    wsi_codec codec;
#endif
};
#endif

#ifdef __cplusplus
}
#endif
#endif /* WS_H */

#if defined(WS_IMPLEMENTATION) && defined(WSI_POSIX)
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#if !defined(O_CLOEXEC) || !defined(SA_RESTART) || !defined(CLOCK_MONOTONIC)
#error "The headers before ws.h hide POSIX: where WS_IMPLEMENTATION is defined include ws.h first, or use -std=gnu99"
#undef WS_IMPLEMENTATION
#elif defined(__GLIBC__) && !defined(__LP64__) && !defined(__OFF_T_MATCHES_OFF64_T) && !defined(__USE_FILE_OFFSET64)
#error "The headers before ws.h limit files to 2 GiB: include ws.h first, or use -D_FILE_OFFSET_BITS=64"
#undef WS_IMPLEMENTATION
#endif
#endif

#ifdef WS_IMPLEMENTATION
#ifndef WS_IMPLEMENTED
#define WS_IMPLEMENTED

/* Some projects enable these warnings, which find nothing useful here. */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas" /* gcc 5 does not know all of the warnings below */
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wswitch-default"
#pragma GCC diagnostic ignored "-Wswitch-enum"
#if defined(__cplusplus)
#pragma GCC diagnostic ignored "-Wold-style-cast"
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wzero-as-null-pointer-constant"
#else
#pragma GCC diagnostic ignored "-Wuseless-cast"
#endif
#else
#pragma GCC diagnostic ignored "-Wdeclaration-after-statement"
#endif
#endif

#include <stdlib.h>
#include <string.h>
#ifndef WS_NO_JSON
#include <float.h>
#include <stdio.h>
#endif
#if !defined(WS_NO_DISPATCH) && defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif !defined(WS_NO_DISPATCH)
#include <arm_neon.h>
#endif
#ifndef WS_ASSERT
#include <assert.h>
#define WS_ASSERT(x) assert(x)
#endif

/* WSI_INLINE: functions that every message calls. WSI_RARE, WSI_APART: functions that must not be inlined into them. */
#if defined(WS_SMALL) || !defined(__GNUC__)
#define WSI_RARE static
#define WSI_APART static
#define WSI_INLINE static
#else
#define WSI_RARE static __attribute__((noinline, cold))
#define WSI_APART static __attribute__((noinline))
#define WSI_INLINE static inline __attribute__((always_inline))
#endif
/* A function that WS_SMALL never inlines, to save code or stack. */
#if defined(WS_SMALL) && defined(__GNUC__)
#define WSI_SHARED static __attribute__((noinline))
#else
#define WSI_SHARED static
#endif

/*
>> MEMORY =================================================================================
   Blocks, growing buffers and hash tables. No other section calls the allocator. The bytes in use are counted, so that
   max_memory limits everything that peers can make grow. Calls nothing. Prefixes: wsi_memory_, wsi_buffer_, wsi_table_.
*/

static void *wsi_memory_default(void *user, void *block, size_t old_size, size_t new_size) {
    (void)user;
    (void)old_size;
    if (new_size)
        return realloc(block, new_size);
    free(block);
    return NULL;
}

static void wsi_memory_init(wsi_memory *memory, ws_allocator allocator, size_t limit) {
    memory->allocator = allocator;
    if (!allocator.resize)
        memory->allocator.resize = wsi_memory_default;
    memory->used = memory->peak = 0;
    memory->limit = limit;
}

static void *wsi_memory_resize(wsi_memory *memory, void *block, size_t old_size, size_t new_size) {
    if (new_size > old_size && new_size - old_size > memory->limit - memory->used)
        return NULL;
    void *moved = memory->allocator.resize(memory->allocator.user, block, old_size, new_size);
    if (moved || !new_size)
        memory->used = memory->used - old_size + new_size;
    if (memory->used > memory->peak)
        memory->peak = memory->used;
    return moved;
}

static void wsi_memory_free(wsi_memory *memory, void *block, size_t size) {
    if (block)
        (void)wsi_memory_resize(memory, block, size, 0);
}

#if !defined(WS_NO_NET) || !defined(WS_NO_DEFLATE)
static void *wsi_memory_new(wsi_memory *memory, size_t size) {
    void *block = wsi_memory_resize(memory, NULL, 0, size);
    if (block)
        memset(block, 0, size);
    return block;
}
#endif

#if !defined(WS_NO_NET) && !defined(WS_NO_CLIENT)
static void wsi_memory_free_string(wsi_memory *memory, char *text) {
    if (text)
        wsi_memory_free(memory, text, strlen(text) + 1);
}

/* Copies a string of a config; NULL stays NULL. false: no memory. */
static bool wsi_memory_keep(wsi_memory *memory, char **copy, const char *text) {
    size_t size = text ? strlen(text) + 1 : 0;
    *copy = text ? (char *)wsi_memory_resize(memory, NULL, 0, size) : NULL;
    if (*copy)
        memcpy(*copy, text, size);
    return *copy || !text;
}

/* Replaces the strings at these offsets in a struct with copies, or with NULL if there is no memory. */
static bool wsi_memory_keep_strings(wsi_memory *memory, void *of, const size_t *offsets, size_t count) {
    bool good = true;
    char *copy;
    while (count--) {
        const char **text = (const char **)(void *)((char *)of + offsets[count]);
        good = wsi_memory_keep(memory, &copy, *text) && good;
        *text = copy;
    }
    return good;
}

static void wsi_memory_free_strings(wsi_memory *memory, void *of, const size_t *offsets, size_t count) {
    while (count--)
        wsi_memory_free_string(memory, (char *)(uintptr_t)*(const char **)(void *)((char *)of + offsets[count]));
}
#endif

static void wsi_buffer_free(wsi_memory *memory, wsi_buffer *buffer) {
    wsi_memory_free(memory, buffer->data, buffer->capacity);
    memset(buffer, 0, sizeof *buffer);
}

/* Changes the capacity. false: no memory, and nothing has changed. */
static bool wsi_buffer_resize(wsi_memory *memory, wsi_buffer *buffer, size_t capacity) {
    uint8_t *data = (uint8_t *)wsi_memory_resize(memory, buffer->data, buffer->capacity, capacity);
    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

/* Makes room for more bytes. Doubles the capacity, so that appending takes linear time. */
static bool wsi_buffer_reserve(wsi_memory *memory, wsi_buffer *buffer, size_t more) {
    size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
    if (more <= buffer->capacity - buffer->size)
        return true;
    if (more > SIZE_MAX / 4 - buffer->size)
        return false;
    while (capacity - buffer->size < more)
        capacity *= 2;
    return wsi_buffer_resize(memory, buffer, capacity);
}

#ifndef WS_NO_NET

/* Appends bytes, and a zero byte that the size does not count. */
static bool wsi_buffer_append(wsi_memory *memory, wsi_buffer *buffer, const void *data, size_t size) {
    if (!wsi_buffer_reserve(memory, buffer, size + 1))
        return false;
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = 0;
    return true;
}

/* --- hash tables --- */

typedef struct wsi_chain { /* every entry of a table begins with this struct */
    struct wsi_chain *next; /* the next entry in the same bucket */
    uint32_t hash;
    uint32_t count; /* for ROOMS: in a connection's first membership, the number of rooms that the connection is in */
} wsi_chain;

typedef struct wsi_table {
    wsi_chain **buckets;
    size_t bucket_count, count;
} wsi_table;

static wsi_chain *wsi_table_first(const wsi_table *table, uint32_t hash) {
    return table->bucket_count ? table->buckets[hash & (table->bucket_count - 1)] : NULL;
}

static void wsi_table_put(wsi_table *table, wsi_chain *chain) {
    wsi_chain **place = &table->buckets[chain->hash & (table->bucket_count - 1)];
    chain->next = *place;
    *place = chain;
    table->count++;
}

/* Removes an entry and frees it. */
static void wsi_table_remove(wsi_memory *memory, wsi_table *table, wsi_chain *chain, size_t size) {
    wsi_chain **place = &table->buckets[chain->hash & (table->bucket_count - 1)];
    while (*place != chain)
        place = &(*place)->next;
    *place = chain->next;
    table->count--;
    wsi_memory_free(memory, chain, size);
}

static void wsi_table_free(wsi_memory *memory, const wsi_table *table) {
    wsi_memory_free(memory, table->buckets, table->bucket_count * sizeof *table->buckets);
}

/* Frees a table and its entries, which have this size. */
static void wsi_table_clear(wsi_memory *memory, wsi_table *table, size_t size) {
    for (size_t i = 0; i < table->bucket_count; i++)
        while (table->buckets[i])
            wsi_table_remove(memory, table, table->buckets[i], size);
    wsi_table_free(memory, table);
}

/* Adds an entry of this size: a wsi_chain, then zeros. NULL: no memory. Doubles a full table if there is memory. */
static void *wsi_table_add(wsi_memory *memory, wsi_table *table, uint32_t hash, size_t size) {
    wsi_table grown = {NULL, table->bucket_count ? table->bucket_count * 2 : 16, 0};
    if (table->count >= table->bucket_count)
        grown.buckets = (wsi_chain **)wsi_memory_new(memory, grown.bucket_count * sizeof *grown.buckets);
    for (size_t i = 0; grown.buckets && i < table->bucket_count; i++)
        while (table->buckets[i]) {
            wsi_chain *moved = table->buckets[i];
            table->buckets[i] = moved->next;
            wsi_table_put(&grown, moved);
        }
    if (grown.buckets) {
        wsi_table_free(memory, table);
        *table = grown;
    }
    wsi_chain *chain = table->buckets ? (wsi_chain *)wsi_memory_new(memory, size) : NULL;
    if (!chain)
        return NULL;
    chain->hash = hash;
    wsi_table_put(table, chain);
    return chain;
}
#endif

/*
>> BYTES ==================================================================================
   Moves and compares bytes, loads and stores big-endian numbers, loads words and vectors, and detects the processor's
   features. Calls nothing. Prefixes: wsi_bytes_, wsi_wide_, wsi_cpu_.
*/

#ifdef WS_SMALL /* small loops in place of libc's large functions; volatile keeps compilers from calling libc */
WSI_SHARED void wsi_bytes_move(void *to, const void *from, size_t size) {
    uint8_t *a = (uint8_t *)to;
    const volatile uint8_t *b = (const volatile uint8_t *)from;
    size_t i;
    if (a <= (const uint8_t *)from)
        for (i = 0; i < size; i++)
            a[i] = b[i];
    else
        while (size--)
            a[size] = b[size];
}
WSI_SHARED void wsi_bytes_zero(void *at, size_t size) {
    while (size--)
        ((volatile uint8_t *)at)[size] = 0;
}
WSI_SHARED bool wsi_bytes_same(const void *a, const void *b, size_t size) {
    while (size && ((const uint8_t *)a)[size - 1] == ((const uint8_t *)b)[size - 1])
        size--;
    return !size;
}
static size_t wsi_bytes_length(const char *text) {
    size_t size = 0;
    while (((const volatile char *)text)[size])
        size++;
    return size;
}
static const char *wsi_bytes_find(const char *text, char c, size_t size) {
    for (; size && *text != c; size--)
        text++;
    return size ? text : NULL;
}
static void wsi_bytes_copy(void *to, const void *from, size_t size) { wsi_bytes_move(to, from, size); }
#else
WSI_INLINE void wsi_bytes_copy(void *to, const void *from, size_t size) { memcpy(to, from, size); }
WSI_INLINE void wsi_bytes_move(void *to, const void *from, size_t size) { memmove(to, from, size); }
WSI_INLINE void wsi_bytes_zero(void *at, size_t size) { memset(at, 0, size); }
WSI_INLINE bool wsi_bytes_same(const void *a, const void *b, size_t size) { return !size || !memcmp(a, b, size); }
WSI_INLINE size_t wsi_bytes_length(const char *text) { return strlen(text); }
WSI_INLINE const char *wsi_bytes_find(const char *text, char c, size_t size) {
    return size ? (const char *)memchr(text, c, size) : NULL;
}
#endif

/* Loads a big-endian number. A number that does not fit into wsi_size becomes its maximum. */
static wsi_size wsi_bytes_load(const uint8_t *bytes, size_t count) {
    const wsi_size most = (wsi_size)-1;
    wsi_size value = 0;
    for (size_t i = 0; i < count; i++)
        value = value > most >> 8 ? most : value << 8 | bytes[i];
    return value;
}

static void wsi_bytes_store(uint8_t *bytes, size_t count, wsi_size value) {
    while (count--) {
        bytes[count] = (uint8_t)value;
        value >>= 8;
    }
}

/* The index of the lowest bit set in a word, which must not be 0. Some switches leave this function unused. */
#if defined(__GNUC__)
WSI_INLINE __attribute__((unused)) unsigned wsi_bytes_lowest_bit(uint64_t of) { return (unsigned)__builtin_ctzll(of); }
#else
WSI_INLINE unsigned wsi_bytes_lowest_bit(uint64_t of) {
    unsigned bit = 0;
    while (!(of >> bit & 1))
        bit++;
    return bit;
}
#endif

#if !defined(WS_NO_FAST) || !defined(WS_NO_JSON) || !defined(WS_NO_DEFLATE)
/* Eight bytes in native order, from any address. */
static uint64_t wsi_bytes_word(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

/* Eight bytes in little-endian order. Compiles to one load on a little-endian processor. */
WSI_INLINE uint64_t wsi_bytes_little(const uint8_t *at) {
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24
           | (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

/* The index of the lowest byte that is not 0. */
WSI_INLINE unsigned wsi_bytes_lowest_byte(uint64_t of) { return wsi_bytes_lowest_bit(of) >> 3; }
#endif

#ifndef WS_NO_FAST
/* The high bit of each byte: 0 in ASCII. */
#define WSI_BYTES_HIGH 0x8080808080808080u

/* One register: 16 bytes with SSE2 or NEON, else 8. C's operators work on either type. */
#if defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON))
typedef uint64_t wsi_wide __attribute__((vector_size(16)));
#else
typedef uint64_t wsi_wide;
#endif
enum { WSI_WIDE = sizeof(wsi_wide) };

static wsi_wide wsi_wide_load(const uint8_t *bytes) {
    wsi_wide wide;
    memcpy(&wide, bytes, sizeof wide);
    return wide;
}

/* ORs the register's words. */
static uint64_t wsi_wide_fold(wsi_wide wide) {
    uint64_t words[sizeof(wsi_wide) / 8], all = 0;
    memcpy(words, &wide, sizeof words);
    for (size_t i = 0; i < sizeof words / 8; i++)
        all |= words[i];
    return all;
}
#endif /* WS_NO_FAST */

#if !defined(WS_NO_DISPATCH) && defined(__x86_64__)
/* Features of the processor and system that the program is not compiled for. Their use pays off only for long data. */
enum { WSI_CPU_ASKED = 1, WSI_CPU_AVX2 = 2, WSI_CPU_AVX512 = 4, WSI_CPU_SHA = 8 };
#define WSI_AVX2 __attribute__((target("avx2")))
#define WSI_AVX512 __attribute__((target("avx512f")))
#define WSI_SHA __attribute__((target("sha,sse4.1")))
typedef uint64_t wsi_wide_32 __attribute__((vector_size(32)));
typedef uint64_t wsi_wide_64 __attribute__((vector_size(64)));

/* The features found; 0: not asked yet. Threads may ask at the same time, because all store the same answer. */
static unsigned wsi_cpu_answer;

WSI_RARE unsigned wsi_cpu_ask(void) { /* __builtin_cpu_supports would link 5 KiB of the compiler's runtime */
    unsigned a, b, c, d, saved = 0, answer = WSI_CPU_ASKED;
    if (__get_cpuid_max(0, NULL) >= 7) {
        __cpuid(1, a, b, c, d);
        if (c & 1u << 27) /* OSXSAVE: xgetbv tells which registers the system saves */
            __asm__ __volatile__("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
        bool sse41 = (c & 1u << 19) != 0;
        __cpuid_count(7, 0, a, b, c, d);
        answer |= (b & 1u << 5) && (saved & 0x06) == 0x06 ? WSI_CPU_AVX2 : 0;
        answer |= (b & 1u << 16) && (saved & 0xe6) == 0xe6 ? WSI_CPU_AVX512 : 0;
        answer |= (b & 1u << 29) && sse41 ? WSI_CPU_SHA : 0;
    }
    __atomic_store_n(&wsi_cpu_answer, answer, __ATOMIC_RELAXED);
    return answer;
}

WSI_INLINE bool wsi_cpu_has(unsigned what) {
    unsigned answer = __atomic_load_n(&wsi_cpu_answer, __ATOMIC_RELAXED);
    return ((answer ? answer : wsi_cpu_ask()) & what) != 0;
}
#endif

/*
>> TEXT ===================================================================================
   Slices, comma lists, numbers, base64, percent-decoding (RFC 3986 2.1, RFC 4648 4, RFC 9110 5.6). Calls BYTES.
*/

static wsi_slice wsi_text(const char *data, size_t size) {
    wsi_slice slice;
    slice.data = data;
    slice.size = size;
    return slice;
}

static wsi_slice wsi_text_z(const char *text) { return wsi_text(text, text ? wsi_bytes_length(text) : 0); }

#ifndef WS_NO_NET
/* Writes the text without a zero, and returns its end. */
static char *wsi_text_append(char *to, wsi_slice text) {
    if (text.size)
        memcpy(to, text.data, text.size);
    return to + text.size;
}
#endif

static char wsi_text_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool wsi_text_same(wsi_slice a, wsi_slice b) {
    return a.size == b.size && wsi_bytes_same(a.data, b.data, a.size);
}

#if !defined(WS_NO_SERVER) || !defined(WS_NO_DEFLATE) || !defined(WS_NO_NET)
static bool wsi_text_is(wsi_slice a, const char *b) { return wsi_text_same(a, wsi_text_z(b)); }
#endif

/* Ignores the case of ASCII letters, in any locale. */
static bool wsi_text_same_nocase(wsi_slice a, wsi_slice b) {
    size_t left = a.size;
    if (a.size != b.size)
        return false;
    while (left && wsi_text_lower(a.data[left - 1]) == wsi_text_lower(b.data[left - 1]))
        left--;
    return !left;
}

/* Inline, because most sizes differ, and then no function is called. */
WSI_INLINE bool wsi_text_is_nocase(wsi_slice a, const char *b) {
    return (WSI_BRIEF || a.size == strlen(b)) && wsi_text_same_nocase(a, wsi_text_z(b));
}

static wsi_slice wsi_text_trim(wsi_slice text) {
    while (text.size && (text.data[0] == ' ' || text.data[0] == '\t'))
        text.data++, text.size--;
    while (text.size && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

static bool wsi_text_digit(char c) { return c >= '0' && c <= '9'; }

enum { WSI_TEXT_SET = WSI_BRIEF ? 4 : 8 }; /* words of a character set: a bit for each ASCII character or byte */
static bool wsi_text_in(const uint32_t set[WSI_TEXT_SET], char c) {
    return (!WSI_BRIEF || (uint8_t)c < 128) && (set[(uint8_t)c >> 5] >> (c & 31) & 1);
}

/* tchar of RFC 9110 5.6.2: letters, digits and !#$%&'*+-.^_`|~ */
static bool wsi_text_token_char(char c) {
    static const uint32_t set[WSI_TEXT_SET] = {0, 0x03ff6cfau, 0xc7fffffeu, 0x57ffffffu};
    return wsi_text_in(set, c);
}

static bool wsi_text_token(wsi_slice text) {
    for (size_t i = 0; i < text.size; i++)
        if (!wsi_text_token_char(text.data[i]))
            return false;
    return text.size > 0;
}

/* Splits *rest at the first c: *before is the text before it, *rest the text after it. false: there is no c. */
static bool wsi_text_until(wsi_slice *rest, char c, wsi_slice *before) {
    const char *at = wsi_bytes_find(rest->data, c, rest->size);
    if (!at)
        return false;
    *before = wsi_text(rest->data, (size_t)(at - rest->data));
    rest->data = at + 1;
    rest->size -= before->size + 1;
    return true;
}

#if !defined(WSI_BARE) && !defined(WS_NO_SERVER)
/* Removes the text up to the first c, or all of it if there is no c. Returns what it removed, without the c. */
static wsi_slice wsi_text_part(wsi_slice *rest, char c) {
    wsi_slice part = *rest;
    if (!wsi_text_until(rest, c, &part))
        rest->size = 0;
    return part;
}
#endif

/* Removes the next element from a comma-separated list; skips empty ones (RFC 9110 5.6.1). */
static bool wsi_text_next(wsi_slice *list, wsi_slice *element) {
    do {
        *element = *list;
        if (!wsi_text_until(list, ',', element))
            list->size = 0;
        *element = wsi_text_trim(*element);
    } while (!element->size && list->size);
    return element->size > 0;
}

#if !defined(WS_NO_CLIENT) || !defined(WS_NO_NET)
static bool wsi_text_in_list(wsi_slice list, wsi_slice wanted) {
    wsi_slice element;
    while (wsi_text_next(&list, &element))
        if (wsi_text_same(element, wanted))
            return true;
    return false;
}
#endif

/* The position of a text in a list, from 1, in any letter case. 0: it is not in the list. */
static unsigned wsi_text_which(wsi_slice wanted, const char *list) {
    wsi_slice rest = wsi_text_z(list), element;
    for (unsigned place = 1; wsi_text_next(&rest, &element); place++)
        if (wsi_text_same_nocase(element, wanted))
            return place;
    return 0;
}

/* Reads 1 to 18 digits; false for anything else. In a bare engine (32 bits) larger numbers become some 2.7 billion. */
static bool wsi_text_number(wsi_slice text, wsi_size *number) {
    const wsi_size most = (wsi_size)-1 / 16;
    wsi_size value = 0;
    if (!text.size || text.size > 18)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!wsi_text_digit(text.data[i]))
            return false;
        value = (value < most ? value : most) * 10 + (unsigned)(text.data[i] - '0');
    }
    *number = value;
    return true;
}

#if !defined(WS_NO_JSON) || (!defined(WS_NO_SERVER) && !defined(WS_NO_NET))
/* Reads the digits from index `from` to the end as a number of at most `limit`; false for anything else. */
static bool wsi_text_digits(wsi_slice text, size_t from, uint64_t limit, uint64_t *number) {
    uint64_t value = 0;
    for (size_t i = from; i < text.size; i++) {
        unsigned digit = (unsigned)(text.data[i] - '0');
        if (!wsi_text_digit(text.data[i]) || value > UINT64_MAX / 10 || value * 10 > limit
            || digit > limit - value * 10)
            return false;
        value = value * 10 + digit;
    }
    if (text.size > from)
        *number = value;
    return text.size > from;
}
#endif

#if !defined(WS_NO_SERVER) || !defined(WS_NO_DEFLATE) || !defined(WS_NO_JSON) || !defined(WS_NO_NET)
#ifdef WS_SMALL
/* Divides by ten, 16 bits at a time, and returns the remainder: 32-bit processors have no 64-bit division. */
static unsigned wsi_text_tenth(uint64_t *number) {
    uint64_t tenth = 0;
    uint32_t rest = 0;
    for (int shift = 48; shift >= 0; shift -= 16) {
        rest = rest << 16 | (uint32_t)(*number >> shift & 0xffff);
        tenth = tenth << 16 | rest / 10;
        rest %= 10;
    }
    *number = tenth;
    return (unsigned)rest;
}
#else
static unsigned wsi_text_tenth(uint64_t *number) {
    unsigned rest = (unsigned)(*number % 10);
    *number /= 10;
    return rest;
}
#endif

/* Writes a number's digits, at most 20, and returns their count. */
static size_t wsi_text_decimal(char *out, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + wsi_text_tenth(&number));
    while (number);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}
#endif

#if !defined(WS_NO_NET) || !defined(WS_NO_JSON)
static int wsi_text_hex(char c) {
    if (wsi_text_digit(c))
        return c - '0';
    c = wsi_text_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
#endif

#ifndef WS_NO_NET
/* Percent-decodes into `out`, at most text.size bytes. Returns the size; -1 for a bad escape or a zero byte. */
static ptrdiff_t wsi_text_unescape(wsi_slice text, char *out) {
    size_t i, size = 0;
    for (i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.size ? wsi_text_hex(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? wsi_text_hex(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (!c)
            return -1;
        out[size++] = c;
    }
    return (ptrdiff_t)size;
}
#endif

#ifdef WS_SMALL
static char wsi_text_digit64(uint32_t six) {
    return (char)(six < 26 ? 'A' + six : six < 52 ? 'a' - 26 + six : six < 62 ? six - 4 : six == 62 ? '+' : '/');
}
#else
static const char wsi_text_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char wsi_text_digit64(uint32_t six) { return wsi_text_alphabet[six]; }
#endif

/* Writes 4 characters for each 3 bytes, and for a last 1 or 2 bytes. Returns the number of characters. */
static size_t wsi_text_base64(char *out, const uint8_t *data, size_t size) {
    size_t i = 0, written = 0;
    for (; i < size; i += 3, written += 4) {
        size_t left = size - i;
        uint32_t three = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0)
                         | (left > 2 ? data[i + 2] : 0);
        out[written] = wsi_text_digit64(three >> 18);
        out[written + 1] = wsi_text_digit64(three >> 12 & 63);
        out[written + 2] = left > 1 ? wsi_text_digit64(three >> 6 & 63) : '=';
        out[written + 3] = left > 2 ? wsi_text_digit64(three & 63) : '=';
    }
    return written;
}

#ifndef WS_NO_SERVER
/* Whether the text is base64 of 16 bytes; unused bits may be set. Two overlapping loops of 16 compile to vectors. */
static bool wsi_text_is_base64_16(wsi_slice text) {
    unsigned others = 0;
    if (text.size != 24 || text.data[22] != '=' || text.data[23] != '=')
        return false;
    for (size_t part = WSI_BRIEF ? 22 : 16, begin = 0; begin + part <= 22; begin += 6)
        for (size_t i = 0; i < part; i++) {
            uint8_t c = (uint8_t)text.data[begin + i], upper = (uint8_t)(c & 0xdf);
            others |= !(((upper >= 'A') & (upper <= 'Z')) | ((c >= '/') & (c <= '9')) | (c == '+'));
        }
    return !others;
}
#endif

/*
>> SHA1 ===================================================================================
   SHA-1 (FIPS 180-4), which only Sec-WebSocket-Accept needs (RFC 6455 4.2.2). Calls BYTES.
*/

static uint32_t wsi_sha1_rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

WSI_INLINE uint32_t wsi_sha1_mix(int quarter, uint32_t b, uint32_t c, uint32_t d) {
    switch (quarter) {
    case 0: return (d ^ (b & (c ^ d))) + 0x5a827999u;
    case 1: return (b ^ c ^ d) + 0x6ed9eba1u;
    case 2: return (b & (c ^ d)) + (c & d) + 0x8f1bbcdcu; /* no bit is set in both terms, so + is OR */
    default: return (b ^ c ^ d) + 0xca62c1d6u;
    }
}

#ifdef WS_NO_FAST
/* v holds e, d, c, b, a, then 16 words of the block. Each step moves v down by one word. hash is in the same order. */
WSI_SHARED void wsi_sha1_block(uint32_t hash[5], uint32_t v[21]) {
    uint32_t next, word;
    int quarter, i;
    wsi_bytes_copy(v, hash, 5 * sizeof *v);
    for (quarter = 0; quarter < 4; quarter++)
        for (i = 0; i < 20; i++) {
            next = wsi_sha1_rotate(v[4], 5) + wsi_sha1_mix(quarter, v[3], v[2], v[1]) + v[0] + v[5];
            word = wsi_sha1_rotate(v[18] ^ v[13] ^ v[7] ^ v[5], 1);
            wsi_bytes_move(v, v + 1, 20 * sizeof *v);
            v[2] = wsi_sha1_rotate(v[2], 30), v[4] = next, v[20] = word;
        }
    for (i = 0; i < 5; i++)
        hash[i] += v[i];
}

/* Hashes a key and the GUID. */
static void wsi_sha1(const uint8_t key[24], uint8_t digest[20]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11\x80"; /* 0x80 begins SHA-1's padding */
    uint32_t hash[5] = {0xc3d2e1f0u, 0x10325476u, 0x98badcfeu, 0xefcdab89u, 0x67452301u}, v[21], word = 0;
    size_t i;
    for (i = 0; i < 128; i++) {
        word = word << 8 | (i < 24 ? key[i] : i < 61 ? (uint8_t)guid[i - 24] : 0);
        v[5 + i / 4 % 16] = i < 127 ? word : 60 * 8; /* the length in bits */
        if (i % 64 == 63)
            wsi_sha1_block(hash, v);
    }
    for (i = 0; i < 5; i++)
        wsi_bytes_store(digest + i * 4, 4, hash[4 - i]);
}
#else
/* Changes only b and e. Each call permutes the arguments, so that no values have to be moved. */
#define WSI_SHA1_STEP(a, b, c, d, e, mix, word) \
    ((e) += (mix) + (word), (e) += wsi_sha1_rotate(a, 5), (b) = wsi_sha1_rotate(b, 30))

/* Does 20 of the 80 steps. */
WSI_INLINE void wsi_sha1_quarter(uint32_t v[5], const uint32_t *w, int quarter) {
    uint32_t a = v[0], b = v[1], c = v[2], d = v[3], e = v[4];
    for (int i = 0; i < 20; i += 5) {
        WSI_SHA1_STEP(a, b, c, d, e, wsi_sha1_mix(quarter, b, c, d), w[i]);
        WSI_SHA1_STEP(e, a, b, c, d, wsi_sha1_mix(quarter, a, b, c), w[i + 1]);
        WSI_SHA1_STEP(d, e, a, b, c, wsi_sha1_mix(quarter, e, a, b), w[i + 2]);
        WSI_SHA1_STEP(c, d, e, a, b, wsi_sha1_mix(quarter, d, e, a), w[i + 3]);
        WSI_SHA1_STEP(b, c, d, e, a, wsi_sha1_mix(quarter, c, d, e), w[i + 4]);
    }
    v[0] = a, v[1] = b, v[2] = c, v[3] = d, v[4] = e;
}

/* Does all 80 steps. w: the block's expanded words. */
static void wsi_sha1_rounds(uint32_t hash[5], const uint32_t w[80]) {
    uint32_t v[5];
    memcpy(v, hash, sizeof v);
    wsi_sha1_quarter(v, w, 0);
    wsi_sha1_quarter(v, w + 20, 1);
    wsi_sha1_quarter(v, w + 40, 2);
    wsi_sha1_quarter(v, w + 60, 3);
    hash[0] += v[0], hash[1] += v[1], hash[2] += v[2], hash[3] += v[3], hash[4] += v[4];
}

#if defined(WS_NO_DISPATCH) || !defined(__x86_64__)
static bool wsi_sha1_block_fast(uint32_t hash[5], const uint32_t words[16]) { return (void)hash, (void)words, false; }
#else
/* Five groups of four steps. This is a macro because the instruction needs the quarter as a constant. */
#define WSI_SHA1_GROUPS(v, w, quarter) \
    for (int i = 0; i < 5; i++) { \
        __m128i next = (v)[0]; \
        (v)[0] = (__m128i)_mm_sha1rnds4_epu32((v)[0], _mm_sha1nexte_epu32((v)[1], (w)[i]), quarter); \
        (v)[1] = next; \
    }

/* Each register holds four words, the first one in the highest bits. */
WSI_SHA static bool wsi_sha1_block_sha(uint32_t hash[5], const uint32_t words[16]) {
    __m128i w[20], v[2], first, last = _mm_set_epi32((int)hash[4], 0, 0, 0);
    for (int i = 0; i < 4; i++) {
        memcpy(&w[i], words + 4 * i, 16);
        w[i] = _mm_shuffle_epi32(w[i], 0x1b);
    }
    for (int i = 4; i < 20; i++)
        w[i] = _mm_sha1msg2_epu32(_mm_sha1msg1_epu32(w[i - 4], w[i - 3]) ^ w[i - 2], w[i - 1]);
    first = _mm_set_epi32((int)hash[0], (int)hash[1], (int)hash[2], (int)hash[3]);
    v[0] = first;
    /* sha1nexte rotates e by 30, because e is the a of four steps earlier. The first e is not: 2 bits undo that. */
    v[1] = _mm_set_epi32((int)wsi_sha1_rotate(hash[4], 2), 0, 0, 0);
    WSI_SHA1_GROUPS(v, w, 0)
    WSI_SHA1_GROUPS(v, w + 5, 1)
    WSI_SHA1_GROUPS(v, w + 10, 2)
    WSI_SHA1_GROUPS(v, w + 15, 3)
    last = _mm_sha1nexte_epu32(v[1], last);
    first = _mm_shuffle_epi32(_mm_add_epi32(v[0], first), 0x1b);
    memcpy(hash, &first, 16);
    hash[4] = (uint32_t)_mm_extract_epi32(last, 3);
    return true;
}

static bool wsi_sha1_block_fast(uint32_t hash[5], const uint32_t words[16]) {
    return wsi_cpu_has(WSI_CPU_SHA) && wsi_sha1_block_sha(hash, words);
}
#endif

/* Hashes a block. w: its words, and room for the expanded ones. */
static void wsi_sha1_block(uint32_t hash[5], uint32_t w[80]) {
    if (wsi_sha1_block_fast(hash, w))
        return;
    for (int i = 16; i < 32; i++)
        w[i] = wsi_sha1_rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 32; i < 80; i++) /* the same values by a formula that vectorizes */
        w[i] = wsi_sha1_rotate(w[i - 6] ^ w[i - 16] ^ w[i - 28] ^ w[i - 32], 2);
    wsi_sha1_rounds(hash, w);
}

/* The words after the key: "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", and the bit that begins SHA-1's padding. */
static const uint32_t wsi_sha1_guid[10] = {
    0x32353845, 0x41464135, 0x2d453931, 0x342d3437, 0x44412d39, 0x3543412d, 0x43354142, 0x30444338, 0x35423131,
    0x80000000
};

/* The second block, expanded. It is always the same: zeros, and the length, 480 bits. */
static const uint32_t wsi_sha1_second[80] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1e0, 0, 0, 0x3c0, 0, 0, 0x780, 0, 0x3c0,
    0xf00, 0, 0, 0x1e00, 0, 0xcc0, 0x3c00, 0x440, 0, 0x7800, 0xf00, 0x3300, 0xf000, 0xf00, 0, 0x1ef00,
    0, 0xcc00, 0x3c000, 0x4380, 0, 0x78f00, 0xff00, 0x32680, 0xf0000, 0xf000, 0x3300, 0x1eff00,
    0, 0xcb800, 0x3c0000, 0x40b00, 0xf000, 0x78ff00, 0xff000, 0x338700, 0xf00000, 0xfc300, 0xf000, 0x1efbb00,
    0, 0xcc0000, 0x3c0f000, 0x438000, 0, 0x78f0000, 0xff0000, 0x3269e00, 0xf000000, 0xf0f000, 0x333c00,
    0x1eff8800, 0, 0xcb88800, 0x3c00f000, 0x40a4a00
};

static void wsi_sha1(const uint8_t key[24], uint8_t digest[20]) {
    uint32_t hash[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u}, w[80];
    for (int i = 0; i < 6; i++, key += 4)
        w[i] = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
    memcpy(w + 6, wsi_sha1_guid, sizeof wsi_sha1_guid);
    wsi_sha1_block(hash, w);
    if (!wsi_sha1_block_fast(hash, wsi_sha1_second))
        wsi_sha1_rounds(hash, wsi_sha1_second);
    for (int i = 0; i < 5; i++, digest += 4) { /* compilers merge these stores */
        digest[0] = (uint8_t)(hash[i] >> 24);
        digest[1] = (uint8_t)(hash[i] >> 16);
        digest[2] = (uint8_t)(hash[i] >> 8);
        digest[3] = (uint8_t)hash[i];
    }
}
#endif /* WS_NO_FAST */

/*
>> UTF8 ===================================================================================
   Incremental validator (RFC 3629; Unicode table 3-7). It fails at the first byte that no valid text could have there.
   Calls BYTES. The state is 0 between characters. Inside a character it is low << 16 | high << 8 | missing: the bounds
   of the next continuation byte, and the number of continuation bytes still missing.
*/

#define WSI_UTF8_STATE(low, high, missing) \
    ((uint32_t)(low) << 16 | (uint32_t)(high) << 8 | (uint32_t)(missing))

#ifdef WS_NO_FAST
static size_t wsi_utf8_skip_words(const uint8_t *data, size_t i, size_t size) {
    for (uint64_t word = 0; !WSI_BRIEF && size - i >= 8; i += 8) {
        memcpy(&word, data + i, 8);
        if (word & 0x8080808080808080u)
            break;
    }
    return i;
}
#else
static size_t wsi_utf8_skip_words(const uint8_t *data, size_t i, size_t size) {
    for (; size - i >= 4 * WSI_WIDE; i += 4 * WSI_WIDE) {
        wsi_wide a = wsi_wide_load(data + i) | wsi_wide_load(data + i + WSI_WIDE);
        wsi_wide b = wsi_wide_load(data + i + 2 * WSI_WIDE) | wsi_wide_load(data + i + 3 * WSI_WIDE);
        if (wsi_wide_fold(a | b) & WSI_BYTES_HIGH)
            break;
    }
    while (size - i >= WSI_WIDE && !(wsi_wide_fold(wsi_wide_load(data + i)) & WSI_BYTES_HIGH))
        i += WSI_WIDE;
    if (size - i >= 8 && !(wsi_bytes_word(data + i) & WSI_BYTES_HIGH))
        i += 8;
    return i;
}
#endif

/* Returns the offset of the first byte at or after i that is not ASCII, or size. */
static size_t wsi_utf8_skip_ascii(const uint8_t *data, size_t i, size_t size) {
    i = wsi_utf8_skip_words(data, i, size);
    while (i < size && data[i] < 0x80)
        i++;
    return i;
}

/* The state after a lead byte of at least 0x80; 0 if that byte is invalid. */
static uint32_t wsi_utf8_lead(uint8_t c) {
    if (c < 0xc2 || c > 0xf4)
        return 0;
    if (c < 0xe0)
        return WSI_UTF8_STATE(0x80, 0xbf, 1);
    if (c < 0xf0)
        return WSI_UTF8_STATE(c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf, 2);
    return WSI_UTF8_STATE(c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf, 3);
}

#ifdef WS_NO_DISPATCH
static size_t wsi_utf8_skip(const uint8_t *data, size_t i, size_t size) { return wsi_utf8_skip_ascii(data, i, size); }
#else
/* Three vector operations for wsi_utf8_wrong: table lookup, subtraction with saturation, and a test of bits. */
#ifdef __x86_64__
#define WSI_LOOKUP WSI_AVX2
typedef uint8_t wsi_utf8_wide __attribute__((vector_size(32)));

WSI_AVX2 WSI_INLINE wsi_utf8_wide wsi_utf8_look(const uint8_t table[16], wsi_utf8_wide index) {
    __m128i half;
    memcpy(&half, table, sizeof half);
    return (wsi_utf8_wide)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(half), (__m256i)index);
}
WSI_AVX2 WSI_INLINE wsi_utf8_wide wsi_utf8_less(wsi_utf8_wide wide, uint8_t most) {
    return (wsi_utf8_wide)_mm256_subs_epu8((__m256i)wide, _mm256_set1_epi8((char)most));
}
WSI_AVX2 WSI_INLINE bool wsi_utf8_any(wsi_utf8_wide wide, uint8_t bits) {
    return !_mm256_testz_si256((__m256i)wide, _mm256_set1_epi8((char)bits));
}
static bool wsi_utf8_has_wide(void) { return wsi_cpu_has(WSI_CPU_AVX2); }
#else
#define WSI_LOOKUP
typedef uint8x16_t wsi_utf8_wide;

WSI_INLINE wsi_utf8_wide wsi_utf8_look(const uint8_t table[16], wsi_utf8_wide index) {
    return vqtbl1q_u8(vld1q_u8(table), index);
}
WSI_INLINE wsi_utf8_wide wsi_utf8_less(wsi_utf8_wide wide, uint8_t most) { return vqsubq_u8(wide, vdupq_n_u8(most)); }
WSI_INLINE bool wsi_utf8_any(wsi_utf8_wide wide, uint8_t bits) { return vmaxvq_u8(wide & vdupq_n_u8(bits)) != 0; }
static bool wsi_utf8_has_wide(void) { return true; }
#endif

WSI_LOOKUP WSI_INLINE wsi_utf8_wide wsi_utf8_load(const uint8_t *data) {
    wsi_utf8_wide wide;
    memcpy(&wide, data, sizeof wide);
    return wide;
}

/* A byte of the result is not 0 if the byte at its place in data cannot follow the three before. The method checks a
   register at a time (Keiser and Lemire, Validating UTF-8 In Less Than One Instruction Per Byte, 2021). Each bit stands
   for an error that two adjacent bytes can make. Three tables give the errors that the first byte's low half, its high
   half, and the second byte's high half allow. An error that all three give has occurred. */
WSI_LOOKUP WSI_INLINE wsi_utf8_wide wsi_utf8_wrong(const uint8_t *data) {
    enum {
        CUT = 1, /* a lead byte, then no continuation byte */
        STRAY = 2, /* ASCII, then a continuation byte */
        LOW2 = 4, /* overlong: c0, c1 */
        LOW3 = 8, /* overlong: e0, then 80 to 9f */
        HALF = 16, /* a surrogate: ed, then a0 to bf */
        LOW4 = 32, /* overlong or too large: f0, or f5 to ff, then 80 to 8f */
        BIG = 64, /* too large: f4 to ff, then 90 to bf */
        NEXT = 128, /* two continuation bytes: valid if the second is a character's third or fourth byte */
        ANY = CUT | STRAY | NEXT,
        PAST = ANY | LOW4 | BIG, /* lead bytes from f5 on */
        TAIL = STRAY | NEXT | LOW2
    };
    static const uint8_t first_high[16] = {
        STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, NEXT, NEXT, NEXT, NEXT, CUT | LOW2, CUT,
        CUT | LOW3 | HALF, CUT | LOW4 | BIG
    };
    static const uint8_t first_low[16] = {
        ANY | LOW2 | LOW3 | LOW4, ANY | LOW2, ANY, ANY, ANY | BIG, PAST, PAST, PAST, PAST, PAST, PAST, PAST, PAST,
        PAST | HALF, PAST, PAST
    };
    static const uint8_t second_high[16] = {
        CUT, CUT, CUT, CUT, CUT, CUT, CUT, CUT, TAIL | LOW3 | LOW4, TAIL | LOW3 | BIG,
        TAIL | HALF | BIG, TAIL | HALF | BIG, CUT, CUT, CUT, CUT
    };
    wsi_utf8_wide second = wsi_utf8_load(data), first = wsi_utf8_load(data - 1);
    wsi_utf8_wide ways = wsi_utf8_look(first_high, first >> 4) & wsi_utf8_look(first_low, first & 15)
                         & wsi_utf8_look(second_high, second >> 4);
    /* The high bit is set if the byte two places before is at least e0, or the byte three places before at least f0. */
    wsi_utf8_wide third = wsi_utf8_less(wsi_utf8_load(data - 2), 0xe0 - 0x80);
    wsi_utf8_wide fourth = wsi_utf8_less(wsi_utf8_load(data - 3), 0xf0 - 0x80);
    return ways ^ ((third | fourth) & 0x80);
}

enum { WSI_UTF8_HALF_BLOCK = sizeof(wsi_utf8_wide), WSI_UTF8_BLOCK = 2 * WSI_UTF8_HALF_BLOCK };

WSI_LOOKUP WSI_INLINE bool wsi_utf8_block_is_ascii(const uint8_t *data) {
    return !wsi_utf8_any(wsi_utf8_load(data) | wsi_utf8_load(data + WSI_UTF8_HALF_BLOCK), 0x80);
}

WSI_LOOKUP WSI_INLINE bool wsi_utf8_block_is_good(const uint8_t *data) {
    return !wsi_utf8_any(wsi_utf8_wrong(data) | wsi_utf8_wrong(data + WSI_UTF8_HALF_BLOCK), 0xff);
}

/* The start of the character that is not complete before data[i]; i if none is. i is at least 3. */
static size_t wsi_utf8_whole(const uint8_t *data, size_t i) {
    return i - (data[i - 1] >= 0xc0 ? 1u : data[i - 2] >= 0xe0 ? 2u : data[i - 3] >= 0xf0 ? 3u : 0u);
}

/* Skips valid blocks from i on. A character begins at i and at the returned index. The caller has to check whatever is
   invalid, and the first three bytes, because the check of a byte reads the three before it. */
WSI_LOOKUP static size_t wsi_utf8_long(const uint8_t *data, size_t i, size_t size) {
    size_t begin;
    do {
        while (size - i >= WSI_UTF8_BLOCK && wsi_utf8_block_is_ascii(data + i))
            i += WSI_UTF8_BLOCK;
        begin = i;
        if (i < 3)
            break;
        while (size - i >= WSI_UTF8_BLOCK && !wsi_utf8_block_is_ascii(data + i) && wsi_utf8_block_is_good(data + i))
            i += WSI_UTF8_BLOCK;
        if (i < size && size - i < WSI_UTF8_BLOCK && wsi_utf8_block_is_good(data + size - WSI_UTF8_BLOCK))
            i = size;
        if (i > begin)
            i = wsi_utf8_whole(data, i);
    } while (i > begin);
    return i;
}

/* wsi_utf8_long for a text shorter than two blocks: checks a copy with zeros before it, and one zero or more after. */
WSI_LOOKUP static size_t wsi_utf8_short(const uint8_t *data, size_t i, size_t size) {
    uint8_t copy[3 + 2 * WSI_UTF8_BLOCK] = {0};
    size_t end = wsi_utf8_whole(data, size), k = 0;
    memcpy(copy + 3, data + i, end - i);
    while (k <= end - i && !wsi_utf8_any(wsi_utf8_wrong(copy + 3 + k), 0xff))
        k += WSI_UTF8_HALF_BLOCK;
    return k > end - i ? end : i;
}

/* Skips ASCII and, if the text is so long that this pays off, whatever else is valid. */
static size_t wsi_utf8_skip(const uint8_t *data, size_t i, size_t size) {
    if (size >= 2 * WSI_UTF8_BLOCK && wsi_utf8_has_wide())
        i = wsi_utf8_long(data, i, size);
    i = wsi_utf8_skip_ascii(data, i, size);
    return size - i >= 24 && size < 2 * WSI_UTF8_BLOCK && wsi_utf8_has_wide() ? wsi_utf8_short(data, i, size) : i;
}
#endif

static bool wsi_utf8_feed(uint32_t *state, const uint8_t *data, size_t size) {
    uint32_t now = *state;
    size_t i = 0;
    for (;;) {
        if (!now) {
            i = wsi_utf8_skip(data, i, size);
            if (i == size)
                break;
            now = wsi_utf8_lead(data[i++]);
            if (!now)
                return false;
        }
        if (i == size)
            break;
        if (data[i] < now >> 16 || data[i] > (now >> 8 & 0xff))
            return false;
        now = (now & 0xff) == 1 ? 0 : WSI_UTF8_STATE(0x80, 0xbf, (now & 0xff) - 1);
        i++;
    }
    *state = now;
    return true;
}

static bool wsi_utf8_valid(const uint8_t *data, size_t size) {
    uint32_t state = 0;
    return wsi_utf8_feed(&state, data, size) && !state;
}

/*
>> HTTP ===================================================================================
   Heads of requests and responses (RFC 9112), and the syntax of their fields. Whatever two parsers could read
   differently is refused. Slices point into the text; nothing is allocated. Calls BYTES, TEXT, UTF8.
*/

#define WSI_HTTP_BAD SIZE_MAX
#define WSI_HTTP_MAX_PROTOCOLS 64

static bool wsi_http_control(uint8_t c) { return c < 0x20 || c == 0x7f; }

/* Counts the bytes before the first control character. */
#ifdef WS_NO_FAST
static size_t wsi_http_plain(const uint8_t *data, size_t size) {
    size_t i = 0;
    while (i < size && !wsi_http_control(data[i]))
        i++;
    return i;
}
#else
/* wsi_http_plain_block is wsi_http_plain for one block. */
#if defined(__GNUC__) && defined(__SSE2__)
enum { WSI_HTTP_BLOCK = 16 };

WSI_INLINE unsigned wsi_http_plain_block(const uint8_t *data) {
    typedef uint8_t wide __attribute__((vector_size(16)));
    typedef char mask __attribute__((vector_size(16)));
    wide bytes;
    memcpy(&bytes, data, sizeof bytes);
    return (unsigned)__builtin_ctz(1u << 16 | (unsigned)__builtin_ia32_pmovmskb128(
                                                  (mask)((bytes < 0x20) | (bytes == 0x7f))));
}
#else
enum { WSI_HTTP_BLOCK = 8 };

WSI_INLINE unsigned wsi_http_plain_block(const uint8_t *data) {
    const uint64_t ones = WSI_BYTES_HIGH / 128;
    uint64_t word = wsi_bytes_little(data), low = word & ~WSI_BYTES_HIGH;
    uint64_t good = ((low + 0x60 * ones) & ~(low + ones)) | word; /* the high bit is set for 0x20 to 0x7e and 0x80 up */
    return ~good & WSI_BYTES_HIGH ? wsi_bytes_lowest_byte(~good & WSI_BYTES_HIGH) : (unsigned)WSI_HTTP_BLOCK;
}
#endif

WSI_INLINE size_t wsi_http_plain(const uint8_t *data, size_t size) {
    size_t i = 0;
    for (; size - i >= WSI_HTTP_BLOCK; i += WSI_HTTP_BLOCK) {
        unsigned plain = wsi_http_plain_block(data + i);
        if (plain < WSI_HTTP_BLOCK)
            return i + plain;
    }
    if (i) /* the last block overlaps the one before */
        return size - WSI_HTTP_BLOCK + wsi_http_plain_block(data + size - WSI_HTTP_BLOCK);
    while (i < size && !wsi_http_control(data[i]))
        i++;
    return i;
}
#endif

/* Finds the CRLF that ends the line at i. Returns its offset; size: it is missing; WSI_HTTP_BAD: a forbidden byte. */
WSI_INLINE size_t wsi_http_line_end(const uint8_t *data, size_t i, size_t size) {
    for (; (i += wsi_http_plain(data + i, size - i)) < size && data[i] == '\t'; i++) {}
    if (i == size || (data[i] == '\r' && i + 1 == size))
        return size;
    return data[i] == '\r' && data[i + 1] == '\n' ? i : WSI_HTTP_BAD;
}

/* Looks for the empty line that ends a head. Returns the head's size, 0 if more bytes are needed, or WSI_HTTP_BAD. */
static size_t wsi_http_scan(const uint8_t *data, size_t from, size_t size) {
    size_t i = from && data[from - 1] == '\r' ? from - 1 : from;
    for (;; i += 2) {
        i = wsi_http_line_end(data, i, size);
        if (i == size || i == WSI_HTTP_BAD)
            return i == size ? 0 : WSI_HTTP_BAD;
        if (i >= 2 && data[i - 1] == '\n')
            return i + 2;
    }
}

/* Removes the first line from a head and returns it without its CRLF. */
static wsi_slice wsi_http_line(wsi_slice *head) {
    wsi_slice line = {NULL, 0};
    if (wsi_text_until(head, '\n', &line) && line.size) /* the byte before the LF is taken to be a CR */
        line.size--;
    return line;
}

/* Splits a field line (RFC 9112 5). false: there is no colon. */
static bool wsi_http_field(wsi_slice line, wsi_slice *name, wsi_slice *value) {
    if (!wsi_text_until(&line, ':', name))
        return false;
    *value = wsi_text_trim(line);
    return true;
}

#if !defined(WS_NO_SERVER) && (!defined(WS_NO_NET) || !defined(WS_NO_DEFLATE))
/* Finds the next field of this name, in any letter case; removes the lines up to its end. The head must be valid. */
static bool wsi_http_find(wsi_slice *head, const char *known, wsi_slice *value) {
    wsi_slice name;
    while (wsi_http_field(wsi_http_line(head), &name, value))
        if (wsi_text_is_nocase(name, known))
            return true;
    return false;
}
#endif

#if !defined(WS_NO_CLIENT) || !defined(WS_NO_HTTP)
typedef enum wsi_header { WSI_HEADER_END, WSI_HEADER_FOUND, WSI_HEADER_BAD } wsi_header;

/* Removes the first field line of a head. Refuses folded lines, and a space before the colon. */
static wsi_header wsi_http_header(wsi_slice *head, wsi_slice *name, wsi_slice *value) {
    wsi_slice line = wsi_http_line(head);
    if (!line.size)
        return WSI_HEADER_END;
    return wsi_http_field(line, name, value) && wsi_text_token(*name) ? WSI_HEADER_FOUND : WSI_HEADER_BAD;
}
#endif

/* Reads "HTTP/1.1" (RFC 9112 2.3). Returns 0, 400 or 505. */
static int wsi_http_version(wsi_slice text, bool *http11) {
    if (text.size != 8 || !wsi_bytes_same(text.data, "HTTP/", 5) || !wsi_text_digit(text.data[5])
        || text.data[6] != '.' || !wsi_text_digit(text.data[7]))
        return 400;
    *http11 = text.data[7] != '0';
    return text.data[5] == '1' ? 0 : 505;
}

#if !defined(WS_NO_SERVER) || !defined(WS_NO_DEFLATE) || !defined(WS_NO_NET)
/* Removes a token from the front. value: it may be a quoted string (RFC 9110 5.6.4), whose backslashes stay in *word.
   any: the quoted string may hold any text, not just a token. false: the text begins with neither. */
static bool wsi_http_word(wsi_slice *rest, wsi_slice *word, bool value, bool any) {
    bool quoted = value && rest->size && rest->data[0] == '"';
    size_t i = quoted ? 1 : 0;
    while (i < rest->size) {
        size_t at = quoted && rest->data[i] == '\\' && i + 1 < rest->size ? i + 1 : i;
        if (quoted && any ? rest->data[i] == '"' : !wsi_text_token_char(rest->data[at]))
            break;
        i = at + 1;
    }
    *word = wsi_text(rest->data + (quoted ? 1 : 0), quoted ? i - 1 : i);
    if (quoted && (i == rest->size || rest->data[i++] != '"'))
        return false;
    *rest = wsi_text_trim(wsi_text(rest->data + i, rest->size - i));
    return word->size > 0 || (quoted && any);
}

/* Whether this is a parameter list, *( ";" token [ "=" word ] ), with optional spaces. named: a token comes first. */
static bool wsi_http_parameters(wsi_slice rest, bool named, bool any) {
    char sign = 0; /* ';' or '=' before the next word */
    wsi_slice word;
    for (;; named = true) {
        if (named && !wsi_http_word(&rest, &word, sign == '=', any))
            return false;
        if (!rest.size)
            return true;
        if (rest.data[0] != ';' && (rest.data[0] != '=' || sign != ';'))
            return false;
        sign = rest.data[0];
        rest = wsi_text_trim(wsi_text(rest.data + 1, rest.size - 1));
    }
}
#endif

/* Whether a program's text may go into a head. No byte may be below first_allowed, so that none can end the line. */
static bool wsi_http_safe(const char *text, char first_allowed) {
    for (; text && *text; text++)
        if ((uint8_t)*text < (uint8_t)first_allowed || *text == 0x7f)
            return false;
    return true;
}

#if !defined(WS_NO_CLIENT) || !defined(WS_NO_NET)
/* Whether a program may add this line to a head: "Name: value", no control characters, no field that ws.h writes. */
static bool wsi_http_own_header(const char *line) {
    static const char ours[] = "upgrade, connection, content-length, transfer-encoding, te, trailer, "
                               "sec-websocket-key, sec-websocket-version, sec-websocket-accept, "
                               "sec-websocket-protocol, sec-websocket-extensions";
    wsi_slice name, value = wsi_text_z(line);
    if (!wsi_text_until(&value, ':', &name) || !wsi_text_token(name) || wsi_text_which(name, ours))
        return false;
    for (size_t i = 0; i < value.size; i++)
        if (wsi_http_control((uint8_t)value.data[i]) && value.data[i] != '\t')
            return false;
    return true;
}

static bool wsi_http_is_header(const char *line, const char *name) {
    wsi_slice rest = wsi_text_z(line), before;
    return wsi_text_until(&rest, ':', &before) && wsi_text_is_nocase(before, name);
}
#endif

#if !defined(WS_NO_SERVER) || !defined(WS_NO_NET)
/* Whether an answer with this status has neither body nor Content-Length (RFC 9110 8.6, 15.3.5, 15.4.5). */
static bool wsi_http_bodiless(int status) { return status == 204 || status == 304; }

/* A character of a host's name (RFC 3986 3.2.2): letters, digits and -._~%!$&'()*+,;= */
static bool wsi_http_host_char(char c) {
    static const uint32_t set[WSI_TEXT_SET] = {0, 0x2bff7ff2u, 0x87fffffeu, 0x47fffffeu};
    return wsi_text_in(set, c);
}

/* Splits "host:port"; fallback: the default port. IPv6 keeps its brackets. host may be NULL. false: malformed. */
static bool wsi_http_authority(wsi_slice text, wsi_size fallback, wsi_slice *host, wsi_size *port) {
    bool literal = text.size && text.data[0] == '[';
    size_t i = literal ? 1 : 0;
    while (i < text.size && (wsi_http_host_char(text.data[i]) || (literal && text.data[i] == ':')))
        i++;
    if (literal && (i == text.size || text.data[i++] != ']'))
        return false;
    wsi_slice name = wsi_text(text.data, i), digits;
    if (!i || (i < text.size && text.data[i++] != ':'))
        return false;
    digits = wsi_text(text.data + i, text.size - i);
    if (digits.size && (!wsi_text_number(digits, &fallback) || fallback > 65535))
        return false;
    if (host)
        *host = name, *port = fallback;
    return true;
}

/* Removes "scheme://" from the front. */
static bool wsi_http_scheme(wsi_slice *rest, wsi_slice *scheme) {
    if (!wsi_text_until(rest, ':', scheme) || rest->size < 2 || !wsi_bytes_same(rest->data, "//", 2))
        return false;
    *rest = wsi_text(rest->data + 2, rest->size - 2);
    return true;
}
#endif

#ifndef WS_NO_SERVER
/* --- requests --- */

static wsi_slice wsi_http_method_of(const wsi_request *request) {
    const char *head = request->head.data, *target = request->target.data;
    return wsi_text(head, target ? (size_t)(target - head) - 1 : 0);
}

static bool wsi_http_is_method(const wsi_request *request, const char *name) {
    return wsi_text_is(wsi_http_method_of(request), name);
}

#ifdef WS_NO_NET
static void wsi_http_path(wsi_request *request, wsi_slice rest) { (void)request, (void)rest; }
#else
static void wsi_http_path(wsi_request *request, wsi_slice rest) {
    request->path = rest;
    if (wsi_text_until(&rest, '?', &request->path))
        request->query = rest;
    if (!request->path.size)
        request->path = wsi_text("/", 1);
}
#endif

/* Splits a target into host, path and query: origin-form, absolute-form, or the * of OPTIONS (RFC 9112 3.2). */
static bool wsi_http_target(wsi_request *request) {
    wsi_slice rest = request->target, scheme;
    size_t i;
    for (i = 0; i < rest.size; i++)
        if ((uint8_t)rest.data[i] <= ' ' || (uint8_t)rest.data[i] > '~' || rest.data[i] == '#')
            return false;
    if (rest.size && rest.data[0] != '/' && !(wsi_text_is(rest, "*") && wsi_http_is_method(request, "OPTIONS"))) {
        if (!wsi_http_scheme(&rest, &scheme) || !wsi_text_which(scheme, "http,https,ws,wss"))
            return false;
        for (i = 0; i < rest.size && rest.data[i] != '/' && rest.data[i] != '?'; i++) {}
        request->host = wsi_text(rest.data, i);
        if (!wsi_http_authority(request->host, 0, NULL, NULL))
            return false;
        rest = wsi_text(rest.data + i, rest.size - i);
    }
    wsi_http_path(request, rest);
    return request->target.size > 0;
}

#ifdef WSI_BARE /* the connection closes after the answer, so the end of a body does not matter */
static bool wsi_http_codings(wsi_slice list, bool *others) {
    *others = !wsi_text_is_nocase(list, "chunked");
    return true;
}
static bool wsi_http_closes(wsi_slice option) { return (void)option, false; }
#else
/* Reads Transfer-Encoding. chunked must be the last coding, or the body has no known end (RFC 9112 6.1, 6.3). *others:
   there are other codings, which are not supported. false: malformed. */
static bool wsi_http_codings(wsi_slice list, bool *others) {
    wsi_slice coding;
    bool chunked = false;
    while (wsi_text_next(&list, &coding)) {
        if (chunked)
            return false;
        chunked = wsi_text_is_nocase(coding, "chunked");
        *others = *others || !chunked;
        if (!wsi_text_token(wsi_text_trim(wsi_text_part(&coding, ';'))))
            return false;
    }
    return chunked;
}

static bool wsi_http_closes(wsi_slice option) { return wsi_text_is_nocase(option, "close"); }
#endif

/* The request fields that the engine reads. */
typedef enum wsi_field {
    WSI_FIELD_OTHER, WSI_FIELD_HOST, WSI_FIELD_ORIGIN, WSI_FIELD_LENGTH, WSI_FIELD_CODING, WSI_FIELD_EXPECT,
    WSI_FIELD_CONNECTION, WSI_FIELD_UPGRADE, WSI_FIELD_KEY, WSI_FIELD_VERSION, WSI_FIELD_PROTOCOL, WSI_FIELD_EXTENSIONS,
    WSI_FIELD_BAD /* not a field line */
} wsi_field;

typedef struct wsi_http_seen { /* what has been read of a head */
    wsi_size length;
    unsigned fields; /* a bit for each wsi_field that has appeared */
    bool coded, closes, expects_continue, expects_more, connection_upgrade; /* coded: not by chunked alone */
    bool version_13, bad; /* this and what follows is for HANDSHAKE */
    unsigned protocol_count;
    wsi_slice protocols[WSI_BRIEF ? 1 : WSI_HTTP_MAX_PROTOCOLS];
} wsi_http_seen;

#ifdef WS_NO_FAST
static bool wsi_http_named(wsi_slice name, const char *known) { return wsi_text_is_nocase(name, known); }

static wsi_field wsi_http_which(wsi_slice line, wsi_slice *value) {
    wsi_slice name;
    if (!wsi_http_field(line, &name, value))
        return WSI_FIELD_BAD;
    /* in the order of wsi_field */
    unsigned place = wsi_text_which(name, "Host,Origin,Content-Length,Transfer-Encoding,Expect,Connection,Upgrade,"
                                          "Sec-WebSocket-Key,Sec-WebSocket-Version,Sec-WebSocket-Protocol,"
                                          "Sec-WebSocket-Extensions");
    return place || wsi_text_token(name) ? (wsi_field)place : WSI_FIELD_BAD;
}
#else
/* Most peers write names in exactly this letter case. Comparing with it compiles to a few instructions. */
WSI_INLINE bool wsi_http_named(wsi_slice name, const char *known) {
    return name.size == strlen(known) && (memcmp(name.data, known, strlen(known)) == 0
                                          || wsi_text_same_nocase(name, wsi_text(known, name.size)));
}

/* Whether a line begins with this name and a colon. *value: the rest of the line. */
WSI_INLINE bool wsi_http_begins(wsi_slice line, const char *known, wsi_slice *value) {
    size_t size = strlen(known);
    if (line.size <= size || line.data[size] != ':' || !wsi_http_named(wsi_text(line.data, size), known))
        return false;
    *value = wsi_text(line.data + size + 1, line.size - size - 1);
    return true;
}

static wsi_field wsi_http_which(wsi_slice line, wsi_slice *value) {
    wsi_slice name;
    wsi_field field = wsi_http_begins(line, "Host", value) ? WSI_FIELD_HOST
                      : wsi_http_begins(line, "Upgrade", value) ? WSI_FIELD_UPGRADE
                      : wsi_http_begins(line, "Connection", value) ? WSI_FIELD_CONNECTION
                      : wsi_http_begins(line, "Sec-WebSocket-Key", value) ? WSI_FIELD_KEY
                      : wsi_http_begins(line, "Sec-WebSocket-Version", value) ? WSI_FIELD_VERSION
                      : wsi_http_begins(line, "Origin", value) ? WSI_FIELD_ORIGIN
                      : wsi_http_begins(line, "Content-Length", value) ? WSI_FIELD_LENGTH
                      : wsi_http_begins(line, "Expect", value) ? WSI_FIELD_EXPECT
                      : wsi_http_begins(line, "Transfer-Encoding", value) ? WSI_FIELD_CODING
                      : wsi_http_begins(line, "Sec-WebSocket-Protocol", value) ? WSI_FIELD_PROTOCOL
                      : wsi_http_begins(line, "Sec-WebSocket-Extensions", value) ? WSI_FIELD_EXTENSIONS
                                                                                 : WSI_FIELD_OTHER;
    if (!field)
        return wsi_http_field(line, &name, value) && wsi_text_token(name) ? WSI_FIELD_OTHER : WSI_FIELD_BAD;
    *value = wsi_text_trim(*value);
    return field;
}
#endif

/* Whether a list is just this word, as in most heads; if so, sets *is. Otherwise the caller splits the list. */
WSI_INLINE bool wsi_http_is_single(wsi_slice list, const char *known, bool *is) {
    bool alone = !WSI_BRIEF && wsi_http_named(list, known);
    *is = *is || alone;
    return alone;
}

/* Parses the first line. Returns 0, or the status with which to refuse the request. */
static int wsi_http_request_line(wsi_request *request, wsi_slice line) {
    wsi_slice method;
    if (!wsi_text_until(&line, ' ', &method) || !wsi_text_until(&line, ' ', &request->target)
        || !wsi_text_token(method))
        return 400;
    int status = wsi_http_version(line, &request->http11);
    return status ? status : wsi_http_target(request) ? 0 : 400;
}

static const char wsi_http_reasons[] = /* one object, like wsi_error_texts */
    "200 OK\0" "400 Bad Request\0" "403 Forbidden\0" "404 Not Found\0" "405 Method Not Allowed\0"
    "408 Request Timeout\0" "417 Expectation Failed\0" "426 Upgrade Required\0" "431 Request Header Fields Too Large\0"
    "501 Not Implemented\0" "505 HTTP Version Not Supported\0"
#ifndef WS_SMALL /* the statuses above are those that an engine or a page sends by itself */
    "101 Switching Protocols\0" "201 Created\0" "202 Accepted\0" "204 No Content\0" "301 Moved Permanently\0"
    "302 Found\0" "303 See Other\0" "304 Not Modified\0" "307 Temporary Redirect\0" "308 Permanent Redirect\0"
    "401 Unauthorized\0" "409 Conflict\0" "410 Gone\0" "413 Content Too Large\0" "415 Unsupported Media Type\0"
    "422 Unprocessable Content\0" "429 Too Many Requests\0" "500 Internal Server Error\0" "503 Service Unavailable\0"
#endif
    ;

static const char *wsi_http_reason(int status) {
    const char *at = wsi_http_reasons;
    while (*at && (at[0] - '0') * 100 + (at[1] - '0') * 10 + at[2] - '0' != status)
        at += strlen(at) + 1;
    return *at ? at + 4 : "Status";
}
#endif /* WS_NO_SERVER */

#if !defined(WS_NO_SERVER) && !defined(WS_NO_NET)
/* The methods that handlers can serve. A set of them has a bit for each, in this order. */
static const char *const wsi_http_methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", ""};
enum { WSI_HTTP_GET = 1, WSI_HTTP_HEAD = 2, WSI_HTTP_OPTIONS = 64, WSI_HTTP_METHODS = 7 };

/* The index of a method in that list; WSI_HTTP_METHODS for all others. */
static unsigned wsi_http_method(wsi_slice method) {
    unsigned i = 0;
    while (i < WSI_HTTP_METHODS && !wsi_text_is(method, wsi_http_methods[i]))
        i++;
    return i;
}

/* --- urlencoded pairs --- */

/* Decodes a name or a value and adds a zero byte. Returns the size with that byte; -1 if the text is invalid. */
static ptrdiff_t wsi_http_form_part(wsi_slice text, char *out) {
    for (size_t i = 0; i < text.size; i++)
        out[i] = text.data[i] == '+' ? ' ' : text.data[i];
    ptrdiff_t size = wsi_text_unescape(wsi_text(out, text.size), out);
    if (size < 0 || !wsi_utf8_valid((const uint8_t *)out, (size_t)size))
        return -1;
    out[size] = 0;
    return size + 1;
}

/* Decodes "a=b". Returns the size of the output, or -1 if the pair is invalid. */
static ptrdiff_t wsi_http_form_pair(wsi_slice pair, char *out) {
    wsi_slice name = wsi_text_part(&pair, '=');
    if (!name.size && !pair.size)
        return 0;
    ptrdiff_t first = wsi_http_form_part(name, out);
    ptrdiff_t second = first < 0 ? -1 : wsi_http_form_part(pair, out + first);
    return second < 0 ? -1 : first + second;
}

/* Decodes "a=b&c" into name, zero byte, value, zero byte, and so on. Skips empty pairs. `out` has room for 2 * size +
   2. Returns the size. A pair that cannot be decoded is skipped or, with strict, makes the result -1. */
static ptrdiff_t wsi_http_form(wsi_slice text, char *out, bool strict) {
    size_t size = 0;
    while (text.size) {
        ptrdiff_t more = wsi_http_form_pair(wsi_text_part(&text, '&'), out + size);
        if (more < 0 && strict)
            return -1;
        size += more < 0 ? 0 : (size_t)more;
    }
    return (ptrdiff_t)size;
}
#endif

/* --- dates (RFC 9110 5.6.7) --- */

#if !defined(WS_NO_NET) && (!defined(WS_SMALL) || !defined(WS_NO_HTTP) || !defined(WS_NO_CLIENT))
static const char wsi_http_months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Days from 1970-01-01 to the first day of a month (0 to 11). */
static uint64_t wsi_http_days(uint64_t year, unsigned month) {
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint64_t past = year - 1, leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return past * 365 + past / 4 - past / 100 + past / 400 - 719162 + before[month] + (month > 1 ? leap : 0);
}
#endif

#if !defined(WS_NO_NET) && !defined(WS_NO_SERVER) && (!defined(WS_SMALL) || !defined(WS_NO_HTTP))
/* Writes seconds since 1970 as "Sun, 06 Nov 1994 08:49:37 GMT", 29 characters. */
static void wsi_http_date(char out[29], uint64_t seconds) {
    uint64_t days, year, parts[4];
    unsigned month = 11, i;
    if (seconds > 253402300799u) /* the end of the year 9999 */
        seconds = 253402300799u;
    days = seconds / 86400;
    year = 1970 + days / 366;
    parts[0] = seconds / 3600 % 24;
    parts[1] = seconds / 60 % 60;
    parts[2] = seconds % 60;
    while (wsi_http_days(year + 1, 0) <= days)
        year++;
    while (wsi_http_days(year, month) > days)
        month--;
    parts[3] = days - wsi_http_days(year, month) + 1;
    memcpy(out, &"ThuFriSatSunMonTueWed"[seconds / 86400 % 7 * 3], 3);
    memcpy(out + 3, ", 00 Jan 0000 00:00:00 GMT", 26);
    memcpy(out + 8, wsi_http_months + month * 3, 3);
    (void)wsi_text_decimal(out + 12, year);
    for (i = 0; i < 4; i++) {
        char *to = out + (i < 3 ? 17 + i * 3 : 5);
        to[0] = (char)('0' + parts[i] / 10);
        to[1] = (char)('0' + parts[i] % 10);
    }
}
#endif

#if !defined(WS_NO_HTTP) || (!defined(WS_NO_CLIENT) && !defined(WS_NO_NET))
typedef struct wsi_http_time {
    uint64_t day, year, hour, minute, second;
    unsigned month; /* 0 to 11 */
} wsi_http_time;

/* Reads a date by a pattern: d, y, h, m, s stand for a digit of day, year, hour, minute, second; b for a letter of the
   month, w for one of the weekday; anything else for itself. */
static bool wsi_http_date_as(wsi_slice text, const char *form, wsi_http_time *time) {
    size_t i, month;
    if (text.size != strlen(form))
        return false;
    memset(time, 0, sizeof *time);
    time->month = 12;
    for (i = 0; i < text.size; i++) {
        static const char kinds[] = "dyhms";
        uint64_t *parts[] = {&time->day, &time->year, &time->hour, &time->minute, &time->second};
        const char *kind = strchr(kinds, form[i]);
        char c = text.data[i];
        if (kind && (wsi_text_digit(c) || (c == ' ' && form[i] == 'd')))
            *parts[kind - kinds] = *parts[kind - kinds] * 10 + (uint64_t)(c == ' ' ? 0 : c - '0');
        else if (form[i] == 'b' && form[i + 1] == 'b' && form[i + 2] == 'b')
            for (month = 0; month < 12; month++)
                time->month = memcmp(wsi_http_months + month * 3, text.data + i, 3) ? time->month : (unsigned)month;
        else if (kind || (form[i] != 'b' && form[i] != 'w' && form[i] != c))
            return false;
    }
    return time->month < 12 && time->day && time->day < 32 && time->hour < 24 && time->minute < 60 && time->second < 61;
}

/* Reads a date in any of HTTP's three forms. A two-digit year more than 50 years ahead is taken to be in the past. */
static bool wsi_http_date_read(wsi_slice text, uint64_t now, uint64_t *seconds) {
    wsi_http_time time;
    const char *comma = text.size ? (const char *)memchr(text.data, ',', text.size) : NULL;
    if (comma && comma - text.data > 3) { /* the weekday is written in full */
        wsi_slice rest = wsi_text(comma, (size_t)(text.data + text.size - comma));
        if (!wsi_http_date_as(rest, ", dd-bbb-yy hh:mm:ss GMT", &time))
            return false;
        time.year += 2000;
        if (wsi_http_days(time.year, 0) > now / 86400 + 18262)
            time.year -= 100;
    } else if (!wsi_http_date_as(text, "www, dd bbb yyyy hh:mm:ss GMT", &time)
               && !wsi_http_date_as(text, "www bbb dd hh:mm:ss yyyy", &time)) {
        return false;
    }
    if (time.year < 1970)
        return false;
    *seconds = ((wsi_http_days(time.year, time.month) + time.day - 1) * 24 + time.hour) * 3600 + time.minute * 60
               + time.second;
    return true;
}
#endif

/*
>> HANDSHAKE ==============================================================================
   The opening handshake: what both roles need, how a server reads requests, and which origins may connect (RFC 6455 4,
   10.2). Calls BYTES, TEXT, SHA1, HTTP. Prefixes: wsi_handshake_, wsi_codec_ (the seam to PERMESSAGE).
*/

typedef struct wsi_codec_calls { /* the functions of PERMESSAGE that other sections call */
    /* Compresses a message or a part of one, once compression is agreed on (engine->deflate). false: send it plain. */
    bool (*compress)(wsi_engine *e, bool whole, bool last, const void **data, size_t *size);
    void (*unsent)(wsi_engine *e); /* called if the compressed data was not sent */
    wsi_step (*receive)(wsi_engine *e, wsi_window *window, ws_event *event); /* reads a compressed message's frame */
    void (*end)(wsi_engine *e);     /* frees the connection's memory */
    void (*free)(wsi_codec *codec); /* frees the memory that a loop's connections share */
#ifndef WS_NO_NET
    size_t (*progress)(const wsi_engine *e); /* bytes of the unfinished message, plus 1; 0: there is none */
    unsigned (*shares)(const wsi_engine *e, size_t size); /* which compressed form of a broadcast, 1 to 16; 0: plain */
#endif
#ifndef WS_NO_CLIENT
    bool (*offer)(wsi_engine *e); /* sends Sec-WebSocket-Extensions */
    const char *(*answered)(wsi_env *env, wsi_slice value); /* what is wrong with the server's line; NULL: nothing */
    bool (*extend)(wsi_engine *e, const ws_deflate_config *config); /* starts using what was agreed; false: no memory */
#endif
#ifndef WS_NO_SERVER
    bool (*agree)(wsi_engine *e, const ws_deflate_config *config); /* picks an offer, sends the field */
#endif
} wsi_codec_calls;

#ifndef WSI_BARE
/* What is wrong with the config; NULL if nothing is. */
static const char *wsi_codec_wrong(const ws_deflate_config *deflate) {
    uint8_t bits = deflate->window_bits;
    bool good = (!bits || (bits >= 8 && bits <= 15)) && deflate->level >= -1 && deflate->level <= 9;
    return good || !deflate->on ? NULL : "deflate: window_bits is 8 to 15, level is -1 to 9; or 0, the default";
}
#endif

#ifdef WSI_BARE
static const ws_deflate_config *wsi_codec_config(const wsi_env *env) { return (void)env, (ws_deflate_config *)NULL; }
#elif !defined(WS_NO_CLIENT) || !defined(WS_NO_ENGINE)
static const ws_deflate_config *wsi_codec_config(const wsi_env *env) { return env->deflate; }
#endif

#ifdef WS_NO_DEFLATE
static const wsi_codec_calls *wsi_codec_in(const wsi_env *env) { return (void)env, (const wsi_codec_calls *)NULL; }
#ifndef WS_NO_SERVER
static bool wsi_codec_offered(const wsi_env *env) { return (void)env, false; }
#endif
static bool wsi_codec_used(const wsi_engine *e) { return (void)e, false; }
static bool wsi_codec_waits(const wsi_engine *e) { return (void)e, false; }
static bool wsi_codec_wanted(const wsi_engine *e, bool first, size_t size) {
    return (void)e, (void)first, (void)size, false;
}
#else
static const wsi_codec_calls *wsi_codec_in(const wsi_env *env) { return env->codec->calls; }
#ifndef WS_NO_SERVER
static bool wsi_codec_offered(const wsi_env *env) { return env->request.extensions; }
#endif
static bool wsi_codec_used(const wsi_engine *e) { return e->deflate; }
static bool wsi_codec_waits(const wsi_engine *e) { return e->more_output; }
/* Whether a message, or a part of one, is sent compressed. */
static bool wsi_codec_wanted(const wsi_engine *e, bool first, size_t size) {
    return e->deflate && (first ? size >= e->threshold : e->parts_compressed);
}
#endif

/* The codec; NULL if the config has compression off. */
static const wsi_codec_calls *wsi_codec_of(const wsi_env *env, const ws_deflate_config *deflate) {
    return deflate && deflate->on ? wsi_codec_in(env) : NULL;
}

#ifndef WSI_BARE
/* The connection is closed: frees what it holds for compression. */
static void wsi_codec_end(wsi_engine *e) {
    if (wsi_codec_used(e))
        wsi_codec_in(e->env)->end(e);
}

static void wsi_codec_free(wsi_codec *codec) {
    if (codec->calls)
        codec->calls->free(codec);
}
#endif

/* Writes the 28 characters of Sec-WebSocket-Accept (RFC 6455 4.2.2). */
WSI_SHARED void wsi_handshake_accept(wsi_slice key, char accept[28]) {
    uint8_t digest[20];
    wsi_sha1((const uint8_t *)key.data, digest);
    (void)wsi_text_base64(accept, digest, 20);
}

#if !defined(WS_NO_SERVER) || !defined(WS_NO_DEFLATE)
/* Whether Sec-WebSocket-Extensions is well-formed and not empty. A comma inside quotes is refused. */
WSI_APART bool wsi_handshake_extensions(wsi_slice list) {
    wsi_slice extension;
    bool any = false;
    for (; wsi_text_next(&list, &extension); any = true)
        if (!wsi_http_parameters(extension, true, false))
            return false;
    return any;
}
#endif

#if !defined(WS_NO_CLIENT) || !defined(WS_NO_NET)
/* Whether subprotocols are valid: NULL, empty, or tokens without duplicates. *wrong: the first invalid one. */
static bool wsi_handshake_tokens(const char *ours, wsi_slice *wrong) {
    wsi_slice list = wsi_text_z(ours), token;
    bool any = !list.size;
    *wrong = list;
    for (; wsi_text_next(&list, &token); any = true) {
        *wrong = token;
        if (!wsi_text_token(token) || wsi_text_in_list(list, token))
            return false;
    }
    return any;
}
#endif

#ifndef WS_NO_SERVER
/* How many times the client offers this subprotocol. */
static unsigned wsi_handshake_offers(const wsi_request *request, wsi_slice token) {
    wsi_slice rest = request->head, line = wsi_http_line(&rest), part;
    unsigned count = 0;
    while ((line = wsi_http_line(&rest)).size)
        if (wsi_text_until(&line, ':', &part) && wsi_http_named(part, "Sec-WebSocket-Protocol"))
            while (wsi_text_next(&line, &part))
                count += wsi_text_same(part, token);
    return count;
}

/* The first subprotocol in `ours` that the client offers; its data is NULL if there is none. */
static wsi_slice wsi_handshake_choose(const wsi_request *request, const char *ours) {
    wsi_slice list = wsi_text_z(ours), token;
    while (wsi_text_next(&list, &token))
        if (wsi_handshake_offers(request, token))
            return token;
    return wsi_text(NULL, 0);
}

/* Reads one field's subprotocols. They must be tokens, without duplicates even across fields (RFC 6455 4.1). WS_SMALL
   saves the stack for a list of them, and searches the head. */
WSI_APART bool wsi_handshake_protocols(const wsi_request *request, wsi_http_seen *seen, wsi_slice *list) {
    unsigned before = seen->protocol_count, i;
    wsi_slice token;
    for (; wsi_text_next(list, &token); seen->protocol_count++) {
        for (i = 0; !WSI_BRIEF && i < seen->protocol_count && !wsi_text_same(seen->protocols[i], token); i++) {}
        if (seen->protocol_count == WSI_HTTP_MAX_PROTOCOLS || !wsi_text_token(token)
            || (WSI_BRIEF ? wsi_handshake_offers(request, token) > 1 : i < seen->protocol_count))
            return false;
        if (!WSI_BRIEF)
            seen->protocols[i] = token;
    }
    return seen->protocol_count > before;
}

/* Reads a field (RFC 9112 3.2, 6). false: the head is malformed; seen->bad: only the opening handshake is. */
WSI_SHARED bool wsi_handshake_field(wsi_request *request, wsi_http_seen *seen, wsi_field field, wsi_slice value) {
    wsi_slice token;
    switch (field) {
    case WSI_FIELD_HOST:
        if (!request->host.data) /* else host is the target's authority (RFC 9112 3.2.2) */
            request->host = value;
        return wsi_http_authority(value, 0, NULL, NULL);
    case WSI_FIELD_ORIGIN: request->origin = value; return true;
    case WSI_FIELD_LENGTH: return wsi_text_number(value, &seen->length);
    case WSI_FIELD_CODING: return request->http11 && wsi_http_codings(value, &seen->coded);
    case WSI_FIELD_EXPECT:
        if (wsi_text_is_nocase(value, "100-continue"))
            seen->expects_continue = true;
        else if (value.size)
            seen->expects_more = true;
        return true;
    case WSI_FIELD_CONNECTION:
        while (!wsi_http_is_single(value, "Upgrade", &seen->connection_upgrade) && wsi_text_next(&value, &token)) {
            seen->closes = seen->closes || wsi_http_closes(token);
            if (wsi_http_named(token, "Upgrade"))
                seen->connection_upgrade = true;
        }
        return true;
    case WSI_FIELD_UPGRADE:
        while (!wsi_http_is_single(value, "websocket", &request->upgrade) && wsi_text_next(&value, &token))
            if (wsi_http_named(token, "websocket"))
                request->upgrade = true;
        return true;
    case WSI_FIELD_KEY: request->key = value; break;
    case WSI_FIELD_VERSION: seen->version_13 = wsi_text_is(value, "13"); break;
    case WSI_FIELD_PROTOCOL:
    case WSI_FIELD_EXTENSIONS: /* gateways may add empty fields, which mean nothing */
        if (value.size && !(field == WSI_FIELD_PROTOCOL ? wsi_handshake_protocols(request, seen, &value)
                                                        : wsi_handshake_extensions(value)))
            seen->bad = true;
        return true;
    default: return true;
    }
    if (seen->fields >> field & 1) /* Key and Version must not appear twice */
        seen->bad = true;
    return true;
}

/* Parses a field line. Refuses folding, and a space before the colon. Returns 0 or 400. */
static int wsi_handshake_line(wsi_request *request, wsi_http_seen *seen, wsi_slice line) {
    const unsigned once = 1u << WSI_FIELD_HOST | 1u << WSI_FIELD_ORIGIN | 1u << WSI_FIELD_LENGTH
                          | 1u << WSI_FIELD_CODING;
    wsi_slice value;
    wsi_field field = wsi_http_which(line, &value);
    unsigned bit = 1u << field;
    if (field == WSI_FIELD_BAD || (seen->fields & bit & once) || !wsi_handshake_field(request, seen, field, value))
        return 400;
    seen->fields |= bit;
    return 0;
}

#ifdef WSI_BARE
static void wsi_handshake_keep(wsi_request *request, const wsi_http_seen *seen) { (void)request, (void)seen; }
#else
static void wsi_handshake_keep(wsi_request *request, const wsi_http_seen *seen) {
    request->content_length = seen->length;
    request->chunked = seen->fields >> WSI_FIELD_CODING & 1;
    request->keep_alive = request->http11 && !seen->closes;
    request->expects_continue = seen->expects_continue;
    request->connection_upgrade = seen->connection_upgrade;
    request->extensions = seen->fields >> WSI_FIELD_EXTENSIONS & 1;
}
#endif

/* Parses a head; more bytes may follow it. Returns 0, the status with which to refuse it, or -1 if it is incomplete. */
static int wsi_handshake_head(wsi_request *request, wsi_http_seen *seen, wsi_slice head) {
    const unsigned both = 1u << WSI_FIELD_CODING | 1u << WSI_FIELD_LENGTH;
    size_t begin, end;
    int status = 0;
    wsi_bytes_zero(request, sizeof *request);
    wsi_bytes_zero(seen, offsetof(wsi_http_seen, protocol_count) + sizeof seen->protocol_count);
    request->head = head;
    for (begin = 0;; begin = end + 2) {
        end = wsi_http_line_end((const uint8_t *)head.data, begin, head.size);
        if (end >= head.size) /* or WSI_HTTP_BAD */
            return end == head.size ? -1 : 400;
        wsi_slice line = wsi_text(head.data + begin, end - begin);
        if (!begin)
            status = wsi_http_request_line(request, line);
        else if (!line.size)
            break;
        else if (!status)
            status = wsi_handshake_line(request, seen, line);
    }
    request->head.size = end + 2;
    wsi_handshake_keep(request, seen);
    if (status)
        return status;
    if ((request->http11 && !(seen->fields >> WSI_FIELD_HOST & 1)) || (seen->fields & both) == both)
        return 400;
    return seen->coded ? 501 : seen->expects_more && request->http11 ? 417 : 0; /* RFC 9110 10.1.1 */
}

/* Parses a head and, in the same pass, the opening handshake (RFC 6455 4.2.1). Sets request->upgrade if there is one,
   and request->status to 0 or the status that refuses it. Returns 0 or the status that refuses the head. */
static int wsi_handshake_request(wsi_request *request, wsi_slice head) {
    wsi_http_seen seen;
    int status = wsi_handshake_head(request, &seen, head);
    if (status || !request->upgrade)
        return status;
    if (!wsi_http_is_method(request, "GET"))
        request->status = 405;
    else if (!request->http11 || !seen.connection_upgrade || seen.bad || seen.fields >> WSI_FIELD_CODING & 1
             || seen.length)
        request->status = 400;
    else if (!seen.version_13)
        request->status = 426;
    else if (!wsi_text_is_base64_16(request->key))
        request->status = 400;
    return 0;
}

/* --- origins --- */

/* Why a request is forbidden. Parts 0 and 2 are constant text; parts 1 and 3 come from the peer. */
typedef struct wsi_why {
    wsi_slice part[4];
} wsi_why;

static bool wsi_handshake_deny(wsi_why *why, const char *text, wsi_slice first, const char *between, wsi_slice second) {
    if (WSI_BRIEF)
        return false;
    why->part[0] = wsi_text_z(text);
    why->part[1] = first;
    why->part[2] = wsi_text_z(between);
    why->part[3] = second;
    return false;
}

/* Splits an origin (RFC 6454 4), or only host and port if scheme is given. The port defaults to the scheme's. */
static bool wsi_handshake_split(wsi_slice origin, wsi_slice *scheme, wsi_slice *host, wsi_size *port) {
    if (!scheme->data && !wsi_http_scheme(&origin, scheme))
        return false;
    unsigned place = wsi_text_which(*scheme, "http,https");
    return wsi_http_authority(origin, place == 1 ? 80 : place ? 443 : 0, host, port);
}

/* Whether a host is the allowed one or, if the allowed one begins with "*.", a subdomain of it. */
static bool wsi_handshake_covers(wsi_slice allowed, wsi_slice host) {
    size_t end = allowed.data[0] == '*' ? allowed.size - 1 : 0;
    if (!end || host.size <= end)
        return wsi_text_same_nocase(allowed, host);
    return wsi_text_same_nocase(wsi_text(allowed.data + 1, end), wsi_text(host.data + host.size - end, end));
}

/* Whether an origin is the allowed one. If one of them is not scheme://host, such as "null", compares them as texts.
   schemes, if not NULL: allowed is only a host, and the origin may have any of these schemes. */
static bool wsi_handshake_same(wsi_slice allowed, wsi_slice origin, const char *schemes) {
    wsi_slice scheme[2], host[2];
    wsi_size port[2];
    scheme[0] = scheme[1] = wsi_text(NULL, 0);
    bool good = wsi_handshake_split(origin, &scheme[0], &host[0], &port[0]);
    if (schemes)
        scheme[1] = scheme[0];
    if (!good || !wsi_handshake_split(allowed, &scheme[1], &host[1], &port[1]))
        return !schemes && wsi_text_same_nocase(allowed, origin);
    return port[0] == port[1] && (schemes ? wsi_text_which(scheme[0], schemes) && wsi_text_same_nocase(host[0], host[1])
                                          : wsi_text_same_nocase(scheme[0], scheme[1])
                                                && wsi_handshake_covers(host[1], host[0]));
}

/* Whether a page of this origin may connect: see ws_server_config.origins (RFC 6455 10.2). secure: the server has TLS,
   so the scheme must be https. Otherwise http and https are allowed, as a proxy may terminate TLS. */
WSI_SHARED bool wsi_handshake_origin(const wsi_request *request, const char *allowed, bool secure, wsi_why *why) {
    wsi_slice origin = request->origin, element;
    if (!origin.data || wsi_text_is(wsi_text_z(allowed), "*")) /* not a browser, or all origins are allowed */
        return true;
    wsi_slice list = wsi_text_z(allowed);
    if (!list.size)
        return wsi_handshake_same(request->host, origin, secure ? "https" : "http,https")
               || wsi_handshake_deny(why, "the Origin ", origin,
                                     secure ? " is not in .origins, nor https:// with the Host "
                                            : " is not in .origins, nor http(s):// with the Host ", request->host);
    while (wsi_text_next(&list, &element))
        if (wsi_handshake_same(element, origin, NULL))
            return true;
    return wsi_handshake_deny(why, "the Origin ", origin, " is not in .origins", wsi_text(NULL, 0));
}

#ifdef WSI_BARE /* an invalid element matches nothing */
static bool wsi_handshake_list_good(const char *text, bool origins, wsi_slice *wrong) {
    return (void)text, (void)origins, (void)wrong, true;
}
#else
/* Whether this star is the only one in a host of the form "*.example.com". */
static bool wsi_handshake_star(wsi_slice host, const char *star) {
    return star == host.data && host.size > 2 && star[1] == '.' && star[2] != '.'
           && !memchr(star + 1, '*', host.size - 1);
}

/* Whether a list of origins or hosts is valid. NULL is valid; for origins, so are "" and "*". *wrong: its bad part. */
static bool wsi_handshake_list_good(const char *text, bool origins, wsi_slice *wrong) {
    wsi_slice list = wsi_text_z(text), element, scheme, host;
    wsi_size port;
    bool any = false;
    *wrong = list;
    if (!text || (origins && (!*text || wsi_text_is(list, "*"))))
        return true;
    for (; wsi_text_next(&list, &element); any = true) {
        const char *star = (const char *)memchr(element.data, '*', element.size);
        *wrong = element;
        scheme.data = NULL;
        if (origins && (wsi_text_is(element, "null") || wsi_text_is(element, "file://")))
            continue;
        if (element.data[element.size - 1] == ':'
            || (origins ? !wsi_handshake_split(element, &scheme, &host, &port) || wsi_text_is_nocase(scheme, "ws")
                              || wsi_text_is_nocase(scheme, "wss")
                        : !wsi_http_authority(element, 1, &host, &port) || !port)
            || (star && !(origins && wsi_handshake_star(host, star))))
            return false;
    }
    return any;
}
#endif /* WSI_BARE */
#endif /* WS_NO_SERVER */

/*
>> FRAME ==================================================================================
   Frame headers and masking (RFC 6455 5.2, 5.3, 5.5). Calls BYTES.
*/

enum {
    WSI_CONTINUATION = 0,
    WSI_CLOSE = 8,
    WSI_PING = 9,
    WSI_PONG = 10,
    WSI_COMPRESSED = 0x40, /* RSV1: set with the opcode of a compressed message's first frame */
    WSI_RAW = 16 /* not a frame: bytes of an HTTP head or body */
};

typedef struct wsi_frame {
    wsi_size size; /* the payload's size */
    uint8_t opcode, header_size, key[4];
    bool final, compressed;
} wsi_frame;

typedef enum wsi_frame_state { WSI_FRAME_MORE, WSI_FRAME_GOOD, WSI_FRAME_BAD } wsi_frame_state;

/* Reads a frame header. Refuses a wrong byte as soon as it arrives. */
static wsi_frame_state wsi_frame_read(wsi_frame *frame, const uint8_t *data, size_t size, bool masked, bool deflate) {
    size_t extended = 0, header;
    if (!size)
        return WSI_FRAME_MORE;
    switch (data[0]) { /* all legal first bytes */
    case 0x00: case 0x01: case 0x02:
    case 0x80: case 0x81: case 0x82: case 0x88: case 0x89: case 0x8a: break;
    case 0x41: case 0x42: case 0xc1: case 0xc2: /* RSV1: the first frame of a compressed message (RFC 7692 6) */
        if (deflate)
            break;
        return WSI_FRAME_BAD;
    default: return WSI_FRAME_BAD;
    }
    if (size < 2)
        return WSI_FRAME_MORE;
    wsi_size length = data[1] & 0x7fu;
    if ((data[1] >> 7 != 0) != masked || (length > 125 && (data[0] & 8)))
        return WSI_FRAME_BAD;
    if (length > 125)
        extended = length == 126 ? 2 : 8;
    header = 2 + extended + (masked ? 4 : 0);
    if (extended == 8 && size > 2 && data[2] >> 7)
        return WSI_FRAME_BAD;
    if (size < header)
        return WSI_FRAME_MORE;
    if (extended) {
        length = wsi_bytes_load(data + 2, extended);
        if (length < (extended == 2 ? 126u : 65536u))
            return WSI_FRAME_BAD;
    }
    memset(frame->key, 0, 4);
    if (masked)
        memcpy(frame->key, data + header - 4, 4);
    frame->size = length;
    frame->opcode = data[0] & 15;
    frame->final = data[0] >> 7 != 0;
    frame->compressed = deflate && (data[0] & WSI_COMPRESSED);
    frame->header_size = (uint8_t)header;
    return WSI_FRAME_GOOD;
}

/* Writes a frame header without its masking key, and returns its size. */
static size_t wsi_frame_write(uint8_t header[14], uint8_t opcode, bool final, bool masked, wsi_size size) {
    size_t extended = size < 126 ? 0 : size < 65536 ? 2 : 8;
    wsi_size length = extended == 0 ? size : extended == 2 ? 126 : 127;
    header[0] = (uint8_t)(opcode | (final ? 0x80 : 0));
    header[1] = (uint8_t)(length | (masked ? 0x80 : 0));
    wsi_bytes_store(header + 2, extended, size);
    return 2 + extended;
}

#ifdef WS_NO_FAST
static void wsi_frame_mask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t key[4]) {
    uint64_t twice, word;
    size_t i = 0;
    memcpy(&twice, key, 4);
    memcpy((uint8_t *)&twice + 4, key, 4);
    for (; !WSI_BRIEF && size - i >= 8; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= twice;
        memcpy(to + i, &word, 8);
    }
    for (; i < size; i++)
        to[i] = from[i] ^ key[i & 3];
}
#else
/* XORs fewer than 16 bytes: 8 or more as two overlapping words, both of which are read before either is written. */
static bool wsi_frame_mask_few(uint8_t *to, const uint8_t *from, size_t size, const uint8_t twice[8]) {
    uint8_t seen = 0;
    if (size >= 8) {
        uint64_t first = wsi_bytes_word(from), last = wsi_bytes_word(from + size - 8);
        uint32_t rotated;
        memcpy(&rotated, twice + (size & 3), 4);
        first ^= wsi_bytes_word(twice);
        last ^= (uint64_t)rotated << 32 | rotated;
        memcpy(to, &first, 8);
        memcpy(to + size - 8, &last, 8);
        return !((first | last) & WSI_BYTES_HIGH);
    }
    for (size_t i = 0; i < size; i++) {
        to[i] = from[i] ^ twice[i & 3];
        seen |= to[i];
    }
    return seen < 0x80;
}

/* Defines the functions for registers of one type: a macro, because each type needs its own target. Registers go by
   address: clang 18 and later refuse those of AVX-512 as arguments. name##_blocks masks four registers at a time, at
   least once. It loads the last four first. These may overlap the ones before, so no loop is needed for a remainder.
   word: the key twice; last: the same, rotated for the last four. *high, unless NULL, is ORed with the results. */
#define WSI_FRAME_WIDE(target, wide, name) \
    target WSI_INLINE void name##_get(wide *part, const uint8_t *from, const wide *key) { \
        memcpy(part, from, sizeof *part); \
        *part ^= *key; \
    } \
    target WSI_INLINE void name##_put(uint8_t *to, const wide *part, wide *seen) { \
        memcpy(to, part, sizeof *part); \
        *seen |= *part; \
    } \
    target WSI_INLINE void name##_part(uint8_t *to, const uint8_t *from, const wide *key, wide *seen) { \
        wide part; \
        name##_get(&part, from, key); \
        name##_put(to, &part, seen); \
    } \
    target WSI_INLINE void name##_blocks(uint8_t *to, const uint8_t *from, size_t size, uint64_t word, \
                                         uint64_t last, uint64_t *high) { \
        enum { PART = sizeof(wide) }; \
        wide none = {0}, seen = none, key = none + last, a, b, c, d; \
        uint64_t words[PART / 8]; \
        size_t i, end = size - 4 * PART; \
        name##_get(&a, from + end, &key); \
        name##_get(&b, from + end + PART, &key); \
        name##_get(&c, from + end + 2 * PART, &key); \
        name##_get(&d, from + end + 3 * PART, &key); \
        key = none + word; \
        for (i = 0; i < end; i += 4 * PART) { \
            name##_part(to + i, from + i, &key, &seen); \
            name##_part(to + i + PART, from + i + PART, &key, &seen); \
            name##_part(to + i + 2 * PART, from + i + 2 * PART, &key, &seen); \
            name##_part(to + i + 3 * PART, from + i + 3 * PART, &key, &seen); \
        } \
        name##_put(to + end, &a, &seen); \
        name##_put(to + end + PART, &b, &seen); \
        name##_put(to + end + 2 * PART, &c, &seen); \
        name##_put(to + end + 3 * PART, &d, &seen); \
        memcpy(words, &seen, PART); \
        for (i = 0; high && i < PART / 8; i++) \
            *high |= words[i]; \
    } \
    target static inline void name(uint8_t *to, const uint8_t *from, size_t size, uint64_t word, uint64_t last, \
                                   uint64_t *high) { \
        if (!high) \
            name##_blocks(to, from, size, word, last, NULL); \
        else \
            name##_blocks(to, from, size, word, last, high); \
    }

WSI_FRAME_WIDE(, wsi_wide, wsi_frame_wide)

/* Masks one register at a time, and loads the last one first. Returns the OR of the results. */
WSI_INLINE uint64_t wsi_frame_mask_wides(uint8_t *to, const uint8_t *from, size_t size, uint64_t word, uint64_t last) {
    wsi_wide seen = {0}, key = seen + last, end;
    wsi_frame_wide_get(&end, from + size - WSI_WIDE, &key);
    key = seen + word;
    for (size_t i = 0; size - i > WSI_WIDE; i += WSI_WIDE)
        wsi_frame_wide_part(to + i, from + i, &key, &seen);
    wsi_frame_wide_put(to + size - WSI_WIDE, &end, &seen);
    return wsi_wide_fold(seen);
}

/* Long payloads use wider registers than the program is compiled for, if the processor has them. */
#if defined(WS_NO_DISPATCH) || !defined(__x86_64__)
static bool wsi_frame_is_long(size_t size) { return (void)size, false; }
static uint64_t wsi_frame_mask_long(uint8_t *to, const uint8_t *from, size_t size, uint64_t word, uint64_t last,
                                    bool watch) {
    return (void)watch, wsi_frame_mask_wides(to, from, size, word, last);
}
#else
WSI_FRAME_WIDE(WSI_AVX512, wsi_wide_64, wsi_frame_avx512)
WSI_FRAME_WIDE(WSI_AVX2, wsi_wide_32, wsi_frame_avx2)

static bool wsi_frame_is_long(size_t size) { return size >= 256; }

WSI_APART uint64_t wsi_frame_mask_long(uint8_t *to, const uint8_t *from, size_t size, uint64_t word, uint64_t last,
                                       bool watch) {
    uint64_t seen = 0, *high = watch ? &seen : NULL;
    if (wsi_cpu_has(WSI_CPU_AVX512))
        wsi_frame_avx512(to, from, size, word, last, high);
    else if (wsi_cpu_has(WSI_CPU_AVX2))
        wsi_frame_avx2(to, from, size, word, last, high);
    else
        wsi_frame_wide(to, from, size, word, last, high);
    return seen;
}
#endif

/* XORs a payload. `to` may be `from`, or lie before it and overlap it. watch, a compile-time constant: return whether
   the result is ASCII. */
WSI_INLINE bool wsi_frame_mask_some(uint8_t *to, const uint8_t *from, size_t size, const uint8_t key[4], bool watch) {
    uint8_t twice[8];
    uint32_t rotated;
    uint64_t last, seen = 0;
    memcpy(twice, key, 4);
    memcpy(twice + 4, key, 4);
    if (size < 16)
        return wsi_frame_mask_few(to, from, size, twice);
    memcpy(&rotated, twice + (size & 3), 4);
    last = (uint64_t)rotated << 32 | rotated;
    if (size < 4 * WSI_WIDE)
        seen = wsi_frame_mask_wides(to, from, size, wsi_bytes_word(twice), last);
    else if (wsi_frame_is_long(size))
        seen = wsi_frame_mask_long(to, from, size, wsi_bytes_word(twice), last, watch);
    else
        wsi_frame_wide_blocks(to, from, size, wsi_bytes_word(twice), last, watch ? &seen : NULL);
    return watch && !(seen & WSI_BYTES_HIGH);
}

static void wsi_frame_mask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t key[4]) {
    (void)wsi_frame_mask_some(to, from, size, key, false);
}
#endif /* WS_NO_FAST */

/* Rotates the key so that it fits the payload after its first `done` bytes. */
static void wsi_frame_rotate(uint8_t key[4], size_t done) {
    for (done &= 3; done; done--) {
        uint8_t first = key[0];
        key[0] = key[1], key[1] = key[2], key[2] = key[3], key[3] = first;
    }
}

/* What one call of env->output sends: a frame, or raw bytes of HTTP (header_size is 0). */
typedef struct wsi_output {
    uint8_t header[14]; /* if masked, the last four of its header_size bytes are the key */
    uint8_t header_size, opcode;
    bool masked;
    const uint8_t *data;
    size_t size;
} wsi_output;

/* Writes header and payload to `to`, which has room for both. */
static void wsi_frame_put(uint8_t *to, const wsi_output *output) {
    wsi_bytes_copy(to, output->header, output->header_size);
    to += output->header_size;
    if (output->masked)
        wsi_frame_mask(to, output->data, output->size, output->header + output->header_size - 4);
    else if (output->size)
        wsi_bytes_copy(to, output->data, output->size);
}

/*
>> HEADS ==================================================================================
   How an engine sends and fails; how a server reads, answers and refuses requests (RFC 6455 4, RFC 9112). Calls BYTES,
   TEXT, HTTP, HANDSHAKE, FRAME. An engine (prefix wsi_engine_, here and in the next two sections) is the protocol of
   one connection, in either role: bytes in, events and bytes out.

   The window holds received bytes: it is the loop's receive buffer, or the bytes that the connection kept. Frames are
   parsed and unmasked there, and events point into it. The payload of each later fragment is moved to the end of the
   message so far. The caller calls wsi_engine_next until it returns false, and must then keep the rest of the window,
   the unfinished message first. Output goes to env->output. env->read parses all input until the WebSocket is open.

   The states of an engine, and their transitions:

       HEAD --- request ---> ASKED --- accepted ---> OPEN --- close sent ---> CLOSING --- close received ---> CLOSED
                             |   |
              HEAD <-- answered  body wanted --> BODY --- whole ---> ASKED

   A close frame received in OPEN leads to CLOSED, as does a failure or a missed deadline in any state. A client also
   begins in HEAD: the server's answer leads to OPEN or CLOSED.
*/

enum { WSI_HEAD, WSI_ASKED, WSI_BODY, WSI_OPEN, WSI_CLOSING, WSI_CLOSED };

static size_t wsi_engine_limit(size_t given, uint32_t otherwise) { /* size_t may have 16 bits */
    return given ? given : (size_t)otherwise == otherwise ? (size_t)otherwise : SIZE_MAX;
}

#ifdef WS_NO_NET
static void wsi_engine_server_limits(ws_limits *limits) { (void)limits; }
static uint32_t wsi_engine_wait_ms(const ws_limits *limits, bool idle) { return (void)idle, limits->handshake_ms; }
#else
static void wsi_engine_server_limits(ws_limits *limits) {
    limits->body = limits->body ? limits->body : 1 << 20;
    limits->answer_ms = limits->answer_ms ? limits->answer_ms : 30000;
    limits->idle_ms = limits->idle_ms ? limits->idle_ms : 75000;
    limits->rooms = limits->rooms ? limits->rooms : 1000;
}
static uint32_t wsi_engine_wait_ms(const ws_limits *limits, bool idle) {
    return idle ? limits->idle_ms : limits->answer_ms;
}
#endif

/* Fills in the defaults of all limits. */
WSI_SHARED void wsi_engine_limits(ws_limits *limits) {
    limits->head = wsi_engine_limit(limits->head, 16384);
    limits->message = wsi_engine_limit(limits->message, (uint32_t)16 << 20);
    limits->buffered = wsi_engine_limit(limits->buffered, (uint32_t)4 << 20);
    limits->handshake_ms = limits->handshake_ms ? limits->handshake_ms : 10000;
    limits->ping_ms = limits->ping_ms ? limits->ping_ms : 25000;
    limits->pong_ms = limits->pong_ms ? limits->pong_ms : 20000;
    limits->close_ms = limits->close_ms ? limits->close_ms : 5000;
    wsi_engine_server_limits(limits);
}

#ifdef WS_NO_CLIENT
static bool wsi_env_is_client(const wsi_env *env) { return (void)env, false; }
static bool wsi_env_random(const wsi_env *env, void *to, size_t size) { return (void)env, (void)to, (void)size, false; }
#else
#ifdef WS_NO_SERVER
static bool wsi_env_is_client(const wsi_env *env) { return (void)env, true; }
#else
static bool wsi_env_is_client(const wsi_env *env) { return env->role == WS_ROLE_CLIENT; }
#endif
static bool wsi_env_random(const wsi_env *env, void *to, size_t size) {
    return env->random(env->random_user, to, size);
}
#endif

/* Puts a zero byte at the end of an event's data. wsi_window_restore puts the original byte back. */
WSI_SHARED void wsi_window_patch(wsi_window *window, uint8_t *at) {
    window->patched = at;
    window->saved = *at;
    *at = 0;
}

static void wsi_window_restore(wsi_window *window) {
    if (!window->patched)
        return;
    *window->patched = window->saved;
    window->patched = NULL;
}

static wsi_step wsi_window_event(wsi_window *window, ws_event *event, ws_event_type type, ws_type of, const void *data,
                                 size_t size) {
    const ws_message message = {(const uint8_t *)data, size, of};
    event->type = type;
    event->message = message;
    wsi_window_patch(window, window->base + (message.data - window->base) + size);
    return WSI_STEP_EVENT;
}

/* --- sending --- */

/* Sends a frame, or for WSI_RAW the bytes alone. */
static bool wsi_engine_emit(wsi_engine *e, uint8_t opcode, bool final, const void *data, size_t size) {
    wsi_output output;
    output.opcode = opcode & (15 | WSI_RAW);
    output.data = (const uint8_t *)data;
    output.size = size;
    output.masked = wsi_env_is_client(e->env) && opcode != WSI_RAW;
    output.header_size = 0;
    if (opcode != WSI_RAW)
        output.header_size = (uint8_t)wsi_frame_write(output.header, opcode, final, output.masked, (wsi_size)size);
    if (output.masked) { /* each frame needs a new, unpredictable key: RFC 6455 5.3 */
        if (!wsi_env_random(e->env, output.header + output.header_size, 4)) {
            e->error = WS_ERROR_RANDOM;
            return false;
        }
        output.header_size = (uint8_t)(output.header_size + 4);
    }
    return e->env->output(e, &output);
}

static bool wsi_engine_raw(wsi_engine *e, const void *data, size_t size) {
    return size == 0 || wsi_engine_emit(e, WSI_RAW, true, data, size);
}

static bool wsi_engine_text(wsi_engine *e, const char *text) { return wsi_engine_raw(e, text, wsi_bytes_length(text)); }

static const char wsi_engine_none[] = ""; /* not a string literal: see wsi_error_texts */

/* Every failure ends here. The engine is closed, and the program sees this close code. */
WSI_SHARED bool wsi_engine_end(wsi_engine *e, ws_error error, uint16_t code) {
    if (e->state != WSI_CLOSED) {
        e->state = WSI_CLOSED;
        e->close_code = code;
        e->error = (uint8_t)(error ? (int)error : e->error);
    }
    return false;
}

/* Fails the WebSocket connection (RFC 6455 7.1.7): sends a close frame, unless one was sent, and nothing after it. */
static wsi_step wsi_engine_fail(wsi_engine *e, ws_error error, uint16_t code) {
    uint8_t payload[2];
    wsi_bytes_store(payload, 2, code);
    if (e->state == WSI_OPEN)
        (void)wsi_engine_emit(e, WSI_CLOSE, true, payload, 2);
    (void)wsi_engine_end(e, error, code);
    return WSI_STEP_AGAIN;
}

#ifndef WS_NO_TRACE
/* --- the trace: section TRACE turns these reports into events for ws_loop_config.trace --- */

typedef struct wsi_tracer { /* one for each loop */
    void (*report)(struct wsi_tracer *tracer, wsi_engine *e, ws_trace_kind kind, int status, const void *data,
                 size_t size); /* e NULL: no connection */
    bool (*output)(wsi_engine *e, const struct wsi_output *output); /* replaces wsi_conn_emit */
    ws_trace_function *function;
    void *user;
} wsi_tracer;

#define WSI_TRACE(e, kind, status, data, size) \
    ((e)->env->tracer ? wsi_engine_trace(e, kind, status, data, size) : (void)0)
#define WSI_TRACED(e) ((e)->traced) /* a macro: in a function its bit test is not merged with others */

WSI_RARE void wsi_engine_trace(wsi_engine *e, ws_trace_kind kind, int status, const void *data, size_t size) {
    e->env->tracer->report(e->env->tracer, e, kind, status, data, size);
}
#else
#define WSI_TRACED(e) false /* no kind is declared, so WSI_TRACE must not use its kind */
#define WSI_TRACE(e, kind, status, data, size) ((void)(e), (void)(status), (void)(data), (void)(size))
#endif

/* Fails a call of the program and leaves the connection unchanged. */
static bool wsi_engine_refuse(wsi_engine *e, ws_error error) {
    if (e->state != WSI_CLOSED || !e->error) /* keeps the error that closed the connection */
        e->error = (uint8_t)error;
    return false;
}

/* Looks for a complete head. Returns 0 (*head has it), -1 if more bytes are needed, or the status that refuses it. */
static int wsi_engine_scan(wsi_engine *e, const wsi_window *window, wsi_slice *head) {
    const uint8_t *data = window->base + window->pos;
    size_t at_hand = window->end - window->pos, limit = e->env->limits.head, size;
    size = wsi_http_scan(data, (size_t)e->left, at_hand < limit ? at_hand : limit);
    if (size == WSI_HTTP_BAD || (!size && at_hand >= limit))
        return size ? 400 : 431;
    e->left = (wsi_size)(size ? size : at_hand);
    *head = wsi_text((const char *)data, size);
    return size ? 0 : -1;
}

#ifndef WS_NO_SERVER
/* --- a server's answers --- */

#ifdef WS_NO_NET
static const char *wsi_engine_date(wsi_env *env, const char *lines) { return (void)env, (void)lines, ""; }
#else
/* The Date line (RFC 9110 6.6.1), or "" if lines has one already. */
static const char *wsi_engine_date(wsi_env *env, const char *lines) {
    wsi_slice rest = wsi_text_z(lines), value;
    return !env->date || wsi_http_find(&rest, "date", &value) ? "" : env->date(env);
}
#endif

static const char wsi_engine_first[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                       "Connection: Upgrade\r\nSec-WebSocket-Accept: ";

/* Writes the head of every answer but 100, 101, a bare engine's refusals, and wsi_server_overloaded's answer. */
static bool wsi_engine_respond_head(wsi_engine *e, int status, const char *more, uint64_t size, bool keep) {
    char line[] = "HTTP/1.1 000 ", length[20];
    wsi_text_decimal(line + 9, (uint64_t)status);
    return wsi_engine_text(e, line) && wsi_engine_text(e, wsi_http_reason(status))
           && (wsi_http_bodiless(status) || (wsi_engine_text(e, "\r\nContent-Length: ")
                                         && wsi_engine_raw(e, length, wsi_text_decimal(length, size))))
           && wsi_engine_text(e, "\r\n") && wsi_engine_text(e, wsi_engine_date(e->env, more))
           && wsi_engine_text(e, more)
           && wsi_engine_text(e, keep ? "\r\n" : status == 426 ? "Connection: close, Upgrade\r\n\r\n"
                                                               : "Connection: close\r\n\r\n");
}

/* After an answer the connection waits for the next request, or is closed. */
static bool wsi_engine_responded(wsi_engine *e, bool sent, bool keep) {
    e->left = 0;
    e->since = e->heard;
    e->first = true;
    if (keep && sent)
        e->state = WSI_HEAD;
    else
        (void)wsi_engine_end(e, WS_OK, WS_CLOSE_BROKEN);
    return sent;
}

/* Answers a request over HTTP. more: further header lines, each with CRLF. keep: leaves the connection open. */
static bool wsi_engine_respond(wsi_engine *e, wsi_window *window, int status, const char *more,
                               wsi_slice body, bool keep) {
    bool head_only = wsi_http_bodiless(status) || wsi_http_is_method(&e->env->request, "HEAD");
    if (status >= 400) {
        WSI_COUNT(e->env->counts.refused[status >= 500], 1);
        WSI_TRACE(e, WS_TRACE_REFUSED, status, body.data, 0);
    }
    bool sent = wsi_engine_respond_head(e, status, more, body.size, keep)
                && (head_only || wsi_engine_raw(e, body.data, body.size));
    if (e->state == WSI_ASKED)
        window->pos += (size_t)e->left;
    return wsi_engine_responded(e, sent, keep);
}

#ifdef WSI_BARE
/* Sends a refusal without a reason phrase. All statuses get the same fields. */
static void wsi_engine_status(wsi_engine *e, wsi_window *window, int status) {
    int hundreds = '0', tens = '0';
    for (; status >= 100; status -= 100)
        hundreds++;
    for (; status >= 10; status -= 10)
        tens++;
    const char digits[3] = {(char)hundreds, (char)tens, (char)('0' + status)};
    (void)(wsi_engine_raw(e, wsi_engine_first, 9) && wsi_engine_raw(e, digits, 3)
           && wsi_engine_text(e, " \r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
                                 "\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n"));
    (void)window;
    (void)wsi_engine_end(e, WS_OK, WS_CLOSE_BROKEN);
}
#else
/* Sends a refusal. Its body is the reason phrase. Without Upgrade, the body adds that the address is a WebSocket. */
static void wsi_engine_status(wsi_engine *e, wsi_window *window, int status) {
    bool plain = status == 426 && !e->env->request.upgrade;
    const char *body = plain ? "Upgrade Required: this address is a WebSocket" : wsi_http_reason(status);
    const char *more = status == 405   ? "Content-Type: text/plain\r\nAllow: GET, HEAD\r\n"
                       : status != 426 ? "Content-Type: text/plain\r\n"
                       : "Content-Type: text/plain\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    (void)wsi_engine_respond(e, window, status, more, wsi_text_z(body), false);
}
#endif

/* Refuses an Origin or Host: a 403 whose body says why, with at most 90 characters of each part, in printable ASCII. */
WSI_RARE void wsi_engine_forbid(wsi_engine *e, wsi_window *window, const wsi_why *why) {
    char body[400] = "Forbidden: ";
    size_t size = strlen(body), i, k;
    if (WSI_BRIEF) {
        wsi_engine_status(e, window, 403);
        return;
    }
    for (i = 0; i < 4; i++)
        for (k = 0; k < why->part[i].size && k < 90; k++)
            body[size++] = why->part[i].data[k] > '~' || why->part[i].data[k] < ' ' ? '?' : why->part[i].data[k];
    (void)wsi_engine_respond(e, window, 403, "Content-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n",
                             wsi_text(body, size), false);
}

/* Refuses a request whose head or body is incomplete or wrong. Does nothing for a client. */
WSI_SHARED wsi_step wsi_engine_bad_head(wsi_engine *e, wsi_window *window, int status) {
    if (wsi_env_is_client(e->env))
        return WSI_STEP_AGAIN;
    wsi_bytes_zero(&e->env->request, sizeof e->env->request);
    wsi_engine_status(e, window, status);
    e->error = status == 431 || status == 413 ? WS_ERROR_TOO_BIG : WS_ERROR_HANDSHAKE;
    return WSI_STEP_AGAIN;
}

/* Writes the 101 response up to Sec-WebSocket-Accept. last: also ends the head. WS_SMALL has no stack for a copy. */
static bool wsi_engine_welcome(wsi_engine *e, bool last) {
    enum { COPIED = WSI_BRIEF ? 0 : sizeof wsi_engine_first - 1 };
    char head[COPIED + 28 + 4];
    memcpy(head, wsi_engine_first, COPIED);
    wsi_handshake_accept(e->env->request.key, head + COPIED);
    if (last)
        memcpy(head + COPIED + 28, "\r\n\r\n", 4);
    return (!WSI_BRIEF || wsi_engine_text(e, wsi_engine_first))
           && wsi_engine_raw(e, head, sizeof head - (last ? 0 : 4));
}

/* Accepts the pending request (RFC 6455 4.2.2). more: further header lines, each with CRLF. */
static bool wsi_engine_accept(wsi_engine *e, wsi_window *window, wsi_slice subprotocol, const char *more,
                              const ws_deflate_config *deflate) {
    const wsi_codec_calls *codec = wsi_codec_offered(e->env) ? wsi_codec_of(e->env, deflate) : NULL;
    bool last = !WSI_BRIEF && !subprotocol.size && !codec && !*more;
    if (!e->env->request.upgrade || e->env->request.status)
        return wsi_engine_refuse(e, WS_ERROR_STATE);
    if (!wsi_engine_welcome(e, last)
        || (subprotocol.size && (!wsi_engine_text(e, "\r\nSec-WebSocket-Protocol: ")
                                 || !wsi_engine_raw(e, subprotocol.data, subprotocol.size)))
        || (!last && !wsi_engine_text(e, "\r\n"))
        || (codec && !codec->agree(e, deflate)) || (*more && !wsi_engine_text(e, more))
        || (!last && !wsi_engine_text(e, "\r\n")))
        return wsi_engine_end(e, WS_OK, WS_CLOSE_BROKEN);
    window->pos += (size_t)e->left;
    e->left = 0;
    e->state = WSI_OPEN;
    return true;
}

/* Reads a request's head. A head that arrives in one read is not scanned first, but parsed in a single pass. */
static wsi_step wsi_engine_request(wsi_engine *e, wsi_window *window, ws_event *event) {
    wsi_request *request = &e->env->request;
    size_t limit = e->env->limits.head;
    wsi_slice head = wsi_text((const char *)window->base + window->pos, window->end - window->pos);
    if (e->first)
        e->since = e->heard;
    e->first = false;
    if (head.size >= 2 && wsi_bytes_same(head.data, "\r\n", 2)) {
        window->pos += 2; /* RFC 9112 2.2 */
        e->left = 0;
        return WSI_STEP_AGAIN;
    }
    int status = WSI_BRIEF || e->left ? -1
                 : wsi_handshake_request(request, wsi_text(head.data, head.size < limit ? head.size : limit));
    if (status < 0) {
        status = wsi_engine_scan(e, window, &head);
        status = status ? status : wsi_handshake_request(request, head);
    } else {
        e->left = (wsi_size)request->head.size;
    }
    if (status < 0)
        return WSI_STEP_MORE;
    if (status)
        return wsi_engine_bad_head(e, window, status);
    e->state = WSI_ASKED;
    return wsi_window_event(window, event, WS_EVENT_REQUEST, WS_TEXT, request->target.data, request->target.size);
}
#else
static void wsi_engine_bad_head(wsi_engine *e, wsi_window *window, int status) { (void)e, (void)window, (void)status; }
#endif /* WS_NO_SERVER */

/*
>> MESSAGES ===============================================================================
   Messages and control frames, sent and received: fragments, limits, UTF-8, close codes (RFC 6455 5 to 8); deadlines;
   texts of errors. Calls BYTES, UTF8, HANDSHAKE, FRAME, HEADS. Prefixes: wsi_engine_, wsi_error_.
*/

static bool wsi_engine_send(wsi_engine *e, ws_type type, bool first, bool last, const void *data, size_t size) {
    bool compressed = wsi_codec_wanted(e, first, size);
    if (e->state != WSI_OPEN || (first && e->sending))
        return wsi_engine_refuse(e, WS_ERROR_STATE);
    if ((size && !data) || (type != WS_TEXT && type != WS_BINARY) || (e->sending && e->sending != type))
        return wsi_engine_refuse(e, WS_ERROR_ARGUMENT);
    if (compressed && !wsi_codec_in(e->env)->compress(e, first && last, last, &data, &size)) {
        if (!first)
            return wsi_engine_refuse(e, WS_ERROR_MEMORY);
        compressed = false;
    }
    uint8_t opcode = (uint8_t)(first ? (int)type | (compressed ? WSI_COMPRESSED : 0) : WSI_CONTINUATION);
    if (!wsi_engine_emit(e, opcode, last, data, size)) {
        if (compressed)
            wsi_codec_in(e->env)->unsent(e);
        return false;
    }
    e->sending = (uint8_t)(last ? 0 : (int)type);
    e->parts_compressed = compressed && !last;
    return true;
}

static bool wsi_engine_message(wsi_engine *e, ws_message message) {
    if (message.type == WS_TEXT && message.data && !wsi_utf8_valid(message.data, message.size))
        return wsi_engine_refuse(e, WS_ERROR_UTF8);
    return wsi_engine_send(e, message.type, true, true, message.data, message.size);
}

/* A part of a text may end inside a character. The validator continues with the next part. */
static bool wsi_engine_part(wsi_engine *e, ws_message part, bool last) {
    uint32_t utf8 = e->sending ? e->utf8_out : 0;
    if (part.type == WS_TEXT && ((part.data && !wsi_utf8_feed(&utf8, part.data, part.size)) || (last && utf8)))
        return wsi_engine_refuse(e, WS_ERROR_UTF8);
    if (!wsi_engine_send(e, part.type, !e->sending, last, part.data, part.size))
        return false;
    e->utf8_out = utf8;
    return true;
}

static bool wsi_engine_ping(wsi_engine *e, const void *data, size_t size) {
    if (e->state != WSI_OPEN)
        return wsi_engine_refuse(e, WS_ERROR_STATE);
    if (size > 125 || (size && !data))
        return wsi_engine_refuse(e, WS_ERROR_ARGUMENT);
    return wsi_engine_emit(e, WSI_PING, true, data, size);
}

/* RFC 6455 7.4.1 and the IANA registry: 1004 is reserved; 1005, 1006 and 1015 are never sent. */
static bool wsi_engine_close_code(wsi_size code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static bool wsi_engine_close(wsi_engine *e, uint16_t code, const char *reason, wsi_time now) {
    uint8_t payload[125];
    size_t size = reason ? wsi_bytes_length(reason) : 0;
    if (e->state != WSI_OPEN)
        return wsi_engine_refuse(e, WS_ERROR_STATE);
    if ((code ? !wsi_engine_close_code(code) : size > 0) || size > 123
        || !wsi_utf8_valid((const uint8_t *)reason, size))
        return wsi_engine_refuse(e, WS_ERROR_CLOSE_CODE);
    wsi_bytes_store(payload, 2, code);
    if (size)
        wsi_bytes_copy(payload + 2, reason, size);
    if (!wsi_engine_emit(e, WSI_CLOSE, true, payload, code ? size + 2 : 0))
        return e->error == WS_ERROR_BUFFERED ? false : wsi_engine_end(e, WS_OK, WS_CLOSE_BROKEN);
    e->state = WSI_CLOSING;
    e->since = now;
    return true;
}

/* --- receiving --- */

/* Moves a payload to its place, and unmasks it if a client sent it. */
static void wsi_engine_unmask(const wsi_engine *e, uint8_t *to, const uint8_t *from, size_t size,
                              const uint8_t key[4]) {
    if (!wsi_env_is_client(e->env))
        wsi_frame_mask(to, from, size, key);
    else if (to != from)
        wsi_bytes_move(to, from, size);
}

WSI_SHARED wsi_step wsi_engine_closed(wsi_engine *e, ws_event *event, const char *reason) {
    if (e->reported)
        return WSI_STEP_MORE;
    const ws_close_info why = {e->close_code, reason, e->clean};
    e->reported = true;
    event->type = WS_EVENT_CLOSED;
    event->close = why;
    return WSI_STEP_EVENT;
}

/* Handles the peer's close frame (RFC 6455 5.5.1, 7.1.5): echoes code and reason, and reports them to the program. */
static wsi_step wsi_engine_peer_close(wsi_engine *e, wsi_window *window, uint8_t *payload, size_t size,
                                      ws_event *event) {
    uint16_t code = size < 2 ? WS_CLOSE_NONE : (uint16_t)wsi_bytes_load(payload, 2);
    if (size == 1 || (size && !wsi_engine_close_code(code)))
        return wsi_engine_fail(e, WS_ERROR_PROTOCOL, WS_CLOSE_PROTOCOL);
    if (size > 2 && !wsi_utf8_valid(payload + 2, size - 2))
        return wsi_engine_fail(e, WS_ERROR_UTF8, WS_CLOSE_BAD_DATA);
    if (e->state == WSI_OPEN && !wsi_engine_emit(e, WSI_CLOSE, true, payload, size)) {
        (void)wsi_engine_end(e, WS_OK, WS_CLOSE_BROKEN); /* env->output has set the error */
        return WSI_STEP_AGAIN;
    }
    e->state = WSI_CLOSED;
    e->close_code = code;
    e->clean = true;
    wsi_window_patch(window, payload + size);
    return wsi_engine_closed(e, event, size > 2 ? (const char *)payload + 2 : wsi_engine_none);
}

/* Handles a control frame once it is complete. Its payload has at most 125 bytes. */
static wsi_step wsi_engine_control(wsi_engine *e, wsi_window *window, const wsi_frame *frame, ws_event *event) {
    uint8_t *payload = window->base + window->pos + frame->header_size;
    size_t size = (size_t)frame->size;
    if (window->end - window->pos < frame->header_size + size)
        return WSI_STEP_MORE;
    WSI_TRACE(e, WS_TRACE_IN, 0, payload - frame->header_size, window->end - window->pos);
    wsi_engine_unmask(e, payload, payload, size, frame->key);
    window->pos += frame->header_size + size;
    if (frame->opcode == WSI_CLOSE)
        return wsi_engine_peer_close(e, window, payload, size, event);
    if (frame->opcode == WSI_PING && e->state == WSI_OPEN && !wsi_engine_emit(e, WSI_PONG, true, payload, size)) {
        (void)wsi_engine_end(e, WS_OK, WS_CLOSE_BROKEN); /* env->output has set the error */
        return WSI_STEP_AGAIN;
    }
    return wsi_window_event(window, event, frame->opcode == WSI_PING ? WS_EVENT_PING : WS_EVENT_PONG, WS_BINARY,
                            payload, size);
}

/* Begins a data frame whose header is complete. */
static void wsi_engine_begin(wsi_engine *e, wsi_window *window, const wsi_frame *frame) {
    WSI_TRACE(e, WS_TRACE_IN, 0, window->base + window->pos, window->end - window->pos);
    if (frame->opcode != WSI_CONTINUATION) {
        e->compressed = frame->compressed;
        e->type = frame->opcode;
        e->first = true;
    }
    memcpy(e->key, frame->key, 4);
    e->left = frame->size;
    e->final = frame->final;
    window->pos += frame->header_size;
}

/* Makes a message event or, with on_chunk, a chunk event. */
static wsi_step wsi_engine_deliver(wsi_engine *e, ws_event *event, const uint8_t *data, size_t size, bool last) {
    bool first = e->first;
    ws_type type = (ws_type)e->type;
    e->first = false;
    if (last) {
        e->type = 0;
        e->ended = true;
    }
    if (e->state != WSI_OPEN) /* closing: messages are dropped */
        return WSI_STEP_AGAIN;
    if (e->chunks) {
        const ws_chunk chunk = {data, size, type, first, last};
        event->type = WS_EVENT_CHUNK;
        event->chunk = chunk;
        return WSI_STEP_EVENT;
    }
    const ws_message message = {data, size, type};
    event->type = WS_EVENT_MESSAGE;
    event->message = message;
    return WSI_STEP_EVENT;
}

/* Moves what has arrived of the next e->left bytes to *to, the end of the message so far. Returns how many. */
static size_t wsi_engine_take(wsi_engine *e, wsi_window *window, uint8_t **to) {
    uint8_t *from = window->base + window->pos, *at;
    size_t here = window->end - window->pos;
    if (here > e->left)
        here = (size_t)e->left;
    if (!e->message_size)
        window->message = window->pos; /* the message is assembled here */
    at = window->base + window->message + e->message_size;
    wsi_engine_unmask(e, at, from, here, e->key);
    wsi_frame_rotate(e->key, here);
    window->pos += here;
    e->message_size += here;
    e->left -= (wsi_size)here;
    *to = at;
    return here;
}

/* Reads what has arrived of a data frame's payload. With on_chunk, that part is the chunk. */
static wsi_step wsi_engine_payload(wsi_engine *e, wsi_window *window, ws_event *event) {
    if (wsi_codec_used(e) && e->compressed)
        return wsi_codec_in(e->env)->receive(e, window, event);
    uint8_t *data;
    size_t here = wsi_engine_take(e, window, &data);
    e->in_frame = e->left > 0;
    if (e->type == WS_TEXT && !wsi_utf8_feed(&e->utf8, data, here))
        return wsi_engine_fail(e, WS_ERROR_UTF8, WS_CLOSE_BAD_DATA);
    bool last = !e->in_frame && e->final;
    if (last && e->type == WS_TEXT && e->utf8)
        return wsi_engine_fail(e, WS_ERROR_UTF8, WS_CLOSE_BAD_DATA);
    if (!last && (!e->chunks || !e->message_size))
        return e->in_frame ? WSI_STEP_MORE : WSI_STEP_AGAIN;
    size_t size = e->message_size;
    e->message_size = 0;
    data = window->base + window->message;
    wsi_step step = wsi_engine_deliver(e, event, data, size, last);
    if (step == WSI_STEP_EVENT)
        wsi_window_patch(window, data + size);
    return step;
}

static wsi_step wsi_engine_frame(wsi_engine *e, wsi_window *window, ws_event *event) {
    wsi_frame frame;
    if (!e->in_frame) {
        wsi_frame_state found = wsi_frame_read(&frame, window->base + window->pos, window->end - window->pos,
                                               !wsi_env_is_client(e->env), wsi_codec_used(e));
        if (found == WSI_FRAME_MORE)
            return WSI_STEP_MORE;
        if (found == WSI_FRAME_BAD)
            return wsi_engine_fail(e, WS_ERROR_PROTOCOL, WS_CLOSE_PROTOCOL);
        if (frame.opcode & 8)
            return wsi_engine_control(e, window, &frame, event);
        if ((frame.opcode == WSI_CONTINUATION) != (e->type != 0))
            return wsi_engine_fail(e, WS_ERROR_PROTOCOL, WS_CLOSE_PROTOCOL);
        bool compressed = wsi_codec_used(e) && (e->type ? e->compressed : frame.compressed);
        if ((!e->chunks && !compressed && frame.size > e->env->limits.message - e->message_size)
            || frame.size == (wsi_size)-1) /* in a bare engine, 4 GiB or more */
            return wsi_engine_fail(e, WS_ERROR_TOO_BIG, WS_CLOSE_TOO_BIG); /* refused before any payload is kept */
        wsi_engine_begin(e, window, &frame);
    }
    return wsi_engine_payload(e, window, event);
}

#ifdef WS_NO_FAST
static bool wsi_engine_whole(wsi_engine *e, wsi_window *window, ws_event *event, bool masked) {
    return (void)e, (void)window, (void)event, (void)masked, false;
}
#else
/* Fast path: an unfragmented message that is complete in the window. Anything else, invalid frames included, is left to
   wsi_engine_frame. Unmasking moves a client's payload to right after the previous reply, but leaves a gap for an
   unmasked header, so that an echo can be sent from the window. */
WSI_INLINE bool wsi_engine_whole(wsi_engine *e, wsi_window *window, ws_event *event, bool masked) {
    uint8_t *data = window->base + window->pos, *to;
    size_t here = window->end - window->pos, size, header = masked ? 6 : 2, reply = 2;
    bool ascii = false, text;
    if (here < 8 || e->chunks || WSI_TRACED(e) || e->type || (data[0] != 0x81 && data[0] != 0x82)
        || data[1] >> 7 != masked)
        return false;
    size = data[1] & 0x7fu;
    if (size > 125) {
        if (size == 127 || data[2] * 256u + data[3] < 126)
            return false;
        size = (size_t)data[2] << 8 | data[3];
        header += 2;
        reply = 4;
    }
    if (here - header < size || size > e->env->limits.message)
        return false;
    text = data[0] == 0x81;
    window->pos += header + size;
    data += header;
    if (masked) {
        to = window->base + window->reply + reply;
        ascii = text ? wsi_frame_mask_some(to, data, size, data - 4, true)
                     : wsi_frame_mask_some(to, data, size, data - 4, false);
        to[size] = 0; /* lies before window->pos, so it need not be restored */
    } else {
        to = data;
        wsi_window_patch(window, to + size);
    }
    if (text && !ascii && !wsi_utf8_valid(to, size)) {
        (void)wsi_engine_fail(e, WS_ERROR_UTF8, WS_CLOSE_BAD_DATA);
        return false;
    }
    const ws_message message = {to, size, text ? WS_TEXT : WS_BINARY};
    event->type = WS_EVENT_MESSAGE;
    event->message = message;
    return true;
}
#endif /* WS_NO_FAST */

/* Gets the next event where the fast path does not apply. */
WSI_RARE bool wsi_engine_any(wsi_engine *e, wsi_window *window, ws_event *event) {
    wsi_step step;
    do {
        switch (e->state) {
        case WSI_ASKED: return false; /* waits for the program */
        case WSI_HEAD:
        case WSI_BODY: step = (e->env->read)(e, window, event); break;
        case WSI_CLOSED:
            window->pos = window->end;
            e->message_size = 0;
            step = wsi_engine_closed(e, event, wsi_engine_none);
            break;
        default: step = wsi_engine_frame(e, window, event); break; /* OPEN, CLOSING */
        }
    } while (step == WSI_STEP_AGAIN);
    return step == WSI_STEP_EVENT;
}

/* Gets the next event in the window. Its data lives until the next call. false: more bytes are needed. */
WSI_INLINE bool wsi_engine_next(wsi_engine *e, wsi_window *window, ws_event *event) {
    bool found = false;
    wsi_window_restore(window);
    if (window->pos == window->end && e->state != WSI_CLOSED && !wsi_codec_waits(e))
        return false;
    if (e->state == WSI_OPEN && !wsi_env_is_client(e->env))
        found = wsi_engine_whole(e, window, event, true);
    else if (e->state == WSI_OPEN)
        found = wsi_engine_whole(e, window, event, false);
    return found || wsi_engine_any(e, window, event);
}

/* The number of bytes that must be kept until more arrive. */
static size_t wsi_engine_unfinished(const wsi_engine *e, const wsi_window *window) {
    return e->message_size + (window->end - window->pos);
}

/* Moves the unfinished bytes to `to`, which may be the window's base. */
static void wsi_engine_keep(const wsi_engine *e, const wsi_window *window, uint8_t *to) {
    if (e->message_size && to != window->base + window->message)
        wsi_bytes_move(to, window->base + window->message, e->message_size);
    if (window->end > window->pos && to + e->message_size != window->base + window->pos)
        wsi_bytes_move(to + e->message_size, window->base + window->pos, window->end - window->pos);
}

/* Sets the window to the kept bytes at base, followed by `fresh` new ones. */
static void wsi_engine_open_window(const wsi_engine *e, wsi_window *window, uint8_t *base, size_t kept, size_t fresh) {
    wsi_bytes_zero(&window->message, sizeof *window - offsetof(wsi_window, message));
    window->base = base;
    window->pos = e->message_size;
    window->end = kept + fresh;
}

/* --- deadlines --- */

#ifdef WSI_BARE /* the clock wraps around after 49 days, so a delay is at most 24 days */
WSI_SHARED wsi_time wsi_engine_due(wsi_time since, uint32_t delay) {
    wsi_time due = since + delay;
    return delay > INT32_MAX ? UINT32_MAX : due - (due == UINT32_MAX);
}
static bool wsi_engine_passed(wsi_time due, wsi_time now) { return due != UINT32_MAX && (int32_t)(now - due) >= 0; }
#else
static wsi_time wsi_engine_due(wsi_time since, uint32_t delay) { return delay == WS_OFF ? UINT64_MAX : since + delay; }
static bool wsi_engine_passed(wsi_time due, wsi_time now) { return now >= due; }
#endif

/* Called when the peer has sent or accepted bytes. */
static void wsi_engine_heard(wsi_engine *e, wsi_time now) {
    e->heard = now;
    e->pinged = false;
}

/* Pings a silent peer, and closes the connection at a deadline. Returns when to call again. looked: when the loop last
   began to poll. A deadline after that time may have been met by bytes that are not read yet. */
static wsi_time wsi_engine_tick(wsi_engine *e, wsi_window *window, wsi_time looked, wsi_time now) {
    const ws_limits *limits = &e->env->limits;
    wsi_time since = e->since, due;
    uint32_t delay = WS_OFF;
    switch (e->state) {
    case WSI_OPEN:
        since = e->pinged ? since : e->heard;
        delay = e->pinged ? limits->pong_ms : limits->ping_ms;
        break;
    case WSI_CLOSED: break;
    case WSI_CLOSING: delay = limits->close_ms; break;
    case WSI_HEAD: delay = e->first ? wsi_engine_wait_ms(limits, true) : limits->handshake_ms; break;
    default: delay = wsi_engine_wait_ms(limits, false);
    }
    due = wsi_engine_due(since, delay);
    if (!wsi_engine_passed(due, looked))
        return due;
    if (e->state == WSI_OPEN && !e->pinged && wsi_engine_ping(e, NULL, 0)) {
        e->pinged = true;
        e->since = now;
        return wsi_engine_due(now, limits->pong_ms);
    }
    if (e->state == WSI_HEAD && e->left) {
        (void)wsi_engine_bad_head(e, window, 408);
        e->error = WS_ERROR_TIMEOUT;
    }
    (void)wsi_engine_end(e, WS_ERROR_TIMEOUT, WS_CLOSE_BROKEN);
    return now;
}

static void wsi_engine_start(wsi_engine *e, wsi_env *env, wsi_time now) {
    wsi_bytes_zero(e, sizeof *e);
    e->env = env;
    e->since = e->heard = now;
}

static ws_conn_state wsi_engine_state(const wsi_engine *e) {
    return e->state < WSI_OPEN ? WS_CONNECTING : (ws_conn_state)(e->state - WSI_OPEN + WS_OPEN);
}

/* In the order of ws_error. This is one object because linkers keep all string literals as soon as one is used. */
static const char wsi_error_texts[] =
    "no error\0"
    "out of memory" WSI_ADVICE(": the allocator failed, or the loop's max_memory is reached: raise that") "\0"
    "an argument is NULL or out of range" WSI_ADVICE("; see the function's comment in ws.h") "\0"
    "not possible now: the connection is not open, or a message is being sent in parts\0"
    "too much is unsent: send again in on_drain; an engine may need more memory\0"
    "a text, sent or received, is not valid UTF-8; send other data as binary messages\0"
    "close with 1000-1003, 1007-1014 or 3000-4999 and at most 123 bytes of UTF-8\0"
    "malformed pattern" WSI_ADVICE("; write '/a/{b}', with up to 8 of {b}, {n:int}, {x:float}, {i:uuid}, and {p:path} "
                                   "at its end") "\0"
    "two parameters of a route have the same name" WSI_ADVICE("; rename one") "\0"
    "the file cannot be read" WSI_ADVICE("; check its name and the working directory") "\0"
    "cannot listen on this host or port" WSI_ADVICE("; use an address of this machine") "\0"
    "the port is in use" WSI_ADVICE("; stop the other program or choose another port") "\0"
    "no permission for this port" WSI_ADVICE("; use one above 1023") "\0"
    "the system refused a socket call" WSI_ADVICE("; errno may say why") "\0"
    "no descriptor is free" WSI_ADVICE(", or there are too many for select; raise ulimit -n") "\0"
    "the random source failed" WSI_ADVICE("; a client cannot send without it") "\0"
    "the peer's opening handshake is wrong" WSI_ADVICE("; is it a WebSocket endpoint?") "\0"
    "the peer broke the WebSocket framing rules\0"
    "the peer sent more than limits.message or limits.head allows\0"
    "the peer did not answer in time\0"
    "the connection ended without a closing handshake\0"
    "the host's name cannot be resolved" WSI_ADVICE("; check its spelling and the network") "\0"
    "the connection is in limits.rooms rooms already" WSI_ADVICE("; leave one, or raise the limit") "\0"
#ifndef WS_NO_CLIENT
    "the URL cannot be used" WSI_ADVICE("; it looks like ws://host:port/path?query") "\0"
    "no address of the host accepts connections" WSI_ADVICE("; is the server running on this port?") "\0"
    "the proxy refused, or its answer is wrong" WSI_ADVICE("; check its address and credentials") "\0"
    "too many redirects, or one without a valid Location\0"
    "the server refused the WebSocket" WSI_ADVICE("; see ws_status, or WS_EVENT_REFUSED") "\0"
    "ws_stop ended the waiting call\0"
#endif
#if !defined(WS_NO_TRANSPORT) || !defined(WS_NO_HTTP)
    "TLS failed" WSI_ADVICE("; check certificate, key and the peer's TLS versions") "\0"
    "the peer's certificate is not trusted\0"
    "this program was built without TLS" WSI_ADVICE("; build it without WS_NO_TLS") "\0"
#endif
    "the result is not JSON" WSI_ADVICE(", or the format has an unknown conversion; see the function's comment") "\0";

WS_API const char *ws_error_text(ws_error error) {
    const char *text = wsi_error_texts;
    unsigned left = (unsigned)error;
    while (*text && left--)
        text += strlen(text) + 1;
    return *text ? text : "unknown error";
}

#ifndef WS_NO_ENGINE
/*
>> ENGINE =================================================================================
   The public ws_engine: an engine with its own buffers, without sockets. Calls MEMORY, BYTES, TEXT, HTTP, HANDSHAKE,
   FRAME, HEADS, MESSAGES.
*/

/* Bytes. SPARE and ANSWER: fixed memory kept free for a close frame and an answer. CONTROL: a control frame at most. */
enum { WSI_ENGINE_SPARE = 16, WSI_ENGINE_CONTROL = 131, WSI_ENGINE_ANSWER = 272 };

#ifdef WS_NO_ALLOC
static bool wsi_engine_own_fixed(const ws_engine *engine) { return (void)engine, true; }
static wsi_memory *wsi_engine_own_allocator(ws_engine *engine) { return (void)engine, (wsi_memory *)NULL; }
#else
static bool wsi_engine_own_fixed(const ws_engine *engine) { return engine->fixed; }
static wsi_memory *wsi_engine_own_allocator(ws_engine *engine) { return &engine->memory; }
#endif

static size_t wsi_engine_own_unsent(const ws_engine *engine) { return engine->out.size - engine->out_sent; }

/* Where the output may begin: in fixed memory, after the input. */
WSI_SHARED size_t wsi_engine_own_start(const ws_engine *engine) {
    if (!wsi_engine_own_fixed(engine))
        return 0;
    return engine->window.end < engine->in.capacity ? engine->in.capacity : engine->window.end + 1;
}

/* Where the input must end. A request in fixed memory may use all but the room for its answer. */
static size_t wsi_engine_own_end(const ws_engine *engine) {
    size_t end = engine->out.capacity - WSI_ENGINE_ANSWER;
    if (wsi_engine_own_unsent(engine) && end > engine->out_sent)
        end = engine->out_sent;
    return wsi_engine_own_fixed(engine) && !wsi_env_is_client(&engine->env) && engine->core.state < WSI_OPEN
           && end > engine->in.capacity ? end : engine->in.capacity;
}

/* Makes room for `size` more bytes of output. data: leave room for a close frame. */
static bool wsi_engine_own_room(ws_engine *engine, size_t size, bool data) {
    wsi_buffer *out = &engine->out;
    size_t start = wsi_engine_own_start(engine), unsent = wsi_engine_own_unsent(engine);
    if (!unsent || (engine->out_sent > start && out->capacity - out->size < size + WSI_ENGINE_SPARE)) {
        if (unsent)
            wsi_bytes_move(out->data + start, out->data + engine->out_sent, unsent);
        engine->out_sent = start;
        out->size = start + unsent;
    }
    if (!wsi_engine_own_fixed(engine))
        return wsi_buffer_reserve(wsi_engine_own_allocator(engine), out, size);
    return out->capacity - out->size >= size + (data ? WSI_ENGINE_SPARE : 0);
}

static bool wsi_engine_own_emit(wsi_engine *core, const wsi_output *output) {
    ws_engine *engine = (ws_engine *)core; /* core is its first member */
    wsi_buffer *out = &engine->out;
    size_t size = output->header_size + output->size;
    if (output->size > SIZE_MAX / 4)
        return wsi_engine_refuse(core, WS_ERROR_ARGUMENT);
    if (!wsi_engine_own_room(engine, size, output->opcode < WSI_CLOSE))
        return wsi_engine_refuse(core, wsi_engine_own_fixed(engine) ? WS_ERROR_BUFFERED : WS_ERROR_MEMORY);
    wsi_frame_put(out->data + out->size, output);
    out->size += size;
    return true;
}

/* Shrinks the limits so that a message, its reply, a close frame and some pongs fit into fixed memory. */
static bool wsi_engine_own_memory(ws_engine *engine, const ws_engine_config *config) {
    size_t out = config->output_size ? config->output_size : config->memory_size / 2, in = config->memory_size - out;
    size_t least = in < out ? in : out;
    ws_limits *limits = &engine->env.limits;
    engine->fixed = config->memory != NULL;
    if (!wsi_engine_own_fixed(engine)) {
        wsi_memory_init(wsi_engine_own_allocator(engine), config->allocator, SIZE_MAX);
        return true;
    }
    if (config->memory_size < 1024 || out > config->memory_size || least < 320 || !config->memory)
        return false;
    engine->in.data = engine->out.data = config->memory;
    engine->in.capacity = in;
    engine->out.capacity = config->memory_size;
    size_t head = wsi_engine_own_end(engine) - 1, message = least - 272;
    limits->head = limits->head < head ? limits->head : head;
    limits->message = limits->message < message ? limits->message : message;
    return true;
}

#ifndef WS_NO_SERVER
WS_API bool ws_engine_accept(ws_engine *engine) {
    if (!engine)
        return false;
    if (engine->core.state != WSI_ASKED)
        return wsi_engine_refuse(&engine->core, WS_ERROR_STATE);
    if (engine->window.end - engine->window.pos - engine->core.left >= engine->in.capacity) /* too many early frames */
        return wsi_engine_end(&engine->core, WS_ERROR_PROTOCOL, WS_CLOSE_BROKEN);
    return wsi_engine_accept(&engine->core, &engine->window,
                             wsi_handshake_choose(&engine->env.request, engine->env.subprotocols), "",
                             wsi_codec_config(&engine->env));
}

#ifdef WSI_BARE
static bool wsi_engine_persists(const wsi_request *request) { return (void)request, false; }
#else
/* Whether the connection can stay open for another request. */
static bool wsi_engine_persists(const wsi_request *request) {
    return request->keep_alive && !request->upgrade && !request->chunked && !request->content_length;
}
#endif

WS_API bool ws_engine_respond(ws_engine *engine, int status, const char *content_type, const char *body) {
    wsi_engine *e = engine ? &engine->core : NULL;
    char more[128] = "";
    size_t size = content_type ? strlen(content_type) : 0;
    if (!e || status < 200 || status > 599 || size > 100 || !wsi_http_safe(content_type, ' '))
        return e ? wsi_engine_refuse(e, WS_ERROR_ARGUMENT) : false;
    if (e->state != WSI_ASKED)
        return wsi_engine_refuse(e, WS_ERROR_STATE);
    if (size) {
        memcpy(more, "Content-Type: ", 14);
        memcpy(more + 14, content_type, size);
        memcpy(more + 14 + size, "\r\n", 2);
    }
    return wsi_engine_respond(e, &engine->window, status, more, wsi_text_z(body),
                              wsi_engine_persists(&engine->env.request));
}

/* Answers a request that the program left unanswered: accepts a WebSocket of an allowed origin, refuses all else. */
static void wsi_engine_own_answer(ws_engine *engine) {
    const wsi_request *request = &engine->env.request;
    wsi_why why;
    if (!request->upgrade || request->status)
        wsi_engine_status(&engine->core, &engine->window, request->upgrade ? request->status : 426);
    else if (!wsi_handshake_origin(request, engine->env.origins, false, &why))
        wsi_engine_forbid(&engine->core, &engine->window, &why);
    else
        (void)ws_engine_accept(engine);
}

/* A server's part of ws_engine_init. */
static bool wsi_engine_own_server(ws_engine *engine, const ws_engine_config *config) {
    wsi_slice wrong;
    engine->env.read = wsi_engine_request;
    engine->env.origins = config->origins;
    return wsi_http_safe(config->subprotocols, ' ') && wsi_handshake_list_good(config->origins, true, &wrong);
}
#else
static void wsi_engine_own_answer(ws_engine *engine) { (void)engine; }
static bool wsi_engine_own_server(ws_engine *engine, const ws_engine_config *config) {
    return (void)engine, (void)config, false;
}
#endif /* WS_NO_SERVER */

#ifdef WSI_BARE
static void wsi_engine_own_forget(ws_engine *engine) { (void)engine; }
#else
static void wsi_engine_own_forget(ws_engine *engine) {
    wsi_codec_end(&engine->core);
    wsi_codec_free(&engine->codec);
}
#endif

WS_API void ws_engine_free(ws_engine *engine) {
    if (!engine)
        return;
    if (!wsi_engine_own_fixed(engine)) {
        wsi_engine_own_forget(engine);
        wsi_buffer_free(wsi_engine_own_allocator(engine), &engine->in);
        wsi_buffer_free(wsi_engine_own_allocator(engine), &engine->out);
    }
    wsi_bytes_zero(&engine->window, sizeof engine->window);
    engine->out.size = engine->out_sent = 0;
    (void)wsi_engine_end(&engine->core, WS_OK, WS_CLOSE_BROKEN);
    engine->core.reported = true;
}

/* The room left for output in fixed memory. */
static size_t wsi_engine_own_free(const ws_engine *engine) {
    return engine->out.capacity - wsi_engine_own_start(engine) - wsi_engine_own_unsent(engine);
}

/* Whether so much output is unsent that no more input may be read. */
static bool wsi_engine_own_full(const ws_engine *engine) {
    size_t answer = engine->env.limits.message + 14 + WSI_ENGINE_SPARE; /* room for an echo of the largest message */
    if (!wsi_engine_own_fixed(engine))
        return wsi_engine_own_unsent(engine) >= engine->env.limits.buffered;
    if (engine->core.state < WSI_OPEN)
        return wsi_engine_own_unsent(engine) > 0;
    return wsi_engine_own_free(engine) < (answer > WSI_ENGINE_CONTROL ? answer : (size_t)WSI_ENGINE_CONTROL);
}

/* Moves kept bytes to the front. The buffer grows as bytes arrive, never by the size that a frame announces. */
WS_API ws_span ws_engine_input(ws_engine *engine) {
    ws_span room = {NULL, 0};
    if (!engine || engine->core.state == WSI_CLOSED)
        return room;
    wsi_window *window = &engine->window;
    wsi_window_restore(window);
    size_t kept = wsi_engine_unfinished(&engine->core, window);
    if (engine->core.state != WSI_ASKED) { /* a pending request must not move */
        if (window->base)
            wsi_engine_keep(&engine->core, window, engine->in.data);
        engine->in.size = kept;
        if (!wsi_engine_own_fixed(engine) && engine->in.capacity - kept < 2 && !wsi_engine_own_full(engine)
            && !wsi_buffer_reserve(wsi_engine_own_allocator(engine), &engine->in, 1024))
            (void)wsi_engine_end(&engine->core, WS_ERROR_MEMORY, WS_CLOSE_BROKEN);
        wsi_engine_open_window(&engine->core, window, engine->in.data, kept, 0);
    }
    if (wsi_engine_own_end(engine) - window->end < 2)
        return room;
    room.data = window->base + window->end;
    room.size = wsi_engine_own_end(engine) - window->end - 1;
    return room;
}

WS_API void ws_engine_received(ws_engine *engine, size_t size) {
    if (!engine || !engine->window.base || !size || size >= wsi_engine_own_end(engine) - engine->window.end)
        return;
    engine->window.end += size;
    wsi_engine_heard(&engine->core, engine->now);
}

WS_API void ws_engine_ended(ws_engine *engine) {
    if (engine)
        (void)wsi_engine_end(&engine->core, WS_ERROR_CLOSED, WS_CLOSE_BROKEN);
}

WS_API bool ws_engine_next(ws_engine *engine, ws_event *event) {
    wsi_engine *e = engine ? &engine->core : NULL;
    if (!engine || !event)
        return false;
    wsi_bytes_zero(event, sizeof *event);
    if (e->state == WSI_ASKED)
        wsi_engine_own_answer(engine);
    if (e->state == WSI_OPEN && !engine->opened) {
        engine->opened = true;
        event->type = WS_EVENT_OPEN;
        return true;
    }
    if (wsi_engine_own_full(engine) && e->state != WSI_CLOSED)
        return false; /* backpressure */
    size_t end = engine->window.end, room = wsi_engine_own_free(engine) - 14 - WSI_ENGINE_SPARE;
    if (e->chunks && wsi_engine_own_fixed(engine) && e->state >= WSI_OPEN && end - engine->window.pos > room)
        engine->window.end = engine->window.pos + room; /* a chunk must fit into the room for its echo */
    bool found = wsi_engine_next(e, &engine->window, event);
    if (event->type == WS_EVENT_OPEN)
        engine->opened = true;
    engine->window.end = end;
    return found;
}

WS_API ws_span ws_engine_output(ws_engine *engine) {
    ws_span bytes = {NULL, 0};
    if (engine && wsi_engine_own_unsent(engine)) {
        bytes.data = engine->out.data + engine->out_sent;
        bytes.size = wsi_engine_own_unsent(engine);
    }
    return bytes;
}

WS_API void ws_engine_sent(ws_engine *engine, size_t size) {
    if (!engine || size > engine->out.size - engine->out_sent)
        return;
    engine->out_sent += size;
    if (size && wsi_engine_own_unsent(engine)
        && (engine->core.state >= WSI_OPEN || !wsi_env_is_client(&engine->env))) {
        wsi_engine_heard(&engine->core, engine->now); /* the peer reads; a ping or close frame may have been queued */
        engine->core.since = engine->now;
    }
}

WS_API uint64_t ws_engine_tick(ws_engine *engine, uint64_t now) {
    if (!engine)
        return UINT64_MAX;
    engine->now = (wsi_time)now;
    if (!engine->ticked)
        engine->core.since = engine->core.heard = engine->now; /* the first call starts the clock */
    engine->ticked = true;
    wsi_time due = wsi_engine_tick(&engine->core, &engine->window, engine->now, engine->now);
    return due == (wsi_time)-1 ? UINT64_MAX : now + (wsi_time)(due - engine->now); /* a bare engine's time wraps */
}

WS_API bool ws_engine_done(const ws_engine *engine) {
    return !engine || (engine->core.state == WSI_CLOSED && engine->core.reported
                       && engine->out.size == engine->out_sent);
}

WS_API ws_conn_state ws_engine_state(const ws_engine *engine) {
    return engine ? wsi_engine_state(&engine->core) : WS_CLOSED;
}

WS_API ws_error ws_engine_error(const ws_engine *engine) {
    return engine ? (ws_error)engine->core.error : WS_ERROR_ARGUMENT;
}

static bool wsi_engine_own_may_send(ws_engine *engine) {
    return engine && (wsi_engine_own_fixed(engine) || !wsi_engine_own_full(engine)
                      || wsi_engine_refuse(&engine->core, WS_ERROR_BUFFERED));
}

WS_API bool ws_engine_send(ws_engine *engine, ws_message message) {
    return wsi_engine_own_may_send(engine) && wsi_engine_message(&engine->core, message);
}

WS_API bool ws_engine_send_part(ws_engine *engine, ws_message part, bool last) {
    return wsi_engine_own_may_send(engine) && wsi_engine_part(&engine->core, part, last);
}

WS_API bool ws_engine_ping(ws_engine *engine, const void *data, size_t size) {
    return engine && wsi_engine_ping(&engine->core, data, size);
}

WS_API bool ws_engine_close(ws_engine *engine, uint16_t code, const char *reason) {
    return engine && wsi_engine_close(&engine->core, code, reason, engine->now);
}
#endif /* WS_NO_ENGINE */

#ifndef WS_NO_JSON
/*
>> PRINT ==================================================================================
   The printf-style writer that JSON and HTML share, and the HTML writer, in which no value can become markup. Calls
   MEMORY, TEXT, UTF8. Prefixes: wsi_print_, wsi_html_.
*/

typedef struct wsi_printer wsi_printer;

typedef struct wsi_print_language { /* JSON or HTML */
    const char *special; /* '%', and the characters that `quote` handles */
    const char *none;    /* written for NULL, NaN and infinity */
    void (*text)(wsi_printer *printer, const char *text, size_t size, bool raw); /* writes %s and %-s */
    const char *(*quote)(wsi_printer *printer, const char *at); /* handles a quote or backslash; returns the rest */
    bool (*valid)(const void *text, size_t size); /* checks the result. NULL: always valid */
} wsi_print_language;

struct wsi_printer {
    const wsi_print_language *language;
    wsi_memory *memory; /* NULL: the buffer does not grow, but its size still counts all output */
    wsi_buffer *buffer;
    va_list arguments;
    ws_error error;   /* the first error; nothing is written after it */
    char quote;       /* JSON: the quote that ends the string in the format; 0 outside strings */
};

typedef struct wsi_print_spec { /* a conversion specification */
    bool minus, exact;         /* exact: has a precision */
    int precision;
    char length; /* h l z j t L as in the format; H is hh, q is ll */
    char conversion;
} wsi_print_spec;

static void wsi_print_fail(wsi_printer *printer, ws_error error) {
    if (!printer->error)
        printer->error = error;
}

static void wsi_print_put(wsi_printer *printer, const void *data, size_t size) {
    wsi_buffer *buffer = printer->buffer;
    if (printer->error || !size)
        return;
    if (size > SIZE_MAX - 1 - buffer->size || (printer->memory && !wsi_buffer_reserve(printer->memory, buffer, size))) {
        wsi_print_fail(printer, WS_ERROR_MEMORY);
        return;
    }
    if (buffer->size < buffer->capacity && size <= buffer->capacity - buffer->size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

/* Writes %s and %-s. */
static void wsi_print_text(wsi_printer *printer, wsi_print_spec spec) {
    const char *text = va_arg(printer->arguments, const char *), *zero;
    if (!text) {
        wsi_print_put(printer, printer->language->none, strlen(printer->language->none));
        return;
    }
    zero = spec.exact ? (const char *)memchr(text, 0, (size_t)spec.precision) : text + strlen(text);
    if (spec.length)
        wsi_print_fail(printer, WS_ERROR_FORMAT);
    else
        printer->language->text(printer, text, zero ? (size_t)(zero - text) : (size_t)spec.precision, spec.minus);
}

/* Fetches an integer argument. A negative value is converted to unsigned. */
static uintmax_t wsi_print_argument(va_list *from, wsi_print_spec spec) {
    bool u = spec.conversion == 'u';
    switch (spec.length) {
    case 'H': return u ? (unsigned char)va_arg(*from, unsigned) : (uintmax_t)(signed char)va_arg(*from, int);
    case 'h': return u ? (unsigned short)va_arg(*from, unsigned) : (uintmax_t)(short)va_arg(*from, int);
    case 'l': return u ? va_arg(*from, unsigned long) : (uintmax_t)va_arg(*from, long);
    case 'q': return u ? va_arg(*from, unsigned long long) : (uintmax_t)va_arg(*from, long long);
    case 'z':
    case 't': return u ? va_arg(*from, size_t) : (uintmax_t)va_arg(*from, ptrdiff_t);
    case 'j': return u ? va_arg(*from, uintmax_t) : (uintmax_t)va_arg(*from, intmax_t);
    default: return u ? va_arg(*from, unsigned) : (uintmax_t)va_arg(*from, int);
    }
}

static void wsi_print_integer(wsi_printer *printer, wsi_print_spec spec) {
    char text[20];
    if (spec.minus || spec.exact || spec.length == 'L') {
        wsi_print_fail(printer, WS_ERROR_FORMAT);
        return;
    }
    uintmax_t value = wsi_print_argument(&printer->arguments, spec);
    bool negative = spec.conversion != 'u' && value > INTMAX_MAX;
    wsi_print_put(printer, "-", negative ? 1 : 0);
    wsi_print_put(printer, text, wsi_text_decimal(text, negative ? 0 - value : value));
}

/* Replaces the locale's decimal point, which may have several bytes, with '.'. Returns the text's size. */
static size_t wsi_print_point(char *text) {
    size_t size = strspn(text, "+-0123456789"), point = strcspn(text + size, "0123456789eE");
    if (!point)
        return strlen(text);
    text[size] = '.';
    memmove(text + size + 1, text + size + point, strlen(text + size + point) + 1);
    return strlen(text);
}

static void wsi_print_double(wsi_printer *printer, wsi_print_spec spec) {
    char text[360], format[] = "%.*g"; /* 309 digits, a point, 30 decimals */
    double value = spec.length == 'L' ? (double)va_arg(printer->arguments, long double)
                                      : va_arg(printer->arguments, double);
    int digits = 15;
    if (spec.minus || (spec.exact && spec.precision > 30) || (spec.length && !strchr("lL", spec.length))) {
        wsi_print_fail(printer, WS_ERROR_FORMAT);
        return;
    }
    if (!(value >= -DBL_MAX && value <= DBL_MAX)) {
        wsi_print_put(printer, printer->language->none, strlen(printer->language->none));
        return;
    }
    if (spec.exact) {
        format[3] = spec.conversion;
        (void)snprintf(text, sizeof text, format, spec.precision, value);
    } else {
        do
            (void)snprintf(text, sizeof text, "%.*g", digits, value);
        while (digits++ < 17 && (strtod(text, NULL) < value || strtod(text, NULL) > value));
    }
    wsi_print_put(printer, text, wsi_print_point(text));
}

/* Reads a conversion specification after its percent sign; returns its end. */
static const char *wsi_print_read(wsi_printer *printer, const char *at, wsi_print_spec *spec) {
    memset(spec, 0, sizeof *spec);
    spec->minus = *at == '-';
    at += spec->minus;
    if (*at == '.' && at[1] == '*') {
        spec->precision = va_arg(printer->arguments, int);
        spec->exact = spec->precision >= 0; /* a negative precision counts as none (C99 7.19.6.1) */
        at += 2;
    } else if (*at == '.') {
        spec->exact = true;
        for (at++; wsi_text_digit(*at); at++)
            spec->precision = spec->precision < 100000000 ? spec->precision * 10 + (*at - '0') : INT32_MAX;
    }
    if (*at && strchr("hlzjtL", *at)) {
        spec->length = *at++;
        if (*at == spec->length && (*at == 'h' || *at == 'l'))
            spec->length = *at++ == 'h' ? 'H' : 'q';
    }
    spec->conversion = *at;
    return *at ? at + 1 : at;
}

static const char *wsi_print_convert(wsi_printer *printer, const char *at) {
    wsi_print_spec spec;
    at = wsi_print_read(printer, at, &spec);
    if (spec.conversion == 's')
        wsi_print_text(printer, spec);
    else if (spec.conversion && strchr("diu", spec.conversion))
        wsi_print_integer(printer, spec);
    else if (spec.conversion && strchr("fegFEG", spec.conversion))
        wsi_print_double(printer, spec);
    else if (spec.conversion == '%')
        wsi_print_put(printer, "%", 1);
    else
        wsi_print_fail(printer, WS_ERROR_FORMAT);
    return at;
}

/* Appends to the buffer; after an error (FORMAT, UTF8, MEMORY) the buffer is unchanged. memory NULL: writes at most
   capacity bytes; a size beyond the capacity is the size needed, and the result is then not checked. */
static ws_error wsi_print(wsi_memory *memory, wsi_buffer *buffer, const wsi_print_language *language,
                          const char *format, va_list arguments) {
    size_t from = buffer->size, plain;
    wsi_printer printer;
    memset(&printer, 0, sizeof printer);
    printer.language = language;
    printer.memory = memory;
    printer.buffer = buffer;
    va_copy(printer.arguments, arguments);
    while (*format && !printer.error) {
        plain = strcspn(format, language->special);
        wsi_print_put(&printer, format, plain);
        format += plain;
        if (*format)
            format = *format == '%' ? wsi_print_convert(&printer, format + 1) : language->quote(&printer, format);
    }
    va_end(printer.arguments);
    if (language->valid && (buffer->size == from || (buffer->size <= buffer->capacity
                                                     && !language->valid(buffer->data + from, buffer->size - from))))
        wsi_print_fail(&printer, WS_ERROR_FORMAT);
    if (printer.error)
        buffer->size = from;
    return printer.error;
}

/* Prints into the caller's buffer, as ws_json_vprint and ws_html_vprint promise. */
static size_t wsi_print_into(char *buffer, size_t size, const wsi_print_language *language, const char *format,
                             va_list arguments) {
    wsi_buffer out = {(uint8_t *)buffer, 0, size};
    ws_error error = wsi_print(NULL, &out, language, format, arguments);
    if (size)
        buffer[error || out.size >= size ? 0 : out.size] = 0;
    return error ? 0 : out.size;
}

/* Escapes a text so that it cannot end an element or a quoted attribute. */
static void wsi_html_text(wsi_printer *printer, const char *text, size_t size, bool raw) {
    static const char special[] = "&<>\"'";
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    size_t from = 0, i;
    if (!wsi_utf8_valid((const uint8_t *)text, size))
        wsi_print_fail(printer, WS_ERROR_UTF8);
    for (i = 0; i < size && !raw; i++) {
        const char *found = strchr(special, text[i]);
        if (!found)
            continue;
        wsi_print_put(printer, text + from, i - from);
        wsi_print_put(printer, entities[found - special], strlen(entities[found - special]));
        from = i + 1;
    }
    wsi_print_put(printer, text + from, size - from);
}

static const wsi_print_language wsi_html = {"%", "", wsi_html_text, NULL, NULL};

WS_API size_t ws_html_vprint(char *buffer, size_t size, const char *format, va_list arguments) {
    return wsi_print_into(buffer, size, &wsi_html, format, arguments);
}

WS_API size_t ws_html_print(char *buffer, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t written = ws_html_vprint(buffer, size, format, arguments);
    va_end(arguments);
    return written;
}

/*
>> JSON ===================================================================================
   A strict reader that does not allocate, and a printf-style writer (RFC 8259). Calls API, BYTES, TEXT, UTF8, PRINT. A
   text is validated once, as a whole; values are slices of it. Functions that read validated text still check for its
   end: a slice that the program altered gives wrong results, but no byte after it is read.
*/

#define WSI_JSON_ALL 0x0101010101010101u /* multiplied by a byte: that byte eight times */

/* Skips the unescaped characters of a string, up to a quote, a backslash, a byte below 0x20, or the end. XOR with 2
   swaps quote and space, so that one subtraction marks the quote and all bytes below 0x20 by their high bits.
   Only the lowest mark is reliable. */
static inline const uint8_t *wsi_json_plain(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 8; at += 8) {
        uint64_t word = wsi_bytes_little(at), low = (word ^ WSI_JSON_ALL * 2) - WSI_JSON_ALL * 0x21;
        uint64_t backslash = (word ^ WSI_JSON_ALL * '\\') - WSI_JSON_ALL;
        uint64_t marks = (low | backslash) & ~word & WSI_JSON_ALL * 0x80;
        if (marks)
            return at + wsi_bytes_lowest_byte(marks);
    }
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Outside strings, skips to a quote, a bracket, or the end. OR with 0x20 turns [ and ] into { and }. In validated text
   only brackets are then 0x7b or more. */
static const uint8_t *wsi_json_to_bracket(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 8; at += 8) {
        uint64_t word = wsi_bytes_little(at), brackets = (word | WSI_JSON_ALL * 0x20) + WSI_JSON_ALL * 5;
        uint64_t quote = (word ^ WSI_JSON_ALL * '"') - WSI_JSON_ALL;
        uint64_t marks = (brackets | quote) & WSI_JSON_ALL * 0x80;
        if (marks)
            return at + wsi_bytes_lowest_byte(marks);
    }
    while (at < end && *at != '"' && (*at | 0x20) < '{')
        at++;
    return at;
}

WSI_RARE const uint8_t *wsi_json_blanks(const uint8_t *at, const uint8_t *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
        while (end - at >= 8 && wsi_bytes_word(at) == 0x2020202020202020u) /* indentation */
            at += 8;
    }
    return at;
}

/* Inline, so that compact text, which has no blanks, costs no call. */
static inline const uint8_t *wsi_json_space(const uint8_t *at, const uint8_t *end) {
    return at < end && *at <= ' ' ? wsi_json_blanks(at, end) : at;
}

/* The value of four hexadecimal digits; -1 if one of them is missing or not a digit. */
static int32_t wsi_json_hex(const uint8_t *at, const uint8_t *end) {
    int32_t code = 0;
    int i, digit = end - at < 4 ? -1 : 0;
    for (i = 0; i < 4 && digit >= 0; i++) {
        digit = wsi_text_hex((char)at[i]);
        code = code * 16 + digit;
    }
    return digit < 0 ? -1 : code;
}

/* The following functions return the end of the token that begins at `at`. NULL: the token is malformed. */

static const uint8_t *wsi_json_escape(const uint8_t *at, const uint8_t *end) {
    static const uint32_t letters[WSI_TEXT_SET] = {0, 0x00008004u, 0x10000000u, 0x00144044u}; /* "\/bfnrt */
    if (end - at < 2)
        return NULL;
    if (at[1] == 'u')
        return wsi_json_hex(at + 2, end) < 0 ? NULL : at + 6;
    return wsi_text_in(letters, (char)at[1]) ? at + 2 : NULL;
}

/* Reads the rest of a string, from its first escape or invalid byte on. */
static const uint8_t *wsi_json_string_rest(const uint8_t *at, const uint8_t *end) {
    while (at && at < end && *at == '\\') {
        at = wsi_json_escape(at, end);
        at = at ? wsi_json_plain(at, end) : NULL;
    }
    return at && at < end && *at == '"' ? at + 1 : NULL;
}

static const uint8_t *wsi_json_digits(const uint8_t *at, const uint8_t *end) {
    const uint8_t *first = at;
    uint64_t word, others = 0;
    for (; end - at >= 8 && !others; at += others ? wsi_bytes_lowest_byte(others) : 8) {
        word = wsi_bytes_little(at) ^ WSI_JSON_ALL * '0';
        others = (word | (word + WSI_JSON_ALL * 6)) & WSI_JSON_ALL * 0xf0;
    }
    while (!others && at < end && wsi_text_digit((char)*at))
        at++;
    return at > first ? at : NULL;
}

static const uint8_t *wsi_json_numeral(const uint8_t *at, const uint8_t *end) {
    const uint8_t *first = *at == '-' ? at + 1 : at;
    at = wsi_json_digits(first, end);
    if (!at || (*first == '0' && at - first > 1))
        return NULL;
    if (at < end && *at == '.')
        at = wsi_json_digits(at + 1, end);
    if (!at || at == end || (*at != 'e' && *at != 'E'))
        return at;
    at++;
    return wsi_json_digits(at < end && (*at == '+' || *at == '-') ? at + 1 : at, end);
}

static const uint8_t *wsi_json_literal(const uint8_t *at, const uint8_t *end) {
    ptrdiff_t size = *at == 'f' ? 5 : 4;
    if (end - at < size)
        return NULL;
    return memcmp(at, "null", 4) == 0 || memcmp(at, "true", 4) == 0 || (size == 5 && memcmp(at, "false", 5) == 0)
           ? at + size : NULL;
}

static ws_json wsi_json_make(const uint8_t *at, const uint8_t *end, ws_json_type type) {
    ws_json value = {(const char *)at, (size_t)(end - at), type, NULL};
    return value;
}

static ws_json_type wsi_json_type_at(uint8_t c) {
    return c == '{' ? WS_JSON_OBJECT : c == '[' ? WS_JSON_ARRAY : c == '"' ? WS_JSON_STRING : c == 'n' ? WS_JSON_NULL
         : c == 't' || c == 'f' ? WS_JSON_BOOL : WS_JSON_NUMBER;
}

/* --- the index --- */

/* The index has one word for each value and name, in the order of the text: its size and type, and whether it is a
   string with escapes. An array or object has a second word: the number of words for itself and its contents. */
enum { WSI_JSON_TYPE = 7, WSI_JSON_ESCAPED = 8, WSI_JSON_SIZE = 4, WSI_JSON_MAX = 1 << 28 };

typedef struct wsi_json_marks {
    uint32_t *words;  /* NULL: there were not enough */
    size_t used, count;
    size_t open;      /* place of the innermost open container; its words hold its offset and the previous `open` */
    const uint8_t *start;
} wsi_json_marks;

/* Whether there is an index with room for this many more words. */
WSI_INLINE bool wsi_json_marking(wsi_json_marks *marks, size_t words) {
    if (marks && marks->words && marks->count - marks->used < words)
        marks->words = NULL;
    return marks && marks->words;
}

WSI_INLINE uint32_t wsi_json_word(size_t size, ws_json_type type) {
    return (uint32_t)size << WSI_JSON_SIZE | ((uint32_t)type - 1);
}

WSI_INLINE void wsi_json_mark_open(wsi_json_marks *marks, const uint8_t *at) {
    if (!wsi_json_marking(marks, 2))
        return;
    marks->words[marks->used] = (uint32_t)(at - marks->start);
    marks->words[marks->used + 1] = (uint32_t)marks->open;
    marks->open = marks->used;
    marks->used += 2;
}

WSI_INLINE void wsi_json_mark_close(wsi_json_marks *marks, const uint8_t *at, ws_json_type type) {
    if (!wsi_json_marking(marks, 0))
        return;
    uint32_t *words = marks->words + marks->open, around = words[1];
    words[0] = wsi_json_word((size_t)(at - marks->start) - words[0], type);
    words[1] = (uint32_t)(marks->used - marks->open);
    marks->open = around;
}

/* Reads a number, string, name or literal, and adds it to the index. */
WSI_INLINE const uint8_t *wsi_json_marked(wsi_json_marks *marks, const uint8_t *at, const uint8_t *end) {
    const uint8_t *behind, *plain = at;
    if (*at == '"')
        plain = wsi_json_plain(at + 1, end);
    if (*at != '"')
        behind = *at < 'a' ? wsi_json_numeral(at, end) : wsi_json_literal(at, end);
    else
        behind = plain < end && *plain == '"' ? plain + 1 : wsi_json_string_rest(plain, end);
    if (behind && wsi_json_marking(marks, 1))
        marks->words[marks->used++] = wsi_json_word((size_t)(behind - at), wsi_json_type_at(*at))
                                      | (*at == '"' && behind != plain + 1 ? (uint32_t)WSI_JSON_ESCAPED : 0);
    return behind;
}

/* --- checking --- */

/* Reads a member's name, the blanks around it, and the colon. */
WSI_INLINE const uint8_t *wsi_json_name(wsi_json_marks *marks, const uint8_t *at, const uint8_t *end) {
    at = wsi_json_space(at, end);
    at = at < end && *at == '"' ? wsi_json_marked(marks, at, end) : NULL;
    at = at ? wsi_json_space(at, end) : NULL;
    return at && at < end && *at == ':' ? at + 1 : NULL;
}

typedef struct wsi_json_nesting { /* like `objects` below, for all levels but the innermost 64 */
    uint64_t *words;
    size_t used, count;
} wsi_json_nesting;

WSI_RARE bool wsi_json_deeper(wsi_json_nesting *outer, uint64_t objects) {
    if (outer->used == outer->count)
        return false;
    outer->words[outer->used++] = objects;
    return true;
}

/* Checks one value and the blanks around it, and moves *text to their end, or to the token that is malformed or nested
   too deep. marks NULL: no index. */
WSI_INLINE ws_json_type wsi_json_check(const uint8_t **text, const uint8_t *end, wsi_json_nesting *outer,
                                       wsi_json_marks *marks) {
    const uint8_t *at = wsi_json_space(*text, end);
    ws_json_type type = at < end ? wsi_json_type_at(*at) : WS_JSON_MALFORMED;
    uint64_t objects = 0; /* a bit for each open level, the innermost lowest: 1 for an object, 0 for an array */
    unsigned depth = 0;
    bool opened; /* the level is still empty, so no comma is needed */
    for (;;) {
        *text = at = wsi_json_space(at, end);
        opened = at < end && (*at == '{' || *at == '[');
        if (opened && depth++ == WS_JSON_DEPTH) {
            if (!wsi_json_deeper(outer, objects))
                return WS_JSON_TOO_DEEP;
            depth = 1;
        }
        if (opened) {
            wsi_json_mark_open(marks, at);
            objects = objects << 1 | (*at++ == '{');
        } else {
            at = at < end ? wsi_json_marked(marks, at, end) : NULL;
        }
        if (!at)
            return WS_JSON_MALFORMED;
        for (at = wsi_json_space(at, end); depth || outer->used; opened = false) {
            if (!depth) {
                objects = outer->words[--outer->used];
                depth = WS_JSON_DEPTH;
            }
            if (at == end || *at != (objects & 1 ? '}' : ']'))
                break;
            wsi_json_mark_close(marks, at + 1, objects & 1 ? WS_JSON_OBJECT : WS_JSON_ARRAY);
            at = wsi_json_space(at + 1, end);
            objects >>= 1;
            depth--;
        }
        *text = at;
        if (!depth)
            return type;
        if (!opened && (at == end || *at++ != ','))
            return WS_JSON_MALFORMED;
        at = objects & 1 ? wsi_json_name(marks, at, end) : at;
        if (!at)
            return WS_JSON_MALFORMED;
    }
}

WSI_INLINE ws_json wsi_json_parse(const void *text, size_t size, wsi_json_nesting *outer, wsi_json_marks *marks) {
    const uint8_t *start = (const uint8_t *)(text ? text : ""), *end = start + (text ? size : 0), *at = start;
    if (!wsi_utf8_valid(start, (size_t)(end - start)))
        return wsi_json_make(start, end, WS_JSON_MALFORMED);
    if (marks)
        marks->start = start;
    ws_json_type type = wsi_json_check(&at, end, outer, marks);
    if (type < WS_JSON_NULL || at < end)
        return wsi_json_make(at, end, type < WS_JSON_NULL ? type : WS_JSON_MALFORMED);
    start = wsi_json_space(start, end);
    while (end[-1] <= ' ')
        end--;
    return wsi_json_make(start, end, type);
}

WS_API ws_json ws_json_parse_deep(const void *text, size_t size, uint64_t *nesting, size_t words) {
    wsi_json_nesting outer = {nesting, 0, nesting ? words : 0};
    return wsi_json_parse(text, size, &outer, NULL);
}

WS_API ws_json ws_json_index(const void *text, size_t size, uint32_t *words, size_t count) {
    wsi_json_nesting outer = {NULL, 0, 0};
    wsi_json_marks marks = {words, 0, count, 0, NULL};
    if (size >= WSI_JSON_MAX)
        marks.words = NULL;
    ws_json value = wsi_json_parse(text, size, &outer, &marks);
    value.index = value.type >= WS_JSON_NULL ? marks.words : NULL;
    return value;
}

WS_API ws_json ws_json_parse(const void *text, size_t size) { return ws_json_parse_deep(text, size, NULL, 0); }

WS_API bool ws_json_valid(const void *text, size_t size) {
    return ws_json_parse(text, size).type >= WS_JSON_NULL;
}

/* The end of the array or object that begins at `at`, in validated text. NULL: the slice was altered. */
static const uint8_t *wsi_json_skip(const uint8_t *at, const uint8_t *end) {
    size_t depth = 0;
    for (; at && at < end; at = at ? wsi_json_to_bracket(at, end) : NULL) {
        if (*at == '"') {
            at = wsi_json_marked(NULL, at, end);
            continue;
        }
        depth += *at == '{' || *at == '[' ? 1 : (size_t)-1;
        at++;
        if (!depth)
            return at;
    }
    return NULL;
}

static ws_json wsi_json_absent(void) { return wsi_json_make(NULL, NULL, WS_JSON_ABSENT); }

static ws_json wsi_json_value(const uint8_t *at, const uint8_t *end) {
    bool nested = at < end && (*at == '{' || *at == '[');
    if (at == end)
        return wsi_json_absent();
    const uint8_t *behind = nested ? wsi_json_skip(at, end) : wsi_json_marked(NULL, at, end);
    return behind ? wsi_json_make(at, behind, wsi_json_type_at(*at)) : wsi_json_absent();
}

/* The text between a value's quotes or brackets. false: the value has neither. */
static bool wsi_json_inside(ws_json value, const uint8_t **at, const uint8_t **end) {
    if (value.type < WS_JSON_STRING || value.size < 2)
        return false;
    *at = (const uint8_t *)value.data + 1;
    *end = *at + value.size - 2;
    return true;
}

/* Skips blanks and the mark (comma or colon) among them. `end` points at a closing bracket. A mark without blanks is
   tested first, so that the processor can predict where the next value begins. */
WSI_APART const uint8_t *wsi_json_between_blanks(const uint8_t *at, const uint8_t *end, char mark) {
    at = wsi_json_space(at, end);
    return wsi_json_space(*at == mark ? at + 1 : at, end);
}
WSI_INLINE const uint8_t *wsi_json_between(const uint8_t *at, const uint8_t *end, char mark) {
    return *at == mark && at[1] > ' ' ? at + 1 : wsi_json_between_blanks(at, end, mark);
}

#if !defined(WS_NO_DISPATCH) && defined(__x86_64__) && defined(__LP64__)
/* Two stores of 16 bytes, because callers copy a value in two such loads. A load that covers several stores stalls. */
WSI_INLINE void wsi_json_put(ws_json *to, const uint8_t *at, size_t size, ws_json_type type, const uint32_t *index) {
    wsi_wide half = {(uintptr_t)at, size}, other = {(uint64_t)type, (uintptr_t)index};
    memcpy(&to->data, &half, sizeof half);
    memcpy(&to->type, &other, sizeof other);
}
#else
WSI_INLINE void wsi_json_put(ws_json *to, const uint8_t *at, size_t size, ws_json_type type, const uint32_t *index) {
    to->data = (const char *)at;
    to->size = size;
    to->type = type;
    to->index = index;
}
#endif

/* Makes the value that a word of the index describes; returns its end. */
WSI_INLINE const uint8_t *wsi_json_indexed(ws_json *to, const uint8_t *at, const uint8_t *end, const uint32_t *index) {
    size_t size = *index >> WSI_JSON_SIZE, most = (size_t)(end - at);
    size = size < most ? size : most;
    wsi_json_put(to, at, size, (ws_json_type)((*index & WSI_JSON_TYPE) + 1), index);
    return at + size;
}

/* Does what ws_json_next does. An altered or foreign item gives wrong values, but only from inside the container. */
WSI_INLINE bool wsi_json_next_indexed(const char *data, size_t size, bool named, const uint32_t *from, ws_json *name,
                                      ws_json *item) {
    const uint32_t *index = from + 2, *stop = from + from[1];
    const uint8_t *at = (const uint8_t *)data + 1, *end = at + size - 2;
    if (item->index > from && item->index < stop) {
        index = item->index + (item->type >= WS_JSON_ARRAY ? item->index[1] : 1);
        at = (const uint8_t *)item->data + item->size;
    }
    if (at >= end || index + named >= stop) {
        wsi_json_put(item, NULL, 0, WS_JSON_ABSENT, NULL);
        return false;
    }
    if (*at == ',' || *at <= ' ')
        at = wsi_json_between(at, end, ',');
    if (named)
        at = wsi_json_between(wsi_json_indexed(name ? name : item, at, end, index++), end, ':');
    else if (name)
        wsi_json_put(name, NULL, 0, WS_JSON_ABSENT, NULL);
    (void)wsi_json_indexed(item, at, end, index);
    return true;
}

/* Does what ws_json_next does, without an index. */
WSI_APART bool wsi_json_next_read(ws_json container, ws_json *name, ws_json *item) {
    const uint8_t *at, *end;
    uintptr_t from; /* offset of the previous item in the container */
    ws_json key = wsi_json_absent(), before = *item;
    *item = key;
    if (!wsi_json_inside(container, &at, &end) || (*end | 0x20) != '}') /* a string, or an altered slice */
        return false;
    from = (uintptr_t)before.data - (uintptr_t)at;
    if (before.data && from <= (size_t)(end - at) && before.size <= (size_t)(end - at) - from)
        at += from + before.size;
    at = wsi_json_between(at, end, ',');
    if (container.type == WS_JSON_OBJECT) {
        key = wsi_json_value(at, end);
        at = wsi_json_between(at + key.size, end, ':');
    }
    *item = wsi_json_value(at, end);
    if (name)
        *name = key;
    return item->type != WS_JSON_ABSENT;
}

WS_API bool ws_json_next_of(const char *data, size_t size, ws_json_type type, const uint32_t *index, ws_json *name,
                            ws_json *item) {
    if (index && type >= WS_JSON_ARRAY)
        return wsi_json_next_indexed(data, size, type == WS_JSON_OBJECT, index, name, item);
    ws_json container = {data, size, type, NULL};
    return wsi_json_next_read(container, name, item);
}

/* Writes a code point, which must not be a surrogate, as UTF-8. Returns the number of bytes. */
static size_t wsi_json_encode(uint32_t code, uint8_t bytes[4]) {
    size_t i, size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (i = size - 1; i; i--, code >>= 6)
        bytes[i] = (uint8_t)(0x80 | (code & 0x3f));
    bytes[0] = (uint8_t)(size == 1 ? code : (0xf00u >> size & 0xff) | code);
    return size;
}

/* Decodes an escape, or a pair of surrogates (RFC 8259 7), and moves *at past it. 0: a lone surrogate. */
static size_t wsi_json_unescape(const uint8_t **at, const uint8_t *end, uint8_t bytes[4]) {
    static const char meanings[] = "\b...\f.......\n...\r.\tu"; /* the meanings of the letters b to u */
    const uint8_t *behind = wsi_json_escape(*at, end);
    int32_t code, low = -1;
    if (!behind)
        return 0;
    code = (*at)[1] < 'b' ? (*at)[1] : meanings[(*at)[1] - 'b'];
    if (code == 'u') {
        code = wsi_json_hex(*at + 2, end);
        if ((code & ~0x3ff) == 0xd800 && end - behind >= 2 && behind[0] == '\\' && behind[1] == 'u')
            low = wsi_json_hex(behind + 2, end);
        if ((low & ~0x3ff) == 0xdc00) {
            code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
            behind += 6;
        }
    }
    *at = behind;
    return (code & ~0x7ff) == 0xd800 ? 0 : wsi_json_encode((uint32_t)code, bytes);
}

/* Whether a string is known to have no escapes. */
WSI_INLINE bool wsi_json_is_plain(ws_json string) { return string.index && !(*string.index & WSI_JSON_ESCAPED); }

/* Gets a string's next part, plain characters or one decoded escape, and moves *at. false: a lone surrogate. */
static bool wsi_json_unescaped(const uint8_t **at, const uint8_t *end, uint8_t bytes[4], wsi_slice *part) {
    const uint8_t *from = *at;
    *at = wsi_json_plain(from, end);
    *part = wsi_text((const char *)from, (size_t)(*at - from));
    if (!part->size)
        *part = wsi_text((const char *)bytes, wsi_json_unescape(at, end, bytes));
    return part->size > 0;
}

/* The general case of ws_json_as_text. */
WSI_APART size_t wsi_json_decode(ws_json string, char *buffer, size_t size) {
    const uint8_t *at, *end;
    size_t length = 0;
    uint8_t bytes[4];
    wsi_slice part;
    bool good = string.type == WS_JSON_STRING && wsi_json_inside(string, &at, &end);
    while (good && at < end) {
        good = wsi_json_unescaped(&at, end, bytes, &part);
        if (good && length < size && part.size < size - length)
            memcpy(buffer + length, part.data, part.size);
        length += good ? part.size : 0;
    }
    if (size)
        buffer[good && length < size ? length : 0] = 0;
    return good ? length + 1 : 0;
}

WS_API size_t ws_json_as_text(ws_json string, char *buffer, size_t size) {
    if (string.type != WS_JSON_STRING || !wsi_json_is_plain(string) || string.size < 2)
        return wsi_json_decode(string, buffer, size);
    if (string.size - 1 <= size) {
        memcpy(buffer, string.data + 1, string.size - 2);
        buffer[string.size - 2] = 0;
    } else if (size) {
        buffer[0] = 0;
    }
    return string.size - 1;
}

static bool wsi_json_equals(ws_json string, wsi_slice text) {
    const uint8_t *at, *end;
    uint8_t bytes[4];
    wsi_slice part;
    if (string.type != WS_JSON_STRING || !wsi_json_inside(string, &at, &end)
        || (size_t)(end - at) < text.size) /* no escape is shorter than its decoded text */
        return false;
    if (wsi_json_is_plain(string))
        return (size_t)(end - at) == text.size && memcmp(at, text.data, text.size) == 0;
    while (at < end) {
        if (!wsi_json_unescaped(&at, end, bytes, &part) || part.size > text.size
            || memcmp(part.data, text.data, part.size) != 0)
            return false;
        text.data += part.size;
        text.size -= part.size;
    }
    return text.size == 0;
}

WS_API bool ws_json_is(ws_json string, const char *text) { return text && wsi_json_equals(string, wsi_text_z(text)); }

static ws_json wsi_json_member(ws_json object, wsi_slice wanted) {
    ws_json found = wsi_json_absent(), name, item = found;
    while (object.type == WS_JSON_OBJECT && ws_json_next(object, &name, &item))
        if (wsi_json_equals(name, wanted))
            found = item;
    return found;
}

WS_API ws_json ws_json_member(ws_json object, const char *name) {
    return name ? wsi_json_member(object, wsi_text_z(name)) : wsi_json_absent();
}

WS_API ws_json ws_json_element(ws_json array, size_t index) {
    ws_json item = wsi_json_absent();
    while (array.type == WS_JSON_ARRAY && ws_json_next(array, NULL, &item))
        if (!index--)
            return item;
    return wsi_json_absent();
}

/* Follows [2], ['name'] or ["name"] at the front of the path, and moves *path past it. *path NULL: malformed. */
static ws_json wsi_json_bracket(ws_json value, const char **path) {
    const char *inner = *path + 1, *close = strchr(inner, ']');
    bool quoted = *inner == '\'' || *inner == '"';
    const char *quote = quoted ? strchr(inner + 1, *inner) : NULL;
    wsi_size index;
    if (quote && quote[1] == ']') {
        *path = quote + 2;
        return wsi_json_member(value, wsi_text(inner + 1, (size_t)(quote - inner - 1)));
    }
    *path = NULL;
    if (!close || !wsi_text_number(wsi_text(inner, (size_t)(close - inner)), &index) || (size_t)index != index)
        return wsi_json_absent();
    *path = close + 1;
    return ws_json_element(value, (size_t)index);
}

WS_API ws_json ws_json_get(ws_json value, const char *path) {
    bool first = true;
    while (path && *path && value.type >= WS_JSON_NULL) {
        size_t size;
        if (*path == '[') {
            value = wsi_json_bracket(value, &path);
        } else {
            if (!first && *path++ != '.')
                return wsi_json_absent();
            size = strcspn(path, ".[");
            if (!size)
                return wsi_json_absent();
            value = wsi_json_member(value, wsi_text(path, size));
            path += size;
        }
        first = false;
    }
    return value;
}

WS_API ws_json ws_json_find(ws_message message, const char *path) {
    return ws_json_get(ws_json_parse(message.data, message.size), path);
}

/* A number halfway between two doubles has at most 768 digits. So after 800 digits it only matters whether the rest is
   zero. If the rest is not zero, an 800th digit of 0 becomes 1. */
#define WSI_JSON_DIGITS 800

typedef struct wsi_json_decimal { /* digits * 10^exponent */
    char digits[WSI_JSON_DIGITS + 24]; /* without leading zeros; room for "e-9999" */
    size_t count;
    int64_t exponent;
} wsi_json_decimal;

/* Reads an exponent, clamped at about 10^16: no text has enough digits to offset a larger one. */
static int64_t wsi_json_exponent(const char *at, const char *end) {
    bool negative = at < end && *at == '-';
    int64_t exponent = 0;
    for (; at < end; at++)
        if (wsi_text_digit(*at) && exponent < 1000000000000000)
            exponent = exponent * 10 + (*at - '0');
    return negative ? -exponent : exponent;
}

static void wsi_json_decimal_of(ws_json number, wsi_json_decimal *decimal) {
    const char *at = number.data, *end = at + number.size;
    bool fraction = false;
    size_t count = 0;
    decimal->exponent = 0;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        fraction = fraction || *at == '.';
        if (!wsi_text_digit(*at))
            continue;
        decimal->exponent += count == WSI_JSON_DIGITS ? !fraction : -(int)fraction;
        if (count < WSI_JSON_DIGITS && (count || *at != '0'))
            decimal->digits[count++] = *at;
        else if (*at != '0' && decimal->digits[count - 1] == '0')
            decimal->digits[count - 1] = '1';
    }
    decimal->count = count;
    decimal->exponent += at < end ? wsi_json_exponent(at + 1, end) : 0;
}

/* Appends decimal digits to a number, and moves *at past them. */
WSI_INLINE uint64_t wsi_json_take(const char **at, const char *end, uint64_t number) {
    const uint8_t *digit = (const uint8_t *)*at;
    for (; digit < (const uint8_t *)end && (unsigned)*digit - '0' <= 9; digit++)
        number = number * 10 + ((unsigned)*digit - '0');
    *at = (const char *)digit;
    return number;
}

/* The absolute value as digits * 10^ten. false: too many digits for 64 bits. */
WSI_INLINE bool wsi_json_short(ws_json number, uint64_t *digits, int64_t *ten) {
    const char *first = number.data + (*number.data == '-'), *at = first, *end = number.data + number.size;
    *digits = wsi_json_take(&at, end, 0);
    *ten = 0;
    if (at < end && *at == '.') {
        const char *point = ++at;
        *digits = wsi_json_take(&at, end, *digits);
        *ten = point - at;
    }
    if (at - first > 19 + (*ten < 0))
        return false;
    if (at < end)
        *ten += wsi_json_exponent(at + 1, end);
    return true;
}

/* The absolute value of a whole number. false: it has a fraction, or more than 64 bits. */
static bool wsi_json_whole(ws_json number, uint64_t *whole) {
    wsi_json_decimal decimal;
    int64_t ten;
    if (number.type != WS_JSON_NUMBER || !number.size)
        return false;
    if (wsi_json_short(number, whole, &ten) && !ten)
        return true;
    wsi_json_decimal_of(number, &decimal);
    for (; decimal.count && decimal.exponent < 0 && decimal.digits[decimal.count - 1] == '0'; decimal.exponent++)
        decimal.count--;
    *whole = 0;
    if (!decimal.count)
        return true;
    if (decimal.exponent < 0 || (int64_t)decimal.count + decimal.exponent > 20)
        return false;
    memset(decimal.digits + decimal.count, '0', (size_t)decimal.exponent);
    return wsi_text_digits(wsi_text(decimal.digits, decimal.count + (size_t)decimal.exponent), 0, UINT64_MAX, whole);
}

WS_API bool ws_json_as_integer(ws_json number, int64_t *integer) {
    uint64_t value;
    bool negative = number.size && number.data[0] == '-';
    if (!wsi_json_whole(number, &value) || value > (uint64_t)INT64_MAX + negative)
        return false;
    *integer = !negative ? (int64_t)value : value ? -(int64_t)(value - 1) - 1 : 0;
    return true;
}

WS_API bool ws_json_as_unsigned(ws_json number, uint64_t *integer) {
    uint64_t value;
    if (!wsi_json_whole(number, &value) || (value && number.data[0] == '-'))
        return false;
    *integer = value;
    return true;
}

#if defined(WS_SMALL) || DBL_MANT_DIG != 53 || DBL_MAX_EXP != 1024 || !defined(FLT_EVAL_METHOD) || FLT_EVAL_METHOD != 0
static bool wsi_json_double(uint64_t digits, int64_t ten, double *value) {
    return (void)ten, *value = 0, !digits;
}
#else
static uint64_t wsi_json_multiply(uint64_t a, uint64_t b, uint64_t *high) {
    uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX), one = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
    uint64_t other = (a & UINT32_MAX) * (b >> 32) + (one & UINT32_MAX);
    *high = (a >> 32) * (b >> 32) + (one >> 32) + (other >> 32);
    return other << 32 | (low & UINT32_MAX);
}

/* Computes digits * 10^ten, rounded once. The 64-bit product is too small by less than 8. false: this error could
   change the rounding, or the result is not a normal double. */
WSI_APART bool wsi_json_double(uint64_t digits, int64_t ten, double *value) {
    static const double exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    static const uint64_t large[] = { /* the highest 64 bits of 10^-342, 10^-323, ... 10^304 */
        0xeef453d6923bd65a, 0x818995ce7aa0e1b2, 0x8c71dcd9ba0b4925, 0x9845418c345644d6, 0xa5178fff668ae0b6,
        0xb2fe3f0b8599ef07, 0xc21094364dfb5636, 0xd267caa862a12d66, 0xe41f3d6a7377eeca, 0xf7549530e188c128,
        0x8613fd0145877585, 0x915e2486ef32cd60, 0x9d9ba7832936edc0, 0xaae103b5fcd2a881, 0xb94470938fa89bce,
        0xc8de047564d20a8b, 0xd9c7dced53c72255, 0xec1e4a7db69561a5, 0x8000000000000000, 0x8ac7230489e80000,
        0x96769950b50d88f4, 0xa321f2d7226895c7, 0xb0de65388cc8ada8, 0xbfc2ef456ae276e8, 0xcfe87f7cef46ff16,
        0xe16a1dc9d8545e94, 0xf46518c2ef5b8cd1, 0x847c9b5d7c2e09b7, 0x8fa475791a569d10, 0x9bbcc7a142b17ccb,
        0xa8d9d1535ce3b396, 0xb7118682dbb66a77, 0xc67bb4597ce2ce48, 0xd732290fbacaf133, 0xe950df20247c83fd,
    };
    if (digits <= (uint64_t)1 << 53 && ten >= -22 && ten <= 22) { /* both factors are exact */
        *value = ten < 0 ? (double)digits / exact[-ten] : (double)digits * exact[ten];
        return true;
    }
    *value = 0;
    if (!digits || ten < -342 || ten > 322)
        return !digits;
    int power = (int)ten + 342, step = power / 19;
    int two = (((step - 18) * 19 * 217706 + (1 << 30)) >> 16) - (1 << 14); /* 2^217706 is about 10^65536 */
    uint64_t high, low = wsi_json_multiply(digits, (uint64_t)exact[power % 19], &high);
    for (; !(high >> 63); two--) {
        high = high << 1 | low >> 63;
        low <<= 1;
    }
    (void)wsi_json_multiply(high, large[step], &high);
    int shift = high >> 63 ? 0 : 1;
    high <<= shift;
    two += 64 + 1 - shift + 11 + 52 + 1023;
    unsigned rest = high & 0x7ff; /* the bits below a double's 53 */
    if ((rest > 0x400 - 8 && rest <= 0x400) || two < 1 || two > 2045)
        return false;
    high = ((uint64_t)(two - 1) << 52) + (high >> 11) + (rest > 0x400);
    memcpy(value, &high, sizeof high);
    return true;
}
#endif

/* The absolute value of any number, by strtod. */
WSI_RARE double wsi_json_nearest(ws_json number) {
    wsi_json_decimal decimal;
    wsi_json_decimal_of(number, &decimal);
    int64_t ten = decimal.exponent > 9999 ? 9999 : decimal.exponent < -9999 ? -9999 : decimal.exponent;
    (void)snprintf(decimal.digits + decimal.count, 24, "e%d", (int)ten);
    return decimal.count ? strtod(decimal.digits, NULL) : 0; /* no decimal point: the locale does not matter */
}

WS_API bool ws_json_as_number(ws_json number, double *result) {
    double value;
    uint64_t digits;
    int64_t ten;
    if (number.type != WS_JSON_NUMBER || !number.size)
        return false;
    if (!wsi_json_short(number, &digits, &ten) || !wsi_json_double(digits, ten, &value))
        value = wsi_json_nearest(number);
    if (value > DBL_MAX)
        return false;
    *result = number.data[0] == '-' ? -value : value;
    return true;
}

WS_API bool ws_json_as_bool(ws_json boolean, bool *result) {
    if (boolean.type != WS_JSON_BOOL || !boolean.size)
        return false;
    *result = boolean.data[0] == 't';
    return true;
}

WS_API bool ws_json_text(ws_message message, const char *path, char *buffer, size_t size) {
    size_t needed = ws_json_as_text(ws_json_find(message, path), buffer, size);
    if (needed && needed <= size && strlen(buffer) == needed - 1)
        return true;
    if (size)
        buffer[0] = 0;
    return false;
}

WS_API bool ws_json_integer(ws_message message, const char *path, int64_t *integer) {
    return ws_json_as_integer(ws_json_find(message, path), integer);
}

WS_API bool ws_json_unsigned(ws_message message, const char *path, uint64_t *integer) {
    return ws_json_as_unsigned(ws_json_find(message, path), integer);
}

WS_API bool ws_json_number(ws_message message, const char *path, double *number) {
    return ws_json_as_number(ws_json_find(message, path), number);
}

WS_API bool ws_json_bool(ws_message message, const char *path, bool *boolean) {
    return ws_json_as_bool(ws_json_find(message, path), boolean);
}

static void wsi_json_put_escaped(wsi_printer *printer, uint8_t c) {
    static const char meanings[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\", hex[] = "0123456789abcdef";
    const char *meaning = strchr(meanings, c); /* c is never 0 */
    char text[6] = {'\\', 'u', '0', '0', 0, 0};
    text[4] = hex[c >> 4];
    text[5] = hex[c & 15];
    if (meaning)
        text[1] = letters[meaning - meanings];
    wsi_print_put(printer, text, meaning ? 2 : 6);
}

static void wsi_json_put_string(wsi_printer *printer, const char *text, size_t size) {
    const uint8_t *at = (const uint8_t *)text, *end = at + size;
    if (!wsi_utf8_valid(at, size))
        wsi_print_fail(printer, WS_ERROR_UTF8);
    wsi_print_put(printer, "\"", 1);
    while (at < end) {
        const uint8_t *stop = wsi_json_plain(at, end);
        wsi_print_put(printer, at, (size_t)(stop - at));
        if (stop < end)
            wsi_json_put_escaped(printer, *stop++);
        at = stop;
    }
    wsi_print_put(printer, "\"", 1);
}

/* Writes %s and %-s. Inside a string of the format they are errors, because their quotes would end it. */
static void wsi_json_put_text(wsi_printer *printer, const char *text, size_t size, bool raw) {
    if (printer->quote || (raw && !ws_json_valid(text, size)))
        wsi_print_fail(printer, WS_ERROR_FORMAT);
    else if (raw)
        wsi_print_put(printer, text, size);
    else
        wsi_json_put_string(printer, text, size);
}

/* Writes what a quote or backslash in the format means; returns the rest of the format. */
static const char *wsi_json_quote(wsi_printer *printer, const char *at) {
    char c = *at++;
    if (c == '\\' && *at == '\'') {
        wsi_print_put(printer, at++, 1);
    } else if (c == '\\') {
        wsi_print_put(printer, at - 1, *at ? 2 : 1);
        at += *at != 0;
    } else if (printer->quote && c != printer->quote) { /* the other kind of quote */
        wsi_print_put(printer, c == '"' ? "\\\"" : "'", c == '"' ? 2 : 1);
    } else {
        printer->quote = printer->quote ? 0 : c;
        wsi_print_put(printer, "\"", 1);
    }
    return at;
}

static const wsi_print_language wsi_json = {"%'\"\\", "null", wsi_json_put_text, wsi_json_quote, ws_json_valid};

WS_API size_t ws_json_vprint(char *buffer, size_t size, const char *format, va_list arguments) {
    return wsi_print_into(buffer, size, &wsi_json, format, arguments);
}

WS_API size_t ws_json_print(char *buffer, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t written = ws_json_vprint(buffer, size, format, arguments);
    va_end(arguments);
    return written;
}
#endif /* WS_NO_JSON */

#ifndef WS_NO_DEFLATE
/*
>> INFLATE ================================================================================
   Decompressor (RFC 1951) for permessage-deflate (RFC 7692 7.2.2). Calls BYTES.
   It can stop at any byte of input and output. The output, a whole message, is also the window. The history holds the
   bytes before it, from earlier messages. INFLATE accepts what zlib's does, except for distances beyond the
   agreed window, which are always an error.
*/

/* A table maps the next bits to an entry. Codes longer than the table's bits continue in a sub-table after the table.
   Bits of an entry: 0 to 5, the size of the code with its extra bits; 8 to 13, the size of the code alone; 6, 7, 14 and
   15, the marks below; from 16 on, a literal, or the base to which the extra bits are added. An entry that leads to a
   sub-table has the sub-table's bits at 8 and its index at 16. */
#define WSI_INFLATE_PREVIOUS 0x40u /* repeat the previous length, not a zero */
#define WSI_INFLATE_WRONG 0x80u    /* no such code, or a reserved symbol */
#define WSI_INFLATE_END 0x4000u    /* the block ends */
#define WSI_INFLATE_TABLE 0x8000u  /* continue in a sub-table */
#define WSI_INFLATE_LITERAL 0x80000000u

/* BITS: bits of a table's index. ROOM: the most entries with sub-tables, for 286 or 30 codes of 15 bits. */
enum {
    WSI_INFLATE_SYMBOLS = 288,
    WSI_INFLATE_LITERAL_BITS = 10,
    WSI_INFLATE_DISTANCE_BITS = 8,
    WSI_INFLATE_LENGTH_BITS = 7,
    WSI_INFLATE_LITERAL_ROOM = 1332,
    WSI_INFLATE_DISTANCE_ROOM = 400
};

typedef enum wsi_inflate_state {
    WSI_INFLATE_HEAD,     /* next: the three bits that begin a block */
    WSI_INFLATE_SIZES,    /* next: a stored block's size */
    WSI_INFLATE_STORED,   /* next: `length` more bytes of a stored block */
    WSI_INFLATE_COUNTS,   /* next: a dynamic block's numbers of codes */
    WSI_INFLATE_ORDER,    /* next: the lengths of the codes for lengths */
    WSI_INFLATE_LENGTHS,  /* next: the lengths of the codes */
    WSI_INFLATE_SYMBOL,   /* next: a literal, a length with its distance, or the end of the block */
    WSI_INFLATE_WRITE,    /* write the literal in `length` */
    WSI_INFLATE_COPY,     /* copy `length` bytes from `distance` bytes back */
    WSI_INFLATE_BROKEN
} wsi_inflate_state;

typedef struct wsi_inflate_source {
    uint64_t bits;           /* read from the input but not used yet, the next one lowest */
    uint32_t count;          /* the number of these bits; the bits above are 0, or the next input's */
    const uint8_t *in, *end; /* the input of this call that is not read yet */
} wsi_inflate_source;

/* Zeroed once; wsi_inflate_start begins each message. Tables of fixed codes stay until other codes replace them. */
typedef struct wsi_inflate {
    wsi_inflate_source source;
    wsi_inflate_state state;
    bool final; /* the block's BFINAL */
    bool fixed; /* the tables hold the fixed codes */
    uint32_t length, distance;
    uint32_t literal_codes, distance_codes, length_codes, have; /* have: lengths read so far */
    uint8_t lengths[320];
    uint32_t literals[WSI_INFLATE_LITERAL_ROOM]; /* while code lengths are read: the table of their codes */
    uint32_t distances[WSI_INFLATE_DISTANCE_ROOM];
} wsi_inflate;

/* The input and output of one call. Between calls the caller may move bytes from the front of out to the end of
   history, if their distances from the end of out stay the same. */
typedef struct wsi_inflate_io {
    const uint8_t *in; /* each call moves it past the bytes used */
    size_t in_size;
    uint8_t *out; /* out[0..out_size) is the message so far */
    size_t out_size, out_capacity;
    const uint8_t *history; /* the bytes before out[0], oldest first */
    size_t history_size;
    size_t window; /* the greatest distance */
} wsi_inflate_io;

typedef enum wsi_inflate_result {
    WSI_INFLATE_INPUT,  /* all input is used, and more is needed */
    WSI_INFLATE_OUTPUT, /* out is full, and there is more to write */
    WSI_INFLATE_DONE,   /* a block with BFINAL ended; another call reads a new block from the next byte */
    WSI_INFLATE_BAD,    /* invalid; stays so until wsi_inflate_start */
    WSI_INFLATE_NEXT    /* go to the next state; never returned by wsi_inflate_run */
} wsi_inflate_result;

static void wsi_inflate_start(wsi_inflate *z) {
    z->source.bits = 0;
    z->source.count = 0;
    z->state = WSI_INFLATE_HEAD;
    z->final = false;
}

/* Whether the input ended with a complete block and a complete byte. Otherwise the message is truncated. */
static bool wsi_inflate_ended(const wsi_inflate *z) { return z->state == WSI_INFLATE_HEAD && !z->source.count; }

/* --- bits --- */

/* Refills the bits. false: fewer than 48, the most that a length and a distance take. Unless careful, reads 8 bytes. */
WSI_INLINE bool wsi_inflate_refill(wsi_inflate_source *source, bool careful) {
    uint32_t count = source->count & 63;
    if (!careful || source->end - source->in >= 8) {
        source->bits |= wsi_bytes_little(source->in) << count;
        source->in += (63 - count) >> 3;
        source->count = count | 56;
        return true;
    }
    for (; count < 48 && source->in < source->end; count += 8)
        source->bits |= (uint64_t)*source->in++ << count;
    source->count = count;
    return count >= 48;
}

/* For the slow steps: one function for all, so that they stay small. */
WSI_APART void wsi_inflate_more(wsi_inflate_source *source) { (void)wsi_inflate_refill(source, true); }

/* Makes sure that at least `count` bits, up to 32, are there. false: input is missing. */
static bool wsi_inflate_need(wsi_inflate_source *source, uint32_t count) {
    if (source->count < count)
        wsi_inflate_more(source);
    return source->count >= count;
}

static uint32_t wsi_inflate_take(wsi_inflate_source *source, uint32_t count) {
    uint32_t value = (uint32_t)(source->bits & (((uint64_t)1 << count) - 1));
    source->bits >>= count;
    source->count -= count;
    return value;
}

/* Returns unused whole bytes to the input. They were all read in this call: the previous call left fewer bits than its
   next step needed, and that step has used them. */
static void wsi_inflate_return(wsi_inflate_source *source) {
    source->in -= source->count >> 3;
    source->count &= 7;
    source->bits &= ((uint64_t)1 << source->count) - 1;
}

/* --- tables --- */

static inline uint32_t wsi_inflate_find(const uint32_t *table, uint32_t table_bits, uint64_t bits) {
    uint32_t entry = table[bits & (((uint64_t)1 << table_bits) - 1)];
    if (entry & WSI_INFLATE_TABLE)
        entry = table[(entry >> 16) + (bits >> table_bits & (((uint64_t)1 << (entry >> 8 & 63)) - 1))];
    return entry;
}

/* The entry's base plus the extra bits, which follow the code. */
static inline uint32_t wsi_inflate_value(uint32_t entry, uint64_t bits) {
    return (entry >> 16) + (uint32_t)((bits & (((uint64_t)1 << (entry & 63)) - 1)) >> (entry >> 8 & 63));
}

/* Finds the entry of the code after `skip` bits. 0: input is missing. A look-up with too few bits finds an entry as
   well, which is valid only if it needs no more bits than there are. */
static inline uint32_t wsi_inflate_peek(wsi_inflate_source *source, const uint32_t *table, uint32_t table_bits,
                                        uint32_t skip) {
    uint32_t entry = wsi_inflate_find(table, table_bits, source->bits >> skip);
    if ((entry & 63) + skip > source->count) {
        wsi_inflate_more(source);
        entry = wsi_inflate_find(table, table_bits, source->bits >> skip);
    }
    return (entry & 63) + skip <= source->count ? entry : 0;
}

/* What symbols mean: those below `plain` are literals, the others have a base, and extra bits or marks. */
typedef struct wsi_inflate_alphabet {
    uint32_t plain, bits; /* bits: bits of the table's index */
    const uint16_t *bases, *marks;
} wsi_inflate_alphabet;

static uint32_t wsi_inflate_entry(const wsi_inflate_alphabet *alphabet, uint32_t symbol, uint32_t length) {
    uint32_t other = symbol - alphabet->plain;
    uint32_t entry = symbol < alphabet->plain ? WSI_INFLATE_LITERAL | symbol << 16
                                              : (uint32_t)alphabet->bases[other] << 16 | alphabet->marks[other];
    return entry + length + (length << 8);
}

/* Returns the code after `code`. Codes are reversed here: their first bit is the lowest. To add one, the highest zero
   becomes one, and the ones above it become zero. There is no branch, which would be unpredictable. */
static inline uint32_t wsi_inflate_after(uint32_t code, uint32_t length) {
    uint32_t below = ~code & (((uint32_t)1 << length) - 1); /* in the end: ones from the highest zero downward */
    below |= below >> 1;
    below |= below >> 2;
    below |= below >> 4;
    below |= below >> 8;
    return (code & below) | (below ^ below >> 1);
}

/* The bits of a sub-table that begins with the last `left` codes of this length; longer codes fill the rest. */
static uint32_t wsi_inflate_sub_bits(const uint16_t *counts, uint32_t table_bits, uint32_t length, uint32_t left) {
    uint32_t bits = length - table_bits;
    while (left < (uint32_t)1 << bits)
        left = left * 2 + counts[table_bits + ++bits];
    return bits;
}

/* Adds the codes longer than the table's bits: one sub-table for each common prefix. */
static void wsi_inflate_build_rest(uint32_t *table, uint32_t table_bits, const uint16_t *counts, uint32_t code,
                                   const uint16_t *symbols, const wsi_inflate_alphabet *alphabet) {
    uint32_t length, left, begin = UINT32_MAX, from = 0, bits = 0, end = (uint32_t)1 << table_bits;
    for (length = table_bits + 1; length <= 15; length++)
        for (left = counts[length]; left; left--) {
            uint32_t at, step = (uint32_t)1 << (length - table_bits);
            if ((code & (((uint32_t)1 << table_bits) - 1)) != begin) {
                begin = code & (((uint32_t)1 << table_bits) - 1);
                bits = wsi_inflate_sub_bits(counts, table_bits, length, left);
                from = end;
                end += (uint32_t)1 << bits;
                table[begin] = WSI_INFLATE_TABLE | from << 16 | bits << 8;
            }
            for (at = code >> table_bits; at < (uint32_t)1 << bits; at += step)
                table[from + at] = wsi_inflate_entry(alphabet, *symbols, length);
            symbols++;
            code = wsi_inflate_after(code, length);
        }
}

/* Counts the codes of each length, and sorts the symbols in use by length. Returns the greatest length; 16: the code is
   over-subscribed or incomplete. Having no code is allowed, as is a single code of one bit. */
static uint32_t wsi_inflate_sort(uint16_t *counts, uint16_t *symbols, const uint8_t *lengths, uint32_t size) {
    uint16_t next[16], used[WSI_INFLATE_SYMBOLS];
    uint32_t i, all = 0, left = 1, greatest = 0;
    memset(counts, 0, 16 * sizeof *counts);
    for (i = 0; i < size; i++) { /* no branch: which symbols have a code is random */
        used[all] = (uint16_t)i;
        all += lengths[i] != 0;
    }
    for (i = 0; i < all; i++)
        counts[lengths[used[i]]]++;
    next[0] = 0;
    for (i = 1; i <= 15; i++) {
        if (counts[i] > left * 2)
            return 16;
        left = left * 2 - counts[i];
        if (counts[i])
            greatest = i;
        next[i] = (uint16_t)(next[i - 1] + counts[i - 1]);
    }
    if (left && greatest > 1)
        return 16;
    for (i = 0; i < all; i++)
        symbols[next[lengths[used[i]]]++] = used[i];
    return greatest;
}

/* Builds the table of codes with these lengths (RFC 1951 3.2.2). Each further bit doubles it. false: invalid. */
static bool wsi_inflate_build(uint32_t *table, const uint8_t *lengths, uint32_t size,
                              const wsi_inflate_alphabet *alphabet) {
    uint16_t counts[16], symbols[WSI_INFLATE_SYMBOLS];
    const uint16_t *symbol = symbols;
    uint32_t length, left, code = 0, greatest = wsi_inflate_sort(counts, symbols, lengths, size);
    if (greatest > 15)
        return false;
    table[0] = WSI_INFLATE_WRONG | 1; /* remains if there is no code, or only one */
    for (length = 1; length <= alphabet->bits; length++) {
        uint32_t half = (uint32_t)1 << (length - 1);
        memcpy(table + half, table, half * sizeof *table);
        for (left = counts[length]; left; left--) {
            table[code] = wsi_inflate_entry(alphabet, *symbol++, length);
            code = wsi_inflate_after(code, length);
        }
    }
    if (greatest > alphabet->bits)
        wsi_inflate_build_rest(table, alphabet->bits, counts, code, symbol, alphabet);
    return true;
}

/* Builds both tables from z->lengths (RFC 1951 3.2.5). */
static bool wsi_inflate_build_both(wsi_inflate *z) {
    static const uint16_t lengths[32] = {0,  3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23,  27,
                                         31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258, 0,   0};
    static const uint16_t extra[32] = {WSI_INFLATE_END, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
                                       4, 4, 4, 4, 5, 5, 5, 5, 0, WSI_INFLATE_WRONG, WSI_INFLATE_WRONG};
    static const uint16_t distances[32] = {1,   2,   3,   4,    5,    7,    9,    13,   17,   25,   33,
                                           49,  65,  97,  129,  193,  257,  385,  513,  769,  1025, 1537,
                                           2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577, 0, 0};
    static const uint16_t distance_extra[32] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6, 6,
                                                7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
                                                WSI_INFLATE_WRONG, WSI_INFLATE_WRONG};
    static const wsi_inflate_alphabet literal = {256, WSI_INFLATE_LITERAL_BITS, lengths, extra};
    static const wsi_inflate_alphabet distance = {0, WSI_INFLATE_DISTANCE_BITS, distances, distance_extra};
    return wsi_inflate_build(z->literals, z->lengths, z->literal_codes, &literal)
           && wsi_inflate_build(z->distances, z->lengths + z->literal_codes, z->distance_codes, &distance);
}

/* --- start and end of a block --- */

static void wsi_inflate_fix(wsi_inflate *z) {
    if (!z->fixed) {
        memset(z->lengths, 8, 288);
        memset(z->lengths + 144, 9, 112);
        memset(z->lengths + 256, 7, 24);
        memset(z->lengths + 288, 5, 32);
        z->literal_codes = 288;
        z->distance_codes = 32;
        z->fixed = wsi_inflate_build_both(z);
    }
}

static wsi_inflate_result wsi_inflate_head(wsi_inflate *z) {
    if (!wsi_inflate_need(&z->source, 3))
        return WSI_INFLATE_INPUT;
    z->final = wsi_inflate_take(&z->source, 1) != 0;
    uint32_t type = wsi_inflate_take(&z->source, 2);
    if (type == 3)
        return WSI_INFLATE_BAD;
    z->state = type == 0 ? WSI_INFLATE_SIZES : type == 1 ? WSI_INFLATE_SYMBOL : WSI_INFLATE_COUNTS;
    if (type == 1)
        wsi_inflate_fix(z);
    if (type == 0) {
        wsi_inflate_return(&z->source);
        (void)wsi_inflate_take(&z->source, z->source.count); /* the rest of the byte */
    }
    return WSI_INFLATE_NEXT;
}

static wsi_inflate_result wsi_inflate_end(wsi_inflate *z) {
    z->state = WSI_INFLATE_HEAD;
    if (!z->final)
        return WSI_INFLATE_NEXT;
    wsi_inflate_return(&z->source);
    wsi_inflate_start(z);
    return WSI_INFLATE_DONE;
}

static wsi_inflate_result wsi_inflate_sizes(wsi_inflate *z) {
    if (!wsi_inflate_need(&z->source, 32))
        return WSI_INFLATE_INPUT;
    z->length = wsi_inflate_take(&z->source, 16);
    if (wsi_inflate_take(&z->source, 16) != (z->length ^ 0xffff))
        return WSI_INFLATE_BAD;
    wsi_inflate_return(&z->source);
    z->state = WSI_INFLATE_STORED;
    return WSI_INFLATE_NEXT;
}

static wsi_inflate_result wsi_inflate_stored(wsi_inflate *z, wsi_inflate_io *io) {
    wsi_inflate_source *source = &z->source;
    size_t room = io->out_capacity - io->out_size, left = (size_t)(source->end - source->in), part = z->length;
    if (!z->length)
        return wsi_inflate_end(z);
    if (!left || !room)
        return left ? WSI_INFLATE_OUTPUT : WSI_INFLATE_INPUT;
    part = part < room ? part : room;
    part = part < left ? part : left;
    memcpy(io->out + io->out_size, source->in, part);
    source->in += part;
    io->out_size += part;
    z->length -= (uint32_t)part;
    return WSI_INFLATE_NEXT;
}

/* Reads the numbers of codes of a dynamic block (RFC 1951 3.2.7). */
static wsi_inflate_result wsi_inflate_counts(wsi_inflate *z) {
    if (!wsi_inflate_need(&z->source, 14))
        return WSI_INFLATE_INPUT;
    z->literal_codes = wsi_inflate_take(&z->source, 5) + 257;
    z->distance_codes = wsi_inflate_take(&z->source, 5) + 1;
    z->length_codes = wsi_inflate_take(&z->source, 4) + 4;
    if (z->literal_codes > 286 || z->distance_codes > 30)
        return WSI_INFLATE_BAD;
    memset(z->lengths, 0, 19);
    z->have = 0;
    z->fixed = false;
    z->state = WSI_INFLATE_ORDER;
    return WSI_INFLATE_NEXT;
}

/* The order in which the lengths of the codes for lengths are sent (RFC 1951 3.2.7). */
static const uint8_t wsi_inflate_lengths_order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

static wsi_inflate_result wsi_inflate_order(wsi_inflate *z) {
    static const uint16_t repeats[3] = {3, 3, 11}, extra[3] = {2 | WSI_INFLATE_PREVIOUS, 3, 7};
    static const wsi_inflate_alphabet alphabet = {16, WSI_INFLATE_LENGTH_BITS, repeats, extra};
    for (; z->have < z->length_codes; z->have++) {
        if (!wsi_inflate_need(&z->source, 3))
            return WSI_INFLATE_INPUT;
        z->lengths[wsi_inflate_lengths_order[z->have]] = (uint8_t)wsi_inflate_take(&z->source, 3);
    }
    if (!wsi_inflate_build(z->literals, z->lengths, 19, &alphabet)
        || (z->literals[0] | z->literals[1]) & WSI_INFLATE_WRONG) /* the code for lengths must be complete */
        return WSI_INFLATE_BAD;
    z->have = 0;
    z->state = WSI_INFLATE_LENGTHS;
    return WSI_INFLATE_NEXT;
}

static wsi_inflate_result wsi_inflate_lengths(wsi_inflate *z) {
    uint32_t all = z->literal_codes + z->distance_codes;
    while (z->have < all) {
        uint32_t times, entry = wsi_inflate_peek(&z->source, z->literals, WSI_INFLATE_LENGTH_BITS, 0);
        uint8_t length = 0;
        if (!entry)
            return WSI_INFLATE_INPUT;
        if (entry & WSI_INFLATE_LITERAL) {
            z->lengths[z->have++] = entry >> 16 & 15;
            (void)wsi_inflate_take(&z->source, entry & 63);
            continue;
        }
        times = wsi_inflate_value(entry, z->source.bits);
        (void)wsi_inflate_take(&z->source, entry & 63);
        if (times > all - z->have || (!z->have && entry & WSI_INFLATE_PREVIOUS))
            return WSI_INFLATE_BAD;
        if (entry & WSI_INFLATE_PREVIOUS)
            length = z->lengths[z->have - 1];
        memset(z->lengths + z->have, length, times);
        z->have += times;
    }
    if (!z->lengths[256]) /* without it the block could not end */
        return WSI_INFLATE_BAD;
    z->state = WSI_INFLATE_SYMBOL;
    return wsi_inflate_build_both(z) ? WSI_INFLATE_NEXT : WSI_INFLATE_BAD;
}

/* --- symbols --- */

/* Copies `length` bytes from `distance` bytes back, or as many as fit. */
static wsi_inflate_result wsi_inflate_copy(wsi_inflate *z, wsi_inflate_io *io) {
    size_t room = io->out_capacity - io->out_size, left = z->length < room ? z->length : room;
    size_t before = z->distance > io->out_size ? z->distance - io->out_size : 0; /* how far into the history */
    z->state = WSI_INFLATE_COPY;
    if (z->distance > io->window || before > io->history_size)
        return WSI_INFLATE_BAD;
    if (!left)
        return WSI_INFLATE_OUTPUT;
    uint8_t *to = io->out + io->out_size;
    io->out_size += left;
    z->length -= (uint32_t)left;
    if (before) {
        size_t part = left < before ? left : before;
        memcpy(to, io->history + io->history_size - before, part);
        to += part;
        left -= part;
    }
    if (left) { /* the copy is itself a source, so each part may be twice as large as the last */
        const uint8_t *from = to - z->distance;
        for (; left; ) {
            size_t gap = (size_t)(to - from), part = gap < left ? gap : left;
            memcpy(to, from, part);
            to += part;
            left -= part;
        }
    }
    if (z->length)
        return WSI_INFLATE_OUTPUT;
    z->state = WSI_INFLATE_SYMBOL;
    return WSI_INFLATE_NEXT;
}

static wsi_inflate_result wsi_inflate_write(wsi_inflate *z, wsi_inflate_io *io) {
    if (io->out_size == io->out_capacity)
        return WSI_INFLATE_OUTPUT;
    io->out[io->out_size++] = (uint8_t)z->length;
    z->state = WSI_INFLATE_SYMBOL;
    return WSI_INFLATE_NEXT;
}

WSI_INLINE void wsi_inflate_skip(wsi_inflate_source *source, uint32_t entry) {
    source->bits >>= entry & 63;
    source->count -= entry;
}

/* Copies at least 32 bytes, up to 31 more than `length`. `from` is at least 16 bytes before `to`. */
WSI_INLINE void wsi_inflate_words(uint8_t *to, const uint8_t *from, uint32_t length) {
    const uint8_t *end = to + length;
    do {
        memcpy(to, from, 16);
        memcpy(to + 16, from + 16, 16);
        to += 32;
        from += 32;
    } while (to < end);
}

/* The most that one round of the loop reads and writes: two words; two literals, the longest match, 31 bytes more. */
enum { WSI_INFLATE_ROUND_IN = 16, WSI_INFLATE_ROUND_OUT = 2 + 258 + 31 };

/* Runs while there is input and room for a round or, if careful, for 48 bits and two literals. It leaves all but
   literals and matches to the slow steps. It looks up the next entry before it copies a match. */
WSI_INLINE wsi_inflate_result wsi_inflate_loop(wsi_inflate *z, wsi_inflate_io *io, bool careful) {
    wsi_inflate_source source = z->source; /* a copy, which stays in registers */
    const wsi_inflate_io base = *io; /* a local copy: the compiler knows that written bytes cannot change it */
    const uint32_t literal_mask = ((uint32_t)1 << WSI_INFLATE_LITERAL_BITS) - 1;
    uint8_t *out = base.out + base.out_size, *out_end = base.out + base.out_capacity;
    const uint8_t *history_end = base.history_size ? base.history + base.history_size : NULL;
    const uint8_t *in_last = source.end - (careful ? 0 : WSI_INFLATE_ROUND_IN);
    const uint8_t *out_last = out_end - (careful ? 2 : WSI_INFLATE_ROUND_OUT);
    wsi_inflate_result result = WSI_INFLATE_NEXT;
    bool more = wsi_inflate_refill(&source, careful);
    uint32_t entry = z->literals[source.bits & literal_mask], length, distance;
    while (more && out <= out_last && source.in <= in_last) {
        if (entry & WSI_INFLATE_LITERAL) { /* two literals take at most 30 bits, so no refill is needed between them */
            wsi_inflate_skip(&source, entry);
            *out++ = (uint8_t)(entry >> 16);
            entry = z->literals[source.bits & literal_mask];
            if (entry & WSI_INFLATE_LITERAL) {
                wsi_inflate_skip(&source, entry);
                *out++ = (uint8_t)(entry >> 16);
                entry = z->literals[source.bits & literal_mask];
            }
            more = wsi_inflate_refill(&source, careful);
            if (!more || entry & WSI_INFLATE_LITERAL)
                continue;
        }
        if (entry & (WSI_INFLATE_TABLE | WSI_INFLATE_END | WSI_INFLATE_WRONG)) {
            entry = wsi_inflate_find(z->literals, WSI_INFLATE_LITERAL_BITS, source.bits);
            if (entry & WSI_INFLATE_LITERAL)
                continue; /* the next round writes the literal */
            if (entry & (WSI_INFLATE_END | WSI_INFLATE_WRONG))
                break;
        }
        length = wsi_inflate_value(entry, source.bits);
        wsi_inflate_skip(&source, entry);
        entry = wsi_inflate_find(z->distances, WSI_INFLATE_DISTANCE_BITS, source.bits);
        if (entry & WSI_INFLATE_WRONG) {
            result = WSI_INFLATE_BAD;
            break;
        }
        distance = wsi_inflate_value(entry, source.bits);
        wsi_inflate_skip(&source, entry);
        more = wsi_inflate_refill(&source, careful);
        entry = z->literals[source.bits & literal_mask];
        if (distance >= 16 && distance <= base.window && (!careful || (size_t)(out_end - out) >= length + 31)) {
            size_t before = distance - (size_t)(out - base.out); /* bytes of the match that lie in the history */
            if ((ptrdiff_t)before <= 0 || (before <= base.history_size && before >= (size_t)length + 31)) {
                wsi_inflate_words(out, (ptrdiff_t)before <= 0 ? out - distance : history_end - before, length);
                out += length;
                continue;
            }
        }
        z->length = length;
        z->distance = distance;
        io->out_size = (size_t)(out - io->out);
        result = wsi_inflate_copy(z, io);
        out = io->out + io->out_size;
        if (result != WSI_INFLATE_NEXT)
            break;
    }
    io->out_size = (size_t)(out - io->out);
    source.count &= 63;
    z->source = source;
    return result;
}

static wsi_inflate_result wsi_inflate_symbol(wsi_inflate *z, wsi_inflate_io *io) {
    wsi_inflate_result result = WSI_INFLATE_NEXT;
    size_t room = io->out_capacity - io->out_size, left = (size_t)(z->source.end - z->source.in);
    if (left >= WSI_INFLATE_ROUND_IN && room >= WSI_INFLATE_ROUND_OUT)
        result = wsi_inflate_loop(z, io, false);
    else if (left + (z->source.count >> 3) >= 6 && room >= 2)
        result = wsi_inflate_loop(z, io, true);
    if (result != WSI_INFLATE_NEXT)
        return result;
    uint32_t entry = wsi_inflate_peek(&z->source, z->literals, WSI_INFLATE_LITERAL_BITS, 0), size = entry & 63;
    if (!entry)
        return WSI_INFLATE_INPUT;
    if (entry & WSI_INFLATE_LITERAL) {
        (void)wsi_inflate_take(&z->source, size);
        z->length = entry >> 16 & 255;
        z->state = WSI_INFLATE_WRITE;
        return wsi_inflate_write(z, io);
    }
    if (entry & WSI_INFLATE_WRONG)
        return WSI_INFLATE_BAD;
    if (entry & WSI_INFLATE_END) {
        (void)wsi_inflate_take(&z->source, size);
        return wsi_inflate_end(z);
    }
    uint32_t other = wsi_inflate_peek(&z->source, z->distances, WSI_INFLATE_DISTANCE_BITS, size);
    if (!other || other & WSI_INFLATE_WRONG)
        return other ? WSI_INFLATE_BAD : WSI_INFLATE_INPUT;
    z->length = wsi_inflate_value(entry, z->source.bits);
    (void)wsi_inflate_take(&z->source, size);
    z->distance = wsi_inflate_value(other, z->source.bits);
    (void)wsi_inflate_take(&z->source, other & 63);
    return wsi_inflate_copy(z, io);
}

/* Runs until it needs input or room, or a final block ends. After DONE or OUTPUT call it again to continue. */
static wsi_inflate_result wsi_inflate_run(wsi_inflate *z, wsi_inflate_io *io) {
    wsi_inflate_result result = WSI_INFLATE_NEXT;
    z->source.in = io->in;
    z->source.end = io->in_size ? io->in + io->in_size : io->in; /* no input may be NULL */
    while (result == WSI_INFLATE_NEXT) {
        switch (z->state) {
        case WSI_INFLATE_HEAD: result = wsi_inflate_head(z); break;
        case WSI_INFLATE_SIZES: result = wsi_inflate_sizes(z); break;
        case WSI_INFLATE_STORED: result = wsi_inflate_stored(z, io); break;
        case WSI_INFLATE_COUNTS: result = wsi_inflate_counts(z); break;
        case WSI_INFLATE_ORDER: result = wsi_inflate_order(z); break;
        case WSI_INFLATE_LENGTHS: result = wsi_inflate_lengths(z); break;
        case WSI_INFLATE_SYMBOL: result = wsi_inflate_symbol(z, io); break;
        case WSI_INFLATE_WRITE: result = wsi_inflate_write(z, io); break;
        case WSI_INFLATE_COPY: result = wsi_inflate_copy(z, io); break;
        default: result = WSI_INFLATE_BAD; break;
        }
    }
    if (result == WSI_INFLATE_OUTPUT)
        wsi_inflate_return(&z->source);
    if (result == WSI_INFLATE_BAD)
        z->state = WSI_INFLATE_BROKEN;
    io->in = z->source.in;
    io->in_size = (size_t)(z->source.end - z->source.in);
    return result;
}

/*
>> DEFLATE ================================================================================
   Compressor for permessage-deflate (RFC 7692 7.2.1, RFC 1951). Calls BYTES, INFLATE.

   Levels: 0 or less takes the least memory, 1 to 5 are fast, 6 to 8 compress well, 9 compresses best. The state takes
   3.5 KiB. For the tables and the window see ws_deflate_config and wsi_deflate_size.

   Positions are numbered modulo 65536, twice the largest window. A stale number in a table points to another place in
   the window, or outside it. That costs one comparison, as the bytes are always compared; so no table is moved or
   cleared as the window slides.
   Without takeover the message is its own window. Its positions follow those of the previous message, so that no match
   can reach that message, and the output depends on this one alone. When the numbers run out, the tables are cleared.
   With takeover a message is copied, in portions, after the history. When the buffer is full, its last
   `reach` bytes move to the front.
*/

enum {
    WSI_DEFLATE_LITERALS = 286, /* symbols: bytes, 256 for the end of a block, and lengths from 257 on */
    WSI_DEFLATE_DISTANCES = 30,
    WSI_DEFLATE_SYMBOLS = 288 + 32, /* symbols of both kinds; those of distances begin at 288 */
    WSI_DEFLATE_END = 256,
    WSI_DEFLATE_LONGEST = 258,
    WSI_DEFLATE_THREE_BITS = 12,
    WSI_DEFLATE_NEAR = 2048, /* a three-byte match from farther away often takes more bits than literals */
    WSI_DEFLATE_STEP = 30000 /* bytes per step. A block also ends after so many literals, as counts have 16 bits */
};

typedef struct wsi_deflate wsi_deflate;

typedef struct wsi_deflate_level {
    uint8_t level;
    bool chains;         /* links all places with the same hash; else only the last one is known */
    uint8_t hash_bits;   /* a table has 1 << hash_bits entries; for a small window, fewer */
    uint16_t matches;    /* the most matches in a block */
    uint16_t depth;      /* the most places that a search compares */
    uint16_t good;       /* a match this long is taken without a search at the next byte */
    uint16_t nice;       /* a match this long ends the search */
} wsi_deflate_level;

static const wsi_deflate_level wsi_deflate_levels[] = {
    {0, false, 10, 256, 1, 0, 258},
    {1, false, 14, 2048, 1, 0, 258},
    {6, true, 14, 4096, 64, 32, 128},
    {9, true, 14, 4096, 300, 258, 258},
};

typedef struct wsi_deflate_match { /* a match, and the number of literals before it */
    uint16_t literals, length, token, distance; /* token: see wsi_deflate_length_token; distance: stored minus 1 */
} wsi_deflate_match;

typedef struct wsi_deflate_bits {
    uint64_t bits; /* bits still to write, the lowest first */
    unsigned count;
    uint8_t *at;
} wsi_deflate_bits;

struct wsi_deflate {
    const wsi_deflate_level *level;
    uint8_t *window;       /* with takeover: room for `reach` bytes and a portion of half as many */
    size_t filled;         /* bytes in the window */
    uint32_t reach;        /* the largest distance */
    uint32_t base;         /* the position number of data[0] */
    const uint8_t *data;   /* where the history begins */
    uint16_t *heads;       /* for each hash of four bytes, its last position */
    uint16_t *links;       /* with chains: for each position, the distance back to the last one of the same hash */
    uint16_t *threes;      /* for each hash of three bytes, its last position */
    unsigned hash_shift;   /* 32 minus the bits of a hash */
    size_t size;           /* bytes of the state and of all that follows it in memory */
    wsi_deflate_match *matches;
    size_t used;           /* number of matches */
    uint32_t literals;     /* number of literals since the last match */
    uint32_t plain;        /* number of all literals in the block */
    uint32_t extra;        /* extra bits of all matches in the block */
    wsi_deflate_bits out;
    uint8_t *limit;
    uint16_t frequency[WSI_DEFLATE_SYMBOLS];
    uint16_t codes[WSI_DEFLATE_SYMBOLS]; /* the first bit of each is the lowest */
    uint8_t lengths[WSI_DEFLATE_SYMBOLS]; /* lengths of the codes; 0: the symbol is not in use */
    uint16_t first[WSI_DEFLATE_LITERALS], second[WSI_DEFLATE_LITERALS]; /* scratch space while codes are built */
    uint16_t weights[WSI_DEFLATE_LITERALS];
};

/* --- numbers and bits --- */

#if defined(__GNUC__)
static unsigned wsi_deflate_log2(uint32_t number) { return 31u - (unsigned)__builtin_clz(number); }
#else
static unsigned wsi_deflate_log2(uint32_t number) {
    unsigned bits = 0;
    while (number >>= 1)
        bits++;
    return bits;
}
#endif

static uint32_t wsi_deflate_four(const uint8_t *at) { /* compiles to one load */
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* How many extra bits each length symbol has: the lowest of length - 3. The others give the symbol (RFC 1951 3.2.5). */
static const uint8_t wsi_deflate_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                              2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};

/* A length's token: its symbol, and its extra bits << 9. */
static unsigned wsi_deflate_length_token(unsigned length) {
    unsigned value = length - 3, extra = wsi_deflate_log2(value | 4) - 2;
    if (length == WSI_DEFLATE_LONGEST)
        return 285;
    return 257 + extra * 4 + (value >> extra) + ((value & ((1u << extra) - 1)) << 9);
}

static unsigned wsi_deflate_distance_extra(unsigned value) { return wsi_deflate_log2(value | 2) - 1; }

static unsigned wsi_deflate_distance_symbol(unsigned value, unsigned extra) {
    return 288 + extra * 2 + (value >> extra);
}

/* A flush leaves at most 7 bits, so up to 56 may be put before the next one. */
WSI_INLINE void wsi_deflate_put(wsi_deflate_bits *out, uint32_t bits, unsigned count) {
    out->bits |= (uint64_t)bits << out->count;
    out->count += count;
}

/* Writes 8 bytes; the next flush overwrites those that are not complete yet. */
WSI_INLINE void wsi_deflate_flush(wsi_deflate_bits *out) {
    uint64_t bits = out->bits;
    bits = wsi_bytes_little((const uint8_t *)&bits); /* the lowest byte comes first in memory, on any machine */
    memcpy(out->at, &bits, 8);
    out->at += out->count >> 3;
    out->bits >>= out->count & 56;
    out->count &= 7;
}

/* --- Huffman codes --- */

/* Lists the symbols in use, rarest first, in `first`: a radix sort by six bits of the frequency at a time. */
static unsigned wsi_deflate_sort(wsi_deflate *z, const uint16_t *frequency, unsigned symbols) {
    unsigned count = 0, all = 0, shift, i;
    for (i = 0; i < symbols; i++)
        if (frequency[i]) {
            z->first[count++] = (uint16_t)i;
            all |= frequency[i];
        } else if (symbols - i > 4 && !wsi_bytes_word((const uint8_t *)(frequency + i))) {
            i += 3; /* most symbols are not in use */
        }
    for (shift = 0; all >> shift; shift += 6) {
        uint16_t places[65] = {0};
        for (i = 0; i < count; i++)
            places[(frequency[z->first[i]] >> shift & 63) + 1]++;
        for (i = 1; i < 64; i++)
            places[i] = (uint16_t)(places[i] + places[i - 1]);
        for (i = 0; i < count; i++)
            z->second[places[frequency[z->first[i]] >> shift & 63]++] = z->first[i];
        memcpy(z->first, z->second, count * sizeof *z->first);
    }
    return count;
}

/* Builds Huffman's tree over the sorted symbols. It joins the two lightest leaves or nodes until one node is left. Both
   lists are sorted by weight. `second` receives each node's parent. The root is node `count - 2`. */
static void wsi_deflate_tree(wsi_deflate *z, const uint16_t *frequency, unsigned count) {
    unsigned leaf = 0, node = 0, made, child;
    for (made = 0; made < count - 1; made++) {
        unsigned weight = 0;
        for (child = 0; child < 2; child++)
            if (node == made || (leaf < count && frequency[z->first[leaf]] <= z->weights[node])) {
                weight += frequency[z->first[leaf++]];
            } else {
                weight += z->weights[node];
                z->second[node++] = (uint16_t)made;
            }
        z->weights[made] = (uint16_t)weight;
    }
}

/* Counts the codes of each length. From the root on, each node replaces a leaf at its depth with two leaves one level
   deeper. A node beyond the limit replaces the deepest leaf within the limit, so that the code stays complete. */
static void wsi_deflate_lengths(wsi_deflate *z, unsigned count, unsigned limit, unsigned lengths[16]) {
    unsigned node, depth;
    memset(lengths, 0, 16 * sizeof *lengths);
    lengths[1] = 2;
    z->second[count - 2] = 0; /* from here on `second` is each node's depth */
    for (node = count - 2; node--;) {
        depth = z->second[z->second[node]] + 1u;
        z->second[node] = (uint16_t)depth;
        depth = depth < limit ? depth : limit - 1;
        while (!lengths[depth])
            depth--;
        lengths[depth]--;
        lengths[depth + 1] += 2;
    }
}

static uint16_t wsi_deflate_reversed(uint32_t code, unsigned length) {
    code = (code & 0x5555) << 1 | (code >> 1 & 0x5555);
    code = (code & 0x3333) << 2 | (code >> 2 & 0x3333);
    code = (code & 0x0f0f) << 4 | (code >> 4 & 0x0f0f);
    code = (code & 0xff) << 8 | code >> 8;
    return (uint16_t)(code >> (16 - length));
}

/* Makes codes of at most `limit` bits (RFC 1951 3.2.2) for the symbols in use, and for at least two, so that every code
   is complete. Returns the number of bits for all symbols. */
static uint32_t wsi_deflate_codes(wsi_deflate *z, uint16_t *frequency, uint16_t *codes, uint8_t *lengths,
                                  unsigned symbols, unsigned limit) {
    unsigned many[16], next[16], count = wsi_deflate_sort(z, frequency, symbols), length, i, place = 0;
    uint32_t bits = 0;
    memset(lengths, 0, symbols);
    for (; count < 2; bits--) { /* adds an unused symbol; its code has one bit, which must not count */
        frequency[frequency[0] ? 1 : 0] = 1;
        count = wsi_deflate_sort(z, frequency, symbols);
    }
    wsi_deflate_tree(z, frequency, count);
    wsi_deflate_lengths(z, count, limit, many);
    for (length = limit; length; length--)
        for (i = 0; i < many[length]; i++, place++) {
            lengths[z->first[place]] = (uint8_t)length;
            bits += length * frequency[z->first[place]];
        }
    next[1] = 0;
    for (length = 2; length <= limit; length++)
        next[length] = (next[length - 1] + many[length - 1]) << 1;
    for (i = 0; i < symbols; i++)
        if (lengths[i])
            codes[i] = wsi_deflate_reversed(next[lengths[i]]++, lengths[i]);
        else if (symbols - i > 8 && !wsi_bytes_word(lengths + i))
            i += 7;
    return bits;
}

/* The codes of a fixed block (RFC 1951 3.2.6) for the symbols in use. */
static void wsi_deflate_fixed_codes(wsi_deflate *z) {
    for (unsigned i = 0; i < WSI_DEFLATE_LITERALS; i++) {
        unsigned code = i < 144 ? 0x30 + i : i < 256 ? 0x190 + i - 144 : i < 280 ? i - 256 : 0xc0 + i - 280;
        if (!z->frequency[i])
            continue;
        z->lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
        z->codes[i] = wsi_deflate_reversed(code, z->lengths[i]);
    }
    for (unsigned i = 0; i < WSI_DEFLATE_DISTANCES; i++) {
        z->lengths[288 + i] = 5;
        z->codes[288 + i] = wsi_deflate_reversed(i, 5);
    }
}

WSI_INLINE uint32_t wsi_deflate_sum(const uint16_t *frequency, unsigned count) {
    uint32_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += frequency[i];
    return sum;
}

/* --- blocks --- */

typedef struct wsi_deflate_head { /* the head of a dynamic block (RFC 1951 3.2.7) */
    unsigned literals, distances, orders; /* how many lengths of each kind are sent */
    unsigned count;
    uint16_t items[WSI_DEFLATE_LITERALS + WSI_DEFLATE_DISTANCES]; /* symbol, and extra bits << 5 */
    uint16_t frequency[19], codes[19];
    uint8_t lengths[19];
} wsi_deflate_head;

static void wsi_deflate_item(wsi_deflate_head *head, unsigned symbol, unsigned extra) {
    head->items[head->count++] = (uint16_t)(symbol | extra << 5);
    head->frequency[symbol]++;
}

/* Writes a run of one length: symbol 16 repeats the last length 3 to 6 times, 17 is up to 10 zeros, 18 up to 138. */
static void wsi_deflate_repeat(wsi_deflate_head *head, unsigned length, unsigned run) {
    unsigned most = length ? 6 : 138;
    if (length) {
        wsi_deflate_item(head, length, 0);
        run--;
    }
    while (run >= 3) {
        unsigned part = run < most ? run : most;
        wsi_deflate_item(head, length ? 16 : part < 11 ? 17 : 18, !length && part >= 11 ? part - 11 : part - 3);
        run -= part;
    }
    while (run--)
        wsi_deflate_item(head, length, 0);
}

static void wsi_deflate_runs(const wsi_deflate *z, wsi_deflate_head *head) {
    uint8_t lengths[WSI_DEFLATE_LITERALS + WSI_DEFLATE_DISTANCES + 8];
    unsigned count = head->literals + head->distances, i, run;
    memcpy(lengths, z->lengths, head->literals);
    memcpy(lengths + head->literals, z->lengths + 288, head->distances);
    memset(lengths + count, 255, 8); /* equals no length, so it ends the last run */
    for (i = 0; i < count; i += run) {
        for (run = 0; !wsi_bytes_word(lengths + i + run); run += 8)
            continue;
        while (lengths[i + run] == lengths[i])
            run++;
        wsi_deflate_repeat(head, lengths[i], run);
    }
}

/* Makes the codes of a dynamic block. Returns its size in bits, without the extra bits of lengths and distances. */
static uint32_t wsi_deflate_dynamic(wsi_deflate *z, wsi_deflate_head *head) {
    uint32_t bits = wsi_deflate_codes(z, z->frequency, z->codes, z->lengths, WSI_DEFLATE_LITERALS, 14);
    bits += wsi_deflate_codes(z, z->frequency + 288, z->codes + 288, z->lengths + 288, WSI_DEFLATE_DISTANCES, 15);
    memset(head->frequency, 0, sizeof head->frequency);
    head->count = 0;
    head->literals = WSI_DEFLATE_LITERALS;
    head->distances = WSI_DEFLATE_DISTANCES;
    head->orders = 19;
    while (!z->lengths[head->literals - 1]) /* stops at WSI_DEFLATE_END, which always has a code */
        head->literals--;
    while (!z->lengths[288 + head->distances - 1])
        head->distances--;
    wsi_deflate_runs(z, head);
    bits += head->frequency[16] * 2u + head->frequency[17] * 3u + head->frequency[18] * 7u;
    bits += wsi_deflate_codes(z, head->frequency, head->codes, head->lengths, 19, 7);
    while (!head->lengths[wsi_inflate_lengths_order[head->orders - 1]])
        head->orders--;
    return bits + 3 + 14 + head->orders * 3;
}

static void wsi_deflate_put_head(wsi_deflate *z, const wsi_deflate_head *head) {
    wsi_deflate_bits *out = &z->out;
    wsi_deflate_put(out, 4 | (head->literals - 257) << 3 | (head->distances - 1) << 8 | (head->orders - 4) << 13, 17);
    wsi_deflate_flush(out);
    for (unsigned i = 0; i < head->orders; i++) {
        wsi_deflate_put(out, head->lengths[wsi_inflate_lengths_order[i]], 3);
        wsi_deflate_flush(out);
    }
    for (unsigned i = 0; i < head->count; i++) {
        unsigned symbol = head->items[i] & 31;
        wsi_deflate_put(out, head->codes[symbol], head->lengths[symbol]);
        wsi_deflate_put(out, head->items[i] >> 5, symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7);
        wsi_deflate_flush(out);
    }
}

/* Literals' codes have at most 14 bits: three fit before each flush. */
WSI_INLINE void wsi_deflate_put_literals(const wsi_deflate *z, wsi_deflate_bits *out, const uint8_t *at,
                                         uint32_t count) {
    for (; count; count--, at++) {
        wsi_deflate_put(out, z->codes[*at], z->lengths[*at]);
        if (out->count > 63 - 15)
            wsi_deflate_flush(out);
    }
    wsi_deflate_flush(out);
}

/* Writes the symbols of a block; at: the bytes that they encode. */
static void wsi_deflate_put_symbols(wsi_deflate *z, const uint8_t *at) {
    const wsi_deflate_match *match = z->matches, *end = match + z->used;
    wsi_deflate_bits out = z->out; /* a copy, which can stay in registers */
    for (; match < end; match++) {
        unsigned symbol = match->token & 511, extra = wsi_deflate_distance_extra(match->distance);
        wsi_deflate_put_literals(z, &out, at, match->literals);
        at += match->literals + match->length;
        wsi_deflate_put(&out, z->codes[symbol], z->lengths[symbol]);
        wsi_deflate_put(&out, match->token >> 9, wsi_deflate_extra[symbol - 257]);
        symbol = wsi_deflate_distance_symbol(match->distance, extra);
        wsi_deflate_put(&out, z->codes[symbol], z->lengths[symbol]);
        wsi_deflate_put(&out, match->distance & ((1u << extra) - 1), extra);
        wsi_deflate_flush(&out);
    }
    wsi_deflate_put_literals(z, &out, at, z->literals);
    wsi_deflate_put(&out, z->codes[WSI_DEFLATE_END], z->lengths[WSI_DEFLATE_END]);
    wsi_deflate_flush(&out);
    z->out = out;
}

/* Writes stored blocks (RFC 1951 3.2.4), as many as needed. */
static void wsi_deflate_put_stored(wsi_deflate *z, const uint8_t *source, size_t size) {
    wsi_deflate_bits *out = &z->out;
    do {
        uint32_t part = size < 65535 ? (uint32_t)size : 65535;
        wsi_deflate_put(out, 0, 3 + ((5 - out->count) & 7));
        wsi_deflate_put(out, part | (part ^ 0xffff) << 16, 32);
        wsi_deflate_flush(out);
        memcpy(out->at, source, part);
        out->at += part;
        source += part;
        size -= part;
    } while (size);
}

/* Writes the bytes at source as a block of the smallest kind. false: no room. */
static bool wsi_deflate_block(wsi_deflate *z, const uint8_t *source, size_t size) {
    wsi_deflate_head head;
    uint64_t stored, fixed, dynamic, least;
    z->frequency[WSI_DEFLATE_END] = 1;
    stored = 3 + ((5 - z->out.count) & 7) + 32 + (size - 1) / 65535 * 40 + (uint64_t)size * 8;
    fixed = 3 + 8 * z->plain + wsi_deflate_sum(z->frequency + 144, 112) + 7 + (7 + 5) * z->used
            + wsi_deflate_sum(z->frequency + 280, 6) + z->extra;
    dynamic = wsi_deflate_dynamic(z, &head) + z->extra;
    least = fixed < dynamic ? fixed : dynamic;
    least = stored < least ? stored : least;
    if ((z->out.count + least) / 8 + 16 > (size_t)(z->limit - z->out.at)) /* 16: the last flush, and the sync flush */
        return false;
    if (least == stored) {
        wsi_deflate_put_stored(z, source, size);
    } else if (least == fixed) {
        wsi_deflate_fixed_codes(z);
        wsi_deflate_put(&z->out, 2, 3);
        wsi_deflate_put_symbols(z, source);
    } else {
        wsi_deflate_put_head(z, &head);
        wsi_deflate_put_symbols(z, source);
    }
    memset(z->frequency, 0, sizeof z->frequency);
    z->used = z->literals = z->plain = z->extra = 0;
    return true;
}

/* --- matches --- */

/* Adds a match after literals, whose frequencies are counted already. */
WSI_INLINE void wsi_deflate_add(wsi_deflate *z, size_t literals, unsigned length, unsigned distance) {
    unsigned token = wsi_deflate_length_token(length);
    wsi_deflate_match match = {(uint16_t)(z->literals + literals), (uint16_t)length, (uint16_t)token,
                               (uint16_t)(distance - 1)};
    z->plain += (uint32_t)literals;
    z->literals = 0;
    unsigned symbol = match.token & 511, extra = wsi_deflate_distance_extra(distance - 1);
    z->frequency[symbol]++;
    z->frequency[wsi_deflate_distance_symbol(distance - 1, extra)]++;
    z->extra += extra + wsi_deflate_extra[symbol - 257];
    z->matches[z->used++] = match;
}

/* Adds the literals after the last match. Counts the last ones, too: no match can begin in the last three bytes. */
WSI_INLINE const uint8_t *wsi_deflate_rest(wsi_deflate *z, const uint8_t *from, const uint8_t *at, const uint8_t *end) {
    while (end - at < 4 && at < end)
        z->frequency[*at++]++;
    z->literals += (uint32_t)(at - from);
    z->plain += (uint32_t)(at - from);
    return at;
}

static unsigned wsi_deflate_most(const uint8_t *at, const uint8_t *end) {
    return end - at < WSI_DEFLATE_LONGEST ? (unsigned)(end - at) : 0u + WSI_DEFLATE_LONGEST;
}

/* The number of equal bytes, up to `most`. */
WSI_INLINE unsigned wsi_deflate_extend(const uint8_t *a, const uint8_t *b, unsigned most) {
    unsigned length = 0;
    for (; most - length >= 8; length += 8) {
        uint64_t differing = wsi_bytes_little(a + length) ^ wsi_bytes_little(b + length);
        if (differing)
            return length + wsi_bytes_lowest_byte(differing);
    }
    while (length < most && a[length] == b[length])
        length++;
    return length;
}

static uint32_t wsi_deflate_position(const wsi_deflate *z, const uint8_t *at) {
    return z->base + (uint32_t)(at - z->data);
}

static uint32_t wsi_deflate_hash(uint32_t four, unsigned shift) { return (four * 0x9e3779b1u) >> shift; }

/* Takes each match that it finds. After many misses it skips places. */
static const uint8_t *wsi_deflate_fast(wsi_deflate *z, const uint8_t *at, const uint8_t *end) {
    const uint8_t *from = at, *data = z->data;
    const uint32_t base = z->base, reach = z->reach, shift = z->hash_shift;
    uint16_t *heads = z->heads;
    while (end - at >= 4 && z->used < z->level->matches) {
        uint32_t four = wsi_deflate_four(at), position = base + (uint32_t)(at - data), length;
        uint16_t *head = &heads[wsi_deflate_hash(four, shift)];
        uint32_t back = (position - *head) & 0xffff, most = (size_t)(at - data) < reach ? (uint32_t)(at - data) : reach;
        *head = (uint16_t)position;
        if (back - 1 >= most || wsi_deflate_four(at - back) != four) {
            ptrdiff_t more = (at - from) / 64;
            z->frequency[*at++]++;
            for (more = more < 7 ? more : 7; more && at < end; more--)
                z->frequency[*at++]++;
            continue;
        }
        length = 4 + wsi_deflate_extend(at + 4, at + 4 - back, wsi_deflate_most(at, end) - 4);
        wsi_deflate_add(z, (size_t)(at - from), length, back);
        from = at + length;
        if (end - from >= 4)
            for (unsigned i = 0; i < 3; i++) {
                const uint8_t *note = i < 2 ? at + 1 + i : from - 1;
                heads[wsi_deflate_hash(wsi_deflate_four(note), shift)] = (uint16_t)(base + (uint32_t)(note - data));
            }
        at = from;
    }
    return wsi_deflate_rest(z, from, at, end);
}

/* Puts this place at the head of its chains; *back and *three become the distances to the previous heads. */
WSI_INLINE void wsi_deflate_chain(wsi_deflate *z, const uint8_t *at, uint32_t *back, uint32_t *three) {
    uint32_t position = wsi_deflate_position(z, at), probe = wsi_deflate_four(at);
    uint16_t *head = &z->heads[wsi_deflate_hash(probe, z->hash_shift)];
    uint16_t *other = &z->threes[wsi_deflate_hash(probe << 8, 32 - WSI_DEFLATE_THREE_BITS)];
    *three = (position - *other) & 0xffff;
    *back = (position - *head) & 0xffff;
    z->links[position & (z->reach - 1)] = (uint16_t)*back;
    *head = *other = (uint16_t)position;
}

/* The length of the longest match, or `best` if none is longer than that. Adds the place itself to the chains. A link
   that has been overwritten leads to some other place; this does no harm, because the bytes are compared. */
static unsigned wsi_deflate_search(wsi_deflate *z, const uint8_t *at, unsigned most, unsigned best,
                                   uint32_t *distance) {
    size_t history = (size_t)(at - z->data);
    uint32_t reach = history < z->reach ? (uint32_t)history : z->reach, mask = z->reach - 1;
    uint32_t position = wsi_deflate_position(z, at), back, three, probe;
    unsigned nice = z->level->nice, depth = z->level->depth, from, length;
    const uint16_t *links = z->links;
    wsi_deflate_chain(z, at, &back, &three);
    if (!best && three - 1 < reach && three <= WSI_DEFLATE_NEAR && memcmp(at - three, at, 3) == 0) {
        best = 3;
        *distance = three;
    }
    if (best >= most)
        return best;
    if (best >= 8) /* a longer match is unlikely: less effort */
        depth /= 4;
    from = best < 3 ? 0 : best - 3; /* a longer match must equal the four bytes at this offset */
    probe = wsi_deflate_four(at + from);
    for (; depth && back - 1 < reach; depth--, back += links[(position - back) & mask]) {
        if (wsi_deflate_four(at - back + from) != probe)
            continue;
        length = wsi_deflate_extend(at, at - back, most);
        if (length <= best)
            continue;
        best = length;
        *distance = back;
        if (best >= nice || best == most)
            break;
        from = best - 3;
        probe = wsi_deflate_four(at + from);
    }
    return best;
}

/* Like wsi_deflate_fast, but prefers a longer match that begins one byte later. */
static const uint8_t *wsi_deflate_lazy(wsi_deflate *z, const uint8_t *at, const uint8_t *end) {
    const uint8_t *from = at, *last;
    uint32_t distance = 0, unused;
    while (end - at >= 4 && z->used < z->level->matches) {
        unsigned length = wsi_deflate_search(z, at, wsi_deflate_most(at, end), 0, &distance), longer;
        const uint8_t *next = at + 1; /* the next place to add to the chains */
        if (!length) {
            z->frequency[*at++]++;
            continue;
        }
        for (; length < z->level->good && end - at >= 5; length = longer) {
            longer = wsi_deflate_search(z, next++, wsi_deflate_most(at + 1, end), length, &distance);
            if (longer == length)
                break;
            z->frequency[*at++]++;
        }
        wsi_deflate_add(z, (size_t)(at - from), length, distance);
        from = at = at + length;
        for (last = end - at < 3 ? end - 3 : at; next < last; next++)
            wsi_deflate_chain(z, next, &unused, &unused);
    }
    return wsi_deflate_rest(z, from, at, end);
}

/* --- messages --- */

static const wsi_deflate_level *wsi_deflate_pick(int level) {
    const wsi_deflate_level *pick = &wsi_deflate_levels[sizeof wsi_deflate_levels / sizeof *wsi_deflate_levels - 1];
    while (pick > wsi_deflate_levels && pick->level > level)
        pick--;
    return pick;
}

/* The bits of the hash: a small window needs only a small table. */
static unsigned wsi_deflate_hash_bits(const wsi_deflate_level *level, int window_bits) {
    return level->hash_bits < window_bits ? level->hash_bits : (unsigned)window_bits;
}

/* Bytes of the state, and of the tables, matches and window that follow it. */
static size_t wsi_deflate_size(int level, int window_bits, bool takeover) {
    const wsi_deflate_level *pick = wsi_deflate_pick(level);
    size_t window = (size_t)1 << window_bits, entries = (size_t)1 << wsi_deflate_hash_bits(pick, window_bits);
    if (pick->chains) /* for links and threes */
        entries += window + ((size_t)1 << WSI_DEFLATE_THREE_BITS);
    return sizeof(wsi_deflate) + sizeof(uint16_t) * entries + sizeof(wsi_deflate_match) * pick->matches
           + (takeover ? window + window / 2 : 0);
}

static bool wsi_deflate_is(const wsi_deflate *z, int level, int window_bits) {
    return z->level == wsi_deflate_pick(level) && z->reach == (uint32_t)1 << window_bits;
}

/* Forgets the history, and all that is not written yet. */
static void wsi_deflate_reset(wsi_deflate *z) {
    memset(z->heads, 0, (size_t)((uint8_t *)z->matches - (uint8_t *)z->heads)); /* all tables */
    memset(z->frequency, 0, sizeof z->frequency);
    z->base = 1; /* 0 in a table means no place */
    z->filled = z->used = z->literals = z->plain = z->extra = 0;
}

/* Makes a compressor in z: wsi_deflate_size bytes, aligned for any type, which must not move. */
static void wsi_deflate_init(wsi_deflate *z, int level, int window_bits, bool takeover) {
    const wsi_deflate_level *pick = wsi_deflate_pick(level);
    memset(z, 0, sizeof *z);
    z->level = pick;
    z->size = wsi_deflate_size(level, window_bits, takeover);
    z->reach = (uint32_t)1 << window_bits;
    z->hash_shift = 32u - wsi_deflate_hash_bits(pick, window_bits);
    z->heads = (uint16_t *)(void *)(z + 1);
    z->links = z->heads + ((size_t)1 << (32 - z->hash_shift));
    z->threes = z->links + (pick->chains ? z->reach : 0);
    z->matches = (wsi_deflate_match *)(void *)(z->threes + (pick->chains ? 1 << WSI_DEFLATE_THREE_BITS : 0));
    z->window = takeover ? (uint8_t *)(z->matches + pick->matches) : NULL;
    wsi_deflate_reset(z);
}

/* An upper bound of the output: at worst, stored blocks of 256 four-byte matches each, and the sync flush. */
static size_t wsi_deflate_bound(size_t size) { return size + (size >> 7) + 40; }

/* With takeover: copies a portion to the end of the history. Returns the copy. */
static const uint8_t *wsi_deflate_keep(wsi_deflate *z, const uint8_t *in, size_t size) {
    size_t spare = z->filled - z->reach;
    if (z->filled + size > z->reach + z->reach / 2) {
        memmove(z->window, z->window + spare, z->reach);
        z->filled -= spare;
        z->base = (z->base + (uint32_t)spare) & 0xffff;
    }
    z->data = z->window;
    memcpy(z->window + z->filled, in, size);
    z->filled += size;
    return z->window + z->filled - size;
}

/* Compresses a message, or a part of one, and ends with a sync flush. Returns the size of the output. 0: capacity was
   too small, and the history is lost. wsi_deflate_bound(size) is always enough. */
static size_t wsi_deflate_run(wsi_deflate *z, const uint8_t *in, size_t size, uint8_t *out, size_t capacity) {
    const uint8_t *block = size ? in : out, *end = block + size; /* an empty `in` may be NULL */
    in = block;
    memset(&z->out, 0, sizeof z->out);
    z->out.at = out;
    z->limit = out + capacity;
    if (capacity < 16)
        return 0;
    if (!z->window) {
        if (size > 0x10000 - z->base) /* not enough positions are left */
            wsi_deflate_reset(z);
        z->data = in;
    }
    while (in < end) {
        size_t portion = z->window && (size_t)(end - in) > z->reach / 2 ? z->reach / 2 : (size_t)(end - in);
        const uint8_t *at = z->window ? wsi_deflate_keep(z, in, portion) : in, *stop = at + portion;
        while (at < stop) {
            const uint8_t *until = stop - at < WSI_DEFLATE_STEP ? stop : at + WSI_DEFLATE_STEP;
            const uint8_t *next = z->level->chains ? wsi_deflate_lazy(z, at, until) : wsi_deflate_fast(z, at, until);
            in += next - at;
            at = next;
            if (z->used < z->level->matches && in < end && z->plain < WSI_DEFLATE_STEP)
                continue;
            if (!wsi_deflate_block(z, block, (size_t)(in - block))) {
                wsi_deflate_reset(z);
                return 0;
            }
            block = in;
        }
    }
    if (!z->window)
        z->base = size < 0x10000 ? z->base + (uint32_t)size : 0x10000;
    wsi_deflate_put_stored(z, out, 0); /* the sync flush: an empty block, which ends on a whole byte */
    return (size_t)(z->out.at - out);
}

/*
>> PERMESSAGE =============================================================================
   Compression of messages (RFC 7692): negotiates it, compresses and decompresses messages. The core reaches it through
   wsi_codec_calls. Calls MEMORY, TEXT, UTF8, HTTP, HANDSHAKE, FRAME, HEADS, MESSAGES, INFLATE, DEFLATE. Prefixes:
   wsi_permessage_, wsi_decompressor_, wsi_compressor_, wsi_context_.

   Without context takeover, all connections of a loop share one decompressor and one compressor, so a message that
   arrives whole costs no allocation. An unfinished message keeps a decompressor until it ends.
*/

enum {
    WSI_PERMESSAGE_CHUNK = 16 << 10,  /* the largest chunk for on_chunk */
    WSI_PERMESSAGE_LARGE = 256 << 10, /* a larger buffer is not kept between messages */
    WSI_PERMESSAGE_TURN = 1 << 20,    /* bytes of output after which other connections have their turn */
    WSI_PERMESSAGE_TAIL = 4           /* bytes at the end of each message that are not sent (RFC 7692 7.2.1) */
};

typedef struct wsi_decompressor { /* works on one message at a time */
    wsi_inflate inflate;
    wsi_buffer out; /* output that is not history yet */
    size_t checked; /* bytes of out that have been checked as UTF-8 */
    uint8_t tail;   /* bytes of the tail that have been read */
    bool delivered; /* the program has the output, which will become history */
} wsi_decompressor;

typedef struct wsi_context { /* the memory of a connection that keeps context, or is in the middle of a message */
    wsi_decompressor *decompressor;
    uint8_t *history; /* the last bytes of earlier messages, or of earlier chunks */
    size_t history_size, history_capacity;
    wsi_memory *history_memory;
    wsi_deflate *compressor;
} wsi_context;

/* --- decompressing --- */

static bool wsi_decompressor_grow(wsi_codec *codec, wsi_buffer *out, size_t limit) {
    size_t wanted = out->capacity < 2048 ? 4096 : out->capacity * 2;
    if (wanted > limit + 1)
        wanted = limit + 1;
    return wsi_buffer_resize(codec->arriving, out, wanted);
}

static void wsi_decompressor_free(wsi_codec *codec, wsi_decompressor *decompressor) {
    if (!decompressor)
        return;
    wsi_buffer_free(codec->arriving, &decompressor->out);
    wsi_memory_free(codec->arriving, decompressor, sizeof *decompressor);
}

static wsi_decompressor *wsi_decompressor_new(wsi_codec *codec) {
    wsi_decompressor *decompressor = codec->spare;
    codec->spare = NULL;
    if (!decompressor)
        decompressor = (wsi_decompressor *)wsi_memory_new(codec->arriving, sizeof *decompressor);
    if (!decompressor)
        return NULL;
    if (decompressor->out.capacity > WSI_PERMESSAGE_LARGE) /* after a large message */
        wsi_buffer_free(codec->arriving, &decompressor->out);
    wsi_inflate_start(&decompressor->inflate);
    decompressor->out.size = decompressor->checked = 0;
    decompressor->tail = 0;
    decompressor->delivered = false;
    if (decompressor->out.data || wsi_decompressor_grow(codec, &decompressor->out, WSI_PERMESSAGE_CHUNK))
        return decompressor;
    wsi_decompressor_free(codec, decompressor);
    return NULL;
}

/* delivered: the program may read the output until the next message, so this decompressor must become the spare. */
static void wsi_decompressor_release(wsi_codec *codec, wsi_decompressor *decompressor, bool delivered) {
    wsi_decompressor *unused = decompressor;
    if (delivered || (decompressor && !codec->spare && decompressor->out.capacity <= WSI_PERMESSAGE_LARGE)) {
        unused = codec->spare;
        codec->spare = decompressor;
    }
    wsi_decompressor_free(codec, unused);
}

static uint8_t wsi_permessage_in_bits(const wsi_engine *e) { return e->window_bits & 15; }

/* Inflates the input, up to the limit of a message or chunk; leaves room for a zero byte. WS_OK: all of the input is
   used; BUFFERED: the chunk is full, and there is more; else the error with which the connection fails. */
static ws_error wsi_decompressor_run(const wsi_engine *e, wsi_decompressor *decompressor, wsi_slice *in) {
    const wsi_context *context = e->context;
    size_t limit = e->chunks ? (size_t)WSI_PERMESSAGE_CHUNK : e->env->limits.message;
    wsi_buffer *out = &decompressor->out;
    wsi_inflate_io io;
    if (limit > SIZE_MAX / 4)
        limit = SIZE_MAX / 4;
    memset(&io, 0, sizeof io);
    io.in = (const uint8_t *)in->data;
    io.in_size = in->size;
    io.window = (size_t)1 << wsi_permessage_in_bits(e);
    if (context && context->history_size) {
        io.history_size = context->history_size < io.window ? context->history_size : io.window;
        io.history = context->history + context->history_size - io.history_size;
    }
    for (;;) {
        io.out = out->data;
        io.out_size = out->size;
        io.out_capacity = out->capacity - 1;
        if (io.out_capacity > limit)
            io.out_capacity = limit;
        wsi_inflate_result result = wsi_inflate_run(&decompressor->inflate, &io);
        out->size = io.out_size;
        *in = wsi_text((const char *)io.in, io.in_size);
        if (result == WSI_INFLATE_BAD)
            return WS_ERROR_PROTOCOL;
        if (result == WSI_INFLATE_INPUT || (result == WSI_INFLATE_DONE && !io.in_size))
            return WS_OK;
        if (result == WSI_INFLATE_OUTPUT && out->size >= limit)
            return e->chunks ? WS_ERROR_BUFFERED : WS_ERROR_TOO_BIG;
        if (result == WSI_INFLATE_OUTPUT && !wsi_decompressor_grow(e->env->codec, out, limit))
            return WS_ERROR_MEMORY;
    }
}

/* Inflates the tail, which the sender leaves out (RFC 7692 7.2.2). */
static ws_error wsi_decompressor_finish(const wsi_engine *e, wsi_decompressor *decompressor) {
    wsi_slice in = wsi_text(&"\0\0\xff\xff"[decompressor->tail], WSI_PERMESSAGE_TAIL - (size_t)decompressor->tail);
    ws_error error = wsi_decompressor_run(e, decompressor, &in);
    decompressor->tail = (uint8_t)(WSI_PERMESSAGE_TAIL - in.size);
    return !error && !wsi_inflate_ended(&decompressor->inflate) ? WS_ERROR_PROTOCOL : error;
}

static void wsi_compressor_free(wsi_codec *codec, wsi_deflate *z) {
    if (z)
        wsi_memory_free(codec->memory, z, z->size);
}

/* Makes sure that *place is a compressor of this level and window. NULL: no memory. */
static wsi_deflate *wsi_compressor_get(wsi_codec *codec, wsi_deflate **place, int level, int bits, bool context) {
    if (*place && wsi_deflate_is(*place, level, bits))
        return *place;
    wsi_compressor_free(codec, *place);
    *place = (wsi_deflate *)wsi_memory_resize(codec->memory, NULL, 0, wsi_deflate_size(level, bits, context));
    if (*place)
        wsi_deflate_init(*place, level, bits, context);
    return *place;
}

/* Compresses a message or a part into codec->compressed, which the next call reuses. last: leaves out the tail. */
static bool wsi_compressor_run(wsi_codec *codec, wsi_deflate *z, const void *data, size_t size, bool last) {
    wsi_buffer *out = &codec->compressed;
    size_t bound = wsi_deflate_bound(size), written;
    if (out->capacity > WSI_PERMESSAGE_LARGE && bound <= WSI_PERMESSAGE_LARGE)
        wsi_buffer_free(codec->memory, out);
    out->size = 0;
    if (bound < size || !wsi_buffer_reserve(codec->memory, out, bound))
        return false;
    written = wsi_deflate_run(z, (const uint8_t *)data, size, out->data, out->capacity);
    WS_ASSERT(written > WSI_PERMESSAGE_TAIL); /* wsi_deflate_bound is never too small */
    out->size = last ? written - WSI_PERMESSAGE_TAIL : written;
    return true;
}

/* --- context --- */

static wsi_context *wsi_context_get(wsi_codec *codec, wsi_context **context) {
    if (!*context)
        *context = (wsi_context *)wsi_memory_new(codec->memory, sizeof **context);
    return *context;
}

static void wsi_context_forget(wsi_context *context) {
    wsi_memory_free(context->history_memory, context->history, context->history_capacity);
    context->history = NULL;
    context->history_size = context->history_capacity = 0;
}

static void wsi_context_free(wsi_codec *codec, wsi_context **place) {
    wsi_context *context = *place;
    if (!context)
        return;
    wsi_decompressor_release(codec, context->decompressor, false);
    wsi_context_forget(context);
    wsi_compressor_free(codec, context->compressor);
    wsi_memory_free(codec->memory, context, sizeof *context);
    *place = NULL;
}

/* Allocates the history: a window and a quarter, so that few messages have to move it. */
static bool wsi_context_history(wsi_memory *memory, wsi_context *context, uint8_t window_bits) {
    size_t capacity = ((size_t)1 << window_bits) * 5 / 4;
    if (context->history)
        return true;
    context->history_memory = memory;
    context->history = (uint8_t *)wsi_memory_resize(memory, NULL, 0, capacity);
    context->history_capacity = context->history ? capacity : 0;
    return context->history != NULL;
}

static void wsi_context_remember(wsi_context *context, uint8_t window_bits, const uint8_t *data, size_t size) {
    size_t window = (size_t)1 << window_bits, keep = context->history_size;
    if (size > window) {
        data += size - window;
        size = window;
    }
    if (keep + size > context->history_capacity) {
        size_t kept = window - size < keep ? window - size : keep;
        memmove(context->history, context->history + keep - kept, kept);
        keep = kept;
    }
    memcpy(context->history + keep, data, size);
    context->history_size = keep + size;
}

static void wsi_permessage_free(wsi_codec *codec) {
    wsi_decompressor_free(codec, codec->spare);
    wsi_compressor_free(codec, codec->compressor);
    codec->spare = NULL;
    codec->compressor = NULL;
    wsi_buffer_free(codec->memory, &codec->compressed);
}

/* --- negotiation (RFC 7692 5, 7.1) --- */

typedef struct wsi_offer { /* an offer, or the answer to it; bits 0: the parameter is absent */
    bool server_no_context, client_no_context; /* server_no_context_takeover, client_no_context_takeover */
    bool client_bits_named;          /* client_max_window_bits is there, perhaps without a value */
    uint8_t server_bits, client_bits;
} wsi_offer;

/* Reads "8" to "15"; in a quoted string there may be backslashes. */
static bool wsi_permessage_bits(wsi_slice text, uint8_t *bits) {
    char digits[3]; /* a third digit makes the value too large */
    wsi_size value = 0;
    size_t i, size = 0;
    bool good;
    for (i = 0; i < text.size && size < sizeof digits; i++)
        if (text.data[i] != '\\')
            digits[size++] = text.data[i];
    good = size && digits[0] != '0' && wsi_text_number(wsi_text(digits, size), &value) && value >= 8 && value <= 15;
    *bits = good ? (uint8_t)value : 0;
    return good;
}

/* Reads one parameter; has: it has a value. false: it is unknown or repeated, or its value is wrong or missing. */
static bool wsi_permessage_parameter(wsi_offer *offer, wsi_slice name, wsi_slice value, bool has, bool answer) {
    bool *flag = wsi_text_is(name, "server_no_context_takeover") ? &offer->server_no_context
                 : wsi_text_is(name, "client_no_context_takeover") ? &offer->client_no_context : NULL;
    if (flag) {
        bool first = !*flag;
        *flag = true;
        return first && !has;
    }
    if (wsi_text_is(name, "server_max_window_bits"))
        return !offer->server_bits && has && wsi_permessage_bits(value, &offer->server_bits);
    if (wsi_text_is(name, "client_max_window_bits") && !offer->client_bits_named) {
        offer->client_bits_named = true;
        return has ? wsi_permessage_bits(value, &offer->client_bits) : !answer;
    }
    return false;
}

/* Reads an element of a well-formed Sec-WebSocket-Extensions. false: another extension, or a wrong parameter. */
static bool wsi_permessage_offered(wsi_slice rest, wsi_offer *offer, bool answer) {
    wsi_slice name, value;
    memset(offer, 0, sizeof *offer);
    (void)wsi_http_word(&rest, &name, false, false);
    if (!wsi_text_is(name, "permessage-deflate"))
        return false;
    while (rest.size) {
        rest = wsi_text_trim(wsi_text(rest.data + 1, rest.size - 1)); /* ';' */
        (void)wsi_http_word(&rest, &name, false, false);
        value = wsi_text("", 0);
        bool has = rest.size && rest.data[0] == '=';
        if (has) {
            rest = wsi_text_trim(wsi_text(rest.data + 1, rest.size - 1));
            (void)wsi_http_word(&rest, &value, true, false);
        }
        if (!wsi_permessage_parameter(offer, name, value, has, answer))
            return false;
    }
    return true;
}

static uint8_t wsi_permessage_window(const ws_deflate_config *config) {
    return config->window_bits ? config->window_bits : config->context ? 12 : 15;
}

static uint8_t wsi_permessage_least(uint8_t a, uint8_t b) { return b && b < a ? b : a; }

static bool wsi_permessage_put_bits(wsi_engine *e, const char *name, uint8_t bits) {
    char digits[20];
    return wsi_engine_text(e, name) && wsi_engine_raw(e, digits, wsi_text_decimal(digits, bits));
}

/* Starts to use what was agreed on. false: no memory for the contexts, and nothing has changed. */
static bool wsi_permessage_extend(wsi_engine *e, const ws_deflate_config *config) {
    const wsi_agreed *agreed = &e->env->agreed;
    wsi_codec *codec = e->env->codec;
    int level = config->level ? config->level : 1;
    if (!agreed->on)
        return true;
    if ((agreed->keep_in || agreed->keep_out)
        && (!wsi_context_get(codec, &e->context)
            || (agreed->keep_in && !wsi_context_history(codec->memory, e->context, agreed->in_bits))
            || (agreed->keep_out
                && !wsi_compressor_get(codec, &e->context->compressor, level, agreed->out_bits, true)))) {
        wsi_context_free(codec, &e->context);
        return false;
    }
    e->deflate = true;
    e->keep_in = agreed->keep_in;
    e->keep_out = agreed->keep_out;
    e->window_bits = (uint8_t)(agreed->in_bits | agreed->out_bits << 4);
    e->level = (int8_t)level;
    e->threshold = config->threshold ? config->threshold : 64;
    return true;
}

#ifndef WS_NO_CLIENT
/* Sends a client's offers: first the one that its config describes. If that has parameters, an offer without them comes
   second, for servers that ignore parameters (RFC 7692 5.1, 7.1). */
static bool wsi_permessage_offer(wsi_engine *e) {
    const ws_deflate_config *config = e->env->deflate;
    uint8_t bits = wsi_permessage_window(config);
    memset(&e->env->agreed, 0, sizeof e->env->agreed);
    return wsi_engine_text(e, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
           && (config->context || wsi_engine_text(e, "; server_no_context_takeover; client_no_context_takeover"))
           && (bits == 15 || wsi_permessage_put_bits(e, "; server_max_window_bits=", bits))
           && ((config->context && bits == 15)
               || wsi_engine_text(e, ", permessage-deflate; client_max_window_bits"))
           && wsi_engine_text(e, "\r\n");
}

/* Reads the answer. The last offer allows any valid answer. If the server keeps its context, the client must follow and
   keep the same history. Whether the client keeps context for its own messages is its choice. */
static const char *wsi_permessage_answered(wsi_env *env, wsi_slice list) {
    const ws_deflate_config *config = env->deflate;
    wsi_agreed *agreed = &env->agreed;
    wsi_slice element, second;
    wsi_offer answer;
    if (agreed->on || !wsi_handshake_extensions(list) || !wsi_text_next(&list, &element)
        || wsi_text_next(&list, &second) || !wsi_permessage_offered(element, &answer, true))
        return "has a Sec-WebSocket-Extensions that does not answer the offer";
    agreed->on = true;
    agreed->keep_in = !answer.server_no_context;
    agreed->keep_out = config->context && !answer.client_no_context;
    agreed->in_bits = answer.server_bits ? answer.server_bits : 15;
    agreed->out_bits = wsi_permessage_least(wsi_permessage_window(config), answer.client_bits);
    return NULL;
}
#endif

#ifndef WS_NO_SERVER
/* Agrees on the client's first acceptable offer, and answers it. Accepts 8 window bits, as the RFC demands. zlib cannot
   compress with 8, so peers with zlib decline or use 9. */
static bool wsi_permessage_agree(wsi_engine *e, const ws_deflate_config *config) {
    wsi_agreed *agreed = &e->env->agreed;
    wsi_slice rest = e->env->request.head, list, element;
    uint8_t bits = wsi_permessage_window(config);
    wsi_offer offer;
    memset(agreed, 0, sizeof *agreed);
    (void)wsi_http_line(&rest);
    while (!agreed->on && wsi_http_find(&rest, "sec-websocket-extensions", &list))
        while (!agreed->on && wsi_text_next(&list, &element))
            agreed->on = wsi_permessage_offered(element, &offer, false);
    if (!agreed->on)
        return true;
    agreed->keep_out = config->context && !offer.server_no_context;
    agreed->out_bits = wsi_permessage_least(bits, offer.server_bits);
    agreed->in_bits = offer.client_bits_named ? wsi_permessage_least(bits, offer.client_bits) : 15;
    agreed->keep_in = config->context && !offer.client_no_context && agreed->in_bits <= bits;
    if (!wsi_permessage_extend(e, config))
        return true;
    return wsi_engine_text(e, "Sec-WebSocket-Extensions: permessage-deflate")
           && (agreed->keep_out || wsi_engine_text(e, "; server_no_context_takeover"))
           && (agreed->keep_in || wsi_engine_text(e, "; client_no_context_takeover"))
           && ((!offer.server_bits && agreed->out_bits == 15)
               || wsi_permessage_put_bits(e, "; server_max_window_bits=", agreed->out_bits))
           && (agreed->in_bits == 15 || wsi_permessage_put_bits(e, "; client_max_window_bits=", agreed->in_bits))
           && wsi_engine_text(e, "\r\n");
}
#endif

/* Called when compressed data is not sent: it does not enter the peer's history, so it must leave ours. */
static void wsi_permessage_unsent(wsi_engine *e) {
    if (e->keep_out)
        wsi_deflate_reset(e->context->compressor);
}

/* Compresses a message, or a part of one: *data and *size become what to send. false: send it uncompressed. */
static bool wsi_permessage_compress(wsi_engine *e, bool whole, bool last, const void **data, size_t *size) {
    wsi_codec *codec = e->env->codec;
    wsi_deflate *z = e->keep_out ? e->context->compressor
                                 : wsi_compressor_get(codec, &codec->compressor, e->level, e->window_bits >> 4, false);
    if (!z || !wsi_compressor_run(codec, z, *data, *size, last))
        return false;
    if (whole && codec->compressed.size >= *size) {
        wsi_permessage_unsent(e);
        return false;
    }
    *data = codec->compressed.data;
    *size = codec->compressed.size;
    return true;
}

/* --- receiving messages (RFC 7692 6, 7.2) --- */

/* Keeps the decompressor of an unfinished message. false: no memory for the context. */
static bool wsi_permessage_keep(wsi_engine *e, wsi_decompressor *decompressor) {
    wsi_codec *codec = e->env->codec;
    if (!wsi_context_get(codec, &e->context))
        return false;
    e->context->decompressor = decompressor;
    return !e->chunks || wsi_context_history(codec->arriving, e->context, wsi_permessage_in_bits(e));
}

static void wsi_permessage_drop(wsi_engine *e, wsi_decompressor *decompressor, bool delivered) {
    if (e->context)
        e->context->decompressor = NULL;
    wsi_decompressor_release(e->env->codec, decompressor, delivered);
    if (!e->keep_in && !e->keep_out)
        wsi_context_free(e->env->codec, &e->context);
    else if (!e->keep_in)
        wsi_context_forget(e->context); /* the history held only this message */
}

static wsi_decompressor *wsi_permessage_decompressor(wsi_engine *e) {
    wsi_decompressor *decompressor = e->context ? e->context->decompressor : NULL;
    if (!decompressor && e->context && !e->keep_in)
        e->context->history_size = 0;
    e->env->codec->asking = e;
    if (!decompressor)
        return wsi_decompressor_new(e->env->codec);
    if (decompressor->delivered) { /* the delivered chunk becomes history */
        wsi_context_remember(e->context, wsi_permessage_in_bits(e), decompressor->out.data, decompressor->out.size);
        decompressor->out.size = decompressor->checked = 0;
        decompressor->delivered = false;
    }
    return decompressor;
}

WSI_RARE wsi_step wsi_permessage_fail(wsi_engine *e, wsi_decompressor *decompressor, ws_error error) {
    wsi_permessage_drop(e, decompressor, false);
    return wsi_engine_fail(e, error, error == WS_ERROR_MEMORY    ? WS_CLOSE_TRY_LATER
                                     : error == WS_ERROR_TOO_BIG ? WS_CLOSE_TOO_BIG : WS_CLOSE_BAD_DATA);
}

/* Delivers the decompressed data if it is a whole message or a chunk. */
static wsi_step wsi_permessage_deliver(wsi_engine *e, ws_event *event, wsi_decompressor *decompressor, ws_error error) {
    bool all = !error && !e->left, whole = all && e->final;
    wsi_codec *codec = e->env->codec;
    uint8_t *data = decompressor->out.data;
    size_t size = decompressor->out.size, checked = decompressor->checked;
    if (error && error != WS_ERROR_BUFFERED)
        return wsi_permessage_fail(e, decompressor, error);
    if (e->type == WS_TEXT && (!wsi_utf8_feed(&e->utf8, data + checked, size - checked) || (whole && e->utf8)))
        return wsi_permessage_fail(e, decompressor, WS_ERROR_UTF8);
    codec->turn += size - checked;
    if (codec->turn >= WSI_PERMESSAGE_TURN && codec->turn_over) {
        codec->turn = 0;
        codec->turn_over(e);
    }
    decompressor->checked = size;
    e->more_output = error == WS_ERROR_BUFFERED;
    e->in_frame = !all;
    if (!whole && !wsi_permessage_keep(e, decompressor))
        return wsi_permessage_fail(e, decompressor, WS_ERROR_MEMORY);
    if (!whole && (!e->chunks || !size))
        return all ? WSI_STEP_AGAIN : WSI_STEP_MORE;
    data[size] = 0;
    decompressor->delivered = !whole;
    if (whole && e->keep_in)
        wsi_context_remember(e->context, wsi_permessage_in_bits(e), data, size);
    if (whole)
        wsi_permessage_drop(e, decompressor, true);
    return wsi_engine_deliver(e, event, data, size, whole);
}

static wsi_step wsi_permessage_receive(wsi_engine *e, wsi_window *window, ws_event *event) {
    wsi_decompressor *decompressor = wsi_permessage_decompressor(e);
    uint8_t *from = window->base + window->pos;
    size_t here = window->end - window->pos;
    if (!decompressor)
        return wsi_engine_fail(e, WS_ERROR_MEMORY, WS_CLOSE_TRY_LATER);
    if (here > e->left)
        here = (size_t)e->left;
    wsi_engine_unmask(e, from, from, here, e->key);
    wsi_slice in = wsi_text((const char *)from, here);
    ws_error error = wsi_decompressor_run(e, decompressor, &in);
    here -= in.size;
    wsi_frame_rotate(e->key, here);
    wsi_engine_unmask(e, from + here, from + here, in.size, e->key); /* masks the unused rest again */
    window->pos += here;
    e->left -= (wsi_size)here;
    if (!error && !e->left && e->final)
        error = wsi_decompressor_finish(e, decompressor);
    return wsi_permessage_deliver(e, event, decompressor, error);
}

#ifndef WS_NO_NET
static size_t wsi_permessage_progress(const wsi_engine *e) {
    return e->context && e->context->decompressor ? e->context->decompressor->out.size + 1 : 0;
}

/* The form is the number of window bits. 0 with takeover: a message that a policy drops must not enter the history. */
static unsigned wsi_permessage_shares(const wsi_engine *e, size_t size) {
    return e->keep_out || size < e->threshold ? 0 : e->window_bits >> 4;
}
#endif

static void wsi_permessage_end(wsi_engine *e) {
    wsi_context_free(e->env->codec, &e->context);
    e->deflate = false;
}

static const wsi_codec_calls wsi_permessage_functions = {
    wsi_permessage_compress, wsi_permessage_unsent, wsi_permessage_receive, wsi_permessage_end, wsi_permessage_free,
#ifndef WS_NO_NET
    wsi_permessage_progress, wsi_permessage_shares,
#endif
#ifndef WS_NO_CLIENT
    wsi_permessage_offer, wsi_permessage_answered, wsi_permessage_extend,
#endif
#ifndef WS_NO_SERVER
    wsi_permessage_agree,
#endif
};
#endif /* WS_NO_DEFLATE */

#ifndef WS_NO_CLIENT
/*
>> UPGRADE ================================================================================
   The client's half of the opening handshake: sends the request, checks the answer (RFC 6455 4.1). Calls BYTES, TEXT,
   HTTP, HANDSHAKE, HEADS.
*/

/* Joins fields that are folded over several lines: each fold becomes spaces (RFC 9112 5.2). A fold directly after the
   status line stays, which makes the head malformed (RFC 9112 2.2). */
static void wsi_upgrade_unfold(uint8_t *head, size_t size) {
    size_t i = 0;
    while (head[i] != '\n')
        i++;
    for (i++; i + 2 < size; i++)
        if (head[i] == '\r')
            for (; head[i + 2] == ' ' || head[i + 2] == '\t'; i++)
                head[i] = head[i + 1] = head[i + 2] = ' ';
}

typedef struct wsi_answer { /* what is known of a server's answer while its fields are read */
    int upgrades, connections, accepts, protocols; /* how often each field appeared */
    const char *problem; /* the first problem; NULL: none */
} wsi_answer;

static void wsi_upgrade_wrong(wsi_answer *answer, bool wrong, const char *problem) {
    if (wrong && !answer->problem)
        answer->problem = problem;
}

static void wsi_upgrade_field(wsi_env *env, wsi_answer *answer, wsi_slice name, wsi_slice value) {
    if (wsi_text_is_nocase(name, "upgrade")) {
        wsi_upgrade_wrong(answer, answer->upgrades++ > 0, "has the header Upgrade twice");
        wsi_upgrade_wrong(answer, !wsi_text_is_nocase(value, "websocket"), "has an Upgrade other than websocket");
    } else if (wsi_text_is_nocase(name, "connection")) {
        wsi_slice option;
        while (wsi_text_next(&value, &option))
            if (wsi_text_is_nocase(option, "upgrade"))
                answer->connections++;
    } else if (wsi_text_is_nocase(name, "sec-websocket-accept")) {
        wsi_upgrade_wrong(answer, answer->accepts++ > 0, "has the header Sec-WebSocket-Accept twice");
        wsi_upgrade_wrong(answer, !wsi_text_same(value, wsi_text(env->accept, sizeof env->accept)),
                          "has a wrong Sec-WebSocket-Accept");
    } else if (!value.size) { /* empty fields are ignored, as in a request */
        return;
    } else if (wsi_text_is_nocase(name, "sec-websocket-protocol")) {
        wsi_upgrade_wrong(answer, answer->protocols++ > 0, "has the header Sec-WebSocket-Protocol twice");
        wsi_upgrade_wrong(answer, !wsi_text_in_list(wsi_text_z(env->subprotocols), value),
                          "has a Sec-WebSocket-Protocol that was not offered");
    } else if (wsi_text_is_nocase(name, "sec-websocket-extensions")) {
        const wsi_codec_calls *codec = wsi_codec_of(env, wsi_codec_config(env));
        const char *problem = "has a Sec-WebSocket-Extensions that was not offered";
        problem = codec ? codec->answered(env, value) : problem;
        wsi_upgrade_wrong(answer, problem != NULL, problem);
    } /* Content-Length and Transfer-Encoding are ignored: a 1xx has no body (RFC 9112 6.3) */
}

/* The status in a status line; 0: the line is malformed. */
static int wsi_upgrade_status(wsi_slice line, bool *http11) {
    wsi_slice version, rest, code = line;
    wsi_size status;
    if (!wsi_text_until(&code, ' ', &version) || wsi_http_version(version, http11) != 0)
        return 0;
    rest = code; /* "101 Switching Protocols", or "101" */
    (void)wsi_text_until(&rest, ' ', &code);
    return code.size == 3 && wsi_text_number(code, &status) && status >= 100 ? (int)status : 0;
}

/* Checks a server's answer (RFC 6455 4.1, end). */
static void wsi_upgrade_check(wsi_env *env, wsi_slice head, wsi_answer *answer) {
    wsi_slice line = wsi_http_line(&head), name, value;
    wsi_header found;
    bool http11 = false;
    wsi_bytes_zero(answer, sizeof *answer);
    env->status = wsi_upgrade_status(line, &http11);
    wsi_upgrade_wrong(answer, !env->status, "is not HTTP/1.1");
    wsi_upgrade_wrong(answer, env->status == 101 && !http11, "is HTTP/1.0, which has no 101");
    while ((found = wsi_http_header(&head, &name, &value)) == WSI_HEADER_FOUND)
        if (env->status == 101)
            wsi_upgrade_field(env, answer, name, value);
    wsi_upgrade_wrong(answer, found == WSI_HEADER_BAD, "has a malformed header");
    if (env->status != 101)
        return;
    wsi_upgrade_wrong(answer, !answer->upgrades, "lacks the header Upgrade");
    wsi_upgrade_wrong(answer, !answer->connections, "lacks a header Connection that says Upgrade");
    wsi_upgrade_wrong(answer, !answer->accepts, "lacks the header Sec-WebSocket-Accept");
}

static wsi_step wsi_upgrade_bad(wsi_engine *e, ws_error error, const char *problem) {
    e->env->problem = problem;
    (void)wsi_engine_end(e, error, WS_CLOSE_BROKEN);
    return WSI_STEP_AGAIN;
}

static wsi_step wsi_upgrade_read(wsi_engine *e, wsi_window *window, ws_event *event) {
    static const char long_head[] = "is longer than limits.head";
    wsi_env *env = e->env;
    const wsi_codec_calls *codec = wsi_codec_of(env, wsi_codec_config(env));
    wsi_slice head = {NULL, 0};
    wsi_answer answer;
    int status = wsi_engine_scan(e, window, &head);
    if (status < 0)
        return WSI_STEP_MORE;
    if (status)
        return status == 431 ? wsi_upgrade_bad(e, WS_ERROR_TOO_BIG, long_head)
                             : wsi_upgrade_bad(e, WS_ERROR_HANDSHAKE, "has a byte that no head may have");
    wsi_upgrade_unfold(window->base + window->pos, head.size);
    wsi_upgrade_check(env, head, &answer);
    if (answer.problem)
        return wsi_upgrade_bad(e, WS_ERROR_HANDSHAKE, answer.problem);
    bool open = env->status == 101;
    window->pos += head.size;
    e->left = 0;
    if (!open && env->status < 200) { /* an interim response (RFC 9110 15.2): another follows */
        env->interim += head.size;
        return env->interim > env->limits.head ? wsi_upgrade_bad(e, WS_ERROR_TOO_BIG, long_head) : WSI_STEP_AGAIN;
    }
    if (open && codec && !codec->extend(e, wsi_codec_config(env)))
        return wsi_upgrade_bad(e, WS_ERROR_MEMORY, NULL);
    if (open)
        e->state = WSI_OPEN;
    else
        (void)wsi_engine_end(e, WS_ERROR_REFUSED, WS_CLOSE_BROKEN);
    return wsi_window_event(window, event, open ? WS_EVENT_OPEN : WS_EVENT_REFUSED, WS_TEXT, head.data, head.size);
}

/* --- the request --- */

typedef struct wsi_ask { /* what to put into a request */
    wsi_slice target, host; /* host: the value of Host, with the port */
    const char *subprotocols;
    const char *const *headers; /* the program's own lines; NULL: none */
} wsi_ask;

/* Sends the program's header lines. Host comes first (RFC 9110 7.2): the program's own line, if there is one. */
static bool wsi_upgrade_headers(wsi_engine *e, const wsi_ask *ask) {
    const char *const *line, *host = NULL;
    for (line = ask->headers; line && *line && !host; line++)
        host = wsi_http_is_header(*line, "host") ? *line : NULL;
    bool sent = (host ? wsi_engine_text(e, host)
                      : wsi_engine_text(e, "Host: ") && wsi_engine_raw(e, ask->host.data, ask->host.size))
                && wsi_engine_text(e, "\r\n");
    for (line = ask->headers; line && *line && sent; line++)
        if (!wsi_http_is_header(*line, "host"))
            sent = wsi_engine_text(e, *line) && wsi_engine_text(e, "\r\n");
    return sent;
}

/* Sends a client's request (RFC 6455 4.1), but for the empty line at its end. */
static bool wsi_upgrade_ask(wsi_engine *e, const wsi_ask *ask) {
    uint8_t nonce[16];
    char key[24];
    wsi_env *env = e->env;
    const wsi_codec_calls *codec = wsi_codec_of(env, wsi_codec_config(env));
    bool rooted = ask->target.size && ask->target.data[0] == '/';
    env->problem = NULL;
    env->status = 0;
    env->interim = 0;
    env->subprotocols = ask->subprotocols;
    if (!env->random || !env->random(env->random_user, nonce, sizeof nonce)) {
        e->error = WS_ERROR_RANDOM;
        return false;
    }
    (void)wsi_text_base64(key, nonce, sizeof nonce);
    wsi_handshake_accept(wsi_text(key, sizeof key), env->accept);
    return wsi_engine_text(e, rooted ? "GET " : "GET /") && wsi_engine_raw(e, ask->target.data, ask->target.size)
           && wsi_engine_text(e, " HTTP/1.1\r\n") && wsi_upgrade_headers(e, ask)
           && wsi_engine_text(e, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                 "Sec-WebSocket-Key: ")
           && wsi_engine_raw(e, key, sizeof key)
           && (!ask->subprotocols || !*ask->subprotocols
               || (wsi_engine_text(e, "\r\nSec-WebSocket-Protocol: ") && wsi_engine_text(e, ask->subprotocols)))
           && wsi_engine_text(e, "\r\n") && (!codec || codec->offer(e));
}

#ifndef WS_NO_ENGINE
/* A client's part of ws_engine_init. */
static bool wsi_upgrade_begin(ws_engine *engine, const ws_engine_config *config) {
    wsi_ask ask = {wsi_text_z(config->path), wsi_text_z(config->host), config->subprotocols, config->headers};
    wsi_slice wrong;
    engine->env.read = wsi_upgrade_read;
    engine->env.random = config->random;
    engine->env.random_user = config->random_user;
    if (!config->host || !wsi_http_safe(config->host, '!') || !wsi_http_safe(config->path, '!')
        || (config->path && config->path[0] != '/') || wsi_bytes_find(ask.target.data, '#', ask.target.size)
        || !wsi_handshake_tokens(config->subprotocols, &wrong))
        return false;
    for (const char *const *line = config->headers; line && *line; line++)
        if (!wsi_http_own_header(*line))
            return false;
    return wsi_upgrade_ask(&engine->core, &ask) && wsi_engine_text(&engine->core, "\r\n");
}
#endif
#elif !defined(WS_NO_ENGINE)
static bool wsi_upgrade_begin(ws_engine *engine, const ws_engine_config *config) {
    return (void)engine, (void)config, false;
}
#endif

#if !defined(WS_NO_HTTP) || (!defined(WS_NO_CLIENT) && !defined(WS_NO_NET))
/*
>> BODY ===================================================================================
   Chunks, and the body of a request (RFC 9112 6, 7.1). Calls TEXT, HTTP, HEADS, MESSAGES.
*/

enum { WSI_BODY_CHUNK_LINE = 256 };

/* Reads the line before a chunk, without its CRLF: up to 15 hexadecimal digits, then extensions. */
static bool wsi_body_chunk_size(wsi_slice line, uint64_t *size) {
    size_t i = 0;
    *size = 0;
    for (; i < line.size && i < 15 && wsi_text_hex(line.data[i]) >= 0; i++)
        *size = *size << 4 | (unsigned)wsi_text_hex(line.data[i]);
    line = wsi_text(line.data + i, line.size - i);
    return i && (!line.size || wsi_text_trim(line).size) && wsi_http_parameters(wsi_text_trim(line), false, true);
}

/* Looks for a line of at most `limit` bytes with its CRLF; *size becomes its size. Returns 1; 0 if more bytes are
   needed; -1 if it is too long or has a byte that is not allowed in a line. */
static int wsi_body_whole_line(const uint8_t *data, size_t at_hand, size_t limit, size_t *size) {
    size_t most = at_hand < limit ? at_hand : limit, end = wsi_http_line_end(data, 0, most);
    *size = end + 2;
    return end < most ? 1 : end == most && most < limit ? 0 : -1; /* -1 includes WSI_HTTP_BAD, which is above most */
}

#ifndef WS_NO_HTTP
/* --- a request's body, assembled in the window like a message --- */

/* What comes next in a body: the values of e->type while it is read. */
enum { WSI_BODY_NONE, WSI_BODY_LENGTH, WSI_BODY_CHUNK, WSI_BODY_CHUNK_DATA, WSI_BODY_CHUNK_END, WSI_BODY_TRAILERS };

static wsi_step wsi_body_done(wsi_engine *e, wsi_window *window, ws_event *event) {
    size_t size = e->message_size;
    if (!e->message_size)
        window->message = window->pos;
    e->message_size = 0;
    e->left = 0;
    e->type = WSI_BODY_NONE;
    e->state = WSI_ASKED;
    return wsi_window_event(window, event, WS_EVENT_REQUEST, WS_BINARY, window->base + window->message, size);
}

/* Reads the line with the size of the next chunk. Returns 0, or the status with which to refuse it. */
static int wsi_body_chunk(wsi_engine *e, wsi_slice line) {
    if (!wsi_body_chunk_size(line, &e->left))
        return 400;
    if (e->left > e->env->limits.body - e->message_size)
        return 413;
    e->type = e->left ? WSI_BODY_CHUNK_DATA : WSI_BODY_TRAILERS;
    return 0;
}

/* Reads a line of a chunked body: a size, the end of a chunk, or a trailer, which is dropped. */
static wsi_step wsi_body_line(wsi_engine *e, wsi_window *window, ws_event *event) {
    const uint8_t *data = window->base + window->pos;
    bool trailers = e->type == WSI_BODY_TRAILERS;
    size_t limit = trailers ? e->env->limits.head : (size_t)WSI_BODY_CHUNK_LINE, size = 0;
    int whole = wsi_body_whole_line(data, window->end - window->pos, limit, &size), status = 0;
    wsi_slice line, name, value;
    if (!whole)
        return WSI_STEP_MORE;
    if (whole < 0)
        return wsi_engine_bad_head(e, window, 400);
    line = wsi_text((const char *)data, size - 2);
    window->pos += size;
    if (e->type == WSI_BODY_CHUNK) {
        status = wsi_body_chunk(e, line);
    } else if (e->type == WSI_BODY_CHUNK_END) {
        status = line.size ? 400 : 0;
        e->type = WSI_BODY_CHUNK;
    } else if (line.size) {
        e->left += size;
        line.size += 2;
        status = e->left > limit ? 431 : wsi_http_header(&line, &name, &value) == WSI_HEADER_FOUND ? 0 : 400;
    } else {
        return wsi_body_done(e, window, event);
    }
    return status ? wsi_engine_bad_head(e, window, status) : WSI_STEP_AGAIN;
}

/* Reads a request's body, or the head of the next request. */
static wsi_step wsi_body_read(wsi_engine *e, wsi_window *window, ws_event *event) {
    if (e->state == WSI_HEAD)
        return wsi_engine_request(e, window, event);
    if (e->type != WSI_BODY_LENGTH && e->type != WSI_BODY_CHUNK_DATA)
        return wsi_body_line(e, window, event);
    uint8_t *data;
    (void)wsi_engine_take(e, window, &data); /* e->key is 0, which unmasks nothing */
    if (e->left)
        return WSI_STEP_MORE;
    if (e->type == WSI_BODY_LENGTH)
        return wsi_body_done(e, window, event);
    e->type = WSI_BODY_CHUNK_END;
    return WSI_STEP_AGAIN;
}

/* Starts to read the body of the pending request. The caller has copied the head. */
static void wsi_body_want(wsi_engine *e, wsi_window *window) {
    const wsi_request *request = &e->env->request;
    window->pos += (size_t)e->left;
    e->left = request->chunked ? 0 : request->content_length;
    e->type = request->chunked ? WSI_BODY_CHUNK : WSI_BODY_LENGTH;
    e->state = WSI_BODY;
    e->env->read = wsi_body_read;
    e->since = e->heard;
    e->message_size = 0;
    if (request->expects_continue && request->http11 && window->pos == window->end)
        (void)wsi_engine_text(e, "HTTP/1.1 100 Continue\r\n\r\n");
}
#endif /* WS_NO_HTTP */
#endif

#if !defined(WS_NO_ENGINE) && !defined(WS_NO_CLIENT) && !defined(WS_NO_SERVER)
/*
>> PIPE ===================================================================================
   Connects two engines in memory, with a virtual clock. Calls ENGINE. Needs both roles.
*/

static size_t wsi_pipe_carry(ws_pipe *pipe, ws_engine *from, ws_engine *to) {
    ws_span out = ws_engine_output(from), in = ws_engine_input(to);
    size_t size = out.size < in.size ? out.size : in.size;
    if (pipe->step_size && size > pipe->step_size)
        size = pipe->step_size;
    if (size) {
        memcpy(in.data, out.data, size);
        ws_engine_sent(from, size);
        ws_engine_received(to, size);
    } else if (out.size && to->core.state == WSI_CLOSED) {
        ws_engine_sent(from, out.size); /* the closed end reads no more */
    } else if (!out.size && from->core.state == WSI_CLOSED && from->core.reported) {
        ws_engine_ended(to);
    }
    return size;
}

WS_API size_t ws_pipe_step(ws_pipe *pipe) {
    if (!pipe || !pipe->ends[0] || !pipe->ends[1] || pipe->cut)
        return 0;
    return wsi_pipe_carry(pipe, pipe->ends[0], pipe->ends[1]) + wsi_pipe_carry(pipe, pipe->ends[1], pipe->ends[0]);
}

WS_API void ws_pipe_wait(ws_pipe *pipe, uint32_t milliseconds) {
    if (!pipe)
        return;
    for (int i = 0; i < 4; i++) { /* each end ticks before and after the wait, as its first tick starts its clock */
        (void)ws_engine_tick(pipe->ends[i % 2], pipe->now);
        pipe->now += i == 1 ? milliseconds : 0;
    }
}
#endif

/*
>> INIT ===================================================================================
   Initializes engines, and the compression of loops. Only this section knows which add-ons exist above. Calls BYTES,
   HANDSHAKE, HEADS, MESSAGES, ENGINE, PERMESSAGE, UPGRADE.
*/

#ifndef WSI_BARE
#ifdef WS_NO_DEFLATE
static void wsi_init_codec(wsi_codec *codec, wsi_memory *memory, wsi_memory *arriving) {
    (void)codec, (void)memory, (void)arriving;
}
#else
static void wsi_init_codec(wsi_codec *codec, wsi_memory *memory, wsi_memory *arriving) {
    codec->calls = &wsi_permessage_functions;
    codec->memory = memory;
    codec->arriving = arriving;
}
#endif
#endif

#ifndef WS_NO_ENGINE
#ifdef WSI_BARE
static bool wsi_init_deflate(ws_engine *engine, const ws_engine_config *config) {
    return (void)engine, (void)config, true;
}
#else
static bool wsi_init_deflate(ws_engine *engine, const ws_engine_config *config) {
    engine->env.deflate = config->memory || !config->deflate || !config->deflate->on ? NULL : config->deflate;
    engine->env.codec = &engine->codec;
    wsi_init_codec(&engine->codec, wsi_engine_own_allocator(engine), wsi_engine_own_allocator(engine));
    return !config->deflate || !wsi_codec_wrong(config->deflate);
}
#endif

static bool wsi_init_role(ws_engine *engine, const ws_engine_config *config) {
    return config->role == WS_ROLE_CLIENT ? wsi_upgrade_begin(engine, config)
                                          : config->role == WS_ROLE_SERVER && wsi_engine_own_server(engine, config);
}

/* If it fails, the engine is closed, and ws_engine_error says why. */
WS_API bool ws_engine_init(ws_engine *engine, const ws_engine_config *config) {
    if (!engine)
        return false;
    wsi_bytes_zero(engine, sizeof *engine);
    wsi_engine_start(&engine->core, &engine->env, 0);
    if (config) {
        engine->env.limits = config->limits;
        wsi_engine_limits(&engine->env.limits);
        engine->env.output = wsi_engine_own_emit;
        engine->env.role = config->role;
        engine->env.subprotocols = config->subprotocols;
        engine->core.chunks = config->chunks;
        if (wsi_init_deflate(engine, config) && wsi_engine_own_memory(engine, config) && wsi_init_role(engine, config))
            return true;
    }
    if (!engine->core.error)
        engine->core.error = WS_ERROR_ARGUMENT;
    ws_engine_free(engine);
    return false;
}
#endif /* WS_NO_ENGINE */

#ifndef WS_NO_NET

/*
>> PLATFORM ===============================================================================
   Everything that depends on the operating system: one list of small functions, which POSIX, WINDOWS and LWIP each
   define; SOCKETS has what they share. Calls HANDSHAKE, MESSAGES. Prefixes: wsi_platform_ in all of these; wsi_reason_.

   A port to another system adds one such section. BSD's calls, from socket to getaddrinfo, inet_ntop and select, keep
   their names. The section also supplies these, each named wsi_platform_ or WSI_PLATFORM_...:

     clock, time         milliseconds that never go back; seconds since 1970, or 0: unknown
     random              fills up to 256 bytes. false: no random source
     thread, is_thread   the calling thread as a wsi_thread; whether a wsi_thread is the calling thread
     explain             the text of an error number; explain_name: of getaddrinfo's. room: memory for the text
     prepare_socket      makes a socket non-blocking, not inherited, raising no signals; close: closes a socket
     send_spans          sends several spans, or at least the first; SEND_FLAGS: send's flags
     SIZE                converts a size_t to the type of size that send and recv take
     share_port          sets a listening socket's options before bind. false: the system refuses them
     open_mail           opens a queue of posts from threads and signal handlers: put_mail adds a post and makes *wake
                         readable, get_mail takes some, close_mail closes it. A system without such a queue supplies
                         WSI_MAIL, wsi_lock, lock, unlock and yield; SOCKETS then has is_thread, explain_name and pair
     pair                makes two connected datagram sockets. If it fails, the caller closes those that were made
     start_thread        runs a client's look-up in a thread, or at once where look-ups may block
     TIMEOUT             the error number of a connect that timed out
   SOCKETS has these for systems whose calls set errno. Other systems supply them:
     start               makes the network usable
     last, error         the number of this thread's last error; the last error as a ws_error
     again, interrupted  whether the last call found nothing ready; whether a failed wait may succeed next time
     connecting          whether a connect is in progress
   A system may lack these:
     unsent, acknowledged   bytes not sent yet, plus those in flight if asked; bytes that the peer acknowledged
     listen_unix, connect_unix, file_id, remove   Unix sockets
     open, open_in, file, read_file, peek_file, close_file, file_status   files, and files in a folder (open_in). The
                         next read_file reads again what peek_file read. file_status: the HTTP status for a failed open
     file_state          for TLS: hashes a file's size and times into state, which differs once the file changes
*/

#include <stdio.h>

#ifdef WS_SMALL /* each error code has one text: no details are kept */
typedef struct wsi_reason {
    char text[4];   /* written, but never shown */
    ws_error error; /* its ws_error_text is shown */
} wsi_reason;

static const char *wsi_reason_text(const wsi_reason *why) { return why->error ? ws_error_text(why->error) : NULL; }

/* Inline, so that the format strings and their arguments are not linked. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4), always_inline))
#endif
static inline ws_error wsi_reason_set(wsi_reason *reason, ws_error error, const char *format, ...) {
    (void)format;
    reason->text[0] = 0;
    return reason->error = error;
}
#else
typedef struct wsi_reason { /* a sentence that says what went wrong */
    char text[256];
} wsi_reason;

static const char *wsi_reason_text(const wsi_reason *why) { return why->text[0] ? why->text : NULL; }

/* Writes the text and returns the error. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
WSI_RARE ws_error wsi_reason_set(wsi_reason *reason, ws_error error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason->text, sizeof reason->text, format, arguments);
    va_end(arguments);
    return error;
}
#endif

static void wsi_reason_clear(wsi_reason *reason) { memset(reason, 0, sizeof *reason); }

/* How many bytes of a program's text a reason quotes: up to a control character, 100 at most. */
static inline int wsi_reason_shows(wsi_slice text) {
    int size = 0;
    while (size < 100 && (size_t)size < text.size && (uint8_t)text.data[size] >= ' ')
        size++;
    return size;
}

/* Whether this list of subprotocols is valid. If not, *why quotes the invalid one. */
static bool wsi_reason_subprotocols(const char *list, wsi_reason *why) {
    wsi_slice wrong;
    return wsi_handshake_tokens(list, &wrong)
           || wsi_reason_set(why, WS_ERROR_ARGUMENT, "subprotocols are distinct tokens: \"chat, superchat\", not "
                             "\"%.*s\"", wsi_reason_shows(wrong), wrong.data) == WS_OK;
}

#define WSI_NO_SOCKET ((ws_socket)-1)

enum { WSI_SPANS = 16 }; /* the most spans in one call of send_spans */

typedef struct wsi_post {
    void (*function)(void *argument); /* NULL: only wakes the loop */
    void *argument;
} wsi_post;

#ifndef WS_NO_CLIENT
typedef struct wsi_task { /* what a thread runs */
    void (*run)(struct wsi_task *task);
} wsi_task;
#endif

#if !defined(WS_NO_SERVER) && !defined(WS_NO_UNIX)
typedef struct wsi_file_id { /* identifies the file at a path; all zero: none */
    uint64_t device, inode;
} wsi_file_id;
#endif

#ifndef WS_NO_HTTP
typedef enum wsi_file_kind { WSI_FILE_OTHER, WSI_FILE_REGULAR, WSI_FILE_FOLDER, WSI_FILE_FAILED } wsi_file_kind;
#endif

#if defined(WSI_POSIX)
/*
>> POSIX ==================================================================================
   Linux, macOS, the BSDs. Calls PLATFORM. Prefix: wsi_platform_.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#ifndef WS_NO_UNIX
#include <sys/un.h>
#endif
#include <unistd.h>
#if defined(__linux__) && !defined(__ANDROID__)
#include <sys/random.h>
#endif

/* Writing to a closed connection must not raise SIGPIPE: a flag of send or a socket option prevents it. */
#if defined(MSG_NOSIGNAL)
#define WSI_PLATFORM_SEND_FLAGS MSG_NOSIGNAL
#else
#define WSI_PLATFORM_SEND_FLAGS 0
#endif
#define WSI_PLATFORM_SIZE(size) (size)

typedef pthread_t wsi_thread;

static uint64_t wsi_platform_clock(void *user) {
    struct timespec time;
    (void)user;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

#if defined(__linux__) && !defined(__ANDROID__) /* getrandom, as musl hides getentropy in strict C */
static bool wsi_platform_random(void *user, void *data, size_t size) {
    ssize_t got;
    (void)user;
    do {
        got = getrandom(data, size, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)size;
}
#elif defined(__EMSCRIPTEN__)
static bool wsi_platform_random(void *user, void *data, size_t size) {
    (void)user;
    return getentropy(data, size) == 0;
}
#else /* also Android, which lacks getrandom before API 28 */
static bool wsi_platform_random(void *user, void *data, size_t size) {
    (void)user;
    arc4random_buf(data, size);
    return true;
}
#endif

static wsi_thread wsi_platform_thread(void) { return pthread_self(); }

static bool wsi_platform_is_thread(wsi_thread thread) { return pthread_equal(thread, pthread_self()) != 0; }

static const char *wsi_platform_explain(int error, wsi_reason *room) { return (void)room, strerror(error); }

static bool wsi_platform_prepare(int descriptor) {
    return fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 && fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0;
}

#if defined(SO_NOSIGPIPE)
static bool wsi_platform_prepare_socket(int descriptor) {
    int on = 1;
    return wsi_platform_prepare(descriptor) && setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) == 0;
}
#else
static bool wsi_platform_prepare_socket(int descriptor) { return wsi_platform_prepare(descriptor); }
#endif

static void wsi_platform_close(int descriptor) { (void)close(descriptor); }

static ptrdiff_t wsi_platform_send_spans(int descriptor, const ws_span *spans, size_t count) {
    struct iovec vectors[WSI_SPANS];
    struct msghdr message;
    memset(&message, 0, sizeof message);
    for (size_t i = 0; i < count; i++) {
        vectors[i].iov_base = spans[i].data;
        vectors[i].iov_len = spans[i].size;
    }
    message.msg_iov = vectors;
    message.msg_iovlen = (uint8_t)count; /* the field is an int or a size_t: either takes a uint8_t */
    return sendmsg(descriptor, &message, WSI_PLATFORM_SEND_FLAGS);
}

/* A pipe. Writing one wsi_post is atomic, thread-safe and async-signal-safe (POSIX, PIPE_BUF). */
typedef struct wsi_mail {
    int in;
} wsi_mail;

static bool wsi_platform_open_mail(wsi_mail *mail, int *wake) {
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    *wake = ends[0];
    mail->in = ends[1];
    return wsi_platform_prepare(ends[0]) && wsi_platform_prepare(ends[1]);
}

static void wsi_platform_close_mail(wsi_mail *mail, int wake) {
    (void)close(wake);
    (void)close(mail->in);
}

static bool wsi_platform_put_mail(wsi_mail *mail, const wsi_post *post) {
    ssize_t written;
    int before = errno;
    do {
        written = write(mail->in, post, sizeof *post);
    } while (written < 0 && errno == EINTR);
    errno = before;
    return written == (ssize_t)sizeof *post;
}

static size_t wsi_platform_get_mail(wsi_mail *mail, int wake, wsi_post *posts, size_t most) {
    ssize_t got = read(wake, posts, most * sizeof *posts);
    (void)mail;
    return got > 0 ? (size_t)got / sizeof *posts : 0;
}

#if defined(__linux__)
static size_t wsi_platform_unsent(int descriptor, bool in_flight) {
    int size = 0; /* 0x894b: SIOCOUTQNSD, TCP only. TIOCOUTQ works for Unix sockets, too; it counts bytes in flight */
    bool known = (!in_flight && ioctl(descriptor, 0x894b, &size) == 0) || ioctl(descriptor, TIOCOUTQ, &size) == 0;
    return known && size > 0 ? (size_t)size : 0;
}

/* A number that changes when the peer receives data: the bytes it acknowledged or, if they are unknown, `unsent`. */
static uint64_t wsi_platform_acknowledged(int descriptor, size_t unsent) {
    uint64_t info[16]; /* up to tcpi_bytes_acked, which older headers do not name */
    socklen_t size = sizeof info;
    bool known = getsockopt(descriptor, IPPROTO_TCP, 11 /* TCP_INFO */, info, &size) == 0 && size == sizeof info;
    return known ? info[15] : unsent;
}
#elif defined(SO_NWRITE) /* macOS */
static size_t wsi_platform_unsent(int descriptor, bool in_flight) {
    int size = 0; /* bytes in flight are included */
    socklen_t length = sizeof size;
    (void)in_flight;
    return getsockopt(descriptor, SOL_SOCKET, SO_NWRITE, &size, &length) == 0 && size > 0 ? (size_t)size : 0;
}
#elif defined(FIONWRITE) /* BSD */
static size_t wsi_platform_unsent(int descriptor, bool in_flight) {
    int size = 0; /* bytes in flight are included */
    return (void)in_flight, ioctl(descriptor, FIONWRITE, &size) == 0 && size > 0 ? (size_t)size : 0;
}
#endif

#ifndef WS_NO_SERVER
static bool wsi_platform_share_port(int descriptor) {
    int on = 1;
    return setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
}
#endif

#ifndef WS_NO_CLIENT
#define WSI_PLATFORM_TIMEOUT ETIMEDOUT

static const char *wsi_platform_explain_name(int error, wsi_reason *room) { return (void)room, gai_strerror(error); }

static bool wsi_platform_pair(int ends[2]) {
    return socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0 && wsi_platform_prepare_socket(ends[0])
           && wsi_platform_prepare_socket(ends[1]);
}

static void *wsi_platform_run(void *argument) {
    wsi_task *task = (wsi_task *)argument;
    task->run(task);
    return NULL;
}

static bool wsi_platform_start_thread(wsi_task *task) {
    pthread_t thread;
    sigset_t all, before;
    (void)sigfillset(&all); /* the new thread must handle none of the program's signals */
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    bool started = pthread_create(&thread, NULL, wsi_platform_run, task) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        (void)pthread_detach(thread);
    return started;
}
#endif /* WS_NO_CLIENT */

#ifndef WS_NO_HTTP /* files */
typedef int wsi_file;

#define WSI_NO_FILE (-1)

static wsi_file wsi_platform_open(const char *name, bool folder) {
    return open(name, (folder ? O_DIRECTORY : 0) | O_RDONLY | O_CLOEXEC);
}

/* Never follows a symbolic link, and never waits for the other end of a FIFO. */
static wsi_file wsi_platform_open_in(wsi_file folder, const char *name) {
    return openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

WSI_RARE int wsi_platform_file_status(void) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG || errno == ENXIO /* a socket */
        || errno == ELOOP || errno == EMLINK /* a symbolic link */)
        return 404;
    if (errno == EACCES || errno == EPERM)
        return 403;
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? 503 : 500;
}

static wsi_file_kind wsi_platform_file(wsi_file file, uint64_t *size, uint64_t *changed) {
    struct stat status;
    if (fstat(file, &status) != 0)
        return WSI_FILE_FAILED;
    *size = (uint64_t)status.st_size;
    *changed = status.st_mtime > 0 ? (uint64_t)status.st_mtime : 0;
    return S_ISREG(status.st_mode) ? WSI_FILE_REGULAR : S_ISDIR(status.st_mode) ? WSI_FILE_FOLDER : WSI_FILE_OTHER;
}

static ptrdiff_t wsi_platform_read_file(wsi_file file, uint8_t *data, size_t size) {
    ssize_t got;
    do {
        got = read(file, data, size);
    } while (got < 0 && errno == EINTR);
    return (ptrdiff_t)got;
}

static ptrdiff_t wsi_platform_peek_file(wsi_file file, void *data, size_t size) {
    return (ptrdiff_t)pread(file, data, size, 0);
}

static void wsi_platform_close_file(wsi_file file) { (void)close(file); }
#endif /* WS_NO_HTTP */

#if !defined(WS_NO_TLS) && !defined(WS_NO_CLIENT)
#if defined(__APPLE__)
#define WSI_PLATFORM_CHANGED st_mtimespec
#else
#define WSI_PLATFORM_CHANGED st_mtim
#endif

static uint64_t wsi_platform_file_state(const char *name, uint64_t state) {
    const uint64_t prime = 0x100000001b3u;
    struct stat status;
    if (stat(name, &status) != 0)
        return state * prime + 1;
    state = (state * prime + (uint64_t)status.st_ino) * prime + (uint64_t)status.st_size;
    return (state * prime + (uint64_t)status.WSI_PLATFORM_CHANGED.tv_sec) * prime
           + (uint64_t)status.WSI_PLATFORM_CHANGED.tv_nsec;
}
#endif /* WS_NO_TLS, WS_NO_CLIENT */
#endif /* WSI_POSIX */

#if defined(_WIN32) && !defined(WS_LWIP)
/*
>> WINDOWS ================================================================================
   Windows, with mingw-w64 or a compiler of MSVC's dialect. Calls PLATFORM. Prefix: wsi_platform_.
*/

#include <ws2tcpip.h>
#include <bcrypt.h>
#include <time.h>
#include <wchar.h>
#if !defined(WS_NO_TLS) && !defined(WS_NO_CLIENT)
#include <wincrypt.h>
#undef X509_NAME /* OpenSSL does this as well, but too early if its headers are included before ws.h */
#undef X509_EXTENSIONS
#undef PKCS7_ISSUER_AND_SERIAL
#undef PKCS7_SIGNER_INFO
#undef OCSP_REQUEST
#undef OCSP_RESPONSE
#endif

#define WSI_PLATFORM_NO_FAMILY WSAEAFNOSUPPORT
#define WSI_PLATFORM_TIMEOUT WSAETIMEDOUT
#define WSI_PLATFORM_SEND_FLAGS 0
#define WSI_PLATFORM_SIZE(size) ((size) < INT32_MAX ? (int)(size) : INT32_MAX)

typedef DWORD wsi_thread;

static bool wsi_platform_start(void) {
    WSADATA about;
    return WSAStartup(MAKEWORD(2, 2), &about) == 0; /* never cleaned up: a look-up may outlive the loop */
}

static uint64_t wsi_platform_clock(void *user) {
    LARGE_INTEGER count, second;
    (void)user;
    (void)QueryPerformanceCounter(&count);
    (void)QueryPerformanceFrequency(&second);
    return (uint64_t)(count.QuadPart / second.QuadPart * 1000
                      + count.QuadPart % second.QuadPart * 1000 / second.QuadPart);
}

static bool wsi_platform_random(void *user, void *data, size_t size) {
    (void)user;
    return BCryptGenRandom(NULL, (unsigned char *)data, (ULONG)size, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0;
}

static wsi_thread wsi_platform_thread(void) { return GetCurrentThreadId(); }

static int wsi_platform_last(void) { return WSAGetLastError(); }

static const char *wsi_platform_explain(int error, wsi_reason *room) {
    DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK;
    wchar_t wide[sizeof room->text / 3]; /* each unit takes at most three bytes of UTF-8 */
    DWORD size = FormatMessageW(flags, NULL, (DWORD)error, 0, wide, sizeof wide / sizeof *wide, NULL);
    while (size && (wide[size - 1] == '.' || wide[size - 1] <= ' '))
        size--;
    size = (DWORD)WideCharToMultiByte(CP_UTF8, 0, wide, (int)size, room->text, sizeof room->text - 1, NULL, NULL);
    room->text[size] = 0;
    if (!size)
        (void)wsi_reason_set(room, WS_OK, "Windows error %d", error);
    return room->text;
}

static bool wsi_platform_again(void) { return WSAGetLastError() == WSAEWOULDBLOCK; }

static bool wsi_platform_interrupted(void) { return WSAGetLastError() == WSAENOBUFS; }

static ws_error wsi_platform_error(void) {
    switch (WSAGetLastError()) {
    case WSAEADDRINUSE: return WS_ERROR_IN_USE;
    case WSAEACCES: return WS_ERROR_PERMISSION;
    case WSAEMFILE: return WS_ERROR_DESCRIPTORS;
    case WSAEADDRNOTAVAIL:
    case WSAEAFNOSUPPORT: return WS_ERROR_ADDRESS;
    case WSAENOBUFS: return WS_ERROR_MEMORY;
    default: return WS_ERROR_SYSTEM;
    }
}

static bool wsi_platform_prepare_socket(ws_socket descriptor) {
    u_long on = 1;
    (void)SetHandleInformation((HANDLE)descriptor, HANDLE_FLAG_INHERIT, 0);
    return ioctlsocket(descriptor, (long)FIONBIO, &on) == 0;
}

static void wsi_platform_close(ws_socket descriptor) { (void)closesocket(descriptor); }

static ptrdiff_t wsi_platform_send_spans(ws_socket descriptor, const ws_span *spans, size_t count) {
    WSABUF buffers[WSI_SPANS];
    DWORD i, sent = 0, all = (DWORD)count;
    for (i = 0; i < all; i++) {
        buffers[i].buf = (char *)spans[i].data;
        buffers[i].len = (ULONG)WSI_PLATFORM_SIZE(spans[i].size);
        if (buffers[i].len < spans[i].size) /* the rest of this span must come before the next one */
            all = i + 1;
    }
    return WSASend(descriptor, buffers, all, &sent, 0, NULL, NULL) == 0 ? (ptrdiff_t)sent : -1;
}

/* SO_REUSEADDR stays off: on Windows it would let any program take over the port. */
static bool wsi_platform_share_port(ws_socket descriptor) {
    int on = 1;
    return setsockopt(descriptor, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof on) == 0;
}

enum { WSI_MAIL = 2048 };

typedef SRWLOCK wsi_lock; /* all zero: free */

static void wsi_platform_lock(wsi_lock *lock) { AcquireSRWLockExclusive(lock); }

static void wsi_platform_unlock(wsi_lock *lock) { ReleaseSRWLockExclusive(lock); }

static void wsi_platform_yield(void) { (void)SwitchToThread(); }

#ifndef WS_NO_CLIENT
static bool wsi_platform_connecting(void) { return WSAGetLastError() == WSAEWOULDBLOCK; }

static DWORD WINAPI wsi_platform_run(void *argument) {
    wsi_task *task = (wsi_task *)argument;
    task->run(task);
    return 0;
}

static bool wsi_platform_start_thread(wsi_task *task) {
    HANDLE thread = CreateThread(NULL, 0, wsi_platform_run, task, 0, NULL);
    return thread && CloseHandle(thread);
}
#endif /* WS_NO_CLIENT */

/* Converts UTF-8 to UTF-16. false: invalid or too long. */
static inline bool wsi_platform_widen(const char *text, wchar_t *wide, size_t size) {
    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, (int)size) > 0;
}

#ifndef WS_NO_HTTP /* files */
enum { WSI_FILE_PATH = 1024 }; /* UTF-16 units in a path */

typedef HANDLE wsi_file;

#define WSI_NO_FILE INVALID_HANDLE_VALUE

/* While the file is open, neither it nor a folder above it can be renamed, so the path stays valid. */
static wsi_file wsi_platform_open_path(const wchar_t *path, DWORD flags, bool folder) {
    wsi_file file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING,
                                flags | FILE_FLAG_BACKUP_SEMANTICS, NULL);
    BY_HANDLE_FILE_INFORMATION about;
    if (file == WSI_NO_FILE)
        return file;
    DWORD error = GetFileInformationByHandle(file, &about) ? ERROR_FILE_NOT_FOUND : GetLastError();
    if (error == ERROR_FILE_NOT_FOUND && (folder ? about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY
                                                 : !(about.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT)))
        return file;
    (void)CloseHandle(file);
    SetLastError(error);
    return WSI_NO_FILE;
}

static wsi_file wsi_platform_open(const char *name, bool folder) {
    wchar_t path[WSI_FILE_PATH];
    return wsi_platform_widen(name, path, WSI_FILE_PATH) ? wsi_platform_open_path(path, 0, folder) : WSI_NO_FILE;
}

/* Never follows a reparse point, such as a symbolic link. The path begins with "\\?\", so Windows takes it literally:
   NUL is no device, and no trailing dot is cut off. ':' is refused, because it would open a stream of the file. A short
   name, such as GIT~1, could open the hidden .git, so the file's name on disk is checked as well. */
static wsi_file wsi_platform_open_in(wsi_file folder, const char *name) {
    wchar_t path[WSI_FILE_PATH];
    DWORD size = GetFinalPathNameByHandleW(folder, path, WSI_FILE_PATH, FILE_NAME_NORMALIZED | VOLUME_NAME_DOS) + 1;
    if (size > 1 && size < WSI_FILE_PATH && !strchr(name, ':')
        && wsi_platform_widen(name, path + size, WSI_FILE_PATH - size)) {
        path[size - 1] = '\\';
        wsi_file file = wsi_platform_open_path(path, FILE_FLAG_OPEN_REPARSE_POINT, false);
        size = file == WSI_NO_FILE ? 0 : GetFinalPathNameByHandleW(file, path, WSI_FILE_PATH, FILE_NAME_NORMALIZED);
        if (file == WSI_NO_FILE || (size && size < WSI_FILE_PATH && wcsrchr(path, '\\')[1] != '.'))
            return file;
        (void)CloseHandle(file);
    }
    SetLastError(ERROR_INVALID_NAME);
    return WSI_NO_FILE;
}

WSI_RARE int wsi_platform_file_status(void) {
    DWORD error = GetLastError();
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND || error == ERROR_DIRECTORY
        || error == ERROR_FILENAME_EXCED_RANGE || error == ERROR_INVALID_NAME)
        return 404;
    if (error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION)
        return 403;
    return error == ERROR_TOO_MANY_OPEN_FILES || error == ERROR_NOT_ENOUGH_MEMORY ? 503 : 500;
}

static wsi_file_kind wsi_platform_file(wsi_file file, uint64_t *size, uint64_t *changed) {
    const uint64_t second = 10000000, until_1970 = 11644473600u; /* in units of 100 ns; seconds from 1601 to 1970 */
    BY_HANDLE_FILE_INFORMATION about;
    if (!GetFileInformationByHandle(file, &about))
        return WSI_FILE_FAILED;
    *size = (uint64_t)about.nFileSizeHigh << 32 | about.nFileSizeLow;
    *changed = ((uint64_t)about.ftLastWriteTime.dwHighDateTime << 32 | about.ftLastWriteTime.dwLowDateTime) / second;
    *changed = *changed > until_1970 ? *changed - until_1970 : 0;
    return about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? WSI_FILE_FOLDER : WSI_FILE_REGULAR;
}

static ptrdiff_t wsi_platform_read_file(wsi_file file, uint8_t *data, size_t size) {
    DWORD got = 0;
    return ReadFile(file, data, (DWORD)WSI_PLATFORM_SIZE(size), &got, NULL) ? (ptrdiff_t)got : -1;
}

static ptrdiff_t wsi_platform_peek_file(wsi_file file, void *data, size_t size) {
    ptrdiff_t got = wsi_platform_read_file(file, (uint8_t *)data, size);
    LARGE_INTEGER start;
    start.QuadPart = 0;
    return SetFilePointerEx(file, start, NULL, FILE_BEGIN) ? got : -1;
}

static void wsi_platform_close_file(wsi_file file) { (void)CloseHandle(file); }
#endif /* WS_NO_HTTP */

#if !defined(WS_NO_TLS) && !defined(WS_NO_CLIENT)
static uint64_t wsi_platform_file_state(const char *name, uint64_t state) {
    const uint64_t prime = 0x100000001b3u;
    wchar_t wide[1024];
    WIN32_FILE_ATTRIBUTE_DATA about;
    if (!wsi_platform_widen(name, wide, sizeof wide / sizeof *wide)
        || !GetFileAttributesExW(wide, GetFileExInfoStandard, &about))
        return state * prime + 1;
    state = (state * prime + about.nFileSizeLow) * prime + about.ftCreationTime.dwLowDateTime;
    return (state * prime + about.ftLastWriteTime.dwHighDateTime) * prime + about.ftLastWriteTime.dwLowDateTime;
}
#endif /* WS_NO_TLS, WS_NO_CLIENT */
#endif /* _WIN32 */

#if defined(WS_LWIP)
/*
>> LWIP ===================================================================================
   A system with threads (NO_SYS=0) and the sockets of lwIP 2.1, such as ESP-IDF. Calls PLATFORM. Prefix:
   wsi_platform_.

   lwipopts.h needs LWIP_SOCKET, LWIP_COMPAT_SOCKETS, LWIP_DNS, and a loop-back (LWIP_HAVE_LOOPIF or
   LWIP_NETIF_LOOPBACK), by which ws_post wakes the loop. Each loop needs one socket for that. A look-up blocks the
   loop's thread, and needs two sockets meanwhile. LWIP_RAND must be a true random source: frame masks come from it. The
   date comes from ws_loop_config.wall_clock. Threads may call ws_post, interrupts may not.
*/

#include "lwip/netdb.h"
#include "lwip/sys.h"

#if !LWIP_COMPAT_SOCKETS || !LWIP_DNS || !defined(LWIP_RAND) || (!LWIP_HAVE_LOOPIF && !LWIP_NETIF_LOOPBACK) \
    || !SYS_LIGHTWEIGHT_PROT
#error "lwipopts.h: WS_LWIP needs LWIP_COMPAT_SOCKETS, LWIP_DNS, LWIP_RAND, SYS_LIGHTWEIGHT_PROT and a loop-back"
#endif
#if !LWIP_TCPIP_CORE_LOCKING && !LWIP_NETCONN_SEM_PER_THREAD
#error "lwipopts.h: ws_post needs LWIP_TCPIP_CORE_LOCKING or LWIP_NETCONN_SEM_PER_THREAD to be safe in other threads"
#endif

#define WSI_PLATFORM_SEND_FLAGS 0
#define WSI_PLATFORM_SIZE(size) (size)
#define WSI_PLATFORM_TIMEOUT ECONNABORTED /* lwIP's error for a connect that timed out */
#if !LWIP_IPV6 /* stand-ins, which no address uses */
enum { INET6_ADDRSTRLEN = INET_ADDRSTRLEN, IPPROTO_IPV6 = 41, IPV6_V6ONLY = 27 };
struct sockaddr_in6 {
    u8_t sin6_len;
    sa_family_t sin6_family;
    in_port_t sin6_port;
    u8_t sin6_addr[16];
};
#endif

typedef int wsi_thread;

/* sys_now starts again from 0 after 49 days. */
static uint64_t wsi_platform_clock(void *user) {
    static uint32_t newest, turns;
    SYS_ARCH_DECL_PROTECT(level);
    (void)user;
    SYS_ARCH_PROTECT(level);
    uint64_t now = sys_now();
    turns += now < newest;
    newest = (uint32_t)now;
    now |= (uint64_t)turns << 32;
    SYS_ARCH_UNPROTECT(level);
    return now;
}

static uint64_t wsi_platform_time(void *user) { return (void)user, 0; }

static bool wsi_platform_random(void *user, void *data, size_t size) {
    uint8_t *to = (uint8_t *)data;
    (void)user;
    while (size--)
        *to++ = (uint8_t)(LWIP_RAND() >> 8); /* the lowest bits are the weakest */
    return true;
}

static wsi_thread wsi_platform_thread(void) { return 0; } /* the thread is not known */

static const char *wsi_platform_explain(int error, wsi_reason *room) {
    (void)wsi_reason_set(room, WS_OK, "lwIP error %d", error);
    return room->text;
}

/* On lwIP accepted sockets do not inherit TCP_NODELAY. */
static bool wsi_platform_prepare_socket(int descriptor) {
    int on = 1;
    (void)lwip_setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return lwip_ioctl(descriptor, (long)FIONBIO, &on) == 0;
}

static void wsi_platform_close(int descriptor) { (void)lwip_close(descriptor); }

static ptrdiff_t wsi_platform_send_spans(int descriptor, const ws_span *spans, size_t count) {
    ptrdiff_t all = 0, sent;
    for (size_t i = 0; i < count; i++) {
        sent = lwip_send(descriptor, spans[i].data, spans[i].size, i + 1 < count ? MSG_MORE : 0);
        if (sent < 0)
            return all ? all : -1;
        all += sent;
        if ((size_t)sent < spans[i].size)
            break;
    }
    return all;
}

static bool wsi_platform_share_port(int descriptor) {
    int on = 1;
    (void)lwip_setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* fails without SO_REUSE */
    return true;
}

enum { WSI_MAIL = 16 };

typedef sys_prot_t wsi_lock;

static void wsi_platform_lock(wsi_lock *lock) { SYS_ARCH_PROTECT(*lock); }

static void wsi_platform_unlock(wsi_lock *lock) { SYS_ARCH_UNPROTECT(*lock); }

static void wsi_platform_yield(void) { sys_msleep(1); }

static bool wsi_platform_host_text(const struct sockaddr_storage *address, socklen_t length, char *host, size_t size) {
    const void *from = address;
    (void)length;
    from = address->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)from)->sin_addr
                                         : (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr;
    return lwip_inet_ntop(address->ss_family, from, host, (socklen_t)size) != NULL;
}

#ifndef WS_NO_CLIENT
static bool wsi_platform_start_thread(wsi_task *task) { return task->run(task), true; }
#endif /* WS_NO_CLIENT */
#endif /* WS_LWIP */

/*
>> SOCKETS ================================================================================
   What systems share: atomic words, the queue of posts where there are no pipes, addresses and look-ups, listening and
   connecting sockets. Calls MEMORY, BYTES, TEXT, MESSAGES, PLATFORM. Prefix: wsi_platform_.
*/

#if !defined(WS_LWIP)
static uint64_t wsi_platform_time(void *user) {
    time_t now = time(NULL);
    (void)user;
    return now > 0 ? (uint64_t)now : 0;
}

static bool wsi_platform_host_text(const struct sockaddr_storage *address, socklen_t length, char *host, size_t size) {
    return getnameinfo((const struct sockaddr *)address, length, host, (unsigned)size, NULL, 0, NI_NUMERICHOST) == 0;
}
#endif

#if defined(WS_LWIP) || !defined(_WIN32) /* socket calls set errno */
static bool wsi_platform_start(void) { return true; }

static int wsi_platform_last(void) { return errno; }

static bool wsi_platform_again(void) { return errno == EAGAIN || errno == EINTR; } /* EWOULDBLOCK is EAGAIN */

static bool wsi_platform_interrupted(void) { return errno == EINTR || errno == ENOMEM || errno == EAGAIN; }

static ws_error wsi_platform_error(void) {
    switch (errno) {
    case EADDRINUSE: return WS_ERROR_IN_USE;
    case EACCES:
    case EPERM: return WS_ERROR_PERMISSION;
    case EMFILE:
    case ENFILE: return WS_ERROR_DESCRIPTORS;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: return WS_ERROR_ADDRESS;
    case ENOBUFS: /* lwIP: also when no socket is left */
    case ENOMEM: return WS_ERROR_MEMORY;
    default: return WS_ERROR_SYSTEM;
    }
}

#ifndef WS_NO_CLIENT
static bool wsi_platform_connecting(void) { return errno == EINPROGRESS || errno == EINTR; }
#define WSI_PLATFORM_NO_FAMILY EAFNOSUPPORT
#endif
#endif

WSI_INLINE ptrdiff_t wsi_platform_receive(ws_socket descriptor, void *data, size_t size, int flags) {
    return recv(descriptor, (char *)data, WSI_PLATFORM_SIZE(size), flags);
}

WSI_INLINE ptrdiff_t wsi_platform_send(ws_socket descriptor, const void *data, size_t size) {
    return send(descriptor, (const char *)data, WSI_PLATFORM_SIZE(size), WSI_PLATFORM_SEND_FLAGS);
}

#if defined(WS_LWIP) || defined(_WIN32) || !(defined(__linux__) || defined(SO_NWRITE) || defined(FIONWRITE))
static size_t wsi_platform_unsent(ws_socket descriptor, bool in_flight) { return (void)descriptor, (void)in_flight, 0; }
#endif
#if defined(WS_LWIP) || !defined(__linux__)
static uint64_t wsi_platform_acknowledged(ws_socket descriptor, size_t unsent) { return (void)descriptor, unsent; }
#endif

/* A word that threads and signal handlers change atomically. It holds the lowest value requested, or 0 for none. */
#if defined(__GNUC__) && !defined(WS_LWIP)
static uint32_t wsi_platform_peek(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static bool wsi_platform_swap(uint32_t *word, uint32_t old, uint32_t value) {
    return __atomic_compare_exchange_n(word, &old, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
#else /* MSVC; lwIP, which also runs on processors without atomic instructions */
#if defined(WSI_POSIX) /* tcc: each access is atomic, but compare and swap is not */
typedef int wsi_lock;
static void wsi_platform_lock(wsi_lock *lock) { *lock = 1; }
static void wsi_platform_unlock(wsi_lock *lock) { *lock = 0; }
#endif
static uint32_t wsi_platform_peek(const uint32_t *word) { return *(const volatile uint32_t *)word; }
static bool wsi_platform_swap(uint32_t *word, uint32_t old, uint32_t value) {
    static wsi_lock lock;
    wsi_platform_lock(&lock);
    bool same = wsi_platform_peek(word) == old;
    if (same)
        *(volatile uint32_t *)word = value;
    wsi_platform_unlock(&lock);
    return same;
}
#endif

#if defined(WS_LWIP) || defined(_WIN32)
static bool wsi_platform_is_thread(wsi_thread thread) { return thread == wsi_platform_thread(); }

/* --- without pipes: posts are queued in memory, and datagrams wake the loop; a lost datagram loses no post --- */

/* Opens a datagram socket on 127.0.0.1. */
static ws_socket wsi_platform_open_end(struct sockaddr_in *name) {
    ws_socket end = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t size = sizeof *name;
    memset(name, 0, sizeof *name);
    name->sin_family = AF_INET;
    wsi_bytes_store((uint8_t *)&name->sin_addr, 4, INADDR_LOOPBACK);
    if (end == WSI_NO_SOCKET
        || (wsi_platform_share_port(end) && wsi_platform_prepare_socket(end)
            && bind(end, (const struct sockaddr *)name, sizeof *name) == 0
            && getsockname(end, (struct sockaddr *)name, &size) == 0))
        return end;
    wsi_platform_close(end);
    return WSI_NO_SOCKET;
}

/* Lets a socket receive from the other end alone, and discards what anybody else sent before. */
static bool wsi_platform_join_end(ws_socket end, const struct sockaddr_in *other) {
    char byte;
    if (end == WSI_NO_SOCKET || connect(end, (const struct sockaddr *)other, sizeof *other) != 0)
        return false;
    for (int i = 0; i < 10000 && (wsi_platform_receive(end, &byte, 1, 0) >= 0 || !wsi_platform_again()); i++) {}
    return true;
}

typedef struct wsi_mail {
    wsi_lock lock;
    ws_socket in; /* connected to itself */
    unsigned first, count;
    wsi_post posts[WSI_MAIL];
} wsi_mail;

static bool wsi_platform_open_mail(wsi_mail *mail, ws_socket *wake) {
    struct sockaddr_in name;
    *wake = mail->in = wsi_platform_open_end(&name);
    return wsi_platform_join_end(*wake, &name);
}

static void wsi_platform_close_mail(wsi_mail *mail, ws_socket wake) {
    (void)mail;
    wsi_platform_close(wake);
}

/* The system may refuse a datagram while memory is short or other threads are sending, so this tries again. */
static void wsi_platform_wake(ws_socket descriptor) {
    for (int i = 0; i < WSI_MAIL && wsi_platform_send(descriptor, "", 1) < 0; i++)
        wsi_platform_yield();
}

static bool wsi_platform_put_mail(wsi_mail *mail, const wsi_post *post) {
    wsi_platform_lock(&mail->lock);
    bool room = mail->count < WSI_MAIL;
    if (room)
        mail->posts[(mail->first + mail->count++) % WSI_MAIL] = *post;
    wsi_platform_unlock(&mail->lock);
    if (room)
        wsi_platform_wake(mail->in);
    return room;
}

/* Takes a datagram for each post; sends another if posts are left. */
static size_t wsi_platform_get_mail(wsi_mail *mail, ws_socket wake, wsi_post *posts, size_t most) {
    size_t count = 0;
    char byte;
    while (count < most && wsi_platform_receive(wake, &byte, 1, 0) > 0)
        count++;
    wsi_platform_lock(&mail->lock);
    for (count = 0; count < most && mail->count; count++, mail->count--) {
        posts[count] = mail->posts[mail->first];
        mail->first = (mail->first + 1) % WSI_MAIL;
    }
    bool left = mail->count > 0;
    wsi_platform_unlock(&mail->lock);
    if (left)
        wsi_platform_wake(wake);
    return count;
}

#ifndef WS_NO_CLIENT
static const char *wsi_platform_explain_name(int error, wsi_reason *room) { return wsi_platform_explain(error, room); }

static bool wsi_platform_pair(ws_socket ends[2]) {
    struct sockaddr_in names[2];
    ends[0] = wsi_platform_open_end(&names[0]);
    ends[1] = wsi_platform_open_end(&names[1]);
    return wsi_platform_join_end(ends[0], &names[1]) && wsi_platform_join_end(ends[1], &names[0]);
}
#endif
#endif /* WS_LWIP, _WIN32 */

static void wsi_platform_lower(uint32_t *word, uint32_t value) {
    uint32_t old;
    do {
        old = wsi_platform_peek(word);
    } while ((!old || old > value) && !wsi_platform_swap(word, old, value));
}

static uint32_t wsi_platform_reset(uint32_t *word) {
    uint32_t old;
    do {
        old = wsi_platform_peek(word);
    } while (old && !wsi_platform_swap(word, old, 0));
    return old;
}

static bool wsi_platform_option(ws_socket descriptor, int level, int option, int value) {
    return setsockopt(descriptor, level, option, (const char *)&value, sizeof value) == 0;
}

/* Looks up addresses, with AI_PASSIVE to listen on. Blocks without AI_NUMERICHOST. Returns 0 or getaddrinfo's error. */
static int wsi_platform_resolve(const char *host, uint16_t port, int flags, struct addrinfo **addresses) {
    struct addrinfo hints;
    char service[6] = "";
    service[wsi_text_decimal(service, port)] = 0;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    return getaddrinfo(host, service, &hints, addresses);
}

/* The port of an address; 0 if it is not an IP address. */
static uint16_t wsi_platform_port(const struct sockaddr_storage *address) {
    const void *any = address;
    if (address->ss_family == AF_INET6)
        return (uint16_t)wsi_bytes_load((const uint8_t *)&((const struct sockaddr_in6 *)any)->sin6_port, 2);
    return address->ss_family == AF_INET
               ? (uint16_t)wsi_bytes_load((const uint8_t *)&((const struct sockaddr_in *)any)->sin_port, 2) : 0;
}

/* Turns "::ffff:127.0.0.1" into "127.0.0.1" (IPv4 mapped into IPv6, RFC 4291 2.5.5.2); leaves others as they are. */
static wsi_slice wsi_platform_unmapped(wsi_slice host) {
    bool mapped = host.size > 7 && memcmp(host.data, "::ffff:", 7) == 0 && memchr(host.data, '.', host.size);
    return mapped ? wsi_text(host.data + 7, host.size - 7) : host;
}

/* Writes "127.0.0.1:5000" or "[::1]:5000". false: it does not fit. */
static bool wsi_platform_address_text(wsi_slice host, uint16_t port, char *text, size_t size) {
    host = wsi_platform_unmapped(host);
    const char *format = memchr(host.data, ':', host.size) ? "[%.*s]:%u" : "%.*s:%u";
    int written = snprintf(text, size, format, (int)host.size, host.data, (unsigned)port);
    return written > 0 && (size_t)written < size;
}

static bool wsi_platform_peer(ws_socket descriptor, char *text, size_t size) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[64];
    return getpeername(descriptor, (struct sockaddr *)&address, &length) == 0 && wsi_platform_port(&address)
           && wsi_platform_host_text(&address, length, host, sizeof host)
           && wsi_platform_address_text(wsi_text_z(host), wsi_platform_port(&address), text, size);
}

#ifndef WS_NO_SERVER
/* --- a server's sockets --- */

typedef enum wsi_accepted { WSI_ACCEPTED, WSI_ACCEPT_NONE, WSI_ACCEPT_FULL, WSI_ACCEPT_NEXT } wsi_accepted;

#if defined(WSI_POSIX) && defined(__USE_GNU) /* glibc declares accept4 */
static int wsi_platform_accept_one(int listener) {
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static bool wsi_platform_prepare_accepted(int descriptor) { return (void)descriptor, true; }
#else
static ws_socket wsi_platform_accept_one(ws_socket listener) { return accept(listener, NULL, NULL); }

static bool wsi_platform_prepare_accepted(ws_socket descriptor) { return wsi_platform_prepare_socket(descriptor); }
#endif

/* Accepts a connection. NONE: nobody is waiting. FULL: no descriptor or memory is left. NEXT: try again. */
static wsi_accepted wsi_platform_accept(ws_socket listener, ws_socket *descriptor) {
    *descriptor = wsi_platform_accept_one(listener);
    if (*descriptor != WSI_NO_SOCKET) {
        if (wsi_platform_prepare_accepted(*descriptor))
            return WSI_ACCEPTED;
        wsi_platform_close(*descriptor);
        return WSI_ACCEPT_NEXT;
    }
    if (wsi_platform_again())
        return WSI_ACCEPT_NONE;
    ws_error error = wsi_platform_error();
    return error == WS_ERROR_DESCRIPTORS || error == WS_ERROR_MEMORY ? WSI_ACCEPT_FULL : WSI_ACCEPT_NEXT;
}

/* The port that a socket is bound to; 0: none. */
static uint16_t wsi_platform_own_port(ws_socket descriptor) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    return getsockname(descriptor, (struct sockaddr *)&address, &length) == 0 ? wsi_platform_port(&address) : 0;
}

#if defined(WSI_POSIX) && defined(SO_REUSEPORT)
#define WSI_PLATFORM_REUSE_PORT SO_REUSEPORT /* several processes may listen on one port */
#else
#define WSI_PLATFORM_REUSE_PORT (-1)
#endif

static ws_error wsi_platform_listen_on(const struct addrinfo *address, const ws_server_config *config,
                                       ws_socket *listener) {
    ws_socket descriptor = socket(address->ai_family, SOCK_STREAM, 0);
    if (descriptor == WSI_NO_SOCKET)
        return wsi_platform_error();
    if (address->ai_family == AF_INET6) /* "::" takes IPv4 as well, whatever the default. OpenBSD keeps the two apart */
        (void)wsi_platform_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    /* accepted sockets inherit TCP_NODELAY: writes are gathered already */
    if (wsi_platform_share_port(descriptor)
        && (!config->reuse_port || wsi_platform_option(descriptor, SOL_SOCKET, WSI_PLATFORM_REUSE_PORT, 1))
        && wsi_platform_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1) && wsi_platform_prepare_socket(descriptor)
        && bind(descriptor, address->ai_addr, (socklen_t)address->ai_addrlen) == 0
        && listen(descriptor, config->backlog > 0 ? config->backlog : 511) == 0) {
        *listener = descriptor;
        return WS_OK;
    }
    ws_error error = wsi_platform_error();
    wsi_platform_close(descriptor);
    return error;
}

/* Opens a listening socket. *why: the option that this system lacks, or that the host cannot be resolved. */
static ws_error wsi_platform_listen(const ws_server_config *config, ws_socket *listener, const char **why) {
    struct addrinfo *addresses = NULL, *address;
    ws_error error = WS_ERROR_ADDRESS;
    if (config->reuse_port && WSI_PLATFORM_REUSE_PORT < 0) {
        *why = "this system has no reuse_port";
        return WS_ERROR_ARGUMENT;
    }
    if (wsi_platform_resolve(config->host ? config->host : "127.0.0.1", config->port, AI_PASSIVE, &addresses) != 0) {
        *why = ws_error_text(WS_ERROR_RESOLVE);
        return WS_ERROR_ADDRESS;
    }
    for (address = addresses; address && error; address = address->ai_next)
        error = wsi_platform_listen_on(address, config, listener);
    freeaddrinfo(addresses);
    return error;
}
#endif /* WS_NO_SERVER */

#if !defined(WS_NO_CLIENT) || !defined(WS_NO_FORWARD)
/* Reads a numeric address into network byte order. false: it is invalid. */
static bool wsi_platform_parse(int family, wsi_slice text, void *address) {
    char host[INET6_ADDRSTRLEN];
    if (text.size >= sizeof host)
        return false;
    *wsi_text_append(host, text) = 0;
    return inet_pton(family, host, address) == 1;
}
#endif

#ifndef WS_NO_FORWARD
/* Reads a numeric address into 16 bytes; IPv4 is mapped into IPv6 (RFC 4291 2.5.5.2). */
static bool wsi_platform_address(wsi_slice text, uint8_t address[16]) {
    if (text.size && memchr(text.data, ':', text.size))
        return wsi_platform_parse(AF_INET6, text, address);
    memset(address, 0, 10);
    memset(address + 10, 0xff, 2);
    return wsi_platform_parse(AF_INET, text, address + 12);
}

/* Writes the text of an address, which is in network byte order. */
static bool wsi_platform_ip_text(bool ipv6, const void *address, char host[INET6_ADDRSTRLEN]) {
    return inet_ntop(ipv6 ? AF_INET6 : AF_INET, address, host, INET6_ADDRSTRLEN) != NULL;
}

/* The peer's address as 16 bytes; IPv4 is mapped. *local: whether it is a Unix socket, whose peers have no address. */
static bool wsi_platform_peer_address(ws_socket descriptor, uint8_t address[16], bool *local) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    memset(address, 0, 16);
    memset(&storage, 0, sizeof storage);
    if (getpeername(descriptor, (struct sockaddr *)&storage, &length) != 0)
        return false;
    *local = storage.ss_family != AF_INET6 && storage.ss_family != AF_INET;
    if (storage.ss_family == AF_INET6)
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)&storage)->sin6_addr, 16);
    if (storage.ss_family == AF_INET) {
        memset(address + 10, 0xff, 2);
        memcpy(address + 12, &((const struct sockaddr_in *)(const void *)&storage)->sin_addr, 4);
    }
    return true;
}
#endif /* WS_NO_FORWARD */

#ifndef WS_NO_CLIENT
/* --- a client's names and addresses --- */

typedef union wsi_address { /* kept small: all addresses of a name must fit into one datagram */
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
} wsi_address;

enum { WSI_MAX_ADDRESSES = WSI_BRIEF ? 4 : 64 }; /* the most addresses of one name; others are ignored */

typedef struct wsi_addresses {
    int error; /* getaddrinfo's error */
    size_t count;
    wsi_address list[WSI_MAX_ADDRESSES];
} wsi_addresses;

static bool wsi_platform_look_up(const char *host, uint16_t port, int flags, wsi_addresses *found) {
    struct addrinfo *addresses = NULL, *next;
    found->error = wsi_platform_resolve(host, port, flags, &addresses);
    if (found->error)
        return false;
    for (next = addresses; next && found->count < WSI_MAX_ADDRESSES; next = next->ai_next)
        if (next->ai_addrlen <= sizeof *found->list)
            memcpy(&found->list[found->count++], next->ai_addr, next->ai_addrlen);
    freeaddrinfo(addresses);
    return true;
}

typedef struct wsi_query {
    wsi_task task; /* first member */
    ws_socket descriptor;
    uint16_t port;
    char host[256];
} wsi_query;

/* getaddrinfo cannot be interrupted. The thread shares only a socket pair with the loop, which may close its end. */
static void wsi_platform_run_query(wsi_task *task) {
    wsi_query *query = (wsi_query *)(void *)task;
    wsi_addresses found;
    memset(&found, 0, sizeof found);
    (void)wsi_platform_look_up(query->host, query->port, 0, &found);
    (void)wsi_platform_send(query->descriptor, &found, sizeof found);
    wsi_platform_close(query->descriptor);
    (void)wsi_memory_default(NULL, query, sizeof *query, 0); /* libc's: the loop's allocator is not for other threads */
}

/* Looks a name up in a thread. Returns the socket on which a wsi_addresses will arrive, or WSI_NO_SOCKET. */
static ws_socket wsi_platform_start_look_up(const char *host, uint16_t port) {
    wsi_query *query = (wsi_query *)wsi_memory_default(NULL, NULL, 0, sizeof *query);
    ws_socket ends[2] = {WSI_NO_SOCKET, WSI_NO_SOCKET};
    if (query && strlen(host) < sizeof query->host && wsi_platform_pair(ends)) {
        strcpy(query->host, host);
        query->task.run = wsi_platform_run_query;
        query->port = port;
        query->descriptor = ends[1];
        if (wsi_platform_start_thread(&query->task))
            return ends[0];
    }
    for (int i = 0; i < 2; i++)
        if (ends[i] != WSI_NO_SOCKET)
            wsi_platform_close(ends[i]);
    (void)wsi_memory_default(NULL, query, sizeof *query, 0);
    return WSI_NO_SOCKET;
}

/* Starts to connect. Returns 0 or the system's error. */
static int wsi_platform_connect_to(const struct sockaddr *name, size_t size, bool tcp, ws_socket *descriptor) {
    ws_socket made = socket(name->sa_family, SOCK_STREAM, 0);
    if (made == WSI_NO_SOCKET)
        return wsi_platform_last();
    if (wsi_platform_prepare_socket(made) && (!tcp || wsi_platform_option(made, IPPROTO_TCP, TCP_NODELAY, 1))
        && (connect(made, name, (socklen_t)size) == 0 || wsi_platform_connecting())) {
        *descriptor = made;
        return 0;
    }
    int error = wsi_platform_last();
    wsi_platform_close(made);
    return error;
}

static int wsi_platform_connect(const wsi_address *to, ws_socket *descriptor) {
    return wsi_platform_connect_to(&to->any, to->any.sa_family == AF_INET6 ? sizeof to->ipv6 : sizeof to->ipv4, true,
                                   descriptor);
}

/* The result of a connect: 0 or the system's error. */
static int wsi_platform_connected(ws_socket descriptor) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, (char *)&error, &size) == 0 ? error : wsi_platform_last();
}
#endif /* WS_NO_CLIENT */

#ifndef WS_NO_UNIX
/* --- Unix sockets --- */

#if defined(WSI_POSIX)
static bool wsi_platform_unix(const char *path, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (!*path || strlen(path) >= sizeof address->sun_path)
        return false;
    strcpy(address->sun_path, path);
    return true;
}

#ifndef WS_NO_SERVER
static bool wsi_platform_file_id(const char *path, wsi_file_id *id) {
    struct stat status;
    if (lstat(path, &status) != 0)
        return false;
    id->device = (uint64_t)status.st_dev;
    id->inode = (uint64_t)status.st_ino;
    return true;
}

/* Removes the file at the path if it is still the one of this id. */
static void wsi_platform_remove(const char *path, const wsi_file_id *id) {
    wsi_file_id now;
    if (wsi_platform_file_id(path, &now) && now.device == id->device && now.inode == id->inode)
        (void)unlink(path);
}

/* Removes a socket's file if nobody listens on it, as after a crash. *why: what else is at the path. Never blocks. */
static ws_error wsi_platform_remove_stale(const struct sockaddr_un *address, const char **why) {
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return WS_OK;
    *why = S_ISREG(status.st_mode)   ? "a regular file is there, and is not removed"
           : S_ISLNK(status.st_mode) ? "a symbolic link is there, and is not removed"
           : S_ISDIR(status.st_mode) ? "a folder is there, and is not removed"
                                     : "a FIFO or a device is there, and is not removed";
    if (!S_ISSOCK(status.st_mode))
        return WS_ERROR_IN_USE;
    *why = NULL;
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    if (descriptor < 0)
        return wsi_platform_error();
    bool stale = wsi_platform_prepare(descriptor)
            && connect(descriptor, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
    (void)close(descriptor);
    if (stale && unlink(address->sun_path) == 0)
        return WS_OK;
    *why = stale ? "an unused socket is there, and cannot be removed" : "a socket is there, and is in use";
    return WS_ERROR_IN_USE;
}

/* Opens a listening socket. *id: the file that bind creates. *why: the error, or what is at the path already. */
static ws_error wsi_platform_listen_unix(const ws_server_config *config, int *listener, wsi_file_id *id,
                                         const char **why) {
    struct sockaddr_un address;
    bool fits = wsi_platform_unix(config->unix_path, &address);
    ws_error error = fits ? wsi_platform_remove_stale(&address, why) : WS_ERROR_ADDRESS;
    if (!fits) /* Linux's sun_path has 108 bytes, with the zero */
        *why = sizeof address.sun_path < 108 ? "a unix_path has 1 to 103 bytes" : "a unix_path has 1 to 107 bytes";
    int descriptor = error ? -1 : socket(AF_UNIX, SOCK_STREAM, 0);
    if (descriptor < 0)
        return error ? error : wsi_platform_error();
    if (wsi_platform_prepare_socket(descriptor)
        && bind(descriptor, (const struct sockaddr *)&address, sizeof address) == 0
        && wsi_platform_file_id(config->unix_path, id)
        && (!config->unix_mode || chmod(config->unix_path, (mode_t)config->unix_mode) == 0)
        && listen(descriptor, config->backlog > 0 ? config->backlog : 511) == 0) {
        *listener = descriptor;
        return WS_OK;
    }
    error = wsi_platform_error();
    *why = strerror(errno);
    wsi_platform_remove(config->unix_path, id);
    (void)close(descriptor);
    return error;
}
#endif /* WS_NO_SERVER */

#ifndef WS_NO_CLIENT
static int wsi_platform_connect_unix(const char *path, ws_socket *descriptor) {
    struct sockaddr_un address;
    if (!wsi_platform_unix(path, &address))
        return ENAMETOOLONG;
    return wsi_platform_connect_to((const struct sockaddr *)&address, sizeof address, false, descriptor);
}
#endif
#else
#ifndef WS_NO_SERVER
static bool wsi_platform_file_id(const char *path, wsi_file_id *id) { return (void)path, (void)id, false; }

static void wsi_platform_remove(const char *path, const wsi_file_id *id) { (void)path, (void)id; }

static ws_error wsi_platform_listen_unix(const ws_server_config *config, ws_socket *listener, wsi_file_id *id,
                                         const char **why) {
    (void)config, (void)listener, (void)id;
    *why = "this build has no Unix sockets";
    return WS_ERROR_ADDRESS;
}
#endif
#endif /* WSI_POSIX */

#ifndef WS_NO_SERVER
/* Takes over a listening socket from the program. *id: the socket's file. *why: what is wrong with the socket. */
static ws_error wsi_platform_adopt(const ws_server_config *config, ws_socket *listener, wsi_file_id *id,
                                   const char **why) {
    int type = 0, listens = 1;
    socklen_t size = sizeof type;
    if (getsockopt(config->descriptor, SOL_SOCKET, SO_TYPE, (char *)&type, &size) != 0)
        *why = "it is not an open socket";
    else if (type != SOCK_STREAM)
        *why = "it is a socket for datagrams or packets, not for a stream";
    else if (getsockopt(config->descriptor, SOL_SOCKET, SO_ACCEPTCONN, (char *)&listens, &size) == 0 && !listens)
        *why = "it is a socket that does not listen";
    if (*why)
        return WS_ERROR_ARGUMENT;
    if (!wsi_platform_prepare_socket(config->descriptor))
        return wsi_platform_error();
    (void)wsi_platform_option(config->descriptor, IPPROTO_TCP, TCP_NODELAY, 1); /* fails for a Unix socket */
    if (config->unix_path)
        (void)wsi_platform_file_id(config->unix_path, id);
    *listener = config->descriptor;
    return WS_OK;
}
#endif /* WS_NO_SERVER */
#endif /* WS_NO_UNIX */

#if !defined(WS_NO_CLIENT) && (defined(WS_NO_UNIX) || !defined(WSI_POSIX))
static int wsi_platform_connect_unix(const char *path, ws_socket *descriptor) {
    (void)path, (void)descriptor;
    return WSI_PLATFORM_NO_FAMILY;
}
#endif

/*
>> TCP ====================================================================================
   Plain TCP and Unix sockets. Calls PLATFORM, SOCKETS. read and write return what a transport's do; write takes spans.
*/

WSI_INLINE ptrdiff_t wsi_tcp_receive(const ws_link *link, uint8_t *data, size_t size, int flags) {
    ptrdiff_t got = wsi_platform_receive(link->descriptor, data, size, flags);
    if (got > 0)
        return got;
    return got == 0 ? WS_ENDED : wsi_platform_again() ? 0 : WS_FAILED;
}

WSI_INLINE ptrdiff_t wsi_tcp_read(const ws_link *link, uint8_t *data, size_t size) {
    return wsi_tcp_receive(link, data, size, 0);
}

#ifndef WS_NO_FORWARD
/* Reads without consuming: the next call reads the same bytes. */
static ptrdiff_t wsi_tcp_peek(const ws_link *link, uint8_t *data, size_t size) {
    return wsi_tcp_receive(link, data, size, MSG_PEEK);
}
#endif /* WS_NO_FORWARD */

static ptrdiff_t wsi_tcp_sent(ptrdiff_t sent) { return sent >= 0 ? sent : wsi_platform_again() ? 0 : WS_FAILED; }

WSI_INLINE ptrdiff_t wsi_tcp_write_one(const ws_link *link, ws_span span) {
    return wsi_tcp_sent(wsi_platform_send(link->descriptor, span.data, span.size));
}

static ptrdiff_t wsi_tcp_write(const ws_link *link, const ws_span *spans, size_t count) {
    if (count == 1)
        return wsi_tcp_write_one(link, spans[0]);
    return wsi_tcp_sent(wsi_platform_send_spans(link->descriptor, spans, count));
}

static void wsi_tcp_shutdown(const ws_link *link) {
    if (link->descriptor != WSI_NO_SOCKET)
        (void)shutdown(link->descriptor, 1 /* SHUT_WR */);
}

static void wsi_tcp_close(ws_link *link) {
    if (link->descriptor != WSI_NO_SOCKET)
        wsi_platform_close(link->descriptor);
    link->descriptor = WSI_NO_SOCKET;
}

/*
>> POLL ===================================================================================
   Finds out which descriptors are ready. Every loop starts with select(2), and moves to epoll or kqueue (WS_NO_EPOLL:
   never) when it has more than a few descriptors. Windows has WSAPoll alone. Each poller has the same few functions:
   set, wait, next, and for foreign loops export and import. wsi_poll_ passes each call on to the poller in use. Calls
   MEMORY, BYTES. Prefixes: wsi_select_; wsi_kernel_ (epoll, kqueue); wsi_poll_.
*/

/* What a source is. The loop calls loop->ready[link.kind]; a function pointer in each source would cost 8 bytes. */
typedef enum wsi_kind {
#ifndef WS_NO_HOST
    WSI_KIND_WATCH,
#endif
    WSI_KIND_WAKE, WSI_KIND_PLAIN, WSI_KIND_THROUGH, /* posts; connections without and with a transport */
#ifndef WS_NO_CLIENT
    WSI_KIND_DIAL, WSI_KIND_TUNNEL, WSI_KIND_LOOKUP,
#endif
#ifndef WS_NO_SERVER
    WSI_KIND_LISTENER,
#endif
#ifndef WS_NO_FORWARD
    WSI_KIND_HEADER, /* a connection that starts with a PROXY header */
#endif
    WSI_KINDS
} wsi_kind;

typedef struct wsi_source { /* a descriptor and what the loop waits for on it */
    ws_link link;           /* first; link.interest: WS_READ | WS_WRITE */
#if defined(_WIN32)
    size_t place;           /* its place in the arrays of wsi_poll, from 1; 0: not polled */
#endif
} wsi_source;

#define WSI_POLL_LONGEST 100000000 /* ms */

static inline void wsi_poll_timeout(uint64_t milliseconds, struct timeval *timeout) {
    int wait = milliseconds < WSI_POLL_LONGEST ? (int)milliseconds : WSI_POLL_LONGEST;
    timeout->tv_sec = wait / 1000;
    timeout->tv_usec = wait % 1000 * 1000;
}

#if defined(_WIN32) && !defined(WS_LWIP)
/* --- WSAPoll: Windows' select takes 64 sockets at most --- */

typedef struct wsi_poll {
    wsi_memory *memory;
    wsi_buffer polled;  /* a WSAPOLLFD for each source */
    wsi_buffer sources; /* pointers to the sources, in the same order */
    size_t count;
    size_t left;        /* entries that wsi_poll_next has still to check in this round, from the last down */
} wsi_poll;

static void wsi_poll_init(wsi_poll *poll, wsi_memory *memory) {
    memset(poll, 0, sizeof *poll);
    poll->memory = memory;
}

static void wsi_poll_free(wsi_poll *poll) {
    wsi_buffer_free(poll->memory, &poll->polled);
    wsi_buffer_free(poll->memory, &poll->sources);
}

static void wsi_poll_unsupported(void) { WSASetLastError(WSAEOPNOTSUPP); }

static WSAPOLLFD *wsi_poll_polled(const wsi_poll *poll) { return (WSAPOLLFD *)(void *)poll->polled.data; }

static wsi_source **wsi_poll_sources(const wsi_poll *poll) { return (wsi_source **)(void *)poll->sources.data; }

static bool wsi_poll_add(wsi_poll *poll, wsi_source *source) {
    WSAPOLLFD polled = {source->link.descriptor, 0, 0};
    poll->polled.size = poll->count * sizeof polled;
    poll->sources.size = poll->count * sizeof source;
    if (!wsi_buffer_append(poll->memory, &poll->polled, &polled, sizeof polled)
        || !wsi_buffer_append(poll->memory, &poll->sources, &source, sizeof source))
        return false;
    source->place = ++poll->count;
    return true;
}

/* Removes a source: the last one moves to its place. */
static void wsi_poll_remove(wsi_poll *poll, wsi_source *source) {
    size_t place = source->place, last = poll->count - 1;
    if (!place)
        return;
    wsi_poll_polled(poll)[place - 1] = wsi_poll_polled(poll)[last];
    wsi_poll_sources(poll)[place - 1] = wsi_poll_sources(poll)[last];
    wsi_poll_sources(poll)[place - 1]->place = place;
    source->place = 0;
    poll->count = last;
    if (poll->left > last)
        poll->left = last;
}

/* Changes what a source waits for; WS_NONE removes it. false: no memory, and the source is not polled. */
static bool wsi_poll_set(wsi_poll *poll, wsi_source *source, unsigned interest) {
    bool good = source->link.descriptor != WSI_NO_SOCKET && (!interest || source->place || wsi_poll_add(poll, source));
    source->link.interest = good ? (uint8_t)interest : (uint8_t)WS_NONE;
    if (!source->link.interest)
        wsi_poll_remove(poll, source);
    else
        wsi_poll_polled(poll)[source->place - 1].events = (short)((interest & WS_READ ? POLLRDNORM : 0)
                                                                  | (interest & WS_WRITE ? POLLWRNORM : 0));
    return good;
}

static int wsi_poll_wait(wsi_poll *poll, uint64_t milliseconds) {
    int longest = milliseconds < WSI_POLL_LONGEST ? (int)milliseconds : WSI_POLL_LONGEST, found = 0;
    if (poll->count)
        found = WSAPoll(wsi_poll_polled(poll), (ULONG)poll->count, milliseconds == UINT64_MAX ? -1 : longest);
    else if (longest) /* WSAPoll fails without sockets; Sleep(0), which only yields, is left out */
        Sleep((DWORD)longest);
    poll->left = found > 0 ? poll->count : 0;
    return found;
}

/* An error makes a socket readable and writable: the next call on it fails. POLLHUP: the peer has ended its stream. */
static wsi_source *wsi_poll_next(wsi_poll *poll, unsigned *ready) {
    while (poll->left) {
        WSAPOLLFD *polled = &wsi_poll_polled(poll)[--poll->left];
        wsi_source *source = wsi_poll_sources(poll)[poll->left];
        int found = polled->revents;
        polled->revents = 0;
        *ready = (found & ~POLLWRNORM ? (unsigned)WS_READ : 0u)
                 | (found & (POLLWRNORM | POLLERR | POLLNVAL) ? (unsigned)WS_WRITE : 0u);
        if ((*ready &= source->link.interest) != 0)
            return source;
    }
    return NULL;
}

#ifndef WS_NO_HOST
/* Adds all sources to the sets of a foreign select. false: a set would hold more than FD_SETSIZE. */
static bool wsi_poll_export(const wsi_poll *poll, fd_set *reads, fd_set *writes, int *highest) {
    (void)highest;
    if (poll->count + reads->fd_count > FD_SETSIZE || poll->count + writes->fd_count > FD_SETSIZE)
        return false;
    for (size_t i = 0; i < poll->count; i++) {
        const ws_link *link = &wsi_poll_sources(poll)[i]->link;
        if (link->interest & WS_READ)
            reads->fd_array[reads->fd_count++] = link->descriptor;
        if (link->interest & WS_WRITE)
            writes->fd_array[writes->fd_count++] = link->descriptor;
    }
    return true;
}

/* Polls again, because select reports a refused connect in its third set, which ws_loop_fds does not fill. */
static int wsi_poll_import(wsi_poll *poll, const fd_set *reads, const fd_set *writes) {
    return (void)reads, (void)writes, wsi_poll_wait(poll, 0);
}
#endif
#else /* select, and what it moves to */

/* An fd_set is an array of words, lowest bit first. These are used directly: FD_SET causes warnings on some systems. */
#if defined(__APPLE__) || defined(__NetBSD__) || defined(__OpenBSD__)
typedef uint32_t wsi_poll_word;
#else
typedef unsigned long wsi_poll_word;
#endif

enum { WSI_POLL_BITS = sizeof(wsi_poll_word) * 8, WSI_POLL_WORDS = (FD_SETSIZE + WSI_POLL_BITS - 1) / WSI_POLL_BITS };

#ifdef WS_LWIP /* the layout of lwIP's fd_set is not known */
#define WSI_POLL_SOCKETS LWIP_SELECT_MAXNFDS
#define WSI_POLL_FIRST LWIP_SOCKET_OFFSET
typedef struct wsi_poll_bits {
    fd_set set;
} wsi_poll_bits;
static void wsi_poll_mark(wsi_poll_bits *bits, int descriptor, bool wanted) {
    if (wanted)
        FD_SET(descriptor, &bits->set);
    else
        FD_CLR(descriptor, &bits->set);
}
static bool wsi_poll_marked(const wsi_poll_bits *bits, int descriptor) {
    return FD_ISSET(descriptor, &bits->set) != 0;
}
#else /* reading fd_set by words checks up to 64 descriptors at once */
#define WSI_POLL_SOCKETS FD_SETSIZE
#define WSI_POLL_FIRST 0
typedef union wsi_poll_bits {
    fd_set set;
    wsi_poll_word words[WSI_POLL_WORDS];
} wsi_poll_bits;
static void wsi_poll_mark(wsi_poll_bits *bits, int descriptor, bool wanted) {
    wsi_poll_word bit = (wsi_poll_word)1 << descriptor % WSI_POLL_BITS;
    wsi_poll_word *word = &bits->words[descriptor / WSI_POLL_BITS];
    *word = wanted ? *word | bit : *word & ~bit;
}
static bool wsi_poll_marked(const wsi_poll_bits *bits, int descriptor) {
    return bits->words[descriptor / WSI_POLL_BITS] >> descriptor % WSI_POLL_BITS & 1;
}
#endif

#ifndef WS_NO_EPOLL
enum { WSI_POLL_FEW = 32 };    /* with this many descriptors epoll costs no more than select, idle or busy */
enum { WSI_POLL_EVENTS = 64 }; /* the most events that one call of epoll_wait or kevent returns */

typedef struct wsi_event {
    wsi_source *source; /* NULL: the source was removed meanwhile */
    unsigned ready;
} wsi_event;
#endif

typedef struct wsi_poll {
    int highest;                             /* the highest descriptor in select's sets; -1: none */
#ifndef WS_NO_EPOLL
    bool moved;                              /* moved to epoll or kqueue; select keeps what these refuse */
    int limit;                               /* a descriptor above this one makes the poller move */
    int descriptor;                          /* epoll's or kqueue's; -1: none */
    int most;                                /* the highest descriptor registered there so far */
    int found, given;                        /* events of this round, and how many of them next has returned */
    wsi_event events[WSI_POLL_EVENTS];
#endif
    wsi_poll_bits reads, writes;             /* the descriptors that select waits for */
    wsi_poll_bits ready_reads, ready_writes; /* ready, and not yet returned by wsi_poll_next */
    unsigned cursor;                         /* the word that wsi_poll_next checks; with lwIP the descriptor */
    wsi_source *sources[WSI_POLL_SOCKETS];
} wsi_poll;

/* --- select --- */

static void wsi_select_init(wsi_poll *poll) {
    memset(poll, 0, sizeof *poll); /* an empty fd_set is all zeros */
    poll->highest = -1;
    FD_SET(WSI_POLL_FIRST, &poll->ready_reads.set); /* checks the layout that wsi_poll_mark assumes */
    WS_ASSERT(wsi_poll_marked(&poll->ready_reads, WSI_POLL_FIRST));
    memset(&poll->ready_reads, 0, sizeof poll->ready_reads);
}

/* Changes what a source waits for; WS_NONE removes it. false: its descriptor is out of range. */
static bool wsi_select_set(wsi_poll *poll, wsi_source *source, unsigned interest) {
    int descriptor = source->link.descriptor;
    if (descriptor < 0 || descriptor >= WSI_POLL_SOCKETS)
        return false;
    wsi_poll_mark(&poll->reads, descriptor, (interest & WS_READ) != 0);
    wsi_poll_mark(&poll->writes, descriptor, (interest & WS_WRITE) != 0);
    if (!interest || poll->sources[descriptor] != source) { /* a reused descriptor is not ready yet */
        wsi_poll_mark(&poll->ready_reads, descriptor, false);
        wsi_poll_mark(&poll->ready_writes, descriptor, false);
    }
    poll->sources[descriptor] = interest ? source : NULL;
    source->link.interest = (uint8_t)interest;
    if (interest && descriptor > poll->highest)
        poll->highest = descriptor;
    while (poll->highest >= 0 && !poll->sources[poll->highest])
        poll->highest--;
    return true;
}

/* Begins a round with the descriptors that are ready; next skips those that nobody waits for any more. */
static int wsi_select_import(wsi_poll *poll, const fd_set *reads, const fd_set *writes) {
    poll->ready_reads.set = *reads;
    poll->ready_writes.set = *writes;
    poll->cursor = 0;
    return 0;
}

#ifdef WS_LWIP
static wsi_source *wsi_select_next(wsi_poll *poll, unsigned *ready) {
    for (; (int)poll->cursor <= poll->highest; poll->cursor++) {
        wsi_source *source = poll->sources[poll->cursor];
        *ready = (wsi_poll_marked(&poll->ready_reads, (int)poll->cursor) ? (unsigned)WS_READ : 0u)
                 | (wsi_poll_marked(&poll->ready_writes, (int)poll->cursor) ? (unsigned)WS_WRITE : 0u);
        if (source && (*ready &= source->link.interest) != 0) {
            poll->cursor++;
            return source;
        }
    }
    return NULL;
}
#else
static wsi_source *wsi_select_next(wsi_poll *poll, unsigned *ready) {
    for (; (int)(poll->cursor * WSI_POLL_BITS) <= poll->highest; poll->cursor++) {
        wsi_poll_word *reads = &poll->ready_reads.words[poll->cursor];
        wsi_poll_word *writes = &poll->ready_writes.words[poll->cursor];
        wsi_poll_word read, write, any;
        while ((any = (read = *reads) | (write = *writes)) != 0) {
            unsigned bit = wsi_bytes_lowest_bit(any);
            wsi_source *source = poll->sources[poll->cursor * WSI_POLL_BITS + bit];
            any &= any - 1; /* clears this bit */
            *reads = read & any;
            *writes = write & any;
            *ready = (unsigned)(read >> bit & 1) * WS_READ | (unsigned)(write >> bit & 1) * WS_WRITE;
            if (source && (*ready &= source->link.interest) != 0) /* a callback may have changed interest */
                return source;
        }
    }
    return NULL;
}
#endif

static int wsi_select_wait(wsi_poll *poll, uint64_t milliseconds) {
    struct timeval timeout;
    wsi_poll_timeout(milliseconds, &timeout);
    (void)wsi_select_import(poll, &poll->reads.set, &poll->writes.set); /* select reduces them to what is ready */
    int count = select(poll->highest + 1, &poll->ready_reads.set, &poll->ready_writes.set, NULL,
                       milliseconds == UINT64_MAX ? NULL : &timeout);
    if (count <= 0) {
        FD_ZERO(&poll->ready_reads.set);
        FD_ZERO(&poll->ready_writes.set);
    }
    return count;
}

#ifndef WS_NO_HOST
static bool wsi_select_export(const wsi_poll *poll, fd_set *reads, fd_set *writes, int *highest) {
    for (int i = 0; i <= poll->highest; i++) {
        if (wsi_poll_marked(&poll->reads, i))
            wsi_poll_mark((wsi_poll_bits *)(void *)reads, i, true);
        if (wsi_poll_marked(&poll->writes, i))
            wsi_poll_mark((wsi_poll_bits *)(void *)writes, i, true);
    }
    if (poll->highest > *highest)
        *highest = poll->highest;
    return true;
}
#endif

#ifndef WS_NO_EPOLL
/* --- epoll or kqueue: open, control, fetch, is_file --- */

#if defined(__linux__) && !defined(WSI_KQUEUE) /* tests define it, to run kqueue's code on Linux */
#include <sys/epoll.h>

static int wsi_kernel_open(void) { return epoll_create1(EPOLL_CLOEXEC); }

/* Level-triggered, so a message needs no epoll_ctl. A reused descriptor's registration may not match link.interest. */
static bool wsi_kernel_control(int descriptor, wsi_source *source, unsigned interest) {
    struct epoll_event event;
    int watched = source->link.descriptor, before = source->link.interest;
    memset(&event, 0, sizeof event);
    event.events = (interest & WS_READ ? (uint32_t)EPOLLIN : 0u) | (interest & WS_WRITE ? (uint32_t)EPOLLOUT : 0u);
    event.data.ptr = source;
    if (!interest) {
        (void)epoll_ctl(descriptor, EPOLL_CTL_DEL, watched, &event);
        return true;
    }
    if (epoll_ctl(descriptor, before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watched, &event) == 0)
        return true;
    return errno == (before ? ENOENT : EEXIST)
           && epoll_ctl(descriptor, before ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, watched, &event) == 0;
}

/* An error or a hang-up makes a descriptor readable and writable: the next call on it reports this. */
static int wsi_kernel_fetch(int descriptor, wsi_event *events, uint64_t milliseconds) {
    struct epoll_event found[WSI_POLL_EVENTS];
    int longest = milliseconds < WSI_POLL_LONGEST ? (int)milliseconds : WSI_POLL_LONGEST;
    int i, count = epoll_wait(descriptor, found, WSI_POLL_EVENTS, milliseconds == UINT64_MAX ? -1 : longest);
    for (i = 0; i < count; i++) {
        uint32_t bits = found[i].events;
        events[i].source = (wsi_source *)found[i].data.ptr;
        events[i].ready = (bits & ~(uint32_t)EPOLLOUT ? (unsigned)WS_READ : 0u)
                          | (bits & ~(uint32_t)EPOLLIN ? (unsigned)WS_WRITE : 0u);
    }
    return count;
}

/* Whether wsi_kernel_control just failed because the descriptor is a regular file or the like. */
static bool wsi_kernel_is_file(int descriptor) { return (void)descriptor, errno == EPERM; }
#else
#include <sys/event.h>

static int wsi_kernel_open(void) {
    int descriptor = kqueue();
    if (descriptor >= 0)
        (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return descriptor;
}

/* Sets or deletes one filter: WS_READ's or WS_WRITE's. */
static bool wsi_kernel_filter(int descriptor, wsi_source *source, unsigned which, unsigned interest) {
    struct kevent change;
    EV_SET(&change, (uintptr_t)source->link.descriptor, which == WS_READ ? EVFILT_READ : EVFILT_WRITE,
           interest & which ? EV_ADD : EV_DELETE, 0, 0, source);
    return kevent(descriptor, &change, 1, NULL, 0, NULL) == 0 || !(interest & which);
}

/* kqueue accepts a regular file, but stops reporting it when its end is reached. */
static bool wsi_kernel_is_file(int descriptor) {
    struct stat about;
    return fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode);
}

/* Sets or deletes both filters, as an earlier source of this descriptor may have left one behind. */
static bool wsi_kernel_control(int descriptor, wsi_source *source, unsigned interest) {
    if (interest && !source->link.interest && wsi_kernel_is_file(source->link.descriptor))
        return false;
    if (wsi_kernel_filter(descriptor, source, WS_READ, interest)
        && wsi_kernel_filter(descriptor, source, WS_WRITE, interest))
        return true;
    int error = errno;
    (void)wsi_kernel_filter(descriptor, source, WS_READ, 0);
    (void)wsi_kernel_filter(descriptor, source, WS_WRITE, 0);
    errno = error;
    return false;
}

/* kqueue reports readable and writable as two events. This merges them, and returns the new number of events. */
static int wsi_kernel_merge(wsi_event *events, int count, wsi_source *source, unsigned ready) {
    int i = source->link.interest == (WS_READ | WS_WRITE) ? 0 : count;
    while (i < count && events[i].source != source)
        i++;
    events[i].ready = i < count ? events[i].ready | ready : ready;
    events[i].source = source;
    return i < count ? count : count + 1;
}

static int wsi_kernel_fetch(int descriptor, wsi_event *events, uint64_t milliseconds) {
    struct kevent found[WSI_POLL_EVENTS];
    struct timespec timeout;
    int wait = milliseconds < WSI_POLL_LONGEST ? (int)milliseconds : WSI_POLL_LONGEST, i, count, merged = 0;
    timeout.tv_sec = wait / 1000;
    timeout.tv_nsec = wait % 1000 * 1000000L;
    count = kevent(descriptor, NULL, 0, found, WSI_POLL_EVENTS, milliseconds == UINT64_MAX ? NULL : &timeout);
    for (i = 0; i < count; i++)
        merged = wsi_kernel_merge(events, merged, (wsi_source *)found[i].udata,
                                  found[i].filter == EVFILT_WRITE ? WS_WRITE : WS_READ);
    return count < 0 ? -1 : merged;
}
#endif

/* --- epoll or kqueue: what both share --- */

/* Discards this round's events of a source that is being removed. */
static void wsi_kernel_drop_events(wsi_poll *poll, const wsi_source *source) {
    for (int i = poll->given; i < poll->found; i++)
        if (poll->events[i].source == source)
            poll->events[i].source = NULL;
}

/* Regular files, which are always ready, stay with select. */
static bool wsi_kernel_set(wsi_poll *poll, wsi_source *source, unsigned interest) {
    int descriptor = source->link.descriptor;
    if (descriptor < 0)
        return false;
    if (descriptor < FD_SETSIZE && poll->sources[descriptor] == source)
        return wsi_select_set(poll, source, interest);
    if (descriptor > poll->most)
        poll->most = descriptor;
    bool good = wsi_kernel_control(poll->descriptor, source, interest);
    if (!good && wsi_kernel_is_file(descriptor) && wsi_select_set(poll, source, interest))
        return true;
    source->link.interest = good ? (uint8_t)interest : (uint8_t)WS_NONE;
    if (!source->link.interest)
        wsi_kernel_drop_events(poll, source);
    return good;
}

static int wsi_kernel_wait(wsi_poll *poll, uint64_t milliseconds) {
    bool files = poll->highest >= 0;
    if (files)
        (void)wsi_select_import(poll, &poll->reads.set, &poll->writes.set);
    poll->given = 0;
    poll->found = wsi_kernel_fetch(poll->descriptor, poll->events, files ? 0 : milliseconds);
    if (poll->found >= 0)
        return poll->found + files;
    poll->found = 0;
    return -1;
}

/* --- the poller in use --- */

static void wsi_poll_init(wsi_poll *poll, wsi_memory *memory) {
    (void)memory, wsi_select_init(poll);
    poll->descriptor = -1;
}

static void wsi_poll_free(wsi_poll *poll) {
    if (poll->descriptor >= 0)
        (void)close(poll->descriptor);
    poll->descriptor = -1;
}

/* Opens epoll's or kqueue's descriptor, unless it is open. false: errno says why. */
static bool wsi_poll_open(wsi_poll *poll) {
    if (poll->descriptor < 0)
        poll->descriptor = wsi_kernel_open();
    return poll->descriptor >= 0;
}

/* Moves all sources from select to epoll or kqueue. false: errno says why, and all sources stay with select until
   select is full. Events that wsi_poll_next has not returned in this round come again in the next one. */
static bool wsi_poll_move(wsi_poll *poll) {
    int i, error, highest = poll->highest;
    bool done = wsi_poll_open(poll);
    for (i = 0; done && i <= highest; i++) {
        wsi_source *source = poll->sources[i];
        unsigned interest = source ? source->link.interest : (unsigned)WS_NONE;
        if (!source)
            continue;
        source->link.interest = WS_NONE; /* not registered with epoll or kqueue yet */
        done = wsi_kernel_control(poll->descriptor, source, interest) || wsi_kernel_is_file(i);
        source->link.interest = (uint8_t)interest;
    }
    poll->limit = FD_SETSIZE - 1;
    if (!done && poll->descriptor >= 0) { /* undo, by a new descriptor with nothing registered */
        error = errno;
        wsi_poll_free(poll);
        (void)wsi_poll_open(poll);
        errno = error;
    }
    for (i = 0; done && i <= highest; i++) {
        wsi_source *source = poll->sources[i];
        unsigned interest = source ? source->link.interest : (unsigned)WS_NONE;
        if (source && wsi_select_set(poll, source, WS_NONE))
            (void)wsi_kernel_set(poll, source, interest);
    }
    return poll->moved = done;
}

/* early: AUTO opens epoll or kqueue at once, as later its descriptor might be too high for a foreign select. A blocking
   client's loop opens it only to move. false: epoll or kqueue was requested, and failed; errno says why. */
static bool wsi_poll_choose(wsi_poll *poll, ws_poller poller, bool early) {
    poll->limit = poller == WS_POLLER_SELECT ? INT32_MAX : (early ? (int)WSI_POLL_FEW : FD_SETSIZE) - 1;
    if (poller == WS_POLLER_AUTO && early)
        (void)wsi_poll_open(poll);
    return poller != WS_POLLER_EPOLL || wsi_poll_move(poll);
}

/* Changes what a source waits for; WS_NONE removes it. false: the poller refuses it, and the source is not polled. */
static bool wsi_poll_set(wsi_poll *poll, wsi_source *source, unsigned interest) {
    if (!poll->moved && (source->link.descriptor <= poll->limit || !interest || !wsi_poll_move(poll)))
        return wsi_select_set(poll, source, interest);
    return wsi_kernel_set(poll, source, interest);
}

/* Waits, with UINT64_MAX for ever. Returns the number of ready descriptors, or -1 if the system call failed. */
static int wsi_poll_wait(wsi_poll *poll, uint64_t milliseconds) {
    return poll->moved ? wsi_kernel_wait(poll, milliseconds) : wsi_select_wait(poll, milliseconds);
}

/* How many waits it takes to report every ready descriptor. epoll and kqueue report one batch of them per wait, in
   turn. A wait that found less than half a batch has found all. */
static unsigned wsi_poll_turns(const wsi_poll *poll, int found) {
    return poll->moved && found >= WSI_POLL_EVENTS / 2 ? (unsigned)(poll->most + 1) / (WSI_POLL_EVENTS / 2) + 1 : 1;
}

/* Returns the next ready source, or NULL at the end of the round. *ready: WS_READ, WS_WRITE or both. */
static wsi_source *wsi_poll_next(wsi_poll *poll, unsigned *ready) {
    for (int i = poll->given; i < poll->found; i++) {
        const wsi_event *event = &poll->events[i];
        poll->given = i + 1;
        if (event->source && (*ready = event->ready & event->source->link.interest) != 0)
            return event->source;
    }
    return wsi_select_next(poll, ready);
}

#ifndef WS_NO_HOST
/* Moves to epoll or kqueue, and returns its descriptor. -1: errno says why. */
static ws_socket wsi_poll_descriptor(wsi_poll *poll) {
    if (poll->moved)
        return poll->descriptor;
    errno = ENOSYS;
    return poll->limit != INT32_MAX && wsi_poll_move(poll) ? poll->descriptor : -1;
}

/* Whether regular files are watched. They are always ready, but do not make epoll's or kqueue's descriptor readable. */
static bool wsi_poll_has_files(const wsi_poll *poll) { return poll->moved && poll->highest >= 0; }

/* Adds what a foreign select must watch. epoll's or kqueue's own descriptor is readable when one registered with it is
   ready. false: that descriptor is beyond FD_SETSIZE. */
static bool wsi_poll_export(const wsi_poll *poll, fd_set *reads, fd_set *writes, int *highest) {
    if (poll->moved && poll->descriptor >= FD_SETSIZE)
        return false;
    if (poll->moved)
        wsi_poll_mark((wsi_poll_bits *)(void *)reads, poll->descriptor, true);
    *highest = poll->moved && poll->descriptor > *highest ? poll->descriptor : *highest;
    return wsi_select_export(poll, reads, writes, highest);
}

/* Begins a round with what a foreign select found. -1: the system call failed. */
static int wsi_poll_import(wsi_poll *poll, const fd_set *reads, const fd_set *writes) {
    const wsi_poll_bits *bits = (const wsi_poll_bits *)(const void *)reads;
    if (!poll->moved)
        return wsi_select_import(poll, reads, writes);
    return poll->highest >= 0 || (poll->descriptor < FD_SETSIZE && wsi_poll_marked(bits, poll->descriptor))
               ? wsi_kernel_wait(poll, 0) : 0;
}
#endif
#else /* select alone */
static void wsi_poll_init(wsi_poll *poll, wsi_memory *memory) { (void)memory, wsi_select_init(poll); }
static void wsi_poll_free(wsi_poll *poll) { (void)poll; }
static void wsi_poll_unsupported(void) { errno = ENOSYS; }
static bool wsi_poll_set(wsi_poll *poll, wsi_source *source, unsigned interest) {
    return wsi_select_set(poll, source, interest);
}
static int wsi_poll_wait(wsi_poll *poll, uint64_t milliseconds) { return wsi_select_wait(poll, milliseconds); }
static wsi_source *wsi_poll_next(wsi_poll *poll, unsigned *ready) { return wsi_select_next(poll, ready); }
#ifndef WS_NO_HOST
static bool wsi_poll_export(const wsi_poll *poll, fd_set *reads, fd_set *writes, int *highest) {
    return wsi_select_export(poll, reads, writes, highest);
}
static int wsi_poll_import(wsi_poll *poll, const fd_set *reads, const fd_set *writes) {
    return wsi_select_import(poll, reads, writes);
}
#endif
#endif /* WS_NO_EPOLL */
#endif /* _WIN32 */

#ifdef WS_NO_EPOLL
static bool wsi_poll_choose(wsi_poll *poll, ws_poller poller, bool early) {
    return (void)poll, (void)early, wsi_poll_unsupported(), poller != WS_POLLER_EPOLL;
}
static unsigned wsi_poll_turns(const wsi_poll *poll, int found) { return (void)poll, (void)found, 1u; }
#ifndef WS_NO_HOST
static ws_socket wsi_poll_descriptor(wsi_poll *poll) { return (void)poll, wsi_poll_unsupported(), WSI_NO_SOCKET; }
static bool wsi_poll_has_files(const wsi_poll *poll) { return (void)poll, false; }
#endif
#endif

/*
>> LOOP ===================================================================================
   The event loop: ready sources, timers, posts from other threads. Calls MEMORY, HANDSHAKE, MESSAGES, INIT, PLATFORM,
   SOCKETS, POLL. It reaches servers and clients through function pointers (wsi_hooks). Prefixes: wsi_loop_,
   wsi_spare_, wsi_timer_, wsi_user_timer_ and wsi_watch_ (the program's timers and descriptors).
*/

typedef enum wsi_timer_kind {
    WSI_TIMER_USER, WSI_TIMER_DEADLINE, WSI_TIMER_CONN, WSI_TIMER_ENDPOINT, WSI_TIMER_KINDS
} wsi_timer_kind;

typedef struct wsi_timer { /* kept small, as each connection has one */
    uint64_t at;
    uint32_t place; /* its place in the heap, from 1; 0: not set */
    uint8_t kind;   /* wsi_timer_kind: the loop calls loop->fire[kind] */
} wsi_timer;

typedef struct wsi_user_timer { /* a timer of the program */
    wsi_chain chain;       /* first member; its hash is the lower half of id */
    wsi_timer timer;
    ws_id id;
    uint32_t period;       /* 0: once */
    ws_timer_function *function;
    void *user;
} wsi_user_timer;

#ifndef WS_NO_CLIENT
enum { WSI_LOOKUPS = WSI_BRIEF ? 1 : 16 };

typedef struct wsi_lookup { /* a name look-up in a thread; it may outlive the client that began it */
    wsi_source source;      /* first member; not polled: this look-up is not in use */
    struct wsi_client *client; /* NULL: the client has ended */
} wsi_lookup;
#endif /* WS_NO_CLIENT */

enum {
#ifndef WS_NO_FAST
    WSI_SPARES = 32,            /* how many large blocks a loop keeps for reuse, at most */
    WSI_SPARE_LEAST = 68 << 10, /* the least size of a large block: more than the block that broadcasts share */
    WSI_SPARE_MS = 1000,        /* spare blocks are freed after this long without use */
#endif
    WSI_GROWN = 8               /* under load the receive buffer grows by this factor */
};

typedef struct wsi_hooks { /* what the loop calls in servers and clients */
    void (*end_round)(ws_loop *loop);   /* at the end of each round: send, call on_close, free */
    void (*end)(ws_loop *loop, bool drop); /* close all servers and clients, or drop their connections at once */
    void (*release)(ws_loop *loop);  /* free what servers and clients keep in the loop */
    bool (*relieve)(ws_loop *loop);  /* free memory by dropping an unfinished message; false: there is none */
} wsi_hooks;

typedef void wsi_ready(ws_loop *loop, wsi_source *source, unsigned ready);

struct ws_loop {
    wsi_memory memory;
    wsi_memory arriving; /* the part of memory that holds unfinished messages: see max_unfinished */
    size_t max_unfinished, max_spare;
    ws_conn *oldest_held, *newest_held; /* connections with unfinished messages; newest: the one that grew last */
    wsi_ready *ready[WSI_KINDS];
    void (*fire[WSI_TIMER_KINDS])(ws_loop *loop, wsi_timer *timer);
    uint64_t now;
    uint64_t (*clock)(void *user);
    uint64_t (*wall_clock)(void *user);
    void *clock_user, *wall_user;
    wsi_hooks hooks;
#ifndef WS_NO_TRACE
    wsi_tracer tracer; /* .report is NULL without config.trace */
#endif
#ifndef WS_NO_STATS
    ws_stats stats;    /* messages, bytes, longest_ms; counters of servers and clients that have ended */
    uint64_t round_at; /* when this round began; 0: between rounds */
#endif
    ws_error error;
    wsi_reason why; /* the error's text, or empty */
    wsi_thread owner; /* the thread that runs the loop, or waits for it inside a loop of its own */
    uint8_t owned;    /* WSI_RUN, WSI_HOSTED, or 0: there is no owner */
    bool busy, stopped, shutting_down, freeing;
#ifndef WS_NO_TEST
    uint64_t virtual_now;
#endif

    wsi_buffer timers;  /* room for every timer that exists */
    wsi_timer **heap;   /* the timers that are set, in the memory of `timers` */
    size_t heap_size;
    wsi_table user_timers;
#ifndef WS_NO_HOST
    wsi_table watches;
#endif
    ws_id newest_timer;
    wsi_timer deadline; /* when ws_shutdown drops what is left */
#ifndef WS_NO_CLIENT
    wsi_lookup lookups[WSI_LOOKUPS];
    struct wsi_client *lookup_first, *lookup_last; /* the queue of clients that wait for a free look-up */
    uint8_t random[256]; /* random bytes; the last random_left of them are not used yet */
    size_t random_left;
#endif
    wsi_source wake;
    wsi_mail mail;
    uint32_t stop_request, shutdown_request; /* set by any thread; 0: none. A shutdown's value is ms + 1 */
    int found;             /* how many sources the last wait found ready; -1: the wait failed */
    unsigned failed_polls; /* how many waits in a row failed while a timer was due */
    uint64_t served_until; /* bytes that arrived by this time are served, so deadlines up to it may be checked */

    /* buffers that connections share, to receive and to send; of the same size, except under load */
    wsi_buffer receive, gather;
#ifndef WS_NO_FAST
    ws_span spares[WSI_SPARES];   /* large blocks that are not in use; the oldest first */
    size_t spare_count, spare;    /* spare: bytes in these, and those by which the receive buffer grew */
#endif
    uint64_t spare_used;          /* when spare memory was last used; 0: there is none */
    wsi_codec codec;    /* permessage-deflate */
#ifndef WS_NO_JSON
    wsi_buffer printed; /* output of ws_send_json, ws_send_html and the like */
#endif
    wsi_buffer record;  /* joins small spans for a transport; empty until the first transport */
    const struct wsi_tls_calls *tls_calls; /* NULL: WS_NO_TLS */
    struct wsi_tls *tls; /* the TLS contexts of clients, the newest first */
    wsi_window window;
    ws_conn *gather_owner; /* the connection whose bytes are gathered */
    ws_conn *due;       /* connections with something to do at the end of the round */
    ws_span gathered;  /* what gather_owner will send: in gather, or replies written in place in the window */
    ws_message delivered;  /* the message that on_message has now; its text is known to be UTF-8 */
    ws_conn *delivered_by; /* the connection that it came from; NULL: no on_message is running */
    struct wsi_node *free_nodes;
    size_t free_node_count;
    wsi_buffer slabs; /* pointers to arrays of WSI_SLAB_CONNS connections, which never move */
    ws_conn *free_conns;
    struct wsi_endpoint *endpoints; /* servers and clients */
    size_t conn_count;
    uint64_t seed; /* for hashes */
#ifndef WS_NO_SERVER
    const struct wsi_forward_calls *forward_calls; /* NULL: WS_NO_FORWARD */
    const struct wsi_web_calls *web_calls; /* NULL: WS_NO_HTTP */
    struct wsi_block *arena; /* the block that small broadcasts share */
    struct wsi_droppable *droppable; /* the list of the member that a broadcast is being delivered to */
#endif

    wsi_poll poll; /* last, as it is large */
};

enum { WSI_RUN = 1, WSI_HOSTED };

/* Records the first error. The caller has set loop->why. */
static bool wsi_loop_fail_why(ws_loop *loop, ws_error error) {
    if (loop && !loop->error)
        loop->error = error;
    return false;
}

static bool wsi_loop_fail(ws_loop *loop, ws_error error) {
    if (loop && !loop->error)
        wsi_reason_clear(&loop->why);
    return wsi_loop_fail_why(loop, error);
}

/* Whether the calling thread may use the loop: it owns the loop, or no thread does. */
static bool wsi_loop_is_ours(const ws_loop *loop) {
    return !loop || !loop->owned || wsi_platform_is_thread(loop->owner);
}

/* Makes the calling thread the owner. false: the loop is running already, in this thread or another. */
static bool wsi_loop_own(ws_loop *loop) {
    if (!loop || loop->busy || !wsi_loop_is_ours(loop))
        return false;
    loop->owner = wsi_platform_thread();
    loop->owned = WSI_RUN;
    return true;
}

/* Records to which call the program gave no function. The loop keeps running. */
static bool wsi_loop_no_function(ws_loop *loop, const char *call) {
    if (loop && !loop->error)
        (void)wsi_reason_set(&loop->why, WS_ERROR_ARGUMENT, "%s: function is NULL", call);
    return false;
}

/* Reads the clock again before a deadline is set or checked: a callback of this round may have taken long. */
static uint64_t wsi_loop_time(ws_loop *loop) { return loop->now = loop->clock(loop->clock_user); }

#ifndef WS_NO_TRACE
/* Traces an event that belongs to no connection. */
WSI_RARE void wsi_loop_trace(ws_loop *loop, ws_trace_kind kind, int status, const void *data, size_t size) {
    if (loop->tracer.report)
        loop->tracer.report(&loop->tracer, NULL, kind, status, data, size);
}
#define WSI_LOOP_TRACE wsi_loop_trace

/* Traces what the engines of a new server or client do, if there is a trace. */
static void wsi_loop_trace_env(ws_loop *loop, wsi_env *env) {
    if (!loop->tracer.report)
        return;
    env->tracer = &loop->tracer;
    env->output = loop->tracer.output;
}
#else
#define WSI_LOOP_TRACE(loop, kind, status, data, size) ((void)(loop), (void)(status), (void)(data), (void)(size))
static void wsi_loop_trace_env(const ws_loop *loop, const wsi_env *env) { (void)loop, (void)env; }
#endif

#ifndef WS_NO_TEST
static uint64_t wsi_loop_virtual_clock(void *user) { return ((const ws_loop *)user)->virtual_now; }

static uint64_t wsi_loop_virtual_time(void *user) { return ((const ws_loop *)user)->virtual_now / 1000; }

static void wsi_loop_set_virtual(ws_loop *loop, const ws_loop_config *config) {
    loop->virtual_now = 1000;
    if (!config->virtual_clock || config->clock)
        return;
    loop->clock = wsi_loop_virtual_clock;
    if (!config->wall_clock)
        loop->wall_clock = wsi_loop_virtual_time;
}
#else
static void wsi_loop_set_virtual(ws_loop *loop, const ws_loop_config *config) { (void)loop, (void)config; }
#endif

/* --- spare memory, kept under load --- */

#ifdef WS_NO_FAST /* no spare memory */
static size_t wsi_spare_round(const ws_loop *loop, size_t size) { return (void)loop, size; }
static size_t wsi_spare_find(const ws_loop *loop, size_t size) { return (void)loop, (void)size, 0; }
static bool wsi_spare_drop(ws_loop *loop) { return (void)loop, false; }
static void *wsi_spare_resize(ws_loop *loop, void *block, size_t old_size, size_t new_size) {
    return wsi_memory_resize(&loop->memory, block, old_size, new_size);
}
static void wsi_spare_resize_receive(ws_loop *loop, size_t capacity) { (void)loop, (void)capacity; }
static uint64_t wsi_spare_expire(ws_loop *loop, uint64_t pause) { return (void)loop, pause; }
#else
/* Rounds the size of a large block up, by a quarter at most, so that a freed block fits the next request. */
static size_t wsi_spare_round(const ws_loop *loop, size_t size) {
    size_t step = 16 << 10;
    if (size < WSI_SPARE_LEAST || loop->max_spare < WSI_SPARE_LEAST || size > SIZE_MAX / 2)
        return size;
    while (step < size / 8)
        step *= 2;
    return (size + step - 1) / step * step;
}

/* The place, from 1, of the newest spare block of this size. 0: there is none. */
static size_t wsi_spare_find(const ws_loop *loop, size_t size) {
    size_t place = loop->spare_count;
    while (place && loop->spares[place - 1].size != size)
        place--;
    return place;
}

static void *wsi_spare_remove(ws_loop *loop, size_t place) {
    ws_span *spare = &loop->spares[place - 1];
    void *block = spare->data;
    loop->spare -= spare->size;
    memmove(spare, spare + 1, (loop->spare_count-- - place) * sizeof *spare);
    return block;
}

/* Frees the oldest spare block. false: there is none. */
static bool wsi_spare_drop(ws_loop *loop) {
    size_t size = loop->spare_count ? loop->spares[0].size : 0;
    if (size)
        wsi_memory_free(&loop->memory, wsi_spare_remove(loop, 1), size);
    return size != 0;
}

/* Keeps a large block for the next request of its size; frees a small one. */
static void wsi_spare_give(ws_loop *loop, void *block, size_t size) {
    if (size < WSI_SPARE_LEAST || size > loop->max_spare - (loop->receive.capacity - loop->gather.capacity)) {
        wsi_memory_free(&loop->memory, block, size);
        return;
    }
    while (loop->spare_count == WSI_SPARES || loop->spare + size > loop->max_spare)
        (void)wsi_spare_drop(loop);
    loop->spares[loop->spare_count].data = (uint8_t *)block;
    loop->spares[loop->spare_count++].size = size;
    loop->spare += size;
    loop->spare_used = loop->now;
}

/* Works like an allocator's resize. Takes a spare block if one fits, and keeps a large old block as a spare. */
static void *wsi_spare_resize(ws_loop *loop, void *block, size_t old_size, size_t new_size) {
    size_t from = wsi_spare_round(loop, old_size), to = wsi_spare_round(loop, new_size), place;
    void *moved;
    if (block && from == to)
        return block;
    place = to >= WSI_SPARE_LEAST ? wsi_spare_find(loop, to) : 0;
    if (!place && (from < WSI_SPARE_LEAST || to > from)) {
        do {
            moved = wsi_memory_resize(&loop->memory, block, from, to);
        } while (!moved && to && wsi_spare_drop(loop));
        return moved;
    }
    moved = place ? wsi_spare_remove(loop, place) : to ? wsi_memory_resize(&loop->memory, NULL, 0, to) : NULL;
    if (moved && block)
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
    if (block && (moved || !to))
        wsi_spare_give(loop, block, from);
    return moved;
}

/* Under load the receive buffer grows, if max_spare allows. To be called while the window is empty. */
static void wsi_spare_resize_receive(ws_loop *loop, size_t capacity) {
    size_t after = loop->spare + capacity - loop->receive.capacity;
    loop->spare_used = loop->now;
    if (after == loop->spare || after > loop->max_spare || !wsi_buffer_resize(&loop->memory, &loop->receive, capacity))
        return;
    loop->spare = after;
    memset(&loop->window, 0, sizeof loop->window); /* the buffer may have moved */
}

/* Frees all spare memory after WSI_SPARE_MS without use. Returns the pause, cut short to end by that time. */
WSI_RARE uint64_t wsi_spare_expire(ws_loop *loop, uint64_t pause) {
    uint64_t since = loop->now - loop->spare_used;
    if (since < WSI_SPARE_MS)
        return pause < WSI_SPARE_MS - since ? pause : WSI_SPARE_MS - since;
    while (wsi_spare_drop(loop)) {}
    wsi_spare_resize_receive(loop, loop->gather.capacity);
    loop->spare_used = 0;
    return pause;
}
#endif /* WS_NO_FAST */

/* --- timers: a binary heap --- */

/* Makes room in the heap for one more timer, so that setting it never fails. */
static bool wsi_timer_reserve(ws_loop *loop) {
    if (!wsi_buffer_reserve(&loop->memory, &loop->timers, 2 * sizeof *loop->heap)) /* and for loop->deadline */
        return false;
    loop->timers.size += sizeof *loop->heap;
    loop->heap = (wsi_timer **)(void *)loop->timers.data;
    return true;
}

static void wsi_timer_place(ws_loop *loop, size_t place, wsi_timer *timer) {
    loop->heap[place - 1] = timer;
    timer->place = (uint32_t)place;
}

static void wsi_timer_sift(ws_loop *loop, wsi_timer *timer) {
    size_t place = timer->place, child;
    while (place > 1 && loop->heap[place / 2 - 1]->at > timer->at) {
        wsi_timer_place(loop, place, loop->heap[place / 2 - 1]);
        place /= 2;
    }
    while ((child = place * 2) <= loop->heap_size) {
        if (child < loop->heap_size && loop->heap[child]->at < loop->heap[child - 1]->at)
            child++;
        if (loop->heap[child - 1]->at >= timer->at)
            break;
        wsi_timer_place(loop, place, loop->heap[child - 1]);
        place = child;
    }
    wsi_timer_place(loop, place, timer);
}

static void wsi_timer_clear(ws_loop *loop, wsi_timer *timer) {
    size_t place = timer->place;
    if (!place)
        return;
    timer->place = 0;
    wsi_timer *last = loop->heap[--loop->heap_size];
    if (last == timer)
        return;
    wsi_timer_place(loop, place, last);
    wsi_timer_sift(loop, last);
}

/* Sets when the timer fires. at UINT64_MAX: stops the timer. */
static void wsi_timer_set(ws_loop *loop, wsi_timer *timer, uint64_t at) {
    if (at == UINT64_MAX) {
        wsi_timer_clear(loop, timer);
        return;
    }
    if (!timer->place)
        wsi_timer_place(loop, ++loop->heap_size, timer);
    timer->at = at;
    wsi_timer_sift(loop, timer);
}

static bool wsi_loop_is_due(const ws_loop *loop, uint64_t at) { return loop->heap_size && loop->heap[0]->at <= at; }

/* --- the program's timers --- */

static void wsi_user_timer_free(ws_loop *loop, wsi_user_timer *user_timer) {
    wsi_timer_clear(loop, &user_timer->timer);
    wsi_table_remove(&loop->memory, &loop->user_timers, &user_timer->chain, sizeof *user_timer);
    loop->timers.size -= sizeof *loop->heap;
}

static void wsi_user_timer_fire(ws_loop *loop, wsi_timer *timer) {
    wsi_user_timer *user_timer = (wsi_user_timer *)(void *)((char *)timer - offsetof(wsi_user_timer, timer));
    ws_timer_function *function = user_timer->function;
    void *user = user_timer->user;
    uint64_t next = timer->at + user_timer->period;
    if (loop->now - timer->at >= 20)
        WSI_LOOP_TRACE(loop, WS_TRACE_LATE, 0, NULL, (size_t)(loop->now - timer->at));
    if (!user_timer->period)
        wsi_user_timer_free(loop, user_timer);
    else
        wsi_timer_set(loop, timer, next > loop->now ? next : loop->now + user_timer->period);
    function(loop, user);
}

static ws_id wsi_user_timer_new(ws_loop *loop, uint32_t delay, uint32_t period, ws_timer_function *function,
                                void *user) {
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!function)
        return wsi_loop_no_function(loop, period ? "ws_every" : "ws_after");
    if (!loop || !wsi_timer_reserve(loop))
        return 0;
    wsi_user_timer *user_timer = (wsi_user_timer *)wsi_table_add(
        &loop->memory, &loop->user_timers, (uint32_t)(loop->newest_timer + 1), sizeof *user_timer);
    if (!user_timer) {
        loop->timers.size -= sizeof *loop->heap;
        return 0;
    }
    loop->fire[WSI_TIMER_USER] = wsi_user_timer_fire;
    user_timer->id = ++loop->newest_timer;
    user_timer->function = function;
    user_timer->user = user;
    user_timer->period = period;
    wsi_timer_set(loop, &user_timer->timer, wsi_loop_time(loop) + (delay ? delay : 1)); /* not in this round */
    return user_timer->id;
}

WS_API ws_id ws_after(ws_loop *loop, uint32_t milliseconds, ws_timer_function *function, void *user) {
    return wsi_user_timer_new(loop, milliseconds, 0, function, user);
}

WS_API ws_id ws_every(ws_loop *loop, uint32_t milliseconds, ws_timer_function *function, void *user) {
    uint32_t period = milliseconds ? milliseconds : 1;
    return wsi_user_timer_new(loop, period, period, function, user);
}

WS_API void ws_cancel(ws_loop *loop, ws_id timer) {
    wsi_chain *chain = loop ? wsi_table_first(&loop->user_timers, (uint32_t)timer) : NULL;
    WS_ASSERT(wsi_loop_is_ours(loop));
    while (chain && ((wsi_user_timer *)(void *)chain)->id != timer)
        chain = chain->next;
    if (chain)
        wsi_user_timer_free(loop, (wsi_user_timer *)(void *)chain);
}

/* --- the program's descriptors --- */

#ifdef WS_NO_HOST
static void wsi_watch_free(ws_loop *loop) { (void)loop; }
#else
typedef struct wsi_watch { /* a descriptor of the program */
    wsi_chain chain;       /* first member; its hash is the descriptor */
    wsi_source source;
    ws_watch_function *function;
    void *user;
} wsi_watch;

static void wsi_watch_ready(ws_loop *loop, wsi_source *source, unsigned ready) {
    const wsi_watch *watch = (const wsi_watch *)(void *)((char *)source - offsetof(wsi_watch, source));
    watch->function(loop, source->link.descriptor, ready, watch->user);
}

static wsi_watch *wsi_watch_of(wsi_chain *chain) { return (wsi_watch *)(void *)chain; }

WS_API bool ws_watch(ws_loop *loop, ws_socket descriptor, unsigned what, ws_watch_function *function, void *user) {
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!loop || (what && !function))
        return wsi_loop_no_function(loop, "ws_watch");
    wsi_chain *chain = wsi_table_first(&loop->watches, (uint32_t)descriptor);
    while (chain && wsi_watch_of(chain)->source.link.descriptor != descriptor)
        chain = chain->next;
    wsi_watch *watch = chain ? wsi_watch_of(chain) : NULL;
    what &= (unsigned)(WS_READ | WS_WRITE);
    if (!watch && what)
        watch = (wsi_watch *)wsi_table_add(&loop->memory, &loop->watches, (uint32_t)descriptor, sizeof *watch);
    if (!watch)
        return !what;
    loop->ready[WSI_KIND_WATCH] = wsi_watch_ready;
    watch->source.link.descriptor = descriptor;
    watch->source.link.kind = WSI_KIND_WATCH;
    watch->function = function;
    watch->user = user;
    if (wsi_poll_set(&loop->poll, &watch->source, what) && what)
        return true;
    wsi_table_remove(&loop->memory, &loop->watches, &watch->chain, sizeof *watch);
    return !what;
}

static void wsi_watch_free(ws_loop *loop) { wsi_table_clear(&loop->memory, &loop->watches, sizeof(wsi_watch)); }
#endif /* WS_NO_HOST */

/* --- other threads, signal handlers --- */

static void wsi_loop_deadline(ws_loop *loop, wsi_timer *timer) {
    (void)timer;
    loop->hooks.end(loop, true);
}

static void wsi_loop_shutdown(ws_loop *loop, uint32_t milliseconds) {
    uint64_t at = wsi_loop_time(loop) + milliseconds;
    bool first = !loop->shutting_down;
    loop->shutting_down = true;
    if (!loop->hooks.end) /* the loop never had a server or client */
        return;
    if (first)
        loop->hooks.end(loop, false);
    if (first || at < loop->deadline.at)
        wsi_timer_set(loop, &loop->deadline, at);
}

static bool wsi_loop_has_requests(const ws_loop *loop) {
    return wsi_platform_peek(&loop->stop_request) || wsi_platform_peek(&loop->shutdown_request);
}

/* Runs one batch of posts, so that others get their turn. Runs all on a stop or shutdown, or if a timer is due. */
static void wsi_loop_run_posts(ws_loop *loop, wsi_source *source, unsigned ready) {
    enum { WSI_POSTS = 64, WSI_READS = 64 }; /* posts per read, and reads: a pipe holds no more than their product */
    wsi_post posts[WSI_POSTS];
    size_t i, count, reads = 0;
    (void)ready;
    do {
        count = wsi_platform_get_mail(&loop->mail, source->link.descriptor, posts, WSI_POSTS);
        for (i = 0; i < count; i++)
            if (posts[i].function)
                posts[i].function(posts[i].argument);
    } while (count == WSI_POSTS && ++reads < WSI_READS
             && (wsi_loop_has_requests(loop) || wsi_loop_is_due(loop, loop->now)));
}

static bool wsi_loop_post(ws_loop *loop, void (*function)(void *argument), void *argument) {
    wsi_post post;
    if (!loop || loop->wake.link.descriptor == WSI_NO_SOCKET)
        return false;
    memset(&post, 0, sizeof post);
    post.function = function;
    post.argument = argument;
    return wsi_platform_put_mail(&loop->mail, &post);
}

/* Carries out ws_stop and ws_shutdown, after the posts that came before them. A request that a post or another thread
   makes meanwhile waits for the next round. */
WSI_RARE void wsi_loop_handle_requests(ws_loop *loop) {
    bool stops = wsi_platform_peek(&loop->stop_request) != 0;
    bool shuts_down = wsi_platform_peek(&loop->shutdown_request) != 0;
    if (loop->wake.link.descriptor != WSI_NO_SOCKET)
        wsi_loop_run_posts(loop, &loop->wake, WS_READ);
    if (shuts_down)
        wsi_loop_shutdown(loop, wsi_platform_reset(&loop->shutdown_request) - 1);
    if (stops && wsi_platform_reset(&loop->stop_request))
        loop->stopped = true;
    if (wsi_loop_has_requests(loop)) /* the new request's wake-up post may have been read already */
        (void)wsi_loop_post(loop, NULL, NULL);
}

static void wsi_loop_no_post_function(void *loop) { (void)wsi_loop_no_function((ws_loop *)loop, "ws_post"); }

WS_API bool ws_post(ws_loop *loop, void (*function)(void *argument), void *argument) {
    if (!function)
        (void)wsi_loop_post(loop, wsi_loop_no_post_function, loop);
    return function && wsi_loop_post(loop, function, argument);
}

/* Sets the word, then wakes the loop through the pipe. If the pipe is full, the loop is awake anyway. */
static bool wsi_loop_request(ws_loop *loop, uint32_t *word, uint32_t value) {
    wsi_platform_lower(word, value);
    (void)wsi_loop_post(loop, NULL, NULL);
    return true;
}

WS_API bool ws_stop(ws_loop *loop) { return loop && wsi_loop_request(loop, &loop->stop_request, 1); }

WS_API bool ws_shutdown(ws_loop *loop, uint32_t milliseconds) {
    return loop && wsi_loop_request(loop, &loop->shutdown_request, milliseconds + (milliseconds != UINT32_MAX));
}

/* --- rounds --- */

static void wsi_loop_end_round(ws_loop *loop) {
    if (loop->hooks.end_round)
        loop->hooks.end_round(loop);
    if (loop->shutting_down && !loop->conn_count)
        loop->stopped = true;
}

/* Waits for ready sources. false: the poller failed. A signal is no failure: the wait ends with nothing ready. */
WSI_INLINE bool wsi_loop_wait(ws_loop *loop, uint64_t milliseconds) {
    loop->found = wsi_poll_wait(&loop->poll, milliseconds);
    return loop->found >= 0 || wsi_platform_interrupted() || wsi_loop_fail(loop, WS_ERROR_SYSTEM);
}

enum {
    WSI_POLLS = 256,   /* further polls once each source had its turn: one peer's data may take several reads */
    WSI_POLLS_MS = 10, /* the most time for these polls: a peer that never stops sending must not delay timers */
    WSI_FAILED_POLLS = 1000 /* after this many interrupted polls in a row, deadlines are checked all the same */
};

typedef struct wsi_polls {
    unsigned count;      /* polls so far in this round */
    uint64_t begun, now; /* when the first and the last poll began */
} wsi_polls;

/* Polls once more, so that bytes that arrived before a deadline are served before the deadline is checked, however late
   the loop is. false: no more polls are needed, or the poller failed. */
WSI_RARE bool wsi_loop_poll_again(ws_loop *loop, wsi_polls *polls) {
    unsigned turns = wsi_poll_turns(&loop->poll, loop->found);
    bool turned = polls->count >= turns;
    if (!polls->count)
        polls->begun = wsi_loop_time(loop);
    if (polls->count && (!loop->found || (turned && (polls->count >= turns + WSI_POLLS
                                                     || loop->now - polls->begun >= WSI_POLLS_MS)))) {
        loop->served_until = loop->found ? polls->begun : polls->now;
        return false;
    }
    wsi_loop_end_round(loop);
    polls->now = wsi_loop_time(loop);
    polls->count++;
    if (!wsi_loop_wait(loop, 0))
        return false;
    loop->failed_polls = loop->found < 0 ? loop->failed_polls + 1 : 0;
    if (loop->failed_polls >= WSI_FAILED_POLLS)
        loop->served_until = polls->now;
    return loop->found >= 0;
}

#ifdef WS_NO_STATS
static void wsi_loop_measure(ws_loop *loop, uint64_t now, bool begins) { (void)loop, (void)now, (void)begins; }
#else
/* Begins a round, or ends one and updates longest_ms. */
WSI_INLINE void wsi_loop_measure(ws_loop *loop, uint64_t now, bool begins) {
    if (!begins && now - loop->round_at > loop->stats.longest_ms && loop->round_at)
        loop->stats.longest_ms = now - loop->round_at;
    loop->round_at = begins ? now : 0;
}
#endif

/* Serves the sources that are ready, then the timers that are due. */
static void wsi_loop_round(ws_loop *loop) {
    wsi_polls polls = {0, 0, 0};
    loop->busy = true;
    wsi_loop_measure(loop, wsi_loop_time(loop), true);
    do {
        wsi_source *source;
        unsigned ready;
        while ((source = wsi_poll_next(&loop->poll, &ready)) != NULL)
            loop->ready[source->link.kind](loop, source, ready);
        if (wsi_loop_has_requests(loop))
            wsi_loop_handle_requests(loop);
    } while (wsi_loop_is_due(loop, loop->now) && wsi_loop_poll_again(loop, &polls));
    while (polls.count && wsi_loop_is_due(loop, loop->served_until)) {
        wsi_timer *timer = loop->heap[0];
        wsi_timer_clear(loop, timer);
        loop->fire[timer->kind](loop, timer);
    }
    wsi_loop_end_round(loop);
    loop->busy = false;
}

/* Whether the loop goes on, because it has neither failed nor been stopped. Clears a stop. */
static bool wsi_loop_continues(ws_loop *loop) {
    bool stopped = loop->stopped;
    loop->stopped = false;
    return !stopped && !loop->error;
}

/* Ends the last round: the time until the next one does not count for longest_ms. */
static void wsi_loop_leave(ws_loop *loop) {
    wsi_loop_measure(loop, loop->clock(loop->clock_user), false);
    loop->owned = 0;
}

/* Sends what the program queued outside callbacks, and returns how long the loop may wait. */
static uint64_t wsi_loop_pause(ws_loop *loop, uint32_t wait_ms) {
    uint64_t pause = wait_ms == WS_OFF ? UINT64_MAX : wait_ms, next;
    loop->busy = true;
    wsi_loop_end_round(loop);
    loop->busy = false;
    uint64_t now = loop->clock(loop->clock_user);
    wsi_loop_measure(loop, now, false);
    if (loop->stopped)
        return 0;
    if (loop->spare_used)
        pause = wsi_spare_expire(loop, pause);
    if (loop->heap_size) {
        next = loop->heap[0]->at > now ? loop->heap[0]->at - now : 0;
        pause = next < pause ? next : pause;
    }
    return pause;
}

static bool wsi_loop_once(ws_loop *loop, uint32_t wait_ms) {
    if (loop->error || !wsi_loop_wait(loop, wsi_loop_pause(loop, wait_ms)))
        return false;
    wsi_loop_round(loop);
    return wsi_loop_continues(loop);
}

WS_API bool ws_run_once(ws_loop *loop, uint32_t wait_ms) {
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!wsi_loop_own(loop))
        return false;
    bool continues = wsi_loop_once(loop, wait_ms);
    wsi_loop_leave(loop);
    return continues;
}

WS_API ws_error ws_run(ws_loop *loop) {
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!wsi_loop_own(loop))
        return loop ? WS_ERROR_STATE : WS_ERROR_MEMORY;
    while (wsi_loop_once(loop, WS_OFF)) {}
    wsi_loop_leave(loop);
    return loop->error;
}

enum { WSI_RECEIVE = (WSI_BRIEF ? 2 : 64) << 10, WSI_RECEIVE_LEAST = (WSI_BRIEF ? 1 : 16) << 10 };

#ifndef WSI_POLLER_DEFAULT
#define WSI_POLLER_DEFAULT WS_POLLER_AUTO /* tests define this, to run with another poller */
#endif

/* Beyond max_unfinished, other connections' unfinished messages are dropped. A single one may use all of max_memory. */
static void *wsi_loop_resize_arriving(void *user, void *block, size_t old_size, size_t new_size) {
    ws_loop *loop = (ws_loop *)user;
    while (new_size > old_size && loop->arriving.used + (new_size - old_size) > loop->max_unfinished
           && loop->hooks.relieve(loop)) {}
    return wsi_spare_resize(loop, block, old_size, new_size);
}

/* Makes a loop. wakes: other threads may post, which wakes it. A blocking client's loop takes no posts. */
static ws_loop *wsi_loop_new(const ws_loop_config *config, bool wakes) {
    ws_loop_config all;
    wsi_memory memory;
    wsi_reason room;
    memset(&all, 0, sizeof all);
    if (config)
        all = *config;
    wsi_memory_init(&memory, all.allocator, all.max_memory ? all.max_memory : (size_t)1 << 30);
    ws_loop *loop = (ws_loop *)wsi_memory_new(&memory, sizeof *loop);
    if (!loop)
        return NULL;
    loop->memory = memory;
    loop->max_unfinished = all.max_unfinished ? all.max_unfinished : memory.limit / 4;
    if (wakes) /* not for a blocking client: between calls its window stays in the receive buffer */
        loop->max_spare = all.max_spare ? all.max_spare : memory.limit / 64;
    all.allocator.resize = wsi_loop_resize_arriving;
    all.allocator.user = loop;
    wsi_memory_init(&loop->arriving, all.allocator, SIZE_MAX);
    wsi_init_codec(&loop->codec, &loop->memory, &loop->arriving);
    loop->clock = all.clock ? all.clock : wsi_platform_clock;
    loop->clock_user = all.clock ? all.clock_user : loop;
    loop->wall_clock = all.wall_clock ? all.wall_clock : wsi_platform_time;
    loop->wall_user = all.wall_clock ? all.clock_user : loop;
    wsi_loop_set_virtual(loop, &all);
    loop->now = loop->clock(loop->clock_user);
    if (!wsi_platform_random(NULL, &loop->seed, sizeof loop->seed)) /* a weak seed will do */
        loop->seed = loop->now ^ (uint64_t)(uintptr_t)loop;
    loop->wake.link.descriptor = WSI_NO_SOCKET;
    loop->fire[WSI_TIMER_DEADLINE] = wsi_loop_deadline;
    loop->deadline.kind = WSI_TIMER_DEADLINE;
    loop->ready[WSI_KIND_WAKE] = wsi_loop_run_posts;
    wsi_poll_init(&loop->poll, &loop->memory);
    if (!wsi_platform_start())
        (void)wsi_loop_fail(loop, WS_ERROR_SYSTEM);
    if (!wsi_poll_choose(&loop->poll, all.poller ? all.poller : WSI_POLLER_DEFAULT, wakes))
        (void)wsi_loop_fail_why(loop, wsi_reason_set(&loop->why, wsi_platform_error(), "epoll or kqueue: %s",
                                                     wsi_platform_explain(wsi_platform_last(), &room)));
    if (all.receive_size < WSI_RECEIVE_LEAST)
        all.receive_size = all.receive_size ? (size_t)WSI_RECEIVE_LEAST : (size_t)WSI_RECEIVE;
    if (!wsi_buffer_resize(&loop->memory, &loop->receive, all.receive_size)
        || !wsi_buffer_resize(&loop->memory, &loop->gather, all.receive_size))
        (void)wsi_loop_fail(loop, WS_ERROR_MEMORY);
    loop->wake.link.kind = WSI_KIND_WAKE;
    if (wakes && !wsi_platform_open_mail(&loop->mail, &loop->wake.link.descriptor))
        (void)wsi_loop_fail(loop, wsi_platform_error());
    else if (wakes && !wsi_poll_set(&loop->poll, &loop->wake, WS_READ))
        (void)wsi_loop_fail(loop, WS_ERROR_DESCRIPTORS);
    return loop;
}

#ifndef WS_NO_JSON
static void wsi_loop_free_printed(ws_loop *loop) { wsi_buffer_free(&loop->memory, &loop->printed); }
#else
static void wsi_loop_free_printed(ws_loop *loop) { (void)loop; }
#endif

WS_API void ws_loop_free(ws_loop *loop) {
    if (loop && loop->owned == WSI_HOSTED)
        loop->owned = 0; /* the host's thread may have ended during its wait */
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!loop)
        return;
    loop->stopped = true;
    if (loop->busy)
        return;
    loop->freeing = true;
    if (loop->hooks.end) {
        loop->busy = true;
        loop->hooks.end(loop, true);
        loop->hooks.end_round(loop);
        loop->hooks.release(loop);
    }
    wsi_watch_free(loop);
    wsi_table_clear(&loop->memory, &loop->user_timers, sizeof(wsi_user_timer));
    wsi_buffer_free(&loop->memory, &loop->timers);
    wsi_codec_free(&loop->codec); /* before receive and gather, whose sizes decide which blocks become spares */
    wsi_buffer_free(&loop->memory, &loop->receive);
    wsi_buffer_free(&loop->memory, &loop->gather);
    wsi_buffer_free(&loop->memory, &loop->record);
    wsi_loop_free_printed(loop);
    while (wsi_spare_drop(loop)) {}
    if (loop->wake.link.descriptor != WSI_NO_SOCKET)
        wsi_platform_close_mail(&loop->mail, loop->wake.link.descriptor);
    wsi_poll_free(&loop->poll);
    wsi_memory memory = loop->memory;
    wsi_memory_free(&memory, loop, sizeof *loop);
}

WS_API ws_error ws_loop_error(const ws_loop *loop) { return loop ? loop->error : WS_ERROR_MEMORY; }

WS_API const char *ws_loop_error_text(const ws_loop *loop) {
    const char *why = loop ? wsi_reason_text(&loop->why) : NULL;
    return why ? why : ws_error_text(ws_loop_error(loop));
}

WS_API uint64_t ws_now(const ws_loop *loop) { return loop ? loop->now : 0; }

#ifndef WS_NO_HOST
/*
>> HOST ===================================================================================
   A ws_loop inside the program's own loop: its descriptor, its timeout, its fd_sets. Calls PLATFORM, POLL, LOOP.
   Prefix: wsi_host_.
*/

WS_API ws_socket ws_loop_descriptor(ws_loop *loop) {
    wsi_reason room;
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!loop)
        return WSI_NO_SOCKET;
    ws_socket descriptor = wsi_poll_descriptor(&loop->poll);
    if (descriptor == WSI_NO_SOCKET && !loop->error)
        (void)wsi_reason_set(&loop->why, WS_ERROR_DESCRIPTORS, "ws_loop_descriptor: no epoll or kqueue (%s): set "
                             ".poller to WS_POLLER_AUTO or _EPOLL, do not define WS_NO_EPOLL, or use ws_loop_fds",
                             wsi_platform_explain(wsi_platform_last(), &room));
    return descriptor;
}

/* Called before the program's own loop waits: this thread owns the ws_loop until the round after the wait. */
static bool wsi_host_begin(ws_loop *loop, uint64_t *pause) {
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (loop->error || !wsi_loop_own(loop))
        return false;
    *pause = wsi_loop_pause(loop, WS_OFF);
    loop->owned = WSI_HOSTED;
    return true;
}

WS_API int ws_loop_timeout(ws_loop *loop) {
    uint64_t pause;
    if (!loop)
        return -1;
    if (!wsi_host_begin(loop, &pause) || wsi_poll_has_files(&loop->poll))
        return 0;
    return pause == UINT64_MAX ? -1 : pause < WSI_POLL_LONGEST ? (int)pause : WSI_POLL_LONGEST;
}

WS_API bool ws_loop_fds(ws_loop *loop, fd_set *reads, fd_set *writes, int *highest, struct timeval *timeout) {
    struct timeval own;
    uint64_t pause;
    if (!loop || !reads || !writes || !highest || !wsi_host_begin(loop, &pause))
        return false;
    if (!wsi_poll_export(&loop->poll, reads, writes, highest))
        return wsi_loop_fail(loop, WS_ERROR_DESCRIPTORS);
    wsi_poll_timeout(pause, &own);
    if (timeout && (own.tv_sec < timeout->tv_sec || (own.tv_sec == timeout->tv_sec && own.tv_usec < timeout->tv_usec)))
        *timeout = own;
    return true;
}

WS_API bool ws_loop_dispatch(ws_loop *loop, const fd_set *reads, const fd_set *writes) {
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!loop || !reads || !writes || loop->error || !wsi_loop_own(loop))
        return false;
    if (wsi_poll_import(&loop->poll, reads, writes) >= 0 || wsi_platform_interrupted())
        wsi_loop_round(loop);
    else
        (void)wsi_loop_fail(loop, WS_ERROR_SYSTEM);
    wsi_loop_leave(loop);
    return wsi_loop_continues(loop);
}
#endif /* WS_NO_HOST */

/*
>> QUEUE ==================================================================================
   A connection, and the bytes that it has still to send. Calls MEMORY, HEADS, PLATFORM, LOOP. Prefixes: wsi_block_,
   wsi_node_, wsi_droppable_, wsi_queue_, wsi_endpoint_ (what servers and clients have in common), wsi_conn_, in this
   section and the four that follow.

   Bytes that a connection's own callback sends are gathered in a buffer of the loop, and sent when the callback
   returns. Broadcasts wait in the connection's queue, as references to shared blocks, until the round ends. The queue
   is sent first, then the gathered bytes. Bytes that the socket does not take stay in the queue.

   A connection's states:
     alive     the engine goes through the states that HEADS draws
       |       engine WSI_CLOSED, or transport broken: is_ending until the round ends
     closed    on_close has been called. The socket lingers: we send the last bytes and end our stream (half_closed),
       |       then wait for the peer to end its stream (eof). After that, or close_ms: broken, and is_ending again
     free      the descriptor is closed. A client's connection may become alive again
*/

typedef struct wsi_block { /* bytes that several queues may refer to */
    size_t references, size, capacity;
    uint8_t *data; /* follows this struct in memory */
} wsi_block;

typedef struct wsi_droppable { /* the pending broadcasts of one room to one member, oldest first */
    struct wsi_node *first, *last;
} wsi_droppable;

typedef struct wsi_node { /* a part of a block, in one queue */
    struct wsi_node *next, *previous;
    wsi_block *block;
    size_t from, to;
    size_t charge; /* the memory that the node costs beside its bytes */
#ifndef WS_NO_SERVER /* for broadcasts: */
    wsi_droppable *droppable; /* the list that holds this node, too; NULL: never drop it, or it is partly sent */
    struct wsi_node *newer;   /* the next node in that list */
    uint8_t slow;             /* the room's ws_slow */
    bool later;               /* in extra->later, not in the connection's queue */
#endif
    bool shared; /* other queues may refer to the block */
} wsi_node;

typedef struct wsi_queue {
    wsi_node *first, *last;
    size_t size, charge; /* sums over all nodes: of their bytes, and of their charge */
} wsi_queue;

typedef struct wsi_extra { /* fields that few connections need */
#ifndef WS_NO_TRACE
    uint64_t messages[2], bytes[2]; /* in, out */
    uint8_t began;                  /* who sent the first close frame: 1 the peer, 2 we, 0 nobody */
#endif
    uint64_t rate_ends; /* when a pause of WSI_BY_RATE ends */
    uint8_t pong[136];
    size_t pong_size; /* 0: none is pending */
    char reason[124];
#ifndef WS_NO_SERVER
#ifndef WS_NO_KEEP
    struct wsi_kept *kept; /* a request that waits for its body or its answer, or is being answered */
    void (*proceed)(ws_conn *conn); /* called once kept is answered, or the socket writable; NULL: kept awaits a body */
#endif
    wsi_queue later; /* broadcasts that wait until a message in parts ends. They are not in the queue, where they could
                        make the remaining parts fail with BUFFERED */
#endif
#ifndef WS_NO_FORWARD
    char peer[64], client[64]; /* addresses in the PROXY header and in the last request's head, or "" */
#endif
} wsi_extra;

typedef struct wsi_strings { /* subprotocol and parameters, each zero-terminated */
    size_t size;           /* the size of the whole allocation */
    char text[1];
} wsi_strings;

typedef struct wsi_tls_calls { /* all that other sections call in TLS */
    void (*release)(struct wsi_tls *tls);
    bool (*peer)(const ws_link *link, char *text, size_t size); /* the name in the peer's certificate */
    void *(*session)(const ws_link *link);                      /* OpenSSL's SSL */
#if !defined(WS_NO_SERVER) && !defined(WS_NO_TRANSPORT)
    /* Gives a server a new TLS context, which replaces the old one. On an error nothing changes. */
    ws_error (*serve)(struct wsi_endpoint *endpoint, const ws_tls_config *config, ws_transport *transport,
                      wsi_reason *why);
#endif
#ifndef WS_NO_CLIENT
    ws_error (*keep)(struct wsi_endpoint *endpoint, const ws_tls_config *config); /* gives a client its context */
    ws_error (*dial)(struct wsi_endpoint *endpoint, ws_transport *transport); /* makes the transport for an attempt */
    void (*end)(ws_loop *loop); /* releases the contexts of clients */
    void (*hide_certificate)(const ws_link *link); /* this connection does not show the client's certificate */
#endif
#if !defined(WS_NO_HTTP) && !defined(WS_NO_JSON)
    bool (*hmac)(void *user, const void *key, size_t key_size, const void *data, size_t size, uint8_t mac[32]);
#endif
} wsi_tls_calls;

typedef struct wsi_dialer { /* further fields of a client's endpoint */
    wsi_reason *why; /* the last attempt's error text */
    bool reconnects; /* when a connection ends, another attempt follows */
    bool blocking;   /* the program receives message by message, without callbacks */
    bool has_input;  /* blocking: the window holds data that the program has not taken */
    bool (*disconnected)(ws_conn *conn);       /* called once the transport is closed. true: keep the connection */
    bool (*sent)(ws_conn *conn, bool closing); /* waits until all is sent or, if closing, until the connection ends */
} wsi_dialer;

typedef struct wsi_endpoint { /* what connections of one server (or one client) share */
    wsi_env env;              /* first: an engine's env casts to wsi_endpoint */
    ws_loop *loop;
#ifndef WS_NO_TRANSPORT
    const ws_transport *transport; /* NULL: TCP. Connections with a session use it; see wsi_conn_has_transport */
#endif
    struct wsi_tls *tls;      /* NULL: none; see wsi_endpoint_is_tls */
    ws_conn *conns;
    struct wsi_endpoint *next, *previous; /* in loop->endpoints */
    size_t count;             /* number of conns */
    wsi_timer timer;          /* calls fire */
    bool ending;              /* no new connections */
    bool freed;               /* to be freed with its last connection */
    void (*handshake)(ws_conn *conn, const ws_event *event); /* server: handles a request; client: a response */
    bool (*leave)(ws_conn *conn); /* the connection ends: removes it from rooms, drops its requests. false: the
                                     connection was waiting for a client's next attempt */
    void (*stop)(struct wsi_endpoint *endpoint); /* accepts no connections from now on */
    void (*release)(struct wsi_endpoint *endpoint);
    void (*fire)(struct wsi_endpoint *endpoint);
#ifndef WS_NO_SERVER
    size_t max_count;
#endif
#ifndef WS_NO_FORWARD
    bool (*meter)(ws_conn *conn, uint64_t messages, uint64_t bytes); /* see wsi_bounds_count; NULL: no rates */
    void (*conn_freed)(ws_conn *conn); /* called once the descriptor is closed, unless NULL */
#endif
#ifndef WS_NO_CLIENT
    wsi_dialer *dialer;       /* NULL: the endpoint is a server */
#endif
} wsi_endpoint;

struct ws_conn {
    wsi_engine engine; /* first: an engine's output callback casts to ws_conn */
    wsi_source source;
    wsi_timer timer;
    const ws_handler *handler; /* NULL until on_open and after on_close */
    void *user;
    wsi_strings *strings;      /* NULL: none */
    wsi_queue queue;
    wsi_extra *extra;
#ifndef WS_NO_SERVER
    struct wsi_member *rooms;
#endif
    ws_conn *next, *previous;  /* in endpoint->conns; next also in loop->free_conns */
    ws_conn *next_due;         /* in loop->due */
    uint32_t progress_at;   /* when a blocked peer last took some bytes: the clock's low 32 bits */
    uint32_t acked : 18;    /* bytes that the peer has acknowledged: see wsi_conn_measure; 0: none were pending */
    uint32_t pause_reasons : 2; /* further reasons not to read: WSI_BY_PROGRAM, WSI_BY_RATE */
    uint32_t swapped : 2;   /* WS_READ: reading waits until the socket is writable; WS_WRITE: the reverse */
    bool is_due WSI_BIT;        /* in loop->due, to send a broadcast or an answer, or to end */
    bool is_ending WSI_BIT;     /* conn ends when the round ends */
    bool closed WSI_BIT;        /* on_close has been called; the socket may linger */
    bool broken WSI_BIT;        /* the transport failed, or is not needed any more */
    bool eof WSI_BIT;           /* the peer has ended its stream */
    bool half_closed WSI_BIT;   /* we have ended our stream */
    bool blocked WSI_BIT;       /* the socket took only part of what was offered */
    bool paused WSI_BIT;        /* not read: too much is pending, or the connection is broken */
    bool wants_drain WSI_BIT;   /* on_drain is due: the program saw unsent bytes, or a send was refused. Not set while
                                   `blocked` is, which means the same */
    bool wants_end WSI_BIT;     /* a send was refused because a message in parts was unfinished */
    uint32_t number, generation; /* last, because they survive when the struct is reused */
};

/* conn->pause_reasons: by ws_pause; by message_rate or byte_rate, or after a turn of decompressing */
enum { WSI_BY_PROGRAM = 1, WSI_BY_RATE = 2 };

enum {
    WSI_ACKED = 1 << 18,     /* conn->acked stays below this */
    WSI_ACKED_UNIT = 256,    /* bytes that conn->acked counts as one; less is no progress */
#ifdef WS_SMALL
    WSI_SLAB_CONNS = 4,
    WSI_SMALL = 256,
    WSI_LARGE = 1000,
    WSI_ARENA = 2 << 10,
    WSI_FREE_NODES = 16,
#else
    WSI_SLAB_CONNS = 32,
    WSI_SMALL = 4096,        /* held bytes up to this size move into the receive buffer, which is larger */
    WSI_LARGE = 16000,       /* from this size on, a system call costs less than a copy; a buffer is larger */
    WSI_ARENA = 64 << 10,    /* the block that small broadcasts share */
    WSI_FREE_NODES = 1024,   /* the most nodes kept for reuse; with more connections, one for each */
#endif
    WSI_COPIED = 16 << 10,   /* broadcasts up to this size are copied for a blocked member, so that no member keeps a
                                much larger block alive */
    WSI_RECORD = 16384       /* the most that fits into a TLS record */
};

static wsi_endpoint *wsi_conn_endpoint(const ws_conn *conn) { return (wsi_endpoint *)(void *)conn->engine.env; }

static ws_loop *wsi_conn_loop(const ws_conn *conn) { return wsi_conn_endpoint(conn)->loop; }

#ifdef WS_NO_TRANSPORT
static bool wsi_endpoint_is_tls(const wsi_endpoint *endpoint) { return (void)endpoint, false; }
static bool wsi_conn_has_transport(const ws_conn *conn) { return (void)conn, false; }
#else
/* Whether the endpoint's connections use section TLS, not plain TCP or a transport of the program. */
static bool wsi_endpoint_is_tls(const wsi_endpoint *endpoint) {
    return WSI_ADD_ON(endpoint->tls) && endpoint->transport && endpoint->transport->user == endpoint->tls;
}

static bool wsi_conn_has_transport(const ws_conn *conn) { return conn->source.link.kind == WSI_KIND_THROUGH; }
#endif

/* What only a client's connection has; NULL: the connection is a server's. */
#ifndef WS_NO_CLIENT
static wsi_dialer *wsi_conn_dialer(const ws_conn *conn) { return wsi_conn_endpoint(conn)->dialer; }
#else
static wsi_dialer *wsi_conn_dialer(const ws_conn *conn) { return (void)conn, (wsi_dialer *)NULL; }
#endif

static bool wsi_conn_is_client(const ws_conn *conn) { return wsi_env_is_client(conn->engine.env); }

static bool wsi_conn_has_input(const ws_conn *conn) {
    const wsi_dialer *dialer = wsi_conn_dialer(conn);
    return dialer && dialer->has_input;
}

/* Whether another attempt follows when the connection ends. */
static bool wsi_conn_reconnects(const ws_conn *conn) {
    const wsi_dialer *dialer = wsi_conn_dialer(conn);
    return dialer && dialer->reconnects && !wsi_conn_endpoint(conn)->ending;
}

/* In a blocking call, waits until all is sent or the connection has ended. */
static bool wsi_conn_wait(ws_conn *conn, bool closing) {
    const wsi_dialer *dialer = wsi_conn_dialer(conn);
    return !dialer || !dialer->blocking || dialer->sent(conn, closing);
}

#ifndef WS_NO_SERVER
/* Counts and traces a broadcast that this member does not get; size includes the frame's header. */
WSI_RARE void wsi_conn_dropped(ws_conn *conn, size_t size) {
    WSI_COUNT(conn->engine.env->counts.dropped, 1);
    WSI_TRACE(&conn->engine, WS_TRACE_DROPPED, 0, NULL, size);
}
#endif

/* --- progress: whether the peer takes what is sent --- */

static void wsi_conn_note_progress(ws_conn *conn) { conn->progress_at = (uint32_t)wsi_loop_time(wsi_conn_loop(conn)); }

/* When a blocked peer last took some bytes, within the last 49 days. */
static uint64_t wsi_conn_progress(const ws_conn *conn) {
    uint64_t now = wsi_conn_loop(conn)->now;
    return now - (uint32_t)((uint32_t)now - conn->progress_at);
}

/* Records how many bytes the peer has acknowledged. true: more than last time. Without
   pending bytes nothing is proven: the peer's system has them all, but its program may never read them. */
WSI_RARE bool wsi_conn_measure(ws_conn *conn) {
    ws_socket descriptor = conn->source.link.descriptor;
    bool open = descriptor != WSI_NO_SOCKET;
    size_t unsent = open ? wsi_platform_unsent(descriptor, conn->pause_reasons && conn->engine.pinged) : 0;
    bool pending = open && (unsent || conn->queue.first);
    uint32_t before = conn->acked, now = 0;
    if (pending || before)
        now = (uint32_t)(wsi_platform_acknowledged(descriptor, unsent) / WSI_ACKED_UNIT % (WSI_ACKED - 1)) + 1;
    conn->acked = pending ? now & (WSI_ACKED - 1) : 0;
    if (!pending && (conn->engine.state == WSI_HEAD || conn->pause_reasons))
        return conn->pause_reasons && conn->engine.pinged; /* an acknowledged ping counts: its pong is not read */
    return before ? now != before : pending && conn->engine.state != WSI_OPEN;
}

/* --- broadcasts that may be dropped --- */

#ifndef WS_NO_SERVER
/* Removes the oldest node from the list: it is being sent or freed, and can no longer be dropped. */
WSI_RARE void wsi_droppable_pop(wsi_droppable *droppable) {
    wsi_node *node = droppable->first;
    droppable->first = node->newer;
    if (!droppable->first)
        droppable->last = NULL;
    node->droppable = NULL;
}

/* Makes sure that a node is not dropped: takes it out of its list, in which it is always the oldest. */
WSI_INLINE void wsi_node_pin(wsi_node *node) {
    if (node->droppable)
        wsi_droppable_pop(node->droppable);
}
#else
static void wsi_node_pin(wsi_node *node) { (void)node; }
#endif

/* --- blocks and queues --- */

static wsi_block *wsi_block_new(ws_loop *loop, size_t capacity) {
    size_t size = sizeof(wsi_block) + capacity;
    wsi_block *block = size < capacity ? NULL : (wsi_block *)wsi_spare_resize(loop, NULL, 0, size);
    if (!block)
        return NULL;
    block->references = 1;
    block->size = 0;
    block->capacity = capacity;
    block->data = (uint8_t *)(block + 1);
    return block;
}

WSI_RARE void wsi_block_free(ws_loop *loop, wsi_block *block) {
    (void)wsi_spare_resize(loop, block, sizeof *block + block->capacity, 0);
}

static void wsi_block_release(ws_loop *loop, wsi_block *block) {
    if (block && --block->references == 0)
        wsi_block_free(loop, block);
}

WSI_RARE wsi_node *wsi_node_allocate(ws_loop *loop) {
    return (wsi_node *)wsi_memory_resize(&loop->memory, NULL, 0, sizeof(wsi_node));
}

WSI_INLINE wsi_node *wsi_node_new(ws_loop *loop) {
    wsi_node *node = loop->free_nodes;
    if (!node)
        return wsi_node_allocate(loop);
    loop->free_nodes = node->next;
    loop->free_node_count--;
    return node;
}

WSI_INLINE void wsi_node_free(ws_loop *loop, wsi_node *node) {
    wsi_node_pin(node);
    wsi_block_release(loop, node->block);
    if (loop->free_node_count >= WSI_FREE_NODES && loop->free_node_count >= loop->conn_count) {
        wsi_memory_free(&loop->memory, node, sizeof *node);
        return;
    }
    loop->free_node_count++;
    node->next = loop->free_nodes;
    loop->free_nodes = node;
}

/* Adds a node, which owns one reference to the block. */
WSI_INLINE wsi_node *wsi_queue_add(ws_loop *loop, wsi_queue *queue, wsi_block *block, size_t from, size_t to) {
    wsi_node *node = wsi_node_new(loop);
    if (!node)
        return NULL;
    memset(node, 0, sizeof *node);
    node->previous = queue->last;
    node->block = block;
    node->from = from;
    node->to = to;
    node->charge = sizeof *node + sizeof *block;
    queue->size += to - from;
    queue->charge += node->charge;
    *(queue->last ? &queue->last->next : &queue->first) = node;
    queue->last = node;
    return node;
}

/* Adds size bytes, in the last block if that has room, and returns where to write them. NULL: no memory. */
static uint8_t *wsi_queue_room(ws_loop *loop, wsi_queue *queue, size_t size) {
    wsi_node *node = queue->last;
    size_t capacity = size < WSI_SMALL ? (size_t)WSI_SMALL : size;
    if (node && !node->shared && node->block->capacity - node->block->size >= size) {
        node->to = node->block->size += size;
        queue->size += size;
        return node->block->data + node->to - size;
    }
    wsi_block *block = wsi_block_new(loop, capacity);
    node = block ? wsi_queue_add(loop, queue, block, 0, size) : NULL;
    if (!node) {
        wsi_block_release(loop, block);
        return NULL;
    }
    block->size = size;
    node->charge += capacity - size;
    queue->charge += capacity - size;
    return block->data;
}

WSI_APART void wsi_queue_remove(ws_loop *loop, wsi_queue *queue, wsi_node *node) {
    *(node->previous ? &node->previous->next : &queue->first) = node->next;
    *(node->next ? &node->next->previous : &queue->last) = node->previous;
    queue->size -= node->to - node->from;
    queue->charge -= node->charge;
    wsi_node_free(loop, node);
}

/* Whether the queue's bytes, or its overhead, reach the limit. */
static bool wsi_queue_full(const wsi_queue *queue, size_t limit) {
    return queue->size >= limit || (queue->charge >= WSI_COPIED && queue->charge - WSI_COPIED >= limit);
}

static void wsi_queue_clear(ws_loop *loop, wsi_queue *queue) {
    while (queue->first)
        wsi_queue_remove(loop, queue, queue->first);
}

#ifndef WS_NO_SERVER
/* Copies a part of a shared block, if there is memory, so that the block can be freed. */
WSI_RARE void wsi_node_copy(ws_loop *loop, wsi_node *node) {
    size_t size = node->to - node->from;
    wsi_block *copy = wsi_block_new(loop, size);
    if (!copy)
        return;
    memcpy(copy->data, node->block->data + node->from, size);
    copy->size = node->to = size;
    node->from = 0;
    wsi_block_release(loop, node->block);
    node->block = copy;
}

/* Called when a socket becomes blocked. Drops all broadcasts of a WS_SLOW_LATEST room but the newest, even those sent
   under an earlier policy. Copies small parts of shared blocks, so that a slow peer does not keep the large blocks. */
WSI_RARE void wsi_queue_compact(ws_conn *conn) {
    for (wsi_node *node = conn->queue.first, *next; node; node = next) {
        const wsi_droppable *droppable = node->droppable;
        next = node->next;
        if (droppable && droppable->last != node && droppable->last->slow == WS_SLOW_LATEST) {
            wsi_conn_dropped(conn, node->to - node->from);
            wsi_queue_remove(wsi_conn_loop(conn), &conn->queue, node);
        } else if (node->shared && node->to - node->from < node->block->capacity / 4) {
            wsi_node_copy(wsi_conn_loop(conn), node);
        }
    }
}
#else
static void wsi_queue_compact(ws_conn *conn) { (void)conn; }
#endif

/*
>> TRANSPORT ==============================================================================
   Reads and writes a connection's bytes, over plain TCP or a transport, and decides what its socket is polled for.
   Calls MEMORY, HEADS, TCP, POLL, QUEUE. Prefix: wsi_conn_. Members named like a system call are called with
   parentheses, as in (x->read)(...): lwIP has macros of these names.
*/

/* --- ends, pauses, readiness --- */

WSI_INLINE void wsi_conn_mark_due(ws_loop *loop, ws_conn *conn) {
    if (conn->is_due)
        return;
    conn->is_due = true;
    conn->next_due = loop->due;
    loop->due = conn;
}

static void wsi_conn_schedule_end(ws_conn *conn) {
    if (!conn->is_ending)
        wsi_conn_mark_due(wsi_conn_loop(conn), conn);
    conn->is_ending = true;
}

/* The transport is unusable from now on. */
static void wsi_conn_break(ws_conn *conn, ws_error error) {
    (void)wsi_engine_end(&conn->engine, error, WS_CLOSE_BROKEN);
    conn->broken = conn->paused = true;
    wsi_conn_schedule_end(conn);
}

/* A link without a descriptor belongs to a transport that reads link.interest itself. */
static bool wsi_conn_poll(ws_conn *conn, unsigned interest) {
    if (conn->source.link.descriptor != WSI_NO_SOCKET)
        return wsi_poll_set(&wsi_conn_loop(conn)->poll, &conn->source, interest);
    conn->source.link.interest = (uint8_t)interest;
    return true;
}

/* Clears these reasons for a pause. If none is left, reading resumes at the end of the round. */
static void wsi_conn_release_pause(ws_conn *conn, unsigned reasons) {
    if (conn->pause_reasons & reasons)
        wsi_conn_mark_due(wsi_conn_loop(conn), conn);
    conn->pause_reasons &= ~reasons & 3u;
}

/* Sets what the socket is polled for. TLS may have to write in order to read, and vice versa. */
static void wsi_conn_interest(ws_conn *conn) {
    unsigned interest = WS_NONE;
    if (conn->blocked || conn->wants_drain)
        interest |= conn->swapped & WS_WRITE ? WS_READ : WS_WRITE;
    if (!conn->paused && !conn->eof && !wsi_conn_has_input(conn))
        interest |= conn->swapped & WS_READ ? WS_WRITE : WS_READ;
    if (conn->swapped && conn->source.link.unsent)
        interest |= WS_WRITE;
    if (interest != conn->source.link.interest && !conn->broken && !wsi_conn_poll(conn, interest))
        wsi_conn_break(conn, WS_ERROR_DESCRIPTORS);
}

/* Lets on_drain be called once the socket is writable, in the next round at the earliest. */
WSI_RARE void wsi_conn_want_drain(ws_conn *conn) {
    if (conn->blocked || conn->wants_drain || conn->engine.state != WSI_OPEN || !conn->handler
        || !conn->handler->on_drain)
        return;
    conn->wants_drain = true;
    wsi_conn_interest(conn);
}

/* --- the transport --- */

#ifdef WS_NO_TRANSPORT
static ptrdiff_t wsi_conn_receive_through(ws_conn *conn, uint8_t *data, size_t size) {
    return (void)conn, (void)data, (void)size, WS_FAILED;
}
static ptrdiff_t wsi_conn_transmit(ws_conn *conn, const ws_span *spans, size_t count) {
    return (void)conn, (void)spans, (void)count, WS_FAILED;
}
static bool wsi_conn_open_session(ws_conn *conn, const char *host) { return (void)conn, (void)host, true; }
static bool wsi_conn_half_close(ws_conn *conn) { return wsi_tcp_shutdown(&conn->source.link), true; }
static void wsi_conn_close_session(ws_conn *conn) { (void)conn; }
static ws_error wsi_conn_failure(ws_conn *conn) { return (void)conn, WS_ERROR_CLOSED; }
#else
WSI_RARE ptrdiff_t wsi_conn_receive_through(ws_conn *conn, uint8_t *data, size_t size) {
    ws_link *link = &conn->source.link;
    conn->swapped &= WS_WRITE;
    link->wants = WS_READ;
    link->budget = !link->pending; /* one read of the socket: other connections are waiting */
    link->pending = false;
    ptrdiff_t got = link->session ? (wsi_conn_endpoint(conn)->transport->read)(link, data, size) : (ptrdiff_t)WS_FAILED;
    if (got == 0 && link->wants == WS_WRITE)
        conn->swapped |= WS_READ;
    if (link->unsent && !conn->blocked) { /* TLS itself has bytes to send */
        conn->blocked = true;
        wsi_conn_interest(conn);
    }
    return got;
}

/* Sends as much as the transport takes. Joins small spans, if there is memory. */
WSI_RARE ptrdiff_t wsi_conn_transmit(ws_conn *conn, const ws_span *spans, size_t count) {
    const ws_transport *transport = wsi_conn_endpoint(conn)->transport;
    ws_link *link = &conn->source.link;
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_buffer *record = &loop->record;
    size_t total = 0, span = 0, offset = 0;
    ptrdiff_t sent = 1;
    if (!link->session)
        return WS_FAILED; /* without a session nothing may be sent: nothing would be encrypted */
    conn->swapped &= WS_READ;
    link->wants = WS_WRITE;
    if (!count) /* the transport itself may have unsent bytes */
        sent = (transport->write)(link, NULL, 0);
    while (span < count && sent > 0) {
        const uint8_t *data = spans[span].data + offset;
        size_t size = spans[span].size - offset, next = span + 1, more;
        if (size < WSI_RECORD && next < count
            && (record->data || wsi_buffer_resize(&loop->memory, record, WSI_RECORD))) {
            memcpy(record->data, data, size);
            data = record->data;
            for (; next < count && size < WSI_RECORD; next++, size += more) {
                more = spans[next].size < WSI_RECORD - size ? spans[next].size : WSI_RECORD - size;
                memcpy(record->data + size, spans[next].data, more);
            }
        }
        link->wants = WS_WRITE;
        sent = (transport->write)(link, data, size);
        if (sent <= 0)
            break;
        total += (size_t)sent;
        for (offset += (size_t)sent; span < count && offset >= spans[span].size; span++)
            offset -= spans[span].size;
    }
    if (sent == 0 && link->wants == WS_READ)
        conn->swapped |= WS_WRITE;
    return total ? (ptrdiff_t)total : sent;
}

/* Opens a session if there is a transport. host: the name to verify; NULL for a server. false: the transport failed. */
static bool wsi_conn_open_session(ws_conn *conn, const char *host) {
    ws_link *link = &conn->source.link;
    const ws_transport *transport = link->plain ? NULL : wsi_conn_endpoint(conn)->transport;
    link->kind = transport ? WSI_KIND_THROUGH : WSI_KIND_PLAIN;
    if (!transport || transport->open(link, host, transport->user))
        return true;
    link->session = NULL;
    return false;
}

/* Ends our side of the stream. false: not yet, because the socket is full. */
static bool wsi_conn_half_close(ws_conn *conn) {
    ws_link *link = &conn->source.link;
    link->wants = WS_WRITE;
    if (link->session && wsi_conn_endpoint(conn)->transport->shut(link) == 0) {
        conn->blocked = true;
        conn->swapped = (link->wants == WS_READ ? conn->swapped | WS_WRITE : conn->swapped & WS_READ) & 3u;
        return false;
    }
    wsi_tcp_shutdown(link);
    return true;
}

static void wsi_conn_close_session(ws_conn *conn) {
    const ws_transport *transport = wsi_conn_endpoint(conn)->transport;
    ws_link *link = &conn->source.link;
    if (!link->session)
        return;
    if (!conn->half_closed)
        (void)transport->shut(link); /* sends what the socket accepts at once */
    (transport->close)(link);
    link->session = NULL;
}

WSI_RARE ws_error wsi_conn_failure(ws_conn *conn) {
    const ws_transport *transport = wsi_conn_endpoint(conn)->transport;
    const wsi_dialer *dialer = wsi_conn_dialer(conn);
    ws_error error = WS_OK;
    wsi_reason room, *why = dialer ? dialer->why : &room;
    if (conn->source.link.session && transport->reason)
        error = transport->reason(&conn->source.link, why->text, sizeof why->text);
    if (error)
        WSI_TRACE(&conn->engine, WS_TRACE_TLS_FAILED, 0, why->text, 0);
    return error ? error : WS_ERROR_CLOSED;
}
#endif /* WS_NO_TRANSPORT */

/* Receives bytes. plain: there is no transport. */
WSI_INLINE ptrdiff_t wsi_conn_receive(ws_conn *conn, uint8_t *data, size_t size, bool plain) {
    return plain || !wsi_conn_has_transport(conn) ? wsi_tcp_read(&conn->source.link, data, size)
                                                  : wsi_conn_receive_through(conn, data, size);
}

/*
>> SEND ===================================================================================
   Sending: bytes are gathered, queued and flushed. Also deadlines, and the delivery of a broadcast to one member.
   Calls MEMORY, FRAME, HEADS, MESSAGES, TCP, LOOP, QUEUE, TRANSPORT. Prefix: wsi_conn_.
*/

/* --- sending --- */

static size_t wsi_conn_gathered(const ws_conn *conn) {
    const ws_loop *loop = wsi_conn_loop(conn);
    return loop->gather_owner == conn ? loop->gathered.size : 0;
}

/* Copies bytes to the end of the queue. */
static bool wsi_conn_store(ws_conn *conn, const uint8_t *data, size_t size) {
    uint8_t *to = size ? wsi_queue_room(wsi_conn_loop(conn), &conn->queue, size) : NULL;
    if (to)
        memcpy(to, data, size);
    return to || !size;
}

/* Removes sent bytes from the queue. Returns how many bytes were sent beyond those of the queue. */
static size_t wsi_conn_consume(ws_conn *conn, size_t sent) {
    while (sent && conn->queue.first) {
        wsi_node *node = conn->queue.first;
        size_t size = node->to - node->from;
        if (sent < size) {
            node->from += sent;
            wsi_node_pin(node);
            conn->queue.size -= sent;
            return 0;
        }
        sent -= size;
        wsi_queue_remove(wsi_conn_loop(conn), &conn->queue, node);
    }
    return sent;
}

/* Sends the queue, then `tail`, as far as the socket takes them. Returns how much of `tail` was sent, or WS_FAILED. */
static ptrdiff_t wsi_conn_push(ws_conn *conn, const ws_span *tail, size_t tail_count) {
    bool plain = !wsi_conn_has_transport(conn);
    for (;;) {
        ws_span spans[WSI_SPANS];
        const wsi_node *node = conn->queue.first;
        size_t count = 0, total = 0, i;
        ptrdiff_t sent;
        for (; node && count < WSI_SPANS - 3; node = node->next) {
            spans[count].data = node->block->data + node->from;
            total += spans[count++].size = node->to - node->from;
        }
        for (i = 0; !node && i < tail_count; i++)
            total += (spans[count++] = tail[i]).size;
        sent = plain ? wsi_tcp_write(&conn->source.link, spans, count) : wsi_conn_transmit(conn, spans, count);
        conn->blocked = (size_t)sent < total || (!plain && conn->source.link.unsent); /* WS_FAILED is huge as size_t */
        if (sent < 0)
            return WS_FAILED;
        WSI_COUNT(wsi_conn_loop(conn)->stats.bytes_out, (size_t)sent);
        sent = (ptrdiff_t)wsi_conn_consume(conn, (size_t)sent);
        if (!node || conn->blocked)
            return sent;
    }
}

/* After a partial write: queues the rest, and waits until the socket is writable. false: the connection is broken. */
WSI_RARE bool wsi_conn_keep_unsent(ws_conn *conn, const ws_span *spans, size_t count, ptrdiff_t sent) {
    bool stored = sent >= 0;
    for (size_t i = 0, left = (size_t)sent; stored && i < count; i++) {
        size_t done = left < spans[i].size ? left : spans[i].size;
        left -= done;
        stored = wsi_conn_store(conn, spans[i].data + done, spans[i].size - done);
    }
    if (!stored) {
        wsi_conn_break(conn, sent < 0 ? wsi_conn_failure(conn) : WS_ERROR_MEMORY);
        return false;
    }
    wsi_node *node = wsi_conn_has_transport(conn) ? conn->queue.first : NULL;
    for (size_t size = 0; node && size < WSI_RECORD; node = node->next) {
        wsi_node_pin(node); /* the transport may have begun a record with these bytes: then it needs them again */
        size += node->to - node->from;
    }
    if (conn->blocked && (conn->wants_drain || !(conn->source.link.interest & WS_WRITE))) {
        conn->wants_drain = false;
        wsi_conn_note_progress(conn);
        (void)wsi_conn_measure(conn);
        wsi_queue_compact(conn);
        wsi_conn_interest(conn);
    }
    return true;
}

/* Sends the queue, the gathered bytes, then `extra`, in one system call if possible. Queues a copy of the rest. */
static bool wsi_conn_write(ws_conn *conn, const ws_span *extra, size_t extra_count) {
    ws_loop *loop = wsi_conn_loop(conn);
    ws_span tail[3];
    size_t count = 0, total = 0, i;
    ptrdiff_t sent = 0;
    if (loop->gather_owner == conn) {
        tail[0] = loop->gathered;
        total = tail[0].size;
        count = total > 0;
        loop->gather_owner = NULL; /* the bytes stay where they are until there is a new owner */
    }
    for (i = 0; i < extra_count; i++)
        total += (tail[count++] = extra[i]).size;
    if (conn->broken)
        return false;
    if (!conn->blocked && (conn->queue.first || count || conn->source.link.unsent))
        sent = wsi_conn_push(conn, tail, count);
    return ((size_t)sent == total && !conn->blocked) || wsi_conn_keep_unsent(conn, tail, count, sent);
}

#ifdef WS_NO_FAST
static bool wsi_conn_flush_one(ws_loop *loop, ws_conn *conn) { return (void)loop, (void)conn, false; }
static void wsi_conn_flush_now(ws_loop *loop, ws_conn *conn, bool plain) {
    (void)loop, (void)plain, (void)wsi_conn_write(conn, NULL, 0);
}
#else
/* Called after a fast path's write, if the socket took only part of the data, or failed. */
WSI_RARE void wsi_conn_sent_partly(ws_conn *conn, const ws_span *span, bool gathered, ptrdiff_t sent) {
    conn->blocked = true;
    if (sent > 0)
        WSI_COUNT(wsi_conn_loop(conn)->stats.bytes_out, (size_t)sent);
    if (!gathered)
        (void)wsi_conn_consume(conn, sent < 0 ? 0 : (size_t)sent);
    (void)wsi_conn_keep_unsent(conn, span, gathered, sent);
}

/* Fast path for a broadcast: one node, plain TCP. false: nothing was done. */
WSI_INLINE bool wsi_conn_flush_one(ws_loop *loop, ws_conn *conn) {
    wsi_node *node = conn->queue.first;
    ws_span bytes;
    if (!node || node->next || conn->broken || conn->blocked || conn->paused
        || loop->gather_owner == conn || wsi_conn_has_transport(conn))
        return false;
    bytes.data = node->block->data + node->from;
    bytes.size = node->to - node->from;
    ptrdiff_t sent = wsi_tcp_write_one(&conn->source.link, bytes);
    if (sent != (ptrdiff_t)bytes.size) {
        wsi_conn_sent_partly(conn, NULL, false, sent);
        return true;
    }
    WSI_COUNT(loop->stats.bytes_out, bytes.size);
    memset(&conn->queue, 0, sizeof conn->queue);
    wsi_node_free(loop, node);
    return true;
}

/* Sends all pending bytes; the fast path is for gathered bytes alone. plain: TCP without a transport. */
WSI_INLINE void wsi_conn_flush_now(ws_loop *loop, ws_conn *conn, bool plain) {
    if (loop->gather_owner != conn || conn->queue.first || conn->broken || conn->blocked || !plain) {
        (void)wsi_conn_write(conn, NULL, 0);
        return;
    }
    loop->gather_owner = NULL; /* the bytes stay where they are until there is a new owner */
    size_t size = loop->gathered.size;
    ptrdiff_t sent = size ? wsi_tcp_write_one(&conn->source.link, loop->gathered) : 0;
    if (sent == (ptrdiff_t)size)
        WSI_COUNT(loop->stats.bytes_out, size);
    else
        wsi_conn_sent_partly(conn, &loop->gathered, true, sent);
}
#endif /* WS_NO_FAST */

static void wsi_conn_flush(ws_conn *conn) {
    wsi_conn_flush_now(wsi_conn_loop(conn), conn, !wsi_conn_has_transport(conn));
}

/* Makes room for size more gathered bytes, and returns where to write them. First sends the gathered bytes if they are
   another connection's, or leave too little room. Otherwise moves those written in the window to the buffer. */
static uint8_t *wsi_conn_gather_room(ws_conn *conn, size_t size) {
    ws_loop *loop = wsi_conn_loop(conn);
    ws_span *gathered = &loop->gathered;
    if (loop->gather_owner && (loop->gather_owner != conn || gathered->size + size > loop->gather.capacity))
        wsi_conn_flush(loop->gather_owner);
    if (!loop->gather_owner)
        gathered->size = 0;
    else if (gathered->data != loop->gather.data)
        memcpy(loop->gather.data, gathered->data, gathered->size);
    loop->gather_owner = conn;
    gathered->data = loop->gather.data;
    gathered->size += size;
    return gathered->data + gathered->size - size;
}

static wsi_extra *wsi_conn_extra(ws_conn *conn) {
    if (!conn->extra)
        conn->extra = (wsi_extra *)wsi_memory_new(&wsi_conn_loop(conn)->memory, sizeof *conn->extra);
    return conn->extra;
}

/* For a peer that does not read, keeps only the latest pong (RFC 6455 5.5.3). */
WSI_RARE bool wsi_conn_hold_pong(ws_conn *conn, const wsi_output *output) {
    wsi_extra *extra = wsi_conn_extra(conn);
    if (!extra)
        return wsi_engine_refuse(&conn->engine, WS_ERROR_MEMORY);
    extra->pong_size = output->header_size + output->size;
    wsi_frame_put(extra->pong, output);
    return true;
}

/* A frame that is too large to be gathered: a server sends it without a copy, a client masks it into the queue. */
WSI_RARE bool wsi_conn_emit_large(ws_conn *conn, const wsi_output *output) {
    ws_span spans[2] = {{(uint8_t *)(uintptr_t)output->header, output->header_size},
                        {(uint8_t *)(uintptr_t)output->data, output->size}}; /* only read */
    size_t size = output->header_size + output->size;
    if (!wsi_conn_is_client(conn))
        return wsi_conn_write(conn, spans, 2);
    wsi_conn_flush(conn);
    uint8_t *to = wsi_queue_room(wsi_conn_loop(conn), &conn->queue, size);
    if (!to)
        return wsi_engine_refuse(&conn->engine, WS_ERROR_MEMORY);
    wsi_frame_put(to, output);
    return wsi_conn_write(conn, NULL, 0);
}

static bool wsi_conn_emit(wsi_engine *engine, const wsi_output *output) {
    ws_conn *conn = (ws_conn *)(void *)engine;
    size_t size = output->header_size + output->size;
    if (conn->broken)
        return false;
    if (size < output->size)
        return wsi_engine_refuse(engine, WS_ERROR_ARGUMENT);
    if (conn->blocked && output->opcode == WSI_PONG)
        return wsi_conn_hold_pong(conn, output);
    if (size >= WSI_LARGE && (!wsi_conn_has_transport(conn) || size > wsi_conn_loop(conn)->gather.capacity))
        return wsi_conn_emit_large(conn, output);
    wsi_frame_put(wsi_conn_gather_room(conn, size), output);
    return !conn->broken;
}

/* Whether limits.buffered is reached, even after an attempt to send. */
static bool wsi_conn_full(ws_conn *conn) {
    size_t limit = conn->engine.env->limits.buffered;
    if (wsi_queue_full(&conn->queue, limit) && !conn->blocked)
        wsi_conn_flush(conn);
    return wsi_queue_full(&conn->queue, limit);
}

/* --- deadlines --- */

static void wsi_conn_schedule_linger(ws_conn *conn) {
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_timer_set(loop, &conn->timer, wsi_engine_due(wsi_loop_time(loop), conn->engine.env->limits.close_ms));
}

#ifndef WS_NO_FORWARD
/* Counts what an open connection received. false: it is beyond a rate, and is closed. */
static bool wsi_conn_meter(ws_conn *conn, bool message, size_t size) {
    const wsi_endpoint *endpoint = wsi_conn_endpoint(conn);
    return !endpoint->meter || conn->engine.state != WSI_OPEN || (endpoint->meter)(conn, message, size);
}
static void wsi_conn_freed(ws_conn *conn) {
    if (wsi_conn_endpoint(conn)->conn_freed)
        wsi_conn_endpoint(conn)->conn_freed(conn);
}
#else
static void wsi_conn_freed(ws_conn *conn) { (void)conn; }
static bool wsi_conn_meter(ws_conn *conn, bool message, size_t size) {
    return (void)conn, (void)message, (void)size, true;
}
#endif

/* Ends a pause if the connection is no longer open, or if its rate allows. Returns when to check next. */
WSI_RARE uint64_t wsi_conn_tick_paused(ws_conn *conn, uint64_t next) {
    uint64_t until = !(conn->pause_reasons & WSI_BY_RATE) ? UINT64_MAX : conn->extra ? conn->extra->rate_ends : 0;
    if (conn->engine.state != WSI_OPEN) /* to read the peer's close frame */
        wsi_conn_release_pause(conn, WSI_BY_PROGRAM | WSI_BY_RATE);
    else if (until <= wsi_conn_loop(conn)->now)
        wsi_conn_release_pause(conn, WSI_BY_RATE);
    else if (until < next)
        return until;
    return next;
}

static void wsi_conn_tick(ws_conn *conn) {
    ws_loop *loop = wsi_conn_loop(conn);
    const ws_limits *limits = &conn->engine.env->limits;
    bool was_open = conn->engine.state == WSI_OPEN || conn->engine.state == WSI_CLOSING;
    uint64_t next, due;
    if (conn->closed) { /* the connection has lingered long enough */
        wsi_conn_break(conn, WS_OK);
        return;
    }
    if (wsi_conn_has_input(conn) && conn->engine.state != WSI_OPEN) { /* blocking calls have not read all input */
        wsi_timer_set(loop, &conn->timer, loop->now + 1);
        return;
    }
    if (wsi_conn_progress(conn) > conn->engine.since
        && (conn->engine.state == WSI_CLOSING || (conn->engine.state < WSI_OPEN && !wsi_conn_is_client(conn))))
        conn->engine.since = wsi_conn_progress(conn); /* the peer was still taking what was sent */
    next = wsi_engine_tick(&conn->engine, &loop->window, loop->served_until, loop->now);
    if (conn->blocked && conn->engine.state == WSI_OPEN) { /* a peer that takes nothing is dropped even if it sends */
        due = wsi_engine_due(wsi_conn_progress(conn), limits->ping_ms);
        due = due == UINT64_MAX ? due : wsi_engine_due(due, limits->pong_ms);
        if (loop->served_until >= due)
            (void)wsi_engine_end(&conn->engine, WS_ERROR_TIMEOUT, WS_CLOSE_BROKEN);
        next = due < next ? due : next;
    }
    if (conn->pause_reasons)
        next = wsi_conn_tick_paused(conn, next);
    if (conn->engine.state != WSI_CLOSED) {
        wsi_timer_set(loop, &conn->timer, next);
        return;
    }
    if (was_open) /* a silent peer: nothing more will come */
        wsi_conn_break(conn, WS_OK);
    wsi_conn_schedule_end(conn);
}

/* A connection's timer fires. A peer that has taken some pending bytes is alive: its deadlines start again. */
static void wsi_conn_fire(ws_loop *loop, wsi_timer *timer) {
    ws_conn *conn = (ws_conn *)(void *)((char *)timer - offsetof(ws_conn, timer));
    if (!conn->broken && wsi_conn_measure(conn)) {
        wsi_conn_note_progress(conn);
        wsi_engine_heard(&conn->engine, loop->now);
        if (conn->closed) {
            wsi_conn_schedule_linger(conn);
            return;
        }
    }
    wsi_conn_tick(conn);
}

#ifndef WS_NO_SERVER
/* --- broadcasts --- */

typedef struct wsi_delivery { /* a broadcast to one member */
    wsi_block *block;
    size_t from, to; /* the message's part of the block */
    uint32_t slow;   /* the room's ws_slow; not a byte, to stay in a register */
} wsi_delivery;

/* The queue is full: applies the room's policy. Returns whether the message may now be added. */
static bool wsi_conn_apply_policy(ws_conn *conn, const wsi_delivery *delivery) {
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_queue *queue = conn->engine.sending && conn->extra ? &conn->extra->later : &conn->queue;
    size_t before = queue->size, limit = conn->engine.env->limits.buffered;
    bool all = delivery->slow == WS_SLOW_LATEST;
    if (delivery->slow == WS_SLOW_CLOSE) {
        (void)wsi_engine_close(&conn->engine, WS_CLOSE_TRY_LATER, "reads too slowly", wsi_loop_time(loop));
        wsi_conn_tick(conn);
    }
    wsi_node **oldest = delivery->slow < WS_SLOW_DROP_OLDEST ? NULL : &loop->droppable->first;
    while (oldest && *oldest && (all || wsi_queue_full(queue, limit))) {
        wsi_conn_dropped(conn, (*oldest)->to - (*oldest)->from);
        wsi_queue_remove(loop, (*oldest)->later ? &conn->extra->later : &conn->queue, *oldest);
    }
    bool made = oldest && (all || !wsi_queue_full(queue, limit)
                           || before - queue->size >= delivery->to - delivery->from);
    if (!made)
        wsi_conn_dropped(conn, delivery->to - delivery->from);
    return made;
}

/* Extends the last node if it ends where the message begins. What may be dropped has a node for each message. */
WSI_INLINE bool wsi_conn_extend_last(wsi_queue *queue, const wsi_delivery *delivery) {
    wsi_node *last = queue->last;
    if (!last || last->block != delivery->block || last->to != delivery->from || last->droppable
        || delivery->slow >= WS_SLOW_DROP_OLDEST)
        return false;
    last->to = delivery->to;
    queue->size += delivery->to - delivery->from;
    return true;
}

/* Adds a node, which takes a reference to the block. */
WSI_INLINE bool wsi_conn_add(ws_loop *loop, wsi_queue *queue, const wsi_delivery *delivery) {
    wsi_node *node = wsi_queue_add(loop, queue, delivery->block, delivery->from, delivery->to);
    if (!node)
        return false;
    delivery->block->references++;
    node->shared = true; /* no other bytes are appended to this node: it may be dropped */
    node->slow = (uint8_t)delivery->slow;
    if (delivery->slow >= WS_SLOW_DROP_OLDEST) {
        wsi_droppable *droppable = node->droppable = loop->droppable;
        *(droppable->last ? &droppable->last->newer : &droppable->first) = node;
        droppable->last = node;
    }
    return true;
}

/* Adds a message to a queue. If the connection is blocked, a small message is copied. */
static bool wsi_conn_enqueue(ws_conn *conn, wsi_queue *queue, const wsi_delivery *delivery, bool blocked) {
    ws_loop *loop = wsi_conn_loop(conn);
    bool copied = blocked && delivery->to - delivery->from <= WSI_COPIED;
    if (!copied && wsi_conn_extend_last(queue, delivery))
        return true;
    bool added = wsi_conn_add(loop, queue, delivery);
    if (added && copied)
        wsi_node_copy(loop, queue->last);
    return added;
}

/* Whether the queue that a broadcast would enter is full. */
static bool wsi_conn_broadcast_full(ws_conn *conn) {
    if (!conn->engine.sending)
        return wsi_conn_full(conn);
    return conn->extra && wsi_queue_full(&conn->extra->later, conn->engine.env->limits.buffered);
}

/* The connection is sending a message in parts: the broadcast waits for the last part. */
static bool wsi_conn_deliver_later(ws_conn *conn, const wsi_delivery *delivery) {
    wsi_queue *later = wsi_conn_extra(conn) ? &conn->extra->later : NULL;
    return later && wsi_conn_enqueue(conn, later, delivery, true) && (later->last->later = true);
}

static bool wsi_conn_deliver_now(ws_conn *conn, const wsi_delivery *delivery) {
    ws_loop *loop = wsi_conn_loop(conn);
    const uint8_t *data = delivery->block->data + delivery->from;
    size_t size = delivery->to - delivery->from, gathered = wsi_conn_gathered(conn);
    if (gathered && gathered + size <= loop->gather.capacity) {
        memcpy(wsi_conn_gather_room(conn, size), data, size);
        return true;
    }
    if (gathered)
        wsi_conn_flush(conn);
    if (conn->blocked && size <= WSI_COPIED && delivery->slow < WS_SLOW_DROP_OLDEST)
        return wsi_conn_store(conn, data, size); /* cheaper than a node */
    if (!wsi_conn_enqueue(conn, &conn->queue, delivery, conn->blocked))
        return false;
    wsi_conn_mark_due(loop, conn);
    return true;
}

/* Fast path: the member's queue is empty, or ends where this message begins. false: nothing was done. */
WSI_INLINE bool wsi_conn_deliver_quickly(ws_loop *loop, ws_conn *conn, const wsi_delivery *delivery) {
    wsi_queue *queue = &conn->queue;
    if (conn->engine.state != WSI_OPEN || conn->engine.sending || WSI_TRACED(&conn->engine) || conn->blocked
        || loop->gather_owner == conn || delivery->slow >= WS_SLOW_DROP_OLDEST || !conn->handler)
        return false;
    if (queue->last)
        return !wsi_queue_full(queue, conn->engine.env->limits.buffered) && wsi_conn_extend_last(queue, delivery);
    if (!wsi_conn_add(loop, queue, delivery))
        return false;
    wsi_conn_mark_due(loop, conn);
    return true;
}

/* Delivers a broadcast to one member. droppable: the member's list; NULL: the broadcast is not to a room. */
WSI_APART void wsi_conn_deliver(ws_conn *conn, const wsi_delivery *delivery, wsi_droppable *droppable) {
    bool later = conn->engine.sending;
    bool behind = delivery->slow == WS_SLOW_LATEST && (later || conn->blocked || conn->queue.charge > WSI_COPIED);
    wsi_conn_loop(conn)->droppable = droppable;
    if (conn->engine.state != WSI_OPEN || !conn->handler
        || ((wsi_conn_broadcast_full(conn) || behind) && !wsi_conn_apply_policy(conn, delivery)))
        return;
    if (later ? wsi_conn_deliver_later(conn, delivery) : wsi_conn_deliver_now(conn, delivery))
        WSI_TRACE(&conn->engine, WS_TRACE_OUT, 0, delivery->block->data + delivery->from,
                  delivery->to - delivery->from);
    else if (delivery->slow <= WS_SLOW_WAIT) /* no memory, but this policy must not lose messages */
        wsi_conn_break(conn, WS_ERROR_MEMORY);
    else
        wsi_conn_dropped(conn, delivery->to - delivery->from);
}

/* Called when the last part of a message is sent: moves the broadcasts that waited for it into the queue. */
static void wsi_conn_release_later(ws_conn *conn) {
    wsi_queue *later = conn->extra ? &conn->extra->later : NULL, *queue = &conn->queue;
    if (!later || !later->first)
        return;
    wsi_conn_flush(conn);
    for (wsi_node *node = later->first; node; node = node->next)
        node->later = false;
    later->first->previous = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = later->first;
    queue->last = later->last;
    queue->size += later->size;
    queue->charge += later->charge;
    memset(later, 0, sizeof *later);
    wsi_conn_mark_due(wsi_conn_loop(conn), conn);
}
#else
static void wsi_conn_release_later(ws_conn *conn) { (void)conn; }
#endif /* WS_NO_SERVER */

#ifdef WS_NO_KEEP
static void wsi_conn_proceed(ws_conn *conn) { (void)conn; }
#else
/* Continues a kept request: it has its answer, or the socket takes more of the answer. */
WSI_INLINE void wsi_conn_proceed(ws_conn *conn) {
    if (conn->extra && conn->extra->proceed)
        conn->extra->proceed(conn);
}
#endif

/*
>> RECEIVE ================================================================================
   Receiving: reads bytes into the window, takes events out of it, keeps unfinished messages between reads; half-closed
   and lingering sockets. Calls MEMORY, HANDSHAKE, HEADS, MESSAGES, LOOP, QUEUE, TRANSPORT, SEND. Prefixes: wsi_conn_,
   wsi_hold_ (held bytes: those of unfinished messages).
*/

/* --- receiving --- */

typedef struct wsi_hold { /* precedes the held bytes in memory */
    ws_conn *next, *previous; /* in the loop's list; next is newer */
    size_t mark;              /* how much was held when the connection last became the newest */
    size_t unused;            /* aligns the held bytes */
} wsi_hold;

static wsi_hold *wsi_hold_of(const ws_conn *conn) { return (wsi_hold *)(void *)conn->engine.held.data - 1; }

static void wsi_hold_unlink(ws_loop *loop, ws_conn *conn) {
    wsi_hold *hold = wsi_hold_of(conn);
    *(hold->previous ? &wsi_hold_of(hold->previous)->next : &loop->oldest_held) = hold->next;
    *(hold->next ? &wsi_hold_of(hold->next)->previous : &loop->newest_held) = hold->previous;
}

static void wsi_hold_link(ws_loop *loop, ws_conn *conn) {
    wsi_hold *hold = wsi_hold_of(conn);
    hold->next = NULL;
    hold->previous = loop->newest_held;
    *(hold->previous ? &wsi_hold_of(hold->previous)->next : &loop->oldest_held) = conn;
    loop->newest_held = conn;
}

/* Changes the capacity. If memory is short, other connections with unfinished messages are closed to free some. */
static bool wsi_hold_resize(ws_conn *conn, size_t capacity) {
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_buffer *held = &conn->engine.held;
    wsi_hold *hold = held->data ? wsi_hold_of(conn) : NULL, *moved;
    loop->codec.asking = &conn->engine;
    moved = (wsi_hold *)wsi_memory_resize(&loop->arriving, hold, hold ? sizeof *hold + held->capacity : 0,
                                          sizeof *hold + capacity);
    if (!moved)
        return false;
    held->data = (uint8_t *)(moved + 1);
    held->capacity = capacity;
    if (!hold) {
        moved->mark = 0;
        wsi_hold_link(loop, conn);
    }
    return true;
}

static void wsi_hold_free(ws_conn *conn) {
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_buffer *held = &conn->engine.held;
    if (!held->data)
        return;
    wsi_hold_unlink(loop, conn);
    wsi_memory_free(&loop->arriving, wsi_hold_of(conn), sizeof(wsi_hold) + held->capacity);
    memset(held, 0, sizeof *held);
}

/* Moves a connection to the end of the list if its held bytes grew by a sixteenth, so an endless message needs more
   bytes each time to stay there. A new message (one that begins after the start of the window) moves it, too. */
static void wsi_hold_grown(ws_conn *conn, size_t size, size_t decompressed) {
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_engine *engine = &conn->engine;
    wsi_hold *hold = wsi_hold_of(conn);
    size_t start = engine->message_size ? loop->window.message : loop->window.pos;
    bool another = engine->chunks || engine->ended || (start && !decompressed);
    engine->ended = false;
    if (size + decompressed <= hold->mark + hold->mark / 16 && !another)
        return;
    hold->mark = size + decompressed;
    wsi_hold_unlink(loop, conn);
    wsi_hold_link(loop, conn);
}

/* No memory for what the peer sends: an open connection is closed with 1013, a request gets 503. */
WSI_RARE void wsi_conn_overload(ws_conn *conn) {
    wsi_engine *engine = &conn->engine;
    if (engine->state == WSI_HEAD)
        (void)wsi_engine_bad_head(engine, &wsi_conn_loop(conn)->window, 503);
    (void)wsi_engine_fail(engine, WS_ERROR_MEMORY, WS_CLOSE_TRY_LATER);
    engine->error = WS_ERROR_MEMORY;
    wsi_conn_schedule_end(conn);
    wsi_conn_flush(conn);
}

/* Ends the connection whose held bytes have not grown for the longest time, to free memory for another. */
WSI_RARE bool wsi_hold_relieve(ws_loop *loop) {
    ws_conn *conn = loop->oldest_held;
    if (conn && &conn->engine == loop->codec.asking)
        conn = wsi_hold_of(conn)->next;
    if (!conn)
        return false;
    bool body = conn->engine.state == WSI_BODY && !wsi_conn_is_client(conn);
    if (conn->engine.state != WSI_CLOSED)
        wsi_conn_overload(conn);
    if (body)
        (void)wsi_conn_endpoint(conn)->leave(conn); /* also drops the request's head */
    wsi_hold_free(conn);
    wsi_codec_end(&conn->engine);
    return true;
}

/* Keeps an unfinished frame or message of the window in the connection's own memory. */
WSI_RARE bool wsi_conn_hold(ws_conn *conn) {
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_engine *engine = &conn->engine;
    wsi_buffer *held = &engine->held;
    size_t unfinished = wsi_engine_unfinished(engine, &loop->window);
    size_t left = engine->left / 16 <= unfinished ? (size_t)engine->left : unfinished;
    size_t whole = wsi_spare_round(loop, sizeof(wsi_hold) + unfinished + left + 1);
    size_t ahead = left < unfinished || wsi_spare_find(loop, whole) ? left : unfinished;
    bool full = loop->window.base == loop->receive.data && loop->window.end + 1 == loop->receive.capacity;
    size_t decompressed = wsi_codec_used(engine) ? engine->env->codec->calls->progress(engine) : 0;
    if (!unfinished && !decompressed && engine->state != WSI_BODY) {
        wsi_hold_free(conn);
        return true;
    }
    if (loop->window.base != held->data && held->capacity <= unfinished
        && !wsi_hold_resize(conn, unfinished + ahead + 1))
        return false;
    wsi_engine_keep(engine, &loop->window, held->data);
    held->size = unfinished;
    wsi_hold_grown(conn, unfinished, decompressed);
    if (engine->state == WSI_HEAD && engine->since == engine->heard)
        wsi_conn_tick(conn); /* handshake_ms counts from the first byte */
    if (engine->state == WSI_ASKED && unfinished > engine->env->limits.head)
        conn->paused = true; /* the peer sends more requests without waiting for an answer */
    if (held->capacity > 2 * unfinished + left + WSI_SMALL) /* after a large message: shrinks the buffer */
        (void)wsi_hold_resize(conn, unfinished + 1);
    if (full && unfinished < loop->receive.capacity / 2) /* the read filled the buffer with many messages */
        wsi_spare_resize_receive(loop, loop->gather.capacity * WSI_GROWN);
    return true;
}

WSI_RARE void wsi_conn_event(ws_conn *conn, const ws_event *event) {
    switch (event->type) {
    case WS_EVENT_REQUEST:
    case WS_EVENT_OPEN:
    case WS_EVENT_REFUSED: wsi_conn_endpoint(conn)->handshake(conn, event); break;
    case WS_EVENT_CHUNK:
        WSI_COUNT(wsi_conn_loop(conn)->stats.messages_in, event->chunk.last);
        if (wsi_conn_meter(conn, event->chunk.first, event->chunk.size))
            conn->handler->on_chunk(conn, event->chunk);
        break;
    case WS_EVENT_CLOSED:
        if (event->close.reason[0] && wsi_conn_extra(conn))
            strcpy(conn->extra->reason, event->close.reason);
        wsi_conn_schedule_end(conn);
        break;
    default: /* a ping or pong; messages are metered in on_message */
        (void)wsi_conn_meter(conn, true, event->message.size);
        if (event->type == WS_EVENT_PONG && conn->engine.state == WSI_OPEN && conn->handler->on_pong)
            conn->handler->on_pong(conn, event->message);
        break;
    }
}

/* The window holds no further complete frame: sends the replies, and keeps the rest. */
WSI_INLINE void wsi_conn_leave_window(ws_loop *loop, ws_conn *conn, bool plain) {
    wsi_window_restore(&loop->window);
    if (loop->gather_owner == conn)
        wsi_conn_flush_now(loop, conn, plain); /* before the window's bytes move: replies may be among them */
    if ((conn->engine.held.data || loop->window.pos != loop->window.end || conn->engine.type) && !wsi_conn_hold(conn))
        wsi_conn_overload(conn);
}

/* Backpressure: pauses reading while too much is pending. */
static bool wsi_conn_pauses(ws_conn *conn) {
    if (!conn->queue.first || conn->engine.state == WSI_CLOSED || !wsi_conn_full(conn))
        return false;
    conn->paused = true;
    return true;
}

/* The connection has been paused: traces that, and stops polling it for input. */
WSI_APART void wsi_conn_halt(ws_conn *conn) {
    if (!conn->broken && (conn->source.link.interest & WS_READ))
        WSI_TRACE(&conn->engine, WS_TRACE_PAUSED, 0, NULL, conn->queue.size);
    wsi_conn_interest(conn);
}

/* Ends the connection's turn of decompressing: it is read and served again in the next round. */
WSI_RARE void wsi_conn_turn_over(wsi_engine *engine) {
    ws_conn *conn = (ws_conn *)(void *)engine;
    if (wsi_conn_dialer(conn) && wsi_conn_dialer(conn)->blocking)
        return;
    conn->pause_reasons |= WSI_BY_RATE;
    conn->paused = true;
    wsi_timer_set(wsi_conn_loop(conn), &conn->timer, wsi_conn_loop(conn)->now);
}

/* Serves all complete frames in the loop's window, until the connection is paused. */
WSI_INLINE void wsi_conn_serve_window(ws_loop *loop, ws_conn *conn, bool plain) {
    ws_event event;
    while (!conn->paused && !wsi_conn_pauses(conn) && wsi_engine_next(&conn->engine, &loop->window, &event)) {
        if (event.type != WS_EVENT_MESSAGE) {
            wsi_conn_event(conn, &event);
        } else if (conn->handler->on_message) {
            WSI_COUNT(loop->stats.messages_in, 1);
            loop->delivered = event.message;
            loop->delivered_by = conn;
            conn->handler->on_message(conn, event.message);
            loop->delivered_by = NULL;
        }
    }
    wsi_conn_leave_window(loop, conn, plain);
    if (conn->paused)
        wsi_conn_halt(conn);
}

static bool wsi_conn_is_read(const ws_conn *conn) { return !conn->paused && !conn->broken && !conn->is_ending; }

/* Makes room after the held bytes of a large message. Growing may copy them, so it doubles their memory each time, or
   quadruples it once they fill a buffer, but adds at most the rest of the frame, or a buffer if that is more. */
static bool wsi_conn_make_room(ws_conn *conn) {
    wsi_engine *engine = &conn->engine;
    wsi_buffer *held = &engine->held;
    ws_loop *loop = wsi_conn_loop(conn);
    size_t room = held->capacity - held->size - 1, ahead = held->size;
    if (ahead >= loop->gather.capacity - 1 && ahead <= SIZE_MAX / 8)
        ahead *= 3;
    if (ahead > loop->gather.capacity && ahead > engine->left)
        ahead = engine->left > loop->gather.capacity ? (size_t)engine->left : loop->gather.capacity;
    if (room >= ahead || room >= WSI_SMALL)
        return true;
    return wsi_hold_resize(conn, held->size + ahead + 1);
}

/* A peer that has ended its stream may still read: the connection ends after the last answer (RFC 9112 9.6). */
static void wsi_conn_end_at_eof(ws_conn *conn) {
    if (!conn->eof || conn->paused || conn->engine.state == WSI_ASKED || conn->is_ending || conn->broken)
        return;
    (void)wsi_engine_end(&conn->engine, WS_ERROR_CLOSED, WS_CLOSE_BROKEN);
    wsi_conn_schedule_end(conn);
}

/* Handles a read that brought no bytes: none have arrived, the stream has ended, or the read failed. */
WSI_RARE void wsi_conn_got_none(ws_conn *conn, ptrdiff_t got) {
    bool pending = conn->engine.state == WSI_ASKED || conn->queue.first || conn->source.link.unsent;
    if (got == WS_ENDED && pending) {
        conn->eof = true;
        wsi_conn_interest(conn);
        wsi_conn_end_at_eof(conn);
    } else if (got != 0) {
        wsi_conn_break(conn, got == WS_ENDED ? WS_ERROR_CLOSED : wsi_conn_failure(conn));
    }
}

/* Reads into the loop's window. plain: TCP without a transport. false: nothing came. */
WSI_INLINE bool wsi_conn_fill(ws_loop *loop, ws_conn *conn, bool plain) {
    wsi_buffer *held = &conn->engine.held, *into = &loop->receive;
    size_t kept = held->size;
    if (kept > WSI_SMALL && kept > loop->receive.capacity / 16) {
        into = held;
        if (!wsi_conn_make_room(conn)) {
            wsi_conn_overload(conn);
            return false;
        }
    }
    ptrdiff_t got = wsi_conn_receive(conn, into->data + kept, into->capacity - kept - 1, plain);
    if (got <= 0) {
        wsi_conn_got_none(conn, got);
        return false;
    }
    WSI_COUNT(loop->stats.bytes_in, (size_t)got);
    if (kept && into != held)
        memcpy(into->data, held->data, kept);
    wsi_engine_heard(&conn->engine, loop->now);
    wsi_engine_open_window(&conn->engine, &loop->window, into->data, kept, (size_t)got);
    return true;
}

/* Reads bytes and serves them. A blocking client's input stays in the window until the program takes it. */
static void wsi_conn_read(ws_conn *conn) {
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_dialer *dialer = wsi_conn_dialer(conn);
    do {
        if (wsi_conn_has_input(conn) || !wsi_conn_fill(loop, conn, false))
            return;
        if (dialer && dialer->blocking) {
            dialer->has_input = true;
            wsi_conn_interest(conn);
            return;
        }
        wsi_conn_serve_window(loop, conn, false);
    } while (conn->source.link.pending && wsi_conn_is_read(conn));
}

/* Resumes reading, after serving what was received before the pause. */
static void wsi_conn_resume(ws_conn *conn) {
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_buffer *held = &conn->engine.held;
    bool was_paused = conn->paused;
    conn->paused = false;
    wsi_engine_open_window(&conn->engine, &loop->window, held->data, held->size, 0);
    if (held->size || conn->engine.state == WSI_CLOSED || wsi_codec_waits(&conn->engine))
        wsi_conn_serve_window(loop, conn, false);
    if (conn->source.link.pending && wsi_conn_is_read(conn))
        wsi_conn_read(conn);
    if (was_paused && wsi_conn_is_read(conn)) /* what was served may have paused conn again */
        WSI_TRACE(&conn->engine, WS_TRACE_RESUMED, 0, NULL, 0);
    wsi_conn_end_at_eof(conn);
    wsi_conn_interest(conn);
}

/* Sends pending bytes. true: the peer took some, so it is alive. This is known only if the socket was full. */
static bool wsi_conn_flush_pending(ws_conn *conn) {
    size_t before = conn->blocked ? conn->queue.size : 0;
    conn->blocked = false;
    wsi_conn_flush(conn);
    if (conn->queue.size >= before)
        return false;
    wsi_conn_note_progress(conn);
    (void)wsi_conn_measure(conn);
    wsi_engine_heard(&conn->engine, wsi_conn_loop(conn)->now);
    return true;
}

WSI_RARE void wsi_conn_writable(ws_conn *conn) {
    wsi_extra *extra = conn->extra;
    bool waited = conn->blocked || conn->wants_drain;
    conn->wants_drain = false;
    (void)wsi_conn_flush_pending(conn);
    if (!conn->blocked && extra && extra->pong_size && conn->engine.state == WSI_OPEN) {
        memcpy(wsi_conn_gather_room(conn, extra->pong_size), extra->pong, extra->pong_size);
        extra->pong_size = 0;
    }
    if (waited && !conn->blocked && conn->engine.state == WSI_OPEN && conn->handler->on_drain)
        conn->handler->on_drain(conn);
    wsi_conn_mark_due(wsi_conn_loop(conn), conn); /* sends more of an answer, and resumes reading */
    wsi_conn_interest(conn);
}

/* After on_close: sends the last bytes, ends the stream, and drops what the peer still sends. Closing the socket at
   once would reset the connection and lose bytes in flight. The server closes TCP first (RFC 6455 7.1.1). */
WSI_RARE void wsi_conn_linger(ws_conn *conn, unsigned ready) {
    const wsi_buffer *into = &wsi_conn_loop(conn)->receive;
    ptrdiff_t got = 1;
    if ((ready & WS_WRITE) && wsi_conn_flush_pending(conn))
        wsi_conn_schedule_linger(conn);
    if ((ready & WS_READ) && !conn->broken && !conn->eof) {
        do {
            got = wsi_conn_receive(conn, into->data, into->capacity, false);
        } while (got > 0 && conn->source.link.pending);
        conn->eof = got == WS_ENDED;
        conn->broken = got == WS_FAILED;
    }
    if (!conn->queue.first && !conn->half_closed && !conn->broken && (conn->eof || !wsi_conn_is_client(conn)))
        conn->half_closed = wsi_conn_half_close(conn);
    if (conn->eof && conn->half_closed)
        conn->broken = true;
    if (conn->broken)
        wsi_conn_schedule_end(conn);
    else
        wsi_conn_interest(conn);
}

static void wsi_conn_serve(ws_conn *conn, unsigned ready) {
    if (conn->closed) {
        wsi_conn_linger(conn, ready);
        return;
    }
    if (conn->broken || conn->is_ending)
        return;
    if (ready & WS_WRITE)
        wsi_conn_writable(conn);
    if ((ready & WS_READ) && wsi_conn_is_read(conn))
        wsi_conn_read(conn);
}

static ws_conn *wsi_conn_of(wsi_source *source) {
    return (ws_conn *)(void *)((char *)source - offsetof(ws_conn, source));
}

/* A plain socket is ready; mostly a server's, with bytes to read. */
static void wsi_conn_ready(ws_loop *loop, wsi_source *source, unsigned ready) {
    ws_conn *conn = wsi_conn_of(source);
    if (conn->is_ending || conn->closed || conn->broken || conn->paused || ready != WS_READ || wsi_conn_is_client(conn))
        wsi_conn_serve(conn, ready);
    else if (wsi_conn_fill(loop, conn, true))
        wsi_conn_serve_window(loop, conn, true);
}

/* A transport's socket is ready. If swapped, a write may wait for a read, or a read for a write: this tries both. */
static void wsi_conn_ready_through(ws_loop *loop, wsi_source *source, unsigned ready) {
    ws_conn *conn = wsi_conn_of(source);
    bool swapped = conn->swapped != 0;
    (void)loop;
    wsi_conn_serve(conn, swapped ? (unsigned)WS_READ : ready);
    if (swapped && (conn->blocked || conn->wants_drain))
        wsi_conn_serve(conn, WS_WRITE);
    if (swapped && (conn->swapped & WS_READ))
        wsi_conn_serve(conn, WS_READ);
    if (swapped || conn->swapped)
        wsi_conn_interest(conn);
}

/*
>> LIFE ===================================================================================
   A connection from start to end, and the public calls on it. Calls MEMORY, TEXT, HANDSHAKE, FRAME, HEADS, MESSAGES,
   PLATFORM, SOCKETS, TCP, LOOP, QUEUE, TRANSPORT, SEND, RECEIVE. Prefixes: wsi_conn_, wsi_endpoint_.
*/

/* --- from start to end --- */

static bool wsi_conn_new_slab(ws_loop *loop) {
    bool room = wsi_buffer_reserve(&loop->memory, &loop->slabs, sizeof(ws_conn *) + 1);
    ws_conn *slab = room ? (ws_conn *)wsi_memory_new(&loop->memory, WSI_SLAB_CONNS * sizeof *slab) : NULL;
    uint32_t first = (uint32_t)(loop->slabs.size / sizeof slab) * WSI_SLAB_CONNS;
    if (!slab)
        return false;
    for (int i = WSI_SLAB_CONNS - 1; i >= 0; i--) {
        ws_conn *conn = &slab[i];
        conn->number = first + (uint32_t)i;
        conn->next = loop->free_conns;
        loop->free_conns = conn;
    }
    return wsi_buffer_append(&loop->memory, &loop->slabs, &slab, sizeof slab);
}

/* Makes a connection, which has no descriptor yet. NULL: no memory. */
static ws_conn *wsi_conn_new(wsi_endpoint *endpoint) {
    ws_loop *loop = endpoint->loop;
    if ((!loop->free_conns && !wsi_conn_new_slab(loop)) || !wsi_timer_reserve(loop))
        return NULL;
    ws_conn *conn = loop->free_conns;
    loop->free_conns = conn->next;
    memset(&conn->source, 0, offsetof(ws_conn, number) - offsetof(ws_conn, source));
    conn->generation++;
    conn->source.link.descriptor = WSI_NO_SOCKET;
    conn->timer.kind = WSI_TIMER_CONN;
    wsi_engine_start(&conn->engine, &endpoint->env, loop->now);
    conn->next = endpoint->conns;
    if (conn->next)
        conn->next->previous = conn;
    endpoint->conns = conn;
    endpoint->count++;
    loop->conn_count++;
    return conn;
}

/* Gives a connection a descriptor, which it then owns, or WSI_NO_SOCKET for a transport without one. host: the name to
   verify. On an error nothing changes, and the caller still owns the descriptor. */
static ws_error wsi_conn_attach(ws_conn *conn, ws_socket descriptor, const char *host) {
    ws_loop *loop = wsi_conn_loop(conn);
    ws_link *link = &conn->source.link;
    link->descriptor = descriptor;
    link->kind = WSI_KIND_PLAIN;
    bool polled = wsi_conn_poll(conn, WS_READ);
    if (!polled || !wsi_conn_open_session(conn, host)) {
        (void)wsi_conn_poll(conn, WS_NONE);
        link->descriptor = WSI_NO_SOCKET;
        return polled ? WS_ERROR_MEMORY : WS_ERROR_DESCRIPTORS;
    }
    conn->engine.since = conn->engine.heard = loop->now;
    wsi_timer_set(loop, &conn->timer, wsi_engine_due(loop->now, conn->engine.env->limits.handshake_ms));
    return WS_OK;
}

WS_API ws_close_info ws_closed(const ws_conn *conn) {
    bool ended = conn && conn->engine.state == WSI_CLOSED;
    ws_close_info why = {(uint16_t)(ended ? conn->engine.close_code : conn ? 0 : WS_CLOSE_BROKEN),
                         ended && conn->extra ? conn->extra->reason : "", ended && conn->engine.clean};
    return why;
}

/* Closes the transport and the socket, and frees unsent bytes and unfinished messages. */
static void wsi_conn_disconnect(ws_conn *conn) {
    ws_link *link = &conn->source.link;
    ws_loop *loop = wsi_conn_loop(conn);
    (void)wsi_conn_poll(conn, WS_NONE);
    wsi_conn_close_session(conn);
    link->unsent = link->pending = false;
    wsi_tcp_close(link);
    wsi_timer_clear(loop, &conn->timer);
    if (loop->gather_owner == conn)
        loop->gather_owner = NULL;
    wsi_queue_clear(loop, &conn->queue);
    wsi_hold_free(conn);
    wsi_codec_end(&conn->engine);
}

static void wsi_conn_free_strings(ws_conn *conn) {
    wsi_memory *memory = &wsi_conn_loop(conn)->memory;
    wsi_memory_free(memory, conn->extra, sizeof *conn->extra);
    wsi_memory_free(memory, conn->strings, conn->strings ? conn->strings->size : 0);
    conn->extra = NULL;
    conn->strings = NULL;
}

/* Keeps the subprotocol and the parameters for ws_subprotocol and ws_param. */
static bool wsi_conn_keep_strings(ws_conn *conn, wsi_slice subprotocol, const wsi_slice *values, size_t count) {
    size_t size = sizeof(wsi_strings) + subprotocol.size, i;
    if (!subprotocol.size && !count)
        return true;
    for (i = 0; i < count; i++)
        size += values[i].size + 1;
    conn->strings = (wsi_strings *)wsi_memory_new(&wsi_conn_loop(conn)->memory, size);
    if (!conn->strings)
        return false;
    conn->strings->size = size;
    char *to = wsi_text_append(conn->strings->text, subprotocol) + 1;
    for (i = 0; i < count; i++)
        to = wsi_text_append(to, values[i]) + 1;
    return true;
}

#ifndef WS_NO_CLIENT
/* Resets a client's connection for another attempt; id, handler and user stay. */
static void wsi_conn_reset(ws_conn *conn) {
    bool due = conn->is_due;
    wsi_conn_free_strings(conn);
    memset(&conn->progress_at, 0, offsetof(ws_conn, number) - offsetof(ws_conn, progress_at));
    conn->is_due = due; /* conn stays in loop->due */
    wsi_conn_note_progress(conn);
    wsi_engine_start(&conn->engine, conn->engine.env, wsi_conn_loop(conn)->now);
}
#endif

#ifdef WS_NO_STATS
static void wsi_endpoint_keep_stats(wsi_endpoint *endpoint) { (void)endpoint; }
#else
static void wsi_endpoint_add_stats(ws_stats *stats, const wsi_endpoint *endpoint) {
    stats->accepted += endpoint->env.counts.accepted;
    stats->refused_4xx += endpoint->env.counts.refused[0];
    stats->refused_5xx += endpoint->env.counts.refused[1];
    stats->dropped += endpoint->env.counts.dropped;
    for (const ws_conn *conn = endpoint->conns; conn; conn = conn->next) {
        bool open = conn->handler && conn->engine.state == WSI_OPEN;
        stats->open += open;
        stats->others += !open;
        stats->buffered += conn->queue.size;
    }
}

/* Adds up statistics; loop NULL: all are zero. only: counts this server alone; NULL: all servers and clients. */
static ws_stats wsi_endpoint_stats(const ws_loop *loop, const wsi_endpoint *only) {
    ws_stats stats;
    WS_ASSERT(wsi_loop_is_ours(loop));
    memset(&stats, 0, sizeof stats);
    if (!loop)
        return stats;
    stats = loop->stats;
    stats.memory = loop->memory.used;
    stats.memory_peak = loop->memory.peak;
    if (only)
        stats.accepted = stats.refused_4xx = stats.refused_5xx = stats.dropped = 0; /* leaves out ended servers */
    for (const wsi_endpoint *endpoint = loop->endpoints; endpoint; endpoint = endpoint->next)
        if (!only || endpoint == only)
            wsi_endpoint_add_stats(&stats, endpoint);
    return stats;
}

WS_API ws_stats ws_loop_stats(const ws_loop *loop) { return wsi_endpoint_stats(loop, NULL); }

static void wsi_endpoint_keep_stats(wsi_endpoint *endpoint) {
    wsi_endpoint_add_stats(&endpoint->loop->stats, endpoint);
}
#endif /* WS_NO_STATS */

/* Frees an endpoint that is marked as freed, once it has no connections left. */
static void wsi_endpoint_retire(wsi_endpoint *endpoint) {
    ws_loop *loop = endpoint->loop;
    if (!endpoint->freed || endpoint->count)
        return;
    endpoint->stop(endpoint);
    *(endpoint->previous ? &endpoint->previous->next : &loop->endpoints) = endpoint->next;
    if (endpoint->next)
        endpoint->next->previous = endpoint->previous;
    wsi_timer_clear(loop, &endpoint->timer);
    loop->timers.size -= sizeof *loop->heap;
    wsi_endpoint_keep_stats(endpoint);
    if (WSI_ADD_ON(endpoint->tls))
        loop->tls_calls->release(endpoint->tls);
    endpoint->release(endpoint);
}

/* Returns a connection to the list of free ones. */
static void wsi_conn_free(ws_conn *conn) {
    wsi_endpoint *endpoint = wsi_conn_endpoint(conn);
    ws_loop *loop = endpoint->loop;
    wsi_conn_freed(conn);
    wsi_conn_free_strings(conn);
    *(conn->previous ? &conn->previous->next : &endpoint->conns) = conn->next;
    if (conn->next)
        conn->next->previous = conn->previous;
    endpoint->count--;
    loop->conn_count--;
    loop->timers.size -= sizeof *loop->heap;
    conn->engine.env = NULL;
    if (conn->generation > UINT32_MAX - 4)
        return; /* never reused, because its ids are used up */
    conn->next = loop->free_conns;
    loop->free_conns = conn;
}

/* Calls on_close, then lets the socket linger. */
static void wsi_conn_report_close(ws_conn *conn) {
    wsi_dialer *dialer = wsi_conn_dialer(conn);
    if (wsi_conn_endpoint(conn)->leave(conn))
        WSI_TRACE(&conn->engine, WS_TRACE_CLOSED, 0, NULL, 0);
    if (conn->handler && conn->handler->on_close)
        conn->handler->on_close(conn, ws_closed(conn));
    conn->handler = NULL;
    conn->closed = true;
    conn->paused = conn->wants_drain = false;
    conn->pause_reasons = 0;
    if (dialer)
        dialer->has_input = false;
    wsi_hold_free(conn);
    wsi_codec_end(&conn->engine);
    wsi_conn_flush(conn);
    if (conn->broken)
        return;
    (void)wsi_conn_measure(conn);
    wsi_conn_schedule_linger(conn);
    wsi_conn_linger(conn, WS_NONE);
}

static void wsi_conn_finish(ws_conn *conn) {
    wsi_endpoint *endpoint = wsi_conn_endpoint(conn);
    wsi_dialer *dialer = wsi_conn_dialer(conn);
    if (!conn->closed)
        wsi_conn_report_close(conn);
    conn->is_ending = false;
    if (!conn->broken)
        return;
    wsi_conn_disconnect(conn);
    if (dialer && dialer->disconnected(conn))
        return;
    wsi_conn_free(conn);
    wsi_endpoint_retire(endpoint);
}

/* Ends a round. For each connection in loop->due: sends pending bytes and answers of kept requests; if it has ended,
   calls on_close and frees it. Each step may add to the list, so this repeats until the list is empty. */
static void wsi_conn_end_round(ws_loop *loop) {
    for (;;) {
        if (loop->gather_owner)
            wsi_conn_flush(loop->gather_owner);
        ws_conn *conn = loop->due;
        if (!conn)
            break;
        loop->due = conn->next_due;
        conn->is_due = false;
        if (wsi_conn_flush_one(loop, conn) && conn->engine.state == WSI_OPEN)
            continue;
        if (conn->queue.first)
            wsi_conn_flush(conn);
        wsi_conn_proceed(conn);
        if (conn->paused && !conn->pause_reasons && !conn->broken && !conn->is_ending && !wsi_conn_full(conn))
            wsi_conn_resume(conn);
        if (conn->is_ending && !conn->is_due)
            wsi_conn_finish(conn);
    }
}

#ifndef WS_NO_CLIENT
/* Releases the look-ups and the TLS contexts that clients keep in the loop. */
static void wsi_conn_release_clients(ws_loop *loop) {
    for (size_t i = 0; i < WSI_LOOKUPS; i++)
        if (loop->lookups[i].source.link.interest) /* nobody waits for this thread's answer any more */
            wsi_tcp_close(&loop->lookups[i].source.link);
    if (loop->tls)
        loop->tls_calls->end(loop);
}
#else
static void wsi_conn_release_clients(ws_loop *loop) { (void)loop; }
#endif

static void wsi_conn_release(ws_loop *loop) {
    ws_conn **slabs = (ws_conn **)(void *)loop->slabs.data;
    while (loop->endpoints) {
        loop->endpoints->freed = true;
        wsi_endpoint_retire(loop->endpoints);
    }
    while (loop->free_nodes) {
        wsi_node *node = loop->free_nodes;
        loop->free_nodes = node->next;
        wsi_memory_free(&loop->memory, node, sizeof *node);
    }
    wsi_conn_release_clients(loop);
    for (size_t i = 0; i < loop->slabs.size / sizeof *slabs; i++)
        wsi_memory_free(&loop->memory, slabs[i], WSI_SLAB_CONNS * sizeof *slabs[i]);
    wsi_buffer_free(&loop->memory, &loop->slabs);
}

/* --- servers and clients: what the loop calls --- */

/* Closes an open connection. A server's close code is "restart", so that clients reconnect. */
static void wsi_conn_restart(ws_conn *conn) {
    bool client = wsi_conn_is_client(conn);
    if (conn->engine.state == WSI_OPEN
        && wsi_engine_close(&conn->engine, client ? WS_CLOSE_GOING_AWAY : WS_CLOSE_RESTART,
                            client ? "program ends" : "server restarts", wsi_conn_loop(conn)->now))
        wsi_conn_tick(conn);
}

/* Closes an endpoint's connections, or drops them. A server that closes them still answers pending requests. */
static void wsi_endpoint_end(wsi_endpoint *endpoint, bool drop) {
    endpoint->stop(endpoint);
    for (ws_conn *conn = endpoint->conns; conn; conn = conn->next) {
        wsi_engine *engine = &conn->engine;
        bool asked = (engine->state == WSI_ASKED || engine->state == WSI_BODY) && !wsi_conn_is_client(conn);
        if (drop && asked && !conn->broken) { /* answers the request with 503, if the socket takes the bytes */
            (void)wsi_engine_end(engine, WS_OK, WS_CLOSE_BROKEN);
            conn->eof = conn->half_closed = true; /* the connection does not linger */
            wsi_conn_schedule_end(conn);
        } else if (drop || (engine->state < WSI_OPEN && wsi_conn_is_client(conn))) {
            wsi_conn_break(conn, WS_ERROR_CLOSED);
        } else if (engine->state == WSI_HEAD) { /* bytes that arrived before the head's deadline are still served */
            if (engine->first)
                engine->since = endpoint->loop->now - endpoint->env.limits.idle_ms;
            wsi_conn_tick(conn);
        } else {
            wsi_conn_restart(conn);
        }
    }
}

static void wsi_endpoint_end_all(ws_loop *loop, bool drop) {
    for (wsi_endpoint *endpoint = loop->endpoints; endpoint; endpoint = endpoint->next)
        wsi_endpoint_end(endpoint, drop);
}

static void wsi_endpoint_fire(ws_loop *loop, wsi_timer *timer) {
    wsi_endpoint *endpoint = (wsi_endpoint *)(void *)((char *)timer - offsetof(wsi_endpoint, timer));
    (void)loop;
    endpoint->fire(endpoint);
}

static const wsi_hooks wsi_endpoint_hooks = {wsi_conn_end_round, wsi_endpoint_end_all, wsi_conn_release,
                                             wsi_hold_relieve};

/* Sets up a server's or client's endpoint, and adds it to the loop. false: no memory for its timer. */
static bool wsi_endpoint_prepare(wsi_endpoint *endpoint, ws_loop *loop, ws_role role, const ws_limits *limits) {
    if (!wsi_timer_reserve(loop))
        return false;
    endpoint->loop = loop;
    endpoint->env.limits = *limits;
    wsi_engine_limits(&endpoint->env.limits);
    endpoint->env.output = wsi_conn_emit;
    wsi_loop_trace_env(loop, &endpoint->env);
    endpoint->env.codec = &loop->codec;
    endpoint->env.role = role;
    endpoint->timer.kind = WSI_TIMER_ENDPOINT;
    endpoint->next = loop->endpoints;
    if (endpoint->next)
        endpoint->next->previous = endpoint;
    loop->endpoints = endpoint;
    loop->hooks = wsi_endpoint_hooks;
    loop->codec.turn_over = wsi_conn_turn_over;
    loop->fire[WSI_TIMER_CONN] = wsi_conn_fire;
    loop->fire[WSI_TIMER_ENDPOINT] = wsi_endpoint_fire;
    loop->ready[WSI_KIND_PLAIN] = wsi_conn_ready;
    loop->ready[WSI_KIND_THROUGH] = wsi_conn_ready_through;
    return true;
}

#ifndef WS_NO_TRANSPORT
static bool wsi_endpoint_is_transport(const ws_transport *transport) {
    return transport->open && transport->read && transport->write && transport->shut && transport->close;
}
#endif

/* --- what programs call --- */

/* Whether a message may be sent now. false: too much is pending. */
static bool wsi_conn_may_send(ws_conn *conn) {
    WS_ASSERT(wsi_loop_is_ours(wsi_conn_loop(conn)));
    if (conn->engine.state != WSI_OPEN || !wsi_conn_full(conn))
        return true;
    wsi_conn_want_drain(conn);
    return wsi_engine_refuse(&conn->engine, WS_ERROR_BUFFERED);
}

/* Whether this is the message that the running callback received: its text was validated on arrival. */
static bool wsi_conn_is_delivered(const ws_loop *loop, ws_message message) {
    return loop->delivered_by && message.data == loop->delivered.data && message.size == loop->delivered.size
           && message.type == loop->delivered.type;
}

#ifdef WS_NO_FAST
static bool wsi_conn_reply(ws_conn *conn, ws_message message) { return (void)conn, (void)message, false; }
static bool wsi_conn_gather(ws_conn *conn, ws_message message) { return (void)conn, (void)message, false; }
#else
/* The most common case: a callback sends its message back. The new header overwrites the old one, in front of the
   payload, so that nothing is copied. Earlier replies must end where the new header begins; they do not if the same
   message is sent twice. */
WSI_INLINE bool wsi_conn_reply(ws_conn *conn, ws_message message) {
    ws_loop *loop = wsi_conn_loop(conn);
    wsi_window *window = &loop->window;
    size_t header = message.size < 126 ? 2 : 4;
    if (wsi_conn_is_client(conn) || loop->delivered_by != conn)
        return false;
    uint8_t *at = window->base + window->reply;
    if (message.data != at + header || !wsi_conn_is_delivered(loop, message) || conn->engine.state != WSI_OPEN
        || conn->engine.sending || conn->queue.first
        || wsi_codec_wanted(&conn->engine, true, message.size))
        return false;
    if (!loop->gather_owner) {
        loop->gather_owner = conn;
        loop->gathered.data = at;
        loop->gathered.size = 0;
    } else if (loop->gather_owner != conn || loop->gathered.data == loop->gather.data
               || loop->gathered.data + loop->gathered.size != at) { /* the buffer may end where the window begins */
        return false;
    }
    (void)wsi_frame_write(at, (uint8_t)message.type, true, false, message.size);
    loop->gathered.size += header + message.size;
    WSI_COUNT(loop->stats.messages_out, 1);
    window->reply += header + message.size;
    return true;
}

/* Fast path: a server's small message, while nothing is pending. Leaves all others to the engine. */
static bool wsi_conn_gather(ws_conn *conn, ws_message message) {
    ws_loop *loop = wsi_conn_loop(conn);
    if (conn->engine.state != WSI_OPEN || WSI_TRACED(&conn->engine) || conn->engine.sending
        || conn->queue.first || !message.data || wsi_codec_wanted(&conn->engine, true, message.size)
        || message.size >= WSI_LARGE || wsi_conn_is_client(conn)
        || (message.type != WS_BINARY && !wsi_conn_is_delivered(loop, message)))
        return false;
    size_t header = message.size < 126 ? 2 : 4;
    uint8_t *to = wsi_conn_gather_room(conn, header + message.size);
    if (conn->broken)
        return false;
    (void)wsi_frame_write(to, (uint8_t)message.type, true, false, message.size);
    memcpy(to + header, message.data, message.size);
    WSI_COUNT(loop->stats.messages_out, 1);
    return true;
}
#endif /* WS_NO_FAST */

/* The last step of every call that sends: a blocking client waits until all bytes are sent. */
static bool wsi_conn_sent(ws_conn *conn, bool good) {
    if (!good && conn->engine.sending && conn->engine.error == WS_ERROR_STATE)
        conn->wants_end = true;
    return good && wsi_conn_wait(conn, false);
}

WSI_APART bool wsi_conn_send(ws_conn *conn, ws_message message) {
    if (!conn)
        return false;
    WS_ASSERT(wsi_loop_is_ours(wsi_conn_loop(conn)));
    if (wsi_conn_gather(conn, message))
        return true;
    if (!wsi_conn_may_send(conn))
        return false;
    ws_loop *loop = wsi_conn_loop(conn);
    bool good = wsi_conn_is_delivered(loop, message)
                    ? wsi_engine_send(&conn->engine, message.type, true, true, message.data, message.size)
                    : wsi_engine_message(&conn->engine, message);
    WSI_COUNT(loop->stats.messages_out, good);
    return wsi_conn_sent(conn, good);
}

WS_API bool ws_send(ws_conn *conn, ws_message message) {
    return (conn && wsi_conn_reply(conn, message)) || wsi_conn_send(conn, message);
}

/* Makes a text message; text NULL: one that is refused. */
static ws_message wsi_conn_text(const char *text) {
    ws_message message = {(const uint8_t *)text, text ? strlen(text) : 1, WS_TEXT};
    return message;
}

WS_API bool ws_send_text(ws_conn *conn, const char *text) { return ws_send(conn, wsi_conn_text(text)); }

WS_API bool ws_send_binary(ws_conn *conn, const void *data, size_t size) {
    ws_message message = {(const uint8_t *)data, size, WS_BINARY};
    return ws_send(conn, message);
}

WS_API bool ws_send_part(ws_conn *conn, ws_message part, bool last) {
    if (!conn || !wsi_conn_may_send(conn) || !wsi_engine_part(&conn->engine, part, last))
        return false;
    if (last) {
        WSI_COUNT(wsi_conn_loop(conn)->stats.messages_out, 1);
        wsi_conn_release_later(conn);
        if (conn->wants_end)
            wsi_conn_want_drain(conn);
        conn->wants_end = false;
    }
    return wsi_conn_sent(conn, true);
}

WS_API bool ws_ping(ws_conn *conn, const void *data, size_t size) {
    return conn && wsi_conn_may_send(conn) && wsi_conn_sent(conn, wsi_engine_ping(&conn->engine, data, size));
}

/* Ends the attempts of a client that is not open. false: none was under way or planned. */
static bool wsi_conn_cancel(ws_conn *conn) {
    bool going = conn->engine.state < WSI_OPEN || wsi_conn_reconnects(conn);
    wsi_conn_endpoint(conn)->ending = true;
    if (conn->engine.state < WSI_OPEN)
        wsi_conn_break(conn, WS_ERROR_CLOSED);
    return going;
}

WS_API bool ws_close(ws_conn *conn, uint16_t code, const char *reason) {
    wsi_endpoint *endpoint = conn ? wsi_conn_endpoint(conn) : NULL;
    if (!conn)
        return false;
    WS_ASSERT(wsi_loop_is_ours(endpoint->loop));
    if (wsi_conn_is_client(conn) && (conn->engine.state < WSI_OPEN || conn->engine.state == WSI_CLOSED))
        return wsi_conn_cancel(conn);
    if (!wsi_engine_close(&conn->engine, code, reason, wsi_loop_time(wsi_conn_loop(conn))))
        return false;
    if (wsi_conn_is_client(conn))
        endpoint->ending = true;
    (void)wsi_conn_measure(conn);
    wsi_conn_tick(conn);
    return wsi_conn_wait(conn, true);
}

WS_API void ws_drop(ws_conn *conn) {
    if (!conn)
        return;
    WS_ASSERT(wsi_loop_is_ours(wsi_conn_loop(conn)));
    if (wsi_conn_is_client(conn))
        wsi_conn_endpoint(conn)->ending = true;
    if (conn->closed)
        return;
    wsi_conn_break(conn, WS_ERROR_CLOSED);
    (void)wsi_conn_wait(conn, true);
}

/* Whether a connection can be paused: it is open, and not a blocking client's. */
static bool wsi_conn_may_pause(ws_conn *conn) {
    const wsi_dialer *dialer = conn ? wsi_conn_dialer(conn) : NULL;
    WS_ASSERT(wsi_loop_is_ours(ws_conn_loop(conn)));
    return conn && ((conn->engine.state == WSI_OPEN && (!dialer || !dialer->blocking))
                    || wsi_engine_refuse(&conn->engine, WS_ERROR_STATE));
}

WS_API bool ws_pause(ws_conn *conn) {
    if (!wsi_conn_may_pause(conn))
        return false;
    conn->pause_reasons |= WSI_BY_PROGRAM;
    conn->paused = true;
    wsi_conn_halt(conn);
    return true;
}

WS_API bool ws_resume(ws_conn *conn) {
    if (!wsi_conn_may_pause(conn))
        return false;
    wsi_conn_release_pause(conn, WSI_BY_PROGRAM);
    return true;
}

WS_API ws_conn_state ws_state(const ws_conn *conn) { return conn ? wsi_engine_state(&conn->engine) : WS_CLOSED; }

WS_API size_t ws_buffered(const ws_conn *conn) {
    size_t size = conn ? conn->queue.size + wsi_conn_gathered(conn) : 0;
    if (size)
        wsi_conn_want_drain((ws_conn *)(uintptr_t)conn);
    return size;
}

WS_API ws_error ws_last_error(const ws_conn *conn) { return conn ? (ws_error)conn->engine.error : WS_ERROR_MEMORY; }

WS_API const char *ws_last_error_text(const ws_conn *conn) {
    const wsi_dialer *dialer = conn ? wsi_conn_dialer(conn) : NULL;
    bool ended = dialer && (conn->engine.state == WSI_CLOSED || conn->engine.state < WSI_OPEN);
    const char *why = ended ? wsi_reason_text(dialer->why) : NULL;
    return why ? why : ws_error_text(ws_last_error(conn));
}

WS_API ws_id ws_conn_id(const ws_conn *conn) {
    return conn ? (ws_id)conn->generation << 32 | ((ws_id)conn->number + 1) : 0;
}

static ws_conn *wsi_conn_of_id(const ws_loop *loop, ws_id id) {
    uint64_t number = (id & UINT32_MAX) - 1;
    ws_conn *conn;
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!loop || number / WSI_SLAB_CONNS >= loop->slabs.size / sizeof conn)
        return NULL;
    conn = &((ws_conn **)(void *)loop->slabs.data)[number / WSI_SLAB_CONNS][number % WSI_SLAB_CONNS];
    return conn->generation == id >> 32 && conn->engine.env ? conn : NULL;
}

WS_API ws_conn *ws_find(ws_loop *loop, ws_id id) {
    ws_conn *conn = wsi_conn_of_id(loop, id);
    if (!conn || conn->handler)
        return conn;
    return wsi_conn_is_client(conn) && (!conn->closed || wsi_conn_reconnects(conn)) ? conn : NULL;
}

WS_API ws_loop *ws_conn_loop(const ws_conn *conn) { return conn ? wsi_conn_loop(conn) : NULL; }

WS_API const char *ws_subprotocol(const ws_conn *conn) { return conn && conn->strings ? conn->strings->text : ""; }

#ifndef WS_NO_FORWARD
/* The peer as named by a proxy, or "". */
static const char *wsi_conn_forwarded(const ws_conn *conn) {
    const wsi_extra *extra = conn->extra;
    return !extra ? "" : extra->client[0] ? extra->client : extra->peer;
}
#else
static const char *wsi_conn_forwarded(const ws_conn *conn) { return (void)conn, ""; }
#endif

WS_API bool ws_peer(const ws_conn *conn, char *text, size_t size) {
    const char *known = conn ? wsi_conn_forwarded(conn) : "";
    if (!conn || !text || strlen(known) >= size)
        return false;
    if (!*known)
        return wsi_platform_peer(conn->source.link.descriptor, text, size);
    strcpy(text, known);
    return true;
}

#ifndef WS_NO_TRANSPORT
WS_API bool ws_peer_certificate(const ws_conn *conn, char *text, size_t size) {
    return conn && text && conn->source.link.session && wsi_endpoint_is_tls(wsi_conn_endpoint(conn))
           && wsi_conn_loop(conn)->tls_calls->peer(&conn->source.link, text, size);
}

WS_API void *ws_tls_session(const ws_conn *conn) {
    if (!conn || !conn->source.link.session)
        return NULL;
    return wsi_endpoint_is_tls(wsi_conn_endpoint(conn)) ? wsi_conn_loop(conn)->tls_calls->session(&conn->source.link)
                                                        : conn->source.link.session;
}
#endif

WS_API void ws_set_user(ws_conn *conn, void *user) {
    if (conn)
        conn->user = user;
}

WS_API void *ws_user(const ws_conn *conn) { return conn ? conn->user : NULL; }

#ifndef WS_NO_SERVER
/*
>> ROOMS ==================================================================================
   Rooms, their members, and broadcasts. Calls MEMORY, UTF8, HANDSHAKE, FRAME, HEADS, MESSAGES, PLATFORM, LOOP,
   QUEUE, TRANSPORT, SEND, LIFE. Prefixes: wsi_room_, wsi_server_ (the server's struct). Switch: WS_NO_SERVER, for this
   section and the next three.
*/

enum { WSI_MAX_PARAMS = 8 };

typedef struct wsi_member { /* one connection in one room */
    wsi_chain chain; /* first field: in server->memberships */
    ws_conn *conn;
    struct wsi_room *room;
    struct wsi_member *next, *previous; /* in room->members */
    struct wsi_member *next_room, *previous_room; /* in conn->rooms */
    wsi_droppable droppable;
} wsi_member;

typedef struct wsi_room {
    wsi_chain chain; /* first field: in server->rooms */
    wsi_member *members;
    size_t count;
    uint8_t slow;
    bool stays; /* even without members, as ws_room_slow was called before anybody joined */
    char name[1];
} wsi_room;

struct wsi_route;
struct wsi_kept;

typedef struct wsi_forward_calls { /* all that servers call in BOUNDS and FORWARD */
    /* Sets server->forward if the config trusts a proxy or sets a limit of BOUNDS. */
    ws_error (*start)(ws_server *server, const ws_server_config *config);
    /* Attaches the descriptor, after a PROXY header if one is due. false: no memory, or a limit is reached. */
    bool (*accept)(ws_conn *conn, ws_socket descriptor);
    /* Like wsi_server_admits, but stores the address of a proxy's client. 503: no memory, or a limit is reached. */
    int (*admits)(ws_request *request, bool secure, wsi_why *why);
    void (*meter)(const ws_server *server, struct wsi_route *route); /* puts rate limits before the route's callbacks */
    void (*release)(ws_server *server);
} wsi_forward_calls;

typedef struct wsi_web_calls { /* all that servers call in WEB */
    /* Checks an HTTP request. Returns 0, or the status with which to refuse it; for 403 *why has the reason. */
    int (*check)(const ws_request *request, bool secure, wsi_why *why);
    void (*allow)(ws_request *request, int status);       /* answers with an Allow line: 405, or 204 to OPTIONS * */
    void (*await_body)(ws_request *request);              /* reads the body */
    void (*body)(struct wsi_kept *kept, ws_message body); /* handles the complete body */
    bool (*keep_body)(ws_request *request); /* copies the body for a kept request. false: no memory */
    bool (*finish)(ws_request *request); /* adds cookies to the answer. false: no memory */
} wsi_web_calls;

typedef struct wsi_owned { /* a block that a server keeps until it ends; the data follows it */
    struct wsi_owned *next;
    size_t size;
} wsi_owned;

typedef struct wsi_listener { /* a socket that a server listens on */
    wsi_source source;     /* first field: the loop gives its address to wsi_server_accept */
    ws_server *server;
    struct wsi_listener *next; /* in server->listeners */
#ifndef WS_NO_UNIX
    const char *unix_path; /* NULL: there is no file to remove */
    wsi_file_id file;      /* at unix_path */
#endif
    bool plain;            /* its connections do not go through the server's transport */
} wsi_listener;

struct ws_server {
    wsi_endpoint endpoint; /* first field; its timer resumes accepting */
    wsi_listener *listeners, **last_listener;
#ifndef WS_NO_TRANSPORT
    ws_transport transport;
#endif
    wsi_owned *owned;
    struct wsi_route *routes, **last_route;
    struct wsi_hook *hooks, **last_hook;
    wsi_table rooms, memberships;
    size_t open_count;
    wsi_buffer path;       /* the current request's, decoded: the path, then the query's pairs */
    const char *origins, *hosts;
    const wsi_forward_calls *forward; /* NULL: no proxy is trusted, and there are no limits */
#ifndef WS_NO_FORWARD
    const char *proxies;   /* the trusted proxies; NULL: none */
    bool forwarded, proxy_protocol;
    struct wsi_bounds *bounds; /* NULL: there are no limits */
#endif
    void (*open_session)(ws_request *request); /* stores the session in the connection. NULL: no sessions */
    wsi_buffer sessions;   /* holds a wsi_sessions; empty: no sessions */
    uint64_t dated;        /* the time that date was written for, in seconds since 1970 */
    char date[40];         /* the response's line "Date: ..." */
};

static ws_server *wsi_server_of(const ws_conn *conn) { return (ws_server *)(void *)wsi_conn_endpoint(conn); }

static bool wsi_conn_is_tls(const ws_conn *conn) {
    return wsi_endpoint_is_tls(wsi_conn_endpoint(conn)) && !conn->source.link.plain;
}

WS_API ws_server *ws_conn_server(const ws_conn *conn) {
    return conn && !wsi_conn_is_client(conn) ? wsi_server_of(conn) : NULL;
}

static wsi_memory *wsi_server_memory(const ws_server *server) { return &server->endpoint.loop->memory; }

#if !defined(WS_SMALL) || !defined(WS_NO_HTTP)
/* Seconds since 1970; 0: unknown. */
static uint64_t wsi_server_time(const ws_server *server) {
    return server->endpoint.loop->wall_clock(server->endpoint.loop->wall_user);
}
#endif

/* Copies data, and a zero after it, for as long as the server lives. data NULL: zeros. Returns NULL: no memory. */
static void *wsi_server_keep(ws_server *server, const void *data, size_t size) {
    wsi_owned *owned = (wsi_owned *)wsi_memory_new(wsi_server_memory(server), sizeof *owned + size + 1);
    if (!owned)
        return NULL;
    owned->size = size;
    owned->next = server->owned;
    server->owned = owned;
    if (data && size)
        memcpy(owned + 1, data, size);
    return owned + 1;
}

/* Does the same for a string of a config; NULL stays NULL. false: no memory. */
static bool wsi_server_keep_text(ws_server *server, const char **copy, const char *text) {
    *copy = text ? (const char *)wsi_server_keep(server, text, strlen(text)) : NULL;
    return *copy || !text;
}

/* Fails the loop with the reason "what name: text". text NULL: the text of the error. */
static bool wsi_server_fail(const ws_server *server, ws_error error, const char *what, const char *name,
                            const char *text) {
    ws_loop *loop = server->endpoint.loop;
    if (!loop->error)
        (void)wsi_reason_set(&loop->why, error, "%s %.120s: %s", what, name ? name : "(null)",
                             text ? text : ws_error_text(error));
    return wsi_loop_fail_why(loop, error);
}

/* Copies a list of origins or hosts. In origins, spaces, semicolons, and a slash at an origin's end become commas. */
static ws_error wsi_server_keep_list(ws_server *server, const char **copy, const char *text, bool origins,
                                     wsi_reason *why) {
    char *list = (char *)(text ? wsi_server_keep(server, text, strlen(text)) : NULL);
    wsi_slice wrong;
    *copy = list;
    if (text && !list)
        return WS_ERROR_MEMORY;
    for (size_t i = 0; origins && list && list[i]; i++)
        if (strchr(" \t;", list[i])
            || (list[i] == '/' && i && !strchr("/,", list[i - 1]) && strchr(" \t;,", list[i + 1])))
            list[i] = ',';
    if (wsi_handshake_list_good(list, origins, &wrong))
        return WS_OK;
    wrong.data = text + (wrong.data - list);
    return wsi_reason_set(why, WS_ERROR_ARGUMENT, "%s: \"%.*s\" is not %s; write %s", origins ? "origins" : "hosts",
                          wsi_reason_shows(wrong), wrong.data, origins ? "an origin" : "a host",
                          origins ? "https://a.example or https://*.a.example:8443, or * alone"
                                  : "a.example or a.example:8000");
}

/* --- rooms --- */

/* Seeded: peers may choose the names, but must not be able to choose the buckets. */
static uint32_t wsi_room_hash(const ws_server *server, const char *name, size_t size) {
    uint64_t hash = server->endpoint.loop->seed;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (uint8_t)name[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return (uint32_t)hash;
}

/* Finds a room. NULL: there is none of this name; server and name may be NULL. */
static wsi_room *wsi_room_find(const ws_server *server, const char *name) {
    uint32_t hash = server && name ? wsi_room_hash(server, name, strlen(name)) : 0;
    wsi_chain *chain = server && name ? wsi_table_first(&server->rooms, hash) : NULL;
    WS_ASSERT(!server || wsi_loop_is_ours(server->endpoint.loop));
    while (chain && (chain->hash != hash || strcmp(((wsi_room *)(void *)chain)->name, name) != 0))
        chain = chain->next;
    return (wsi_room *)(void *)chain;
}

static wsi_room *wsi_room_new(ws_server *server, const char *name) {
    size_t size = strlen(name);
    wsi_room *room = (wsi_room *)wsi_table_add(wsi_server_memory(server), &server->rooms,
                                               wsi_room_hash(server, name, size), sizeof *room + size);
    if (room)
        memcpy(room->name, name, size);
    return room;
}

static void wsi_room_vanish(ws_server *server, wsi_room *room) {
    if (!room->count && !room->stays)
        wsi_table_remove(wsi_server_memory(server), &server->rooms, &room->chain, sizeof *room + strlen(room->name));
}

/* Frees the rooms of a server that ends; its connections have ended before. */
static void wsi_room_end(ws_server *server) {
    wsi_memory *memory = wsi_server_memory(server);
    wsi_room *room;
    for (size_t i = 0; i < server->rooms.bucket_count; i++)
        while ((room = (wsi_room *)(void *)server->rooms.buckets[i]) != NULL)
            wsi_table_remove(memory, &server->rooms, &room->chain, sizeof *room + strlen(room->name));
    wsi_table_free(memory, &server->rooms);
    wsi_table_free(memory, &server->memberships);
}

static uint32_t wsi_room_member_hash(const ws_conn *conn, const wsi_room *room) {
    return ((room->chain.hash ^ conn->number) * 0x9e3779b1u >> 7) ^ conn->number;
}

/* Finds a membership. NULL: conn is not in this room. */
static wsi_member *wsi_room_membership(const ws_server *server, const ws_conn *conn, const wsi_room *room) {
    wsi_member *member = (wsi_member *)(void *)wsi_table_first(&server->memberships, wsi_room_member_hash(conn, room));
    while (member && (member->conn != conn || member->room != room))
        member = (wsi_member *)(void *)member->chain.next;
    return member;
}

static uint32_t wsi_room_joined(const ws_conn *conn) { return conn->rooms ? conn->rooms->chain.count : 0; }

/* Ends a membership; the room may vanish. */
static void wsi_room_leave(ws_server *server, wsi_member *member) {
    ws_conn *conn = member->conn;
    wsi_room *room = member->room;
    uint32_t count = wsi_room_joined(conn);
    *(member->previous_room ? &member->previous_room->next_room : &conn->rooms) = member->next_room;
    if (member->next_room)
        member->next_room->previous_room = member->previous_room;
    if (conn->rooms)
        conn->rooms->chain.count = count - 1;
    *(member->previous ? &member->previous->next : &room->members) = member->next;
    if (member->next)
        member->next->previous = member->previous;
    while (member->droppable.first)
        wsi_droppable_pop(&member->droppable);
    wsi_table_remove(wsi_server_memory(server), &server->memberships, &member->chain, sizeof *member);
    room->count--;
    wsi_room_vanish(server, room);
}

/* Adds a connection to a room. false: no memory. */
static bool wsi_room_enter(ws_server *server, ws_conn *conn, wsi_room *room) {
    wsi_member *member = (wsi_member *)wsi_table_add(wsi_server_memory(server), &server->memberships,
                                                     wsi_room_member_hash(conn, room), sizeof *member);
    if (!member)
        return false;
    member->chain.count = wsi_room_joined(conn) + 1;
    member->conn = conn;
    member->room = room;
    member->next = room->members;
    if (member->next)
        member->next->previous = member;
    room->members = member;
    room->count++;
    member->next_room = conn->rooms;
    if (member->next_room)
        member->next_room->previous_room = member;
    conn->rooms = member;
    return true;
}

WS_API bool ws_join(ws_conn *conn, const char *name) {
    WS_ASSERT(wsi_loop_is_ours(ws_conn_loop(conn)));
    if (!conn)
        return false;
    if (!name || conn->engine.state != WSI_OPEN || wsi_conn_is_client(conn))
        return wsi_engine_refuse(&conn->engine, name ? WS_ERROR_STATE : WS_ERROR_ARGUMENT);
    ws_server *server = wsi_server_of(conn);
    wsi_room *room = wsi_room_find(server, name);
    if (room && wsi_room_membership(server, conn, room))
        return true;
    if (wsi_room_joined(conn) >= conn->engine.env->limits.rooms)
        return wsi_engine_refuse(&conn->engine, WS_ERROR_ROOMS);
    room = room ? room : wsi_room_new(server, name);
    if (room && wsi_room_enter(server, conn, room))
        return true;
    if (room)
        wsi_room_vanish(server, room);
    return wsi_engine_refuse(&conn->engine, WS_ERROR_MEMORY);
}

WS_API bool ws_leave(ws_conn *conn, const char *name) {
    ws_server *server = ws_conn_server(conn);
    wsi_room *room = wsi_room_find(server, name);
    wsi_member *member = room ? wsi_room_membership(server, conn, room) : NULL;
    if (member)
        wsi_room_leave(server, member);
    return member != NULL;
}

WS_API size_t ws_room_count(const ws_server *server, const char *name) {
    const wsi_room *room = wsi_room_find(server, name);
    return room ? room->count : server && !name ? server->open_count : 0;
}

WS_API size_t ws_room_members(const ws_server *server, const char *name, ws_id *ids, size_t capacity) {
    const wsi_room *room = wsi_room_find(server, name);
    const wsi_member *member = room ? room->members : NULL;
    const ws_conn *conn = server && !name ? server->endpoint.conns : NULL;
    size_t count = 0;
    for (; member; member = member->next)
        if (count++ < capacity && ids)
            ids[count - 1] = ws_conn_id(member->conn);
    for (; conn; conn = conn->next)
        if (conn->handler && count++ < capacity && ids)
            ids[count - 1] = ws_conn_id(conn);
    return count;
}

WS_API bool ws_room_slow(ws_server *server, const char *name, ws_slow policy) {
    bool good = server && name && (unsigned)policy <= WS_SLOW_LATEST;
    wsi_room *room = wsi_room_find(server, name);
    room = room || !good ? room : wsi_room_new(server, name);
    if (!good || !room)
        return false;
    room->slow = (uint8_t)policy;
    room->stays = policy != WS_SLOW_CLOSE && (room->stays || !room->count);
    wsi_room_vanish(server, room);
    return true;
}

/* --- broadcasts --- */

/* Frames a message into the loop's arena, or a large one into a block of its own. The caller releases the block. */
static bool wsi_room_frame(ws_loop *loop, ws_message message, unsigned bits, wsi_delivery *delivery) {
    size_t most = message.size + 10, header;
    if (most < message.size)
        return false;
    if (most > WSI_ARENA / 4) {
        delivery->block = wsi_block_new(loop, most);
    } else {
        if (loop->arena && loop->arena->references == 1)
            loop->arena->size = 0;
        if (loop->arena && loop->arena->capacity - loop->arena->size < most) {
            wsi_block_release(loop, loop->arena);
            loop->arena = NULL;
        }
        if (!loop->arena)
            loop->arena = wsi_block_new(loop, WSI_ARENA);
        if ((delivery->block = loop->arena) != NULL)
            delivery->block->references++;
    }
    if (!delivery->block)
        return false;
    uint8_t *to = delivery->block->data + delivery->block->size;
    header = wsi_frame_write(to, (uint8_t)((unsigned)message.type | bits), true, false, message.size);
    if (message.size)
        memcpy(to + header, message.data, message.size);
    delivery->from = delivery->block->size;
    delivery->to = delivery->block->size += header + message.size;
    return true;
}

typedef struct wsi_broadcast { /* one message to many connections */
    ws_message message;
    wsi_delivery plain;
#ifndef WS_NO_DEFLATE
    wsi_delivery compressed[16]; /* one for each form of compression, made when first needed; block NULL: not made */
    uint16_t tried;          /* a bit for each form that was tried, successfully or not */
#endif
} wsi_broadcast;

#ifdef WS_NO_DEFLATE
static void wsi_room_deliver(ws_conn *conn, const wsi_broadcast *broadcast, wsi_droppable *droppable) {
    wsi_conn_deliver(conn, &broadcast->plain, droppable);
}
static void wsi_room_release(ws_loop *loop, const wsi_broadcast *broadcast) { (void)loop, (void)broadcast; }
#else
/* The delivery for a member with compression. The message is compressed once for all members that can share it. */
WSI_APART const wsi_delivery *wsi_room_compressed(ws_conn *conn, wsi_broadcast *broadcast) {
    const wsi_codec_calls *codec = wsi_conn_loop(conn)->codec.calls;
    ws_message message = broadcast->message;
    unsigned form = codec->shares(&conn->engine, message.size);
    wsi_delivery *compressed = &broadcast->compressed[form];
    const void *data = message.data;
    if (form && !(broadcast->tried >> form & 1)) {
        broadcast->tried = (uint16_t)(broadcast->tried | 1u << form);
        if (codec->compress(&conn->engine, true, true, &data, &message.size)) {
            message.data = (const uint8_t *)data;
            *compressed = broadcast->plain;
            compressed->block = NULL;
            (void)wsi_room_frame(wsi_conn_loop(conn), message, WSI_COMPRESSED, compressed);
        }
    }
    return compressed->block ? compressed : &broadcast->plain;
}

WSI_APART void wsi_room_deliver(ws_conn *conn, wsi_broadcast *broadcast, wsi_droppable *droppable) {
    bool compressed = wsi_codec_used(&conn->engine);
    const wsi_delivery *delivery = compressed ? wsi_room_compressed(conn, broadcast) : &broadcast->plain;
    if (!compressed || !wsi_conn_deliver_quickly(wsi_conn_loop(conn), conn, delivery))
        wsi_conn_deliver(conn, delivery, droppable);
}

static void wsi_room_release(ws_loop *loop, const wsi_broadcast *broadcast) {
    for (size_t i = 0; broadcast->tried && i < sizeof broadcast->compressed / sizeof *broadcast->compressed; i++)
        wsi_block_release(loop, broadcast->compressed[i].block);
}
#endif

/* Sends to the members of a room, or to all connections of the server. plain is a copy that stays in registers. */
static void wsi_room_deliver_all(const ws_server *server, const wsi_room *room, const ws_conn *except,
                                 wsi_broadcast *broadcast) {
    ws_loop *loop = server->endpoint.loop;
    const wsi_delivery plain = broadcast->plain;
    wsi_member *member = room ? room->members : NULL;
    ws_conn *conn = room ? NULL : server->endpoint.conns;
    for (; member; member = member->next)
        if (member->conn != except && (wsi_codec_used(&member->conn->engine)
                                       || !wsi_conn_deliver_quickly(loop, member->conn, &plain)))
            wsi_room_deliver(member->conn, broadcast, &member->droppable);
    for (; conn; conn = conn->next)
        if (conn != except && (wsi_codec_used(&conn->engine) || !wsi_conn_deliver_quickly(loop, conn, &plain)))
            wsi_room_deliver(conn, broadcast, NULL);
}

static bool wsi_room_is_full(const wsi_room *room, const ws_conn *except) {
    for (const wsi_member *member = room->members; member; member = member->next)
        if (member->conn != except && member->conn->engine.state == WSI_OPEN && wsi_conn_broadcast_full(member->conn)) {
            if (member->conn->engine.sending)
                member->conn->wants_end = true;
            else
                wsi_conn_want_drain(member->conn);
            return true;
        }
    return false;
}

/* Returns false, and records the error in the sender, unless that is NULL. */
static bool wsi_room_fail(ws_conn *sender, ws_error error) {
    return sender && wsi_engine_refuse(&sender->engine, error);
}

/* Sends to a room; name NULL: to all connections. except, unless NULL, gets nothing. Fails like wsi_room_fail. */
static bool wsi_room_send(ws_server *server, ws_conn *sender, const ws_conn *except, const char *name,
                          ws_message message) {
    wsi_room *room = wsi_room_find(server, name);
    wsi_broadcast broadcast;
    if (!server || (message.size && !message.data) || (message.type != WS_TEXT && message.type != WS_BINARY))
        return wsi_room_fail(sender, WS_ERROR_ARGUMENT);
    ws_loop *loop = server->endpoint.loop;
    if (message.type == WS_TEXT && !wsi_conn_is_delivered(loop, message) && !wsi_utf8_valid(message.data, message.size))
        return wsi_room_fail(sender, WS_ERROR_UTF8);
    if (name && !room)
        return true;
    if (room && room->slow == WS_SLOW_WAIT && wsi_room_is_full(room, except))
        return wsi_room_fail(sender, WS_ERROR_BUFFERED);
    memset(&broadcast, 0, sizeof broadcast);
    broadcast.message = message;
    if (!wsi_room_frame(loop, message, 0, &broadcast.plain))
        return wsi_room_fail(sender, WS_ERROR_MEMORY);
    broadcast.plain.slow = room ? room->slow : (uint8_t)WS_SLOW_CLOSE;
    WSI_COUNT(loop->stats.messages_out, room ? room->count - (except && wsi_room_membership(server, except, room))
                                             : server->open_count - (except && except->engine.state == WSI_OPEN));
    wsi_room_deliver_all(server, room, except, &broadcast);
    wsi_block_release(loop, broadcast.plain.block);
    wsi_room_release(loop, &broadcast);
    return true;
}

WS_API bool ws_broadcast(ws_conn *sender, const char *room, ws_message message) {
    return wsi_room_send(ws_conn_server(sender), sender, NULL, room, message);
}

WS_API bool ws_broadcast_others(ws_conn *sender, const char *room, ws_message message) {
    return wsi_room_send(ws_conn_server(sender), sender, sender, room, message);
}

WS_API bool ws_broadcast_text(ws_conn *sender, const char *room, const char *text) {
    return ws_broadcast(sender, room, wsi_conn_text(text));
}

WS_API bool ws_broadcast_others_text(ws_conn *sender, const char *room, const char *text) {
    return ws_broadcast_others(sender, room, wsi_conn_text(text));
}

WS_API bool ws_server_broadcast(ws_server *server, const char *room, ws_message message) {
    return wsi_room_send(server, NULL, NULL, room, message);
}

WS_API bool ws_server_broadcast_text(ws_server *server, const char *room, const char *text) {
    return ws_server_broadcast(server, room, wsi_conn_text(text));
}

/*
>> ROUTES =================================================================================
   Path patterns, and what each serves. Calls TEXT, HTTP, HANDSHAKE, PLATFORM, LOOP, QUEUE, ROOMS. Prefix: wsi_route_.
*/

typedef struct wsi_route {
    ws_handler handler;   /* first: a connection's handler casts to wsi_route */
    struct wsi_route *next;
    const char *pattern;
#ifndef WS_NO_FORWARD
    void (*on_message)(ws_conn *conn, ws_message message); /* the program's callback, if BOUNDS has replaced it */
#endif
    unsigned methods;     /* the HTTP methods that the route takes, a bit for each; 0: a WebSocket */
    void (*answer)(ws_request *request); /* answers an HTTP request whose body is complete; NULL: sends the page */
    const char *header;   /* the page's line "Content-Type: ..." */
    wsi_slice page;
#ifndef WS_NO_HTTP
    ws_hook *function;    /* given to ws_http */
    void *user;
    const char *origins;  /* the origins whose pages may call the route; NULL: the server's list */
    const char *folder;   /* given to ws_files */
    const char *charset;  /* "; charset=..." of the folder's text files; NULL: UTF-8 */
#endif
} wsi_route;

typedef enum wsi_convertor { WSI_PLAIN, WSI_INT, WSI_FLOAT, WSI_UUID, WSI_PATH, WSI_UNKNOWN } wsi_convertor;

/* Reads "name:convertor}" from a pattern, after its '{'. */
static wsi_convertor wsi_route_param(wsi_slice *pattern, wsi_slice *name) {
    static const char *const names[] = {NULL, "int", "float", "uuid", "path"};
    wsi_slice kind;
    int i = WSI_INT;
    if (!wsi_text_until(pattern, '}', &kind))
        return WSI_UNKNOWN;
    *name = kind;
    if (!wsi_text_until(&kind, ':', name))
        return WSI_PLAIN;
    while (i < WSI_UNKNOWN && !wsi_text_is(kind, names[i]))
        i++;
    return (wsi_convertor)i;
}

static bool wsi_route_letter(char c) { return (uint8_t)((c | 32) - 'a') < 26; }

static bool wsi_route_name(wsi_slice name) {
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!wsi_route_letter(c) && c != '_' && !(i && wsi_text_digit(c)))
            return false;
    }
    return name.size > 0;
}

/* Refuses another router's syntax: a segment that starts like ":room", "*", "*path" or "<room>". *why translates it. */
static ws_error wsi_route_foreign(const char *text, wsi_reason *why) {
    for (; *text; text++) {
        const char *theirs = text + 1, *name = theirs + 1;
        size_t size = 0;
        if (*text != '/' || !(*theirs == '*' || (*theirs && strchr(":<", *theirs) && wsi_route_letter(*name))))
            continue;
        if (*theirs == '<' && name[strcspn(name, ":/")] == ':') /* "<int:room>" */
            name += strcspn(name, ":/") + 1;
        while (wsi_route_name(wsi_text(name, size + 1)))
            size++;
        return wsi_reason_set(why, WS_ERROR_PATTERN, "write {%.*s%s} for %.*s", size ? (int)size : 4,
                              size ? name : "path", *theirs == '*' ? ":path" : "", (int)strcspn(theirs, "/"), theirs);
    }
    return WS_OK;
}

/* Checks a pattern. *why: details of the error, if there are any. */
static ws_error wsi_route_check(const char *text, wsi_reason *why) {
    wsi_slice pattern = wsi_text_z(text), names[WSI_MAX_PARAMS], literal;
    size_t count = 0, i;
    if (!text || text[0] != '/')
        return wsi_reason_set(why, WS_ERROR_PATTERN, "a pattern begins with '/'");
    if (wsi_route_foreign(text, why))
        return WS_ERROR_PATTERN;
    for (; wsi_text_until(&pattern, '{', &literal); count++) {
        if (count == WSI_MAX_PARAMS || memchr(literal.data, '}', literal.size))
            return WS_ERROR_PATTERN;
        const char *at = pattern.data;
        wsi_convertor convertor = wsi_route_param(&pattern, &names[count]);
        if (convertor == WSI_UNKNOWN || !wsi_route_name(names[count]))
            return wsi_reason_set(why, WS_ERROR_PATTERN, "{%.*s is none of {b}, {n:int}, {x:float}, {i:uuid}, {p:path}",
                                  (int)strcspn(at, "/"), at);
        if (pattern.size && (convertor == WSI_PATH || pattern.data[0] == '{'))
            return WS_ERROR_PATTERN;
        for (i = 0; i < count; i++)
            if (wsi_text_same(names[i], names[count]))
                return WS_ERROR_DUPLICATE;
    }
    return memchr(pattern.data, '}', pattern.size) ? WS_ERROR_PATTERN : WS_OK;
}

static size_t wsi_route_digits(wsi_slice text, size_t from) {
    size_t i = from;
    while (i < text.size && wsi_text_digit(text.data[i]))
        i++;
    return i;
}

static size_t wsi_route_float(wsi_slice path) {
    size_t whole = wsi_route_digits(path, 0), all = whole;
    if (whole && whole < path.size && path.data[whole] == '.')
        all = wsi_route_digits(path, whole + 1);
    return all > whole + 1 ? all : whole;
}

static size_t wsi_route_uuid(wsi_slice path) {
    static const char form[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (i >= path.size || (form[i] == '-' ? path.data[i] != '-' : wsi_text_hex(path.data[i]) < 0))
            return 0;
    return sizeof form - 1;
}

/* How many bytes of the path match a parameter; 0: it does not match. */
static size_t wsi_route_take(wsi_convertor convertor, wsi_slice path, char stop) {
    size_t i = 0;
    switch (convertor) {
    case WSI_INT: return wsi_route_digits(path, 0);
    case WSI_FLOAT: return wsi_route_float(path);
    case WSI_UUID: return wsi_route_uuid(path);
    case WSI_PATH: return path.size;
    default: break;
    }
    while (i < path.size && path.data[i] != '/' && path.data[i] != stop)
        i++;
    return i;
}

/* Whether the path matches; values has room for WSI_MAX_PARAMS. Takes time linear in pattern and path. */
static bool wsi_route_match(const char *text, wsi_slice path, wsi_slice *values, size_t *count) {
    wsi_slice pattern = wsi_text_z(text), name;
    *count = 0;
    while (pattern.size) {
        char c = *pattern.data++;
        pattern.size--;
        if (c == '{') {
            wsi_convertor convertor = wsi_route_param(&pattern, &name);
            size_t taken = wsi_route_take(convertor, path, pattern.size ? pattern.data[0] : '/');
            if (!taken && convertor != WSI_PATH)
                return false;
            values[(*count)++] = wsi_text(path.data, taken);
            path = wsi_text(path.data + taken, path.size - taken);
        } else {
            if (!path.size || *path.data != c)
                return false;
            path = wsi_text(path.data + 1, path.size - 1);
        }
    }
    return !path.size;
}

/* Finds a parameter by its name. false: there is none of that name, and *index is the number of parameters. */
static bool wsi_route_find(const wsi_route *route, const char *name, size_t *index) {
    wsi_slice pattern = wsi_text_z(route->pattern), found;
    for (*index = 0; wsi_text_until(&pattern, '{', &found); ++*index) {
        (void)wsi_route_param(&pattern, &found);
        if (wsi_text_is(found, name))
            return true;
    }
    return false;
}

/* The route of a server's open connection. NULL: it is not open, or a client's. */
static const wsi_route *wsi_route_of(const ws_conn *conn) {
    return conn && conn->handler && !wsi_conn_is_client(conn) ? (const wsi_route *)(const void *)conn->handler : NULL;
}

/* A string of an open connection: 0 is the subprotocol, then the parameters; NULL after the last. */
static const char *wsi_route_string(const ws_conn *conn, size_t index) {
    const wsi_strings *strings = conn->strings;
    const char *text = strings ? strings->text : NULL;
    for (; text && index; index--)
        text += strlen(text) + 1;
    return text && text < strings->text + strings->size - sizeof *strings + 1 ? text : NULL;
}

WS_API const char *ws_param(const ws_conn *conn, const char *name) {
    const wsi_route *route = wsi_route_of(conn);
    size_t index;
    return route && name && wsi_route_find(route, name, &index) ? wsi_route_string(conn, index + 1) : NULL;
}

/* Adds a copy of a route. what: its kind, for errors. wrong: what is invalid, or NULL. good false: no memory. */
static bool wsi_route_add(ws_server *server, const char *what, const char *pattern, const wsi_route *given,
                          const char *wrong, bool good) {
    wsi_reason why;
    wsi_reason_clear(&why);
    ws_error error = wrong ? WS_ERROR_ARGUMENT : wsi_route_check(pattern, &why);
    wsi_route *route = error || !good ? NULL : (wsi_route *)wsi_server_keep(server, given, sizeof *given);
    WS_ASSERT(wsi_loop_is_ours(server->endpoint.loop));
    if (!route || !wsi_server_keep_text(server, &route->pattern, pattern))
        return wsi_server_fail(server, error ? error : WS_ERROR_MEMORY, what, pattern,
                               wrong ? wrong : *why.text ? why.text : NULL);
    *server->last_route = route;
    server->last_route = &route->next;
    return true;
}

WS_API bool ws_route(ws_server *server, const char *pattern, const ws_handler *handler) {
    wsi_route route;
    wsi_reason why;
    if (!server)
        return false;
    memset(&route, 0, sizeof route);
    if (!handler)
        return wsi_route_add(server, "route", pattern, &route, "the handler is NULL", true);
    route.handler = *handler;
    if (WSI_ADD_ON(server->forward))
        server->forward->meter(server, &route);
    bool good = wsi_server_keep_text(server, &route.handler.subprotocols, handler->subprotocols);
    const char *wrong = wsi_reason_subprotocols(handler->subprotocols, &why) ? wsi_codec_wrong(&handler->deflate)
                                                                             : why.text;
    return wsi_route_add(server, "route", pattern, &route, wrong, good);
}

/* --- pages from a string --- */

enum { WSI_CHARSET = 1024 }; /* bytes at a page's start that may name its charset */

static bool wsi_route_begins(wsi_slice text, const char *with) {
    size_t size = strlen(with);
    return text.size >= size && wsi_text_is_nocase(wsi_text(text.data, size), with);
}

/* Whether a page or a style sheet names its own charset, which a charset in Content-Type would override (HTML 13.2.3.2,
   CSS Syntax 3.2): <meta charset=..., <meta content="text/html; charset=..., or @charset at the start. */
static bool wsi_route_names_charset(const char *type, wsi_slice text) {
    bool comment = false, meta = false;
    if (strcmp(type, "text/html") != 0)
        return strcmp(type, "text/css") == 0 && wsi_route_begins(text, "@charset \"");
    if (text.size > WSI_CHARSET)
        text.size = WSI_CHARSET;
    for (; text.size; text.data++, text.size--) {
        if (comment || wsi_route_begins(text, "<!--"))
            comment = !wsi_route_begins(text, "-->");
        else if (wsi_route_begins(text, "<meta"))
            meta = true;
        else if (*text.data == '>')
            meta = false;
        else if (meta && wsi_route_begins(text, "charset")
                 && wsi_route_begins(wsi_text_trim(wsi_text(text.data + 7, text.size - 7)), "="))
            return true;
    }
    return false;
}

/* The charset parameter for Content-Type: UTF-8, unless the text names its own. */
static const char *wsi_route_charset(const char *type, wsi_slice text) {
    return strncmp(type, "text/", 5) != 0 || strchr(type, ';') || wsi_route_names_charset(type, text)
               ? "" : "; charset=utf-8";
}

static bool wsi_route_page(ws_server *server, const char *pattern, const char *type, const char *body, size_t size) {
    const char *wrong = !type                     ? "content_type is NULL"
                        : !body                   ? "body is NULL"
                        : !wsi_http_safe(type, ' ') ? "content_type holds a control character"
                                                  : NULL;
    wsi_route route;
    memset(&route, 0, sizeof route);
    route.methods = WSI_HTTP_GET | WSI_HTTP_HEAD;
    if (wrong)
        return wsi_route_add(server, "page", pattern, &route, wrong, true);
    const char *charset = wsi_route_charset(type, wsi_text(body, size));
    const char *parts[] = {"Content-Type: ", type, charset, "\r\n"};
    char *header = (char *)wsi_server_keep(server, NULL, sizeof "Content-Type: \r\n" + strlen(type) + strlen(charset));
    route.header = header;
    for (size_t i = 0; header && i < 4; i++) /* the line's final zero is there already */
        header = wsi_text_append(header, wsi_text_z(parts[i]));
    route.page = wsi_text((const char *)wsi_server_keep(server, body, size), size);
    return wsi_route_add(server, "page", pattern, &route, NULL, route.header && route.page.data);
}

WS_API bool ws_page(ws_server *server, const char *pattern, const char *content_type, const char *body) {
    return server && wsi_route_page(server, pattern, content_type, body, body ? strlen(body) : 0);
}

/*
>> REQUEST ================================================================================
   Reads requests, builds answers, keeps requests for later. Calls MEMORY, TEXT, HTTP, HANDSHAKE, HEADS, LOOP,
   TRANSPORT, SEND, LIFE, ROOMS, ROUTES. Prefixes: wsi_request_, wsi_kept_ (a request that outlives its callback).
*/

enum { /* the buffers of a request */
    WSI_LINES,       /* header lines of the answer */
    WSI_REPLY,       /* the answer's body */
    WSI_SUBPROTOCOL, /* the one that a hook chose; or empty */
#ifndef WS_NO_HTTP
    WSI_COOKIES,     /* Set-Cookie lines of the answer */
    WSI_FORM,        /* the decoded form: see wsi_http_form */
    WSI_CONTENT,     /* the body of a kept request */
    WSI_SESSION,     /* the session's JSON, once has_session is set */
#endif
    WSI_BUFFERS
};

typedef struct wsi_hook { /* added by ws_before */
    struct wsi_hook *next;
    ws_hook *function;
    void *user;
} wsi_hook;

struct ws_request {
    ws_server *server;
    ws_conn *conn;
    const wsi_route *route;
    const wsi_request *head;
    const wsi_hook *hook;   /* the next hook to call */
    bool routed;            /* the route's on_request has been called */
#ifndef WS_NO_KEEP
    uint8_t stage;          /* wsi_stage */
    struct wsi_kept *kept;  /* the copy that contains this request; NULL: it is valid only while its callbacks run */
#endif
    wsi_slice path, query;  /* decoded; query: see wsi_http_form */
    size_t count;           /* number of values */
#ifndef WS_NO_HTTP
    ws_message body;
    bool has_session;       /* the cookies have been searched for a session */
#endif
    wsi_buffer buffers[WSI_BUFFERS]; /* each has a zero byte after its bytes, or no memory */
    void *user;
    ws_deflate_config deflate;
    int status;             /* 0: accepted, or not answered yet */
    bool failed;            /* a call of the program failed: the answer has only this status, and no other part */
    wsi_slice values[WSI_MAX_PARAMS + 1]; /* the route's parameters, then the session; not zeroed at first */
};

/* --- the end of a request, and kept requests --- */

static wsi_window *wsi_request_window(const ws_request *request) { return &request->server->endpoint.loop->window; }

static void wsi_request_status(const ws_request *request, int status) {
    wsi_engine_status(&request->conn->engine, wsi_request_window(request), status);
}

static void wsi_request_free(ws_request *request) {
    for (int i = 0; i < WSI_BUFFERS; i++)
        if (request->buffers[i].data)
            wsi_buffer_free(wsi_server_memory(request->server), &request->buffers[i]);
}

/* Whether the connection stays open for another request. */
static bool wsi_request_is_followed(const ws_request *request) {
    return request->head->keep_alive && !request->server->endpoint.ending;
}

#ifdef WS_NO_KEEP
static struct wsi_kept *wsi_kept_of(const ws_conn *conn) { return (void)conn, (struct wsi_kept *)NULL; }
static bool wsi_request_answerable(const ws_request *request) { return (void)request, true; }
static bool wsi_request_is_running(const ws_request *request) { return (void)request, true; }
static bool wsi_request_waits(const ws_request *request) { return (void)request, false; }
static bool wsi_request_decided(const ws_request *request) { return (void)request, true; }
static void wsi_kept_abandon(const ws_conn *conn) { (void)conn; }
static void wsi_request_end(ws_request *request) { wsi_request_free(request); }
#else
typedef enum wsi_stage {
    WSI_RUNNING,  /* the request's callbacks are running */
    WSI_KEPT,     /* kept by ws_keep, and not answered yet */
    WSI_ANSWERED, /* kept and answered; the answer is sent at the end of the round */
    WSI_MOVED,    /* replaced by a kept copy */
    WSI_WAITING,  /* kept while its body arrives, or a file is sent */
    WSI_ENDED
} wsi_stage;

typedef struct wsi_kept { /* a request that outlives its callback, in one block with all that it points to */
    ws_request request;
    wsi_request head;
    ws_hook *abandoned;
    void *abandoned_user;
    int (*ended)(struct wsi_kept *kept); /* called if the connection ends before the answer. Returns the status to send,
                                            or 0 to send nothing */
#ifndef WS_NO_HTTP
    wsi_file file;        /* the file that is being sent */
    uint64_t left;        /* how many of the file's bytes are not sent yet */
#endif
    size_t size;          /* the size of this block */
    char text[1];
} wsi_kept;

/* Removes a request's head from the window, after the answer or a copy. */
static void wsi_request_consume(const ws_request *request) {
    wsi_request_window(request)->pos += (size_t)request->conn->engine.left;
    request->conn->engine.left = 0;
}

static bool wsi_request_answerable(const ws_request *request) { return request->stage <= WSI_ANSWERED; }

static bool wsi_request_is_running(const ws_request *request) { return request->stage == WSI_RUNNING; }

/* Called after the callbacks. Returns whether the request is kept, or waits for something else. */
static bool wsi_request_waits(const ws_request *request) {
    ws_conn *conn = request->conn;
    if (request->stage != WSI_RUNNING && conn->engine.state == WSI_ASKED) {
        wsi_request_consume(request);
        conn->engine.since = conn->engine.heard;
        wsi_conn_tick(conn);
    }
    return request->stage != WSI_RUNNING;
}

/* Called when a request has its answer. The answer to a kept request is sent at the end of the round. */
static bool wsi_request_decided(ws_request *request) {
    if (request->stage == WSI_KEPT) {
        request->stage = WSI_ANSWERED;
        request->kept->abandoned = NULL;
        wsi_conn_mark_due(request->server->endpoint.loop, request->conn);
    }
    return true;
}

static wsi_kept *wsi_kept_of(const ws_conn *conn) { return conn->extra ? conn->extra->kept : NULL; }

/* Frees a kept request; its connection may then have another. */
static void wsi_kept_free(wsi_kept *kept) {
    kept->request.conn->extra->kept = NULL;
    kept->request.conn->extra->proceed = NULL;
    wsi_request_free(&kept->request);
    wsi_memory_free(wsi_server_memory(kept->request.server), kept, kept->size);
}

static void wsi_request_end(ws_request *request) {
    if (request->kept)
        wsi_kept_free(request->kept);
    else
        wsi_request_free(request);
}

/* Copies a request, and what it points to, to a block that outlives its callback. NULL: no memory. */
static wsi_kept *wsi_kept_new(ws_request *request) {
    wsi_slice head = request->head->head;
    wsi_slice decoded = {(const char *)request->server->path.data, request->server->path.size};
    size_t size = sizeof(wsi_kept) + head.size + decoded.size;
    wsi_kept *kept = NULL;
    if (wsi_conn_extra(request->conn))
        kept = (wsi_kept *)wsi_memory_new(wsi_server_memory(request->server), size);
    if (!kept)
        return NULL;
    char *to = wsi_text_append(kept->text, head);
    (void)wsi_text_append(to, decoded);
    (void)wsi_handshake_request(&kept->head, wsi_text(kept->text, head.size)); /* its slices point into this copy */
    kept->size = size;
    kept->request = *request;
    kept->request.head = &kept->head;
    kept->request.kept = kept;
    kept->request.path.data = to;
    kept->request.query.data = to + request->path.size;
    for (size_t i = 0; i < request->count; i++)
        kept->request.values[i].data = to + (request->values[i].data - decoded.data);
    memset(request->buffers, 0, sizeof request->buffers); /* the copy owns them */
    request->stage = WSI_MOVED;
    request->conn->extra->kept = kept;
    return kept;
}

/* Lets the connection wait until this request is answered: see wsi_kept and wsi_extra. NULL: no memory. */
static wsi_kept *wsi_kept_wait(ws_request *request, wsi_stage stage, int (*ended)(wsi_kept *kept),
                               void (*proceed)(ws_conn *conn)) {
    wsi_kept *kept = request->kept ? request->kept : wsi_kept_new(request);
    if (!kept)
        return NULL;
    kept->request.stage = (uint8_t)stage;
    kept->ended = ended;
    kept->request.conn->extra->proceed = proceed;
    return kept;
}

/* Called when a connection ends: its kept request, if it has one, gets no answer from the program. */
static void wsi_kept_abandon(ws_conn *conn) {
    wsi_kept *kept = wsi_kept_of(conn);
    if (!kept)
        return;
    kept->request.stage = WSI_ENDED;
    int status = kept->ended(kept);
    conn->engine.env->request = kept->head;
    if (!conn->broken && status)
        wsi_request_status(&kept->request, status);
    wsi_kept_free(kept);
}
#endif /* WS_NO_KEEP */

/* --- reading a request --- */

WS_API const char *ws_request_method(const ws_request *request) {
    return request ? wsi_http_methods[wsi_http_method(wsi_http_method_of(request->head))] : "";
}

WS_API ws_slice ws_request_path(const ws_request *request) { return request ? request->path : wsi_text(NULL, 0); }

WS_API ws_slice ws_request_param(const ws_request *request, const char *name) {
    size_t index;
    return request && name && wsi_route_find(request->route, name, &index) ? request->values[index] : wsi_text(NULL, 0);
}

/* The value of a name in a decoded query or form; absent if there is no such name. */
static wsi_slice wsi_request_pair(wsi_slice rest, const char *name) {
    wsi_slice found, value;
    while (name && wsi_text_until(&rest, 0, &found) && wsi_text_until(&rest, 0, &value))
        if (wsi_text_is(found, name))
            return value;
    return wsi_text(NULL, 0);
}

WS_API ws_slice ws_request_query(const ws_request *request, const char *name) {
    return request ? wsi_request_pair(request->query, name) : wsi_text(NULL, 0);
}

WS_API ws_slice ws_request_raw_query(const ws_request *request) {
    return request ? request->head->query : wsi_text(NULL, 0);
}

/* The head without its first line. */
static wsi_slice wsi_request_fields(const ws_request *request) {
    wsi_slice rest = request->head->head;
    (void)wsi_http_line(&rest);
    return rest;
}

WS_API ws_slice ws_request_header(const ws_request *request, const char *name) {
    wsi_slice rest = request && name ? wsi_request_fields(request) : wsi_text(NULL, 0), value;
    if (rest.data && wsi_text_is_nocase(wsi_text_z(name), "host"))
        return request->head->host; /* the host of an absolute target replaces that of the field */
    return wsi_http_find(&rest, name, &value) ? value : wsi_text(NULL, 0);
}

/* Finds the next cookie of that name. At first *fields must be the head's fields, and *pairs empty. */
static bool wsi_request_cookie(wsi_slice *fields, wsi_slice *pairs, const char *name, wsi_slice *value) {
    wsi_slice found;
    while (pairs->size || wsi_http_find(fields, "cookie", pairs)) {
        *value = wsi_text_part(pairs, ';');
        if (!wsi_text_until(value, '=', &found) || !wsi_text_is(wsi_text_trim(found), name))
            continue;
        *value = wsi_text_trim(*value);
        if (value->size >= 2 && value->data[0] == '"' && value->data[value->size - 1] == '"')
            *value = wsi_text(value->data + 1, value->size - 2);
        return true;
    }
    return false;
}

WS_API ws_slice ws_request_cookie(const ws_request *request, const char *name) {
    wsi_slice fields = request && name ? wsi_request_fields(request) : wsi_text(NULL, 0), pairs = {NULL, 0}, value;
    return wsi_request_cookie(&fields, &pairs, name, &value) ? value : wsi_text(NULL, 0);
}

WS_API bool ws_request_peer(const ws_request *request, char *text, size_t size) {
    return request && ws_peer(request->conn, text, size);
}

WS_API ws_server *ws_request_server(const ws_request *request) { return request ? request->server : NULL; }

WS_API bool ws_slice_is(ws_slice slice, const char *text) {
    return slice.data && text && wsi_text_is(slice, text);
}

WS_API bool ws_slice_integer(ws_slice slice, int64_t *integer) {
    bool negative = slice.size && slice.data[0] == '-';
    uint64_t value;
    if (!wsi_text_digits(slice, negative, (uint64_t)INT64_MAX + negative, &value))
        return false;
    *integer = !negative ? (int64_t)value : value ? -(int64_t)(value - 1) - 1 : 0;
    return true;
}

WS_API bool ws_slice_unsigned(ws_slice slice, uint64_t *integer) {
    return wsi_text_digits(slice, 0, UINT64_MAX, integer);
}

WS_API bool ws_before(ws_server *server, ws_hook *function, void *user) {
    if (!server)
        return false;
    wsi_hook given = {NULL, function, user};
    wsi_hook *hook = function ? (wsi_hook *)wsi_server_keep(server, &given, sizeof given) : NULL;
    if (!hook)
        return wsi_server_fail(server, function ? WS_ERROR_MEMORY : WS_ERROR_ARGUMENT, "hook of", "ws_before",
                               function ? NULL : "it is NULL");
    *server->last_hook = hook;
    server->last_hook = &hook->next;
    return true;
}

/* --- the answer --- */

/* Whether a request still waits for an answer. */
static bool wsi_request_open(const ws_request *request) {
    WS_ASSERT(!request || wsi_loop_is_ours(request->server->endpoint.loop));
    return request && wsi_request_answerable(request) && !request->status;
}

/* Replaces the answer with this status. */
static bool wsi_request_fail(ws_request *request, int status) {
    request->status = status;
    request->failed = true;
    (void)wsi_request_decided(request);
    return false;
}

static bool wsi_request_put(ws_request *request, int buffer, wsi_slice text) {
    return wsi_buffer_append(wsi_server_memory(request->server), &request->buffers[buffer], text.data, text.size);
}

static bool wsi_request_text(ws_request *request, int buffer, const char *text) {
    return wsi_request_put(request, buffer, wsi_text_z(text));
}

static wsi_slice wsi_request_buffer(const ws_request *request, int buffer) {
    return wsi_text((const char *)request->buffers[buffer].data, request->buffers[buffer].size);
}

/* Appends a header line: `name`, `value`, `more`, CRLF. */
static bool wsi_request_line(ws_request *request, const char *name, const char *value, const char *more) {
    return wsi_request_text(request, WSI_LINES, name) && wsi_request_text(request, WSI_LINES, value)
           && wsi_request_text(request, WSI_LINES, more) && wsi_request_text(request, WSI_LINES, "\r\n");
}

static bool wsi_request_lines(ws_request *request, const char *const *headers) {
    for (; headers && *headers; headers++)
        if (!wsi_http_own_header(*headers) || !wsi_request_line(request, *headers, "", ""))
            return false;
    return true;
}

static bool wsi_request_choose(ws_request *request, const char *subprotocol) {
    request->buffers[WSI_SUBPROTOCOL].size = 0;
    return wsi_text_token(wsi_text_z(subprotocol)) && wsi_handshake_choose(request->head, subprotocol).size
           && wsi_request_text(request, WSI_SUBPROTOCOL, subprotocol);
}

WS_API bool ws_accept(ws_request *request, const ws_acceptance *how) {
    if (!wsi_request_open(request) || !request->head->upgrade)
        return false;
    request->user = how && how->user ? how->user : request->user;
    request->deflate = how && how->deflate ? *how->deflate : request->deflate;
    if (how && ((how->subprotocol && !wsi_request_choose(request, how->subprotocol))
                || !wsi_request_lines(request, how->headers) || wsi_codec_wrong(&request->deflate)))
        return wsi_request_fail(request, 500);
    return wsi_request_decided(request);
}

static bool wsi_request_bodiless(int status) { return wsi_http_bodiless(status) || status == 205; }

/* Sets an HTTP answer. type NULL: no Content-Type, unless headers has one. */
static bool wsi_request_answer(ws_request *request, int status, const char *const *headers, const char *type,
                               const void *body, size_t size) {
    bool bodiless = wsi_request_bodiless(status);
    if (!wsi_request_open(request))
        return false;
    request->buffers[WSI_LINES].size = request->buffers[WSI_REPLY].size = 0; /* an earlier hook may have filled them */
    for (const char *const *line = headers; line && *line; line++)
        type = wsi_http_is_header(*line, "content-type") ? NULL : type;
    if (status < 200 || status > 599 || (size && (bodiless || !body)) || !wsi_http_safe(type, ' ')
        || !wsi_request_lines(request, headers)
        || (type && !bodiless
            && !wsi_request_line(request, "Content-Type: ", type, wsi_route_charset(type, wsi_text("", 0))))
        || !wsi_request_put(request, WSI_REPLY, wsi_text((const char *)body, size)))
        return wsi_request_fail(request, 500);
    request->status = status;
    return wsi_request_decided(request);
}

WS_API bool ws_refuse(ws_request *request, int status, const char *const *headers, const char *body) {
    body = body ? body : wsi_request_bodiless(status) ? "" : wsi_http_reason(status);
    return wsi_request_answer(request, status, headers, "text/plain", body, strlen(body));
}

/*
>> SERVER =================================================================================
   Listens, passes requests to the program, and sends its answers. Calls MEMORY, TEXT, UTF8, HTTP, HANDSHAKE, HEADS,
   MESSAGES, PLATFORM, SOCKETS, TCP, POLL, LOOP, QUEUE, TRANSPORT, SEND, RECEIVE, LIFE, ROOMS, ROUTES, REQUEST.
   Prefixes: wsi_server_, wsi_listener_. Every request passes through wsi_server_request. Servers reach FORWARD, TLS,
   WEB through tables of functions (wsi_web_calls, ...), SESSION through one pointer, open_session.
*/

/* --- requests: from the engine to the program and back --- */

/* The first of these routes that serves the path, for WebSockets (upgrade) or HTTP; NULL: none does. */
static const wsi_route *wsi_server_route(ws_request *request, const wsi_route *route, bool upgrade) {
    for (; route; route = route->next)
        if (!route->methods == upgrade
            && wsi_route_match(route->pattern, request->path, request->values, &request->count))
            break;
    return route;
}

static bool wsi_server_takes(const wsi_route *route, const wsi_request *head) {
    return route->methods >> wsi_http_method(wsi_http_method_of(head)) & 1;
}

static bool wsi_server_has_body(const wsi_request *head) { return head->chunked || head->content_length; }

static const char *wsi_server_lines(const ws_request *request) {
    return request->buffers[WSI_LINES].size ? (const char *)request->buffers[WSI_LINES].data : "";
}

static void wsi_server_open(ws_request *request) {
    ws_server *server = request->server;
    ws_conn *conn = request->conn;
    const ws_handler *handler = &request->route->handler;
    wsi_slice subprotocol = wsi_request_buffer(request, WSI_SUBPROTOCOL);
    if (!subprotocol.size && handler->subprotocols)
        subprotocol = wsi_handshake_choose(request->head, handler->subprotocols);
    if (WSI_ADD_ON(server->open_session)) {
        server->open_session(request);
        if (conn->engine.state != WSI_ASKED) /* the program's hmac or clock may end the connection */
            return;
    }
    if (!wsi_conn_keep_strings(conn, subprotocol, request->values, request->count)) {
        wsi_request_status(request, 503);
        return;
    }
    if (!wsi_engine_accept(&conn->engine, wsi_request_window(request), subprotocol, wsi_server_lines(request),
                           &request->deflate))
        return;
    conn->handler = handler;
    conn->user = request->user;
    conn->engine.chunks = handler->on_chunk != NULL;
    WSI_TRACE(&conn->engine, WS_TRACE_OPENED, 0, NULL, 0);
    server->open_count++;
    conn->progress_at = (uint32_t)server->endpoint.loop->now; /* wsi_server_finish has just read the clock */
    wsi_conn_tick(conn);
}

static void wsi_server_send(ws_request *request) {
    ws_conn *conn = request->conn;
    const wsi_web_calls *web = WSI_ADD_ON(request->server->endpoint.loop->web_calls);
    bool upgrade = request->head->upgrade;
    if (request->head != &conn->engine.env->request)
        conn->engine.env->request = *request->head;
    if (web && !web->finish(request))
        (void)wsi_request_fail(request, 500);
    if (!request->status && upgrade)
        wsi_server_open(request);
    else if (!request->status || request->failed) /* no answer was given, or none that can be sent */
        wsi_request_status(request, request->status ? request->status : 500);
    else
        (void)wsi_engine_respond(&conn->engine, wsi_request_window(request), request->status,
                                 wsi_server_lines(request), wsi_request_buffer(request, WSI_REPLY),
                                 wsi_request_is_followed(request) && !upgrade);
}

/* Called after the callbacks. Answers and frees the request, unless it is kept. */
static void wsi_server_finish(ws_request *request) {
    ws_conn *conn = request->conn;
    if (!request->head->upgrade || request->routed || request->server->hooks) /* time in callbacks does not count */
        wsi_engine_heard(&conn->engine, wsi_loop_time(wsi_conn_loop(conn)));
    if (wsi_request_waits(request))
        return;
    if (conn->engine.state == WSI_ASKED) /* a hook may have ended the server */
        wsi_server_send(request);
    wsi_request_end(request);
    if (conn->engine.state == WSI_OPEN && conn->handler && conn->handler->on_open)
        conn->handler->on_open(conn);
}

static bool wsi_server_unanswered(const ws_request *request) {
    return wsi_request_is_running(request) && !request->status && request->conn->engine.state == WSI_ASKED;
}

/* Runs the remaining hooks until one answers. If none does, accepts the handshake. */
static void wsi_server_run_hooks(ws_request *request) {
    const ws_handler *handler = &request->route->handler;
    while (request->hook && wsi_server_unanswered(request)) {
        const wsi_hook *hook = request->hook;
        request->hook = hook->next; /* before the call, which may move the request */
        hook->function(request, hook->user);
    }
    if (handler->on_request && !request->routed && wsi_server_unanswered(request)) {
        request->routed = true;
        handler->on_request(request);
    }
    wsi_server_finish(request);
}

/* Whether Host is in the list. A Host without a port means 443 with TLS, else 80 or 443, as a proxy may add TLS. */
static bool wsi_server_knows_host(const wsi_request *request, const char *hosts, bool secure, wsi_why *why) {
    wsi_slice list = wsi_text_z(hosts), element, name, host;
    wsi_size wanted, port;
    while (wsi_text_next(&list, &element))
        if (wsi_http_authority(element, 0, &name, &wanted)
            && wsi_http_authority(request->host, secure || wanted == 443 ? 443 : 80, &host, &port)
            && wsi_text_same_nocase(host, name) && (!wanted || wanted == port))
            return true;
    return wsi_handshake_deny(why, "the Host ", request->host, " is not in .hosts", wsi_text(NULL, 0));
}

/* Decodes path and query to UTF-8. Returns 0, 400 if the path is invalid, or 503 if there is no memory. */
static int wsi_server_decode(ws_server *server, ws_request *request) {
    const wsi_request *head = request->head;
    server->path.size = 0;
    if (!wsi_buffer_reserve(wsi_server_memory(server), &server->path, head->path.size + 2 * head->query.size + 3))
        return 503;
    char *text = (char *)server->path.data;
    ptrdiff_t size = wsi_text_unescape(head->path, text);
    if (size < 0 || !wsi_utf8_valid(server->path.data, (size_t)size))
        return 400;
    request->path = wsi_text(text, (size_t)size);
    request->query = wsi_text(text + size, (size_t)wsi_http_form(head->query, text + size, false));
    server->path.size = (size_t)size + request->query.size;
    server->path.data[server->path.size++] = 0;
    return 0;
}

/* Checks Host and Origin. Returns 0, or the status with which to refuse the request. */
WSI_INLINE int wsi_server_admits(const ws_request *request, bool secure, wsi_why *why) {
    const ws_server *server = request->server;
    const wsi_web_calls *web = WSI_ADD_ON(server->endpoint.loop->web_calls);
    if (request->head->upgrade)
        return wsi_handshake_origin(request->head, server->origins, secure, why) ? 0 : 403;
    return web ? web->check(request, secure, why) : 0;
}

/* Finds the route. Returns 0, or the status with which to refuse the request; for 403 *why has the reason. */
static int wsi_server_check(ws_request *request, wsi_why *why) {
    const ws_server *server = request->server;
    const wsi_request *head = request->head;
    bool secure = wsi_conn_is_tls(request->conn);
    if (server->hosts && !wsi_server_knows_host(head, server->hosts, secure, why))
        return 403;
    int status = wsi_server_decode(request->server, request);
    if (status)
        return status;
    if (head->upgrade && head->status)
        return head->status;
    if (wsi_text_is(head->path, "*"))
        return WSI_ADD_ON(server->endpoint.loop->web_calls) ? 204 : 405;
    request->route = wsi_server_route(request, server->routes, head->upgrade);
    while (request->route && !head->upgrade && !wsi_server_takes(request->route, head))
        request->route = wsi_server_route(request, request->route->next, false);
    if (!request->route && head->upgrade)
        return 404;
    if (!request->route)
        return wsi_server_route(request, server->routes, false)  ? 405
               : wsi_server_route(request, server->routes, true) ? 426 : 404;
    return WSI_ADD_ON(server->forward) ? server->forward->admits(request, secure, why)
                                       : wsi_server_admits(request, secure, why);
}

/* Answers an HTTP request whose body is complete. If the body was not read, the connection ends after the answer. */
static void wsi_server_answer(ws_request *request) {
    const wsi_route *route = request->route;
    bool reads = WSI_ADD_ON(request->server->endpoint.loop->web_calls) != NULL;
    if (route->answer) {
        route->answer(request);
        return;
    }
    (void)wsi_engine_respond(&request->conn->engine, wsi_request_window(request), 200, route->header, route->page,
                             wsi_request_is_followed(request) && (reads || !wsi_server_has_body(request->head)));
    wsi_request_end(request);
}

/* Every request passes through here: a handshake, an HTTP request, or its complete body. */
static void wsi_server_request(ws_conn *conn, const ws_event *event) {
    ws_server *server = wsi_server_of(conn);
    ws_loop *loop = server->endpoint.loop;
    const wsi_web_calls *web = WSI_ADD_ON(loop->web_calls);
    ws_request request;
    wsi_why why;
    if (wsi_kept_of(conn)) {
        web->body(wsi_kept_of(conn), event->message);
        return;
    }
    wsi_window_restore(&loop->window);
    memset(&request, 0, offsetof(ws_request, values));
    request.server = server;
    request.conn = conn;
    request.head = &server->endpoint.env.request;
    request.hook = server->hooks;
    WSI_TRACE(&conn->engine, WS_TRACE_HEAD, 0, request.head->head.data, request.head->head.size);
    int status = wsi_server_check(&request, &why);
    if (status) {
        if (web && ((status == 405 && !request.head->upgrade) || status == 204))
            web->allow(&request, status);
        else if (status == 403)
            wsi_engine_forbid(&conn->engine, &loop->window, &why);
        else
            wsi_request_status(&request, status);
        return;
    }
    request.user = request.route->handler.user;
    request.deflate = request.route->handler.deflate;
    if (request.head->upgrade) {
        wsi_server_run_hooks(&request);
        return;
    }
    wsi_engine_heard(&conn->engine, wsi_loop_time(loop));
    if (web && wsi_server_has_body(request.head))
        web->await_body(&request);
    else
        wsi_server_answer(&request);
}

#ifndef WS_NO_KEEP
/* A kept request has its answer: sends it, then resumes reading. */
static void wsi_server_proceed(ws_conn *conn) {
    wsi_kept *kept = wsi_kept_of(conn);
    if (kept->request.stage != WSI_ANSWERED || conn->engine.state != WSI_ASKED)
        return;
    kept->request.stage = WSI_RUNNING;
    if (kept->request.head->upgrade)
        wsi_server_run_hooks(&kept->request);
    else
        wsi_server_finish(&kept->request);
    if (conn->engine.state == WSI_HEAD)
        wsi_conn_tick(conn); /* starts idle_ms for the next request */
    if (wsi_conn_endpoint(conn)->ending)
        wsi_conn_restart(conn);
    if (conn->engine.state != WSI_ASKED && !conn->pause_reasons && !conn->broken && !conn->is_ending)
        wsi_conn_resume(conn);
    wsi_conn_interest(conn);
}

static int wsi_kept_ended(wsi_kept *kept) {
    if (kept->abandoned)
        kept->abandoned(&kept->request, kept->abandoned_user);
    return 503;
}

WS_API ws_id ws_keep(ws_request *request, ws_hook *abandoned, void *user) {
    ws_conn *conn = request ? request->conn : NULL;
    const wsi_web_calls *web = conn ? WSI_ADD_ON(wsi_conn_loop(conn)->web_calls) : NULL;
    wsi_kept *kept = NULL;
    if (!request || request->stage != WSI_RUNNING || request->status || conn->engine.state != WSI_ASKED)
        return 0;
    if (conn->generation <= UINT32_MAX - 4 && (!request->kept || !web || web->keep_body(request)))
        kept = wsi_kept_wait(request, WSI_KEPT, wsi_kept_ended, wsi_server_proceed);
    if (!kept) {
        (void)wsi_request_fail(request, 503);
        return 0;
    }
    kept->abandoned = abandoned;
    kept->abandoned_user = user;
    conn->generation++; /* the connection's next id becomes this request's */
    return ws_conn_id(conn);
}

WS_API ws_request *ws_kept(ws_loop *loop, ws_id id) {
    const ws_conn *conn = wsi_conn_of_id(loop, id);
    wsi_kept *kept = conn ? wsi_kept_of(conn) : NULL;
    return kept && kept->request.stage == WSI_KEPT ? &kept->request : NULL;
}
#endif /* WS_NO_KEEP */

/* While a server is ending, a request is its connection's last. A WebSocket that it opens is closed at once. */
static void wsi_server_request_last(ws_conn *conn, const ws_event *event) {
    wsi_server_request(conn, event);
    wsi_conn_restart(conn);
}

static bool wsi_server_leave(ws_conn *conn) {
    while (conn->rooms)
        wsi_room_leave(wsi_server_of(conn), conn->rooms);
    if (conn->extra)
        wsi_queue_clear(wsi_conn_loop(conn), &conn->extra->later);
    wsi_kept_abandon(conn);
    if (conn->handler)
        wsi_server_of(conn)->open_count--;
    return true;
}

/* --- listening --- */

enum {
    WSI_ACCEPTS = 64,       /* the most connections to accept in one go */
    WSI_ACCEPT_PAUSE = 100, /* ms until the next try when no descriptor is left */
    WSI_LAST_REQUEST = 1000 /* ms for a request after accept, when the server is ending */
};

static const char wsi_server_overloaded[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                                          "Content-Length: 0\r\nConnection: close\r\n\r\n";

/* Answers a connection beyond max_connections with 503, without parsing its request. */
static void wsi_listener_reject(const wsi_listener *listener, ws_socket descriptor) {
    uint8_t request[1024];
    ws_span answer = {(uint8_t *)(uintptr_t)wsi_server_overloaded, sizeof wsi_server_overloaded - 1}; /* only read */
    wsi_endpoint *endpoint = &listener->server->endpoint;
    ws_link link;
    memset(&link, 0, sizeof link);
    link.descriptor = descriptor;
    WSI_COUNT(endpoint->env.counts.refused[1], 1);
    WSI_LOOP_TRACE(endpoint->loop, WS_TRACE_REFUSED, 503, &descriptor, 0);
    (void)wsi_tcp_read(&link, request, sizeof request);
    if (listener->plain)
        (void)wsi_tcp_write_one(&link, answer);
    wsi_tcp_shutdown(&link);
    wsi_tcp_close(&link);
}

static void wsi_server_fire(wsi_endpoint *endpoint) {
    ws_server *server = (ws_server *)(void *)endpoint;
    for (wsi_listener *listener = server->listeners; listener && !endpoint->ending; listener = listener->next)
        if (listener->source.link.descriptor != WSI_NO_SOCKET
            && !wsi_poll_set(&endpoint->loop->poll, &listener->source, WS_READ))
            wsi_timer_set(endpoint->loop, &endpoint->timer, endpoint->loop->now + WSI_ACCEPT_PAUSE);
}

static bool wsi_server_add(ws_server *server, ws_socket descriptor, bool plain) {
    wsi_endpoint *endpoint = &server->endpoint;
    ws_conn *conn = endpoint->count < endpoint->max_count ? wsi_conn_new(endpoint) : NULL;
    if (!conn)
        return false;
    conn->source.link.plain = plain;
    bool good = WSI_ADD_ON(server->forward) ? (server->forward->accept)(conn, descriptor)
                                            : wsi_conn_attach(conn, descriptor, NULL) == WS_OK;
    WSI_COUNT(endpoint->env.counts.accepted, good);
    if (good)
        WSI_TRACE(&conn->engine, WS_TRACE_ACCEPTED, 0, NULL, 0);
    else
        wsi_conn_free(conn);
    return good;
}

static void wsi_server_accept(ws_loop *loop, wsi_source *source, unsigned ready) {
    wsi_listener *listener = (wsi_listener *)(void *)source;
    ws_server *server = listener->server;
    (void)ready;
    (void)wsi_loop_time(loop);
    for (int i = 0; i < WSI_ACCEPTS; i++) {
        ws_socket descriptor;
        wsi_accepted accepted = wsi_platform_accept(source->link.descriptor, &descriptor);
        if (accepted == WSI_ACCEPT_NONE)
            return;
        if (accepted == WSI_ACCEPT_FULL) { /* no busy loop: connections wait in the system's queue */
            (void)wsi_poll_set(&loop->poll, source, WS_NONE);
            wsi_timer_set(loop, &server->endpoint.timer, loop->now + WSI_ACCEPT_PAUSE);
            return;
        }
        if (accepted == WSI_ACCEPTED && !wsi_server_add(server, descriptor, listener->plain))
            wsi_listener_reject(listener, descriptor);
    }
}

/* Opens the socket. name: what it listens on, for the error text. *why: the fault, or NULL if the error is enough. */
#ifdef WS_NO_UNIX
static ws_error wsi_listener_bind(wsi_listener *listener, const ws_server_config *config, wsi_reason *name,
                                  const char **why) {
    (void)wsi_reason_set(name, WS_OK, "%s port %u:", config->host ? config->host : "127.0.0.1", (unsigned)config->port);
    return wsi_platform_listen(config, &listener->source.link.descriptor, why);
}
static bool wsi_listener_is_given(const ws_server_config *config) { return (void)config, false; }
static void wsi_listener_remove(const wsi_listener *listener) { (void)listener; }
#else
static bool wsi_listener_is_open(const ws_loop *loop, ws_socket descriptor) {
    for (const wsi_endpoint *endpoint = loop->endpoints; endpoint; endpoint = endpoint->next) {
        bool server = endpoint->leave == wsi_server_leave; /* a test client's endpoint has the role, but is no server */
        const wsi_listener *listener = server ? ((const ws_server *)(const void *)endpoint)->listeners : NULL;
        for (; listener; listener = listener->next)
            if (listener->source.link.descriptor == descriptor)
                return true;
    }
    return false;
}

static ws_error wsi_listener_bind(wsi_listener *listener, const ws_server_config *config, wsi_reason *name,
                                  const char **why) {
    ws_socket *descriptor = &listener->source.link.descriptor, given = config->descriptor;
    const char *path = config->unix_path, *host = config->host ? config->host : "127.0.0.1";
    if (given)
        (void)wsi_reason_set(name, WS_OK, "descriptor %ld:", (long)given);
    else if (path)
        (void)wsi_reason_set(name, WS_OK, "%.110s:", path);
    else
        (void)wsi_reason_set(name, WS_OK, "%s port %u:", host, (unsigned)config->port);
    if (!wsi_server_keep_text(listener->server, &listener->unix_path, path))
        return WS_ERROR_MEMORY;
    ws_error error = given  ? wsi_platform_adopt(config, descriptor, &listener->file, why)
                     : path ? wsi_platform_listen_unix(config, descriptor, &listener->file, why)
                            : wsi_platform_listen(config, descriptor, why);
    if (error || !given || !wsi_listener_is_open(listener->server->endpoint.loop, given))
        return error;
    *why = "this loop listens on it already";
    return WS_ERROR_ARGUMENT;
}

/* Whether the program opened the socket; then the program owns it, and its file, until ws_listen succeeds. */
static bool wsi_listener_is_given(const ws_server_config *config) { return config->descriptor != 0; }

static void wsi_listener_remove(const wsi_listener *listener) {
    if (listener->unix_path)
        wsi_platform_remove(listener->unix_path, &listener->file);
}
#endif /* WS_NO_UNIX */

/* Removes the file, then closes the socket: while the socket is open, no other file can get its inode number. */
static void wsi_listener_close(wsi_listener *listener) {
    (void)wsi_poll_set(&listener->server->endpoint.loop->poll, &listener->source, WS_NONE);
    wsi_listener_remove(listener);
    wsi_tcp_close(&listener->source.link);
}

static void wsi_server_stop(wsi_endpoint *endpoint) {
    ws_server *server = (ws_server *)(void *)endpoint;
    if (endpoint->ending)
        return;
    endpoint->ending = true;
    endpoint->handshake = wsi_server_request_last;
    if (endpoint->env.limits.handshake_ms > WSI_LAST_REQUEST)
        endpoint->env.limits.handshake_ms = WSI_LAST_REQUEST;
    endpoint->env.limits.idle_ms = endpoint->env.limits.handshake_ms;
    wsi_timer_clear(endpoint->loop, &endpoint->timer);
    for (wsi_listener *listener = server->listeners; listener; listener = listener->next)
        wsi_listener_close(listener);
}

static void wsi_server_release(wsi_endpoint *endpoint) {
    ws_server *server = (ws_server *)(void *)endpoint;
    wsi_memory *memory = wsi_server_memory(server);
    if (WSI_ADD_ON(server->forward))
        server->forward->release(server);
    while (server->owned) {
        wsi_owned *owned = server->owned;
        server->owned = owned->next;
        wsi_memory_free(memory, owned, sizeof *owned + owned->size + 1);
    }
    wsi_block_release(endpoint->loop, endpoint->loop->arena);
    endpoint->loop->arena = NULL;
    wsi_room_end(server);
    wsi_buffer_free(memory, &server->path);
    wsi_buffer_free(memory, &server->sessions);
    wsi_memory_free(memory, server, sizeof *server);
}

#ifdef WS_NO_TRANSPORT
static bool wsi_server_is_plain(const ws_server_config *config) { return (void)config, true; }
static ws_error wsi_server_secure(ws_server *server, const ws_server_config *config) {
    return (void)server, (void)config, WS_OK;
}
#else
/* Whether the config sets neither a transport nor TLS. */
static bool wsi_server_is_plain(const ws_server_config *config) {
    const ws_tls_config *tls = &config->tls;
    return !(config->transport || tls->cert_file || tls->cert_pem || tls->key_file || tls->key_pem || tls->ca_file
             || tls->ca_pem || tls->crl_file || tls->ssl_ctx);
}

static ws_error wsi_server_tls(ws_server *server, const ws_tls_config *config, wsi_reason *why) {
    const wsi_tls_calls *tls = WSI_ADD_ON(server->endpoint.loop->tls_calls);
    if (tls)
        return tls->serve(&server->endpoint, config, &server->transport, why);
    return wsi_reason_set(why, WS_ERROR_NO_TLS,
                          "a certificate is given, but this program was built without TLS (WS_NO_TLS)");
}

static ws_error wsi_server_secure(ws_server *server, const ws_server_config *config) {
    const ws_transport *given = config->transport;
    wsi_endpoint *endpoint = &server->endpoint;
    wsi_reason *why = &endpoint->loop->why;
    if (wsi_server_is_plain(config))
        return WS_OK;
    if (endpoint->transport && (given ? given->open != server->transport.open || given->user != server->transport.user
                                      : !wsi_endpoint_is_tls(endpoint)))
        return wsi_reason_set(why, WS_ERROR_ARGUMENT, "transport: the server has another transport, or TLS");
    if (given && !wsi_endpoint_is_transport(given))
        return wsi_reason_set(why, WS_ERROR_ARGUMENT, "transport: open, read, write, shut or close is NULL");
    if (given)
        server->transport = *given;
    ws_error error = given ? WS_OK : wsi_server_tls(server, &config->tls, why);
    if (!error)
        endpoint->transport = &server->transport;
    return error;
}

WS_API bool ws_server_tls(ws_server *server, const ws_tls_config *config) {
    ws_loop *loop = server ? server->endpoint.loop : NULL;
    wsi_reason why;
    if (!server)
        return false;
    ws_error error = !config ? wsi_reason_set(&why, WS_ERROR_ARGUMENT, "ws_server_tls: config is NULL")
                     : server->endpoint.tls ? wsi_server_tls(server, config, &why)
                     : wsi_reason_set(&why, WS_ERROR_STATE, "the server was not started with a certificate");
    if (error && !loop->error)
        loop->why = why;
    return !error;
}
#endif /* WS_NO_TRANSPORT */

#if defined(WS_SMALL) && defined(WS_NO_HTTP)
static const char *wsi_server_date(wsi_env *env) { return (void)env, ""; }
#else
static const char *wsi_server_date(wsi_env *env) {
    ws_server *server = (ws_server *)(void *)env; /* env is its first field */
    uint64_t now = wsi_server_time(server);
    if (now != server->dated) {
        server->dated = now;
        memcpy(server->date, "Date: ", 6);
        wsi_http_date(server->date + 6, now);
        memcpy(server->date + 35, "\r\n", 3);
    }
    return now ? server->date : "";
}
#endif

#ifndef WS_NO_TEST
static bool wsi_server_has_port(const ws_server_config *config) { return !config->no_port; }
#else
static bool wsi_server_has_port(const ws_server_config *config) { return config != NULL; }
#endif

static ws_error wsi_listener_add(ws_server *server, const ws_server_config *config) {
    ws_loop *loop = server->endpoint.loop;
    wsi_listener *listener = (wsi_listener *)wsi_server_keep(server, NULL, sizeof *listener);
    bool opens = wsi_server_has_port(config);
    const char *why = NULL;
    wsi_reason name;
    if (!listener)
        return WS_ERROR_MEMORY;
    listener->server = server;
    listener->source.link.descriptor = WSI_NO_SOCKET;
    listener->source.link.kind = WSI_KIND_LISTENER;
    listener->plain = wsi_server_is_plain(config);
    ws_error error = opens ? wsi_listener_bind(listener, config, &name, &why) : WS_OK;
    if (!error && opens && !wsi_poll_set(&loop->poll, &listener->source, WS_READ))
        error = WS_ERROR_DESCRIPTORS;
    if (error && listener->source.link.descriptor != WSI_NO_SOCKET && !wsi_listener_is_given(config))
        wsi_listener_close(listener);
    if (error)
        return wsi_reason_set(&loop->why, error, "%s %s", wsi_reason_text(&name), why ? why : ws_error_text(error));
    *server->last_listener = listener;
    server->last_listener = &listener->next;
    return WS_OK;
}

static ws_error wsi_server_start(ws_server *server, const ws_server_config *config) {
    wsi_endpoint *endpoint = &server->endpoint;
    wsi_reason *why = &endpoint->loop->why;
    const wsi_forward_calls *forward = WSI_ADD_ON(endpoint->loop->forward_calls);
    endpoint->max_count = config->max_connections ? config->max_connections : 100000;
    endpoint->env.date = wsi_server_date;
    endpoint->env.read = wsi_engine_request;
    endpoint->handshake = wsi_server_request;
    endpoint->leave = wsi_server_leave;
    endpoint->stop = wsi_server_stop;
    endpoint->release = wsi_server_release;
    endpoint->fire = wsi_server_fire;
    endpoint->loop->ready[WSI_KIND_LISTENER] = wsi_server_accept;
    server->last_route = &server->routes;
    server->last_hook = &server->hooks;
    server->last_listener = &server->listeners;
    if (endpoint->loop->shutting_down)
        return wsi_reason_set(why, WS_ERROR_STATE, "ws_listen: loop is shutting down");
    ws_error error = wsi_server_keep_list(server, &server->hosts, config->hosts, false, why);
    error = error ? error : wsi_server_keep_list(server, &server->origins, config->origins, true, why);
    error = error || !forward ? error : forward->start(server, config);
    error = error ? error : wsi_server_secure(server, config);
    return error ? error : wsi_listener_add(server, config);
}

WS_API ws_server *ws_listen(ws_loop *loop, const ws_server_config *given) {
    ws_server_config config;
    WS_ASSERT(wsi_loop_is_ours(loop));
    memset(&config, 0, sizeof config);
    if (given)
        config = *given;
    if (!loop || loop->error)
        return NULL;
    wsi_reason_clear(&loop->why);
    ws_server *server = (ws_server *)wsi_memory_new(&loop->memory, sizeof *server);
    if (!server || !wsi_endpoint_prepare(&server->endpoint, loop, WS_ROLE_SERVER, &config.limits)) {
        wsi_memory_free(&loop->memory, server, sizeof *server);
        (void)wsi_loop_fail(loop, WS_ERROR_MEMORY);
        return NULL;
    }
    ws_error error = wsi_server_start(server, &config);
    if (!error)
        return server;
    (void)wsi_loop_fail_why(loop, error);
    server->endpoint.freed = true;
    wsi_endpoint_retire(&server->endpoint);
    return NULL;
}

WS_API void ws_server_free(ws_server *server) {
    ws_loop *loop = server ? server->endpoint.loop : NULL;
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!server || server->endpoint.freed)
        return;
    wsi_endpoint_end(&server->endpoint, true);
    server->endpoint.freed = true;
    wsi_endpoint_retire(&server->endpoint);
    if (!loop->busy) {
        loop->busy = true;
        wsi_conn_end_round(loop);
        loop->busy = false;
    }
}

#ifndef WS_NO_STATS
WS_API ws_stats ws_server_stats(const ws_server *server) {
    return wsi_endpoint_stats(server ? server->endpoint.loop : NULL, server ? &server->endpoint : NULL);
}
#endif

static uint16_t wsi_listener_port(const wsi_listener *listener) {
    return listener ? wsi_platform_own_port(listener->source.link.descriptor) : 0;
}

WS_API uint16_t ws_port(const ws_server *server) { return wsi_listener_port(server ? server->listeners : NULL); }

#ifndef WS_NO_UNIX
WS_API bool ws_listen_also(ws_server *server, const ws_server_config *config) {
    ws_loop *loop = server ? server->endpoint.loop : NULL;
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!server || loop->error)
        return false;
    wsi_reason_clear(&loop->why);
    ws_error error = !config ? wsi_reason_set(&loop->why, WS_ERROR_ARGUMENT, "ws_listen_also: config is NULL")
                     : server->endpoint.ending
                         ? wsi_reason_set(&loop->why, WS_ERROR_STATE, "ws_listen_also: the server is ending")
                         : wsi_server_secure(server, config);
    if (!error)
        error = wsi_listener_add(server, config);
    return !error || wsi_loop_fail_why(loop, error);
}

static const wsi_listener *wsi_listener_at(const ws_server *server, size_t index) {
    const wsi_listener *listener = server ? server->listeners : NULL;
    while (listener && index--)
        listener = listener->next;
    return listener;
}

WS_API uint16_t ws_port_at(const ws_server *server, size_t index) {
    return wsi_listener_port(wsi_listener_at(server, index));
}

WS_API ws_socket ws_hand_over(ws_server *server, size_t index) {
    wsi_listener *listener = (wsi_listener *)wsi_listener_at(server, index);
    WS_ASSERT(!server || wsi_loop_is_ours(server->endpoint.loop));
    if (!listener)
        return WSI_NO_SOCKET;
    listener->unix_path = NULL;
    return listener->source.link.descriptor;
}
#endif /* WS_NO_UNIX */
#endif /* WS_NO_SERVER */

#ifndef WS_NO_FORWARD
/*
>> BOUNDS =================================================================================
   Limits on connections per address, and on messages and bytes per second of a connection. Calls MEMORY, QUEUE, SEND,
   LIFE, ROOMS, ROUTES. Prefix: wsi_bounds_. Servers reach it through FORWARD. Switch: WS_NO_FORWARD, as for FORWARD.
*/

enum {
    WSI_BOUNDS_MS = 1000,     /* a second */
    WSI_BOUNDS_BITS = 20,     /* times of rates are in milliseconds << WSI_BOUNDS_BITS, as a message may take less */
    WSI_BOUNDS_UNUSED = 4096  /* how many addresses without connections are kept */
};

typedef struct wsi_bounded { /* an address with limits */
    wsi_chain chain;         /* first */
    uint8_t address[16];
    size_t count;            /* its open connections */
    uint64_t paid;           /* the time of wsi_bounds_spend for address_rate */
} wsi_bounded;

typedef struct wsi_slot { /* what BOUNDS keeps of a connection */
    wsi_bounded *address;    /* NULL: the connection is not counted */
    uint64_t messages, bytes; /* the times of wsi_bounds_spend for message_rate and byte_rate */
} wsi_slot;

typedef struct wsi_bounds {
    size_t address_connections; /* these five as in ws_server_config */
    uint32_t address_rate, message_rate, byte_rate;
    bool rate_closes;
    wsi_table addresses;
    uint64_t swept;     /* when unused addresses were last freed */
    wsi_buffer entries; /* an array of wsi_slot; the index is conn->number */
} wsi_bounds;

/* Uses up units of a rate (0: unlimited). *paid: when the rate will have allowed for all units so far. It may be up to
   a second from now; beyond that, returns how many milliseconds the peer has to wait. Otherwise returns 0. */
static uint64_t wsi_bounds_spend(uint64_t *paid, uint64_t now, uint64_t rate, uint64_t units) {
    uint64_t second = (uint64_t)WSI_BOUNDS_MS << WSI_BOUNDS_BITS, begin = now << WSI_BOUNDS_BITS;
    if (!rate)
        return 0;
    *paid = (*paid > begin ? *paid : begin) + units * second / rate;
    uint64_t over = *paid > begin + second ? *paid - begin - second : 0;
    return (over + (1u << WSI_BOUNDS_BITS) - 1) >> WSI_BOUNDS_BITS;
}

/* The slot of a connection. NULL: no memory; then the connection is not accepted. */
static wsi_slot *wsi_bounds_slot(const ws_conn *conn) {
    ws_server *server = wsi_server_of(conn);
    wsi_buffer *entries = &server->bounds->entries;
    size_t size = ((size_t)conn->number + 1) * sizeof(wsi_slot), before = entries->size;
    if (size > before) {
        if (!wsi_buffer_reserve(wsi_server_memory(server), entries, size - before))
            return NULL;
        memset(entries->data + before, 0, size - before);
        entries->size = size;
    }
    return (wsi_slot *)(void *)entries->data + conn->number;
}

/* --- addresses --- */

/* Frees an address without connections. all: even if recent connections still count in address_rate. */
static void wsi_bounds_forget(ws_server *server, wsi_bounded *one, bool all) {
    if (!one->count && (all || one->paid <= server->endpoint.loop->now << WSI_BOUNDS_BITS))
        wsi_table_remove(wsi_server_memory(server), &server->bounds->addresses, &one->chain, sizeof *one);
}

/* Frees addresses without connections: once a second, or all of them if there are too many. */
static void wsi_bounds_sweep(ws_server *server, uint64_t now) {
    const wsi_table *table = &server->bounds->addresses;
    bool many = table->count >= server->endpoint.count + WSI_BOUNDS_UNUSED;
    if (!many && now - server->bounds->swept < WSI_BOUNDS_MS)
        return;
    server->bounds->swept = now;
    for (size_t i = 0; i < table->bucket_count; i++)
        for (wsi_chain *chain = table->buckets[i], *next; chain; chain = next) {
            next = chain->next;
            wsi_bounds_forget(server, (wsi_bounded *)(void *)chain, many);
        }
}

/* Finds or adds an address. NULL: no memory. */
static wsi_bounded *wsi_bounds_find(ws_server *server, const uint8_t address[16]) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    uint8_t key[16] = {0};
    memcpy(key, address, memcmp(address, mapped, sizeof mapped) == 0 ? 16 : 8);
    uint32_t hash = wsi_room_hash(server, (const char *)key, sizeof key);
    wsi_table *table = &server->bounds->addresses;
    for (wsi_chain *chain = wsi_table_first(table, hash); chain; chain = chain->next)
        if (chain->hash == hash && memcmp(((wsi_bounded *)(void *)chain)->address, key, sizeof key) == 0)
            return (wsi_bounded *)(void *)chain;
    wsi_bounded *one = (wsi_bounded *)wsi_table_add(wsi_server_memory(server), table, hash, sizeof *one);
    if (one)
        memcpy(one->address, key, sizeof key);
    return one;
}

/* Counts a connection of this address. false: no memory, or beyond a bound. */
static bool wsi_bounds_enter(ws_conn *conn, const uint8_t address[16]) {
    ws_server *server = wsi_server_of(conn);
    const wsi_bounds *bounds = server->bounds;
    uint64_t now = server->endpoint.loop->now;
    if (!bounds->address_connections && !bounds->address_rate)
        return true;
    wsi_bounds_sweep(server, now);
    wsi_bounded *one = wsi_bounds_find(server, address);
    if (!one || (bounds->address_connections && one->count >= bounds->address_connections))
        return false;
    uint64_t paid = one->paid;
    if (wsi_bounds_spend(&one->paid, now, bounds->address_rate, 1)) {
        one->paid = paid; /* a refused connection does not count */
        return false;
    }
    one->count++;
    wsi_bounds_slot(conn)->address = one;
    return true;
}

static void wsi_bounds_leave(ws_conn *conn) {
    wsi_slot *slot = wsi_bounds_slot(conn);
    wsi_bounded *one = slot ? slot->address : NULL;
    if (slot)
        memset(slot, 0, sizeof *slot);
    if (one) {
        one->count--;
        wsi_bounds_forget(wsi_server_of(conn), one, false);
    }
}

/* --- rates of a connection --- */

/* Counts messages and bytes of the peer. Beyond a rate, pauses the connection, or closes it and returns false. */
static bool wsi_bounds_count(ws_conn *conn, uint64_t messages, uint64_t bytes) {
    const wsi_bounds *bounds = wsi_server_of(conn)->bounds;
    wsi_slot *slot = wsi_bounds_slot(conn);
    uint64_t now = wsi_conn_loop(conn)->now;
    uint64_t wait = wsi_bounds_spend(&slot->messages, now, bounds->message_rate, messages);
    uint64_t second = wsi_bounds_spend(&slot->bytes, now, bounds->byte_rate, bytes);
    wait = wait > second ? wait : second;
    if (!wait)
        return true;
    if (bounds->rate_closes || !wsi_conn_extra(conn))
        return ws_close(conn, WS_CLOSE_POLICY, "too many messages") && false;
    conn->extra->rate_ends = now + wait;
    conn->pause_reasons |= WSI_BY_RATE;
    conn->paused = true;
    wsi_conn_tick(conn);
    return true;
}

static void wsi_bounds_message(ws_conn *conn, ws_message message) {
    const wsi_route *route = wsi_route_of(conn);
    if (wsi_bounds_count(conn, 1, message.size) && route->on_message)
        route->on_message(conn, message);
}

/* --- what FORWARD calls, or gives to servers as callbacks --- */

static void wsi_bounds_meter(const ws_server *server, wsi_route *route) {
    if (!server->endpoint.meter)
        return;
    route->on_message = route->handler.on_message;
    route->handler.on_message = wsi_bounds_message;
}

static void wsi_bounds_release(ws_server *server) {
    if (!server->bounds)
        return;
    wsi_table_clear(wsi_server_memory(server), &server->bounds->addresses, sizeof(wsi_bounded));
    wsi_buffer_free(wsi_server_memory(server), &server->bounds->entries);
}

static ws_error wsi_bounds_start(ws_server *server, const ws_server_config *config) {
    if (!config->address_connections && !config->address_rate && !config->message_rate && !config->byte_rate)
        return WS_OK;
    wsi_bounds bounds = {config->address_connections, config->address_rate, config->message_rate, config->byte_rate,
                         config->rate_closes, {NULL, 0, 0}, 0, {NULL, 0, 0}};
    server->bounds = (wsi_bounds *)wsi_server_keep(server, &bounds, sizeof bounds);
    if (!server->bounds)
        return WS_ERROR_MEMORY;
    if (config->message_rate || config->byte_rate)
        server->endpoint.meter = wsi_bounds_count;
    server->endpoint.conn_freed = wsi_bounds_leave;
    return WS_OK;
}

/*
>> FORWARD ================================================================================
   The client's address as trusted proxies report it: X-Forwarded-For, Forwarded, and the PROXY protocol, versions 1
   and 2. Calls BYTES, TEXT, HTTP, PLATFORM, SOCKETS, TCP, TRANSPORT, SEND, RECEIVE, LIFE, ROOMS, REQUEST, SERVER,
   BOUNDS. Prefix: wsi_forward_. Servers call it through a table of functions (wsi_forward_calls).
*/

enum { WSI_FORWARD_MAX = 2048 }; /* the most bytes that a PROXY header may have */

#define WSI_FORWARD_BAD ((ptrdiff_t)-1)

typedef struct wsi_forward_peer {
    uint8_t address[16]; /* IPv4 is mapped into IPv6 */
    bool local;          /* a Unix socket's peer, without an address */
} wsi_forward_peer;

/* Reads "10.0.0.0/8", or an address alone. */
static bool wsi_forward_range(wsi_slice text, uint8_t address[16], uint64_t *bits) {
    wsi_slice host = text;
    bool ranged = wsi_text_until(&text, '/', &host), ipv4;
    if (!wsi_platform_address(host, address))
        return false;
    ipv4 = !memchr(host.data, ':', host.size);
    *bits = ipv4 ? 32 : 128;
    if (ranged && (!wsi_text_number(text, bits) || *bits > (ipv4 ? 32u : 128u)))
        return false;
    *bits += ipv4 ? 96 : 0;
    return true;
}

/* Whether the list is valid. If not, *one is its first invalid element. */
static bool wsi_forward_list(const char *list, wsi_slice *one) {
    wsi_slice rest = wsi_text_z(list);
    uint8_t address[16];
    uint64_t bits;
    while (wsi_text_next(&rest, one))
        if (!wsi_text_is(*one, "unix") && !wsi_forward_range(*one, address, &bits))
            return false;
    return true;
}

static bool wsi_forward_within(const uint8_t a[16], const uint8_t b[16], uint64_t bits) {
    size_t whole = (size_t)bits / 8;
    uint8_t mask = (uint8_t)(0xff00u >> bits % 8);
    return memcmp(a, b, whole) == 0 && (bits % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

static bool wsi_forward_trusts(const char *list, const wsi_forward_peer *peer) {
    wsi_slice rest = wsi_text_z(list), one;
    uint8_t address[16];
    uint64_t bits;
    while (wsi_text_next(&rest, &one))
        if (peer->local ? wsi_text_is(one, "unix")
                        : wsi_forward_range(one, address, &bits) && wsi_forward_within(address, peer->address, bits))
            return true;
    return false;
}

/* Reads an address, as X-Forwarded-For and Forwarded have it: "1.2.3.4", "1.2.3.4:80", "::1" or "[::1]:80". */
static bool wsi_forward_address(wsi_slice text, uint8_t address[16]) {
    const char *colon = text.size ? (const char *)memchr(text.data, ':', text.size) : NULL;
    wsi_slice host = text;
    uint64_t port;
    if (colon && (text.data[0] == '[' || !memchr(colon + 1, ':', (size_t)(text.data + text.size - colon - 1)))) {
        if (!wsi_http_authority(text, 0, &host, &port))
            return false;
        if (text.data[0] == '[')
            host = wsi_text(host.data + 1, host.size - 2);
    }
    return text.size < 64 && wsi_platform_address(host, address);
}

/* Writes an address of these forms, at most 63 bytes. An IPv4 address mapped into IPv6 is written as IPv4. */
static void wsi_forward_put(char *to, wsi_slice text) {
    const char *end = (const char *)memchr(text.data, ']', text.size);
    wsi_slice host = end ? wsi_text(text.data + 1, (size_t)(end - text.data) - 1) : text;
    wsi_slice plain = wsi_platform_unmapped(host);
    if (plain.size < host.size) {
        to = wsi_text_append(to, plain);
        text = end ? wsi_text(end + 1, (size_t)(text.data + text.size - end) - 1) : wsi_text("", 0);
    }
    *wsi_text_append(to, text) = 0;
}

/* Removes the last element of a list, reading it from the end. Commas in quoted strings do not separate, and a
   quotation mark after a backslash opens no string. So what the client wrote cannot hide what a proxy appended. */
static wsi_slice wsi_forward_pop(wsi_slice *list) {
    size_t end = list->size, from = end;
    for (bool quoted = false; from && (quoted || list->data[from - 1] != ','); from--)
        if (list->data[from - 1] == '"' && !(quoted && from > 1 && list->data[from - 2] == '\\'))
            quoted = !quoted;
    list->size = from ? from - 1 : 0;
    return wsi_text_trim(wsi_text(list->data + from, end - from));
}

/* The value of a parameter in an element of Forwarded (RFC 7239 4). Empty: it has none, or the element is malformed. */
static wsi_slice wsi_forward_value(wsi_slice element, const char *known) {
    wsi_slice none = wsi_text("", 0), found = wsi_text(NULL, 0), name, value;
    while (element.size) {
        if (element.data[0] == ';') {
            element = wsi_text_trim(wsi_text(element.data + 1, element.size - 1));
            continue;
        }
        if (!wsi_http_word(&element, &name, false, false) || !element.size || element.data[0] != '=')
            return none;
        element = wsi_text(element.data + 1, element.size - 1);
        if (!wsi_http_word(&element, &value, true, true) || (element.size && element.data[0] != ';'))
            return none;
        if (!wsi_text_is_nocase(name, known))
            continue;
        if (found.data)
            return none; /* it may not come twice */
        found = value;
    }
    return found.data ? found : none;
}

/* Reads a line's addresses from last to first: while the peer is trusted, the next one becomes the peer and *client.
   true: the whole line was read, so the previous line is next. */
static bool wsi_forward_walk(const ws_server *server, wsi_slice line, wsi_forward_peer *peer, wsi_slice *client) {
    while (line.size && wsi_forward_trusts(server->proxies, peer)) {
        wsi_slice one = wsi_forward_pop(&line);
        if (server->forwarded)
            one = wsi_forward_value(one, "for");
        if (!wsi_forward_address(one, peer->address))
            return false;
        peer->local = false;
        *client = one;
    }
    return !line.size && wsi_forward_trusts(server->proxies, peer);
}

/* --- the PROXY protocol --- */

/* The size of the header at the start of data. 0: it is incomplete; WSI_FORWARD_BAD: it is not a header. */
static ptrdiff_t wsi_forward_scan(const uint8_t *data, size_t size) {
    size_t limit = size < 107 ? size : 107;
    if (memcmp(data, "\r\n\r\n\0\r\nQUIT\n", size < 12 ? size : 12) == 0) { /* version 2 */
        size_t all = size < 16 ? 0 : 16 + (size_t)wsi_bytes_load(data + 14, 2);
        return all > WSI_FORWARD_MAX ? WSI_FORWARD_BAD : all <= size ? (ptrdiff_t)all : 0;
    }
    if (memcmp(data, "PROXY ", size < 6 ? size : 6) != 0)
        return WSI_FORWARD_BAD;
    const uint8_t *end = (const uint8_t *)memchr(data, '\n', limit);
    if (end)
        return end[-1] == '\r' ? end - data + 1 : WSI_FORWARD_BAD;
    return limit == 107 ? WSI_FORWARD_BAD : 0;
}

/* The next two parse a complete header. text receives the client's address and port, or is unchanged without one. */

/* "PROXY TCP4 source destination port port"; UNKNOWN names no address. */
static bool wsi_forward_line(wsi_slice line, char *text, size_t size) {
    wsi_slice part[5];
    uint8_t address[16];
    uint64_t port;
    (void)wsi_text_part(&line, ' '); /* PROXY */
    for (size_t i = 0; i < 4; i++)
        part[i] = wsi_text_part(&line, ' ');
    part[4] = line;
    if (wsi_text_is(part[0], "UNKNOWN"))
        return true;
    bool ipv4 = wsi_text_is(part[0], "TCP4");
    for (size_t i = 1; i < 3; i++)
        if (!wsi_platform_address(part[i], address) || ipv4 != !memchr(part[i].data, ':', part[i].size))
            return false;
    for (size_t i = 4; i > 2; i--)
        if (!wsi_text_number(part[i], &port) || port > 65535)
            return false;
    if (!ipv4 && !wsi_text_is(part[0], "TCP6"))
        return false;
    return wsi_platform_address_text(part[1], (uint16_t)port, text, size);
}

static bool wsi_forward_binary(const uint8_t *data, size_t size, char *text, size_t room) {
    uint8_t command = data[12], family = data[13];
    char host[INET6_ADDRSTRLEN];
    bool ipv6 = family == 0x21;
    if (command >> 4 != 2 || (command & 15) > 1)
        return false;
    if ((command & 15) == 0 || (family != 0x11 && !ipv6))
        return family >> 4 <= 3 && (family & 15) <= 2; /* LOCAL, or a family without IP addresses */
    if (size < (ipv6 ? 16u + 36u : 16u + 12u) || !wsi_platform_ip_text(ipv6, data + 16, host))
        return false;
    return wsi_platform_address_text(wsi_text_z(host), (uint16_t)wsi_bytes_load(data + (ipv6 ? 48 : 24), 2),
                                     text, room);
}

/* The PROXY header is complete: starts the connection. */
static void wsi_forward_header_read(ws_conn *conn) {
    ws_socket descriptor = conn->source.link.descriptor;
    const wsi_buffer *held = &conn->engine.held;
    char peer[64] = "";
    bool good = held->data[0] == 'P'
                    ? wsi_forward_line(wsi_text((const char *)held->data, held->size - 2), peer, sizeof peer)
                    : wsi_forward_binary(held->data, held->size, peer, sizeof peer);
    wsi_hold_free(conn);
    if (!good) {
        wsi_conn_break(conn, WS_ERROR_HANDSHAKE);
    } else if ((peer[0] && !wsi_conn_extra(conn)) || wsi_conn_attach(conn, descriptor, NULL) != WS_OK) {
        conn->source.link.descriptor = descriptor;
        wsi_conn_break(conn, WS_ERROR_MEMORY);
    } else if (peer[0]) {
        strcpy(conn->extra->peer, peer);
    }
}

/* Reads the PROXY header of a connection, and no bytes after it. */
static void wsi_forward_header(ws_loop *loop, wsi_source *source, unsigned ready) {
    ws_conn *conn = wsi_conn_of(source);
    wsi_buffer *held = &conn->engine.held;
    if (conn->closed || conn->is_ending) {
        wsi_conn_ready(loop, source, ready);
        return;
    }
    if (!held->data && !wsi_hold_resize(conn, WSI_FORWARD_MAX)) {
        wsi_conn_break(conn, WS_ERROR_MEMORY);
        return;
    }
    uint8_t *to = held->data + held->size;
    ptrdiff_t got = wsi_tcp_peek(&source->link, to, WSI_FORWARD_MAX - held->size);
    if (got == 0)
        return;
    ptrdiff_t whole = got < 0 ? WSI_FORWARD_BAD : wsi_forward_scan(held->data, held->size + (size_t)got);
    size_t size = whole > 0 ? (size_t)whole - held->size : (size_t)got;
    if (whole == WSI_FORWARD_BAD || wsi_tcp_read(&source->link, to, size) != (ptrdiff_t)size) {
        wsi_conn_break(conn, got < 0 ? WS_ERROR_CLOSED : WS_ERROR_HANDSHAKE);
        return;
    }
    held->size += size;
    if (whole)
        wsi_forward_header_read(conn);
}

static bool wsi_forward_begin(ws_conn *conn, ws_socket descriptor) {
    conn->source.link.descriptor = descriptor;
    conn->source.link.kind = WSI_KIND_HEADER;
    bool polled = wsi_conn_poll(conn, WS_READ);
    if (polled)
        wsi_conn_tick(conn);
    return polled;
}

/* The peer of a connection, or the peer that a PROXY header names. */
static bool wsi_forward_nearest(const ws_conn *conn, wsi_forward_peer *peer) {
    memset(peer, 0, sizeof *peer);
    return conn->extra && conn->extra->peer[0]
               ? wsi_forward_address(wsi_text_z(conn->extra->peer), peer->address)
               : wsi_platform_peer_address(conn->source.link.descriptor, peer->address, &peer->local);
}

/* The last element in all fields of this name, as the nearest proxy wrote it; absent: there is none. */
static wsi_slice wsi_forward_last(const ws_request *request, const char *name) {
    wsi_slice rest = wsi_request_fields(request), list, element, last = wsi_text(NULL, 0);
    while (wsi_http_find(&rest, name, &list))
        while (list.size)
            if ((element = wsi_forward_pop(&list)).size) {
                last = element;
                break;
            }
    return last;
}

/* What the nearest proxy says in this parameter of Forwarded, or in this X-Forwarded header. Empty: nothing. */
static wsi_slice wsi_forward_says(const ws_request *request, const char *parameter, const char *header) {
    return request->server->forwarded ? wsi_forward_value(wsi_forward_last(request, "forwarded"), parameter)
                                      : wsi_forward_last(request, header);
}

/* Stores the client's address, as trusted proxies report it. false: no memory. */
static bool wsi_forward_keep_client(ws_request *request) {
    wsi_slice rest = wsi_request_fields(request), value, lines[16], client = wsi_text(NULL, 0);
    wsi_forward_peer peer;
    size_t count = 0;
    if (request->conn->extra)
        request->conn->extra->client[0] = 0;
    while (wsi_http_find(&rest, request->server->forwarded ? "forwarded" : "x-forwarded-for", &value))
        lines[count++ % 16] = value; /* only the last 16 lines count */
    size_t end = count > 16 ? count - 16 : 0;
    if (!count || !wsi_forward_nearest(request->conn, &peer))
        return true;
    while (count > end && wsi_forward_walk(request->server, lines[(count - 1) % 16], &peer, &client))
        count--;
    if (client.data && !wsi_conn_extra(request->conn))
        return false;
    if (client.data)
        wsi_forward_put(request->conn->extra->client, client);
    return true;
}

/* --- what servers call --- */

/* A connection from a trusted proxy counts from its first WebSocket request on, which names the client. */
static bool wsi_forward_accept(ws_conn *conn, ws_socket descriptor) {
    const ws_server *server = wsi_server_of(conn);
    wsi_forward_peer peer;
    bool known = descriptor != WSI_NO_SOCKET && wsi_platform_peer_address(descriptor, peer.address, &peer.local);
    bool trusted = known && wsi_forward_trusts(server->proxies, &peer);
    bool reset = descriptor != WSI_NO_SOCKET && !known; /* its data can be read, but its address is unknown */
    bool counts = known && !peer.local && !trusted;
    if (server->bounds && (reset || !wsi_bounds_slot(conn) || (counts && !wsi_bounds_enter(conn, peer.address))))
        return false;
    return server->proxy_protocol && trusted ? wsi_forward_begin(conn, descriptor)
                                             : wsi_conn_attach(conn, descriptor, NULL) == WS_OK;
}

/* Stores the client's address, and counts the client's WebSocket. false: no memory, or a limit is reached. */
static bool wsi_forward_counts(ws_request *request) {
    uint8_t address[16];
    if (!wsi_forward_keep_client(request))
        return false;
    return !request->server->bounds || !request->head->upgrade || wsi_bounds_slot(request->conn)->address
           || !wsi_forward_address(wsi_text_z(wsi_conn_forwarded(request->conn)), address)
           || wsi_bounds_enter(request->conn, address);
}

/* Like wsi_server_admits, with the Host and scheme of the client's request to a trusted proxy. */
static int wsi_forward_admits(ws_request *request, bool secure, wsi_why *why) {
    const char *proxies = request->server->proxies;
    const wsi_request *head = request->head;
    wsi_request original = *head;
    wsi_forward_peer peer;
    if (proxies && wsi_forward_nearest(request->conn, &peer) && wsi_forward_trusts(proxies, &peer)) {
        wsi_slice name = wsi_forward_says(request, "host", "x-forwarded-host");
        wsi_slice scheme = wsi_forward_says(request, "proto", "x-forwarded-proto");
        original.host = name.size ? name : head->host;
        secure = secure || wsi_text_is_nocase(scheme, "https") || wsi_text_is_nocase(scheme, "wss");
    }
    request->head = &original;
    int status = wsi_server_admits(request, secure, why);
    request->head = head;
    return status ? status : proxies && !wsi_forward_counts(request) ? 503 : 0;
}

static ws_error wsi_forward_start(ws_server *server, const ws_server_config *config) {
    ws_loop *loop = server->endpoint.loop;
    ws_error error = wsi_bounds_start(server, config);
    wsi_slice wrong;
    if (!wsi_forward_list(config->proxies, &wrong))
        return wsi_reason_set(&loop->why, WS_ERROR_ARGUMENT, "proxies: \"%.*s\" is neither a numeric address, a range "
                              "such as 10.0.0.0/8, nor the word unix", wsi_reason_shows(wrong), wrong.data);
    if ((config->proxy_protocol || config->forwarded) && !config->proxies)
        return wsi_reason_set(&loop->why, WS_ERROR_ARGUMENT, "%s needs proxies: those that may send its header",
                              config->forwarded ? "forwarded" : "proxy_protocol");
    if (error || !(config->proxies || server->bounds))
        return error;
    if (!wsi_server_keep_text(server, &server->proxies, config->proxies))
        return WS_ERROR_MEMORY;
    server->forward = loop->forward_calls;
    server->forwarded = config->forwarded;
    server->proxy_protocol = config->proxy_protocol;
    loop->ready[WSI_KIND_HEADER] = wsi_forward_header;
    return WS_OK;
}

static const wsi_forward_calls wsi_forward_functions = {
    wsi_forward_start, wsi_forward_accept, wsi_forward_admits, wsi_bounds_meter, wsi_bounds_release};

static void wsi_forward_setup(ws_loop *loop) { loop->forward_calls = &wsi_forward_functions; }
#else
static void wsi_forward_setup(ws_loop *loop) { (void)loop; }
#endif /* WS_NO_FORWARD */

#ifndef WS_NO_HTTP
/*
>> WEB ====================================================================================
   HTTP beside WebSockets: handlers, bodies, forms, replies, cookies. Calls MEMORY, TEXT, UTF8, HTTP, HANDSHAKE, HEADS,
   JSON, BODY, SEND, ROOMS, ROUTES, REQUEST, SERVER. Servers call it through a table of functions (wsi_web_calls).
   Prefix: wsi_web_. Switch: WS_NO_HTTP, for this section, FILES and SESSION.
*/

WS_API ws_slice ws_request_form(const ws_request *request, const char *name) {
    return request ? wsi_request_pair(wsi_request_buffer(request, WSI_FORM), name) : wsi_text(NULL, 0);
}

WS_API ws_message ws_request_body(const ws_request *request) {
    ws_message none = {(const uint8_t *)"", 0, WS_TEXT};
    return request && request->body.data ? request->body : none;
}

WS_API bool ws_reply(ws_request *request, int status, const char *content_type, const char *body) {
    return wsi_request_answer(request, status, NULL, content_type, body, body ? strlen(body) : 0);
}

WS_API bool ws_reply_data(ws_request *request, int status, const char *const *headers, const void *body, size_t size) {
    return wsi_request_answer(request, status, headers, NULL, body, size);
}

WS_API bool ws_redirect(ws_request *request, const char *location) {
    char line[2048];
    int size = location ? snprintf(line, sizeof line, "Location: %s", location) : -1;
    const char *headers[] = {size < 0 || (size_t)size >= sizeof line ? "" : line, NULL}; /* "" is no valid line */
    return wsi_request_answer(request, 303, headers, NULL, NULL, 0);
}

static bool wsi_web_set_cookie(ws_request *request, const char *name, wsi_slice value, int64_t seconds, bool secure) {
    wsi_buffer *cookies = &request->buffers[WSI_COOKIES];
    char age[40] = "";
    if (seconds)
        (void)snprintf(age, sizeof age, "; Max-Age=%lld", seconds < 0 ? 0LL : (long long)seconds);
    if (!wsi_buffer_reserve(wsi_server_memory(request->server), cookies, strlen(name) + value.size + 160))
        return false;
    secure = secure || wsi_conn_is_tls(request->conn);
    cookies->size += (size_t)snprintf((char *)cookies->data + cookies->size, cookies->capacity - cookies->size,
                                      "Set-Cookie: %s=%.*s; Path=/; HttpOnly; SameSite=Lax%s%s\r\n", name,
                                      (int)value.size, value.data ? value.data : "", secure ? "; Secure" : "", age);
    return true;
}

WS_API bool ws_set_cookie(ws_request *request, const char *name, const char *value, int64_t seconds) {
    const char *c = value;
    if (!wsi_request_open(request) || !name || !value || !wsi_text_token(wsi_text_z(name)))
        return false;
    while (*c > ' ' && *c <= '~' && !strchr("\",;\\", *c)) /* cookie-octet of RFC 6265 4.1.1 */
        c++;
    return !*c && wsi_web_set_cookie(request, name, wsi_text_z(value), seconds, false);
}

static bool wsi_web_finish(ws_request *request) {
    return !request->buffers[WSI_COOKIES].size
           || wsi_request_put(request, WSI_LINES, wsi_request_buffer(request, WSI_COOKIES));
}

/* --- handlers --- */

#ifndef WS_NO_JSON
/* Whether the body is valid JSON, or of another type. false: the request has been refused. */
static bool wsi_web_json_good(ws_request *request, wsi_slice type) {
    bool suffix = type.size > 5 && wsi_text_is_nocase(wsi_text(type.data + type.size - 5, 5), "+json");
    bool good = !(suffix || wsi_text_is_nocase(type, "application/json"))
                || ws_json_valid(request->body.data, request->body.size);
    if (!good)
        (void)ws_refuse(request, 400, NULL, "the body is not JSON, or is nested too deep");
    return good;
}
#else
static bool wsi_web_json_good(ws_request *request, wsi_slice type) { return (void)request, (void)type, true; }
#endif

/* Decodes a form. false: the request has been refused. */
static bool wsi_web_read_form(ws_request *request) {
    wsi_slice body = wsi_text((const char *)request->body.data, request->body.size);
    wsi_buffer *form = &request->buffers[WSI_FORM];
    bool room = wsi_buffer_reserve(wsi_server_memory(request->server), form, 2 * body.size + 2);
    ptrdiff_t size = room ? wsi_http_form(body, (char *)form->data, true) : -1;
    form->size = size < 0 ? 0 : (size_t)size;
    if (size < 0)
        (void)ws_refuse(request, room ? 400 : 503, NULL, room ? "the body is not a valid form" : NULL);
    return size >= 0;
}

/* Checks the body according to its type, then calls the program's handler. */
static void wsi_web_answer(ws_request *request) {
    wsi_slice type = ws_request_header(request, "content-type");
    ws_message *body = &request->body;
    type = wsi_text_trim(wsi_text_part(&type, ';')); /* without parameters */
    body->type = wsi_utf8_valid(body->data, body->size) ? WS_TEXT : WS_BINARY;
    if (wsi_text_is_nocase(type, "application/x-www-form-urlencoded") ? wsi_web_read_form(request)
                                                                      : wsi_web_json_good(request, type))
        request->route->function(request, request->route->user);
    wsi_server_finish(request);
}

/* Reads a list of methods; GET includes HEAD. 0: it is invalid. */
static unsigned wsi_web_methods(const char *methods) {
    wsi_slice list = wsi_text_z(methods), method;
    unsigned set = 0;
    while (wsi_text_next(&list, &method))
        set |= 1u << wsi_http_method(method);
    return set >> WSI_HTTP_METHODS ? 0 : set & WSI_HTTP_GET ? set | WSI_HTTP_HEAD : set;
}

WS_API bool ws_http_from(ws_server *server, const char *origins, const char *methods, const char *pattern,
                         ws_hook *function, void *user) {
    wsi_route route;
    wsi_reason why;
    if (!server)
        return false;
    memset(&route, 0, sizeof route);
    ws_error error = wsi_server_keep_list(server, &route.origins, origins, true, &why);
    const char *wrong = error == WS_ERROR_ARGUMENT ? why.text : NULL;
    route.methods = wsi_web_methods(methods);
    if (!function)
        wrong = "the function is NULL";
    else if (!route.methods)
        wrong = "methods is a list such as \"GET, POST\", of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    route.answer = wsi_web_answer;
    route.function = function;
    route.user = user;
    return wsi_route_add(server, "handler of", pattern, &route, wrong, !error);
}

WS_API bool ws_http(ws_server *server, const char *methods, const char *pattern, ws_hook *function, void *user) {
    return ws_http_from(server, NULL, methods, pattern, function, user);
}

/* --- origins, methods, bodies --- */

/* Whether the page may send this request. Browsers send Origin with methods that change something. Origin is "null" if
   the page hides it; old browsers send none. */
static bool wsi_web_origin(const ws_request *request, bool secure, wsi_why *why) {
    const wsi_request *head = request->head;
    const char *origins = request->route->origins ? request->route->origins : request->server->origins;
    wsi_slice rest = wsi_request_fields(request), site;
    if ((WSI_HTTP_GET | WSI_HTTP_HEAD | WSI_HTTP_OPTIONS) >> wsi_http_method(wsi_http_method_of(head)) & 1)
        return true;
    bool fetched = (!head->origin.data || wsi_text_is(head->origin, "null")) && !wsi_text_is(wsi_text_z(origins), "*")
                   && wsi_http_find(&rest, "sec-fetch-site", &site);
    if (fetched && (wsi_text_is(site, "same-origin") || (!head->origin.data && wsi_text_is(site, "none"))))
        return true;
    if (fetched && !head->origin.data)
        return wsi_handshake_deny(why, "Sec-Fetch-Site is ", site, ": the page is another site's", wsi_text(NULL, 0));
    return wsi_handshake_origin(head, origins, secure, why);
}

static int wsi_web_check(const ws_request *request, bool secure, wsi_why *why) {
    if (!wsi_web_origin(request, secure, why))
        return 403;
    return request->head->content_length > request->server->endpoint.env.limits.body ? 413 : 0;
}

/* Answers 405 with the methods that the path allows, or 204 to OPTIONS * with those of all routes (RFC 9110 9.3.7). */
static void wsi_web_allow(ws_request *request, int status) {
    const wsi_request *head = request->head;
    const wsi_route *route = request->server->routes;
    char methods[64], *to = methods;
    bool all = status == 204;
    unsigned set = 0;
    for (; (route = all ? route : wsi_server_route(request, route, false)) != NULL; route = route->next)
        set |= route->methods ? route->methods : (unsigned)WSI_HTTP_GET;
    for (unsigned i = 0; i < WSI_HTTP_METHODS; i++)
        if (set >> i & 1)
            to = wsi_text_append(wsi_text_append(to, wsi_text_z(to == methods ? "" : ", ")),
                                 wsi_text_z(wsi_http_methods[i]));
    *to = 0;
    if (wsi_request_line(request, all ? "Allow: " : "Content-Type: text/plain\r\nAllow: ", methods, ""))
        (void)wsi_engine_respond(&request->conn->engine, wsi_request_window(request), status,
                                 wsi_server_lines(request), wsi_text_z(wsi_http_reason(status)),
                                 all && wsi_request_is_followed(request) && !wsi_server_has_body(head));
    else
        wsi_request_status(request, 503);
    wsi_request_free(request);
}

/* Called if the connection ends before the body is complete. Returns the status to send, or 0. */
static int wsi_web_ended(wsi_kept *kept) {
    uint8_t error = kept->request.conn->engine.error;
    kept->request.server->endpoint.loop->arriving.used -= kept->size;
    bool ours = error == WS_ERROR_MEMORY || (!error && kept->request.server->endpoint.ending);
    return error == WS_ERROR_TIMEOUT ? 408 : ours ? 503 : 0; /* 0: the connection is broken, or refused already */
}

static void wsi_web_await_body(ws_request *request) {
    ws_conn *conn = request->conn;
    wsi_kept *kept = wsi_kept_wait(request, WSI_WAITING, wsi_web_ended, NULL);
    if (!kept) {
        wsi_request_status(request, 503);
        return;
    }
    request->server->endpoint.loop->arriving.used += kept->size; /* counts until the body is complete */
    wsi_body_want(&conn->engine, wsi_request_window(request));
    wsi_conn_tick(conn);
}

/* Copies the body out of the window, which other connections use as well. false: no memory. */
static bool wsi_web_keep_body(ws_request *request) {
    wsi_slice body = wsi_text((const char *)request->body.data, request->body.size);
    bool good = !body.data || request->buffers[WSI_CONTENT].data || wsi_request_put(request, WSI_CONTENT, body);
    if (good)
        request->body.data = request->buffers[WSI_CONTENT].data;
    return good;
}

/* Handles a complete body. Pages and files ignore it (RFC 9110 9.3.1). */
static void wsi_web_body(wsi_kept *kept, ws_message body) {
    kept->request.server->endpoint.loop->arriving.used -= kept->size;
    kept->request.stage = WSI_RUNNING;
    kept->request.body = body;
    kept->request.server->endpoint.env.request = kept->head; /* other requests may have overwritten it */
    wsi_server_answer(&kept->request);
}

static const wsi_web_calls wsi_web_functions = {wsi_web_check, wsi_web_allow, wsi_web_await_body, wsi_web_body,
                                                wsi_web_keep_body, wsi_web_finish};

/*
>> FILES ==================================================================================
   Serves a page from a file, and the files of a folder. Calls MEMORY, TEXT, HTTP, HEADS, PLATFORM, QUEUE, TRANSPORT,
   SEND, RECEIVE, ROOMS, ROUTES, REQUEST, SERVER. Prefix: wsi_files_.
*/

static const char *wsi_files_type(wsi_slice name) {
    static const char *const types[] = {
        "html", "text/html", "htm", "text/html", "css", "text/css", "js", "text/javascript", "mjs", "text/javascript",
        "json", "application/json", "map", "application/json", "txt", "text/plain", "md", "text/markdown",
        "csv", "text/csv", "xml", "application/xml", "svg", "image/svg+xml", "png", "image/png", "jpg", "image/jpeg",
        "jpeg", "image/jpeg", "gif", "image/gif", "webp", "image/webp", "avif", "image/avif", "ico", "image/x-icon",
        "woff", "font/woff", "woff2", "font/woff2", "ttf", "font/ttf", "wasm", "application/wasm",
        "pdf", "application/pdf", "zip", "application/zip", "mp3", "audio/mpeg", "ogg", "audio/ogg",
        "wav", "audio/wav", "mp4", "video/mp4", "webm", "video/webm", "webmanifest", "application/manifest+json"};
    size_t i, from = name.size;
    while (from && name.data[from - 1] != '.' && name.data[from - 1] != '/')
        from--;
    for (i = 0; from && name.data[from - 1] == '.' && i < sizeof types / sizeof *types; i += 2)
        if (wsi_text_is_nocase(wsi_text(name.data + from, name.size - from), types[i]))
            return types[i + 1];
    return "application/octet-stream";
}

/* Whether a path segment may name a file: nothing that begins with '.', and no '\', which browsers take for '/'. */
static bool wsi_files_segment(wsi_slice segment, char name[256]) {
    if (!segment.size || segment.size > 255 || segment.data[0] == '.')
        return false;
    for (size_t i = 0; i < segment.size; i++)
        if (segment.data[i] == '\\' || (uint8_t)segment.data[i] < ' ')
            return false;
    memcpy(name, segment.data, segment.size);
    name[segment.size] = 0;
    return true;
}

/* Opens a file, folder by folder, so that no symbolic link is followed. WSI_NO_FILE: *status is the answer. */
static wsi_file wsi_files_open(const char *folder, wsi_slice path, int *status) {
    wsi_file at = wsi_platform_open(folder, true), next;
    bool more = true;
    if (at == WSI_NO_FILE)
        *status = wsi_platform_file_status();
    while (at != WSI_NO_FILE && more) {
        wsi_slice segment = path;
        char name[256];
        more = wsi_text_until(&path, '/', &segment);
        if (!more && !segment.size)
            segment = wsi_text("index.html", 10);
        next = WSI_NO_FILE;
        if (!wsi_files_segment(segment, name))
            *status = 404;
        else if ((next = wsi_platform_open_in(at, name)) == WSI_NO_FILE)
            *status = wsi_platform_file_status();
        wsi_platform_close_file(at);
        at = next;
    }
    return at;
}

/* Sends the file until the socket is full, at most 1 MiB per call. */
static void wsi_files_pump(wsi_kept *kept) {
    ws_conn *conn = kept->request.conn;
    bool keep = wsi_request_is_followed(&kept->request);
    uint8_t block[WSI_RECORD];
    conn->engine.since = wsi_conn_loop(conn)->now;
    for (int turn = 0; turn < 64 && kept->left && !conn->blocked && !conn->broken; turn++) {
        size_t size = kept->left < sizeof block ? (size_t)kept->left : sizeof block;
        ptrdiff_t got = wsi_platform_read_file(kept->file, block, size);
        if (got <= 0 || !wsi_engine_raw(&conn->engine, block, (size_t)got)) {
            wsi_conn_break(conn, WS_ERROR_FILE); /* the file has become shorter than Content-Length */
            return;
        }
        kept->left -= (uint64_t)got;
        if (wsi_conn_gathered(conn))
            wsi_conn_flush(conn);
    }
    if (conn->broken)
        return;
    if (!kept->left) {
        wsi_platform_close_file(kept->file);
        wsi_kept_free(kept);
        (void)wsi_engine_responded(&conn->engine, true, keep);
    } else if (!conn->blocked) {
        conn->blocked = true;
        wsi_conn_interest(conn);
    }
    wsi_conn_tick(conn);
}

static void wsi_files_proceed(ws_conn *conn) {
    if (conn->blocked || conn->engine.state != WSI_ASKED)
        return;
    wsi_files_pump(wsi_kept_of(conn));
    if (conn->engine.state != WSI_ASKED && !conn->broken && !conn->is_ending)
        wsi_conn_resume(conn);
}

static int wsi_files_ended(wsi_kept *kept) {
    wsi_platform_close_file(kept->file);
    return 0;
}

/* Sends the answer's head, then the file, unless the method is HEAD. false: no memory, and the file is still open. */
static bool wsi_files_send(ws_request *request, wsi_file file, uint64_t size) {
    wsi_kept *kept = wsi_kept_wait(request, WSI_WAITING, wsi_files_ended, wsi_files_proceed);
    ws_conn *conn = request->conn;
    if (!kept)
        return false;
    kept->file = file;
    kept->left = wsi_http_is_method(&kept->head, "HEAD") ? 0 : size;
    bool good = wsi_engine_respond_head(&conn->engine, 200, wsi_server_lines(&kept->request), size,
                                        wsi_request_is_followed(&kept->request));
    wsi_request_consume(&kept->request);
    if (good)
        wsi_files_pump(kept);
    else
        wsi_conn_break(conn, WS_ERROR_MEMORY);
    return true;
}

static bool wsi_files_fresh(const ws_request *request, uint64_t changed) {
    ws_slice since = ws_request_header(request, "if-modified-since");
    uint64_t seconds, now = wsi_server_time(request->server);
    return since.data && !ws_request_header(request, "if-none-match").data
           && wsi_http_date_read(since, now, &seconds) && changed <= seconds;
}

static const char *wsi_files_charset(const wsi_route *route, wsi_file file, const char *type) {
    char first[WSI_CHARSET];
    ptrdiff_t got = wsi_platform_peek_file(file, first, sizeof first);
    const char *charset = wsi_route_charset(type, wsi_text(first, got > 0 ? (size_t)got : 0));
    return *charset && route->charset ? route->charset : charset;
}

static bool wsi_files_lines(ws_request *request, wsi_file file, wsi_slice path, uint64_t changed) {
    char date[30] = "";
    wsi_http_date(date, changed);
    if (!path.size || path.data[path.size - 1] == '/')
        path = wsi_text("index.html", 10);
    const char *type = wsi_files_type(path);
    return wsi_request_line(request, "Content-Type: ", type, wsi_files_charset(request->route, file, type))
           && wsi_request_line(request, "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nLast-Modified: ",
                               date, "");
}

static void wsi_files_answer(ws_request *request) {
    wsi_slice path = request->values[0];
    uint64_t size = 0, changed = 0;
    bool good = true;
    int status = 404;
    wsi_file file = wsi_files_open(request->route->folder, path, &status);
    wsi_file_kind kind = file != WSI_NO_FILE ? wsi_platform_file(file, &size, &changed) : WSI_FILE_OTHER;
    if (kind == WSI_FILE_FOLDER && path.size && path.data[path.size - 1] != '/') {
        status = 301; /* to the path with a '/' at its end, which relative links in the folder's page need */
        good = wsi_request_text(request, WSI_LINES, "Location: ")
               && wsi_request_put(request, WSI_LINES, request->head->path)
               && wsi_request_text(request, WSI_LINES, "/\r\n");
    } else if (kind == WSI_FILE_FAILED) {
        status = 500;
    } else if (kind == WSI_FILE_REGULAR) {
        good = wsi_files_lines(request, file, path, changed);
        status = wsi_files_fresh(request, changed) ? 304 : 200;
    }
    if (good && status == 200 && wsi_files_send(request, file, size))
        return;
    if (file != WSI_NO_FILE)
        wsi_platform_close_file(file);
    if (!good || status == 200 || status >= 400)
        wsi_request_status(request, good && status >= 400 ? status : 503);
    else
        (void)wsi_engine_respond(&request->conn->engine, wsi_request_window(request), status,
                                 wsi_server_lines(request), wsi_text("", 0), wsi_request_is_followed(request));
    wsi_request_end(request);
}

WS_API bool ws_files_charset(ws_server *server, const char *prefix, const char *folder, const char *charset) {
    static const char rest[] = "{file:path}";
    size_t size = prefix ? strlen(prefix) : 0;
    wsi_route route;
    char parameter[100] = "";
    if (!server)
        return false;
    if (!folder || !size || prefix[0] != '/' || prefix[size - 1] != '/' || strpbrk(prefix, "{}"))
        return wsi_server_fail(server, WS_ERROR_ARGUMENT, "files at", prefix,
                               folder ? "a prefix begins and ends with '/', without parameters" : "folder is NULL");
    if (charset && *charset
        && (!wsi_text_token(wsi_text_z(charset))
            || snprintf(parameter, sizeof parameter, "; charset=%s", charset) >= (int)sizeof parameter))
        return wsi_server_fail(server, WS_ERROR_ARGUMENT, "charset", charset, "not a valid name");
    wsi_file opened = wsi_platform_open(folder, true);
    if (opened == WSI_NO_FILE)
        return wsi_server_fail(server, WS_ERROR_FILE, "folder", folder, "it does not exist or cannot be read");
    wsi_platform_close_file(opened);
    memset(&route, 0, sizeof route);
    route.methods = WSI_HTTP_GET | WSI_HTTP_HEAD;
    route.answer = wsi_files_answer;
    char *pattern = (char *)wsi_server_keep(server, NULL, size + sizeof rest);
    if (!pattern || !wsi_server_keep_text(server, &route.charset, charset ? parameter : NULL)
        || !wsi_server_keep_text(server, &route.folder, folder))
        return wsi_server_fail(server, WS_ERROR_MEMORY, "files at", prefix, NULL);
    (void)snprintf(pattern, size + sizeof rest, "%s%s", prefix, rest);
    return wsi_route_add(server, "files at", pattern, &route, NULL, true);
}

WS_API bool ws_files(ws_server *server, const char *prefix, const char *folder) {
    return ws_files_charset(server, prefix, folder, NULL);
}

/* Reads a file to its end, and closes it. */
static ws_error wsi_files_read(wsi_memory *memory, wsi_file file, wsi_buffer *content) {
    ptrdiff_t got = 1;
    while (got > 0 && wsi_buffer_reserve(memory, content, WSI_RECORD)) {
        got = wsi_platform_read_file(file, content->data + content->size, WSI_RECORD);
        content->size += got > 0 ? (size_t)got : 0;
    }
    wsi_platform_close_file(file);
    return got > 0 ? WS_ERROR_MEMORY : got < 0 ? WS_ERROR_FILE : WS_OK;
}

WS_API bool ws_page_file(ws_server *server, const char *pattern, const char *content_type, const char *name) {
    wsi_buffer content = {NULL, 0, 0};
    if (!server)
        return false;
    wsi_file file = name ? wsi_platform_open(name, false) : WSI_NO_FILE;
    ws_error error = file != WSI_NO_FILE ? wsi_files_read(wsi_server_memory(server), file, &content) : WS_ERROR_FILE;
    bool good = error ? wsi_server_fail(server, error, "file", name, NULL)
                      : wsi_route_page(server, pattern, content_type, (const char *)content.data, content.size);
    wsi_buffer_free(wsi_server_memory(server), &content);
    return good;
}
#endif /* WS_NO_HTTP */

#ifndef WS_NO_JSON
/*
>> FORMATTED ==============================================================================
   Sends, broadcasts and answers with JSON or HTML from a printf-style format. Calls MEMORY, TEXT, HEADS, PRINT, JSON,
   LOOP, QUEUE, LIFE, ROOMS, REQUEST. Prefix: wsi_formatted_. Switch: WS_NO_JSON.
*/

/* Formats a message in loop->printed. Returns WS_OK, or WS_ERROR_ARGUMENT, _FORMAT, _UTF8 or _MEMORY. */
static ws_error wsi_formatted_print(ws_loop *loop, ws_message *message, const wsi_print_language *language,
                                    const char *format, va_list arguments) {
    ws_error error = WS_ERROR_ARGUMENT;
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (loop->printed.capacity > WSI_ARENA) /* after a large message */
        wsi_buffer_free(&loop->memory, &loop->printed);
    loop->printed.size = 0;
    if (format)
        error = wsi_print(&loop->memory, &loop->printed, language, format, arguments);
    message->data = loop->printed.data;
    message->size = loop->printed.size;
    message->type = WS_TEXT;
    return error;
}

static bool wsi_formatted_send(ws_conn *conn, const wsi_print_language *language, const char *format,
                               va_list arguments) {
    ws_message message;
    ws_error error = wsi_formatted_print(wsi_conn_loop(conn), &message, language, format, arguments);
    return error ? wsi_engine_refuse(&conn->engine, error) : ws_send(conn, message);
}

WS_API bool ws_send_json(ws_conn *conn, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool sent = conn && wsi_formatted_send(conn, &wsi_json, format, arguments);
    va_end(arguments);
    return sent;
}

WS_API bool ws_send_html(ws_conn *conn, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool sent = conn && wsi_formatted_send(conn, &wsi_html, format, arguments);
    va_end(arguments);
    return sent;
}

#ifndef WS_NO_SERVER
/* Like wsi_room_send. */
static bool wsi_formatted_broadcast(ws_server *server, ws_conn *sender, const ws_conn *except, const char *room,
                                    const wsi_print_language *language, const char *format, va_list arguments) {
    ws_message message;
    ws_error error = server ? wsi_formatted_print(server->endpoint.loop, &message, language, format, arguments)
                            : WS_ERROR_ARGUMENT;
    return error ? wsi_room_fail(sender, error) : wsi_room_send(server, sender, except, room, message);
}

WS_API bool ws_broadcast_json(ws_conn *sender, const char *room, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool sent = wsi_formatted_broadcast(ws_conn_server(sender), sender, NULL, room, &wsi_json, format, arguments);
    va_end(arguments);
    return sent;
}

WS_API bool ws_broadcast_others_json(ws_conn *sender, const char *room, const char *format, ...) {
    ws_server *server = ws_conn_server(sender);
    va_list arguments;
    va_start(arguments, format);
    bool sent = wsi_formatted_broadcast(server, sender, sender, room, &wsi_json, format, arguments);
    va_end(arguments);
    return sent;
}

WS_API bool ws_server_broadcast_json(ws_server *server, const char *room, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool sent = wsi_formatted_broadcast(server, NULL, NULL, room, &wsi_json, format, arguments);
    va_end(arguments);
    return sent;
}

WS_API bool ws_broadcast_html(ws_conn *sender, const char *room, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool sent = wsi_formatted_broadcast(ws_conn_server(sender), sender, NULL, room, &wsi_html, format, arguments);
    va_end(arguments);
    return sent;
}

WS_API bool ws_server_broadcast_html(ws_server *server, const char *room, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool sent = wsi_formatted_broadcast(server, NULL, NULL, room, &wsi_html, format, arguments);
    va_end(arguments);
    return sent;
}

WS_API bool ws_slice_number(ws_slice slice, double *number) {
    bool negative = slice.size && slice.data[0] == '-';
    double value;
    if (negative)
        slice.data++, slice.size--;
    while (slice.size > 1 && slice.data[0] == '0' && wsi_text_digit(slice.data[1]))
        slice.data++, slice.size--;
    if (!slice.size || !wsi_text_digit(slice.data[0]) || !wsi_text_digit(slice.data[slice.size - 1])
        || !ws_json_as_number(ws_json_parse(slice.data, slice.size), &value))
        return false;
    *number = negative ? -value : value;
    return true;
}
#endif /* WS_NO_SERVER */

#ifndef WS_NO_HTTP
static bool wsi_formatted_reply(ws_request *request, int status, const char *type, const wsi_print_language *language,
                                const char *format, va_list arguments) {
    ws_message message;
    if (!wsi_request_open(request))
        return false;
    if (wsi_formatted_print(request->server->endpoint.loop, &message, language, format, arguments))
        return wsi_request_fail(request, 500);
    return wsi_request_answer(request, status, NULL, type, message.data, message.size);
}

WS_API bool ws_reply_json(ws_request *request, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool replied = wsi_formatted_reply(request, status, "application/json", &wsi_json, format, arguments);
    va_end(arguments);
    return replied;
}

WS_API bool ws_reply_html(ws_request *request, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool replied = wsi_formatted_reply(request, status, "text/html", &wsi_html, format, arguments);
    va_end(arguments);
    return replied;
}
#endif /* WS_NO_HTTP */
#endif /* WS_NO_JSON */

#if !defined(WS_NO_HTTP) && !defined(WS_NO_JSON)
/*
>> SESSION ================================================================================
   Cookies that only the server can write: "JSON.time.signature". JSON and signature are in base64url (RFC 4648 5); the
   signature is an HMAC-SHA256 (RFC 2104) by OpenSSL or the program. Calls MEMORY, TEXT, MESSAGES, JSON, PLATFORM, LOOP,
   ROOMS, ROUTES, REQUEST, WEB, FORMATTED. Prefix: wsi_session_. Switches: WS_NO_HTTP, WS_NO_JSON.
*/

/* MORE: "=", up to 4 bytes that encoding adds, two dots, 20 digits, and a signature with its padding. */
enum { WSI_SESSION_MAX = 3000, WSI_SESSION_KEY = 16, WSI_SESSION_MAC = 43, WSI_SESSION_MORE = 71 };

typedef struct wsi_sessions { /* one server's config, in one block */
    uint32_t seconds;
    bool secure;
    bool (*hmac)(void *user, const void *key, size_t key_size, const void *data, size_t size, uint8_t mac[32]);
    void *hmac_user;
    const char *keys; /* strings, one after another, then an empty one */
    char cookie[1];   /* the cookie's name; the keys follow it */
} wsi_sessions;

/* Writes base64url without padding; `out` has room for size / 3 * 4 + 4. */
static size_t wsi_session_encode(char *out, const void *data, size_t size) {
    size_t written = wsi_text_base64(out, (const uint8_t *)data, size), i;
    for (i = 0; i < written; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    return written - (3 - size % 3) % 3;
}

/* Decodes base64url into `out`, which has room for text.size bytes. -1: malformed, or unused bits are set. */
static ptrdiff_t wsi_session_decode(uint8_t *out, wsi_slice text) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned count = 0;
    size_t i, size = 0;
    for (i = 0; i < text.size; i++) {
        const char *digit = (const char *)memchr(alphabet, text.data[i], 64);
        if (!digit)
            return -1;
        bits = bits << 6 | (uint32_t)(digit - alphabet);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[size++] = (uint8_t)(bits >> count);
        }
    }
    return count >= 6 || (bits & ((1u << count) - 1)) ? -1 : (ptrdiff_t)size;
}

/* Writes the signature of the text: 43 characters, and one of padding. */
static bool wsi_session_sign(const wsi_sessions *sessions, const char *key, const void *text, size_t size, char *out) {
    uint8_t mac[32];
    return sessions->hmac(sessions->hmac_user, key, strlen(key), text, size, mac)
           && wsi_session_encode(out, mac, sizeof mac) == WSI_SESSION_MAC;
}

/* Writes "name=encoded JSON.time.signature" into `out`, which is empty. */
static bool wsi_session_write(const wsi_sessions *sessions, wsi_memory *memory, wsi_buffer *out, wsi_slice json,
                              uint64_t now) {
    wsi_slice name = wsi_text_z(sessions->cookie);
    if (!wsi_buffer_reserve(memory, out, name.size + json.size / 3 * 4 + WSI_SESSION_MORE))
        return false;
    char *to = wsi_text_append((char *)out->data, name);
    *to++ = '=';
    to += wsi_session_encode(to, json.data, json.size);
    *to++ = '.';
    to += wsi_text_decimal(to, now);
    if (!wsi_session_sign(sessions, sessions->keys, out->data, (size_t)(to - (char *)out->data), to + 1))
        return false;
    *to = '.';
    out->size = (size_t)(to - (char *)out->data) + 1 + WSI_SESSION_MAC;
    return true;
}

/* Whether one of the keys gives this signature. Compares in constant time. */
static bool wsi_session_signed(const wsi_sessions *sessions, wsi_slice text, const char *signature) {
    bool good = false;
    for (const char *key = sessions->keys; *key && !good; key += strlen(key) + 1) {
        char wanted[WSI_SESSION_MAC + 1] = "";
        int different = !wsi_session_sign(sessions, key, text.data, text.size, wanted);
        for (size_t i = 0; i < WSI_SESSION_MAC; i++)
            different |= wanted[i] ^ signature[i];
        good = !different;
    }
    return good;
}

/* Reads a cookie's value into `out`, which is empty. false: altered, too old, or no memory. */
static bool wsi_session_read(const wsi_sessions *sessions, wsi_memory *memory, wsi_buffer *out, wsi_slice value,
                             uint64_t now) {
    size_t name = strlen(sessions->cookie);
    wsi_slice text = value, json;
    uint64_t time;
    if (value.size <= WSI_SESSION_MAC || !wsi_buffer_reserve(memory, out, name + value.size))
        return false;
    text.size -= WSI_SESSION_MAC + 1;
    memcpy(out->data, sessions->cookie, name);
    out->data[name] = '=';
    memcpy(out->data + name + 1, value.data, text.size);
    if (text.data[text.size] != '.'
        || !wsi_session_signed(sessions, wsi_text((const char *)out->data, name + 1 + text.size),
                               text.data + text.size + 1)
        || !wsi_text_until(&text, '.', &json) || !wsi_text_number(text, &time) || now >= time + sessions->seconds)
        return false;
    ptrdiff_t size = wsi_session_decode(out->data, json);
    if (size < 0 || !ws_json_valid(out->data, (size_t)size))
        return false;
    out->size = (size_t)size;
    out->data[size] = 0;
    return true;
}

/* The config of a server's sessions; NULL: it has none. */
static const wsi_sessions *wsi_session_of(const ws_server *server) {
    return (const wsi_sessions *)(const void *)server->sessions.data;
}

/* Makes sessions from a config. The caller frees *made, even after an error; *why: the error's reason. */
static ws_error wsi_session_make(wsi_memory *memory, const wsi_tls_calls *tls, const ws_session_config *config,
                                 wsi_buffer *made, wsi_reason *why) {
    uint8_t mac[32];
    if (!config || !config->keys || !config->keys[0])
        return wsi_reason_set(why, WS_ERROR_ARGUMENT, "sessions: keys is empty; a key has at least %d random bytes",
                              (int)WSI_SESSION_KEY);
    if (config->cookie && !wsi_text_token(wsi_text_z(config->cookie)))
        return wsi_reason_set(why, WS_ERROR_ARGUMENT, "sessions: a cookie cannot be named \"%s\"", config->cookie);
    const char *cookie = config->cookie ? config->cookie : "session";
    wsi_sessions fields;
    memset(&fields, 0, sizeof fields);
    bool room = wsi_buffer_append(memory, made, &fields, offsetof(wsi_sessions, cookie))
                && wsi_buffer_append(memory, made, cookie, strlen(cookie) + 1);
    for (size_t i = 0; config->keys[i]; i++) {
        size_t key = strlen(config->keys[i]);
        if (key < WSI_SESSION_KEY)
            return wsi_reason_set(why, WS_ERROR_ARGUMENT,
                                  "sessions: keys[%u] has %u bytes; a key has at least %d random bytes", (unsigned)i,
                                  (unsigned)key, (int)WSI_SESSION_KEY);
        room = room && wsi_buffer_append(memory, made, config->keys[i], key + 1);
    }
    if (!room) /* the empty string after the keys is the zero that each of these calls appends */
        return wsi_reason_set(why, WS_ERROR_MEMORY, "sessions: %s", ws_error_text(WS_ERROR_MEMORY));
    wsi_sessions *sessions = (wsi_sessions *)(void *)made->data;
    sessions->seconds = config->seconds ? config->seconds : 14 * 24 * 3600;
    sessions->secure = config->secure;
    sessions->hmac = config->hmac || !tls ? config->hmac : tls->hmac;
    sessions->hmac_user = config->hmac_user;
    sessions->keys = sessions->cookie + strlen(cookie) + 1;
    if (sessions->hmac && sessions->hmac(sessions->hmac_user, sessions->keys, strlen(sessions->keys), "", 0, mac))
        return WS_OK;
    return config->hmac ? wsi_reason_set(why, WS_ERROR_ARGUMENT, "sessions: hmac returned false")
                        : wsi_reason_set(why, WS_ERROR_NO_TLS, "sessions: set hmac; this program was built without "
                                                               "TLS (WS_NO_TLS)");
}

/* --- sessions of requests and connections --- */

WS_API ws_message ws_session(ws_request *request) {
    ws_message none = {NULL, 0, WS_TEXT};
    const wsi_sessions *sessions = request ? wsi_session_of(request->server) : NULL;
    if (!sessions)
        return none;
    wsi_buffer *found = &request->buffers[WSI_SESSION];
    if (!request->has_session) { /* takes the first valid cookie: other paths or hosts may have set further ones */
        wsi_slice fields = wsi_request_fields(request), pairs = {NULL, 0}, cookie;
        request->has_session = true;
        while (!found->size && wsi_request_cookie(&fields, &pairs, sessions->cookie, &cookie))
            (void)wsi_session_read(sessions, wsi_server_memory(request->server), found, cookie,
                                   wsi_server_time(request->server));
    }
    ws_message session = {found->size ? found->data : NULL, found->size, WS_TEXT};
    return session;
}

/* Stores the session in an open connection, as one more string after the parameters. */
static void wsi_session_open(ws_request *request) {
    ws_message session = ws_session(request);
    request->values[request->count++] = wsi_text((const char *)session.data, session.size);
}

WS_API bool ws_sessions(ws_server *server, const ws_session_config *config) {
    wsi_buffer sessions = {NULL, 0, 0};
    wsi_reason why;
    if (!server)
        return false;
    ws_loop *loop = server->endpoint.loop;
    ws_error error = wsi_session_make(&loop->memory, loop->tls_calls, config, &sessions,
                                      loop->error ? &why : &loop->why);
    if (error) {
        wsi_buffer_free(&loop->memory, &sessions);
        return wsi_loop_fail_why(loop, error);
    }
    wsi_buffer_free(&loop->memory, &server->sessions);
    server->open_session = wsi_session_open;
    server->sessions = sessions;
    return true;
}

WS_API ws_message ws_conn_session(const ws_conn *conn) {
    const wsi_route *route = wsi_route_of(conn);
    const char *text = NULL;
    size_t count;
    if (route && !wsi_route_find(route, "", &count))
        text = wsi_route_string(conn, count + 1); /* NULL: conn opened before ws_sessions was called */
    wsi_slice json = wsi_text_z(text && *text ? text : NULL);
    ws_message session = {(const uint8_t *)json.data, json.size, WS_TEXT};
    return session;
}

static bool wsi_session_set(ws_request *request, const char *format, va_list arguments) {
    const wsi_sessions *sessions = wsi_session_of(request->server);
    wsi_memory *memory = wsi_server_memory(request->server);
    wsi_buffer pair = {NULL, 0, 0};
    ws_message json;
    if (!format)
        return wsi_web_set_cookie(request, sessions->cookie, wsi_text(NULL, 0), -1, sessions->secure);
    if (wsi_formatted_print(request->server->endpoint.loop, &json, &wsi_json, format, arguments)
        || json.size > WSI_SESSION_MAX)
        return false;
    size_t name = strlen(sessions->cookie) + 1; /* the pair begins with "name=", which is signed as well */
    bool set = wsi_session_write(sessions, memory, &pair, wsi_text((const char *)json.data, json.size),
                                 wsi_server_time(request->server))
               && wsi_web_set_cookie(request, sessions->cookie,
                                     wsi_text((const char *)pair.data + name, pair.size - name),
                                     (int64_t)sessions->seconds, sessions->secure);
    wsi_buffer_free(memory, &pair);
    return set;
}

WS_API bool ws_set_session(ws_request *request, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool set = wsi_request_open(request) && wsi_session_of(request->server)
               && wsi_session_set(request, format, arguments);
    va_end(arguments);
    return set;
}
#endif /* WS_NO_HTTP, WS_NO_JSON */

#ifndef WS_NO_TLS
/*
>> TLS ====================================================================================
   OpenSSL, 1.1.1 or 3, as a ws_transport (RFC 8446, 5246, 9525, 7301). Calls MEMORY, MESSAGES, PLATFORM, TCP. Servers
   and clients call it through a table of functions (wsi_tls_calls). Switch: WS_NO_TLS. OpenSSL reads and writes the
   socket through a BIO of this section, with at most one receive for each call and without SIGPIPE.
*/

#if defined(__has_include)
#if !__has_include(<openssl/ssl.h>)
#error "openssl/ssl.h is missing: install OpenSSL's headers, or define WS_NO_TLS to build without wss://"
#endif
#endif
#include <openssl/err.h>
#if !defined(WS_NO_HTTP) && !defined(WS_NO_JSON)
#include <openssl/hmac.h>
#endif
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { WSI_TLS_RECENT = 128 }; /* the most connections that keep their buffers, 33 KB each */

typedef struct wsi_tls { /* shared by all connections with one config; the `user` of their ws_transport */
    struct wsi_tls_session *recent[WSI_TLS_RECENT]; /* a ring of the sessions that keep their buffers */
    unsigned recent_next;
    wsi_memory *memory;
    size_t references;
    SSL_CTX *context;      /* NULL: not made yet */
    BIO_METHOD *method;
#ifndef WS_NO_CLIENT
    struct wsi_tls *next;  /* in loop->tls */
    ws_tls_config config;  /* a client's config, with copies of its strings; zeros for a server */
    uint64_t files;        /* what wsi_tls_files returned when the files were read */
#endif
} wsi_tls;

typedef struct wsi_tls_session { /* one connection's state, which is its link's session */
    SSL *ssl;
    wsi_tls *tls;
    wsi_buffer out; /* ciphertext that the socket did not take: OpenSSL can always write whole records */
    size_t sent;    /* bytes of out that are sent */
    size_t size;    /* the size of this struct */
    uint32_t code;  /* OpenSSL's code for why the session failed; 0: unknown */
    uint8_t recent; /* its place in tls->recent, from 1; 0: none */
    bool failed;    /* nothing may be sent any more */
    bool ended;     /* the socket's stream ended or failed */
    char name[1];   /* the name that the certificate must have; empty: any */
} wsi_tls_session;

enum { WSI_TLS_UNSENT = 128 << 10 }; /* the most bytes in out, so that alerts and key updates cannot pile up */

static wsi_tls_session *wsi_tls_of(const ws_link *link) { return (wsi_tls_session *)link->session; }

/* An idle connection should not hold OpenSSL's record buffers, 33 KB, but freeing them each time would cost two
   allocations per message, so the sessions used last keep theirs. OpenSSL keeps the buffers of an incomplete record. */
static void wsi_tls_free_buffers(wsi_tls_session *session) {
    if (!session->recent)
        return;
    session->tls->recent[session->recent - 1] = NULL;
    session->recent = 0;
    (void)SSL_free_buffers(session->ssl);
}

static void wsi_tls_keep_buffers(wsi_tls_session *session) {
    wsi_tls *tls = session->tls;
    if (session->recent)
        return;
    if (tls->recent[tls->recent_next])
        wsi_tls_free_buffers(tls->recent[tls->recent_next]);
    tls->recent[tls->recent_next++] = session;
    session->recent = (uint8_t)tls->recent_next;
    tls->recent_next %= WSI_TLS_RECENT;
}

static const char *wsi_tls_reason_text(unsigned long code) {
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    if (code && ERR_GET_LIB(code) == ERR_LIB_SYS)
        return strerror(ERR_GET_REASON(code));
    return text ? text : "unknown reason";
}

/* --- the socket as OpenSSL sees it --- */

static int wsi_tls_bio_read(BIO *bio, char *data, int size) {
    ws_link *link = (ws_link *)BIO_get_data(bio);
    ptrdiff_t got = link->budget ? wsi_tcp_read(link, (uint8_t *)data, (size_t)size) : 0;
    BIO_clear_retry_flags(bio);
    if (got > 0) {
        link->budget = 0;
        return (int)got;
    }
    if (got == 0)
        BIO_set_retry_read(bio);
    if (got < 0)
        wsi_tls_of(link)->ended = true;
    return -1;
}

/* Accepts all bytes, and queues those that the socket does not take. */
static int wsi_tls_bio_write(BIO *bio, const char *data, int size) {
    ws_link *link = (ws_link *)BIO_get_data(bio);
    wsi_tls_session *session = wsi_tls_of(link);
    ws_span span = {(uint8_t *)(uintptr_t)data, (size_t)size}; /* only read */
    ptrdiff_t sent = link->unsent ? 0 : wsi_tcp_write_one(link, span);
    if (sent == size)
        return size;
    if (sent < 0 || session->out.size + (size_t)(size - sent) > WSI_TLS_UNSENT
        || !wsi_buffer_append(session->tls->memory, &session->out, data + sent, (size_t)(size - sent))) {
        session->ended = true;
        return -1;
    }
    link->unsent = true;
    return size;
}

/* Sends the queue. Returns 1 if it is empty now, 0 if it is not, or WS_FAILED. */
static ptrdiff_t wsi_tls_flush(ws_link *link) {
    wsi_tls_session *session = wsi_tls_of(link);
    if (!link->unsent)
        return 1;
    ws_span span = {session->out.data + session->sent, session->out.size - session->sent};
    ptrdiff_t sent = wsi_tcp_write_one(link, span);
    if (sent < 0)
        return WS_FAILED;
    session->sent += (size_t)sent;
    if (session->sent < session->out.size)
        return 0;
    wsi_buffer_free(session->tls->memory, &session->out);
    session->sent = 0;
    link->unsent = false;
    return 1;
}

static long wsi_tls_bio_control(BIO *bio, int command, long number, void *pointer) {
    return (void)bio, (void)number, (void)pointer, command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *wsi_tls_new_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ws.h");
    if (method && BIO_meth_set_read(method, wsi_tls_bio_read) && BIO_meth_set_write(method, wsi_tls_bio_write)
        && BIO_meth_set_ctrl(method, wsi_tls_bio_control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* --- certificates and keys --- */

static char wsi_tls_no_password[] = ""; /* without this, OpenSSL would ask for one on the terminal */

/* Reads a PEM text into the context. Returns what is wrong with it, or NULL. */
typedef const char *wsi_tls_reader(SSL_CTX *context, BIO *bio);

/* Reads the file, or the text if there is no file. */
static bool wsi_tls_load(SSL_CTX *context, const char *file, const char *pem, wsi_tls_reader *reader, wsi_reason *why) {
    BIO *bio = file ? BIO_new_file(file, "r") : BIO_new_mem_buf(pem, -1);
    const char *fault = bio ? reader(context, bio) : "cannot be read";
    if (fault)
        (void)wsi_reason_set(why, WS_ERROR_TLS, "%s %s: %s", file ? file : "the PEM text", fault,
                             wsi_tls_reason_text(ERR_peek_error()));
    BIO_free(bio);
    return !fault;
}

/* Whether reading stopped at the end of the text, not at something malformed. */
static bool wsi_tls_read_all(void) {
    bool all = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (all)
        ERR_clear_error();
    return all;
}

/* Returns the certificate if it can be used; else frees it. Decodes extensions and key now: if memory failed later,
   OpenSSL would keep a certificate without them. */
static X509 *wsi_tls_usable(X509 *certificate) {
    if (!certificate || (X509_check_purpose(certificate, -1, 0) == 1 && X509_get0_pubkey(certificate)))
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* Decodes a certificate. Tries twice, so that one failed allocation does not lose it. */
static X509 *wsi_tls_decode(const unsigned char *data, long size) {
    const unsigned char *first = data, *second = data;
    X509 *certificate = wsi_tls_usable(d2i_X509(NULL, &first, size));
    return certificate ? certificate : wsi_tls_usable(d2i_X509(NULL, &second, size));
}

static const char *wsi_tls_read_chain(SSL_CTX *context, BIO *bio) {
    X509 *certificate = wsi_tls_usable(PEM_read_bio_X509_AUX(bio, NULL, NULL, wsi_tls_no_password));
    bool good = certificate && SSL_CTX_use_certificate(context, certificate) == 1;
    X509_free(certificate);
    if (!good)
        return "holds no usable certificate";
    while (good && (certificate = wsi_tls_usable(PEM_read_bio_X509(bio, NULL, NULL, wsi_tls_no_password))) != NULL) {
        good = SSL_CTX_add1_chain_cert(context, certificate) == 1;
        X509_free(certificate);
    }
    return good && wsi_tls_read_all() ? NULL : "holds a malformed certificate after the first";
}

static const char *wsi_tls_read_key(SSL_CTX *context, BIO *bio) {
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, wsi_tls_no_password);
    if (!key)
        return "holds no private key (is key_file set?), or one with a password (use ssl_ctx)";
    bool good = SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    return good ? NULL : "holds a private key that does not belong to the certificate";
}

static bool wsi_tls_use_own(SSL_CTX *context, const ws_tls_config *config, wsi_reason *why) {
    bool apart = config->key_file || config->key_pem;
    if (!config->cert_file && !config->cert_pem)
        return wsi_reason_set(why, WS_ERROR_TLS, "there is no certificate: set cert_file or cert_pem") == WS_OK;
    return wsi_tls_load(context, config->cert_file, config->cert_pem, wsi_tls_read_chain, why)
           && wsi_tls_load(context, apart ? config->key_file : config->cert_file,
                           apart ? config->key_pem : config->cert_pem, wsi_tls_read_key, why);
}

/* Only the peer's own certificate needs a revocation list, from its issuer. If the chain ends with an intermediate, the
   list's signer may be missing, so that its signature cannot be checked; the list is used nevertheless. */
static int wsi_tls_verify(int good, X509_STORE_CTX *verification) {
    int error = X509_STORE_CTX_get_error(verification), depth = X509_STORE_CTX_get_error_depth(verification);
    bool last = depth == sk_X509_num(X509_STORE_CTX_get0_chain(verification)) - 1;
    bool unchecked = error == X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER || error == X509_V_ERR_CRL_SIGNATURE_FAILURE;
    if (good || depth == 0 || !(error == X509_V_ERR_UNABLE_TO_GET_CRL || (last && unchecked)))
        return good;
    X509_STORE_CTX_set_error(verification, X509_V_OK);
    return 1;
}

/* Adds the CA certificates in a PEM text to those that verify peers, and to those that a server names to clients. Skips
   certificates that cannot be used, such as those with an unknown kind of key. Each of the others, also an
   intermediate, may end a chain (RFC 5280 6.1: any certificate may be a trust anchor). */
static const char *wsi_tls_read_trusted(SSL_CTX *context, BIO *bio) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    unsigned char *data;
    long size;
    bool any = false, good = X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
    while (good && PEM_bytes_read_bio(&data, &size, NULL, PEM_STRING_X509, bio, NULL, wsi_tls_no_password) == 1) {
        X509 *certificate = wsi_tls_decode(data, size);
        if (certificate)
            any = good = X509_STORE_add_cert(store, certificate) == 1
                         && SSL_CTX_add_client_CA(context, certificate) == 1;
        X509_free(certificate);
        OPENSSL_free(data);
    }
    return any && wsi_tls_read_all() ? NULL : "holds no usable CA certificates";
}

static const char *wsi_tls_read_revoked(SSL_CTX *context, BIO *bio) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_CRL *list;
    bool any = false, good = X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
    while (good && (list = PEM_read_bio_X509_CRL(bio, NULL, NULL, wsi_tls_no_password)) != NULL) {
        any = good = X509_STORE_add_crl(store, list) == 1;
        X509_CRL_free(list);
    }
    return any && wsi_tls_read_all() ? NULL : "holds no usable revocation list";
}

/* Loads the config's CA certificates and revocation lists. */
static bool wsi_tls_use_trusted(SSL_CTX *context, const ws_tls_config *config, wsi_reason *why) {
    if ((config->ca_file || config->ca_pem)
        && !wsi_tls_load(context, config->ca_file, config->ca_pem, wsi_tls_read_trusted, why))
        return false;
    return !config->crl_file || wsi_tls_load(context, config->crl_file, NULL, wsi_tls_read_revoked, why);
}

/* --- contexts --- */

/* Sets up what differs between servers and clients. */
typedef bool wsi_tls_fill(SSL_CTX *context, const ws_tls_config *config, wsi_reason *why);

static SSL_CTX *wsi_tls_new_context(const ws_tls_config *config, wsi_tls_fill *fill, wsi_reason *why) {
    SSL_CTX *context = (SSL_CTX *)config->ssl_ctx;
    if (context && (config->cert_file || config->cert_pem || config->key_file || config->key_pem || config->ca_file
                    || config->ca_pem || config->crl_file)) {
        (void)wsi_reason_set(why, WS_ERROR_TLS, "ssl_ctx replaces files and texts: set one or the other");
        return NULL;
    }
    if (context)
        return SSL_CTX_up_ref(context) == 1 ? context : NULL;
    context = SSL_CTX_new(TLS_method());
    /* the system's policy may set a higher minimum; 0: no minimum */
    bool good = context && (SSL_CTX_get_min_proto_version(context) >= TLS1_2_VERSION
                            || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
    if (good) {
        SSL_CTX_set_read_ahead(context, 1);
        (void)SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION);
    }
    if (good && fill(context, config, why))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* Makes the context, unless there is one. tls NULL: wsi_tls_new had no memory. */
static ws_error wsi_tls_complete(wsi_tls *tls, const ws_tls_config *config, wsi_tls_fill *fill, wsi_reason *why) {
    if (!tls)
        return wsi_reason_set(why, WS_ERROR_MEMORY, "%s", ws_error_text(WS_ERROR_MEMORY));
    if (tls->context)
        return WS_OK;
    ERR_clear_error(); /* the program's own use of OpenSSL may have left errors */
    wsi_reason_clear(why);
    if (!tls->method)
        tls->method = wsi_tls_new_method();
    tls->context = tls->method ? wsi_tls_new_context(config, fill, why) : NULL;
    unsigned long code = ERR_peek_error();
    if (!tls->context && !wsi_reason_text(why))
        (void)wsi_reason_set(why, WS_ERROR_TLS, "OpenSSL cannot be set up: %s; %s?", wsi_tls_reason_text(code),
                             code && ERR_GET_REASON(code) != ERR_R_MALLOC_FAILURE
                                 ? "is its configuration file in order" : "is there enough memory");
    ERR_clear_error();
    return tls->context ? WS_OK : WS_ERROR_TLS;
}

/* Makes a wsi_tls with one reference, and without a context. NULL: no memory. */
static wsi_tls *wsi_tls_new(wsi_memory *memory) {
    wsi_tls *tls = (wsi_tls *)wsi_memory_new(memory, sizeof *tls);
    if (!tls)
        return NULL;
    tls->memory = memory;
    tls->references = 1;
    return tls;
}

static void wsi_tls_release(wsi_tls *tls) {
    if (!tls || --tls->references)
        return;
    SSL_CTX_free(tls->context);
    BIO_meth_free(tls->method);
    wsi_memory_free(tls->memory, tls, sizeof *tls);
}

/* --- the transport --- */

static void wsi_tls_close(ws_link *link) {
    wsi_tls_session *session = wsi_tls_of(link);
    wsi_tls *tls = session->tls;
    wsi_tls_free_buffers(session);
    SSL_free(session->ssl);
    wsi_buffer_free(tls->memory, &session->out);
    wsi_memory_free(tls->memory, session, session->size);
    link->session = NULL;
    link->unsent = false;
    wsi_tls_release(tls);
}

#ifndef WS_NO_CLIENT
/* RFC 9525: the certificate must have this name or address in its subjectAltName; no other field counts. */
static bool wsi_tls_expect_name(const wsi_tls_session *session) {
    SSL *ssl = session->ssl;
    X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
    bool any = session->tls->config.accept_any_certificate;
    SSL_set_verify(ssl, any ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, SSL_get_verify_callback(ssl));
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
                                                    | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, session->name) == 1)
        return true;
    return X509_VERIFY_PARAM_set1_host(parameters, session->name, 0) == 1
           && SSL_set_tlsext_host_name(ssl, session->name) == 1;
}
#else
static bool wsi_tls_expect_name(const wsi_tls_session *session) { return (void)session, true; }
#endif

/* Opens a session. host NULL: this end is the server. */
static bool wsi_tls_open(ws_link *link, const char *host, void *user) {
    wsi_tls *tls = (wsi_tls *)user;
    size_t length = host ? strlen(host) : 0, size = sizeof(wsi_tls_session) + length;
    wsi_tls_session *session = (wsi_tls_session *)wsi_memory_new(tls->memory, size);
    if (!session)
        return false;
    if (host)
        memcpy(session->name, host, length > 1 && host[length - 1] == '.' ? length - 1 : length);
    session->tls = tls;
    session->size = size;
    tls->references++;
    link->session = session;
    session->ssl = SSL_new(tls->context);
    BIO *bio = session->ssl ? BIO_new(tls->method) : NULL;
    if (bio) {
        BIO_set_data(bio, link);
        SSL_set_bio(session->ssl, bio, bio);
        (void)SSL_set_mode(session->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        (host ? SSL_set_connect_state : SSL_set_accept_state)(session->ssl);
        if (!host || wsi_tls_expect_name(session))
            return true;
    }
    ERR_clear_error();
    wsi_tls_close(link);
    return false;
}

static const char *wsi_tls_fault(int reason) {
    int alert = reason - SSL_AD_REASON_OFFSET; /* RFC 8446 6: bad_certificate to unknown_ca, certificate_required */
    if ((alert >= 42 && alert <= 48) || alert == 116)
        return "the peer does not accept our certificate, or wants one: ";
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_PACKET_LENGTH_TOO_LONG)
        return "the peer does not speak TLS on this port: ";
    return "TLS failed: ";
}

/* Returns what SSL_get_error would. That needs the error queue to be cleared before each call (430 instructions for an
   echo, by make bench); this function ignores errors that the program's own use of OpenSSL left in the queue. */
static ptrdiff_t wsi_tls_result(ws_link *link) {
    wsi_tls_session *session = wsi_tls_of(link);
    SSL *ssl = session->ssl;
    if (SSL_want_read(ssl) && BIO_should_retry(SSL_get_rbio(ssl))) {
        link->wants = WS_READ;
        return 0;
    }
    if ((SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) && !SSL_in_init(ssl))
        return WS_ENDED; /* close_notify; a fatal alert would leave SSL_in_init true */
    session->failed = true;
    session->code = session->ended ? 0 : (uint32_t)ERR_peek_last_error(); /* earlier errors may be the program's */
    ERR_clear_error();
    return WS_FAILED;
}

static ptrdiff_t wsi_tls_read(ws_link *link, void *data, size_t size) {
    SSL *ssl = wsi_tls_of(link)->ssl;
    size_t total = 0, got;
    ptrdiff_t result = 0;
    wsi_tls_keep_buffers(wsi_tls_of(link));
    while (total < size) {
        if (SSL_read_ex(ssl, (uint8_t *)data + total, size - total, &got) != 1) {
            result = wsi_tls_result(link);
            break;
        }
        total += got;
        if (!SSL_has_pending(ssl))
            return (ptrdiff_t)total;
    }
    if (!total)
        return result;
    link->pending = total == size || result < 0; /* more bytes, or the error, are left for the next call */
    return (ptrdiff_t)total;
}

static ptrdiff_t wsi_tls_write(ws_link *link, const void *data, size_t size) {
    ptrdiff_t flushed = wsi_tls_flush(link);
    size_t sent;
    if (flushed <= 0 || !size)
        return flushed < 0 ? flushed : 0;
    link->budget = 1; /* TLS 1.2's renegotiation has to read, also while the connection is paused */
    wsi_tls_keep_buffers(wsi_tls_of(link));
    return SSL_write_ex(wsi_tls_of(link)->ssl, data, size, &sent) == 1 ? (ptrdiff_t)sent : wsi_tls_result(link);
}

static ptrdiff_t wsi_tls_shut(ws_link *link) {
    SSL *ssl = wsi_tls_of(link)->ssl;
    if (wsi_tls_of(link)->failed)
        return WS_FAILED;
    if (SSL_in_init(ssl))
        return 1; /* the handshake is not complete, so there is nothing to close */
    if (!(SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) && SSL_shutdown(ssl) < 0)
        (void)wsi_tls_result(link); /* there is no room for the alert: records the failure */
    return wsi_tls_flush(link);
}

static ws_error wsi_tls_reason(ws_link *link, char *text, size_t size) {
    const wsi_tls_session *session = wsi_tls_of(link);
    long verdict = SSL_get_verify_result(session->ssl);
    bool name = verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH;
    bool unknown = verdict == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || verdict == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
                   || verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    if (!session->failed)
        return WS_OK;
    if (SSL_get_verify_mode(session->ssl) != SSL_VERIFY_NONE && verdict != X509_V_OK) {
        (void)snprintf(text, size, "%s%.180s%s", name ? "the certificate is not for "
                                                      : "the certificate cannot be trusted: ",
                       name ? session->name : X509_verify_cert_error_string(verdict),
                       unknown ? " (name its CA in tls.ca_file)" : "");
        return WS_ERROR_CERTIFICATE;
    }
    if (session->code)
        (void)snprintf(text, size, "%s%s", wsi_tls_fault(ERR_GET_REASON(session->code)),
                       wsi_tls_reason_text(session->code));
    else
        (void)snprintf(text, size, "the connection ended within TLS");
    return session->code ? WS_ERROR_TLS : WS_ERROR_CLOSED;
}

#if OPENSSL_VERSION_NUMBER >= 0x30000000L
static X509 *wsi_tls_peer_certificate(SSL *ssl) { return SSL_get1_peer_certificate(ssl); }
#else
static X509 *wsi_tls_peer_certificate(SSL *ssl) { return SSL_get_peer_certificate(ssl); }
#endif

/* Writes the subject of the peer's certificate (RFC 4514), if that is verified. */
static bool wsi_tls_peer(const ws_link *link, char *text, size_t size) {
    SSL *ssl = wsi_tls_of(link)->ssl;
    X509 *certificate = wsi_tls_peer_certificate(ssl);
    bool verified = certificate && SSL_get_verify_result(ssl) == X509_V_OK
                    && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
    BIO *bio = verified ? BIO_new(BIO_s_mem()) : NULL;
    size_t length = 0;
    bool whole = bio && X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0,
                                           XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0
                 && BIO_ctrl_pending(bio) < size && BIO_read_ex(bio, text, size, &length) == 1;
    if (whole)
        text[length] = 0;
    BIO_free(bio);
    X509_free(certificate);
    return whole;
}

static void *wsi_tls_session_of(const ws_link *link) { return wsi_tls_of(link)->ssl; }

/* Makes new connections of the endpoint use tls; open connections keep theirs. */
static void wsi_tls_install(wsi_endpoint *endpoint, wsi_tls *tls, ws_transport *to) {
    ws_transport transport = {wsi_tls_open,  wsi_tls_read,   wsi_tls_write, wsi_tls_shut,
                              wsi_tls_close, wsi_tls_reason, tls};
    endpoint->tls = tls;
    *to = transport;
}

static const unsigned char wsi_tls_alpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

#ifndef WS_NO_SERVER
/* --- a server's half --- */

static int wsi_tls_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
                               unsigned in_size, void *user) {
    unsigned char *chosen;
    (void)ssl, (void)user;
    if (SSL_select_next_proto(&chosen, out_size, wsi_tls_alpn, sizeof wsi_tls_alpn, in, in_size)
        != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool wsi_tls_fill_server(SSL_CTX *context, const ws_tls_config *config, wsi_reason *why) {
    bool authorities = config->ca_file || config->ca_pem;
    int mode = authorities ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
    if (!authorities && (config->crl_file || config->client_cert_optional))
        return wsi_reason_set(why, WS_ERROR_TLS, "crl_file and client_cert_optional need ca_file or ca_pem") == WS_OK;
    if (authorities && !config->client_cert_optional)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context, mode, wsi_tls_verify);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(context, wsi_tls_select_alpn, NULL);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets need no memory */
    return SSL_CTX_set_session_id_context(context, (const unsigned char *)"ws.h", 4) == 1
           && wsi_tls_use_own(context, config, why) && wsi_tls_use_trusted(context, config, why);
}

static ws_error wsi_tls_serve(wsi_endpoint *endpoint, const ws_tls_config *config, ws_transport *transport,
                              wsi_reason *why) {
    wsi_tls *tls = wsi_tls_new(&endpoint->loop->memory);
    ws_error error = wsi_tls_complete(tls, config, wsi_tls_fill_server, why);
    wsi_tls_release(error ? tls : endpoint->tls);
    if (!error)
        wsi_tls_install(endpoint, tls, transport);
    return error;
}
#endif /* WS_NO_SERVER */

#if !defined(WS_NO_HTTP) && !defined(WS_NO_JSON)
static bool wsi_tls_hmac(void *user, const void *key, size_t key_size, const void *data, size_t size, uint8_t mac[32]) {
    unsigned written = 0;
    (void)user;
    return key_size <= INT_MAX && HMAC(EVP_sha256(), key, (int)key_size, (const uint8_t *)data, size, mac, &written)
           && written == 32;
}
#endif

#ifndef WS_NO_CLIENT
/* --- a client's half --- */

/* A config's strings but server_name, which belongs to one client. The first WSI_TLS_FILES are names of files. */
static const size_t wsi_tls_strings[] = {
    offsetof(ws_tls_config, cert_file), offsetof(ws_tls_config, key_file), offsetof(ws_tls_config, ca_file),
    offsetof(ws_tls_config, crl_file), offsetof(ws_tls_config, cert_pem), offsetof(ws_tls_config, key_pem),
    offsetof(ws_tls_config, ca_pem)};
enum { WSI_TLS_FILES = 4, WSI_TLS_STRINGS = sizeof wsi_tls_strings / sizeof *wsi_tls_strings };

static const char *wsi_tls_text(const ws_tls_config *config, size_t i) {
    return *(const char *const *)(const void *)((const char *)config + wsi_tls_strings[i]);
}

static bool wsi_tls_same(const ws_tls_config *a, const ws_tls_config *b) {
    bool same = a->client_cert_optional == b->client_cert_optional
                && a->accept_any_certificate == b->accept_any_certificate && a->ssl_ctx == b->ssl_ctx;
    for (size_t i = 0; same && i < WSI_TLS_STRINGS; i++) {
        const char *text = wsi_tls_text(a, i), *other = wsi_tls_text(b, i);
        same = text == other || (text && other && strcmp(text, other) == 0);
    }
    return same;
}

static uint64_t wsi_tls_files(const ws_tls_config *config) {
    uint64_t state = 0;
    for (size_t i = 0; i < WSI_TLS_FILES; i++)
        if (wsi_tls_text(config, i))
            state = wsi_platform_file_state(wsi_tls_text(config, i), state);
    return state;
}

#if defined(_WIN32) /* link -lcrypt32 */
/* If the system trusts a root only for some uses, the root has a list of them. */
static bool wsi_tls_is_for_servers(const CERT_CONTEXT *root) {
    union { CERT_ENHKEY_USAGE list; char room[4096]; } uses;
    DWORD size = sizeof uses, i = 0;
    if (!CertGetEnhancedKeyUsage(root, 0, &uses.list, &size) || !uses.list.cUsageIdentifier)
        return GetLastError() == (DWORD)CRYPT_E_NOT_FOUND;
    while (i < uses.list.cUsageIdentifier && strcmp(uses.list.rgpszUsageIdentifier[i], szOID_PKIX_KP_SERVER_AUTH) != 0)
        i++;
    return i < uses.list.cUsageIdentifier;
}

static bool wsi_tls_use_system(SSL_CTX *context) {
    HCERTSTORE roots = CertOpenSystemStoreW(0, L"ROOT");
    const CERT_CONTEXT *root = NULL;
    while (roots && (root = CertEnumCertificatesInStore(roots, root)) != NULL) {
        X509 *certificate = wsi_tls_decode(root->pbCertEncoded, (long)root->cbCertEncoded);
        if (certificate && wsi_tls_is_for_servers(root)) /* skips roots that cannot be used */
            (void)X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
        X509_free(certificate);
    }
    return roots && CertCloseStore(roots, 0);
}
#else
static bool wsi_tls_use_system(SSL_CTX *context) { return SSL_CTX_set_default_verify_paths(context) == 1; }
#endif

static bool wsi_tls_fill_client(SSL_CTX *context, const ws_tls_config *config, wsi_reason *why) {
    bool own = config->cert_file || config->cert_pem || config->key_file || config->key_pem;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, wsi_tls_verify);
    if (SSL_CTX_set_alpn_protos(context, wsi_tls_alpn, sizeof wsi_tls_alpn) != 0
        || (own && !wsi_tls_use_own(context, config, why)) || !wsi_tls_use_trusted(context, config, why))
        return false;
    if (!config->ca_file && !config->ca_pem && !config->accept_any_certificate && !wsi_tls_use_system(context))
        return wsi_reason_set(why, WS_ERROR_TLS, "the system's CA certificates cannot be found") == WS_OK;
    return true;
}

/* Removes a wsi_tls from a list, and frees its config's strings, which open connections do not need. */
static void wsi_tls_unlist(wsi_tls **place) {
    wsi_tls *tls = *place;
    *place = tls->next;
    wsi_memory_free_strings(tls->memory, &tls->config, wsi_tls_strings, WSI_TLS_STRINGS);
    wsi_tls_release(tls);
}

enum { WSI_TLS_UNUSED = 4 }; /* a loop keeps so many that no client uses; with the system's roots, each takes 1 MB */

/* Clients with equal configs share a wsi_tls, so that the system's roots are read once. The loop keeps those in use,
   and the newest few that are not. NULL: no memory. */
static wsi_tls *wsi_tls_share(ws_loop *loop, const ws_tls_config *config) {
    wsi_tls **place = &loop->tls, *tls;
    unsigned unused = 0;
    while ((tls = *place) != NULL && !(wsi_tls_same(&tls->config, config)
                                       && (!tls->context || tls->files == wsi_tls_files(config)))) /* unchanged */
        place = &tls->next;
    if (tls) {
        *place = tls->next;
    } else if ((tls = wsi_tls_new(&loop->memory)) != NULL) {
        tls->config = *config;
        if (!wsi_memory_keep_strings(&loop->memory, &tls->config, wsi_tls_strings, WSI_TLS_STRINGS))
            wsi_tls_unlist(&tls); /* tls becomes NULL */
    }
    if (!tls)
        return NULL;
    tls->next = loop->tls;
    loop->tls = tls;
    tls->references++;
    for (place = &tls->next; *place;) {
        if ((*place)->references == 1 && ++unused > WSI_TLS_UNUSED)
            wsi_tls_unlist(place);
        else
            place = &(*place)->next;
    }
    return tls;
}

static void wsi_tls_end(ws_loop *loop) {
    while (loop->tls)
        wsi_tls_unlist(&loop->tls);
}

static ws_error wsi_tls_keep(wsi_endpoint *endpoint, const ws_tls_config *config) {
    endpoint->tls = wsi_tls_share(endpoint->loop, config);
    if (!endpoint->tls || !config->ssl_ctx)
        return endpoint->tls ? WS_OK : WS_ERROR_MEMORY;
    return wsi_tls_complete(endpoint->tls, config, wsi_tls_fill_client, endpoint->dialer->why);
}

static ws_error wsi_tls_dial(wsi_endpoint *endpoint, ws_transport *transport) {
    wsi_tls *before = endpoint->tls, *tls = before;
    wsi_reason *why = endpoint->dialer->why;
    if (tls->context && tls->files != wsi_tls_files(&tls->config)) /* files have changed since the last attempt */
        tls = wsi_tls_share(endpoint->loop, &before->config);
    if (tls && !tls->context)
        tls->files = wsi_tls_files(&tls->config);
    ws_error error = wsi_tls_complete(tls, &before->config, wsi_tls_fill_client, why);
    bool unusable = error && before->context; /* changed files that cannot be used change nothing */
    if (unusable) {
        WSI_TRACE(&endpoint->conns->engine, WS_TRACE_TLS_FAILED, 0, why->text, 0);
        wsi_reason_clear(why);
    }
    if (tls != before)
        wsi_tls_release(unusable ? tls : before);
    if (unusable || !error)
        wsi_tls_install(endpoint, unusable ? before : tls, transport);
    return unusable ? WS_OK : error;
}

static void wsi_tls_hide_certificate(const ws_link *link) {
    SSL *ssl = wsi_tls_of(link)->ssl;
    SSL_certs_clear(ssl);
    SSL_set_cert_cb(ssl, NULL, NULL); /* otherwise the program's ssl_ctx could choose a certificate */
}
#endif /* WS_NO_CLIENT */

static const wsi_tls_calls wsi_tls_functions = {
    wsi_tls_release, wsi_tls_peer, wsi_tls_session_of,
#ifndef WS_NO_SERVER
    wsi_tls_serve,
#endif
#ifndef WS_NO_CLIENT
    wsi_tls_keep, wsi_tls_dial, wsi_tls_end, wsi_tls_hide_certificate,
#endif
#if !defined(WS_NO_HTTP) && !defined(WS_NO_JSON)
    wsi_tls_hmac,
#endif
};

static void wsi_tls_setup(ws_loop *loop) { loop->tls_calls = &wsi_tls_functions; }
#else
static void wsi_tls_setup(ws_loop *loop) { (void)loop; }
#endif /* WS_NO_TLS */

#ifndef WS_NO_CLIENT
/*
>> URL ====================================================================================
   URLs and references (RFC 3986, RFC 6455 3). Calls TEXT, HTTP, SOCKETS. Switch: WS_NO_CLIENT, down to BLOCKING.
*/

typedef struct wsi_url { /* slices of the text */
    wsi_slice scheme, credentials; /* "user:password", still escaped; absent: none */
    wsi_slice authority, host;     /* authority: as in Host; host: without brackets and port */
    wsi_slice target;              /* path and query; begins with '?' when the path is empty */
    uint64_t port;
    bool secure;
} wsi_url;

/* How many characters of the text come before the first one that is in `stops`. */
static size_t wsi_url_until(wsi_slice text, const char *stops) {
    size_t i = 0;
    while (i < text.size && !strchr(stops, text.data[i]))
        i++;
    return i;
}

/* Whether a part of a URL has only unreserved characters, sub-delims, escapes, ':' and those in `others`. */
static bool wsi_url_chars(wsi_slice text, const char *others) {
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%' ? i + 2 >= text.size || wsi_text_hex(text.data[i + 1]) < 0 || wsi_text_hex(text.data[i + 2]) < 0
                     : !wsi_http_host_char(c) && c != ':' && (!c || !strchr(others, c)))
            return false;
    }
    return true;
}

/* Finds characters that Basic credentials cannot contain, even escaped (RFC 7617 2). Returns what is wrong, or NULL. */
static const char *wsi_url_credentials(wsi_slice text) {
    bool user = true; /* before the colon; the password follows it */
    for (size_t i = 0; i + 2 < text.size; i++) {
        int value = text.data[i] == '%' ? wsi_text_hex(text.data[i + 1]) * 16 + wsi_text_hex(text.data[i + 2]) : ' ';
        user = user && text.data[i] != ':';
        if (value < ' ' || value == 0x7f)
            return "has user information with control characters";
        if (user && value == ':')
            return "has a user name with a colon (%3A), where the password would begin (RFC 7617)";
    }
    return NULL;
}

/* The host as in the URL: an IPv6 literal has brackets. */
static wsi_slice wsi_url_bracketed(const wsi_url *url) {
    return wsi_text(url->authority.data, url->host.size + (url->authority.data[0] == '[' ? 2 : 0));
}

/* Whether this is a name of letters, digits, '-', '_' and '.', or an IPv6 literal without its brackets. */
static bool wsi_url_host(wsi_slice host, bool literal) {
    uint8_t address[16];
    size_t i;
    for (i = 0; i < host.size && !literal; i++)
        if (!wsi_text_token_char(host.data[i]) || strchr("!#$%&'*+^`|~", host.data[i]))
            return false;
    return literal ? wsi_platform_parse(AF_INET6, host, address) : i && i < 256 && host.data[0] != '.';
}

/* Reads the part between "//" and the path. Returns what is wrong with it, or NULL. */
static const char *wsi_url_authority(wsi_url *url, wsi_slice text) {
    wsi_slice rest = text;
    const char *problem;
    if (wsi_text_until(&rest, '@', &url->credentials)) {
        if (!wsi_url_chars(url->credentials, ""))
            return "has user information with characters that must be percent-encoded";
        problem = wsi_url_credentials(url->credentials);
        if (problem)
            return problem;
        text = rest;
    }
    if (!wsi_http_authority(text, url->secure ? 443 : 80, &url->host, &url->port) || !url->port)
        return "has no valid host and port";
    url->authority = text;
    bool literal = url->host.data[0] == '[';
    if (literal)
        url->host = wsi_text(url->host.data + 1, url->host.size - 2);
    if (!wsi_url_host(url->host, literal))
        return literal ? "has no valid IPv6 address" : "has no valid host";
    if (text.data[text.size - 1] == ':') /* "host:" means the default port */
        url->authority.size--;
    return NULL;
}

/* Reads a ws:, wss:, http: or https: URL. Returns what is wrong with it, or NULL. */
static const char *wsi_url_parse(wsi_url *url, wsi_slice text) {
    wsi_slice rest = text;
    memset(url, 0, sizeof *url);
    if (!wsi_http_scheme(&rest, &url->scheme))
        return "does not begin with ws:// or wss://";
    url->secure = wsi_text_is_nocase(url->scheme, "wss") || wsi_text_is_nocase(url->scheme, "https");
    if (!url->secure && !wsi_text_is_nocase(url->scheme, "ws") && !wsi_text_is_nocase(url->scheme, "http"))
        return "has a scheme other than ws and wss";
    size_t size = wsi_url_until(rest, "/?#");
    const char *problem = wsi_url_authority(url, wsi_text(rest.data, size));
    if (problem)
        return problem;
    url->target = wsi_text(rest.data + size, rest.size - size);
    if (wsi_url_until(url->target, "#") < url->target.size)
        return "has a fragment (RFC 6455 3)";
    if (!wsi_url_chars(url->target, "@/?"))
        return "has a path or query with characters that must be percent-encoded";
    return NULL;
}

/* 1 for the segment ".", 2 for ".." ("%2e" is a dot, too), 0 for any other. */
static unsigned wsi_url_dots(wsi_slice segment) {
    static const char *const dots[] = {".", "%2e", "..", ".%2e", "%2e.", "%2e%2e"};
    for (unsigned i = 0; i < 6; i++)
        if (wsi_text_is_nocase(segment, dots[i]))
            return i < 2 ? 1 : 2;
    return 0;
}

/* Removes the segments "." and ".." from the path of a target, which begins at text (RFC 3986 5.2.4). Returns how many
   bytes it removed. */
static size_t wsi_url_normalize(wsi_slice *target, char *text) {
    size_t size = wsi_url_until(*target, "?"), from = 0, to = 0, end;
    for (; from < size; from = end) {
        end = from + 1 + wsi_url_until(wsi_text(text + from + 1, size - from - 1), "/");
        unsigned dots = wsi_url_dots(wsi_text(text + from + 1, end - from - 1));
        while (dots == 2 && to && text[--to] != '/') {}
        if (!dots) {
            memmove(text + to, text + from, end - from);
            to += end - from;
        } else if (end == size) {
            text[to++] = '/';
        }
    }
    memmove(text + to, text + size, target->size - size);
    target->size -= size - to;
    return size - to;
}

/* Resolves a reference, without its fragment, against a base that was parsed from text (RFC 3986 5.2). Dot segments are
   not removed. `out` has room for both and one byte more. Returns the size. */
static size_t wsi_url_resolve(const wsi_url *base, wsi_slice text, wsi_slice reference, char *out) {
    size_t head = (size_t)(base->target.data - text.data), path = wsi_url_until(base->target, "?"), size;
    size_t scheme = wsi_url_until(reference, ":/?#");
    bool whole = scheme && scheme < reference.size && reference.data[scheme] == ':';
    reference.size = wsi_url_until(reference, "#");
    memcpy(out, text.data, text.size);
    if (!reference.size)
        return text.size;
    if (whole || (reference.size >= 2 && memcmp(reference.data, "//", 2) == 0)) {
        size = whole ? 0 : base->scheme.size + 1;
    } else {
        while (reference.data[0] != '?' && path && (reference.data[0] == '/' || base->target.data[path - 1] != '/'))
            path--; /* down to the folder of the base's path, or to nothing */
        size = head + path;
        if (!path && reference.data[0] != '/' && reference.data[0] != '?')
            out[size++] = '/';
    }
    memcpy(out + size, reference.data, reference.size);
    return size + reference.size;
}

/*
>> DIAL ===================================================================================
   How a client connects: look-ups, addresses, a proxy's tunnel, the opening request. Calls MEMORY, TEXT, HTTP, HEADS,
   MESSAGES, UPGRADE, PLATFORM, SOCKETS, TCP, POLL, LOOP, QUEUE, TRANSPORT, SEND, RECEIVE, LIFE, URL. Prefixes:
   wsi_dial_, wsi_client_.

   A client is an endpoint with one connection, which all its attempts use. An attempt resolves a name, connects to one
   of its addresses (wsi_dial_connected runs when a socket is writable), and asks a proxy for a tunnel
   (wsi_dial_tunnelled runs when its answer is readable). Then the opening handshake begins. The endpoint's timer limits
   these steps, tries the next address, and ends the pause between attempts.
*/

typedef enum wsi_phase {
    WSI_PHASE_WAITING, /* for the next attempt */
    WSI_PHASE_RESOLVING,
    WSI_PHASE_CONNECTING,
    WSI_PHASE_TUNNELLING,
    WSI_PHASE_HANDSHAKE,
    WSI_PHASE_OPEN
} wsi_phase;

typedef struct wsi_racer { /* a socket that is connecting */
    wsi_source source;     /* first; without a descriptor once the connect has failed */
    struct wsi_client *client;
} wsi_racer;

typedef struct wsi_race { /* between the addresses of a name: the first that connects is used */
    wsi_addresses found;
    wsi_racer racers[WSI_MAX_ADDRESSES]; /* one for each address, in the same order */
    size_t begun, failed;                /* how many racers have begun, and how many have failed */
} wsi_race;

typedef struct wsi_client {
    wsi_endpoint endpoint; /* first */
    wsi_dialer dialer;
    ws_conn *conn;
    ws_handler handler;
    ws_client_config config; /* its strings are copies (see wsi_client_strings), those of tls only after
                                wsi_client_launch; transport: NULL, or the address of the copy below */
    const char *url;
    const char **headers;    /* ends with NULL; the text follows in the same block */
    size_t headers_size;     /* the size of that block */
    ws_transport transport;  /* the program's, or TLS's */
    wsi_buffer hop;          /* the URL to connect to, with the value of Host after it */
    wsi_url server, proxy;   /* slices of hop, and of config.proxy */
    wsi_buffer answer;       /* the server's status line and headers, each with a zero after it; then the body */
    size_t body, taken;      /* where the body begins; where its decoded part ends */
    uint64_t left;           /* bytes of the body, or of a chunk, that are still to come */
    bool chunked;            /* the body has chunks */
    wsi_race *race;          /* NULL, except while resolving and connecting */
    wsi_lookup *lookup;      /* the look-up in progress, which an earlier attempt may have begun; or NULL */
    char looked_up[256];     /* the host and port of that look-up */
    uint64_t looked_up_port;
    struct wsi_client *lookup_previous, *lookup_next; /* set while lookup_queued */
    uint64_t deadline;       /* when looking up, connecting and passing the proxy must be done */
    uint64_t opened_at;
    uint32_t pause;          /* ms before the next attempt; retry_after_ms comes on top */
    uint32_t retry_after_ms; /* the pause that the server asked for */
    int redirects;
    uint8_t phase;
    bool other_server;       /* this attempt sends no headers, credentials or certificate of the program */
    bool moved;              /* before_reconnect set another server's url, but no headers */
    bool redirected, lookup_queued;
    bool refused;            /* the server refused, and the body of its answer is arriving */
    bool rejected;           /* the next pause is the longest, because of a 4xx */
    wsi_reason why;
    bool (*wait)(struct wsi_client *client, uint32_t milliseconds); /* blocking: see wsi_blocking_round */
} wsi_client;

static wsi_client *wsi_client_of(const ws_conn *conn) { return (wsi_client *)(void *)wsi_conn_endpoint(conn); }

static wsi_memory *wsi_client_memory(const wsi_client *client) { return &client->endpoint.loop->memory; }

/* Ends the attempt. client->why may hold details. */
static void wsi_client_fail(wsi_client *client, ws_error error) { wsi_conn_break(client->conn, error); }

/* --- the opening handshake --- */

/* Appends a line with credentials (RFC 7617), which are given percent-encoded. name: "Authorization: Basic ". */
static bool wsi_dial_basic(wsi_memory *memory, wsi_buffer *lines, const char *name, wsi_slice credentials) {
    size_t most = credentials.size / 3 * 4 + 8; /* their size in base64 */
    if (!wsi_buffer_append(memory, lines, name, strlen(name))
        || !wsi_buffer_reserve(memory, lines, most + credentials.size + 1))
        return false;
    char *to = (char *)lines->data + lines->size, *plain = to + most;
    size_t size = (size_t)wsi_text_unescape(credentials, plain); /* valid: see wsi_url_credentials */
    if (!memchr(plain, ':', size))
        plain[size++] = ':'; /* a user without a password */
    lines->size += wsi_text_base64(to, (const uint8_t *)plain, size);
    return wsi_buffer_append(memory, lines, "\r\n", 2);
}

/* Whether the program's headers for this server include this one. */
static bool wsi_dial_has_header(const wsi_client *client, const char *name) {
    const char *const *line = client->headers;
    while (*line && !wsi_http_is_header(*line, name))
        line++;
    return *line && !client->other_server;
}

/* The credentials in this URL, or else in the program's; none if the headers have Authorization (RFC 9110 11.6.2). */
static wsi_slice wsi_dial_credentials(const wsi_client *client) {
    wsi_url first;
    if (wsi_dial_has_header(client, "authorization"))
        return wsi_text(NULL, 0);
    if (client->server.credentials.data || client->other_server)
        return client->server.credentials;
    (void)wsi_url_parse(&first, wsi_text_z(client->url));
    return first.credentials;
}

static void wsi_dial_send_request(wsi_client *client) {
    ws_conn *conn = client->conn;
    wsi_engine *engine = &conn->engine;
    const char *origin = client->config.origin;
    wsi_slice credentials = wsi_dial_credentials(client);
    wsi_buffer basic = {NULL, 0, 0};
    wsi_ask ask = {client->server.target, client->server.authority, client->config.subprotocols,
                   client->other_server ? NULL : client->headers};
    bool named = client->config.no_user_agent || wsi_dial_has_header(client, "user-agent");
    bool good = (!credentials.data || wsi_dial_basic(wsi_client_memory(client), &basic, "Authorization: Basic ",
                                                     credentials))
                && wsi_upgrade_ask(engine, &ask)
                && (named || wsi_engine_text(engine, "User-Agent: ws.h/" WS_VERSION "\r\n"))
                && (!origin || (wsi_engine_text(engine, "Origin: ") && wsi_engine_text(engine, origin)
                                && wsi_engine_text(engine, "\r\n")))
                && wsi_engine_raw(engine, basic.data, basic.size) && wsi_engine_text(engine, "\r\n");
    wsi_buffer_free(wsi_client_memory(client), &basic);
    if (good)
        wsi_conn_flush(conn);
    else if (!conn->broken)
        wsi_client_fail(client, engine->error ? (ws_error)engine->error : WS_ERROR_MEMORY);
}

/* The socket is connected: starts the opening handshake, after TLS if needed. */
static void wsi_dial_begin_handshake(wsi_client *client, ws_socket descriptor) {
    ws_conn *conn = client->conn;
    wsi_endpoint *endpoint = &client->endpoint;
    const char *name = client->config.tls.server_name;
    char host[256];
    *wsi_text_append(host, client->server.host) = 0;
    wsi_timer_clear(endpoint->loop, &endpoint->timer);
    (void)wsi_loop_time(endpoint->loop);
    client->phase = WSI_PHASE_HANDSHAKE;
    endpoint->transport = client->config.transport || client->server.secure ? &client->transport : NULL;
    ws_error error = wsi_conn_attach(conn, descriptor, name ? name : host);
    if (error) {
        if (descriptor != WSI_NO_SOCKET)
            wsi_platform_close(descriptor);
        wsi_client_fail(client, error);
        return;
    }
    if (client->other_server && wsi_endpoint_is_tls(endpoint))
        endpoint->loop->tls_calls->hide_certificate(&conn->source.link);
    wsi_dial_send_request(client);
}

/* --- the proxy (RFC 9110 9.3.6) --- */

static void wsi_dial_proxy_fail(wsi_client *client, const char *what) {
    wsi_client_fail(client, wsi_reason_set(&client->why, WS_ERROR_PROXY, "the proxy %.*s %s",
                                           (int)client->proxy.authority.size, client->proxy.authority.data, what));
}

/* The status of the final answer, after any 1xx (RFC 9110 15.2). Bytes after its head stay in client->answer. -1: the
   answer is incomplete; 0: it is not HTTP. */
static int wsi_dial_proxy_answer(wsi_client *client, size_t got) {
    wsi_buffer *answer = &client->answer;
    wsi_env *env = &client->endpoint.env;
    size_t from = answer->size, size;
    wsi_answer checked;
    int status;
    answer->size += got;
    env->interim += got;
    do {
        size = wsi_http_scan(answer->data, from, answer->size);
        if (size == WSI_HTTP_BAD || (!size && env->interim > env->limits.head))
            return 0;
        if (!size)
            return -1;
        wsi_upgrade_unfold(answer->data, size);
        wsi_upgrade_check(env, wsi_text((const char *)answer->data, size), &checked);
        status = env->status;
        env->status = 0; /* ws_status is only about the server's answer */
        if (checked.problem && status != 101)
            return 0;
        answer->size -= size;
        memmove(answer->data, answer->data + size, answer->size);
        from = 0;
    } while (status >= 100 && status < 200 && status != 101); /* 101 is an error: no upgrade was requested */
    return status;
}

static void wsi_dial_tunnelled(ws_loop *loop, wsi_source *source, unsigned ready) {
    wsi_client *client = wsi_client_of(wsi_conn_of(source));
    wsi_buffer *answer = &client->answer;
    ws_socket descriptor = source->link.descriptor;
    (void)ready;
    if (client->conn->broken)
        return;
    if (!wsi_buffer_reserve(&loop->memory, answer, 1024)) {
        wsi_client_fail(client, WS_ERROR_MEMORY);
        return;
    }
    ptrdiff_t got = wsi_tcp_read(&source->link, answer->data + answer->size, 1024);
    if (got < 0)
        wsi_dial_proxy_fail(client, "ended the connection instead of answering");
    int status = got > 0 ? wsi_dial_proxy_answer(client, (size_t)got) : -1;
    if (status < 0)
        return;
    client->rejected = status >= 400 && status < 500;
    if (status < 200 || status > 299 || answer->size) {
        char what[64];
        (void)snprintf(what, sizeof what, status == 407                  ? "wants other credentials (%d)"
                                          : !status                      ? "does not answer in HTTP"
                                          : status < 200 || status > 299 ? "refused to connect (%d)"
                                                                         : "sent bytes before the server could",
                       status);
        wsi_dial_proxy_fail(client, what);
        return;
    }
    wsi_buffer_free(&loop->memory, answer);
    (void)wsi_poll_set(&loop->poll, source, WS_NONE);
    source->link.descriptor = WSI_NO_SOCKET;
    wsi_dial_begin_handshake(client, descriptor);
}

/* Asks the proxy for a tunnel. The socket's send buffer is empty and larger than the request: one write is enough. */
static void wsi_dial_tunnel(wsi_client *client, ws_socket descriptor) {
    wsi_source *source = &client->conn->source;
    wsi_memory *memory = wsi_client_memory(client);
    wsi_slice host = wsi_url_bracketed(&client->server), credentials = client->proxy.credentials;
    wsi_buffer request = {NULL, 0, 0};
    char target[300], lines[640];
    (void)snprintf(target, sizeof target, "%.*s:%u", (int)host.size, host.data, (unsigned)client->server.port);
    (void)snprintf(lines, sizeof lines, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target);
    bool good = wsi_buffer_append(memory, &request, lines, strlen(lines))
                && (!credentials.data || wsi_dial_basic(memory, &request, "Proxy-Authorization: Basic ", credentials))
                && wsi_buffer_append(memory, &request, "\r\n", 2);
    client->phase = WSI_PHASE_TUNNELLING;
    client->answer.size = client->endpoint.env.interim = 0;
    source->link.descriptor = descriptor;
    source->link.kind = WSI_KIND_TUNNEL;
    wsi_timer_set(client->endpoint.loop, &client->endpoint.timer, client->deadline);
    ws_span span = {request.data, request.size};
    if (!good)
        wsi_client_fail(client, WS_ERROR_MEMORY);
    else if (wsi_tcp_write_one(&source->link, span) != (ptrdiff_t)span.size)
        wsi_dial_proxy_fail(client, "ended the connection");
    else
        (void)wsi_conn_poll(client->conn, WS_READ);
    wsi_buffer_free(memory, &request);
}

/* --- connecting --- */

static const wsi_url *wsi_dial_peer_url(const wsi_client *client) {
    return client->proxy.host.data ? &client->proxy : &client->server;
}

/* Closes the sockets that have not connected. */
static void wsi_dial_end_race(wsi_client *client) {
    wsi_race *race = client->race;
    for (size_t i = 0; race && i < race->begun; i++) {
        wsi_source *source = &race->racers[i].source;
        if (source->link.interest)
            (void)wsi_poll_set(&client->endpoint.loop->poll, source, WS_NONE);
        wsi_tcp_close(&source->link);
    }
    wsi_memory_free(wsi_client_memory(client), race, sizeof *race);
    client->race = NULL;
}

/* The next address. IPv4 and IPv6 alternate as long as there are both, each in the resolver's order (RFC 8305 4). */
static const wsi_address *wsi_dial_next_address(wsi_race *race) {
    wsi_address *to = &race->found.list[race->begun], *end = race->found.list + race->found.count, *other = to;
    while (race->begun && other < end && other->any.sa_family == to[-1].any.sa_family)
        other++;
    if (other < end) {
        wsi_address next = *other;
        memmove(to + 1, to, (size_t)(other - to) * sizeof next);
        *to = next;
    }
    return to;
}

/* Begins to connect to the next address. false: it failed, with *error. */
static bool wsi_dial_begin_racer(wsi_client *client, int *error) {
    wsi_race *race = client->race;
    const wsi_address *to = wsi_dial_next_address(race);
    wsi_racer *racer = &race->racers[race->begun++];
    ws_link *link = &racer->source.link;
    racer->client = client;
    link->kind = WSI_KIND_DIAL;
    link->descriptor = WSI_NO_SOCKET;
    *error = client->config.unix_path ? wsi_platform_connect_unix(client->config.unix_path, &link->descriptor)
                                      : wsi_platform_connect(to, &link->descriptor);
    race->failed += *error != 0;
    if (!*error && !wsi_poll_set(&client->endpoint.loop->poll, &racer->source, WS_WRITE))
        wsi_client_fail(client, WS_ERROR_DESCRIPTORS);
    return !*error;
}

/* Begins to connect to the next address. Called when the last one has failed, or after 250 ms, or after an equal share
   of the remaining time if that is shorter. The first address that connects is used. */
static void wsi_dial_connect_next(wsi_client *client, int error) {
    enum { WSI_HEAD_START = 250 }; /* ms (RFC 8305 5) */
    ws_loop *loop = client->endpoint.loop;
    wsi_race *race = client->race;
    wsi_slice peer = client->config.unix_path ? wsi_text_z(client->config.unix_path)
                                              : wsi_dial_peer_url(client)->authority;
    wsi_reason room;
    bool begun = false;
    client->phase = WSI_PHASE_CONNECTING;
    while (!begun && race->begun < race->found.count)
        begun = wsi_dial_begin_racer(client, &error);
    if (client->conn->broken)
        return;
    uint64_t left = client->deadline > loop->now ? client->deadline - loop->now : 0;
    if (begun || (left && race->failed < race->begun)) {
        size_t count = race->found.count - race->begun;
        uint64_t share = left / (count + 1);
        wsi_timer_set(loop, &client->endpoint.timer,
                      loop->now + (count && share > WSI_HEAD_START ? (uint64_t)WSI_HEAD_START : share));
        return;
    }
    ws_error why = error == WSI_PLATFORM_TIMEOUT ? WS_ERROR_TIMEOUT : WS_ERROR_CONNECT;
    wsi_client_fail(client, wsi_reason_set(&client->why, why, "cannot connect to %s%.*s: %s",
                                           client->proxy.host.data ? "the proxy " : "", wsi_reason_shows(peer),
                                           peer.data, wsi_platform_explain(error, &room)));
}

/* A result that arrived in time may be served after the deadline: then the next step has the full time again. */
static void wsi_dial_extend_deadline(wsi_client *client) {
    uint64_t now = wsi_loop_time(client->endpoint.loop);
    if (now >= client->deadline)
        client->deadline = wsi_engine_due(now, client->config.connect_ms);
}

static void wsi_dial_connected(ws_loop *loop, wsi_source *source, unsigned ready) {
    wsi_client *client = ((wsi_racer *)(void *)source)->client;
    ws_socket descriptor = source->link.descriptor;
    int error = wsi_platform_connected(descriptor);
    (void)ready;
    if (client->conn->broken)
        return;
    (void)wsi_poll_set(&loop->poll, source, WS_NONE);
    wsi_dial_extend_deadline(client);
    if (error) {
        wsi_tcp_close(&source->link);
        client->race->failed++;
        wsi_dial_connect_next(client, error);
        return;
    }
    source->link.descriptor = WSI_NO_SOCKET;
    wsi_dial_end_race(client);
    if (client->proxy.host.data && !client->config.unix_path)
        wsi_dial_tunnel(client, descriptor);
    else
        wsi_dial_begin_handshake(client, descriptor);
}

/* --- resolving --- */

static void wsi_dial_unresolved(wsi_client *client, const char *why) {
    wsi_slice host = wsi_dial_peer_url(client)->host;
    wsi_client_fail(client, wsi_reason_set(&client->why, WS_ERROR_RESOLVE, "cannot resolve %.*s: %s",
                                           wsi_reason_shows(host), host.data, why));
}

static void wsi_dial_unqueue_lookup(wsi_client *client) {
    ws_loop *loop = client->endpoint.loop;
    if (!client->lookup_queued)
        return;
    *(client->lookup_previous ? &client->lookup_previous->lookup_next : &loop->lookup_first) = client->lookup_next;
    *(client->lookup_next ? &client->lookup_next->lookup_previous : &loop->lookup_last) = client->lookup_previous;
    client->lookup_queued = false;
}

/* A resolver that hangs must not cost a thread per attempt. A loop has WSI_LOOKUPS look-ups; a client uses one of them
   at most, and waits in a queue if none is free. */
static void wsi_dial_look_up(wsi_client *client) {
    ws_loop *loop = client->endpoint.loop;
    const wsi_url *to = wsi_dial_peer_url(client);
    wsi_lookup *lookup = loop->lookups, *end = lookup + WSI_LOOKUPS;
    while (lookup < end && lookup->source.link.interest)
        lookup++;
    if (lookup == end) {
        client->lookup_previous = loop->lookup_last;
        client->lookup_next = NULL;
        *(client->lookup_previous ? &client->lookup_previous->lookup_next : &loop->lookup_first) = client;
        loop->lookup_last = client;
        client->lookup_queued = true;
        return;
    }
    *wsi_text_append(client->looked_up, to->host) = 0;
    client->looked_up_port = to->port;
    lookup->source.link.kind = WSI_KIND_LOOKUP;
    lookup->source.link.descriptor = wsi_platform_start_look_up(client->looked_up, (uint16_t)to->port);
    if (lookup->source.link.descriptor != WSI_NO_SOCKET && wsi_poll_set(&loop->poll, &lookup->source, WS_READ)) {
        lookup->client = client;
        client->lookup = lookup;
        return;
    }
    wsi_tcp_close(&lookup->source.link);
    wsi_dial_unresolved(client, "there is no descriptor or thread left");
}

/* The current attempt uses the result, even if an earlier one began the look-up. If the name differs, looks it up. */
static void wsi_dial_use_addresses(wsi_client *client, ptrdiff_t got) {
    const wsi_url *to = wsi_dial_peer_url(client);
    const wsi_addresses *found = &client->race->found;
    wsi_reason room;
    wsi_dial_extend_deadline(client);
    if (!wsi_text_is(to->host, client->looked_up) || to->port != client->looked_up_port)
        wsi_dial_look_up(client);
    else if (got != (ptrdiff_t)sizeof *found)
        wsi_dial_unresolved(client, "the system's look-up gave no answer");
    else if (found->error || !found->count)
        wsi_dial_unresolved(client, wsi_platform_explain_name(found->error, &room));
    else
        wsi_dial_connect_next(client, 0);
}

static void wsi_dial_resolved(ws_loop *loop, wsi_source *source, unsigned ready) {
    wsi_lookup *lookup = (wsi_lookup *)(void *)source;
    wsi_client *client = lookup->client;
    bool waits = client && client->phase == WSI_PHASE_RESOLVING && !client->conn->broken;
    ptrdiff_t got = waits ? wsi_tcp_read(&source->link, (uint8_t *)&client->race->found, sizeof client->race->found)
                          : (ptrdiff_t)WS_FAILED;
    (void)ready;
    if (got == 0)
        return;
    (void)wsi_poll_set(&loop->poll, source, WS_NONE);
    wsi_tcp_close(&source->link);
    lookup->client = NULL;
    if (client)
        client->lookup = NULL;
    if (waits)
        wsi_dial_use_addresses(client, got);
    while (loop->lookup_first && !source->link.interest) {
        client = loop->lookup_first;
        wsi_dial_unqueue_lookup(client);
        wsi_dial_look_up(client);
    }
}

/* Whether the name always means this machine (RFC 6761 6.3). */
static bool wsi_dial_is_local(wsi_slice host) {
    if (host.size && host.data[host.size - 1] == '.')
        host.size--;
    if (host.size > 10 && host.data[host.size - 10] == '.')
        host = wsi_text(host.data + host.size - 9, 9);
    return wsi_text_is_nocase(host, "localhost");
}

static void wsi_dial_resolve(wsi_client *client) {
    const wsi_url *to = wsi_dial_peer_url(client);
    wsi_addresses *found = &client->race->found;
    char host[256];
    *wsi_text_append(host, to->host) = 0;
    if (client->config.unix_path) {
        found->count = 1;
    } else if (wsi_dial_is_local(to->host)) {
        (void)wsi_platform_look_up("127.0.0.1", (uint16_t)to->port, AI_NUMERICHOST, found);
        (void)wsi_platform_look_up("::1", (uint16_t)to->port, AI_NUMERICHOST, found);
    } else if (!wsi_platform_look_up(host, (uint16_t)to->port, AI_NUMERICHOST, found)) {
        client->phase = WSI_PHASE_RESOLVING;
        wsi_timer_set(client->endpoint.loop, &client->endpoint.timer, client->deadline);
        if (!client->lookup)
            wsi_dial_look_up(client);
        return;
    }
    wsi_dial_connect_next(client, 0);
}

/*
>> CLIENT =================================================================================
   A client from creation to end: attempts, redirects, the server's answer, reconnecting. Calls MEMORY, TEXT, HTTP,
   HANDSHAKE, HEADS, MESSAGES, UPGRADE, BODY, PLATFORM, LOOP, QUEUE, SEND, LIFE, URL, DIAL. Prefix: wsi_client_.
*/

/* --- hops and attempts --- */

enum { WSI_CLIENT_AUTHORITY = 300 }; /* room for host and port after the URL */

/* Parses the URL in client->hop, and writes the value of Host after it, without a default port (RFC 6455 4.1). There
   must be room for WSI_CLIENT_AUTHORITY bytes. */
static const char *wsi_client_read_hop(wsi_client *client) {
    wsi_url *url = &client->server;
    char *text = (char *)client->hop.data, *authority, *end;
    const char *problem = wsi_url_parse(url, wsi_text(text, client->hop.size));
    if (problem)
        return problem;
    client->hop.size -= wsi_url_normalize(&url->target, text + (url->target.data - text));
    authority = text + client->hop.size;
    end = wsi_text_append(authority, wsi_url_bracketed(url));
    if (url->port != (url->secure ? 443u : 80u)) {
        *end++ = ':';
        end += wsi_text_decimal(end, url->port);
    }
    url->authority = wsi_text(authority, (size_t)(end - authority));
    return NULL;
}

/* Sets the URL with which the attempt starts. false: the attempt has failed. */
static bool wsi_client_set_url(wsi_client *client, wsi_slice url) {
    client->hop.size = 0;
    if (!wsi_buffer_reserve(wsi_client_memory(client), &client->hop, url.size + WSI_CLIENT_AUTHORITY)) {
        wsi_client_fail(client, WS_ERROR_MEMORY);
        return false;
    }
    (void)wsi_text_append((char *)client->hop.data, url);
    client->hop.size = url.size;
    const char *problem = wsi_client_read_hop(client);
    if (problem)
        wsi_client_fail(client, wsi_reason_set(&client->why, WS_ERROR_URL, "the URL %s", problem));
    return !problem;
}

static void wsi_client_attempt(wsi_client *client) {
    ws_loop *loop = client->endpoint.loop;
    const wsi_tls_calls *tls = loop->tls_calls;
    ws_error error = WS_OK;
    client->deadline = wsi_engine_due(wsi_loop_time(loop), client->config.connect_ms);
    if (client->server.secure && !client->config.transport)
        error = tls ? tls->dial(&client->endpoint, &client->transport)
                    : wsi_reason_set(&client->why, WS_ERROR_NO_TLS, "wss:// needs TLS, but this program was built "
                                     "without it (WS_NO_TLS)");
    if (error) {
        client->dialer.reconnects = false;
        wsi_client_fail(client, error);
        return;
    }
    client->race = (wsi_race *)wsi_memory_new(&loop->memory, sizeof *client->race);
    if (!client->race)
        wsi_client_fail(client, WS_ERROR_MEMORY);
    else
        wsi_dial_resolve(client);
}

/* Starts an attempt, with the program's URL. */
static void wsi_client_start(wsi_client *client) {
    client->redirects = 0;
    client->retry_after_ms = 0;
    client->other_server = client->moved;
    client->rejected = false;
    wsi_reason_clear(&client->why);
    client->endpoint.env.status = 0;
    client->endpoint.env.problem = NULL;
    client->phase = WSI_PHASE_RESOLVING;
    if (!wsi_client_set_url(client, wsi_text_z(client->url)))
        return;
    client->dialer.reconnects = client->config.reconnect_ms > 0 && !client->dialer.blocking;
    wsi_client_attempt(client);
}

/* --- the server's answer --- */

/* Keeps the answer as strings: status line, headers, body. */
static bool wsi_client_keep_answer(wsi_client *client, wsi_slice head, wsi_slice body) {
    wsi_memory *memory = wsi_client_memory(client);
    wsi_buffer *answer = &client->answer;
    answer->size = 0;
    if (!wsi_buffer_reserve(memory, answer, head.size + body.size + 1))
        return false;
    for (wsi_slice line = wsi_http_line(&head); line.size; line = wsi_http_line(&head)) {
        line = wsi_text_trim(line);
        (void)wsi_buffer_append(memory, answer, line.data, line.size);
        answer->size++; /* the zero after the line */
    }
    client->body = answer->size;
    return wsi_buffer_append(memory, answer, body.data, body.size);
}

/* The value of the first header of this name, or of the next one after `line`. NULL: there is none. */
static const char *wsi_client_header(const wsi_client *client, const char *name, const char *line) {
    wsi_slice value, found;
    const char *end = (const char *)client->answer.data + client->body;
    if (!line)
        line = (const char *)client->answer.data; /* the status line */
    for (line += strlen(line) + 1; line < end; line += strlen(line) + 1) {
        value = wsi_text_z(line);
        if (wsi_text_until(&value, ':', &found) && wsi_text_is_nocase(found, name))
            return wsi_text_trim(value).data;
    }
    return NULL;
}

/* How a refusal's body is framed (RFC 9112 6.3): by its length, by chunks, or by the end of the connection. */
static void wsi_client_frame_body(wsi_client *client) {
    wsi_slice length = wsi_text_z(wsi_client_header(client, "content-length", NULL)), codings, coding;
    const char *line = NULL;
    bool none = wsi_http_bodiless(client->endpoint.env.status);
    client->taken = client->body;
    client->chunked = false;
    if (!wsi_text_number(length, &client->left))
        client->left = UINT64_MAX;
    while ((line = wsi_client_header(client, "transfer-encoding", line)) != NULL)
        for (codings = wsi_text_z(line), client->left = UINT64_MAX; wsi_text_next(&codings, &coding);)
            client->chunked = wsi_text_is_nocase(coding, "chunked"); /* the last coding decides */
    client->left = none || client->chunked ? 0 : client->left;
    client->chunked = client->chunked && !none;
}

/* Reads the line before a chunk and, if it is not the first chunk, the CRLF before that line (RFC 9112 7.1). Returns
   their size. 0: they are incomplete; or, if *whole is set, they are malformed or belong to the last chunk. */
static size_t wsi_client_chunk_line(wsi_client *client, const char *data, size_t size, bool *whole) {
    size_t before = client->taken > client->body ? 2 : 0, line = 0;
    int found = size < before ? 0 : wsi_body_whole_line((const uint8_t *)data + before, size - before,
                                                        WSI_BODY_CHUNK_LINE, &line);
    bool good = found > 0 && memcmp(data, "\r\n", before) == 0
                && wsi_body_chunk_size(wsi_text(data + before, line - 2), &client->left) && client->left;
    *whole = found && !good;
    return good ? before + line : 0;
}

/* Decodes the arrived part of the body in place, up to limits.body. true: it is complete, or has reached that size. */
static bool wsi_client_take_body(wsi_client *client) {
    wsi_buffer *answer = &client->answer;
    size_t from = client->taken, limit = client->body + client->endpoint.env.limits.body, here;
    bool whole = false;
    for (size_t line = 1; line; from += line) {
        here = answer->size - from < limit - client->taken ? answer->size - from : limit - client->taken;
        here = client->left < here ? (size_t)client->left : here;
        memmove(answer->data + client->taken, answer->data + from, here);
        client->taken += here;
        from += here;
        client->left -= here;
        whole = client->taken == limit || (!client->left && !client->chunked);
        line = whole || client->left ? 0 : wsi_client_chunk_line(client, (const char *)answer->data + from,
                                                                 answer->size - from, &whole);
    }
    memmove(answer->data + client->taken, answer->data + from, answer->size - from);
    answer->size -= from - client->taken;
    return whole;
}

/* Cuts off the bytes after the decoded body. */
static void wsi_client_cut_body(wsi_client *client) {
    client->answer.size = client->taken;
    client->answer.data[client->taken] = 0;
}

/* Whether headers and credentials for one URL may be sent to the other: same host and port, TLS if `from` has TLS. */
static bool wsi_client_same_server(const wsi_url *from, const wsi_url *to) {
    bool raised = !from->secure && to->secure && from->port == 80 && to->port == 443;
    return wsi_text_same_nocase(from->host, to->host) && (from->port == to->port || raised)
           && (to->secure || !from->secure);
}

/* Prepares a redirect, which is followed once this connection has ended. */
static ws_error wsi_client_redirect(wsi_client *client) {
    wsi_slice location = wsi_text_z(wsi_client_header(client, "location", NULL));
    wsi_buffer old = client->hop, hop = {NULL, 0, 0};
    wsi_url from = client->server;
    if (!location.data || wsi_client_header(client, "location", location.data))
        return wsi_reason_set(&client->why, WS_ERROR_REDIRECT, "a redirect (%d) without exactly one Location",
                              client->endpoint.env.status);
    if (client->redirects++ >= client->config.max_redirects)
        return wsi_reason_set(&client->why, WS_ERROR_REDIRECT, "more than %d redirects", client->config.max_redirects);
    if (!wsi_buffer_reserve(wsi_client_memory(client), &hop, old.size + location.size + WSI_CLIENT_AUTHORITY))
        return WS_ERROR_MEMORY;
    hop.size = wsi_url_resolve(&from, wsi_text((const char *)old.data, old.size), location, (char *)hop.data);
    client->hop = hop;
    const char *problem = wsi_client_read_hop(client);
    if (!problem && from.secure && !client->server.secure && !client->config.allow_wss_to_ws)
        problem = "is not encrypted, from wss:// to ws:// (see allow_wss_to_ws)";
    client->other_server = client->other_server || (!problem && !wsi_client_same_server(&from, &client->server));
    client->redirected = !problem;
    wsi_buffer_free(wsi_client_memory(client), &old);
    return problem ? wsi_reason_set(&client->why, WS_ERROR_REDIRECT, "a redirect to a URL that %s", problem)
                   : WS_ERROR_REDIRECT;
}

/* Whether Retry-After is valid: seconds, or a date, relative to the answer's Date if there is one (RFC 9110 10.2.3). */
static bool wsi_client_retries_after(wsi_client *client) {
    const ws_loop *loop = client->endpoint.loop;
    wsi_slice after = wsi_text_z(wsi_client_header(client, "retry-after", NULL));
    wsi_slice date = wsi_text_z(wsi_client_header(client, "date", NULL));
    uint64_t now = loop->wall_clock(loop->wall_user), until, seconds;
    uint32_t longest = client->config.retry_after_max_ms;
    if (!wsi_text_number(after, &seconds)) {
        if (!wsi_http_date_read(after, now, &until) || (!wsi_http_date_read(date, now, &now) && !now))
            return false;
        seconds = until > now ? until - now : 0;
    }
    client->retry_after_ms = seconds <= longest / 1000 ? (uint32_t)seconds * 1000 : longest;
    return true;
}

/* Handles the head of a refusal. wsi_client_leave reports the refusal, after its body. */
static void wsi_client_refused(wsi_client *client) {
    int status = client->endpoint.env.status;
    bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    bool later = (status == 429 || status == 503) && wsi_client_retries_after(client);
    wsi_engine *engine = &client->conn->engine;
    client->rejected = status >= 400 && status < 500 && !later && !(status == 401 && client->config.before_reconnect);
    client->refused = !redirect || client->config.max_redirects < 0;
    wsi_client_frame_body(client);
    bool whole = wsi_client_take_body(client);
    if (!client->refused) {
        wsi_client_cut_body(client);
        ws_error error = wsi_client_redirect(client);
        engine->error = (uint8_t)error;
        wsi_client_fail(client, error);
    } else if (whole) {
        wsi_client_fail(client, WS_ERROR_REFUSED);
    } else {
        engine->state = WSI_BODY;
    }
}

/* Reads an answer's head, then a refusal's body. */
static wsi_step wsi_client_read(wsi_engine *engine, wsi_window *window, ws_event *event) {
    wsi_client *client = wsi_client_of((ws_conn *)(void *)engine);
    const uint8_t *data = window->base + window->pos;
    size_t size = window->end - window->pos;
    if (!client->refused)
        return wsi_upgrade_read(engine, window, event);
    window->pos = window->end;
    if (!wsi_buffer_append(wsi_client_memory(client), &client->answer, data, size))
        wsi_client_fail(client, WS_ERROR_MEMORY);
    else if (wsi_client_take_body(client))
        wsi_client_fail(client, WS_ERROR_REFUSED);
    return WSI_STEP_MORE;
}

static void wsi_client_opened(wsi_client *client) {
    ws_conn *conn = client->conn;
    const char *subprotocol = wsi_client_header(client, "sec-websocket-protocol", NULL);
    while (subprotocol && !*subprotocol) /* skips empty headers */
        subprotocol = wsi_client_header(client, "sec-websocket-protocol", subprotocol);
    if (!wsi_conn_keep_strings(conn, wsi_text_z(subprotocol), NULL, 0)) {
        wsi_client_fail(client, WS_ERROR_MEMORY);
        return;
    }
    conn->handler = &client->handler;
    conn->engine.chunks = client->handler.on_chunk != NULL;
    client->phase = WSI_PHASE_OPEN;
    wsi_conn_note_progress(conn);
    client->opened_at = client->endpoint.loop->now;
    WSI_TRACE(&conn->engine, WS_TRACE_OPENED, 0, NULL, 0);
    wsi_conn_tick(conn);
    if (client->handler.on_open)
        client->handler.on_open(conn);
}

static void wsi_client_handshake(ws_conn *conn, const ws_event *event) {
    wsi_client *client = wsi_client_of(conn);
    wsi_window *window = &client->endpoint.loop->window;
    bool open = event->type == WS_EVENT_OPEN;
    wsi_slice head = wsi_text((const char *)event->message.data, event->message.size);
    wsi_slice body = wsi_text((const char *)window->base + window->pos, open ? 0 : window->end - window->pos);
    wsi_window_restore(window);
    if (!open)
        window->pos = window->end;
    WSI_TRACE(&conn->engine, WS_TRACE_HEAD, 0, head.data, head.size);
    if (!wsi_client_keep_answer(client, head, body))
        wsi_client_fail(client, WS_ERROR_MEMORY);
    else if (open)
        wsi_client_opened(client);
    else
        wsi_client_refused(client);
}

/* --- the end of an attempt --- */

/* Sets client->why to the server's name, and the reason why the handshake with it failed. */
static void wsi_client_explain(wsi_client *client) {
    wsi_slice host = client->server.authority;
    ws_error error = (ws_error)client->conn->engine.error;
    const char *problem = client->endpoint.env.problem;
    wsi_reason what = client->why;
    if (client->phase != WSI_PHASE_HANDSHAKE || !host.data)
        return;
    if (problem)
        (void)wsi_reason_set(&what, error, "the server's answer %s", problem);
    else if (!wsi_reason_text(&what))
        (void)wsi_reason_set(&what, error, "%s",
                             error == WS_ERROR_TIMEOUT  ? "the server did not answer in time"
                             : error == WS_ERROR_CLOSED ? "the server ended the connection instead of answering; ws:// "
                                                          "or wss://?"
                                                        : ws_error_text(error));
    (void)wsi_reason_set(&client->why, error, "%.*s: %.180s", host.size > 70 ? 70 : (int)host.size, host.data,
                         what.text);
}

static bool wsi_client_leave(ws_conn *conn) {
    wsi_client *client = wsi_client_of(conn);
    wsi_timer_clear(client->endpoint.loop, &client->endpoint.timer);
    wsi_dial_unqueue_lookup(client);
    wsi_dial_end_race(client);
    if (conn->handler)
        return true;
    if (client->refused) { /* the body is complete, or its rest will not come */
        client->refused = false;
        wsi_client_cut_body(client);
        conn->engine.error = WS_ERROR_REFUSED;
        (void)wsi_reason_set(&client->why, WS_ERROR_REFUSED, "the server refused: %.100s",
                             (const char *)client->answer.data);
    }
    conn->broken = true; /* there was no WebSocket: send no close frame and no close_notify */
    if ((client->redirected && !client->endpoint.ending) || client->phase == WSI_PHASE_WAITING)
        return client->phase != WSI_PHASE_WAITING;
    wsi_client_explain(client);
    WSI_TRACE(&conn->engine, WS_TRACE_REFUSED, client->endpoint.env.status, NULL, 0);
    if (wsi_conn_reconnects(conn))
        conn->engine.state = WSI_HEAD; /* ws_state: WS_CONNECTING */
    if (client->handler.on_error)
        client->handler.on_error(conn);
    return true;
}

/* The system's random bytes, fetched in batches. */
static bool wsi_client_random(void *user, void *data, size_t size) {
    ws_loop *loop = (ws_loop *)user;
    if (size > loop->random_left) {
        loop->random_left = 0;
        if (!wsi_platform_random(NULL, loop->random, sizeof loop->random))
            return false;
        loop->random_left = sizeof loop->random;
    }
    loop->random_left -= size;
    uint8_t *from = loop->random + loop->random_left;
    memcpy(data, from, size);
    memset(from, 0, size);
    return true;
}

/* The pause doubles until a connection lasts stable_ms. It is random, so that many clients do not reconnect at once. */
static uint64_t wsi_client_next_pause(wsi_client *client) {
    bool was_open = client->phase == WSI_PHASE_OPEN;
    uint64_t lasted = client->endpoint.loop->now - client->opened_at, pause, random = 0;
    if (was_open && lasted >= client->config.stable_ms)
        client->pause = 0;
    pause = client->pause ? (uint64_t)client->pause * 2 : client->config.reconnect_ms;
    if (pause > client->config.reconnect_max_ms || client->rejected
        || (was_open && client->conn->engine.close_code == WS_CLOSE_POLICY))
        pause = client->config.reconnect_max_ms;
    client->pause = (uint32_t)pause;
    (void)wsi_client_random(client->endpoint.loop, &random, sizeof random); /* if that fails, the pause is not random */
    return client->retry_after_ms + pause - random % (pause / 2 + 1);
}

static bool wsi_client_disconnected(ws_conn *conn) {
    wsi_client *client = wsi_client_of(conn);
    wsi_endpoint *endpoint = &client->endpoint;
    if (client->redirected && !endpoint->ending) {
        client->redirected = false;
        client->phase = WSI_PHASE_RESOLVING;
        wsi_conn_reset(conn);
        wsi_client_attempt(client);
        return true;
    }
    if (client->dialer.blocking && !endpoint->freed && !endpoint->loop->freeing)
        return true;
    if (wsi_conn_reconnects(conn)) {
        ws_error error = (ws_error)conn->engine.error;
        wsi_timer_set(endpoint->loop, &endpoint->timer, wsi_loop_time(endpoint->loop) + wsi_client_next_pause(client));
        wsi_conn_reset(conn);
        conn->engine.error = (uint8_t)error;
        client->phase = WSI_PHASE_WAITING;
        return true;
    }
    endpoint->freed = true;
    return false;
}

/* --- the program's URL and headers --- */

/* Replaces the headers. false: no memory, and nothing has changed. */
static bool wsi_client_copy_headers(wsi_client *client, const char *const *headers) {
    wsi_memory *memory = wsi_client_memory(client);
    size_t count = 0, size = sizeof *headers, i;
    for (; headers && headers[count]; count++)
        size += sizeof *headers + strlen(headers[count]) + 1;
    const char **copies = (const char **)wsi_memory_new(memory, size);
    if (!copies)
        return false;
    char *to = (char *)(copies + count + 1);
    for (i = 0; i < count; i++) {
        copies[i] = to;
        to = wsi_text_append(to, wsi_text_z(headers[i])) + 1;
    }
    wsi_memory_free(memory, client->headers, client->headers_size);
    client->headers = copies;
    client->headers_size = size;
    return true;
}

/* Checks the config for values that would make an invalid request. */
static ws_error wsi_client_check(wsi_client *client) {
    const ws_client_config *config = &client->config;
    const char *name = config->tls.server_name, *problem;
    if (client->dialer.blocking && config->loop && config->loop != client->endpoint.loop)
        return wsi_reason_set(&client->why, WS_ERROR_STATE, "config.loop is in use, or is ending");
    if (!wsi_reason_subprotocols(config->subprotocols, &client->why))
        return WS_ERROR_ARGUMENT;
    problem = !wsi_http_safe(config->origin, ' ') ? "the origin has a character that no header may have"
              : name && !wsi_url_host(wsi_text_z(name), strchr(name, ':') != NULL)
                  ? "tls.server_name is not a host name"
              : config->transport && !wsi_endpoint_is_transport(config->transport)
                  ? "transport: open, read, write, shut or close is NULL"
                  : wsi_codec_wrong(&config->deflate);
    if (problem)
        return wsi_reason_set(&client->why, WS_ERROR_ARGUMENT, "%s", problem);
    for (const char *const *line = client->headers; *line; line++)
        if (!wsi_http_own_header(*line))
            return wsi_reason_set(&client->why, WS_ERROR_ARGUMENT, "line %u of the headers cannot be sent: it "
                                  "is malformed, or part of the handshake itself",
                                  (unsigned)(line - client->headers + 1));
    if (!config->proxy)
        return WS_OK;
    problem = wsi_url_parse(&client->proxy, wsi_text_z(config->proxy));
    if (!wsi_text_is_nocase(client->proxy.scheme, "http"))
        problem = "does not begin with http://";
    return problem ? wsi_reason_set(&client->why, WS_ERROR_URL, "the proxy's URL %s; it looks like "
                                    "http://user:password@host:3128", problem) : WS_OK;
}

/* Copies the URL and the headers for the next attempts. The arguments may be the client's own copies. */
static ws_error wsi_client_replace(wsi_client *client, const char *given, const char *const *headers) {
    wsi_memory *memory = wsi_client_memory(client);
    char *url = NULL;
    wsi_url from, to;
    bool anew = headers != (const char *const *)client->headers, good = wsi_memory_keep(memory, &url, given);
    bool same = good && !wsi_url_parse(&from, wsi_text_z(client->url)) && !wsi_url_parse(&to, wsi_text_z(url))
                && wsi_client_same_server(&from, &to);
    client->moved = !anew && (client->moved || !same);
    good = good && (!anew || wsi_client_copy_headers(client, headers));
    if (url) {
        wsi_memory_free_string(memory, (char *)(uintptr_t)client->url);
        client->url = url;
    }
    return good ? wsi_client_check(client) : WS_ERROR_MEMORY;
}

/* Asks the program for the next attempt's URL and headers. false: there is no next attempt. */
static bool wsi_client_ask(wsi_client *client) {
    const char *url = client->url;
    const char *const *headers = client->headers;
    if (!client->config.before_reconnect)
        return true;
    bool good = client->config.before_reconnect(client->conn, &url, &headers) && url;
    if (client->conn->broken) /* before_reconnect has ended the client */
        return false;
    wsi_reason_clear(&client->why);
    ws_error error = good ? wsi_client_replace(client, url, headers)
                          : wsi_reason_set(&client->why, WS_ERROR_ARGUMENT, "before_reconnect ended the attempts");
    client->dialer.reconnects = !error || error == WS_ERROR_MEMORY;
    client->phase = WSI_PHASE_RESOLVING;
    if (error)
        wsi_client_fail(client, error);
    return !error;
}

static void wsi_client_fire(wsi_endpoint *endpoint) {
    wsi_client *client = (wsi_client *)(void *)endpoint;
    switch (client->phase) {
    case WSI_PHASE_WAITING:
        if (!wsi_client_ask(client))
            break;
        client->conn->engine.error = WS_OK;
        wsi_client_start(client);
        break;
    case WSI_PHASE_RESOLVING: wsi_dial_unresolved(client, "no answer in time"); break;
    case WSI_PHASE_CONNECTING: wsi_dial_connect_next(client, WSI_PLATFORM_TIMEOUT); break;
    case WSI_PHASE_TUNNELLING: wsi_dial_proxy_fail(client, "did not answer in time"); break;
    default: break;
    }
}

/* --- creation and end --- */

static void wsi_client_stop(wsi_endpoint *endpoint) { endpoint->ending = true; }

static const size_t wsi_client_strings[] = {
    offsetof(wsi_client, url), offsetof(wsi_client, config.subprotocols), offsetof(wsi_client, config.origin),
    offsetof(wsi_client, config.proxy), offsetof(wsi_client, config.unix_path),
    offsetof(wsi_client, config.tls.server_name)};
enum { WSI_CLIENT_STRINGS = sizeof wsi_client_strings / sizeof *wsi_client_strings };

static void wsi_client_release(wsi_endpoint *endpoint) {
    wsi_client *client = (wsi_client *)(void *)endpoint;
    wsi_memory *memory = wsi_client_memory(client);
    wsi_memory_free(memory, client->headers, client->headers_size);
    wsi_memory_free_strings(memory, client, wsi_client_strings, WSI_CLIENT_STRINGS);
    wsi_buffer_free(memory, &client->hop);
    wsi_buffer_free(memory, &client->answer);
    if (client->lookup)
        client->lookup->client = NULL;
    wsi_memory_free(memory, client, sizeof *client);
}

static bool wsi_client_copy_config(wsi_client *client, const char *url, const ws_client_config *given) {
    ws_client_config *config = &client->config;
    *config = *given;
    config->subprotocols = given->subprotocols ? given->subprotocols : client->handler.subprotocols;
    config->headers = NULL; /* see client->headers */
    if (given->transport)
        client->transport = *given->transport;
    config->transport = given->transport ? &client->transport : NULL;
    client->endpoint.env.deflate = given->deflate.on ? &config->deflate : NULL;
    config->connect_ms = config->connect_ms ? config->connect_ms : 10000;
    config->receive_ms = config->receive_ms ? config->receive_ms : WS_OFF;
    config->reconnect_max_ms = config->reconnect_max_ms ? config->reconnect_max_ms : 30000;
    if (config->reconnect_max_ms < config->reconnect_ms)
        config->reconnect_max_ms = config->reconnect_ms;
    config->retry_after_max_ms = config->retry_after_max_ms ? config->retry_after_max_ms : 300000;
    config->limits.body = config->limits.body ? config->limits.body : 64 << 10;
    config->limits.answer_ms = config->limits.handshake_ms ? config->limits.handshake_ms : 10000; /* for refusals */
    config->stable_ms = config->stable_ms ? config->stable_ms : 10000;
    config->max_redirects = config->max_redirects ? config->max_redirects : 5;
    client->url = url;
    bool good = wsi_memory_keep_strings(wsi_client_memory(client), client, wsi_client_strings, WSI_CLIENT_STRINGS);
    return wsi_client_copy_headers(client, given->headers) && good;
}

/* Makes a client and its connection; wsi_client_start begins the first attempt. NULL: no memory. */
static wsi_client *wsi_client_new(ws_loop *loop, const char *url, const ws_handler *handler,
                                  const ws_client_config *given) {
    wsi_client *client = (wsi_client *)wsi_memory_new(&loop->memory, sizeof *client);
    wsi_endpoint *endpoint = (wsi_endpoint *)(void *)client;
    ws_client_config defaults;
    memset(&defaults, 0, sizeof defaults);
    if (!client)
        return NULL;
    (void)wsi_loop_time(loop);
    client->handler = *handler;
    endpoint->loop = loop;
    endpoint->handshake = wsi_client_handshake;
    endpoint->leave = wsi_client_leave;
    endpoint->dialer = &client->dialer;
    client->dialer.disconnected = wsi_client_disconnected;
    client->dialer.why = &client->why;
    endpoint->stop = wsi_client_stop;
    endpoint->release = wsi_client_release;
    endpoint->fire = wsi_client_fire;
    loop->ready[WSI_KIND_DIAL] = wsi_dial_connected;
    loop->ready[WSI_KIND_TUNNEL] = wsi_dial_tunnelled;
    loop->ready[WSI_KIND_LOOKUP] = wsi_dial_resolved;
    if (!wsi_client_copy_config(client, url, given ? given : &defaults)
        || !wsi_endpoint_prepare(endpoint, loop, WS_ROLE_CLIENT, &client->config.limits)) {
        wsi_client_release(endpoint);
        return NULL;
    }
    endpoint->env.read = wsi_client_read;
    endpoint->env.random = wsi_client_random;
    endpoint->env.random_user = loop;
    client->conn = wsi_conn_new(endpoint);
    if (client->conn)
        return client;
    endpoint->freed = true;
    wsi_endpoint_retire(endpoint);
    return NULL;
}

/* Begins the first attempt, if the config is valid. Copies the program's TLS config. */
static void wsi_client_launch(wsi_client *client) {
    ws_loop *loop = client->endpoint.loop;
    ws_error error = loop->error ? loop->error : wsi_client_check(client);
    client->phase = WSI_PHASE_RESOLVING;
    if (!error && loop->tls_calls && !client->config.transport)
        error = loop->tls_calls->keep(&client->endpoint, &client->config.tls);
    if (error)
        wsi_client_fail(client, error);
    else
        wsi_client_start(client);
}

WS_API ws_conn *ws_dial(ws_loop *loop, const char *url, const ws_handler *handler, const ws_client_config *config) {
    WS_ASSERT(wsi_loop_is_ours(loop));
    if (!loop)
        return NULL;
    const char *wrong = !url ? "url is NULL" : !handler ? "handler is NULL"
                        : loop->shutting_down || loop->freeing ? "the loop is ending" : NULL;
    wsi_client *client = wrong ? NULL : wsi_client_new(loop, url, handler, config);
    if (!client && !loop->error)
        (void)wsi_reason_set(&loop->why, !wrong ? WS_ERROR_MEMORY : url && handler ? WS_ERROR_STATE : WS_ERROR_ARGUMENT,
                             "ws_dial: %s", wrong ? wrong : ws_error_text(WS_ERROR_MEMORY));
    if (!client)
        return NULL;
    client->conn->user = handler->user;
    wsi_client_launch(client);
    if (client->conn->broken) { /* on_error is called in the next round, because it may dial again */
        client->conn->is_ending = false;
        wsi_timer_set(loop, &client->conn->timer, loop->now);
    }
    return client->conn;
}

WS_API int ws_status(const ws_conn *conn) {
    return conn && wsi_conn_is_client(conn) ? conn->engine.env->status : 0;
}

/* The client, if its last attempt got an answer; else NULL. */
static const wsi_client *wsi_client_answered(const ws_conn *conn) {
    const wsi_client *client = conn && wsi_conn_is_client(conn) ? wsi_client_of(conn) : NULL;
    return client && client->answer.size && client->phase >= WSI_PHASE_HANDSHAKE ? client : NULL;
}

WS_API const char *ws_header_at(const ws_conn *conn, const char *name, size_t index) {
    const wsi_client *client = name ? wsi_client_answered(conn) : NULL;
    const char *value = client ? wsi_client_header(client, name, NULL) : NULL;
    while (value && index--)
        value = wsi_client_header(client, name, value);
    return value;
}

WS_API const char *ws_header(const ws_conn *conn, const char *name) { return ws_header_at(conn, name, 0); }

WS_API const char *ws_body(const ws_conn *conn) {
    const wsi_client *client = wsi_client_answered(conn);
    return client ? (const char *)client->answer.data + client->body : "";
}

/*
>> BLOCKING ===============================================================================
   The blocking calls. Calls HEADS, MESSAGES, LOOP, QUEUE, TRANSPORT, SEND, RECEIVE, LIFE, DIAL, CLIENT.
*/

/* Runs one round. ws_stop ends a connection that is not open. false: it is open, and ws_stop ends only the call. */
static bool wsi_blocking_round(wsi_client *client, uint32_t milliseconds) {
    ws_loop *loop = client->endpoint.loop;
    if (ws_run_once(loop, milliseconds) || loop->error)
        return true;
    if (client->conn->engine.state == WSI_OPEN)
        return wsi_engine_refuse(&client->conn->engine, WS_ERROR_STOPPED);
    wsi_client_fail(client, WS_ERROR_STOPPED);
    (void)ws_run_once(loop, 0);
    return true;
}

/* Takes the next event from the input. false: there is none, and no input is left. */
static bool wsi_blocking_next(wsi_client *client, ws_event *event) {
    ws_conn *conn = client->conn;
    ws_loop *loop = client->endpoint.loop;
    while (client->dialer.has_input) {
        while (!conn->broken && wsi_engine_next(&conn->engine, &loop->window, event)) {
            if (event->type != WS_EVENT_MESSAGE)
                wsi_conn_event(conn, event);
            if (event->type == WS_EVENT_MESSAGE || event->type == WS_EVENT_OPEN)
                return true;
        }
        wsi_conn_leave_window(loop, conn, false);
        client->dialer.has_input = conn->source.link.pending && !conn->broken && !conn->is_ending
                                   && wsi_conn_fill(loop, conn, false);
    }
    wsi_conn_interest(conn);
    return false;
}

/* Whether the connection goes on. If the loop has failed, ends the connection. */
static bool wsi_blocking_alive(wsi_client *client) {
    ws_error error = client->endpoint.loop->error;
    if (error)
        (void)wsi_engine_end(&client->conn->engine, error, WS_CLOSE_BROKEN);
    return !error && !client->conn->closed;
}

/* Waits for a message. false: the connection has ended, or the time is up and a last poll found nothing. */
static bool wsi_blocking_receive(wsi_client *client, ws_event *event, uint32_t milliseconds) {
    ws_conn *conn = client->conn;
    ws_loop *loop = client->endpoint.loop;
    uint64_t end = wsi_engine_due(loop->clock(loop->clock_user), milliseconds), now;
    unsigned polls = 0; /* how many were made after the time limit */
    while (wsi_blocking_alive(client)) {
        if (client->dialer.has_input && wsi_blocking_next(client, event)) {
            wsi_conn_flush(conn);
            return true;
        }
        now = loop->clock(loop->clock_user);
        if (polls && (!loop->found || polls > WSI_POLLS))
            return wsi_engine_refuse(&conn->engine, WS_ERROR_TIMEOUT);
        polls += now >= end;
        uint32_t pause = conn->is_ending || now >= end ? 0 : end == UINT64_MAX ? WS_OFF : (uint32_t)(end - now);
        if (!client->wait(client, pause))
            return false;
    }
    return false;
}

/* Waits until all bytes are sent; closing: until the connection has ended. */
static bool wsi_blocking_sent(ws_conn *conn, bool closing) {
    wsi_client *client = wsi_client_of(conn);
    ws_event event;
    wsi_conn_flush(conn);
    while (!closing && conn->blocked && !conn->is_ending && wsi_blocking_alive(client))
        if (!client->wait(client, WS_OFF))
            return false;
    while (closing && wsi_blocking_alive(client))
        (void)wsi_blocking_receive(client, &event, WS_OFF);
    while (closing && (conn->source.link.session || conn->source.link.descriptor != WSI_NO_SOCKET)
           && !client->endpoint.loop->error)
        (void)client->wait(client, WS_OFF); /* until the transport is closed, close_ms at most */
    return closing || !conn->broken;
}

/* Prepares the program's loop for a blocking client. The input stays in the receive buffer between calls, so the buffer
   must not move. false: the loop is in use. */
static bool wsi_blocking_use(ws_loop *loop) {
    if (!wsi_loop_is_ours(loop) || loop->busy || loop->endpoints || loop->shutting_down)
        return false;
    while (wsi_spare_drop(loop)) {}
    wsi_spare_resize_receive(loop, loop->gather.capacity);
    loop->spare_used = loop->max_spare = 0;
    return true;
}

static wsi_client *wsi_blocking_new(const ws_loop_config *own, const char *url, const ws_client_config *config) {
    bool lent = config && config->loop && wsi_blocking_use(config->loop);
    ws_loop *loop = lent ? config->loop : wsi_loop_new(own, false);
    ws_handler nothing;
    memset(&nothing, 0, sizeof nothing);
    wsi_client *client = loop && (lent || !loop->error) ? wsi_client_new(loop, url, &nothing, config) : NULL;
    if (!client) {
        if (!lent)
            ws_loop_free(loop);
        return NULL;
    }
    client->dialer.blocking = true;
    client->dialer.sent = wsi_blocking_sent;
    client->wait = wsi_blocking_round;
    return client;
}

static ws_conn *wsi_blocking_open(wsi_client *client) {
    ws_conn *conn = client->conn;
    ws_event event;
    while (wsi_blocking_alive(client) && client->phase != WSI_PHASE_OPEN) {
        if (client->dialer.has_input && wsi_blocking_next(client, &event))
            break;
        (void)client->wait(client, conn->is_ending ? 0 : WS_OFF); /* true, as the connection is not open yet */
    }
    return conn;
}

static bool wsi_blocking_is(const ws_conn *conn) {
    return wsi_conn_is_client(conn) && wsi_client_of(conn)->dialer.blocking;
}

WS_API bool ws_receive_within(ws_conn *conn, ws_message *message, uint32_t milliseconds) {
    ws_event event;
    if (!conn || !message || !wsi_blocking_is(conn))
        return conn && wsi_engine_refuse(&conn->engine, WS_ERROR_ARGUMENT);
    memset(message, 0, sizeof *message);
    if (!wsi_blocking_receive(wsi_client_of(conn), &event, milliseconds))
        return false;
    *message = event.message;
    WSI_COUNT(wsi_conn_loop(conn)->stats.messages_in, 1);
    return true;
}

WS_API bool ws_receive(ws_conn *conn, ws_message *message) {
    return conn && ws_receive_within(conn, message, wsi_blocking_is(conn) ? wsi_client_of(conn)->config.receive_ms : 0);
}

WS_API void ws_free(ws_conn *conn) {
    wsi_endpoint *endpoint = conn ? wsi_conn_endpoint(conn) : NULL;
    if (!conn || !wsi_blocking_is(conn))
        return;
    ws_loop *loop = endpoint->loop;
    (void)ws_close(conn, WS_CLOSE_NORMAL, NULL);
    endpoint->freed = true;
    if (wsi_client_of(conn)->config.loop != loop) {
        ws_loop_free(loop);
        return;
    }
    loop->hooks.end(loop, true);
    loop->hooks.end_round(loop);
}
#endif /* WS_NO_CLIENT */

#ifndef WS_NO_TEST
/*
>> TEST ===================================================================================
   The test client: a blocking client whose transport leads to a server in the same process, through two buffers. Calls
   MEMORY, TEXT, MESSAGES, PLATFORM, LOOP, QUEUE, LIFE, SERVER, DIAL, CLIENT, BLOCKING. Switch: WS_NO_TEST. A call that
   waits runs both loops until both are idle, then advances the server's clock to the next timer.

   The core does not know the test client. A wsi_test connects both sides. It is an endpoint of the server's loop, which
   releases it when that loop ends, and it is the clock_user of the client's loop.
*/

enum { WSI_TEST_BUFFER = 64 << 10 }; /* the most bytes in transit each way, as in a socket's buffers */

typedef struct wsi_test_end { /* one end of the connection, which is its link's session */
    struct wsi_test *test;
    ws_conn *conn;            /* NULL: closed */
    bool ended;               /* the other end sends no more */
    size_t size;              /* bytes from the other end that are not read yet */
    uint8_t bytes[WSI_TEST_BUFFER];
} wsi_test_end;

typedef struct wsi_test {
    wsi_endpoint endpoint; /* first field; an endpoint of the server's loop, without connections */
    ws_loop *loop;        /* the server's loop; NULL: it has ended */
    uint64_t now;         /* the time when that loop ended */
    bool cut;
    int references;       /* held by the server's loop, both connections and the client */
    wsi_test_end server_end, client_end;
} wsi_test;

static wsi_test_end *wsi_test_other(wsi_test_end *end) {
    return end == &end->test->server_end ? &end->test->client_end : &end->test->server_end;
}

/* Releases a reference. If the server's loop has the last one, the wsi_test leaves that loop. */
static void wsi_test_release(wsi_test *test) {
    if (!--test->references) {
        (void)wsi_memory_default(NULL, test, sizeof *test, 0);
    } else if (test->references == 1 && test->loop) {
        test->endpoint.freed = true;
        wsi_endpoint_retire(&test->endpoint);
    }
}

/* Takes a wsi_test out of the server's loop, when the loop ends or has the only reference. */
static void wsi_test_leave(wsi_endpoint *endpoint) {
    wsi_test *test = (wsi_test *)(void *)endpoint;
    test->now = test->loop->virtual_now;
    test->loop = NULL;
    wsi_test_release(test);
}

static uint64_t wsi_test_clock(void *user) {
    const wsi_test *test = (const wsi_test *)user;
    return test->loop ? test->loop->virtual_now : test->now;
}

static wsi_test *wsi_test_of(const wsi_client *client) { return (wsi_test *)client->endpoint.loop->clock_user; }

/* Ends the client, and releases its reference. */
static void wsi_test_end_client(wsi_endpoint *endpoint) {
    wsi_test *test = (wsi_test *)endpoint->loop->clock_user;
    wsi_client_release(endpoint);
    wsi_test_release(test);
}

/* --- the transport --- */

static bool wsi_test_open(ws_link *link, const char *host, void *user) {
    wsi_test *test = (wsi_test *)user;
    wsi_test_end *end = host ? &test->client_end : &test->server_end;
    end->conn = (ws_conn *)(void *)((char *)link - offsetof(ws_conn, source));
    test->references++;
    link->session = end;
    return true;
}

static ptrdiff_t wsi_test_read(ws_link *link, void *data, size_t size) {
    wsi_test_end *end = (wsi_test_end *)link->session;
    if (!end->size)
        return end->ended ? WS_ENDED : 0;
    if (size > end->size)
        size = end->size;
    memcpy(data, end->bytes, size);
    end->size -= size;
    memmove(end->bytes, end->bytes + size, end->size);
    return (ptrdiff_t)size;
}

/* Data that the other end cannot receive is lost, as on a network. */
static ptrdiff_t wsi_test_write(ws_link *link, const void *data, size_t size) {
    wsi_test_end *other = wsi_test_other((wsi_test_end *)link->session);
    if (!other->conn || other->test->cut)
        return (ptrdiff_t)size;
    if (size > WSI_TEST_BUFFER - other->size)
        size = WSI_TEST_BUFFER - other->size;
    memcpy(other->bytes + other->size, data, size);
    other->size += size;
    return (ptrdiff_t)size;
}

static ptrdiff_t wsi_test_shut(ws_link *link) {
    wsi_test_end *other = wsi_test_other((wsi_test_end *)link->session);
    if (!other->test->cut)
        other->ended = true;
    return 1;
}

static void wsi_test_close(ws_link *link) {
    wsi_test_end *end = (wsi_test_end *)link->session;
    (void)wsi_test_shut(link);
    end->conn = NULL;
    wsi_test_release(end->test);
}

/* --- rounds and time --- */

/* Serves one end if it waits to read or write, and is able to. */
static bool wsi_test_serve(wsi_test_end *end) {
    const wsi_test_end *other = wsi_test_other(end);
    ws_conn *conn = end->conn;
    ws_loop *loop = conn ? wsi_conn_loop(conn) : NULL;
    unsigned ready = end->size || end->ended ? (unsigned)WS_READ : 0u;
    if (!conn || end->test->cut)
        return false;
    if (conn->engine.pinged && other->conn) /* the ping counts as answered: test clients answer only within calls */
        wsi_engine_heard(&conn->engine, loop->now);
    if (!other->conn || other->size < WSI_TEST_BUFFER)
        ready |= WS_WRITE;
    ready &= conn->source.link.interest;
    if (!ready)
        return false;
    loop->busy = true;
    loop->now = loop->clock(loop->clock_user);
    loop->ready[conn->source.link.kind](loop, &conn->source, ready);
    wsi_loop_end_round(loop);
    loop->busy = false;
    return true;
}

/* One round of both loops, which serves one of the server's ends, if any can be served. false: both were idle. */
static bool wsi_test_step(wsi_client *client) {
    wsi_test *test = wsi_test_of(client);
    bool active = false;
    (void)ws_run_once(client->endpoint.loop, 0);
    if (test->loop)
        (void)ws_run_once(test->loop, 0);
    wsi_endpoint *endpoint = test->loop ? test->loop->endpoints : NULL;
    for (; endpoint; endpoint = active ? NULL : endpoint->next) /* serving may free any endpoint */
        active = endpoint->release == wsi_test_leave && wsi_test_serve(&((wsi_test *)(void *)endpoint)->server_end);
    return wsi_test_serve(&test->client_end) || active;
}

static uint64_t wsi_test_next_timer(const ws_loop *loop) {
    return loop && !loop->error && loop->heap_size ? loop->heap[0]->at : UINT64_MAX; /* a failed loop fires no timer */
}

/* Both loops are idle: the clock advances to the next timer, but not beyond `until`. */
static void wsi_test_advance(wsi_client *client, uint64_t until) {
    wsi_test *test = wsi_test_of(client);
    uint64_t server = wsi_test_next_timer(test->loop), own = wsi_test_next_timer(client->endpoint.loop);
    uint64_t to = server < own ? server : own, *now = test->loop ? &test->loop->virtual_now : &test->now;
    to = to < until ? to : until;
    if (to == UINT64_MAX) /* no timer is set: nothing can happen any more */
        wsi_client_fail(client, WS_ERROR_TIMEOUT);
    else if (to > *now)
        *now = to;
}

static bool wsi_test_round(wsi_client *client, uint32_t milliseconds) {
    wsi_test *test = wsi_test_of(client);
    if (test->loop && test->loop->busy) { /* inside a callback of the server's loop */
        wsi_client_fail(client, WS_ERROR_STATE);
        (void)ws_run_once(client->endpoint.loop, 0);
    } else if (!wsi_test_step(client) && milliseconds) {
        wsi_test_advance(client, wsi_engine_due(wsi_test_clock(test), milliseconds));
        (void)wsi_test_step(client);
    }
    return true;
}

static wsi_client *wsi_test_client(const ws_conn *conn) {
    wsi_client *client = conn && wsi_conn_is_client(conn) ? wsi_client_of(conn) : NULL;
    return client && client->wait == wsi_test_round ? client : NULL;
}

WS_API void ws_test_wait(ws_conn *conn, uint32_t milliseconds) {
    wsi_client *client = wsi_test_client(conn);
    wsi_test *test = client ? wsi_test_of(client) : NULL;
    uint64_t until = test ? wsi_test_clock(test) + milliseconds : 0;
    if (!test || (test->loop && test->loop->busy))
        return;
    for (;;) {
        while (wsi_test_step(client)) {}
        if (wsi_test_clock(test) >= until)
            return;
        wsi_test_advance(client, until);
    }
}

WS_API void ws_test_cut(ws_conn *conn) {
    wsi_client *client = wsi_test_client(conn);
    if (client)
        wsi_test_of(client)->cut = true;
}

/* Makes a wsi_test and adds it to the server's loop. The caller has a reference. NULL: no memory. */
static wsi_test *wsi_test_new(ws_loop *loop) {
    wsi_test *test = (wsi_test *)wsi_memory_default(NULL, NULL, 0, sizeof *test); /* may outlive either loop */
    if (!test)
        return NULL;
    memset(test, 0, sizeof *test);
    test->loop = loop;
    test->references = 1;
    test->server_end.test = test->client_end.test = test;
    test->endpoint.stop = wsi_client_stop;
    test->endpoint.release = wsi_test_leave;
    if (!wsi_endpoint_prepare(&test->endpoint, loop, WS_ROLE_SERVER, &test->endpoint.env.limits)) {
        wsi_test_release(test);
        return NULL;
    }
    test->references = 2; /* the caller's and the loop's */
    return test;
}

static ws_error wsi_test_check(wsi_client *client, const ws_server *server, const char *target) {
    const ws_loop *loop = server->endpoint.loop;
    if (server->listeners->source.link.descriptor != WSI_NO_SOCKET || loop->clock != wsi_loop_virtual_clock)
        return wsi_reason_set(&client->why, WS_ERROR_ARGUMENT,
                              "ws_test_connect needs a server with .no_port, in a loop with .virtual_clock");
    if (loop->busy || server->endpoint.ending)
        return wsi_reason_set(&client->why, WS_ERROR_STATE,
                              "the server's loop is inside a callback, or the server has ended");
    if (!target || target[0] != '/')
        return wsi_reason_set(&client->why, WS_ERROR_URL, "the target does not begin with '/'");
    return wsi_client_check(client);
}

/* Connects both ends. A server that takes no more connections answers 503. */
static ws_error wsi_test_join(wsi_client *client, ws_server *server, const char *target) {
    wsi_test *test = wsi_test_of(client);
    ws_transport transport = {wsi_test_open, wsi_test_read, wsi_test_write, wsi_test_shut, wsi_test_close, NULL, test};
    wsi_memory *memory = wsi_client_memory(client);
    wsi_buffer url = {NULL, 0, 0};
    bool good = wsi_buffer_append(memory, &url, "ws://localhost", 14)
                && wsi_buffer_append(memory, &url, target, strlen(target))
                && wsi_client_set_url(client, wsi_text((const char *)url.data, url.size));
    wsi_buffer_free(memory, &url);
    if (!good)
        return client->conn->broken ? WS_ERROR_URL : WS_ERROR_MEMORY;
    client->transport = server->transport = transport;
    client->config.transport = &client->transport;
    server->endpoint.transport = &server->transport;
    if (!wsi_server_add(server, WSI_NO_SOCKET, false)) {
        test->client_end.size = sizeof wsi_server_overloaded - 1;
        memcpy(test->client_end.bytes, wsi_server_overloaded, test->client_end.size);
        test->client_end.ended = true;
    }
    wsi_dial_begin_handshake(client, WSI_NO_SOCKET);
    return WS_OK;
}

WS_API ws_conn *ws_test_connect(ws_server *server, const char *target, const ws_client_config *given) {
    ws_client_config config;
    ws_loop_config own;
    wsi_test *test = server ? wsi_test_new(server->endpoint.loop) : NULL;
    if (!test)
        return NULL;
    memset(&config, 0, sizeof config);
    memset(&own, 0, sizeof own);
    if (given)
        config = *given;
    memset(&config.tls, 0, sizeof config.tls);
    config.transport = NULL;
    config.proxy = config.unix_path = NULL;
    config.loop = NULL;
    config.max_redirects = -1; /* redirects are reported, not followed */
    own.allocator = config.allocator;
    own.clock = wsi_test_clock;
    own.clock_user = test;
    wsi_client *client = wsi_blocking_new(&own, target ? target : "", &config);
    if (!client) {
        wsi_test_release(test);
        return NULL;
    }
    client->endpoint.release = wsi_test_end_client;
    client->wait = wsi_test_round;
    ws_error error = wsi_test_check(client, server, target);
    if (!error)
        error = wsi_test_join(client, server, target);
    if (error)
        wsi_client_fail(client, error);
    return wsi_blocking_open(client);
}
#endif /* WS_NO_TEST */

#ifndef WS_NO_TRACE
/*
>> TRACE ==================================================================================
   Turns reports of WSI_TRACE and WSI_LOOP_TRACE into events for ws_loop_config.trace, and events into lines. Calls
   TEXT, HTTP, HANDSHAKE, FRAME, MESSAGES, SOCKETS, QUEUE, SEND, LIFE. Prefix: wsi_trace_. Switch: WS_NO_TRACE.
*/

#ifndef WS_NO_SERVER
/* Why a request is refused, if the answer's body is only the reason phrase. */
static const char *wsi_trace_why(const wsi_request *request, int status) {
    switch (status) {
    case 400:
        return !request->upgrade              ? "the head, path, body or form is malformed"
               : !request->http11             ? "a WebSocket needs HTTP/1.1"
               : !request->connection_upgrade ? "Connection does not say Upgrade"
               : !wsi_text_is_base64_16(request->key)
                   ? "Sec-WebSocket-Key is missing, or not 16 bytes in base64"
                   : "Sec-WebSocket-Protocol, -Extensions or -Version is malformed, or there is a body";
    case 403: return "no permission to read this file";
    case 404: return request->upgrade ? "no ws_route has this path" : "no route or file has this path";
    case 405: return request->upgrade ? "a WebSocket needs GET" : "no route takes this method on this path";
    case 408: return "it did not arrive in time";
    case 413: return "its body is larger than limits.body";
    case 417: return "Expect is not 100-continue";
    case 426: return "Sec-WebSocket-Version is not 13";
    case 431: return "its head is larger than limits.head";
    case 500: return "the program gave no answer, or one that cannot be sent, or a file cannot be read";
    case 501: return "Transfer-Encoding is not chunked alone";
    case 503: return "no memory is left, its address reached a limit, the server is ending, or no answer came in time";
    default: return "";
    }
}

/* Why an attempt of a client failed or a request is refused. Reports what has arrived of a head that was not parsed. */
static const char *wsi_trace_refused(ws_conn *conn, int status, const char *body) {
    const wsi_buffer *held = &conn->engine.held;
    const wsi_window *window = &wsi_conn_loop(conn)->window;
    bool current = status != 408 && status != 503; /* those two refuse a head that arrived earlier and is held */
    size_t size = current ? window->end - window->pos : held->size;
    if (wsi_conn_is_client(conn))
        return ws_last_error_text(conn);
    if (conn->engine.state == WSI_HEAD && size)
        WSI_TRACE(&conn->engine, WS_TRACE_HEAD, 0, current ? window->base + window->pos : held->data, size);
    if (body == wsi_http_reason(status))
        return wsi_trace_why(&conn->engine.env->request, status);
    return body ? body : "";
}
#else
static const char *wsi_trace_refused(ws_conn *conn, int status, const char *body) {
    return (void)status, (void)body, ws_last_error_text(conn);
}
#endif

/* Why a connection was accepted only to get 503. */
static void wsi_trace_rejected(ws_socket descriptor, char *text, size_t size) {
    char peer[64] = "a peer without an address";
    (void)wsi_platform_peer(descriptor, peer, sizeof peer);
    (void)snprintf(text, size, "%s: max_connections, address_connections or address_rate is reached, or no memory or "
                   "descriptor is left", peer);
}

/* Fills in a frame, and counts it for WS_TRACE_CLOSED. data: event->size bytes, which begin with the frame's header; if
   event->status is set, a wsi_output. The payload of a received frame is unmasked into `bytes`. */
static void wsi_trace_frame(const ws_conn *conn, ws_trace_event *event, const void *data, uint8_t bytes[125]) {
    const wsi_output *output = event->status ? (const wsi_output *)data : NULL;
    const uint8_t *header = output ? output->header : (const uint8_t *)data;
    bool out = event->kind == WS_TRACE_OUT;
    wsi_extra *extra = conn->extra;
    wsi_frame frame;
    (void)wsi_frame_read(&frame, header, sizeof output->header, header[1] >> 7 != 0, true);
    size_t here = output ? output->size : (size_t)event->size - frame.header_size, most = here < 125 ? here : 125;
    event->status = 0;
    event->opcode = frame.opcode;
    event->final = frame.final;
    event->compressed = frame.compressed;
    event->size = frame.size;
    event->data = output ? output->data : header + frame.header_size;
    event->data_size = out ? here : frame.size < most ? (size_t)frame.size : most;
    if (!out) {
        wsi_engine_unmask(&conn->engine, bytes, event->data, event->data_size, frame.key);
        event->data = bytes;
    }
    if (!extra)
        return;
    extra->bytes[out] += frame.size;
    extra->messages[out] += frame.final && frame.opcode < WSI_CLOSE;
    if (frame.opcode == WSI_CLOSE && !extra->began)
        extra->began = out ? 2 : 1;
}

static void wsi_trace_closed(const ws_conn *conn, ws_trace_event *event) {
    const wsi_extra *extra = conn->extra;
    ws_close_info why = ws_closed(conn);
    bool was_open = conn->engine.traced;
    if (was_open ? !why.reason[0] && !why.clean && conn->engine.error : wsi_conn_is_client(conn))
        event->text = ws_last_error_text(conn);
    else if (was_open)
        event->text = why.reason;
    event->status = was_open ? why.code : 0;
    if (!was_open || !extra)
        return;
    event->by_peer = extra->began == 1;
    event->by_us = extra->began == 2;
    event->messages_in = extra->messages[0];
    event->messages_out = extra->messages[1];
    event->bytes_in = extra->bytes[0];
    event->bytes_out = extra->bytes[1];
}

/* What data and size hold. HEAD: the head. REFUSED: the answer's body, which ends with a zero; without a connection,
   the descriptor. TLS_FAILED: the text. IN, OUT: see wsi_trace_frame. PAUSED, DROPPED, LATE: size alone is used. */
WSI_RARE void wsi_trace_report(wsi_tracer *tracer, wsi_engine *e, ws_trace_kind kind, int status, const void *data,
                             size_t size) {
    const ws_loop *loop = (const ws_loop *)(const void *)((char *)tracer - offsetof(ws_loop, tracer));
    ws_conn *conn = (ws_conn *)(void *)e;
    char text[200] = ""; /* the event may point to text and bytes */
    uint8_t bytes[125];
    ws_trace_event event;
    memset(&event, 0, sizeof event);
    event.kind = kind;
    event.status = status;
    event.time = loop->now;
    event.conn = conn;
    event.id = ws_conn_id(conn);
    event.text = text;
    event.size = size;
    switch (kind) {
    case WS_TRACE_ACCEPTED: (void)ws_peer(conn, text, sizeof text); break;
    case WS_TRACE_HEAD:
        event.data = (const uint8_t *)data;
        event.data_size = size;
        break;
    case WS_TRACE_REFUSED:
        if (conn)
            event.text = wsi_trace_refused(conn, status, (const char *)data);
        else
            wsi_trace_rejected(*(const ws_socket *)data, text, sizeof text);
        break;
    case WS_TRACE_TLS_FAILED: event.text = (const char *)data; break;
    case WS_TRACE_OPENED:
        (void)wsi_conn_extra(conn); /* if there is no memory, the totals of WS_TRACE_CLOSED are zero */
        e->traced = true;
        event.text = ws_subprotocol(conn);
        event.compressed = wsi_codec_used(e);
        break;
    case WS_TRACE_IN:
    case WS_TRACE_OUT: wsi_trace_frame(conn, &event, data, bytes); break;
    case WS_TRACE_CLOSED: wsi_trace_closed(conn, &event); break;
    default: break;
    }
    tracer->function(&event, tracer->user);
}

/* Sends a frame, then reports it. */
WSI_RARE bool wsi_trace_output(wsi_engine *e, const wsi_output *output) {
    bool sent = wsi_conn_emit(e, output);
    if (sent && output->opcode != WSI_RAW)
        WSI_TRACE(e, WS_TRACE_OUT, 1, output, 0);
    return sent;
}

/* --- events as lines --- */

static char *wsi_trace_number(char *to, const char *text, uint64_t number, const char *more) {
    to = wsi_text_append(to, wsi_text_z(text));
    to += wsi_text_decimal(to, number);
    return wsi_text_append(to, wsi_text_z(more));
}

/* Writes the part of a line between the event's name and its text. unit: that of event->size; NULL: no size. */
static void wsi_trace_detail(const ws_trace_event *event, const char *unit, char *to) {
    static const char *const opcodes[] = {" continuation", " text", " binary", " close", " ping", " pong"};
    bool frame = event->kind == WS_TRACE_IN || event->kind == WS_TRACE_OUT;
    unsigned opcode = event->opcode < 3 ? event->opcode : event->opcode < 8 ? 0u : event->opcode - 5u;
    if (frame)
        to = wsi_text_append(to, wsi_text_z(opcodes[opcode < 6 ? opcode : 0]));
    if (event->status && !unit)
        to = wsi_trace_number(to, " ", (unsigned)event->status, "");
    if (unit && (event->size || event->kind != WS_TRACE_PAUSED))
        to = wsi_trace_number(to, " ", event->size, unit);
    to = wsi_text_append(to, wsi_text_z(event->compressed ? " compressed" : ""));
    to = wsi_text_append(to, wsi_text_z(frame && !event->final ? " more follows" : ""));
    if (event->kind == WS_TRACE_CLOSED && event->status) {
        to = wsi_text_append(to, wsi_text_z(event->by_us ? " by us" : event->by_peer ? " by the peer" : ""));
        to = wsi_trace_number(to, ", in ", event->messages_in, " messages ");
        to = wsi_trace_number(to, "", event->bytes_in, " bytes, out ");
        to = wsi_trace_number(to, "", event->messages_out, " messages ");
        to = wsi_trace_number(to, "", event->bytes_out, " bytes");
    }
    *to = 0;
}

WS_API void ws_trace_text(const ws_trace_event *event, char *text, size_t size) {
    static const struct { const char *name, *unit; } kinds[] = {
        {"accepted", NULL}, {"head", " bytes"}, {"refused", NULL}, {"TLS failed", NULL}, {"opened", NULL},
        {"in", " bytes"}, {"out", " bytes"}, {"paused", " bytes unsent"}, {"resumed", NULL}, {"dropped", " bytes"},
        {"closed", NULL}, {"timer late", " ms"}, {"?", NULL}};
    char detail[200], seconds[24];
    if (!event || !text || !size)
        return;
    bool head = event->kind == WS_TRACE_HEAD;
    size_t last = sizeof kinds / sizeof *kinds - 1, kind = (unsigned)event->kind < last ? (unsigned)event->kind : last;
    bool failed = event->kind == WS_TRACE_REFUSED && event->status < 400; /* a client's attempt that nobody refused */
    const char *more = head ? (const char *)event->data : event->text;
    size_t left = head ? event->data_size : more ? strlen(more) : 0;
    wsi_trace_detail(event, kinds[kind].unit, detail);
    *wsi_trace_number(seconds, "", event->time / 1000, "") = 0;
    (void)snprintf(text, size, "%s.%03u #%lu.%lu %s%s%s", seconds, (unsigned)(event->time % 1000),
                   (unsigned long)(event->id & UINT32_MAX), (unsigned long)(event->id >> 32),
                   failed ? "failed" : kinds[kind].name, detail, left ? ": " : "");
    size_t used = strlen(text);
    for (; left && used < size - 1 && *more != '\r' && *more != '\n'; left--, more++)
        text[used++] = *more >= ' ' && *more <= '~' ? *more : '?'; /* the peer may have chosen the text */
    text[used] = 0;
}

WS_API void ws_trace_stderr(const ws_trace_event *event, void *user) {
    char line[300] = "";
    (void)user;
    ws_trace_text(event, line, sizeof line);
    (void)fprintf(stderr, "%s\n", line);
}

static void wsi_trace_setup(ws_loop *loop, const ws_loop_config *config) {
    if (!config || !config->trace)
        return;
    const wsi_tracer tracer = {wsi_trace_report, wsi_trace_output, config->trace, config->trace_user};
    loop->tracer = tracer;
}
#else
static void wsi_trace_setup(ws_loop *loop, const ws_loop_config *config) { (void)loop, (void)config; }
#endif /* WS_NO_TRACE */

/*
>> SETUP ==================================================================================
   The constructors of loops, which know the add-ons. Calls LOOP, FORWARD, WEB, TLS, CLIENT, BLOCKING, TRACE.
*/

#ifndef WS_NO_HTTP
static void wsi_setup_web(ws_loop *loop) { loop->web_calls = &wsi_web_functions; }
#else
static void wsi_setup_web(ws_loop *loop) { (void)loop; }
#endif

WS_API ws_loop *ws_loop_new(const ws_loop_config *config) {
    ws_loop *loop = wsi_loop_new(config, true);
    if (!loop)
        return NULL;
    wsi_tls_setup(loop);
    wsi_forward_setup(loop);
    wsi_setup_web(loop);
    wsi_trace_setup(loop, config);
    return loop;
}

#ifndef WS_NO_CLIENT
WS_API ws_conn *ws_connect(const char *url, const ws_client_config *config) {
    ws_loop_config own;
    memset(&own, 0, sizeof own);
    if (config)
        own.allocator = config->allocator;
    wsi_client *client = wsi_blocking_new(&own, url ? url : "", config);
    if (!client)
        return NULL;
    wsi_tls_setup(client->endpoint.loop);
    wsi_client_launch(client);
    return wsi_blocking_open(client);
}
#endif
#endif /* WS_NO_NET */

/*
>> LICENCE ================================================================================
   MIT License

   Copyright (c) 2026 the ws.h authors

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
   documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
   rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
   permit persons to whom the Software is furnished to do so, subject to the following conditions:

   The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
   Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
   WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
   COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
   OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

>> CHANGES ================================================================================

   0.3.0
   Connections that ended without a reason
   - A loop that runs late (a slow callback, a stopped process, a signal) serves what has arrived before it checks any
     deadline or fires a timer. A time limit that starts in a slow callback counts from the call that starts it.
   - A peer that keeps reading what is queued for it is not dropped, however slow it is (except on Windows).
   - on_drain is called once after ws_buffered returned more than 0, or a send, part, ping or broadcast failed but may
     succeed later. The loop `while (ws_buffered(conn) < N) ...` in on_open and on_drain never stalls. ws_buffered does
     not count broadcasts that wait for the end of a message in parts.
   - A client that half-closes after its requests gets all responses. A kept request is abandoned when the connection
     breaks or answer_ms has passed.
   - On Linux, a paused connection whose peer has vanished is dropped as well; a client that is short of memory
     reconnects.
   - ws_stop and ws_shutdown cannot fail, however many posts are pending.
   - ws_shutdown lets files, kept requests and bodies that are under way finish within its time.
   Servers
   - New: hosts, the names that Host may have (against DNS rebinding). Origins are compared by scheme, host and port;
     ws_listen refuses an invalid list; a 403 says what was compared.
   - Handlers of POST, PUT, PATCH and DELETE refuse pages of other origins; ws_http_from lets a route accept them.
   - Every HTTP response has Date. New: ws_loop_config.wall_clock, the clock for Date and sessions.
   - A query pair that cannot be decoded no longer causes a 400: it counts as absent. New: ws_request_raw_query.
   - A 426 has one Connection field, and its body says that the address is a WebSocket.
   - If the target is a whole URL, its authority replaces Host. GET and HEAD may have a body. OPTIONS * gets 204, or 405
     with WS_NO_HTTP. Unknown transfer codings get 501.
   - Empty Sec-WebSocket-Extensions, -Protocol and Expect lines count as absent; quoted pairs in parameters are decoded.
   - The answer to a close frame repeats its reason as well as its code.
   - ws_listen removes a Unix socket only if nobody listens on it; a server that ends removes only its own.
   - New: ws_listen_also: a server listens on more addresses, TCP and Unix, plain and TLS. ws_port_at: their ports.
   - New: ws_server_config.descriptor, a listening socket that systemd or a predecessor (ws_hand_over) passes on, so no
     connection is refused; unix_mode, the permissions of a Unix socket.
   - ws_files answers 403, 503 or 500 if a file cannot be opened. It sends no charset if a page or style sheet names
     one; ws_files_charset sets it for a folder. If there are several session cookies, the first valid one counts.
   - New: limits.rooms (1,000; WS_ERROR_ROOMS). New: ws_loop_config.max_unfinished (a quarter of max_memory), for data
     that is still arriving. Beyond it, the peer whose data has not grown for the longest time gets 1013 or 503.
   - ws_join, ws_leave, ws_watch, and dropping messages that wait for slow members take constant time.
   - ws_room_slow may be called before anybody joins; the policy then stays.
   - New: ws_pause and ws_resume stop and resume reading one connection. New: on_pong.
   - New: ws_loop_config.trace gets all events. ws_trace_text writes one as a line, ws_trace_stderr prints that line.
   - New: ws_loop_stats, ws_server_stats.
   - Errors name the origin, subprotocol, proxy, field or pattern that is wrong, and what to write instead. A pattern
     like "/ws/:room" is refused. New: WS_ERROR_FORMAT, which ws_send_json and the like report instead of ARGUMENT.
   - New: limits.idle_ms, 75 s between two HTTP requests of a connection; handshake_ms was used for that before.
   - New: origins with "*." before a domain; ws_acceptance.deflate, compression of one connection.
   - New: ws_server_broadcast_text, ws_broadcast_others_text, ws_broadcast_others_json.
   - New limits, off by default: connections per address and their rate, messages and bytes per second of a connection.
   - X-Forwarded-Host and -Proto of trusted proxies are used where origins is NULL. New: forwarded, for proxies that
     set Forwarded (RFC 7239) instead.
   - A loop moves to epoll or kqueue at descriptor 32, not at FD_SETSIZE, so idle connections do not slow messages down.
   - New: ws_loop_descriptor and ws_loop_timeout run a loop inside epoll, kqueue, libuv or GLib. WS_ASSERT also notices
     calls from a foreign thread while your own loop waits.
   - An IPv4 peer that connects to "::" is reported as 127.0.0.1:5000, even if X-Forwarded-For or PROXY names it. "::"
     accepts IPv4 as well, whatever the system's default is.
   - New: ws_loop_config.max_spare, for memory that a loop keeps under load: a larger receive buffer, and large blocks.
   - After 1 MiB of decompressed data, other connections get their turn, because one read may decompress to 67 MB.
   Clients
   - Pauses before a reconnect grow until a connection has lasted stable_ms (10 s). After 1008 or 4xx the longest pause
     follows (see reconnect_max_ms).
   - Retry-After of a 429 or 503 is obeyed, up to retry_after_max_ms. A client sends User-Agent, unless no_user_agent
     is set. New: ws_header_at, for headers that are repeated. ws_body is the whole body, up to limits.body.
   - In on_error, ws_state is WS_CONNECTING if another attempt follows, else WS_CLOSED.
   - New: before_reconnect, which may set another URL and headers, for example a new token. New: ws_client_config.loop,
     which ws_connect and ws_receive run while they block; ws_stop in another thread ends them (WS_ERROR_STOPPED).
   - A redirect from wss: to ws: is refused unless allow_wss_to_ws is set. A redirect to another host or port carries
     none of the program's headers, credentials or certificates.
   - All addresses of a name, up to 64, are raced, both families in turn (RFC 8305): a dead one costs 250 ms.
     A loop looks up 16 names at a time, one for each client.
   - Servers that ignore parameters of permessage-deflate are accepted; such a connection needs up to 40 KiB.
   - A 101 with Content-Length or the like is accepted. A client ignores 1xx responses before a proxy's response, and
     reads folded fields. ws_body is without chunked coding. Host is the first field of a request. Dot segments are
     removed from URLs. A user name with %3A is refused.
   What is compiled
   - New: switches that leave out parts (CONFIG lists them), and WS_MINIMAL, which leaves out nearly all. All files of
     a program need the same switches. `make slim` writes a ws.h without the parts that you name.
   - AVX2, AVX-512 and SHA instructions are used if the processor has them, but not with WS_NO_DISPATCH.
   - New for firmware: WS_SMALL, small code instead of fast code; WS_NO_ALLOC, no allocator; WS_ENGINE_MEMORY and
     ws_engine_config.output_size, sizes of an engine's input and output; `make firmware`, which runs it in an emulator.
   - New: Windows, tested under wine. ws_socket, a descriptor's type, is SOCKET there. Numbers of ws_error have changed.
   - New: WS_LWIP, loops on lwIP's sockets. With WS_SMALL a loop's buffers have 2 KiB, and errors have no details.
   - New: ws_engine_config.chunks, for messages of any size in 1 KiB of memory. In this memory a server's engine also
     reads requests of up to 751 bytes. With WS_NO_NET, ws_limits has no body, answer_ms or rooms.
   - ws.h compiles after any system header, or stops with one #error that says what to do. It is clean under the
     warnings of strict projects, and no name in it is a macro of Qt, windows.h, X11 or curses.
   - 32-bit systems serve files of more than 2 GiB. tcc and musl compile ws.h. New: WS_VERSION_AT_LEAST.
   - `make install` writes a CMake package (ws::ws) as well as ws.pc, which requires openssl. New: `make uninstall`.
   - Errors name the route, page, handler, folder, file or session key that they are about. Errors about certificate
     files begin with the file's name and end with OpenSSL's reason.
   Compression
   - Compression is off by default, for servers, clients and engines: .deflate = { .on = true } turns it on.
     ws_deflate_config.off is gone. Programs that set .context, .level or the like must add .on = true.
   - A window_bits or level out of range is refused, no longer clamped.
   TLS
   - ca_file may hold only intermediates; a certificate that cannot be used does not affect the others. Clients with
     equal configs share the loaded files, and reload changed ones. A client with a ws: URL loads none.
   - A certificate's CN never counts as a host name (RFC 9525). The system's own policy (MinProtocol) is not lowered.
   JSON and the engine
   - New: ws_json_index, for visiting all values of a text, or some of them repeatedly. ws_json has one more field.
     ws_json_next is an inline function, which calls ws_json_next_of.
   - New: ws_json_parse_deep, ws_json_as_unsigned, ws_json_unsigned, ws_slice_unsigned.
   - If ws_engine_init fails, every call still accepts the engine, and ws_engine_error says why. In fixed memory, pongs
     and the answer to a close frame always fit.
   - A server's ws_engine_init ignores .host, .path and .headers.
   - ws_pipe.piece is now step_size.
   - WS_ASSERT notices most calls from a foreign thread; a second thread cannot run a loop.

   0.2.0   the client, TLS, transports that plug in, the test client, JSON
   0.1.0   the server: handshake, frames, rooms, pages, select
*/

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#endif /* WS_IMPLEMENTED */
#endif /* WS_IMPLEMENTATION */
