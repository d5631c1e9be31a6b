/*
 * Proves: who sleeps in poll, beside a real descriptor, is woken by a process that shares its pipe
 * and little else: one in another network namespace, one that a seccomp filter forbids to make
 * sockets and to send, one whose descriptors are used up. Several sleepers, each of them woken
 * again afterwards by an ordinary process.
 *
 * Rows: 3.6 "connected, idle, send buffer ok"
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "guest.h"

enum sandbox { OPEN, OTHER_NETWORK, NO_SOCKETS, NO_DESCRIPTORS, SANDBOXES };
enum { SLEEPERS = 3 };

static struct sleeper {
    struct guest_thread thread;
    int fds[2];
    int real;
} sleepers[SLEEPERS];

static void *sleep_in_poll(void *argument)
{
    const struct sleeper *sleeper = argument;
    struct pollfd both[2] = { { .fd = sleeper->real, .events = POLLIN },
                              { .fd = sleeper->fds[0], .events = POLLIN } };
    char byte;
    CHECK_EQ(1, poll(both, 2, -1));
    CHECK_EQ(POLLIN, both[1].revents);
    CHECK_EQ(1, read(sleeper->fds[0], &byte, 1));
    return NULL;
}

#define DENY(number)                                     \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

static void forbid_sockets(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        DENY(SYS_socket),
        DENY(SYS_sendto),
        DENY(SYS_sendmsg),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof code / sizeof code[0], code };
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

/* False: this process may not do so. */
static bool enter(enum sandbox sandbox)
{
    const struct rlimit none = { 0, 0 };
    switch (sandbox) {
    case OTHER_NETWORK: return unshare(CLONE_NEWNET) == 0;
    case NO_SOCKETS: forbid_sockets(); return true;
    case NO_DESCRIPTORS: CHECK_OK(setrlimit(RLIMIT_NOFILE, &none)); return true;
    default: return true;
    }
}

static void wake_all(enum sandbox sandbox)
{
    for (int i = 0; i < SLEEPERS; i++) {
        guest_thread_start(&sleepers[i].thread, sleep_in_poll, &sleepers[i]);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        guest_thread_blocked(&sleepers[i].thread);
    }
    pid_t child = guest_fork();
    if (child == 0) {
        enter(sandbox);
        for (int i = 0; i < SLEEPERS; i++) {
            CHECK_EQ(1, write(sleepers[i].fds[1], "x", 1));
        }
        _exit(0);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        guest_thread_join(&sleepers[i].thread);
    }
    guest_wait_exit(child, 0);
}

int main(void)
{
    guest_start();
    for (int i = 0; i < SLEEPERS; i++) {
        guest_pipe(sleepers[i].fds);
        sleepers[i].real = (int)CHECK_OK(eventfd(0, 0));
    }
    for (int round = 0; round < 2; round++) {
        for (int sandbox = SANDBOXES - 1; sandbox >= 0; sandbox--) {
            wake_all((enum sandbox)sandbox);
        }
    }
    for (int i = 0; i < SLEEPERS; i++) {
        guest_close_both(sleepers[i].fds);
        CHECK_OK(close(sleepers[i].real));
    }
    return guest_end();
}
