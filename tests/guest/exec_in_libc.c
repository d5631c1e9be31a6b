/*
 * Proves: what libc starts by itself inherits channels, and gives its output back: wordexp's
 * commands, popen in both directions, several at once and closed in another order, system() with
 * redirections, inside a thread, with SIGCHLD blocked and ignored; pclose after the child is gone.
 *
 * Rows: 5.1 "exec", 2.3 "read, empty, no writers"
 */
#include <wordexp.h>

#include "talk.h"

enum { CODE = 9 };

/* The number is written out, since the shell inherits what isn't close-on-exec. */
static void by_wordexp(bool socket)
{
    int fds[2];
    char command[64];
    wordexp_t words;
    if (socket) {
        guest_pair(SOCK_STREAM, fds);
    } else {
        guest_pipe(fds);
    }
    CHECK_EQ(6, write(fds[1], "a b c\n", 6));
    snprintf(command, sizeof command, "$(head -n 1 <&%d) x$(echo d)", fds[0]);
    CHECK_ZERO(wordexp(command, &words, WRDE_SHOWERR));
    CHECK_EQ(4, words.we_wordc);
    CHECK_STR("a", words.we_wordv[0]);
    CHECK_STR("c", words.we_wordv[2]);
    CHECK_STR("xd", words.we_wordv[3]);
    wordfree(&words);
    guest_close_both(fds);
}

static void popen_both_ways(void)
{
    int fds[2];
    char command[64], buffer[64] = "";
    guest_pipe(fds);
    snprintf(command, sizeof command, "cat >&%d", fds[1]);
    FILE *sink = popen(command, "w");
    FILE *source = popen("echo one; echo two; exit 3", "r");
    FILE *exclusive = popen("cat", "we");
    CHECK(sink != NULL && source != NULL && exclusive != NULL);
    CHECK(fputs("through the pipe", sink) >= 0);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, pclose(sink));
    CHECK_EQ(16, guest_read_all(fds[0], buffer, 16)); /* others have its end */
    CHECK_MEM("through the pipe", buffer, 16);
    CHECK(fgets(buffer, sizeof buffer, source) != NULL);
    CHECK_STR("one\n", buffer);
    CHECK_EQ(0, pclose(exclusive));
    CHECK_EQ(3 << 8, pclose(source));
    CHECK_OK(close(fds[0]));
}

static void popen_of_the_dead(void)
{
    FILE *sink = popen("exit 0", "w");
    CHECK(sink != NULL);
    CHECK_OK(setvbuf(sink, NULL, _IONBF, 0));
    while (fputc('x', sink) != EOF) { /* until the reader is gone */
    }
    CHECK_EQ(EPIPE, errno);
    CHECK_EQ(0, pclose(sink));
    CHECK(popen("cat", "x") == NULL);
    CHECK_EQ(EINVAL, errno);
}

static void by_system(int kind)
{
    struct talk talk;
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(talk_take(&talk));
        talk_close(&talk);
        CHECK(system(NULL) != 0);
        CHECK_EQ(127 << 8, system("/nonexistent/command 2>/dev/null"));
        _exit(system("cat; exit 9") >> 8);
    }
    talk_end(&talk, pid, CODE);
}

static void *system_in_thread(void *argument)
{
    char command[64];
    snprintf(command, sizeof command, "echo from a thread >&%d", *(int *)argument);
    CHECK_EQ(0, system(command));
    return NULL;
}

static void by_threads(void)
{
    enum { THREADS = 4 };
    struct guest_thread threads[THREADS];
    int fds[2];
    char buffer[THREADS * 16];
    guest_pipe(fds);
    for (int i = 0; i < THREADS; i++) {
        guest_thread_start(&threads[i], system_in_thread, &fds[1]);
    }
    for (int i = 0; i < THREADS; i++) {
        guest_thread_join(&threads[i]);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(THREADS * 14, guest_read_all(fds[0], buffer, sizeof buffer));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    by_wordexp(false);
    by_wordexp(true);
    popen_both_ways();
    popen_of_the_dead();
    for (int kind = 0; kind < TALK_KINDS; kind++) {
        by_system(kind);
    }
    by_threads();
    guest_count_signal(SIGCHLD, SA_RESTART);
    popen_both_ways();
    by_system(0);
    return guest_end();
}
