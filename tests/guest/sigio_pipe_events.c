/*
 * Proves: which calls on a pipe with O_ASYNC send a signal, each exactly once: every write to the
 * reader's owner (also one that finds no room or a bad pointer), every read to the writer's (also
 * one that finds nothing), the last close to the other end's; nothing for empty transfers, for
 * F_SETPIPE_SZ, and for a read that is about to sleep.
 *
 * Rows: 5.4 "pipe: POLL_OUT on every read by the reader; POLL_IN on every write"
 */
#include "sigio.h"

static int in, out; /* the signals of the reading and the writing end */
static char buffer[GUEST_PIPE_SIZE * 2];

static void transfers(void)
{
    int fds[2];
    CHECK_OK(pipe2(fds, O_NONBLOCK));
    sigio_own(fds[0], in);
    sigio_own(fds[1], out);
    CHECK_EQ(2, write(fds[1], "xx", 2));
    SIGIO_IN(in, fds[0]);
    CHECK_EQ(0, write(fds[1], "", 0));
    SIGIO_NONE();
    CHECK_EQ(10000, write(fds[1], buffer, 10000)); /* three slots, one signal */
    SIGIO_IN(in, fds[0]);
    SIGIO_NONE();
    CHECK_EQ(1, read(fds[0], buffer, 1)); /* frees no slot */
    SIGIO_OUT(out, fds[1]);
    CHECK_EQ(0, read(fds[0], buffer, 0));
    SIGIO_NONE();
    CHECK_EQ(10001, read(fds[0], buffer, sizeof buffer));
    SIGIO_OUT(out, fds[1]);
    CHECK_ERR(EAGAIN, read(fds[0], buffer, 1));
    SIGIO_OUT(out, fds[1]);
    CHECK_EQ(GUEST_PIPE_SIZE, write(fds[1], buffer, sizeof buffer));
    SIGIO_IN(in, fds[0]);
    CHECK_ERR(EAGAIN, write(fds[1], buffer, 10));
    SIGIO_IN(in, fds[0]);
    CHECK_ERR(EFAULT, read(fds[0], guest_bad_pointer(), 10));
    SIGIO_OUT(out, fds[1]);
    CHECK_EQ(2 * GUEST_PIPE_SIZE, fcntl(fds[1], F_SETPIPE_SZ, 2 * GUEST_PIPE_SIZE));
    SIGIO_NONE();
    CHECK_ERR(EFAULT, write(fds[1], guest_bad_pointer(), 10));
    SIGIO_IN(in, fds[0]);
    SIGIO_NONE();
    guest_close_both(fds);
    SIGIO_OUT(out, fds[1]); /* the reader was closed first */
    SIGIO_NONE();
}

static void closes(void)
{
    int fds[2];
    guest_pipe(fds);
    sigio_own(fds[0], in);
    int copy = (int)CHECK_OK(dup(fds[1]));
    CHECK_OK(close(fds[1]));
    SIGIO_NONE();
    CHECK_OK(close(copy));
    SIGIO_IN(in, fds[0]);
    CHECK_EQ(0, read(fds[0], buffer, 1));
    SIGIO_NONE();
    CHECK_OK(close(fds[0]));
    guest_pipe(fds);
    sigio_own(fds[1], out);
    CHECK_OK(close(fds[0]));
    SIGIO_OUT(out, fds[1]);
    CHECK_OK(close(fds[1]));
    SIGIO_NONE();
}

static void *blocked_read(void *argument)
{
    char byte;
    CHECK_EQ(1, read(((int *)argument)[0], &byte, 1));
    return NULL;
}

static void *blocked_write(void *argument)
{
    CHECK_EQ(3 * GUEST_PAGE, write(((int *)argument)[1], buffer, 3 * (size_t)GUEST_PAGE));
    return NULL;
}

/* A write tells before each sleep and at its end, a read at its end alone. */
static void blocked(void)
{
    int fds[2];
    struct guest_thread thread;
    guest_pipe(fds);
    sigio_own(fds[0], in);
    sigio_own(fds[1], out);
    guest_thread_start(&thread, blocked_read, fds);
    guest_thread_blocked(&thread);
    SIGIO_NONE();
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&thread);
    SIGIO_IN(in, fds[0]);
    SIGIO_OUT(out, fds[1]);
    SIGIO_NONE();
    CHECK_EQ(GUEST_PIPE_SIZE - GUEST_PAGE, write(fds[1], buffer, GUEST_PIPE_SIZE - GUEST_PAGE));
    SIGIO_IN(in, fds[0]);
    guest_thread_start(&thread, blocked_write, fds);
    guest_thread_blocked(&thread); /* one page went in */
    SIGIO_IN(in, fds[0]);
    SIGIO_NONE();
    CHECK_EQ(2 * GUEST_PAGE, read(fds[0], buffer, 2 * (size_t)GUEST_PAGE));
    guest_thread_join(&thread);
    SIGIO_IN(in, fds[0]);
    SIGIO_OUT(out, fds[1]);
    SIGIO_NONE();
    sigio_off(fds[1]);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    sigio_start();
    in = SIGRTMIN + 1;
    out = SIGRTMIN + 2;
    transfers();
    closes();
    blocked();
    return guest_end();
}
