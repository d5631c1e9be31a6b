/*
 * log_folder.c - see log_folder.h
 *
 * The signals are blocked in the parent, which only waits for them; whoever the child leaves behind
 * becomes ours (PR_SET_CHILD_SUBREAPER), so that nobody makes a file in the folder any more when it
 * is removed.
 */
#include "interpret/log_folder.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDERS_OPEN 8
#define LEFT_SECONDS 2 /* they die with their parent: PR_SET_PDEATHSIG (world.c) */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    remove(path); /* what can't be removed stays */
    return 0;
}

static _Noreturn void be_child(pid_t parent, const sigset_t *mask,
                               int (*function)(void *context, const char *folder), void *context,
                               const char *folder)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(125);
    sigprocmask(SIG_SETMASK, mask, NULL);
    exit(function(context, folder));
}

/* Until the child has ended, by itself or because a signal ends us. Returns that signal, or 0. */
static int wait_for(pid_t child, const sigset_t *signals, int *ret_status)
{
    siginfo_t info;

    while (waitpid(child, ret_status, WNOHANG) == 0) {
        if (sigwaitinfo(signals, &info) < 0 || info.si_signo == SIGCHLD)
            continue;
        kill(child, SIGKILL);
        waitpid(child, ret_status, 0);
        return info.si_signo;
    }
    return 0;
}

static void wait_for_all(const sigset_t *signals)
{
    const struct timespec limit = { .tv_sec = LEFT_SECONDS };
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
        if (pid == 0 && sigtimedwait(signals, NULL, &limit) < 0 && errno == EAGAIN)
            return;
    }
}

static void end_by(int number)
{
    sigset_t set;

    signal(number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
}

int log_folder_run(int (*function)(void *context, const char *folder), void *context)
{
    static const int ending[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
    char folder[] = "/tmp/sockrig-log.XXXXXX"; /* short: names of sockets have 107 bytes */
    const pid_t parent = getpid();
    sigset_t signals, before;
    int status = 0;
    int number;
    pid_t child;

    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        sigaddset(&signals, ending[i]);
    signal(SIGCHLD, SIG_DFL); /* the shell may have it ignored: then nobody can be waited for */
    sigprocmask(SIG_BLOCK, &signals, &before);
    if (!mkdtemp(folder)) {
        number = -errno;
        sigprocmask(SIG_SETMASK, &before, NULL);
        return number;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fflush(NULL);
    child = fork();
    if (child == 0)
        be_child(parent, &before, function, context, folder);
    number = child < 0 ? -errno : wait_for(child, &signals, &status);
    if (child > 0)
        wait_for_all(&signals);
    nftw(folder, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS);
    if (number > 0)
        end_by(number);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (number < 0)
        return number;
    if (WIFSIGNALED(status))
        end_by(WTERMSIG(status));
    return WEXITSTATUS(status);
}
