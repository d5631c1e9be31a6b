/*
 * Proves: both ends of one socketpair, or of a pipe, in one set: which of them is told, and in
 * which order, of a shutdown (one's own end first), of data and the room it leaves, of a changed
 * SO_SNDBUF (room only when there is some).
 *
 * Rows: 6.4 "own shutdown(), each call even if repeated", 6.4 "Wake-ups carrying no key", 6.4 "peer
 * frees an skb while charged <= 1/4", 6.4 "ET (EPOLLET): queued by a wake-up"
 */
#include <sys/epoll.h>

#include "guest.h"

enum { ALL_BITS = EPOLLIN | EPOLLOUT | EPOLLRDHUP };

static int fds[2], epoll;

static void open_set(int type)
{
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    epoll = (int)CHECK_OK(epoll_create1(0));
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = { .events = ALL_BITS | EPOLLET, .data.u32 = (uint32_t)i };
        CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event));
    }
}

static void close_set(void)
{
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* expected: the ends that are told of, in order, a digit each. */
static void check_told(int line, const char *expected, uint32_t first, uint32_t second)
{
    struct epoll_event events[3];
    char found[4] = "";
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 3, 0));
    for (int i = 0; i < count; i++) {
        found[i] = (char)('0' + events[i].data.u32);
    }
    if (strcmp(expected, found) != 0) {
        guest_fail(__FILE__, line, "order", "expected \"%s\", got \"%s\"", expected, found);
    }
    for (int i = 0; i < count; i++) {
        uint32_t bits = i == 0 ? first : second;
        if (events[i].events != bits) {
            guest_fail(__FILE__, line, "bits", "of end %u: expected %#x, got %#x",
                       events[i].data.u32, bits, events[i].events);
        }
    }
}

#define CHECK_TOLD(expected, first, second) check_told(__LINE__, (expected), (first), (second))

static void shutdowns(int type)
{
    const uint32_t end = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
    open_set(type);
    CHECK_TOLD("01", EPOLLOUT, EPOLLOUT);
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    CHECK_TOLD("10", EPOLLOUT, end);
    CHECK_OK(shutdown(fds[0], SHUT_RD));
    CHECK_TOLD("01", end, EPOLLOUT);
    CHECK_OK(shutdown(fds[0], SHUT_RDWR));
    CHECK_TOLD("01", end | EPOLLHUP, end | EPOLLHUP);
    CHECK_OK(shutdown(fds[1], SHUT_RDWR));
    CHECK_TOLD("10", end | EPOLLHUP, end | EPOLLHUP);
    close_set();
}

static void data_and_room(int type)
{
    char byte;
    open_set(type);
    CHECK_TOLD("01", EPOLLOUT, EPOLLOUT);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_TOLD("0", EPOLLIN | EPOLLOUT, 0);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_TOLD("1", EPOLLOUT, 0);
    CHECK_EQ(1, write(fds[0], "x", 1));
    CHECK_EQ(1, read(fds[1], &byte, 1)); /* data that is gone is told of as what is true still */
    CHECK_TOLD("10", EPOLLOUT, EPOLLOUT);
    CHECK_EQ(1, write(fds[0], "x", 1));
    CHECK_EQ(1, write(fds[1], "y", 1));
    CHECK_TOLD("10", EPOLLIN | EPOLLOUT, EPOLLIN | EPOLLOUT);
    close_set();
}

/* Setting SO_SNDBUF tells of room if there is some then; nothing while the end is full. */
static void send_buffer(int type)
{
    char buffer[1024] = { 0 };
    int size = 4096;
    open_set(type);
    guest_set_nonblock(fds[0], true);
    CHECK_TOLD("01", EPOLLOUT, EPOLLOUT);
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    CHECK_TOLD("0", EPOLLOUT, 0);
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
    CHECK_TOLD("", 0, 0);
    while (write(fds[0], buffer, sizeof buffer) > 0) {
    }
    CHECK_EQ(EAGAIN, errno);
    CHECK_TOLD("1", EPOLLIN | EPOLLOUT, 0);
    size = 2304; /* the smallest there is */
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    CHECK_TOLD("", 0, 0);
    CHECK_EQ(sizeof buffer, read(fds[1], buffer, sizeof buffer));
    CHECK_TOLD("", 0, 0);
    close_set();
}

static void pipe_ends(void)
{
    char byte;
    open_set(0);
    CHECK_TOLD("1", EPOLLOUT, 0);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_TOLD("0", EPOLLIN, 0);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_TOLD("", 0, 0);
    int number = fds[1];
    CHECK_OK(close(fds[1])); /* its own entry goes, the other end is told */
    CHECK_TOLD("0", EPOLLHUP, 0);
    fds[1] = (int)CHECK_OK(dup(0)); /* any descriptor, so that close_set() has two */
    CHECK_EQ(number, fds[1]);
    close_set();
}

int main(void)
{
    guest_start();
    const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < 2; i++) {
        shutdowns(types[i]);
        data_and_room(types[i]);
        send_buffer(types[i]);
    }
    pipe_ends();
    return guest_end();
}
