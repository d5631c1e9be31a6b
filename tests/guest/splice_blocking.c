/*
 * Proves: splice, tee, vmsplice and sendfile that block are woken by data, room and ends; a handler
 * ends them with EINTR, or they go on with SA_RESTART; the time-outs of a socket end them; and
 * whatever ends them, no byte is lost or comes twice.
 *
 * Rows: 2.7 "source empty, writers exist", 2.7 "source empty, no writers", 2.7 "destination pipe
 * without readers", 2.7 "vmsplice"
 */
#include <sys/sendfile.h>
#include <sys/time.h>

#include "guest.h"

enum mover { SPLICE, TEE, UNMAP, MAP, SENDFILE };

struct job {
    enum mover mover;
    int in, out;
    size_t size;
    ssize_t result;
    int error;
};

static char buffer[300000];
static int file;

static void *move(void *argument)
{
    struct job *job = argument;
    struct iovec iov = { .iov_base = buffer, .iov_len = job->size };
    off_t offset = 0;
    switch (job->mover) {
    case SPLICE: job->result = splice(job->in, NULL, job->out, NULL, job->size, 0); break;
    case TEE: job->result = tee(job->in, job->out, job->size, 0); break;
    case UNMAP: job->result = vmsplice(job->in, &iov, 1, 0); break;
    case MAP: job->result = vmsplice(job->out, &iov, 1, 0); break;
    default: job->result = sendfile(job->out, file, &offset, job->size);
    }
    job->error = errno;
    return NULL;
}

static void start(struct guest_thread *thread, struct job *job)
{
    guest_thread_start(thread, move, job);
    guest_thread_blocked(thread);
}

static void make(int type, int fds[2])
{
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
}

/* Woken by four bytes, then by the end. */
static void waits_for_data(enum mover mover, int type)
{
    int source[2], destination[2];
    make(type, source);
    guest_pipe(destination);
    struct job job = { mover, source[0], destination[1], 100, 0, 0 };
    struct guest_thread thread;
    start(&thread, &job);
    CHECK_EQ(4, write(source[1], "four", 4));
    guest_thread_join(&thread);
    CHECK_EQ(4, job.result);
    if (mover != UNMAP) {
        CHECK_EQ(4, read(destination[0], buffer, 100));
    }
    CHECK_MEM("four", buffer, 4);
    if (mover == TEE) {
        CHECK_EQ(4, read(source[0], buffer, 100));
    }
    start(&thread, &job);
    CHECK_OK(close(source[1]));
    guest_thread_join(&thread);
    CHECK_EQ(0, job.result);
    CHECK_OK(close(source[0]));
    guest_close_both(destination);
}

/* The destination is full: woken by room, then by its end. */
static void waits_for_room(enum mover mover, int type)
{
    int source[2], destination[2];
    guest_pipe(source);
    make(type, destination);
    CHECK_EQ(6, write(source[1], "splice", 6));
    if (type == 0) {
        guest_pipe_fill(destination[1]);
    } else {
        guest_socket_fill(destination[1], 4096);
    }
    guest_set_nonblock(destination[1], false);
    struct job job = { mover, source[0], destination[1], 6, 0, 0 };
    struct guest_thread thread;
    start(&thread, &job);
    guest_set_nonblock(destination[0], true);
    size_t have = 0;
    for (ssize_t got; (got = read(destination[0], buffer, sizeof buffer)) > 0;) {
        have += (size_t)got;
    }
    CHECK(have > 0);
    guest_thread_join(&thread);
    CHECK_EQ(6, job.result);
    if (read(destination[0], buffer, 100) == 6 && mover != MAP && mover != SENDFILE) {
        CHECK_MEM("splice", buffer, 6);
    }
    guest_close_both(source);
    guest_close_both(destination);
}

static void ended_by_reader(enum mover mover, int type, int error)
{
    int source[2], destination[2];
    guest_pipe(source);
    make(type, destination);
    CHECK_EQ(6, write(source[1], "splice", 6));
    if (type == 0) {
        guest_pipe_fill(destination[1]);
    } else {
        guest_socket_fill(destination[1], 4096);
    }
    guest_set_nonblock(destination[1], false);
    struct job job = { mover, source[0], destination[1], 6, 0, 0 };
    struct guest_thread thread;
    start(&thread, &job);
    CHECK_OK(close(destination[0]));
    guest_thread_join(&thread);
    CHECK_EQ(-1, job.result);
    CHECK_EQ(error, job.error);
    CHECK_EQ(6, read(source[0], buffer, 100)); /* it is still there */
    guest_close_both(source);
    CHECK_OK(close(destination[1]));
}

static void interrupted(enum mover mover, int type, bool restart)
{
    int source[2], destination[2];
    make(type, source);
    guest_pipe(destination);
    guest_count_signal(SIGUSR1, restart ? SA_RESTART : 0);
    int before = atomic_load(&guest_signal_count[SIGUSR1]);
    struct job job = { mover, source[0], destination[1], 100, 0, 0 };
    struct guest_thread thread;
    start(&thread, &job);
    CHECK_EQ(0, pthread_kill(thread.pthread, SIGUSR1));
    while (atomic_load(&guest_signal_count[SIGUSR1]) == before) {
        sched_yield();
    }
    if (restart) {
        guest_thread_blocked(&thread);
        CHECK_EQ(2, write(source[1], "re", 2));
        guest_thread_join(&thread);
        CHECK_EQ(2, job.result);
        if (mover == TEE) {
            CHECK_EQ(2, read(source[0], buffer, 10));
        }
        if (mover != UNMAP) {
            CHECK_EQ(2, read(destination[0], buffer, 10));
        }
    } else {
        guest_thread_join(&thread);
        CHECK_EQ(-1, job.result);
        CHECK_EQ(EINTR, job.error);
    }
    guest_close_both(source);
    guest_close_both(destination);
}

/* A splice of more than the socket takes, interrupted in the middle: what went over is told. */
static void interrupted_in_the_middle(void)
{
    int source[2], pair[2];
    guest_pipe(source);
    guest_pair(SOCK_STREAM, pair);
    CHECK_EQ(1 << 20, fcntl(source[1], F_SETPIPE_SZ, 1 << 20));
    guest_pattern_fill(buffer, sizeof buffer, 0);
    guest_write_all(source[1], buffer, sizeof buffer);
    guest_count_signal(SIGUSR1, 0);
    struct job job = { SPLICE, source[0], pair[1], sizeof buffer, 0, 0 };
    struct guest_thread thread;
    start(&thread, &job);
    CHECK_EQ(0, pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_join(&thread);
    CHECK(job.result > 0 && job.result < (ssize_t)sizeof buffer);
    size_t moved = (size_t)job.result;
    memset(buffer, 0, sizeof buffer);
    CHECK_OK(shutdown(pair[1], SHUT_WR));
    CHECK_EQ(moved, guest_read_all(pair[0], buffer, sizeof buffer));
    guest_pattern_check(buffer, moved, 0);
    CHECK_OK(close(source[1]));
    CHECK_EQ(sizeof buffer - moved, guest_read_all(source[0], buffer, sizeof buffer));
    guest_pattern_check(buffer, sizeof buffer - moved, moved);
    CHECK_OK(close(source[0]));
    guest_close_both(pair);
}

static void timed_out(void)
{
    int pipe_fds[2], pair[2];
    struct timeval time = { 0, 20000 };
    guest_pipe(pipe_fds);
    guest_pair(SOCK_STREAM, pair);
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time));
    CHECK_ERR(EAGAIN, splice(pair[0], NULL, pipe_fds[1], NULL, 100, 0));
    guest_socket_fill(pair[1], 4096);
    guest_set_nonblock(pair[1], false);
    CHECK_EQ(4, write(pipe_fds[1], "wait", 4));
    CHECK_ERR(EAGAIN, splice(pipe_fds[0], NULL, pair[1], NULL, 100, 0));
    CHECK_ERR(EAGAIN, sendfile(pair[1], file, &(off_t){ 0 }, 100));
    CHECK_EQ(4, read(pipe_fds[0], buffer, 100));
    CHECK_MEM("wait", buffer, 4);
    guest_close_both(pipe_fds);
    guest_close_both(pair);
}

int main(void)
{
    guest_start();
    file = (int)CHECK_OK(open("/proc/self/exe", O_RDONLY));
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    for (int type = 0; type <= SOCK_STREAM; type++) {
        waits_for_data(SPLICE, type);
        interrupted(SPLICE, type, false);
        interrupted(SPLICE, type, true);
        waits_for_room(SPLICE, type);
        waits_for_room(SENDFILE, type);
        ended_by_reader(SPLICE, type, type == 0 ? EPIPE : ECONNRESET); /* it left bytes unread */
    }
    waits_for_data(SPLICE, SOCK_SEQPACKET);
    waits_for_data(TEE, 0);
    waits_for_data(UNMAP, 0);
    interrupted(TEE, 0, false);
    interrupted(TEE, 0, true);
    interrupted(UNMAP, 0, false);
    interrupted(UNMAP, 0, true);
    waits_for_room(TEE, 0);
    waits_for_room(MAP, 0);
    ended_by_reader(TEE, 0, EPIPE);
    ended_by_reader(MAP, 0, EPIPE);
    interrupted_in_the_middle();
    timed_out();
    CHECK_OK(close(file));
    return guest_end();
}
