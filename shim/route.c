/*
 * route.c - see route.h: the slow parts, the core's hooks, and errno
 */
#include "route.h"

#include "host.h"
#include "shim.h"

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

bool route_in_spawned_child(void)
{
    pid_t pid;

    if (EMU_LIKELY(shim_thread.state != THREAD_SPAWNING)) {
        return false;
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

    if (thread->state == THREAD_READY) {
        thread->state = THREAD_NEW;
        thread->task.critical = 1;
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
    if (thread->state == THREAD_SPAWNING) {
        return !route_in_spawned_child();
    }
    if (!session_attached()) {
        return false;
    }
    emu_task_enter(&thread->task, &shim.process);
    thread->state = THREAD_READY;
    signal_learn_mask();
    watch_thread_end(thread);
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

/* SIGPIPE as the kernel sends it: to this thread, from itself (pipe_write, send_sig). */
static void raise_sigpipe(void)
{
    siginfo_t info;
    long pid = RAW0(SYS_getpid);

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
        raise_sigpipe();
    }
    if (self->signals_put_off) {
        signal_deliver(self);
    }
    stop_if_ending();
}

void route_test_cancel(void)
{
    if (!shim_thread.no_cancel) {
        pthread_testcancel();
    }
}

long route_cancellable(long number, long a, long b, long c, long d, long e, long f)
{
    int old;
    long result;

    if (shim_thread.no_cancel || atomic_load(&shim.state) == SHIM_BOOT) {
        return route_result(raw_call6(number, a, b, c, d, e, f));
    }
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    result = raw_call6(number, a, b, c, d, e, f);
    pthread_setcanceltype(old, &old);
    return route_result(result);
}

int64_t route_sleep(struct emu_task *self, const _Atomic uint32_t *word, uint32_t expected,
                    uint64_t deadline_ns)
{
    int64_t result;
    int old;

    if (self->signals_put_off) {
        signal_deliver(self); /* changes *word, so that the sleep ends at once */
    }
    if (__libc_single_threaded || shim_thread.no_cancel) {
        result = host_futex_wait(word, expected, deadline_ns);
    } else {
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
        result = host_futex_wait(word, expected, deadline_ns);
        pthread_setcanceltype(old, &old);
    }
    stop_if_ending();
    return result;
}

void route_call_site(struct emu_task *self, char *ret_module, size_t module_size,
                     uint64_t *ret_offset)
{
    Dl_info info;
    const char *name;
    size_t length;

    ret_module[0] = 0;
    *ret_offset = 0;
    if (!self->caller || dladdr(self->caller, &info) == 0 || !info.dli_fname) {
        return;
    }
    name = strrchr(info.dli_fname, '/');
    name = name ? name + 1 : info.dli_fname;
    length = strlen(name);
    length = length < module_size ? length : module_size - 1;
    memcpy(ret_module, name, length);
    ret_module[length] = 0;
    *ret_offset = (uint64_t)((const char *)self->caller - (const char *)info.dli_fbase);
}
