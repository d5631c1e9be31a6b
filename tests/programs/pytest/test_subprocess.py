"""subprocess, os.posix_spawn, os.popen and os.spawnv: data both ways, ends, deaths, descriptors"""
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

PIPE, STDOUT = subprocess.PIPE, subprocess.STDOUT
DATA = bytes(i * 7 % 251 for i in range(300_000))


def python(code, *arguments, **more):
    return subprocess.Popen([sys.executable, "-c", code, *arguments], **more)


@pytest.mark.parametrize("program", [["cat"], ["dd", "bs=3001", "status=none"],
                                     [sys.executable, "-c", "import sys\n"
                                      "sys.stdout.buffer.write(sys.stdin.buffer.read())"]])
def test_much_through_a_child(program):
    done = subprocess.run(program, input=DATA, capture_output=True, check=True)
    assert done.stdout == DATA
    assert done.stderr == b""


def test_both_outputs():
    code = "import os\nfor i in range(2000): os.write(1 + i % 2, b'%04d' % i)"
    out, err = python(code, stdout=PIPE, stderr=PIPE).communicate(timeout=60)
    assert out == b"".join(b"%04d" % i for i in range(0, 2000, 2))
    assert err == b"".join(b"%04d" % i for i in range(1, 2000, 2))
    out, err = python(code, stdout=PIPE, stderr=STDOUT).communicate(timeout=60)
    assert out == b"".join(b"%04d" % i for i in range(2000)) and err is None


def test_lines_to_and_fro():
    with python("import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)",
                stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as child:
        for i in range(200):
            child.stdin.write(f"line {i}\n")
            assert child.stdout.readline() == f"LINE {i}\n"
        child.stdin.close()
        assert child.stdout.read() == ""
    assert child.returncode == 0


def test_pipeline():
    first = subprocess.Popen(["seq", "1", "60000"], stdout=PIPE)
    second = subprocess.Popen(["sort", "-rn"], stdin=first.stdout, stdout=PIPE)
    third = subprocess.Popen(["md5sum"], stdin=second.stdout, stdout=PIPE)
    first.stdout.close()
    second.stdout.close()
    out = third.communicate(timeout=60)[0]
    numbers = "".join(f"{i}\n" for i in range(60000, 0, -1)).encode()
    assert out.split()[0].decode() == hashlib.md5(numbers).hexdigest()
    assert [first.wait(), second.wait(), third.returncode] == [0, 0, 0]


def test_reader_that_leaves():
    child = subprocess.Popen(["sh", "-c", "yes; kill -l $? >&2"], stdout=PIPE, stderr=PIPE)
    assert child.stdout.readline() == b"y\n"
    child.stdout.close()
    assert child.stderr.read() == b"PIPE\n"
    assert child.wait(60) == 0
    child.stderr.close()
    assert subprocess.run("yes | head -n 3", shell=True, capture_output=True).stdout == b"y\n" * 3
    with pytest.raises(BrokenPipeError):
        with subprocess.Popen(["true"], stdin=PIPE) as child:
            child.wait(60)
            child.stdin.write(DATA)


def test_time_limit_and_kill():
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        subprocess.run(["sh", "-c", "echo begun; exec sleep 60"], capture_output=True, timeout=1)
    assert caught.value.stdout == b"begun\n"
    for number in signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV:
        with python("import time\nprint('ready', flush=True)\ntime.sleep(60)",
                    stdout=PIPE) as child:
            assert child.stdout.readline() == b"ready\n"
            child.send_signal(number)
            assert child.stdout.read() == b""
        assert child.returncode == -number
    assert subprocess.run(["sh", "-c", "kill -9 $$"]).returncode == -9
    assert subprocess.run(["sh", "-c", "exit 77"]).returncode == 77


def test_group_of_processes():
    child = subprocess.Popen("sleep 60 & sleep 60 & echo begun; wait", shell=True, stdout=PIPE,
                             start_new_session=True)
    assert child.stdout.readline() == b"begun\n"
    os.killpg(child.pid, signal.SIGTERM)
    assert child.stdout.read() == b""  # all writers are gone
    assert child.wait(60) == -signal.SIGTERM
    child.stdout.close()


def test_handed_down():
    r, w = os.pipe()
    a, b = socket.socketpair()
    with a, b:
        child = python("import os, socket, sys\n"
                       "w, s = int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))\n"
                       "os.write(w, s.recv(100)[::-1]); s.sendall(b'from the child')",
                       str(w), str(b.fileno()), pass_fds=[w, b.fileno()])
        os.close(w)
        b.close()
        a.sendall(b"stressed")
        with open(r, "rb") as reader:
            assert reader.read() == b"desserts"
        assert a.recv(100) == b"from the child"
        assert a.recv(100) == b""
    assert child.wait(60) == 0


def test_not_handed_down():
    r, w = os.pipe()
    code = "import os, sys\nfor fd in sys.argv[1:]:\n try: os.fstat(int(fd))\n" \
           " except OSError as e: print(e.strerror)"
    for more in {}, {"close_fds": False}:
        out = python(code, str(r), str(w), stdout=PIPE, **more).communicate()[0]
        assert out == b"Bad file descriptor\n" * 2
    os.set_inheritable(w, True)
    with python("import os, sys; os.write(int(sys.argv[1]), b'inherited')", str(w),
                close_fds=False) as child:
        os.close(w)
        assert os.read(r, 100) == b"inherited"
        assert os.read(r, 100) == b""
    os.close(r)
    assert child.returncode == 0


def test_forms(tmp_path):
    def at_first():
        os.umask(0o27)
        os.write(2, b"before exec\n")
    done = subprocess.run(["/bin/sh", "-c", "umask; pwd; echo $HOME$ONLY"], cwd=tmp_path,
                          env={"ONLY": "this"}, preexec_fn=at_first, capture_output=True)
    assert done.stdout.decode().split() == ["0027", str(tmp_path), "this"]
    assert done.stderr == b"before exec\n"
    # No environment at all, and a pipe at both ends all the same.
    done = subprocess.run([sys.executable, "-c", "import os; print(input(), len(os.pipe()))"],
                          env={}, input=b"empty", capture_output=True)
    assert (done.stdout, done.returncode) == (b"empty 2\n", 0)
    with pytest.raises(FileNotFoundError):
        subprocess.run(["/nonexistent/program"], capture_output=True)
    with pytest.raises(PermissionError):
        subprocess.run([str(tmp_path)], capture_output=True)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        subprocess.check_output("echo out; exit 3", shell=True)
    assert (caught.value.returncode, caught.value.output) == (3, b"out\n")
    with open(tmp_path / "file", "w+b") as file:
        subprocess.run(["tr", "a-z", "A-Z"], input=b"to a file", stdout=file)
        file.seek(0)
        assert file.read() == b"TO A FILE"
    assert subprocess.getstatusoutput("echo out; echo error >&2; exit 4") == (4, "out\nerror")


def test_popen_and_system(capfd):
    with os.popen("tr a-z A-Z", "w") as to:
        to.write("by popen\n")
    assert capfd.readouterr().out == "BY POPEN\n"
    with os.popen("seq 1 20000") as lines:
        assert sum(map(int, lines)) == 200010000
    assert os.popen("exit 5").close() == 5 << 8
    assert os.waitstatus_to_exitcode(os.system("echo by system; exit 6")) == 6
    assert capfd.readouterr().out == "by system\n"
    assert os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "echo by spawn; exit 7") == 7
    assert capfd.readouterr().out == "by spawn\n"


@pytest.mark.parametrize("form", [os.posix_spawn, os.posix_spawnp])
def test_posix_spawn(form, tmp_path):
    r, w = os.pipe()
    back_r, back_w = os.pipe()
    log = tmp_path / "log"
    actions = [(os.POSIX_SPAWN_DUP2, r, 0), (os.POSIX_SPAWN_DUP2, back_w, 1),
               (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT, 0o600)]
    actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in (r, w, back_r, back_w)]
    pid = form("/bin/sh", ["sh", "-c", "tr a-z A-Z; echo done >&2; kill -USR1 $$"], os.environ,
               file_actions=actions, setpgroup=0, setsigdef=[signal.SIGUSR1])
    os.close(r)
    os.close(back_w)
    os.write(w, b"spawned")
    os.close(w)
    with open(back_r, "rb") as back:
        assert back.read() == b"SPAWNED"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGUSR1
    assert log.read_text() == "done\n"


def test_from_threads():
    results = {}

    def one(number):
        text = b"%d " % number * 20000
        results[number] = subprocess.run(["cat"], input=text, stdout=PIPE).stdout == text
    threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: True for i in range(8)}


def test_grandchildren_keep_the_pipe():
    # The child ends at once; its own child writes later.
    code = "import os, sys\nr, w = os.pipe()\nif os.fork() == 0:\n os.close(w); os.read(r, 1)\n" \
           " os.write(1, b'last words')\n os._exit(0)\nos.write(1, b'%d ' % w); os._exit(9)"
    with python(code, stdout=PIPE) as child:
        assert child.stdout.read().split(b" ", 1)[1] == b"last words"
    assert child.returncode == 9


def test_wait_forms():
    children = [subprocess.Popen(["sh", "-c", f"exit {i}"]) for i in range(5)]
    codes = {child.pid: i for i, child in enumerate(children)}
    for child in children[:2]:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        pid, status, usage = os.wait4(child.pid, 0)
        assert os.waitstatus_to_exitcode(status) == codes[pid] and usage.ru_maxrss > 0
        child.returncode = 0  # it is reaped
    fds = [os.pidfd_open(child.pid) for child in children[2:]]
    for fd, child in zip(fds, children[2:]):
        seen = os.waitid(os.P_PIDFD, fd, os.WEXITED)
        assert (seen.si_pid, seen.si_status) == (child.pid, codes[child.pid])
        child.returncode = 0
        os.close(fd)
    for pid in codes:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
