/*
 * finding.h - what a session's programs did wrong with descriptors, and what they left open
 *
 * A finding says what, and names up to three places of the guest's code: where the descriptor was
 * made, where it was closed, where it was used. A place is a stack ("site"): return addresses,
 * taken in the process, as image and offset; the command makes lines of them when the process may
 * be gone. Sites and images are kept once each, so one is a number. Findings that differ in number
 * of descriptor, process and bytes alone are one, and counted.
 *
 * All three tables only grow. Each entry is taken by one compare-and-swap, filled in, and published
 * by one store; who is killed in between loses the entry. What finds no room is counted.
 */
#ifndef EMU_FINDING_H
#define EMU_FINDING_H

#include "emu.h"

#define EMU_IMAGE_PATH  248
#define EMU_SITE_FRAMES 8

/* A return address: the image's number above, and its offset from where the file is mapped. */
#define EMU_FRAME_SHIFT 40

struct emu_image {
    _Atomic uint32_t state; /* internal, as in all three */
    uint32_t pad;
    char path[EMU_IMAGE_PATH];
};

struct emu_site {
    _Atomic uint32_t state;
    uint32_t count;
    uint64_t frames[EMU_SITE_FRAMES]; /* from the guest's call outwards */
};

enum emu_finding_kind {
    EMU_FINDING_OPEN,            /* still open when the process that opened it ended by itself */
    EMU_FINDING_UNREAD,          /* the last reader was closed, and `bytes` were unread */
    EMU_FINDING_DOUBLE_CLOSE,    /* close() of a number that this process had closed */
    EMU_FINDING_USE_AFTER_CLOSE, /* another call on one */
    EMU_FINDING_SIGPIPE,         /* a process died of SIGPIPE */
    EMU_FINDING_KINDS,
};

/* What a descriptor is, as far as its holder sees it. */
enum emu_object {
    EMU_OBJECT_UNKNOWN,
    EMU_OBJECT_PIPE_READER,
    EMU_OBJECT_PIPE_WRITER,
    EMU_OBJECT_STREAM,
    EMU_OBJECT_SEQPACKET,
    EMU_OBJECT_VSOCK_STREAM,
    EMU_OBJECT_VSOCK_SEQPACKET,
    EMU_OBJECT_EPOLL,
    EMU_OBJECT_DEVICE,
};

struct emu_finding {
    _Atomic uint32_t state;
    uint32_t kind;   /* enum emu_finding_kind */
    uint32_t object; /* enum emu_object */
    int32_t call;    /* number of the system call that used it; -1: not known */
    uint32_t made;   /* sites, or 0 */
    uint32_t closed;
    uint32_t used;
    uint32_t at_exit;  /* 1: it wasn't closed by a call, but by the end of the process */
    uint32_t doubtful; /* 1: UNREAD: nobody may have been meant to read them, or another process */
    _Atomic uint32_t count;
    int32_t fd; /* -1: not known; 0 to 2 aren't mixed with others. This, pids and `other` are of the
                   first one */
    int32_t pid;       /* whose finding it is */
    int32_t other_pid; /* OPEN: has the other end; SIGPIPE: closed the other end; or 0 */
    uint32_t pad;
    _Atomic uint64_t bytes;
    char program[16]; /* of `pid` */
    char other[16];   /* of `other_pid`, or "" */
};

/* The number of an image or a site, which are entered if they aren't known: 0: no room. */
uint32_t emu_image_number(const char *path);
uint32_t emu_site_number(const uint64_t *frames, uint32_t count);

/* What stands behind a number; NULL: nothing. */
const char *emu_image_path(uint32_t number);
const struct emu_site *emu_site_get(uint32_t number);

/* Says that what was found with this site as `used` is none: finding_withdrawn(). */
void emu_site_withdraw(uint32_t number);
bool emu_site_is_withdrawn(const struct emu_site *site);

/* Adds one. Requires: an attached arena. */
void emu_finding_add(const struct emu_finding *finding);

/* The i-th, or NULL behind the last. The pointer stays good while the arena is mapped. */
const struct emu_finding *emu_finding_get(uint32_t index);

/* How many there was no room for. */
uint32_t emu_findings_lost(void);

/* ---- What a process notes of its descriptors, where emu_options.track says so ---- */

/* From now on; what it has already, it has inherited. */
void emu_track_begin(struct emu_task *self);
bool emu_track_is_on(void);

/* A descriptor that the emulator doesn't serve was closed. */
void emu_track_closed_native(int fd);

/*
 * The same for one that stands in the table still, an epoll instance or a listener: what is known
 * of it is noted, and the number is as after emu_fd_invalidate().
 */
void emu_track_closed_known(struct emu_task *self, int fd);

/* The kernel has answered EBADF to a call on `fd`. */
void emu_track_bad(struct emu_task *self, int fd, long call);

/* The process is about to end by itself: lists what it has open. */
void emu_track_exit(struct emu_task *self);

/* SIGPIPE is about to be raised for what the last send met, and ends the process. */
void emu_track_sigpipe(struct emu_task *self);

#endif
