/*
 * Proves: what is true of the file of a name: its mode by umask and by fchmod before bind, its
 * kind; it stays when the socket is closed; unlink, rename, links and relative names after chdir;
 * paths without NUL and of 108 bytes; a name that is used again leads to its new owner alone.
 *
 * Rows: 3.1 "Socket file mode: 0777 & ~umask", 3.1 "the file is not removed on close", 3.1 "Path
 * without NUL", 3.1 "names of files"
 */
#include "unix_names.h"

static void mode_and_kind(int type)
{
    static const mode_t masks[] = { 0, 022, 077, 0777 };
    struct unix_name name = unix_file("mode");
    struct stat status;
    for (int i = 0; i < 4; i++) {
        int fd = unix_socket(type);
        mode_t old = umask(masks[i]);
        CHECK_OK(unix_bind(fd, &name));
        umask(old);
        CHECK_OK(stat(unix_path_of(&name), &status));
        CHECK_EQ(S_IFSOCK | (0777 & ~masks[i]), status.st_mode);
        CHECK_EQ(0, status.st_size);
        CHECK_EQ(geteuid(), status.st_uid);
        CHECK_OK(close(fd));
        unix_forget(&name);
    }
    int fd = unix_socket(type);
    mode_t old = umask(022);
    CHECK_OK(fchmod(fd, 0660)); /* of the socket's own inode: bind begins with that */
    CHECK_OK(unix_bind(fd, &name));
    umask(old);
    CHECK_OK(stat(unix_path_of(&name), &status));
    CHECK_EQ(S_IFSOCK | 0640, status.st_mode);
    CHECK_OK(chmod(unix_path_of(&name), 0600));
    CHECK_OK(fstat(fd, &status)); /* the two inodes are two */
    CHECK_EQ(S_IFSOCK | 0660, status.st_mode);
    CHECK_ERR(ENXIO, open(unix_path_of(&name), O_RDWR));
    CHECK_OK(close(fd));
    unix_forget(&name);
}

static void stale_and_new(int type)
{
    struct unix_name name = unix_file("stale");
    struct stat status;
    int fd = unix_socket(type), old = unix_listener(type, &name, 4);
    int queued = unix_client(type, &name), client = unix_client(type, &name);
    int accepted = unix_accept(old);
    CHECK_OK(unlink(unix_path_of(&name)));
    CHECK_ERR(ENOENT, unix_connect(fd, &name)); /* the name is gone, the listener isn't */
    int new = unix_listener(type, &name, 4);
    CHECK_OK(unix_connect(fd, &name));
    CHECK_ERR(EISCONN, unix_connect(fd, &name));
    int accepted_new = unix_accept(new);
    guest_set_nonblock(old, true);
    int accepted_old = unix_accept(old); /* the second who connected while it had the name */
    CHECK_ERR(EAGAIN, accept(old, NULL, NULL));
    CHECK_OWN_NAME(name, old);
    CHECK_OWN_NAME(name, new);
    unix_finish(fd, accepted_new);
    unix_finish(queued, accepted);
    unix_finish(client, accepted_old);
    CHECK_OK(close(old)); /* doesn't touch the file, which is another's now */
    CHECK_OK(stat(unix_path_of(&name), &status));
    fd = unix_client(type, &name);
    unix_finish(fd, unix_accept(new));
    CHECK_OK(close(new));
    CHECK_OK(stat(unix_path_of(&name), &status));
    fd = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &name)); /* a stale file */
    CHECK_OK(close(fd));
    unix_forget(&name);
}

static void rename_and_links(int type)
{
    struct unix_name name = unix_file("name"), moved = unix_file("moved");
    struct unix_name soft = unix_file("soft"), hard = unix_file("hard");
    int listener = unix_listener(type, &name, 4);
    CHECK_OK(rename(unix_path_of(&name), unix_path_of(&moved)));
    CHECK_OK(symlink("moved", unix_path_of(&soft)));
    CHECK_OK(link(unix_path_of(&moved), unix_path_of(&hard)));
    int fd = unix_socket(type);
    CHECK_ERR(ENOENT, unix_connect(fd, &name));
    CHECK_OK(close(fd));
    const struct unix_name *ways[] = { &moved, &soft, &hard };
    for (int i = 0; i < 3; i++) {
        fd = unix_client(type, ways[i]);
        CHECK_PEER_NAME(name, fd); /* as bound, whatever led there */
        int accepted = unix_accept(listener);
        CHECK_OWN_NAME(name, accepted);
        unix_finish(fd, accepted);
    }
    int other = unix_listener(type, &name, 4); /* a second listener of the same name */
    CHECK_OK(rename(unix_path_of(&name), unix_path_of(&moved))); /* over the first one's file */
    fd = unix_client(type, &moved);
    unix_finish(fd, unix_accept(other));
    fd = unix_client(type, &hard);
    unix_finish(fd, unix_accept(listener));
    CHECK_OK(close(listener));
    CHECK_OK(close(other));
    unix_forget(&moved);
    unix_forget(&soft);
    unix_forget(&hard);
}

/* A relative name belongs to the directory at the time of the call. */
static void relative(int type)
{
    struct unix_name name = unix_at("s"), dotted = unix_at("../s"), deep = unix_at("sub/../s");
    struct unix_name whole = unix_file("s"), sub = unix_file("sub");
    int start = (int)CHECK_OK(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CHECK_OK(mkdir(unix_path_of(&sub), 0700));
    CHECK_OK(chdir(unix_directory));
    int outer = unix_listener(type, &name, 4);
    CHECK_OWN_NAME(name, outer);
    CHECK_OK(chdir("sub"));
    int fd = unix_socket(type);
    CHECK_ERR(ENOENT, unix_connect(fd, &name));
    int inner = unix_listener(type, &name, 4); /* the same bytes, another file */
    CHECK_OK(unix_connect(fd, &name));
    CHECK_PEER_NAME(name, fd);
    unix_finish(fd, unix_accept(inner));
    fd = unix_client(type, &dotted);
    CHECK_PEER_NAME(name, fd);
    unix_finish(fd, unix_accept(outer));
    fd = unix_client(type, &whole);
    CHECK_PEER_NAME(name, fd);
    unix_finish(fd, unix_accept(outer));
    CHECK_OK(unlink("s"));
    CHECK_OK(fchdir(start));
    fd = unix_socket(type);
    CHECK_ERR(ENOENT, unix_connect(fd, &name));
    CHECK_OK(chdir(unix_directory));
    CHECK_OK(unix_connect(fd, &deep));
    unix_finish(fd, unix_accept(outer));
    CHECK_OK(unlink("s"));
    CHECK_OK(rmdir("sub"));
    CHECK_OK(fchdir(start));
    CHECK_OK(close(start));
    CHECK_OK(close(inner));
    CHECK_OK(close(outer));
}

/* The length counts up to the first NUL and that one, which the kernel adds if need be. */
static void lengths(int type)
{
    static const struct {
        socklen_t given, reported;
    } cases[] = { { 5, 6 }, { 7, 8 }, { 8, 8 }, { 110, 8 } };
    int start = (int)CHECK_OK(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status;
    CHECK_OK(chdir(unix_directory));
    for (int i = 0; i < 4; i++) {
        struct unix_name given = unix_at("sock1"), reported = unix_at("sock1");
        int listener = unix_socket(type);
        given.length = cases[i].given;
        reported.length = cases[i].reported;
        reported.bytes[cases[i].reported - 1] = '\0';
        CHECK_OK(unix_bind(listener, &given));
        CHECK_OWN_NAME(reported, listener);
        CHECK_OK(listen(listener, 1));
        CHECK_OK(stat(unix_path_of(&reported), &status));
        int fd = unix_client(type, &given);
        CHECK_PEER_NAME(reported, fd);
        int accepted = unix_accept(listener);
        CHECK_OWN_NAME(reported, accepted);
        unix_finish(fd, accepted);
        CHECK_OK(close(listener));
        unix_forget(&reported);
    }
    CHECK_OK(fchdir(start));
    CHECK_OK(close(start));
}

/* 108 bytes and no NUL: a name of 111, more than a sockaddr_un has. */
static void longest(int type)
{
    char path[UNIX_PATH_BYTES + 1];
    int have = snprintf(path, sizeof path, "%s/", unix_directory);
    memset(path + have, 'l', sizeof path - (size_t)have - 1);
    path[UNIX_PATH_BYTES] = '\0';
    struct unix_name given = unix_raw(path, UNIX_PATH_BYTES), reported = unix_at(path);
    CHECK_EQ(110, given.length);
    CHECK_EQ(111, reported.length);
    int listener = unix_listener(type, &given, 1), fd = unix_socket(type);
    CHECK_OWN_NAME(reported, listener);
    CHECK_ERR(EINVAL, unix_connect(fd, &reported)); /* not taken as it was given */
    CHECK_OK(unix_bind(fd, &(struct unix_name){ .un.sun_family = AF_UNIX, .length = 2 }));
    CHECK_OK(unix_connect(fd, &given));
    CHECK_PEER_NAME(reported, fd);
    int accepted = unix_accept(listener);
    CHECK_OWN_NAME(reported, accepted);
    struct sockaddr_un small;
    socklen_t length = sizeof small;
    CHECK_OK(getsockname(accepted, (struct sockaddr *)&small, &length));
    CHECK_EQ(111, length);
    CHECK_MEM(given.bytes, &small, sizeof small);
    unix_finish(fd, accepted);
    CHECK_OK(close(listener));
    unix_forget(&reported);
    int client = unix_socket(type); /* and a client of that name */
    struct unix_name server = unix_abstract("server");
    listener = unix_listener(type, &server, 1);
    CHECK_OK(unix_bind(client, &given));
    CHECK_OK(unix_connect(client, &server));
    accepted = ACCEPT_FROM(listener, reported);
    CHECK_PEER_NAME(reported, accepted);
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
    unix_forget(&reported);
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        mode_and_kind(unix_types[i]);
        stale_and_new(unix_types[i]);
        rename_and_links(unix_types[i]);
        relative(unix_types[i]);
        lengths(unix_types[i]);
        longest(unix_types[i]);
    }
    return unix_end();
}
