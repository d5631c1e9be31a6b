/*
 * environment.c - what a new image needs in its environment to be one of us
 *
 *   LD_PRELOAD       holds this library: put before what is there, never instead of it (preload.h)
 *   SOCKRIG_ARENA    "FD,PID": the arena's descriptor, and a process that has it too, in case
 *                    the descriptor is lost on the way (closefrom in a spawned child); with
 *                    ",bare" behind it when no `sockrig run` stands above
 *   SOCKRIG_RUNTIME  the sanitizer's library that we have put before ours, or missing
 *   SOCKRIG_CID      of the machine that this process plays a part of, when it isn't the host
 *   SOCKRIG_OPTIONS  as this process found it
 *
 * A guest that clears its environment still runs its children here. When nothing is missing the
 * guest's own vector is used; else a copy in a mapping of its own, since a forked child of a
 * threaded program must not allocate.
 */
#include "shim.h"

#include "bounds.h"
#include "host.h"
#include "preload.h"
#include "route.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/uio.h>

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

/* The loader goes by the last of several (elf/rtld.c:process_envvars), getenv() by the first. */
const char *environment_preload(char *const *vector)
{
    const char *last = NULL;

    for (; vector && *vector; vector++) {
        const char *value = value_of(*vector, "LD_PRELOAD");

        last = value ? value : last;
    }
    return last;
}

/*
 * Whether the eight bytes around an address can be read, by a call that reads them and does nothing
 * (kernel/signal.c: a bad `how` is found after the set was copied).
 */
static bool word_readable(const void *address)
{
    const int no_such_how = -1;

    return RAW4(SYS_rt_sigprocmask, no_such_how, (uintptr_t)address & ~7ul, NULL, 8) != -EFAULT;
}

/* The same for valgrind, which would have a word to say about that call. */
static bool byte_readable(const void *address)
{
    char byte;
    struct iovec local = { &byte, 1 };
    struct iovec remote = { (void *)(uintptr_t)address, 1 };

    return RAW6(SYS_process_vm_readv, RAW0(SYS_getpid), &local, 1, &remote, 1, 0) != -EFAULT;
}

/* Where a page is readable all of it is, so one look at each page is enough. */
struct readable {
    uintptr_t page[2]; /* of the vector, and of the strings: 0, none yet */
    bool translated;
};

static bool is_readable(struct readable *known, int which, const void *address)
{
    uintptr_t page = (uintptr_t)address / EMU_PAGE;

    if (page == 0 || page != known->page[which]) {
        if (!(known->translated ? byte_readable(address) : word_readable(address))) {
            return false;
        }
        known->page[which] = page;
    }
    return true;
}

bool environment_readable(char *const *vector)
{
    struct readable known = { .translated = net_is_translated() };

    for (; vector; vector++) {
        const char *last = (const char *)(vector + 1) - 1; /* elsewhere where it isn't aligned */

        if (!is_readable(&known, 0, vector) || !is_readable(&known, 0, last)) {
            return false;
        }
        if (!*vector) {
            return true;
        }
        if (!is_readable(&known, 1, *vector)) {
            return false;
        }
    }
    return true;
}

/* The loader keeps the name it was given, which may be relative to a directory that we left. */
const char *environment_library(void)
{
    static char library[PATH_MAX]; /* "" until it is asked for */
    struct dl_find_object object;
    const char *name;
    size_t length;
    size_t used = 0;

    if (library[0] || _dl_find_object(&shim, &object) != 0) {
        return library;
    }
    name = object.dlfo_link_map->l_name;
    length = strlen(name);
    if (name[0] != '/' && strchr(name, '/')) {
        long size = RAW2(SYS_getcwd, library, sizeof library - 1);

        used = size > 0 ? (size_t)size - 1 : 0;
        library[used++] = '/';
    }
    if (used + length < sizeof library) {
        memcpy(library + used, name, length + 1);
    } else {
        library[0] = 0;
    }
    return library;
}

static char *put(char *at, const char *text)
{
    size_t size = strlen(text);

    memcpy(at, text, size);
    at[size] = 0;
    return at + size;
}

/* Room for the entries that are ours, beside the values they take over. */
#define OWN_ROOM    (PRELOAD_ROOM + 128)
#define OWN_ENTRIES 6 /* with the NULL at the end */

#define ARENA_ROOM 64 /* the name, two numbers, ",bare" */

static char *put_arena(char *at)
{
    at = put_decimal(put(at, "SOCKRIG_ARENA="), shim.hidden.arena);
    at = put_decimal(put(at, ","), shim.owner > 0 ? shim.owner : shim.process.pid);
    return put(at, shim.bare ? ",bare" : "") + 1;
}

/* The guest has it as we would put it, from its parent or from the image before. */
static bool knows_arena(char *const *guest)
{
    const char *value = environment_get(guest, "SOCKRIG_ARENA");
    char wanted[ARENA_ROOM];

    put_arena(wanted);
    return value && strcmp(value, value_of(wanted, "SOCKRIG_ARENA")) == 0;
}

/* Copies the guest's vector, but for the entries that we replace. Returns how many. */
static size_t copy_vector(char *const *guest, char **vector, bool preload, bool arena)
{
    size_t count = 0;

    for (; guest && *guest; guest++) {
        if ((preload && (value_of(*guest, "LD_PRELOAD") || value_of(*guest, "SOCKRIG_RUNTIME"))) ||
            (arena && value_of(*guest, "SOCKRIG_ARENA"))) {
            continue;
        }
        vector[count++] = *guest;
    }
    return count;
}

bool environment_build(const char *path, char *const *guest, struct environment *ret_environment)
{
    bool member = session_attached() && !shim_thread.leaves;
    bool arena = member && !knows_arena(guest);
    bool strip = shim_thread.leaves || atomic_load(&shim.state) == SHIM_OFF;
    bool options = shim.options && !environment_get(guest, "SOCKRIG_OPTIONS");
    bool cid = member && shim.process.cid > EMU_CID_HOST && !environment_get(guest, "SOCKRIG_CID");
    struct environment built = { (char **)(uintptr_t)guest, NULL, 0 };
    struct preload preload;
    size_t count = 0;
    char *at;

    *ret_environment = built;
    if (atomic_load(&shim.state) == SHIM_BOOT) {
        return true;
    }
    preload_plan(path, guest, &preload);
    if (!preload.changed && !arena && !options && !cid && !strip) {
        return true;
    }
    while (guest && guest[count]) {
        count++;
    }
    built.size = (count + OWN_ENTRIES) * sizeof(char *) + OWN_ROOM + strlen(preload.theirs) +
                 (options ? strlen(shim.options) : 0);
    built.block = host_memory_private(built.size);
    if (!built.block) {
        return false;
    }
    built.vector = built.block;
    at = (char *)built.block + (count + OWN_ENTRIES) * sizeof(char *);
    count = copy_vector(guest, built.vector, preload.changed, arena || strip);
    if (preload.changed) {
        built.vector[count++] = at;
        at = preload_put(at, &preload);
    }
    if (preload.changed && preload.runtime[0]) {
        built.vector[count++] = at;
        at = preload_put_runtime(at, &preload);
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

bool environment_strip(char *const *guest, struct environment *ret_environment)
{
    struct environment built = { (char **)(uintptr_t)guest, NULL, 0 };
    const char *theirs = environment_preload(guest);
    size_t count = 0;
    char *at;

    *ret_environment = built;
    if (!theirs || atomic_load(&shim.state) == SHIM_BOOT) {
        return true;
    }
    while (guest[count]) {
        count++;
    }
    built.size = (count + 1) * sizeof(char *) + strlen(theirs) + OWN_ROOM;
    built.block = host_memory_private(built.size);
    if (!built.block) {
        return false;
    }
    built.vector = built.block;
    at = (char *)built.block + (count + 1) * sizeof(char *);
    count = copy_vector(guest, built.vector, true, false);
    if (preload_put_theirs(at, guest) != at) {
        built.vector[count++] = at;
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
