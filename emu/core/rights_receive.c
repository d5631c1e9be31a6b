/*
 * rights_receive.c - the receiving half of rights.h, and handing over to the kernel
 */
#include "rights_record.h"

#include <errno.h>
#include <string.h>

/* Brings the carrier of the segment's record to the head of the placeholder's queue. */
static bool carrier_is_next(struct emu_task *self, struct socket_buf *buf, int fd, uint32_t record,
                            uint32_t *ret_chain)
{
    for (uint32_t bound = 0; bound < EMU_MAX_RIGHTS && buf->rights != 0; bound++) {
        struct rights_tag tag = { 0, 0 };
        int64_t got = rights_read(fd, &tag, sizeof tag, MSG_PEEK);
        uint32_t next = got == (int64_t)sizeof tag ? rights_find_tag(buf, tag) : 0;
        bool stale = false;

        if (next == record || next == 0) {
            return next == record;
        }
        for (uint32_t at = next; at != 0; at = rights_at(at - 1)->next) {
            stale |= at == record; /* it stands in front of ours: nobody will ask for it */
        }
        if (!stale || rights_read(fd, &tag, sizeof tag, 0) < 0) {
            return false;
        }
        while (buf->rights != next) {
            rights_take_first(self, buf, ret_chain);
        }
        rights_take_first(self, buf, ret_chain);
    }
    return false;
}

/* Receives a carrier; the kernel puts what it carries into message->control. */
static void receive_carrier(int fd, struct rights_message *message, int flags)
{
    struct rights_tag tag;
    struct iovec iov = { &tag, sizeof tag };
    struct msghdr header = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = message->size > 0 ? message->control : NULL,
        .msg_controllen = message->size,
    };
    int64_t rc = host_syscall(SYS_recvmsg, fd, (long)&header, flags | MSG_DONTWAIT, 0, 0, 0);

    message->came = true;
    message->size = rc >= 0 ? header.msg_controllen : 0;
    message->flags = rc >= 0 ? header.msg_flags & MSG_CTRUNC : MSG_CTRUNC;
}

uint32_t rights_take(struct emu_task *self, struct rights_message *message, int fd,
                     struct socket_buf *buf, uint32_t seg)
{
    uint32_t record = rights_record_of(buf, seg);
    uint32_t chain = 0;
    char rubbish[sizeof(struct rights_tag)];

    if (record == 0 || fd < 0 || !carrier_is_next(self, buf, fd, record, &chain)) {
        return chain; /* the carrier went with a receiver that was killed */
    }
    if (message) {
        receive_carrier(fd, message, message->flags & MSG_CMSG_CLOEXEC);
    } else {
        rights_read(fd, rubbish, sizeof rubbish, 0); /* the kernel closes them */
    }
    while (buf->rights != record) {
        rights_take_first(self, buf, &chain);
    }
    rights_take_first(self, buf, &chain);
    if (message) { /* it is the chain's first */
        chain = rights_at(record - 1)->next;
        rights_at(record - 1)->next = 0;
        message->record = record;
        message->peeked = false;
        message->count = rights_at(record - 1)->count;
        memcpy(message->index, rights_at(record - 1)->index, sizeof message->index);
    }
    return chain;
}

static void set_peek_offset(int fd, int offset)
{
    host_setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset);
}

/* The message may be read and gone once the lock is: what the copies stand for is held here. */
static void keep_peeked(struct emu_task *self, struct rights_message *message, uint32_t record)
{
    message->record = record;
    message->peeked = true;
    message->count = rights_at(record - 1)->count;
    memcpy(message->index, rights_at(record - 1)->index, sizeof message->index);
    for (uint32_t i = 0; i < message->count; i++) {
        if (message->index[i] != ARENA_NONE) {
            fdtab_hold(self, message->index[i]);
        }
    }
}

/* SO_PEEK_OFF let the guest peek past earlier descriptors; so does it with the carriers. */
void rights_peek(struct emu_task *self, struct rights_message *message, int fd,
                 const struct socket_buf *buf, uint32_t seg)
{
    uint32_t record = message ? rights_record_of(buf, seg) : 0;
    struct rights_tag tag = { 0, 0 };

    if (record == 0 || fd < 0) {
        return;
    }
    for (int offset = 0; offset < (int)(EMU_MAX_RIGHTS * sizeof tag); offset += sizeof tag) {
        if (offset > 0) {
            set_peek_offset(fd, offset);
        }
        if (rights_read(fd, &tag, sizeof tag, MSG_PEEK) != (int64_t)sizeof tag) {
            break;
        }
        if (rights_find_tag(buf, tag) == record) {
            if (offset > 0) { /* the peek has moved it on */
                set_peek_offset(fd, offset);
            }
            receive_carrier(fd, message, MSG_PEEK | (message->flags & MSG_CMSG_CLOEXEC));
            keep_peeked(self, message, record);
            break;
        }
    }
    set_peek_offset(fd, -1);
}

bool rights_peek_nth(struct emu_task *self, struct rights_message *message, int fd,
                     const struct socket_buf *buf, uint32_t n)
{
    uint32_t at = buf->rights;

    for (; n > 0 && at != 0; n--) {
        at = rights_at(at - 1)->next;
    }
    if (at != 0) {
        rights_peek(self, message, fd, buf, rights_at(at - 1)->seg);
    }
    return at != 0;
}

const int *rights_fds(const struct rights_message *message, uint32_t *ret_count)
{
    const struct cmsghdr *header = (const struct cmsghdr *)(const void *)message->control;

    *ret_count = message->size >= CMSG_LEN(0)
                     ? (uint32_t)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int))
                     : 0;
    return (const int *)(const void *)(message->control + CMSG_LEN(0));
}

static void enter(struct emu_task *self, int fd, uint32_t index)
{
    struct description *description = description_at(index);

    emu_fd_invalidate(self, fd);
    if ((unsigned)fd < EMU_MAX_FDS &&
        atomic_load(&description->native) != DESCRIPTION_HANDED_OVER) {
        fdtab_hold(self, index); /* before the number says so */
        fdtab_set(self, fd, index);
        fdtab_unref(self, index);
        atomic_store_explicit(&description->receiver, self->process->slot + 1,
                              memory_order_relaxed);
    }
}

void rights_arrive(struct emu_task *self, struct rights_message *message)
{
    uint32_t count;
    const int *fds = rights_fds(message, &count);

    for (uint32_t i = 0; i < message->count; i++) {
        if (i < count && message->index[i] == ARENA_NONE) {
            emu_fd_invalidate(self, fds[i]);
        } else if (i < count) {
            enter(self, fds[i], message->index[i]);
        }
        if (message->peeked && message->index[i] != ARENA_NONE) {
            fdtab_unref(self, message->index[i]);
        }
    }
    if (!message->peeked) {
        rights_let_go(self, message->record);
    }
    message->record = 0;
}

void rights_close(struct emu_task *self, const struct rights_message *message)
{
    uint32_t count;
    const int *fds = rights_fds(message, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (fdtab_close(self, fds[i]) == EMU_NATIVE) {
            host_close(fds[i]);
        }
    }
}

/* ---- To the kernel ---- */

/* Its segment is unread, and no later record has the same one. */
static bool is_valid(const struct socket_buf *buf, const struct buf_state *state, uint32_t record)
{
    uint32_t seg = rights_at(record - 1)->seg;

    return seg - state->seg_head < state->seg_count && rights_record_of(buf, seg) == record;
}

void rights_clear(struct emu_task *self, struct socket_buf *buf, const struct buf_state *state,
                  int fd, uint32_t *ret_chain)
{
    for (uint32_t bound = 0; bound < EMU_MAX_RIGHTS && buf->rights != 0; bound++) {
        struct rights_tag tag = { 0, 0 };
        int64_t got = rights_read(fd, &tag, sizeof tag, MSG_PEEK);
        uint32_t next = got == (int64_t)sizeof tag ? rights_find_tag(buf, tag) : 0;

        if (next == 0 && got != 0 && got != -EAGAIN) {
            return; /* bytes past the library, or an error of the socket's */
        }
        while (buf->rights != next) { /* carriers come in order: these have lost theirs */
            rights_take_first(self, buf, ret_chain);
        }
        if (next == 0 || is_valid(buf, state, next) || rights_read(fd, &tag, sizeof tag, 0) < 0) {
            return;
        }
        rights_take_first(self, buf, ret_chain);
    }
}

bool rights_all_native(const struct socket_buf *buf, const struct buf_state *state)
{
    for (uint32_t at = buf->rights; at != 0; at = rights_at(at - 1)->next) {
        const struct rights *record = rights_at(at - 1);

        for (uint32_t i = 0; is_valid(buf, state, at) && i < record->held; i++) {
            if (record->index[i] != ARENA_NONE &&
                atomic_load(&description_at(record->index[i])->native) == DESCRIPTION_OURS) {
                return false;
            }
        }
    }
    return true;
}

int64_t rights_hand_on(struct emu_task *self, struct socket_buf *buf, uint32_t seg, int reader,
                       int writer, const struct iovec iov[2], uint32_t *ret_chain)
{
    struct rights_message message;
    struct msghdr header = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = 2 };
    uint32_t chain;
    uint32_t count = 0;
    const int *fds = NULL;
    int64_t rc;

    message.size = CMSG_SPACE(RIGHTS_MAX * sizeof(int));
    message.flags = MSG_CMSG_CLOEXEC;
    message.record = 0;
    chain = rights_take(self, &message, reader, buf, seg);
    if (message.record != 0) {
        rights_at(message.record - 1)->next = chain;
        chain = message.record;
        fds = rights_fds(&message, &count);
        header.msg_control = message.control;
        header.msg_controllen = message.size;
    }
    rc = message.record != 0 && message.flags & MSG_CTRUNC
             ? -EMFILE
             : host_syscall(SYS_sendmsg, writer, (long)&header, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0,
                            0);
    for (uint32_t i = 0; i < count; i++) {
        host_close(fds[i]);
    }
    while (chain != 0) { /* behind what is on *ret_chain already */
        uint32_t next = rights_at(chain - 1)->next;

        rights_at(chain - 1)->next = *ret_chain;
        *ret_chain = chain;
        chain = next;
    }
    return rc;
}
