#!/bin/sh
# record.sh - `sockrig run --record DIR` and what can be read back
#
# Real programs are recorded: a pipeline, a pool of processes, threads, handlers, one that is killed
# with everything that watches it. Every byte that went through a channel must be in the recording,
# in the order in which it went; and where a recording can't go on, the program must.
. "${0%/*}/compare.inc"

python=/usr/bin/python3

# Bytes of each channel as they were written and as they were read, by the order of the log. Calls
# that overlap may have happened in either order: then it is enough that the same bytes are there.
cat >"$work/channels.py" <<'END_OF_PYTHON'
import ast, collections, json, sys

written = collections.defaultdict(list)
read = collections.defaultdict(list)
calls = 0
for line in sys.stdin:
    call = json.loads(line)
    if call.get("call") not in ("read", "write") or call.get("result", -1) < 0:
        continue
    about = next((fd for fd in call["fds"] if "object" in fd), None)
    if not about:
        continue
    calls += 1
    data = ast.literal_eval("b" + call["arguments"][1].rstrip("."))[:call["result"]]
    assert len(data) == call["result"], call["text"][:200]
    (written if call["call"] == "write" else read)[about["object"]].append(
        (call["enter_ns"], call["leave_ns"], data))

def joined(parts):
    return b"".join(part[2] for part in sorted(parts))

def overlaps(parts):
    parts = sorted(parts)
    return any(a[1] > b[0] for a, b in zip(parts, parts[1:]))

for channel in sorted(written.keys() | read.keys()):
    there, here = joined(written[channel]), joined(read[channel])
    mixed = overlaps(written[channel]) or overlaps(read[channel])
    # What is left unread when all have closed their ends is lost.
    same = (not collections.Counter(here) - collections.Counter(there)) if mixed \
        else there.startswith(here)
    print(f"channel {channel}: {'same' if same else 'DIFFERS'} {len(there)} {len(here)}")
    if len(sys.argv) > 1 and there == open(sys.argv[1], "rb").read():
        print("the file went through")
print(f"{calls} calls")
END_OF_PYTHON

channels() { # FOLDER [FILE]: into $work/channels
    "$SOCKRIG" trace --format json -xx -s 1000000 "$1" >"$work/json" 2>"$err" || return 1
    shift
    "$python" "$work/channels.py" "$@" <"$work/json" >"$work/channels"
}

# LABEL FOLDER CALLS: all that went in came out, in so many calls at least
whole() {
    if ! channels "$2"; then
        failed "$1: can't be read: $(head -c 300 "$err")"
    elif grep -q DIFFERS "$work/channels"; then
        failed "$1: $(grep DIFFERS "$work/channels" | head -n 3)"
    elif [ "$(sed -n 's/ calls$//p' "$work/channels")" -lt "$3" ]; then
        failed "$1: $(tail -n 1 "$work/channels")"
    else
        passed
    fi
}

# ---- A pipeline ----

head -c 300000 /dev/urandom >"$work/data"
expect 'a pipeline' 0 --record "$work/pipeline" --record-bytes 32K sh -c \
    "dd if=$work/data bs=8192 2>/dev/null | dd bs=4096 2>/dev/null |
    dd bs=16384 of=$work/through 2>/dev/null"
cmp -s "$work/data" "$work/through" && passed || failed 'the data of the pipeline'
whole 'a pipeline' "$work/pipeline" 100
channels "$work/pipeline" "$work/data"
[ "$(grep -c 'the file went through' "$work/channels")" -eq 2 ] && passed ||
    failed "both pipes: $(cat "$work/channels")"
[ -s "$work/pipeline/meta.json" ] && "$python" -m json.tool "$work/pipeline/meta.json" \
    >"$work/meta" && grep -q '"version"' "$work/meta" && passed || failed 'meta.json'

# ---- A pool of processes, and threads ----

cat >"$work/pool.py" <<'END_OF_PYTHON'
import multiprocessing, threading, socket

def square(n):
    return n * n

def talk(n):
    a, b = socket.socketpair()
    for i in range(100):
        a.sendall(bytes([n, i]) * 10)
        assert b.recv(100) == bytes([n, i]) * 10

if __name__ == "__main__":
    with multiprocessing.Pool(3) as pool:
        print(sum(pool.map(square, range(200), 5)))
    threads = [threading.Thread(target=talk, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
END_OF_PYTHON
expect 'a pool' 0 --record "$work/pool" "$python" "$work/pool.py"
says 'a pool' 2646700 "$work/out"
whole 'a pool' "$work/pool" 40
messages=$("$SOCKRIG" trace -f -e trace=sendto,recvfrom,send,recv -qq "$work/pool" |
    grep -cE '^(\[pid +[0-9]+\] )?(send|recv).* = 20')
[ "$messages" -ge 700 ] && passed || failed "threads: $messages messages"

# ---- Handlers ----

cat >"$work/handler.py" <<'END_OF_PYTHON'
import os, signal
r, w = os.pipe()
signal.signal(signal.SIGALRM, lambda *_: os.write(w, b"from the handler"))
signal.setitimer(signal.ITIMER_REAL, 0.05)
print(os.read(r, 100))
END_OF_PYTHON
expect 'a handler' 0 --record "$work/handler" "$python" "$work/handler.py"
"$SOCKRIG" trace -f "$work/handler" >"$work/text"
"$python" - "$work/text" <<'END_OF_PYTHON' && passed || failed "a handler: $(cat "$work/text")"
import re, sys
text = open(sys.argv[1]).read()
at = [text.find(word) for word in ("read(3", "--- SIGALRM", "from the handler", "read resumed")]
sys.exit(not (0 <= at[0] < at[1] < at[2] and (at[3] < 0 or at[1] < at[3])))
END_OF_PYTHON

# ---- Killed: the program, and with it the supervisor ----

cat >"$work/killed.py" <<'END_OF_PYTHON'
import os, signal, sys
r, w = os.pipe()
for i in range(5000):
    os.write(w, b"%06d" % i)
    os.read(r, 6)
if sys.argv[1] == "both":
    os.kill(os.getppid(), signal.SIGKILL)
os.write(w, b"the last words")
os.kill(os.getpid(), signal.SIGKILL)
END_OF_PYTHON
expect 'killed' 137 --record "$work/killed" sh -c "$python $work/killed.py alone"
whole 'killed' "$work/killed" 10001
"$SOCKRIG" trace -f -qq "$work/killed" | grep -q 'the last words' && passed ||
    failed 'killed: its last call'
timeout "$limit" "$SOCKRIG" run --record "$work/both" -- "$python" "$work/killed.py" both \
    >/dev/null 2>&1
channels "$work/both" && grep -q '^10001 calls' "$work/channels" && passed ||
    failed "killed with its supervisor: $(cat "$work/channels" "$err")"

# Blocked when it is killed: the call is there, without an end.
cat >"$work/blocked.py" <<'END_OF_PYTHON'
import os, signal, sys
r, w = os.pipe()
child = os.fork()
if child == 0:
    os.read(r, 77)
while "S (sleeping)" not in open(f"/proc/{child}/status").read():
    os.sched_yield()
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
END_OF_PYTHON
expect 'killed while it was blocked' 0 --record "$work/blocked" "$python" "$work/blocked.py"
"$SOCKRIG" trace -f "$work/blocked" >"$work/text"
grep -qE 'read\(3,.*= \?' "$work/text" && grep -q 'killed by SIGKILL' "$work/text" &&
    passed || failed "killed while it was blocked: $(cat "$work/text")"

# ---- Limits, and what is refused ----

bulk="dd if=/dev/zero bs=4096 count=2000 2>/dev/null | cat | cksum"
expect 'a limit' 0 --record "$work/small" --record-size 1M sh -c "$bulk"
[ "$(cat "$work/out")" = "$(sh -c "$bulk")" ] && passed || failed 'a limit: the data'
says 'a limit' 'is as large as it may be (1048576 bytes' "$err"
"$SOCKRIG" trace -f "$work/small" >"$work/text" 2>"$err" && [ -s "$work/text" ] && passed ||
    failed "a limit: can't be read: $(cat "$err")"
[ "$(stat -c %s "$work/small/log")" -le 1048576 ] && passed || failed 'a limit: the size'

expect 'a recording stands there' 125 --record "$work/small" true
says 'a recording stands there' 'there is a recording in it' "$err"
: >"$work/file"
expect 'no folder' 125 --record "$work/file" true
expect 'nowhere' 125 --record "$work/none/at/all" true
expect 'no name' 125 --record= true
expect 'too few bytes' 125 --record "$work/x" --record-bytes 3 true
expect 'too many bytes' 125 --record "$work/x" --record-bytes 1M true
expect 'too small' 125 --record "$work/x" --record-size 4K true
[ -e "$work/x" ] && failed 'a refused run has made its folder' || passed

# A file system that is full: the program goes on. (Where a user may have a mount of its own.)
full='mount -t tmpfs -o size=300k none "$1" && cd "$1" && shift && exec "$@"'
mkdir "$work/mount"
if unshare -rm sh -c 'mount -t tmpfs none "$1"' sh "$work/mount" 2>/dev/null; then
    timeout "$limit" unshare -rm sh -c "$full" sh "$work/mount" "$SOCKRIG" run --record here -- \
        sh -c "$bulk" >"$work/out" 2>"$err"
    [ $? -eq 0 ] && [ "$(cat "$work/out")" = "$(sh -c "$bulk")" ] && passed ||
        failed "no space: $(cat "$err")"
    says 'no space' 'No space left on device' "$err"
fi

# ---- A bare preload ----

SOCKRIG_OPTIONS="record=$work/bare report=$work/report" LD_PRELOAD=$library \
    timeout "$limit" sh -c "$bulk" >"$work/out"
[ "$(cat "$work/out")" = "$(sh -c "$bulk")" ] && passed || failed 'a bare preload: the data'
"$SOCKRIG" trace -f -qq -e trace=write "$work/bare" >"$work/text" 2>"$err"
[ "$(grep -c '= 4096$' "$work/text")" -ge 2000 ] && passed ||
    failed "a bare preload: $(wc -l <"$work/text") lines $(cat "$err")"
SOCKRIG_OPTIONS="record=$work/bare report=$work/report" LD_PRELOAD=$library \
    timeout "$limit" sh -c "$bulk" >/dev/null
says 'a bare preload, again' 'record errno 17' "$work/report"

finish
