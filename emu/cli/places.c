/*
 * places.c - see places.h
 *
 * The emulator knows where a call came from as a file's base name and an offset (it has no use for
 * debugging information, nor time to read it); so that is what it is given. PROG is known there by
 * the name it is started with.
 */
#include "places.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>

#include "run_program.h"
#include "waits/source.h"

/* NAME=SIZE@SITE[@FILE], cut. */
struct place {
    char head[64]; /* NAME=SIZE */
    char site[128];
    char file[PATH_MAX]; /* "": PROG's */
};

static bool cut(const char *text, struct place *ret_place)
{
    const char *sign = strchr(text, '@');
    const char *second = strchr(sign + 1, '@');
    const size_t site = second ? (size_t)(second - sign - 1) : strlen(sign + 1);

    if ((size_t)(sign - text) >= sizeof ret_place->head || site == 0 ||
        site >= sizeof ret_place->site || (second && strlen(second) > sizeof ret_place->file))
        return false;
    *ret_place = (struct place){ .head = "" };
    memcpy(ret_place->head, text, (size_t)(sign - text));
    memcpy(ret_place->site, sign + 1, site);
    strcpy(ret_place->file, second ? second + 1 : "");
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool resolve(struct run_options *options, const char *text, const char *program,
                    char *ret_message)
{
    struct source_range ranges[EMU_MAX_PLACES];
    struct place place;
    char path[PATH_MAX];
    const char *name = options->program[0];

    if (!cut(text, &place)) {
        snprintf(ret_message, RUN_OPTIONS_MESSAGE, "run: bad place in --%.200s", text);
        return false;
    }
    snprintf(path, sizeof path, "%s", program);
    if (place.file[0] != '\0') {
        const int error = run_program_find(place.file, path);

        if (error != 0 && error != EACCES) { /* a library needn't be executable */
            snprintf(ret_message, RUN_OPTIONS_MESSAGE, "run: --%.200s: %.100s: %s", text,
                     place.file, strerror(error));
            return false;
        }
        if (error == EACCES)
            strcpy(path, place.file);
        name = path;
    }
    const size_t count = source_ranges(path, place.site, ranges, EMU_MAX_PLACES);
    if (count == 0) {
        snprintf(ret_message, RUN_OPTIONS_MESSAGE,
                 "run: --%.200s: %.100s has no code of %s that is known", text, base_name(path),
                 place.site);
        return false;
    }
    for (size_t i = 0; i < count && i < EMU_MAX_PLACES; i++) {
        char word[PATH_MAX];

        snprintf(word, sizeof word, "%s@%.*s+0x%" PRIx64 "-0x%" PRIx64, place.head,
                 EMU_PLACE_NAME - 1, base_name(name), ranges[i].from, ranges[i].to);
        const int error = emu_options_parse(word, &options->emu);
        if (error != 0) {
            snprintf(ret_message, RUN_OPTIONS_MESSAGE,
                     error == -ENOSPC ? "run: --%.200s: more than %d pieces of code in all"
                                      : "run: bad value in --%.200s",
                     text, EMU_MAX_PLACES);
            return false;
        }
    }
    return true;
}

bool places_resolve(struct run_options *options, const char *program, char *ret_message)
{
    for (size_t i = 0; i < options->place_count; i++) {
        if (!resolve(options, options->places[i], program, ret_message))
            return false;
    }
    return true;
}
