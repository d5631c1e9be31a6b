/*
 * Proves: the calls of the epoll family do the same by name and by number (syscall), also mixed on
 * one instance; a thread that sleeps in them can be cancelled, its clean-up handlers run and the
 * set stays whole; urgent data is an edge of its own interest.
 *
 * Rows: 6.3 "epoll_create(size<=0), epoll_create1(bits other than CLOEXEC)", 6.3 "wait:
 * maxevents<=0 or huge", 6.4 "LT: reported on every wait while ready", 6.4 "ET (EPOLLET): queued by
 * a wake-up"
 */
#include <sys/epoll.h>

#include "guest.h"

enum form { WAIT, PWAIT, PWAIT2, RAW_WAIT, RAW_PWAIT, RAW_PWAIT2, FORMS };

static void open_ends(int type, int fds[2])
{
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
}

static int wait_by(enum form form, int epoll, struct epoll_event *event, int timeout_ms)
{
    const struct timespec time = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
    const struct timespec *timeout = timeout_ms < 0 ? NULL : &time;
    const uint64_t mask = 0;
    switch (form) {
    case WAIT: return epoll_wait(epoll, event, 1, timeout_ms);
    case PWAIT: return epoll_pwait(epoll, event, 1, timeout_ms, NULL);
    case PWAIT2: return epoll_pwait2(epoll, event, 1, timeout, NULL);
    case RAW_WAIT: return (int)syscall(SYS_epoll_wait, epoll, event, 1, timeout_ms);
    case RAW_PWAIT:
        return (int)syscall(SYS_epoll_pwait, epoll, event, 1, timeout_ms, &mask, sizeof mask);
    default: return (int)syscall(SYS_epoll_pwait2, epoll, event, 1, timeout, &mask, sizeof mask);
    }
}

static int create_by(int way)
{
    switch (way) {
    case 0: return epoll_create(7);
    case 1: return epoll_create1(0);
    case 2: return (int)syscall(SYS_epoll_create, 1);
    default: return (int)syscall(SYS_epoll_create1, EPOLL_CLOEXEC);
    }
}

struct sleeper {
    enum form form;
    int epoll;
};

static void *sleep_by(void *argument)
{
    const struct sleeper *sleeper = argument;
    struct epoll_event event;
    CHECK_EQ(1, wait_by(sleeper->form, sleeper->epoll, &event, -1));
    CHECK_EQ(EPOLLIN, event.events);
    return NULL;
}

static void by_name_and_by_number(int type, int way)
{
    int fds[2], epoll = (int)CHECK_OK(create_by(way));
    char byte;
    struct guest_thread thread;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = 77 };
    open_ends(type, fds);
    CHECK_EQ(way == 3 ? FD_CLOEXEC : 0, fcntl(epoll, F_GETFD));
    if (way % 2 == 0) {
        CHECK_OK(syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fds[0], &event));
        CHECK_ERR(EEXIST, epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    } else {
        CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
        CHECK_ERR(EEXIST, syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fds[0], &event));
    }
    for (int form = 0; form < FORMS; form++) {
        struct sleeper sleeper = { .form = (enum form)form, .epoll = epoll };
        CHECK_EQ(0, wait_by((enum form)form, epoll, &event, 0));
        CHECK_EQ(0, wait_by((enum form)form, epoll, &event, 2));
        guest_thread_start(&thread, sleep_by, &sleeper);
        guest_thread_blocked(&thread);
        CHECK_EQ(1, write(fds[1], "x", 1));
        guest_thread_join(&thread);
        CHECK_EQ(1, wait_by((enum form)form, epoll, &event, 0));
        CHECK_EQ(77, event.data.u64);
        CHECK_EQ(1, read(fds[0], &byte, 1));
    }
    CHECK_OK(syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_DEL, fds[0], NULL));
    CHECK_ERR(EINVAL, syscall(SYS_epoll_create, 0));
    CHECK_ERR(EINVAL, syscall(SYS_epoll_create1, 1));
    CHECK_ERR(EINVAL, syscall(SYS_epoll_wait, epoll, &event, 0, 0));
    CHECK_ERR(EBADF, syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_DEL, -1, NULL));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static atomic_int cleaned_up;

static void clean_up(void *argument)
{
    (void)argument;
    atomic_fetch_add(&cleaned_up, 1);
}

static void *sleep_till_cancelled(void *argument)
{
    const struct sleeper *sleeper = argument;
    struct epoll_event event;
    pthread_cleanup_push(clean_up, NULL);
    wait_by(sleeper->form, sleeper->epoll, &event, -1);
    CHECK(!"epoll_wait returned");
    pthread_cleanup_pop(0);
    return NULL;
}

/* glibc's functions are cancellation points, syscall() isn't. */
static void cancelled(int type)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    char byte;
    struct guest_thread thread;
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = 77 };
    open_ends(type, fds);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    for (int form = WAIT; form <= PWAIT2; form++) {
        struct sleeper sleeper = { .form = (enum form)form, .epoll = epoll };
        atomic_store(&cleaned_up, 0);
        guest_thread_start(&thread, sleep_till_cancelled, &sleeper);
        guest_thread_blocked(&thread);
        CHECK_ZERO(pthread_cancel(thread.pthread));
        CHECK_EQ((intptr_t)PTHREAD_CANCELED, (intptr_t)guest_thread_join(&thread));
        CHECK_EQ(1, atomic_load(&cleaned_up));
        CHECK_EQ(1, write(fds[1], "x", 1)); /* not eaten by the one who is gone */
        sleeper.form = WAIT;
        sleep_by(&sleeper);
        CHECK_EQ(1, read(fds[0], &byte, 1));
    }
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static void urgent_data(void)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    char byte;
    struct epoll_event event = { .events = EPOLLPRI | EPOLLET };
    guest_pair(SOCK_STREAM, fds);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_EQ(1, write(fds[1], "x", 1)); /* its key says PRI, too, but it isn't true */
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(1, send(fds[1], "!", 1, MSG_OOB));
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(EPOLLPRI, event.events);
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(1, write(fds[1], "y", 1)); /* true still: an edge reports it again */
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(EPOLLPRI, event.events);
    CHECK_EQ(1, recv(fds[0], &byte, 1, MSG_OOB));
    CHECK_EQ('!', byte);
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < 3; i++) {
        for (int way = 0; way < 4; way++) {
            by_name_and_by_number(types[i], way);
        }
        cancelled(types[i]);
    }
    urgent_data();
    return guest_end();
}
