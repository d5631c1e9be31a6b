/*
 * Proves: opening /dev/stdin, /dev/stdout, /dev/fd/N and /proc/self/fd/N of a pipe with unread
 * bytes loses none of them and keeps their order, by open, fopen, freopen, in a thread beside a
 * blocked writer, and in programs that this one starts; a socket can't be opened so (ENXIO).
 *
 * Rows: 2.1 "Re-opening /proc/self/fd/N of a pipe works", 1.3 "open() of that link: ENXIO"
 */
#include "guest.h"

enum { MUCH = 200000 };

static unsigned char buffer[MUCH];

static void path_of(char *path, const char *folder, int fd)
{
    snprintf(path, 64, "%s/%d", folder, fd);
}

static void opened(const char *folder)
{
    int fds[2];
    char path[64], text[32];
    guest_pipe(fds);
    path_of(path, folder, fds[0]);
    CHECK_EQ(6, write(fds[1], "unread", 6));
    int reader = (int)CHECK_OK(open(path, O_RDONLY));
    CHECK_EQ(2, read(fds[0], text, 2));
    CHECK_EQ(4, write(fds[1], "more", 4));
    CHECK_EQ(8, read(reader, text + 2, 20));
    CHECK_MEM("unreadmore", text, 10);
    path_of(path, folder, fds[1]);
    FILE *out = fopen(path, "w");
    CHECK(out != NULL);
    CHECK_OK(close(fds[1]));
    CHECK(fputs("by stdio", out) >= 0);
    CHECK_EQ(0, fclose(out));
    CHECK_EQ(8, guest_read_all(fds[0], text, 20));
    CHECK_MEM("by stdio", text, 8);
    CHECK_OK(close(reader));
    CHECK_OK(close(fds[0]));
}

static void *write_much(void *argument)
{
    const int *fd = argument;
    guest_write_all(*fd, buffer, MUCH);
    CHECK_OK(close(*fd));
    return NULL;
}

static void beside_a_writer(void)
{
    static unsigned char got[MUCH];
    int fds[2];
    char path[64];
    struct guest_thread thread;
    guest_pipe(fds);
    guest_pattern_fill(buffer, MUCH, 0);
    guest_thread_start(&thread, write_much, &fds[1]);
    guest_thread_blocked(&thread);
    CHECK_EQ(1000, read(fds[0], got, 1000));
    path_of(path, "/proc/self/fd", fds[0]);
    int reader = (int)CHECK_OK(open(path, O_RDONLY));
    CHECK_EQ(50000, guest_read_all(reader, got + 1000, 50000));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(MUCH - 51000, guest_read_all(reader, got + 51000, MUCH));
    guest_pattern_check(got, MUCH, 0);
    guest_thread_join(&thread);
    CHECK_OK(close(reader));
}

static void standard_ones(void)
{
    int fds[2], saved_in = (int)CHECK_OK(dup(0)), saved_out = (int)CHECK_OK(dup(1));
    char line[64];
    guest_pipe(fds);
    CHECK_EQ(0, dup2(fds[0], 0));
    CHECK_EQ(1, dup2(fds[1], 1));
    guest_close_both(fds);
    CHECK_EQ(10, write(1, "one\ntwo\n3\n", 10));
    int in = (int)CHECK_OK(open("/dev/stdin", O_RDONLY));
    CHECK_EQ(4, read(in, line, 4));
    CHECK_MEM("one\n", line, 4);
    FILE *file = fopen("/dev/fd/0", "r");
    CHECK(file && fgets(line, sizeof line, file));
    CHECK_STR("two\n", line);
    CHECK(fgets(line, sizeof line, file));
    CHECK_STR("3\n", line);
    FILE *out = fopen("/dev/stdout", "w");
    CHECK(out && fputs("out\n", out) >= 0 && fclose(out) == 0);
    CHECK_EQ(4, read(0, line, sizeof line));
    CHECK_EQ(6, write(1, "again\n", 6));
    FILE *same = freopen("/dev/stdin", "r", file);
    CHECK(same == file);
    CHECK(fgets(line, sizeof line, file));
    CHECK_STR("again\n", line);
    CHECK_EQ(0, fclose(file));
    CHECK_OK(close(in));
    CHECK_EQ(0, dup2(saved_in, 0));
    CHECK_EQ(1, dup2(saved_out, 1));
    CHECK_OK(close(saved_in));
    CHECK_OK(close(saved_out));
}

static void in_programs(void)
{
    int in[2], out[2];
    char command[128], text[64];
    guest_pipe(in);
    guest_pipe(out);
    CHECK_EQ(6, write(in[1], "first ", 6));
    snprintf(command, sizeof command, "cat /dev/fd/%d /dev/stdin </proc/self/fd/%d >/dev/fd/%d",
             in[0], in[0], out[1]);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(in[1]));
        _exit(system(command) == 0 ? 0 : 1);
    }
    CHECK_EQ(6, write(in[1], "second", 6));
    guest_close_both(in);
    CHECK_OK(close(out[1]));
    CHECK_EQ(12, guest_read_all(out[0], text, sizeof text));
    CHECK_MEM("first second", text, 12);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(out[0]));
}

static void sockets_cannot(void)
{
    int fds[2];
    char path[64], byte;
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(1, write(fds[0], "x", 1));
    path_of(path, "/dev/fd", fds[1]);
    CHECK_ERR(ENXIO, open(path, O_RDWR));
    FILE *file = fopen(path, "r");
    CHECK(file == NULL && errno == ENXIO);
    CHECK_EQ(1, read(fds[1], &byte, 1));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    opened("/proc/self/fd");
    opened("/dev/fd");
    beside_a_writer();
    standard_ones();
    in_programs();
    sockets_cannot();
    return guest_end();
}
