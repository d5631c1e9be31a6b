/*
 * step.h - a step of a random list as text: its words, flags as names, results as errno says
 *
 * Whatever doesn't fit ends the program with 2: a list that can't be read must not look like one
 * that passed.
 */
#ifndef RANDOM_STEP_H
#define RANDOM_STEP_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { STEP_WORDS_MAX = 8, STEP_LINE_SIZE = 256 };

struct step {
    int count;
    char *words[STEP_WORDS_MAX];
};

struct step_flag {
    const char *name;
    uint32_t bits;
};

/* Each bit by itself: what is set must be told. */
static const struct step_flag step_flags[] = {
    { "IN", EPOLLIN },
    { "PRI", EPOLLPRI },
    { "OUT", EPOLLOUT },
    { "ERR", EPOLLERR },
    { "HUP", EPOLLHUP },
    { "NVAL", POLLNVAL },
    { "RDNORM", EPOLLRDNORM },
    { "RDBAND", EPOLLRDBAND },
    { "WRNORM", EPOLLWRNORM },
    { "WRBAND", EPOLLWRBAND },
    { "MSG", EPOLLMSG },
    { "RDHUP", EPOLLRDHUP },
    { "EXCLUSIVE", EPOLLEXCLUSIVE },
    { "WAKEUP", EPOLLWAKEUP },
    { "ONESHOT", EPOLLONESHOT },
    { "ET", (uint32_t)EPOLLET },
};

#define STEP_FLAG_COUNT (sizeof step_flags / sizeof step_flags[0])

_Noreturn static inline void give_up(const char *why, const char *what)
{
    fflush(stdout);
    fprintf(stderr, "epoll_random: %s: %s\n", why, what);
    exit(2);
}

static inline long number_of(const char *word)
{
    char *end;
    const long value = strtol(word, &end, 0);

    if (end == word || *end != '\0')
        give_up("not a number", word);
    return value;
}

static inline long argument(const struct step *step, int index)
{
    if (index >= step->count)
        give_up("an argument is missing", step->words[0]);
    return number_of(step->words[index]);
}

static inline uint32_t flags_of(const struct step *step, int index)
{
    char word[STEP_LINE_SIZE];
    char *rest = word;
    uint32_t bits = 0;

    if (index >= step->count)
        give_up("flags are missing", step->words[0]);
    snprintf(word, sizeof word, "%s", step->words[index]);
    for (char *name; (name = strsep(&rest, "|")) != NULL;) {
        size_t i = 0;

        while (i < STEP_FLAG_COUNT && strcmp(step_flags[i].name, name) != 0)
            i++;
        if (i < STEP_FLAG_COUNT)
            bits |= step_flags[i].bits;
        else if (strcmp(name, "0") != 0)
            give_up("no such flag", name);
    }
    return bits;
}

static inline void print_flags(uint32_t bits)
{
    const char *between = "";

    for (size_t i = 0; i < STEP_FLAG_COUNT; i++) {
        if ((bits & step_flags[i].bits) != 0) {
            printf("%s%s", between, step_flags[i].name);
            between = "|";
            bits &= ~step_flags[i].bits;
        }
    }
    if (bits != 0 || *between == '\0')
        printf("%s0x%x", between, bits);
}

static inline long print_result(long result)
{
    if (result < 0)
        printf(" = %s", strerrorname_np(errno));
    else
        printf(" = %ld", result);
    return result;
}

#endif
