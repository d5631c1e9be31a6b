/*
 * Proves (in the emulator only): what the kernel's own test of AF_VSOCK asks for and the other
 * guests don't have in this form: a bound client that connects twice from one port, reports of
 * credit in the two ways that need SO_RCVLOWAT, a packet that joins a partly read one, a reader
 * whose buffer has a hole, the race between connect and the close of a listener, a connect that is
 * retried from 0 to a CID, SIGPIPE for either half.
 *
 * Rows: 7.9 "Kernel self-test", 7.5 "The receiver's forwarded count", 7.5 "Packets of <= 128 B",
 * 7.8 "SEQPACKET: since 5.14", 7.3 "A connected socket that was bound explicitly keeps its port"
 */
#include <linux/sockios.h>
#include <sys/mman.h>

#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
static _Thread_local char big[VSOCK_CREDIT];

/* Its own port is free for the second connection as soon as the first is over on both sides. */
static void twice_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, 1);
    for (int i = 0; i < 2; i++) {
        int fd = vsock_accept(listener);
        CHECK_PEER(VMADDR_CID_LOCAL, vsock_port(listener) + 1, fd);
        vsock_wait_bit(fd, POLLRDHUP);
        CHECK_OK(close(fd));
        vsock_meet(side);
    }
    CHECK_OK(close(listener));
}

static void twice_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side);
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(SOCK_STREAM);
        CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, port + 1));
        CHECK_OK(vsock_connect(fd, side->peer_cid, port));
        CHECK_OK(close(fd));
        vsock_meet(side);
    }
}

/* A buffer of 128 KiB, one byte more to send; the reader takes 64 KiB. */
enum { SMALL_BUFFER = 131072 };

static void reports_server(struct vsock_side *side, bool on_read)
{
    int fd = vsock_answer(side, SOCK_STREAM);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, SMALL_BUFFER);
    if (on_read) {
        vsock_set_int(fd, SO_RCVLOWAT, VSOCK_PACKET + 1);
    }
    CHECK_EQ(1, write(fd, "x", 1));
    vsock_meet(side);
    vsock_peer_blocked(side); /* the last byte doesn't fit */
    CHECK_EQ(SMALL_BUFFER, recv(fd, big, SMALL_BUFFER, MSG_PEEK));
    CHECK_EQ(VSOCK_PACKET, recv(fd, big, VSOCK_PACKET, 0));
    if (!on_read) {
        vsock_peer_blocked(side);
        vsock_set_int(fd, SO_RCVLOWAT, VSOCK_PACKET + 1);
    }
    CHECK_EQ(VSOCK_IN, guest_poll(fd, VSOCK_IN | POLLRDHUP, -1));
    CHECK_EQ(VSOCK_PACKET + 1, recv(fd, big, VSOCK_PACKET + 1, MSG_DONTWAIT));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void reports_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    CHECK_EQ(1, read(fd, big, 1));
    vsock_meet(side);
    CHECK_EQ(SMALL_BUFFER + 1, send(fd, big, SMALL_BUFFER + 1, 0));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void on_read_server(struct vsock_side *side)
{
    reports_server(side, true);
}

static void on_set_server(struct vsock_side *side)
{
    reports_server(side, false);
}

static void joined_server(struct vsock_side *side)
{
    char bytes[64];
    int fd = vsock_answer(side, SOCK_STREAM);
    vsock_meet(side);
    CHECK_EQ(2, recv(fd, bytes, 2, 0));
    vsock_meet(side);
    vsock_meet(side); /* the second one has come */
    CHECK_EQ(8, recv(fd, bytes + 2, 8, 0));
    CHECK_ERR(EAGAIN, recv(fd, bytes + 10, 54, MSG_DONTWAIT));
    CHECK_MEM("HELLOWORLD", bytes, 10);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void joined_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    CHECK_EQ(5, send(fd, "HELLO", 5, 0));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_EQ(5, send(fd, "WORLD", 5, 0));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/* Three pages with none in the middle: EFAULT; a record is lost by it, a stream's data isn't. */
static void hole_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_answer(side, types[i]);
        memset(big, 'a', 3 * GUEST_PAGE);
        CHECK_EQ(3 * GUEST_PAGE, send(fd, big, 3 * GUEST_PAGE, 0));
        memset(big, 'b', 3 * GUEST_PAGE);
        CHECK_EQ(3 * GUEST_PAGE, send(fd, big, 3 * GUEST_PAGE, 0));
        vsock_meet(side);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void hole_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_dial(side, types[i]);
        char *pages = mmap(NULL, 3 * GUEST_PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(pages != MAP_FAILED);
        CHECK_OK(munmap(pages + GUEST_PAGE, GUEST_PAGE));
        vsock_meet(side);
        CHECK_ERR(EFAULT, read(fd, pages, 3 * GUEST_PAGE));
        CHECK_EQ(3 * GUEST_PAGE, recv(fd, big, 3 * GUEST_PAGE, MSG_WAITALL));
        for (int j = 0; j < 3 * GUEST_PAGE; j++) {
            CHECK_EQ(types[i] == SOCK_STREAM ? 'a' : 'b', big[j]);
        }
        vsock_meet(side);
        CHECK_OK(munmap(pages, GUEST_PAGE));
        CHECK_OK(munmap(pages + 2 * GUEST_PAGE, GUEST_PAGE));
        CHECK_OK(close(fd));
    }
}

/* connect against the close of the listener: either outcome, and nothing is left of it. */
enum { RACES = 300 };

static void race_server(struct vsock_side *side)
{
    for (int i = 0; i < RACES; i++) {
        int fd = vsock_socket(types[i % 2]);
        CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        CHECK_OK(listen(fd, 1));
        vsock_say(side, vsock_port(fd));
        CHECK_OK(close(fd));
    }
}

static void race_client(struct vsock_side *side)
{
    for (int i = 0; i < RACES; i++) {
        int fd = vsock_socket(types[i % 2]);
        if (vsock_connect(fd, side->peer_cid, vsock_hear(side)) == 0) {
            CHECK_EQ(0, recv(fd, (char[1]){ 0 }, 1, 0)); /* once it is closed, an orderly end */
        } else {
            CHECK_EQ(ECONNRESET, errno);
        }
        CHECK_OK(close(fd));
    }
}

/* Signals all the time at a connect that changes its destination ("transport change"). */
enum { CHANGES = 200 };

static atomic_int changes_over;

static void *disturb(void *argument)
{
    const struct vsock_side *side = argument;
    while (!atomic_load(&changes_over)) {
        CHECK_OK(syscall(SYS_tgkill, getpid(), side->peer_tid, SIGUSR1));
        sched_yield();
    }
    return NULL;
}

static void changes_client(struct vsock_side *side)
{
    struct guest_thread thread;
    struct vsock_side own = { .peer_tid = guest_gettid() };
    uint32_t port = vsock_hear(side);
    guest_count_signal(SIGUSR1, 0);
    atomic_store(&changes_over, 0);
    guest_thread_start(&thread, disturb, &own);
    for (int i = 0; i < CHANGES; i++) {
        int fd = vsock_socket(SOCK_STREAM);
        if (vsock_connect(fd, side->peer_cid, port) != 0) {
            CHECK(errno == EINTR || errno == ECONNRESET);
        }
        if (vsock_connect(fd, VMADDR_CID_HYPERVISOR, port) != 0) {
            CHECK(errno == ENODEV || errno == EISCONN || errno == EINTR);
        }
        CHECK_OK(close(fd));
    }
    atomic_store(&changes_over, 1);
    guest_thread_join(&thread);
    vsock_say(side, 1);
}

static void changes_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, CHANGES);
    CHECK_EQ(1, vsock_hear(side));
    guest_set_nonblock(listener, true);
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        CHECK_EQ(0, recv(fd, (char[1]){ 0 }, 1, 0));
        CHECK_OK(close(fd));
    }
    CHECK_EQ(EAGAIN, errno);
    CHECK_OK(close(listener));
}

/* Random records up to 16 KiB, 2 MiB of them, over a buffer as large: bounds and marks are kept. */
enum { RECORDS_BUFFER = 2 << 20, RECORD_MOST = 16384, RECORDS = RECORDS_BUFFER / RECORD_MOST };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223; /* Numerical Recipes' */
    return *state >> 8;
}

static void records_server(struct vsock_side *side)
{
    uint32_t random = 1;
    int fd = vsock_answer(side, SOCK_SEQPACKET);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, RECORDS_BUFFER);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, RECORDS_BUFFER);
    vsock_meet(side);
    vsock_meet(side); /* all are sent */
    for (int i = 0; i < RECORDS; i++) {
        size_t size = 1 + next_random(&random) % RECORD_MOST;
        struct iovec vector = { big, RECORD_MOST };
        struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
        CHECK_EQ(size, recvmsg(fd, &message, 0));
        CHECK_EQ(next_random(&random) % 2 ? MSG_EOR : 0, message.msg_flags);
        guest_pattern_check(big, size, (uint64_t)i);
    }
    CHECK_EQ(0, recv(fd, big, 1, 0));
    CHECK_OK(close(fd));
}

static void records_client(struct vsock_side *side)
{
    uint32_t random = 1;
    int fd = vsock_dial(side, SOCK_SEQPACKET);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, RECORDS_BUFFER);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, RECORDS_BUFFER);
    vsock_meet(side);
    for (int i = 0; i < RECORDS; i++) {
        size_t size = 1 + next_random(&random) % RECORD_MOST;
        guest_pattern_fill(big, size, (uint64_t)i);
        CHECK_EQ(size, send(fd, big, size, next_random(&random) % 2 ? MSG_EOR : 0));
    }
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void pipe_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_STREAM);
    CHECK_OK(shutdown(fd, SHUT_RD));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void pipe_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    vsock_meet(side);
    vsock_sigpipes = 0;
    CHECK_ERR(EPIPE, send(fd, "A", 1, 0));
    CHECK_EQ(1, vsock_sigpipes);
    CHECK_ERR(EPIPE, send(fd, "A", 1, MSG_NOSIGNAL));
    CHECK_EQ(1, vsock_sigpipes);
    CHECK_BITS(VSOCK_OUT, fd);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static const struct vsock_case cases[] = {
    { "double bind connect", twice_server, twice_client, 0, 0, false },
    { "credit update on low rx bytes", on_read_server, reports_client, 0, 0, false },
    { "credit update on SO_RCVLOWAT", on_set_server, reports_client, 0, 0, false },
    { "packets merge", joined_server, joined_client, 0, 0, false },
    { "invalid buffer", hole_server, hole_client, 0, 0, false },
    { "accept queue race", race_server, race_client, 0, 0, false },
    { "transport change", changes_server, changes_client, 0, 0, false },
    { "record bounds", records_server, records_client, 0, 0, false },
    { "SHUT_RD", pipe_server, pipe_client, 0, 0, false },
};

VSOCK_MAIN(cases)
