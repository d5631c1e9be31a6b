#!/bin/sh
# deadlock.sh - deadlocks are told within a second, with who waits for whom; what somebody could
# still end is none
. "${0%/*}/compare.inc"

# LABEL COMMAND...: ends with 124 because of a deadlock, after no more than a second
stuck() {
    label=$1
    shift
    started=$(date +%s%N)
    expect "$label" 124 "$@"
    took=$((($(date +%s%N) - started) / 1000000))
    says "$label" 'sockrig: deadlock: ' "$err"
    # The program itself needs a moment until it is stuck.
    if [ "$took" -lt 3000 ]; then passed; else failed "$label: told after $took ms"; fi
}

# LABEL COMMAND...: is blocked for some time, and goes on
goes_on() {
    label=$1
    shift
    expect "$label" 0 "$@"
    if grep -q deadlock "$err"; then
        failed "$label: a false alarm"
        cat "$err"
    else
        passed
    fi
}

py() { # NAME: a Python program from standard input
    cat >"$work/$1.py"
}

# ---- Deadlocks ----

py full <<'END'
import os
r, w = os.pipe()
if os.fork() == 0:
    os.close(r)
    os.write(w, bytes(100000))
    os._exit(0)
os.close(w)
os.wait()
END
stuck 'child writes, parent waits' -- /usr/bin/python3 "$work/full.py"
says 'child writes, parent waits' 'no task can go on' "$err"
says 'child writes, parent waits' 'read end: python3[' "$err"
says 'child writes, parent waits' 'wait4(' "$err"

py join <<'END'
import os, threading
r, w = os.pipe()
thread = threading.Thread(target=lambda: os.write(w, bytes(100000)))
thread.start()
thread.join()
END
stuck 'a thread that is joined' -- /usr/bin/python3 "$work/join.py"
says 'a thread that is joined' 'itself alone' "$err"

py both <<'END'
import os, socket
a, b = socket.socketpair()
if os.fork() == 0:
    a.close()
    b.recv(1)
    os._exit(0)
b.close()
a.recv(1)
END
stuck 'both read' -- /usr/bin/python3 "$work/both.py"
says 'both read' 'empty' "$err"

# Beside it another part of the program is alive.
py part <<'END'
import os, socket, sys, time
a, b = socket.socketpair()
if os.fork() == 0:
    a.close()
    b.recv(1)
    os._exit(0)
if os.fork() == 0:
    a.close()
    b.close()
    time.sleep(60)
    os._exit(0)
b.close()
a.recv(1)
END
stuck 'a part of it' -- /usr/bin/python3 "$work/part.py"
says 'a part of it' '2 of 3 tasks can never go on' "$err"

expect 'report alone' 124 --on-deadlock=report --timeout 2s -- /usr/bin/python3 "$work/both.py"
says 'report alone' 'sockrig: deadlock: ' "$err"
says 'report alone' 'time is up after 2s' "$err"
if [ "$(grep -c 'sockrig: deadlock: ' "$err")" -eq 1 ]; then
    passed
else
    failed 'told more than once'
fi

# As JSON.
timeout 20 "$SOCKRIG" run --json --report="$work/json" -- /usr/bin/python3 "$work/both.py" 2>"$err"
python3 - "$work/json" <<'END' && passed || failed 'json'
import json, sys
waits = json.load(open(sys.argv[1]))["deadlock"]
assert len(waits["tasks"]) == 2 and all(task["stuck"] for task in waits["tasks"])
assert all(task["stack"] for task in waits["tasks"])
END

# ---- None ----

# A clock, an alarm, a signal for the self-pipe, a listener, a descriptor of the kernel's, a child
# that thinks, a process that is stopped and goes on: each of them ends the wait after a second.
py clock <<'END'
import os, select
r, w = os.pipe()
select.select([r], [], [], 1)
END
goes_on 'a time-out' -- /usr/bin/python3 "$work/clock.py"

py alarm <<'END'
import os, signal
r, w = os.pipe()
class Enough(Exception): pass
def ring(number, frame):
    raise Enough
signal.signal(signal.SIGALRM, ring)
signal.alarm(1)
try:
    os.read(r, 1)
except Enough:
    pass
END
goes_on 'an alarm' -- /usr/bin/python3 "$work/alarm.py"

py self <<'END'
import os, signal, subprocess
r, w = os.pipe()
signal.signal(signal.SIGTERM, lambda number, frame: None)
os.set_blocking(w, False)
signal.set_wakeup_fd(w)
outside = subprocess.Popen(["sh", "-c", "sleep 1; kill -TERM %d" % os.getpid()])
assert os.read(r, 1) == b"\x0f"
outside.wait()
END
goes_on 'a self-pipe' -- /usr/bin/python3 "$work/self.py"

py listener <<'END'
import os, socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("\0sockrig-deadlock-%d" % os.getpid())
s.listen()
child = os.fork()
if child == 0:
    time.sleep(1)
    c = socket.socket(socket.AF_UNIX)
    c.connect(s.getsockname())
    os._exit(0)
s.accept()
os.waitpid(child, 0)
END
goes_on 'a listener' -- /usr/bin/python3 "$work/listener.py"

py real <<'END'
import os, select, threading, time
r, w = os.pipe()
event = os.eventfd(0)
poll = select.poll()
poll.register(r, select.POLLIN)
poll.register(event, select.POLLIN)
child = os.fork()
if child == 0:
    time.sleep(1)
    os.eventfd_write(event, 1)
    os._exit(0)
os.close(w)
w = None
poll.poll()
os.waitpid(child, 0)
END
goes_on 'a descriptor of the kernel' -- /usr/bin/python3 "$work/real.py"

py think <<'END'
import os, time
r, w = os.pipe()
if os.fork() == 0:
    os.close(r)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        pass
    os.write(w, b"x")
    os._exit(0)
os.close(w)
assert os.read(r, 1) == b"x"
os.wait()
END
goes_on 'a child that thinks' -- /usr/bin/python3 "$work/think.py"

py stopped <<'END'
import os, signal, subprocess, time
r, w = os.pipe()
child = os.fork()
if child == 0:
    os.close(r)
    os.kill(os.getpid(), signal.SIGSTOP)
    os.write(w, b"x")
    os._exit(0)
os.close(w)
outside = subprocess.Popen(["sh", "-c", "sleep 1; kill -CONT %d" % child])
assert os.read(r, 1) == b"x"
outside.wait()
os.waitpid(child, 0)
END
goes_on 'a stopped process' -- /usr/bin/python3 "$work/stopped.py"

# Nothing moves, but somebody could come: told when it is asked for, and only then.
py hang <<'END'
import os, socket
s = socket.socket(socket.AF_UNIX)
s.bind("\0sockrig-hang-%d" % os.getpid())
s.listen()
s.settimeout(3)
try:
    s.accept()
except TimeoutError:
    pass
END
goes_on 'an idle server' -- /usr/bin/python3 "$work/hang.py"
expect 'hang-timeout' 0 --hang-timeout 1s -- /usr/bin/python3 "$work/hang.py"
says 'hang-timeout' 'perhaps a deadlock: nothing has moved for 1s' "$err"
expect 'hang-timeout, kill' 124 --hang-timeout 1s --on-deadlock=kill -- \
    /usr/bin/python3 "$work/hang.py"
expect 'a bad word' 125 --on-deadlock=maybe -- true
says 'a bad word' 'report or kill' "$err"
finish
