/*
 * guard - run a command with the kernel's AF_VSOCK and io_uring out of reach
 *
 *     guard COMMAND [ARG...]
 *
 * On a virtual machine the hypervisor is at the other end of a real AF_VSOCK connect, and inline
 * system calls, static programs and children without the preload go past every wrapper. So every
 * test runs below this program: a seccomp filter, inherited by the whole tree, answers
 * socket(AF_VSOCK) and socketpair(AF_VSOCK) with EAFNOSUPPORT and io_uring_setup with ENOSYS (a
 * ring makes sockets without a socket call), for x86-64, i386 and x32. The placeholders of AF_VSOCK
 * sockets are AF_UNIX ones, so nothing legitimate breaks.
 *
 * Leaves out: i386's socketcall(2), whose arguments lie in memory where a filter can't look. It is
 * denied as a whole, with ENOSYS, to the rare 32-bit program that comes by.
 *
 * Exit: the command's own; 125 no filter or wrong usage, 126 and 127 as env(1).
 */
#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EXIT_OWN_FAILURE = 125,
    EXIT_NOT_RUNNABLE = 126,
    EXIT_NOT_FOUND = 127,
};

static bool add_rules(scmp_filter_ctx filter)
{
    /* The kernel reads the family as an int: the upper half of the register doesn't count. */
    const struct scmp_arg_cmp vsock = SCMP_A0_32(SCMP_CMP_MASKED_EQ, UINT32_MAX, AF_VSOCK);
    const uint32_t denied = SCMP_ACT_ERRNO(EAFNOSUPPORT);
    const uint32_t missing = SCMP_ACT_ERRNO(ENOSYS);

    return seccomp_rule_add(filter, denied, SCMP_SYS(socket), 1, vsock) == 0 &&
           seccomp_rule_add(filter, denied, SCMP_SYS(socketpair), 1, vsock) == 0 &&
           seccomp_rule_add(filter, missing, SCMP_SYS(io_uring_setup), 0) == 0;
}

/* A filter for one architecture: they differ in socketcall, and are merged afterwards. */
static bool fill(scmp_filter_ctx filter, uint32_t arch)
{
    if (arch != seccomp_arch_native() &&
        (seccomp_arch_remove(filter, SCMP_ARCH_NATIVE) != 0 || seccomp_arch_add(filter, arch) != 0))
        return false;
    if (arch == SCMP_ARCH_X86) {
        const uint32_t missing = SCMP_ACT_ERRNO(ENOSYS);

        if (seccomp_rule_add_exact(filter, missing, SCMP_SYS(socketcall), 0) != 0)
            return false;
    }
    return add_rules(filter);
}

static scmp_filter_ctx filter_for(uint32_t arch)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (filter != NULL && !fill(filter, arch)) {
        seccomp_release(filter);
        return NULL;
    }
    return filter;
}

static bool guard_load(void)
{
    static const uint32_t others[] = { SCMP_ARCH_X86, SCMP_ARCH_X32 };
    scmp_filter_ctx filter = filter_for(SCMP_ARCH_X86_64);

    if (filter == NULL)
        return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        scmp_filter_ctx other = filter_for(others[i]);

        if (other == NULL || seccomp_merge(filter, other) != 0) {
            seccomp_release(other);
            seccomp_release(filter);
            return false;
        }
    }
    const bool loaded = seccomp_load(filter) == 0;
    seccomp_release(filter);
    return loaded;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: guard COMMAND [ARG...]\n");
        return EXIT_OWN_FAILURE;
    }
    if (!guard_load()) {
        fprintf(stderr, "guard: no seccomp filter\n");
        return EXIT_OWN_FAILURE;
    }
    execvp(argv[1], argv + 1);
    const int reason = errno;
    fprintf(stderr, "guard: %s: %s\n", argv[1], strerror(reason));
    return reason == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
}
