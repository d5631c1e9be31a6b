/*
 * Proves: the kernel shows the last close through the other end's placeholder when the only holder
 * is killed (POLLHUP on a pipe, POLLHUP|POLLRDHUP on a socketpair), within 100 ms; that this is so
 * already when the victim's pidfd becomes readable, threads or not; and that a watcher which holds
 * the pidfd can wake a sleeper that waits in a shared futex.
 */
#include "proof.h"
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { ROUNDS = 20, LIMIT_MS = 100, NOT_YET_S = 10 };

struct shared {
    uint32_t word, sleeping;
    int64_t woken_ns;
};

static int order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void *idle(void *unused)
{
    for (;;) {
        pause();
    }
    return unused;
}

/* A child that alone holds fd (the parent closes its copy), with threads more than one. */
static pid_t start_victim(int held, int peer, int threads)
{
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0, "pipe");
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(peer);
        for (int i = 1; i < threads; i++) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, idle, NULL) != 0) {
                _exit(1);
            }
        }
        if (write(ready[1], "r", 1) != 1) {
            _exit(1);
        }
        idle(NULL);
    }
    close(held);
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1, "victim did not start");
    close(ready[0]);
    return pid;
}

/* One kill; returns the ns until the end shows `want`. With a pidfd: only after that is readable.
 */
static int64_t hang_up_after_kill(int socket, int threads, int by_pidfd, short want)
{
    int ends[2];
    CHECK((socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0, "ends");
    pid_t victim = start_victim(ends[1], ends[0], threads);
    int pidfd = (int)syscall(SYS_pidfd_open, victim, 0);
    CHECK(pidfd >= 0, "pidfd_open");
    struct pollfd end = { .fd = ends[0], .events = POLLIN | POLLRDHUP };
    CHECK(poll(&end, 1, 0) == 0, "hang-up before the kill: %x", end.revents);

    int64_t start = now_ns();
    CHECK(kill(victim, SIGKILL) == 0, "kill");
    if (by_pidfd) {
        struct pollfd death = { .fd = pidfd, .events = POLLIN };
        CHECK(poll(&death, 1, 1000 * NOT_YET_S) == 1, "pidfd never readable");
        CHECK(poll(&end, 1, 0) == 1, "pidfd tells the death before the end shows the hang-up");
    } else {
        CHECK(poll(&end, 1, LIMIT_MS) == 1, "no hang-up within %d ms", LIMIT_MS);
    }
    int64_t took = now_ns() - start;
    CHECK((end.revents & want) == want, "revents %x", end.revents);
    CHECK(child_result(victim) == 128 + SIGKILL, "victim");
    close(ends[0]);
    close(pidfd);
    return took;
}

static double median_us(int socket, int threads, int by_pidfd, short want)
{
    int64_t took[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        took[i] = hang_up_after_kill(socket, threads, by_pidfd, want);
    }
    qsort(took, ROUNDS, sizeof(took[0]), order);
    return (double)took[ROUNDS / 2] / 1000;
}

static pid_t start_sleeper(struct shared *shared)
{
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        struct timespec limit = { .tv_sec = NOT_YET_S };
        __atomic_store_n(&shared->sleeping, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&shared->word, __ATOMIC_SEQ_CST) == 0) {
            long rc = syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, &limit, NULL, 0);
            if (rc != 0 && errno == ETIMEDOUT) {
                _exit(1);
            }
        }
        shared->woken_ns = now_ns();
        _exit(0);
    }
    return pid;
}

static pid_t start_watcher(struct shared *shared, int pidfd)
{
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        struct pollfd death = { .fd = pidfd, .events = POLLIN };
        __atomic_add_fetch(&shared->sleeping, 1, __ATOMIC_SEQ_CST);
        if (poll(&death, 1, 1000 * NOT_YET_S) != 1) {
            _exit(1);
        }
        __atomic_store_n(&shared->word, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &shared->word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
        _exit(0);
    }
    return pid;
}

static double sleeper_woken_us(void)
{
    int64_t took[ROUNDS];
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED, "mmap");
    for (int i = 0; i < ROUNDS; i++) {
        int ends[2];
        *shared = (struct shared){ 0 };
        CHECK(pipe(ends) == 0, "pipe");
        pid_t victim = start_victim(ends[1], ends[0], 1);
        int pidfd = (int)syscall(SYS_pidfd_open, victim, 0);
        pid_t watcher = start_watcher(shared, pidfd);
        pid_t sleeper = start_sleeper(shared);
        /* Both are on their way into the kernel; that they are there already is not needed. */
        while (__atomic_load_n(&shared->sleeping, __ATOMIC_SEQ_CST) == 0) {
            sched_yield();
        }
        int64_t start = now_ns();
        CHECK(kill(victim, SIGKILL) == 0, "kill");
        CHECK(child_result(sleeper) == 0, "the sleeper was not woken");
        took[i] = shared->woken_ns - start;
        CHECK(child_result(watcher) == 0, "watcher");
        CHECK(child_result(victim) == 128 + SIGKILL, "victim");
        close(ends[0]);
        close(pidfd);
    }
    qsort(took, ROUNDS, sizeof(took[0]), order);
    return (double)took[ROUNDS / 2] / 1000;
}

int main(void)
{
    if (syscall(SYS_pidfd_open, getpid(), 0) < 0 && errno == ENOSYS) {
        SKIP("no pidfd_open (5.3)");
    }
    double pipe_us = median_us(0, 1, 0, POLLHUP);
    double pair_us = median_us(1, 1, 0, POLLHUP | POLLRDHUP);
    median_us(0, 1, 1, POLLHUP);
    median_us(1, 4, 1, POLLHUP | POLLRDHUP);
    double threads_us = median_us(0, 4, 1, POLLHUP);
    printf(
        "hang-up after SIGKILL: pipe %.0f us, socketpair %.0f us; always there when the pidfd is "
        "readable (4 threads: %.0f us); sleeper woken by the watcher after %.0f us\n",
        pipe_us, pair_us, threads_us, sleeper_woken_us());
    return 0;
}
