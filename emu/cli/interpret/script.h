/*
 * script.h - a script as a tree: what the parser makes and the runner walks
 *
 * Invariants: the tree is never changed after script_parse(); names that are constants have become
 * numbers in it; every node knows its line and column (both from 1), for messages.
 */
#ifndef INTERPRET_SCRIPT_H
#define INTERPRET_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIPT_MAX_ARGUMENTS 8    /* sendto and pselect have 6 */
#define SCRIPT_MAX_SIGNALS   8    /* expected after one call */
#define SCRIPT_MAX_DEPTH     64   /* of nested expressions */
#define SCRIPT_MAX_ITEMS     4096 /* in one list */
#define SCRIPT_MAX_TASKS     16   /* that a script has */
#define SCRIPT_MAX_HEIGHT    2000 /* of an expression's tree: a + b + c + ... */

struct place {
    uint32_t line;
    uint32_t column;
};

enum expr_kind {
    EXPR_NUMBER,
    EXPR_NAME,     /* a variable; a bare one in an out position is bound */
    EXPR_ANY,      /* _ : neither looked at nor compared */
    EXPR_BYTES,    /* "..." */
    EXPR_NEGATE,   /* -a */
    EXPR_INVERT,   /* ~a */
    EXPR_GROUP,    /* (a): never binds */
    EXPR_BINARY,   /* a op b */
    EXPR_LIST,     /* [a, b] */
    EXPR_STRUCT,   /* {name=a, name=b} */
    EXPR_FUNCTION, /* name(a, b) */
    EXPR_ARROW,    /* a => b: a goes in, b is expected to come out, also of a call that failed */
};

struct expr {
    enum expr_kind kind;
    struct place place;
    int64_t number;       /* NUMBER; BINARY: the operator ('<' is <<, '>' is >>) */
    const char *name;     /* NAME, FUNCTION; NUMBER: the constant's name or NULL */
    const uint8_t *bytes; /* BYTES */
    size_t size;          /* BYTES */
    struct expr **items;  /* the operands and members, in order */
    const char **fields;  /* STRUCT: their names */
    size_t count;
    uint32_t height; /* of the tree below; bounded, because it is walked by recursion */
};

enum wanted_kind {
    WANTED_NOTHING, /* no "= ..." at all */
    WANTED_RESULT,  /* = EXPR */
    WANTED_ERRNO,   /* = -1 ENAME */
    WANTED_BLOCKED, /* = ? : blocks; interrupted it gives EINTR, or EXPR where one follows */
};

struct wanted {
    enum wanted_kind kind;
    struct expr *result;   /* RESULT, BLOCKED (or NULL) */
    int error;             /* ERRNO */
    struct expr *contents; /* "..." behind the result: all bytes that came out, or NULL */
    struct expr *ready;    /* ([{fd=, revents=}]) behind the result of poll, or NULL */
};

struct wanted_signal {
    struct place place;
    int number;
    struct expr *info; /* {si_code=...} or NULL */
};

enum statement_kind {
    STATEMENT_CALL,
    STATEMENT_REPEAT,       /* repeat EXPR: CALL */
    STATEMENT_REPEAT_UNTIL, /* repeat until WANTED: CALL; sets `count` and `total` */
    STATEMENT_SET,          /* NAME = EXPR */
    STATEMENT_CHECK,        /* check EXPR == EXPR */
    STATEMENT_RESUMED,      /* <... CALL resumed>...: the call of `start` has ended */
    STATEMENT_FORK,         /* fork() = TASK */
    STATEMENT_THREAD,       /* thread() = TASK */
    STATEMENT_EXIT,         /* exit(): the task ends */
    STATEMENT_EXIT_GROUP,   /* exit_group(): its process does */
    STATEMENT_EXEC,         /* execve() */
    STATEMENT_INTERRUPT,    /* interrupt(TASK[, SA_RESTART]): a handler runs in its blocked call */
    STATEMENT_WAIT,         /* wait(TASK): it has exited */
};

struct statement {
    enum statement_kind kind;
    struct place place;
    const char *text; /* as written, for messages */
    const char *name; /* of the call, or the variable of SET */
    int call;         /* number in calls.h's table */
    uint32_t task;    /* who does it: number in the order of the script */
    uint32_t other;   /* FORK, THREAD: whom it makes; INTERRUPT, WAIT: who is meant */
    bool unfinished;  /* <unfinished ...>: the call blocks, and goes on until it is resumed */
    size_t start;     /* RESUMED: the statement with its beginning */
    struct expr *arguments[SCRIPT_MAX_ARGUMENTS];
    size_t argument_count;
    struct expr *left;  /* SET: the value; CHECK: left side; REPEAT: how often; INTERRUPT: flags */
    struct expr *right; /* CHECK */
    struct wanted wanted;
    struct wanted until;
    struct wanted_signal signals[SCRIPT_MAX_SIGNALS];
    size_t signal_count;
};

enum side { SIDE_KERNEL = 1, SIDE_EMU = 2 };

struct script {
    const char *path;
    const char *tasks[SCRIPT_MAX_TASKS]; /* their names; the first one's is "main" */
    uint32_t task_count;
    struct statement *statements;
    size_t count;
    unsigned sides; /* "# on:", a set of enum side */
    bool native;    /* "# native: yes": channels may become native, libc may answer */
    bool signals;   /* "# signals: any": signals that the script doesn't name are allowed */
    int kernel[2];  /* "# kernel: 6.17": needs at least this one; 0.0: any */
    void *blocks;   /* all memory of the tree */
    size_t used;    /* bytes of it */
};

/*
 * Reads a whole script.
 *
 * Returns 0; -1 after a message "path:line:column: ..." on stderr.
 */
int script_parse(const char *path, struct script *ret_script);
void script_destroy(struct script *script);

/* Memory that lives as long as the script; never NULL (no memory left ends the program). */
void *script_allocate(struct script *script, size_t size);

#endif
