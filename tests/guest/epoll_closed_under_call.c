/*
 * Proves: one thread closes instances and makes others while a second one asks, polls and changes
 * whatever has their number: each call ends as on one of them, or with EBADF.
 *
 * Rows: 6.3 "ctl: epfd or fd not open", 6.3 "wait on non-epoll"
 */
#include <sys/epoll.h>

#include "guest.h"

enum { ROUNDS = 20000, AT_MOST_MS = 3000 };

static int fds[2];
static atomic_int set_fd;
static atomic_bool done;

static void *use_it(void *argument)
{
    (void)argument;
    while (!atomic_load(&done)) {
        struct epoll_event events[2], event = { .events = EPOLLOUT };
        int set = atomic_load(&set_fd);
        int count = epoll_wait(set, events, 2, 0);
        CHECK(count >= 0 || errno == EBADF);
        for (int i = 0; i < count; i++) {
            CHECK(events[i].events == EPOLLIN || events[i].events == EPOLLOUT);
        }
        if (epoll_ctl(set, EPOLL_CTL_ADD, fds[1], &event) < 0) {
            CHECK(errno == EBADF || errno == EEXIST);
        }
        guest_poll(set, POLLIN, 0);
    }
    return NULL;
}

int main(void)
{
    struct epoll_event event = { .events = EPOLLIN };
    struct guest_thread user;
    guest_start();
    guest_pipe(fds);
    CHECK_EQ(1, write(fds[1], "x", 1));
    atomic_store(&set_fd, (int)CHECK_OK(epoll_create1(0)));
    guest_thread_start(&user, use_it, NULL);
    int64_t end = guest_now_ms() + AT_MOST_MS; /* a busy machine takes a time slice a round */
    for (int i = 0; i < ROUNDS && guest_now_ms() < end; i++) {
        CHECK_OK(close(atomic_load(&set_fd)));
        int set = (int)CHECK_OK(epoll_create1(0));
        CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &event));
        atomic_store(&set_fd, set);
        sched_yield();
    }
    atomic_store(&done, true);
    guest_thread_join(&user);
    CHECK_OK(close(atomic_load(&set_fd)));
    guest_close_both(fds);
    return guest_end();
}
