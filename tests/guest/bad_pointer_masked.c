/*
 * Proves: a bad pointer is EFAULT also in a thread that blocks every signal, and did so before
 * there was a descriptor: in the first thread, and in one that began blocked.
 *
 * Rows: 2.3 "EFAULT: in a read, slots are the unit"
 */
#include "guest.h"

static int fds[2];

static void *read_badly(void *argument)
{
    (void)argument;
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_ERR(EFAULT, read(fds[0], guest_bad_pointer(), 1));
    CHECK_ERR(EFAULT, write(fds[1], guest_bad_pointer(), 1));
    CHECK_EQ(1, read(fds[0], (char[1]){ 0 }, 1));
    return NULL;
}

int main(void)
{
    struct guest_thread thread;
    sigset_t all;
    guest_start();
    sigfillset(&all);
    CHECK_OK(sigprocmask(SIG_BLOCK, &all, NULL));
    guest_pipe(fds);
    read_badly(NULL);
    guest_thread_start(&thread, read_badly, NULL);
    guest_thread_join(&thread);
    guest_close_both(fds);
    return guest_end();
}
