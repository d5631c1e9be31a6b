/*
 * test_log_parse.c - strace's text as calls, events and tasks: all the ways in which strace writes
 * one thing, what is said of text that isn't strace's
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "interpret/log.h"

static struct log parsed;

/* Parses text that must be readable. The log holds until the next one. */
static const struct log *read_log(const char *text)
{
    struct log_error error = { .message = "" };
    int result;

    log_destroy(&parsed);
    result = log_parse(text, strlen(text), &parsed, &error);
    cr_assert_eq(result, 0, "%u:%u: %s, in\n%s", error.place.line, error.place.column,
                 error.message, text);
    return &parsed;
}

/* What is said of text that can't be read: "line:column: message". */
static const char *complaint(const char *text, size_t size)
{
    static char message[300];
    struct log_error error = { .message = "" };
    struct log log;

    if (log_parse(text, size, &log, &error) == 0) {
        log_destroy(&log);
        return "none";
    }
    snprintf(message, sizeof message, "%u:%u: %s", error.place.line, error.place.column,
             error.message);
    return message;
}

#define COMPLAINT(text) complaint(text, sizeof(text) - 1)

static int64_t number_of(const struct log_expr *expr)
{
    int64_t value = -12345;

    cr_assert(log_number(expr, &value), "no number");
    return value;
}

/* ---- One call, in many ways ---- */

Test(log_parse, what_stands_before_a_call)
{
    static const struct {
        const char *text;
        uint32_t pid;
    } lines[] = {
        { "read(3, \"ab\", 9) = 2", 0 },
        { "412 read(3, \"ab\", 9) = 2", 412 },
        { "412   read(3, \"ab\", 9)     = 2", 412 },
        { "[pid   412] read(3, \"ab\", 9) = 2", 412 },
        { "[pid 412<cat>] read(3, \"ab\", 9) = 2", 412 },
        { "12:34:56 read(3, \"ab\", 9) = 2", 0 },
        { "412 12:34:56.123456 read(3, \"ab\", 9) = 2 <0.000012>", 412 },
        { "412 1700000000.123456 read(3, \"ab\", 9) = 2", 412 },
        { "1700000000.123456 read(3, \"ab\", 9) = 2", 0 },
        { "412      0.000021 read(3, \"ab\", 9) = 2", 412 },
        { "412 12:34:56 (+     0.000021) read(3, \"ab\", 9) = 2", 412 },
        { "[00007f12abcdef01] read(3, \"ab\", 9) = 2", 0 },
        { "412 [   0] [00007f12abcdef01] read(3, \"ab\", 9) = 2", 412 },
        { "412 read(3<pipe:[5]>, \"ab\", 9) = 2", 412 },
        { "412 read(3<UNIX-STREAM:[5->6, @\"a>b\"]>, \"\\x61\\x62\", 9) = 2", 412 },
        { "412 read(3</dev/pts/0<char 136:0>>, \"\\141\\142\", 0x9) = 0x2", 412 },
        { "412 read(3</tmp/gone>(deleted), \"ab\"..., 9) = 2 (a note)", 412 },
        { "412 read(3, \"ab\", 011) = 2\r", 412 },
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct log *log = read_log(lines[i].text);
        const struct log_call *call = &log->calls[0];

        cr_assert_eq(log->call_count, 1, "%s", lines[i].text);
        cr_expect_eq(log->tasks[call->task].pid, lines[i].pid, "%s", lines[i].text);
        cr_expect_str_eq(call->name, "read");
        cr_assert_eq(call->argument_count, 3, "%s", lines[i].text);
        cr_expect_eq(number_of(call->arguments[0]), 3);
        cr_expect_eq(call->arguments[1]->kind, LOG_BYTES);
        cr_expect_eq(call->arguments[1]->size, 2);
        cr_expect_eq(memcmp(call->arguments[1]->bytes, "ab", 2), 0);
        cr_expect_eq(call->arguments[1]->cut, strstr(lines[i].text, "...") != NULL);
        cr_expect_eq(number_of(call->arguments[2]), 9);
        cr_expect_eq(call->result, LOG_RESULT_VALUE);
        cr_expect_eq(call->value, 2);
    }
}

Test(log_parse, constants_by_name_and_by_number)
{
    static const char *const lines[] = {
        "socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3",
        "socket(0x1, 0x80001, 0) = 3",
        "socket(0x1 /* AF_UNIX */, 0x1 /* SOCK_STREAM */|0x80000 /* SOCK_CLOEXEC */, 0) = 3",
        "socket(AF_UNIX, SOCK_STREAM|524288, 0) = 3",
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct log_call *call = &read_log(lines[i])->calls[0];

        cr_expect_eq(number_of(call->arguments[0]), 1, "%s", lines[i]);
        cr_expect_eq(number_of(call->arguments[1]), 02000001, "%s", lines[i]);
    }
    cr_expect_eq(
        number_of(read_log("ioctl(0, TCGETS or SOMETHING_ELSE, 0x7f) = 0")->calls[0].arguments[1]),
        0x5401);
    cr_expect_eq(number_of(read_log("write(1, NULL, 8*1024) = 0")->calls[0].arguments[2]), 8192);
}

Test(log_parse, results)
{
    const struct log_call *call =
        &read_log("read(3, 0x7f, 9) = -1 EAGAIN (Resource ...)")->calls[0];

    cr_expect_eq(call->result, LOG_RESULT_ERROR);
    cr_expect_eq(call->error, 11);
    call = &read_log("read(3, 0x7f, 9) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)")
                ->calls[0];
    cr_expect_eq(call->result, LOG_RESULT_RESTART);
    call = &read_log("exit_group(0) = ?")->calls[0];
    cr_expect_eq(call->result, LOG_RESULT_NONE);
    call = &read_log("poll([{fd=3, events=POLLIN}], 1, 5) = 0 (Timeout)")->calls[0];
    cr_expect(call->timed_out);
    call = &read_log("dup(3<pipe:[5]>) = 4<pipe:[5]>")->calls[0];
    cr_expect_eq(call->value, 4);
    call = &read_log("fork() = 2 /* 4242 in strace's PID NS */")->calls[0];
    cr_expect_eq(call->value, 4242);
    call = &read_log("fcntl(3, F_GETFL) = 0x802 (flags O_RDWR|O_NONBLOCK) <0.000002>")->calls[0];
    cr_expect_eq(call->value, 0x802);
    cr_expect_eq(call->duration_ns, 2000);
}

Test(log_parse, what_comes_out_of_poll_and_select)
{
    const struct log_call *call = &read_log("poll([{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}], "
                                            "2, -1) = 1 ([{fd=4, revents=POLLOUT|POLLERR}])")
                                       ->calls[0];

    cr_assert_eq(call->came_count, 1);
    cr_expect_eq(number_of(log_field(call->came[0]->items[0], "revents")), 12);
    call = &read_log("select(5, [3 4], [], NULL, {tv_sec=1, tv_usec=0}) = 1 (in [4], left "
                     "{tv_sec=0, tv_usec=9})")
                ->calls[0];
    cr_assert_eq(call->arguments[1]->count, 2);
    cr_expect_eq(number_of(call->arguments[1]->items[1]), 4);
    cr_assert_eq(call->came_count, 2);
    cr_expect_str_eq(call->came[0]->field, "in");
    cr_expect_eq(number_of(call->came[0]->items[0]), 4);
}

Test(log_parse, in_and_out)
{
    static const char *const lines[] = {
        "accept(3, {sa_family=AF_UNIX}, [128 => 2]) = 4",
        "accept(3, {sa_family=AF_UNIX}, [128->2]) = 4",
    };

    for (size_t i = 0; i < 2; i++) {
        const struct log_expr *cell = read_log(lines[i])->calls[0].arguments[2]->items[0];

        cr_assert_eq(cell->kind, LOG_ARROW);
        cr_expect_eq(number_of(cell->items[0]), 128);
        cr_expect_eq(number_of(cell->items[1]), 2);
    }
}

/* Of calls that can't be interpreted only the brackets are looked at. */
Test(log_parse, arguments_of_other_calls_are_not_read)
{
    const struct log *log = read_log(
        "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 5\n"
        "rt_sigaction(SIGINT, {sa_mask=~[RTMIN RT_1], sa_flags=0}, NULL, 8) = 0\n"
        "openat(AT_FDCWD</a (b>, \"/c \\\" ) d\", O_RDONLY) = 3</c>\n"
        "restart_syscall(<... resuming interrupted read ...>) = 1\n"
        "futex(0x7f, FUTEX_WAIT /* ( */, 0, {odd % stuff}) = -1 EAGAIN (x)\n");

    cr_expect_eq(log->call_count, 5);
    cr_expect_eq(log->calls[0].argument_count, 0);
    cr_expect_str_eq(log->calls[3].name, "restart_syscall");
    log = read_log("sendto(3, [{nlmsg_len=20, % }], 20, 0, NULL, 0) = 20\n");
    cr_expect(log->calls[0].unread != NULL, "a difference only when descriptor 3 is modeled");
    cr_expect_eq(number_of(log->calls[0].arguments[0]), 3);
}

/* ---- Split lines, tasks ---- */

Test(log_parse, a_split_line_is_put_together)
{
    const struct log *log = read_log("1 read(3,  <unfinished ...>\n"
                                     "2 write(4, \"x\", 1) = 1\n"
                                     "1 <... read resumed>\"x\", 10) = 1\n");

    cr_assert_eq(log->call_count, 2);
    cr_expect(log->calls[0].split);
    cr_expect_not(log->calls[1].split);
    cr_expect_eq(log->calls[0].argument_count, 3);
    cr_expect_eq(log->calls[0].value, 1);
    cr_expect_eq(log->calls[0].start, 0);
    cr_expect_eq(log->calls[0].end, 3);
    cr_expect_eq(log->calls[0].end_line, 3);
    cr_expect_eq(log->calls[1].start, 1);
}

Test(log_parse, a_call_that_its_task_died_in)
{
    const struct log *log = read_log("1 read(3,  <unfinished ...>\n"
                                     "2 kill(1, SIGKILL) = 0\n"
                                     "1 <... read resumed> <unfinished ...>) = ?\n"
                                     "1 +++ killed by SIGKILL +++\n"
                                     "2 read(5,  <unfinished ...>\n"
                                     "2 +++ exited with 0 +++\n");

    cr_expect_eq(log->calls[0].result, LOG_RESULT_NONE);
    cr_expect_eq(log->calls[2].end, LOG_NO_EVENT);
    cr_expect_neq(log->tasks[0].exit, LOG_NO_EVENT);
}

Test(log_parse, children_are_found)
{
    const struct log *log = read_log("1 fork() = 2\n"
                                     "2 close(3) = 0\n"
                                     "1 vfork( <unfinished ...>\n"
                                     "3 execve(\"/a\", [\"a\"], 0x7f /* 2 vars */) = 0\n"
                                     "1 <... vfork resumed>) = 3\n"
                                     "2 +++ exited with 0 +++\n"
                                     "1 clone3({flags=CLONE_VM|CLONE_THREAD, x=0} => "
                                     "{parent_tid=[2]}, 88) = 2\n"
                                     "2 close(4) = 0\n");

    cr_assert_eq(log->task_count, 4);
    cr_expect_eq(log->tasks[0].parent_call, LOG_NO_CALL);
    cr_expect_eq(log->tasks[1].parent_call, 0);
    cr_expect_eq(log->tasks[2].pid, 3);
    cr_expect_str_eq(log->calls[log->tasks[2].parent_call].name, "vfork");
    cr_expect_eq(log->tasks[3].pid, 2, "a pid that is used again is another task");
}

/* On a terminal strace writes no pid while there is one task alone. */
Test(log_parse, lines_without_a_pid)
{
    const struct log *log = read_log("close(1) = 0\n"
                                     "clone(child_stack=NULL, flags=SIGCHLD) = 12\n"
                                     "[pid 11] close(2) = 0\n"
                                     "[pid 12] close(3) = 0\n"
                                     "[pid 12] +++ exited with 0 +++\n"
                                     "close(4) = 0\n");

    cr_assert_eq(log->task_count, 2);
    cr_expect_eq(log->tasks[0].pid, 11);
    cr_expect_eq(log->calls[2].task, 0);
    cr_expect_eq(log->calls[3].task, 1);
    cr_expect_eq(log->calls[4].task, 0);
}

Test(log_parse, words_of_strace_inside_a_line)
{
    const struct log *log = read_log("clone(child_stack=NULL, flags=SIGCHLDstrace: Process 12 "
                                     "attached\n, child_tidptr=0x7f) = 12\n"
                                     "[pid 12] close(3) = 0\n");

    cr_assert_eq(log->call_count, 2);
    cr_expect_eq(log->calls[0].value, 12);
    cr_expect_eq(log->tasks[1].parent_call, 0);
}

/* A merged log says when calls began, and only -T says when they ended. */
Test(log_parse, merged_logs)
{
    const struct log *log = read_log("1 1.000000 read(3, \"ab\", 9) = 2 <0.500000>\n"
                                     "2 1.100000 write(4, \"a\", 1) = 1 <0.000001>\n"
                                     "2 1.200000 write(4, \"b\", 1) = 1 <0.000001>\n"
                                     "2 1.700000 write(4, \"c\", 1) = 1 <0.000001>\n"
                                     "1 1.800000 close(3) = 0 <0.000001>\n");

    cr_expect(log->calls[0].split);
    cr_expect_gt(log->calls[0].end, log->calls[2].start);
    cr_expect_lt(log->calls[0].end, log->calls[3].start);
    cr_expect_not(log->calls[1].split);
}

/* ---- Logs and scripts, hostile text ---- */

Test(log_parse, what_a_log_is)
{
    static const char *const logs[] = {
        "# log\nread(3, \"\", 1) = 0\n", "execve(\"/a\", [\"a\"], 0x7f) = 0\n",
        "412 read(3, \"\", 1) = 0\n",    "\n12:00:00 close(3) = 0\n",
        "strace: Process 12 attached\n", "[pid 5] ???\n"
    };
    static const char *const scripts[] = { "", "# on: both\npipe2([r, w], 0) = 0\n", "n = 4\n",
                                           "[A] read(r, \"\", 1) = 0\n", "# logging\n" };

    for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++)
        cr_expect(log_detect(logs[i], strlen(logs[i])), "%s", logs[i]);
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
        cr_expect_not(log_detect(scripts[i], strlen(scripts[i])), "%s", scripts[i]);
}

Test(log_parse, complaints_name_the_place)
{
    cr_expect_str_eq(COMPLAINT("1 read(3) = 0\n1 hello\n"),
                     "2:3: this is no line of strace (with -o FILE the program's own output stays "
                     "out of it)");
    cr_expect_str_eq(COMPLAINT("1 statx(3, [x}, 1) = 0"), "1:14: '}' doesn't close '['");
    cr_expect_str_eq(COMPLAINT("1 statx(3, \"ab"), "1:12: this string has no end");
    cr_expect_str_eq(COMPLAINT("1 close(3) 0"), "1:12: expected '=' and the call's result");
    cr_expect_str_eq(COMPLAINT("1 close(3) = x"), "1:14: expected the call's result");
    cr_expect_str_eq(COMPLAINT("1 close(3) = 0 x"), "1:16: this isn't expected behind a result");
    cr_expect_str_eq(COMPLAINT("[pid x] close(3) = 0"), "1:6: expected a pid");
    cr_expect_str_eq(COMPLAINT("1 <... read> = 0"), "1:3: expected <... NAME resumed>");
    cr_expect_str_eq(COMPLAINT("1 read(3,  <unfinished ...>\n1 <... write resumed>) = 0"),
                     "2:8: 'read' was begun in line 1, and isn't what is resumed");
    cr_expect_str_eq(COMPLAINT("1 close(3) = 99999999999999999999999"),
                     "1:14: this number is too large");
}

Test(log_parse, deep_nesting_is_refused)
{
    char text[4096] = "1 statx(";

    memset(text + 8, '[', 4000);
    cr_expect_str_eq(complaint(text, strlen(text)), "1:40: nested too deeply");
}

/* Every beginning of a log, and every log with one byte changed, is read or complained about. */
Test(log_parse, broken_text_is_never_worse_than_a_complaint)
{
    static const char text[] = "1 1.0 poll([{fd=3<a>, events=POLLIN}], 1, -1 <unfinished ...>\n"
                               "[pid 2] 1.1 write(4, \"a\\x41\\0\"..., 1) = 1 <0.1>\n"
                               "1 <... poll resumed>) = 1 ([{fd=3, revents=POLLIN}])\n"
                               "2 select(4, [3 4], NULL, NULL, {tv_sec=1}) = 1 (in [3])\n"
                               "2 --- SIGCHLD {si_signo=SIGCHLD} ---\n2 +++ exited with 0 +++\n";
    static const char bytes[] = {
        0, '\n', '(', ')', '"', '<', '[', '{', '\\', '=', '9', (char)0xff
    };
    char copy[sizeof text];

    for (size_t size = 0; size < sizeof text; size++)
        complaint(text, size);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        for (size_t j = 0; j < sizeof bytes; j++) {
            memcpy(copy, text, sizeof text);
            copy[i] = bytes[j];
            complaint(copy, sizeof text - 1);
            log_detect(copy, sizeof text - 1);
        }
    }
}
