/*
 * outcomes.c - which triples (call, flag or option, errno) a campaign has reached
 */
#include "outcomes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define ERRORS_MAX 16

enum test { TEST_ANY, TEST_HAS, TEST_IS };

struct row {
    const char *call;
    const char *option;
    enum test test;
    uint8_t place;
    uint64_t value;
    int count;
    int errors[ERRORS_MAX];
};

#define ANY              TEST_ANY, 0, 0
#define HAS(place, bits) TEST_HAS, place, (uint64_t)(bits)
#define IS(place, value) TEST_IS, place, (uint64_t)(value)

/* TEST has become three arguments by then. */
#define OUTCOMES(call, option, ...) OUTCOMES_EXPANDED(call, option, __VA_ARGS__)
#define OUTCOMES_EXPANDED(call, option, test, place, value, ...)                                 \
    { #call,          #option, test, place, value, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), \
      { __VA_ARGS__ } },

static const struct row rows[] = {
#include "outcomes.def"
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))
_Static_assert(ROW_COUNT *ERRORS_MAX <= OUTCOMES_BYTES, "OUTCOMES_BYTES is too small");

static bool has_option(const struct row *row, const uint64_t *words)
{
    uint32_t value = (uint32_t)row->value;
    uint32_t word = (uint32_t)words[row->place];

    switch (row->test) {
    case TEST_HAS: return (word & value) == value;
    case TEST_IS: return word == value;
    default: return true;
    }
}

static void note_unlisted(struct outcomes *outcomes, const char *call, const uint64_t *words,
                          int error)
{
    for (uint32_t i = 0; i < outcomes->unlisted; i++) {
        if (outcomes->unlisted_first[i].error == error &&
            strcmp(outcomes->unlisted_first[i].call, call) == 0)
            return;
    }
    if (outcomes->unlisted ==
        sizeof(outcomes->unlisted_first) / sizeof(outcomes->unlisted_first[0]))
        return;
    strncpy(outcomes->unlisted_first[outcomes->unlisted].call, call, 15);
    outcomes->unlisted_first[outcomes->unlisted].error = error;
    memcpy(outcomes->unlisted_first[outcomes->unlisted].words, words, 6 * sizeof(uint64_t));
    outcomes->unlisted++;
}

void outcomes_note(struct outcomes *outcomes, const char *call, const uint64_t *words,
                   int64_t result)
{
    int error = result < 0 ? (int)-result : 0;
    bool known = false;
    bool listed = false;

    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &rows[i];

        if (strcmp(row->call, call) != 0)
            continue;
        known = true;
        if (!has_option(row, words))
            continue;
        for (int j = 0; j < row->count; j++) {
            if (row->errors[j] == error) {
                outcomes->reached[i * ERRORS_MAX + (uint32_t)j] = 1;
                listed = true;
            }
        }
    }
    if (known && !listed)
        note_unlisted(outcomes, call, words, error);
}

void outcomes_count(const struct outcomes *outcomes, uint32_t *ret_listed, uint32_t *ret_reached)
{
    *ret_listed = *ret_reached = 0;
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        for (int j = 0; j < rows[i].count; j++) {
            *ret_listed += 1;
            *ret_reached += outcomes->reached[i * ERRORS_MAX + (uint32_t)j];
        }
    }
}

static const char *name_of(int error)
{
    return error == 0 ? "success" : strerrorname_np(error);
}

void outcomes_print_missing(const struct outcomes *outcomes, FILE *file)
{
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        for (int j = 0; j < rows[i].count; j++) {
            if (!outcomes->reached[i * ERRORS_MAX + (uint32_t)j])
                fprintf(file, "  not reached: %s %s %s\n", rows[i].call, rows[i].option,
                        name_of(rows[i].errors[j]));
        }
    }
    for (uint32_t i = 0; i < outcomes->unlisted; i++)
        fprintf(file, "  not listed: %s %s\n", outcomes->unlisted_first[i].call,
                name_of(outcomes->unlisted_first[i].error));
}
