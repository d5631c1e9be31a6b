#!/bin/sh
# closed_fds.sh - programs that start with standard descriptors closed, or close all of them
. "${0%/*}/compare.inc"

for closed in '0<&-' '1>&-' '2>&-' '0<&- 1>&-' '0<&- 1>&- 2>&-'; do
    # The inner program reports through its exit code and a file: descriptor numbers from 0 on.
    same "closed $closed" sh -c "/usr/bin/python3 -c '
import os
r, w = os.pipe()
os.write(w, b\"abc\")
data = os.read(r, 10)
open(\"$work/seen\", \"w\").write(f\"{r} {w} {data}\")
' $closed; echo \$?; cat '$work/seen'"
done
same 'closefrom' /usr/bin/python3 -c '
import os
a, b = os.pipe()
os.closerange(3, 1024)
r, w = os.pipe()
print(r, w, os.write(w, b"x"), os.read(r, 10))
pid = os.fork()
if pid == 0:
    os.close(r); os.write(w, b"child"); os._exit(0)
os.close(w)
print(os.read(r, 10), os.read(r, 10), os.waitpid(pid, 0)[1])'
same 'all descriptors, then more' /usr/bin/python3 -c '
import os
pairs = [os.pipe() for _ in range(200)]
for r, w in pairs: os.write(w, b"%d" % w)
print(all(os.read(r, 10) == b"%d" % w for r, w in pairs))
print(pairs[0], pairs[-1])'
same 'until no number is left' sh -c 'ulimit -n 50; /usr/bin/python3 -c "
import os
n = 0
try:
    while True:
        os.pipe(); n += 1
except OSError as e:
    print(e.strerror)"'
expect 'run with nothing open' 3 sh -c 'exit 3' <&- >&- 2>&-
finish
