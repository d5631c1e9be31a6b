/*
 * Proves: however a process dies (exit, _exit, quick_exit, return from main, abort, SIGSEGV,
 * SIGKILL, its last thread, exec of a program that keeps nothing), whoever is blocked on the other
 * end of its channels learns of it at once: end-of-file in read, poll, epoll_wait and recvmsg,
 * EPIPE in write; within 10 ms in the best of some rounds, though nobody has waited for it.
 *
 * Rows: 2.3 "read, empty, no writers", 2.6 "all writers closed, data left"
 */
#include "guest.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define LIMIT_NS 10000000
#define ROUNDS   8 /* the machine may be busy: the best one counts */

struct shared {
    _Atomic int64_t died_ns;
};

static struct shared *shared;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- deaths ---- */

static void *end_this_thread(void *unused)
{
    return unused;
}

static void die_by_exit(void)
{
    exit(0);
}

static void die_by_exit_now(void)
{
    _exit(0);
}

static void die_by_quick_exit(void)
{
    quick_exit(0);
}

static void die_by_raw_exit(void)
{
    syscall(SYS_exit_group, 0);
}

static void die_by_abort(void)
{
    abort();
}

static void die_by_fault(void)
{
    *(volatile int *)guest_bad_pointer() = 1;
}

static void die_by_kill(void)
{
    kill(getpid(), SIGKILL);
}

static void die_by_term(void)
{
    kill(getpid(), SIGTERM);
}

/* The main thread goes first; the last one's end is the process's. */
static void die_by_last_thread(void)
{
    pthread_t thread;
    CHECK_ZERO(pthread_create(&thread, NULL, end_this_thread, NULL));
    pthread_exit(NULL);
}

static void die_by_exec(void)
{
    execl("/bin/true", "true", NULL);
}

static void (*const deaths[])(void) = {
    die_by_exit,  die_by_exit_now, die_by_quick_exit, die_by_raw_exit,    die_by_abort,
    die_by_fault, die_by_kill,     die_by_term,       die_by_last_thread, die_by_exec,
};

/* ---- waits ---- */

static void wait_in_read(int fd)
{
    char byte;
    ssize_t got = read(fd, &byte, 1);
    CHECK(got == 0 || (got < 0 && errno == ECONNRESET));
}

static void wait_in_poll(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    CHECK_EQ(1, poll(&one, 1, -1));
    CHECK(one.revents & (POLLHUP | POLLIN));
}

static void wait_in_epoll(int fd)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };
    int set = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_ZERO(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
    CHECK_EQ(1, epoll_wait(set, &event, 1, -1));
    CHECK(event.events & (EPOLLHUP | EPOLLIN));
    CHECK_OK(close(set));
}

static void wait_in_write(int fd)
{
    static char block[GUEST_PIPE_SIZE * 16];
    for (;;) {
        if (write(fd, block, sizeof block) < 0) {
            CHECK(errno == EPIPE || errno == ECONNRESET);
            return;
        }
    }
}

static const struct {
    int kind; /* 0: a pipe */
    bool writes;
    void (*wait)(int fd);
} waits[] = {
    { 0, false, wait_in_read },
    { SOCK_STREAM, false, wait_in_read },
    { 0, false, wait_in_poll },
    { SOCK_STREAM, false, wait_in_epoll },
    { 0, true, wait_in_write },
    { SOCK_STREAM, true, wait_in_write },
    { SOCK_SEQPACKET, false, wait_in_read },
};

/* fds[0] is who waits', fds[1] who dies'. */
static void open_channel(unsigned way, int fds[2])
{
    if (waits[way].kind != 0) {
        CHECK_ZERO(socketpair(AF_UNIX, waits[way].kind | SOCK_CLOEXEC, 0, fds));
        return;
    }
    CHECK_ZERO(pipe2(fds, O_CLOEXEC));
    if (waits[way].writes) {
        int reader = fds[0];
        fds[0] = fds[1];
        fds[1] = reader;
    }
}

/* Two siblings; neither is the other's parent. Returns how late the waiting one was. */
static int64_t one_death(unsigned how, unsigned way)
{
    int fds[2], go[2];
    char byte;

    open_channel(way, fds);
    CHECK_ZERO(pipe2(go, O_CLOEXEC));
    pid_t victim = guest_fork();
    if (victim == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_OK(close(go[1]));
        CHECK_EQ(1, read(go[0], &byte, 1));
        atomic_store(&shared->died_ns, now_ns());
        deaths[how]();
        _exit(99);
    }
    int late[2];
    CHECK_ZERO(pipe2(late, O_CLOEXEC));
    pid_t waiting = guest_fork();
    if (waiting == 0) {
        CHECK_OK(close(fds[1]));
        guest_close_both(go);
        waits[way].wait(fds[0]);
        int64_t ns = now_ns() - atomic_load(&shared->died_ns);
        CHECK_EQ(sizeof ns, write(late[1], &ns, sizeof ns));
        _exit(0);
    }
    guest_close_both(fds);
    CHECK_OK(close(late[1]));
    guest_process_blocked(waiting);
    CHECK_EQ(1, write(go[1], "g", 1));
    int64_t ns = -1;
    CHECK_EQ(sizeof ns, read(late[0], &ns, sizeof ns)); /* before anybody is waited for */
    CHECK(ns >= 0);
    guest_wait_exit(waiting, 0);
    CHECK(guest_wait(victim) != W_EXITCODE(99, 0));
    CHECK_OK(close(late[0]));
    guest_close_both(go);
    return ns;
}

int main(int argc, char **argv)
{
    const struct rlimit no_core = { 0 };

    guest_start();
    (void)argv;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    CHECK_ZERO(setrlimit(RLIMIT_CORE, &no_core));
    signal(SIGPIPE, SIG_IGN);
    for (unsigned how = 0; how < sizeof deaths / sizeof deaths[0]; how++) {
        for (unsigned way = 0; way < sizeof waits / sizeof waits[0]; way++) {
            int64_t best = INT64_MAX;
            for (int round = 0; round < ROUNDS && best > LIMIT_NS; round++) {
                int64_t late = one_death(how, way);
                best = late < best ? late : best;
            }
            if (argc > 1) {
                printf("death %u wait %u: %lld us\n", how, way, (long long)best / 1000);
            }
            if (best > LIMIT_NS) {
                guest_fail(__FILE__, __LINE__, "seen late", "death %u, wait %u: %lld us", how, way,
                           (long long)best / 1000);
            }
        }
    }
    return guest_end();
}
