/*
 * Proves: an end of AF_UNIX has one queue of sleepers. A sender that sleeps for room, with some of
 * it free and less than it waits for, goes on when data come the other way, or when the other end
 * is shut down for writing. A receive whose number was closed meanwhile is EBADF when a handler
 * with SA_RESTART makes it anew; without a handler it goes on.
 *
 * Rows: 3.7 "POLLOUT and the wake-up of blocked writers"
 */
#include "guest.h"

#include <signal.h>

enum { PACKET = 4096 };

static void *write_packet(void *argument)
{
    static char packet[PACKET];

    CHECK_EQ(PACKET, write(*(int *)argument, packet, PACKET));
    return NULL;
}

static void by_data(const int fds[2])
{
    char byte;

    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
}

static void by_shutdown(const int fds[2])
{
    CHECK_OK(shutdown(fds[1], SHUT_WR));
}

static void sender_goes_on(int type, void (*prod)(const int fds[2]))
{
    int fds[2], queued;
    char buffer[PACKET];
    struct guest_thread writer;

    guest_pair(type, fds);
    queued = guest_socket_fill(fds[0], PACKET);
    guest_thread_start(&writer, write_packet, &fds[0]);
    guest_thread_blocked(&writer);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(PACKET, read(fds[1], buffer, PACKET));
    }
    guest_thread_blocked(&writer);
    prod(fds);
    guest_thread_join(&writer);
    for (int i = 0; i < queued - 1; i++) {
        CHECK_EQ(PACKET, read(fds[1], buffer, PACKET));
    }
    CHECK_ERR(EAGAIN, recv(fds[1], buffer, PACKET, MSG_DONTWAIT));
    guest_close_both(fds);
}

static void on_signal(int number)
{
    (void)number;
}

static void *read_closed(void *argument)
{
    char byte;

    CHECK_ERR(EBADF, read(*(int *)argument, &byte, 1));
    return NULL;
}

static void *read_on(void *argument)
{
    char byte;

    CHECK_EQ(1, read(*(int *)argument, &byte, 1));
    return NULL;
}

static void restart_looks_again(void)
{
    const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    int fds[2];
    struct guest_thread reader;

    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    guest_pair(SOCK_STREAM, fds);
    guest_thread_start(&reader, read_closed, &fds[1]);
    guest_thread_blocked(&reader);
    CHECK_OK(close(fds[1]));
    guest_thread_blocked(&reader);
    CHECK_EQ(0, pthread_kill(reader.pthread, SIGUSR1));
    guest_thread_join(&reader);
    CHECK_OK(close(fds[0]));

    guest_pair(SOCK_STREAM, fds);
    guest_thread_start(&reader, read_on, &fds[1]);
    guest_thread_blocked(&reader);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(1, write(fds[0], "x", 1));
    guest_thread_join(&reader);
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    sender_goes_on(SOCK_STREAM, by_data);
    sender_goes_on(SOCK_STREAM, by_shutdown);
    sender_goes_on(SOCK_SEQPACKET, by_data);
    sender_goes_on(SOCK_SEQPACKET, by_shutdown);
    restart_looks_again();
    return guest_end();
}
