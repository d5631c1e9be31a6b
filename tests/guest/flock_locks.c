/*
 * Proves: file locks on emulated fds: flock on both ends of a pipe is one lock; POSIX and OFD locks
 * need the right mode of access; on sockets they work as on a file; a child contends.
 *
 * Rows: 5.2 "F_SETLK/OFD/flock on a socket", 5.2 "F_SETLEASE"
 */
#include <sys/file.h>

#include "guest.h"

static int set_lock(int fd, int command, short type)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET };
    return fcntl(fd, command, &lock);
}

static void flock_on_a_pipe(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_OK(flock(fds[0], LOCK_EX | LOCK_NB));
    CHECK_ERR(EAGAIN, flock(fds[1], LOCK_EX | LOCK_NB)); /* one inode, two descriptions */
    CHECK_ERR(EAGAIN, flock(fds[1], LOCK_SH | LOCK_NB));
    int copy = (int)CHECK_OK(dup(fds[0]));
    CHECK_OK(flock(copy, LOCK_EX | LOCK_NB)); /* the same description */
    CHECK_OK(flock(copy, LOCK_UN));
    CHECK_OK(flock(fds[1], LOCK_EX | LOCK_NB));
    CHECK_OK(close(copy));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(fds[0], &(char){ 0 }, 1));
    guest_close_both(fds);
}

static void record_locks(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_ERR(EBADF, set_lock(fds[0], F_SETLK, F_WRLCK));
    CHECK_ERR(EBADF, set_lock(fds[1], F_SETLK, F_RDLCK));
    CHECK_OK(set_lock(fds[0], F_SETLK, F_RDLCK));
    CHECK_OK(set_lock(fds[0], F_SETLK, F_UNLCK));
    guest_close_both(fds);
    guest_pair(SOCK_STREAM, fds);
    CHECK_OK(set_lock(fds[0], F_SETLK, F_WRLCK));
    CHECK_OK(set_lock(fds[1], F_OFD_SETLK, F_WRLCK));
    CHECK_OK(flock(fds[0], LOCK_EX | LOCK_NB));
    CHECK_OK(flock(fds[1], LOCK_EX | LOCK_NB)); /* two inodes */
    guest_close_both(fds);
}

static void child_contends(void)
{
    int fds[2];
    guest_pair(SOCK_STREAM, fds);
    CHECK_OK(set_lock(fds[0], F_SETLK, F_WRLCK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        CHECK_ERR(EAGAIN, set_lock(fds[0], F_SETLK, F_WRLCK));
        CHECK_OK(fcntl(fds[0], F_GETLK, &lock));
        CHECK_EQ(F_WRLCK, lock.l_type);
        CHECK_EQ(getppid(), lock.l_pid);
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    guest_close_both(fds);
}

static void leases(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_ERR(EINVAL, fcntl(fds[0], F_SETLEASE, F_RDLCK));
    CHECK_EQ(F_UNLCK, fcntl(fds[0], F_GETLEASE));
    CHECK_ERR(ENOTDIR, fcntl(fds[0], F_NOTIFY, DN_MODIFY));
    CHECK_ERR(EINVAL, fcntl(fds[0], F_GET_SEALS));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    flock_on_a_pipe();
    record_locks();
    child_contends();
    leases();
    return guest_end();
}
