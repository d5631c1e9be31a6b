/*
 * log_line.h - one line of a log: what stands before the call, and which kind of line it is
 */
#ifndef INTERPRET_LOG_LINE_H
#define INTERPRET_LOG_LINE_H

#include "interpret/log_lex.h"

enum log_line_kind {
    LINE_EMPTY,    /* nothing, a comment, or strace's own words */
    LINE_CALL,     /* read(3, "a", 1) = 1 */
    LINE_BEGUN,    /* read(3,  <unfinished ...> */
    LINE_RESUMED,  /* <... read resumed>"a", 1) = 1 */
    LINE_SIGNAL,   /* --- SIGCHLD {...} --- */
    LINE_EXITED,   /* +++ exited with 0 +++ */
    LINE_REPLACED, /* +++ superseded by execve in pid 12 +++ */
};

struct log_line {
    enum log_line_kind kind;
    bool has_pid;
    bool has_time;
    uint32_t pid;
    uint64_t time_ns;
    size_t name; /* offset of the call's name (not SIGNAL) or of the signal's, and its size */
    size_t name_size;
    size_t body;     /* offset of "(", or behind "resumed>" ... */
    size_t body_end; /* ... up to the end of the line or "<unfinished" */
    uint32_t other;  /* REPLACED: the pid */
};

/*
 * Reads the cursor's text as one line.
 *
 * Returns 0; -1 after a message, and *ret_line holds what stands before the call.
 */
int log_read_line(struct log_cursor *cursor, struct log_line *ret_line);

#endif
