/*
 * Proves: a program that closes whatever might be open above its own numbers by system calls of its
 * own, past libc, has children still that talk: by exec, posix_spawn, system, of this program and
 * of a static one.
 *
 * Rows: 5.1 "exec", 2.3 "read, empty, no writers"
 */
#include <spawn.h>

#include "talk.h"

enum { CODE = 9, FIRST = 200, LAST = 1100 };

static char path[PATH_MAX], static_path[PATH_MAX];

static void close_past_libc(int first, int last)
{
    for (long fd = first; fd <= last; fd++) {
        long result;
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(SYS_close), "D"(fd)
                         : "rcx", "r11", "memory");
    }
}

enum form { EXEC, EXEC_STATIC, SPAWN, SPAWN_STATIC, SYSTEM, FORMS };

static void start(enum form form)
{
    bool is_static = form == EXEC_STATIC || form == SPAWN_STATIC;
    char *program = is_static ? static_path : path;
    char *arguments[] = { program, is_static ? NULL : "image", NULL };
    pid_t pid = -1;
    if (form == EXEC || form == EXEC_STATIC) {
        execv(program, arguments);
        _exit(100);
    }
    if (form == SYSTEM) {
        _exit(system("cat; exit 9") >> 8);
    }
    CHECK_ZERO(posix_spawn(&pid, program, NULL, NULL, arguments, environ));
    int status = guest_wait(pid);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

static void talks(enum form form, int kind)
{
    struct talk talk;
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(talk_take(&talk));
        talk_close(&talk);
        close_past_libc(FIRST, LAST);
        start(form);
    }
    talk_end(&talk, pid, form == EXEC_STATIC || form == SPAWN_STATIC ? 0 : CODE);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return talk_image(CODE);
    }
    guest_start();
    talk_path(path, NULL);
    talk_path(static_path, "helper_cat_static");
    for (int form = 0; form < FORMS; form++) {
        for (int kind = 0; kind < TALK_KINDS; kind++) {
            talks((enum form)form, kind);
        }
    }
    return guest_end();
}
