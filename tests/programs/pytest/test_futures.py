"""concurrent.futures: pools of processes by every start method, pools of threads, both at once"""
import concurrent.futures as futures
import multiprocessing
import os
import signal
import socket
import subprocess
import threading

import pytest

METHODS = ["fork", "spawn", "forkserver"]
state = None


@pytest.fixture(params=METHODS)
def context(request):
    return multiprocessing.get_context(request.param)


def square(number):
    return number * number


def digits(number):
    return len(str(3 ** number))


def fail(what):
    raise ValueError(what)


def die(how):
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), how)


def prepare(value):
    global state
    state = value


def prepared(number):
    return state, number


def through_a_child(data):
    return subprocess.run(["cat"], input=data, stdout=subprocess.PIPE).stdout


def test_map(context):
    with futures.ProcessPoolExecutor(3, context) as pool:
        assert list(pool.map(square, range(200), chunksize=7)) == [i * i for i in range(200)]
        assert list(pool.map(digits, range(0, 2000, 100))) == [digits(i) for i in
                                                               range(0, 2000, 100)]
        big = os.urandom(1 << 20)
        assert pool.submit(through_a_child, big).result(60) == big


def test_errors_and_order(context):
    with futures.ProcessPoolExecutor(2, context, prepare, ("ready",)) as pool:
        jobs = {pool.submit(prepared, i): i for i in range(20)}
        bad = pool.submit(fail, "on purpose")
        for job in futures.as_completed(jobs, timeout=60):
            assert job.result() == ("ready", jobs[job])
        assert isinstance(bad.exception(60), ValueError) and bad.exception().args == ("on purpose",)
        done, rest = futures.wait([pool.submit(square, i) for i in range(5)], timeout=60)
        assert {job.result() for job in done} == {0, 1, 4, 9, 16} and not rest


@pytest.mark.parametrize("how", ["exit", signal.SIGKILL])
def test_worker_that_dies(context, how):
    with futures.ProcessPoolExecutor(2, context) as pool:
        assert pool.submit(square, 3).result(60) == 9
        with pytest.raises(futures.process.BrokenProcessPool):
            pool.submit(die, how).result(60)
        with pytest.raises(futures.process.BrokenProcessPool):
            pool.submit(square, 3)


def test_cancel():
    r, w = os.pipe()
    with futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(os.read, r, 1)
        others = [pool.submit(square, i) for i in range(5)]
        assert others[0].cancel()
        pool.shutdown(wait=False, cancel_futures=True)
        os.write(w, b"x")
        assert first.result(60) == b"x"
        assert all(job.cancelled() for job in others)
    os.close(r)
    os.close(w)


def test_threads_over_pipes():
    def relay(source, sink):
        with open(source, "rb", 0) as reader, open(sink, "wb", 0) as writer:
            while data := reader.read(5000):
                writer.write(data)
        return "end"
    pipes = [os.pipe() for _ in range(9)]
    data = os.urandom(200_000)
    with futures.ThreadPoolExecutor(20) as pool:
        jobs = [pool.submit(relay, pipes[i][0], pipes[i + 1][1]) for i in range(8)]

        def feed():
            with open(pipes[0][1], "wb", 0) as writer:
                writer.write(data)
        jobs.append(pool.submit(feed))
        with open(pipes[8][0], "rb") as last:
            assert last.read() == data
        assert [job.result(60) for job in jobs] == ["end"] * 8 + [None]


def test_threads_and_processes(context):
    with futures.ThreadPoolExecutor(4) as threads, futures.ProcessPoolExecutor(2, context) as pool:
        jobs = [threads.submit(lambda i=i: pool.submit(square, i).result(60)) for i in range(12)]
        children = [threads.submit(through_a_child, b"%d" % i * 1000) for i in range(12)]
        assert [job.result(60) for job in jobs] == [i * i for i in range(12)]
        assert [job.result(60) for job in children] == [b"%d" % i * 1000 for i in range(12)]


def test_sockets_in_threads():
    def serve(sock):
        with sock:
            total = 0
            while data := sock.recv(4096):
                total += len(data)
            return total
    with futures.ThreadPoolExecutor(8) as pool:
        pairs = [socket.socketpair() for _ in range(4)]
        served = [pool.submit(serve, b) for _, b in pairs]
        barrier = threading.Barrier(4)

        def send(sock, number):
            with sock:
                barrier.wait(60)
                for _ in range(50):
                    sock.sendall(b"x" * (1000 * number + 1))
        list(pool.map(send, [a for a, _ in pairs], range(4)))
        assert [job.result(60) for job in served] == [50 * (1000 * i + 1) for i in range(4)]
