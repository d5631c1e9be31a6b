/*
 * Proves: exec with an empty environment (no LD_PRELOAD, no options) loses nothing: bytes written
 * before and after arrive, end-of-file comes; so do execve of this program, of a script and through
 * /usr/bin/env -i.
 *
 * Rows: 5.1 "exec", 2.3 "read, empty, no writers"
 */
#include "guest.h"

/* The new image: echoes two blocks of 3 bytes from 0 to 1 and exits with 9. */
static int bare_image(void)
{
    char buffer[8];
    CHECK_EQ(3, read(0, buffer, 3));
    CHECK_EQ(3, write(1, buffer, 3));
    CHECK_EQ(3, read(0, buffer, 3));
    CHECK_EQ(3, write(1, buffer, 3));
    CHECK_EQ(0, read(0, buffer, 3));
    return 9;
}

static void open_channel(int type, int fds[2])
{
    if (type == 0) {
        CHECK_OK(pipe2(fds, O_CLOEXEC));
    } else {
        CHECK_OK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
    }
}

static void talk_to(const char *path, char *const arguments[], int code, int type)
{
    int to_child[2], from_child[2];
    char *empty[] = { NULL };
    char buffer[8];
    open_channel(type, to_child);
    open_channel(type, from_child);
    CHECK_EQ(3, write(to_child[1], "one", 3));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(dup2(to_child[0], 0));
        CHECK_OK(dup2(from_child[1], 1));
        execve(path, arguments, empty);
        _exit(126);
    }
    CHECK_OK(close(to_child[0]));
    CHECK_OK(close(from_child[1]));
    CHECK_EQ(3, guest_read_all(from_child[0], buffer, 3));
    CHECK_MEM("one", buffer, 3);
    CHECK_EQ(3, write(to_child[1], "two", 3));
    CHECK_EQ(3, guest_read_all(from_child[0], buffer, 3));
    CHECK_MEM("two", buffer, 3);
    CHECK_OK(close(to_child[1]));
    CHECK_EQ(0, read(from_child[0], buffer, 1));
    guest_wait_exit(pid, code);
    CHECK_OK(close(from_child[0]));
}

static void through_a_script(int type)
{
    char path[64];
    static const char text[] = "#!/bin/sh\nexec cat\n";
    snprintf(path, sizeof path, "/tmp/guest_script_%d", getpid());
    int fd = (int)CHECK_OK(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
    CHECK_EQ(sizeof text - 1, write(fd, text, sizeof text - 1));
    CHECK_OK(close(fd));
    char *arguments[] = { path, NULL };
    talk_to(path, arguments, 0, type);
    CHECK_OK(unlink(path));
}

int main(int argc, char **argv)
{
    char *self[] = { "exec_env_cleared", "bare", NULL };
    char *cat[] = { "cat", NULL };
    char *env[] = { "env", "-i", "/bin/cat", NULL };
    (void)argv;
    if (argc > 1) {
        return bare_image();
    }
    guest_start();
    for (int i = 0; i < 2; i++) {
        int type = i == 0 ? 0 : SOCK_STREAM;
        talk_to("/proc/self/exe", self, 9, type);
        talk_to("/bin/cat", cat, 0, type);
        talk_to("/usr/bin/env", env, 0, type);
        through_a_script(type);
    }
    return guest_end();
}
