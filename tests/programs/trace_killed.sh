#!/bin/sh
# trace_killed.sh - what is killed: a recorded process in its trace, and `sockrig interpret` itself
#
# A process that SIGKILL ends in the middle of a call says nothing of it; who waits for it does: its
# parent, or `sockrig run`. Its trace reads as strace's does, and is a log that can be interpreted.
# `interpret` that is ended by a signal leaves no folder behind.
. "${0%/*}/compare.inc"

python=/usr/bin/python3

# ---- A run whose program is killed in a read ----

cat >"$work/killed.py" <<'END_OF_PYTHON'
import os, signal
go_r, go_w = os.pipe()
a_r, a_w = os.pipe()
if os.fork() == 0:
    os.close(a_w)
    os.read(go_r, 1)
    stat = f"/proc/{os.getppid()}/stat"
    while open(stat).read().rsplit(")", 1)[1].split()[0] != "S":
        pass  # until it sleeps in its last read
    os.kill(os.getppid(), signal.SIGKILL)
    os.read(a_r, 1)  # its end: the parent is dead
    os._exit(0)
child = os.fork()
if child == 0:
    os.kill(os.getpid(), signal.SIGUSR1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGUSR1
os.write(go_w, b"x")
os.read(a_r, 10)
END_OF_PYTHON
result=0
{ timeout "$limit" "$SOCKRIG" run --record "$work/killed" -- $python "$work/killed.py" ||
    result=$?; } 2>"$err"
[ $result -eq 137 ] && passed || failed "killed: exit code $result, not 137"
"$SOCKRIG" trace -f "$work/killed" >"$work/text" 2>"$err" || failed "trace: exit code $?"

has() { # LABEL TIMES REGEX: so many lines of the trace match
    count=$(grep -cE "$3" "$work/text")
    if [ "$count" -eq "$2" ]; then
        passed
    else
        failed "$1: $count lines, not $2"
        tail -n 20 "$work/text"
    fi
}
has 'killed by SIGKILL' 1 '^(\[pid +[0-9]+\] )?\+\+\+ killed by SIGKILL \+\+\+$'
has 'killed by SIGUSR1' 1 '^(\[pid +[0-9]+\] )?\+\+\+ killed by SIGUSR1 \+\+\+$'
has 'the call that was never left' 1 \
    '(read\([0-9]+,|<\.\.\. read resumed>)  ?<unfinished \.\.\.>\) += \?$'

"$SOCKRIG" trace --script "$work/killed" >"$work/killed.strace" 2>"$err" || failed 'its script'
for side in emu kernel; do
    timeout "$limit" "$SOCKRIG" interpret --on $side "$work/killed.strace" >"$work/out" 2>&1 &&
        passed || failed "interpreted on $side: $(tail -n 5 "$work/out")"
done

echo broken >>"$work/killed/ends"
"$SOCKRIG" trace "$work/killed" >"$work/out" 2>"$err"
result=$?
[ $result -eq 125 ] && passed || failed "broken ends: exit code $result"
says 'broken ends' '/ends:2: not "PID STATUS NANOSECONDS"' "$err"

# ---- interpret is ended ----

# Eight threads that write at a time, then bytes that were never sent: a long search.
"$python" - >"$work/long.strace" <<'END_OF_PYTHON'
print("# log")
print("100 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0")
tasks = range(101, 109)
for task in tasks:
    print("100 clone(child_stack=NULL, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|"
          f"CLONE_THREAD|CLONE_SYSVSEM) = {task}")
for _ in range(40):
    for task in tasks:
        print(f'{task} write(4, "{chr(task - 4)}", 1 <unfinished ...>')
    for task in tasks:
        print(f"{task} <... write resumed>) = 1")
print('100 read(3, "%s", 600) = 600' % ("ab" * 300))
END_OF_PYTHON

# Ends it as soon as it has a folder, and a first run in it.
cat >"$work/end.py" <<'END_OF_PYTHON'
import glob, os, signal, subprocess, sys, time
number = getattr(signal, sys.argv[1])
before = set(glob.glob("/tmp/sockrig-log.*"))
process = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
mine = set()
while not mine and process.poll() is None:
    mine = set(glob.glob("/tmp/sockrig-log.*/*")) - before
    mine = {os.path.dirname(run) for run in mine if os.path.dirname(run) not in before}
    time.sleep(0)
process.send_signal(number)
code = process.wait()
assert mine, "it made no folder, or was too quick"
assert code == -number, code
left = [folder for folder in mine if os.path.exists(folder)]
assert not left, left
END_OF_PYTHON
for signal in SIGTERM SIGINT SIGHUP; do
    timeout "$limit" "$python" "$work/end.py" $signal "$SOCKRIG" interpret --on kernel \
        "$work/long.strace" >"$work/out" 2>&1 && passed ||
        failed "$signal: $(tail -n 1 "$work/out")"
done

finish
