/*
 * Proves (in the emulator only): splice and sendfile with AF_VSOCK: ENOTCONN before there is a
 * connection; data from a pipe arrives, and what arrived goes into a pipe, in order and as far as
 * the pipe has slots of a page; records stay records, also those that wait for credit.
 *
 * Rows: 2.7 "unconnected vsock either way"
 */
#include <linux/vm_sockets.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "guest.h"

static char buffer[300000];

static void connect_pair(int type, int ret_fds[2])
{
    struct sockaddr_vm name = { .svm_family = AF_VSOCK,
                                .svm_cid = VMADDR_CID_ANY,
                                .svm_port = VMADDR_PORT_ANY };
    socklen_t size = sizeof name;
    int listener = (int)CHECK_OK(socket(AF_VSOCK, type, 0));
    CHECK_OK(bind(listener, (struct sockaddr *)&name, sizeof name));
    CHECK_OK(listen(listener, 1));
    CHECK_OK(getsockname(listener, (struct sockaddr *)&name, &size));
    name.svm_cid = VMADDR_CID_LOCAL;
    ret_fds[0] = (int)CHECK_OK(socket(AF_VSOCK, type, 0));
    CHECK_OK(connect(ret_fds[0], (struct sockaddr *)&name, sizeof name));
    ret_fds[1] = (int)CHECK_OK(accept(listener, NULL, NULL));
    CHECK_OK(close(listener));
}

static void unconnected(void)
{
    int fds[2], file = (int)CHECK_OK(memfd_create("file", MFD_CLOEXEC));
    int fd = (int)CHECK_OK(socket(AF_VSOCK, SOCK_STREAM, 0));
    guest_pipe(fds);
    CHECK_OK(ftruncate(file, 10));
    CHECK_EQ(4, write(fds[1], "stay", 4));
    CHECK_ERR(ENOTCONN, splice(fds[0], NULL, fd, NULL, 4, 0));
    CHECK_ERR(ENOTCONN, splice(fd, NULL, fds[1], NULL, 4, 0));
    CHECK_ERR(ENOTCONN, sendfile(fd, file, NULL, 4));
    CHECK_EQ(0, lseek(file, 0, SEEK_CUR));
    CHECK_EQ(4, read(fds[0], buffer, 10));
    CHECK_OK(close(fd));
    CHECK_OK(close(file));
    guest_close_both(fds);
}

static void stream(void)
{
    int fds[2], ends[2];
    guest_pipe(fds);
    connect_pair(SOCK_STREAM, ends);
    guest_pattern_fill(buffer, 200000, 0);
    CHECK_EQ(5000, write(fds[1], buffer, 5000));
    CHECK_EQ(5000, splice(fds[0], NULL, ends[0], NULL, 100000, 0));
    CHECK_EQ(195000, write(ends[0], buffer + 5000, 195000));
    CHECK_EQ(65536, splice(ends[1], NULL, fds[1], NULL, 200000, 0));
    CHECK_ERR(EAGAIN, splice(ends[1], NULL, fds[1], NULL, 1, SPLICE_F_NONBLOCK));
    CHECK_EQ(65536, guest_read_all(fds[0], buffer, 65536));
    CHECK_EQ(134464, guest_read_all(ends[1], buffer + 65536, 134464));
    guest_pattern_check(buffer, 200000, 0);
    CHECK_OK(close(ends[0]));
    CHECK_EQ(0, splice(ends[1], NULL, fds[1], NULL, 10, 0));
    CHECK_OK(close(ends[1]));
    guest_close_both(fds);
}

static void *splice_all(void *argument)
{
    const int *fds = argument;
    CHECK_EQ(60000, splice(fds[0], NULL, fds[1], NULL, 60000, 0));
    return NULL;
}

static void records(void)
{
    int fds[2], ends[2], job[2];
    struct guest_thread thread;
    unsigned long long size = 65536;
    guest_pipe(fds);
    connect_pair(SOCK_SEQPACKET, ends);
    CHECK_EQ(30, write(fds[1], "0123456789abcdefghijklmnopqrst", 30));
    CHECK_EQ(10, splice(fds[0], NULL, ends[0], NULL, 10, 0));
    CHECK_EQ(20, splice(fds[0], NULL, ends[0], NULL, 100, 0));
    CHECK_EQ(10, splice(ends[1], NULL, fds[1], NULL, 100, 0));
    CHECK_EQ(5, splice(ends[1], NULL, fds[1], NULL, 5, 0)); /* the rest is thrown away */
    CHECK_EQ(15, read(fds[0], buffer, 100));
    CHECK_MEM("0123456789abcde", buffer, 15);
    CHECK_OK(setsockopt(ends[1], AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof size));
    guest_pattern_fill(buffer, 60000, 0);
    CHECK_EQ(20000, write(ends[0], buffer, 20000));
    CHECK_EQ(60000, write(fds[1], buffer, 60000));
    job[0] = fds[0];
    job[1] = ends[0];
    guest_thread_start(&thread, splice_all, job);
    guest_thread_blocked(&thread);
    CHECK_EQ(20000, read(ends[1], buffer, sizeof buffer));
    guest_thread_join(&thread);
    CHECK_EQ(60000, read(ends[1], buffer, sizeof buffer));
    guest_pattern_check(buffer, 60000, 0);
    guest_close_both(ends);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    unconnected();
    stream();
    records();
    return guest_end();
}
