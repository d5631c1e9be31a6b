/*
 * shrink.c - fewer and simpler actions that still show a difference
 *
 * Removes ever smaller parts (delta debugging, Zeller 1999), then sets bytes of records to 0. The
 * finding must stay of its kind: the same call, the same thing that differs.
 */
#include "shrink.h"

#include "explained.h"

#include <stdlib.h>
#include <string.h>

#define ASKED_AGAIN 6 /* how often the kernel is asked whether its answer is always the same */
#define MAX_RUNS    1500

void finding_look(struct sides *sides, const struct sequence *sequence, struct finding *ret_finding)
{
    const struct log *kernel = sides_log(sides, SIDE_KERNEL);
    const struct log *emulator = sides_log(sides, SIDE_EMU);

    memset(ret_finding, 0, sizeof(*ret_finding));
    sides_run(sides, sequence, false);
    ret_finding->kernel = sides_end(sides, SIDE_KERNEL);
    ret_finding->emulator = sides_end(sides, SIDE_EMU);
    ret_finding->left = emulator->left;
    ret_finding->position = log_compare(kernel, emulator);
    if (ret_finding->position < kernel->count)
        ret_finding->expected = kernel->entries[ret_finding->position];
    if (ret_finding->position < emulator->count)
        ret_finding->actual = emulator->entries[ret_finding->position];
    ret_finding->explained = explained_find(kernel, emulator, ret_finding->position);
    if (ret_finding->kernel != SIDE_FINE || ret_finding->emulator != SIDE_FINE) {
        ret_finding->left = 0;
        ret_finding->position = UINT32_MAX;
    }
    ret_finding->found = ret_finding->position != UINT32_MAX || ret_finding->left != 0 ||
                         ret_finding->kernel != SIDE_FINE || ret_finding->emulator != SIDE_FINE;
}

void finding_confirm(struct sides *sides, const struct sequence *sequence,
                     struct finding *ret_finding)
{
    struct log *first = malloc(sizeof(*first));
    struct finding again;

    sides_renew(sides);
    sides_be_patient(sides, true);
    finding_look(sides, sequence, ret_finding);
    sides_be_patient(sides, false);
    if (!first || !ret_finding->found || ret_finding->position == UINT32_MAX) {
        free(first);
        return;
    }
    memcpy(first, sides_log(sides, SIDE_KERNEL), sizeof(*first));
    for (int i = 0; i < ASKED_AGAIN; i++) {
        finding_look(sides, sequence, &again);
        if (!again.found)
            ret_finding->legal = true;
        if (log_compare(first, sides_log(sides, SIDE_KERNEL)) != UINT32_MAX)
            ret_finding->unsteady = true;
    }
    free(first);
}

bool finding_same(const struct finding *a, const struct finding *b)
{
    if (a->found != b->found || a->explained != b->explained || a->kernel != b->kernel ||
        a->emulator != b->emulator || (a->left != 0) != (b->left != 0) ||
        (a->position == UINT32_MAX) != (b->position == UINT32_MAX))
        return false;
    if (a->position == UINT32_MAX)
        return true;
    if (a->expected.kind != b->expected.kind || a->actual.kind != b->actual.kind ||
        strcmp(a->expected.name, b->expected.name) != 0)
        return false;
    /* Errors are the same one; of two successes the numbers may change. */
    return (a->expected.value < 0 ? a->expected.value : 0) ==
               (b->expected.value < 0 ? b->expected.value : 0) &&
           (a->actual.value < 0 ? a->actual.value : 0) ==
               (b->actual.value < 0 ? b->actual.value : 0);
}

struct shrinking {
    struct sides *sides;
    const struct finding *finding;
    uint32_t runs;
};

static bool still_there(struct shrinking *shrinking, const struct sequence *sequence)
{
    struct finding finding;

    if (++shrinking->runs > MAX_RUNS)
        return false;
    if (shrinking->finding->left != 0)
        sides_renew(shrinking->sides);
    finding_look(shrinking->sides, sequence, &finding);
    return finding_same(&finding, shrinking->finding);
}

/* Tries to remove parts of `size` actions; true when something went. */
static bool remove_parts(struct shrinking *shrinking, struct sequence *sequence, uint32_t size)
{
    bool removed = false;
    uint32_t first = sequence_count(sequence);

    while (first > 0) {
        struct sequence shorter = *sequence;
        uint32_t count = first < size ? first : size;

        first -= count;
        sequence_remove(&shorter, first, count);
        if (still_there(shrinking, &shorter)) {
            *sequence = shorter;
            removed = true;
        }
    }
    return removed;
}

static void zero_bytes(struct shrinking *shrinking, struct sequence *sequence)
{
    for (uint32_t i = 1; i < sequence->size; i++) {
        struct sequence simpler = *sequence;

        if (sequence->bytes[i] == 0)
            continue;
        simpler.bytes[i] = 0;
        if (still_there(shrinking, &simpler))
            *sequence = simpler;
    }
}

void shrink(struct sides *sides, struct sequence *sequence, const struct finding *finding)
{
    struct shrinking shrinking = { sides, finding, 0 };
    bool removed = true;

    for (uint32_t size = sequence_count(sequence) / 2; size > 1; size /= 2)
        remove_parts(&shrinking, sequence, size);
    while (removed && shrinking.runs < MAX_RUNS)
        removed = remove_parts(&shrinking, sequence, 1);
    zero_bytes(&shrinking, sequence);
    remove_parts(&shrinking, sequence, 1);
}
