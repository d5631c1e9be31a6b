/*
 * objects.h - what descriptors stand for: numbers and names of the channels of a recording
 *
 * An object gets the number that its first appearance in the recording gives it, whatever is shown
 * of the recording. Both ends of a pipe are one object, as they share an inode; a socket is one.
 */
#ifndef TRACE_OBJECTS_H
#define TRACE_OBJECTS_H

#include <stdio.h>
#include <sys/un.h>

#include "trace/reader.h"

struct objects;

struct object {
    uint32_t number;             /* from 1 on */
    enum trace_object_kind kind; /* of a pipe: the end that was seen first */
    bool is_listener;
    uint32_t peer;                    /* number of the socket at the other end; 0: none known */
    uint32_t description, generation; /* one of it */
    struct sockaddr_un name;          /* of AF_UNIX: what it was bound to; */
    uint32_t name_size;               /* ... 0: to nothing */
};

/* Returns NULL without memory. `trace` stays the caller's. */
struct objects *objects_create(struct trace *trace);
void objects_destroy(struct objects *objects);

/*
 * Learns of the objects of a call. Requires: events come in the recording's order, each once
 * (or all of them again).
 */
void objects_note(struct objects *objects, const struct trace_event *event);

/* The object of a descriptor. NULL: the kernel's, or not a channel that was noted. */
const struct object *objects_find(const struct objects *objects, const struct trace_fd *fd);
const struct object *objects_get(const struct objects *objects, uint32_t number);

/*
 * "<pipe:[3]>"; with `both_ends` "<UNIX-STREAM:[4->5]>", "<vsock:[2:1024->1:5000]>". Nothing for
 * what is the kernel's.
 */
void objects_print(const struct objects *objects, const struct trace_fd *fd, uint64_t ns,
                   bool both_ends, FILE *out);

#endif
