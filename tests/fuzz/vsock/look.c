/*
 * look.c - everything that can be seen without changing it: does it agree?
 *
 * Of each connected end: poll, a peek at one byte, FIONREAD. Readiness tells the truth; what is
 * unread is what was sent and not received; who sleeps can't go on.
 *
 * Nobody is woken, in Linux neither: a sender whose own buffer grows, a receiver whose SO_RCVLOWAT
 * sinks, who waits for POLLERR when a recvmmsg stores its error. Leaves out what epoll instances
 * with edges tell.
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "vsock/run.h"

struct view {
    uint32_t process;
    int number;
    short bits;
    int64_t peek;
    int64_t unread;
};

static uint64_t at(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static short ask_bits(struct run *run, uint32_t process, int number)
{
    struct pollfd *fd = (void *)run->observed;

    *fd = (struct pollfd){ .fd = number, .events = POLLIN | POLLOUT | POLLRDHUP };
    run_ask(run, process, "poll", at(fd), 1, 0, 0, 0);
    return fd->revents;
}

static int64_t ask_unread(struct run *run, uint32_t process, int number)
{
    int *unread = (void *)run->observed;
    int64_t result = run_ask(run, process, "ioctl", (uint64_t)number, FIONREAD, at(unread), 0, 0);

    return result < 0 ? result : *unread;
}

int64_t look_unread(struct run *run, int end)
{
    uint32_t process;
    int number;

    return run_find(run, end, &process, &number) ? ask_unread(run, process, number) : -ENOENT;
}

/* ---- one end ---- */

static void look_in(struct run *run, int index, const struct view *view)
{
    const struct end *end = &run->ends.all[index];
    const struct flow *flow = ends_incoming(&run->ends, index);
    bool ready = view->bits & POLLIN;
    /* Pieces of a record that failed, or whose sender sleeps: POLLIN counts bytes, in Linux too. */
    bool pieces = flow->torn > 0 || run_sleeps(run, OP_SEND, end->peer);
    bool torn = end->records && pieces && (flow->count == 0 || run_held(run, index));

    if (ready && view->peek == -EAGAIN && !torn && !flow->loose)
        run_wrong(run, "readiness", "fd %d: POLLIN, and a receive says EAGAIN", view->number);
    if (!ready && view->peek >= 0 && view->unread >= (int64_t)end->low && !end->sick)
        run_wrong(run, "readiness", "fd %d: no POLLIN, and a receive gives %lld", view->number,
                  (long long)view->peek);
    if (end->shut_read || flow->loose || run_held(run, index) ||
        run_sleeps(run, OP_SEND, end->peer))
        return;
    if (view->unread >= 0 && (uint64_t)view->unread != flow->sent - flow->received)
        run_wrong(run, "unread", "fd %d: %lld bytes, %llu expected", view->number,
                  (long long)view->unread, (unsigned long long)(flow->sent - flow->received));
    if (view->peek == 0 && !end->sick && (uint64_t)view->unread != flow->torn)
        run_wrong(run, "lost", "fd %d: the end, and %lld bytes are unread", view->number,
                  (long long)view->unread);
}

uint64_t look_size(struct run *run, uint32_t process, int number)
{
    uint64_t *size = (void *)run->observed;
    uint32_t *length = (void *)(run->observed + 16);

    *size = 0;
    *length = sizeof(*size);
    run_ask(run, process, "getsockopt", (uint64_t)number, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE,
            at(size), at(length));
    return *size;
}

/* All was read, so all credit is there: room for what this end sends. */
static void look_out(struct run *run, int index, const struct view *view, const struct view *peer)
{
    const struct end *end = &run->ends.all[index];

    if (end->shut_write || (view->bits & POLLOUT) || !peer || peer->unread != 0 ||
        run_sleeps(run, OP_SEND, index))
        return;
    if (look_size(run, view->process, view->number) > 0 &&
        look_size(run, peer->process, peer->number) > 0)
        run_wrong(run, "credit", "fd %d: nothing is unread, and no POLLOUT", view->number);
}

/* ---- sleepers ---- */

static bool any_resized(const struct run *run)
{
    for (uint32_t i = 0; i < run->ends.count; i++) {
        if (run->ends.all[i].resized)
            return true;
    }
    return false;
}

static void look_at_receiver(struct run *run, const struct player *player, const struct view *view)
{
    const struct end *end = &run->ends.all[player->move.end];
    bool data = view->peek > 0 && (end->records || view->unread >= (int64_t)end->low);

    if (end->sick || any_resized(run))
        return;
    if (data || view->peek == 0)
        run_wrong(run, "sleep", "%s sleeps at fd %d, and a receive gives %lld", player->made.name,
                  view->number, (long long)view->peek);
}

static void look_at_sender(struct run *run, const struct player *player, const struct view *view)
{
    const struct end *end = &run->ends.all[player->move.end];
    const struct end *peer = &run->ends.all[end->peer];

    if (end->shut_write || peer->shut_read || peer->closed)
        run_wrong(run, "sleep", "%s sleeps at fd %d, and nobody can read", player->made.name,
                  view->number);
    if (view->bits & POLLOUT && !any_resized(run))
        run_wrong(run, "sleep", "%s sleeps at fd %d, and there is room", player->made.name,
                  view->number);
}

static void look_at_poll(struct run *run, const struct player *player)
{
    struct pollfd *copy = (void *)run->observed;
    uint32_t ready = 0;

    memcpy(copy, player->move.asked, sizeof(player->move.asked));
    run_ask(run, player->process, "poll", at(copy), player->move.fd_count, 0, 0, 0);
    for (uint32_t i = 0; i < player->move.fd_count; i++)
        ready += (copy[i].revents & ~POLLERR) != 0;
    if (ready > 0 && !any_resized(run))
        run_wrong(run, "sleep", "poll sleeps, and %u are ready", ready);
}

const struct watch *look_untold(struct run *run, int index)
{
    const struct end *set = &run->ends.all[index];

    for (uint32_t i = 0; i < set->watch_count; i++) {
        const struct watch *watch = &set->watches[i];
        const struct end *end = watch->end < 0 ? NULL : &run->ends.all[watch->end];

        if (watch->due && end && end->holders == 1 && end->low == 1 && !end->shut_read &&
            look_unread(run, watch->end) > 0)
            return watch;
    }
    return NULL;
}

static void look_at_set(struct run *run, const struct player *player)
{
    const struct watch *untold = look_untold(run, player->move.end);
    const struct epoll_event *events = (void *)run->observed;
    uint32_t ready = 0;
    int64_t count;

    if (untold)
        run_wrong(run, "edge", "epoll_wait sleeps, and doesn't tell of entry %llu",
                  (unsigned long long)untold->id);
    if (run->ends.all[player->move.end].edges || any_resized(run))
        return;
    count = run_ask(run, player->process, "epoll_wait", (uint64_t)player->move.number, at(events),
                    RUN_EVENTS, 0, 0);
    for (int64_t i = 0; i < count; i++)
        ready += (events[i].events & ~(uint32_t)EPOLLERR) != 0;
    if (ready > 0)
        run_wrong(run, "sleep", "epoll_wait sleeps, and %u are ready", ready);
}

static void look_at_sleeper(struct run *run, const struct player *player, const struct view *views)
{
    const struct move *move = &player->move;

    if (move->op == OP_POLL) {
        look_at_poll(run, player);
    } else if (move->op == OP_WAIT && move->end >= 0) {
        look_at_set(run, player);
    } else if (move->op == OP_ACCEPT && move->end >= 0) {
        if (run->ends.all[move->end].pending_count > 0)
            run_wrong(run, "sleep", "accept sleeps, and somebody has connected");
    } else if (move->end >= 0 && run->ends.all[move->end].kind == END_CONNECTED) {
        if (move->op == OP_TAKE)
            look_at_receiver(run, player, &views[move->end]);
        if (move->op == OP_SEND)
            look_at_sender(run, player, &views[move->end]);
    }
}

/* ---- all ---- */

/* A byte is lost, comes twice, or too late: the next checks must find it. */
static void spoil(struct run *run, const struct end *end, const struct view *view,
                  const struct view *peer)
{
    bool takes = run->spoil == SPOIL_LOSE || run->spoil == SPOIL_REORDER;

    if (run->spoilt || end->records || view->unread < 3 || !peer || end->shut_read ||
        run->ends.all[end->peer].shut_write)
        return;
    if (takes)
        run_ask(run, view->process, "recv", (uint64_t)view->number, at(run->observed + 64), 1,
                MSG_DONTWAIT, 0);
    if (run->spoil != SPOIL_LOSE)
        run_ask(run, peer->process, "send", (uint64_t)peer->number, at(run->observed + 64), 1,
                MSG_DONTWAIT | MSG_NOSIGNAL, 0);
    run->spoilt = true;
}

static void look_at_end(struct run *run, int index, struct view *view)
{
    struct end *end = &run->ends.all[index];

    view->number = -1;
    if (end->kind != END_CONNECTED || end->peer < 0 ||
        !run_find(run, index, &view->process, &view->number))
        return;
    view->bits = ask_bits(run, view->process, view->number);
    view->peek = run_ask(run, view->process, "recv", (uint64_t)view->number, at(run->observed + 64),
                         1, MSG_PEEK | MSG_DONTWAIT, 0);
    view->unread = ask_unread(run, view->process, view->number);
    end->sick = view->bits & POLLERR;
    look_in(run, index, view);
}

void look(struct run *run)
{
    struct view views[ENDS_MAX];
    bool sleeps = false;

    for (uint32_t i = 0; i < run->ends.count; i++)
        look_at_end(run, (int)i, &views[i]);
    for (uint32_t i = 0; i < run->ends.count && !run->rule[0]; i++) {
        const struct end *end = &run->ends.all[i];
        const struct view *peer = end->peer >= 0 && views[end->peer].number >= 0 ? &views[end->peer]
                                                                                 : NULL;

        if (views[i].number < 0)
            continue;
        look_out(run, (int)i, &views[i], peer);
        if (run->spoil == SPOIL_LOSE || run->spoil == SPOIL_REPEAT || run->spoil == SPOIL_REORDER)
            spoil(run, end, &views[i], peer);
    }
    for (uint32_t i = 0; i < RUN_TASKS && !run->rule[0]; i++) {
        if (!run->players[i].alive || !run->players[i].blocked)
            continue;
        sleeps = true;
        look_at_sleeper(run, &run->players[i], views);
    }
    for (uint32_t i = 0; i < run->ends.count && !sleeps; i++)
        run->ends.all[i].resized = false;
}

void look_last(struct run *run)
{
    for (uint32_t i = 0; i < run->ends.count; i++) {
        const struct end *end = &run->ends.all[i];
        const struct flow *flow = ends_incoming(&run->ends, (int)i);

        /* What can't be read, ENOMEM, is unread still. */
        if (!flow || flow->loose || end->holders == 0 || end->shut_read || end->sick ||
            look_unread(run, (int)i) == (int64_t)(flow->sent - flow->received))
            continue;
        if (flow->sent != flow->received + flow->torn)
            run_wrong(run, "lost", "%llu bytes never came",
                      (unsigned long long)(flow->sent - flow->torn - flow->received));
    }
}
