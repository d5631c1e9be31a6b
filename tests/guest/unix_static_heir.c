/*
 * Proves: a statically linked program that inherits a listener serves this program's clients: one
 * that waited before it started, and one that comes later; a client that waits to be accepted is
 * inherited by such a program, too.
 *
 * Rows: 3.2 "exec with an inherited listener", 3.2 "exec with an inherited connection"
 */
#include "unix_static.h"

static void check_echo(int fd, pid_t pid)
{
    char buffer[8];
    CHECK_EQ(4, write(fd, "echo", 4));
    CHECK_EQ(4, guest_read_all(fd, buffer, 4));
    CHECK_MEM("echo", buffer, 4);
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_EQ(0, read(fd, buffer, sizeof buffer));
    guest_wait_exit(pid, UNIX_STATIC_OK);
    CHECK_OK(close(fd));
}

static void of_a_listener(enum unix_form form, bool is_early)
{
    struct unix_name name = unix_named(form, "heir");
    int listener = unix_listener(SOCK_STREAM | SOCK_CLOEXEC, &name, 4), client = -1;
    if (is_early) {
        client = unix_client(SOCK_STREAM | SOCK_CLOEXEC, &name);
    }
    pid_t pid = unix_static_start("accept", NULL, listener);
    if (!is_early) {
        guest_process_blocked(pid);
        client = unix_client(SOCK_STREAM | SOCK_CLOEXEC, &name);
    }
    check_echo(client, pid);
    client = unix_client(SOCK_STREAM, &name); /* it is this program's as well */
    unix_finish(client, unix_accept(listener));
    CHECK_OK(close(listener));
    unix_forget(&name);
}

static void of_a_waiting_client(void)
{
    struct unix_name name = unix_abstract("heir");
    int listener = unix_listener(SOCK_STREAM | SOCK_CLOEXEC, &name, 4);
    int client = unix_client(SOCK_STREAM | SOCK_CLOEXEC, &name);
    pid_t pid = unix_static_start("echo", NULL, client);
    CHECK_OK(close(client));
    guest_process_blocked(pid);
    int accepted = unix_accept(listener);
    CHECK_OK(fcntl(accepted, F_SETFD, FD_CLOEXEC));
    check_echo(accepted, pid);
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    unix_static_find();
    for (enum unix_form form = UNIX_PATH; form < UNIX_FORMS; form++) {
        of_a_listener(form, false);
        of_a_listener(form, true);
    }
    of_a_waiting_client();
    return unix_end();
}
