/*
 * sessions.c - the command `sockrig sessions`: lists this user's sessions, ends one
 *
 *     SESSION  PID    PROCESSES  TIME  COMMAND
 *     7f3a     4120   3          2m    ./server --port 6789
 *     web      4188   5          41s   ./server
 *     web      4203   5          12s   ./client
 *
 * A line for each supervisor (`sockrig run`); PROCESSES are those of the whole session. Nothing is
 * printed when there is nothing. Scripts read this: order and columns stay as they are.
 */
#include "sessions.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"
#include "registry.h"
#include "run_program.h"

#define INFO_MS 1000  /* all supervisors together may take so long to say who they are */
#define END_MS  30000 /* SIGTERM, a second, SIGKILL; helpers that tidy up; the report */
#define WAKE_MS 1000  /* a supervisor that doesn't answer is continued after this, */
#define KILL_MS 5000  /* ... and killed after this */

static const char help[] =
    "usage: sockrig sessions\n"
    "       sockrig sessions rm NAME...\n"
    "\n"
    "Lists this user's sessions: a line for each `sockrig run`, with its session's name, its pid,\n"
    "the processes in the session, how long it runs, and its command.\n"
    "\n"
    "rm NAME ends all processes of that session as --timeout does: SIGTERM, a second to tidy up,\n"
    "then SIGKILL. It says which they were.\n"
    "\n"
    "`sockrig run --session NAME` joins a session, or makes it.\n";

/* ---- Listing ---- */

/* "41s", "2m", "5h", "3d". */
static void print_age(uint64_t ns, char *ret_text, size_t size)
{
    const uint64_t seconds = ns / 1000000000;

    if (seconds < 60)
        snprintf(ret_text, size, "%" PRIu64 "s", seconds);
    else if (seconds < 3600)
        snprintf(ret_text, size, "%" PRIu64 "m", seconds / 60);
    else if (seconds < 86400)
        snprintf(ret_text, size, "%" PRIu64 "h", seconds / 3600);
    else
        snprintf(ret_text, size, "%" PRIu64 "d", seconds / 86400);
}

#define ROW "%-*s  %-7s  %-9s  %-4s  %s\n"

static void print_row(int width, const struct registry_entry *entry, int error,
                      const struct registry_call *call)
{
    char pid[16], members[16] = "?", age[16] = "?";
    const char *command = error == -EPROTO ? "(another version of sockrig)" : "(doesn't answer)";

    snprintf(pid, sizeof pid, "%d", entry->pid);
    if (error == 0) {
        snprintf(members, sizeof members, "%u", call->answer.members);
        print_age(call->answer.age_ns, age, sizeof age);
        command = call->answer.command;
    }
    printf(ROW, width, entry->name, pid, members, age, command);
}

/* Asks them all, then waits for their answers: one that is stopped delays nobody else's. */
static int list(struct registry *registry)
{
    static struct registry_entry entries[REGISTRY_MAX]; /* large */
    static struct registry_call calls[REGISTRY_MAX];
    const struct registry_request request = registry_request(REGISTRY_INFO);
    const size_t count = registry_list(registry, NULL, entries, REGISTRY_MAX);
    int errors[REGISTRY_MAX];
    int width = (int)strlen("SESSION");
    int left_ms = INFO_MS;
    bool started = false;

    for (size_t i = 0; i < count; i++) {
        errors[i] = registry_ask(registry, &entries[i], &request, &calls[i]);
        if ((int)strlen(entries[i].name) > width)
            width = (int)strlen(entries[i].name);
    }
    for (size_t i = 0; i < count; i++) {
        if (errors[i] == 0) {
            errors[i] = registry_wait(&calls[i], left_ms);
            registry_hang_up(&calls[i]);
            if (errors[i] == -ETIMEDOUT)
                left_ms = 0; /* the others had the same time */
        }
        if (errors[i] != 0 && errors[i] != -ETIMEDOUT && errors[i] != -EAGAIN &&
            errors[i] != -EPROTO)
            continue; /* it is gone */
        if (!started)
            printf(ROW, width, "SESSION", "PID", "PROCESSES", "TIME", "COMMAND");
        started = true;
        print_row(width, &entries[i], errors[i], &calls[i]);
    }
    return fflush(stdout) == 0 ? 0 : fail(EXIT_OWN_FAILURE, "%s", strerror(errno));
}

/* ---- Ending ---- */

/* A supervisor that was stopped can't end its run: it is continued; if that doesn't help, killed,
 * and its PROG with it. */
static int wait_for_answer(struct registry_call *call)
{
    int error = registry_wait(call, WAKE_MS);

    if (error != -ETIMEDOUT)
        return error;
    kill(call->peer, SIGCONT);
    error = registry_wait(call, KILL_MS);
    if (error != -ETIMEDOUT)
        return error;
    kill(call->peer, SIGKILL);
    call->answer = (struct registry_answer){ .ended = 1, .ended_pids = { call->peer } };
    strcpy(call->answer.ended_names[0], "sockrig");
    return 0;
}

static void print_ended(const char *name, const struct registry_answer *answer)
{
    printf("session %s: ended", name);
    for (uint32_t i = 0; i < answer->ended && i < REGISTRY_ENDED; i++)
        printf("%s %.15s[%d]", i > 0 ? "," : "", answer->ended_names[i], answer->ended_pids[i]);
    if (answer->ended > REGISTRY_ENDED)
        printf(" and %u more", answer->ended - REGISTRY_ENDED);
    putchar('\n');
    fflush(stdout);
}

/* Ends the run of one supervisor. Returns 0: done; 1: it was gone already; else an exit code. */
static int end_run(const struct registry *registry, const struct registry_entry *entry)
{
    const struct registry_request request = registry_request(REGISTRY_END);
    struct registry_call call;
    int error = registry_ask(registry, entry, &request, &call);

    if (error == -EAGAIN)
        return fail(EXIT_OWN_FAILURE, "session %s: process %d doesn't answer", entry->name,
                    entry->pid);
    if (error != 0)
        return 1;
    error = wait_for_answer(&call);
    if (error == 0) {
        print_ended(entry->name, &call.answer);
        error = registry_wait_end(&call, END_MS);
    }
    registry_hang_up(&call);
    if (error == -EPROTO || error == -ETIMEDOUT)
        return fail(EXIT_OWN_FAILURE, "session %s: process %d %s", entry->name, entry->pid,
                    error == -EPROTO ? "is another version of sockrig" : "is still there");
    return error == 0 ? 0 : 1;
}

static int end_session(const struct registry *registry, const char *name)
{
    static struct registry_entry entries[REGISTRY_MAX]; /* large */
    const size_t count = registry_list(registry, name, entries, REGISTRY_MAX);
    int result = 0;
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        const int code = end_run(registry, &entries[i]);

        found |= code != 1;
        if (code > 1)
            result = code;
    }
    if (!found)
        return fail(EXIT_OWN_FAILURE, "no session '%.100s'; see: sockrig sessions", name);
    return result;
}

static int end_sessions(const struct registry *registry, int count, char *const *names)
{
    int result = 0;

    if (count == 0)
        return fail(EXIT_OWN_FAILURE, "sessions rm: which session?\nTry: sockrig sessions --help");
    for (int i = 0; i < count; i++) {
        const int code = end_session(registry, names[i]);

        if (code != 0)
            result = code;
    }
    return result;
}

int sessions_main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    struct registry registry;

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return fputs(help, stdout) < 0 ? EXIT_OWN_FAILURE : 0;
    if (argc > 1 && strcmp(word, "rm") != 0)
        return fail(EXIT_OWN_FAILURE,
                    "sessions: unknown word '%.100s'\nTry: sockrig sessions --help", word);
    const int error = registry_open(&registry, false);
    if (error == -EPERM)
        return fail(EXIT_OWN_FAILURE, "%s isn't a folder of this user alone (mode 0700, no link)",
                    registry.path);
    if (error != 0 && error != -ENOENT)
        return fail(EXIT_OWN_FAILURE, "%s: %s", registry.path, strerror(-error));
    if (registry_try_lock(&registry)) {
        registry_remove_stale(&registry);
        registry_unlock(&registry);
    }
    const int result = argc > 1 ? end_sessions(&registry, argc - 2, argv + 2) : list(&registry);
    registry_close(&registry);
    return result;
}
