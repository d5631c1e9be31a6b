/*
 * Proves: a channel with unread bytes can be handed to the kernel: the bytes go into the
 * placeholder and any process then reads them in order, followed by what is written natively, or
 * end of file. pipe: through the write end, had by reopening the read end's /proc/self/fd entry
 * (works with and without writers left; an fd opened this way takes O_DIRECT by F_SETFL, not by
 * open; denied after a change of uid); what fits the model fits the placeholder with the same
 * F_SETPIPE_SZ. pair: through the own other end; through one taken by pidfd_getfd; by a fresh pair
 * put over the number when the peer is dead (its SO_COOKIE, hence its identity, is a new one). The
 * queue with the unread bytes is a model: an array, and for SEQPACKET an array of records.
 */
#include "proof.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { ROOM = 1 << 20 };
static char unread[ROOM], got[ROOM + 1];

static int reopen(int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, flags | O_CLOEXEC);
}

static void move_bytes(int into, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t put = write(into, unread + done, size - done);
        CHECK(put > 0, "the placeholder takes only %zu of %zu bytes", done, size);
        done += (size_t)put;
    }
}

/* Reads to the end of file (eof) or to size bytes, and compares. */
static void expect(int fd, size_t size, int eof)
{
    size_t have = 0;
    ssize_t rc = 1;
    while (rc > 0 && have < size + (eof ? 1 : 0)) {
        rc = read(fd, got + have, ROOM - have);
        have += rc > 0 ? (size_t)rc : 0;
    }
    CHECK(rc >= 0 && have == size && memcmp(got, unread, size) == 0, "%zu of %zu bytes", have,
          size);
}

static void prove_pipe(size_t capacity, int writers_left)
{
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe");
    CHECK(fcntl(ends[0], F_SETPIPE_SZ, (int)capacity) == (int)capacity, "capacity %zu", capacity);
    if (!writers_left) {
        close(ends[1]);
    }
    int into = reopen(ends[0], O_WRONLY | O_NONBLOCK);
    CHECK(into >= 0, "reopen, writers left: %d", writers_left);
    move_bytes(into, capacity);
    CHECK(write(into, "x", 1) == -1 && errno == EAGAIN, "capacity isn't mirrored");
    close(into);
    if (writers_left) {
        expect(ends[0], capacity, 0);
        CHECK(write(ends[1], unread, 100) == 100, "native write");
        close(ends[1]);
        expect(ends[0], 100, 1);
    } else {
        struct pollfd end = { .fd = ends[0], .events = POLLIN };
        CHECK(poll(&end, 1, 0) == 1 && end.revents == (POLLIN | POLLHUP), "%x", end.revents);
        expect(ends[0], capacity, 1);
    }
    close(ends[0]);
}

/* Packet mode: one slot a packet; a packet stays one read. */
static void prove_packets(void)
{
    enum { PACKETS = 16, SIZE = 10 };
    int ends[2];
    CHECK(pipe2(ends, O_DIRECT) == 0, "pipe2");
    close(ends[1]);
    CHECK(reopen(ends[0], O_WRONLY | O_NONBLOCK | O_DIRECT) == -1 && errno == EINVAL,
          "open takes O_DIRECT on a pipe now");
    int into = reopen(ends[0], O_WRONLY | O_NONBLOCK);
    CHECK(into >= 0 && fcntl(into, F_SETFL, O_NONBLOCK | O_DIRECT) == 0, "F_SETFL O_DIRECT");
    for (int i = 0; i < PACKETS; i++) {
        CHECK(write(into, unread + i, SIZE) == SIZE, "packet %d", i);
    }
    CHECK(write(into, "x", 1) == -1 && errno == EAGAIN, "more than 16 packets");
    close(into);
    for (int i = 0; i < PACKETS; i++) {
        CHECK(read(ends[0], got, ROOM) == SIZE && memcmp(got, unread + i, SIZE) == 0, "packet %d",
              i);
    }
    CHECK(read(ends[0], got, 1) == 0, "end of file");
    close(ends[0]);
}

static const char *prove_setuid(void)
{
    if (geteuid() != 0) {
        return "not tried (needs root)";
    }
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        if (setresuid(65534, 65534, 65534) != 0) {
            _exit(9);
        }
        int plain = reopen(ends[0], O_WRONLY | O_NONBLOCK) < 0 ? errno : 0;
        _exit(plain == EACCES ? 1 : plain == 0 ? 0 : 2);
    }
    int result = child_result(pid);
    close(ends[0]);
    close(ends[1]);
    return result == 1 ? "EACCES" : result == 0 ? "works" : "another error";
}

static uint64_t cookie(int fd)
{
    uint64_t value = 0;
    socklen_t length = sizeof(value);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &value, &length) == 0, "SO_COOKIE");
    return value;
}

/* Records of growing size, moved one by one through the other end. */
static void move_records(int into, int from, int type)
{
    enum { RECORDS = 50 };
    for (int i = 1; i <= RECORDS; i++) {
        CHECK(send(into, unread, (size_t)i * 7, MSG_DONTWAIT) == i * 7, "record %d", i);
    }
    for (int i = 1; type == SOCK_SEQPACKET && i <= RECORDS; i++) {
        CHECK(recv(from, got, ROOM, MSG_DONTWAIT) == i * 7, "record %d", i);
    }
    for (int left = 7 * RECORDS * (RECORDS + 1) / 2; type == SOCK_STREAM && left > 0;) {
        ssize_t rc = recv(from, got, (size_t)left, MSG_DONTWAIT);
        CHECK(rc > 0, "%d bytes are missing", left);
        left -= (int)rc;
    }
}

static void prove_own_end(int type)
{
    int ends[2];
    CHECK(socketpair(AF_UNIX, type, 0, ends) == 0, "socketpair");
    move_records(ends[1], ends[0], type);
    close(ends[1]);
    CHECK(read(ends[0], got, 1) == 0, "end of file");
    close(ends[0]);
}

/* The other end lives in a process below us only. Returns the errno of pidfd_getfd, 0 when good. */
static int prove_taken_end(int type, int orphan)
{
    int ends[2], ready[2];
    pid_t holder = -1;
    CHECK(socketpair(AF_UNIX, type, 0, ends) == 0 && pipe(ready) == 0, "socketpair");
    pid_t child = fork();
    if (child == 0) {
        holder = orphan ? fork() : 0;
        if (holder == 0) {
            holder = getpid();
            close(ends[0]);
            if (write(ready[1], &holder, sizeof(holder)) != sizeof(holder)) {
                _exit(1);
            }
            for (;;) {
                pause();
            }
        }
        _exit(0); /* the grandchild is an orphan now */
    }
    close(ends[1]);
    CHECK(read(ready[0], &holder, sizeof(holder)) == sizeof(holder), "holder");
    if (orphan) {
        CHECK(child_result(child) == 0, "child");
    }
    int pidfd = (int)syscall(SYS_pidfd_open, holder, 0);
    int taken = (int)syscall(SYS_pidfd_getfd, pidfd, ends[1], 0);
    int failed = taken < 0 ? errno : 0;
    if (failed == 0) {
        CHECK(cookie(taken) != cookie(ends[0]), "that is our own end");
        move_records(taken, ends[0], type);
        close(taken);
    }
    struct pollfd end = { .fd = ends[0], .events = POLLIN };
    CHECK(poll(&end, 1, 0) == 0, "hang-up though the holder lives");
    kill(holder, SIGKILL);
    child_result(holder); /* an orphan comes back to us: we are its subreaper */
    CHECK(poll(&end, 1, 5000) == 1 && read(ends[0], got, 1) == 0, "end of file");
    close(ends[0]);
    close(pidfd);
    close(ready[0]);
    close(ready[1]);
    return failed;
}

static void prove_fresh_pair(void)
{
    int ends[2], fresh[2], flags;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    close(ends[1]); /* the peer is dead, its bytes are in the model */
    uint64_t before = cookie(ends[0]);
    CHECK(fcntl(ends[0], F_SETFL, O_RDWR | O_NONBLOCK) == 0, "F_SETFL");
    flags = fcntl(ends[0], F_GETFL);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fresh) == 0, "socketpair");
    int size = 2 * ROOM;
    CHECK(setsockopt(fresh[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == 0 ||
              setsockopt(fresh[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0,
          "SO_SNDBUF");
    size_t amount = 150000;
    CHECK(send(fresh[1], unread, amount, MSG_DONTWAIT) == (ssize_t)amount, "preload");
    close(fresh[1]);
    CHECK(dup2(fresh[0], ends[0]) == ends[0] && close(fresh[0]) == 0, "dup2");
    CHECK(fcntl(ends[0], F_SETFL, flags) == 0, "flags are the new description's: set again");
    CHECK(cookie(ends[0]) != before, "same cookie: identity would hold by itself");
    expect(ends[0], amount, 1);
    CHECK(send(ends[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "EPIPE");
    close(ends[0]);
}

int main(void)
{
    static const size_t capacities[] = { 4096, 65536, 1 << 20 };
    for (size_t i = 0; i < ROOM; i++) {
        unread[i] = (char)(i * 131 + i / 256);
    }
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL) == 0, "subreaper");
    for (size_t i = 0; i < 3; i++) {
        prove_pipe(capacities[i], 0);
        prove_pipe(capacities[i], 1);
    }
    prove_packets();
    int failed = 0;
    for (int k = 0; k < 2; k++) {
        int type = k ? SOCK_SEQPACKET : SOCK_STREAM;
        prove_own_end(type);
        failed = prove_taken_end(type, 0);
        failed = failed ? failed : prove_taken_end(type, 1);
    }
    prove_fresh_pair();
    enum { ROUNDS = 2000 };
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe");
    int64_t start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        close(reopen(ends[0], O_WRONLY | O_NONBLOCK));
    }
    printf(
        "pipes of 4 KiB to 1 MiB, packets, pairs made native in order; reopening an end %.1f us, "
        "after setuid: %s; pidfd_getfd from a child and an orphan: %s; a fresh pair has a new "
        "cookie\n",
        (double)(now_ns() - start) / 1000 / ROUNDS, prove_setuid(),
        failed ? strerror(failed) : "works");
    return 0;
}
