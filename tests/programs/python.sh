#!/bin/sh
# python.sh - Python: os.pipe, os.fork, socket.socketpair, threading, subprocess, selectors, signal
. "${0%/*}/compare.inc"

python=/usr/bin/python3
if [ ! -x "$python" ]; then
    echo "python.sh: $python is missing"
    exit 1
fi

cat >"$work/try_pipes.py" <<'END'
import errno, fcntl, os, select, struct, termios
r, w = os.pipe()
print(os.write(w, b'x' * 1000), len(os.read(r, 4096)))
print(os.get_inheritable(r), os.get_inheritable(w))
os.set_blocking(w, False)
total = 0
try:
    while True:
        total += os.write(w, b'y' * 4096)
except BlockingIOError as e:
    print('full after', total, errno.errorcode[e.errno])
print('waiting', struct.unpack('i', fcntl.ioctl(r, termios.FIONREAD, b'\0' * 4))[0])
print('capacity', fcntl.fcntl(r, 1032))
print(select.select([r], [w], [], 0) == ([r], [], []))
while total:
    total -= len(os.read(r, 65536))
print(select.select([r], [w], [], 0) == ([], [w], []))
d = os.dup(w)
os.close(w)
os.write(d, b'after dup')
print(os.read(r, 100))
os.close(d)
print(os.read(r, 100))
os.close(r)
r, w = os.pipe2(os.O_NONBLOCK)
try:
    os.read(r, 1)
except BlockingIOError as e:
    print(errno.errorcode[e.errno])
os.close(r)
try:
    os.write(w, b'x')
except BrokenPipeError as e:
    print(errno.errorcode[e.errno])
try:
    os.lseek(w, 0, 0)
except OSError as e:
    print(errno.errorcode[e.errno])
with os.fdopen(w, 'wb') as f:
    print(f.seekable(), f.isatty())
r, w = os.pipe()
with os.fdopen(r) as reader, os.fdopen(w, 'w') as writer:
    print('text line', file=writer, flush=True)
    print(repr(reader.readline()))
print(os.writev(1, [b'a', b'b\n']))
END
cat >"$work/try_fork.py" <<'END'
import os, signal, sys
r, w = os.pipe()
back_r, back_w = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(w); os.close(back_r)
    data = b''
    while chunk := os.read(r, 65536):
        data += chunk
    os.write(back_w, b'%d bytes, sum %d' % (len(data), sum(data)))
    os._exit(5)
os.close(r); os.close(back_w)
os.write(w, bytes(range(256)) * 4000)
os.close(w)
print(os.read(back_r, 1000), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(os.read(back_r, 1000))
os.close(back_r)
# grandchildren hold the end, and are killed
r, w = os.pipe()
pids = []
for i in range(5):
    pid = os.fork()
    if pid == 0:
        os.close(r)
        os.write(w, b'%d' % i)
        signal.pause()
    pids.append(pid)
os.close(w)
got = b''
while len(got) < 5:
    got += os.read(r, 10)
print(sorted(got.decode()))
for pid in pids:
    os.kill(pid, signal.SIGKILL)
print('end of file', os.read(r, 10))
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
# a writer without readers dies of SIGPIPE when it wants to
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    r, w = os.pipe()
    os.close(r)
    os.write(w, b'x')
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGPIPE)
# exec'd child with inherited descriptors
r, w = os.pipe()
os.set_inheritable(w, True)
pid = os.fork()
if pid == 0:
    os.execvp('sh', ['sh', '-c', f'echo from sh >&{w}'])
os.close(w)
print(os.read(r, 100), os.read(r, 100), os.waitpid(pid, 0)[1])
END
cat >"$work/try_sockets.py" <<'END'
import os, socket, threading, time
a, b = socket.socketpair()
print(a.family.name, a.type.name, a.proto, a.getsockname(), b.getpeername())
a.sendall(b'hello'); print(b.recv(100))
print(a.send(b'peek'), b.recv(100, socket.MSG_PEEK), b.recv(100))
b.settimeout(0.05)
start = time.monotonic()
try:
    b.recv(1)
except TimeoutError:
    print('timed out', 0.04 < time.monotonic() - start < 5)
b.settimeout(None)
def serve():
    with b:
        while data := b.recv(65536):
            b.sendall(data.upper())
thread = threading.Thread(target=serve)
thread.start()
sent = b'abc' * 100000
received = bytearray()
def drain():
    while data := a.recv(65536):
        received.extend(data)
reader = threading.Thread(target=drain)
reader.start()
a.sendall(sent)
a.shutdown(socket.SHUT_WR)
reader.join(); thread.join()
print(bytes(received) == sent.upper())
a.close()
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
for i in range(5):
    a.send(b'x' * (i * 10 + 1))
print([len(b.recv(100)) for i in range(5)])
print(a.sendmsg([b'one ', b'two']), b.recvmsg(100)[:3])
a.send(b'long message')
print(b.recv(4), b.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_SEQPACKET)
a.close(); print(b.recv(10)); b.close()
a, b = socket.socketpair()
with a.makefile('rw') as stream, b:
    b.sendall(b'line one\nline two\n')
    print(repr(stream.readline()), repr(stream.readline()))
a.close()
END
cat >"$work/try_threads.py" <<'END'
import os, queue, threading
r, w = os.pipe()
count = 2000
def write(number):
    for i in range(count):
        os.write(w, b'%02d %06d\n' % (number, i))
def read(result):
    with os.fdopen(r, 'rb') as f:
        result.extend(f)
lines = []
reader = threading.Thread(target=read, args=(lines,))
reader.start()
writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
for t in writers: t.start()
for t in writers: t.join()
os.close(w)
reader.join()
print(len(lines), len(set(lines)))
for n in range(8):
    own = [l for l in lines if l.startswith(b'%02d ' % n)]
    print(n, own == sorted(own), len(own))
# forks from a threaded program
def child(results):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(w, b'child'); os._exit(0)
    os.close(w)
    results.put((os.read(r, 10), os.read(r, 10), os.waitpid(pid, 0)[1]))
    os.close(r)
results = queue.Queue()
threads = [threading.Thread(target=child, args=(results,)) for _ in range(6)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(results.queue))
END
cat >"$work/try_processes.py" <<'END'
import hashlib, subprocess, sys
data = bytes(i * 7 % 251 for i in range(1 << 20))
print(subprocess.run(['cat'], input=data, capture_output=True).stdout == data)
out, err = subprocess.Popen(['sh', '-c', 'tee /proc/self/fd/2'], stdin=-1, stdout=-1,
                            stderr=-1).communicate(data)
print(hashlib.md5(out).hexdigest(), len(err) == len(data))
print(subprocess.check_output('seq 1 1000 | wc -l', shell=True))
print(subprocess.run([sys.executable, '-c', 'import sys; print(sum(sys.stdin.buffer.read()))'],
                     input=data, capture_output=True).stdout)
first = subprocess.Popen(['seq', '1', '50000'], stdout=subprocess.PIPE)
second = subprocess.Popen(['sort', '-rn'], stdin=first.stdout, stdout=subprocess.PIPE)
first.stdout.close()
print(second.communicate()[0][:12], first.wait(), second.returncode)
p = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
for line in ('one', 'two', 'three'):
    print(line, file=p.stdin)
    print(p.stdout.readline().strip())
p.stdin.close(); print(p.wait()); p.stdout.close()
try:
    subprocess.run(['sh', '-c', 'exec sleep 30'], capture_output=True, timeout=0.3)
except subprocess.TimeoutExpired:
    print('timed out')
try:
    subprocess.run(['/nonexistent/program'], capture_output=True)
except FileNotFoundError as e:
    print(e.strerror)
print(subprocess.run(['sh', '-c', 'kill -9 $$'], capture_output=True).returncode)
print(subprocess.getoutput('echo popen; echo error >&2'))
print([subprocess.run(['true'], pass_fds=[0]).returncode for _ in range(10)])
END
cat >"$work/try_selectors.py" <<'END'
import os, select, selectors, signal, socket, threading
pairs = [socket.socketpair() for _ in range(20)]
poller = selectors.PollSelector()
for i, (a, b) in enumerate(pairs):
    a.setblocking(False)
    poller.register(a, selectors.EVENT_READ, i)
def send():
    for i in (3, 17, 0, 11):
        pairs[i][1].send(b'%d' % i)
threading.Thread(target=send).start()
seen = set()
while len(seen) < 4:
    for key, events in poller.select(5):
        seen.add((key.data, key.fileobj.recv(10)))
print(sorted(seen))
print(poller.select(0.05))
for a, b in pairs: a.close(); b.close()
# real and emulated descriptors in one call, and a pipe that wakes for a signal
r, w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
signal.set_wakeup_fd(w)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.05)
null = open('/dev/null')
p = select.poll()
p.register(r, select.POLLIN)
print(p.poll(5000) == [(r, select.POLLIN)], os.read(r, 10) == bytes([signal.SIGALRM]))
p.register(null, select.POLLIN)
print(p.poll(5000) == [(null.fileno(), select.POLLIN)])
class Alarm(Exception): pass
def ring(*_): raise Alarm
signal.set_wakeup_fd(-1)
signal.signal(signal.SIGALRM, ring)
signal.setitimer(signal.ITIMER_REAL, 0.05)
os.set_blocking(r, True)
try:
    os.read(r, 1)
except Alarm:
    print('a handler left a blocked read')
os.close(w); print(p.poll(0) != []); os.close(r)
END
for script in pipes fork sockets threads processes selectors; do
    same "$script" "$python" "$work/try_$script.py"
done
same 'interpreter at the end of a pipe' sh -c "echo 'print(6 * 7)' | $python -"
same 'unbuffered output' sh -c "$python -u -c 'for i in range(2000): print(i)' | cksum"
same 'output to a pipe that ends' sh -c \
    "$python -c 'for i in range(100000): print(i)' 2>/dev/null | head -n 2"
finish
