/*
 * repeat.c - see repeat.h
 */
#include "repeat.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SEEDS 100000 /* that are chosen from */

uint64_t repeat_choose_seed(const struct emu_options *options)
{
    uint32_t chosen;

    if (!emu_options_draw(options) || options->seed != 0)
        return options->seed;
    if (getrandom(&chosen, sizeof chosen, GRND_NONBLOCK) != sizeof chosen)
        chosen = (uint32_t)time(NULL); /* early in a machine's life */
    return 1 + chosen % SEEDS;
}

/* As a shell takes it. */
static void print_word(const char *word, FILE *file)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./,:@%^";

    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fprintf(file, " %s", word);
        return;
    }
    fputs(" '", file);
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            fputs("'\\''", file);
        else
            fputc(*word, file);
    }
    fputc('\'', file);
}

void repeat_print(char *const *argv, const struct run_options *options, FILE *file)
{
    const char *environment = getenv("SOCKRIG_OPTIONS");
    bool seeded = !emu_options_draw(&options->emu);

    for (int i = 1; argv[i] != NULL && &argv[i] < options->program; i++)
        seeded |= strncmp(argv[i], "--seed", strlen("--seed")) == 0;
    fputs("  repeat:", file);
    if (environment != NULL && environment[0] != '\0') {
        fputs(" SOCKRIG_OPTIONS=", file);
        print_word(environment, file);
    }
    fputs(" sockrig run", file);
    if (!seeded)
        fprintf(file, " --seed %" PRIu64, options->emu.seed);
    for (int i = 1; argv[i] != NULL; i++)
        print_word(argv[i], file);
    fputc('\n', file);
}
