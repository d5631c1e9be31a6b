/*
 * Proves: a new image serves with the listener it inherited (as a service manager hands one over),
 * also with an empty environment and with connections that wait already; an inherited connected,
 * accepted or fresh socket works there; FD_CLOEXEC closes; inetd's way: a program that knows
 * nothing of sockets on 0 and 1.
 *
 * Rows: 3.2 "exec with an inherited listener", 3.2 "exec with an inherited connection", 5.1 "exec"
 */
#include "unix_names.h"

enum { LISTENER_FD = 3, IMAGE_OK = 9 };

/* Accepts two connections, doubles what they say. */
static int image_listener(void)
{
    char buffer[16];
    CHECK_EQ(1, unix_option(LISTENER_FD, SO_ACCEPTCONN));
    for (int i = 0; i < 2; i++) {
        int fd = unix_accept(LISTENER_FD);
        CHECK_EQ(3, read(fd, buffer, 8));
        memcpy(buffer + 3, buffer, 3);
        CHECK_EQ(6, write(fd, buffer, 6));
        CHECK_EQ(0, read(fd, buffer, 8));
        CHECK_OK(close(fd));
    }
    return IMAGE_OK;
}

/* Talks over 3 until end-of-file. */
static int image_connected(void)
{
    char buffer[16];
    ssize_t count;
    struct sockaddr_un address;
    socklen_t length = sizeof address;
    CHECK_OK(getpeername(LISTENER_FD, (struct sockaddr *)&address, &length));
    while ((count = CHECK_OK(read(LISTENER_FD, buffer, sizeof buffer))) > 0) {
        CHECK_EQ(count, write(LISTENER_FD, buffer, (size_t)count));
    }
    return IMAGE_OK;
}

/* Connects the fresh socket 3 to the name it is told. */
static int image_fresh(const char *path)
{
    struct unix_name name = unix_at(path);
    CHECK_OK(unix_connect(LISTENER_FD, &name));
    CHECK_EQ(5, write(LISTENER_FD, "fresh", 5));
    return image_connected();
}

static pid_t start_image(int fd, const char *what, const char *word, bool is_empty)
{
    char *arguments[] = { "unix_exec_inherited", (char *)(uintptr_t)what, (char *)(uintptr_t)word,
                          NULL };
    char *empty[] = { NULL };
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (fd == LISTENER_FD) {
            CHECK_OK(fcntl(fd, F_SETFD, 0));
        } else {
            CHECK_OK(dup2(fd, LISTENER_FD));
        }
        closefrom(LISTENER_FD + 1);
        execve("/proc/self/exe", arguments, is_empty ? empty : environ);
        _exit(126);
    }
    return pid;
}

static void check_doubled(int client)
{
    char buffer[16];
    CHECK_EQ(3, write(client, "abc", 3));
    CHECK_EQ(6, read(client, buffer, sizeof buffer));
    CHECK_MEM("abcabc", buffer, 6);
    CHECK_OK(close(client));
}

static void listener_goes_on(int type, enum unix_form form, bool is_empty)
{
    struct unix_name name = unix_named(form, "exec");
    int listener = unix_listener(type | SOCK_CLOEXEC, &name, 4);
    int early = unix_client(type | SOCK_CLOEXEC, &name); /* waits over the exec */
    pid_t pid = start_image(listener, "listener", "", is_empty);
    CHECK_OK(close(listener));
    check_doubled(early);
    int late = unix_client(type | SOCK_CLOEXEC, &name);
    check_doubled(late);
    guest_wait_exit(pid, IMAGE_OK);
    unix_forget(&name);
}

static void check_echo(int fd, pid_t pid)
{
    char buffer[16];
    CHECK_EQ(4, write(fd, "echo", 4));
    CHECK_EQ(4, read(fd, buffer, sizeof buffer));
    CHECK_MEM("echo", buffer, 4);
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_EQ(0, read(fd, buffer, sizeof buffer));
    guest_wait_exit(pid, IMAGE_OK);
    CHECK_OK(close(fd));
}

/* index 0: the client goes to the new image, 1: the accepted one; with a byte on its way. */
static void connection_goes_on(int type, int index, bool is_empty)
{
    int fds[2];
    char byte;
    unix_connection(type | SOCK_CLOEXEC, fds);
    CHECK_OK(fcntl(fds[1], F_SETFD, FD_CLOEXEC));
    CHECK_EQ(1, write(fds[1 - index], "x", 1));
    pid_t pid = start_image(fds[index], "connected", "", is_empty);
    CHECK_OK(close(fds[index]));
    CHECK_EQ(1, read(fds[1 - index], &byte, 1));
    check_echo(fds[1 - index], pid);
}

/* The server is this process; the connection waits while the client is exchanged. */
static void before_accept(int type, bool is_empty)
{
    struct unix_name name = unix_abstract("exec");
    int listener = unix_listener(type | SOCK_CLOEXEC, &name, 4);
    int client = unix_client(type | SOCK_CLOEXEC, &name);
    pid_t pid = start_image(client, "connected", "", is_empty);
    CHECK_OK(close(client));
    guest_process_blocked(pid);
    int accepted = unix_accept(listener);
    CHECK_OK(fcntl(accepted, F_SETFD, FD_CLOEXEC));
    check_echo(accepted, pid);
    CHECK_OK(close(listener));
}

static void fresh_goes_on(int type, bool is_empty)
{
    struct unix_name name = unix_file("exec");
    int listener = unix_listener(type | SOCK_CLOEXEC, &name, 4), fresh = unix_socket(type);
    char buffer[8];
    pid_t pid = start_image(fresh, "fresh", unix_path_of(&name), is_empty);
    CHECK_OK(close(fresh));
    int accepted = unix_accept(listener);
    CHECK_OK(fcntl(accepted, F_SETFD, FD_CLOEXEC));
    CHECK_EQ(5, read(accepted, buffer, sizeof buffer));
    check_echo(accepted, pid);
    CHECK_OK(close(listener));
    unix_forget(&name);
}

/* accept, fork, dup2 to 0 and 1, exec cat. */
static void as_inetd_does(const char *program)
{
    struct unix_name name = unix_abstract("exec");
    int listener = unix_listener(SOCK_STREAM | SOCK_CLOEXEC, &name, 4);
    int client = unix_client(SOCK_STREAM | SOCK_CLOEXEC, &name);
    int accepted = (int)CHECK_OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    char buffer[16];
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(dup2(accepted, 0));
        CHECK_OK(dup2(accepted, 1));
        execl("/bin/sh", "sh", "-c", program, NULL);
        _exit(126);
    }
    CHECK_OK(close(accepted));
    CHECK_EQ(6, write(client, "a line", 6));
    CHECK_OK(shutdown(client, SHUT_WR));
    CHECK_EQ(6, guest_read_all(client, buffer, sizeof buffer));
    CHECK_MEM("a line", buffer, 6);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
}

/* What is close-on-exec ends there: the last holder of a listener and of a connection. */
static void closed_by_exec(int type)
{
    struct unix_name name = unix_abstract("exec");
    int listener = unix_listener(type | SOCK_CLOEXEC, &name, 4), fds[2];
    int client = unix_client(type | SOCK_CLOEXEC, &name);
    int accepted = (int)CHECK_OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    int queued = unix_client(type | SOCK_CLOEXEC, &name);
    char byte;
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(client));
        CHECK_OK(close(queued));
        CHECK_OK(dup2(fds[0], 0));
        CHECK_OK(close(fds[0]));
        CHECK_OK(close(fds[1]));
        execl("/bin/cat", "cat", NULL);
        _exit(126);
    }
    CHECK_OK(close(listener));
    CHECK_OK(close(accepted));
    CHECK_EQ(0, read(client, &byte, 1)); /* the exec ends them: cat lives until we close the pipe */
    CHECK_ERR(ECONNRESET, read(queued, &byte, 1));
    guest_close_both(fds);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(client));
    CHECK_OK(close(queued));
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        alarm(GUEST_DEADLINE_S);
        return strcmp(argv[1], "listener") == 0    ? image_listener()
               : strcmp(argv[1], "connected") == 0 ? image_connected()
                                                   : image_fresh(argv[2]);
    }
    unix_start();
    for (int i = 0; i < 2; i++) {
        for (int empty = 0; empty < 2; empty++) {
            listener_goes_on(unix_types[i], UNIX_PATH, empty == 1);
            listener_goes_on(unix_types[i], UNIX_ABSTRACT, empty == 1);
            connection_goes_on(unix_types[i], 0, empty == 1);
            connection_goes_on(unix_types[i], 1, empty == 1);
            before_accept(unix_types[i], empty == 1);
            fresh_goes_on(unix_types[i], empty == 1);
        }
        closed_by_exec(unix_types[i]);
    }
    as_inetd_does("exec cat");
    as_inetd_does("exec env -i /bin/cat");
    return unix_end();
}
