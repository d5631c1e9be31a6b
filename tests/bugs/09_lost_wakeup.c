/*
 * 09 - a wake-up is lost between the check and the sleep
 *
 * The producer writes into the consumer's pipe only when the consumer says that it sleeps. The
 * consumer looks at the queue first and says so later: what is queued in between isn't told. Fixed:
 * say so, then look.
 * Shows as: a hang, by the order of things.
 */
#include "bug.h"

#define ITEMS 5

static atomic_int queued;
static atomic_bool sleeps;
static int wake[2];

static void *produce(void *unused)
{
    (void)unused;
    for (int i = 0; i < ITEMS; i++) {
        work_us(700);
        atomic_fetch_add(&queued, 1);
        if (atomic_exchange(&sleeps, false))
            MUST(write_all(wake[1], "", 1));
    }
    return NULL;
}

/* Takes wake-ups that are left from before. */
static void forget_wakeups(void)
{
    struct pollfd ready = { wake[0], POLLIN, 0 };
    char byte;

    while (poll(&ready, 1, 0) == 1)
        MUST(read(wake[0], &byte, 1) == 1);
}

int main(void)
{
    struct pollfd ready;
    pthread_t producer;

    MUST(pipe(wake) == 0);
    ready = (struct pollfd){ wake[0], POLLIN, 0 };
    MUST(pthread_create(&producer, NULL, produce, NULL) == 0);
    for (int taken = 0; taken < ITEMS;) {
        if (!BUG) {
            forget_wakeups();
            atomic_store(&sleeps, true);
        }
        if (atomic_load(&queued) > taken) {
            taken++;
            continue;
        }
        if (BUG) {
            forget_wakeups();
            atomic_store(&sleeps, true);
        }
        MUST(poll(&ready, 1, -1) == 1 || errno == EINTR);
    }
    MUST(pthread_join(producer, NULL) == 0);
    return 0;
}
