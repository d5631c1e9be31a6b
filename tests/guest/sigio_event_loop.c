/*
 * Proves: the classic event loop on signals. One process watches pipes and socket pairs that live
 * in three children with O_ASYNC, F_SETSIG and a real-time signal alone: first it waits with
 * sigwaitinfo(), then handlers with siginfo run while it sleeps in sigsuspend(). Descriptors are
 * told by si_fd, no data is lost, answers arrive over the same socket, the end is seen by POLL_HUP
 * (sockets) and by POLL_IN and end of file (pipes).
 *
 * Rows: 5.4 "with F_SETSIG s",
 * 5.4 "pipe: POLL_OUT on every read by the reader; POLL_IN on every write"
 */
#include "sigio.h"

enum { CHILDREN = 3, ROUNDS = 200, MAX_FD = 64 };

struct source {
    bool open;
    bool socket;
    size_t got;
    int bad_bytes;
};

static struct source sources[MAX_FD];
static volatile sig_atomic_t open_sources;
static atomic_int overflows;
static int signal_number;

/* Reads all there is, as an edge asks for; answers a socket's bytes one by one. */
static void serve(int fd)
{
    struct source *source = &sources[fd];
    unsigned char data[64];
    ssize_t got;
    if (fd < 0 || fd >= MAX_FD || !source->open) {
        return; /* what came in before it was closed */
    }
    while ((got = read(fd, data, sizeof data)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            source->bad_bytes += data[i] != guest_pattern(source->got++);
        }
        if (source->socket && write(fd, data, (size_t)got) != got) {
            source->bad_bytes++;
        }
    }
    if (got == 0) {
        source->open = false;
        open_sources = open_sources - 1;
        close(fd);
    } else if (errno != EAGAIN) {
        source->bad_bytes++;
    }
}

/* The child's side: a byte into the pipe, one into the socket, wait for the answer. */
static void child(int pipe_fd, int socket_fd)
{
    for (uint64_t i = 0; i < ROUNDS; i++) {
        unsigned char byte = guest_pattern(i), answer;
        CHECK_EQ(1, write(pipe_fd, &byte, 1));
        CHECK_EQ(1, write(socket_fd, &byte, 1));
        CHECK_EQ(1, read(socket_fd, &answer, 1));
        CHECK_EQ(byte, answer);
    }
    _exit(0);
}

static void watch(int fd, bool socket)
{
    CHECK(fd < MAX_FD);
    sources[fd] = (struct source){ .open = true, .socket = socket };
    open_sources = open_sources + 1;
    guest_set_nonblock(fd, true);
    sigio_own(fd, signal_number);
}

static void start(pid_t pids[CHILDREN])
{
    open_sources = 0;
    for (int i = 0; i < CHILDREN; i++) {
        int pipe_fds[2], pair[2];
        guest_pipe(pipe_fds);
        guest_pair(i % 2 == 0 ? SOCK_STREAM : SOCK_SEQPACKET, pair);
        watch(pipe_fds[0], false);
        watch(pair[0], true);
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            for (int fd = 0; fd < MAX_FD; fd++) {
                if (sources[fd].open) {
                    close(fd);
                }
            }
            child(pipe_fds[1], pair[1]);
        }
        CHECK_OK(close(pipe_fds[1]));
        CHECK_OK(close(pair[1]));
    }
}

static void finish(const pid_t pids[CHILDREN])
{
    for (int i = 0; i < CHILDREN; i++) {
        guest_wait_exit(pids[i], 0);
    }
    for (int fd = 0; fd < MAX_FD; fd++) {
        CHECK_EQ(0, sources[fd].bad_bytes);
        CHECK(sources[fd].got == 0 || sources[fd].got == ROUNDS);
        sources[fd].got = 0;
    }
    CHECK_EQ(0, atomic_load(&overflows));
    /* Ends that were read before they were told of: a pipe's says POLL_IN. */
    for (siginfo_t info; sigio_take(&info) != 0;) {
        CHECK_EQ(signal_number, info.si_signo);
        CHECK(info.si_code == POLL_HUP || info.si_code == POLL_IN);
    }
}

static void check_info(const siginfo_t *info)
{
    bool hup = info->si_code == POLL_HUP;
    CHECK(info->si_code == POLL_IN || hup);
    CHECK_EQ(hup ? SIGIO_BAND_HUP : SIGIO_BAND_IN, info->si_band);
}

static void by_waiting(void)
{
    pid_t pids[CHILDREN];
    signal_number = SIGRTMIN + 5;
    start(pids);
    while (open_sources > 0) {
        siginfo_t info;
        int signo = sigwaitinfo(&sigio_set, &info);
        if (signo == signal_number) {
            check_info(&info);
            serve(info.si_fd);
        } else {
            CHECK_EQ(EINTR, errno); /* SIGCHLD without a handler doesn't, others may */
        }
    }
    finish(pids);
}

static void handle(int signo, siginfo_t *info, void *context)
{
    int error = errno;
    (void)context;
    CHECK_EQ(signal_number, signo);
    check_info(info);
    serve(info->si_fd);
    errno = error;
}

static void handle_overflow(int signo)
{
    (void)signo;
    atomic_fetch_add(&overflows, 1);
}

static void by_handlers(void)
{
    pid_t pids[CHILDREN];
    struct sigaction action = { .sa_flags = SA_SIGINFO };
    sigset_t open_mask;
    signal_number = SIGRTMIN + 6;
    action.sa_sigaction = handle;
    CHECK_OK(sigaction(signal_number, &action, NULL));
    guest_on_signal(SIGIO, handle_overflow, 0);
    start(pids);
    CHECK_OK(sigprocmask(SIG_SETMASK, NULL, &open_mask));
    sigdelset(&open_mask, signal_number);
    sigdelset(&open_mask, SIGIO);
    while (open_sources > 0) {
        CHECK_ERR(EINTR, sigsuspend(&open_mask));
    }
    guest_on_signal(signal_number, SIG_IGN, 0);
    finish(pids);
}

/* Handlers that interrupt a busy loop of calls on other emulated descriptors. */
static void by_handlers_while_busy(void)
{
    pid_t pids[CHILDREN];
    struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };
    int own[2];
    signal_number = SIGRTMIN + 7;
    action.sa_sigaction = handle;
    CHECK_OK(sigaction(signal_number, &action, NULL));
    guest_pipe(own);
    start(pids);
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &sigio_set, NULL));
    while (open_sources > 0) {
        char byte = 'x';
        CHECK_EQ(1, write(own[1], &byte, 1));
        CHECK_EQ(1, read(own[0], &byte, 1));
    }
    guest_on_signal(signal_number, SIG_IGN, 0);
    CHECK_OK(sigprocmask(SIG_BLOCK, &sigio_set, NULL));
    finish(pids);
    guest_close_both(own);
}

int main(void)
{
    guest_start();
    sigio_start();
    by_waiting();
    by_handlers();
    by_handlers_while_busy();
    return guest_end();
}
