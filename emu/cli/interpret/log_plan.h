/*
 * log_plan.h - what is done with each call of a log: made in the world, skipped, or stood in for
 *
 * Made from the log alone, before anything runs. What a call touches (the channels that it can
 * change or see) tells the search which calls' order matters.
 */
#ifndef INTERPRET_LOG_PLAN_H
#define INTERPRET_LOG_PLAN_H

#include "interpret/log_names.h"

#define LOG_PLAN_ROUNDS 64 /* walks until nothing new turns out to be opaque */

enum log_verdict {
    LOG_SKIP,   /* not interpreted */
    LOG_RUN,    /* the call, as it stands in the log */
    LOG_CLONE,  /* makes a task: when the new task's first event comes, or at its end */
    LOG_EXEC,   /* a program was executed */
    LOG_LEAVE,  /* exit, exit_group */
    LOG_CLOSE,  /* its target is closed: what now has the number is opaque */
    LOG_FEED,   /* splice from something opaque: bytes are written in its place */
    LOG_DRAIN,  /* splice to something opaque: bytes are read in its place */
    LOG_UNLINK, /* the file of a name */
};

/* How a call is made that the log shows to have waited, or not to have. */
enum log_mode {
    LOG_AS_IS,   /* it may block until its end */
    LOG_AT_ONCE, /* interrupted: if it blocks it is interrupted at once, and had no effect */
    LOG_NO_WAIT, /* poll and its kin found nothing: a time-out of 0 */
};

struct log_step {
    enum log_verdict verdict;
    enum log_mode mode;
    int64_t number;     /* CLOSE, FEED, DRAIN: the descriptor */
    uint32_t object;    /* what it was about when it began: a set, a listener, a socket */
    uint32_t name;      /* of bind, connect, unlink: in the plan's names, or LOG_NO_NAME */
    uint32_t touched;   /* where its channels begin in the plan's list */
    uint32_t flags;     /* where the flags of its items begin: 1 is opaque */
    uint32_t made;      /* where its new numbers begin; of LEAVE: those that it closes */
    uint32_t stand_ins; /* numbers that need one: where they begin in the same list */
    uint16_t touched_count, flags_count, made_count, stand_in_count;
    uint32_t position; /* among the calls of its channels: for the search */
};

struct log_plan {
    const struct log *log;
    bool vsock;             /* AF_VSOCK is modeled on this side */
    struct log_step *steps; /* one for each call */
    uint32_t *leader;       /* task -> the first task of its process */
    bool *shares;           /* task -> made as a thread */
    uint32_t *exit_touched; /* task -> what its death touches: where, and how many */
    uint16_t *exit_touched_count;
    uint32_t *touched; /* lists that steps point into */
    size_t touched_count, touched_room;
    int32_t *numbers;
    size_t number_count, number_room;
    uint8_t *flags;
    size_t flag_count, flag_room;
    struct log_names names;
    uint8_t *opaque;                  /* call -> what it made isn't interpreted */
    size_t interpreted, skipped, cut; /* calls, and strings in interpreted calls */
    size_t tasks;                     /* that have lines */
};

/*
 * Plans a log. Returns 0; -1 with *ret_error filled: a call that is to be interpreted can't be
 * read, or there is no memory.
 */
int log_plan_make(const struct log *log, bool vsock, struct log_plan *ret_plan,
                  struct log_error *ret_error);
void log_plan_free(struct log_plan *plan);

/* "openat 120, close 30, ...": the calls that were skipped, most frequent first. */
void log_plan_skipped(const struct log_plan *plan, char *ret_text, size_t size);

/* True when something a and b touch is the same. */
bool log_plan_related(const struct log_plan *plan, uint32_t a, uint32_t b);

#endif
