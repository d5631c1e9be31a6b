/*
 * Proves: entries of an epoll set whose channels another process, which hasn't the set, opens anew
 * through /proc, all go on at once: none is missed, level and edge, found by
 * epoll_wait or slept for, among entries that stay as they were.
 *
 * Rows: 6.4 "LT: reported on every wait while ready", 6.4 "ET (EPOLLET): queued by a wake-up"
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum { CHANNELS = 5, SETTINGS = 4, EDGE = 1, REAL = 2 };

struct watcher {
    struct guest_thread thread;
    int epoll;
    unsigned seen; /* bits of channels */
};

/* Until each channel was seen: more than one call may be needed, and none may tell of too many. */
static void *see_all(void *argument)
{
    struct watcher *watcher = argument;
    while (watcher->seen != (1u << CHANNELS) - 1) {
        struct epoll_event events[CHANNELS + 1];
        int count = (int)CHECK_OK(epoll_wait(watcher->epoll, events, CHANNELS + 1, 10000));
        CHECK(count > 0);
        for (int i = 0; i < count; i++) {
            CHECK(events[i].data.u32 < CHANNELS);
            CHECK(events[i].events & EPOLLIN);
            watcher->seen |= 1u << events[i].data.u32;
        }
    }
    return NULL;
}

/* The child opens every writer anew, and writes by it. */
static void write_anew(int ends[][2])
{
    for (int i = 0; i < CHANNELS; i++) {
        char path[64];
        CHECK_OK(close(ends[i][0]));
        snprintf(path, sizeof path, "/proc/self/fd/%d", ends[i][1]);
        int writer = (int)CHECK_OK(open(path, O_WRONLY));
        CHECK_OK(close(ends[i][1]));
        ends[i][1] = writer;
    }
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_EQ(1, write(ends[i][1], "x", 1));
    }
}

static void each(unsigned setting, bool asleep)
{
    struct watcher watcher = { .epoll = (int)CHECK_OK(epoll_create1(0)) };
    int ends[CHANNELS][2], idle[2], begin[2];
    int event = (int)CHECK_OK(eventfd(0, 0));
    struct epoll_event entry = { .events = EPOLLIN | (setting & EDGE ? EPOLLET : 0) };
    guest_pipe(idle);
    guest_pipe(begin);
    for (entry.data.u32 = 0; entry.data.u32 < CHANNELS; entry.data.u32++) {
        guest_pipe(ends[entry.data.u32]);
        CHECK_OK(epoll_ctl(watcher.epoll, EPOLL_CTL_ADD, ends[entry.data.u32][0], &entry));
    }
    CHECK_OK(epoll_ctl(watcher.epoll, EPOLL_CTL_ADD, idle[0], &entry));
    if (setting & REAL) {
        CHECK_OK(epoll_ctl(watcher.epoll, EPOLL_CTL_ADD, event, &entry));
    }
    pid_t child = guest_fork();
    if (child == 0) {
        char byte;
        CHECK_OK(close(watcher.epoll));
        CHECK_EQ(1, read(begin[0], &byte, 1));
        write_anew(ends);
        _exit(0);
    }
    if (asleep) {
        guest_thread_start(&watcher.thread, see_all, &watcher);
        guest_thread_blocked(&watcher.thread);
    }
    CHECK_EQ(1, write(begin[1], "b", 1));
    guest_wait_exit(child, 0);
    if (asleep) {
        guest_thread_join(&watcher.thread);
    } else {
        see_all(&watcher);
    }
    for (int i = 0; i < CHANNELS; i++) {
        char bytes[2];
        CHECK_EQ(1, read(ends[i][0], bytes, sizeof bytes));
        guest_close_both(ends[i]);
    }
    struct epoll_event none;
    CHECK_EQ(0, epoll_wait(watcher.epoll, &none, 1, 0));
    guest_close_both(idle);
    guest_close_both(begin);
    CHECK_OK(close(event));
    CHECK_OK(close(watcher.epoll));
}

int main(void)
{
    guest_start();
    for (unsigned setting = 0; setting < SETTINGS; setting++) {
        each(setting, false);
        each(setting, true);
    }
    return guest_end();
}
