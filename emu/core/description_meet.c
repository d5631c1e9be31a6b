/*
 * description_meet.c - sockets before they are connected, and how two become each other's peer
 *
 * See meeting.h for the protocol, docs/LOCKING.md for its order. Linux:
 * net/unix/af_unix.c:unix_stream_connect, unix_accept.
 */
#include "description.h"

#include <errno.h>

bool description_is_queued(const struct description *server)
{
    uint32_t queued = description_queue_place(server);
    const struct description *listener;

    if (EMU_LIKELY(queued == 0 || queued == QUEUED_LOST)) {
        return false;
    }
    listener = description_at(queued - 1);
    return atomic_load(&listener->state) == DESCRIPTION_LIVE &&
           atomic_load(&listener->generation) == atomic_load(&server->queued_generation);
}

void description_accepted(struct description *server)
{
    atomic_store(&server->queued, 0);
}

void description_lose(struct emu_task *self, uint32_t index, uint32_t generation)
{
    struct description *server = description_at(index);
    uint64_t queued = atomic_load(&server->queued);
    uint32_t place = (uint32_t)queued;

    if (queued >> 32 == generation && place != 0 && place != QUEUED_LOST &&
        atomic_compare_exchange_strong(&server->queued, &queued,
                                       (uint64_t)generation << 32 | QUEUED_LOST)) {
        description_bury_if_unheld(self, index);
    }
}

void description_mind_listener(struct emu_task *self, uint32_t index, uint32_t generation)
{
    uint64_t queued = atomic_load(&description_at(index)->queued);

    /* What is asked about is in the word that description_lose() reads again, or is over. */
    if (queued >> 32 == generation && !description_is_queued(description_at(index))) {
        description_lose(self, index, generation);
    }
}

/* The listener of a gateway is gone: nobody will ever answer. */
static void refuse_doubtful(struct emu_task *self, uint32_t index, uint64_t queued)
{
    struct description *server = description_at(index);
    uint32_t client = atomic_load(&server->peer);
    uint32_t generation = atomic_load(&server->peer_generation);
    bool doubt = description_is_vsock(server) && atomic_load(&server->vsock.flags) & VSOCK_DOUBT;

    /* It may belong to another client by now, unless it stands in the queue still. */
    if (doubt && client != ARENA_NONE &&
        atomic_compare_exchange_strong(&server->queued, &queued, 0)) {
        vsock_refuse(self, index, client, generation, ECONNRESET);
    }
}

static void end_queued(struct emu_task *self, const struct description *listener)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint32_t queued = description_index(listener) + 1;
    uint32_t generation = atomic_load(&listener->generation);

    for (uint32_t i = 0; i < used; i++) {
        struct description *server = description_at(i);
        uint64_t expected = description_queue_word(server, queued);

        if (description_queue_place(server) != queued ||
            atomic_load(&server->queued_generation) != generation) {
            continue;
        }
        if (atomic_load(&server->state) != DESCRIPTION_LIVE) {
            refuse_doubtful(self, i, expected);
        } else if (atomic_compare_exchange_strong(&server->queued, &expected,
                                                  description_queue_word(server, QUEUED_LOST))) {
            description_bury_if_unheld(self, i);
        }
    }
}

/* The generation tells a record that was freed and waits for somebody else's connection now. */
uint32_t description_waiting_state(uint32_t generation)
{
    return DESCRIPTION_WAITING | generation << 8;
}

bool description_belongs_to(const struct description *server, const struct description *client)
{
    return atomic_load(&server->peer) == description_index(client) &&
           atomic_load(&server->peer_generation) == atomic_load(&client->generation);
}

/* The client dies before it was connected: so does what was to be the other side. */
static void end_waiting(struct emu_task *self, uint32_t index, const struct description *client)
{
    struct description *server = description_at(index);
    uint32_t waiting = description_waiting_state(atomic_load(&server->generation));

    if (description_belongs_to(server, client) &&
        atomic_compare_exchange_strong(&server->state, &waiting,
                                       DESCRIPTION_DYING | self->process->slot << 8)) {
        description_bury(self, index);
    }
}

static void set_fresh(uint32_t index, bool fresh)
{
    struct socket_buf *buf = buf_at(index);
    struct buf_state state = buf_state_locked(buf);

    state.flags = (uint16_t)(fresh ? state.flags | BUF_FRESH : state.flags & ~BUF_FRESH);
    buf_publish_locked(buf, &state);
}

uint32_t description_create_fresh(struct emu_task *self, enum description_kind kind,
                                  uint32_t status, uint32_t limit)
{
    uint32_t slot = self->process->slot;
    struct description_plan plan = { .kind = kind, .status = status };
    uint32_t index = ARENA_NONE;

    plan.rx = buf_create(slot, EMU_PAGE * EMU_PIPE_SLOTS, limit, (uint8_t)kind);
    plan.tx = plan.rx == ARENA_NONE
                  ? ARENA_NONE
                  : buf_create(slot, EMU_PAGE * EMU_PIPE_SLOTS, limit, (uint8_t)kind);
    if (plan.tx != ARENA_NONE) {
        set_fresh(plan.rx, true); /* nobody else can reach them yet */
        set_fresh(plan.tx, true);
        index = description_make(&plan, slot);
    }
    if (index == ARENA_NONE) {
        description_discard_bufs(self, &plan);
        return ARENA_NONE;
    }
    atomic_store(&description_at(index)->phase, PHASE_FRESH);
    atomic_store_explicit(&description_at(index)->state, DESCRIPTION_LIVE, memory_order_release);
    buf_own(plan.rx);
    buf_own(plan.tx);
    return index;
}

uint32_t description_pending(struct emu_task *self, struct description *client)
{
    const struct description_plan plan = { .kind = client->kind,
                                           .rx = client->tx,
                                           .tx = client->rx };
    uint32_t before = 0;
    uint32_t index;

    if (atomic_load(&client->pending) != 0) {
        return atomic_load(&client->pending) - 1;
    }
    index = description_make(&plan, self->process->slot);
    if (index == ARENA_NONE) {
        return ARENA_NONE;
    }
    /* The other halves become its own; an earlier one, which died unaccepted, gave them up. */
    atomic_fetch_or(&buf_at(client->rx)->refs, BUF_REF_WRITER);
    atomic_fetch_or(&buf_at(client->tx)->refs, BUF_REF_READER);
    atomic_store(&description_at(index)->holders[self->process->slot / 64], 0);
    atomic_store(&description_at(index)->peer_generation, atomic_load(&client->generation));
    atomic_store(&description_at(index)->peer, description_index(client));
    if (!atomic_compare_exchange_strong(&client->pending, &before, index + 1)) {
        description_free(index); /* another thread connects the same socket */
        return before - 1;
    }
    atomic_store(&description_at(index)->state,
                 description_waiting_state(atomic_load(&description_at(index)->generation)));
    return index;
}

static void empty_buf(struct emu_task *self, uint32_t index)
{
    struct socket_buf *buf = buf_at(index);
    struct buf_state state;

    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    state.flags = BUF_FRESH;
    state.head = state.used = state.seg_count = state.first_taken = state.charged = 0;
    if (state.kind >= DESCRIPTION_VSOCK_STREAM) {
        state.unreported = 0;
    }
    buf_publish_locked(buf, &state);
    lock_release(self, &buf->lock);
}

/* A gateway has it still, and closes it some day: that is no end of what the bufs serve then. */
static void cut_off(struct description *server, const struct description *client)
{
    if (description_belongs_to(server, client)) {
        server->rx_generation = ~atomic_load(&buf_at(client->tx)->generation);
        server->tx_generation = ~atomic_load(&buf_at(client->rx)->generation);
    }
}

void description_renew(struct emu_task *self, struct description *client)
{
    uint32_t pending = atomic_load(&client->pending);

    if (pending != 0) {
        end_waiting(self, pending - 1, client);
        cut_off(description_at(pending - 1), client);
    }
    atomic_store(&client->pending, 0);
    empty_buf(self, client->rx);
    empty_buf(self, client->tx);
}

static void end_freshness(struct emu_task *self, uint32_t index)
{
    struct socket_buf *buf = buf_at(index);

    lock_acquire(self, &buf->lock);
    set_fresh(index, false);
    lock_release(self, &buf->lock);
}

/* Not so when it is connected already, or has given up. */
static bool may_connect(const struct description *client)
{
    return atomic_load(&client->phase) != PHASE_CONNECTED &&
           (!description_is_vsock(client) || atomic_load(&client->vsock.sock) == VSOCK_CONNECTING);
}

/* Says it in the client's record. Requires: the lock of what the client reads. */
static void connect_locked(struct description *client, uint32_t server, uint32_t generation)
{
    atomic_store(&client->peer_generation, generation);
    atomic_store(&client->peer, server);
    set_fresh(client->rx, false);
    atomic_store(&client->vsock.state, VSOCK_ESTABLISHED); /* means nothing for AF_UNIX */
    atomic_store(&client->vsock.sock, VSOCK_CONNECTED);
    atomic_store(&client->phase, PHASE_CONNECTED);
}

/* The server's side begins to live: false when it has died since, or its client had before. */
static bool begin_to_live(struct description *server, uint32_t generation)
{
    uint32_t waiting = description_waiting_state(generation);

    return atomic_compare_exchange_strong(&server->state, &waiting, DESCRIPTION_LIVE) ||
           (waiting == DESCRIPTION_LIVE && atomic_load(&server->generation) == generation);
}

bool description_connect_client(struct emu_task *self, struct description *client, uint32_t server,
                                uint32_t generation)
{
    if (!begin_to_live(description_at(server), generation)) {
        return false; /* accepted, used and closed: the acceptor has said all that follows */
    }
    /* The server's side may die at any moment now; what is looked at is the client's own. */
    end_freshness(self, client->tx);
    lock_acquire(self, &buf_at(client->rx)->lock);
    if (may_connect(client)) {
        connect_locked(client, server, generation);
    }
    lock_release(self, &buf_at(client->rx)->lock);
    return true;
}

bool description_connect_server(struct emu_task *self, uint32_t index, uint32_t generation)
{
    struct description *server = description_at(index);
    struct description *client;

    if (!begin_to_live(server, generation)) {
        return false;
    }
    client = description_at(atomic_load(&server->peer)); /* of this one: it lives now */
    end_freshness(self, server->rx);
    lock_acquire(self, &buf_at(server->tx)->lock);
    /* A client that dies now waits for this lock before its record is anybody else's. */
    if (description_belongs_to(server, client) && atomic_load(&client->state) == DESCRIPTION_LIVE &&
        atomic_load(&client->pending) == index + 1 && may_connect(client)) {
        connect_locked(client, index, generation);
    }
    lock_release(self, &buf_at(server->tx)->lock);
    return true;
}

bool description_adopt(uint32_t server)
{
    uint32_t waiting = description_waiting_state(atomic_load(&description_at(server)->generation));

    return atomic_compare_exchange_strong(&description_at(server)->state, &waiting,
                                          DESCRIPTION_LIVE);
}

/* A client that was never connected has the other halves of its bufs as well. */
static void end_client(struct emu_task *self, struct description *client)
{
    uint32_t pending = atomic_load(&client->pending);

    if (pending != 0) {
        end_waiting(self, pending - 1, client);
    } else if (atomic_load(&client->phase) != PHASE_CONNECTED) {
        buf_release(self, client->rx, client->rx_generation, BUF_REF_WRITER);
        buf_release(self, client->tx, client->tx_generation, BUF_REF_READER);
    }
}

/* What else ends with a socket: a connection that was being made, those that wait at a listener. */
void description_end_meetings(struct emu_task *self, struct description *description)
{
    if (!description_is_socket(description)) {
        return;
    }
    if (atomic_load(&description->phase) == PHASE_LISTENING) {
        end_queued(self, description);
    }
    if (description_is_vsock(description) && atomic_load(&description->vsock.flags) & VSOCK_DOUBT) {
        vsock_refuse(self, description_index(description), atomic_load(&description->peer),
                     atomic_load(&description->peer_generation), ECONNRESET);
    }
    end_client(self, description);
}
