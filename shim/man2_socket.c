/*
 * man2_socket.c - socket(2), socketpair(2), and what is done to a socket without moving data
 *
 * socket() is judged by the core: emulated, refused, native, or an error of Linux's own.
 */
#include "wrap.h"

#include "caller.h"
#include "host.h"

/* A harness's sockets are its own; but its vsock isn't the machine's, where the hypervisor is. */
static struct emu_task *enter_to_make(int domain, const void *caller)
{
    bool ours = session_ensure() && (domain == AF_VSOCK || !caller_left_alone(caller));

    return ours ? route_enter_from(caller) : NULL;
}

/*
 * Where the emulator can't serve (no session, a thread or child that touches no table) the
 * machine's own vsock is no way out, but for who has asked for it by name: its hypervisor is at the
 * other end.
 */
static bool is_denied(int domain)
{
    struct emu_options options;

    if (domain != AF_VSOCK || atomic_load(&shim.state) == SHIM_BOOT) {
        return false;
    }
    session_options(&options);
    for (uint32_t i = 0; i < options.policy_count; i++) {
        if (options.policy[i].family == AF_VSOCK && options.policy[i].action == EMU_ACTION_NATIVE) {
            return false;
        }
    }
    return true;
}

int socket_from(int domain, int type, int protocol, const void *caller)
{
    struct emu_task *self = enter_to_make(domain, caller);

    if (self) {
        int64_t result = EMULATE_FROM(caller, socket, domain, type, protocol);

        if (result != EMU_NATIVE) {
            if (result >= 0 && emu_fd_is_emulated((int)result)) {
                session_first_descriptor();
            }
            return route_leave(self, result);
        }
        route_exit(self);
    } else if (EMU_UNLIKELY(is_denied(domain))) {
        return (int)route_error(-EAFNOSUPPORT);
    }
    return session_new_fd(PLAIN(RAW3(SYS_socket, domain, type, protocol)));
}

int wrap_socket(int domain, int type, int protocol)
{
    return socket_from(domain, type, protocol, __builtin_return_address(0));
}

int socketpair_from(int domain, int type, int protocol, int fds[2], const void *caller)
{
    struct emu_task *self = enter_to_make(domain, caller);
    int result;

    if (self) {
        int64_t answer = EMULATE_FROM(caller, socketpair, domain, type, protocol, fds);

        if (answer != EMU_NATIVE) {
            if (answer >= 0) {
                session_first_descriptor();
                net_give_if_standard(fds[0], fds[0]);
            }
            return route_leave(self, answer);
        }
        route_exit(self);
    }
    result = PLAIN(RAW4(SYS_socketpair, domain, type, protocol, fds));
    if (result == 0) {
        session_new_fd(fds[0]);
        session_new_fd(fds[1]);
    }
    return result;
}

int wrap_socketpair(int domain, int type, int protocol, int fds[2])
{
    return socketpair_from(domain, type, protocol, fds, __builtin_return_address(0));
}

/*
 * What names a socket, or connects it by name, concerns the emulator when the number stands in its
 * table: also a listener, and what was handed to the kernel, whose hidden names nobody shall see.
 */
#define NAMED(fd, emulated, native)                                                \
    do {                                                                           \
        struct emu_trace_open kernels_;                                            \
        bool is_open_ = false;                                                     \
        int native_;                                                               \
        if (EMU_LIKELY(emu_fd_is_known(fd))) {                                     \
            struct emu_task *self = route_enter_from(__builtin_return_address(0)); \
            if (EMU_LIKELY(self != NULL)) {                                        \
                int64_t result_ = (emulated);                                      \
                if (EMU_LIKELY(result_ != EMU_NATIVE)) {                           \
                    return (int)route_leave(self, result_);                        \
                }                                                                  \
                is_open_ = route_take_open(self, &kernels_);                       \
                route_exit(self);                                                  \
            }                                                                      \
        }                                                                          \
        native_ = (native);                                                        \
        if (EMU_UNLIKELY(is_open_)) {                                              \
            route_answer(&kernels_, native_);                                      \
        }                                                                          \
        return native_;                                                            \
    } while (0)

int wrap_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    NAMED(fd, EMULATE(bind, fd, address, size),
          PLAIN_ON(fd, SYS_bind, RAW3(SYS_bind, fd, address, size)));
}

int wrap_listen(int fd, int backlog)
{
    NAMED(fd, EMULATE(listen, fd, backlog),
          PLAIN_ON(fd, SYS_listen, RAW2(SYS_listen, fd, backlog)));
}

int wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    route_cancel_point();
    NAMED(fd, EMULATE(connect, fd, address, size), NATIVE3(SYS_connect, fd, address, size));
}

/* The caller's room for an address; 0: there is none, or the kernel shall say that it is bad. */
static socklen_t room_of(const struct sockaddr *address, const socklen_t *size)
{
    socklen_t room = 0;

    return session_attached() && address && host_copy(&room, size, sizeof room) == 0 ? room : 0;
}

/*
 * A socket that isn't in the table (it came over another one, or through an exec after it was
 * handed over) may have a hidden name, too: it is shown as unnamed. `result` is of the call that
 * has stored the name of `fd`.
 */
static long show_name(long result, int fd, bool peer, struct sockaddr *address, socklen_t *size,
                      socklen_t room)
{
    struct emu_task *self;

    if (result < 0 || room < sizeof(sa_family_t) || *size != EMU_HIDDEN_NAME_SIZE) {
        return result;
    }
    self = route_enter();
    if (self) {
        if (peer) {
            emu_getpeername(self, fd, address, size);
        } else {
            emu_getsockname(self, fd, address, size);
        }
        route_exit(self);
    }
    return result;
}

static long native_accept(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    socklen_t room = room_of(address, size);
    long got = session_new_fd(NATIVE4(SYS_accept4, fd, address, size, flags));

    return show_name(got, (int)got, true, address, size, room);
}

static long native_name(int fd, bool peer, struct sockaddr *address, socklen_t *size)
{
    socklen_t room = room_of(address, size);
    long result = peer ? PLAIN_ON(fd, SYS_getpeername, RAW3(SYS_getpeername, fd, address, size))
                       : PLAIN_ON(fd, SYS_getsockname, RAW3(SYS_getsockname, fd, address, size));

    return show_name(result, fd, peer, address, size, room);
}

int wrap_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    route_cancel_point();
    NAMED(fd, EMULATE(accept, fd, address, size), (int)native_accept(fd, address, size, 0));
}

int wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    route_cancel_point();
    NAMED(fd, EMULATE(accept4, fd, address, size, flags),
          (int)native_accept(fd, address, size, flags));
}

int wrap_getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
    NAMED(fd, EMULATE(getsockname, fd, address, size), (int)native_name(fd, false, address, size));
}

int wrap_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
    NAMED(fd, EMULATE(getpeername, fd, address, size), (int)native_name(fd, true, address, size));
}

int wrap_shutdown(int fd, int how)
{
    ROUTE(emu_fd_is_emulated(fd), EMULATE(shutdown, fd, how),
          PLAIN_ON(fd, SYS_shutdown, RAW2(SYS_shutdown, fd, how)));
}

int wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    ROUTE(emu_fd_is_known(fd), EMULATE(getsockopt, fd, level, name, value, size),
          PLAIN_ON(fd, SYS_getsockopt, RAW5(SYS_getsockopt, fd, level, name, value, size)));
}

int wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    ROUTE(emu_fd_is_known(fd), EMULATE(setsockopt, fd, level, name, value, size),
          PLAIN_ON(fd, SYS_setsockopt, RAW5(SYS_setsockopt, fd, level, name, value, size)));
}

#define SYMBOLS_SOCKET
#include "export.h"
