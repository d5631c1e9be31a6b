/*
 * Proves: which events wake a thread that is blocked in poll or select on a pipe's end, a stream or
 * a SEQPACKET socket, with which bits, and which events leave it asleep; the events come from
 * another thread and from another process. Each row: what is asked for, what happens first and must
 * not wake, what happens then and must, and the bits.
 *
 * Rows: 2.6, 3.6 "peer SHUT_WR", 3.6 "peer SHUT_RD", 3.6 "own SHUT_RD", 3.6 "own SHUT_WR", 3.6
 * "both directions shut, or peer closed", 3.6 "peer closed with unread data", 3.6 "send buffer
 * above the threshold (3.7)", 3.6 "connected, OOB byte pending", 3.6 "SEQPACKET identical unless
 * noted"
 */
#include "guest.h"

enum kind { READ_END = 1, WRITE_END = 2, STREAM = 4, SEQPACKET = 8, SOCKETS = 12, KINDS = 4 };

/* What happens, seen from the other end (peer) or this one (own). */
enum event {
    NOTHING,
    PEER_WRITES,
    PEER_WRITES_URGENT,
    PEER_READS_SOME, /* not enough for POLLOUT */
    PEER_READS_ALL,
    PEER_SHUT_WR,
    PEER_SHUT_RD,
    PEER_CLOSES,
    OWN_SHUT_RD,
    OWN_SHUT_WR,
    OWN_SHUT_RDWR,
    GROWS, /* F_SETPIPE_SZ */
};

enum before { EMPTY, FULL, PEER_HAS_UNREAD };

struct row {
    int kinds;
    enum before before;
    int asked;
    enum event asleep; /* must not wake */
    enum event wakes;
    int bits;
};

static const struct row rows[] = {
    { READ_END | SOCKETS, EMPTY, POLLIN, NOTHING, PEER_WRITES, POLLIN },
    { READ_END | SOCKETS, EMPTY, POLLRDNORM, NOTHING, PEER_WRITES, POLLRDNORM },
    { SOCKETS, EMPTY, POLLPRI | POLLRDHUP, PEER_WRITES, PEER_SHUT_WR, POLLRDHUP },
    { SOCKETS, EMPTY, POLLRDHUP | POLLIN, NOTHING, PEER_SHUT_WR, POLLRDHUP | POLLIN },
    { SOCKETS, EMPTY, POLLIN, PEER_SHUT_RD, PEER_SHUT_WR, POLLIN | POLLHUP },
    { SOCKETS, EMPTY, 0, PEER_SHUT_WR, PEER_SHUT_RD, POLLHUP },
    { SOCKETS, EMPTY, 0, PEER_WRITES, PEER_CLOSES, POLLHUP },
    { SOCKETS, EMPTY, POLLIN, NOTHING, PEER_CLOSES, POLLIN | POLLHUP },
    { SOCKETS, PEER_HAS_UNREAD, 0, NOTHING, PEER_CLOSES, POLLHUP | POLLERR },
    { SOCKETS, PEER_HAS_UNREAD, POLLIN, NOTHING, PEER_CLOSES, POLLIN | POLLHUP | POLLERR },
    { SOCKETS, EMPTY, POLLIN, OWN_SHUT_WR, OWN_SHUT_RD, POLLIN | POLLHUP },
    { SOCKETS, EMPTY, POLLRDHUP, NOTHING, OWN_SHUT_RD, POLLRDHUP },
    { SOCKETS, EMPTY, 0, OWN_SHUT_RD, OWN_SHUT_WR, POLLHUP },
    { SOCKETS, EMPTY, 0, NOTHING, OWN_SHUT_RDWR, POLLHUP },
    { SOCKETS, FULL, POLLOUT, PEER_READS_SOME, PEER_READS_ALL, POLLOUT },
    { SOCKETS, FULL, POLLWRBAND, PEER_READS_SOME, PEER_READS_ALL, POLLWRBAND },
    { SOCKETS, FULL, POLLIN | POLLOUT, NOTHING, PEER_WRITES, POLLIN },
    { STREAM, EMPTY, POLLPRI, PEER_WRITES, PEER_WRITES_URGENT, POLLPRI },
    { READ_END, EMPTY, POLLIN, NOTHING, PEER_CLOSES, POLLHUP },
    { READ_END, EMPTY, 0, PEER_WRITES, PEER_CLOSES, POLLHUP },
    { READ_END, EMPTY, POLLOUT | POLLPRI, PEER_WRITES, PEER_CLOSES, POLLHUP },
    { WRITE_END, FULL, POLLOUT, PEER_READS_SOME, PEER_READS_ALL, POLLOUT },
    { WRITE_END, FULL, POLLWRNORM, NOTHING, PEER_READS_ALL, POLLWRNORM },
    { WRITE_END, FULL, POLLOUT, NOTHING, GROWS, POLLOUT },
    { WRITE_END, FULL, POLLOUT, NOTHING, PEER_CLOSES, POLLERR },
    { WRITE_END, EMPTY, POLLIN, NOTHING, PEER_CLOSES, POLLERR },
    { WRITE_END, EMPTY, 0, NOTHING, PEER_CLOSES, POLLERR },
};

struct channel {
    int own, peer;
};

static void make_channel(enum kind kind, struct channel *ret_channel)
{
    int fds[2];
    if (kind == READ_END || kind == WRITE_END) {
        guest_pipe(fds);
    } else {
        guest_pair(kind == STREAM ? SOCK_STREAM : SOCK_SEQPACKET, fds);
    }
    ret_channel->own = fds[kind == WRITE_END];
    ret_channel->peer = fds[kind != WRITE_END];
}

static void bring_about(const struct channel *channel, enum kind kind, enum before before)
{
    if (before == FULL && kind == WRITE_END) {
        guest_pipe_fill(channel->own);
    } else if (before == FULL) {
        guest_socket_fill(channel->own, 4096);
    } else if (before == PEER_HAS_UNREAD) {
        CHECK_EQ(1, write(channel->own, "u", 1));
    }
}

static void happen(const struct channel *channel, enum event event)
{
    static char buffer[4096];
    switch (event) {
    case NOTHING: break;
    case PEER_WRITES: CHECK_EQ(1, write(channel->peer, "x", 1)); break;
    case PEER_WRITES_URGENT: CHECK_EQ(1, send(channel->peer, "!", 1, MSG_OOB)); break;
    case PEER_READS_SOME: CHECK(read(channel->peer, buffer, 100) > 0); break;
    case PEER_READS_ALL:
        guest_set_nonblock(channel->peer, true);
        while (read(channel->peer, buffer, sizeof buffer) > 0) {
        }
        CHECK_EQ(EAGAIN, errno);
        break;
    case PEER_SHUT_WR: CHECK_OK(shutdown(channel->peer, SHUT_WR)); break;
    case PEER_SHUT_RD: CHECK_OK(shutdown(channel->peer, SHUT_RD)); break;
    case PEER_CLOSES: CHECK_OK(close(channel->peer)); break;
    case OWN_SHUT_RD: CHECK_OK(shutdown(channel->own, SHUT_RD)); break;
    case OWN_SHUT_WR: CHECK_OK(shutdown(channel->own, SHUT_WR)); break;
    case OWN_SHUT_RDWR: CHECK_OK(shutdown(channel->own, SHUT_RDWR)); break;
    case GROWS: CHECK_OK(fcntl(channel->peer, F_SETPIPE_SZ, 2 * GUEST_PIPE_SIZE)); break;
    }
}

/* ---- who makes it happen: this process, or a child with the peer's end ---- */

struct actor {
    pid_t pid; /* 0: ourselves */
    int order[2], answer[2];
};

__attribute__((noreturn)) static void act_as_told(const struct actor *actor,
                                                  const struct channel *channel)
{
    char event;
    CHECK_OK(close(actor->order[1]));
    while (read(actor->order[0], &event, 1) == 1) {
        happen(channel, (enum event)event);
        CHECK_EQ(1, write(actor->answer[1], "d", 1));
    }
    _exit(0);
}

static void actor_start(struct actor *actor, struct channel *channel, bool in_child)
{
    actor->pid = 0;
    if (!in_child) {
        return;
    }
    guest_pipe(actor->order);
    guest_pipe(actor->answer);
    actor->pid = guest_fork();
    if (actor->pid == 0) {
        act_as_told(actor, channel);
    }
    CHECK_OK(close(channel->peer)); /* the child's alone */
}

static void actor_do(const struct actor *actor, const struct channel *channel, enum event event)
{
    char byte = (char)event;
    if (actor->pid == 0) {
        happen(channel, event);
        return;
    }
    CHECK_EQ(1, write(actor->order[1], &byte, 1));
    CHECK_EQ(1, read(actor->answer[0], &byte, 1));
}

static void actor_end(const struct actor *actor, const struct channel *channel, bool peer_closed)
{
    if (actor->pid == 0) {
        if (!peer_closed) {
            CHECK_OK(close(channel->peer));
        }
        return;
    }
    guest_close_both(actor->order);
    guest_wait_exit(actor->pid, 0);
    guest_close_both(actor->answer);
}

/* ---- the sleeper ---- */

struct sleeper {
    int fd, asked;
    bool selects;
    int bits;
};

#define READABLE (POLLIN | POLLRDNORM | POLLHUP | POLLERR)
#define WRITABLE (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)

static void *sleep_on_it(void *argument)
{
    struct sleeper *sleeper = argument;
    struct pollfd entry = { .fd = sleeper->fd, .events = (short)sleeper->asked, .revents = -1 };
    fd_set sets[2];
    if (!sleeper->selects) {
        CHECK_EQ(1, poll(&entry, 1, -1));
        sleeper->bits = entry.revents;
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        FD_ZERO(&sets[i]);
        FD_SET(sleeper->fd, &sets[i]);
    }
    CHECK(select(sleeper->fd + 1, sleeper->asked & READABLE ? &sets[0] : NULL,
                 sleeper->asked & WRITABLE ? &sets[1] : NULL, NULL, NULL) > 0);
    sleeper->bits = (sleeper->asked & READABLE && FD_ISSET(sleeper->fd, &sets[0]) ? 1 : 0) |
                    (sleeper->asked & WRITABLE && FD_ISSET(sleeper->fd, &sets[1]) ? 2 : 0);
    return NULL;
}

static int as_select(const struct row *row)
{
    return (row->asked & READABLE && row->bits & READABLE ? 1 : 0) |
           (row->asked & WRITABLE && row->bits & WRITABLE ? 2 : 0);
}

static void run_row(const struct row *row, enum kind kind, bool selects, bool in_child)
{
    struct channel channel;
    struct actor actor;
    struct guest_thread thread;
    make_channel(kind, &channel);
    bring_about(&channel, kind, row->before);
    actor_start(&actor, &channel, in_child);
    struct sleeper sleeper = { .fd = channel.own, .asked = row->asked, .selects = selects };
    guest_thread_start(&thread, sleep_on_it, &sleeper);
    guest_thread_blocked(&thread);
    if (row->asleep != NOTHING) {
        actor_do(&actor, &channel, row->asleep);
        guest_thread_blocked(&thread);
    }
    actor_do(&actor, &channel, row->wakes);
    guest_thread_join(&thread);
    if (sleeper.bits != (selects ? as_select(row) : row->bits)) {
        guest_fail(__FILE__, __LINE__, "bits", "row %td, kind %d, %s, %s: expected %#x, got %#x",
                   row - rows, kind, selects ? "select" : "poll", in_child ? "child" : "thread",
                   selects ? as_select(row) : row->bits, sleeper.bits);
    }
    actor_end(&actor, &channel, row->wakes == PEER_CLOSES);
    CHECK_OK(close(channel.own));
}

int main(void)
{
    guest_start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int kind = 1; kind < 1 << KINDS; kind <<= 1) {
            if (!(rows[i].kinds & kind)) {
                continue;
            }
            for (int in_child = 0; in_child < 2; in_child++) {
                run_row(&rows[i], (enum kind)kind, false, in_child);
                if (as_select(&rows[i]) != 0) {
                    run_row(&rows[i], (enum kind)kind, true, in_child);
                }
            }
        }
    }
    return guest_end();
}
