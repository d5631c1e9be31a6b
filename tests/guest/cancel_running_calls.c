/*
 * Proves: pthread_cancel, deferred and asynchronous, of a thread that makes short calls all the
 * time. It ends wherever it is; what it wrote is whole 64-byte pieces in their order, nothing stays
 * locked, and the next thread goes on with the same fds. Many rounds, to meet every point of a
 * call.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send"
 */
#include "guest.h"

enum { SMALL = 64, ROUNDS = 300, PIECES_MAX = 100, AT_MOST_MS = 300 };

struct job {
    int type; /* PTHREAD_CANCEL_ */
    int fds[2];
    atomic_int pieces; /* written for certain */
};

/* Linux makes each of these calls whole or not at all, so asynchronous cancellation does no harm.
 */
static void *write_for_ever(void *argument)
{
    struct job *job = argument;
    unsigned char piece[SMALL];
    CHECK_ZERO(pthread_setcanceltype(job->type, NULL));
    for (;;) {
        guest_pattern_fill(piece, SMALL, (uint64_t)atomic_load(&job->pieces) * SMALL);
        (void)!write(job->fds[1], piece, SMALL);
        atomic_fetch_add(&job->pieces, 1);
    }
    return NULL;
}

/* What the thread wrote: all pieces that it counted, and perhaps one more. */
static void check_pieces(const struct job *job)
{
    static unsigned char buffer[1 << 20];
    size_t size = 0;
    ssize_t count;
    guest_set_nonblock(job->fds[0], true);
    while ((count = read(job->fds[0], buffer + size, sizeof buffer - size)) > 0) {
        size += (size_t)count;
    }
    CHECK_EQ(EAGAIN, errno);
    guest_set_nonblock(job->fds[0], false);
    guest_pattern_check(buffer, size, 0);
    int extra = (int)(size / SMALL) - atomic_load(&job->pieces);
    CHECK_EQ(0, size % SMALL);
    CHECK(extra == 0 || extra == 1);
}

static void writers(int type, int cancel_type)
{
    struct job job = { .type = cancel_type };
    if (type == 0) {
        guest_pipe(job.fds);
    } else {
        guest_pair(type, job.fds);
    }
    int64_t end = guest_now_ms() + AT_MOST_MS;
    for (int round = 0; round < ROUNDS && guest_now_ms() < end; round++) {
        struct guest_thread thread;
        atomic_store(&job.pieces, 0);
        guest_thread_start(&thread, write_for_ever, &job);
        while (atomic_load(&job.pieces) < round % PIECES_MAX) {
            sched_yield();
        }
        CHECK_ZERO(pthread_cancel(thread.pthread));
        CHECK(guest_thread_join(&thread) == PTHREAD_CANCELED);
        check_pieces(&job);
    }
    guest_close_both(job.fds);
}

static void *poll_for_ever(void *argument)
{
    struct job *job = argument;
    struct pollfd entries[] = { { .fd = job->fds[0], .events = POLLIN },
                                { .fd = job->fds[1], .events = POLLOUT } };
    CHECK_ZERO(pthread_setcanceltype(job->type, NULL));
    for (;;) {
        (void)poll(entries, 1, atomic_fetch_add(&job->pieces, 1) % 2); /* 1: it sleeps */
        (void)poll(entries, 2, -1);
    }
    return NULL;
}

static void pollers(int type, int cancel_type)
{
    struct job job = { .type = cancel_type };
    if (type == 0) {
        guest_pipe(job.fds);
    } else {
        guest_pair(type, job.fds);
    }
    int64_t end = guest_now_ms() + AT_MOST_MS;
    for (int round = 0; round < ROUNDS && guest_now_ms() < end; round++) {
        struct guest_thread thread;
        char byte;
        atomic_store(&job.pieces, 0);
        guest_thread_start(&thread, poll_for_ever, &job);
        while (atomic_load(&job.pieces) < round % 5) {
            sched_yield();
        }
        CHECK_ZERO(pthread_cancel(thread.pthread));
        CHECK(guest_thread_join(&thread) == PTHREAD_CANCELED);
        CHECK_EQ(1, write(job.fds[1], "x", 1));
        CHECK_EQ(1, read(job.fds[0], &byte, 1));
    }
    guest_close_both(job.fds);
}

int main(void)
{
    static const int cancel_types[] = { PTHREAD_CANCEL_DEFERRED, PTHREAD_CANCEL_ASYNCHRONOUS };
    guest_start();
    for (int i = 0; i < 2; i++) {
        writers(0, cancel_types[i]);
        writers(SOCK_STREAM, cancel_types[i]);
        pollers(0, cancel_types[i]);
        pollers(SOCK_STREAM, cancel_types[i]);
    }
    return guest_end();
}
