/*
 * Proves: with RLIMIT_NOFILE of 16, from the start of the image or set later, pipes and sockets
 * work, a child and a new image have them, threads sleep and are woken, and when the numbers are
 * used up there is EMFILE and nothing else breaks.
 *
 * Rows: 3.2 "EMFILE"
 */
#include "guest.h"

#include <sys/resource.h>

#define LIMIT 16

static void limit_numbers(void)
{
    const struct rlimit limit = { LIMIT, LIMIT };
    CHECK_ZERO(setrlimit(RLIMIT_NOFILE, &limit));
}

static void *write_when_blocked(void *argument)
{
    const int *fds = argument;
    guest_wait_blocked(getpid(), getpid());
    CHECK_EQ(1, write(fds[1], "w", 1));
    return NULL;
}

/* Sleeps long enough for whatever a sleeper does when it sleeps for long. */
static void sleep_and_wake(void)
{
    struct guest_thread thread;
    struct pollfd one;
    int fds[2];
    char byte;

    guest_pipe(fds);
    guest_thread_start(&thread, write_when_blocked, fds);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    guest_thread_join(&thread);
    guest_thread_start(&thread, write_when_blocked, fds);
    one = (struct pollfd){ .fd = fds[0], .events = POLLIN };
    CHECK_EQ(1, poll(&one, 1, -1));
    guest_thread_join(&thread);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    guest_close_both(fds);
}

static void talk_to_child(void)
{
    int fds[2];
    char byte;

    guest_pair(SOCK_STREAM, fds);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_EQ(1, read(fds[1], &byte, 1));
        CHECK_EQ(1, write(fds[1], &byte, 1));
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(1, write(fds[0], "t", 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
    guest_wait_exit(child, 0);
}

/* All numbers are used: EMFILE, and what is there goes on. Two pipes fit at least. */
static void use_them_up(void)
{
    int fds[LIMIT][2];
    int count = 0;
    char byte;

    while (count < LIMIT && pipe(fds[count]) == 0) {
        CHECK(fds[count][0] < LIMIT && fds[count][1] < LIMIT);
        count++;
    }
    CHECK_EQ(EMFILE, errno);
    CHECK(count >= 2);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(1, write(fds[i][1], "u", 1));
    }
    for (int i = 0; i < count; i++) {
        CHECK_EQ(1, read(fds[i][0], &byte, 1));
        guest_close_both(fds[i]);
    }
}

static void all_of_it(void)
{
    sleep_and_wake();
    talk_to_child();
    use_them_up();
    talk_to_child();
}

static void limited_later(char *name)
{
    int fds[2];
    char number[16];

    sleep_and_wake();
    guest_pipe(fds);
    limit_numbers();
    all_of_it();
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(close(fds[1]));
        snprintf(number, sizeof number, "%d", fds[0]);
        execl("/proc/self/exe", name, number, NULL);
        _exit(1);
    }
    CHECK_EQ(1, write(fds[1], "e", 1));
    guest_close_both(fds);
    guest_wait_exit(child, 0);
}

int main(int argc, char **argv)
{
    char byte;

    guest_start();
    if (argc > 1) { /* the new image: it has the reading end */
        int fd = atoi(argv[1]);
        CHECK_EQ(1, read(fd, &byte, 1));
        CHECK_EQ(0, read(fd, &byte, 1));
        CHECK_OK(close(fd));
        all_of_it();
        return 0;
    }
    pid_t child = guest_fork(); /* limited before it has any */
    if (child == 0) {
        limit_numbers();
        all_of_it();
        _exit(0);
    }
    guest_wait_exit(child, 0);
    child = guest_fork(); /* and limited later */
    if (child == 0) {
        limited_later(argv[0]);
        _exit(0);
    }
    guest_wait_exit(child, 0);
    return guest_end();
}
