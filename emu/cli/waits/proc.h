/*
 * proc.h - processes and threads as /proc shows them
 *
 * All of it is a look at one moment: whoever is looked at may change or be gone at once.
 */
#ifndef CLI_PROC_H
#define CLI_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROC_NAME 16 /* TASK_COMM_LEN */
#define PROC_LINK 64

/* Name of the program, "?" when it can't be read. */
void proc_name(int32_t pid, char ret_name[PROC_NAME]);

/* State of a thread as in proc(5)'s stat: 'R', 'S', 'D', 'T', 'Z', ...; 0: there is none. */
char proc_state(int32_t pid, int32_t tid);

/* How often the thread has left the CPU, by itself or not; 0: not known. */
uint64_t proc_switches(int32_t pid, int32_t tid);

/* The signals that the process has handlers for: bit N - 1 for signal N. */
uint64_t proc_caught(int32_t pid);

/* Whether it has made timers (timer_create): /proc doesn't show which of them are armed. */
bool proc_has_timers(int32_t pid);

enum proc_memory {
    PROC_MEMORY_UNKNOWN,
    PROC_MEMORY_PRIVATE, /* nobody else has it */
    PROC_MEMORY_SHARED,
};

/* Whose memory an address of the process is. */
enum proc_memory proc_memory(int32_t pid, uint64_t address);

/* Its threads, at most `max`, in ascending order. Returns their number. */
size_t proc_threads(int32_t pid, int32_t *ret_tids, size_t max);

/* Pid of its parent, 0: there is none. */
int32_t proc_parent(int32_t pid);

/*
 * A variable of its environment, as it was at its last exec; cut at `room`. False: it isn't there,
 * or can't be read.
 */
bool proc_environment(int32_t pid, const char *name, char *ret_value, size_t room);

enum proc_doing {
    PROC_GONE,
    PROC_RUNS,
    PROC_CALLS,   /* blocked in the system call `number` */
    PROC_STOPPED, /* by a signal, or a debugger */
    PROC_ENDED,   /* nobody has waited for it yet */
    PROC_SLEEPS,  /* blocked, and more may not be known: `where` may hold the kernel's function */
};

struct proc_call {
    enum proc_doing doing;
    long number;
    uint64_t arguments[6];
    uint64_t stack; /* of the thread, 0: not known */
    uint64_t code;  /* where it stands, 0: not known */
    char where[PROC_LINK];
};

/* What a thread does, from /proc/PID/task/TID/syscall; else from wchan and stat. */
struct proc_call proc_look(int32_t pid, int32_t tid);

/* Reads memory of another process. False: not readable, or not allowed. */
bool proc_read(int32_t pid, uint64_t address, void *ret_data, size_t size);

/* What descriptor `fd` leads to ("pipe:[1234]"), "" when it can't be read. */
void proc_fd_link(int32_t pid, int fd, char ret_link[PROC_LINK]);

/* The lowest number of a descriptor with this link and access (bits of open(2), -1: any); or -1. */
int proc_find_fd(int32_t pid, const char *link, int access);

/*
 * Adds to `pids` (count of them there, room for `max`) all their descendants; this process and
 * doubles are left out. Returns the new count.
 */
size_t proc_add_descendants(int32_t *pids, size_t count, size_t max);

#endif
