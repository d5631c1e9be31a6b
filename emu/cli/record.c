/*
 * record.c - see record.h
 *
 * The log says all that its reader needs; meta.json is for people, and for who looks through a
 * folder of recordings.
 */
#include "record.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "failure.h"
#include "report.h"
#include "trace_format.h"

static void print_string(FILE *file, const char *text)
{
    report_print_json_string(file, text, strlen(text));
}

/* Words up to `end`, or up to a NULL. */
static void print_words(FILE *file, char *const *words, char *const *end)
{
    fputc('[', file);
    for (char *const *word = words; word != end && *word != NULL; word++) {
        if (word != words)
            fputs(", ", file);
        print_string(file, *word);
    }
    fputc(']', file);
}

static void print_meta(FILE *file, const struct run_options *options, char *const *argv)
{
    char folder[PATH_MAX];
    const char *environment = getenv("SOCKRIG_OPTIONS");
    const time_t now = time(NULL);
    struct emu_trace_state state;
    char text[32] = "";
    struct tm parts;

    emu_trace_look(&state);
    if (gmtime_r(&now, &parts) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    fprintf(file, "{\"version\": \"%s\", \"format\": %u,\n \"program\": ", SOCKRIG_VERSION,
            TRACE_VERSION);
    print_words(file, options->program, NULL);
    fputs(",\n \"options\": ", file);
    print_words(file, argv + 1, options->program);
    fputs(",\n \"environment\": ", file);
    print_string(file, environment != NULL ? environment : "");
    fputs(",\n \"folder\": ", file);
    print_string(file, getcwd(folder, sizeof folder) != NULL ? folder : "");
    fprintf(file, ",\n \"started\": \"%s\", \"supervisor\": %d,\n", text, (int)getpid());
    fprintf(file, " \"clock\": \"%s\", \"ticks\": %llu, \"monotonic_ns\": %llu, ",
            state.clock == TRACE_CLOCK_TSC ? "tsc" : "monotonic",
            (unsigned long long)state.start_ticks, (unsigned long long)state.start_monotonic_ns);
    fprintf(file, "\"record_bytes\": %u, \"record_size\": %llu}\n", state.data_limit,
            (unsigned long long)state.limit);
}

int record_write_meta(const struct run_options *options, char *const *argv)
{
    char path[PATH_MAX];
    FILE *file;
    bool whole;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", options->record, TRACE_META_NAME) >=
        sizeof path)
        return ENAMETOOLONG;
    file = fopen(path, "we");
    if (file == NULL)
        return errno;
    print_meta(file, options, argv);
    whole = fflush(file) == 0 && !ferror(file);
    const int error = whole ? 0 : errno;
    fclose(file);
    return error;
}

void record_write_end(const struct run_options *options, pid_t pid, int status)
{
    char path[PATH_MAX];
    struct timespec now;
    FILE *file;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", options->record, TRACE_ENDS_NAME) >=
        sizeof path)
        return;
    file = fopen(path, "ae");
    if (file == NULL)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(file, "%d %d %lld%09ld\n", (int)pid, status, (long long)now.tv_sec, now.tv_nsec);
    fclose(file);
}

void record_say(const struct run_options *options, bool full)
{
    struct emu_trace_state state;

    emu_trace_look(&state);
    if (!state.on)
        return;
    if (state.stopped == TRACE_STOPPED_SIZE)
        fail(0,
             "--record: %s is as large as it may be (%llu bytes; see --record-size): %llu calls "
             "and events aren't in it",
             options->record, (unsigned long long)state.limit, (unsigned long long)state.lost);
    else if (state.stopped == TRACE_STOPPED_SPACE)
        fail(0, "--record: %s: %s: %llu calls and events aren't in it", options->record,
             strerror(state.error), (unsigned long long)state.lost);
    else if (state.lost > 0)
        fail(0, "--record: %s: %llu calls and events aren't in it", options->record,
             (unsigned long long)state.lost);
    else if (full)
        fail(0, "recorded %u tasks into %s (%llu bytes)", state.tasks, options->record,
             (unsigned long long)state.bytes);
}
