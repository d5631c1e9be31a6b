#!/bin/sh
# trace_replay.sh - a recorded run becomes a test: `sockrig trace --script`, then `interpret`
#
# Programs of several kinds are recorded, and their scripts interpreted on the emulator and on the
# kernel without a difference; one of them 100 times with the same output. A lie in the script is
# found, and `shrink` makes it small.
. "${0%/*}/compare.inc"

python=/usr/bin/python3

record() { # NAME COMMAND...: makes $work/NAME.strace
    name=$1
    shift
    timeout "$limit" "$SOCKRIG" run --record "$work/$name" -- "$@" >"$work/$name.out" 2>&1 ||
        failed "$name: recorded, exit code $?"
    "$SOCKRIG" trace --script "$work/$name" >"$work/$name.strace" 2>"$err" ||
        failed "$name: script, exit code $?"
    [ "$(head -n 1 "$work/$name.strace")" = '# log' ] && passed || failed "$name: isn't a log"
}

replays() { # NAME LEAST: at least so many calls are interpreted
    for side in emu kernel; do
        timeout "$limit" "$SOCKRIG" interpret --on $side "$work/$1.strace" >"$work/out" 2>&1
        result=$?
        count=$(sed -nE 's/.* ([0-9]+) interpreted,.*/\1/p' "$work/out" | head -n 1)
        if [ $result -eq 0 ] && [ "${count:-0}" -ge "$2" ]; then
            passed
        else
            failed "$1, $side: exit code $result, $count interpreted"
            tail -n 12 "$work/out"
        fi
    done
}

# ---- A pipeline: forks, dup2, exec, end of file ----

cat >"$work/pipeline.py" <<'END_OF_PYTHON'
import subprocess
commands = ["seq", "1", "3000"], ["grep", "7"], ["sort", "-rn"], ["tail", "-n", "3"]
running = []
for command in commands:
    before = running[-1].stdout if running else None
    running.append(subprocess.Popen(command, stdin=before, stdout=subprocess.PIPE,
                                    preexec_fn=int))
    if before:
        before.close()
print(running[-1].stdout.read())
for process in running:
    process.wait()
END_OF_PYTHON
record pipeline $python "$work/pipeline.py"
replays pipeline 30

# ---- A shell's pipelines, one in another's place, and one in a variable ----

record shell sh -c 'seq 1 2000 | grep 7 | sort -rn | { read a; read b; echo $a $b; wc -l; }
    x=$(echo one | cat); echo $x | (cat; exit 3) | cat'
replays shell 60

# ---- Threads and processes that share two pipes and a lock ----

cat >"$work/pool.py" <<'END_OF_PYTHON'
import multiprocessing

def square(x):
    return x * x

if __name__ == "__main__":
    with multiprocessing.Pool(3) as pool:
        print(sum(pool.imap_unordered(square, range(40), chunksize=4)))
END_OF_PYTHON
record pool $python "$work/pool.py"
replays pool 100

# ---- Threads that write, one that polls; records, descriptors in messages, half-close ----

cat >"$work/mixed.py" <<'END_OF_PYTHON'
import os, select, socket, threading
near, far = socket.socketpair()
r, w = os.pipe()
def send(i):
    for k in range(20):
        os.write(w, b"x%d" % i)
        near.send(b"m" * (k + 1))
threads = [threading.Thread(target=send, args=(i,)) for i in range(3)]
for thread in threads:
    thread.start()
poll = select.poll()
poll.register(r, select.POLLIN)
poll.register(far, select.POLLIN)
left = 3 * 20 * 2 + 3 * sum(range(1, 21))
while left > 0:
    for fd, _ in poll.poll():
        left -= len(os.read(fd, 50))
for thread in threads:
    thread.join()
near.shutdown(socket.SHUT_WR)
assert far.recv(10) == b""
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
for size in 0, 1, 1000:
    a.send(b"r" * size)
print([len(b.recv(500)) for _ in range(3)])
END_OF_PYTHON
record mixed $python "$work/mixed.py"
replays mixed 150

# ---- A server with a name, two clients at a time, an event loop ----

cat >"$work/server.py" <<'END_OF_PYTHON'
import asyncio, os, sys
path = sys.argv[1]

async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()

async def client(name):
    reader, writer = await asyncio.open_unix_connection(path)
    for i in range(5):
        writer.write(b"%s %d\n" % (name, i))
        print(await reader.readline())
    writer.close()

async def main():
    server = await asyncio.start_unix_server(serve, path)
    await asyncio.gather(client(b"one"), client(b"two"))
    server.close()

asyncio.run(main())
END_OF_PYTHON
record server $python "$work/server.py" "$work/name"
replays server 30

# ---- A log with what isn't modeled: urgent data, a copy of a descriptor by its pidfd ----

cat >"$work/others.strace" <<'END_OF_LOG'
# log
100 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0
100 sendto(3, "abc", 3, 0, NULL, 0) = 3
100 sendto(3, "X", 1, MSG_OOB, NULL, 0) = 1
100 sendto(3, "def", 3, 0, NULL, 0) = 3
100 recvfrom(4, "abc", 10, 0, NULL, NULL) = 3
100 recvfrom(4, "X", 1, MSG_OOB, NULL, NULL) = 1
100 recvfrom(4, "def", 10, 0, NULL, NULL) = 3
100 pipe2([5, 6], 0) = 0
100 pipe2([7, 8], 0) = 0
100 pidfd_open(100, 0) = 9
100 pidfd_getfd(9, 6, 0) = 10
100 write(10, "hello", 5) = 5
100 read(5, "hello", 10) = 5
100 write(8, "mine", 4) = 4
100 read(7, "mine", 10) = 4
END_OF_LOG
replays others 10
says 'what is opaque is counted' 'skipped (' "$work/out"

# ---- The same every time ----

timeout "$limit" "$SOCKRIG" interpret --on emu "$work/pool.strace" >"$work/first" 2>&1
same=0
for _ in $(seq 100); do
    timeout "$limit" "$SOCKRIG" interpret --on emu "$work/pool.strace" >"$work/out" 2>&1
    cmp -s "$work/first" "$work/out" && same=$((same + 1))
done
[ $same -eq 100 ] && [ -s "$work/first" ] && passed || failed "$same of 100 runs say the same"

# ---- A lie is found, and shrunk ----

sed 's/\(recvfrom.*\) = 500$/\1 = 499/' "$work/mixed.strace" >"$work/lie.strace"
cmp -s "$work/mixed.strace" "$work/lie.strace" && failed 'the lie is not in the script'
timeout "$limit" "$SOCKRIG" interpret --on emu "$work/lie.strace" >"$work/out" 2>&1
[ $? -eq 1 ] && passed || failed 'the lie is not found'
says 'the lie' '= 499 in the log, 500 here' "$work/out"
timeout "$limit" "$SOCKRIG" shrink -q -o "$work/small.strace" "$work/lie.strace" >"$work/out" 2>&1
result=$?
lines=$(wc -l <"$work/small.strace")
if [ $result -eq 0 ] && [ "$lines" -gt 1 ] && [ "$lines" -le 12 ]; then
    passed
else
    failed "shrunk to $lines lines, exit code $result"
    head -n 20 "$work/out" "$work/small.strace"
fi

finish
