/*
 * Proves: channels outlive a change of who and where a process is. As root: setuid and setgid away
 * from root, for good and for a while (seteuid), in a child and before an exec, on both ends of a
 * channel; chroot into a folder that has neither /proc nor /dev, with a fork, a wait and an exec of
 * programs there, a static and a dynamic one; new namespaces for mounts, network, IPC, host name
 * and users. Before an exec, and between processes that talk already. Without root it proves the
 * user namespace alone.
 *
 * Rows: 5.1 "exec", 2.3 "read, empty, no writers"
 */
#include <grp.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "talk.h"

enum { CODE = 9, NOBODY = 65534 };

static char path[PATH_MAX], static_path[PATH_MAX], folder[64];

enum change {
    SETUID,
    SETEUID,
    CHROOT,
    NEW_MOUNTS,
    NEW_NETWORK,
    NEW_IPC,
    NEW_NAME,
    NEW_USER,
    CHANGES,
};

static void make_change(enum change change)
{
    static const int flags[CHANGES] = {
        [NEW_MOUNTS] = CLONE_NEWNS, [NEW_NETWORK] = CLONE_NEWNET, [NEW_IPC] = CLONE_NEWIPC,
        [NEW_NAME] = CLONE_NEWUTS,  [NEW_USER] = CLONE_NEWUSER,
    };
    switch (change) {
    case SETUID:
        CHECK_OK(setgroups(0, NULL));
        CHECK_OK(setgid(NOBODY));
        CHECK_OK(setuid(NOBODY));
        CHECK_ERR(EPERM, setuid(0));
        break;
    case SETEUID:
        CHECK_OK(setegid(NOBODY));
        CHECK_OK(seteuid(NOBODY));
        break;
    case CHROOT:
        CHECK_OK(chroot(folder));
        CHECK_OK(chdir("/"));
        break;
    default: CHECK_OK(unshare(flags[change])); break;
    }
}

/* A shell of before the change is waited for after it. */
static void wait_for_shell(FILE *shell)
{
    CHECK(shell != NULL);
    CHECK_EQ(3 << 8, pclose(shell));
}

/* Talks, forks, waits, and is killed at the end by its own child. */
static void live_there(const struct talk *talk)
{
    int fds[2];
    char byte;
    CHECK(talk_take(talk));
    talk_close((struct talk *)talk);
    for (int i = 0; i < 3; i++) {
        guest_pair(i % 2 ? SOCK_STREAM : SOCK_SEQPACKET, fds);
        pid_t pid = guest_fork();
        if (pid == 0) {
            CHECK_EQ(1, write(fds[1], "x", 1));
            CHECK_OK(kill(getpid(), SIGKILL));
        }
        CHECK_OK(close(fds[1]));
        CHECK_EQ(1, read(fds[0], &byte, 1));
        CHECK_EQ(0, read(fds[0], &byte, 1));
        CHECK_OK(close(fds[0]));
        guest_wait_killed(pid, SIGKILL);
    }
    _exit(talk_copy() ? CODE : 1);
}

static void talks(enum change change, int kind, bool exec)
{
    struct talk talk;
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        FILE *shell = popen("exit 3", "re");
        make_change(change);
        wait_for_shell(shell);
        if (!exec) {
            live_there(&talk);
        }
        CHECK(talk_take(&talk));
        if (change == CHROOT) {
            CHECK_OK(setenv("LD_LIBRARY_PATH", "/lib64", 1));
            execl(kind == 0 ? "/static" : "/cat", "cat", (char *)NULL);
        } else {
            execl(path, path, "image", (char *)NULL);
        }
        _exit(errno);
    }
    talk_end(&talk, pid, exec && change == CHROOT ? 0 : CODE);
}

/* The parent has changed; the child hasn't: the other end. */
static void parent_changes(enum change change, int kind)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct talk talk;
        talk_open(&talk, kind);
        pid_t child = guest_fork();
        if (child == 0) {
            CHECK(talk_take(&talk));
            execl(path, path, "image", (char *)NULL);
            _exit(errno);
        }
        make_change(change);
        talk_end(&talk, child, CODE);
        _exit(CODE);
    }
    guest_wait_exit(pid, CODE);
}

static void copy_program(const char *to, const char *from)
{
    char buffer[65536];
    ssize_t count;
    int in = (int)CHECK_OK(open(from, O_RDONLY | O_CLOEXEC));
    int out = (int)CHECK_OK(open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755));
    while ((count = CHECK_OK(read(in, buffer, sizeof buffer))) > 0) {
        guest_write_all(out, buffer, (size_t)count);
    }
    CHECK_OK(close(in));
    CHECK_OK(close(out));
}

int main(int argc, char **argv)
{
    enum { COPIES = 4 };
    static const char *const copies[COPIES][2] = {
        { "/static", static_path },
        { "/cat", "/bin/cat" },
        { "/lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2" },
        { "/lib64/libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6" },
    };
    char copy[96];
    (void)argv;
    if (argc > 1) {
        return talk_image(CODE);
    }
    guest_start();
    talk_path(path, NULL);
    talk_path(static_path, "helper_cat_static");
    strcpy(folder, "/tmp/guest_root_XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    CHECK_OK(chmod(folder, 0755));
    snprintf(copy, sizeof copy, "%s/lib64", folder);
    CHECK_OK(mkdir(copy, 0755));
    for (int i = 0; i < COPIES; i++) {
        snprintf(copy, sizeof copy, "%s%s", folder, copies[i][0]);
        copy_program(copy, copies[i][1]);
    }
    for (int change = geteuid() == 0 ? 0 : NEW_USER; change < CHANGES; change++) {
        for (int kind = 0; kind < TALK_KINDS; kind++) {
            talks((enum change)change, kind, false);
            talks((enum change)change, kind, true);
            parent_changes((enum change)change, kind);
        }
    }
    for (int i = 0; i < COPIES; i++) {
        snprintf(copy, sizeof copy, "%s%s", folder, copies[i][0]);
        CHECK_OK(unlink(copy));
    }
    snprintf(copy, sizeof copy, "%s/lib64", folder);
    CHECK_OK(rmdir(copy));
    CHECK_OK(rmdir(folder));
    return guest_end();
}
