/*
 * Proves: a thread that sleeps in a set, of pipes and pairs alone, with a real descriptor beside
 * them, or with one in a nested set, does nothing: for a second neither its CPU time nor its count
 * of context switches moves; then either side wakes it at once.
 *
 * Rows: 6.4 "a thread that sleeps in a set of real and emulated ends uses no CPU", 6.4
 * "epoll_wait timeout rounding: milliseconds, -1 infinite"
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum setting { ALONE, BESIDE_REAL, NESTED_REAL, SETTINGS };

struct sleeper {
    struct guest_thread thread;
    int epoll;
};

static void add(int epoll, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void *sleep_in_set(void *argument)
{
    struct sleeper *sleeper = argument;
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(sleeper->epoll, &event, 1, -1));
    CHECK_EQ(EPOLLIN, event.events);
    return (void *)(intptr_t)event.data.fd;
}

/* proc(5): both kinds of switches, voluntary or not, of one thread. */
static long switches(const struct guest_thread *thread)
{
    char path[64], line[256];
    long total = 0, value;
    int found = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", atomic_load(&thread->tid));
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &value) == 1 ||
            sscanf(line, "nonvoluntary_ctxt_switches: %ld", &value) == 1) {
            total += value;
            found++;
        }
    }
    CHECK_EQ(2, found);
    CHECK_EQ(0, fclose(file));
    return total;
}

static int64_t cpu_ns(const struct guest_thread *thread)
{
    clockid_t clock;
    struct timespec time;
    CHECK_ZERO(pthread_getcpuclockid(thread->pthread, &clock));
    CHECK_OK(clock_gettime(clock, &time));
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void idle(enum setting setting, bool wake_by_real)
{
    const struct timespec second = { 1, 0 }, calm = { 0, 50000000 };
    int pipe_fds[2], pair_fds[2], real = (int)CHECK_OK(eventfd(0, 0));
    struct sleeper sleeper = { .epoll = (int)CHECK_OK(epoll_create1(0)) };
    int inner = (int)CHECK_OK(epoll_create1(0)), expected;
    guest_pipe(pipe_fds);
    guest_pair(SOCK_STREAM, pair_fds);
    add(sleeper.epoll, pipe_fds[0]);
    add(sleeper.epoll, pair_fds[0]);
    if (setting == BESIDE_REAL) {
        add(sleeper.epoll, real);
    } else if (setting == NESTED_REAL) {
        add(inner, real);
        add(sleeper.epoll, inner);
    }
    guest_thread_start(&sleeper.thread, sleep_in_set, &sleeper);
    guest_thread_blocked(&sleeper.thread);
    CHECK_OK(nanosleep(&calm, NULL)); /* a sleep may begin in several steps */
    const long switches_before = switches(&sleeper.thread);
    const int64_t cpu_before = cpu_ns(&sleeper.thread);
    CHECK_OK(nanosleep(&second, NULL)); /* the time that is watched */
    CHECK_EQ(switches_before, switches(&sleeper.thread));
    CHECK_EQ(cpu_before, cpu_ns(&sleeper.thread));
    if (wake_by_real) {
        CHECK_OK(eventfd_write(real, 1));
        expected = setting == NESTED_REAL ? inner : real;
    } else {
        CHECK_EQ(1, write(pair_fds[1], "x", 1));
        expected = pair_fds[0];
    }
    CHECK_EQ(expected, (intptr_t)guest_thread_join(&sleeper.thread));
    guest_close_both(pipe_fds);
    guest_close_both(pair_fds);
    CHECK_OK(close(real));
    CHECK_OK(close(inner));
    CHECK_OK(close(sleeper.epoll));
}

int main(void)
{
    guest_start();
    for (int setting = 0; setting < SETTINGS; setting++) {
        idle((enum setting)setting, false);
        if (setting != ALONE) {
            idle((enum setting)setting, true);
        }
    }
    return guest_end();
}
