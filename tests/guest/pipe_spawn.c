/*
 * Proves: posix_spawn with dup2, close and open file actions puts pipe ends over a child's 0 and 1,
 * while the parent's fds stay as they were; both ends of /bin/cat work, at once and many bytes.
 *
 * Rows: 2.3 "read, empty, no writers", 2.2 "Blocking writes of any size complete fully", 5.2 "dup2"
 */
#include <spawn.h>

#include "guest.h"

enum { BIG = 300000 };

static pid_t spawn_cat(int to_child[2], int from_child[2])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    char *arguments[] = { "cat", NULL };
    CHECK_ZERO(posix_spawn_file_actions_init(&actions));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, to_child[0], 0));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, from_child[1], 1));
    for (int i = 0; i < 2; i++) {
        CHECK_ZERO(posix_spawn_file_actions_addclose(&actions, to_child[i]));
        CHECK_ZERO(posix_spawn_file_actions_addclose(&actions, from_child[i]));
    }
    CHECK_ZERO(posix_spawn(&pid, "/bin/cat", &actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    CHECK_OK(close(to_child[0])); /* still ours: the actions ran in the child alone */
    CHECK_OK(close(from_child[1]));
    return pid;
}

static void cat_echoes(void)
{
    int to_child[2], from_child[2];
    char buffer[16];
    guest_pipe(to_child);
    guest_pipe(from_child);
    pid_t pid = spawn_cat(to_child, from_child);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(5, write(to_child[1], "hello", 5));
        CHECK_EQ(5, read(from_child[0], buffer, sizeof buffer));
        CHECK_MEM("hello", buffer, 5);
    }
    CHECK_OK(close(to_child[1]));
    CHECK_EQ(0, read(from_child[0], buffer, 1));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(from_child[0]));
}

static unsigned char big[BIG], echo[BIG];

static void *write_big_and_close(void *argument)
{
    int fd = *(int *)argument;
    guest_write_all(fd, big, BIG);
    CHECK_OK(close(fd));
    return NULL;
}

static void cat_echoes_much(void)
{
    int to_child[2], from_child[2];
    struct guest_thread writer;
    guest_pipe(to_child);
    guest_pipe(from_child);
    guest_pattern_fill(big, BIG, 0);
    CHECK_EQ(10, write(to_child[1], big, 10)); /* lies in the pipe when cat starts */
    pid_t pid = spawn_cat(to_child, from_child);
    CHECK_EQ(10, guest_read_all(from_child[0], echo, 10));
    guest_pattern_check(echo, 10, 0);
    guest_thread_start(&writer, write_big_and_close, &to_child[1]);
    CHECK_EQ(BIG, guest_read_all(from_child[0], echo, BIG));
    guest_pattern_check(echo, BIG, 0);
    CHECK_EQ(0, read(from_child[0], echo, 1));
    guest_thread_join(&writer);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(from_child[0]));
}

/* dup2 of a number over itself clears FD_CLOEXEC in the child; spawnp searches PATH. */
static void same_number_action(void)
{
    int fds[2];
    char buffer[16];
    char command[64];
    posix_spawn_file_actions_t actions;
    pid_t pid;
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    snprintf(command, sizeof command, "echo kept >&%d", fds[1]);
    char *arguments[] = { "sh", "-c", command, NULL };
    CHECK_ZERO(posix_spawn_file_actions_init(&actions));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, fds[1], fds[1]));
    CHECK_ZERO(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0));
    CHECK_ZERO(posix_spawnp(&pid, "sh", &actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    CHECK_EQ(FD_CLOEXEC, fcntl(fds[1], F_GETFD));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(5, guest_read_all(fds[0], buffer, sizeof buffer));
    CHECK_MEM("kept\n", buffer, 5);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
}

static void failed_spawn_leaves_nothing(void)
{
    int fds[2];
    char byte;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    char *arguments[] = { "nobody", NULL };
    guest_pipe(fds);
    CHECK_ZERO(posix_spawn_file_actions_init(&actions));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, fds[1], 1));
    CHECK_EQ(ENOENT, posix_spawn(&pid, "/nonexistent/nobody", &actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    cat_echoes();
    cat_echoes_much();
    same_number_action();
    failed_spawn_leaves_nothing();
    return guest_end();
}
