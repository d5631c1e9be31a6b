/*
 * Proves: a storm of 10,000 signals a second at a thread that makes 64-byte writes loses nothing
 * and never deadlocks: the reader, a thread or a process, finds every byte in its place; the
 * handler writes to a pipe of its own each time, and what it wrote arrives, too. Pipes and sockets,
 * with SA_RESTART and without.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send", 2.2 "unless interrupted by a signal"
 */
#include "guest.h"

enum { SMALL = 64, PERIOD_NS = 100000, STORM_MS = 350, FEWEST = 300 };

static int note_fd;
static atomic_int noted, note_refused;

static void write_note(int signo)
{
    int error = errno;
    (void)signo;
    ssize_t count = write(note_fd, "n", 1);
    if (count == 1) {
        atomic_fetch_add(&noted, 1);
    } else if (count == -1 && errno == EAGAIN) {
        atomic_fetch_add(&note_refused, 1);
    } else {
        guest_fail(__FILE__, __LINE__, "write in the handler", "got %zd, errno %d", count, errno);
    }
    errno = error;
}

struct storm {
    pthread_t target;
    atomic_int stop;
    int sent;
};

/* Paced by absolute times: who comes late sends at once, so the rate holds on average. */
static void *send_signals(void *argument)
{
    struct storm *storm = argument;
    struct timespec next;
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &next));
    while (!atomic_load(&storm->stop)) {
        CHECK_ZERO(pthread_kill(storm->target, SIGUSR1));
        storm->sent++;
        next.tv_nsec += PERIOD_NS;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        CHECK_ZERO(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL));
    }
    return NULL;
}

/* Returns the bytes it found, all of them right. */
static uint64_t read_stream(int fd)
{
    unsigned char buffer[3000];
    uint64_t position = 0;
    ssize_t count;
    while ((count = CHECK_OK(read(fd, buffer, sizeof buffer))) > 0) {
        guest_pattern_check(buffer, (size_t)count, position);
        position += (uint64_t)count;
    }
    return position;
}

static void *read_in_thread(void *argument)
{
    static uint64_t total;
    total = read_stream(*(int *)argument);
    return &total;
}

static int handlers_run(void)
{
    return atomic_load(&noted) + atomic_load(&note_refused);
}

/* 64 bytes go whole or, interrupted, not at all. */
static uint64_t write_under_fire(int fd, int flags)
{
    unsigned char buffer[SMALL];
    uint64_t position = 0;
    int64_t end = guest_now_ms() + STORM_MS;
    while (guest_now_ms() < end || handlers_run() < FEWEST) { /* a busy machine takes longer */
        guest_pattern_fill(buffer, SMALL, position);
        ssize_t count = write(fd, buffer, SMALL);
        if (count == -1) {
            CHECK_EQ(EINTR, errno);
            CHECK_EQ(0, flags);
            continue;
        }
        CHECK_EQ(SMALL, count);
        position += SMALL;
    }
    return position;
}

static int count_notes(int fd)
{
    char buffer[4096];
    ssize_t count;
    int total = 0;
    while ((count = read(fd, buffer, sizeof buffer)) > 0) {
        total += (int)count;
    }
    CHECK_EQ(EAGAIN, errno);
    return total;
}

static void block_signal(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_ZERO(pthread_sigmask(how, &set, NULL));
}

static void storm_over(int type, bool reader_is_child, int flags)
{
    int fds[2], notes[2], answer[2];
    uint64_t total;
    struct guest_thread reader, sender;
    struct storm storm = { .target = pthread_self() };
    pid_t pid = -1;
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    CHECK_OK(pipe2(notes, O_NONBLOCK));
    guest_pipe(answer);
    note_fd = notes[1];
    atomic_store(&noted, 0);
    atomic_store(&note_refused, 0);
    block_signal(SIG_BLOCK); /* for the threads; only this one is shot at */
    guest_on_signal(SIGUSR1, write_note, flags);
    if (reader_is_child) {
        pid = guest_fork();
        if (pid == 0) {
            CHECK_OK(close(fds[1]));
            total = read_stream(fds[0]);
            CHECK_EQ(sizeof total, write(answer[1], &total, sizeof total));
            _exit(0);
        }
        CHECK_OK(close(fds[0]));
    } else {
        guest_thread_start(&reader, read_in_thread, &fds[0]);
    }
    guest_thread_start(&sender, send_signals, &storm);
    block_signal(SIG_UNBLOCK);
    uint64_t written = write_under_fire(fds[1], flags);
    atomic_store(&storm.stop, 1);
    guest_thread_join(&sender);
    CHECK_OK(close(fds[1]));
    if (reader_is_child) {
        guest_wait_exit(pid, 0);
        CHECK_EQ(sizeof total, read(answer[0], &total, sizeof total));
        CHECK_EQ(written, total);
    } else {
        CHECK_EQ(written, *(uint64_t *)guest_thread_join(&reader));
        CHECK_OK(close(fds[0]));
    }
    /* A signal that is pending already isn't sent twice: handlers ran at most as often. */
    CHECK(handlers_run() <= storm.sent);
    CHECK(written > 0);
    CHECK_EQ(atomic_load(&noted), count_notes(notes[0]));
    guest_close_both(notes);
    guest_close_both(answer);
}

int main(void)
{
    static const int all_flags[] = { 0, SA_RESTART };
    guest_start();
    for (int i = 0; i < 2; i++) {
        storm_over(0, false, all_flags[i]);
        storm_over(SOCK_STREAM, false, all_flags[i]);
        storm_over(SOCK_SEQPACKET, i == 0, all_flags[i]);
        storm_over(0, true, all_flags[i]);
    }
    return guest_end();
}
