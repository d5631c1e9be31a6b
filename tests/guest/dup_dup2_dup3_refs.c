/*
 * Proves: end-of-file and EPIPE come only when the last duplicate is closed, however it was made;
 * dup2 and dup3 over an emulated fd close what was there; duplicates share the stream position.
 *
 * Rows: 5.2 "F_DUPFD / _CLOEXEC min", 5.2 "dup2(old,old)", 5.2 "dup2/dup3 new <0 or >= limit",
 * 5.2 "dup3(old,old)", 5.2 "close(bad), close(-1)", 2.3 "read, empty, no writers"
 */
#include "guest.h"

static void last_duplicate_counts(int type)
{
    int fds[2], copies[5];
    char byte;
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    guest_set_nonblock(fds[0], true);
    copies[0] = (int)CHECK_OK(dup(fds[1]));
    copies[1] = (int)CHECK_OK(dup2(fds[1], 100));
    copies[2] = (int)CHECK_OK(dup3(fds[1], 101, O_CLOEXEC));
    copies[3] = (int)CHECK_OK(fcntl(fds[1], F_DUPFD, 102));
    copies[4] = (int)CHECK_OK(fcntl(fds[1], F_DUPFD_CLOEXEC, 102));
    CHECK_EQ(100, copies[1]);
    CHECK_EQ(101, copies[2]);
    CHECK_EQ(102, copies[3]);
    CHECK_EQ(103, copies[4]);
    CHECK_EQ(FD_CLOEXEC, fcntl(copies[2], F_GETFD));
    CHECK_EQ(0, fcntl(copies[3], F_GETFD));
    CHECK_EQ(FD_CLOEXEC, fcntl(copies[4], F_GETFD));
    CHECK_OK(close(fds[1]));
    for (int i = 0; i < 5; i++) {
        CHECK_ERR(EAGAIN, read(fds[0], &byte, 1));
        CHECK_EQ(1, write(copies[i], "x", 1));
        CHECK_EQ(1, read(fds[0], &byte, 1));
        CHECK_OK(close(copies[i]));
    }
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
}

static void dup2_closes_what_was_there(void)
{
    int first[2], second[2];
    char byte;
    guest_pipe(first);
    guest_pipe(second);
    CHECK_EQ(1, write(first[1], "1", 1));
    CHECK_EQ(1, write(second[1], "2", 1));
    CHECK_EQ(first[1], dup2(second[1], first[1]));
    CHECK_EQ(1, read(first[0], &byte, 1));
    CHECK_EQ(0, read(first[0], &byte, 1)); /* its last writer went by dup2 */
    CHECK_EQ(1, write(first[1], "3", 1));
    CHECK_EQ(first[0], dup3(second[0], first[0], 0));
    CHECK_EQ(1, read(first[0], &byte, 1));
    CHECK_EQ('2', byte);
    CHECK_OK(close(second[0]));
    CHECK_EQ(1, read(first[0], &byte, 1));
    CHECK_EQ('3', byte);
    CHECK_OK(close(second[1]));
    CHECK_OK(close(first[1]));
    CHECK_EQ(0, read(first[0], &byte, 1));
    CHECK_OK(close(first[0]));
}

static void over_and_under_other_files(void)
{
    int fds[2];
    char byte;
    int null = (int)CHECK_OK(open("/dev/null", O_RDWR));
    guest_pipe(fds);
    CHECK_EQ(fds[1], dup2(null, fds[1])); /* a native file over an emulated fd */
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(null, dup2(fds[0], null)); /* an emulated fd over a native file */
    CHECK_EQ(0, read(null, &byte, 1));
    guest_close_both(fds);
    CHECK_OK(close(null));
    /* A number freed by an emulated fd and taken by a file is that file. */
    guest_pipe(fds);
    CHECK_OK(close(fds[0]));
    null = (int)CHECK_OK(open("/dev/zero", O_RDONLY));
    CHECK_EQ(fds[0], null);
    CHECK_EQ(1, read(null, &byte, 1));
    CHECK_EQ(0, byte);
    CHECK_OK(close(null));
    CHECK_OK(close(fds[1]));
}

static void duplicates_share_data(void)
{
    int fds[2];
    char byte;
    guest_pair(SOCK_STREAM, fds);
    int copy = (int)CHECK_OK(dup(fds[0]));
    CHECK_EQ(3, write(fds[1], "abc", 3));
    CHECK_EQ(1, read(copy, &byte, 1));
    CHECK_EQ('a', byte);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ('b', byte);
    CHECK_OK(shutdown(copy, SHUT_RD));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(copy));
    guest_close_both(fds);
}

static void errors(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_EQ(fds[0], dup2(fds[0], fds[0]));
    CHECK_ERR(EINVAL, dup3(fds[0], fds[0], 0));
    CHECK_ERR(EINVAL, dup3(fds[0], 100, O_NONBLOCK));
    CHECK_ERR(EBADF, dup2(fds[0], -1));
    CHECK_ERR(EBADF, dup2(fds[0], 1 << 30));
    CHECK_ERR(EBADF, dup2(150, 151));
    CHECK_ERR(EBADF, dup2(150, 150));
    CHECK_ERR(EBADF, dup(150));
    CHECK_ERR(EINVAL, fcntl(fds[0], F_DUPFD, -1));
    CHECK_ERR(EINVAL, fcntl(fds[0], F_DUPFD, 1 << 30));
    guest_close_both(fds);
    CHECK_ERR(EBADF, close(fds[0]));
    CHECK_ERR(EBADF, close(-1));
    CHECK_ERR(EBADF, read(fds[0], &(char){ 0 }, 1));
}

int main(void)
{
    guest_start();
    last_duplicate_counts(0);
    last_duplicate_counts(SOCK_STREAM);
    dup2_closes_what_was_there();
    over_and_under_other_files();
    duplicates_share_data();
    errors();
    return guest_end();
}
