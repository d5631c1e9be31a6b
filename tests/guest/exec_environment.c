/*
 * Proves: whatever a program does to the environment of its children, the channels reach them: no
 * environment at all (NULL, empty), one of its own, variables removed by clearenv() and unsetenv(),
 * an LD_PRELOAD of its own, twice or empty; by exec, by posix_spawn, by system() and popen().
 * Of what the program sets, the child sees all: values that it gave LD_PRELOAD stand in it still.
 *
 * Rows: 5.1 "exec"
 */
#include <spawn.h>

#include "talk.h"

enum { EDITS = 8, CODE = 9 };

static char path[PATH_MAX];

/* One edit of the environment; the vector to hand over is the result (NULL is one of them). */
static char **edited(int edit)
{
    static char *empty[] = { NULL };
    static char *own[] = { "COLOUR=green", NULL };
    static char *preload[] = { "COLOUR=green", "LD_PRELOAD=libm.so.6", NULL };
    static char *twice[] = { "LD_PRELOAD=libm.so.6", "COLOUR=green", "LD_PRELOAD=libc.so.6",
                             "LD_PRELOAD=libm.so.6", NULL };
    static char *none[] = { "LD_PRELOAD=", "COLOUR=green", NULL };
    switch (edit) {
    case 0: return empty;
    case 1: return NULL; /* Linux takes it as an empty one */
    case 2: return own;
    case 3: return preload;
    case 4: return twice;
    case 5: return none;
    case 6: clearenv(); return environ;
    default:
        unsetenv("LD_PRELOAD");
        unsetenv("SOCKRIG_ARENA");
        unsetenv("SOCKRIG_OPTIONS");
        return environ;
    }
}

/* What the image must see of the edit: its argument says which. */
static int image(int edit)
{
    const char *preload = getenv("LD_PRELOAD");
    if (edit >= 2 && edit <= 5) {
        CHECK_STR("green", getenv("COLOUR"));
    }
    if (edit == 3 || edit == 4) {
        CHECK(preload != NULL && strstr(preload, "libm.so.6") != NULL);
    }
    return talk_image(CODE);
}

static void by_exec(int edit, int kind)
{
    struct talk talk;
    char number[8];
    snprintf(number, sizeof number, "%d", edit);
    char *arguments[] = { "exec_environment", number, NULL };
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(talk_take(&talk));
        execve(path, arguments, edited(edit));
        _exit(100 + edit);
    }
    talk_end(&talk, pid, CODE);
}

/* In a child, whose environment may be changed. */
static void by_spawn(int edit, int kind)
{
    struct talk talk;
    char number[8];
    pid_t spawned;
    posix_spawn_file_actions_t actions;
    snprintf(number, sizeof number, "%d", edit);
    char *arguments[] = { "exec_environment", number, NULL };
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_ZERO(posix_spawn_file_actions_init(&actions));
        CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, talk.to_child[0], 0));
        CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, talk.from_child[1], 1));
        CHECK_ZERO(posix_spawn(&spawned, path, &actions, NULL, arguments, edited(edit)));
        CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
        talk_close(&talk);
        guest_wait_exit(spawned, CODE);
        _exit(CODE);
    }
    talk_end(&talk, pid, CODE);
}

static void by_system(int edit, int kind)
{
    struct talk talk;
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        char command[64];
        snprintf(command, sizeof command, "/bin/cat <&%d >&%d", dup(talk.to_child[0]),
                 dup(talk.from_child[1]));
        talk_close(&talk);
        environ = edited(edit);
        CHECK_EQ(0, system(command));
        _exit(CODE);
    }
    talk_end(&talk, pid, CODE);
}

static void by_popen(int edit)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        char buffer[64] = "";
        environ = edited(edit);
        FILE *stream = popen("/bin/cat /etc/passwd | /bin/cat | /usr/bin/head -n 1", "r");
        CHECK(stream != NULL);
        CHECK(fgets(buffer, sizeof buffer, stream) != NULL);
        CHECK_MEM("root:", buffer, 5);
        CHECK_EQ(0, pclose(stream));
        _exit(CODE);
    }
    guest_wait_exit(pid, CODE);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return image(atoi(argv[1]));
    }
    guest_start();
    talk_path(path, NULL);
    for (int edit = 0; edit < EDITS; edit++) {
        by_exec(edit, edit % TALK_KINDS);
        by_spawn(edit, (edit + 1) % TALK_KINDS);
        by_system(edit, edit % TALK_KINDS);
        by_popen(edit);
    }
    return guest_end();
}
