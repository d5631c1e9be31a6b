/*
 * Proves: stdio on pipes and socketpairs: fdopen with fprintf, fgets, fread, setvbuf, ungetc, and
 * the standard streams after dup2 of an emulated fd over 0 and 1 (printf, puts, putchar, getchar).
 *
 * Rows: 2.3 "read, empty, no writers", 2.3 "lseek", 5.2 "dup2"
 */
#include "guest.h"

static void fdopen_pair(const int fds[2])
{
    char line[64];
    FILE *in = fdopen(fds[0], "r"), *out = fdopen(fds[1], "w");
    CHECK(in != NULL && out != NULL);
    CHECK_EQ(9, fprintf(out, "%s %d\n", "line", 100));
    int available = -1;
    CHECK_OK(ioctl(fds[0], FIONREAD, &available));
    CHECK_EQ(0, available); /* fully buffered: it isn't a terminal */
    CHECK_EQ(0, fflush(out));
    CHECK_STR("line 100\n", fgets(line, sizeof line, in));
    CHECK_EQ(0, setvbuf(out, NULL, _IONBF, 0));
    CHECK_EQ('c', fputc('c', out));
    CHECK_OK(ioctl(fds[0], FIONREAD, &available));
    CHECK_EQ(1, available);
    CHECK_EQ('c', fgetc(in));
    CHECK_EQ('d', ungetc('d', in));
    CHECK_EQ('d', fgetc(in));
    CHECK_ERR(ESPIPE, fseek(out, 0, SEEK_SET));
    CHECK_ERR(ESPIPE, ftell(in));
    CHECK_EQ(0, fclose(out));
    CHECK_EQ(EOF, fgetc(in));
    CHECK(feof(in));
    CHECK_EQ(0, fclose(in));
    CHECK_ERR(EBADF, fcntl(fds[0], F_GETFD));
    CHECK_ERR(EBADF, fcntl(fds[1], F_GETFD));
}

static void pipe_and_socketpair(void)
{
    int fds[2];
    guest_pipe(fds);
    fdopen_pair(fds);
    guest_pair(SOCK_STREAM, fds);
    fdopen_pair(fds);
}

static void *write_much(void *argument)
{
    FILE *out = argument;
    for (int i = 0; i < 40000; i++) {
        CHECK(fprintf(out, "%d\n", i) > 0);
    }
    CHECK_EQ(0, fclose(out));
    return NULL;
}

static void much_data_through_stdio(int type)
{
    int fds[2], value = -1, count = 0;
    struct guest_thread writer;
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    FILE *in = fdopen(fds[0], "r"), *out = fdopen(fds[1], "w");
    CHECK(in != NULL && out != NULL);
    guest_thread_start(&writer, write_much, out);
    while (fscanf(in, "%d", &value) == 1) {
        CHECK_EQ(count, value);
        count++;
    }
    CHECK_EQ(40000, count);
    guest_thread_join(&writer);
    CHECK_EQ(0, fclose(in));
}

static void standard_streams(void)
{
    int fds[2];
    char buffer[64];
    int saved_0 = (int)CHECK_OK(dup(0)), saved_1 = (int)CHECK_OK(dup(1));
    guest_pipe(fds);
    CHECK_OK(dup2(fds[0], 0));
    CHECK_OK(dup2(fds[1], 1));
    guest_close_both(fds);
    CHECK(puts("first") >= 0);
    CHECK_EQ(6, printf("se%dond", 2));
    CHECK_EQ('\n', putchar('\n'));
    CHECK(fputs("third\n", stdout) >= 0);
    CHECK_EQ(0, fflush(stdout));
    CHECK_EQ('f', getchar());
    CHECK_STR("irst\n", fgets(buffer, sizeof buffer, stdin));
    CHECK_EQ(1, scanf("%63s", buffer));
    CHECK_STR("se2ond", buffer);
    CHECK_EQ('\n', getchar());
    CHECK_OK(dup2(saved_1, 1)); /* the last write end goes */
    CHECK_EQ(6, fread(buffer, 1, sizeof buffer, stdin));
    CHECK_MEM("third\n", buffer, 6);
    CHECK_EQ(EOF, getchar());
    CHECK_OK(dup2(saved_0, 0));
    CHECK_OK(close(saved_0));
    CHECK_OK(close(saved_1));
}

static void read_update_socket_stream(void)
{
    int fds[2];
    char line[16];
    guest_pair(SOCK_STREAM, fds);
    FILE *file = fdopen(fds[0], "r+");
    CHECK(file != NULL);
    CHECK_EQ(5, write(fds[1], "ping\n", 5));
    CHECK_STR("ping\n", fgets(line, sizeof line, file));
    CHECK(fputs("pong\n", file) >= 0);
    CHECK_EQ(0, fflush(file));
    CHECK_EQ(5, read(fds[1], line, sizeof line));
    CHECK_MEM("pong\n", line, 5);
    CHECK_EQ(0, fclose(file));
    CHECK_EQ(0, read(fds[1], line, 1));
    CHECK_OK(close(fds[1]));
}

int main(void)
{
    guest_start();
    pipe_and_socketpair();
    much_data_through_stdio(0);
    much_data_through_stdio(SOCK_STREAM);
    standard_streams();
    read_update_socket_stream();
    return guest_end();
}
