/*
 * Proves: a sendfile that sleeps for room goes on when another thread closes its pipe's number and
 * something else comes to stand there; the rest of the pipe's end is closed when it is done.
 * Ends that are the kernel's: an offset into /dev/null stays, one into a file moves, a socket that
 * isn't connected refuses at once; RWF_NOWAIT is refused after splice by the ends that it had.
 *
 * Rows: 2.7 "sendfile with a pipe or socket as source", 2.3 "preadv2/pwritev2(offset -1,
 * RWF_NOWAIT)"
 */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "guest.h"

struct job {
    int out, file;
    ssize_t result;
};

static void *send_three(void *argument)
{
    struct job *job = argument;
    off_t offset = 1;
    job->result = sendfile(job->out, job->file, &offset, 3);
    return NULL;
}

static void number_closed(void)
{
    int ends[2];
    int file = (int)CHECK_OK(open("/proc/self/exe", O_RDONLY));
    struct guest_thread thread;
    char data[10];
    guest_pipe(ends);
    struct job job = { ends[1], file, 0 };
    guest_pipe_fill(ends[1]);
    guest_thread_start(&thread, send_three, &job);
    guest_thread_blocked(&thread);
    CHECK_OK(close(ends[1]));
    CHECK_EQ(ends[1], open("/dev/null", O_RDWR));
    static char unread[GUEST_PIPE_SIZE];
    CHECK_EQ(GUEST_PIPE_SIZE, guest_read_all(ends[0], unread, sizeof unread));
    guest_thread_join(&thread);
    CHECK_EQ(3, job.result);
    CHECK_EQ(3, read(ends[0], data, sizeof data));
    CHECK_MEM("ELF", data, 3);
    CHECK_EQ(0, read(ends[0], data, sizeof data));
    guest_close_both(ends);
    CHECK_OK(close(file));
}

static void into_the_kernels(void)
{
    int ends[2];
    int null = (int)CHECK_OK(open("/dev/null", O_WRONLY));
    int file = (int)CHECK_OK(memfd_create("file", 0));
    int alone = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    loff_t offset = 7;
    char data[10];
    guest_pipe(ends);
    CHECK_EQ(5, write(ends[1], "bytes", 5));
    CHECK_EQ(2, splice(ends[0], NULL, null, &offset, 2, 0));
    CHECK_EQ(7, offset);
    CHECK_ERR(ENOTCONN, splice(ends[0], NULL, alone, NULL, 2, 0));
    CHECK_EQ(3, splice(ends[0], NULL, file, &offset, 9, 0));
    CHECK_EQ(10, offset);
    CHECK_EQ(3, pread(file, data, sizeof data, 7));
    CHECK_MEM("tes", data, 3);
    guest_close_both(ends);
    CHECK_OK(close(null));
    CHECK_OK(close(file));
    CHECK_OK(close(alone));
}

static void nowait_refused(void)
{
    int from[2], to[2];
    char data[10];
    struct iovec iov = { data, sizeof data };
    guest_pipe(from);
    guest_pipe(to);
    CHECK_EQ(3, write(from[1], "abc", 3));
    CHECK_EQ(3, splice(from[0], NULL, to[1], NULL, 3, 0));
    CHECK_ERR(EOPNOTSUPP, preadv2(from[0], &iov, 1, -1, RWF_NOWAIT));
    CHECK_ERR(EOPNOTSUPP, pwritev2(to[1], &iov, 1, -1, RWF_NOWAIT));
    CHECK_EQ(3, preadv2(to[0], &iov, 1, -1, RWF_NOWAIT));
    CHECK_ERR(EAGAIN, preadv2(to[0], &iov, 1, -1, RWF_NOWAIT));
    guest_close_both(from);
    guest_close_both(to);
}

int main(void)
{
    guest_start();
    number_closed();
    into_the_kernels();
    nowait_refused();
    return guest_end();
}
