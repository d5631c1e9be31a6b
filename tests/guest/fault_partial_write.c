/*
 * Proves: a nonblocking write that finds less room than it has bytes moves what fits and says so,
 * on a pipe and a stream; what is at most PIPE_BUF, and a record, goes whole or not at all. Nothing
 * is lost or doubled when the rest is sent.
 */
#include "guest.h"

enum { SIZE = 1000000 };

static char sent[SIZE], received[SIZE];

/* Sends all of it, reading in between; returns how many writes were partial. */
static int send_all(int from, int to)
{
    size_t done = 0, have = 0;
    int partial = 0;

    while (have < SIZE) {
        ssize_t count = done < SIZE ? write(from, sent + done, SIZE - done) : -1;
        if (count > 0) {
            partial += done + (size_t)count < SIZE;
            done += (size_t)count;
        } else if (done < SIZE) {
            CHECK_EQ(EAGAIN, errno);
        }
        count = read(to, received + have, 30000);
        if (count > 0) {
            have += (size_t)count;
        } else {
            CHECK_EQ(EAGAIN, errno);
        }
    }
    CHECK_EQ(SIZE, done);
    CHECK_MEM(sent, received, SIZE);
    return partial;
}

static void a_flow(const int fds[2])
{
    guest_set_nonblock(fds[0], true);
    guest_set_nonblock(fds[1], true);
    CHECK(send_all(fds[1], fds[0]) > 3);
    guest_close_both(fds);
}

/* A page of room: more than a page is cut there, a page at most waits for the next. */
static void nearly_full_pipe(void)
{
    int fds[2];

    guest_pipe(fds);
    int capacity = (int)CHECK_OK(fcntl(fds[1], F_GETPIPE_SZ));
    guest_set_nonblock(fds[1], true);
    for (int used = 0; used < capacity - GUEST_PAGE; used += GUEST_PAGE) {
        CHECK_EQ(GUEST_PAGE, write(fds[1], sent, GUEST_PAGE));
    }
    CHECK_EQ(GUEST_PAGE, write(fds[1], sent, GUEST_PAGE + 1));
    CHECK_ERR(EAGAIN, write(fds[1], sent, GUEST_PAGE));
    CHECK_ERR(EAGAIN, write(fds[1], sent, 1));
    CHECK_EQ(GUEST_PAGE, read(fds[0], received, GUEST_PAGE));
    CHECK_EQ(GUEST_PAGE, write(fds[1], sent, GUEST_PAGE));
    guest_close_both(fds);
}

static void records_stay_whole(void)
{
    int fds[2], count = 0;

    guest_pair(SOCK_SEQPACKET, fds);
    guest_set_nonblock(fds[1], true);
    while (write(fds[1], sent, 5000) == 5000) {
        count++;
    }
    CHECK_EQ(EAGAIN, errno);
    CHECK(count > 0);
    while (count-- > 0) {
        CHECK_EQ(5000, recv(fds[0], received, SIZE, MSG_DONTWAIT));
    }
    CHECK_ERR(EAGAIN, recv(fds[0], received, SIZE, MSG_DONTWAIT));
    guest_close_both(fds);
}

int main(void)
{
    int fds[2];

    guest_start();
    guest_pattern_fill(sent, SIZE, 0);
    guest_pipe(fds);
    a_flow(fds);
    guest_pair(SOCK_STREAM, fds);
    a_flow(fds);
    nearly_full_pipe();
    records_stay_whole();
    return guest_end();
}
