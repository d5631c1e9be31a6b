/*
 * Proves: level-triggered entries report on every wait what poll() says of the same end, for each
 * state of pipes, stream and seqpacket pairs; ERR and HUP come unasked, also with a mask of 0; the
 * 64 bits of data come back untouched; nothing is written behind the events.
 *
 * Rows: 6.4 "LT: reported on every wait while ready", 6.4 "A mask of 0 (not oneshot) still reports
 * HUP/ERR", 6.1 "ERR, HUP, NVAL are reported whether asked for or not"
 */
#include <sys/epoll.h>

#include "guest.h"

enum {
    ALL_BITS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLRDNORM | EPOLLRDBAND |
               EPOLLWRNORM | EPOLLWRBAND
};

/* Three instances look at one end: for everything, for nothing, for input alone. */
static struct view {
    int fd, all, none, input;
} views[2];

static int instance_with(int fd, uint32_t events)
{
    int epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = events, .data.u64 = ~(uint64_t)events << 32 | 7 };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    return epoll;
}

static void open_views(const int fds[2])
{
    for (int i = 0; i < 2; i++) {
        views[i].fd = fds[i];
        views[i].all = instance_with(fds[i], ALL_BITS);
        views[i].none = instance_with(fds[i], 0);
        views[i].input = instance_with(fds[i], EPOLLIN);
    }
}

static void close_view(struct view *view)
{
    CHECK_OK(close(view->all));
    CHECK_OK(close(view->none));
    CHECK_OK(close(view->input));
}

/* The instance reports exactly these bits, again and again. */
static void check_reports(int line, int epoll, uint32_t mask, uint32_t bits)
{
    struct epoll_event events[3];
    for (int i = 0; i < 3; i++) {
        memset(events, 0x5a, sizeof events);
        int count = epoll_wait(epoll, events, 3, 0);
        if (count != (bits != 0)) {
            guest_fail(__FILE__, line, "count", "mask %#x: expected %d, got %d", mask, bits != 0,
                       count);
        }
        if (count == 1 &&
            (events[0].events != bits || events[0].data.u64 != (~(uint64_t)mask << 32 | 7))) {
            guest_fail(__FILE__, line, "events", "mask %#x: expected %#x, got %#x, data %#llx",
                       mask, bits, events[0].events, (unsigned long long)events[0].data.u64);
        }
        if (events[count].events != 0x5a5a5a5a || events[count].data.u64 != 0x5a5a5a5a5a5a5a5a) {
            guest_fail(__FILE__, line, "events", "something was written behind them");
        }
    }
}

/* expected: the bits without those that always go with IN and OUT. */
static void check_end(int line, const struct view *view, uint32_t expected)
{
    uint32_t bits = (uint32_t)(unsigned short)guest_poll(view->fd, (short)ALL_BITS, 0);
    const uint32_t twins = EPOLLRDNORM | EPOLLWRNORM | EPOLLWRBAND | EPOLLRDBAND;
    if ((bits & ~twins) != expected) {
        guest_fail(__FILE__, line, "poll", "expected %#x, got %#x", expected, bits & ~twins);
    }
    check_reports(line, view->all, ALL_BITS, bits);
    check_reports(line, view->none, 0, bits & (EPOLLERR | EPOLLHUP));
    check_reports(line, view->input, EPOLLIN, bits & (EPOLLIN | EPOLLERR | EPOLLHUP));
}

#define CHECK_ENDS(first, second)                 \
    do {                                          \
        check_end(__LINE__, &views[0], (first));  \
        check_end(__LINE__, &views[1], (second)); \
    } while (0)
#define CHECK_END(end, bits) check_end(__LINE__, &views[end], (bits))

static void pipe_states(void)
{
    int fds[2];
    char *buffer = calloc(1, GUEST_PIPE_SIZE);
    guest_pipe(fds);
    open_views(fds);
    CHECK_ENDS(0, EPOLLOUT);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_ENDS(EPOLLIN, EPOLLOUT);
    CHECK_EQ(1, read(fds[0], buffer, 1));
    CHECK_ENDS(0, EPOLLOUT);
    CHECK_EQ(GUEST_PIPE_SIZE, write(fds[1], buffer, GUEST_PIPE_SIZE));
    CHECK_ENDS(EPOLLIN, 0);
    CHECK_EQ(GUEST_PAGE - 1, read(fds[0], buffer, GUEST_PAGE - 1));
    CHECK_ENDS(EPOLLIN, 0);
    CHECK_EQ(1, read(fds[0], buffer, 1));
    CHECK_ENDS(EPOLLIN, EPOLLOUT);
    CHECK_OK(close(fds[1]));
    close_view(&views[1]);
    CHECK_END(0, EPOLLIN | EPOLLHUP);
    CHECK_EQ(15 * GUEST_PAGE, read(fds[0], buffer, GUEST_PIPE_SIZE));
    CHECK_END(0, EPOLLHUP);
    CHECK_OK(close(fds[0]));
    close_view(&views[0]);
    free(buffer);
}

static void pipe_without_reader(void)
{
    int fds[2];
    char *buffer = calloc(1, GUEST_PIPE_SIZE);
    for (int full = 0; full < 2; full++) {
        guest_pipe(fds);
        open_views(fds);
        if (full) {
            CHECK_EQ(GUEST_PIPE_SIZE, write(fds[1], buffer, GUEST_PIPE_SIZE));
        }
        CHECK_OK(close(fds[0]));
        close_view(&views[0]);
        CHECK_END(1, full ? EPOLLERR : EPOLLOUT | EPOLLERR);
        CHECK_OK(close(fds[1]));
        close_view(&views[1]);
    }
    free(buffer);
}

static void fill(int fd, size_t size)
{
    char *buffer = calloc(1, size);
    guest_set_nonblock(fd, true);
    ssize_t count;
    do {
        count = write(fd, buffer, size);
    } while (count == (ssize_t)size);
    CHECK(count >= 0 || errno == EAGAIN);
    guest_set_nonblock(fd, false);
    free(buffer);
}

static void socket_data(int type)
{
    int fds[2];
    char buffer[4096];
    guest_pair(type, fds);
    open_views(fds);
    CHECK_ENDS(EPOLLOUT, EPOLLOUT);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_ENDS(EPOLLIN | EPOLLOUT, EPOLLOUT);
    CHECK_EQ(1, read(fds[0], buffer, 1));
    fill(fds[1], sizeof buffer);
    CHECK_ENDS(EPOLLIN | EPOLLOUT, 0);
    CHECK_EQ(sizeof buffer, read(fds[0], buffer, sizeof buffer));
    CHECK_ENDS(EPOLLIN | EPOLLOUT, 0); /* 3.7: below the lower mark only */
    guest_set_nonblock(fds[0], true);
    while (read(fds[0], buffer, sizeof buffer) > 0) {
    }
    CHECK_ENDS(EPOLLOUT, EPOLLOUT);
    guest_close_both(fds);
    close_view(&views[0]);
    close_view(&views[1]);
}

static void socket_shutdowns(int type)
{
    int fds[2];
    char byte;
    guest_pair(type, fds);
    open_views(fds);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    CHECK_ENDS(EPOLLIN | EPOLLOUT | EPOLLRDHUP, EPOLLOUT);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_ENDS(EPOLLIN | EPOLLOUT | EPOLLRDHUP, EPOLLOUT);
    CHECK_OK(shutdown(fds[1], SHUT_RD));
    CHECK_ENDS(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP,
               EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    CHECK_OK(close(fds[1]));
    close_view(&views[1]);
    CHECK_END(0, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    CHECK_OK(close(fds[0]));
    close_view(&views[0]);
}

static void socket_reset(int type)
{
    int fds[2];
    char byte;
    guest_pair(type, fds);
    open_views(fds);
    CHECK_EQ(1, write(fds[0], "x", 1));
    CHECK_OK(close(fds[1])); /* with the byte unread */
    close_view(&views[1]);
    CHECK_END(0, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    CHECK_ERR(ECONNRESET, read(fds[0], &byte, 1));
    CHECK_END(0, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    CHECK_OK(close(fds[0]));
    close_view(&views[0]);
}

int main(void)
{
    guest_start();
    pipe_states();
    pipe_without_reader();
    socket_data(SOCK_STREAM);
    socket_data(SOCK_SEQPACKET);
    socket_shutdowns(SOCK_STREAM);
    socket_shutdowns(SOCK_SEQPACKET);
    socket_reset(SOCK_STREAM);
    socket_reset(SOCK_SEQPACKET);
    return guest_end();
}
