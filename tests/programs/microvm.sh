#!/bin/sh
# microvm.sh - how microvm.nix tells a service's manager that its VM is up, without the VM
#
#     notifier --vsock-stream:2:8888--> hybrid vsock, notify.vsock_8888 --> socat --> manager
#
# The notifier is the guest's systemd; `sockrig run --hybrid` is the VMM; socat's command line is
# the one that microvm.nix writes (its cloud-hypervisor runner); the manager is the host's systemd:
# a unix datagram socket whose name socat gets in $NOTIFY_SOCKET.
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"
. "${0%/*}/vsock.inc"

compile notifier
notifier=$work/notifier
manager=${0%/*}/notify_manager.py
unset NOTIFY_SOCKET CREDENTIALS_DIRECTORY
port=port=privileged
[ "$(id -u)" -eq 0 ] || port=port=EACCES
export notifier SOCKRIG work

# runner VMM ADDRESS VERSION MESSAGE...: as the service's script does it
cat >"$work/runner" <<'END'
#!/bin/sh
cd "$work" || exit
vmm=$1
address=$2
shift 2
rm -f notify.vsock notify.vsock_8888
exec 7<>socat.log # -d -d: it says there when it listens
socat -d -d -t0 -T0.2 UNIX-LISTEN:notify.vsock_8888,fork "UNIX-SENDTO:$NOTIFY_SOCKET" 2>&7 7<&- &
echo $! >socat.pid
while read -r line <&7; do
    case $line in *' listening on '*) break ;; esac
done
"$SOCKRIG" run --verify --report="$work/report" --cid 3 --hybrid "$vmm:notify.vsock" -- \
    env "NOTIFY_SOCKET=$address" "$notifier" "$@" 7<&-
END
chmod +x "$work/runner"

# chain LABEL CODE COUNT ARG...: the runner below a manager that gets so many messages
chain() {
    what=$1
    ends=$2
    count=$3
    shift 3
    rm -f "$work/socat.log"
    mkfifo "$work/socat.log"
    exec 7<>"$work/socat.log" # held here too, so that socat never writes to nobody
    timeout "$limit" /usr/bin/python3 "$manager" "$work/manager" "$count" "$work/got" \
        "$work/runner" "$@" >"$work/out" 2>"$err"
    result=$?
    kill "$(cat "$work/socat.pid")" # not before all came: it may have them still
    rm -f "$work/manager"
    if [ "$result" -eq "$ends" ]; then
        passed
    else
        failed "$what: exit code $result, expected $ends"
        head -n 20 "$err" "$work/out" "$work/got"
    fi
    says "$what" 'objects left: 0' "$work/report"
}

# holds LABEL FILE LINE...
holds() {
    what=$1
    file=$2
    shift 2
    printf '%s\n' "$@" >"$work/wanted"
    [ $# -gt 0 ] || : >"$work/wanted"
    if cmp -s "$work/wanted" "$file"; then
        passed
    else
        failed "$what (- wanted, + got)"
        diff -u "$work/wanted" "$file" | head -n 20
    fi
}

ready='READY=1
STATUS=Ready.'
sent="stream=ok $port 1"
# A firecracker, like a cloud-hypervisor before 53, forwards no half-close: a notifier that waits
# for the end gets it when socat's -T is over.
for vmm in cloud-hypervisor firecracker; do
    for version in v254 v256; do
        chain "$vmm, $version" 0 2 $vmm vsock-stream:2:8888 $version STATUS=Starting "$ready"
        holds "$vmm, $version: the notifier" "$work/out" "$sent" "$sent"
        sort "$work/got" >"$work/sorted" # v254 doesn't wait, so two of socat's processes race
        holds "$vmm, $version: the manager" "$work/sorted" 'READY=1\nSTATUS=Ready.' STATUS=Starting
    done

    # Neither VMM has records, and a failed connect is no reason to try another type.
    for version in v253 v254 v256; do
        chain "$vmm, plain vsock, $version" 1 0 $vmm vsock:2:8888 $version READY=1
        holds "$vmm, plain vsock, $version: the notifier" "$work/out" \
            "dgram=EOPNOTSUPP seqpacket=ok $port -ESOCKTNOSUPPORT"
        holds "$vmm, plain vsock, $version: the manager" "$work/got"
    done
done

# Each waits for its end, so they come in order; and nobody listens on another port.
messages=$(seq -f STATUS=%g 20)
# shellcheck disable=SC2086 # words
chain 'in order' 0 20 cloud-hypervisor vsock-stream:2:8888 v256 $messages
# shellcheck disable=SC2086
holds 'in order: the manager' "$work/got" $messages
chain 'another port' 1 0 cloud-hypervisor vsock-stream:2:8889 v256 READY=1
holds 'another port: the notifier' "$work/out" "stream=ok $port -ECONNRESET"
finish
