/*
 * Proves: a thread that sleeps in a set with a pipe's and pairs' ends and real descriptors
 * (eventfd, TCP, tty) is woken by whichever of them another process makes ready; many rounds of it,
 * with a writer in a process for each, lose nothing and invent nothing; a sleeper that is killed
 * harms nobody.
 *
 * Rows: 6.4 "LT: reported on every wait while ready", 6.4 "ET (EPOLLET): queued by a wake-up", 6.4
 * "fork shares the epoll set"
 */
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <termios.h>

#include "guest.h"

enum { PIPE, STREAM, EVENT, SEQPACKET, TCP, TTY, SOURCES };
enum { ROUNDS = 400 };

static int ends[SOURCES][2]; /* [0] is read here, [1] is the child's; an eventfd is both */

static void open_tcp(int fds[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    int server = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_OK(bind(server, (struct sockaddr *)&address, length));
    CHECK_OK(listen(server, 1));
    CHECK_OK(getsockname(server, (struct sockaddr *)&address, &length));
    fds[1] = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_OK(connect(fds[1], (struct sockaddr *)&address, length));
    fds[0] = (int)CHECK_OK(accept(server, NULL, NULL));
    CHECK_OK(close(server));
}

static void open_tty(int fds[2])
{
    struct termios raw;
    fds[1] = (int)CHECK_OK(posix_openpt(O_RDWR | O_NOCTTY));
    CHECK_OK(grantpt(fds[1]));
    CHECK_OK(unlockpt(fds[1]));
    fds[0] = (int)CHECK_OK(open(ptsname(fds[1]), O_RDWR | O_NOCTTY));
    CHECK_OK(tcgetattr(fds[0], &raw));
    cfmakeraw(&raw);
    CHECK_OK(tcsetattr(fds[0], TCSANOW, &raw));
}

static void open_sources(void)
{
    guest_pipe(ends[PIPE]);
    guest_pair(SOCK_STREAM, ends[STREAM]);
    guest_pair(SOCK_SEQPACKET, ends[SEQPACKET]);
    ends[EVENT][0] = (int)CHECK_OK(eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK));
    ends[EVENT][1] = (int)CHECK_OK(dup(ends[EVENT][0]));
    open_tcp(ends[TCP]);
    open_tty(ends[TTY]);
}

static void close_sources(void)
{
    for (int i = 0; i < SOURCES; i++) {
        guest_close_both(ends[i]);
    }
}

static int open_set(uint32_t events)
{
    int epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    for (int i = 0; i < SOURCES; i++) {
        struct epoll_event event = { .events = events, .data.u32 = (uint32_t)i };
        CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[i][0], &event));
    }
    return epoll;
}

static void send_one(int source)
{
    const uint64_t one = 1;
    size_t size = source == EVENT ? sizeof one : 1;
    CHECK_EQ(size, write(ends[source][1], &one, size));
}

static void take_one(int source)
{
    uint64_t value;
    size_t size = source == EVENT ? sizeof value : 1;
    CHECK_EQ(size, read(ends[source][0], &value, size));
}

/* The child makes one source ready each time this process sleeps. */
static void each_wakes(uint32_t edge)
{
    int heard[2]; /* a tty hands its bytes on later: the child goes on when this process heard */
    char byte;
    open_sources();
    guest_pipe(heard);
    int epoll = open_set(EPOLLIN | edge);
    pid_t parent = getpid(), pid = guest_fork();
    if (pid == 0) {
        for (int i = 0; i < 3 * SOURCES; i++) {
            guest_process_blocked(parent);
            send_one(i % SOURCES);
            CHECK_EQ(1, read(heard[0], &byte, 1));
        }
        _exit(0);
    }
    for (int i = 0; i < 3 * SOURCES; i++) {
        struct epoll_event events[SOURCES];
        CHECK_EQ(1, epoll_wait(epoll, events, SOURCES, -1));
        CHECK_EQ(EPOLLIN, events[0].events);
        CHECK_EQ(i % SOURCES, events[0].data.u32);
        take_one(i % SOURCES);
        CHECK_EQ(1, write(heard[1], "h", 1));
    }
    guest_wait_exit(pid, 0);
    guest_close_both(heard);
    CHECK_OK(close(epoll));
    close_sources();
}

/* A process per source writes as fast as it can; all that was written is heard of. */
static void storm(uint32_t edge)
{
    int counts[SOURCES] = { 0 }, total = 0;
    pid_t pids[SOURCES];
    open_sources();
    for (int i = 0; i < SOURCES; i++) {
        guest_set_nonblock(ends[i][0], true);
    }
    int epoll = open_set(EPOLLIN | edge);
    for (int i = 0; i < SOURCES; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            for (int round = 0; round < ROUNDS; round++) {
                send_one(i);
            }
            _exit(0);
        }
    }
    while (total < SOURCES * ROUNDS) {
        struct epoll_event events[SOURCES];
        int count = (int)CHECK_OK(epoll_wait(epoll, events, 2, -1));
        CHECK(count >= 1);
        for (int i = 0; i < count; i++) {
            uint32_t source = events[i].data.u32;
            uint64_t value;
            CHECK(events[i].events & EPOLLIN);
            while (read(ends[source][0], &value, source == EVENT ? sizeof value : 1) > 0) {
                counts[source]++;
                total++;
            }
            CHECK_EQ(EAGAIN, errno);
        }
    }
    for (int i = 0; i < SOURCES; i++) {
        guest_wait_exit(pids[i], 0);
        CHECK_EQ(ROUNDS, counts[i]);
    }
    struct epoll_event event;
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_OK(close(epoll));
    close_sources();
}

/* A sleeper that is killed in the set leaves it as it was for the rest of the family. */
static void killed_sleeper(uint32_t edge)
{
    struct epoll_event events[SOURCES];
    open_sources();
    int epoll = open_set(EPOLLIN | edge);
    for (int i = 0; i < SOURCES; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            CHECK_OK(epoll_wait(epoll, events, SOURCES, -1));
            _exit(1);
        }
        guest_process_blocked(pid);
        CHECK_OK(kill(pid, SIGKILL));
        guest_wait_killed(pid, SIGKILL);
        send_one(i);
        CHECK_EQ(1, epoll_wait(epoll, events, SOURCES, -1));
        CHECK_EQ(i, events[0].data.u32);
        take_one(i);
    }
    CHECK_OK(close(epoll));
    close_sources();
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        each_wakes(i ? EPOLLET : 0);
        storm(i ? EPOLLET : 0);
        killed_sleeper(i ? EPOLLET : 0);
    }
    return guest_end();
}
