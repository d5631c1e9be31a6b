/*
 * Proves: who gets the signal, and which. No owner: nobody. A process, a thread, a process group,
 * over fork and exec; the owner belongs to the description and is shared by its copies; si_fd is
 * the number under which O_ASYNC was set; an owner that died is nobody. Signals whose si_code is
 * their own carry SI_SIGIO. The default action of SIGIO ends the owner. The death by SIGKILL of
 * the peer's last holder tells, too.
 *
 * Rows: 5.4 "F_SETOWN pid / -pgrp", 5.4 "F_SETSIG", 5.4 "without F_SETSIG", 5.1 "sharing"
 */
#include "sigio.h"

static void set_owner(int fd, int type, pid_t pid)
{
    struct f_owner_ex owner = { type, pid };
    CHECK_OK(fcntl(fd, F_SETOWN_EX, &owner));
    owner = (struct f_owner_ex){ 0 };
    CHECK_OK(fcntl(fd, F_GETOWN_EX, &owner));
    CHECK_EQ(type, owner.type);
    CHECK_EQ(pid, owner.pid);
}

static void put(int fd)
{
    CHECK_EQ(1, write(fd, "x", 1));
}

static void put_in_child(int fd)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        put(fd);
        SIGIO_NONE(); /* it is the owner's */
        _exit(0);
    }
    guest_wait_exit(pid, 0);
}

static void no_owner(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_OK(fcntl(fds[0], F_SETFL, O_ASYNC));
    put(fds[1]);
    SIGIO_NONE();
    CHECK_OK(fcntl(fds[0], F_SETOWN, getpid()));
    put(fds[1]);
    SIGIO_PLAIN();
    put_in_child(fds[1]);
    SIGIO_PLAIN();
    CHECK_OK(fcntl(fds[0], F_SETOWN, 0));
    put(fds[1]);
    SIGIO_NONE();
    guest_close_both(fds);
}

static void expect_only(int signo, int fd)
{
    const struct timespec now = { 0, 0 };
    siginfo_t info;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signo);
    CHECK_EQ(signo, sigtimedwait(&one, &info, &now));
    CHECK_EQ(signo == SIGCHLD || signo == SIGSYS ? SI_SIGIO : POLL_IN, info.si_code);
    CHECK_EQ(fd, info.si_fd);
    CHECK_EQ(SIGIO_BAND_IN, info.si_band);
    CHECK_EQ(-1, sigtimedwait(&one, &info, &now));
}

static void signals(void)
{
    static const int numbers[] = { SIGUSR1, SIGURG, SIGIO, SIGSYS, SIGCHLD };
    int fds[2];
    sigset_t all, before;
    sigfillset(&all);
    CHECK_OK(sigprocmask(SIG_BLOCK, &all, &before));
    guest_pipe(fds);
    for (int i = 0; i < 5; i++) {
        sigio_own(fds[0], numbers[i]);
        CHECK_EQ(numbers[i], fcntl(fds[0], F_GETSIG));
        put(fds[1]);
        if (numbers[i] == SIGCHLD) { /* the children's own are pending, and the first one stays */
            siginfo_t info;
            CHECK_EQ(SIGCHLD, sigwaitinfo(&all, &info));
            CHECK_EQ(CLD_EXITED, info.si_code);
            put(fds[1]);
        }
        expect_only(numbers[i], fds[0]);
        put_in_child(fds[1]);
        expect_only(numbers[i], fds[0]);
    }
    guest_close_both(fds);
    CHECK_OK(sigprocmask(SIG_SETMASK, &before, NULL));
}

static void *own_thread(void *argument)
{
    int *fds = argument;
    set_owner(fds[0], F_OWNER_TID, guest_gettid());
    put(fds[1]);
    SIGIO_IN(SIGRTMIN + 1, fds[0]);
    put_in_child(fds[1]);
    SIGIO_IN(SIGRTMIN + 1, fds[0]);
    SIGIO_NONE();
    put(fds[1]);
    return NULL; /* with one pending, which ends with the thread */
}

static void thread_and_group(void)
{
    int fds[2];
    struct guest_thread thread;
    guest_pipe(fds);
    sigio_own(fds[0], SIGRTMIN + 1);
    guest_thread_start(&thread, own_thread, fds);
    guest_thread_join(&thread);
    SIGIO_NONE();
    put(fds[1]); /* the owner is gone */
    SIGIO_NONE();
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setpgid(0, 0));
        CHECK_OK(fcntl(fds[0], F_SETOWN, -getpid()));
        CHECK_EQ(-getpid(), fcntl(fds[0], F_GETOWN));
        pid_t inner = guest_fork();
        if (inner == 0) {
            put(fds[1]);
            SIGIO_IN(SIGRTMIN + 1, fds[0]);
            SIGIO_NONE();
            _exit(0);
        }
        guest_wait_exit(inner, 0);
        SIGIO_IN(SIGRTMIN + 1, fds[0]);
        SIGIO_NONE();
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    SIGIO_NONE(); /* another group */
    guest_close_both(fds);
}

static void descriptions(void)
{
    int fds[2];
    guest_pair(SOCK_STREAM, fds);
    sigio_own(fds[0], SIGRTMIN + 1);
    int copy = (int)CHECK_OK(dup(fds[0]));
    CHECK_OK(close(fds[0]));
    put(fds[1]);
    SIGIO_IN(SIGRTMIN + 1, fds[0]); /* the number of the first time */
    sigio_own(copy, SIGRTMIN + 2);
    put(fds[1]);
    SIGIO_IN(SIGRTMIN + 2, fds[0]);
    sigio_off(copy);
    put(fds[1]);
    SIGIO_NONE();
    pid_t pid = guest_fork();
    if (pid == 0) { /* set in a child that is gone then: O_ASYNC and owner stay */
        CHECK_EQ(99, dup2(copy, 99));
        CHECK_OK(fcntl(99, F_SETFL, O_RDWR | O_ASYNC));
        CHECK_OK(fcntl(99, F_SETOWN, getppid()));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK(fcntl(copy, F_GETFL) & O_ASYNC);
    CHECK_EQ(getpid(), fcntl(copy, F_GETOWN));
    put(fds[1]);
    SIGIO_IN(SIGRTMIN + 2, 99);
    CHECK_OK(close(copy));
    CHECK_ERR(EPIPE, send(fds[1], "x", 1, MSG_NOSIGNAL));
    SIGIO_NONE();
    CHECK_OK(close(fds[1]));
}

static void deaths(void)
{
    int fds[2];
    guest_pair(SOCK_STREAM, fds);
    CHECK_OK(fcntl(fds[0], F_SETSIG, SIGRTMIN + 1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        sigio_own(fds[0], SIGRTMIN + 1);
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_EQ(0, fcntl(fds[0], F_GETOWN));
    put(fds[1]); /* nobody */
    SIGIO_NONE();
    sigio_own(fds[0], SIGRTMIN + 1);
    pid = guest_fork();
    if (pid == 0) {
        pause();
        _exit(1);
    }
    CHECK_OK(close(fds[1]));
    SIGIO_NONE(); /* the child has it, too */
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    SIGIO_HUP(SIGRTMIN + 1, fds[0]);
    SIGIO_NONE();
    CHECK_OK(close(fds[0]));
    guest_pipe(fds);
    pid = guest_fork();
    if (pid == 0) { /* SIGIO ends who doesn't handle it */
        CHECK_OK(sigprocmask(SIG_UNBLOCK, &sigio_set, NULL));
        sigio_own(fds[0], 0);
        put(fds[1]);
        _exit(1);
    }
    guest_wait_killed(pid, SIGIO);
    guest_close_both(fds);
}

/* argv: "image" reading-end writing-end. */
static int new_image(char **argv)
{
    int fds[2] = { atoi(argv[2]), atoi(argv[3]) };
    siginfo_t info;
    sigio_start();
    CHECK(fcntl(fds[0], F_GETFL) & O_ASYNC);
    CHECK_EQ(SIGRTMIN + 3, sigwaitinfo(&sigio_set, &info)); /* the parent writes */
    CHECK_EQ(POLL_IN, info.si_code);
    CHECK_EQ(fds[0], info.si_fd);
    put(fds[1]);
    SIGIO_IN(SIGRTMIN + 3, fds[0]);
    SIGIO_NONE();
    return 0;
}

static void over_exec(void)
{
    int fds[2];
    char number[2][12];
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        char *arguments[] = { "sigio_owners", "image", number[0], number[1], NULL };
        snprintf(number[0], sizeof number[0], "%d", fds[0]);
        snprintf(number[1], sizeof number[1], "%d", fds[1]);
        sigio_own(fds[0], SIGRTMIN + 3);
        put(fds[1]);
        SIGIO_IN(SIGRTMIN + 3, fds[0]);
        execv("/proc/self/exe", arguments);
        _exit(1);
    }
    while (fcntl(fds[0], F_GETOWN) != pid || !(fcntl(fds[0], F_GETFL) & O_ASYNC)) {
        sched_yield(); /* bounded by the deadline */
    }
    guest_process_blocked(pid); /* in the new image's sigwaitinfo: nothing else sleeps */
    put(fds[1]);
    guest_wait_exit(pid, 0);
    guest_close_both(fds);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "image") == 0) {
        return new_image(argv);
    }
    guest_start();
    sigio_start();
    no_owner();
    signals();
    thread_and_group();
    descriptions();
    deaths();
    over_exec();
    return guest_end();
}
