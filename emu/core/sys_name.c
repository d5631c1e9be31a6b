/*
 * sys_name.c - bind, listen, accept, connect, getsockname, getpeername
 *
 * Linux: net/socket.c:__sys_bind, __sys_listen, __sys_accept4, __sys_connect, __sys_getsockname.
 * Which family does what is in unix_names.c and vsock.c; here a listener begins to listen, and a
 * connection that the kernel has accepted finds its server's side.
 */
#include "capacity.h"
#include "epoll.h"
#include "unix_names.h"
#include "vsock.h"

#include <errno.h>
#include <sys/syscall.h>

/* A socket that stands in the table, and isn't the kernel's for good. */
static struct description *find_socket(int fd)
{
    struct description *description = fdtab_get_any(fd);

    return description && description_is_socket(description) &&
                   atomic_load(&description->native) != DESCRIPTION_HANDED_OVER
               ? description
               : NULL;
}

int64_t emu_bind(struct emu_task *self, int fd, const struct sockaddr *address, socklen_t size)
{
    struct description *description = fdtab_get_any(fd);

    /* Also of what is the kernel's: that the name is the session's matters to --host-unix. */
    if (!description || !description_is_socket(description)) {
        return EMU_NATIVE;
    }
    CHANNEL_PIN(pin, self, description_index(description));
    if (fdtab_get_any(fd) != description) {
        return EMU_NATIVE; /* another thread was quicker */
    }
    return description_is_vsock(description) ? vsock_bind(self, description, address, (int)size)
                                             : unix_bind(self, fd, description, address, (int)size);
}

/*
 * From now on the kernel tells who waits at it. A kill between the two leaves a listener whose
 * connections are the kernel's, until it listens again.
 */
static void begin_to_listen(struct emu_task *self, int fd, struct description *description)
{
    int offset = atomic_load(&description->peek_offset);

    if (offset >= 0) {
        host_setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset);
    }
    atomic_store(&description->native, DESCRIPTION_LISTENER);
    atomic_store(&description->phase, PHASE_LISTENING);
    epoll_hand_over(self, description);
    description_wake(self, description, POLLNVAL);
}

/* A client of AF_UNIX that is the kernel's by now: it has no name that the guest gave it. */
static bool has_hidden_name(int fd)
{
    const struct description *description = fdtab_get_any(fd);

    return description && description_is_socket(description) &&
           !description_is_vsock(description) && atomic_load(&description->hidden);
}

int64_t emu_listen(struct emu_task *self, int fd, int backlog)
{
    struct description *description = find_socket(fd);
    int64_t rc;

    if (!description) {
        return has_hidden_name(fd) ? -EINVAL : EMU_NATIVE;
    }
    CHANNEL_PIN(pin, self, description_index(description));
    if (find_socket(fd) != description) {
        return EMU_NATIVE;
    }
    rc = description_is_vsock(description) ? vsock_listen(self, fd, description)
                                           : unix_listen(self, fd, description);
    if (rc < 0) {
        return rc;
    }
    rc = host_listen(fd, capacity_of_backlog(self, backlog));
    if (rc == 0 && atomic_load(&description->phase) == PHASE_FRESH &&
        atomic_load(&description->native) != DESCRIPTION_HANDED_OVER) {
        begin_to_listen(self, fd, description);
    }
    return rc;
}

int64_t emu_connect(struct emu_task *self, int fd, const struct sockaddr *address, socklen_t size)
{
    struct description *description = fdtab_get_any(fd);

    if (!description || !description_is_socket(description)) {
        return EMU_NATIVE;
    }
    /* As in Linux the call holds the socket, whatever another thread does to the number. */
    CHANNEL_PIN(pin, self, description_index(description));
    if (fdtab_get_any(fd) != description ||
        (description_is_vsock(description) && !find_socket(fd))) {
        return EMU_NATIVE;
    }
    return description_is_vsock(description)
               ? vsock_connect(self, fd, description, address, (int)size)
               : unix_connect(self, fd, description, address, (int)size);
}

/*
 * A client whose attempt ended before it was accepted connects again under the same hidden name:
 * what the kernel has of the earlier attempt is closed at the other end, while the client lives.
 */
static bool is_of_earlier_attempt(int fd, const struct description *server)
{
    const struct description *client = description_peer(server);

    return client && (atomic_load(&client->vsock.flags) & VSOCK_RENEWED) &&
           (host_poll_one(fd, 0) & POLLHUP);
}

/* What getsockopt answers is as its buf is, where an option or chance has made that small. */
static void show_send_buffer(struct emu_task *self, int fd, const struct description *description)
{
    const struct emu_options *options = &self->process->options;
    uint32_t size;

    if (EMU_LIKELY(options->sock_buffer == 0 && options->place_count == 0 && !fault_on(self)) ||
        description_is_vsock(description)) {
        return;
    }
    size = buf_peek(buf_at(description->tx)).limit / 2; /* the kernel stores the double */
    host_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

/* The new number stands for the server's side. False: that had died, with its client. */
static bool take_up(struct emu_task *self, int fd, struct meeting meeting, int flags)
{
    struct description *description = description_at(meeting.server);
    bool doubt = description_is_vsock(description) &&
                 (atomic_load(&description->vsock.flags) & VSOCK_DOUBT);

    if (!(doubt ? description_adopt(meeting.server)
                : description_connect_server(self, meeting.server, meeting.generation))) {
        return false;
    }
    description_hold(description, self->process->slot);
    show_send_buffer(self, fd, description);
    atomic_store(&description->status, (uint32_t)flags & SOCK_NONBLOCK);
    atomic_store_explicit(&description->sample_fd, fd, memory_order_relaxed);
    description->maker = self->process->slot;
    meeting_identify(description, fd);
    fdtab_set(self, fd, meeting.server);
    description_accepted(description);
    return true;
}

/* Whether the number of a connection that is no channel of ours goes to the guest. */
static bool is_welcome(struct emu_task *self, const struct description *listener)
{
    if (description_is_vsock(listener)) {
        return false; /* nobody outside the session has the hidden name from us */
    }
    emu_report_add(self, EMU_REPORT_NATIVE, "accept", AF_UNIX,
                   listener->kind == DESCRIPTION_STREAM ? SOCK_STREAM : SOCK_SEQPACKET, 0);
    return true;
}

static int64_t store_peer(int fd, const struct meeting_address *peer, void *ret_address,
                          socklen_t *ret_size)
{
    const struct description *description = fdtab_get_any(fd);

    if (!ret_address) {
        return 0;
    }
    return description && description_is_vsock(description)
               ? vsock_getname(description, true, ret_address, ret_size)
               : meeting_store(peer, ret_address, ret_size);
}

/* As Linux: a bad pointer costs the connection. */
static int64_t give_to_guest(struct emu_task *self, int fd, const struct meeting_address *peer,
                             void *ret_address, socklen_t *ret_size)
{
    int64_t rc = store_peer(fd, peer, ret_address, ret_size);

    if (rc < 0) {
        host_close(fd);
        fdtab_clear(self, fd);
    }
    return rc < 0 ? rc : fd;
}

int64_t emu_accept4(struct emu_task *self, int fd, struct sockaddr *ret_address,
                    socklen_t *ret_size, int flags)
{
    struct description *listener = find_socket(fd);

    if (!listener || atomic_load(&listener->phase) != PHASE_LISTENING) {
        return EMU_NATIVE;
    }
    CHANNEL_PIN(pin, self, description_index(listener));
    if (find_socket(fd) != listener) {
        return EMU_NATIVE;
    }
    for (uint32_t bound = 0; bound < EMU_TRY_LIMIT; bound++) {
        struct meeting_address peer = { .size = sizeof peer.at };
        int64_t got = wait_in_kernel(
            self, SYS_accept4, (const long[6]){ fd, (long)&peer.at, (long)&peer.size, flags });
        struct meeting meeting;

        if (got < 0) {
            return got;
        }
        FDTAB_CHANGE(self); /* from here: the wait for a client may be long */
        emu_fd_invalidate(self, (int)got);
        if ((meeting_find(listener, &peer, &meeting) && (unsigned)got < EMU_MAX_FDS &&
             !is_of_earlier_attempt((int)got, description_at(meeting.server)) &&
             take_up(self, (int)got, meeting, flags)) ||
            is_welcome(self, listener)) {
            return give_to_guest(self, (int)got, &peer, ret_address, ret_size);
        }
        host_close((int)got);
        if (find_socket(fd) != listener) {
            break; /* another thread has closed the number: it may be anything by now */
        }
    }
    return -ECONNABORTED;
}

int64_t emu_accept(struct emu_task *self, int fd, struct sockaddr *ret_address, socklen_t *ret_size)
{
    return emu_accept4(self, fd, ret_address, ret_size, 0);
}

/* Of a socket that came over another one, or through an exec after it was handed over. */
static int64_t hide_name(int fd, bool peer, void *ret_address, socklen_t *ret_size)
{
    struct meeting_address address = { .size = sizeof address.at };
    uint32_t index;
    uint32_t generation;
    int rc = peer ? host_getpeername(fd, &address.at, &address.size)
                  : host_getsockname(fd, &address.at, &address.size);

    return rc == 0 && meeting_is_hidden(&address, &index, &generation)
               ? meeting_store(&address, ret_address, ret_size)
               : EMU_NATIVE;
}

/* The kernel's name of a socket, without what is hidden. */
static int64_t get_name(int fd, bool peer, void *ret_address, socklen_t *ret_size)
{
    const struct description *description = fdtab_get_any(fd);
    struct meeting_address address = { .size = sizeof address.at };
    int rc;

    if (!description || !description_is_socket(description)) {
        return hide_name(fd, peer, ret_address, ret_size);
    }
    if (description_is_vsock(description)) {
        return vsock_getname(description, peer, ret_address, ret_size);
    }
    rc = peer ? host_getpeername(fd, &address.at, &address.size)
              : host_getsockname(fd, &address.at, &address.size);
    return rc < 0 ? rc : meeting_store(&address, ret_address, ret_size);
}

int64_t emu_getsockname(struct emu_task *self, int fd, struct sockaddr *ret_address,
                        socklen_t *ret_size)
{
    (void)self;
    return get_name(fd, false, ret_address, ret_size);
}

int64_t emu_getpeername(struct emu_task *self, int fd, struct sockaddr *ret_address,
                        socklen_t *ret_size)
{
    (void)self;
    return get_name(fd, true, ret_address, ret_size);
}
