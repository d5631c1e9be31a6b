/*
 * Proves: sendmmsg and recvmmsg between threads: a blocking recvmmsg waits for all entries, with
 * MSG_WAITFORONE only for the first; sendmmsg blocks and resumes; a signal or the peer's close ends
 * it with the count so far; the time-out is looked at only after each entry.
 *
 * Rows: 4.3 "MSG_WAITFORONE", 4.3 "each entry", 4.3 "other error after k>0", 4.3 "stream at EOF",
 * 4.3 "timeout semantics", 4.3 "timeout {0,0}", 4.2 "error on entry k>0", 4.2 "written per entry"
 */
#include "guest.h"

enum { ENTRIES = 8, SIZE = 64, MANY = 400, RECORD = 4096 };

struct batch {
    int fd;
    unsigned int count;
    int flags;
    struct timespec *timeout;
    int result;
    int error;
    struct mmsghdr entries[ENTRIES];
    struct iovec vectors[ENTRIES];
    char data[ENTRIES][SIZE];
};

static void prepare(struct batch *batch, int fd, int flags)
{
    memset(batch, 0, sizeof *batch);
    batch->fd = fd;
    batch->flags = flags;
    batch->count = ENTRIES;
    for (int i = 0; i < ENTRIES; i++) {
        batch->vectors[i] = (struct iovec){ .iov_base = batch->data[i], .iov_len = SIZE };
        batch->entries[i].msg_hdr.msg_iov = &batch->vectors[i];
        batch->entries[i].msg_hdr.msg_iovlen = 1;
        batch->entries[i].msg_len = 12345;
    }
}

static void *receive_batch(void *argument)
{
    struct batch *batch = argument;
    batch->result = recvmmsg(batch->fd, batch->entries, batch->count, batch->flags, batch->timeout);
    batch->error = errno;
    return NULL;
}

static void waits_for_all(int type)
{
    int fds[2];
    static struct batch batch;
    struct guest_thread thread;
    guest_pair(type, fds);
    prepare(&batch, fds[0], 0);
    guest_thread_start(&thread, receive_batch, &batch);
    for (int i = 0; i < ENTRIES; i++) {
        guest_thread_blocked(&thread);
        CHECK_EQ(i + 1, send(fds[1], "abcdefgh", (size_t)i + 1, 0));
    }
    guest_thread_join(&thread);
    CHECK_EQ(ENTRIES, batch.result);
    for (int i = 0; i < ENTRIES; i++) {
        CHECK_EQ(i + 1, batch.entries[i].msg_len);
        CHECK_MEM("abcdefgh", batch.data[i], (size_t)i + 1);
    }
    guest_close_both(fds);
}

static void waits_for_one(int type)
{
    int fds[2];
    static struct batch batch;
    struct guest_thread thread;
    guest_pair(type, fds);
    prepare(&batch, fds[0], MSG_WAITFORONE);
    guest_thread_start(&thread, receive_batch, &batch);
    guest_thread_blocked(&thread);
    CHECK_EQ(3, send(fds[1], "abc", 3, 0));
    guest_thread_join(&thread);
    CHECK_EQ(1, batch.result);
    CHECK_EQ(3, batch.entries[0].msg_len);
    CHECK_EQ(12345, batch.entries[1].msg_len);
    guest_close_both(fds);
}

/* 0.1 s pass while it is blocked: only the next entry ends the call. */
static void timeout_is_not_tested_while_blocked(void)
{
    int fds[2];
    static struct batch batch;
    struct guest_thread thread;
    struct timespec timeout = { 0, 100000000 };
    guest_pair(SOCK_SEQPACKET, fds);
    prepare(&batch, fds[0], 0);
    batch.timeout = &timeout;
    CHECK_EQ(1, send(fds[1], "a", 1, 0));
    int64_t start = guest_now_ms();
    guest_thread_start(&thread, receive_batch, &batch);
    guest_thread_blocked(&thread);
    while (guest_now_ms() - start < 250) {
        guest_thread_blocked(&thread);
    }
    CHECK_EQ(1, send(fds[1], "b", 1, 0));
    guest_thread_join(&thread);
    CHECK_EQ(2, batch.result);
    CHECK_EQ(0, timeout.tv_sec);
    CHECK_EQ(0, timeout.tv_nsec);
    guest_close_both(fds);
}

static void *interrupt_or_close(void *argument)
{
    const int *job = argument; /* [0] the fd to close, or -1: send a signal */
    guest_process_blocked(getpid());
    if (job[0] >= 0) {
        CHECK_OK(close(job[0]));
    } else {
        CHECK_OK((int)syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));
    }
    return NULL;
}

static void ended_after_two(int type, bool by_close)
{
    int fds[2], job[1];
    static struct batch batch;
    struct guest_thread thread;
    guest_pair(type, fds);
    guest_count_signal(SIGUSR1, 0);
    prepare(&batch, fds[0], 0);
    batch.vectors[0].iov_len = batch.vectors[1].iov_len = 2;
    CHECK_EQ(2, send(fds[1], "ab", 2, 0));
    CHECK_EQ(2, send(fds[1], "cd", 2, 0));
    job[0] = by_close ? fds[1] : -1;
    guest_thread_start(&thread, interrupt_or_close, job);
    receive_batch(&batch);
    guest_thread_join(&thread);
    CHECK_EQ(2, batch.entries[1].msg_len);
    if (by_close) {
        CHECK_EQ(ENTRIES, batch.result); /* end-of-file fills every entry with 0 bytes */
        CHECK_EQ(0, batch.entries[2].msg_len);
        CHECK_EQ(0, batch.entries[ENTRIES - 1].msg_len);
    } else {
        int error = 0;
        socklen_t size = sizeof error;
        CHECK_EQ(2, batch.result);
        CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &error, &size));
        CHECK(error != 0); /* stored: 6.18 lets its internal ERESTARTSYS (512) out here */
        CHECK_OK(close(fds[1]));
    }
    CHECK_OK(close(fds[0]));
}

static void *send_many(void *argument)
{
    static char record[RECORD];
    static struct mmsghdr entries[MANY];
    static struct iovec vectors[MANY];
    for (int i = 0; i < MANY; i++) {
        vectors[i] = (struct iovec){ .iov_base = record, .iov_len = RECORD - (size_t)i };
        entries[i].msg_hdr.msg_iov = &vectors[i];
        entries[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK_EQ(MANY, sendmmsg(*(int *)argument, entries, MANY, 0));
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(RECORD - i, entries[i].msg_len);
    }
    return NULL;
}

static void sendmmsg_blocks_and_resumes(void)
{
    int fds[2];
    char record[RECORD];
    struct guest_thread thread;
    guest_pair(SOCK_SEQPACKET, fds);
    guest_thread_start(&thread, send_many, &fds[0]);
    guest_thread_blocked(&thread);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(RECORD - i, recv(fds[1], record, sizeof record, 0));
    }
    guest_thread_join(&thread);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    waits_for_all(SOCK_STREAM);
    waits_for_all(SOCK_SEQPACKET);
    waits_for_one(SOCK_STREAM);
    waits_for_one(SOCK_SEQPACKET);
    timeout_is_not_tested_while_blocked();
    ended_after_two(SOCK_STREAM, true);
    ended_after_two(SOCK_SEQPACKET, true);
    ended_after_two(SOCK_STREAM, false);
    ended_after_two(SOCK_SEQPACKET, false);
    sendmmsg_blocks_and_resumes();
    return guest_end();
}
