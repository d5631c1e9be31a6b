/*
 * Proves: where in a stream descriptors are: they come with the first byte of their message that a
 * call takes, or with none of it, when the call takes no byte; a call joins what is before them,
 * and stops behind them, MSG_WAITALL too; what a call takes that can't tell of them (read, recv, a
 * vector, no control buffer) is closed at once; peeks see them as often as they are made, from
 * wherever SO_PEEK_OFF stands. Records keep them to themselves.
 *
 * Rows: 3.9 "stream: plain bytes followed by a message with descriptors", 3.9 "next message: never
 * joined", 3.9 "descriptors: delivered with the first byte", 3.9 "read()/recv() or msg_control
 * NULL", 3.9 "MSG_PEEK: new duplicates", 3.9 "stream send of 0 bytes with descriptors", 3.9
 * "receive of no bytes", 3.9 "MSG_PEEK on a stream", 3.4 "MSG_WAITALL", 3.4 "MSG_PEEK"
 */
#include "rights.h"

static int channel[2];

static void send_text(const char *text)
{
    CHECK_EQ(strlen(text), write(channel[0], text, strlen(text)));
}

static void send_fds(const char *text, int count)
{
    const int fds[] = { channel[0], 0, channel[1] };
    CHECK_EQ(strlen(text), message_send(channel[0], text, strlen(text), fds, count));
}

static void check_empty(void)
{
    CHECK_ERR(EAGAIN, recv(channel[1], &(char){ 0 }, 1, MSG_DONTWAIT));
}

/* ---- streams ---- */

static void joined(void)
{
    send_text("one");
    send_text("two");
    send_fds("three", 2);
    send_text("four");
    send_fds("five", 1);
    send_fds("six", 3);
    send_text("seven");
    EXPECT(channel[1], 60, 0, "onetwothree", 2);
    EXPECT(channel[1], 60, 0, "fourfive", 1);
    EXPECT(channel[1], 60, 0, "six", 3);
    EXPECT(channel[1], 60, 0, "seven", 0);
    check_empty();
}

/* A receive that ends right before the message, one byte into it, and right behind it. */
static void in_parts(void)
{
    send_text("abc");
    send_fds("def", 2);
    send_text("ghi");
    EXPECT(channel[1], 3, 0, "abc", 0);
    EXPECT(channel[1], 1, 0, "d", 2);
    EXPECT(channel[1], 60, 0, "efghi", 0); /* the rest is plain bytes now */
    send_text("abc");
    send_fds("def", 1);
    send_fds("ghi", 2);
    EXPECT(channel[1], 4, 0, "abcd", 1);
    EXPECT(channel[1], 60, 0, "efghi", 2);
    send_fds("abc", 1);
    send_text("def");
    EXPECT(channel[1], 3, 0, "abc", 1);
    EXPECT(channel[1], 60, 0, "def", 0);
    for (int i = 0; i < 3; i++) {
        send_fds("x", 1);
    }
    for (int i = 0; i < 3; i++) {
        EXPECT(channel[1], 60, 0, "x", 1);
    }
    check_empty();
}

/* A receive of nothing takes them and leaves the bytes; one byte less than they are at doesn't. */
static void no_byte(void)
{
    send_fds("abc", 2);
    EXPECT(channel[1], 0, 0, "", 2);
    EXPECT(channel[1], 60, 0, "abc", 0);
    send_fds("abc", 2);
    CHECK_EQ(0, read(channel[1], NULL, 0)); /* doesn't look */
    EXPECT(channel[1], 60, 0, "abc", 2);
    int witness = rights_send_witness(channel[0], "abc");
    CHECK_EQ(0, recv(channel[1], NULL, 0, 0));
    CHECK_GONE(witness);
    EXPECT(channel[1], 60, 0, "abc", 0);
    CHECK_EQ(0, message_send(channel[0], "", 0, channel, 2)); /* sent with nothing: gone */
    check_empty();
    int writer;
    witness = rights_witness(&writer);
    CHECK_EQ(0, message_send(channel[0], "", 0, &writer, 1));
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
}

static void wait_for_all(void)
{
    send_text("abc");
    send_fds("def", 1);
    send_text("ghi");
    EXPECT(channel[1], 9, MSG_WAITALL, "abcdef", 1);
    EXPECT(channel[1], 3, MSG_WAITALL, "ghi", 0);
    send_fds("abc", 1);
    EXPECT(channel[1], 60, MSG_WAITALL, "abc", 1);
    send_fds("abc", 1);
    send_text("def");
    EXPECT(channel[1], 1, MSG_WAITALL, "a", 1);
    EXPECT(channel[1], 5, MSG_WAITALL, "bcdef", 0);
}

static void *send_in_pieces(void *unused)
{
    (void)unused;
    send_text("ab");
    guest_wait_blocked(getpid(), getpid());
    send_fds("cd", 2);
    return NULL;
}

/* The message with descriptors ends the wait of a call that sleeps. */
static void wait_for_all_asleep(void)
{
    struct guest_thread thread;
    guest_thread_start(&thread, send_in_pieces, NULL);
    EXPECT(channel[1], 60, MSG_WAITALL, "abcd", 2);
    guest_thread_join(&thread);
}

/* ---- what is taken without a place for it ---- */

enum drop { BY_READ, BY_READV, BY_RECV, BY_RECVFROM, BY_RECVMSG, BY_SHORT, BY_JOINED, DROPS };

static void drop(enum drop how)
{
    char bytes[8];
    struct iovec parts[] = { { bytes, 1 }, { bytes + 1, 7 } };
    struct msghdr header = { .msg_iov = parts, .msg_iovlen = 2 };
    ssize_t count;
    switch (how) {
    case BY_READ: count = read(channel[1], bytes, 8); break;
    case BY_READV: count = readv(channel[1], parts, 2); break;
    case BY_RECV: count = recv(channel[1], bytes, 8, MSG_DONTWAIT); break;
    case BY_RECVFROM: count = recvfrom(channel[1], bytes, 8, 0, NULL, NULL); break;
    case BY_RECVMSG: count = recvmsg(channel[1], &header, 0); break;
    case BY_SHORT: count = read(channel[1], bytes, 1); break;
    default: count = recv(channel[1], bytes, 8, MSG_WAITALL); break;
    }
    CHECK_EQ(how == BY_SHORT ? 1 : how == BY_JOINED ? 5 : 3, count);
    CHECK_EQ(how == BY_RECVMSG ? MSG_CTRUNC : 0, header.msg_flags);
}

static void dropped(enum drop how)
{
    if (how == BY_JOINED) {
        send_text("12");
    }
    int witness = rights_send_witness(channel[0], "abc");
    CHECK_HELD(witness);
    send_fds("next", 1);
    drop(how);
    CHECK_GONE(witness);
    if (how == BY_SHORT) {
        EXPECT(channel[1], 60, 0, "bcnext", 1);
    } else {
        EXPECT(channel[1], 60, 0, "next", 1);
    }
}

/* A vector whose first part is bad takes nothing; a second bad part, what came before. */
static void bad_vectors(void)
{
    char byte;
    struct iovec parts[] = { { guest_bad_pointer(), 1 }, { &byte, 1 } };
    int witness = rights_send_witness(channel[0], "abc");
    CHECK_ERR(EFAULT, readv(channel[1], parts, 2));
    CHECK_HELD(witness);
    CHECK_ERR(EFAULT, recv(channel[1], guest_bad_pointer(), 8, 0));
    CHECK_HELD(witness);
    EXPECT(channel[1], 60, 0, "abc", 1);
    CHECK_GONE(witness);
}

/* ---- peeks ---- */

static void peek(void)
{
    send_text("abc");
    send_fds("def", 2);
    send_fds("ghi", 1);
    for (int i = 0; i < 3; i++) {
        EXPECT(channel[1], 60, MSG_PEEK, "abcdef", 2);
        EXPECT(channel[1], 4, MSG_PEEK, "abcd", 2);
    }
    EXPECT(channel[1], 5, 0, "abcde", 2);
    EXPECT(channel[1], 60, MSG_PEEK, "fghi", 1); /* what was taken is no border any more */
    EXPECT(channel[1], 60, 0, "fghi", 1);
    int witness = rights_send_witness(channel[0], "abc");
    CHECK_EQ(3, recv(channel[1], (char[8]){ 0 }, 8, MSG_PEEK)); /* nothing is dropped by a peek */
    CHECK_HELD(witness);
    EXPECT(channel[1], 0, MSG_PEEK, "", 1);
    CHECK_HELD(witness);
    EXPECT(channel[1], 60, 0, "abc", 1);
    CHECK_GONE(witness);
}

/* A peek whose buffer is full looks on until it meets descriptors (the loop of
 * unix_stream_read_generic() ends there or at the end of the queue, not when nothing is left). */
static void peek_looks_ahead(void)
{
    send_text("abc");
    send_fds("def", 2);
    EXPECT(channel[1], 3, MSG_PEEK, "abc", 2);
    EXPECT(channel[1], 2, MSG_PEEK, "ab", 2);
    EXPECT(channel[1], 3, 0, "abc", 0);
    EXPECT(channel[1], 60, 0, "def", 2);
    send_text("abc");
    send_text("def");
    send_fds("ghi", 1);
    send_fds("jkl", 2);
    EXPECT(channel[1], 1, MSG_PEEK, "a", 1);
    EXPECT(channel[1], 0, MSG_PEEK, "", 1);
    EXPECT(channel[1], 1, 0, "a", 0);
    EXPECT(channel[1], 60, 0, "bcdefghi", 1);
    EXPECT(channel[1], 60, 0, "jkl", 2);
}

static void set_peek_off(int value)
{
    CHECK_OK(setsockopt(channel[1], SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value));
}

static void peek_from(void)
{
    send_text("abc");
    send_fds("def", 1);
    send_fds("ghi", 2);
    send_text("jkl");
    set_peek_off(0);
    EXPECT(channel[1], 2, MSG_PEEK, "ab", 1); /* looks ahead, too */
    EXPECT(channel[1], 2, MSG_PEEK, "cd", 1);
    EXPECT(channel[1], 1, MSG_PEEK, "e", 1); /* each peek into the message has them */
    EXPECT(channel[1], 60, MSG_PEEK, "f", 1);
    EXPECT(channel[1], 60, MSG_PEEK, "ghi", 2);
    EXPECT(channel[1], 60, MSG_PEEK, "jkl", 0);
    set_peek_off(5);
    EXPECT(channel[1], 60, MSG_PEEK, "f", 1);
    set_peek_off(-1);
    EXPECT(channel[1], 60, 0, "abcdef", 1);
    EXPECT(channel[1], 60, 0, "ghi", 2);
    EXPECT(channel[1], 60, 0, "jkl", 0);
    check_empty();
}

/* ---- records ---- */

static void records(void)
{
    send_text("one");
    send_fds("two", 2);
    send_fds("three", 1);
    EXPECT(channel[1], 60, 0, "one", 0);
    EXPECT(channel[1], 60, MSG_PEEK, "two", 2);
    EXPECT(channel[1], 60, MSG_PEEK, "two", 2);
    EXPECT(channel[1], 60, 0, "two", 2);
    struct message_received received;
    message_receive(channel[1], 2, RIGHTS_ROOM(1), 0, &received);
    CHECK_TEXT("th", &received); /* cut, but not its descriptors */
    CHECK_EQ(MSG_TRUNC, received.flags);
    CHECK_EQ(1, received.fd_count);
    rights_close(&received);
    CHECK_EQ(0, message_send(channel[0], "", 0, channel, 2));
    EXPECT(channel[1], 60, MSG_PEEK, "", 2);
    EXPECT(channel[1], 60, 0, "", 2);
    int witness = rights_send_witness(channel[0], "abc");
    CHECK_EQ(0, recv(channel[1], NULL, 0, 0)); /* takes the record with all it has */
    CHECK_GONE(witness);
    witness = rights_send_witness(channel[0], "abc");
    set_peek_off(0);
    EXPECT(channel[1], 60, MSG_PEEK, "abc", 1);
    set_peek_off(-1);
    CHECK_HELD(witness);
    EXPECT(channel[1], 60, 0, "abc", 1);
    CHECK_GONE(witness);
    check_empty();
}

static void bad_vector_of_a_record(void)
{
    int witness = rights_send_witness(channel[0], "abc");
    CHECK_ERR(EFAULT, recv(channel[1], guest_bad_pointer(), 8, 0)); /* the record is gone */
    CHECK_GONE(witness);
    check_empty();
}

int main(void)
{
    guest_start();
    guest_pair(SOCK_STREAM, channel);
    joined();
    in_parts();
    no_byte();
    wait_for_all();
    wait_for_all_asleep();
    for (int how = 0; how < DROPS; how++) {
        dropped((enum drop)how);
    }
    bad_vectors();
    peek();
    peek_looks_ahead();
    peek_from();
    guest_close_both(channel);
    guest_pair(SOCK_SEQPACKET, channel);
    records();
    for (int how = 0; how < BY_SHORT; how++) {
        dropped((enum drop)how);
    }
    bad_vector_of_a_record();
    guest_close_both(channel);
    return guest_end();
}
