"""steps - random lists of steps for epoll_random, the same one for the same seed

Two kinds, by turns:

  emulated  pipes, socket pairs and epoll sets alone: the order of events counts
  mixed     eventfds and timers among them

Each seed has its own leanings (which steps are frequent, how large the writes are, how many sets),
so that 500 steps go deep somewhere instead of everywhere a little. The maker keeps a rough idea of
what each slot holds, so that most steps do something; some go anywhere, on purpose.
"""
import random

SLOTS = 40
KINDS = ("emulated", "mixed")
SIZES = [1, 2, 8, 100, 1000, 1366, 4000, 4095, 4096, 4097, 5000, 8192, 16384, 65536, 100000]
EVENTS = ["IN", "IN", "IN", "OUT", "OUT", "RDHUP", "PRI"]
RARE_EVENTS = ["RDNORM", "RDBAND", "WRNORM", "WRBAND", "MSG", "ERR", "HUP"]
NUMBERS = [0, 0, 3, 10, 25]  # the least of F_DUPFD

# How often, on average.
WEIGHTS = {"make": 6, "source": 2, "set": 1, "dup": 3, "dup2": 1, "dupfd": 1, "close": 3.5,
           "write": 16, "read": 14, "peek": 1, "fill": 2, "drain": 4, "unread": 1, "shutdown": 1.5,
           "capacity": 1.5, "sndbuf": 1.5, "fire": 3, "settime": 2, "add": 9, "mod": 6, "del": 2.5,
           "wait": 20, "poll": 2, "child": 1.5, "fork": 0.4, "there": 8, "join": 0.2}
READERS, WRITERS = {"reader", "socket"}, {"writer", "socket"}
CHILD_STEPS = ["write", "read", "fill", "drain", "shutdown", "close", "add", "mod", "del", "wait",
               "poll", "dup2"]


class Maker:
    def __init__(self, seed, length):
        self.random = random.Random(seed)
        self.mixed = KINDS[seed % 2] == "mixed"
        self.held = {}  # slot: what the maker believes it holds
        self.ends = {}  # slot: (channel, which of its ends)
        self.shut = set()  # channels that were shut down
        self.channels = 0
        self.two = False  # processes
        self.entries = []  # (set's slot, slot)
        self.tokens = 0
        self.lean()
        self.lines = [self.make_set()] + [self.make() for _ in range(self.slots // 4)]
        self.lines += [self.step_add() for _ in range(self.random.choice([0, 3, self.slots // 2]))]
        while len(self.lines) < length:
            line = self.renew() or getattr(self, "step_" + self.random.choice(self.bag))()
            if line:
                self.lines.append(line)

    def lean(self):
        self.bag = []
        two = self.chance(0.4)
        for name, weight in WEIGHTS.items():
            if name in ("source", "fire", "settime") and not self.mixed:
                continue
            if name in ("fork", "there", "join") and not two:
                continue
            self.bag += [name] * round(4 * weight * self.random.choice([0.4, 1, 1, 1, 2.5]))
        self.sizes = self.random.choice([SIZES, SIZES[:5], SIZES[4:], [1, 4096],
                                         [100, 4096, 65536]])
        self.slots = self.random.choice([8, 14, 30, SLOTS])
        self.edge = self.random.choice([0.1, 0.4, 0.4, 0.8])
        self.once = self.random.choice([0, 0.1, 0.1, 0.4])
        self.rooms = self.random.choice([[64], [64, 64, 1, 2, 3], [1, 2, 3, 5], [1]])

    # Slots

    def chance(self, part):
        return self.random.random() < part

    def of(self, kinds):
        """A slot that holds one of `kinds`; now and then any slot."""
        fitting = [slot for slot, kind in self.held.items() if kind in kinds]
        if not fitting or self.chance(0.03):
            return self.random.randrange(self.slots)
        return self.random.choice(fitting)

    def whole(self):
        """Slots of channels that have both ends and were not shut down."""
        held = {slot: end for slot, end in self.ends.items()
                if slot in self.held and end[0] not in self.shut}
        there = set(held.values())
        return [slot for slot, (channel, end) in held.items() if (channel, 1 - end) in there]

    def busy(self, kinds):
        """Mostly one where something can still happen."""
        whole = [slot for slot in self.whole() if self.held[slot] in kinds]
        return self.random.choice(whole) if whole and self.chance(0.8) else self.of(kinds)

    def renew(self):
        """When no set or few channels are left: something new, or room for it."""
        if "set" not in self.held.values():
            return self.make_set()
        whole = self.whole()
        if len(whole) >= self.slots // 3 or self.chance(0.7):
            return None
        dead = [slot for slot in self.ends if slot in self.held and slot not in whole]
        if len(self.held) > self.slots - 3 and dead:
            return self.close(self.random.choice(dead))
        return self.make()

    def any(self):
        if self.chance(0.5):
            return self.busy({"reader", "writer", "socket"})
        return self.of({"reader", "writer", "socket", "event", "timer"})

    def set(self):
        sets = [slot for slot, kind in self.held.items() if kind == "set"]
        if sets and self.chance(0.6):
            return sets[-1]
        return self.of({"set"})

    def free(self, kind):
        """A slot for something new; when all are taken, one is lost with what it holds."""
        empty = [slot for slot in range(self.slots) if slot not in self.held]
        slot = self.random.choice(empty or [s for s in range(self.slots) if self.held[s] != "set"]
                                  or list(range(self.slots)))
        self.held[slot] = kind
        self.ends.pop(slot, None)
        return slot

    def size(self):
        return self.random.choice(self.sizes)

    # Steps

    def make(self):
        name = self.random.choice(["pipe", "pipe", "packets", "stream", "stream", "records"])
        kinds = ("reader", "writer") if name in ("pipe", "packets") else ("socket", "socket")
        slots = self.free(kinds[0]), self.free(kinds[1])
        self.channels += 1
        for end in (0, 1):
            self.ends[slots[end]] = (self.channels, end)
        return f"{name} {slots[0]} {slots[1]}"

    def make_set(self):
        return f"epoll {self.free('set')}"

    def step_make(self):
        if len(self.held) < self.slots - 2 or self.chance(0.1):
            return self.make()
        return self.step_close()

    def step_source(self):
        if self.chance(0.6):
            return f"eventfd {self.free('event')} {self.random.choice([0, 0, 1])}"
        return f"timerfd {self.free('timer')}"

    def step_set(self):
        return self.make_set() if list(self.held.values()).count("set") < 4 else None

    def copied(self):
        return self.set() if self.chance(0.1) else self.any()

    def copy(self, slot, target):
        self.held[target] = self.held.get(slot, "socket")
        self.ends.pop(target, None)
        if slot in self.ends:
            self.ends[target] = self.ends[slot]

    def step_dup(self):
        slot, target = self.copied(), self.free("copy")
        self.copy(slot, target)
        return f"dup {slot} {target}"

    def step_dupfd(self):
        slot, target = self.copied(), self.free("copy")
        self.copy(slot, target)
        return f"dupfd {slot} {target} {self.random.choice(NUMBERS)}"

    def step_dup2(self):
        slot = self.copied()
        target = self.known() if self.chance(0.5) else self.free("copy")
        self.copy(slot, target)
        return f"dup2 {slot} {target}"

    def close(self, slot):
        self.held.pop(slot, None)
        self.ends.pop(slot, None)
        return f"close {slot}"

    def known(self):
        """A slot in use. A stale number may be that of a set: then little happens from there on."""
        if not self.held or self.chance(0.02):
            return self.random.randrange(self.slots)
        return self.random.choice(list(self.held))

    def step_close(self):
        return self.close(self.known())

    def step_write(self):
        return f"write {self.busy(WRITERS)} {self.size()}"

    def step_read(self):
        return f"read {self.busy(READERS)} {self.size()}"

    def step_peek(self):
        return f"peek {self.of({'socket'})} {self.size()}"

    def step_fill(self):
        size = self.random.choice([1000, 1366, 4096, 8192, 65536] * 4 + [1])
        return f"fill {self.busy(WRITERS)} {size}"

    def step_drain(self):
        slot = self.of({"event", "timer"}) if self.chance(0.1) else self.busy(READERS)
        return f"drain {slot} {self.random.choice([4096, 65536])}"

    def step_unread(self):
        return f"unread {self.any()}"

    def step_shutdown(self):
        slot = self.of({"socket"})
        self.shut.add(self.ends.get(slot, (0, 0))[0])
        return f"shutdown {slot} {self.random.choice([0, 1, 1, 2])}"

    def step_capacity(self):
        size = self.random.choice([4096, 4096, 8192, 16384, 65536, 131072])
        return f"capacity {self.of({'reader', 'writer'})} {size}"

    def step_sndbuf(self):
        return f"sndbuf {self.of({'socket'})} {self.random.choice([0, 2500, 5000, 20000, 100000])}"

    def step_fire(self):
        slot = self.of({"event", "timer"})
        if self.held.get(slot) == "timer":
            return f"settime {slot} 1"
        return self.random.choice([f"write {slot} 8", f"write {slot} 8", f"read {slot} 8"])

    def step_settime(self):
        return f"settime {self.of({'timer'})} {self.random.choice([1, 1, 0, 1000])}"

    def mask(self):
        chosen = set(self.random.sample(EVENTS, self.random.randrange(1, 5)))
        if self.chance(0.06):
            chosen = {self.random.choice(RARE_EVENTS)}
        if self.chance(0.04):
            chosen = set()
        if self.chance(self.edge):
            chosen.add("ET")
        if self.chance(self.once):
            chosen.add("ONESHOT")
        if self.chance(0.03):
            chosen.add("WAKEUP")
        if self.chance(0.05):
            chosen.add("EXCLUSIVE")
            if self.chance(0.7):
                chosen -= {"RDHUP", "PRI", "ONESHOT"}
        return "|".join(sorted(chosen)) or "0"

    def token(self):
        self.tokens += 1
        return self.tokens

    def step_add(self):
        slot = self.of({"set"}) if self.chance(0.08) else self.any()
        entry = (self.set(), slot)
        self.entries.append(entry)
        return f"add {entry[0]} {slot} {self.mask()} {self.token()}"

    def entry(self):
        there = [entry for entry in self.entries if self.held.get(entry[0]) == "set"]
        if not there or self.chance(0.05):
            return self.set(), self.any()
        return self.random.choice(there[-30:])

    def step_mod(self):
        into, slot = self.entry()
        return f"mod {into} {slot} {self.mask()} {self.token()}"

    def step_del(self):
        entry = self.entry()
        if entry in self.entries:
            self.entries.remove(entry)
        return f"del {entry[0]} {entry[1]}"

    def step_wait(self):
        name = self.random.choice(["wait"] * 6 + ["pwait", "2pwait"])
        room = self.random.choice(self.rooms) if self.chance(0.98) else self.random.choice([0, -1])
        return f"{name} {self.set()} {room}"

    def step_poll(self):
        return "poll " + self.random.choice(["IN|PRI|OUT|RDHUP", "IN|PRI|OUT|RDHUP", "IN", "OUT",
                                             "RDNORM|WRNORM|RDBAND|WRBAND", "0"])

    def step_fork(self):
        self.two = True
        return "fork"

    def step_join(self):
        self.two = False
        return "join"

    def step_there(self):
        return self.step_child().replace("child", "there") if self.two else None

    def step_child(self):
        held, ends = dict(self.held), dict(self.ends)  # what a child closes stays open here
        line = getattr(self, "step_" + self.random.choice(CHILD_STEPS))()
        self.held, self.ends = held, ends
        return f"child {line}"


def make_steps(seed, length):
    return Maker(seed, length).lines
