/*
 * debugged.c - a program for gdb.sh and valgrind.sh: threads, children, a handler, stdio, and a way
 * to end
 *
 *   debugged works|wrong|leaks|crashes|waits FILE
 *
 * works   ends with 5
 * wrong   writes one byte behind a block of 10, after all that
 * leaks   loses a block of 10
 * crashes stores at address 8
 * waits   writes its pid into FILE, reads from a pipe until a SIGUSR1 comes, and ends with 6
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int fds[2];
static volatile sig_atomic_t handled;

__attribute__((noinline)) void reached(int value);
void reached(int value)
{
    __asm__ volatile("" ::"r"(value));
}

__attribute__((noinline)) void crash(volatile int *at);
void crash(volatile int *at)
{
    *at = 1;
}

static void on_signal(int number)
{
    (void)number;
    handled++;
}

static void *echo(void *unused)
{
    char text[64];

    for (ssize_t size; (size = read(fds[1], text, sizeof text)) > 0;) {
        if (write(fds[1], text, (size_t)size) != size) {
            abort();
        }
    }
    return unused;
}

static void talk(void)
{
    char text[4];

    for (int i = 0; i < 3; i++) {
        if (write(fds[0], "text", 4) != 4 || recv(fds[0], text, 4, MSG_WAITALL) != 4) {
            abort();
        }
        reached(i);
    }
}

static int works(void)
{
    pthread_t thread;
    char line[64] = "";
    FILE *stream;
    int status;
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) {
        return 1;
    }
    pthread_create(&thread, NULL, echo, NULL);
    talk();
    raise(SIGUSR1);
    stream = popen("echo from a child", "r");
    if (!stream || !fgets(line, sizeof line, stream) || pclose(stream) != 0) {
        return 1;
    }
    fputs(line, stdout);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        _exit(3);
    }
    waitpid(child, &status, 0);
    shutdown(fds[0], SHUT_WR);
    pthread_join(thread, NULL);
    printf("done %d %d\n", WEXITSTATUS(status), (int)handled);
    return 5;
}

/* Without SA_RESTART: the handler ends the read. */
static int waits(const char *path)
{
    struct sigaction action;
    FILE *file = fopen(path, "w");
    char byte;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, NULL);
    if (!file || pipe(fds) < 0) {
        return 1;
    }
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
    while (handled == 0) {
        if (read(fds[0], &byte, 1) >= 0) {
            return 1;
        }
    }
    return 6;
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    char *volatile block = malloc(10);
    int result;

    if (strcmp(way, "waits") == 0) {
        free(block);
        return argc > 2 ? waits(argv[2]) : 1;
    }
    signal(SIGUSR1, on_signal);
    result = works();
    if (strcmp(way, "wrong") == 0) {
        ((volatile char *)block)[10] = 1;
    } else if (strcmp(way, "crashes") == 0) {
        crash((volatile int *)8);
    } else if (strcmp(way, "leaks") == 0) {
        block = NULL; /* cppcheck-suppress memleak */
    }
    free(block);
    return result;
}
