/*
 * preload.c - see preload.h
 */
#include "preload.h"

#include "shim.h"

#include <string.h>

#define LIBRARY_NAME "libsockrig.so"
#define SEPARATORS   ": " /* ld.so(8) */

static const char *base_name(const char *name, size_t *size)
{
    for (size_t i = *size; i > 0; i--) {
        if (name[i - 1] == '/') {
            *size -= i;
            return name + i;
        }
    }
    return name;
}

/* True when one file of the list has this name, in whatever folder. */
static bool lists(const char *list, const char *wanted)
{
    while (*list) {
        size_t size = strcspn(list, SEPARATORS);
        size_t length = size;
        const char *name = base_name(list, &length);

        if (length == strlen(wanted) && memcmp(name, wanted, length) == 0) {
            return true;
        }
        list += size;
        list += *list ? 1 : 0;
    }
    return false;
}

/* Steps over `name` where the list begins with it. */
static const char *without(const char *list, const char *name)
{
    size_t size = strlen(name);

    if (strncmp(list, name, size) != 0 || (list[size] && !strchr(SEPARATORS, list[size]))) {
        return list;
    }
    return list + size + strspn(list + size, SEPARATORS);
}

void preload_plan(const char *path, char *const *guest, struct preload *ret_preload)
{
    const char *list = environment_preload(guest);
    const char *before = environment_get(guest, "SOCKRIG_RUNTIME");
    struct preload plan = { .theirs = list ? list : "" };

    if (!path && before && strlen(before) < sizeof plan.runtime) {
        strcpy(plan.runtime, before);
    }
    if (before) {
        plan.theirs = without(plan.theirs, before);
    }
    if (path && sanitizer_of_program(path, plan.runtime) && lists(plan.theirs, plan.runtime)) {
        plan.runtime[0] = 0; /* where the guest wants it */
    }
    plan.listed = lists(plan.theirs, LIBRARY_NAME);
    plan.changed = !plan.listed || strcmp(plan.runtime, before ? before : "") != 0;
    *ret_preload = plan;
}

static char *put(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    at[size] = 0;
    return at + size;
}

/* How much of the list is sanitizers' libraries that stand first. */
static size_t sanitizers_first(const char *list)
{
    size_t end = 0;
    size_t size = strcspn(list, SEPARATORS);

    while (size > 0 && sanitizer_is_library(list + end, size)) {
        end += size + strspn(list + end + size, SEPARATORS);
        size = strcspn(list + end, SEPARATORS);
    }
    return end;
}

char *preload_put(char *at, const struct preload *preload)
{
    const char *theirs = preload->theirs;
    size_t first = preload->listed ? 0 : sanitizers_first(theirs);

    at = put(at, "LD_PRELOAD=", strlen("LD_PRELOAD="));
    if (preload->runtime[0]) {
        at = put(put(at, preload->runtime, strlen(preload->runtime)), ":", 1);
    }
    if (!preload->listed) {
        const char *library = environment_library();

        at = put(at, theirs, first);
        if (first > 0 && !strchr(SEPARATORS, theirs[first - 1])) {
            at = put(at, ":", 1);
        }
        at = put(at, library, strlen(library));
        theirs += first;
        at = put(at, ":", *theirs ? 1 : 0);
    }
    return put(at, theirs, strlen(theirs)) + 1;
}

char *preload_put_runtime(char *at, const struct preload *preload)
{
    at = put(at, "SOCKRIG_RUNTIME=", strlen("SOCKRIG_RUNTIME="));
    return put(at, preload->runtime, strlen(preload->runtime)) + 1;
}

char *preload_put_theirs(char *at, char *const *guest)
{
    const char *list = environment_preload(guest);
    const char *runtime = environment_get(guest, "SOCKRIG_RUNTIME");
    char *end = put(at, "LD_PRELOAD=", strlen("LD_PRELOAD="));
    bool any = false;

    list = list && runtime ? without(list, runtime) : list;
    while (list && *list) {
        size_t size = strcspn(list, SEPARATORS);
        size_t length = size;
        const char *name = base_name(list, &length);

        if (size > 0 &&
            !(length == strlen(LIBRARY_NAME) && memcmp(name, LIBRARY_NAME, length) == 0)) {
            end = put(put(end, ":", any), list, size);
            any = true;
        }
        list += size + strspn(list + size, SEPARATORS);
    }
    return any ? end + 1 : at;
}
