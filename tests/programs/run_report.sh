#!/bin/sh
# run_report.sh - what `sockrig run` reports: refusals, native sockets, objects left; text and JSON
. "${0%/*}/compare.inc"

python=/usr/bin/python3
refused='import socket, sys
for i in range(2):
    try:
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        print("made")
    except OSError as e:
        print(e.errno)'

expect 'a refusal' 0 "$python" -c "$refused"
says 'a refusal is ENOTSUP to the program' 95 "$work/out"
says 'a refusal' 'sockrig: refused 2 calls' "$err"
says 'its call' '  socket(AF_UNIX, SOCK_DGRAM) ENOTSUP ×2' "$err"
says 'its caller' 'python3' "$err"
says 'the hint' '  to allow: --policy unix/dgram=native' "$err"

expect 'allowed as the hint says' 0 --policy unix/dgram=native "$python" -c "$refused"
says 'allowed' made "$work/out"
[ -s "$err" ] && failed 'something was said on stderr' || passed
expect 'an errno of choice' 0 --policy unix/dgram=EACCES "$python" -c "$refused"
says 'an errno of choice' 13 "$work/out"
expect 'the later policy wins' 0 --policy unix/dgram=EACCES --policy unix/dgram=native \
    "$python" -c "$refused"
says 'the later policy wins' made "$work/out"
SOCKRIG_OPTIONS='policy=unix/dgram=EACCES' expect 'the command line wins' 0 \
    --policy unix/dgram=native "$python" -c "$refused"
says 'the command line wins' made "$work/out"
expect 'unmodeled' 0 --unmodeled=native "$python" -c "$refused"
says 'unmodeled' made "$work/out"

expect '-v' 0 -v sh -c 'echo x | cat'
says '-v' 'objects left: 0' "$err"
expect '--report' 0 --report "$python" -c 'import socket; socket.socket().close()'
says '--report' 'sockrig: left to the kernel 1 socket' "$err"
says '--report' '  socket(AF_INET, SOCK_STREAM) ×1' "$err"
[ "$(tail -n 1 "$err")" = 'objects left: 0' ] && passed || failed 'the last line'

expect '--report=FILE' 0 --report="$work/file" "$python" -c "$refused"
says '--report=FILE' '  socket(AF_UNIX, SOCK_DGRAM) ENOTSUP ×2' "$work/file"
says 'refusals are said anyway' 'sockrig: refused 2 calls' "$err"
[ "$(tail -n 1 "$work/file")" = 'objects left: 0' ] && passed || failed 'the last line in FILE'
expect 'a file that can not be' 125 --report=/nonexistent/directory/file true

expect '--json' 0 --json "$python" -c "$refused"
"$python" - "$err" <<'END' && passed || failed 'the JSON'
import json, sys
report = json.load(open(sys.argv[1]))
event = [e for e in report['events'] if e['kind'] == 'refused'][0]
assert (event['call'], event['family'], event['type'], event['errno'], event['count']) == \
    ('socket', 'AF_UNIX', 'SOCK_DGRAM', 'ENOTSUP', 2), event
assert report['left']['objects'] == 0 and report['processes']['joined'] >= 1, report
END
expect '--json --report=FILE' 0 --json --report="$work/json" true
"$python" -c 'import json, sys; json.load(open(sys.argv[1]))' "$work/json" && passed ||
    failed 'the JSON in FILE'

# No vsock socket is ever native, even when all that isn't modeled is; Linux's own errors first.
# Below the guard, whatever fails here: a real vsock socket would reach the hypervisor.
guard=$(dirname "$(readlink -f "$SOCKRIG")")/../tests/guard/guard
if [ ! -x "$guard" ]; then
    failed "no guard at $guard"
    finish
fi
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$guard" "$SOCKRIG" >"$work/guarded"
chmod +x "$work/guarded"
SOCKRIG=$work/guarded
vsock='import socket
for family, type in ((40, 1), (40, 2), (1, 4), (1, 99), (99, 1)):
    try:
        socket.socket(family, type); print("made")
    except OSError as e:
        print(e.errno)'
expect 'vsock is never native' 0 --unmodeled=native "$python" -c "$vsock"
printf 'made\n95\n94\n22\n97\n' | cmp -s - "$work/out" && passed || failed 'vsock is never native'
expect 'vsock as on an old kernel' 0 --policy vsock=EAFNOSUPPORT "$python" -c "$vsock"
says 'vsock as on an old kernel' 97 "$work/out"
finish
