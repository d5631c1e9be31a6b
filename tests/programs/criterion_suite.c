/*
 * criterion_suite.c - a Criterion suite as users have them: tests over pipes, sockets and children,
 * and every way in which a test can end; some are meant to fail
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(ends, .timeout = 20);

static int fds[2];

static void open_pair(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void close_pair(void)
{
    close(fds[0]);
    close(fds[1]);
}

TestSuite(channels, .init = open_pair, .fini = close_pair, .timeout = 20);

Test(channels, pipe_moves_bytes)
{
    char text[5];
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "hello", 5), 5);
    cr_assert_eq(read(ends[0], text, 5), 5);
    cr_assert_arr_eq(text, "hello", 5);
    close(ends[1]);
    cr_assert_eq(read(ends[0], text, 5), 0);
}

Test(channels, pair_with_child)
{
    char text[4];
    int status;
    pid_t child = fork();

    if (child == 0) {
        _exit(write(fds[1], "ping", 4) == 4 ? 7 : 1);
    }
    cr_assert_eq(recv(fds[0], text, 4, MSG_WAITALL), 4);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(WEXITSTATUS(status), 7);
}

static void *echo(void *unused)
{
    char text[1000];

    for (ssize_t got; (got = read(fds[1], text, sizeof text)) > 0;) {
        cr_assert_eq(write(fds[1], text, (size_t)got), got);
    }
    return unused;
}

Test(channels, pair_with_thread)
{
    char text[1000] = "text";
    pthread_t thread;

    pthread_create(&thread, NULL, echo, NULL);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(write(fds[0], text, sizeof text), (ssize_t)sizeof text);
        cr_assert_eq(recv(fds[0], text, sizeof text, MSG_WAITALL), (ssize_t)sizeof text);
    }
    shutdown(fds[0], SHUT_WR);
    pthread_join(thread, NULL);
    cr_assert_str_eq(text, "text");
}

Test(channels, epoll_sees_both)
{
    struct epoll_event event = { .events = EPOLLIN };
    int set = epoll_create1(0);

    cr_assert_eq(epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &event), 0);
    cr_assert_eq(epoll_wait(set, &event, 1, 0), 0);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    cr_assert_eq(epoll_wait(set, &event, 1, -1), 1);
}

Test(channels, command)
{
    char line[16];
    FILE *stream = popen("echo hi; exit 3", "r");

    cr_assert(fgets(line, sizeof line, stream));
    cr_assert_str_eq(line, "hi\n");
    cr_assert_eq(WEXITSTATUS(pclose(stream)), 3);
    cr_assert_eq(system("exit 4") >> 8, 4);
}

Test(channels, named_server)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    char byte;
    int accepted;

    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "criterion_suite.%d", getpid());
    cr_assert_eq(bind(server, (struct sockaddr *)&name, sizeof name), 0);
    cr_assert_eq(listen(server, 1), 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&name, sizeof name), 0);
    accepted = accept(server, NULL, NULL);
    cr_assert_eq(write(client, "x", 1), 1);
    cr_assert_eq(read(accepted, &byte, 1), 1);
}

ParameterizedTestParameters(channels, sizes)
{
    static int sizes[] = { 1, 4096, 100000 };

    return cr_make_param_array(int, sizes, 3);
}

ParameterizedTest(int *size, channels, sizes)
{
    char *data = calloc(1, (size_t)*size);
    pid_t child = fork();

    if (child == 0) {
        _exit(write(fds[1], data, (size_t)*size) == *size ? 0 : 1);
    }
    cr_assert_eq(recv(fds[0], data, (size_t)*size, MSG_WAITALL), *size);
    waitpid(child, NULL, 0);
    free(data);
}

Test(ends, assertion_fails)
{
    cr_assert_eq(1, 2, "meant to fail");
}

Test(ends, expectations_fail)
{
    cr_expect(0, "the first");
    cr_expect(0, "the second");
}

Test(ends, writes)
{
    printf("to stdout\n");
    fprintf(stderr, "to stderr\n");
}

Test(ends, skipped, .disabled = true)
{
    cr_assert(0);
}
Test(ends, exits, .exit_code = 3)
{
    exit(3);
}
Test(ends, exits_at_once, .exit_code = 4)
{
    _exit(4);
}
Test(ends, exits_otherwise, .exit_code = 5)
{
    _exit(6);
}
Test(ends, dies, .signal = SIGSEGV)
{
    raise(SIGSEGV);
}
Test(ends, faults, .signal = SIGSEGV)
{
    *(volatile int *)8 = 1;
}
Test(ends, aborts, .signal = SIGABRT)
{
    abort();
}
Test(ends, killed, .signal = SIGKILL)
{
    kill(getpid(), SIGKILL);
}
Test(ends, crashes)
{
    *(volatile int *)8 = 1;
}

Test(ends, broken_pipe, .signal = SIGPIPE)
{
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    cr_assert_eq(write(ends[1], "x", 1), -1);
}

Test(ends, hangs, .timeout = 0.3)
{
    int ends[2];
    char byte;

    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(read(ends[0], &byte, 1), 1);
}
