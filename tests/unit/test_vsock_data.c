/*
 * test_vsock_data.c - AF_VSOCK streams: credit and when it comes back, ends, shutdown, poll bits
 *
 * What Linux 6.18's net/vmw_vsock/af_vsock.c and virtio_transport_common.c say; no kernel was
 * asked.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "host_fake.h"
#include "vsock_pair.h"

TestSuite(vsock_data, .init = fixture_start, .fini = fixture_end);

#define CREDIT 262144

static char data[1000000];
static int fds[2];

static int64_t put(int fd, size_t size)
{
    return emu_send(&self, fd, data, size, MSG_DONTWAIT);
}

static int64_t get(int fd, size_t size)
{
    return emu_recv(&self, fd, data, size, MSG_DONTWAIT);
}

/* As many writes of `size` as fit; the sum. */
static int64_t fill(int fd, size_t size)
{
    int64_t total = 0;
    int64_t done;

    while ((done = put(fd, size)) > 0)
        total += done;
    cr_assert_eq(done, -EAGAIN);
    return total;
}

/* The error of a write, and whether it raised SIGPIPE. */
static void expect_write(int fd, int64_t result, bool signal)
{
    self.sigpipe = false;
    cr_expect_eq(put(fd, 1), result);
    cr_expect_eq(self.sigpipe, signal);
    self.sigpipe = false;
}

Test(vsock_data, the_same_credit_for_every_size)
{
    static const size_t sizes[] = { 1, 100, 4096, 65535, 65536, 65537, 100000, 262144, 1000000 };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        vsock_pair(fds, SOCK_STREAM);
        cr_expect_eq(vsock_bits(fds[0]), VSOCK_OUT);
        cr_expect_eq(fill(fds[0], sizes[i]), CREDIT);
        cr_expect_eq(vsock_bits(fds[0]), 0);
        cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | VSOCK_OUT);
        cr_expect_eq(get(fds[1], sizeof data), CREDIT);
        cr_expect_eq(vsock_bits(fds[0]), VSOCK_OUT);
        fixture_close(fds);
    }
}

Test(vsock_data, bytes_come_in_order_through_the_ring)
{
    char out[3000];
    char in[5000];
    uint32_t sent = 0;
    uint32_t received = 0;

    vsock_pair(fds, SOCK_STREAM);
    while (received < 3000000) {
        for (size_t i = 0; i < sizeof out; i++)
            out[i] = (char)((sent + i) * 7 % 251);
        const int64_t put_now = emu_send(&self, fds[0], out, sizeof out - received % 97,
                                         MSG_DONTWAIT);
        sent += put_now > 0 ? (uint32_t)put_now : 0;
        const int64_t got = emu_recv(&self, fds[1], in, 1 + sent % sizeof in, MSG_DONTWAIT);
        for (int64_t i = 0; i < got; i++)
            cr_assert_eq(in[i], (char)((received + i) * 7 % 251));
        received += got > 0 ? (uint32_t)got : 0;
    }
    fixture_close(fds);
}

Test(vsock_data, credit_comes_back_when_much_or_all_is_read)
{
    vsock_pair(fds, SOCK_STREAM);
    fill(fds[0], 4096);
    cr_expect_eq(get(fds[1], 196608), 196608); /* 192 KiB: a packet's worth is known to be free */
    cr_expect_eq(vsock_bits(fds[0]), 0);
    cr_expect_eq(get(fds[1], 4095), 4095); /* not the whole packet */
    cr_expect_eq(vsock_bits(fds[0]), 0);
    cr_expect_eq(get(fds[1], 1), 1);
    cr_expect_eq(vsock_bits(fds[0]), VSOCK_OUT);
    cr_expect_eq(fill(fds[0], 65536), 196608 + 4096);
    cr_expect_eq(get(fds[1], CREDIT - 1), CREDIT - 1);
    cr_expect_eq(get(fds[1], 100), 1);
    cr_expect_eq(fill(fds[0], 100000), CREDIT);
    fixture_close(fds);
}

Test(vsock_data, a_packet_is_read_when_its_last_byte_is)
{
    vsock_pair(fds, SOCK_STREAM);
    fill(fds[0], CREDIT);
    cr_expect_eq(get(fds[1], 3 * 65536 + 65535), 3 * 65536 + 65535);
    cr_expect_eq(vsock_bits(fds[0]), 0); /* three packets are no more than 192 KiB */
    cr_expect_eq(get(fds[1], 1), 1);
    cr_expect_eq(fill(fds[0], CREDIT), CREDIT);
    fixture_close(fds);
}

Test(vsock_data, small_packets_join_the_one_before)
{
    vsock_pair(fds, SOCK_STREAM);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(put(fds[0], 100), 100);
    cr_expect_eq(vsock_of(fds[1])->rx, vsock_of(fds[0])->tx);
    cr_expect_eq(buf_peek(buf_at(vsock_of(fds[1])->rx)).seg_count, 25, "200 of 276 bytes each");
    cr_expect_eq(put(fds[0], 129), 129);
    cr_expect_eq(buf_peek(buf_at(vsock_of(fds[1])->rx)).seg_count, 26);
    cr_expect_eq(get(fds[1], sizeof data), 5129);
    fixture_close(fds);
}

Test(vsock_data, any_packet_reports)
{
    vsock_pair(fds, SOCK_STREAM);
    fill(fds[0], 4096);
    cr_expect_eq(get(fds[1], 10 * 4096), 10 * 4096);
    cr_expect_eq(vsock_bits(fds[0]), 0);
    cr_expect_eq(put(fds[1], 1), 1);
    cr_expect_eq(vsock_bits(fds[0]), VSOCK_IN | VSOCK_OUT);
    cr_expect_eq(fill(fds[0], 4096), 10 * 4096);
    cr_expect_eq(get(fds[1], 4096), 4096);
    cr_expect_eq(emu_shutdown(&self, fds[1], SHUT_WR), 0);
    cr_expect_eq(fill(fds[0], 1), 4096);
    fixture_close(fds);
}

Test(vsock_data, the_low_water_mark)
{
    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(vsock_set(fds[1], SO_RCVLOWAT, 10000), 0);
    cr_expect_eq(put(fds[0], 9999), 9999);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_OUT);
    cr_expect_eq(put(fds[0], 1), 1);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | VSOCK_OUT);
    cr_expect_eq(get(fds[1], 1), 1);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_OUT);
    cr_expect_eq(get(fds[1], 20000), 9999, "less is given to who doesn't wait");
    fill(fds[0], 4096);
    cr_expect_eq(get(fds[1], 61 * 4096), 61 * 4096);
    cr_expect_eq(fill(fds[0], 1), 61 * 4096, "what is left doesn't wake a reader");
    cr_expect_eq(vsock_set(fds[1], SO_RCVLOWAT, 1), 0);
    cr_expect_eq(get(fds[1], 3 * 4096), 3 * 4096);
    cr_expect_eq(vsock_bits(fds[0]), 0);
    cr_expect_eq(vsock_set(fds[1], SO_RCVLOWAT, CREDIT), 0);
    cr_expect_eq(vsock_bits(fds[0]), VSOCK_OUT, "setting it reports");
    fixture_close(fds);
}

Test(vsock_data, the_smaller_buffer_counts)
{
    vsock_pair(fds, SOCK_STREAM);
    vsock_set_size(fds[0], SO_VM_SOCKETS_BUFFER_SIZE, 1000);
    cr_expect_eq(fill(fds[0], 300), 1000);
    cr_expect_eq(fill(fds[1], 300), 1000);
    vsock_set_size(fds[0], SO_VM_SOCKETS_BUFFER_SIZE, 2000);
    cr_expect_eq(fill(fds[1], 300), 1000);
    vsock_set_size(fds[1], SO_VM_SOCKETS_BUFFER_SIZE, 500);
    cr_expect_eq(put(fds[0], 1), -EAGAIN, "more is on its way than there may be");
    cr_expect_eq(get(fds[1], 1000), 1000);
    cr_expect_eq(fill(fds[0], 300), 500);
    fixture_close(fds);
}

Test(vsock_data, all_that_was_unread_is_read_after_a_close)
{
    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(put(fds[1], 7), 7);
    cr_expect_eq(put(fds[0], 100), 100);
    emu_close(&self, fds[0]); /* leaves 7 bytes unread */
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | VSOCK_OUT | POLLRDHUP);
    expect_write(fds[1], -EPIPE, true);
    cr_expect_eq(get(fds[1], 60), 60);
    cr_expect_eq(get(fds[1], 60), 40);
    cr_expect_eq(get(fds[1], 60), 0);
    cr_expect_eq(get(fds[1], 60), 0);
    cr_expect_eq(vsock_error(fds[1]), 0);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | VSOCK_OUT | POLLRDHUP);
    cr_expect_eq(emu_shutdown(&self, fds[1], SHUT_WR), 0);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | POLLRDHUP | POLLHUP);
    cr_expect_eq(get(fds[1], 60), 0, "it never was DONE");
    emu_close(&self, fds[1]);
}

Test(vsock_data, shutdown_forgets_that_the_end_was_seen)
{
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        vsock_pair(fds, SOCK_STREAM);
        emu_close(&self, fds[0]);
        cr_expect_eq(get(fds[1], 1), 0);
        cr_expect_eq(emu_sendto(&self, fds[1], data, 1, 0, (const struct sockaddr *)data, 16),
                     -EOPNOTSUPP, "TCP_CLOSING isn't connected");
        cr_expect_eq(emu_shutdown(&self, fds[1], how), 0);
        cr_expect_eq(get(fds[1], 1), -ENOTCONN);
        expect_write(fds[1], -EPIPE, true);
        emu_close(&self, fds[1]);
    }
}

Test(vsock_data, without_credit_there_is_no_room_after_a_close)
{
    vsock_pair(fds, SOCK_STREAM);
    fill(fds[1], 4096);
    cr_expect_eq(put(fds[0], 1), 1);
    emu_close(&self, fds[0]);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | POLLRDHUP);
    emu_close(&self, fds[1]);
    vsock_pair(fds, SOCK_STREAM);
    fill(fds[1], 4096);
    emu_close(&self, fds[0]);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | VSOCK_OUT | POLLRDHUP, "TCP_CLOSING shows OUT");
    emu_close(&self, fds[1]);
}

Test(vsock_data, shutdown_of_writing)
{
    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(put(fds[0], 10), 10);
    cr_expect_eq(emu_shutdown(&self, fds[0], SHUT_WR), 0);
    cr_expect_eq(vsock_bits(fds[0]), 0);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | VSOCK_OUT | POLLRDHUP);
    expect_write(fds[0], -EPIPE, true);
    cr_expect_eq(emu_send(&self, fds[0], data, 0, 0), -EPIPE);
    cr_expect_eq(put(fds[1], 5), 5);
    cr_expect_eq(get(fds[0], 9), 5);
    cr_expect_eq(get(fds[1], 100), 10);
    cr_expect_eq(get(fds[1], 100), 0);
    cr_expect_eq(emu_shutdown(&self, fds[1], SHUT_WR), 0);
    cr_expect_eq(vsock_bits(fds[0]), VSOCK_IN | POLLRDHUP | POLLHUP);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | POLLRDHUP | POLLHUP);
    cr_expect_eq(get(fds[0], 1), 0);
    fixture_close(fds);
}

Test(vsock_data, shutdown_of_reading_hides_what_is_there)
{
    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(put(fds[0], 10), 10);
    cr_expect_eq(emu_shutdown(&self, fds[1], SHUT_RD), 0);
    cr_expect_eq(get(fds[1], 100), 0);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | VSOCK_OUT | POLLRDHUP);
    cr_expect_eq(vsock_bits(fds[0]), VSOCK_OUT);
    expect_write(fds[0], -EPIPE, true);
    cr_expect_eq(put(fds[1], 5), 5);
    fixture_close(fds);
}

Test(vsock_data, shutdown_of_both_closes_the_peer)
{
    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(emu_shutdown(&self, fds[0], SHUT_WR), 0);
    cr_expect_eq(emu_shutdown(&self, fds[0], SHUT_RD), 0);
    cr_expect_eq(vsock_bits(fds[0]), VSOCK_IN | POLLRDHUP | POLLHUP);
    cr_expect_eq(vsock_bits(fds[1]), VSOCK_IN | VSOCK_OUT | POLLRDHUP);
    cr_expect_eq(get(fds[1], 1), 0);
    cr_expect_eq(get(fds[0], 1), 0);
    cr_expect_eq(emu_shutdown(&self, fds[0], SHUT_RDWR), 0);
    cr_expect_eq(get(fds[0], 1), 0, "its peer is there, and answers again");
    expect_write(fds[1], -EPIPE, true);
    cr_expect_eq(emu_shutdown(&self, fds[1], SHUT_WR), 0);
    cr_expect_eq(get(fds[1], 1), -ENOTCONN);
    fixture_close(fds);
}

Test(vsock_data, a_pending_error_stays)
{
    vsock_pair(fds, SOCK_STREAM);
    atomic_store(&vsock_of(fds[0])->error, ECONNRESET);
    cr_expect_eq(put(fds[1], 3), 3);
    cr_expect_eq(vsock_bits(fds[0]), VSOCK_IN | VSOCK_OUT | POLLERR);
    cr_expect_eq(put(fds[0], 1), -ECONNRESET);
    cr_expect_eq(emu_send(&self, fds[0], data, 0, 0), 0, "nobody looks");
    cr_expect_eq(get(fds[0], 10), 3, "what is there comes first");
    cr_expect_eq(get(fds[0], 10), -ECONNRESET);
    cr_expect_eq(get(fds[0], 10), -ECONNRESET);
    cr_expect_eq(vsock_error(fds[0]), ECONNRESET);
    cr_expect_eq(vsock_error(fds[0]), 0);
    cr_expect_eq(get(fds[0], 10), -EAGAIN);
    atomic_store(&vsock_of(fds[0])->error, ECONNRESET);
    cr_expect_eq(emu_shutdown(&self, fds[0], SHUT_WR), 0);
    expect_write(fds[0], -ECONNRESET, false); /* in the place of EPIPE, once */
    expect_write(fds[0], -EPIPE, true);
    fixture_close(fds);
}

Test(vsock_data, flags_addresses_and_ancillary_data)
{
    struct iovec iov = { data, 3 };
    char control[CMSG_SPACE(4)] = { 0 };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };

    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(emu_send(&self, fds[0], data, 1, MSG_OOB), -EOPNOTSUPP);
    cr_expect_eq(emu_recv(&self, fds[0], data, 1, MSG_OOB), -EOPNOTSUPP);
    cr_expect_eq(emu_send(&self, fds[0], data, 1, MSG_ZEROCOPY), -EOPNOTSUPP);
    cr_expect_eq(emu_recv(&self, fds[0], data, 1, MSG_ERRQUEUE), -EAGAIN);
    cr_expect_eq(emu_sendto(&self, fds[0], data, 1, 0, (const struct sockaddr *)data, 16),
                 -EISCONN);
    cr_expect_eq(emu_sendto(&self, fds[0], data, 1, MSG_OOB, (const struct sockaddr *)data, 16),
                 -EOPNOTSUPP);
    cr_expect_eq(emu_sendto(&self, fds[0], data, 1, 0, (const struct sockaddr *)data, 0), 1);
    cr_expect_eq(emu_sendmsg(&self, fds[0], &message, MSG_EOR | MSG_MORE), 3);
    fake_bad_memory(control, sizeof control);
    cr_expect_eq(emu_sendmsg(&self, fds[0], &message, 0), -EFAULT);
    fake_bad_memory(NULL, 0);
    message.msg_controllen = 1 << 20;
    cr_expect_eq(emu_sendmsg(&self, fds[0], &message, 0), -ENOBUFS);
    cr_expect_eq(get(fds[1], 100), 4);
    fixture_close(fds);
}

Test(vsock_data, bad_buffers)
{
    vsock_pair(fds, SOCK_STREAM);
    fake_bad_memory(data + 70000, 1);
    cr_expect_eq(put(fds[0], 100000), 65536, "a whole packet before it");
    cr_expect_eq(emu_send(&self, fds[0], data + 69000, 2000, 0), -ENOMEM, "as Linux says");
    cr_expect_eq(emu_recv(&self, fds[1], data + 69000, 2000, 0), -EFAULT);
    cr_expect_eq(emu_recv(&self, fds[1], data + 69000, 2000, MSG_PEEK), -EFAULT);
    fake_bad_memory(NULL, 0);
    cr_expect_eq(get(fds[1], 100000), 65536, "nothing is lost");
    fixture_close(fds);
}

Test(vsock_data, peek_and_wait_for_all)
{
    static const char letters[] = "abcdefghij";

    vsock_pair(fds, SOCK_STREAM);
    memcpy(data, letters, sizeof letters);
    cr_expect_eq(put(fds[0], 10), 10);
    cr_expect_eq(emu_recv(&self, fds[1], data, 4, 0), 4);
    memset(data, 0, 10);
    cr_expect_eq(emu_recv(&self, fds[1], data, 100, MSG_PEEK | MSG_WAITALL), 6);
    cr_expect_eq(memcmp(data, "efghij", 7), 0);
    cr_expect_eq(emu_recv(&self, fds[1], data, CREDIT, MSG_WAITALL), -ENOMEM);
    cr_expect_eq(emu_recv(&self, fds[1], data, CREDIT - 1, MSG_WAITALL | MSG_DONTWAIT), 6);
    cr_expect_eq(vsock_set(fds[1], SO_RCVLOWAT, CREDIT), 0);
    cr_expect_eq(emu_recv(&self, fds[1], data, CREDIT, 0), -ENOMEM);
    cr_expect_eq(emu_recv(&self, fds[1], data, 0, 0), 0);
    fixture_close(fds);
}

static void write_more(void *context)
{
    cr_assert_eq(emu_send(&other, fds[0], data, *(size_t *)context, 0), *(int64_t *)context);
}

static void read_all(void *context)
{
    (void)context;
    cr_assert_eq(emu_recv(&other, fds[1], data, sizeof data, 0), CREDIT);
}

static void shut_writer(void *context)
{
    cr_assert_eq(emu_shutdown(&other, *(int *)context, SHUT_WR), 0);
}

Test(vsock_data, blocked_calls)
{
    size_t three = 3;

    vsock_pair(fds, SOCK_STREAM);
    fake_plan(1100 * MS, write_more, &three);
    fake_plan(1200 * MS, write_more, &three);
    cr_expect_eq(emu_recv(&self, fds[1], data, 5, MSG_WAITALL), 5);
    fake_plan(1300 * MS, read_all, NULL);
    cr_expect_eq(emu_recv(&self, fds[1], data, 5, 0), 1);
    cr_expect_eq(emu_send(&self, fds[0], data, CREDIT + 1000, 0), CREDIT + 1000);
    fill(fds[0], 1000);
    fake_plan(1400 * MS, shut_writer, &fds[0]); /* by another thread of the same side */
    self.sigpipe = false;
    cr_expect_eq(emu_send(&self, fds[0], data, 1, 0), -EPIPE);
    cr_expect(self.sigpipe, "also when it was blocked");
    self.sigpipe = false;
    cr_expect_eq(get(fds[1], sizeof data), CREDIT);
    cr_expect_eq(emu_recv(&self, fds[1], data, 1, 0), 0);
    fixture_close(fds);
}

Test(vsock_data, nobody_waits_no_system_call)
{
    vsock_pair(fds, SOCK_STREAM);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(emu_write(&self, fds[0], data, 64), 64);
        cr_assert_eq(emu_read(&self, fds[1], data, 64), 64);
    }
    cr_expect_eq(fake_sleeps(), 0);
    cr_expect_eq(fake_wakes(), 0);
    fixture_close(fds);
}

static uint32_t next_edge(int epoll)
{
    struct epoll_event event = { 0 };
    const int64_t count = emu_epoll_wait(&self, epoll, &event, 1, 0);

    cr_assert(count == 0 || count == 1);
    return count == 1 ? event.events : 0;
}

Test(vsock_data, every_packet_is_an_edge_while_there_is_credit)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
    const int epoll = (int)emu_epoll_create1(&self, 0);

    vsock_pair(fds, SOCK_STREAM);
    cr_assert_eq(vsock_set(fds[1], SO_RCVLOWAT, 100), 0);
    cr_assert_eq(emu_epoll_ctl(&self, epoll, EPOLL_CTL_ADD, fds[1], &event), 0);
    cr_expect_eq(next_edge(epoll), EPOLLOUT);
    cr_expect_eq(next_edge(epoll), 0);
    cr_assert_eq(put(fds[0], 1), 1);
    cr_expect_eq(next_edge(epoll), EPOLLOUT, "too little to read, but there is credit");
    cr_assert_eq(put(fds[0], 99), 99);
    cr_expect_eq(next_edge(epoll), EPOLLIN | EPOLLOUT);
    cr_assert_eq(put(fds[1], 10), 10);
    cr_expect_eq(next_edge(epoll), 0);
    cr_assert_eq(get(fds[0], 10), 10); /* reports: a packet */
    cr_expect_eq(next_edge(epoll), EPOLLIN | EPOLLOUT);
    cr_assert_eq(get(fds[1], 100), 100);
    fill(fds[1], 1000);
    cr_expect_eq(next_edge(epoll), 0);
    cr_assert_eq(put(fds[0], 1), 1);
    cr_expect_eq(next_edge(epoll), 0, "no credit, and too little to read");
    cr_assert_eq(emu_shutdown(&self, fds[0], SHUT_WR), 0);
    cr_expect_eq(next_edge(epoll), EPOLLIN);
    emu_close(&self, epoll);
    fixture_close(fds);
}

Test(vsock_data, a_write_reports_to_a_blocked_writer)
{
    vsock_pair(fds, SOCK_STREAM);
    fill(fds[0], 4096);
    cr_assert_eq(get(fds[1], 8192), 8192);
    static int reader_fd;
    reader_fd = fds[1];
    fds[0] ^= fds[1], fds[1] ^= fds[0], fds[0] ^= fds[1]; /* write_more() writes to fds[0] */
    size_t one = 1;
    fake_plan(1100 * MS, write_more, &one);
    cr_assert_eq(reader_fd, fds[0]);
    cr_expect_eq(emu_send(&self, fds[1], data, 8192, 0), 8192);
    fixture_close(fds);
}

Test(vsock_data, unread_and_unsent)
{
    int size = -1;

    vsock_pair(fds, SOCK_STREAM);
    cr_assert_eq(put(fds[0], 700), 700);
    cr_expect_eq(emu_ioctl(&self, fds[1], FIONREAD, &size), 0);
    cr_expect_eq(size, 700);
    cr_expect_eq(emu_ioctl(&self, fds[0], TIOCOUTQ, &size), 0);
    cr_expect_eq(size, 0);
    cr_assert_eq(get(fds[1], 100), 100);
    cr_expect_eq(emu_ioctl(&self, fds[1], FIONREAD, &size), 0);
    cr_expect_eq(size, 600);
    cr_expect_eq(emu_ioctl(&self, fds[1], 0x8905, &size), -ENOTTY); /* SIOCATMARK */
    fixture_close(fds);
}

Test(vsock_data, not_connected)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    struct msghdr message = { 0 };
    int size = -1;

    for (int i = 0; i < 2; i++) {
        const int fd = (int)emu_socket(&self, AF_VSOCK, types[i], 0);

        cr_assert_geq(fd, 0);
        cr_expect_eq(vsock_bits(fd), VSOCK_OUT);
        cr_expect_eq(put(fd, 1), -ENOTCONN);
        cr_expect_eq(put(fd, 0), -ENOTCONN);
        cr_expect_eq(emu_write(&self, fd, data, 1), -ENOTCONN);
        cr_expect_eq(emu_sendmsg(&self, fd, &message, 0), -ENOTCONN);
        cr_expect_eq(emu_send(&self, fd, data, 1, MSG_OOB), -EOPNOTSUPP);
        cr_expect_eq(emu_sendto(&self, fd, data, 1, 0, (const struct sockaddr *)data, 16),
                     -EOPNOTSUPP);
        cr_expect_eq(get(fd, 1), -ENOTCONN);
        cr_expect_eq(get(fd, 0), -ENOTCONN);
        cr_expect_eq(emu_read(&self, fd, data, 0), 0);
        cr_expect_eq(emu_recv(&self, fd, data, 1, MSG_OOB), -ENOTCONN);
        cr_expect_eq(emu_recv(&self, fd, data, 1, MSG_ERRQUEUE), -EAGAIN);
        cr_expect_eq(emu_recvmsg(&self, fd, &message, 0), -ENOTCONN);
        cr_expect_eq(emu_shutdown(&self, fd, SHUT_WR), -ENOTCONN);
        cr_expect_eq(emu_ioctl(&self, fd, FIONREAD, &size), -EOPNOTSUPP);
        cr_expect_eq(emu_ioctl(&self, fd, TIOCOUTQ, &size), -EOPNOTSUPP);
        cr_expect_eq(vsock_error(fd), 0);
        emu_close(&self, fd);
    }
}
