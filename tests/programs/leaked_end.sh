#!/bin/sh
# leaked_end.sh - who keeps the end of the data from coming, and by what it got there
. "${0%/*}/compare.inc"

# LABEL COMMAND...: ends with 124 because of a deadlock
stuck() {
    label=$1
    shift
    expect "$label" 124 "$@"
    says "$label" 'sockrig: deadlock: ' "$err"
}

like() { # LABEL REGEX
    if grep -Eq "$2" "$err"; then
        passed
    else
        failed "$1: /$2/ isn't in:"
        cat "$err"
    fi
}

cat >"$work/leak.c" <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char *how;
static int data[2], alive[2];

static void wait_for_parent(void)
{
    char byte;

    close(alive[1]);
    while (read(alive[0], &byte, 1) > 0)
        ;
    _exit(0);
}

static int start_child(char *self)
{
    char *arguments[] = { self, "--wait", NULL };
    int child = 0;

    close(data[0]); /* opened again for the caller by dup2 in main */
    if (strcmp(how, "spawn") == 0)
        return posix_spawn(&child, self, NULL, NULL, arguments, NULL);
    child = fork(); /* the fork */
    if (child == 0 && strcmp(how, "exec") == 0)
        execv(self, arguments);
    if (child == 0)
        wait_for_parent();
    return child < 0;
}

static int send_end(int to)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec one = { "x", 1 };
    struct msghdr message = { .msg_iov = &one, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof control };

    memcpy(CMSG_DATA(&control.head), &data[1], sizeof(int));
    return sendmsg(to, &message, 0) != 1;
}

/* A child that was made before the pipe, and gets its end in a message. */
static int start_receiver(void)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return 1;
    if (fork() == 0) {
        char byte, room[100];
        struct iovec one = { &byte, 1 };
        struct msghdr message = { .msg_iov = &one, .msg_iovlen = 1, .msg_control = room,
                                  .msg_controllen = sizeof room };

        close(pair[0]);
        recvmsg(pair[1], &message, 0);
        close(pair[1]);
        wait_for_parent();
    }
    close(pair[1]);
    return pipe(data) != 0 || send_end(pair[0]);
}

int main(int argc, char **argv)
{
    char text[10];

    if (argc < 2)
        return 2;
    if (strcmp(argv[1], "--wait") == 0) { /* the image after exec: its numbers are known */
        alive[0] = 20;
        alive[1] = 21;
        wait_for_parent();
    }
    how = argv[1];
    if (pipe(alive) != 0 || dup2(alive[0], 20) != 20 || dup2(alive[1], 21) != 21)
        return 1;
    close(alive[0]);
    close(alive[1]);
    alive[0] = 20;
    alive[1] = 21;
    if (strcmp(how, "rights") == 0 ? start_receiver() : pipe(data) != 0)
        return 1;
    if (strcmp(how, "rights") != 0) {
        int reader = dup(data[0]);

        if (start_child(argv[0]) != 0)
            return 1;
        data[0] = reader;
    }
    close(data[1]);
    while (read(data[0], text, sizeof text) > 0)
        ;
    return 0;
}
END
cc -g -O1 -o "$work/leak" "$work/leak.c" 2>"$work/cc" || { cat "$work/cc"; exit 1; }
line=$(grep -n 'the fork \*/' "$work/leak.c" | cut -d: -f1)

stuck 'by fork' -- "$work/leak" fork
like 'by fork' '^     write end: leak\[[0-9]+\] fd [0-9]+$'
here="leak\[[0-9]+\] has it by fork of leak\[[0-9]+\] at leak.c:$line, [0-9.]+ s ago"
like 'by fork' "^       $here$"
stuck 'by fork and exec' -- "$work/leak" exec
like 'by fork and exec' "^       $here, kept over its exec$"
stuck 'by spawn' -- "$work/leak" spawn
like 'by spawn' 'has it by spawn of leak\[[0-9]+\] at leak.c:[0-9]+, [0-9.]+ s ago$'
stuck 'in a message' -- "$work/leak" rights
like 'in a message' '^       leak\[[0-9]+\] has it by SCM_RIGHTS$'

# Whose end it is himself is told without a reason.
like 'its maker' 'write end: leak\[[0-9]+\] fd 21$'

# As JSON.
timeout 20 "$SOCKRIG" run --json --report="$work/json" -- "$work/leak" fork 2>"$err"
python3 - "$work/json" "$line" <<'END' && passed || failed 'json'
import json, sys
tasks = json.load(open(sys.argv[1]))["deadlock"]["tasks"]
origins = [holder["origin"] for task in tasks for fd in task["fds"] for holder in fd["holders"]]
fork = [origin for origin in origins if origin["by"] == "fork"]
assert len(fork) == 1 and fork[0]["line"] == "leak.c:" + sys.argv[2], origins
assert fork[0]["parent"] == tasks[0]["pid"] and not fork[0]["executed"]
assert [origin["by"] for origin in origins].count("made") == 1
END

finish
