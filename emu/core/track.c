/*
 * track.c - see track.h
 */
#include "track.h"

#include "host.h"

#include <string.h>
#include <sys/syscall.h>

struct track_number *track_numbers;
static _Atomic bool ending;

static _Thread_local int closing __attribute__((tls_model("initial-exec"))) = -1; /* a number */

/* The last close that was answered EBADF in this thread. */
static _Thread_local struct {
    int fd;
    uint32_t site;
} last_bad __attribute__((tls_model("initial-exec")));

bool emu_track_is_on(void)
{
    return track_is_on();
}

void emu_track_begin(struct emu_task *self)
{
    if (self->process->options.track && !self->process->gateway && !track_is_on()) {
        track_numbers = host_memory_private(EMU_MAX_FDS * sizeof *track_numbers);
    }
}

static struct track_number *number_at(int fd)
{
    return track_is_on() && fd >= 0 && fd < (int)EMU_MAX_FDS ? &track_numbers[fd] : NULL;
}

uint32_t track_site(struct emu_task *self)
{
    return self->process->site && !atomic_load(&ending) ? self->process->site(self) : 0;
}

void track_opened(struct emu_task *self, int fd, uint32_t object, _Atomic uint32_t *made)
{
    struct track_number *number = number_at(fd);
    uint32_t site = track_site(self);
    uint32_t unknown = 0;

    atomic_compare_exchange_strong(made, &unknown, site);
    if (number) {
        atomic_store(&number->object, object);
        atomic_store(&number->opener, self->process->pid);
        atomic_store(&number->made, site);
        atomic_store(&number->state, TRACK_OPEN);
    }
}

void track_closed(struct emu_task *self, int fd, uint32_t object, uint32_t made)
{
    struct track_number *number = number_at(fd);

    closing = fd;
    if (!number || atomic_load(&ending)) {
        return;
    }
    if (atomic_load(&number->state) != TRACK_OPEN || atomic_load(&number->made) == 0) {
        atomic_store(&number->made, made); /* inherited */
    }
    atomic_store(&number->object, object);
    atomic_store(&number->closed, track_site(self));
    atomic_store(&number->state, TRACK_CLOSED);
}

void track_forget(int fd)
{
    struct track_number *number = number_at(fd);

    if (number) {
        atomic_store(&number->state, TRACK_UNKNOWN);
    }
}

void emu_track_closed_native(int fd)
{
    struct track_number *number = number_at(fd);

    if (number && atomic_load(&number->state) != TRACK_CLOSED) {
        atomic_store(&number->state, TRACK_CLOSED_NATIVE);
    }
}

bool track_is_own(const struct emu_task *self, int fd, uint32_t *ret_made)
{
    const struct track_number *number = number_at(fd);

    if (!number || atomic_load(&number->state) != TRACK_OPEN ||
        atomic_load(&number->opener) != self->process->pid) {
        return false;
    }
    *ret_made = atomic_load(&number->made);
    return true;
}

void track_set_ending(void)
{
    atomic_store(&ending, true);
}

bool track_is_ending(void)
{
    return atomic_load(&ending);
}

struct track_end track_end_here(struct emu_task *self)
{
    struct track_end end = { .site = track_site(self),
                             .pid = self->process->pid,
                             .at_exit = atomic_load(&ending) };

    host_program(end.program);
    return end;
}

static void add(struct emu_task *self, struct emu_finding *finding)
{
    finding->pid = self->process->pid;
    finding->at_exit |= atomic_load(&ending);
    host_program(finding->program);
    emu_finding_add(finding);
}

void track_unread(struct emu_task *self, uint32_t object, uint32_t made, uint32_t bytes, bool sure)
{
    struct emu_finding finding = { .kind = EMU_FINDING_UNREAD,
                                   .object = object,
                                   .call = -1,
                                   .fd = closing,
                                   .made = made,
                                   .closed = track_site(self),
                                   .doubtful = !sure,
                                   .bytes = bytes };

    add(self, &finding);
}

/*
 * A loop over all numbers that there could be (before an exec, say) means no number in particular:
 * it shows when one that was never open follows another that isn't.
 */
static bool is_sweep(const struct track_number *number, int fd, uint32_t site)
{
    bool follows = last_bad.site == site && site != 0 &&
                   (last_bad.fd == fd - 1 || last_bad.fd == fd + 1);

    last_bad.fd = fd;
    last_bad.site = site;
    return follows && atomic_load(&number->state) == TRACK_UNKNOWN;
}

void emu_track_bad(struct emu_task *self, int fd, long call)
{
    struct track_number *number = number_at(fd);
    uint32_t site = number ? track_site(self) : 0;
    struct emu_finding finding = { .call = (int32_t)call, .fd = fd, .used = site };

    if (!number) {
        return;
    }
    if (call == SYS_close && is_sweep(number, fd, site)) {
        emu_site_withdraw(site);
        return;
    }
    if (atomic_load(&number->state) != TRACK_CLOSED) {
        return;
    }
    finding.kind = call == SYS_close ? EMU_FINDING_DOUBLE_CLOSE : EMU_FINDING_USE_AFTER_CLOSE;
    finding.object = atomic_load(&number->object);
    finding.made = atomic_load(&number->made);
    finding.closed = atomic_load(&number->closed);
    add(self, &finding);
}
