#!/bin/sh
# supervisor_killed.sh - a killed supervisor: members go on, sleepers notice deaths, nothing is left
#
# A tree of processes, each asleep in another call, each on a channel whose other end one victim
# alone has. `sockrig run` is killed, then the victims are, one after the other: each sleeper learns
# of it within a second. A member has taken its place (sockrig-reaper): who nobody waits for is
# swept, new children join, nobody wakes without need. That reaper is killed in its turn, and has a
# successor. In the end all are gone, and the next `sockrig run` removes the name that is left.
# The same below a bare preload, where the first to be killed is the reaper. Then a storm of kills.
. "${0%/*}/compare.inc"

python=/usr/bin/python3
export XDG_RUNTIME_DIR="$work/runtime"
mkdir -m 700 "$XDG_RUNTIME_DIR"

# The tree. It says what happens on its standard output, and does what it reads: a word a line.
cat >"$work/tree.py" <<'END_OF_PYTHON'
import ctypes, os, select, signal, socket, subprocess, sys, time
commands, output = 0, 1
VSOCK_ANY = 0xffffffff

def say(*words):
    os.write(output, (' '.join(map(str, words)) + '\n').encode())

def pipe_read(pair):
    return os.read(pair[0], 10)
def pipe_write(pair):
    try:
        while True:
            os.write(pair[1], bytes(100000))
    except BrokenPipeError:
        return b''
def receive(pair):
    return pair[0].recv(10)
def send(pair):
    try:
        while True:
            pair[0].send(bytes(100000))
    except (BrokenPipeError, ConnectionResetError):
        return b''
def poll(pair):
    p = select.poll()
    p.register(pair[0], select.POLLIN)
    return os.read(p.poll()[0][0], 10)
def poll_mixed(pair):
    p = select.poll()
    p.register(pair[0], select.POLLIN)
    p.register(os.eventfd(0), select.POLLIN)
    return os.read(p.poll()[0][0], 10)
def select_(pair):
    return os.read(select.select([pair[0]], [], [])[0][0], 10)
def epoll(pair):
    e = select.epoll()
    e.register(pair[0], select.EPOLLIN)
    return os.read(e.poll()[0][0], 10)
def epoll_edge(pair):
    e = select.epoll()
    e.register(pair[0], select.EPOLLIN | select.EPOLLET)
    return pair[0].recv(10) if e.poll() else None

def seqpacket():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
def vsock():
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((VSOCK_ANY, 0xffffffff))
    listener.listen()
    client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    client.connect((2, listener.getsockname()[1]))
    return client, listener.accept()[0]

# Who sleeps has the first end, but for a pipe's writer.
KINDS = {'read': (os.pipe, pipe_read), 'write': (os.pipe, pipe_write),
         'recv': (socket.socketpair, receive), 'send': (socket.socketpair, send),
         'recv-seqpacket': (seqpacket, receive), 'vsock': (vsock, receive),
         'poll': (os.pipe, poll), 'poll-mixed': (os.pipe, poll_mixed),
         'select': (os.pipe, select_), 'epoll': (os.pipe, epoll),
         'epoll-edge': (socket.socketpair, epoll_edge)}

def close(end):
    os.close(end) if isinstance(end, int) else end.close()

def fork(work, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            work(*arguments)
        except BaseException as error:
            say('error', repr(error).replace(' ', '_'))
        finally:
            os._exit(0)
    return pid

def sleeper(kind, pair, own):
    close(pair[1 - own])
    say('asleep', kind, os.getpid())
    got = KINDS[kind][1](pair)
    say('woken', kind, time.monotonic_ns(), got if got else 'end')

def victim(pair, own):
    close(pair[own])
    while True:
        signal.pause()

def crowd():
    for kind, (make, _) in KINDS.items():
        if kind == 'vsock' and not emulated:
            continue
        pair = make()
        own = 1 if kind == 'write' else 0
        fork(sleeper, kind, pair, own)
        say('victim', kind, fork(victim, pair, own))
        close(pair[0])
        close(pair[1])
    say('crowd')

# An orphan with a port of its own: only a sweep frees it when it is killed.
def port_holder(port):
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((VSOCK_ANY, port))
    listener.listen()
    say('orphan', os.getpid())
    while True:
        signal.pause()

def orphan(port):
    fork(port_holder, port)

def bind(port):
    end = time.monotonic() + 5
    while True:
        try:
            with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
                s.bind((VSOCK_ANY, port))
            return say('bound')
        except OSError as error:
            if time.monotonic() > end:
                return say('bound', error.strerror.replace(' ', '_'))

def acceptor(listener):
    connection, _ = listener.accept()
    data = b''
    while chunk := connection.recv(100000):
        data += chunk
    connection.sendall(data[::-1])

def client(address, ret):
    s = socket.socket(socket.AF_UNIX)
    s.connect(address)
    s.sendall(bytes(range(256)) * 1000)
    s.shutdown(socket.SHUT_WR)
    data = b''
    while chunk := s.recv(100000):
        data += chunk
    ret.send(b'same' if data == bytes(range(255, -1, -1)) * 1000 else b'differs')

# Children that join now: forked, spawned, a shell's pipeline, one whose descriptors are closed.
def go_on(address):
    ours, theirs = socket.socketpair()
    pid = fork(client, address, theirs)
    theirs.close()
    say('connection', ours.recv(100).decode())
    os.waitpid(pid, 0)
    data = os.urandom(1000000)
    got = subprocess.run(['cat'], input=data, stdout=subprocess.PIPE).stdout
    say('cat', 'same' if got == data else 'differs')
    got = subprocess.run('head -c 3000000 /dev/zero | cat | wc -c', shell=True,
                         stdout=subprocess.PIPE).stdout
    say('pipeline', got.decode().strip())

def main():
    address = b'\0supervisor_killed.%d' % os.getpid()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    acceptors = [fork(acceptor, listener) for _ in range(3)] # one will get nothing
    listener.close()
    say('root', os.getpid(), os.getppid())
    words = b''
    while True:
        chunk = os.read(commands, 100)
        words += chunk or b'end\n'
        while b'\n' in words:
            word, _, words = words.partition(b'\n')
            if word == b'crowd':
                crowd()
            elif word == b'go':
                go_on(address)
            elif word.startswith(b'orphan'):
                os.waitpid(fork(orphan, int(word.split()[1])), 0)
            elif word.startswith(b'bind'):
                bind(int(word.split()[1]))
            elif word == b'end':
                for pid in acceptors: # not reaped yet, so the pids are theirs
                    os.kill(pid, signal.SIGKILL)
                return

emulated = sys.argv[1:] == ['emulated']
main()
END_OF_PYTHON

cat >"$work/driver.py" <<'END_OF_PYTHON'
import os, select, signal, statistics, subprocess, sys, time
work, mode, command = sys.argv[1], sys.argv[2], sys.argv[3:]
failures = 0
delays = []
killed = set() # watchers; one that was killed may be there for a moment

def check(label, holds, *details):
    global failures
    failures += not holds
    print('ok' if holds else 'FAILED', mode, label, *details, flush=True)

tree = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
buffered = b''

def hear(seconds=20):
    """The words of the next line; [] when none comes."""
    global buffered
    end = time.monotonic() + seconds
    while b'\n' not in buffered:
        left = end - time.monotonic()
        if left <= 0 or not select.select([tree.stdout], [], [], left)[0]:
            return []
        chunk = os.read(tree.stdout.fileno(), 4096)
        if not chunk:
            return []
        buffered += chunk
    line, _, buffered = buffered.partition(b'\n')
    return line.decode().split()

def tell(*words):
    tree.stdin.write((' '.join(map(str, words)) + '\n').encode())
    tree.stdin.flush()

def status(pid, name):
    try:
        for line in open(f'/proc/{pid}/status'):
            if line.startswith(name + ':'):
                return line.split()[1]
    except OSError:
        pass
    return ''

def is_gone(pid):
    return status(pid, 'State') in ('', 'Z', 'X')

def wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True

def members():
    """Processes that have a session's arena mapped, this test's alone."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if any('memfd:sockrig' in line for line in open(f'/proc/{pid}/maps')) and \
               not is_gone(pid) and work.encode() in open(f'/proc/{pid}/environ', 'rb').read():
                found.append(int(pid))
        except OSError:
            pass
    return found

def reapers():
    return [int(pid) for pid in filter(str.isdigit, os.listdir('/proc'))
            if status(pid, 'Name') == 'sockrig-reaper' and not is_gone(pid) and
            int(status(pid, 'PPid') or 0) in family and int(pid) not in killed]

def make_crowd():
    sleepers, victims = {}, {}
    tell('crowd')
    while (words := hear()) and words[0] != 'crowd':
        (sleepers if words[0] == 'asleep' else victims)[words[1]] = int(words[2])
    while len(sleepers) < len(victims) and (words := hear()):
        sleepers[words[1]] = int(words[2])
    family.update(sleepers.values(), victims.values())
    check('a crowd', len(sleepers) >= 10 and sleepers.keys() == victims.keys(), len(sleepers))
    for kind, pid in sleepers.items():
        check(f'{kind} sleeps', wait_until(lambda: status(pid, 'State') == 'S', 20))
    time.sleep(0.05) # a sleeper may turn over once before it sleeps for good
    return sleepers, victims

def kill_victims(victims):
    for kind, pid in victims.items():
        start = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        words = hear(5)
        good = words[:2] == ['woken', kind] and words[3] == 'end'
        delay = (int(words[2]) - start) / 1e6 if good else 5000
        delays.append(delay)
        check(f'{kind} notices', good and delay < 1000, f'{delay:.2f} ms', *([] if good else words))

def kill_watcher(pid):
    killed.add(pid)
    os.kill(pid, signal.SIGKILL)

def switches(pid):
    return int(status(pid, 'voluntary_ctxt_switches') or -1)

def new_reaper(label):
    found = []

    def is_one():
        found[:] = reapers()
        return len(found) == 1
    check(f'{label}: a reaper takes over', wait_until(is_one, 5), *found)
    if not found:
        sys.exit(1)
    return found[0]

def goes_on(label):
    tell('go')
    for wanted in (['connection', 'same'], ['cat', 'same'], ['pipeline', '3000000']):
        words = hear()
        check(f'{label}: {wanted[0]}', words == wanted, *words)

def sweeps(label, port):
    tell('orphan', port)
    words = hear()
    pid = int(words[1]) if words[:1] == ['orphan'] else 0
    check(f'{label}: an orphan', pid > 0, *words)
    if pid:
        os.kill(pid, signal.SIGKILL)
    tell('bind', port)
    words = hear()
    check(f'{label}: it is swept', words == ['bound'], *words)

_, root, above = hear()
family = {int(root)}
supervisor = int(above) if mode == 'run' else 0
if mode == 'run':
    check('the supervisor', status(supervisor, 'Name') == 'sockrig')
sleepers, victims = make_crowd()
if mode == 'preload':
    supervisor = new_reaper('at first')
if mode != 'native':
    kill_watcher(supervisor)
    start = time.monotonic()
    if mode == 'run':
        check('run is dead', tree.wait(20) == -signal.SIGKILL)
        check('the tree lives', not is_gone(root))
    reaper = new_reaper('killed')
    print('taken over after', f'{(time.monotonic() - start) * 1000:.1f} ms')
    before = {pid: switches(pid) for pid in sleepers.values()}
    time.sleep(1)
    check('idle', all(switches(pid) - n <= 2 for pid, n in before.items()),
          [switches(pid) - n for pid, n in before.items()])
kill_victims(victims)
goes_on('afterwards')
if mode != 'native':
    sweeps('afterwards', 5001)
    sleepers, victims = make_crowd()
    kill_watcher(reaper)
    second = new_reaper('killed again')
    kill_victims(victims)
    goes_on('again')
    sweeps('again', 5002)
    # All at once: the watcher dies together with the victims.
    sleepers, victims = make_crowd()
    kill_watcher(second)
    for pid in victims.values():
        os.kill(pid, signal.SIGKILL)
    woken = set()
    while len(woken) < len(victims) and (words := hear(5)):
        woken.add(words[1])
    check('all at once', woken == victims.keys(), *(victims.keys() - woken))
tell('end')
check('the end', wait_until(lambda: is_gone(root), 20))
if mode != 'native':
    check('nobody is left', wait_until(lambda: not members(), 5), members(), reapers())
tree.stdin.close()
print('median', mode, f'{statistics.median(delays):.2f} ms, at most {max(delays):.2f} ms,',
      len(delays), 'deaths')
sys.exit(failures > 0)
END_OF_PYTHON

drive() { # MODE COMMAND...
    timeout -s KILL "$limit" "$python" "$work/driver.py" "$work" "$@" >"$work/log" 2>&1
    code=$?
    grep -E '^(FAILED|median|taken)|Error|line [0-9]+,' "$work/log"
    passes=$((passes + $(grep -c '^ok ' "$work/log")))
    if [ "$code" -ne 0 ] || [ "$(grep -c '^median' "$work/log")" -ne 1 ]; then
        tail -n 20 "$work/log"
        failed "$1: exit code $code"
    fi
}

# A tree whose processes are killed all the time, and its watchers too: every byte arrives, all end.
cat >"$work/storm.py" <<'END_OF_PYTHON'
import ctypes, os, signal, subprocess, sys, time
storm = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

def below(top):
    """What /proc shows: pid, name and state of each process below this one."""
    children = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            start, _, rest = open(f'/proc/{pid}/stat').read().rpartition(')')
        except OSError:
            continue
        state, parent = rest.split()[:2]
        children.setdefault(int(parent), []).append((int(pid), start.partition('(')[2], state))
    found, left = [], [top]
    while left:
        for child in children.get(left.pop(), []):
            found.append(child)
            left.append(child[0])
    return found

def end(pid, name):
    """Kills it, if it is the one that was found."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    found = (pid, name) in [child[:2] for child in below(os.getpid())]
    if found:
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            found = False
    os.close(pidfd)
    return found

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) # PR_SET_CHILD_SUBREAPER: orphans stay below
count = 0
while storm.poll() is None:
    time.sleep(0.02)
    found = below(os.getpid())
    if 'storm' not in [name for _, name, _ in found]:
        continue # `run` hasn't started it yet, or it is over
    for pid, name, state in found:
        if name in ('sockrig', 'sockrig-reaper') and state not in 'ZX':
            count += end(pid, name)
print('watchers killed:', count)
while (left := [name for _, name, state in below(os.getpid()) if state not in 'ZX']):
    time.sleep(0.01) # the last reaper ends by itself, or the time limit does
sys.exit(storm.returncode)
END_OF_PYTHON

storm=${SOCKRIG_GUESTS:-$(dirname "$(dirname "$library")")/tests/guest}/../stress/storm
rounds=200 seconds=12
[ "${SOCKRIG_TEST_LEVEL-}" = long ] && rounds=1000 seconds=90
in_storm() { # LABEL COMMAND...
    label=$1
    shift
    timeout -s KILL "$limit" "$python" "$work/storm.py" "$@" "$storm" --rounds $rounds \
        --seconds $seconds >"$work/log" 2>&1 &&
        grep -q '^storm: [1-9][0-9]* rounds, .* good$' "$work/log" &&
        [ "$(sed -n 's/^watchers killed: //p' "$work/log")" -gt 0 ] && passed && return
    failed "$label: $(tail -n 5 "$work/log")"
}

drive native "$python" "$work/tree.py"
drive run "$SOCKRIG" run -- "$python" "$work/tree.py" emulated
folder=$XDG_RUNTIME_DIR/sockrig
[ "$(find "$folder" -type s | wc -l)" -eq 1 ] && passed || failed 'a name is left'
expect 'the next start' 0 true
[ -z "$(ls -A "$folder")" ] && passed || failed "the next start removes it: $(ls "$folder")"
drive preload env "LD_PRELOAD=$library${LD_PRELOAD:+:$LD_PRELOAD}" "$python" "$work/tree.py" \
    emulated
# The storm outlives its `run`; the pipe ends with the last of it.
in_storm 'a storm, run' sh -c "'$SOCKRIG' run -- \"\$@\" | cat" sh
in_storm 'a storm, preloaded' env "LD_PRELOAD=$library${LD_PRELOAD:+:$LD_PRELOAD}"
finish
