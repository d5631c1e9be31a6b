/*
 * 12 - a write end leaks into a child, and the end of the data never comes
 *
 * The parent starts a daemon that lives as long as the parent, and then reads from a pipe until its
 * writer is done. The daemon has inherited the write end. Fixed: the daemon closes what isn't its
 * (O_CLOEXEC does it where a program is executed).
 * Shows as: a hang, always.
 */
#include "bug.h"

static pid_t start_daemon(const int *alive, const int *data)
{
    pid_t child = fork();
    char byte;

    MUST(child >= 0);
    if (child > 0)
        return child;
    close(alive[1]);
    if (!BUG) {
        close(data[0]);
        close(data[1]);
    }
    while (read(alive[0], &byte, 1) < 0 && errno == EINTR) /* the end: the parent is gone */
        ;
    _exit(0);
}

static pid_t start_writer(const int *data)
{
    pid_t child = fork();

    MUST(child >= 0);
    if (child == 0)
        _exit(write_all(data[1], "done\n", 5) ? 0 : 1);
    return child;
}

int main(void)
{
    char text[64];
    int alive[2];
    int data[2];
    pid_t writer;
    pid_t daemon;

    MUST(pipe(data) == 0);
    writer = start_writer(data);
    MUST(pipe(alive) == 0);
    daemon = start_daemon(alive, data);
    close(data[1]);
    if (read_all(data[0], text, sizeof(text)) != 5)
        bug_seen("the text is missing");
    close(alive[1]);
    child_must_succeed(writer);
    child_must_succeed(daemon);
    return 0;
}
