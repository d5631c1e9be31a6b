/*
 * Proves: many threads, and many processes, that send and receive descriptors on one socket at once
 * get whole messages: the tag in the bytes is the tag in each of the descriptors that came with
 * them, plain messages in between have none, nothing comes twice and nothing is lost; both ways at
 * once, with receivers that sometimes peek first, drop the descriptors, or have room for one only.
 *
 * Rows: 3.9 "descriptors: delivered with the first byte", 3.9 "next message: never joined"
 */
#include "rights.h"

enum {
    SENDERS = 4,
    RECEIVERS = 3,
    MESSAGES = 240, /* of each sender, each way */
    FDS = 3,
    TAGS = SENDERS * MESSAGES,
};

/* All messages are of this size, so that a receive of it takes one. */
struct tagged {
    uint32_t tag;   /* below TAGS; TAGS: the end */
    uint32_t count; /* of descriptors */
};

struct side {
    int fd, number;
    atomic_int *seen; /* by a receiver: how often each tag */
};

/* A pipe's reading end with the tag in it, and its end behind. */
static int tag_descriptor(uint32_t tag)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_EQ(sizeof tag, write(fds[1], &tag, sizeof tag));
    CHECK_OK(close(fds[1]));
    return fds[0];
}

static void send_tag(int fd, uint32_t tag)
{
    const struct tagged tagged = { .tag = tag, .count = tag % (FDS + 1) };
    int fds[FDS];
    for (uint32_t i = 0; i < tagged.count; i++) {
        fds[i] = tag_descriptor(tag);
    }
    CHECK_EQ(sizeof tagged, message_send(fd, &tagged, sizeof tagged, tagged.count > 0 ? fds : NULL,
                                         (int)tagged.count));
    for (uint32_t i = 0; i < tagged.count; i++) {
        CHECK_OK(close(fds[i]));
    }
}

static void *send_tags(void *argument)
{
    const struct side *side = argument;
    for (int i = 0; i < MESSAGES; i++) {
        send_tag(side->fd, (uint32_t)(side->number * MESSAGES + i));
    }
    return NULL;
}

/* Each descriptor must hold the tag that the bytes say. */
static void check_descriptors(const struct message_received *received, uint32_t tag)
{
    for (int i = 0; i < received->fd_count; i++) {
        uint32_t found[2] = { TAGS, TAGS };
        CHECK_EQ(sizeof tag, read(received->fds[i], found, sizeof found));
        CHECK_EQ(tag, found[0]);
    }
}

static void *receive_tags(void *argument)
{
    const struct side *side = argument;
    for (int i = 0;; i++) {
        struct message_received received;
        struct tagged tagged;
        if (i % 5 == side->number) { /* may be another message than the one that is taken */
            message_receive(side->fd, sizeof tagged, RIGHTS_ROOM(FDS), MSG_PEEK, &received);
            rights_close(&received);
        }
        size_t room = i % 7 == 6 ? RIGHTS_LEN(1) : i % 11 == 10 ? 0 : RIGHTS_ROOM(FDS);
        message_receive(side->fd, sizeof tagged, room, 0, &received);
        CHECK_EQ(sizeof tagged, received.size);
        memcpy(&tagged, received.data, sizeof tagged);
        if (tagged.tag == TAGS) {
            return NULL;
        }
        CHECK(tagged.tag < TAGS);
        CHECK_EQ(tagged.tag % (FDS + 1), tagged.count);
        uint32_t fit = room == 0 ? 0 : room == RIGHTS_LEN(1) ? 1 : FDS;
        CHECK_EQ(tagged.count < fit ? tagged.count : fit, received.fd_count);
        CHECK_EQ(tagged.count > fit ? MSG_CTRUNC : 0, received.flags);
        check_descriptors(&received, tagged.tag);
        rights_close(&received);
        CHECK_EQ(0, atomic_fetch_add(&side->seen[tagged.tag], 1));
    }
}

static void end_receivers(int fd)
{
    const struct tagged end = { .tag = TAGS };
    for (int i = 0; i < RECEIVERS; i++) {
        CHECK_EQ(sizeof end, write(fd, &end, sizeof end));
    }
}

static atomic_int seen[2][TAGS];

static void check_all_seen(void)
{
    for (int way = 0; way < 2; way++) {
        for (int tag = 0; tag < TAGS; tag++) {
            CHECK_EQ(1, atomic_exchange(&seen[way][tag], 0));
        }
    }
}

/* ---- threads of one process ---- */

static void threads(int type)
{
    struct guest_thread senders[2][SENDERS], receivers[2][RECEIVERS];
    struct side of_senders[2][SENDERS], of_receivers[2][RECEIVERS];
    int channel[2];
    guest_pair(type, channel);
    for (int way = 0; way < 2; way++) {
        for (int i = 0; i < RECEIVERS; i++) {
            of_receivers[way][i] = (struct side){ channel[1 - way], i, seen[way] };
            guest_thread_start(&receivers[way][i], receive_tags, &of_receivers[way][i]);
        }
        for (int i = 0; i < SENDERS; i++) {
            of_senders[way][i] = (struct side){ channel[way], i, NULL };
            guest_thread_start(&senders[way][i], send_tags, &of_senders[way][i]);
        }
    }
    for (int way = 0; way < 2; way++) {
        for (int i = 0; i < SENDERS; i++) {
            guest_thread_join(&senders[way][i]);
        }
        end_receivers(channel[way]);
        for (int i = 0; i < RECEIVERS; i++) {
            guest_thread_join(&receivers[way][i]);
        }
    }
    check_all_seen();
    guest_close_both(channel);
}

/* ---- processes ---- */

/* Receivers report what they have seen by a pipe, tag by tag. */
static void receiver_process(int fd, int number, int report)
{
    struct side side = { fd, number, seen[0] };
    receive_tags(&side);
    for (uint32_t tag = 0; tag < TAGS; tag++) {
        if (atomic_load(&seen[0][tag]) > 0) {
            CHECK_EQ(sizeof tag, write(report, &tag, sizeof tag));
        }
    }
    _exit(0);
}

static void processes(int type)
{
    pid_t senders[SENDERS], receivers[RECEIVERS];
    int channel[2], report[2];
    uint32_t tag;
    guest_pair(type, channel);
    guest_pipe(report);
    for (int i = 0; i < RECEIVERS; i++) {
        receivers[i] = guest_fork();
        if (receivers[i] == 0) {
            CHECK_OK(close(report[0]));
            receiver_process(channel[1], i, report[1]);
        }
    }
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = guest_fork();
        if (senders[i] == 0) {
            struct side side = { channel[0], i, NULL };
            send_tags(&side);
            _exit(0);
        }
    }
    CHECK_OK(close(report[1]));
    for (int i = 0; i < SENDERS; i++) {
        guest_wait_exit(senders[i], 0);
    }
    end_receivers(channel[0]);
    int count = 0;
    while (guest_read_all(report[0], &tag, sizeof tag) == sizeof tag) {
        CHECK_EQ(0, atomic_fetch_add(&seen[1][tag], 1));
        count++;
    }
    CHECK_EQ(TAGS, count);
    for (int i = 0; i < RECEIVERS; i++) {
        guest_wait_exit(receivers[i], 0);
    }
    for (int i = 0; i < TAGS; i++) {
        atomic_store(&seen[1][i], 0);
    }
    CHECK_OK(close(report[0]));
    guest_close_both(channel);
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        threads(rights_types[i]);
        processes(rights_types[i]);
    }
    return guest_end();
}
