/*
 * Proves: bytes that went past the net into a pipe's placeholder are rescued behind the queue by
 * one poll before the reader sleeps. Shows where that ends and what helps:
 *  - an emulated write after a raw one overtakes it, unless the writer sweeps the placeholder into
 *    the queue first (a sweep after each spawn, fork or system, not before each write, is enough
 *    for bytes that such a child wrote);
 *  - a reader asleep in a futex isn't woken by a raw write; one asleep in poll(placeholder, bell)
 *    is, and sees the hang-up of a killed writer without any help from a third process.
 * The queue is a model: a plain array, one process, and for the sleepers one child.
 */
#include "proof.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { CAPACITY = 4096, LIMIT_MS = 5000 };

struct channel {
    char queue[CAPACITY];
    size_t head, tail;
    int placeholder[2];
    int rescued; /* bytes reported as come past the net */
};

static void open_channel(struct channel *ch)
{
    *ch = (struct channel){ .head = 0 };
    CHECK(pipe2(ch->placeholder, O_NONBLOCK) == 0, "pipe2");
}

static void close_channel(struct channel *ch)
{
    close(ch->placeholder[0]);
    close(ch->placeholder[1]);
}

static void emulated_write(struct channel *ch, const char *text)
{
    size_t length = strlen(text);
    CHECK(ch->tail + length <= CAPACITY, "model's queue is full");
    memcpy(ch->queue + ch->tail, text, length);
    ch->tail += length;
}

static void raw_write(struct channel *ch, const char *text)
{
    long length = (long)strlen(text);
    CHECK(syscall(SYS_write, ch->placeholder[1], text, length) == length, "raw write");
}

/* Moves what the placeholder holds to the end of the queue. */
static void sweep(struct channel *ch)
{
    ssize_t got = read(ch->placeholder[0], ch->queue + ch->tail, CAPACITY - ch->tail);
    if (got > 0) {
        ch->tail += (size_t)got;
        ch->rescued += (int)got;
    }
}

/* Takes up to size bytes; -1: would sleep; 0: end of file. Asks the placeholder only when empty. */
static ssize_t emulated_read(struct channel *ch, char *buf, size_t size)
{
    if (ch->head == ch->tail) {
        struct pollfd end = { .fd = ch->placeholder[0], .events = POLLIN };
        CHECK(poll(&end, 1, 0) >= 0, "poll");
        if ((end.revents & POLLIN) != 0) {
            sweep(ch);
        } else {
            return (end.revents & (POLLHUP | POLLERR)) != 0 ? 0 : -1;
        }
    }
    size_t count = ch->tail - ch->head < size ? ch->tail - ch->head : size;
    memcpy(buf, ch->queue + ch->head, count);
    ch->head += count;
    return (ssize_t)count;
}

static const char *read_all(struct channel *ch)
{
    static char text[CAPACITY];
    size_t length = 0;
    ssize_t got;
    while ((got = emulated_read(ch, text + length, 3)) > 0) {
        length += (size_t)got;
    }
    text[length] = '\0';
    return text;
}

static void prove_order(void)
{
    struct channel ch;
    open_channel(&ch);
    emulated_write(&ch, "first ");
    raw_write(&ch, "raw ");
    CHECK(strcmp(read_all(&ch), "first raw ") == 0 && ch.rescued == 4, "rescue behind the queue");
    emulated_write(&ch, "next");
    CHECK(strcmp(read_all(&ch), "next") == 0, "after a rescue");

    emulated_write(&ch, "1 ");
    raw_write(&ch, "2 ");
    emulated_write(&ch, "3 ");
    CHECK(strcmp(read_all(&ch), "1 3 2 ") == 0, "without a sweep a raw write should be overtaken");
    emulated_write(&ch, "1 ");
    raw_write(&ch, "2 ");
    sweep(&ch);
    emulated_write(&ch, "3 ");
    CHECK(strcmp(read_all(&ch), "1 2 3 ") == 0, "with a sweep the order holds");

    raw_write(&ch, "last");
    close(ch.placeholder[1]);
    ch.placeholder[1] = -1;
    CHECK(strcmp(read_all(&ch), "last") == 0, "bytes come before the end of file");
    char byte;
    CHECK(emulated_read(&ch, &byte, 1) == 0, "end of file");
    close_channel(&ch);
}

static double ask_ns(int with_fionread)
{
    enum { ROUNDS = 100000 };
    struct channel ch;
    int waiting = 0;
    open_channel(&ch);
    int64_t start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct pollfd end = { .fd = ch.placeholder[0], .events = POLLIN };
        int rc = with_fionread ? ioctl(ch.placeholder[0], FIONREAD, &waiting) : poll(&end, 1, 0);
        CHECK(rc == 0 && waiting == 0, "ask");
    }
    double took = (double)(now_ns() - start) / ROUNDS;
    close_channel(&ch);
    return took;
}

struct shared {
    uint32_t word, asleep;
    int64_t woken_ns;
};

/* The futex sleeper: only the writer's own wake, here the limit, ends its sleep. */
static void prove_futex_is_deaf(struct shared *shared)
{
    struct channel ch;
    open_channel(&ch);
    raw_write(&ch, "x"); /* it is there even before the sleep, which is the reader's mistake here */
    struct timespec limit = { .tv_nsec = 50000000 };
    long rc = syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, &limit, NULL, 0);
    CHECK(rc == -1 && errno == ETIMEDOUT, "who woke the futex?");
    close_channel(&ch);
}

/* A child sleeps in poll(placeholder, bell); returns the us from the event to its return. */
static double poll_sleeper_us(struct shared *shared, int by_kill)
{
    int bell[2];
    struct channel ch;
    open_channel(&ch);
    CHECK(pipe(bell) == 0, "pipe");
    *shared = (struct shared){ 0 };
    pid_t sleeper = fork();
    if (sleeper == 0) {
        close(ch.placeholder[1]);
        struct pollfd fds[2] = { { .fd = ch.placeholder[0], .events = POLLIN },
                                 { .fd = bell[0], .events = POLLIN } };
        __atomic_store_n(&shared->asleep, 1, __ATOMIC_SEQ_CST);
        int rc = poll(fds, 2, LIMIT_MS);
        shared->woken_ns = now_ns();
        _exit(rc == 1 && fds[0].revents == (by_kill ? POLLHUP : POLLIN) ? 0 : 1);
    }
    pid_t writer = fork();
    if (writer == 0) {
        for (;;) {
            pause();
        }
    }
    int64_t start;
    if (by_kill) {
        close(ch.placeholder[1]); /* the writer alone holds it now */
        ch.placeholder[1] = -1;
    }
    while (__atomic_load_n(&shared->asleep, __ATOMIC_SEQ_CST) == 0) {
        sched_yield();
    }
    start = now_ns();
    if (by_kill) {
        kill(writer, SIGKILL);
    } else {
        raw_write(&ch, "x");
    }
    CHECK(child_result(sleeper) == 0, "sleeper");
    double took = (double)(shared->woken_ns - start) / 1000;
    kill(writer, SIGKILL);
    CHECK(child_result(writer) == 128 + SIGKILL, "writer");
    close_channel(&ch);
    close(bell[0]);
    close(bell[1]);
    return took;
}

int main(void)
{
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED, "mmap");
    prove_order();
    prove_futex_is_deaf(shared);
    double raw_us = poll_sleeper_us(shared, 0), kill_us = poll_sleeper_us(shared, 1);
    printf("rescue in order behind the queue; overtaken by a later emulated write unless swept; "
           "asking "
           "costs %.0f ns by poll, %.0f by FIONREAD; a futex sleeper is deaf to raw bytes, one in "
           "poll(placeholder, bell) wakes %.0f us after them, %.0f us after a SIGKILL\n",
           ask_ns(0), ask_ns(1), raw_us, kill_us);
    return 0;
}
