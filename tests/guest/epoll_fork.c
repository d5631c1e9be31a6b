/*
 * Proves: fork shares an epoll instance: an entry that the child adds, changes or deletes is the
 * parent's, too; the child's writes wake the parent's wait and the other way round; an entry stays
 * while a forked copy of its description lives, and goes with the child that held the last one.
 *
 * Rows: 6.4 "fork shares the epoll set: a child's DEL removes the parent's entry", 6.4 "Closing a
 * registered fd while a dup (or a forked copy) keeps the description alive", 6.4 "When the last
 * reference closes, the entry vanishes"
 */
#include <sys/epoll.h>

#include "guest.h"

enum kind { PIPE, STREAM, SEQPACKET, KINDS };

static void open_kind(enum kind kind, int fds[2])
{
    if (kind == PIPE) {
        guest_pipe(fds);
    } else {
        guest_pair(kind == STREAM ? SOCK_STREAM : SOCK_SEQPACKET, fds);
    }
}

static int ctl(int epoll, int op, int fd, uint32_t events, int data)
{
    struct epoll_event event = { .events = events, .data.fd = data };
    return epoll_ctl(epoll, op, fd, &event);
}

/* The data of the event that comes within the time, -1: none. Its bits must be these. */
static int wait_data(int epoll, uint32_t events, int timeout_ms)
{
    struct epoll_event event[2];
    int count = (int)CHECK_OK(epoll_wait(epoll, event, 2, timeout_ms));
    if (count == 0) {
        return -1;
    }
    CHECK_EQ(1, count);
    CHECK_EQ(events, event[0].events);
    return event[0].data.fd;
}

static void child_changes_the_set(enum kind kind)
{
    int fds[2], more[2], epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    open_kind(kind, fds);
    open_kind(kind, more);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, write(more[1], "x", 1));
    CHECK_EQ(1, wait_data(epoll, EPOLLIN, 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(1, wait_data(epoll, EPOLLIN, 0));
        CHECK_ERR(EEXIST, ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 9));
        CHECK_OK(ctl(epoll, EPOLL_CTL_DEL, fds[0], 0, 0));
        CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, more[0], EPOLLIN, 2));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_EQ(2, wait_data(epoll, EPOLLIN, 0));
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_DEL, fds[0], 0, 0));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, more[0], EPOLLIN | EPOLLET, 3)); /* the same key here */
    CHECK_EQ(3, wait_data(epoll, EPOLLIN, 0));
    CHECK_EQ(-1, wait_data(epoll, EPOLLIN, 0));
    guest_close_both(fds);
    guest_close_both(more);
    CHECK_OK(close(epoll));
}

/* An edge is reported to one process of the family, once. */
static void one_list_for_both(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET, 1));
    CHECK_EQ(1, write(fds[1], "x", 1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(1, wait_data(epoll, EPOLLIN, -1));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_EQ(-1, wait_data(epoll, EPOLLIN, 0));
    CHECK_EQ(1, write(fds[1], "y", 1));
    CHECK_EQ(1, wait_data(epoll, EPOLLIN, 0));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* The parent sleeps in the wait when the child, who has the instance, too, writes. */
static void child_wakes_parent(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    char byte;
    open_kind(kind, fds);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    pid_t parent = getpid(), pid = guest_fork();
    if (pid == 0) {
        for (int i = 0; i < 3; i++) {
            guest_process_blocked(parent);
            CHECK_EQ(1, write(fds[1], "x", 1));
            while (wait_data(epoll, EPOLLIN, 0) == 1) { /* until the parent has read it */
                sched_yield();
            }
        }
        _exit(0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(1, wait_data(epoll, EPOLLIN, -1));
        CHECK_EQ(1, read(fds[0], &byte, 1));
    }
    guest_wait_exit(pid, 0);
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* The child sleeps, the parent closes its own numbers and writes. */
static void parent_wakes_child(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[1]));
        CHECK_EQ(1, wait_data(epoll, EPOLLIN, -1));
        char byte;
        CHECK_EQ(1, read(fds[0], &byte, 1));
        CHECK_EQ(1, wait_data(epoll, kind == PIPE ? EPOLLHUP : EPOLLIN | EPOLLHUP, -1));
        _exit(0);
    }
    CHECK_OK(close(epoll));
    CHECK_OK(close(fds[0]));
    guest_process_blocked(pid);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_process_blocked(pid);
    CHECK_OK(close(fds[1]));
    guest_wait_exit(pid, 0);
}

/* What the child made after the fork the parent can't name, but it hears of it. */
static void childs_own_description(enum kind kind)
{
    int hold[2], epoll = (int)CHECK_OK(epoll_create1(0));
    char byte;
    guest_pipe(hold);
    pid_t pid = guest_fork();
    if (pid == 0) {
        int own[2];
        CHECK_OK(close(hold[1]));
        open_kind(kind, own);
        CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, own[0], EPOLLIN, 7));
        CHECK_EQ(1, write(own[1], "x", 1));
        CHECK_EQ(0, read(hold[0], &byte, 1));
        _exit(0);
    }
    CHECK_OK(close(hold[0]));
    CHECK_EQ(7, wait_data(epoll, EPOLLIN, -1));
    CHECK_EQ(7, wait_data(epoll, EPOLLIN, 0));
    CHECK_OK(close(hold[1]));
    guest_wait_exit(pid, 0);
    CHECK_EQ(-1, wait_data(epoll, EPOLLIN, 0)); /* gone with the child */
    CHECK_OK(close(epoll));
}

/* The forked copy keeps the entry; kill it, and the entry is gone. */
static void forked_copy_keeps_the_entry(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    CHECK_OK(close(fds[0]));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, wait_data(epoll, EPOLLIN, 0));
    CHECK_ERR(EBADF, ctl(epoll, EPOLL_CTL_DEL, fds[0], 0, 0));
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    CHECK_EQ(-1, wait_data(epoll, EPOLLIN, 0));
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        child_changes_the_set((enum kind)kind);
        one_list_for_both((enum kind)kind);
        child_wakes_parent((enum kind)kind);
        parent_wakes_child((enum kind)kind);
        childs_own_description((enum kind)kind);
        forked_copy_keeps_the_entry((enum kind)kind);
    }
    return guest_end();
}
