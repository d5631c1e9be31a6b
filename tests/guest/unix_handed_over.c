/*
 * Proves: a client that waits for room in a listener's queue while the listener is passed to
 * somebody else is served there. Connected sockets that were passed, or that an exec inherits after
 * an option was set, have the names that they had; so has who is accepted at a passed listener. A
 * connect that found no room leaves the socket without a name: it can't listen.
 *
 * Rows: 3.2 "passed by SCM_RIGHTS", 3.2 "connect: backlog full, blocking", 3.2 "listen: unbound"
 */
#include "message.h"
#include "unix_names.h"

struct client {
    struct guest_thread thread;
    struct unix_name name;
    int type;
};

/* Over a connection within this process: what comes out is a new number. */
static int passed(int fd)
{
    int channel[2];
    struct message_received received;
    guest_pair(SOCK_STREAM, channel);
    CHECK_EQ(1, message_send(channel[0], "f", 1, &fd, 1));
    message_receive(channel[1], 1, CMSG_SPACE(sizeof(int)), 0, &received);
    CHECK_EQ(1, received.fd_count);
    guest_close_both(channel);
    return received.fds[0];
}

static void *wait_and_talk(void *argument)
{
    const struct client *client = argument;
    char buffer[8];
    int fd = unix_client(client->type, &client->name);
    CHECK_EQ(4, write(fd, "late", 4));
    CHECK_EQ(2, read(fd, buffer, sizeof buffer));
    CHECK_OK(close(fd));
    return NULL;
}

static void while_it_waits(int type, enum unix_form form)
{
    struct client client = { .type = type, .name = unix_named(form, "busy") };
    char buffer[8];
    int listener = unix_listener(type, &client.name, 0), first = unix_client(type, &client.name);
    guest_thread_start(&client.thread, wait_and_talk, &client);
    guest_thread_blocked(&client.thread);
    int copy = passed(listener);
    CHECK_OK(close(listener));
    CHECK_OK(close(unix_accept(copy)));
    int late = unix_accept(copy);
    CHECK_EQ(4, read(late, buffer, sizeof buffer));
    CHECK_EQ(2, write(late, "ok", 2));
    guest_thread_join(&client.thread);
    CHECK_OK(close(late));
    CHECK_OK(close(first));
    CHECK_OK(close(copy));
    unix_forget(&client.name);
}

static void check_names(const struct unix_name *name, int client, int server)
{
    const struct unix_name unnamed = unix_unnamed();
    CHECK_OWN_NAME(unnamed, client);
    CHECK_PEER_NAME(*name, client);
    CHECK_OWN_NAME(*name, server);
    CHECK_PEER_NAME(unnamed, server);
}

static void names_stay(int type, enum unix_form form, const char *self)
{
    const struct unix_name name = unix_named(form, "named"), unnamed = unix_unnamed();
    char numbers[2][16], bytes[sizeof name.bytes * 2 + 1];
    int listener = unix_listener(type, &name, 2);
    int client = unix_client(type, &name), server = unix_accept(listener);
    int copies[2] = { passed(client), passed(server) };
    check_names(&name, client, server);
    check_names(&name, copies[0], copies[1]);
    unix_talk(copies);
    guest_close_both(copies);
    int early = unix_client(type, &name), copy = passed(listener);
    int accepted = ACCEPT_FROM(copy, unnamed);
    check_names(&name, early, accepted);
    unix_set_option(server, SO_PASSCRED, 1);
    snprintf(numbers[0], sizeof numbers[0], "%d", client);
    snprintf(numbers[1], sizeof numbers[1], "%d", server);
    for (socklen_t i = 0; i < name.length; i++) {
        sprintf(bytes + (size_t)2 * i, "%02x", (unsigned char)name.bytes[i]);
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        execl(self, self, numbers[0], numbers[1], bytes, NULL);
        _exit(127);
    }
    guest_wait_exit(pid, 0);
    CHECK_OK(close(accepted));
    CHECK_OK(close(early));
    CHECK_OK(close(copy));
    CHECK_OK(close(client));
    CHECK_OK(close(server));
    CHECK_OK(close(listener));
    unix_forget(&name);
}

/* In the new image. */
static int look(const char *client, const char *server, const char *bytes)
{
    struct unix_name name;
    memset(&name, 0, sizeof name);
    for (; name.length < sizeof name.bytes && bytes[(size_t)2 * name.length] != 0; name.length++) {
        unsigned byte;
        CHECK_EQ(1, sscanf(bytes + (size_t)2 * name.length, "%2x", &byte));
        name.bytes[name.length] = (char)byte;
    }
    check_names(&name, atoi(client), atoi(server));
    return 0;
}

static void no_name_to_listen_under(int type)
{
    const struct unix_name name = unix_abstract("full");
    int listener = unix_listener(type, &name, 0), first = unix_client(type, &name);
    int second = unix_socket(type | SOCK_NONBLOCK);
    CHECK_ERR(EAGAIN, unix_connect(second, &name));
    CHECK_ERR(EINVAL, listen(second, 1));
    CHECK_OK(close(second));
    CHECK_OK(close(first));
    CHECK_OK(close(listener));
}

int main(int argc, char **argv)
{
    if (argc == 4) {
        return look(argv[1], argv[2], argv[3]);
    }
    unix_start();
    for (size_t i = 0; i < sizeof unix_types / sizeof *unix_types; i++) {
        for (enum unix_form form = UNIX_PATH; form < UNIX_FORMS; form++) {
            while_it_waits(unix_types[i], form);
            names_stay(unix_types[i], form, argv[0]);
        }
        no_name_to_listen_under(unix_types[i]);
    }
    return unix_end();
}
