/*
 * ends.c - see ends.h
 */
#include "trace/ends.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace_format.h"

#define ENDS_MAX 65536u /* a run has a child or two that its supervisor waits for */

/* "PID STATUS NANOSECONDS\n", and nothing else. */
static bool parse(const char *line, struct trace_end *ret_end)
{
    int end = -1;

    return sscanf(line, "%" SCNd32 " %d %" SCNu64 "%n", &ret_end->pid, &ret_end->status,
                  &ret_end->ns, &end) == 3 &&
           strcmp(line + end, "\n") == 0;
}

static bool add(struct trace_ends *ends, const struct trace_end *end)
{
    struct trace_end *all;

    if (ends->count == ENDS_MAX)
        return false;
    all = realloc(ends->all, (ends->count + 1) * sizeof *all);
    if (all == NULL)
        return false;
    ends->all = all;
    ends->all[ends->count++] = *end;
    return true;
}

bool ends_read(const char *path, struct trace_ends *ret_ends, char *ret_why, size_t why_size)
{
    char name[PATH_MAX];
    char line[128];
    FILE *file;
    bool fine = true;

    *ret_ends = (struct trace_ends){ 0 };
    if ((size_t)snprintf(name, sizeof name, "%s/" TRACE_ENDS_NAME, path) >= sizeof name)
        return true;
    file = fopen(name, "re");
    if (file == NULL)
        return true; /* older than the file, or `path` is the log itself */
    while (fine && fgets(line, sizeof line, file) != NULL) {
        struct trace_end end;

        fine = parse(line, &end) && add(ret_ends, &end);
    }
    if (!fine)
        snprintf(ret_why, why_size, "%s:%zu: not \"PID STATUS NANOSECONDS\", or too many", name,
                 ret_ends->count + 1);
    fclose(file);
    return fine;
}

void ends_fini(struct trace_ends *ends)
{
    free(ends->all);
    *ends = (struct trace_ends){ 0 };
}
