/*
 * world_emu_native.c - calls of the emulator's side that the kernel serves
 *
 * The thread that makes them is all tasks', so none may sleep in the kernel: what isn't ready is
 * waited for in the world, and tried without blocking.
 *
 * Leaves out: sendmmsg and recvmsg with MSG_WAITALL that block in the middle of a message end
 * there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"
#include "interpret/calls.h"
#include "interpret/world_emu.h"

#define MAX_VECTORS 1024 /* UIO_MAXIOV */
#define NOWAIT      8    /* RWF_NOWAIT */
#define HELD_FD     950  /* above what most scripts meet */

static bool listens(int fd)
{
    int value = 0;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value;
}

static bool is_epoll(int fd)
{
    char path[32];
    char target[32] = "";

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof(target) - 1) > 0 &&
           strcmp(target, "anon_inode:[eventpoll]") == 0;
}

/*
 * Would the kernel refuse a transfer of this kind on this descriptor before it waits? What the
 * emulator serves and yet leaves to the kernel is refused.
 */
static bool is_refused(const struct call *call, const uint64_t *arguments)
{
    bool receives = strchr("rRMN", call->kinds[1]) != NULL;
    int fd = (int)arguments[0];
    struct stat state;

    if (fstat(fd, &state) != 0 || emu_fd_is_emulated(fd) ||
        (strcmp(call->group, "rw") == 0 && strlen(call->kinds) > 4 &&
         (off_t)arguments[3] != -1)) /* ESPIPE */
        return true;
    if (S_ISSOCK(state.st_mode) && listens(fd))
        return true;
    if (strcmp(call->group, "msg") == 0)
        return !S_ISSOCK(state.st_mode);
    if (S_ISFIFO(state.st_mode))
        return (fcntl(fd, F_GETFL) & O_ACCMODE) == (receives ? O_WRONLY : O_RDONLY);
    return is_epoll(fd);
}

/* What a native transfer waits for: POLLIN, POLLOUT, or 0. */
static short direction_of(const struct call *call, const uint64_t *arguments)
{
    int flags = 0;

    if (strcmp(call->group, "rw") != 0 && strcmp(call->group, "msg") != 0)
        return 0;
    if (strcmp(call->group, "msg") == 0)
        flags = (int)arguments[strchr("mM", call->kinds[1]) ? 2 : 3];
    if (call_is(call, "preadv2") || call_is(call, "pwritev2"))
        flags = (int)arguments[4] & NOWAIT ? MSG_DONTWAIT : 0;
    if ((flags & (MSG_DONTWAIT | MSG_OOB)) || virtual_nonblocking((int)arguments[0]) ||
        is_refused(call, arguments))
        return 0;
    return strchr("rRMN", call->kinds[1]) ? POLLIN : POLLOUT;
}

/* The rest of a transfer whose front has gone. */
struct rest {
    uint64_t words[SCRIPT_MAX_ARGUMENTS];
    struct msghdr header;
    struct iovec vectors[MAX_VECTORS];
    bool copied; /* words name `header` and `vectors` */
};

/* Makes the vectors of writev, pwritev2 and sendmsg its own. False: the kernel couldn't have read
 * them, or they are none. */
static bool copy_vectors(const struct call *call, struct rest *rest, struct iovec **ret_vectors,
                         size_t *ret_count)
{
    bool is_message = call_is(call, "sendmsg");

    if (!rest->copied) {
        if (is_message) {
            if (host_copy(&rest->header, (const void *)(uintptr_t)rest->words[1],
                          sizeof(rest->header)) != 0)
                return false;
        } else {
            rest->header = (struct msghdr){ .msg_iov = (struct iovec *)(uintptr_t)rest->words[1],
                                            .msg_iovlen = rest->words[2] };
        }
        if (rest->header.msg_iovlen > MAX_VECTORS ||
            host_copy(rest->vectors, rest->header.msg_iov,
                      rest->header.msg_iovlen * sizeof(rest->vectors[0])) != 0)
            return false;
        rest->header.msg_iov = rest->vectors;
        rest->header.msg_control = NULL; /* it goes with the first bytes */
        rest->header.msg_controllen = 0;
        rest->words[1] = is_message ? (uintptr_t)&rest->header : (uintptr_t)rest->vectors;
        rest->copied = true;
    }
    *ret_vectors = rest->vectors;
    *ret_count = rest->header.msg_iovlen;
    return true;
}

/* Steps over `size` bytes of the vectors. True: something is left. */
static bool advance_vectors(const struct call *call, struct rest *rest, uint64_t size)
{
    struct iovec *vectors;
    size_t count;
    bool left = false;

    if (!copy_vectors(call, rest, &vectors, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t here = size < vectors[i].iov_len ? size : vectors[i].iov_len;

        vectors[i].iov_base = (char *)vectors[i].iov_base + here;
        vectors[i].iov_len -= here;
        size -= here;
        left |= vectors[i].iov_len > 0;
    }
    return left;
}

/* A call that blocks goes on until all is moved: steps over what was. True: go on. */
static bool advance(const struct call *call, struct rest *rest, uint64_t moved)
{
    bool fills = call_is(call, "recv") || call_is(call, "recvfrom");

    if (call_is(call, "recvmmsg") && !(rest->words[3] & MSG_WAITFORONE) && rest->words[4] == 0) {
        rest->words[1] += moved * sizeof(struct mmsghdr);
        rest->words[2] -= moved;
        return rest->words[2] > 0;
    }
    if (fills && sockatmark((int)rest->words[0]) == 1)
        return false;
    if (call_is(call, "write") || call_is(call, "send") || call_is(call, "sendto") ||
        (fills && (rest->words[3] & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL)) {
        rest->words[1] += moved;
        rest->words[2] -= moved;
        return rest->words[2] > 0;
    }
    return (call_is(call, "writev") || call_is(call, "pwritev2") || call_is(call, "sendmsg")) &&
           advance_vectors(call, rest, moved);
}

static bool is_stream(int fd)
{
    int type = SOCK_STREAM; /* a pipe, too */
    socklen_t size = sizeof(type);

    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return type == SOCK_STREAM;
}

void virtual_release(struct virtual_task *virtual)
{
    if (virtual->held > 0)
        close(virtual->held);
    virtual->held = 0;
}

/* A call that sleeps goes on whatever becomes of its number. Returns the one that it has. */
static int hold(struct virtual_task *virtual, int fd)
{
    if (virtual->held <= 0)
        virtual->held = fcntl(fd, F_DUPFD_CLOEXEC, HELD_FD);
    return virtual->held > 0 ? virtual->held : fd;
}

/* A transfer that may block: tried without, and waited for in the world. */
static int64_t move_in_turn(struct virtual_task *virtual, const struct call *call,
                            const uint64_t *arguments, short events)
{
    int fd = (int)arguments[0];
    uint64_t deadline = virtual_deadline(fd, events == POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO);
    bool goes_on = is_stream(fd) || call_is(call, "recvmmsg");
    struct rest rest = { .copied = false };
    int64_t done = 0;
    int64_t result;

    memcpy(rest.words, arguments, sizeof(rest.words));
    for (;;) {
        int flags = fcntl(fd, F_GETFL);

        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        result = world_call_real(virtual->task->call, rest.words);
        fcntl(fd, F_SETFL, flags);
        done += result > 0 ? result : 0;
        if (result > 0 && goes_on && advance(call, &rest, (uint64_t)result))
            continue;
        if (result != -EAGAIN)
            break;
        fd = hold(virtual, fd);
        rest.words[0] = (uint64_t)fd;
        result = virtual_await(virtual, fd, events, deadline);
        if (result < 0)
            break;
    }
    virtual_release(virtual);
    return done > 0 ? done : result;
}

/* A lock that somebody else holds is tried for again and again. */
static int64_t lock_in_turn(struct virtual_task *virtual, const struct call *call,
                            const uint64_t *arguments)
{
    uint64_t words[SCRIPT_MAX_ARGUMENTS];
    bool flocks = call_is(call, "flock");

    memcpy(words, arguments, sizeof(words));
    if (flocks)
        words[1] |= LOCK_NB;
    else
        words[1] = (int)words[1] == F_SETLKW ? F_SETLK : F_OFD_SETLK;
    for (;;) {
        int64_t result = world_call_real(virtual->task->call, words);
        enum interruption interruption;

        if (result != -EAGAIN && result != -EACCES)
            return result;
        if (flocks && ((int)arguments[1] & LOCK_NB))
            return result;
        virtual->retries = true;
        virtual_block(virtual);
        interruption = virtual_interruption(virtual);
        if (interruption == INTERRUPT_FINAL)
            return -EINTR;
    }
}

static int64_t sleep_for_nothing(struct virtual_task *virtual, int64_t timeout_ms)
{
    struct pollfd none;
    int64_t result = virtual_poll(&virtual->emu, &none, 0,
                                  timeout_ms < 0 ? -1 : timeout_ms * 1000000, NULL);

    return result;
}

/* Which argument of a call that waits for many is its time-out, as milliseconds or as a pointer. */
static int timeout_place(const struct call *call, bool *ret_pointer)
{
    const char *letter = strpbrk(call->kinds, "tu");

    *ret_pointer = letter != NULL;
    if (strcmp(call->group, "poll") != 0 && strncmp(call->name, "epoll_", 6) != 0)
        return -1;
    if (letter)
        return (int)(letter - call->kinds);
    if (call_is(call, "poll"))
        return 2;
    return strncmp(call->name, "epoll_", 6) == 0 && strchr(call->kinds, 'E') ? 3 : -1;
}

/* Copies the sets of select, which each try overwrites, away or back. */
static void move_sets(const struct call *call, const uint64_t *arguments, fd_set *sets, bool back)
{
    for (int i = 0; i < 3 && strncmp(call->kinds, "isss", 4) == 0; i++) {
        void *place = (void *)(uintptr_t)arguments[i + 1];
        size_t size = ((size_t)(uint32_t)(int)arguments[0] + 63) / 64 * 8;

        if (place && size <= sizeof(*sets))
            host_copy(back ? place : &sets[i], back ? (void *)&sets[i] : place, size);
    }
}

/* How long such a call may wait: nanoseconds, < 0: for ever. 0 also where the kernel says EINVAL.
 */
static int64_t timeout_of(const struct call *call, uint64_t word, bool pointer)
{
    int64_t parts[2]; /* struct timespec, or timeval */
    bool micro = strchr(call->kinds, 'u') != NULL;

    if (!pointer)
        return (int)word < 0 ? -1 : (int)word * (int64_t)1000000;
    if (word == 0)
        return -1;
    if (host_copy(parts, (const void *)(uintptr_t)word, sizeof(parts)) != 0 || parts[0] < 0 ||
        parts[0] > INT32_MAX || parts[1] < 0 || parts[1] >= (micro ? INT32_MAX : 1000000000))
        return 0;
    return parts[0] * 1000000000 + parts[1] * (micro ? 1000 : 1);
}

/* Waiting for the kernel's descriptors alone: looked at again whenever somebody has made a call. */
static int64_t poll_in_turn(struct virtual_task *virtual, const uint64_t *arguments, int place,
                            bool pointer)
{
    int64_t none[2] = { 0, 0 };
    const struct call *call = call_get(virtual->task->call);
    int64_t limit = timeout_of(call, arguments[place], pointer);
    uint64_t deadline = limit > 0 ? host_now_ns() + (uint64_t)limit : 0;
    uint64_t words[SCRIPT_MAX_ARGUMENTS];
    fd_set sets[3];

    memcpy(words, arguments, sizeof(words));
    words[place] = pointer ? (uint64_t)(uintptr_t)none : 0;
    move_sets(call, arguments, sets, false);
    for (;;) {
        int64_t result = world_call_real(virtual->task->call, words);

        if (result != 0 || virtual->expired)
            return result;
        move_sets(call, arguments, sets, true);
        virtual->retries = true;
        virtual->deadline_ns = deadline;
        virtual_block(virtual);
        if (virtual_interruption(virtual) != INTERRUPT_NONE)
            return -EINTR;
    }
}

int64_t virtual_native(struct emu_task *self, const struct call *call, const uint64_t *arguments)
{
    struct virtual_task *virtual = (struct virtual_task *)self;
    short events = direction_of(call, arguments);
    int64_t result = 0;
    bool pointer;
    int place;

    if (call_is(call, "flock") || (call_is(call, "fcntl") && ((int)arguments[1] == F_SETLKW ||
                                                              (int)arguments[1] == F_OFD_SETLKW)))
        return lock_in_turn(virtual, call, arguments);
    if (call_is(call, "poll") && arguments[1] == 0)
        return sleep_for_nothing(virtual, (int)arguments[2]);
    if (call_is(call, "connect") && !virtual_nonblocking((int)arguments[0]))
        return virtual_connect(virtual, (int)arguments[0], (long)arguments[1], (long)arguments[2]);
    if (strncmp(call->name, "accept", 6) == 0 &&
        !(call_is(call, "accept4") && arguments[3] & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC)) &&
        !virtual_nonblocking((int)arguments[0]) && listens((int)arguments[0]))
        result = virtual_await(virtual, (int)arguments[0], POLLIN,
                               virtual_deadline((int)arguments[0], SO_RCVTIMEO));
    place = timeout_place(call, &pointer);
    virtual->expired = false;
    if (place >= 0 && timeout_of(call, arguments[place], pointer) != 0)
        return poll_in_turn(virtual, arguments, place, pointer);
    if (events != 0)
        return move_in_turn(virtual, call, arguments, events);
    return result < 0 ? result : world_call_real(virtual->task->call, arguments);
}
