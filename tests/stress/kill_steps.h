/*
 * kill_steps.h - kills a process at every instruction of a call; for the programs that do so
 *
 * For each scenario the parent makes the objects and forks a child that makes one call between two
 * marks. The first time it single-steps the child through the whole call and notes where each
 * instruction lies. Then, for each k, a new child on new objects runs to a breakpoint on the k-th
 * instruction and is killed there; the parent sweeps the dead and uses the object itself. (To
 * step k times for each k would take minutes.)
 *
 * Leaves out: other threads of the victim; a kill while the parent itself is inside a call, but for
 * a thread of it that sleeps.
 */
#ifndef KILL_STEPS_H
#define KILL_STEPS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emu.h"
#include "epoll.h"

enum {
    STEPS_MAX = 400000, /* of one call; more is a loop */
    VISITS_MAX = 150,   /* of one instruction: the rest of a longer copy loop is more of the same */
    ROUND_STEPS = 700,  /* more than registering, one sleep and taking it back */
    SAMPLE = 13,
    BEFORE = 300,        /* bytes that stand in the object before the call */
    BEFORE_FULL = 65500, /* the same, when the call shall find the first chunk's ring full */
    CALL = 100,          /* bytes that the call moves */
    LIMIT_S = 120,       /* for one kill point */
};

/*
 * A poll that shall go to sleep must not find its time over before: stepping through what comes
 * before takes 40 us an instruction. With sanitizers the same lines have several times as many.
 */
#ifdef SOCKRIG_SANITIZED
enum { POLL_MS = 600 };
static unsigned long stride = 101;
#else
enum { POLL_MS = 70 };
static unsigned long stride = 1;
#endif

static struct emu_process process;
static struct emu_task self;

static const char *scenario_name;
static unsigned long killed_at;

/* Shared with the child. */
struct progress {
    _Atomic int done;
    int64_t result; /* of the call; valid when done */
};
static struct progress *progress;

#define CHECK_EQUAL(actual, expected) check_equal(#actual, (actual), (expected), __LINE__)

/* Addresses of the instructions of one call, in the order in which they ran. */
static uintptr_t trace[STEPS_MAX];
static unsigned long trace_length;

/* Where it was killed, for addr2line -e on this program. */
static inline void print_place(void)
{
    extern char __executable_start;

    printf("%s: killed at step %lu, %#lx: ", scenario_name, killed_at,
           killed_at < trace_length ? trace[killed_at] - (uintptr_t)&__executable_start : 0);
}

static inline void check_equal(const char *what, int64_t actual, int64_t expected, int line)
{
    if (actual == expected)
        return;
    print_place();
    printf("%s is %lld, not %lld (line %d)\n", what, (long long)actual, (long long)expected, line);
    exit(1);
}

static inline void check(bool holds, const char *what)
{
    if (holds)
        return;
    print_place();
    printf("%s\n", what);
    exit(1);
}

/* ---- Bytes ---- */

/* The i-th byte of everything that is ever written to an object. */
static inline unsigned char byte_at(size_t index)
{
    return (unsigned char)(index * 7 + index / 256 + 1);
}

static inline void fill(unsigned char *data, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(from + i);
}

/* The calls as the shim makes them: what is native is done by the kernel. */
static inline int64_t read_any(int fd, void *data, size_t size)
{
    const int64_t result = emu_read(&self, fd, data, size);

    return result == EMU_NATIVE ? read(fd, data, size) : result;
}

static inline int64_t write_any(int fd, const void *data, size_t size)
{
    const int64_t result = emu_write(&self, fd, data, size);

    return result == EMU_NATIVE ? write(fd, data, size) : result;
}

static inline int64_t close_any(int fd)
{
    const int64_t result = emu_close(&self, fd);

    return result == EMU_NATIVE ? close(fd) : result;
}

static inline bool is_readable(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    int64_t result = emu_poll(&self, &one, 1, 0);

    if (result == EMU_NATIVE)
        result = poll(&one, 1, 0);
    return result == 1 && (one.revents & POLLIN) != 0;
}

/* Reads all there is without blocking. Checks that it is the stream from `from` on; its size. */
static inline size_t drain(int fd, size_t from)
{
    static unsigned char data[65536];
    size_t total = 0;

    while (is_readable(fd)) {
        const int64_t got = read_any(fd, data, sizeof data);

        if (got == 0)
            break;
        check(got > 0, "read fails");
        for (int64_t i = 0; i < got; i++)
            CHECK_EQUAL(data[i], byte_at(from + total + (size_t)i));
        total += (size_t)got;
    }
    return total;
}

/* ---- Scenarios ---- */

static unsigned char call_data[CALL]; /* what it writes, made before so as not to be traced */

struct objects {
    int fds[2];    /* read end, write end; or a socket pair: fds[1] sends */
    size_t before; /* bytes in it when the call begins */
    int set;       /* an epoll set, and one around it; -1: not made */
    int outer;
    int real; /* an eventfd, or -1 */
    pthread_t sleeper;
    int64_t slept_result;
};

#define OF_VSOCK 0x10000

/* What the parent closes when it has forked: the child alone has it. */
enum { CHILDS_READER = 1, CHILDS_WRITER = 2, CHILDS_SET = 4 };

struct scenario {
    const char *name;
    int socket_type; /* 0: pipe; -1: nothing is made; OF_VSOCK | SOCK_*: a connection of AF_VSOCK */
    size_t before;   /* bytes in it when the call begins */
    int childs;      /* CHILDS_* */
    int64_t (*call)(const struct objects *objects);
    void (*check)(struct objects *objects);
    void *(*sleeper)(void *objects);          /* a thread of the parent that blocks, or NULL */
    void (*prepare)(struct objects *objects); /* makes more, before the fork; or NULL */
    bool sleeps;                              /* the call itself goes to sleep */
    unsigned long sample;                     /* of its steps every so many-th; 0: all */
};

/* The object still moves bytes, ends when its writer is gone, and leaves nothing. */
static inline void use_and_close(struct objects *objects, bool may_be_shut)
{
    unsigned char data[10];
    const int64_t result = write_any(objects->fds[1], "0123456789", 10);

    if (!(may_be_shut && result == -EPIPE)) {
        CHECK_EQUAL(result, 10);
        CHECK_EQUAL(read_any(objects->fds[0], data, sizeof data), 10);
        check(memcmp(data, "0123456789", 10) == 0, "other bytes come out");
    }
    CHECK_EQUAL(close_any(objects->fds[1]), 0);
    CHECK_EQUAL(read_any(objects->fds[0], data, sizeof data), 0);
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
}

/* ---- One kill point ---- */

/* To oneself: the placeholders are sockets of AF_UNIX. */
static inline void connect_vsock(int type, int ret_fds[2])
{
    struct sockaddr_vm name = { .svm_family = AF_VSOCK,
                                .svm_cid = VMADDR_CID_ANY,
                                .svm_port = VMADDR_PORT_ANY };
    struct sockaddr *address = (struct sockaddr *)&name;
    socklen_t size = sizeof name;
    const int listener = (int)emu_socket(&self, AF_VSOCK, type, 0);

    check(listener >= 0, "no socket");
    CHECK_EQUAL(emu_bind(&self, listener, address, size), 0);
    CHECK_EQUAL(emu_listen(&self, listener, 1), 0);
    CHECK_EQUAL(emu_getsockname(&self, listener, address, &size), 0);
    name.svm_cid = VMADDR_CID_LOCAL;
    ret_fds[1] = (int)emu_socket(&self, AF_VSOCK, type, 0);
    CHECK_EQUAL(emu_connect(&self, ret_fds[1], address, sizeof name), 0);
    ret_fds[0] = (int)emu_accept4(&self, listener, NULL, NULL, 0);
    check(ret_fds[0] >= 0, "accept fails");
    CHECK_EQUAL(close_any(listener), 0);
}

static inline void set_up(const struct scenario *scenario, struct objects *objects)
{
    static unsigned char data[BEFORE_FULL];
    struct emu_session_counts counts = { 0 };

    if (scenario->socket_type == 0)
        CHECK_EQUAL(emu_pipe2(&self, objects->fds, 0), 0);
    else if (scenario->socket_type >= OF_VSOCK)
        connect_vsock(scenario->socket_type & ~OF_VSOCK, objects->fds);
    else if (scenario->socket_type > 0)
        CHECK_EQUAL(emu_socketpair(&self, AF_UNIX, scenario->socket_type, 0, objects->fds), 0);
    fill(data, 0, sizeof data);
    fill(call_data, scenario->before, sizeof call_data);
    if (scenario->before > 0)
        CHECK_EQUAL(emu_write(&self, objects->fds[1], data, scenario->before),
                    (int64_t)scenario->before);
    if (scenario->prepare)
        scenario->prepare(objects);
    if (!scenario->sleeper)
        return;
    check(pthread_create(&objects->sleeper, NULL, scenario->sleeper, objects) == 0, "no thread");
    while (counts.waiters == 0) { /* ends, or SIGALRM comes */
        sched_yield();
        emu_session_count(&counts);
    }
}

/* In the child: never returns. */
static inline void act(const struct scenario *scenario, const struct objects *objects)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    __asm__ volatile("int3" ::: "memory");
    progress->result = scenario->call(objects);
    atomic_store(&progress->done, 1);
    __asm__ volatile("int3" ::: "memory");
    _exit(1);
}

/* Kills that left the structure of the sets to be made anew, or a ready list. */
static unsigned long torn_structure;
static unsigned long torn_lists;

static inline bool lists_torn(void)
{
    const uint32_t used = atomic_load(&arena->header.epolls.fresh);

    for (uint32_t i = 0; i < used; i++) {
        if (atomic_load(&epoll_at(i)->changing) != 0)
            return true;
    }
    return false;
}

static unsigned long slept_at; /* the step at which it stood in a queue first; 0: never */

static inline void wait_for_trap(pid_t child)
{
    int status = 0;

    CHECK_EQUAL(waitpid(child, &status, 0), child);
    check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "the child met another signal");
}

static inline uintptr_t instruction_of(pid_t child)
{
    return (uintptr_t)ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, regs.rip), NULL);
}

/* Steps through the whole call. */
static inline void record(pid_t child)
{
    struct emu_session_counts counts;

    emu_session_count(&counts);
    const uint32_t waiters = counts.waiters; /* the parent's own sleeper */
    slept_at = 0;
    for (trace_length = 0; atomic_load(&progress->done) == 0; trace_length++) {
        check(trace_length < STEPS_MAX, "the call doesn't end");
        trace[trace_length] = instruction_of(child);
        CHECK_EQUAL(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        wait_for_trap(child);
        emu_session_count(&counts);
        if (slept_at == 0 && counts.waiters > waiters)
            slept_at = trace_length;
    }
}

/* Runs the child until it comes to `address` (or to the mark behind the call). */
static inline void run_to(pid_t child, uintptr_t address)
{
    errno = 0;
    const long text = ptrace(PTRACE_PEEKTEXT, child, address, NULL);
    CHECK_EQUAL(errno, 0);
    CHECK_EQUAL(ptrace(PTRACE_POKETEXT, child, address, (text & ~0xffL) | 0xcc), 0); /* int3 */
    CHECK_EQUAL(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
    wait_for_trap(child);
    CHECK_EQUAL(ptrace(PTRACE_POKETEXT, child, address, text), 0);
    if (instruction_of(child) == address + 1)
        CHECK_EQUAL(ptrace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rip), address), 0);
}

/* How often the instruction of this step ran before. */
static inline unsigned long visits_before(unsigned long step)
{
    unsigned long visits = 0;

    for (unsigned long i = 0; i < step; i++)
        visits += trace[i] == trace[step];
    return visits;
}

/* Runs the child until it is about to execute the `step`-th instruction of the call. */
static inline void run_to_step(pid_t child, unsigned long step)
{
    const uintptr_t address = trace[step];
    unsigned long visits = visits_before(step);

    if (instruction_of(child) != address)
        run_to(child, address);
    for (; visits > 0 && atomic_load(&progress->done) == 0; visits--) {
        CHECK_EQUAL(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        wait_for_trap(child);
        if (instruction_of(child) != address)
            run_to(child, address);
    }
}

static inline void kill_child(pid_t child)
{
    int status = 0;

    kill(child, SIGKILL);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child survived");
}

static inline void leave_to_child(const struct scenario *scenario, struct objects *objects)
{
    if (scenario->childs & CHILDS_READER)
        CHECK_EQUAL(close_any(objects->fds[0]), 0);
    if (scenario->childs & CHILDS_WRITER)
        CHECK_EQUAL(close_any(objects->fds[1]), 0);
    if (scenario->childs & CHILDS_SET)
        CHECK_EQUAL(close_any(objects->set), 0);
}

/* Entries of sets, also half-made ones, which emu_session_count() doesn't count. */
static inline uint32_t items_left(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < epoll_items_used(); i++)
        count += atomic_load(&epoll_item_at(i)->state) != ITEM_FREE;
    return count;
}

/* What entries have registered in queues. */
static inline uint32_t item_waiters_left(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < atomic_load(&arena->header.waiters.fresh); i++)
        count += atomic_load(&waiter_at(i)->linked) == 1 + WAITER_ITEM;
    return count;
}

/* One kill point; with `step` 0 the whole call is recorded first. */
static inline void kill_at(const struct scenario *scenario, unsigned long step)
{
    struct objects objects = {
        .fds = { -1, -1 }, .before = scenario->before, .set = -1, .outer = -1, .real = -1
    };
    struct emu_session_counts left;

    alarm(LIMIT_S);
    atomic_store(&progress->done, 0);
    set_up(scenario, &objects);
    const int slot = emu_fork_before(&self);
    check(slot > 0, "emu_fork_before fails");
    const pid_t child = fork();
    if (child == 0) {
        emu_task_enter(&self, &process);
        emu_fork_child(&self, slot);
        act(scenario, &objects);
    }
    emu_fork_parent(&self, slot, child);
    check(child > 0, "fork fails");
    leave_to_child(scenario, &objects);

    wait_for_trap(child); /* the mark before the call */
    if (step == 0)
        record(child);
    else
        run_to_step(child, step);
    if (atomic_load(&progress->done) != 0)
        check(progress->result >= 0, "the call fails by itself");
    kill_child(child);
    torn_structure += atomic_load(&arena->header.epoll_changed);
    torn_lists += lists_torn();
    emu_process_sweep(&self, child);
    scenario->check(&objects);
    emu_session_count(&left);
    CHECK_EQUAL(left.processes, 1);
    CHECK_EQUAL(left.waiters, 0);
    CHECK_EQUAL(left.descriptions, 0);
    CHECK_EQUAL(left.bufs, 0);
    CHECK_EQUAL(items_left(), 0);
    CHECK_EQUAL(item_waiters_left(), 0);
}

/* A sleeper wakes to ask its placeholder and sleeps again: all rounds but the first are sampled. */
static inline unsigned long stride_here(const struct scenario *scenario)
{
    const unsigned long every = scenario->sample > 0 ? scenario->sample * stride : stride;

    return slept_at > 0 && killed_at > slept_at + ROUND_STEPS ? SAMPLE * stride : every;
}

static inline unsigned long run_scenario(const struct scenario *scenario)
{
    unsigned long points = 0;
    unsigned long inside = 0; /* of these, in the call and not behind it */

    scenario_name = scenario->name;
    killed_at = 0;
    kill_at(scenario, 0);
    check(slept_at > 0 || !scenario->sleeps, "it didn't sleep: the time was over too soon");
    for (killed_at = 1; killed_at < trace_length; killed_at += stride_here(scenario)) {
        if (visits_before(killed_at) > VISITS_MAX)
            continue;
        kill_at(scenario, killed_at);
        points++;
        inside += atomic_load(&progress->done) == 0;
    }
    check(inside > 0 && inside >= points / 2, "the call took another way: too little was tried");
    printf("%-18s %6lu kill points of %lu\n", scenario->name, inside, trace_length);
    fflush(stdout);
    return inside;
}
static inline int run_scenarios(int argc, char **argv, const struct scenario *scenarios,
                                size_t count)
{
    const char *only = NULL;
    unsigned long points = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--stride") == 0)
            stride = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
    }
    if (stride == 0 || argc % 2 == 0) {
        fprintf(stderr, "usage: %s [--stride N] [--only SCENARIO]\n", argv[0]);
        return 1;
    }
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                    0);
    if (progress == MAP_FAILED || emu_session_create() < 0) {
        fprintf(stderr, "%s: no memory\n", argv[0]);
        return 1;
    }
    emu_task_enter(&self, &process);
    scenario_name = "start";
    CHECK_EQUAL(emu_process_join(&process, &self), 0);
    for (size_t i = 0; i < count; i++) {
        if (only == NULL || strcmp(only, scenarios[i].name) == 0)
            points += run_scenario(&scenarios[i]);
    }
    printf("%lu kill points, stride %lu\n", points, stride);
    return points > 0 ? 0 : 1;
}

#endif
