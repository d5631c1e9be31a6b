/*
 * Proves: system() and the pipelines of the shell it starts work on emulated fds: on inherited
 * numbers, on 0 and 1, through several stages, with the shell's own pipes in between.
 *
 * Rows: 2.3 "read, empty, no writers", 5.1 "exec"
 */
#include "guest.h"

static void pipeline_between_two_pipes(void)
{
    int to_shell[2], from_shell[2];
    char command[128], buffer[64];
    guest_pipe(to_shell);
    guest_pipe(from_shell);
    CHECK_EQ(12, write(to_shell[1], "b\na\nc\na\nb\na\n", 12));
    CHECK_OK(close(to_shell[1]));
    snprintf(command, sizeof command, "sort <&%d | uniq -c | tr -d ' ' | tail -n 2 >&%d",
             to_shell[0], from_shell[1]);
    CHECK_EQ(0, system(command));
    CHECK_OK(close(from_shell[1]));
    CHECK_EQ(6, guest_read_all(from_shell[0], buffer, sizeof buffer));
    CHECK_MEM("2b\n1c\n", buffer, 6);
    CHECK_OK(close(from_shell[0]));
    CHECK_OK(close(to_shell[0]));
}

static void exit_code_and_signal(void)
{
    int status = system("exit 7");
    CHECK_EQ(7, WEXITSTATUS(status));
    status = system("kill -9 $$");
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(SIGKILL, WTERMSIG(status));
    CHECK(system(NULL) != 0);
}

static void shell_uses_our_0_and_1(void)
{
    int in[2], out[2];
    char buffer[64];
    int saved_0 = (int)CHECK_OK(dup(0)), saved_1 = (int)CHECK_OK(dup(1));
    guest_pipe(in);
    guest_pipe(out);
    CHECK_OK(dup2(in[0], 0));
    CHECK_OK(dup2(out[1], 1));
    CHECK_EQ(9, write(in[1], "x 1\ny 2\nz", 9));
    CHECK_EQ(0, system("read a b; echo $b; read a b; echo $b"));
    CHECK_EQ(4, read(out[0], buffer, sizeof buffer));
    CHECK_MEM("1\n2\n", buffer, 4);
    CHECK_EQ(1, read(0, buffer, sizeof buffer)); /* the shell reads a pipe byte by byte */
    CHECK_EQ('z', buffer[0]);
    CHECK_EQ(0, system("(echo sub; echo shell) | { read a; read b; echo $a-$b; }"));
    CHECK_EQ(10, read(out[0], buffer, sizeof buffer));
    CHECK_MEM("sub-shell\n", buffer, 10);
    CHECK_OK(dup2(saved_0, 0));
    CHECK_OK(dup2(saved_1, 1));
    CHECK_OK(close(saved_0));
    CHECK_OK(close(saved_1));
    guest_close_both(in);
    guest_close_both(out);
}

static void long_pipeline_of_much_data(void)
{
    int fds[2];
    char command[128], buffer[64];
    guest_pipe(fds);
    snprintf(command, sizeof command, "head -c 1000000 /dev/zero | cat | cat | cat | wc -c >&%d",
             fds[1]);
    CHECK_EQ(0, system(command));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(8, guest_read_all(fds[0], buffer, sizeof buffer));
    CHECK_MEM("1000000\n", buffer, 8);
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    pipeline_between_two_pipes();
    exit_code_and_signal();
    shell_uses_our_0_and_1();
    long_pipeline_of_much_data();
    return guest_end();
}
