/*
 * Proves: abstract names are bytes with a length, one set for each type; they go with the last
 * reference to the socket, also that of another process or of one that is killed; autobind makes
 * names of one form; a client with SO_PASSCRED gets such a name at connect.
 *
 * Rows: 3.1 "bind: abstract, same bytes, same length, same type", 3.1 "bind: abstract, same bytes
 * but other length", 3.1 "Autobind name", 3.1 "Setting SO_PASSCRED makes an unbound socket
 * autobind", 3.1 "abstract names end with the socket"
 */
#include "unix_names.h"

/* Every byte counts: these are different names. */
static void bytes_and_lengths(int type)
{
    struct unix_name names[5];
    int listeners[5];
    names[0] = unix_abstract("n");
    names[1] = names[0]; /* with a NUL more */
    names[1].length++;
    names[2] = names[0]; /* filled up with NULs, as many programs do */
    names[2].length = sizeof(struct sockaddr_un);
    names[3] = unix_abstract("N");
    names[4] = names[0]; /* with NULs in between */
    memcpy(names[4].bytes + names[0].length, "\0x\0y", 4);
    names[4].length += 4;
    for (int i = 0; i < 5; i++) {
        listeners[i] = unix_listener(type, &names[i], 1);
    }
    for (int i = 0; i < 5; i++) {
        int fd = unix_socket(type);
        CHECK_ERR(EADDRINUSE, unix_bind(fd, &names[i]));
        CHECK_OK(unix_connect(fd, &names[i]));
        CHECK_PEER_NAME(names[i], fd);
        unix_finish(fd, unix_accept(listeners[i]));
        CHECK_OK(close(listeners[i]));
    }
    int fd = unix_socket(type);
    for (int i = 0; i < 5; i++) {
        CHECK_ERR(ECONNREFUSED, unix_connect(fd, &names[i]));
    }
    CHECK_OK(close(fd));
}

static void a_set_for_each_type(void)
{
    struct unix_name name = unix_abstract("typed");
    int stream = unix_listener(SOCK_STREAM, &name, 1);
    int fd = unix_socket(SOCK_SEQPACKET);
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &name));
    int packet = unix_listener(SOCK_SEQPACKET, &name, 1);
    CHECK_OK(unix_connect(fd, &name));
    unix_finish(fd, unix_accept(packet));
    fd = unix_client(SOCK_STREAM, &name);
    unix_finish(fd, unix_accept(stream));
    CHECK_OK(close(stream));
    CHECK_OK(close(packet));
}

static void check_free(int type, const struct unix_name *name, bool is_free)
{
    int fd = unix_socket(type);
    if (is_free) {
        CHECK_OK(unix_bind(fd, name));
    } else {
        CHECK_ERR(EADDRINUSE, unix_bind(fd, name));
    }
    CHECK_OK(close(fd));
}

static void end_with_the_socket(int type)
{
    struct unix_name name = unix_abstract("ends");
    int listener = unix_listener(type, &name, 1);
    int client = unix_client(type, &name), accepted = unix_accept(listener);
    int copy = (int)CHECK_OK(dup(listener));
    CHECK_OK(close(listener));
    check_free(type, &name, false);
    pid_t pid = guest_fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(0);
    }
    CHECK_OK(close(copy));
    check_free(type, &name, false); /* the child has it */
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    check_free(type, &name, true); /* the accepted socket's name is only called so */
    int next = unix_listener(type, &name, 1);
    CHECK_OWN_NAME(name, accepted);
    unix_finish(client, accepted);
    client = unix_client(type, &name);
    unix_finish(client, unix_accept(next));
    CHECK_OK(close(next));
    int named = unix_socket(type); /* a client's name ends so, too */
    next = unix_listener(type, &name, 1);
    struct unix_name own = unix_abstract("own");
    CHECK_OK(unix_bind(named, &own));
    CHECK_OK(unix_connect(named, &name));
    accepted = unix_accept(next);
    check_free(type, &own, false);
    CHECK_OK(close(named));
    CHECK_PEER_NAME(own, accepted);
    check_free(type, &own, true);
    CHECK_OK(close(accepted));
    CHECK_OK(close(next));
}

/* NUL and five hexadecimal digits. */
static void check_automatic(const struct unix_name *name)
{
    CHECK_EQ(8, name->length);
    CHECK_EQ(AF_UNIX, name->header.sa_family);
    CHECK_EQ('\0', name->bytes[2]);
    for (int i = 3; i < 8; i++) {
        CHECK(strchr("0123456789abcdef", name->bytes[i]) != NULL && name->bytes[i] != '\0');
    }
}

static void automatic(int type)
{
    struct unix_name names[8], unnamed = unix_unnamed();
    int listeners[8];
    for (int i = 0; i < 8; i++) {
        listeners[i] = unix_any_listener(type, 1, &names[i]);
        check_automatic(&names[i]);
        CHECK_OK(unix_bind(listeners[i], &unnamed)); /* again: it stays what it was */
        CHECK_OWN_NAME(names[i], listeners[i]);
        for (int other = 0; other < i; other++) {
            CHECK(memcmp(names[i].bytes, names[other].bytes, 8) != 0);
        }
    }
    for (int i = 0; i < 8; i++) {
        int fd = unix_client(type, &names[i]);
        unix_finish(fd, unix_accept(listeners[i]));
        CHECK_OK(close(listeners[i]));
    }
}

static void by_pass_credentials(int type)
{
    struct unix_name server = unix_abstract("server"), name = { .length = UNIX_NAME_BYTES };
    struct unix_name unnamed = unix_unnamed(), own = unix_abstract("own");
    int listener = unix_listener(type, &server, 1), fd = unix_socket(type);
    unix_set_option(fd, SO_PASSCRED, 1);
    CHECK_OWN_NAME(unnamed, fd); /* not yet */
    CHECK_OK(unix_connect(fd, &server));
    CHECK_OK(getsockname(fd, &name.header, &name.length));
    check_automatic(&name);
    int accepted = ACCEPT_FROM(listener, name);
    CHECK_PEER_NAME(name, accepted);
    unix_finish(fd, accepted);
    fd = unix_socket(type); /* one that has a name keeps it */
    unix_set_option(fd, SO_PASSCRED, 1);
    CHECK_OK(unix_bind(fd, &own));
    CHECK_OK(unix_connect(fd, &server));
    CHECK_OWN_NAME(own, fd);
    unix_finish(fd, ACCEPT_FROM(listener, own));
    fd = unix_socket(type); /* set after connect: no name */
    CHECK_OK(unix_connect(fd, &server));
    unix_set_option(fd, SO_PASSCRED, 1);
    CHECK_OWN_NAME(unnamed, fd);
    unix_finish(fd, ACCEPT_FROM(listener, unnamed));
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    a_set_for_each_type();
    for (int i = 0; i < 2; i++) {
        bytes_and_lengths(unix_types[i]);
        end_with_the_socket(unix_types[i]);
        automatic(unix_types[i]);
        by_pass_credentials(unix_types[i]);
    }
    return unix_end();
}
