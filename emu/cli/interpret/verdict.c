/*
 * verdict.c - what `interpret` found first
 */
#include "interpret/verdict.h"

#include <ctype.h>
#include <stdio.h>

static struct verdict *listener;

void verdict_listen(struct verdict *receiver)
{
    listener = receiver;
}

void verdict_give(enum verdict_kind kind, uint32_t line, const char *call, const char *condition,
                  const char *result)
{
    if (!listener || listener->kind != VERDICT_NONE)
        return;
    listener->line = line;
    snprintf(listener->call, sizeof(listener->call), "%s", call);
    snprintf(listener->condition, sizeof(listener->condition), "%s", condition);
    snprintf(listener->result, sizeof(listener->result), "%s", result);
    listener->kind = kind;
}

/* Steps over a number (or an address, whose digits may be letters). */
static const char *skip_number(const char *text)
{
    while (isxdigit((unsigned char)*text) || *text == 'x')
        text++;
    return text;
}

static bool same_words(const char *one, const char *other)
{
    while (*one && *other) {
        bool number = isdigit((unsigned char)*one);

        if (number != (isdigit((unsigned char)*other) != 0))
            return false;
        if (number) {
            one = skip_number(one);
            other = skip_number(other);
        } else if (*one++ != *other++) {
            return false;
        }
    }
    return *one == *other;
}

bool verdict_same_kind(const struct verdict *one, const struct verdict *other)
{
    return one->kind == other->kind && same_words(one->call, other->call) &&
           same_words(one->condition, other->condition) && same_words(one->result, other->result);
}
