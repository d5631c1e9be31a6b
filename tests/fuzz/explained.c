/*
 * explained.c - differences that are known, each with its reason
 */
#include "explained.h"

#include <stdbool.h>
#include <string.h>

static bool is_send(const char *call)
{
    static const char *const sends[] = { "write",   "writev",   "pwritev2", "send",    "sendto",
                                         "sendmsg", "sendmmsg", "splice",   "sendfile" };

    for (size_t i = 0; i < sizeof(sends) / sizeof(sends[0]); i++) {
        if (strcmp(call, sends[i]) == 0)
            return true;
    }
    return false;
}

/* The differing entry is of a send that has just been interrupted, its result or what it wrote. */
static bool interrupted_send(const struct log *kernel, uint32_t position)
{
    uint8_t task = kernel->entries[position].task;
    uint32_t at = position;

    while (at > 0 && kernel->entries[at].kind != ENTRY_RESULT)
        at--;
    if (!is_send(kernel->entries[at].name) || kernel->entries[at].task != task || at == 0)
        return false;
    return kernel->entries[at - 1].kind == ENTRY_WORLD && kernel->entries[at - 1].value == task &&
           strcmp(kernel->entries[at - 1].name, "fork") != 0;
}

struct explanation {
    bool (*holds)(const struct log *kernel, uint32_t position);
    const char *name;
    const char *reason;
    uint64_t count;
};

static struct explanation explanations[] = {
#define EXPLAINED(condition, reason) { condition, #condition, reason, 0 },
#include "explained.def"
#undef EXPLAINED
};

#define COUNT (sizeof(explanations) / sizeof(explanations[0]))
_Static_assert(COUNT <= 10, "at most ten differences are accepted");

int explained_find(const struct log *kernel, const struct log *emulator, uint32_t position)
{
    if (position >= kernel->count || position >= emulator->count)
        return -1;
    for (uint32_t i = 0; i < COUNT; i++) {
        if (explanations[i].holds(kernel, position))
            return (int)i;
    }
    return -1;
}

void explained_count(int number)
{
    explanations[number].count++;
}

void explained_print(FILE *file)
{
    for (uint32_t i = 0; i < COUNT; i++)
        fprintf(file, "explained %llu times: %s (%s)\n", (unsigned long long)explanations[i].count,
                explanations[i].reason, explanations[i].name);
}
