/*
 * test_report.c - the report's text and JSON: its form is a promise to scripts
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static struct report report;

static struct emu_report *add(enum emu_report_kind kind, const char *call, int family, int type,
                              int error)
{
    struct emu_report *entry = &report.entries[report.count++];

    *entry = (struct emu_report){
        .kind = kind, .count = 1, .pid = 518, .family = family, .type = type, .error = error
    };
    snprintf(entry->call, sizeof entry->call, "%s", call);
    snprintf(entry->program, sizeof entry->program, "test_http");
    snprintf(entry->module, sizeof entry->module, "libhttp.so.1");
    entry->offset = 0x4f20;
    return entry;
}

/* What `print` prints. Valid until the next call. */
static const char *printed(void (*print)(const struct report *, FILE *))
{
    static char *text;
    size_t size = 0;

    free(text);
    FILE *file = open_memstream(&text, &size);
    print(&report, file);
    fclose(file);
    return text;
}

Test(report, nothing_to_say)
{
    cr_expect_str_eq(printed(report_print_refusals), "");
    cr_expect_str_eq(printed(report_print),
                     "processes joined: 0\nprocesses left: 0\nobjects left: 0\n");
    cr_expect(!report_has_refusals(&report));
}

Test(report, refusals_and_their_hint)
{
    add(EMU_REPORT_REFUSED, "socket", AF_INET, SOCK_DGRAM, ENOTSUP)->count = 2;
    add(EMU_REPORT_NATIVE, "socket", AF_INET, SOCK_STREAM, 0);
    add(EMU_REPORT_REFUSED, "socketpair", AF_UNIX, SOCK_DGRAM, ENOTSUP)->module[0] = '\0';
    add(EMU_REPORT_REFUSED, "socket", AF_INET, SOCK_DGRAM, ENOTSUP)->pid = 519;
    cr_expect(report_has_refusals(&report));
    cr_expect_str_eq(
        printed(report_print_refusals),
        "sockrig: refused 4 calls\n"
        "  socket(AF_INET, SOCK_DGRAM) ENOTSUP ×2   test_http[518] libhttp.so.1+0x4f20\n"
        "  socketpair(AF_UNIX, SOCK_DGRAM) ENOTSUP ×1   test_http[518]\n"
        "  socket(AF_INET, SOCK_DGRAM) ENOTSUP ×1   test_http[519] libhttp.so.1+0x4f20\n"
        "  to allow: --policy inet/dgram=native --policy unix/dgram=native\n");
}

Test(report, everything)
{
    add(EMU_REPORT_NATIVE, "socket", AF_INET, SOCK_STREAM, 0);
    add(EMU_REPORT_SWITCH, "splice", -1, -1, 0)->count = 3;
    add(EMU_REPORT_BLOCKED, "execve", -1, -1, EACCES);
    report.left = (struct emu_session_counts){ 4, 1, 2, 3, 1 };
    cr_expect_str_eq(printed(report_print),
                     "sockrig: refused to start 1 program\n"
                     "  execve EACCES ×1   test_http[518] libhttp.so.1+0x4f20\n"
                     "sockrig: left to the kernel 1 socket\n"
                     "  socket(AF_INET, SOCK_STREAM) ×1   test_http[518] libhttp.so.1+0x4f20\n"
                     "sockrig: made native 3 channels\n"
                     "  splice ×3   test_http[518] libhttp.so.1+0x4f20\n"
                     "processes joined: 4\n"
                     "processes left: 1\n"
                     "objects left: 6\n");
}

Test(report, faults_of_the_emulator)
{
    report.left = (struct emu_session_counts){ 4, 1, 2, 3, 1 };
    cr_expect(!report_has_faults(&report), "a process that still runs may hold them");
    report.left.processes = 0;
    cr_expect(report_has_faults(&report));
    report.left = (struct emu_session_counts){ 4, 0, 0, 0, 0 };
    cr_expect(!report_has_faults(&report));
    add(EMU_REPORT_DISAGREE, "end", -1, -1, 0);
    cr_expect(report_has_faults(&report));
}

Test(report, numbers_without_a_name)
{
    add(EMU_REPORT_REFUSED, "socket", 77, 9, 4000);
    cr_expect_str_eq(printed(report_print_refusals),
                     "sockrig: refused 1 call\n"
                     "  socket(77, 9) 4000 ×1   test_http[518] libhttp.so.1+0x4f20\n");
}

Test(report, fields_that_are_full)
{
    struct emu_report *entry = add(EMU_REPORT_REFUSED, "socket", AF_INET, -1, ENOTSUP);

    memset(entry->call, 'c', sizeof entry->call);
    memset(entry->module, 'm', sizeof entry->module);
    memset(entry->program, 'p', sizeof entry->program);
    const char *text = printed(report_print_refusals);
    cr_expect(strstr(text, "cccc(AF_INET) ENOTSUP ×1   pppp") != NULL);
    cr_expect(strstr(text, "mmmm+0x4f20\n  to allow: --policy inet=native\n") != NULL);
}

Test(report, json)
{
    add(EMU_REPORT_REFUSED, "socket", AF_INET, SOCK_DGRAM, ENOTSUP)->count = 2;
    add(EMU_REPORT_SWITCH, "splice", -1, -1, 0)->module[0] = '\0';
    report.left = (struct emu_session_counts){ 4, 1, 2, 3, 1 };
    cr_expect_str_eq(
        printed(report_print_json),
        "{\"version\": \"" SOCKRIG_VERSION "\", \"events\": ["
        "{\"kind\": \"refused\", \"call\": \"socket\", \"family\": \"AF_INET\", "
        "\"type\": \"SOCK_DGRAM\", \"errno\": \"ENOTSUP\", \"count\": 2, "
        "\"program\": \"test_http\", \"pid\": 518, \"module\": \"libhttp.so.1\", "
        "\"offset\": 20256}, "
        "{\"kind\": \"switch\", \"call\": \"splice\", \"count\": 1, \"program\": \"test_http\", "
        "\"pid\": 518}], \"processes\": {\"joined\": 4, \"left\": 1}, "
        "\"left\": {\"descriptions\": 2, \"bufs\": 3, \"waiters\": 1, \"objects\": 6}}\n");
}

Test(report, json_of_strange_names)
{
    struct emu_report *entry = add(EMU_REPORT_SWITCH, "splice", -1, -1, 0);

    strcpy(entry->program, "a\"b\\c\n\x7f");
    /* good: two and four bytes; bad: a lone start, an overlong form, a surrogate, a lone follower
     */
    strcpy(entry->module, "\xc3\xa9 \xf0\x9f\x98\x80 \xc3( \xc0\xaf \xed\xa0\x80 \xbf");
    const char *text = printed(report_print_json);
    cr_expect(strstr(text, "\"program\": \"a\\\"b\\\\c\\u000a\\u007f\"") != NULL, "%s", text);
    cr_expect(strstr(text, "\"module\": \"\xc3\xa9 \xf0\x9f\x98\x80 \\ufffd( \\ufffd\\ufffd "
                           "\\ufffd\\ufffd\\ufffd \\ufffd\"") != NULL,
              "%s", text);
}
