/*
 * Proves: 8 threads, each with a listener of its own, make 500 connections to each other's
 * listeners: connect, write, accept, echo, compare, close. Afterwards no descriptor is left.
 *
 * Rows: 3.2 "listen / accept / connect among threads"
 */
#include "unix_names.h"

enum { THREADS = 8, ROUNDS = 500 };

struct storm {
    struct guest_thread thread;
    int type, number, echoed;
};

static struct unix_name names[THREADS];
static int listeners[THREADS];

/* Serves one of those who wait at this thread's listener, if any does. */
static void serve_one(struct storm *storm)
{
    unsigned char buffer[64];
    char byte;
    int fd = accept4(listeners[storm->number], NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        CHECK_EQ(EAGAIN, errno);
        return;
    }
    CHECK_EQ(sizeof buffer, guest_read_all(fd, buffer, sizeof buffer));
    CHECK_EQ(sizeof buffer, write(fd, buffer, sizeof buffer));
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_EQ(0, read(fd, &byte, 1));
    CHECK_OK(close(fd));
    storm->echoed++;
}

/* Asks another thread, and serves while the answer isn't there. */
static void ask(struct storm *storm, int round)
{
    unsigned char buffer[64];
    const uint64_t from = (uint64_t)storm->number * ROUNDS + (uint64_t)round;
    int fd = unix_socket(storm->type | SOCK_CLOEXEC | SOCK_NONBLOCK);
    const struct unix_name *name = &names[(storm->number + round) % THREADS];
    while (unix_connect(fd, name) < 0) {
        CHECK_EQ(EAGAIN, errno); /* its queue is full: it may wait for us */
        serve_one(storm);
        sched_yield();
    }
    guest_pattern_fill(buffer, sizeof buffer, from);
    CHECK_EQ(sizeof buffer, write(fd, buffer, sizeof buffer));
    CHECK_OK(shutdown(fd, SHUT_WR));
    memset(buffer, 0, sizeof buffer);
    bool early_end = false;
    for (size_t have = 0; have < sizeof buffer;) {
        ssize_t count = recv(fd, buffer + have, sizeof buffer - have, 0);
        if (count < 0) {
            CHECK_EQ(EAGAIN, errno);
            serve_one(storm);
            sched_yield();
            continue;
        }
        if (count == 0) {
            /* __unix_dgram_recvmsg finds nothing, and looks for the end when data and the end have
             * come since: once the kernel tells the end of records before the last one. */
            CHECK(storm->type == SOCK_SEQPACKET && !early_end);
            early_end = true;
            continue;
        }
        have += (size_t)count;
    }
    guest_pattern_check(buffer, sizeof buffer, from);
    CHECK_OK(close(fd));
}

static atomic_int asking; /* threads that may still come */

static void *rage(void *argument)
{
    struct storm *storm = argument;
    for (int round = 0; round < ROUNDS; round++) {
        ask(storm, round);
    }
    atomic_fetch_sub(&asking, 1);
    while (atomic_load(&asking) > 0) {
        serve_one(storm);
        sched_yield();
    }
    return NULL;
}

static void storm_of(int type, enum unix_form form)
{
    struct storm storms[THREADS];
    int echoed = 0;
    atomic_store(&asking, THREADS);
    for (int i = 0; i < THREADS; i++) {
        char word[16];
        snprintf(word, sizeof word, "storm%d", i);
        names[i] = unix_named(form, word);
        listeners[i] = unix_listener(type | SOCK_NONBLOCK, &names[i], 3);
    }
    for (int i = 0; i < THREADS; i++) {
        storms[i] = (struct storm){ .type = type, .number = i };
        guest_thread_start(&storms[i].thread, rage, &storms[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        guest_thread_join(&storms[i].thread);
        echoed += storms[i].echoed;
    }
    CHECK_EQ(THREADS * ROUNDS, echoed);
    for (int i = 0; i < THREADS; i++) {
        CHECK_ERR(EAGAIN, accept(listeners[i], NULL, NULL));
        CHECK_OK(close(listeners[i]));
        unix_forget(&names[i]);
    }
}

int main(void)
{
    unix_start();
    storm_of(SOCK_STREAM, UNIX_PATH);
    storm_of(SOCK_SEQPACKET, UNIX_ABSTRACT);
    return unix_end();
}
