/*
 * members.c - see members.h
 */
#include "members.h"

#include "host.h"

void members_init(struct members *members, nfds_t others)
{
    members->others = others;
    members->count = others;
}

static bool is_watched(const struct members *members, int32_t pid)
{
    for (nfds_t i = members->others; i < members->count; i++) {
        if (members->pids[i] == pid) {
            return true;
        }
    }
    return false;
}

/* Looked at twice: a silent member may have died long ago, and its pid may be another process's. */
static void watch(struct emu_task *self, struct members *members, int32_t pid)
{
    int pidfd = host_process_open(pid);

    if (emu_process_sweep(self, pid) && pidfd >= 0) {
        members->fds[members->count] = (struct pollfd){ .fd = pidfd, .events = POLLIN };
        members->pids[members->count] = pid;
        members->count++;
    } else if (pidfd >= 0) {
        host_close(pidfd);
    }
}

void members_find(struct emu_task *self, struct members *members)
{
    static int32_t pids[EMU_MAX_PROCESSES];
    const uint32_t count = emu_session_members(pids, EMU_MAX_PROCESSES, &members->changes);

    for (uint32_t i = 0; i < count && members->count < members->others + EMU_MAX_PROCESSES; i++) {
        if (!is_watched(members, pids[i])) {
            watch(self, members, pids[i]);
        }
    }
}

void members_sweep(struct emu_task *self, struct members *members)
{
    for (nfds_t i = members->count; i-- > members->others;) {
        if (members->fds[i].revents == 0) {
            continue;
        }
        emu_process_sweep(self, members->pids[i]);
        host_close(members->fds[i].fd);
        members->count--;
        members->fds[i] = members->fds[members->count];
        members->pids[i] = members->pids[members->count];
    }
}

void members_fini(struct members *members)
{
    for (nfds_t i = members->others; i < members->count; i++) {
        host_close(members->fds[i].fd);
    }
}
