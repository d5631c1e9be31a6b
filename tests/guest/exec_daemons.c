/*
 * Proves: processes that leave their parents keep the channels and the session: a double fork with
 * setsid, daemon(), an orphan that execs when its parents are gone, a chain of such orphans, a new
 * process group. They talk, they exec, their end is end-of-file for who has never heard of them.
 *
 * Rows: 5.1 "exec", 2.3 "read, empty, no writers"
 */
#include <sys/prctl.h>
#include <sys/stat.h>

#include "talk.h"

enum { CODE = 9 };

static char path[PATH_MAX];

enum form { DOUBLE_FORK, BY_DAEMON, EXEC_AS_ORPHAN, CHAIN, FORMS };

/* Until the parent is gone: pid 1, or a subreaper, has us then. */
static void wait_orphaned(pid_t parent)
{
    while (getppid() == parent) { /* bounded by the deadline */
        sched_yield();
    }
}

/* In the child of the test: what it becomes says where it is and talks. */
static void leave(enum form form, const struct talk *talk)
{
    pid_t parent = getpid();
    switch (form) {
    case BY_DAEMON:
        CHECK_OK(daemon(1, 1));
        CHECK_EQ(getpgrp(), getsid(0));
        break;
    case CHAIN:
        for (int i = 0; i < 5; i++) {
            parent = getpid();
            if (guest_fork() > 0) {
                _exit(0);
            }
            wait_orphaned(parent);
            CHECK_OK(setsid());
        }
        break;
    default:
        CHECK_OK(setsid());
        if (guest_fork() > 0) {
            _exit(0);
        }
        wait_orphaned(parent);
        CHECK(getsid(0) != getpid());
        CHECK_OK(setpgid(0, 0));
        break;
    }
    alarm(GUEST_DEADLINE_S);
    umask(0);
    CHECK_OK(chdir("/"));
    CHECK(talk_take(talk));
    talk_close((struct talk *)talk);
    if (form == EXEC_AS_ORPHAN || form == BY_DAEMON) {
        execl(path, path, "image", (char *)NULL);
        _exit(100);
    }
    _exit(talk_copy() ? CODE : 1);
}

/* Its exit code reaches nobody; the talk does. */
static void talks(enum form form, int kind)
{
    static unsigned char echo[TALK_BIG];
    struct talk talk;
    struct guest_thread writer;
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        leave(form, &talk);
    }
    guest_wait_exit(pid, 0);
    CHECK_OK(close(talk.to_child[0]));
    CHECK_OK(close(talk.from_child[1]));
    CHECK_EQ(5, guest_read_all(talk.from_child[0], echo, 5));
    CHECK_MEM("early", echo, 5);
    guest_thread_start(&writer, talk_write_big, &talk.to_child[1]);
    CHECK_EQ(TALK_BIG, guest_read_all(talk.from_child[0], echo, TALK_BIG));
    guest_pattern_check(echo, TALK_BIG, 0);
    CHECK_EQ(0, read(talk.from_child[0], echo, 1));
    guest_thread_join(&writer);
    CHECK_OK(close(talk.from_child[0]));
}

/* daemon(0, 0) takes its own 0, 1 and 2 away, and nothing else. */
static void daemon_of_all(void)
{
    int fds[2];
    char buffer[PATH_MAX] = "";
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct stat null, now;
        CHECK_OK(stat("/dev/null", &null));
        CHECK_OK(daemon(0, 0));
        alarm(GUEST_DEADLINE_S);
        for (int fd = 0; fd < 3; fd++) {
            CHECK_OK(fstat(fd, &now));
            CHECK_EQ(null.st_rdev, now.st_rdev);
        }
        CHECK(getcwd(buffer, sizeof buffer) != NULL);
        CHECK_EQ(1, write(fds[1], buffer, strlen(buffer)));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(1, guest_read_all(fds[0], buffer, sizeof buffer));
    CHECK_EQ('/', buffer[0]);
    CHECK_OK(close(fds[0]));
}

/* They are ours in the end (a subreaper's): who is still ending isn't left behind. */
static void wait_for_orphans(void)
{
    while (waitpid(-1, NULL, 0) > 0) { /* bounded by the deadline */
    }
    CHECK_EQ(ECHILD, errno);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return talk_image(CODE);
    }
    guest_start();
    CHECK_ZERO(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    talk_path(path, NULL);
    for (int form = 0; form < FORMS; form++) {
        for (int kind = 0; kind < TALK_KINDS; kind++) {
            talks((enum form)form, kind);
        }
    }
    daemon_of_all();
    wait_for_orphans();
    return guest_end();
}
