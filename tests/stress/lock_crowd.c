/*
 * lock_crowd - many processes fight for one lock of the arena; nobody may sleep for ever
 *
 * Each takes the lock, counts, gives the processor away while it holds it, so that the others
 * really sleep, and releases it. A wake-up that is lost leaves a process asleep although the lock
 * is free: the alarm ends the test then. The count shows that nobody was in at the same time.
 *
 *     lock_crowd [--processes N] [--rounds N]
 */
#include "emu.h"
#include "host.h"
#include "lock.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct crowd {
    struct lock lock;
    uint32_t count; /* guarded by lock */
};

static void fight(struct crowd *crowd, unsigned rounds)
{
    static struct emu_process process;
    struct emu_task self;

    emu_task_enter(&self, &process);
    for (unsigned i = 0; i < rounds; i++) {
        lock_acquire(&self, &crowd->lock);
        crowd->count++;
        if (i % 4 == 0) {
            sched_yield();
        }
        lock_release(&self, &crowd->lock);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    unsigned processes = 24;
    unsigned rounds = 20000;
    struct crowd *crowd;

    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned value = (unsigned)strtoul(argv[i + 1], NULL, 10);

        if (strcmp(argv[i], "--processes") == 0) {
            processes = value;
        } else if (strcmp(argv[i], "--rounds") == 0) {
            rounds = value;
        } else {
            fprintf(stderr, "usage: lock_crowd [--processes N] [--rounds N]\n");
            return 2;
        }
    }
    crowd = mmap(NULL, sizeof *crowd, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (crowd == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    alarm(120); /* the children have none: they die with the group that the time limit ends */
    for (unsigned i = 0; i < processes; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            alarm(100);
            fight(crowd, rounds);
        }
        if (pid < 0) {
            perror("fork");
            return 1;
        }
    }
    for (unsigned i = 0; i < processes; i++) {
        int status;

        if (wait(&status) < 0 || status != 0) {
            printf("lock_crowd: a process ended with status %d: asleep on a free lock?\n", status);
            return 1;
        }
    }
    if (crowd->count != processes * rounds) {
        printf("lock_crowd: counted %u of %u\n", crowd->count, processes * rounds);
        return 1;
    }
    printf("lock_crowd: %u processes, %u rounds each\n", processes, rounds);
    return 0;
}
