/*
 * 24 - close waits for a writer that is blocked
 *
 * The reader stops early: it ends its writer's thread, and then closes the pipe. While the pipe is
 * full the writer can't end. Fixed: close the reading end first; the writer gets EPIPE.
 * Shows as: deadlock; with a small pipe always.
 */
#include "bug.h"

#define AMOUNT 50000

static int fds[2];

static void *produce(void *unused)
{
    static char data[AMOUNT];

    (void)unused;
    write_all(fds[1], data, sizeof(data)); /* EPIPE: the reader has enough */
    return NULL;
}

int main(void)
{
    pthread_t producer;
    char head[100];

    signal(SIGPIPE, SIG_IGN);
    MUST(pipe(fds) == 0);
    MUST(pthread_create(&producer, NULL, produce, NULL) == 0);
    MUST(read_all(fds[0], head, sizeof(head)) == sizeof(head));
    if (BUG)
        MUST(pthread_join(producer, NULL) == 0);
    close(fds[0]);
    if (!BUG)
        MUST(pthread_join(producer, NULL) == 0);
    return 0;
}
