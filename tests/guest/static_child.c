/*
 * Proves: a statically linked child at both ends of a pipe or socketpair, started by posix_spawn
 * and by fork and exec: bytes written before it started come first, large streams pass both ways,
 * its exit is end-of-file, its early exit EPIPE; the parent may be blocked when it comes and goes.
 *
 * The child is helper_cat_static beside this program, or what GUEST_STATIC_CHILD names.
 *
 * Rows: 2.2 "Blocking writes of any size complete fully", 2.3 "read, empty, no writers",
 * 3.4 "data queued", 5.1 "exec"
 */
#include <spawn.h>

#include "guest.h"

enum { BIG = 400000 };

static char child_path[4096];
static unsigned char big[BIG], echo[BIG];

static void find_child(void)
{
    const char *named = getenv("GUEST_STATIC_CHILD");
    if (named != NULL) {
        snprintf(child_path, sizeof child_path, "%s", named);
    } else {
        ssize_t size = CHECK_OK(readlink("/proc/self/exe", child_path, sizeof child_path - 32));
        child_path[size] = '\0';
        strcpy(strrchr(child_path, '/') + 1, "helper_cat_static");
    }
    CHECK_OK(access(child_path, X_OK));
}

static void open_channel(int type, int fds[2])
{
    if (type == 0) {
        CHECK_OK(pipe2(fds, O_CLOEXEC));
    } else {
        CHECK_OK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
    }
}

static pid_t start_child(bool spawn, int in, int out, char *limit)
{
    char *arguments[] = { child_path, limit, NULL };
    pid_t pid;
    if (spawn) {
        posix_spawn_file_actions_t actions;
        CHECK_ZERO(posix_spawn_file_actions_init(&actions));
        CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, in, 0));
        CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, out, 1));
        CHECK_ZERO(posix_spawn(&pid, child_path, &actions, NULL, arguments, environ));
        CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
        return pid;
    }
    pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(dup2(in, 0));
        CHECK_OK(dup2(out, 1));
        execv(child_path, arguments);
        _exit(126);
    }
    return pid;
}

static void small_echo(int type, bool spawn)
{
    int to_child[2], from_child[2];
    char buffer[32];
    open_channel(type, to_child);
    open_channel(type, from_child);
    CHECK_EQ(6, write(to_child[1], "before", 6));
    pid_t pid = start_child(spawn, to_child[0], from_child[1], NULL);
    CHECK_OK(close(to_child[0]));
    CHECK_OK(close(from_child[1]));
    CHECK_EQ(6, guest_read_all(from_child[0], buffer, 6));
    CHECK_MEM("before", buffer, 6);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(5, write(to_child[1], "after", 5));
        CHECK_EQ(POLLIN, guest_poll(from_child[0], POLLIN, -1));
        CHECK_EQ(5, read(from_child[0], buffer, sizeof buffer));
        CHECK_MEM("after", buffer, 5);
    }
    CHECK_OK(close(to_child[1]));
    CHECK_EQ(0, read(from_child[0], buffer, 1));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(from_child[0]));
}

static void *write_big(void *argument)
{
    int fd = *(int *)argument;
    guest_write_all(fd, big, BIG);
    CHECK_OK(close(fd));
    return NULL;
}

/* The writer is blocked in a large write already when the child is started. */
static void large_echo(int type, bool spawn)
{
    int to_child[2], from_child[2];
    struct guest_thread writer;
    open_channel(type, to_child);
    open_channel(type, from_child);
    guest_thread_start(&writer, write_big, &to_child[1]);
    guest_thread_blocked(&writer);
    pid_t pid = start_child(spawn, to_child[0], from_child[1], NULL);
    CHECK_OK(close(to_child[0]));
    CHECK_OK(close(from_child[1]));
    memset(echo, 0, sizeof echo);
    CHECK_EQ(BIG, guest_read_all(from_child[0], echo, BIG));
    guest_pattern_check(echo, BIG, 0);
    CHECK_EQ(0, read(from_child[0], echo, 1));
    guest_thread_join(&writer);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(from_child[0]));
}

static void child_ends_early(int type, bool spawn)
{
    int to_child[2], from_child[2];
    char limit[] = "3", buffer[8];
    open_channel(type, to_child);
    open_channel(type, from_child);
    pid_t pid = start_child(spawn, to_child[0], from_child[1], limit);
    CHECK_OK(close(to_child[0]));
    CHECK_OK(close(from_child[1]));
    CHECK_EQ(3, write(to_child[1], "abc", 3));
    CHECK_EQ(3, guest_read_all(from_child[0], buffer, sizeof buffer)); /* then end-of-file */
    guest_wait_exit(pid, 7);
    CHECK_ERR(EPIPE, write(to_child[1], "x", 1));
    CHECK_OK(close(to_child[1]));
    CHECK_OK(close(from_child[0]));
}

/* Two static children in a row: the pipe between them never has a preloaded end again. */
static void two_in_a_row(void)
{
    int first[2], middle[2], last[2];
    char buffer[8];
    open_channel(0, first);
    open_channel(0, middle);
    open_channel(SOCK_STREAM, last);
    CHECK_EQ(3, write(middle[1], "mid", 3));
    pid_t one = start_child(true, first[0], middle[1], NULL);
    pid_t two = start_child(false, middle[0], last[1], NULL);
    CHECK_OK(close(first[0]));
    guest_close_both(middle);
    CHECK_OK(close(last[1]));
    CHECK_EQ(3, write(first[1], "end", 3));
    CHECK_OK(close(first[1]));
    CHECK_EQ(6, guest_read_all(last[0], buffer, sizeof buffer));
    CHECK_MEM("midend", buffer, 6);
    guest_wait_exit(one, 0);
    guest_wait_exit(two, 0);
    CHECK_OK(close(last[0]));
}

int main(void)
{
    guest_start();
    find_child();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    guest_pattern_fill(big, BIG, 0);
    for (int spawn = 0; spawn < 2; spawn++) {
        small_echo(0, spawn);
        small_echo(SOCK_STREAM, spawn);
        large_echo(0, spawn);
        large_echo(SOCK_STREAM, spawn);
        child_ends_early(0, spawn);
        child_ends_early(SOCK_STREAM, spawn);
    }
    two_in_a_row();
    return guest_end();
}
