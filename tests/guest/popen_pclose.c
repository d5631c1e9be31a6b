/*
 * Proves: popen and pclose, for reading and for writing, with what the shell inherits: an emulated
 * fd by number, exit codes, large output, end-of-file at pclose; early pclose kills by SIGPIPE.
 *
 * Rows: 2.3 "read, empty, no writers", 2.2 "no reader: EPIPE+SIG"
 */
#include "guest.h"

static void read_from_a_command(void)
{
    char line[64];
    FILE *file = popen("echo one; echo two; exit 3", "r");
    CHECK(file != NULL);
    CHECK_STR("one\n", fgets(line, sizeof line, file));
    CHECK_STR("two\n", fgets(line, sizeof line, file));
    CHECK(fgets(line, sizeof line, file) == NULL);
    CHECK(feof(file));
    int status = pclose(file);
    CHECK(WIFEXITED(status));
    CHECK_EQ(3, WEXITSTATUS(status));
}

static void write_to_a_command(void)
{
    int fds[2];
    char command[64], buffer[64];
    guest_pipe(fds);
    snprintf(command, sizeof command, "tr a-z A-Z >&%d", fds[1]);
    FILE *file = popen(command, "w");
    CHECK(file != NULL);
    CHECK(fprintf(file, "hello %d\n", 42) > 0);
    CHECK_EQ(0, pclose(file)); /* flushes, then the command sees end-of-file */
    CHECK_OK(close(fds[1]));
    CHECK_EQ(9, guest_read_all(fds[0], buffer, sizeof buffer));
    CHECK_MEM("HELLO 42\n", buffer, 9);
    CHECK_OK(close(fds[0]));
}

static void large_output(void)
{
    int count = 0, value = 0;
    FILE *file = popen("seq 1 30000 | sort -n", "re");
    CHECK(file != NULL);
    CHECK_EQ(FD_CLOEXEC, fcntl(fileno(file), F_GETFD));
    while (fscanf(file, "%d", &value) == 1) {
        count++;
        CHECK_EQ(count, value);
    }
    CHECK_EQ(30000, count);
    CHECK_EQ(0, pclose(file));
}

static void two_at_once(void)
{
    char line[64];
    FILE *first = popen("cat; echo end-1", "w");
    CHECK(first != NULL);
    FILE *second = popen("echo second", "r"); /* must not hold first's write end */
    CHECK(second != NULL);
    CHECK_STR("second\n", fgets(line, sizeof line, second));
    CHECK_EQ(0, pclose(first));
    CHECK_EQ(0, pclose(second));
}

/* Popen's child writes for ever; pclose closes the only reader and then waits. */
static void early_pclose(void)
{
    char line[64];
    FILE *file = popen("trap - PIPE; exec yes", "r");
    CHECK(file != NULL);
    CHECK_STR("y\n", fgets(line, sizeof line, file));
    int status = pclose(file);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(SIGPIPE, WTERMSIG(status));
}

int main(void)
{
    guest_start();
    int saved = (int)CHECK_OK(dup(1));
    int null = (int)CHECK_OK(open("/dev/null", O_WRONLY));
    CHECK_OK(dup2(null, 1)); /* two_at_once's cat prints there */
    CHECK_OK(close(null));
    read_from_a_command();
    write_to_a_command();
    large_output();
    two_at_once();
    early_pclose();
    CHECK_OK(dup2(saved, 1));
    CHECK_OK(close(saved));
    return guest_end();
}
