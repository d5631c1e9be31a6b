#!/bin/sh
# notify.sh - systemd's notify protocol over vsock: a notifier as v253, v254 and v256 are, and
# `sockrig run --notify` as the service manager
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"
. "${0%/*}/vsock.inc"

compile notifier
notifier=$work/notifier
manager=${0%/*}/notify_manager.py
export notifier SOCKRIG work
unset NOTIFY_SOCKET CREDENTIALS_DIRECTORY
port=port=privileged # what the notifier sends from
from=privileged
if [ "$(id -u)" -ne 0 ]; then
    port=port=EACCES
    from='any port'
fi

# What takes its time begins now: a sender that neither says more nor closes is given up.
cat >"$work/silent.py" <<'END'
import os, socket
port = int(os.environ['NOTIFY_SOCKET'].split(':')[2])
peers = []
for data in b'STATUS=half', b'':
    peer = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    peer.connect((socket.VMADDR_CID_HOST, port))
    peer.send(data)
    peers.append(peer)
print([peer.recv(1) for peer in peers])
END
timeout "$limit" "$SOCKRIG" run --notify=vsock-stream /usr/bin/python3 "$work/silent.py" \
    >"$work/silent.out" 2>"$work/silent.err" &
silent=$!

# output LABEL TEXT...: standard output is exactly these lines.
output() {
    label=$1
    shift
    printf '%s\n' "$@" >"$work/wanted"
    if cmp -s "$work/wanted" "$work/out"; then
        passed
    else
        failed "$label: standard output differs (- wanted, + got)"
        diff -u "$work/wanted" "$work/out" | head -n 20
        head -n 5 "$err"
    fi
}

# printed LABEL TEXT...: what the manager printed, in this order, and nothing else.
printed() {
    label=$1
    shift
    [ $# -eq 0 ] || printf 'sockrig: notify: %s\n' "$@" >"$work/wanted"
    [ $# -gt 0 ] || : >"$work/wanted"
    grep '^sockrig: notify: ' "$err" >"$work/printed"
    if cmp -s "$work/wanted" "$work/printed"; then
        passed
    else
        failed "$label: what was printed differs (- wanted, + got)"
        diff -u "$work/wanted" "$work/printed" | head -n 20
    fi
}

# relayed LABEL TEXT...: the outer manager got exactly these datagrams.
relayed() {
    label=$1
    shift
    printf '%s\n' "$@" >"$work/wanted"
    if cmp -s "$work/wanted" "$work/got"; then
        passed
    else
        failed "$label: what was relayed differs (- wanted, + got)"
        diff -u "$work/wanted" "$work/got" | head -n 20
    fi
}

# ---- Addresses (SEMANTICS 8.1). Those that are refused need no session. ----

# says_itself VALUE WANTED VERSION...: what the notifier says without any manager
says_itself() {
    value=$1
    wanted=$2
    shift 2
    for version in "$@"; do
        got=$(NOTIFY_SOCKET=$value timeout "$limit" "$notifier" "$version" READY=1)
        if [ "$got" = "$wanted" ]; then
            passed
        else
            failed "NOTIFY_SOCKET='$value', $version: '$got', expected '$wanted'"
        fi
    done
}

got=$("$notifier" v256 READY=1)
[ "$got" = 0 ] && passed || failed "unset: '$got'"
says_itself relative/path -EPROTO v253 v254 v256
says_itself vsocket:2:1 -EPROTO v253 v254 v256
says_itself unix:/path -EPROTO v253 v254 v256
for form in stream seqpacket dgram; do
    says_itself "vsock-$form:2:1" -EPROTO v253
    says_itself "vsock-$form:2" -EINVAL v254 v256
done
says_itself vsock:2 -EINVAL v253 v254 v256
says_itself vsock::1 -EINVAL v253 v254 v256
says_itself vsock:4294967295:1 -EINVAL v253 v254 v256
says_itself vsock:host:1 -EINVAL v253 v254
says_itself vsock:guest:1 -EINVAL v253 v254 v256
says_itself vsock:2: -EINVAL v253 v254 v256
says_itself vsock:2:12x -EINVAL v253 v254 v256
says_itself 'vsock:2:12 ' -EINVAL v253 v254 v256
says_itself vsock:2x:12 -EINVAL v253 v254 v256
says_itself vsock:2:-1 -ERANGE v253 v254 v256
says_itself vsock:-2:1 -ERANGE v253 v254 v256
says_itself vsock:2:4294967296 -ERANGE v253 v254 v256
says_itself vsock:4294967296:1 -ERANGE v253 v254 v256
says_itself vsock:2:4294967295 -EINVAL v256

# Unix datagrams, natively: the notifier itself works.
for address in "$work/manager" "@$work"; do
    timeout "$limit" /usr/bin/python3 "$manager" "$address" 2 "$work/got" \
        "$notifier" v256 READY=1 'STATUS=a
MAINPID=7' >"$work/out"
    output "$address" 'dgram=ok 1' 'dgram=ok 1'
    relayed "$address" READY=1 'STATUS=a\nMAINPID=7'
    rm -f "$work/manager"
done

# Ways to write numbers that mean the manager's own address.
ok="dgram=EOPNOTSUPP seqpacket=ok $port 1"
cat >"$work/forms.sh" <<'END'
rest=${NOTIFY_SOCKET#vsock:2:}
octal=$(printf '0%o' "$rest")
binary=$(/usr/bin/python3 -c "print(bin($rest))")
n() { NOTIFY_SOCKET=$1 "$notifier" "$2" "STATUS=$1"; }
for version in v253 v254 v256; do
    n "vsock:0x2:$(printf '0x%x' "$rest")" $version
    n "vsock:02:$octal" $version
    n "vsock:0o2:0o${octal#0}" $version
    n "vsock:0b10:$binary" $version
    n "vsock: 2: $rest" $version
done
n "vsock:host:$rest" v256
n "vsock:local:$rest" v256
n vsock:2:0 v256
n vsock:hypervisor:$rest v256
exit 0
END
expect 'ways to write numbers' 0 --notify sh "$work/forms.sh"
set --
for count in $(seq 17); do
    set -- "$@" "$ok"
done
refused=${ok%1}
output 'ways to write numbers' "$@" "$refused-ECONNRESET" "$refused-ENODEV"
lines=$(grep -c '^sockrig: notify: STATUS=vsock:' "$err")
[ "$lines" -eq 17 ] && passed || failed "ways to write numbers: $lines lines were printed"

# ---- Which socket type (SEMANTICS 8.2) ----

# falls_back WANTED-OF-V253 WANTED-OF-V254 POLICY...: without a manager, so connect is refused
falls_back() {
    before=$1
    later=$2
    shift 2
    what="fallback with $*"
    for policy in "$@"; do
        set -- "$@" --policy "$policy"
        shift
    done
    NOTIFY_SOCKET=vsock:2:4242
    export NOTIFY_SOCKET
    expect "$what" 0 "$@" \
        sh -c '"$notifier" v253 A=1; "$notifier" v254 A=1; "$notifier" v256 A=1; :'
    output "$what" "$before" "$later" "$later"
    unset NOTIFY_SOCKET
}

reset="seqpacket=ok $port -ECONNRESET"
for error in ENODEV EOPNOTSUPP EAFNOSUPPORT EPROTONOSUPPORT ESOCKTNOSUPPORT; do
    falls_back "dgram=$error $reset" "dgram=$error $reset" "vsock/dgram=$error"
done
for error in EINVAL EACCES EPERM EMFILE ENOMEM; do
    falls_back "dgram=$error -$error" "dgram=$error -$error" "vsock/dgram=$error"
done
for error in EOPNOTSUPP EAFNOSUPPORT EPROTONOSUPPORT ESOCKTNOSUPPORT; do
    tried="dgram=ENODEV seqpacket=$error"
    falls_back "$tried -$error" "$tried stream=ok $port -ECONNRESET" \
        vsock/dgram=ENODEV "vsock/seqpacket=$error"
done
for error in ENODEV EPERM; do # here ENODEV isn't "another type"
    tried="dgram=ENODEV seqpacket=$error -$error"
    falls_back "$tried" "$tried" vsock/dgram=ENODEV "vsock/seqpacket=$error"
done
none=EAFNOSUPPORT
falls_back "dgram=$none seqpacket=$none -$none" \
    "dgram=$none seqpacket=$none stream=$none -$none" "vsock=$none"

expect 'an explicit type has no fallback' 0 --policy vsock/seqpacket=ESOCKTNOSUPPORT sh -c '
    NOTIFY_SOCKET=vsock-seqpacket:2:4242 "$notifier" v254 A=1
    NOTIFY_SOCKET=vsock-dgram:2:4242 "$notifier" v254 A=1
    NOTIFY_SOCKET=vsock-stream:2:4242 "$notifier" v254 A=1; :'
output 'an explicit type has no fallback' 'seqpacket=ESOCKTNOSUPPORT -ESOCKTNOSUPPORT' \
    'dgram=EOPNOTSUPP -EOPNOTSUPP' "stream=ok $port -ECONNRESET"

# ---- --notify in its forms ----

cat >"$work/three.sh" <<'END'
echo "${NOTIFY_SOCKET%:*}"
for version; do
    "$notifier" "$version" "STATUS=$version" 'READY=1
STATUS=Ready.' || exit
done
END
seqpacket="seqpacket=ok $port 1"
stream="stream=ok $port 1"
for options in '' '--cid 3'; do
    # shellcheck disable=SC2086 # words
    expect "--notify $options" 0 --notify $options sh "$work/three.sh" v253 v254 v256
    plain="dgram=EOPNOTSUPP $seqpacket"
    output "--notify $options" vsock:2 "$plain" "$plain" "$plain" "$plain" "$plain" "$plain"
    printed "--notify $options" STATUS=v253 READY=1 STATUS=Ready. \
        STATUS=v254 READY=1 STATUS=Ready. STATUS=v256 READY=1 STATUS=Ready.
    for form in stream seqpacket; do
        sent=$stream
        [ $form = stream ] || sent=$seqpacket
        # shellcheck disable=SC2086
        expect "--notify=vsock-$form $options" 0 "--notify=vsock-$form" $options \
            sh "$work/three.sh" v254 v256
        output "--notify=vsock-$form $options" "vsock-$form:2" "$sent" "$sent" "$sent" "$sent"
        printed "--notify=vsock-$form $options" STATUS=v254 READY=1 STATUS=Ready. \
            STATUS=v256 READY=1 STATUS=Ready.
    done
done

# A kernel before 5.14: the manager, too, goes on to a stream.
expect 'no records' 0 --notify --policy vsock/dgram=ENODEV \
    --policy vsock/seqpacket=ESOCKTNOSUPPORT "$notifier" v254 READY=1
output 'no records' "dgram=ENODEV seqpacket=ESOCKTNOSUPPORT $stream"
printed 'no records' READY=1
expect 'no records, v253' 1 --notify --policy vsock/seqpacket=ESOCKTNOSUPPORT \
    "$notifier" v253 READY=1
printed 'no records, v253'
expect 'another type than the listener' 0 --notify=vsock-stream sh -c '
    NOTIFY_SOCKET=vsock-seqpacket:${NOTIFY_SOCKET#*:} "$notifier" v254 READY=1; :'
output 'another type than the listener' "seqpacket=ok $port -ECONNRESET"
printed 'another type than the listener'

expect 'no vsock at all' 125 --notify --policy vsock=EAFNOSUPPORT true
says 'no vsock at all' '--notify: no listening socket: Address family not supported' "$err"
expect 'no such form' 125 --notify=vsock-dgram true
says 'no such form' 'give vsock, vsock-stream or vsock-seqpacket' "$err"
expect '--on-ready alone' 125 --on-ready true true
says '--on-ready alone' '--on-ready needs --notify' "$err"
expect 'exit code' 7 --notify sh -c 'exit 7'
printed 'exit code'
expect 'no such program' 127 --notify no-such-program-anywhere
expect 'death by a signal' 143 --notify sh -c 'kill $$'

# ---- One message, one connection (SEMANTICS 8.3, 8.5) ----

for form in vsock vsock-stream vsock-seqpacket; do
    seq -f STATUS=%g 300 >"$work/messages"
    for version in v254 v256; do
        # shellcheck disable=SC2046
        expect "300 messages, $form" 0 --verify --notify=$form --report="$work/report" \
            "$notifier" $version $(cat "$work/messages")
        # shellcheck disable=SC2046
        printed "300 messages, $form, $version" $(cat "$work/messages")
        says "300 messages, $form, $version" 'objects left: 0' "$work/report"
    done
done
expect 'many senders' 0 --notify sh -c '
    for sender in 1 2 3 4 5 6 7 8; do
        "$notifier" v256 $(seq -f "STATUS=$sender.%g" 40) >/dev/null &
    done
    wait'
grep -c '^sockrig: notify: STATUS=[1-8][.][0-9]*$' "$err" >"$work/out"
output 'many senders' 320

# v254 doesn't wait, so the run may end first; what was sent arrives all the same.
expect 'sent before the end' 0 --notify=vsock-stream \
    sh -c '"$notifier" v254 A=1 B=1 EXIT_STATUS=3 >&2'
printed 'sent before the end' A=1 B=1 EXIT_STATUS=3
# v256 does, until the message is dealt with.
expect 'dealt with before the sender goes on' 0 --notify=vsock-stream sh -c '
    "$notifier" v256 A=1 >/dev/null; echo "sockrig: notify: between" >&2
    "$notifier" v256 B=1 >/dev/null'
printed 'dealt with before the sender goes on' A=1 between B=1

# More connections at a time than the manager takes: the others wait.
cat >"$work/many.py" <<'END'
import os, socket
port = int(os.environ['NOTIFY_SOCKET'].split(':')[2])
peers = []
for number in range(200):
    peers.append(socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
    peers[-1].connect((socket.VMADDR_CID_HOST, port))
for number, peer in enumerate(peers):
    peer.send(b'STATUS=%d' % number)
    peer.close()
END
expect '200 connections at a time' 0 --notify=vsock-stream /usr/bin/python3 "$work/many.py"
sort -V "$err" >"$work/sorted" && mv "$work/sorted" "$err" # they end at the same time
# shellcheck disable=SC2046
printed '200 connections at a time' $(seq -f STATUS=%g 0 199)

# In pieces, and ended by shutdown alone; as many records as come on one connection.
cat >"$work/pieces.py" <<'END'
import os, socket, sys
kind = getattr(socket, sys.argv[1])
port = int(os.environ['NOTIFY_SOCKET'].split(':')[2])
peer = socket.socket(socket.AF_VSOCK, kind)
peer.connect((socket.VMADDR_CID_HOST, port))
for piece in sys.argv[2:]:
    peer.send(piece.encode())
peer.shutdown(socket.SHUT_WR)
print(peer.recv(1))
END
expect 'pieces' 0 --notify=vsock-stream /usr/bin/python3 "$work/pieces.py" SOCK_STREAM \
    REA DY= 1 '
STATUS=x'
output 'pieces' "b''"
printed 'pieces' READY=1 STATUS=x
expect 'records' 0 --notify=vsock-seqpacket /usr/bin/python3 "$work/pieces.py" SOCK_SEQPACKET \
    A=1 B=1 READY=1
output 'records' "b''"
printed 'records' A=1 B=1 READY=1

# Who may not bind a privileged port sends from another.
if [ "$(id -u)" -eq 0 ]; then
    chmod 711 "$work"
    expect 'without privileges' 0 --notify setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$notifier" v256 READY=1
    output 'without privileges' 'dgram=EOPNOTSUPP seqpacket=ok port=EACCES 1'
    printed 'without privileges' READY=1
fi

long=$(printf '%070000d' 1)
expect 'too long' 0 --notify sh -c '"$notifier" v256 "$1" READY=1; :' sh "STATUS=$long"
printed 'too long' 'a message of more than 65536 bytes was dropped' READY=1
expect 'long' 0 --notify sh -c '"$notifier" v256 "$1"' sh "STATUS=${long%00000}"
escape=$(printf '\033')
expect 'control characters' 0 --notify "$notifier" v254 "STATUS=${escape}[2J"
printed 'control characters' 'STATUS=\x1b[2J'

# Other hosts than ours: one that answers, one that closes late.
cat >"$work/host.py" <<'END'
import os, socket, subprocess, sys
notifier, version, answer = sys.argv[1:]
listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
listener.bind((socket.VMADDR_CID_ANY, 4242))
listener.listen()
child = subprocess.Popen([notifier, version, 'READY=1'], stdout=subprocess.PIPE, text=True,
                         env={**os.environ, 'NOTIFY_SOCKET': 'vsock-stream:2:4242'})
peer, name = listener.accept()
data = b''
while True:
    part = peer.recv(100)
    data += part
    if not part:
        break
print(data.decode(), 'privileged' if name[1] < 1024 else 'any port')
if version == 'v256': # it waits for us
    print('waits' if child.poll() is None else 'gone')
    peer.send(answer.encode())
    peer.close()
else: # it doesn't
    child.wait()
    peer.close()
print(child.stdout.read(), end='')
END
sent="stream=ok $port"
expect 'closed late, v254' 0 /usr/bin/python3 "$work/host.py" "$notifier" v254 ''
output 'closed late, v254' "READY=1 $from" "$sent 1"
expect 'closed late, v256' 0 /usr/bin/python3 "$work/host.py" "$notifier" v256 ''
output 'closed late, v256' "READY=1 $from" waits "$sent 1"
expect 'an answer, v256' 0 /usr/bin/python3 "$work/host.py" "$notifier" v256 x
output 'an answer, v256' "READY=1 $from" waits "$sent -EPROTO"

# ---- --on-ready ----

on_ready='echo "ready: ${LD_PRELOAD-none} ${NOTIFY_SOCKET-none} ${CREDENTIALS_DIRECTORY-none}"'
expect '--on-ready' 0 --notify --on-ready "$on_ready" \
    sh -c '"$notifier" v256 A=1 READY=1 READY=1 >&2'
output '--on-ready' 'ready: none none none'
expect 'never ready' 0 --notify --on-ready 'echo ready' "$notifier" v256 READY=0 STATUS=READY=1
output 'never ready' "$ok" "$ok"
expect 'its end is waited for' 0 --notify --on-ready 'read line <"$work/fifo"; echo "$line"' sh -c '
    mkfifo "$work/fifo"; "$notifier" v256 READY=1 >&2
    sh -c "exec >/dev/null 2>&1; echo late >\"$work/fifo\"" & '
output 'its end is waited for' late
expect 'its exit code' 0 --notify --on-ready 'exit 3' "$notifier" v256 READY=1
printed 'its exit code' READY=1 '--on-ready: exit code 3'
expect 'its death' 0 --notify --on-ready 'kill -9 $$' "$notifier" v256 READY=1
printed 'its death' READY=1 '--on-ready: ended by signal 9'
expect 'the time limit ends it' 124 --timeout 1s --notify \
    --on-ready 'echo "$$" >"$work/pid"; sleep 1000; :' \
    sh -c '"$notifier" v256 READY=1; sleep 1000; :'
if [ -s "$work/pid" ] && ! kill -0 "$(cat "$work/pid")" 2>/dev/null; then
    passed
else
    failed 'the time limit ends it: it lives on'
fi

mkfifo "$work/started"
timeout "$limit" "$SOCKRIG" run --notify \
    --on-ready 'echo "$$" >"$work/started"; exec sleep 1000' \
    sh -c 'echo "$$" "$PPID" >"$work/pids"; exec "$notifier" v256 READY=1' >"$work/out" 2>"$err" &
below=$!
read -r command <"$work/started"
read -r prog run <"$work/pids"
until [ "$(ps -o stat= -p "$prog" | cut -c 1)" = Z ]; do # what it gets before is for PROG
    kill -0 "$below" || break
done
kill "$run"
wait "$below"
result=$?
[ "$result" -eq 0 ] && passed || failed "a signal when PROG has ended: exit code $result"
printed 'a signal when PROG has ended' READY=1 '--on-ready: ended by signal 15'
if kill -0 "$command" 2>/dev/null; then
    failed 'a signal when PROG has ended: the command lives on'
else
    passed
fi

# It stands outside, and enters by `sockrig run`: a client for the server that is ready.
cat >"$work/server.py" <<'END'
import os, socket, subprocess
listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
listener.bind((socket.VMADDR_CID_ANY, 5000))
listener.listen()
subprocess.run([os.environ['notifier'], 'v256', 'READY=1'], stdout=subprocess.DEVNULL, check=True)
peer, name = listener.accept()
print('the server got', peer.recv(100).decode())
END
cat >"$work/client.py" <<'END'
import socket
peer = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
peer.connect((socket.VMADDR_CID_HOST, 5000))
peer.send(b'a client')
END
export client="/usr/bin/python3 $work/client.py"
expect 'a client when it is ready' 0 --notify --on-ready '"$SOCKRIG" run $client' \
    /usr/bin/python3 "$work/server.py"
output 'a client when it is ready' 'the server got a client'

# ---- Relay ----

for address in "$work/manager" "@$work"; do
    timeout "$limit" /usr/bin/python3 "$manager" "$address" 0 "$work/got" "$SOCKRIG" run --notify \
        --on-ready 'echo "$NOTIFY_SOCKET"' "$notifier" v254 A=1 'READY=1
STATUS=Ready.' B=1 >"$work/out" 2>"$err"
    sort "$work/out" >"$work/sorted" && mv "$work/sorted" "$work/out"
    output "relay to $address" "$address" "$ok" "$ok" "$ok"
    relayed "relay to $address" A=1 'READY=1\nSTATUS=Ready.' B=1
    printed "relay to $address" A=1 READY=1 STATUS=Ready. B=1
    rm -f "$work/manager"
done
# shellcheck disable=SC2046
timeout "$limit" /usr/bin/python3 "$manager" "$work/manager" 0 "$work/got" \
    "$SOCKRIG" run --notify "$notifier" v254 $(cat "$work/messages") >"$work/out" 2>"$err"
# shellcheck disable=SC2046
relayed '300 datagrams' $(cat "$work/messages")
NOTIFY_SOCKET=/nonexistent/manager expect 'nobody to relay to' 0 --notify "$notifier" v254 READY=1
printed 'nobody to relay to' READY=1 \
    'not relayed to /nonexistent/manager: No such file or directory'
NOTIFY_SOCKET=vsock:2:77 expect 'no relay over vsock' 0 --notify "$notifier" v254 READY=1
printed 'no relay over vsock' \
    "nothing is relayed: NOTIFY_SOCKET=vsock:2:77 isn't a unix datagram socket" READY=1

# ---- The credential ----

cat >"$work/credential.sh" <<'END'
[ "$(cat "$CREDENTIALS_DIRECTORY/vmm.notify_socket")" = "$NOTIFY_SOCKET" ] && echo same
stat -c %a "$CREDENTIALS_DIRECTORY" "$CREDENTIALS_DIRECTORY/vmm.notify_socket"
[ ! -e "$CREDENTIALS_DIRECTORY/password" ] || cat "$CREDENTIALS_DIRECTORY/password"
echo "$CREDENTIALS_DIRECTORY" >"$work/directory"
unset NOTIFY_SOCKET
"$notifier" --credential v256 READY=1 >&2
END
expect 'credential' 0 --notify sh "$work/credential.sh"
output 'credential' same 700 400
printed 'credential' READY=1
[ ! -e "$(cat "$work/directory")" ] && passed || failed 'the credential is still there'
mkdir "$work/credentials"
echo secret >"$work/credentials/password"
echo vsock:2:1 >"$work/credentials/vmm.notify_socket"
CREDENTIALS_DIRECTORY=$work/credentials
export CREDENTIALS_DIRECTORY
expect 'other credentials' 0 --notify sh "$work/credential.sh"
output 'other credentials' same 700 400 secret
[ "$(cat "$work/credentials/password")" = secret ] && passed || failed 'their credential is gone'
[ ! -e "$(cat "$work/directory")" ] && passed || failed 'the credential is still there'
unset CREDENTIALS_DIRECTORY

wait "$silent"
result=$?
cp "$work/silent.out" "$work/out"
cp "$work/silent.err" "$err"
[ "$result" -eq 0 ] && passed || failed "a silent sender: exit code $result"
output 'a silent sender' "[b'', b'']"
printed 'a silent sender' STATUS=half
TMPDIR=/nonexistent XDG_RUNTIME_DIR=/nonexistent expect 'no place of its own' 0 --notify true
finish
