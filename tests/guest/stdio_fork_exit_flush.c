/*
 * Proves: buffered output on a pipe is flushed by exit() and by return from main in a child, not by
 * _exit(); unflushed bytes are copied by fork and come out twice; the parent then sees end-of-file.
 *
 * Rows: 2.3 "read, empty, no writers"
 */
#include "guest.h"

static size_t collect(int fd, char *buffer, size_t size)
{
    size_t have = guest_read_all(fd, buffer, size - 1);
    buffer[have] = '\0';
    return have;
}

static void exit_flushes(void)
{
    int fds[2];
    char buffer[64];
    guest_pipe(fds);
    FILE *out = fdopen(fds[1], "w");
    CHECK(out != NULL);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(fputs("flushed by exit", out) >= 0);
        exit(5);
    }
    CHECK_EQ(0, fclose(out));
    collect(fds[0], buffer, sizeof buffer);
    CHECK_STR("flushed by exit", buffer);
    guest_wait_exit(pid, 5);
    CHECK_OK(close(fds[0]));
}

static void underscore_exit_does_not(void)
{
    int fds[2];
    char buffer[64];
    guest_pipe(fds);
    FILE *out = fdopen(fds[1], "w");
    CHECK(out != NULL);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(fputs("lost", out) >= 0);
        CHECK_EQ(4, write(fds[1], "kept", 4));
        _exit(0);
    }
    CHECK_EQ(0, fclose(out));
    collect(fds[0], buffer, sizeof buffer);
    CHECK_STR("kept", buffer);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
}

static void unflushed_bytes_come_twice(void)
{
    int fds[2];
    char buffer[64];
    guest_pipe(fds);
    FILE *out = fdopen(fds[1], "w");
    CHECK(out != NULL);
    CHECK(fputs("twice ", out) >= 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(fputs("child ", out) >= 0);
        exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK(fputs("parent", out) >= 0);
    CHECK_EQ(0, fclose(out));
    collect(fds[0], buffer, sizeof buffer);
    CHECK_STR("twice child twice parent", buffer);
    CHECK_OK(close(fds[0]));
}

static FILE *at_exit_stream;

static void say_at_exit(void)
{
    fputs(" at-exit", at_exit_stream);
}

static void atexit_handlers_still_write(void)
{
    int fds[2];
    char buffer[64];
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        at_exit_stream = fdopen(fds[1], "w");
        CHECK(at_exit_stream != NULL);
        CHECK_EQ(0, atexit(say_at_exit));
        CHECK(fputs("body", at_exit_stream) >= 0);
        exit(0);
    }
    CHECK_OK(close(fds[1]));
    collect(fds[0], buffer, sizeof buffer);
    CHECK_STR("body at-exit", buffer);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    exit_flushes();
    underscore_exit_does_not();
    unflushed_bytes_come_twice();
    atexit_handlers_still_write();
    return guest_end();
}
