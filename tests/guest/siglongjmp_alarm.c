/*
 * Proves: siglongjmp out of a handler that interrupted a blocked read, write or poll is normal: the
 * program goes on using the same pipes and sockets, nothing is lost and nobody is woken in its
 * place. Many rounds, to meet every point of the call.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send"
 */
#include <setjmp.h>

#include "guest.h"

enum { ROUNDS = 300 };

static sigjmp_buf jump;
static volatile sig_atomic_t armed;

static void jump_out(int signo)
{
    (void)signo;
    if (armed) {
        armed = 0;
        siglongjmp(jump, 1);
    }
}

/* setitimer and alarm are one timer: the deadline is set again afterwards. */
static void alarm_in(long microseconds)
{
    const struct itimerval value = { { 0, 0 }, { 0, microseconds } };
    CHECK_OK(setitimer(ITIMER_REAL, &value, NULL));
}

static void deadline_again(void)
{
    guest_on_signal(SIGALRM, SIG_DFL, 0);
    alarm(GUEST_DEADLINE_S);
}

/* Blocks for ever in the given way; only the jump leads out. */
static void block_in(int way, const int fds[2])
{
    static char buffer[200000];
    struct pollfd entry = { .fd = fds[0], .events = POLLIN };
    switch (way) {
    case 0: (void)!read(fds[0], buffer, 1); break;
    case 1: (void)!write(fds[1], buffer, sizeof buffer); break;
    default: (void)poll(&entry, 1, -1); break;
    }
    CHECK(!"the blocked call returned");
}

static void still_works(const int fds[2])
{
    static char buffer[300000];
    guest_set_nonblock(fds[0], true);
    while (read(fds[0], buffer, sizeof buffer) > 0) {
    }
    CHECK_EQ(EAGAIN, errno);
    guest_set_nonblock(fds[0], false);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    CHECK_EQ(POLLIN, guest_poll(fds[0], POLLIN, -1));
    CHECK_EQ(3, read(fds[0], buffer, sizeof buffer));
    CHECK_MEM("abc", buffer, 3);
}

static void jump_from_blocked(int type, int way)
{
    int fds[2];
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
        CHECK_OK(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &(int){ 30000 }, sizeof(int)));
    }
    guest_on_signal(SIGALRM, jump_out, SA_RESTART);
    for (volatile int i = 0; i < 5; i++) {
        if (sigsetjmp(jump, 1) == 0) {
            armed = 1;
            alarm_in(3000);
            block_in(way, fds);
        }
        still_works(fds);
    }
    deadline_again();
    guest_close_both(fds);
}

/* A storm: the jump leaves reads and writes wherever they are, often before or after the sleep. */
static void jump_from_anywhere(int type)
{
    int fds[2];
    static char buffer[300000];
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    guest_on_signal(SIGALRM, jump_out, 0);
    for (volatile int i = 0; i < ROUNDS; i++) {
        if (sigsetjmp(jump, 1) == 0) {
            armed = 1;
            alarm_in(1 + i % 97 * 3);
            for (;;) {
                (void)!write(fds[1], buffer, 64);
                (void)!read(fds[0], buffer, 64);
            }
        }
    }
    still_works(fds);
    deadline_again();
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    for (int way = 0; way < 3; way++) {
        jump_from_blocked(0, way);
        jump_from_blocked(SOCK_STREAM, way);
    }
    jump_from_anywhere(0);
    jump_from_anywhere(SOCK_STREAM);
    return guest_end();
}
