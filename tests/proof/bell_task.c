/*
 * Proves: an AF_UNIX datagram socket that the kernel named itself (an autobound abstract name of
 * five hexadecimal digits) is a bell for one task: a process that has no descriptor of it wakes by
 * the name a sleeper in poll(), which shows POLLIN until one byte was taken per ring; a name whose
 * socket is gone answers ECONNREFUSED, also when its owner was killed. SO_COOKIE tells such a
 * socket from whatever got its number later. poll() looks a number up again whenever it is woken:
 * one that was closed meanwhile shows POLLNVAL, one that was put over it makes the sleeper deaf.
 * SO_NETNS_COOKIE says in which network namespace a name holds. Prints what a ring costs beside the
 * FIFO's of tests/proof/bell.c, and a wake-up there and back. Leaves out: seccomp and Landlock,
 * which may forbid any of it.
 */
#include "proof.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SO_NETNS_COOKIE
#    define SO_NETNS_COOKIE 71
#endif

enum { RINGS = 20000, TRIPS = 3000, LIMIT_MS = 5000, SILENCE_MS = 50 };

struct bell {
    int fd;
    struct sockaddr_un name;
    socklen_t size;
};

static struct bell open_bell(void)
{
    struct bell bell = { .fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                         .name.sun_family = AF_UNIX,
                         .size = sizeof(struct sockaddr_un) };
    CHECK(bell.fd >= 0, "socket");
    CHECK(bind(bell.fd, (struct sockaddr *)&bell.name, sizeof(sa_family_t)) == 0, "autobind");
    CHECK(getsockname(bell.fd, (struct sockaddr *)&bell.name, &bell.size) == 0, "name");
    CHECK(bell.size == offsetof(struct sockaddr_un, sun_path) + 6 && bell.name.sun_path[0] == 0 &&
              strspn(bell.name.sun_path + 1, "0123456789abcdef") >= 5,
          "a name of %u bytes", bell.size);
    return bell;
}

static int open_sender(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0, "sender");
    return fd;
}

static int ring(int sender, const struct bell *bell)
{
    return sendto(sender, "", 1, MSG_DONTWAIT, (const struct sockaddr *)&bell->name, bell->size) ==
                   1
               ? 0
               : -errno;
}

static int take(const struct bell *bell)
{
    char byte;
    return recv(bell->fd, &byte, 1, MSG_DONTWAIT) == 1;
}

static uint64_t cookie(int fd, int which)
{
    uint64_t value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, which, &value, &size) == 0 ? value : 0;
}

/* A process that inherited nothing of the bell rings it. */
static void prove_by_name(void)
{
    struct bell bell = open_bell();
    struct pollfd entry = { .fd = bell.fd, .events = POLLIN };
    pid_t ringer = fork();
    if (ringer == 0) {
        close(bell.fd);
        int failed = ring(open_sender(), &bell);
        failed |= ring(open_sender(), &bell);
        _exit(failed != 0);
    }
    CHECK(poll(&entry, 1, LIMIT_MS) == 1 && entry.revents == POLLIN, "rung in poll");
    CHECK(child_result(ringer) == 0, "ringer");
    CHECK(take(&bell) && poll(&entry, 1, 0) == 1, "the second ring is there still");
    CHECK(take(&bell) && poll(&entry, 1, 0) == 0, "taken, quiet");
    close(bell.fd);
}

/* Names of the dead: by close, and by SIGKILL. */
static void prove_gone(void)
{
    int sender = open_sender(), words[2];
    struct bell bell = open_bell();
    uint64_t before = cookie(bell.fd, SO_COOKIE), network = cookie(bell.fd, SO_NETNS_COOKIE);
    close(bell.fd);
    CHECK(ring(sender, &bell) == -ECONNREFUSED, "a closed bell");
    struct bell other = open_bell();
    CHECK(other.fd == bell.fd && before != 0 && cookie(other.fd, SO_COOKIE) != before,
          "one number, two cookies");
    CHECK(network == cookie(sender, SO_NETNS_COOKIE), "one network, one cookie");
    CHECK(pipe(words) == 0, "pipe");
    pid_t owner = fork();
    if (owner == 0) {
        struct bell mine = open_bell();
        if (write(words[1], &mine, sizeof(mine)) != sizeof(mine)) {
            _exit(1);
        }
        pause();
    }
    CHECK(read(words[0], &bell, sizeof(bell)) == sizeof(bell), "its name");
    CHECK(ring(sender, &bell) == 0, "the owner lives");
    kill(owner, SIGKILL);
    CHECK(child_result(owner) == 128 + SIGKILL, "owner");
    CHECK(ring(sender, &bell) == -ECONNREFUSED, "a dead owner");
    close(words[0]);
    close(words[1]);
    close(other.fd);
    close(sender);
}

struct sleeper {
    struct bell bell;
    short revents;
    volatile pid_t tid;
};

static void *sleep_in_poll(void *argument)
{
    struct sleeper *sleeper = argument;
    struct pollfd entry = { .fd = sleeper->bell.fd, .events = POLLIN };
    sleeper->tid = gettid();
    poll(&entry, 1, LIMIT_MS);
    sleeper->revents = entry.revents;
    return NULL;
}

static int asleep(pid_t tid)
{
    char name[64], text[512];
    snprintf(name, sizeof(name), "/proc/self/task/%d/stat", tid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    const char *state = strrchr(text, ')');
    return state != NULL && state[2] == 'S';
}

static void start(pthread_t *thread, struct sleeper *sleeper)
{
    sleeper->bell = open_bell();
    sleeper->tid = 0;
    CHECK(pthread_create(thread, NULL, sleep_in_poll, sleeper) == 0, "thread");
    while (sleeper->tid == 0 || !asleep(sleeper->tid)) {
        sched_yield();
    }
}

/* What becomes of a sleeper whose number somebody closes, or replaces. */
static void prove_numbers(void)
{
    pthread_t thread;
    struct sleeper sleeper;
    int sender = open_sender(), real[2];
    CHECK(pipe(real) == 0, "pipe");
    start(&thread, &sleeper);
    close(sleeper.bell.fd);
    CHECK(ring(sender, &sleeper.bell) == 0, "poll keeps the socket");
    pthread_join(thread, NULL);
    CHECK(sleeper.revents == POLLNVAL, "closed: %x", sleeper.revents);
    start(&thread, &sleeper);
    CHECK(dup2(real[0], sleeper.bell.fd) == sleeper.bell.fd, "dup2");
    CHECK(ring(sender, &sleeper.bell) == 0, "poll keeps the socket");
    usleep(SILENCE_MS * 1000);
    CHECK(asleep(sleeper.tid), "it heard its bell all the same");
    CHECK(write(real[1], "x", 1) == 1, "write");
    pthread_join(thread, NULL);
    CHECK(sleeper.revents == POLLIN, "replaced: %x", sleeper.revents);
    close(sleeper.bell.fd);
    close(real[0]);
    close(real[1]);
    close(sender);
}

static double time_rings(double *ret_checked, double *ret_fifo)
{
    struct bell bell = open_bell();
    int sender = open_sender(), fifo[2];
    CHECK(pipe2(fifo, O_NONBLOCK | O_CLOEXEC) == 0, "pipe");
    int64_t start = now_ns();
    for (int i = 0; i < RINGS; i++) {
        CHECK(ring(sender, &bell) == 0 && take(&bell), "ring");
    }
    int64_t plain = now_ns();
    for (int i = 0; i < RINGS; i++) {
        CHECK(cookie(sender, SO_COOKIE) != 0, "cookie");
    }
    int64_t checked = now_ns();
    for (int i = 0; i < RINGS; i++) {
        CHECK(write(fifo[1], "", 1) == 1, "fifo");
    }
    *ret_fifo = (double)(now_ns() - checked) / 1000 / RINGS;
    *ret_checked = (double)(checked - plain) / 1000 / RINGS;
    close(bell.fd);
    close(sender);
    close(fifo[0]);
    close(fifo[1]);
    return (double)(plain - start) / 1000 / RINGS;
}

static void answer(const struct bell *mine, const struct bell *theirs, int sender)
{
    struct pollfd entry = { .fd = mine->fd, .events = POLLIN };
    CHECK(poll(&entry, 1, LIMIT_MS) == 1 && take(mine), "the other's ring");
    CHECK(ring(sender, theirs) == 0, "ring");
}

/* Two processes that sleep in poll wake each other; us there and back. */
static double time_trips(void)
{
    struct bell bells[2] = { open_bell(), open_bell() };
    int sender = open_sender();
    pid_t peer = fork();
    if (peer == 0) {
        for (int i = 0; i < TRIPS; i++) {
            answer(&bells[1], &bells[0], sender);
        }
        _exit(0);
    }
    int64_t start = now_ns();
    CHECK(ring(sender, &bells[1]) == 0, "ring");
    for (int i = 1; i < TRIPS; i++) {
        answer(&bells[0], &bells[1], sender);
    }
    struct pollfd entry = { .fd = bells[0].fd, .events = POLLIN };
    CHECK(poll(&entry, 1, LIMIT_MS) == 1, "the last ring");
    double trip = (double)(now_ns() - start) / 1000 / TRIPS;
    CHECK(child_result(peer) == 0, "peer");
    close(bells[0].fd);
    close(bells[1].fd);
    close(sender);
    return trip;
}

/* The same with a FIFO each, watched edge-triggered. */
static double time_fifo_trips(void)
{
    int fifos[2][2], watches[2];
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    for (int i = 0; i < 2; i++) {
        CHECK(pipe2(fifos[i], O_NONBLOCK) == 0, "pipe");
        watches[i] = epoll_create1(0);
        CHECK(epoll_ctl(watches[i], EPOLL_CTL_ADD, fifos[i][0], &event) == 0, "watch");
    }
    pid_t peer = fork();
    int64_t start = now_ns();
    int me = peer == 0;
    for (int i = 0; i < TRIPS; i++) {
        struct pollfd entry = { .fd = watches[me], .events = POLLIN };
        CHECK(me || write(fifos[1][1], "", 1) == 1, "ring");
        CHECK(poll(&entry, 1, LIMIT_MS) == 1 && epoll_wait(watches[me], &event, 1, 0) == 1, "wait");
        CHECK(!me || write(fifos[0][1], "", 1) == 1, "ring");
    }
    if (peer == 0) {
        _exit(0);
    }
    double trip = (double)(now_ns() - start) / 1000 / TRIPS;
    CHECK(child_result(peer) == 0, "peer");
    return trip;
}

int main(void)
{
    double checked, fifo;
    prove_by_name();
    prove_gone();
    prove_numbers();
    double ring_us = time_rings(&checked, &fifo);
    double trip = time_trips(), fifo_trip = time_fifo_trips();
    printf(
        "rung by name: %.2f us a ring and its taking (%.2f us more to check the sender's cookie; "
        "a FIFO: %.2f us a ring); there and back between two sleepers in poll %.1f us (by FIFOs "
        "and epoll instances %.1f us); a dead bell's name is ECONNREFUSED; a closed number shows "
        "POLLNVAL, a replaced one is deaf\n",
        ring_us, checked, fifo, trip, fifo_trip);
    return 0;
}
