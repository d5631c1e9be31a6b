/*
 * Proves: the kernel itself says which emulated object a number stands for. A pipe end is named by
 * (device, inode, access mode), a socket by SO_COOKIE, through dup, fork, exec, posix_spawn with a
 * dup2 action and SCM_RIGHTS. A pipe end opened again through /proc/self/fd has the same triple and
 * another description; F_DUPFD_QUERY (6.10) or kcmp tells. Epoll instances share one inode and are
 * told apart by the data word of an entry they carry, as long as what the entry watches is open.
 * Leaves out: ids of inodes are 32 bits and wrap; a session is not expected to live that long.
 */
#include "proof.h"
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define PROOF_F_DUPFD_QUERY 1027 /* include/uapi/linux/fcntl.h: F_LINUX_SPECIFIC_BASE + 3 */
#define EPOLL_NAME          0x50c4000000000001u

struct identity {
    uint64_t dev, ino, mode, cookie, epoll_name;
};

/* The data word of the entry in the epoll instance fd, from its fdinfo; 0 when it has none. */
static uint64_t epoll_name(int fd)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    int info = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(info >= 0, "%s", path);
    ssize_t got = read(info, text, sizeof(text) - 1);
    close(info);
    CHECK(got > 0, "fdinfo of %d is empty", fd);
    text[got] = '\0';
    const char *data = strstr(text, "data:");
    return data ? strtoull(data + 5, NULL, 16) : 0;
}

static struct identity identity_of(int fd)
{
    struct stat st;
    struct identity id = { 0 };
    int flags = fcntl(fd, F_GETFL);
    CHECK(fstat(fd, &st) == 0 && flags >= 0, "fd %d", fd);
    id.dev = st.st_dev;
    id.ino = st.st_ino;
    id.mode = (uint64_t)(flags & O_ACCMODE);
    if (S_ISSOCK(st.st_mode)) {
        socklen_t len = sizeof(id.cookie);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &id.cookie, &len) == 0, "SO_COOKIE of %d", fd);
    } else if (!S_ISFIFO(st.st_mode)) {
        id.epoll_name = epoll_name(fd);
    }
    return id;
}

static int same(struct identity a, struct identity b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

/* 1 when both fds are one description, 0 when not, by the kernel's newer and its older way. */
static int same_description(int a, int b, const char **ret_how)
{
    int answer = fcntl(a, PROOF_F_DUPFD_QUERY, b);
    long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, (long)a, (long)b);
    if (answer < 0 && order < 0) {
        SKIP("neither F_DUPFD_QUERY nor kcmp");
    }
    CHECK(answer < 0 || order < 0 || answer == (order == 0), "the two ways disagree");
    *ret_how = answer < 0 ? "kcmp" : order < 0 ? "F_DUPFD_QUERY" : "F_DUPFD_QUERY and kcmp";
    return answer >= 0 ? answer : order == 0;
}

static void put_identity(char *text, size_t size, struct identity id)
{
    snprintf(text, size, "%" PRIx64 ",%" PRIx64 ",%" PRIx64 ",%" PRIx64 ",%" PRIx64, id.dev, id.ino,
             id.mode, id.cookie, id.epoll_name);
}

/* A new image: "proof FD IDENTITY" compares what it inherited at FD with what it was told. */
static int image(const char *number, const char *expected)
{
    char text[128];
    put_identity(text, sizeof(text), identity_of(atoi(number)));
    return strcmp(text, expected) == 0 ? 0 : 1;
}

static void prove_exec_and_spawn(int fd)
{
    char number[16], text[128];
    char self[] = "/proc/self/exe";
    put_identity(text, sizeof(text), identity_of(fd));
    snprintf(number, sizeof(number), "%d", fd);
    char *argv[] = { self, number, text, NULL };
    pid_t pid = fork();
    if (pid == 0) {
        execv(self, argv);
        _exit(9);
    }
    CHECK(child_result(pid) == 0, "identity of fd %d lost in exec", fd);

    posix_spawn_file_actions_t actions;
    char moved[] = "97";
    argv[1] = moved;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, 97);
    posix_spawn_file_actions_addclose(&actions, fd);
    CHECK(posix_spawn(&pid, self, &actions, NULL, argv, environ) == 0, "posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    CHECK(child_result(pid) == 0, "identity of fd %d lost in posix_spawn", fd);
}

static int pass_by_rights(int via[2], int fd)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .room = { 0 } };
    char byte = 'x';
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.room,
                          .msg_controllen = sizeof(control.room) };
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    *head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
                              .cmsg_level = SOL_SOCKET,
                              .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    CHECK(sendmsg(via[0], &msg, 0) == 1 && recvmsg(via[1], &msg, 0) == 1, "SCM_RIGHTS");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
    return fd;
}

static void prove_copies(int fd, int via[2])
{
    struct identity id = identity_of(fd);
    int copy = dup(fd);
    CHECK(same(identity_of(copy), id), "dup of %d", fd);
    int passed = pass_by_rights(via, fd);
    CHECK(same(identity_of(passed), id), "SCM_RIGHTS of %d", fd);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(same(identity_of(fd), id) ? 0 : 1);
    }
    CHECK(child_result(pid) == 0, "fork, fd %d", fd);
    close(copy);
    close(passed);
    prove_exec_and_spawn(fd);
}

/* The entry's name stays readable exactly as long as the watched description is open somewhere. */
static void prove_epoll(int via[2])
{
    int first = epoll_create1(0), second = epoll_create1(0), bell = eventfd(0, 0);
    struct epoll_event entry = { .events = EPOLLET, .data.u64 = EPOLL_NAME };
    CHECK(epoll_ctl(first, EPOLL_CTL_ADD, bell, &entry) == 0, "entry");
    entry.data.u64 = EPOLL_NAME + 1;
    CHECK(epoll_ctl(second, EPOLL_CTL_ADD, bell, &entry) == 0, "entry");
    struct identity a = identity_of(first), b = identity_of(second);
    CHECK(a.ino == b.ino && a.dev == b.dev, "epoll inodes differ: the inode would do as a name");
    CHECK(a.epoll_name == EPOLL_NAME && b.epoll_name == EPOLL_NAME + 1, "data word in fdinfo");
    prove_copies(first, via);
    int kept = dup(bell);
    close(bell);
    CHECK(epoll_name(first) == EPOLL_NAME, "entry gone though its description is open");
    close(kept);
    CHECK(epoll_name(first) == 0, "entry outlives the last close of what it watches");
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        return image(argv[1], argv[2]);
    }
    int pipefd[2], other[2], pair[2], via[2];
    const char *how = "";
    CHECK(pipe(pipefd) == 0 && pipe(other) == 0, "pipe");
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, via) == 0, "socketpair");
    for (int end = 0; end < 2; end++) {
        prove_copies(pipefd[end], via);
        prove_copies(pair[end], via);
    }
    CHECK(!same(identity_of(pipefd[0]), identity_of(pipefd[1])), "the ends of a pipe look alike");
    CHECK(!same(identity_of(pipefd[0]), identity_of(other[0])), "two pipes look alike");
    CHECK(!same(identity_of(pair[0]), identity_of(pair[1])), "the ends of a pair look alike");

    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", pipefd[0]);
    int again = open(path, O_RDONLY | O_NONBLOCK), copy = dup(pipefd[0]);
    CHECK(again >= 0 && same(identity_of(again), identity_of(pipefd[0])), "reopened end");
    CHECK(same_description(pipefd[0], copy, &how) == 1, "dup is another description?");
    CHECK(same_description(pipefd[0], again, &how) == 0, "reopened end is the same description?");
    prove_epoll(via);

    enum { ROUNDS = 20000 };
    int64_t start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        identity_of(pipefd[0]);
    }
    int64_t pipe_ns = (now_ns() - start) / ROUNDS;
    start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        same_description(pipefd[0], copy, &how);
    }
    printf("identity holds through dup, fork, exec, spawn, SCM_RIGHTS; asking costs %" PRId64
           " ns a pipe end, %" PRId64 " ns for same-description (%s)\n",
           pipe_ns, (now_ns() - start) / ROUNDS, how);
    return 0;
}
