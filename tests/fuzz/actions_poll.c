/*
 * actions_poll.c - waiting for descriptors
 *
 * Time-outs are 0, never, or refused: nothing here waits for a clock.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "actions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define POLL_MAX     6u
#define EVENTS_MAX   16u

static void watch(struct builder *b, int64_t fd)
{
    touch_looks(&b->made.touch, build_description(b, fd));
}

/* All numbers of the process, and all bits. */
void action_look(struct builder *b)
{
    const struct process *process = &b->model->processes[b->process];
    struct pollfd *fds = build_struct(b, MODEL_NUMBERS * sizeof(*fds));
    uint32_t count = 0;

    BUILD_BEGIN(b, poll);
    build_say(b, "[");
    for (uint32_t i = 3; i < MODEL_NUMBERS; i++) {
        if (process->numbers[i] == 0)
            continue;
        fds[count] = (struct pollfd){ .fd = (int)i, .events = -1 };
        build_say(b, "%s{fd=%u, events=-1}", count ? ", " : "", i);
        count++;
    }
    build_say(b, "]");
    build_pointer(b, fds);
    build_argument(b, count);
    build_argument(b, 0);
    build_out(b, OUT_FIXED, "fds", fds, count * (uint32_t)sizeof(*fds));
}

void action_poll(struct builder *b)
{
    static const int16_t events[] = { POLLIN,
                                      POLLOUT,
                                      POLLIN | POLLOUT,
                                      -1,
                                      POLLIN,
                                      0,
                                      POLLPRI | POLLRDHUP,
                                      POLLRDNORM | POLLIN,
                                      POLLHUP,
                                      POLLERR,
                                      POLLWRBAND | POLLWRNORM | POLLOUT };
    struct pollfd *fds = build_struct(b, POLL_MAX * sizeof(*fds));
    uint32_t count = build_below(b, POLL_MAX);
    bool timed = build_below(b, 4) == 0;
    bool waits = build_below(b, 256) < b->blocking;

    if (timed)
        BUILD_BEGIN(b, ppoll);
    else
        BUILD_BEGIN(b, poll);
    if (build_odd(b) && build_below(b, 8) == 0) {
        build_named(b, 0, "NULL");
    } else {
        build_say(b, "[");
        for (uint32_t i = 0; i < count; i++) {
            fds[i].fd = (int)build_fd(b, KIND_ALL);
            fds[i].events = events[build_below(b, COUNT(events))];
            watch(b, fds[i].fd);
            build_say(b, "%s{fd=%d, events=%d}", i ? ", " : "", fds[i].fd, fds[i].events);
        }
        build_say(b, "]");
        build_pointer(b, fds);
        build_out(b, OUT_FIXED, "fds", fds, count * (uint32_t)sizeof(*fds));
    }
    build_argument(b, count);
    b->made.waits = waits;
    if (!timed) {
        build_argument(b, waits ? -1 : 0);
        return;
    }
    if (waits) {
        build_named(b, 0, "NULL");
    } else {
        int64_t *time = build_struct(b, 16);

        time[1] = build_odd(b) ? (build_below(b, 2) ? -1 : 1000000000) : 0;
        build_say(b, ", {tv_sec=0, tv_nsec=%lld}", (long long)time[1]);
        build_pointer(b, time);
    }
    build_named(b, 0, "NULL");
}

static void set_argument(struct builder *b, bool empty)
{
    fd_set *set = build_struct(b, sizeof(*set));
    uint32_t said = 0;
    uint32_t count = empty ? 0 : build_below(b, 4);

    if (count == 0) {
        build_named(b, 0, "NULL");
        return;
    }
    build_say(b, ", [");
    for (uint32_t i = 0; i < count; i++) {
        int64_t fd = build_fd(b, KIND_ALL);

        if (fd < 0 || fd >= MODEL_NUMBERS)
            continue;
        if (fd == CLOSED_NUMBER && !build_odd(b))
            continue;
        FD_SET((int)fd, set);
        watch(b, fd);
        build_say(b, "%s%lld", said++ ? ", " : "", (long long)fd);
    }
    build_say(b, "]");
    build_pointer(b, set);
    build_out(b, OUT_FIXED, "set", set, MODEL_NUMBERS / 8);
}

void action_select(struct builder *b)
{
    bool timed = build_below(b, 4) == 0;
    bool waits = build_below(b, 256) < b->blocking;
    int64_t *time = build_struct(b, 16);

    if (timed)
        BUILD_BEGIN(b, pselect);
    else
        BUILD_BEGIN(b, select);
    build_argument(b, build_odd(b) ? (build_below(b, 2) ? -1 : 5) : MODEL_NUMBERS);
    set_argument(b, false);
    set_argument(b, false);
    set_argument(b, build_below(b, 2));
    b->made.waits = waits;
    if (waits) {
        build_named(b, 0, "NULL");
    } else {
        time[1] = build_odd(b) && timed ? (build_below(b, 2) ? -1 : 1000000000) : 0;
        time[0] = build_odd(b) ? -1 : 0;
        build_say(b, ", {tv_sec=%lld, %s=%lld}", (long long)time[0], timed ? "tv_nsec" : "tv_usec",
                  (long long)time[1]);
        build_pointer(b, time);
    }
    if (timed)
        build_named(b, 0, "NULL");
}

/* ---- epoll ---- */

void action_epoll_create(struct builder *b)
{
    if (!model_has_room(b->model, 2)) {
        b->made.call = -1;
        return;
    }
    b->made.effect = EFFECT_EPOLL;
    b->made.slot = build_below(b, MODEL_SLOTS);
    if (build_below(b, 4) == 0) {
        BUILD_BEGIN(b, epoll_create);
        build_argument(b, build_odd(b) ? build_number(b) : 1);
        return;
    }
    BUILD_BEGIN(b, epoll_create1);
    if (build_odd(b))
        build_argument(b, 1ll << build_below(b, 31));
    else if (build_below(b, 2))
        build_named(b, EPOLL_CLOEXEC, "EPOLL_CLOEXEC");
    else
        build_argument(b, 0);
}

/* EPOLLEXCLUSIVE rarely: it excludes most others. */
static uint32_t choose_events(struct builder *b)
{
    static const uint32_t bits[] = {
        EPOLLIN,  EPOLLOUT, EPOLLIN | EPOLLOUT, EPOLLIN | EPOLLRDHUP, EPOLLIN,
        EPOLLPRI, 0,        EPOLLIN | EPOLLOUT
    };
    uint32_t events = bits[build_below(b, COUNT(bits))];
    uint32_t how = build_below(b, 16);

    if (how < 5)
        events |= EPOLLET;
    if (how == 5 || how == 4)
        events |= EPOLLONESHOT;
    if (how == 6)
        events |= EPOLLEXCLUSIVE | (build_below(b, 2) ? EPOLLET : 0);
    if (build_odd(b))
        events |= 1u << build_below(b, 32);
    return events & ~(uint32_t)EPOLLWAKEUP;
}

void action_epoll_ctl(struct builder *b)
{
    static const char *const names[] = { "EPOLL_CTL_ADD", "EPOLL_CTL_DEL", "EPOLL_CTL_MOD" };
    uint32_t how = build_below(b, 8);
    int operation = how < 4 ? EPOLL_CTL_ADD : how < 6 ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    struct epoll_event *event = build_struct(b, sizeof(*event));
    int64_t set = build_fd(b, KIND_EPOLL);
    int64_t fd = build_fd(b, build_below(b, 16) ? KIND_PIPES | KIND_SOCKETS : KIND_ALL);
    const struct description *description = build_description(b, set);
    const struct description *watched;

    /* Going native tells what is ready once more. */
    if (b->urgent) {
        b->made.call = -1;
        return;
    }
    /* An entry's key is a number, which another process of the emulator's side has not. */
    if (description && description->process != b->model->processes[b->process].born)
        set = CLOSED_NUMBER;

    /* Which kind of entry is told first is left open (docs/DIFFERENCES.md): all are fetched. */
    BUILD_BEGIN(b, epoll_ctl);
    build_argument(b, set);
    if (build_odd(b))
        build_argument(b, operation = build_below(b, 2) ? 0 : 4);
    else
        build_named(b, operation, names[operation - 1]);
    build_argument(b, fd);
    event->events = choose_events(b);
    watched = build_description(b, fd);
    if (!watched || !(watched->kind & (KIND_PIPES | KIND_CONNECTED)))
        event->events &= ~(uint32_t)EPOLLONESHOT;
    /* The placeholder of an instance tells of it whatever it is asked for: docs/DIFFERENCES.md. */
    if (watched && watched->kind == KIND_EPOLL)
        event->events = (event->events | EPOLLIN) & ~(uint32_t)EPOLLET;
    event->data.u64 = (uint64_t)fd + 1000 * (uint64_t)b->action;
    b->made.fd = set;
    b->made.fd2 = fd;
    b->made.effect = operation == EPOLL_CTL_ADD ? EFFECT_WATCH : EFFECT_NONE;
    if (build_odd(b)) {
        build_named(b, 0, "NULL");
        return;
    }
    build_say(b, ", {events=0x%x, data={u64=%llu}}", event->events,
              (unsigned long long)event->data.u64);
    build_pointer(b, event);
}

void action_epoll_wait(struct builder *b)
{
    struct epoll_event *events = build_struct(b, EVENTS_MAX * sizeof(*events));
    int64_t fd = build_fd(b, KIND_EPOLL);
    const struct description *description = build_description(b, fd);
    bool waits = build_below(b, 256) < b->blocking;
    uint32_t max = 1 + build_below(b, 8);
    uint32_t how = build_below(b, 8);

    if (description && (description->mixed || b->model->spliced)) {
        max = EVENTS_MAX;
        b->made.unordered = true;
    }
    if (how < 6)
        BUILD_BEGIN(b, epoll_wait);
    else if (how == 6)
        BUILD_BEGIN(b, epoll_pwait);
    else
        BUILD_BEGIN(b, epoll_pwait2);
    build_argument(b, fd);
    if (build_odd(b) && build_below(b, 4) == 0) {
        build_say(b, ", NULL");
        build_pointer(b, NULL);
        max = 1;
    } else {
        build_say(b, ", _");
        build_pointer(b, events);
        build_out(b, OUT_EVENTS, "events", events, EVENTS_MAX);
    }
    build_argument(b, build_odd(b) ? -(int64_t)build_below(b, 2) : (int64_t)max);
    touch_looks(&b->made.touch, description);
    touch_takes(&b->made.touch, description);
    b->made.waits = waits;
    if (how == 7 && waits) {
        build_named(b, 0, "NULL");
    } else if (how == 7) {
        int64_t *time = build_struct(b, 16);

        time[1] = build_odd(b) ? -1 : 0;
        build_say(b, ", {tv_sec=0, tv_nsec=%lld}", (long long)time[1]);
        build_pointer(b, time);
    } else {
        build_argument(b, waits ? -1 : 0);
    }
    if (how >= 6)
        build_named(b, 0, "NULL");
}
