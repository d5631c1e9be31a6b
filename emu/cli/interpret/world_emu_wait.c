/*
 * world_emu_wait.c - how a virtual task waits: the hooks through which the core sleeps
 *
 * A task waits for its wake word, for descriptors of the kernel's, or for its turn to try again
 * what can't be waited for; each of them until a deadline or an interruption.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "host.h"
#include "interpret/world_emu.h"

uint64_t world_sleeps;

void virtual_unlimit(struct virtual_task *virtual)
{
    if (virtual->limited)
        numbers_set_real_limit(virtual->limit);
    virtual->limited = false;
}

void virtual_block(struct virtual_task *virtual)
{
    virtual_unlimit(virtual);
    virtual->task->state = WORLD_BLOCKED;
    virtual->task->result.blocked = true;
    virtual->since = ++world_sleeps;
    virtual->expired = false;
    stack_switch(&virtual->stack, virtual->scheduler);
    virtual->word = NULL;
    virtual->fds = NULL;
    virtual->retries = false;
    virtual->deadline_ns = 0;
}

enum interruption virtual_interruption(struct virtual_task *virtual)
{
    enum interruption interruption = virtual->interruption;

    virtual->interruption = INTERRUPT_NONE;
    return interruption;
}

int64_t virtual_sleep(struct emu_task *self, const _Atomic uint32_t *word, uint32_t expected,
                      uint64_t deadline_ns)
{
    struct virtual_task *virtual = (struct virtual_task *)self;

    if (atomic_load(word) != expected)
        return -EAGAIN;
    virtual->word = word;
    virtual->expected = expected;
    virtual->deadline_ns = deadline_ns;
    virtual_block(virtual);
    if (virtual_interruption(virtual) != INTERRUPT_NONE)
        return -EINTR;
    return virtual->expired ? -ETIMEDOUT : 0;
}

/* Waits for descriptors of the kernel's. Returns as poll, -EINTR, -ERESTART: go on. */
static int64_t wait_for(struct virtual_task *virtual, struct pollfd *fds, nfds_t count,
                        uint64_t deadline_ns)
{
    enum interruption interruption;
    int ready = host_poll(fds, (uint32_t)count, 0, NULL);

    if (ready != 0)
        return ready;
    virtual->fds = fds;
    virtual->fd_count = count;
    virtual->deadline_ns = deadline_ns;
    virtual_block(virtual);
    interruption = virtual_interruption(virtual);
    if (interruption != INTERRUPT_NONE)
        return interruption == INTERRUPT_RESTART && deadline_ns == 0 ? -ERESTART : -EINTR;
    return virtual->expired ? 0 : host_poll(fds, (uint32_t)count, 0, NULL);
}

int virtual_poll(struct emu_task *self, struct pollfd *fds, nfds_t count, int64_t timeout_ns,
                 const sigset_t *mask)
{
    uint64_t deadline = timeout_ns < 0 ? 0 : host_now_ns() + (uint64_t)timeout_ns;
    int64_t result;

    (void)mask; /* signals come through world_interrupt() */
    result = timeout_ns == 0 ? host_poll(fds, (uint32_t)count, 0, NULL)
                             : wait_for((struct virtual_task *)self, fds, count, deadline);
    return (int)(result == -ERESTART ? -EINTR : result);
}

/* When a socket's SO_RCVTIMEO or SO_SNDTIMEO ends a call; 0: never. */
uint64_t virtual_deadline(int fd, int option)
{
    struct timeval limit = { 0, 0 };
    socklen_t size = sizeof(limit);

    if (getsockopt(fd, SOL_SOCKET, option, &limit, &size) != 0 ||
        (limit.tv_sec == 0 && limit.tv_usec == 0))
        return 0;
    return host_now_ns() + (uint64_t)limit.tv_sec * 1000000000u + (uint64_t)limit.tv_usec * 1000u;
}

bool virtual_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || (flags & O_NONBLOCK);
}

/* Waits until `fd` shows one of `events`. Returns 0: try now. */
int64_t virtual_await(struct virtual_task *virtual, int fd, short events, uint64_t deadline_ns)
{
    struct pollfd entry = { fd, events, 0 };
    int64_t result;

    do
        result = wait_for(virtual, &entry, 1, deadline_ns);
    while (result == -ERESTART);
    if (result == 0)
        return -EAGAIN; /* as SO_RCVTIMEO ends accept and recv */
    return result > 0 ? 0 : result;
}

/* The backlog has room again only when somebody accepts: it can't be polled for. */
int64_t virtual_connect(struct virtual_task *virtual, int fd, long address, long size)
{
    uint64_t deadline = virtual_deadline(fd, SO_SNDTIMEO);
    int flags = fcntl(fd, F_GETFL);
    int64_t result;

    for (;;) {
        enum interruption interruption;

        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        result = host_syscall(SYS_connect, fd, address, size, 0, 0, 0);
        fcntl(fd, F_SETFL, flags);
        if (result != -EAGAIN)
            return result;
        virtual->retries = true;
        virtual->deadline_ns = deadline;
        virtual_block(virtual);
        interruption = virtual_interruption(virtual);
        if (interruption == INTERRUPT_FINAL || (interruption != INTERRUPT_NONE && deadline != 0))
            return -EINTR;
        if (virtual->expired)
            return -EAGAIN;
    }
}

/* splice waits for pipes and sockets alone. */
static bool may_wait(int fd)
{
    struct stat state;

    return fstat(fd, &state) == 0 && (S_ISFIFO(state.st_mode) || S_ISSOCK(state.st_mode));
}

/* Tried without blocking, and waited for in the world: first for what is read. */
static int64_t splice_in_turn(struct virtual_task *virtual, long number, const long arguments[6])
{
    bool sends = number == SYS_sendfile;
    const int fds[2] = { (int)arguments[sends ? 1 : 0], (int)arguments[number == SYS_splice ? 2
                                                                       : sends              ? 0
                                                                                            : 1] };
    const short events[2] = { POLLIN, POLLOUT };
    int64_t result;

    do {
        bool waits[2];
        int i;

        for (i = 0; i < 2; i++) {
            waits[i] = !virtual_nonblocking(fds[i]) && may_wait(fds[i]);
            if (waits[i])
                fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
        }
        result = host_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                              arguments[4], arguments[5]);
        for (i = 0; i < 2; i++) {
            if (waits[i])
                fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) & ~O_NONBLOCK);
        }
        for (i = 0; i < 2 && (!waits[i] || host_poll_one(fds[i], events[i]) != 0); i++)
            ;
        if (result != -EAGAIN || i == 2)
            return result;
        result = virtual_await(virtual, fds[i], events[i], 0);
    } while (result == 0);
    return result;
}

int64_t virtual_call(struct emu_task *self, long number, const long arguments[6])
{
    struct virtual_task *virtual = (struct virtual_task *)self;
    int fd = (int)arguments[0];
    int64_t result = 0;

    if (number == SYS_connect && !virtual_nonblocking(fd))
        return virtual_connect(virtual, fd, arguments[1], arguments[2]);
    if (number == SYS_accept4 && !virtual_nonblocking(fd) &&
        (arguments[3] & ~(long)(SOCK_NONBLOCK | SOCK_CLOEXEC)) == 0)
        result = virtual_await(virtual, fd, POLLIN, virtual_deadline(fd, SO_RCVTIMEO));
    else if (number == SYS_splice || number == SYS_tee || number == SYS_sendfile)
        return splice_in_turn(virtual, number, arguments);
    if (result < 0)
        return result;
    return host_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                        arguments[4], arguments[5]);
}
