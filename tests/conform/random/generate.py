"""generate - random scripts for `sockrig interpret --on both`, the same ones for the same seed

A script expects nothing (`= _`): the kernel says what is right, and the emulator must agree in
every result, error, signal, byte, revents and count. Four kinds:

  data       transfers of sizes around every mark of the buffer models, poll after each few calls
  time-outs  the same on blocking sockets with SO_RCVTIMEO and SO_SNDTIMEO of a tick
  splices    the same as data, with splice, tee, vmsplice and sendfile between
  arguments  every call with good and bad arguments

Left out: what makes a channel native (ancillary data, MSG_OOB, SO_TIMESTAMP, O_ASYNC), since then
the kernel answers on both sides.
"""
import random

HEADER = ["# on: both", "# native: yes", "# signals: any"]
SIZES = [0, 1, 2, 3, 100, 192, 193, 704, 705, 1000, 1366, 1728, 1729, 2049, 3000, 3776, 3777, 4000,
         4095, 4096, 4097, 5000, 8191, 8192, 8193, 12288, 16064, 16384, 20000, 36544, 36545, 65536,
         70000, 100000, 212960, 212961, 262144]
SOCKETS = ("stream", "records")
NUMBERS = ["0", "1", "-1", "2", "3", "4", "5", "16", "100", "4096", "0x7fffffff", "0x80000000",
           "-2", "1024", "1025"]
MSG_FLAGS = ["0", "MSG_PEEK", "MSG_DONTWAIT", "MSG_NOSIGNAL", "MSG_TRUNC", "MSG_CTRUNC",
             "MSG_WAITALL", "MSG_EOR", "MSG_MORE", "MSG_ERRQUEUE", "0x10000000", "0x100000",
             "MSG_CMSG_CLOEXEC", "MSG_WAITFORONE", "MSG_CMSG_COMPAT", "MSG_DONTROUTE"]
OPTIONS = ["SO_DEBUG", "SO_REUSEADDR", "SO_TYPE", "SO_ERROR", "SO_DONTROUTE", "SO_BROADCAST",
           "SO_SNDBUF", "SO_RCVBUF", "SO_KEEPALIVE", "SO_OOBINLINE", "SO_LINGER", "SO_REUSEPORT",
           "SO_RCVLOWAT", "SO_SNDLOWAT", "SO_RCVTIMEO", "SO_SNDTIMEO", "SO_ACCEPTCONN",
           "SO_PROTOCOL", "SO_DOMAIN", "SO_PEEK_OFF", "SO_PRIORITY", "SO_MARK", "0", "200"]
COMMANDS = ["F_GETFD", "F_SETFD", "F_GETFL", "F_GETOWN", "F_GETSIG", "F_SETSIG", "F_GETPIPE_SZ",
            "F_SETPIPE_SZ", "F_SETLEASE", "F_GETLEASE", "F_NOTIFY", "F_GET_SEALS", "9999", "-1"]
REQUESTS = ["FIONREAD", "SIOCOUTQ", "SIOCATMARK", "FIOCLEX", "FIONCLEX", "TIOCGWINSZ", "0", "-1"]


class Script:
    def __init__(self, seed, length):
        self.random = random.Random(seed)
        self.length = length
        self.lines = list(HEADER)
        self.pattern = 0  # every write has bytes of its own

    def add(self, line):
        self.lines.append(line)

    def pick(self, *choices):
        return self.random.choice(choices)

    def chance(self, part):
        return self.random.random() < part

    def size(self):
        if self.chance(0.8):
            return self.random.choice(SIZES)
        return self.random.randrange(9000)

    def bytes(self, size):
        self.pattern += 1
        return f"pattern({self.pattern}, {size})"

    def shares(self, size, count):
        """`size` as a sum of `count` numbers."""
        return [size // count + (size % count if i == 0 else 0) for i in range(count)]

    def filled(self, size, count):
        vectors = (f"{{iov_base=v{i}, iov_len={part}}}"
                   for i, part in enumerate(self.shares(size, count)))
        return f"[{', '.join(vectors)}]"

    def sent(self, size, count):
        vectors = (f"{{iov_base={self.bytes(part)}, iov_len={part}}}"
                   for part in self.shares(size, count))
        return f"[{', '.join(vectors)}]"

    def text(self):
        return "\n".join(self.lines) + "\n"


class Data(Script):
    """Pipes and pairs that are made, filled, drained, resized, shut and closed."""

    def __init__(self, seed, length, timeouts=False):
        super().__init__(seed, length)
        self.timeouts = timeouts
        self.ends = []  # (name, "reader", "writer" or one of SOCKETS)
        self.made = 0
        self.make()
        while len(self.lines) < length:
            self.step()

    def make(self):
        self.made += 1
        a, b = f"a{self.made}", f"b{self.made}"
        kind = self.pick("pipe", "pipe", "packets", "stream", "stream", "records")
        if kind in SOCKETS:
            flags = "" if self.timeouts else "|SOCK_NONBLOCK"
            name = "SOCK_STREAM" if kind == "stream" else "SOCK_SEQPACKET"
            self.add(f"socketpair(AF_UNIX, {name}{flags}, 0, [{a}, {b}]) = 0")
            self.ends += [(a, kind), (b, kind)]
            for end in (a, b) if self.timeouts else ():
                for option in ("SO_RCVTIMEO", "SO_SNDTIMEO"):
                    self.add(f"setsockopt({end}, SOL_SOCKET, {option}, "
                             "{tv_sec=0, tv_usec=4000}, 16) = 0")
        else:
            direct = "|O_DIRECT" if kind == "packets" else ""
            self.add(f"pipe2([{a}, {b}], O_NONBLOCK{direct}) = 0")
            self.ends += [(a, "reader"), (b, "writer")]

    def step(self):
        if not self.ends or (len(self.ends) < 8 and self.chance(0.03)):
            self.make()
            return
        end, kind = self.random.choice(self.ends)
        action = self.random.random()
        if action < 0.30:
            self.write(end, kind)
        elif action < 0.62:
            self.read(end, kind)
        elif action < 0.78:
            self.look()
        elif action < 0.86:
            self.tune(end, kind)
        elif action < 0.89:
            if kind in SOCKETS and self.chance(0.3):
                self.add(f"shutdown({end}, {self.pick('SHUT_RD', 'SHUT_WR', 'SHUT_RDWR')}) = _")
        elif action < 0.93:
            if self.chance(0.4):
                self.add(f"close({end}) = _")
                self.ends.remove((end, kind))
        elif len(self.ends) < 10:
            self.made += 1
            self.add(f"dup({end}) = d{self.made}")
            self.ends.append((f"d{self.made}", kind))

    def write(self, end, kind):
        size, how = self.size(), self.random.random()
        if kind == "reader":
            return
        if how < 0.1:
            more = size + self.pick(1, 100, 5000)
            self.add(f"write({end}, fault({self.bytes(size)}), {more}) = _")
        elif how < 0.25:
            self.add(f"writev({end}, {self.sent(size, 3)}, 3) = _")
        elif how < 0.4 and kind in SOCKETS:
            self.add(f"send({end}, {self.bytes(size)}, {size}, MSG_NOSIGNAL) = _")
        elif how < 0.55 and kind in SOCKETS:
            count = self.random.randrange(1, 5)
            messages = (f"{{msg_hdr={{msg_iov={self.sent(self.size(), self.pick(1, 2))}}}}}"
                        for _ in range(count))
            self.add(f"sendmmsg({end}, [{', '.join(messages)}], {count}, MSG_NOSIGNAL) = _")
        else:
            self.add(f"write({end}, {self.bytes(size)}, {size}) = _")

    def read(self, end, kind):
        size, how = self.size(), self.random.random()
        if kind == "writer":
            return
        if how < 0.1 and size < 200000:
            self.add(f"read({end}, fault({size}), {size + self.pick(1, 100, 5000)}) = _")
        elif how < 0.2:
            self.add(f"readv({end}, {self.filled(size, 3)}, 3) = _")
        elif how < 0.4 and kind in SOCKETS:
            flags = self.random.sample(["MSG_PEEK", "MSG_TRUNC", "MSG_WAITALL",
                                        "MSG_CMSG_CLOEXEC"], self.pick(1, 2))
            if not self.timeouts:
                flags.append("MSG_DONTWAIT")
            if self.chance(0.5):
                self.add(f"recv({end}, buf, {size}, {'|'.join(flags)}) = _")
            else:
                self.add(f"recvmsg({end}, {{msg_iov={self.filled(size, 2)}}}, "
                         f"{'|'.join(flags)}) = _")
        elif how < 0.6 and kind in SOCKETS:
            count = self.random.randrange(1, 5)
            messages = (self.message() for _ in range(count))
            flags = self.pick("0", "MSG_WAITFORONE", "MSG_DONTWAIT", "MSG_PEEK")
            self.add(f"recvmmsg({end}, [{', '.join(messages)}], {count}, {flags}, NULL) = _")
        else:
            self.add(f"read({end}, buf, {size}) = _")

    def message(self):
        vectors = self.filled(self.size(), self.pick(1, 2))
        if self.chance(0.08):
            vectors = f"[{{iov_base=BADPTR, iov_len={self.size()}}}]"
        return f"{{msg_hdr={{msg_iov={vectors}}}}}"

    def look(self):
        fds = ", ".join(f"{{fd={end}, events=-1}}" for end, _ in self.ends)
        self.add(f"poll([{fds}], {len(self.ends)}, 0) = _")
        for end, kind in self.ends:
            self.add(f"ioctl({end}, FIONREAD, [n]) = _")
            if kind in SOCKETS:
                self.add(f"ioctl({end}, SIOCOUTQ, [n]) = _")

    def tune(self, end, kind):
        if kind in SOCKETS:
            option, value = self.pick(
                ("SO_SNDBUF", self.pick(0, 1, 2500, 5000, 20000, 100000, 300000)),
                ("SO_PEEK_OFF", self.pick(-1, 0, 0, 5, 100, 5000)),
                ("SO_RCVLOWAT", self.pick(0, 1, 100)), ("SO_ERROR", None), ("SO_PEEK_OFF", None))
            if value is None:
                self.add(f"getsockopt({end}, SOL_SOCKET, {option}, [n], [4]) = _")
            else:
                self.add(f"setsockopt({end}, SOL_SOCKET, {option}, [{value}], 4) = _")
        elif self.chance(0.6):
            self.add(f"fcntl({end}, F_SETPIPE_SZ, {self.pick(0, 4096, 8192, 65536, 131072)}) = _")
        else:
            self.add(f"fcntl({end}, F_SETFL, O_NONBLOCK{self.pick('', '|O_DIRECT')}) = _")


class Splices(Data):
    """
    The same, and splice, tee, vmsplice and sendfile from end to end, and with two files.

    In how many slots a long message ends is the machine's memory's to say, and a message that was
    spliced in has a slot for each that it was made of. So a stream that is spliced from gets short
    messages only, and plain ones: calls like these have the first end of a pair alone.
    """

    short = False
    FLAGS = ["0", "0", "SPLICE_F_NONBLOCK", "SPLICE_F_MOVE", "SPLICE_F_MORE", "SPLICE_F_GIFT"]

    def make(self):
        if not self.ends:
            self.add("open(\"/proc/self/exe\", O_RDONLY) = file")
            self.add("open(\"/dev/null\", O_RDWR) = null")
        super().make()

    def one_of(self, other_than):
        ends = [end for end, kind in self.ends
                if kind != other_than and (kind != "stream" or end.startswith("a"))]
        return self.random.choice(ends) if ends else None

    def write(self, end, kind):
        self.short = kind == "stream"
        super().write(end, kind)
        self.short = False

    def size(self):
        size = super().size()
        return size % 3777 if self.short else size

    def step(self):
        if len(self.ends) < 2 or self.chance(0.6):
            super().step()
            return
        source, target = self.one_of("writer"), self.one_of("reader")
        if source is None or target is None:
            self.make()
            return
        if self.chance(0.05):
            source, target = target, source
        size, flags, how = self.size(), self.random.choice(self.FLAGS), self.random.random()
        if how < 0.45:
            self.add(f"splice({source}, NULL, {target}, NULL, {size}, {flags}) = _")
        elif how < 0.6:
            self.add(f"tee({source}, {target}, {size}, {flags}) = _")
        elif how < 0.7:
            part = self.pick(1, 100, 4096, 5000, 20000)
            self.add(f"vmsplice({target}, [{{iov_base=fault({self.bytes(part)}), "
                     f"iov_len={part + self.pick(0, 0, 10)}}}], 1, {flags}) = _")
        elif how < 0.75 and (source, "reader") in self.ends:
            self.add(f"vmsplice({source}, {self.filled(size, 2)}, 2, SPLICE_F_NONBLOCK) = _")
        elif how < 0.85:
            offset = self.pick(0, 1, 100, 4096, 5000)
            self.add(self.pick(
                f"splice(file, [{offset} => _], {target}, NULL, {size}, {flags}) = _",
                f"sendfile({target}, file, [{offset} => _], {size}) = _",
                f"sendfile({target}, file, NULL, {size}) = _"))
        elif how < 0.93:
            self.add(f"splice({source}, NULL, null, NULL, {size}, {flags}) = _")
        else:
            self.add(f"sendfile({target}, {source}, NULL, {size}) = _")


class Arguments(Script):
    """One pipe and two pairs, and calls with arguments of all kinds."""

    ENDS = ["r", "w", "a", "b", "c", "d"]

    def __init__(self, seed, length):
        super().__init__(seed, length)
        self.add("pipe2([r, w], O_NONBLOCK) = 0")
        self.add("socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, [a, b]) = 0")
        self.add("socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_NONBLOCK, 0, [c, d]) = 0")
        calls = [self.write, self.read, self.vectors, self.send, self.receive, self.messages,
                 self.many, self.option, self.command, self.request, self.wait, self.choose]
        while len(self.lines) < length:
            self.random.choice(calls)()
            if self.chance(0.012):
                self.rare()

    def fd(self):
        if self.chance(0.93):
            return self.random.choice(self.ENDS)
        return self.pick("77", "-1", "12", "13")

    def number(self):
        return self.random.choice(NUMBERS)

    def flags(self):
        return "|".join(self.random.sample(MSG_FLAGS, self.pick(1, 1, 2, 3)))

    def source(self, size):
        if self.chance(0.7):
            return self.bytes(size)
        return self.pick("BADPTR", f"fault({self.bytes(size // 2)})", "NULL")

    def target(self, size):
        return "buf" if self.chance(0.7) else self.pick("BADPTR", f"fault({size // 2})", "NULL")

    def size(self):
        return self.pick(0, 1, 2, 10, 100, 4096, 5000, 70000)

    def vector(self, buffer):
        size = self.pick(0, 1, 10, 4096, 5000)
        length = size if self.chance(0.85) else self.pick("-1", "SSIZE_MAX")
        return f"{{iov_base={buffer(size)}, iov_len={length}}}"

    def vector_list(self, buffer):
        count = self.pick(0, 1, 1, 2, 3)
        return f"[{', '.join(self.vector(buffer) for _ in range(count))}]", count

    def header(self, buffer):
        vectors, _ = self.vector_list(buffer)
        fields = f"msg_iov={vectors}"
        if self.chance(0.1):
            fields += f", msg_iovlen={self.pick('0', '1', '1025', '-1')}"
        received = buffer == self.target
        if self.chance(0.15):
            fields += f", msg_name=NULL, msg_namelen={self.number()}"
            fields += " => _" if received else ""
        elif self.chance(0.15):
            length = self.pick("2", "0", "110", "-1", "129", "1000")
            name = "{}" if received else "{sa_family=AF_UNIX}"
            fields += f", msg_name={name}, msg_namelen={length}{' => _' if received else ''}"
        return f"{{{fields}, msg_flags=_}}"

    def seconds(self, small):
        return self.pick("NULL", f"{{tv_sec=0, {small}=0}}", f"{{tv_sec=0, {small}=1}}",
                         f"{{tv_sec=-1, {small}=0}}", f"{{tv_sec=0, {small}=-1}}",
                         f"{{tv_sec=0, {small}=1000000000}}")

    def write(self):
        size = self.size()
        self.add(f"write({self.fd()}, {self.source(size)}, {size}) = _")

    def read(self):
        size = self.size()
        self.add(f"read({self.fd()}, {self.target(size)}, {size}) = _")

    def vectors(self):
        call, buffer = self.pick(("writev", self.source), ("readv", self.target))
        vectors, count = self.vector_list(buffer)
        if self.chance(0.2):
            count = self.pick(-1, 1025) if count else 0
        self.add(f"{call}({self.fd()}, {vectors}, {count}) = _")

    def send(self):
        size = self.size()
        if self.chance(0.5):
            self.add(f"send({self.fd()}, {self.source(size)}, {size}, {self.flags()}) = _")
            return
        address = self.pick("NULL", "BADPTR", "{sa_family=AF_UNIX}")
        length = self.pick("0", "2", "110", "128", "129", "-1")
        self.add(f"sendto({self.fd()}, {self.source(size)}, {size}, {self.flags()}, {address}, "
                 f"{length}) = _")

    def receive(self):
        size = self.size()
        if self.chance(0.5):
            self.add(f"recv({self.fd()}, {self.target(size)}, {size}, {self.flags()}) = _")
            return
        length = self.pick("NULL", "[110 => _]", "[-1 => _]", "[0 => _]", "BADPTR")
        self.add(f"recvfrom({self.fd()}, {self.target(size)}, {size}, {self.flags()}, "
                 f"{self.pick('NULL', '_')}, {length}) = _")

    def messages(self):
        call, buffer = self.pick(("sendmsg", self.source), ("recvmsg", self.target))
        self.add(f"{call}({self.fd()}, {self.header(buffer)}, {self.flags()}) = _")

    def many(self):
        call, buffer = self.pick(("sendmmsg", self.source), ("recvmmsg", self.target))
        count = self.random.randrange(1, 4)
        headers = (f"{{msg_hdr={self.header(buffer)}, msg_len=_}}" for _ in range(count))
        array = f"[{', '.join(headers)}]"
        if self.chance(0.15):
            array = f"fault({array})"
        count = 0 if self.chance(0.2) else count
        timeout = ""
        if call == "recvmmsg":
            timeout = ", " + (self.seconds("tv_nsec") if self.chance(0.5) else "NULL")
        self.add(f"{call}({self.fd()}, {array}, {count}, {self.flags()}{timeout}) = _")

    def option(self):
        level = "SOL_SOCKET" if self.chance(0.85) else self.pick("0", "6")
        option = self.random.choice(OPTIONS)
        if self.chance(0.5):
            value = "[x]" if self.chance(0.8) else self.pick("BADPTR", "NULL")
            length = self.pick("[4 => l]", "[16 => l]", "[1 => l]", "[0 => l]", "[-1 => l]",
                               "[100 => l]", "BADPTR")
            self.add(f"getsockopt({self.fd()}, {level}, {option}, {value}, {length}) = _")
            return
        value = self.pick(f"[{self.number()}]", f"[{self.number()}, {self.number()}]", "BADPTR",
                          f"[0, 0, {self.pick('0', '4000', '999999', '1000000', '-1')}, 0]")
        length = self.pick("4", "4", "8", "16", "3", "0", "-1", "100")
        self.add(f"setsockopt({self.fd()}, {level}, {option}, {value}, {length}) = _")

    def command(self):
        if self.chance(0.2):
            more = self.pick("", "|O_DIRECT", "|O_APPEND", "|O_CREAT")
            self.add(f"fcntl({self.fd()}, F_SETFL, O_NONBLOCK{more}) = _")
            return
        self.add(f"fcntl({self.fd()}, {self.random.choice(COMMANDS)}, {self.number()}) = _")

    def request(self):
        if self.chance(0.2):
            self.add(f"ioctl({self.fd()}, FIONBIO, {self.pick('[1]', '[7]', 'BADPTR')}) = _")
            return
        request = self.random.choice(REQUESTS)
        value = "[x]" if request in ("FIONREAD", "SIOCOUTQ", "SIOCATMARK") else "_"
        self.add(f"ioctl({self.fd()}, {request}, {self.pick(value, 'BADPTR', 'NULL')}) = _")

    def wait(self):
        count = self.random.randrange(6)
        events = ["-1", "0", "POLLIN", "POLLOUT", "POLLPRI|POLLRDHUP", "POLLRDNORM|POLLWRBAND"]
        fds = (f"{{fd={self.fd()}, events={self.random.choice(events)}}}" for _ in range(count))
        self.add(f"poll([{', '.join(fds)}], {count}, {self.pick(0, 0, 1)}) = _")

    def choose(self):
        sets = []
        for _ in range(3):
            chosen = self.random.sample(self.ENDS, self.random.randrange(5))
            sets.append(f"[{', '.join(chosen)}]" if self.chance(0.8)
                        else self.pick("NULL", "BADPTR"))
        timeout = self.pick("{tv_sec=0, tv_usec=0}", "{tv_sec=0, tv_usec=100}",
                            "{tv_sec=-1, tv_usec=0}", "{tv_sec=0, tv_usec=-1}")
        self.add(f"select({self.pick(0, 3, 4, 6, 10, 20, -1)}, {', '.join(sets)}, {timeout}) = _")

    def rare(self):
        end, other = self.random.choice(self.ENDS), self.random.choice(self.ENDS)
        socket = self.pick("a", "b", "c", "d")
        flags = self.pick("0", "RWF_NOWAIT", "RWF_SYNC", "RWF_APPEND", "0x8000")
        self.add(self.pick(
            f"shutdown({socket}, {self.pick(0, 1, 2, 3, -1)}) = _",
            f"dup2({other}, {end}) = _", f"close({end}) = _", f"dup({end}) = _",
            f"dup3({end}, 12, {self.pick('0', 'O_CLOEXEC', '1')}) = _",
            f"fcntl({end}, F_DUPFD, {self.pick(0, 3, 10, 30, -1, 100000000)}) = _",
            f"pread({end}, buf, 4, {self.pick(0, -1)}) = _",
            f"preadv2({end}, [{{iov_base=buf, iov_len=100}}], 1, {self.pick(0, -1)}, {flags}) = _",
            f"pwritev2({end}, [{{iov_base=\"abc\", iov_len=3}}], 1, -1, {flags}) = _",
            f"lseek({end}, 0, 0) = _", f"getsockname({end}, _, [110 => _]) = _",
            f"getpeername({end}, _, [-1 => _]) = _",
            f"pipe2([r2, w2], O_NONBLOCK|{self.number()}) = _",
            f"socketpair({self.pick(1, 1, 2, 0, 99)}, "
            f"SOCK_NONBLOCK|{self.pick(1, 5, '5|0x10', 11, 0)}, "
            f"{self.pick(0, 1, 2)}, [_, _]) = _"))


def generate(kind, seed, length):
    if kind == "arguments":
        return Arguments(seed, length).text()
    if kind == "splices":
        return Splices(seed, length).text()
    return Data(seed, length, timeouts=kind == "time-outs").text()
