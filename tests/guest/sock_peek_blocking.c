/*
 * Proves: a blocking MSG_PEEK waits for data and leaves it; several tasks that peek are all woken
 * by one send; the reader after them gets the bytes; end-of-file is peeked, too.
 *
 * Rows: 3.4 "MSG_PEEK", 3.4 "data queued"
 */
#include "guest.h"

enum { PEEKERS = 3 };

static void *peek_abc(void *argument)
{
    char buffer[8];
    CHECK_EQ(3, recv(*(int *)argument, buffer, sizeof buffer, MSG_PEEK));
    CHECK_MEM("abc", buffer, 3);
    return NULL;
}

static void all_peekers_wake(int type)
{
    int fds[2];
    char buffer[8];
    struct guest_thread peekers[PEEKERS];
    guest_pair(type, fds);
    int count = type == SOCK_STREAM ? PEEKERS : 1;
    for (int i = 0; i < count; i++) {
        guest_thread_start(&peekers[i], peek_abc, &fds[0]);
        guest_thread_blocked(&peekers[i]);
    }
    CHECK_EQ(3, write(fds[1], "abc", 3));
    for (int i = 0; i < count; i++) {
        guest_thread_join(&peekers[i]);
    }
    peek_abc(&fds[0]);
    CHECK_EQ(2, recv(fds[0], buffer, 2, MSG_PEEK));
    CHECK_EQ(3, read(fds[0], buffer, sizeof buffer));
    CHECK_ERR(EAGAIN, recv(fds[0], buffer, 1, MSG_PEEK | MSG_DONTWAIT));
    guest_close_both(fds);
}

static void *peek_end(void *argument)
{
    char byte;
    CHECK_EQ(0, recv(*(int *)argument, &byte, 1, MSG_PEEK));
    CHECK_EQ(0, recv(*(int *)argument, &byte, 1, MSG_PEEK));
    return NULL;
}

static void end_of_file(int type)
{
    int fds[2];
    struct guest_thread peeker;
    guest_pair(type, fds);
    guest_thread_start(&peeker, peek_end, &fds[0]);
    guest_thread_blocked(&peeker);
    CHECK_OK(close(fds[1]));
    guest_thread_join(&peeker);
    CHECK_OK(close(fds[0]));
}

static void joins_across_sends(void)
{
    int fds[2];
    char buffer[8];
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(2, write(fds[1], "ab", 2));
    CHECK_EQ(2, write(fds[1], "cd", 2));
    CHECK_EQ(4, recv(fds[0], buffer, sizeof buffer, MSG_PEEK));
    CHECK_MEM("abcd", buffer, 4);
    CHECK_EQ(1, read(fds[0], buffer, 1));
    CHECK_EQ(3, recv(fds[0], buffer, sizeof buffer, MSG_PEEK));
    CHECK_MEM("bcd", buffer, 3);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    all_peekers_wake(SOCK_STREAM);
    all_peekers_wake(SOCK_SEQPACKET);
    end_of_file(SOCK_STREAM);
    end_of_file(SOCK_SEQPACKET);
    joins_across_sends();
    return guest_end();
}
