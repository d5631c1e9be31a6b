/*
 * log_names.c - the names of AF_UNIX sockets in a log, and what they are in the world
 */
#include "interpret/log_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpret/log_build.h"

#define PATH_ROOM sizeof(((struct sockaddr_un *)0)->sun_path)

bool log_name_of_path(const struct log_expr *path, uint8_t *ret_bytes, size_t *ret_size)
{
    size_t front = path && path->is_abstract ? 1 : 0;

    if (!path || path->kind != LOG_BYTES || path->cut || path->size + front == 0 ||
        path->size + front > PATH_ROOM)
        return false;
    ret_bytes[0] = 0;
    memcpy(ret_bytes + front, path->bytes, path->size);
    *ret_size = path->size + front;
    return true;
}

bool log_name_of(const struct log_expr *address, uint8_t *ret_bytes, size_t *ret_size)
{
    return log_name_of_path(log_field(address, "sun_path"), ret_bytes, ret_size);
}

uint32_t log_name_find(const struct log_names *names, const uint8_t *bytes, size_t size)
{
    for (size_t i = names->count; i > 0; i--) {
        const struct log_name *name = &names->names[i - 1];

        if (name->size == size && memcmp(name->bytes, bytes, size) == 0 && !name->gone)
            return (uint32_t)(i - 1);
    }
    return LOG_NO_NAME;
}

uint32_t log_name_add(struct log_names *names, const uint8_t *bytes, size_t size)
{
    struct log_name *name;
    void *grown;

    if (names->count == LOG_MAX_NAMES)
        return LOG_NO_NAME;
    grown = log_grow(names->names, names->count, &names->room, sizeof(names->names[0]));
    if (!grown)
        return LOG_NO_NAME;
    names->names = grown;
    name = &names->names[names->count];
    memset(name, 0, sizeof(*name));
    memcpy(name->bytes, bytes, size);
    name->size = size;
    name->owner = LOG_NO_OBJECT;
    return (uint32_t)names->count++;
}

size_t log_name_world(const struct log_names *names, uint32_t index, const char *directory,
                      const char *tag, uint8_t *ret_path)
{
    const struct log_name *name = &names->names[index];
    char text[PATH_ROOM];
    int size;

    if (name->chosen) {
        memcpy(ret_path, name->world, name->world_size);
        return name->world_size;
    }
    if (name->bytes[0] == 0)
        size = snprintf(text, sizeof(text), "@%s.%u", tag, index);
    else
        size = snprintf(text, sizeof(text), "%s/%u", directory, index);
    if (size < 0 || (size_t)size >= sizeof(text))
        size = (int)sizeof(text) - 1;
    memcpy(ret_path, text, (size_t)size + 1);
    if (name->bytes[0] == 0)
        ret_path[0] = 0;
    return (size_t)size + (name->bytes[0] != 0); /* a path has a NUL at its end */
}
