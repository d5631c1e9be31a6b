/*
 * Proves: whatever a program does with a socket in whose queues messages with descriptors are
 * unread, partly read or peeked at, these arrive as they were sent: options that ask for control
 * data (SO_PASSCRED), urgent bytes, credentials sent, the socket itself passed over a socket of
 * another sort and used from there, a queue that is full, both directions at once. (In the
 * emulator some of these make the channel the kernel's.)
 *
 * Rows: 3.9 "next message: never joined", 3.9 "descriptors: delivered with the first byte", 3.9
 * "received fd: same open file description"
 */
#include "creds.h"

enum { ROOM = 278 }; /* messages of one byte: see rights_full_buffers.c */

enum event { PASSCRED, PASSCRED_OF_PEER, CREDENTIALS, URGENT, PASSED, EVENTS };

static int channel[2];

/* A pair of datagram sockets that no wrapper has seen: by an inline system call. */
static bool raw_datagrams(int fds[2])
{
    long result;
    register long protocol __asm__("rdx") = 0;
    register int *numbers __asm__("r10") = fds;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((long)SYS_socketpair), "D"((long)AF_UNIX), "S"((long)SOCK_DGRAM),
                       "r"(protocol), "r"(numbers)
                     : "rcx", "r11", "memory");
    return result == 0; /* else it was caught, and refused */
}

/* Something happens to the receiving end, which may have another number then. */
static void happen(enum event event, int type)
{
    int datagrams[2];
    switch (event) {
    case PASSCRED: creds_ask(channel[1], 1); break;
    case PASSCRED_OF_PEER: creds_ask(channel[0], 1); break;
    case CREDENTIALS:
        CHECK_EQ(1, creds_send(channel[1], "c", getpid(), getuid(), getgid()));
        CHECK_EQ(1, read(channel[0], (char[8]){ 0 }, 8));
        break;
    case URGENT:
        if (type == SOCK_STREAM) {
            CHECK_EQ(1, send(channel[1], "u", 1, MSG_OOB));
            CHECK_EQ(1, recv(channel[0], (char[8]){ 0 }, 8, MSG_OOB));
        }
        break;
    default:
        if (raw_datagrams(datagrams)) {
            int fd = rights_pass(datagrams, channel[1]);
            CHECK_OK(close(channel[1]));
            channel[1] = fd;
            guest_close_both(datagrams);
        }
    }
}

/* With credentials or without: the text, so many descriptors of a pipe's writing end, working. */
static void expect(const char *text, int count, int witness)
{
    struct message_received received;
    message_receive(channel[1], sizeof received.data, CREDS_CONTROL, 0, &received);
    CHECK_TEXT(text, &received);
    CHECK_EQ(count, received.fd_count);
    CHECK_EQ(0, received.flags);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(1, write(received.fds[i], "w", 1));
        CHECK_EQ(1, read(witness, (char[1]){ 0 }, 1));
    }
    rights_close(&received);
}

static void unread(int type, enum event event)
{
    int writer, witness = rights_witness(&writer);
    guest_pair(type, channel);
    const int fds[] = { writer, writer };
    CHECK_EQ(2, message_send(channel[0], "ab", 2, fds, 2));
    CHECK_EQ(2, write(channel[0], "cd", 2));
    CHECK_EQ(2, message_send(channel[0], "ef", 2, fds, 1));
    CHECK_EQ(2, message_send(channel[0], "gh", 2, fds, 2));
    CHECK_EQ(2, write(channel[0], "ij", 2));
    happen(event, type);
    CHECK_EQ(2, message_send(channel[0], "kl", 2, fds, 1));
    CHECK_OK(close(writer));
    expect("ab", 2, witness);
    if (type == SOCK_SEQPACKET) {
        expect("cd", 0, witness);
        expect("ef", 1, witness);
        expect("gh", 2, witness);
        expect("ij", 0, witness);
        expect("kl", 1, witness);
    } else {
        expect("cdef", 1, witness);
        expect("gh", 2, witness);
        if (event == PASSCRED) {
            expect("ij", 0, witness); /* "kl" has a writer that is known */
            expect("kl", 1, witness);
        } else {
            expect("ijkl", 1, witness);
        }
    }
    CHECK_GONE(witness);
    guest_close_both(channel);
}

/* One byte of the first message was read, with its descriptors; the second was looked at. */
static void partly_read(enum event event)
{
    int writer, witness = rights_witness(&writer);
    guest_pair(SOCK_STREAM, channel);
    CHECK_EQ(3, message_send(channel[0], "abc", 3, &writer, 1));
    EXPECT(channel[1], 1, 0, "a", 1);
    CHECK_EQ(2, message_send(channel[0], "de", 2, &writer, 1));
    EXPECT(channel[1], 8, MSG_PEEK, "bcde", 1);
    CHECK_OK(close(writer));
    CHECK_HELD(witness);
    happen(event, SOCK_STREAM);
    CHECK_HELD(witness);
    expect("bcde", 1, witness);
    CHECK_GONE(witness);
    guest_close_both(channel);
}

/* As many as there is room for, one way; the other way one more. */
static void full(int type, enum event event)
{
    int writer, witness = rights_witness(&writer), count = 0;
    struct rights_message message = { .size = 0 };
    guest_pair(type, channel);
    rights_add_fds(&message, &writer, 1);
    while (rights_send(channel[0], "m", 1, &message, MSG_DONTWAIT) == 1) {
        count++;
    }
    CHECK_EQ(ROOM, count);
    happen(event, type);
    CHECK_ERR(EAGAIN, rights_send(channel[0], "m", 1, &message, MSG_DONTWAIT));
    CHECK_EQ(1, message_send(channel[1], "b", 1, &writer, 1));
    CHECK_OK(close(writer));
    for (int i = 0; i < count; i++) {
        expect("m", 1, witness);
    }
    CHECK_HELD(witness);
    CHECK_EQ(1, read(channel[0], (char[8]){ 0 }, 8));
    CHECK_GONE(witness);
    CHECK_ERR(EAGAIN, recv(channel[1], (char[1]){ 0 }, 1, MSG_DONTWAIT));
    guest_close_both(channel);
}

/* What was unread when it happened, and nobody reads, is closed with the socket. */
static void never_read(int type, enum event event)
{
    guest_pair(type, channel);
    int first = rights_send_witness(channel[0], "a"), second = rights_send_witness(channel[0], "b");
    happen(event, type);
    CHECK_HELD(first);
    CHECK_EQ(1, read(channel[1], (char[1]){ 0 }, 1));
    CHECK_GONE(first);
    CHECK_HELD(second);
    CHECK_OK(close(channel[1]));
    CHECK_GONE(second);
    CHECK_OK(close(channel[0]));
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGURG, SIG_IGN, 0);
    for (int event = 0; event < EVENTS; event++) {
        for (int i = 0; i < 2; i++) {
            unread(rights_types[i], (enum event)event);
            full(rights_types[i], (enum event)event);
            never_read(rights_types[i], (enum event)event);
        }
        partly_read((enum event)event);
    }
    return guest_end();
}
