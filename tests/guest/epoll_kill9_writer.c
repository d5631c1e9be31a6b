/*
 * Proves: a process that is killed by SIGKILL counts as having closed its ends: a thread that
 * sleeps in epoll_wait, with nobody having waited for the dead yet, hears HUP on a pipe's reading
 * end, ERR on a writing end, IN|RDHUP|HUP on a socket; level and edge; also when real descriptors
 * are in the set, and when an outer instance is slept in.
 *
 * Rows: 6.4 "peer SHUT_WR, then close", 6.4 "Wake-ups carrying no key", 6.1 "Epoll fd itself"
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum kind { PIPE_READER, PIPE_WRITER, STREAM, SEQPACKET, KINDS };
enum setting { ALONE, BESIDE_REAL, NESTED, SETTINGS };

struct sleeper {
    struct guest_thread thread;
    int epoll;
    uint32_t events;
    uint64_t data;
};

static void add(int epoll, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = events, .data.u64 = data };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void *sleep_in_set(void *argument)
{
    struct sleeper *sleeper = argument;
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(sleeper->epoll, &event, 1, -1));
    sleeper->events = event.events;
    sleeper->data = event.data.u64;
    return NULL;
}

/* fds[0] is the end that stays here, fds[1] the child's. */
static void open_ends(enum kind kind, int fds[2])
{
    if (kind == PIPE_READER) {
        guest_pipe(fds);
    } else if (kind == PIPE_WRITER) {
        guest_pipe(fds);
        int reader = fds[0];
        fds[0] = fds[1];
        fds[1] = reader;
    } else {
        guest_pair(kind == STREAM ? SOCK_STREAM : SOCK_SEQPACKET, fds);
    }
}

static uint32_t end_bits(enum kind kind)
{
    switch (kind) {
    case PIPE_READER: return EPOLLHUP;
    case PIPE_WRITER: return EPOLLERR;
    default: return EPOLLIN | EPOLLRDHUP | EPOLLHUP;
    }
}

static pid_t holder_of(const int fds[2])
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        for (;;) {
            pause();
        }
    }
    CHECK_OK(close(fds[1]));
    return pid;
}

static void killed_while_asleep(enum kind kind, enum setting setting, uint32_t edge)
{
    int fds[2], extra = -1, outer = -1;
    int epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event;
    open_ends(kind, fds);
    pid_t pid = holder_of(fds);
    add(epoll, fds[0], EPOLLIN | EPOLLRDHUP | edge, 1);
    struct sleeper sleeper = { .epoll = epoll };
    if (setting == BESIDE_REAL) {
        extra = (int)CHECK_OK(eventfd(0, 0));
        add(epoll, extra, EPOLLIN, 2);
    } else if (setting == NESTED) {
        outer = (int)CHECK_OK(epoll_create1(0));
        add(outer, epoll, EPOLLIN | edge, 3);
        sleeper.epoll = outer;
    }
    guest_thread_start(&sleeper.thread, sleep_in_set, &sleeper);
    guest_thread_blocked(&sleeper.thread);
    CHECK_OK(kill(pid, SIGKILL));
    guest_thread_join(&sleeper.thread); /* nobody has waited for the child yet */
    if (setting == NESTED) {
        CHECK_EQ(3, sleeper.data);
        CHECK_EQ(EPOLLIN, sleeper.events);
        CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
        sleeper.events = event.events;
        sleeper.data = event.data.u64;
    }
    CHECK_EQ(1, sleeper.data);
    CHECK_EQ(end_bits(kind), sleeper.events);
    CHECK_EQ(edge ? 0 : 1, epoll_wait(epoll, &event, 1, 0));
    guest_wait_killed(pid, SIGKILL);
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
    if (extra >= 0) {
        CHECK_OK(close(extra));
    }
    if (outer >= 0) {
        CHECK_OK(close(outer));
    }
}

/* What the dead wrote last is still told of, together with its end. */
static void data_and_end(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event;
    char byte;
    open_ends(kind, fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_EQ(1, write(fds[1], "x", 1));
        CHECK_OK(kill(getpid(), SIGKILL));
    }
    CHECK_OK(close(fds[1]));
    guest_wait_killed(pid, SIGKILL);
    add(epoll, fds[0], EPOLLIN | EPOLLRDHUP | EPOLLET, 1);
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
    CHECK_EQ(EPOLLIN | end_bits(kind), event.events);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

/* The first of two holders to die changes nothing; edges count the last one alone. */
static void last_holder_counts(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event;
    open_ends(kind, fds);
    pid_t first = guest_fork();
    if (first == 0) {
        for (;;) {
            pause();
        }
    }
    pid_t second = holder_of(fds);
    add(epoll, fds[0], EPOLLIN | EPOLLRDHUP | EPOLLET, 1);
    struct sleeper sleeper = { .epoll = epoll };
    guest_thread_start(&sleeper.thread, sleep_in_set, &sleeper);
    guest_thread_blocked(&sleeper.thread);
    CHECK_OK(kill(second, SIGKILL));
    guest_wait_killed(second, SIGKILL);
    guest_thread_blocked(&sleeper.thread);
    CHECK_OK(kill(first, SIGKILL));
    guest_wait_killed(first, SIGKILL);
    guest_thread_join(&sleeper.thread);
    CHECK_EQ(end_bits(kind), sleeper.events);
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        for (int setting = 0; setting < SETTINGS; setting++) {
            killed_while_asleep((enum kind)kind, (enum setting)setting, 0);
            killed_while_asleep((enum kind)kind, (enum setting)setting, EPOLLET);
        }
        if (kind != PIPE_WRITER) {
            data_and_end((enum kind)kind);
        }
        last_holder_counts((enum kind)kind);
    }
    return guest_end();
}
