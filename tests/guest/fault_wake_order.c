/*
 * Proves: who is woken first need not run first, and may come so late that more has happened than
 * what woke it: the scheduler decides. A task of lower priority (SCHED_IDLE) shows it; under load
 * any may be that one.
 */
#include "guest.h"

static atomic_int turn; /* counts who has run */

struct reader {
    struct guest_thread thread;
    int fd;
    bool patient; /* runs when nobody else wants to */
    int place;    /* in the order of running */
    ssize_t got;
};

static void be_patient(void)
{
    const struct sched_param parameters = { .sched_priority = 0 };

    CHECK_OK(sched_setscheduler(0, SCHED_IDLE, &parameters));
}

static void *read_in_turn(void *argument)
{
    struct reader *reader = argument;
    char bytes[16];

    if (reader->patient) {
        be_patient();
    }
    reader->got = read(reader->fd, bytes, sizeof bytes);
    reader->place = atomic_fetch_add(&turn, 1);
    return NULL;
}

static void reader_start(struct reader *reader, int fd, bool patient)
{
    *reader = (struct reader){ .fd = fd, .patient = patient, .got = -1 };
    guest_thread_start(&reader->thread, read_in_turn, reader);
    guest_thread_blocked(&reader->thread);
}

/* All of us share one CPU, so that the scheduler has to choose. */
static void share_a_cpu(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)CHECK_OK(sched_getcpu()), &one);
    CHECK_OK(sched_setaffinity(0, sizeof one, &one));
}

enum { ROUNDS = 200 };

/* Whether the one that was woken last ran first in some round. */
static bool last_runs_first(bool sockets)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct reader first, last;
        int one[2], other[2];

        sockets ? guest_pair(SOCK_STREAM, one) : guest_pipe(one);
        sockets ? guest_pair(SOCK_STREAM, other) : guest_pipe(other);
        reader_start(&first, one[0], true);
        reader_start(&last, other[0], false);
        CHECK_EQ(1, write(one[1], "1", 1));
        CHECK_EQ(1, write(other[1], "2", 1));
        guest_thread_join(&last.thread);
        guest_thread_join(&first.thread);
        guest_close_both(one);
        guest_close_both(other);
        CHECK(first.got == 1 && last.got == 1);
        if (last.place < first.place) {
            return true;
        }
    }
    return false;
}

/* Whether one that was woken for a byte found two, in some round. */
static bool comes_late(bool sockets)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct reader reader;
        int fds[2];

        sockets ? guest_pair(SOCK_STREAM, fds) : guest_pipe(fds);
        reader_start(&reader, fds[0], true);
        CHECK_EQ(1, write(fds[1], "1", 1));
        CHECK_EQ(1, write(fds[1], "2", 1));
        guest_thread_join(&reader.thread);
        guest_close_both(fds);
        CHECK(reader.got == 1 || reader.got == 2);
        if (reader.got == 2) {
            return true;
        }
    }
    return false;
}

int main(void)
{
    guest_start();
    share_a_cpu();
    for (int sockets = 0; sockets < 2; sockets++) {
        CHECK(last_runs_first(sockets));
        CHECK(comes_late(sockets));
    }
    return guest_end();
}
