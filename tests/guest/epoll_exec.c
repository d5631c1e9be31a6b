/*
 * Proves: an epoll instance without FD_CLOEXEC goes through exec with its entries: the new image
 * waits on it, changes it and is woken by the old family; entries of ends that exec closed vanish
 * when nobody else holds them, and stay armed when the parent does. With EPOLL_CLOEXEC it is gone.
 *
 * Rows: 6.3 "epoll_create(size<=0), epoll_create1(bits other than CLOEXEC)", 6.4 "fork shares the
 * epoll set", 6.4 "Closing a registered fd while a dup (or a forked copy) keeps the description
 * alive"
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

/* The one event's data; -1: none came within the time. */
static int wait_data(int epoll, int timeout_ms)
{
    struct epoll_event events[2];
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 2, timeout_ms));
    CHECK(count <= 1);
    return count == 0 ? -1 : events[0].data.fd;
}

enum { FD_EPOLL, FD_CLOSED_EPOLL, FD_KEPT, FD_GONE, FD_ANSWER, FDS };

/* In the new image: what of the old one is there, and does it still work? */
static int new_image(char **argv)
{
    int fds[FDS];
    char byte;
    for (int i = 0; i < FDS; i++) {
        fds[i] = atoi(argv[i + 2]);
    }
    CHECK_ERR(EBADF, fcntl(fds[FD_CLOSED_EPOLL], F_GETFD));
    CHECK_ERR(EBADF, fcntl(fds[FD_GONE], F_GETFD));
    CHECK_EQ(1, wait_data(fds[FD_EPOLL], 0)); /* the kept end, readable since before exec */
    CHECK_EQ(1, read(fds[FD_KEPT], &byte, 1));
    CHECK_EQ(-1, wait_data(fds[FD_EPOLL], 0));
    CHECK_ERR(EEXIST, ctl(fds[FD_EPOLL], EPOLL_CTL_ADD, fds[FD_KEPT], EPOLLIN, 4));
    CHECK_OK(ctl(fds[FD_EPOLL], EPOLL_CTL_MOD, fds[FD_KEPT], EPOLLIN, 5));
    CHECK_EQ(1, write(fds[FD_ANSWER], "a", 1));
    CHECK_EQ(5, wait_data(fds[FD_EPOLL], -1)); /* woken by the parent */
    CHECK_EQ(1, read(fds[FD_KEPT], &byte, 1));
    CHECK_EQ(1, write(fds[FD_ANSWER], "b", 1));
    CHECK_EQ(2, wait_data(fds[FD_EPOLL], -1)); /* of the end that this image doesn't have */
    CHECK_ERR(EBADF, ctl(fds[FD_EPOLL], EPOLL_CTL_DEL, fds[FD_GONE], 0, 0));
    CHECK_OK(ctl(fds[FD_EPOLL], EPOLL_CTL_DEL, fds[FD_KEPT], 0, 0));
    return 0;
}

static void become_new_image(const int fds[FDS])
{
    char text[FDS][12];
    char *arguments[FDS + 3] = { "epoll_exec", "child" };
    for (int i = 0; i < FDS; i++) {
        snprintf(text[i], sizeof text[i], "%d", fds[i]);
        arguments[i + 2] = text[i];
    }
    execv("/proc/self/exe", arguments);
    CHECK(!"execv returned");
}

static void through_exec(enum kind kind)
{
    int kept[2], gone[2], own[2], answer[2];
    char byte;
    int epoll = (int)CHECK_OK(epoll_create1(0));
    int closed_epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    open_kind(kind, kept);
    open_kind(kind, gone);
    guest_pipe(answer);
    CHECK_OK(fcntl(gone[0], F_SETFD, FD_CLOEXEC));
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, kept[0], EPOLLIN, 1));
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, gone[0], EPOLLIN, 2));
    CHECK_EQ(1, write(kept[1], "x", 1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        open_kind(kind, own);
        CHECK_OK(fcntl(own[0], F_SETFD, FD_CLOEXEC));
        CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, own[0], EPOLLIN, 3));
        CHECK_EQ(1, write(own[1], "x", 1)); /* exec is its last close: never reported after */
        const int fds[FDS] = { epoll, closed_epoll, kept[0], gone[0], answer[1] };
        become_new_image(fds);
    }
    CHECK_OK(close(answer[1]));
    CHECK_EQ(1, read(answer[0], &byte, 1));
    guest_process_blocked(pid);
    CHECK_EQ(1, write(kept[1], "y", 1));
    CHECK_EQ(1, read(answer[0], &byte, 1));
    guest_process_blocked(pid);
    CHECK_EQ(1, write(gone[1], "z", 1));
    guest_wait_exit(pid, 0);
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_DEL, kept[0], 0, 0)); /* the new image took it out */
    CHECK_EQ(2, wait_data(epoll, 0));
    CHECK_OK(close(answer[0]));
    guest_close_both(kept);
    guest_close_both(gone);
    CHECK_OK(close(epoll));
    CHECK_OK(close(closed_epoll));
}

/* A program that knows nothing of epoll holds the set: the parent, asleep, hears its writes. */
static void strangers_image_writes(enum kind kind)
{
    int fds[2], hold[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    guest_pipe(hold);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(dup2(hold[0], 0));
        CHECK_OK(dup2(fds[1], 1));
        guest_close_both(hold);
        guest_close_both(fds);
        execl("/bin/cat", "cat", (char *)NULL);
        CHECK(!"execl returned");
    }
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(hold[0]));
    CHECK_EQ(1, write(hold[1], "x", 1));
    CHECK_EQ(1, wait_data(epoll, -1));
    char byte;
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(-1, wait_data(epoll, 0));
    CHECK_OK(close(hold[1]));
    CHECK_EQ(1, wait_data(epoll, -1)); /* cat has ended */
    CHECK_EQ(0, read(fds[0], &byte, 1));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return new_image(argv);
    }
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        through_exec((enum kind)kind);
        strangers_image_writes((enum kind)kind);
    }
    return guest_end();
}
