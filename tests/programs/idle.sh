#!/bin/sh
# idle.sh - a program blocked in a mixed wait does nothing, and wakes for either side at once
#
# One waiter for each way to wait (idle.c, asyncio), each on a real descriptor and on an emulated
# one, all at the same time. For 10 s nothing is ready: no CPU time, no context switch (a periodic
# wake-up would be one), no system call (counted by strace, in a second crowd of waiters: a tracer
# wakes). Then another process makes each side ready in turn.
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

compile idle libuv

cat >"$work/loop.py" <<'END_OF_PYTHON'
import asyncio, os, sys, time
real, emulated, report = map(int, sys.argv[2:])
def say(which):
    os.write(report, b'%c %d\n' % (which, time.monotonic_ns()))
def ready(which, fd):
    if not os.read(fd, 4096):
        os._exit(0)
    say(which)
async def main():
    loop = asyncio.get_running_loop()
    loop.add_reader(real, ready, b'r', real)
    loop.add_reader(emulated, ready, b'e', emulated)
    say(b'?')
    await asyncio.Event().wait()
asyncio.run(main())
END_OF_PYTHON

cat >"$work/driver.py" <<'END_OF_PYTHON'
import collections, ctypes, os, select, signal, socket, struct, subprocess, sys, time
work, seconds = sys.argv[1], float(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
KINDS = {'poll': 'eventfd pipe', 'poll-time': 'timerfd pair', 'poll-room': 'eventfd pipe',
         'ppoll': 'eventfd pair', 'select': 'eventfd pipe', 'pselect': 'timerfd pair',
         'epoll': 'timerfd pair', 'epoll-edge': 'eventfd pipe', 'epoll-nested': 'eventfd pair',
         'epoll-threads': 'timerfd pipe', 'libuv': 'eventfd pair', 'asyncio': 'timerfd pipe'}
SWITCHES = 2  # of a thread: a machine that was frozen meanwhile wakes everybody once
CALLS = 5     # lines of strace for a thread: the wait as found, interrupted, begun anew, detached

class Waiter:
    def __init__(self, kind):
        self.kind = kind
        real, emulated = KINDS[kind].split()
        self.timer = real == 'timerfd'
        self.real = libc.timerfd_create(time.CLOCK_MONOTONIC, 0) if self.timer else os.eventfd(0)
        if emulated == 'pipe':
            self.theirs, self.ours = os.pipe()
        else:
            self.theirs, self.ours = (s.detach() for s in socket.socketpair())
        if kind == 'poll-room':
            self.ours, self.theirs = self.theirs, self.ours
            os.set_blocking(self.theirs, False)
            try:
                while True:
                    os.write(self.theirs, bytes(4096))
            except BlockingIOError:
                pass
        self.report, report = os.pipe()
        program = [sys.executable, work + '/loop.py'] if kind == 'asyncio' else [work + '/idle']
        fds = (self.real, self.theirs, report)
        self.process = subprocess.Popen(program + [kind, *map(str, fds)], pass_fds=fds)
        os.close(report)
        os.close(self.theirs)
    def hear(self):
        if not select.select([self.report], [], [], 30)[0]:
            return 'nothing', 0
        which, when = os.read(self.report, 100).split()
        return which.decode(), int(when)
    def wake(self, side):
        start = time.monotonic_ns()
        if side == 'e' and self.kind == 'poll-room':
            os.read(self.ours, 4096)
        elif side == 'e':
            os.write(self.ours, b'wake')
        elif self.timer:
            libc.timerfd_settime(self.real, 0, struct.pack('qqqq', 0, 0, 0, 1), None)
        else:
            os.eventfd_write(self.real, 1)
        which, when = self.hear()
        if which != side:
            return f'woken by {which}'
        delay = (when - start) / 1e9
        print(f'{self.kind}: woken by {side} after {delay * 1e6:.0f} us', file=sys.stderr)
        return 'at once' if delay < 1 else f'after {delay} s'
    def end(self):
        self.process.kill()
        self.process.wait()

def cpu_ticks(pid): # proc(5): utime, stime
    fields = open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()
    return int(fields[11]) + int(fields[12])

def switches(pid):
    return {tid: int(line.split()[1]) for tid in os.listdir(f'/proc/{pid}/task')
            for line in open(f'/proc/{pid}/task/{tid}/status')
            if line.startswith('voluntary_ctxt_switches')}

def look(pid): # each thread's state and context switches, the voluntary ones and the others
    return {tid: [line for line in open(f'/proc/{pid}/task/{tid}/status')
                  if line.startswith('State') or 'ctxt_switches' in line]
            for tid in os.listdir(f'/proc/{pid}/task')}

# Until for a second nobody has run: each has come to its wait, and `run`, which looks for deadlocks
# for a while after others have run, has nothing to look for.
def settle(pids):
    before = None
    for _ in range(30):
        now = {pid: look(pid) for pid in pids}
        if now == before and all('S (sleeping)' in lines[0]
                                 for threads in now.values() for lines in threads.values()):
            return
        before = now
        time.sleep(1)
    sys.exit(f'somebody never rests: {before}, then {now}')

def strace(pids):
    command = ['strace', '-f', '-qq', '-o', work + '/calls']
    for pid in pids:
        command += ['-p', str(pid)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)

def traced(tracer):
    tracer.send_signal(signal.SIGINT)
    errors = tracer.communicate()[1]
    if errors and b'ermi' in errors: # EPERM: this machine doesn't let anybody attach
        print('strace may not attach: system calls are not counted', file=sys.stderr)
        return None
    return collections.Counter(line.split()[0] for line in open(work + '/calls'))

measured = [Waiter(kind) for kind in KINDS]
counted = [Waiter(kind) for kind in KINDS]
for waiter in measured + counted:
    assert waiter.hear()[0] == '?', waiter.kind
crowd = {waiter.process.pid: waiter.kind for waiter in measured}
# The command that watches over all of them.
if open(f'/proc/{os.getppid()}/comm').read() == 'sockrig\n':
    crowd[os.getppid()] = 'sockrig run'
everybody = [*crowd, *(waiter.process.pid for waiter in counted)]
settle(everybody)
tracer = strace([waiter.process.pid for waiter in counted])
while tracer.poll() is None and any('TracerPid:\t0\n' in open(f'/proc/{w.process.pid}/status')
                                    for w in counted):
    os.sched_yield()
settle(everybody)
before = {pid: (cpu_ticks(pid), switches(pid)) for pid in crowd}
time.sleep(seconds)
after = {pid: (cpu_ticks(pid), switches(pid)) for pid in crowd}
calls = traced(tracer)
for pid, kind in crowd.items():
    ticks = after[pid][0] - before[pid][0]
    counts = {tid: n - before[pid][1].get(tid, 0) for tid, n in after[pid][1].items()}
    idle = ticks <= 1 and max(counts.values()) <= SWITCHES
    print(f'{kind}: {ticks} ticks, switches {counts}', file=sys.stderr)
    if kind in KINDS:
        print(f'{kind}:', 'idle' if idle else f'BUSY: {ticks} ticks, switches {counts}')
    elif not idle:
        print(f'{kind}: BUSY: {ticks} ticks, switches {counts}')
for waiter in counted if calls is not None else ():
    threads = {tid: calls[tid] for tid in switches(waiter.process.pid)}
    print(f'{waiter.kind}: calls {threads}', file=sys.stderr)
    # The wait that was found is a line of its own: without one nothing was counted.
    idle = all(1 <= count <= CALLS for count in threads.values())
    print(f'{waiter.kind}:', 'no calls' if idle else f'CALLS: {threads}')
for waiter in measured:
    print(f'{waiter.kind}:', *(waiter.wake(side) for side in 'erre'))
for waiter in measured + counted:
    waiter.end()
END_OF_PYTHON

# Natively the window is short: that shows only that the waiters and the numbers are right.
python=/usr/bin/python3
timeout 100 "$python" "$work/driver.py" "$work" 1 >"$work/native" 2>"$work/native.err" ||
    failed "natively: exit code $?"
if grep -E 'BUSY|CALLS|nothing|after' "$work/native" || ! [ -s "$work/native" ]; then
    failed 'natively'
    cat "$work/native.err"
fi
expect 'emulated' 0 --verify --report="$work/report" -- \
    "$python" "$work/driver.py" "$work" "${IDLE_SECONDS:-10}"
if diff "$work/native" "$work/out"; then
    passed
else
    failed 'not idle, or not woken (< native, > emulated)'
    cat "$err"
fi
waits_emulated 'emulated'
finish
