/*
 * report.c - the report as text
 *
 *     sockrig: refused 2 calls
 *       socket(AF_INET, SOCK_DGRAM) ENOTSUP ×2   test_http[518] libhttp.so.1+0x4f20
 *       to allow: --policy inet/dgram=native
 *     objects left: 0
 *
 * One section for each kind of event, in the order of `sections`, then findings (findings.c);
 * within one, the order in which the events first happened. Scripts read this: names and order stay
 * as they are.
 */
#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "colour.h"
#include "findings.h"

struct section {
    enum emu_report_kind kind;
    const char *did; /* "sockrig: DID N THINGs" */
    const char *thing;
    const char *things;
};

static const struct section sections[] = {
    { EMU_REPORT_REFUSED, "refused", "call", "calls" },
    { EMU_REPORT_BLOCKED, "refused to start", "program", "programs" },
    { EMU_REPORT_NATIVE, "left to the kernel", "socket", "sockets" },
    { EMU_REPORT_SWITCH, "made native", "channel", "channels" },
    { EMU_REPORT_RESCUED, "rescued bytes", "time", "times" },
    { EMU_REPORT_NOBODY, "found nobody", "time", "times" },
    { EMU_REPORT_DISAGREE, "disagreed with the kernel about", "end", "ends" },
    { EMU_REPORT_LEFT, "left alone", "process", "processes" },
    { EMU_REPORT_INJECTED, "injected", "fault", "faults" },
    { EMU_REPORT_NO_NET, "did without the net in", "process", "processes" },
    { EMU_REPORT_ESCAPED, "caught", "escaped call", "escaped calls" },
};

enum { SECTIONS = sizeof sections / sizeof sections[0], REFUSALS = 2 };

void report_note(struct report_before *ret_before)
{
    const struct emu_report *entry;
    struct emu_session_counts counts;

    *ret_before = (struct report_before){ 0 };
    for (uint32_t i = 0; i < EMU_MAX_REPORTS && (entry = emu_report_get(i)) != NULL; i++)
        ret_before->counts[i] = entry->count;
    emu_session_count(&counts);
    ret_before->joined = counts.processes_joined;
}

void report_collect(struct report *ret_report, const struct report_before *before)
{
    const struct emu_report *entry;

    ret_report->count = 0;
    ret_report->waits = NULL;
    ret_report->findings = NULL;
    for (uint32_t i = 0; i < EMU_MAX_REPORTS && (entry = emu_report_get(i)) != NULL; i++) {
        struct emu_report *copy = &ret_report->entries[ret_report->count];

        *copy = *entry;
        ret_report->lines[ret_report->count][0] = '\0';
        copy->count -= before->counts[i];
        ret_report->count += copy->count > 0;
    }
    emu_session_count(&ret_report->left);
}

uint32_t report_objects_left(const struct report *report)
{
    return report->left.descriptions + report->left.bufs + report->left.waiters;
}

static uint64_t total_of(const struct report *report, enum emu_report_kind kind)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < report->count; i++) {
        if (report->entries[i].kind == (uint32_t)kind)
            total += report->entries[i].count;
    }
    return total;
}

bool report_has_refusals(const struct report *report)
{
    for (int i = 0; i < REFUSALS; i++) {
        if (total_of(report, sections[i].kind) > 0)
            return true;
    }
    return false;
}

bool report_has_faults(const struct report *report)
{
    return total_of(report, EMU_REPORT_DISAGREE) > 0 ||
           (report->left.processes == 0 && report_objects_left(report) > 0);
}

/* What was done to the call: --inject. */
static void print_injected(const struct emu_report *entry, FILE *file)
{
    char name[REPORT_NAME];

    switch (entry->family) {
    case EMU_INJECT_ERROR: fprintf(file, " %s", report_errno_name(entry->error, name)); break;
    case EMU_INJECT_RETVAL: fprintf(file, " = %d", entry->type); break;
    case EMU_INJECT_SIGNAL: fprintf(file, " %s", report_signal_name(entry->type, name)); break;
    case EMU_INJECT_CLOSE: fputs(" peer closed", file); break;
    case EMU_INJECT_RESET: fputs(" peer reset", file); break;
    default: fputs(" delayed", file); break;
    }
}

/* What the call was about: a type of socket and an errno, or an address. */
static void print_subject(const struct emu_report *entry, FILE *file)
{
    char family[REPORT_NAME], type[REPORT_NAME], error[REPORT_NAME];

    if (entry->kind == EMU_REPORT_INJECTED) {
        print_injected(entry, file);
        return;
    }
    if (entry->kind == EMU_REPORT_NOBODY) {
        fprintf(file, " vsock %u:%u", (uint32_t)entry->type, (uint32_t)entry->error);
        return;
    }
    if (entry->family >= 0) {
        fprintf(file, "(%s", report_family_name(entry->family, family));
        if (entry->type >= 0)
            fprintf(file, ", %s", report_type_name(entry->type, type));
        fputc(')', file);
    }
    if (entry->error != 0)
        fprintf(file, " %s", report_errno_name(entry->error, error));
}

static void print_entry(const struct emu_report *entry, const char *line, FILE *file)
{
    fprintf(file, "  %.*s", (int)sizeof entry->call, entry->call);
    print_subject(entry, file);
    fprintf(file, " ×%u   %.*s[%d]", entry->count, (int)sizeof entry->program, entry->program,
            entry->pid);
    if (line[0] != '\0')
        fprintf(file, " %s", line);
    else if (entry->module[0] != '\0')
        fprintf(file, " %.*s+0x%llx", (int)sizeof entry->module, entry->module,
                (unsigned long long)entry->offset);
    fputc('\n', file);
}

/* "inet/dgram" as --policy writes it. Returns false when there is no such policy to name. */
static bool policy_name(const struct emu_report *entry, char *ret_text, size_t size)
{
    char family[REPORT_NAME], type[REPORT_NAME];

    if (entry->kind != EMU_REPORT_REFUSED || entry->family < 0)
        return false;
    const char *family_name = report_family_name(entry->family, family);
    if (strncmp(family_name, "AF_", 3) != 0)
        return false;
    snprintf(ret_text, size, "%s", family_name + 3);
    if (entry->type >= 0) {
        const char *type_name = report_type_name(entry->type, type);

        if (strncmp(type_name, "SOCK_", 5) != 0)
            return false;
        snprintf(ret_text, size, "%s/%s", family_name + 3, type_name + 5);
    }
    for (char *letter = ret_text; *letter != '\0'; letter++)
        *letter = (char)tolower((unsigned char)*letter);
    return true;
}

#define REMEDY_SIZE (2 * REPORT_NAME + 32)

/*
 * The option that would have let it happen: "--policy inet/dgram=native". No hint sends AF_VSOCK to
 * a hypervisor: there it is what Linux says where no transport has datagrams. Returns false when
 * there is none to name.
 */
static bool remedy_of(const struct emu_report *entry, char *ret_text, size_t size)
{
    char name[2 * REPORT_NAME];

    if (entry->kind == EMU_REPORT_REFUSED && strcmp(entry->call, "connect") == 0) {
        snprintf(ret_text, size, "--host-unix=allow");
        return true;
    }
    if (!policy_name(entry, name, sizeof name))
        return false;
    if (entry->family == AF_VSOCK && entry->error != ENOTSUP)
        return false; /* it was asked for */
    snprintf(ret_text, size, "--policy %s=%s", name,
             entry->family == AF_VSOCK ? "ENODEV" : "native");
    return true;
}

static bool said_before(const struct report *report, uint32_t index, const char *remedy)
{
    char earlier[REMEDY_SIZE];

    for (uint32_t i = 0; i < index; i++) {
        if (remedy_of(&report->entries[i], earlier, sizeof earlier) && strcmp(earlier, remedy) == 0)
            return true;
    }
    return false;
}

static void print_hint(const struct report *report, FILE *file)
{
    bool started = false;
    char remedy[REMEDY_SIZE];

    for (uint32_t i = 0; i < report->count; i++) {
        if (!remedy_of(&report->entries[i], remedy, sizeof remedy) ||
            said_before(report, i, remedy))
            continue;
        fprintf(file, "%s %s", started ? "" : "  to allow:", remedy);
        started = true;
    }
    if (started)
        fputc('\n', file);
}

static void print_section(const struct report *report, const struct section *section, FILE *file)
{
    const uint64_t total = total_of(report, section->kind);

    if (total == 0)
        return;
    fprintf(file, "%ssockrig: %s %llu %s%s\n",
            colour_of(file, section - sections < REFUSALS ? COLOUR_ERROR : COLOUR_NOTE),
            section->did, (unsigned long long)total, total == 1 ? section->thing : section->things,
            colour_of(file, COLOUR_NONE));
    for (uint32_t i = 0; i < report->count; i++) {
        if (report->entries[i].kind == (uint32_t)section->kind)
            print_entry(&report->entries[i], report->lines[i], file);
    }
    if (section->kind == EMU_REPORT_REFUSED)
        print_hint(report, file);
}

void report_print_refusals(const struct report *report, FILE *file)
{
    for (int i = 0; i < REFUSALS; i++)
        print_section(report, &sections[i], file);
}

void report_print_injected(const struct report *report, FILE *file)
{
    for (int i = 0; i < SECTIONS; i++) {
        if (sections[i].kind == EMU_REPORT_INJECTED)
            print_section(report, &sections[i], file);
    }
}

void report_print_audit(const struct report *report, FILE *file)
{
    const struct section *section = &sections[SECTIONS - 1];

    if (total_of(report, section->kind) == 0)
        fprintf(file, "sockrig: %s 0 %s\n", section->did, section->things);
    else
        print_section(report, section, file);
}

bool report_seed(uint64_t *ret_seed)
{
    static struct emu_options options; /* large */

    if (!emu_session_attached())
        return false;
    emu_session_get_options(&options);
    if (!emu_options_draw(&options))
        return false;
    *ret_seed = options.seed;
    return true;
}

void report_print(const struct report *report, FILE *file)
{
    uint64_t seed;

    for (int i = 0; i < SECTIONS; i++)
        print_section(report, &sections[i], file);
    if (report->findings != NULL)
        findings_print(report->findings, true, file);
    if (report_seed(&seed))
        fprintf(file, "seed: %llu\n", (unsigned long long)seed);
    fprintf(file, "processes joined: %u\n", report->left.processes_joined);
    fprintf(file, "processes left: %u\n", report->left.processes);
    fprintf(file, "objects left: %u\n", report_objects_left(report));
}
