#!/bin/bash
# vsock_tutorial.sh - the two programs of the well-known vsock tutorial meet without a hypervisor
#
# Under one `sockrig run`, in two terminals of one session, and with the client in a guest. The
# programs don't say when they are ready; that the server waits is read from /proc, as the guests of
# tests/guest do it.
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

compile vsock_server
compile vsock_client
export XDG_RUNTIME_DIR=$work/runtime # where sessions are found; nobody else's
mkdir -m 700 "$XDG_RUNTIME_DIR"
export work
greeting='Received 13 bytes: Hello vsock!'

# Its fourth look in a row finds the process asleep in the program.
cat >"$work/wait.inc" <<'END_OF_SH'
wait_asleep() { # PID
    local calm=0 looks=0 name state
    while [ $calm -lt 4 ]; do
        looks=$((looks + 1))
        [ $looks -lt 3000 ] || { echo "pid $1 doesn't come to wait" >&2; return 1; }
        read -r name <"/proc/$1/comm" || return 1
        read -r _ _ state _ <"/proc/$1/stat" || return 1
        if [ "$name" = vsock_server ] && [ "$state" = S ]; then
            calm=$((calm + 1))
        else
            calm=0
        fi
        sleep 0.01
    done
}
END_OF_SH
. "$work/wait.inc"

cat >"$work/together.sh" <<'END_OF_SH'
. "$work/wait.inc"
"$work/vsock_server" &
wait_asleep $! && "$@" && wait $!
END_OF_SH

gets() { # LABEL FILE
    if [ "$(cat "$2")" = "$greeting" ]; then
        passed
    else
        failed "$1: the server printed '$(cat "$2")'"
    fi
}

together() { # LABEL CLIENT...
    label=$1
    shift
    expect "$label" 0 --verify --report="$work/report" -- bash "$work/together.sh" "$@"
    gets "$label" "$work/out"
    says "$label" 'objects left: 0' "$work/report"
}

terminals() { # LABEL OPTION... of the client's terminal
    label=$1
    shift
    rm -f "$work/up"
    mkfifo "$work/up"
    timeout "$limit" "$SOCKRIG" run --session tutorial -- \
        sh -c 'echo $$ >"$work/up"; exec "$work/vsock_server"' >"$work/server.out" &
    server=$!
    read -r pid <"$work/up"
    wait_asleep "$pid" || failed "$label: the server"
    expect "$label" 0 --session tutorial "$@" -- "$work/vsock_client"
    wait "$server" && passed || failed "$label: the server's exit code"
    gets "$label" "$work/server.out"
}

together 'one session' "$work/vsock_client"
together 'one session, a guest' "$SOCKRIG" run --cid 3 -- "$work/vsock_client"
terminals 'two terminals'
terminals 'two terminals, a guest' --cid 3

# Nobody waits: said by the program, and nothing else happens.
expect 'nobody there' 1 -- "$work/vsock_client"
says 'nobody there' 'connect: Connection reset by peer' "$err"
expect 'a kernel without vsock' 1 --policy vsock=EAFNOSUPPORT -- "$work/vsock_server"
says 'a kernel without vsock' 'socket: Address family not supported by protocol' "$err"
finish
