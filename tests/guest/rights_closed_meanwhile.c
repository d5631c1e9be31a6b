/*
 * Proves: a call that sleeps with descriptors to send, or to receive some, goes on with its socket
 * when another thread closes the number or puts something else there: what was to be sent arrives,
 * what comes is received, and then the socket ends. The same of the numbers that are sent.
 *
 * Rows: 3.5 "Closing an fd while another thread is blocked in read() on it", 3.9 "long stream send
 * split in chunks"
 */
#include "rights.h"

enum { BIG = 400000, PIECE = 1000 };
enum meanwhile { CLOSED, IS_A_PIPE_NOW, IS_A_SOCKET_NOW, HAS_A_COPY, WAYS };

static int channel[2];
static char big[BIG];

/* What happens to the number of a sleeper. Returns what is open instead, or -1. */
static int happen(enum meanwhile what, int fd)
{
    int fds[2], copy;
    switch (what) {
    case CLOSED: CHECK_OK(close(fd)); return -1;
    case IS_A_PIPE_NOW: guest_pipe(fds); break;
    case IS_A_SOCKET_NOW: guest_pair(SOCK_STREAM, fds); break;
    default:
        copy = (int)CHECK_OK(dup(fd));
        CHECK_OK(close(fd));
        return copy;
    }
    CHECK_EQ(fd, dup2(fds[0], fd));
    guest_close_both(fds);
    return fd;
}

/* ---- senders ---- */

struct sender {
    struct guest_thread thread;
    size_t size;
    int passed[2];
};

static void *send_asleep(void *argument)
{
    struct sender *sender = argument;
    struct rights_message message = { .size = 0 };
    rights_add_fds(&message, sender->passed, 2);
    CHECK_EQ(sender->size, rights_send(channel[0], big, sender->size, &message, 0));
    return NULL;
}

/* no_room: it sleeps before its first chunk; else behind it. */
static void sender_asleep(int type, enum meanwhile what, bool no_room)
{
    struct sender sender = { .size = no_room ? PIECE : BIG };
    struct message_received received;
    int witnesses[2];
    guest_pair(type, channel);
    for (int i = 0; i < 2; i++) {
        witnesses[i] = rights_witness(&sender.passed[i]);
    }
    int before = no_room ? guest_socket_fill(channel[0], PIECE) : 0;
    guest_thread_start(&sender.thread, send_asleep, &sender);
    guest_thread_blocked(&sender.thread);
    int left = happen(what, channel[0]);
    for (int i = 0; i < before; i++) {
        CHECK_EQ(PIECE, recv(channel[1], big, PIECE, 0));
    }
    message_receive(channel[1], 1, RIGHTS_ROOM(2), 0, &received);
    CHECK_EQ(2, received.fd_count);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(1, write(received.fds[i], "x", 1));
        CHECK_EQ(1, read(witnesses[i], (char[1]){ 0 }, 1));
    }
    rights_close(&received);
    for (size_t have = 1; type == SOCK_STREAM && have < sender.size;) {
        have += (size_t)CHECK_OK(recv(channel[1], big, sender.size - have, 0));
    }
    guest_thread_join(&sender.thread);
    guest_close_both(sender.passed);
    if (left >= 0) {
        CHECK_OK(close(left));
    }
    CHECK_EQ(0, read(channel[1], big, 1)); /* nothing holds it any more */
    CHECK_OK(close(channel[1]));
    CHECK_GONE(witnesses[0]);
    CHECK_GONE(witnesses[1]);
}

/* The numbers of what it passes are closed, or stand for something else: they were taken before. */
static void passed_is_closed(int type, enum meanwhile what)
{
    struct sender sender = { .size = PIECE };
    struct message_received received;
    int witnesses[2], left[2];
    guest_pair(type, channel);
    for (int i = 0; i < 2; i++) {
        witnesses[i] = rights_witness(&sender.passed[i]);
    }
    int before = guest_socket_fill(channel[0], PIECE);
    guest_thread_start(&sender.thread, send_asleep, &sender);
    guest_thread_blocked(&sender.thread);
    for (int i = 0; i < 2; i++) {
        left[i] = happen(what, sender.passed[i]);
        CHECK_HELD(witnesses[i]);
    }
    for (int i = 0; i < before; i++) {
        CHECK_EQ(PIECE, recv(channel[1], big, PIECE, 0));
    }
    guest_thread_join(&sender.thread);
    for (int i = 0; i < 2; i++) {
        if (left[i] >= 0) {
            CHECK_OK(close(left[i]));
        }
    }
    message_receive(channel[1], 1, RIGHTS_ROOM(2), 0, &received);
    CHECK_EQ(2, received.fd_count);
    for (int i = 0; i < 2; i++) {
        CHECK_HELD(witnesses[i]);
        CHECK_EQ(1, write(received.fds[i], "x", 1));
        CHECK_EQ(1, read(witnesses[i], (char[1]){ 0 }, 1));
    }
    rights_close(&received);
    CHECK_GONE(witnesses[0]);
    CHECK_GONE(witnesses[1]);
    guest_close_both(channel);
}

/* ---- receivers ---- */

static struct message_received came;

static void *receive_asleep(void *argument)
{
    rights_expect(__FILE__, __LINE__, *(int *)argument, 8, 0, "m", 1, &came);
    return NULL;
}

static void receiver_asleep(int type, enum meanwhile what)
{
    struct guest_thread thread;
    guest_pair(type, channel);
    int number = channel[1];
    guest_thread_start(&thread, receive_asleep, &number);
    guest_thread_blocked(&thread);
    int left = happen(what, number);
    CHECK_EQ(POLLOUT, guest_poll(channel[0], POLLIN | POLLOUT | POLLRDHUP, 0));
    int witness = rights_send_witness(channel[0], "m");
    guest_thread_join(&thread);
    CHECK_HELD(witness);
    CHECK_EQ(1, write(came.fds[0], "x", 1));
    CHECK_EQ(1, read(witness, (char[1]){ 0 }, 1));
    rights_close(&came);
    CHECK_GONE(witness);
    if (what == HAS_A_COPY) {
        CHECK_EQ(1, write(channel[0], "y", 1));
        CHECK_EQ(1, read(left, (char[1]){ 0 }, 1));
    }
    if (left >= 0) {
        CHECK_OK(close(left));
    }
    CHECK_ERR(EPIPE, message_send(channel[0], "m", 1, channel, 1));
    CHECK_OK(close(channel[0]));
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        for (int what = 0; what < WAYS; what++) {
            sender_asleep(rights_types[i], (enum meanwhile)what, true);
            if (rights_types[i] == SOCK_STREAM) {
                sender_asleep(rights_types[i], (enum meanwhile)what, false);
            }
            passed_is_closed(rights_types[i], (enum meanwhile)what);
            receiver_asleep(rights_types[i], (enum meanwhile)what);
        }
    }
    return guest_end();
}
