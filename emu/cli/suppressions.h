/*
 * suppressions.h - which findings a user doesn't want: --suppressions FILE
 *
 * A line is a rule, # begins a comment:
 *
 *     KIND [object:GLOB] [function:GLOB] [file:GLOB] [program:GLOB]
 *
 * KIND is a finding's, as JSON spells it, or "any". A finding matches a rule when it matches all of
 * it: `object` what the descriptor is ("pipe reader", with its blank as "?" or "*"), `program` the
 * program's name, `function` and `file` any frame of any of its stacks: its function; the base name
 * of its source or of the file that its code is in.
 */
#ifndef CLI_SUPPRESSIONS_H
#define CLI_SUPPRESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SUPPRESSION_GLOB 128
#define SUPPRESSIONS_MAX 256

enum suppression_field {
    SUPPRESSION_OBJECT,
    SUPPRESSION_FUNCTION,
    SUPPRESSION_FILE,
    SUPPRESSION_PROGRAM,
    SUPPRESSION_FIELDS,
};

struct suppression {
    char kind[24];                                    /* "any": all of them */
    char globs[SUPPRESSION_FIELDS][SUPPRESSION_GLOB]; /* "": whatever it is */
    int line;                                         /* of the file, from 1 */
    unsigned long matched;                            /* findings that it kept back */
};

struct suppressions {
    const char *path; /* the caller's */
    struct suppression *rules;
    size_t count;
};

/* Room for any message of suppressions_read(). */
#define SUPPRESSIONS_MESSAGE 512

/*
 * Reads the rules of the file at `path`, which stays the caller's. False: ret_message says what is
 * wrong, as "FILE:LINE: ..." where it is a line, and there are none.
 */
bool suppressions_read(const char *path, struct suppressions *ret_suppressions, char *ret_message);

/* The same from an open file. */
bool suppressions_parse(FILE *file, const char *path, struct suppressions *ret_suppressions,
                        char *ret_message);
void suppressions_fini(struct suppressions *suppressions);

struct finding;

/* Whether a rule keeps it back, which counts it; or one of our own, for what is known of bash. */
bool suppressions_match(struct suppressions *suppressions, const struct finding *finding);

#endif
