/*
 * Proves: O_ASYNC with an owner: SIGIO for data, space and close on sockets and pipes; with
 * F_SETSIG the chosen signal carries the fd, band and code; the errors of F_SETOWN and F_SETSIG.
 *
 * Rows: 5.4 (all but OOB), 5.3 "FIOASYNC(int*)", 5.3 "FIOSETOWN/SIOCSPGRP", 5.1 "F_SETFL settable"
 */
#include "guest.h"

static siginfo_t last;
static atomic_int count;

static void remember(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    last = *info;
    atomic_fetch_add(&count, 1);
}

static void handle(int signo)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };
    action.sa_sigaction = remember;
    CHECK_OK(sigaction(signo, &action, NULL));
    atomic_store(&count, 0);
}

static void make_async(int fd, int signo)
{
    CHECK_OK(fcntl(fd, F_SETOWN, getpid()));
    CHECK_OK(fcntl(fd, F_SETSIG, signo));
    CHECK_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
}

static void expect(int signals, int code, long band, int fd)
{
    CHECK_EQ(signals, atomic_load(&count));
    CHECK_EQ(code, last.si_code);
    CHECK_EQ(band, last.si_band);
    CHECK_EQ(fd, last.si_fd);
}

static void plain_sigio(void)
{
    int fds[2];
    handle(SIGIO);
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(0, atomic_load(&count));
    make_async(fds[0], 0);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, atomic_load(&count));
    CHECK_EQ(SI_KERNEL, last.si_code);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(1, write(fds[1], "x", 1)); /* the signal goes to the owner, not here */
        CHECK_EQ(1, atomic_load(&count));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_EQ(2, atomic_load(&count));
    int off = 0;
    CHECK_OK(ioctl(fds[0], FIOASYNC, &off));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(2, atomic_load(&count));
    guest_close_both(fds);
}

static void socket_events(void)
{
    int fds[2];
    int signo = SIGRTMIN + 1;
    char buffer[4096];
    handle(signo);
    guest_pair(SOCK_STREAM, fds);
    make_async(fds[0], signo);
    CHECK_EQ(1, write(fds[1], "x", 1));
    expect(1, POLL_IN, POLLIN | POLLRDNORM, fds[0]);
    guest_socket_fill(fds[0], 4096);
    CHECK_EQ(1, atomic_load(&count));
    int reads = 0;
    while (atomic_load(&count) == 1) {
        CHECK_EQ(4096, read(fds[1], buffer, sizeof buffer));
        reads++;
    }
    expect(2, POLL_OUT, POLLOUT | POLLWRNORM | POLLWRBAND, fds[0]);
    CHECK(reads > 20); /* only at a quarter */
    while (recv(fds[1], buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
    CHECK_EQ(2, atomic_load(&count)); /* once */
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    expect(3, POLL_IN, POLLIN | POLLRDNORM, fds[0]);
    CHECK_OK(close(fds[1]));
    expect(4, POLL_HUP, POLLHUP | POLLERR, fds[0]);
    CHECK_OK(close(fds[0]));
}

static void pipe_events(void)
{
    int fds[2];
    int signo = SIGRTMIN + 2;
    char buffer[8];
    handle(signo);
    guest_pipe(fds);
    make_async(fds[0], signo);
    CHECK_EQ(2, write(fds[1], "xy", 2));
    expect(1, POLL_IN, POLLIN | POLLRDNORM, fds[0]);
    CHECK_EQ(2, write(fds[1], "xy", 2));
    expect(2, POLL_IN, POLLIN | POLLRDNORM, fds[0]); /* on every write */
    make_async(fds[1], signo);
    CHECK_EQ(1, read(fds[0], buffer, 1));
    expect(3, POLL_OUT, POLLOUT | POLLWRNORM | POLLWRBAND, fds[1]); /* on every read */
    CHECK_EQ(3, read(fds[0], buffer, 8));
    CHECK_EQ(4, atomic_load(&count));
    CHECK_OK(fcntl(fds[1], F_SETFL, O_WRONLY));
    CHECK_OK(close(fds[1]));
    expect(5, POLL_IN, POLLIN | POLLRDNORM, fds[0]);
    CHECK_OK(close(fds[0]));
}

static void owners_and_errors(void)
{
    int fds[2], owner = -1;
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(0, fcntl(fds[0], F_GETOWN));
    CHECK_EQ(0, fcntl(fds[0], F_GETSIG));
    CHECK_OK(fcntl(fds[0], F_SETOWN, getpid()));
    CHECK_EQ(getpid(), fcntl(fds[0], F_GETOWN));
    CHECK_OK(ioctl(fds[0], FIOGETOWN, &owner));
    CHECK_EQ(getpid(), owner);
    CHECK_ERR(ESRCH, fcntl(fds[0], F_SETOWN, 0x3ffffff));
    CHECK_ERR(EINVAL, fcntl(fds[0], F_SETOWN, INT_MIN));
    CHECK_OK(fcntl(fds[0], F_SETOWN, 0));
    CHECK_EQ(0, fcntl(fds[0], F_GETOWN));
    CHECK_ERR(EINVAL, fcntl(fds[0], F_SETSIG, 65));
    CHECK_ERR(EINVAL, fcntl(fds[0], F_SETSIG, -1));
    CHECK_OK(fcntl(fds[0], F_SETSIG, SIGUSR1));
    CHECK_EQ(SIGUSR1, fcntl(fds[0], F_GETSIG));
    guest_close_both(fds);
    guest_pipe(fds);
    CHECK_ERR(ENOTTY, ioctl(fds[0], FIOSETOWN, &owner));
    CHECK_OK(fcntl(fds[0], F_SETFL, O_ASYNC));
    CHECK_EQ(O_ASYNC, fcntl(fds[0], F_GETFL));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    plain_sigio();
    socket_events();
    pipe_events();
    owners_and_errors();
    return guest_end();
}
