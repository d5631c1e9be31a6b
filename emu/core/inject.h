/*
 * inject.h - faults that the user asks for: --inject, in strace's words and some more
 *
 *     CALLS:WHAT[:WHAT...]      write:error=EPIPE:when=3+2      %network:delay_enter=2ms:p=0.1
 *
 *   CALLS        names of calls.def, `,` between them; %rw %pipe %socket %msg %sockopt %fd %poll
 *                %epoll (its groups), %desc (calls on a descriptor), %network (socket, msg and
 *                sockopt), all; a leading ! means all others, ? that the name may be unknown
 *   error=E      the call isn't made, and fails
 *   retval=N     the call isn't made, and answers so. One that sends is made with so many bytes (or
 *                messages) and no more, for a byte that is told of arrives
 *   signal=S     the task gets this signal when it makes the call
 *   delay_enter=T delay_exit=T   microseconds, or with a unit: ns us ms s
 *   peer=close   of a socket: from now on it is as if the other end were closed, for both ends: end
 *                of file behind what is unread, EPIPE. peer=reset: as if that end had something
 *                unread then: ECONNRESET before the end of file. With byte= of a call that receives
 *                what is behind the byte never comes
 *   when=F[..L][+[S]]   at calls number F, F+S, ... L, counted for each task, rule and call in each
 *                image; F alone is F..F. [1+]
 *   p=0.01       with this probability, by the seed
 *   fd=N proc=GLOB   on this descriptor; in programs of this name alone
 *   byte=N       at byte N of the direction: sends that would go past it end there
 *   budget=N     so many times in all of the session
 *
 * Linux's own kernel gives partial transfers where records are whole, and pipes' writes of PIPE_BUF
 * at most, never; there neither byte= nor retval= cuts anything. A descriptor that isn't emulated
 * is out of reach.
 *
 * The command parses a rule; the arena's header holds it in this form, and the library reads it.
 */
#ifndef EMU_INJECT_H
#define EMU_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMU_MAX_INJECTIONS  16
#define EMU_INJECT_PROGRAM  32  /* bytes of a pattern; a name of a program has 15 */
#define EMU_INJECT_SIZE     240 /* bytes of an expression */
#define EMU_INJECT_NS_MAX   3600000000000ull
#define EMU_INJECT_WHEN_MAX UINT32_MAX

/* How often each rule has met each call of a task. */
#define EMU_INJECT_CALLS  128
#define EMU_INJECT_COUNTS (sizeof(uint32_t) * EMU_MAX_INJECTIONS * EMU_INJECT_CALLS)

enum {
    EMU_INJECT_ERROR = 1 << 0,
    EMU_INJECT_RETVAL = 1 << 1,
    EMU_INJECT_SIGNAL = 1 << 2,
    EMU_INJECT_ENTER = 1 << 3,
    EMU_INJECT_EXIT = 1 << 4,
    EMU_INJECT_CLOSE = 1 << 5,
    EMU_INJECT_RESET = 1 << 6,
    EMU_INJECT_DOES = (1 << 7) - 1, /* one of these is in every rule */
    EMU_INJECT_BYTE = 1 << 7,
    EMU_INJECT_FD = 1 << 8,
    EMU_INJECT_WHEN = 1 << 9,
};

struct emu_inject {
    uint64_t calls[2]; /* bit N of them: enum emu_call_id N is meant */
    uint64_t byte;
    uint64_t enter_ns;
    uint64_t exit_ns;
    int64_t retval;
    uint32_t what; /* EMU_INJECT_* */
    int32_t error; /* positive errno */
    int32_t signal;
    int32_t fd;
    uint32_t first;
    uint32_t last;
    uint32_t step;
    uint32_t budget;                  /* 0: no end of it */
    uint32_t chance;                  /* in 2^32; 0: always */
    char program[EMU_INJECT_PROGRAM]; /* "": any */
};

/* Why an expression is refused. */
struct emu_inject_problem {
    uint32_t at; /* where in it */
    char text[100];
};

/*
 * Parses one expression.
 * Returns 0, or -EINVAL: *ret_problem says why, and *ret_rule is untouched.
 */
int emu_inject_parse(const char *text, struct emu_inject *ret_rule,
                     struct emu_inject_problem *ret_problem);

struct emu_options;

/* Whether the seed matters. */
bool emu_options_draw(const struct emu_options *options);

struct emu_task;

/* What emu_fault_end() is to know. */
struct emu_fault_call {
    uint64_t exit_ns;
    uint64_t bytes; /* that the call may move: EMU_INJECT_BYTE */
    uint32_t rules; /* a bit each: their byte may have come when the call has been made */
    bool counts;    /* what it moves is counted */
};

/*
 * Before and after an emulated call, where self->faults says so: others may go first (fault.h), and
 * what was asked for happens. `call` is an enum emu_call_id, `words` are its arguments, `caller` is
 * where the guest called from. begin: false when *ret_answer is the call's answer already.
 */
bool emu_fault_begin(struct emu_task *self, uint32_t call, const uint64_t *words,
                     const void *caller, struct emu_fault_call *ret_call, int64_t *ret_answer);
void emu_fault_end(struct emu_task *self, uint32_t call, const uint64_t *words,
                   const struct emu_fault_call *of, int64_t answer);

/* The same before a handler of the guest runs: it may run late. */
void emu_fault_handler(struct emu_task *self);

#endif
