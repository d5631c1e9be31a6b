/*
 * Proves: what goes through a connection is what a pair's would be: 1 MB both ways at once with
 * every byte checked, between threads and between processes; records keep their borders;
 * half-close, ECONNRESET with unread data, shutdown and end-of-file on both sides of it.
 *
 * Rows: 3.2 "data over connections", 3.5 "we close with unread data", 3.4 "data and pending
 * ECONNRESET"
 */
#include "unix_names.h"

enum { TOTAL = 1 << 20, RECORD = 3000 };

struct transfer {
    struct guest_thread thread;
    int fd, type;
    uint64_t from; /* where its pattern begins */
};

/* Writes in pieces of changing sizes. */
static void *send_all(void *argument)
{
    static _Thread_local unsigned char bytes[65536];
    struct transfer *transfer = argument;
    size_t size = 1;
    for (size_t have = 0; have < TOTAL; have += size) {
        size = transfer->type == SOCK_SEQPACKET ? RECORD : size % 60000 * 7 % 60000 + 1;
        size = size < TOTAL - have ? size : TOTAL - have;
        guest_pattern_fill(bytes, size, transfer->from + have);
        guest_write_all(transfer->fd, bytes, size);
    }
    CHECK_OK(shutdown(transfer->fd, SHUT_WR));
    return NULL;
}

static void receive_all(int fd, int type, uint64_t from)
{
    static _Thread_local unsigned char bytes[65536];
    size_t have = 0;
    ssize_t count;
    while ((count = CHECK_OK(read(fd, bytes, type == SOCK_STREAM ? 1 + have % 65536 : 65536))) >
           0) {
        if (type == SOCK_SEQPACKET) {
            CHECK_EQ(RECORD < TOTAL - have ? RECORD : TOTAL - have, count);
        }
        guest_pattern_check(bytes, (size_t)count, from + have);
        have += (size_t)count;
    }
    CHECK_EQ(TOTAL, have);
}

static void both_ways(int fd, int type, bool is_server)
{
    struct transfer out = { .fd = fd, .type = type, .from = is_server ? 12345 : 0 };
    guest_thread_start(&out.thread, send_all, &out);
    receive_all(fd, type, is_server ? 0 : 12345);
    guest_thread_join(&out.thread);
    CHECK_EQ(POLLIN, guest_poll(fd, POLLIN, 0) & POLLIN);
    CHECK_OK(close(fd));
}

static void *serve_in_thread(void *argument)
{
    struct transfer *server = argument;
    both_ways(unix_accept(server->fd), server->type, true);
    return NULL;
}

static void megabytes(int type, enum unix_form form, bool is_child)
{
    struct unix_name name = unix_named(form, "transfer");
    struct transfer server = { .fd = unix_listener(type, &name, 1), .type = type };
    if (is_child) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            both_ways(unix_accept(server.fd), type, true);
            _exit(0);
        }
        both_ways(unix_client(type, &name), type, false);
        guest_wait_exit(pid, 0);
    } else {
        guest_thread_start(&server.thread, serve_in_thread, &server);
        both_ways(unix_client(type, &name), type, false);
        guest_thread_join(&server.thread);
    }
    CHECK_OK(close(server.fd));
    unix_forget(&name);
}

/* One direction ends, the other goes on; with either side first. */
static void half_close(int type, int first)
{
    int fds[2];
    char buffer[8];
    unix_connection(type, fds);
    CHECK_EQ(4, write(fds[first], "last", 4));
    CHECK_OK(shutdown(fds[first], SHUT_WR));
    CHECK_ERR(EPIPE, send(fds[first], "x", 1, MSG_NOSIGNAL));
    CHECK_EQ(4, read(fds[1 - first], buffer, sizeof buffer));
    CHECK_EQ(0, read(fds[1 - first], buffer, sizeof buffer));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(3, write(fds[1 - first], "yet", 3));
        CHECK_EQ(3, read(fds[first], buffer, sizeof buffer));
    }
    CHECK_OK(close(fds[1 - first]));
    CHECK_EQ(0, read(fds[first], buffer, sizeof buffer));
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP,
             guest_poll(fds[first], POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_OK(close(fds[first]));
}

/* `first` goes away with something unread; the other side has data yet. */
static void reset(int type, int first)
{
    int fds[2];
    char buffer[8];
    unix_connection(type, fds);
    CHECK_EQ(4, write(fds[first], "data", 4));
    CHECK_EQ(1, write(fds[1 - first], "u", 1));
    CHECK_OK(close(fds[first]));
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR,
             guest_poll(fds[1 - first], POLLIN | POLLOUT | POLLRDHUP, 0));
    if (type == SOCK_SEQPACKET) {
        CHECK_ERR(ECONNRESET, read(fds[1 - first], buffer, sizeof buffer));
    }
    CHECK_EQ(4, read(fds[1 - first], buffer, sizeof buffer));
    CHECK_MEM("data", buffer, 4);
    if (type == SOCK_STREAM) {
        CHECK_ERR(ECONNRESET, read(fds[1 - first], buffer, sizeof buffer));
    }
    CHECK_EQ(0, read(fds[1 - first], buffer, sizeof buffer));
    CHECK_OK(close(fds[1 - first]));
}

/* The accepted end is closed at once over what the client wrote; then the client over an answer. */
static void reset_at_accept(int type)
{
    struct unix_name name = unix_abstract("transfer");
    int listener = unix_listener(type, &name, 2), client = unix_client(type, &name);
    char buffer[8];
    CHECK_EQ(4, write(client, "data", 4));
    int accepted = unix_accept(listener);
    CHECK_OK(close(accepted)); /* what the client wrote stays unread */
    CHECK_ERR(ECONNRESET, read(client, buffer, sizeof buffer));
    CHECK_EQ(0, read(client, buffer, sizeof buffer));
    CHECK_OK(close(client));
    client = unix_client(type, &name);
    accepted = unix_accept(listener);
    CHECK_EQ(4, write(accepted, "data", 4));
    CHECK_OK(close(client));
    CHECK_EQ(ECONNRESET, unix_option(accepted, SO_ERROR));
    CHECK_EQ(0, read(accepted, buffer, sizeof buffer));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

/* MSG_PEEK, MSG_WAITALL, FIONREAD and the like know no difference. */
static void calls_of_pairs(void)
{
    int fds[2], bytes = 0;
    char buffer[8];
    unix_connection(SOCK_STREAM, fds);
    CHECK_EQ(6, send(fds[0], "abcdef", 6, MSG_MORE));
    CHECK_EQ(3, recv(fds[1], buffer, 3, MSG_PEEK));
    CHECK_OK(ioctl(fds[1], FIONREAD, &bytes));
    CHECK_EQ(6, bytes);
    CHECK_EQ(6, recv(fds[1], buffer, 6, MSG_WAITALL));
    CHECK_MEM("abcdef", buffer, 6);
    CHECK_EQ(1, send(fds[0], "!", 1, MSG_OOB));
    CHECK_EQ(POLLIN | POLLPRI, guest_poll(fds[1], POLLIN | POLLPRI, 0));
    CHECK_EQ(1, recv(fds[1], buffer, 1, MSG_OOB));
    CHECK_EQ('!', buffer[0]);
    struct sockaddr_un nobody = { .sun_family = AF_UNIX };
    CHECK_ERR(EISCONN, sendto(fds[0], "x", 1, 0, (struct sockaddr *)&nobody, sizeof nobody));
    CHECK_ERR(EISCONN, sendto(fds[1], "x", 1, 0, (struct sockaddr *)&nobody, sizeof nobody));
    unix_finish(fds[0], fds[1]);
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        megabytes(unix_types[i], UNIX_PATH, false);
        megabytes(unix_types[i], UNIX_ABSTRACT, true);
        for (int first = 0; first < 2; first++) {
            half_close(unix_types[i], first);
            reset(unix_types[i], first);
        }
        reset_at_accept(unix_types[i]);
    }
    calls_of_pairs();
    return unix_end();
}
