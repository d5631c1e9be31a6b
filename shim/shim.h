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
    bool sud;          /* every system call that isn't ours is caught (sud.h) */
    bool audit;        /* ... and listed */
    bool tracks;       /* descriptors' numbers are tracked: finding.h */
    bool clones;       /* the guest has made children that end with another signal than SIGCHLD */
    struct emu_process process;
    struct emu_hidden hidden; /* descriptors that the guest must not see */
    uint64_t arena_file;      /* inodes of what stands there */
    uint64_t bell_file;
    const char *options; /* value of SOCKRIG_OPTIONS at the start, or NULL */
};

extern struct shim shim;

/* ---- session.c ---- */

/*
 * Attaches to the session behind `fd` (of process `owner` when the fd isn't ours any more). Returns
 * how many emulated descriptors were inherited, or -1.
 */
int session_attach(int fd, int owner);

/*
 * Before an image that shall inherit the session's descriptors: gets those again that were closed
 * past the library. False: they are lost.
 */
bool session_keep(void);

/*
 * For a child whose parent's table says nothing of its descriptors: becomes a member of its own,
 * and learns them from the kernel. False: the session is full.
 */
bool session_join_again(void);

/* Makes sure that there is a session; false: everything stays native. */
bool session_ensure(void);

/* The rest of the word of SOCKRIG_OPTIONS that begins with `name`, NUL-terminated. False: none. */
bool session_word(const char *name, char ret_value[PATH_MAX]);

/* Call after an emulated descriptor came to be in this process: net and fault handlers go in. */
void session_first_descriptor(void);

/* The options of this process: the session's, or SOCKRIG_OPTIONS where there is none yet. */
void session_options(struct emu_options *ret_options);

static inline bool session_attached(void)
{
    return atomic_load_explicit(&shim.state, memory_order_acquire) == SHIM_SESSION;
}

static inline bool session_hides(int fd)
{
    return session_attached() && fd >= 0 &&
           (fd == shim.hidden.arena || fd == shim.hidden.bell || fd == shim.hidden.log);
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

/* The LD_PRELOAD that the loader would go by, or NULL. */
const char *environment_preload(char *const *vector);

/* False: the vector, or one of its strings, can't be read; the kernel will say so. */
bool environment_readable(char *const *vector);

/*
 * The guest's environment with what the preload needs in it, for the program at `path` (NULL: it
 * isn't known). False: no memory.
 */
bool environment_build(const char *path, char *const *guest, struct environment *ret_environment);

/* The same for a program whose loader can't take this library: without it. */
bool environment_strip(char *const *guest, struct environment *ret_environment);

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

/* Syscall User Dispatch, where the options ask for it. Only while there is one thread. */
void net_start(void);

/* Redirects the entries of libc's own functions. Only while there is one thread. */
void net_install(void);

/* The first emulated descriptor: the net goes in, or what libc would use now goes native. */
void net_first_descriptor(void);

/*
 * libc will use `fd` without our knowing: a stream, or one of 0 to 2. Where there is no net it goes
 * native.
 */
void net_give_to_libc(int fd);

/* The same for what is, or becomes, one of 0 to 2. */
static inline void net_give_if_standard(int fd, int number)
{
    if (number >= 0 && number <= 2) {
        net_give_to_libc(fd);
    }
}

/* True under valgrind, by the libraries that it preloads when the program starts. */
bool net_is_translated(void);

/* ---- audit.c ---- */

/*
 * A system call that Syscall User Dispatch alone has caught, made before `address`: lists it if the
 * emulator would have missed something.
 */
void audit_note(long number, const long *arguments, const void *address);

/* ---- report.c ---- */

/* Writes what a bare preload has to report into the file that SOCKRIG_OPTIONS names. */
void report_write(void);

#endif
