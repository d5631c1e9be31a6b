/*
 * 20 - several children end, and there is one SIGCHLD
 *
 * The handler waits for one child each time. Signals of one kind aren't queued: when two children
 * end while one signal is pending, the last one is never waited for. Fixed: waitpid until there is
 * none.
 * Shows as: a hang, by the order of things.
 */
#include "bug.h"

#define CHILDREN 4

static int ended[2]; /* a byte for each child that was waited for */

static void on_child(int number)
{
    int before = errno;

    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
        ssize_t written = write(ended[1], "e", 1);

        (void)written;
        if (BUG)
            break;
    }
    errno = before;
}

int main(void)
{
    struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART };
    int go[2];
    char byte;

    MUST(pipe(ended) == 0 && pipe(go) == 0);
    MUST(sigaction(SIGCHLD, &action, NULL) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();

        MUST(child >= 0);
        if (child == 0) {
            MUST(read_all(go[0], &byte, 1) == 1);
            _exit(0);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        MUST(write_all(go[1], "g", 1));
        work_us(1500);
    }
    for (int i = 0; i < CHILDREN; i++)
        MUST(read_all(ended[0], &byte, 1) == 1);
    return 0;
}
