/*
 * Proves: pipe, socketpair, dup and F_DUPFD take the lowest free numbers; at RLIMIT_NOFILE they
 * fail with EMFILE, leave the array alone and leak nothing, and work again when a number is free.
 *
 * Rows: 2.1 "no two descriptors", 1.3 "EMFILE, nothing reserved", 1.3 "Lowest free numbers",
 * 5.2 "none free", 1.1 "no free descriptor"
 */
#include <sys/resource.h>

#include "guest.h"

static void lowest_numbers(void)
{
    int first[2], second[2], pair[2];
    guest_pipe(first);
    CHECK_EQ(3, first[0]);
    CHECK_EQ(4, first[1]);
    guest_pipe(second);
    CHECK_EQ(5, second[0]);
    CHECK_EQ(6, second[1]);
    CHECK_OK(close(first[0]));
    CHECK_OK(close(second[0]));
    guest_pair(SOCK_STREAM, pair); /* fills the gaps */
    CHECK_EQ(3, pair[0]);
    CHECK_EQ(5, pair[1]);
    CHECK_EQ(7, dup(pair[0]));
    CHECK_EQ(8, fcntl(pair[0], F_DUPFD, 4));
    CHECK_EQ(9, dup(0));
    CHECK_OK(close(4));
    CHECK_EQ(4, dup(pair[1]));
    closefrom(3);
}

static void limit_is_kept(void)
{
    struct rlimit limit;
    int fds[2] = { -7, -7 };
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    struct rlimit small = { 4, limit.rlim_max };
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &small));
    for (int i = 0; i < 100; i++) { /* one number is free: two are needed */
        CHECK_ERR(EMFILE, pipe(fds));
        CHECK_ERR(EMFILE, pipe2(fds, O_CLOEXEC));
        CHECK_ERR(EMFILE, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    }
    CHECK_EQ(-7, fds[0]);
    CHECK_EQ(-7, fds[1]);
    CHECK_EQ(3, dup(0));
    CHECK_ERR(EMFILE, dup(0));
    CHECK_ERR(EMFILE, fcntl(0, F_DUPFD, 0));
    CHECK_ERR(EMFILE, socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERR(EBADF, dup2(0, 4));
    CHECK_OK(close(3));
    small.rlim_cur = 5;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &small));
    guest_pipe(fds);
    CHECK_EQ(3, fds[0]);
    CHECK_EQ(4, fds[1]);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(fds[0], &(char){ 0 }, 1));
    CHECK_ERR(EMFILE, dup(fds[0]));
    guest_close_both(fds);
    guest_pair(SOCK_SEQPACKET, fds);
    CHECK_EQ(4, fds[1]);
    guest_close_both(fds);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
}

/* Open fds above a lowered limit stay usable. */
static void fds_above_the_limit_work(void)
{
    struct rlimit limit;
    int fds[2];
    char byte;
    guest_pipe(fds);
    CHECK_EQ(100, dup2(fds[0], 100));
    CHECK_EQ(101, dup2(fds[1], 101));
    guest_close_both(fds);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    const struct rlimit small = { 10, limit.rlim_max };
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &small));
    CHECK_EQ(1, write(101, "x", 1));
    CHECK_EQ(POLLIN, guest_poll(100, POLLIN, 0));
    CHECK_EQ(1, read(100, &byte, 1));
    CHECK_OK(close(101));
    CHECK_EQ(0, read(100, &byte, 1));
    CHECK_OK(close(100));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
}

int main(void)
{
    closefrom(3);
    guest_start();
    lowest_numbers();
    limit_is_kept();
    fds_above_the_limit_work();
    return guest_end();
}
