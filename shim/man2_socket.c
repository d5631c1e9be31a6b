/*
 * man2_socket.c - socket(2), socketpair(2), and what is done to a socket without moving data
 *
 * socket() itself is judged by the core: refused, native, or an error of Linux's own. Names aren't
 * modeled yet, so an AF_UNIX stream that binds or connects is counted as native at that point.
 */
#include "wrap.h"

int wrap_socket(int domain, int type, int protocol)
{
    struct emu_task *self = session_ensure() ? route_enter_from(__builtin_return_address(0)) : NULL;

    if (self) {
        int64_t result = emu_socket(self, domain, type, protocol);

        if (result != EMU_NATIVE) {
            return route_leave(self, result);
        }
        route_exit(self);
    }
    return session_new_fd(PLAIN(RAW3(SYS_socket, domain, type, protocol)));
}

int wrap_socketpair(int domain, int type, int protocol, int fds[2])
{
    struct emu_task *self = session_ensure() ? route_enter_from(__builtin_return_address(0)) : NULL;
    int result;

    if (self) {
        int64_t answer = emu_socketpair(self, domain, type, protocol, fds);

        if (answer != EMU_NATIVE) {
            if (answer >= 0) {
                session_first_descriptor();
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

/* Counts a socket that gets a name, or a peer by name, in the kernel. */
static void count_named(const char *call, int fd, const void *caller)
{
    int domain = 0;
    int type = 0;
    socklen_t size = sizeof domain;
    struct emu_task *self;

    if (!session_attached() || emu_fd_is_emulated(fd) ||
        RAW5(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_UNIX) {
        return;
    }
    size = sizeof type;
    RAW5(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size);
    self = type == SOCK_STREAM || type == SOCK_SEQPACKET ? route_enter_from(caller) : NULL;
    if (self) {
        emu_report_add(self, EMU_REPORT_NATIVE, call, domain, type, 0);
        route_exit(self);
    }
}

int wrap_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int result = PLAIN(RAW3(SYS_bind, fd, address, size));

    if (result == 0) {
        count_named("bind", fd, __builtin_return_address(0));
    }
    return result;
}

int wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    count_named("connect", fd, __builtin_return_address(0));
    return NATIVE3(SYS_connect, fd, address, size);
}

int wrap_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    return session_new_fd(NATIVE3(SYS_accept, fd, address, size));
}

int wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return session_new_fd(NATIVE4(SYS_accept4, fd, address, size, flags));
}

int wrap_shutdown(int fd, int how)
{
    ROUTE(emu_fd_is_emulated(fd), emu_shutdown(self, fd, how), PLAIN(RAW2(SYS_shutdown, fd, how)));
}

int wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    ROUTE(emu_fd_is_emulated(fd), emu_getsockopt(self, fd, level, name, value, size),
          PLAIN(RAW5(SYS_getsockopt, fd, level, name, value, size)));
}

int wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    ROUTE(emu_fd_is_emulated(fd), emu_setsockopt(self, fd, level, name, value, size),
          PLAIN(RAW5(SYS_setsockopt, fd, level, name, value, size)));
}

#define SYMBOLS_SOCKET
#include "export.h"
