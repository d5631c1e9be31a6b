/*
 * report.h - what `sockrig run` says at its end
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdio.h>

#include "emu.h"

#include "bounds.h"

struct callsite;

struct findings;
struct waits;

/* All there is to say, copied out of the arena: members that still run may add to it. */
#define REPORT_LINE 48

struct report {
    struct emu_report entries[EMU_MAX_REPORTS];
    char lines[EMU_MAX_REPORTS][REPORT_LINE]; /* "proxy.c:88"; "" when it isn't known: lines.h */
    uint32_t count;
    struct emu_session_counts left;  /* after the last sweep */
    const struct findings *findings; /* NULL: nobody looked for any */
    const struct waits *waits;       /* what the time limit found; NULL: it wasn't reached */
};

/* What had happened in the session before this run came to it. */
struct report_before {
    uint32_t counts[EMU_MAX_REPORTS];
    uint32_t joined; /* processes that ever joined */
};

/* Notes it. Requires: an attached arena. */
void report_note(struct report_before *ret_before);

/* Copies what was added to the session's report since then, without `waits`. */
void report_collect(struct report *ret_report, const struct report_before *before);

/* Objects that stand in the arena: the N of "objects left: N". */
uint32_t report_objects_left(const struct report *report);

/* True when a call was refused: what is printed even when nobody asked. */
bool report_has_refusals(const struct report *report);

/* True when it shows a fault of the emulator: the kernel disagreed, or objects without a process.
 */
bool report_has_faults(const struct report *report);

/* Prints refused calls and what would allow them; nothing when there are none. */
void report_print_refusals(const struct report *report, FILE *file);

/* The seed of the session's faults; false: it doesn't matter. */
bool report_seed(uint64_t *ret_seed);

/* Prints what --inject has done, if it did anything. */
void report_print_injected(const struct report *report, FILE *file);

/* Prints the calls that an audit found, or that there were none. */
void report_print_audit(const struct report *report, FILE *file);

/* Prints everything. The last line is "objects left: N". */
void report_print(const struct report *report, FILE *file);

/* The same as one JSON object on one line. */
void report_print_json(const struct report *report, FILE *file);

/* Prints a JSON string, with its quotes; `max` bounds texts that fill their field. */
void report_print_json_string(FILE *file, const char *text, size_t max);

/* A member behind others: a comma, its name, and such a string. */
void report_print_json_member(FILE *file, const char *name, const char *text, size_t max);

/* The same of an array: the frames of a stack, the innermost first. */
void report_print_json_stack(FILE *file, const char *name, const struct callsite *site);

/* ---- Names that both forms use ---- */

/* "AF_INET", "SOCK_STREAM", "ENOTSUP"; else the number, in `ret_text` of REPORT_NAME bytes. */
#define REPORT_NAME 24
const char *report_family_name(int family, char *ret_text);
const char *report_type_name(int type, char *ret_text);
const char *report_errno_name(int error, char *ret_text);
const char *report_signal_name(int number, char *ret_text);

#endif
