/*
 * report_json.c - the report as JSON: one object on one line
 *
 *     {"version": "0.1.0",
 *      "events": [{"kind": "refused", "call": "socket", "family": "AF_INET", "type": "SOCK_DGRAM",
 *                  "errno": "ENOTSUP", "count": 2, "program": "test_http", "pid": 518,
 *                  "module": "libhttp.so.1", "offset": 20256},
 *                 {"kind": "nobody", "call": "connect", "family": "AF_VSOCK", "cid": 2,
 *                  "port": 6789, "count": 1, ...}, ...],
 *      "processes": {"joined": 3, "left": 0},
 *      "left": {"descriptions": 0, "bufs": 0, "waiters": 0, "objects": 0},
 *      "timeout": {...}}
 *
 * Findings (findings_json.c) stand behind it. "timeout" is there when the time limit ended the run,
 * "deadlock" or "hang" when one was found: waits/json.c.
 *
 * What isn't known is left out of its event. Names of files and programs are bytes, not text: what
 * isn't UTF-8 in them becomes U+FFFD, so that the output is always JSON (RFC 8259, 8.1).
 */
#include "report.h"

#include <inttypes.h>
#include <string.h>

#include "findings.h"
#include "waits/waits.h"

/* Bytes of the UTF-8 sequence that `text` begins with, 0: none. (Unicode 15, table 3-7.) */
static size_t sequence_length(const unsigned char *text, size_t size)
{
    const unsigned char first = text[0];
    const size_t length = first < 0x80   ? 1
                          : first < 0xc2 ? 0
                          : first < 0xe0 ? 2
                          : first < 0xf0 ? 3
                          : first < 0xf5 ? 4
                                         : 0;

    if (length == 0 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f) ||
        (first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

void report_print_json_string(FILE *file, const char *text, size_t max)
{
    const unsigned char *bytes = (const unsigned char *)text;
    const size_t size = strnlen(text, max);

    fputc('"', file);
    for (size_t i = 0; i < size;) {
        const size_t length = sequence_length(bytes + i, size - i);

        if (length == 0)
            fputs("\\ufffd", file);
        else if (bytes[i] < 0x20 || bytes[i] == 0x7f)
            fprintf(file, "\\u%04x", bytes[i]);
        else if (bytes[i] == '"' || bytes[i] == '\\')
            fprintf(file, "\\%c", bytes[i]);
        else
            fwrite(bytes + i, 1, length, file);
        i += length > 0 ? length : 1;
    }
    fputc('"', file);
}

void report_print_json_member(FILE *file, const char *name, const char *text, size_t max)
{
    fprintf(file, ", \"%s\": ", name);
    report_print_json_string(file, text, max);
}

void report_print_json_stack(FILE *file, const char *name, const struct callsite *site)
{
    fprintf(file, ", \"%s\": [", name);
    for (size_t i = 0; i < site->count; i++) {
        const struct callsite_frame *frame = &site->frames[i];
        const struct source_place *source = &frame->source;

        fprintf(file, "%s{\"offset\": %" PRIu64, i > 0 ? ", " : "", frame->offset);
        report_print_json_member(file, "module", frame->module, sizeof frame->module);
        if (source->function[0] != '\0')
            report_print_json_member(file, "function", source->function, sizeof source->function);
        if (source->line[0] != '\0')
            report_print_json_member(file, "line", source->line, sizeof source->line);
        fputc('}', file);
    }
    fputc(']', file);
}

static const char *kind_name(uint32_t kind)
{
    switch ((enum emu_report_kind)kind) {
    case EMU_REPORT_REFUSED: return "refused";
    case EMU_REPORT_NATIVE: return "native";
    case EMU_REPORT_SWITCH: return "switch";
    case EMU_REPORT_RESCUED: return "rescued";
    case EMU_REPORT_BLOCKED: return "blocked";
    case EMU_REPORT_NOBODY: return "nobody";
    case EMU_REPORT_DISAGREE: return "disagree";
    case EMU_REPORT_NO_NET: return "no-net";
    case EMU_REPORT_LEFT: return "left";
    case EMU_REPORT_ESCAPED: return "escaped";
    case EMU_REPORT_INJECTED: return "injected";
    }
    return "unknown";
}

/* "fault": what --inject did to the call, and with what. */
static void print_fault(const struct emu_report *entry, FILE *file)
{
    const char *fault = entry->family == EMU_INJECT_ERROR    ? "error"
                        : entry->family == EMU_INJECT_RETVAL ? "retval"
                        : entry->family == EMU_INJECT_SIGNAL ? "signal"
                        : entry->family == EMU_INJECT_CLOSE  ? "peer-close"
                        : entry->family == EMU_INJECT_RESET  ? "peer-reset"
                        : entry->family == EMU_INJECT_ENTER  ? "delay-enter"
                                                             : "delay-exit";

    report_print_json_member(file, "fault", fault, REPORT_NAME);
    if (entry->type >= 0)
        fprintf(file, ", \"%s\": %d", fault, entry->type);
}

/* What it was about: a type of socket, or an address of AF_VSOCK. */
static void print_subject(const struct emu_report *entry, FILE *file)
{
    char name[REPORT_NAME];

    if (entry->kind == EMU_REPORT_INJECTED) {
        print_fault(entry, file);
        return;
    }
    if (entry->family >= 0)
        report_print_json_member(file, "family", report_family_name(entry->family, name),
                                 REPORT_NAME);
    if (entry->kind == EMU_REPORT_NOBODY)
        fprintf(file, ", \"cid\": %u, \"port\": %u", (uint32_t)entry->type, (uint32_t)entry->error);
    else if (entry->type >= 0)
        report_print_json_member(file, "type", report_type_name(entry->type, name), REPORT_NAME);
}

static void print_event(const struct emu_report *entry, const char *line, FILE *file)
{
    char name[REPORT_NAME];

    fprintf(file, "{\"kind\": \"%s\"", kind_name(entry->kind));
    report_print_json_member(file, "call", entry->call, sizeof entry->call);
    print_subject(entry, file);
    if (entry->error != 0 && entry->kind != EMU_REPORT_NOBODY)
        report_print_json_member(file, "errno", report_errno_name(entry->error, name), REPORT_NAME);
    fprintf(file, ", \"count\": %u", entry->count);
    report_print_json_member(file, "program", entry->program, sizeof entry->program);
    fprintf(file, ", \"pid\": %d", entry->pid);
    if (entry->module[0] != '\0') {
        report_print_json_member(file, "module", entry->module, sizeof entry->module);
        fprintf(file, ", \"offset\": %llu", (unsigned long long)entry->offset);
    }
    if (line[0] != '\0')
        report_print_json_member(file, "line", line, REPORT_LINE);
    fputc('}', file);
}

void report_print_json(const struct report *report, FILE *file)
{
    static const char *const causes[] = {
        [WAITS_TIME] = "timeout", [WAITS_DEADLOCK] = "deadlock", [WAITS_HANG] = "hang"
    };
    const struct emu_session_counts *left = &report->left;
    uint64_t seed;

    fprintf(file, "{\"version\": \"%s\", \"events\": [", SOCKRIG_VERSION);
    for (uint32_t i = 0; i < report->count; i++) {
        if (i > 0)
            fputs(", ", file);
        print_event(&report->entries[i], report->lines[i], file);
    }
    fputc(']', file);
    if (report_seed(&seed))
        fprintf(file, ", \"seed\": %llu", (unsigned long long)seed);
    fprintf(file, ", \"processes\": {\"joined\": %u, \"left\": %u}", left->processes_joined,
            left->processes);
    fprintf(file, ", \"left\": {\"descriptions\": %u, \"bufs\": %u, \"waiters\": %u",
            left->descriptions, left->bufs, left->waiters);
    fprintf(file, ", \"objects\": %u}", report_objects_left(report));
    if (report->findings != NULL)
        findings_print_json(report->findings, file);
    if (report->waits != NULL) {
        fprintf(file, ", \"%s\": ", causes[report->waits->cause]);
        waits_print_json(report->waits, file);
    }
    fputs("}\n", file);
}
