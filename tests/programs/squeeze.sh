#!/bin/sh
# squeeze.sh - small capacities: what a program sees of them, and a bug that they bring to light
. "${0%/*}/compare.inc"

cat >"$work/sizes.py" <<'END'
import fcntl, os, socket

def fill(write):
    total = 0
    try:
        while True:
            total += write()
    except BlockingIOError:
        return total

r, w = os.pipe()
os.set_blocking(w, False)
a, b = socket.socketpair()
a.setblocking(False)
print(fcntl.fcntl(w, 1032), fill(lambda: os.write(w, b"x" * 4096)),
      a.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), fill(lambda: a.send(b"x")))
END

# The kernel's own figures for these sizes: 2 slots; 6 one-byte writes (a charge of 768 each).
expect 'squeeze' 0 --squeeze -- /usr/bin/python3 "$work/sizes.py"
says 'squeeze' '8192 8192 4608 6' "$work/out"
expect 'single sizes' 0 --pipe-capacity 128K --sock-buffer=9216 -- /usr/bin/python3 "$work/sizes.py"
says 'single sizes' '131072 131072 9216 12' "$work/out"
expect 'the default' 0 -- /usr/bin/python3 "$work/sizes.py"
says 'the default' '65536 65536 212992 278' "$work/out"
expect 'more than Linux gives' 125 --pipe-capacity 2M -- true
says 'more than Linux gives' 'give 1 to 1M' "$err"
expect 'no size' 125 --sock-buffer=much -- true
says 'no size' 'give a size from 1 on' "$err"

# A child that fills its pipe while the parent waits for its end: hidden by 64 KiB, not by 8.
cat >"$work/wait_first.py" <<'END'
import subprocess, sys
child = subprocess.Popen(["head", "-c", "20000", "/dev/zero"], stdout=subprocess.PIPE)
try:
    child.wait(timeout=3)
except subprocess.TimeoutExpired:
    print("stuck")
print(len(child.stdout.read()))
END
same 'wait first, with room' /usr/bin/python3 "$work/wait_first.py"
expect 'wait first, squeezed' 0 --squeeze -- /usr/bin/python3 "$work/wait_first.py"
says 'wait first, squeezed' stuck "$work/out"
says 'wait first, squeezed' 20000 "$work/out"
finish
