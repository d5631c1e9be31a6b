/*
 * Proves: connect's errors in their order: address, path, what is there (a plain file, a directory,
 * a stale socket, a bound one that doesn't listen, another type), backlog, and only then the own
 * state; a connection that failed may be tried again, one that was made is the last.
 *
 * Rows: 3.2 "connect: addrlen/family invalid", 3.2 "connect: path lookup", 3.2 "connect: not a
 * socket file", 3.2 "connect: path bound by another socket type", 3.2 "connect: target not
 * listening", 3.2 "connect: own state connected", 3.2 "a connected socket connecting to a missing
 * path", 3.2 "After the peer closed"
 */
#include "unix_names.h"

static void addresses(int type)
{
    struct unix_name name = unix_abstract("connect");
    int listener = unix_listener(type, &name, 4), fd = unix_socket(type);
    CHECK_ERR(EINVAL, connect(fd, &name.header, (socklen_t)-1));
    CHECK_ERR(EINVAL, connect(fd, &name.header, 129));
    CHECK_ERR(EINVAL, connect(fd, guest_bad_pointer(), 129));
    CHECK_ERR(EFAULT, connect(fd, guest_bad_pointer(), name.length));
    CHECK_ERR(EINVAL, connect(fd, guest_bad_pointer(), 0));
    CHECK_ERR(EINVAL, connect(fd, &name.header, 0));
    CHECK_ERR(EINVAL, connect(fd, &name.header, 2));
    CHECK_ERR(EINVAL, connect(fd, &name.header, 111));
    name.header.sa_family = AF_UNSPEC; /* nothing to dissolve, unlike inet */
    CHECK_ERR(EINVAL, unix_connect(fd, &name));
    name.header.sa_family = AF_INET;
    CHECK_ERR(EINVAL, unix_connect(fd, &name));
    name.header.sa_family = AF_UNIX;
    CHECK_OK(unix_connect(fd, &name));
    int accepted = unix_accept(listener);
    name.header.sa_family = AF_UNSPEC;
    CHECK_ERR(EINVAL, unix_connect(fd, &name));
    unix_finish(fd, accepted);
    CHECK_ERR(EBADF, unix_connect(fd, &name));
    int file = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERR(ENOTSOCK, unix_connect(file, &name));
    CHECK_OK(close(file));
    CHECK_OK(close(listener));
}

static void lookups(int fd)
{
    struct unix_name file = unix_file("file"), below = unix_file("file/s"),
                     loop = unix_file("loop");
    struct unix_name missing = unix_file("missing"), folder = unix_file("folder");
    CHECK_ERR(ENOENT, unix_connect(fd, &missing));
    CHECK_OK(close((int)CHECK_OK(open(unix_path_of(&file), O_CREAT | O_EXCL | O_RDWR, 0700))));
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &file));
    CHECK_ERR(ENOTDIR, unix_connect(fd, &below));
    CHECK_OK(symlink("loop", unix_path_of(&loop)));
    CHECK_ERR(ELOOP, unix_connect(fd, &loop));
    CHECK_OK(mkdir(unix_path_of(&folder), 0700));
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &folder));
    CHECK_OK(rmdir(unix_path_of(&folder)));
    unix_forget(&file);
    unix_forget(&loop);
}

/* Who may not write to the file, or not search a directory, may not connect. */
static void forbidden(int type)
{
    struct unix_name folder = unix_file("folder"), name = unix_file("folder/s");
    CHECK_OK(chmod(unix_directory, 0755));
    CHECK_OK(mkdir(unix_path_of(&folder), 0755));
    int listener = unix_listener(type, &name, 4);
    static const struct {
        mode_t folder, file;
        int error;
    } cases[] = { { 0755, 0777, 0 }, { 0755, 0555, EACCES }, { 0600, 0777, EACCES } };
    for (int i = 0; i < 3; i++) {
        CHECK_OK(chmod(unix_path_of(&name), cases[i].file));
        CHECK_OK(chmod(unix_path_of(&folder), cases[i].folder));
        pid_t pid = guest_fork();
        if (pid == 0) {
            if (geteuid() == 0) {
                CHECK_OK(setresgid(65534, 65534, 65534));
                CHECK_OK(setresuid(65534, 65534, 65534));
            }
            int fd = unix_socket(type);
            if (cases[i].error != 0) {
                CHECK_ERR(cases[i].error, unix_connect(fd, &name));
                _exit(0);
            }
            CHECK_OK(unix_connect(fd, &name));
            CHECK_EQ(2, write(fd, "ok", 2));
            _exit(0);
        }
        guest_wait_exit(pid, 0);
        CHECK_OK(chmod(unix_path_of(&folder), 0755));
    }
    int accepted = unix_accept(listener);
    char buffer[4];
    CHECK_EQ(2, read(accepted, buffer, sizeof buffer));
    CHECK_EQ(0, read(accepted, buffer, sizeof buffer));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
    unix_forget(&name);
    CHECK_OK(rmdir(unix_path_of(&folder)));
}

static void nobody_listens(int type, enum unix_form form)
{
    struct unix_name name = unix_named(form, "quiet"), unknown = unix_abstract("unknown");
    int other = type == SOCK_STREAM ? SOCK_SEQPACKET : SOCK_STREAM;
    int server = unix_socket(type), fd = unix_socket(type), wrong = unix_socket(other);
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &unknown));
    CHECK_OK(unix_bind(server, &name));
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &name)); /* bound, not listening */
    CHECK_ERR(form == UNIX_PATH ? EPROTOTYPE : ECONNREFUSED, unix_connect(wrong, &name));
    CHECK_OK(listen(server, 4));
    CHECK_ERR(form == UNIX_PATH ? EPROTOTYPE : ECONNREFUSED, unix_connect(wrong, &name));
    CHECK_OK(unix_connect(fd, &name)); /* after all these failures */
    int accepted = unix_accept(server);
    unix_talk_between(fd, accepted);
    CHECK_OK(shutdown(server, SHUT_RD));
    int late = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(late, &name));
    CHECK_OK(close(server));
    CHECK_ERR(ECONNREFUSED, unix_connect(late, &name));
    unix_forget(&name);
    CHECK_ERR(form == UNIX_PATH ? ENOENT : ECONNREFUSED, unix_connect(late, &name));
    CHECK_OK(close(late));
    CHECK_OK(close(wrong));
    unix_finish(fd, accepted);
}

/* A bound name that belongs to a connected client is no listener. */
static void of_a_client(int type, enum unix_form form)
{
    struct unix_name server = unix_abstract("server"), own = unix_named(form, "own");
    int listener = unix_listener(type, &server, 4), client = unix_socket(type);
    int fd = unix_socket(type);
    CHECK_OK(unix_bind(client, &own));
    CHECK_ERR(ECONNREFUSED, unix_connect(client, &own)); /* itself */
    CHECK_OK(unix_connect(client, &server));
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &own));
    unix_finish(client, unix_accept(listener));
    CHECK_OK(close(listener));
    CHECK_OK(close(fd));
    unix_forget(&own);
}

static void own_state(int type)
{
    struct unix_name name = unix_abstract("state"), full = unix_abstract("full");
    struct unix_name missing = unix_file("missing"), unknown = unix_abstract("unknown");
    int listener = unix_listener(type, &name, 4), small = unix_listener(type, &full, 0);
    int filler = unix_client(type, &full);
    int fd = unix_client(type | SOCK_NONBLOCK, &name), accepted = unix_accept(listener);
    for (int i = 0; i < 2; i++) { /* the client, then the accepted one */
        int tried = i == 0 ? fd : accepted;
        guest_set_nonblock(tried, true);
        CHECK_ERR(EISCONN, unix_connect(tried, &name));
        CHECK_ERR(ENOENT, unix_connect(tried, &missing));
        CHECK_ERR(ECONNREFUSED, unix_connect(tried, &unknown));
        CHECK_ERR(EAGAIN, unix_connect(tried, &full));
    }
    guest_set_nonblock(listener, true);
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL)); /* none of these has left anything */
    CHECK_ERR(EAGAIN, unix_connect(listener, &full));
    guest_set_nonblock(small, true);
    CHECK_ERR(EINVAL, unix_connect(small, &name)); /* a listener; to itself: next line */
    CHECK_ERR(EINVAL, unix_connect(listener, &name));
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL));
    unix_talk_between(fd, accepted);
    CHECK_OK(close(accepted));
    CHECK_ERR(EISCONN, unix_connect(fd, &name)); /* connected once, for ever */
    CHECK_OK(shutdown(fd, SHUT_RDWR));
    CHECK_ERR(EISCONN, unix_connect(fd, &name));
    CHECK_OK(close(fd));
    unix_finish(filler, unix_accept(small));
    CHECK_OK(close(listener));
    CHECK_OK(close(small));
    int fds[2];
    guest_pair(type, fds);
    listener = unix_listener(type, &name, 1);
    CHECK_ERR(EISCONN, unix_connect(fds[0], &name));
    unix_finish(fds[0], fds[1]);
    CHECK_OK(close(listener));
}

/* "Is somebody there? Then I am": the same socket connects in vain, is bound and listens. */
static void refused_then_listens(int type, enum unix_form form)
{
    struct unix_name name = unix_named(form, "instance");
    int old = unix_listener(type, &name, 4), fd = unix_socket(type);
    CHECK_OK(close(old));
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &name));
    unix_forget(&name);
    CHECK_OK(unix_bind(fd, &name));
    CHECK_OK(listen(fd, 4));
    int client = unix_client(type, &name);
    unix_finish(client, unix_accept(fd));
    CHECK_OK(close(fd));
    unix_forget(&name);
}

/* shutdown before connect: the connection is made, half of it is gone from the start. */
static void shut_before(int type)
{
    struct unix_name name = unix_abstract("shut");
    int listener = unix_listener(type, &name, 4), fd = unix_socket(type);
    char buffer[4];
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_OK(unix_connect(fd, &name));
    int accepted = unix_accept(listener);
    CHECK_ERR(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK_EQ(2, write(accepted, "to", 2));
    CHECK_EQ(2, read(fd, buffer, sizeof buffer));
    CHECK_OK(close(fd));
    CHECK_EQ(0, read(accepted, buffer, sizeof buffer));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        addresses(unix_types[i]);
        int fd = unix_socket(unix_types[i]);
        lookups(fd);
        CHECK_OK(close(fd));
        forbidden(unix_types[i]);
        nobody_listens(unix_types[i], UNIX_PATH);
        nobody_listens(unix_types[i], UNIX_ABSTRACT);
        of_a_client(unix_types[i], UNIX_PATH);
        of_a_client(unix_types[i], UNIX_ABSTRACT);
        refused_then_listens(unix_types[i], UNIX_PATH);
        refused_then_listens(unix_types[i], UNIX_ABSTRACT);
        own_state(unix_types[i]);
        shut_before(unix_types[i]);
    }
    return unix_end();
}
