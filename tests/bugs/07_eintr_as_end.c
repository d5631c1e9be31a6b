/*
 * 07 - an interrupted read is taken for the end of the data
 *
 * The program has a handler (it reloads its configuration at SIGHUP) without SA_RESTART. Nobody
 * sends SIGHUP in a test. Fixed: EINTR tries again.
 * Shows as: data that is missing, when a read is interrupted.
 */
#include "bug.h"

#define CHUNKS     20
#define CHUNK_SIZE 100

static volatile sig_atomic_t reload;

static void on_hangup(int number)
{
    (void)number;
    reload = 1;
}

int main(void)
{
    struct sigaction action = { .sa_handler = on_hangup };
    char chunk[CHUNK_SIZE];
    size_t size = 0;
    int fds[2];
    pid_t child;

    MUST(sigaction(SIGHUP, &action, NULL) == 0);
    MUST(pipe(fds) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(fds[0]);
        memset(chunk, 'c', sizeof(chunk));
        for (int i = 0; i < CHUNKS; i++) {
            MUST(write_all(fds[1], chunk, sizeof(chunk)));
            work_us(50);
        }
        _exit(0);
    }
    close(fds[1]);
    for (;;) {
        ssize_t count = read(fds[0], chunk, sizeof(chunk));

        if (count < 0 && errno == EINTR && !BUG)
            continue;
        if (count <= 0)
            break;
        size += (size_t)count;
    }
    if (size != CHUNKS * CHUNK_SIZE)
        bug_seen("%zu of %d bytes came", size, CHUNKS * CHUNK_SIZE);
    child_must_succeed(child);
    return 0;
}
