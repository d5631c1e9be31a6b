/*
 * Proves (in the emulator only): types that aren't modeled are refused with ENOTSUP, but Linux's
 * own error comes first; a refusal leaks no fd. SOCK_RAW of AF_UNIX is SOCK_DGRAM, so it is
 * refused.
 *
 * Rows: 1.1 (all but 4 and 7), 1.2, 1.3 (order)
 */
#include <netinet/in.h>

#include "../guest.h"

static void refused(int domain, int type, int protocol)
{
    int fds[2] = { -1, -1 };
    CHECK_ERR(ENOTSUP, socket(domain, type, protocol));
    CHECK_ERR(ENOTSUP, socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (domain == AF_UNIX) {
        CHECK_ERR(ENOTSUP, socketpair(domain, type, protocol, fds));
    }
}

static void linux_errors_come_first(void)
{
    int fds[2] = { -1, -1 };
    CHECK_ERR(EINVAL, socket(AF_UNIX, SOCK_DGRAM | 0x100, 0));
    CHECK_ERR(EAFNOSUPPORT, socket(-1, SOCK_DGRAM, 0));
    CHECK_ERR(EAFNOSUPPORT, socket(1000, 11, 0));
    CHECK_ERR(EINVAL, socket(0, 11, 0));
    CHECK_ERR(EINVAL, socket(AF_UNIX, 11, 0));
    CHECK_ERR(EPROTONOSUPPORT, socket(AF_UNIX, SOCK_DGRAM, 2));
    CHECK_ERR(EPROTONOSUPPORT, socket(AF_UNIX, 9, 2));
    CHECK_ERR(ESOCKTNOSUPPORT, socket(AF_UNIX, 4, 0));
    CHECK_ERR(EINVAL, socket(AF_INET, SOCK_DGRAM, -1));
    CHECK_ERR(EPROTONOSUPPORT, socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
    CHECK_ERR(ESOCKTNOSUPPORT, socket(AF_INET, SOCK_SEQPACKET, 0));
    CHECK_ERR(EINVAL, socketpair(AF_UNIX, SOCK_DGRAM | 0x100, 0, fds));
    CHECK_ERR(EPROTONOSUPPORT, socketpair(AF_UNIX, SOCK_DGRAM, 2, fds));
    CHECK_ERR(EFAULT, socketpair(AF_UNIX, SOCK_DGRAM, 0, guest_bad_pointer()));
}

static void modeled_types_still_work(void)
{
    int fds[2];
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(1, write(fds[0], "x", 1));
    CHECK_EQ(1, read(fds[1], &(char){ 0 }, 1));
    guest_close_both(fds);
    guest_pair(SOCK_SEQPACKET, fds);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    refused(AF_UNIX, SOCK_DGRAM, 0);
    refused(AF_UNIX, SOCK_RAW, 0);
    refused(AF_INET, SOCK_DGRAM, 0);
    refused(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    refused(AF_INET6, SOCK_DGRAM, 0);
    linux_errors_come_first();
    modeled_types_still_work();
    return guest_end();
}
