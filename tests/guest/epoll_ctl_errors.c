/*
 * Proves: every error of epoll_ctl and the order of its checks, for pipes, stream and seqpacket
 * pairs: EFAULT, EBADF, EPERM, EINVAL, the rules of EPOLLEXCLUSIVE, EEXIST and ENOENT; a call that
 * fails changes nothing.
 *
 * Rows: 6.3 "ctl: event pointer bad", 6.3 "ctl: epfd or fd not open", 6.3 "ctl: fd is a regular
 * file, directory, /dev/null", 6.3 "ctl: epfd not an epoll, fd == epfd, unknown op", 6.3 "ADD
 * existing", 6.3 "MOD/DEL missing", 6.3 "EPOLLEXCLUSIVE with MOD"
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

static int ctl(int epoll, int op, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.u64 = 0x1234567890abcdef };
    return epoll_ctl(epoll, op, fd, &event);
}

static void bad_pointers(int epoll, int fd, int closed)
{
    void *bad = guest_bad_pointer();
    CHECK_ERR(EFAULT, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, bad));
    CHECK_ERR(EFAULT, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, NULL));
    CHECK_ERR(EFAULT, epoll_ctl(epoll, EPOLL_CTL_MOD, fd, bad));
    CHECK_ERR(EFAULT, epoll_ctl(closed, EPOLL_CTL_ADD, fd, bad));
    CHECK_ERR(EFAULT, epoll_ctl(epoll, EPOLL_CTL_MOD, closed, NULL));
    CHECK_ERR(EFAULT, epoll_ctl(epoll, 77, fd, bad)); /* ep_op_has_event(): all ops but DEL */
    CHECK_ERR(ENOENT, epoll_ctl(epoll, EPOLL_CTL_DEL, fd, bad));
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_ADD, fd, EPOLLIN));
    CHECK_ERR(EFAULT, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, bad)); /* before EEXIST */
    CHECK_EQ(0, epoll_ctl(epoll, EPOLL_CTL_DEL, fd, bad));
    CHECK_ERR(ENOENT, epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
}

static void not_open(int epoll, int fd, int closed)
{
    for (int op = 0; op < 5; op++) {
        CHECK_ERR(EBADF, ctl(closed, op, fd, EPOLLIN));
        CHECK_ERR(EBADF, ctl(epoll, op, closed, EPOLLIN));
        CHECK_ERR(EBADF, ctl(fd, op, closed, EPOLLIN)); /* before "not an epoll" */
        CHECK_ERR(EBADF, ctl(-1, op, -1, EPOLLIN));
    }
    int path = (int)CHECK_OK(open("/", O_PATH));
    CHECK_ERR(EBADF, ctl(epoll, EPOLL_CTL_ADD, path, EPOLLIN));
    CHECK_OK(close(path));
}

static void cannot_poll(int epoll, int fd)
{
    const char *paths[] = { "/proc/self/exe", "/", "/dev/null" };
    for (int i = 0; i < 3; i++) {
        int file = (int)CHECK_OK(open(paths[i], O_RDONLY));
        CHECK_ERR(EPERM, ctl(epoll, EPOLL_CTL_ADD, file, EPOLLIN));
        CHECK_ERR(EPERM, ctl(epoll, EPOLL_CTL_MOD, file, EPOLLIN));
        CHECK_ERR(EPERM, ctl(epoll, EPOLL_CTL_DEL, file, EPOLLIN));
        CHECK_ERR(EPERM, ctl(epoll, 77, file, EPOLLIN));
        CHECK_ERR(EPERM, ctl(fd, EPOLL_CTL_ADD, file, EPOLLIN)); /* before "not an epoll" */
        CHECK_ERR(EPERM, ctl(epoll, EPOLL_CTL_ADD, file, EPOLLIN | EPOLLEXCLUSIVE | EPOLLPRI));
        CHECK_OK(close(file));
    }
}

static void invalid(int epoll, const int fds[2])
{
    int copy = (int)CHECK_OK(dup(epoll));
    const int ops[] = { 0, 4, 77, -1, INT_MIN };
    for (int i = 0; i < 5; i++) {
        CHECK_ERR(EINVAL, ctl(epoll, ops[i], fds[0], EPOLLIN));
        CHECK_ERR(EINVAL, ctl(fds[1], ops[i], fds[0], EPOLLIN));
        CHECK_ERR(EINVAL, ctl(epoll, ops[i], epoll, EPOLLIN));
    }
    for (int op = EPOLL_CTL_ADD; op <= EPOLL_CTL_MOD; op++) {
        CHECK_ERR(EINVAL, ctl(fds[1], op, fds[0], EPOLLIN));
        CHECK_ERR(EINVAL, ctl(fds[0], op, fds[0], EPOLLIN));
        CHECK_ERR(EINVAL, ctl(fds[0], op, epoll, EPOLLIN));
        CHECK_ERR(EINVAL, ctl(epoll, op, epoll, EPOLLIN));
        CHECK_ERR(EINVAL, ctl(epoll, op, copy, EPOLLIN)); /* the same description */
    }
    CHECK_OK(close(copy));
}

/* A failed call leaves the entry as it was: it still reports with its first mask and data. */
static void existing_and_missing(int epoll, const int fds[2])
{
    struct epoll_event event = { .events = EPOLLOUT | EPOLLET, .data.u64 = 42 };
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_MOD, fds[1], EPOLLOUT));
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_DEL, fds[1], EPOLLOUT));
    CHECK_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &event));
    CHECK_ERR(EEXIST, ctl(epoll, EPOLL_CTL_ADD, fds[1], EPOLLOUT));
    CHECK_ERR(EEXIST, ctl(epoll, EPOLL_CTL_ADD, fds[1], 0));
    CHECK_ERR(EINVAL, ctl(epoll, EPOLL_CTL_MOD, fds[1], EPOLLIN | EPOLLEXCLUSIVE));
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(EPOLLOUT, event.events);
    CHECK_EQ(42, event.data.u64);
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_DEL, fds[1], 0));
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_DEL, fds[1], 0));
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_MOD, fds[1], 0));
}

static void exclusive(int epoll, int fd)
{
    const uint32_t refused[] = { EPOLLRDHUP,  EPOLLPRI,    EPOLLONESHOT, EPOLLRDNORM,
                                 EPOLLRDBAND, EPOLLWRNORM, EPOLLWRBAND,  EPOLLMSG,
                                 1u << 5,     1u << 11,    1u << 27,     EPOLLPRI | EPOLLRDHUP };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK_ERR(EINVAL, ctl(epoll, EPOLL_CTL_ADD, fd, EPOLLEXCLUSIVE | EPOLLIN | refused[i]));
    }
    CHECK_ERR(EINVAL, ctl(epoll, EPOLL_CTL_MOD, fd, EPOLLEXCLUSIVE | EPOLLIN)); /* not ENOENT */
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_ADD, fd,
                    EPOLLEXCLUSIVE | EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP |
                        EPOLLET));
    CHECK_ERR(EINVAL, ctl(epoll, EPOLL_CTL_MOD, fd, EPOLLEXCLUSIVE | EPOLLIN));
    CHECK_ERR(EINVAL, ctl(epoll, EPOLL_CTL_MOD, fd, EPOLLIN));
    CHECK_ERR(EEXIST, ctl(epoll, EPOLL_CTL_ADD, fd, EPOLLEXCLUSIVE | EPOLLIN));
    CHECK_ERR(EINVAL, ctl(epoll, EPOLL_CTL_ADD, fd, EPOLLEXCLUSIVE | EPOLLPRI)); /* not EEXIST */
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_DEL, fd, EPOLLEXCLUSIVE | EPOLLPRI)); /* DEL doesn't look */
    int inner = (int)CHECK_OK(epoll_create1(0));
    CHECK_ERR(EINVAL, ctl(epoll, EPOLL_CTL_ADD, inner, EPOLLEXCLUSIVE | EPOLLIN));
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_ADD, inner, EPOLLIN));
    CHECK_OK(close(inner));
}

/* Bits that no file ever reports, and EPOLLWAKEUP (ignored without CAP_BLOCK_SUSPEND), are taken.
 */
static void odd_bits(int epoll, const int fds[2])
{
    struct epoll_event event;
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_ADD, fds[1], EPOLLOUT | EPOLLWAKEUP | 1u << 5 | 1u << 27));
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(EPOLLOUT, event.events);
    CHECK_EQ(0x1234567890abcdef, event.data.u64);
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_MOD, fds[1], EPOLLIN | EPOLLWAKEUP | 1u << 11));
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(0, ctl(epoll, EPOLL_CTL_DEL, fds[1], 0));
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        int fds[2], gone[2], epoll = (int)CHECK_OK(epoll_create1(0));
        open_kind((enum kind)kind, fds);
        open_kind((enum kind)kind, gone);
        guest_close_both(gone);
        for (int end = 0; end < 2; end++) {
            bad_pointers(epoll, fds[end], gone[end]);
            not_open(epoll, fds[end], gone[end]);
            cannot_poll(epoll, fds[end]);
            exclusive(epoll, fds[end]);
        }
        invalid(epoll, fds);
        existing_and_missing(epoll, fds);
        odd_bits(epoll, fds);
        guest_close_both(fds);
        CHECK_OK(close(epoll));
    }
    return guest_end();
}
