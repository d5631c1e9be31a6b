/*
 * Proves: which calls on a socket pair with O_ASYNC send a signal. Data: one for each skb, none for
 * an empty send on a stream, one for an empty record; none to a stream on which somebody sleeps in
 * a receive. Space: only after a send met no room and returned, once, when a quarter is free again,
 * when SO_SNDBUF grows or when the peer closes. shutdown: POLL_IN for SHUT_WR, POLL_HUP for
 * SHUT_RDWR, nothing for SHUT_RD, each time. close: POLL_HUP. The end that acts hears nothing.
 *
 * Rows: 5.4 "with F_SETSIG s", 5.4 "POLL_OUT on AF_UNIX"
 */
#include "sigio.h"

static int in, out; /* the signals of the two ends */
static char buffer[1 << 20];

static void make(int type, int fds[2])
{
    guest_pair(type, fds);
    sigio_own(fds[0], in);
    sigio_own(fds[1], out);
}

static void drain(int fd)
{
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
}

static void fill(int fd)
{
    while (send(fd, buffer, 4096, MSG_DONTWAIT) > 0) {
    }
    CHECK_EQ(EAGAIN, errno);
}

static void data(int type)
{
    int fds[2];
    bool records = type == SOCK_SEQPACKET;
    make(type, fds);
    CHECK_EQ(2, write(fds[1], "xx", 2));
    SIGIO_IN(in, fds[0]);
    CHECK_EQ(0, send(fds[1], "", 0, 0));
    CHECK_EQ(records, sigio_count(in, POLL_IN));
    CHECK_EQ(100000, write(fds[1], buffer, 100000));
    CHECK_EQ(records ? 1 : 3, sigio_count(in, POLL_IN)); /* 36544 bytes are the largest skb */
    CHECK_EQ(1, recv(fds[0], buffer, 1, MSG_PEEK));
    drain(fds[0]);
    SIGIO_NONE();
    guest_close_both(fds);
    sigio_count(out, POLL_HUP);
}

static void space(int type)
{
    int fds[2];
    int size = 1 << 20;
    make(type, fds);
    fill(fds[1]);
    CHECK(sigio_count(in, POLL_IN) > 10);
    drain(fds[0]);
    SIGIO_OUT(out, fds[1]);
    SIGIO_NONE();                  /* once */
    for (int i = 0; i < 18; i++) { /* more than a quarter, and no send fails */
        CHECK_EQ(4096, send(fds[1], buffer, 4096, MSG_DONTWAIT));
    }
    CHECK_EQ(18, sigio_count(in, POLL_IN));
    drain(fds[0]);
    SIGIO_NONE();
    fill(fds[1]);
    sigio_count(in, POLL_IN);
    drain(fds[0]);
    SIGIO_OUT(out, fds[1]);
    fill(fds[1]);
    sigio_count(in, POLL_IN);
    if (setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == 0) { /* privileged */
        SIGIO_OUT(out, fds[1]);
        drain(fds[0]);
        SIGIO_NONE();
        fill(fds[1]);
        sigio_count(in, POLL_IN);
    }
    CHECK_OK(close(fds[0])); /* with data unread: it is freed after the hang-up */
    SIGIO_HUP(out, fds[1]);
    SIGIO_OUT(out, fds[1]);
    SIGIO_NONE();
    CHECK_OK(close(fds[1]));
}

static void ends(int type)
{
    int fds[2];
    make(type, fds);
    CHECK_OK(shutdown(fds[1], SHUT_RD));
    CHECK_OK(shutdown(fds[1], SHUT_RD));
    SIGIO_NONE();
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    SIGIO_IN(in, fds[0]);
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    SIGIO_IN(in, fds[0]);
    CHECK_OK(shutdown(fds[1], SHUT_RDWR));
    SIGIO_HUP(in, fds[0]);
    CHECK_OK(shutdown(fds[0], SHUT_RD));
    SIGIO_NONE();
    CHECK_OK(shutdown(fds[0], SHUT_WR));
    SIGIO_IN(out, fds[1]);
    SIGIO_NONE();
    CHECK_OK(close(fds[1]));
    SIGIO_HUP(in, fds[0]);
    CHECK_OK(close(fds[0]));
    SIGIO_NONE();
}

static void *blocked_read(void *argument)
{
    char byte;
    CHECK_EQ(1, read(*(int *)argument, &byte, 1));
    return NULL;
}

static void *blocked_write(void *argument)
{
    CHECK_EQ(300000, write(*(int *)argument, buffer, 300000));
    return NULL;
}

static void blocked(int type)
{
    int fds[2];
    struct guest_thread thread;
    make(type, fds);
    guest_thread_start(&thread, blocked_read, &fds[0]);
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&thread);
    CHECK_EQ(type == SOCK_SEQPACKET, sigio_count(in, POLL_IN));
    CHECK_EQ(1, write(fds[1], "x", 1)); /* nobody sleeps any more */
    SIGIO_IN(in, fds[0]);
    drain(fds[0]);
    if (type == SOCK_STREAM) { /* a sender that sleeps is woken instead */
        guest_thread_start(&thread, blocked_write, &fds[1]);
        guest_thread_blocked(&thread);
        CHECK(sigio_count(in, POLL_IN) > 3);
        for (size_t got = 0; got < 300000;) {
            got += (size_t)CHECK_OK(recv(fds[0], buffer, 1000, 0));
        }
        guest_thread_join(&thread);
        siginfo_t info;
        while (sigio_take(&info) == in) {
        }
        SIGIO_NONE();
    }
    guest_close_both(fds);
    sigio_count(out, POLL_HUP);
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    sigio_start();
    in = SIGRTMIN + 1;
    out = SIGRTMIN + 2;
    for (int i = 0; i < 2; i++) {
        data(types[i]);
        space(types[i]);
        ends(types[i]);
        blocked(types[i]);
    }
    return guest_end();
}
