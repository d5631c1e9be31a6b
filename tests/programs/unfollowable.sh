#!/bin/bash
# shellcheck disable=SC2015 # `a && b || c` is meant
# unfollowable.sh - programs that no preload reaches, at both ends of pipes and sockets
#
# A static program, one of another architecture (i386), one of another libc (musl), through #! lines
# and through a handler of binfmt_misc that end in one; each between programs that are emulated, and
# each switch to the kernel stands in the report. What isn't to be had here is said and left out:
# i386 needs a kernel that runs it, binfmt_misc a kernel that has one in each user namespace (6.7).
. "${0%/*}/compare.inc"

static=$SOCKRIG_GUESTS/helper_cat_static
data=$work/data
seq 1 200000 >"$data"

# 100 KB and more on both sides of it, as a filter, and as the last that reads and writes.
between() { # LABEL PROGRAM [ARG...]
    local name=$1 command
    shift
    printf -v command '%q ' "$@"
    same "$name: a filter in a pipeline" bash -o pipefail -c "cat $data | $command | cksum"
    same "$name: both ends" bash -c "$command <$data | $command | $command | cksum"
    same "$name: a child of python" /usr/bin/python3 -c '
import socket, subprocess, sys
data = open(sys.argv[1], "rb").read()
print(subprocess.run(sys.argv[2:], input=data, stdout=subprocess.PIPE).stdout == data)
ours, theirs = socket.socketpair()
child = subprocess.Popen(sys.argv[2:], stdin=theirs, stdout=theirs)
theirs.close()
ours.sendall(b"over a socket")
ours.shutdown(socket.SHUT_WR)
print(b"".join(iter(lambda: ours.recv(100), b"")), child.wait())' "$data" "$@"
    timeout 60 "$SOCKRIG" run --report="$work/report" -- \
        bash -c "cat $data | $command | cat >/dev/null" 2>"$err"
    says "$name: the switches are reported" 'made native 2 channels' "$work/report"
}

between 'static' "$static"
printf '#!%s -1\n' "$static" >"$work/script"
printf '#!%s\n' "$work/script" >"$work/chain"
chmod +x "$work/script" "$work/chain"
between '#! of a static one' "$work/script"
between '#! of a #! of it' "$work/chain"

# read(0), write(1) until nothing comes; no libc.
cat >"$work/i386.s" <<'ASM'
.globl _start
_start: mov $3, %eax
        xor %ebx, %ebx
        mov $buffer, %ecx
        mov $4096, %edx
        int $0x80
        test %eax, %eax
        jle 2f
        mov %eax, %edx
        mov $buffer, %ecx
1:      mov $4, %eax
        mov $1, %ebx
        int $0x80
        test %eax, %eax
        jle 2f
        add %eax, %ecx
        sub %eax, %edx
        jnz 1b
        jmp _start
2:      mov %eax, %ebx
        mov $1, %eax
        int $0x80
        .bss
buffer: .space 4096
ASM
as --32 "$work/i386.s" -o "$work/i386.o" && ld -m elf_i386 "$work/i386.o" -o "$work/i386"
if "$work/i386" </dev/null; then
    between 'i386' "$work/i386"
else
    echo 'left out: i386, which this kernel does not run'
fi

# The same source against another libc: its loader knows LD_PRELOAD, and its symbols are others.
cat >"$work/cat.c" <<'C'
#include <unistd.h>
int main(void)
{
    static char buffer[8192];
    ssize_t count;
    while ((count = read(0, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0, now; done < count; done += now)
            if ((now = write(1, buffer + done, count - done)) <= 0)
                return 1;
    return count != 0;
}
C
if musl-gcc -o "$work/musl" "$work/cat.c"; then
    between 'musl' "$work/musl"
    input=$data
    expect 'musl by itself' 0 --allow-native -- "$work/musl"
    cmp -s "$work/out" "$data" && passed || failed 'musl by itself: not what it was given'
    input=/dev/null
else
    failed 'musl-gcc does not build'
fi

# A file of no format that a handler of the user namespace's own binfmt_misc runs by the static one.
# shellcheck disable=SC2016 # for the inner shell
in_namespace='
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 77
printf "%s" ":sockrig-test:M::SOCKRIGTEST::$1:" >/proc/sys/fs/binfmt_misc/register || exit 77
printf SOCKRIGTEST >"$2/magic" && chmod +x "$2/magic" || exit 78
exec bash -c "cat $2/data | $2/magic | cksum"'
printf '#!/bin/sh\nexec %s\n' "$static" >"$work/handler" && chmod +x "$work/handler"
if unshare -Urm bash -c "$in_namespace" bash "$work/handler" "$work" >"$work/first" 2>"$err"; then
    same 'binfmt_misc' unshare -Urm bash -c "$in_namespace" bash "$work/handler" "$work"
else
    echo 'left out: binfmt_misc, which a user namespace does not have here'
fi
finish
