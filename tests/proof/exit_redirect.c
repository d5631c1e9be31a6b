/*
 * Proves: a jump over the entry of libc's _exit is reached by every orderly end of a process: exit,
 * return from main, pthread_exit of the last thread (main or another), quick_exit, _Exit, and the
 * parent's end inside daemon(). Not reached, as the last line lists: abort and raw system calls.
 * Whatever must happen at the end of a process can hang there, and needs a fallback all the same.
 */
#include "entry.h"
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

enum { REACHED = 77 }; /* exit code the replacement adds to, so that the parent sees it was there */

static void leave(int code)
{
    syscall(SYS_exit_group, REACHED + code);
}

static void redirect_exit(void)
{
    uint8_t *entry = dlsym(RTLD_NEXT, "_exit");
    CHECK(entry != NULL && dlsym(RTLD_NEXT, "_Exit") == entry, "_exit and _Exit are one body");
    CHECK(redirect_by_mprotect(entry, (uintptr_t)leave) == 0, "mprotect");
}

static void *last_thread(void *main_thread)
{
    pthread_join(*(pthread_t *)main_thread, NULL);
    pthread_exit(NULL);
}

static void *exiting_thread(void *unused)
{
    (void)unused;
    exit(1);
}

static void by_exit(void)
{
    exit(1);
}
static void by_pthread_exit_of_main(void)
{
    pthread_exit(NULL);
}
static void by_last_other_thread(void)
{
    static pthread_t self, other;
    self = pthread_self();
    if (pthread_create(&other, NULL, last_thread, &self) == 0) {
        pthread_exit(NULL);
    }
}
static void by_exit_in_thread(void)
{
    pthread_t other;
    if (pthread_create(&other, NULL, exiting_thread, NULL) == 0) {
        pthread_join(other, NULL);
    }
}
static void by_quick_exit(void)
{
    quick_exit(1);
}
static void by_Exit(void)
{
    _Exit(1);
}
static void by_daemon(void)
{
    /* Only the parent's end shows here: the daemon leaves by a raw call. */
    if (daemon(1, 1) == 0) {
        syscall(SYS_exit_group, 0);
    }
}
static void by_abort(void)
{
    prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL);
    abort();
}
static void by_raw_exit_group(void)
{
    syscall(SYS_exit_group, 5);
}
static void by_raw_exit_of_last_thread(void)
{
    syscall(SYS_exit, 6);
}
static void by_return(void)
{
}

static const struct way {
    const char *name;
    void (*leave)(void);
    int code; /* what the process ends with */
} ways[] = {
    { "exit", by_exit, REACHED + 1 },
    { "return from main", by_return, REACHED + 1 },
    { "pthread_exit of main", by_pthread_exit_of_main, REACHED },
    { "pthread_exit of the last other thread", by_last_other_thread, REACHED },
    { "exit in a thread", by_exit_in_thread, REACHED + 1 },
    { "quick_exit", by_quick_exit, REACHED + 1 },
    { "_Exit", by_Exit, REACHED + 1 },
    { "parent in daemon()", by_daemon, REACHED },
    { "abort", by_abort, 128 + SIGABRT },
    { "raw exit_group", by_raw_exit_group, 5 },
    { "raw exit of the last thread", by_raw_exit_of_last_thread, 6 },
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* As "proof N" this program ends itself in way N: a new image, so that main's return is a real one.
 */
int main(int argc, char **argv)
{
    if (argc == 2) {
        redirect_exit();
        ways[atoi(argv[1])].leave();
        return 1;
    }
    char reached[512] = "", missed[512] = "";
    for (int i = 0; i < WAYS; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0, "fork");
        if (pid == 0) {
            char number[16];
            snprintf(number, sizeof(number), "%d", i);
            execl("/proc/self/exe", argv[0], number, (char *)NULL);
            _exit(9);
        }
        int code = child_result(pid);
        CHECK(code == ways[i].code, "%s: ended with %d, not %d", ways[i].name, code, ways[i].code);
        char *list = code == REACHED || code == REACHED + 1 ? reached : missed;
        size_t length = strlen(list);
        snprintf(list + length, 512 - length, "%s%s", length ? ", " : "", ways[i].name);
    }
    printf("_exit's entry is reached by: %s; not by: %s\n", reached, missed);
    return 0;
}
