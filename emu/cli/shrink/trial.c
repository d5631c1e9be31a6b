/*
 * trial.c - `sockrig interpret` on a text, in a process of its own
 *
 * A trial may hang, die or leave processes behind: it is a process group that is killed at its end.
 * The verdict comes back in shared memory. The text lies in a memory file, which interpret opens by
 * its name in /proc.
 */
#include "shrink/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "interpret_main.h"

#define FIRST_LIMIT_NS 60000000000u /* the whole file, before anything is known of it */
#define TIDY_MS        5000         /* a trial that is ended tidies up */
#define UNREADABLE     125

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int trial_init(struct trial *trial, const char *on)
{
    memset(trial, 0, sizeof(*trial));
    trial->on = on;
    trial->limit_ns = FIRST_LIMIT_NS;
    trial->file = memfd_create("sockrig-shrink", MFD_CLOEXEC);
    trial->verdict = mmap(NULL, sizeof(*trial->verdict), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (trial->file < 0 || trial->verdict == MAP_FAILED)
        return -errno;
    return 0;
}

void trial_fini(struct trial *trial)
{
    munmap(trial->verdict, sizeof(*trial->verdict));
    close(trial->file);
}

static _Noreturn void child_main(const struct trial *trial, const char *path, bool loud)
{
    char own[64];
    char *argv[] = { (char *)"interpret", (char *)"--on", (char *)(uintptr_t)trial->on,
                     (char *)(uintptr_t)path, NULL };
    int nowhere = loud ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
    int code;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (nowhere >= 0) {
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
    } else {
        dup2(STDERR_FILENO, STDOUT_FILENO); /* our standard output is for the result */
    }
    if (!path) {
        snprintf(own, sizeof(own), "/proc/self/fd/%d", trial->file);
        argv[3] = own;
    }
    verdict_listen(trial->verdict);
    code = interpret_main(4, argv);
    fflush(NULL);
    _exit(code);
}

/*
 * Waits for the child until the limit; ends it (which removes its folder: log_folder.h), and kills
 * all it started. Returns its wait status.
 */
static int wait_for(pid_t child, uint64_t limit_ns, bool *ret_timed_out)
{
    struct pollfd set = { .fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN };
    int status = 0;
    int ready = 0;

    if (set.fd >= 0) {
        do
            ready = poll(&set, 1, (int)(limit_ns / 1000000u) + 1);
        while (ready < 0 && errno == EINTR);
        if (ready == 0 && kill(child, SIGTERM) == 0)
            poll(&set, 1, TIDY_MS);
        close(set.fd);
    }
    *ret_timed_out = ready == 0;
    kill(-child, SIGKILL);
    kill(child, SIGKILL); /* it may not have made its group yet */
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

enum trial_end trial_run(struct trial *trial, const char *path, bool loud)
{
    uint64_t start = now_ns();
    bool timed_out;
    pid_t child;
    int status;

    memset(trial->verdict, 0, sizeof(*trial->verdict));
    fflush(NULL);
    child = fork();
    if (child < 0)
        return TRIAL_TIMED_OUT;
    if (child == 0)
        child_main(trial, path, loud);
    status = wait_for(child, trial->limit_ns, &timed_out);
    trial->took_ns = now_ns() - start;
    if (timed_out)
        return TRIAL_TIMED_OUT;
    if (WIFSIGNALED(status)) {
        trial->verdict->kind = VERDICT_NONE;
        verdict_listen(trial->verdict);
        verdict_give(VERDICT_DIED, 0, "interpret", "died", strsignal(WTERMSIG(status)));
        verdict_listen(NULL);
        return TRIAL_DIFFERS;
    }
    if (WEXITSTATUS(status) == UNREADABLE)
        return TRIAL_UNREADABLE;
    return trial->verdict->kind != VERDICT_NONE ? TRIAL_DIFFERS : TRIAL_SAME;
}
