/*
 * search.c - which units of a text can be left out so that its difference stays
 *
 * First what stands behind the difference, then all units of one word (a task, a script's name) at
 * a time, then delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
 * Input", 2002): ever smaller chunks, the last first, because what uses a thing stands behind what
 * makes it. It ends when no single unit can be left out.
 */
#include "shrink/search.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORDS 1024 /* that are tried; others' units go one by one */

struct word {
    const char *start;
    size_t size;
    uint32_t uses; /* units that hold it */
    uint32_t last; /* the last of them */
};

struct words {
    struct word list[MAX_WORDS];
    size_t count;
    uint32_t unit; /* whose line is being looked at */
};

static bool out_of_time(const struct search *search)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return search->trials >= search->most_trials ||
           (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec >= search->deadline_ns;
}

/* Progress, whenever a fifth has gone. */
static void say(struct search *search)
{
    if (search->quiet || search->kept_count > search->said - search->said / 5)
        return;
    search->said = search->kept_count;
    fprintf(stderr, "sockrig shrink: %u calls after %u trials\n", search->kept_count,
            search->trials);
}

static uint32_t count_kept(const struct search *search, const bool *kept)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < search->text->unit_count; i++)
        count += kept[i];
    return count;
}

/* True when the difference that came out is the wanted one: the same line, the same outcome. */
static bool is_wanted(const struct search *search)
{
    const struct verdict *verdict = search->trial->verdict;
    const struct verdict *wanted = &search->wanted;

    if (search->last != text_unit_at(search->text, search->scratch, verdict->line))
        return false;
    if (!verdict_same_kind(verdict, wanted))
        return false;
    return !search->exact || (strcmp(verdict->condition, wanted->condition) == 0 &&
                              strcmp(verdict->result, wanted->result) == 0);
}

/* Tries what `scratch` keeps; takes it over when the difference stays. */
static bool try_scratch(struct search *search)
{
    struct trial *trial = search->trial;
    uint32_t count = count_kept(search, search->scratch);
    FILE *file;
    int error;

    if (count == search->kept_count || out_of_time(search))
        return false;
    file = fdopen(dup(trial->file), "w");
    if (!file)
        return false;
    error = ftruncate(trial->file, 0);
    rewind(file);
    error |= text_write(search->text, search->scratch, file);
    fclose(file);
    search->trials++;
    if (error != 0 || trial_run(trial, NULL, false) != TRIAL_DIFFERS || !is_wanted(search))
        return false;
    memcpy(search->kept, search->scratch, search->text->unit_count * sizeof(bool));
    search->kept_count = count;
    return true;
}

static void scratch_begin(struct search *search)
{
    memcpy(search->scratch, search->kept, search->text->unit_count * sizeof(bool));
}

/* What follows the difference has no part in it. */
static void drop_behind(struct search *search)
{
    if (search->last == TEXT_NO_UNIT)
        return;
    scratch_begin(search);
    for (uint32_t i = search->last + 1; i < search->text->unit_count; i++)
        search->scratch[i] = false;
    if (try_scratch(search))
        say(search);
}

static void note_word(void *context, const char *start, size_t size)
{
    struct words *words = context;
    struct word *word = NULL;

    for (size_t i = 0; i < words->count && !word; i++) {
        if (words->list[i].size == size && memcmp(words->list[i].start, start, size) == 0)
            word = &words->list[i];
    }
    if (!word) {
        if (words->count == MAX_WORDS)
            return;
        word = &words->list[words->count++];
        *word = (struct word){ start, size, 0, TEXT_NO_UNIT };
    }
    word->uses += word->last != words->unit;
    word->last = words->unit;
}

static int by_uses(const void *one, const void *other)
{
    const struct word *a = one;
    const struct word *b = other;

    return a->uses < b->uses ? 1 : a->uses > b->uses ? -1 : 0;
}

struct drop {
    struct search *search;
    const struct word *word;
    uint32_t unit;
};

static void drop_when_same(void *context, const char *start, size_t size)
{
    struct drop *drop = context;

    if (drop->word->size == size && memcmp(drop->word->start, start, size) == 0)
        drop->search->scratch[drop->unit] = false;
}

/* All units that hold a word go together; the words of most units first. */
static void drop_words(struct search *search)
{
    const struct text *text = search->text;
    struct words *words = calloc(1, sizeof(*words));

    if (!words)
        return;
    for (uint32_t i = 0; i < text->line_count; i++) {
        words->unit = text->lines[i].unit;
        if (words->unit != TEXT_NO_UNIT && search->kept[words->unit])
            text_words(&text->lines[i], note_word, words);
    }
    qsort(words->list, words->count, sizeof(words->list[0]), by_uses);
    for (size_t i = 0; i < words->count && words->list[i].uses > 1; i++) {
        struct drop drop = { search, &words->list[i], 0 };

        scratch_begin(search);
        for (uint32_t j = 0; j < text->line_count; j++) {
            drop.unit = text->lines[j].unit;
            if (drop.unit != TEXT_NO_UNIT)
                text_words(&text->lines[j], drop_when_same, &drop);
        }
        if (try_scratch(search))
            say(search);
    }
    free(words);
}

/* Leaves out the kept units [from, to), counted among those that are kept. */
static void scratch_without(struct search *search, uint32_t from, uint32_t to)
{
    uint32_t index = 0;

    scratch_begin(search);
    for (uint32_t i = 0; i < search->text->unit_count; i++) {
        if (!search->kept[i])
            continue;
        if (index >= from && index < to)
            search->scratch[i] = false;
        index++;
    }
}

/* One pass with chunks of `size`. Returns true when something went. */
static bool drop_chunks(struct search *search, uint32_t size)
{
    uint32_t end = search->kept_count;
    bool dropped = false;

    while (end > 0 && !out_of_time(search)) {
        uint32_t start = end > size ? end - size : 0;

        scratch_without(search, start, end);
        if (try_scratch(search)) {
            dropped = true;
            say(search);
        }
        end = start; /* what went stood behind `start` */
    }
    return dropped;
}

bool search_run(struct search *search)
{
    uint32_t size;

    search->said = search->kept_count;
    drop_behind(search);
    drop_words(search);
    size = search->kept_count / 2;
    while (size > 0 && !out_of_time(search)) {
        bool dropped = drop_chunks(search, size);

        if (size > 1)
            size /= 2;
        else if (!dropped)
            return true;
    }
    return search->kept_count <= 1;
}
