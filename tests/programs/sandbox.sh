#!/bin/sh
# sandbox.sh - --sandbox: what isn't modeled is refused, listed and makes the run fail; what passes
# the library meets the filter; --policy and --host-unix open single things. --error-exitcode
. "${0%/*}/compare.inc"

cat >"$work/try.py" <<'END'
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
for name in sys.argv[1:]:
    family = getattr(socket, name)
    if family == socket.AF_UNIX:
        a, b = socket.socketpair()
        a.send(b"x")
        assert b.recv(1) == b"x"
        print(name, "works")
        continue
    try:
        socket.socket(family, socket.SOCK_STREAM if family != socket.AF_NETLINK
                      else socket.SOCK_RAW).close()
        print(name, "open")
    except OSError as error:
        print(name, error.errno)
END
all='AF_UNIX AF_INET AF_INET6 AF_NETLINK'

# shellcheck disable=SC2086 # words
expect 'closed' 1 --sandbox -- /usr/bin/python3 "$work/try.py" $all
says 'closed' 'AF_UNIX works' "$work/out"
for family in AF_INET AF_INET6 AF_NETLINK; do
    if grep -q "$family open" "$work/out"; then failed "$family is open"; else passed; fi
done
says 'closed' 'sockrig: refused' "$err"
says 'closed' 'socket(AF_INET, SOCK_STREAM)' "$err"
expect 'an exit code of its own' 7 --sandbox --error-exitcode 7 -- \
    /usr/bin/python3 "$work/try.py" AF_INET
expect 'nothing refused' 0 --sandbox -- /usr/bin/python3 "$work/try.py" AF_UNIX
expect 'a family opened' 0 --sandbox --policy inet=native -- \
    /usr/bin/python3 "$work/try.py" AF_UNIX AF_INET
says 'a family opened' 'AF_INET open' "$work/out"

# Past the library: inline, and a static program.
cat >"$work/raw.c" <<'END'
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static long raw_call(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

int main(void)
{
    printf("%ld %ld %ld\n", raw_call(SYS_socket, AF_INET, SOCK_STREAM, 0),
           raw_call(SYS_socket, AF_NETLINK, SOCK_RAW, 0),
           raw_call(425 /* io_uring_setup */, 1, 0, 0));
    return raw_call(SYS_socket, AF_UNIX, SOCK_STREAM, 0) < 0;
}
END
gcc -O1 -o "$work/raw" "$work/raw.c" && gcc -O1 -static -o "$work/raw_static" "$work/raw.c" ||
    failed 'gcc'
expect 'inline' 0 --sandbox -- "$work/raw"
says 'inline' '-95 -95 -38' "$work/out"
expect 'a static program' 0 --sandbox --allow-native -- "$work/raw_static"
says 'a static program' '-95 -95 -38' "$work/out"

# Names of other programs on this machine.
cat >"$work/names.py" <<'END'
import os, socket, subprocess, sys
path = sys.argv[1] + "/outside"
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(path)
    print("connected")
except OSError as error:
    print(error.errno)
END
/usr/bin/python3 - "$work" <<'END' &
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1] + "/outside")
server.listen()
open(sys.argv[1] + "/ready", "w").close()
server.settimeout(20)
server.accept()
END
outside=$!
tries=0
while [ ! -e "$work/ready" ] && [ $tries -lt 200 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
expect 'names outside' 1 --sandbox -- /usr/bin/python3 "$work/names.py" "$work"
says 'names outside' '111' "$work/out"
expect 'one name opened' 0 --sandbox "--host-unix=$work/*" -- \
    /usr/bin/python3 "$work/names.py" "$work"
says 'one name opened' 'connected' "$work/out"
wait $outside

# --error-exitcode without a sandbox.
cat >"$work/dead.py" <<'END'
import os, socket
a, b = socket.socketpair()
if os.fork() == 0:
    a.close()
    b.recv(1)
b.close()
a.recv(1)
END
expect 'a deadlock' 9 --error-exitcode 9 -- /usr/bin/python3 "$work/dead.py"
expect 'nothing found' 3 --error-exitcode 9 -- sh -c 'exit 3'
expect 'a bad code' 125 --error-exitcode 256 -- true
finish
