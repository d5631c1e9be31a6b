/*
 * emu.h - the emulator as its users see it: the shim, the interpreter, the unit tests
 *
 * A session is an arena (shared memory) and the processes that joined it. A user of this header
 * keeps one `struct emu_process` for its process and one `struct emu_task` for each thread (or
 * virtual task); everything else lives in the arena.
 *
 * Every call is `int64_t emu_NAME(struct emu_task *self, ...)`, declared below from calls.def:
 *
 *   >= 0        the call's result
 *   -errno      the call failed as Linux fails it
 *   EMU_NATIVE  nothing here concerns the emulator: the caller makes the real call. When a blocked
 *               transfer had already moved bytes before its channel became native, their number
 *               stands in self->progress, the real call is made for the rest, and its result is
 *               added (emu_native_result() does the sum).
 *
 * A call sleeps for the guest in one loop alone (wait.c), through `process->sleep` or, with the
 * kernel's descriptors to watch, through `process->poll`. SIGPIPE is not raised in
 * here: self->sigpipe says that the caller must raise it before it returns.
 *
 * Signals: a caller whose thread can be interrupted counts each handler it ran in
 * self->interrupts (and in self->interrupts_final when the handler had no SA_RESTART), and adds 1
 * to the wake word, emu_task_interrupt() does all three. Handlers must not run while
 * self->critical is positive; the core lowers it around a sleep and calls process->deliver first.
 *
 * Memory that belongs to the guest is touched through host_copy() alone: a bad pointer is -EFAULT.
 */
#ifndef EMU_H
#define EMU_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "inject.h"

#define EMU_NATIVE INT64_MIN /* the caller makes the real call */

/* A call in a recording that was entered and not left yet: emu_trace_enter(). */
struct emu_trace_open {
    uint64_t number; /* of its record; UINT64_MAX: there is none */
    uint32_t at;     /* in the window, while it is the last one there */
    uint32_t call;   /* enum emu_call_id */
    uint32_t sleeps; /* of the task before */
    uint64_t words[6];
};

struct emu_task;
struct epoll_event;
struct robust_list_head;

/* What to do with a socket type: --policy and --unmodeled. */
enum emu_action {
    EMU_ACTION_DEFAULT, /* modeled types emulated, unmodeled refused or native */
    EMU_ACTION_REFUSE,  /* ENOTSUP where Linux would succeed, counted */
    EMU_ACTION_NATIVE,  /* the kernel's, counted */
    EMU_ACTION_ERRNO,   /* the given errno, whatever Linux says */
};

#define EMU_MAX_POLICIES  32
#define EMU_MAX_EXCLUDED  8
#define EMU_EXCLUDED_SIZE 128

struct emu_policy {
    int family; /* AF_* */
    int type;   /* SOCK_*, or -1 for all of the family */
    enum emu_action action;
    int error; /* positive errno of EMU_ACTION_ERRNO */
};

enum emu_mmsg { EMU_MMSG_LINUX, EMU_MMSG_OPENBSD };
enum emu_net { EMU_NET_REDIRECT, EMU_NET_OFF, EMU_NET_SUD };
enum emu_host_unix { EMU_HOST_UNIX_ALLOW, EMU_HOST_UNIX_DENY, EMU_HOST_UNIX_GLOB };
enum emu_hybrid { EMU_HYBRID_NONE, EMU_HYBRID_FIRECRACKER, EMU_HYBRID_CLOUD_HYPERVISOR };

enum emu_faults { EMU_FAULTS_NONE, EMU_FAULTS_LEGAL, EMU_FAULTS_HARSH };

enum emu_capacity {
    EMU_CAPACITY_PIPE,
    EMU_CAPACITY_SOCKET,
    EMU_CAPACITY_CREDIT,
    EMU_CAPACITY_BACKLOG
};

#define EMU_MAX_PLACES 32
#define EMU_PLACE_NAME 32

/* A capacity of what is made at some place of the guest's code: --pipe-capacity SIZE@PLACE. */
struct emu_place {
    enum emu_capacity kind;
    uint32_t size;               /* bytes; of a backlog: one more than listen() is given */
    char module[EMU_PLACE_NAME]; /* the file's base name, cut as the report's */
    uint64_t from;               /* the call lies there, as offset from the file's load address */
    uint64_t to;                 /* ... and before this */
};

/* Options of a session or a process; plain data, no pointers. Written by emu_options_parse(). */
struct emu_options {
    struct emu_policy policy[EMU_MAX_POLICIES];
    uint32_t policy_count;
    enum emu_action unmodeled; /* --unmodeled, or EMU_ACTION_DEFAULT */
    enum emu_mmsg mmsg;
    enum emu_net net;
    bool audit; /* with EMU_NET_SUD: list what came past wrappers and redirection */
    bool allow_native;
    struct emu_place places[EMU_MAX_PLACES];
    uint32_t place_count;
    /* Bytes of a new pipe, rounded as F_SETPIPE_SZ does; below a page: one slot of so many. 0:
     * Linux's default. */
    uint32_t pipe_capacity;
    enum emu_host_unix host_unix; /* connects to AF_UNIX names that nobody in the session bound */
    char host_unix_glob[108];     /* ... EMU_HOST_UNIX_GLOB: paths that they may go to */
    enum emu_hybrid hybrid;       /* which VMM's device guests see */
    char excluded[EMU_MAX_EXCLUDED][EMU_EXCLUDED_SIZE]; /* patterns of --exclude-caller */
    uint32_t excluded_count;
    uint32_t vsock_credit; /* bytes of SO_VM_SOCKETS_BUFFER_SIZE; 0: the default */
    uint32_t backlog;      /* at most, and 1; 0: as the guest says */
    /* SO_SNDBUF of a new pair, as getsockopt shows it; below EMU_SQUEEZED_SOCKET: one segment of so
     * many bytes. 0: the default. */
    uint32_t sock_buffer;
    enum emu_faults faults;
    uint64_t seed;                                /* of what faults choose */
    struct emu_inject inject[EMU_MAX_INJECTIONS]; /* --inject */
    uint32_t inject_count;
    bool track;  /* note where descriptors are made, closed and misused: finding.h */
    bool verify; /* compare what we believe of other ends with the kernel when a process ends */
    uint32_t record_bytes; /* of a call's buffers that are recorded; 0: the default */
    uint64_t record_size;  /* bytes that a recording may take; 0: the default */
};

/*
 * Parses one option without its dashes ("policy=vsock=native", "net=off", "mmsg=openbsd",
 * "unmodeled=refuse", "squeeze", "pipe-capacity=8K", "exclude-caller=libcheck.so*"), as the command
 * line and SOCKRIG_OPTIONS hold them.
 *
 * Returns 0; -ENOENT when the name is none of these; -EINVAL when the value is bad; -ENOSPC when
 *         there are too many policies or patterns. On failure *ret_options is untouched.
 */
int emu_options_parse(const char *option, struct emu_options *ret_options);

/*
 * True when calls from code of the file at `path` are left alone: of a test harness that we know,
 * or by a pattern of --exclude-caller. One with a slash is matched with all of the path, else with
 * its last part.
 */
bool emu_options_exclude(const struct emu_options *options, const char *path);

/* One process of a session, in its own memory. Zero it, then emu_process_join(). */
struct emu_process {
    uint32_t slot; /* this process's record in the arena */
    int32_t pid;
    _Atomic uint32_t tasks; /* threads that have come; never fewer than there are */
    struct emu_options options;
    uint32_t cid;           /* of the machine that it plays a part of: emu_process_set_cid() */
    _Atomic bool announced; /* the watcher has been told of it: announce.h */
    int32_t fork_token;     /* of a child that is being made: its record's pid ... */
    uint32_t fork_state;    /* ... and state; both hold while changes are frozen (fdtab.h) */
    bool fork_holds;        /* it inherits a description */
    bool gateway;    /* stands for what is beyond the session; the options of vsock.h are for it */
    bool is_virtual; /* all tasks are in one thread: `sleep`, `poll`, `call` switch between them */

    /*
     * Sleeps until *word differs from `expected`, a wake-up, a handler, or `deadline_ns` (of
     * CLOCK_MONOTONIC, 0: never). NULL: host_futex_wait(). Returns 0, -EINTR, -ETIMEDOUT, -EAGAIN.
     */
    int64_t (*sleep)(struct emu_task *self, const _Atomic uint32_t *word, uint32_t expected,
                     uint64_t deadline_ns);
    /*
     * ppoll(2) with descriptors of the kernel's among them. NULL: host_poll(). A user that has
     * `sleep` alone runs virtual tasks: they go to the kernel for real descriptors only.
     */
    int (*poll)(struct emu_task *self, struct pollfd *fds, nfds_t count, int64_t timeout_ns,
                const sigset_t *mask);
    /* A system call that may block, as a cancellation point. NULL: made as it is. */
    int64_t (*call)(struct emu_task *self, long number, const long arguments[6]);
    /* Runs handlers that were put off while self->critical was positive. NULL: none ever are. */
    void (*deliver)(struct emu_task *self);
    /*
     * The session's watcher is gone, or there is none, and this process learns it before a sleep:
     * it may see to another one. Called with no lock held, while no handler may run. NULL: won't.
     */
    void (*unwatched)(struct emu_task *self);
    bool records;                    /* this session is recorded: see emu_trace_create() */
    uint32_t trace_birth;            /* enum trace_birth: how this image came to be */
    uint64_t fault_place;            /* where it stands in the tree: fault.h */
    _Atomic uint32_t fault_tasks;    /* its threads that have drawn from the seed */
    _Atomic uint32_t inject_rules;   /* of --inject that concern this program; 0: not known yet */
    _Atomic uint32_t children;       /* that it ever made */
    _Atomic uint64_t handlers;       /* bit N - 1: the guest has a handler for signal N; ... */
    _Atomic uint64_t handlers_final; /* ... without SA_RESTART. The user keeps both. */
    /* Where the guest called from: two words for the report, both 0 when unknown. */
    void (*call_site)(struct emu_task *self, char *ret_module, size_t module_size,
                      uint64_t *ret_offset);
    /* The same with all its callers, as emu_site_number() has them (finding.h). NULL: unknown. */
    uint32_t (*site)(struct emu_task *self);
};

/* One thread, in its own memory (thread-local). Zero it, then emu_task_enter(). */
struct emu_task {
    struct emu_process *process;
    struct robust_list_head *robust; /* of this thread; never NULL after emu_task_enter() */
    void *robust_saved;              /* list_op_pending of whoever we interrupted */
    const void *lock_held;           /* the arena's lock that this thread holds, or NULL */
    uint32_t tid;
    uint32_t record;           /* index + 1 of the arena's task record; 0: none yet */
    int critical;              /* > 0: no handler of the guest may run now */
    bool sigpipe;              /* out: raise SIGPIPE before returning */
    bool records;              /* its calls are recorded: emu_trace_enter() */
    bool faults;               /* they are disturbed: emu_fault_begin() */
    bool trace_begun;          /* ... and its first record says so */
    bool signals_put_off;      /* a handler waits for `critical` to fall to 0 */
    uint32_t interrupts;       /* handlers that ran in this thread */
    uint32_t interrupts_final; /* ... of these, without SA_RESTART */
    uint32_t interrupts_anew;  /* as many had run when a call last began anew behind one */
    uint32_t sleep_word;       /* the wake word as it was when the call last looked around */
    bool interrupted;          /* since then a handler came, and nothing before it */
    bool behind_first;         /* sendmmsg, recvmmsg: the next sleep doesn't restart */
    uint64_t progress;         /* out, with EMU_NATIVE: bytes moved before the switch */
    uint32_t spin_ns;          /* adaptive: how long the next spin may last */
    uint32_t spins;            /* spins so far: now and then one is tried in full */
    uint32_t pinned;           /* index + 1 of the description that a blocked call keeps */
    uint32_t *pins;            /* what blocked calls of poll keep (fdtab.h); NULL: pins_own */
    uint32_t pins_count;       /* of them */
    uint64_t pins_size;        /* of that memory, in bytes */
    uint32_t pins_own[16];     /* room for the few of most calls */
    const void *wait_frame;    /* frame of the blocked call, or NULL: see emu_task_clear() */
    void *scratch;             /* memory for large sets of poll, kept between calls */
    uint64_t scratch_size;     /* in bytes */
    bool scratch_busy;         /* a call uses it; a handler's call gets its own */
    uint32_t *spawn_list;      /* descriptions kept over a spawn, see emu_spawn_before() */
    uint64_t spawn_list_size;  /* in bytes */
    int32_t fork_token;        /* names the record of the child between fork's brackets */
    uint32_t rights_sent;      /* index + 1 of what a send has prepared: rights.h */
    uint32_t rights_left;      /* a chain of these to be let go, ... */
    bool rights_busy;          /* ... which is being done */
    bool sweeps;               /* it does what a dead process left to do */
    uint32_t broken;           /* with sigpipe: index + 1 of the description, if it is known */
    bool rights_collects;      /* cycles of them are being looked for */
    uint32_t handing_over;     /* channels inside each other that go native: native.c */
    const void *caller;        /* return address of the guest's call, for reports */
    void *trace_window;        /* where it records: trace.h; NULL: nowhere yet */
    uint64_t trace_number;     /* of its next record */
    bool trace_is_open;        /* the kernel is to answer `trace_open` */
    struct emu_trace_open trace_open;
    struct emu_trace_open trace_fork; /* record of the fork or spawn that goes on, ... */
    bool trace_forks;                 /* ... if there is one */
    uint32_t trace_task;              /* its number in the recording */
    uint64_t fault_state;             /* of its sequence; 0: not drawn from yet */
    uint32_t fault_slow;              /* pauses that it still makes more often than others */
    uint32_t *inject_counts;          /* EMU_INJECT_COUNTS bytes, or NULL; private */
    uint32_t sleeps;                  /* how often its calls have slept */
    _Alignas(8) char robust_own[24];  /* stands in where the thread has no robust list */
};

#define CALL(name, group, signature, parameters, level, note) CALL_##level(name, parameters)
#define CALL_FULL(name, parameters)                           int64_t emu_##name parameters;
#define CALL_REFUSED(name, parameters)                        int64_t emu_##name parameters;
#define CALL_SWITCHES(name, parameters)                       int64_t emu_##name parameters;
#define CALL_PLACEHOLDER(name, parameters)
#include "calls.def"
#undef CALL
#undef CALL_FULL
#undef CALL_REFUSED
#undef CALL_SWITCHES
#undef CALL_PLACEHOLDER

/* The calls of calls.def, for naming one. */
enum emu_call_id {
    EMU_CALL_NONE,
#define CALL(name, group, signature, parameters, level, note) EMU_CALL_##name,
#include "calls.def"
#undef CALL
};

/* ---- Session ---- */

/*
 * Creates a session's arena: a memfd, mapped into this process.
 *
 * Returns the arena's fd (>= 0, not close-on-exec: it crosses exec; the caller owns it), -errno.
 */
int emu_session_create(void);

/*
 * Maps the arena behind `fd`. Refuses a file that isn't one, or of another build.
 *
 * Returns 0; -EINVAL: not an arena; -ESTALE: made by another version; else -errno of mmap.
 */
int emu_session_attach(int fd);

/* True when an arena is mapped. */
bool emu_session_attached(void);

/*
 * For a process that is checked by valgrind: its leak check reads all memory, and would fill the
 * arena's rings, which are sparse. Requires: an arena is mapped, and used by nobody here.
 */
void emu_session_conceal(void);

/* Sets the session's defaults: what each process's options start from. */
void emu_session_set_options(const struct emu_options *options);
void emu_session_get_options(struct emu_options *ret_options);

/*
 * The session's hidden descriptors: the arena's, the bell's, and the log's where the session is
 * recorded (else -1). The caller (shim, run) moves them
 * to high numbers and tells the core; guest calls on these numbers are answered EBADF by the shim.
 */
struct emu_hidden {
    int arena;
    int bell;
    int log;
};
struct emu_hidden emu_session_hidden(void);
void emu_session_set_hidden(struct emu_hidden hidden);

/*
 * join: this process sweeps members, or will, and is none (sockrig run, a reaper). It has a record
 * from now on, by which others can tell when it died in the middle of that, and ends what watchers
 * before it left. Where there is no room it goes on without. leave: it won't sweep any more.
 */
void emu_watcher_join(struct emu_process *process, struct emu_task *self);
void emu_watcher_leave(struct emu_task *self);

/*
 * Says that somebody (sockrig run, a reaper) watches members with pidfds, or that nobody does
 * (pid 0). Members that join write a byte into its descriptor `bell_fd`.
 */
void emu_session_set_watcher(int32_t pid, int bell_fd);

/* Whether somebody does, as far as this process has learnt; it asks nobody. */
enum emu_watched { EMU_WATCHED, EMU_UNWATCHED, EMU_WATCHER_DIED };
enum emu_watched emu_session_watched(void);

/*
 * note: ITIMER_REAL will fire in so many microseconds (0: it isn't armed), once or again and again;
 * the next image has it still. alarm: whether process `pid` will get SIGALRM from it.
 */
void emu_process_note_alarm(const struct emu_process *process, uint64_t left_us, bool repeats);
bool emu_session_alarm(int32_t pid);

/*
 * For a watcher that looks for deadlocks: from now on a task that begins a long sleep rings its
 * bell. news: true when one has since the last time this was asked; then the next one rings again.
 */
void emu_session_watch_sleeps(bool on);
bool emu_session_news_of_sleeps(void);

/*
 * The reaper of a session that no `sockrig run` watches (shim/reaper.h). claim: true for the one
 * who is to start it; also when there was one, or somebody about to start one, and that process has
 * ended. set: its pid and its parent's; pid 0 lets it be claimed again. of: its pid when `parent`
 * (0: anybody) started it, else 0. dismiss: tells it that its parent ends; dismissed: the question
 * whether that was said.
 */
bool emu_session_claim_reaper(void);
void emu_session_set_reaper(int32_t pid, int32_t parent);
int32_t emu_session_reaper_of(int32_t parent);
void emu_session_dismiss_reaper(void);
bool emu_session_reaper_dismissed(void);

/* Where the arena lies in this process. */
void emu_session_place(uintptr_t *ret_start, uint64_t *ret_size);

/*
 * This process is a copy of a member that is to be none (a reaper): the table of descriptors that
 * it has a copy of says nothing of it.
 */
void emu_session_forget_table(void);

struct emu_session_counts {
    uint32_t processes_joined; /* ever */
    uint32_t processes;        /* now */
    uint32_t descriptions;     /* now */
    uint32_t bufs;             /* now */
    uint32_t waiters;          /* now */
};
void emu_session_count(struct emu_session_counts *ret_counts);

/* Pids of the members, at most `max`. Returns their number. `*ret_changes` grows when one joins. */
uint32_t emu_session_members(int32_t *ret_pids, uint32_t max, uint32_t *ret_changes);

/* ---- Process ---- */

/*
 * Joins this process to the mapped session (finds the record made by its parent or by the image
 * before exec). Start-up of every process and of every image.
 *
 * Returns 0; -EAGAIN: the session is full.
 */
int emu_process_join(struct emu_process *process, struct emu_task *self);

/*
 * The vsock CID of this process's machine: 2, the host, or that of a guest. A child has its
 * parent's, a new image what the process had. set: false when `cid` is no machine's
 * (VMADDR_CID_HOST, or 3 and above but VMADDR_CID_ANY).
 */
#define EMU_CID_HOST 2u
bool emu_process_set_cid(struct emu_task *self, uint32_t cid);
uint32_t emu_process_cid(const struct emu_task *self);

/* Whether somebody of the session listens on AF_VSOCK where a connect to `cid` would go. */
bool emu_session_vsock_listener(uint32_t cid, uint32_t port);

/*
 * Learns from the kernel which descriptors of this process are placeholders: after exec, and for
 * numbers that libc made behind our back. Drops what the record holds and the kernel doesn't show.
 *
 * Returns the number of emulated descriptors found, or -errno when /proc is missing.
 */
int emu_process_rebuild(struct emu_task *self);

/*
 * Brackets fork: before() in the parent, then after_parent() with the child's pid (or -1) there and
 * after_child() in the child, whose own record it adopts.
 *
 * before() returns a slot (> 0) to hand to the others, or -EAGAIN when the session is full. It is
 * reserve() and hold(): hold() makes the process's other threads wait that would make, copy or
 * close an emulated descriptor, so that the child gets what the table says, until parent() or
 * thaw().
 */
int emu_fork_before(struct emu_task *self);
int emu_fork_reserve(struct emu_task *self);
void emu_fork_hold(struct emu_task *self, int slot);
void emu_fork_parent(struct emu_task *self, int slot, int32_t child);
void emu_fork_child(struct emu_task *self, int slot);

/*
 * Brackets a spawn (posix_spawn, popen): between the two no description of this process dies, so
 * that the child finds what it inherited. `child` is its pid, or -1 when the spawn failed.
 */
void emu_spawn_before(struct emu_task *self);
void emu_spawn_after(struct emu_task *self, int32_t child);

/* Before exec: registers identities of what will be inherited. */
void emu_exec_before(struct emu_task *self);

/* Right before exec's system call: other threads' changes wait, as in emu_fork_hold(). */
void emu_exec_freeze(struct emu_task *self);

/* They go on: exec failed, or fork's parent is past the system call. May be repeated. */
void emu_numbers_thaw(struct emu_task *self);

/*
 * Makes every emulated channel of this process native: before an exec or spawn of a program that
 * can't be followed. `inherited_only`: leave out close-on-exec descriptors.
 *
 * Returns 0, or -EBUSY when a channel can't be handed over (nothing of that channel has changed;
 *         *ret_fd is its number).
 */
int emu_native_all(struct emu_task *self, bool inherited_only, int *ret_fd);

/* The same for one descriptor. Returns 0 (also when it wasn't emulated), -EBUSY. */
int emu_native_one(struct emu_task *self, int fd);

/* Closes every emulated descriptor for good: the process is about to end. */
void emu_process_exit(struct emu_task *self);

/*
 * A process died: forget what it held, wake who waits for it. Safe to call twice, or too early.
 * Returns true when it is a member, and lives.
 */
bool emu_process_sweep(struct emu_task *self, int32_t pid);

/* Sweeps every member that is no longer alive. Returns how many were. */
uint32_t emu_process_sweep_dead(struct emu_task *self);

/* The table's entry of this number no longer holds: libc returned it as a new descriptor. */
void emu_fd_invalidate(struct emu_task *self, int fd);

/*
 * `fd` was taken out of the process behind `pidfd` (pidfd_getfd): when it is a placeholder of the
 * session's, it is emulated from now on. Returns whether it is.
 */
bool emu_fd_taken(struct emu_task *self, int pidfd, int fd);

/* True when `fd` is emulated now (and not native). One load; no lock. */
bool emu_fd_is_emulated(int fd);

/*
 * An emulated socket that takes ancillary data itself: of AF_UNIX, connected; of AF_VSOCK, where it
 * goes nowhere.
 */
bool emu_fd_takes_control(int fd);

/* The same, and true of epoll instances and of what was emulated once: what close and dup ask. */
bool emu_fd_is_known(int fd);

/* ---- /dev/vsock ---- */

/* Whose /dev/vsock this process sees. */
enum emu_device {
    EMU_DEVICE_OURS,
    EMU_DEVICE_NONE,   /* the policy of AF_VSOCK is an errno: a kernel without it */
    EMU_DEVICE_NATIVE, /* the policy is native: the machine's, if it has one */
};
enum emu_device emu_device_policy(const struct emu_task *self);

/*
 * Makes `fd`, which the caller has just opened on a stand-in, a descriptor of /dev/vsock with the
 * flags of that open.
 *
 * Returns fd; or -errno, and fd is closed.
 */
int64_t emu_device_place(struct emu_task *self, int fd);

/* True when `fd` is one of them. One load; no lock. */
bool emu_fd_is_device(int fd);

/* ---- Task ---- */

/* Prepares this thread's handle. Call again in the child after fork. */
void emu_task_enter(struct emu_task *self, struct emu_process *process);

/* Gives the task's record back: at thread exit. */
void emu_task_leave(struct emu_task *self);

/* A handler ran in this thread: see the top. */
void emu_task_interrupt(struct emu_task *self, bool restart);

/*
 * A signal that the emulator sent where Linux's kernel does (SIGIO, F_SETSIG): its siginfo becomes
 * what Linux shows. Any other is left alone.
 */
void emu_signal_info(siginfo_t *info);

/*
 * Undoes waits that were left by siglongjmp. Exceptions and cancellation unwind and need it not.
 * The caller knows one by self->wait_frame: it names the frame of the blocked call; a call that
 * starts above it on the same stack means that the frame is gone.
 */
void emu_task_clear(struct emu_task *self);

/* So long is a hidden name of AF_UNIX, which emu_getsockname() and emu_getpeername() don't show. */
#define EMU_HIDDEN_NAME_SIZE 27u

/* The sum that EMU_NATIVE asks for: `result` of the real call (or -errno) and self->progress. */
int64_t emu_native_result(struct emu_task *self, int64_t result);

/* ---- Recording (docs/TRACE_FORMAT.md) ---- */

#define EMU_RECORD_BYTES     4096u /* of a call's buffers, unless said otherwise */
#define EMU_RECORD_BYTES_MIN 16u
#define EMU_RECORD_BYTES_MAX 32768u
#define EMU_RECORD_SIZE      (1ull << 30) /* of the file, unless said otherwise */
#define EMU_RECORD_SIZE_MIN  (1ull << 20)
#define EMU_RECORD_SIZE_MAX  (1ull << 44)

/*
 * Has the session recorded from now on, into `directory`, which is made if it isn't there, with
 * what the session's options say. The log's descriptor becomes a hidden one.
 *
 * Requires: nobody has joined yet.
 * Returns the descriptor; -EEXIST: there is a recording in it; -ENOTDIR; else -errno.
 */
int emu_trace_create(const char *directory);

/* The log's inode; its descriptor may be closed past us. */
uint64_t emu_trace_file(void);

/* What the session's recording has come to. */
struct emu_trace_state {
    bool on;
    uint32_t stopped; /* enum trace_stopped */
    int error;        /* positive errno */
    uint64_t bytes;   /* of the log */
    uint64_t limit;   /* ... at most */
    uint64_t lost;    /* calls and events that aren't in it */
    uint32_t tasks;
    uint32_t data_limit; /* bytes of a call's buffers */
    uint32_t clock;      /* enum trace_clock */
    uint64_t start_ticks;
    uint64_t start_monotonic_ns;
};
void emu_trace_look(struct emu_trace_state *ret_state);

/*
 * Brackets an emulated call, where self->records says that it is to be recorded. `words` are its
 * arguments. A `result` of EMU_NATIVE takes the record back, unless bytes were moved before; or,
 * where the call names something of ours, leaves it open: then self->trace_is_open, and what the
 * kernel has answered goes to emu_trace_answered().
 */
void emu_trace_enter(struct emu_task *self, enum emu_call_id call, const uint64_t *words,
                     struct emu_trace_open *ret_open);
void emu_trace_leave(struct emu_task *self, const struct emu_trace_open *open, int64_t result);
void emu_trace_answered(struct emu_task *self, const struct emu_trace_open *open, int64_t result);

/* The same for a handler of the guest, and for an exec, which is left only when it fails. */
void emu_trace_signal(struct emu_task *self, const siginfo_t *info,
                      struct emu_trace_open *ret_open);
void emu_trace_exec(struct emu_task *self, const char *path, char *const *argv,
                    struct emu_trace_open *ret_open);
void emu_trace_left(struct emu_task *self, const struct emu_trace_open *open, int64_t result);

/* A child was reaped; the process, or (group false) this thread of it, ends. */
void emu_trace_waited(struct emu_task *self, int32_t pid, int status);
void emu_trace_exit(struct emu_task *self, bool group, int status);

/* ---- Report ---- */

enum emu_report_kind {
    EMU_REPORT_REFUSED,  /* a call on a type that isn't modeled; error holds the errno */
    EMU_REPORT_NATIVE,   /* a socket that the kernel serves */
    EMU_REPORT_SWITCH,   /* a channel that went native */
    EMU_REPORT_RESCUED,  /* bytes that came past the net */
    EMU_REPORT_BLOCKED,  /* an exec that was refused */
    EMU_REPORT_NOBODY,   /* AF_VSOCK: nobody listens; type is the CID and error the port */
    EMU_REPORT_DISAGREE, /* verify: the kernel shows another end than we believe */
    EMU_REPORT_NO_NET,   /* calls inside libc aren't caught, as asked: call says why, and error */
    EMU_REPORT_ESCAPED,  /* audit: a call that only Syscall User Dispatch caught */
    EMU_REPORT_LEFT,     /* a process that is no member: in a PID namespace of its own */
    EMU_REPORT_INJECTED, /* --inject: family is one of EMU_INJECT_*, type retval= or signal= */
};

struct emu_report {
    uint32_t state; /* internal */
    uint32_t kind;  /* enum emu_report_kind */
    uint32_t count;
    int32_t pid;
    int32_t family; /* AF_*, or -1 */
    int32_t type;   /* SOCK_*, or -1 */
    int32_t error;  /* positive errno, or 0 */
    uint32_t pad;
    uint64_t offset;  /* of the call in its module */
    char call[24];    /* "socket" */
    char module[72];  /* base name of the file that the call stands in */
    char program[16]; /* of the calling process */
};

/* Counts one; entries that differ in count and pid alone are one. */
void emu_report_add(struct emu_task *self, enum emu_report_kind kind, const char *call, int family,
                    int type, int error);

/* The i-th entry, or NULL behind the last. The pointer stays good while the arena is mapped. */
const struct emu_report *emu_report_get(uint32_t index);

/* ---- Who waits for what ---- */

/* "read"; "" for EMU_CALL_NONE and what isn't one. */
const char *emu_call_name(uint32_t call);

#define EMU_BLOCKED_FDS 4 /* a call of poll shows so many: blocked.h */

/* How a process came to have a description open. */
enum emu_origin_kind {
    EMU_ORIGIN_UNKNOWN,
    EMU_ORIGIN_MADE,     /* by its own call */
    EMU_ORIGIN_RECEIVED, /* in a message: SCM_RIGHTS */
    EMU_ORIGIN_FORK,     /* inherited, from a parent that called fork or its kin, */
    EMU_ORIGIN_SPAWN,    /* ... posix_spawn, system, popen */
};

struct emu_origin {
    enum emu_origin_kind kind;
    int32_t parent;    /* of EMU_ORIGIN_FORK and _SPAWN, like all that follows: its pid, */
    uint32_t site;     /* where it made the process (finding.h), 0: not known, */
    uint64_t since_ns; /* and when, CLOCK_MONOTONIC */
    bool executed;     /* it was kept over an exec of the process */
};

#endif
