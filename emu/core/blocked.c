/*
 * blocked.c - see blocked.h
 *
 * For the supervisor, which maps the arena and is no member: what each sleeping task says of its
 * sleep (task.h), and the state of the objects that it names. Nothing is locked, and everything may
 * change or be used again meanwhile; a name of an object is index and generation, and who finds
 * that the generation has moved shows nothing of it.
 *
 * A channel's number is that of its first buf: constant while the channel lives, and counted from
 * 1 in the order of making as long as nothing is closed. What isn't counted can't be wrong.
 */
#include "blocked.h"

#include "birth.h"
#include "epoll.h"
#include "host.h"
#include "process.h"

const char *emu_call_name(uint32_t call)
{
    static const char *const names[] = {
        "",
#define CALL(name, group, signature, parameters, level, note) #name,
#include "calls.def"
#undef CALL
    };

    return call < sizeof names / sizeof names[0] ? names[call] : "";
}

static bool is_vsock(const struct buf_state *state)
{
    return state->kind == DESCRIPTION_VSOCK_STREAM || state->kind == DESCRIPTION_VSOCK_SEQPACKET;
}

static struct emu_fill fill_of(uint32_t index, bool pipe)
{
    struct buf_state state;

    if (index >= EMU_MAX_BUFS) { /* ARENA_NONE, or nonsense in what is being reused */
        return (struct emu_fill){ 0 };
    }
    state = buf_peek(buf_at(index));
    if (!is_vsock(&state) && state.piece != 0) {
        return (struct emu_fill){
            .there = true,
            .native = state.flags & BUF_NATIVE,
            .bytes = state.used,
            .pieces = state.seg_count,
            .used = state.used,
            .capacity = state.piece,
            .slots = pipe ? state.limit : 0,
            .tiny = state.piece,
        };
    }
    return (struct emu_fill){
        .there = true,
        .native = state.flags & BUF_NATIVE,
        .bytes = state.used,
        .pieces = state.seg_count,
        .used = pipe ? state.used : state.charged,
        .capacity = pipe ? state.limit * EMU_PAGE : state.limit,
        .slots = pipe ? state.limit : 0,
        .tiny = is_vsock(&state) && state.limit < EMU_SQUEEZED_CREDIT ? state.limit : 0,
    };
}

static enum emu_channel_kind kind_of(uint32_t kind)
{
    switch (kind) {
    case DESCRIPTION_PIPE_READER:
    case DESCRIPTION_PIPE_WRITER: return EMU_CHANNEL_PIPE;
    case DESCRIPTION_STREAM: return EMU_CHANNEL_STREAM;
    case DESCRIPTION_SEQPACKET: return EMU_CHANNEL_SEQPACKET;
    case DESCRIPTION_VSOCK_STREAM: return EMU_CHANNEL_STREAM;
    case DESCRIPTION_VSOCK_SEQPACKET: return EMU_CHANNEL_SEQPACKET;
    case DESCRIPTION_EPOLL: return EMU_CHANNEL_EPOLL;
    default: return EMU_CHANNEL_OTHER;
    }
}

static bool is_alive(uint32_t index, uint32_t generation)
{
    return index < EMU_MAX_DESCRIPTIONS &&
           atomic_load_explicit(&description_at(index)->state, memory_order_acquire) ==
               DESCRIPTION_LIVE &&
           atomic_load_explicit(&description_at(index)->generation, memory_order_acquire) ==
               generation;
}

/* Who made the other end, and a number that it had there. */
static void look_at_peer(struct emu_blocked_fd *fd)
{
    const struct description *peer;

    if (!is_alive(fd->peer, fd->peer_generation)) {
        return;
    }
    peer = description_at(fd->peer);
    fd->peer_sample_fd = atomic_load_explicit(&peer->sample_fd, memory_order_relaxed);
    fd->peer_travels = atomic_load_explicit(&peer->in_flight, memory_order_relaxed) != 0;
    if (peer->maker < EMU_MAX_PROCESSES) {
        fd->peer_maker = atomic_load_explicit(&process_at(peer->maker)->pid, memory_order_relaxed);
    }
}

/* Fills in what `fd` is; its number, description and generation stand already. */
static void look_at_object(struct emu_blocked_fd *fd)
{
    struct emu_blocked_fd seen = *fd;
    const struct description *description;

    fd->peer = ARENA_NONE;
    if (!is_alive(fd->description, fd->generation)) {
        return;
    }
    description = description_at(fd->description);
    seen.kind = kind_of(description->kind);
    if (seen.kind == EMU_CHANNEL_OTHER) {
        return;
    }
    seen.in = fill_of(description->rx, seen.kind == EMU_CHANNEL_PIPE);
    seen.out = fill_of(description->tx, seen.kind == EMU_CHANNEL_PIPE);
    seen.number = seen.kind == EMU_CHANNEL_EPOLL
                      ? description->epoll + 1
                      : base_min_u32(description->rx, description->tx) + 1;
    seen.peer = description->peer;
    seen.peer_generation = description->peer_generation;
    look_at_peer(&seen);
    if (is_alive(fd->description, fd->generation)) {
        *fd = seen;
    }
}

/*
 * epoll_wait waits for what is in its set: the first entries that the emulator serves. Found by
 * looking at all there are, since the chains of a set are guarded by a lock.
 */
static void open_epoll(struct emu_blocked *blocked)
{
    const struct emu_blocked_fd set = blocked->fds[0];
    uint32_t used = epoll_items_used();

    blocked->set_fd = set.fd;
    blocked->outside |= atomic_load_explicit(&epoll_at(set.number - 1)->real,
                                             memory_order_relaxed) != 0;
    blocked->count = 0;
    blocked->fd_count = 0;
    for (uint32_t i = 0; i < used; i++) {
        const struct epoll_item *item = epoll_item_at(i);
        struct emu_blocked_fd *fd = &blocked->fds[blocked->fd_count];

        if (atomic_load_explicit(&item->state, memory_order_acquire) != ITEM_LIVE ||
            item->epoll + 1 != set.number) {
            continue;
        }
        if (blocked->count++ < EMU_BLOCKED_FDS) {
            *fd = (struct emu_blocked_fd){
                .fd = item->fd,
                .events = atomic_load_explicit(&item->events, memory_order_relaxed) &
                          ~EPOLL_PRIVATE,
                .description = item->watched,
                .generation = item->watched_generation,
                .peer_sample_fd = -1,
            };
            look_at_object(fd);
            blocked->fd_count++;
        }
    }
}

static void fill_in(const struct task_sleep *sleep, struct emu_blocked *ret_blocked)
{
    ret_blocked->call = sleep->call;
    ret_blocked->count = sleep->count;
    ret_blocked->size = sleep->size;
    ret_blocked->done = sleep->done;
    ret_blocked->timeout_ns = sleep->timeout_ns;
    ret_blocked->since_ns = sleep->since_ns;
    ret_blocked->frame = sleep->frame;
    ret_blocked->outside = sleep->outside != 0;
    ret_blocked->fd_count = base_min_u32(sleep->watched, EMU_BLOCKED_FDS);
    for (uint32_t i = 0; i < ret_blocked->fd_count; i++) {
        ret_blocked->fds[i] = (struct emu_blocked_fd){
            .fd = sleep->watch[i].fd,
            .events = sleep->watch[i].events,
            .description = sleep->watch[i].description,
            .generation = sleep->watch[i].generation,
            .peer_sample_fd = -1,
        };
        look_at_object(&ret_blocked->fds[i]);
    }
    ret_blocked->set_fd = -1;
    if (sleep->call == EMU_CALL_epoll_wait && ret_blocked->fd_count == 1 &&
        ret_blocked->fds[0].kind == EMU_CHANNEL_EPOLL) {
        open_epoll(ret_blocked);
    }
}

bool emu_session_blocked(uint32_t *index, struct emu_blocked *ret_blocked)
{
    uint32_t used = atomic_load_explicit(&arena->header.tasks.fresh, memory_order_acquire);

    for (used = base_min_u32(used, EMU_MAX_TASKS); *index < used;) {
        const struct task_record *record = task_at((*index)++);
        struct task_sleep sleep;
        uint32_t slot;

        if (atomic_load_explicit(&record->state, memory_order_acquire) != TASK_LIVE ||
            !task_sleep_peek(record, &sleep)) {
            continue;
        }
        slot = atomic_load_explicit(&record->process, memory_order_relaxed);
        *ret_blocked = (struct emu_blocked){ .tid = record->tid };
        if (slot < EMU_MAX_PROCESSES) {
            ret_blocked->pid = atomic_load_explicit(&process_at(slot)->pid, memory_order_relaxed);
        }
        if (ret_blocked->pid > 0) {
            fill_in(&sleep, ret_blocked);
            return true;
        }
    }
    return false;
}

uint32_t emu_session_holders(uint32_t description, uint32_t generation, int32_t *ret_pids,
                             uint32_t max)
{
    uint32_t count = 0;

    if (!is_alive(description, generation)) {
        return 0;
    }
    for (uint32_t slot = 0; slot < EMU_MAX_PROCESSES && count < max; slot++) {
        if (description_held_by(description_at(description), slot)) {
            int32_t pid = atomic_load_explicit(&process_at(slot)->pid, memory_order_relaxed);

            if (pid > 0) {
                ret_pids[count++] = pid;
            }
        }
    }
    return is_alive(description, generation) ? count : 0;
}

struct emu_origin emu_session_origin(uint32_t index, uint32_t generation, int32_t pid)
{
    struct emu_origin origin = { .kind = EMU_ORIGIN_UNKNOWN };
    uint32_t slot = process_find(pid);
    const struct description *description;

    if (slot == ARENA_NONE || !is_alive(index, generation)) {
        return origin;
    }
    description = description_at(index);
    if (description->maker == slot) {
        origin.kind = EMU_ORIGIN_MADE;
    } else if (atomic_load(&description->receiver) == slot + 1) {
        origin.kind = EMU_ORIGIN_RECEIVED;
    } else {
        origin = birth_of(slot, PROCESS_GENERATION(atomic_load(&process_at(slot)->state)));
    }
    return origin;
}

void emu_process_note_alarm(const struct emu_process *process, uint64_t left_us, bool repeats)
{
    uint64_t until_ns = left_us == 0 ? 0 : host_now_ns() + left_us * 1000;

    if (left_us != 0 && repeats) {
        until_ns = UINT64_MAX;
    }
    if (process->slot != 0) {
        atomic_store(&process_at(process->slot)->alarm_ns, until_ns);
    }
}

bool emu_session_alarm(int32_t pid)
{
    for (uint32_t slot = 1; slot < EMU_MAX_PROCESSES; slot++) {
        const struct process_record *record = process_at(slot);

        if (PROCESS_KIND(atomic_load(&record->state)) == PROCESS_LIVE &&
            atomic_load(&record->pid) == pid) {
            return atomic_load(&record->alarm_ns) > host_now_ns();
        }
    }
    return false;
}
