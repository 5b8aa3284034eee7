/* LOOP: programs of several servers and clients on a simulated network, with a virtual clock and one seed: whatever the
   network and the programs do, a message arrives once, in order and unchanged, or the close code says that it did not;
   each on_open has one on_close; deadlines are kept; queues and memory have bounds; nothing is left at the end.

   build/test_loop_simulation seed=123          replays one run and prints what happens
   build/test_loop_simulation seed=123 trace=1  the same with ws.h's trace, which may take other paths
   build/test_loop_simulation runs=1000000 from=1 */
#include "../helpers/kernel.h"

#ifndef WS_NO_TLS
#define WS_NO_TLS
#endif
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/test.h"

enum {
    SERVERS = 2, CLIENTS = 3, HOSTS = SERVERS + CLIENTS, STRANGER = 6, PORT = 9000, DIALERS = 6, SESSIONS = 200,
    TIMERS = 16, KEPT = 16, STRANGERS = 4, LARGEST = 70000,
    PING_MS = 2500, PONG_MS = 1500, CLOSE_MS = 1000, HANDSHAKE_MS = 2000, CONNECT_MS = 3000, ANSWER_MS = 2500,
    RECONNECT_MAX_MS = 1500,
    SLACK_MS = 250, /* for what takes a few steps: an accept that is tried again, a timer after another */
    SETTLE_MS = 15000,
    RECEIVE = 16 << 10 /* receive_size: this much may be gathered beyond limits.buffered */
};

enum { ROOMS = 5 }; /* one for each policy */
static const char *const room_names[ROOMS] = {"close", "wait", "newest", "oldest", "latest"};

typedef struct item { /* a message that was sent */
    uint32_t id, size;
    int room;          /* -1: sent to this side alone; ROOMS: to all */
    uint8_t type;
    bool droppable;
} item;

typedef struct side { /* one end of a WebSocket */
    struct session *session;
    ws_conn *conn;
    ws_id id;
    unsigned host, incarnation; /* incarnation: which server or loop of the host */
    bool opened, closed, dropped, paused, in_parts;
    uint64_t opened_at, closing_at, resumed_at;
    uint16_t close_code;        /* the code that the program asked for */
    size_t closing_items;       /* how many items were sent before the close */
    item *items;
    size_t count, capacity;
    size_t taken;               /* how many of the other side's items arrived */
    uint32_t part_sent;         /* bytes of the newest item that were sent */
    uint8_t *chunks;            /* the part of a message in chunks that has arrived */
    size_t chunked;
    bool rooms[ROOMS];
} side;

typedef struct session {
    unsigned token;
    side sides[2]; /* the client's, the server's */
} session;

typedef struct dialer {
    unsigned host, server;
    ws_conn *conn;       /* NULL: none */
    session *current;
    ws_id id;
    bool open, reconnects, ending;
    bool first, starved; /* starved: the first attempt had no memory, so it may have been the only one */
    uint64_t since;      /* when this attempt, or the wait for the next, began */
} dialer;

typedef struct host {
    unsigned number;
    ws_loop *loop;
    ws_server *server;
    size_t memory;            /* bytes that its loop has allocated */
    unsigned incarnation;
    uint64_t frozen, slack;   /* until when it is frozen; for how long it was, in all */
    uint64_t until;           /* until when it waits */
    bool stopping;            /* ws_shutdown was called */
    unsigned posted, received; /* numbers of posts */
} host;

typedef struct alarm_clock {
    ws_id id;
    unsigned host;
    uint64_t due;
    bool every;
} alarm_clock;

typedef struct kept {
    ws_id id;
    unsigned host;
} kept;

typedef struct simulation {
    uint64_t seed;
    bool loud, traced, failed, settling, ending;
    host hosts[HOSTS];
    dialer dialers[DIALERS];
    session sessions[SESSIONS];
    unsigned session_count;
    alarm_clock alarms[TIMERS];
    kept kept[KEPT];
    struct stranger {
        int file;
        uint64_t since;
        unsigned host;
    } strangers[STRANGERS];
    uint32_t ids;
    size_t buffered;     /* limits.buffered */
    ws_deflate_config deflate;
    unsigned mischief;   /* one callback in this many acts */
    unsigned hunger;     /* one allocation in this many fails; 0: none */
    bool hungry;
    uint8_t bytes[LARGEST + 1], expected[LARGEST + 1];
    ws_limits limits;
    uint64_t messages, opens; /* totals of all runs */
} simulation;

static simulation run;

#if defined(__GNUC__)
#define SAYS __attribute__((format(printf, 1, 2)))
#else
#define SAYS
#endif

SAYS static void say(const char *format, ...) {
    va_list arguments;
    if (!run.loud)
        return;
    printf("%8llu ", (unsigned long long)(kernel.now - 1000000));
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

/* An invariant does not hold: the first failure of a run is printed, with the seed. */
SAYS static void fault(const char *format, ...) {
    char text[300];
    va_list arguments;
    if (run.failed)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say("FAULT %s", text);
    run.failed = true;
    (void)test_failure(__FILE__, __LINE__, text);
    printf("    seed=%llu replays it: %s\n", (unsigned long long)run.seed, text);
}

/* --- messages --- */

/* The text or bytes of a message follow from its id. */
static void fill(uint8_t *data, uint32_t id, uint32_t size, unsigned type) {
    static const char hex[] = "0123456789abcdef";
    uint32_t state = id * 2654435761u + 12345u, run_length = 0;
    for (uint32_t i = 0; i < size; i++) {
        if (i < 8) {
            data[i] = (uint8_t)hex[id >> (28 - 4 * i) & 15];
            continue;
        }
        if (!run_length--) {
            state = state * 1664525u + 1013904223u;
            run_length = state >> 30;
        }
        data[i] = (uint8_t)(type == WS_TEXT ? 'a' + (state >> 24) % 26 : state >> 24);
    }
}

static uint32_t id_of(const uint8_t *data) {
    uint32_t id = 0;
    for (int i = 0; i < 8; i++)
        id = id << 4 | (uint32_t)(data[i] <= '9' ? data[i] - '0' : data[i] - 'a' + 10);
    return id;
}

static uint32_t any_size(void) {
    unsigned kind = kernel_pick(100);
    unsigned most = kernel.piece < 100 ? 2000 : LARGEST - 8; /* in small pieces it would take a minute */
    return 8 + (kind < 70 ? kernel_pick(120) : kind < 98 ? kernel_pick(2000) : kernel_pick(most));
}

static item *push(side *from, uint32_t id, uint32_t size, unsigned type, int room) {
    if (from->count == from->capacity) {
        from->capacity = from->capacity ? from->capacity * 2 : 16;
        from->items = (item *)realloc(from->items, from->capacity * sizeof *from->items);
        if (!from->items)
            abort();
    }
    item *sent = &from->items[from->count++];
    memset(sent, 0, sizeof *sent);
    sent->id = id;
    sent->size = size;
    sent->type = (uint8_t)type;
    sent->room = room;
    run.messages++;
    return sent;
}

static side *other_of(side *own) { return &own->session->sides[own == &own->session->sides[0]]; }

static void check_message(side *own, const uint8_t *data, size_t size, ws_type type) {
    side *from = other_of(own);
    uint32_t id = size >= 8 ? id_of(data) : 0;
    while (from->taken < from->count) {
        const item *next = &from->items[from->taken++];
        if (next->id == id) {
            fill(run.expected, id, next->size, next->type);
            if (size != next->size || type != next->type || memcmp(data, run.expected, size) != 0)
                fault("session %u: message %u is not what was sent", own->session->token, id);
            return;
        }
        if (!next->droppable) {
            fault("session %u: message %u came, %u is missing", own->session->token, id, next->id);
            return;
        }
    }
    fault("session %u: message %u was not sent, or came twice", own->session->token, id);
}

/* The first count messages of the other side have arrived. */
static void check_complete(side *from, size_t count, const char *when) {
    for (size_t i = from->taken; i < count; i++)
        if (!from->items[i].droppable) {
            fault("session %u, %s: message %u of room %d has not come", from->session->token, when, from->items[i].id,
                  from->items[i].room);
            return;
        }
}

/* --- what a program does --- */

static void mischief(unsigned number);

static bool usable(const side *own) { return own->opened && !own->closed && own->conn; }

/* A call that failed has the right error. */
static void check_refusal(side *own, const char *call, size_t before) {
    ws_error error = ws_last_error(own->conn);
    bool full = before >= run.buffered || wsi_queue_full(&own->conn->queue, run.buffered); /* small ones cost more */
    bool good = error == WS_ERROR_BUFFERED ? full
                : error == WS_ERROR_STATE  ? ws_state(own->conn) != WS_OPEN || own->in_parts
                                           : error == WS_ERROR_MEMORY && run.hungry;
    if (!good && ws_state(own->conn) == WS_OPEN)
        fault("session %u: %s failed with %d", own->session->token, call, error);
}

static void send_whole(side *own) {
    size_t before = ws_buffered(own->conn);
    uint32_t id = ++run.ids, size = any_size();
    ws_message message;
    message.type = kernel_one_in(2) ? WS_TEXT : WS_BINARY;
    message.size = size;
    message.data = run.bytes;
    fill(run.bytes, id, size, message.type);
    if (!ws_send(own->conn, message)) {
        check_refusal(own, "ws_send", before);
        return;
    }
    if (own->in_parts || ws_buffered(own->conn) > run.buffered + RECEIVE + size + 100)
        fault("session %u: %zu bytes unsent, in parts %d", own->session->token, ws_buffered(own->conn), own->in_parts);
    say("session %u: side %d sends %u, %u bytes", own->session->token, own == &own->session->sides[1], id, size);
    (void)push(own, id, size, message.type, -1);
}

/* The next part of the message that is being sent in parts, or the first of a new one. */
static void send_part(side *own) {
    size_t before = ws_buffered(own->conn);
    item new_one, *sent = own->in_parts ? &own->items[own->count - 1] : &new_one;
    uint32_t size;
    ws_message part;
    for (size_t i = own->count; own->in_parts && i-- && own->items[i].room >= 0;)
        sent = &own->items[i - 1]; /* pending broadcasts come after it */
    if (!own->in_parts) {
        memset(&new_one, 0, sizeof new_one);
        new_one.id = ++run.ids;
        new_one.size = any_size();
        new_one.type = kernel_one_in(2) ? WS_TEXT : WS_BINARY;
        own->part_sent = 0;
    }
    size = sent->size - own->part_sent;
    size = kernel_one_in(2) ? size : kernel_pick(size + 1);
    fill(run.bytes, sent->id, sent->size, sent->type);
    part.data = run.bytes + own->part_sent;
    part.size = size;
    part.type = (ws_type)sent->type;
    if (!ws_send_part(own->conn, part, own->part_sent + size == sent->size)) {
        check_refusal(own, "ws_send_part", before);
        return;
    }
    own->part_sent += size;
    say("session %u: side %d sends a part of %u, to %u of %u", own->session->token, own == &own->session->sides[1],
        sent->id, own->part_sent, sent->size);
    bool last = own->part_sent == sent->size;
    if (!own->in_parts)
        (void)push(own, sent->id, sent->size, sent->type, -1);
    own->in_parts = !last;
}

/* A room's message is in each member's list, unless its policy dropped it. */
static void note_broadcast(host *at, int room, uint32_t id, uint32_t size, unsigned type, const side *without) {
    for (unsigned i = 0; i < run.session_count; i++) {
        side *to = &run.sessions[i].sides[1];
        if (!usable(to) || to->host != at->number || to->incarnation != at->incarnation)
            continue;
        to->dropped |= ws_state(to->conn) != WS_OPEN && !to->closing_at; /* too slow: closed with 1013 */
        if (to == without || ws_state(to->conn) != WS_OPEN || (room < ROOMS && !to->rooms[room]))
            continue;
        if (room == 4) /* only the latest must arrive */
            for (size_t j = 0; j < to->count; j++)
                to->items[j].droppable |= to->items[j].room == 4;
        push(to, id, size, type, room)->droppable = room == 2 || room == 3 || (room == 4 && run.hungry);
    }
}

static void broadcast(host *at, side *sender) {
    int room = (int)kernel_pick(ROOMS + 1);
    const char *name = room < ROOMS ? room_names[room] : NULL;
    uint32_t id = ++run.ids, size = any_size();
    bool others = sender && kernel_one_in(3), sent;
    ws_message message;
    message.type = kernel_one_in(2) ? WS_TEXT : WS_BINARY;
    message.data = run.bytes;
    message.size = size;
    fill(run.bytes, id, size, message.type);
    sent = others ? ws_broadcast_others(sender->conn, name, message)
           : sender ? ws_broadcast(sender->conn, name, message)
                    : ws_server_broadcast(at->server, name, message);
    say("host %u: broadcast %u, %u bytes, to %s: %d", at->number, id, size, name ? name : "all", sent);
    if (sent)
        note_broadcast(at, room, id, size, message.type, others ? sender : NULL);
    else if (room != 1 && !run.hungry && !(sender && ws_state(sender->conn) != WS_OPEN))
        fault("host %u: a broadcast failed", at->number);
}

static void join_or_leave(host *at, side *own) {
    unsigned room = kernel_pick(ROOMS);
    bool joins = kernel_one_in(2) || !own->rooms[room];
    if (!joins) {
        if (ws_leave(own->conn, room_names[room]) != own->rooms[room] && ws_state(own->conn) == WS_OPEN)
            fault("session %u: a member that is none", own->session->token);
        own->rooms[room] = false;
        return;
    }
    if (!ws_join(own->conn, room_names[room]))
        return;
    own->rooms[room] = true;
    if (!ws_room_slow(at->server, room_names[room], (ws_slow)room))
        fault("session %u: the room that it joined is not there", own->session->token);
}

static void close_side(side *own) {
    uint16_t code = (uint16_t)(3000 + kernel_pick(1000));
    if (kernel_one_in(6)) {
        say("session %u: side %d drops", own->session->token, own == &own->session->sides[1]);
        ws_drop(own->conn);
        own->dropped = true;
        return;
    }
    if (!ws_close(own->conn, code, "over"))
        return;
    say("session %u: side %d closes with %u", own->session->token, own == &own->session->sides[1], code);
    own->closing_at = kernel.now;
    own->close_code = code;
    own->closing_items = own->in_parts ? 0 : own->count;
    own->paused = false;
}

static void pause_or_resume(side *own) {
    if (own->paused) {
        if (!ws_resume(own->conn) && ws_state(own->conn) == WS_OPEN)
            fault("session %u: ws_resume failed", own->session->token);
        own->paused = false;
        own->resumed_at = kernel.now;
    } else if (ws_pause(own->conn)) {
        own->paused = true;
    }
    say("session %u: side %d paused: %d", own->session->token, own == &own->session->sides[1], own->paused);
}

/* --- timers and posts --- */

static void alarmed(ws_loop *loop, void *user) {
    alarm_clock *own = (alarm_clock *)user;
    host *at = &run.hosts[own->host];
    if (!own->id || loop != at->loop || ws_now(loop) < own->due || kernel.now > own->due + at->slack)
        fault("host %u: a timer for %llu fired at %llu", own->host, (unsigned long long)own->due,
              (unsigned long long)kernel.now);
    if (own->every)
        own->due = own->due + 100 > kernel.now ? own->due + 100 : kernel.now + 100;
    else
        own->id = 0;
    mischief(at->number);
}

static void set_alarm(host *at) {
    alarm_clock *own = &run.alarms[kernel_pick(TIMERS)];
    uint32_t delay = 1 + kernel_pick(3000);
    if (own->id) {
        if (own->host == at->number) {
            ws_cancel(at->loop, own->id);
            own->id = 0;
        }
        return;
    }
    own->host = at->number;
    own->every = kernel_one_in(4);
    own->due = kernel.now + (own->every ? 100 : delay);
    own->id = own->every ? ws_every(at->loop, 100, alarmed, own) : ws_after(at->loop, delay, alarmed, own);
}

static void posted(void *argument) {
    host *at = &run.hosts[(uintptr_t)argument % HOSTS];
    if ((uintptr_t)argument / HOSTS != ++at->received)
        fault("host %u: posts out of order", at->number);
    mischief(at->number);
}

static void post(host *at) {
    if (ws_post(at->loop, posted, (void *)(uintptr_t)((at->posted + 1) * HOSTS + at->number)))
        at->posted++;
}

/* --- requests --- */

static void abandoned(ws_request *request, void *user) {
    kept *own = (kept *)user;
    (void)request;
    if (!own->id)
        fault("an answered request was abandoned");
    own->id = 0;
}

static void before(ws_request *request, void *user) {
    kept *own = &run.kept[kernel_pick(KEPT)];
    if (run.settling)
        return;
    if (kernel_one_in(12)) {
        (void)ws_refuse(request, kernel_one_in(2) ? 503 : 403, NULL, "not now");
        return;
    }
    if (own->id || !kernel_one_in(6))
        return;
    own->host = ((host *)user)->number;
    own->id = ws_keep(request, abandoned, own);
}

static void answer_kept(host *at) {
    kept *own = &run.kept[kernel_pick(KEPT)];
    ws_request *request;
    if (!own->id || own->host != at->number)
        return;
    request = ws_kept(at->loop, own->id);
    if (!request)
        fault("host %u: a kept request is gone, and nobody said so", at->number);
    own->id = 0;
    if (kernel_one_in(4))
        (void)ws_refuse(request, 503, NULL, NULL);
    else
        (void)ws_accept(request, NULL);
}

/* --- callbacks --- */

static side *side_of(ws_conn *conn) {
    if (ws_conn_server(conn))
        return (side *)ws_user(conn);
    return &((dialer *)ws_user(conn))->current->sides[0];
}

static void opened(side *own, ws_conn *conn, unsigned number) {
    if (own->opened)
        fault("session %u opened twice", own->session->token);
    own->conn = conn;
    own->id = ws_conn_id(conn);
    own->host = number;
    own->incarnation = run.hosts[number].incarnation;
    own->opened = true;
    own->opened_at = kernel.now;
    run.opens++;
    say("session %u: side %d is open, compressed %d", own->session->token, own == &own->session->sides[1],
        conn->engine.deflate);
    if (ws_find(run.hosts[number].loop, own->id) != conn)
        fault("session %u: its id does not find it", own->session->token);
    while (kernel_one_in(2))
        send_whole(own);
    mischief(number);
}

static void server_open(ws_conn *conn) {
    unsigned token = (unsigned)atoi(ws_param(conn, "token"));
    host *at = (host *)ws_user(conn);
    side *own = &run.sessions[token].sides[1];
    ws_set_user(conn, own);
    opened(own, conn, at->number);
    for (int i = 0; i < 3 && usable(own); i++)
        join_or_leave(at, own);
}

static void client_open(ws_conn *conn) {
    dialer *own = (dialer *)ws_user(conn);
    own->open = true;
    opened(&own->current->sides[0], conn, own->host);
}

static void on_message(ws_conn *conn, ws_message message) {
    side *own = side_of(conn);
    say("session %u: side %d gets %.8s", own->session->token, own == &own->session->sides[1],
        (const char *)message.data);
    if (!usable(own) || own->conn != conn || own->closing_at || own->dropped || own->paused)
        fault("session %u: a message before on_open, behind a close or a pause", own->session->token);
    check_message(own, message.data, message.size, message.type);
    mischief(own->host);
}

static void on_chunk(ws_conn *conn, ws_chunk chunk) {
    side *own = side_of(conn);
    if (!usable(own) || own->closing_at || own->dropped || own->paused || chunk.first != !own->chunks) {
        fault("session %u: a chunk out of place", own->session->token);
        return;
    }
    if (!own->chunks)
        own->chunks = (uint8_t *)malloc(LARGEST);
    if (!own->chunks || own->chunked + chunk.size > LARGEST) {
        fault("session %u: chunks of more than was sent", own->session->token);
        return;
    }
    say("session %u: side %d gets a chunk of %zu bytes, first %d, last %d", own->session->token,
        own == &own->session->sides[1], chunk.size, chunk.first, chunk.last);
    memcpy(own->chunks + own->chunked, chunk.data, chunk.size);
    own->chunked += chunk.size;
    if (chunk.last) {
        check_message(own, own->chunks, own->chunked, chunk.type);
        free(own->chunks);
        own->chunks = NULL;
        own->chunked = 0;
    }
    mischief(own->host);
}

static void on_drain(ws_conn *conn) {
    side *own = side_of(conn);
    if (!usable(own))
        fault("on_drain before on_open or behind on_close");
    mischief(own->host);
}

static void on_close(ws_conn *conn, ws_close_info why) {
    side *own = side_of(conn), *from = other_of(own);
    uint16_t code = why.code;
    say("session %u: side %d is closed: %u, clean %d", own->session->token, own == &own->session->sides[1], code,
        why.clean);
    if (!usable(own))
        fault("session %u: on_close without on_open", own->session->token);
    own->closed = true;
    bool by_them = why.clean && !own->closing_at && !own->dropped && !run.hosts[own->host].stopping;
    if (by_them && from->closing_at && code == from->close_code)
        check_complete(from, from->closing_items, "closed in order");
    if (by_them && (code == WS_CLOSE_RESTART || code == WS_CLOSE_GOING_AWAY) && !from->in_parts)
        check_complete(from, from->count, "shut down");
    if (ws_conn_server(conn) == NULL) {
        dialer *dial = (dialer *)ws_user(conn);
        dial->open = false;
        dial->since = kernel.now;
        dial->conn = dial->reconnects && !own->closing_at && !own->dropped && !dial->ending ? conn : NULL;
    }
    mischief(own->host);
    own->conn = NULL;
    free(own->chunks);
    own->chunks = NULL;
}

static void client_error(ws_conn *conn) {
    dialer *own = (dialer *)ws_user(conn);
    say("dialer %d: %s", (int)(own - run.dialers), ws_last_error_text(conn));
    if (own->open)
        fault("on_error of an open connection");
    own->since = kernel.now;
    own->starved = own->first && ws_last_error(conn) == WS_ERROR_MEMORY;
    if (!own->reconnects || own->ending)
        own->conn = NULL;
    mischief(own->host);
}

/* --- hosts --- */

static void *allocate(void *user, void *block, size_t old_size, size_t new_size) {
    host *at = (host *)user;
    if (run.hungry && new_size > old_size && kernel_one_in(run.hunger))
        return NULL;
    at->memory += new_size - old_size;
    if (!new_size) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

#ifndef WS_NO_TRACE
static void trace(const ws_trace_event *event, void *user) {
    char text[200];
    ws_trace_text(event, text, sizeof text);
    say("host %u:   %s", ((host *)user)->number, text);
}

static void set_trace(ws_loop_config *config, host *at) {
    config->trace = run.traced ? trace : NULL;
    config->trace_user = at;
}
#else
static void set_trace(ws_loop_config *config, host *at) { (void)config, (void)at; }
#endif

static uint64_t read_clock(void *user) { return (void)user, kernel.now; }

static void start_loop(host *at) {
    ws_loop_config config;
    memset(&config, 0, sizeof config);
    config.allocator.resize = allocate;
    config.allocator.user = at;
    config.clock = config.wall_clock = read_clock;
    config.receive_size = RECEIVE;
    config.max_memory = 24 << 20;
    set_trace(&config, at);
    config.poller = kernel_one_in(3) ? WS_POLLER_SELECT : WS_POLLER_AUTO;
#if !defined(__linux__)
    config.poller = WS_POLLER_SELECT;
#endif
    kernel.host = at->number;
    at->incarnation++;
    at->stopping = false;
    at->posted = at->received = 0;
    at->until = kernel.now;
    at->loop = ws_loop_new(&config);
    if (!at->loop || ws_loop_error(at->loop))
        fault("host %u: no loop", at->number);
}

static void start_server(host *at) {
    ws_server_config config;
    ws_handler handler;
    char address[16];
    memset(&config, 0, sizeof config);
    memset(&handler, 0, sizeof handler);
    (void)snprintf(address, sizeof address, "10.0.0.%u", at->number);
    config.host = address;
    config.port = PORT;
    config.limits = run.limits;
    handler.on_open = server_open;
    handler.on_close = on_close;
    handler.on_drain = on_drain;
    handler.user = at;
    handler.deflate = run.deflate;
    if (kernel_one_in(3))
        handler.on_chunk = on_chunk;
    else
        handler.on_message = on_message;
    kernel.host = at->number;
    at->incarnation++;
    at->server = ws_listen(at->loop, &config);
    say("host %u listens", at->number);
    if (!at->server || !ws_route(at->server, "/ws/{token}", &handler) || !ws_before(at->server, before, at))
        fault("host %u: it cannot listen: %s", at->number, ws_loop_error_text(at->loop));
}

/* Frees a loop, and checks that nothing of it is left. */
static void free_loop(host *at) {
    ws_loop *loop = at->loop;
    kernel.host = at->number;
    say("host %u ends its loop", at->number);
    ws_loop_free(loop);
    at->loop = NULL;
    at->server = NULL;
    if (at->memory)
        fault("host %u: %zu bytes leak", at->number, at->memory);
    for (unsigned i = 0; i < run.session_count * 2; i++) {
        side *own = &run.sessions[i / 2].sides[i % 2];
        if (own->opened && own->host == at->number && !own->closed)
            fault("session %u: no on_close at the end of its loop", own->session->token);
    }
    for (int i = 0; i < KEPT; i++)
        if (run.kept[i].id && run.kept[i].host == at->number)
            fault("host %u: a kept request was forgotten", at->number);
    for (int i = 0; i < TIMERS; i++)
        if (run.alarms[i].host == at->number)
            run.alarms[i].id = 0;
    for (int i = 0; i < DIALERS; i++)
        if (run.dialers[i].host == at->number)
            run.dialers[i].conn = NULL;
}

static session *new_session(void) {
    session *new_one = run.session_count < SESSIONS ? &run.sessions[run.session_count] : NULL;
    if (!new_one)
        return NULL;
    new_one->token = run.session_count++;
    new_one->sides[0].session = new_one->sides[1].session = new_one;
    return new_one;
}

static const char *url_of(const dialer *own) {
    static char url[60];
    (void)snprintf(url, sizeof url, "ws://%s%u:%d/ws/%u", own->since % 2 ? "host" : "10.0.0.", own->server, PORT,
                   own->current->token);
    return url;
}

static bool redial(ws_conn *conn, const char **url, const char *const **headers) {
    dialer *own = (dialer *)ws_user(conn);
    session *next = new_session();
    (void)headers;
    if (own->open)
        fault("a reconnect of an open connection");
    if (!next)
        own->ending = true;
    if (own->ending)
        return false;
    own->current = next;
    own->since = kernel.now;
    own->first = own->starved = false;
    *url = url_of(own);
    return true;
}

static void dial(dialer *own) {
    ws_handler handler;
    ws_client_config config;
    session *next = run.hosts[own->host].loop && !run.hosts[own->host].stopping ? new_session() : NULL;
    if (!next)
        return;
    memset(&handler, 0, sizeof handler);
    memset(&config, 0, sizeof config);
    handler.on_open = client_open;
    handler.on_close = on_close;
    handler.on_error = client_error;
    handler.on_drain = on_drain;
    handler.user = own;
    if (kernel_one_in(3))
        handler.on_chunk = on_chunk;
    else
        handler.on_message = on_message;
    own->reconnects = !kernel_one_in(4);
    own->ending = own->starved = false;
    own->first = true;
    own->server = kernel_pick(SERVERS);
    own->current = next;
    own->since = kernel.now;
    config.reconnect_ms = own->reconnects ? 1 + kernel_pick(400) : 0;
    config.reconnect_max_ms = RECONNECT_MAX_MS;
    config.retry_after_max_ms = 1;
    config.before_reconnect = redial;
    config.connect_ms = CONNECT_MS;
    config.limits = run.limits;
    config.deflate = run.deflate;
    kernel.host = own->host;
    own->conn = ws_dial(run.hosts[own->host].loop, url_of(own), &handler, &config);
    own->id = ws_conn_id(own->conn);
    say("dialer %d dials server %u as session %u", (int)(own - run.dialers), own->server, next->token);
}

/* Does something, in a callback of this host or outside of one. */
static void act(host *at) {
    side *own = NULL;
    for (unsigned tries = 0; tries < 8 && run.session_count && !own; tries++) {
        own = &run.sessions[kernel_pick(run.session_count)].sides[at->number < SERVERS];
        own = usable(own) && own->host == at->number ? own : NULL;
    }
    bool member = own && at->number < SERVERS && at->server && own->incarnation == at->incarnation;
    unsigned what = kernel_pick(100);
    if (what < 8)
        set_alarm(at);
    else if (what < 11)
        post(at);
    else if (what < 15)
        answer_kept(at);
    else if (what < 33 && member)
        broadcast(at, kernel_one_in(3) ? NULL : own);
    else if (what < 40 && member)
        join_or_leave(at, own);
    else if (what < 44 && own)
        pause_or_resume(own);
    else if (what < 47 && own)
        close_side(own);
    else if (what < 50 && own)
        (void)ws_ping(own->conn, "ping", 4);
    else if (what < 65 && own)
        send_part(own);
    else if (own)
        send_whole(own);
}

static void mischief(unsigned number) {
    host *at = &run.hosts[number];
    ws_server *server = at->server;
    if (run.settling || run.failed || !kernel_one_in(run.mischief))
        return;
    do {
        act(at);
    } while (kernel_one_in(2));
    if (server && kernel_one_in(150)) {
        say("host %u frees its server in a callback", number);
        at->server = NULL;
        ws_server_free(server);
    }
}

/* --- invariants of time --- */

static uint64_t later(uint64_t one, uint64_t other) { return one > other ? one : other; }

/* ws.h checks what a peer has taken only when a deadline passes, and then restarts it: each may last twice as long. */
static void check_side(side *own) {
    kernel_stream *stream;
    host *at = &run.hosts[own->host];
    if (!usable(own))
        return;
    stream = kernel_stream_of(own->conn->source.link.descriptor);
    uint64_t moved = later(stream ? stream->moved_at : 0, own->opened_at);
    uint64_t slack = SLACK_MS + at->slack;
    if (own->closing_at && kernel.now > later(own->closing_at, moved) + 2 * CLOSE_MS + slack)
        fault("session %u: side %d closes for too long", own->session->token, own == &own->session->sides[1]);
    moved = later(moved, own->resumed_at);
    bool until_tcp_ends = TEST_WINDOWS && own->paused; /* Windows does not tell what the peer has taken: ws_pause */
    if (!own->closing_at && !until_tcp_ends && kernel.now > moved + 2 * PING_MS + PONG_MS + slack)
        fault("session %u: side %d is open, and the peer is gone", own->session->token,
              own == &own->session->sides[1]);
    if (ws_buffered(own->conn) > run.buffered + 3 * (LARGEST + 1000))
        fault("session %u: %zu bytes are queued", own->session->token, ws_buffered(own->conn));
}

static void check_times(void) {
    for (unsigned i = 0; i < run.session_count * 2; i++)
        check_side(&run.sessions[i / 2].sides[i % 2]);
    for (int i = 0; i < DIALERS; i++) {
        dialer *own = &run.dialers[i];
        if (own->conn && own->starved && !ws_find(run.hosts[own->host].loop, own->id))
            own->conn = NULL;
        if (own->conn && !own->open
            && kernel.now > own->since + later(CONNECT_MS + HANDSHAKE_MS, RECONNECT_MAX_MS) + SLACK_MS
                                + run.hosts[own->host].slack)
            fault("dialer %d: neither open nor failed", i);
    }
    for (int i = 0; i < STRANGERS; i++) {
        struct stranger *own = &run.strangers[i];
        kernel_stream *stream = kernel_stream_of(own->file);
        if (!stream)
            continue;
        if (stream->dead[0] || stream->to[0].ended
            || (stream->phase == KERNEL_OPEN && !stream->queued && stream->files[1] == KERNEL_NONE)) {
            (void)kernel_close(own->file);
            own->file = 0;
        } else if (kernel.now > own->since + HANDSHAKE_MS + SLACK_MS + 4000 + run.hosts[own->host].slack) {
            fault("host %u: a peer that says nothing keeps its connection", own->host);
        }
    }
    for (int i = 0; i < TIMERS; i++)
        if (run.alarms[i].id && kernel.now > run.alarms[i].due + 1 + run.hosts[run.alarms[i].host].slack)
            fault("host %u: a timer for %llu has not fired", run.alarms[i].host,
                  (unsigned long long)run.alarms[i].due);
    for (int i = 0; i < HOSTS; i++)
        if (run.hosts[i].loop && ws_loop_stats(run.hosts[i].loop).memory != run.hosts[i].memory)
            fault("host %d: memory is miscounted", i);
}

/* --- time passes --- */

/* One round of a loop. true: it had something to do. */
static bool run_host(host *at) {
    bool goes_on;
    if (!at->loop || at->frozen > kernel.now)
        return false;
    kernel.host = at->number;
    kernel.found = 1;
    goes_on = ws_run_once(at->loop, WS_OFF);
    at->until = kernel.until;
    if (goes_on)
        return kernel.found || at->until <= kernel.now;
    if (ws_loop_error(at->loop))
        fault("host %u: %s", at->number, ws_loop_error_text(at->loop));
    if (!at->stopping)
        fault("host %u: its loop has ended", at->number);
    free_loop(at);
    return true;
}

static void run_all(void) {
    bool active = true;
    for (unsigned rounds = 0; active && !run.failed; rounds++) {
        unsigned first = kernel_pick(HOSTS);
        active = false;
        for (unsigned i = 0; i < HOSTS; i++)
            active |= run_host(&run.hosts[(first + i) % HOSTS]);
        if (rounds > 20000)
            fault("the loops never come to rest");
    }
}

static void pass(uint64_t milliseconds) {
    uint64_t until = kernel.now + milliseconds, next;
    while (!run.failed) {
        run_all();
        check_times();
        next = kernel.next > kernel.now ? kernel.next : kernel.now + 1;
        for (int i = 0; i < HOSTS; i++) {
            uint64_t frozen = run.hosts[i].frozen, wakes = frozen > kernel.now ? frozen : run.hosts[i].until;
            if (run.hosts[i].loop && wakes < next)
                next = wakes > kernel.now ? wakes : kernel.now + 1;
        }
        if (next > until)
            break;
        kernel_advance(next);
    }
    if (kernel.now < until)
        kernel_advance(until);
}

/* --- accidents --- */

static void befall_host(host *at) {
    unsigned what = kernel_pick(10);
    if (!at->loop || at->stopping)
        return;
    if (what < 5) {
        uint64_t milliseconds = kernel_pick(400);
        at->frozen = kernel.now + milliseconds;
        at->slack += milliseconds;
    } else if (what < 7) {
        at->stopping = true;
        kernel.host = at->number;
        say("host %u shuts down", at->number);
        (void)ws_shutdown(at->loop, kernel_pick(1500));
    } else if (what < 8) {
        free_loop(at);
    } else if (at->server) {
        ws_server *server = at->server;
        say("host %u frees its server", at->number);
        kernel.host = at->number;
        at->server = NULL;
        ws_server_free(server);
    }
}

static void come_stranger(void) {
    struct stranger *own = &run.strangers[kernel_pick(STRANGERS)];
    struct sockaddr address;
    socklen_t size;
    if (own->file)
        return;
    kernel.host = STRANGER;
    own->host = kernel_pick(SERVERS);
    own->since = kernel.now;
    own->file = kernel_socket(0, 0, 0);
    (void)kernel_tell_address(own->host, PORT, &address, &size);
    (void)kernel_connect(own->file, &address, size);
}

static void befall(void) {
    unsigned what = kernel_pick(20);
    if (what < 4) {
        kernel_lose(kernel_pick(8), 1 + kernel_pick(3));
    } else if (what < 8) {
        unsigned one = kernel_pick(HOSTS), other = kernel_pick(HOSTS);
        uint64_t until = kernel_one_in(4) ? KERNEL_NEVER : kernel.now + kernel_pick(6000);
        say("hosts %u and %u are parted", one, other);
        kernel_part(one, other, until);
    } else if (what < 9) {
        kernel_heal();
    } else if (what < 11) {
        come_stranger();
    } else if (what < 14) {
        befall_host(&run.hosts[kernel_pick(HOSTS)]);
    }
}

static void restart(void) {
    for (int i = 0; i < HOSTS; i++) {
        host *at = &run.hosts[i];
        if (!at->loop)
            start_loop(at);
        if (i < SERVERS && !at->server && !at->stopping)
            start_server(at);
    }
}

static void redial_all(void) {
    for (int i = 0; i < DIALERS; i++)
        if (!run.dialers[i].conn)
            dial(&run.dialers[i]);
}

/* --- one run --- */

static void configure(uint64_t seed) {
    bool loud = run.loud, traced = run.traced;
    memset(&run, 0, offsetof(simulation, bytes));
    run.loud = loud;
    run.traced = traced;
    run.seed = seed;
    kernel_begin(seed);
    static const size_t pieces[] = {1, 7, 100, 1460, 1460, 16384};
    static const size_t rooms[] = {1500, 4096, 20000, 65536};
    static const int firsts[] = {3, 3, 25, 60};
    kernel.piece = pieces[kernel_pick(6)];
    kernel.send_room = rooms[kernel_pick(4)];
    kernel.receive_room = kernel.piece == 1 ? 2000 : rooms[kernel_pick(4)];
    kernel.delay = kernel_pick(3) ? kernel_pick(60) : 0;
    kernel.jitter = kernel_pick(3) ? kernel_pick(20) : 0;
    kernel.flaky = kernel_one_in(2) ? 0 : 5 + kernel_pick(100);
    kernel.forgets = kernel_one_in(2);
    kernel.first_file = firsts[kernel_pick(4)];
    run.mischief = 1 + kernel_pick(12);
    run.hunger = kernel_one_in(4) ? 20 + kernel_pick(400) : 0;
    run.buffered = 1000u << kernel_pick(8);
    run.deflate.on = !kernel_one_in(3);
    run.deflate.context = kernel_one_in(2);
    run.deflate.window_bits = (uint8_t)(kernel_one_in(2) ? 0 : 9 + kernel_pick(7));
    run.deflate.level = (int8_t)(kernel_one_in(2) ? 0 : (int)kernel_pick(11) - 1);
    run.limits.buffered = run.buffered;
    run.limits.message = LARGEST;
    run.limits.ping_ms = PING_MS;
    run.limits.pong_ms = PONG_MS;
    run.limits.close_ms = CLOSE_MS;
    run.limits.handshake_ms = HANDSHAKE_MS;
    run.limits.answer_ms = ANSWER_MS;
    say("pieces of %zu, rooms of %zu and %zu, delay %u + %u, flaky %u, buffered %zu, hunger %u, deflate %d context %d "
        "window %d level %d", kernel.piece, kernel.send_room, kernel.receive_room, (unsigned)kernel.delay,
        (unsigned)kernel.jitter, kernel.flaky, run.buffered, run.hunger, run.deflate.on, run.deflate.context,
        run.deflate.window_bits, run.deflate.level);
}

static size_t messages_taken(void) {
    size_t all = 0;
    for (unsigned i = 0; i < run.session_count * 2; i++)
        all += run.sessions[i / 2].sides[i % 2].taken;
    return all;
}

/* The network works again, everybody reads, and nobody does anything new: all that was sent arrives. */
static void settle(void) {
    run.settling = true;
    run.hungry = false;
    kernel_heal();
    pass(2000);
    restart();
    for (int i = 0; i < KEPT; i++)
        if (run.kept[i].id && run.hosts[run.kept[i].host].loop) {
            ws_id id = run.kept[i].id;
            run.kept[i].id = 0;
            (void)ws_accept(ws_kept(run.hosts[run.kept[i].host].loop, id), NULL);
        }
    for (unsigned i = 0; i < run.session_count * 2; i++) {
        side *own = &run.sessions[i / 2].sides[i % 2];
        kernel.host = own->host;
        if (usable(own) && own->paused)
            pause_or_resume(own);
        while (usable(own) && own->in_parts && ws_state(own->conn) == WS_OPEN && !run.failed) {
            size_t at = own->part_sent;
            send_part(own);
            if (own->in_parts && own->part_sent == at)
                pass(100);
        }
    }
    size_t taken;
    do { /* a network of single bytes is slow */
        taken = messages_taken();
        pass(SETTLE_MS);
    } while (messages_taken() != taken && !run.failed);
    for (unsigned i = 0; i < run.session_count && !run.failed; i++) {
        session *own = &run.sessions[i];
        if (usable(&own->sides[0]) != usable(&own->sides[1]))
            fault("session %u: one side is open, the other is not", i);
        if (!usable(&own->sides[0]) || !usable(&own->sides[1]))
            continue;
        check_complete(&own->sides[0], own->sides[0].count, "at rest");
        check_complete(&own->sides[1], own->sides[1].count, "at rest");
        if (ws_buffered(own->sides[0].conn) || ws_buffered(own->sides[1].conn))
            fault("session %u: bytes are queued, and nothing moves", i);
    }
    for (int i = 0; i < DIALERS; i++)
        if (run.dialers[i].conn && !run.dialers[i].open)
            fault("dialer %d has not come back", i);
}

static void end_run(void) {
    for (int i = 0; i < STRANGERS; i++)
        if (run.strangers[i].file)
            (void)kernel_close(run.strangers[i].file);
    for (int i = 0; i < HOSTS; i++)
        if (run.hosts[i].loop)
            free_loop(&run.hosts[i]);
    for (unsigned i = 0; i < run.session_count * 2; i++) {
        free(run.sessions[i / 2].sides[i % 2].items);
        free(run.sessions[i / 2].sides[i % 2].chunks);
    }
    int open = kernel_end();
    if (open)
        fault("%d descriptors leak", open);
}

static bool simulate(uint64_t seed) {
    unsigned steps;
    configure(seed);
    steps = 4 + kernel_pick(24);
    for (unsigned i = 0; i < HOSTS; i++)
        run.hosts[i].number = i;
    restart();
    for (unsigned i = 0; i < DIALERS; i++)
        run.dialers[i].host = SERVERS + i % CLIENTS;
    run.hungry = run.hunger != 0;
    while (steps-- && !run.failed) {
        redial_all();
        for (unsigned acts = kernel_pick(12); acts--;) {
            host *at = &run.hosts[kernel_pick(HOSTS)];
            kernel.host = at->number;
            if (at->loop && !at->stopping)
                act(at);
        }
        befall();
        pass(kernel_one_in(4) ? kernel_pick(2000) : kernel_pick(100));
        if (kernel_one_in(3)) {
            bool hungry = run.hungry;
            run.hungry = false;
            restart();
            run.hungry = hungry;
        }
    }
    settle();
    end_run();
    return !run.failed;
}

/* In 704269 a peer that was gone was kept: a broadcast was queued while its socket was writable. */
static void test_seeds_that_failed(void) {
    static const uint64_t seeds[] = {60405, 101919, 175613, 357750, 704269, 753372};
    if (!test_begin("seeds that failed once"))
        return;
    for (size_t i = 0; i < COUNT(seeds); i++)
        CHECK(simulate(seeds[i]));
}

/* Both sides pause, and the cable is cut: nothing acknowledges their pings. */
static void test_paused_and_gone(void) {
    if (!test_begin("paused connections whose peer is gone are dropped")
        || !test_posix("a system that tells what the peer has taken"))
        return;
    configure(1);
    kernel.flaky = 0;
    run.settling = true;
    for (unsigned i = 0; i < HOSTS; i++)
        run.hosts[i].number = i;
    restart();
    run.dialers[0].host = SERVERS;
    dial(&run.dialers[0]);
    pass(1000);
    side *sides = run.sessions[0].sides;
    CHECK(usable(&sides[0]) && usable(&sides[1]));
    pause_or_resume(&sides[0]);
    pause_or_resume(&sides[1]);
    pass(10 * PING_MS);
    CHECK(usable(&sides[0]) && usable(&sides[1]));
    kernel_part(SERVERS, run.dialers[0].server, KERNEL_NEVER);
    pass(2 * PING_MS + PONG_MS + SLACK_MS);
    CHECK(sides[0].closed && sides[1].closed);
    end_run();
}

static uint64_t argument(int argc, char **argv, const char *name, uint64_t otherwise) {
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, strlen(name)) == 0)
            return strtoull(argv[i] + strlen(name), NULL, 10);
    return otherwise;
}

#ifdef __OPTIMIZE__
enum { RUNS = TEST_WINDOWS ? 2000 : 10000 };
#else
enum { RUNS = 300 };
#endif

int main(int argc, char **argv) {
    uint64_t seed = argument(argc, argv, "seed=", 0), from = argument(argc, argv, "from=", seed ? seed : 1);
    uint64_t runs = argument(argc, argv, "runs=", seed ? 1 : test_quick() ? 300u : (unsigned)RUNS), failed = 0, i;
    test_start(1, argv);
    (void)test_begin("%llu runs from seed %llu on", (unsigned long long)runs, (unsigned long long)from);
    run.loud = seed != 0;
    run.traced = argument(argc, argv, "trace=", 0) != 0;
    for (i = 0; i < runs; i++)
        failed += !simulate(from + i);
    CHECK_EQ(failed, 0);
    CHECK(runs < 100 || (run.opens > runs && run.messages > runs)); /* else nothing was tested */
    if (!seed) {
        test_seeds_that_failed();
        test_paused_and_gone();
    }
    return test_finish();
}
