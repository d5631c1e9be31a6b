/*
 * Proves: a signal that arrives in a critical section can be put off without a system call on the
 * way in. The wrapper saves the siginfo, adds the signal to the mask of the interrupted context and
 * returns; on the way out the signal is raised again and unblocked, so the program's handler runs
 * in a true signal frame: alternate stack, mask, siginfo. Two ways to raise it again are compared:
 *  RESEND  the saved siginfo itself through rt_tgsigqueueinfo: complete, but a real-time signal
 * sent to the thread meanwhile stands before it (order broken), and a full queue refuses it; TICK
 * the saved siginfo waits in a FIFO of ours, and an empty SI_USER tick is sent: whatever arrives
 * next, the FIFO's head goes to the handler and the newcomer joins the FIFO. Order holds, and
 * SI_USER to oneself is never refused. With the queue full it is only a bit, and merges with what
 * is queued: so ticks go on until the FIFO is empty. Standard signals merge, as in Linux: a second
 * one while the first is put off is the first.
 */
#include "proof.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

enum { SENDS = 2000, BURST = 5, FIFO = 4, TICK_MARK = 0x7157c4, STACK = 65536 };
/* A storm ends after SENDS signals, or when its time is up and it had LEAST (a busy machine). */
enum { LEAST = 100, STORM_NS = 200000000 };
enum { ROOM = 3, PATIENCE_NS = 20000000 };
enum mode { RESEND, TICK };
enum target { TO_PROCESS, TO_THREAD };

static enum mode mode;
static volatile int critical, deferrals, refused, go;
static volatile uint64_t deferred; /* bit sig - 1: put off in this critical section */
static struct {
    siginfo_t info[FIFO];
    volatile int count;
} saved[65];

static char alternate[STACK];
static volatile int runs, out_of_order, wrong, off_stack, last_value, wide_mask;
static volatile sig_atomic_t sent, seen_sent;
static siginfo_t last_info;
static pthread_t receiver;

/* The program's own handler. */
static void handler(int sig, siginfo_t *info, void *context)
{
    char here;
    ucontext_t *uc = context;
    seen_sent = sent;
    runs++;
    off_stack += &here < alternate || &here >= alternate + STACK;
    wide_mask += sigismember(&uc->uc_sigmask, sig);
    if (sig >= SIGRTMIN) {
        out_of_order += info->si_value.sival_int != last_value + 1;
        wrong += info->si_code != SI_QUEUE || info->si_pid != getpid();
        last_value = info->si_value.sival_int;
    }
    last_info = *info;
}

static int is_tick(const siginfo_t *info)
{
    return info->si_code == SI_USER && (info->si_value.sival_int == TICK_MARK || info->si_pid == 0);
}

static void wrapper(int sig, siginfo_t *info, void *context)
{
    int *count = (int *)&saved[sig].count;
    if (critical) {
        if (*count == FIFO) {
            _exit(3); /* bounded: the signal is masked until the way out */
        }
        saved[sig].info[(*count)++] = *info;
        sigaddset(&((ucontext_t *)context)->uc_sigmask, sig);
        deferred |= 1ull << (sig - 1);
        deferrals++;
        return;
    }
    siginfo_t now = *info;
    if (mode == TICK && *count > 0) {
        now = saved[sig].info[0];
        memmove(saved[sig].info, saved[sig].info + 1, sizeof(now) * (size_t)-- * count);
        if (sig >= SIGRTMIN && !is_tick(info)) {
            saved[sig].info[(*count)++] = *info;
        }
    } else if (mode == TICK && is_tick(info)) {
        return; /* its signal went out with one that came before it */
    }
    handler(sig, &now, context);
}

static long raise_again(int sig, siginfo_t *info)
{
    return syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), sig, info);
}

/* Raises what was put off again and lets it in; returns the signals that still wait. */
static uint64_t let_in(uint64_t which)
{
    sigset_t open_again;
    uint64_t rest = 0;
    sigemptyset(&open_again);
    for (int sig = 1; sig < 65; sig++) {
        if ((which >> (sig - 1) & 1) == 0) {
            continue;
        }
        siginfo_t tick = { .si_code = SI_USER };
        tick.si_value.sival_int = TICK_MARK;
        refused += raise_again(sig, mode == TICK ? &tick : &saved[sig].info[0]) != 0;
        saved[sig].count = mode == TICK ? saved[sig].count : 0;
        sigaddset(&open_again, sig);
    }
    pthread_sigmask(SIG_UNBLOCK, &open_again, NULL);
    for (int sig = 1; sig < 65; sig++) {
        rest |= saved[sig].count > 0 ? which & 1ull << (sig - 1) : 0;
    }
    return rest;
}

static void leave(void)
{
    critical = 0;
    uint64_t which = deferred;
    deferred = 0; /* a handler's own critical sections have only their own */
    for (int round = 0; which != 0 && round < 64; round++) {
        which = let_in(which);
    }
}

struct order {
    int sig;
    enum target target;
    volatile int done;
};

/*
 * Lets this user queue ROOM signals more than are queued now. The limit counts those of all his
 * processes, and their timers (kernel/signal.c:__sigqueue_alloc), so it may have to be set anew.
 */
static void set_room(void)
{
    char line[128];
    struct rlimit limit;
    unsigned long queued = 0;
    FILE *status = fopen("/proc/self/status", "re");
    CHECK(status && getrlimit(RLIMIT_SIGPENDING, &limit) == 0, "status");
    while (fgets(line, sizeof line, status) && sscanf(line, "SigQ: %lu", &queued) != 1) {
    }
    fclose(status);
    limit.rlim_cur = queued + ROOM;
    CHECK(setrlimit(RLIMIT_SIGPENDING, &limit) == 0, "setrlimit");
}

static int send_one(const struct order *order, int number)
{
    union sigval value = { .sival_int = number };
    if (order->sig < SIGRTMIN) {
        return order->target == TO_THREAD ? pthread_kill(receiver, order->sig)
                                          : kill(getpid(), order->sig);
    }
    if (order->target == TO_THREAD) {
        return pthread_sigqueue(receiver, order->sig, value);
    }
    return sigqueue(getpid(), order->sig, value) == 0 ? 0 : errno;
}

/* Sends, and while the queue is full waits for the receiver, which drains it. */
static void send_surely(const struct order *order, int number)
{
    int64_t start = now_ns(), asked = start;
    int rc;
    while ((rc = send_one(order, number)) == EAGAIN && now_ns() - start < 5000000000) {
        sched_yield();
        if (now_ns() - asked > PATIENCE_NS) {
            set_room(); /* somebody else took it */
            asked = now_ns();
        }
    }
    if (rc != 0) {
        _exit(4);
    }
}

static void *sender(void *arg)
{
    struct order *order = arg;
    while (!go) {
        sched_yield();
    }
    int64_t end = now_ns() + STORM_NS;
    for (int i = 1; i <= SENDS && (i <= LEAST || now_ns() < end); i++) {
        sent = i;
        send_surely(order, i);
        int64_t start = now_ns();
        while (i % BURST == 0 && now_ns() - start < 5000000000 &&
               (order->sig < SIGRTMIN ? seen_sent != i : runs + refused != i)) {
            sched_yield(); /* so that bursts meet many critical sections, not one */
        }
    }
    order->done = 1;
    return NULL;
}

static void storm(enum mode how, int sig, enum target target)
{
    struct order order = { .sig = sig, .target = target };
    pthread_t thread;
    sigset_t all, old;
    mode = how;
    runs = out_of_order = wrong = off_stack = last_value = deferrals = refused = wide_mask = 0;
    sent = seen_sent = go = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    CHECK(pthread_create(&thread, NULL, sender, &order) == 0, "thread");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    for (int last = 0; !last;) {
        last = order.done;
        critical = 1;
        go = 1;
        /* The first one is put off for certain, the others as they come. */
        for (int64_t start = now_ns(); deferrals == 0 && now_ns() - start < 5000000000;) {
            sched_yield();
        }
        for (volatile int spin = 0; spin < 100; spin++) {
        }
        leave();
    }
    pthread_join(thread, NULL);
    CHECK(off_stack == 0 && wrong == 0 && wide_mask == 0,
          "frames: off stack %d, siginfo %d, mask %d", off_stack, wrong, wide_mask);
    CHECK(deferrals > 0, "nothing arrived in the critical section: proves nothing");
    CHECK(saved[sig].count == 0, "left in the FIFO: %d", saved[sig].count);
    if (sig < SIGRTMIN) {
        CHECK(runs >= 1 && runs <= sent && seen_sent == sent, "last one lost: %d", seen_sent);
    } else if (how == TICK) {
        CHECK(runs == sent && out_of_order == 0 && refused == 0, "%d runs, %d out of order", runs,
              out_of_order);
    } else {
        CHECK(runs + refused == sent, "%d runs, %d refused", runs, refused);
    }
}

/* What the kernel itself says with si_code > 0 survives, here a child's end. */
static void prove_sigchld(enum mode how)
{
    mode = how;
    runs = 0;
    critical = 1;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(42);
    }
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0, "waitid");
    CHECK(runs == 0 && saved[SIGCHLD].count == 1, "not put off");
    leave();
    CHECK(runs == 1 && last_info.si_code == CLD_EXITED && last_info.si_pid == pid &&
              last_info.si_status == 42,
          "runs %d code %d", runs, last_info.si_code);
    child_result(pid);
}

static void *resend_elsewhere(void *arg)
{
    siginfo_t info = { .si_code = CLD_EXITED };
    long rc = syscall(SYS_rt_tgsigqueueinfo, getpid(), *(pid_t *)arg, SIGCHLD, &info);
    *(pid_t *)arg = rc == 0 ? 0 : errno;
    return NULL;
}

int main(void)
{
    static const int codes[] = { SI_KERNEL, CLD_EXITED, SI_USER, SI_TKILL,
                                 SI_TIMER,  SI_QUEUE,   POLL_IN };
    int rt = SIGRTMIN + 3, sigs[] = { rt, SIGUSR1, SIGCHLD };
    stack_t stack = { .ss_sp = alternate, .ss_size = STACK };
    struct sigaction action = { .sa_sigaction = wrapper,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
    receiver = pthread_self();
    CHECK(sigaltstack(&stack, NULL) == 0, "sigaltstack");
    for (int i = 0; i < 3; i++) {
        CHECK(sigaction(sigs[i], &action, NULL) == 0, "sigaction");
    }
    mode = RESEND;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        siginfo_t info = { .si_code = codes[i] };
        info.si_value.sival_int = 7;
        runs = 0;
        CHECK(raise_again(SIGUSR1, &info) == 0 && runs == 1, "si_code %d to oneself", codes[i]);
        CHECK(last_info.si_code == codes[i] && last_info.si_value.sival_int == 7, "siginfo");
    }
    pid_t self = gettid();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, resend_elsewhere, &self) == 0, "thread");
    pthread_join(thread, NULL);
    CHECK(self == EPERM, "si_code >= 0 to another thread: %d", self);
    prove_sigchld(RESEND);
    prove_sigchld(TICK);
    for (int target = TO_PROCESS; target <= TO_THREAD; target++) {
        storm(RESEND, SIGUSR1, (enum target)target);
        storm(TICK, SIGUSR1, (enum target)target);
    }
    storm(RESEND, rt, TO_PROCESS);
    int by_process = out_of_order;
    storm(RESEND, rt, TO_THREAD);
    int by_thread = out_of_order;
    storm(TICK, rt, TO_PROCESS);
    storm(TICK, rt, TO_THREAD);
    int put_off = deferrals, all = sent;
    set_room();
    storm(RESEND, rt, TO_THREAD);
    int resend_refused = refused;
    storm(TICK, rt, TO_THREAD);
    printf("%d of %d put off and delivered once, in order, by ticks; resending siginfo: %d out "
           "of order when sent to the process, %d to the thread, %d lost (EAGAIN) with room for 3; "
           "si_code >= 0 goes to oneself, EPERM to another thread\n",
           put_off, all, by_process, by_thread, resend_refused);
    return 0;
}
