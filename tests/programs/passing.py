"""passing.py - descriptors and credentials that Python's library passes; see passing.sh"""
import array
import multiprocessing
import multiprocessing.reduction
import os
import socket
import struct
import sys

CREDENTIALS = struct.Struct("3i")


def in_a_child(function, *args):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function(*args)
            status = 0
        finally:
            os._exit(status)
    return pid


def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def take_and_write(channel):
    data, fds, flags, _ = socket.recv_fds(channel, 100, 10)
    with os.fdopen(fds[0], "w") as out:
        print("child got", data.decode(), len(fds), "descriptors, flags", flags, file=out)
    for fd in fds[1:]:
        os.write(fd, b"x")
        os.close(fd)


def with_send_fds(kind):
    """The child is older than what it gets."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    pid = in_a_child(take_and_write, theirs)
    pipes = [os.pipe() for _ in range(5)]
    socket.send_fds(ours, [b"pipes"], [writer for _, writer in pipes])
    for _, writer in pipes:
        os.close(writer)
    with os.fdopen(pipes[0][0]) as text:
        print(text.read(), end="")
    for reader, _ in pipes[1:]:
        print(os.read(reader, 10), os.read(reader, 10))
        os.close(reader)
    print("exit", wait(pid))
    ours.close()
    theirs.close()


def by_hand():
    """sendmsg with headers of one's own; truncated; peeked."""
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    both = array.array("i", [reader, writer])
    for room, flags in ((socket.CMSG_SPACE(8), 0), (socket.CMSG_LEN(4), 0), (0, 0),
                        (socket.CMSG_SPACE(8), socket.MSG_PEEK)):
        ours.sendmsg([b"m"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, both)])
        data, headers, shown, _ = theirs.recvmsg(10, room, flags)
        received = array.array("i")
        for level, kind, content in headers:
            received.frombytes(content[:len(content) - len(content) % received.itemsize])
        print(data, len(received), shown & socket.MSG_CTRUNC)
        for fd in received:
            os.close(fd)
        if flags:
            theirs.recv(1)
    os.close(reader)
    os.close(writer)
    ours.close()
    theirs.close()


def credentials():
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    pid = in_a_child(ours.send, b"child")
    print("exit", wait(pid))
    for who in ("child", "parent"):
        data, headers, _, _ = theirs.recvmsg(100, socket.CMSG_SPACE(CREDENTIALS.size))
        told = CREDENTIALS.unpack(headers[0][2])
        print(data, told[0] == (pid if who == "child" else os.getpid()), told[1:] ==
              (os.getuid(), os.getgid()))
        ours.send(b"parent")
    peer = theirs.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    print(CREDENTIALS.unpack(peer)[0] == os.getpid())
    ours.close()
    theirs.close()


def worker(queue, answers):
    """Serves connections that it is sent, by any start method."""
    for what, thing in iter(queue.get, None):
        if what == "connection":
            thing.send([thing.recv(), "served"])
        else:
            thing.sendall(thing.recv(100).upper())
        thing.close()
    answers.put("done")


def with_multiprocessing(method):
    context = multiprocessing.get_context(method)
    queue, answers = context.Queue(), context.Queue()
    process = context.Process(target=worker, args=(queue, answers))
    process.start()
    for number in range(4):
        ours, theirs = context.Pipe()
        queue.put(("connection", theirs))
        ours.send(number)
        print(method, ours.recv())
        ours.close()
        theirs.close()
    ours, theirs = socket.socketpair()
    queue.put(("socket", theirs))
    ours.sendall(b"shout")
    print(method, ours.recv(100))
    queue.put(None)
    print(method, answers.get())
    process.join()
    print(method, "exit", process.exitcode)
    ours.close()
    theirs.close()


def by_reduction():
    ours, theirs = multiprocessing.Pipe()
    reader, writer = os.pipe()

    def child():
        os.write(multiprocessing.reduction.recv_handle(theirs), b"handle")

    pid = in_a_child(child)
    multiprocessing.reduction.send_handle(ours, writer, pid)
    os.close(writer)
    print("exit", wait(pid), os.read(reader, 10), os.read(reader, 10))
    os.close(reader)
    ours.close()
    theirs.close()


def main():
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        with_send_fds(kind)
    by_hand()
    credentials()
    by_reduction()
    for method in ("fork", "spawn", "forkserver"):
        with_multiprocessing(method)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
