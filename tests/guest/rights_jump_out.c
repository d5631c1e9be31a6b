/*
 * Proves: a handler that leaves a send of descriptors by siglongjmp takes nothing back that has
 * gone: with a part of the message they arrive, once; and before any part of it they are let go.
 *
 * Rows: 3.9 "long stream send split in chunks"
 */
#include <setjmp.h>

#include "rights.h"

enum { BIG = 400000, PIECE = 1000 };

static int channel[2];
static char big[BIG];
static sigjmp_buf place;

static void jump(int number)
{
    (void)number;
    siglongjmp(place, 1);
}

/* In a thread, since who sleeps can't say so. */
static void *interrupt(void *argument)
{
    guest_wait_blocked(getpid(), *(pid_t *)argument);
    CHECK_OK(syscall(SYS_tgkill, getpid(), *(pid_t *)argument, SIGUSR1));
    return NULL;
}

static void leave_a_send(int witness_writer, size_t size)
{
    struct rights_message message = { .size = 0 };
    static pid_t self;
    pthread_t thread;
    self = (pid_t)syscall(SYS_gettid);
    rights_add_fds(&message, &witness_writer, 1);
    if (sigsetjmp(place, 1) == 0) {
        CHECK_EQ(0, pthread_create(&thread, NULL, interrupt, &self));
        rights_send(channel[0], big, size, &message, 0);
        CHECK(!"the send came back");
    }
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_OK(close(witness_writer));
}

static void drain(size_t size)
{
    for (size_t have = 0; have < size;) {
        have += (size_t)CHECK_OK(recv(channel[1], big, BIG, 0));
    }
}

/* It sleeps behind the first chunk. */
static void a_part_has_gone(void)
{
    struct message_received received;
    int writer, witness;
    guest_pair(SOCK_STREAM, channel);
    witness = rights_witness(&writer);
    leave_a_send(writer, BIG);
    CHECK_HELD(witness);
    int other_writer, other = rights_witness(&other_writer); /* something new in flight */
    int copies[2];
    guest_pair(SOCK_STREAM, copies);
    CHECK_EQ(1, message_send(copies[0], "n", 1, &other_writer, 1));
    CHECK_OK(close(other_writer));
    message_receive(channel[1], 1, RIGHTS_ROOM(1), 0, &received);
    CHECK_EQ(1, received.fd_count);
    CHECK_EQ(1, write(received.fds[0], "x", 1));
    CHECK_EQ(1, read(witness, (char[1]){ 0 }, 1));
    rights_close(&received);
    CHECK_GONE(witness);
    CHECK_HELD(other);
    guest_close_both(copies);
    CHECK_GONE(other);
    guest_close_both(channel);
}

static void nothing_has_gone(int type)
{
    int writer, witness;
    guest_pair(type, channel);
    witness = rights_witness(&writer);
    int before = guest_socket_fill(channel[0], PIECE);
    leave_a_send(writer, PIECE);
    CHECK_EQ(1, recv(channel[1], big, 1, MSG_PEEK)); /* a call clears up what the jump has left */
    CHECK_GONE(witness);
    drain((size_t)(type == SOCK_STREAM ? before * PIECE : PIECE));
    guest_close_both(channel);
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGUSR1, jump, 0);
    a_part_has_gone();
    nothing_has_gone(SOCK_STREAM);
    nothing_has_gone(SOCK_SEQPACKET);
    return guest_end();
}
