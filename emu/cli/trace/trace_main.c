/*
 * trace_main.c - the command `sockrig trace`: shows a recorded run
 *
 * What it says about the recording itself, that it was cut short or that more tasks are in it, goes
 * to stderr; the output is as if there were nothing to say.
 */
#include "trace/trace_main.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trace/html.h"
#include "trace/json.h"
#include "trace/options.h"

static int fail(const char *message)
{
    fprintf(stderr, "sockrig trace: %s\n", message);
    return 125;
}

/* The last part of the path: what the page is titled. */
static const char *title_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static void print_notes(const struct trace_info *info, size_t hidden)
{
    if (hidden > 0)
        fprintf(stderr, "sockrig trace: %zu more task%s: -f shows %s\n", hidden,
                hidden == 1 ? "" : "s", hidden == 1 ? "it" : "them");
    if (info->stopped == TRACE_STOPPED_SIZE)
        fputs("sockrig trace: the recording ended when --record-size was reached\n", stderr);
    else if (info->stopped == TRACE_STOPPED_SPACE)
        fprintf(stderr, "sockrig trace: the recording ended early: %s\n", strerror(info->error));
    if (info->pieces_torn > 0)
        fprintf(stderr, "sockrig trace: %llu piece%s of it torn\n",
                (unsigned long long)info->pieces_torn, info->pieces_torn == 1 ? " is" : "s are");
}

static int show(struct trace *trace, const struct trace_options *options, FILE *out)
{
    size_t hidden = 0;
    int error = 0;

    switch (options->format) {
    case FORMAT_TEXT: error = text_print(trace, &options->text, out, &hidden); break;
    case FORMAT_JSON: error = json_print(trace, &options->text, out); break;
    case FORMAT_HTML:
        error = html_print(trace, &options->text, title_of(options->path), out);
        break;
    }
    if (error != 0)
        return fail("out of memory");
    if (fflush(out) != 0 || ferror(out))
        return fail(errno == EPIPE ? "the output is closed" : "the output can't be written");
    print_notes(trace_info(trace), hidden);
    return 0;
}

static int show_into(const struct trace_options *options, struct trace *trace)
{
    FILE *out = options->output != NULL ? fopen(options->output, "w") : stdout;
    int result;

    if (out == NULL) {
        fprintf(stderr, "sockrig trace: %s: %s\n", options->output, strerror(errno));
        return 125;
    }
    result = show(trace, options, out);
    if (out != stdout && fclose(out) != 0 && result == 0)
        result = fail("the output can't be written");
    return result;
}

int trace_main(int argc, char **argv)
{
    struct trace_options options;
    char message[TRACE_OPTIONS_MESSAGE];
    struct trace *trace;
    int result;

    if (!trace_options_parse(argc, argv, &options, message)) {
        trace_options_fini(&options);
        fprintf(stderr, "sockrig trace: %s\nTry: sockrig trace --help\n", message);
        return 125;
    }
    if (options.help) {
        fputs(trace_options_help, stdout);
        return 0;
    }
    trace = trace_open(options.path, message, sizeof message);
    if (trace == NULL) {
        trace_options_fini(&options);
        return fail(message);
    }
    if (ends_read(options.path, &options.text.ends, message, sizeof message))
        result = show_into(&options, trace);
    else
        result = fail(message);
    ends_fini(&options.text.ends);
    trace_close(trace);
    trace_options_fini(&options);
    return result;
}
