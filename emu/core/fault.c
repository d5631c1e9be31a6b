/*
 * fault.c - see fault.h
 */
#include "fault.h"

#include "host.h"

#define PAUSE_ONE_IN     8        /* calls, on each side of them */
#define INTERRUPT_ONE_IN 6        /* waits */
#define PAUSE_SHORTEST   20000ull /* ns; twice as long with each step */
#define PAUSE_STEPS      9 /* the longest is 5 ms: longer than what tests wait between steps */
#define HARSH            2 /* so much more often */

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014) */
static uint64_t mix(uint64_t word)
{
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ull;
    word = (word ^ word >> 27) * 0x94d049bb133111ebull;
    return word ^ word >> 31;
}

#define GOLDEN 0x9e3779b97f4a7c15ull

uint64_t fault_place_of_child(struct emu_process *parent)
{
    if (!parent) {
        return GOLDEN;
    }
    return mix(parent->fault_place +
               GOLDEN * (1 + (uint64_t)atomic_fetch_add(&parent->children, 1)));
}

static uint64_t draw(struct emu_task *self)
{
    struct emu_process *process = self->process;

    if (self->fault_state == 0) {
        uint64_t number = atomic_fetch_add(&process->fault_tasks, 1);

        self->fault_state = mix(process->options.seed * GOLDEN + process->fault_place + number) | 1;
    }
    self->fault_state += GOLDEN;
    return mix(self->fault_state);
}

static bool one_in(struct emu_task *self, uint32_t count)
{
    if (self->process->options.faults == EMU_FAULTS_HARSH) {
        count /= HARSH;
    }
    return draw(self) % count == 0;
}

void emu_fault_pause(struct emu_task *self)
{
    _Atomic uint32_t never = 0;

    if (one_in(self, PAUSE_ONE_IN)) {
        uint64_t chosen = draw(self);
        uint64_t length = PAUSE_SHORTEST << chosen % PAUSE_STEPS;

        host_futex_wait(&never, 0, host_now_ns() + length);
    }
}

bool fault_interrupt(struct emu_task *self, bool restarts)
{
    const struct emu_process *process = self->process;

    return (atomic_load_explicit(&process->handlers_final, memory_order_relaxed) != 0 ||
            (!restarts && atomic_load_explicit(&process->handlers, memory_order_relaxed) != 0)) &&
           one_in(self, INTERRUPT_ONE_IN);
}

/* `least` in half of the cases, else up to 16 times as much; 0 in one of eight. */
static uint32_t size(struct emu_task *self, uint32_t least)
{
    uint64_t chosen = draw(self);

    if (chosen % 8 == 0) {
        return 0;
    }
    return chosen % 2 != 0 ? least : least << (chosen >> 8) % 5;
}

uint32_t fault_pipe_capacity(struct emu_task *self)
{
    if (!fault_on(self) || self->process->options.pipe_capacity != 0) {
        return self->process->options.pipe_capacity;
    }
    return size(self, EMU_PAGE);
}

uint32_t fault_send_buffer(struct emu_task *self)
{
    if (!fault_on(self) || self->process->options.sock_buffer != 0) {
        return self->process->options.sock_buffer;
    }
    return size(self, EMU_SQUEEZED_SOCKET);
}

int fault_backlog(struct emu_task *self, int backlog)
{
    uint32_t most = self->process->options.backlog;

    if (fault_on(self) && most == 0 && draw(self) % 4 != 0) {
        most = 1 + (uint32_t)(draw(self) % 4);
    }
    return most != 0 && (backlog < 0 || (uint32_t)backlog > most) ? (int)most : backlog;
}
