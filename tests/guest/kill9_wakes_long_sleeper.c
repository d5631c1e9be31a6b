/*
 * Proves: who has slept for long in a call sleeps without ever waking up, and is woken at once when
 * the process at the other end is killed by SIGKILL, although nobody waits for that process. Read
 * of a pipe and a stream, write to both, poll and select, poll with a real descriptor beside.
 *
 * Rows: 2.3 "read, empty, no writers", 3.6 "both directions shut, or peer closed"
 */
#include <sys/eventfd.h>

#include "guest.h"

enum way { READ_PIPE, WRITE_PIPE, READ_STREAM, WRITE_STREAM, POLL, POLL_MIXED, SELECT, WAYS };
enum { SETTLE_MS = 30, WATCH_MS = 300, AT_ONCE_MS = 1000 };

struct sleeper {
    struct guest_thread thread;
    enum way way;
    int fd;
    int real;
};

static void write_until_end(int fd)
{
    static char data[100000];
    for (;;) {
        ssize_t count = write(fd, data, sizeof data);
        if (count == -1) {
            CHECK(errno == EPIPE || errno == ECONNRESET);
            return;
        }
    }
}

static void *sleep_in_call(void *argument)
{
    const struct sleeper *sleeper = argument;
    struct pollfd both[2] = { { .fd = sleeper->fd, .events = POLLIN },
                              { .fd = sleeper->real, .events = POLLIN } };
    fd_set readable;
    char byte;
    switch (sleeper->way) {
    case READ_PIPE:
    case READ_STREAM: CHECK_EQ(0, read(sleeper->fd, &byte, 1)); break;
    case WRITE_PIPE:
    case WRITE_STREAM: write_until_end(sleeper->fd); break;
    case POLL:
    case POLL_MIXED:
        CHECK_EQ(1, poll(both, sleeper->way == POLL ? 1 : 2, -1));
        CHECK(both[0].revents & POLLHUP);
        break;
    default:
        FD_ZERO(&readable);
        FD_SET(sleeper->fd, &readable);
        CHECK_EQ(1, select(sleeper->fd + 1, &readable, NULL, NULL, NULL));
        CHECK(FD_ISSET(sleeper->fd, &readable));
        break;
    }
    return NULL;
}

static long switches(const struct guest_thread *thread)
{
    char path[64], line[256];
    long value = -1;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", atomic_load(&thread->tid));
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

static void pass_time(int milliseconds)
{
    const struct timespec time = { 0, milliseconds * 1000000L };
    CHECK_OK(nanosleep(&time, NULL));
}

/*
 * Its switches, once there were none for SETTLE_MS: a sleeper may turn over once before it sleeps
 * for good, and on a busy machine that takes time. One that turns over again and again comes to the
 * deadline.
 */
static long settled(struct guest_thread *thread)
{
    long before, now = switches(thread);
    do {
        before = now;
        pass_time(SETTLE_MS);
        guest_thread_blocked(thread);
        now = switches(thread);
    } while (now != before);
    return now;
}

/* The parent keeps `ours`, the child `theirs`. Returns the child. */
static pid_t hold_other_end(int ours, int theirs)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        close(ours);
        for (;;) {
            pause();
        }
    }
    CHECK_OK(close(theirs));
    return pid;
}

static void wake_by_death(enum way way)
{
    struct sleeper sleeper = { .way = way, .real = (int)CHECK_OK(eventfd(0, 0)) };
    int fds[2], writes = way == WRITE_PIPE;
    if (way == READ_STREAM || way == WRITE_STREAM) {
        guest_pair(SOCK_STREAM, fds);
    } else {
        guest_pipe(fds);
    }
    sleeper.fd = fds[writes];
    pid_t child = hold_other_end(fds[writes], fds[!writes]);
    guest_thread_start(&sleeper.thread, sleep_in_call, &sleeper);
    guest_thread_blocked(&sleeper.thread);
    const long before = settled(&sleeper.thread);
    pass_time(WATCH_MS);
    CHECK_EQ(before, switches(&sleeper.thread));
    const int64_t killed = guest_now_ms();
    CHECK_OK(kill(child, SIGKILL));
    guest_thread_join(&sleeper.thread);
    CHECK(guest_now_ms() - killed < AT_ONCE_MS);
    guest_wait_killed(child, SIGKILL);
    CHECK_OK(close(sleeper.fd));
    CHECK_OK(close(sleeper.real));
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    for (int way = 0; way < WAYS; way++) {
        wake_by_death((enum way)way);
    }
    return guest_end();
}
