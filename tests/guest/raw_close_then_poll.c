/*
 * Proves: a program that closes every descriptor above those it uses, by system calls of its own,
 * is woken from the poll it sleeps in; and when it then puts a file of its own on many of these
 * numbers, it can sleep in poll again and be woken by a child, and its file is neither read nor
 * written.
 *
 * Rows: 3.6 "connected, idle, send buffer ok"
 */
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "guest.h"

enum { FIRST = 400, LAST = 1100, TAKEN_LOW = 520 };

static int fds[2], real;

/* No symbol of libc. */
static long raw_call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static void *sleep_in_poll(void *argument)
{
    struct pollfd both[2] = { { .fd = fds[0], .events = POLLIN },
                              { .fd = real, .events = POLLIN } };
    char byte;
    (void)argument;
    CHECK_EQ(1, poll(both, 2, -1));
    CHECK_EQ(POLLIN, both[0].revents);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    return NULL;
}

/* A FIFO on every number where it fits: whoever writes to one of them leaves a byte here. */
static int take_numbers(void)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/raw_close_%d", getpid());
    CHECK_OK(mkfifo(path, 0600));
    int file = (int)CHECK_OK(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
    CHECK_OK(unlink(path));
    for (long fd = FIRST; fd < LAST; fd++) {
        if (fd < TAKEN_LOW || fd >= 1000) {
            raw_call(SYS_dup3, file, fd, O_CLOEXEC); /* may be above the limit */
        }
    }
    return file;
}

static void close_numbers(void)
{
    for (long fd = FIRST; fd < LAST; fd++) {
        raw_call(SYS_close, fd, 0, 0);
    }
}

static void check_unread(int file)
{
    int count = -1;
    CHECK_OK(ioctl(file, FIONREAD, &count));
    CHECK_EQ(0, count);
}

static void wake_by_child(struct guest_thread *thread)
{
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_EQ(1, write(fds[1], "x", 1));
        _exit(0);
    }
    guest_thread_join(thread);
    guest_wait_exit(child, 0);
}

int main(void)
{
    struct guest_thread thread;
    guest_start();
    guest_pipe(fds);
    real = (int)CHECK_OK(eventfd(0, 0));
    for (int round = 0; round < 4; round++) {
        guest_thread_start(&thread, sleep_in_poll, NULL);
        guest_thread_blocked(&thread);
        close_numbers();
        CHECK_EQ(1, write(fds[1], "x", 1));
        guest_thread_join(&thread);
        int file = take_numbers();
        guest_thread_start(&thread, sleep_in_poll, NULL);
        guest_thread_blocked(&thread);
        wake_by_child(&thread);
        check_unread(file);
        close_numbers();
        CHECK_OK(close(file));
        sleep_in_poll((CHECK_EQ(1, write(fds[1], "x", 1)), NULL));
    }
    guest_close_both(fds);
    CHECK_OK(close(real));
    return guest_end();
}
