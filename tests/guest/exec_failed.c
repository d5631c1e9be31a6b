/*
 * Proves: an exec that fails leaves everything as it was, with Linux's errno: a missing file, a
 * directory, a file without permission, of no known format, with too many arguments, with bad
 * pointers, a #! line whose interpreter is missing. Channels go on in the same process, other
 * threads too, one of which is blocked; execvp gives what has no format to the shell.
 *
 * Rows: 5.1 "exec"
 */
#include <sys/stat.h>

#include "talk.h"

static char folder[64], text_path[96], denied_path[96], script_path[96];

static void make_file(char *ret_path, size_t size, const char *name, const char *text, mode_t mode)
{
    snprintf(ret_path, size, "%s/%s", folder, name);
    int fd = (int)CHECK_OK(open(ret_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    CHECK_EQ(strlen(text), write(fd, text, strlen(text)));
    CHECK_OK(fchmod(fd, mode));
    CHECK_OK(close(fd));
}

static void try_all(void)
{
    char *arguments[] = { "nobody", NULL };
    static char huge[200000]; /* MAX_ARG_STRLEN is 32 pages */
    memset(huge, 'x', sizeof huge - 1);
    char *too_long[] = { "nobody", huge, NULL };
    CHECK_ERR(ENOENT, execv("/nonexistent/nobody", arguments));
    CHECK_ERR(ENOENT, execvp("nobody-of-this-name", arguments));
    CHECK_ERR(ENOENT, execvp("", arguments));
    CHECK_ERR(EACCES, execv(folder, arguments));
    CHECK_ERR(EACCES, execv(denied_path, arguments));
    CHECK_ERR(ENOEXEC, execv(text_path, arguments));
    CHECK_ERR(ENOENT, execv(script_path, arguments));
    CHECK_ERR(E2BIG, execv("/bin/true", too_long));
    CHECK_ERR(EFAULT, execve(guest_bad_pointer(), arguments, environ));
    CHECK_ERR(EFAULT, execve("/bin/true", guest_bad_pointer(), environ));
    CHECK_ERR(EFAULT, execve("/bin/true", arguments, guest_bad_pointer()));
    CHECK_ERR(EBADF, execveat(250, "true", arguments, environ, 0));
    CHECK_ERR(EINVAL, execveat(AT_FDCWD, "/bin/true", arguments, environ, 0x40000000));
    CHECK_ERR(EINVAL, fexecve(-1, arguments, environ));
}

static void *read_one(void *argument)
{
    char byte;
    CHECK_EQ(1, read(*(int *)argument, &byte, 1));
    return NULL;
}

static void process_goes_on(int kind)
{
    int fds[2];
    char buffer[8];
    struct guest_thread reader;
    talk_channel(kind != 0, fds);
    guest_thread_start(&reader, read_one, &fds[0]);
    guest_thread_blocked(&reader);
    try_all();
    guest_thread_blocked(&reader);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&reader);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    try_all();
    CHECK_EQ(3, read(fds[0], buffer, sizeof buffer));
    CHECK_MEM("abc", buffer, 3);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer));
    CHECK_OK(close(fds[0]));
}

static void shell_takes_over(int kind)
{
    struct talk talk;
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(talk_take(&talk));
        execlp(text_path, text_path, "7", (char *)NULL);
        _exit(100);
    }
    talk_end(&talk, pid, 7);
}

int main(void)
{
    guest_start();
    strcpy(folder, "/tmp/guest_exec_XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    make_file(text_path, sizeof text_path, "text", "cat\nexit $1\n", 0755);
    make_file(denied_path, sizeof denied_path, "denied", "#!/bin/sh\n", 0644);
    make_file(script_path, sizeof script_path, "script", "#!/nonexistent/interpreter\n", 0755);
    for (int kind = 0; kind < 2; kind++) {
        process_goes_on(kind);
        shell_takes_over(kind);
    }
    CHECK_OK(unlink(text_path));
    CHECK_OK(unlink(denied_path));
    CHECK_OK(unlink(script_path));
    CHECK_OK(rmdir(folder));
    return guest_end();
}
