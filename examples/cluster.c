/* Chat rooms over any number of servers: the rooms of rooms.c, through Redis (6 or later) or Valkey. From the top of
   the tree:

       cc -O2 -DWS_NO_TLS -o cluster examples/cluster.c
       ./cluster 8001 & ./cluster 8002      then open both addresses; wants a Redis on port 6379

   `make cluster` starts a Redis and three servers.

   A server subscribes to the rooms that it has members of, and to no other. What a member says is published there, and
   comes back to all servers in the order of Redis, so all members of a room see the same order.

   A hash in Redis counts the members of a room: a field for each server. A field counts while the key of its server
   exists, which expires SECONDS_ALIVE after the server's last sign of life.

   While Redis is away members can come, go and read why nothing else happens; what they say is refused, not kept. Where
   nobody can know whether a message was published, its sender is told so. The server connects again, with growing
   pauses, and waits until as many servers are back as there were, so that none misses a message; SECONDS_ALIVE at most.
   Not for Redis Cluster, whose scripts may not look at keys of other nodes.
*/
#define _DEFAULT_SOURCE /* getaddrinfo of netdb.h in strict C99, where the implementation is in another file */
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h"
#include "rooms_page.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 128, TEXT_MAX_BYTES = 4096, MESSAGE_MAX_BYTES = 8 * (NAME_MAX_BYTES + TEXT_MAX_BYTES) };
enum { ROOM_MAX_BYTES = 128, LISTS = 1024, PENDING = 4096 };
enum { BEAT_MS = 5000, BEATS_COUNTED = 12, SECONDS_ALIVE = 15, FIRST_PAUSE_MS = 100, LONGEST_PAUSE_MS = 10000 };

static const char usage[] =
    "usage: cluster [--redis URL] [--name NAME] " SERVER_OPTIONS
    "Serves chat rooms together with other servers, through Redis.\n"
    "--redis: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]; redis://127.0.0.1:6379 unless told otherwise.\n"
    "--name: what the page calls this server; its host and port unless told otherwise.\n"
    SERVER_HELP("8000");

/* Sets a server's count of a room's members, adds up all servers', and publishes ARGV[3] with the sum behind it. */
static const char script[] =
    "if ARGV[2] == '0' then redis.call('HDEL', KEYS[1], ARGV[1])\n"
    "else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end\n"
    "local counts, members = redis.call('HGETALL', KEYS[1]), 0\n"
    "for i = 1, #counts, 2 do\n"
    "  if redis.call('EXISTS', 'rooms/alive/' .. counts[i]) == 1 then members = members + counts[i + 1]\n"
    "  else redis.call('HDEL', KEYS[1], counts[i]) end\n"
    "end\n"
    "redis.call('EXPIRE', KEYS[1], 86400)\n"
    "if ARGV[3] ~= '' then redis.call('PUBLISH', KEYS[1], ARGV[3] .. members .. '}') end\n"
    "return 1\n";

typedef struct room { /* that has members on this server */
    struct room *next;
    unsigned members;
    unsigned total;   /* on all servers, as last heard */
    unsigned counted; /* the epoch in which they were counted */
    char name[ROOM_MAX_BYTES + 1];
} room;

typedef struct member {
    room *room;
    bool joined; /* its own "joined" came back: from then on it gets what is said */
    char name[NAME_MAX_BYTES + 1];
} member;

static ws_loop *loop;
static ws_server *server;
static const char *server_name;
static char server_id[17]; /* another one for each start */
static char alive_key[32];
static unsigned epoch = 1; /* what was counted in an earlier one may be wrong */
static room *rooms[LISTS];

static struct {
    const char *host, *port, *user, *password, *database;
    struct addrinfo *address;
    int socket;    /* -1: none */
    bool ready;    /* it takes commands */
    bool answered; /* it has answered the latest beat */
    bool stale;    /* a command did not fit, so some counts may be wrong */
    unsigned announced; /* so many of the lists of rooms; LISTS: all */
    bool waiting;  /* for the other servers */
    bool reported; /* the loss was printed */
    bool told;     /* members know that it is away */
    unsigned long servers; /* that are connected to it */
    uint64_t since;        /* when it was ready */
    char hash[41]; /* of the script */
    uint32_t pause_ms;
    ws_id pending[PENDING]; /* a ring: who is told how each command ended; 0: nobody */
    unsigned pending_first, pending_count;
    char out[1 << 20], in[1 << 17];
    size_t out_size, in_size;
    bool writing; /* waits until the socket is writable */
} redis = {.socket = -1, .announced = LISTS, .pause_ms = FIRST_PAUSE_MS};

/* --- what members are told ------------------------------------------------------------- */

/* The server's own words, to one member. */
static void tell(ws_conn *conn, const char *text) {
    const member *who = ws_user(conn);
    ws_send_json(conn, "{'type':'say','id':'server','name':%s,'text':%s,'members':%u}", server_name, text,
                 who->room->members);
}

/* The member's id: no other server has it. */
static const char *id_of(const ws_conn *conn) {
    static char id[48];
    snprintf(id, sizeof id, "%s.%llu", server_id, (unsigned long long)ws_conn_id(conn));
    return id;
}

/* Where Redis cannot say it: the member is in the room, as far as this server knows. */
static void admit(ws_conn *conn) {
    member *who = ws_user(conn);
    if (who->joined || !ws_join(conn, who->room->name))
        return;
    who->joined = true;
    ws_send_json(conn, "{'type':'joined','id':%s,'name':%s,'text':'','members':%u}", id_of(conn), who->name,
                 who->room->members);
}

static void tell_all(const char *text, bool admitted) {
    size_t count = ws_room_count(server, NULL), i;
    ws_id *ids = malloc((count + 1) * sizeof *ids);
    count = ids ? ws_room_members(server, NULL, ids, count) : 0;
    for (i = 0; i < count; i++) {
        ws_conn *conn = ws_find(loop, ids[i]);
        if (!ws_user(conn))
            continue;
        if (admitted)
            admit(conn);
        tell(conn, text);
    }
    free(ids);
}

/* --- Redis: commands ------------------------------------------------------------------- */

static void redis_event(ws_loop *l, int descriptor, unsigned ready, void *user);

static void watch(void) {
    ws_watch(loop, redis.socket, redis.writing ? WS_READ | WS_WRITE : WS_READ, redis_event, NULL);
}

/* Queues a command of count texts. sender is told when it fails; 0: nobody. false: Redis takes no more for now. */
static bool command(ws_id sender, unsigned count, ...) {
    size_t size = redis.out_size;
    va_list texts;
    bool fits = redis.socket >= 0 && redis.pending_count < PENDING;
    va_start(texts, count);
    for (unsigned i = 0; i < count && fits; i++) {
        const char *text = va_arg(texts, const char *);
        char head[16] = "";
        if (i == 0)
            snprintf(head, sizeof head, "*%u\r\n", count);
        size += (size_t)snprintf(redis.out + size, sizeof redis.out - size, "%s$%zu\r\n%s\r\n", head, strlen(text),
                                text);
        fits = size < sizeof redis.out;
    }
    va_end(texts);
    redis.stale = redis.stale || !fits;
    if (!fits)
        return false;
    redis.out_size = size;
    redis.pending[(redis.pending_first + redis.pending_count++) % PENDING] = sender;
    if (!redis.writing) {
        redis.writing = true; /* all commands of a round leave together */
        watch();
    }
    return true;
}

static const char *channel_of(const char *room_name) {
    static char channel[ROOM_MAX_BYTES + 8];
    snprintf(channel, sizeof channel, "rooms/%s", room_name);
    return channel;
}

/* RESP3 answers these by a push, so nothing is pending. */
static void subscribe(const char *verb, const char *name) {
    if (redis.ready && command(0, 2, verb, channel_of(name)))
        redis.pending_count--;
}

/* Sets this server's count of a room, and publishes a message to all of its members; "" none. */
static bool publish(ws_id sender, const room *where, const char *message) {
    char count[12];
    snprintf(count, sizeof count, "%u", where->members);
    return redis.ready
           && command(sender, 7, "EVALSHA", redis.hash, "1", channel_of(where->name), server_id, count, message);
}

/* Publishes what a member says or does, without the count of members and the last bracket. The script adds them when
   somebody comes or goes, and once in each epoch, as it costs Redis many times what a message does. If it does not, the
   servers do, by the count that they saw last. */
static bool publish_of(ws_conn *conn, const char *type, const char *text, size_t size) {
    static char message[MESSAGE_MAX_BYTES];
    const member *who = ws_user(conn);
    bool says = strcmp(type, "say") == 0;
    ws_id sender = says ? ws_conn_id(conn) : 0;
    size_t end = ws_json_print(message, sizeof message, "{'type':%s,'id':%s,'name':%s,'text':%.*s,'members':0}", type,
                               id_of(conn), who->name, (int)size, text);
    if (end == 0 || end >= sizeof message)
        return false;
    message[end - 2] = 0;
    if (says && who->room->counted == epoch)
        return redis.ready && command(sender, 3, "PUBLISH", channel_of(who->room->name), message);
    return publish(sender, who->room, message);
}

/* --- Redis: the connection ------------------------------------------------------------- */

static void redis_connect(ws_loop *l, void *user);

/* The connection is lost, or never came about. */
static void lose(const char *why) {
    if (!redis.reported)
        fprintf(stderr, "cluster: Redis at %s:%s: %s; trying again\n", redis.host, redis.port, why);
    redis.reported = true;
    if (redis.socket >= 0) {
        ws_watch(loop, redis.socket, WS_NONE, NULL, NULL);
        close(redis.socket);
        redis.socket = -1;
    }
    for (; redis.pending_count; redis.pending_count--) {
        ws_conn *sender = ws_find(loop, redis.pending[redis.pending_first++ % PENDING]);
        if (sender)
            tell(sender, "It is not known whether your last message was sent.");
    }
    if (redis.ready)
        tell_all("The servers have lost each other: nothing can be said until Redis is back.", true);
    redis.told = redis.told || redis.ready;
    redis.ready = redis.writing = false;
    redis.out_size = redis.in_size = 0;
    if (!ws_after(loop, redis.pause_ms / 2 + (uint32_t)rand() % redis.pause_ms, redis_connect, NULL))
        ws_stop(loop);
    redis.pause_ms = redis.pause_ms * 2 < LONGEST_PAUSE_MS ? redis.pause_ms * 2 : LONGEST_PAUSE_MS;
}

/* Subscribes to every room and sets its count, as Redis may have forgotten both; so many at a time that it answers in
   between. Last, to what counts the servers, which all count again. */
static void announce_more(void) {
    while (redis.announced < LISTS && redis.pending_count < PENDING / 16) {
        for (const room *each = rooms[redis.announced++]; each; each = each->next) {
            subscribe("SUBSCRIBE", each->name);
            publish(0, each, "");
        }
        if (redis.announced == LISTS) {
            subscribe("SUBSCRIBE", "");
            command(0, 3, "PUBLISH", "rooms/", "");
        }
    }
}

static void announce(void) {
    redis.stale = false;
    redis.announced = 0;
    announce_more();
}

static void count_servers(ws_loop *l, void *user) {
    (void)l, (void)user;
    if (redis.ready)
        command(0, 3, "PUBSUB", "NUMSUB", "rooms/");
}

static void count_again(ws_loop *l, void *user) {
    (void)l, (void)user;
    epoch++;
}

/* A server came or went: what is left of it expires. */
static void changed(void) {
    epoch++;
    ws_after(loop, 1000 * SECONDS_ALIVE, count_again, NULL);
}

/* That many servers are connected to Redis. */
static void counted(unsigned long servers) {
    if (redis.waiting && servers < redis.servers && ws_now(loop) - redis.since < 1000 * SECONDS_ALIVE) {
        ws_after(loop, FIRST_PAUSE_MS, count_servers, NULL);
        return;
    }
    if (redis.waiting || servers != redis.servers)
        changed();
    redis.servers = servers;
    if (redis.told)
        tell_all("The servers have found each other.", false);
    if (redis.reported)
        fprintf(stderr, "cluster: Redis at %s:%s is back\n", redis.host, redis.port);
    redis.waiting = redis.told = redis.reported = false;
}

static void sign_of_life(void) {
    char seconds[12];
    snprintf(seconds, sizeof seconds, "%d", SECONDS_ALIVE);
    redis.answered = false;
    command(0, 5, "SET", alive_key, server_name, "EX", seconds);
}

static void beat(ws_loop *l, void *user) {
    static unsigned beats;
    (void)l, (void)user;
    epoch += ++beats % BEATS_COUNTED == 0; /* one may have lost its power */
    if (redis.socket >= 0 && (!redis.ready || !redis.answered)) {
        lose("no answer");
    } else if (redis.ready) {
        sign_of_life();
        if (redis.stale)
            announce();
        if (!redis.waiting)
            count_servers(loop, NULL);
    }
}

static void redis_connect(ws_loop *l, void *user) {
    (void)l, (void)user;
    redis.answered = true; /* a beat waits a whole interval for the first answer */
    redis.socket = socket(redis.address->ai_family, SOCK_STREAM, 0);
    redis.writing = true;
    if (redis.socket < 0 || fcntl(redis.socket, F_SETFL, O_NONBLOCK) < 0
        || fcntl(redis.socket, F_SETFD, FD_CLOEXEC) < 0)
        lose(strerror(errno));
    else if (connect(redis.socket, redis.address->ai_addr, redis.address->ai_addrlen) < 0 && errno != EINPROGRESS)
        lose(strerror(errno));
    else if (!ws_watch(loop, redis.socket, WS_READ | WS_WRITE, redis_event, NULL))
        lose("out of descriptors or memory");
    else {
        if (redis.password)
            command(0, 5, "HELLO", "3", "AUTH", redis.user, redis.password);
        else
            command(0, 2, "HELLO", "3");
        command(0, 2, "SELECT", redis.database);
        sign_of_life();
        command(0, 3, "SCRIPT", "LOAD", script);
    }
}

/* --- Redis: answers (RESP3) ------------------------------------------------------------ */

/* The end of the value at `at`; 0: more has to arrive. */
static size_t value_end(size_t at) {
    long left = 1;
    while (left > 0) {
        const char *line = redis.in + at, *end = memchr(line, '\n', redis.in_size - at);
        long number = end ? strtol(line + 1, NULL, 10) : 0;
        if (!end)
            return 0;
        at = (size_t)(end + 1 - redis.in);
        left += strchr("*>~", *line) ? number : *line == '%' ? 2 * number : 0;
        if (strchr("$=!", *line) && number >= 0)
            at += (size_t)number + 2;
        if (at > redis.in_size)
            return 0;
        left--;
    }
    return at;
}

/* The text at `at`, "$5\r\nhello\r\n". Moves `at` behind it. */
static ws_slice text_at(size_t *at) {
    ws_slice text;
    char *data;
    text.size = strtoul(redis.in + *at + 1, &data, 10);
    text.data = data + 2;
    *at = (size_t)(text.data + text.size + 2 - redis.in);
    return text;
}

static room **find_room(const char *name) {
    unsigned list = 0;
    for (const char *letter = name; *letter; letter++)
        list = (list * 31 + (unsigned char)*letter) % LISTS;
    room **found = &rooms[list];
    while (*found && strcmp((*found)->name, name) != 0)
        found = &(*found)->next;
    return found;
}

/* A message that was published: to the members on this server. */
static void deliver(ws_slice channel, ws_slice text) {
    static char whole[MESSAGE_MAX_BYTES];
    ws_message message = {(const uint8_t *)text.data, text.size, WS_TEXT};
    char name[ROOM_MAX_BYTES + 1], type[16], id[48];
    size_t own = strlen(server_id);
    int64_t members;
    ws_conn *conn;
    snprintf(name, sizeof name, "%.*s", (int)channel.size - 6, channel.data + 6);
    room *where = *find_room(name);
    if (!*name) {
        changed();
        count_servers(loop, NULL);
    }
    if (!where || text.size > sizeof whole - 16)
        return;
    if (text.data[text.size - 1] != '}') {
        message.size = (size_t)snprintf(whole, sizeof whole, "%.*s%u}", (int)text.size, text.data, where->total);
        message.data = (const uint8_t *)whole;
    } else if (ws_json_integer(message, "members", &members)) {
        where->total = (unsigned)members;
        where->counted = epoch;
    }
    if (ws_json_text(message, "type", type, sizeof type) && strcmp(type, "joined") == 0
        && ws_json_text(message, "id", id, sizeof id) && strncmp(id, server_id, own) == 0) {
        conn = ws_find(loop, strtoull(id + own + 1, NULL, 10));
        if (conn && ws_join(conn, name))
            ((member *)ws_user(conn))->joined = true;
    }
    ws_server_broadcast(server, name, message);
}

static void loaded(ws_slice hash) {
    snprintf(redis.hash, sizeof redis.hash, "%.*s", (int)hash.size, hash.data);
    redis.ready = true;
    redis.pause_ms = FIRST_PAUSE_MS;
    redis.waiting = true;
    redis.since = ws_now(loop);
    announce();
}

/* One answer or push, whole. false: the connection is of no use. */
static bool answer(size_t at) {
    const char *line = redis.in + at;
    ws_id sender;
    ws_slice kind, channel;
    if (*line == '>') {
        at = (size_t)((const char *)memchr(line, '\n', redis.in_size - at) + 1 - redis.in);
        kind = text_at(&at);
        channel = text_at(&at);
        if (ws_slice_is(kind, "message"))
            deliver(channel, text_at(&at));
        return true;
    }
    if (!redis.pending_count)
        return lose("an answer that belongs to no command"), false;
    sender = redis.pending[redis.pending_first++ % PENDING];
    redis.pending_count--;
    redis.answered = redis.answered || *line == '+';
    if (*line == '-') {
        char *end = strchr(line, '\r');
        *end = 0;
        if (!redis.ready)
            return lose(line + 1), false;
        fprintf(stderr, "cluster: Redis: %s\n", line + 1);
        if (ws_find(loop, sender))
            tell(ws_find(loop, sender), "Your last message was not sent.");
    } else if (*line == '$' && !redis.ready) {
        loaded(text_at(&at));
    } else if (*line == '*') { /* PUBSUB NUMSUB: a channel, its subscribers */
        counted(strtoul(strchr(line, ':') + 1, NULL, 10));
    }
    return true;
}

static void redis_read(void) {
    ssize_t got = recv(redis.socket, redis.in + redis.in_size, sizeof redis.in - 1 - redis.in_size, 0);
    size_t at = 0, end;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got <= 0) {
        lose(got < 0 ? strerror(errno) : "closed the connection");
        return;
    }
    redis.in_size += (size_t)got;
    redis.in[redis.in_size] = 0; /* for strtol and strchr */
    while (at < redis.in_size && (end = value_end(at)) != 0) {
        if (!answer(at))
            return;
        at = end;
    }
    if (redis.ready)
        announce_more();
    redis.in_size -= at;
    memmove(redis.in, redis.in + at, redis.in_size);
    if (redis.in_size == sizeof redis.in - 1)
        lose("an answer is too long");
}

static void redis_write(void) {
    ssize_t sent = send(redis.socket, redis.out, redis.out_size, 0);
    if (sent < 0 && !redis.ready && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        lose(strerror(errno));
        return;
    } /* later, reading finds the end, after all that came before it */
    redis.out_size -= sent > 0 ? (size_t)sent : 0;
    memmove(redis.out, redis.out + (sent > 0 ? sent : 0), redis.out_size);
    redis.writing = redis.out_size > 0;
    watch();
}

static void redis_event(ws_loop *l, int descriptor, unsigned ready, void *user) {
    (void)l, (void)descriptor, (void)user;
    if (ready & WS_READ)
        redis_read();
    if (ready & WS_WRITE && redis.writing)
        redis_write();
}

/* --- members ---------------------------------------------------------------------------- */

/* false: there is no name, or it is too long. */
static bool set_name(member *who, const char *name) {
    size_t size = strlen(name);
    if (size == 0 || size > NAME_MAX_BYTES)
        return false;
    memcpy(who->name, name, size + 1);
    return true;
}

/* The room that a connection asks for; NULL: no memory. */
static room *enter_room(const char *name) {
    room **place = find_room(name);
    if (!*place && (*place = calloc(1, sizeof **place)) != NULL) {
        strcpy((*place)->name, name);
        subscribe("SUBSCRIBE", name);
    }
    if (*place)
        (*place)->members++;
    return *place;
}

static void enter(ws_conn *conn) {
    const char *name = ws_param(conn, "name"), *room_name = ws_param(conn, "room");
    member *who;
    if (strlen(room_name) > ROOM_MAX_BYTES) {
        ws_close(conn, WS_CLOSE_POLICY, "the room's name is too long");
        return;
    }
    who = calloc(1, sizeof *who);
    if (!who || (who->room = enter_room(room_name)) == NULL) {
        free(who);
        ws_close(conn, WS_CLOSE_TRY_LATER, "the server is short of memory");
        return;
    }
    ws_set_user(conn, who);
    if (!set_name(who, name && *name ? name : "guest")) {
        ws_close(conn, WS_CLOSE_POLICY, "this name cannot be used");
    } else if (!publish_of(conn, "joined", "", 0)) {
        admit(conn);
        tell(conn, "The servers cannot reach each other: nothing can be said until Redis is back.");
        redis.told = true;
    }
}

static void receive(ws_conn *conn, ws_message message) {
    const char *text = (const char *)message.data;
    member *who = ws_user(conn), before;
    bool sent;
    if (!who)
        return;
    before = *who;
    if (message.type != WS_TEXT) {
        ws_close(conn, WS_CLOSE_UNSUPPORTED, "text only");
        return;
    }
    if (strncmp(text, "/name ", 6) != 0)
        sent = !redis.waiting && publish_of(conn, "say", text, message.size);
    else if (set_name(who, text + 6))
        sent = publish_of(conn, "renamed", before.name, strlen(before.name));
    else
        sent = !ws_close(conn, WS_CLOSE_POLICY, "this name cannot be used");
    if (!sent)
        tell(conn, "This was not sent: the servers cannot reach each other.");
}

static void leave(ws_conn *conn, ws_close_info why) {
    member *who = ws_user(conn);
    room **place, *left;
    (void)why;
    if (!who)
        return;
    who->room->members--;
    if (*who->name)
        publish_of(conn, "left", "", 0);
    if (who->room->members == 0) {
        place = find_room(who->room->name);
        left = *place;
        subscribe("UNSUBSCRIBE", left->name);
        *place = left->next;
        free(left);
    }
    free(who);
}

/* --- the program ------------------------------------------------------------------------ */

/* Decodes %XX in place. */
static void decode(char *text) {
    char *to = text;
    for (; *text; text++) {
        unsigned byte;
        if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1 && text[2]) {
            *to++ = (char)byte;
            text += 2;
        } else {
            *to++ = *text;
        }
    }
    *to = 0;
}

/* Takes a redis:// URL apart. false: it is none. */
static bool take_url(const char *url) {
    static char copy[1024];
    char *at, *colon, *slash, *host = copy;
    if (strncmp(url, "redis://", 8) != 0 || strlen(url) >= sizeof copy)
        return false;
    strcpy(copy, url + 8);
    redis.port = "6379";
    redis.user = "default";
    redis.database = "0";
    if ((at = strrchr(host, '@')) != NULL) {
        *at = 0;
        if ((colon = strchr(host, ':')) == NULL)
            return false;
        *colon = 0;
        decode(colon + 1);
        decode(host);
        redis.password = colon + 1;
        redis.user = *host ? host : redis.user;
        host = at + 1;
    }
    if ((slash = strchr(host, '/')) != NULL) {
        *slash = 0;
        redis.database = slash[1] ? slash + 1 : redis.database;
    }
    if ((colon = strrchr(host, ':')) != NULL && !strchr(colon, ']')) {
        *colon = 0;
        redis.port = colon + 1;
    }
    redis.host = *host == '[' ? host + 1 : host; /* "[::1]" */
    host[strcspn(host, "]")] = 0;
    return *redis.host && *redis.port && !redis.port[strspn(redis.port, "0123456789")]
           && !redis.database[strspn(redis.database, "0123456789")];
}

/* An id for this start of this server, and the address of Redis. Looked up once: that can block, later it must not. */
static bool prepare(void) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    uint64_t number = 0;
    FILE *random = fopen("/dev/urandom", "rb");
    int failed = getaddrinfo(redis.host, redis.port, &hints, &redis.address);
    if (random && fread(&number, sizeof number, 1, random) != 1)
        number = 0;
    if (random)
        fclose(random);
    if (failed)
        fprintf(stderr, "cluster: Redis at %s: %s\n", redis.host, gai_strerror(failed));
    if (!number)
        fprintf(stderr, "cluster: /dev/urandom cannot be read\n");
    snprintf(server_id, sizeof server_id, "%llx", (unsigned long long)number);
    snprintf(alive_key, sizeof alive_key, "rooms/alive/%s", server_id);
    srand((unsigned)number);
    return number && !failed;
}

/* Tells Redis what is left to say. */
static void finish(void) {
    if (redis.ready && command(0, 2, "DEL", alive_key) && send(redis.socket, redis.out, redis.out_size, 0) < 0)
        fprintf(stderr, "cluster: Redis was not told the end: %s\n", strerror(errno));
    if (redis.socket >= 0)
        close(redis.socket);
    if (redis.address)
        freeaddrinfo(redis.address);
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 8000, .limits = {.message = TEXT_MAX_BYTES}};
    ws_handler handler = {.on_open = enter, .on_message = receive, .on_close = leave};
    const char *url = "redis://127.0.0.1:6379";
    const program_option own[] = {{.name = "--redis", .text = &url}, {.name = "--name", .text = &server_name},
                                  {.name = NULL}};
    char address[300];
    int status;
    loop = start(argc, argv, usage, own, &config);
    if (!take_url(url))
        refuse(url, "is no URL: --redis wants redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]");
    if (!prepare())
        return 1;
    server = ws_listen(loop, &config);
    ws_route(server, "/ws/{room}", &handler);
    ws_route(server, "/ws/{room}/{name}", &handler);
    snprintf(address, sizeof address, strchr(config.host, ':') ? "[%s]:%u" : "%s:%u", config.host, ws_port(server));
    server_name = server_name ? server_name : address;
    serve_page(server, server_name);
    signal(SIGPIPE, SIG_IGN);
    if (server) {
        redis_connect(loop, NULL);
        ws_every(loop, BEAT_MS, beat, NULL);
    }
    status = run_server(server, "http");
    finish();
    ws_loop_free(loop);
    return status;
}
