/*
 * Proves: O_NONBLOCK belongs to the open file description: shared by dup and fork in both
 * directions, separate for the two ends; FIONBIO sets the same bit.
 *
 * Rows: 5.1 "sharing", 5.3 "FIONBIO", 2.1 "O_NONBLOCK is per end"
 */
#include "guest.h"

static void shared_by_dup(void)
{
    int fds[2], copy;
    char byte;
    guest_pipe(fds);
    copy = (int)CHECK_OK(dup(fds[0]));
    guest_set_nonblock(copy, true);
    CHECK_EQ(O_RDONLY | O_NONBLOCK, fcntl(fds[0], F_GETFL));
    CHECK_EQ(O_WRONLY, fcntl(fds[1], F_GETFL));
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1));
    CHECK_OK(close(copy));
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1));
    guest_close_both(fds);
}

static void child_sets_parent_sees(void)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_set_nonblock(fds[0], true);
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_EQ(O_RDONLY | O_NONBLOCK, fcntl(fds[0], F_GETFL));
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1));
    guest_close_both(fds);
}

static void child_clears_parent_blocks(void)
{
    int fds[2];
    char byte;
    CHECK_OK(pipe2(fds, O_NONBLOCK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_set_nonblock(fds[0], false);
        CHECK_EQ(O_WRONLY | O_NONBLOCK, fcntl(fds[1], F_GETFL));
        CHECK_EQ(1, write(fds[1], "r", 1));
        guest_process_blocked(getppid());
        CHECK_EQ(1, write(fds[1], "x", 1));
        _exit(0);
    }
    CHECK_EQ(POLLIN, guest_poll(fds[0], POLLIN, 10000));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(1, read(fds[0], &byte, 1)); /* blocks: the child made it so */
    CHECK_EQ('x', byte);
    guest_wait_exit(pid, 0);
    guest_close_both(fds);
}

static void fionbio_is_the_same_bit(int type)
{
    int fds[2], on = 1, off = 0;
    char byte;
    guest_pair(type, fds);
    int copy = (int)CHECK_OK(dup(fds[0]));
    CHECK_OK(ioctl(copy, FIONBIO, &on));
    CHECK_EQ(O_RDWR | O_NONBLOCK, fcntl(fds[0], F_GETFL));
    CHECK_EQ(O_RDWR, fcntl(fds[1], F_GETFL));
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1));
    CHECK_OK(ioctl(fds[0], FIONBIO, &off));
    CHECK_EQ(O_RDWR, fcntl(copy, F_GETFL));
    CHECK_OK(close(copy));
    guest_close_both(fds);
}

/* A blocked call has decided already: the flag counts at its next entry. */
static void *read_one(void *argument)
{
    char byte;
    CHECK_EQ(1, read(*(int *)argument, &byte, 1));
    CHECK_ERR(EAGAIN, read(*(int *)argument, &byte, 1));
    return NULL;
}

static void set_while_blocked(void)
{
    int fds[2];
    struct guest_thread reader;
    guest_pipe(fds);
    guest_thread_start(&reader, read_one, &fds[0]);
    guest_thread_blocked(&reader);
    guest_set_nonblock(fds[0], true);
    guest_thread_blocked(&reader);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&reader);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    shared_by_dup();
    child_sets_parent_sees();
    child_clears_parent_blocks();
    fionbio_is_the_same_bit(SOCK_STREAM);
    fionbio_is_the_same_bit(SOCK_SEQPACKET);
    set_while_blocked();
    return guest_end();
}
