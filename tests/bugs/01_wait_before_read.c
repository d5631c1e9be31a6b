/*
 * 01 - the parent waits for its child before it reads what the child prints
 *
 * As long as the output fits into the pipe this works. Fixed: read first, then wait.
 * Shows as: deadlock; with a small pipe always.
 */
#include "bug.h"

#define OUTPUT 60000 /* less than a pipe's 64 KiB */

int main(void)
{
    static char text[OUTPUT];
    int out[2];
    pid_t child;

    MUST(pipe(out) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(out[0]);
        memset(text, 'x', sizeof(text));
        _exit(write_all(out[1], text, sizeof(text)) ? 0 : 1);
    }
    close(out[1]);
    if (BUG)
        child_must_succeed(child);
    if (read_all(out[0], text, sizeof(text)) != sizeof(text))
        bug_seen("output is missing");
    if (!BUG)
        child_must_succeed(child);
    return 0;
}
