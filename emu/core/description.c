/*
 * description.c - see description.h
 */
#include "description.h"

#include <errno.h>
#include <string.h>

/* Fills one end in; it isn't live yet. Returns its index or ARENA_NONE. */
static uint32_t make_end(const struct description_plan *plan, uint32_t slot)
{
    uint32_t index = pool_take(&arena->header.descriptions, arena->descriptions_links,
                               EMU_MAX_DESCRIPTIONS);
    struct description *description;

    if (index == ARENA_NONE) {
        return ARENA_NONE;
    }
    description = description_at(index);
    /* A sweep that finds it in the making believes this: what stood there is of an earlier life. */
    atomic_store(&description->peer, ARENA_NONE);
    atomic_store(&description->state, DESCRIPTION_MAKING | slot << 8);
    description->kind = plan->kind;
    description->rx = plan->rx;
    description->tx = plan->tx;
    description->rx_generation = plan->rx == ARENA_NONE ? 0 : buf_at(plan->rx)->generation;
    description->tx_generation = plan->tx == ARENA_NONE ? 0 : buf_at(plan->tx)->generation;
    description->maker = slot;
    atomic_store_explicit(&description->status, plan->status, memory_order_relaxed);
    atomic_store_explicit(&description->shared, 0, memory_order_relaxed);
    atomic_store_explicit(&description->error, 0, memory_order_relaxed);
    atomic_store_explicit(&description->peek_offset, -1, memory_order_relaxed);
    atomic_store_explicit(&description->receive_low, 1, memory_order_relaxed);
    atomic_store_explicit(&description->identified, 0, memory_order_relaxed);
    atomic_store_explicit(&description->receive_timeout_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&description->send_timeout_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&description->sample_fd, -1, memory_order_relaxed);
    atomic_store_explicit(&description->native, 0, memory_order_relaxed);
    atomic_store_explicit(&description->phase, PHASE_CONNECTED, memory_order_relaxed);
    atomic_store_explicit(&description->pending, 0, memory_order_relaxed);
    atomic_store_explicit(&description->queued, 0, memory_order_relaxed);
    atomic_store_explicit(&description->named, 0, memory_order_relaxed);
    atomic_store_explicit(&description->hidden, 0, memory_order_relaxed);
    atomic_store_explicit(&description->handed_over, 0, memory_order_relaxed);
    atomic_store_explicit(&description->vsock.deadline_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&description->vsock.flags, 0, memory_order_relaxed);
    atomic_store_explicit(&description->watchers, 0, memory_order_relaxed);
    memset((void *)&description->owner, 0, sizeof description->owner);
    description_hold(description, slot);
    return index;
}

/* Gives a description back to the table; nothing names it any more. */
static void free_end(uint32_t index)
{
    struct description *description = description_at(index);

    /* First: who reads the new generation doesn't take it for what belonged to the old peer. */
    atomic_store(&description->peer, ARENA_NONE);
    atomic_fetch_add(&description->generation, 1);
    for (int i = 0; i < (int)HOLDER_WORDS; i++) {
        atomic_store_explicit(&description->holders[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&description->state, DESCRIPTION_FREE, memory_order_release);
    pool_give(&arena->header.descriptions, arena->descriptions_links, index);
}

uint32_t description_create_set(struct emu_task *self, uint32_t epoll, uint32_t generation)
{
    const struct description_plan plan = { DESCRIPTION_EPOLL, ARENA_NONE, ARENA_NONE, 0 };
    uint32_t index = make_end(&plan, self->process->slot);

    if (index != ARENA_NONE) {
        description_at(index)->epoll = epoll;
        description_at(index)->epoll_generation = generation;
        atomic_store_explicit(&description_at(index)->native, DESCRIPTION_SET,
                              memory_order_relaxed);
        atomic_store_explicit(&description_at(index)->state, DESCRIPTION_LIVE,
                              memory_order_release);
    }
    return index;
}

uint32_t description_create_device(struct emu_task *self, uint32_t status)
{
    const struct description_plan plan = { DESCRIPTION_DEVICE, ARENA_NONE, ARENA_NONE, status };
    uint32_t index = make_end(&plan, self->process->slot);

    if (index != ARENA_NONE) {
        /* The placeholder isn't asked for news: nothing stands at its other end. */
        atomic_store_explicit(&description_at(index)->phase, PHASE_FRESH, memory_order_relaxed);
        atomic_store_explicit(&description_at(index)->state, DESCRIPTION_LIVE,
                              memory_order_release);
    }
    return index;
}

static void discard_bufs(struct emu_task *self, const struct description_plan *plan)
{
    if (plan->rx != ARENA_NONE) {
        buf_discard(self, plan->rx);
    }
    if (plan->tx != ARENA_NONE) {
        buf_discard(self, plan->tx);
    }
}

int description_create_pair(struct emu_task *self, const struct description_plan plans[2],
                            uint32_t ret_indexes[2])
{
    uint32_t slot = self->process->slot;
    uint32_t a = make_end(&plans[0], slot);
    uint32_t b = a == ARENA_NONE ? ARENA_NONE : make_end(&plans[1], slot);

    if (b == ARENA_NONE) {
        if (a != ARENA_NONE) {
            free_end(a);
        }
        discard_bufs(self, plans);
        return -ENFILE;
    }
    description_at(a)->peer = b;
    description_at(a)->peer_generation = description_at(b)->generation;
    description_at(b)->peer = a;
    description_at(b)->peer_generation = description_at(a)->generation;
    atomic_store_explicit(&description_at(a)->state, DESCRIPTION_LIVE, memory_order_release);
    atomic_store_explicit(&description_at(b)->state, DESCRIPTION_LIVE, memory_order_release);
    if (plans[0].rx != ARENA_NONE) {
        buf_own(plans[0].rx);
    }
    if (plans[0].tx != ARENA_NONE) {
        buf_own(plans[0].tx);
    }
    ret_indexes[0] = a;
    ret_indexes[1] = b;
    return 0;
}

struct description *description_peer(const struct description *description)
{
    uint32_t index = atomic_load(&description->peer);
    struct description *peer;

    if (index == ARENA_NONE) {
        return NULL;
    }
    peer = description_at(index);
    if (atomic_load_explicit(&peer->state, memory_order_acquire) != DESCRIPTION_LIVE ||
        atomic_load_explicit(&peer->generation, memory_order_relaxed) !=
            description->peer_generation) {
        return NULL;
    }
    return peer;
}

void description_hold(struct description *description, uint32_t slot)
{
    atomic_fetch_or(&description->holders[slot / 64], 1ull << (slot % 64));
}

bool description_held_by(const struct description *description, uint32_t slot)
{
    return atomic_load(&description->holders[slot / 64]) >> (slot % 64) & 1;
}

bool description_held(const struct description *description)
{
    for (int i = 0; i < (int)HOLDER_WORDS; i++) {
        if (atomic_load(&description->holders[i]) != 0) {
            return true;
        }
    }
    return false;
}

bool description_owner_waits(const struct description *description, uint32_t link)
{
    const struct waiter *waiter = link != 0 ? waiter_at(link - 1) : NULL;

    return waiter && atomic_load(&waiter->linked) == 1 + WAITER_OWNER &&
           waiter->target == description_index(description) &&
           waiter->task_next == atomic_load(&description->generation);
}

static void take_back(struct emu_task *self, const struct description *description, uint32_t link)
{
    if (description_owner_waits(description, link)) {
        /* If we die now, the sweep goes on. */
        atomic_store(&waiter_at(link - 1)->process, self->process->slot);
        queue_unregister(self, link - 1);
    }
}

void description_disown(struct emu_task *self, struct description *description)
{
    take_back(self, description, atomic_exchange(&description->owner.waiter, 0));
    take_back(self, description, atomic_exchange(&description->owner.waiter_out, 0));
}

/* ---- Connections that are being made ---- */

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

static void bury_if_unheld(struct emu_task *self, uint32_t index);

void description_lose(struct emu_task *self, uint32_t index, uint32_t generation)
{
    struct description *server = description_at(index);
    uint64_t queued = atomic_load(&server->queued);
    uint32_t place = (uint32_t)queued;

    if (queued >> 32 == generation && place != 0 && place != QUEUED_LOST &&
        atomic_compare_exchange_strong(&server->queued, &queued,
                                       (uint64_t)generation << 32 | QUEUED_LOST)) {
        bury_if_unheld(self, index);
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
            bury_if_unheld(self, i);
        }
    }
}

/* The generation tells a record that was freed and waits for somebody else's connection now. */
static uint32_t waiting_state(uint32_t generation)
{
    return DESCRIPTION_WAITING | generation << 8;
}

static bool belongs_to(const struct description *server, const struct description *client)
{
    return atomic_load(&server->peer) == description_index(client) &&
           atomic_load(&server->peer_generation) == atomic_load(&client->generation);
}

static void bury(struct emu_task *self, uint32_t index);

/* The client dies before it was connected: so does what was to be the other side. */
static void end_waiting(struct emu_task *self, uint32_t index, const struct description *client)
{
    struct description *server = description_at(index);
    uint32_t waiting = waiting_state(atomic_load(&server->generation));

    if (belongs_to(server, client) &&
        atomic_compare_exchange_strong(&server->state, &waiting,
                                       DESCRIPTION_DYING | self->process->slot << 8)) {
        bury(self, index);
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
        index = make_end(&plan, slot);
    }
    if (index == ARENA_NONE) {
        discard_bufs(self, &plan);
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
    index = make_end(&plan, self->process->slot);
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
        free_end(index); /* another thread connects the same socket */
        return before - 1;
    }
    atomic_store(&description_at(index)->state,
                 waiting_state(atomic_load(&description_at(index)->generation)));
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
    state.unreported = 0;
    buf_publish_locked(buf, &state);
    lock_release(self, &buf->lock);
}

/* A gateway has it still, and closes it some day: that is no end of what the bufs serve then. */
static void cut_off(struct description *server, const struct description *client)
{
    if (belongs_to(server, client)) {
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
    uint32_t waiting = waiting_state(generation);

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
    if (belongs_to(server, client) && atomic_load(&client->state) == DESCRIPTION_LIVE &&
        atomic_load(&client->pending) == index + 1 && may_connect(client)) {
        connect_locked(client, index, generation);
    }
    lock_release(self, &buf_at(server->tx)->lock);
    return true;
}

bool description_adopt(uint32_t server)
{
    uint32_t waiting = waiting_state(atomic_load(&description_at(server)->generation));

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
static void end_meetings(struct emu_task *self, struct description *description)
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

/* The last steps of a description's life; each may be repeated. Requires: state is DYING. */
static void bury(struct emu_task *self, uint32_t index)
{
    struct description *description = description_at(index);

    description_disown(self, description);
    names_forget(self, description);
    description_end(self, description);
    epoll_description_dies(self, description);
    end_meetings(self, description);
    if (description->rx != ARENA_NONE) {
        buf_release(self, description->rx, description->rx_generation, BUF_REF_READER);
    }
    if (description->tx != ARENA_NONE) {
        buf_release(self, description->tx, description->tx_generation, BUF_REF_WRITER);
    }
    free_end(index);
}

/* An acceptor holds it, then takes it off the queue: looked at the other way round. */
static bool is_in_use(const struct description *description)
{
    return description_is_queued(description) || description_held(description);
}

/* Buries a description that nobody holds, unless somebody else does so already. */
static void bury_if_unheld(struct emu_task *self, uint32_t index)
{
    struct description *description = description_at(index);
    uint32_t live = DESCRIPTION_LIVE;

    if (is_in_use(description) ||
        !atomic_compare_exchange_strong(&description->state, &live,
                                        DESCRIPTION_DYING | self->process->slot << 8)) {
        return;
    }
    if (is_in_use(description)) { /* since we looked, it was freed and made anew by others */
        atomic_store(&description->state, DESCRIPTION_LIVE);
        return;
    }
    bury(self, index);
}

void description_drop(struct emu_task *self, uint32_t index, uint32_t slot)
{
    struct description *description = description_at(index);
    uint32_t place = description_queue_place(description);

    /* Who holds a server's side has accepted it, whether or not it came to say so. */
    if (EMU_UNLIKELY(place != 0 && place != QUEUED_LOST) &&
        description_held_by(description, slot)) {
        description_accepted(description);
    }
    atomic_fetch_and(&description->holders[slot / 64], ~(1ull << (slot % 64)));
    bury_if_unheld(self, index);
}

/* Whether a description, live or dying, names the buf as it is now. */
static bool buf_is_named(uint32_t buf)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint32_t generation = atomic_load(&buf_at(buf)->generation);

    for (uint32_t i = 0; i < used; i++) {
        const struct description *description = description_at(i);
        uint32_t state = atomic_load(&description->state) & 0xff;

        if ((state == DESCRIPTION_LIVE || state == DESCRIPTION_DYING) &&
            ((description->rx == buf && description->rx_generation == generation) ||
             (description->tx == buf && description->tx_generation == generation))) {
            return true;
        }
    }
    return false;
}

static void sweep_bufs(struct emu_task *self, uint32_t slot)
{
    uint32_t used = atomic_load_explicit(&arena->header.bufs.fresh, memory_order_acquire);

    for (uint32_t i = 0; i < used; i++) {
        uint32_t transit = BUF_TRANSIT | slot << 8;

        if (atomic_load(&buf_at(i)->life) != transit) {
            continue;
        }
        if (buf_is_named(i)) {
            atomic_compare_exchange_strong(&buf_at(i)->life, &transit, BUF_OWNED);
        } else if (atomic_compare_exchange_strong(&buf_at(i)->life, &transit,
                                                  BUF_TRANSIT | self->process->slot << 8)) {
            buf_discard(self, i);
        }
    }
}

/*
 * A server's side whose connection isn't made belongs to its client while that lives, whoever made
 * it, and dies with it. Anything else that was in the making is nobody's.
 */
static void sweep_unconnected(struct emu_task *self, uint32_t index, uint32_t making, uint32_t seen)
{
    struct description *server = description_at(index);
    /* `seen` was read first: if somebody frees it, what we see is another's, and nothing is done.
     */
    uint32_t peer = atomic_load(&server->peer);
    uint32_t mine = self->process->slot << 8;
    bool lives = peer != ARENA_NONE && belongs_to(server, description_at(peer)) &&
                 atomic_load(&description_at(peer)->state) != DESCRIPTION_FREE;

    if (lives && atomic_load(&description_at(peer)->pending) == index + 1) {
        atomic_compare_exchange_strong(&server->state, &making,
                                       waiting_state(atomic_load(&server->generation)));
    } else if (lives || peer == ARENA_NONE) {
        if (atomic_compare_exchange_strong(&server->state, &making, DESCRIPTION_MAKING | mine)) {
            free_end(index);
        }
    } else if (atomic_compare_exchange_strong(&server->state, &seen, DESCRIPTION_DYING | mine)) {
        bury(self, index);
    }
}

void description_sweep(struct emu_task *self, uint32_t slot)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint32_t mine = self->process->slot << 8;

    for (uint32_t i = 0; i < used; i++) {
        struct description *description = description_at(i);
        uint32_t making = DESCRIPTION_MAKING | slot << 8;
        uint32_t dying = DESCRIPTION_DYING | slot << 8;
        uint32_t seen = atomic_load(&description->state);

        if (seen == DESCRIPTION_LIVE) {
            bury_if_unheld(self, i);
        } else if (atomic_compare_exchange_strong(&description->state, &dying,
                                                  DESCRIPTION_DYING | mine)) {
            bury(self, i);
        } else if ((seen & 0xff) == DESCRIPTION_WAITING || seen == making) {
            sweep_unconnected(self, i, making, seen);
        }
    }
    sweep_bufs(self, slot);
}

int description_take_error(struct description *description)
{
    if (EMU_LIKELY(atomic_load_explicit(&description->error, memory_order_relaxed) == 0)) {
        return 0;
    }
    return atomic_exchange(&description->error, 0);
}

static void wake_queue(struct emu_task *self, uint32_t index, uint32_t events)
{
    struct socket_buf *buf;
    struct wake_list list;

    wake_list_init(&list);
    if (index == ARENA_NONE) {
        return;
    }
    buf = buf_at(index);
    lock_acquire(self, &buf->lock);
    queue_notify_locked(&buf->readers, events, &list);
    queue_notify_locked(&buf->writers, events, &list);
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
}

void description_wake(struct emu_task *self, struct description *description, uint32_t events)
{
    wake_queue(self, description->rx, events);
    wake_queue(self, description->tx, events);
}
