#!/bin/sh
# preload.sh - a bare LD_PRELOAD of the library, without the command
. "${0%/*}/compare.inc"

library=${SOCKRIG_LIB:-$(dirname "$(dirname "$(readlink -f "$SOCKRIG")")")/lib/libsockrig.so}

bare() {
    label=$1
    shift
    "$@" <"$input" >"$work/native" 2>"$work/native.err"
    native_code=$?
    LD_PRELOAD=$library timeout "$limit" "$@" <"$input" >"$work/emulated" 2>"$work/emulated.err"
    emulated_code=$?
    if [ "$native_code" -eq "$emulated_code" ] && cmp -s "$work/native" "$work/emulated" &&
        cmp -s "$work/native.err" "$work/emulated.err"; then
        passed
    else
        failed "$label: exit code $emulated_code, natively $native_code"
        diff -u "$work/native" "$work/emulated" | head -n 20
        head -n 20 "$work/emulated.err"
    fi
}

bare 'true' true
bare 'pipeline' sh -c 'seq 1 10000 | sort -rn | head -n 5'
bare 'bash' bash -c 'x=$(echo a | tr a b); echo "$x"; exit 3'
bare 'errors stay the program'"'"'s' sh -c 'echo error >&2; ls /nonexistent/directory 2>&1'
bare 'python' /usr/bin/python3 -c '
import os, subprocess, threading
r, w = os.pipe()
threading.Thread(target=lambda: (os.write(w, b"x" * 100000), os.close(w))).start()
n = 0
while d := os.read(r, 65536): n += len(d)
print(n, subprocess.run(["cat"], input=b"y" * 300000, capture_output=True).stdout == b"y" * 300000)'
# No supervisor: a reader must still learn that the last writer was killed.
bare 'a killed writer' /usr/bin/python3 -c '
import os, signal
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(w, b"x"); signal.pause()
os.close(w)
print(os.read(r, 1))
os.kill(pid, signal.SIGKILL)
print(os.read(r, 1), os.waitpid(pid, 0)[1])'
SOCKRIG_OPTIONS="report=$work/report" LD_PRELOAD=$library \
    sh -c 'echo x | cat' >"$work/out" 2>"$err"
[ -s "$err" ] && failed 'something was written to stderr' || passed
finish
