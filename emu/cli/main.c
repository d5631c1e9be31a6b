/*
 * main.c - the command `sockrig`: finds the subcommand
 *
 * Exit code 125 when sockrig is called wrongly, as for every failure of its own.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/gateway.h"
#include "interpret_main.h"
#include "notify/listener.h"
#include "run.h"
#include "sessions.h"
#include "shrink/shrink.h"
#include "trace/trace_main.h"

static const char help[] =
    "usage: sockrig run [OPTIONS] [--] PROG [ARG...]\n"
    "       sockrig interpret FILE... [--on emu|kernel|both]\n"
    "       sockrig trace [OPTIONS] DIR\n"
    "       sockrig shrink FILE [-o OUT]\n"
    "       sockrig sessions [rm NAME...]\n"
    "       sockrig --version | --help\n"
    "\n"
    "run        runs a program whose pipes and sockets an emulator inside it serves\n"
    "interpret  runs a script of calls in the emulator, in the kernel, or in both\n"
    "trace      shows what a run has recorded: as strace does, as JSON, as a page\n"
    "shrink     removes calls from such a script as long as the same difference comes out\n"
    "sessions   lists this user's sessions, ends one\n"
    "\n"
    "sockrig COMMAND --help says more.\n";

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (strcmp(command, "run") == 0)
        return run_main(argc - 1, argv + 1);
    if (strcmp(command, "interpret") == 0)
        return interpret_main(argc - 1, argv + 1);
    if (strcmp(command, "trace") == 0)
        return trace_main(argc - 1, argv + 1);
    if (strcmp(command, "shrink") == 0)
        return shrink_main(argc - 1, argv + 1);
    if (strcmp(command, "gateway") == 0) /* internal: a helper of run */
        return gateway_main(argc - 1, argv + 1);
    if (strcmp(command, "notify-listener") == 0) /* internal: a helper of run */
        return notify_listener_main(argc - 1, argv + 1);
    if (strcmp(command, "sessions") == 0)
        return sessions_main(argc - 1, argv + 1);
    if (strcmp(command, "--version") == 0) {
        puts("sockrig " SOCKRIG_VERSION);
        return 0;
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        fputs(help, stdout);
        return 0;
    }
    if (command[0] == '\0')
        fputs(help, stderr);
    else
        fprintf(stderr, "sockrig: unknown command '%s'\nTry: sockrig --help\n", command);
    return 125;
}
