/*
 * Proves: connections that wait are told apart even when their clients have, or had, the same name:
 * a name used again after its first owner closed, renamed or unlinked it, relative names of the
 * same bytes in two directories, stream and seqpacket clients of one abstract name. Each accepted
 * socket is its own client's peer, in the order of the connects.
 *
 * Rows: 3.1 "accept's address", 3.1 "names of files", 3.1 "abstract names end with the socket",
 * 3.2 "accept: client already closed"
 */
#include "unix_names.h"

enum { OWNERS = 5 };

static int named_client(int type, const struct unix_name *own, const struct unix_name *server)
{
    int fd = unix_socket(type);
    CHECK_OK(unix_bind(fd, own));
    CHECK_OK(unix_connect(fd, server));
    return fd;
}

static void say(int fd, int number)
{
    char text[2] = { 'n', (char)('0' + number) };
    CHECK_EQ(2, write(fd, text, 2));
}

static int accept_number(int listener, const struct unix_name *own, int number)
{
    char text[4];
    int accepted = ACCEPT_FROM(listener, *own);
    CHECK_EQ(2, read(accepted, text, sizeof text));
    CHECK_EQ('0' + number, text[1]);
    return accepted;
}

/* Each owner leaves before the next one comes; nobody is accepted yet. */
static void one_after_another(int type, enum unix_form form)
{
    struct unix_name server = unix_abstract("server"), own = unix_named(form, "own");
    int listener = unix_listener(type, &server, OWNERS);
    char byte;
    for (int i = 0; i < OWNERS; i++) {
        int client = named_client(type, &own, &server);
        say(client, i);
        CHECK_OK(close(client));
        unix_forget(&own);
    }
    for (int i = 0; i < OWNERS; i++) {
        int accepted = accept_number(listener, &own, i);
        CHECK_EQ(0, read(accepted, &byte, 1));
        CHECK_ERR(EPIPE, send(accepted, "x", 1, MSG_NOSIGNAL));
        CHECK_OK(close(accepted));
    }
    CHECK_OK(close(listener));
}

/* All of them alive, their files unlinked: a name is given to the next one all the same. */
static void all_alive(int type)
{
    struct unix_name server = unix_abstract("server"), own = unix_file("own");
    int listener = unix_listener(type, &server, OWNERS), clients[OWNERS];
    for (int i = 0; i < OWNERS; i++) {
        clients[i] = named_client(type, &own, &server);
        unix_forget(&own);
    }
    for (int i = OWNERS - 1; i >= 0; i--) {
        say(clients[i], i);
    }
    for (int i = 0; i < OWNERS; i++) {
        int accepted = accept_number(listener, &own, i);
        CHECK_PEER_NAME(own, accepted);
        unix_finish(clients[i], accepted);
    }
    CHECK_OK(close(listener));
}

/* The second one leaves and is the first to be looked for. */
static void some_leave(int type)
{
    struct unix_name server = unix_abstract("server"), own = unix_file("own");
    int listener = unix_listener(type, &server, OWNERS), clients[3];
    char byte;
    for (int i = 0; i < 3; i++) {
        clients[i] = named_client(type, &own, &server);
        say(clients[i], i);
        unix_forget(&own);
    }
    CHECK_OK(close(clients[1]));
    int first = accept_number(listener, &own, 0);
    unix_finish(clients[0], first);
    int second = accept_number(listener, &own, 1);
    CHECK_EQ(0, read(second, &byte, 1));
    int third = accept_number(listener, &own, 2);
    unix_finish(clients[2], third);
    CHECK_OK(close(second));
    CHECK_OK(close(listener));
}

/* The same bytes in two directories. */
static void relative(int type)
{
    struct unix_name server = unix_abstract("server"), own = unix_at("own");
    struct unix_name folder = unix_file("folder");
    int start = (int)CHECK_OK(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int listener = unix_listener(type, &server, OWNERS);
    CHECK_OK(mkdir(unix_path_of(&folder), 0700));
    CHECK_OK(chdir(unix_path_of(&folder)));
    int inner = named_client(type, &own, &server);
    CHECK_OK(chdir(unix_directory));
    int outer = named_client(type, &own, &server);
    say(outer, 1);
    say(inner, 0);
    int first = accept_number(listener, &own, 0), second = accept_number(listener, &own, 1);
    unix_finish(outer, second);
    unix_finish(inner, first);
    CHECK_OK(unlink("own"));
    CHECK_OK(unlink("folder/own"));
    CHECK_OK(rmdir("folder"));
    CHECK_OK(fchdir(start));
    CHECK_OK(close(start));
    CHECK_OK(close(listener));
}

/* A stream client and a seqpacket client of one name, at listeners of one name. */
static void of_two_types(void)
{
    struct unix_name server = unix_abstract("server"), own = unix_abstract("own");
    int listeners[2], clients[2];
    for (int i = 0; i < 2; i++) {
        listeners[i] = unix_listener(unix_types[i], &server, 4);
        clients[i] = named_client(unix_types[i], &own, &server);
        say(clients[i], i);
    }
    for (int i = 1; i >= 0; i--) {
        unix_finish(clients[i], accept_number(listeners[i], &own, i));
        CHECK_OK(close(listeners[i]));
    }
}

int main(void)
{
    unix_start();
    of_two_types();
    for (int i = 0; i < 2; i++) {
        one_after_another(unix_types[i], UNIX_PATH);
        one_after_another(unix_types[i], UNIX_ABSTRACT);
        all_alive(unix_types[i]);
        some_leave(unix_types[i]);
        relative(unix_types[i]);
    }
    return unix_end();
}
