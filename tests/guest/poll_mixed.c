/*
 * Proves: one poll or select over a pipe, a socketpair, an eventfd, a timerfd, a regular file and
 * /dev/null: each of them is reported, each can wake the sleeper, in any order of the array, and
 * the same fd may stand in it twice.
 *
 * Rows: 6.1 "Regular files: IN|OUT always", 6.2 "fd < 0", 2.6, 3.6
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include "guest.h"

enum { PIPE, SOCKET, EVENT, TIMER, IGNORED, SLOTS };

static int pipe_fds[2], pair_fds[2], event_fd, timer_fd;

static void open_all(void)
{
    guest_pipe(pipe_fds);
    guest_pair(SOCK_STREAM, pair_fds);
    event_fd = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC));
    timer_fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
}

static void close_all(void)
{
    guest_close_both(pipe_fds);
    guest_close_both(pair_fds);
    CHECK_OK(close(event_fd));
    CHECK_OK(close(timer_fd));
}

static void prepare(struct pollfd entries[SLOTS], bool reverse)
{
    const int fds[SLOTS] = { pipe_fds[0], pair_fds[0], event_fd, timer_fd, -1 };
    for (int i = 0; i < SLOTS; i++) {
        entries[reverse ? SLOTS - 1 - i : i] =
            (struct pollfd){ .fd = fds[i], .events = POLLIN, .revents = 99 };
    }
}

static void make_ready(int slot)
{
    const uint64_t one = 1;
    const struct itimerspec soon = { .it_value = { 0, 1000000 } };
    switch (slot) {
    case PIPE: CHECK_EQ(1, write(pipe_fds[1], "x", 1)); break;
    case SOCKET: CHECK_EQ(1, write(pair_fds[1], "x", 1)); break;
    case EVENT: CHECK_EQ(8, write(event_fd, &one, 8)); break;
    default: CHECK_OK(timerfd_settime(timer_fd, 0, &soon, NULL)); break;
    }
}

static void drain(int slot)
{
    char buffer[8];
    const int fds[] = { pipe_fds[0], pair_fds[0], event_fd, timer_fd };
    CHECK(read(fds[slot], buffer, sizeof buffer) > 0);
}

static void *poll_thread(void *argument)
{
    CHECK_EQ(1, poll(argument, SLOTS, 20000));
    return NULL;
}

static void each_wakes(bool reverse, bool from_child)
{
    struct pollfd entries[SLOTS];
    struct guest_thread thread;
    for (int slot = 0; slot <= TIMER; slot++) {
        prepare(entries, reverse);
        CHECK_EQ(0, poll(entries, SLOTS, 0));
        guest_thread_start(&thread, poll_thread, entries);
        guest_thread_blocked(&thread);
        if (from_child) {
            pid_t pid = guest_fork();
            if (pid == 0) {
                make_ready(slot);
                _exit(0);
            }
            guest_wait_exit(pid, 0);
        } else {
            make_ready(slot);
        }
        guest_thread_join(&thread);
        for (int i = 0; i < SLOTS; i++) {
            int index = reverse ? SLOTS - 1 - i : i;
            CHECK_EQ(i == slot ? POLLIN : 0, entries[index].revents);
        }
        drain(slot);
    }
}

static void *select_thread(void *argument)
{
    fd_set *set = argument;
    CHECK_EQ(1, select(FD_SETSIZE, set, NULL, NULL, NULL));
    return NULL;
}

static void each_wakes_select(void)
{
    const int fds[] = { pipe_fds[0], pair_fds[0], event_fd, timer_fd };
    struct guest_thread thread;
    fd_set set;
    for (int slot = 0; slot <= TIMER; slot++) {
        FD_ZERO(&set);
        for (int i = 0; i <= TIMER; i++) {
            FD_SET(fds[i], &set);
        }
        guest_thread_start(&thread, select_thread, &set);
        guest_thread_blocked(&thread);
        make_ready(slot);
        guest_thread_join(&thread);
        for (int i = 0; i <= TIMER; i++) {
            CHECK_EQ(i == slot, FD_ISSET(fds[i], &set) != 0);
        }
        drain(slot);
    }
}

static void always_ready_files(void)
{
    int file = (int)CHECK_OK(memfd_create("file", MFD_CLOEXEC));
    int null = (int)CHECK_OK(open("/dev/null", O_RDWR | O_CLOEXEC));
    struct pollfd entries[] = {
        { .fd = pipe_fds[0], .events = POLLIN },  { .fd = file, .events = POLLIN | POLLOUT },
        { .fd = pair_fds[0], .events = POLLIN },  { .fd = null, .events = POLLIN | POLLOUT },
        { .fd = pipe_fds[1], .events = POLLOUT }, { .fd = pipe_fds[1], .events = POLLIN },
        { .fd = pipe_fds[1], .events = POLLOUT }
    };
    CHECK_EQ(4, poll(entries, 7, -1));
    CHECK_EQ(0, entries[0].revents);
    CHECK_EQ(POLLIN | POLLOUT, entries[1].revents);
    CHECK_EQ(0, entries[2].revents);
    CHECK_EQ(POLLIN | POLLOUT, entries[3].revents);
    CHECK_EQ(POLLOUT, entries[4].revents);
    CHECK_EQ(0, entries[5].revents);
    CHECK_EQ(POLLOUT, entries[6].revents);
    CHECK_OK(close(file));
    CHECK_OK(close(null));
}

static void several_at_once(void)
{
    struct pollfd entries[SLOTS];
    prepare(entries, false);
    make_ready(PIPE);
    make_ready(SOCKET);
    make_ready(EVENT);
    CHECK_EQ(3, poll(entries, SLOTS, -1));
    CHECK_EQ(POLLIN, entries[PIPE].revents);
    CHECK_EQ(POLLIN, entries[SOCKET].revents);
    CHECK_EQ(POLLIN, entries[EVENT].revents);
    CHECK_EQ(0, entries[TIMER].revents);
    drain(PIPE);
    drain(SOCKET);
    drain(EVENT);
}

int main(void)
{
    guest_start();
    open_all();
    each_wakes(false, false);
    each_wakes(true, false);
    each_wakes(false, true);
    each_wakes_select();
    always_ready_files();
    several_at_once();
    close_all();
    return guest_end();
}
