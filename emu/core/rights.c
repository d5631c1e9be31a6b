/*
 * rights.c - the sending half of rights.h: records, what they hold, the lists of bufs
 */
#include "rights.h"

#include "rights_record.h"

#include <errno.h>
#include <string.h>

/* ---- What is in flight is held ---- */

/* Counts the entries. Within fdtab_freeze(). */
static void hold(struct emu_task *self, struct rights *record, const int *fds)
{
    outer_lock_acquire(self, &arena->header.rights_lock);
    for (uint32_t i = 0; i < record->count; i++) {
        struct description *description = fdtab_get_served(fds[i]);

        record->index[i] = ARENA_NONE;
        if (description) {
            atomic_fetch_add(&description->in_flight, 1);
            description_hold(description, DESCRIPTION_IN_FLIGHT);
            atomic_store(&description->shared, 1);
            record->index[i] = description_index(description);
        }
        record->held = i + 1;
    }
    outer_lock_release(self, &arena->header.rights_lock);
}

/* In flight no more. Requires: rights_lock. */
static void land(struct description *description)
{
    uint32_t before = atomic_load(&description->in_flight);

    if (before > 0) {
        atomic_store(&description->in_flight, before - 1);
    }
    if (before <= 1) {
        atomic_fetch_and(&description->holders[0], ~(1ull << DESCRIPTION_IN_FLIGHT));
    }
}

static void give_back(uint32_t index)
{
    struct rights *record = rights_at(index);

    atomic_fetch_add(&record->generation, 1);
    atomic_store(&record->state, RIGHTS_FREE);
    pool_give(&arena->header.rights, arena->rights_links, index);
}

/* Lets one record go that is in our hands; what it held may end by that. */
static void let_go(struct emu_task *self, uint32_t index)
{
    struct rights *record = rights_at(index);
    uint32_t count = base_min_u32(record->held, RIGHTS_MAX);
    uint32_t entries[RIGHTS_MAX];

    memcpy(entries, record->index, count * sizeof entries[0]);
    outer_lock_acquire(self, &arena->header.rights_lock);
    for (uint32_t i = count; i > 0; i--) {
        record->held = i - 1;
        if (entries[i - 1] != ARENA_NONE) {
            land(description_at(entries[i - 1]));
        }
    }
    outer_lock_release(self, &arena->header.rights_lock);
    give_back(index);
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i] != ARENA_NONE) {
            description_bury_if_unheld(self, entries[i]);
        }
    }
}

/*
 * Lets a chain of records go that is in our hands. What ends by that may have records of its own
 * unread, and so on: they are added to the chain instead of to the stack.
 */
void rights_let_go(struct emu_task *self, uint32_t first)
{
    uint32_t *place = &self->rights_left;

    if (EMU_LIKELY(first == 0)) {
        return;
    }
    while (*place != 0) {
        place = &rights_at(*place - 1)->next;
    }
    *place = first;
    if (self->rights_busy) {
        return;
    }
    self->rights_busy = true;
    while (self->rights_left != 0) {
        uint32_t index = self->rights_left - 1;

        self->rights_left = rights_at(index)->next;
        let_go(self, index);
    }
    self->rights_busy = false;
}

/* ---- Lists of bufs ---- */

/* The record before `record` in the list, as the word that names it. Requires: the buf's lock. */
uint32_t *rights_link_to(struct socket_buf *buf, uint32_t record)
{
    uint32_t *place = &buf->rights;

    while (*place != 0 && *place != record) {
        place = &rights_at(*place - 1)->next;
    }
    return place;
}

/* Takes the list's first record into our hands, before the chain *ret_chain. */
void rights_take_first(struct emu_task *self, struct socket_buf *buf, uint32_t *ret_chain)
{
    uint32_t record = buf->rights;
    uint32_t next = rights_at(record - 1)->next;

    atomic_store(&rights_at(record - 1)->state, rights_hands_of(self));
    buf->rights = next;
    rights_at(record - 1)->next = *ret_chain;
    *ret_chain = record;
}

uint32_t rights_detach_locked(struct emu_task *self, struct socket_buf *buf)
{
    uint32_t chain = 0;

    while (buf->rights != 0) {
        rights_take_first(self, buf, &chain);
    }
    return chain;
}

/* The record of a segment: the last that says so. Returns index + 1, or 0. */
uint32_t rights_record_of(const struct socket_buf *buf, uint32_t number)
{
    uint32_t found = 0;

    for (uint32_t at = buf->rights; at != 0; at = rights_at(at - 1)->next) {
        found = rights_at(at - 1)->seg == number ? at : found;
    }
    return found;
}

static struct rights_tag tag_of(uint32_t record)
{
    return (struct rights_tag){ record, atomic_load(&rights_at(record - 1)->generation) };
}

/* The record of this list that a carrier names: index + 1, or 0. */
uint32_t rights_find_tag(const struct socket_buf *buf, struct rights_tag tag)
{
    for (uint32_t at = buf->rights; at != 0; at = rights_at(at - 1)->next) {
        if (at == tag.record && atomic_load(&rights_at(at - 1)->generation) == tag.generation) {
            return at;
        }
    }
    return 0;
}

/* A peek at a stream shows bytes and the carrier behind them as one. */
uint32_t rights_strays(const struct socket_buf *buf, int fd, uint32_t want)
{
    char bytes[EMU_PAGE];
    struct rights_tag tag;
    int64_t got;

    if (want > sizeof bytes) {
        return want; /* a large record */
    }
    got = rights_read(fd, bytes, want, MSG_PEEK);
    if (got < (int64_t)sizeof tag) {
        return got > 0 ? (uint32_t)got : 0;
    }
    memcpy(&tag, bytes + got - sizeof tag, sizeof tag);
    return (uint32_t)got - (rights_find_tag(buf, tag) != 0 ? (uint32_t)sizeof tag : 0);
}

/* ---- Sending ---- */

static int64_t send_control(int fd, const void *bytes, uint64_t size,
                            const struct rights_message *message)
{
    struct iovec iov = { (void *)(uintptr_t)bytes, size };
    struct msghdr header = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = (void *)(uintptr_t)message->control,
        .msg_controllen = message->size,
    };

    return host_syscall(SYS_sendmsg, fd, (long)&header, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0, 0);
}

/*
 * What scm_send() says, without a message: a stream that sends nothing, a record that is too large.
 * Both come to the headers first, and send nothing (unix_stream_sendmsg, unix_dgram_sendmsg).
 */
static int64_t ask_kernel(int fd, const struct description *description,
                          const struct rights_message *message)
{
    uint64_t size = description_keeps_records(description) ? 1u << 28 : 0;
    int64_t rc = send_control(fd, message->control, size, message);

    switch (rc) {
    case -EINVAL:
    case -EBADF:
    case -EPERM:
    case -ESRCH:
    case -ENOBUFS:
    case -ENOMEM: return rc;
    default: return 0; /* what concerns the socket, the emulator knows */
    }
}

/* Collects the descriptors of all headers. EMU_NATIVE: there are credentials too. */
static int64_t collect_fds(const struct rights_message *message, int fds[RIGHTS_MAX],
                           uint32_t *ret_count)
{
    struct msghdr header = { .msg_control = (void *)(uintptr_t)message->control,
                             .msg_controllen = message->size };

    *ret_count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&header); at; at = CMSG_NXTHDR(&header, at)) {
        uint32_t here = (uint32_t)((at->cmsg_len - CMSG_LEN(0)) / sizeof(int));

        if (at->cmsg_level != SOL_SOCKET) {
            continue;
        }
        if (at->cmsg_type != SCM_RIGHTS) {
            return EMU_NATIVE;
        }
        if (here > RIGHTS_MAX - *ret_count) {
            return -EINVAL;
        }
        memcpy(fds + *ret_count, CMSG_DATA(at), here * sizeof(int));
        *ret_count += here;
    }
    return 0;
}

/* A record in our hands for what the numbers stand for now. Returns 0 or -ETOOMANYREFS. */
static int64_t make_record(struct emu_task *self, struct rights_message *message, const int *fds,
                           uint32_t count)
{
    uint32_t index = pool_take(&arena->header.rights, arena->rights_links, EMU_MAX_RIGHTS);
    struct rights *record;

    if (index == ARENA_NONE) {
        return -ETOOMANYREFS;
    }
    record = rights_at(index);
    record->held = 0;
    record->next = 0;
    record->reader = ARENA_NONE;
    record->count = count;
    atomic_store(&record->state, rights_hands_of(self));
    hold(self, record, fds);
    message->record = index + 1;
    self->rights_sent = message->record;
    return 0;
}

/* As Linux has the files from the call's begin on: closing a number leaves a copy. */
static int64_t pin(struct emu_task *self, struct rights_message *message)
{
    const struct rights *record = rights_at(message->record - 1);

    message->pins = self->pins_count;
    message->pinned = true;
    for (uint32_t i = 0; i < record->count; i++) {
        if (record->index[i] != ARENA_NONE && !fdtab_pin_one_more(self, record->index[i])) {
            return -ENOMEM;
        }
    }
    return 0;
}

void rights_unpin(struct emu_task *self, struct rights_message *message)
{
    if (message->record == 0) {
        self->rights_sent = 0; /* a jump has nothing to let go of any more */
    }
    if (message->pinned) {
        fdtab_unpin_to(self, message->pins);
        message->pinned = false;
    }
}

int64_t rights_prepare(struct emu_task *self, int fd, const struct description *description,
                       struct rights_message *message)
{
    int fds[RIGHTS_MAX];
    int64_t rc = ask_kernel(fd, description, message);
    uint32_t count;

    message->record = 0;
    message->pinned = false;
    if (rc == 0) {
        rc = collect_fds(message, fds, &count);
    }
    if (rc != 0 || count == 0) {
        return rc;
    }
    fdtab_freeze(self);
    rc = make_record(self, message, fds, count);
    if (rc == 0) {
        rc = pin(self, message);
    }
    fdtab_thaw(self);
    if (rc != 0) {
        rights_finish(self, message);
    }
    return rc;
}

/* Where the kernel has what was on `fd` when the call began; -1: nowhere in this process. */
static int number_of(int fd, uint32_t index)
{
    int number;

    if (index == ARENA_NONE) { /* the kernel's; by now it may be something else of the kernel's */
        return fdtab_get_served(fd) ? -1 : fd;
    }
    number = fdtab_placeholder(fd, index);
    return number < 0 && atomic_load(&description_at(index)->native) == DESCRIPTION_HANDED_OVER
               ? fd
               : number;
}

int64_t rights_refresh(struct rights_message *message)
{
    const struct rights *record = rights_at(message->record - 1);
    struct msghdr header = { .msg_control = message->control, .msg_controllen = message->size };
    uint32_t n = 0;

    for (struct cmsghdr *at = CMSG_FIRSTHDR(&header); at; at = CMSG_NXTHDR(&header, at)) {
        uint32_t here = (uint32_t)((at->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        int *fds = (int *)(void *)CMSG_DATA(at);

        for (uint32_t i = 0; at->cmsg_level == SOL_SOCKET && i < here; i++, n++) {
            fds[i] = number_of(fds[i], record->index[n]);
            if (fds[i] < 0) {
                return -EBADF;
            }
        }
    }
    return 0;
}

void rights_finish(struct emu_task *self, struct rights_message *message)
{
    self->rights_sent = 0;
    rights_unpin(self, message);
    if (message->record != 0) {
        rights_at(message->record - 1)->next = 0;
        rights_let_go(self, message->record);
        message->record = 0;
    }
}

void rights_abandon(struct emu_task *self)
{
    struct rights_message message;

    message.record = self->rights_sent;
    message.pinned = false; /* undone already, by who noticed the jump */
    rights_finish(self, &message);
}

int rights_ride(struct rights_message *message, int fd, const struct description *description,
                struct socket_buf *buf, const struct buf_state *state)
{
    uint32_t record = message->record;
    struct rights *at = rights_at(record - 1);
    struct rights_tag tag = tag_of(record);
    uint32_t hands = atomic_load(&at->state);
    int64_t rc;

    at->next = 0;
    at->seg = state->seg_head + state->seg_count;
    at->reader = atomic_load(&description->peer);
    at->reader_generation = atomic_load(&description->peer_generation);
    *rights_link_to(buf, 0) = record;
    atomic_store(&at->state, RIGHTS_QUEUED);
    fd = fdtab_placeholder(fd, description_index(description));
    rc = fd < 0 ? -EBADF : send_control(fd, &tag, sizeof tag, message);
    if (rc != (int64_t)sizeof tag) {
        atomic_store(&at->state, hands);
        *rights_link_to(buf, record) = 0; /* it was the last */
        return rc == -EAGAIN ? ENOBUFS : (int)-rc;
    }
    message->record = 0;
    return 0;
}
