/* Our client speaks what these servers speak. The last line counts.

       peers mqtt|socket.io|graphql|ocpp|devtools URL [another URL]
*/
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include <stdio.h>

enum { LARGE = 200000 };

static const char *name;
static ws_client_config config = {.deflate = {.on = true}};
static int passed, failed;

static bool expect(ws_conn *conn, const char *what, bool good) {
    if (good)
        passed++;
    else
        failed++;
    if (good)
        printf("ok      %s: %s\n", name, what);
    else
        printf("FAILED  %s: %s: %s\n", name, what, conn ? ws_last_error_text(conn) : "");
    fflush(stdout);
    return good;
}

static ws_conn *connect_to(const char *url, const char *subprotocol) {
    ws_conn *conn;
    config.subprotocols = subprotocol;
    conn = ws_connect(url, &config);
    expect(conn, "connect", ws_state(conn) == WS_OPEN);
    if (subprotocol)
        expect(conn, "the subprotocol", strcmp(ws_subprotocol(conn), subprotocol) == 0);
    return conn;
}

static void end(ws_conn *conn) {
    ws_close(conn, WS_CLOSE_NORMAL, NULL);
    expect(conn, "a clean end", ws_closed(conn).clean);
    ws_free(conn);
}

static void ended(ws_conn *conn, const char *what, uint16_t code) {
    ws_message message;
    while (ws_receive(conn, &message))
        ;
    expect(conn, what, ws_closed(conn).clean && ws_closed(conn).code == code);
    ws_free(conn);
}

/* --- MQTT 3.1.1: packets in binary messages, which need not begin or end where packets do (6) ------------------ */

enum { CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x30, PUBACK = 0x40, SUBSCRIBE = 0x82, SUBACK = 0x90,
       PINGREQ = 0xc0, PINGRESP = 0xd0, DISCONNECT = 0xe0, QOS_1 = 2 };

static uint8_t received[2 * LARGE + 1000]; /* a packet, and perhaps some of the next */
static size_t received_size, packet_size;

/* The size of a packet's fixed header (2.2); *rest: how much follows it. 0: it has not come yet. */
static size_t mqtt_header(size_t *rest) {
    size_t shift = 0;
    *rest = 0;
    for (size_t i = 1; i < received_size && i < 5; i++, shift += 7) {
        *rest |= (size_t)(received[i] & 0x7f) << shift;
        if (received[i] < 0x80)
            return i + 1;
    }
    return 0;
}

/* Waits for the next packet; its first byte, and what stands behind its header. 0: none came. */
static uint8_t mqtt_receive(ws_conn *conn, ws_span *body) {
    ws_message message;
    size_t rest, header;
    received_size -= packet_size;
    memmove(received, received + packet_size, received_size);
    packet_size = 0;
    while (!(header = mqtt_header(&rest)) || received_size < header + rest) {
        if (!ws_receive(conn, &message) || message.type != WS_BINARY
            || message.size > sizeof received - received_size)
            return 0;
        memcpy(received + received_size, message.data, message.size);
        received_size += message.size;
    }
    packet_size = header + rest;
    body->data = received + header;
    body->size = rest;
    return received[0];
}

static bool mqtt_send(ws_conn *conn, uint8_t first, const void *body, size_t size) {
    static uint8_t packet[LARGE + 1000];
    size_t filled = 0;
    packet[filled++] = first;
    for (size_t rest = size; rest || filled == 1; rest >>= 7)
        packet[filled++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    if (size)
        memcpy(packet + filled, body, size);
    return ws_send_binary(conn, packet, filled + size);
}

static bool mqtt_answers(ws_conn *conn, uint8_t first, const char *bytes, size_t size) {
    ws_span body = {NULL, 0};
    return mqtt_receive(conn, &body) == first && body.size == size && memcmp(body.data, bytes, size) == 0;
}

/* At QoS 1: it comes back, for we have subscribed (at QoS 0), and is acknowledged, in any order. */
static bool mqtt_publish(ws_conn *conn, size_t payload) {
    static uint8_t body[LARGE + 5];
    bool back = false, acknowledged = false;
    memcpy(body, "\0\3a/b\0\7", 7);
    for (size_t i = 0; i < payload; i++)
        body[7 + i] = (uint8_t)(i * 31 + i / 256);
    if (!mqtt_send(conn, PUBLISH | QOS_1, body, 7 + payload))
        return false;
    for (int i = 0; i < 2; i++) {
        ws_span got = {NULL, 0};
        uint8_t first = mqtt_receive(conn, &got);
        if (first == PUBLISH && got.size == 5 + payload)
            back = memcmp(got.data, body, 5) == 0 && memcmp(got.data + 5, body + 7, payload) == 0;
        if (first == PUBACK && got.size == 2)
            acknowledged = memcmp(got.data, "\0\7", 2) == 0;
    }
    return back && acknowledged;
}

static void mqtt(const char *url) {
    ws_conn *conn = connect_to(url, "mqtt");
    ws_span body = {NULL, 0};
    mqtt_send(conn, CONNECT, "\0\4MQTT\4\2\0\74\0\4ws.h", 16);
    expect(conn, "CONNECT is acknowledged", mqtt_answers(conn, CONNACK, "\0\0", 2));
    mqtt_send(conn, SUBSCRIBE, "\0\1\0\3a/+\0", 8);
    expect(conn, "SUBSCRIBE is acknowledged", mqtt_answers(conn, SUBACK, "\0\1\0", 3));
    expect(conn, "PUBLISH comes back", mqtt_publish(conn, 20));
    expect(conn, "without a payload", mqtt_publish(conn, 0));
    expect(conn, "with 190,000 bytes", mqtt_publish(conn, 190000));
    mqtt_send(conn, PINGREQ, NULL, 0);
    expect(conn, "PINGREQ", mqtt_answers(conn, PINGRESP, "", 0));
    ws_send_binary(conn, "\xc0", 1);
    ws_send_binary(conn, "\0\xc0\0", 3);
    expect(conn, "packets across messages",
           mqtt_answers(conn, PINGRESP, "", 0) && mqtt_answers(conn, PINGRESP, "", 0));
    end(conn);
    conn = connect_to(url, "mqtt");
    mqtt_send(conn, CONNECT, "\0\4MQTT\4\2\0\74\0\4ws.h", 16);
    expect(conn, "once more", mqtt_answers(conn, CONNACK, "\0\0", 2));
    mqtt_send(conn, DISCONNECT, NULL, 0);
    expect(conn, "DISCONNECT ends it", !mqtt_receive(conn, &body) && ws_state(conn) == WS_CLOSED);
    ws_free(conn);
}

/* --- texts ------------------------------------------------------------------------------------------------------ */

static ws_message heard; /* what came last */

static bool hears(ws_conn *conn, const char *beginning) {
    return ws_receive(conn, &heard) && heard.type == WS_TEXT
        && strncmp((const char *)heard.data, beginning, strlen(beginning)) == 0;
}

/* Of JSON that came last; behind a number of digits, where socket.io puts them. */
static ws_json part(size_t skipped, const char *path) {
    ws_message json = {heard.data + skipped, heard.size - skipped, WS_TEXT};
    return ws_json_find(json, path);
}

static bool part_is(size_t skipped, const char *path, const char *text) {
    return ws_json_is(part(skipped, path), text);
}

static bool part_counts(size_t skipped, const char *path, int64_t wanted) {
    int64_t integer = 0;
    return ws_json_as_integer(part(skipped, path), &integer) && integer == wanted;
}

/* --- socket.io 4: packets of Engine.IO 4 (first digit), in them those of Socket.IO 5 (second digit) ------------- */

static void socket_io(const char *url) {
    ws_conn *conn = connect_to(url, NULL);
    static uint8_t bytes[3000];
    bool pinged = false;
    expect(conn, "Engine.IO's handshake", hears(conn, "0{") && part(1, "sid").type == WS_JSON_STRING);
    ws_send_text(conn, "40");
    expect(conn, "into the namespace /", hears(conn, "40{") && part(2, "sid").type == WS_JSON_STRING);
    ws_send_text(conn, "4217[\"double\",21]");
    expect(conn, "an event with acknowledgement", hears(conn, "4317[") && part_counts(4, "[0]", 42));
    ws_send_text(conn, "42[\"ask me\"]");
    expect(conn, "an event from there that wants one", hears(conn, "420[") && part_is(3, "[0]", "your name?"));
    ws_send_text(conn, "430[\"ws.h \\u20ac\"]");
    expect(conn, "arrives as it should", hears(conn, "42[") && part_is(2, "[1]", "hello ws.h \342\202\254"));
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    ws_send_text(conn, "451-[\"turn around\",{\"_placeholder\":true,\"num\":0}]");
    ws_send_binary(conn, bytes, sizeof bytes);
    expect(conn, "a binary event", hears(conn, "451-[\"turned\""));
    expect(conn, "and its attachment", ws_receive(conn, &heard) && heard.type == WS_BINARY
           && heard.size == sizeof bytes && heard.data[0] == bytes[sizeof bytes - 1] && heard.data[2999] == bytes[0]);
    ws_send_text(conn, "40/second,{\"token\":\"secret\"}");
    expect(conn, "into another namespace", hears(conn, "40/second,{"));
    ws_send_text(conn, "40/nowhere,");
    expect(conn, "one that is not there", hears(conn, "44/nowhere,{"));
    for (int i = 0; i < 3; i++) {
        pinged = hears(conn, "2") && heard.size == 1;
        ws_send_text(conn, "3");
    }
    expect(conn, "Engine.IO's pings", pinged);
    ws_send_text(conn, "42[\"close me\"]");
    expect(conn, "the server disconnects", hears(conn, "41"));
    ended(conn, "and closes", WS_CLOSE_NONE);
}

/* --- graphql-transport-ws --------------------------------------------------------------------------------------- */

static void graphql_operations(ws_conn *conn) {
    ws_send_text(conn, "{\"type\":\"connection_init\",\"payload\":{\"user\":\"ann\"}}");
    expect(conn, "connection_init", hears(conn, "{") && part_is(0, "type", "connection_ack"));
    ws_send_json(conn, "{'id':'q','type':'subscribe','payload':{'query':%s}}", "{ hello }");
    expect(conn, "a query's next", hears(conn, "{") && part_is(0, "type", "next") && part_is(0, "id", "q")
           && part_is(0, "payload.data.hello", "hello ann"));
    expect(conn, "and complete", hears(conn, "{") && part_is(0, "type", "complete") && part_is(0, "id", "q"));
    ws_send_json(conn, "{'id':'s','type':'subscribe','payload':{'query':%s,'variables':{'to':%d}}}",
                 "subscription($to: Int!) { count(to: $to) }", 300);
    for (int i = 1; i <= 300; i++)
        if (!(hears(conn, "{") && part_is(0, "type", "next") && part_counts(0, "payload.data.count", i))) {
            expect(conn, "a subscription's next", false);
            return;
        }
    expect(conn, "a subscription's 300 next", true);
    expect(conn, "and its complete", hears(conn, "{") && part_is(0, "type", "complete") && part_is(0, "id", "s"));
    ws_send_json(conn, "{'id':'e','type':'subscribe','payload':{'query':%s}}", "{ nothing }");
    expect(conn, "a bad query's error", hears(conn, "{") && part_is(0, "type", "error")
           && part(0, "payload[0].message").type == WS_JSON_STRING);
    ws_send_text(conn, "{\"type\":\"ping\"}");
    expect(conn, "ping", hears(conn, "{") && part_is(0, "type", "pong"));
    ws_send_json(conn, "{'id':'w','type':'subscribe','payload':{'query':%s}}", "subscription { wait }");
    ws_send_text(conn, "{\"id\":\"w\",\"type\":\"complete\"}");
    ws_send_text(conn, "{\"type\":\"ping\"}");
    expect(conn, "a subscription that we end says nothing more", hears(conn, "{") && part_is(0, "type", "pong"));
}

static void graphql(const char *url) {
    static const char protocol[] = "graphql-transport-ws";
    ws_conn *conn = connect_to(url, protocol);
    graphql_operations(conn);
    end(conn);
    conn = connect_to(url, protocol);
    ws_send_text(conn, "{\"type\":\"nonsense\"}");
    ended(conn, "a bad message is closed with 4400", 4400);
    conn = connect_to(url, protocol);
    ws_send_json(conn, "{'id':'q','type':'subscribe','payload':{'query':%s}}", "{ hello }");
    ended(conn, "subscribe without connection_init with 4401", 4401);
    conn = connect_to(url, protocol);
    ended(conn, "and silence with 4408", 4408);
}

/* --- OCPP-J 1.6: [2,id,action,{}] calls, [3,id,{}] answers, [4,id,code,text,{}] refuses ------------------------- */

static void ocpp(const char *url, const char *strangers) {
    ws_conn *conn = connect_to(url, "ocpp1.6");
    char id[100];
    ws_send_json(conn, "[2,'b1','BootNotification',{'chargePointVendor':%s,'chargePointModel':'ws.h'}]",
                 "Vend\303\266r");
    expect(conn, "BootNotification", hears(conn, "[3,") && part_is(0, "[1]", "b1")
           && part_is(0, "[2].status", "Accepted") && part_counts(0, "[2].interval", 300));
    expect(conn, "the server calls", hears(conn, "[2,") && part_is(0, "[2]", "GetConfiguration")
           && part_is(0, "[3].key[0]", "HeartbeatInterval") && ws_json_text(heard, "[1]", id, sizeof id));
    ws_send_json(conn, "[3,%s,{'configurationKey':[{'key':'HeartbeatInterval','readonly':true,'value':'7'}]}]", id);
    expect(conn, "and takes the answer", hears(conn, "[2,") && part_is(0, "[2]", "DataTransfer")
           && part_is(0, "[3].data", "7") && ws_json_text(heard, "[1]", id, sizeof id));
    ws_send_json(conn, "[4,%s,'NotSupported','not here',{}]", id);
    ws_send_text(conn, "[2,\"b2\",\"BootNotification\",{}]");
    expect(conn, "a call that lacks something is refused", hears(conn, "[4,") && part_is(0, "[1]", "b2")
           && part(0, "[2]").type == WS_JSON_STRING);
    ws_send_text(conn, "[2,\"h\",\"Heartbeat\",{}]");
    expect(conn, "Heartbeat", hears(conn, "[3,") && part(0, "[2].currentTime").type == WS_JSON_STRING);
    end(conn);
    conn = ws_connect(strangers, &config);
    expect(conn, "a charge point that is not known is refused",
           ws_last_error(conn) == WS_ERROR_REFUSED && ws_status(conn) == 404);
    ws_free(conn);
}

/* --- Chromium's DevTools ----------------------------------------------------------------------------------------- */

/* Passes by events until the answer to this call. */
static bool answered(ws_conn *conn, int64_t id) {
    while (hears(conn, "{"))
        if (part_counts(0, "id", id))
            return part(0, "result").type == WS_JSON_OBJECT;
    return false;
}

static bool happens(ws_conn *conn, const char *event) {
    while (hears(conn, "{"))
        if (part_is(0, "method", event))
            return true;
    return false;
}

/* How deep the elements of the page stand in each other: each takes two levels of the answer. */
static int nested(ws_conn *conn, int64_t id) {
    uint64_t nesting[15];
    ws_json answer = {NULL, 0, WS_JSON_ABSENT, NULL}, node, child = answer;
    int64_t got = 0;
    int count = 0;
    while (!ws_json_as_integer(ws_json_get(answer, "id"), &got) || got != id) {
        if (!hears(conn, "{"))
            return 0;
        answer = ws_json_parse_deep(heard.data, heard.size, nesting, 15);
    }
    for (node = ws_json_get(answer, "result.root"); node.type == WS_JSON_OBJECT; count++) {
        ws_json children = ws_json_member(node, "children");
        for (node.type = WS_JSON_ABSENT; ws_json_next(children, NULL, &child);)
            node = child; /* the last */
    }
    return count;
}

static void devtools(const char *url, const char *page) {
    ws_conn *conn = connect_to(url, NULL);
    char target[100], session[100];
    ws_send_json(conn, "{'id':1,'method':'Target.createTarget','params':{'url':'about:blank'}}");
    expect(conn, "a tab", answered(conn, 1) && ws_json_text(heard, "result.targetId", target, sizeof target));
    ws_send_json(conn, "{'id':2,'method':'Target.attachToTarget','params':{'targetId':%s,'flatten':true}}", target);
    expect(conn, "attached", answered(conn, 2) && ws_json_text(heard, "result.sessionId", session, sizeof session));
    ws_send_json(conn, "{'id':3,'method':'Page.enable','sessionId':%s}", session);
    expect(conn, "its events", answered(conn, 3));
    ws_send_json(conn, "{'id':4,'method':'Page.navigate','params':{'url':%s},'sessionId':%s}", page, session);
    expect(conn, "navigate", answered(conn, 4) && part(0, "result.errorText").type == WS_JSON_ABSENT);
    expect(conn, "the page is loaded", happens(conn, "Page.loadEventFired"));
    ws_send_json(conn, "{'id':5,'method':'Runtime.evaluate','params':{'expression':'document.title'},'sessionId':%s}",
                 session);
    expect(conn, "its title", answered(conn, 5) && part_is(0, "result.result.value", "Our page \342\202\254"));
    ws_send_json(conn, "{'id':6,'method':'Runtime.evaluate','params':{'expression':%s},'sessionId':%s}",
                 "'y'.repeat(3000000)", session);
    expect(conn, "an answer of 3 MB", answered(conn, 6) && ws_json_find(heard, "result.result.value").size == 3000002);
    ws_send_json(conn, "{'id':7,'method':'DOM.getDocument','params':{'depth':-1},'sessionId':%s}", session);
    expect(conn, "its 120 elements in each other, in JSON of 250 levels", nested(conn, 7) == 3 + 120 + 1);
    ws_send_json(conn, "{'id':8,'method':'Browser.close'}");
    expect(conn, "the browser ends", answered(conn, 8));
    while (ws_receive(conn, &heard))
        ;
    ws_free(conn);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    name = argv[1];
    config.receive_ms = 20000;
    config.limits.message = 64 << 20;
    if (strcmp(name, "mqtt") == 0)
        mqtt(argv[2]);
    else if (strcmp(name, "socket.io") == 0)
        socket_io(argv[2]);
    else if (strcmp(name, "graphql") == 0)
        graphql(argv[2]);
    else if (strcmp(name, "ocpp") == 0 && argc > 3)
        ocpp(argv[2], argv[3]);
    else if (strcmp(name, "devtools") == 0 && argc > 3)
        devtools(argv[2], argv[3]);
    else
        return 2;
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
