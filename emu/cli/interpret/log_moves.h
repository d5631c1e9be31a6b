/*
 * log_moves.h - which decisions of an order may explain a difference
 */
#ifndef INTERPRET_LOG_MOVES_H
#define INTERPRET_LOG_MOVES_H

#include "interpret/log_run.h"

#define LOG_MAX_MOVES 400u /* that are tried at one difference */

enum log_move_kind {
    MOVE_START, /* a call begins at another event */
    MOVE_CUT,   /* a read gets no more than the log says: its writer wasn't done yet */
    MOVE_EXIT,  /* a task was dead before its line says so */
    MOVE_HALF,  /* an exit had closed the higher descriptors and not yet the lower ones */
};

/* One decision, changed. */
struct log_move {
    enum log_move_kind kind;
    uint32_t index; /* of a call, or of a task */
    uint32_t value;
};

struct log_moves {
    struct log_move items[LOG_MAX_MOVES];
    size_t count;
    size_t local; /* the first of them: of calls that were going on at the same time */
};

/* What can be tried when a run has met this difference: the most promising first. */
void log_moves_find(const struct log *log, const struct log_plan *plan,
                    const struct log_order *order, const struct log_difference *difference,
                    struct log_moves *ret_moves);

/* Changes the order. Returns the move that undoes it. */
struct log_move log_move_make(struct log_order *order, struct log_move move);

#endif
