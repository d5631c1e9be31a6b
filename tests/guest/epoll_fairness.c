/*
 * Proves: in which order events come: ends in the order they became ready; with small maxevents the
 * level-triggered ones take turns, so that none starves; two entries on one end newest first after
 * a single wake-up; what doesn't fit stays, edges and one-shots, too.
 *
 * Rows: 6.4 "LT: reported on every wait while ready; served round-robin when maxevents is small",
 * 6.4 "Two entries on one socket report newest first after a single wake-up"
 */
#include <sys/epoll.h>

#include "guest.h"

enum kind { PIPE, STREAM, SEQPACKET, KINDS };
enum { ENDS = 5 };

static int ends[ENDS][2];
static int epoll;

/* The ends of one set are of all three kinds, beginning with this one. */
static void open_set(int kind)
{
    const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    epoll = (int)CHECK_OK(epoll_create1(0));
    for (int i = 0; i < ENDS; i++) {
        int type = types[(kind + i) % KINDS];
        if (type == 0) {
            guest_pipe(ends[i]);
        } else {
            guest_pair(type, ends[i]);
        }
    }
}

static void close_set(void)
{
    for (int i = 0; i < ENDS; i++) {
        guest_close_both(ends[i]);
    }
    CHECK_OK(close(epoll));
}

static void add(int fd, uint32_t events, int data)
{
    struct epoll_event event = { .events = events, .data.fd = data };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void change(int fd, uint32_t events, int data)
{
    struct epoll_event event = { .events = events, .data.fd = data };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
}

static void send_to(int end)
{
    CHECK_EQ(1, write(ends[end][1], "x", 1));
}

static void drain(int end)
{
    char buffer[8];
    CHECK(read(ends[end][0], buffer, sizeof buffer) > 0);
}

/* expected: the data of the events of one wait with this maxevents, a digit each. */
static void check_wait(int line, int maxevents, const char *expected)
{
    struct epoll_event events[16];
    char found[17] = "";
    int count = (int)CHECK_OK(epoll_wait(epoll, events, maxevents, 0));
    for (int i = 0; i < count; i++) {
        found[i] = (char)('0' + events[i].data.fd);
    }
    if (strcmp(expected, found) != 0) {
        guest_fail(__FILE__, line, "order", "maxevents %d: expected \"%s\", got \"%s\"", maxevents,
                   expected, found);
    }
}

#define CHECK_WAIT(maxevents, expected) check_wait(__LINE__, (maxevents), (expected))

static void order_of_wakeups(int kind)
{
    open_set(kind);
    for (int i = 0; i < ENDS; i++) {
        add(ends[i][0], EPOLLIN | EPOLLET, i);
    }
    const int order[] = { 3, 0, 4, 1, 2 };
    for (int i = 0; i < ENDS; i++) {
        send_to(order[i]);
    }
    send_to(3); /* on the list already: keeps its place */
    CHECK_WAIT(16, "30412");
    CHECK_WAIT(16, "");
    for (int i = 0; i < ENDS; i++) {
        send_to(order[i]);
    }
    CHECK_WAIT(2, "30"); /* the rest stays, in order */
    send_to(3);          /* a new edge goes to the end */
    CHECK_WAIT(2, "41");
    CHECK_WAIT(16, "23");
    CHECK_WAIT(16, "");
    close_set();
}

static void round_robin(int kind)
{
    open_set(kind);
    for (int i = 0; i < 3; i++) {
        add(ends[i][0], EPOLLIN, i);
        send_to(i);
    }
    CHECK_WAIT(2, "01");
    CHECK_WAIT(2, "20");
    CHECK_WAIT(2, "12");
    CHECK_WAIT(1, "0");
    CHECK_WAIT(1, "1");
    send_to(0);          /* ready already: keeps its place */
    CHECK_WAIT(2, "20"); /* takes turns for ever */
    drain(1);
    CHECK_WAIT(1, "2"); /* 1 is next on the list and not ready: stepped over */
    CHECK_WAIT(3, "02");
    send_to(1); /* comes in at the end */
    CHECK_WAIT(3, "021");
    CHECK_WAIT(2, "02");
    CHECK_WAIT(1, "1");
    close_set();
}

static void hog_starves_nobody(int kind)
{
    int counts[ENDS] = { 0 };
    open_set(kind);
    for (int i = 0; i < ENDS; i++) {
        add(ends[i][0], EPOLLIN, i);
        send_to(i);
    }
    for (int i = 0; i < 20 * ENDS; i++) {
        struct epoll_event event;
        CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
        counts[event.data.fd]++;
        send_to(0); /* this one never runs dry */
    }
    for (int i = 0; i < ENDS; i++) {
        CHECK_EQ(20, counts[i]);
    }
    close_set();
}

static void mixed_triggers(int kind)
{
    open_set(kind);
    add(ends[0][0], EPOLLIN, 0);
    add(ends[1][0], EPOLLIN | EPOLLET, 1);
    add(ends[2][0], EPOLLIN | EPOLLONESHOT, 2);
    add(ends[3][0], EPOLLIN, 3);
    for (int i = 0; i < 4; i++) {
        send_to(i);
    }
    CHECK_WAIT(1, "0");
    CHECK_WAIT(1, "1");
    CHECK_WAIT(1, "2");
    CHECK_WAIT(1, "3");
    CHECK_WAIT(16, "03");
    change(ends[2][0], EPOLLIN | EPOLLONESHOT, 7); /* re-armed and ready: at the end */
    CHECK_WAIT(16, "037");
    CHECK_WAIT(16, "03");
    change(ends[0][0], EPOLLIN, 8); /* on the list already: keeps its place */
    CHECK_WAIT(16, "83");
    close_set();
}

/* The newest entry hangs first in the end's queue. */
static void newest_first(int kind)
{
    open_set(kind);
    int copies[3] = { ends[0][0] };
    for (int i = 1; i < 3; i++) {
        copies[i] = (int)CHECK_OK(dup(ends[0][0]));
    }
    for (int i = 0; i < 3; i++) {
        add(copies[i], EPOLLIN | EPOLLET, i);
    }
    send_to(0);
    CHECK_WAIT(16, "210");
    change(copies[0], EPOLLIN | EPOLLET,
           5); /* MOD looks: queued now, its place in the queue stays */
    CHECK_WAIT(16, "5");
    send_to(0);
    CHECK_WAIT(2, "21");
    CHECK_WAIT(2, "5");
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, copies[2], NULL));
    add(copies[2], EPOLLIN, 6); /* level, and ready at once */
    CHECK_WAIT(16, "6");
    send_to(0);
    CHECK_WAIT(16, "615");
    CHECK_WAIT(16, "6");
    CHECK_OK(close(copies[1]));
    CHECK_OK(close(copies[2]));
    close_set();
}

/* Level entries of one end: the order of the first wake-up stays. */
static void newest_first_level(int kind)
{
    open_set(kind);
    int copy = (int)CHECK_OK(dup(ends[1][0]));
    add(ends[0][0], EPOLLIN, 0);
    add(ends[1][0], EPOLLIN, 1);
    add(copy, EPOLLIN, 2);
    send_to(1);
    send_to(0);
    CHECK_WAIT(16, "210");
    CHECK_WAIT(1, "2");
    CHECK_WAIT(16, "102");
    drain(1);
    CHECK_WAIT(16, "0");
    send_to(1);
    CHECK_WAIT(16, "021");
    CHECK_OK(close(copy));
    close_set();
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        order_of_wakeups(kind);
        round_robin(kind);
        hog_starves_nobody(kind);
        mixed_triggers(kind);
        newest_first(kind);
        newest_first_level(kind);
    }
    return guest_end();
}
