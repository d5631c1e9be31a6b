/*
 * vsock_data.c - see vsock_data.h: ends, credit, shutdown, poll
 */
#include "vsock_data.h"

#include <errno.h>

/* net/vmw_vsock/af_vsock.c: VSOCK_DEFAULT_* */
#define DEFAULT_BUFFER_SIZE        262144u
#define DEFAULT_BUFFER_MIN         128u
#define DEFAULT_CONNECT_TIMEOUT_NS 2000000000ull

#define NO_CID  UINT32_MAX /* VMADDR_CID_ANY */
#define NO_PORT UINT32_MAX /* VMADDR_PORT_ANY */

void vsock_end_init(struct vsock_end *end, uint32_t machine)
{
    uint32_t credit = arena->header.options.vsock_credit;

    end->machine = machine;
    atomic_store(&end->flags, 0);
    atomic_store(&end->local_cid, NO_CID);
    atomic_store(&end->local_port, NO_PORT);
    atomic_store(&end->remote_cid, NO_CID);
    atomic_store(&end->remote_port, NO_PORT);
    atomic_store(&end->sock, VSOCK_UNCONNECTED);
    atomic_store(&end->state, VSOCK_CLOSE);
    atomic_store(&end->deadline_ns, 0);
    atomic_store(&end->connect_timeout_ns, DEFAULT_CONNECT_TIMEOUT_NS);
    vsock_end_limit(end, credit != 0 ? credit : DEFAULT_BUFFER_SIZE);
}

void vsock_end_limit(struct vsock_end *end, uint32_t size)
{
    if (size == 0) {
        return;
    }
    atomic_store(&end->buffer_size, size);
    atomic_store(&end->buffer_min, size < DEFAULT_BUFFER_MIN ? size : DEFAULT_BUFFER_MIN);
    atomic_store(&end->buffer_max, size > DEFAULT_BUFFER_SIZE ? size : DEFAULT_BUFFER_SIZE);
}

void vsock_end_inherit(struct description *server, const struct description *listener)
{
    struct vsock_end *to = &server->vsock;
    const struct vsock_end *from = &listener->vsock;

    atomic_store(&to->buffer_size, atomic_load(&from->buffer_size));
    atomic_store(&to->buffer_min, atomic_load(&from->buffer_min));
    atomic_store(&to->buffer_max, atomic_load(&from->buffer_max));
    atomic_store(&to->connect_timeout_ns, atomic_load(&from->connect_timeout_ns));
}

/* ---- Credit ---- */

static void set_limit(struct emu_task *self, uint32_t index, uint32_t limit)
{
    struct socket_buf *buf = buf_at(index);
    struct buf_state state;

    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    state.limit = limit;
    buf_publish_locked(buf, &state);
    lock_release(self, &buf->lock);
}

/* A size as a transport has it: virtio_transport_do_socket_init. */
static uint64_t cut_size(struct vsock_end *end)
{
    uint64_t size = atomic_load(&end->buffer_size);

    if (size > UINT32_MAX) { /* VIRTIO_VSOCK_MAX_BUF_SIZE */
        size = UINT32_MAX;
        atomic_store(&end->buffer_size, size);
    }
    return size;
}

void vsock_set_credit(struct emu_task *self, struct description *one, struct description *other)
{
    uint64_t size = base_min_u64(cut_size(&one->vsock), cut_size(&other->vsock));
    uint32_t limit = (uint32_t)base_min_u64(size, VSOCK_CREDIT_MAX);

    set_limit(self, one->rx, limit);
    set_limit(self, one->tx, limit);
}

/* Records are reported when they are read. */
static uint32_t unreported(const struct buf_state *state)
{
    return state->kind == DESCRIPTION_VSOCK_STREAM ? state->unreported : 0;
}

void vsock_report(struct emu_task *self, const struct description *description, uint32_t only_below)
{
    struct socket_buf *buf = buf_at(description->rx);
    struct wake_list list;
    struct buf_state state;

    wake_list_init(&list);
    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    if (!(state.flags & BUF_NATIVE) &&
        (only_below == UINT32_MAX || (state.used < only_below && unreported(&state) > 0))) {
        if (unreported(&state) > 0) {
            vsock_report_locked(&state);
            buf_publish_locked(buf, &state);
        }
        if (state.charged < state.limit) {
            queue_notify_locked(&buf->writers, VSOCK_SPACE_KEY, &list);
        }
    }
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
}

/* ---- Shutdown ---- */

static void change_flags(struct emu_task *self, uint32_t index, uint32_t set, uint32_t clear)
{
    struct socket_buf *buf = buf_at(index);
    struct buf_state state;

    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    state.flags = (uint16_t)((state.flags & ~clear) | set);
    buf_publish_locked(buf, &state);
    lock_release(self, &buf->lock);
}

/* Wakes the readers of one direction and the writers of the other without a key: a change of state.
 */
static void state_change(struct emu_task *self, uint32_t reads, uint32_t writes)
{
    struct socket_buf *rx = buf_at(reads);
    struct socket_buf *tx = buf_at(writes);
    struct wake_list list;

    wake_list_init(&list);
    lock_acquire(self, &rx->lock);
    queue_notify_locked(&rx->readers, POLLHUP, &list);
    lock_release(self, &rx->lock);
    lock_acquire(self, &tx->lock);
    queue_notify_locked(&tx->writers, POLLHUP, &list);
    lock_release(self, &tx->lock);
    wake_list_flush(self, &list);
}

/*
 * A reset comes to whoever reads this direction, or it answers one: virtio_transport_do_close.
 * Returns whether it was closed before.
 */
static bool do_close(struct emu_task *self, uint32_t index, bool only_if_empty)
{
    struct socket_buf *buf = buf_at(index);
    struct buf_state state;
    bool done;

    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    done = !only_if_empty || (state.used == 0 && !(state.flags & BUF_CLOSING));
    if (done) {
        state.flags |= BUF_DONE | (state.used == 0 ? BUF_CLOSING : 0);
        buf_publish_locked(buf, &state);
    }
    done = done || state.flags & BUF_CLOSING;
    lock_release(self, &buf->lock);
    return done;
}

/*
 * Our packet says that both are shut. A peer with nothing unread is closed by it, and answers with
 * a reset, which closes us. A peer that was shut by itself doesn't hear us any more. Returns
 * whether we were closed.
 */
static bool shut_both(struct emu_task *self, const struct description *description)
{
    uint32_t rx = buf_peek(buf_at(description->rx)).flags;
    uint32_t tx = buf_peek(buf_at(description->tx)).flags;

    if (!(rx & BUF_SHUT_READER) || !(tx & BUF_SHUT_WRITER) ||
        (rx & BUF_SHUT_WRITER && tx & BUF_SHUT_READER)) {
        return false;
    }
    return do_close(self, description->tx, true) && do_close(self, description->rx, false);
}

int64_t vsock_shutdown(struct emu_task *self, struct description *description, int how)
{
    bool connected = description_is_connected(description);
    bool reads = how == SHUT_RD || how == SHUT_RDWR;
    bool writes = how == SHUT_WR || how == SHUT_RDWR;

    if (!connected && atomic_load(&description->vsock.sock) == VSOCK_UNCONNECTED) {
        return -ENOTCONN;
    }
    atomic_store(&description->vsock.sock, VSOCK_DISCONNECTING);
    change_flags(self, description->rx, reads ? BUF_SHUT_READER | BUF_SHUT : 0, BUF_DONE);
    change_flags(self, description->tx, writes ? BUF_SHUT_WRITER | BUF_SHUT : 0, 0);
    state_change(self, description->rx, description->tx);
    if (connected) {
        bool reset;

        vsock_report(self, description, UINT32_MAX); /* it is a packet */
        reset = shut_both(self, description);
        state_change(self, description->tx, description->rx);
        if (reset) {
            state_change(self, description->rx, description->tx);
        }
    }
    return 0;
}

/* ---- Questions ---- */

int64_t vsock_address_error(const struct description *description)
{
    if (description_is_connected(description) &&
        !(buf_peek(buf_at(description->rx)).flags & BUF_CLOSING)) {
        return -EISCONN;
    }
    return -EOPNOTSUPP;
}

/* 0, or why there is no answer. */
static int ioctl_error(const struct description *description)
{
    if (!vsock_has_transport(description)) {
        return -EOPNOTSUPP;
    }
    return atomic_load(&description->phase) == PHASE_LISTENING ? -EINVAL : 0;
}

int64_t vsock_unread(const struct description *description)
{
    int rc = ioctl_error(description);

    return rc < 0 ? rc : (int64_t)buf_peek(buf_at(description->rx)).used;
}

int64_t vsock_unsent(const struct description *description)
{
    return ioctl_error(description);
}

/* What vsock_poll() says of shutdowns. */
static uint32_t shut_bits(uint32_t rx, uint32_t tx)
{
    uint32_t bits = 0;

    if (tx & BUF_SHUT_WRITER && (rx & BUF_SHUT_READER || rx & BUF_SHUT_WRITER)) {
        bits |= POLLHUP;
    }
    if (rx & (BUF_SHUT_READER | BUF_SHUT_WRITER)) {
        bits |= POLLRDHUP | POLLIN | POLLRDNORM;
    }
    return bits;
}

/* A connect() that nobody has answered is over: vsock_expire() says so next. */
static bool has_expired(const struct description *description)
{
    uint64_t deadline = atomic_load(&description->vsock.deadline_ns);

    return EMU_UNLIKELY(deadline != 0) && host_now_ns() >= deadline;
}

static uint32_t unconnected_bits(const struct description *description)
{
    uint32_t rx = buf_peek(buf_at(description->rx)).flags;
    uint32_t tx = buf_peek(buf_at(description->tx)).flags;
    bool expired = has_expired(description);
    uint32_t bits = shut_bits(rx, tx);

    if ((expired || atomic_load(&description->vsock.state) == VSOCK_CLOSE) &&
        !(tx & BUF_SHUT_WRITER)) {
        bits |= POLLOUT | POLLWRNORM;
    }
    return bits | (expired || atomic_load(&description->error) != 0 ? POLLERR : 0);
}

/* With all that is rare: somebody has shut something, or SO_RCVLOWAT isn't 1. */
static uint32_t rare_bits(const struct description *description)
{
    struct buf_state rx = buf_peek(buf_at(description->rx));
    struct buf_state tx = buf_peek(buf_at(description->tx));
    uint32_t bits = shut_bits(rx.flags, tx.flags);

    if (rx.used >= atomic_load(&description->receive_low) && !(rx.flags & BUF_SHUT_READER)) {
        bits |= POLLIN | POLLRDNORM;
    }
    if (!(tx.flags & BUF_SHUT_WRITER) && (rx.flags & BUF_CLOSING || tx.charged < tx.limit)) {
        bits |= POLLOUT | POLLWRNORM;
    }
    return bits;
}

uint32_t vsock_readiness(const struct description *description)
{
    uint32_t rx = buf_bits(buf_at(description->rx));
    uint32_t tx = buf_bits(buf_at(description->tx));
    uint32_t bits;

    if (EMU_UNLIKELY((rx | tx) & BUF_FRESH)) {
        return unconnected_bits(description);
    }
    if (EMU_LIKELY(!((rx | tx) & BUF_SHUT) &&
                   atomic_load_explicit(&description->receive_low, memory_order_relaxed) == 1)) {
        bits = (rx & BUF_IN) | (tx & BUF_OUT);
        bits |= bits << 6; /* RDNORM, WRNORM: see description_look() */
    } else {
        bits = rare_bits(description);
    }
    if (EMU_UNLIKELY(atomic_load_explicit(&description->error, memory_order_relaxed) != 0)) {
        bits |= POLLERR;
    }
    return bits;
}
