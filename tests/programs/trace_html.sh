#!/bin/sh
# trace_html.sh - the page of `sockrig trace --format html`, opened in a browser
#
# A headless chromium runs the page's script. Wanted: no message on its console, nothing asked of
# the network, in the document what the recording holds (tasks, calls, arrows that lead from a write
# to the read that got its bytes), the details of a call that the address names, dark colours, and a
# recording of thousands of calls of which only what is in view is drawn. A page that shows nothing
# is found too: a screenshot must have many colours.
. "${0%/*}/compare.inc"

python=/usr/bin/python3
limit=60

record() { # NAME COMMAND...: makes $work/NAME.html
    name=$1
    shift
    timeout "$limit" "$SOCKRIG" run --record "$work/$name" -- "$@" >"$work/$name.out" 2>&1 ||
        failed "$name: recorded, exit code $?"
    "$SOCKRIG" trace --format html "$work/$name" >"$work/$name.html" ||
        failed "$name: exit code $?"
}

# chromium starts processes of its own and leaves a profile: all of it below $work.
browse() { # NAME FRAGMENT OPTION...: into $work/NAME.dom; its console into $work/console
    name=$1
    fragment=$2
    shift 2
    HOME=$work XDG_CONFIG_HOME=$work XDG_CACHE_HOME=$work timeout "$limit" chromium --headless \
        --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-breakpad \
        --disable-crash-reporter --no-first-run --proxy-server=127.0.0.1:1 \
        --user-data-dir="$work/profile" --enable-logging=stderr --window-size=1400,900 \
        --virtual-time-budget=5000 "$@" "file://$work/$name.html#$fragment" \
        >"$work/$name.dom" 2>"$work/$name.log"
    result=$?
    grep -F 'CONSOLE' "$work/$name.log" >"$work/console"
    if [ "$result" -ne 0 ]; then
        failed "$name: the browser ends with $result"
        tail -n 5 "$work/$name.log"
    elif [ -s "$work/console" ]; then
        failed "$name: its console has messages"
        head -n 5 "$work/console"
    else
        passed
    fi
}

cat >"$work/dom.py" <<'END_OF_PYTHON'
"""What the page shows: dom.py FILE PYTHON-EXPRESSION, with what is below as names."""
import html.parser, json, sys

class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.stack = [], {}, []
    def handle_starttag(self, tag, attributes):
        element = dict(attributes, tag=tag, text="")
        self.elements.append(element)
        if tag not in ("meta", "input", "link", "br"):
            self.stack.append(element)
    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()["tag"] != tag:
            pass
    def handle_data(self, data):
        for element in self.stack:
            element["text"] += data

page = Page()
page.feed(open(sys.argv[1]).read())
def all_of(name):
    return [e for e in page.elements if name in (e.get("class") or "").split()]
def by_id(name):
    return next(e for e in page.elements if e.get("id") == name)
data = json.loads(by_id("data")["text"])
ready = any(e["tag"] == "body" and e.get("data-ready") == "yes" for e in page.elements)
tasks, labels, arrows = all_of("task"), all_of("call"), all_of("arrow")
arrows = [a for a in arrows if "sample" not in a["class"].split()]
if not eval(sys.argv[2]):
    sys.exit(f"{sys.argv[2]}\n{len(tasks)} tasks, {len(labels)} labels, {len(arrows)} arrows, "
             f"ready: {ready}\n" + "\n".join(label["text"] for label in labels[:10]))
END_OF_PYTHON

holds() { # NAME EXPRESSION...
    name=$1
    shift
    for expression in ready "$@"; do
        if $python "$work/dom.py" "$work/$name.dom" "$expression" >"$work/out" 2>&1; then
            passed
        else
            failed "$name: doesn't hold"
            head -n 12 "$work/out"
        fi
    done
}

# ---- A pipeline ----

# shellcheck disable=SC2016 # for the inner shell
record pipeline sh -c 'printf "one\ntwo\n" | (read -r line; read -r other; echo "$line $other")'
browse pipeline '' --dump-dom
holds pipeline 'len(tasks) >= 3' 'len(tasks) == len(data["tasks"])' 'len(labels) > 5' \
    'len(all_of("birth")) >= 2' 'by_id("counts")["text"].startswith(f"{len(tasks)} tasks, ")' \
    'by_id("details").get("hidden") is not None' \
    'any("pipe:[1]" in b["text"] for b in page.elements if b["tag"] == "button")' \
    'arrows and all(data["calls"][int(a["data-from"])][7] == "write" and
         data["calls"][int(a["data-to"])][7] == "read" and
         data["calls"][int(a["data-from"])][0] != data["calls"][int(a["data-to"])][0]
         for a in arrows)'
if grep -E '(https?|wss?):|src=|<link|@import|url\(' "$work/pipeline.html" |
    grep -vF 'url(#tip'; then
    failed 'the page names another place'
else
    passed
fi

# ---- Hostile text, errors, a call that never came back, a signal ----

cat >"$work/hostile.py" <<'END_OF_PYTHON'
import fcntl, os, signal, socket, struct, termios, threading
a, b = socket.socketpair()
a.send(b"</script><script>console.error('out')</script><!--<script>\\\"'\xff\0")
b.recv(100)
b.setblocking(False)
try:
    b.recv(100)
except BlockingIOError:
    pass
r, w = os.pipe()
os.close(r)
try:
    os.write(w, b"lost")
except BrokenPipeError:
    pass
signal.signal(signal.SIGUSR1, lambda *_: a.send(b"handled"))
os.kill(os.getpid(), signal.SIGUSR1)
r, w = os.pipe()  # a write that is known to have begun when the pipe is full, and never ends
threading.Thread(target=os.write, args=(w, bytes(100000)), daemon=True).start()
room = fcntl.fcntl(r, fcntl.F_GETPIPE_SZ)
while struct.unpack("i", fcntl.ioctl(r, termios.FIONREAD, bytes(4)))[0] < room:
    os.sched_yield()
os._exit(0)
END_OF_PYTHON
record hostile $python "$work/hostile.py"
number=$($python - "$work/hostile.html" <<'END_OF_PYTHON'
import json, re, sys
page = open(sys.argv[1]).read()
data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page,
                            re.S)[1])
print(next(i for i, call in enumerate(data["calls"], 1) if "console.error" in call[9]))
END_OF_PYTHON
)
browse hostile "call=$number&theme=dark" --dump-dom
holds hostile 'len(tasks) == 2' \
    'all_of("label error") or any("EPIPE" in t["text"] for t in all_of("error"))' \
    'any("EAGAIN" in t["text"] for t in all_of("later"))' \
    'any(t["text"].startswith("--- SIGUSR1 ") for t in labels)' 'all_of("forever")' \
    'by_id("details").get("hidden") is None and "Its bytes went to" in by_id("details")["text"]' \
    "\"<script>console.error('out')</script>\" in by_id('details')['text']" \
    'all_of("picked") and all_of("on")' \
    'any(e["tag"] == "html" and e.get("data-theme") == "dark" for e in page.elements)'

# ---- A search, a channel alone, a lower scale ----

browse hostile 'find=lost&zoom=30&channel=1' --dump-dom
holds hostile 'by_id("matches")["text"] == "1"' 'len(all_of("found")) == 1' 'all_of("dim")' \
    'any(b.get("aria-pressed") == "true" for b in page.elements)'

# ---- Thousands of calls ----

record long $python -c '
import os
r, w = os.pipe()
for i in range(6000):
    os.write(w, b"%d" % i)
    os.read(r, 100)
'
browse long 'call=9001' --dump-dom
holds long 'len(data["calls"]) > 12000' '5 < len(labels) < 200' \
    'int(by_id("view")["data-first"]) > 8000' 'all_of("picked")' '5 < len(arrows) < 200'

# ---- A picture, in both colours: not empty, and not the same ----

cat >"$work/picture.py" <<'END_OF_PYTHON'
"""The brightest and darkest tenth of a PNG, and how many colours it has."""
import struct, sys, zlib
data, at, pixels = open(sys.argv[1], "rb").read(), 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    body = data[at + 8:at + 8 + size]
    if kind == b"IHDR":
        width, height, depth, colour = struct.unpack(">IIBB", body[:10])
    elif kind == b"IDAT":
        pixels += body
    at += size + 12
step = {2: 3, 6: 4}[colour]
raw, stride, before, colours = zlib.decompress(pixels), width * step + 1, None, {}
for row in range(height):
    method, line = raw[row * stride], bytearray(raw[row * stride + 1:(row + 1) * stride])
    before = before or bytes(len(line))
    for i in range(len(line)):
        left = line[i - step] if i >= step else 0
        corner = before[i - step] if i >= step else 0
        up, guess = before[i], left + before[i] - corner
        near = min((left, up, corner), key=lambda v: abs(guess - v))
        line[i] = (line[i] + (0, left, up, (left + up) // 2, near)[method]) & 255
    for i in range(0, len(line), step):
        key = bytes(line[i:i + 3])
        colours[key] = colours.get(key, 0) + 1
    before = bytes(line)
light = sum(n for c, n in colours.items() if sum(c) > 600) / (width * height)
print("light" if light > 0.7 else "dark" if light < 0.2 else "neither",
      "many" if len(colours) > 50 else "few")
END_OF_PYTHON
for theme in light dark; do
    browse pipeline "theme=$theme" --screenshot="$work/$theme.png" --window-size=700,400
    if [ "$($python "$work/picture.py" "$work/$theme.png")" = "$theme many" ]; then
        passed
    else
        failed "the picture, $theme: $($python "$work/picture.py" "$work/$theme.png")"
    fi
done

finish
