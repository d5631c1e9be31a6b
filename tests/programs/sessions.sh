#!/bin/bash
# sessions.sh - several terminals in one session: --session, `sockrig sessions`, a run inside a run
#
# A `member` is a terminal: a run whose program says that it is up and stays until it is let go.
. "${0%/*}/compare.inc"
. "${0%/*}/vsock.inc"

python=/usr/bin/python3
export XDG_RUNTIME_DIR=$work/runtime
folder=$XDG_RUNTIME_DIR/sockrig
mkdir -m 700 "$XDG_RUNTIME_DIR"
declare -A runs=() programs=()

# The program writes its pid to LABEL.up, its standard input is LABEL.go.
start() { # LABEL OPTION... [-- PROG ARG...]
    local label=$1 options=() go
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    [ $# -gt 0 ] && shift || set -- sh -c 'echo $$ >"$UP"; read -r x'
    mkfifo "$work/$label.up" "$work/$label.go"
    exec {go}<>"$work/$label.go" # for both, so that neither side waits for the other to open it
    UP=$work/$label.up timeout -s KILL "$limit" "$SOCKRIG" run "${options[@]}" -- "$@" \
        <"$work/$label.go" >"$work/$label.out" 2>"$work/$label.err" {go}>&- &
    runs[$label]=$!
    eval "go_$label=$go"
}

is_up() { # LABEL
    local pid=
    read -r -t "$limit" pid <"$work/$1.up" || failed "$1 doesn't start: $(cat "$work/$1.err")"
    programs[$1]=$pid
}

member() { # as start
    start "$@"
    is_up "$1"
}

let_go() { # LABEL CODE: its program goes on, and the run ends with this code
    local go=go_$1
    echo >&"${!go}"
    ended "$@"
}

ended() { # LABEL CODE
    local go=go_$1 code=0
    wait "${runs[$1]}" 2>/dev/null || code=$? # 2: bash says who was killed
    eval "exec ${!go}>&-"
    rm -f "$work/$1.up" "$work/$1.go"
    if [ "$code" -eq "$2" ]; then
        passed
    else
        failed "$1: exit code $code, expected $2"
        cat "$work/$1.err"
    fi
}

supervisor() { # LABEL: pid of its run
    sed -n 's/^PPid:[[:space:]]*//p' "/proc/${programs[$1]}/status"
}

is_gone() { # PID: init may not have reaped it yet
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
    [[ $state =~ ^[ZX]?$ ]]
}

arena() { # LABEL: the arena's inode, as the program has it
    local pid=${programs[$1]} fd
    fd=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^SOCKRIG_ARENA=\([0-9]*\),.*/\1/p')
    stat -L -c %i "/proc/$pid/fd/$fd"
}

check() { # LABEL COMMAND...
    local label=$1
    shift
    "$@" && passed || failed "$label"
}

sessions() { # LABEL CODE ARG...: output in $work/out, messages in $err
    local label=$1 wanted=$2 code=0
    shift 2
    timeout "$limit" "$SOCKRIG" sessions "$@" >"$work/out" 2>"$err" || code=$?
    check "$label: exit code $code" [ "$code" -eq "$wanted" ]
}

lists() { # LABEL PATTERN COUNT: that many lines of the list match
    check "$1: $(cat "$work/out")" [ "$(grep -cE -e "$2" "$work/out")" -eq "$3" ]
}

until_listed() { # LABEL PATTERN: asks until a line matches
    local i
    for ((i = 0; i < 3000; i++)); do
        timeout "$limit" "$SOCKRIG" sessions >"$work/out"
        grep -qE -e "$2" "$work/out" && passed && return
    done
    failed "$1: $(cat "$work/out")"
}

# ---- Nothing, then one, and what is listed of it
sessions 'nothing yet' 0
check 'nothing yet: silence' [ ! -s "$work/out" ]
expect 'a private one' 0 true
check 'the folder is private' [ "$(stat -c %a "$folder")" = 700 ]
check 'a run leaves nothing' [ -z "$(ls -A "$folder")" ]

member one
id=$("$SOCKRIG" sessions | sed -n '2s/ .*//p')
check "a private session's name: $id" grep -qxE '[0-9a-f]{4}' <<<"$id"
sessions 'a private one' 0
lists 'a private one' "^$id +$(supervisor one) +1 +[0-9]+s +sh -c echo " 1
lists 'a heading' '^SESSION +PID +PROCESSES +TIME +COMMAND$' 1
member two --session "$id"
check 'joined by its id' [ "$(arena one)" = "$(arena two)" ]
sessions 'two terminals' 0
lists 'two terminals' "^$id +[0-9]+ +2 " 2
let_go two 0
member three
check 'a private one is alone' [ "$(arena one)" != "$(arena three)" ]
let_go three 0
let_go one 0
sessions 'gone' 0
check 'gone: silence' [ ! -s "$work/out" ]

# ---- By name; the session outlives who made it, also when that one is killed
member a --session web
member b --session web
check 'joined by name' [ "$(arena a)" = "$(arena b)" ]
first=$(arena a)
let_go a 0
member c --session web
check 'it outlives its maker' [ "$(arena c)" = "$first" ]
kill -KILL "$(supervisor b)"
let_go b 137
member d --session web
check '... and a killed supervisor' [ "$(arena d)" = "$first" ]
sessions 'who is left' 0
lists 'who is left' '^web ' 2
check 'the stale socket is removed' [ "$(find "$folder" -type s | wc -l)" -eq 2 ]

# The role of the watcher has passed on: a member that nobody waits for is seen to die.
export ORPHAN=$work/orphan
member orphans --session web -- sh -c '(setsid sh -c "echo \$\$ >\$ORPHAN; exec sleep 1000" &)
    while ! [ -s "$ORPHAN" ]; do :; done; echo $$ >"$UP"; read -r x'
until_listed 'four members' '^web +[0-9]+ +4 '
kill -KILL "$(cat "$ORPHAN")"
until_listed 'a death is seen' '^web +[0-9]+ +3 '
kill -KILL "$(supervisor c)" "$(supervisor d)" "$(supervisor orphans)"
check 'their programs go on' [ -e "/proc/${programs[c]}" ]
let_go c 137
let_go d 137
let_go orphans 137
check 'all were killed: sockets are left' [ "$(find "$folder" -type s | wc -l)" -gt 0 ]
sessions 'all were killed' 0
check 'all were killed: none is listed' [ ! -s "$work/out" ]
check 'all were killed: nothing is left' [ -z "$(ls -A "$folder")" ]

# ---- Started at the same moment, they meet all the same
for i in 1 2 3 4 5 6; do
    start "race$i" --session race
done
for i in 1 2 3 4 5 6; do
    is_up "race$i"
    arena "race$i"
done | sort -u >"$work/arenas"
check 'six at once' [ "$(wc -l <"$work/arenas")" -eq 1 ]
for i in 1 2 3 4 5 6; do
    let_go "race$i" 0
done

# ---- Removing
cat >"$work/stubborn.sh" <<'END_OF_SH'
trap '' TERM
sh -c 'trap "" TERM; while :; do read -r x; done' <"$FIFO" &
echo $$ >"$UP"
while :; do read -r x; done <"$FIFO"
END_OF_SH
mkfifo "$work/never"
exec 9<>"$work/never"
export FIFO=$work/never
member r1 --session doomed
member r2 --session doomed -- sh "$work/stubborn.sh"
member other --session other
sessions 'rm' 0 rm doomed
lists 'rm says who' "^session doomed: ended sh\\[${programs[r1]}\\]$" 1
lists 'rm says who' "^session doomed: ended sh\\[${programs[r2]}\\], sh\\[[0-9]+\\]$" 1
ended r1 143
ended r2 137
says 'the run says why' 'sockrig: ended by `sockrig sessions rm doomed`' "$work/r1.err"
check 'its processes are gone' [ ! -e "/proc/${programs[r2]}" ]
sessions 'the other one is there' 0
lists 'the other one is there' '^other ' 1
lists 'the removed one is not' '^doomed ' 0
stopped=$(supervisor other)
kill -STOP "$stopped"
sessions 'one that is stopped' 0
lists 'one that is stopped' '^other +[0-9]+ .*answer' 1
expect 'joining one that is stopped' 125 --session other true
says 'joining one that is stopped' "process $stopped doesn't answer" "$err"
sessions 'rm of one that is stopped' 0 rm other
ended other 143
sessions 'rm of nothing' 125 rm other
says 'rm of nothing' "no session 'other'" "$err"
sessions 'rm without a name' 125 rm
sessions 'an unknown word' 125 delete other
sessions 'help' 0 --help

# ---- A time limit ends one's own processes, not those of the other terminal
member stays --session limited
member runs_out --session limited --timeout 1s -- sh -c \
    '(setsid sleep 1000 & echo $! >"$UP.orphan"); echo $$ >"$UP"; read -r x'
ended runs_out 124
check 'its orphan is gone' is_gone "$(cat "$work/runs_out.up.orphan")"
check 'the other terminal goes on' [ -e "/proc/${programs[stays]}" ]

# ---- Options of a session are given when it is made
expect 'other options' 125 --session limited --net=off true
says 'other options' 'with other options' "$err"
expect 'the same, written out' 0 --session limited --net=redirect true
expect 'options of the run' 0 --session limited -v --timeout 10s true
let_go stays 0
member policies --session policies --policy inet=EACCES
expect 'the options are taken over' 0 --session policies "$python" -c 'import socket
try: socket.socket()
except OSError as e: print(e.errno)'
says 'the options are taken over' 13 "$work/out"
expect 'equal ones' 0 --session policies --policy inet=EACCES true
expect 'more' 125 --session policies --policy inet=EACCES --policy unix=EACCES true
let_go policies 0

# ---- Descriptors: a small soft limit doesn't matter, a small hard one does
member large --session large
(ulimit -S -n 64 && exec "$SOCKRIG" run --session large true) 2>"$err" && passed ||
    failed "a small soft limit: $(cat "$err")"
(ulimit -n 64 && exec "$SOCKRIG" run --session large true) 2>"$err"
check 'a small hard limit' [ $? -eq 125 ]
says 'a small hard limit' 'beyond the limit of open files' "$err"

# ---- Who speaks nonsense, or nothing, disturbs nobody
"$python" - "$folder/large.$(supervisor large)" <<'END_OF_PYTHON' && passed || failed 'callers'
import socket, sys
def call():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(30)
    s.connect(sys.argv[1])
    return s
silent = [call() for i in range(40)]
for text in (b'x', b'sockrig\0' + bytes(16), bytes(100000)):
    s = call()
    s.send(text)
    assert s.recv(100000)[:8] == b'sockrig\0'
    assert s.recv(100000) == b''
END_OF_PYTHON
sessions 'after nonsense' 0
lists 'after nonsense' '^large +[0-9]+ +1 ' 1
let_go large 0

# ---- Inside a session
expect 'a run inside joins' 0 sh -c "stat -L -c %i /proc/\$\$/fd/\${SOCKRIG_ARENA%%,*}
    exec '$SOCKRIG' run sh -c 'stat -L -c %i /proc/\$\$/fd/\${SOCKRIG_ARENA%%,*}'"
check 'a run inside joins' [ "$(sort -u "$work/out" | wc -l)" -eq 1 ]
expect 'a guest of a run' 0 sh -c "'$SOCKRIG' run --cid 3 -- sh -c 'echo cid \$SOCKRIG_CID'"
says 'a guest of a run' 'cid 3' "$work/out"
expect 'a machine of its own' 0 --cid 4294967294 sh -c 'echo cid $SOCKRIG_CID'
says 'a machine of its own' 'cid 4294967294' "$work/out"
expect 'the session it is in' 0 --session inside \
    "$SOCKRIG" run --session inside --cid 2 sh -c 'echo x'
says 'the session it is in' x "$work/out"
expect 'other options inside' 125 "$SOCKRIG" run --cid 3 --timeout 3s true
says 'other options inside' 'inside a session' "$err"
member elsewhere --session elsewhere
cat >"$work/report.sh" <<'END_OF_SH'
read -r x
echo got $x
stat -L -c %i "/proc/$$/fd/${SOCKRIG_ARENA%%,*}"
echo "$LD_PRELOAD"
exit 7
END_OF_SH
expect 'another session, from inside' 7 \
    sh -c "echo data | '$SOCKRIG' run --session elsewhere -v sh '$work/report.sh'"
says 'what was piped to it' 'got data' "$work/out"
says 'another session, from inside' "$(arena elsewhere)" "$work/out"
check 'preloaded once' [ "$(grep -o libsockrig "$work/out" | wc -l)" -eq 1 ]
expect 'the list, from inside' 0 "$SOCKRIG" sessions
lists 'the list, from inside' '^elsewhere ' 1
expect 'the list, cut off from the host' 0 --unmodeled=refuse "$SOCKRIG" sessions
lists 'the list, cut off from the host' '^elsewhere ' 1
let_go elsewhere 0

# ---- What a session is for: a server in one terminal, a client in another
cat >"$work/server.py" <<'END_OF_PYTHON'
import os, socket, sys
family, kind, address = eval(sys.argv[1])
listener = socket.socket(family, kind)
listener.bind(address)
listener.listen()
with open(os.environ["UP"], "w") as up:
    up.write(f"{os.getpid()}\n")
while True:
    connection, peer = listener.accept()
    text = connection.recv(1000)
    print(peer[0] if family == socket.AF_VSOCK else "peer", text, flush=True)
    if text == b"end":
        break
    if text == b"wait":
        connection.recv(1) # until this end, or the other, is killed
    connection.send(text * 1000)
    connection.close()
END_OF_PYTHON
cat >"$work/client.py" <<'END_OF_PYTHON'
import socket, sys
family, kind, address = eval(sys.argv[1])
s = socket.socket(family, kind)
try:
    s.connect(address)
except OSError as error:
    sys.exit(f"connect: {error.strerror}")
text = sys.argv[2].encode()
s.send(text)
got = b""
while data := s.recv(100000):
    got += data
print("same" if got == text * 1000 else f"got {got}")
END_OF_PYTHON
vsock='socket.AF_VSOCK, socket.SOCK_STREAM,'
client() { # LABEL CODE SAYS ADDRESS TEXT OPTION...
    local label=$1 code=$2 says=$3 address=$4 text=$5
    shift 5
    expect "$label" "$code" "$@" -- "$python" "$work/client.py" "$address" "$text"
    [ -z "$says" ] || says "$label" "$says" "$work/out"
}

any="$vsock (socket.VMADDR_CID_ANY, 6789)"
member server --session tutorial -- "$python" "$work/server.py" "$any"
client 'vsock: two terminals' 0 same "$vsock (2, 6789)" 'Hello vsock!' --session tutorial
client 'vsock: a guest in a terminal' 0 same "$vsock (2, 6789)" guest --session tutorial --cid 7
client 'vsock: another session' 1 '' "$vsock (2, 6789)" nobody
says 'vsock: nobody' 'connect: Connection reset by peer' "$err"
hint='nobody listens on vsock 2:6789 in this session; session tutorial does: --session tutorial'
says 'vsock: the hint' "sockrig: $hint" "$err"
client 'vsock: nowhere' 1 '' "$vsock (2, 6790)" nobody
check 'vsock: no hint' [ "$(grep -c 'sockrig:' "$err")" -eq 0 ]
client 'vsock: found at once' 0 same "$vsock (2, 6789)" x --session tutorial -v
check 'vsock: found at once: no hint' [ "$(grep -c 'nobody' "$err")" -eq 0 ]
client 'vsock: the end' 0 'got' "$vsock (2, 6789)" end --session tutorial
ended server 0
# A host that dials itself is seen as 1, by the transport of the loopback.
printf '%s\n' "1 b'Hello vsock!'" "7 b'guest'" "1 b'x'" "1 b'end'" >"$work/wanted"
check "vsock: the server's side: $(cat "$work/server.out")" cmp -s "$work/wanted" "$work/server.out"

# A guest inside a run; and a guest that listens, in another terminal.
expect 'vsock: a guest inside a run' 0 sh -c "mkfifo '$work/inner.up'
    UP='$work/inner.up' '$python' '$work/server.py' '$vsock (2, 5000)' &
    read -r x <'$work/inner.up'
    '$SOCKRIG' run --cid 3 -- '$python' '$work/client.py' '$vsock (2, 5000)' inside
    '$SOCKRIG' run --cid 4 -- '$python' '$work/client.py' '$vsock (2, 5000)' end
    wait"
says 'vsock: a guest inside a run' same "$work/out"
says 'vsock: a guest inside a run' "3 b'inside'" "$work/out"
member guest --session park --cid 42 -- "$python" "$work/server.py" "$vsock (42, 1000)"
client 'vsock: host to guest' 0 same "$vsock (42, 1000)" host --session park
client 'vsock: not from another session' 1 '' "$vsock (42, 1000)" host --timeout 20s
says 'vsock: the hint names the machine' 'vsock 42:1000 in this session; session park does' "$err"

# A terminal that is killed, with its program: the other side sees the end.
start waiting --session park -- "$python" "$work/client.py" "$vsock (42, 1000)" wait
exec {heard}< <(tail -f --pid="${runs[waiting]}" "$work/guest.out")
while read -r -t "$limit" -u "$heard" line && [ "$line" != "2 b'wait'" ]; do :; done
kill -KILL "$(supervisor guest)" "${programs[guest]}"
ended guest 137
ended waiting 0
exec {heard}<&-
check 'vsock: the end of the killed one' grep -qx "got b''" "$work/waiting.out"

# AF_UNIX names across terminals are served by the emulator too.
for address in "'$work/path'" "'\\0sessions.$$'"; do
    for kind in STREAM SEQPACKET; do
        rm -f "$work/path"
        unix="socket.AF_UNIX, socket.SOCK_$kind, $address"
        member "unix" --session names -- "$python" "$work/server.py" "$unix"
        client "unix: $kind $address" 0 same "$unix" text --session names --report="$work/report"
        check "unix: emulated: $(cat "$work/report")" [ "$(grep -c sockrig: "$work/report")" -eq 0 ]
        client "unix: $kind $address, a foreigner" 0 same "$unix" text
        client "unix: $kind $address, the end" 0 'got' "$unix" end --session names
        ended unix 0
    done
done

# ---- Names and numbers
for name in '' a/b 'a b' ../x ä "$(printf 'x%.0s' {1..65})"; do
    expect "the name '$name'" 125 --session "$name" true
    says "the name '$name'" 'bad value in --session' "$err"
done
for name in . .. -x .x a.1 "$(printf 'x%.0s' {1..64})"; do
    expect "the name '$name'" 0 --session "$name" true
done
check 'nothing is left of them' [ -z "$(ls -A "$folder")" ]
for cid in 0 1 4294967295 4294967296 99999999999999999999 -1 0x3 3x ''; do
    expect "the CID '$cid'" 125 --cid "$cid" true
    says "the CID '$cid'" 'give 2 (the host), or 3 to 4294967294' "$err"
done
SOCKRIG_OPTIONS="session=by-environment cid=5" expect 'from SOCKRIG_OPTIONS' 0 \
    sh -c "'$SOCKRIG' sessions; echo \$SOCKRIG_CID"
lists 'from SOCKRIG_OPTIONS' '^by-environment |^5$' 2

# ---- A folder that isn't this user's alone is not used; private runs don't need it
unusable() { # LABEL TEXT
    expect "$1: --session" 125 --session x true
    says "$1: --session" "$2" "$err"
    sessions "$1: sessions" 125
    says "$1: sessions" "$2" "$err"
    expect "$1: private" 0 sh -c 'echo x | cat'
    check "$1: silence" [ ! -s "$err" ]
}
chmod 750 "$folder"
unusable 'open to others' 'of this user alone'
rm -r "$folder"
mkdir -m 700 "$work/real"
ln -s "$work/real" "$folder"
unusable 'a link' 'of this user alone'
rm "$folder"
: >"$folder"
unusable 'a file' 'of this user alone'
rm "$folder"
if [ "$(id -u)" -eq 0 ]; then
    mkdir -m 700 "$folder"
    chown 65534 "$folder"
    unusable 'of another user' 'of this user alone'
    rmdir "$folder"
fi
long=$work/$(printf 'x%.0s' {1..120})
mkdir -m 700 "$long"
XDG_RUNTIME_DIR=$long expect 'a long path' 0 --session long "$SOCKRIG" sessions
lists 'a long path' '^long ' 1

# ---- Without XDG_RUNTIME_DIR: below /tmp
unset XDG_RUNTIME_DIR
name=test.$$
member fallback --session "$name"
check 'the folder in /tmp' [ -S "/tmp/sockrig-$(id -u)/$name.$(supervisor fallback)" ]
check 'its mode' [ "$(stat -c %a "/tmp/sockrig-$(id -u)")" = 700 ]
sessions 'the folder in /tmp' 0 rm "$name"
ended fallback 143
finish
