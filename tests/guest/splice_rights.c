/*
 * Proves: a splice that takes the first byte of a message with descriptors closes these at once,
 * also when it leaves the rest of the message; it joins what is before them, and stops behind them.
 * One that takes nothing, since there is no room, leaves them to the next receive. The same for a
 * record, which is taken as by read(2).
 *
 * Rows: 2.7 "socket -> pipe, nothing to read", 3.9 "read()/recv() or msg_control NULL"
 */
#include "rights.h"

static int channel[2], tube[2];
static char text[100];

static void make(int type)
{
    guest_pair(type, channel);
    guest_set_nonblock(channel[1], true); /* SPLICE_F_NONBLOCK is the pipe's, for records */
    guest_pipe(tube);
}

static void unmake(void)
{
    guest_close_both(channel);
    guest_close_both(tube);
}

static void send_text(const char *bytes)
{
    CHECK_EQ(strlen(bytes), write(channel[0], bytes, strlen(bytes)));
}

static void check_splice(size_t size, const char *expected)
{
    CHECK_EQ(strlen(expected), splice(channel[1], NULL, tube[1], NULL, size, SPLICE_F_NONBLOCK));
    CHECK_EQ(strlen(expected), read(tube[0], text, sizeof text));
    CHECK_MEM(expected, text, strlen(expected));
}

static void check_empty(void)
{
    CHECK_ERR(EAGAIN, splice(channel[1], NULL, tube[1], NULL, 100, SPLICE_F_NONBLOCK));
}

static void a_message(int type)
{
    make(type);
    int witness = rights_send_witness(channel[0], "abc");
    CHECK_HELD(witness);
    check_splice(100, "abc");
    CHECK_GONE(witness);
    check_empty();
    unmake();
}

static void in_the_stream(void)
{
    make(SOCK_STREAM);
    send_text("ab");
    int first = rights_send_witness(channel[0], "cd");
    send_text("ef");
    int second = rights_send_witness(channel[0], "gh");
    check_splice(100, "abcd");
    CHECK_GONE(first);
    CHECK_HELD(second);
    check_splice(100, "efgh");
    CHECK_GONE(second);
    check_empty();
    unmake();
}

/* What is left of the message is received without descriptors. */
static void in_part(void)
{
    struct message_received got;
    make(SOCK_STREAM);
    send_text("ab");
    int witness = rights_send_witness(channel[0], "cdefgh");
    check_splice(2, "ab");
    CHECK_HELD(witness);
    check_splice(1, "c");
    CHECK_GONE(witness);
    check_splice(2, "de");
    message_receive(channel[1], sizeof got.data, RIGHTS_ROOM(1), 0, &got);
    CHECK_EQ(3, got.size);
    CHECK_EQ(0, got.fd_count);
    CHECK_EQ(0, got.flags);
    unmake();
}

/* A full pipe takes nothing; then the descriptors come to who asks for them. */
static void no_room(int type)
{
    struct message_received got;
    make(type);
    guest_set_nonblock(tube[1], true);
    guest_pipe_fill(tube[1]);
    int witness = rights_send_witness(channel[0], "abc");
    check_empty();
    CHECK_HELD(witness);
    message_receive(channel[1], sizeof got.data, RIGHTS_ROOM(1), 0, &got);
    CHECK_EQ(3, got.size);
    CHECK_EQ(1, got.fd_count);
    CHECK_HELD(witness);
    CHECK_OK(close(got.fds[0]));
    CHECK_GONE(witness);
    unmake();
}

/* A record that is cut loses its rest and its descriptors. */
static void a_cut_record(void)
{
    make(SOCK_SEQPACKET);
    int witness = rights_send_witness(channel[0], "abcdef");
    check_splice(2, "ab");
    CHECK_GONE(witness);
    check_empty();
    unmake();
}

int main(void)
{
    guest_start();
    a_message(SOCK_STREAM);
    a_message(SOCK_SEQPACKET);
    in_the_stream();
    in_part();
    a_cut_record();
    no_room(SOCK_STREAM);
    no_room(SOCK_SEQPACKET);
    return guest_end();
}
