/*
 * Proves: what one call sends over a stream or a pipe arrives in pieces when it is more than there
 * is room for: a reader that asks for all of it gets the first piece, while the sender still waits.
 * A read that finds something doesn't wait for the rest, and takes all that is there.
 */
#include "guest.h"

enum { SIZE = 1000000 };

static char sent[SIZE], received[SIZE];

struct sender {
    struct guest_thread thread;
    int fd;
    ssize_t result;
};

static void *send_all(void *argument)
{
    struct sender *sender = argument;

    sender->result = write(sender->fd, sent, SIZE);
    return NULL;
}

static void arrives_in_pieces(const int fds[2])
{
    struct sender sender = { .fd = fds[1] };
    size_t have = 0;
    int pieces = 0;

    guest_thread_start(&sender.thread, send_all, &sender);
    guest_thread_blocked(&sender.thread);
    while (have < SIZE) {
        ssize_t count = CHECK_OK(read(fds[0], received + have, SIZE - have));
        CHECK(count > 0);
        have += (size_t)count;
        pieces++;
    }
    guest_thread_join(&sender.thread);
    CHECK_EQ(SIZE, sender.result);
    CHECK(pieces > 1);
    CHECK_MEM(sent, received, SIZE);
    guest_close_both(fds);
}

/* Two sends, and one receive of both: arrival in pieces is never a read that leaves something. */
static void takes_all_that_is_there(const int fds[2])
{
    CHECK_EQ(100, write(fds[1], sent, 100));
    CHECK_EQ(3000, write(fds[1], sent + 100, 3000));
    CHECK_EQ(3100, read(fds[0], received, SIZE));
    CHECK_MEM(sent, received, 3100);
    guest_close_both(fds);
}

int main(void)
{
    int fds[2];

    guest_start();
    guest_pattern_fill(sent, SIZE, 0);
    guest_pipe(fds);
    arrives_in_pieces(fds);
    guest_pair(SOCK_STREAM, fds);
    arrives_in_pieces(fds);
    guest_pipe(fds);
    takes_all_that_is_there(fds);
    guest_pair(SOCK_STREAM, fds);
    takes_all_that_is_there(fds);
    return guest_end();
}
