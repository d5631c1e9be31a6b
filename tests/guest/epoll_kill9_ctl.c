/*
 * Proves: a process that shares a set and is killed by SIGKILL at any moment, amid epoll_ctl,
 * epoll_wait, reads and writes, leaves the set whole: what it had added of its own vanishes with
 * it, the others' entries are told of as before, and the set can be changed and waited in.
 *
 * Rows: 6.4 "fork shares the epoll set", 6.4 "When the last reference closes, the entry vanishes",
 * 6.4 "LT: reported on every wait while ready"
 */
#include <sys/epoll.h>

#include "guest.h"

enum { CHANNELS = 3, KILLS = 150 };

static int channels[CHANNELS][2]; /* a pipe, a stream and a seqpacket pair */
static int epoll;

static int ctl(int op, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = events, .data.u64 = data };
    return epoll_ctl(epoll, op, fd, &event);
}

static void open_channel(int kind, int fds[2])
{
    if (kind == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(kind == 1 ? SOCK_STREAM : SOCK_SEQPACKET, fds);
    }
}

/* For ever: channels of its own come into the set and go; the family's entries are changed. */
__attribute__((noreturn)) static void victim(int started)
{
    for (unsigned i = 0;; i++) {
        int own[2];
        struct epoll_event events[4];
        int kind = (int)(i % CHANNELS);
        open_channel(kind, own);
        CHECK_OK(ctl(EPOLL_CTL_ADD, own[0], EPOLLIN | (i % 2 ? EPOLLET : 0), 100));
        CHECK_EQ(1, write(own[1], "x", 1));
        CHECK_OK(ctl(EPOLL_CTL_MOD, channels[kind][0], EPOLLIN | EPOLLET, (uint64_t)kind));
        CHECK_OK(epoll_wait(epoll, events, 4, 0));
        CHECK_OK(ctl(EPOLL_CTL_MOD, channels[kind][0], EPOLLIN, (uint64_t)kind));
        if (i % 4 == 0) {
            CHECK_OK(ctl(EPOLL_CTL_DEL, own[0], 0, 0));
        }
        guest_close_both(own);
        if (i == 0) {
            CHECK_EQ(1, write(started, "s", 1));
        }
    }
}

/* The family's entries, made anew, are told of one by one and all together. */
static void check_set(void)
{
    struct epoll_event events[8];
    char byte;
    CHECK_EQ(0, epoll_wait(epoll, events, 8, 0));
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_OK(ctl(EPOLL_CTL_MOD, channels[i][0], EPOLLIN, (uint64_t)i));
        CHECK_EQ(1, write(channels[i][1], "x", 1));
        CHECK_EQ(1, epoll_wait(epoll, events, 8, -1));
        CHECK_EQ(EPOLLIN, events[0].events);
        CHECK_EQ(i, events[0].data.u64);
        CHECK_EQ(1, read(channels[i][0], &byte, 1));
    }
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_EQ(1, write(channels[i][1], "x", 1));
    }
    CHECK_EQ(CHANNELS, epoll_wait(epoll, events, 8, -1));
    for (int i = 0; i < CHANNELS; i++) {
        int next = (i + CHANNELS - 1) % CHANNELS; /* the last one told is on the list still */
        CHECK_EQ(next, events[i].data.u64);
        CHECK_EQ(1, read(channels[i][0], &byte, 1));
    }
    CHECK_EQ(0, epoll_wait(epoll, events, 8, 0));
}

int main(void)
{
    guest_start();
    int started[2];
    epoll = (int)CHECK_OK(epoll_create1(0));
    guest_pipe(started);
    for (int i = 0; i < CHANNELS; i++) {
        open_channel(i, channels[i]);
        CHECK_OK(ctl(EPOLL_CTL_ADD, channels[i][0], EPOLLIN, (uint64_t)i));
    }
    for (int i = 0; i < KILLS; i++) {
        char byte;
        pid_t pid = guest_fork();
        if (pid == 0) {
            victim(started[1]);
        }
        CHECK_EQ(1, read(started[0], &byte, 1));
        const struct timespec moment = { 0, (i * 7919L) % 300000 };
        CHECK_OK(nanosleep(&moment, NULL)); /* where the victim is then is chance */
        CHECK_OK(kill(pid, SIGKILL));
        guest_wait_killed(pid, SIGKILL);
        check_set();
    }
    guest_close_both(started);
    for (int i = 0; i < CHANNELS; i++) {
        guest_close_both(channels[i]);
    }
    CHECK_OK(close(epoll));
    return guest_end();
}
