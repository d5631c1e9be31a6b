#!/bin/sh
# capacities.sh - sizes of single objects, by where they are made, and sizes below what Linux allows
. "${0%/*}/compare.inc"

python=/usr/bin/python3

# ---- Smaller than Linux allows ----

# Every byte arrives, in order and in pieces of no more than there is room for; poll and the
# blocked writer agree about when there is room.
cat >"$work/tiny.py" <<'END'
import fcntl, os, select, socket, sys
DATA = bytes(i * 7 % 251 for i in range(3000))

def fill(write):
    total = 0
    try:
        while True:
            total += write(b"abcdefgh")
    except BlockingIOError:
        return total

def through(get, put, done):
    if os.fork() == 0:
        at = 0
        while at < len(DATA):
            at += put(DATA[at:at + 1 + at % 97])
        done()
        os._exit(0)
    done()
    got, most = b"", 0
    while piece := get():
        got += piece
        most = max(most, len(piece))
    os.wait()
    assert got == DATA, (len(got), got[:20])
    return most

r, w = os.pipe()
os.set_blocking(w, False)
print("pipe", fill(lambda data: os.write(w, data)), select.select([], [w], [], 0)[1] == [], end=" ")
os.read(r, 1)
print(select.select([], [w], [], 0)[1] == [w])
r, w = os.pipe()
print("through", through(lambda: os.read(r, 4096), lambda data: os.write(w, data),
                         lambda: os.close(w)))
fcntl.fcntl(os.pipe()[1], fcntl.F_SETPIPE_SZ, 8192)
a, b = socket.socketpair()
a.setblocking(False)
print("pair", fill(a.send), a.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), len(b.recv(4096)))
a, b = socket.socketpair()
print("through", through(lambda: b.recv(4096), a.send, a.close))
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
a.setblocking(False)
print("records", fill(a.send), b.recv(4096))
try:
    a.send(bytes(4577))
except OSError as e:
    print(e.strerror)
END
expect 'one byte' 0 --pipe-capacity 1 --sock-buffer=1 -- $python "$work/tiny.py"
says 'one byte' 'pipe 1 True True' "$work/out"
says 'one byte' 'through 1' "$work/out"
says 'one byte' 'pair 1 4608 1' "$work/out"
says 'one byte' "records 8 b'abcdefgh'" "$work/out"
says 'one byte' 'Message too long' "$work/out"
expect 'some bytes' 0 --pipe-capacity 100 --sock-buffer 100 -- $python "$work/tiny.py"
says 'some bytes' 'pipe 96 True False' "$work/out"
says 'some bytes' 'pair 8 4608 8' "$work/out"

# Children, their pipes and what libc does with them know nothing of it.
expect 'pipelines' 0 --pipe-capacity 1 --sock-buffer 1 -- \
    sh -c 'seq 200 | sort -rn | head -n 3 | tr "\n" " "'
says 'pipelines' '200 199 198' "$work/out"

cat >"$work/stuck.py" <<'END'
import os, sys
r, w = os.pipe()
os.write(w, b"xy")
END
expect 'told' 124 --pipe-capacity 1 -- $python "$work/stuck.py"
says 'told' 'full (1 of 1: smaller than Linux allows)' "$err"
says 'told' 'repeat: sockrig run --pipe-capacity 1 -- ' "$err"

cat >"$work/credit.py" <<'END'
import socket, threading
listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
listener.bind((socket.VMADDR_CID_ANY, 5000))
listener.listen(1)
client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
client.connect((1, 5000))
server, _ = listener.accept()
DATA = bytes(i * 7 % 251 for i in range(500))
thread = threading.Thread(target=lambda: (client.sendall(DATA), client.close()))
thread.start()
got, most = b"", 0
while piece := server.recv(4096):
    got += piece
    most = max(most, len(piece))
thread.join()
print(got == DATA, most)
END
expect 'two bytes of credit' 0 --vsock-credit 2 -- $python "$work/credit.py"
says 'two bytes of credit' 'True 2' "$work/out"

cat >"$work/backlog.py" <<'END'
import os, socket
listener = socket.socket(socket.AF_UNIX)
listener.bind("\0sockrig-backlog-%d" % os.getpid())
listener.listen(100)
clients = []
try:
    while True:
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].setblocking(False)
        clients[-1].connect(listener.getsockname())
except BlockingIOError:
    print("waiting", len(clients) - 1)
END
expect 'one slot' 0 --backlog 0 -- $python "$work/backlog.py"
says 'one slot' 'waiting 1' "$work/out"

# ---- By the place ----

cat >"$work/places.c" <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int sizes(int fd)
{
    char bytes[70000] = { 0 };

    fcntl(fd, F_SETFL, O_NONBLOCK);
    return (int)write(fd, bytes, sizeof bytes);
}

static inline __attribute__((always_inline)) int inlined(void)
{
    int ends[2];

    return pipe(ends) == 0 ? sizes(ends[1]) : -1;
}

__attribute__((noinline)) int one(void)
{
    int ends[2];

    return pipe(ends) == 0 ? sizes(ends[1]) : -1;
}

__attribute__((noinline)) int two(void)
{
    int first[2], second[2], pair[2];
    int rc = pipe(first); /* line 33 */

    rc |= pipe2(second, 0);
    rc |= socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    printf("%d %d %d ", sizes(first[1]), sizes(second[1]), sizes(pair[0]) > 60000);
    return rc;
}

int main(void)
{
    printf("%d %d ", one(), inlined());
    return two() + puts(".");
}
END
line=$(grep -n 'line 33' "$work/places.c" | cut -d: -f1)
cc -g -O2 -o "$work/places" "$work/places.c" 2>"$work/cc" || { cat "$work/cc"; exit 1; }

at() { # LABEL OPTION WHAT IT PRINTS
    timeout 20 "$SOCKRIG" run $2 -- "$work/places" >"$work/out" 2>"$err"
    says "$1" "$3" "$work/out"
}
at 'no place' '' '65536 65536 65536 65536 1 .'
at 'a function' '--pipe-capacity 4K@one' '4096 65536 65536 65536 1 .'
at 'an inlined function' '--pipe-capacity 8K@inlined' '65536 8192 65536 65536 1 .'
at 'a line' "--pipe-capacity 1@places.c:$line" '65536 65536 1 65536 1 .'
at 'a function, all kinds' '--pipe-capacity 4K@two --sock-buffer 10@two' \
    '65536 65536 4096 4096 0 .'
at 'others by the kind' '--pipe-capacity 8K --pipe-capacity 16K@one' '16384 8192 8192 8192 1 .'
at 'another kind' '--sock-buffer 8K@one' '65536 65536 65536 65536 1 .'
at 'with its file' "--pipe-capacity 4K@one@$work/places" '4096 65536 65536 65536 1 .'
cat >"$work/shell" <<END
"$work/places"
END
timeout 20 "$SOCKRIG" run --pipe-capacity "4K@one@$work/places" -- \
    sh "$work/shell" >"$work/out" 2>"$err"
says 'of a child' '4096 65536 65536 65536 1 .' "$work/out"
# What a report names can be given.
cat >"$work/where.c" <<'END'
#include <unistd.h>
int main(void)
{
    char bytes[5000] = { 0 };
    int ends[2];
    return pipe(ends) != 0 || write(ends[1], bytes, sizeof bytes) != 5000;
}
END
cc -O1 -o "$work/where" "$work/where.c" 2>"$work/cc" || { cat "$work/cc"; exit 1; }
offset=$(objdump -d "$work/where" |
    sed -n '/<pipe@plt>$/{n;s/^ *\([0-9a-f]*\):.*/\1/p;}' | tail -n 1)
expect 'an offset' 124 --pipe-capacity "4K@where+0x$offset" -- "$work/where"
says 'an offset' 'full (4096 of 4096)' "$err"
expect 'another offset' 0 --pipe-capacity "4K@where+0x1" -- "$work/where"

# ---- Nonsense ----

nonsense() { # LABEL TEXT OPTION...
    label=$1
    text=$2
    shift 2
    expect "$label" 125 "$@" -- "$work/places"
    says "$label" "$text" "$err"
}
nonsense 'no bytes' 'give 1 to 1M' --pipe-capacity 0
nonsense 'too many' 'give 1 to 1M' --pipe-capacity 2M
nonsense 'too many there' 'give 1 to 1M' --pipe-capacity 2M@one
nonsense 'no size' 'give 1 to 1M' --pipe-capacity @one
nonsense 'no buffer' 'give a size from 1 on' --sock-buffer 0
nonsense 'no credit' 'give a size from 2 on' --vsock-credit 0
nonsense 'useless credit' 'give a size from 2 on' --vsock-credit 1
nonsense 'a negative one' 'give a number from 0 on' --backlog -1
nonsense 'nothing behind @' 'place' --pipe-capacity 4K@
nonsense 'no such function' 'has no code of nothing that is known' --pipe-capacity 4K@nothing
nonsense 'no such line' 'has no code of places.c:9999 that is known' --backlog 0@places.c:9999
nonsense 'no such file' 'No such file' --sock-buffer 8K@one@/nonexistent/program
finish
