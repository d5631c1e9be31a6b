/*
 * Proves: the errors of making an epoll instance and of waiting on one, and their order; a buffer
 * that faults when an event is delivered keeps that event, also an edge and a one-shot; what an
 * epoll descriptor answers to other calls.
 *
 * Rows: 6.3 "epoll_create(size<=0), epoll_create1", 6.3 "wait: maxevents<=0 or huge", 6.3 "wait on
 * non-epoll", 6.3 "epoll_pwait2 bad timespec, epoll_pwait sigsetsize != 8", 6.3 "read/write on an
 * epoll fd"
 */
#include <sys/epoll.h>
#include <sys/mman.h>

#include "guest.h"

enum { KERNEL_SIGSET = 8 }; /* sizeof(sigset_t) of the kernel, 64 signals */

static int ctl(int epoll, int op, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    return epoll_ctl(epoll, op, fd, &event);
}

static void creation(void)
{
    CHECK_ERR(EINVAL, epoll_create(0));
    CHECK_ERR(EINVAL, epoll_create(-1));
    CHECK_ERR(EINVAL, epoll_create1(1));
    CHECK_ERR(EINVAL, epoll_create1(O_NONBLOCK));
    CHECK_ERR(EINVAL, epoll_create1(EPOLL_CLOEXEC | 2));
    int first = (int)CHECK_OK(epoll_create(1)), second = (int)CHECK_OK(epoll_create1(0));
    int third = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_EQ(first + 1, second); /* the lowest free numbers */
    CHECK_EQ(second + 1, third);
    CHECK_EQ(0, fcntl(first, F_GETFD));
    CHECK_EQ(0, fcntl(second, F_GETFD));
    CHECK_EQ(FD_CLOEXEC, fcntl(third, F_GETFD));
    CHECK_OK(close(first));
    CHECK_OK(close(second));
    CHECK_OK(close(third));
}

/* Pointers and sizes that the compiler shall not see through: it warns of them. */
static void *kernel_pointer(void)
{
    static void *volatile high = (void *)-4096;
    return high;
}

static void *null_pointer(void)
{
    static void *volatile null = NULL;
    return null;
}

static int largest_count(void)
{
    static volatile int largest = INT_MAX / (int)sizeof(struct epoll_event); /* EP_MAX_EVENTS */
    return largest;
}

static void arguments(int epoll, int fd, int closed)
{
    struct epoll_event events[2];
    const int counts[] = { 0, -1, INT_MIN, INT_MAX, largest_count() + 1 };
    for (int i = 0; i < 5; i++) {
        CHECK_ERR(EINVAL, epoll_wait(epoll, events, counts[i], 0));
        CHECK_ERR(EINVAL, epoll_wait(fd, events, counts[i], 0));
        CHECK_ERR(EINVAL, epoll_wait(epoll, kernel_pointer(), counts[i], 0)); /* before EFAULT */
    }
    CHECK_EQ(0, epoll_wait(epoll, guest_bad_pointer(), largest_count(), 0)); /* a range it may be */
    CHECK_ERR(EFAULT, epoll_wait(epoll, kernel_pointer(), 1, 0)); /* with nothing to deliver */
    CHECK_ERR(EFAULT, epoll_wait(epoll, kernel_pointer(), 1, -1));
    CHECK_ERR(EFAULT, epoll_wait(fd, kernel_pointer(), 1, 0)); /* before "not an epoll" */
    CHECK_EQ(0, epoll_wait(epoll, guest_bad_pointer(), 1, 0));
    CHECK_EQ(0, epoll_wait(epoll, null_pointer(), 1, 0));
    CHECK_ERR(EINVAL, epoll_wait(fd, events, 2, 0));
    CHECK_ERR(EINVAL, epoll_wait(fd, guest_bad_pointer(), 2, -1));
    CHECK_ERR(EBADF, epoll_wait(closed, events, 2, 0));
    CHECK_ERR(EBADF, epoll_wait(-1, events, 2, -1));
    CHECK_ERR(EBADF, epoll_pwait(closed, events, 2, 0, NULL));
    CHECK_ERR(EBADF, epoll_pwait2(closed, events, 2, NULL, NULL));
    CHECK_ERR(EINVAL, epoll_pwait(fd, events, 2, 0, NULL));
    CHECK_ERR(EINVAL, epoll_pwait2(fd, events, 2, NULL, NULL));
    CHECK_ERR(EINVAL, epoll_pwait(epoll, events, 0, 0, NULL));
    CHECK_ERR(EINVAL, epoll_pwait2(epoll, events, 0, NULL, NULL));
}

static void masks_and_timespecs(int epoll, int closed)
{
    struct epoll_event event;
    sigset_t mask;
    const struct timespec bad[] = { { -1, 0 }, { 0, -1 }, { 0, 1000000000 } }, zero = { 0, 0 };
    sigemptyset(&mask);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(EINVAL, epoll_pwait2(epoll, &event, 1, &bad[i], NULL));
        CHECK_ERR(EINVAL, epoll_pwait2(closed, &event, 1, &bad[i], NULL)); /* before EBADF */
        CHECK_ERR(EINVAL, epoll_pwait2(epoll, &event, 1, &bad[i], guest_bad_pointer()));
    }
    CHECK_ERR(EFAULT, epoll_pwait2(epoll, &event, 1, guest_bad_pointer(), NULL));
    CHECK_ERR(EFAULT, epoll_pwait2(closed, &event, 1, guest_bad_pointer(), NULL));
    CHECK_ERR(EFAULT, epoll_pwait2(epoll, &event, 1, &zero, guest_bad_pointer()));
    CHECK_ERR(EFAULT, epoll_pwait(epoll, &event, 1, 0, guest_bad_pointer()));
    CHECK_ERR(EFAULT, epoll_pwait(closed, &event, 1, 0, guest_bad_pointer())); /* before EBADF */
    for (long size = 0; size <= 128; size += 4) {
        if (size == KERNEL_SIGSET) {
            CHECK_EQ(0, syscall(SYS_epoll_pwait, epoll, &event, 1, 0, &mask, size));
            CHECK_EQ(0, syscall(SYS_epoll_pwait2, epoll, &event, 1, &zero, &mask, size));
            continue;
        }
        CHECK_ERR(EINVAL, syscall(SYS_epoll_pwait, epoll, &event, 1, 0, &mask, size));
        CHECK_ERR(EINVAL, syscall(SYS_epoll_pwait, closed, &event, 1, 0, &mask, size));
        CHECK_ERR(EINVAL, syscall(SYS_epoll_pwait2, epoll, &event, 1, &zero, &mask, size));
        CHECK_EQ(0, syscall(SYS_epoll_pwait, epoll, &event, 1, 0, NULL, size)); /* not looked at */
    }
}

/* The event stays first in the list, whatever its kind, and comes with the next good buffer. */
static void fault_keeps_event(int epoll, const int fds[2], uint32_t kind)
{
    struct epoll_event event;
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN | kind));
    CHECK_EQ(1, write(fds[1], "x", 1));
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(EFAULT, epoll_wait(epoll, guest_bad_pointer(), 1, -1));
        CHECK_ERR(EFAULT, epoll_wait(epoll, null_pointer(), 1, 0));
    }
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
    CHECK_EQ(EPOLLIN, event.events);
    CHECK_EQ(kind == 0 ? 1 : 0, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_DEL, fds[0], 0));
    CHECK_EQ(1, read(fds[0], &event, 1));
}

/* Room for one event before a page that isn't there: it comes alone, the second one is kept. */
static void fault_at_second_event(int epoll, const int fds[2], const int more[2])
{
    struct epoll_event event;
    char *pages = mmap(NULL, 2 * GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    CHECK(pages != MAP_FAILED);
    CHECK_OK(mprotect(pages + GUEST_PAGE, GUEST_PAGE, PROT_NONE));
    struct epoll_event *last = (struct epoll_event *)(pages + GUEST_PAGE) - 1;
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET));
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_ADD, more[0], EPOLLIN | EPOLLET));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, write(more[1], "x", 1));
    CHECK_EQ(1, epoll_wait(epoll, last, 2, 0));
    CHECK_EQ(fds[0], last->data.fd);
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(more[0], event.data.fd);
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_DEL, fds[0], 0));
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_DEL, more[0], 0));
    CHECK_EQ(1, read(fds[0], &event, 1));
    CHECK_EQ(1, read(more[0], &event, 1));
    CHECK_OK(munmap(pages, 2 * GUEST_PAGE));
}

static void other_calls(int epoll)
{
    char byte = 0;
    int on = 1;
    CHECK_ERR(EINVAL, read(epoll, &byte, 1));
    CHECK_ERR(EINVAL, write(epoll, &byte, 1));
    CHECK_ERR(ENOTSOCK, recv(epoll, &byte, 1, 0));
    CHECK_EQ(0, lseek(epoll, 100, SEEK_SET));
    CHECK_EQ(O_RDWR, fcntl(epoll, F_GETFL));
    CHECK_EQ(0, ioctl(epoll, FIONBIO, &on));
    CHECK_EQ(O_RDWR | O_NONBLOCK, fcntl(epoll, F_GETFL));
    on = 0;
    CHECK_EQ(0, ioctl(epoll, FIONBIO, &on));
}

int main(void)
{
    guest_start();
    creation();
    const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < 3; i++) {
        int fds[2], more[2], gone = (int)CHECK_OK(dup(0)), epoll = (int)CHECK_OK(epoll_create1(0));
        if (types[i] == 0) {
            guest_pipe(fds);
        } else {
            guest_pair(types[i], fds);
        }
        guest_pipe(more);
        CHECK_OK(close(gone));
        CHECK_EQ(0, ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN));
        arguments(epoll, fds[0], gone);
        masks_and_timespecs(epoll, gone);
        other_calls(epoll);
        CHECK_EQ(0, ctl(epoll, EPOLL_CTL_DEL, fds[0], 0));
        fault_keeps_event(epoll, fds, 0);
        fault_keeps_event(epoll, fds, EPOLLET);
        fault_keeps_event(epoll, fds, EPOLLONESHOT);
        fault_at_second_event(epoll, fds, more);
        guest_close_both(fds);
        guest_close_both(more);
        CHECK_OK(close(epoll));
    }
    return guest_end();
}
