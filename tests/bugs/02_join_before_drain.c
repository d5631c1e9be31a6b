/*
 * 02 - a queue whose feeder is joined before the queue is drained
 *
 * The feeder, a thread, moves the items into a pipe; the consumer joins it and then takes what
 * there is. Fixed: take all items, then join.
 * Shows as: deadlock; with a small pipe always.
 */
#include "bug.h"

#define ITEMS 300

struct item {
    uint32_t number;
    char body[124];
};

static int queue[2];

static void *feed(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct item item = { .number = i };

        MUST(write_all(queue[1], &item, sizeof(item)));
    }
    return NULL;
}

static void drain(void)
{
    struct item item;

    for (uint32_t i = 0; i < ITEMS; i++) {
        if (read_all(queue[0], &item, sizeof(item)) != sizeof(item) || item.number != i)
            bug_seen("item %u is missing", i);
    }
}

int main(void)
{
    pthread_t feeder;

    MUST(pipe(queue) == 0);
    MUST(pthread_create(&feeder, NULL, feed, NULL) == 0);
    if (BUG)
        MUST(pthread_join(feeder, NULL) == 0);
    drain();
    if (!BUG)
        MUST(pthread_join(feeder, NULL) == 0);
    return 0;
}
