/*
 * run.h - one script being run on one side, in a process of its own
 *
 * Because the process is the script's own, nothing here is given back: what a statement allocates
 * is dropped at once when the next begins, and an error ends the process (run_fail()).
 *
 * A statement is run in three steps: encode (expressions become memory and words, what must be
 * looked at afterwards is noted as a watch), call, match (each watch against what is there now).
 */
#ifndef INTERPRET_RUN_H
#define INTERPRET_RUN_H

#include <signal.h>

#include "interpret/script.h"

#define RUN_MAX_VARIABLES 256
#define RUN_MAX_WATCHES   32768       /* 2048 messages with a few fields each */
#define RUN_MEMORY        (1u << 30)  /* address space for one statement; touched where used */
#define RUN_MEMORY_MORE   (64u << 20) /* ... of one beside another that is blocked */
#define RUN_MAX_REPEATS   2000000

enum value_kind { VALUE_NUMBER, VALUE_BYTES };

struct value {
    enum value_kind kind;
    int64_t number;
    const uint8_t *bytes;
    size_t size;
};

enum watch_kind {
    WATCH_NUMBER,  /* an integer of `size` bytes */
    WATCH_BUFFER,  /* a buffer of `size` bytes that data was transferred to */
    WATCH_BYTES,   /* exactly what the expression holds */
    WATCH_TEXT,    /* begins with what the expression holds; a name is bound to all but last NULs */
    WATCH_SET,     /* fd_set */
    WATCH_CONTROL, /* control data of the msghdr at `address` */
};

struct watch {
    enum watch_kind kind;
    const void *address;
    size_t size;
    bool is_signed;
    bool after_failure;     /* written with =>: looked at whatever the call returned */
    bool hashed;            /* what is there must be the same on both sides */
    uint32_t group;         /* which message of mmsghdrs it belongs to, else 0 */
    const struct expr *out; /* what is expected or bound; NULL: nothing */
    const char *name;       /* for messages: "revents" */
};

enum outcome_state { OUTCOME_NONE, OUTCOME_STARTED, OUTCOME_DONE, OUTCOME_DIFFERS, OUTCOME_ERROR };

/* What came of one statement; in memory shared with the process that compares. */
struct outcome {
    enum outcome_state state;
    struct place place; /* of the expression that differs, or of the error */
    uint64_t hash;      /* of all that both sides must agree in */
    char got[320];      /* "= -1 EAGAIN" */
    char came[320];     /* "revents POLLIN, 5 bytes \"hello\"": all that went into the hash */
    char why[320];      /* DIFFERS: "revents is POLLIN"; ERROR: the message */
};

struct variable {
    const char *name;
    struct value value;
};

/* What belongs to one call until it has ended: its memory, and what is looked at then. */
struct flight {
    bool blocked; /* its call goes on while others are made */
    bool faults;  /* it uses fault() */
    uint8_t *memory;
    size_t memory_size;
    size_t memory_used;
    struct watch *watches; /* RUN_MAX_WATCHES of them */
    size_t watch_count;
    const void *messages; /* the mmsghdr array of the call, or NULL */
};

struct world;

struct run {
    const struct script *script;
    const struct statement *statement;
    struct outcome *outcome;
    enum side side;
    bool keep_going;

    struct variable variables[RUN_MAX_VARIABLES];
    size_t variable_count;

    struct world *world;
    struct flight flights[SCRIPT_MAX_TASKS];
    struct flight *flight; /* of the call that is made or looked at now */
    struct {
        uint32_t index;                    /* in the world */
        struct flight *flight;             /* of the call that it is blocked in, or NULL */
        const struct statement *statement; /* that call */
        struct outcome *outcome;
    } tasks[SCRIPT_MAX_TASKS];
    int64_t pid; /* getpid()'s last answer: each side has its own */

    /* of the call that just ended */
    int64_t result;
    bool blocked; /* it didn't come back, and was interrupted */
    bool native;  /* on the emulator's side libc answered, not the emulator */
    size_t signal_count;
    siginfo_t *signals;
};

/* ---- values.c: memory, variables, evaluation ---- */

/* The script can't be run: notes the message and ends this process. */
__attribute__((format(printf, 3, 4))) _Noreturn void run_fail(struct run *run, struct place place,
                                                              const char *format, ...);

/* What came out isn't what the script says: notes the first such message of this statement. */
__attribute__((format(printf, 3, 4))) void run_differs(struct run *run, struct place place,
                                                       const char *format, ...);

/* How much memory all calls of a script need, and how it is shared out. */
size_t run_memory_size(void);
void run_memory_init(struct run *run);

/* A new statement begins: takes a flight that is free, and drops what it held. */
void run_memory_reset(struct run *run);

/* Zeroed memory until the end of the statement. */
void *run_allocate(struct run *run, struct place place, size_t size);

/* `size` zeroed bytes, directly in front of a page that can't be touched. */
void *run_allocate_fault(struct run *run, struct place place, size_t size);

struct value evaluate(struct run *run, const struct expr *expr);
int64_t evaluate_number(struct run *run, const struct expr *expr);
struct value evaluate_bytes(struct run *run, const struct expr *expr);

/* Binds a variable; bytes are copied. */
void variable_bind(struct run *run, struct place place, const char *name, struct value value);

/* True when `expr` is a bare name that an out position binds. */
bool binds(const struct expr *expr);

struct value value_number(int64_t number);
struct value value_bytes(const void *bytes, size_t size);

/* Adds bytes to the statement's hash. */
void run_hash(struct run *run, const void *bytes, size_t size);

/* ---- encode.c ---- */

/* Turns the statement's arguments into words for the call, and notes what to watch. */
void encode_arguments(struct run *run, uint64_t *ret_words);

/* Notes a number to be looked at after the call. */
struct watch *watch_number(struct run *run, const char *name, const void *address, size_t size,
                           bool is_signed, const struct expr *out);
struct watch *watch_add(struct run *run, struct place place, enum watch_kind kind);

/* ---- control.c: ancillary data ---- */

/* Writes the control messages of a list. Returns their address and size. */
void *control_encode(struct run *run, const struct expr *list, size_t *ret_size);
void control_match(struct run *run, const struct watch *watch);

/* Looks at what stands at `address` as `expr` describes it: [1, 2], {uid=0} or "bytes". */
void watch_value(struct run *run, const struct expr *expr, const void *address, bool after_failure);

/* Size of a value that `expr` describes. */
size_t value_size(struct run *run, const struct expr *expr);

/* Writes the value that `expr` describes ([1, 2], {tv_sec=1, tv_usec=0}, "bytes") to `address`. */
void encode_value(struct run *run, const struct expr *expr, void *address);

/* ---- match.c ---- */

/* Compares all that came out, binds variables, fills the outcome's hash and its text. */
void match_all(struct run *run, const struct wanted *wanted);

/* True when the result is as wanted. */
bool match_result(struct run *run, const struct wanted *wanted);

/* Renders result and signals: "= 5", "= -1 EPIPE --- SIGPIPE ---", "= ? (blocks)". */
void render_result(const struct run *run, char *ret_text, size_t size);

/* ---- run.c ---- */

/* Runs the script on one side. Ends the process: 0, or 1 when something differs, or 125. */
_Noreturn void run_script(const struct script *script, enum side side, bool keep_going,
                          struct outcome *outcomes);

#endif
