/*
 * Proves: a receiver that is out of numbers gets those descriptors that fit, MSG_CTRUNC, and all
 * the bytes; the others are closed, or stay in the message when it was a peek. The lowest free
 * numbers are taken, in order, also where there are gaps. A sender needs no number.
 *
 * Rows: 3.9 "EMFILE while installing", 3.9 "MSG_PEEK: new duplicates every time"
 */
#include <sys/resource.h>

#include "rights.h"

enum { SENT = 5, GAPS = 3, OUT_OF_THE_WAY = 100 };

static int channel[2];
static struct rlimit limit;

static void allow(int numbers)
{
    const struct rlimit small = { (rlim_t)numbers, limit.rlim_max };
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &small));
}

static int next_number(void)
{
    int next = (int)CHECK_OK(dup(0));
    CHECK_OK(close(next));
    return next;
}

/* Receives with room for all; count numbers may be had from first on. */
static void receive(int first, int count, int flags)
{
    struct message_received received;
    allow(first + count);
    message_receive(channel[1], 8, RIGHTS_ROOM(SENT), flags, &received);
    allow((int)limit.rlim_cur);
    CHECK_TEXT("m", &received);
    CHECK_EQ(count, received.fd_count);
    CHECK_EQ(count < SENT ? MSG_CTRUNC : 0, received.flags);
    CHECK_EQ(count > 0 ? (long long)RIGHTS_ROOM((size_t)count) : 0, received.control_size);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(first + i, received.fds[i]);
    }
    rights_close(&received);
}

static void so_many_fit(int count, bool peek)
{
    int fds[SENT], witnesses[SENT];
    for (int i = 0; i < SENT; i++) {
        int witness = rights_witness(&fds[i]);
        witnesses[i] = (int)CHECK_OK(fcntl(witness, F_DUPFD, OUT_OF_THE_WAY));
        CHECK_OK(close(witness));
    }
    CHECK_EQ(1, message_send(channel[0], "m", 1, fds, SENT));
    for (int i = 0; i < SENT; i++) {
        CHECK_OK(close(fds[i]));
    }
    if (peek) {
        receive(next_number(), count, MSG_PEEK);
        for (int i = 0; i < SENT; i++) {
            CHECK_HELD(witnesses[i]);
        }
        receive(next_number(), SENT, 0);
    } else {
        receive(next_number(), count, 0);
    }
    for (int i = 0; i < SENT; i++) {
        CHECK_GONE(witnesses[i]);
    }
}

static void gaps_are_filled(void)
{
    int fds[GAPS * 2];
    struct message_received received;
    for (int i = 0; i < GAPS * 2; i++) {
        fds[i] = (int)CHECK_OK(dup(0));
    }
    const int sent[] = { 0, channel[0], channel[1], 0 };
    CHECK_EQ(1, message_send(channel[0], "m", 1, sent, GAPS + 1));
    for (int i = 0; i < GAPS; i++) {
        CHECK_OK(close(fds[i * 2]));
    }
    rights_expect(__FILE__, __LINE__, channel[1], 8, 0, "m", GAPS + 1, &received);
    for (int i = 0; i < GAPS; i++) {
        CHECK_EQ(fds[i * 2], received.fds[i]);
        CHECK_OK(close(fds[i * 2 + 1]));
    }
    rights_close(&received);
}

static void sender_without_numbers(void)
{
    int writer, witness = rights_witness(&writer);
    allow(3); /* the numbers in use are all beyond */
    CHECK_ERR(EMFILE, dup(0));
    CHECK_EQ(1, message_send(channel[0], "m", 1, &writer, 1));
    allow((int)limit.rlim_cur);
    CHECK_OK(close(writer));
    CHECK_HELD(witness);
    EXPECT(channel[1], 8, 0, "m", 1);
    CHECK_GONE(witness);
}

int main(void)
{
    guest_start();
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    for (int type = 0; type < 2; type++) {
        guest_pair(rights_types[type], channel);
        for (int count = 0; count <= SENT; count++) {
            so_many_fit(count, false);
            so_many_fit(count, true);
        }
        gaps_are_filled();
        sender_without_numbers();
        guest_close_both(channel);
    }
    return guest_end();
}
