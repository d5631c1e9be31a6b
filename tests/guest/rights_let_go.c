/*
 * Proves: descriptors that nobody receives are closed as soon as nobody can: when the last
 * descriptor of the receiving end goes, by whatever closes it (close, dup2 over it, exec, the end
 * of a process, a listener's end with what wasn't accepted), also when that end was itself in
 * flight, eight deep. Half-closes, and the sender's end, leave them where they are.
 *
 * Rows: 3.9 "unread descriptors at close", 3.9 "unread descriptors after shutdown", 3.5 "Closing
 * and receiving descriptors"
 */
#include "rights.h"
#include "unix_names.h"

enum { DEPTH = 8 };

/* ---- what leaves them there ---- */

static void still_there(int type, int how)
{
    int channel[2];
    guest_pair(type, channel);
    int witness = rights_send_witness(channel[0], "m");
    CHECK_OK(shutdown(channel[0], how));
    CHECK_OK(shutdown(channel[1], how));
    CHECK_HELD(witness);
    CHECK_OK(close(channel[0]));
    CHECK_HELD(witness);
    int copy = (int)CHECK_OK(dup(channel[1]));
    CHECK_OK(close(channel[1]));
    CHECK_HELD(witness);
    EXPECT(copy, 8, 0, "m", 1);
    CHECK_GONE(witness);
    CHECK_EQ(0, read(copy, &(char){ 0 }, 1));
    CHECK_OK(close(copy));
}

/* ---- what lets them go ---- */

enum closer { BY_CLOSE, BY_DUP2, BY_RANGE, BY_CHILD, BY_EXEC, BY_KILL, CLOSERS };

/* A child has the receiving end alone, and goes. */
static void child_closes(int channel[2], enum closer how)
{
    int go[2], witness;
    guest_pipe(go);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(channel[0]));
        CHECK_EQ(1, read(go[0], &(char){ 0 }, 1));
        if (how == BY_KILL) {
            raise(SIGKILL);
        } else if (how == BY_EXEC) {
            CHECK_OK(fcntl(channel[1], F_SETFD, FD_CLOEXEC));
            execl("/bin/sh", "sh", "-c", "read byte", (char *)NULL);
        }
        _exit(0);
    }
    CHECK_OK(close(channel[1]));
    witness = rights_send_witness(channel[0], "m");
    CHECK_HELD(witness);
    CHECK_EQ(1, write(go[1], "g", 1));
    if (how == BY_KILL) {
        guest_wait_killed(pid, SIGKILL);
    } else {
        guest_wait_exit(pid, how == BY_EXEC ? 1 : 0); /* end-of-file is the shell's 1 */
    }
    CHECK_GONE(witness);
    guest_close_both(go);
    CHECK_OK(close(channel[0]));
}

static void let_go(int type, enum closer how)
{
    int channel[2];
    guest_pair(type, channel);
    if (how >= BY_CHILD) {
        child_closes(channel, how);
        return;
    }
    int witness = rights_send_witness(channel[0], "one");
    int second = rights_send_witness(channel[0], "two");
    CHECK_EQ(3, write(channel[0], "end", 3));
    if (how == BY_CLOSE) {
        CHECK_OK(close(channel[1]));
    } else if (how == BY_DUP2) {
        CHECK_EQ(channel[1], dup2(0, channel[1]));
    } else {
        CHECK_OK(close_range((unsigned)channel[1], (unsigned)channel[1], 0));
    }
    CHECK_GONE(witness);
    CHECK_GONE(second);
    CHECK_ERR(ECONNRESET, read(channel[0], &(char){ 0 }, 1));
    CHECK_OK(close(channel[0]));
    if (how == BY_DUP2) {
        CHECK_OK(close(channel[1]));
    }
}

/* ---- connections that wait ---- */

static void not_accepted(int type)
{
    struct unix_name name;
    int listener = unix_any_listener(type, 4, &name);
    int client = unix_client(type, &name), second = unix_client(type, &name);
    int witness = rights_send_witness(client, "m");
    int other = rights_send_witness(second, "m");
    CHECK_HELD(witness);
    CHECK_OK(close(client)); /* is still delivered */
    CHECK_HELD(witness);
    int accepted = unix_accept(listener);
    EXPECT(accepted, 8, 0, "m", 1);
    CHECK_GONE(witness);
    CHECK_HELD(other);
    CHECK_OK(close(listener)); /* the second was not accepted */
    CHECK_GONE(other);
    CHECK_OK(close(second));
    CHECK_OK(close(accepted));
}

/* ---- in flight in what is in flight ---- */

static void nested(int type)
{
    int first[2], inner[2], outer[2];
    guest_pair(type, first);
    int witness = rights_send_witness(first[0], "m");
    CHECK_OK(close(first[0]));
    int in_flight = first[1];
    for (int i = 0; i < DEPTH; i++) {
        guest_pair(type, outer);
        CHECK_EQ(1, message_send(outer[0], "m", 1, &in_flight, 1));
        CHECK_OK(close(in_flight));
        CHECK_OK(close(outer[0]));
        in_flight = outer[1];
    }
    CHECK_HELD(witness);
    struct message_received received;
    for (int i = 0; i < DEPTH / 2; i++) { /* unpacked half, then dropped */
        rights_expect(__FILE__, __LINE__, in_flight, 8, 0, "m", 1, &received);
        CHECK_OK(close(in_flight));
        in_flight = received.fds[0];
    }
    guest_pair(type, inner);
    CHECK_EQ(1, message_send(inner[0], "m", 1, &in_flight, 1));
    CHECK_OK(close(in_flight));
    CHECK_HELD(witness);
    guest_close_both(inner);
    CHECK_GONE(witness);
}

/* A blocked reader of a pipe whose last writer is in a message that is dropped. */
static void *read_end(void *argument)
{
    CHECK_EQ(0, read(*(int *)argument, &(char){ 0 }, 1));
    return NULL;
}

static void wakes_a_reader(int type)
{
    struct guest_thread thread;
    int channel[2];
    guest_pair(type, channel);
    int witness = rights_send_witness(channel[0], "m");
    guest_thread_start(&thread, read_end, &witness);
    guest_thread_blocked(&thread);
    CHECK_EQ(1, read(channel[1], &(char){ 0 }, 1));
    guest_thread_join(&thread);
    CHECK_OK(close(witness));
    witness = rights_send_witness(channel[0], "m");
    guest_thread_start(&thread, read_end, &witness);
    guest_thread_blocked(&thread);
    guest_close_both(channel);
    guest_thread_join(&thread);
    CHECK_OK(close(witness));
}

/* A writer into a pipe whose last reader is dropped; the peer of a socket that is dropped. */
static void other_ends(int type)
{
    int channel[2], fds[2];
    guest_pair(type, channel);
    guest_pipe(fds);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fds[0], 1));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(channel[1], &(char){ 0 }, 1));
    CHECK_ERR(EPIPE, write(fds[1], "x", 1));
    CHECK_OK(close(fds[1]));
    guest_pair(type, fds);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fds[0], 1));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(0, guest_poll(fds[1], POLLIN | POLLRDHUP, 0));
    CHECK_EQ(1, read(channel[1], &(char){ 0 }, 1));
    CHECK_EQ(POLLIN | POLLRDHUP | POLLHUP | POLLERR,
             guest_poll(fds[1], POLLIN | POLLRDHUP, RIGHTS_SOON_MS));
    CHECK_ERR(ECONNRESET, read(fds[1], &(char){ 0 }, 1)); /* "x" was unread */
    CHECK_OK(close(fds[1]));
    guest_close_both(channel);
}

int main(void)
{
    unix_start();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    for (int i = 0; i < 2; i++) {
        int type = rights_types[i];
        for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
            still_there(type, how);
        }
        for (int how = 0; how < CLOSERS; how++) {
            let_go(type, (enum closer)how);
        }
        not_accepted(type);
        nested(type);
        wakes_a_reader(type);
        other_ends(type);
    }
    return unix_end();
}
