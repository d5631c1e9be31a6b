/*
 * test_log_plan.c - what is done with each call of a log: which descriptors are known, which are
 * opaque, who has them
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "interpret/log_plan.h"

static struct log parsed;
static struct log_plan planned;

/* Parses and plans text that must be readable. The plan holds until the next one. */
static const struct log_plan *plan_of(const char *text)
{
    struct log_error error = { .message = "" };

    log_plan_free(&planned);
    log_destroy(&parsed);
    cr_assert_eq(log_parse(text, strlen(text), &parsed, &error), 0, "%u:%u: %s", error.place.line,
                 error.place.column, error.message);
    cr_assert_eq(log_plan_make(&parsed, true, &planned, &error), 0, "%u:%u: %s", error.place.line,
                 error.place.column, error.message);
    return &planned;
}

/* The verdicts of all calls, a letter each: S skip, R run, C clone, E exec, L leave, c close,
 * F feed, D drain, U unlink. */
static const char *verdicts(const char *text)
{
    static const char letters[] = "SRCELcFDU";
    static char result[64];
    const struct log_plan *plan = plan_of(text);

    cr_assert_lt(parsed.call_count, sizeof result);
    for (size_t i = 0; i < parsed.call_count; i++)
        result[i] = letters[plan->steps[i].verdict];
    result[parsed.call_count] = '\0';
    return result;
}

Test(log_plan, numbers_from_before_the_log_are_opaque)
{
    cr_expect_str_eq(verdicts("read(0, \"a\", 1) = 1\n"
                              "pipe([3, 4]) = 0\n"
                              "write(4, \"a\", 1) = 1\n"
                              "write(5, \"a\", 1) = 1\n"
                              "close(3) = 0\n"
                              "read(3, \"\", 1) = -1 EBADF\n"),
                     "SRRSRS");
}

Test(log_plan, copies_keep_their_kind)
{
    cr_expect_str_eq(verdicts("pipe([3, 4]) = 0\n"
                              "dup2(4, 1) = 1\n"
                              "close(4) = 0\n"
                              "write(1, \"a\", 1) = 1\n"
                              "fcntl(3, F_DUPFD_CLOEXEC, 10) = 10\n"
                              "read(10, \"a\", 1) = 1\n"
                              "execve(\"/a\", [\"a\"], 0x7f) = 0\n"
                              "read(10, \"a\", 1) = 1\n" /* it was closed: opaque */
                              "write(1, \"a\", 1) = 1\n"),
                     "RRRRRRESR");
}

Test(log_plan, an_opaque_number_takes_the_place_of_a_known_one)
{
    cr_expect_str_eq(verdicts("pipe([3, 4]) = 0\n"
                              "dup2(7, 4) = 4\n"
                              "write(4, \"a\", 1) = 1\n"
                              "openat(AT_FDCWD, \"/a\", O_RDONLY) = 3\n" /* its close isn't shown */
                              "read(3, \"\", 1) = 0\n"),
                     "RcScS");
}

Test(log_plan, what_is_modeled)
{
    cr_expect_str_eq(verdicts("socket(AF_UNIX, SOCK_STREAM, 0) = 3\n"
                              "socket(AF_UNIX, SOCK_DGRAM, 0) = 4\n"
                              "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 5\n"
                              "socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_NONBLOCK, 0, [6, 7]) = 0\n"
                              "socket(AF_VSOCK, SOCK_STREAM, 0) = 8\n"
                              "epoll_create1(0) = 9\n"
                              "eventfd2(0, 0) = 10\n"
                              "setsockopt(3, SOL_SOCKET, SO_MARK, [1], 4) = 0\n"
                              "setsockopt(3, SOL_SOCKET, SO_SNDBUF, [4096], 4) = 0\n"),
                     "RSSRRRSSR");
}

Test(log_plan, children_have_what_their_parent_had)
{
    cr_expect_str_eq(verdicts(
                         "1 pipe([3, 4]) = 0\n"
                         "1 fork() = 2\n"
                         "2 close(3) = 0\n"
                         "2 write(4, \"a\", 1) = 1\n"
                         "1 read(3, \"a\", 1) = 1\n"
                         "1 clone3({flags=CLONE_VM|CLONE_FILES|CLONE_OF_TOMORROW|CLONE_THREAD} "
                         "=> {parent_tid=[3]}, 88) = 3\n"
                         "3 close(3) = 0\n"
                         "1 read(3, \"\", 1) = -1 EBADF\n"
                         "2 exit_group(0) = ?\n"
                         "2 +++ exited with 0 +++\n"),
                     "RCRRRCRSL");
}

/* strace without -f: nobody knows what the child does with its copies. */
Test(log_plan, what_an_unseen_child_has_is_opaque)
{
    cr_expect_str_eq(verdicts("pipe([3, 4]) = 0\n"
                              "pipe([5, 6]) = 0\n"
                              "close(5) = 0\n"
                              "close(6) = 0\n"
                              "fork() = 12\n"
                              "close(4) = 0\n"
                              "read(3, \"a\", 1) = 1\n"
                              "pipe([4, 5]) = 0\n"
                              "read(4, \"a\", 1) = 1\n"),
                     "SRRRCSSRR");
}

Test(log_plan, servers_and_clients_in_the_log)
{
    static const char server[] = "1 socket(AF_UNIX, SOCK_STREAM, 0) = 3\n"
                                 "1 bind(3, {sa_family=AF_UNIX, sun_path=\"/a\"}, 110) = 0\n"
                                 "1 listen(3, 5) = 0\n"
                                 "1 fork() = 2\n"
                                 "2 socket(AF_UNIX, SOCK_STREAM, 0) = 4\n"
                                 "2 connect(4, {sa_family=AF_UNIX, sun_path=\"/a\"}, 110) = 0\n"
                                 "2 write(4, \"a\", 1) = 1\n"
                                 "1 accept(3, NULL, NULL) = 5\n"
                                 "1 read(5, \"a\", 1) = 1\n";
    char text[2000];

    cr_expect_str_eq(verdicts(server), "RRRCRRRRR");
    snprintf(text, sizeof text, "%s%s", server, "1 accept(3, NULL, NULL) = 6\n");
    cr_expect_str_eq(verdicts(text), "SSSCSSSSSS", "who else connects isn't in the log");
}

Test(log_plan, a_server_outside)
{
    cr_expect_str_eq(verdicts(
                         "socket(AF_UNIX, SOCK_STREAM, 0) = 3\n"
                         "connect(3, {sa_family=AF_UNIX, sun_path=\"/none\"}, 110) = -1 ENOENT "
                         "(No such file or directory)\n"
                         "close(3) = 0\n"
                         "socket(AF_UNIX, SOCK_STREAM, 0) = 3\n"
                         "connect(3, {sa_family=AF_UNIX, sun_path=@\"bus\"}, 6) = 0\n"
                         "write(3, \"a\", 1) = 1\n"
                         "close(3) = 0\n"),
                     "RSRSSSS");
}

Test(log_plan, names_are_removed_and_bound_again)
{
    const struct log_plan *plan;

    cr_expect_str_eq(verdicts(
                         "socket(AF_UNIX, SOCK_STREAM, 0) = 3\n"
                         "unlink(\"/a\") = -1 ENOENT (No such file or directory)\n"
                         "bind(3, {sa_family=AF_UNIX, sun_path=\"/a\"}, 110) = 0\n"
                         "socket(AF_UNIX, SOCK_STREAM, 0) = 4\n"
                         "bind(4, {sa_family=AF_UNIX, sun_path=\"/a\"}, 110) = -1 EADDRINUSE (x)\n"
                         "unlink(\"/a\") = 0\n"
                         "bind(4, {sa_family=AF_UNIX, sun_path=\"/a\"}, 110) = 0\n"),
                     "RSRRRUR");
    plan = &planned;
    cr_expect_eq(plan->steps[2].name, plan->steps[4].name);
    cr_expect_neq(plan->steps[2].name, plan->steps[6].name);
}

Test(log_plan, sets_with_opaque_members)
{
    const struct log_plan *plan;

    cr_expect_str_eq(verdicts(
                         "pipe([3, 4]) = 0\n"
                         "poll([{fd=0, events=POLLIN}], 1, -1) = 1 ([{fd=0, revents=POLLIN}])\n"
                         "poll([{fd=3, events=POLLIN}, {fd=0, events=POLLIN}], 2, -1) = 1 "
                         "([{fd=0, revents=POLLIN}])\n"
                         "poll([{fd=4, events=POLLOUT}], 1, -1) = 1 ([{fd=4, revents=POLLOUT}])\n"
                         "poll([{fd=3, events=POLLIN}], 1, 9) = 0 (Timeout)\n"
                         "poll([{fd=3, events=POLLIN}], 1, 9) = ? ERESTARTNOHAND (x)\n"),
                     "RSRRRR");
    plan = &planned;
    cr_assert_eq(plan->steps[2].flags_count, 2);
    cr_expect_eq(plan->flags[plan->steps[2].flags], 0);
    cr_expect_eq(plan->flags[plan->steps[2].flags + 1], 1);
    cr_expect_eq(plan->steps[2].mode, LOG_NO_WAIT, "only the opaque one was ready");
    cr_expect_eq(plan->steps[3].mode, LOG_AS_IS);
    cr_expect_eq(plan->steps[4].mode, LOG_NO_WAIT);
    cr_expect_eq(plan->steps[5].mode, LOG_AT_ONCE);
}

Test(log_plan, epoll_sets)
{
    const struct log_plan *plan;

    cr_expect_str_eq(
        verdicts("epoll_create1(0) = 3\n"
                 "pipe([4, 5]) = 0\n"
                 "epoll_ctl(3, EPOLL_CTL_ADD, 0, {events=EPOLLIN, data={u32=0, u64=0}}) = 0\n"
                 "epoll_wait(3, [{events=EPOLLIN, data={u32=0, u64=0}}], 9, -1) = 1\n"
                 "epoll_ctl(3, EPOLL_CTL_ADD, 4, {EPOLLIN, {u32=4, u64=4}}) = 0\n"
                 "epoll_wait(3, [{EPOLLIN, {u32=0, u64=0}}, {EPOLLIN, {u32=4, u64=4}}], 9, "
                 "-1) = 2\n"),
        "RRSSRR");
    plan = &planned;
    cr_assert_eq(plan->steps[5].flags_count, 2);
    cr_expect_eq(plan->flags[plan->steps[5].flags], 1);
    cr_expect_eq(plan->flags[plan->steps[5].flags + 1], 0);
}

#define MESSAGE(call, number)                                                                     \
    call ", {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"x\", iov_len=1}], msg_iovlen=1, " \
         "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, "               \
         "cmsg_data=[" number "]}], msg_controllen=24, msg_flags=0}, 0) = 1\n"

Test(log_plan, descriptors_in_messages)
{
    cr_expect_str_eq(
        verdicts("socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0\n"
                 "pipe([5, 6]) = 0\n" MESSAGE("sendmsg(3", "6")
                     MESSAGE("recvmsg(4", "7") "write(7, \"a\", 1) = 1\n" MESSAGE("sendmsg(3", "0")
                         MESSAGE("recvmsg(4", "8") "write(8, \"a\", 1) = 1\n"
                                                   "close(8) = 0\n"),
        "RRRRRRRSR");
    cr_expect_eq(planned.steps[5].stand_in_count, 1, "an opaque one needs something to be sent");
    cr_expect_str_eq(
        verdicts("pipe([5, 6]) = 0\n" MESSAGE("sendmsg(9", "6") "write(6, \"a\", 1) = 1\n"), "SSS",
        "it went where nobody sees it");
}

Test(log_plan, half_of_a_passage)
{
    cr_expect_str_eq(verdicts("pipe([3, 4]) = 0\n"
                              "splice(0, NULL, 4, NULL, 100, 0) = 50\n"
                              "splice(3, NULL, 1, NULL, 100, 0) = 50\n"
                              "splice(8, NULL, 9, NULL, 100, 0) = 50\n"
                              "sendfile(4, 0, NULL, 10) = 10\n"),
                     "RFDSF");
}

Test(log_plan, a_pipe_that_is_opened_by_its_number)
{
    cr_expect_str_eq(verdicts("pipe([3, 4]) = 0\n"
                              "openat(AT_FDCWD, \"/dev/fd/3\", O_RDONLY) = 5\n"
                              "write(4, \"a\", 1) = 1\n"),
                     "SSS");
}

Test(log_plan, only_what_must_be_read_is_an_error)
{
    static const char text[] = "pipe([3, 4]) = 0\nwrite(4, %, 1) = 1\n";
    struct log_error error = { .message = "" };
    struct log log;
    struct log_plan plan;

    cr_expect_str_eq(verdicts("write(4, %, 1) = 1\n"), "S");
    cr_assert_eq(log_parse(text, sizeof text - 1, &log, &error), 0);
    cr_assert_eq(log_plan_make(&log, true, &plan, &error), -1);
    cr_expect_eq(error.place.line, 2);
    cr_expect_eq(error.place.column, 10);
    log_destroy(&log);
}

Test(log_plan, what_is_told_of_it)
{
    char text[200];
    const struct log_plan *plan = plan_of(
        "pipe([3, 4]) = 0\nopen(\"/a\", 0) = 5\nread(5, \"\", 1) = 0\n"
        "open(\"/b\", 0) = 6\nwrite(4, \"a\"..., 9) = 9\n");

    log_plan_skipped(plan, text, sizeof text);
    cr_expect_str_eq(text, "open 2, read 1");
    cr_expect_eq(plan->interpreted, 2);
    cr_expect_eq(plan->skipped, 3);
    cr_expect_eq(plan->cut, 1);
    cr_expect_eq(plan->tasks, 1);
}

Test(log_plan, what_is_related)
{
    const struct log_plan *plan = plan_of("1 pipe([3, 4]) = 0\n1 pipe([5, 6]) = 0\n"
                                          "1 write(4, \"a\", 1) = 1\n1 read(3, \"a\", 1) = 1\n"
                                          "1 write(6, \"a\", 1) = 1\n");

    cr_expect(log_plan_related(plan, 2, 3));
    cr_expect_not(log_plan_related(plan, 2, 4));
}
