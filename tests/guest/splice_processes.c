/*
 * Proves: a chain of processes that splice from pipe to pipe, to a socket and back carries every
 * byte in order; when one of them is killed at any moment, what it had in hand is in its source or
 * its destination, and its neighbours see end-of-file and EPIPE.
 *
 * Rows: 2.7 "source empty, no writers", 2.7 "destination pipe without readers"
 */
#include <sys/wait.h>

#include "guest.h"

enum { TOTAL = 3000000, ROUNDS = 60 };

static unsigned char buffer[300000];

/* Splices until the end. */
static void carry(int in, int out, size_t most)
{
    while (CHECK_OK(splice(in, NULL, out, NULL, most, SPLICE_F_MOVE)) > 0) {
    }
    _exit(0);
}

static void produce(int out, size_t total)
{
    for (size_t done = 0; done < total;) {
        size_t size = total - done < 50000 ? total - done : 50000;
        guest_pattern_fill(buffer, size, done);
        guest_write_all(out, buffer, size);
        done += size;
    }
}

static void chain(void)
{
    int first[2], second[2], pair[2], last[2];
    pid_t pids[4];
    guest_pipe(first);
    guest_pipe(second);
    guest_pair(SOCK_STREAM, pair);
    guest_pipe(last);
    for (int i = 0; i < 4; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            int in[4] = { -1, first[0], second[0], pair[1] };
            int out[4] = { first[1], second[1], pair[0], last[1] };
            int all[8] = { first[0], first[1], second[0], second[1],
                           pair[0],  pair[1],  last[0],   last[1] };
            for (int k = 0; k < 8; k++) {
                if (all[k] != in[i] && all[k] != out[i]) {
                    CHECK_OK(close(all[k]));
                }
            }
            if (i == 0) {
                produce(out[0], TOTAL);
                _exit(0);
            }
            carry(in[i], out[i], i == 1 ? 1 << 20 : i == 2 ? 5000 : 70000);
        }
    }
    guest_close_both(first);
    guest_close_both(second);
    guest_close_both(pair);
    CHECK_OK(close(last[1]));
    size_t have = 0;
    for (ssize_t got; (got = CHECK_OK(read(last[0], buffer, sizeof buffer))) > 0;) {
        guest_pattern_check(buffer, (size_t)got, have);
        have += (size_t)got;
    }
    CHECK_EQ(TOTAL, have);
    for (int i = 0; i < 4; i++) {
        guest_wait_exit(pids[i], 0);
    }
    CHECK_OK(close(last[0]));
}

/* The victim splices in small steps; what it hasn't moved is in front of it still. */
static void killed(int round)
{
    int source[2], destination[2];
    guest_pipe(source);
    guest_pipe(destination);
    CHECK_EQ(1 << 20, fcntl(source[1], F_SETPIPE_SZ, 1 << 20));
    CHECK_EQ(1 << 20, fcntl(destination[1], F_SETPIPE_SZ, 1 << 20));
    produce(source[1], sizeof buffer);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(source[1]));
        CHECK_OK(close(destination[0]));
        carry(source[0], destination[1], 1 + (size_t)round % 7 * 300);
    }
    CHECK_OK(close(destination[1]));
    size_t moved = 0;
    size_t wanted = (size_t)(round * 377) % 20000;
    while (moved < wanted) {
        ssize_t got = CHECK_OK(read(destination[0], buffer, sizeof buffer));
        guest_pattern_check(buffer, (size_t)got, moved);
        moved += (size_t)got;
    }
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_EQ(pid, waitpid(pid, NULL, 0));
    for (ssize_t got; (got = CHECK_OK(read(destination[0], buffer, sizeof buffer))) > 0;) {
        guest_pattern_check(buffer, (size_t)got, moved);
        moved += (size_t)got;
    }
    CHECK_OK(close(source[1]));
    for (ssize_t got; (got = CHECK_OK(read(source[0], buffer, sizeof buffer))) > 0;) {
        guest_pattern_check(buffer, (size_t)got, moved);
        moved += (size_t)got;
    }
    CHECK_EQ(sizeof buffer, moved);
    CHECK_OK(close(source[0]));
    CHECK_OK(close(destination[0]));
}

int main(void)
{
    guest_start();
    chain();
    for (int round = 0; round < ROUNDS; round++) {
        killed(round);
    }
    return guest_end();
}
