/*
 * Proves: what poll and select do when a number they wait for is closed or replaced by another
 * thread: that alone doesn't end the call; the object counts as open meanwhile; when the old object
 * becomes ready, or the time is up, the number is looked at anew: POLLNVAL when it is closed, which
 * select calls readable, and the new object's state when it was replaced.
 *
 * Rows: 3.5 "poll() keeps the old file but re-reads the fd table", 6.2 "fd not open"
 */
#include "guest.h"

struct job {
    int fd;
    bool selects;
    int ready;
    int revents;
};

static void *wait_once(void *argument)
{
    struct job *job = argument;
    struct pollfd entry = { .fd = job->fd, .events = POLLIN };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(job->fd, &set);
    if (job->selects) {
        job->ready = select(job->fd + 1, &set, NULL, NULL, NULL);
        job->revents = FD_ISSET(job->fd, &set) ? POLLIN | POLLNVAL : 0;
    } else {
        job->ready = poll(&entry, 1, -1);
        job->revents = entry.revents;
    }
    return NULL;
}

static void open_channel(int type, int fds[2])
{
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
}

static void closed(int type, bool selects)
{
    int fds[2];
    struct guest_thread thread;
    open_channel(type, fds);
    struct job job = { .fd = fds[0], .selects = selects };
    guest_thread_start(&thread, wait_once, &job);
    guest_thread_blocked(&thread);
    CHECK_OK(close(fds[0]));
    guest_thread_blocked(&thread);
    CHECK_EQ(0, guest_poll(fds[1], 0, 0)); /* held by the waiting call */
    CHECK_EQ(1, write(fds[1], "x", 1));    /* that ends it */
    guest_thread_join(&thread);
    CHECK_EQ(1, job.ready); /* for select it is readable: POLLIN_SET has EPOLLNVAL (5.17) */
    CHECK(job.revents & POLLNVAL);
    CHECK(guest_poll(fds[1], 0, -1) & (type == 0 ? POLLERR : POLLHUP));
    CHECK_OK(close(fds[1]));
}

static void replaced(int type, bool selects)
{
    int fds[2], other[2];
    struct guest_thread thread;
    open_channel(type, fds);
    open_channel(type, other);
    struct job job = { .fd = fds[0], .selects = selects };
    guest_thread_start(&thread, wait_once, &job);
    guest_thread_blocked(&thread);
    CHECK_EQ(fds[0], dup2(other[0], fds[0]));
    guest_thread_blocked(&thread);
    CHECK_EQ(0, guest_poll(fds[1], 0, 0));
    CHECK_EQ(1, write(other[1], "o", 1));
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&thread);
    CHECK_EQ(1, job.ready);
    CHECK(job.revents & POLLIN);
    CHECK(guest_poll(fds[1], 0, -1) & (type == 0 ? POLLERR : POLLHUP));
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(fds[0]));
    guest_close_both(other);
}

static void *wait_a_while(void *argument)
{
    struct job *job = argument;
    struct pollfd entry = { .fd = job->fd, .events = POLLIN };
    job->ready = poll(&entry, 1, 300);
    job->revents = entry.revents;
    return NULL;
}

/* The time-out looks at the numbers once more: do_poll() goes round again. */
static void closed_until_the_time_out(int type)
{
    int fds[2];
    struct guest_thread thread;
    open_channel(type, fds);
    struct job job = { .fd = fds[0] };
    guest_thread_start(&thread, wait_a_while, &job);
    guest_thread_blocked(&thread);
    CHECK_OK(close(fds[0]));
    guest_thread_join(&thread);
    CHECK_EQ(1, job.ready);
    CHECK_EQ(POLLNVAL, job.revents);
    CHECK_OK(close(fds[1]));
}

int main(void)
{
    static const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int i = 0; i < 3; i++) {
        for (int selects = 0; selects < 2; selects++) {
            closed(types[i], selects);
            replaced(types[i], selects);
        }
        closed_until_the_time_out(types[i]);
    }
    return guest_end();
}
