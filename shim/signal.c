/*
 * signal.c - see signal.h: our handler, putting off, delivering
 */
#include "signal.h"

#include "host.h"
#include "route.h"
#include "sud.h"

#include <string.h>

_Atomic uint64_t signal_actions[SIGNAL_COUNT];

/*
 * libgcc and gdb recognise a signal frame by exactly these bytes (x86_64_fallback_frame_state), gdb
 * by this name too.
 */
__asm__(".text\n"
        ".p2align 4\n"
        "    nop\n"
        ".type __restore_rt, @function\n"
        ".globl __restore_rt\n"
        ".hidden __restore_rt\n"
        "__restore_rt:\n"
        "    .byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00\n" /* mov $15, %rax */
        "    syscall\n"
        ".size __restore_rt, . - __restore_rt\n");

static uint64_t bit_of(int number)
{
    return 1ull << (number - 1);
}

#define FIRST_REAL_TIME 32
#define TICK_MARK       0x7157c4

static void send_to_self(int number, const siginfo_t *info)
{
    RAW4(SYS_rt_tgsigqueueinfo, RAW0(SYS_getpid), RAW0(SYS_gettid), number, info);
}

static void send_tick(int number)
{
    siginfo_t tick;

    memset(&tick, 0, sizeof tick);
    tick.si_signo = number;
    tick.si_code = SI_USER; /* never refused: with the queue full it is only a bit */
    tick.si_value.sival_int = TICK_MARK;
    send_to_self(number, &tick);
}

/* A tick's content is lost when the queue was full; `expected`: there is something to bring. */
static bool is_tick(const siginfo_t *info, bool expected)
{
    return info->si_code == SI_USER &&
           (info->si_value.sival_int == TICK_MARK || (expected && info->si_pid == 0));
}

/* Index of the oldest saved signal of that number, or -1. */
static int oldest_saved(const struct shim_thread *thread, int number)
{
    for (int i = 0; i < thread->saved_count; i++) {
        if (thread->saved[i].si_signo == number) {
            return i;
        }
    }
    return -1;
}

/* Keeps the signal for the call's edge. */
static void put_off(struct shim_thread *thread, int number, siginfo_t *info, ucontext_t *context)
{
    uint64_t all = UINT64_MAX;

    /* Nothing else comes in between; the return from the handler undoes this. */
    RAW4(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, sizeof all);
    thread->put_off |= bit_of(number);
    thread->task.signals_put_off = true;
    sigaddset(&context->uc_sigmask, number);
    if (number < FIRST_REAL_TIME || thread->saved_count == SHIM_SAVED_SIGNALS) {
        send_to_self(number, info);
        return;
    }
    if (!is_tick(info, oldest_saved(thread, number) >= 0)) {
        thread->saved[thread->saved_count++] = *info;
    }
    send_tick(number);
}

/*
 * A real-time signal at the call's edge, with some saved or a tick: puts the siginfo whose turn it
 * is into *info. False: there is nothing for the guest.
 */
static bool take_turn(struct shim_thread *thread, int number, siginfo_t *info)
{
    uint64_t all = UINT64_MAX;
    uint64_t before;
    siginfo_t came = *info;
    bool tick;
    int index;

    RAW4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &before, sizeof all);
    index = oldest_saved(thread, number);
    tick = is_tick(&came, index >= 0);
    if (index >= 0) {
        *info = thread->saved[index];
        thread->saved_count--;
        memmove(&thread->saved[index], &thread->saved[index + 1],
                (size_t)(thread->saved_count - index) * sizeof came);
        if (!tick) {
            thread->saved[thread->saved_count++] = came;
        } else if (oldest_saved(thread, number) >= 0) {
            send_tick(number); /* ticks may have merged */
        }
    }
    RAW4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    return index >= 0 || !tick;
}

void signal_deliver(struct emu_task *self)
{
    struct shim_thread *thread = &shim_thread;
    int critical = self->critical;
    bool held = thread->held;
    uint64_t mask;

    self->critical = 0;
    ROUTE_BARRIER();
    self->signals_put_off = false;
    mask = __atomic_exchange_n(&thread->put_off, 0, __ATOMIC_SEQ_CST);
    if (mask) {
        RAW4(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, NULL, sizeof mask);
    }
    ROUTE_BARRIER();
    if (EMU_UNLIKELY(held)) {
        thread->held = true;
        route_hold_cancel(thread); /* calls of the handlers ended with it on */
    }
    self->critical = critical;
}

/* The default action, as it would have been without our handler. */
static void act_by_default(int number, siginfo_t *info)
{
    struct kernel_action action = { 0 };

    RAW4(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask);
    if (info->si_code <= 0) {
        /* Sent by somebody: again, to the default action, once our handler has returned. */
        send_to_self(number, info);
    }
}

/* A recording says when handlers run. */
static void note_handler(bool begins, const siginfo_t *info, struct emu_trace_open *open)
{
    struct emu_task *self = route_enter();

    if (self && begins) {
        emu_trace_signal(self, info, open);
    } else if (self) {
        emu_trace_left(self, open, 0);
    }
    if (self) {
        route_exit(self);
    }
}

/* Calls the guest's handler as it was installed. */
static void call_guest(uint64_t action, int number, siginfo_t *info, void *context)
{
    uintptr_t address = action & ACTION_ADDRESS;

    emu_signal_info(info);
    if (action & ACTION_SIGINFO) {
        ((void (*)(int, siginfo_t *, void *))address)(number, info, context);
    } else {
        ((void (*)(int))address)(number);
    }
}

/* While the guest's handler runs, calls it makes tell a wait below them from one left behind. */
static void run_guest(struct shim_thread *thread, uint64_t action, int number, siginfo_t *info,
                      ucontext_t *context)
{
    bool slow = host_copy_slow;
    bool no_cancel = thread->no_cancel; /* of the call that it interrupts */
    const void *trapped = thread->trapped;
    const char *stack = thread->other_stack;
    size_t stack_size = thread->other_stack_size;
    struct emu_trace_open open = { .number = UINT64_MAX };
    bool records = route_is_known(thread) && thread->task.records;

    if (route_is_known(thread)) {
        emu_task_interrupt(&thread->task, (action & ACTION_RESTART) != 0);
    }
    if (thread->task.wait_frame && !(context->uc_stack.ss_flags & SS_DISABLE)) {
        thread->other_stack = context->uc_stack.ss_sp;
        thread->other_stack_size = context->uc_stack.ss_size;
    }
    if (action & ACTION_SLOW_COPY) {
        host_copy_slow = true;
    }
    if (EMU_UNLIKELY(shim.sud)) {
        sud_handler_begins(context);
    }
    thread->no_cancel = false;
    thread->trapped = NULL;
    if (EMU_UNLIKELY(records)) {
        emu_signal_info(info);
        note_handler(true, info, &open);
    }
    if (EMU_UNLIKELY(thread->task.faults) && route_is_known(thread)) {
        emu_fault_handler(&thread->task);
    }
    call_guest(action, number, info, context);
    if (EMU_UNLIKELY(records)) {
        note_handler(false, info, &open);
    }
    thread->no_cancel = no_cancel;
    thread->trapped = trapped;
    if (EMU_UNLIKELY(shim.sud)) {
        sud_handler_ends(context);
    }
    host_copy_slow = slow;
    thread->other_stack = stack;
    thread->other_stack_size = stack_size;
}

/*
 * On Linux a process's descriptors are closed before its parent is told (kernel/exit.c:do_exit). So
 * the ends of this child have gone when the handler runs, and what it writes comes behind that.
 */
static void sweep_child(const siginfo_t *info)
{
    bool dead = info->si_code == CLD_EXITED || info->si_code == CLD_KILLED ||
                info->si_code == CLD_DUMPED;
    struct emu_task *self = dead && session_attached() ? route_enter() : NULL;

    if (self) {
        emu_process_sweep(self, info->si_pid);
        route_exit(self);
    }
}

void signal_handler(int number, siginfo_t *info, void *context)
{
    struct shim_thread *thread = &shim_thread;
    bool from_fault = signal_is_fault(number) && info->si_code > 0;
    uint64_t action;
    uintptr_t address;

    if (from_fault && host_copy_recover(context)) {
        return;
    }
    if (thread->task.critical > 0 && !from_fault) {
        put_off(thread, number, info, context);
        return;
    }
    if (number >= FIRST_REAL_TIME && (thread->saved_count > 0 || is_tick(info, false)) &&
        !take_turn(thread, number, info)) {
        return;
    }
    action = atomic_load(&signal_actions[number]);
    if (action & ACTION_RESETHAND) {
        struct sigaction reset;

        memset(&reset, 0, sizeof reset);
        signal_set(number, &reset, NULL);
    }
    address = action & ACTION_ADDRESS;
    if (address == (uintptr_t)SIG_IGN && !from_fault) {
        return;
    }
    if (address == (uintptr_t)SIG_DFL || address == (uintptr_t)SIG_IGN) {
        act_by_default(number, info); /* the kernel forces an ignored fault, too */
        return;
    }
    if (number == SIGCHLD) {
        sweep_child(info);
    }
    run_guest(thread, action, number, info, context);
}

/* Does the guest's action need our handler in the kernel? */
static bool needs_handler(int number, uintptr_t address)
{
    return (address != (uintptr_t)SIG_DFL && address != (uintptr_t)SIG_IGN) ||
           (signal_is_fault(number) && shim.emulates);
}

static uint64_t word_of(const struct sigaction *action)
{
    uint64_t word = ((uintptr_t)action->sa_handler & ACTION_ADDRESS) | ACTION_INSTALLED;

    word |= action->sa_flags & SA_SIGINFO ? ACTION_SIGINFO : 0;
    word |= action->sa_flags & SA_RESETHAND ? ACTION_RESETHAND : 0;
    word |= action->sa_flags & SA_RESTART ? ACTION_RESTART : 0;
    if (sigismember(&action->sa_mask, SIGSEGV) || sigismember(&action->sa_mask, SIGBUS)) {
        word |= ACTION_SLOW_COPY;
    }
    return word;
}

/* What the kernel held, as the guest knows it. `word` is what our table held. */
static void show_old(const struct kernel_action *old, uint64_t word, struct sigaction *ret_old)
{
    unsigned long flags = old->flags;
    uintptr_t address = (uintptr_t)old->handler;

    if (old->handler == signal_handler) {
        address = word & ACTION_ADDRESS;
        flags &= ~(unsigned long)(SA_SIGINFO | SA_RESETHAND);
        flags |= word & ACTION_SIGINFO ? SA_SIGINFO : 0;
        flags |= word & ACTION_RESETHAND ? (unsigned long)SA_RESETHAND : 0;
    }
    memset(ret_old, 0, sizeof *ret_old);
    ret_old->sa_handler = (sighandler_t)address;
    ret_old->sa_flags = (int)flags;
    ret_old->sa_restorer = old->flags & KERNEL_SA_RESTORER ? old->restorer : NULL;
    memcpy(&ret_old->sa_mask, &old->mask, sizeof old->mask);
}

void signal_note(int number, const struct sigaction *action)
{
    atomic_store(&signal_actions[number], word_of(action));
}

/* Which handlers could interrupt a call that waits: for --faults. */
static void note_interrupts(int number, const struct sigaction *action)
{
    uint64_t bit = bit_of(number);
    bool handled = action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN &&
                   !signal_is_fault(number);

    if (handled) {
        atomic_fetch_or(&shim.process.handlers, bit);
    } else {
        atomic_fetch_and(&shim.process.handlers, ~bit);
    }
    if (handled && !(action->sa_flags & SA_RESTART)) {
        atomic_fetch_or(&shim.process.handlers_final, bit);
    } else {
        atomic_fetch_and(&shim.process.handlers_final, ~bit);
    }
}

long signal_set(int number, const struct sigaction *action, struct sigaction *ret_old)
{
    struct kernel_action set = { 0 };
    struct kernel_action old = { 0 };
    uint64_t word = atomic_load(&signal_actions[number]);
    long result;

    if (EMU_UNLIKELY(number == SIGSYS && shim.sud)) {
        return sud_set_action(action, ret_old);
    }
    if (action) {
        set.flags = (unsigned long)action->sa_flags | KERNEL_SA_RESTORER;
        set.restorer = __restore_rt;
        memcpy(&set.mask, &action->sa_mask, sizeof set.mask);
        set.handler = (void (*)(int, siginfo_t *, void *))(uintptr_t)action->sa_handler;
        if (needs_handler(number, (uintptr_t)action->sa_handler)) {
            set.handler = signal_handler;
            set.flags = (set.flags | SA_SIGINFO) & ~(unsigned long)SA_RESETHAND;
            signal_note(number, action);
        }
    }
    result = RAW4(SYS_rt_sigaction, number, action ? &set : NULL, &old, sizeof set.mask);
    if (result == 0 && action) {
        note_interrupts(number, action);
    }
    if (result == 0 && ret_old) {
        show_old(&old, word, ret_old);
    }
    return result;
}

/*
 * The guest's own action stays what it is; only who is asked first changes. Idempotent: what stands
 * in the kernel already as ours is left.
 */
void signal_catch_faults(void)
{
    static const int faults[] = { SIGSEGV, SIGBUS };

    for (size_t i = 0; i < 2; i++) {
        struct sigaction action;

        if (signal_set(faults[i], NULL, &action) == 0) {
            signal_set(faults[i], &action, NULL);
        }
    }
}

void signal_learn_mask(void)
{
    uint64_t mask = 0;

    RAW4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    host_copy_slow = (mask & (bit_of(SIGSEGV) | bit_of(SIGBUS))) != 0;
}
