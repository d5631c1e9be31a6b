#!/bin/sh
# vsock_python.sh - Python's socket.AF_VSOCK: threads, processes, asyncio, options, time-outs, two
# machines, and the tests of Python's own socket module
. "${0%/*}/compare.inc"
. "${0%/*}/vsock.inc"

python=/usr/bin/python3
wants() { cat >"$work/wanted"; }

cat >"$work/vsock_threads.py" <<'END_OF_PYTHON'
# A server thread for each client; the bytes come back as they went.
import errno, hashlib, socket, threading
DATA = bytes(i * 7 % 253 for i in range(1 << 20))

def listening():
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    sock.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
    sock.listen()
    return sock

def echo(conn):
    with conn:
        while data := conn.recv(50000):
            conn.sendall(data)

def serve(server, count, seen):
    echoing = []
    for _ in range(count):
        conn, address = server.accept()
        seen.append((address, conn.getsockname()[0]))
        echoing.append(threading.Thread(target=echo, args=(conn,)))
        echoing[-1].start()
    for thread in echoing:
        thread.join()

def ask(cid, port, own, sums):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as sock:
        sock.connect((cid, port))
        assert sock.getpeername() == (cid, port)
        own.append(sock.getsockname()[1])
        sending = threading.Thread(target=lambda: (sock.sendall(DATA),
                                                   sock.shutdown(socket.SHUT_WR)))
        sending.start()
        with sock.makefile('rb') as stream:
            sums.append(hashlib.md5(stream.read()).hexdigest())
        sending.join()

server = listening()
cid, port = server.getsockname()
print(server.family.name, cid == socket.VMADDR_CID_ANY, 1023 < port < 0xffffffff)
seen, own, sums = [], [], []
clients = [threading.Thread(target=ask, args=(1 + n % 2, port, own, sums)) for n in range(6)]
serving = threading.Thread(target=serve, args=(server, 6, seen))
for thread in [serving] + clients: thread.start()
for thread in [serving] + clients: thread.join()
print(set(sums) == {hashlib.md5(DATA).hexdigest()}, len(sums))
print(sorted(address[1] for address, _ in seen) == sorted(own))
print({address[0] for address, _ in seen}, sorted(cid for _, cid in seen))

# Packets keep their limits, and tell where they end.
server = socket.socket(socket.AF_VSOCK, socket.SOCK_SEQPACKET)
server.bind((socket.VMADDR_CID_ANY, 5000))
server.listen()
client = socket.socket(socket.AF_VSOCK, socket.SOCK_SEQPACKET)
client.connect((1, 5000))
conn, _ = server.accept()
for size in 5, 70000, 1:
    client.send(b'x' * size)
print([conn.recvmsg(100000)[0::2] == (b'x' * size, 0) for size in (5, 70000, 1)])
client.sendmsg([b'two ', b'parts'])
data, _, flags, _ = conn.recvmsg(5)
print(data, bool(flags & socket.MSG_TRUNC))
try:
    client.send(bytes(300000))
except OSError as e:
    print(errno.errorcode[e.errno])
END_OF_PYTHON

cat >"$work/vsock_processes.py" <<'END_OF_PYTHON'
# socketserver over AF_VSOCK, a process for each client; the clients are processes too.
import os, select, signal, socket, socketserver

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b'%d %s' % (self.client_address[0], line.upper()))

class Server(socketserver.ForkingMixIn, socketserver.TCPServer):
    address_family = socket.AF_VSOCK
    request_queue_size = 20

server = Server((socket.VMADDR_CID_ANY, 6000), Handler)
r, w = os.pipe()
children = []
for number in range(8):
    pid = os.fork()
    if pid == 0:
        server.socket.close()
        with socket.socket(socket.AF_VSOCK) as sock:
            sock.connect((socket.VMADDR_CID_HOST, 6000))
            sock.sendall(b'from %d\nand on\n' % number)
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile() as stream:
                os.write(w, stream.read().replace('\n', ';').encode() + b'\n')
        os._exit(0)
    children.append(pid)
os.close(w)
for _ in children:
    server.handle_request()
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
with os.fdopen(r) as answers:
    print(''.join(sorted(answers)), end='')
server.server_close()

# A client that is killed: end of file, and writing to it fails.
server = socket.socket(socket.AF_VSOCK)
server.bind((socket.VMADDR_CID_ANY, 6001))
server.listen()
pid = os.fork()
if pid == 0:
    server.close()
    sock = socket.socket(socket.AF_VSOCK)
    sock.connect((1, 6001))
    sock.send(b'last words')
    signal.pause()
conn, _ = server.accept()
print(conn.recv(4))
os.kill(pid, signal.SIGKILL)
poller = select.poll()
poller.register(conn, select.POLLRDHUP)
print(poller.poll(20000)[0][1] & select.POLLRDHUP == select.POLLRDHUP)
print(conn.recv(100), conn.recv(100), os.waitpid(pid, 0)[1] == signal.SIGKILL)
try:
    conn.send(b'x')
except BrokenPipeError:
    print('broken pipe')
END_OF_PYTHON

cat >"$work/vsock_asyncio.py" <<'END_OF_PYTHON'
# Servers and clients in one loop; a server of its own for a child's loop.
import asyncio, hashlib, os, socket
DATA = bytes(i * 11 % 251 for i in range(600_000))

def vsock():
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    sock.setblocking(False)
    return sock

def listening(port):
    sock = vsock()
    sock.bind((socket.VMADDR_CID_ANY, port))
    return sock

async def upper(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()

async def mirror(reader, writer):
    data = await reader.read()
    writer.write(data[::-1])
    writer.close()

async def connected(port):
    sock = vsock()
    await asyncio.get_running_loop().sock_connect(sock, (socket.VMADDR_CID_HOST, port))
    return await asyncio.open_connection(sock=sock)

async def lines(port, number):
    reader, writer = await connected(port)
    count = 0
    for i in range(200):
        writer.write(b'client %d line %d\n' % (number, i))
        count += await reader.readline() == b'CLIENT %d LINE %d\n' % (number, i)
    writer.close()
    await writer.wait_closed()
    return count

async def bulk(port):
    reader, writer = await connected(port)
    writer.write(DATA)
    writer.write_eof()
    data = await reader.read()
    writer.close()
    return hashlib.md5(data[::-1]).digest() == hashlib.md5(DATA).digest()

async def one_loop():
    async with await asyncio.start_server(upper, sock=listening(7000)) as first, \
               await asyncio.start_server(mirror, sock=listening(7001)) as second:
        print(first.sockets[0].getsockname()[1])
        print(await asyncio.gather(*(lines(7000, n) for n in range(10))))
        print(await asyncio.gather(*(bulk(7001) for _ in range(3))))

async def refused():
    try:
        await connected(7002)
    except ConnectionResetError:
        print('nobody there')
    server = listening(7003)
    server.listen()
    reader, writer = await connected(7003)
    try:
        await asyncio.wait_for(reader.read(1), 0.05)
    except asyncio.TimeoutError:
        print('timed out')
    server.close()
    print(await asyncio.wait_for(reader.read(), 20))
    writer.close()

def other_loop():
    server = listening(7004)
    server.listen()
    pid = os.fork()
    if pid == 0:
        async def serve():
            done = asyncio.Event()
            async def once(reader, writer):
                await mirror(reader, writer)
                await writer.wait_closed()
                done.set()
            async with await asyncio.start_server(once, sock=server):
                await done.wait()
        asyncio.run(serve())
        os._exit(3)
    server.close()
    print(asyncio.run(bulk(7004)), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

asyncio.run(one_loop())
asyncio.run(refused())
other_loop()
END_OF_PYTHON

cat >"$work/vsock_options.py" <<'END_OF_PYTHON'
# Options, time-outs, errors, and what waits: no second party but this thread itself.
import errno, fcntl, select, socket, struct, time
ANY = socket.VMADDR_CID_ANY

def fails(label, call, *arguments):
    try:
        print(label, call(*arguments))
    except OSError as e:
        print(label, errno.errorcode.get(e.errno, e))

with open('/dev/vsock', 'rb') as device:
    answer = fcntl.ioctl(device, socket.IOCTL_VM_SOCKETS_GET_LOCAL_CID, b'    ')
print('own cid', struct.unpack('I', answer)[0])

sock = socket.socket(socket.AF_VSOCK)
options = [socket.SO_VM_SOCKETS_BUFFER_MAX_SIZE, socket.SO_VM_SOCKETS_BUFFER_SIZE,
           socket.SO_VM_SOCKETS_BUFFER_MIN_SIZE]
sizes = lambda of: [of.getsockopt(socket.AF_VSOCK, option) for option in options]
print(sizes(sock))
for option, size in zip(options, sizes(sock)):
    sock.setsockopt(socket.AF_VSOCK, option, 2 * size)
print(sizes(sock))
sock.setsockopt(socket.AF_VSOCK, options[1], 1 << 40)
print(sizes(sock))
sock.setsockopt(socket.AF_VSOCK, options[1], 1)
print(sizes(sock))
sock.setsockopt(socket.AF_VSOCK, options[1], 300000)
print([sock.getsockopt(socket.SOL_SOCKET, option) for option in
       (socket.SO_TYPE, socket.SO_DOMAIN, socket.SO_PROTOCOL, socket.SO_ACCEPTCONN)])
fails('peer host id', sock.getsockopt, socket.AF_VSOCK, 3)
fails('tcp option', sock.getsockopt, socket.IPPROTO_TCP, 1)
print('fresh name', sock.getsockname())
fails('fresh peer', sock.getpeername)
fails('fresh recv', sock.recv, 1)
fails('fresh accept', sock.accept)
fails('fresh listen', sock.listen)
fails('foreign cid', sock.bind, (99, 5000))
sock.bind((ANY, 8000))
fails('bound twice', sock.bind, (ANY, 8001))
fails('taken', socket.socket(socket.AF_VSOCK, socket.SOCK_SEQPACKET).bind, (2, 8000))
fails('not listening yet', socket.socket(socket.AF_VSOCK).connect, (2, 8000))
fails('no such machine', socket.socket(socket.AF_VSOCK).connect, (77, 8000))
fails('pair', socket.socketpair, socket.AF_VSOCK)
sock.listen(0)
print('listening', sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

def took(start, least):
    return least - 0.005 <= time.monotonic() - start < least + 10

sock.settimeout(0.05)
start = time.monotonic()
fails('accept', sock.accept)
print(took(start, 0.05))
client = socket.socket(socket.AF_VSOCK)
client.settimeout(20)
client.connect((1, 8000)) # without waiting, then poll and SO_ERROR
client.settimeout(0.05)
fails('recv', client.recv, 1)
# One more than the backlog fits.
fails('backlog is full', socket.socket(socket.AF_VSOCK).connect, (1, 8000))
conn, peer = sock.accept()
print(conn.gettimeout(), peer == (1, client.getsockname()[1]), conn.getsockname())
print(sizes(conn))

def bits(of):
    poller = select.poll()
    poller.register(of, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
    names = 'IN OUT ERR HUP RDHUP'.split()
    return [name for _, events in poller.poll(0) for name in names
            if events & getattr(select, 'POLL' + name)]

client.setblocking(False)
total = 0
try:
    while True:
        total += client.send(b'x' * 10000)
except BlockingIOError:
    print('credit', total, bits(client), bits(conn))
print(len(conn.recv(1000)), bits(client))
while total > 1000:
    total -= len(conn.recv(1 << 20))
print(total, bits(client), bits(conn))
client.shutdown(socket.SHUT_WR)
print(bits(client), bits(conn), conn.recv(1))
fails('after shutdown', client.getpeername)
conn.send(b'still open')
print(client.recv(100))
conn.close()
print(bits(client), client.recv(1))
fails('send', client.send, b'x')
sock.close()
fails('gone', socket.socket(socket.AF_VSOCK).connect, (1, 8000))
END_OF_PYTHON

wants <<'END_OF_OUTPUT'
AF_VSOCK True True
True 6
True
{1} [1, 1, 1, 2, 2, 2]
[True, True, True]
b'two p' True
EMSGSIZE
END_OF_OUTPUT
session 'threads' "$python" "$work/vsock_threads.py"

{
    echo '[0, 0, 0, 0, 0, 0, 0, 0]'
    for number in 0 1 2 3 4 5 6 7; do
        echo "1 FROM $number;1 AND ON;"
    done
    printf "b'last'\nTrue\nb' words' b'' True\nbroken pipe\n"
} >"$work/wanted"
session 'processes' "$python" "$work/vsock_processes.py"

wants <<'END_OF_OUTPUT'
7000
[200, 200, 200, 200, 200, 200, 200, 200, 200, 200]
[True, True, True]
nobody there
timed out
b''
True 3
END_OF_OUTPUT
session 'asyncio' "$python" "$work/vsock_asyncio.py"

wants <<'END_OF_OUTPUT'
own cid 2
[262144, 262144, 128]
[524288, 524288, 256]
[524288, 524288, 256]
[524288, 256, 256]
[1, 40, 0, 0]
peer host id ENOPROTOOPT
tcp option ENOPROTOOPT
fresh name (4294967295, 4294967295)
fresh peer ENOTCONN
fresh recv ENOTCONN
fresh accept EINVAL
fresh listen EINVAL
foreign cid EADDRNOTAVAIL
bound twice EINVAL
taken EADDRINUSE
not listening yet ECONNRESET
no such machine ENODEV
pair ENOTSUP
listening 1
accept timed out
True
recv timed out
backlog is full ECONNRESET
None True (1, 8000)
[524288, 300000, 256]
credit 262144 [] ['IN', 'OUT']
1000 []
1000 ['OUT'] ['OUT']
[] ['IN', 'OUT', 'RDHUP'] b''
after shutdown ENOTCONN
b'still open'
['IN', 'HUP', 'RDHUP'] b''
send EPIPE
gone ECONNRESET
END_OF_OUTPUT
session 'options' "$python" "$work/vsock_options.py"

# Two machines: the server on the host, a guest beside it. What a guest says to a guest is lost.
cat >"$work/vsock_host.py" <<'END_OF_PYTHON'
import socket, subprocess, sys
server = socket.socket(socket.AF_VSOCK)
server.bind((socket.VMADDR_CID_ANY, 9000))
server.listen()
guest = subprocess.Popen(sys.argv[1:])
conn, peer = server.accept()
print('host: guest is', peer[0], 'and dialled', conn.getsockname()[0], flush=True)
with conn, conn.makefile('rw') as stream:
    port = int(stream.readline())
    back = socket.socket(socket.AF_VSOCK)
    back.connect((peer[0], port))
    back.sendall(b'from the host')
    back.close()
    stream.readline()
print('host: guest ended with', guest.wait())
END_OF_PYTHON
cat >"$work/vsock_guest.py" <<'END_OF_PYTHON'
import ctypes, errno, fcntl, socket, struct, time
with open('/dev/vsock', 'rb') as device:
    answer = fcntl.ioctl(device, socket.IOCTL_VM_SOCKETS_GET_LOCAL_CID, b'    ')
own, = struct.unpack('I', answer)
print('guest:', own, flush=True)
server = socket.socket(socket.AF_VSOCK)
server.bind((own, socket.VMADDR_PORT_ANY))
server.listen()
sock = socket.socket(socket.AF_VSOCK)
sock.connect((2, 9000))
with sock.makefile('rw') as stream:
    print(server.getsockname()[1], file=stream, flush=True)
    conn, peer = server.accept()
    print('guest: host is', peer[0], 'and dialled', conn.getsockname()[0], conn.recv(100))
    own_client = socket.socket(socket.AF_VSOCK)
    own_client.connect(server.getsockname())
    print('guest: itself is', server.accept()[1][0])
    lost = socket.socket(socket.AF_VSOCK)
    timeout = struct.pack('qq', 0, 60_000) # to SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW Python takes none
    print('guest:', ctypes.CDLL(None).setsockopt(lost.fileno(), socket.AF_VSOCK, 8, timeout, 16))
    for cid in 4, 0:
        start = time.monotonic()
        try:
            lost.connect((cid, 9000))
        except OSError as e:
            print('guest:', errno.errorcode[e.errno], 0.05 < time.monotonic() - start < 10)
    try:
        lost.connect((2, 9001))
    except OSError as e:
        print('guest:', errno.errorcode[e.errno])
    try:
        socket.socket(socket.AF_VSOCK).bind((2, 9001))
    except OSError as e:
        print('guest:', errno.errorcode[e.errno], flush=True)
    print(file=stream, flush=True)
END_OF_PYTHON
wants <<'END_OF_OUTPUT'
guest: 3
host: guest is 3 and dialled 2
guest: host is 2 and dialled 3 b'from the host'
guest: itself is 1
guest: 0
guest: ETIMEDOUT True
guest: ETIMEDOUT True
guest: ECONNRESET
guest: EADDRNOTAVAIL
host: guest ended with 0
END_OF_OUTPUT
session 'guest and host' "$python" "$work/vsock_host.py" \
    "$SOCKRIG" run --cid 3 -- "$python" "$work/vsock_guest.py"

# Python's own tests. They look for vsock by /dev/vsock; one dials the machine's own CID, and only
# on a guest.
own_tests() { # LABEL SUMMARY [OPTION...]
    label=$1
    summary=$2
    shift 2
    expect "$label" 0 --unmodeled=native --verify --report="$work/report" "$@" -- \
        "$python" -m unittest -v test.test_socket -k VSOCK
    [ "$(tail -n 1 "$err")" = "$summary" ] && grep -q '^Ran 5 tests' "$err" && passed ||
        failed "$label: ends with $(tail -n 1 "$err"), not with $summary"
    says "$label" 'objects left: 0' "$work/report"
}
own_tests 'own tests, host' 'OK (skipped=1)'
own_tests 'own tests, guest' OK --cid 3
own_tests 'own tests, no vsock' 'OK (skipped=5)' --policy vsock=EAFNOSUPPORT
finish
