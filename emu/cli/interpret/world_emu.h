/*
 * world_emu.h - between the parts of the emulator's side: world_emu.c (tasks, processes, who runs
 * next), world_emu_wait.c (how a task waits), world_emu_native.c (calls that the kernel serves)
 */
#ifndef INTERPRET_WORLD_EMU_H
#define INTERPRET_WORLD_EMU_H

#include <poll.h>
#include <stdatomic.h>

#include "emu.h"
#include "interpret/numbers.h"
#include "interpret/stack.h"
#include "interpret/world_inside.h"

struct call;

enum interruption { INTERRUPT_NONE, INTERRUPT_RESTART, INTERRUPT_FINAL };

struct virtual_task {
    struct emu_task emu; /* first: the core gives it back to the hooks */
    struct world_task *task;
    struct stack stack;
    struct stack *scheduler; /* who runs the world */
    uint8_t *memory;         /* of its stack; NULL: none yet; kept when the task is gone */

    /* while it is blocked */
    const _Atomic uint32_t *word; /* runs again when this isn't `expected`, or NULL */
    uint32_t expected;
    struct pollfd *fds; /* ... or one of these is ready, or NULL */
    nfds_t fd_count;
    bool retries; /* ... or now and then */
    uint64_t deadline_ns;
    bool expired;
    enum interruption interruption;
    uint64_t since; /* grows with each sleep */
    struct numbers_call numbers;
    int held;       /* a descriptor of the kernel's that its call keeps open, or 0 */
    bool limited;   /* RLIMIT_NOFILE is lowered for its call, ... */
    uint64_t limit; /* ... and was this */
};

/* ---- world_emu_wait.c ---- */

extern uint64_t world_sleeps; /* ever begun */

/* The hooks of struct emu_process. */
int64_t virtual_sleep(struct emu_task *self, const _Atomic uint32_t *word, uint32_t expected,
                      uint64_t deadline_ns);
int virtual_poll(struct emu_task *self, struct pollfd *fds, nfds_t count, int64_t timeout_ns,
                 const sigset_t *mask);
int64_t virtual_call(struct emu_task *self, long number, const long arguments[6]);

/* RLIMIT_NOFILE is what it was before the task's call. */
void virtual_unlimit(struct virtual_task *virtual);

/* Goes back to who runs the world until the task is resumed. */
void virtual_block(struct virtual_task *virtual);
enum interruption virtual_interruption(struct virtual_task *virtual);

/* Waits until `fd` shows one of `events`. Returns 0: try now; -EINTR; -EAGAIN at the deadline. */
int64_t virtual_await(struct virtual_task *virtual, int fd, short events, uint64_t deadline_ns);

/* A blocking connect; as the system call. */
int64_t virtual_connect(struct virtual_task *virtual, int fd, long address, long size);

/* When a socket's SO_RCVTIMEO or SO_SNDTIMEO ends a call that begins now; 0: never. */
uint64_t virtual_deadline(int fd, int option);

/* Also of a number that isn't open: nobody waits for that. */
bool virtual_nonblocking(int fd);

/* ---- world_emu_native.c ---- */

/* The task's call keeps no descriptor any more. */
void virtual_release(struct virtual_task *virtual);

/* What call_emu() leaves to the kernel: never sleeps there for long. */
int64_t virtual_native(struct emu_task *self, const struct call *call, const uint64_t *arguments);

#endif
