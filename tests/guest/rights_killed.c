/*
 * Proves: SIGKILL of a sender or receiver of descriptors at any moment, also of both: who is left
 * gets whole messages, each with its descriptors and these with what was in them, then the end of
 * the channel (end-of-file, EPIPE or a reset); and when both are gone, nothing holds what was in
 * flight, not the message, not the one who died between two steps.
 *
 * Rows: 3.9 "unread descriptors at close", 3.5 "we close with unread data"
 */
#include "rights.h"

enum { ROUNDS = 70, LONGEST_US = 3000, TAG_SIZE = 4 };

enum victim { SENDER, RECEIVER, BOTH, VICTIMS };

static uint32_t chance = 0x50c41; /* the same in each run; the moment differs enough */

static uint32_t draw(uint32_t below)
{
    chance = chance * 1664525U + 1013904223U; /* Numerical Recipes, 7.1 */
    return (chance >> 8) % below;
}

/* Each message: a tag, a pipe's reading end with the tag in it, a socket with it, the witness. */
static void send_for_ever(int channel, int type, int witness_writer)
{
    for (uint32_t tag = 1;; tag++) {
        int fds[2], pair[2];
        guest_pipe(fds);
        guest_pair(type, pair);
        CHECK_EQ(TAG_SIZE, write(fds[1], &tag, TAG_SIZE));
        CHECK_EQ(TAG_SIZE, write(pair[1], &tag, TAG_SIZE));
        const int sent[] = { fds[0], pair[0], witness_writer };
        ssize_t count = message_send(channel, &tag, TAG_SIZE, sent, 1 + (int)(tag % 3));
        if (count < 0) {
            CHECK(errno == EPIPE || errno == ECONNRESET);
            _exit(0);
        }
        CHECK_EQ(TAG_SIZE, count);
        guest_close_both(fds);
        guest_close_both(pair);
    }
}

static void receive_until_the_end(int channel)
{
    for (uint32_t expected = 1;; expected++) {
        struct message_received received;
        uint32_t tag = 0, found[2];
        message_receive(channel, TAG_SIZE, RIGHTS_ROOM(4), 0, &received);
        if (received.size == 0) {
            _exit(0);
        }
        CHECK_EQ(TAG_SIZE, received.size);
        memcpy(&tag, received.data, TAG_SIZE);
        CHECK_EQ(expected, tag);
        CHECK_EQ(1 + tag % 3, received.fd_count);
        CHECK_EQ(0, received.flags);
        for (int i = 0; i < received.fd_count && i < 2; i++) {
            CHECK_EQ(TAG_SIZE, read(received.fds[i], found, TAG_SIZE));
            CHECK_EQ(tag, found[0]);
        }
        rights_close(&received);
    }
}

static pid_t start(bool sender, int type, const int channel[2], int writer)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(channel[sender ? 1 : 0]));
        if (sender) {
            send_for_ever(channel[0], type, writer);
        }
        CHECK_OK(close(writer));
        receive_until_the_end(channel[1]);
    }
    return pid;
}

static void one_round(int type, enum victim victim)
{
    int channel[2], writer, witness = rights_witness(&writer);
    guest_pair(type, channel);
    pid_t receiver = start(false, type, channel, writer);
    pid_t sender = start(true, type, channel, writer);
    guest_close_both(channel);
    CHECK_OK(close(writer));
    const struct timespec moment = { 0, draw(LONGEST_US) * 1000L }; /* chance, not order */
    nanosleep(&moment, NULL);
    if (victim != RECEIVER) {
        CHECK_OK(kill(sender, SIGKILL));
    }
    if (victim != SENDER) {
        CHECK_OK(kill(receiver, SIGKILL));
    }
    if (victim == SENDER) {
        guest_wait_exit(receiver, 0); /* all that was sent, and the end */
        guest_wait_killed(sender, SIGKILL);
    } else if (victim == RECEIVER) {
        guest_wait_exit(sender, 0);
        guest_wait_killed(receiver, SIGKILL);
    } else {
        guest_wait_killed(sender, SIGKILL);
        guest_wait_killed(receiver, SIGKILL);
    }
    CHECK_GONE(witness);
}

/* Killed asleep: the receiver in recvmsg, the sender with its first chunk gone. */
static void killed_asleep(int type)
{
    static char big[400000];
    int channel[2], writer, witness = rights_witness(&writer);
    guest_pair(type, channel);
    pid_t receiver = start(false, type, channel, writer);
    guest_process_blocked(receiver);
    CHECK_OK(kill(receiver, SIGKILL));
    guest_wait_killed(receiver, SIGKILL);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &writer, 1)); /* is for the next one */
    EXPECT(channel[1], 8, 0, "m", 1);
    if (type == SOCK_STREAM) {
        pid_t sender = guest_fork();
        if (sender == 0) {
            big[0] = 'b';
            message_send(channel[0], big, sizeof big, &writer, 1);
            _exit(1);
        }
        CHECK_OK(close(writer));
        guest_process_blocked(sender);
        CHECK_OK(kill(sender, SIGKILL));
        guest_wait_killed(sender, SIGKILL);
        CHECK_HELD(witness); /* with the chunks that went */
        EXPECT(channel[1], 1, 0, "b", 1);
    } else {
        CHECK_OK(close(writer));
    }
    CHECK_GONE(witness);
    guest_close_both(channel);
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        killed_asleep(rights_types[i]);
        for (int round = 0; round < ROUNDS; round++) {
            one_round(rights_types[i], (enum victim)(round % VICTIMS));
        }
    }
    return guest_end();
}
