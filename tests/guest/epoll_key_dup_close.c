/*
 * Proves: an entry's key is the fd number and the open description: a dup is a second entry; an
 * entry outlives the close of its number while a dup lives, can't be deleted by number then, and
 * stands beside a new entry of the reused number; dup2 onto a registered number likewise. The last
 * close takes the entry away.
 *
 * Rows: 6.4 "The key is (fd number, open file description)", 6.4 "Closing a registered fd while a
 * dup", 6.4 "When the last reference closes, the entry vanishes", 6.4 "A reused fd number is a new
 * key"
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

static int ctl(int epoll, int op, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = events, .data.u64 = data };
    return epoll_ctl(epoll, op, fd, &event);
}

/* The set of data words (0..31) that are reported now, each once, all with EPOLLIN. */
static unsigned reported(int epoll)
{
    struct epoll_event events[8];
    unsigned found = 0;
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 8, 0));
    for (int i = 0; i < count; i++) {
        CHECK_EQ(EPOLLIN, events[i].events & ~(uint32_t)EPOLLHUP);
        CHECK_EQ(0, found & 1u << events[i].data.u64);
        found |= 1u << events[i].data.u64;
    }
    return found;
}

static void dup_is_a_second_entry(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    char byte;
    open_kind(kind, fds);
    int copy = (int)CHECK_OK(dup(fds[0]));
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_MOD, copy, EPOLLIN, 9));
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_DEL, copy, 0, 0));
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, copy, EPOLLIN, 2));
    CHECK_ERR(EEXIST, ctl(epoll, EPOLL_CTL_ADD, copy, EPOLLIN, 2));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1u << 1 | 1u << 2, reported(epoll));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, copy, EPOLLIN, 3));
    CHECK_EQ(1u << 1 | 1u << 3, reported(epoll));
    CHECK_OK(ctl(epoll, EPOLL_CTL_DEL, fds[0], 0, 0));
    CHECK_EQ(1u << 3, reported(epoll));
    CHECK_OK(close(copy));
    CHECK_EQ(1u << 3, reported(epoll)); /* the description lives on in fds[0] */
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, reported(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* The stale entry stays armed and reports its old data; its number can't reach it any more. */
static void outlives_its_number(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    char byte;
    open_kind(kind, fds);
    int copy = (int)CHECK_OK(dup(fds[0])), number = fds[0];
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, number, EPOLLIN, 1));
    CHECK_OK(close(number));
    CHECK_EQ(0, reported(epoll));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1u << 1, reported(epoll));
    CHECK_ERR(EBADF, ctl(epoll, EPOLL_CTL_DEL, number, 0, 0));
    CHECK_ERR(EBADF, ctl(epoll, EPOLL_CTL_MOD, number, EPOLLIN, 5));
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_DEL, copy, 0, 0)); /* another number, another key */
    CHECK_EQ(number, dup2(copy, number));                     /* the same key is back */
    CHECK_ERR(EEXIST, ctl(epoll, EPOLL_CTL_ADD, number, EPOLLIN, 2));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, number, EPOLLIN, 4));
    CHECK_EQ(1u << 4, reported(epoll));
    CHECK_OK(close(number));
    CHECK_EQ(1u << 4, reported(epoll));
    CHECK_EQ(1, read(copy, &byte, 1));
    CHECK_EQ(1, write(fds[1], "y", 1));
    CHECK_EQ(1u << 4, reported(epoll));
    CHECK_OK(close(copy)); /* the last reference */
    CHECK_EQ(0, reported(epoll));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, reported(epoll));
    CHECK_OK(close(epoll));
}

/* The number names another description now: a new key beside the stale entry. */
static void reused_number(enum kind kind, enum kind other)
{
    int fds[2], next[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    int copy = (int)CHECK_OK(dup(fds[0])), number = fds[0];
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, number, EPOLLIN, 1));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_OK(close(number));
    open_kind(other, next);
    CHECK_EQ(number, next[0]);
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_DEL, number, 0, 0));
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_MOD, number, EPOLLIN, 5));
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, number, EPOLLIN, 2));
    CHECK_EQ(1u << 1, reported(epoll));
    CHECK_EQ(1, write(next[1], "y", 1));
    CHECK_EQ(1u << 1 | 1u << 2, reported(epoll));
    CHECK_OK(close(copy));
    CHECK_EQ(1u << 2, reported(epoll));
    CHECK_OK(ctl(epoll, EPOLL_CTL_DEL, number, 0, 0));
    CHECK_EQ(0, reported(epoll));
    CHECK_OK(close(fds[1]));
    guest_close_both(next);
    CHECK_OK(close(epoll));
}

/* dup2 onto a registered number closes what was there. */
static void dup2_onto_it(enum kind kind)
{
    int fds[2], next[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    open_kind(kind, next);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    CHECK_EQ(1, write(next[1], "x", 1));
    CHECK_EQ(fds[0], dup2(next[0], fds[0]));
    CHECK_EQ(0, reported(epoll)); /* the entry went with its description */
    CHECK_ERR(ENOENT, ctl(epoll, EPOLL_CTL_DEL, fds[0], 0, 0));
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 2));
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, next[0], EPOLLIN, 3));
    CHECK_EQ(1u << 2 | 1u << 3, reported(epoll));
    CHECK_EQ(fds[0], dup2(fds[0], fds[0])); /* nothing happens */
    CHECK_EQ(1u << 2 | 1u << 3, reported(epoll));
    CHECK_OK(close(next[0]));
    CHECK_EQ(1u << 2 | 1u << 3, reported(epoll));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(0, reported(epoll));
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(next[1]));
    CHECK_OK(close(epoll));
}

/* Two ends of one socketpair are two descriptions; several instances are independent. */
static void ends_and_instances(enum kind kind)
{
    int fds[2], first = (int)CHECK_OK(epoll_create1(0)), second = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    CHECK_OK(ctl(first, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    CHECK_OK(ctl(first, EPOLL_CTL_ADD, fds[1], EPOLLIN, 2));
    CHECK_OK(ctl(second, EPOLL_CTL_ADD, fds[0], EPOLLIN, 3));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1u << 1, reported(first));
    CHECK_EQ(1u << 3, reported(second));
    CHECK_OK(ctl(first, EPOLL_CTL_DEL, fds[0], 0, 0));
    CHECK_EQ(0, reported(first));
    CHECK_EQ(1u << 3, reported(second));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(0, reported(second));
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(first));
    CHECK_OK(close(second));
}

/* An instance with a dup: entries live as long as one of its numbers does. */
static void dup_of_the_instance(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0)), copy = (int)CHECK_OK(dup(epoll));
    open_kind(kind, fds);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    CHECK_ERR(EEXIST, ctl(copy, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1u << 1, reported(copy));
    CHECK_OK(close(epoll));
    CHECK_EQ(1u << 1, reported(copy));
    CHECK_OK(ctl(copy, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET, 2));
    CHECK_EQ(1u << 2, reported(copy));
    CHECK_EQ(0, reported(copy));
    CHECK_OK(close(copy));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        dup_is_a_second_entry((enum kind)kind);
        outlives_its_number((enum kind)kind);
        for (int other = 0; other < KINDS; other++) {
            reused_number((enum kind)kind, (enum kind)other);
        }
        dup2_onto_it((enum kind)kind);
        ends_and_instances((enum kind)kind);
        dup_of_the_instance((enum kind)kind);
    }
    return guest_end();
}
