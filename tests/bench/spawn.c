/*
 * Benchmark: how long a program takes from its start to its end.
 *
 *   spawn [--preload LIBRARY] PROGRAM [ARGUMENT...]
 *
 * Starts PROGRAM again and again (posix_spawn: vfork and exec) and waits for it; a sample is one
 * start. This launcher itself is never preloaded: LD_PRELOAD is for the child alone. Both stay on
 * one CPU. Prints one line of JSON (measure.h); its "emulated" says only that a preload was asked
 * for. That it was loaded is seen by stderr: ld.so complains there when it wasn't.
 */
#include "measure.h"

#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>

enum {
    ENVIRONMENT_MAX = 1024,
    WARM_UP_STARTS = 3,
};

static char *environment[ENVIRONMENT_MAX];
static char preload_entry[PATH_MAX + sizeof "LD_PRELOAD="];

static void environment_build(const char *library)
{
    size_t count = 0;

    for (char **entry = environ; *entry != NULL; entry++) {
        if (count == ENVIRONMENT_MAX - 2) {
            fprintf(stderr, "more than %d variables in the environment\n", ENVIRONMENT_MAX - 2);
            exit(1);
        }
        if (strncmp(*entry, "LD_PRELOAD=", strlen("LD_PRELOAD=")) != 0) {
            environment[count++] = *entry;
        }
    }
    if (library != NULL) {
        snprintf(preload_entry, sizeof preload_entry, "LD_PRELOAD=%s", library);
        environment[count++] = preload_entry;
    }
    environment[count] = NULL;
}

/* Returns: nanoseconds from the start to the end. */
static uint64_t start_and_wait(char **argv)
{
    uint64_t started = now_ns();
    int status;
    pid_t pid;

    errno = posix_spawn(&pid, argv[0], NULL, NULL, argv, environment);
    if (errno != 0) {
        die(argv[0]);
    }
    if (waitpid(pid, &status, 0) != pid) {
        die("waitpid");
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "%s ended with wait status 0x%x\n", argv[0], (unsigned)status);
        _exit(1);
    }
    return now_ns() - started;
}

int main(int argc, char **argv)
{
    struct samples samples;
    const char *library = NULL;
    char **program = argv + 1;
    uint64_t started;

    if (argc > 2 && strcmp(argv[1], "--preload") == 0) {
        library = argv[2];
        program = argv + 3;
    }
    if (*program == NULL || **program == '-') {
        fputs("usage: spawn [--preload LIBRARY] PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    environment_build(library);
    pin(CPU_LAST);
    samples_init(&samples);
    for (int i = 0; i < WARM_UP_STARTS; i++) {
        start_and_wait(program);
    }
    started = now_ns();
    do {
        samples_add(&samples, (double)start_and_wait(program));
    } while (samples_wanted(&samples, started, now_ns()));
    samples_report(&samples, library != NULL, true);
    return 0;
}
