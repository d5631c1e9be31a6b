/*
 * Proves: many readers and many writers may share the two fds of one pipe; each token comes out
 * exactly once, every reader sees end-of-file, and each blocked reader is woken by a token.
 *
 * Rows: 2.2 "Read of n bytes", 2.3 "read, empty, no writers"
 */
#include "guest.h"

enum { WRITERS = 8, READERS = 8, TOKENS = 2000 };

static int pipe_fds[2];
static atomic_uchar seen[WRITERS * TOKENS];
static atomic_int tokens_read;

static void *write_tokens(void *argument)
{
    uint32_t first = (uint32_t)(uintptr_t)argument * TOKENS;
    for (uint32_t token = first; token < first + TOKENS; token++) {
        CHECK_EQ(sizeof token, write(pipe_fds[1], &token, sizeof token));
    }
    return NULL;
}

static void *read_tokens(void *argument)
{
    (void)argument;
    uint32_t token;
    ssize_t count;
    while ((count = read(pipe_fds[0], &token, sizeof token)) != 0) {
        CHECK_EQ(sizeof token, count);
        CHECK(token < WRITERS * TOKENS);
        CHECK_EQ(0, atomic_fetch_add(&seen[token], 1));
        atomic_fetch_add(&tokens_read, 1);
    }
    return NULL;
}

static void all_tokens_once(void)
{
    struct guest_thread writers[WRITERS], readers[READERS];
    guest_pipe(pipe_fds);
    for (uintptr_t i = 0; i < READERS; i++) {
        guest_thread_start(&readers[i], read_tokens, NULL);
    }
    for (uintptr_t i = 0; i < WRITERS; i++) {
        guest_thread_start(&writers[i], write_tokens, (void *)i);
    }
    for (int i = 0; i < WRITERS; i++) {
        guest_thread_join(&writers[i]);
    }
    CHECK_OK(close(pipe_fds[1]));
    for (int i = 0; i < READERS; i++) {
        guest_thread_join(&readers[i]);
    }
    CHECK_EQ(WRITERS * TOKENS, atomic_load(&tokens_read));
    CHECK_OK(close(pipe_fds[0]));
}

static void *read_one(void *argument)
{
    char byte;
    (void)argument;
    CHECK_EQ(1, read(pipe_fds[0], &byte, 1));
    return NULL;
}

/* One write that holds a byte for each of the sleepers: all of them get theirs. */
static void one_write_wakes_all(void)
{
    struct guest_thread readers[READERS];
    guest_pipe(pipe_fds);
    for (int i = 0; i < READERS; i++) {
        guest_thread_start(&readers[i], read_one, NULL);
        guest_thread_blocked(&readers[i]);
    }
    CHECK_EQ(READERS, write(pipe_fds[1], "12345678", READERS));
    for (int i = 0; i < READERS; i++) {
        guest_thread_join(&readers[i]);
    }
    guest_close_both(pipe_fds);
}

int main(void)
{
    guest_start();
    all_tokens_once();
    one_write_wakes_all();
    return guest_end();
}
