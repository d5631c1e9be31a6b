/*
 * Proves: a socketpair's end counts as closed when its last copy in any process is gone:
 * end-of-file for the blocked reader, EPIPE for the writer; both types, by exit, close and SIGKILL.
 *
 * Rows: 3.5 "we close, our receive queue empty", 3.3 "peer closed", 3.4 "empty, peer closed"
 */
#include "guest.h"

static void child_exits(int type)
{
    int fds[2];
    char buffer[8];
    guest_pair(type, fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_EQ(4, read(fds[1], buffer, sizeof buffer));
        CHECK_EQ(4, write(fds[1], "pong", 4));
        guest_process_blocked(getppid());
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(4, write(fds[0], "ping", 4));
    CHECK_EQ(4, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer));
    guest_wait_exit(pid, 0);
    CHECK_ERR(EPIPE, send(fds[0], "x", 1, MSG_NOSIGNAL));
    CHECK_OK(close(fds[0]));
}

static void child_blocks_parent_closes(int type)
{
    int fds[2];
    char byte;
    guest_pair(type, fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_EQ(0, recv(fds[1], &byte, 1, 0));
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    guest_process_blocked(pid);
    CHECK_OK(close(fds[0]));
    guest_wait_exit(pid, 0);
}

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

static void child_is_killed(int type)
{
    int fds[2];
    char byte;
    struct guest_thread killer;
    guest_pair(type, fds);
    struct victim victim = { .pid = guest_fork(), .main_tid = guest_gettid() };
    if (victim.pid == 0) {
        CHECK_OK(close(fds[0]));
        for (;;) {
            pause();
        }
    }
    CHECK_OK(close(fds[1]));
    guest_thread_start(&killer, kill_when_main_blocks, &victim);
    CHECK_EQ(0, read(fds[0], &byte, 1));
    guest_thread_join(&killer);
    CHECK_ERR(EPIPE, send(fds[0], "x", 1, MSG_NOSIGNAL));
    guest_wait_killed(victim.pid, SIGKILL);
    CHECK_OK(close(fds[0]));
}

/* Both copies of one end must go; the other process's copy keeps it alive. */
static void a_copy_keeps_it_open(int type)
{
    int fds[2], gate[2];
    char byte;
    guest_pair(type, fds);
    guest_pipe(gate);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(gate[1]));
        CHECK_EQ(0, read(gate[0], &byte, 1));
        _exit(0);
    }
    CHECK_OK(close(gate[0]));
    CHECK_OK(close(fds[1]));
    CHECK_ERR(EAGAIN, recv(fds[0], &byte, 1, MSG_DONTWAIT));
    CHECK_EQ(POLLOUT, guest_poll(fds[0], POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_OK(close(gate[1]));
    guest_wait_exit(pid, 0);
    CHECK_EQ(0, recv(fds[0], &byte, 1, MSG_DONTWAIT));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int i = 0; i < 2; i++) {
        child_exits(types[i]);
        child_blocks_parent_closes(types[i]);
        child_is_killed(types[i]);
        a_copy_keeps_it_open(types[i]);
    }
    return guest_end();
}
