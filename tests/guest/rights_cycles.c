/*
 * Proves: sockets that hold each other by messages, and whom nobody else holds, are collected with
 * all that rode along: one in its own queue, two in each other's, chains of seven that close, two
 * circles that share a socket, a listener in the queue of a connection that waits at it; in one
 * process and in two; not as long as somebody holds one of them. Who only holds their peers
 * doesn't keep them (unix_vertex_dead()), and sees them end.
 *
 * Rows: 3.9 "unread descriptors at close", 3.9 "cycles"
 */
#include "rights.h"
#include "unix_names.h"

enum {
    RING = 7,
    COLLECTIONS = 1000, /* that may begin until a circle is gone */
    PEER_MS = 5000,
};

/*
 * The collector begins when some socket of AF_UNIX is closed while others are in flight, unless it
 * is at work (net/unix/garbage.c, unix_gc()): a circle that is closed at that moment stays until
 * the next one.
 */
static void collect(void)
{
    int pair[2];
    guest_pair(SOCK_STREAM, pair);
    guest_close_both(pair);
}

static void check_collected(int witness)
{
    for (int i = 0; i < COLLECTIONS && guest_poll(witness, POLLIN, RIGHTS_SOON_MS) == 0; i++) {
        collect();
    }
    CHECK_GONE(witness);
}

/* Nothing of ours may be collected by that. */
static void check_not_collected(int witness)
{
    collect();
    CHECK_HELD(witness);
}

static void send_fd(int over, int fd)
{
    CHECK_EQ(1, message_send(over, "s", 1, &fd, 1));
}

/* The other end of what was collected: a work item of the kernel closes one after the other. */
static void check_peer_gone(int fd)
{
    CHECK_EQ(POLLHUP, guest_poll(fd, 0, PEER_MS) & POLLHUP);
    CHECK_EQ(-1, send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK(errno == EPIPE || errno == ECONNRESET);
    CHECK_OK(close(fd));
}

/* The receiving end lies in its own queue; what rides along is in the same message or beside. */
static void over_itself(int type, bool same_message)
{
    int channel[2], witness;
    guest_pair(type, channel);
    if (same_message) {
        int fds[2];
        witness = rights_witness(&fds[1]);
        fds[0] = channel[1];
        CHECK_EQ(1, message_send(channel[0], "m", 1, fds, 2));
        CHECK_OK(close(fds[1]));
    } else {
        witness = rights_send_witness(channel[0], "m");
        send_fd(channel[0], channel[1]);
    }
    check_not_collected(witness);
    CHECK_OK(close(channel[1]));
    check_collected(witness);
    check_peer_gone(channel[0]);
}

/* The sending end in the receiving end's queue is no circle: closing that drops it. */
static void sender_in_its_peer(int type)
{
    int channel[2];
    guest_pair(type, channel);
    int witness = rights_send_witness(channel[0], "m");
    send_fd(channel[0], channel[0]);
    CHECK_OK(close(channel[0]));
    CHECK_HELD(witness);
    CHECK_EQ(0, guest_poll(channel[1], POLLRDHUP, 0));
    CHECK_OK(close(channel[1]));
    CHECK_GONE(witness);
}

/* Both ends in both queues. */
static void both_in_both(int type)
{
    int channel[2];
    guest_pair(type, channel);
    int witness = rights_send_witness(channel[0], "m");
    int other = rights_send_witness(channel[1], "m");
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(1, message_send(channel[i], "s", 1, channel, 2));
    }
    guest_close_both(channel);
    check_collected(witness);
    check_collected(other);
}

static void in_each_other(int type)
{
    int one[2], two[2];
    guest_pair(type, one);
    guest_pair(type, two);
    int witness = rights_send_witness(one[0], "m"), other = rights_send_witness(two[0], "m");
    send_fd(one[0], two[1]);
    send_fd(two[0], one[1]);
    CHECK_OK(close(one[1]));
    check_not_collected(witness); /* two[1] is ours */
    CHECK_OK(close(two[1]));
    check_collected(witness);
    check_collected(other);
    check_peer_gone(one[0]);
    check_peer_gone(two[0]);
}

/* One is fetched out of the circle while the others are in flight: all are alive again. */
static void held_from_outside(int type)
{
    int one[2], two[2];
    struct message_received received;
    guest_pair(type, one);
    guest_pair(type, two);
    send_fd(one[0], two[1]);
    int witness = rights_send_witness(one[0], "m");
    send_fd(two[0], one[1]);
    CHECK_OK(close(one[0]));
    CHECK_OK(close(two[0]));
    CHECK_OK(close(two[1]));
    check_not_collected(witness); /* one[1] is ours */
    rights_expect(__FILE__, __LINE__, one[1], 1, 0, "s", 1, &received);
    CHECK_OK(close(one[1]));
    check_not_collected(witness); /* it is in the queue of what we got */
    int two_1 = received.fds[0];
    rights_expect(__FILE__, __LINE__, two_1, 1, 0, "s", 1, &received);
    CHECK_OK(close(two_1));
    EXPECT(received.fds[0], 1, 0, "m", 1);
    CHECK_OK(close(received.fds[0]));
    CHECK_GONE(witness);
}

static void ring(int type)
{
    int pairs[RING][2], witnesses[RING];
    for (int i = 0; i < RING; i++) {
        guest_pair(type, pairs[i]);
        witnesses[i] = rights_send_witness(pairs[i][0], "m");
    }
    for (int i = 0; i < RING; i++) {
        send_fd(pairs[i][0], pairs[(i + 1) % RING][1]);
    }
    send_fd(pairs[0][0], pairs[RING / 2][1]); /* a second circle inside of the first */
    for (int i = 0; i < RING; i++) {
        check_not_collected(witnesses[i]);
        CHECK_OK(close(pairs[i][1]));
    }
    for (int i = 0; i < RING; i++) {
        check_collected(witnesses[i]);
        check_peer_gone(pairs[i][0]);
    }
}

/* A listener in the queue of what nobody has accepted yet. */
static void listener_at_itself(int type)
{
    struct unix_name name;
    int listener = unix_any_listener(type, 4, &name), client = unix_client(type, &name);
    int witness = rights_send_witness(client, "m");
    send_fd(client, listener);
    check_not_collected(witness);
    CHECK_OK(close(listener));
    check_collected(witness);
    check_peer_gone(client);
    client = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(client, &name));
    CHECK_OK(close(client));
}

/* The circle is closed by two processes, and the second one's exit is the last straw. */
static void two_processes(int type)
{
    int one[2], two[2], go[2];
    guest_pair(type, one);
    guest_pair(type, two);
    guest_pipe(go);
    int witness = rights_send_witness(one[0], "m");
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(witness));
        send_fd(two[0], one[1]);
        CHECK_EQ(1, read(go[0], &(char){ 0 }, 1));
        _exit(0);
    }
    send_fd(one[0], two[1]);
    guest_close_both(one);
    guest_close_both(two);
    check_not_collected(witness);
    CHECK_EQ(1, write(go[1], "g", 1));
    guest_wait_exit(pid, 0);
    check_collected(witness);
    guest_close_both(go);
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        int type = rights_types[i];
        over_itself(type, false);
        over_itself(type, true);
        sender_in_its_peer(type);
        both_in_both(type);
        in_each_other(type);
        held_from_outside(type);
        ring(type);
        listener_at_itself(type);
        two_processes(type);
    }
    return unix_end();
}
