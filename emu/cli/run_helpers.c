/*
 * run_helpers.c - see run_helpers.h
 *
 * A process has one CID, so the bridges of one CID share a gateway, and each CID has its own. The
 * hybrid's is another: it stands on the host, CID 2.
 */
#include "run_helpers.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "failure.h"
#include "gateway/spec.h"

#define CID_HOST  2
#define ARGUMENTS (2 * RUN_BRIDGES_MAX + 8)

/* An argv and an environment of a gateway on this CID, to be filled in. */
struct gateway_command {
    const char *arguments[ARGUMENTS];
    size_t count;
    char cid[sizeof "SOCKRIG_CID=4294967295"];
    const char *environment[3];
};

static void begin(struct gateway_command *command, uint32_t cid)
{
    *command = (struct gateway_command){ { "sockrig", "gateway" }, .count = 2 };
    snprintf(command->cid, sizeof command->cid, "SOCKRIG_CID=%u", cid);
    command->environment[0] = command->cid;
    command->environment[1] = "SOCKRIG_GATEWAY=1";
}

static void add(struct gateway_command *command, const char *option, const char *value)
{
    command->arguments[command->count++] = option;
    command->arguments[command->count++] = value;
}

static int start(struct run_helpers *helpers, const struct gateway_command *command,
                 const struct run_inherited *inherited)
{
    const struct helper_command helper = {
        .arguments = command->arguments,
        .environment = command->environment,
        .input = -1,
        .output = -1,
    };
    char message[HELPER_MESSAGE];

    if (helpers->count == HELPER_MAX)
        return fail(EXIT_OWN_FAILURE, "bridges for more than %d CIDs", HELPER_MAX - 1);
    const int result = helper_start(&helper, inherited, &helpers->helpers[helpers->count], message);
    if (result != 0)
        return fail(result, "%s", message);
    helpers->count++;
    helpers->started++;
    return 0;
}

static uint32_t cid_of(const struct run_options *options, size_t bridge)
{
    struct bridge_spec spec = { 0 };

    bridge_spec_parse(options->bridges[bridge], &spec); /* holds: the options were parsed so */
    return spec.cid;
}

/* Starts the gateway of this bridge's CID, unless an earlier bridge's is the same. */
static int start_bridges(struct run_helpers *helpers, const struct run_options *options,
                         size_t first, const struct run_inherited *inherited)
{
    const uint32_t cid = cid_of(options, first);
    struct gateway_command command;

    for (size_t i = 0; i < first; i++) {
        if (cid_of(options, i) == cid)
            return 0;
    }
    begin(&command, cid);
    for (size_t i = first; i < options->bridge_count; i++) {
        if (cid_of(options, i) == cid)
            add(&command, "--bridge", options->bridges[i]);
    }
    return start(helpers, &command, inherited);
}

static int start_hybrid(struct run_helpers *helpers, const struct run_options *options,
                        const struct run_inherited *inherited)
{
    struct gateway_command command;
    char guest[sizeof "4294967295"];

    snprintf(guest, sizeof guest, "%u", options->cid);
    begin(&command, CID_HOST);
    add(&command, "--guest", guest);
    add(&command, "--hybrid", options->hybrid);
    return start(helpers, &command, inherited);
}

int run_helpers_start(struct run_helpers *helpers, const struct run_options *options,
                      const struct run_inherited *inherited)
{
    int result = 0;

    for (size_t i = 0; i < options->bridge_count && result == 0; i++)
        result = start_bridges(helpers, options, i, inherited);
    if (result == 0 && options->hybrid != NULL)
        result = start_hybrid(helpers, options, inherited);
    if (result != 0)
        run_helpers_end(helpers, NULL);
    return result;
}

void run_helpers_end(struct run_helpers *helpers, struct emu_task *self)
{
    signal(SIGPIPE, SIG_IGN); /* one may be dead; and this run is at its end */
    while (helpers->count > 0) {
        struct helper *helper = &helpers->helpers[--helpers->count];
        const char *name = helper->name;
        const int status = helper_end(helper, self);

        if (status > 0 && WIFSIGNALED(status))
            fail(0, "%s: it died by signal %d", name, WTERMSIG(status));
        else if (status > 0)
            fail(0, "%s: it ended with exit code %d", name, WEXITSTATUS(status));
    }
}

bool run_helpers_has(const struct run_helpers *helpers, pid_t pid)
{
    for (size_t i = 0; i < helpers->count; i++) {
        if (helpers->helpers[i].pid == pid)
            return true;
    }
    return false;
}
