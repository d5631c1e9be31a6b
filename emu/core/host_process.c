/*
 * host_process.c - see host.h: other processes
 *
 * A pid may be used again. What tells its processes apart is the inode of a pidfd, where each has
 * its own (fs/pidfs.c, since 6.9): three short calls, also for a process that has no entry in the
 * caller's /proc. Elsewhere, and for threads, it is the start time in /proc/PID/stat.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#define CALL1(nr, a)       host_syscall(nr, (long)(a), 0, 0, 0, 0, 0)
#define CALL2(nr, a, b)    host_syscall(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL3(nr, a, b, c) host_syscall(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)

#define PIDFS_MAGIC 0x50494446 /* include/uapi/linux/magic.h:PID_FS_MAGIC */

int host_process_open(int32_t pid)
{
    return (int)CALL2(SYS_pidfd_open, pid, 0);
}

int host_take_fd(int32_t pid, int fd)
{
    int pidfd = host_process_open(pid);
    int taken;

    if (pidfd < 0) {
        return pidfd;
    }
    taken = (int)CALL3(SYS_pidfd_getfd, pidfd, fd, 0);
    host_close(pidfd);
    return taken;
}

static char *put_number(char *at, int value)
{
    char digits[12];
    int count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    *at = 0;
    return at;
}

void host_ring_other(int32_t pid, int fd, uint64_t object)
{
    struct stat status;
    char path[64] = "/proc/";
    int pipe;

    put_number(stpcpy(put_number(path + strlen(path), pid), "/fd/"), fd);
    pipe = (int)CALL3(SYS_open, path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
    if (pipe >= 0) {
        if (CALL2(SYS_fstat, pipe, &status) == 0 && status.st_ino == object) {
            host_write(pipe, "", 1);
        }
        host_close(pipe);
    }
}

/* Field 22 of /proc/PID/stat, after the name in parentheses; a zombie or dead one counts as none.
 */
static uint64_t start_time(int32_t pid)
{
    char path[40] = "/proc/";
    char text[512];
    int64_t size;
    char *field;
    uint64_t value = 0;
    int fd;

    strcpy(put_number(path + strlen(path), pid), "/stat");
    fd = (int)CALL3(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return 0;
    }
    size = host_read(fd, text, sizeof text - 1);
    host_close(fd);
    if (size <= 0) {
        return 0;
    }
    text[size] = 0;
    field = strrchr(text, ')');
    if (!field || field[1] == 0 || field[2] == 'Z' || field[2] == 'X') {
        return 0;
    }
    for (int i = 0; i < 20 && field; i++) { /* from the ')' to field 22 are 20 blanks */
        field = strchr(field + 1, ' ');
    }
    for (field = field ? field + 1 : NULL; field && *field >= '0' && *field <= '9'; field++) {
        value = value * 10 + (uint64_t)(*field - '0');
    }
    return value;
}

/* Whether pidfds have inodes of their own. */
static bool inodes_tell(int pidfd)
{
    static _Atomic int known; /* 1: yes, -1: no */
    struct statfs status;

    if (atomic_load_explicit(&known, memory_order_relaxed) == 0) {
        bool tell = CALL2(SYS_fstatfs, pidfd, &status) == 0 && status.f_type == PIDFS_MAGIC;

        atomic_store_explicit(&known, tell ? 1 : -1, memory_order_relaxed);
    }
    return atomic_load_explicit(&known, memory_order_relaxed) > 0;
}

/* False: it can't tell. */
static bool pidfd_inode(int pidfd, uint64_t *ret_mark)
{
    struct stat status;

    if (!inodes_tell(pidfd) || CALL2(SYS_fstat, pidfd, &status) < 0) {
        return false;
    }
    *ret_mark = (host_poll_one(pidfd, POLLIN) & POLLIN) ? 0 : HOST_MARK_INODE | status.st_ino;
    return true;
}

uint64_t host_process_mark(int32_t pid)
{
    uint64_t mark = 0;
    int pidfd = host_process_open(pid);
    bool told = pidfd >= 0 ? pidfd_inode(pidfd, &mark) : pidfd == -ESRCH;

    if (pidfd >= 0) {
        host_close(pidfd);
    }
    return told ? mark : start_time(pid);
}
