/*
 * log_numbers.h - what the descriptors of a log are
 *
 * Known from the log alone, by walking its events in order: who made which number, who copied it,
 * which sockets were connected. An object is an open file description that the log shows being
 * made. Numbers that nobody was seen to make (from before the log, files, other families) have no
 * entry: they are opaque, and calls on them are skipped.
 *
 * An object that is shared with somebody who isn't in the log (a child that strace didn't follow, a
 * peer outside) can't be interpreted at all. So the walk is made again with the call that made
 * it on a list (log_plan.c), until no more such objects are found.
 */
#ifndef INTERPRET_LOG_NUMBERS_H
#define INTERPRET_LOG_NUMBERS_H

#include "interpret/log.h"

#define LOG_MAX_NUMBER  4096 /* WORLD_MAX_NUMBERS */
#define LOG_NO_OBJECT   UINT32_MAX
#define LOG_NO_NAME     UINT32_MAX
#define LOG_NO_LINK     UINT32_MAX
#define LOG_MAX_OBJECTS (1u << 22)

enum log_object_kind {
    LOG_OPAQUE, /* a stand-in for something opaque, that travelled through a modeled socket */
    LOG_PIPE,
    LOG_SOCKET, /* stream or records of AF_UNIX or AF_VSOCK */
    LOG_EPOLL,
};

/* A member of an epoll set. */
struct log_member {
    int number;
    uint64_t data;
    bool opaque;
    uint32_t next; /* index + 1 */
};

struct log_object {
    enum log_object_kind kind;
    uint32_t maker;   /* the call that made it */
    uint32_t channel; /* union-find: objects of one channel have one root */
    uint32_t link;    /* the connection that it is an end of, or LOG_NO_LINK */
    unsigned end;     /* which end: 0 or 1 */
    uint32_t name;    /* bound to it, or LOG_NO_NAME */
    uint32_t waiting; /* listener: links that wait for accept: index + 1 of the first */
    uint32_t members; /* epoll: index + 1 of the first */
    bool times_out;   /* SO_RCVTIMEO or SO_SNDTIMEO was set */
};

/* Descriptors in a message that was sent and not received yet. */
struct log_passed {
    uint32_t *objects; /* LOG_NO_OBJECT: an opaque one */
    size_t count;
    uint32_t next; /* index + 1 */
};

struct log_link {
    uint32_t objects[2]; /* [1] is LOG_NO_OBJECT until accept */
    uint32_t passed[2];  /* what waits for this end: index + 1 of the first */
    uint32_t next;       /* in its listener's queue: index + 1 */
    uint32_t listener;   /* that it was made through, or LOG_NO_OBJECT */
};

struct log_number {
    uint32_t object; /* LOG_NO_OBJECT: none that is known */
    bool cloexec;
};

/* A table of numbers; threads share one. */
struct log_process {
    struct log_number *numbers; /* up to `count` */
    size_t count;
    size_t users; /* tasks */
};

struct log_numbers {
    struct log_object *objects;
    size_t object_count, object_room;
    struct log_link *links;
    size_t link_count, link_room;
    struct log_member *members;
    size_t member_count, member_room;
    struct log_passed *passed;
    size_t passed_count, passed_room;
    struct log_process *processes;
    size_t process_count, process_room;
    uint32_t *process_of; /* task -> process, UINT32_MAX: none */
    bool no_memory;       /* something was left out: the walk is worthless */
};

int log_numbers_init(struct log_numbers *numbers, size_t task_count);
void log_numbers_fini(struct log_numbers *numbers);

/* A task with an empty table of its own, a copy of another one's, or sharing it. */
void log_process_new(struct log_numbers *numbers, uint32_t task);
void log_process_fork(struct log_numbers *numbers, uint32_t parent, uint32_t task);
void log_process_share(struct log_numbers *numbers, uint32_t parent, uint32_t task);
/* execve: an own table, without what is close-on-exec. */
void log_process_exec(struct log_numbers *numbers, uint32_t task);
void log_process_leave(struct log_numbers *numbers, uint32_t task);
struct log_process *log_process_of(struct log_numbers *numbers, uint32_t task);

/* The object behind a number, or LOG_NO_OBJECT. */
uint32_t log_number_object(struct log_numbers *numbers, uint32_t task, int64_t number);
/* Puts an object (or none) behind a number. False: a number out of bounds. */
bool log_number_set(struct log_numbers *numbers, uint32_t task, int64_t number, uint32_t object,
                    bool cloexec);
struct log_number *log_number_at(struct log_numbers *numbers, uint32_t task, int64_t number);

uint32_t log_object_new(struct log_numbers *numbers, enum log_object_kind kind, uint32_t maker);
uint32_t log_link_new(struct log_numbers *numbers, uint32_t first, uint32_t second);
/* Takes the link that has waited longest, or LOG_NO_LINK. */
uint32_t log_link_accept(struct log_numbers *numbers, uint32_t listener, uint32_t accepted);
void log_link_wait(struct log_numbers *numbers, uint32_t listener, uint32_t link);

/* One channel: what happens to one of the two can be seen at the other. */
void log_channel_join(struct log_numbers *numbers, uint32_t a, uint32_t b);
uint32_t log_channel_root(struct log_numbers *numbers, uint32_t object);

void log_pass(struct log_numbers *numbers, uint32_t sender, const uint32_t *objects, size_t count);
/* Takes the oldest message with descriptors; NULL when there is none. */
const struct log_passed *log_pass_take(struct log_numbers *numbers, uint32_t receiver, bool peek);

void log_member_set(struct log_numbers *numbers, uint32_t epoll, int number, uint64_t data,
                    bool opaque);
void log_member_remove(struct log_numbers *numbers, uint32_t epoll, int number);
bool log_member_opaque(const struct log_numbers *numbers, uint32_t epoll, uint64_t data);
bool log_member_any(const struct log_numbers *numbers, uint32_t epoll, bool opaque);

#endif
