/*
 * Proves: a FIFO opened O_RDWR, watched edge-triggered by epoll instances of several processes, is
 * a bell: one byte written by anybody wakes them all and nobody drains. When it is full (65536
 * rings) a ring fails with EAGAIN; the ringer then drains it and rings again. (Linux 6.18 wakes
 * even for the failed write, since pipe_write looks at poll_usage alone; that is printed, not
 * relied on.) An epoll instance with the bell in it can stand in poll() beside real fds, and must
 * be harvested to be quiet again. Of several waiters in one epoll instance a ring wakes one. Leaves
 * out: kernels 5.5 to 5.13, where a write to a pipe that isn't empty need not wake.
 */
#include "proof.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { WATCHERS = 3, RINGS = 1000, FULL = 65536, LIMIT_MS = 5000 };

struct shared {
    volatile int woken[WATCHERS]; /* how often each watcher was woken */
    volatile int ready[WATCHERS];
    volatile int waiters_woken;
};

static char directory[] = "/tmp/proof-bell-XXXXXX";
static char path[64];

static void remove_bell(void)
{
    unlink(path);
    rmdir(directory);
}

static int open_bell(void)
{
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    CHECK(fd >= 0, "%s", path);
    return fd;
}

static int watch(int bell)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event entry = { .events = EPOLLIN | EPOLLET };
    CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, bell, &entry) == 0, "epoll");
    return epoll;
}

/* Rings; a full bell is drained by the ringer. Returns 1 when it had to be. */
static int ring(int bell)
{
    static char waste[FULL];
    int drained = 0;
    while (write(bell, "r", 1) != 1) {
        CHECK(errno == EAGAIN, "ring");
        /* Another ringer may drain it first: then this read finds less, or nothing. */
        CHECK(read(bell, waste, sizeof(waste)) > 0 || errno == EAGAIN, "drain");
        drained = 1;
    }
    return drained;
}

static pid_t start_watcher(struct shared *shared, int index)
{
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        struct epoll_event event;
        int epoll = watch(open_bell()); /* each process has its own descriptions */
        shared->ready[index] = 1;
        for (;;) {
            int rc = epoll_wait(epoll, &event, 1, LIMIT_MS);
            if (rc != 1) {
                _exit(1);
            }
            shared->woken[index]++;
        }
    }
    return pid;
}

static void await(volatile int *word, int at_least, const char *what)
{
    int64_t start = now_ns();
    while (*word < at_least) {
        CHECK(now_ns() - start < (int64_t)LIMIT_MS * 1000000, "%s: %d of %d", what, *word,
              at_least);
        sched_yield();
    }
}

/* Every ring wakes every watcher, one after the other, also once the bell was full. */
static double prove_all_woken(struct shared *shared, int bell)
{
    int64_t sum = 0;
    pid_t watchers[WATCHERS];
    for (int i = 0; i < WATCHERS; i++) {
        watchers[i] = start_watcher(shared, i);
    }
    for (int i = 0; i < WATCHERS; i++) {
        await(&shared->ready[i], 1, "watcher starts");
    }
    for (int n = 0; n < RINGS; n++) {
        int before[WATCHERS];
        for (int i = 0; i < WATCHERS; i++) {
            before[i] = shared->woken[i];
        }
        int64_t start = now_ns();
        ring(bell);
        sum += now_ns() - start;
        for (int i = 0; i < WATCHERS; i++) {
            await(&shared->woken[i], before[i] + 1, "a ring");
        }
    }
    for (int i = 0; i < WATCHERS; i++) {
        kill(watchers[i], SIGKILL);
        CHECK(child_result(watchers[i]) == 128 + SIGKILL, "watcher ended by itself");
    }
    return (double)sum / 1000 / RINGS;
}

static double prove_full(int bell, int *ret_rings_when_full)
{
    struct epoll_event event;
    int epoll = watch(bell), rings = 0;
    while (write(bell, "r", 1) == 1) {
        rings++;
    }
    CHECK(errno == EAGAIN && rings <= FULL, "%d rings", rings);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 1, "first harvest");
    CHECK(write(bell, "r", 1) == -1 && errno == EAGAIN, "still full");
    *ret_rings_when_full = epoll_wait(epoll, &event, 1, 0);
    CHECK(ring(bell) == 1 && epoll_wait(epoll, &event, 1, 0) == 1, "drained and rung");
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0, "one ring, two events");
    int64_t start = now_ns();
    for (int i = 0; i < 3 * FULL; i++) {
        ring(bell);
    }
    double took = (double)(now_ns() - start) / 3 / FULL;
    close(epoll);
    return took;
}

/* The instance as one fd among others in poll(): readable from ring to harvest. */
static void prove_nested(int bell)
{
    int real[2], epoll = watch(bell);
    struct epoll_event event;
    CHECK(pipe(real) == 0, "pipe");
    struct pollfd fds[2] = { { .fd = epoll, .events = POLLIN },
                             { .fd = real[0], .events = POLLIN } };
    CHECK(poll(fds, 2, 0) == 1 && epoll_wait(epoll, &event, 1, 0) == 1,
          "bytes of before: one event");
    CHECK(poll(fds, 2, 0) == 0, "quiet after the harvest, bytes or not: %x", fds[0].revents);
    pid_t ringer = fork();
    if (ringer == 0) {
        ring(open_bell());
        _exit(0);
    }
    CHECK(poll(fds, 2, LIMIT_MS) == 1 && fds[0].revents == POLLIN, "ring in poll");
    CHECK(child_result(ringer) == 0, "ringer");
    CHECK(poll(fds, 2, 0) == 1, "not harvested, so still readable");
    CHECK(epoll_wait(epoll, &event, 1, 0) == 1 && poll(fds, 2, 0) == 0, "harvested");
    CHECK(write(real[1], "x", 1) == 1 && poll(fds, 2, 0) == 1 && fds[1].revents == POLLIN,
          "real fd");
    close(real[0]);
    close(real[1]);
    close(epoll);
}

struct waiter {
    struct shared *shared;
    int epoll;
    volatile pid_t tid;
};

static void *wait_once(void *arg)
{
    struct waiter *waiter = arg;
    struct epoll_event event;
    waiter->tid = gettid();
    int rc = epoll_wait(waiter->epoll, &event, 1, LIMIT_MS);
    __atomic_add_fetch(&waiter->shared->waiters_woken, rc == 1, __ATOMIC_SEQ_CST);
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

/* Two threads in one instance: one ring, one of them; the next ring, the other. */
static void prove_one_waiter(struct shared *shared, int bell)
{
    pthread_t threads[2];
    struct epoll_event event;
    int epoll = watch(bell);
    struct waiter waiters[2] = { { shared, epoll, 0 }, { shared, epoll, 0 } };
    CHECK(epoll_wait(epoll, &event, 1, 0) == 1, "bytes of before");
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, wait_once, &waiters[i]) == 0, "thread");
        int64_t start = now_ns();
        while (waiters[i].tid == 0 || !asleep(waiters[i].tid)) {
            CHECK(now_ns() - start < (int64_t)LIMIT_MS * 1000000, "the waiter doesn't go to sleep");
            sched_yield();
        }
    }
    ring(bell);
    await(&shared->waiters_woken, 1, "one waiter");
    CHECK(epoll_wait(epoll, &event, 1, 50) == 0 && shared->waiters_woken == 1,
          "one ring woke both waiters of an instance");
    ring(bell);
    await(&shared->waiters_woken, 2, "the other waiter");
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    close(epoll);
}

int main(void)
{
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED && mkdtemp(directory) != NULL, "set-up");
    CHECK(atexit(remove_bell) == 0, "atexit"); /* children leave by _exit */
    snprintf(path, sizeof(path), "%s/bell", directory);
    CHECK(mkfifo(path, 0600) == 0, "mkfifo");
    int bell = open_bell();
    int when_full = 0;
    double full_ns = prove_full(bell, &when_full);
    double three_us = prove_all_woken(shared, bell);
    prove_nested(bell);
    prove_one_waiter(shared, bell);
    printf("every ring wakes each of %d processes, none drains; %.2f us a ring with %d "
           "sleepers, %.2f us "
           "with nobody asleep (drain by the ringer included); full at %d rings, where a "
           "failed ring wakes %s; nests in poll; of two waiters in one instance a ring wakes one\n",
           WATCHERS, three_us, WATCHERS, full_ns / 1000, FULL, when_full ? "too" : "nobody");
    return 0;
}
