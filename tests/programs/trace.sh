#!/bin/sh
# trace.sh - `sockrig trace` prints what strace prints
#
# One program (traced.c), once natively under strace and once recorded: the lines of all calls must
# be the same, but for pids, numbers of inodes, addresses, and times that are left. Then what strace
# can't show here: AF_VSOCK, whose sockets are made nowhere natively; the filters; JSON Lines.
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

compile traced
calls='%desc,%network,close_range,?fork,?clone,execve,exit_group'

# What differs from run to run gets the same words: pids and inodes are numbered as they come.
cat >"$work/normal.py" <<'END_OF_PYTHON'
import re, sys
text = sys.stdin.read()
first = re.search(r"^\d+ +pipe2\(\[3.*", text, re.M)
lines = text[first.start():].splitlines() if first else []
# Not recorded as they are: signals that nobody handles, how processes are made and waited for.
left_out = re.compile(r"^(wait4|v?fork|clone3?)\(|^--- SIG")
seen = {}
def number(kind):
    def give(match):
        key = (kind, match[0])
        seen.setdefault(key, f"{kind}{sum(k[0] == kind for k in seen) + 1}")
        return seen[key]
    return give
# How two tasks mix is chance: each has its lines together, and split ones are joined.
tasks, begun = {}, {}
for line in lines:
    pid, rest = line.split(None, 1)
    if rest.endswith(" <unfinished ...>"):
        begun[pid] = rest[:-len(" <unfinished ...>")]
        continue
    if rest.startswith("<... "):
        rest = begun.pop(pid) + rest[rest.index(">") + 1:]
    tasks.setdefault(pid, []).append(rest)
for pid, rests in tasks.items():
    task = number("task ")(re.match(".*", pid))
    for line in rests:
        if left_out.search(line):
            continue
        line = re.sub(r"0x[0-9a-f]{9,}", "ADDRESS", line)
        line = re.sub(r", left \{[^}]*\}| \(left \{[^}]*\}\)", "", line)
        line = re.sub(r" +(= \S+.*)$", r" \1", line)
        line = re.sub(r"(?<=pid=)\d+", number("task "), line)
        line = re.sub(r"(?<=[a-zA-Z]:\[)\d+|(?<=->)\d+(?=[\],])", number("inode "), line)
        print(f"{task} {line}")
END_OF_PYTHON

# Calls that are about nothing emulated aren't recorded. Everything else must be there, in strace's
# order.
cat >"$work/compare.py" <<'END_OF_PYTHON'
import difflib, re, sys
MAY_BE_MISSING = [r"\b(write\(99, .*|close\(3\)) = -1 EBADF ", r"\bpoll\(NULL, 0, 1\)"]
native, ours = (open(path).read().splitlines() for path in sys.argv[1:])
wrong = []
for line in difflib.ndiff(native, ours):
    if line.startswith("+ ") or line.startswith("- ") and \
            not any(re.search(pattern, line) for pattern in MAY_BE_MISSING):
        wrong.append(line)
print("\n".join(wrong))
sys.exit(bool(wrong) or len(ours) < 160)
END_OF_PYTHON

normalize() { # FILE
    python3 "$work/normal.py" <"$1" >"$1.normal"
    [ -s "$1.normal" ]
}

mkdir "$work/folder"
if timeout "$limit" "$SOCKRIG" run --record "$work/recording" -- "$work/traced" "$work/folder"; then
    passed
else
    failed "the program, recorded: exit code $?"
fi

compare() { # LABEL OPTION...: strace's lines and ours
    label=$1
    shift
    timeout "$limit" strace -f -e "trace=$calls" -o "$work/native" "$@" "$work/traced" \
        "$work/folder" || failed "$label: strace ends with $?"
    "$SOCKRIG" trace -f -e "trace=$calls" -o "$work/ours" "$@" "$work/recording" ||
        failed "$label: sockrig trace ends with $?"
    if ! normalize "$work/native" || ! normalize "$work/ours"; then
        failed "$label: no lines"
    elif python3 "$work/compare.py" "$work/native.normal" "$work/ours.normal" \
        >"$work/difference"; then
        passed
    else
        failed "$label: - strace, + sockrig trace"
        head -n 40 "$work/difference"
    fi
}

compare 'plain'
compare 'descriptors' -y
compare 'sockets' -yy
compare 'hexadecimal' -xx -s 8
compare 'hexadecimal where needed, long' -x -s 300

# ---- Times, prefixes, filters ----

shown() { # LABEL PATTERN OPTION...: all lines match, and there are some
    label=$1
    pattern=$2
    shift 2
    "$SOCKRIG" trace "$@" "$work/recording" >"$work/out" 2>"$err" ||
        failed "$label: exit code $?"
    if [ -s "$work/out" ] && ! grep -vE -e "$pattern" "$work/out" >"$work/others"; then
        passed
    else
        failed "$label: lines that don't match '$pattern'"
        head -n 5 "$work/others"
    fi
}

clock='[0-2][0-9]:[0-5][0-9]:[0-6][0-9]'
pid='(\[pid +[0-9]+\] )?'
shown 'time of day' "^$pid$clock \S" -f -q -t
shown 'microseconds, time spent' \
    "^$pid$clock\.[0-9]{6} .*(<[0-9]+\.[0-9]{6}>|wait4.*|= \?|\+\+\+|unfinished \.\.\.>)$" \
    -f -q -tt -T
shown 'unix time' "^[0-9]{10}\.[0-9]{6} \S" -ttt
shown 'relative' "^ +[0-9]+\.[0-9]{6} \S" -r
shown 'one call' '^pipe2\(' -e pipe2 -qq
desc='read|write|poll|dup|close|fcntl|ioctl|epoll|p|splice|tee|vmsplice|sendfile'
shown 'a group, negated' "^($desc|fork|wait4|exit)" \
    -e trace='!%network' -qq
shown 'a pattern' '^(send|recv)m+sg\(|^\+' -e trace='/^(send|recv)m'
shown 'by descriptor' '^(dup[23]?\(3, 50\) = |close_range|.*\b50\b)' --fd 50 -qq
shown 'failed' '= -1 E|^---|^\+\+\+' -Z
shown 'succeeded' '= [0-9]' -z -qq
shown 'nothing but signals and ends' '^(\+\+\+|---)' -e trace=none
shown 'a task' \
    '^(\[pid +[0-9]+\] (close\(3|write\(4|exit_group\(3|\+\+\+ exited with 3)|strace: )' \
    --task "$("$SOCKRIG" trace -f -e trace=exit_group -o /dev/stdout "$work/recording" |
        awk '/exit_group\(3\)/ { print $1 }')" -f
shown 'all the time' '^pipe2\(\[3, 4\]|^pipe2\(\[5, 6\]' --from 0us --to 1000s -e pipe2 -z -qq
[ "$("$SOCKRIG" trace --from 1000 -qq "$work/recording" 2>/dev/null | wc -l)" -eq 0 ] && passed ||
    failed 'after the end'

"$SOCKRIG" trace "$work/recording" >"$work/out" 2>"$err"
says 'other tasks' '2 more tasks: -f shows them' "$err"

refused() { # LABEL TEXT OPTION...
    label=$1
    text=$2
    shift 2
    "$SOCKRIG" trace "$@" >"$work/out" 2>"$err"
    result=$?
    [ "$result" -eq 125 ] && [ ! -s "$work/out" ] && passed || failed "$label: exit code $result"
    says "$label" "$text" "$err"
}

refused 'no recording' 'no recording is named'
refused 'nowhere' 'nowhere' "$work/nowhere"
refused 'no call' "isn't recorded" -e trace=openat,read "$work/recording"
refused 'no number' 'not a number' --fd three "$work/recording"
refused 'no option' "isn't known" --colour "$work/recording"

# ---- AF_VSOCK: both ends, by address ----

cat >"$work/vsock.py" <<'END_OF_PYTHON'
import socket
listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
listener.bind((socket.VMADDR_CID_ANY, 1234))
listener.listen()
client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
client.connect((1, 1234))
server, peer = listener.accept()
client.sendall(b"ping")
print(server.recv(10))
END_OF_PYTHON
timeout "$limit" "$SOCKRIG" run --record "$work/vsock" -- /usr/bin/python3 "$work/vsock.py" \
    >"$work/out" || failed "vsock: exit code $?"
"$SOCKRIG" trace -yy "$work/vsock" >"$work/out" 2>/dev/null
for text in 'socket(AF_VSOCK, SOCK_STREAM|SOCK_CLOEXEC, 0) = ' \
    '{sa_family=AF_VSOCK, svm_cid=VMADDR_CID_ANY, svm_port=0x4d2}, 16) = 0' \
    '{sa_family=AF_VSOCK, svm_cid=VMADDR_CID_LOCAL, svm_port=0x4d2}, 16) = 0' \
    '<vsock:[*:1234]>, {sa_family=AF_VSOCK, svm_cid=VMADDR_CID_LOCAL, svm_port=' \
    '->1:1234]>, "ping", 4, 0, NULL, 0) = 4' '<vsock:[1:1234->1:' \
    '"ping", 10, 0, NULL, NULL) = 4'; do
    says vsock "$text" "$work/out"
done

# ---- JSON Lines ----

"$SOCKRIG" trace --format json "$work/recording" >"$work/lines" || failed "json: exit code $?"
"$SOCKRIG" trace -f -qq -o "$work/text" -e signal=none "$work/recording"
python3 - "$work/lines" "$work/text" <<'END_OF_PYTHON' && passed || failed 'json'
import json, sys
calls = [json.loads(line) for line in open(sys.argv[1])]
text = open(sys.argv[2]).read().splitlines()
begun = [line for line in text if "<... " not in line]
assert [call["number"] for call in calls] == list(range(1, len(calls) + 1))
calls = [call for call in calls if "call" in call]
assert len(calls) == len(begun), (len(calls), len(begun))
for call, line in zip(calls, begun):
    tid, rest = line.split(None, 1)
    assert str(call["tid"]) == tid and rest.startswith(call["call"] + "("), line
first = calls[0]
assert first["call"] == "pipe2" and first["result"] == 0 and first["program"] == "traced", first
assert first["arguments"] == ["[3, 4]", "O_NONBLOCK|O_CLOEXEC"], first
assert [(fd["fd"], fd["kind"]) for fd in first["fds"]] == [(3, "pipe"), (4, "pipe")], first
assert first["fds"][0]["object"] == first["fds"][1]["object"] == 1, first
assert first["text"].startswith("pipe2([3<pipe:[1]>, 4<pipe:[1]>], "), first
assert any(call.get("errno") == "EAGAIN" and call["result"] == -1 for call in calls)
assert all(call["leave_ns"] >= call["enter_ns"] for call in calls if "leave_ns" in call)
odd = next(call for call in calls if "quote" in call["text"])
assert odd["arguments"][1].startswith('"quote\\" back\\\\ nul\\0two \\1x\\0011 tab'), odd
END_OF_PYTHON

finish
