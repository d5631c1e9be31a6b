/*
 * guest.h: what every guest program uses, and nothing more: checks, tasks, "is it blocked yet".
 *
 * A guest program is plain libc C. It proves one behaviour natively and then, unchanged, in the
 * emulator; exit 0 means it holds. A failed check prints file:line, what was expected and what
 * came, and ends the process with 1. Every process has a deadline (SIGALRM after 30 s), which
 * fork does not inherit, so guest_fork() sets it again.
 *
 * No program sleeps to synchronise. The one thing that can't be announced by the task itself is
 * that it is blocked now; guest_wait_blocked() reads that from /proc (state S). The kernel's sleep
 * and a futex sleep look the same there, so it holds in the emulator, too.
 *
 * Leaves out: anything about how the calls are served.
 */
#ifndef GUEST_H
#define GUEST_H

#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    GUEST_DEADLINE_S = 30,
    GUEST_FD_WATCHED = 256,     /* guest_end() looks for leaks below this number */
    GUEST_BLOCKED_POLLS = 8000, /* of 1 ms each: how long guest_wait_blocked() has patience */
    GUEST_BLOCKED_CALM = 4,     /* so many looks in a row must show state S */
    GUEST_PIPE_SIZE = 65536,    /* pipe(7): 16 pages */
    GUEST_PAGE = 4096,
};

static int guest_report_fd = 2; /* a program that replaces stderr moves this out of the way */
static unsigned char guest_fds_at_start[GUEST_FD_WATCHED];
static atomic_int guest_signal_count[65]; /* by guest_on_signal()'s handler */
static atomic_int guest_signal_tid[65];   /* the thread that took the last one */

/* ---- checks ---- */

__attribute__((noreturn, format(printf, 4, 5))) static inline void guest_fail(
    const char *file, int line, const char *what, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    dprintf(guest_report_fd, "%s:%d: %s: %s\n", file, line, what, text);
    _exit(1);
}

static inline void guest_check_eq(const char *file, int line, const char *what, long long expected,
                                  long long actual)
{
    int error = errno;
    if (actual != expected) {
        guest_fail(file, line, what, "expected %lld (%#llx), got %lld (%#llx), errno %d (%s)",
                   expected, expected, actual, actual, error, strerror(error));
    }
}

static inline long guest_check_ok(const char *file, int line, const char *what, long result)
{
    int error = errno;
    if (result < 0) {
        guest_fail(file, line, what, "expected success, got %ld, errno %d (%s)", result, error,
                   strerror(error));
    }
    return result;
}

static inline void guest_check_err(const char *file, int line, const char *what, int expected,
                                   long result)
{
    int error = errno;
    if (result != -1) {
        guest_fail(file, line, what, "expected -1 and errno %d (%s), got %ld", expected,
                   strerror(expected), result);
    }
    if (error != expected) {
        guest_fail(file, line, what, "expected errno %d (%s), got errno %d (%s)", expected,
                   strerror(expected), error, strerror(error));
    }
}

static inline void guest_check_mem(const char *file, int line, const char *what,
                                   const void *expected, const void *actual, size_t size)
{
    const unsigned char *want = expected, *have = actual;
    for (size_t i = 0; i < size; i++) {
        if (want[i] != have[i]) {
            guest_fail(file, line, what, "byte %zu: expected %#x, got %#x", i, want[i], have[i]);
        }
    }
}

#define CHECK(condition)   \
    ((condition) ? (void)0 \
                 : guest_fail(__FILE__, __LINE__, #condition, "expected true (errno %d)", errno))
#define CHECK_EQ(expected, actual) \
    guest_check_eq(__FILE__, __LINE__, #actual, (long long)(expected), (long long)(actual))
#define CHECK_OK(call) guest_check_ok(__FILE__, __LINE__, #call, (long)(call))
#define CHECK_ERR(error, call) \
    guest_check_err(__FILE__, __LINE__, #call, (error), (errno = 0, (long)(call)))
#define CHECK_MEM(expected, actual, size) \
    guest_check_mem(__FILE__, __LINE__, #actual, (expected), (actual), (size))
#define CHECK_STR(expected, actual)                                                            \
    do {                                                                                       \
        const char *guest_want = (expected), *guest_have = (actual);                           \
        if (guest_have == NULL || strcmp(guest_want, guest_have) != 0) {                       \
            guest_fail(__FILE__, __LINE__, #actual, "expected \"%s\", got \"%s\"", guest_want, \
                       guest_have == NULL ? "(null)" : guest_have);                            \
        }                                                                                      \
    } while (0)
/* For calls that return an error number: the pthread_ and posix_spawn families. */
#define CHECK_ZERO(call) CHECK_EQ(0, call)

/* ---- start and end ---- */

static inline void guest_mark_fds(unsigned char *open_fds)
{
    for (int fd = 0; fd < GUEST_FD_WATCHED; fd++) {
        open_fds[fd] = fcntl(fd, F_GETFD) >= 0;
    }
}

static inline void guest_start(void)
{
    alarm(GUEST_DEADLINE_S);
    guest_mark_fds(guest_fds_at_start);
}

/* Returns main()'s result; fails if an fd was leaked or a foreign one closed. */
static inline int guest_end(void)
{
    unsigned char open_fds[GUEST_FD_WATCHED];
    guest_mark_fds(open_fds);
    for (int fd = 0; fd < GUEST_FD_WATCHED; fd++) {
        if (open_fds[fd] != guest_fds_at_start[fd]) {
            guest_fail(__FILE__, __LINE__, "fds at the end", "fd %d is %s", fd,
                       open_fds[fd] ? "leaked" : "closed but was open at the start");
        }
    }
    return 0;
}

static inline int64_t guest_now_ms(void)
{
    struct timespec now;
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &now));
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline pid_t guest_gettid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* ---- signals ---- */

static inline void guest_count_handler(int signo)
{
    int error = errno;
    atomic_store(&guest_signal_tid[signo], guest_gettid());
    atomic_fetch_add(&guest_signal_count[signo], 1);
    errno = error;
}

static inline void guest_on_signal(int signo, void (*handler)(int), int flags)
{
    struct sigaction action = { .sa_flags = flags };
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    CHECK_OK(sigaction(signo, &action, NULL));
}

static inline void guest_count_signal(int signo, int flags)
{
    atomic_store(&guest_signal_count[signo], 0);
    guest_on_signal(signo, guest_count_handler, flags);
}

/* An address that is never mapped; volatile, so that no compiler sees through it. */
static inline void *guest_bad_pointer(void)
{
    static void *volatile bad = (void *)8;
    return bad;
}

/* ---- processes ---- */

static inline pid_t guest_fork(void)
{
    pid_t pid = (pid_t)CHECK_OK(fork());
    if (pid == 0) {
        alarm(GUEST_DEADLINE_S);
    }
    return pid;
}

static inline int guest_wait(pid_t pid)
{
    int status = 0;
    pid_t got;
    do {
        got = waitpid(pid, &status, 0);
    } while (got == -1 && errno == EINTR);
    CHECK_EQ(pid, got);
    return status;
}

static inline void guest_wait_exit(pid_t pid, int code)
{
    int status = guest_wait(pid);
    if (!WIFEXITED(status)) {
        guest_fail(__FILE__, __LINE__, "child", "expected exit %d, got wait status %#x", code,
                   status);
    }
    CHECK_EQ(code, WEXITSTATUS(status));
}

static inline void guest_wait_killed(pid_t pid, int signo)
{
    int status = guest_wait(pid);
    if (!WIFSIGNALED(status)) {
        guest_fail(__FILE__, __LINE__, "child", "expected death by signal %d, got status %#x",
                   signo, status);
    }
    CHECK_EQ(signo, WTERMSIG(status));
}

/* ---- threads ---- */

struct guest_thread {
    pthread_t pthread;
    void *(*run)(void *);
    void *argument;
    atomic_int tid;
    atomic_int done; /* set when run() has returned */
};

static inline void *guest_thread_run(void *argument)
{
    struct guest_thread *thread = argument;
    atomic_store(&thread->tid, guest_gettid());
    void *result = thread->run(thread->argument);
    atomic_store(&thread->done, 1);
    return result;
}

static inline void guest_thread_start(struct guest_thread *thread, void *(*run)(void *),
                                      void *argument)
{
    thread->run = run;
    thread->argument = argument;
    atomic_store(&thread->tid, 0);
    atomic_store(&thread->done, 0);
    CHECK_ZERO(pthread_create(&thread->pthread, NULL, guest_thread_run, thread));
    while (atomic_load(&thread->tid) == 0) { /* bounded by the deadline */
        sched_yield();
    }
}

static inline void *guest_thread_join(struct guest_thread *thread)
{
    void *result = NULL;
    CHECK_ZERO(pthread_join(thread->pthread, &result));
    return result;
}

/* ---- is it blocked yet ---- */

static inline char guest_task_state(pid_t pid, pid_t tid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return '?';
    }
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0) {
        return '?';
    }
    text[size] = '\0';
    const char *after_name = strrchr(text, ')'); /* proc(5): the name may hold anything */
    return after_name == NULL ? '?' : after_name[2];
}

/* Waits until the task sleeps, or *done (may be NULL) is set. Returns whether it sleeps. */
static inline bool guest_wait_settled(pid_t pid, pid_t tid, atomic_int *done)
{
    const struct timespec pause = { 0, 1000000 };
    int calm = 0;
    for (int poll_count = 0; poll_count < GUEST_BLOCKED_POLLS; poll_count++) {
        if (done != NULL && atomic_load(done)) {
            return false;
        }
        calm = guest_task_state(pid, tid) == 'S' ? calm + 1 : 0;
        if (calm == GUEST_BLOCKED_CALM) {
            return done == NULL || !atomic_load(done);
        }
        nanosleep(&pause, NULL);
    }
    guest_fail(__FILE__, __LINE__, "task", "expected %d/%d to block, state is %c", pid, tid,
               guest_task_state(pid, tid));
}

static inline void guest_wait_blocked(pid_t pid, pid_t tid)
{
    guest_wait_settled(pid, tid, NULL);
}

static inline void guest_process_blocked(pid_t pid)
{
    guest_wait_blocked(pid, pid);
}

static inline void guest_thread_blocked(struct guest_thread *thread)
{
    if (!guest_wait_settled(getpid(), atomic_load(&thread->tid), &thread->done)) {
        guest_fail(__FILE__, __LINE__, "thread", "expected it to block, it returned");
    }
}

/* ---- data ---- */

/* The byte at a position of a stream; no period that a buffer size could hide. */
static inline unsigned char guest_pattern(uint64_t position)
{
    return (unsigned char)(position * 37 ^ position >> 8 ^ position >> 15);
}

static inline void guest_pattern_fill(void *buffer, size_t size, uint64_t position)
{
    unsigned char *bytes = buffer;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = guest_pattern(position + i);
    }
}

static inline void guest_pattern_check(const void *buffer, size_t size, uint64_t position)
{
    const unsigned char *bytes = buffer;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != guest_pattern(position + i)) {
            guest_fail(__FILE__, __LINE__, "stream", "byte %llu: expected %#x, got %#x",
                       (unsigned long long)(position + i), guest_pattern(position + i), bytes[i]);
        }
    }
}

/* Reads until size bytes or end-of-file; returns the bytes read. */
static inline size_t guest_read_all(int fd, void *buffer, size_t size)
{
    size_t have = 0;
    while (have < size) {
        ssize_t count = CHECK_OK(read(fd, (char *)buffer + have, size - have));
        if (count == 0) {
            break;
        }
        have += (size_t)count;
    }
    return have;
}

static inline void guest_write_all(int fd, const void *buffer, size_t size)
{
    for (size_t have = 0; have < size;) {
        have += (size_t)CHECK_OK(write(fd, (const char *)buffer + have, size - have));
    }
}

static inline void guest_pipe(int fds[2])
{
    CHECK_OK(pipe(fds));
}

static inline void guest_pair(int type, int fds[2])
{
    CHECK_OK(socketpair(AF_UNIX, type, 0, fds));
}

static inline void guest_close_both(const int fds[2])
{
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(fds[1]));
}

static inline void guest_set_nonblock(int fd, bool on)
{
    int flags = (int)CHECK_OK(fcntl(fd, F_GETFL));
    CHECK_OK(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

/* Fills a pipe of the default size that is empty: 16 whole pages in one write. */
static inline void guest_pipe_fill(int write_fd)
{
    static const char page_zeroes[GUEST_PIPE_SIZE];
    CHECK_EQ(GUEST_PIPE_SIZE, write(write_fd, page_zeroes, sizeof page_zeroes));
}

/* Sends packets of size bytes without blocking until EAGAIN; returns how many went. */
static inline int guest_socket_fill(int fd, size_t size)
{
    char *buffer = calloc(1, size);
    CHECK(buffer != NULL);
    int count = 0;
    ssize_t sent;
    while ((sent = send(fd, buffer, size, MSG_DONTWAIT)) > 0) {
        count++;
    }
    CHECK_ERR(EAGAIN, sent == -1 ? send(fd, buffer, size, MSG_DONTWAIT) : sent);
    free(buffer);
    return count;
}

static inline int guest_poll(int fd, int events, int timeout_ms)
{
    struct pollfd entry = { .fd = fd, .events = (short)events, .revents = 0x5555 & 0x7fff };
    int ready = (int)CHECK_OK(poll(&entry, 1, timeout_ms));
    CHECK_EQ(entry.revents != 0, ready);
    return entry.revents;
}

enum { GUEST_READABLE = 1, GUEST_WRITABLE = 2, GUEST_EXCEPTION = 4 };

/* What select says of one fd now, as GUEST_ bits. */
static inline int guest_select(int fd)
{
    fd_set sets[3];
    struct timeval now = { 0, 0 };
    int bits = 0, count = 0;
    for (int i = 0; i < 3; i++) {
        FD_ZERO(&sets[i]);
        FD_SET(fd, &sets[i]);
    }
    int ready = (int)CHECK_OK(select(fd + 1, &sets[0], &sets[1], &sets[2], &now));
    for (int i = 0; i < 3; i++) {
        if (FD_ISSET(fd, &sets[i])) {
            bits |= 1 << i;
            count++;
        }
    }
    CHECK_EQ(count, ready);
    return bits;
}

#endif
