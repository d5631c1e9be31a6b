/*
 * Proves: programs that use connections without knowing: stdio streams on both ends, line by line;
 * posix_spawn with the accepted socket as 0 and 1; system() beside a listener that waits; popen's
 * child as a client's source.
 *
 * Rows: 3.2 "data over connections", 3.2 "exec with an inherited connection"
 */
#include <spawn.h>

#include "unix_names.h"

enum { LINES = 300 };

static void *serve_lines(void *argument)
{
    int fd = unix_accept(*(int *)argument);
    char line[64];
    FILE *in = fdopen(fd, "r"), *out = fdopen((int)CHECK_OK(dup(fd)), "w");
    CHECK(in != NULL && out != NULL);
    while (fgets(line, sizeof line, in) != NULL) {
        fprintf(out, "got %s", line);
        CHECK_EQ(0, fflush(out));
    }
    fputs("bye\n", out);
    CHECK_EQ(0, fclose(out));
    CHECK_EQ(0, fclose(in));
    return NULL;
}

static void lines(enum unix_form form)
{
    struct unix_name name = unix_named(form, "stdio");
    int listener = unix_listener(SOCK_STREAM, &name, 4);
    struct guest_thread server;
    char line[64], expected[64];
    guest_thread_start(&server, serve_lines, &listener);
    int client = unix_client(SOCK_STREAM, &name);
    FILE *stream = fdopen(client, "r+");
    CHECK(stream != NULL);
    for (int i = 0; i < LINES; i++) {
        CHECK(fprintf(stream, "line %d\n", i) > 0);
        CHECK_EQ(0, fflush(stream));
        CHECK(fgets(line, sizeof line, stream) != NULL);
        snprintf(expected, sizeof expected, "got line %d\n", i);
        CHECK_STR(expected, line);
    }
    dprintf(client, "half");
    CHECK_OK(shutdown(client, SHUT_WR));
    CHECK(fgets(line, sizeof line, stream) != NULL);
    CHECK_STR("got halfbye\n", line);
    CHECK(fgets(line, sizeof line, stream) == NULL);
    guest_thread_join(&server);
    CHECK_EQ(0, fclose(stream));
    CHECK_OK(close(listener));
    unix_forget(&name);
}

static void spawned(void)
{
    struct unix_name name = unix_abstract("stdio");
    int listener = unix_listener(SOCK_STREAM | SOCK_CLOEXEC, &name, 4);
    int client = unix_client(SOCK_STREAM | SOCK_CLOEXEC, &name);
    int accepted = (int)CHECK_OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    char *arguments[] = { "tr", "a-z", "A-Z", NULL }, buffer[16];
    posix_spawn_file_actions_t actions;
    pid_t pid;
    CHECK_ZERO(posix_spawn_file_actions_init(&actions));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, accepted, 0));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, accepted, 1));
    CHECK_ZERO(posix_spawnp(&pid, "tr", &actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    CHECK_OK(close(accepted));
    CHECK_EQ(5, write(client, "hello", 5));
    CHECK_OK(shutdown(client, SHUT_WR));
    CHECK_EQ(5, guest_read_all(client, buffer, sizeof buffer));
    CHECK_MEM("HELLO", buffer, 5);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
}

/* A shell that inherits listener, waiting client and connection, uses and hurts none of them. */
static void beside_a_shell(void)
{
    struct unix_name name = unix_abstract("stdio");
    int listener = unix_listener(SOCK_STREAM, &name, 4);
    int first = unix_client(SOCK_STREAM, &name), accepted = unix_accept(listener);
    int second = unix_client(SOCK_STREAM, &name), fresh = unix_socket(SOCK_STREAM);
    char text[32];
    CHECK_EQ(0, system("echo ignored | cat >/dev/null"));
    FILE *shell = popen("echo from a shell", "r");
    CHECK(shell != NULL && fgets(text, sizeof text, shell) != NULL);
    CHECK_EQ(0, pclose(shell));
    CHECK_EQ(12, write(second, text, strlen(text) - 1));
    unix_talk_between(first, accepted);
    CHECK_OK(close(accepted));
    accepted = unix_accept(listener);
    CHECK_EQ(12, read(accepted, text, sizeof text));
    CHECK_MEM("from a shell", text, 12);
    CHECK_OK(unix_connect(fresh, &name));
    unix_finish(fresh, unix_accept(listener));
    unix_finish(second, accepted);
    CHECK_OK(close(first));
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    lines(UNIX_PATH);
    lines(UNIX_ABSTRACT);
    spawned();
    beside_a_shell();
    return unix_end();
}
