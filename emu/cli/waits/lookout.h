/*
 * lookout.h - when the supervisor looks for deadlocks, and what it has found
 *
 * A task that begins a long sleep rings (emu_session_watch_sleeps()); a while later everything is
 * looked at twice. Who slept from one look to the other, and can be woken by such tasks alone, is
 * in a deadlock: that is proven. When it is none, but somebody has run between the looks, there is
 * another pair of looks later; when nobody has, nothing more is to be seen until the next ring. So
 * an idle session costs nothing.
 */
#ifndef CLI_LOOKOUT_H
#define CLI_LOOKOUT_H

#include "waits/waits.h"

struct lookout {
    uint64_t next_ns;    /* of the next look, CLOCK_MONOTONIC; 0: none is due */
    uint64_t cost_ns;    /* of the last look */
    uint64_t hang_ns;    /* --hang-timeout; 0: none */
    uint64_t still_ns;   /* since when nothing has moved; 0: something has */
    bool told;           /* a deadlock was: nothing more is looked for */
    struct waits before; /* the first look of a pair; or the last one, while nothing moves */
};

/* To be called first; `hang_ns` stands, the rest is 0. */
void lookout_begin(struct lookout *lookout, uint64_t now_ns);

/* Somebody has begun a long sleep. */
void lookout_rung(struct lookout *lookout, uint64_t now_ns);

/*
 * Looks at `pids` (count). Requires: next_ns has come; the arena is attached.
 *
 * Returns WAITS_NONE, WAITS_DEADLOCK or WAITS_HANG.
 */
enum waits_cause lookout_look(struct lookout *lookout, uint64_t now_ns, const int32_t *pids,
                              size_t count);

/*
 * After WAITS_DEADLOCK: whether those of the last look are stuck still, in a look that isn't brief;
 * says who. If they aren't, another pair of looks is due.
 */
bool lookout_confirm(struct lookout *lookout, struct waits *waits);

void lookout_fini(struct lookout *lookout);

#endif
