/*
 * Proves: messages with descriptors that are unread when the receiver execs a program that no
 * preload reaches arrive there: in order, plain ones between them, partly read ones without what
 * was taken, each with its descriptors, which work. What the program leaves unread is closed.
 *
 * Rows: 3.9 "received fd: same open file description", 3.9 "unread descriptors at close"
 */
#include "rights.h"
#include "rights_serve.h"

enum { STATIC_OK = 9, REQUESTS = 6 };

static char static_path[PATH_MAX];

static pid_t start_static(int fd)
{
    char number[16];
    pid_t pid = guest_fork();
    if (pid == 0) {
        snprintf(number, sizeof number, "%d", fd);
        CHECK_EQ(0, close_range(3, (unsigned)fd - 1, 0));
        CHECK_EQ(0, close_range((unsigned)fd + 1, ~0U, 0));
        execl(static_path, static_path, "here", number, (char *)NULL);
        _exit(126);
    }
    return pid;
}

/* A pipe with five bytes in it and no writer, or a socket with its peer. */
static int something_to_read(int i, int *ret_peer)
{
    int fds[2];
    *ret_peer = -1;
    char text[SERVE_PIECE + 1];
    snprintf(text, sizeof text, "text%d", i);
    if (i % 2 == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(SOCK_STREAM, fds);
    }
    CHECK_EQ(SERVE_PIECE, write(fds[1], text, SERVE_PIECE));
    if (i % 2 == 0) {
        CHECK_OK(close(fds[1]));
    } else {
        *ret_peer = fds[1];
    }
    return fds[0];
}

/* Number i is a request to read, or to drop nothing. */
static void send_requests(int channel, int *ret_peers)
{
    for (int i = 0; i < REQUESTS; i++) {
        ret_peers[i] = -1;
        if (i % 3 == 2) {
            CHECK_EQ(1, write(channel, "d", 1));
        } else {
            int fd = something_to_read(i, &ret_peers[i]);
            CHECK_EQ(1, message_send(channel, "r", 1, &fd, 1));
            CHECK_OK(close(fd));
        }
    }
}

static void check_answers(int channel, const int *peers)
{
    for (int i = 0; i < REQUESTS; i++) {
        char answer[SERVE_PIECE + 1], expected[] = "rtext?";
        expected[SERVE_PIECE] = (char)('0' + i);
        size_t size = i % 3 == 2 ? 1 : SERVE_PIECE + 1;
        CHECK_EQ(size, recv(channel, answer, size, MSG_WAITALL));
        CHECK_MEM(i % 3 == 2 ? "d" : expected, answer, size);
        if (peers[i] >= 0) {
            CHECK_EQ(0, read(peers[i], answer, 1)); /* closed there */
            CHECK_OK(close(peers[i]));
        }
    }
}

/* Of the first message one byte is read before. */
static void unread(int type, bool partly)
{
    int channel[2], peers[REQUESTS], witness;
    guest_pair(type, channel);
    if (partly) {
        witness = rights_send_witness(channel[0], type == SOCK_STREAM ? "xd" : "x");
        EXPECT(channel[1], 1, 0, "x", 1);
        CHECK_GONE(witness);
    }
    send_requests(channel[0], peers);
    pid_t pid = start_static(channel[1]);
    CHECK_OK(close(channel[1]));
    if (partly && type == SOCK_STREAM) {
        CHECK_EQ(1, read(channel[0], (char[1]){ 0 }, 1));
    }
    check_answers(channel[0], peers);
    CHECK_OK(close(channel[0]));
    guest_wait_exit(pid, STATIC_OK);
}

/* Killed before it reads: what was on its way is closed. */
static void never_read(int type)
{
    int channel[2], fds[2];
    guest_pair(type, channel);
    guest_pipe(fds); /* keeps the program at its first request */
    CHECK_EQ(1, message_send(channel[0], "r", 1, &fds[0], 1));
    int witness = rights_send_witness(channel[0], "d");
    pid_t pid = start_static(channel[1]);
    CHECK_OK(close(channel[1]));
    CHECK_EQ(2, write(fds[1], "12", 2));
    CHECK_HELD(witness);
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    CHECK_GONE(witness);
    CHECK_OK(close(channel[0]));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    ssize_t size = CHECK_OK(readlink("/proc/self/exe", static_path, sizeof static_path - 32));
    static_path[size] = '\0';
    strcpy(strrchr(static_path, '/') + 1, "helper_rights_static");
    for (int i = 0; i < 2; i++) {
        unread(rights_types[i], false);
        unread(rights_types[i], true);
        never_read(rights_types[i]);
    }
    return guest_end();
}
