/*
 * interpret.c - the command `sockrig interpret`
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpret/compare.h"
#include "interpret/log_main.h"
#include "interpret_main.h"

static const char help[] =
    "usage: sockrig interpret FILE... [--on emu|kernel|both] [-k] [-v]\n"
    "\n"
    "Runs scripts and logs in strace's syntax and compares each call with what they say.\n"
    "\n"
    "  --on emu|kernel|both  where; with both, the two must agree [emu]\n"
    "  -k, --keep-going      print every difference, not only a script's first\n"
    "  -v, --verbose         print every call and its result; of a log, how often it was run\n"
    "\n"
    "A script's lines:\n"
    "  pipe2([r, w], O_NONBLOCK) = 0              names in out positions are bound\n"
    "  write(w, \"ab\"*4, 8) = 8                    C escapes, *COUNT, +; pattern(seed, n)\n"
    "  read(r, \"abab\", 4) = 4                     a buffer: what comes, or a name, or _\n"
    "  read(r, _, 9) = -1 EAGAIN                  also with strace's (explanation) behind it\n"
    "  read(r, _, 9) = ?                          blocks; interrupted it gives EINTR\n"
    "  write(w, _, 99999) = ? 65536               ... or 65536\n"
    "  poll([{fd=w, events=POLLOUT}], 1, 0) = 1 ([{fd=w, revents=POLLOUT}])\n"
    "  getsockname(a, {sa_family=AF_UNIX}, [110 => 2]) = 0     in => out, also of failed calls\n"
    "  write(w, fault(\"abc\"), 4) = -1 EFAULT      3 bytes, then a page that isn't there; BADPTR\n"
    "  --- SIGPIPE ---                            the call above raised it; all others raise none\n"
    "  repeat 15: write(w, \"x\"*4096, 4096) = 4096\n"
    "  repeat until -1 EAGAIN: write(w, \"x\", 1)   then `count` and `total` are set\n"
    "  check total == 4096                        n = 4 sets a variable; (n) never binds it\n"
    "  fork() = b                                 a process, thread() = b a thread; [b] acts\n"
    "  [b] read(r, <unfinished ...>               it must block here; others go on\n"
    "  [b] <... read resumed>\"ab\", 2) = 2         and must have ended here\n"
    "  [b] exit_group(0) = ?                      also interrupt(b), wait(b), execve()\n"
    "  # on: kernel                               the script is for this side alone\n"
    "  # kernel: 6.17                             it is skipped on an older kernel\n"
    "  # signals: any                            signals need no line of their own\n"
    "  # native: yes                              the kernel may answer on the emulator's side\n"
    "\n"
    "A log is what strace or `sockrig trace --script` printed: the file begins with `# log` or\n"
    "with execve, or its lines carry pids or time stamps. Pipes, AF_UNIX and AF_VSOCK sockets and\n"
    "epoll are interpreted; other calls, and descriptors from before the log, are skipped and\n"
    "counted. A call whose line strace split may have had its effect anywhere in between: orders\n"
    "are tried until one explains the log, or the bounds are met. Take logs with\n"
    "  strace -f -o FILE PROG        -s 65536 to compare all bytes; -y -yy -x -t -T as you like\n"
    "\n"
    "Exit code: 0 same, 1 something differs, 125 a file can't be read.\n";

static int bad_usage(const char *message)
{
    fprintf(stderr, "sockrig interpret: %s\nTry: sockrig interpret --help\n", message);
    return 125;
}

static int parse_sides(const char *text, unsigned *ret_sides)
{
    if (strcmp(text, "emu") == 0)
        *ret_sides = SIDE_EMU;
    else if (strcmp(text, "kernel") == 0)
        *ret_sides = SIDE_KERNEL;
    else if (strcmp(text, "both") == 0)
        *ret_sides = SIDE_KERNEL | SIDE_EMU;
    else
        return -1;
    return 0;
}

/*
 * The whole file when it is a log, else NULL: a script, or nothing that can be read, which the
 * script's parser says.
 */
static char *read_log(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    size_t room = 1 << 16;
    size_t size = 0;
    char *text = file ? malloc(room) : NULL;

    while (text && !feof(file) && !ferror(file) && size <= LOG_MAX_SIZE) {
        if (size == room) {
            char *grown = realloc(text, room *= 2);

            if (!grown)
                free(text);
            text = grown;
            continue;
        }
        size += fread(text + size, 1, room - size, file);
    }
    if (text && (ferror(file) || !log_detect(text, size))) {
        free(text);
        text = NULL;
    }
    if (file)
        fclose(file);
    *ret_size = size;
    return text;
}

static int interpret_file(const char *path, const struct compare_options *options)
{
    struct script script;
    size_t size;
    char *text = read_log(path, &size);
    int result;

    if (text) {
        result = log_interpret(path, text, size, options);
        free(text);
        return result;
    }
    if (script_parse(path, &script) != 0)
        return 125;
    result = compare_script(&script, options);
    script_destroy(&script);
    return result;
}

int interpret_main(int argc, char **argv)
{
    static const struct option longs[] = {
        { "on", required_argument, NULL, 'o' },
        { "keep-going", no_argument, NULL, 'k' },
        { "verbose", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct compare_options options = { .sides = SIDE_EMU };
    int worst = 0;
    int c;

    while ((c = getopt_long(argc, argv, "kvh", longs, NULL)) != -1) {
        switch (c) {
        case 'o':
            if (parse_sides(optarg, &options.sides) != 0)
                return bad_usage("--on wants emu, kernel or both");
            break;
        case 'k': options.keep_going = true; break;
        case 'v': options.verbose = true; break;
        case 'h': fputs(help, stdout); return 0;
        default: return bad_usage("unknown option");
        }
    }
    if (optind == argc)
        return bad_usage("no script is named");
    for (int i = optind; i < argc; i++) {
        int result = interpret_file(argv[i], &options);

        worst = result > worst ? result : worst;
    }
    return worst;
}
