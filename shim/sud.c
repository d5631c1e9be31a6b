/*
 * sud.c - see sud.h: the handler of SIGSYS, and what must not be made from inside it
 *
 * The kernel lets through what stands in this library's own range of addresses, so there is no
 * selector byte to keep: our raw calls, the return from our handlers and the stubs of sud_entry.S
 * are never caught, everything else always is, also in handlers of the guest and in what we call of
 * libc. One handler may therefore interrupt another (SA_NODEFER).
 *
 * Dispatch ends with clone, fork and exec (copy_process, begin_new_exec). A new thread of libc's
 * starts it again before anything else, a forked child in process_watch_forks()'s handler, a new
 * image in its constructor. A child that shares our memory but not our descriptors (posix_spawn)
 * runs without it, as it must.
 *
 * Invariants: SIGSYS is never blocked while guest code runs (a blocked one kills); nothing here
 * looks up a symbol or allocates once it is on.
 *
 * Leaves out: programs in Go; threads that are made by hand, with clone in a place outside libc:
 * they run without it. A guest's own handler of SIGSYS gets no alternate stack.
 */
#include "sud.h"

#include "host.h"
#include "process.h"
#include "real.h"
#include "signal.h"

#include <dlfcn.h>
#include <elf.h>
#include <gnu/libc-version.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/single_threaded.h>
#include <sys/uio.h>

#define SUD_SITES   64 /* places that calls of the stubs come from; sud_entry.S has it, too */
#define STUB_SIZE   8
#define THREAD_SIZE 32

#define CODE_DISPATCH 2 /* SYS_USER_DISPATCH of asm-generic/siginfo.h */
#define ARCH_X86_64   0xc000003eu

#define AUTODISARM  INT_MIN /* SS_AUTODISARM of linux/signal.h */
#define BIT_SIGSYS  (1ull << (SIGSYS - 1))
#define FAULT_MASKS ((1ull << (SIGSEGV - 1)) | (1ull << (SIGBUS - 1)))

extern const char sud_stubs[];
extern const char sud_threads[];
_Atomic uintptr_t sud_sites[SUD_SITES];
void sud_thread_begins(void);

struct range {
    uintptr_t start;
    size_t size;
};

static struct range own;  /* this library */
static struct range libc; /* whose clone we know */

/* What the guest believes of SIGSYS; signal_actions has the part that its handler needs. */
static struct sigaction guest_action;

static bool find_range(const void *address, struct range *ret_range)
{
    struct dl_find_object found;

    if (_dl_find_object((void *)(uintptr_t)address, &found) != 0) {
        return false;
    }
    ret_range->start = (uintptr_t)found.dlfo_map_start;
    ret_range->size = (uintptr_t)found.dlfo_map_end - ret_range->start;
    return true;
}

/* True when one of the notes in `size` bytes is Go's. */
static bool has_go_note(const char *at, size_t size)
{
    const char *end = at + size;
    Elf64_Nhdr note;

    while ((size_t)(end - at) >= sizeof note + 4) {
        size_t length;

        memcpy(&note, at, sizeof note);
        if (note.n_namesz == 4 && memcmp(at + sizeof note, "Go", 3) == 0) {
            return true;
        }
        length = sizeof note + ((note.n_namesz + 3) & ~3ul) + ((note.n_descsz + 3) & ~3ul);
        if (length > (size_t)(end - at)) {
            break;
        }
        at += length;
    }
    return false;
}

/*
 * Go runs on stacks of 2 KiB, where no frame of a signal has room: its programs are told by the
 * note that Go's linker writes (cmd/link, ELF_NOTE_GOBUILDID_TAG).
 */
static bool is_go(void)
{
    const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
    size_t count = headers ? getauxval(AT_PHNUM) : 0;
    uintptr_t base = 0;

    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type == PT_PHDR) {
            base = (uintptr_t)headers - headers[i].p_vaddr;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type == PT_NOTE &&
            has_go_note((const char *)base + headers[i].p_vaddr, headers[i].p_memsz)) {
            return true;
        }
    }
    return false;
}

static long arm(void)
{
    return RAW5(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, own.start, own.size,
                0);
}

/* Reads the guest's memory where nobody may have taken over its faults yet. */
static bool copy_in(void *ret_to, const void *from, size_t size)
{
    struct iovec to = { ret_to, size };
    struct iovec guest = { (void *)(uintptr_t)from, size };

    return RAW6(SYS_process_vm_readv, RAW0(SYS_getpid), &to, 1, &guest, 1, 0) == (long)size;
}

/* ---- Masks ---- */

/*
 * The mask that the thread has now becomes what it goes on with. It isn't always the one that it
 * was caught with: handlers of the guest that ran meanwhile may have changed it (uc_sigmask). No
 * other runs until the return from our handler.
 */
static void keep_mask(ucontext_t *context)
{
    uint64_t all = UINT64_MAX;
    uint64_t mask;

    RAW4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &mask, sizeof mask);
    mask &= ~BIT_SIGSYS;
    memcpy(&context->uc_sigmask, &mask, sizeof mask);
}

/*
 * The kernel does the sum and judges the arguments, with SIGSYS as the guest believes it to be for
 * that moment. A handler that runs in it leaves its own word in blocks_sigsys (sud_handler_ends).
 */
long sud_set_mask(int how, const void *set, void *ret_old, size_t size)
{
    struct shim_thread *thread = &shim_thread;
    uint64_t sigsys = BIT_SIGSYS;
    uint64_t now = 0;
    long result;

    if (thread->blocks_sigsys) {
        RAW4(SYS_rt_sigprocmask, SIG_BLOCK, &sigsys, NULL, sizeof sigsys);
        thread->blocks_sigsys = false;
    }
    result = RAW4(SYS_rt_sigprocmask, how, set, ret_old, size);
    RAW4(SYS_rt_sigprocmask, SIG_UNBLOCK, &sigsys, &now, sizeof now);
    thread->blocks_sigsys = thread->blocks_sigsys || (now & BIT_SIGSYS) != 0;
    if (route_is_known(thread)) {
        host_copy_slow = (now & FAULT_MASKS) != 0;
    }
    return result;
}

static long caught_sigsuspend(const void *set, size_t size)
{
    uint64_t mask;

    if (size != sizeof mask || !copy_in(&mask, set, sizeof mask)) {
        return RAW2(SYS_rt_sigsuspend, set, size);
    }
    mask &= ~BIT_SIGSYS;
    return RAW2(SYS_rt_sigsuspend, &mask, size);
}

/* The return from our handler sets the alternate stack, too. */
static long caught_sigaltstack(ucontext_t *context, const void *stack, void *ret_old)
{
    long result = RAW2(SYS_sigaltstack, stack, ret_old);

    if (stack && result == 0) {
        RAW2(SYS_sigaltstack, NULL, &context->uc_stack);
    }
    return result;
}

void sud_handler_begins(ucontext_t *context)
{
    uint64_t mask = BIT_SIGSYS;
    uint64_t now = 0;

    RAW4(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, &now, sizeof now);
    if (shim_thread.blocks_sigsys) {
        sigaddset(&context->uc_sigmask, SIGSYS);
    }
    shim_thread.blocks_sigsys |= (now & BIT_SIGSYS) != 0;
}

void sud_handler_ends(ucontext_t *context)
{
    shim_thread.blocks_sigsys = sigismember(&context->uc_sigmask, SIGSYS) == 1;
    sigdelset(&context->uc_sigmask, SIGSYS);
}

static long forward(long number, const long *v)
{
    return raw_call6(number, v[0], v[1], v[2], v[3], v[4], v[5]);
}

/* ---- Calls that the thread makes again, from a stub ---- */

/* Index of the stub for calls that return to `address`; -1: there are too many such places. */
static int site_of(uintptr_t address)
{
    for (int i = 0; i < SUD_SITES; i++) {
        uintptr_t there = 0;

        if (atomic_compare_exchange_strong(&sud_sites[i], &there, address) || there == address) {
            return i;
        }
    }
    return -1;
}

/* Lets the interrupted thread go on in a stub. False: none is left. */
static bool make_again(ucontext_t *context, bool new_thread)
{
    greg_t *registers = context->uc_mcontext.gregs;
    int site = site_of((uintptr_t)registers[REG_RIP]);

    if (site < 0) {
        return false;
    }
    registers[REG_RIP] = new_thread ? (greg_t)(sud_threads + site * THREAD_SIZE)
                                    : (greg_t)(sud_stubs + site * STUB_SIZE);
    return true;
}

/* First thing in a new thread, which has libc's thread-local memory already. */
void sud_thread_begins(void)
{
    arm();
}

static bool is_clone(long number)
{
    return number == SYS_clone || number == SYS_clone3 || number == SYS_fork || number == SYS_vfork;
}

static uint64_t clone_flags(long number, const long *v)
{
    uint64_t flags = 0;

    if (number == SYS_clone) {
        return (uint64_t)v[0];
    }
    if (number == SYS_clone3 && !copy_in(&flags, (const void *)v[0], sizeof flags)) {
        return 0; /* the kernel will say so */
    }
    return flags;
}

static bool is_by_libc(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP] - libc.start < libc.size;
}

/* A thread of libc's: pthread_create's flags, which a guest's clone() hasn't all (create_thread).
 */
static bool is_thread(uint64_t flags)
{
    return flags == (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND |
                     CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID);
}

/*
 * A clone written by hand whose child goes on on the same stack: it returns from our handler twice,
 * like fork. One that waits until the child has exec'd gets a copy of our memory, as vfork does.
 */
static bool is_fork_by_hand(const ucontext_t *context, long number, const long *v)
{
    struct clone_args arguments = { 0 };

    if (is_by_libc(context)) {
        return false;
    }
    if (number == SYS_clone) {
        arguments.flags = (uint64_t)v[0];
        arguments.stack = (uint64_t)v[1];
    } else if (number != SYS_clone3 ||
               !copy_in(&arguments, (const void *)v[0], CLONE_ARGS_SIZE_VER0)) {
        return false;
    }
    return arguments.stack == 0 && !(arguments.flags & (CLONE_SETTLS | CLONE_FILES)) &&
           (!(arguments.flags & CLONE_VM) || (arguments.flags & CLONE_VFORK));
}

static long fork_by_hand(long number, const long *v)
{
    long copy[6] = { v[0], v[1], v[2], v[3], v[4], v[5] };
    struct clone_args arguments = { 0 };
    long kind;
    long result;

    if (number == SYS_clone) {
        copy[0] &= ~(long)CLONE_VM;
    } else {
        size_t size = (size_t)v[1] < sizeof arguments ? (size_t)v[1] : sizeof arguments;

        if (!copy_in(&arguments, (const void *)v[0], size)) {
            return -EFAULT;
        }
        arguments.flags &= ~(uint64_t)CLONE_VM;
        copy[0] = (long)&arguments;
        copy[1] = (long)size;
    }
    kind = syscall_clone_begin(number, (uint64_t)copy[0], (size_t)copy[1]);
    if (kind < 0) {
        return kind;
    }
    result = forward(number, copy);
    if (kind > 0) {
        int error = errno;

        syscall_clone_end(result);
        errno = error;
    }
    return result;
}

/*
 * True when the thread makes the call itself. Of libc's own clones the shim's wrappers know; fork
 * and vfork that a guest wrote by hand go to them.
 */
static bool is_made_again(ucontext_t *context, long number, const long *v)
{
    if (number == SYS_rt_sigreturn) {
        return make_again(context, false);
    }
    if (!is_clone(number) || is_fork_by_hand(context, number, v)) {
        return false;
    }
    if (number == SYS_fork || number == SYS_vfork) {
        return is_by_libc(context) && make_again(context, false);
    }
    return make_again(context, is_by_libc(context) && is_thread(clone_flags(number, v)));
}

/* ---- The handler ---- */

/* What a wrapper's call changes in the thread, and how it is undone however it ends. */
struct outer {
    bool no_cancel;
    const void *trapped;
    int error;
};

static void restore(struct outer *outer)
{
    shim_thread.no_cancel = outer->no_cancel;
    shim_thread.trapped = outer->trapped;
    errno = outer->error;
}

/*
 * libc's own cancellation points make their calls with asynchronous cancellation, which a call here
 * must learn of; a system call written by hand is no cancellation point.
 */
static bool is_cancellable(void)
{
    int type;

    if (__libc_single_threaded) {
        return false;
    }
    real_pthread_setcanceltype()(PTHREAD_CANCEL_DEFERRED, &type);
    if (type == PTHREAD_CANCEL_ASYNCHRONOUS) {
        real_pthread_setcanceltype()(type, &type);
        return true;
    }
    return false;
}

static long by_wrapper(long number, const long *v, const void *address)
{
    struct shim_thread *thread = &shim_thread;
    struct outer outer
        __attribute__((cleanup(restore), unused)) = { thread->no_cancel, thread->trapped, errno };
    long result;

    if (is_cancellable()) {
        thread->state = thread->state == THREAD_READY ? THREAD_OPEN : thread->state;
    } else {
        thread->no_cancel = true;
    }
    thread->trapped = address;
    errno = 0;
    result = syscall_by_number(number, v[0], v[1], v[2], v[3], v[4], v[5]);
    return result == -1 && errno != 0 ? -errno : result;
}

static long call(ucontext_t *context, long number, const long *v)
{
    const void *address = (const void *)context->uc_mcontext.gregs[REG_RIP];

    switch (number) {
    case SYS_rt_sigprocmask:
        return sud_set_mask((int)v[0], (const void *)v[1], (void *)v[2], (size_t)v[3]);
    case SYS_rt_sigsuspend: return caught_sigsuspend((const void *)v[0], (size_t)v[1]);
    case SYS_sigaltstack: return caught_sigaltstack(context, (const void *)v[0], (void *)v[1]);
    case SYS_rt_sigaction:
        if (v[0] == 32 || v[0] == 33) { /* libc's own, which signal_set() doesn't know */
            return forward(number, v);
        }
        break;
    case SYS_clone:
    case SYS_clone3:
        if (is_fork_by_hand(context, number, v)) {
            return fork_by_hand(number, v);
        }
        return -EAGAIN; /* there were too many places: make_again() */
    case SYS_prctl:
        if (v[0] == PR_SET_SYSCALL_USER_DISPATCH) {
            return -EINVAL; /* as a kernel without it */
        }
        break;
    default: break;
    }
    if (number < 0 || number >= SYSCALL_NUMBERS || !syscall_wanted[number] ||
        shim_thread.task.critical > 0) {
        return forward(number, v);
    }
    if (shim.audit) {
        audit_note(number, v, address);
    }
    return by_wrapper(number, v, address);
}

static void handle(int signal_number, siginfo_t *info, void *place)
{
    ucontext_t *context = place;
    greg_t *registers = context->uc_mcontext.gregs;
    const long v[6] = { registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                        registers[REG_R10], registers[REG_R8],  registers[REG_R9] };
    bool dispatched = info->si_code == CODE_DISPATCH;

    if (dispatched && context->uc_stack.ss_flags & AUTODISARM) {
        RAW2(SYS_sigaltstack, &context->uc_stack, NULL); /* signal_delivered() took it away */
    }
    /* Until here all were blocked: others that came with this one belong on the alternate stack. */
    RAW4(SYS_rt_sigprocmask, SIG_SETMASK, &context->uc_sigmask, NULL, sizeof(uint64_t));
    if (!dispatched) {
        signal_handler(signal_number, info, place);
        return;
    }
    if (info->si_arch != ARCH_X86_64) {
        registers[REG_RAX] = -ENOSYS; /* int $0x80: the same number is another call */
        return;
    }
    if (!is_made_again(context, info->si_syscall, v)) {
        registers[REG_RAX] = call(context, info->si_syscall, v);
    }
    keep_mask(context);
}

/* ---- On, and the guest's own SIGSYS ---- */

long sud_set_action(const struct sigaction *action, struct sigaction *ret_old)
{
    struct sigaction old = guest_action;

    if (action) {
        guest_action = *action;
        signal_note(SIGSYS, action);
    }
    if (ret_old) {
        *ret_old = old;
    }
    return 0;
}

static long install(void)
{
    struct kernel_action ours = {
        .handler = handle,
        .flags = SA_SIGINFO | SA_NODEFER | SA_RESTART | KERNEL_SA_RESTORER,
        .restorer = __restore_rt,
        .mask = UINT64_MAX, /* handle() takes it back */
    };
    long result = RAW4(SYS_rt_sigaction, SIGSYS, &ours, NULL, sizeof ours.mask);

    return result < 0 ? result : arm();
}

int sud_start(void)
{
    uint64_t old;
    long result;

    if (is_go()) {
        return -ENOEXEC;
    }
    if (!find_range(&own, &own) ||
        !find_range((const void *)(uintptr_t)gnu_get_libc_version, &libc)) {
        return -ENOSYS;
    }
    real_find_all();
    signal_set(SIGSYS, NULL, &guest_action);
    signal_note(SIGSYS, &guest_action);
    result = install();
    if (result < 0) {
        signal_set(SIGSYS, &guest_action, NULL);
        return (int)result;
    }
    shim.sud = true;
    RAW4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &old, sizeof old);
    if (old & BIT_SIGSYS) {
        sud_set_mask(SIG_SETMASK, &old, NULL, sizeof old);
    }
    return 0;
}

/* The handler may be gone, too (CLONE_CLEAR_SIGHAND). */
void sud_start_again(void)
{
    if (shim.sud) {
        install();
    }
}
