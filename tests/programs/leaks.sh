#!/bin/sh
# leaks.sh - findings: descriptors that were closed twice, used after close, left open; bytes that
# nobody read; death by SIGPIPE. Their text and JSON, what is none, suppressions, exit codes
. "${0%/*}/compare.inc"

# Each case of the program does one thing wrong; with a second argument, the same without it.
cat >"$work/leaky.c" <<'END'
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int fine; /* nothing is wrong */
static int ends[2];
static char byte;
static const char *program;

static void check(long result)
{
    if (result < 0)
        perror("leaky"), exit(99);
}

static void __attribute__((noinline)) make_pipe(void)
{
    check(pipe(ends));
}

static void __attribute__((noinline)) end_reader(void)
{
    check(close(ends[0]));
}

static void twice(void)
{
    make_pipe();
    end_reader();
    if (!fine)
        close(ends[0]);
    close(ends[1]);
}

static void after(void)
{
    make_pipe();
    end_reader();
    if (!fine && read(ends[0], &byte, 1) != -1)
        exit(98);
    close(ends[1]);
}

static void shut_after(void)
{
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    end_reader();
    if (!fine && shutdown(ends[0], SHUT_RD) != -1)
        exit(98);
    close(ends[1]);
}

/* Bytes of a child's, of which its parent reads the first. */
static void unread(void)
{
    pid_t child;

    make_pipe();
    child = fork();
    if (child == 0) {
        check(write(ends[1], "hello", 5));
        _exit(0);
    }
    check(waitpid(child, NULL, 0));
    check(read(ends[0], (char[8]){ 0 }, fine ? 8 : 1));
    close(ends[1]);
    end_reader();
}

/* A byte that only wakes; and one that nobody of those that had the descriptor has read. */
static void wakes(void)
{
    make_pipe();
    check(write(ends[1], "x", 1));
    end_reader();
    close(ends[1]);
    make_pipe();
    if (fork() == 0) {
        check(write(ends[1], "x", 1));
        _exit(0);
    }
    check(wait(NULL));
    end_reader();
    close(ends[1]);
}

static void left(void)
{
    make_pipe();
    if (!fine) {
        check(write(ends[1], "hello", 5));
        exit(0);
    }
    close(ends[0]);
    close(ends[1]);
}

static void sigpipe(void)
{
    int order[2];
    pid_t child;

    make_pipe();
    check(pipe(order));
    child = fork();
    if (child == 0) {
        close(ends[1]);
        read(order[0], &byte, 1); /* the parent has closed its own */
        if (fine)
            read(ends[0], &byte, 1);
        end_reader();
        _exit(0);
    }
    close(ends[0]);
    check(write(order[1], "x", 1));
    if (!fine)
        check(waitpid(child, NULL, 0));
    check(write(ends[1], "x", 1));
    close(ends[1]);
    close(order[0]);
    close(order[1]);
}

/* A child inherits what its parent has made and closed, and what it leaves open isn't its own. */
static void inherited(void)
{
    pid_t child;

    make_pipe();
    child = fork();
    if (child == 0) {
        end_reader();
        if (!fine)
            close(ends[0]);
        exit(0);
    }
    check(waitpid(child, NULL, 0));
    close(ends[0]);
    close(ends[1]);
}

static void again(int number)
{
    char text[12];

    sprintf(text, "%d", number);
    execl(program, "leaky", "executed", text, fine ? "fine" : NULL, NULL);
    exit(97);
}

/* The pipe was made by the image before. */
static void before_exec(void)
{
    make_pipe();
    again(ends[0]);
}

static void executed(int number)
{
    ends[0] = number;
    end_reader();
    if (!fine)
        close(number);
}

static void copied(void)
{
    int copy;

    make_pipe();
    copy = dup(ends[0]);
    close(ends[0]);
    close(ends[1]);
    if (fine)
        close(copy);
}

/* A descriptor that came in a message. */
static void passed(void)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { &byte, 1 };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof control };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int pair[2];
    int got;

    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    make_pipe();
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ends[0], sizeof(int));
    check(sendmsg(pair[0], &message, 0));
    message.msg_controllen = sizeof control;
    check(recvmsg(pair[1], &message, 0));
    memcpy(&got, CMSG_DATA(header), sizeof(int));
    close(ends[0]);
    close(ends[1]);
    close(pair[0]);
    close(pair[1]);
    if (fine)
        close(got);
}

static void *in_thread(void *argument)
{
    (void)argument;
    make_pipe();
    end_reader();
    return NULL;
}

static void threads(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    if (!fine)
        close(ends[0]);
    close(ends[1]);
}

static void thousands(void)
{
    for (int i = 0; i < 450; i++) {
        make_pipe();
        if (fine) {
            close(ends[0]);
            close(ends[1]);
        }
    }
}

static void set(void)
{
    int epoll = epoll_create1(0);

    close(epoll);
    if (!fine)
        close(epoll);
}

/* What is no fault: all numbers closed in a loop, a question, no number, a handled EPIPE. */
static void legal(void)
{
    make_pipe();
    end_reader();
    signal(SIGPIPE, SIG_IGN);
    if (write(ends[1], "x", 1) != -1 || errno != EPIPE)
        exit(98);
    close(ends[1]);
    close(-1);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = { { "twice", twice },     { "after", after },         { "shut_after", shut_after },
                  { "unread", unread },   { "left", left },           { "sigpipe", sigpipe },
                  { "heir", inherited },  { "executes", before_exec }, { "copied", copied },
                  { "passed", passed },   { "threads", threads },     { "thousands", thousands },
                  { "set", set },         { "legal", legal },         { "wakes", wakes } };

    if (argc > 2 && strcmp(argv[1], "executed") == 0) {
        fine = argc > 3;
        executed(atoi(argv[2]));
        return 0;
    }
    fine = argc > 2;
    program = argv[0];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return 96;
}
END
gcc -O2 -g -fno-optimize-sibling-calls -fno-inline -o "$work/leaky" "$work/leaky.c" ||
    failed 'gcc'

line() { # TEXT: the number of the first line that holds it
    grep -nF -m1 -e "$1" "$work/leaky.c" | cut -d: -f1
}
pipe=leaky.c:$(line 'check(pipe(ends))')
reader=leaky.c:$(line 'check(close(ends[0]))')

# The report of one case, with pids and what is about the session left out.
findings() { # CASE [fine]
    timeout "$limit" "$SOCKRIG" run --error-exitcode 9 --report="$work/report" -- \
        "$work/leaky" "$@" >"$work/out" 2>"$err"
    result=$?
    sed -E '/^(processes|objects) /d; s/\[[0-9]+\]/[PID]/g; s/process [0-9]+$/process PID/' \
        "$work/report" >"$work/findings"
}

# The case is found, with just this text (stdin); without its fault there is nothing to say.
finds() { # CASE CODE
    cat >"$work/wanted"
    findings "$1"
    if [ "$result" -ne "$2" ]; then
        failed "$1: exit code $result, expected $2"
    elif ! sed -E 's/^( {5}[a-z ]{6}  )([^ ]+) +/\1\2  /' "$work/findings" |
        diff -u "$work/wanted" - >"$work/diff"; then
        failed "$1: another text (- wanted, + found)"
        cat "$work/diff"
    elif [ -s "$err" ]; then
        failed "$1: more than the report was written"
    else
        passed
    fi
    findings "$1" fine
    if [ "$result" -eq 0 ] && [ ! -s "$work/findings" ]; then
        passed
    else
        failed "$1, without its fault: exit code $result"
        cat "$work/findings"
    fi
}

# A line of `twice` and its like: where `name` calls what, in the function of that name.
at() { # FUNCTION TEXT [N]: the line of the N-th TEXT behind the beginning of FUNCTION
    awk -v f="$1(" -v t="$2" -v n="${3:-1}" 'index($0, f) && /^static|^int/ { on = 1 }
        on && index($0, t) && --n == 0 { print NR; exit }' "$work/leaky.c"
}
main=leaky.c:$(line 'cases[i].run()')

finds twice 9 <<END
sockrig: closed twice 1 descriptor
  close(3) EBADF ×1   leaky[PID]   pipe reader
     made    $pipe  make_pipe
             leaky.c:$(at twice 'make_pipe')  twice
             $main  main
     closed  $reader  end_reader
             leaky.c:$(at twice 'end_reader')  twice
             $main  main
     again   leaky.c:$(at twice 'close(ends[0])')  twice
             $main  main
END
finds after 9 <<END
sockrig: used after close 1 descriptor
  read(3) EBADF ×1   leaky[PID]   pipe reader
     made    $pipe  make_pipe
             leaky.c:$(at after 'make_pipe')  after
             $main  main
     closed  $reader  end_reader
             leaky.c:$(at after 'end_reader')  after
             $main  main
     used    leaky.c:$(at after 'read(ends[0]')  after
             $main  main
END
finds shut_after 9 <<END
sockrig: used after close 1 descriptor
  shutdown(3) EBADF ×1   leaky[PID]   stream
     made    leaky.c:$(at shut_after 'socketpair')  shut_after
             $main  main
     closed  $reader  end_reader
             leaky.c:$(at shut_after 'end_reader')  shut_after
             $main  main
     used    leaky.c:$(at shut_after 'shutdown')  shut_after
             $main  main
END
finds unread 9 <<END
sockrig: dropped unread bytes 1 time
  fd 3 pipe reader ×1   leaky[PID]   4 bytes unread
     made    $pipe  make_pipe
             leaky.c:$(at unread 'make_pipe')  unread
             $main  main
     closed  $reader  end_reader
             leaky.c:$(at unread 'end_reader')  unread
             $main  main
END
finds left 0 <<END
sockrig: left open 2 descriptors
  fd 3 pipe reader ×1   leaky[PID]   other end: open, too   5 bytes unread
     made    $pipe  make_pipe
             leaky.c:$(at left 'make_pipe')  left
             $main  main
  fd 4 pipe writer ×1   leaky[PID]   other end: open, too
     made    $pipe  make_pipe
             leaky.c:$(at left 'make_pipe')  left
             $main  main
END
finds sigpipe 9 <<END
sockrig: died of SIGPIPE 1 process
  fd 4 pipe writer ×1   leaky[PID]   other end closed by leaky[PID]
     made    $pipe  make_pipe
             leaky.c:$(at sigpipe 'make_pipe')  sigpipe
             $main  main
     closed  $reader  end_reader
             leaky.c:$(at sigpipe 'end_reader')  sigpipe
             $main  main
     used    leaky.c:$(at sigpipe 'write(ends[1]')  sigpipe
             $main  main
END
finds heir 9 <<END
sockrig: closed twice 1 descriptor
  close(3) EBADF ×1   leaky[PID]   pipe reader
     made    $pipe  make_pipe
             leaky.c:$(at inherited 'make_pipe')  inherited
             $main  main
     closed  $reader  end_reader
             leaky.c:$(at inherited 'end_reader')  inherited
             $main  main
     again   leaky.c:$(at inherited 'close(ends[0])')  inherited
             $main  main
END
finds executes 9 <<END
sockrig: closed twice 1 descriptor
  close(3) EBADF ×1   leaky[PID]   pipe reader
     made    $pipe  make_pipe
             leaky.c:$(at before_exec 'make_pipe')  before_exec
             $main  main
     closed  $reader  end_reader
             leaky.c:$(at 'void executed' 'end_reader')  executed
             leaky.c:$(line 'executed(atoi')  main
     again   leaky.c:$(at 'void executed' 'close(number)')  executed
             leaky.c:$(line 'executed(atoi')  main
END
finds copied 0 <<END
sockrig: left open 1 descriptor
  fd 5 pipe reader ×1   leaky[PID]   other end: closed
     made    leaky.c:$(at copied 'dup(')  copied
             $main  main
END
finds passed 0 <<END
sockrig: left open 1 descriptor
  fd 7 pipe reader ×1   leaky[PID]   other end: closed
     made    leaky.c:$(at passed 'recvmsg(')  passed
             $main  main
END
finds threads 9 <<END
sockrig: closed twice 1 descriptor
  close(3) EBADF ×1   leaky[PID]   pipe reader
     made    $pipe  make_pipe
             leaky.c:$(at in_thread 'make_pipe')  in_thread
     closed  $reader  end_reader
             leaky.c:$(at in_thread 'end_reader')  in_thread
     again   leaky.c:$(at 'void threads' 'close(ends[0])')  threads
             $main  main
END
finds thousands 0 <<END
sockrig: left open 900 descriptors
  fd 3 pipe reader ×450   leaky[PID]   other end: open, too
     made    $pipe  make_pipe
             leaky.c:$(at thousands 'make_pipe')  thousands
             $main  main
  fd 4 pipe writer ×450   leaky[PID]   other end: open, too
     made    $pipe  make_pipe
             leaky.c:$(at thousands 'make_pipe')  thousands
             $main  main
END
finds set 9 <<END
sockrig: closed twice 1 descriptor
  close(3) EBADF ×1   leaky[PID]   epoll
     made    leaky.c:$(at 'void set' 'epoll_create1')  set
             $main  main
     closed  leaky.c:$(at 'void set' 'close(epoll)')  set
             $main  main
     again   leaky.c:$(at 'void set' 'close(epoll)' 2)  set
             $main  main
END
findings legal
if [ "$result" -eq 0 ] && [ ! -s "$work/findings" ]; then
    passed
else
    failed "what is no fault: exit code $result"
    cat "$work/findings"
fi

expect 'notes' 0 --error-exitcode 9 -- "$work/leaky" wakes
if [ -s "$err" ]; then failed 'notes: something was said'; else passed; fi
expect 'notes in the report' 0 --error-exitcode 9 --report -- "$work/leaky" wakes
says 'notes in the report' 'sockrig: dropped unread bytes 2 times' "$err"

# Who doesn't ask hears nothing; who asks for an exit code alone hears of errors.
expect 'nobody asks' 0 -- "$work/leaky" twice
if [ -s "$err" ]; then failed 'nobody asks: something was said'; else passed; fi
expect 'an exit code' 5 --error-exitcode 5 -- "$work/leaky" twice
says 'an exit code' 'sockrig: closed twice 1 descriptor' "$err"
expect 'an exit code, only a note' 0 --error-exitcode 5 -- "$work/leaky" left
if [ -s "$err" ]; then failed 'only a note: something was said'; else passed; fi
expect 'death by SIGPIPE, nobody asks' 141 -- sh -c "$work/leaky sigpipe; exit \$?"

# JSON.
timeout "$limit" "$SOCKRIG" run --json --report="$work/report" -- "$work/leaky" twice
if python3 - "$work/report" <<'END'; then
import json, sys
report = json.load(open(sys.argv[1]))
found, = report["findings"]
assert (found["kind"], found["error"], found["object"]) == ("double-close", True, "pipe reader")
assert (found["call"], found["fd"], found["count"], found["program"]) == ("close", 3, 1, "leaky")
assert [f["function"] for f in found["made"]] == ["make_pipe", "twice", "main"], found["made"]
assert [f["function"] for f in found["closed"]] == ["end_reader", "twice", "main"]
assert [f["function"] for f in found["used"]] == ["twice", "main"]
assert all(f["line"].startswith("leaky.c:") and f["module"] == "leaky" for f in found["used"])
assert report["findings_lost"] == report["suppressed"] == 0
assert report["unused_suppressions"] == []
END
    passed
else
    failed 'JSON'
fi

# Suppressions.
cat >"$work/rules" <<'END'
# a comment, and an empty line

double-close function:end_* file:leaky.c   # this one
unread object:pipe?reader program:leaky
use-after-close function:nobody
END
expect 'a suppressed finding' 0 --error-exitcode 9 --suppressions "$work/rules" --report -- \
    "$work/leaky" twice
says 'a suppressed finding' 'suppressed: 1' "$err"
says 'rules without use' "$work/rules:4: this rule has suppressed nothing" "$err"
says 'rules without use' "$work/rules:5: this rule has suppressed nothing" "$err"
expect 'by object and program' 0 --error-exitcode 9 --suppressions "$work/rules" -- \
    "$work/leaky" unread
if [ -s "$err" ]; then failed 'suppressed: something was said'; else passed; fi
expect 'another function' 9 --error-exitcode 9 --suppressions "$work/rules" -- "$work/leaky" after
timeout "$limit" "$SOCKRIG" run --suppressions "$work/rules" --json --report="$work/report" -- \
    "$work/leaky" twice
if python3 -c 'import json, sys
report = json.load(open(sys.argv[1]))
assert report["findings"] == [] and report["suppressed"] == 1
assert [rule["line"] for rule in report["unused_suppressions"]] == [4, 5]' "$work/report"; then
    passed
else
    failed 'JSON of suppressions'
fi
printf 'any\n\nleak function:x\n' >"$work/bad"
expect 'a bad rule' 125 --suppressions "$work/bad" -- true
says 'a bad rule' "$work/bad:3: leak: give a kind" "$err"
printf 'any colour:red\n' >"$work/bad"
expect 'a bad field' 125 --suppressions "$work/bad" -- true
says 'a bad field' "$work/bad:1: colour:red: give object:" "$err"
expect 'no such file' 125 --suppressions "$work/nothing" -- true

# Colours on a terminal alone, and not with NO_COLOR.
cat >"$work/terminal.py" <<'END'
import os, pty, sys
seen = b""
def read(fd):
    global seen
    data = os.read(fd, 4096)
    seen += data
    return b""
pty.spawn(sys.argv[1:], read)
sys.exit(b"\x1b[1;31msockrig: closed twice" not in seen)
END
colours() { # LABEL WANTED ENVIRONMENT...
    label=$1
    wanted=$2
    shift 2
    timeout "$limit" env "$@" python3 "$work/terminal.py" "$SOCKRIG" run --report -- \
        "$work/leaky" twice <"$input" >"$work/out" 2>&1
    result=$?
    if [ "$result" -eq "$wanted" ]; then passed; else failed "colours: $label"; fi
}
colours 'a terminal' 0 -u NO_COLOR TERM=xterm
colours 'NO_COLOR' 1 NO_COLOR=1 TERM=xterm
colours 'an empty NO_COLOR' 0 NO_COLOR= TERM=xterm
colours 'no terminal of that kind' 1 -u NO_COLOR TERM=dumb
timeout "$limit" env -u NO_COLOR TERM=xterm "$SOCKRIG" run --report -- "$work/leaky" twice 2>"$err"
if grep -q "$(printf '\033')" "$err"; then failed 'colours in a file'; else passed; fi

# A library's own calls, found in it; without its debugging information by name and offset. One that
# is excluded isn't counted.
cat >"$work/library.c" <<'END'
#include <unistd.h>
int library_twice(void);
int library_twice(void)
{
    int ends[2];

    if (pipe(ends) != 0)
        return 1;
    close(ends[0]);
    close(ends[1]);
    return close(ends[1]) == 0;
}
END
printf 'int library_twice(void);\nint main(void) { return library_twice(); }\n' >"$work/uses.c"
gcc -O2 -g -shared -fPIC -o "$work/libtwice.so" "$work/library.c" &&
    gcc -O2 -g -fno-optimize-sibling-calls -o "$work/uses" "$work/uses.c" "$work/libtwice.so" \
        -Wl,-rpath,"$work" || failed 'gcc'
expect 'a library' 9 --error-exitcode 9 -- "$work/uses"
says 'a library' 'again   library.c:11  library_twice' "$err"
says 'its caller' 'uses.c:2' "$err"
expect 'an excluded library' 0 --error-exitcode 9 --report --exclude-caller 'libtwice.so*' -- \
    "$work/uses"
if grep -q 'sockrig:' "$err"; then failed 'an excluded library: found'; else passed; fi
strip "$work/libtwice.so"
expect 'a library without lines' 9 --error-exitcode 9 -- "$work/uses"
says 'a library without lines' 'made    libtwice.so+0x' "$err"

# A function that was inlined stands there as if it had been called.
cat >"$work/inlined.c" <<'END'
#include <unistd.h>
static inline __attribute__((always_inline)) void twice(int fd)
{
    close(fd);
    close(fd);
}
int main(void)
{
    int ends[2];

    if (pipe(ends) != 0)
        return 1;
    twice(ends[0]);
    return 0;
}
END
gcc -O2 -g -o "$work/inlined" "$work/inlined.c" || failed 'gcc'
expect 'inlined' 9 --error-exitcode 9 -- "$work/inlined"
sed -n '/again/,$p' "$err" >"$work/again"
printf '     again   inlined.c:5   twice\n             inlined.c:13  main\n' >"$work/wanted"
if cmp -s "$work/wanted" "$work/again"; then
    passed
else
    failed 'inlined'
    cat "$work/again"
fi

# Through libc: who called it is what is shown.
cat >"$work/stream.c" <<'END'
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    int ends[2];

    if (pipe(ends) != 0)
        return 1;
    FILE *stream = fdopen(ends[0], "r");
    fclose(stream);
    close(ends[0]);
    return close(ends[1]);
}
END
gcc -O2 -g -o "$work/stream" "$work/stream.c" || failed 'gcc'
expect 'through stdio' 9 --error-exitcode 9 -- "$work/stream"
says 'through stdio' 'closed  stream.c:10' "$err"

# A pipeline that is ended early is no error of its parts; bash closes its pipes twice.
expect 'a pipeline' 0 --error-exitcode 9 -- sh -c 'yes | head -n 1'
if [ -s "$err" ]; then failed 'a pipeline: something was said'; else passed; fi
expect 'a pipeline in the report' 0 --error-exitcode 9 --report -- sh -c 'yes | head -n 1'
says 'a pipeline in the report' 'sockrig: died of SIGPIPE 1 process' "$err"
says 'a pipeline in the report' 'fd 1 pipe writer ×1   yes[' "$err"
expect 'bash' 0 --error-exitcode 9 -- bash -c 'echo a | cat | wc -c >/dev/null'

# A bare preload writes it, too.
timeout "$limit" env SOCKRIG_OPTIONS="report=$work/report" LD_PRELOAD="$library" "$work/leaky" twice
says 'a bare preload' 'double-close x1  leaky[' "$work/report"
finish
