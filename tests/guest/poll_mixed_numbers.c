/*
 * Proves: a wait over pipes and other descriptors together takes no number that the program would
 * get next.
 *
 * Rows: 5.2 "lowest free"
 */
#include <sys/eventfd.h>

#include "guest.h"

static void *wake(void *argument)
{
    const uint64_t one = 1;
    int fd = *(int *)argument;

    CHECK_EQ(8, write(fd, &one, sizeof one));
    return NULL;
}

int main(void)
{
    int fds[2];
    struct guest_thread waker;

    guest_start();
    guest_pipe(fds);
    int real = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC));
    struct pollfd entries[] = { { .fd = fds[0], .events = POLLIN },
                                { .fd = real, .events = POLLIN } };
    CHECK_EQ(0, poll(entries, 2, 20));
    guest_thread_start(&waker, wake, &real);
    CHECK_EQ(1, poll(entries, 2, -1));
    guest_thread_join(&waker);
    int next = (int)CHECK_OK(dup(0));
    CHECK_EQ(real + 1, next);
    CHECK_OK(close(next));
    CHECK_OK(close(real));
    guest_close_both(fds);
    return guest_end();
}
