# Descriptors that are passed: a pipe's end, a socket, several at once, over streams and records;
# credentials; an end that is in flight when its last holder closes it.
import array
import os
import select
import socket
import struct

RIGHTS = (socket.SOL_SOCKET, socket.SCM_RIGHTS)


def child(channel):
    message, numbers, _, _ = socket.recv_fds(channel, 100, 2)
    for number in numbers:
        os.write(number, message)
        os.close(number)
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    socket.send_fds(channel, [b"talk here"], [other.fileno()])
    other.close()
    data, ancillary, _, _ = own.recvmsg(100, socket.CMSG_SPACE(struct.calcsize("3i")))
    assert data == b"who asks" and struct.unpack("3i", ancillary[0][2])[0] == os.getppid()
    own.send(b"one record")
    own.send(b"another")
    os._exit(0)


def main():
    channel, childs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        channel.close()
        child(childs)
    childs.close()
    first, second = os.pipe(), os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    socket.send_fds(channel, [b"write this"], [first[1], second[1]])
    os.close(first[1])
    os.close(second[1])
    assert os.read(first[0], 100) == b"write this"
    assert os.read(first[0], 100) == b""
    assert select.select([second[0]], [], [], 60)[0]
    assert os.read(second[0], 100) == b"write this"
    message, numbers, _, _ = socket.recv_fds(channel, 100, 10)
    talk = socket.socket(fileno=numbers[0])
    talk.send(b"who asks")
    assert talk.recv(4) == b"one "
    assert talk.recv(100) == b"another"
    assert talk.recv(100) == b""
    os.waitpid(pid, 0)
    # Nobody ever fetches this one.
    left, right = socket.socketpair()
    reader, writer = os.pipe()
    left.sendmsg([b"lost"], [(*RIGHTS, array.array("i", [writer]))])
    os.close(writer)
    left.close()
    right.close()
    assert os.read(reader, 100) == b""


main()
