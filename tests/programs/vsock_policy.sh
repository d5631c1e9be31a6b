#!/bin/sh
# vsock_policy.sh - what --policy makes of AF_VSOCK: other transports, and kernels without it
#
# Datagrams are refused with ENOTSUP unless told otherwise; with an error named, each type fails as
# on a kernel with another transport, so that a program's fallbacks can be played through.
. "${0%/*}/compare.inc"

cat >"$work/outcomes.py" <<'END_OF_PYTHON'
import errno, fcntl, os, socket, struct, sys
def outcome(attempt):
    try:
        attempt()
        return 'ok'
    except OSError as e:
        return errno.errorcode[e.errno]
for kind in 'STREAM', 'SEQPACKET', 'DGRAM', 'RAW':
    kind = getattr(socket, 'SOCK_' + kind)
    print(outcome(lambda: socket.socket(socket.AF_VSOCK, kind)), end=' ')
print(outcome(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_DGRAM, 1)), end=' ')
print(outcome(lambda: socket.socketpair(socket.AF_VSOCK, socket.SOCK_STREAM)), end=' ')
def device():
    with open('/dev/vsock', 'rb') as file:
        assert struct.unpack('I', fcntl.ioctl(file, 0x7b9, bytes(4)))[0] == 2
print(outcome(device))
END_OF_PYTHON

# Answers in turn: stream, seqpacket, dgram, raw, dgram with a wrong protocol, a pair, /dev/vsock.
answers() { # LABEL 'ANSWERS' OPTION...
    label=$1
    wanted_answers=$2
    shift 2
    expect "$label" 0 "$@" -- /usr/bin/python3 "$work/outcomes.py"
    if [ "$(cat "$work/out")" = "$wanted_answers" ]; then
        passed
    else
        failed "$label: $(cat "$work/out"), expected $wanted_answers"
    fi
}

answers 'default' 'ok ok ENOTSUP ESOCKTNOSUPPORT EPROTONOSUPPORT ENOTSUP ok'
answers 'no transport for datagrams' \
    'ok ok ENODEV ESOCKTNOSUPPORT EPROTONOSUPPORT ENOTSUP ok' --policy vsock/dgram=ENODEV
answers 'a host without vsock' \
    'EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT ENOENT' \
    --policy vsock=EAFNOSUPPORT
answers 'a transport without records' \
    'ok ESOCKTNOSUPPORT ENODEV ESOCKTNOSUPPORT EPROTONOSUPPORT ENOTSUP ok' \
    --policy vsock/seqpacket=ESOCKTNOSUPPORT --policy vsock/dgram=ENODEV
answers 'no streams' 'EACCES ok ENOTSUP ESOCKTNOSUPPORT EPROTONOSUPPORT EACCES ok' \
    --policy vsock/stream=EACCES
answers 'refused by name' 'ENOTSUP ENOTSUP ENOTSUP ESOCKTNOSUPPORT EPROTONOSUPPORT ENOTSUP ok' \
    --policy vsock=refuse
answers '--unmodeled never touches it' \
    'ok ok ENOTSUP ESOCKTNOSUPPORT EPROTONOSUPPORT ENOTSUP ok' --unmodeled=native

# The fallback of a notifier: datagram, then records, then a stream, by the errors of socket().
cat >"$work/fallback.py" <<'END_OF_PYTHON'
import errno, socket, threading
servers = {}
def serve(listener):
    connection = listener.accept()[0]
    text = b''
    # Until the client has shut: its shutdown() after our close() would forget that the connection
    # has ended in order (SOCK_DONE, vsock_shutdown), and its recv() would be ENOTCONN.
    while chunk := connection.recv(100):
        text += chunk
    print(text.decode(), flush=True)
    connection.close()
for kind, port in (socket.SOCK_STREAM, 1234), (socket.SOCK_SEQPACKET, 1235):
    try:
        listener = socket.socket(socket.AF_VSOCK, kind)
        listener.bind((socket.VMADDR_CID_ANY, port))
        listener.listen()
    except OSError:
        continue
    servers[kind] = threading.Thread(target=serve, args=(listener,), daemon=True)
    servers[kind].start()
for kind, port in (socket.SOCK_DGRAM, 0), (socket.SOCK_SEQPACKET, 1235), (socket.SOCK_STREAM, 1234):
    try:
        sock = socket.socket(socket.AF_VSOCK, kind)
        break
    except OSError as e:
        print(kind.name, errno.errorcode[e.errno], flush=True)
sock.connect((socket.VMADDR_CID_HOST, port))
sock.send(b'READY=1')
sock.shutdown(socket.SHUT_WR)
assert sock.recv(1) == b'' # the other end has closed
servers[kind].join()
END_OF_PYTHON

falls_back() { # LABEL 'LINES' OPTION...
    label=$1
    wanted_answers=$2
    shift 2
    expect "$label" 0 "$@" -- /usr/bin/python3 "$work/fallback.py"
    if [ "$(tr '\n' ' ' <"$work/out")" = "$wanted_answers" ]; then
        passed
    else
        failed "$label: $(cat "$work/out"), expected $wanted_answers"
    fi
}

falls_back 'to records' 'SOCK_DGRAM ENODEV READY=1 ' --policy vsock/dgram=ENODEV
falls_back 'to a stream' 'SOCK_DGRAM ENODEV SOCK_SEQPACKET ESOCKTNOSUPPORT READY=1 ' \
    --policy vsock/dgram=ENODEV --policy vsock/seqpacket=ESOCKTNOSUPPORT

# What was refused by default is in the report; what was asked for isn't worth a word.
expect 'refusals are listed' 0 -- /usr/bin/python3 "$work/outcomes.py"
says 'refusals are listed' 'SOCK_DGRAM' "$err"
says 'refusals are listed' 'AF_VSOCK' "$err"
expect 'wrong policy' 125 --policy vsock/dgram=ENOSUCH true
finish
