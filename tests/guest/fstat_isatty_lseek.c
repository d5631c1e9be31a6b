/*
 * Proves: what the file calls say of pipes and sockets: fstat's type, size and inode (the same for
 * both ends of a pipe, and in a child), isatty, lseek, ftruncate, mmap, pread; /proc/self/fd names.
 *
 * Rows: 2.1 "fstat", 1.3 "fstat of any socket", 2.3 "lseek", 2.3 "pread/pwrite/preadv",
 * 2.3 "ftruncate, fsync", 2.3 "fallocate", 2.3 "mmap", 5.3 "TIOCGWINSZ/TCGETS", 3.3 "pwrite/pread"
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "guest.h"

static ino_t inode_of(int fd, mode_t mode)
{
    struct stat facts;
    CHECK_OK(fstat(fd, &facts));
    CHECK_EQ(mode, facts.st_mode);
    CHECK_EQ(0, facts.st_size);
    CHECK_EQ(4096, facts.st_blksize);
    CHECK_EQ(1, facts.st_nlink);
    CHECK_EQ(geteuid(), facts.st_uid);
    return facts.st_ino;
}

static void name_is(int fd, const char *kind, ino_t inode)
{
    char path[32], expected[64], name[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    snprintf(expected, sizeof expected, "%s:[%llu]", kind, (unsigned long long)inode);
    ssize_t size = CHECK_OK(readlink(path, name, sizeof name - 1));
    name[size] = '\0';
    CHECK_STR(expected, name);
}

static void not_a_file(int fd)
{
    char buffer[4];
    struct iovec vector = { .iov_base = buffer, .iov_len = 4 };
    CHECK_ERR(ESPIPE, lseek(fd, 0, SEEK_CUR));
    CHECK_ERR(ESPIPE, lseek(fd, 0, SEEK_END));
    CHECK_ERR(ESPIPE, pread(fd, buffer, 4, 0));
    CHECK_ERR(ESPIPE, pwrite(fd, buffer, 4, 0));
    CHECK_ERR(ESPIPE, preadv(fd, &vector, 1, 0));
    CHECK_ERR(ESPIPE, pwritev(fd, &vector, 1, 0));
    CHECK_ERR(ENOTTY, isatty(fd) == 0 ? -1 : 1);
    CHECK(ttyname(fd) == NULL);
    CHECK_ERR(EINVAL, fsync(fd));
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
}

static void pipe_facts(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    ino_t inode = inode_of(fds[0], S_IFIFO | 0600);
    CHECK_EQ(inode, inode_of(fds[1], S_IFIFO | 0600));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(inode, inode_of(fds[0], S_IFIFO | 0600));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    name_is(fds[0], "pipe", inode);
    name_is(fds[1], "pipe", inode);
    not_a_file(fds[0]);
    not_a_file(fds[1]);
    CHECK_ERR(EINVAL, ftruncate(fds[1], 0));
    CHECK_ERR(ESPIPE, fallocate(fds[1], 0, 0, 1));
    CHECK_EQ(3, read(fds[0], &(char[8]){ 0 }, 8)); /* all of this has moved nothing */
    guest_close_both(fds);
}

static void socket_facts(int type)
{
    int fds[2];
    struct stat facts;
    guest_pair(type, fds);
    ino_t first = inode_of(fds[0], S_IFSOCK | 0777), second = inode_of(fds[1], S_IFSOCK | 0777);
    CHECK(first != second);
    CHECK_OK(fstatat(fds[0], "", &facts, AT_EMPTY_PATH));
    CHECK_EQ(first, facts.st_ino);
    name_is(fds[0], "socket", first);
    not_a_file(fds[0]);
    int copy = (int)CHECK_OK(dup(fds[0]));
    CHECK_EQ(first, inode_of(copy, S_IFSOCK | 0777));
    CHECK_OK(close(copy));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    pipe_facts();
    socket_facts(SOCK_STREAM);
    socket_facts(SOCK_SEQPACKET);
    return guest_end();
}
