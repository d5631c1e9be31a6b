"""gateway.py - what the tests of --bridge and --hybrid share: a guest at a distance

A test is the host: it runs outside of the session and has real unix sockets. The guest is another
process, under `sockrig run`, that does what it is told line by line, so that each step of a test
has happened before the next begins.
"""
import atexit
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

LIMIT = float(os.environ.get("GATEWAY_LIMIT", 60))  # seconds for any one step: a hang is a failure
QUIET = 0.3  # how long nothing must happen where nothing shall

AGENT = r"""
import ctypes, errno, os, resource, select, socket, struct, sys, time
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
V, STREAM, SEQPACKET = socket.AF_VSOCK, socket.SOCK_STREAM, socket.SOCK_SEQPACKET
WR, RD = socket.SHUT_WR, socket.SHUT_RD
world = dict(globals())
def vsock(type=STREAM):
    return socket.socket(V, type)
def connected(cid, port):
    s = vsock()
    s.connect((cid, port))
    return s
def listening(port, backlog=8):
    s = vsock()
    s.bind((socket.VMADDR_CID_ANY, port))
    s.listen(backlog)
    return s
def everything(s):
    parts = []
    while part := s.recv(65536):
        parts.append(part)
    return b''.join(parts)
def fill(s):
    total = 0
    s.setblocking(False)
    while select.select([], [s], [], 0.3)[1]:
        try:
            total += s.send(b'f' * 5000)
        except BlockingIOError:
            pass
    s.setblocking(True)
    return total
def connect_timeout(s, ms):
    value = struct.pack('ll', ms // 1000, ms % 1000 * 1000)
    return ctypes.CDLL(None).setsockopt(s.fileno(), V, 6, value, len(value))
world.update(globals())
for line in sys.stdin:
    try:
        try:
            code = compile(line.strip(), 'step', 'eval')
        except SyntaxError:
            code = compile(line.strip(), 'step', 'exec')
        answer = 'ok ' + repr(eval(code, world))
    except OSError as error:
        answer = 'no ' + errno.errorcode.get(error.errno, repr(error))
    except Exception as error:
        answer = 'bad ' + repr(error)
    print(answer, flush=True)
"""

sockrig = os.environ["SOCKRIG"]
python = "/usr/bin/python3"
folder = tempfile.mkdtemp(prefix="sockrig-gateway-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)
counts = {"passed": 0, "failed": 0}
label = ""


def about(text):
    global label
    label = text


def check(condition, what):
    counts["passed" if condition else "failed"] += 1
    if not condition:
        line = sys._getframe(1).f_lineno
        print(f"{os.path.basename(sys.argv[0])}:{line}: FAILED: {label}: {what}", flush=True)


def equal(got, wanted, what=""):
    counts["passed" if got == wanted else "failed"] += 1
    if got != wanted:
        line = sys._getframe(1).f_lineno
        print(f"{os.path.basename(sys.argv[0])}:{line}: FAILED: {label}: {what} got {got!r:.200}, "
              f"wanted {wanted!r:.200}", flush=True)


class Guest:
    """`sockrig run OPTIONS -- the agent`, and what it says at its end."""

    def __init__(self, *options, before=(), verify=("--verify",)):
        self.report = os.path.join(folder, "report")
        self.process = subprocess.Popen(
            [sockrig, "run", *verify, f"--report={self.report}", *options, "--", *before, python,
             "-c", AGENT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def tell(self, step):
        """A step whose answer comes later."""
        self.process.stdin.write(step.encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        ready = select.select([self.process.stdout], [], [], LIMIT)[0]
        line = self.process.stdout.readline().decode().strip() if ready else "no answer"
        kind, _, rest = line.partition(" ")
        if kind not in ("ok", "no") or line == "no answer":
            print(f"{label}: the guest: {line!r}")
            if line == "":
                print(self.process.stderr.read().decode())
        return rest

    def do(self, step):
        self.tell(step)
        return self.answer()

    def end(self):
        """Ends the guest. Returns (exit code, stderr)."""
        _, said = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, said.decode()

    def end_well(self):
        code, said = self.end()
        equal(code, 0, "exit code")
        equal(said, "", "stderr")
        lines = open(self.report).read().splitlines()
        equal(lines[-3:], ["processes joined: 1", "processes left: 0", "objects left: 0"],
              "the report's end")
        check(not any("sockrig[" in line for line in lines), f"the gateway is in it: {lines}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(LIMIT)


def listener(path, backlog=8):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(LIMIT)
    s.bind(path)
    s.listen(backlog)
    return s


def accepted(s):
    connection, _ = s.accept()
    connection.settimeout(LIMIT)
    return connection


def client(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(LIMIT)
    s.connect(path)
    return s


def everything(s):
    """Up to the end of file, or the reset."""
    parts = []
    try:
        while part := s.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def exactly(s, size):
    data = b""
    while len(data) < size and (part := s.recv(size - len(data))):
        data += part
    return data


def is_quiet(s):
    """Nothing comes: no byte, no end."""
    return not select.select([s], [], [], QUIET)[0]


def refused(*options):
    """What `sockrig run` says that doesn't start PROG; it must end with 125."""
    result = subprocess.run([sockrig, "run", *options, "--", "echo", "PROG"], capture_output=True,
                            timeout=LIMIT, stdin=subprocess.DEVNULL)
    equal(result.returncode, 125, "exit code")
    equal(result.stdout, b"", "PROG ran")
    return result.stderr.decode()


def finish():
    leftovers = [n for n in os.listdir(folder) if n != "report"]
    equal(leftovers, [], "files left")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(counts["failed"] != 0 or counts["passed"] == 0)
