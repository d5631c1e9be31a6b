/*
 * helper_raw_close: closes the write end of a pipe by a hand-made system call, past every libc
 * symbol, and exits: what a `sockrig run --verify` must find. With an argument the close is libc's,
 * and there is nothing to find.
 */
#include <sys/syscall.h>
#include <unistd.h>

static long raw_close(int fd)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((long)SYS_close), "D"((long)fd)
                     : "rcx", "r11", "memory");
    return result;
}

int main(int argc, char **argv)
{
    int fds[2];
    (void)argv;
    if (pipe(fds) != 0) {
        return 2;
    }
    long result = argc > 1 ? close(fds[1]) : raw_close(fds[1]);
    return result == 0 ? 0 : 3;
}
