/*
 * Proves: programs that no preload reaches are children like others, at both ends of a channel,
 * started by exec, posix_spawn and clone(CLONE_VM | CLONE_VFORK): a static one, by its path, by a
 * descriptor, through #! lines that end in it, one after the other; as root also a setuid, a setgid
 * and one with file capabilities (for another user), and one that may be executed but not read.
 *
 * Rows: 5.1 "exec", 2.2 "Blocking writes of any size complete fully"
 */
#include <grp.h>
#include <linux/capability.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "talk.h"

enum { NOBODY = 65534, STACK = 256 * 1024, FILES = 8 };

static char folder[64], static_path[PATH_MAX], files[FILES][96];
static int file_count;
static char stack[STACK] __attribute__((aligned(64)));

static const char *make_file(const char *name, const void *text, size_t size, mode_t mode)
{
    char *path = files[file_count++];
    snprintf(path, sizeof files[0], "%s/%s", folder, name);
    int fd = (int)CHECK_OK(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
    guest_write_all(fd, text, size);
    CHECK_OK(fchmod(fd, mode));
    CHECK_OK(close(fd));
    return path;
}

/* A copy of a program; dynamic ones are cat's, which can be preloaded as it is. */
static const char *copy_of(const char *from, const char *name, mode_t mode)
{
    static char text[4 << 20];
    int fd = (int)CHECK_OK(open(from, O_RDONLY | O_CLOEXEC));
    size_t size = guest_read_all(fd, text, sizeof text);
    CHECK(size < sizeof text);
    CHECK_OK(close(fd));
    return make_file(name, text, size, mode);
}

static const char *script_of(const char *interpreter, const char *argument, const char *name)
{
    char text[256];
    int size = snprintf(text, sizeof text, "#!%s%s\n", interpreter, argument);
    return make_file(name, text, (size_t)size, 0755);
}

enum way { EXEC, BY_FD, SPAWN, SPAWN_BY_NAME, VFORKED, WAYS };

struct start {
    const struct talk *talk;
    const char *program;
    bool nobody;
};

static void become_nobody(void)
{
    CHECK_OK(setgroups(0, NULL));
    CHECK_OK(setgid(NOBODY));
    CHECK_OK(setuid(NOBODY));
}

static int take_and_exec(void *argument)
{
    const struct start *start = argument;
    if (talk_take(start->talk)) {
        execl(start->program, start->program, (char *)NULL);
    }
    return 100;
}

static pid_t start_by(enum way way, const struct start *start)
{
    posix_spawn_file_actions_t actions;
    char *arguments[] = { (char *)start->program, NULL };
    pid_t pid = -1;
    int fd;
    switch (way) {
    case EXEC: _exit(take_and_exec((void *)start));
    case BY_FD:
        CHECK(talk_take(start->talk));
        fd = open(start->program, O_PATH);
        CHECK_OK(fd);
        fexecve(fd, arguments, environ);
        _exit(100);
    case VFORKED:
        return clone(take_and_exec, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)start);
    default:
        CHECK_OK(setenv("PATH", folder, 1));
        CHECK_ZERO(posix_spawn_file_actions_init(&actions));
        CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, start->talk->to_child[0], 0));
        CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, start->talk->from_child[1], 1));
        CHECK_ZERO((way == SPAWN ? posix_spawn : posix_spawnp)(
            &pid, way == SPAWN ? start->program : strrchr(start->program, '/') + 1, &actions, NULL,
            arguments, environ));
        CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
        return pid;
    }
}

/* A child starts it, so that it may be somebody else, and may exec itself. */
static void talks(enum way way, const char *program, bool nobody, int kind)
{
    struct talk talk;
    struct start start = { &talk, program, nobody };
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (nobody) {
            become_nobody();
        }
        pid_t started = (pid_t)CHECK_OK(start_by(way, &start));
        talk_close(&talk);
        int status = guest_wait(started);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
    }
    talk_end(&talk, pid, 0);
}

static void in_all_ways(const char *program, bool nobody, bool by_fd)
{
    for (int way = 0; way < WAYS; way++) {
        for (int kind = 0; kind < TALK_KINDS && (way != BY_FD || by_fd); kind++) {
            talks((enum way)way, program, nobody, kind);
        }
    }
}

/* VFS_CAP_REVISION_2: effective and permitted CAP_CHOWN. */
static void give_capability(const char *path)
{
    struct vfs_cap_data data = { .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE };
    data.data[0].permitted = 1 << CAP_CHOWN;
    CHECK_OK(setxattr(path, "security.capability", &data, XATTR_CAPS_SZ_2, 0));
}

int main(void)
{
    guest_start();
    talk_path(static_path, "helper_cat_static");
    strcpy(folder, "/tmp/guest_reach_XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    CHECK_OK(chmod(folder, 0755));
    const char *plain = copy_of(static_path, "plain", 0755);
    const char *script = script_of(plain, " -1", "script"); /* bytes to copy: all */
    const char *chain = script_of(script, "", "chain");
    in_all_ways(plain, false, true);
    in_all_ways(script, false, true);
    in_all_ways(chain, false, true);
    if (geteuid() == 0) {
        const char *setuid_cat = copy_of("/bin/cat", "setuid", 04755);
        const char *setgid_cat = copy_of("/bin/cat", "setgid", 02755);
        const char *capable = copy_of("/bin/cat", "capable", 0755);
        const char *unreadable = copy_of("/bin/cat", "unreadable", 0711);
        give_capability(capable);
        in_all_ways(setuid_cat, true, true);
        in_all_ways(setgid_cat, true, true);
        in_all_ways(capable, true, true);
        in_all_ways(unreadable, true, false);
    }
    for (int i = 0; i < file_count; i++) {
        CHECK_OK(unlink(files[i]));
    }
    CHECK_OK(rmdir(folder));
    return guest_end();
}
