/*
 * sigio.h - what the guests about O_ASYNC share: signals are blocked and taken one by one
 *
 * Each object gets a real-time signal of its own, so that every single one is counted.
 */
#ifndef SIGIO_H
#define SIGIO_H

#include "guest.h"

#define SIGIO_BAND_IN  (POLLIN | POLLRDNORM)
#define SIGIO_BAND_OUT (POLLOUT | POLLWRNORM | POLLWRBAND)
#define SIGIO_BAND_HUP (POLLHUP | POLLERR)

static sigset_t sigio_set;

/* Blocks SIGIO and the real-time signals: all of them wait to be asked for. */
static inline void sigio_start(void)
{
    sigemptyset(&sigio_set);
    sigaddset(&sigio_set, SIGIO);
    for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++) {
        sigaddset(&sigio_set, signo);
    }
    CHECK_OK(sigprocmask(SIG_BLOCK, &sigio_set, NULL));
}

/* This process owns fd and gets `signo` for it; 0: plain SIGIO. */
static inline void sigio_own(int fd, int signo)
{
    CHECK_OK(fcntl(fd, F_SETOWN, getpid()));
    CHECK_OK(fcntl(fd, F_SETSIG, signo));
    CHECK_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
}

static inline void sigio_off(int fd)
{
    CHECK_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_ASYNC));
}

/* The next one that is pending, or 0. */
static inline int sigio_take(siginfo_t *ret_info)
{
    const struct timespec now = { 0, 0 };
    int signo;
    do {
        signo = sigtimedwait(&sigio_set, ret_info, &now);
    } while (signo < 0 && errno == EINTR);
    return signo < 0 ? 0 : signo;
}

static inline void sigio_check(const char *file, int line, int signo, int code, long band, int fd)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    guest_check_eq(file, line, "signal", signo, sigio_take(&info));
    if (signo != 0) {
        guest_check_eq(file, line, "si_code", code, info.si_code);
        guest_check_eq(file, line, "si_band", band, info.si_band);
        guest_check_eq(file, line, "si_fd", fd, info.si_fd);
        guest_check_eq(file, line, "si_errno", 0, info.si_errno);
    }
}

/* Exactly this is pending next; what is pending with the lowest number comes first. */
#define SIGIO_IN(signo, fd)  sigio_check(__FILE__, __LINE__, signo, POLL_IN, SIGIO_BAND_IN, fd)
#define SIGIO_OUT(signo, fd) sigio_check(__FILE__, __LINE__, signo, POLL_OUT, SIGIO_BAND_OUT, fd)
#define SIGIO_HUP(signo, fd) sigio_check(__FILE__, __LINE__, signo, POLL_HUP, SIGIO_BAND_HUP, fd)
#define SIGIO_PLAIN()        sigio_check(__FILE__, __LINE__, SIGIO, SI_KERNEL, 0, 0)
#define SIGIO_NONE()         sigio_check(__FILE__, __LINE__, 0, 0, 0, 0)

/* Takes all that are pending of one number; returns how many there were, of `code` alone. */
static inline int sigio_count(int signo, int code)
{
    siginfo_t info;
    int count = 0;
    for (int got = sigio_take(&info); got != 0; got = sigio_take(&info)) {
        CHECK_EQ(signo, got);
        CHECK_EQ(code, info.si_code);
        count++;
    }
    return count;
}

#endif
