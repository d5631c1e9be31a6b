/*
 * reaper.c - see reaper.h
 *
 * The process. A raw clone of who makes the session's first child. Its descriptors are gone at
 * once: it shares the table (CLONE_FILES) until it takes an empty one (CLOSE_RANGE_UNSHARE), so
 * there is no moment at which it holds an end of the guest's. It has a session and a process group
 * of its own, stands in /, takes no signal, leaves no core, and gives back all of the guest's
 * memory but for what it runs on: this library, libc, its loader, the arena. No debugger follows it
 * (CLONE_UNTRACED).
 *
 * Never the guest's child. Its exit signal is 0: to wait(2) it doesn't exist (kernel/exit.c
 * eligible_child()), and its end tells nobody, unless its parent has exec'd (kernel/signal.c
 * do_notify_parent()) or has died: an orphan becomes an ordinary child of the next subreaper above
 * (kernel/exit.c reparent_leader()), or of process 1. So
 *
 *   - it never ends before its parent does, unless the parent asks for it at its own end;
 *   - its parent is the first process of the session, above all others, since that makes the
 *     session's first child. Above that one nobody of the session can adopt it;
 *   - a process without a session that would adopt orphans (a subreaper, process 1) makes one
 *     before its first child, so that a child of it can't be the first.
 *
 * Taking over. A watcher that was killed, be it `sockrig run` or a reaper, gets a reaper as its
 * successor, started by the member that learns of it first (vigil.h), before a sleep or a fork. It
 * needn't be above all others, and may outlive its parent's ancestors. Of supervisors and a reaper
 * who all would take over, one has the role's lock (cli/watcher.h): the reaper takes it as well.
 *
 * Invariant: it takes locks of the arena as every member does, under a robust list of its own, so
 * it may be killed at any moment.
 *
 * Leaves out: a process that becomes a subreaper after its child has made a session, or above the
 * parent of a reaper that took over; a reaper below valgrind, which would report it; waits by
 * __WALL and __WCLONE of programs that have such children of their own (clone with another signal
 * than SIGCHLD).
 */
#include "reaper.h"

#include "shim.h"

#include "base.h"
#include "host.h"
#include "members.h"
#include "raw.h"
#include "route.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <linux/close_range.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE    65536
#define PAGE          4096ul
#define USER_END      0x7ffffffff000ul /* TASK_SIZE_MAX of four levels of page tables */
#define VDSO_BEFORE   0x10000ul        /* the pages of data that the vDSO reads lie before it */
#define VDSO_SIZE     0x4000ul
#define TLS_BEFORE    0x2000ul  /* below the thread pointer: thread-local variables ... */
#define TLS_BEHIND    0x1000ul  /* ... and above: libc's struct pthread, with the rseq area */
#define OLD_FDS_MAX   65536     /* closed one by one where the kernel has no close_range */
#define LEAVE_WAIT_NS 200000000 /* how long a parent waits for its reaper to end */

enum { FD_BELL, FD_PARENT, FD_MEMBERS };

static_assert(FD_MEMBERS <= MEMBERS_OTHERS, "see members.h");

/* Memory that the reaper keeps, in order of addresses. */
struct range {
    uintptr_t start;
    uintptr_t end;
};

#define RANGES_MAX 8

/* Written by who starts the reaper; read by the reaper, in its copy of the memory. */
static struct {
    struct range ranges[RANGES_MAX];
    unsigned count; /* of ranges; 0: it keeps everything */
    int32_t parent;
    bool role; /* there may be supervisors: it takes their lock */
} plan;

/* ---- What the reaper keeps ---- */

static void keep(uintptr_t start, uintptr_t end)
{
    unsigned at = plan.count++;

    start = start / PAGE * PAGE;
    end = (end + PAGE - 1) / PAGE * PAGE;
    for (; at > 0 && plan.ranges[at - 1].start > start; at--) {
        plan.ranges[at] = plan.ranges[at - 1];
    }
    plan.ranges[at] = (struct range){ start, end };
}

static bool find_image(const void *address, struct range *ret_range)
{
    struct dl_find_object found;

    if (_dl_find_object((void *)(uintptr_t)address, &found) != 0) {
        return false;
    }
    *ret_range = (struct range){ (uintptr_t)found.dlfo_map_start, (uintptr_t)found.dlfo_map_end };
    return true;
}

/* Whether what the compiler and the core call of libc is libc's own, and no sanitizer's. */
static bool calls_libc_alone(const struct range *libc)
{
    const uintptr_t called[] = { (uintptr_t)memcpy, (uintptr_t)memset,  (uintptr_t)memmove,
                                 (uintptr_t)memcmp, (uintptr_t)strlen,  (uintptr_t)strcpy,
                                 (uintptr_t)strchr, (uintptr_t)strrchr, (uintptr_t)clock_gettime };

    for (unsigned i = 0; i < sizeof called / sizeof called[0]; i++) {
        if (called[i] < libc->start || called[i] >= libc->end) {
            return false;
        }
    }
    return true;
}

static void plan_memory(const char *stack)
{
    uintptr_t thread = (uintptr_t)__builtin_thread_pointer();
    uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
    struct range own, libc, loader;
    uintptr_t arena_start;
    uint64_t arena_size;

    plan.count = 0;
    if (!find_image(&shim, &own) || !find_image(gnu_get_libc_version, &libc) ||
        !find_image(&__rseq_size, &loader) || !calls_libc_alone(&libc)) {
        return;
    }
    emu_session_place(&arena_start, &arena_size);
    keep(own.start, own.end);
    keep(libc.start, libc.end);
    keep(loader.start, loader.end); /* it knows where the rseq area is (host_cpu()) */
    keep(arena_start, arena_start + arena_size);
    keep((uintptr_t)stack, (uintptr_t)stack + STACK_SIZE);
    keep(thread - TLS_BEFORE, thread + TLS_BEHIND);
    if (vdso != 0) {
        keep(vdso - VDSO_BEFORE, vdso + VDSO_SIZE);
    }
}

/* In the reaper: the guest's pages, files and segments are its own again. */
static void give_memory_back(void)
{
    uintptr_t from = 0;

    for (unsigned i = 0; i < plan.count; i++) {
        if (plan.ranges[i].start > from) {
            RAW2(SYS_munmap, from, plan.ranges[i].start - from);
        }
        from = plan.ranges[i].end > from ? plan.ranges[i].end : from;
    }
    if (plan.count > 0) {
        RAW2(SYS_munmap, from, USER_END - from);
    }
}

/* ---- The reaper ---- */

static void let_go_of_descriptors(void)
{
    if (RAW3(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) == 0) {
        return;
    }
    RAW1(SYS_unshare, CLONE_FILES);
    for (int fd = 0; fd < OLD_FDS_MAX; fd++) {
        RAW1(SYS_close, fd);
    }
}

/* Out of the guest's way: its terminal, group, directory and limits. */
static void step_aside(void)
{
    struct rlimit limit = { 0, 0 };

    RAW0(SYS_setsid);
    RAW1(SYS_chdir, "/");
    RAW2(SYS_prctl, PR_SET_NAME, "sockrig-reaper");
    RAW4(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL);
    RAW4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
    limit.rlim_cur = limit.rlim_max;
    RAW4(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL);
    RAW5(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0); /* members ring through /proc/PID/fd */
}

/*
 * The lock of the watcher's role, on a descriptor of the arena that stays open. False: a supervisor
 * was quicker. Where the parent's descriptors can't be reached there is no lock.
 */
static bool take_role(void)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
    char path[64] = "/proc/";
    char *at = put_decimal(path + strlen(path), plan.parent);
    long arena;

    if (!plan.role) {
        return true;
    }
    put_decimal(stpcpy(at, "/fd/"), shim.hidden.arena);
    arena = RAW3(SYS_open, path, O_RDWR | O_CLOEXEC, 0);
    return arena < 0 || RAW3(SYS_fcntl, arena, F_SETLK, &lock) == 0;
}

/* Takes the place of the session's watcher. Returns the bell's reading end, -errno. */
static int take_post(int32_t pid)
{
    int bell[2];
    long rc = RAW2(SYS_pipe2, bell, O_CLOEXEC | O_NONBLOCK);

    if (rc < 0) {
        return (int)rc;
    }
    emu_session_set_watcher(pid, bell[1]);
    return bell[0];
}

/* Whoever joins from now on needs another reaper. False: somebody did while we looked. */
static bool leave_post(struct emu_task *self, struct members *members)
{
    emu_session_set_watcher(0, -1);
    emu_session_set_reaper(0, 0);
    members_find(self, members);
    return members->count == members->others || !emu_session_claim_reaper();
}

static bool parent_lives(void)
{
    return RAW0(SYS_getppid) == plan.parent;
}

/* Nobody is left; or nobody but the parent, which waits for us. */
static bool is_over(const struct members *members)
{
    nfds_t left = members->count - members->others;

    if (!parent_lives()) {
        return left == 0;
    }
    return emu_session_reaper_dismissed() &&
           (left == 0 || (left == 1 && members->pids[members->others] == plan.parent));
}

static void silence(int bell)
{
    char rings[256];

    while (RAW3(SYS_read, bell, rings, sizeof rings) == (long)sizeof rings) { /* at most 64 KiB */
    }
}

static void watch(struct emu_task *self)
{
    static struct members members;
    int32_t pid = (int32_t)RAW0(SYS_getpid);
    int bell = take_post(pid);
    int parent = host_process_open(plan.parent); /* gone already: is_over() sees it */

    if (bell < 0) {
        return;
    }
    members_init(&members, FD_MEMBERS);
    members.fds[FD_BELL] = (struct pollfd){ .fd = bell, .events = POLLIN };
    members.fds[FD_PARENT] = (struct pollfd){ .fd = parent, .events = POLLIN };
    for (;;) { /* ends with the last member */
        silence(bell);
        members_find(self, &members);
        if (is_over(&members)) {
            if (parent_lives() || leave_post(self, &members)) {
                return;
            }
            emu_session_set_watcher(pid, bell + 1);
            emu_session_set_reaper(pid, plan.parent);
        }
        if (host_poll(members.fds, members.count, -1, NULL) < 0) {
            return;
        }
        members_sweep(self, &members);
        if (members.fds[FD_PARENT].revents != 0 && !parent_lives()) {
            members.fds[FD_PARENT].fd = -1;
        }
    }
}

/* Where the reaper begins, on a stack of its own, with all signals blocked. */
__attribute__((noreturn, used, visibility("hidden"))) void reaper_main(void);

void reaper_main(void)
{
    static struct robust_list_head {
        void *first;
        long futex_offset;
        void *pending;
    } robust = { &robust, -32, NULL }; /* as libc's: lock.c */
    static struct emu_process process;
    static struct emu_task task;

    let_go_of_descriptors();
    step_aside();
    give_memory_back();
    RAW2(SYS_set_robust_list, &robust, sizeof robust);
    emu_session_forget_table();
    emu_task_enter(&task, &process);
    if (take_role()) {
        emu_watcher_join(&process, &task);
        watch(&task);
        emu_watcher_leave(&task);
    } else {
        emu_session_set_reaper(0, 0);
    }
    for (;;) {
        RAW1(SYS_exit_group, 0);
    }
}

/* ---- Starting and ending it ---- */

/* The raw call: the child goes to reaper_main() on `top`, the parent gets its pid or -errno. */
static long clone_onto(char *top)
{
    register long none __asm__("r10") = 0;
    register long no_tls __asm__("r8") = 0;
    long result = SYS_clone;

    __asm__ volatile("syscall\n"
                     "    test %%rax, %%rax\n"
                     "    jnz 1f\n"
                     "    xor %%ebp, %%ebp\n"
                     "    call reaper_main\n"
                     "1:\n"
                     : "+a"(result)
                     : "D"((long)(CLONE_FILES | CLONE_UNTRACED)), "S"(top), "d"(0L), "r"(none),
                       "r"(no_tls)
                     : "rcx", "r11", "memory");
    return result;
}

static void start(void)
{
    char *stack = host_memory_private(STACK_SIZE);
    sigset_t all, before;
    long pid;

    if (!stack) {
        return;
    }
    memset(&all, 0xff, sizeof all);
    plan.parent = (int32_t)RAW0(SYS_getpid);
    plan.role = !shim.bare;
    plan_memory(stack);
    host_sigmask(&all, &before); /* no handler of the guest's may run in the reaper */
    pid = clone_onto(stack + STACK_SIZE);
    if (pid > 0) {
        emu_session_set_reaper((int32_t)pid, plan.parent);
    }
    host_sigmask(&before, NULL);
    host_memory_unmap(stack, STACK_SIZE);
}

/* After unshare(CLONE_NEWPID) the next child is to be the guest's: it is process 1 there. */
static bool children_are_ours(void)
{
    uint64_t device[2], object[2];

    return host_file_identity("/proc/self/ns/pid", &device[0], &object[0]) == 0 &&
           host_file_identity("/proc/self/ns/pid_for_children", &device[1], &object[1]) == 0 &&
           object[0] == object[1];
}

/* Whether the kernel would give us the orphans of our descendants. */
static bool adopts_orphans(void)
{
    int subreaper = 0;

    RAW5(SYS_prctl, PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
    return subreaper != 0 || RAW0(SYS_getpid) == 1;
}

/* Whether a supervisor has the role of the watcher, or that can't be told. */
static bool is_role_taken(void)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

    return !shim.bare &&
           (!session_keep() || RAW3(SYS_fcntl, shim.hidden.arena, F_GETLK, &lock) < 0 ||
            lock.l_type != F_UNLCK);
}

/* Starts one if this process may, and nobody else does. */
static void start_if_missing(void)
{
    int32_t before = emu_session_reaper_of((int32_t)RAW0(SYS_getpid));

    if (net_is_translated() || is_role_taken() || !children_are_ours() ||
        !emu_session_claim_reaper()) {
        return;
    }
    if (before > 0) {
        RAW4(SYS_wait4, before, NULL, __WCLONE | WNOHANG, NULL);
    }
    start();
}

void reaper_ensure(void)
{
    if (session_attached() ? emu_session_watched() == EMU_WATCHED
                           : !shim.bare || !adopts_orphans() || !session_ensure()) {
        return;
    }
    start_if_missing();
}

/* Whether the session has members beside this process; the dead don't count if `self` can look. */
static bool has_others(struct emu_task *self)
{
    static int32_t pids[EMU_MAX_PROCESSES];
    uint32_t changes;

    if (self && emu_session_members(pids, EMU_MAX_PROCESSES, &changes) > 1) {
        emu_process_sweep_dead(self);
    }
    return emu_session_members(pids, EMU_MAX_PROCESSES, &changes) > 1;
}

/* A session of one process needs none before it forks. */
void reaper_take_over(struct emu_task *self)
{
    if ((!shim.bare || emu_session_watched() == EMU_WATCHER_DIED) && has_others(self)) {
        start_if_missing();
    }
}

static bool others_are_left(void)
{
    struct emu_task *self = route_enter();
    bool left = has_others(self);

    if (self) {
        route_exit(self);
    }
    return left;
}

void reaper_dismiss(void)
{
    int32_t pid = 0;
    struct pollfd ended = { .events = POLLIN };
    sigset_t all;

    if (session_attached() && emu_session_reaper_of(0) != 0) {
        pid = emu_session_reaper_of((int32_t)RAW0(SYS_getpid));
    }
    if (pid == 0 || others_are_left()) {
        return;
    }
    memset(&all, 0xff, sizeof all);
    host_sigmask(&all, NULL); /* after an exec its end is a SIGCHLD */
    ended.fd = host_process_open(pid);
    emu_session_dismiss_reaper();
    if (ended.fd >= 0) {
        host_poll(&ended, 1, LEAVE_WAIT_NS, NULL);
        host_close(ended.fd);
    }
    RAW4(SYS_wait4, pid, NULL, __WCLONE | WNOHANG, NULL);
}

int32_t reaper_hide(int *options)
{
    int32_t pid;

    if (EMU_LIKELY(!(*options & (int)(__WALL | __WCLONE))) || !session_attached() || shim.clones) {
        return 0;
    }
    pid = emu_session_reaper_of((int32_t)RAW0(SYS_getpid));
    if (pid == 0) {
        return 0;
    }
    if (*options & __WALL) {
        *options &= ~(int)(__WALL | __WCLONE);
        return 0;
    }
    *options &= ~(int)__WCLONE;
    return pid;
}
