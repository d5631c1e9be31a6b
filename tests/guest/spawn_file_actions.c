/*
 * Proves: posix_spawn and posix_spawnp with each file action, over emulated channels: open, close,
 * dup2 onto another number and onto itself, closefrom, chdir, fchdir, tcsetpgrp's error, several of
 * them in order; that a failing action fails the spawn and leaves nothing; that a child may close
 * everything from 2 on before its program starts, with its parent gone at once.
 *
 * Rows: 5.1 "exec", 5.2 "dup2"
 */
#include <spawn.h>

#include "talk.h"

enum { CODE = 9 };

static char path[PATH_MAX], folder[PATH_MAX];

static pid_t spawn_image(posix_spawn_file_actions_t *actions, const char *program, bool by_name)
{
    char *arguments[] = { "spawn_file_actions", "image", NULL };
    pid_t pid = -1;
    CHECK_ZERO(by_name ? posix_spawnp(&pid, program, actions, NULL, arguments, environ)
                       : posix_spawn(&pid, program, actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(actions));
    return pid;
}

static void begin(posix_spawn_file_actions_t *actions, struct talk *talk, int kind)
{
    talk_open(talk, kind);
    CHECK_ZERO(posix_spawn_file_actions_init(actions));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(actions, talk->to_child[0], 0));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(actions, talk->from_child[1], 1));
}

static void closes(int kind)
{
    posix_spawn_file_actions_t actions;
    struct talk talk;
    begin(&actions, &talk, kind);
    for (int i = 0; i < 2; i++) {
        CHECK_ZERO(posix_spawn_file_actions_addclose(&actions, talk.to_child[i]));
        CHECK_ZERO(posix_spawn_file_actions_addclose(&actions, talk.from_child[i]));
    }
    CHECK_ZERO(posix_spawn_file_actions_addclose(&actions, 240)); /* not open: no error */
    talk_end(&talk, spawn_image(&actions, path, false), CODE);
}

static void closes_from(int kind)
{
    posix_spawn_file_actions_t actions;
    struct talk talk;
    begin(&actions, &talk, kind);
    CHECK_ZERO(posix_spawn_file_actions_addclosefrom_np(&actions, 3));
    talk_end(&talk, spawn_image(&actions, path, false), CODE);
}

/* Round about: over 9 and 10, of which the first is close-on-exec until it is copied to itself. */
static void copies_in_order(int kind)
{
    posix_spawn_file_actions_t actions;
    struct talk talk;
    talk_open(&talk, kind);
    CHECK_ZERO(posix_spawn_file_actions_init(&actions));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, talk.to_child[0], 109));
    CHECK_ZERO(posix_spawn_file_actions_addclose(&actions, talk.to_child[0]));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, talk.from_child[1], 110));
    CHECK_ZERO(posix_spawn_file_actions_addclose(&actions, talk.from_child[1]));
    CHECK_ZERO(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, 109, 0));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, 110, 1));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, 0, 0));
    CHECK_ZERO(posix_spawn_file_actions_addclose(&actions, 109));
    CHECK_ZERO(posix_spawn_file_actions_addclose(&actions, 110));
    talk_end(&talk, spawn_image(&actions, path, false), CODE);
}

/* The program's name is relative to a directory that an action goes to. */
static void changes_directory(int kind, bool by_fd)
{
    posix_spawn_file_actions_t actions;
    struct talk talk;
    int directory = (int)CHECK_OK(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    begin(&actions, &talk, kind);
    if (by_fd) {
        CHECK_ZERO(posix_spawn_file_actions_addfchdir_np(&actions, directory));
    } else {
        CHECK_ZERO(posix_spawn_file_actions_addchdir_np(&actions, folder));
    }
    talk_end(&talk, spawn_image(&actions, "./spawn_file_actions", by_fd), CODE);
    CHECK_OK(close(directory));
}

/* A static program by such a name: nobody can look at it from here. */
static void static_elsewhere(int kind)
{
    posix_spawn_file_actions_t actions;
    char *arguments[] = { "helper_cat_static", NULL };
    struct talk talk;
    pid_t pid = -1;
    begin(&actions, &talk, kind);
    CHECK_ZERO(posix_spawn_file_actions_addchdir_np(&actions, folder));
    CHECK_ZERO(posix_spawn(&pid, "./helper_cat_static", &actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    talk_end(&talk, pid, 0);
}

static void failing_action(int kind)
{
    posix_spawn_file_actions_t actions;
    char *arguments[] = { "true", NULL };
    struct talk talk;
    char buffer[8];
    pid_t pid = -1;
    begin(&actions, &talk, kind);
    CHECK_ZERO(posix_spawn_file_actions_addopen(&actions, 5, "/nonexistent/file", O_RDONLY, 0));
    CHECK_EQ(ENOENT, posix_spawn(&pid, "/bin/true", &actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    CHECK_ZERO(posix_spawn_file_actions_init(&actions));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, 241, 1));
    CHECK_EQ(EBADF, posix_spawn(&pid, "/bin/true", &actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    CHECK_ZERO(posix_spawn_file_actions_init(&actions));
    CHECK_ZERO(posix_spawn_file_actions_addtcsetpgrp_np(&actions, talk.to_child[0]));
    CHECK_EQ(ENOTTY, posix_spawn(&pid, "/bin/true", &actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    CHECK_EQ(5, read(talk.to_child[0], buffer, sizeof buffer));
    talk_close(&talk);
}

/* The spawning process ends at once: nobody is left to ask for what its child closed. */
static void orphan_that_closed_all(int kind)
{
    posix_spawn_file_actions_t actions;
    struct talk talk;
    char buffer[8];
    begin(&actions, &talk, kind);
    CHECK_ZERO(posix_spawn_file_actions_addclosefrom_np(&actions, 3));
    pid_t pid = guest_fork();
    if (pid == 0) {
        spawn_image(&actions, path, false);
        _exit(0);
    }
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(talk.to_child[0]));
    CHECK_OK(close(talk.from_child[1]));
    CHECK_EQ(5, guest_read_all(talk.from_child[0], buffer, 5));
    CHECK_MEM("early", buffer, 5);
    CHECK_EQ(4, write(talk.to_child[1], "late", 4));
    CHECK_EQ(4, guest_read_all(talk.from_child[0], buffer, 4));
    CHECK_OK(close(talk.to_child[1]));
    CHECK_EQ(0, read(talk.from_child[0], buffer, 1));
    CHECK_OK(close(talk.from_child[0]));
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return talk_image(CODE);
    }
    guest_start();
    talk_path(path, NULL);
    strcpy(folder, path);
    *strrchr(folder, '/') = '\0';
    for (int kind = 0; kind < TALK_KINDS; kind++) {
        closes(kind);
        closes_from(kind);
        copies_in_order(kind);
        changes_directory(kind, false);
        changes_directory(kind, true);
        static_elsewhere(kind);
        failing_action(kind);
        orphan_that_closed_all(kind);
    }
    return guest_end();
}
