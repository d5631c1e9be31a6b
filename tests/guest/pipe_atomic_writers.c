/*
 * Proves: writes of up to PIPE_BUF bytes by many threads and processes at once are never
 * interleaved, and none is lost, whatever the fill state of the pipe.
 *
 * Rows: 2.2 "n<=PIPE_BUF is all-or-EAGAIN", 2.2 "Write of n>0 bytes"
 */
#include "guest.h"

enum { THREADS = 4, PROCESSES = 3, WRITERS = THREADS + PROCESSES, RECORDS = 300 };

static int pipe_fds[2];
static size_t record_size;

struct head {
    uint16_t writer;
    uint16_t sequence;
};

static void *write_records(void *argument)
{
    unsigned char record[PIPE_BUF];
    struct head head = { .writer = (uint16_t)(uintptr_t)argument };
    for (int i = 0; i < RECORDS; i++) {
        head.sequence = (uint16_t)i;
        memset(record, head.writer * 16 + i % 16, record_size);
        memcpy(record, &head, sizeof head);
        CHECK_EQ(record_size, write(pipe_fds[1], record, record_size));
    }
    return NULL;
}

static void check_records(void)
{
    unsigned char record[PIPE_BUF];
    int next[WRITERS] = { 0 };
    struct head head;
    for (int i = 0; i < WRITERS * RECORDS; i++) {
        CHECK_EQ(record_size, guest_read_all(pipe_fds[0], record, record_size));
        memcpy(&head, record, sizeof head);
        CHECK(head.writer < WRITERS);
        CHECK_EQ(next[head.writer], head.sequence);
        next[head.writer]++;
        for (size_t at = sizeof head; at < record_size; at++) {
            CHECK_EQ(head.writer * 16 + head.sequence % 16, record[at]);
        }
    }
}

static void writers_of(size_t size)
{
    struct guest_thread threads[THREADS];
    pid_t children[PROCESSES];
    char byte;
    record_size = size;
    guest_pipe(pipe_fds);
    for (uintptr_t i = 0; i < PROCESSES; i++) {
        children[i] = guest_fork();
        if (children[i] == 0) {
            write_records((void *)(THREADS + i));
            _exit(0);
        }
    }
    for (uintptr_t i = 0; i < THREADS; i++) {
        guest_thread_start(&threads[i], write_records, (void *)i);
    }
    check_records();
    for (int i = 0; i < THREADS; i++) {
        guest_thread_join(&threads[i]);
    }
    for (int i = 0; i < PROCESSES; i++) {
        guest_wait_exit(children[i], 0);
    }
    CHECK_OK(close(pipe_fds[1]));
    CHECK_EQ(0, read(pipe_fds[0], &byte, 1));
    CHECK_OK(close(pipe_fds[0]));
}

int main(void)
{
    guest_start();
    writers_of(PIPE_BUF);
    writers_of(3000); /* doesn't divide a page: slots stay short */
    writers_of(512);
    writers_of(100);
    return guest_end();
}
