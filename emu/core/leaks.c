/*
 * leaks.c - findings that are about descriptions: what is open at the end, who dies of SIGPIPE
 *
 * Left out of what is open: 0 to 2, what this process has inherited, what is the kernel's by now.
 * A process that is killed lists nothing.
 */
#include "finding.h"

#include "fdtab.h"
#include "process.h"
#include "track.h"

#include <string.h>

static uint32_t unread_of(const struct description *description)
{
    return description->rx == ARENA_NONE ? 0 : buf_peek(buf_at(description->rx)).used;
}

/* A process that has the description open, rather another one than this. 0: none. */
static int32_t holder_of(const struct emu_task *self, const struct description *description)
{
    int32_t own = 0;

    for (uint32_t slot = 1; slot < process_slots(); slot++) {
        if (description_held_by(description, slot)) {
            int32_t pid = atomic_load(&process_at(slot)->pid);

            if (slot != self->process->slot && pid > 0) {
                return pid;
            }
            own = slot == self->process->slot ? pid : own;
        }
    }
    return own;
}

static void add_open(struct emu_task *self, int fd, struct description *description, uint32_t made)
{
    const struct description *peer = description_peer(description);
    struct emu_finding finding = { .kind = EMU_FINDING_OPEN,
                                   .object = description->kind,
                                   .call = -1,
                                   .fd = fd,
                                   .pid = self->process->pid,
                                   .made = made != 0 ? made : atomic_load(&description->site),
                                   .at_exit = 1,
                                   .bytes = unread_of(description) };

    finding.other_pid = peer ? holder_of(self, peer) : 0;
    host_program(finding.program);
    emu_finding_add(&finding);
}

/* Nobody else could have read what lies between two ends that both are this process's. */
static void note_both_ends(struct emu_task *self, struct description *description)
{
    const struct description *peer = description_peer(description);

    if (peer && description_held_by(peer, self->process->slot)) {
        atomic_store(&description->both_ends, self->process->pid);
    }
}

void emu_track_exit(struct emu_task *self)
{
    int top = fdtab_top();

    if (!track_is_on() || track_is_ending()) {
        return;
    }
    track_set_ending();
    for (int fd = 0; fd < top; fd++) {
        struct description *description = fdtab_get_served(fd);
        uint32_t made;

        if (description) {
            note_both_ends(self, description);
            if (fd > 2 && track_is_own(self, fd, &made) && host_fcntl(fd, F_GETFD, 0) >= 0) {
                add_open(self, fd, description, made);
            }
        }
    }
}

void emu_track_closed_known(struct emu_task *self, int fd)
{
    const struct description *description = fdtab_get_any(fd);
    uint32_t object = description ? description->kind : 0;
    uint32_t made = description ? atomic_load(&description->site) : 0;

    emu_fd_invalidate(self, fd);
    if (description && track_is_on()) {
        track_closed(self, fd, object, made);
    }
}

void emu_track_sigpipe(struct emu_task *self)
{
    const struct description *description = self->broken ? description_at(self->broken - 1) : NULL;
    struct emu_finding finding = {
        .kind = EMU_FINDING_SIGPIPE, .call = -1, .fd = -1, .pid = self->process->pid
    };

    self->broken = 0;
    if (!track_is_on()) {
        return;
    }
    finding.used = track_site(self);
    if (description) {
        const struct track_end *end = &buf_at(description->tx)->reader_end;

        finding.object = description->kind;
        finding.made = atomic_load(&description->site);
        finding.fd = fdtab_find(-1, description_index(description));
        finding.closed = end->site;
        finding.other_pid = end->pid;
        finding.at_exit = end->at_exit;
        memcpy(finding.other, end->program, sizeof finding.other);
    }
    host_program(finding.program);
    emu_finding_add(&finding);
}
