/*
 * kill_names.h - the objects of kill_names_steps: listeners, clients, a gateway, a connection
 * beside
 *
 * objects->fds[0] is a listener, fds[1] its client; or the socket that becomes the listener. There
 * is one kind of name at a time.
 */
#ifndef KILL_NAMES_H
#define KILL_NAMES_H

#include "kill_steps.h"
#include "names.h"
#include "vsock.h"

#include <sys/un.h>

enum {
    STRIDE = 61,        /* where nothing else is asked for */
    SECOND = 20,        /* bytes of the second client that waits */
    LIMIT_MS = 10000,   /* that something is told */
    ANSWER_US = 700000, /* a gateway that lives has answered by then, also step by step */
    TIME_OUT_US = 2000,
    PORT = 5000,
    NO_PORT = 5001, /* nobody has it */
    GUEST = 3,
    NO_GUEST = 4,
    TRIES = 4,
    BESIDE = 7, /* descriptions of the connections beside and of the listener in front */
    BESIDE_BUFS = 10,
};

/* CLIENT_NAMED: the client has an abstract name of its own. ANY: a port that nobody chose. */
static enum { PATH, ABSTRACT, CLIENT_NAMED, VSOCK, ANY } kind;

static char folder[] = "/tmp/kill_names.XXXXXX";
static int second; /* the client that waits behind the first */

/* ---- Names ---- */

static inline int family(void)
{
    return kind == VSOCK || kind == ANY ? AF_VSOCK : AF_UNIX;
}

union address {
    struct sockaddr any;
    struct sockaddr_un of_unix;
    struct sockaddr_vm vm;
};

static inline socklen_t abstract_name(const char *what, union address *ret_address)
{
    *ret_address = (union address){ .of_unix = { .sun_family = AF_UNIX } };
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) +
           (socklen_t)snprintf(ret_address->of_unix.sun_path + 1, 100, "%s%s", folder, what);
}

static inline socklen_t vsock_name(uint32_t cid, uint32_t port, union address *ret_address)
{
    *ret_address = (union address){
        .vm = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port },
    };
    return sizeof ret_address->vm;
}

static inline socklen_t listener_name(bool to_connect, union address *ret_address)
{
    if (kind == VSOCK)
        return vsock_name(to_connect ? VMADDR_CID_LOCAL : VMADDR_CID_ANY, PORT, ret_address);
    if (kind == ANY)
        return vsock_name(VMADDR_CID_ANY, VMADDR_PORT_ANY, ret_address);
    if (kind != PATH)
        return abstract_name("/listener", ret_address);
    *ret_address = (union address){ .of_unix = { .sun_family = AF_UNIX } };
    snprintf(ret_address->of_unix.sun_path, sizeof ret_address->of_unix.sun_path, "%s/l", folder);
    return sizeof ret_address->of_unix;
}

static inline void unlink_path(void)
{
    union address address;

    if (kind == PATH) {
        listener_name(false, &address);
        unlink(address.of_unix.sun_path);
    }
}

/* ---- Calls, as the shim makes them ---- */

static inline int64_t bind_to(int fd, const union address *address, socklen_t size)
{
    const int64_t result = emu_bind(&self, fd, &address->any, size);

    return result != EMU_NATIVE ? result : bind(fd, &address->any, size) < 0 ? -errno : 0;
}

static inline int64_t connect_to(int fd, const union address *address, socklen_t size)
{
    const int64_t result = emu_connect(&self, fd, &address->any, size);

    return result != EMU_NATIVE ? result : connect(fd, &address->any, size) < 0 ? -errno : 0;
}

static inline int64_t bind_socket(int fd)
{
    union address address;
    const socklen_t size = listener_name(false, &address);

    return bind_to(fd, &address, size);
}

static uint32_t chosen_port; /* ANY: the port of the listener */

static inline int64_t connect_socket(int fd)
{
    union address address;
    socklen_t size = listener_name(true, &address);

    if (kind == ANY)
        size = vsock_name(VMADDR_CID_LOCAL, chosen_port, &address);
    return connect_to(fd, &address, size);
}

/* Somebody has the name, but doesn't listen; of AF_VSOCK nobody has it. */
static inline int64_t connect_nowhere(int fd)
{
    union address address;
    const socklen_t size = family() == AF_VSOCK ? vsock_name(VMADDR_CID_LOCAL, NO_PORT, &address)
                                                : abstract_name("/deaf", &address);

    return connect_to(fd, &address, size);
}

/* From guest to guest nothing goes. */
static inline int64_t connect_unanswered(int fd)
{
    union address address;
    const socklen_t size = vsock_name(NO_GUEST, PORT, &address);

    return connect_to(fd, &address, size);
}

static inline int accept_any(int listener)
{
    int64_t result = emu_accept4(&self, listener, NULL, NULL, 0);

    if (result == EMU_NATIVE) {
        result = accept4(listener, NULL, NULL, 0);
        result = result < 0 ? -errno : result;
    }
    check(result >= 0 || result == -EAGAIN, "accept fails");
    return result < 0 ? -1 : (int)result;
}

static inline short poll_any(int fd, short events, int timeout_ms)
{
    struct pollfd one = { .fd = fd, .events = events };
    int64_t result = emu_poll(&self, &one, 1, timeout_ms);

    if (result == EMU_NATIVE)
        result = poll(&one, 1, timeout_ms);
    check(result >= 0, "poll fails");
    return result == 0 ? 0 : one.revents;
}

/* Size, 0 or -errno. */
static inline int64_t receive(int fd)
{
    unsigned char data[CALL];
    const int64_t result = emu_recv(&self, fd, data, sizeof data, MSG_DONTWAIT);

    if (result != EMU_NATIVE)
        return result;
    const ssize_t got = recv(fd, data, sizeof data, MSG_DONTWAIT);

    return got < 0 ? -errno : got;
}

/* SO_ERROR, which it takes away. */
static inline int pending_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (emu_getsockopt(&self, fd, SOL_SOCKET, SO_ERROR, &error, &size) == EMU_NATIVE)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

static inline int64_t admit(int fd, int verdict)
{
    const int64_t result = emu_setsockopt(&self, fd, AF_VSOCK, EMU_VSOCK_ADMIT, &verdict,
                                          sizeof verdict);

    return result;
}

/* ---- Bytes ---- */

/* All that is there, which is a stream from its first byte on. */
static inline size_t take_all(int fd)
{
    return drain(fd, 0);
}

static inline void send_first(int fd, size_t size)
{
    unsigned char data[BEFORE];

    fill(data, 0, size);
    CHECK_EQUAL(write_any(fd, data, size), (int64_t)size);
}

static inline void say(int from, int to)
{
    unsigned char data[10] = { 0 };

    CHECK_EQUAL(write_any(from, "0123456789", 10), 10);
    check((poll_any(to, POLLIN, LIMIT_MS) & POLLIN) != 0, "the bytes don't come");
    CHECK_EQUAL(read_any(to, data, sizeof data), 10);
    check(memcmp(data, "0123456789", 10) == 0, "other bytes come out");
}

static inline void exchange(int one, int other)
{
    say(one, other);
    say(other, one);
}

/* The other side is gone: a reset perhaps, then the end. */
static inline void see_end(int fd)
{
    int64_t got;

    check((poll_any(fd, POLLIN, LIMIT_MS) & POLLIN) != 0, "nobody tells the end");
    got = receive(fd);
    if (got == -ECONNRESET)
        got = receive(fd);
    check(got == 0 || got == -ECONNRESET, "not the end");
}

/* Each learns of the other's end. */
static inline void close_both(int one, int other)
{
    CHECK_EQUAL(close_any(one), 0);
    see_end(other);
    CHECK_EQUAL(close_any(other), 0);
}

/* ---- Objects ---- */

static inline int make_socket(int type)
{
    const int64_t fd = emu_socket(&self, family(), type, 0);

    check(fd >= 0, "no socket");
    return (int)fd;
}

/* A listener shows what waits, and takes what isn't there as an error. */
static inline void listen_on(struct objects *objects, int fd)
{
    union address address;
    socklen_t size = sizeof address;

    CHECK_EQUAL(emu_listen(&self, fd, 8), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    objects->fds[0] = fd;
    if (kind == ANY) {
        CHECK_EQUAL(emu_getsockname(&self, fd, &address.any, &size), 0);
        chosen_port = address.vm.svm_port;
    }
}

static inline void make_listener(struct objects *objects, int backlog)
{
    objects->fds[0] = make_socket(SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_EQUAL(bind_socket(objects->fds[0]), 0);
    CHECK_EQUAL(emu_listen(&self, objects->fds[0], backlog), 0);
}

static inline int make_client(void)
{
    const int fd = make_socket(SOCK_STREAM);
    union address address;

    if (kind == CLIENT_NAMED) {
        const socklen_t size = abstract_name("/client", &address);

        CHECK_EQUAL(bind_to(fd, &address, size), 0);
    }
    return fd;
}

static inline void shorten_time_out(int fd, long us)
{
    const struct timeval time = { .tv_usec = us };

    CHECK_EQUAL(
        emu_setsockopt(&self, fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &time, sizeof time), 0);
}

/* ---- Connections that nobody touches, and their listener ---- */

static struct {
    int listener;
    int client;
    int server;
    int waiting;
    int deaf; /* bound, and doesn't listen */
} beside;

static inline int beside_client(void)
{
    union address address;
    const socklen_t size = abstract_name("/beside", &address);
    const int fd = (int)emu_socket(&self, AF_UNIX, SOCK_STREAM, 0);

    CHECK_EQUAL(emu_connect(&self, fd, &address.any, size), 0);
    send_first(fd, SECOND);
    return fd;
}

static inline void make_bystander(void)
{
    union address address;
    socklen_t size = abstract_name("/beside", &address);

    beside.listener = (int)emu_socket(&self, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_EQUAL(bind_to(beside.listener, &address, size), 0);
    CHECK_EQUAL(emu_listen(&self, beside.listener, 4), 0);
    beside.client = beside_client();
    beside.server = accept_any(beside.listener);
    beside.waiting = beside_client();
    size = abstract_name("/deaf", &address);
    beside.deaf = (int)emu_socket(&self, AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQUAL(bind_to(beside.deaf, &address, size), 0);
}

static inline void see_bystander(void)
{
    const int server = accept_any(beside.listener);

    CHECK_EQUAL((int64_t)take_all(beside.server), SECOND);
    exchange(beside.client, beside.server);
    close_both(beside.client, beside.server);
    CHECK_EQUAL((int64_t)take_all(server), SECOND);
    exchange(beside.waiting, server);
    close_both(server, beside.waiting);
    CHECK_EQUAL(close_any(beside.listener), 0);
    CHECK_EQUAL(close_any(beside.deaf), 0);
}

/* ---- What is prepared ---- */

static inline void begin(int wanted)
{
    kind = wanted;
    second = -1;
    process.cid = VMADDR_CID_HOST;
    unlink_path();
    make_bystander();
}

static inline void with_socket(struct objects *objects, int wanted)
{
    begin(wanted);
    objects->fds[1] = make_socket(SOCK_STREAM);
}

static inline void with_fresh(struct objects *objects, int wanted)
{
    begin(wanted);
    make_listener(objects, 8);
    objects->fds[1] = make_client();
    if (wanted == VSOCK)
        shorten_time_out(objects->fds[1], TIME_OUT_US);
}

static inline void with_waiting(struct objects *objects, int wanted)
{
    begin(wanted);
    make_listener(objects, 8);
    objects->fds[1] = make_client();
    CHECK_EQUAL(connect_socket(objects->fds[1]), 0);
    send_first(objects->fds[1], BEFORE);
    second = make_socket(SOCK_STREAM);
    CHECK_EQUAL(connect_socket(second), 0);
    send_first(second, SECOND);
}

#define PREPARES(name, how, wanted)                  \
    static inline void name(struct objects *objects) \
    {                                                \
        how(objects, wanted);                        \
    }

static inline void nothing(struct objects *objects, int wanted)
{
    (void)objects;
    begin(wanted);
}

static inline void with_bound(struct objects *objects, int wanted)
{
    with_socket(objects, wanted);
    CHECK_EQUAL(bind_socket(objects->fds[1]), 0);
}

PREPARES(path_nothing, nothing, PATH)
PREPARES(vsock_nothing, nothing, VSOCK)
PREPARES(path_socket, with_socket, PATH)
PREPARES(abstract_socket, with_socket, ABSTRACT)
PREPARES(vsock_socket, with_socket, VSOCK)
PREPARES(any_socket, with_socket, ANY)
PREPARES(path_bound, with_bound, PATH)
PREPARES(vsock_bound, with_bound, VSOCK)
PREPARES(path_fresh, with_fresh, PATH)
PREPARES(abstract_fresh, with_fresh, ABSTRACT)
PREPARES(named_fresh, with_fresh, CLIENT_NAMED)
PREPARES(vsock_fresh, with_fresh, VSOCK)
PREPARES(path_waiting, with_waiting, PATH)
PREPARES(abstract_waiting, with_waiting, ABSTRACT)
PREPARES(named_waiting, with_waiting, CLIENT_NAMED)
PREPARES(vsock_waiting, with_waiting, VSOCK)

/* One waits, and there is room for no other. */
static inline void vsock_full(struct objects *objects)
{
    begin(VSOCK);
    make_listener(objects, 0);
    second = make_client();
    CHECK_EQUAL(connect_socket(second), 0);
    objects->fds[1] = make_client();
}

/* All of it on a guest. */
static inline void guest_fresh(struct objects *objects)
{
    begin(VSOCK);
    process.cid = GUEST;
    make_listener(objects, 8);
    objects->fds[1] = make_client();
    shorten_time_out(objects->fds[1], POLL_MS * 1000);
}

static inline void guest_unanswered(struct objects *objects)
{
    const int fd = (guest_fresh(objects), objects->fds[1]);

    shorten_time_out(fd, TIME_OUT_US);
    emu_fcntl(&self, fd, F_SETFL, O_NONBLOCK);
    CHECK_EQUAL(connect_unanswered(fd), -EINPROGRESS);
    emu_fcntl(&self, fd, F_SETFL, 0);
    poll(NULL, 0, 2 * TIME_OUT_US / 1000); /* the time is over by then, whoever looks */
}

static inline void make_gateway(struct objects *objects)
{
    const int on = 1;

    objects->fds[0] = make_socket(SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_EQUAL(emu_setsockopt(&self, objects->fds[0], AF_VSOCK, EMU_VSOCK_GATEWAY, &on, sizeof on),
                0);
    CHECK_EQUAL(emu_listen(&self, objects->fds[0], 8), 0);
}

/* A guest's connect that waits for the gateway's word. */
static inline int ask_gateway(void)
{
    union address address;
    const socklen_t size = vsock_name(VMADDR_CID_HOST, PORT, &address);
    int fd;

    process.cid = GUEST;
    fd = make_socket(SOCK_STREAM | SOCK_NONBLOCK);
    process.cid = VMADDR_CID_HOST;
    shorten_time_out(fd, ANSWER_US);
    CHECK_EQUAL(connect_to(fd, &address, size), -EINPROGRESS);
    emu_fcntl(&self, fd, F_SETFL, 0);
    return fd;
}

static inline void gateway_asked(struct objects *objects)
{
    process.gateway = true;
    begin(VSOCK);
    make_gateway(objects);
    objects->fds[1] = ask_gateway();
}

/* ---- The end of every check ---- */

static unsigned long stale_names;
static unsigned long kept_for_gateways;

/* Who says that it has a name is found by it; and so many are. */
static inline void check_names(uint32_t expected)
{
    const _Atomic uint64_t *slots = (const _Atomic uint64_t *)(const void *)arena->names;
    uint32_t live = 0;

    for (uint32_t i = 0; i < EMU_MAX_NAMES; i++) {
        const uint64_t entry = atomic_load_explicit(&slots[i], memory_order_relaxed);

        stale_names += entry != 0;
    }
    for (uint32_t i = 0; i < atomic_load(&arena->header.descriptions.fresh); i++) {
        const struct description *description = description_at(i);
        const struct description *found = NULL;
        uint32_t at = 0;

        if (atomic_load(&description->state) != DESCRIPTION_LIVE ||
            atomic_load(&description->named) == 0)
            continue;
        live++;
        do {
            found = names_find(description->name, &at);
        } while (found != NULL && found != description);
        check(found == description, "a name that isn't found");
    }
    stale_names -= live;
    CHECK_EQUAL(live, expected);
}

/*
 * Beside the listener and the connections beside nothing is left. One window is known: a gateway
 * that was killed between the kernel's accept and its own hold.
 */
static inline void check_counts(bool gateway)
{
    struct emu_session_counts counts;

    emu_session_count(&counts);
    if (gateway && counts.descriptions == BESIDE + 1) {
        kept_for_gateways++;
        counts.descriptions--;
        counts.bufs -= 2;
    }
    CHECK_EQUAL(counts.descriptions, BESIDE);
    CHECK_EQUAL(counts.bufs, BESIDE_BUFS);
    CHECK_EQUAL(counts.waiters, 0);
}

/* The listener serves the next client, and then only it and what is beside is left. */
static inline void finish(struct objects *objects)
{
    const int listener = objects->fds[0];
    const int client = make_client();
    int server;

    CHECK_EQUAL(poll_any(listener, POLLIN | POLLOUT, 0), 0);
    CHECK_EQUAL(connect_socket(client), 0);
    CHECK_EQUAL(poll_any(listener, POLLIN | POLLOUT, 0), POLLIN);
    server = accept_any(listener);
    check(server >= 0, "the next client doesn't wait");
    exchange(client, server);
    close_both(client, server);
    check_counts(false);
    check_names(3);
    CHECK_EQUAL(close_any(listener), 0);
    unlink_path();
    see_bystander();
}

static inline void finish_gateway(struct objects *objects)
{
    const int client = ask_gateway();
    const int server = accept_any(objects->fds[0]);

    check(server >= 0, "nobody asks the gateway");
    CHECK_EQUAL(admit(server, 0), 0);
    CHECK_EQUAL(pending_error(client), 0);
    exchange(client, server);
    close_both(client, server);
    check_counts(true);
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
    process.gateway = false;
    see_bystander();
}

/* Connects what a dead process may have connected, or half. */
static inline void connect_again(int fd)
{
    int64_t result = -EAGAIN;

    for (int i = 0; i < TRIES && result != 0 && result != -EISCONN; i++) {
        result = connect_socket(fd);
        check(result == 0 || result == -EISCONN ||
                  (kind == VSOCK && (result == -ETIMEDOUT || result == -ECONNRESET)),
              "the next connect fails");
    }
    check(result == 0 || result == -EISCONN, "it can't be connected any more");
}

/* The client is the last that waits; what waits before it was given up. */
static inline void use_client(struct objects *objects)
{
    int server = -1;
    size_t got;

    for (int next; (next = accept_any(objects->fds[0])) >= 0; server = next) {
        if (server >= 0) {
            see_end(server);
            CHECK_EQUAL(close_any(server), 0);
        }
    }
    check(server >= 0, "the client doesn't wait");
    got = take_all(server);
    check(got == 0 || got == CALL, "other bytes than were sent");
    exchange(objects->fds[1], server);
    close_both(objects->fds[1], server);
    if (second >= 0)
        CHECK_EQUAL(close_any(second), 0);
}

static inline void say_where(int number)
{
    dprintf(STDERR_FILENO, "%s: killed at step %lu: somebody sleeps for ever\n", scenario_name,
            killed_at);
    signal(number, SIG_DFL);
    raise(number);
}

static inline void names_begin(void)
{
    stride = STRIDE;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, say_where);
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        exit(1);
    }
}

static inline void names_end(void)
{
    rmdir(folder);
}

#endif
