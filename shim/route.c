/*
 * route.c - see route.h: the slow parts, the core's hooks, and errno
 */
#include "route.h"

#include "finding.h"
#include "host.h"
#include "real.h"
#include "shim.h"
#include "site.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

__thread struct shim_thread shim_thread;

/* Set when the process has given its descriptors up and is about to end. */
static _Atomic bool ending;

/* Its destructor runs when a thread ends, also by cancellation. No memory: a key below 32. */
static pthread_key_t thread_key;
static _Atomic bool thread_key_made;

long route_error(long negative_errno)
{
    errno = (int)-negative_errno;
    return -1;
}

/* Calls whose first argument is no descriptor, or that only ask whether it is one. */
static bool tells_nothing(long number)
{
    return number == SYS_select || number == SYS_pselect6;
}

long route_failed(long number, long fd, long negative_errno)
{
    if (negative_errno == -EBADF && emu_track_is_on() && !tells_nothing(number)) {
        site_bad_fd((int)fd, number);
    }
    return route_error(negative_errno);
}

bool route_in_spawned_child(void)
{
    pid_t pid;

    if (EMU_LIKELY(shim_thread.state < THREAD_SPAWNING)) {
        return false;
    }
    if (shim_thread.state == THREAD_APART) {
        return true;
    }
    pid = (pid_t)RAW0(SYS_getpid);
    if (pid == shim.process.pid) {
        return false;
    }
    shim_thread.spawned = pid; /* our memory: the parent reads it */
    return true;
}

void route_set_ending(void)
{
    atomic_store(&ending, true);
}

/* Other threads of an ending process stay in the emulator: Linux would have killed them there. */
static void stop_if_ending(void)
{
    if (EMU_UNLIKELY(atomic_load_explicit(&ending, memory_order_relaxed))) {
        for (;;) { /* until exit_group, which the ending thread makes next */
            RAW4(SYS_ppoll, NULL, 0, NULL, NULL);
        }
    }
}

static void thread_ended(void *value)
{
    struct shim_thread *thread = value;

    if (route_is_known(thread)) {
        thread->state = THREAD_NEW;
        thread->task.critical = 1;
        emu_trace_exit(&thread->task, false, 0);
        emu_task_leave(&thread->task);
        thread->task.critical = 0;
    }
}

static void watch_thread_end(struct shim_thread *thread)
{
    if (!atomic_load(&thread_key_made)) {
        pthread_key_t key;
        bool expected = false;

        if (pthread_key_create(&key, thread_ended) != 0) {
            return;
        }
        thread_key = key; /* one thread wins; the other's key is left unused */
        if (!atomic_compare_exchange_strong(&thread_key_made, &expected, true)) {
            return;
        }
    }
    pthread_setspecific(thread_key, thread);
}

bool route_prepare(struct shim_thread *thread)
{
    if (!session_attached()) {
        return false;
    }
    if (thread->state >= THREAD_SPAWNING) {
        return !route_in_spawned_child();
    }
    route_hold_cancel(thread);
    if (thread->state == THREAD_NEW) {
        emu_task_enter(&thread->task, &shim.process);
        thread->task.signals_put_off = thread->held;
        signal_learn_mask();
        watch_thread_end(thread);
    }
    thread->state = thread->held ? THREAD_OPEN : THREAD_READY;
    return true;
}

/*
 * A call starts while another call's wait stands. Either a handler makes it (it stands below the
 * waiting frame, or on the alternate stack), or that wait was left by siglongjmp.
 */
void route_forget_wait(struct shim_thread *thread, const void *frame)
{
    const char *here = frame;
    bool on_other_stack = thread->other_stack && here >= thread->other_stack &&
                          here < thread->other_stack + thread->other_stack_size;

    if (here > (const char *)thread->task.wait_frame && !on_other_stack) {
        thread->task.critical = 1;
        emu_task_clear(&thread->task);
        thread->other_stack = NULL;
    }
}

/* Whether SIGPIPE ends the process: it is neither handled nor ignored nor blocked. */
static bool sigpipe_kills(void)
{
    uint64_t mask = 0;
    struct {
        void *handler;
        uint64_t rest[3];
    } action = { NULL, { 0 } }; /* the kernel's, not libc's */

    RAW4(SYS_rt_sigaction, SIGPIPE, NULL, &action, sizeof mask);
    RAW4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    return action.handler == NULL && !(mask >> (SIGPIPE - 1) & 1);
}

/* SIGPIPE as the kernel sends it: to this thread, from itself (pipe_write, send_sig). */
static void raise_sigpipe(struct emu_task *self)
{
    siginfo_t info;
    long pid = RAW0(SYS_getpid);

    if (emu_track_is_on() && sigpipe_kills()) {
        self->critical = 1;
        emu_track_sigpipe(self);
        self->critical = 0;
    }
    memset(&info, 0, sizeof info);
    info.si_signo = SIGPIPE;
    info.si_code = SI_USER;
    info.si_pid = (pid_t)pid;
    info.si_uid = (uid_t)RAW0(SYS_getuid);
    RAW4(SYS_rt_tgsigqueueinfo, pid, RAW0(SYS_gettid), SIGPIPE, &info);
}

void route_leave_slow(struct emu_task *self, bool sigpipe)
{
    if (sigpipe) {
        self->sigpipe = false;
        raise_sigpipe(self);
    }
    if (self->signals_put_off) {
        signal_deliver(self);
    }
    stop_if_ending();
    if (EMU_UNLIKELY(shim_thread.held)) {
        route_resume_cancel(&shim_thread);
    }
}

void route_answer(const struct emu_trace_open *open, long result)
{
    int error = errno;
    struct emu_task *self = route_enter();

    if (self) {
        emu_trace_answered(self, open, result == -1 ? -error : result);
        route_exit(self);
    }
    errno = error;
}

void route_test_cancel(void)
{
    if (!shim_thread.no_cancel) {
        pthread_testcancel();
    }
}

/* What a sleep changes, and undoes however it ends, but by siglongjmp. */
struct open_cancel {
    struct shim_thread *thread;
    bool held;
    int type;
};

static void close_cancel(struct open_cancel *open)
{
    struct shim_thread *thread = open->thread;
    int old;

    real_pthread_setcanceltype()(open->type, &old);
    if (thread->state == THREAD_OPEN) {
        if (!open->held && open->type == PTHREAD_CANCEL_DEFERRED) {
            thread->state = THREAD_READY;
        }
        thread->held = open->held;
        thread->task.signals_put_off |= open->held;
    }
}

/*
 * Until the end of the block the thread can be cancelled at any place. A handler that leaves by
 * siglongjmp leaves it so, as in libc's own calls; THREAD_OPEN tells the next call.
 */
#define WITH_CANCEL_OPEN(name)                                                     \
    struct open_cancel name                                                        \
        __attribute__((cleanup(close_cancel))) = { &shim_thread, shim_thread.held, \
                                                   PTHREAD_CANCEL_DEFERRED };      \
    if (shim_thread.state == THREAD_READY) {                                       \
        shim_thread.state = THREAD_OPEN;                                           \
    }                                                                              \
    real_pthread_setcanceltype()(PTHREAD_CANCEL_ASYNCHRONOUS, &name.type)

long route_cancellable(long number, long a, long b, long c, long d, long e, long f)
{
    if (shim_thread.no_cancel || atomic_load(&shim.state) == SHIM_BOOT) {
        return route_result_of(number, a, raw_call6(number, a, b, c, d, e, f));
    }
    WITH_CANCEL_OPEN(open);
    return route_result_of(number, a, raw_call6(number, a, b, c, d, e, f));
}

/* Not inlined: the unwinder finds what to undo by the place of a call, not of an instruction. */
static int64_t __attribute__((noinline))
futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    return host_futex_wait(word, expected, deadline_ns);
}

static int64_t futex_wait_open(const _Atomic uint32_t *word, uint32_t expected,
                               uint64_t deadline_ns)
{
    WITH_CANCEL_OPEN(open);
    return futex_wait(word, expected, deadline_ns);
}

static int __attribute__((noinline))
poll_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns, const sigset_t *mask)
{
    return host_poll(fds, count, timeout_ns, mask);
}

static int poll_wait_open(struct pollfd *fds, nfds_t count, int64_t timeout_ns,
                          const sigset_t *mask)
{
    WITH_CANCEL_OPEN(open);
    return poll_wait(fds, count, timeout_ns, mask);
}

int64_t route_sleep(struct emu_task *self, const _Atomic uint32_t *word, uint32_t expected,
                    uint64_t deadline_ns)
{
    int64_t result;

    if (self->signals_put_off) {
        signal_deliver(self); /* changes *word, so that the sleep ends at once */
    }
    if (__libc_single_threaded || shim_thread.no_cancel) {
        result = host_futex_wait(word, expected, deadline_ns);
    } else {
        result = futex_wait_open(word, expected, deadline_ns);
    }
    stop_if_ending();
    return result;
}

static int64_t __attribute__((noinline)) kernel_call(long number, const long a[6])
{
    return raw_call6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int64_t kernel_call_open(long number, const long arguments[6])
{
    WITH_CANCEL_OPEN(open);
    return kernel_call(number, arguments);
}

/* A call that the kernel blocks in: connect, accept, splice from a descriptor of its own. */
int64_t route_call(struct emu_task *self, long number, const long arguments[6])
{
    int64_t result;

    (void)self;
    if (__libc_single_threaded || shim_thread.no_cancel) {
        result = kernel_call(number, arguments);
    } else {
        result = kernel_call_open(number, arguments);
    }
    stop_if_ending();
    return result;
}

/*
 * The same in poll. What was put off runs before the core looks at the wake word for the last time;
 * a handler that runs later interrupts poll, or has rung the task's bell.
 */
int route_poll(struct emu_task *self, struct pollfd *fds, nfds_t count, int64_t timeout_ns,
               const sigset_t *mask)
{
    int result;

    (void)self;
    if (__libc_single_threaded || shim_thread.no_cancel) {
        result = host_poll(fds, count, timeout_ns, mask);
    } else {
        result = poll_wait_open(fds, count, timeout_ns, mask);
    }
    stop_if_ending();
    return result;
}

void route_call_site(struct emu_task *self, char *ret_module, size_t module_size,
                     uint64_t *ret_offset)
{
    const void *caller;
    Dl_info info;
    const char *name;
    size_t length;

    ret_module[0] = 0;
    *ret_offset = 0;
    caller = self->caller && !site_is_own(self->caller) ? self->caller : site_caller();
    if (!caller || dladdr(caller, &info) == 0 || !info.dli_fname) {
        return;
    }
    name = strrchr(info.dli_fname, '/');
    name = name ? name + 1 : info.dli_fname;
    length = strlen(name);
    length = length < module_size ? length : module_size - 1;
    memcpy(ret_module, name, length);
    ret_module[length] = 0;
    *ret_offset = (uint64_t)((const char *)caller - (const char *)info.dli_fbase);
}
