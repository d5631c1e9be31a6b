#!/bin/sh
# unix_host.sh - AF_UNIX names across the session's border: what --host-unix lets out, and clients
# from outside at a listener of the session
. "${0%/*}/compare.inc"

python=/usr/bin/python3
path=$work/outside.sock

cat >"$work/echo.py" <<'END_OF_PYTHON'
# Listens at a path and at an abstract name like it, says so by a file, echoes until it is killed.
import os, selectors, socket, sys
selector = selectors.DefaultSelector()
for name in sys.argv[1], '\0' + sys.argv[1]:
    server = socket.socket(socket.AF_UNIX)
    server.bind(name)
    server.listen()
    selector.register(server, selectors.EVENT_READ)
with open(sys.argv[1] + '.ready', 'w'):
    pass
while True:
    for key, _ in selector.select():
        with key.fileobj.accept()[0] as connection:
            while data := connection.recv(4096):
                connection.sendall(data.upper())
END_OF_PYTHON

cat >"$work/ask.py" <<'END_OF_PYTHON'
# What comes of a connection to: the path, its abstract twin, a missing and a plain file, a child.
import errno, os, socket, sys
path = sys.argv[1]
def outcome(name):
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(name)
            client.sendall(b'hello')
            return client.recv(100).decode()
        except OSError as e:
            return errno.errorcode[e.errno]
own = path + '.own'
with socket.socket(socket.AF_UNIX) as server:
    server.bind(own)
    server.listen()
    if os.fork() == 0:
        with server.accept()[0] as connection:
            connection.sendall(connection.recv(100).upper())
        os._exit(0)
    print(outcome(path), outcome('\0' + path), outcome(path + '.missing'), outcome(path + '.ready'),
          outcome(own))
os.wait()
os.unlink(own)
END_OF_PYTHON

wait_for() { # FILE: until it is there, 10 s at most
    count=0
    while [ ! -e "$1" ]; do
        count=$((count + 1))
        [ $count -lt 1000 ] || { failed "$1 never came"; return 1; }
        sleep 0.01
    done
}

"$python" "$work/echo.py" "$path" &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
wait_for "$path.ready"

same 'natively, and by default' "$python" "$work/ask.py" "$path"

answers() { # LABEL 'ANSWERS' OPTION...
    label=$1
    wanted_answers=$2
    shift 2
    expect "$label" 0 "$@" -- "$python" "$work/ask.py" "$path"
    if [ "$(cat "$work/out")" = "$wanted_answers" ]; then
        passed
    else
        failed "$label: $(cat "$work/out"), expected $wanted_answers"
    fi
}

answers 'allow' 'HELLO HELLO ENOENT ECONNREFUSED HELLO' --host-unix=allow --report="$work/report"
says 'allow is reported' 'connect(AF_UNIX, SOCK_STREAM)' "$work/report"
answers 'deny' 'ECONNREFUSED ECONNREFUSED ENOENT ECONNREFUSED HELLO' --host-unix=deny
says 'deny is reported' 'connect(AF_UNIX, SOCK_STREAM) ECONNREFUSED' "$err"
answers 'a pattern for paths' 'HELLO ECONNREFUSED ENOENT ECONNREFUSED HELLO' \
    --host-unix="$work/*"
answers 'a pattern for abstract names' 'ECONNREFUSED HELLO ENOENT ECONNREFUSED HELLO' \
    --host-unix="@*outside.sock"
answers 'another pattern' 'ECONNREFUSED ECONNREFUSED ENOENT ECONNREFUSED HELLO' \
    --host-unix='/run/*'

# The other way round: a server of a session, asked from outside and from its own session.
inside=$work/inside.sock
for way in allow deny; do
    rm -f "$inside" "$inside.ready"
    timeout "$limit" "$SOCKRIG" run --host-unix=$way --report="$work/report" -- \
        "$python" "$work/echo.py" "$inside" &
    run=$!
    if wait_for "$inside.ready"; then
        "$python" "$work/ask.py" "$inside" >"$work/out"
        if [ "$(cat "$work/out")" = 'HELLO HELLO ENOENT ECONNREFUSED HELLO' ]; then
            passed
        else
            failed "a client from outside ($way): $(cat "$work/out")"
        fi
    fi
    kill -TERM "$run"
    wait "$run"
done

finish
