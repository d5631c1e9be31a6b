/*
 * 14 - POLLHUP is handled before the data that is left
 *
 * The loop looks at POLLHUP first. As long as the reader is quick, the data is gone by then. Fixed:
 * POLLIN first, and the end is what read says.
 * Shows as: data that is missing, by the order of things.
 */
#include "bug.h"

#define LINES 5

int main(void)
{
    char text[64];
    size_t size = 0;
    int fds[2];
    pid_t child;

    MUST(pipe(fds) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(fds[0]);
        for (int i = 0; i < LINES; i++) {
            MUST(write_all(fds[1], "line\n", 5));
            work_us(1500);
        }
        _exit(0);
    }
    close(fds[1]);
    for (;;) {
        struct pollfd ready = { fds[0], POLLIN, 0 };
        ssize_t count;

        MUST(poll(&ready, 1, -1) == 1);
        if (BUG && ready.revents & POLLHUP)
            break;
        count = read(fds[0], text, sizeof(text));
        if (count <= 0)
            break;
        size += (size_t)count;
    }
    if (size != LINES * 5)
        bug_seen("%zu of %d bytes came", size, LINES * 5);
    child_must_succeed(child);
    return 0;
}
