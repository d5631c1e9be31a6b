/*
 * Proves: a descriptor that arrives in one thread while another closes the last number of the same
 * description stays open, and one that is dropped in one thread while another closes the last
 * number is closed: whoever comes first; also when that number is dup2'd over first, and when the
 * process forks meanwhile.
 *
 * Rows: 3.9 "received fd: same open file description", 3.9 "unread descriptors at close"
 */
#include "rights.h"

enum { ROUNDS = 400, SPINS = 2000 };
enum side { OTHER_CLOSES, OTHER_DUPS, OTHER_FORKS, SIDES };

static int channel[2];
static atomic_int go, writer; /* of this round; -1: the end */
static enum side other_does;

static void wait_for(int round)
{
    for (int spins = 0; atomic_load(&go) != round; spins++) { /* bounded by the deadline */
        if (spins > SPINS) {
            sched_yield();
        }
    }
}

static void *other_side(void *unused)
{
    (void)unused;
    for (int round = 1; round <= ROUNDS; round++) {
        wait_for(round);
        int fd = atomic_load(&writer);
        if (other_does == OTHER_DUPS) {
            CHECK_OK(dup2(0, fd));
            CHECK_OK(close(fd));
        } else {
            CHECK_OK(close(fd));
        }
        if (other_does == OTHER_FORKS && round % 16 == 0) {
            pid_t pid = guest_fork();
            if (pid == 0) {
                _exit(0);
            }
            guest_wait_exit(pid, 0);
        }
        atomic_store(&writer, -1);
    }
    return NULL;
}

static void other_is_done(void)
{
    while (atomic_load(&writer) >= 0) { /* bounded by the deadline */
        sched_yield();
    }
}

/* A pipe's writing end, or a socket. */
static int make(int round, int *ret_writer)
{
    int fds[2];
    if (round % 3 != 0) {
        return rights_witness(ret_writer);
    }
    guest_pair(SOCK_STREAM, fds);
    *ret_writer = fds[1];
    return fds[0];
}

static void check_end(int fd)
{
    CHECK_EQ(POLLHUP, guest_poll(fd, POLLIN, RIGHTS_SOON_MS) & POLLHUP);
    CHECK_EQ(0, read(fd, (char[1]){ 0 }, 1));
    CHECK_OK(close(fd));
}

static void one_round(int round)
{
    int fd, witness = make(round, &fd);
    struct message_received received;
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fd, 1));
    atomic_store(&writer, fd);
    atomic_store(&go, round);
    if (round % 4 == 3) {
        CHECK_EQ(1, read(channel[1], (char[1]){ 0 }, 1));
        other_is_done();
    } else {
        rights_expect(__FILE__, __LINE__, channel[1], 1, 0, "m", 1, &received);
        CHECK_EQ(1, write(received.fds[0], "x", 1));
        other_is_done();
        CHECK_EQ(1, write(received.fds[0], "y", 1));
        CHECK_EQ(2, guest_read_all(witness, (char[2]){ 0 }, 2));
        rights_close(&received);
    }
    check_end(witness);
}

static void rounds(int type, enum side what)
{
    struct guest_thread thread;
    guest_pair(type, channel);
    other_does = what;
    atomic_store(&go, 0);
    guest_thread_start(&thread, other_side, NULL);
    for (int round = 1; round <= ROUNDS; round++) {
        one_round(round);
    }
    guest_thread_join(&thread);
    guest_close_both(channel);
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        for (int what = 0; what < SIDES; what++) {
            rounds(rights_types[i], (enum side)what);
        }
    }
    return guest_end();
}
