/*
 * bounds.h - every bound of the emulator, in one place
 *
 * Each table, queue and loop of the core ends at a number that stands here. Running into one gives
 * the errno that Linux gives for its own limit (EMFILE, ENFILE, ENOBUFS, ENOMEM), never a crash.
 */
#ifndef EMU_BOUNDS_H
#define EMU_BOUNDS_H

#define EMU_MAX_PROCESSES    1024u    /* members of a session; beyond: fork answers EAGAIN */
#define EMU_MAX_TASKS        8192u    /* threads that have slept in the emulator; beyond: ENOMEM */
#define EMU_MAX_DESCRIPTIONS 65536u   /* open file descriptions; beyond: ENFILE */
#define EMU_MAX_BUFS         32768u   /* directions of data; beyond: ENFILE */
#define EMU_MAX_EPOLLS       4096u    /* epoll instances; beyond: ENFILE */
#define EMU_MAX_ITEMS        65536u   /* entries of all epoll sets; beyond: ENOSPC */
#define EMU_MAX_WAITERS      262144u  /* registrations in queues; beyond: ENOMEM */
#define EMU_MAX_NAMES        131072u  /* slots for names of sockets: names.h */
#define EMU_NAME_PROBES      512u     /* slots a name may stand away from its own; beyond: ENOMEM */
#define EMU_MAX_RIGHTS       4096u    /* messages with descriptors in flight; ETOOMANYREFS */
#define EMU_MAX_REPORTS      1024u    /* different call sites that a report lists */
#define EMU_MAX_FINDINGS     4096u    /* different findings that a report lists */
#define EMU_MAX_SITES        16384u   /* stacks that findings name; beyond: unknown */
#define EMU_MAX_IMAGES       512u     /* files that these stacks are in */
#define EMU_TRACE_SIDE       12288u   /* bytes of a recorded call beside its buffers, each way */
#define EMU_MAX_FDS          1048576u /* highest descriptor number + 1 that is ever emulated */

#define EMU_CHUNK_MIN_SHIFT  16 /* units of ring memory are 64 KiB; a chunk is two at least, */
#define EMU_CHUNK_MAX_SHIFT  25 /* and 32 MiB at most: half ring, half segments */
#define EMU_CHUNKS_KEPT      64 /* free chunks that keep their pages, ... */
#define EMU_CHUNK_KEPT_SHIFT 18 /* ... if they are no larger than this */
#define EMU_ARENA_SIZE       (4ull << 30) /* reserved, not used: the file is sparse */

#define EMU_PAGE            4096u       /* unit of a pipe's slots (PAGE_SIZE of x86-64) */
#define EMU_PIPE_SLOTS      16u         /* default pipe: fs/pipe.c PIPE_DEF_BUFFERS */
#define EMU_SQUEEZED_PIPE   8192u       /* two slots: what a user beyond the soft limit gets */
#define EMU_SQUEEZED_SOCKET 4608u       /* SOCK_MIN_SNDBUF: SO_SNDBUF can't be less */
#define EMU_CONNECT_RETRIES 24          /* ports tried for a socket that doesn't care: af_vsock.c */
#define EMU_SQUEEZED_CREDIT 128u        /* default of SO_VM_SOCKETS_BUFFER_MIN_SIZE */
#define EMU_IOV_MAX         1024u       /* UIO_MAXIOV */
#define EMU_RW_MAX          0x7ffff000u /* MAX_RW_COUNT: more is silently cut */
#define EMU_SPIN_NS         10000u      /* the longest spin before a sleep */
#define EMU_ASK_FIRST_NS    5000000ull  /* a sleep that lasts longer goes on in poll */
#define EMU_DEAF_NS         20000000    /* clock of a sleep for which no descriptor was left */
#define EMU_BELL_TRIES      64          /* numbers that are looked at for a bell */
#define EMU_TRY_LIMIT       1000000u    /* rounds of waiting for another process's sweep */
#define EMU_WAIT_LIMIT      1000000000u /* rounds of one blocked call; more is a fault of ours */

#endif
