/*
 * Proves: bytes written by hand-made system calls (inline assembly, past every libc symbol) into a
 * pipe or socket come out of read in order, when nothing else lies in it; also from a child; a
 * hand-made close of the last write end is end-of-file.
 *
 * Rows: 2.2 "Write of n>0 bytes", 3.4 "data queued", 2.3 "read, empty, no writers"
 */
#include "guest.h"

static long raw_call(long number, long first, long second, long third)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

static long raw_write(int fd, const char *text)
{
    return raw_call(SYS_write, fd, (long)text, (long)strlen(text));
}

static void open_channel(int type, int fds[2])
{
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
}

static void alternating(int type)
{
    int fds[2];
    char buffer[16];
    open_channel(type, fds);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(3, raw_write(fds[1], "raw"));
        CHECK_EQ(3, read(fds[0], buffer, sizeof buffer));
        CHECK_MEM("raw", buffer, 3);
        CHECK_EQ(4, write(fds[1], "libc", 4));
        CHECK_EQ(4, read(fds[0], buffer, sizeof buffer));
        CHECK_MEM("libc", buffer, 4);
    }
    guest_close_both(fds);
}

static void from_a_child(int type)
{
    int fds[2];
    char buffer[16];
    open_channel(type, fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(5, raw_write(fds[1], "child"));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_EQ(5, read(fds[0], buffer, sizeof buffer));
    CHECK_MEM("child", buffer, 5);
    guest_close_both(fds);
}

static void then_end_of_file(int type)
{
    int fds[2];
    char buffer[16];
    open_channel(type, fds);
    CHECK_EQ(4, raw_write(fds[1], "last"));
    CHECK_EQ(0, raw_call(SYS_close, fds[1], 0, 0));
    CHECK_EQ(4, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    static const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int i = 0; i < 3; i++) {
        alternating(types[i]);
        then_end_of_file(types[i]);
    }
    from_a_child(0);
    from_a_child(SOCK_STREAM);
    return guest_end();
}
