/*
 * rights.h - descriptors in messages (SCM_RIGHTS), over emulated sockets of AF_UNIX
 *
 * Descriptors travel by the placeholders, which are connected: each message with descriptors sends
 * a carrier along, a message of 8 bytes with the same descriptors on the real socket. So counting
 * what is in flight, closing what nobody reads, RLIMIT_NOFILE and cycles are the kernel's. What the
 * emulator adds is which descriptions they are: a record names them, and holds them as long as they
 * are in flight, as no process may have them any more. The carrier's bytes name the record.
 *
 * A record belongs to a segment of the receiver's data, by its number, and stands in a list of the
 * buf, in the order of the carriers. It is valid when its segment is unread and no later record of
 * the list has the same number. Others were left by a sender that was killed before it published
 * its segment, or by a receiver after it took the carrier; who reads next clears them away.
 *
 * A socket that is nowhere but in the queue of a socket that is nowhere but ... is collected, as by
 * net/unix/garbage.c; the kernel does the same with the placeholders.
 *
 * Locking: a buf's list is guarded by the buf's lock. rights_lock (outer) guards the counts of
 * descriptions in flight; it isn't taken under a buf's lock.
 *
 * Leaves out: bytes written past the library in front of a carrier cost its descriptors.
 */
#ifndef EMU_RIGHTS_H
#define EMU_RIGHTS_H

#include "fdtab.h"

#define RIGHTS_MAX     253u  /* SCM_MAX_FD */
#define RIGHTS_CONTROL 4096u /* bytes of ancillary data that a send takes; more is the kernel's */

/* The low byte of `state`; above it the slot of the process in whose hands it is. */
enum { RIGHTS_FREE, RIGHTS_HELD, RIGHTS_QUEUED };

struct rights {
    _Atomic uint32_t state;
    _Atomic uint32_t generation;
    uint32_t next;              /* index + 1: in a buf's list, or in a process's hands */
    uint32_t seg;               /* number of the segment that it comes with */
    uint32_t reader;            /* description that will get them, ... */
    uint32_t reader_generation; /* ... and its generation */
    uint32_t held;              /* the first so many of `index` are counted in their description */
    uint32_t count;             /* descriptors in the message */
    uint32_t index[RIGHTS_MAX]; /* what they stand for; ARENA_NONE: nothing of the emulator's */
    uint32_t rest[11];
};
static_assert(sizeof(struct rights) == 1088, "arena.def gives 1088");

/* The ancillary half of one sendmsg or recvmsg, in the caller's frame. */
struct rights_message {
    _Alignas(struct cmsghdr) char control[RIGHTS_CONTROL];
    size_t size;     /* bytes of it: to send; or room for, and after a receive used */
    int flags;       /* of a receive: MSG_CMSG_CLOEXEC in, MSG_CTRUNC out */
    uint32_t record; /* index + 1; 0: none (left) */
    bool pinned;     /* of a send: what it carries stays here, ... */
    uint32_t pins;   /* ... by the task's pins from here on */
    bool came;       /* of a receive: descriptors came with it; size and flags say how many */
    bool peeked;     /* of a receive: the message keeps its own */
    uint32_t count;  /* of a receive: entries of `index`, as struct rights has them */
    uint32_t index[RIGHTS_MAX];
};

/*
 * Looks at what a send carries, message->control and size. The kernel is asked whether the control
 * message is right, so it has the last word about each header. Returns 0: message->record holds
 * what is to be sent, or 0 when there is nothing; -errno; EMU_NATIVE: it has more than descriptors.
 */
int64_t rights_prepare(struct emu_task *self, int fd, const struct description *description,
                       struct rights_message *message);

/*
 * Another thread may have put something else on one of the numbers since then: puts those in their
 * places under which the kernel has what was there. Within fdtab_freeze(), which lasts until it is
 * sent. Returns 0; -EBADF: what was there isn't ours any more.
 */
int64_t rights_refresh(struct rights_message *message);

/* It was sent, and the kernel has what it carries. Requires: no lock. */
void rights_unpin(struct emu_task *self, struct rights_message *message);

/* The send has ended. What is left of it is let go. Requires: no lock. */
void rights_finish(struct emu_task *self, struct rights_message *message);

/*
 * The message rides on the segment that is appended to `state` next. `fd`: a number of the sender.
 * Returns 0 or a positive errno. Requires: the lock of `buf`, which `description` writes to.
 */
int rights_ride(struct rights_message *message, int fd, const struct description *description,
                struct socket_buf *buf, const struct buf_state *state);

/*
 * Takes what came with the segment of number `seg`; `fd` is the placeholder's number. NULL for the
 * message: the descriptors are closed. Returns a chain of records for rights_let_go(). Requires:
 * the lock of `buf`; within FDTAB_CHANGE if there is a message.
 */
uint32_t rights_take(struct emu_task *self, struct rights_message *message, int fd,
                     struct socket_buf *buf, uint32_t seg);

/* The same for MSG_PEEK: gives copies, and nothing to NULL. */
void rights_peek(struct emu_task *self, struct rights_message *message, int fd,
                 const struct socket_buf *buf, uint32_t seg);

/* Peeks at the n-th record of the buf, from 0. False: there are not so many. */
bool rights_peek_nth(struct emu_task *self, struct rights_message *message, int fd,
                     const struct socket_buf *buf, uint32_t n);

/* Enters the descriptors that came. Requires: no lock; within FDTAB_CHANGE. */
void rights_arrive(struct emu_task *self, struct rights_message *message);

/*
 * How many of the next `want` bytes of the placeholder came past the library: carriers lie there,
 * too. Requires: the lock of `buf`.
 */
uint32_t rights_strays(const struct socket_buf *buf, int fd, uint32_t want);

/* The numbers that came with a receive, and how many. */
const int *rights_fds(const struct rights_message *message, uint32_t *ret_count);

/* Closes what rights_arrive() has entered. Requires: no lock; not within FDTAB_CHANGE. */
void rights_close(struct emu_task *self, const struct rights_message *message);

/*
 * For handing a direction over to the kernel. clear: records at the list's start that have lost
 * their carrier, and carriers there whose segment isn't unread, are taken away; `fd` is the reading
 * end's number; what was taken goes onto a chain for rights_let_go(). all_native: whether all that
 * is in flight is the kernel's already. hand_on: writes a segment with what came with it, from the
 * reading to the writing end; returns what the write does, or -errno. All require the lock of
 * `buf`.
 */
void rights_clear(struct emu_task *self, struct socket_buf *buf, const struct buf_state *state,
                  int fd, uint32_t *ret_chain);
bool rights_all_native(const struct socket_buf *buf, const struct buf_state *state);
int64_t rights_hand_on(struct emu_task *self, struct socket_buf *buf, uint32_t seg, int reader,
                       int writer, const struct iovec iov[2], uint32_t *ret_chain);

/* A jump has left a send: what it had prepared is let go. Requires: no lock. */
void rights_abandon(struct emu_task *self);

/* Lets go what dead processes had in hand. Requires: no lock. */
void rights_sweep(struct emu_task *self, uint32_t slot);

#endif
