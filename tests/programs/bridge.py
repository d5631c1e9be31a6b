"""bridge.py - bridges: data and ends both ways, CIDs, what can't be opened, what is in flight"""
import hashlib
import os
import signal
import socket
import subprocess
import threading

from gateway import (Guest, about, accepted, check, equal, everything, exactly, finish,
                     folder, is_quiet, listener, refused)

path = os.path.join(folder, "b")


def bridge(cid, port, name="b"):
    return f"--bridge=vsock:{cid}:{port}=unix:{folder}/{name}"


def joined(guest, cid=2, port=5000):
    """The guest connects as `c`. Returns the host's end."""
    s = listener(path)
    equal(guest.do(f"c = connected({cid}, {port})"), "None", "connect")
    connection = accepted(s)
    s.close()
    os.unlink(path)
    return connection


def ends(guest):
    about("data, and the guest's close")
    s = joined(guest)
    check(is_quiet(s), "bytes of our own")
    equal(guest.do("c.getpeername()"), "(2, 5000)")
    equal(guest.do("c.sendall(b'question')"), "None")
    equal(exactly(s, 8), b"question")
    s.sendall(b"answer")
    equal(guest.do("c.recv(99)"), "b'answer'")
    equal(guest.do("c.sendall(b'bye'); c.close()"), "None")
    equal(everything(s), b"bye")
    s.close()
    about("the host's close")
    s = joined(guest)
    s.sendall(b"bye")
    s.close()
    equal(guest.do("everything(c)"), "b'bye'")
    equal(guest.do("while True: c.send(b'x')"), "EPIPE")
    equal(guest.do("c.close()"), "None")
    about("the guest's half-close")
    s = joined(guest)
    equal(guest.do("c.sendall(b'question'); c.shutdown(WR)"), "None")
    equal(everything(s), b"question")
    s.sendall(b"answer")
    s.close()
    equal(guest.do("everything(c), c.close()"), "(b'answer', None)")
    about("the host's half-close")
    s = joined(guest)
    s.sendall(b"question")
    s.shutdown(socket.SHUT_WR)
    equal(guest.do("everything(c)"), "b'question'")
    equal(guest.do("c.sendall(b'answer'); c.close()"), "None")
    equal(everything(s), b"answer")
    s.close()


def nobody(guest):
    about("nobody listens on PATH")
    equal(guest.do("c = connected(2, 5000)"), "None", "connect")
    equal(guest.do("c.recv(1), c.close()"), "(b'', None)")
    about("nobody listens on another port")
    equal(guest.do("connected(2, 5001)"), "ECONNRESET")


def backlog(guest):
    about("a full backlog of PATH holds up nobody else")
    talking = joined(guest)
    s = listener(path, 0)
    equal(guest.do("a, b, d = [connected(2, 5000) for i in range(3)]"), "None")
    equal(guest.do("b.sendall(b'second'), d.sendall(b'third')"), "(None, None)")
    equal(guest.do("c.sendall(b'first')"), "None")
    equal(exactly(talking, 5), b"first")
    others = [accepted(s) for _ in range(3)]
    equal(guest.do("[x.close() for x in (a, b, c, d)]"), "[None, None, None, None]")
    equal(sorted(everything(x) for x in others), [b"", b"second", b"third"])
    for x in (talking, s, *others):
        x.close()
    os.unlink(path)


def much(guest):
    about("10 MB each way at once")
    size = 10 << 20
    s = joined(guest)
    guest.tell(f"import threading, hashlib; data = os.urandom({size}); "
               "t = threading.Thread(target=lambda: (c.sendall(data), c.shutdown(WR))); "
               "t.start(); got = everything(c); t.join(); c.close()")
    sent = os.urandom(size)
    sender = threading.Thread(target=lambda: (s.sendall(sent), s.shutdown(socket.SHUT_WR)))
    sender.start()
    received = everything(s)
    sender.join(60)
    equal(guest.answer(), "None")
    equal(guest.do("hashlib.sha256(data).hexdigest()"), repr(hashlib.sha256(received).hexdigest()))
    equal(guest.do("hashlib.sha256(got).hexdigest()"), repr(hashlib.sha256(sent).hexdigest()))
    s.close()


def machines():
    about("CIDs")
    guest = Guest(bridge(2, 5000), bridge(7, 80, "seven"), bridge(2, 5002, "other"))
    seven, other = listener(f"{folder}/seven"), listener(f"{folder}/other")
    equal(guest.do("a = connected(7, 80); a.sendall(b'to seven')"), "None")
    s = accepted(seven)
    equal(exactly(s, 8), b"to seven")
    equal(guest.do("b = connected(2, 5002); b.sendall(b'to other')"), "None")
    t = accepted(other)
    equal(exactly(t, 8), b"to other")
    equal(guest.do("connected(7, 5000)"), "ECONNRESET", "another machine's bridge")
    equal(guest.do("a.close(), b.close()"), "(None, None)")
    for x in (s, t, seven, other):
        x.close()
    os.unlink(f"{folder}/seven")
    os.unlink(f"{folder}/other")
    guest.end_well()


def inside():
    about("PATH is bound inside the session")
    guest = Guest(bridge(2, 5000))
    equal(guest.do("u = socket.socket(socket.AF_UNIX); "
                   f"u.bind({path!r}); u.listen(8)"), "None")
    equal(guest.do("c = connected(2, 5000); d = u.accept()[0]"), "None")
    equal(guest.do("c.sendall(b'round'); c.shutdown(WR)"), "None")
    equal(guest.do("everything(d)"), "b'round'")
    equal(guest.do("d.sendall(b'trip'); d.close()"), "None")
    equal(guest.do("everything(c)"), "b'trip'")
    equal(guest.do(f"[x.close() for x in (c, u)], os.unlink({path!r})"), "([None, None], None)")
    guest.end_well()


def last_bytes():
    about("what is in flight at the end")
    guest = Guest(bridge(2, 5000), "--cid=3")
    s = listener(path)
    guest.tell("c = connected(2, 5000); c.sendall(b'x' * 200000); os._exit(5)")
    connection = accepted(s)
    equal(len(everything(connection)), 200000)
    equal(guest.end()[0], 5)
    connection.close()
    s.close()
    os.unlink(path)
    about("nobody takes it: the end comes all the same")
    guest = Guest(bridge(2, 5000))
    s = joined(guest)
    equal(guest.do("fill(c) > 0"), "True")
    equal(guest.end()[0], 0)
    check(len(everything(s)) > 0, "nothing came")
    s.close()


def failures():
    about("a port that is taken")
    said = refused(bridge(2, 5000), bridge(2, 5000, "again"))
    check("vsock 2:5000: Address already in use" in said, said)
    for bad in ("vsock:2:5000", "vsock:2:x=unix:y", "vsock:1:5=unix:y", "vsock:2:5=unix:",
                "tcp:2:5=unix:y", f"vsock:2:5=unix:{'y' * 108}"):
        about(bad)
        check("--bridge" in refused(f"--bridge={bad}"), "the message")
    about("the supervisor is killed")
    guest = Guest(bridge(2, 5000))
    s = joined(guest)
    guest.kill()
    equal(everything(s), b"")
    s.close()
    about("by hand")
    result = subprocess.run([os.environ["SOCKRIG"], "gateway", "--bridge", "x"],
                            capture_output=True, timeout=60)
    equal(result.returncode, 125)


def helpers(run):
    """Pids of the gateways below a `sockrig run`."""
    listing = open(f"/proc/{run}/task/{run}/children").read()
    return [int(pid) for pid in listing.split()
            if open(f"/proc/{pid}/cmdline").read().startswith("sockrig\0gateway\0")]


def processes():
    about("one gateway for each CID")
    guest = Guest(bridge(2, 1), bridge(7, 1), bridge(2, 2), bridge(7, 2))
    equal(guest.do("1"), "1")
    gateways = helpers(guest.process.pid)
    equal(len(gateways), 2)
    about("a gateway holds only what it needs")
    for pid in gateways:
        names = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        for stream in (guest.process.stdin, guest.process.stdout):
            check(os.readlink(f"/proc/self/fd/{stream.fileno()}") not in names, f"{names}")
        check(os.getpgid(pid) != os.getpgid(guest.process.pid), "it is in PROG's process group")
    guest.end_well()
    check(not any(os.path.exists(f"/proc/{pid}") for pid in gateways), "it is still there")

    about("a gateway dies")
    guest = Guest(bridge(2, 5000))
    s = joined(guest)
    os.kill(helpers(guest.process.pid)[0], signal.SIGKILL)
    equal(everything(s), b"")
    equal(guest.do("c.recv(1)"), "b''")
    code, said = guest.end()
    equal(code, 0)
    check("gateway: it died by signal 9" in said, said)
    s.close()

    about("the time is up")
    guest = Guest(bridge(2, 5000), "--timeout=500ms")
    s = joined(guest)
    guest.tell("c.recv(1)")
    code, said = guest.end()
    equal(code, 124)
    check("  python3[" in said and "\n  sockrig[" not in said, said)
    equal(everything(s), b"")
    s.close()

    about("--host-unix=deny isn't for bridges")
    guest = Guest(bridge(2, 5000), "--host-unix=deny")
    s = joined(guest)
    equal(guest.do("c.close()"), "None")
    equal(everything(s), b"")
    s.close()
    guest.end_well()


def main():
    guest = Guest(bridge(2, 5000), "--cid=3")
    ends(guest)
    nobody(guest)
    backlog(guest)
    much(guest)
    guest.end_well()
    about("a guest on the host itself")
    guest = Guest(bridge(2, 5000))
    ends(guest)
    guest.end_well()
    machines()
    inside()
    last_bytes()
    processes()
    failures()
    finish()


main()
