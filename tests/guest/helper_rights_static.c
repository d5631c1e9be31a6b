/*
 * helper_rights_static: rights_serve.h's server, linked statically, so that no preload reaches it.
 * Exit 9: all went well.
 *
 *   serve NAME FD   listens at an abstract name, says so on the descriptor, serves one connection
 *   here FD         serves what it has inherited
 */
#include <stddef.h>
#include <stdlib.h>

#include "rights_serve.h"

enum { ALL_WELL = 9 };

static int listen_at(const char *name, int ready)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const size_t size = strlen(name);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (size >= sizeof address.sun_path) {
        return -1;
    }
    memcpy(address.sun_path + 1, name, size);
    const socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size);
    if (bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 4) != 0 ||
        write(ready, "r", 1) != 1) {
        return -1;
    }
    return accept(fd, NULL, NULL);
}

int main(int argc, char **argv)
{
    int channel = -1;
    if (argc == 4 && strcmp(argv[1], "serve") == 0) {
        channel = listen_at(argv[2], atoi(argv[3]));
    } else if (argc == 3 && strcmp(argv[1], "here") == 0) {
        channel = atoi(argv[2]);
    }
    const int result = channel < 0 ? 2 : serve(channel);
    return result == 0 ? ALL_WELL : result;
}
