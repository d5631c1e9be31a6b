/*
 * Proves: with the owner's tid in the lock word and the word's address in the thread's
 * robust_list_head.list_op_pending (no list is linked), the kernel sets FUTEX_OWNER_DIED and wakes
 * one waiter when the owner is killed, executes a new image, or ends as a thread; the waiter takes
 * the lock over. Also: libc's fork keeps a list head in the child, a raw fork has none, and a lock
 * there is lost for good; the head's futex_offset is what glibc says, not what we assume.
 */
#include "proof.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>

enum { ROUNDS = 20, LIMIT_MS = 2000, LOST_MS = 300 };
enum how { BY_SIGKILL, BY_EXEC, BY_THREAD_EXIT, BY_SIGKILL_OF_RAW_FORK };

struct shared {
    uint32_t lock, held, waiting;
};

static __thread struct robust_list_head *head;

/* Must run again in every thread and forked child. Returns 0 when the kernel knows no list. */
static int find_head(void)
{
    size_t length = 0;
    head = NULL;
    long rc = syscall(SYS_get_robust_list, 0, &head, &length);
    return rc == 0 && head != NULL && length == sizeof(*head);
}

static void lock(uint32_t *word)
{
    uint32_t self = (uint32_t)syscall(SYS_gettid), zero = 0;
    /* The kernel adds futex_offset to what is pending: so that it finds the word. */
    head->list_op_pending = (struct robust_list *)(void *)((char *)word - head->futex_offset);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (!__atomic_compare_exchange_n(word, &zero, self, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        _exit(8);
    }
}

static void unlock(uint32_t *word)
{
    uint32_t old = __atomic_exchange_n(word, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if ((old & FUTEX_WAITERS) != 0) {
        syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
    head->list_op_pending = NULL;
}

/* Sleeps until the owner is marked dead, then takes the lock. Returns 0, or -1 after the limit. */
static int take_over(uint32_t *word, uint32_t *waiting, int limit_ms)
{
    struct timespec limit = { .tv_sec = limit_ms / 1000, .tv_nsec = limit_ms % 1000 * 1000000L };
    uint32_t self = (uint32_t)syscall(SYS_gettid);
    for (;;) {
        uint32_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
        if ((seen & FUTEX_OWNER_DIED) != 0) {
            uint32_t mine = self | (seen & FUTEX_WAITERS);
            if (__atomic_compare_exchange_n(word, &seen, mine, 0, __ATOMIC_ACQUIRE,
                                            __ATOMIC_RELAXED)) {
                return 0;
            }
            continue;
        }
        uint32_t marked = seen | FUTEX_WAITERS;
        __atomic_compare_exchange_n(word, &seen, marked, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        __atomic_store_n(waiting, 1, __ATOMIC_SEQ_CST);
        /* Not FUTEX_PRIVATE: the dying task wakes through the shared key. */
        long rc = syscall(SYS_futex, word, FUTEX_WAIT, marked, &limit, NULL, 0);
        if (rc != 0 && errno == ETIMEDOUT) {
            return -1;
        }
    }
}

static void *hold_in_thread(void *arg)
{
    struct shared *shared = arg;
    if (!find_head()) {
        _exit(7);
    }
    lock(&shared->lock);
    __atomic_store_n(&shared->held, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&shared->waiting, __ATOMIC_SEQ_CST) == 0) {
        sched_yield();
    }
    return NULL;
}

static void own(struct shared *shared, enum how how)
{
    int known = find_head();
    if (how == BY_SIGKILL_OF_RAW_FORK) {
        if (known) {
            _exit(7); /* then it would be no trap */
        }
        uint32_t self = (uint32_t)syscall(SYS_gettid);
        __atomic_store_n(&shared->lock, self, __ATOMIC_SEQ_CST);
    } else if (how == BY_THREAD_EXIT) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, hold_in_thread, shared) != 0) {
            _exit(7);
        }
    } else {
        lock(&shared->lock);
    }
    if (how != BY_THREAD_EXIT) {
        __atomic_store_n(&shared->held, 1, __ATOMIC_SEQ_CST);
    }
    while (how == BY_EXEC && __atomic_load_n(&shared->waiting, __ATOMIC_SEQ_CST) == 0) {
        sched_yield();
    }
    if (how == BY_EXEC) {
        execl("/proc/self/exe", "proof", "pause", (char *)NULL);
        _exit(7);
    }
    for (;;) {
        pause();
    }
}

/* One death; returns ns from its cause to the take-over, -1 when the lock was lost. */
static int64_t one_death(struct shared *shared, enum how how, int kill_first)
{
    memset(shared, 0, sizeof(*shared));
    pid_t owner = how == BY_SIGKILL_OF_RAW_FORK ? (pid_t)syscall(SYS_fork) : fork();
    CHECK(owner >= 0, "fork");
    if (owner == 0) {
        own(shared, how);
    }
    while (__atomic_load_n(&shared->held, __ATOMIC_SEQ_CST) == 0) {
        sched_yield();
    }
    int64_t start = now_ns();
    pid_t killer = -1;
    if (kill_first) {
        CHECK(kill(owner, SIGKILL) == 0, "kill");
        CHECK(child_result(owner) == 128 + SIGKILL, "owner");
    } else if (how == BY_SIGKILL || how == BY_SIGKILL_OF_RAW_FORK) {
        killer = fork();
        if (killer == 0) {
            while (__atomic_load_n(&shared->waiting, __ATOMIC_SEQ_CST) == 0) {
                sched_yield();
            }
            _exit(kill(owner, SIGKILL));
        }
    }
    int limit_ms = how == BY_SIGKILL_OF_RAW_FORK ? LOST_MS : LIMIT_MS;
    int rc = take_over(&shared->lock, &shared->waiting, limit_ms);
    int64_t took = now_ns() - start;
    if (rc == 0) {
        CHECK((shared->lock & FUTEX_TID_MASK) == (uint32_t)syscall(SYS_gettid), "not mine");
        CHECK(find_head(), "own head");
        unlock(&shared->lock);
    }
    if (killer > 0) {
        CHECK(child_result(killer) == 0, "killer");
    }
    if (!kill_first) {
        kill(owner, SIGKILL);
        CHECK(child_result(owner) == 128 + SIGKILL, "owner");
    }
    return rc == 0 ? took : -1;
}

static double mean_us(struct shared *shared, enum how how, int kill_first, const char *name)
{
    int64_t sum = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t took = one_death(shared, how, kill_first);
        CHECK(took >= 0, "owner gone by %s: nobody woken within %d ms", name, LIMIT_MS);
        sum += took;
    }
    return (double)sum / 1000 / ROUNDS;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "pause") == 0) {
        for (;;) {
            pause();
        }
    }
    if (!find_head()) {
        SKIP("the kernel knows no robust list of this thread");
    }
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED, "mmap");
    enum { PAIRS = 1000000 };
    int64_t start = now_ns();
    for (int i = 0; i < PAIRS; i++) {
        lock(&shared->lock);
        unlock(&shared->lock);
    }
    double pair_ns = (double)(now_ns() - start) / PAIRS;
    double kill_us = mean_us(shared, BY_SIGKILL, 0, "SIGKILL");
    double before_us = mean_us(shared, BY_SIGKILL, 1, "SIGKILL before the wait");
    double exec_us = mean_us(shared, BY_EXEC, 0, "exec");
    double thread_us = mean_us(shared, BY_THREAD_EXIT, 0, "thread exit");
    CHECK(one_death(shared, BY_SIGKILL_OF_RAW_FORK, 0) == -1, "a raw fork's lock was taken over");
    printf(
        "take-over after SIGKILL with waiter %.0f us, SIGKILL and wait for it, then lock %.0f us, "
        "exec %.0f us, thread exit %.0f us; lock+unlock with gettid %.0f ns; futex_offset %ld; "
        "lost when the owner is a raw fork child (no robust list there)\n",
        kill_us, before_us, exec_us, thread_us, pair_ns, head->futex_offset);
    return 0;
}
