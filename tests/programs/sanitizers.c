/*
 * sanitizers.c - programs with one mistake each, or none, which a sanitizer sees through what the
 * emulator serves
 *
 *   sanitizers clean|overflow|leak|undefined|race|exec ARG...
 *
 * clean      threads that are synchronized by pipes and sockets alone
 * overflow   read() behind the end of a block
 * leak       a block is lost
 * undefined  an int overflows
 * race       the same as clean, without waiting
 * exec       runs ARG..., as its last act
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int fds[2];
static int shared;

static void *see(void *unused)
{
    char byte;

    if (read(fds[0], &byte, 1) == 1) {
        printf("%d\n", shared);
    }
    return unused;
}

static void *poll_and_see(void *unused)
{
    struct pollfd wait = { .fd = fds[0], .events = POLLIN };
    char byte;

    if (poll(&wait, 1, -1) == 1 && recv(fds[0], &byte, 1, 0) == 1) {
        printf("%d\n", shared);
    }
    return unused;
}

/* The byte carries what happened before it. */
static void hand_over(void *(*run)(void *), int value)
{
    pthread_t thread;

    pthread_create(&thread, NULL, run, NULL);
    shared = value;
    if (write(fds[1], "x", 1) != 1) {
        abort();
    }
    pthread_join(thread, NULL);
}

static void clean(void)
{
    int status;
    pid_t child;
    FILE *stream = popen("echo from a command", "r");
    char line[32] = "";

    if (!stream || !fgets(line, sizeof line, stream)) {
        abort();
    }
    printf("%s%d\n", line, pclose(stream));
    if (pipe(fds) < 0) {
        abort();
    }
    hand_over(see, 42);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) {
        abort();
    }
    hand_over(see, 43);
    hand_over(poll_and_see, 44);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        _exit(write(fds[0], "y", 1) == 1 ? 7 : 1);
    }
    waitpid(child, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
}

static void overflow(void)
{
    volatile size_t size = 100; /* not to be foreseen by the compiler */
    char *block = malloc(size);
    char large[200];

    memset(large, 'x', sizeof large);
    if (pipe(fds) < 0 || write(fds[1], large, sizeof large) != sizeof large ||
        read(fds[0], block, sizeof large) != sizeof large) {
        abort();
    }
    printf("%c\n", block[99]);
    free(block);
}

static void leak(void)
{
    char *volatile block = malloc(100);

    clean();
    block = NULL; /* cppcheck-suppress memleak */
    (void)block;
}

static void *touch(void *unused)
{
    for (int i = 0; i < 1000; i++) {
        shared++;
    }
    return unused;
}

static void race(void)
{
    pthread_t threads[2];

    clean();
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, touch, NULL);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    volatile int number = INT_MAX;

    if (strcmp(way, "exec") == 0 && argc > 2) {
        printf("exec\n");
        fflush(stdout);
        execvp(argv[2], argv + 2);
        return 127;
    }
    if (strcmp(way, "clean") == 0) {
        clean();
    } else if (strcmp(way, "overflow") == 0) {
        overflow();
    } else if (strcmp(way, "leak") == 0) {
        leak();
    } else if (strcmp(way, "undefined") == 0) {
        clean();
        number = number + argc - 1;
        printf("%d\n", number);
    } else if (strcmp(way, "race") == 0) {
        race();
    } else {
        return 2;
    }
    return 0;
}
