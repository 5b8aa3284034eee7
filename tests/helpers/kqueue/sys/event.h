/*
   What ws.h uses of kqueue(2), on top of epoll(7), so that Linux can test the poller of BSD and macOS:
   -Itests/helpers/kqueue -DWSI_KQUEUE. As with kqueue, readable and writable are separate events; EV_ADD of a filter
   that exists replaces its udata; EV_DELETE of one that does not exist fails with ENOENT; closing a descriptor removes
   its filters; EV_EOF comes for each filter.
*/
#ifndef KQUEUE_SYS_EVENT_H
#define KQUEUE_SYS_EVENT_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_EOF 0x8000

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned int fflags;
    intptr_t data;
    void *udata;
};

#define EV_SET(event, a, b, c, d, e, f) \
    do { \
        (event)->ident = (a); \
        (event)->filter = (short)(b); \
        (event)->flags = (unsigned short)(c); \
        (event)->fflags = (d); \
        (event)->data = (e); \
        (event)->udata = (f); \
    } while (0)

typedef struct kqueue_note { /* the filters of one descriptor */
    uint32_t wanted;         /* EPOLLIN, EPOLLOUT */
    void *read, *write;      /* udata */
} kqueue_note;

typedef struct kqueue_table { /* the filters of one kqueue, by descriptor */
    kqueue_note *notes;
    size_t count;
} kqueue_table;

enum { KQUEUE_MOST = 8192, KQUEUE_IDENTS = 1 << 16, KQUEUE_EVENTS = 64 };

static kqueue_table kqueue_tables[KQUEUE_MOST]; /* indexed by the kqueue's descriptor, and reused with it */

static inline int kqueue_fail(int error) {
    errno = error;
    return -1;
}

static inline int kqueue(void) {
    int descriptor = epoll_create1(0);
    if (descriptor >= KQUEUE_MOST)
        abort();
    if (descriptor >= 0 && kqueue_tables[descriptor].count)
        memset(kqueue_tables[descriptor].notes, 0, kqueue_tables[descriptor].count * sizeof(kqueue_note));
    return descriptor;
}

static inline kqueue_note *kqueue_find(int descriptor, size_t ident) {
    kqueue_table *table = &kqueue_tables[descriptor];
    if (ident >= table->count) {
        size_t count = ident + 64;
        table->notes = (kqueue_note *)realloc(table->notes, count * sizeof *table->notes);
        if (!table->notes)
            abort();
        memset(table->notes + table->count, 0, (count - table->count) * sizeof *table->notes);
        table->count = count;
    }
    return &table->notes[ident];
}

static inline int kqueue_control(int descriptor, int operation, size_t ident, uint32_t wanted) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = wanted;
    event.data.u64 = ident;
    return epoll_ctl(descriptor, operation, (int)ident, &event);
}

static inline int kqueue_change(int descriptor, const struct kevent *change) {
    uint32_t bit = change->filter == EVFILT_READ ? (uint32_t)EPOLLIN : (uint32_t)EPOLLOUT, wanted;
    kqueue_note *note;
    if (change->ident >= KQUEUE_IDENTS)
        return kqueue_fail(EBADF);
    note = kqueue_find(descriptor, (size_t)change->ident);
    if (note->wanted && kqueue_control(descriptor, EPOLL_CTL_MOD, change->ident, note->wanted) != 0)
        note->wanted = 0; /* the descriptor was closed */
    if (change->flags & EV_DELETE && !(note->wanted & bit))
        return kqueue_fail(ENOENT);
    wanted = change->flags & EV_DELETE ? note->wanted & ~bit : note->wanted | bit;
    if (kqueue_control(descriptor, !note->wanted ? EPOLL_CTL_ADD : wanted ? EPOLL_CTL_MOD : EPOLL_CTL_DEL,
                       change->ident, wanted) != 0)
        return kqueue_fail(errno == EPERM ? EINVAL : errno);
    note->wanted = wanted;
    *(bit == (uint32_t)EPOLLIN ? &note->read : &note->write) = change->udata;
    return 0;
}

static inline void kqueue_tell(struct kevent *event, size_t ident, short filter, uint32_t bits, void *udata) {
    memset(event, 0, sizeof *event);
    event->ident = ident;
    event->filter = filter;
    event->flags = bits & (uint32_t)(EPOLLHUP | EPOLLERR) ? EV_EOF : 0;
    event->udata = udata;
}

static inline int kqueue_fetch(int descriptor, struct kevent *events, int most, const struct timespec *timeout) {
    struct epoll_event found[KQUEUE_EVENTS];
    int pause = timeout ? (int)(timeout->tv_sec * 1000 + timeout->tv_nsec / 1000000) : -1;
    int i, told = 0, count = epoll_wait(descriptor, found, most / 2 > KQUEUE_EVENTS ? KQUEUE_EVENTS : most / 2, pause);
    for (i = 0; i < count; i++) {
        size_t ident = (size_t)found[i].data.u64;
        const kqueue_note *note = kqueue_find(descriptor, ident);
        uint32_t bits = found[i].events;
        if (note->wanted & EPOLLOUT && bits & ~(uint32_t)EPOLLIN)
            kqueue_tell(&events[told++], ident, EVFILT_WRITE, bits, note->write);
        if (note->wanted & EPOLLIN && bits & ~(uint32_t)EPOLLOUT)
            kqueue_tell(&events[told++], ident, EVFILT_READ, bits, note->read);
    }
    return count < 0 ? -1 : told;
}

/* Takes changes or returns events, not both in one call. If a change fails, the call fails. */
static inline int kevent(int descriptor, const struct kevent *changes, int change_count, struct kevent *events,
                         int most, const struct timespec *timeout) {
    int i, result = 0;
    if (change_count && most)
        abort();
    for (i = 0; result == 0 && i < change_count; i++)
        result = kqueue_change(descriptor, &changes[i]);
    return most ? kqueue_fetch(descriptor, events, most, timeout) : result;
}

#endif
