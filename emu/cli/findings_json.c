/*
 * findings_json.c - findings as JSON: members of the report's object (report_json.c)
 *
 *     "findings": [{"kind": "double-close", "error": true, "object": "pipe reader",
 *                   "call": "close", "fd": 5, "count": 1, "bytes": 0, "program": "server",
 *                   "pid": 412, "made": [{"module": "server", "offset": 4660,
 *                   "function": "open_log", "line": "server.c:12"}, ...], "closed": [...],
 *                   "used": [...]}, ...],
 *     "findings_lost": 0, "suppressed": 0, "unused_suppressions": [{"file": "x", "line": 3}]
 *
 * What isn't known is left out of a finding; a stack that isn't is empty.
 */
#include "findings.h"

#include <inttypes.h>

#include "report.h"

static void print_finding(const struct finding *finding, FILE *file)
{
    fprintf(file, "{\"kind\": \"%s\", \"error\": %s, \"object\": \"%s\"",
            findings_kind_name(finding->kind), findings_is_error(finding) ? "true" : "false",
            findings_object_name(finding->object));
    if (finding->call[0] != '\0')
        report_print_json_member(file, "call", finding->call, sizeof finding->call);
    if (finding->fd >= 0)
        fprintf(file, ", \"fd\": %d", finding->fd);
    fprintf(file, ", \"count\": %u, \"bytes\": %" PRIu64, finding->count, finding->bytes);
    report_print_json_member(file, "program", finding->program, sizeof finding->program);
    fprintf(file, ", \"pid\": %d, \"at_exit\": %s", finding->pid,
            finding->at_exit ? "true" : "false");
    if (finding->other_pid != 0)
        fprintf(file, ", \"other_pid\": %d", finding->other_pid);
    if (finding->other[0] != '\0')
        report_print_json_member(file, "other_program", finding->other, sizeof finding->other);
    report_print_json_stack(file, "made", &finding->made);
    report_print_json_stack(file, "closed", &finding->closed);
    report_print_json_stack(file, "used", &finding->used);
    fputc('}', file);
}

void findings_print_json(const struct findings *findings, FILE *file)
{
    const struct suppressions *suppressions = findings->suppressions;
    const char *between = "";

    fputs(", \"findings\": [", file);
    for (size_t i = 0; i < findings->count; i++) {
        fputs(i > 0 ? ", " : "", file);
        print_finding(&findings->list[i], file);
    }
    fprintf(file, "], \"findings_lost\": %u, \"suppressed\": %" PRIu64, findings->lost,
            findings->suppressed);
    fputs(", \"unused_suppressions\": [", file);
    for (size_t i = 0; suppressions != NULL && i < suppressions->count; i++) {
        if (suppressions->rules[i].matched > 0)
            continue;
        fprintf(file, "%s{\"file\": ", between);
        report_print_json_string(file, suppressions->path, SUPPRESSIONS_MESSAGE);
        fprintf(file, ", \"line\": %d}", suppressions->rules[i].line);
        between = ", ";
    }
    fputc(']', file);
}
