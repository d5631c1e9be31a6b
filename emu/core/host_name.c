/*
 * host_name.c - the part of host.h about names of sockets and who may have them
 */
#include "host.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int host_bind(int fd, const void *address, socklen_t size)
{
    return (int)host_syscall(SYS_bind, fd, (long)address, (long)size, 0, 0, 0);
}

int host_listen(int fd, int backlog)
{
    return (int)host_syscall(SYS_listen, fd, backlog, 0, 0, 0, 0);
}

int host_getsockname(int fd, void *ret_address, socklen_t *ret_size)
{
    return (int)host_syscall(SYS_getsockname, fd, (long)ret_address, (long)ret_size, 0, 0, 0);
}

int host_getpeername(int fd, void *ret_address, socklen_t *ret_size)
{
    return (int)host_syscall(SYS_getpeername, fd, (long)ret_address, (long)ret_size, 0, 0, 0);
}

int host_file_identity(const char *path, uint64_t *ret_device, uint64_t *ret_inode)
{
    struct stat status;
    int rc = (int)host_syscall(SYS_stat, (long)path, (long)&status, 0, 0, 0, 0);

    if (rc == 0) {
        *ret_device = status.st_dev;
        *ret_inode = status.st_ino;
    }
    return rc;
}

uint64_t host_random(void)
{
    uint64_t value = 0;

    if (host_syscall(SYS_getrandom, (long)&value, sizeof value, 0, 0, 0, 0) != sizeof value) {
        value = host_now_ns() ^ (uint64_t)host_getpid() << 32;
    }
    return value;
}

bool host_has_capability(int capability)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

    return host_syscall(SYS_capget, (long)&header, (long)data, 0, 0, 0, 0) == 0 &&
           (data[capability / 32].effective >> (capability % 32) & 1);
}
