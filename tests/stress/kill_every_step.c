/*
 * kill_every_step - a process killed at every instruction of a call leaves a usable object
 *
 * Proves: wherever SIGKILL meets a process inside the core, the others find the object whole: its
 * lock can be taken over, bytes are there or not at all, reads and writes work, end-of-file comes,
 * a sleeper is woken, and when all is closed nothing is left in the arena.
 *
 * For each scenario the parent makes the objects and forks a child that makes one call between two
 * marks. The first time it single-steps the child through the whole call and notes where each
 * instruction lies. Then, for each k, a new child on new objects runs to a breakpoint on the k-th
 * instruction and is killed there; the parent sweeps the dead and uses the object itself. (To
 * step k times for each k would take minutes.)
 *
 *     kill_every_step [--stride N] [--only SCENARIO]
 *
 * Exit: 0; 1 with the scenario and step for what was wrong; killed by SIGALRM: somebody slept for
 * ever.
 */
#include <errno.h>
#include <fcntl.h>
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

static void check_equal(const char *what, int64_t actual, int64_t expected, int line)
{
    if (actual == expected)
        return;
    printf("%s: killed at step %lu: %s is %lld, not %lld (line %d)\n", scenario_name, killed_at,
           what, (long long)actual, (long long)expected, line);
    exit(1);
}

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    printf("%s: killed at step %lu: %s\n", scenario_name, killed_at, what);
    exit(1);
}

/* ---- Bytes ---- */

/* The i-th byte of everything that is ever written to an object. */
static unsigned char byte_at(size_t index)
{
    return (unsigned char)(index * 7 + index / 256 + 1);
}

static void fill(unsigned char *data, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(from + i);
}

/* The calls as the shim makes them: what is native is done by the kernel. */
static int64_t read_any(int fd, void *data, size_t size)
{
    const int64_t result = emu_read(&self, fd, data, size);

    return result == EMU_NATIVE ? read(fd, data, size) : result;
}

static int64_t write_any(int fd, const void *data, size_t size)
{
    const int64_t result = emu_write(&self, fd, data, size);

    return result == EMU_NATIVE ? write(fd, data, size) : result;
}

static int64_t close_any(int fd)
{
    const int64_t result = emu_close(&self, fd);

    return result == EMU_NATIVE ? close(fd) : result;
}

static bool is_readable(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    int64_t result = emu_poll(&self, &one, 1, 0);

    if (result == EMU_NATIVE)
        result = poll(&one, 1, 0);
    return result == 1 && (one.revents & POLLIN) != 0;
}

/* Reads all there is without blocking. Checks that it is the stream from `from` on; its size. */
static size_t drain(int fd, size_t from)
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

struct objects {
    int fds[2];    /* read end, write end; or a socket pair: fds[1] sends */
    size_t before; /* bytes in it when the call begins */
    pthread_t sleeper;
    int64_t slept_result;
};

struct scenario {
    const char *name;
    int socket_type; /* 0: pipe; -1: nothing is made */
    size_t before;   /* bytes in it when the call begins */
    bool only_child_writes;
    bool sleeper; /* a thread of the parent is blocked in read */
    int64_t (*call)(const struct objects *objects);
    void (*check)(struct objects *objects);
};

static int64_t call_write(const struct objects *objects)
{
    unsigned char data[CALL];

    fill(data, objects->before, sizeof data);
    return emu_write(&self, objects->fds[1], data, sizeof data);
}

static int64_t call_read(const struct objects *objects)
{
    unsigned char data[CALL];

    return emu_read(&self, objects->fds[0], data, sizeof data);
}

static int64_t call_close_writer(const struct objects *objects)
{
    return emu_close(&self, objects->fds[1]);
}

static int64_t call_close_reader(const struct objects *objects)
{
    return emu_close(&self, objects->fds[0]);
}

static int64_t call_poll(const struct objects *objects)
{
    struct pollfd both[2] = { { .fd = objects->fds[0], .events = POLLIN },
                              { .fd = objects->fds[1], .events = POLLPRI } };

    return emu_poll(&self, both, 2, POLL_MS);
}

/* A blocked receive that ends by its time-out. */
static int64_t call_sleep(const struct objects *objects)
{
    const struct timeval time = { .tv_usec = POLL_MS * 1000 };
    unsigned char data[CALL];

    const int64_t set = emu_setsockopt(&self, objects->fds[0], SOL_SOCKET, SO_RCVTIMEO, &time,
                                       sizeof time);
    const int64_t result = emu_recv(&self, objects->fds[0], data, sizeof data, 0);
    return set == 0 && result == -EAGAIN ? 0 : -1;
}

static int64_t call_pipe(const struct objects *objects)
{
    int fds[2];

    (void)objects;
    return emu_pipe2(&self, fds, 0);
}

static int64_t call_socketpair(const struct objects *objects)
{
    int fds[2];

    (void)objects;
    return emu_socketpair(&self, AF_UNIX, SOCK_STREAM, 0, fds);
}

static int64_t call_dup(const struct objects *objects)
{
    return emu_dup(&self, objects->fds[1]);
}

static int64_t call_shutdown(const struct objects *objects)
{
    return emu_shutdown(&self, objects->fds[1], SHUT_WR);
}

static int64_t call_exit(const struct objects *objects)
{
    (void)objects;
    emu_process_exit(&self);
    return 0;
}

static int64_t call_fork(const struct objects *objects)
{
    (void)objects;
    return emu_fork_before(&self);
}

static int64_t call_native(const struct objects *objects)
{
    return emu_native_one(&self, objects->fds[1]);
}

/* The object still moves bytes, ends when its writer is gone, and leaves nothing. */
static void use_and_close(struct objects *objects, bool may_be_shut)
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

static void check_written(struct objects *objects)
{
    const size_t size = drain(objects->fds[0], 0);

    check(size == objects->before || size == objects->before + CALL,
          "a write of less than PIPE_BUF is torn");
    use_and_close(objects, false);
}

static void check_read(struct objects *objects)
{
    /* How much the child took isn't known, but what is left are the last bytes. */
    struct pollfd one = { .fd = objects->fds[0], .events = POLLIN };
    int left = 0;

    CHECK_EQUAL(emu_poll(&self, &one, 1, 0), 1);
    CHECK_EQUAL(emu_ioctl(&self, objects->fds[0], FIONREAD, &left), 0);
    check(left == BEFORE || left == BEFORE - CALL, "a read is torn");
    CHECK_EQUAL((int64_t)drain(objects->fds[0], (size_t)(BEFORE - left)), left);
    use_and_close(objects, false);
}

/* One record of BEFORE bytes: there or not. */
static void check_record_read(struct objects *objects)
{
    const size_t size = drain(objects->fds[0], 0);

    check(size == 0 || size == BEFORE, "a record is torn");
    use_and_close(objects, false);
}

static void check_untouched(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    use_and_close(objects, false);
}

static void check_empty(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), 0);
    use_and_close(objects, false);
}

static void check_shut(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    use_and_close(objects, true);
}

/* The child had the only writing end: after what it wrote, if anything, comes end-of-file. */
static void check_end(struct objects *objects)
{
    unsigned char data[CALL];

    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    CHECK_EQUAL(read_any(objects->fds[0], data, sizeof data), 0);
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
}

static void check_woken(struct objects *objects)
{
    unsigned char data[CALL];

    pthread_join(objects->sleeper, NULL);
    check(objects->slept_result == 0 || objects->slept_result == CALL,
          "the sleeper got something else than all or end-of-file");
    if (objects->slept_result == 0)
        CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), 0);
    CHECK_EQUAL(read_any(objects->fds[0], data, sizeof data), 0);
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
}

/* Everything is still there, once: in the emulator or in the kernel. */
static void check_native(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    use_and_close(objects, false);
}

static void check_nothing(struct objects *objects)
{
    (void)objects;
}

static const struct scenario scenarios[] = {
    { "write pipe", 0, BEFORE, false, false, call_write, check_written },
    { "write stream", SOCK_STREAM, BEFORE, false, false, call_write, check_written },
    { "write seqpacket", SOCK_SEQPACKET, BEFORE, false, false, call_write, check_written },
    { "read pipe", 0, BEFORE, false, false, call_read, check_read },
    { "read stream", SOCK_STREAM, BEFORE, false, false, call_read, check_read },
    { "read seqpacket", SOCK_SEQPACKET, BEFORE, false, false, call_read, check_record_read },
    { "poll pipe", 0, 0, false, false, call_poll, check_empty },
    { "poll stream", SOCK_STREAM, 0, false, false, call_poll, check_empty },
    { "sleep stream", SOCK_STREAM, 0, false, false, call_sleep, check_empty },
    { "dup", 0, BEFORE, false, false, call_dup, check_untouched },
    { "shutdown", SOCK_STREAM, BEFORE, false, false, call_shutdown, check_shut },
    { "close reader", 0, BEFORE, false, false, call_close_reader, check_untouched },
    { "close last writer", 0, BEFORE, true, false, call_close_writer, check_end },
    { "close last peer", SOCK_STREAM, BEFORE, true, false, call_close_writer, check_end },
    { "sleeper and write", 0, 0, true, true, call_write, check_woken },
    { "sleeper and send", SOCK_STREAM, 0, true, true, call_write, check_woken },
    { "sleeper and close", 0, 0, true, true, call_close_writer, check_woken },
    { "grow stream", SOCK_STREAM, BEFORE_FULL, false, false, call_write, check_written },
    { "exit", SOCK_STREAM, BEFORE, true, false, call_exit, check_end },
    { "prepare a fork", 0, BEFORE, false, false, call_fork, check_untouched },
    { "native pipe", 0, BEFORE, false, false, call_native, check_native },
    { "native stream", SOCK_STREAM, BEFORE, false, false, call_native, check_native },
    { "create pipe", -1, 0, false, false, call_pipe, check_nothing },
    { "create socketpair", -1, 0, false, false, call_socketpair, check_nothing },
};

/* ---- One kill point ---- */

static void *sleep_in_read(void *argument)
{
    struct objects *objects = argument;
    struct emu_task task = { 0 };
    unsigned char data[CALL];

    emu_task_enter(&task, &process);
    objects->slept_result = emu_read(&task, objects->fds[0], data, sizeof data);
    emu_task_leave(&task);
    return NULL;
}

static void set_up(const struct scenario *scenario, struct objects *objects)
{
    static unsigned char data[BEFORE_FULL];
    struct emu_session_counts counts = { 0 };

    if (scenario->socket_type == 0)
        CHECK_EQUAL(emu_pipe2(&self, objects->fds, 0), 0);
    else if (scenario->socket_type > 0)
        CHECK_EQUAL(emu_socketpair(&self, AF_UNIX, scenario->socket_type, 0, objects->fds), 0);
    fill(data, 0, sizeof data);
    if (scenario->before > 0)
        CHECK_EQUAL(emu_write(&self, objects->fds[1], data, scenario->before),
                    (int64_t)scenario->before);
    if (!scenario->sleeper)
        return;
    check(pthread_create(&objects->sleeper, NULL, sleep_in_read, objects) == 0, "no thread");
    while (counts.waiters == 0) { /* ends, or SIGALRM comes */
        sched_yield();
        emu_session_count(&counts);
    }
}

/* In the child: never returns. */
static void act(const struct scenario *scenario, const struct objects *objects)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    __asm__ volatile("int3" ::: "memory");
    progress->result = scenario->call(objects);
    atomic_store(&progress->done, 1);
    __asm__ volatile("int3" ::: "memory");
    _exit(1);
}

/* Addresses of the instructions of one call, in the order in which they ran. */
static uintptr_t trace[STEPS_MAX];
static unsigned long trace_length;
static unsigned long slept_at; /* the step at which it stood in a queue first; 0: never */

static void wait_for_trap(pid_t child)
{
    int status = 0;

    CHECK_EQUAL(waitpid(child, &status, 0), child);
    check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "the child met another signal");
}

static uintptr_t instruction_of(pid_t child)
{
    return (uintptr_t)ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, regs.rip), NULL);
}

/* Steps through the whole call. */
static void record(pid_t child)
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
static void run_to(pid_t child, uintptr_t address)
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
static unsigned long visits_before(unsigned long step)
{
    unsigned long visits = 0;

    for (unsigned long i = 0; i < step; i++)
        visits += trace[i] == trace[step];
    return visits;
}

/* Runs the child until it is about to execute the `step`-th instruction of the call. */
static void run_to_step(pid_t child, unsigned long step)
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

static void kill_child(pid_t child)
{
    int status = 0;

    kill(child, SIGKILL);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child survived");
}

/* One kill point; with `step` 0 the whole call is recorded first. */
static void kill_at(const struct scenario *scenario, unsigned long step)
{
    struct objects objects = { .fds = { -1, -1 }, .before = scenario->before };
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
    if (scenario->only_child_writes)
        CHECK_EQUAL(emu_close(&self, objects.fds[1]), 0);

    wait_for_trap(child); /* the mark before the call */
    if (step == 0)
        record(child);
    else
        run_to_step(child, step);
    if (atomic_load(&progress->done) != 0)
        check(progress->result >= 0, "the call fails by itself");
    kill_child(child);
    emu_process_sweep(&self, child);
    scenario->check(&objects);
    emu_session_count(&left);
    CHECK_EQUAL(left.processes, 1);
    CHECK_EQUAL(left.waiters, 0);
    CHECK_EQUAL(left.descriptions, 0);
    CHECK_EQUAL(left.bufs, 0);
}

/* A sleeper wakes to ask its placeholder and sleeps again: all rounds but the first are sampled. */
static unsigned long stride_here(void)
{
    return slept_at > 0 && killed_at > slept_at + ROUND_STEPS ? SAMPLE * stride : stride;
}

static unsigned long run_scenario(const struct scenario *scenario)
{
    unsigned long points = 0;
    unsigned long inside = 0; /* of these, in the call and not behind it */

    scenario_name = scenario->name;
    killed_at = 0;
    kill_at(scenario, 0);
    check(slept_at > 0 || (scenario->call != call_poll && scenario->call != call_sleep),
          "it didn't sleep: the time was over too soon");
    for (killed_at = 1; killed_at < trace_length; killed_at += stride_here()) {
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

int main(int argc, char **argv)
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
        fprintf(stderr, "usage: kill_every_step [--stride N] [--only SCENARIO]\n");
        return 1;
    }
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                    0);
    if (progress == MAP_FAILED || emu_session_create() < 0) {
        fprintf(stderr, "kill_every_step: no memory\n");
        return 1;
    }
    emu_task_enter(&self, &process);
    scenario_name = "start";
    CHECK_EQUAL(emu_process_join(&process, &self), 0);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (only == NULL || strcmp(only, scenarios[i].name) == 0)
            points += run_scenario(&scenarios[i]);
    }
    printf("kill_every_step: %lu kill points, stride %lu\n", points, stride);
    return points > 0 ? 0 : 1;
}
