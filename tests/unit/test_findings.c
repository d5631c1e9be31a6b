/*
 * test_findings.c - rules of --suppressions, and findings as text: both are promises to users
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "colour.h"
#include "findings.h"
#include "suppressions.h"

static char message[SUPPRESSIONS_MESSAGE];

/* Parses a text as the file "rules". */
static bool parse(const char *text, struct suppressions *ret_suppressions)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    const bool good = suppressions_parse(file, "rules", ret_suppressions, message);

    fclose(file);
    return good;
}

static void refused(const char *text, const char *wanted)
{
    struct suppressions none = { .path = NULL };

    cr_expect(!parse(text, &none), "%s", text);
    cr_expect_str_eq(message, wanted);
    cr_expect_null(none.rules);
}

Test(suppressions, rules)
{
    struct suppressions rules;

    cr_assert(parse("# nothing\n\n"
                    "any\n"
                    "  double-close\tfunction:end_*  file:log.c # why\r\n"
                    "open object:pipe?reader program:server",
                    &rules));
    cr_assert_eq(rules.count, 3);
    cr_expect_str_eq(rules.rules[0].kind, "any");
    cr_expect_eq(rules.rules[0].line, 3);
    cr_expect_str_eq(rules.rules[1].kind, "double-close");
    cr_expect_str_eq(rules.rules[1].globs[SUPPRESSION_FUNCTION], "end_*");
    cr_expect_str_eq(rules.rules[1].globs[SUPPRESSION_FILE], "log.c");
    cr_expect_str_eq(rules.rules[1].globs[SUPPRESSION_OBJECT], "");
    cr_expect_eq(rules.rules[1].line, 4);
    cr_expect_str_eq(rules.rules[2].globs[SUPPRESSION_OBJECT], "pipe?reader");
    cr_expect_str_eq(rules.rules[2].globs[SUPPRESSION_PROGRAM], "server");
    suppressions_fini(&rules);
}

Test(suppressions, bad_lines)
{
    refused("any\nleak\n", "rules:2: leak: give a kind: open, unread, double-close, "
                           "use-after-close, sigpipe or any");
    refused("any end_*\n",
            "rules:1: end_*: give object:, function:, file: or program: and a pattern");
    refused("any line:3\n",
            "rules:1: line:3: give object:, function:, file: or program: and a pattern");
    refused("any file:\n", "rules:1: file: needs a pattern, shorter than 128 bytes");
    refused("any file:a file:b\n", "rules:1: file: is given twice");
}

Test(suppressions, a_pattern_that_is_too_long)
{
    char text[300];

    snprintf(text, sizeof text, "any file:%0200d\n", 1);
    refused(text, "rules:1: file: needs a pattern, shorter than 128 bytes");
}

Test(suppressions, at_most_so_many)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    char wanted[128];

    for (int i = 0; i <= SUPPRESSIONS_MAX; i++)
        fputs("any\n", file);
    fclose(file);
    snprintf(wanted, sizeof wanted, "rules:%d: at most %d rules can be given", SUPPRESSIONS_MAX + 1,
             SUPPRESSIONS_MAX);
    refused(text, wanted);
    free(text);
}

static struct finding sample(void)
{
    struct finding finding = { .kind = EMU_FINDING_DOUBLE_CLOSE,
                               .object = EMU_OBJECT_PIPE_READER,
                               .call = "close",
                               .count = 2,
                               .fd = 5,
                               .pid = 412,
                               .program = "server",
                               .made.count = 1,
                               .made.frames[0] = { "server", 0x1204, { "open_log", "log.c:12" } },
                               .used.count = 2,
                               .used.frames[0] = { "libx.so.1", 0x20, { "", "" } },
                               .used.frames[1] = { "server", 0x1300, { "main", "main.c:7" } } };

    return finding;
}

/* How often a rule kept the sample back. */
static unsigned long matched(const char *rule)
{
    const struct finding finding = sample();
    struct suppressions rules;

    cr_assert(parse(rule, &rules), "%s", message);
    const bool match = suppressions_match(&rules, &finding);
    const unsigned long count = rules.rules[0].matched;
    cr_expect_eq(match, count > 0);
    suppressions_fini(&rules);
    return count;
}

Test(suppressions, what_matches)
{
    cr_expect_eq(matched("any"), 2);
    cr_expect_eq(matched("double-close"), 2);
    cr_expect_eq(matched("double-close object:pipe?reader program:serv*"), 2);
    cr_expect_eq(matched("any function:main file:log.c"), 2);
    cr_expect_eq(matched("any file:libx.so*"), 2);
    cr_expect_eq(matched("open"), 0);
    cr_expect_eq(matched("any function:mai"), 0);
    cr_expect_eq(matched("any program:server2"), 0);
    cr_expect_eq(matched("any file:main.c:7"), 0);
    cr_expect_eq(matched("any object:pipe function:main"), 0);
}

static const char *printed(const struct findings *findings, bool all)
{
    static char *text;
    size_t size = 0;

    free(text);
    FILE *file = open_memstream(&text, &size);
    findings_print(findings, all, file);
    fclose(file);
    return text;
}

Test(findings, nothing_to_say)
{
    const struct findings findings = { .count = 0 };

    cr_expect_str_eq(printed(&findings, true), "");
    cr_expect(!findings_have_errors(&findings));
}

Test(findings, errors_and_notes)
{
    struct finding list[2] = { sample(), sample() };
    struct suppression rule = { .kind = "any", .line = 3 };
    const struct suppressions rules = { "rules", &rule, 1 };
    const struct findings findings = {
        .list = list, .count = 2, .lost = 4, .suppressed = 1, .suppressions = &rules
    };
    const char *errors = "sockrig: closed twice 2 descriptors\n"
                         "  close(5) EBADF ×2   server[412]   pipe reader\n"
                         "     made    log.c:12        open_log\n"
                         "     again   libx.so.1+0x20\n"
                         "             main.c:7        main\n";
    const char *lost = "sockrig: and 4 more findings, for which there was no room\n";
    char wanted[1024];

    list[0].kind = EMU_FINDING_OPEN;
    list[0].bytes = 1;
    list[0].other_pid = 413;
    list[0].used.count = 0;
    cr_expect(findings_have_errors(&findings));
    snprintf(wanted, sizeof wanted, "%s%s", errors, lost);
    cr_expect_str_eq(printed(&findings, false), wanted);
    snprintf(wanted, sizeof wanted,
             "%s"
             "sockrig: left open 2 descriptors\n"
             "  fd 5 pipe reader ×2   server[412]   other end: process 413   1 byte unread\n"
             "     made    log.c:12  open_log\n"
             "%s"
             "suppressed: 1\n"
             "rules:3: this rule has suppressed nothing\n",
             errors, lost);
    cr_expect_str_eq(printed(&findings, true), wanted);
}

Test(findings, json)
{
    struct finding finding = sample();
    const struct findings findings = { .list = &finding, .count = 1 };
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    findings_print_json(&findings, file);
    fclose(file);
    cr_expect_str_eq(
        text,
        ", \"findings\": [{\"kind\": \"double-close\", \"error\": true, "
        "\"object\": \"pipe reader\", \"call\": \"close\", \"fd\": 5, \"count\": 2, \"bytes\": 0, "
        "\"program\": \"server\", \"pid\": 412, \"at_exit\": false, "
        "\"made\": [{\"offset\": 4612, \"module\": \"server\", \"function\": \"open_log\", "
        "\"line\": \"log.c:12\"}], \"closed\": [], "
        "\"used\": [{\"offset\": 32, \"module\": \"libx.so.1\"}, {\"offset\": 4864, "
        "\"module\": \"server\", \"function\": \"main\", \"line\": \"main.c:7\"}]}], "
        "\"findings_lost\": 0, \"suppressed\": 0, \"unused_suppressions\": []");
    free(text);
}

Test(colour, none_where_there_is_no_terminal)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    cr_expect_str_eq(colour_of(file, COLOUR_ERROR), "");
    fclose(file);
    free(text);
}
