/*
 * lookout.c - see lookout.h
 */
#include "waits/lookout.h"

#include <time.h>

#include "waits/stuck.h"

#define FIRST_NS  100000000ull /* after the ring: most sleeps are over by then */
#define SECOND_NS 100000000ull /* between the two looks of a pair */
#define AGAIN_NS  400000000ull /* while somebody runs */
#define SHARE     20           /* looks take no more than a twentieth of the time */

static uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void lookout_begin(struct lookout *lookout, uint64_t now_ns)
{
    if (lookout->hang_ns != 0) /* calls that the kernel serves ring nobody */
        lookout->next_ns = now_ns + FIRST_NS;
}

void lookout_rung(struct lookout *lookout, uint64_t now_ns)
{
    const uint64_t due = now_ns + FIRST_NS;

    if (lookout->told)
        return;
    if (lookout->next_ns == 0 || lookout->still_ns != 0)
        lookout->next_ns = due;
    lookout->still_ns = 0;
}

/* Whether nobody has run between the two looks, and nobody has come or gone. */
static bool is_still(const struct waits *before, const struct waits *now)
{
    if (before->count != now->count)
        return false;
    for (size_t i = 0; i < now->count; i++) {
        const struct waits_task *left = &before->tasks[i];
        const struct waits_task *right = &now->tasks[i];

        if (left->tid != right->tid || left->state != right->state ||
            left->switches != right->switches || right->state == WAITS_RUNS)
            return false;
    }
    return true;
}

static uint64_t later(const struct lookout *lookout, uint64_t now_ns, uint64_t pause_ns)
{
    const uint64_t fair_ns = lookout->cost_ns * SHARE;

    return now_ns + (fair_ns > pause_ns ? fair_ns : pause_ns);
}

static void keep(struct lookout *lookout, const struct waits *waits)
{
    waits_fini(&lookout->before);
    lookout->before = *waits;
}

/* What is due after a pair of looks that has found nothing. */
static enum waits_cause go_on(struct lookout *lookout, uint64_t now_ns, bool still)
{
    lookout->next_ns = 0;
    if (!still) {
        lookout->still_ns = 0;
        lookout->next_ns = later(lookout, now_ns, AGAIN_NS);
        return WAITS_NONE;
    }
    if (lookout->still_ns == 0)
        lookout->still_ns = now_ns;
    if (lookout->hang_ns == 0)
        return WAITS_NONE;
    if (now_ns - lookout->still_ns >= lookout->hang_ns) {
        lookout->still_ns = 0;
        lookout->hang_ns = 0; /* said once */
        return WAITS_HANG;
    }
    lookout->next_ns = lookout->still_ns + lookout->hang_ns;
    return WAITS_NONE;
}

enum waits_cause lookout_look(struct lookout *lookout, uint64_t now_ns, const int32_t *pids,
                              size_t count)
{
    const bool second = lookout->before.count > 0;
    struct waits waits = { .brief = true };
    enum waits_cause found = WAITS_NONE;
    bool still;

    waits_collect(&waits, pids, count);
    lookout->cost_ns = clock_ns() - now_ns;
    if (!second) {
        keep(lookout, &waits);
        lookout->next_ns = later(lookout, now_ns, SECOND_NS);
        return WAITS_NONE;
    }
    still = is_still(&lookout->before, &waits);
    if (stuck_find(&waits, &lookout->before) > 0) {
        found = WAITS_DEADLOCK;
        lookout->next_ns = 0;
    } else {
        found = go_on(lookout, now_ns, still);
    }
    keep(lookout, &waits);
    if (found == WAITS_NONE && !still) /* another pair */
        waits_fini(&lookout->before);
    return found;
}

bool lookout_confirm(struct lookout *lookout, struct waits *waits)
{
    lookout->told = stuck_find(waits, &lookout->before) > 0;
    if (!lookout->told) /* somebody came from outside */
        lookout_rung(lookout, clock_ns());
    return lookout->told;
}

void lookout_fini(struct lookout *lookout)
{
    waits_fini(&lookout->before);
}
