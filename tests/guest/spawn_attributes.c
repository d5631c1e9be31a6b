/*
 * Proves: posix_spawn with each attribute (process group, session, signal mask, default signals,
 * scheduling, reset ids, vfork) has its effect, and its child talks over emulated channels. Signals
 * that the parent ignores stay ignored, handlers become defaults, unless an attribute says so.
 *
 * Rows: 5.1 "exec"
 */
#include <sched.h>
#include <spawn.h>

#include "talk.h"

enum { CODE = 9 };

static char path[PATH_MAX];

/* Whether the image sees a signal blocked, ignored. */
static bool is_blocked(int signo)
{
    sigset_t mask;
    CHECK_OK(sigprocmask(SIG_SETMASK, NULL, &mask));
    return sigismember(&mask, signo);
}

static bool is_ignored(int signo)
{
    struct sigaction action;
    CHECK_OK(sigaction(signo, NULL, &action));
    CHECK(action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL);
    return action.sa_handler == SIG_IGN;
}

static int image(char **argv)
{
    pid_t parent = (pid_t)atol(argv[2]);
    switch (argv[1][0]) {
    case 'g': CHECK_EQ(getpid(), getpgrp()); break;
    case 'j': CHECK_EQ(parent, getpgrp()); break;
    case 's': CHECK_EQ(getpid(), getsid(0)); break;
    case 'm': CHECK(is_blocked(SIGUSR1) && !is_blocked(SIGUSR2)); break;
    case 'k': CHECK(!is_blocked(SIGUSR1) && is_blocked(SIGUSR2)); break;
    case 'd': CHECK(!is_ignored(SIGUSR1) && is_ignored(SIGHUP)); break;
    case 'i': CHECK(is_ignored(SIGUSR1) && is_ignored(SIGHUP)); break;
    case 'b': CHECK_EQ(SCHED_OTHER, sched_getscheduler(0)); break;
    case 'r': CHECK_EQ(getuid(), geteuid()); break;
    default: break;
    }
    return talk_image(CODE);
}

static void spawn_with(int kind, char letter, posix_spawnattr_t *attributes, int flags)
{
    posix_spawn_file_actions_t actions;
    struct talk talk;
    pid_t pid = -1;
    char what[2] = { letter }, group[16];
    char *arguments[] = { "spawn_attributes", what, group, NULL };
    snprintf(group, sizeof group, "%d", getpgrp());
    talk_open(&talk, kind);
    CHECK_ZERO(posix_spawn_file_actions_init(&actions));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, talk.to_child[0], 0));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, talk.from_child[1], 1));
    CHECK_ZERO(posix_spawnattr_setflags(attributes, (short)flags));
    CHECK_ZERO(posix_spawn(&pid, path, &actions, attributes, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    talk_end(&talk, pid, CODE);
}

static void all_attributes(int kind)
{
    posix_spawnattr_t attributes;
    sigset_t set;
    struct sched_param priority = { 0 };
    CHECK_ZERO(posix_spawnattr_init(&attributes));
    spawn_with(kind, 'i', &attributes, 0);
    spawn_with(kind, 'k', &attributes, POSIX_SPAWN_USEVFORK);
    CHECK_ZERO(posix_spawnattr_setpgroup(&attributes, 0));
    spawn_with(kind, 'g', &attributes, POSIX_SPAWN_SETPGROUP);
    CHECK_ZERO(posix_spawnattr_setpgroup(&attributes, getpgrp()));
    spawn_with(kind, 'j', &attributes, POSIX_SPAWN_SETPGROUP);
    spawn_with(kind, 's', &attributes, POSIX_SPAWN_SETSID);
    spawn_with(kind, 'r', &attributes, POSIX_SPAWN_RESETIDS);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_ZERO(posix_spawnattr_setsigmask(&attributes, &set));
    spawn_with(kind, 'm', &attributes, POSIX_SPAWN_SETSIGMASK);
    CHECK_ZERO(posix_spawnattr_setsigdefault(&attributes, &set));
    spawn_with(kind, 'd', &attributes, POSIX_SPAWN_SETSIGDEF);
    CHECK_ZERO(posix_spawnattr_setschedpolicy(&attributes, SCHED_OTHER));
    CHECK_ZERO(posix_spawnattr_setschedparam(&attributes, &priority));
    spawn_with(kind, 'b', &attributes, POSIX_SPAWN_SETSCHEDULER);
    spawn_with(kind, 'm', &attributes,
               POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID |
                   POSIX_SPAWN_RESETIDS | POSIX_SPAWN_USEVFORK);
    CHECK_ZERO(posix_spawnattr_destroy(&attributes));
}

int main(int argc, char **argv)
{
    sigset_t blocked;
    if (argc > 2) {
        return image(argv);
    }
    guest_start();
    talk_path(path, NULL);
    guest_on_signal(SIGUSR1, SIG_IGN, 0);
    guest_on_signal(SIGHUP, SIG_IGN, 0);
    guest_count_signal(SIGTERM, 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    CHECK_OK(sigprocmask(SIG_BLOCK, &blocked, NULL));
    for (int kind = 0; kind < 2; kind++) {
        all_attributes(kind);
    }
    return guest_end();
}
