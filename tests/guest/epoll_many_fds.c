/*
 * Proves: ten thousand ends (or as many as the limit allows, 500 at least) of pipes, stream and
 * seqpacket pairs in one set: each is found when it is ready, alone, among others, and all at once
 * in batches; edges come once; deleting half and closing the rest leaves nothing behind.
 *
 * Rows: 6.4 "LT: reported on every wait while ready; served round-robin", 6.4 "ET (EPOLLET): queued
 * by a wake-up, reported once", 6.4 "When the last reference closes, the entry vanishes"
 */
#include <sys/epoll.h>
#include <sys/resource.h>

#include "guest.h"

enum { WANTED = 5000, LEAST = 250, BATCH = 64, SPARE = 64 }; /* channels, of two ends each */

static int (*channels)[2];
static unsigned char *seen; /* of each end: twice the channel, plus 1 for the second one */
static int channel_count;

static void raise_limit(void)
{
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    channel_count = WANTED;
    if (limit.rlim_max < 2 * WANTED + SPARE) {
        channel_count = (int)(limit.rlim_max - SPARE) / 2;
    }
    CHECK(channel_count >= LEAST);
}

static bool is_pipe(int channel)
{
    return channel % 3 == 0;
}

static void open_channels(void)
{
    channels = calloc((size_t)channel_count, sizeof *channels);
    seen = calloc((size_t)channel_count, 2);
    CHECK(channels != NULL && seen != NULL);
    for (int i = 0; i < channel_count; i++) {
        if (is_pipe(i)) {
            guest_pipe(channels[i]);
        } else {
            guest_pair(i % 3 == 1 ? SOCK_STREAM : SOCK_SEQPACKET, channels[i]);
        }
    }
}

static void ctl(int epoll, int op, int end, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.u64 = (uint64_t)end };
    CHECK_OK(epoll_ctl(epoll, op, channels[end / 2][end % 2], &event));
}

static int wait_batch(int epoll, struct epoll_event *events)
{
    return (int)CHECK_OK(epoll_wait(epoll, events, BATCH, 0));
}

static void send_to(int channel)
{
    CHECK_EQ(1, write(channels[channel][1], "x", 1));
}

static void take_from(int channel)
{
    char byte;
    CHECK_EQ(1, read(channels[channel][0], &byte, 1));
}

/* One ready at a time, all over the set. */
static void one_among_all(int epoll)
{
    struct epoll_event events[BATCH];
    for (int i = 0; i < channel_count; i += 7) {
        send_to(i);
        CHECK_EQ(1, wait_batch(epoll, events));
        CHECK_EQ(2 * i, events[0].data.u64);
        CHECK_EQ(EPOLLIN, events[0].events);
        take_from(i);
    }
    CHECK_EQ(0, wait_batch(epoll, events));
}

/* Batches serve every end once before any end a second time. */
static void all_in_turns(int epoll)
{
    struct epoll_event events[BATCH];
    for (int i = 0; i < channel_count; i++) {
        send_to(i);
    }
    for (int round = 1; round <= 2; round++) {
        for (int total = 0; total < channel_count;) {
            int count = (int)CHECK_OK(epoll_wait(
                epoll, events, channel_count - total < BATCH ? channel_count - total : BATCH, 0));
            CHECK(count > 0);
            for (int i = 0; i < count; i++) {
                CHECK_EQ(round, ++seen[events[i].data.u64]);
            }
            total += count;
        }
    }
    for (int i = 0; i < channel_count; i++) {
        CHECK_EQ(2, seen[2 * i]);
        take_from(i);
    }
    CHECK_EQ(0, wait_batch(epoll, events));
}

/* The same by edges: each is told of once, then the set is silent with all the data in it. */
static void all_edges(int epoll)
{
    struct epoll_event events[BATCH];
    int total = 0, count;
    memset(seen, 0, 2 * (size_t)channel_count);
    for (int i = 0; i < channel_count; i++) {
        ctl(epoll, EPOLL_CTL_MOD, 2 * i, EPOLLIN | EPOLLET);
        send_to(i);
    }
    while ((count = wait_batch(epoll, events)) > 0) {
        for (int i = 0; i < count; i++) {
            CHECK_EQ(1, ++seen[events[i].data.u64]);
        }
        total += count;
    }
    CHECK_EQ(channel_count, total);
}

/* Every second reading end is taken out, the others' writers close: they alone are told of. */
static void ends_of_all(int epoll)
{
    struct epoll_event events[BATCH];
    int told = 0, count;
    for (int i = 0; i < channel_count; i += 2) {
        ctl(epoll, EPOLL_CTL_DEL, 2 * i, 0);
    }
    for (int i = 0; i < channel_count; i++) {
        CHECK_OK(close(channels[i][1])); /* its entry, with a mask of 0, goes with it */
    }
    while ((count = wait_batch(epoll, events)) > 0) {
        for (int i = 0; i < count; i++) {
            CHECK_EQ(2, events[i].data.u64 % 4);
            CHECK_EQ(EPOLLIN | EPOLLHUP, events[i].events);
        }
        told += count;
    }
    CHECK_EQ(channel_count / 2, told);
    for (int i = 0; i < channel_count; i++) {
        CHECK_OK(close(channels[i][0]));
    }
    CHECK_EQ(0, wait_batch(epoll, events));
}

int main(void)
{
    guest_start();
    raise_limit();
    open_channels();
    int epoll = (int)CHECK_OK(epoll_create1(0));
    for (int end = 0; end < 2 * channel_count; end++) {
        ctl(epoll, EPOLL_CTL_ADD, end, end % 2 == 0 ? EPOLLIN : 0);
    }
    one_among_all(epoll);
    all_in_turns(epoll);
    all_edges(epoll);
    ends_of_all(epoll);
    CHECK_OK(close(epoll));
    free(channels);
    free(seen);
    return guest_end();
}
