/*
 * findings.c - see findings.h: what findings are called, and as text
 *
 *     sockrig: closed twice 1 descriptor
 *       close(5) EBADF ×1   server[412]   pipe reader
 *          made    server.c:12  open_log
 *                  server.c:88  main
 *          closed  server.c:40  end_log
 *                  server.c:90  main
 *          used    server.c:41  end_log
 *                  server.c:95  main
 *
 * One section for each kind; in a finding, a line for each frame of each stack. Scripts read this:
 * names and order stay as they are.
 */
#include "findings.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "colour.h"

#define PLACE_ROOM 96
#define WIDEST     40 /* of the column of places */

struct section {
    enum emu_finding_kind kind;
    bool error;
    const char *name;
    const char *did; /* "sockrig: DID N THINGs" */
    const char *thing;
    const char *things;
};

static const struct section sections[] = {
    { EMU_FINDING_DOUBLE_CLOSE, true, "double-close", "closed twice", "descriptor", "descriptors" },
    { EMU_FINDING_USE_AFTER_CLOSE, true, "use-after-close", "used after close", "descriptor",
      "descriptors" },
    { EMU_FINDING_UNREAD, true, "unread", "dropped unread bytes", "time", "times" },
    { EMU_FINDING_SIGPIPE, true, "sigpipe", "died of SIGPIPE", "process", "processes" },
    { EMU_FINDING_OPEN, false, "open", "left open", "descriptor", "descriptors" },
};

#define SECTIONS (sizeof sections / sizeof sections[0])
static_assert(SECTIONS == EMU_FINDING_KINDS, "one for each kind");

static const struct section *section_of(enum emu_finding_kind kind)
{
    size_t i = 0;

    while (sections[i].kind != kind)
        i++;
    return &sections[i];
}

const char *findings_kind_name(enum emu_finding_kind kind)
{
    return section_of(kind)->name;
}

const char *findings_object_name(enum emu_object object)
{
    switch (object) {
    case EMU_OBJECT_UNKNOWN: break;
    case EMU_OBJECT_PIPE_READER: return "pipe reader";
    case EMU_OBJECT_PIPE_WRITER: return "pipe writer";
    case EMU_OBJECT_STREAM: return "stream";
    case EMU_OBJECT_SEQPACKET: return "seqpacket";
    case EMU_OBJECT_VSOCK_STREAM: return "vsock stream";
    case EMU_OBJECT_VSOCK_SEQPACKET: return "vsock seqpacket";
    case EMU_OBJECT_EPOLL: return "epoll";
    case EMU_OBJECT_DEVICE: return "/dev/vsock";
    }
    return "descriptor";
}

/* Who ends a pipeline early does so to its standard output's reader, and input's writer. */
static bool is_pipeline(const struct finding *finding)
{
    return (finding->kind == EMU_FINDING_UNREAD || finding->kind == EMU_FINDING_SIGPIPE) &&
           finding->fd >= 0 && finding->fd <= 2;
}

bool findings_is_error(const struct finding *finding)
{
    return section_of(finding->kind)->error && !is_pipeline(finding) && !finding->doubtful;
}

bool findings_have_errors(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (findings_is_error(&findings->list[i]))
            return true;
    }
    return false;
}

void findings_fini(struct findings *findings)
{
    free(findings->list);
    findings->list = NULL;
    findings->count = 0;
}

/* ---- Text ---- */

/* "proxy.c:88", or "proxy+0x1204" where the lines aren't known. */
static void place_text(const struct callsite_frame *frame, char *ret_text)
{
    if (frame->source.line[0] != '\0')
        snprintf(ret_text, PLACE_ROOM, "%s", frame->source.line);
    else
        snprintf(ret_text, PLACE_ROOM, "%.*s+0x%" PRIx64, CALLSITE_MODULE, frame->module,
                 frame->offset);
}

static int widest_place(const struct finding *finding)
{
    const struct callsite *const sites[] = { &finding->made, &finding->closed, &finding->used };
    char place[PLACE_ROOM];
    int widest = 0;

    for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++) {
        for (size_t at = 0; at < sites[i]->count; at++) {
            place_text(&sites[i]->frames[at], place);
            const int width = (int)strlen(place);

            widest = width > widest && width <= WIDEST ? width : widest;
        }
    }
    return widest;
}

static void print_stack(const char *label, const struct callsite *site, int width, FILE *file)
{
    char place[PLACE_ROOM];

    for (size_t i = 0; i < site->count; i++) {
        const char *function = site->frames[i].source.function;

        place_text(&site->frames[i], place);
        fprintf(file, "     %s%-6s%s  ", colour_of(file, COLOUR_FAINT), i == 0 ? label : "",
                colour_of(file, COLOUR_NONE));
        if (function[0] != '\0')
            fprintf(file, "%-*s  %s\n", width, place, function);
        else
            fprintf(file, "%s\n", place);
    }
}

static void print_unread(const struct finding *finding, FILE *file)
{
    if (finding->bytes > 0)
        fprintf(file, "   %" PRIu64 " byte%s unread", finding->bytes,
                finding->bytes == 1 ? "" : "s");
}

/* Of what is open: who has the other end. */
static void print_other_end(const struct finding *finding, FILE *file)
{
    if (finding->object >= EMU_OBJECT_EPOLL)
        return;
    if (finding->other_pid == 0)
        fputs("   other end: closed", file);
    else if (finding->other_pid == finding->pid)
        fputs("   other end: open, too", file);
    else
        fprintf(file, "   other end: process %d", finding->other_pid);
}

static void print_subject(const struct finding *finding, FILE *file)
{
    const char *object = findings_object_name(finding->object);

    switch (finding->kind) {
    case EMU_FINDING_DOUBLE_CLOSE:
    case EMU_FINDING_USE_AFTER_CLOSE:
        fprintf(file, "  %s(%d) EBADF", finding->call, finding->fd);
        break;
    case EMU_FINDING_OPEN: fprintf(file, "  fd %d %s", finding->fd, object); break;
    case EMU_FINDING_SIGPIPE:
    case EMU_FINDING_UNREAD:
    case EMU_FINDING_KINDS:
        fputs("  ", file);
        if (finding->fd >= 0)
            fprintf(file, "fd %d ", finding->fd);
        fputs(object, file);
        break;
    }
    fprintf(file, " ×%u   %s[%d]", finding->count, finding->program, finding->pid);
    switch (finding->kind) {
    case EMU_FINDING_DOUBLE_CLOSE:
    case EMU_FINDING_USE_AFTER_CLOSE: fprintf(file, "   %s", object); break;
    case EMU_FINDING_OPEN: print_other_end(finding, file); break;
    case EMU_FINDING_SIGPIPE:
        if (finding->other_pid != 0)
            fprintf(file, "   other end closed %s %s[%d]",
                    finding->at_exit ? "by the end of" : "by", finding->other, finding->other_pid);
        break;
    case EMU_FINDING_UNREAD:
    case EMU_FINDING_KINDS: break;
    }
    print_unread(finding, file);
    fputc('\n', file);
}

static void print_finding(const struct finding *finding, FILE *file)
{
    const int width = widest_place(finding);

    print_subject(finding, file);
    print_stack("made", &finding->made, width, file);
    print_stack("closed", &finding->closed, width, file);
    if (finding->kind == EMU_FINDING_UNREAD && finding->at_exit)
        fprintf(file, "     %sclosed%s  by the end of the process\n", colour_of(file, COLOUR_FAINT),
                colour_of(file, COLOUR_NONE));
    print_stack(finding->kind == EMU_FINDING_DOUBLE_CLOSE ? "again" : "used", &finding->used, width,
                file);
}

static bool belongs(const struct finding *finding, const struct section *section, bool all)
{
    return finding->kind == section->kind && (all || findings_is_error(finding));
}

static void print_section(const struct findings *findings, const struct section *section, bool all,
                          FILE *file)
{
    uint64_t total = 0;

    for (size_t i = 0; i < findings->count; i++)
        total += belongs(&findings->list[i], section, all) ? findings->list[i].count : 0;
    if (total == 0)
        return;
    fprintf(file, "%ssockrig: %s %" PRIu64 " %s%s\n",
            colour_of(file, section->error ? COLOUR_ERROR : COLOUR_NOTE), section->did, total,
            total == 1 ? section->thing : section->things, colour_of(file, COLOUR_NONE));
    for (size_t i = 0; i < findings->count; i++) {
        if (belongs(&findings->list[i], section, all))
            print_finding(&findings->list[i], file);
    }
}

static void print_rules(const struct findings *findings, FILE *file)
{
    const struct suppressions *suppressions = findings->suppressions;

    if (findings->suppressed > 0)
        fprintf(file, "suppressed: %" PRIu64 "\n", findings->suppressed);
    for (size_t i = 0; suppressions != NULL && i < suppressions->count; i++) {
        if (suppressions->rules[i].matched == 0)
            fprintf(file, "%s:%d: this rule has suppressed nothing\n", suppressions->path,
                    suppressions->rules[i].line);
    }
}

void findings_print(const struct findings *findings, bool all, FILE *file)
{
    for (size_t i = 0; i < SECTIONS; i++)
        print_section(findings, &sections[i], all, file);
    if (findings->lost > 0)
        fprintf(file, "sockrig: and %u more findings, for which there was no room\n",
                findings->lost);
    if (all)
        print_rules(findings, file);
}
