/*
 * native.c - handing a channel to the kernel for good
 *
 * The placeholders are a real pipe or a real connected pair with nothing in them. A channel goes
 * native in one move for each direction, under the direction's lock: its unread segments are
 * written into the placeholder one by one, so packets and records stay what they are, then one
 * store says BUF_NATIVE and whoever waits is woken and goes on in the kernel. Capacities were
 * mirrored when they were set, so everything unread has room.
 *
 * Writing into a direction needs a descriptor of its writing end. Ours, if we have one; a pipe's
 * can be reopened through /proc/self/fd; a socket's is taken from the process that holds it; when
 * that end is closed for good and nobody shares ours, a fresh, preloaded pair is put over our
 * numbers. What can't be had is refused before anything has changed.
 */
#include "epoll.h"
#include "meeting.h"
#include "passage.h"
#include "process.h"
#include "rights.h"
#include "stream.h"
#include "trace_event.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define TAKE_FD_LIMIT 256 /* numbers tried in another process, beside the one we know of */

/* One direction on its way to the kernel: descriptors of its ends, or -1, and what rode on it. */
struct handover {
    struct socket_buf *buf;
    int writer;
    int reader;
    uint32_t rights; /* a chain of records: rights.h */
};

/* Writes one segment of `len` bytes at `position`, with what rides on it: whole, or -errno. */
static int write_segment(struct emu_task *self, struct handover *to, const struct buf_state *state,
                         uint32_t position, uint32_t len, uint32_t rides)
{
    uint32_t mask = buf_ring_mask(state);
    uint32_t first = base_min_u32(len, mask + 1 - (position & mask));
    struct iovec iov[2] = {
        { buf_ring(state) + (position & mask), first },
        { buf_ring(state), len - first },
    };
    int64_t rc;

    if (state->kind == DESCRIPTION_PIPE_READER) {
        rc = host_syscall(SYS_writev, to->writer, (long)iov, 2, 0, 0, 0);
    } else {
        rc = rights_hand_on(self, to->buf, rides, to->reader, to->writer, iov, &to->rights);
    }
    if (rc < 0) {
        return (int)rc;
    }
    return rc == (int64_t)len ? 0 : -EAGAIN;
}

#define JOINED_MAX 32768u /* of AF_VSOCK: many small skbs would find no room */

/*
 * Takes what is to be one write out of the state: a segment; of AF_VSOCK a record, which may be in
 * pieces, or what goes into an skb. Returns its length; the bytes stay where they are.
 */
static uint32_t take_unit(struct buf_state *state, uint32_t *ret_info)
{
    struct seg seg = buf_first_seg(state);
    uint32_t len = seg.len - state->first_taken;

    buf_drop_first(state);
    while (state->seg_count > 0 &&
           (state->kind == DESCRIPTION_VSOCK_SEQPACKET
                ? !(seg.info & SEG_PACKET)
                : state->kind == DESCRIPTION_VSOCK_STREAM && len < JOINED_MAX)) {
        seg = buf_first_seg(state);
        len += seg.len;
        buf_drop_first(state);
    }
    *ret_info = seg.info;
    return len;
}

/* Packets stay packets: the writing end gets O_DIRECT for them. */
static void set_packet_mode(int fd, bool on)
{
    int64_t flags = host_fcntl(fd, F_GETFL, 0);

    if (flags >= 0 && ((flags & O_DIRECT) != 0) != on) {
        host_fcntl(fd, F_SETFL, (unsigned long)(flags ^ O_DIRECT));
    }
}

/* Room for whatever is unread, which may be more than SO_SNDBUF says by now. Returns what it was.
 */
static int raise_send_buffer(int fd)
{
    int large = 1 << 24; /* the kernel cuts it at wmem_max */
    int before = 0;
    socklen_t size = sizeof before;

    if (host_getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &before, &size) < 0) {
        return 0;
    }
    host_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    host_setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large);
    return before;
}

static void restore_send_buffer(int fd, int before)
{
    int half = before / 2; /* it is doubled when it is set: sock_setsockopt */

    if (before > 0) {
        host_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
    }
}

/* Slots that splice has made longer than a page become several. Returns 0. */
static int make_room(int fd, const struct buf_state *state)
{
    uint64_t slots = 0;

    for (uint32_t i = 0; i < state->seg_count; i++) {
        slots += (buf_nth_seg(state, i).len + EMU_PAGE - 1) / EMU_PAGE;
    }
    if (EMU_UNLIKELY(slots > state->limit)) {
        host_fcntl(fd, F_SETPIPE_SZ, slots * EMU_PAGE);
    }
    return 0;
}

#define CAME_MEANWHILE (-ERESTART) /* bytes, where there were none; nothing has changed */

/* Requires: the direction's lock. The direction is the kernel's, and who waits goes on there. */
static void give_away_locked(struct socket_buf *buf, struct buf_state *state,
                             struct wake_list *list)
{
    state->flags = (uint16_t)((state->flags & ~BUF_MOVING) | BUF_NATIVE);
    buf_publish_locked(buf, state);
    queue_notify_locked(&buf->readers, POLLNVAL, list);
    queue_notify_locked(&buf->writers, POLLNVAL, list);
}

/* Gives a direction away whose reader is gone: what is unread there nobody will read. */
static void give_up_direction(struct emu_task *self, uint32_t index)
{
    struct socket_buf *buf = buf_at(index);
    struct wake_list list;
    struct buf_state state;

    wake_list_init(&list);
    buf_lock_settled(self, buf, &state);
    give_away_locked(buf, &state, &list);
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
}

/*
 * Moves a direction: fd is its writing end, or -1 when there is nothing to move; `reader` the other
 * one, or -1 when nobody has it, or it is a pipe's. The state says BUF_MOVING meanwhile and keeps
 * everything: if this process dies over it, or a write fails, the copies are thrown away and
 * nothing has happened (channel_lock), but that descriptors that were among it are closed.
 * Returns 0; CAME_MEANWHILE, -EBUSY or -errno: it stays emulated.
 */
static int move_direction(struct emu_task *self, uint32_t index, int fd, int reader)
{
    struct socket_buf *buf = buf_at(index);
    struct handover to = { buf, fd, reader, 0 };
    struct wake_list list;
    struct buf_state state;
    int64_t flags = fd >= 0 ? host_fcntl(fd, F_GETFL, 0) : 0;
    int send_buffer = 0;
    int rc = 0;

    wake_list_init(&list);
    buf_lock_settled(self, buf, &state);
    if (buf->rights != 0 && reader >= 0) {
        rights_clear(self, buf, &state, reader, &to.rights);
    }
    if (state.flags & BUF_MOVING ||
        (buf->rights != 0 && (reader < 0 || fd < 0 || !rights_all_native(buf, &state)))) {
        rc = -EBUSY;
    } else if (state.seg_count > 0 && fd < 0) {
        rc = CAME_MEANWHILE; /* the caller saw nothing, and looked for no writer */
    } else if (state.seg_count > 0) {
        state.flags |= BUF_MOVING;
        buf_publish_locked(buf, &state);
        send_buffer = state.kind == DESCRIPTION_PIPE_READER ? make_room(fd, &state)
                                                            : raise_send_buffer(fd);
    }
    while (rc == 0 && state.seg_count > 0) {
        uint32_t position = state.head;
        uint32_t rides = state.seg_head;
        uint32_t info;
        uint32_t len = take_unit(&state, &info);

        if (state.kind == DESCRIPTION_PIPE_READER) {
            set_packet_mode(fd, info & SEG_PACKET);
        }
        rc = write_segment(self, &to, &state, position, len, rides);
    }
    if (rc == 0 && buf->rights != 0) { /* carriers of what was never published stand in front */
        rights_clear(self, buf, &state, reader, &to.rights);
    }
    if (rc == 0) {
        give_away_locked(buf, &state, &list);
    }
    lock_release(self, &buf->lock);
    restore_send_buffer(fd, send_buffer);
    if (fd >= 0 && state.kind == DESCRIPTION_PIPE_READER) {
        host_fcntl(fd, F_SETFL, (unsigned long)flags);
    }
    wake_list_flush(self, &list);
    rights_let_go(self, to.rights);
    return rc;
}

/* Each descriptor that a peek has given, then it is closed again. */
static int rights_message_native(struct emu_task *self, const struct rights_message *message)
{
    uint32_t count = 0;
    const int *fds = message->came ? rights_fds(message, &count) : NULL;
    int rc = 0;

    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = emu_native_one(self, fds[i]);
    }
    rights_close(self, message);
    return rc;
}

#define NESTED_MAX 8 /* descriptors in messages of sockets in messages of ... */

/*
 * What is in flight in a direction goes to the kernel first, where nobody counts what it is.
 * `reader` receives there. Returns 0 or -EBUSY.
 */
static int passengers_native(struct emu_task *self, uint32_t index, int reader)
{
    struct socket_buf *buf = buf_at(index);
    struct rights_message message;
    bool more = reader >= 0;
    int rc = 0;

    if (EMU_LIKELY(buf->rights == 0)) {
        return 0;
    }
    if (self->handing_over >= NESTED_MAX) {
        return -EBUSY;
    }
    self->handing_over++;
    for (uint32_t n = 0; rc == 0 && more && n < EMU_MAX_RIGHTS; n++) {
        message.size = CMSG_SPACE(RIGHTS_MAX * sizeof(int));
        message.flags = MSG_CMSG_CLOEXEC;
        message.record = 0;
        message.came = false;
        {
            FDTAB_CHANGE(self);
            lock_acquire(self, &buf->lock);
            more = rights_peek_nth(self, &message, reader, buf, n);
            lock_release(self, &buf->lock);
            if (message.record != 0) {
                rights_arrive(self, &message);
            }
        }
        if (message.came) { /* else its carrier went with a receiver that was killed */
            rc = rights_message_native(self, &message);
        }
    }
    self->handing_over--;
    return rc;
}

/* A descriptor of this process for the description, or -1. */
static int own_fd(const struct description *description)
{
    int top = fdtab_top();

    for (int fd = 0; fd < top; fd++) {
        if (fdtab_get(fd) == description) {
            return fd;
        }
    }
    return -1;
}

static bool is_same_socket(int fd, const struct description *description)
{
    struct host_identity identity;

    if (fd >= 0 && !atomic_load(&description->identified)) {
        return meeting_knows(description, fd);
    }
    return fd >= 0 && host_identify(fd, &identity) == 0 && identity.kind == HOST_SOCKET &&
           identity.object == description->identity.object;
}

/* Takes the description's descriptor out of a process that holds it. Returns it, or -1. */
static int take_from(int32_t pid, const struct description *description)
{
    int fd = host_take_fd(pid, atomic_load(&description->sample_fd));

    if (is_same_socket(fd, description)) {
        return fd;
    }
    for (int number = 0; number < TAKE_FD_LIMIT; number++) {
        if (fd >= 0) {
            host_close(fd);
        }
        fd = host_take_fd(pid, number);
        if (is_same_socket(fd, description)) {
            return fd;
        }
    }
    if (fd >= 0) {
        host_close(fd);
    }
    return -1;
}

static int take_fd(const struct description *description)
{
    for (uint32_t slot = 0; slot < EMU_MAX_PROCESSES; slot++) {
        int32_t pid = description_held_by(description, slot) ? process_at(slot)->pid : 0;
        int fd = pid > 0 ? take_from(pid, description) : -1;

        if (fd >= 0) {
            return fd;
        }
    }
    return -1;
}

/*
 * The other end is closed and left bytes: a fresh pair takes our placeholder's place, of which we
 * keep the one end and leave the writing one in *ret_writer, to be filled and closed.
 */
static int fresh_pair(struct emu_task *self, struct description *description, int *ret_writer)
{
    uint32_t slot = self->process->slot;
    int fds[2];
    int rc;

    for (uint32_t other = 0; other < EMU_MAX_PROCESSES; other++) {
        if (other != slot && description_held_by(description, other)) {
            return -EBUSY; /* we could only replace the numbers of this process */
        }
    }
    rc = host_socketpair(AF_UNIX,
                         (description_keeps_records(description) ? SOCK_SEQPACKET : SOCK_STREAM) |
                             SOCK_CLOEXEC,
                         0, fds);
    if (rc < 0) {
        return rc;
    }
    host_fcntl(fds[1], F_SETFL, atomic_load(&description->status) & O_NONBLOCK);
    fdtab_replace(fds[1], description);
    host_close(fds[1]);
    *ret_writer = fds[0];
    return 0;
}

/* SO_PEEK_OFF, which the emulator kept to itself. */
static void hand_peek_offset_over(int fd, const struct description *description)
{
    int offset = atomic_load(&description->peek_offset);

    if (offset >= 0) {
        host_setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset);
    }
}

/* What shutdown() did here is done to the real sockets once the bytes are in them. May be repeated.
 */
static void replay_shutdown(int fd, const struct description *description)
{
    struct buf_state rx = buf_peek(buf_at(description->rx));
    struct buf_state tx = buf_peek(buf_at(description->tx));

    if (tx.flags & BUF_SHUT) {
        host_shutdown(fd, SHUT_WR);
    }
    if (rx.flags & BUF_SHUT) {
        host_shutdown(fd, SHUT_RD);
    }
}

/* Both directions of a socket, and what is in flight in them. `writer`: the peer's end, or -1. */
static int move_socket(struct emu_task *self, int fd, const struct description *description,
                       bool has_peer, int writer, int reader)
{
    int rc = passengers_native(self, description->rx, reader);

    if (rc == 0 && has_peer) {
        rc = passengers_native(self, description->tx, writer);
    }
    if (rc == 0) {
        rc = move_direction(self, description->rx, writer, reader);
    }
    if (rc == 0 && has_peer) {
        rc = move_direction(self, description->tx, fd, writer);
    } else if (rc == 0) {
        give_up_direction(self, description->tx);
    }
    return rc;
}

static int socket_native(struct emu_task *self, int fd, struct description *description)
{
    struct description *peer = description_peer(description);
    struct buf_state rx = buf_peek(buf_at(description->rx));
    bool reset = !peer && atomic_load(&description->error) == ECONNRESET;
    int writer = -1;
    int old = -1; /* our placeholder, when a fresh pair takes its number */
    bool ours = false;
    int rc = 0;

    if (peer) {
        writer = own_fd(peer);
        ours = writer >= 0;
        writer = ours ? writer : take_fd(peer);
        if (writer < 0 && rx.seg_count > 0) {
            return -EBUSY;
        }
    } else if (rx.seg_count > 0 || reset) {
        old = host_dup(fd);
        rc = fresh_pair(self, description, &writer);
    }
    if (rc == 0) {
        rc = move_socket(self, fd, description, peer != NULL, writer, old >= 0 ? old : fd);
    }
    if (rc == 0 && reset) {
        host_write(fd, "", 1); /* who closes with this unread resets us: unix_release_sock */
        description_take_error(description);
    }
    if (rc == 0) {
        hand_peek_offset_over(fd, description);
    }
    if (rc == 0 && peer) {
        replay_shutdown(fd, description);
        hand_peek_offset_over(writer, peer);
    }
    if (writer >= 0 && !ours) {
        host_close(writer);
    }
    if (old >= 0) {
        host_close(old);
    }
    return rc < 0 && rc != CAME_MEANWHILE ? -EBUSY : rc;
}

static int pipe_native(struct emu_task *self, int fd, struct description *description)
{
    bool reads = description->rx != ARENA_NONE;
    uint32_t index = reads ? description->rx : description->tx;
    struct description *peer = description_peer(description);
    int writer = fd;
    bool ours = true;
    int rc;

    if (reads) {
        writer = peer ? own_fd(peer) : -1;
        ours = writer >= 0;
        if (!ours && buf_peek(buf_at(index)).seg_count > 0) {
            writer = host_reopen_writer(fd);
            if (writer < 0) {
                return -EBUSY;
            }
        }
    }
    rc = move_direction(self, index, writer, -1);
    if (!ours && writer >= 0) {
        host_close(writer);
    }
    return rc < 0 && rc != CAME_MEANWHILE ? -EBUSY : rc;
}

#define MEANWHILE_MAX 8 /* the first look that finds bytes finds who has the writing end */

/* A socket or a pipe, both of its ends. Somebody else may be using the other one. */
static int channel_native(struct emu_task *self, int fd, struct description *description)
{
    int rc = CAME_MEANWHILE;

    for (int i = 0; rc == CAME_MEANWHILE && i < MEANWHILE_MAX; i++) {
        rc = description_is_socket(description) ? socket_native(self, fd, description)
                                                : pipe_native(self, fd, description);
    }
    return rc == CAME_MEANWHILE ? -EBUSY : rc;
}

/* An epoll instance is the kernel's when all that it watches is. */
static int set_native(struct emu_task *self, const struct description *set)
{
    int rc = 0;

    for (uint32_t bound = 0; bound < EMU_MAX_ITEMS && rc == 0; bound++) {
        int fd = epoll_any_fd(self, set);

        if (fd < 0) {
            break;
        }
        rc = emu_native_one(self, fd);
    }
    return rc;
}

/* Says so in both ends. True: somebody else, who did the same at either end, was quicker. */
static bool mark_native(struct description *description, struct description *peer)
{
    struct description *first = peer && peer < description ? peer : description;
    bool before = atomic_exchange(&first->native, DESCRIPTION_HANDED_OVER) != DESCRIPTION_OURS;

    atomic_store(&description->native, DESCRIPTION_HANDED_OVER);
    if (peer) {
        atomic_store(&peer->native, DESCRIPTION_HANDED_OVER);
    }
    return before;
}

/* A connection that waits to be accepted: what the client has written goes through its own end. */
static int queued_native(struct emu_task *self, struct description *server)
{
    struct description *client = description_peer(server);
    int writer = client ? own_fd(client) : -1;
    bool ours = writer >= 0;
    int rc;

    if (client && !ours) {
        writer = take_fd(client);
    }
    if (writer < 0 && buf_peek(buf_at(server->rx)).seg_count > 0) {
        return -EBUSY;
    }
    rc = move_direction(self, server->rx, writer, -1);
    if (rc == 0) {
        rc = move_direction(self, server->tx, -1, -1); /* nobody has written there */
    }
    if (rc == 0) {
        mark_native(server, client);
        description_wake(self, server, POLLNVAL);
    }
    if (rc == 0 && client) {
        replay_shutdown(writer, client);
    }
    if (writer >= 0 && !ours) {
        host_close(writer);
    }
    if (rc == 0 && client) {
        epoll_hand_over(self, client);
    }
    return rc;
}

/*
 * Who can't be followed may accept here: connections are the kernel's from now on, and those that
 * wait already become so. A listener of AF_VSOCK is no use to anybody outside.
 */
static int listener_native(struct emu_task *self, struct description *listener)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    int rc = 0;

    if (description_is_vsock(listener)) {
        return 0;
    }
    atomic_store(&listener->handed_over, 1);
    for (uint32_t i = 0; i < used; i++) {
        struct description *server = description_at(i);

        if (description_queue_place(server) != description_index(listener) + 1) {
            continue;
        }
        atomic_store(&server->handed_over, 1); /* before the look: a connect() may be under way */
        if (atomic_load(&server->state) == DESCRIPTION_LIVE && description_is_queued(server) &&
            atomic_load(&server->native) == DESCRIPTION_OURS && queued_native(self, server) < 0) {
            rc = -EBUSY;
        }
    }
    return rc;
}

static bool is_listener(const struct description *description)
{
    return description && atomic_load(&description->native) == DESCRIPTION_LISTENER;
}

/* What isn't a channel: a listener, an epoll instance, what is the kernel's already. */
static int other_native(struct emu_task *self, int fd)
{
    struct description *description = fdtab_get_any(fd);

    if (is_listener(description)) {
        return listener_native(self, description);
    }
    description = epoll_description(fd);
    return description ? set_native(self, description) : 0;
}

int emu_native_one(struct emu_task *self, int fd)
{
    struct description *description = fdtab_get(fd);
    struct description *peer;
    bool counted;
    int rc;

    if (!description) {
        return other_native(self, fd);
    }
    if (EMU_UNLIKELY(description->kind == DESCRIPTION_DEVICE)) {
        return 0; /* nothing is in it that the kernel could have */
    }
    if (description_is_vsock(description) && !description_is_connected(description)) {
        return -EBUSY; /* its placeholder is of another family */
    }
    peer = description_peer(description);
    rc = channel_native(self, fd, description);
    if (rc < 0) {
        return rc;
    }
    counted = mark_native(description, peer);
    trace_switch(self, fd);
    if (peer && description_is_socket(description)) {
        replay_shutdown(fd, description); /* who shut it since then may not have seen the mark */
    }
    epoll_hand_over(self, description);
    if (peer) {
        epoll_hand_over(self, peer);
    }
    description_wake(self, description, POLLNVAL);
    if (!counted) {
        emu_report_add(self, EMU_REPORT_SWITCH,
                       description_is_socket(description) ? "socketpair" : "pipe", -1, -1, 0);
    }
    return 0;
}

/* Numbers that were closed past the library are nobody's end. */
static void forget_closed(struct emu_task *self)
{
    int top = fdtab_top();

    for (int fd = 0; fd < top; fd++) {
        if (fdtab_present(fd) && host_fcntl(fd, F_GETFD, 0) == -EBADF) {
            fdtab_clear(self, fd);
        }
    }
}

int emu_native_all(struct emu_task *self, bool inherited_only, int *ret_fd)
{
    int top = fdtab_top();

    forget_closed(self);
    process_identify_all(self);
    for (int fd = 0; fd < top; fd++) {
        int rc;

        if (!(fdtab_get(fd) || is_listener(fdtab_get_any(fd))) ||
            (inherited_only && (host_fcntl(fd, F_GETFD, 0) & FD_CLOEXEC))) {
            continue;
        }
        rc = emu_native_one(self, fd);
        if (rc < 0) {
            *ret_fd = fd;
            return rc;
        }
    }
    return 0;
}
