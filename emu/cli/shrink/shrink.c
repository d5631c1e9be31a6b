/*
 * shrink.c - the command `sockrig shrink`
 *
 * The file is interpreted once; then it is interpreted without some of its calls, again and again,
 * for as long as the same difference comes out (verdict.h).
 */
#include "shrink/shrink.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shrink/search.h"
#include "shrink/text.h"
#include "shrink/trial.h"

#define EXIT_SHRUNK     0
#define EXIT_NOTHING    1
#define EXIT_UNREADABLE 125

#define DEFAULT_LIMIT_S  300
#define MOST_LIMIT_S     86400
#define MOST_TRIALS      20000
#define TRIAL_FLOOR_NS   1000000000u /* a trial may take this long, however quick the first was */
#define TRIAL_TIMES      4           /* ... and so many times as long as the first */
#define NANOS_PER_SECOND 1000000000u

static const char help[] =
    "usage: sockrig shrink FILE [-o OUT] [--on emu|kernel|both] [--limit SECONDS] [-q]\n"
    "\n"
    "Removes calls from a script or a log for as long as `sockrig interpret FILE` still finds the\n"
    "same difference: the same call, the same that differs, the same that comes instead. Prints\n"
    "what is left.\n"
    "\n"
    "  -o, --output OUT      where to write it [standard output]\n"
    "  --on emu|kernel|both  as for interpret [emu, and the kernel's answer must stay too]\n"
    "  --limit SECONDS       stop then, with what is left [300]\n"
    "  -q, --quiet           no progress on standard error\n"
    "\n"
    "Exit code: 0 shrunk, 1 nothing differs, so there is nothing to shrink, 125 the file can't be\n"
    "read.\n";

struct options {
    const char *path;
    const char *output;
    const char *on;
    uint64_t limit_ns;
    bool quiet;
};

static int bad_usage(const char *message)
{
    fprintf(stderr, "sockrig shrink: %s\nTry: sockrig shrink --help\n", message);
    return EXIT_UNREADABLE;
}

static bool is_side(const char *word)
{
    return strcmp(word, "emu") == 0 || strcmp(word, "kernel") == 0 || strcmp(word, "both") == 0;
}

/* Returns 0: go on; 1: all is done; 125 after a message. */
static int parse_options(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {
        { "output", required_argument, NULL, 'o' }, { "on", required_argument, NULL, 'n' },
        { "limit", required_argument, NULL, 'l' },  { "quiet", no_argument, NULL, 'q' },
        { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
    };
    unsigned long seconds;
    char *end;
    int c;

    while ((c = getopt_long(argc, argv, "o:qh", longs, NULL)) != -1) {
        switch (c) {
        case 'o': options->output = optarg; break;
        case 'n':
            if (!is_side(optarg))
                return bad_usage("--on wants emu, kernel or both");
            options->on = optarg;
            break;
        case 'l':
            seconds = strtoul(optarg, &end, 10);
            if (*end || seconds == 0 || seconds > MOST_LIMIT_S)
                return bad_usage("--limit wants seconds, at most a day's");
            options->limit_ns = seconds * NANOS_PER_SECOND;
            break;
        case 'q': options->quiet = true; break;
        case 'h': fputs(help, stdout); return 1;
        default: return bad_usage("unknown option");
        }
    }
    if (optind + 1 != argc)
        return bad_usage(optind == argc ? "no file is named" : "one file at a time");
    options->path = argv[optind];
    optind = 0; /* interpret reads options too */
    return 0;
}

static uint64_t deadline(uint64_t limit_ns)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NANOS_PER_SECOND + (uint64_t)now.tv_nsec + limit_ns;
}

static int print_result(const struct options *options, const struct search *search)
{
    FILE *file = options->output ? fopen(options->output, "we") : stdout;
    int error = file ? text_write(search->text, search->kept, file) : -errno;

    if (file && file != stdout && fclose(file) != 0)
        error = -errno;
    if (error != 0) {
        fprintf(stderr, "sockrig shrink: %s: %s\n",
                options->output ? options->output : "standard output", strerror(-error));
        return EXIT_UNREADABLE;
    }
    return EXIT_SHRUNK;
}

/* Interprets the file as it is, on `on`. Returns EXIT_SHRUNK when it shows a difference. */
static int try_file(const struct options *options, struct trial *trial, const char *on, bool loud)
{
    enum trial_end end;

    trial->on = on;
    end = trial_run(trial, options->path, loud);
    if (end == TRIAL_DIFFERS)
        return EXIT_SHRUNK;
    if (end == TRIAL_TIMED_OUT && loud)
        fprintf(stderr, "sockrig shrink: %s: interpret comes to no end\n", options->path);
    if (end == TRIAL_SAME && loud)
        fprintf(stderr, "sockrig shrink: %s: nothing differs, so there is nothing to shrink\n",
                options->path);
    return end == TRIAL_SAME ? EXIT_NOTHING : EXIT_UNREADABLE;
}

/*
 * Learns what must stay. Without --on: the emulator's difference, and with it what the kernel does
 * on that line where it can be asked: else removing a write would do for "the read gets less".
 */
static int first_trials(const struct options *options, struct search *search)
{
    struct trial *trial = search->trial;
    const char *on = options->on ? options->on : "emu";
    int code = try_file(options, trial, on, true);

    if (code != EXIT_SHRUNK)
        return code;
    search->wanted = *trial->verdict;
    if (!options->on && try_file(options, trial, "both", false) == EXIT_SHRUNK &&
        trial->verdict->line == search->wanted.line) {
        on = "both";
        search->wanted = *trial->verdict;
    }
    code = try_file(options, trial, on, false);
    search->exact = code == EXIT_SHRUNK &&
                    strcmp(search->wanted.result, trial->verdict->result) == 0 &&
                    strcmp(search->wanted.condition, trial->verdict->condition) == 0;
    if (code == EXIT_SHRUNK)
        search->wanted = *trial->verdict;
    trial->limit_ns = trial->took_ns * TRIAL_TIMES + TRIAL_FLOOR_NS;
    return EXIT_SHRUNK;
}

static int shrink_text(const struct options *options, struct search *search)
{
    bool complete;
    int code = first_trials(options, search);

    if (code != EXIT_SHRUNK)
        return code;
    if (search->wanted.line > 0 && search->wanted.line <= search->text->line_count)
        search->last = search->text->lines[search->wanted.line - 1].unit;
    for (uint32_t i = 0; i < search->text->unit_count; i++)
        search->kept[i] = true;
    search->kept_count = search->text->unit_count;
    if (!options->quiet)
        fprintf(stderr, "sockrig shrink: %u calls; what must stay: %s: %s; %s\n",
                search->kept_count, search->wanted.call, search->wanted.condition,
                search->wanted.result);
    complete = search_run(search);
    if (!options->quiet)
        fprintf(stderr, "sockrig shrink: %u calls left after %u trials%s\n", search->kept_count,
                search->trials, complete ? "" : "; stopped before all was tried");
    return print_result(options, search);
}

int shrink_main(int argc, char **argv)
{
    struct options options = { .limit_ns = DEFAULT_LIMIT_S * (uint64_t)NANOS_PER_SECOND };
    struct search search = { .most_trials = MOST_TRIALS, .last = TEXT_NO_UNIT };
    struct trial trial;
    struct text text;
    int code = parse_options(argc, argv, &options);

    if (code != 0)
        return code == 1 ? 0 : code;
    if (text_read(options.path, &text) != 0)
        return EXIT_UNREADABLE;
    code = -trial_init(&trial, options.on);
    search.text = &text;
    search.trial = &trial;
    search.quiet = options.quiet;
    search.deadline_ns = deadline(options.limit_ns);
    search.kept = calloc(text.unit_count + 1, sizeof(bool));
    search.scratch = calloc(text.unit_count + 1, sizeof(bool));
    if (code != 0 || !search.kept || !search.scratch) {
        fprintf(stderr, "sockrig shrink: %s\n", strerror(code != 0 ? code : ENOMEM));
        code = EXIT_UNREADABLE;
    } else {
        code = shrink_text(&options, &search);
        trial_fini(&trial);
    }
    free(search.kept);
    free(search.scratch);
    text_destroy(&text);
    return code;
}
