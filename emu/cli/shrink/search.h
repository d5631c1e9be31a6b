/*
 * search.h - which units of a text can be left out so that its difference stays
 */
#ifndef SHRINK_SEARCH_H
#define SHRINK_SEARCH_H

#include "shrink/text.h"
#include "shrink/trial.h"

struct search {
    const struct text *text;
    struct trial *trial;
    struct verdict wanted; /* the difference that must stay */
    bool exact;            /* its numbers too */
    uint32_t last;         /* the unit that differs, or TEXT_NO_UNIT */
    bool *kept;            /* of each unit */
    bool *scratch;
    uint32_t kept_count;
    uint32_t said; /* how many when progress was last shown */
    uint32_t trials;
    uint32_t most_trials;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC */
    bool quiet;           /* no progress on stderr */
};

/*
 * Leaves out as much as it can. Requires: `kept` is all true and shows the difference.
 *
 * Returns true; false when the trials or the time ran out before the last unit was tried: what is
 * kept shows the difference all the same.
 */
bool search_run(struct search *search);

#endif
