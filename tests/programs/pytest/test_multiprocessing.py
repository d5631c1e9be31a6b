"""multiprocessing by every start method: queues, pipes, pools, managers, locks, shared memory,
descriptors that are passed, deaths"""
import multiprocessing
import os
import signal
import socket
import sys
import threading
from multiprocessing import connection, managers, reduction, resource_tracker, shared_memory

import pytest

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(params=METHODS)
def context(request):
    return multiprocessing.get_context(request.param)


def start(context, target, *arguments, **more):
    process = context.Process(target=target, args=arguments, **more)
    process.start()
    return process


def end(process, code=0):
    process.join(60)
    assert process.exitcode == code
    process.close()


# What children do: by name, since spawn and forkserver import this file.


def echo(conn):
    with conn:
        try:
            while (thing := conn.recv()) is not None:
                conn.send(thing)
        except EOFError:
            pass


def double(jobs, results):
    for job in iter(jobs.get, None):
        results.put((job, job * 2))
    results.put(None)


def consume(jobs):
    while True:
        jobs.get()
        jobs.task_done()


def add(value, lock, times):
    for _ in range(times):
        with lock:
            value.value += 1


def meet(barrier, event, semaphore, results):
    number = barrier.wait(60)
    event.wait(60)
    with semaphore:
        results.put(number)


def leave(how):
    if how == "raise":
        sys.stderr = open(os.devnull, "w")
        raise RuntimeError("on purpose")
    if how == "exit":
        sys.exit(5)
    if how == "os._exit":
        os._exit(6)
    if how == "wait":
        signal.pause()


def ready_then_wait(conn):
    conn.send("ready")
    signal.pause()


def hold(conn, other):
    conn.send(other.recv())
    other.send_bytes(b"from the child")
    other.close()


def speak_through(conn):
    """Gets a socket and a pipe's end by descriptor passing, and writes to both."""
    sock, writer = conn.recv()
    sock.sendall(b"by socket")
    sock.close()
    writer.send("by pipe")
    writer.close()
    conn.send("passed")


def get_handle(conn):
    fd = reduction.recv_handle(conn)
    os.write(fd, b"by handle")
    os.close(fd)


def fill(name, size):
    memory = shared_memory.SharedMemory(name)
    memory.buf[:size] = bytes(i % 256 for i in range(size))
    memory.close()


def change(mapping, numbers, queue, lock):
    with lock:
        mapping["child"] = os.getpid()
        numbers.append(len(numbers))
    queue.put("done")


def nested(conn):
    r, w = multiprocessing.Pipe(False)
    inner = multiprocessing.Process(target=w.send, args=("innermost",))
    inner.start()
    inner.join(60)
    conn.send((r.recv(), inner.exitcode))


def square(number):
    return number * number


def broken(number):
    raise KeyError(number)


def initialize(queue):
    queue.put("worker")


def print_lines():
    print("from a child")
    sys.stderr.write("error of a child\n")


class Counter:
    def __init__(self):
        self.count = 0

    def up(self, by=1):
        self.count += by
        return self.count


class CounterManager(managers.BaseManager):
    pass


CounterManager.register("Counter", Counter)


def count_up(counter):
    for _ in range(10):
        counter.up()


def test_pipes(context):
    for duplex in True, False:
        a, b = context.Pipe(duplex)
        if duplex:
            process = start(context, echo, b)
            b.close()
            for thing in 1, "text", b"x" * 200_000, {"a": [None, 2.5]}:
                a.send(thing)
                assert a.recv() == thing
            assert not a.poll(0)
            a.send(None)  # a forked child has a copy of our end
            a.close()
        else:
            process = start(context, b.send, list(range(50_000)))
            b.close()
            assert a.poll(60) and a.recv() == list(range(50_000))
            with pytest.raises(EOFError):
                a.recv()
            a.close()
        end(process)


def test_queues(context):
    jobs, results = context.Queue(), context.SimpleQueue()
    workers = [start(context, double, jobs, results) for _ in range(3)]
    for i in range(100):
        jobs.put(i)
    for _ in workers:
        jobs.put(None)
    seen, ended = {}, 0
    while ended < 3:
        result = results.get()
        if result is None:
            ended += 1
        else:
            seen[result[0]] = result[1]
    assert seen == {i: 2 * i for i in range(100)}
    for worker in workers:
        end(worker)
    jobs.close()
    jobs.join_thread()
    results.close()


def test_queue_that_is_joined(context):
    jobs = context.JoinableQueue(5)
    worker = start(context, consume, jobs, daemon=True)
    for i in range(30):
        jobs.put(b"x" * 30_000)
    jobs.join()
    worker.terminate()
    end(worker, -signal.SIGTERM)


def test_locks(context):
    value, lock = context.Value("i", 0, lock=False), context.Lock()
    workers = [start(context, add, value, lock, 300) for _ in range(3)]
    for worker in workers:
        end(worker)
    assert value.value == 900
    barrier, event = context.Barrier(4), context.Event()
    semaphore, results = context.BoundedSemaphore(2), context.SimpleQueue()
    workers = [start(context, meet, barrier, event, semaphore, results) for _ in range(3)]
    numbers = {barrier.wait(60)}
    event.set()
    numbers |= {results.get() for _ in workers}
    assert numbers == {0, 1, 2, 3}
    for worker in workers:
        end(worker)


@pytest.mark.parametrize("how, code", [("return", 0), ("exit", 5), ("os._exit", 6), ("raise", 1)])
def test_exit_codes(context, how, code):
    end(start(context, leave, how), code)


def test_deaths(context):
    a, b = context.Pipe()
    workers = [start(context, ready_then_wait, b) for _ in range(3)]
    b.close()
    assert [a.recv() for _ in workers] == ["ready"] * 3
    assert connection.wait([worker.sentinel for worker in workers], 0) == []
    workers[0].terminate()
    assert connection.wait([worker.sentinel for worker in workers], 60) == [workers[0].sentinel]
    end(workers.pop(0), -signal.SIGTERM)
    workers[0].kill()
    os.kill(workers[1].pid, signal.SIGSEGV)
    assert sorted([worker.join(60) or worker.exitcode for worker in workers]) == [
        -signal.SIGSEGV, -signal.SIGKILL]
    with pytest.raises((EOFError, ConnectionResetError)):
        a.recv()
    a.close()


def test_pool(context):
    started = context.SimpleQueue()
    with context.Pool(3, initialize, (started,)) as pool:
        assert [started.get() for _ in range(3)] == ["worker"] * 3
        assert pool.map(square, range(300)) == [i * i for i in range(300)]
        assert sorted(pool.imap_unordered(square, range(50), 4)) == [i * i for i in range(50)]
        assert list(pool.imap(square, range(20))) == [i * i for i in range(20)]
        assert pool.starmap(divmod, [(7, 2), (9, 4)]) == [(3, 1), (2, 1)]
        assert pool.apply(square, (12,)) == 144
        with pytest.raises(KeyError):
            pool.apply_async(broken, (3,)).get(60)
        pool.close()
        pool.join()


def test_pool_that_replaces(context):
    started = context.SimpleQueue()
    with context.Pool(2, initialize, (started,), maxtasksperchild=1) as pool:
        assert pool.map(square, range(6), 1) == [i * i for i in range(6)]
        pool.close()
        pool.join()
    count = 0
    while not started.empty():
        started.get()
        count += 1
    assert count >= 6


def test_manager(context):
    with context.Manager() as manager:
        mapping, numbers = manager.dict(), manager.list()
        queue, lock = manager.Queue(), manager.Lock()
        workers = [start(context, change, mapping, numbers, queue, lock) for _ in range(3)]
        pids = {worker.pid for worker in workers}
        assert [queue.get(timeout=60) for _ in workers] == ["done"] * 3
        for worker in workers:
            end(worker)
        assert numbers[:] == [0, 1, 2] and mapping["child"] in pids
        assert list(numbers) == [0, 1, 2] and len(mapping) == 1
        with pytest.raises(KeyError):
            mapping["nothing"]
        space = manager.Namespace(x=1)
        space.y = space.x + 1
        assert (space.x, space.y) == (1, 2)


def test_manager_of_ones_own(context):
    with CounterManager(ctx=context) as manager:
        counter = manager.Counter()
        workers = [start(context, count_up, counter) for _ in range(2)]
        for worker in workers:
            end(worker)
        assert counter.up(5) == 25


def test_descriptors_are_passed(context):
    """A socket and a Connection as pickles: the receiver fetches them by SCM_RIGHTS."""
    a, b = context.Pipe()
    process = start(context, speak_through, b)
    b.close()
    ours, theirs = socket.socketpair()
    reader, writer = context.Pipe(False)
    a.send((theirs, writer))
    assert a.recv() == "passed"
    theirs.close()
    writer.close()
    assert ours.recv(100) == b"by socket" and ours.recv(100) == b""
    assert reader.recv() == "by pipe"
    with pytest.raises(EOFError):
        reader.recv()
    for thing in a, ours, reader:
        thing.close()
    end(process)


def test_handles_are_passed(context):
    a, b = context.Pipe()
    process = start(context, get_handle, b)
    r, w = os.pipe()
    reduction.send_handle(a, w, process.pid)
    os.close(w)
    assert os.read(r, 100) == b"by handle"
    end(process)
    assert os.read(r, 100) == b""
    os.close(r)
    a.close()
    b.close()


def test_connections_are_inherited(context):
    a, b = context.Pipe()
    c, d = context.Pipe()
    process = start(context, hold, b, d)
    d.close()
    c.send("hello")
    assert a.recv() == "hello" and c.recv_bytes() == b"from the child"
    end(process)
    with pytest.raises((EOFError, ConnectionResetError)):
        c.recv()
    for thing in a, b, c:
        thing.close()


@pytest.mark.parametrize("family, address", [("AF_UNIX", None), ("AF_INET", ("127.0.0.1", 0))])
def test_listener_and_client(family, address):
    with connection.Listener(address, family, authkey=b"secret") as listener:
        with multiprocessing.pool.ThreadPool(1) as pool:
            accepted = pool.apply_async(listener.accept)
            with connection.Client(listener.address, authkey=b"secret") as client:
                server = accepted.get(60)
                client.send({"question": 6 * 7})
                assert server.recv() == {"question": 42}
                server.send_bytes(b"y" * 1000)
                assert client.recv_bytes() == b"y" * 1000
                server.close()
                with pytest.raises(EOFError):
                    client.recv()
            accepted = pool.apply_async(listener.accept)
            with pytest.raises(multiprocessing.AuthenticationError):
                connection.Client(listener.address, authkey=b"wrong")
            with pytest.raises(multiprocessing.AuthenticationError):
                accepted.get(60)


def test_shared_memory(context):
    memory = shared_memory.SharedMemory(create=True, size=10_000)
    process = start(context, fill, memory.name, 10_000)
    end(process)
    assert bytes(memory.buf[:10_000]) == bytes(i % 256 for i in range(10_000))
    memory.close()
    memory.unlink()
    # The tracker is one process for all of them, at the end of a pipe.
    tracker = resource_tracker.getfd()
    resource_tracker.ensure_running()
    assert resource_tracker.getfd() == tracker


def test_nested(context):
    a, b = context.Pipe(False)
    process = start(context, nested, b)
    assert a.recv() == ("innermost", 0)
    end(process)
    a.close()
    b.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_output(method, capfd):
    # The server of forkserver has kept what standard output was when it started.
    for _ in range(3):
        end(start(multiprocessing.get_context(method), print_lines))
    said = capfd.readouterr()
    assert said.out == "from a child\n" * 3 and said.err == "error of a child\n" * 3


def test_from_threads(context):
    def one():
        a, b = context.Pipe()
        process = start(context, echo, b)
        b.close()
        for i in range(20):
            a.send(i)
            assert a.recv() == i
        a.send(None)  # other children may have been forked with a copy of our end
        a.close()
        process.join(60)
        codes.append(process.exitcode)
    codes = []
    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 3


def test_no_children_left():
    assert multiprocessing.active_children() == []
