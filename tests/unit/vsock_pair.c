/*
 * vsock_pair.c - see vsock_pair.h
 */
#include "vsock_pair.h"

#include <criterion/criterion.h>
#include <fcntl.h>

#include "fdtab.h"
#include "host.h"
#include "vsock_data.h"

struct description *vsock_of(int fd)
{
    struct description *description = fdtab_get_call(fd);

    cr_assert_not_null(description);
    return description;
}

static void fill_end(int fd, uint32_t index, uint32_t port)
{
    struct description *description = description_at(index);
    struct vsock_end *end = &description->vsock;

    vsock_end_init(end, 2);
    atomic_store(&end->local_cid, 1);
    atomic_store(&end->local_port, port);
    atomic_store(&end->remote_cid, 1);
    atomic_store(&end->remote_port, 3 - port);
    atomic_store(&end->sock, VSOCK_CONNECTED);
    atomic_store(&end->state, VSOCK_ESTABLISHED);
    fdtab_set(&self, fd, index);
}

void vsock_pair(int ret_fds[2], int type)
{
    const enum description_kind kind = (type & 0xf) == SOCK_STREAM ? DESCRIPTION_VSOCK_STREAM
                                                                   : DESCRIPTION_VSOCK_SEQPACKET;
    const uint32_t slot = process.slot;
    const uint32_t one = buf_create(slot, 65536, 0, (uint8_t)kind);
    const uint32_t two = buf_create(slot, 65536, 0, (uint8_t)kind);
    const uint32_t status = (uint32_t)type & SOCK_NONBLOCK;
    const struct description_plan plans[2] = {
        { .kind = kind, .rx = one, .tx = two, .status = status },
        { .kind = kind, .rx = two, .tx = one, .status = status },
    };
    uint32_t ends[2];

    cr_assert_eq(host_socketpair(AF_UNIX, type, 0, ret_fds), 0);
    cr_assert_eq(description_create_pair(&self, plans, ends), 0);
    fill_end(ret_fds[0], ends[0], 1);
    fill_end(ret_fds[1], ends[1], 2);
    vsock_set_credit(&self, description_at(ends[0]), description_at(ends[1]));
}

int vsock_set(int fd, int name, int value)
{
    return (int)emu_setsockopt(&self, fd, SOL_SOCKET, name, &value, sizeof value);
}

int vsock_bits(int fd)
{
    return fixture_poll(fd, (short)(VSOCK_IN | VSOCK_OUT | POLLRDHUP | POLLPRI | POLLRDBAND |
                                    POLLWRBAND));
}

int vsock_error(int fd)
{
    int error = -1;
    socklen_t size = sizeof error;

    cr_assert_eq(emu_getsockopt(&self, fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    return error;
}

void vsock_set_size(int fd, int name, uint64_t size)
{
    cr_assert_eq(emu_setsockopt(&self, fd, AF_VSOCK, name, &size, sizeof size), 0);
}
