#!/bin/sh
# unix_python.sh - Python over AF_UNIX names: asyncio's servers, managers and the fork server of
# multiprocessing, and Python's own tests of such sockets
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

python=/usr/bin/python3
cd "$work" || exit 1

cat >"$work/unix_asyncio.py" <<'END_OF_PYTHON'
# Servers on a path and on an abstract name, many clients in one loop, and a child's loop.
import asyncio, hashlib, os, socket, tempfile
DATA = bytes(i * 11 % 251 for i in range(600_000))
folder = tempfile.TemporaryDirectory()
path, abstract = folder.name + '/socket', '\0' + folder.name

async def mirror(reader, writer):
    data = await reader.read()
    writer.write(data[::-1])
    writer.close()
    await writer.wait_closed()

async def upper(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()

async def bulk(name):
    reader, writer = await asyncio.open_unix_connection(name)
    writer.write(DATA)
    writer.write_eof()
    data = await reader.read()
    writer.close()
    return hashlib.md5(data[::-1]).digest() == hashlib.md5(DATA).digest()

async def lines(name, number):
    reader, writer = await asyncio.open_unix_connection(name)
    count = 0
    for i in range(200):
        writer.write(b'client %d line %d\n' % (number, i))
        count += await reader.readline() == b'CLIENT %d LINE %d\n' % (number, i)
    writer.close()
    await writer.wait_closed()
    return count

async def one_loop():
    async with await asyncio.start_unix_server(upper, path) as first, \
               await asyncio.start_unix_server(mirror, abstract) as second:
        print(first.sockets[0].getsockname() == path)
        print(second.sockets[0].getsockname() == abstract.encode())
        print(await asyncio.gather(*(lines(path, n) for n in range(20))))
        print(await asyncio.gather(*(bulk(abstract) for _ in range(5))))
    print(os.path.exists(path))
    for name in path, abstract:
        try:
            await asyncio.open_unix_connection(name)
        except ConnectionRefusedError:
            print('refused')
    os.unlink(path)

def two_loops():
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(10)
    pid = os.fork()
    if pid == 0:
        async def serve():
            async with await asyncio.start_unix_server(mirror, sock=server):
                signal = asyncio.Event()
                asyncio.get_running_loop().add_signal_handler(15, signal.set)
                await signal.wait()
        asyncio.run(serve())
        os._exit(4)
    server.close()
    async def ask():
        return await asyncio.gather(*(bulk(path) for _ in range(4)))
    print(asyncio.run(ask()))
    os.kill(pid, 15)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

asyncio.run(one_loop())
two_loops()
END_OF_PYTHON

cat >"$work/unix_names.py" <<'END_OF_PYTHON'
# Names, credentials and time-outs as a program sees them.
import errno, os, socket, stat, struct, tempfile, threading
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)

def fails(label, call, *arguments):
    try:
        print(label, call(*arguments))
    except OSError as e:
        print(label, errno.errorcode.get(e.errno, e))

def credentials(sock):
    return struct.unpack('3i', sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))

for kind in socket.SOCK_STREAM, socket.SOCK_SEQPACKET:
    os.umask(0o027)
    server = socket.socket(socket.AF_UNIX, kind)
    fails('listen unbound', server.listen)
    server.bind('name')
    print(oct(os.stat('name').st_mode), stat.S_ISSOCK(os.stat('name').st_mode))
    client = socket.socket(socket.AF_UNIX, kind)
    fails('not listening', client.connect, 'name')
    fails('no such name', client.connect, 'none')
    server.listen(1)
    fails('taken', socket.socket(socket.AF_UNIX, kind).bind, 'name')
    other = 5 if kind == socket.SOCK_STREAM else 1
    fails('other type', socket.socket(socket.AF_UNIX, other).connect, 'name')
    client.bind('own')
    client.connect('name')
    client.send(b'before accept')
    fails('again', client.connect, 'name')
    conn, peer = server.accept()
    print(peer, conn.getsockname(), conn.getpeername(), client.getpeername(), conn.recv(100))
    print(credentials(conn) == credentials(client) == (os.getpid(), os.getuid(), os.getgid()))
    conn.send(b'answer')
    conn.close()
    print(client.recv(100), client.recv(100))
    # The backlog: one more than asked for; then EAGAIN, or waiting.
    waiting = [socket.socket(socket.AF_UNIX, kind) for _ in range(4)]
    for sock in waiting[:2]:
        sock.connect('name')
    waiting[2].setblocking(False)
    fails('full', waiting[2].connect, 'name')
    waiting[3].settimeout(0.05)
    fails('full, patient', waiting[3].connect, 'name')
    late = socket.socket(socket.AF_UNIX, kind)
    thread = threading.Thread(target=lambda: (late.connect('name'), late.send(b'late')))
    thread.start()
    print([server.accept()[0].getpeername() for _ in range(2)])
    thread.join()
    conn, peer = server.accept()
    print(repr(peer), conn.recv(10))
    # Who waits in the backlog when the listener goes is reset.
    lost = socket.socket(socket.AF_UNIX, kind)
    lost.connect('name')
    server.close()
    fails('lost', lost.recv, 1)
    fails('stale', socket.socket(socket.AF_UNIX, kind).connect, 'name')
    os.unlink('name'), os.unlink('own')
    # Without a file.
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind('')
    print(len(server.getsockname()), server.getsockname()[:1])
    server.listen()
    client = socket.socket(socket.AF_UNIX, kind)
    client.connect(server.getsockname())
    conn, peer = server.accept()
    client.shutdown(socket.SHUT_WR)
    print(repr(peer), conn.recv(1), client.getpeername() == server.getsockname())
    for sock in client, conn, server, late, lost, *waiting:
        sock.close()
END_OF_PYTHON

cat >"$work/unix_managers.py" <<'END_OF_PYTHON'
# multiprocessing: a manager's process, listeners and clients with a key, the fork server.
import multiprocessing, multiprocessing.connection, multiprocessing.managers, sys
class Counter:
    value = 0
    def add(self, number):
        self.value += number
        return self.value
class Manager(multiprocessing.managers.BaseManager):
    pass
Manager.register('Counter', Counter)
Manager.register('dict', dict, multiprocessing.managers.DictProxy)

def work(counter, words, number):
    for i in range(50):
        counter.add(number)
    words[number] = 'word %d' % number

def client(address):
    with multiprocessing.connection.Client(address, authkey=b'key') as conn:
        conn.send(list(range(50000)))
        conn.send_bytes(b'z' * 300000)
        print(conn.recv(), flush=True)

def run(context):
    context = multiprocessing.get_context(context)
    with Manager(ctx=context) as manager:
        counter, words = manager.Counter(), manager.dict()
        workers = [context.Process(target=work, args=(counter, words, n)) for n in range(4)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        print([worker.exitcode for worker in workers], counter.add(0), sorted(words.items()))
    with multiprocessing.connection.Listener(family='AF_UNIX', authkey=b'key') as listener:
        child = context.Process(target=client, args=(listener.address,))
        child.start()
        with listener.accept() as conn:
            print(sum(conn.recv()), len(conn.recv_bytes()))
            conn.send('answer')
        child.join()
        print(child.exitcode)

if __name__ == '__main__':
    run(sys.argv[1])
END_OF_PYTHON

loop 'asyncio' "$python" "$work/unix_asyncio.py"
loop 'names' "$python" "$work/unix_names.py"
loop 'managers, fork' "$python" "$work/unix_managers.py" fork
loop 'managers, spawn' "$python" "$work/unix_managers.py" spawn
# The fork server gets its descriptors by SCM_RIGHTS, so its connections go native. It ends after
# the program, by itself.
objects=any
same 'managers, fork server' "$python" "$work/unix_managers.py" forkserver

own_tests() { # LABEL ARG...: Python's own tests end alike, and as many run
    label=$1
    shift
    timeout "$limit" "$python" -m unittest -q "$@" </dev/null >native.log 2>&1
    echo "exit code $?" >>native.log
    timeout "$limit" "$SOCKRIG" run --verify --unmodeled=native --report="$work/report" -- \
        "$python" -m unittest -q "$@" </dev/null >emulated.log 2>&1
    echo "exit code $?" >>emulated.log
    for side in native emulated; do
        sed -E '/^(Ran [0-9]+ tests?|OK|FAILED|exit code)/!d; s/ in [0-9.]+s$//' $side.log >$side
    done
    if ! grep -q '^Ran [1-9]' native || ! grep -q '^exit code 0' native; then
        failed "$label: fails natively"
        tail -n 20 native.log
    elif ! cmp -s native emulated; then
        failed "$label: ends differently (- native, + emulated)"
        diff -u native emulated
        grep -A 20 -E '^(FAIL|ERROR):' emulated.log | head -n 60
    else
        passed
    fi
    says "$label" 'objects left: 0' "$work/report"
}
own_tests 'own tests of socket' test.test_socket -k Unix -k UNIX -k Abstract
own_tests 'own tests of socketserver' test.test_socketserver -k Unix
own_tests 'own tests of asyncio' test.test_asyncio.test_server -k nix
own_tests 'own tests of listeners' test.test_multiprocessing_forkserver -k Listener
finish
