/*
 * 22 - the sets are used after select was interrupted
 *
 * On an error select leaves the sets as they were: everything that was asked for looks ready. The
 * program reads, and blocks where nothing comes. Fixed: EINTR asks again.
 * Shows as: a hang, when select is interrupted.
 */
#include "bug.h"

#include <sys/select.h>

#define LINES 10

static void on_hangup(int number)
{
    (void)number;
}

int main(void)
{
    struct sigaction action = { .sa_handler = on_hangup };
    int received = 0;
    int lines[2];
    int quiet[2]; /* nobody ever writes here */
    pid_t child;

    MUST(sigaction(SIGHUP, &action, NULL) == 0);
    MUST(pipe(lines) == 0 && pipe(quiet) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        for (int i = 0; i < LINES; i++) {
            work_us(100);
            MUST(write_all(lines[1], "l", 1));
        }
        _exit(0);
    }
    while (received < LINES) {
        char byte;
        fd_set ready;
        int rc;

        FD_ZERO(&ready);
        FD_SET(lines[0], &ready);
        FD_SET(quiet[0], &ready);
        rc = select((lines[0] > quiet[0] ? lines[0] : quiet[0]) + 1, &ready, NULL, NULL, NULL);
        if (rc < 0 && !BUG)
            continue;
        if (FD_ISSET(quiet[0], &ready))
            MUST(read(quiet[0], &byte, 1) == 1);
        if (FD_ISSET(lines[0], &ready))
            received += read(lines[0], &byte, 1) == 1;
    }
    child_must_succeed(child);
    return 0;
}
