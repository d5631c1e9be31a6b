/*
 * Proves: a child killed by SIGKILL counts as having closed its write end: the blocked reader wakes
 * with end-of-file after what the child wrote; stopped children and siblings keep the pipe open.
 *
 * Rows: 2.3 "read, empty, no writers", 2.6 "all writers closed, data left"
 */
#include "guest.h"

static pid_t writer_child(int fds[2])
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_EQ(4, write(fds[1], "last", 4));
        for (;;) {
            pause();
        }
    }
    return pid;
}

struct victim {
    pid_t pid;
    pid_t main_tid;
};

/* Kills the child once the main thread sleeps in its read. */
static void *kill_when_main_blocks(void *argument)
{
    struct victim *victim = argument;
    guest_wait_blocked(getpid(), victim->main_tid);
    CHECK_OK(kill(victim->pid, SIGKILL));
    return NULL;
}

static void blocked_reader_wakes(void)
{
    int fds[2];
    char buffer[16];
    struct guest_thread killer;
    guest_pipe(fds);
    struct victim victim = { .pid = writer_child(fds), .main_tid = guest_gettid() };
    CHECK_OK(close(fds[1]));
    CHECK_EQ(4, guest_read_all(fds[0], buffer, 4));
    guest_thread_start(&killer, kill_when_main_blocks, &victim);
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer)); /* nobody has waited for the child yet */
    guest_thread_join(&killer);
    guest_wait_killed(victim.pid, SIGKILL);
    CHECK_OK(close(fds[0]));
}

static void data_survives_its_writer(void)
{
    int fds[2];
    char buffer[16];
    guest_pipe(fds);
    pid_t pid = writer_child(fds);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(POLLIN, guest_poll(fds[0], POLLIN, 10000));
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    CHECK_EQ(POLLIN | POLLHUP, guest_poll(fds[0], POLLIN, 0));
    CHECK_EQ(4, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(POLLHUP, guest_poll(fds[0], POLLIN, 0));
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer));
    CHECK_OK(close(fds[0]));
}

static void one_of_two_writers_is_killed(void)
{
    int fds[2];
    char buffer[16];
    guest_pipe(fds);
    pid_t first = writer_child(fds), second = writer_child(fds);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(8, guest_read_all(fds[0], buffer, 8));
    CHECK_OK(kill(first, SIGKILL));
    guest_wait_killed(first, SIGKILL);
    guest_set_nonblock(fds[0], true);
    CHECK_ERR(EAGAIN, read(fds[0], buffer, 1));
    CHECK_OK(kill(second, SIGSTOP));
    CHECK_ERR(EAGAIN, read(fds[0], buffer, 1));
    CHECK_OK(kill(second, SIGKILL));
    guest_wait_killed(second, SIGKILL);
    CHECK_EQ(0, read(fds[0], buffer, 1));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 5; i++) {
        blocked_reader_wakes();
    }
    data_survives_its_writer();
    one_of_two_writers_is_killed();
    return guest_end();
}
