/*
 * route.h - the one way from a wrapper into the emulator and out again
 *
 * A wrapper asks emu_fd_is_emulated(); when the answer is no it makes the raw system call with
 * libc's conventions (errno, cancellation). When it is yes:
 *
 *     route_enter()   this thread's task, with handlers put off; NULL: make the raw call
 *     emu_call()      the emulator
 *     route_leave()   handlers that were put off run now, SIGPIPE is raised, errno is written
 *
 * ROUTE() is that sequence. errno is written by route_error() alone; success leaves it as it was.
 *
 * Invariant: between enter and leave no handler of the guest runs in this thread, except while the
 * core sleeps, which it does through route_sleep().
 */
#ifndef SHIM_ROUTE_H
#define SHIM_ROUTE_H

#include "base.h"
#include "emu.h"
#include "raw.h"

#include <sys/single_threaded.h>

enum thread_state {
    THREAD_NEW,      /* not known to the emulator yet */
    THREAD_READY,    /* ... known */
    THREAD_OPEN,     /* ... cancelled at any place, or perhaps so: not inside of calls */
    THREAD_SPAWNING, /* a child runs with our memory, and perhaps as this thread */
    THREAD_APART,    /* has descriptors of its own (unshare): all its calls are the kernel's */
};

#define SHIM_SAVED_SIGNALS 8 /* more at once lose their place in the order, not their content */

/* What the shim knows of a thread. */
struct shim_thread {
    struct emu_task task;
    enum thread_state state;
    bool no_cancel;      /* the call came through one of libc's _nocancel entries */
    bool held;           /* asynchronous cancellation is off until the call's edge */
    bool blocks_sigsys;  /* the guest believes so: sud_set_mask() */
    const void *trapped; /* while a caught call is served (sud.c): where it was made; or NULL */
    bool left_alone;     /* what is opened now is native: caller_begin() */
    pid_t spawned;       /* the child of a spawn, as that child itself found */
    void *left;          /* memory that it made for its exec: ours to free */
    size_t left_size;
    bool leaves;      /* the child that is being made won't be a member */
    int clone_kind;   /* of the clone that this thread makes now: man2_clone.c */
    int fork_slot;    /* from emu_fork_before() until fork has returned */
    uint64_t put_off; /* signals that wait for the call's edge, blocked meanwhile */
    int saved_count;  /* real-time signals among them, in the order they came */
    siginfo_t saved[SHIM_SAVED_SIGNALS];
    const char *other_stack; /* the alternate stack that a handler runs on, while a call waits */
    size_t other_stack_size;
};

extern __thread struct shim_thread shim_thread __attribute__((tls_model("initial-exec")));

/* Writes errno. Returns -1. */
long route_error(long negative_errno);

/* The same for what the kernel has answered to call `number` on descriptor `fd`: findings. */
long route_failed(long number, long fd, long negative_errno);

/* Slow parts of what follows. */
bool route_prepare(struct shim_thread *thread);
void route_forget_wait(struct shim_thread *thread, const void *frame);
void route_leave_slow(struct emu_task *self, bool sigpipe);
long route_cancellable(long number, long a, long b, long c, long d, long e, long f);

/* The core's hooks (struct emu_process). */
int64_t route_sleep(struct emu_task *self, const _Atomic uint32_t *word, uint32_t expected,
                    uint64_t deadline_ns);
int64_t route_call(struct emu_task *self, long number, const long arguments[6]);
int route_poll(struct emu_task *self, struct pollfd *fds, nfds_t count, int64_t timeout_ns,
               const sigset_t *mask);
void route_call_site(struct emu_task *self, char *ret_module, size_t module_size,
                     uint64_t *ret_offset);

/* True where our memory is shared but not our descriptors: a child of posix_spawn, THREAD_APART. */
bool route_in_spawned_child(void);

/* From now on no other thread may see what the end of the process does to its calls. */
void route_set_ending(void);

#define ROUTE_BARRIER() __asm__ volatile("" ::: "memory")

/* Prepares this thread for a call into the emulator. NULL: not possible here, make the raw call. */
static inline struct emu_task *route_enter(void)
{
    struct shim_thread *thread = &shim_thread;

    if (EMU_UNLIKELY(thread->state != THREAD_READY) && !route_prepare(thread)) {
        return NULL;
    }
    if (EMU_UNLIKELY(thread->task.wait_frame != NULL)) {
        route_forget_wait(thread, __builtin_frame_address(0));
    }
    thread->task.critical = 1;
    ROUTE_BARRIER();
    return &thread->task;
}

/* The same for a call that may be reported: notes where the guest called from. */
static inline struct emu_task *route_enter_from(const void *caller)
{
    struct emu_task *self = route_enter();

    if (self) {
        self->caller = EMU_UNLIKELY(shim_thread.trapped != NULL) ? shim_thread.trapped : caller;
    }
    return self;
}

/* Where the guest called from, if the wrapper was called from `caller`. */
static inline const void *route_caller(const void *caller)
{
    return EMU_UNLIKELY(shim_thread.trapped != NULL) ? shim_thread.trapped : caller;
}

/* Lets handlers run again. */
static inline void route_exit(struct emu_task *self)
{
    bool sigpipe = self->sigpipe;

    ROUTE_BARRIER();
    self->critical = 0;
    ROUTE_BARRIER();
    if (EMU_UNLIKELY(sigpipe || self->signals_put_off)) {
        route_leave_slow(self, sigpipe);
    }
}

/* Ends a call: what the guest's function returns. */
static inline long route_leave(struct emu_task *self, int64_t result)
{
    route_exit(self);
    return EMU_UNLIKELY(result < 0) ? route_error(result) : (long)result;
}

/* A raw result as libc returns it. */
static inline long route_result(long result)
{
    return EMU_UNLIKELY((unsigned long)result > -4096ul) ? route_error(result) : result;
}

/* The same of a call on a descriptor. */
static inline long route_result_of(long number, long fd, long result)
{
    return EMU_UNLIKELY((unsigned long)result > -4096ul) ? route_failed(number, fd, result)
                                                         : result;
}

/* A raw call that is a cancellation point when there are threads. */
static inline long route_native3(long number, long a, long b, long c)
{
    if (EMU_LIKELY(__libc_single_threaded)) {
        return route_result_of(number, a, raw_call3(number, a, b, c));
    }
    return route_cancellable(number, a, b, c, 0, 0, 0);
}

static inline long route_native6(long number, long a, long b, long c, long d, long e, long f)
{
    if (EMU_LIKELY(__libc_single_threaded)) {
        return route_result_of(number, a, raw_call6(number, a, b, c, d, e, f));
    }
    return route_cancellable(number, a, b, c, d, e, f);
}

#define NATIVE1(nr, a)       route_native3((nr), (long)(a), 0, 0)
#define NATIVE2(nr, a, b)    route_native3((nr), (long)(a), (long)(b), 0)
#define NATIVE3(nr, a, b, c) route_native3((nr), (long)(a), (long)(b), (long)(c))
#define NATIVE4(nr, a, b, c, d) \
    route_native6((nr), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define NATIVE5(nr, a, b, c, d, e) \
    route_native6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define NATIVE6(nr, a, b, c, d, e, f) \
    route_native6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* A raw call that is none. */
#define PLAIN(raw) route_result(raw)

/* The same for one on a descriptor, by its number. */
#define PLAIN_ON(fd, number, raw) route_result_of((number), (fd), (raw))

/*
 * Asynchronous cancellation would unwind a call from inside its critical part. While a thread is
 * THREAD_OPEN each entry switches it off, and the call's edge on again (man3_cancel.c).
 */
void route_hold_cancel(struct shim_thread *thread);
void route_resume_cancel(struct shim_thread *thread);

/* True when the emulator has a task for this thread. */
static inline bool route_is_known(const struct shim_thread *thread)
{
    return thread->state == THREAD_READY || thread->state == THREAD_OPEN;
}

/* Cancellation that is due happens here. */
void route_test_cancel(void);

static inline void route_cancel_point(void)
{
    if (EMU_UNLIKELY(!__libc_single_threaded)) {
        route_test_cancel();
    }
}

/* Words of a list of up to six arguments, which are evaluated once more than they stand there. */
#define WORDS_1(a)                            (uintptr_t)(a)
#define WORDS_2(a, ...)                       (uintptr_t)(a), WORDS_1(__VA_ARGS__)
#define WORDS_3(a, ...)                       (uintptr_t)(a), WORDS_2(__VA_ARGS__)
#define WORDS_4(a, ...)                       (uintptr_t)(a), WORDS_3(__VA_ARGS__)
#define WORDS_5(a, ...)                       (uintptr_t)(a), WORDS_4(__VA_ARGS__)
#define WORDS_6(a, ...)                       (uintptr_t)(a), WORDS_5(__VA_ARGS__)
#define WORDS_N(a, b, c, d, e, f, words, ...) words
#define WORDS(...) \
    WORDS_N(__VA_ARGS__, WORDS_6, WORDS_5, WORDS_4, WORDS_3, WORDS_2, WORDS_1, )(__VA_ARGS__)

/*
 * A call of the guest's that the emulator serves, in a wrapper where `self` is the task: all of
 * them are made through this, for it is where a recording and faults hook in. The arguments are
 * plain names. `caller` is where the guest called from.
 */
#define EMULATE_FROM(caller, name, ...)                                                           \
    ({                                                                                            \
        struct emu_trace_open open_;                                                              \
        struct emu_fault_call fault_;                                                             \
        int64_t answer_;                                                                          \
        bool records_ = self->records;                                                            \
        bool faults_ = self->faults;                                                              \
        bool goes_ = true;                                                                        \
        if (EMU_UNLIKELY(records_)) {                                                             \
            const uint64_t words_[] = { WORDS(__VA_ARGS__) };                                     \
            emu_trace_enter(self, EMU_CALL_##name, words_, &open_);                               \
        }                                                                                         \
        if (EMU_UNLIKELY(faults_)) {                                                              \
            const uint64_t words_[] = { WORDS(__VA_ARGS__) };                                     \
            goes_ = emu_fault_begin(self, EMU_CALL_##name, words_, route_caller(caller), &fault_, \
                                    &answer_);                                                    \
        }                                                                                         \
        if (EMU_LIKELY(goes_)) {                                                                  \
            answer_ = emu_##name(self, __VA_ARGS__);                                              \
        }                                                                                         \
        if (EMU_UNLIKELY(records_)) {                                                             \
            emu_trace_leave(self, &open_, answer_);                                               \
        }                                                                                         \
        if (EMU_UNLIKELY(faults_)) {                                                              \
            const uint64_t words_[] = { WORDS(__VA_ARGS__) };                                     \
            emu_fault_end(self, EMU_CALL_##name, words_, &fault_, answer_);                       \
        }                                                                                         \
        answer_;                                                                                  \
    })
#define EMULATE(name, ...) EMULATE_FROM(__builtin_return_address(0), name, __VA_ARGS__)

/*
 * The recording of a call that EMULATE() has begun, and that the kernel is to answer. take: true
 * when there is one. answer: `result` as libc returns it, with errno.
 */
static inline bool route_take_open(struct emu_task *self, struct emu_trace_open *ret_open)
{
    bool is_open = EMU_UNLIKELY(self->trace_is_open);

    if (is_open) {
        self->trace_is_open = false;
        *ret_open = self->trace_open;
    }
    return is_open;
}

void route_answer(const struct emu_trace_open *open, long result);

/*
 * A whole wrapper: `emulated` is an emu_ call on `self` and is made when `condition` holds; when it
 * doesn't, or the answer is EMU_NATIVE, `native` is what to return.
 */
#define ROUTE(condition, emulated, native)                   \
    do {                                                     \
        struct emu_trace_open kernels_;                      \
        bool is_open_ = false;                               \
        long native_;                                        \
        if (condition) {                                     \
            struct emu_task *self = route_enter();           \
            if (EMU_LIKELY(self != NULL)) {                  \
                int64_t result_ = (emulated);                \
                if (EMU_LIKELY(result_ != EMU_NATIVE)) {     \
                    return route_leave(self, result_);       \
                }                                            \
                is_open_ = route_take_open(self, &kernels_); \
                route_exit(self);                            \
            }                                                \
        }                                                    \
        native_ = (native);                                  \
        if (EMU_UNLIKELY(is_open_)) {                        \
            route_answer(&kernels_, native_);                \
        }                                                    \
        return native_;                                      \
    } while (0)

/*
 * The body of a wrapper that moves bytes and may block: a cancellation point. When the channel went
 * native in the middle, `remainder` goes on in the kernel behind self->progress.
 */
#define ROUTE_TRANSFER(fd, enter, emulated, remainder, native) \
    do {                                                       \
        struct emu_trace_open kernels_;                        \
        bool is_open_ = false;                                 \
        long native_;                                          \
        if (emu_fd_is_emulated(fd)) {                          \
            struct emu_task *self;                             \
                                                               \
            route_cancel_point();                              \
            self = (enter);                                    \
            if (EMU_LIKELY(self != NULL)) {                    \
                int64_t result_ = (emulated);                  \
                                                               \
                if (EMU_LIKELY(result_ != EMU_NATIVE)) {       \
                    return route_leave(self, result_);         \
                }                                              \
                if (self->progress > 0) {                      \
                    return (remainder);                        \
                }                                              \
                is_open_ = route_take_open(self, &kernels_);   \
                route_exit(self);                              \
            }                                                  \
        }                                                      \
        native_ = (native);                                    \
        if (EMU_UNLIKELY(is_open_)) {                          \
            route_answer(&kernels_, native_);                  \
        }                                                      \
        return native_;                                        \
    } while (0)

#endif
