/*
 * Proves: what bind says to lengths, pointers and families; to names that are taken, by any kind of
 * file or socket; to directories that are missing, are none or forbid it; to a socket that has a
 * name already: a free path is made and removed again, a path that exists is found first.
 *
 * Rows: 3.1 "bind: addrlen < 0 or > 128", 3.1 "bind: bad pointer", 3.1 "bind: addrlen <= 2
 * otherwise", 3.1 "bind: addrlen == 2", 3.1 "bind: path, name exists", 3.1 "bind: path, missing
 * directory", 3.1 "bind: already bound, new path free", 3.1 "bind: already bound, path exists",
 * 3.1 "bind: abstract, already bound"
 */
#include "unix_names.h"

static void check_missing(const char *path)
{
    struct stat status;
    CHECK_ERR(ENOENT, lstat(path, &status));
}

static void lengths_and_pointers(int type)
{
    struct unix_name name = unix_file("free");
    int fd = unix_socket(type);
    CHECK_ERR(EINVAL, bind(fd, &name.header, (socklen_t)-1));
    CHECK_ERR(EINVAL, bind(fd, &name.header, 129));
    CHECK_ERR(EINVAL, bind(fd, guest_bad_pointer(), 129));
    CHECK_ERR(EFAULT, bind(fd, guest_bad_pointer(), 128));
    CHECK_ERR(EFAULT, bind(fd, guest_bad_pointer(), 1));
    CHECK_ERR(EINVAL, bind(fd, guest_bad_pointer(), 0));
    CHECK_ERR(EINVAL, bind(fd, NULL, 0));
    CHECK_ERR(EINVAL, bind(fd, &name.header, 1));
    CHECK_ERR(EINVAL, bind(fd, &name.header, 111));
    CHECK_ERR(EINVAL, bind(fd, &name.header, 128));
    name.header.sa_family = AF_INET;
    CHECK_ERR(EINVAL, unix_bind(fd, &name));
    CHECK_ERR(EINVAL, bind(fd, &name.header, 2));
    name.header.sa_family = AF_UNSPEC;
    CHECK_ERR(EINVAL, unix_bind(fd, &name));
    CHECK_ERR(EINVAL, bind(fd, &name.header, 2));
    check_missing(unix_path_of(&name));
    struct unix_name unnamed = unix_unnamed();
    CHECK_OWN_NAME(unnamed, fd);
    name.header.sa_family = AF_UNIX;
    CHECK_OK(unix_bind(fd, &name)); /* nothing of all that has changed the socket */
    CHECK_OK(close(fd));
    unix_forget(&name);
    CHECK_ERR(EBADF, unix_bind(fd, &name));
    int file = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERR(ENOTSOCK, unix_bind(file, &name));
    CHECK_OK(close(file));
}

static void name_exists(int type)
{
    struct unix_name name = unix_file("exists");
    int fd = unix_socket(type);
    int file = (int)CHECK_OK(open(unix_path_of(&name), O_CREAT | O_EXCL | O_RDWR, 0600));
    CHECK_OK(close(file));
    CHECK_ERR(EADDRINUSE, unix_bind(fd, &name)); /* a plain file */
    CHECK_OK(unlink(unix_path_of(&name)));
    CHECK_OK(mkdir(unix_path_of(&name), 0700));
    CHECK_ERR(EADDRINUSE, unix_bind(fd, &name));
    CHECK_OK(rmdir(unix_path_of(&name)));
    CHECK_OK(symlink("nowhere", unix_path_of(&name)));
    CHECK_ERR(EADDRINUSE, unix_bind(fd, &name)); /* a dangling link */
    CHECK_OK(unlink(unix_path_of(&name)));
    CHECK_OK(mkfifo(unix_path_of(&name), 0600));
    CHECK_ERR(EADDRINUSE, unix_bind(fd, &name));
    CHECK_OK(unlink(unix_path_of(&name)));
    int other = unix_socket(SOCK_STREAM);
    CHECK_OK(unix_bind(other, &name));
    CHECK_ERR(EADDRINUSE, unix_bind(fd, &name)); /* a socket */
    CHECK_OK(close(other));
    CHECK_ERR(EADDRINUSE, unix_bind(fd, &name)); /* ... that is gone: the file is still there */
    unix_forget(&name);
    CHECK_OK(unix_bind(fd, &name));
    CHECK_OK(close(fd));
    unix_forget(&name);
}

static void directories(int type)
{
    struct unix_name name = unix_file("no/name");
    int fd = unix_socket(type);
    CHECK_ERR(ENOENT, unix_bind(fd, &name));
    struct unix_name file = unix_file("no");
    CHECK_OK(close((int)CHECK_OK(open(unix_path_of(&file), O_CREAT | O_EXCL | O_RDWR, 0600))));
    CHECK_ERR(ENOTDIR, unix_bind(fd, &name));
    CHECK_OK(unlink(unix_path_of(&file)));
    CHECK_OK(symlink("no", unix_path_of(&file)));
    CHECK_ERR(ELOOP, unix_bind(fd, &name));
    CHECK_OK(unlink(unix_path_of(&file)));
    CHECK_OK(mkdir(unix_path_of(&file), 0500));
    pid_t pid = guest_fork();
    if (pid == 0) { /* what forbids nothing to root */
        if (geteuid() == 0) {
            CHECK_OK(chmod(unix_directory, 0755));
            CHECK_OK(setresgid(65534, 65534, 65534));
            CHECK_OK(setresuid(65534, 65534, 65534));
        }
        CHECK_ERR(EACCES, unix_bind(fd, &name));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_OK(rmdir(unix_path_of(&file)));
    CHECK_OK(close(fd));
}

static void bound_already(int type, enum unix_form form)
{
    struct unix_name first = unix_named(form, "first"), free_path = unix_file("free");
    struct unix_name second = unix_abstract("second"), unnamed = unix_unnamed();
    int fd = unix_socket(type);
    CHECK_OK(unix_bind(fd, &first));
    CHECK_ERR(EINVAL, unix_bind(fd, &free_path));
    check_missing(unix_path_of(&free_path));
    CHECK_OK(close((int)CHECK_OK(open(unix_path_of(&free_path), O_CREAT | O_EXCL | O_RDWR, 0600))));
    CHECK_ERR(EADDRINUSE, unix_bind(fd, &free_path));
    CHECK_OK(unlink(unix_path_of(&free_path)));
    CHECK_ERR(EINVAL, unix_bind(fd, &second));
    CHECK_ERR(form == UNIX_PATH ? EADDRINUSE : EINVAL, unix_bind(fd, &first));
    CHECK_OK(unix_bind(fd, &unnamed)); /* "give me any name": it has one */
    CHECK_OWN_NAME(first, fd);
    CHECK_OK(listen(fd, 1));
    CHECK_ERR(EINVAL, unix_bind(fd, &second)); /* a listener */
    int client = unix_client(type, &first), accepted = unix_accept(fd);
    CHECK_ERR(EINVAL, unix_bind(accepted, &second)); /* has the listener's name */
    CHECK_OK(unix_bind(accepted, &unnamed));
    unix_finish(client, accepted);
    CHECK_OK(close(fd));
    unix_forget(&first);
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        lengths_and_pointers(unix_types[i]);
        name_exists(unix_types[i]);
        directories(unix_types[i]);
        bound_already(unix_types[i], UNIX_PATH);
        bound_already(unix_types[i], UNIX_ABSTRACT);
    }
    return unix_end();
}
