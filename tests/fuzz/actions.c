/*
 * actions.c - which action comes next
 */
#include "actions.h"

static action_function *const functions[] = {
#define ACTION(name, ...)       action_##name,
#define ACTION_WORLD(name, ...) 0,
#include "actions.def"
#undef ACTION
#undef ACTION_WORLD
};

static const uint8_t weights[][PROFILE_COUNT] = {
#define ACTION(name, ...) { __VA_ARGS__ },
#include "actions.def"
#undef ACTION
};

action_function *action_get(enum action action)
{
    return functions[action];
}

enum action action_choose(struct cursor *cursor, uint8_t profile)
{
    uint32_t all = 0;
    uint32_t chosen;

    profile %= PROFILE_COUNT;
    for (uint32_t i = 0; i < ACTION_COUNT; i++)
        all += weights[i][profile];
    chosen = (uint32_t)cursor_byte(cursor) * all / 256;
    for (uint32_t i = 0; i < ACTION_COUNT; i++) {
        if (chosen < weights[i][profile])
            return (enum action)i;
        chosen -= weights[i][profile];
    }
    return ACTION_look;
}
