/*
 * Proves: descriptors and the room for bytes: a send that finds no room keeps nothing in flight;
 * as many messages with descriptors fit as without; a send that sleeps delivers its descriptors
 * with its first chunk, before the rest, and only once; one that is ended there (time-out, signal,
 * shutdown, close) has sent them if its first chunk went, else they are let go; what a descriptor
 * rides on counts for poll like any message.
 *
 * Rows: 3.9 "long stream send split in chunks", 3.9 "send that fails or finds no room", 3.3
 * "blocked in write, peer", 3.7 "write size 1"
 */
#include "rights.h"

enum {
    BIG = 400000,
    ONE_BYTE_MESSAGES = 278, /* as without descriptors: 278 times 768 is above SO_SNDBUF */
    SMALLEST_MESSAGES = 6,   /* with the smallest SO_SNDBUF */
};

static int channel[2];
static char big[BIG];

/* ---- how many fit ---- */

static int fill_with_fds(int fd, int passed)
{
    struct rights_message message = { .size = 0 };
    int count = 0;
    rights_add_fds(&message, &passed, 1);
    while (rights_send(fd, "m", 1, &message, MSG_DONTWAIT) == 1) {
        count++;
        CHECK(count <= 10 * ONE_BYTE_MESSAGES);
    }
    CHECK_EQ(EAGAIN, errno);
    return count;
}

static void as_many_as_without(int type, int size, int expected)
{
    int writer, witness = rights_witness(&writer);
    guest_pair(type, channel);
    if (size > 0) {
        CHECK_OK(setsockopt(channel[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    }
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(expected, fill_with_fds(channel[0], writer));
        CHECK_EQ(0, guest_poll(channel[0], POLLOUT, 0));
        for (int i = 0; i < expected; i++) {
            EXPECT(channel[1], 60, 0, "m", 1);
        }
        CHECK_EQ(POLLOUT, guest_poll(channel[0], POLLOUT, 0));
        CHECK_ERR(EAGAIN, recv(channel[1], &(char){ 0 }, 1, MSG_DONTWAIT));
    }
    CHECK_EQ(expected, fill_with_fds(channel[0], writer));
    CHECK_OK(close(writer));
    CHECK_HELD(witness);
    guest_close_both(channel);
    CHECK_GONE(witness);
}

static void no_room_holds_nothing(int type)
{
    char byte;
    int writer, witness = rights_witness(&writer);
    struct rights_message message = { .size = 0 };
    rights_add_fds(&message, &writer, 1);
    guest_pair(type, channel);
    int count = guest_socket_fill(channel[0], 1);
    CHECK_ERR(EAGAIN, rights_send(channel[0], "m", 1, &message, MSG_DONTWAIT));
    guest_set_nonblock(channel[0], true);
    CHECK_ERR(EAGAIN, rights_send(channel[0], "m", 1, &message, 0));
    CHECK_ERR(EAGAIN, rights_send(channel[0], big, 1000, &message, 0));
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(1, recv(channel[1], &byte, 1, 0));
    }
    CHECK_ERR(EAGAIN, recv(channel[1], &byte, 1, MSG_DONTWAIT));
    guest_close_both(channel);
}

/* Part of it goes: with it all descriptors. */
static void partly_sent(void)
{
    int writer, witness = rights_witness(&writer);
    struct rights_message message = { .size = 0 };
    rights_add_fds(&message, &writer, 1);
    guest_pair(SOCK_STREAM, channel);
    ssize_t sent = rights_send(channel[0], big, BIG, &message, MSG_DONTWAIT);
    CHECK(sent > 0 && sent < BIG);
    CHECK_OK(close(writer));
    CHECK_HELD(witness);
    EXPECT(channel[1], 1, 0, "z", 1);
    CHECK_GONE(witness);
    CHECK_EQ(sent - 1, guest_read_all(channel[1], big, (size_t)sent - 1));
    CHECK_ERR(EAGAIN, recv(channel[1], big, 1, MSG_DONTWAIT));
    guest_close_both(channel);
}

/* ---- sends that sleep ---- */

struct sender {
    struct guest_thread thread;
    size_t size;
    int passed[2];
    ssize_t sent;
    int error;
};

static void *send_asleep(void *argument)
{
    struct sender *sender = argument;
    struct rights_message message = { .size = 0 };
    rights_add_fds(&message, sender->passed, 2);
    sender->sent = rights_send(channel[0], big, sender->size, &message, 0);
    sender->error = errno;
    return NULL;
}

static void sender_start(struct sender *sender, size_t size, int *ret_witnesses)
{
    memset(sender, 0, sizeof *sender);
    sender->size = size;
    ret_witnesses[0] = rights_witness(&sender->passed[0]);
    ret_witnesses[1] = rights_witness(&sender->passed[1]);
    guest_thread_start(&sender->thread, send_asleep, sender);
    guest_thread_blocked(&sender->thread);
    CHECK_OK(close(sender->passed[0]));
    CHECK_OK(close(sender->passed[1]));
    CHECK_HELD(ret_witnesses[0]);
}

static void sender_ends(struct sender *sender, ssize_t sent, int error)
{
    guest_thread_join(&sender->thread);
    CHECK_EQ(sent, sender->sent);
    if (sent < 0) {
        CHECK_EQ(error, sender->error);
    }
}

/* They are there while the sender still sleeps with the rest. */
static void with_the_first_chunk(void)
{
    struct sender sender;
    struct message_received received;
    int witnesses[2];
    guest_pair(SOCK_STREAM, channel);
    sender_start(&sender, BIG, witnesses);
    rights_expect(__FILE__, __LINE__, channel[1], 1, 0, "z", 2, &received);
    CHECK_EQ(1, write(received.fds[0], "a", 1));
    CHECK_EQ(1, write(received.fds[1], "b", 1));
    CHECK_EQ(1, read(witnesses[0], big, 1));
    CHECK_EQ('a', big[0]);
    CHECK_EQ(1, read(witnesses[1], big, 1));
    CHECK_EQ('b', big[0]);
    rights_close(&received);
    CHECK_GONE(witnesses[0]);
    CHECK_GONE(witnesses[1]);
    size_t have = 1;
    while (have < BIG) { /* none with any later byte */
        union message_control control;
        struct iovec vector = { .iov_base = big, .iov_len = 10000 };
        struct msghdr header = { .msg_iov = &vector,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control };
        have += (size_t)CHECK_OK(recvmsg(channel[1], &header, 0));
        CHECK_EQ(0, header.msg_controllen);
        CHECK_EQ(0, header.msg_flags);
    }
    sender_ends(&sender, BIG, 0);
    guest_close_both(channel);
}

enum end { TIME_OUT, PEER_CLOSES, PEER_SHUTS, OWN_SHUTS, SIGNAL, ENDS };

static void end_the_sleep(enum end how, const struct sender *sender)
{
    switch (how) {
    case TIME_OUT: break;
    case PEER_CLOSES: CHECK_OK(close(channel[1])); break;
    case PEER_SHUTS: CHECK_OK(shutdown(channel[1], SHUT_RD)); break;
    case OWN_SHUTS: CHECK_OK(shutdown(channel[0], SHUT_WR)); break;
    default: CHECK_ZERO(pthread_kill(sender->thread.pthread, SIGUSR1)); break;
    }
}

static void open_for(int type, enum end how)
{
    guest_pair(type, channel);
    if (how == TIME_OUT) {
        const struct timeval time = { .tv_usec = 200000 };
        CHECK_OK(setsockopt(channel[0], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time));
    }
}

/* Nothing of it went: they are let go. */
static void ended_before_the_first(int type, enum end how)
{
    static const int errors[] = { EAGAIN, ECONNRESET, EPIPE, EPIPE, EINTR };
    struct sender sender;
    int witnesses[2];
    open_for(type, how);
    guest_socket_fill(channel[0], 1000);
    sender_start(&sender, 1000, witnesses);
    end_the_sleep(how, &sender);
    sender_ends(&sender, -1, errors[how]);
    CHECK_GONE(witnesses[0]);
    CHECK_GONE(witnesses[1]);
    CHECK_OK(close(channel[0]));
    if (how != PEER_CLOSES) {
        CHECK_OK(close(channel[1]));
    }
}

/* The first chunk went: they are the receiver's, as long as it is open. */
static void ended_after_the_first(enum end how)
{
    struct sender sender;
    int witnesses[2];
    open_for(SOCK_STREAM, how);
    sender_start(&sender, BIG, witnesses);
    end_the_sleep(how, &sender);
    guest_thread_join(&sender.thread);
    CHECK(sender.sent > 0 && sender.sent < BIG);
    if (how == PEER_CLOSES) {
        CHECK_GONE(witnesses[0]);
    } else {
        CHECK_HELD(witnesses[0]);
        EXPECT(channel[1], 1, 0, "z", 2);
        CHECK_GONE(witnesses[0]);
        CHECK_OK(close(channel[1]));
    }
    CHECK_GONE(witnesses[1]);
    CHECK_OK(close(channel[0]));
}

int main(void)
{
    guest_start();
    guest_count_signal(SIGUSR1, 0);
    memset(big, 'z', sizeof big);
    for (int i = 0; i < 2; i++) {
        as_many_as_without(rights_types[i], 0, ONE_BYTE_MESSAGES);
        as_many_as_without(rights_types[i], 1, SMALLEST_MESSAGES);
        no_room_holds_nothing(rights_types[i]);
        for (int how = 0; how < ENDS; how++) {
            ended_before_the_first(rights_types[i], (enum end)how);
        }
    }
    partly_sent();
    with_the_first_chunk();
    for (int how = 0; how < ENDS; how++) {
        ended_after_the_first((enum end)how);
    }
    return guest_end();
}
