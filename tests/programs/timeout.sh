#!/bin/sh
# timeout.sh - `--timeout`: who waits for what when the time is up, and that all is gone afterwards
#
# The programs never end by themselves. They run side by side, with three seconds to get stuck in.
. "${0%/*}/compare.inc"

python=/usr/bin/python3
time=3s

start() { # NAME OPTION... -- PROG...: runs it in the background
    name=$1
    shift
    mkdir "$work/$name"
    (
        cd "$work/$name" || exit 1
        timeout "$limit" "$SOCKRIG" run --timeout "$time" "$@" </dev/null >out 2>err
        echo $? >code
    ) &
}

ended() { # NAME CODE
    err=$work/$1/err
    if [ "$(cat "$work/$1/code")" -eq "$2" ]; then
        passed
    else
        failed "$1: exit code $(cat "$work/$1/code"), expected $2"
        cat "$err"
    fi
}

line() { # NAME PATTERN: its dump has a line like this
    if grep -qE -e "$2" "$work/$1/err"; then
        passed
    else
        failed "$1: no line '$2' in:"
        cat "$work/$1/err"
    fi
}

gone() { # NAME: none of the pids that it wrote down is alive; init may not have reaped all yet
    while read -r pid; do
        state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)
        case $state in
        '' | Z | X) passed ;;
        *) failed "$1: process $pid is still there, state $state" ;;
        esac
    done <"$work/$1/pids"
    [ -s "$work/$1/pids" ] || failed "$1: no pids"
}

# What all programs begin with. note(): the pid, for gone().
cat >"$work/start.py" <<'END_OF_PYTHON'
import ctypes, fcntl, os, select, signal, socket, sys, threading, time
def note(pid=None):
    with open("pids", "a") as file:
        file.write(f"{pid or os.getpid()}\n")
def numbers(**values):
    with open("numbers", "w") as file:
        file.write(" ".join(f"{name}={value}" for name, value in values.items()))
def thread(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()
note()
END_OF_PYTHON
program() { # NAME: its text is stdin
    cat "$work/start.py" - >"$work/$1.py"
}

# A child that writes more than its pipe holds, and a parent that waits for its end first.
program full <<'END_OF_PYTHON'
r, w = os.pipe()
r2, w2 = os.pipe()
r3, w3 = os.pipe()
child = os.fork()
if child == 0:
    note()
    os.close(r)
    os.write(w, bytes(60000))
    os._exit(0) # its reader may be ended first
os.close(w)
numbers(r=r, w=w, r2=r2, r3=r3, w2=w2, w3=w3, child=child, parent=os.getpid())
thread(os.read, r2, 4096)
def poll():
    set = select.poll()
    set.register(r2, select.POLLIN)
    set.register(w3, select.POLLIN)
    set.poll()
thread(poll)
thread(time.sleep, 1000)
os.waitpid(child, 0)
END_OF_PYTHON

# Each waits for the other to write.
program pair <<'END_OF_PYTHON'
r, w = os.pipe()
r2, w2 = os.pipe()
child = os.fork()
note()
if child == 0:
    os.close(w)
    os.close(r2)
    os.read(r, 100)
    os._exit(0)
else:
    numbers(r=r, w=w, r2=r2, w2=w2, child=child, parent=os.getpid())
    os.close(r)
    os.close(w2)
    os.read(r2, 100)
END_OF_PYTHON

program sockets <<'END_OF_PYTHON'
a, b = socket.socketpair()
c, d = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
numbers(a=a.fileno(), b=b.fileno(), c=c.fileno(), self=os.getpid())
thread(a.recv, 10)
thread(lambda: [c.send(b"x" * 100) for i in range(1000)])
select.select([b], [], [], 1000)
END_OF_PYTHON

# A set with emulated ends and one of the kernel's; a set that watches that set.
program epoll <<'END_OF_PYTHON'
r, w = os.pipe()
a, b = socket.socketpair()
inner = select.epoll()
inner.register(r, select.EPOLLIN | select.EPOLLET)
inner.register(a, select.EPOLLIN)
inner.register(os.eventfd(0), select.EPOLLIN)
outer = select.epoll()
outer.register(inner, select.EPOLLIN)
thread(outer.poll)
numbers(r=r, w=w, a=a.fileno(), b=b.fileno(), inner=inner.fileno(), outer=outer.fileno())
inner.poll(1000)
END_OF_PYTHON

# Two packets of one byte fill a pipe of two slots.
program slots <<'END_OF_PYTHON'
r, w = os.pipe2(os.O_DIRECT)
for i in range(3):
    os.write(w, b"x")
END_OF_PYTHON

program alone <<'END_OF_PYTHON'
if os.fork() == 0:
    os._exit(0)
r, w = os.pipe()
os.read(r, 1)
END_OF_PYTHON

program busy <<'END_OF_PYTHON'
while True:
    pass
END_OF_PYTHON

# Who won't go: ignores SIGTERM; has left for a session of its own, with another parent; is stopped.
program stubborn <<'END_OF_PYTHON'
signal.signal(signal.SIGTERM, signal.SIG_IGN)
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        note()
        os.write(w, b"x")
        os.close(w)
        signal.pause()
    os._exit(0)
os.wait()
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    note()
    os.write(w, b"x")
    os.close(w)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.close(w)
while os.read(r, 1):
    pass
signal.pause()
END_OF_PYTHON

# A handler of SIGTERM still has its time; what it says and how it ends doesn't change the code.
program tidy <<'END_OF_PYTHON'
def end(*arguments):
    print("tidied up", flush=True)
    os._exit(7)
signal.signal(signal.SIGTERM, end)
r, w = os.pipe()
os.read(r, 1)
END_OF_PYTHON

# A read that was left by siglongjmp isn't one any more.
cat >"$work/jump.c" <<'END_OF_C'
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>
static sigjmp_buf back;
static void jump(int number) { siglongjmp(back, number); }
int main(void)
{
    int fds[2];
    char byte;
    if (pipe(fds) != 0)
        return 1;
    signal(SIGALRM, jump);
    if (sigsetjmp(back, 1) == 0) {
        ualarm(100000, 0);
        return (int)read(fds[0], &byte, 1);
    }
    for (;;)
        pause();
}
END_OF_C

start full --squeeze -- "$python" "$work/full.py"
start pair -- "$python" "$work/pair.py"
start sockets --squeeze -- "$python" "$work/sockets.py"
start epoll -- "$python" "$work/epoll.py"
start slots --squeeze -- "$python" "$work/slots.py"
start json --json --on-deadlock=report --report=file -- "$python" "$work/pair.py"
start only_json --json --on-deadlock=report -- "$python" "$work/pair.py"
SOCKRIG_OPTIONS='timeout=1500ms' start alone -- "$python" "$work/alone.py"
start busy -- "$python" "$work/busy.py"
start stubborn -- "$python" "$work/stubborn.py"
start tidy -- "$python" "$work/tidy.py"
if cc -o "$work/jump" "$work/jump.c" 2>/dev/null; then
    start left -- "$work/jump"
fi
wait

ended full 124
. "$work/full/numbers"
gone full
line full '^sockrig: time is up after 3s: no task runs$'
since='[0-9]\.[0-9] s'
line full "^  python3\[$child\] +write\($w, …, 60000\) +pipe#1 full \(8192 of 8192\) +$since  py"
line full "^     read end: python3\[$parent\] fd $r$"
line full "^  python3\[$parent\] +wait4\($child\) .*\+0x"
line full "^  python3\[$parent\] tid [0-9]+ +read\($r2, …, 4096\) +pipe#2 empty +$since  .*\+0x"
line full "^     write end: python3\[$parent\] fd $w2, python3\[$child\] fd $w2$"
line full "^  python3\[$parent\] tid [0-9]+ +poll\(2 fds, no time-out\) +$since"
line full "^     fd $r2 for POLLIN: pipe#2 empty; write end: python3\[$parent\] fd $w2, "
line full "^     fd $w3 for POLLIN: pipe#3 has room \(0 of 8192\); read end: .*\] fd $r3, "
line full "^  python3\[$parent\] tid [0-9]+ +clock_nanosleep\(99[0-9][.0-9]* s left\) "

ended pair 124
. "$work/pair/numbers"
gone pair
line pair "^  python3\[$parent\] +read\($r2, …, 100\) +pipe#2 empty "
line pair "^     write end: python3\[$child\] fd $w2$"
line pair "^  python3\[$child\] +read\($r, …, 100\) +pipe#1 empty "
line pair "^     write end: python3\[$parent\] fd $w$"

ended sockets 124
. "$work/sockets/numbers"
line sockets "^  python3\[$self\] tid [0-9]+ +recv\($a, …, 10\) +stream#1 empty "
line sockets "^     other end: python3\[$self\] fd $b \(itself alone\)$"
line sockets "^  python3\[$self\] tid [0-9]+ +send\($c, …, 100\) +seqpacket#[0-9]+ full "
line sockets ' full \([0-9]+ bytes, charge [0-9]+ of 4608\) '
line sockets "^  python3\[$self\] +select\(1 fd, 1000000 ms\) "
line sockets "^     fd $b for POLLIN: stream#1 empty; other end: python3\[$self\] fd $a "

ended epoll 124
. "$work/epoll/numbers"
line epoll "^  python3\\[[0-9]+\\] +epoll_wait\\($inner: 2 emulated fds, 1000000 ms\\) +$since  "
line epoll "^     fd $r for POLLIN: pipe#1 empty; write end: .*\\] fd $w \\(itself alone\\)$"
line epoll "^     fd $a for POLLIN: stream#2 empty; other end: .*\\] fd $b \\(itself alone\\)$"
line epoll "tid [0-9]+ +epoll_wait\\($outer: 1 emulated fd, no time-out\\) "
line epoll "^     fd $inner for POLLIN: epoll#1$"

ended slots 124
line slots 'write\([0-9]+, …, 1\) +pipe#1 full \(2 of 8192, in 2 of 2 slots\)'
ended alone 124
line alone '^sockrig: time is up after 3s: '
line alone '^     write end: python3\[[0-9]+\] fd [0-9]+ \(itself alone\)$'
line alone '^  python3\[[0-9]+\] +ended; nobody has waited for it$'
ended busy 124
gone busy
line busy '^sockrig: time is up after 3s: 1 of 1 tasks running$'
line busy '^  python3\[[0-9]+\] +running$'
ended stubborn 124
gone stubborn
line stubborn ' stopped$'
[ "$(wc -l <"$work/stubborn/pids")" -eq 3 ] && passed || failed 'stubborn: three processes'
ended tidy 124
says tidy 'tidied up' "$work/tidy/out"
if [ -d "$work/left" ]; then
    ended left 124
    line left '^  jump\[[0-9]+\] +pause\('
fi

ended json 124
line json '^sockrig: time is up after 3s: no task runs$'
ended only_json 124
for file in json/file only_json/err; do
    "$python" - "$work/$file" "$work/${file%/*}/numbers" <<'END_OF_PYTHON' && passed || failed json
import json, sys
report = json.load(open(sys.argv[1]))
numbers = dict(pair.split("=") for pair in open(sys.argv[2]).read().split())
numbers = {name: int(number) for name, number in numbers.items()}
timeout = report["timeout"]
assert timeout["limit_ms"] == 3000, timeout
task = [task for task in timeout["tasks"] if task["pid"] == numbers["child"]][0]
assert (task["state"], task["call"], task["size"]) == ("blocked", "read", 100), task
assert 0 < task["blocked_ms"] < 3000 and task["module"].startswith("python3"), task
end = task["fds"][0]
assert (end["fd"], end["object"], end["waits_for"]) == (numbers["r"], "pipe", ["POLLIN"]), end
assert end["unread"]["bytes"] == 0 and end["unread"]["capacity"] == 65536, end
assert [(h["pid"], h["fd"]) for h in end["holders"]] == [(numbers["parent"], numbers["w"])], end
assert report["processes"]["left"] == 0 and report["left"]["objects"] == 0, report
END_OF_PYTHON
done

# Whoever ends in time isn't touched: its own code, death by a signal, and nothing is said.
expect 'ends in time' 3 --timeout 60 -- sh -c 'echo x | cat; exit 3'
[ -s "$err" ] && failed 'something was said on stderr' || passed
expect 'dies in time' 143 --timeout 60s -- sh -c 'kill $$'
expect 'minutes' 0 --timeout=1m -- true
expect 'hours' 0 --timeout=1h -- true
expect 'milliseconds' 0 --timeout=3600000ms -- true

for bad in 0 0s -1 abc 5x 1.5s 5mss 's' '' ' 5' 99999999999 0x10; do
    expect "--timeout=$bad" 125 "--timeout=$bad" -- true
    says "--timeout=$bad" '10ms, 30s, 5m' "$err"
done
expect '--timeout without its value' 125 --timeout
finish
