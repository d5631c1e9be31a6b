/*
 * Proves: where text can't be written (a filter refuses mprotect to writable and executable, and
 * pwrite, as SELinux does) libc's own calls on pipes and sockets work: fdopen, the standard streams
 * after dup2, inherited 0 to 2, popen both ways, dprintf, perror, freopen, with bytes that were
 * there before. Then the same with a thread, and in a child.
 *
 * Rows: 2.3 "read, empty, no writers", 5.2 "dup2", 5.1 "exec"
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "guest.h"

#define NUMBER    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ARGUMENT2 BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]))
#define REFUSE    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)

static void refuse_writable_text(void)
{
    struct sock_filter code[] = {
        NUMBER,
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwrite64, 0, 1),
        REFUSE,
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 4),
        ARGUMENT2,
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_WRITE | PROT_EXEC, 0, 1),
        REFUSE,
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof code / sizeof code[0], code };
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void streams(int type)
{
    int fds[2];
    char line[64];
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    CHECK_EQ(7, write(fds[1], "before\n", 7));
    FILE *in = fdopen(fds[0], "r");
    CHECK(in != NULL);
    CHECK_STR("before\n", fgets(line, sizeof line, in));
    CHECK_EQ(6, dprintf(fds[1], "%d: d\n", 10));
    CHECK_STR("10: d\n", fgets(line, sizeof line, in));
    FILE *out = fdopen(fds[1], "w");
    CHECK(out != NULL && fputs("after\n", out) >= 0);
    CHECK_EQ(0, fclose(out));
    CHECK_STR("after\n", fgets(line, sizeof line, in));
    CHECK(fgets(line, sizeof line, in) == NULL);
    CHECK_EQ(0, fclose(in));
}

static void standard_streams(void)
{
    int in[2], out[2];
    char line[64];
    int saved[3] = { (int)CHECK_OK(dup(0)), (int)CHECK_OK(dup(1)), (int)CHECK_OK(dup(2)) };
    guest_report_fd = saved[2];
    guest_pipe(in);
    guest_pair(SOCK_STREAM, out);
    CHECK_EQ(6, write(in[1], "first\n", 6));
    CHECK_OK(dup2(in[0], 0));
    CHECK_EQ(1, dup3(out[1], 1, 0));
    CHECK_OK(close(2));
    CHECK_EQ(2, fcntl(out[1], F_DUPFD, 0));
    CHECK_EQ(7, write(in[1], "second\n", 7));
    CHECK_STR("first\n", fgets(line, sizeof line, stdin));
    CHECK_STR("second\n", fgets(line, sizeof line, stdin));
    CHECK_EQ(4, printf("out\n"));
    CHECK_EQ(0, fflush(stdout));
    errno = ENOENT;
    perror("err");
    CHECK_EQ(35, read(out[0], line, sizeof line) + 0);
    CHECK_MEM("out\nerr: No such file or directory\n", line, 35);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(dup2(saved[i], i));
        CHECK_OK(close(saved[i]));
    }
    guest_report_fd = 2;
    guest_close_both(in);
    guest_close_both(out);
}

static void by_popen(void)
{
    char line[64];
    int fds[2];
    FILE *from = popen("echo said", "r");
    CHECK(from != NULL);
    CHECK_STR("said\n", fgets(line, sizeof line, from));
    CHECK_EQ(0, pclose(from));
    guest_pipe(fds);
    char command[64];
    snprintf(command, sizeof command, "cat >&%d", fds[1]);
    FILE *to = popen(command, "w");
    CHECK(to != NULL && fputs("heard\n", to) >= 0);
    CHECK_EQ(0, pclose(to));
    CHECK_EQ(6, read(fds[0], line, sizeof line));
    CHECK_MEM("heard\n", line, 6);
    guest_close_both(fds);
}

/* The child reads lines and answers them with stdio alone. */
static int answer_lines(void)
{
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("got %s", line);
        fflush(stdout);
    }
    fprintf(stderr, "done\n");
    return 0;
}

static void inherited(char *program)
{
    int in[2], out[2];
    char buffer[64];
    guest_pipe(in);
    guest_pipe(out);
    CHECK_EQ(4, write(in[1], "one\n", 4));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(dup2(in[0], 0));
        CHECK_OK(dup2(out[1], 1));
        CHECK_OK(dup2(out[1], 2));
        guest_close_both(in);
        guest_close_both(out);
        execl(program, program, "answer", (char *)NULL);
        _exit(127);
    }
    CHECK_OK(close(in[0]));
    CHECK_OK(close(out[1]));
    CHECK_EQ(8, read(out[0], buffer, 8));
    CHECK_MEM("got one\n", buffer, 8);
    CHECK_EQ(4, write(in[1], "two\n", 4));
    CHECK_OK(close(in[1]));
    CHECK_EQ(13, guest_read_all(out[0], buffer, sizeof buffer));
    CHECK_MEM("got two\ndone\n", buffer, 13);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(out[0]));
}

static void *all_streams(void *argument)
{
    (void)argument;
    streams(0);
    streams(SOCK_STREAM);
    return NULL;
}

int main(int argc, char **argv)
{
    struct guest_thread thread;
    if (argc > 1 && strcmp(argv[1], "answer") == 0) {
        return answer_lines();
    }
    if (argc == 1) {
        refuse_writable_text();
        execl(argv[0], argv[0], "refused", (char *)NULL);
        return 127;
    }
    guest_start();
    all_streams(NULL);
    standard_streams();
    by_popen();
    inherited(argv[0]);
    guest_thread_start(&thread, all_streams, NULL);
    guest_thread_join(&thread);
    pid_t pid = guest_fork();
    if (pid == 0) {
        all_streams(NULL);
        exit(0);
    }
    guest_wait_exit(pid, 0);
    return guest_end();
}
