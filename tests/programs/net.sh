#!/bin/sh
# net.sh - how calls inside libc are caught: by --net=redirect, sud and off programs that use
# streams behave as on the kernel; --audit lists what escaped; where no net is to be had (text
# can't be written, valgrind) the report says so; what came past it arrives in order
. "${0%/*}/compare.inc"

guests=${SOCKRIG_GUESTS:-$(dirname "$(dirname "$library")")/tests/guest}

# ---- each net, with what goes through streams ----

cat >"$work/streams.py" <<'END'
import os, subprocess, sys
r, w = os.pipe()
with os.fdopen(r, "r") as reader, os.fdopen(w, "w") as writer:
    writer.write("buffered\n")
    writer.flush()
    print(reader.readline(), end="")
child = subprocess.Popen([sys.executable, "-c", "print(input()[::-1])"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(child.communicate("drawer\n")[0], end="")
print(os.popen("echo by popen").read(), end="")
with os.popen("cat", "w") as cat:
    cat.write("to a cat\n")
print("last", file=sys.stderr)
END
cat >"$work/streams.cc" <<'END'
#include <iostream>
#include <string>
int main()
{
    std::string line;
    while (std::getline(std::cin, line))
        std::cout << line.size() << ' ' << line << '\n';
    std::cerr << "end" << std::endl;
}
END
cat >"$work/streams.c" <<'END'
#include <errno.h>
#include <stdio.h>
int main(void)
{
    int c, lines = 0;
    while ((c = getchar()) != EOF)
        lines += c == '\n';
    printf("%d lines\n", lines);
    fflush(stdout);
    dprintf(1, "by dprintf\n");
    errno = EINTR;
    perror("perror");
    puts("at exit");
    return 0;
}
END
g++ -O1 -o "$work/streams_cc" "$work/streams.cc" || failed 'the C++ program is not built'
gcc -O1 -o "$work/streams_c" "$work/streams.c" || failed 'the C program is not built'

for net in redirect sud off; do
    SOCKRIG_OPTIONS=net=$net
    export SOCKRIG_OPTIONS
    same "$net: Python" sh -c 'python3 "$1" 2>&1 | sort' sh "$work/streams.py"
    same "$net: C++" sh -c 'printf "a\nbcd\n\n" | "$1" 2>&1 | cat' sh "$work/streams_cc"
    same "$net: C" sh -c 'seq 5000 | "$1" 2>&1 | { cat; }' sh "$work/streams_c"
    same "$net: bash" bash -c 'while read -r a b; do echo "$b $a"; done < <(seq 9 | paste - - -) |
        tee >(wc -l >&2) | tac'
    same "$net: perl" perl -e 'open my $p, "-|", "seq 3" or die; print while <$p>; close $p;
        open $p, "|-", "tr a-z A-Z" or die; print $p "words\n"; close $p; print STDERR "err\n"'
    same "$net: a large pipeline" sh -c \
        'head -c 3000000 /dev/zero | tr "\0" x | gzip | gunzip | cksum'
done
unset SOCKRIG_OPTIONS

# ---- which net it was ----

expect 'off: streams go native' 0 --net=off --report sh -c 'seq 3 | "$0"' "$work/streams_c"
says 'off: the report names the channel' 'made native 1 channel' "$err"
expect 'redirect: they stay' 0 --report sh -c 'seq 3 | "$0"' "$work/streams_c"
! grep -F 'made native' "$err" && passed || failed 'redirect: a channel went native'
expect 'sud: they stay' 0 --net=sud --report sh -c 'seq 3 | "$0"' "$work/streams_c"
! grep -F 'made native' "$err" && passed || failed 'sud: a channel went native'

expect 'text is not writable' 0 --report "$guests/stdio_text_readonly"
says 'no redirection' 'did without the net in' "$err"
says '... and why' '  mprotect ×' "$err"
expect 'sud needs no writable text' 0 --net=sud --report "$guests/stdio_text_readonly"
! grep -F -e 'made native' -e 'without the net' "$err" && passed || failed 'sud: it had no net'

# A program of Go's, as far as its linker says; its small stacks have no room for a handler.
cat >"$work/go.c" <<'END'
#include <unistd.h>
__asm__(".pushsection .note.go.buildid, \"a\", @note\n"
        ".long 4, 4, 4\n.asciz \"Go\\0\"\n.asciz \"abc\"\n.popsection");
int main(void)
{
    int fds[2];
    return pipe(fds) != 0 || write(fds[1], "x", 1) != 1;
}
END
gcc -O1 -o "$work/go" "$work/go.c" || failed 'go.c is not built'
LD_PRELOAD=$library SOCKRIG_OPTIONS="net=sud report=$work/bare" "$work/go" && passed ||
    failed 'Go: it fails'
says 'Go: it is told' 'no-net Go x1' "$work/bare"

if command -v valgrind >/dev/null; then
    expect 'valgrind' 0 --report -- valgrind -q "$guests/stdio_fdopen"
    says 'valgrind: no net' 'did without the net in 1 process' "$err"
    says 'valgrind: why' '  valgrind ×1' "$err"
    expect 'valgrind, sud' 0 --net=sud -- sh -c 'seq 7 | valgrind -q "$0" | cat' "$work/streams_c"
    says 'valgrind, sud: its output' '7 lines' "$work/out"
else
    failed 'valgrind is not there'
fi

# ---- what escapes ----

expect 'nothing escapes' 0 --audit sh -c 'seq 3 | "$0"' "$work/streams_c"
says 'the audit says so' 'sockrig: caught 0 escaped calls' "$err"
expect 'calls by hand' 0 --audit "$guests/inline_calls"
for call in pipe2 read write writev dup dup2 fcntl close socket bind listen connect accept4 \
    sendmsg sendto shutdown socketpair epoll_create1 epoll_ctl poll epoll_pwait fork execve; do
    grep -Eq "^  $call ×[0-9]+   inline_calls\[[0-9]+\] inline_calls\+0x" "$err" && passed ||
        failed "the audit doesn't list $call"
done
expect 'audit: as JSON' 0 --audit --report="$work/report" --json "$guests/inline_calls"
says 'JSON: the kind' '"kind": "escaped", "call": "pipe2"' "$work/report"
expect 'audit and off: the last wins' 0 --audit --net=off --report "$guests/inline_calls"
! grep -F 'escaped' "$err" && passed || failed 'off: an audit all the same'
SOCKRIG_OPTIONS=net=off expect 'off and audit' 0 --audit "$guests/inline_calls"
says 'off and audit: it is one' 'escaped calls' "$err"

# With a bare preload: its own report.
LD_PRELOAD=$library SOCKRIG_OPTIONS="audit report=$work/bare" "$guests/inline_calls" &&
    passed || failed 'bare: inline_calls'
says 'bare: the report' 'escaped pipe2 x' "$work/bare"
LD_PRELOAD=$library SOCKRIG_OPTIONS="net=sud" "$guests/sigsys_masks" && passed ||
    failed 'bare: sigsys_masks'

# ---- what came past the net is rescued, behind what was there ----

cat >"$work/past.c" <<'END'
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
    volatile char small[8];
    fprintf(stderr, "before\n");
    if (strcmp(argv[argc - 1], "assert") == 0)
        assert(argc == 0);
    if (strcmp(argv[argc - 1], "free") == 0)
        free((void *)(small + 4));
    if (strcmp(argv[argc - 1], "chk") == 0)
        strcpy((char *)small, argv[0]);
    return 0;
}
END
cat >"$work/late.py" <<'END'
import subprocess, sys
child = subprocess.Popen([sys.argv[1], "text"], stderr=subprocess.PIPE)
child.wait()
print(child.stderr.read().decode(), end="")
END
cat >"$work/undefined.c" <<'END'
#include <limits.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    volatile int large = INT_MAX;
    for (int i = 0; i < 3; i++) {
        fprintf(stderr, "before %d of %s\n", i, argc > 1 ? argv[1] : "");
        large = (i == 0 ? large : INT_MAX - i + 1) + 1 + i;
        fprintf(stderr, "after %d\n", i);
    }
    return 0;
}
END
gcc -O1 -fsanitize=undefined -w -o "$work/undefined" "$work/undefined.c" ||
    failed 'undefined.c is not built'
gcc -O1 -D_FORTIFY_SOURCE=2 -w -o "$work/past" "$work/past.c" || failed 'past.c is not built'
for net in redirect sud off; do
    SOCKRIG_OPTIONS=net=$net
    export SOCKRIG_OPTIONS
    for what in assert free chk; do
        same "$net: libc's last words, $what" bash -c \
            'ulimit -c 0; "$1" "$2" 2>&1 | cat; exit $((PIPESTATUS[0] == 134 ? 0 : 1))' \
            bash "$work/past" $what
    done
    # Nobody reads until it has ended: order is the writer's business.
    same "$net: reports of a sanitizer" python3 "$work/late.py" "$work/undefined"
done
unset SOCKRIG_OPTIONS
expect 'rescued' 0 --report sh -c '{ "$1" free 2>&1; } | cat' sh "$work/past"
says 'rescue is in the report' 'rescued bytes' "$err"
says 'after what was written before' 'before' "$work/out"
finish
