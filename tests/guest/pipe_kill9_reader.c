/*
 * Proves: a reader killed by SIGKILL counts as closed: the blocked writer wakes with EPIPE, or with
 * its partial count, and SIGPIPE; so it is when the reader itself was blocked.
 *
 * Rows: 2.2 "no reader: EPIPE+SIG", 2.2 "or by loss of readers", 2.6 "all readers closed, full"
 */
#include "guest.h"

static char big[100000];

struct victim {
    pid_t pid;
    pid_t main_tid;
};

static void *kill_when_main_blocks(void *argument)
{
    struct victim *victim = argument;
    guest_wait_blocked(getpid(), victim->main_tid);
    CHECK_OK(kill(victim->pid, SIGKILL));
    return NULL;
}

static pid_t idle_child(int fds[2])
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[1]));
        for (;;) {
            pause();
        }
    }
    return pid;
}

static void blocked_writer_wakes(bool full_before)
{
    int fds[2];
    struct guest_thread killer;
    guest_count_signal(SIGPIPE, 0);
    guest_pipe(fds);
    struct victim victim = { .pid = idle_child(fds), .main_tid = guest_gettid() };
    CHECK_OK(close(fds[0]));
    if (full_before) {
        guest_pipe_fill(fds[1]);
    }
    guest_thread_start(&killer, kill_when_main_blocks, &victim);
    if (full_before) {
        CHECK_ERR(EPIPE, write(fds[1], big, 10));
    } else {
        CHECK_EQ(65536, write(fds[1], big, sizeof big));
    }
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_EQ(guest_gettid(), atomic_load(&guest_signal_tid[SIGPIPE]));
    guest_thread_join(&killer);
    guest_wait_killed(victim.pid, SIGKILL);
    CHECK_EQ(POLLERR, guest_poll(fds[1], POLLOUT, 0));
    CHECK_OK(close(fds[1]));
}

static void killed_while_blocked_in_read(void)
{
    int fds[2];
    char byte;
    guest_count_signal(SIGPIPE, 0);
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[1]));
        (void)!read(fds[0], &byte, 1);
        _exit(0);
    }
    CHECK_OK(close(fds[0]));
    guest_process_blocked(pid);
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    CHECK_EQ(POLLOUT | POLLERR, guest_poll(fds[1], POLLOUT, 0));
    CHECK_ERR(EPIPE, write(fds[1], big, 10));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_OK(close(fds[1]));
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 3; i++) {
        blocked_writer_wakes(true);
        blocked_writer_wakes(false);
    }
    killed_while_blocked_in_read();
    return guest_end();
}
