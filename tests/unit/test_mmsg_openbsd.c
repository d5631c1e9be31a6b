/*
 * test_mmsg_openbsd.c - sendmmsg and recvmmsg by Linux's rules and by OpenBSD's, side by side
 *
 * OpenBSD 7.2 and later, sys/kern/uipc_syscalls.c: sys_sendmmsg, sys_recvmmsg. Linux is no oracle
 * for these; where the two differ, both are tested here.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "fixture.h"
#include "host.h"
#include "host_fake.h"

TestSuite(mmsg, .init = fixture_start, .fini = fixture_end);

#define MESSAGES 1100

static struct mmsghdr messages[MESSAGES];
static struct iovec parts[MESSAGES];
static char buffers[MESSAGES][64];
static int fds[2];

/* `count` messages of `size` bytes each, their fields filled with what must be overwritten. */
static void prepare(unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct iovec){ buffers[i], size };
        messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[i], .msg_iovlen = 1 } };
        messages[i].msg_hdr.msg_flags = 0x5a5a;
        messages[i].msg_len = 0x5a5a;
    }
}

static void start(enum emu_mmsg rules, int type)
{
    process.options.mmsg = rules;
    fixture_pair(fds, type);
}

static void send_records(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        cr_assert_eq(emu_send(&self, fds[0], "record", 6, 0), 6);
}

static int take_error(int fd)
{
    int error = -1;
    socklen_t size = sizeof error;

    cr_assert_eq(emu_getsockopt(&self, fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    return error;
}

Test(mmsg, nothing_at_all)
{
    start(EMU_MMSG_OPENBSD, SOCK_STREAM);
    cr_expect_eq(emu_sendmmsg(&self, 9999, messages, 0, 0), 0, "the descriptor isn't examined");
    cr_expect_eq(emu_recvmmsg(&self, 9999, messages, 0, 0, NULL), 0);
    process.options.mmsg = EMU_MMSG_LINUX;
    cr_expect_eq(emu_sendmmsg(&self, 9999, messages, 0, 0), EMU_NATIVE, "the kernel says EBADF");
    cr_expect_eq(emu_recvmmsg(&self, 9999, messages, 0, 0, NULL), EMU_NATIVE);
    cr_expect_eq(emu_sendmmsg(&self, fds[0], messages, 0, 0), 0);
    cr_expect_eq(emu_recvmmsg(&self, fds[0], messages, 0, 0, NULL), 0);
    fixture_close(fds);
}

Test(mmsg, at_most_1024_are_sent)
{
    for (int rules = EMU_MMSG_LINUX; rules <= EMU_MMSG_OPENBSD; rules++) {
        start((enum emu_mmsg)rules, SOCK_STREAM);
        prepare(MESSAGES, 0);
        cr_expect_eq(emu_sendmmsg(&self, fds[0], messages, MESSAGES, 0), 1024);
        fixture_close(fds);
    }
}

/* At end-of-file every entry of a stream is a success of no bytes: only the cap ends it. */
Test(mmsg, at_most_1024_are_received_by_openbsd)
{
    for (int rules = EMU_MMSG_LINUX; rules <= EMU_MMSG_OPENBSD; rules++) {
        start((enum emu_mmsg)rules, SOCK_STREAM);
        cr_assert_eq(emu_shutdown(&self, fds[0], SHUT_WR), 0);
        prepare(MESSAGES, 64);
        const int64_t count = emu_recvmmsg(&self, fds[1], messages, MESSAGES, 0, NULL);
        cr_expect_eq(count, rules == EMU_MMSG_LINUX ? MESSAGES : 1024);
        cr_expect_eq(messages[count - 1].msg_len, 0);
        fixture_close(fds);
    }
}

Test(mmsg, what_a_send_writes_back)
{
    for (int rules = EMU_MMSG_LINUX; rules <= EMU_MMSG_OPENBSD; rules++) {
        start((enum emu_mmsg)rules, SOCK_SEQPACKET);
        prepare(3, 10);
        cr_expect_eq(emu_sendmmsg(&self, fds[0], messages, 2, 0), 2);
        cr_expect_eq(messages[1].msg_len, 10);
        cr_expect_eq(messages[1].msg_hdr.msg_flags, rules == EMU_MMSG_LINUX ? 0x5a5a : 0);
        cr_expect_eq(messages[2].msg_len, 0x5a5a, "not sent, not touched");
        fixture_close(fds);
    }
}

Test(mmsg, a_partial_entry)
{
    static char large[600000];
    int64_t expected[] = { 1, -EAGAIN };

    for (int rules = EMU_MMSG_LINUX; rules <= EMU_MMSG_OPENBSD; rules++) {
        start((enum emu_mmsg)rules, SOCK_STREAM | SOCK_NONBLOCK);
        prepare(2, 10);
        parts[0] = (struct iovec){ large, sizeof large };
        cr_expect_eq(emu_sendmmsg(&self, fds[0], messages, 2, 0), expected[0]);
        cr_expect_eq(messages[0].msg_len, 219264);
        cr_expect_eq(emu_sendmmsg(&self, fds[0], messages, 2, 0), expected[1]);
        fixture_close(fds);
    }
}

Test(mmsg, a_partial_entry_does_not_end_openbsds)
{
    /* Room comes back while the first entry is cut: the second is sent by OpenBSD alone. */
    static char large[600000];
    struct timeval time = { 0, 10000 };

    for (int rules = EMU_MMSG_LINUX; rules <= EMU_MMSG_OPENBSD; rules++) {
        start((enum emu_mmsg)rules, SOCK_STREAM);
        cr_assert_eq(emu_setsockopt(&self, fds[0], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time), 0);
        prepare(2, 0);
        parts[0] = (struct iovec){ large, sizeof large };
        /* an entry of no bytes always fits: it shows whether the second was tried */
        cr_expect_eq(emu_sendmmsg(&self, fds[0], messages, 2, 0), rules == EMU_MMSG_LINUX ? 1 : 2);
        cr_expect_lt(messages[0].msg_len, sizeof large);
        fixture_close(fds);
    }
}

Test(mmsg, an_error_behind_the_first_is_dropped_by_sendmmsg)
{
    for (int rules = EMU_MMSG_LINUX; rules <= EMU_MMSG_OPENBSD; rules++) {
        start((enum emu_mmsg)rules, SOCK_SEQPACKET);
        prepare(3, 10);
        parts[1].iov_len = 300000; /* EMSGSIZE */
        cr_expect_eq(emu_sendmmsg(&self, fds[0], messages, 3, 0), 1);
        cr_expect_eq(take_error(fds[0]), 0);
        cr_expect_eq(emu_sendmmsg(&self, fds[0], messages + 1, 2, 0), -EMSGSIZE);
        fixture_close(fds);
    }
}

Test(mmsg, an_error_behind_the_first_is_kept_by_recvmmsg)
{
    for (int rules = EMU_MMSG_LINUX; rules <= EMU_MMSG_OPENBSD; rules++) {
        start((enum emu_mmsg)rules, SOCK_SEQPACKET);
        send_records(3);
        prepare(3, 64);
        fake_bad_memory(buffers[1], 64);
        cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 3, 0, NULL), 1);
        fake_bad_memory(NULL, 0);
        cr_expect_eq(take_error(fds[1]), EFAULT);
        fixture_close(fds);
    }
}

Test(mmsg, running_dry_is_no_error)
{
    for (int rules = EMU_MMSG_LINUX; rules <= EMU_MMSG_OPENBSD; rules++) {
        start((enum emu_mmsg)rules, SOCK_SEQPACKET | SOCK_NONBLOCK);
        send_records(2);
        prepare(3, 64);
        cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 3, 0, NULL), 2);
        cr_expect_eq(take_error(fds[1]), 0);
        cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 3, 0, NULL), -EAGAIN);
        fixture_close(fds);
    }
}

Test(mmsg, wait_for_one)
{
    for (int rules = EMU_MMSG_LINUX; rules <= EMU_MMSG_OPENBSD; rules++) {
        start((enum emu_mmsg)rules, SOCK_SEQPACKET);
        send_records(2);
        prepare(3, 64);
        cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 3, MSG_WAITFORONE, NULL), 2);
        fixture_close(fds);
    }
}

/* A reset that is pending: records are still there. */
static void reset_with_records(enum emu_mmsg rules)
{
    start(rules, SOCK_STREAM);
    cr_assert_eq(emu_send(&self, fds[1], "unread", 6, 0), 6);
    cr_assert_eq(emu_send(&self, fds[0], "data", 4, 0), 4);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
    prepare(2, 4);
}

Test(mmsg, a_pending_error_at_entry)
{
    reset_with_records(EMU_MMSG_LINUX);
    cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 2, 0, NULL), -ECONNRESET,
                 "though data waits");
    cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 2, 0, NULL), 2);
    cr_expect_eq(messages[0].msg_len, 4);
    cr_assert_eq(emu_close(&self, fds[1]), 0);

    reset_with_records(EMU_MMSG_OPENBSD);
    cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 1, 0, NULL), 1, "left to the receive");
    cr_expect_eq(messages[0].msg_len, 4);
    cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 1, 0, NULL), -ECONNRESET);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}

static void send_one(void *context)
{
    (void)context;
    cr_assert_eq(emu_send(&other, fds[0], "late", 4, 0), 4);
}

/* Records come at 1.5, 1.9, 2.2 and 3.0 s; the call begins at 1.0 and may last until 1.2. */
static int64_t receive_late(enum emu_mmsg rules, struct timespec *time)
{
    static const uint64_t at_ms[] = { 1500, 1900, 2150, 3000 };

    start(rules, SOCK_SEQPACKET);
    for (int i = 0; i < 4; i++)
        fake_plan(at_ms[i] * MS, send_one, NULL);
    prepare(4, 64);
    return emu_recvmmsg(&self, fds[1], messages, 4, 0, time);
}

Test(mmsg, time_out_by_linux)
{
    struct timespec time = { 0, 200000000 };

    cr_expect_eq(receive_late(EMU_MMSG_LINUX, &time), 1, "tested after each entry");
    cr_expect_eq(host_now_ns(), 1500 * MS);
    cr_expect(time.tv_sec == 0 && time.tv_nsec == 0, "what is left is written back");
    fixture_close(fds);
}

Test(mmsg, time_out_by_openbsd)
{
    struct timespec time = { 0, 200000000 };

    cr_expect_eq(receive_late(EMU_MMSG_OPENBSD, &time), 4, "a whole second late");
    cr_expect_eq(host_now_ns(), 3000 * MS);
    cr_expect(time.tv_sec == 0 && time.tv_nsec == 200000000, "not written back");
    fixture_close(fds);
    struct timespec again = { 0, 200000000 };
    cr_expect_eq(host_now_ns(), 3000 * MS);
    start(EMU_MMSG_OPENBSD, SOCK_SEQPACKET);
    fake_plan(4500 * MS, send_one, NULL); /* 1.3 s late */
    fake_plan(4600 * MS, send_one, NULL);
    prepare(4, 64);
    cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 4, 0, &again), 1);
    cr_expect_eq(host_now_ns(), 4500 * MS);
    fixture_close(fds);
}

Test(mmsg, the_time_that_is_left)
{
    struct timespec time = { 10, 0 };

    start(EMU_MMSG_LINUX, SOCK_SEQPACKET);
    fake_plan(1500 * MS, send_one, NULL);
    prepare(1, 64);
    cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 1, 0, &time), 1);
    cr_expect(time.tv_sec == 9 && time.tv_nsec == 500000000);
    time = (struct timespec){ 0, 1000000000 };
    cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 1, 0, &time), -EINVAL);
    cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 1, 0, (struct timespec *)8), -EFAULT);
    time = (struct timespec){ 0, 0 };
    send_records(2);
    cr_expect_eq(emu_recvmmsg(&self, fds[1], messages, 2, 0, &time), 1, "stops after the first");
    fixture_close(fds);
}
