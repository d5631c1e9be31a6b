/*
 * actions.h - what a sequence can do: a function each, chosen by weight
 */
#ifndef FUZZ_ACTIONS_H
#define FUZZ_ACTIONS_H

#include "build.h"

/*
 * Columns of actions.def: the weight of an action in each profile. A profile is the first byte of a
 * sequence, modulo their number.
 */
enum profile {
    PROFILE_ALL,
    PROFILE_DATA,
    PROFILE_CALLS,
    PROFILE_NAMES,
    PROFILE_SETS,
    PROFILE_TASKS,
    PROFILE_SPLICES,
    PROFILE_RIGHTS,
    PROFILE_COUNT,
};

enum action {
#define ACTION(name, ...) ACTION_##name,
#include "actions.def"
#undef ACTION
    ACTION_COUNT,
};

/* The functions of actions that are calls; those of fork and its kin (runner.c) are NULL. */
typedef void action_function(struct builder *b);
action_function *action_get(enum action action);

enum action action_choose(struct cursor *cursor, uint8_t profile);

#define ACTION(name, ...) action_function action_##name;
#define ACTION_WORLD(name, ...)
#include "actions.def"
#undef ACTION
#undef ACTION_WORLD

#endif
