/*
 * test_inject.c - expressions of --inject: what they mean, and where a bad one is bad
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "emu.h"

static struct emu_inject rule_of(const char *text)
{
    struct emu_inject rule = { 0 };
    struct emu_inject_problem problem = { 0 };

    cr_assert_eq(emu_inject_parse(text, &rule, &problem), 0, "%s: at %u: %s", text, problem.at,
                 problem.text);
    return rule;
}

static bool means(const struct emu_inject *rule, enum emu_call_id call)
{
    return rule->calls[call / 64] >> call % 64 & 1;
}

static unsigned calls_of(const struct emu_inject *rule)
{
    return (unsigned)(__builtin_popcountll(rule->calls[0]) + __builtin_popcountll(rule->calls[1]));
}

/* The expression is refused at the place that `finger` points to, with these words. */
static void refused(const char *text, const char *finger, const char *words)
{
    struct emu_inject rule = { .error = 77 };
    struct emu_inject_problem problem = { 0 };

    cr_expect_eq(emu_inject_parse(text, &rule, &problem), -EINVAL, "%s: accepted", text);
    cr_expect_eq(problem.at, strcspn(finger, "^"), "%s: at %u: %s", text, problem.at, problem.text);
    cr_expect(strstr(problem.text, words) != NULL, "%s: %s", text, problem.text);
    cr_expect_eq(rule.error, 77, "%s: touched", text);
}

Test(inject, strace_s_own_words)
{
    struct emu_inject rule = rule_of("read:error=EINTR:when=3+2");

    cr_expect(means(&rule, EMU_CALL_read) && calls_of(&rule) == 1);
    cr_expect_eq(rule.what, EMU_INJECT_ERROR | EMU_INJECT_WHEN);
    cr_expect_eq(rule.error, EINTR);
    cr_expect(rule.first == 3 && rule.last == EMU_INJECT_WHEN_MAX && rule.step == 2);
    rule = rule_of("write:signal=SIGUSR1:delay_enter=5:delay_exit=3ms");
    cr_expect(rule.signal == SIGUSR1 && rule.enter_ns == 5000 && rule.exit_ns == 3000000);
    rule = rule_of("write:signal=USR1");
    cr_expect_eq(rule.signal, SIGUSR1);
    rule = rule_of("write:signal=40");
    cr_expect_eq(rule.signal, 40);
    rule = rule_of("shutdown:retval=0");
    cr_expect(rule.what == EMU_INJECT_RETVAL && rule.retval == 0);
    rule = rule_of("close:error=4095");
    cr_expect_eq(rule.error, 4095);
    rule = rule_of("send:error=EWOULDBLOCK");
    cr_expect_eq(rule.error, EAGAIN);
}

Test(inject, units_of_time)
{
    cr_expect_eq(rule_of("poll:delay_enter=7").enter_ns, 7000);
    cr_expect_eq(rule_of("poll:delay_enter=7ns").enter_ns, 7);
    cr_expect_eq(rule_of("poll:delay_enter=7us").enter_ns, 7000);
    cr_expect_eq(rule_of("poll:delay_enter=7s").enter_ns, 7000000000);
    refused("poll:delay_enter=7h", "                  ^", "ns, us, ms and s");
    refused("poll:delay_enter=9999s", "                 ^", "an hour");
    refused("poll:delay_enter=s", "                 ^", "a number");
}

Test(inject, when)
{
    static const struct {
        const char *text;
        uint32_t first, last, step;
    } forms[] = {
        { "read:error=EIO", 1, EMU_INJECT_WHEN_MAX, 1 },
        { "read:error=EIO:when=4", 4, 4, 1 },
        { "read:error=EIO:when=4+", 4, EMU_INJECT_WHEN_MAX, 1 },
        { "read:error=EIO:when=4+3", 4, EMU_INJECT_WHEN_MAX, 3 },
        { "read:error=EIO:when=4..9", 4, 9, 1 },
        { "read:error=EIO:when=4..9+", 4, 9, 1 },
        { "read:error=EIO:when=4..9+2", 4, 9, 2 },
    };

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct emu_inject rule = rule_of(forms[i].text);

        cr_expect_eq(rule.first, forms[i].first, "%s", forms[i].text);
        cr_expect_eq(rule.last, forms[i].last, "%s", forms[i].text);
        cr_expect_eq(rule.step, forms[i].step, "%s", forms[i].text);
    }
    refused("read:error=EIO:when=0", "                    ^", "of 1 and more");
    refused("read:error=EIO:when=5..4", "                       ^", "before the first");
    refused("read:error=EIO:when=5+0", "                      ^", "of 1 and more");
    refused("read:error=EIO:when=5.6", "                     ^", "FIRST..LAST");
    refused("read:error=EIO:when=x", "                    ^", "digits");
}

Test(inject, sets_of_calls)
{
    struct emu_inject rule = rule_of("read,write:error=EIO");

    cr_expect(means(&rule, EMU_CALL_read) && means(&rule, EMU_CALL_write) && calls_of(&rule) == 2);
    rule = rule_of("%network:error=ENOBUFS");
    cr_expect(means(&rule, EMU_CALL_socket) && means(&rule, EMU_CALL_sendmsg) &&
              means(&rule, EMU_CALL_setsockopt) && !means(&rule, EMU_CALL_read));
    rule = rule_of("%desc:error=EBADF");
    cr_expect(means(&rule, EMU_CALL_read) && means(&rule, EMU_CALL_epoll_wait) &&
              !means(&rule, EMU_CALL_poll) && !means(&rule, EMU_CALL_socket));
    rule = rule_of("%poll,%epoll:delay_exit=1");
    cr_expect(means(&rule, EMU_CALL_select) && means(&rule, EMU_CALL_epoll_ctl));
    rule = rule_of("!read:error=EIO");
    cr_expect(!means(&rule, EMU_CALL_read) && means(&rule, EMU_CALL_write));
    rule = rule_of("?madeup,read:error=EIO");
    cr_expect(means(&rule, EMU_CALL_read) && calls_of(&rule) == 1);
    /* What a libc function is to strace, and what serves a call. */
    rule = rule_of("sendto:error=EIO");
    cr_expect(means(&rule, EMU_CALL_send) && means(&rule, EMU_CALL_sendto));
    rule = rule_of("pipe:error=EMFILE");
    cr_expect(means(&rule, EMU_CALL_pipe2));
    rule = rule_of("pselect6:error=EINTR");
    cr_expect(means(&rule, EMU_CALL_pselect));
    refused("readd:error=EIO", "^", "has this name");
    refused("read,,write:error=EIO", "     ^", "missing");
    refused("read,%sock:error=EIO", "      ^", "%network");
    refused("/^re/:error=EIO", "^", "regular expressions");
    refused("fstat:error=EIO", "^", "the kernel answers");
    refused("!all:error=EIO", "^", "no call is meant");
    refused("", "^", "missing");
}

Test(inject, words_of_our_own)
{
    struct emu_inject rule = rule_of("write:error=EPIPE:p=0.25:fd=7:proc=ser*:byte=4096:budget=3");

    cr_expect_eq(rule.chance, 1u << 30);
    cr_expect(rule.fd == 7 && rule.byte == 4096 && rule.budget == 3);
    cr_expect_str_eq(rule.program, "ser*");
    cr_expect_eq(rule.what, EMU_INJECT_ERROR | EMU_INJECT_FD | EMU_INJECT_BYTE);
    cr_expect_eq(rule_of("read:peer=reset").what, EMU_INJECT_RESET);
    cr_expect_eq(rule_of("read:peer=close").what, EMU_INJECT_CLOSE);
    cr_expect_eq(rule_of("read:error=EIO:p=1").chance, 0);
    cr_expect_eq(rule_of("read:error=EIO:p=0.000000001").chance, 4);
    refused("read:error=EIO:p=0", "                 ^", "above 0");
    refused("read:error=EIO:p=1.5", "                 ^", "at most 1");
    refused("read:error=EIO:p=1e-3", "                  ^", "as 0.25");
    refused("read:error=EIO:fd=-1", "                  ^", "digits");
    refused("read:error=EIO:budget=0", "                      ^", "of 1 and more");
    refused("read:peer=gone", "          ^", "peer=reset");
    refused("read:error=EIO:proc=", "                    ^", "a pattern");
}

Test(inject, what_cannot_be)
{
    refused("read", "    ^", "what shall happen");
    refused("read:when=3", "           ^", "what shall happen");
    refused("read:error=EFOO", "           ^", "no errno");
    refused("read:error=0", "           ^", "of 1 and more");
    refused("read:error=99999", "           ^", "at most 4095");
    refused("read:error", "          ^", "error=...");
    refused("read:signal=SIGFOO", "            ^", "no signal");
    refused("read:error=EIO:retval=1", "               ^", "only one of");
    refused("read:peer=reset:error=EIO", "     ^", "only one of");
    refused("read:error=EIO:error=EIO", "               ^", "given before");
    refused("read:syscall=write", "     ^", "strace's alone");
    refused("read:colour=red", "     ^", "budget?");
    refused("read:retval=5", "     ^", "read would need data");
    refused("poll:retval=1", "     ^", "poll would need data");
    refused("socket:retval=3", "       ^", "socket would have to make a descriptor");
    refused("pipe:retval=0", "     ^", "pipe2 would have to make a descriptor");
    refused("connect:retval=1", "        ^", "connect answers nothing but 0");
    refused("write:retval=0", "      ^", "never answers 0");
    refused("socket:error=EMFILE:fd=3", "                    ^", "socket isn't about a descriptor");
    refused("close:peer=reset", "      ^", "close isn't a transfer");
    refused("sendmmsg:error=EIO:byte=9", "                   ^", "sendmmsg isn't a transfer");
    refused("%poll:fd=3:error=EIO", "      ^", "none of these calls can");
}

/* Of a class, those that can't are left out. */
Test(inject, misfits_of_a_class)
{
    struct emu_inject rule = rule_of("%network:error=EIO:fd=3");

    cr_expect(means(&rule, EMU_CALL_send) && !means(&rule, EMU_CALL_socket));
    rule = rule_of("%msg:peer=reset:byte=10");
    cr_expect(means(&rule, EMU_CALL_recvmsg) && !means(&rule, EMU_CALL_recvmmsg));
    rule = rule_of("%rw:retval=5");
    cr_expect(means(&rule, EMU_CALL_write) && !means(&rule, EMU_CALL_read));
}

Test(inject, as_an_option)
{
    struct emu_options options = { 0 };

    cr_expect_eq(emu_options_parse("inject=read:error=EIO", &options), 0);
    cr_expect(options.inject_count == 1 && !emu_options_draw(&options));
    cr_expect_eq(emu_options_parse("inject=read:error=EIO:p=0.5", &options), 0);
    cr_expect(options.inject_count == 2 && emu_options_draw(&options));
    cr_expect_eq(emu_options_parse("inject=read", &options), -EINVAL);
    cr_expect_eq(options.inject_count, 2);
    for (int i = 2; i < EMU_MAX_INJECTIONS; i++)
        cr_expect_eq(emu_options_parse("inject=write:error=EIO", &options), 0);
    cr_expect_eq(emu_options_parse("inject=write:error=EIO", &options), -ENOSPC);
}
