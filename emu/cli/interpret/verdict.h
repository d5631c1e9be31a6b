/*
 * verdict.h - what `interpret` found first, for who runs it in a process of its own
 *
 * The one that prints a difference gives its verdict too. A difference is told from others by its
 * kind: the call, what of it differs, and what came; numbers in them don't count, so that it stays
 * the same when lines vanish and sizes shrink.
 */
#ifndef INTERPRET_VERDICT_H
#define INTERPRET_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

enum verdict_kind { VERDICT_NONE, VERDICT_DIFFERS, VERDICT_DIED };

struct verdict {
    enum verdict_kind kind;
    uint32_t line;       /* of the file, from 1 */
    char call[40];       /* "read"; "check" */
    char condition[120]; /* "result, wanted EAGAIN"; "revents is POLLIN, wanted a value" */
    char result[240];    /* "kernel = 6, emulator = 3" */
};

/* Where the verdict of this process and of its children goes (shared memory), or NULL. */
void verdict_listen(struct verdict *receiver);

/* Notes the first difference; later ones and calls without a listener do nothing. */
void verdict_give(enum verdict_kind kind, uint32_t line, const char *call, const char *condition,
                  const char *result);

/* True when both are of one kind: call, condition and result agree in all but their numbers. */
bool verdict_same_kind(const struct verdict *one, const struct verdict *other);

#endif
