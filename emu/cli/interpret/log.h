/*
 * log.h - an strace log as a tree: what the parser makes, and everybody else reads
 *
 * A log is a row of events in the order of its lines. A call is two events, its start and its end;
 * they are neighbours unless strace split the line (`<unfinished ...>`, `<... read resumed>`). In
 * a log that was merged from one file per process (strace -ff, strace-log-merge) no line is split:
 * there a call ends directly before its task's next line, or as early as its duration (-T) says.
 *
 * log_parse() is a pure function of the text: it touches nothing but its memory, and is bounded by
 * the limits below, so that hostile text gives an error and nothing else.
 *
 * Invariants: the tree isn't changed after log_parse(); every place is a line and column of the
 * text (both from 1); every event names a call or a task that exists.
 */
#ifndef INTERPRET_LOG_H
#define INTERPRET_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "interpret/script.h"

#define LOG_MAX_SIZE      (256u << 20) /* bytes of a log */
#define LOG_MAX_MEMORY    (2048ull << 20)
#define LOG_MAX_TASKS     65536
#define LOG_MAX_ARGUMENTS 12
#define LOG_MAX_DEPTH     32    /* of nested expressions */
#define LOG_MAX_ITEMS     65536 /* in one list */
#define LOG_MAX_JOINED    256   /* operators in a row: a tree of them is walked by recursion */

#define LOG_NO_CALL  UINT32_MAX
#define LOG_NO_TASK  UINT32_MAX
#define LOG_NO_EVENT UINT32_MAX

enum log_expr_kind {
    LOG_NUMBER,   /* 5, 0x7ffc..., or a name that is a constant */
    LOG_NAME,     /* any other word: `number` isn't known */
    LOG_BYTES,    /* "...", @"..." */
    LOG_LIST,     /* [a, b], [a b] */
    LOG_STRUCT,   /* {name=a, b} */
    LOG_FUNCTION, /* htons(80) */
    LOG_ARROW,    /* a => b: what went in and what came out */
    LOG_JOIN,     /* a op b, `number` is the operator: | * + - or '<' (<<), 'o' (a or b) */
    LOG_UNARY,    /* -a, ~a */
    LOG_MORE,     /* ...: strace left something out */
};

struct log_expr {
    enum log_expr_kind kind;
    struct place place;
    int64_t number;
    bool hex;          /* NUMBER that was written 0x...: maybe an address */
    bool cut;          /* BYTES with ... behind them */
    bool is_abstract;  /* BYTES with @ before them: a NUL belongs in front */
    const char *name;  /* NAME, FUNCTION; NUMBER: as it was written when that was a word, or NULL */
    const char *field; /* its name in a struct or as an argument (flags=...), or NULL */
    const char *annotation; /* <pipe:[123]> behind it, or NULL */
    const uint8_t *bytes;
    size_t size;
    struct log_expr **items;
    size_t count;
};

enum log_result_kind {
    LOG_RESULT_NONE,    /* never ended, or ended with its task */
    LOG_RESULT_VALUE,   /* = 5 */
    LOG_RESULT_ERROR,   /* = -1 EAGAIN */
    LOG_RESULT_RESTART, /* = ? ERESTARTSYS: a signal interrupted it */
};

struct log_error {
    struct place place;
    char message[200];
};

struct log_call {
    uint32_t task;
    const char *name;
    int number; /* of calls.h's table when its arguments are read, else -1 */
    struct place place;
    uint32_t end_line;
    uint32_t start; /* events */
    uint32_t end;   /* LOG_NO_EVENT: none */
    bool split;     /* other tasks' events may lie between the two */
    struct log_expr *arguments[LOG_MAX_ARGUMENTS];
    size_t argument_count;
    const struct log_error *unread; /* why an argument behind these can't be read, or NULL */
    enum log_result_kind result;
    int64_t value;                 /* VALUE */
    int error;                     /* ERROR: 0 when its name isn't known here */
    const char *error_name;        /* ERROR, RESTART */
    bool timed_out;                /* (Timeout) */
    struct log_expr **came;        /* ([{fd=3, revents=POLLIN}], left {...}) behind the result */
    size_t came_count;             /* of them */
    uint64_t time_ns, duration_ns; /* 0: not in the log */
};

enum log_event_kind {
    LOG_START,  /* `index` is a call */
    LOG_END,    /* `index` is a call */
    LOG_SIGNAL, /* --- SIGPIPE {...} --- */
    LOG_EXIT,   /* +++ exited with 0 +++, +++ killed by SIGKILL +++ */
};

struct log_event {
    enum log_event_kind kind;
    uint32_t index; /* the call of START and END */
    uint32_t task;
    uint32_t line;
    int signal; /* SIGNAL: its number, 0 when it isn't known here */
};

struct log_task {
    uint32_t pid;         /* 0: the log doesn't say */
    uint32_t parent_call; /* the clone, fork or vfork that made it, or LOG_NO_CALL */
    uint32_t first;       /* its first event, LOG_NO_EVENT when it has none */
    uint32_t exit;        /* its LOG_EXIT, or LOG_NO_EVENT */
};

struct log {
    struct log_call *calls;
    size_t call_count;
    struct log_event *events;
    size_t event_count;
    struct log_task *tasks;
    size_t task_count;
    const char *text; /* borrowed from log_parse()'s caller */
    size_t size;
    const size_t *line_starts; /* offsets; line n begins at [n - 1] */
    size_t line_count;
    void *blocks; /* all memory of the tree */
    size_t used;  /* bytes of it */
};

/* True when the text is a log and no script: "# log", execve first, pids or time stamps. */
bool log_detect(const char *text, size_t size);

/*
 * Reads a log. The text stays the caller's, and must outlive the log.
 *
 * Returns 0; -1 with *ret_error filled, and nothing to be destroyed.
 */
int log_parse(const char *text, size_t size, struct log *ret_log, struct log_error *ret_error);
void log_destroy(struct log *log);

/* The text of a line, without its end. */
const char *log_line_text(const struct log *log, uint32_t line, size_t *ret_size);

/* True and its value when the expression is a number: constants, a|b, 8*1024, -1. */
bool log_number(const struct log_expr *expr, int64_t *ret_value);

/* The field of a struct, or NULL. */
const struct log_expr *log_field(const struct log_expr *expr, const char *name);

#endif
