/*
 * shim.h - the state of the preloaded library, and what its files offer each other
 *
 * One `struct shim` a process. Until its constructor has run (state SHIM_BOOT) every wrapper makes
 * the raw system call: allocators and sanitizers call us while they start. Nothing in the shim
 * allocates, takes a lock or uses stdio.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include "emu.h"

#include <limits.h>
#include <stdatomic.h>

enum shim_state {
    SHIM_BOOT,    /* the constructor hasn't run */
    SHIM_READY,   /* no session yet: a bare preload makes one when it needs one */
    SHIM_MAKING,  /* a thread is making it */
    SHIM_SESSION, /* attached and joined */
    SHIM_OFF,     /* can't be: everything is native */
};

struct shim {
    _Atomic int state; /* enum shim_state */
    bool bare;         /* no `sockrig run` above us */
    int owner;         /* run's pid, which has the session's descriptors as long as we live; or 0 */
    bool emulates;     /* this process has, or had, an emulated descriptor */
    bool net;          /* libc's entries are redirected */
    struct emu_process process;
    struct emu_hidden hidden; /* descriptors that the guest must not see */
    const char *options;      /* value of SOCKRIG_OPTIONS at the start, or NULL */
    char library[PATH_MAX];   /* absolute path of this library; "" until it is asked for */
};

extern struct shim shim;

/* ---- session.c ---- */

/* Attaches to the session behind `fd` (of process `owner` when the fd isn't ours any more). */
bool session_attach(int fd, int owner);

/* Makes sure that there is a session; false: everything stays native. */
bool session_ensure(void);

/* Call after an emulated descriptor came to be in this process: net and fault handlers go in. */
void session_first_descriptor(void);

/* True when the options say net=off. */
bool session_net_off(void);

static inline bool session_attached(void)
{
    return atomic_load_explicit(&shim.state, memory_order_acquire) == SHIM_SESSION;
}

static inline bool session_hides(int fd)
{
    return session_attached() && fd >= 0 && (fd == shim.hidden.arena || fd == shim.hidden.bell);
}

/* A call returned `fd` as a new descriptor: what the table says of that number is old. Returns fd.
 */
long session_new_fd(long fd);

/* ---- environment.c ---- */

/* Writes a number in decimal, and a NUL. Returns where the NUL stands. */
static inline char *put_decimal(char *at, long value)
{
    char digits[24];
    int count = 0;

    if (value < 0) {
        *at++ = '-';
        value = -value;
    }
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    *at = 0;
    return at;
}

/* What a new image's environment is built in; environment_free() when exec returns. */
struct environment {
    char **vector;
    void *block; /* mapping that holds it, or NULL: `vector` is the caller's own */
    size_t size;
};

/* Finds NAME=value in an environment; returns the value, or NULL. */
const char *environment_get(char *const *vector, const char *name);

/* The guest's environment with what the preload needs in it. False: no memory. */
bool environment_build(char *const *guest, struct environment *ret_environment);
void environment_free(struct environment *environment);

/* Absolute path of this library. */
const char *environment_library(void);

/* ---- signal.c ---- */

/* Runs the handlers that were put off (the core's hook). */
void signal_deliver(struct emu_task *self);

/* SIGSEGV and SIGBUS come to us first from now on. */
void signal_catch_faults(void);

/* Learns whether this thread blocks SIGSEGV, which decides how the guest's memory is copied. */
void signal_learn_mask(void);

/* ---- man3_spawn.c ---- */

/*
 * Brackets a call of libc that spawns `path`: between the two its child may run with our memory.
 * False: refused, errno is set. `child` is its pid, or -1 when it is unknown or failed.
 */
bool spawn_begin(const char *path, char *const *envp, struct environment *ret_environment);
void spawn_end(struct environment *environment, pid_t child);

/* ---- net.c ---- */

/* Redirects the entries of libc's own functions. Only while there is one thread. */
void net_install(void);

/* True under valgrind, by the libraries that it preloads when the program starts. */
bool net_is_translated(void);

/* ---- report.c ---- */

/* Writes what a bare preload has to report into the file that SOCKRIG_OPTIONS names. */
void report_write(void);

#endif
