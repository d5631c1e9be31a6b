/*
 * Proves: select's errors beside emulated fds: EBADF for a closed number (sets untouched), EINVAL
 * for a negative nfds or time, EFAULT; bits beyond the fd table are no error.
 *
 * Rows: 6.2 "nfds<0 or bad timeval (negative)", 6.2 "a set bit of a closed fd below the table size"
 */
#include "guest.h"

static void closed_number(void)
{
    int fds[2], gone[2];
    fd_set reads, writes;
    struct timeval now = { 0, 0 };
    guest_pipe(fds);
    guest_pipe(gone);
    guest_close_both(gone);
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    FD_SET(fds[0], &reads);
    FD_SET(gone[0], &reads);
    FD_SET(fds[1], &writes);
    CHECK_ERR(EBADF, select(gone[1] + 1, &reads, &writes, NULL, &now));
    CHECK(FD_ISSET(fds[0], &reads));
    CHECK(FD_ISSET(gone[0], &reads));
    CHECK(FD_ISSET(fds[1], &writes));
    CHECK_EQ(0, select(gone[0], &reads, NULL, NULL, &now)); /* beyond nfds: not looked at */
    guest_close_both(fds);
}

static void bad_values(void)
{
    int fds[2];
    fd_set reads;
    struct timeval now = { 0, 0 }, negative = { -1, 0 }, negative_us = { 0, -1 };
    guest_pipe(fds);
    FD_ZERO(&reads);
    FD_SET(fds[0], &reads);
    CHECK_ERR(EINVAL, select(-1, &reads, NULL, NULL, &now));
    CHECK_ERR(EINVAL, select(fds[0] + 1, &reads, NULL, NULL, &negative));
    CHECK_ERR(EINVAL, select(fds[0] + 1, &reads, NULL, NULL, &negative_us));
    CHECK(FD_ISSET(fds[0], &reads));
    CHECK_ERR(EFAULT, select(fds[0] + 1, guest_bad_pointer(), NULL, NULL, &now));
    guest_close_both(fds);
}

static void microseconds_carry_over(void)
{
    int fds[2];
    fd_set reads;
    struct timeval value = { 0, 1030000 }; /* over a second of microseconds is accepted */
    guest_pipe(fds);
    CHECK_EQ(1, write(fds[1], "x", 1));
    FD_ZERO(&reads);
    FD_SET(fds[0], &reads);
    CHECK_EQ(1, select(fds[0] + 1, &reads, NULL, NULL, &value));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    closed_number();
    bad_values();
    microseconds_carry_over();
    return guest_end();
}
