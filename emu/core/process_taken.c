/*
 * process_taken.c - a descriptor that was taken out of another process (pidfd_getfd)
 *
 * The number that came is a copy of a placeholder perhaps. Of which description the kernel says:
 * by the identity that was recorded before a fork, exec or spawn (process.h); of those that were
 * made since by asking for the number under which their maker had them, and comparing.
 *
 * Left out: of those that were made since, the ones that their maker has under another number only,
 * and epoll instances that no process but theirs has. They stay the kernel's, and empty.
 */
#include "epoll.h"
#include "process.h"

#include <string.h>
#include <sys/syscall.h>

#define CANDIDATES_MAX 4096 /* numbers that are asked for */

/* The process behind a pidfd, from /proc/self/fdinfo; 0: it can't be had. */
static int32_t process_behind(int pidfd)
{
    char path[48] = "/proc/self/fdinfo/";
    char text[1024];
    char digits[12];
    const char *at;
    size_t length = strlen(path);
    int count = 0;
    int32_t pid = 0;
    int64_t got;
    int fd;

    do {
        digits[count++] = (char)('0' + pidfd % 10);
        pidfd /= 10;
    } while (pidfd > 0);
    while (count > 0) {
        path[length++] = digits[--count];
    }
    path[length] = 0;
    fd = (int)host_syscall(SYS_open, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);
    if (fd < 0) {
        return 0;
    }
    got = host_read(fd, text, sizeof text - 1);
    host_close(fd);
    text[got > 0 ? got : 0] = 0;
    at = strstr(text, "Pid:\t");
    for (at = at ? at + 5 : ""; *at >= '0' && *at <= '9'; at++) {
        pid = pid * 10 + (*at - '0');
    }
    return pid;
}

static bool is_same(const struct host_identity *a, const struct host_identity *b)
{
    return a->kind == b->kind && a->device == b->device && a->object == b->object &&
           a->access == b->access;
}

static bool is_ours(const struct description *description)
{
    return atomic_load(&description->state) == DESCRIPTION_LIVE &&
           atomic_load(&description->native) != DESCRIPTION_HANDED_OVER;
}

/* Whether the maker's number for the description is what has this identity. */
static bool is_behind_sample(const struct description *description, int pidfd,
                             const struct host_identity *identity)
{
    struct host_identity taken = { 0 };
    int fd = (int)host_syscall(SYS_pidfd_getfd, pidfd, atomic_load(&description->sample_fd), 0, 0,
                               0, 0);

    if (fd < 0) {
        return false;
    }
    host_identify(fd, &taken);
    host_close(fd);
    return is_same(&taken, identity);
}

static bool is_of_kind(const struct description *description, const struct host_identity *identity)
{
    return identity->kind == HOST_SOCKET
               ? description_is_socket(description)
               : description->kind == (identity->access == O_RDONLY ? DESCRIPTION_PIPE_READER
                                                                    : DESCRIPTION_PIPE_WRITER);
}

/* Its index, or ARENA_NONE. */
static uint32_t find(int pidfd, const struct host_identity *identity)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint32_t asked = 0;
    int32_t pid;

    for (uint32_t i = 0; i < used; i++) {
        const struct description *description = description_at(i);

        if (is_ours(description) && atomic_load(&description->identified) &&
            is_same(&description->identity, identity)) {
            return i;
        }
    }
    pid = process_behind(pidfd);
    for (uint32_t i = 0; i < used && asked < CANDIDATES_MAX && pid > 0; i++) {
        struct description *description = description_at(i);

        if (!is_ours(description) || atomic_load(&description->identified) ||
            !is_of_kind(description, identity) || description->maker >= EMU_MAX_PROCESSES ||
            atomic_load(&process_at(description->maker)->pid) != pid) {
            continue;
        }
        asked++;
        if (is_behind_sample(description, pidfd, identity)) {
            return i;
        }
    }
    return ARENA_NONE;
}

static uint32_t find_any(int pidfd, int fd)
{
    struct host_identity identity;
    uint32_t index;

    if (host_identify(fd, &identity) < 0) {
        return ARENA_NONE;
    }
    if (identity.kind != HOST_OTHER) {
        return find(pidfd, &identity);
    }
    index = epoll_named(fd);
    return index != ARENA_NONE && is_ours(description_at(index)) &&
                   description_at(index)->kind == DESCRIPTION_EPOLL
               ? index
               : ARENA_NONE;
}

bool emu_fd_taken(struct emu_task *self, int pidfd, int fd)
{
    struct description *description;
    uint32_t generation;
    uint32_t index;

    emu_fd_invalidate(self, fd);
    index = (unsigned)fd < EMU_MAX_FDS ? find_any(pidfd, fd) : ARENA_NONE;
    if (index == ARENA_NONE) {
        return false;
    }
    FDTAB_CHANGE(self);
    description = description_at(index);
    generation = atomic_load(&description->generation);
    description_hold(description, self->process->slot);
    atomic_store(&description->shared, 1);
    fdtab_set(self, fd, index);
    if (!is_ours(description) || atomic_load(&description->generation) != generation) {
        fdtab_clear(self, fd); /* its last holder has let it go meanwhile */
        return false;
    }
    return true;
}
