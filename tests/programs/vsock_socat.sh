#!/bin/sh
# vsock_socat.sh - socat's VSOCK-LISTEN and VSOCK-CONNECT move 100 MB, checked by a sum: both ways,
# with an answer after the end, a process for each client, a relay from AF_UNIX, between two runs
. "${0%/*}/compare.inc"
. "${0%/*}/vsock.inc"

data=$work/data
seq 1 12500000 | head -c 100000000 >"$data"
export data work
# Between its own processes socat sends datagrams, which aren't modeled yet.
SOCKRIG_OPTIONS='policy=unix/dgram=native'
export SOCKRIG_OPTIONS

# What the scripts below begin with. until_listening: reads the server's log, whose line comes after
# its listen(2). The server's sum comes out of the same pipe, without socat's mark.
cat >"$work/start.sh" <<'END_OF_SHELL'
until_listening() {
    while read -r line; do
        case $line in *'listening on'*) return ;; esac
    done
    echo 'no server'
}
rest() { sed '/ socat\[/d'; }
END_OF_SHELL

cat >"$work/to_server.sh" <<'END_OF_SHELL'
. "$work/start.sh"
{ socat -d -d -u VSOCK-LISTEN:9000 STDOUT 2>&3 | cksum >&3; } 3>&1 | {
    until_listening
    socat -u "OPEN:$data" VSOCK-CONNECT:2:9000
    rest
}
END_OF_SHELL

cat >"$work/to_client.sh" <<'END_OF_SHELL'
. "$work/start.sh"
socat -d -d -u "OPEN:$data" VSOCK-LISTEN:9000 2>&1 | {
    until_listening
    socat -u VSOCK-CONNECT:1:9000 STDOUT | cksum
    rest
}
END_OF_SHELL

# The answer comes after the end of the question; -t: how long the other side may take for it.
cat >"$work/answer.sh" <<'END_OF_SHELL'
. "$work/start.sh"
socat -d -d -t 60 VSOCK-LISTEN:9000 EXEC:cksum,nofork 2>&1 | {
    until_listening
    socat -t 60 - VSOCK-CONNECT:2:9000 <"$data"
    rest
}
END_OF_SHELL

cat >"$work/clients.sh" <<'END_OF_SHELL'
. "$work/start.sh"
sh -c 'echo $$; exec socat -d -d -t 60 VSOCK-LISTEN:9000,fork EXEC:cksum,nofork 2>&1' | {
    read -r server
    until_listening
    clients=
    for number in 1 2 3 4 5; do
        head -c "${number}0000000" "$data" |
            socat -t 60 - VSOCK-CONNECT:2:9000 >"$work/sum$number" &
        clients="$clients $!"
    done
    # shellcheck disable=SC2086 # words
    wait $clients
    cat "$work"/sum[1-5]
    kill "$server"
    rest
}
END_OF_SHELL

cat >"$work/relay.sh" <<'END_OF_SHELL'
. "$work/start.sh"
{ socat -d -d -u VSOCK-LISTEN:9000 STDOUT 2>&3 | cksum >&3; } 3>&1 | {
    until_listening
    { socat -d -d -u "UNIX-LISTEN:$work/socket" VSOCK-CONNECT:2:9000 2>&1 | {
        until_listening
        socat -u "OPEN:$data" "UNIX-CONNECT:$work/socket"
        rest
    }; }
    rest
}
END_OF_SHELL

cksum <"$data" >"$work/wanted"
session 'client to server' sh "$work/to_server.sh"
session 'server to client' sh "$work/to_client.sh"
session 'answer' sh "$work/answer.sh"
session 'through AF_UNIX' sh "$work/relay.sh"
for number in 1 2 3 4 5; do
    head -c "${number}0000000" "$data" | cksum
done >"$work/wanted"
session 'five clients' sh "$work/clients.sh"

# With the smallest buffers Linux takes: each packet waits for credit.
head -c 2000000 "$data" >"$work/small"
cksum <"$work/small" >"$work/wanted"
SOCKRIG_OPTIONS="$SOCKRIG_OPTIONS squeeze" data=$work/small
session 'squeezed, to server' sh "$work/to_server.sh"
session 'squeezed, answer' sh "$work/answer.sh"
SOCKRIG_OPTIONS=${SOCKRIG_OPTIONS% squeeze} data=$work/data

# As from two terminals.
XDG_RUNTIME_DIR=$work/runtime # where sessions are found
export XDG_RUNTIME_DIR
mkdir -m 700 "$XDG_RUNTIME_DIR"
name=terminals
{ "$SOCKRIG" run --session "$name" -- socat -d -d -u VSOCK-LISTEN:9000 STDOUT 2>&3 |
    cksum >"$work/out"; } 3>&1 | {
    . "$work/start.sh"
    until_listening
    "$SOCKRIG" run --session "$name" -- socat -u "OPEN:$data" VSOCK-CONNECT:2:9000
    cat >"$work/log"
}
cksum <"$data" | cmp -s - "$work/out" && passed || failed 'two runs of one session'
finish
