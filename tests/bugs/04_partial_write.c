/*
 * 04 - a partial write is taken for a full one
 *
 * The writer's descriptor doesn't block. It handles EAGAIN, but not a short count: the rest of the
 * block is lost. Fixed: write_all().
 * Shows as: data that is missing; with a small pipe always.
 */
#include "bug.h"

#define BLOCKS     5
#define BLOCK_SIZE 10000

static void send_block(int fd, const char *block)
{
    struct pollfd room = { fd, POLLOUT, 0 };

    if (!BUG) {
        MUST(write_all(fd, block, BLOCK_SIZE));
        return;
    }
    while (write(fd, block, BLOCK_SIZE) < 0) {
        MUST(errno == EAGAIN);
        MUST(poll(&room, 1, -1) == 1);
    }
}

int main(void)
{
    static char block[BLOCK_SIZE];
    static char all[BLOCKS * BLOCK_SIZE];
    int fds[2];
    pid_t child;
    size_t came;

    MUST(pipe(fds) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(fds[0]);
        MUST(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
        for (int i = 0; i < BLOCKS; i++) {
            memset(block, 'a' + i, sizeof(block));
            send_block(fds[1], block);
        }
        _exit(0);
    }
    close(fds[1]);
    came = read_all(fds[0], all, sizeof(all));
    if (came != sizeof(all))
        bug_seen("%zu of %zu bytes came", came, sizeof(all));
    child_must_succeed(child);
    return 0;
}
