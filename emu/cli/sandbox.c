/*
 * sandbox.c - see sandbox.h
 *
 * The wrappers refuse what isn't modeled, count it and say where it was called. The filter, with
 * the same ENOTSUP, is for what never reaches them: static programs, inline system calls, children
 * without the library. Its answers are counted by nobody. Placeholders are AF_UNIX sockets, so
 * AF_UNIX stays open.
 *
 * It keeps tests from leaking out by mistake. It is no wall against hostile code: what is open
 * already stays open, files and AF_UNIX sockets of the machine can be reached, and signals sent.
 */
#include "sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "bounds.h"

void sandbox_set_options(struct emu_options *options)
{
    if (options->unmodeled == EMU_ACTION_DEFAULT)
        options->unmodeled = EMU_ACTION_REFUSE;
    if (options->host_unix == EMU_HOST_UNIX_ALLOW)
        options->host_unix = EMU_HOST_UNIX_DENY;
}

static bool is_open(const struct emu_options *options, int family)
{
    if (family == AF_UNIX)
        return true;
    for (uint32_t i = 0; i < options->policy_count; i++) {
        if (options->policy[i].family == family && options->policy[i].action == EMU_ACTION_NATIVE)
            return true;
    }
    return false;
}

/* The kernel reads the family as an int: the upper half of the register doesn't count. */
static int deny_family(scmp_filter_ctx filter, int family)
{
    const struct scmp_arg_cmp same = SCMP_A0_32(SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)family);
    const int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTSUP), SCMP_SYS(socket), 1, same);

    return rc != 0
               ? rc
               : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTSUP), SCMP_SYS(socketpair), 1, same);
}

static int fill(scmp_filter_ctx filter, const struct emu_options *options)
{
    /* Other ways to make system calls: i386's socketcall keeps its arguments where no filter looks.
     */
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));

    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);
    for (int family = AF_UNSPEC; family < AF_MAX && rc == 0; family++) {
        if (!is_open(options, family))
            rc = deny_family(filter, family);
    }
    return rc;
}

int sandbox_install(const struct emu_options *options)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc;

    if (filter == NULL)
        return ENOMEM;
    rc = fill(filter, options);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return -rc;
}
