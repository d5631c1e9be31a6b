/*
 * 21 - two servers race between unlink and bind of one path
 *
 * Each looks whether a server answers at the path; if none does the file must be a leftover, and it
 * goes. One that is between bind and listen doesn't answer yet. Fixed: a lock is held over all of
 * it.
 * Shows as: two servers, by the order of things.
 */
#include "bug.h"

#include <sys/file.h>

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static char lock_path[sizeof(address.sun_path) + 8];

static bool somebody_answers(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool answered;

    MUST(fd >= 0);
    answered = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return answered;
}

/* Returns the listener; -1: there is a server already. */
static int become_server(void)
{
    int lock = BUG ? -1 : open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int fd = -1;

    MUST(BUG || (lock >= 0 && flock(lock, LOCK_EX) == 0));
    if (!somebody_answers()) {
        unlink(address.sun_path);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        MUST(fd >= 0);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
            bug_seen("bind: %m");
        MUST(listen(fd, 8) == 0);
    }
    if (lock >= 0)
        close(lock);
    return fd;
}

int main(void)
{
    char folder[] = "/tmp/bug21.XXXXXX";
    int release[2];
    int looked[2];
    int status;
    int servers = 0;
    pid_t children[2];
    char bytes[2];
    char byte;

    MUST(mkdtemp(folder));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/server", folder);
    snprintf(lock_path, sizeof(lock_path), "%s.lock", address.sun_path);
    MUST(pipe(release) == 0 && pipe(looked) == 0);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        MUST(children[i] >= 0);
        if (children[i] == 0) {
            bool server;

            close(release[1]);
            server = become_server() >= 0;
            MUST(write_all(looked[1], "", 1));
            while (read(release[0], &byte, 1) < 0 && errno == EINTR) /* the other has looked */
                ;
            _exit(server ? 10 : 0);
        }
        work_us(3000); /* the second is started a little later */
    }
    close(looked[1]);
    MUST(read_all(looked[0], bytes, 2) == 2);
    close(release[1]);
    for (int i = 0; i < 2; i++) {
        MUST(waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status));
        MUST(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 10);
        servers += WEXITSTATUS(status) == 10;
    }
    unlink(address.sun_path);
    unlink(lock_path);
    rmdir(folder);
    if (servers != 1)
        bug_seen("%d servers for one path", servers);
    return 0;
}
