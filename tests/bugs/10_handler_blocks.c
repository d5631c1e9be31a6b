/*
 * 10 - the self-pipe is full and its write blocks inside the signal handler
 *
 * The loop that would read the pipe is what the handler has interrupted. Fixed: O_NONBLOCK at the
 * writing end (a full pipe wakes the loop as well as a fuller one).
 * Shows as: deadlock; with a small pipe always.
 */
#include "bug.h"

#define SIGNALS 100

static int self_pipe[2];
static atomic_int arrived;

static void on_signal(int number, siginfo_t *info, void *context)
{
    int before = errno;
    ssize_t written;

    (void)number;
    (void)context;
    written = write(self_pipe[1], info, sizeof(*info));
    (void)written;
    atomic_fetch_add(&arrived, 1);
    errno = before;
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
    union sigval value = { 0 };
    siginfo_t info;

    MUST(pipe(self_pipe) == 0);
    MUST(fcntl(self_pipe[0], F_SETFL, O_NONBLOCK) == 0);
    if (!BUG)
        MUST(fcntl(self_pipe[1], F_SETFL, O_NONBLOCK) == 0);
    MUST(sigaction(SIGRTMIN, &action, NULL) == 0);
    for (int i = 0; i < SIGNALS; i++)
        MUST(sigqueue(getpid(), SIGRTMIN, value) == 0);
    MUST(atomic_load(&arrived) == SIGNALS);
    MUST(read(self_pipe[0], &info, sizeof(info)) == (ssize_t)sizeof(info));
    return 0;
}
