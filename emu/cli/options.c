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

#define MAX_WORDS  64        /* in SOCKRIG_OPTIONS */
#define WORDS_SIZE 8192      /* ... and their bytes, with the dashes */
#define BLANKS     " \t\r\n" /* between them */

const char run_options_help[] =
    "usage: sockrig run [OPTIONS] [--] PROG [ARG...]\n"
    "\n"
    "Runs PROG with its pipes and AF_UNIX socket pairs served by the emulator.\n"
    "\n"
    "What is modeled\n"
    "  --policy FAMILY[/TYPE]=refuse|native|ERRNO   e.g. inet/dgram=native; repeatable\n"
    "  --unmodeled=refuse|native   all that isn't modeled at once; never touches vsock\n"
    "  --allow-native              PROG itself may be static or setuid\n"
    "  --net=redirect|off          how calls inside libc are caught   [redirect]\n"
    "  --mmsg=linux|openbsd        rules of sendmmsg and recvmmsg     [linux]\n"
    "Stress\n"
    "  --squeeze                   everything as small as Linux allows\n"
    "  --pipe-capacity SIZE        of new pipes: 4K to 1M, rounded as F_SETPIPE_SZ does\n"
    "  --sock-buffer SIZE          SO_SNDBUF of new socket pairs: 4608 at least; at most twice\n"
    "                              /proc/sys/net/core/wmem_max\n"
    "Watch\n"
    "  --timeout DUR               after 10ms, 30s, 5m, 1h (or seconds) say who waits for what,\n"
    "                              end all processes, and exit with 124\n"
    "  --report[=FILE]             all refusals, native sockets, switches, objects left\n"
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
    OPTION_VERIFY,
    OPTION_SQUEEZE,
    OPTION_TIMEOUT,
    OPTION_REPORT,
    OPTION_JSON,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_VERBOSE = 'v',
};

static const struct option long_options[] = {
    { "policy", required_argument, NULL, OPTION_CORE },
    { "unmodeled", required_argument, NULL, OPTION_CORE },
    { "net", required_argument, NULL, OPTION_CORE },
    { "mmsg", required_argument, NULL, OPTION_CORE },
    { "pipe-capacity", required_argument, NULL, OPTION_CORE },
    { "sock-buffer", required_argument, NULL, OPTION_CORE },
    { "squeeze", no_argument, NULL, OPTION_SQUEEZE },
    { "allow-native", no_argument, NULL, OPTION_ALLOW_NATIVE },
    { "verify", no_argument, NULL, OPTION_VERIFY },
    { "timeout", required_argument, NULL, OPTION_TIMEOUT },
    { "report", optional_argument, NULL, OPTION_REPORT },
    { "json", no_argument, NULL, OPTION_JSON },
    { "help", no_argument, NULL, OPTION_HELP },
    { "version", no_argument, NULL, OPTION_VERSION },
    { NULL, 0, NULL, 0 },
};

/* Where the options come from, and how a message shows it. */
struct source {
    const char *label; /* "run" or "SOCKRIG_OPTIONS" */
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
    { "pipe-capacity", "give 4K to 1M" },
    { "sock-buffer", "give a size from 4608 on, as 8K or 1M" },
    { "policy", "give FAMILY[/TYPE]=refuse, native or an errno, as inet/dgram=native" },
    { "unmodeled", "give refuse or native" },
    { "net", "give redirect or off" },
    { "mmsg", "give linux or openbsd" },
};

static bool parse_core_option(struct source *source, const char *name, const char *value)
{
    char word[256];

    if (strcmp(name, "net") == 0 && strcmp(value, "sud") == 0)
        return complain(source, "--net=sud isn't there yet");
    if ((size_t)snprintf(word, sizeof word, "%s=%s", name, value) >= sizeof word)
        return complain(source, "--%s: the value is too long", name);

    struct emu_options options = source->options.emu;
    const int error = emu_options_parse(word, &options);
    if (error == 0 && options.pipe_capacity <= PIPE_CAPACITY_MAX) {
        source->options.emu = options;
        return true;
    }
    switch (error) {
    case -ENOSPC: return complain(source, "--%s: at most %d can be given", name, EMU_MAX_POLICIES);
    default: break;
    }
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (strcmp(name, hints[i].name) == 0)
            return complain(source, "bad value in --%s=%.200s: %s", name, value, hints[i].text);
    }
    return complain(source, "bad value in --%s=%.200s", name, value);
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

static bool set_timeout(struct source *source, const char *value)
{
    const uint64_t ns = duration_of(value);

    if (ns == 0)
        return complain(source,
                        "bad value in --timeout=%.200s: give a time above 0 as 10ms, 30s, 5m or "
                        "1h; a number alone is seconds",
                        value);
    source->options.timeout_ns = ns;
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

static bool apply(struct source *source, int id, const char *name, const char *value)
{
    struct run_options *options = &source->options;

    switch (id) {
    case OPTION_CORE: return parse_core_option(source, name, value);
    case OPTION_ALLOW_NATIVE: options->emu.allow_native = true; return true;
    case OPTION_SQUEEZE: return emu_options_parse("squeeze", &options->emu) == 0;
    case OPTION_VERIFY: options->emu.verify = true; return true;
    case OPTION_TIMEOUT: return set_timeout(source, value);
    case OPTION_REPORT:
        if (value != NULL && *value == '\0')
            return complain(source, "--report= needs a file name");
        options->report = true;
        return set_report_file(source, value);
    case OPTION_JSON: options->json = true; return true;
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
    if (!parse_words(source, argc, argv, &end))
        return false;
    source->options.on_command_line = end > 1 && strcmp(argv[1], "--") != 0;
    source->options.program = argv + end;
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
    free(options->report_file);
    options->report_file = NULL;
}
