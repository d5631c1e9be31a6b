/*
 * Proves: the inode of a pidfd tells processes apart that have the same pid one after the other,
 * is the same for whoever opens one, and is still told of a zombie, whose pidfd is readable; a fd
 * of an anonymous inode, and none of a file, a pipe or a socket, has no file type; the size of
 * /proc/self/fd is the number of open descriptors. Prints what the inode costs beside the start
 * time in /proc/PID/stat. A pid is used again by clone3's set_tid, where that is allowed.
 */
#include "proof.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define PIDFS_MAGIC 0x50494446 /* include/uapi/linux/magic.h */

enum { ROUNDS = 2000 };

static int open_process(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static uint64_t inode_of(pid_t pid)
{
    struct stat status;
    const int fd = open_process(pid);

    CHECK(fd >= 0 && fstat(fd, &status) == 0, "pidfd of %d", (int)pid);
    close(fd);
    return status.st_ino;
}

static void refuse_old_kernels(void)
{
    struct statfs status;
    const int fd = open_process(getpid());

    if (fd < 0 || fstatfs(fd, &status) < 0 || status.f_type != PIDFS_MAGIC)
        SKIP("pidfds have no inodes of their own");
    close(fd);
}

/* A child with this pid (0: any) that waits for `pipe` to be closed. -1: not allowed. */
static pid_t make_child(pid_t wanted, const int pipe[2])
{
    struct clone_args arguments = { .exit_signal = SIGCHLD,
                                    .set_tid = wanted > 0 ? (uint64_t)(uintptr_t)&wanted : 0,
                                    .set_tid_size = wanted > 0 };
    const pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    char byte;

    if (child == 0) {
        close(pipe[1]);
        _exit(read(pipe[0], &byte, 1) == 0 ? 0 : 1);
    }
    return child;
}

static void end_child(pid_t child, int pipe[2])
{
    struct pollfd ended = { .fd = open_process(child), .events = POLLIN };
    int status;

    CHECK(poll(&ended, 1, 0) == 0, "readable while it lives");
    close(pipe[1]);
    CHECK(poll(&ended, 1, 5000) == 1, "not readable though it ended");
    close(ended.fd);
    ended.fd = open_process(child); /* of a zombie */
    CHECK(ended.fd >= 0 && poll(&ended, 1, 0) == 1, "pidfd of a zombie");
    close(ended.fd);
    CHECK(waitpid(child, &status, 0) == child && status == 0, "its status is %d", status);
    close(pipe[0]);
    CHECK(open_process(child) == -1 && errno == ESRCH, "a pidfd of nobody");
}

/* What a forked child sees, and what this process sees of itself. */
static void check_everybody_sees_the_same(void)
{
    const uint64_t mine = inode_of(getpid());
    const pid_t parent = getpid();
    const pid_t child = fork();
    int status;

    CHECK(child >= 0, "fork");
    if (child == 0)
        _exit(inode_of(parent) == mine && inode_of(getpid()) != mine ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0, "a child sees another inode");
}

/* The pid of a process that is gone, used again. */
static const char *check_a_pid_used_again(void)
{
    int pipes[2][2];
    CHECK(pipe(pipes[0]) == 0 && pipe(pipes[1]) == 0, "pipe");
    const pid_t first = make_child(0, pipes[0]);
    CHECK(first > 0, "clone3");
    const uint64_t before = inode_of(first);
    end_child(first, pipes[0]);
    const pid_t second = make_child(first, pipes[1]);
    if (second < 0) /* EPERM, or somebody else has it by now */
        return "not tried";
    CHECK(second == first && inode_of(second) != before, "two processes have one inode");
    end_child(second, pipes[1]);
    return "another inode";
}

static unsigned type_of(int fd)
{
    struct stat status;

    CHECK(fd >= 0 && fstat(fd, &status) == 0, "fstat");
    return status.st_mode & S_IFMT;
}

static void check_types(void)
{
    int ends[2];

    CHECK(pipe(ends) == 0, "pipe");
    CHECK(type_of(epoll_create1(0)) == 0, "an epoll instance has a type");
    CHECK(type_of(ends[0]) != 0, "a pipe has none");
    CHECK(type_of(socket(AF_UNIX, SOCK_STREAM, 0)) != 0, "a socket has none");
    CHECK(type_of(memfd_create("proof", 0)) != 0, "a memfd has none");
    CHECK(type_of(open("/dev/null", O_RDWR)) != 0, "a device has none");
}

static void check_count(void)
{
    struct stat before, after;

    CHECK(stat("/proc/self/fd", &before) == 0, "stat");
    if (before.st_size == 0)
        return; /* before 6.2 */
    CHECK(dup(0) >= 0 && dup2(0, 500) == 500, "dup");
    CHECK(stat("/proc/self/fd", &after) == 0 && after.st_size == before.st_size + 2,
          "the size is %ld, and was %ld", (long)after.st_size, (long)before.st_size);
}

static int64_t cost_of_inode_ns(pid_t pid)
{
    const int64_t start = now_ns();

    for (int i = 0; i < ROUNDS; i++)
        inode_of(pid);
    return (now_ns() - start) / ROUNDS;
}

static int64_t cost_of_start_time_ns(pid_t pid)
{
    char path[40], text[512];
    const int64_t start = now_ns();

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (int i = 0; i < ROUNDS; i++) {
        const int fd = open(path, O_RDONLY);
        CHECK(fd >= 0 && read(fd, text, sizeof text) > 0, "%s", path);
        close(fd);
    }
    return (now_ns() - start) / ROUNDS;
}

int main(void)
{
    refuse_old_kernels();
    check_everybody_sees_the_same();
    const char *again = check_a_pid_used_again();
    check_types();
    check_count();
    printf("a pid used again: %s; inode %lld ns, start time %lld ns\n", again,
           (long long)cost_of_inode_ns(getpid()), (long long)cost_of_start_time_ns(getpid()));
    return 0;
}
