/*
 * environment.c - what a new image needs in its environment to be one of us
 *
 *   LD_PRELOAD       holds this library: put before what is there, never instead of it
 *   SOCKRIG_ARENA    "FD,PID": the arena's descriptor, and a process that has it too, in case
 *                    the descriptor is lost on the way (closefrom in a spawned child); with
 *                    ",bare" behind it when no `sockrig run` stands above
 *   SOCKRIG_CID      of the machine that this process plays a part of, when it isn't the host
 *   SOCKRIG_OPTIONS  as this process found it
 *
 * A guest that clears its environment still runs its children here. When nothing is missing the
 * guest's own vector is used; else a copy in a mapping of its own, since a forked child of a
 * threaded program must not allocate.
 */
#include "shim.h"

#include "host.h"
#include "raw.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>

#define LIBRARY_NAME "libsockrig.so"

/* The value when `entry` is "NAME=value", else NULL. */
static const char *value_of(const char *entry, const char *name)
{
    size_t size = strlen(name);

    return strncmp(entry, name, size) == 0 && entry[size] == '=' ? entry + size + 1 : NULL;
}

const char *environment_get(char *const *vector, const char *name)
{
    for (; vector && *vector; vector++) {
        const char *value = value_of(*vector, name);

        if (value) {
            return value;
        }
    }
    return NULL;
}

/* True when one file of a preload list (blanks or colons between them) is this library. */
static bool lists_library(const char *list)
{
    while (*list) {
        size_t size = strcspn(list, ": ");
        const char *name = list + size;

        while (name > list && name[-1] != '/') {
            name--;
        }
        if ((size_t)(list + size - name) == strlen(LIBRARY_NAME) &&
            memcmp(name, LIBRARY_NAME, strlen(LIBRARY_NAME)) == 0) {
            return true;
        }
        list += size;
        list += *list ? 1 : 0;
    }
    return false;
}

/* The loader keeps the name it was given, which may be relative to a directory that we left. */
const char *environment_library(void)
{
    Dl_info info;
    size_t length;
    size_t used = 0;

    if (shim.library[0] || dladdr(&shim, &info) == 0 || !info.dli_fname) {
        return shim.library;
    }
    length = strlen(info.dli_fname);
    if (info.dli_fname[0] != '/' && strchr(info.dli_fname, '/')) {
        long size = RAW2(SYS_getcwd, shim.library, sizeof shim.library - 1);

        used = size > 0 ? (size_t)size - 1 : 0;
        shim.library[used++] = '/';
    }
    if (used + length < sizeof shim.library) {
        memcpy(shim.library + used, info.dli_fname, length + 1);
    } else {
        shim.library[0] = 0;
    }
    return shim.library;
}

static char *put(char *at, const char *text)
{
    size_t size = strlen(text);

    memcpy(at, text, size);
    at[size] = 0;
    return at + size;
}

/* Room for the three entries, beside the values they take over. */
#define OWN_ROOM (PATH_MAX + 128)

/* "LD_PRELOAD=ours:theirs". Returns the end. */
static char *put_preload(char *at, const char *theirs)
{
    at = put(put(at, "LD_PRELOAD="), environment_library());
    if (theirs && *theirs) {
        at = put(put(at, ":"), theirs);
    }
    return at + 1;
}

static char *put_arena(char *at)
{
    at = put_decimal(put(at, "SOCKRIG_ARENA="), shim.hidden.arena);
    at = put_decimal(put(at, ","), shim.owner > 0 ? shim.owner : (long)RAW0(SYS_getpid));
    return put(at, shim.bare ? ",bare" : "") + 1;
}

/* Copies the guest's vector, but for the entries that we replace. Returns how many. */
static size_t copy_vector(char *const *guest, char **vector, bool preload, bool arena)
{
    size_t count = 0;

    for (; guest && *guest; guest++) {
        if ((preload && value_of(*guest, "LD_PRELOAD")) ||
            (arena && value_of(*guest, "SOCKRIG_ARENA"))) {
            continue;
        }
        vector[count++] = *guest;
    }
    return count;
}

bool environment_build(char *const *guest, struct environment *ret_environment)
{
    const char *theirs = environment_get(guest, "LD_PRELOAD");
    bool preload = !theirs || !lists_library(theirs);
    bool arena = session_attached();
    bool options = shim.options && !environment_get(guest, "SOCKRIG_OPTIONS");
    bool cid = arena && shim.process.cid > EMU_CID_HOST && !environment_get(guest, "SOCKRIG_CID");
    struct environment built = { (char **)(uintptr_t)guest, NULL, 0 };
    size_t count = 0;
    char *at;

    if (atomic_load(&shim.state) == SHIM_BOOT || (!preload && !arena && !options && !cid)) {
        *ret_environment = built;
        return true;
    }
    while (guest && guest[count]) {
        count++;
    }
    built.size = (count + 5) * sizeof(char *) + OWN_ROOM + (theirs ? strlen(theirs) : 0) +
                 (options ? strlen(shim.options) : 0);
    built.block = host_memory_private(built.size);
    if (!built.block) {
        return false;
    }
    built.vector = built.block;
    at = (char *)built.block + (count + 5) * sizeof(char *);
    count = copy_vector(guest, built.vector, preload, arena);
    if (preload) {
        built.vector[count++] = at;
        at = put_preload(at, theirs);
    }
    if (arena) {
        built.vector[count++] = at;
        at = put_arena(at);
    }
    if (cid) {
        built.vector[count++] = at;
        at = put_decimal(put(at, "SOCKRIG_CID="), shim.process.cid) + 1;
    }
    if (options) {
        built.vector[count++] = at;
        put(put(at, "SOCKRIG_OPTIONS="), shim.options);
    }
    built.vector[count] = NULL;
    *ret_environment = built;
    return true;
}

void environment_free(struct environment *environment)
{
    if (environment->block) {
        host_memory_unmap(environment->block, environment->size);
    }
}
