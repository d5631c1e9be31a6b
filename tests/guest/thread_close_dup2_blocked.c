/*
 * Proves: close and dup2 on a number that another thread is blocked in (read, recv, recvmsg, write,
 * send): the blocked call keeps its object, whatever the number means now, and the object counts as
 * open until that call has returned. Pipes, stream and SEQPACKET sockets.
 *
 * Rows: 3.5 "Closing an fd while another thread is blocked in read() on it does not wake that
 * thread"
 */
#include "guest.h"

enum how { BY_READ, BY_RECV, BY_RECVMSG, BY_WRITE, BY_SEND, BY_SENDMSG, HOW_COUNT };
enum what { CLOSED, CLOSED_AND_REUSED, DUP2_OVER, DUP3_OVER, CLOSE_RANGED, WHAT_COUNT };

static char big[4096];

struct job {
    int fd;
    enum how how;
};

static bool sends(enum how how)
{
    return how >= BY_WRITE;
}

static bool works_on_pipes(enum how how)
{
    return how == BY_READ || how == BY_WRITE;
}

static void *call_once(void *argument)
{
    const struct job *job = argument;
    char in[8] = { 0 };
    struct iovec in_vector = { in, sizeof in }, out_vector = { big, sizeof big };
    struct msghdr in_message = { .msg_iov = &in_vector, .msg_iovlen = 1 };
    struct msghdr out_message = { .msg_iov = &out_vector, .msg_iovlen = 1 };
    switch (job->how) {
    case BY_READ: CHECK_EQ(4, read(job->fd, in, sizeof in)); break;
    case BY_RECV: CHECK_EQ(4, recv(job->fd, in, sizeof in, 0)); break;
    case BY_RECVMSG: CHECK_EQ(4, recvmsg(job->fd, &in_message, 0)); break;
    case BY_WRITE: CHECK_EQ(sizeof big, write(job->fd, big, sizeof big)); break;
    case BY_SEND: CHECK_EQ(sizeof big, send(job->fd, big, sizeof big, 0)); break;
    default: CHECK_EQ(sizeof big, sendmsg(job->fd, &out_message, 0)); break;
    }
    if (!sends(job->how)) {
        CHECK_MEM("late", in, 4);
    }
    return NULL;
}

/* Takes the number away. What it means then is an end of `other`. */
static void take_away(int fd, enum what what, const int other[2])
{
    switch (what) {
    case CLOSED: CHECK_OK(close(fd)); break;
    case CLOSED_AND_REUSED:
        CHECK_OK(close(fd));
        CHECK_EQ(fd, fcntl(other[0], F_DUPFD, fd));
        break;
    case DUP2_OVER: CHECK_EQ(fd, dup2(other[0], fd)); break;
    case DUP3_OVER: CHECK_EQ(fd, dup3(other[0], fd, O_CLOEXEC)); break;
    default: CHECK_OK(close_range((unsigned)fd, (unsigned)fd, 0)); break;
    }
}

static void fill(int type, int fd)
{
    if (type == 0) {
        guest_pipe_fill(fd);
    } else {
        guest_socket_fill(fd, sizeof big);
    }
}

/* As long as the call is blocked, the other end must not see this one gone. */
static void check_alive(int peer, bool peer_reads)
{
    CHECK_EQ(0, guest_poll(peer, 0, 0)); /* no HUP, no ERR */
    if (!peer_reads) {
        CHECK_EQ(POLLOUT, guest_poll(peer, POLLOUT, 0));
    }
}

static void drain(int fd)
{
    static char buffer[65536];
    ssize_t count;
    while ((count = read(fd, buffer, sizeof buffer)) > 0) {
    }
    CHECK_EQ(0, count); /* the blocked call was the last to write */
}

static void number_taken(int type, enum how how, enum what what)
{
    int fds[2], other[2];
    struct guest_thread thread;
    if (type == 0) {
        guest_pipe(fds);
        guest_pipe(other);
    } else {
        guest_pair(type, fds);
        guest_pair(type, other);
    }
    int mine = fds[sends(how)], peer = fds[!sends(how)];
    struct job job = { .fd = mine, .how = how };
    if (sends(how)) {
        fill(type, mine);
    }
    if (what == CLOSED_AND_REUSED || what == DUP2_OVER || what == DUP3_OVER) {
        CHECK_EQ(5, write(other[1], "other", 5));
    }
    guest_thread_start(&thread, call_once, &job);
    guest_thread_blocked(&thread);
    take_away(mine, what, other);
    guest_thread_blocked(&thread);
    check_alive(peer, sends(how));
    if (sends(how)) {
        drain(peer); /* ends with the description of the blocked call */
        guest_thread_join(&thread);
    } else {
        CHECK_EQ(4, write(peer, "late", 4));
        guest_thread_join(&thread);
        CHECK(guest_poll(peer, 0, -1) & (type == 0 ? POLLERR : POLLHUP)); /* now it is gone */
        CHECK_ERR(EPIPE, write(peer, "x", 1));
    }
    CHECK_OK(close(peer));
    if (what == CLOSED_AND_REUSED || what == DUP2_OVER || what == DUP3_OVER) {
        char buffer[8];
        CHECK_EQ(5, read(mine, buffer, sizeof buffer));
        CHECK_MEM("other", buffer, 5);
        CHECK_OK(close(mine));
    } else {
        CHECK_ERR(EBADF, fcntl(mine, F_GETFD));
    }
    guest_close_both(other);
}

static void *read_end_of_file(void *argument)
{
    char byte;
    CHECK_EQ(0, read(*(int *)argument, &byte, 1));
    return NULL;
}

/* Closed under a reader, then the other end goes, too: the reader sees that. */
static void then_the_peer_goes(int type)
{
    int fds[2];
    struct guest_thread thread;
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    guest_thread_start(&thread, read_end_of_file, &fds[0]);
    guest_thread_blocked(&thread);
    CHECK_OK(close(fds[0]));
    guest_thread_blocked(&thread);
    CHECK_OK(close(fds[1]));
    guest_thread_join(&thread);
}

int main(void)
{
    static const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    for (int i = 0; i < 3; i++) {
        for (int how = 0; how < HOW_COUNT; how++) {
            for (int what = 0; what < WHAT_COUNT; what++) {
                if (types[i] != 0 || works_on_pipes((enum how)how)) {
                    number_taken(types[i], (enum how)how, (enum what)what);
                }
            }
        }
        then_the_peer_goes(types[i]);
    }
    return guest_end();
}
