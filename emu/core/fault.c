/*
 * fault.c - see fault.h
 */
#include "fault.h"

#include "host.h"

#define PAUSE_ONE_IN     8        /* calls, on each side of them */
#define INTERRUPT_ONE_IN 6        /* waits */
#define LINGER_ONE_IN    4        /* calls that say what is ready */
#define LATE_ONE_IN      4        /* wake-ups */
#define RARE_ONE_IN      2        /* handlers of signals, ends of processes */
#define RARE_STEP        4        /* their pauses are 320 us at least */
#define PAUSE_SHORTEST   20000ull /* ns; twice as long with each step */
#define PAUSE_STEPS      9 /* the longest is 5 ms: longer than what tests wait between steps */
#define HARSH            2 /* so much more often */
#define SLOW_ONE_IN      4 /* tasks: beside such a one the others get far ahead */
#define SLOW_PAUSES      200
#define SLOW             4 /* so much more often */

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
        self->fault_slow = mix(self->fault_state) % SLOW_ONE_IN == 0 ? SLOW_PAUSES : 0;
    }
    self->fault_state += GOLDEN;
    return mix(self->fault_state);
}

static bool one_in(struct emu_task *self, uint32_t count)
{
    if (self->process->options.faults == EMU_FAULTS_HARSH) {
        count = count > HARSH ? count / HARSH : 1;
    }
    return draw(self) % count == 0;
}

bool fault_chance(struct emu_task *self, uint32_t chance)
{
    return draw(self) >> 32 < chance;
}

uint32_t fault_below(struct emu_task *self, uint32_t count)
{
    return (uint32_t)(draw(self) % count);
}

static void pause_one_in(struct emu_task *self, uint32_t count, uint32_t least_step)
{
    _Atomic uint32_t never = 0;

    if (self->fault_slow > 0) {
        count = count > SLOW ? count / SLOW : 1;
    }
    if (one_in(self, count)) {
        self->fault_slow -= self->fault_slow > 0;
        uint32_t step = least_step + fault_below(self, PAUSE_STEPS - least_step);
        uint64_t length = PAUSE_SHORTEST << step;

        host_futex_wait(&never, 0, host_now_ns() + length);
    }
}

void emu_fault_pause(struct emu_task *self)
{
    pause_one_in(self, PAUSE_ONE_IN, 0);
}

void fault_linger(struct emu_task *self)
{
    pause_one_in(self, LINGER_ONE_IN, 0);
}

void fault_late(struct emu_task *self)
{
    pause_one_in(self, LATE_ONE_IN, 0);
}

void fault_rare(struct emu_task *self)
{
    pause_one_in(self, RARE_ONE_IN, RARE_STEP);
}

void emu_fault_handler(struct emu_task *self)
{
    if (fault_on(self)) {
        fault_rare(self);
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
