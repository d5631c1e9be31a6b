/*
 * Proves: unread messages with descriptors wake nobody who doesn't wait for them, and keep nobody
 * busy: a poll that asks for something else, an edge-triggered set that has told already, a set
 * that asks for room, a sender that sleeps for room, and a thread that waits for another socket
 * sleep until their time is over or their event comes, with next to no CPU time.
 *
 * Rows: 6.4 "ET (EPOLLET): queued by a wake-up"
 */
#include <sys/epoll.h>

#include "rights.h"

enum { PAUSE_MS = 250, BUSY_MS = 100 };

static int channel[2], plain[2];

static int64_t cpu_ms(void)
{
    struct timespec now;
    CHECK_OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now));
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void check_idle(const char *what, int64_t cpu_before, int64_t start)
{
    int64_t used = cpu_ms() - cpu_before, passed = guest_now_ms() - start;
    if (passed < PAUSE_MS || used > BUSY_MS) {
        guest_fail(__FILE__, __LINE__, what, "%lld ms passed, %lld ms of CPU time",
                   (long long)passed, (long long)used);
    }
}

static void poll_for_others(void)
{
    int64_t cpu = cpu_ms(), start = guest_now_ms();
    struct pollfd entries[] = { { .fd = channel[1], .events = POLLPRI | POLLRDHUP },
                                { .fd = plain[0], .events = POLLIN } };
    CHECK_EQ(0, poll(entries, 2, PAUSE_MS));
    check_idle("poll", cpu, start);
}

static void sets(uint32_t events, bool tells_first)
{
    struct epoll_event event = { .events = events };
    int epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, channel[1], &event));
    CHECK_EQ(tells_first, epoll_wait(epoll, &event, 1, 0));
    int64_t cpu = cpu_ms(), start = guest_now_ms();
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, PAUSE_MS));
    check_idle("epoll_wait", cpu, start);
    cpu = cpu_ms();
    start = guest_now_ms();
    CHECK_EQ(0, guest_poll(epoll, POLLIN, PAUSE_MS));
    check_idle("poll of a set", cpu, start);
    CHECK_OK(close(epoll));
}

static void select_for_others(void)
{
    fd_set input, urgent;
    struct timeval time = { .tv_usec = PAUSE_MS * 1000 };
    int64_t cpu = cpu_ms(), start = guest_now_ms();
    FD_ZERO(&input);
    FD_ZERO(&urgent);
    FD_SET(plain[0], &input);
    FD_SET(channel[1], &urgent);
    CHECK_EQ(0, select(FD_SETSIZE, &input, NULL, &urgent, &time));
    check_idle("select", cpu, start);
}

/* The end with descriptors unread itself has no room to send. */
static void sender(void)
{
    static char big[1000];
    const struct timeval time = { .tv_usec = PAUSE_MS * 1000 };
    guest_socket_fill(channel[1], sizeof big);
    CHECK_OK(setsockopt(channel[1], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time));
    int64_t cpu = cpu_ms(), start = guest_now_ms();
    CHECK_ERR(EAGAIN, send(channel[1], big, sizeof big, MSG_NOSIGNAL));
    check_idle("send", cpu, start);
    cpu = cpu_ms();
    start = guest_now_ms();
    CHECK_EQ(0, guest_poll(channel[1], POLLOUT, PAUSE_MS));
    check_idle("poll for room", cpu, start);
}

/* All was read but the rest of the message that had them: a receive waits for more than that. */
static void receiver(void)
{
    const struct timeval time = { .tv_usec = PAUSE_MS * 1000 };
    char bytes[100];
    CHECK_OK(setsockopt(channel[1], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    EXPECT(channel[1], 1, 0, "a", 1);
    int64_t cpu = cpu_ms(), start = guest_now_ms();
    CHECK_EQ(2, recv(channel[1], bytes, sizeof bytes, MSG_WAITALL));
    check_idle("recv", cpu, start);
    EXPECT(plain[0], 8, MSG_DONTWAIT, "p", 1);
    cpu = cpu_ms();
    start = guest_now_ms();
    CHECK_ERR(EAGAIN, recv(channel[1], bytes, sizeof bytes, 0));
    check_idle("recv of nothing", cpu, start);
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        guest_pair(rights_types[i], channel);
        guest_pair(rights_types[i], plain);
        CHECK_EQ(3, message_send(channel[0], "abc", 3, channel, 1));
        poll_for_others();
        select_for_others();
        sets(EPOLLIN | EPOLLET, true);
        sets(EPOLLOUT | EPOLLET, true);
        sets(EPOLLPRI | EPOLLRDHUP, false);
        sets(EPOLLIN | EPOLLONESHOT, true);
        sender();
        if (rights_types[i] == SOCK_STREAM) {
            CHECK_EQ(1, message_send(plain[1], "p", 1, channel, 1));
            receiver();
        }
        guest_close_both(channel);
        guest_close_both(plain);
    }
    return guest_end();
}
