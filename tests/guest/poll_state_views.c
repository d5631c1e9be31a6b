/*
 * Proves: a state's bits are the same by every view of it: poll, ppoll, select, pselect, each bit
 * asked for alone, through a duplicate, in a child, beside a real fd in the same call. States that
 * other programs don't look at: packet mode, empty records, SO_RCVLOWAT, a bound socket.
 *
 * Rows: 2.6, 3.6 "fresh unconnected (bound or not)", 3.6 "connected, idle, send buffer ok", 3.6
 * "POLLIN ignores SO_RCVLOWAT on AF_UNIX", 3.6 "SEQPACKET identical unless noted", 6.2 "readable =
 * IN|RDBAND|HUP|ERR", 6.2 "POLLRDHUP is invisible to select except through IN"
 */
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/un.h>

#include "guest.h"

#define IN        (POLLIN | POLLRDNORM)
#define PIPE_OUT  (POLLOUT | POLLWRNORM)
#define UNIX_OUT  (POLLOUT | POLLWRNORM | POLLWRBAND)
#define UNASKED   (POLLHUP | POLLERR | POLLNVAL)
#define READABLE  (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define WRITABLE  (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define ALL_BITS  0x7fff
#define LAST_BIT  13 /* POLLRDHUP */
#define NO_EVENTS 0x5555

static int event_fd;

static int by_ppoll(int fd, int asked, bool mixed)
{
    const struct timespec now = { 0, 0 };
    struct pollfd entries[] = { { .fd = event_fd, .events = POLLIN, .revents = NO_EVENTS },
                                { .fd = fd, .events = (short)asked, .revents = NO_EVENTS } };
    int ready = (int)CHECK_OK(ppoll(mixed ? entries : entries + 1, 1 + mixed, &now, NULL));
    CHECK_EQ(entries[1].revents != 0, ready);
    if (mixed) {
        CHECK_EQ(0, entries[0].revents);
    }
    return entries[1].revents;
}

static int by_pselect(int fd, bool mixed)
{
    const struct timespec now = { 0, 0 };
    fd_set sets[3];
    int bits = 0;
    for (int i = 0; i < 3; i++) {
        FD_ZERO(&sets[i]);
        FD_SET(fd, &sets[i]);
    }
    if (mixed) {
        FD_SET(event_fd, &sets[0]);
    }
    CHECK_OK(pselect(FD_SETSIZE, &sets[0], &sets[1], &sets[2], &now, NULL));
    CHECK(!FD_ISSET(event_fd, &sets[0]));
    for (int i = 0; i < 3; i++) {
        bits |= FD_ISSET(fd, &sets[i]) ? 1 << i : 0;
    }
    return bits;
}

static void one_view(int fd, int bits)
{
    int selected = (bits & READABLE ? GUEST_READABLE : 0) | (bits & WRITABLE ? GUEST_WRITABLE : 0) |
                   (bits & POLLPRI ? GUEST_EXCEPTION : 0);
    CHECK_EQ(bits, guest_poll(fd, ALL_BITS, 0));
    for (int bit = 0; bit <= LAST_BIT; bit++) {
        CHECK_EQ(bits & (1 << bit | UNASKED), guest_poll(fd, 1 << bit, 0));
    }
    for (int mixed = 0; mixed < 2; mixed++) {
        CHECK_EQ(bits, by_ppoll(fd, ALL_BITS, mixed));
        CHECK_EQ(bits & UNASKED, by_ppoll(fd, 0, mixed));
        CHECK_EQ(selected, by_pselect(fd, mixed));
    }
    CHECK_EQ(selected, guest_select(fd));
}

/* Looking must not change what is seen, so the order of the views doesn't matter. */
static void state_is(int fd, int bits)
{
    one_view(fd, bits);
    int copy = (int)CHECK_OK(dup(fd));
    one_view(copy, bits);
    CHECK_OK(close(copy));
    pid_t pid = guest_fork();
    if (pid == 0) {
        one_view(fd, bits);
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    one_view(fd, bits);
}

static void pipe_states(int flags)
{
    int fds[2];
    char buffer[64];
    CHECK_OK(pipe2(fds, flags));
    state_is(fds[0], 0);
    state_is(fds[1], PIPE_OUT);
    CHECK_EQ(10, write(fds[1], "0123456789", 10));
    state_is(fds[0], IN);
    CHECK_EQ(4, read(fds[0], buffer, 4));
    state_is(fds[0], flags & O_DIRECT ? 0 : IN); /* a packet's rest is thrown away */
    CHECK_EQ(0, write(fds[1], "", 0));
    state_is(fds[1], PIPE_OUT);
    while (read(fds[0], buffer, sizeof buffer) > 0) {
    }
    for (int i = 0; i < 16; i++) {
        CHECK_EQ(GUEST_PAGE, write(fds[1], (char[GUEST_PAGE]){ 0 }, GUEST_PAGE));
        state_is(fds[1], i < 15 ? PIPE_OUT : 0);
    }
    CHECK_OK(close(fds[1]));
    state_is(fds[0], IN | POLLHUP);
    CHECK_OK(close(fds[0]));
    CHECK_OK(pipe2(fds, flags));
    CHECK_OK(close(fds[0]));
    state_is(fds[1], PIPE_OUT | POLLERR);
    CHECK_OK(close(fds[1]));
}

static void socket_states(int type)
{
    int fds[2];
    char buffer[64];
    guest_pair(type | SOCK_NONBLOCK, fds);
    state_is(fds[0], UNIX_OUT);
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_RCVLOWAT, &(int){ 100 }, sizeof(int)));
    CHECK_EQ(1, write(fds[1], "x", 1));
    state_is(fds[0], IN | UNIX_OUT);
    CHECK_EQ(1, read(fds[0], buffer, sizeof buffer));
    guest_socket_fill(fds[0], 1000);
    state_is(fds[0], 0);
    CHECK_OK(shutdown(fds[0], SHUT_WR)); /* it couldn't be written to either way */
    state_is(fds[0], 0);
    state_is(fds[1], IN | POLLRDHUP | UNIX_OUT);
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    state_is(fds[0], IN | POLLRDHUP | POLLHUP);
    state_is(fds[1], IN | POLLRDHUP | POLLHUP | UNIX_OUT);
    CHECK_OK(close(fds[1]));
    state_is(fds[0], IN | POLLRDHUP | POLLHUP | POLLERR | UNIX_OUT); /* its buffer went, too */
    CHECK_OK(close(fds[0]));
}

static void empty_record(void)
{
    int fds[2];
    char byte;
    guest_pair(SOCK_SEQPACKET | SOCK_NONBLOCK, fds);
    CHECK_EQ(0, send(fds[1], "", 0, 0));
    state_is(fds[0], IN | UNIX_OUT);
    CHECK_EQ(0, read(fds[0], &byte, 1));
    state_is(fds[0], UNIX_OUT);
    guest_close_both(fds);
}

static void bound_and_unconnected(int type)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = (int)CHECK_OK(socket(AF_UNIX, type, 0));
    state_is(fd, UNIX_OUT | POLLHUP);
    CHECK_OK(bind(fd, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path)));
    state_is(fd, UNIX_OUT | POLLHUP);
    CHECK_OK(close(fd));
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    event_fd = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC));
    pipe_states(O_NONBLOCK);
    pipe_states(O_NONBLOCK | O_DIRECT);
    socket_states(SOCK_STREAM);
    socket_states(SOCK_SEQPACKET);
    empty_record();
    bound_and_unconnected(SOCK_STREAM);
    bound_and_unconnected(SOCK_SEQPACKET);
    CHECK_OK(close(event_fd));
    return guest_end();
}
