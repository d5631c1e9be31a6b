/*
 * Proves: a writer to a full pipe sleeps until a whole slot (4096 bytes) was read; a write larger
 * than the pipe completes against a slow reader in a thread or in another process.
 *
 * Rows: 2.2 "full pipe, reader takes 1 byte (or 4095)", 2.2 "a slot is freed only when its last
 * byte is read", 2.2 "Blocking writes of any size complete fully"
 */
#include "guest.h"

enum { BIG = 100000 };

static unsigned char big[BIG];

static void *write_tail(void *argument)
{
    CHECK_EQ(4, write(*(int *)argument, "tail", 4));
    return NULL;
}

static void wakes_after_a_whole_slot(void)
{
    int fds[2];
    char buffer[GUEST_PIPE_SIZE];
    struct guest_thread writer;
    guest_pipe(fds);
    guest_pipe_fill(fds[1]);
    guest_thread_start(&writer, write_tail, &fds[1]);
    guest_thread_blocked(&writer);
    CHECK_EQ(1, read(fds[0], buffer, 1));
    guest_thread_blocked(&writer);
    CHECK_EQ(4094, read(fds[0], buffer, 4094));
    guest_thread_blocked(&writer);
    CHECK_EQ(1, read(fds[0], buffer, 1));
    guest_thread_join(&writer);
    CHECK_EQ(GUEST_PIPE_SIZE - 4096 + 4, guest_read_all(fds[0], buffer, 65536 - 4096 + 4));
    CHECK_MEM("tail", buffer + 65536 - 4096, 4);
    guest_close_both(fds);
}

static void *write_big(void *argument)
{
    CHECK_EQ(BIG, write(*(int *)argument, big, BIG));
    return NULL;
}

static void big_write_slow_thread(void)
{
    int fds[2], available;
    unsigned char buffer[1000];
    struct guest_thread writer;
    guest_pipe(fds);
    guest_thread_start(&writer, write_big, &fds[1]);
    guest_thread_blocked(&writer);
    CHECK_OK(ioctl(fds[0], FIONREAD, &available));
    CHECK_EQ(GUEST_PIPE_SIZE, available);
    for (size_t have = 0; have < BIG;) {
        ssize_t count = CHECK_OK(read(fds[0], buffer, sizeof buffer));
        guest_pattern_check(buffer, (size_t)count, have);
        have += (size_t)count;
    }
    guest_thread_join(&writer);
    CHECK_OK(ioctl(fds[0], FIONREAD, &available));
    CHECK_EQ(0, available);
    guest_close_both(fds);
}

static void big_write_from_a_child(void)
{
    int fds[2];
    static unsigned char buffer[BIG + 1];
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(BIG, write(fds[1], big, BIG));
        }
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    guest_process_blocked(pid);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(BIG, guest_read_all(fds[0], buffer, BIG));
        guest_pattern_check(buffer, BIG, 0);
    }
    CHECK_EQ(0, read(fds[0], buffer, 1));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
}

/* The reader drains the pipe only while the writer sleeps: every wake-up is needed. */
static void blocked_at_every_round(void)
{
    int fds[2];
    static unsigned char buffer[GUEST_PIPE_SIZE];
    struct guest_thread writer;
    guest_pipe(fds);
    guest_thread_start(&writer, write_big, &fds[1]);
    size_t have = 0;
    while (guest_wait_settled(getpid(), atomic_load(&writer.tid), &writer.done)) {
        CHECK_EQ(8192, read(fds[0], buffer, 8192));
        guest_pattern_check(buffer, 8192, have);
        have += 8192;
    }
    guest_thread_join(&writer);
    CHECK_EQ(40960, have); /* ceil((100000 - 65536) / 4096) slots had to be freed, in pairs */
    CHECK_EQ(BIG - have, guest_read_all(fds[0], buffer, BIG - have));
    guest_pattern_check(buffer, BIG - have, have);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    guest_pattern_fill(big, sizeof big, 0);
    wakes_after_a_whole_slot();
    big_write_slow_thread();
    big_write_from_a_child();
    blocked_at_every_round();
    return guest_end();
}
