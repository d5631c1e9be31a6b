/*
 * test_vsock_records.c - SOCK_SEQPACKET of AF_VSOCK: boundaries, MSG_EOR, records in pieces
 *
 * What Linux 6.18's net/vmw_vsock/virtio_transport_common.c says; no kernel was asked.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <string.h>

#include "host_fake.h"
#include "vsock_pair.h"

TestSuite(vsock_records, .init = fixture_start, .fini = fixture_end);

#define CREDIT 262144

static char data[300000];
static int fds[2];

static int64_t put(size_t size)
{
    return emu_send(&self, fds[0], data, size, MSG_DONTWAIT);
}

/* One receive with these flags; *ret_flags is msg_flags. */
static int64_t get(size_t size, int flags, int *ret_flags)
{
    struct iovec iov = { data, size };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_flags = -1 };
    const int64_t result = emu_recvmsg(&self, fds[1], &message, flags | MSG_DONTWAIT);

    *ret_flags = message.msg_flags;
    return result;
}

static void expect_record(size_t size, int flags, int64_t result, int shown)
{
    int flags_now = 0;

    cr_expect_eq(get(size, flags, &flags_now), result);
    cr_expect_eq(flags_now, shown, "msg_flags %#x, not %#x", (unsigned)flags_now, (unsigned)shown);
}

Test(vsock_records, stay_apart)
{
    vsock_pair(fds, SOCK_SEQPACKET);
    cr_expect_eq(put(10), 10);
    cr_expect_eq(put(20), 20);
    cr_expect_eq(put(30), 30);
    cr_expect_eq(put(0), 0); /* nothing is sent */
    expect_record(100, MSG_PEEK, 10, 0);
    expect_record(4, MSG_PEEK | MSG_TRUNC, 10, MSG_TRUNC);
    expect_record(100, 0, 10, 0);
    expect_record(4, 0, 4, MSG_TRUNC);
    expect_record(4, MSG_TRUNC, 30, MSG_TRUNC);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_OUT);
    cr_expect_eq(get(1, 0, &(int){ 0 }), -EAGAIN);
    cr_expect_eq(get(0, 0, &(int){ 0 }), 0, "takes nothing, waits for nothing");
    fixture_close(fds);
}

Test(vsock_records, the_end_of_a_record)
{
    struct iovec iov = { data, 6 };
    struct mmsghdr many = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_flags = MSG_EOR } };

    vsock_pair(fds, SOCK_SEQPACKET);
    cr_expect_eq(put(1), 1);
    cr_expect_eq(emu_write(&self, fds[0], data, 2), 2);
    cr_expect_eq(emu_writev(&self, fds[0], &iov, 1), 6);
    cr_expect_eq(emu_send(&self, fds[0], data, 4, MSG_EOR), 4);
    cr_expect_eq(emu_sendmsg(&self, fds[0], &many.msg_hdr, 0), 6);
    cr_expect_eq(emu_sendmmsg(&self, fds[0], &many, 1, 0), 1);
    expect_record(100, 0, 1, 0);
    expect_record(100, MSG_PEEK, 2, MSG_EOR);
    expect_record(1, 0, 1, MSG_EOR | MSG_TRUNC);
    expect_record(100, 0, 6, MSG_EOR);
    expect_record(100, 0, 4, MSG_EOR);
    expect_record(100, 0, 6, 0);
    expect_record(100, 0, 6, MSG_EOR);
    fixture_close(fds);
}

Test(vsock_records, the_largest)
{
    vsock_pair(fds, SOCK_SEQPACKET);
    cr_expect_eq(put(CREDIT + 1), -EMSGSIZE);
    cr_expect_eq(put(CREDIT), CREDIT);
    cr_expect_eq(put(CREDIT + 1), -EAGAIN, "room first");
    cr_expect_eq(vsock_bits(fds[0]), 0);
    expect_record(sizeof data, 0, CREDIT, 0);
    cr_expect_eq(vsock_bits(fds[0]), VSOCK_OUT);
    vsock_set_size(fds[1], SO_VM_SOCKETS_BUFFER_SIZE, 5000);
    cr_expect_eq(put(5001), -EMSGSIZE);
    cr_expect_eq(put(5000), 5000);
    fixture_close(fds);
}

Test(vsock_records, in_pieces)
{
    vsock_pair(fds, SOCK_SEQPACKET);
    cr_expect_eq(put(200000), 200000);
    memset(data, 'x', 100000);
    cr_expect_eq(put(100000), -EAGAIN, "62144 bytes of it are sent");
    expect_record(sizeof data, 0, 200000, 0);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | VSOCK_OUT, "poll counts bytes");
    cr_expect_eq(get(1, 0, &(int){ 0 }), -EAGAIN, "a receive counts records");
    memset(data, 'y', 50);
    cr_expect_eq(put(50), 50);
    expect_record(sizeof data, 0, CREDIT - 200000 + 50, 0);
    cr_expect_eq(data[CREDIT - 200001], 'x');
    cr_expect_eq(data[CREDIT - 200000], 'y');
    fixture_close(fds);
}

static void take_one(void *context)
{
    static char sink[300000];

    cr_assert_eq(emu_recv(&other, fds[1], sink, sizeof sink, 0), *(int64_t *)context);
}

Test(vsock_records, a_blocked_one)
{
    int64_t first = 200000;

    vsock_pair(fds, SOCK_SEQPACKET);
    cr_expect_eq(put(200000), 200000);
    for (size_t i = 0; i < 100000; i++)
        data[i] = (char)(i % 251);
    fake_plan(1100 * MS, take_one, &first);
    cr_expect_eq(emu_send(&self, fds[0], data, 100000, 0), 100000);
    memset(data, 0, sizeof data);
    expect_record(sizeof data, 0, 100000, 0);
    for (size_t i = 0; i < 100000; i++)
        cr_assert_eq(data[i], (char)(i % 251));
    fixture_close(fds);
}

Test(vsock_records, a_time_out_says_nothing_of_pieces)
{
    const struct timeval time = { 1, 0 };

    vsock_pair(fds, SOCK_SEQPACKET);
    cr_assert_eq(emu_setsockopt(&self, fds[0], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time), 0);
    cr_expect_eq(put(200000), 200000);
    cr_expect_eq(emu_send(&self, fds[0], data, 100000, 0), -EAGAIN);
    fixture_close(fds);
}

Test(vsock_records, ends)
{
    vsock_pair(fds, SOCK_SEQPACKET);
    cr_expect_eq(put(10), 10);
    emu_close(&self, fds[0]);
    self.sigpipe = false;
    cr_expect_eq(emu_write(&self, fds[1], data, 1), -EPIPE);
    cr_expect(!self.sigpipe, "records never raise SIGPIPE");
    expect_record(100, 0, 10, 0);
    cr_expect_eq(get(1, 0, &(int){ 0 }), 0);
    cr_expect_eq(vsock_error(fds[1]), 0);
    emu_close(&self, fds[1]);
    vsock_pair(fds, SOCK_SEQPACKET);
    emu_close(&self, fds[0]);
    cr_expect_eq(get(1, 0, &(int){ 0 }), 0);
    cr_expect_eq(emu_shutdown(&self, fds[1], SHUT_RD), 0);
    cr_expect_eq(get(1, 0, &(int){ 0 }), -ENOTCONN);
    emu_close(&self, fds[1]);
}

Test(vsock_records, a_bad_buffer_loses_the_record)
{
    vsock_pair(fds, SOCK_SEQPACKET);
    cr_expect_eq(put(10), 10);
    cr_expect_eq(put(20), 20);
    fake_bad_memory(data, 1);
    cr_expect_eq(get(100, MSG_PEEK, &(int){ 0 }), -EFAULT);
    cr_expect_eq(get(100, 0, &(int){ 0 }), -EFAULT);
    cr_expect_eq(put(5), -ENOMEM);
    fake_bad_memory(NULL, 0);
    expect_record(100, 0, 20, 0);
    cr_expect_eq(get(1, 0, &(int){ 0 }), -EAGAIN);
    fixture_close(fds);
}

Test(vsock_records, a_pending_error)
{
    vsock_pair(fds, SOCK_SEQPACKET);
    cr_expect_eq(put(10), 10);
    atomic_store(&vsock_of(fds[1])->error, ECONNRESET);
    cr_expect_eq(get(100, 0, &(int){ 0 }), -ECONNRESET, "takes the record all the same");
    cr_expect_eq(get(100, 0, &(int){ 0 }), 0, "with nothing there it is dropped");
    cr_expect_eq(emu_send(&self, fds[1], data, 1, 0), -ECONNRESET);
    cr_expect_eq(vsock_error(fds[1]), ECONNRESET);
    cr_expect_eq(get(100, 0, &(int){ 0 }), -EAGAIN);
    fixture_close(fds);
}

Test(vsock_records, every_read_reports)
{
    vsock_pair(fds, SOCK_SEQPACKET);
    for (int i = 0; i < 64; i++)
        cr_assert_eq(put(4096), 4096);
    cr_expect_eq(put(4096), -EAGAIN);
    expect_record(4096, 0, 4096, 0);
    cr_expect_eq(put(4096), 4096);
    cr_expect_eq(put(1), -EAGAIN);
    fixture_close(fds);
}
