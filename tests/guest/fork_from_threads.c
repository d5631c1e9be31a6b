/*
 * Proves: fork at any time from a program whose threads hammer pipes and sockets: each child can at
 * once talk to its parent over pipes made before and after, and the threads' streams stay right.
 *
 * Rows: 2.2 "Write of n>0 bytes", 3.4 "data queued", 2.3 "read, empty, no writers"
 */
#include "guest.h"

enum { HAMMERS = 3, FORKS = 50 };

static atomic_int stop;

static void *hammer_both_ends(void *argument)
{
    int fds[2];
    unsigned char out[500], in[500];
    uint64_t position = 0;
    if (argument == NULL) {
        guest_pipe(fds);
    } else {
        guest_pair(SOCK_STREAM, fds);
    }
    while (!atomic_load(&stop)) {
        guest_pattern_fill(out, sizeof out, position);
        CHECK_EQ(sizeof out, write(fds[1], out, sizeof out));
        CHECK_EQ(sizeof in, read(fds[0], in, sizeof in));
        CHECK_MEM(out, in, sizeof in);
        position += sizeof in;
    }
    guest_close_both(fds);
    return NULL;
}

static int shared_fds[2];

/* Its writer is one of the threads, its reader another: fork finds them inside the calls. */
static void *hammer_writer(void *argument)
{
    unsigned char out[777];
    uint64_t position = 0;
    (void)argument;
    while (!atomic_load(&stop)) {
        guest_pattern_fill(out, sizeof out, position);
        guest_write_all(shared_fds[1], out, sizeof out);
        position += sizeof out;
    }
    CHECK_OK(close(shared_fds[1]));
    return NULL;
}

static void *hammer_reader(void *argument)
{
    unsigned char in[1000];
    uint64_t position = 0;
    ssize_t count;
    (void)argument;
    while ((count = CHECK_OK(read(shared_fds[0], in, sizeof in))) > 0) {
        guest_pattern_check(in, (size_t)count, position);
        position += (uint64_t)count;
    }
    CHECK_OK(close(shared_fds[0]));
    return NULL;
}

static void child_talks(int number)
{
    int to_child[2], from_child[2], inner[2];
    char buffer[32];
    guest_pipe(to_child);
    guest_pair(SOCK_STREAM, from_child);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(to_child[1]));
        CHECK_OK(close(from_child[0]));
        CHECK_EQ(4, read(to_child[0], buffer, sizeof buffer));
        guest_pipe(inner);
        CHECK_EQ(4, write(inner[1], buffer, 4));
        CHECK_EQ(4, read(inner[0], buffer, sizeof buffer));
        CHECK_EQ(4, write(from_child[1], buffer, 4));
        CHECK_EQ(0, read(to_child[0], buffer, 1));
        _exit(number % 100);
    }
    CHECK_OK(close(to_child[0]));
    CHECK_OK(close(from_child[1]));
    CHECK_EQ(4, write(to_child[1], &number, 4));
    CHECK_EQ(4, read(from_child[0], buffer, sizeof buffer));
    CHECK_MEM(&number, buffer, 4);
    CHECK_OK(close(to_child[1]));
    CHECK_EQ(0, read(from_child[0], buffer, 1));
    CHECK_OK(close(from_child[0]));
    guest_wait_exit(pid, number % 100);
}

int main(void)
{
    struct guest_thread hammers[HAMMERS], writer, reader;
    guest_start();
    guest_pipe(shared_fds);
    for (uintptr_t i = 0; i < HAMMERS; i++) {
        guest_thread_start(&hammers[i], hammer_both_ends, (void *)i);
    }
    guest_thread_start(&reader, hammer_reader, NULL);
    guest_thread_start(&writer, hammer_writer, NULL);
    for (int i = 0; i < FORKS; i++) {
        child_talks(i);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < HAMMERS; i++) {
        guest_thread_join(&hammers[i]);
    }
    guest_thread_join(&writer);
    guest_thread_join(&reader);
    return guest_end();
}
