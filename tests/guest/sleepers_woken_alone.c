/*
 * Proves: of many sleepers in poll, each on a pipe of its own and on a real descriptor that all
 * share, a write wakes the one it is meant for and disturbs no other: nobody else's count of
 * voluntary context switches moves. Threads of one process, and processes.
 *
 * Rows: 3.6 "connected, idle, send buffer ok"
 */
#include <sys/eventfd.h>

#include "guest.h"

enum { THREADS = 50, PROCESSES = 12, SETTLE_MS = 30 };

static struct sleeper {
    struct guest_thread thread;
    pid_t pid;
    pid_t tid;
    int fds[2];
    int real;
} sleepers[THREADS];

static void *sleep_in_poll(void *argument)
{
    const struct sleeper *sleeper = argument;
    struct pollfd both[2] = { { .fd = sleeper->real, .events = POLLIN },
                              { .fd = sleeper->fds[0], .events = POLLIN } };
    char byte;
    CHECK_EQ(1, poll(both, 2, -1));
    CHECK_EQ(0, both[0].revents);
    CHECK_EQ(POLLIN, both[1].revents);
    CHECK_EQ(1, read(sleeper->fds[0], &byte, 1));
    return NULL;
}

static long switches(const struct sleeper *sleeper)
{
    char path[64], line[256];
    long value = -1;
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", sleeper->pid, sleeper->tid);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &value) == 1) {
            break;
        }
    }
    CHECK_EQ(0, fclose(file));
    CHECK(value >= 0);
    return value;
}

/*
 * Their switches, once nobody has had any for SETTLE_MS: a sleeper may turn over once before it
 * sleeps for good, and on a busy machine that takes time.
 */
static void settle(int count, long *ret_switches)
{
    const struct timespec pause = { 0, SETTLE_MS * 1000000 };
    bool moved = true;
    while (moved) {
        CHECK_OK(nanosleep(&pause, NULL));
        moved = false;
        for (int i = 0; i < count; i++) {
            guest_wait_blocked(sleepers[i].pid, sleepers[i].tid);
            const long now = switches(&sleepers[i]);
            moved = moved || now != ret_switches[i];
            ret_switches[i] = now;
        }
    }
}

/* Waking one after the other, the first first: after each, those that still sleep have not moved.
 */
static void wake_each(int count, void (*join)(struct sleeper *))
{
    long before[THREADS] = { 0 };
    settle(count, before);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(1, write(sleepers[i].fds[1], "x", 1));
        join(&sleepers[i]);
        for (int j = i + 1; j < count; j++) {
            CHECK_EQ(before[j], switches(&sleepers[j]));
        }
    }
}

static void join_thread(struct sleeper *sleeper)
{
    guest_thread_join(&sleeper->thread);
}

static void join_process(struct sleeper *sleeper)
{
    guest_wait_exit(sleeper->pid, 0);
}

static void threads(int real)
{
    for (int i = 0; i < THREADS; i++) {
        sleepers[i].real = real;
        guest_pipe(sleepers[i].fds);
        guest_thread_start(&sleepers[i].thread, sleep_in_poll, &sleepers[i]);
        sleepers[i].pid = getpid();
        sleepers[i].tid = atomic_load(&sleepers[i].thread.tid);
    }
    for (int i = 0; i < THREADS; i++) {
        guest_thread_blocked(&sleepers[i].thread);
    }
    wake_each(THREADS, join_thread);
    for (int i = 0; i < THREADS; i++) {
        guest_close_both(sleepers[i].fds);
    }
}

static void processes(int real)
{
    for (int i = 0; i < PROCESSES; i++) {
        sleepers[i].real = real;
        guest_pipe(sleepers[i].fds);
        sleepers[i].pid = guest_fork();
        if (sleepers[i].pid == 0) {
            sleep_in_poll(&sleepers[i]);
            _exit(0);
        }
        sleepers[i].tid = sleepers[i].pid;
    }
    for (int i = 0; i < PROCESSES; i++) {
        guest_process_blocked(sleepers[i].pid);
    }
    wake_each(PROCESSES, join_process);
    for (int i = 0; i < PROCESSES; i++) {
        guest_close_both(sleepers[i].fds);
    }
}

int main(void)
{
    guest_start();
    int real = (int)CHECK_OK(eventfd(0, 0));
    threads(real);
    processes(real);
    CHECK_OK(close(real));
    return guest_end();
}
