/*
 * trace_format.h - what stands in a recorded run: docs/TRACE_FORMAT.md says it in words
 *
 * DIR/log is one file for all tasks of the session. It begins with a header; then come pieces at
 * multiples of TRACE_BLOCK, each of one task, each with a header and records behind it. A piece is
 * a task's window, which it still writes or was killed over, or a copy of what stood in it when it
 * was full. A record begins at a multiple of 8. All numbers are little endian, as on x86-64.
 *
 * Whoever reads this must expect a file that ends anywhere: a kill leaves records without their
 * end (leave == 0), and blocks of zeros between pieces.
 */
#ifndef EMU_TRACE_FORMAT_H
#define EMU_TRACE_FORMAT_H

#include "base.h"

#include <stdint.h>

#define TRACE_MAGIC       "sockrig\032"
#define TRACE_PIECE_MAGIC "srpiece\032"
#define TRACE_VERSION     1u
#define TRACE_BLOCK       4096u
#define TRACE_RECORD_MAX  131072u /* no record is larger, its end among it */
#define TRACE_WORDS_MAX   8u
#define TRACE_FDS_MAX     1024u /* descriptors that one record names */
#define TRACE_LOG_NAME    "log"
#define TRACE_META_NAME   "meta.json"
#define TRACE_ENDS_NAME   "ends" /* text: how processes ended that the supervisor waited for */

enum trace_clock {
    TRACE_CLOCK_TSC,       /* ticks are the CPU's time stamp counter, the same on all CPUs */
    TRACE_CLOCK_MONOTONIC, /* ... CLOCK_MONOTONIC, in nanoseconds */
};

enum trace_stopped {
    TRACE_COMPLETE,
    TRACE_STOPPED_SIZE,  /* --record-size was reached */
    TRACE_STOPPED_SPACE, /* the file system said no; `error` says how */
};

/* At offset 0. Behind it, up to `size`, the names of calls: NUL-terminated, number 0 first. */
struct trace_file_header {
    char magic[8];
    uint32_t version;
    uint32_t size;        /* of the header with the names: a multiple of TRACE_BLOCK */
    uint64_t session;     /* random; each piece repeats it */
    uint32_t clock;       /* enum trace_clock */
    uint32_t data_limit;  /* bytes that a call's buffers are recorded up to */
    uint64_t start_ticks; /* one moment by three clocks */
    uint64_t start_monotonic_ns;
    uint64_t start_realtime_ns;
    uint32_t call_count; /* names */
    uint32_t names_size; /* bytes of them, with their NULs */
    uint32_t stopped;    /* enum trace_stopped */
    int32_t error;       /* positive errno */
};
static_assert(sizeof(struct trace_file_header) == 72, "a format");

/* At a multiple of TRACE_BLOCK. */
struct trace_piece {
    char magic[8];
    uint64_t session;
    uint64_t offset; /* in the file: its own */
    uint32_t task;   /* from 1 on: no two of the session have the same, a new image has a new one */
    int32_t pid;
    int32_t tid;
    uint32_t is_window;
    uint64_t first; /* number of its first record: a task counts its records from 0 */
    uint32_t used;  /* bytes of records behind the header; in a window what is sure: see record */
    uint32_t room;  /* bytes that there are for records */
    uint64_t ticks; /* one moment by two clocks */
    uint64_t monotonic_ns;
};
static_assert(sizeof(struct trace_piece) == 72, "a format");

enum trace_kind {
    TRACE_VOID,      /* says nothing: a call that the kernel served; still counted */
    TRACE_CALL,      /* an emulated call */
    TRACE_RESUMED,   /* the end of an earlier record of the task: word 0 is its number */
    TRACE_OBJECT,    /* what a description is: struct trace_object instead of words */
    TRACE_TASK,      /* the task begins: struct trace_start instead of words */
    TRACE_EXIT,      /* the thread ends (word 0: 0), or the process (1; word 1: exit status) */
    TRACE_FORK,      /* like a call: result is the child's pid. word 0: enum trace_fork */
    TRACE_EXEC,      /* like a call, ends only when it fails: memory 0 is the path, 1.. arguments */
    TRACE_WAITED,    /* the process has reaped a child: word 0 its pid, word 1 wait's status */
    TRACE_SIGNAL,    /* like a call: a handler of the guest; memory 0 is its siginfo_t */
    TRACE_INHERITED, /* the descriptors that a new image (or a process not forked) begins with */
    TRACE_NUMBER,    /* word 0 is a number that is the kernel's now: a file's, or closed past us */
    TRACE_SWITCH,    /* the description in fds[0] went native */
    TRACE_KINDS,
};

enum trace_fork { TRACE_FORK_COPY, TRACE_FORK_SPAWN };

enum {
    TRACE_NATIVE = 1 << 0,    /* the channel went native inside the call: `result` bytes were moved
                                 before, what the kernel did then isn't known */
    TRACE_CUT = 1 << 1,       /* not all that belongs to it is here: memory or descriptors */
    TRACE_SLEPT = 1 << 2,     /* the call has slept at least once */
    TRACE_BY_KERNEL = 1 << 3, /* the kernel has answered it, for something that isn't handed over */
};

/*
 * One record. Behind it: `words` words of 8 bytes, `fds` struct trace_fd, then memory until `size`;
 * from there on for `leave_size` bytes what came out: as many descriptors as `leave_fds` says, then
 * memory. A writer stores `leave` last, and the window's `used` after that: so a record whose
 * `leave` stands is whole, even where it reaches beyond `used`.
 */
struct trace_record {
    uint32_t size;       /* of the part that is written when it begins, a multiple of 8 */
    uint32_t leave_size; /* of the part that is written when it ends, likewise */
    uint8_t kind;        /* enum trace_kind */
    uint8_t call;        /* by the header's names; 0: none */
    uint8_t flags;       /* TRACE_NATIVE, ... */
    uint8_t words;
    uint16_t fds;
    uint16_t leave_fds;
    uint64_t enter; /* ticks */
    uint64_t leave; /* 0: not yet, or never */
    int64_t result; /* >= 0 or -errno */
};
static_assert(sizeof(struct trace_record) == 40, "a format");

/* A descriptor that a call names, or makes, and what it stood for then. */
struct trace_fd {
    int32_t fd;
    uint32_t description; /* with the generation the name of a TRACE_OBJECT; UINT32_MAX: none */
    uint32_t generation;
    uint8_t kind;      /* enum trace_object_kind */
    uint8_t native;    /* enum trace_native */
    uint16_t argument; /* which one names it; TRACE_FD_RESULT, TRACE_FD_CONTROL */
};
static_assert(sizeof(struct trace_fd) == 16, "a format");
#define TRACE_FD_RESULT  0xff
#define TRACE_FD_CONTROL 0xfe /* in a message's ancillary data */

enum trace_object_kind {                    /* the values of description_kind */
                         TRACE_OBJECT_NONE, /* the kernel's: a file, an inet socket */
                         TRACE_OBJECT_PIPE_READER,
                         TRACE_OBJECT_PIPE_WRITER,
                         TRACE_OBJECT_STREAM,
                         TRACE_OBJECT_SEQPACKET,
                         TRACE_OBJECT_VSOCK_STREAM,
                         TRACE_OBJECT_VSOCK_SEQPACKET,
                         TRACE_OBJECT_EPOLL,
                         TRACE_OBJECT_DEVICE,
                         TRACE_OBJECT_KINDS,
};

enum trace_native { /* the values of description_native */
                    TRACE_OURS,
                    TRACE_HANDED_OVER, /* the kernel serves it */
                    TRACE_SET,         /* an epoll instance */
                    TRACE_LISTENER,
};

/* A description, as it was at `enter`. It may come again, with a later state; duplicates are fine.
 */
struct trace_object {
    uint32_t description;
    uint32_t generation;
    uint32_t kind;   /* enum trace_object_kind */
    uint32_t native; /* enum trace_native */
    uint32_t rx;     /* the direction of data that it reads, and its generation; or UINT32_MAX */
    uint32_t rx_generation;
    uint32_t tx; /* ... that it writes */
    uint32_t tx_generation;
    uint32_t peer; /* the description at the other end, or UINT32_MAX */
    uint32_t peer_generation;
    int32_t maker; /* pid of who made it, 0: unknown */
    uint32_t connected;
    uint32_t local_cid; /* of AF_VSOCK; UINT32_MAX: none */
    uint32_t local_port;
    uint32_t remote_cid;
    uint32_t remote_port;
};
static_assert(sizeof(struct trace_object) == 64, "a format");

enum trace_birth { TRACE_BIRTH_FIRST, TRACE_BIRTH_EXEC, TRACE_BIRTH_FORK, TRACE_BIRTH_THREAD };

struct trace_start {
    int32_t pid;
    int32_t tid;
    int32_t parent; /* getppid() */
    uint32_t birth; /* enum trace_birth */
    uint32_t cid;   /* vsock: the machine that the process is on */
    uint32_t pad;
    char program[16]; /* comm */
};
static_assert(sizeof(struct trace_start) == 40, "a format");

/* Memory of the guest; `size` bytes follow, padded to 8. */
struct trace_memory {
    uint64_t address; /* in the guest */
    uint32_t total;   /* bytes that the call was given, or that it filled */
    uint16_t size;    /* bytes that are here: the first ones */
    uint8_t what;     /* enum trace_what */
    uint8_t flags;    /* TRACE_FAULT */
};
static_assert(sizeof(struct trace_memory) == 16, "a format");
#define TRACE_FAULT 1 /* it couldn't be read; size is 0 */

enum trace_what {
    TRACE_BYTES, /* the contents of a buffer */
    TRACE_IOVECS,
    TRACE_MSGHDR,
    TRACE_MMSGHDRS,
    TRACE_CONTROL,
    TRACE_ADDRESS,
    TRACE_LENGTH, /* a socklen_t */
    TRACE_VALUE,  /* of an option, of fcntl, of ioctl */
    TRACE_INTS,   /* pipe's and socketpair's */
    TRACE_POLLFDS,
    TRACE_FD_SET,
    TRACE_EPOLL_EVENTS,
    TRACE_TIMESPEC,
    TRACE_TIMEVAL,
    TRACE_SIGSET,
    TRACE_OFFSET,
    TRACE_SIGINFO,
    TRACE_STRING,
    TRACE_WHATS,
};

#endif
