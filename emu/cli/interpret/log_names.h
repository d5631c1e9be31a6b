/*
 * log_names.h - the names of AF_UNIX sockets in a log, and what they are in the world
 *
 * A path that the log binds is moved into a private directory, an abstract name gets another one:
 * nothing outside is touched, and nothing outside answers. A name that nobody in the log binds
 * isn't in the table.
 */
#ifndef INTERPRET_LOG_NAMES_H
#define INTERPRET_LOG_NAMES_H

#include <sys/un.h>

#include "interpret/log_numbers.h"

#define LOG_MAX_NAMES 4096

struct log_name {
    uint8_t bytes[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* a NUL first: abstract */
    size_t size;
    uint32_t owner; /* the listener that has it, or LOG_NO_OBJECT */
    bool opaque;    /* bound to something that isn't interpreted */
    bool gone;      /* unlinked */
    bool chosen;    /* the kernel chose it (autobind): the world's is learned as it goes */
    uint8_t world[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* CHOSEN: what was learned */
    size_t world_size;
};

struct log_names {
    struct log_name *names;
    size_t count, room;
};

/* The path or abstract name in {sa_family=AF_UNIX, sun_path=...}. False: it has none. */
bool log_name_of(const struct log_expr *address, uint8_t *ret_bytes, size_t *ret_size);

/* The bytes of a path argument as a name. */
bool log_name_of_path(const struct log_expr *path, uint8_t *ret_bytes, size_t *ret_size);

/* Its number, or LOG_NO_NAME; of several the newest. */
uint32_t log_name_find(const struct log_names *names, const uint8_t *bytes, size_t size);

/* Adds a name. LOG_NO_NAME: too many, or no memory. */
uint32_t log_name_add(struct log_names *names, const uint8_t *bytes, size_t size);

/*
 * What stands for this name in the world, below `directory`, as sun_path and its size.
 * `tag` parts abstract names of one run from all others.
 */
size_t log_name_world(const struct log_names *names, uint32_t name, const char *directory,
                      const char *tag, uint8_t *ret_path);

#endif
