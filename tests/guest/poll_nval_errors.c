/*
 * Proves: poll's answers to bad input, next to emulated fds: POLLNVAL for a closed number
 * (counted), a negative fd's revents set to 0, EFAULT, EINVAL for too many entries; a socket closed
 * by another thread during the poll is found gone later.
 *
 * Rows: 6.2 "fd < 0", 6.2 "fd not open", 6.2 "nfds > RLIMIT_NOFILE", 3.5 "poll() keeps the old file
 * but re-reads the fd table"
 */
#include <sys/resource.h>

#include "guest.h"

static void closed_and_negative(void)
{
    int fds[2], gone[2];
    guest_pipe(fds);
    guest_pipe(gone);
    guest_close_both(gone);
    struct pollfd entries[] = { { .fd = gone[0], .events = POLLIN, .revents = 1 },
                                { .fd = -1, .events = POLLIN, .revents = 1 },
                                { .fd = fds[0], .events = POLLIN, .revents = 1 },
                                { .fd = gone[1], .events = 0, .revents = 1 },
                                { .fd = fds[1], .events = POLLOUT, .revents = 1 },
                                { .fd = -12345, .events = 0, .revents = 1 } };
    CHECK_EQ(3, poll(entries, 6, -1));
    CHECK_EQ(POLLNVAL, entries[0].revents);
    CHECK_EQ(0, entries[1].revents);
    CHECK_EQ(0, entries[2].revents);
    CHECK_EQ(POLLNVAL, entries[3].revents);
    CHECK_EQ(POLLOUT, entries[4].revents);
    CHECK_EQ(0, entries[5].revents);
    guest_close_both(fds);
}

static void bad_arrays(void)
{
    int fds[2];
    struct rlimit limit;
    struct pollfd entries[65] = { 0 };
    guest_pipe(fds);
    CHECK_ERR(EFAULT, poll(guest_bad_pointer(), 1, 0));
    CHECK_EQ(0, poll(NULL, 0, 0));
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    const struct rlimit small = { 64, limit.rlim_max };
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &small));
    CHECK_ERR(EINVAL, poll(entries, 65, 0));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    guest_close_both(fds);
}

static void *poll_twice(void *argument)
{
    const int *fds = argument;
    struct pollfd entries[] = { { .fd = fds[0], .events = POLLIN },
                                { .fd = fds[2], .events = POLLIN } };
    int ready = (int)CHECK_OK(poll(entries, 2, -1));
    CHECK(ready >= 1);
    CHECK_EQ(POLLIN, entries[1].revents);
    CHECK_EQ(1, poll(entries, 1, -1));
    CHECK_EQ(POLLNVAL, entries[0].revents);
    return NULL;
}

/* fds[0] is closed under the sleeper; what wakes it is another pipe. */
static void closed_by_another_thread(void)
{
    int fds[4];
    struct guest_thread thread;
    guest_pipe(&fds[0]);
    guest_pipe(&fds[2]);
    guest_thread_start(&thread, poll_twice, fds);
    guest_thread_blocked(&thread);
    CHECK_OK(close(fds[0]));
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(fds[3], "x", 1));
    guest_thread_join(&thread);
    CHECK_OK(close(fds[1]));
    guest_close_both(&fds[2]);
}

static void no_entries_is_a_timer(void)
{
    int64_t start = guest_now_ms();
    CHECK_EQ(0, poll(NULL, 0, 30));
    CHECK(guest_now_ms() - start >= 29);
    struct pollfd ignored = { .fd = -1, .events = POLLIN };
    start = guest_now_ms();
    CHECK_EQ(0, poll(&ignored, 1, 30));
    CHECK(guest_now_ms() - start >= 29);
}

int main(void)
{
    guest_start();
    closed_and_negative();
    bad_arrays();
    closed_by_another_thread();
    no_entries_is_a_timer();
    return guest_end();
}
