/*
 * helper_unix_static: a client or server of AF_UNIX, linked statically, so that no preload reaches
 * it. A name that begins with '@' is abstract. All but `connect` send back what comes until
 * end-of-file. Exit 9: all went well.
 *
 *   connect NAME     writes "static", wants "pong" back, sees end-of-file
 *   serve NAME FD    listens, says so on the descriptor, accepts one
 *   accept FD        accepts one at a listener it has inherited
 *   echo FD          has inherited the connection
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ALL_WELL = 9 };

static socklen_t make_address(const char *name, struct sockaddr_un *ret_address)
{
    const size_t size = strlen(name);
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sun_family = AF_UNIX;
    if (size >= sizeof ret_address->sun_path) {
        exit(2);
    }
    memcpy(ret_address->sun_path, name, size);
    if (name[0] == '@') {
        ret_address->sun_path[0] = '\0';
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
}

static int echo(int fd)
{
    char buffer[4096];
    ssize_t count;
    while ((count = read(fd, buffer, sizeof buffer)) > 0) {
        if (write(fd, buffer, (size_t)count) != count) {
            return 5;
        }
    }
    return count == 0 ? ALL_WELL : 4;
}

static int connect_to(const char *name)
{
    struct sockaddr_un address;
    char buffer[8];
    const socklen_t length = make_address(name, &address);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, length) != 0) {
        return 3;
    }
    if (write(fd, "static", 6) != 6) {
        return 5;
    }
    if (read(fd, buffer, sizeof buffer) != 4 || memcmp(buffer, "pong", 4) != 0) {
        return 4;
    }
    return read(fd, buffer, sizeof buffer) == 0 ? ALL_WELL : 6;
}

static int serve(const char *name, int ready)
{
    struct sockaddr_un address;
    const socklen_t length = make_address(name, &address);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 4) != 0 ||
        write(ready, "r", 1) != 1) {
        return 3;
    }
    return echo(accept(fd, NULL, NULL));
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "connect") == 0) {
        return connect_to(argv[2]);
    }
    if (argc == 4 && strcmp(argv[1], "serve") == 0) {
        return serve(argv[2], atoi(argv[3]));
    }
    if (argc == 3 && strcmp(argv[1], "accept") == 0) {
        return echo(accept(atoi(argv[2]), NULL, NULL));
    }
    return argc == 3 && strcmp(argv[1], "echo") == 0 ? echo(atoi(argv[2])) : 2;
}
