#!/bin/sh
# vsock_squeeze.sh - small credit and short backlogs: what a program sees of them on AF_VSOCK, and
# that what is written in a loop still works
. "${0%/*}/compare.inc"
. "${0%/*}/vsock.inc"

: "${SOCKRIG_GUESTS:?names the folder of the guests}"
python=/usr/bin/python3

cat >"$work/credit.py" <<'END_OF_PYTHON'
import socket
SIZE = 0  # SO_VM_SOCKETS_BUFFER_SIZE
def pair(kind):
    listener = socket.socket(socket.AF_VSOCK, kind)
    listener.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
    listener.listen()
    client = socket.socket(socket.AF_VSOCK, kind)
    client.connect((socket.VMADDR_CID_HOST, listener.getsockname()[1]))
    return client, listener.accept()[0]
def fill(sock, size):
    total = 0
    try:
        while True:
            total += sock.send(bytes(size), socket.MSG_DONTWAIT)
    except BlockingIOError:
        return total
for size in 1, 50, 100000:
    client, server = pair(socket.SOCK_STREAM)
    print(client.getsockopt(socket.AF_VSOCK, SIZE), fill(client, size),
          fill(server, size), end=' ')
client, server = pair(socket.SOCK_SEQPACKET)
size = client.getsockopt(socket.AF_VSOCK, SIZE)
try:
    client.send(bytes(size + 1))
except OSError as e:
    print(e.strerror, client.send(bytes(size)), len(server.recv(size + 1)))
END_OF_PYTHON

credit() { # LABEL SIZE OPTION...
    label=$1
    size=$2
    shift 2
    expect "$label" 0 "$@" -- $python "$work/credit.py"
    three="$size $size $size"
    says "$label" "$three $three $three Message too long $size $size" "$work/out"
}

credit 'the default' 262144
credit 'squeezed' 128 --squeeze
credit 'a size' 1000 --vsock-credit 1000
credit 'a large one' 1048576 --vsock-credit=1M
credit 'the last one counts' 4096 --squeeze --vsock-credit 4K
expect 'no size' 125 --vsock-credit=much -- true
expect 'nothing at all' 125 --vsock-credit=0 -- true

cat >"$work/backlog.py" <<'END_OF_PYTHON'
import socket
listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
listener.bind((socket.VMADDR_CID_ANY, 5000))
listener.listen(100)
clients = []
try:
    while True:
        clients.append(socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
        clients[-1].connect((1, 5000))
except OSError as e:
    print(e.strerror, len(clients) - 1)
END_OF_PYTHON

expect 'a backlog' 0 --backlog 3 -- $python "$work/backlog.py"
says 'a backlog' 'Connection reset by peer 4' "$work/out"
expect 'the backlog asked for' 0 --backlog 1000 -- $python "$work/backlog.py"
says 'the backlog asked for' 'Connection reset by peer 101' "$work/out"
expect 'no backlog' 125 --backlog none -- true

# Both ways at once, by threads: nobody waits for more than there is room for.
cat >"$work/both.py" <<'END_OF_PYTHON'
import hashlib, socket, sys, threading
DATA = bytes(i * 11 % 251 for i in range(int(sys.argv[1])))
listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
listener.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
listener.listen()
client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
client.connect((socket.VMADDR_CID_HOST, listener.getsockname()[1]))
server, _ = listener.accept()
sums = []
def write(sock):
    sock.sendall(DATA)
    sock.shutdown(socket.SHUT_WR)
def read(sock):
    md5 = hashlib.md5()
    while data := sock.recv(3000):
        md5.update(data)
    sums.append(md5.hexdigest())
threads = [threading.Thread(target=f, args=(s,)) for f in (write, read) for s in (client, server)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(sums), set(sums) == {hashlib.md5(DATA).hexdigest()})
END_OF_PYTHON

echo '2 True' >"$work/wanted"
session 'both ways' $python "$work/both.py" 3000000
SOCKRIG_OPTIONS=squeeze session 'both ways, squeezed' $python "$work/both.py" 100000
SOCKRIG_OPTIONS='vsock-credit=5000' session 'both ways, 5000' $python "$work/both.py" 1000000

# The guests whose steps fit into 128 bytes.
for guest in vsock_addresses vsock_bind vsock_connect vsock_connect_nonblock vsock_libraries \
    vsock_poll vsock_routing; do
    expect "$guest, squeezed" 0 --squeeze -- "$SOCKRIG_GUESTS/only_emu/$guest"
done
finish
