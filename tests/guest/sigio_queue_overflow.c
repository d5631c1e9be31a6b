/*
 * Proves: when no more real-time signals can be queued (RLIMIT_SIGPENDING) the owner gets plain
 * SIGIO instead, from its own process and from another; those that were queued arrive.
 *
 * Rows: 5.4 "with F_SETSIG s", 5.4 "without F_SETSIG"
 */
#include "sigio.h"

#include <sys/resource.h>

enum { LIMIT = 20 };

/* Writes until SIGIO is pending. Returns the number of writes before that one. */
static int overflow(int fd)
{
    for (int writes = 0; writes < 100000; writes++) {
        sigset_t pending;
        CHECK_EQ(1, write(fd, "x", 1));
        CHECK_OK(sigpending(&pending));
        if (sigismember(&pending, SIGIO)) {
            return writes;
        }
    }
    CHECK(!"no overflow");
    return 0;
}

/* In a child: the limit counts a user's signals in all processes; fewer than 20 may fit. */
static void run(bool from_child)
{
    int fds[2];
    struct rlimit limit;
    guest_pipe(fds);
    CHECK_OK(getrlimit(RLIMIT_SIGPENDING, &limit));
    limit.rlim_cur = LIMIT;
    CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &limit));
    sigio_own(fds[0], SIGRTMIN + 1);
    int writes = LIMIT + 5;
    if (from_child) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            for (int i = 0; i < writes; i++) {
                CHECK_EQ(1, write(fds[1], "x", 1));
            }
            _exit(0);
        }
        guest_wait_exit(pid, 0);
    } else {
        writes = overflow(fds[1]);
        CHECK(writes <= LIMIT);
    }
    SIGIO_PLAIN(); /* the lower number comes first */
    int queued = sigio_count(SIGRTMIN + 1, POLL_IN);
    CHECK(queued <= LIMIT);
    if (!from_child) {
        CHECK_EQ(writes, queued);
    }
    guest_close_both(fds);
    _exit(0);
}

int main(void)
{
    guest_start();
    sigio_start();
    for (int i = 0; i < 2; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            run(i == 1);
        }
        guest_wait_exit(pid, 0);
    }
    return guest_end();
}
