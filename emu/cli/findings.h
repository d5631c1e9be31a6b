/*
 * findings.h - what programs did wrong with descriptors, and left open: the command's side
 *
 * What is certainly wrong is an error: closed twice, used after it was closed, bytes that nobody
 * read, death by SIGPIPE. What is still open at the end is a note. So are the last two where the
 * descriptor is 0 to 2, for so do pipelines of a shell end (`yes | head`); and bytes that are
 * left by one of several processes that had the descriptor, if it never read: the shell itself; and
 * bytes that the process has written itself: a self-pipe.
 */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "finding.h"

#include "bounds.h"
#include "suppressions.h"
#include "waits/callsite.h"

/* Out of the arena, and with its sites as stacks. */
struct finding {
    enum emu_finding_kind kind;
    enum emu_object object;
    char call[CALLSITE_CALL]; /* that used it, or "" */
    bool at_exit;
    bool doubtful; /* UNREAD: another process may have been the reader, or nobody */
    uint32_t count;
    uint64_t bytes;
    int fd; /* -1: not known */
    int pid;
    int other_pid; /* 0: none is known */
    char program[17];
    char other[17];
    struct callsite made;
    struct callsite closed;
    struct callsite used;
};

struct findings {
    struct finding *list; /* in the order in which they first happened */
    size_t count;
    uint32_t lost;       /* there was no room for them in the arena */
    uint64_t suppressed; /* kept back by rules */
    const struct suppressions *suppressions;
};

/* Of each how often it had been seen when this run came to the session. */
struct findings_before {
    uint32_t counts[EMU_MAX_FINDINGS];
};
void findings_note(struct findings_before *ret_before);

/* Copies what was added since then, but for what `suppressions` keeps back. */
void findings_collect(struct findings *ret_findings, const struct findings_before *before,
                      struct suppressions *suppressions);
void findings_fini(struct findings *findings);

/* A site of the arena's as a stack. */
struct callsite findings_resolve(uint32_t number);

/* "double-close". */
const char *findings_kind_name(enum emu_finding_kind kind);

/* "pipe reader". */
const char *findings_object_name(enum emu_object object);

bool findings_is_error(const struct finding *finding);
bool findings_have_errors(const struct findings *findings);

/* Prints the errors; with `all` also the notes, and which rules kept nothing back. */
void findings_print(const struct findings *findings, bool all, FILE *file);

/* Members of a JSON object: ", \"findings\": [...], ...". */
void findings_print_json(const struct findings *findings, FILE *file);

#endif
