/*
 * options.c - the options of `sockrig trace`: strace's, where strace has them
 */
#include "trace/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

const char trace_options_help[] =
    "usage: sockrig trace [OPTIONS] DIR\n"
    "\n"
    "Shows what `sockrig run --record DIR` has recorded. Without -f, of the first task alone.\n"
    "\n"
    "As in strace:\n"
    "  -f                 all processes and threads\n"
    "  -t, -tt, -ttt      time of day; with microseconds; as seconds since 1970\n"
    "  -r                 time since the line before\n"
    "  -T                 time spent in each call\n"
    "  -y, -yy            what descriptors stand for; both ends of sockets, and their addresses\n"
    "  -s N               at most N bytes of each string and elements of each array      [32]\n"
    "  -x, -xx            strings that aren't ASCII, or all strings, in hexadecimal\n"
    "  -a COLUMN          column of the results                                          [40]\n"
    "  -e EXPR            trace=CALLS (names, %desc, %network, %process, /REGEX, all, none;\n"
    "                     !CALLS: all others), signal=none, status=successful|failed,\n"
    "                     trace-fds=FDS\n"
    "  -z, -Z             calls that succeeded; that failed\n"
    "  -q, -qq            no line for each new task; nor for each exit\n"
    "  -o FILE            into FILE, each line with its pid in front\n"
    "More filters (FDS and others are numbers, parted by commas; !N: all others):\n"
    "  --fd FDS           calls about these descriptors\n"
    "  --object IDS       ... about these channels, as -y numbers them\n"
    "  --task IDS         ... of these processes or threads\n"
    "  --from T, --to T   ... that ran then: since the recording began, as 1.5, 20ms, 300us\n"
    "Forms:\n"
    "  --format text      strace's text, the default\n"
    "  --format json      JSON Lines: an object for each call of all tasks\n"
    "  --format html      one page with a sequence diagram of all tasks\n"
    "  --script           a log that `sockrig interpret` and `sockrig shrink` take\n"
    "\n"
    "Exit code: 0; 125 when the recording can't be read.\n";

/* ---- Values ---- */

static const char *parse_size(const char *text, size_t *ret_size)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-')
        return "wants a number";
    *ret_size = (size_t)value;
    return NULL;
}

static const char *parse_time(const char *text, uint64_t *ret_ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = { { "", 1e9 }, { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 } };
    char *end;
    const double value = strtod(text, &end);

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (end != text && strcmp(end, units[i].unit) == 0 && value >= 0 && value < 1e9) {
            *ret_ns = (uint64_t)(value * units[i].ns);
            return NULL;
        }
    }
    return "wants a time such as 1.5, 20ms, 300us";
}

static const char *parse_format(const char *text, enum trace_format *ret_format)
{
    if (strcmp(text, "text") == 0)
        *ret_format = FORMAT_TEXT;
    else if (strcmp(text, "json") == 0)
        *ret_format = FORMAT_JSON;
    else if (strcmp(text, "html") == 0)
        *ret_format = FORMAT_HTML;
    else
        return "wants text, json or html";
    return NULL;
}

/* ---- Options ---- */

enum {
    OPTION_FORMAT = 256,
    OPTION_SCRIPT,
    OPTION_FD,
    OPTION_OBJECT,
    OPTION_TASK,
    OPTION_FROM,
    OPTION_TO,
    OPTION_HELP
};

/* clang-format off */
static const struct option longs[] = {
    { "format", required_argument, NULL, OPTION_FORMAT },
    { "script", no_argument, NULL, OPTION_SCRIPT },
    { "fd", required_argument, NULL, OPTION_FD },
    { "trace-fds", required_argument, NULL, OPTION_FD },
    { "object", required_argument, NULL, OPTION_OBJECT },
    { "task", required_argument, NULL, OPTION_TASK },
    { "from", required_argument, NULL, OPTION_FROM },
    { "to", required_argument, NULL, OPTION_TO },
    { "trace", required_argument, NULL, 'e' },
    { "follow-forks", no_argument, NULL, 'f' },
    { "string-limit", required_argument, NULL, 's' },
    { "output", required_argument, NULL, 'o' },
    { "columns", required_argument, NULL, 'a' },
    { "successful-only", no_argument, NULL, 'z' },
    { "failed-only", no_argument, NULL, 'Z' },
    { "help", no_argument, NULL, OPTION_HELP },
    { NULL, 0, NULL, 0 },
};
/* clang-format on */

static const char *parse_column(const char *text, unsigned *ret_column)
{
    size_t value = 0;
    const char *wrong = parse_size(text, &value);

    *ret_column = value < 1000 ? (unsigned)value : 1000;
    return wrong;
}

/* A letter of strace's. */
static const char *take_letter(struct text_options *text, int letter, char *value)
{
    switch (letter) {
    case 'f': text->follow = true; break;
    case 't': text->time += text->time < TIME_UNIX; break;
    case 'r': text->relative = true; break;
    case 'T': text->spent = true; break;
    case 'y': text->paths++; break;
    case 'x': text->quoting += text->quoting < QUOTE_HEX; break;
    case 'z': text->filter.successful = true; break;
    case 'Z': text->filter.failed = true; break;
    case 'q': text->quiet++; break;
    case 's': return parse_size(value, &text->string_limit);
    case 'a': return parse_column(value, &text->column);
    case 'e': return filter_parse(&text->filter, value);
    default: return "isn't known";
    }
    return NULL;
}

static const char *take(struct trace_options *options, int option, char *value)
{
    struct filter *filter = &options->text.filter;

    switch (option) {
    case OPTION_FORMAT: return parse_format(value, &options->format);
    case OPTION_SCRIPT: options->text.script = true; return NULL;
    case OPTION_FD: return filter_parse_numbers(&filter->fds, value);
    case OPTION_OBJECT: return filter_parse_numbers(&filter->objects, value);
    case OPTION_TASK: return filter_parse_numbers(&filter->tasks, value);
    case OPTION_FROM: return parse_time(value, &filter->from_ns);
    case OPTION_TO: return parse_time(value, &filter->to_ns);
    case OPTION_HELP: options->help = true; return NULL;
    case 'o':
        options->output = value;
        options->text.pid_first = true;
        return NULL;
    default: return take_letter(&options->text, option, value);
    }
}

/* Whoever replays a log needs all of it, and nothing else. */
static void make_script(struct text_options *text)
{
    text->follow = true;
    text->pid_first = true;
    text->string_limit = SIZE_MAX;
    if (text->quoting == QUOTE_OCTAL)
        text->quoting = QUOTE_HEX_IF_NEEDED;
}

/* "-e", or "--fd": as the user has written it. */
static void name_option(int option, char *ret_name, size_t size)
{
    for (size_t i = 0; option >= OPTION_FORMAT && longs[i].name != NULL; i++) {
        if (longs[i].val == option) {
            snprintf(ret_name, size, "--%s", longs[i].name);
            return;
        }
    }
    snprintf(ret_name, size, "-%c", option);
}

static bool finish(struct trace_options *options, int argc, char **argv, char *ret_message)
{
    const struct text_options *text = &options->text;
    const char *wrong = NULL;

    if (options->help)
        return true;
    if (optind + 1 != argc)
        wrong = optind == argc ? "no recording is named" : "one recording at a time";
    else if (text->script && options->format != FORMAT_TEXT)
        wrong = "--script has a form of its own";
    else if (text->script && (text->time != TIME_NONE || text->relative || text->spent))
        wrong = "a script has no times";
    else if (text->filter.successful && text->filter.failed)
        wrong = "-z and -Z together leave nothing";
    if (wrong != NULL) {
        snprintf(ret_message, TRACE_OPTIONS_MESSAGE, "%s", wrong);
        return false;
    }
    options->path = argv[optind];
    if (text->script)
        make_script(&options->text);
    return true;
}

bool trace_options_parse(int argc, char **argv, struct trace_options *ret_options,
                         char *ret_message)
{
    int option;

    *ret_options = (struct trace_options){
        .text = { .string_limit = 32, .column = 40, .filter = { .to_ns = UINT64_MAX } }
    };
    opterr = 0;
    while ((option = getopt_long(argc, argv, "ftrTyxzZqs:a:e:o:", longs, NULL)) != -1) {
        char name[32];
        const char *wrong;

        if (option == '?' || option == ':') {
            snprintf(ret_message, TRACE_OPTIONS_MESSAGE, "'%.100s' isn't known, or wants a value",
                     argv[optind - 1]);
            return false;
        }
        wrong = take(ret_options, option, optarg);
        if (wrong != NULL) {
            name_option(option, name, sizeof name);
            snprintf(ret_message, TRACE_OPTIONS_MESSAGE, "%s%s%.100s: %s", name,
                     optarg != NULL ? " " : "", optarg != NULL ? optarg : "", wrong);
            return false;
        }
    }
    return finish(ret_options, argc, argv, ret_message);
}

void trace_options_fini(struct trace_options *options)
{
    filter_fini(&options->text.filter);
}
