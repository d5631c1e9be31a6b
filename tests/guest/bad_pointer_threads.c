/*
 * Proves: bad buffers give EFAULT or a short count, never a crash, lose no byte and leave nothing
 * locked: with a SIGSEGV handler of the program installed (which isn't called), with SIGSEGV
 * blocked, and in many threads at once; a buffer unmapped while the call is blocked, too.
 *
 * Rows: 2.3 "EFAULT (M): in a write, whole pages are the unit", 3.3 "EFAULT", 3.4 "EFAULT",
 * 2.1 "bad pointer", 1.3 "store the two numbers"
 */
#include <sys/mman.h>

#include "guest.h"

enum { THREADS = 4, ROUNDS = 200 };

/* Returns where two usable pages end and an unusable one begins. */
static char *edge_new(void)
{
    char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    CHECK_OK(mprotect(pages + 2 * 4096, 4096, PROT_NONE));
    memset(pages, 'e', 2 * 4096);
    return pages + 2 * 4096;
}

static void edge_free(char *edge)
{
    CHECK_OK(munmap(edge - 2 * 4096, 3 * 4096));
}

static void pipe_faults(char *edge)
{
    int fds[2];
    char buffer[16384];
    guest_pipe(fds);
    CHECK_ERR(EFAULT, write(fds[1], guest_bad_pointer(), 10));
    CHECK_ERR(EFAULT, write(fds[1], edge - 5, 10)); /* inside the first page: nothing goes */
    CHECK_EQ(8192, write(fds[1], edge - 8192, 8192 + 100));
    CHECK_EQ(4096, read(fds[0], edge - 8192, 4096));
    CHECK_EQ(4096, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(3, write(fds[1], "abc", 3));
    CHECK_ERR(EFAULT, read(fds[0], guest_bad_pointer(), 3));
    CHECK_ERR(EFAULT, read(fds[0], edge - 2, 3));
    CHECK_EQ(3, read(fds[0], buffer, sizeof buffer)); /* nothing was lost */
    CHECK_MEM("abc", buffer, 3);
    guest_close_both(fds);
    CHECK_ERR(EFAULT, pipe(guest_bad_pointer()));
}

static void socket_faults(char *edge, int type)
{
    int fds[2];
    char buffer[64];
    guest_pair(type, fds);
    CHECK_ERR(EFAULT, write(fds[1], guest_bad_pointer(), 10));
    CHECK_ERR(EFAULT, send(fds[1], edge - 5, 10, 0));
    CHECK_ERR(EFAULT, sendmsg(fds[1], guest_bad_pointer(), 0));
    CHECK_ERR(EAGAIN, recv(fds[0], buffer, 1, MSG_DONTWAIT));
    if (type == SOCK_STREAM) {
        CHECK_EQ(3, write(fds[1], "abc", 3));
        CHECK_ERR(EFAULT, read(fds[0], guest_bad_pointer(), 3));
        CHECK_ERR(EFAULT, recv(fds[0], edge - 1, 3, MSG_PEEK));
        CHECK_EQ(3, read(fds[0], buffer, sizeof buffer));
        CHECK_MEM("abc", buffer, 3);
    }
    guest_close_both(fds);
    CHECK_ERR(EFAULT, socketpair(AF_UNIX, type, 0, guest_bad_pointer()));
}

static void *all_faults(void *argument)
{
    sigset_t set;
    if (argument != NULL) {
        sigemptyset(&set);
        sigaddset(&set, SIGSEGV);
        sigaddset(&set, SIGBUS);
        CHECK_ZERO(pthread_sigmask(SIG_BLOCK, &set, NULL));
    }
    char *edge = edge_new();
    for (int i = 0; i < ROUNDS; i++) {
        pipe_faults(edge);
        socket_faults(edge, SOCK_STREAM);
        socket_faults(edge, SOCK_SEQPACKET);
    }
    edge_free(edge);
    return NULL;
}

struct blocked_read {
    int fd;
    char *buffer;
};

static void *read_into_vanishing(void *argument)
{
    const struct blocked_read *job = argument;
    CHECK_ERR(EFAULT, read(job->fd, job->buffer, 10));
    return NULL;
}

static void unmapped_while_blocked(void)
{
    int fds[2];
    char buffer[8];
    struct guest_thread thread;
    guest_pipe(fds);
    char *edge = edge_new();
    struct blocked_read job = { .fd = fds[0], .buffer = edge - 100 };
    guest_thread_start(&thread, read_into_vanishing, &job);
    guest_thread_blocked(&thread);
    CHECK_OK(mprotect(edge - 8192, 8192, PROT_NONE));
    CHECK_EQ(3, write(fds[1], "abc", 3));
    guest_thread_join(&thread);
    CHECK_EQ(3, read(fds[0], buffer, sizeof buffer));
    edge_free(edge);
    guest_close_both(fds);
}

int main(void)
{
    struct guest_thread threads[THREADS];
    guest_start();
    all_faults(NULL); /* default action: a fault that escapes kills */
    guest_count_signal(SIGSEGV, 0);
    guest_count_signal(SIGBUS, 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        guest_thread_start(&threads[i], all_faults, (void *)(i % 2));
    }
    for (int i = 0; i < THREADS; i++) {
        guest_thread_join(&threads[i]);
    }
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGSEGV]));
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGBUS]));
    unmapped_while_blocked();
    return guest_end();
}
