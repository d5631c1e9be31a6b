/*
 * Proves (in the emulator only): AF_VSOCK sockets are passed over AF_UNIX sockets like any other:
 * connected ones with data unread and records whole, listeners with connections that wait, fresh
 * and bound ones, to oneself and to a child that didn't inherit them; they keep their addresses,
 * options and credit, serve while they are in flight, and end for the peer when the message is
 * dropped. Over AF_VSOCK nothing is passed: control data is not looked at.
 *
 * Rows: 7.3 "connection is complete", 7.5 "Receive order"
 */
#include <sys/epoll.h>

#include "rights.h"
#include "vsock.h"

static int channel[2];

/* fds[0]: the client, fds[1]: what was accepted. */
static void vsock_pair(int type, int fds[2])
{
    int listener = vsock_socket(type);
    CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_OK(listen(listener, 1));
    fds[0] = vsock_socket(type);
    CHECK_OK(vsock_connect(fds[0], VSOCK_HOST, vsock_port(listener)));
    fds[1] = vsock_accept(listener);
    CHECK_OK(close(listener));
}

static int move(int fd)
{
    int passed = rights_pass(channel, fd);
    CHECK_OK(close(fd));
    return passed;
}

static void talk(int one, int other)
{
    char bytes[8];
    CHECK_EQ(4, write(one, "ping", 4));
    CHECK_EQ(4, read(other, bytes, sizeof bytes));
    CHECK_MEM("ping", bytes, 4);
    CHECK_EQ(4, write(other, "pong", 4));
    CHECK_EQ(4, read(one, bytes, sizeof bytes));
    CHECK_MEM("pong", bytes, 4);
}

/* ---- to oneself ---- */

static void connected(int type)
{
    int fds[2];
    char bytes[16];
    vsock_pair(type, fds);
    vsock_set_size(fds[0], SO_VM_SOCKETS_BUFFER_SIZE, 65536);
    struct sockaddr_vm own = vsock_name_of(fds[0], false), peer = vsock_name_of(fds[0], true);
    CHECK_EQ(3, write(fds[1], "one", 3));
    CHECK_EQ(3, write(fds[1], "two", 3));
    CHECK_EQ(5, write(fds[0], "three", 5));
    fds[0] = move(fds[0]);
    fds[1] = move(fds[1]);
    CHECK_NAME(own.svm_cid, own.svm_port, fds[0]);
    CHECK_PEER(peer.svm_cid, peer.svm_port, fds[0]);
    uint64_t size = 0;
    socklen_t length = sizeof size;
    CHECK_OK(getsockopt(fds[0], AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, &length));
    CHECK_EQ(65536, size);
    CHECK_BITS(VSOCK_IN | VSOCK_OUT, fds[0]);
    if (type == SOCK_STREAM) {
        CHECK_EQ(6, read(fds[0], bytes, sizeof bytes));
        CHECK_MEM("onetwo", bytes, 6);
    } else {
        CHECK_EQ(3, read(fds[0], bytes, sizeof bytes));
        CHECK_EQ(3, read(fds[0], bytes, sizeof bytes));
        CHECK_MEM("two", bytes, 3);
    }
    CHECK_EQ(5, read(fds[1], bytes, sizeof bytes));
    talk(fds[0], fds[1]);
    CHECK_OK(close(fds[0]));
    vsock_wait_bit(fds[1], POLLRDHUP);
    CHECK_EQ(0, read(fds[1], bytes, 1));
    CHECK_OK(close(fds[1]));
}

static void listening(int type)
{
    int listener = vsock_socket(type), client = vsock_socket(type);
    CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    uint32_t port = vsock_port(listener);
    listener = move(listener); /* bound */
    CHECK_EQ(port, vsock_port(listener));
    CHECK_OK(listen(listener, 4));
    listener = move(listener); /* listens */
    client = move(client);     /* fresh */
    CHECK_OK(vsock_connect(client, VSOCK_HOST, port));
    CHECK_EQ(5, write(client, "early", 5));
    listener = move(listener); /* with a connection that waits */
    client = move(client);
    int accepted = vsock_accept(listener);
    CHECK_EQ(5, read(accepted, (char[8]){ 0 }, 8));
    talk(client, accepted);
    CHECK_OK(close(client));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
    client = vsock_socket(type);
    CHECK_ERR(ECONNRESET, vsock_connect(client, VSOCK_HOST, port));
    CHECK_OK(close(client));
}

/* Only the message has it: it is connected to, written to, and ends when it is dropped. */
static void in_flight(int type)
{
    int fds[2], listener = vsock_socket(type), client = vsock_socket(type);
    vsock_pair(type, fds);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fds[0], 1));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_BITS(VSOCK_OUT, fds[1]);
    struct message_received received;
    rights_expect(__FILE__, __LINE__, channel[1], 8, MSG_PEEK, "m", 1, &received);
    CHECK_EQ(1, read(received.fds[0], (char[1]){ 0 }, 1));
    rights_close(&received);
    CHECK_BITS(VSOCK_OUT, fds[1]);
    CHECK_EQ(1, read(channel[1], (char[1]){ 0 }, 1));
    CHECK_EQ(POLLRDHUP, guest_poll(fds[1], POLLRDHUP, RIGHTS_SOON_MS) & POLLRDHUP);
    CHECK_EQ(0, read(fds[1], (char[1]){ 0 }, 1));
    CHECK_OK(close(fds[1]));
    CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_OK(listen(listener, 4));
    uint32_t port = vsock_port(listener);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &listener, 1));
    CHECK_OK(close(listener));
    CHECK_OK(vsock_connect(client, VSOCK_HOST, port));
    rights_expect(__FILE__, __LINE__, channel[1], 8, 0, "m", 1, &received);
    int accepted = vsock_accept(received.fds[0]);
    talk(client, accepted);
    rights_close(&received);
    CHECK_OK(close(client));
    CHECK_OK(close(accepted));
}

static void in_sets(int type)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = EPOLLIN };
    vsock_pair(type, fds);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    fds[0] = move(fds[0]);
    fds[1] = move(fds[1]);
    epoll = move(epoll);
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(EPOLLIN, event.events);
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* ---- to a child ---- */

static void to_a_child(int type)
{
    int own[2], fds[2];
    guest_pair(SOCK_SEQPACKET, own);
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct message_received received;
        char bytes[16];
        CHECK_OK(close(own[0]));
        rights_expect(__FILE__, __LINE__, own[1], 8, 0, "four", 4, &received);
        int connection = received.fds[0], listener = received.fds[1], fresh = received.fds[2];
        CHECK_EQ(5, read(connection, bytes, sizeof bytes));
        CHECK_EQ(6, write(connection, "answer", 6));
        CHECK_OK(vsock_connect(fresh, VSOCK_HOST, vsock_port(listener)));
        int accepted = vsock_accept(listener);
        talk(fresh, accepted);
        CHECK_EQ(4, write(received.fds[3], "pipe", 4));
        CHECK_EQ(0, read(connection, bytes, sizeof bytes)); /* until the parent closes */
        _exit(0);
    }
    CHECK_OK(close(own[1]));
    vsock_pair(type, fds);
    CHECK_EQ(5, write(fds[1], "early", 5));
    int writer, reader = rights_witness(&writer);
    int sent[] = { fds[0], vsock_socket(type), vsock_socket(type), writer };
    char bytes[8];
    CHECK_OK(vsock_bind(sent[1], VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_OK(listen(sent[1], 4));
    CHECK_EQ(4, message_send(own[0], "four", 4, sent, 4));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(close(sent[i]));
    }
    CHECK_EQ(6, read(fds[1], bytes, sizeof bytes));
    CHECK_EQ(4, read(reader, bytes, sizeof bytes));
    guest_process_blocked(pid);
    CHECK_OK(close(fds[1]));
    guest_wait_exit(pid, 0);
    CHECK_GONE(reader);
    CHECK_OK(close(own[0]));
}

/* A child that has received a connection is killed. */
static void killed(int type)
{
    int own[2], fds[2];
    guest_pair(SOCK_STREAM, own);
    vsock_pair(type, fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_close_both(fds);
        struct message_received received;
        rights_expect(__FILE__, __LINE__, own[1], 8, 0, "m", 1, &received);
        (void)!read(received.fds[0], (char[1]){ 0 }, 1);
        _exit(1);
    }
    CHECK_EQ(1, message_send(own[0], "m", 1, &fds[0], 1));
    CHECK_OK(close(fds[0]));
    guest_process_blocked(pid);
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    CHECK_EQ(POLLRDHUP, guest_poll(fds[1], POLLRDHUP, RIGHTS_SOON_MS) & POLLRDHUP);
    CHECK_OK(close(fds[1]));
    guest_close_both(own);
}

/* ---- over AF_VSOCK ---- */

static void over_vsock(int type)
{
    int fds[2], writer, witness = rights_witness(&writer);
    struct rights_message message = { .size = 0 };
    vsock_pair(type, fds);
    rights_add_fds(&message, &writer, 1);
    CHECK_EQ(1, rights_send(fds[0], "m", 1, &message, 0));
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
    EXPECT(fds[1], 8, 0, "m", 0);
    guest_close_both(fds);
}

int main(void)
{
    vsock_require_guard();
    guest_start();
    for (int over = 0; over < 2; over++) {
        guest_pair(rights_types[over], channel);
        for (int i = 0; i < 2; i++) {
            connected(rights_types[i]);
            listening(rights_types[i]);
            in_flight(rights_types[i]);
            in_sets(rights_types[i]);
            to_a_child(rights_types[i]);
            killed(rights_types[i]);
            over_vsock(rights_types[i]);
        }
        guest_close_both(channel);
    }
    return guest_end();
}
