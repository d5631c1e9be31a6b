/*
 * run.h - one sequence of calls on AF_VSOCK in the emulator's world, and what is wrong with it
 *
 * Tasks of several processes make calls; after each call what came out is judged (judge.c), and
 * everything is looked at (look.c). Each process has one task more, the observer, which makes calls
 * that change nothing, and which isn't part of the sequence. The first thing that is wrong ends the
 * run.
 */
#ifndef FUZZ_VSOCK_RUN_H
#define FUZZ_VSOCK_RUN_H

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "build.h"
#include "ends.h"
#include "interpret/world.h"
#include "sequence.h"

#define RUN_TASKS     6
#define RUN_PROCESSES 3
#define RUN_PARTS     4  /* messages of one call */
#define RUN_FDS       6  /* descriptors of one poll */
#define RUN_EVENTS    16 /* that epoll_wait returns */

/* What a call does, in the order in which calls that end together are judged. */
enum op {
    OP_SHUTDOWN,
    OP_CLOSE,
    OP_DUP,
    OP_REPLACE,
    OP_CONNECT,
    OP_SEND,
    OP_ACCEPT,
    OP_TAKE,
    OP_SOCKET,
    OP_BIND,
    OP_LISTEN,
    OP_OPTION,
    OP_FLAGS,
    OP_EPOLL,
    OP_WATCH,
    OP_POLL,
    OP_WAIT,
    OP_COUNT,
};

/* One message of a call that moves bytes. */
struct part {
    struct iovec *vectors;
    uint32_t count;
    uint32_t size;
};

/* The call that a task is in, beside its words. */
struct move {
    enum op op;
    int end;
    int number;
    uint32_t flags; /* MSG_* */
    bool faults;    /* a buffer of it can't be touched */
    bool odd;       /* another argument is refused */
    bool records;   /* socket: SOCK_SEQPACKET */
    bool nonblocking;
    bool alone;        /* send: nobody else was in one in this direction */
    bool edge;         /* epoll_ctl: the entry tells once */
    bool keeps;        /* receive: it may hold bytes while it sleeps */
    uint64_t position; /* send: where in the flow it begins */
    struct part parts[RUN_PARTS];
    uint32_t part_count;
    struct mmsghdr *many; /* NULL: one message */
    struct msghdr *one;   /* NULL: no message header */
    struct pollfd *fds;   /* the world's while the call runs */
    struct pollfd asked[RUN_FDS];
    uint32_t fd_count;
    uint32_t cid; /* of an address */
    uint32_t port;
    int watched;    /* epoll_ctl: the end, or -1 */
    int target;     /* listener's backlog; shutdown's how; dup2's target; option's name */
    uint64_t value; /* an option's; an address; an entry's data */
};

struct player {
    bool alive;
    bool blocked;
    bool slept;      /* in the call that is judged */
    uint32_t number; /* of the world */
    uint32_t process;
    uint32_t action;
    uint8_t *memory;
    struct made made;
    struct move move;
};

/* Ways to spoil a run, for the proof that the checks see it. */
enum spoil {
    SPOIL_NONE,
    SPOIL_LOSE,
    SPOIL_REPEAT,
    SPOIL_REORDER,
    SPOIL_LEAK,
    SPOIL_CRASH,
    SPOIL_HANG
};

#define RUN_RULE   32
#define RUN_DETAIL 256

struct run {
    struct world *world;
    struct ends ends;
    struct table processes[RUN_PROCESSES];
    struct player players[RUN_TASKS];
    uint32_t observers[RUN_PROCESSES]; /* tasks of the world */
    struct builder builder;
    struct move move; /* that is being built */
    uint8_t *pattern;
    uint8_t *observed; /* memory of the observers */
    enum spoil spoil;
    bool spoilt;
    uint32_t step;  /* of run_pair(): 0: none */
    bool none;      /* there is no number for the call that is built */
    int pair[2];    /* its listener and its client */
    int drained;    /* the number that is read to its end, or -1 */
    int64_t last;   /* the last result */
    uint64_t calls; /* those of the observers apart */
    uint64_t ended;
    uint64_t asked;
    uint64_t results[OP_COUNT][2]; /* failed, succeeded */
    uint64_t slept;
    uint64_t bytes;
    uint64_t records;
    char rule[RUN_RULE]; /* which check failed; empty: none */
    char detail[RUN_DETAIL];

    /* ---- the script, say.c ---- */
    FILE *text; /* NULL: nobody wants it */
    FILE *resumed;
    char *line;
    char *resumed_lines;
    size_t line_size;
    size_t resumed_size;
    const struct player *running;
    uint64_t came_place; /* the bytes that came must be these of the pattern */
    uint64_t came;
};

/* Returns NULL after a message on stderr. The process is the world's own from then on. */
struct run *run_create(void);

/* Runs a sequence; the world is as new before and afterwards, unless something is wrong. */
void run_sequence(struct run *run, const struct sequence *sequence, FILE *text);

/* Something is wrong: `rule` names the check. The first one counts. */
void run_wrong(struct run *run, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Begins the call that was built; judges everything that ends. */
void run_start(struct run *run, struct player *player);
void run_settle(struct run *run);

/* A call of an observer's, at once; its words are numbers of `process`. */
int64_t run_ask(struct run *run, uint32_t process, const char *name, uint64_t a, uint64_t b,
                uint64_t c, uint64_t d, uint64_t e);

/* A process and a number that refer to the end; false: there are none. */
bool run_find(const struct run *run, int end, uint32_t *ret_process, int *ret_number);

/* Is a task asleep in such a call on this end? */
bool run_sleeps(const struct run *run, enum op op, int end);

/* Does one hold bytes that it has taken and hasn't told of? */
bool run_held(const struct run *run, int end);

/* ---- act.c: what a sequence does ---- */

/* One action of the sequence. */
void act(struct run *run, const struct sequence *sequence, uint32_t number);

/* Gets the builder ready for a call of the player's, then begins it, if it came to one. */
void act_prepare(struct run *run, struct player *player, uint32_t number);
typedef bool make_function(struct run *run, struct player *player);
void act_call(struct run *run, make_function *function, struct player *player, uint32_t number);

/* At the end: sleepers are interrupted, what is unread is read, all but the first task exit. */
void act_last(struct run *run);

/* ---- make.c, make_data.c, make_wait.c: a call; false: none here ---- */
#define ACTION(name, ...) make_function make_##name;
#define ACTION_WORLD(name, ...)
#include "vsock/actions.def"
#undef ACTION
#undef ACTION_WORLD
make_function make_last_flags, make_last_accept, make_last_take; /* of run->drained */

/*
 * A number of one of these kinds, if there is one; else mostly no call is made (run->none), or with
 * any number, or one that is closed.
 */
int make_number(struct run *run, const struct player *player, unsigned kinds);

/* ---- judge.c ---- */
void judge(struct run *run, struct player *player, const struct world_result *result);

/* Is this a result that the call can have? */
bool judge_listed(const char *call, int64_t value);

/* ---- look.c ---- */

/* Everything that can be seen without changing it. */
void look(struct run *run);

/* Unread bytes by FIONREAD, or -errno; -ENOENT: nobody can ask. */
int64_t look_unread(struct run *run, int end);

/* Of what it should tell of, it tells not: an entry of the instance; NULL: none. */
const struct watch *look_untold(struct run *run, int set);

/* SO_VM_SOCKETS_BUFFER_SIZE. */
uint64_t look_size(struct run *run, uint32_t process, int number);

/* At the end: nothing is under way any more. */
void look_last(struct run *run);

/* ---- say.c ---- */
void say_begin(struct run *run, const struct player *player);
void say_end(struct run *run);
void say_forget(struct run *run);
void say_task(FILE *text, const struct run *run, const struct player *player);
void say_result(struct run *run, const struct player *player, const struct world_result *result);

#endif
