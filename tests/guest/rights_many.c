/*
 * Proves: 253 descriptors in one message, of every mixture of pipe ends, sockets, listeners, files
 * and other things, arrive in their order and each is what was sent, in a child that had none of
 * them; a thousand messages of them leave nothing behind; the same descriptor many times in one
 * message is as many numbers of one description.
 *
 * Rows: 3.9 "SCM_RIGHTS: bad/closed fd EBADF; >253 in one message EINVAL", 3.9 "received fd: same
 * open file description"
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "rights.h"
#include "unix_names.h"

enum { ROUNDS = 1000, LOW = 400 };

static struct unix_name names[RIGHTS_MAX];

/* Number i of the mixture; *ret_other: what the maker keeps, or -1. */
static int make(int i, int type, int *ret_other)
{
    int fds[2];
    *ret_other = -1;
    switch (i % 7) {
    case 0: /* a pipe's reading end with its number in it */
        guest_pipe(fds);
        CHECK_EQ(sizeof i, write(fds[1], &i, sizeof i));
        *ret_other = fds[1];
        return fds[0];
    case 1: /* a writing end */
        guest_pipe(fds);
        *ret_other = fds[0];
        return fds[1];
    case 2: /* a socket with its number in it */
        guest_pair(type, fds);
        CHECK_EQ(sizeof i, write(fds[1], &i, sizeof i));
        *ret_other = fds[1];
        return fds[0];
    case 3: return unix_any_listener(type, 4, &names[i]);
    case 4:
        fds[0] = (int)CHECK_OK(memfd_create("many", 0));
        CHECK_EQ(sizeof i, pwrite(fds[0], &i, sizeof i, 0));
        return fds[0];
    case 5: return (int)CHECK_OK(eventfd((unsigned)i + 1, 0));
    default: return unix_socket(type);
    }
}

/* Was fresh: has no name yet. */
static int listen_anywhere(int fd)
{
    const struct unix_name any = unix_unnamed();
    CHECK_OWN_NAME(any, fd);
    CHECK_OK(unix_bind(fd, &any));
    return listen(fd, 1);
}

/* By who received it: says number i in its own way. */
static void use(int i, int type, int fd)
{
    int number = i;
    uint64_t value;
    switch (i % 7) {
    case 0:
    case 2:
        number = -1;
        CHECK_EQ(sizeof number, read(fd, &number, sizeof number));
        CHECK_EQ(i, number);
        break;
    case 1: CHECK_EQ(sizeof number, write(fd, &number, sizeof number)); break;
    case 3:
        number = unix_client(type, &names[i]);
        unix_finish(number, unix_accept(fd));
        break;
    case 4:
        number = -1;
        CHECK_EQ(sizeof number, pread(fd, &number, sizeof number, 0));
        CHECK_EQ(i, number);
        break;
    case 5:
        CHECK_EQ(sizeof value, read(fd, &value, sizeof value));
        CHECK_EQ(i + 1, value);
        break;
    default:
        CHECK_EQ(POLLOUT | POLLHUP, guest_poll(fd, POLLIN | POLLOUT, 0));
        CHECK_OK(listen_anywhere(fd));
        break;
    }
}

static void check_made(int i, int other)
{
    int number = -1;
    if (i % 7 == 1) {
        CHECK_EQ(sizeof number, read(other, &number, sizeof number));
        CHECK_EQ(i, number);
        CHECK_EQ(0, read(other, &number, sizeof number));
    } else if (i % 7 == 2) {
        CHECK_EQ(0, read(other, &number, sizeof number));
    }
    if (other >= 0) {
        CHECK_OK(close(other));
    }
}

/* The listeners' names go ahead, in the order of their numbers. */
static void send_names(int fd)
{
    for (int i = 3; i < RIGHTS_MAX; i += 7) {
        guest_write_all(fd, &names[i], sizeof names[i]);
    }
}

static void take_names(int fd)
{
    for (int i = 3; i < RIGHTS_MAX; i += 7) {
        CHECK_EQ(sizeof names[i], guest_read_all(fd, &names[i], sizeof names[i]));
    }
}

static void receive_all(int channel, int count, struct message_received *ret_received)
{
    message_receive(channel, 8, RIGHTS_ROOM(RIGHTS_MAX), 0, ret_received);
    CHECK_EQ(count, ret_received->fd_count);
    CHECK_EQ(0, ret_received->flags);
    CHECK_EQ(RIGHTS_ROOM((size_t)count), ret_received->control_size);
}

static void mixture(int type)
{
    static struct message_received received;
    int channel[2], told[2], fds[RIGHTS_MAX], others[RIGHTS_MAX];
    guest_pair(type, channel);
    guest_pipe(told);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(told[1]));
        take_names(told[0]);
        receive_all(channel[1], RIGHTS_MAX, &received);
        for (int i = RIGHTS_MAX - 1; i >= 0; i--) {
            use(i, type, received.fds[i]);
            CHECK_OK(close(received.fds[i]));
        }
        _exit(0);
    }
    for (int i = 0; i < RIGHTS_MAX; i++) {
        fds[i] = make(i, type, &others[i]);
    }
    send_names(told[1]);
    CHECK_EQ(1, message_send(channel[0], "m", 1, fds, RIGHTS_MAX));
    for (int i = 0; i < RIGHTS_MAX; i++) {
        CHECK_OK(close(fds[i]));
    }
    guest_wait_exit(pid, 0);
    for (int i = 0; i < RIGHTS_MAX; i++) {
        check_made(i, others[i]);
    }
    guest_close_both(told);
    guest_close_both(channel);
}

static void one_many_times(int type)
{
    static struct message_received received;
    int channel[2], fds[RIGHTS_MAX], writer, witness = rights_witness(&writer);
    guest_pair(type, channel);
    for (int i = 0; i < RIGHTS_MAX; i++) {
        fds[i] = writer;
    }
    CHECK_EQ(1, message_send(channel[0], "m", 1, fds, RIGHTS_MAX));
    CHECK_OK(close(writer));
    receive_all(channel[1], RIGHTS_MAX, &received);
    guest_set_nonblock(received.fds[0], true);
    for (int i = 0; i < RIGHTS_MAX; i++) {
        CHECK_EQ(O_WRONLY | O_NONBLOCK, fcntl(received.fds[i], F_GETFL));
        CHECK_EQ(1, write(received.fds[i], "x", 1));
        CHECK_EQ(1, read(witness, &(char){ 0 }, 1));
    }
    for (int i = 0; i < RIGHTS_MAX; i++) {
        CHECK_HELD(witness);
        CHECK_OK(close(received.fds[i]));
    }
    CHECK_GONE(witness);
    guest_close_both(channel);
}

/* The same numbers again and again: what is left behind would show soon. */
static void many_messages(int type)
{
    int channel[2], fds[4];
    struct message_received received;
    guest_pair(type, channel);
    guest_pipe(fds);
    guest_pair(type, fds + 2);
    for (int i = 0; i < ROUNDS; i++) {
        int count = i % 4 + 1;
        CHECK_EQ(4, message_send(channel[i % 2], "many", 4, fds, count));
        rights_expect(__FILE__, __LINE__, channel[1 - i % 2], 8, 0, "many", count, &received);
        CHECK(received.fds[count - 1] < LOW);
        if (i % 3 == 0) { /* they take the place of those that were sent */
            for (int j = 0; j < count; j++) {
                CHECK_OK(close(fds[j]));
                fds[j] = received.fds[j];
            }
        } else {
            rights_close(&received);
        }
    }
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(fds[0], &(char){ 0 }, 1));
    unix_finish(fds[2], fds[3]);
    guest_close_both(fds);
    guest_close_both(channel);
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        mixture(rights_types[i]);
        one_many_times(rights_types[i]);
        many_messages(rights_types[i]);
    }
    return unix_end();
}
