/*
 * Proves: no wake-up is lost in poll over a pipe and a real descriptor: pairs of threads, and a
 * thread with a process, hand a byte to and fro thousands of times, each asleep in poll in between,
 * while signals whose handler itself makes such a call rain on them. A lost one would hang.
 *
 * Rows: 3.6 "connected, idle, send buffer ok"
 */
#include <sys/eventfd.h>

#include "guest.h"

enum { PAIRS = 2, ROUNDS = 3000, PERIOD_NS = 100000 };

static int real, handler_fds[2];
static atomic_int running;

struct player {
    struct guest_thread thread;
    int in;
    int out;
    bool first;
};

/* What a self-pipe's handler does, and a little more. */
static void on_signal(int signo)
{
    struct pollfd both[2] = { { .fd = handler_fds[0], .events = POLLIN },
                              { .fd = real, .events = POLLIN } };
    int error = errno;
    char byte;
    (void)signo;
    if (write(handler_fds[1], "h", 1) != 1 || poll(both, 2, -1) != 1 ||
        read(handler_fds[0], &byte, 1) != 1) {
        guest_fail(__FILE__, __LINE__, "calls in the handler", "errno %d", errno);
    }
    errno = error;
}

static void await_byte(int fd)
{
    struct pollfd both[2] = { { .fd = real, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    char byte;
    int ready;
    do {
        ready = poll(both, 2, -1);
    } while (ready == -1 && errno == EINTR);
    CHECK_EQ(1, ready);
    CHECK_EQ(POLLIN, both[1].revents);
    CHECK_EQ(1, read(fd, &byte, 1));
}

static void *play(void *argument)
{
    const struct player *player = argument;
    for (int round = 0; round < ROUNDS; round++) {
        if (player->first) {
            CHECK_EQ(1, write(player->out, "x", 1));
        }
        await_byte(player->in);
        if (!player->first) {
            CHECK_EQ(1, write(player->out, "x", 1));
        }
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void rain_on(struct player *players, int count)
{
    const struct timespec period = { 0, PERIOD_NS };
    for (unsigned i = 0; atomic_load(&running) > 0; i++) { /* bounded by the deadline */
        struct player *player = &players[i % (unsigned)count];
        if (!atomic_load(&player->thread.done)) {
            pthread_kill(player->thread.pthread, SIGUSR1);
        }
        nanosleep(&period, NULL);
    }
}

static void threads(void)
{
    struct player players[2 * PAIRS];
    int fds[2 * PAIRS][2];
    atomic_store(&running, 2 * PAIRS);
    for (int i = 0; i < 2 * PAIRS; i++) {
        guest_pipe(fds[i]);
    }
    for (int i = 0; i < 2 * PAIRS; i++) {
        players[i].in = fds[i][0];
        players[i].out = fds[i ^ 1][1];
        players[i].first = i % 2 == 0;
        guest_thread_start(&players[i].thread, play, &players[i]);
    }
    rain_on(players, 2 * PAIRS);
    for (int i = 0; i < 2 * PAIRS; i++) {
        guest_thread_join(&players[i].thread);
        guest_close_both(fds[i]);
    }
}

static void with_process(void)
{
    struct player ours, theirs;
    int there[2], back[2];
    guest_pipe(there);
    guest_pipe(back);
    theirs = (struct player){ .in = there[0], .out = back[1], .first = false };
    pid_t child = guest_fork();
    if (child == 0) {
        play(&theirs);
        _exit(0);
    }
    atomic_store(&running, 1);
    ours = (struct player){ .in = back[0], .out = there[1], .first = true };
    guest_thread_start(&ours.thread, play, &ours);
    rain_on(&ours, 1);
    guest_thread_join(&ours.thread);
    guest_wait_exit(child, 0);
    guest_close_both(there);
    guest_close_both(back);
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGUSR1, on_signal, 0);
    real = (int)CHECK_OK(eventfd(0, 0));
    guest_pipe(handler_fds);
    threads();
    with_process();
    guest_close_both(handler_fds);
    CHECK_OK(close(real));
    return guest_end();
}
