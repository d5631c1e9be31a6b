/*
 * Proves: a 1 ms timer whose handler runs all the time, with SA_RESTART or without, makes nothing
 * be lost, doubled or reordered on pipes and socketpairs, in one thread and between two.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send"
 */
#include "guest.h"

enum { SMALL = 64, SIGNALS = 100, STREAM = 2000000 };

static timer_t timer;

static void storm_start(int flags)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    const struct itimerspec every_ms = { { 0, 1000000 }, { 0, 1000000 } };
    guest_count_signal(SIGUSR1, flags);
    CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
    CHECK_OK(timer_settime(timer, 0, &every_ms, NULL));
}

static void storm_stop(void)
{
    CHECK_OK(timer_delete(timer));
}

static void open_channel(int type, int fds[2])
{
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
}

/* Never blocks, so never fails: each write is there at the next read. */
static void same_thread(int type, int flags)
{
    int fds[2];
    unsigned char out[SMALL], in[SMALL];
    uint64_t position = 0;
    open_channel(type, fds);
    storm_start(flags);
    while (atomic_load(&guest_signal_count[SIGUSR1]) < SIGNALS) {
        guest_pattern_fill(out, SMALL, position);
        CHECK_EQ(SMALL, write(fds[1], out, SMALL));
        CHECK_EQ(SMALL, read(fds[0], in, SMALL));
        CHECK_MEM(out, in, SMALL);
        position += SMALL;
    }
    storm_stop();
    guest_close_both(fds);
}

static void *write_stream(void *argument)
{
    int fd = *(int *)argument;
    unsigned char buffer[5000];
    for (uint64_t position = 0; position < STREAM;) {
        size_t size = sizeof buffer < STREAM - position ? sizeof buffer : STREAM - position;
        guest_pattern_fill(buffer, size, position);
        ssize_t count = write(fd, buffer, size);
        if (count == -1) {
            CHECK_EQ(EINTR, errno);
            continue;
        }
        CHECK(count > 0);
        position += (uint64_t)count;
    }
    CHECK_OK(close(fd));
    return NULL;
}

static void two_threads(int type, int flags)
{
    int fds[2];
    unsigned char buffer[3000];
    struct guest_thread writer;
    uint64_t position = 0;
    open_channel(type, fds);
    storm_start(flags);
    guest_thread_start(&writer, write_stream, &fds[1]);
    for (;;) {
        ssize_t count = read(fds[0], buffer, sizeof buffer);
        if (count == -1) {
            CHECK_EQ(EINTR, errno);
            CHECK_EQ(0, flags); /* with SA_RESTART it never shows */
            continue;
        }
        if (count == 0) {
            break;
        }
        guest_pattern_check(buffer, (size_t)count, position);
        position += (uint64_t)count;
    }
    CHECK_EQ(STREAM, position);
    guest_thread_join(&writer);
    storm_stop();
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    static const int types[] = { 0, SOCK_STREAM };
    guest_start();
    for (int i = 0; i < 2; i++) {
        same_thread(types[i], 0);
        same_thread(types[i], SA_RESTART);
        two_threads(types[i], 0);
        two_threads(types[i], SA_RESTART);
    }
    return guest_end();
}
