/*
 * Proves: opening /proc/self/fd/N (or /dev/fd/N) of a pipe makes a new description of the same
 * pipe: read, write or both, with flags of its own, counted as a reader or writer; a socket can't
 * be opened that way.
 *
 * Rows: 2.1 "Re-opening /proc/self/fd/N of a pipe works", 1.3 "open() of that link: ENXIO",
 * 2.3 "read, empty, no writers"
 */
#include "guest.h"

static int reopen(int fd, int flags)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, flags);
}

static void a_new_description(void)
{
    int fds[2];
    char copied[8];
    guest_pipe(fds);
    CHECK_EQ(4, write(fds[1], "data", 4)); /* unread when the pipe is opened again */
    int reader = (int)CHECK_OK(reopen(fds[0], O_RDONLY | O_NONBLOCK));
    CHECK_EQ(O_RDONLY, fcntl(fds[0], F_GETFL));
    CHECK_EQ(O_NONBLOCK, fcntl(reader, F_GETFL) & O_NONBLOCK);
    CHECK_EQ(2, read(reader, copied, 2));
    CHECK_EQ(2, read(fds[0], copied, 2));
    CHECK_MEM("ta", copied, 2);
    CHECK_ERR(EAGAIN, read(reader, copied, 1));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(reader, copied, 1));
    CHECK_OK(close(reader));
    guest_close_both(fds);
}

static void counts_as_reader_and_writer(void)
{
    int fds[2];
    char byte;
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    guest_pipe(fds);
    int writer = (int)CHECK_OK(reopen(fds[0], O_WRONLY)); /* from the read end's link */
    int reader = (int)CHECK_OK(reopen(fds[1], O_RDONLY));
    CHECK_OK(close(fds[1]));
    guest_set_nonblock(fds[0], true);
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1)); /* there is a writer still */
    CHECK_EQ(2, write(writer, "xy", 2));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(1, write(writer, "z", 1)); /* and a reader */
    CHECK_EQ(1, read(reader, &byte, 1));
    CHECK_EQ('y', byte);
    CHECK_OK(close(reader));
    CHECK_ERR(EPIPE, write(writer, "x", 1));
    CHECK_OK(close(writer));
}

static void both_directions(void)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    int both = (int)CHECK_OK(reopen(fds[0], O_RDWR));
    CHECK_EQ(O_RDWR, fcntl(both, F_GETFL) & O_ACCMODE);
    CHECK_EQ(1, write(both, "a", 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(1, write(fds[1], "b", 1));
    CHECK_EQ(1, read(both, &byte, 1));
    CHECK_EQ('b', byte);
    guest_close_both(fds);
    guest_set_nonblock(both, true);
    CHECK_ERR(EAGAIN, read(both, &byte, 1)); /* its own writer */
    CHECK_EQ(1, write(both, "c", 1));
    CHECK_EQ(1, read(both, &byte, 1));
    CHECK_OK(close(both));
}

static void by_a_child(void)
{
    int fds[2];
    char command[64], text[16];
    guest_pipe(fds);
    snprintf(command, sizeof command, "echo named > /dev/fd/%d", fds[1]);
    CHECK_EQ(0, system(command));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(6, guest_read_all(fds[0], text, sizeof text));
    CHECK_MEM("named\n", text, 6);
    CHECK_OK(close(fds[0]));
}

static void sockets_cannot(void)
{
    int fds[2];
    guest_pair(SOCK_STREAM, fds);
    CHECK_ERR(ENXIO, reopen(fds[0], O_RDWR));
    CHECK_EQ(1, write(fds[0], "x", 1));
    CHECK_EQ(1, read(fds[1], &(char){ 0 }, 1));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    a_new_description();
    counts_as_reader_and_writer();
    both_directions();
    by_a_child();
    sockets_cannot();
    return guest_end();
}
