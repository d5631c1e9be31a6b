/*
 * Proves: select's three sets over several fds at once: the count is of bits, sets are rewritten in
 * place, fds above nfds are left out, and a set may be NULL.
 *
 * Rows: 6.2 "readable = IN|RDBAND|HUP|ERR", 6.2 "timeval updated", 6.2 "POLLRDHUP is invisible"
 */
#include "guest.h"

static void bits_are_counted(void)
{
    int data[2], quiet[2], pair[2];
    fd_set reads, writes, exceptions;
    struct timeval now = { 0, 0 };
    guest_pipe(data);
    guest_pipe(quiet);
    guest_pair(SOCK_STREAM, pair);
    CHECK_EQ(1, write(data[1], "x", 1));
    CHECK_EQ(1, write(pair[1], "x", 1));
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    FD_ZERO(&exceptions);
    FD_SET(data[0], &reads);
    FD_SET(quiet[0], &reads);
    FD_SET(pair[0], &reads);
    FD_SET(pair[0], &writes);
    FD_SET(data[1], &writes);
    FD_SET(pair[0], &exceptions);
    CHECK_EQ(4, select(pair[1] + 1, &reads, &writes, &exceptions, &now));
    CHECK(FD_ISSET(data[0], &reads));
    CHECK(!FD_ISSET(quiet[0], &reads));
    CHECK(FD_ISSET(pair[0], &reads));
    CHECK(FD_ISSET(pair[0], &writes));
    CHECK(FD_ISSET(data[1], &writes));
    CHECK(!FD_ISSET(pair[0], &exceptions));
    guest_close_both(data);
    guest_close_both(quiet);
    guest_close_both(pair);
}

static void above_nfds_is_left_out(void)
{
    int fds[2];
    fd_set reads;
    struct timeval now = { 0, 0 };
    guest_pipe(fds);
    CHECK_EQ(1, write(fds[1], "x", 1));
    FD_ZERO(&reads);
    FD_SET(fds[0], &reads);
    CHECK_EQ(0, select(fds[0], &reads, NULL, NULL, &now));
    CHECK(!FD_ISSET(fds[0], &reads)); /* whole words are written back */
    FD_SET(fds[0], &reads);
    CHECK_EQ(1, select(fds[0] + 1, &reads, NULL, NULL, &now));
    CHECK_EQ(0, select(0, NULL, NULL, NULL, &now));
    guest_close_both(fds);
}

static void hang_up_and_error(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(GUEST_READABLE, guest_select(fds[0])); /* HUP: readable, not writable */
    CHECK_OK(close(fds[0]));
    guest_pipe(fds);
    CHECK_OK(close(fds[0]));
    CHECK_EQ(GUEST_READABLE | GUEST_WRITABLE, guest_select(fds[1])); /* ERR: both */
    CHECK_OK(close(fds[1]));
}

static void remaining_time_is_stored(void)
{
    int fds[2];
    fd_set reads;
    struct timeval value = { 5, 0 };
    guest_pipe(fds);
    FD_ZERO(&reads);
    FD_SET(fds[0], &reads);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, select(fds[0] + 1, &reads, NULL, NULL, &value));
    CHECK(value.tv_sec == 4 || (value.tv_sec == 5 && value.tv_usec == 0));
    guest_close_both(fds);
}

/* High numbers: the sets are bit arrays of longs. */
static void high_numbers(void)
{
    int fds[2];
    guest_pipe(fds);
    int high = (int)CHECK_OK(fcntl(fds[0], F_DUPFD, 900));
    CHECK_EQ(0, guest_select(high));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(GUEST_READABLE, guest_select(high));
    CHECK_OK(close(high));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    bits_are_counted();
    above_nfds_is_left_out();
    hang_up_and_error();
    remaining_time_is_stored();
    high_numbers();
    return guest_end();
}
