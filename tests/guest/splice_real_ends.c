/*
 * Proves: splice, tee and sendfile between a pipe or socket pair and what isn't one of this
 * program's pipes: files with and without an offset, /dev/null, a named FIFO, a TCP connection, a
 * character device; results, offsets, errors in order, waiting and being woken.
 *
 * Rows: 2.7 (all but the vsock row)
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "guest.h"

static char buffer[200000];

static int make_file(size_t size)
{
    int fd = (int)CHECK_OK(memfd_create("file", MFD_CLOEXEC));
    guest_pattern_fill(buffer, size, 0);
    guest_write_all(fd, buffer, size);
    CHECK_EQ(0, lseek(fd, 0, SEEK_SET));
    return fd;
}

static void files_into_pipes(void)
{
    int fds[2], file = make_file(100000);
    loff_t offset = 5000;
    guest_pipe(fds);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    CHECK_EQ(10000, splice(file, &offset, fds[1], NULL, 10000, 0));
    CHECK_EQ(15000, offset);
    CHECK_EQ(0, lseek(file, 0, SEEK_CUR));
    CHECK_EQ(2, write(fds[1], "de", 2)); /* isn't merged: a slot of its own */
    CHECK_EQ(10005, read(fds[0], buffer, sizeof buffer));
    CHECK_MEM("abc", buffer, 3);
    guest_pattern_check(buffer + 3, 10000, 5000);
    CHECK_MEM("de", buffer + 10003, 2);
    CHECK_EQ(65536, sendfile(fds[1], file, NULL, sizeof buffer)); /* what there is room for */
    CHECK_EQ(65536, lseek(file, 0, SEEK_CUR));
    CHECK_ERR(EAGAIN, splice(file, NULL, fds[1], NULL, 1, SPLICE_F_NONBLOCK));
    CHECK_EQ(65536, lseek(file, 0, SEEK_CUR));
    CHECK_EQ(65536, guest_read_all(fds[0], buffer, 65536));
    guest_pattern_check(buffer, 65536, 0);
    CHECK_EQ(34464, splice(file, NULL, fds[1], NULL, sizeof buffer, 0));
    CHECK_EQ(0, splice(file, NULL, fds[1], NULL, sizeof buffer, 0));
    CHECK_EQ(34464, guest_read_all(fds[0], buffer, 34464));
    guest_pattern_check(buffer, 34464, 65536);
    CHECK_OK(close(file));
    guest_close_both(fds);
}

static void pipes_into_files(void)
{
    int fds[2], file = make_file(1000);
    loff_t offset = 100;
    guest_pipe(fds);
    guest_pattern_fill(buffer, 60000, 7);
    CHECK_EQ(60000, write(fds[1], buffer, 60000));
    CHECK_EQ(10, splice(fds[0], NULL, file, &offset, 10, 0));
    CHECK_EQ(110, offset);
    CHECK_EQ(20, splice(fds[0], NULL, file, NULL, 20, 0));
    CHECK_EQ(20, lseek(file, 0, SEEK_CUR));
    CHECK_EQ(59970, splice(fds[0], NULL, file, NULL, sizeof buffer, 0));
    CHECK_ERR(EAGAIN, splice(fds[0], NULL, file, NULL, 1, SPLICE_F_NONBLOCK));
    CHECK_EQ(59990, pread(file, buffer, sizeof buffer, 0));
    guest_pattern_check(buffer, 20, 17);
    guest_pattern_check(buffer + 20, 59970, 37);
    CHECK_OK(fcntl(file, F_SETFL, O_APPEND));
    CHECK_EQ(4, write(fds[1], "more", 4));
    CHECK_ERR(EINVAL, splice(fds[0], NULL, file, NULL, 4, 0));
    offset = -5;
    CHECK_ERR(EINVAL, splice(fds[0], NULL, file, &offset, 4, 0));
    CHECK_ERR(EFAULT, splice(fds[0], NULL, file, guest_bad_pointer(), 4, 0));
    CHECK_EQ(4, read(fds[0], buffer, 100));
    CHECK_OK(close(fds[1]));
    CHECK_OK(fcntl(file, F_SETFL, 0));
    CHECK_EQ(0, splice(fds[0], NULL, file, NULL, 4, 0));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(file));
}

static void wrong_ones(void)
{
    int fds[2], pair[2], file = make_file(100), only_read, only_write, null;
    loff_t offset = 0;
    only_read = (int)CHECK_OK(open("/proc/self/exe", O_RDONLY));
    only_write = (int)CHECK_OK(open("/dev/null", O_WRONLY));
    null = (int)CHECK_OK(open("/dev/null", O_RDWR));
    guest_pipe(fds);
    guest_pair(SOCK_STREAM, pair);
    CHECK_EQ(4, write(fds[1], "four", 4));
    CHECK_EQ(4, write(pair[0], "pair", 4));
    CHECK_ERR(EBADF, splice(fds[0], NULL, only_read, NULL, 4, 0));
    CHECK_ERR(EBADF, splice(only_write, NULL, fds[1], NULL, 4, 0));
    CHECK_ERR(EBADF, splice(fds[0], NULL, 999, NULL, 4, 0));
    CHECK_ERR(ESPIPE, splice(fds[0], &offset, file, NULL, 4, 0));
    CHECK_ERR(EINVAL, splice(pair[1], NULL, file, NULL, 4, 0));
    CHECK_ERR(EINVAL, splice(pair[1], &offset, fds[1], NULL, 4, 0));
    CHECK_ERR(EINVAL, splice(file, NULL, pair[0], NULL, 4, 0));
    CHECK_ERR(EINVAL, sendfile(file, pair[1], NULL, 4));
    CHECK_ERR(EINVAL, sendfile(file, fds[0], NULL, 4));
    CHECK_ERR(EINVAL, tee(fds[0], file, 4, 0));
    CHECK_ERR(EBADF, vmsplice(pair[0], &(struct iovec){ buffer, 1 }, 1, 0));
    CHECK_ERR(EBADF, sendfile(pair[0], only_write, NULL, 4));
    offset = -1;
    CHECK_ERR(EINVAL, sendfile(pair[0], file, &offset, 4));
    CHECK_ERR(EFAULT, sendfile(pair[0], file, guest_bad_pointer(), 4));
    CHECK_ERR(EINVAL, splice(null, NULL, fds[1], NULL, 4, 0)); /* has no splice_read */
    CHECK_EQ(3, splice(fds[0], NULL, null, NULL, 3, 0));
    CHECK_EQ(1, read(fds[0], buffer, 10));
    CHECK_EQ(4, read(pair[1], buffer, 10));
    guest_close_both(fds);
    guest_close_both(pair);
    CHECK_OK(close(file));
    CHECK_OK(close(only_read));
    CHECK_OK(close(only_write));
    CHECK_OK(close(null));
}

static int from, to;

static void *move_ten(void *unused)
{
    (void)unused;
    CHECK_EQ(10, splice(from, NULL, to, NULL, 100, 0));
    return NULL;
}

/* `source` and `target` have a writing and a reading end beside. */
static void wakes(int source, int writer, int target, int reader)
{
    struct guest_thread thread;
    from = source;
    to = target;
    guest_thread_start(&thread, move_ten, NULL);
    guest_thread_blocked(&thread);
    CHECK_EQ(10, write(writer, "0123456789", 10));
    guest_thread_join(&thread);
    CHECK_EQ(10, read(reader, buffer, 100));
    CHECK_MEM("0123456789", buffer, 10);
    CHECK_ERR(EAGAIN, splice(source, NULL, target, NULL, 10, SPLICE_F_NONBLOCK));
}

/* Much through `source`, some of it at a time. */
static void carries(int source, int writer, int target, int reader)
{
    size_t have = 0;
    for (size_t sent = 0; sent < 150000; sent += 15000) {
        guest_pattern_fill(buffer, 15000, sent);
        CHECK_EQ(15000, write(writer, buffer, 15000));
        for (size_t moved = 0; moved < 15000;) {
            ssize_t got = CHECK_OK(splice(source, NULL, target, NULL, 7001, 0));
            CHECK(got > 0);
            CHECK_EQ(got, guest_read_all(reader, buffer, (size_t)got));
            guest_pattern_check(buffer, (size_t)got, have);
            have += (size_t)got;
            moved += (size_t)got;
        }
    }
}

static void fifos(void)
{
    int fds[2], pair[2];
    char path[] = "/tmp/splice-fifo-XXXXXX";
    CHECK_OK(mkdtemp(path) ? 0 : -1);
    char name[64];
    snprintf(name, sizeof name, "%s/fifo", path);
    CHECK_OK(mkfifo(name, 0600));
    int fifo = (int)CHECK_OK(open(name, O_RDWR));
    guest_pipe(fds);
    guest_pair(SOCK_STREAM, pair);
    carries(fifo, fifo, fds[1], fds[0]);
    carries(fds[0], fds[1], fifo, fifo);
    carries(fifo, fifo, pair[0], pair[1]);
    carries(pair[1], pair[0], fifo, fifo);
    wakes(fifo, fifo, fds[1], fds[0]);
    wakes(fds[0], fds[1], fifo, fifo);
    CHECK_EQ(3, write(fifo, "tee", 3));
    CHECK_EQ(3, tee(fifo, fds[1], 10, 0));
    CHECK_EQ(3, read(fifo, buffer, 10));
    CHECK_EQ(3, tee(fds[0], fifo, 10, 0));
    CHECK_EQ(3, read(fifo, buffer, 10));
    CHECK_EQ(3, read(fds[0], buffer, 10));
    CHECK_MEM("tee", buffer, 3);
    guest_close_both(fds);
    guest_close_both(pair);
    CHECK_OK(close(fifo));
    CHECK_OK(unlink(name));
    CHECK_OK(rmdir(path));
}

static void connections(void)
{
    int fds[2];
    struct sockaddr_in name = { .sin_family = AF_INET };
    socklen_t size = sizeof name;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    int client = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_OK(bind(listener, (struct sockaddr *)&name, sizeof name));
    CHECK_OK(listen(listener, 1));
    CHECK_OK(getsockname(listener, (struct sockaddr *)&name, &size));
    CHECK_OK(connect(client, (struct sockaddr *)&name, sizeof name));
    int server = (int)CHECK_OK(accept(listener, NULL, NULL));
    guest_pipe(fds);
    carries(fds[0], fds[1], client, server);
    carries(server, client, fds[1], fds[0]);
    CHECK_OK(close(client));
    CHECK_EQ(0, splice(server, NULL, fds[1], NULL, 10, 0));
    CHECK_OK(close(server));
    CHECK_OK(close(listener));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    files_into_pipes();
    pipes_into_files();
    wrong_ones();
    fifos();
    connections();
    return guest_end();
}
