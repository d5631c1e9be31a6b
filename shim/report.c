/*
 * report.c - the report of a bare preload: SOCKRIG_OPTIONS="report=FILE"
 *
 * Under `sockrig run` the command writes the report. A bare preload has nobody to do it: each
 * process of the session writes the whole of it into FILE when it ends, so the last one's is what
 * stays. One event a line:
 *
 *     refused socket family 40 type 1 errno 95 x2  server[517] server+0x1234
 *     double-close x1  server[517] fd 5 made server+0x120 closed server+0x1300 used server+0x1400
 *     record lost 17 errno 28
 *     left 0 objects, 1 processes
 *
 * Numbers stay numbers: names belong to the command.
 */
#include "shim.h"

#include "finding.h"
#include "raw.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#define LINE_SIZE 512

static const char *const kinds[] = {
    [EMU_REPORT_REFUSED] = "refused ",   [EMU_REPORT_NATIVE] = "native ",
    [EMU_REPORT_SWITCH] = "switched ",   [EMU_REPORT_RESCUED] = "rescued ",
    [EMU_REPORT_BLOCKED] = "blocked ",   [EMU_REPORT_NOBODY] = "nobody ",
    [EMU_REPORT_DISAGREE] = "disagree ", [EMU_REPORT_NO_NET] = "no-net ",
    [EMU_REPORT_ESCAPED] = "escaped ",   [EMU_REPORT_LEFT] = "left ",
};

/* At most `size` bytes of text that may have no end of its own. */
static char *put(char *at, const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    memcpy(at, text, length);
    return at + length;
}

static char *put_number(char *at, const char *name, long value)
{
    return put_decimal(put(at, name, LINE_SIZE), value);
}

static char *put_hex(char *at, uint64_t value)
{
    int shift = 60;

    at = put(at, "+0x", 3);
    while (shift > 0 && (value >> shift) == 0) {
        shift -= 4;
    }
    for (; shift >= 0; shift -= 4) {
        *at++ = "0123456789abcdef"[(value >> shift) & 15];
    }
    return at;
}

static size_t format(const struct emu_report *entry, char *ret_line)
{
    char *at = put(ret_line, entry->kind <= EMU_REPORT_LEFT ? kinds[entry->kind] : "", 16);

    at = put(at, entry->call, sizeof entry->call);
    if (entry->family >= 0) {
        at = put_number(at, " family ", entry->family);
    }
    if (entry->type >= 0) {
        at = put_number(at, " type ", entry->type);
    }
    if (entry->error != 0) {
        at = put_number(at, " errno ", entry->error);
    }
    at = put_number(at, " x", entry->count);
    at = put(at, "  ", 2);
    at = put(at, entry->program, sizeof entry->program);
    at = put_number(at, "[", entry->pid);
    at = put(at, "] ", 2);
    at = put(at, entry->module, sizeof entry->module);
    at = put_hex(at, entry->offset);
    *at++ = '\n';
    return (size_t)(at - ret_line);
}

static const char *const finding_kinds[] = {
    [EMU_FINDING_OPEN] = "open",
    [EMU_FINDING_UNREAD] = "unread",
    [EMU_FINDING_DOUBLE_CLOSE] = "double-close",
    [EMU_FINDING_USE_AFTER_CLOSE] = "use-after-close",
    [EMU_FINDING_SIGPIPE] = "sigpipe",
};

/* The innermost frame of a site. */
static char *put_site(char *at, const char *name, uint32_t number)
{
    const struct emu_site *site = emu_site_get(number);
    const char *path = site ? emu_image_path((uint32_t)(site->frames[0] >> EMU_FRAME_SHIFT)) : NULL;
    const char *slash = path ? strrchr(path, '/') : NULL;

    if (!path) {
        return at;
    }
    at = put(at, name, 16);
    at = put(at, slash ? slash + 1 : path, 72);
    return put_hex(at, site->frames[0] & ((1ull << EMU_FRAME_SHIFT) - 1));
}

static size_t format_finding(const struct emu_finding *finding, char *ret_line)
{
    char *at = put(ret_line, finding_kinds[finding->kind], 16);

    at = put_number(at, " x", finding->count);
    at = put(at, "  ", 2);
    at = put(at, finding->program, sizeof finding->program);
    at = put_number(at, "[", finding->pid);
    at = put(at, "]", 1);
    if (finding->fd >= 0) {
        at = put_number(at, " fd ", finding->fd);
    }
    if (finding->bytes > 0) {
        at = put_number(at, " bytes ", (long)finding->bytes);
    }
    at = put_site(at, " made ", finding->made);
    at = put_site(at, " closed ", finding->closed);
    at = put_site(at, " used ", finding->used);
    *at++ = '\n';
    return (size_t)(at - ret_line);
}

/* What there is now; who writes it is one of the processes. */
static size_t format_left(char *ret_line)
{
    struct emu_session_counts counts;
    char *at;

    emu_session_count(&counts);
    at = put_number(ret_line, "left ", (long)counts.descriptions + counts.bufs + counts.waiters);
    at = put_number(at, " objects, ", counts.processes);
    at = put(at, " processes\n", LINE_SIZE);
    return (size_t)(at - ret_line);
}

/* A recording that isn't there, or isn't whole; else nothing. */
static size_t format_recording(char *ret_line)
{
    struct emu_trace_state state;
    char *at = ret_line;

    emu_trace_look(&state);
    if (!state.on && state.error != 0) {
        at = put_number(at, "record errno ", state.error);
    } else if (state.stopped != 0 || state.lost > 0) {
        at = put_number(at, "record lost ", (long)state.lost);
        at = put_number(at, " errno ", state.error);
    }
    if (at != ret_line) {
        *at++ = '\n';
    }
    return (size_t)(at - ret_line);
}

void report_write(void)
{
    char name[PATH_MAX];
    char line[LINE_SIZE];
    const struct emu_finding *finding;
    const struct emu_report *entry;
    long size = 0;
    long written;
    long fd;

    if (!session_word("report=", name)) {
        return;
    }
    fd = RAW3(SYS_open, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return;
    }
    for (uint32_t i = 0; (entry = emu_report_get(i)) != NULL; i++) {
        written = RAW4(SYS_pwrite64, fd, line, format(entry, line), size);
        size += written > 0 ? written : 0;
    }
    for (uint32_t i = 0; (finding = emu_finding_get(i)) != NULL; i++) {
        written = RAW4(SYS_pwrite64, fd, line, format_finding(finding, line), size);
        size += written > 0 ? written : 0;
    }
    written = RAW4(SYS_pwrite64, fd, line, format_recording(line), size);
    size += written > 0 ? written : 0;
    written = RAW4(SYS_pwrite64, fd, line, format_left(line), size);
    size += written > 0 ? written : 0;
    RAW2(SYS_ftruncate, fd, size);
    RAW1(SYS_close, fd);
}
