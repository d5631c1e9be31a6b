/*
 * side.c - the two sides that a script runs on
 *
 * Kernel: the call is libc's; signals are counted by a handler. Emulator: the call is emu_NAME(),
 * SIGPIPE is what self->sigpipe says. A call that doesn't come back is interrupted by SIGALRM; a
 * call that would sleep in the emulator without a deadline is interrupted at once, because one task
 * alone can't be woken by anybody.
 */
#include "interpret/side.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "emu.h"
#include "host.h"
#include "interpret/calls.h"
#include "interpret/constants.h"

#define EXPECTED_BLOCK_USEC  250000 /* a call that is expected to block is believed after this */
#define UNEXPECTED_BLOCK_SEC 5
#define HIDDEN_FD            900 /* above every number that a script meets */

static struct run *running; /* for handlers: one script a process */
static struct emu_process process;
static struct emu_task task;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if (running->signal_count < RUN_MAX_SIGNALS)
        running->signals[running->signal_count++] = *info;
}

static void on_alarm(int number)
{
    (void)number;
    running->blocked = true;
    if (running->side == SIDE_EMU)
        emu_task_interrupt(&task, false);
}

/* A bad pointer inside the emulator's copy becomes EFAULT; any other fault ends the process. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)info;
    if (host_copy_recover(context))
        return;
    signal(number, SIG_DFL);
}

static int64_t sleep_or_give_up(struct emu_task *self, const _Atomic uint32_t *word,
                                uint32_t expected, uint64_t deadline_ns)
{
    if (deadline_ns != 0)
        return host_futex_wait(word, expected, deadline_ns);
    running->blocked = true;
    emu_task_interrupt(self, false);
    return -EINTR;
}

static void set_handlers(void)
{
    struct sigaction action = { 0 };
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    for (size_t i = 0; signal_caught(i) != 0; i++)
        sigaction(signal_caught(i), &action, NULL);
    action.sa_flags = 0;
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
}

/* Moves a descriptor of the emulator's own out of the way of the script's numbers. */
static int hide(int fd)
{
    int high = fd >= 0 ? fcntl(fd, F_DUPFD, HIDDEN_FD) : -1;

    if (high < 0)
        return fd;
    close(fd);
    return high;
}

static void start_emulator(struct run *run)
{
    const struct place nowhere = { 0, 0 };
    struct sigaction action = { 0 };
    struct emu_hidden hidden;
    int fd;

    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    fd = emu_session_create();
    if (fd < 0)
        run_fail(run, nowhere, "the emulator doesn't start: %s", strerror(-fd));
    hidden = emu_session_hidden();
    hidden.arena = hide(fd);
    hidden.bell = hide(hidden.bell);
    emu_session_set_hidden(hidden);
    emu_task_enter(&task, &process);
    fd = emu_process_join(&process, &task);
    if (fd < 0)
        run_fail(run, nowhere, "the emulator doesn't start: %s", strerror(-fd));
    process.sleep = sleep_or_give_up;
}

/* Scripts mean the same for everybody: nobody may grow a pipe beyond pipe-max-size. */
static void drop_resource_capability(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data) != 0)
        return;
    data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
    syscall(SYS_capset, &header, data); /* fails nowhere: it takes away */
}

/* 0, 1 and 2 are open, so that a script's first descriptor is 3. */
static void fill_stdio(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 3);
}

void side_init(struct run *run)
{
    running = run;
    set_handlers();
    drop_resource_capability();
    fill_stdio();
    close_range(3, ~0u, 0);
    if (run->side == SIDE_EMU)
        start_emulator(run);
}

void side_arm(bool blocks)
{
    struct itimerval timer = { .it_interval = { 0, EXPECTED_BLOCK_USEC } };

    if (blocks)
        timer.it_value.tv_usec = EXPECTED_BLOCK_USEC;
    else
        timer.it_value.tv_sec = UNEXPECTED_BLOCK_SEC;
    setitimer(ITIMER_REAL, &timer, NULL);
}

void side_disarm(void)
{
    const struct itimerval off = { 0 };

    setitimer(ITIMER_REAL, &off, NULL);
}

void side_call(struct run *run, const uint64_t *words)
{
    const struct call *call = call_get(run->statement->call);

    run->blocked = false;
    run->signal_count = 0;
    if (run->side == SIDE_KERNEL) {
        run->result = call_real(call, words);
        return;
    }
    task.sigpipe = false;
    run->result = call_emu(call, &task, words, &run->native);
    if (task.sigpipe && run->signal_count < RUN_MAX_SIGNALS) {
        siginfo_t *info = &run->signals[run->signal_count++];

        memset(info, 0, sizeof(*info));
        info->si_signo = SIGPIPE;
        info->si_code = SI_USER; /* fs/pipe.c and net/: send_sig(SIGPIPE, current, 0) */
    }
}
