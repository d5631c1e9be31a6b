/*
 * Proves: recv with a count of 0 blocks on an empty stream and then takes nothing; on SEQPACKET it
 * takes a record; read with a count of 0 returns at once. A zero-length record is delivered.
 *
 * Rows: 3.4 "recv(fd,buf,0,0)", 3.4 "read(fd,buf,0)", 3.4 "recvmsg with iovlen 0",
 * 3.3 "Zero-length packets are real"
 */
#include "guest.h"

static void *receive_nothing(void *argument)
{
    char byte;
    CHECK_EQ(0, recv(*(int *)argument, &byte, 0, 0));
    return NULL;
}

static void *receive_no_vector(void *argument)
{
    struct msghdr message = { .msg_iovlen = 0 };
    CHECK_EQ(0, recvmsg(*(int *)argument, &message, 0));
    return NULL;
}

static void blocks_until_data(int type, void *(*run)(void *))
{
    int fds[2];
    char buffer[8];
    struct guest_thread thread;
    guest_pair(type, fds);
    CHECK_EQ(0, read(fds[0], buffer, 0));
    CHECK_ERR(EAGAIN, recv(fds[0], buffer, 0, MSG_DONTWAIT));
    guest_thread_start(&thread, run, &fds[0]);
    guest_thread_blocked(&thread);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    guest_thread_join(&thread);
    if (type == SOCK_STREAM) {
        CHECK_EQ(0, recv(fds[0], buffer, 0, 0));
        CHECK_EQ(3, read(fds[0], buffer, sizeof buffer));
    } else {
        CHECK_ERR(EAGAIN, recv(fds[0], buffer, sizeof buffer, MSG_DONTWAIT));
    }
    guest_close_both(fds);
}

static void ends_at_end_of_file(int type)
{
    int fds[2];
    struct guest_thread thread;
    guest_pair(type, fds);
    guest_thread_start(&thread, receive_nothing, &fds[0]);
    guest_thread_blocked(&thread);
    CHECK_OK(close(fds[1]));
    guest_thread_join(&thread);
    CHECK_OK(close(fds[0]));
}

static void *receive_empty_record(void *argument)
{
    char byte;
    CHECK_EQ(0, recv(*(int *)argument, &byte, 1, 0));
    CHECK_EQ(1, recv(*(int *)argument, &byte, 1, 0));
    return NULL;
}

static void empty_record_wakes(void)
{
    int fds[2];
    struct guest_thread thread;
    guest_pair(SOCK_SEQPACKET, fds);
    guest_thread_start(&thread, receive_empty_record, &fds[0]);
    guest_thread_blocked(&thread);
    CHECK_EQ(0, send(fds[1], "", 0, 0));
    guest_thread_blocked(&thread);
    CHECK_EQ(1, send(fds[1], "x", 1, 0));
    guest_thread_join(&thread);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    blocks_until_data(SOCK_STREAM, receive_nothing);
    blocks_until_data(SOCK_STREAM, receive_no_vector);
    blocks_until_data(SOCK_SEQPACKET, receive_nothing);
    blocks_until_data(SOCK_SEQPACKET, receive_no_vector);
    ends_at_end_of_file(SOCK_STREAM);
    ends_at_end_of_file(SOCK_SEQPACKET);
    empty_record_wakes();
    return guest_end();
}
