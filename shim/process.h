/*
 * process.h - how children come to be, for those who make them without fork (man2_proc.c)
 */
#ifndef SHIM_PROCESS_H
#define SHIM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Registers the handlers that run around each fork. Called once, before the program's own. */
void process_watch_forks(void);

/*
 * The next child of this thread is no member of the session: it lives in another PID namespace,
 * where pids mean something else. All channels go native. False: they can't.
 */
bool process_part(void);

/* Before a child is made: does the kernel put this thread's children there? If so, the same. */
bool process_check_namespace(void);

/*
 * Brackets the making of a child with a memory of its own: begin() in the parent (false: the
 * session is full, errno is set), then end() there, with the child's pid or < 0, and born() in the
 * child, in the same thread. end() returns what it is given.
 */
bool process_fork_begin(void);
pid_t process_fork_end(pid_t child);
void process_born(void);

/*
 * Brackets a clone or clone3 that is made by number, with its first two arguments (man2_clone.c).
 * begin: -errno: it isn't made; 0: nobody need know of it; else end() is to be called, in parent
 * and child, with the kernel's result, and returns syscall(2)'s.
 */
long syscall_clone_begin(long number, uint64_t a, size_t b);
long syscall_clone_end(long result);

#endif
