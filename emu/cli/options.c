/*
 * options.c - parsing of run's options, from the command line and from SOCKRIG_OPTIONS
 *
 * Both are the same language: a word of SOCKRIG_OPTIONS is an option without its dashes. What the
 * emulator itself must know (policies, mmsg, net) is parsed by the core, so that a bare preload,
 * which reads SOCKRIG_OPTIONS without us, can't understand it otherwise.
 *
 * Names must be written out: getopt_long() would take `--n` for `--net` until the day another
 * option begins so.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include "gateway/spec.h"

#define HYBRID_CID 3         /* of PROG, as most VMMs' examples have it */
#define MAX_WORDS  64        /* in SOCKRIG_OPTIONS */
#define WORDS_SIZE 8192      /* ... and their bytes, with the dashes */
#define BLANKS     " \t\r\n" /* between them */

const char run_options_help[] =
    "usage: sockrig run [OPTIONS] [--] PROG [ARG...]\n"
    "\n"
    "Runs PROG and all that it starts in a session: their pipes, AF_UNIX and AF_VSOCK sockets are\n"
    "served by the emulator, and reach each other.\n"
    "\n"
    "What is modeled\n"
    "  --policy FAMILY[/TYPE]=refuse|native|ERRNO   what socket() does; repeatable. FAMILY: unix,\n"
    "                              vsock, inet, inet6, ...; TYPE: stream, dgram, seqpacket, raw\n"
    "  --unmodeled=refuse|native   all that isn't modeled at once; never touches vsock\n"
    "  --allow-native              PROG itself may be static or setuid\n"
    "  --sandbox                   refuse all that isn't modeled, by seccomp also what passes the\n"
    "                              library; --host-unix=deny; --error-exitcode 1\n"
    "  --host-unix=allow|deny|GLOB  connects to unix sockets of programs outside the session;\n"
    "                              GLOB: to these names alone, @ begins abstract ones   [allow]\n"
    "  --net=redirect|sud|off      how calls inside libc are caught   [redirect]\n"
    "  --audit                     net=sud, and list what nothing else would have caught\n"
    "  --mmsg=linux|openbsd        rules of sendmmsg and recvmmsg     [linux]\n"
    "  --exclude-caller GLOB       leave alone what calls from that file make: test harnesses, by\n"
    "                              name or path; repeatable   [libcriterion's and libnanomsg's]\n"
    "World\n"
    "  --session NAME              join the session of that name, or make it, as other terminals\n"
    "                              do; `sockrig sessions` lists them   [a private one, or\n"
    "                              the enclosing one]\n"
    "  --cid N                     PROG's machine, as vsock numbers them: 2 is the host, 3 and\n"
    "                              more are guests   [2, or inherited]\n"
    "  --bridge vsock:CID:PORT=unix:PATH   what connects to that CID and port gets the unix\n"
    "                              socket at PATH; repeatable\n"
    "  --hybrid firecracker:PATH|cloud-hypervisor:PATH   PROG is that VMM's guest, and PATH and\n"
    "                              PATH_PORT are the host's side of its vsock device\n"
    "  --notify[=vsock|vsock-stream|vsock-seqpacket]   play the service manager for PROG: set\n"
    "                              NOTIFY_SOCKET, print what arrives, relay it to run's own\n"
    "                              $NOTIFY_SOCKET   [vsock]\n"
    "  --on-ready CMD              run CMD (sh -c), outside the session, at READY=1\n"
    "  --wait=child|all            end when PROG does, or when all that it started has ended, and\n"
    "                              adopt the orphans meanwhile   [child]\n"
    "Stress\n"
    "  --squeeze                   everything as small as Linux allows\n"
    "  --pipe-capacity SIZE[@PLACE]   of new pipes: 1 to 1M, rounded as F_SETPIPE_SZ does; less\n"
    "                              than 4K: smaller than Linux allows\n"
    "  --sock-buffer SIZE[@PLACE]  SO_SNDBUF of new AF_UNIX sockets, at most twice\n"
    "                              /proc/sys/net/core/wmem_max; less than 4608: one piece of so\n"
    "                              many bytes, smaller than Linux allows\n"
    "  --vsock-credit SIZE[@PLACE] of new AF_VSOCK sockets: bytes that may be unread   [256K]\n"
    "  --backlog N[@PLACE]         the longest backlog that listen() can ask for; 0: one waits\n"
    "                              @PLACE: of what is made there alone, repeatable: FUNCTION or\n"
    "                              FILE.c:LINE of PROG, or with @FILE of that program or library;\n"
    "                              NAME+0xOFFSET as reports name a call\n"
    "  --faults=none|legal|harsh   calls take longer, new pipes and buffers are small, waits are\n"
    "                              interrupted where a handler could: all that Linux may do\n"
    "                              itself, harsh: more often   [none]\n"
    "  --inject EXPR               as strace's -e inject=EXPR: CALLS:WHAT[:WHAT...], WHAT:\n"
    "                              error=E retval=N signal=S delay_enter=T delay_exit=T\n"
    "                              when=F[..L][+[S]], and peer=close|reset byte=N p=0.01 fd=N\n"
    "                              proc=GLOB budget=N; repeatable\n"
    "  --seed N                    what faults choose   [a new one for each run]\n"
    "Watch\n"
    "  --timeout DUR               after 10ms, 30s, 5m, 1h (or seconds) say who waits for what,\n"
    "                              end all processes, and exit with 124\n"
    "  --on-deadlock=report|kill   say who waits for whom, and go on, or end all processes and\n"
    "                              exit with 124   [kill when proven, report for --hang-timeout]\n"
    "  --hang-timeout DUR          when nothing has moved for so long it may be a deadlock, too\n"
    "  --record DIR                record every emulated call there, for `sockrig trace DIR`\n"
    "  --record-bytes SIZE         of what a call moves at most so much is recorded: 16 to 32K;\n"
    "                              what is cut is known by its length alone   [4K]\n"
    "  --record-size SIZE          the recording stops, and PROG goes on, when it is so large:\n"
    "                              from 1M on   [1G]\n"
    "  --error-exitcode N          exit with N when something was found: a refused call or\n"
    "                              program, a deadlock, a descriptor closed twice or used after\n"
    "                              its close, bytes that nobody read, death by SIGPIPE\n"
    "  --suppressions FILE         which of these findings aren't wanted, a rule a line\n"
    "  --report[=FILE]             all of this, native sockets, switches, what was left open\n"
    "  --json                      the report as JSON\n"
    "  --verify                    compare with the kernel when a process ends; 125: they differ\n"
    "  -v                          the report on stderr, even when there is nothing to say\n"
    "\n"
    "  --help  --version\n"
    "\n"
    "SOCKRIG_OPTIONS=\"net=off report=FILE\" holds options without the dashes, separated by\n"
    "blanks; the command line wins.\n"
    "\n"
    "Exit status: PROG's own, and a death by signal is repeated; 124 the time limit; 125 sockrig\n"
    "itself failed or was called wrongly; 126 PROG can't be executed; 127 PROG wasn't found.\n";

/* The options that the core parses are told from the others by their value here. */
enum option_id {
    OPTION_CORE = 1, /* "name=value" for emu_options_parse() */
    OPTION_ALLOW_NATIVE,
    OPTION_AUDIT,
    OPTION_VERIFY,
    OPTION_SQUEEZE,
    OPTION_INJECT,
    OPTION_SESSION,
    OPTION_BRIDGE,
    OPTION_HYBRID,
    OPTION_CID,
    OPTION_WAIT,
    OPTION_TIMEOUT,
    OPTION_HANG_TIMEOUT,
    OPTION_SANDBOX,
    OPTION_ERROR_EXITCODE,
    OPTION_SUPPRESSIONS,
    OPTION_ON_DEADLOCK,
    OPTION_RECORD,
    OPTION_REPORT,
    OPTION_JSON,
    OPTION_NOTIFY,
    OPTION_ON_READY,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_VERBOSE = 'v',
};

static const struct option long_options[] = {
    { "policy", required_argument, NULL, OPTION_CORE },
    { "unmodeled", required_argument, NULL, OPTION_CORE },
    { "net", required_argument, NULL, OPTION_CORE },
    { "audit", no_argument, NULL, OPTION_AUDIT },
    { "mmsg", required_argument, NULL, OPTION_CORE },
    { "pipe-capacity", required_argument, NULL, OPTION_CORE },
    { "sock-buffer", required_argument, NULL, OPTION_CORE },
    { "vsock-credit", required_argument, NULL, OPTION_CORE },
    { "backlog", required_argument, NULL, OPTION_CORE },
    { "faults", required_argument, NULL, OPTION_CORE },
    { "seed", required_argument, NULL, OPTION_CORE },
    { "inject", required_argument, NULL, OPTION_INJECT },
    { "host-unix", required_argument, NULL, OPTION_CORE },
    { "exclude-caller", required_argument, NULL, OPTION_CORE },
    { "squeeze", no_argument, NULL, OPTION_SQUEEZE },
    { "allow-native", no_argument, NULL, OPTION_ALLOW_NATIVE },
    { "verify", no_argument, NULL, OPTION_VERIFY },
    { "session", required_argument, NULL, OPTION_SESSION },
    { "cid", required_argument, NULL, OPTION_CID },
    { "wait", required_argument, NULL, OPTION_WAIT },
    { "bridge", required_argument, NULL, OPTION_BRIDGE },
    { "hybrid", required_argument, NULL, OPTION_HYBRID },
    { "timeout", required_argument, NULL, OPTION_TIMEOUT },
    { "hang-timeout", required_argument, NULL, OPTION_HANG_TIMEOUT },
    { "sandbox", no_argument, NULL, OPTION_SANDBOX },
    { "error-exitcode", required_argument, NULL, OPTION_ERROR_EXITCODE },
    { "suppressions", required_argument, NULL, OPTION_SUPPRESSIONS },
    { "on-deadlock", required_argument, NULL, OPTION_ON_DEADLOCK },
    { "record", required_argument, NULL, OPTION_RECORD },
    { "record-bytes", required_argument, NULL, OPTION_CORE },
    { "record-size", required_argument, NULL, OPTION_CORE },
    { "report", optional_argument, NULL, OPTION_REPORT },
    { "json", no_argument, NULL, OPTION_JSON },
    { "notify", optional_argument, NULL, OPTION_NOTIFY },
    { "on-ready", required_argument, NULL, OPTION_ON_READY },
    { "help", no_argument, NULL, OPTION_HELP },
    { "version", no_argument, NULL, OPTION_VERSION },
    { NULL, 0, NULL, 0 },
};

/* Where the options come from, and how a message shows it. */
struct source {
    const char *label; /* "run" or "SOCKRIG_OPTIONS" */
    bool command_line; /* it is the former */
    struct run_options options;
    char *message; /* RUN_OPTIONS_MESSAGE bytes */
};

__attribute__((format(printf, 2, 3))) static bool complain(struct source *source,
                                                           const char *format, ...)
{
    va_list arguments;
    int used = snprintf(source->message, RUN_OPTIONS_MESSAGE, "%s: ", source->label);

    va_start(arguments, format);
    vsnprintf(source->message + used, (size_t)(RUN_OPTIONS_MESSAGE - used), format, arguments);
    va_end(arguments);
    return false;
}

#define PIPE_CAPACITY_MAX (1u << 20) /* /proc/sys/fs/pipe-max-size, see pipe(7) */

static const struct {
    const char *name;
    const char *text;
} hints[] = {
    { "pipe-capacity", "give 1 to 1M, of all pipes or as 1@proxy.c:88 or 4K@start_child" },
    { "vsock-credit", "give a size from 2 on, as 4K or 256K@connect_peer" },
    { "backlog", "give a number from 0 on, as 3 or 0@server.c:20" },
    { "record-bytes", "give a size from 16 to 32K" },
    { "record-size", "give a size from 1M on, as 64M or 4G" },
    { "host-unix", "give allow, deny, or a pattern as /run/*, shorter than 108 bytes" },
    { "exclude-caller", "give a pattern as libcheck.so* or /opt/*, shorter than 128 bytes" },
    { "sock-buffer", "give a size from 1 on, as 8K or 100@proxy.c:88" },
    { "policy", "give FAMILY[/TYPE]=refuse, native or an errno, as inet/dgram=native" },
    { "unmodeled", "give refuse or native" },
    { "net", "give redirect, sud or off" },
    { "mmsg", "give linux or openbsd" },
};

static bool is_small_enough(const struct emu_options *options)
{
    for (uint32_t i = 0; i < options->place_count; i++) {
        if (options->places[i].kind == EMU_CAPACITY_PIPE &&
            options->places[i].size > PIPE_CAPACITY_MAX)
            return false;
    }
    return options->pipe_capacity <= PIPE_CAPACITY_MAX;
}

/* A capacity of what is made at a place; false: `value` names none, or one that the core takes. */
static bool is_of_place(const char *name, const char *value)
{
    static const char *const names[] = { "pipe-capacity", "sock-buffer", "vsock-credit",
                                         "backlog" };
    const char *sign = strchr(value, '@');
    bool found = false;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        found |= strcmp(name, names[i]) == 0;
    return found && sign != NULL && strstr(sign, "+0x") == NULL;
}

/* Its size is looked at now, its place when PROG's file is known. */
static bool add_place(struct source *source, const char *name, const char *value)
{
    struct run_options *options = &source->options;
    struct emu_options tried = { .place_count = 0 };
    char *word = NULL;
    char *trial = NULL;
    bool right = false;

    if (options->place_count == EMU_MAX_PLACES)
        return complain(source, "--%s: at most %d places can be given", name, EMU_MAX_PLACES);
    if (asprintf(&trial, "%s=%.*s@x+0x1", name, (int)strcspn(value, "@"), value) >= 0)
        right = emu_options_parse(trial, &tried) == 0 && is_small_enough(&tried);
    free(trial);
    if (!right)
        return false;
    if (asprintf(&word, "%s=%s", name, value) < 0)
        return false;
    options->places[options->place_count++] = word;
    return true;
}

static int most_of(const char *name)
{
    if (strcmp(name, "policy") == 0)
        return EMU_MAX_POLICIES;
    return strcmp(name, "exclude-caller") == 0 ? EMU_MAX_EXCLUDED : EMU_MAX_PLACES;
}

static bool parse_core_option(struct source *source, const char *name, const char *value)
{
    char word[256];

    if ((size_t)snprintf(word, sizeof word, "%s=%s", name, value) >= sizeof word)
        return complain(source, "--%s: the value is too long", name);

    struct emu_options options = source->options.emu;
    const bool of_place = is_of_place(name, value);
    if (of_place && add_place(source, name, value))
        return true;
    const int error = of_place ? -EINVAL : emu_options_parse(word, &options);
    if (error == 0 && is_small_enough(&options)) {
        source->options.emu = options;
        return true;
    }
    if (error == -ENOSPC)
        return complain(source, "--%s: at most %d can be given", name, most_of(name));
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (strcmp(name, hints[i].name) == 0)
            return complain(source, "bad value in --%s=%.200s: %s", name, value, hints[i].text);
    }
    return complain(source, "bad value in --%s=%.200s", name, value);
}

/* What can't be is refused with a finger on the place. */
static bool add_injection(struct source *source, const char *value)
{
    struct emu_options *options = &source->options.emu;
    struct emu_inject_problem problem;

    if (options->inject_count == EMU_MAX_INJECTIONS)
        return complain(source, "--inject: at most %d can be given", EMU_MAX_INJECTIONS);
    if (emu_inject_parse(value, &options->inject[options->inject_count], &problem) != 0)
        return complain(source, "bad value in --inject:\n  %.*s\n  %*s^ %s", EMU_INJECT_SIZE, value,
                        (int)problem.at, "", problem.text);
    options->inject_count++;
    return true;
}

#define DURATION_MAX_NS 3000000000000000000 /* 95 years: fits into a time_t's arithmetic */

/* Digits and a unit as nanoseconds; seconds without one. 0: that isn't a duration, or is 0. */
static uint64_t duration_of(const char *text)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = { { "", 1000000000 },
                  { "ms", 1000000 },
                  { "s", 1000000000 },
                  { "m", 60000000000 },
                  { "h", 3600000000000 } };
    const size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 18)
        return 0;
    const uint64_t number = strtoul(text, NULL, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + digits, units[i].name) == 0)
            return number <= DURATION_MAX_NS / units[i].ns ? number * units[i].ns : 0;
    }
    return 0;
}

static bool set_duration(struct source *source, const char *name, const char *value,
                         uint64_t *ret_ns)
{
    const uint64_t ns = duration_of(value);

    if (ns == 0)
        return complain(source,
                        "bad value in --%s=%.200s: give a time above 0 as 10ms, 30s, 5m or "
                        "1h; a number alone is seconds",
                        name, value);
    *ret_ns = ns;
    return true;
}

static bool set_error_exitcode(struct source *source, const char *value)
{
    char *end;
    const long code = strtol(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != '\0' || code < 1 || code > 255)
        return complain(source, "bad value in --error-exitcode=%.200s: give 1 to 255", value);
    source->options.error_exitcode = (int)code;
    return true;
}

static bool set_suppressions(struct source *source, const char *value)
{
    char *copy = strdup(value);

    if (copy == NULL)
        return complain(source, "%s", strerror(errno));
    free(source->options.suppressions);
    source->options.suppressions = copy;
    return true;
}

static bool set_on_deadlock(struct source *source, const char *value)
{
    if (strcmp(value, "report") == 0)
        source->options.on_deadlock = RUN_DEADLOCK_REPORT;
    else if (strcmp(value, "kill") == 0)
        source->options.on_deadlock = RUN_DEADLOCK_KILL;
    else
        return complain(source, "bad value in --on-deadlock=%.200s: report or kill", value);
    return true;
}

static bool set_session(struct source *source, const char *value)
{
    if (!session_name_holds(value))
        return complain(source,
                        "bad value in --session=%.200s: give 1 to %d letters, digits, '.', '_' "
                        "or '-'",
                        value, SESSION_NAME_MAX);
    strcpy(source->options.session, value);
    return true;
}

/* vsock(7): 0 is the hypervisor, 1 the local machine, 2^32-1 any; no machine has these numbers. */
static bool set_cid(struct source *source, const char *value)
{
    const size_t digits = strspn(value, "0123456789");
    const unsigned long number = digits > 0 && digits <= 10 ? strtoul(value, NULL, 10) : 0;

    if (value[digits] != '\0' || number < VMADDR_CID_HOST || number >= VMADDR_CID_ANY)
        return complain(
            source, "bad value in --cid=%.200s: give 2 (the host), or 3 to 4294967294 (a guest)",
            value);
    source->options.cid = (uint32_t)number;
    return true;
}

static bool set_wait(struct source *source, const char *value)
{
    const bool all = strcmp(value, "all") == 0;

    if (!all && strcmp(value, "child") != 0)
        return complain(source, "bad value in --wait=%.200s: give child or all", value);
    source->options.wait_all = all;
    return true;
}

static bool add_bridge(struct source *source, const char *value)
{
    struct run_options *options = &source->options;
    struct bridge_spec spec;
    const char *reason = bridge_spec_parse(value, &spec);

    if (reason != NULL)
        return complain(source, "bad value in --bridge=%.200s: %s", value, reason);
    if (options->bridge_count == RUN_BRIDGES_MAX)
        return complain(source, "--bridge: at most %d can be given", RUN_BRIDGES_MAX);
    options->bridges[options->bridge_count] = strdup(value);
    if (options->bridges[options->bridge_count] == NULL)
        return complain(source, "%s", strerror(errno));
    options->bridge_count++;
    return true;
}

static bool set_hybrid(struct source *source, const char *value)
{
    struct run_options *options = &source->options;
    struct hybrid_spec spec;
    const char *reason = hybrid_spec_parse(value, &spec);

    if (reason != NULL)
        return complain(source, "bad value in --hybrid=%.200s: %s", value, reason);
    free(options->hybrid);
    options->hybrid = strdup(value);
    if (options->hybrid == NULL)
        return complain(source, "%s", strerror(errno));
    options->emu.hybrid = spec.vmm;
    return true;
}

/* `value` may be NULL: --report without a file. */
static bool set_report_file(struct source *source, const char *value)
{
    char *copy = value != NULL ? strdup(value) : NULL;

    if (value != NULL && copy == NULL)
        return complain(source, "%s", strerror(errno));
    free(source->options.report_file);
    source->options.report_file = copy;
    return true;
}

static bool set_record(struct source *source, const char *value)
{
    char *copy = *value != '\0' ? strdup(value) : NULL;

    if (copy == NULL)
        return complain(source, "--record: %s",
                        *value != '\0' ? strerror(errno) : "needs the name of a folder");
    free(source->options.record);
    source->options.record = copy;
    return true;
}

/* `value` may be NULL: the form for which a notifier finds the type by itself. */
static bool set_notify(struct source *source, const char *value)
{
    static const char *const forms[] = { "vsock", "vsock-stream", "vsock-seqpacket" };

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(value != NULL ? value : forms[0], forms[i]) == 0) {
            source->options.notify = forms[i];
            return true;
        }
    }
    return complain(
        source, "bad value in --notify=%.200s: give vsock, vsock-stream or vsock-seqpacket", value);
}

static bool set_on_ready(struct source *source, const char *value)
{
    char *copy = strdup(value);

    if (copy == NULL)
        return complain(source, "%s", strerror(errno));
    free(source->options.on_ready);
    source->options.on_ready = copy;
    return true;
}

static bool apply(struct source *source, int id, const char *name, const char *value)
{
    struct run_options *options = &source->options;

    if (source->command_line && id != OPTION_SESSION && id != OPTION_CID)
        options->on_command_line = true;
    switch (id) {
    case OPTION_CORE: return parse_core_option(source, name, value);
    case OPTION_ALLOW_NATIVE: options->emu.allow_native = true; return true;
    case OPTION_INJECT: return add_injection(source, value);
    case OPTION_SQUEEZE: return emu_options_parse("squeeze", &options->emu) == 0;
    case OPTION_AUDIT: return emu_options_parse("audit", &options->emu) == 0;
    case OPTION_VERIFY: options->emu.verify = true; return true;
    case OPTION_SESSION: return set_session(source, value);
    case OPTION_CID: return set_cid(source, value);
    case OPTION_WAIT: return set_wait(source, value);
    case OPTION_BRIDGE: return add_bridge(source, value);
    case OPTION_HYBRID: return set_hybrid(source, value);
    case OPTION_TIMEOUT: return set_duration(source, "timeout", value, &source->options.timeout_ns);
    case OPTION_HANG_TIMEOUT:
        return set_duration(source, "hang-timeout", value, &source->options.hang_ns);
    case OPTION_SANDBOX: source->options.sandbox = true; return true;
    case OPTION_SUPPRESSIONS: return set_suppressions(source, value);
    case OPTION_ERROR_EXITCODE: return set_error_exitcode(source, value);
    case OPTION_ON_DEADLOCK: return set_on_deadlock(source, value);
    case OPTION_RECORD: return set_record(source, value);
    case OPTION_REPORT:
        if (value != NULL && *value == '\0')
            return complain(source, "--report= needs a file name");
        options->report = true;
        return set_report_file(source, value);
    case OPTION_JSON: options->json = true; return true;
    case OPTION_NOTIFY: return set_notify(source, value);
    case OPTION_ON_READY: return set_on_ready(source, value);
    case OPTION_VERBOSE: options->verbose = true; return true;
    case OPTION_HELP: options->request = RUN_HELP; return true;
    case OPTION_VERSION: options->request = RUN_VERSION; return true;
    default: return complain(source, "option %d has no meaning", id);
    }
}

/* True when `word` ("--name" or "--name=value") says the whole of `name`. */
static bool is_written_out(const char *word, const char *name)
{
    const size_t length = strlen(name);

    return strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, length) == 0 &&
           (word[2 + length] == '\0' || word[2 + length] == '=');
}

/*
 * Applies the options in argv, up to the first word that isn't one. `--help` and `--version` end
 * it, as everywhere.
 *
 * After: *ret_end is the index of what follows the options.
 */
static bool parse_words(struct source *source, int argc, char **argv, int *ret_end)
{
    optind = 0; /* GNU: start afresh */
    opterr = 0;
    for (int round = 0; round < argc && source->options.request == RUN_PROGRAM; round++) {
        const int before = optind > 0 ? optind : 1;
        int index = -1;
        const int id = getopt_long(argc, argv, "+:v", long_options, &index);
        const char *word = argv[before < argc ? before : argc - 1];

        if (id == -1)
            break;
        if (id == ':')
            return complain(source, "%.200s needs a value", word);
        if (id == '?' || (index >= 0 && !is_written_out(word, long_options[index].name)))
            return complain(source, "unknown option %.200s", word);
        if (!apply(source, id, index >= 0 ? long_options[index].name : "v", optarg))
            return false;
    }
    *ret_end = optind;
    return true;
}

/* Cuts `text` into words and gives each its dashes: `ret_words` holds WORDS_SIZE bytes. */
static bool split(struct source *source, char *text, char *ret_words, char **ret_argv,
                  int *ret_argc)
{
    char *rest = NULL;
    size_t used = 0;

    for (char *word = strtok_r(text, BLANKS, &rest); word != NULL;
         word = strtok_r(NULL, BLANKS, &rest)) {
        const char *dashes = word[1] == '\0' ? "-" : "--";

        if (*ret_argc > MAX_WORDS || used + strlen(word) + 3 > WORDS_SIZE)
            return complain(source, "too long");
        ret_argv[(*ret_argc)++] = ret_words + used;
        used += (size_t)sprintf(ret_words + used, "%s%s", dashes, word) + 1;
    }
    return true;
}

static bool parse_environment(struct source *source, const char *environment)
{
    char text[WORDS_SIZE];
    char words[WORDS_SIZE];
    char *argv[MAX_WORDS + 2] = { (char *)source->label };
    int argc = 1;
    int end = 0;

    if ((size_t)snprintf(text, sizeof text, "%s", environment) >= sizeof text)
        return complain(source, "too long");
    if (!split(source, text, words, argv, &argc) || !parse_words(source, argc, argv, &end))
        return false;
    if (end < argc)
        return complain(source, "unknown option %.200s", argv[end]);
    if (source->options.request != RUN_PROGRAM)
        return complain(source, "--help and --version belong on the command line");
    return true;
}

/* Both sources are parsed, but the program isn't looked at yet. */
static bool parse_all(struct source *source, int argc, char **argv, const char *environment)
{
    int end = 0;

    if (environment != NULL && !parse_environment(source, environment))
        return false;
    source->label = "run";
    source->command_line = true;
    if (!parse_words(source, argc, argv, &end))
        return false;
    source->options.program = argv + end;
    if (source->options.hybrid != NULL && source->options.cid == 0)
        source->options.cid = HYBRID_CID;
    if (source->options.hybrid != NULL && source->options.cid == VMADDR_CID_HOST)
        return complain(source, "--hybrid: PROG is the guest, so its --cid is 3 or more");
    if (source->options.on_ready != NULL && source->options.notify == NULL)
        return complain(source, "--on-ready needs --notify");
    if (source->options.request == RUN_PROGRAM && end >= argc)
        return complain(source, "which program? (sockrig run [OPTIONS] [--] PROG [ARG...])");
    return true;
}

bool run_options_parse(int argc, char **argv, const char *environment,
                       struct run_options *ret_options, char *ret_message)
{
    struct source source = { .label = "SOCKRIG_OPTIONS", .message = ret_message };

    if (!parse_all(&source, argc, argv, environment)) {
        run_options_fini(&source.options);
        return false;
    }
    *ret_options = source.options;
    return true;
}

void run_options_fini(struct run_options *options)
{
    free(options->record);
    options->record = NULL;
    free(options->suppressions);
    options->suppressions = NULL;
    free(options->report_file);
    options->report_file = NULL;
    free(options->on_ready);
    options->on_ready = NULL;
    free(options->hybrid);
    options->hybrid = NULL;
    while (options->bridge_count > 0)
        free(options->bridges[--options->bridge_count]);
    while (options->place_count > 0)
        free(options->places[--options->place_count]);
}
