#!/bin/sh
# plain_children.sh - programs that no preload reaches, at both ends of pipes: a static one in C
# (plain.c) and two in Go (plain.go), static and dynamic
#
# Their channels go native before they start, with the bytes that are in them; that is in the
# report. Around them are programs that sockrig does reach.
. "${0%/*}/compare.inc"

here=${0%/*}
messages=same
GOCACHE=$work/go GO111MODULE=off GOFLAGS="" GOPATH=$work/path
export GOCACHE GO111MODULE GOFLAGS GOPATH
if ! gcc -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -static -o "$work/c" \
    "$here/plain.c"; then
    failed "plain.c doesn't build"
    finish
fi
for cgo in 0 1; do # 1: "net" links libc
    if ! CGO_ENABLED=$cgo /usr/bin/go build -o "$work/go$cgo" "$here/plain.go"; then
        failed "plain.go doesn't build"
        finish
    fi
done
PATH=$work:$PATH
export PATH

in_order() { # LABEL TEXT: the last report says that TEXT was made native
    sed -n '/made native/,/^[^ ]/p' "$work/report" | grep -qF -e "$2" && passed ||
        failed "$1: the report doesn't say that a $2 was made native"
}

# Each at each end of a pipe, of the shell's and of Python's.
for program in c go0 go1; do
    same "$program, both ends" sh -c "$program produce 3000000 1 | $program upper | $program sum"
    in_order "$program" pipe
    same "$program, in the middle" sh -c "seq 1 200000 | $program upper | md5sum"
    same "$program, at the ends" sh -c "$program produce 1000000 2 | tr a-m A-M | $program sum"
    same "$program, and what is unread goes along" bash -c "
        seq 1 5000 | { read -r first; echo \$first; $program line; read -r third; echo \$third
            $program sum; }
        { echo from the shell; $program produce 200 3; echo and after it; } | md5sum"
    same "$program, of dash, in ( ) and \$( )" dash -c "
        (echo one; exec $program produce 99 4) | (read -r one; echo \$one; exec $program upper)
        echo; echo \$($program produce 9 5 | $program upper) \$?"
    code=141 same "$program, a reader that leaves" bash -o pipefail -c \
        "$program produce 5000000 6 | head -c 12"
    same "$program, as a parent" sh -c \
        "$program produce 400000 8 | $program run tr A-Z a-z | md5sum
         seq 1 60000 | $program run /usr/bin/python3 -c '
import subprocess, sys
sys.stdout.buffer.write(subprocess.run([\"cat\"], input=sys.stdin.buffer.read(),
                                       stdout=subprocess.PIPE).stdout)' | md5sum"
done
same 'one of each' sh -c 'c produce 2000000 9 | go0 upper | cat | go1 run c upper | go0 sum'

cat >"$work/parent.py" <<'END_OF_PYTHON'
# A parent at both ends of a child: subprocess, spawn, fork and exec, pipes and socket pairs.
import os, signal, socket, subprocess, sys, threading
program = sys.argv[1]
PIPE = subprocess.PIPE
data = bytes(97 + i * 7 % 26 for i in range(400_000))
print(subprocess.run([program, 'upper'], input=data, stdout=PIPE).stdout == data.upper())
for close_fds in True, False:
    child = subprocess.Popen([program, 'upper'], stdin=PIPE, stdout=PIPE, close_fds=close_fds)
    for text in b'one', b'two' * 1000:
        child.stdin.write(text)
        child.stdin.flush()
        got = b''
        while len(got) < len(text):
            got += os.read(child.stdout.fileno(), 10000)
        print(len(got), got[:6])
    child.stdin.close()
    print(child.stdout.read(), child.wait())
    child.stdout.close()
# Unread bytes, both ends ours, then the child's; a pipe and both types of pairs.
for make in os.pipe, socket.socketpair, lambda: socket.socketpair(type=socket.SOCK_SEQPACKET):
    r, w = (end if isinstance(end, int) else end.detach() for end in make())
    os.write(w, b'first ')
    os.write(w, b'second ')
    child = subprocess.Popen([program, 'upper'], stdin=r, stdout=PIPE)
    os.write(w, b'third')
    os.close(r)
    os.close(w)
    print(child.communicate()[0], child.returncode)
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.dup2(r, 0)
    os.close(w)
    os.execvp(program, [program, 'sum'])
os.close(r)
os.write(w, data)
os.close(w)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
pid = os.posix_spawnp(program, [program, 'produce', '5', '1'], os.environ)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
# Deaths: theirs ends our read, ours their write.
child = subprocess.Popen([program, 'hold'], stdout=PIPE)
print(child.stdout.readline())
child.kill()
print(child.stdout.read(), child.wait())
child = subprocess.Popen([program, 'leave', '4'], stdin=PIPE, bufsize=0)
child.stdin.write(b'x')
print(child.wait())
try:
    child.stdin.write(b'y')
except BrokenPipeError as error:
    print(error.strerror)
child = subprocess.Popen([program, 'produce', '9000000', '3'], stdout=PIPE, stderr=PIPE)
print(len(child.stdout.read(100)))
child.stdout.close()
print(child.stderr.read(), child.wait())
# Many at once, from threads, beside programs that are reached.
seen = []
def one(number):
    text = b'%d' % number * 5000
    seen.append(subprocess.run([program if number % 2 else 'cat', 'upper'][:1 + number % 2],
                               input=text, stdout=PIPE).stdout == text)
threads = [threading.Thread(target=one, args=(i,)) for i in range(10)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(seen)
END_OF_PYTHON
cat >"$work/loop.py" <<'END_OF_PYTHON'
# asyncio watches pipes and pairs that go native while they are watched.
import asyncio, os, socket, sys
program = sys.argv[1]
data = b'abcdefg' * 40000
async def one(name, *arguments, input=data):
    child = await asyncio.create_subprocess_exec(
        name, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate(input)
    return len(out), out[:7], child.returncode
async def watched():
    # The reader waits already when the writer's process becomes another one.
    a, b = socket.socketpair()
    r, w = os.pipe()
    reader, writer = await asyncio.open_connection(sock=a)
    pipe = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(pipe), open(r, 'rb', 0))
    tasks = [asyncio.create_task(pipe.read()), asyncio.create_task(reader.readexactly(5))]
    await asyncio.sleep(0)
    writer.write(b'unread')
    os.write(w, b'from us ')
    child = await asyncio.create_subprocess_exec(program, 'upper', stdin=b, stdout=w)
    os.close(w)
    b.close()
    writer.write(data)
    writer.write_eof()
    got = await tasks[0]
    print(len(got), got[:16], await child.wait())
    try:
        await tasks[1]
    except asyncio.IncompleteReadError as error:
        print(error.partial)
    writer.close()
    transport.close()
async def main():
    print(await one(program, 'upper'))
    print(await asyncio.gather(*(one(program if i % 2 else 'cat', *['upper'][:i % 2])
                                 for i in range(12))))
    await watched()
    child = await asyncio.create_subprocess_exec(program, 'hold', stdout=asyncio.subprocess.PIPE)
    print(await child.stdout.readline())
    child.kill()
    print(await child.stdout.read(), await child.wait())
asyncio.run(main())
END_OF_PYTHON
cat >"$work/parent.js" <<'END_OF_SCRIPT'
// Node's children have socket pairs, which its event loop watches already when they go native.
'use strict';
const { spawn, spawnSync } = require('child_process');
const { once } = require('events');
const program = process.argv[2];
const data = Buffer.alloc(300000, 'abcdefg');
async function all(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
async function main() {
  const child = spawn(program, ['upper']);
  child.stdin.write('early ');
  child.stdin.end(data);
  const text = (await all(child.stdout)).toString();
  console.log(text.slice(0, 12), text.length, await once(child, 'close'));
  const [a, b] = [spawn('cat'), spawn(program, ['upper'])];
  a.stdin.end(data);
  a.stdout.pipe(b.stdin);
  console.log((await all(b.stdout)).equals(Buffer.from(data.toString().toUpperCase())));
  const many = Array.from({ length: 10 }, async (_, i) => {
    const one = spawn(i % 2 ? program : 'cat', i % 2 ? ['upper'] : []);
    one.stdin.end(`${i}`.repeat(i * 9000));
    return (await all(one.stdout)).length;
  });
  console.log((await Promise.all(many)).join(' '));
  const held = spawn(program, ['hold']);
  console.log((await once(held.stdout, 'data')).toString().trim());
  held.kill('SIGKILL');
  console.log((await all(held.stdout)).length, held.signalCode || (await once(held, 'exit'))[1]);
  console.log(spawnSync(program, ['sum'], { input: data }).stdout.toString().trim());
  const first = spawn(program, ['produce', '200000', '7']);
  const sum = spawn(program, ['sum'], { stdio: [first.stdout, 'inherit', 'inherit'] });
  first.stdout.destroy();
  console.log(await once(sum, 'close'));
}
main();
END_OF_SCRIPT
for program in c go0 go1; do
    same "$program, below Python" /usr/bin/python3 "$work/parent.py" "$program"
    in_order "$program, below Python" socketpair
    same "$program, below asyncio" /usr/bin/python3 "$work/loop.py" "$program"
    in_order "$program, below asyncio" socketpair
    same "$program, below Node" node "$work/parent.js" "$program"
    in_order "$program, below Node" socketpair
done

# The program that sockrig is given: refused, or by request.
for program in c go0 go1; do
    expect "$program itself" 125 --report="$work/report" -- "$program" upper
    input=$here/plain.c expect "$program itself, allowed" 0 --allow-native -- "$program" sum
done
finish
