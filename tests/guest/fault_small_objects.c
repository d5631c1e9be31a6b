/*
 * Proves: how small Linux itself makes things: a pipe of one page, a socket that sends 4608 bytes
 * of charge at most, a listener that lets one wait. A program that counts on the usual sizes meets
 * these where a user has many pipes (pipe(7), pipe-user-pages-soft) or an administrator saves.
 */
#include "guest.h"

static char data[GUEST_PIPE_SIZE];

static void pipe_of_a_page(void)
{
    int fds[2];

    guest_pipe(fds);
    CHECK_EQ(GUEST_PAGE, fcntl(fds[1], F_SETPIPE_SZ, 1));
    guest_set_nonblock(fds[1], true);
    CHECK_EQ(GUEST_PAGE, write(fds[1], data, sizeof data));
    CHECK_ERR(EAGAIN, write(fds[1], data, 1));
    guest_close_both(fds);
}

static void smallest_socket(int type)
{
    int fds[2], size = 1;
    socklen_t length = sizeof size;
    ssize_t sent;

    guest_pair(type, fds);
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, length));
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, &length));
    CHECK_EQ(4608, size);
    guest_set_nonblock(fds[0], true);
    if (type == SOCK_STREAM) {
        sent = CHECK_OK(write(fds[0], data, sizeof data));
        CHECK(sent > 0 && sent < 2 * 4608);
    } else {
        CHECK_ERR(EMSGSIZE, write(fds[0], data, 4608));
        CHECK_EQ(1000, write(fds[0], data, 1000));
    }
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    pipe_of_a_page();
    smallest_socket(SOCK_STREAM);
    smallest_socket(SOCK_SEQPACKET);
    return guest_end();
}
