/*
 * exclude_caller.c - who serves what? A program, and a library as test harnesses are (harness.c)
 *
 *   exclude_caller LIBRARY
 *
 * Opens pipes and sockets by itself and through LIBRARY, which it loads, and says for each whether
 * the kernel has the bytes that were written to it, or something else. Then LIBRARY uses
 * descriptors of the program, and the program, a child and a new image those of LIBRARY.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int (*make)(const char *what, int fds[2]);
static int (*use)(int in, int out);
static FILE *(*open_command)(const char *command, const char *mode);

#define MUST(condition)                                    \
    do {                                                   \
        if (!(condition)) {                                \
            printf("line %d: %s\n", __LINE__, #condition); \
            exit(1);                                       \
        }                                                  \
    } while (0)

/* The kernel's own answer, past every wrapper: FIONREAD. */
static int kernel_has(int fd)
{
    int count = 0;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_ioctl), "D"(fd), "S"(FIONREAD), "d"(&count)
                     : "rcx", "r11", "memory");
    return result == 0 ? count : -1;
}

static void tell(const char *whose, const char *what, int in, int out)
{
    MUST(write(out, "x", 1) == 1);
    printf("%s %s: %s\n", whose, what, kernel_has(in) == 1 ? "kernel" : "emulator");
    MUST(use(in, out) < 0); /* there is a byte already: its first look finds it */
    {
        char byte;

        MUST(read(in, &byte, 1) == 1 && byte == 'x');
    }
}

static void harness_channel(const char *what)
{
    int fds[2];

    MUST(make(what, fds) == 0);
    tell("harness", what, fds[0], fds[1]);
    MUST(use(fds[0], fds[1]) == 0);
    close(fds[0]);
    close(fds[1]);
}

static void own_channels(void)
{
    int fds[2];

    MUST(pipe(fds) == 0);
    tell("own", "pipe", fds[0], fds[1]);
    close(fds[0]);
    close(fds[1]);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    tell("own", "pair", fds[0], fds[1]);
    MUST(use(fds[0], fds[1]) == 0);
    close(fds[0]);
    close(fds[1]);
}

static void harness_datagrams(void)
{
    int fds[2];

    if (make("datagrams", fds) < 0) {
        printf("harness datagrams: %s\n", errno == ENOTSUP ? "refused" : strerror(errno));
        return;
    }
    tell("harness", "datagrams", fds[0], fds[1]);
    close(fds[0]);
    close(fds[1]);
}

/* libc opens this pipe, for the harness. */
static void harness_stream(void)
{
    FILE *stream = open_command("echo from a command", "r");
    struct pollfd wait = { .events = POLLIN };
    char line[64];

    MUST(stream);
    wait.fd = fileno(stream);
    MUST(poll(&wait, 1, -1) == 1);
    printf("harness popen: %s\n", kernel_has(wait.fd) > 0 ? "kernel" : "emulator");
    MUST(fgets(line, sizeof line, stream) && strcmp(line, "from a command\n") == 0);
    MUST(pclose(stream) == 0);
}

/* What the harness opened crosses fork and exec, and stays what it is. */
static void across(void)
{
    int fds[2];
    int status;
    pid_t child;
    char text[8];

    MUST(make("pipe", fds) == 0);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        close(fds[1]);
        execl("/bin/sh", "sh", "-c", "echo new; cat /dev/null", (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    MUST(child > 0 && read(fds[0], text, sizeof text) == 4 && memcmp(text, "new\n", 4) == 0);
    MUST(read(fds[0], text, sizeof text) == 0);
    MUST(waitpid(child, &status, 0) == child && status == 0);
    close(fds[0]);
}

int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;

    if (!library) {
        puts(argc == 2 ? dlerror() : "usage: exclude_caller LIBRARY");
        return 2;
    }
    make = (int (*)(const char *, int[2]))dlsym(library, "harness_make");
    use = (int (*)(int, int))dlsym(library, "harness_use");
    open_command = (FILE * (*)(const char *, const char *)) dlsym(library, "harness_popen");
    own_channels();
    harness_channel("pipe");
    harness_channel("pipe2");
    harness_channel("pair");
    harness_channel("syscall");
    harness_datagrams();
    harness_stream();
    across();
    own_channels();
    return 0;
}
