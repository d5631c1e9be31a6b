/*
 * Proves: records of many writers (threads and a process) reach many readers whole, each exactly
 * once, in the order of its writer, with sizes from 1 byte to more than a page.
 *
 * Rows: 3.4 "data queued" (SEQPACKET), 3.4 "MSG_TRUNC", 3.7 "SEQPACKET record"
 */
#include "guest.h"

enum { WRITERS = 4, READERS = 3, RECORDS = 600, RECORD_MAX = 9000 };

static int pair[2];
static atomic_uchar seen[WRITERS][RECORDS];
static atomic_int received;

struct head {
    uint32_t writer;
    uint32_t sequence;
    uint32_t size;
};

static uint32_t record_size(uint32_t writer, uint32_t sequence)
{
    return sizeof(struct head) + (writer * 7919 + sequence * 104729) % (RECORD_MAX - 12);
}

static void *write_records(void *argument)
{
    static _Thread_local unsigned char record[RECORD_MAX];
    struct head head = { .writer = (uint32_t)(uintptr_t)argument };
    for (head.sequence = 0; head.sequence < RECORDS; head.sequence++) {
        head.size = record_size(head.writer, head.sequence);
        guest_pattern_fill(record, head.size, head.writer * 1000 + head.sequence);
        memcpy(record, &head, sizeof head);
        CHECK_EQ(head.size, send(pair[1], record, head.size, 0));
    }
    return NULL;
}

static void *read_records(void *argument)
{
    static _Thread_local unsigned char record[RECORD_MAX];
    uint32_t last[WRITERS] = { 0 };
    struct head head;
    ssize_t size;
    (void)argument;
    while ((size = recv(pair[0], record, sizeof record, 0)) != 0) {
        CHECK_OK(size);
        CHECK(size >= (ssize_t)sizeof head);
        memcpy(&head, record, sizeof head);
        CHECK(head.writer < WRITERS && head.sequence < RECORDS);
        CHECK_EQ(head.size, size);
        CHECK_EQ(record_size(head.writer, head.sequence), size);
        guest_pattern_check(record + sizeof head, (size_t)size - sizeof head,
                            head.writer * 1000 + head.sequence + sizeof head);
        CHECK_EQ(0, atomic_fetch_add(&seen[head.writer][head.sequence], 1));
        CHECK(head.sequence >= last[head.writer]);
        last[head.writer] = head.sequence;
        atomic_fetch_add(&received, 1);
    }
    return NULL;
}

int main(void)
{
    struct guest_thread writers[WRITERS], readers[READERS];
    guest_start();
    guest_pair(SOCK_SEQPACKET, pair);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(pair[0]));
        write_records((void *)(uintptr_t)(WRITERS - 1));
        _exit(0);
    }
    for (int i = 0; i < READERS; i++) {
        guest_thread_start(&readers[i], read_records, NULL);
    }
    for (uintptr_t i = 0; i < WRITERS - 1; i++) {
        guest_thread_start(&writers[i], write_records, (void *)i);
    }
    for (int i = 0; i < WRITERS - 1; i++) {
        guest_thread_join(&writers[i]);
    }
    guest_wait_exit(pid, 0);
    CHECK_OK(close(pair[1]));
    for (int i = 0; i < READERS; i++) {
        guest_thread_join(&readers[i]);
    }
    CHECK_EQ(WRITERS * RECORDS, atomic_load(&received));
    CHECK_OK(close(pair[0]));
    return guest_end();
}
