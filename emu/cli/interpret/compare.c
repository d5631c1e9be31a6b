/*
 * compare.c - a script run on the kernel, on the emulator or on both, and what differs
 *
 * Each side has a forked process of its own, so that descriptors start at 3 and nothing is left
 * over. The two never run at the same time. Outcomes come back in shared memory, and stay there
 * when a side dies in the middle.
 */
#include "interpret/compare.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interpret/run.h"
#include "interpret/verdict.h"

#define MAX_SIDES       2
#define EXIT_UNREADABLE 125

struct side_run {
    enum side side;
    const char *name;
    struct outcome *outcomes; /* one a statement, and one for the set-up */
    int status;               /* of wait */
};

static size_t outcomes_size(const struct script *script)
{
    return (script->count + 1) * sizeof(struct outcome);
}

/* Runs the script on one side to its end. Returns 0, -1 after a message. */
static int run_side(const struct script *script, struct side_run *side_run, bool keep_going)
{
    pid_t child;

    side_run->outcomes = mmap(NULL, outcomes_size(script), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (side_run->outcomes == MAP_FAILED) {
        fprintf(stderr, "sockrig: no memory: %s\n", strerror(errno));
        return -1;
    }
    fflush(NULL);
    child = fork();
    if (child < 0) {
        fprintf(stderr, "sockrig: fork: %s\n", strerror(errno));
        return -1;
    }
    if (child == 0)
        run_script(script, side_run->side, keep_going, side_run->outcomes);
    while (waitpid(child, &side_run->status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return 0;
}

static bool died(const struct side_run *side_run, const struct outcome *outcome)
{
    return outcome->state == OUTCOME_STARTED ||
           (outcome->state == OUTCOME_ERROR && WIFSIGNALED(side_run->status));
}

/* An error of the script itself. Returns true when there is one, and prints it. */
static bool print_errors(const struct script *script, const struct side_run *side_run)
{
    for (size_t i = 0; i <= script->count; i++) {
        const struct outcome *outcome = &side_run->outcomes[i];

        if (outcome->state != OUTCOME_ERROR)
            continue;
        if (outcome->place.line == 0)
            fprintf(stderr, "%s: %s: %s\n", script->path, side_run->name, outcome->why);
        else
            fprintf(stderr, "%s:%u:%u: %s\n", script->path, outcome->place.line,
                    outcome->place.column, outcome->why);
        return true;
    }
    return false;
}

static void print_outcome(const struct side_run *side_run, const struct outcome *outcome)
{
    int width = 9;

    if (died(side_run, outcome))
        printf("  %-*s died by %s in this call\n", width, side_run->name,
               WIFSIGNALED(side_run->status) ? strsignal(WTERMSIG(side_run->status)) : "exit");
    else if (outcome->state == OUTCOME_NONE)
        printf("  %-*s (not reached)\n", width, side_run->name);
    else if (outcome->state == OUTCOME_DIFFERS && strcmp(outcome->why, "result") != 0)
        printf("  %-*s %s; %s (column %u)\n", width, side_run->name, outcome->got, outcome->why,
               outcome->place.column);
    else
        printf("  %-*s %s\n", width, side_run->name, outcome->got);
}

static bool as_scripted(const struct outcome *outcome)
{
    return outcome->state == OUTCOME_DONE;
}

static const char *wanted_text(const struct wanted *wanted)
{
    switch (wanted->kind) {
    case WANTED_NOTHING: return "anything";
    case WANTED_RESULT: return "a value";
    case WANTED_ERRNO: return "an error";
    case WANTED_BLOCKED: return "to block";
    }
    return "";
}

/* What differs at `index`, for who wants to see the same difference elsewhere. */
static void give_verdict(const struct script *script, const struct side_run *sides, size_t count,
                         size_t index)
{
    const struct statement *statement = &script->statements[index];
    char condition[120] = "";
    char result[240] = "";
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        const struct outcome *outcome = &sides[i].outcomes[index];

        if (outcome->state == OUTCOME_DIFFERS)
            snprintf(condition, sizeof(condition), "%.80s, wanted %s", outcome->why,
                     wanted_text(&statement->wanted));
        if (used < sizeof(result))
            used += (size_t)snprintf(result + used, sizeof(result) - used, "%s %.80s; ",
                                     sides[i].name,
                                     died(&sides[i], outcome) ? "died" : outcome->got);
    }
    verdict_give(VERDICT_DIFFERS, statement->place.line,
                 statement->kind == STATEMENT_CHECK ? "check" : statement->name, condition, result);
}

/* Prints statement `index` when a side isn't as the script says, or the sides differ. */
static bool print_difference(const struct script *script, const struct side_run *sides,
                             size_t count, size_t index)
{
    const struct statement *statement = &script->statements[index];
    const struct outcome *first = &sides[0].outcomes[index];
    const struct outcome *second = &sides[count - 1].outcomes[index];
    bool same = first->hash == second->hash && strcmp(first->got, second->got) == 0;

    if (as_scripted(first) && as_scripted(second) && same)
        return false;
    if (first->state == OUTCOME_NONE && second->state == OUTCOME_NONE)
        return false;
    give_verdict(script, sides, count, index);
    printf("%s:%u: %s\n", script->path, statement->place.line, statement->text);
    for (size_t i = 0; i < count; i++)
        print_outcome(&sides[i], &sides[i].outcomes[index]);
    if (as_scripted(first) && as_scripted(second)) {
        printf("  the script allows both, but what came out differs:\n");
        for (size_t i = 0; i < count; i++)
            printf("  %-9s%s\n", sides[i].name, sides[i].outcomes[index].came);
    }
    return true;
}

static void print_all(const struct script *script, const struct side_run *sides, size_t count)
{
    for (size_t i = 0; i < script->count; i++) {
        printf("%s:%u: %s\n", script->path, script->statements[i].place.line,
               script->statements[i].text);
        for (size_t j = 0; j < count; j++)
            print_outcome(&sides[j], &sides[j].outcomes[i]);
    }
}

static int compare_sides(const struct script *script, const struct compare_options *options,
                         const struct side_run *sides, size_t count)
{
    int result = 0;

    for (size_t i = 0; i < count; i++) {
        if (print_errors(script, &sides[i]))
            return EXIT_UNREADABLE;
    }
    if (options->verbose)
        print_all(script, sides, count);
    for (size_t i = 0; i < script->count; i++) {
        if (!print_difference(script, sides, count, i))
            continue;
        result = 1;
        if (!options->keep_going)
            break;
    }
    return result;
}

/* True when this kernel is older than the script needs; says so. */
static bool kernel_too_old(const struct script *script)
{
    struct utsname name;
    int version[2] = { 0, 0 };

    if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &version[0], &version[1]) != 2)
        return false;
    if (version[0] > script->kernel[0] ||
        (version[0] == script->kernel[0] && version[1] >= script->kernel[1]))
        return false;
    fprintf(stderr, "%s: skipped: needs Linux %d.%d, this is %d.%d\n", script->path,
            script->kernel[0], script->kernel[1], version[0], version[1]);
    return true;
}

int compare_script(const struct script *script, const struct compare_options *options)
{
    struct side_run sides[MAX_SIDES];
    unsigned wanted = options->sides & script->sides;
    size_t count = 0;
    int result = EXIT_UNREADABLE;

    if (wanted & SIDE_KERNEL)
        sides[count++] = (struct side_run){ .side = SIDE_KERNEL, .name = "kernel" };
    if (wanted & SIDE_EMU)
        sides[count++] = (struct side_run){ .side = SIDE_EMU, .name = "emulator" };
    if (count == 0)
        return 0; /* "# on:" names the other side alone */
    if (kernel_too_old(script))
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (run_side(script, &sides[i], options->keep_going) != 0)
            goto out;
    }
    result = compare_sides(script, options, sides, count);
out:
    for (size_t i = 0; i < count; i++) {
        if (sides[i].outcomes && sides[i].outcomes != MAP_FAILED)
            munmap(sides[i].outcomes, outcomes_size(script));
    }
    return result;
}
