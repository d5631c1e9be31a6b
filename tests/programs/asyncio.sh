#!/bin/sh
# asyncio.sh - asyncio of Python: streams, pipes, subprocesses, signals and threads in one loop, on
# each of its selectors, and on uvloop
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

python=/usr/bin/python3

cat >"$work/loop_streams.py" <<'END_OF_PYTHON'
# Streams over socket pairs: both ends in one loop, the other end in a child with a loop of its own.
import asyncio, hashlib, os, socket, sys
DATA = bytes(i * 7 % 253 for i in range(1 << 19))

async def upper(sock):
    reader, writer = await asyncio.open_connection(sock=sock)
    while data := await reader.read(30000):
        writer.write(data.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()

async def ask(sock, number):
    reader, writer = await asyncio.open_connection(sock=sock)
    async def send():
        for start in range(0, len(DATA), 50000):
            writer.write(DATA[start:start + 50000])
            await writer.drain()
        writer.write_eof()
    sending = asyncio.create_task(send())
    answer = await reader.read()
    await sending
    writer.close()
    return number, len(answer), hashlib.md5(answer).hexdigest()

async def one_loop():
    pairs = [socket.socketpair() for _ in range(5)]
    servers = [asyncio.create_task(upper(b)) for _, b in pairs]
    print(await asyncio.gather(*(ask(a, n) for n, (a, _) in enumerate(pairs))))
    await asyncio.gather(*servers)

async def lines(sock):
    reader, writer = await asyncio.open_connection(sock=sock)
    total = 0
    for i in range(2000):
        writer.write(b'%d\n' % i)
        total += int(await reader.readline())
    writer.close()
    return total

async def twice(sock):
    reader, writer = await asyncio.open_connection(sock=sock)
    async for line in reader:
        writer.write(b'%d\n' % (2 * int(line)))
    writer.close()

def two_loops(own, other, label):
    a, b = socket.socketpair()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        a.close()
        asyncio.run(other(b))
        os._exit(7)
    b.close()
    print(label, asyncio.run(own(a)), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

async def cancelled():
    a, b = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=a)
    try:
        await asyncio.wait_for(reader.readexactly(10), 0.05)
    except asyncio.TimeoutError:
        print('timed out')
    b.send(b'0123456789')
    print(await reader.readexactly(10))
    b.send(b'half')
    b.close()
    try:
        await reader.readexactly(10)
    except asyncio.IncompleteReadError as e:
        print(e.partial)
    writer.close()

async def raw():
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for sock in a, b:
        sock.setblocking(False)
    async def send():
        for i in range(300):
            await loop.sock_sendall(a, b'x' * (i + 1))
        a.shutdown(socket.SHUT_WR)
    sending = asyncio.create_task(send())
    sizes = []
    while data := await loop.sock_recv(b, 1000):
        sizes.append(len(data))
    await sending
    print(sizes == list(range(1, 301)))
    a.close(), b.close()

asyncio.run(one_loop())
two_loops(lambda sock: ask(sock, 0), upper, 'bulk')
two_loops(lines, twice, 'lines')
asyncio.run(cancelled())
asyncio.run(raw())
END_OF_PYTHON

cat >"$work/loop_pipes.py" <<'END_OF_PYTHON'
# connect_read_pipe and connect_write_pipe, with flow control.
import asyncio, hashlib, os
DATA = bytes(i * 11 % 251 for i in range(700_000))

async def reader_of(fd):
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=20000)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, 'rb', 0))
    return reader, transport

async def writer_of(fd):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(fd, 'wb', 0))
    return asyncio.StreamWriter(transport, protocol, None, loop)

async def bulk():
    r, w = os.pipe()
    reader, transport = await reader_of(r)
    writer = await writer_of(w)
    async def send():
        for start in range(0, len(DATA), 40000):
            writer.write(DATA[start:start + 40000])
            await writer.drain()
        writer.close()
    sending = asyncio.create_task(send())
    got = await reader.read()
    await sending
    print(len(got), hashlib.md5(got).hexdigest())
    transport.close()

async def ring(count, rounds):
    # A token goes round through many pipes.
    pipes = [os.pipe() for _ in range(count)]
    async def station(number):
        reader, transport = await reader_of(pipes[number][0])
        writer = await writer_of(pipes[(number + 1) % count][1])
        token = 0
        while token + count <= count * rounds:
            token = int(await reader.readline())
            if token < count * rounds:
                writer.write(b'%d\n' % (token + 1))
                await writer.drain()
        writer.close(), transport.close()
        return token
    stations = [asyncio.create_task(station(n)) for n in range(count)]
    os.write(pipes[0][1], b'1\n')
    print(sorted(await asyncio.gather(*stations)))

class Lost(asyncio.Protocol):
    def __init__(self, future):
        self.future = future
    def connection_lost(self, reason):
        self.future.set_result(type(reason).__name__)

async def broken():
    # The reader goes while the writer's loop watches its end for just that.
    loop = asyncio.get_running_loop()
    r, w = os.pipe()
    future = loop.create_future()
    await loop.connect_write_pipe(lambda: Lost(future), os.fdopen(w, 'wb', 0))
    loop.call_later(0.02, os.close, r)
    print('lost', await asyncio.wait_for(future, 10))

asyncio.run(bulk())
asyncio.run(ring(40, 25))
asyncio.run(broken())
END_OF_PYTHON

cat >"$work/loop_children.py" <<'END_OF_PYTHON'
# create_subprocess_exec and _shell; ends seen by threads or by pidfds in the loop's own selector.
import asyncio, asyncio.unix_events, asyncio.subprocess as sp, hashlib, os, signal, sys
DATA = bytes(i * 13 % 241 for i in range(400_000))

async def through(*command):
    child = await asyncio.create_subprocess_exec(*command, stdin=sp.PIPE, stdout=sp.PIPE,
                                                 stderr=sp.PIPE)
    out, err = await child.communicate(DATA)
    return child.returncode, len(out), hashlib.md5(out).hexdigest(), len(err)

async def many():
    print(await asyncio.gather(*(through('cat') for _ in range(6))))
    print(await through('perl', '-ne', 'print; print STDERR uc; END { exit 3 }'))
    print(await through(sys.executable, '-c',
                        'import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])'))

async def talk():
    child = await asyncio.create_subprocess_shell('while read x; do echo "got $x"; done',
                                                  stdin=sp.PIPE, stdout=sp.PIPE)
    for word in b'one', b'two', b'three':
        child.stdin.write(word + b'\n')
        print(await asyncio.wait_for(child.stdout.readline(), 20))
    child.stdin.close()
    print(await child.stdout.read(), await child.wait())

async def killed():
    child = await asyncio.create_subprocess_exec('sleep', '100', stdout=sp.PIPE)
    try:
        await asyncio.wait_for(child.stdout.read(), 0.1)
    except asyncio.TimeoutError:
        child.send_signal(signal.SIGKILL)
    print('killed', await child.wait(), await child.stdout.read())
    child = await asyncio.create_subprocess_exec('head', '-c', '10', stdin=sp.PIPE, stdout=sp.PIPE)
    print(await child.communicate(DATA), child.returncode)

async def chain():
    # Two children joined by a pipe of ours, which the loop doesn't watch.
    r, w = os.pipe()
    first = await asyncio.create_subprocess_exec('seq', '1', '60000', stdout=w)
    os.close(w)
    second = await asyncio.create_subprocess_exec('md5sum', stdin=r, stdout=sp.PIPE)
    os.close(r)
    print((await second.communicate())[0], await first.wait())

async def main():
    await many()
    await talk()
    await killed()
    await chain()

for watcher in asyncio.unix_events.ThreadedChildWatcher, asyncio.unix_events.PidfdChildWatcher:
    try:
        asyncio.set_child_watcher(watcher())
    except NotImplementedError: # uvloop: libuv sees to that
        pass
    print(watcher.__name__)
    asyncio.run(main())
END_OF_PYTHON

cat >"$work/loop_wakes.py" <<'END_OF_PYTHON'
# What wakes a loop: signals, threads, timers, and real descriptors among emulated ones.
import asyncio, ctypes, os, signal, socket, struct, subprocess, tempfile, threading, time
libc = ctypes.CDLL(None, use_errno=True)
# For a signalfd alone: blocked before there are threads.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])

async def signals():
    loop = asyncio.get_running_loop()
    counts = {signal.SIGUSR1: 0, signal.SIGUSR2: 0, signal.SIGALRM: 0}
    done = asyncio.Event()
    def handler(number):
        counts[number] += 1
        if number == signal.SIGUSR1 and counts[number] < 20:
            os.kill(os.getpid(), signal.SIGUSR1)
        if list(counts.values()) == [20, 1, 1]:
            done.set()
    for number in counts:
        loop.add_signal_handler(number, handler, number)
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    child = subprocess.Popen(['sh', '-c', 'kill -USR2 $PPID'])
    await asyncio.wait_for(done.wait(), 20)
    for number in counts:
        loop.remove_signal_handler(number)
    print(sorted(counts.values()), child.wait())

async def threads():
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()
    def work(number):
        for i in range(200):
            loop.call_soon_threadsafe(queue.put_nowait, number * 1000 + i)
    workers = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for worker in workers: worker.start()
    got = [await asyncio.wait_for(queue.get(), 20) for _ in range(1200)]
    for worker in workers: worker.join()
    print(len(set(got)), [[g for g in got if g // 1000 == n] == sorted(
        g for g in got if g // 1000 == n) for n in range(6)])
    # Results of an executor, and coroutines asked for from it.
    async def double(x):
        return 2 * x
    ask = lambda x: asyncio.run_coroutine_threadsafe(double(x), loop).result(20)
    print(sum(await asyncio.gather(*(loop.run_in_executor(None, ask, n) for n in range(50)))))

async def mixed():
    # Readers on real and emulated descriptors; each wakes the loop from outside.
    loop = asyncio.get_running_loop()
    seen = []
    left = asyncio.Event()
    def reader(name, fd, size):
        data = os.read(fd, size)
        seen.append((name, struct.unpack('Q', data)[0] if size == 8 else len(data) > 0))
        loop.remove_reader(fd)
        if len(seen) == len(fds):
            left.set()
    folder = tempfile.TemporaryDirectory()
    event = os.eventfd(0)
    timer = libc.timerfd_create(time.CLOCK_MONOTONIC, 0)
    libc.timerfd_settime(timer, 0, struct.pack('qqqq', 0, 0, 0, 60_000_000), None)
    watch = libc.inotify_init()
    libc.inotify_add_watch(watch, folder.name.encode(), 0x100)
    mask = struct.pack('16Q', 1 << (signal.SIGRTMIN - 1), *[0] * 15)
    signals = libc.signalfd(-1, mask, os.O_CLOEXEC)
    terminal, slave = os.openpty()
    r, w = os.pipe()
    a, b = socket.socketpair()
    fds = (('eventfd', event, 8), ('timerfd', timer, 8), ('inotify', watch, 4096), ('pipe', r, 100),
           ('signalfd', signals, 128), ('terminal', terminal, 100), ('socket', a.fileno(), 100))
    for name, fd, size in fds:
        loop.add_reader(fd, reader, name, fd, size)
    def outside():
        os.write(w, b'pipe')
        os.eventfd_write(event, 5)
        open(folder.name + '/file', 'w').close()
        os.kill(os.getppid(), signal.SIGRTMIN)
        os.write(slave, b'line')
        b.send(b'socket')
    pid = os.fork()
    if pid == 0:
        outside()
        os._exit(0)
    await asyncio.wait_for(left.wait(), 20)
    os.waitpid(pid, 0)
    print(sorted(seen))
    for fd in (event, timer, watch, signals, terminal, slave, r, w):
        os.close(fd)
    a.close(), b.close()

async def timers():
    loop = asyncio.get_running_loop()
    order = []
    start = loop.time()
    for delay in 0.06, 0.02, 0.04, 0:
        loop.call_later(delay, order.append, delay)
    await asyncio.sleep(0.1)
    print(order, 0.099 <= loop.time() - start < 10)

async def writable():
    # add_writer and add_reader on one descriptor: full, half empty, empty.
    loop = asyncio.get_running_loop()
    r, w = os.pipe2(os.O_NONBLOCK)
    sent = received = 0
    done = loop.create_future()
    def write():
        nonlocal sent
        if sent == 300_000:
            loop.remove_writer(w)
            os.close(w)
            return
        sent += os.write(w, b'x' * min(10000, 300_000 - sent))
    def read():
        nonlocal received
        if data := os.read(r, 7000):
            received += len(data)
            return
        loop.remove_reader(r)
        os.close(r)
        done.set_result(received)
    loop.add_writer(w, write)
    loop.add_reader(r, read)
    print(await asyncio.wait_for(done, 20))

for test in signals, threads, mixed, timers, writable:
    asyncio.run(test())
END_OF_PYTHON

# Each selector under each script: the loop is the same, the waiting call isn't. And uvloop, which
# puts libuv in the loop's place.
cat >"$work/with.py" <<'END_OF_PYTHON'
import asyncio, runpy, selectors, sys
if sys.argv[1] == 'uvloop':
    import uvloop
    Policy = uvloop.EventLoopPolicy
else:
    selector = getattr(selectors, sys.argv[1])
    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self):
            return asyncio.SelectorEventLoop(selector())
asyncio.set_event_loop_policy(Policy())
runpy.run_path(sys.argv[2])
END_OF_PYTHON
for script in streams pipes children wakes; do
    for selector in EpollSelector PollSelector SelectSelector uvloop; do
        loop "$script, $selector" "$python" "$work/with.py" "$selector" "$work/loop_$script.py"
    done
done
finish
