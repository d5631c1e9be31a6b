/*
 * test_options.c - run's options: where they end, who wins, what is refused
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "options.h"

#define ARGV_MAX 16

/* Parses "run" and the words up to NULL. */
static bool parse(const char *environment, struct run_options *ret_options, char *ret_message,
                  const char *const *words)
{
    static char copies[ARGV_MAX][256]; /* getopt_long() wants char *; program points in here */
    char *argv[ARGV_MAX + 1];
    static char *program[ARGV_MAX + 1];
    int argc = 0;

    argv[argc++] = "run";
    for (; words[argc - 1] != NULL && argc < ARGV_MAX; argc++) {
        snprintf(copies[argc], sizeof copies[argc], "%s", words[argc - 1]);
        argv[argc] = copies[argc];
    }
    argv[argc] = NULL;
    if (!run_options_parse(argc, argv, environment, ret_options, ret_message))
        return false;
    memcpy(program, ret_options->program,
           (size_t)(argv + argc + 1 - ret_options->program) * sizeof *program);
    ret_options->program = program;
    return true;
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* What the parser says when it refuses; "" when it doesn't. */
static const char *refusal(const char *environment, const char *const *words)
{
    static char message[RUN_OPTIONS_MESSAGE];
    struct run_options options = { .json = true };

    message[0] = '\0';
    if (parse(environment, &options, message, words)) {
        run_options_fini(&options);
        return "";
    }
    cr_expect(options.json && options.program == NULL, "touched on failure");
    return message;
}

static struct run_options accepted(const char *environment, const char *const *words)
{
    char message[RUN_OPTIONS_MESSAGE] = "";
    struct run_options options = { 0 };

    cr_assert(parse(environment, &options, message, words), "refused: %s", message);
    return options;
}

Test(options, a_program_alone)
{
    struct run_options options = accepted(NULL, WORDS("prog", "--json", "-v"));

    cr_expect_str_eq(options.program[0], "prog");
    cr_expect_str_eq(options.program[1], "--json");
    cr_expect(!options.json && !options.verbose && !options.report && !options.on_command_line);
    cr_expect_eq(options.emu.policy_count, 0);
}

Test(options, dashes_end_them)
{
    struct run_options options = accepted(NULL, WORDS("-v", "--", "--json"));

    cr_expect_str_eq(options.program[0], "--json");
    cr_expect(options.verbose && !options.json && options.on_command_line);
    options = accepted(NULL, WORDS("--", "prog"));
    cr_expect(!options.on_command_line);
}

Test(options, session_and_cid_may_stand_inside_a_session)
{
    struct run_options options = accepted(NULL, WORDS("--session", "web", "--cid=3", "prog"));

    cr_expect_str_eq(options.session, "web");
    cr_expect_eq(options.cid, 3);
    cr_expect(!options.on_command_line);
    options = accepted("session=web cid=4294967294", WORDS("--session", "a.b_c-D", "-v", "prog"));
    cr_expect_str_eq(options.session, "a.b_c-D");
    cr_expect_eq(options.cid, 4294967294);
    cr_expect(options.on_command_line);
    options = accepted(NULL, WORDS("prog"));
    cr_expect(options.session[0] == '\0' && options.cid == 0);
}

Test(options, bad_sessions_and_cids)
{
    cr_expect_str_eq(refusal(NULL, WORDS("--session=a/b", "prog")),
                     "run: bad value in --session=a/b: give 1 to 64 letters, digits, '.', '_' or "
                     "'-'");
    cr_expect_str_eq(refusal(NULL, WORDS("--cid=1", "prog")),
                     "run: bad value in --cid=1: give 2 (the host), or 3 to 4294967294 (a guest)");
}

Test(options, values_with_and_without_equals)
{
    struct run_options options =
        accepted(NULL, WORDS("--net", "off", "--mmsg=openbsd", "--allow-native", "prog"));

    cr_expect_eq(options.emu.net, EMU_NET_OFF);
    cr_expect_eq(options.emu.mmsg, EMU_MMSG_OPENBSD);
    cr_expect(options.emu.allow_native);
    cr_expect_str_eq(options.program[0], "prog");
}

Test(options, excluded_callers)
{
    struct emu_options options = { 0 };
    char longest[EMU_EXCLUDED_SIZE + sizeof "exclude-caller="] = "exclude-caller=";

    cr_expect(emu_options_exclude(&options, "/lib/x86_64-linux-gnu/libcriterion.so.3"));
    cr_expect(emu_options_exclude(&options, "libnanomsg.so"));
    cr_expect_not(emu_options_exclude(&options, "/lib/libnanomsg.so.5/libc.so.6"));
    cr_expect_not(emu_options_exclude(&options, "/opt/h/libcheck.so.0"));

    cr_expect_eq(emu_options_parse("exclude-caller=libcheck.so*", &options), 0);
    cr_expect(emu_options_exclude(&options, "/opt/h/libcheck.so.0"), "by the name");
    cr_expect_not(emu_options_exclude(&options, "/opt/libcheck.so/other"), "by the name alone");
    cr_expect_eq(emu_options_parse("exclude-caller=/opt/*/x?", &options), 0);
    cr_expect(emu_options_exclude(&options, "/opt/a/b/x1"), "by the path");
    cr_expect_not(emu_options_exclude(&options, "/opt/a/b/x12"));
    cr_expect_not(emu_options_exclude(&options, "opt/a/x1"));

    cr_expect_eq(emu_options_parse("exclude-caller=", &options), -EINVAL);
    memset(longest + strlen(longest), 'x', EMU_EXCLUDED_SIZE);
    cr_expect_eq(emu_options_parse(longest, &options), -EINVAL);
    longest[strlen(longest) - 1] = '\0';
    for (int i = 2; i < EMU_MAX_EXCLUDED; i++)
        cr_expect_eq(emu_options_parse(longest, &options), 0);
    cr_expect_eq(emu_options_parse(longest, &options), -ENOSPC);
    cr_expect_eq(options.excluded_count, EMU_MAX_EXCLUDED);
}

Test(options, capacities)
{
    struct emu_options options = { 0 };

    cr_expect_eq(emu_options_parse("squeeze", &options), 0);
    cr_expect_eq(options.pipe_capacity, 8192);
    cr_expect_eq(options.sock_buffer, 4608);
    cr_expect_eq(emu_options_parse("pipe-capacity=64K", &options), 0);
    cr_expect_eq(options.pipe_capacity, 65536);
    cr_expect_eq(emu_options_parse("sock-buffer=1M", &options), 0);
    cr_expect_eq(options.sock_buffer, 1048576);
    cr_expect_eq(emu_options_parse("pipe-capacity=1", &options), 0);
    cr_expect_eq(options.pipe_capacity, 1);
    cr_expect_eq(emu_options_parse("backlog=0", &options), 0);
    cr_expect_eq(options.backlog, 1);
    cr_expect_eq(emu_options_parse("pipe-capacity=0", &options), -EINVAL);
    cr_expect_eq(emu_options_parse("vsock-credit=1", &options), -EINVAL);
    cr_expect_eq(emu_options_parse("sock-buffer=12x", &options), -EINVAL);
    cr_expect_eq(emu_options_parse("pipe-capacity=", &options), -EINVAL);
    cr_expect_eq(emu_options_parse("pipe-capacity=4096M", &options), -EINVAL);
    cr_expect_eq(emu_options_parse("backlog=", &options), -EINVAL);

    cr_expect_eq(emu_options_parse("sock-buffer=8K@a+b+0x10-0x20", &options), 0);
    cr_expect_str_eq(options.places[0].module, "a+b");
    cr_expect_eq(options.places[0].from, 0x10);
    cr_expect_eq(options.places[0].to, 0x20);
    cr_expect_eq(emu_options_parse("backlog=2@a+0x10", &options), 0);
    cr_expect_eq(options.places[1].size, 3);
    cr_expect_eq(options.places[1].from, 0xf);
    cr_expect_eq(options.places[1].to, 0x10);
    cr_expect_eq(emu_options_parse("backlog=2@a+0x10-0x10", &options), -EINVAL);
    cr_expect_eq(emu_options_parse("backlog=2@a+0x10z", &options), -EINVAL);
    cr_expect_eq(emu_options_parse("backlog=2@a+10", &options), -EINVAL);
    cr_expect_eq(emu_options_parse("backlog=2@+0x10", &options), -EINVAL);
    cr_expect_eq(emu_options_parse("backlog=2@a+0x0", &options), -EINVAL);
    cr_expect_eq(options.place_count, 2);
    cr_expect_eq(options.pipe_capacity, 1, "a refusal changes nothing");
}

Test(options, policies_add_up)
{
    struct run_options options =
        accepted(NULL, WORDS("--policy", "inet/dgram=native", "--policy=vsock=EAFNOSUPPORT", "p"));

    cr_assert_eq(options.emu.policy_count, 2);
    cr_expect_eq(options.emu.policy[0].family, AF_INET);
    cr_expect_eq(options.emu.policy[0].type, SOCK_DGRAM);
    cr_expect_eq(options.emu.policy[0].action, EMU_ACTION_NATIVE);
    cr_expect_eq(options.emu.policy[1].family, AF_VSOCK);
    cr_expect_eq(options.emu.policy[1].type, -1);
    cr_expect_eq(options.emu.policy[1].action, EMU_ACTION_ERRNO);
}

Test(options, too_many_policies)
{
    char environment[2048] = "";

    for (int i = 0; i <= EMU_MAX_POLICIES; i++)
        strcat(environment, "policy=inet=native ");
    cr_expect(strstr(refusal(environment, WORDS("prog")), "at most") != NULL);
}

Test(options, report_takes_its_file_only_with_equals)
{
    struct run_options options = accepted(NULL, WORDS("--report", "prog"));

    cr_expect(options.report && options.report_file == NULL);
    cr_expect_str_eq(options.program[0], "prog");
    options = accepted(NULL, WORDS("--report=a", "--report=b", "prog"));
    cr_expect_str_eq(options.report_file, "b");
    run_options_fini(&options);
    cr_expect(strstr(refusal(NULL, WORDS("--report=", "prog")), "file name") != NULL);
}

Test(options, environment_has_no_dashes)
{
    struct run_options options = accepted(" net=off\treport=FILE  v\npolicy=inet=native ",
                                          WORDS("prog"));

    cr_expect_eq(options.emu.net, EMU_NET_OFF);
    cr_expect(options.verbose && !options.on_command_line);
    cr_expect_eq(options.emu.policy_count, 1);
    cr_expect_str_eq(options.report_file, "FILE");
    run_options_fini(&options);
}

Test(options, the_command_line_wins)
{
    struct run_options options = accepted("net=off mmsg=openbsd report=a",
                                          WORDS("--net=redirect", "--report=b", "prog"));

    cr_expect_eq(options.emu.net, EMU_NET_REDIRECT);
    cr_expect_eq(options.emu.mmsg, EMU_MMSG_OPENBSD);
    cr_expect_str_eq(options.report_file, "b");
    run_options_fini(&options);
}

Test(options, an_audit_needs_sud)
{
    struct run_options options = accepted("net=off", WORDS("--audit", "prog"));

    cr_expect(options.emu.audit && options.emu.net == EMU_NET_SUD);
    run_options_fini(&options);
    options = accepted("audit", WORDS("--net=redirect", "prog"));
    cr_expect(!options.emu.audit && options.emu.net == EMU_NET_REDIRECT);
    run_options_fini(&options);
    options = accepted("audit", WORDS("--net=sud", "prog"));
    cr_expect(options.emu.audit && options.emu.net == EMU_NET_SUD);
    run_options_fini(&options);
    cr_expect_str_eq(refusal(NULL, WORDS("--audit=yes", "prog")),
                     "run: unknown option --audit=yes");
}

Test(options, empty_environment_says_nothing)
{
    cr_expect_str_eq(refusal("", WORDS("prog")), "");
    cr_expect_str_eq(refusal(" \n", WORDS("prog")), "");
}

Test(options, unknown_ones_are_named)
{
    cr_expect_str_eq(refusal(NULL, WORDS("--frobnicate", "prog")),
                     "run: unknown option --frobnicate");
    cr_expect_str_eq(refusal(NULL, WORDS("-x", "prog")), "run: unknown option -x");
    cr_expect_str_eq(refusal(NULL, WORDS("--json=yes", "prog")), "run: unknown option --json=yes");
    cr_expect_str_eq(refusal("frobnicate", WORDS("prog")),
                     "SOCKRIG_OPTIONS: unknown option --frobnicate");
    cr_expect(refusal("net=off -- prog", WORDS("prog"))[0] != '\0');
}

Test(options, names_are_written_out)
{
    cr_expect_str_eq(refusal(NULL, WORDS("--js", "prog")), "run: unknown option --js");
    cr_expect_str_eq(refusal(NULL, WORDS("--ne=off", "prog")), "run: unknown option --ne=off");
}

Test(options, values_are_checked)
{
    cr_expect(strstr(refusal(NULL, WORDS("--net=sideways", "p")), "--net=sideways") != NULL);
    cr_expect(strstr(refusal(NULL, WORDS("--policy=nonsense", "p")), "nonsense") != NULL);
    cr_expect(strstr(refusal(NULL, WORDS("--policy")), "needs a value") != NULL);
    cr_expect(strstr(refusal("mmsg=linux mmsg=beos", WORDS("p")), "--mmsg=beos") != NULL);
}

Test(options, a_program_is_needed)
{
    cr_expect(strstr(refusal(NULL, WORDS(NULL)), "which program?") != NULL);
    cr_expect(strstr(refusal(NULL, WORDS("-v")), "which program?") != NULL);
    cr_expect(strstr(refusal(NULL, WORDS("-v", "--")), "which program?") != NULL);
}

Test(options, help_and_version_need_none)
{
    cr_expect_eq(accepted(NULL, WORDS("--help")).request, RUN_HELP);
    cr_expect_eq(accepted(NULL, WORDS("--version", "--frobnicate")).request, RUN_VERSION);
    cr_expect(refusal("help", WORDS("prog"))[0] != '\0');
}

Test(options, an_endless_environment)
{
    char environment[20000];

    memset(environment, 'x', sizeof environment - 1);
    environment[sizeof environment - 1] = '\0';
    cr_expect_str_eq(refusal(environment, WORDS("prog")), "SOCKRIG_OPTIONS: too long");
    for (size_t i = 0; i < 400; i += 2)
        memcpy(environment + i, "v ", 2);
    environment[400] = '\0';
    cr_expect_str_eq(refusal(environment, WORDS("prog")), "SOCKRIG_OPTIONS: too long");
}

Test(options, bridges_and_hybrid)
{
    struct run_options options =
        accepted("bridge=vsock:2:1=unix:a",
                 WORDS("--bridge", "vsock:7:2=unix:b", "--bridge=vsock:2:3=unix:c", "x"));

    cr_assert_eq(options.bridge_count, 3);
    cr_expect_str_eq(options.bridges[0], "vsock:2:1=unix:a");
    cr_expect_str_eq(options.bridges[2], "vsock:2:3=unix:c");
    cr_expect(options.hybrid == NULL && options.emu.hybrid == EMU_HYBRID_NONE && options.cid == 0);
    run_options_fini(&options);

    options = accepted(NULL, WORDS("--hybrid", "firecracker:a", "x"));
    cr_expect_str_eq(options.hybrid, "firecracker:a");
    cr_expect(options.emu.hybrid == EMU_HYBRID_FIRECRACKER && options.cid == 3);
    run_options_fini(&options);

    options = accepted("hybrid=firecracker:a",
                       WORDS("--hybrid=cloud-hypervisor:b", "--cid=9", "x"));
    cr_expect_str_eq(options.hybrid, "cloud-hypervisor:b");
    cr_expect(options.emu.hybrid == EMU_HYBRID_CLOUD_HYPERVISOR && options.cid == 9);
    run_options_fini(&options);
}

Test(options, bridges_and_hybrid_refused)
{
    cr_expect_not_null(strstr(refusal(NULL, WORDS("--bridge=vsock:2", "x")), "--bridge=vsock:2"));
    cr_expect_not_null(strstr(refusal(NULL, WORDS("--bridge", "x")), "vsock:CID:PORT=unix:PATH"));
    cr_expect_not_null(strstr(refusal(NULL, WORDS("--hybrid=qemu:a", "x")), "--hybrid=qemu:a"));
    cr_expect_not_null(
        strstr(refusal(NULL, WORDS("--hybrid=firecracker:a", "--cid=2", "x")), "--cid"));
}

/* With a finger on the place; and both sources add to one list. */
Test(options, injections)
{
    struct run_options options = accepted("inject=read:error=EIO",
                                          WORDS("--inject", "write:error=EIO:when=2", "prog"));

    cr_expect_eq(options.emu.inject_count, 2);
    cr_expect(options.on_command_line);
    cr_expect(strstr(refusal(NULL, WORDS("--inject", "read:error=EFOO", "prog")),
                     "\n  read:error=EFOO\n             ^ no errno") != NULL);
    cr_expect(strstr(refusal("inject=read", WORDS("prog")), "SOCKRIG_OPTIONS: bad value") != NULL);
}

Test(options, findings)
{
    struct run_options options = accepted("suppressions=a error-exitcode=3",
                                          WORDS("--suppressions", "b", "prog"));

    cr_expect_str_eq(options.suppressions, "b");
    cr_expect_eq(options.error_exitcode, 3);
    run_options_fini(&options);
    cr_expect_null(options.suppressions);
    cr_expect(strstr(refusal(NULL, WORDS("--error-exitcode=0", "x")), "give 1 to 255") != NULL);
    cr_expect(strstr(refusal(NULL, WORDS("--suppressions")), "needs a value") != NULL);
}
