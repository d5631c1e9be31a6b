/*
 * plain.c - a small program for the ends of pipes, linked statically by plain_children.sh: `plain`
 *
 *   produce COUNT SEED   COUNT bytes, as SEED makes them, in writes of many sizes
 *   upper                standard input as capital letters
 *   sum                  how many bytes come in, and a checksum of them
 *   line                 reads one line byte by byte, prints it, leaves the rest
 *   run PROGRAM [ARG...] is its parent: its own input goes in, what comes out goes out, in capitals
 *   hold                 writes a line and waits for a signal
 *   leave CODE           reads one byte, then ends
 *
 * What it calls is the kernel: no library is preloaded to a static program. plain.go does the same.
 * Exit: 0, CODE, or 1 when a call failed.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char bytes[65536];

static void check(int good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static void write_all(int fd, const char *from, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, from, size);

        check(done > 0, "write");
        from += done;
        size -= (size_t)done;
    }
}

static void produce(long count, uint32_t state)
{
    for (size_t size = 1; count > 0; size = size * 5 % 65521) {
        if ((long)size > count)
            size = (size_t)count;
        for (size_t i = 0; i < size; i++) {
            state = state * 1103515245 + 12345;
            bytes[i] = (char)('a' + (state >> 16) % 26);
        }
        write_all(STDOUT_FILENO, bytes, size);
        count -= (long)size;
    }
}

static void upper(int from, int to)
{
    ssize_t size;

    while ((size = read(from, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < size; i++)
            bytes[i] = (char)toupper((unsigned char)bytes[i]);
        write_all(to, bytes, (size_t)size);
    }
    check(size == 0, "read");
}

static void sum(void)
{
    uint32_t hash = 2166136261; /* FNV-1a */
    long count = 0;
    ssize_t size;

    while ((size = read(STDIN_FILENO, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < size; i++)
            hash = (hash ^ (unsigned char)bytes[i]) * 16777619;
        count += size;
    }
    check(size == 0, "read");
    printf("%ld bytes, %08x\n", count, hash);
}

static void line(void)
{
    size_t size = 0;

    while (size < sizeof bytes && read(STDIN_FILENO, bytes + size, 1) == 1)
        if (bytes[size++] == '\n')
            break;
    write_all(STDOUT_FILENO, bytes, size);
}

/* Between two pipes of its own, with a writer beside it. */
static int run(char **argv)
{
    int in[2], out[2], status;

    check(pipe(in) == 0 && pipe(out) == 0, "pipe");
    if (fork() == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        for (int i = 0; i < 2; i++) {
            close(in[i]);
            close(out[i]);
        }
        execvp(argv[0], argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    if (fork() == 0) {
        close(out[0]);
        upper(STDIN_FILENO, in[1]);
        _exit(0);
    }
    close(in[1]);
    upper(out[0], STDOUT_FILENO);
    for (int i = 0; i < 2; i++)
        check(wait(&status) > 0 && status == 0, "child");
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    if (strcmp(mode, "produce") == 0 && argc == 4)
        produce(atol(argv[2]), (uint32_t)atol(argv[3]));
    else if (strcmp(mode, "upper") == 0)
        upper(STDIN_FILENO, STDOUT_FILENO);
    else if (strcmp(mode, "sum") == 0)
        sum();
    else if (strcmp(mode, "line") == 0)
        line();
    else if (strcmp(mode, "run") == 0 && argc > 2)
        return run(argv + 2);
    else if (strcmp(mode, "hold") == 0) {
        write_all(STDOUT_FILENO, "here\n", 5);
        pause();
    } else if (strcmp(mode, "leave") == 0 && argc == 3) {
        check(read(STDIN_FILENO, bytes, 1) >= 0, "read");
        return atoi(argv[2]);
    } else
        return 1;
    return 0;
}
