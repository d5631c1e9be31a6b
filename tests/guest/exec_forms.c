/*
 * Proves: every form of exec carries inherited channels into the new image: execl, execle, execlp,
 * execv, execve, execvp, execvpe, fexecve, execveat by descriptor, by directory and by path, and
 * execve and execveat through syscall(2); pipes and sockets, from a thread as well.
 *
 * Rows: 5.1 "exec", 2.3 "read, empty, no writers"
 */
#include "talk.h"

enum { FORMS = 13, CODE = 9 };

static char path[PATH_MAX], folder[PATH_MAX];
static const char *name;

static void exec_by(int form)
{
    char *arguments[] = { (char *)name, "image", NULL };
    int fd = open(path, O_PATH | O_CLOEXEC), directory = open(folder, O_RDONLY | O_CLOEXEC);
    int readable = open(path, O_RDONLY | O_CLOEXEC);
    switch (form) {
    case 0: execl(path, name, "image", (char *)NULL); break;
    case 1: execle(path, name, "image", (char *)NULL, environ); break;
    case 2: execlp(name, name, "image", (char *)NULL); break;
    case 3: execv(path, arguments); break;
    case 4: execve(path, arguments, environ); break;
    case 5: execvp(name, arguments); break;
    case 6: execvpe(name, arguments, environ); break;
    case 7: fexecve(readable, arguments, environ); break;
    case 8: execveat(fd, "", arguments, environ, AT_EMPTY_PATH); break;
    case 9: execveat(directory, name, arguments, environ, 0); break;
    case 10: execveat(AT_FDCWD, path, arguments, environ, AT_SYMLINK_NOFOLLOW); break;
    case 11: syscall(SYS_execve, path, arguments, environ); break;
    case 12: syscall(SYS_execveat, fd, "", arguments, environ, AT_EMPTY_PATH); break;
    default: break;
    }
    _exit(100 + form);
}

static void *exec_in_thread(void *argument)
{
    exec_by(*(int *)argument);
    return NULL;
}

static void talk_by(int form, int kind, bool in_thread)
{
    struct talk talk;
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct guest_thread thread;
        CHECK(talk_take(&talk));
        if (in_thread) {
            guest_thread_start(&thread, exec_in_thread, &form);
            guest_thread_join(&thread);
        }
        exec_by(form);
    }
    talk_end(&talk, pid, CODE);
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
    name = strrchr(path, '/') + 1;
    CHECK_OK(setenv("PATH", folder, 1));
    for (int form = 0; form < FORMS; form++) {
        talk_by(form, form % TALK_KINDS, false);
        talk_by(form, (form + 1) % TALK_KINDS, form % 4 == 0);
    }
    return guest_end();
}
