/*
 * Proves: records and packets written by hand-made system calls, past every libc symbol, come out
 * as the records and packets that they were, long ones and empty ones too.
 *
 * Rows: 2.4 "Each write makes its own slot(s)", 3.4 "MSG_TRUNC"
 */
#include "guest.h"

static long raw_write(int fd, const void *data, size_t size)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(1 /* SYS_write */), "D"((long)fd), "S"(data), "d"(size)
                     : "rcx", "r11", "memory");
    return result;
}

static void records(void)
{
    static char big[9000], got[10000];
    int fds[2];

    guest_pair(SOCK_SEQPACKET, fds);
    guest_pattern_fill((unsigned char *)big, sizeof big, 0);
    CHECK_EQ(9000, raw_write(fds[1], big, sizeof big));
    CHECK_EQ(3, raw_write(fds[1], "abc", 3));
    CHECK_EQ(0, raw_write(fds[1], "", 0));
    CHECK_EQ(1, raw_write(fds[1], "d", 1));
    CHECK_EQ(9000, read(fds[0], got, sizeof got));
    CHECK_MEM(big, got, sizeof big);
    CHECK_EQ(3, read(fds[0], got, sizeof got));
    CHECK_EQ(0, read(fds[0], got, sizeof got));
    CHECK_EQ(1, read(fds[0], got, sizeof got));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], got, sizeof got));
    CHECK_OK(close(fds[0]));
}

static void packets(void)
{
    static char data[3000], got[5000];
    int fds[2];

    CHECK_OK(pipe2(fds, O_DIRECT));
    CHECK_EQ(3000, raw_write(fds[1], data, sizeof data));
    CHECK_EQ(100, raw_write(fds[1], data, 100));
    CHECK_EQ(3000, read(fds[0], got, sizeof got));
    CHECK_EQ(100, read(fds[0], got, sizeof got));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    records();
    packets();
    return guest_end();
}
