/*
 * Proves: a program that closes every number it doesn't know (one by one up to the limit, by
 * close_range, by closefrom, by what /proc/self/fd lists) has what it keeps afterwards: its pipes
 * and sockets go on, it makes new ones, on the numbers that are free, and has children, in this
 * image and in a new one.
 *
 * Rows: 5 "close everything"
 */
#include "guest.h"

#include <dirent.h>
#include <linux/close_range.h>
#include <sys/resource.h>

static void close_one_by_one(int first)
{
    struct rlimit limit;
    CHECK_ZERO(getrlimit(RLIMIT_NOFILE, &limit));
    int end = limit.rlim_cur < 70000 ? (int)limit.rlim_cur : 70000;
    for (int fd = first; fd < end; fd++) {
        close(fd);
    }
}

static void close_by_range(int first)
{
    CHECK_ZERO(close_range((unsigned)first, ~0u, 0));
}

static void close_raw_range(int first)
{
    CHECK_ZERO(syscall(SYS_close_range, first, ~0u, 0));
}

static void close_from(int first)
{
    closefrom(first);
}

static void close_listed(int first)
{
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder != NULL);
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd >= first && fd != dirfd(folder)) {
            close(fd);
        }
    }
    CHECK_ZERO(closedir(folder));
}

/* Puts a file of its own on every number, as some daemons do. */
static void close_by_dup2(int first)
{
    int null = (int)CHECK_OK(open("/dev/null", O_RDWR));
    for (int fd = first; fd < 64; fd++) {
        if (fd != null) {
            CHECK_EQ(fd, dup2(null, fd));
        }
    }
    for (int fd = first; fd < 64; fd++) {
        CHECK_OK(close(fd));
    }
}

static void mark_close_on_exec(int first)
{
    CHECK_ZERO(close_range((unsigned)first, ~0u, CLOSE_RANGE_CLOEXEC));
    CHECK_ZERO(close_range((unsigned)first, ~0u, 0));
}

static void (*const ways[])(int first) = {
    close_one_by_one, close_by_range, close_raw_range,    close_from,
    close_listed,     close_by_dup2,  mark_close_on_exec,
};

static void talk(int in, int out)
{
    char byte;
    CHECK_EQ(1, write(out, "x", 1));
    CHECK_EQ(1, read(in, &byte, 1));
}

/* The lowest numbers are free again; children and new images have what is made now. */
static void go_on(int first)
{
    int fds[2];
    char byte;

    CHECK_ZERO(pipe(fds));
    CHECK_EQ(first, fds[0]);
    CHECK_EQ(first + 1, fds[1]);
    talk(fds[0], fds[1]);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_EQ(fds[1], write(fds[1], "child", 5) == 5 ? fds[1] : -1);
        _exit(0);
    }
    guest_wait_exit(child, 0);
    child = guest_fork();
    if (child == 0) {
        CHECK_OK(dup2(fds[1], 1));
        execl("/bin/echo", "echo", "-n", "image", NULL);
        _exit(1);
    }
    guest_wait_exit(child, 0);
    CHECK_OK(close(fds[1]));
    for (const char *at = "childimage"; *at; at++) {
        CHECK_EQ(1, read(fds[0], &byte, 1));
        CHECK_EQ(*at, byte);
    }
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        pid_t child = guest_fork();
        if (child == 0) {
            int fds[2], lost[2];
            CHECK_ZERO(pipe(fds));
            int first = fds[1] + 1;
            CHECK_ZERO(socketpair(AF_UNIX, SOCK_STREAM, 0, lost));
            talk(fds[0], fds[1]);
            ways[i](first);
            talk(fds[0], fds[1]);
            CHECK_ERR(EBADF, write(lost[0], "x", 1));
            go_on(first);
            _exit(0);
        }
        guest_wait_exit(child, 0);
    }
    return guest_end();
}
