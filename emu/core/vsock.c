/*
 * vsock.c - see vsock.h
 */
#include "vsock.h"

#include "process.h"
#include "vsock_data.h"
#include "vsock_route.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>

#define PRIVILEGED_PORTS 1024u /* LAST_RESERVED_PORT + 1 */

/* vsock_addr_cast(). 0, or the errno of a bad pointer. */
static int import(const void *address, int size, struct sockaddr_vm *ret_address)
{
    char copy[128]; /* move_addr_to_kernel: all of it must be readable */

    if (size < 0 || size > (int)sizeof copy) {
        return -EINVAL;
    }
    if (host_copy(copy, address, (size_t)size) < 0) {
        return -EFAULT;
    }
    if (size < (int)sizeof *ret_address) {
        return -EINVAL;
    }
    memcpy(ret_address, copy, sizeof *ret_address);
    if (ret_address->svm_family != AF_VSOCK ||
        (ret_address->svm_flags & ~VMADDR_FLAG_TO_HOST) != 0) {
        return -EINVAL;
    }
    return 0;
}

/* ---- Ports ---- */

static bool is_bound(const struct vsock_end *end)
{
    return atomic_load(&end->local_port) != VMADDR_PORT_ANY;
}

/* Whether what is sent to `cid` is for it. */
static bool is_bound_to(const struct vsock_end *end, uint32_t cid)
{
    uint32_t own = atomic_load(&end->local_cid);

    return own == VMADDR_CID_ANY || own == cid;
}

/* Requires: the names' lock. */
static bool is_taken(uint32_t machine, uint32_t cid, uint32_t port)
{
    const struct description *other;
    uint32_t at = 0;

    while ((other = names_find(name_of_port(machine, port), &at)) != NULL) {
        uint32_t theirs = atomic_load(&other->vsock.local_cid);

        if (cid == theirs || cid == VMADDR_CID_ANY || theirs == VMADDR_CID_ANY) {
            return true;
        }
    }
    return false;
}

/* Requires: the names' lock. */
static int take_port(struct description *description, uint32_t cid, uint32_t port)
{
    struct vsock_end *end = &description->vsock;
    int rc;

    if (is_taken(end->machine, cid, port)) {
        return -EADDRINUSE;
    }
    description->name = name_of_port(end->machine, port);
    atomic_store(&end->local_cid, cid);
    rc = names_enter_locked(description);
    if (rc == 0) {
        atomic_store(&end->local_port, port);
    }
    return rc;
}

/* A port for a socket that doesn't care. Requires: the names' lock. */
static int take_any_port(struct description *description, uint32_t cid)
{
    for (int i = 0; i < EMU_CONNECT_RETRIES; i++) {
        uint32_t port = atomic_fetch_add(&arena->header.next_port, 1);
        int rc;

        if (port == VMADDR_PORT_ANY || port < PRIVILEGED_PORTS) {
            atomic_store(&arena->header.next_port, PRIVILEGED_PORTS);
            port = atomic_fetch_add(&arena->header.next_port, 1);
        }
        rc = take_port(description, cid, port);
        if (rc != -EADDRINUSE) {
            return rc;
        }
    }
    return -EADDRNOTAVAIL;
}

static int bind_to(struct emu_task *self, struct description *description, uint32_t cid,
                   uint32_t port)
{
    int rc;

    if (port != VMADDR_PORT_ANY && port < PRIVILEGED_PORTS && !self->process->gateway &&
        !host_has_capability(CAP_NET_BIND_SERVICE)) {
        return -EACCES;
    }
    names_lock(self);
    if (is_bound(&description->vsock)) {
        rc = -EINVAL;
    } else {
        atomic_store(&description->named, 0); /* who was killed while it bound it, perhaps */
        rc = port == VMADDR_PORT_ANY ? take_any_port(description, cid)
                                     : take_port(description, cid, port);
    }
    names_unlock(self);
    return rc;
}

int64_t vsock_bind(struct emu_task *self, struct description *description, const void *address,
                   int size)
{
    struct sockaddr_vm wanted;
    int rc = import(address, size, &wanted);

    if (rc < 0) {
        return rc;
    }
    if (is_bound(&description->vsock)) {
        return -EINVAL;
    }
    if (!vsock_is_local(description->vsock.machine, wanted.svm_cid)) {
        return -EADDRNOTAVAIL;
    }
    return bind_to(self, description, wanted.svm_cid, wanted.svm_port);
}

/* The socket that a connect to `cid` on the machine reaches; NULL: nobody's. */
static struct description *find_listener(uint32_t machine, uint32_t cid, uint32_t port)
{
    struct description *found;
    uint32_t at = 0;

    while ((found = names_find(name_of_port(machine, port), &at)) != NULL) {
        if (is_bound_to(&found->vsock, cid) && atomic_load(&found->phase) == PHASE_LISTENING) {
            return found;
        }
    }
    return NULL;
}

bool emu_session_vsock_listener(uint32_t cid, uint32_t port)
{
    struct vsock_route route = vsock_route(VMADDR_CID_HOST, cid, false);

    return route.way != VSOCK_WAY_NONE && find_listener(route.machine, cid, port) != NULL;
}

int64_t vsock_listen(struct emu_task *self, int fd, struct description *description)
{
    struct vsock_end *end = &description->vsock;
    bool gateway = atomic_load(&end->flags) & VSOCK_GATEWAY;
    int rc;

    (void)self;
    if (atomic_load(&end->sock) != VSOCK_UNCONNECTED || (!is_bound(end) && !gateway)) {
        return -EINVAL;
    }
    rc = meeting_hide(description, fd);
    if (rc < 0) {
        return rc;
    }
    atomic_store(&end->state, VSOCK_LISTEN);
    if (gateway) {
        atomic_store(&arena->header.gateway, (uint64_t)atomic_load(&description->generation) << 32 |
                                                 (description_index(description) + 1));
    }
    return 0;
}

int64_t vsock_getname(const struct description *description, bool peer, void *ret_address,
                      socklen_t *ret_size)
{
    const struct vsock_end *end = &description->vsock;
    struct meeting_address address = { .size = sizeof(struct sockaddr_vm) };
    struct sockaddr_vm name = { .svm_family = AF_VSOCK };

    if (peer && atomic_load(&end->sock) != VSOCK_CONNECTED) {
        return -ENOTCONN;
    }
    name.svm_cid = atomic_load(peer ? &end->remote_cid : &end->local_cid);
    name.svm_port = atomic_load(peer ? &end->remote_port : &end->local_port);
    if (peer) {
        name.svm_reserved1 = end->remote_reserved;
        name.svm_flags = end->remote_flags;
        memcpy(name.svm_zero, end->remote_zero, sizeof end->remote_zero);
    }
    memcpy(&address.at, &name, sizeof name);
    return meeting_store(&address, ret_address, ret_size);
}

/* ---- connect ---- */

/*
 * Locks what description_connect_server() locks: who gives up and who connects it come one by one.
 * The deadline is that of the attempt which is given up.
 */
static bool give_up(struct emu_task *self, struct description *client, uint64_t deadline_ns)
{
    uint32_t rx = client->rx; /* none: it was closed, and its record is something else's by now */
    struct socket_buf *buf = rx != ARENA_NONE ? buf_at(rx) : NULL;
    uint32_t connecting = VSOCK_CONNECTING;
    bool given;

    if (!buf) {
        return false;
    }
    lock_acquire(self, &buf->lock);
    given = atomic_load(&client->vsock.deadline_ns) == deadline_ns &&
            atomic_compare_exchange_strong(&client->vsock.sock, &connecting, VSOCK_UNCONNECTED);
    if (given) {
        atomic_store(&client->vsock.state, VSOCK_CLOSE);
        atomic_store(&client->vsock.deadline_ns, 0);
        atomic_store(&client->phase, PHASE_FRESH);
    }
    lock_release(self, &buf->lock);
    return given;
}

/* The answer is a reset: virtio_transport_recv_connecting(). socket->state stays CONNECTING. */
static void refuse(struct emu_task *self, struct description *client, int error)
{
    atomic_store(&client->vsock.state, VSOCK_CLOSE);
    atomic_store(&client->error, error);
    description_wake(self, client, POLLERR);
}

void vsock_refuse(struct emu_task *self, uint32_t server, uint32_t client_index,
                  uint32_t client_generation, int error)
{
    struct description *client;
    struct socket_buf *buf;
    uint32_t rx;
    bool alive;

    if (client_index == ARENA_NONE) {
        return; /* whoever buried it before was killed: that has been said */
    }
    client = description_at(client_index);
    rx = client->rx;
    if (rx == ARENA_NONE) {
        return; /* it is gone, and its record something else's */
    }
    buf = buf_at(rx);
    lock_acquire(self, &buf->lock); /* see description_connect_server() */
    alive = atomic_load(&client->generation) == client_generation &&
            atomic_load(&client->state) == DESCRIPTION_LIVE &&
            atomic_load(&client->pending) == server + 1 && /* else it tries again by now */
            atomic_load(&client->vsock.state) == VSOCK_SYN_SENT;
    if (alive) { /* in this order: whoever finds us dead in between says it once more */
        atomic_store(&client->error, error);
        atomic_store(&client->vsock.state, VSOCK_CLOSE);
    }
    lock_release(self, &buf->lock);
    if (alive) {
        description_wake(self, client, POLLERR);
    }
}

/* vsock_connect_timeout(): of a connect that didn't block. */
static void time_out(struct emu_task *self, struct description *client, uint64_t deadline_ns)
{
    if (atomic_load(&client->vsock.state) == VSOCK_SYN_SENT && give_up(self, client, deadline_ns)) {
        atomic_store(&client->error, ETIMEDOUT);
        description_wake(self, client, POLLERR);
    }
    atomic_compare_exchange_strong(&client->vsock.deadline_ns, &deadline_ns, 0);
}

uint64_t vsock_expire(struct emu_task *self)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint64_t now = host_now_ns();
    uint64_t next = 0;

    atomic_store(&arena->header.unanswered, 0); /* before the look: who comes sets it again */
    for (uint32_t i = 0; i < used; i++) {
        struct description *client = description_at(i);
        uint64_t deadline = atomic_load(&client->vsock.deadline_ns);

        if (deadline == 0 || atomic_load(&client->state) != DESCRIPTION_LIVE ||
            !description_is_vsock(client)) {
            continue;
        }
        if (deadline <= now) {
            time_out(self, client, deadline);
        } else {
            next = next == 0 || deadline < next ? deadline : next;
        }
    }
    if (next != 0) {
        atomic_store(&arena->header.unanswered, 1);
    }
    return next;
}

/* The server's side as the client's packet makes it: virtio_transport_recv_listen(). */
static void fill_server(struct description *server, const struct description *client,
                        const struct description *listener, const struct vsock_route *route)
{
    struct vsock_end *end = &server->vsock;

    vsock_end_init(end, route->machine);
    vsock_end_inherit(server, listener);
    atomic_store(&end->local_cid, atomic_load(&client->vsock.remote_cid));
    atomic_store(&end->local_port, atomic_load(&client->vsock.remote_port));
    end->remote_reserved = 0;
    end->remote_flags = 0;
    memset(end->remote_zero, 0, sizeof end->remote_zero);
    atomic_store(&end->remote_cid, route->source);
    atomic_store(&end->remote_port, atomic_load(&client->vsock.local_port));
    atomic_store(&end->state, VSOCK_ESTABLISHED);
    atomic_store(&end->sock, VSOCK_CONNECTED);
}

/* connect() of the placeholder, which must not wait for room in a backlog. */
static int connect_placeholder(int fd, const struct meeting_address *address)
{
    int64_t flags = host_fcntl(fd, F_GETFL, 0);
    int rc;

    if (!(flags & O_NONBLOCK)) {
        host_fcntl(fd, F_SETFL, (unsigned long)flags | O_NONBLOCK);
    }
    rc = (int)host_syscall(SYS_connect, fd, (long)&address->at, (long)address->size, 0, 0, 0);
    if (!(flags & O_NONBLOCK)) {
        host_fcntl(fd, F_SETFL, (unsigned long)flags);
    }
    return rc;
}

/* 0: connected, or waits for the gateway's word; else refused. */
static int meet(struct emu_task *self, int fd, struct description *client,
                const struct description *listener, const struct vsock_route *route)
{
    struct meeting_address address;
    struct description *server;
    struct meeting meeting;
    bool doubt = atomic_load(&listener->vsock.flags) & VSOCK_GATEWAY;
    int rc;

    if (listener->kind != client->kind ||
        meeting_prepare(self, client, fd, listener, &meeting) < 0) {
        return -ECONNRESET;
    }
    server = description_at(meeting.server);
    fill_server(server, client, listener, route);
    vsock_set_credit(self, client, server);
    atomic_fetch_or(&server->vsock.flags, doubt ? VSOCK_DOUBT : 0);
    meeting_name(listener, &address);
    rc = connect_placeholder(fd, &address);
    if (rc == 0 || rc == -EISCONN) { /* the latter when somebody was killed in between here */
        atomic_fetch_or(&client->vsock.flags, VSOCK_USED);
    }
    if (rc < 0) {
        meeting_failed(meeting);
        return -ECONNRESET; /* nobody listens any more, or the backlog is full */
    }
    if (!doubt) {
        meeting_done(self, client, meeting);
    }
    return 0;
}

/* The process of the session that stands for the world beyond it, or NULL. */
static struct description *find_gateway(const struct vsock_route *route)
{
    uint64_t gateway = atomic_load(&arena->header.gateway);
    struct description *found;

    if (gateway == 0 || route->way != VSOCK_WAY_GUEST_TO_HOST) {
        return NULL;
    }
    found = description_at((uint32_t)gateway - 1);
    return atomic_load(&found->generation) == gateway >> 32 &&
                   atomic_load(&found->state) == DESCRIPTION_LIVE
               ? found
               : NULL;
}

/* Sends the request: the answer is there when this returns, unless nobody gives one. */
static void request(struct emu_task *self, int fd, struct description *client,
                    const struct vsock_route *route)
{
    uint32_t cid = atomic_load(&client->vsock.remote_cid);
    uint32_t port = atomic_load(&client->vsock.remote_port);
    const struct description *listener;

    if (route->dropped) {
        return;
    }
    if (route->machine == client->vsock.machine && port == atomic_load(&client->vsock.local_port) &&
        is_bound_to(&client->vsock, cid)) {
        refuse(self, client, EPROTO); /* its own request: virtio_transport_recv_connecting */
        return;
    }
    listener = find_listener(route->machine, cid, port);
    if (!listener) {
        listener = find_gateway(route);
    }
    if (!listener) {
        emu_report_add(self, EMU_REPORT_NOBODY, "connect", AF_VSOCK, (int)cid, (int)port);
    }
    if (!listener || meet(self, fd, client, listener, route) < 0) {
        refuse(self, client, ECONNRESET);
    } else {
        description_wake(self, client, POLLHUP); /* sk_state_change: without a key */
    }
}

/*
 * A placeholder that was connected once, to a gateway that refused, can't be again: a fresh one is
 * put over this process's numbers, and the bufs are as new.
 */
static int renew(struct emu_task *self, struct description *client)
{
    int type = client->kind == DESCRIPTION_VSOCK_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;
    int fresh;

    if (!(atomic_load(&client->vsock.flags) & VSOCK_USED)) {
        return 0;
    }
    fresh = host_socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fresh < 0) {
        return fresh;
    }
    host_fcntl(fresh, F_SETFL, atomic_load(&client->status) & O_NONBLOCK);
    fdtab_replace(fresh, client);
    host_close(fresh);
    atomic_store(&client->identified, 0);
    atomic_store(&client->hidden, 0);
    description_renew(self, client);
    atomic_fetch_or(&client->vsock.flags, VSOCK_RENEWED);
    atomic_fetch_and(&client->vsock.flags, ~(uint32_t)VSOCK_USED);
    return 0;
}

static bool is_vm(uint32_t cid)
{
    uint32_t used = atomic_load_explicit(&arena->header.processes.fresh, memory_order_acquire);

    for (uint32_t slot = 0; slot < used; slot++) {
        const struct process_record *record = process_at(slot);

        if (PROCESS_KIND(atomic_load(&record->state)) != PROCESS_FREE &&
            atomic_load(&record->cid) == cid) {
            return true;
        }
    }
    return false;
}

/* What vsock_connect() judges before it sends anything. */
static int judge(struct emu_task *self, struct description *client, const struct vsock_route *route)
{
    int rc = 0;

    if (route->way == VSOCK_WAY_NONE) {
        return -ENODEV;
    }
    if (client->kind == DESCRIPTION_VSOCK_SEQPACKET && route->way == VSOCK_WAY_GUEST_TO_HOST &&
        self->process->options.hybrid != EMU_HYBRID_NONE) {
        return -ESOCKTNOSUPPORT; /* the device lacks VIRTIO_VSOCK_F_SEQPACKET */
    }
    if (atomic_load(&client->vsock.flags) & VSOCK_ZEROCOPY) {
        return -EOPNOTSUPP;
    }
    if (!is_bound(&client->vsock)) {
        rc = bind_to(self, client, VMADDR_CID_ANY, VMADDR_PORT_ANY);
    }
    if (rc == 0) {
        atomic_store(&client->vsock.state, VSOCK_SYN_SENT);
        if (route->way == VSOCK_WAY_HOST_TO_GUEST && !is_vm(route->machine)) {
            rc = -ENODEV; /* vhost_transport_send_pkt; the state stays */
            emu_report_add(self, EMU_REPORT_NOBODY, "connect", AF_VSOCK, (int)route->machine,
                           (int)atomic_load(&client->vsock.remote_port));
        }
    }
    return rc;
}

static int begin(struct emu_task *self, int fd, struct description *client, const void *address,
                 int size)
{
    struct vsock_end *end = &client->vsock;
    uint32_t unconnected = VSOCK_UNCONNECTED;
    struct sockaddr_vm wanted;
    struct vsock_route route;
    int rc = import(address, size, &wanted);

    if (rc == 0) {
        rc = renew(self, client);
    }
    if (rc < 0) {
        return rc;
    }
    atomic_store(&end->remote_cid, wanted.svm_cid);
    atomic_store(&end->remote_port, wanted.svm_port);
    end->remote_reserved = wanted.svm_reserved1;
    end->remote_flags = wanted.svm_flags;
    memcpy(end->remote_zero, wanted.svm_zero, sizeof end->remote_zero);
    route = vsock_route(end->machine, wanted.svm_cid, wanted.svm_flags & VMADDR_FLAG_TO_HOST);
    rc = judge(self, client, &route);
    if (rc < 0) {
        return rc;
    }
    atomic_store(&client->error, 0); /* of an earlier attempt */
    if (!atomic_compare_exchange_strong(&end->sock, &unconnected, VSOCK_CONNECTING)) {
        return -EALREADY; /* another thread was quicker */
    }
    atomic_store(&client->phase, PHASE_CONNECTING);
    request(self, fd, client, &route);
    return 0;
}

struct connecting {
    struct description *client;
};

static int64_t connecting_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct description *client = ((struct connecting *)op)->client;
    struct socket_buf *buf = buf_at(client->rx);
    int error;

    (void)last;
    if (atomic_load(&client->vsock.sock) == VSOCK_CONNECTED) {
        return 0;
    }
    error = atomic_load(&client->error); /* stays: SO_ERROR tells it again */
    if (error != 0) {
        give_up(self, client, atomic_load(&client->vsock.deadline_ns));
        return -error;
    }
    wait_set_add(set, &buf->lock, &buf->readers, &buf->version, -1, POLLOUT | POLLERR);
    return WAIT_BLOCK;
}

/* Waits for the answer. A signal or the time-out ends the attempt, and it may be made again. */
static int64_t wait_for_answer(struct emu_task *self, struct description *client)
{
    struct connecting connecting = { client };
    struct wait_item item;
    struct wait_set set = { .items = &item, .capacity = 1 };
    const struct wait_request request = {
        .try = connecting_try,
        .op = &connecting,
        .set = &set,
        .deadline_ns = host_now_ns() + atomic_load(&client->vsock.connect_timeout_ns),
    };
    int64_t rc = wait_run(self, &request); /* the caller has pinned it */

    if ((rc == -EINTR || rc == -ETIMEDOUT) &&
        !give_up(self, client, atomic_load(&client->vsock.deadline_ns)) &&
        atomic_load(&client->vsock.sock) == VSOCK_CONNECTED) {
        rc = 0; /* at the last moment */
    }
    return rc;
}

/* The attempt goes on without us; its end is at the clock's when nobody answers. */
static void leave_it(struct emu_task *self, struct description *client)
{
    if (atomic_load(&client->vsock.state) != VSOCK_SYN_SENT ||
        atomic_load(&client->vsock.sock) != VSOCK_CONNECTING) {
        return;
    }
    atomic_store(&client->vsock.deadline_ns,
                 host_now_ns() + atomic_load(&client->vsock.connect_timeout_ns));
    atomic_store(&arena->header.unanswered, 1);
    description_wake(self, client, QUEUE_RECHECK); /* who sleeps on it minds the clock now */
}

int64_t vsock_connect(struct emu_task *self, int fd, struct description *client,
                      const void *address, int size)
{
    bool nonblock = atomic_load(&client->status) & O_NONBLOCK;
    int rc;

    if (atomic_load(&arena->header.unanswered)) {
        vsock_expire(self);
    }
    switch (atomic_load(&client->vsock.sock)) {
    case VSOCK_CONNECTED: return -EISCONN;
    case VSOCK_DISCONNECTING: return -EINVAL;
    case VSOCK_CONNECTING:
        if (!meeting_resume(self, client, fd) && nonblock) {
            return -EALREADY;
        }
        break;
    default:
        if (atomic_load(&client->phase) == PHASE_LISTENING) {
            return -EINVAL;
        }
        rc = begin(self, fd, client, address, size);
        if (rc < 0) {
            return rc;
        }
        if (nonblock) {
            leave_it(self, client);
            return -EINPROGRESS;
        }
    }
    return wait_for_answer(self, client);
}

/* ---- The gateway's options ---- */

/* Not so when the client has given up, or tries again. */
static bool is_connected_to(const struct description *server)
{
    const struct description *client = description_peer(server);

    return client && description_is_connected(client) &&
           atomic_load(&client->peer) == description_index(server) &&
           atomic_load(&client->peer_generation) == atomic_load(&server->generation);
}

static int64_t admit(struct emu_task *self, struct description *server, int verdict)
{
    uint32_t index = description_index(server);
    bool connected;

    if (!(atomic_load(&server->vsock.flags) & VSOCK_DOUBT) || verdict < 0) {
        return -EINVAL;
    }
    if (verdict != 0) {
        vsock_refuse(self, index, atomic_load(&server->peer), atomic_load(&server->peer_generation),
                     verdict);
        atomic_fetch_and(&server->vsock.flags, ~(uint32_t)VSOCK_DOUBT);
        return 0;
    }
    connected = description_connect_server(self, index, atomic_load(&server->generation)) &&
                is_connected_to(server);
    /* Not before: who finds us dead in between refuses, unless it is connected. */
    atomic_fetch_and(&server->vsock.flags, ~(uint32_t)VSOCK_DOUBT);
    if (!connected) {
        return -ECONNRESET; /* it has given up */
    }
    description_wake(self, server, POLLHUP); /* a change of state: no key */
    return 0;
}

int64_t vsock_private_option(struct emu_task *self, int fd, struct description *description,
                             int name, const void *value, socklen_t size)
{
    int number;

    (void)fd;
    if (!self->process->gateway || (name != EMU_VSOCK_GATEWAY && name != EMU_VSOCK_ADMIT)) {
        return -ENOPROTOOPT;
    }
    if (size < sizeof number || host_copy(&number, value, sizeof number) < 0) {
        return -EINVAL;
    }
    if (name == EMU_VSOCK_ADMIT) {
        return admit(self, description, number);
    }
    atomic_fetch_or(&description->vsock.flags, VSOCK_GATEWAY);
    return 0;
}
