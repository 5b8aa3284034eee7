/* Included before an example: every second ws_post of it fails, as if the system were short of something. */
#define WS_IMPLEMENTATION
#include "../../../ws.h"

static bool short_post(ws_loop *loop, void (*function)(void *user), void *user) {
    static int posts;
    return posts++ % 2 && ws_post(loop, function, user);
}

#define ws_post short_post
