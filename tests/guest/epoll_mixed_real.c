/*
 * Proves: real descriptors (eventfd, timerfd, signalfd, inotify, pidfd, a TCP connection, a tty)
 * and a pipe's or a socketpair's end in one set: each is reported when it is ready, level and
 * edge, and either side wakes a thread that sleeps in the set; beside a plain file, which is EPERM.
 *
 * Rows: 6.4 "LT: reported on every wait while ready", 6.4 "ET (EPOLLET): queued by a wake-up", 6.3
 * "ctl: fd is a regular file"
 */
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>

#include "guest.h"

enum kind { PIPE, STREAM, SEQPACKET, KINDS };
enum real { EVENTFD, TIMERFD, SIGNALFD, INOTIFY, PIDFD, TCP, TTY, REALS };

static int ends[2];       /* the pipe or the pair */
static int real_fd;       /* what is watched */
static int real_other_fd; /* by which it is made ready, -1: none */
static pid_t real_pid;    /* of pidfd */
static int epoll;

static void open_kind(enum kind kind, int fds[2])
{
    if (kind == PIPE) {
        guest_pipe(fds);
    } else {
        guest_pair(kind == STREAM ? SOCK_STREAM : SOCK_SEQPACKET, fds);
    }
}

static void open_tcp(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    int server = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_OK(bind(server, (struct sockaddr *)&address, length));
    CHECK_OK(listen(server, 1));
    CHECK_OK(getsockname(server, (struct sockaddr *)&address, &length));
    real_other_fd = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_OK(connect(real_other_fd, (struct sockaddr *)&address, length));
    real_fd = (int)CHECK_OK(accept(server, NULL, NULL));
    CHECK_OK(close(server));
}

static void open_tty(void)
{
    struct termios raw;
    real_other_fd = (int)CHECK_OK(posix_openpt(O_RDWR | O_NOCTTY));
    CHECK_OK(grantpt(real_other_fd));
    CHECK_OK(unlockpt(real_other_fd));
    real_fd = (int)CHECK_OK(open(ptsname(real_other_fd), O_RDWR | O_NOCTTY));
    CHECK_OK(tcgetattr(real_fd, &raw));
    cfmakeraw(&raw);
    CHECK_OK(tcsetattr(real_fd, TCSANOW, &raw));
}

static char watched_file[64];

static void open_inotify(void)
{
    snprintf(watched_file, sizeof watched_file, "/tmp/epoll_mixed_real.%d", getpid());
    CHECK_OK(close((int)CHECK_OK(open(watched_file, O_CREAT | O_WRONLY, 0600))));
    real_fd = (int)CHECK_OK(inotify_init1(0));
    CHECK_OK(inotify_add_watch(real_fd, watched_file, IN_ATTRIB));
}

static void open_signalfd(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_ZERO(pthread_sigmask(SIG_BLOCK, &set, NULL)); /* threads to come inherit it */
    real_fd = (int)CHECK_OK(signalfd(-1, &set, 0));
}

static void open_pidfd(void)
{
    real_pid = guest_fork();
    if (real_pid == 0) {
        for (;;) {
            pause();
        }
    }
    real_fd = (int)CHECK_OK(syscall(SYS_pidfd_open, real_pid, 0));
}

static void open_real(enum real real)
{
    real_other_fd = -1;
    real_pid = 0;
    switch (real) {
    case EVENTFD: real_fd = (int)CHECK_OK(eventfd(0, 0)); break;
    case TIMERFD: real_fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0)); break;
    case SIGNALFD: open_signalfd(); break;
    case INOTIFY: open_inotify(); break;
    case PIDFD: open_pidfd(); break;
    case TCP: open_tcp(); break;
    default: open_tty();
    }
}

static void make_real_ready(enum real real)
{
    const struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
    switch (real) {
    case EVENTFD: CHECK_OK(eventfd_write(real_fd, 1)); break;
    case TIMERFD: CHECK_OK(timerfd_settime(real_fd, 0, &soon, NULL)); break;
    case SIGNALFD: CHECK_OK(kill(getpid(), SIGUSR2)); break;
    case INOTIFY: CHECK_OK(chmod(watched_file, 0644)); break;
    case PIDFD: CHECK_OK(kill(real_pid, SIGKILL)); break;
    default: CHECK_EQ(1, write(real_other_fd, "r", 1));
    }
}

static void close_real(enum real real)
{
    char buffer[256];
    if (real == PIDFD) {
        guest_wait_killed(real_pid, SIGKILL);
    } else {
        CHECK(read(real_fd, buffer, sizeof buffer) > 0);
    }
    if (real == INOTIFY) {
        CHECK_OK(unlink(watched_file));
    }
    CHECK_OK(close(real_fd));
    if (real_other_fd >= 0) {
        CHECK_OK(close(real_other_fd));
    }
}

static void add(int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/* Waits for one event, which must be input on this fd. */
static void check_one(int fd, int timeout_ms)
{
    struct epoll_event events[4];
    CHECK_EQ(1, epoll_wait(epoll, events, 4, timeout_ms));
    CHECK_EQ(EPOLLIN, events[0].events);
    CHECK_EQ(fd, events[0].data.fd);
}

static void check_none(void)
{
    struct epoll_event event;
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
}

static void *sleep_for(void *argument)
{
    check_one(*(int *)argument, -1);
    return NULL;
}

/* The end first, while the real one is silent; then the real one; then both. */
static void mixed(enum kind kind, enum real real, uint32_t edge, bool end_first)
{
    struct guest_thread thread;
    struct epoll_event events[4];
    char byte;
    open_kind(kind, ends);
    open_real(real);
    epoll = (int)CHECK_OK(epoll_create1(0));
    add(end_first ? ends[0] : real_fd, EPOLLIN | edge);
    add(end_first ? real_fd : ends[0], EPOLLIN | edge);
    int file = (int)CHECK_OK(open("/proc/self/exe", O_RDONLY));
    CHECK_ERR(EPERM, epoll_ctl(epoll, EPOLL_CTL_ADD, file, events));
    CHECK_OK(close(file));
    check_none();
    guest_thread_start(&thread, sleep_for, &ends[0]);
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(ends[1], "x", 1));
    guest_thread_join(&thread);
    CHECK_EQ(1, read(ends[0], &byte, 1));
    check_none();
    guest_thread_start(&thread, sleep_for, &real_fd);
    guest_thread_blocked(&thread);
    make_real_ready(real);
    guest_thread_join(&thread);
    if (edge) {
        check_none();
    } else {
        check_one(real_fd, 0);
        CHECK_EQ(1, write(ends[1], "y", 1));
        CHECK_EQ(2, epoll_wait(epoll, events, 4, -1));
        CHECK_EQ(real_fd + ends[0], events[0].data.fd + events[1].data.fd);
        CHECK_EQ(2, epoll_wait(epoll, events, 2, 0));
        CHECK_EQ(1, epoll_wait(epoll, events, 1, 0)); /* turn by turn: two waits serve both */
        CHECK_EQ(1, epoll_wait(epoll, events + 1, 1, 0));
        CHECK_EQ(real_fd + ends[0], events[0].data.fd + events[1].data.fd);
    }
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, real_fd, NULL));
    CHECK_EQ(edge ? 0 : 1, epoll_wait(epoll, events, 4, 0));
    close_real(real);
    CHECK_OK(close(epoll));
    guest_close_both(ends);
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        for (int real = 0; real < REALS; real++) {
            mixed((enum kind)kind, (enum real)real, 0, true);
            mixed((enum kind)kind, (enum real)real, EPOLLET, false);
        }
    }
    return guest_end();
}
