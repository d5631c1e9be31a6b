#!/bin/bash
# vsock_terminals.sh - the pairs of tests/guest/only_emu in two terminals of one session
#
# Each guest that pairs a server with a client (vsock.h) is started twice, by two `sockrig run` that
# have nothing in common but the session's name; --cid makes a terminal's program a guest where the
# test asks for one. The sides tell each other their steps over two real FIFOs.
. "${0%/*}/compare.inc"

: "${SOCKRIG_GUESTS:?names the folder of the guests}"
sources=${0%/*}/../guest/only_emu
export XDG_RUNTIME_DIR=$work/runtime # where sessions are found; nobody else's
mkdir -m 700 "$XDG_RUNTIME_DIR"

terminal() { # ROLE CID GUEST SERVER-CID CLIENT-CID: its output goes to a file of the role
    local role=$1 cid=$2 guest=$3
    shift 3
    timeout "$limit" "$SOCKRIG" run --session pair --cid "$cid" --verify \
        --report="$work/$role.report" -- "$guest" "--$role" "$work" "$@" >"$work/$role.out" 2>&1
}

pair() { # GUEST SERVER-CID CLIENT-CID
    local label server_code=0 client_code=0 server
    label="${1##*/} $2 $3"
    rm -f "$work/to_server" "$work/to_client"
    mkfifo "$work/to_server" "$work/to_client"
    terminal server "$2" "$@" &
    server=$!
    terminal client "$3" "$@" || client_code=$?
    wait "$server" || server_code=$?
    if [ "$server_code" -ne 0 ] || [ "$client_code" -ne 0 ]; then
        failed "$label: the server's exit code is $server_code, the client's $client_code"
        tail -n 5 "$work/server.out" "$work/client.out"
    elif ! grep -qhx 'objects left: 0' "$work/server.report" "$work/client.report"; then
        failed "$label: who left last says that objects are left"
        tail -n 5 "$work/server.report" "$work/client.report"
    elif grep -h 'disagreed with the kernel' "$work/server.report" "$work/client.report"; then
        failed "$label: an end is gone here and not in the kernel, or the other way round"
    else
        passed
    fi
}

guests=0
for source in "$sources"/vsock_*.c; do
    grep -q VSOCK_MAIN "$source" || continue
    guest=$SOCKRIG_GUESTS/only_emu/$(basename "$source" .c)
    guests=$((guests + 1))
    "$guest" --list >"$work/pairs" && [ -s "$work/pairs" ] || failed "$guest --list"
    while read -r server_cid client_cid; do
        pair "$guest" "$server_cid" "$client_cid" </dev/null
    done <"$work/pairs"
done
[ "$guests" -gt 10 ] && passed || failed "only $guests guests"
"$SOCKRIG" sessions >"$work/left"
[ -s "$work/left" ] && failed "sessions are left: $(cat "$work/left")" || passed
finish
