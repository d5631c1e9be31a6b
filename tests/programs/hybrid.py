"""hybrid.py - every row of the hybrid protocol, as Firecracker and as cloud-hypervisor have it"""
import array
import fcntl
import os
import select
import socket
import struct
import sys
import termios
import time

from gateway import (Guest, about, accepted, check, client, equal, everything, exactly, finish,
                     folder, is_quiet, listener, refused)

path = os.path.join(folder, "v")
HOST_PORT = 1 << 30


def unread(s):
    """Bytes in the receiving queue: SIOCINQ, see unix(7)."""
    value = array.array("i", [0])
    fcntl.ioctl(s, termios.FIONREAD, value)
    return value[0]


def said(line, vmm):
    """What a client gets that says this on PATH, up to the end of file."""
    s = client(path)
    s.sendall(line)
    answer = everything(s)
    s.close()
    return answer


def dialled(port, rest=b""):
    """A client that asked for the port; the answer is read. Returns (socket, host port)."""
    s = client(path)
    s.sendall(b"CONNECT %d\n" % port + rest)
    answer = b""
    while not answer.endswith(b"\n") and (byte := s.recv(1)):
        answer += byte
    check(answer.startswith(b"OK "), f"the answer: {answer}")
    return s, int(answer[3:] or -1)


def joined(guest, port, name="c"):
    """A guest's connection `name` to the host, through PATH_PORT. Returns the host's end."""
    s = listener(f"{path}_{port}")
    equal(guest.do(f"{name} = connected(2, {port})"), "None", "connect")
    connection = accepted(s)
    s.close()
    os.unlink(f"{path}_{port}")
    return connection


def guest_to_host(guest):
    about("guest to host")
    s = listener(f"{path}_52")
    equal(guest.do("c = connected(2, 52)"), "None", "connect")
    connection = accepted(s)
    check(is_quiet(connection), "a handshake")
    equal(guest.do("c.getpeername()"), "(2, 52)")
    equal(guest.do("c.sendall(b'from the guest')"), "None")
    equal(exactly(connection, 14), b"from the guest")
    connection.sendall(b"from the host")
    equal(guest.do("c.recv(99)"), "b'from the host'")
    equal(guest.do("c.close()"), "None")
    equal(everything(connection), b"", "after the guest's close")
    connection.close()
    s.close()

    about("unix connect fails")
    equal(guest.do("connected(2, 52)"), "ECONNRESET", "refused")
    os.unlink(f"{path}_52")
    equal(guest.do("connected(2, 52)"), "ECONNRESET", "missing")

    about("other CIDs, other types")
    equal(guest.do("s = vsock()"), "None")
    equal(guest.do("connect_timeout(s, 50)"), "0")
    equal(guest.do("s.connect((9, 52))"), "ETIMEDOUT")
    equal(guest.do("vsock(SEQPACKET).connect((2, 52))"), "ESOCKTNOSUPPORT")


def full_backlog(guest):
    about("a full backlog holds everything up")
    talking = joined(guest, 60, "t")
    slow = listener(f"{path}_61", 0)
    equal(guest.do("a = connected(2, 61)"), "None", "the first")
    equal(guest.do("b = vsock(); b.setblocking(False)"), "None")
    equal(guest.do("b.connect_ex((2, 61)) == errno.EINPROGRESS"), "True", "the second")
    for _ in range(20):  # what comes before the gateway sees the second still gets through
        equal(guest.do("t.send(b'x')"), "1")
        if is_quiet(talking):
            break
        equal(talking.recv(9), b"x")
    else:
        check(False, "the gateway went on")
    first = accepted(slow)
    equal(talking.recv(9), b"x")
    second = accepted(slow)
    equal(guest.do("select.select([], [b], [], 60)[1] == [b] and b.getsockopt(socket.SOL_SOCKET, "
                   "socket.SO_ERROR)"), "0")
    equal(guest.do("[s.close() for s in (a, b, t)]"), "[None, None, None]")
    for s in (first, second, talking):
        equal(everything(s), b"")
        s.close()
    slow.close()
    os.unlink(f"{path}_61")


def many_connections(guest):
    about("1023 connections")
    s = listener(f"{path}_70", 2000)
    equal(guest.do("many = [connected(2, 70) for i in range(1023)]"), "None")
    equal(guest.do("connected(2, 70)"), "ECONNRESET", "the 1024th")
    about("1023 connections: the host's way is closed too")
    late = client(path)
    equal(everything(late), b"")
    late.close()
    about("1023 connections: one is free again")
    equal(guest.do("many.pop(0).close()"), "None")
    first = accepted(s)
    equal(everything(first), b"", "its end")
    equal(guest.do("many.append(connected(2, 70))"), "None", "connect")
    first.close()
    equal(guest.do("[s.close() for s in many][0]"), "None")
    for _ in range(1023):
        connection = accepted(s)
        equal(everything(connection), b"")
        connection.close()
    s.close()
    os.unlink(f"{path}_70")


def host_to_guest(guest, vmm):
    about("host to guest")
    equal(guest.do("l = listening(1000)"), "None")
    s, port = dialled(1000)
    equal(guest.do("c, peer = l.accept()"), "None")
    check(HOST_PORT <= port < 2 * HOST_PORT, f"host port {port}")
    equal(guest.do("peer"), f"(2, {port})")
    equal(guest.do("c.getsockname()"), "(3, 1000)")
    equal(guest.do("c.sendall(b'hello')"), "None")
    equal(exactly(s, 5), b"hello")
    again, next_port = dialled(1000, b"bytes behind the line")
    equal(next_port, port + 1, "the next host port")
    equal(guest.do("d, peer = l.accept()"), "None")
    equal(guest.do("d.recv(99)"), "b'bytes behind the line'")
    for connection in (s, again):
        connection.close()
    equal(guest.do("c.recv(9), d.recv(9)"), "(b'', b'')")
    equal(guest.do("c.close(), d.close()"), "(None, None)")

    about("the reply comes before the guest's bytes")
    s = client(path)
    guest.tell("c = l.accept()[0]; c.sendall(b'at once')")
    s.sendall(b"connect +1000\n")
    equal(guest.answer(), "None")
    answer = exactly(s, len(b"OK 1073741826\nat once"))
    equal(answer, b"OK %d\nat once" % (port + 2))
    s.close()
    equal(guest.do("c.recv(1), c.close()"), "(b'', None)")

    about("silent refusals")
    equal(said(b"CONNECT 1001\n", vmm), b"", "nobody listens")
    equal(said(b"CONNECT here\n", vmm), b"", "a bad port")
    equal(said(b"CONNECT 4294967296\n", vmm), b"", "a port too large")
    equal(said(b"PLEASE 1000 1000\n", vmm), b"", "a bad word")
    equal(said(b"CONNECT 1000" + b"0" * 40 + b"\n", vmm), b"", "a long line")
    about("a full backlog of the guest")
    equal(guest.do("f = listening(1002, 0)"), "None")
    s, _ = dialled(1002)
    equal(said(b"CONNECT 1002\n", vmm), b"")
    s.close()
    equal(guest.do("f.accept()[0].close(); f.close()"), "None")


def lines(guest, vmm):
    firecracker = vmm == "firecracker"
    about("a line in pieces")
    s = client(path)
    s.sendall(b"CONNECT 10")
    if firecracker:
        equal(everything(s), b"")
    else:
        check(is_quiet(s), "decided too early")
        s.sendall(b"00")
        check(is_quiet(s), "decided too early")
        s.sendall(b"\nrest")
        equal(exactly(s, 3), b"OK ")
        equal(guest.do("c = l.accept()[0]; c.recv(9)"), "None")
        equal(guest.do("c.close()"), "None")
    s.close()
    about("words")
    for line, good in ((b"connect 1000 2000\n", firecracker),
                       (b"\t CONNECT\t1000 \n", firecracker),
                       (b"CONNECT    1000   \r\n", True),
                       (b"CONNECT 1000" + b" " * 30, firecracker)):
        s = client(path)
        s.sendall(line)
        if good:
            equal(exactly(s, 3), b"OK ", line)
            equal(guest.do("l.accept()[0].close()"), "None")
        else:
            equal(everything(s), b"", line)
        s.close()
    about("a client that says nothing and leaves")
    client(path).close()
    s, _ = dialled(1000)
    equal(guest.do("l.accept()[0].close()"), "None")
    equal(everything(s), b"")
    s.close()


def guest_half_close(guest, vmm):
    about("guest SHUT_WR")
    s = joined(guest, 80)
    equal(guest.do("c.sendall(b'last words'); c.shutdown(WR)"), "None")
    equal(exactly(s, 10), b"last words")
    if vmm == "firecracker":
        check(is_quiet(s), "the host sees it")
    else:
        equal(s.recv(1), b"", "the host's end of file")
    s.sendall(b"still here")
    equal(guest.do("c.recv(99)"), "b'still here'")
    equal(guest.do("c.close()"), "None")
    about("guest SHUT_WR, then close")
    hung_up = select.poll()
    hung_up.register(s, 0)
    equal([event for _, event in hung_up.poll(60000)], [select.POLLHUP])
    equal(s.recv(1), b"")
    try:
        s.send(b"x")
        check(False, "the host can still write")
    except BrokenPipeError:
        check(True, "")
    s.close()

    about("guest SHUT_RD")
    s = joined(guest, 81)
    equal(guest.do("c.shutdown(RD)"), "None")
    s.sendall(b"unread")
    equal(guest.do("c.sendall(b'one way')"), "None")
    equal(exactly(s, 7), b"one way")
    check(is_quiet(s), "it was closed")
    equal(guest.do("c.close()"), "None")
    equal(everything(s), b"")
    s.close()


def host_half_close(guest, vmm):
    about("host SHUT_WR")
    s = joined(guest, 82)
    s.sendall(b"question")
    s.shutdown(socket.SHUT_WR)
    equal(guest.do("everything(c)"), "b'question'")
    if vmm == "firecracker":
        equal(guest.do("c.send(b'answer')"), "EPIPE")
        equal(everything(s), b"")
    else:
        equal(guest.do("c.sendall(b'answer')"), "None")
        equal(exactly(s, 6), b"answer")
        about("host SHUT_WR, then close")
        s.close()
        equal(guest.do("while True: c.send(b'x')"), "EPIPE")
    equal(guest.do("c.close()"), "None")
    s.close()
    if vmm != "firecracker":
        about("both SHUT_WR")
        s = joined(guest, 83)
        s.shutdown(socket.SHUT_WR)
        equal(guest.do("c.recv(1)"), "b''")
        equal(guest.do("c.sendall(b'bye'); c.shutdown(WR)"), "None")
        equal(everything(s), b"bye")
        equal(guest.do("c.close()"), "None")
        s.close()


def closes(guest):
    about("guest close")
    s = joined(guest, 84)
    equal(guest.do("c.sendall(b'data' * 10000); c.close()"), "None")
    equal(everything(s), b"data" * 10000)
    s.close()
    about("host close")
    s = joined(guest, 85)
    s.sendall(b"data" * 10000)
    s.close()
    equal(guest.do("everything(c) == b'data' * 10000"), "True")
    equal(guest.do("c.send(b'x')"), "EPIPE")
    equal(guest.do("c.close()"), "None")
    about("host close with unread bytes")
    s = joined(guest, 86)
    equal(guest.do("c.sendall(b'unread')"), "None")
    select.select([s], [], [])
    s.close()
    equal(guest.do("c.recv(1)"), "b''")
    equal(guest.do("c.send(b'x')"), "EPIPE")
    equal(guest.do("c.close()"), "None")


def flow(guest):
    about("flow control")
    s = joined(guest, 87)
    total = int(guest.do("fill(c)"))
    beside = total - unread(s)  # credit comes back with a packet's last byte, and fill's have 5000
    check(65536 - 5000 < beside <= 65536, f"in flight beside the unix socket: {beside}")
    data = exactly(s, total)
    equal(len(data), total)
    equal(guest.do("c.sendall(b'more')"), "None")
    equal(exactly(s, 4), b"more")

    about("the kill timer")
    total = int(guest.do("fill(c)"))
    taken = unread(s)
    begin = time.monotonic()
    equal(guest.do("c.close()"), "None")
    hung_up = select.poll()
    hung_up.register(s, 0)
    check(hung_up.poll(20000) != [], "never closed")
    elapsed = time.monotonic() - begin
    check(1.9 < elapsed < 15, f"after {elapsed} s")
    equal(len(everything(s)), taken, "what the unix socket had taken")
    s.close()

    about("towards the guest")
    s = joined(guest, 88)
    s.setblocking(False)
    sent = 0
    while select.select([], [s], [], 0.3)[1]:
        sent += s.send(b"h" * 4096)
    equal(guest.do(f"len(c.recv({sent}, socket.MSG_WAITALL)) if {sent} < 262144 else "
                   f"sum(len(c.recv(4096, socket.MSG_WAITALL)) for i in range({sent} // 4096))"),
          str(sent))
    s.settimeout(60)
    s.sendall(b"end")
    equal(guest.do("c.recv(3, socket.MSG_WAITALL)"), "b'end'")
    s.close()
    equal(guest.do("c.recv(3), c.close()"), "(b'', None)")


def no_guest(vmm):
    about("the guest is silent")
    guest = Guest("--hybrid", f"{vmm}:{path}", before=[os.environ["SOCKRIG"], "run", "--cid", "4",
                                                        "--"])
    equal(guest.do("1"), "1")
    begin = time.monotonic()
    equal(said(b"CONNECT 1000\n", vmm), b"")
    elapsed = time.monotonic() - begin
    check(1.9 < elapsed < 15, f"after {elapsed} s")
    guest.end()


def failures(vmm):
    about("PATH exists")
    open(path, "w").close()
    check("exists" in refused("--hybrid", f"{vmm}:{path}"), "the message")
    check(os.path.exists(path), "it was removed")
    os.unlink(path)
    about("PATH can't be")
    check("No such file" in refused("--hybrid", f"{vmm}:{folder}/no/v"), "the message")
    about("PATH is too long")
    check("too long" in refused("--hybrid", f"{vmm}:{folder}/{'p' * 100}"), "the message")
    about("a guest that is the host")
    check("--cid" in refused("--hybrid", f"{vmm}:{path}", "--cid", "2"), "the message")
    about("PROG can't be found")
    guest = Guest("--hybrid", f"{vmm}:{path}", before=["/nonexistent/program"])
    equal(guest.end()[0], 127)
    about("the supervisor is killed")
    guest = Guest("--hybrid", f"{vmm}:{path}")
    equal(guest.do("1"), "1")
    waiting = client(path)
    guest.kill()
    equal(everything(waiting), b"")
    waiting.close()


def last_bytes(vmm):
    about("what is in flight at the end")
    guest = Guest("--hybrid", f"{vmm}:{path}", "--cid", "77")
    s = joined(guest, 90)
    equal(guest.do("c.getpeername()"), "(2, 90)")
    guest.tell("c.sendall(b'x' * 65536); os._exit(3)")
    equal(len(everything(s)), 65536)
    s.close()
    equal(guest.end()[0], 3)


def terminals(vmm):
    about("two terminals")
    name = f"hybrid-{os.getpid()}"
    first = Guest("--session", name, "--hybrid", f"{vmm}:{path}", verify=())
    equal(first.do("1"), "1")
    second = Guest("--session", name, "--cid", "5", verify=())
    s = joined(second, 99)
    equal(second.do("c.sendall(b'from 5')"), "None")
    equal(exactly(s, 6), b"from 5")
    equal(second.do("c.close()"), "None")
    equal(everything(s), b"")
    s.close()
    check("--hybrid" in refused("--session", name, "--hybrid", f"{vmm}:{path}2"), "the message")
    equal(second.end()[0], 0)
    equal(first.end()[0], 0)


def main():
    for vmm in ("firecracker", "cloud-hypervisor"):
        print(vmm, flush=True)
        guest = Guest("--hybrid", f"{vmm}:{path}")
        guest_to_host(guest)
        full_backlog(guest)
        host_to_guest(guest, vmm)
        lines(guest, vmm)
        guest_half_close(guest, vmm)
        host_half_close(guest, vmm)
        closes(guest)
        flow(guest)
        many_connections(guest)
        guest.end_well()
        no_guest(vmm)
        failures(vmm)
        last_bytes(vmm)
        terminals(vmm)
    finish()


main()
