/*
 * Proves: splice, tee, vmsplice and sendfile move data between pipes, sockets and files in order
 * with plain reads and writes, block and are woken, and give their errors.
 *
 * Rows: 2.7 (all but the vsock row)
 */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "guest.h"

static char buffer[200000];

static void pipe_to_pipe_and_tee(void)
{
    int first[2], second[2];
    guest_pipe(first);
    guest_pipe(second);
    CHECK_EQ(6, write(first[1], "abcdef", 6));
    CHECK_EQ(6, tee(first[0], second[1], 100, 0)); /* copies, takes nothing */
    CHECK_EQ(2, splice(first[0], NULL, second[1], NULL, 2, 0));
    CHECK_EQ(4, write(second[1], "last", 4));
    CHECK_EQ(12, read(second[0], buffer, sizeof buffer));
    CHECK_MEM("abcdefablast", buffer, 12);
    CHECK_EQ(4, read(first[0], buffer, sizeof buffer));
    CHECK_MEM("cdef", buffer, 4);
    guest_close_both(first);
    guest_close_both(second);
}

static void pipe_and_socket(void)
{
    int pipe_fds[2], pair[2];
    guest_pipe(pipe_fds);
    guest_pair(SOCK_STREAM, pair);
    CHECK_EQ(3, write(pair[0], "one", 3)); /* unread bytes on both sides before the first splice */
    CHECK_EQ(5, write(pipe_fds[1], "two34", 5));
    CHECK_EQ(3, splice(pipe_fds[0], NULL, pair[0], NULL, 3, 0));
    CHECK_EQ(2, read(pipe_fds[0], buffer, sizeof buffer));
    CHECK_EQ(6, read(pair[1], buffer, sizeof buffer));
    CHECK_MEM("onetwo", buffer, 6);
    CHECK_EQ(4, write(pair[1], "back", 4));
    CHECK_EQ(4, splice(pair[0], NULL, pipe_fds[1], NULL, 100, 0));
    CHECK_EQ(4, read(pipe_fds[0], buffer, sizeof buffer));
    CHECK_MEM("back", buffer, 4);
    CHECK_ERR(EAGAIN, splice(pair[0], NULL, pipe_fds[1], NULL, 100, SPLICE_F_NONBLOCK));
    guest_close_both(pipe_fds);
    guest_close_both(pair);
}

static void files_and_vmsplice(void)
{
    int pipe_fds[2], pair[2];
    loff_t offset = 2;
    off_t file_offset = 1;
    int file = (int)CHECK_OK(memfd_create("file", MFD_CLOEXEC));
    struct iovec vector = { .iov_base = "vm", .iov_len = 2 };
    struct iovec out = { .iov_base = buffer, .iov_len = 1 };
    CHECK_EQ(8, write(file, "01234567", 8));
    guest_pipe(pipe_fds);
    guest_pair(SOCK_STREAM, pair);
    CHECK_EQ(3, splice(file, &offset, pipe_fds[1], NULL, 3, 0));
    CHECK_EQ(5, offset);
    CHECK_EQ(2, vmsplice(pipe_fds[1], &vector, 1, 0));
    CHECK_EQ(3, sendfile(pipe_fds[1], file, &file_offset, 3));
    CHECK_EQ(8, read(pipe_fds[0], buffer, sizeof buffer));
    CHECK_MEM("234vm123", buffer, 8);
    CHECK_EQ(1, write(pair[0], "s", 1));
    file_offset = 4;
    CHECK_EQ(4, sendfile(pair[0], file, &file_offset, 100));
    CHECK_EQ(5, read(pair[1], buffer, sizeof buffer));
    CHECK_MEM("s4567", buffer, 5);
    CHECK_EQ(2, write(pipe_fds[1], "xy", 2));
    CHECK_EQ(1, vmsplice(pipe_fds[0], &out, 1, 0)); /* on a read end: copies out */
    CHECK_EQ('x', buffer[0]);
    offset = 0;
    CHECK_EQ(1, splice(pipe_fds[0], NULL, file, &offset, 10, 0));
    CHECK_EQ(1, pread(file, buffer, 1, 0));
    CHECK_EQ('y', buffer[0]);
    CHECK_ERR(EINVAL, sendfile(pair[0], pipe_fds[0], NULL, 1));
    CHECK_ERR(EINVAL, sendfile(pair[0], pair[1], NULL, 1));
    CHECK_EQ(2, write(pair[1], "so", 2));
    CHECK_EQ(2, sendfile(pipe_fds[1], pair[0], NULL, 10)); /* a socket to a pipe: like splice */
    CHECK_EQ(2, read(pipe_fds[0], buffer, sizeof buffer));
    CHECK_MEM("so", buffer, 2);
    guest_close_both(pipe_fds);
    guest_close_both(pair);
    CHECK_OK(close(file));
}

static void errors(void)
{
    int first[2], second[2], pair[2];
    loff_t offset = 0;
    CHECK_OK(pipe2(first, O_NONBLOCK));
    CHECK_OK(pipe2(second, O_NONBLOCK));
    guest_pair(SOCK_STREAM, pair);
    CHECK_ERR(EINVAL, splice(pair[0], NULL, pair[1], NULL, 1, 0));
    CHECK_ERR(ESPIPE, splice(first[0], &offset, second[1], NULL, 1, 0));
    CHECK_ERR(EINVAL, splice(first[0], NULL, first[1], NULL, 1, 0));
    CHECK_ERR(EINVAL, tee(first[0], first[1], 1, 0));
    CHECK_ERR(EBADF, splice(first[1], NULL, second[1], NULL, 1, 0));
    CHECK_ERR(EBADF, splice(first[0], NULL, second[0], NULL, 1, 0));
    CHECK_ERR(EINVAL, splice(first[0], NULL, second[1], NULL, 1, 0x100));
    CHECK_EQ(0, splice(first[0], NULL, second[1], NULL, 0, 0));
    CHECK_ERR(EAGAIN, splice(first[0], NULL, second[1], NULL, 1, 0));
    CHECK_ERR(EAGAIN, tee(first[0], second[1], 1, 0));
    CHECK_OK(close(first[1]));
    CHECK_EQ(0, splice(first[0], NULL, second[1], NULL, 1, 0));
    CHECK_EQ(0, tee(first[0], second[1], 1, 0));
    CHECK_OK(close(first[0]));
    guest_close_both(second);
    guest_close_both(pair);
}

static void broken_destination(void)
{
    int first[2], second[2], pair[2];
    struct iovec vector = { .iov_base = "v", .iov_len = 1 };
    guest_count_signal(SIGPIPE, 0);
    guest_pipe(first);
    guest_pipe(second);
    guest_pair(SOCK_STREAM, pair);
    CHECK_EQ(2, write(first[1], "ab", 2));
    CHECK_OK(close(second[0]));
    CHECK_OK(close(pair[1]));
    CHECK_ERR(EPIPE, splice(first[0], NULL, second[1], NULL, 1, 0));
    CHECK_ERR(EPIPE, tee(first[0], second[1], 1, 0));
    CHECK_ERR(EPIPE, vmsplice(second[1], &vector, 1, 0));
    CHECK_ERR(EPIPE, splice(first[0], NULL, pair[0], NULL, 1, 0));
    CHECK_EQ(4, atomic_load(&guest_signal_count[SIGPIPE]));
    guest_close_both(first);
    CHECK_OK(close(second[1]));
    CHECK_OK(close(pair[0]));
}

static void *splice_some(void *argument)
{
    const int *fds = argument;
    CHECK_EQ(4, splice(fds[0], NULL, fds[1], NULL, 100, 0));
    return NULL;
}

/*
 * A splice that waits for a socket holds the destination pipe's lock (splice_file_to_pipe), so
 * nobody may touch that pipe until it has returned.
 */
static void blocks_and_wakes(int type)
{
    int source[2], destination[2], job[2];
    struct guest_thread thread;
    if (type == 0) {
        guest_pipe(source);
    } else {
        guest_pair(type, source);
    }
    guest_pipe(destination);
    job[0] = source[0];
    job[1] = destination[1];
    guest_thread_start(&thread, splice_some, job);
    guest_thread_blocked(&thread);
    CHECK_EQ(4, write(source[1], "woke", 4));
    guest_thread_join(&thread);
    CHECK_EQ(4, read(destination[0], buffer, sizeof buffer));
    CHECK_OK(close(source[1]));
    CHECK_EQ(0, splice(source[0], NULL, destination[1], NULL, 100, 0));
    CHECK_OK(close(source[0]));
    guest_close_both(destination);
}

/* Much unread data, and a writer that is blocked, when the first splice comes. */
static void splice_with_a_blocked_writer(void)
{
    int first[2], second[2];
    static unsigned char big[150000];
    guest_pipe(first);
    guest_pipe(second);
    guest_pattern_fill(big, sizeof big, 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(first[0]));
        CHECK_EQ(sizeof big, write(first[1], big, sizeof big));
        _exit(0);
    }
    CHECK_OK(close(first[1]));
    guest_process_blocked(pid);
    for (size_t have = 0; have < sizeof big;) {
        ssize_t count = CHECK_OK(splice(first[0], NULL, second[1], NULL, 10000, 0));
        CHECK(count > 0);
        CHECK_EQ(count, guest_read_all(second[0], buffer, (size_t)count));
        guest_pattern_check(buffer, (size_t)count, have);
        have += (size_t)count;
    }
    CHECK_EQ(0, splice(first[0], NULL, second[1], NULL, 1, 0));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(first[0]));
    guest_close_both(second);
}

int main(void)
{
    guest_start();
    pipe_to_pipe_and_tee();
    pipe_and_socket();
    files_and_vmsplice();
    errors();
    broken_destination();
    blocks_and_wakes(0);
    blocks_and_wakes(SOCK_STREAM);
    splice_with_a_blocked_writer();
    return guest_end();
}
