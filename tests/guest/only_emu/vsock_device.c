/*
 * Proves (in the emulator only): /dev/vsock is there, whatever the machine has. It opens by every
 * spelling of its path, answers the ioctl with this process's CID and everything else as Linux's
 * misc device without read, write and poll does; dup, fork and exec keep it; stat and access see a
 * character device that everybody may read and write.
 *
 * Rows: 7.2 "IOCTL on an open /dev/vsock"
 */
#include "../guest.h"

#include <dirent.h>
#include <linux/vm_sockets.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#define DEVICE   "/dev/vsock"
#define CID_HOST 2u

static uint32_t cid_of(int fd)
{
    uint32_t cid = 0xdead;
    CHECK_OK(ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid));
    return cid;
}

static int open_device(int flags)
{
    return (int)CHECK_OK(open(DEVICE, flags));
}

/* Opened: is the device, is closed. */
static void check_opened(int fd)
{
    CHECK_OK(fd);
    CHECK_EQ(CID_HOST, cid_of(fd));
    CHECK_OK(close(fd));
}

static void spellings(void)
{
    static const char *const paths[] = { DEVICE, "//dev/vsock", "/dev//vsock", "/dev/./vsock",
                                         "/./dev/././/vsock" };
    int null = open("/dev/null", O_RDONLY);
    int dev = open("/dev", O_RDONLY | O_DIRECTORY);
    int root = open("/", O_RDONLY | O_DIRECTORY);
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY);
    char *before = getcwd(NULL, 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        check_opened(open(paths[i], O_RDONLY));
        check_opened(openat(null, paths[i], O_RDWR)); /* an absolute path: the number is not used */
    }
    check_opened(openat(dev, "vsock", O_RDONLY));
    check_opened(openat(dev, "./vsock", O_RDONLY));
    check_opened(openat(root, "dev/vsock", O_RDONLY));
    CHECK_ERR(ENOENT, openat(tmp, "vsock", O_RDONLY));
    CHECK_ERR(ENOENT, openat(dev, "vsock-not", O_RDONLY));
    CHECK_ERR(ENOENT, open("/dev/vsoc", O_RDONLY));
    CHECK_ERR(EFAULT, open(guest_bad_pointer(), O_RDONLY));
    CHECK_ERR(ENOENT, open("vsock", O_RDONLY));
    CHECK_OK(chdir("/dev"));
    check_opened(open("vsock", O_RDONLY));
    CHECK_OK(chdir("/"));
    check_opened(open("dev/vsock", O_RDONLY));
    CHECK_OK(chdir(before));
    free(before);
    close(null);
    close(dev);
    close(root);
    close(tmp);
}

static void ways_to_open(void)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = { O_RDWR | O_CLOEXEC, 0, 0 };
    FILE *stream;
    check_opened(open64(DEVICE, O_RDWR));
    check_opened(openat64(AT_FDCWD, DEVICE, O_RDONLY));
    check_opened(creat(DEVICE, 0600));
    check_opened((int)syscall(SYS_open, DEVICE, O_RDONLY, 0));
    check_opened((int)syscall(SYS_openat, AT_FDCWD, DEVICE, O_RDONLY, 0));
    check_opened((int)syscall(SYS_openat2, AT_FDCWD, DEVICE, &how, sizeof how));
    static const char *const modes[] = { "r", "rbe", "r+", "w", "a" };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        stream = fopen(DEVICE, modes[i]);
        CHECK(stream != NULL);
        CHECK_EQ(CID_HOST, cid_of(fileno(stream)));
        CHECK_EQ(0, fclose(stream));
    }
    stream = fopen(DEVICE, "r");
    CHECK(stream != NULL);
    CHECK_EQ(EOF, getc(stream));
    CHECK_EQ(EINVAL, errno);
    CHECK(ferror(stream));
    stream = freopen(DEVICE, "r", stream);
    CHECK(stream != NULL);
    CHECK_EQ(CID_HOST, cid_of(fileno(stream)));
    CHECK_EQ(0, fclose(stream));
    errno = 0;
    CHECK(opendir(DEVICE) == NULL);
    CHECK_EQ(ENOTDIR, errno);
}

static void flags(void)
{
    int fd;
    CHECK_ERR(EEXIST, open(DEVICE, O_RDWR | O_CREAT | O_EXCL, 0600));
    CHECK_ERR(ENOTDIR, open(DEVICE, O_RDONLY | O_DIRECTORY));
    CHECK_ERR(ENOTDIR, open(DEVICE "/", O_RDONLY));
    CHECK_ERR(ENOTDIR, open(DEVICE "/below", O_RDONLY));
    CHECK_ERR(EINVAL, open(DEVICE, O_RDONLY | O_DIRECT));
    check_opened(open(DEVICE, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    fd = open_device(O_WRONLY | O_NONBLOCK | O_APPEND | O_CLOEXEC);
    CHECK_EQ(O_WRONLY | O_NONBLOCK | O_APPEND, fcntl(fd, F_GETFL) & ~0100000 /* O_LARGEFILE */);
    CHECK_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
    CHECK_OK(fcntl(fd, F_SETFL, 0));
    CHECK_EQ(O_WRONLY, fcntl(fd, F_GETFL) & ~0100000);
    CHECK_ERR(EINVAL, fcntl(fd, F_SETFL, O_DIRECT));
    CHECK_ERR(EBADF, fcntl(fd, F_GETPIPE_SZ));
    CHECK_OK(close(fd));
    fd = open_device(O_RDWR);
    CHECK_EQ(0, fcntl(fd, F_GETFD));
    CHECK_EQ(O_RDWR, fcntl(fd, F_GETFL) & O_ACCMODE);
    CHECK_OK(close(fd));
}

static void no_data(void)
{
    int fd = open_device(O_RDWR);
    char byte = 0;
    struct iovec iov = { &byte, 1 };
    int pipe_fds[2];
    guest_pipe(pipe_fds);
    CHECK_ERR(EINVAL, read(fd, &byte, 1));
    CHECK_ERR(EINVAL, read(fd, &byte, 0));
    CHECK_ERR(EINVAL, read(fd, guest_bad_pointer(), 1)); /* before the pointer is looked at */
    CHECK_ERR(EINVAL, write(fd, &byte, 1));
    CHECK_ERR(EINVAL, readv(fd, &iov, 1));
    CHECK_ERR(EINVAL, writev(fd, &iov, 1));
    CHECK_ERR(EINVAL, preadv2(fd, &iov, 1, -1, 0));
    CHECK_ERR(ESPIPE, pread(fd, &byte, 1, 0));
    CHECK_ERR(ESPIPE, pwrite(fd, &byte, 1, 0));
    CHECK_ERR(ESPIPE, preadv(fd, &iov, 1, 0));
    CHECK_ERR(ESPIPE, lseek(fd, 0, SEEK_SET));
    CHECK_ERR(ESPIPE, lseek(fd, 0, SEEK_CUR));
    CHECK_ERR(ENOTSOCK, send(fd, &byte, 1, 0));
    CHECK_ERR(ENOTSOCK, recv(fd, &byte, 1, 0));
    CHECK_ERR(ENOTSOCK, shutdown(fd, SHUT_RD));
    CHECK_ERR(ENOTSOCK, listen(fd, 1));
    CHECK_ERR(EINVAL, splice(fd, NULL, pipe_fds[1], NULL, 1, 0));
    CHECK_ERR(EINVAL, sendfile(pipe_fds[1], fd, NULL, 1));
    CHECK_ERR(EINVAL, ftruncate(fd, 0));
    CHECK_ERR(EINVAL, fsync(fd));
    CHECK(mmap(NULL, GUEST_PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK_EQ(ENODEV, errno);
    guest_close_both(pipe_fds);
    CHECK_OK(close(fd));
    fd = open_device(O_RDONLY);
    CHECK_ERR(EBADF, write(fd, &byte, 1));
    CHECK_OK(close(fd));
    fd = open_device(O_WRONLY);
    CHECK_ERR(EBADF, read(fd, &byte, 1));
    CHECK_OK(close(fd));
}

static void ioctls(void)
{
    int fd = open_device(O_RDONLY);
    int value = 1;
    struct termios settings;
    CHECK_EQ(0x7b9, IOCTL_VM_SOCKETS_GET_LOCAL_CID);
    CHECK_EQ(CID_HOST, cid_of(fd));
    CHECK_ERR(EFAULT, ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, guest_bad_pointer()));
    CHECK_ERR(EFAULT, ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, NULL));
    CHECK_ERR(ENOTTY, ioctl(fd, FIONREAD, &value));
    CHECK_ERR(ENOTTY, ioctl(fd, 0x7ba, &value));
    CHECK_ERR(ENOTTY, ioctl(fd, TIOCOUTQ, &value));
    CHECK_ERR(ENOTTY, tcgetattr(fd, &settings));
    CHECK_EQ(0, isatty(fd));
    CHECK_OK(ioctl(fd, FIONBIO, &value));
    CHECK_EQ(O_NONBLOCK, fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_ERR(ENOTTY, ioctl(fd, FIOASYNC, &value));
    CHECK_OK(ioctl(fd, FIOCLEX, NULL));
    CHECK_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
    CHECK_OK(close(fd));
}

/* A file without poll is always ready, and no epoll instance takes it. */
static void readiness(void)
{
    int fd = open_device(O_RDONLY);
    struct pollfd entry = { fd, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI | POLLRDHUP,
                            0 };
    struct epoll_event event = { .events = EPOLLIN };
    struct timeval now = { 0, 0 };
    int instance = (int)CHECK_OK(epoll_create1(0));
    fd_set readable, writable, except;
    CHECK_EQ(1, poll(&entry, 1, -1));
    CHECK_EQ(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM, entry.revents);
    entry.events = POLLPRI;
    CHECK_EQ(0, poll(&entry, 1, 0));
    CHECK_EQ(0, poll(&entry, 1, 20));
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    writable = except = readable;
    CHECK_EQ(2, select(fd + 1, &readable, &writable, &except, &now));
    CHECK(FD_ISSET(fd, &readable) && FD_ISSET(fd, &writable) && !FD_ISSET(fd, &except));
    CHECK_ERR(EPERM, epoll_ctl(instance, EPOLL_CTL_ADD, fd, &event));
    CHECK_ERR(EPERM, epoll_ctl(instance, EPOLL_CTL_DEL, fd, &event));
    CHECK_ERR(EPERM, epoll_ctl(fd, EPOLL_CTL_ADD, fd, &event));
    CHECK_ERR(EFAULT, epoll_ctl(instance, EPOLL_CTL_ADD, fd, guest_bad_pointer()));
    CHECK_ERR(EBADF, epoll_ctl(-1, EPOLL_CTL_ADD, fd, &event));
    CHECK_OK(close(instance));
    CHECK_OK(close(fd));
}

static void check_status(const struct stat *status)
{
    CHECK(S_ISCHR(status->st_mode));
    CHECK_EQ(0666, status->st_mode & 07777);
    CHECK_EQ(0, status->st_uid);
    CHECK_EQ(0, status->st_gid);
    CHECK_EQ(0, status->st_size);
    CHECK_EQ(10, major(status->st_rdev));
}

static void check_statx(const struct statx *status)
{
    CHECK_EQ(S_IFCHR | 0666, status->stx_mode);
    CHECK_EQ(10, status->stx_rdev_major);
    CHECK(status->stx_mask & STATX_MODE);
}

static void stats(void)
{
    int fd = open_device(O_RDONLY);
    int dev = open("/dev", O_RDONLY | O_DIRECTORY);
    struct stat status, other;
    struct statx extended;
    CHECK_OK(fstat(fd, &status));
    check_status(&status);
    CHECK_OK(stat(DEVICE, &other));
    check_status(&other);
    CHECK(status.st_dev == other.st_dev && status.st_ino == other.st_ino);
    CHECK(status.st_rdev == other.st_rdev);
    CHECK_OK(lstat("/dev//vsock", &status));
    check_status(&status);
    CHECK_OK(stat("/dev/null", &other));
    CHECK(status.st_dev == other.st_dev && status.st_ino != other.st_ino);
    CHECK_OK(fstatat(dev, "vsock", &status, AT_SYMLINK_NOFOLLOW));
    check_status(&status);
    CHECK_OK(fstatat(fd, "", &status, AT_EMPTY_PATH));
    check_status(&status);
    CHECK_OK(syscall(SYS_stat, DEVICE, &status));
    check_status(&status);
    CHECK_OK(syscall(SYS_fstat, fd, &status));
    check_status(&status);
    CHECK_OK(syscall(SYS_newfstatat, AT_FDCWD, DEVICE, &status, 0));
    check_status(&status);
    CHECK_OK(statx(AT_FDCWD, DEVICE, 0, STATX_BASIC_STATS, &extended));
    check_statx(&extended);
    CHECK_OK(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended));
    check_statx(&extended);
    CHECK_ERR(ENOTDIR, stat(DEVICE "/", &status));
    CHECK_ERR(EFAULT, stat(DEVICE, guest_bad_pointer()));
    CHECK_ERR(EFAULT, stat(guest_bad_pointer(), &status));
    CHECK_ERR(EINVAL, fstatat(AT_FDCWD, guest_bad_pointer(), &status, 0x40000000));
    CHECK_ERR(ENOENT, stat("/dev/vsock-not", &status));
    CHECK_OK(close(dev));
    CHECK_OK(close(fd));
}

static void accesses(void)
{
    CHECK_OK(access(DEVICE, F_OK));
    CHECK_OK(access(DEVICE, R_OK | W_OK));
    CHECK_ERR(EACCES, access(DEVICE, R_OK | X_OK));
    CHECK_ERR(EINVAL, access(DEVICE, 8));
    CHECK_OK(faccessat(AT_FDCWD, DEVICE, R_OK, 0));
    CHECK_OK(faccessat(AT_FDCWD, DEVICE, W_OK, AT_EACCESS));
    CHECK_OK(syscall(SYS_faccessat2, AT_FDCWD, DEVICE, R_OK, 0));
    CHECK_OK(euidaccess(DEVICE, R_OK | W_OK));
    CHECK_OK(eaccess("/dev//vsock", R_OK));
    CHECK_ERR(ENOENT, access("/dev/vsock-not", F_OK));
}

static void copies(void)
{
    int fd = open_device(O_RDWR);
    int copy = (int)CHECK_OK(dup(fd));
    int moved = (int)CHECK_OK(fcntl(fd, F_DUPFD_CLOEXEC, 50));
    char path[32];
    struct stat status;
    CHECK_EQ(60, dup2(fd, 60));
    CHECK_OK(fcntl(copy, F_SETFL, O_NONBLOCK)); /* one description */
    CHECK_EQ(O_NONBLOCK, fcntl(moved, F_GETFL) & O_NONBLOCK);
    CHECK_OK(close(fd));
    CHECK_OK(close(moved));
    CHECK_EQ(CID_HOST, cid_of(60));
    CHECK_OK(close(60));
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_EQ(CID_HOST, cid_of(copy));
        CHECK_OK(fstat(copy, &status));
        check_status(&status);
        CHECK_ERR(EINVAL, read(copy, path, 1));
        _exit(0);
    }
    guest_wait_exit(child, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
    fd = (int)CHECK_OK(open(path, O_RDONLY)); /* another description of the device */
    CHECK_EQ(O_RDONLY, fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    check_opened(fd);
    CHECK_OK(close(copy));
    CHECK_ERR(EBADF, ioctl(copy, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &fd));
    /* The number is free for anything else. */
    int null = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_EQ(0, read(null, path, 1));
    CHECK_ERR(ENOTTY, ioctl(null, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &fd));
    CHECK_OK(close(null));
}

static void across_exec(const char *program)
{
    int fd = open_device(O_RDONLY | O_NONBLOCK);
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    pid_t child = guest_fork();
    if (child == 0) {
        execl(program, program, number, (char *)NULL);
        _exit(127);
    }
    guest_wait_exit(child, 0);
    CHECK_OK(close(fd));
}

/* The child that posix_spawn makes opens inside libc: it doesn't find the machine's device. */
static void not_by_spawn(void)
{
    posix_spawn_file_actions_t actions;
    char *const argv[] = { "true", NULL };
    pid_t child;
    CHECK_EQ(0, posix_spawn_file_actions_init(&actions));
    CHECK_EQ(0, posix_spawn_file_actions_addopen(&actions, 0, DEVICE, O_RDONLY, 0));
    CHECK_EQ(ENOENT, posix_spawn(&child, "/bin/true", &actions, NULL, argv, argv + 1));
    CHECK_EQ(0, posix_spawn_file_actions_destroy(&actions));
}

static int after_exec(int fd)
{
    struct stat status;
    char byte;
    CHECK_EQ(CID_HOST, cid_of(fd));
    CHECK_OK(fstat(fd, &status));
    check_status(&status);
    CHECK_EQ(O_RDONLY | O_NONBLOCK, fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    CHECK_ERR(EINVAL, read(fd, &byte, 1));
    return 0;
}

static void path_only(void)
{
    int fd = open_device(O_PATH);
    struct stat status;
    char byte;
    CHECK_OK(fstat(fd, &status));
    check_status(&status);
    CHECK_EQ(O_PATH, fcntl(fd, F_GETFL) & O_PATH);
    CHECK_ERR(EBADF, read(fd, &byte, 1));
    CHECK_ERR(EBADF, ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &status));
    CHECK_ERR(EBADF, fcntl(fd, F_SETFL, 0));
    CHECK_OK(close(fd));
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return after_exec(atoi(argv[1]));
    }
    guest_start();
    stats(); /* the first open begins a bare preload's session */
    accesses();
    spellings();
    ways_to_open();
    flags();
    no_data();
    ioctls();
    readiness();
    copies();
    across_exec("/proc/self/exe");
    not_by_spawn();
    path_only();
    return guest_end();
}
