/* What the tests of ENGINE and PIPE share, beside drive.h. */
#ifndef ENGINE_H
#define ENGINE_H

#include "drive.h"

static const ws_role roles[] = {WS_ROLE_SERVER, WS_ROLE_CLIENT};
static const char *const role_names[] = {"server", "client"};

static inline ws_message message_of(const void *data, size_t size, ws_type type) {
    ws_message message;
    message.data = (const uint8_t *)data;
    message.size = size;
    message.type = type;
    return message;
}

static inline void check_closed(drive *d, const char *letters, uint16_t code, ws_error error) {
    CHECK(drive_logged(d, letters));
    CHECK_EQ(d->close_code, code);
    CHECK_EQ(ws_engine_error(&d->engine), error);
    CHECK_EQ(ws_engine_state(&d->engine), WS_CLOSED);
    CHECK_EQ(ws_engine_input(&d->engine).size, 0);
}

static inline bool out_starts(const drive *d, const char *text) {
    return d->out.size >= strlen(text) && memcmp(d->out.data, text, strlen(text)) == 0;
}

#endif
