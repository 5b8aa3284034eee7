/* Chat rooms over any number of servers: the rooms of rooms.c, through Redis (6 or later) or Valkey. From the top of
   the tree:

       cc -O2 -DWS_NO_TLS -o cluster examples/cluster.c
       ./cluster 8001 & ./cluster 8002      then open both addresses; needs Redis on port 6379

   `make cluster` starts Redis and three servers.

   A server subscribes to the rooms in which it has members, and to no others. It publishes what a member says to the
   room's channel. Redis delivers to all servers in one order, so all members of a room see messages in the same order.

   A hash in Redis counts the members of each room, with a field for each server. A field is valid while its server's
   key exists. That key expires SECONDS_ALIVE seconds after the server last set it.

   While Redis is down, members can join and leave, and are told why nothing else works. What they say is refused, not
   queued. If it is unknown whether a message was published, its sender is told so. The server reconnects after growing
   pauses. It then waits, for at most SECONDS_ALIVE, until all servers are back, so that none misses a message.
   This does not work with Redis Cluster, whose scripts cannot read keys of other nodes.
*/
#define _DEFAULT_SOURCE /* for getaddrinfo in strict C99, if the implementation of ws.h is in another file */
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */
#include "redis.h"
#include "rooms_page.h"

#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128, TEXT_MAX_BYTES = 4096, MESSAGE_MAX_BYTES = 8 * (NAME_MAX_BYTES + TEXT_MAX_BYTES) };
enum { ROOM_MAX_BYTES = 128, LISTS = 1024 };
enum { BEAT_MS = 5000, BEATS_COUNTED = 12, SECONDS_ALIVE = 15, FIRST_PAUSE_MS = 100, LONGEST_PAUSE_MS = 10000 };

static const char usage[] =
    "usage: cluster [--redis URL] [--name NAME] " SERVER_OPTIONS
    "Serves chat rooms together with other servers, through Redis.\n"
    "--redis: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]; default redis://127.0.0.1:6379.\n"
    "--name: this server's name on the page; default its host and port.\n"
    SERVER_HELP("8000");

/* Sets this server's count of a room's members, adds up the counts of all servers, and publishes ARGV[3] followed by
   the sum. */
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

typedef struct room { /* a room with members on this server */
    struct room *next;
    unsigned members; /* on this server */
    unsigned total;   /* on all servers, as far as known */
    unsigned counted; /* the epoch in which total was counted */
    char name[ROOM_MAX_BYTES + 1];
} room;

typedef struct member {
    room *room;
    bool joined; /* its own "joined" has come back from Redis; from then on it gets messages */
    char name[NAME_MAX_BYTES + 1];
} member;

static ws_loop *loop;
static ws_server *server;
static const char *server_name;
static char server_id[17]; /* new for each start */
static char alive_key[32];
static unsigned epoch = 1; /* totals counted in earlier epochs may be wrong */
static room *rooms[LISTS]; /* a hash table */

static struct { /* the state of Redis, and of the other servers */
    bool answered; /* Redis has answered the latest beat */
    bool waiting;  /* members cannot say anything until the other servers are back */
    bool reported; /* stderr says that Redis was lost */
    bool told;     /* members were told that Redis is down */
    unsigned announced;    /* how many lists of `rooms` were announced to Redis; LISTS: all */
    unsigned long servers; /* how many are connected to Redis */
    uint64_t since;        /* when Redis became ready */
    char hash[41];         /* the script's SHA-1 */
    uint32_t pause_ms;
} state = {.announced = LISTS, .pause_ms = FIRST_PAUSE_MS};

/* --- what members are told ------------------------------------------------------------- */

/* Sends a text from the server itself to one member. */
static void tell(ws_conn *conn, const char *text) {
    const member *who = ws_user(conn);
    ws_send_json(conn, "{'type':'say','id':'server','name':%s,'text':%s,'members':%u}", server_name, text,
                 who->room->members);
}

/* The member's id, which is unique among all servers. */
static const char *id_of(const ws_conn *conn) {
    static char id[48];
    snprintf(id, sizeof id, "%s.%llu", server_id, (unsigned long long)ws_conn_id(conn));
    return id;
}

/* Lets a member join without Redis; the number of members is that of this server. */
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

static const char *channel_of(const char *room_name) {
    static char channel[ROOM_MAX_BYTES + 8];
    snprintf(channel, sizeof channel, "rooms/%s", room_name);
    return channel;
}

/* RESP3 answers this with a push, which is not counted as pending. */
static void subscribe(const char *verb, const char *name) {
    if (redis.ready && redis_command(0, 2, verb, channel_of(name)))
        redis.pending_count--;
}

/* Sets this server's count of a room, and publishes a message to all of its members; "": no message. */
static bool publish(ws_id sender, const room *where, const char *message) {
    char count[12];
    snprintf(count, sizeof count, "%u", where->members);
    return redis.ready
           && redis_command(sender, 7, "EVALSHA", state.hash, "1", channel_of(where->name), server_id, count, message);
}

/* Publishes what a member says or does, without the number of members and the last bracket. The script appends both
   when somebody joins or leaves, and once in each epoch. The script costs Redis many times what a PUBLISH costs, so for
   other messages each server appends the last number that it saw. */
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
        return redis.ready && redis_command(sender, 3, "PUBLISH", channel_of(who->room->name), message);
    return publish(sender, who->room, message);
}

/* --- Redis: the connection ------------------------------------------------------------- */

static void reconnect(ws_loop *l, void *user);

static void redis_lost(const char *why) {
    bool was_ready = redis.ready;
    if (!state.reported)
        fprintf(stderr, "cluster: Redis at %s:%s: %s; trying again\n", redis.host, redis.port, why);
    state.reported = true;
    state.told = state.told || was_ready;
    redis_close();
    for (; redis.pending_count; redis.pending_count--) {
        ws_conn *sender = ws_find(loop, redis.pending[redis.pending_first++ % PENDING]);
        if (sender)
            tell(sender, "It is not known whether your last message was sent.");
    }
    if (was_ready)
        tell_all("The servers have lost each other: nothing can be said until Redis is back.", true);
    if (!ws_after(loop, state.pause_ms / 2 + (uint32_t)rand() % state.pause_ms, reconnect, NULL))
        ws_stop(loop);
    state.pause_ms = state.pause_ms * 2 < LONGEST_PAUSE_MS ? state.pause_ms * 2 : LONGEST_PAUSE_MS;
}

/* Subscribes to every room and sets its count, since Redis may have lost both. It takes one list at a time, so that
   Redis can answer in between. Then it subscribes to the channel whose subscribers are the servers; all count again. */
static void announce_more(void) {
    while (state.announced < LISTS && redis.pending_count < PENDING / 16) {
        for (const room *each = rooms[state.announced++]; each; each = each->next) {
            subscribe("SUBSCRIBE", each->name);
            publish(0, each, "");
        }
        if (state.announced == LISTS) {
            subscribe("SUBSCRIBE", "");
            redis_command(0, 3, "PUBLISH", "rooms/", "");
        }
    }
}

static void announce_rooms(void) {
    redis.stale = false;
    state.announced = 0;
    announce_more();
}

static void count_servers(ws_loop *l, void *user) {
    (void)l, (void)user;
    if (redis.ready)
        redis_command(0, 3, "PUBSUB", "NUMSUB", "rooms/");
}

static void count_again(ws_loop *l, void *user) {
    (void)l, (void)user;
    epoch++;
}

/* Counts members again after a server came or went: at once, and when the key of a server that died has expired. */
static void changed(void) {
    epoch++;
    ws_after(loop, 1000 * SECONDS_ALIVE, count_again, NULL);
}

/* Called with the number of servers that are connected to Redis. */
static void counted(unsigned long servers) {
    if (state.waiting && servers < state.servers && ws_now(loop) - state.since < 1000 * SECONDS_ALIVE) {
        ws_after(loop, FIRST_PAUSE_MS, count_servers, NULL);
        return;
    }
    if (state.waiting || servers != state.servers)
        changed();
    state.servers = servers;
    if (state.told)
        tell_all("The servers have found each other.", false);
    if (state.reported)
        fprintf(stderr, "cluster: Redis at %s:%s is back\n", redis.host, redis.port);
    state.waiting = state.told = state.reported = false;
}

static void sign_of_life(void) {
    char seconds[12];
    snprintf(seconds, sizeof seconds, "%d", SECONDS_ALIVE);
    state.answered = false;
    redis_command(0, 5, "SET", alive_key, server_name, "EX", seconds);
}

static void beat(ws_loop *l, void *user) {
    static unsigned beats;
    (void)l, (void)user;
    epoch += ++beats % BEATS_COUNTED == 0; /* a server may have died without a word */
    if (redis.socket >= 0 && (!redis.ready || !state.answered)) {
        redis_lost("no answer");
    } else if (redis.ready) {
        sign_of_life();
        if (redis.stale)
            announce_rooms();
        if (!state.waiting)
            count_servers(loop, NULL);
    }
}

static void reconnect(ws_loop *l, void *user) {
    (void)l, (void)user;
    state.answered = true; /* so that the first beat does not take Redis for lost */
    if (redis_connect()) {
        sign_of_life();
        redis_command(0, 3, "SCRIPT", "LOAD", script);
    }
}

/* --- Redis: answers (RESP3) ------------------------------------------------------------ */

static room **find_room(const char *name) {
    unsigned list = 0;
    for (const char *letter = name; *letter; letter++)
        list = (list * 31 + (unsigned char)*letter) % LISTS;
    room **found = &rooms[list];
    while (*found && strcmp((*found)->name, name) != 0)
        found = &(*found)->next;
    return found;
}

/* Sends a published message to the members on this server. */
static void deliver(ws_slice channel, ws_slice text) {
    static char whole[MESSAGE_MAX_BYTES];
    ws_message message = {(const uint8_t *)text.data, text.size, WS_TEXT};
    char name[ROOM_MAX_BYTES + 1], type[16], id[48];
    size_t own = strlen(server_id);
    int64_t members;
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
        ws_conn *conn = ws_find(loop, strtoull(id + own + 1, NULL, 10));
        if (conn && ws_join(conn, name))
            ((member *)ws_user(conn))->joined = true;
    }
    ws_server_broadcast(server, name, message);
}

static void loaded(ws_slice hash) {
    snprintf(state.hash, sizeof state.hash, "%.*s", (int)hash.size, hash.data);
    redis.ready = true;
    state.pause_ms = FIRST_PAUSE_MS;
    state.waiting = true;
    state.since = ws_now(loop);
    announce_rooms();
}

static bool redis_answer(size_t at) {
    const char *line = redis.in + at;
    if (*line == '>') {
        at = (size_t)((const char *)memchr(line, '\n', redis.in_size - at) + 1 - redis.in);
        ws_slice kind = redis_text(&at), channel = redis_text(&at);
        if (ws_slice_is(kind, "message"))
            deliver(channel, redis_text(&at));
        return true;
    }
    if (!redis.pending_count)
        return redis_lost("an answer that belongs to no command"), false;
    ws_id sender = redis.pending[redis.pending_first++ % PENDING];
    redis.pending_count--;
    state.answered = state.answered || *line == '+';
    if (*line == '-') {
        *strchr(line, '\r') = 0;
        if (!redis.ready)
            return redis_lost(line + 1), false;
        fprintf(stderr, "cluster: Redis: %s\n", line + 1);
        if (ws_find(loop, sender))
            tell(ws_find(loop, sender), "Your last message was not sent.");
    } else if (*line == '$' && !redis.ready) {
        loaded(redis_text(&at));
    } else if (*line == '*') { /* PUBSUB NUMSUB: a channel, its subscribers */
        counted(strtoul(strchr(line, ':') + 1, NULL, 10));
    }
    if (redis.ready)
        announce_more();
    return true;
}

/* --- members ---------------------------------------------------------------------------- */

/* false: the name is empty or too long. */
static bool set_name(member *who, const char *name) {
    size_t size = strlen(name);
    if (size == 0 || size > NAME_MAX_BYTES)
        return false;
    memcpy(who->name, name, size + 1);
    return true;
}

/* Finds or makes the room of that name, and counts one more member in it; NULL: no memory. */
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
        state.told = true;
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
        sent = !state.waiting && publish_of(conn, "say", text, message.size);
    else if (set_name(who, text + 6))
        sent = publish_of(conn, "renamed", before.name, strlen(before.name));
    else
        sent = !ws_close(conn, WS_CLOSE_POLICY, "this name cannot be used");
    if (!sent)
        tell(conn, "This was not sent: the servers cannot reach each other.");
}

static void leave(ws_conn *conn, ws_close_info why) {
    member *who = ws_user(conn);
    (void)why;
    if (!who)
        return;
    who->room->members--;
    if (*who->name)
        publish_of(conn, "left", "", 0);
    if (who->room->members == 0) {
        room **place = find_room(who->room->name), *left = *place;
        subscribe("UNSUBSCRIBE", left->name);
        *place = left->next;
        free(left);
    }
    free(who);
}

/* --- the program ------------------------------------------------------------------------ */

/* Makes a random id, which is new for each start of a server. */
static bool make_id(void) {
    uint64_t number = 0;
    FILE *random = fopen("/dev/urandom", "rb");
    bool good = random && fread(&number, sizeof number, 1, random) == 1;
    if (random)
        fclose(random);
    if (!good)
        fprintf(stderr, "cluster: /dev/urandom cannot be read\n");
    snprintf(server_id, sizeof server_id, "%llx", (unsigned long long)number);
    snprintf(alive_key, sizeof alive_key, "rooms/alive/%s", server_id);
    srand((unsigned)number);
    return good;
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 8000, .hosts = "127.0.0.1, localhost, [::1]", /* against DNS rebinding */
                               .limits = {.message = TEXT_MAX_BYTES}};
    ws_handler handler = {.on_open = enter, .on_message = receive, .on_close = leave};
    ws_loop_config loop_config = {.trace = NULL};
    const char *url = "redis://127.0.0.1:6379";
    const program_option own[] = {{.name = "--redis", .text = &url}, {.name = "--name", .text = &server_name},
                                  {.name = NULL}};
    char address[300];
    read_server_options(argc, argv, usage, own, &config, &loop_config);
    if (!redis_url(url))
        bad_usage(url, "is no URL: --redis wants redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]");
    loop = ws_loop_new(&loop_config);
    if (!redis_look_up(loop) || !make_id())
        return 1;
    server = ws_listen(loop, &config);
    ws_route(server, "/ws/{room}", &handler);
    ws_route(server, "/ws/{room}/{name}", &handler);
    snprintf(address, sizeof address, strchr(config.host, ':') ? "[%s]:%u" : "%s:%u", config.host, ws_port(server));
    server_name = server_name ? server_name : address;
    serve_page(server, server_name);
    signal(SIGPIPE, SIG_IGN);
    if (server) {
        reconnect(loop, NULL);
        ws_every(loop, BEAT_MS, beat, NULL);
    }
    announce(loop, server, "http");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "cluster: %s\n", ws_loop_error_text(loop));
    if (redis.ready && redis_command(0, 2, "DEL", alive_key))
        redis_write();
    redis_close();
    freeaddrinfo(redis.address);
    ws_loop_free(loop);
    return error ? 1 : 0;
}
