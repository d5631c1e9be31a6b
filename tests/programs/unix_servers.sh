#!/bin/sh
# unix_servers.sh - real servers that listen on AF_UNIX names, and their clients: HTTP, TLS, relays,
# agents, a message bus, a terminal multiplexer, a server with workers before it accepts
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

data=$work/data
seq 1 400000 >"$data" # 2.7 MB
export data work

# What each script begins with: a folder of its own, since names stay behind; and how it waits for a
# server: `serving 'TEXT'` reads the server's output until TEXT says that it listens. Where it shall
# be killed, its pid is the first line.
cat >"$work/start.sh" <<'END_OF_SHELL'
folder=$(mktemp -d "$work/run.XXXXXX")
cd "$folder" || exit 1
socket=$folder/socket
announced() { # COMMAND...: says its pid before it starts
    sh -c 'echo $$; exec "$@"' sh "$@"
}
serving() {
    while read -r line; do
        case $line in *"$1"*) return ;; esac
    done
    echo 'no server'
}
END_OF_SHELL
script() { # NAME: its text is stdin
    cat "$work/start.sh" - >"$work/$1.sh"
}
both() { # NAME: natively and under sockrig; no channel may go native
    same "$1" sh "$work/$1.sh"
    waits_emulated "$1"
}

cat >"$work/http_server.py" <<'END_OF_PYTHON'
import http.server, signal, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.answer(open(sys.argv[2], 'rb').read() if self.path == '/data' else self.path.encode())
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers['Content-Length']))[::-1])
    def answer(self, body):
        self.send_response(200)
        self.send_header('Content-Length', len(body))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self): # an unnamed client has none
        return 'client'
    def log_message(self, *arguments):
        pass
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 50
server = Server(sys.argv[1], Handler)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print('listens', flush=True)
server.serve_forever()
END_OF_PYTHON
script http <<'END_OF_SHELL'
announced /usr/bin/python3 "$work/http_server.py" "$socket" "$data" | {
    read -r server
    serving listens
    get() { curl -sS --max-time 60 --unix-socket "$socket" "$@"; }
    get http://example.com/one http://example.com/two; echo
    get http://example.com/data | cksum
    get --data-binary @"$data" http://example.com/ | cksum
    get -H 'Expect:' -T "$data" -X POST http://example.com/ | cksum
    for number in 1 2 3 4 5 6 7 8; do
        get http://example.com/data >"data.$number" &
        clients="$clients $!"
    done
    wait $clients
    cat data.* | cksum
    kill $server
}
# Nobody listens any more; the name is still there.
curl -sS --unix-socket "$socket" http://example.com/ 2>/dev/null
echo "curl ends with $?"
END_OF_SHELL
both http

# Names of files, a relative one, one without a file; one client each, then one process for each.
script socat <<'END_OF_SHELL'
for name in "UNIX-LISTEN:$socket UNIX-CONNECT:$socket" 'UNIX-LISTEN:./near UNIX-CONNECT:./near' \
    "ABSTRACT-LISTEN:$folder ABSTRACT-CONNECT:$folder"; do
    socat -d -d -t 60 "${name% *}" EXEC:cksum,nofork 2>&1 | {
        serving 'listening on'
        socat -t 60 - "${name#* }" <"$data"
        cat >/dev/null
    }
done
announced socat -d -d -t 60 "UNIX-LISTEN:$socket",fork EXEC:"tr 0-9 a-j",nofork 2>&1 | {
    read -r server
    serving 'listening on'
    for number in 1 2 3 4 5; do
        seq 1 ${number}000 | socat -t 60 - "UNIX-CONNECT:$socket" | cksum
    done
    kill $server
    cat >/dev/null
}
END_OF_SHELL
SOCKRIG_OPTIONS='policy=unix/dgram=native' # between its own processes
export SOCKRIG_OPTIONS
both socat
unset SOCKRIG_OPTIONS

# OpenBSD's nc, at both ends.
script netcat <<'END_OF_SHELL'
nc.openbsd -lvU "$socket" 2>&1 >received </dev/null | {
    serving Listening
    nc.openbsd -NU "$socket" <"$data"
    cat >/dev/null
}
cksum <received
END_OF_SHELL
both netcat

# TLS: s_server answers each line reversed.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=server -days 2 -keyout "$work/key.pem" \
    -out "$work/certificate.pem" 2>/dev/null
script openssl <<'END_OF_SHELL'
openssl s_server -unix "$socket" -unlink -cert "$work/certificate.pem" -key "$work/key.pem" \
    -rev -naccept 2 2>&1 | {
    serving ACCEPT
    for number in 1 2; do
        { echo "line $number"; seq 1 3000; } | openssl s_client -unix "$socket" -quiet -no_ign_eof \
            2>/dev/null | cksum
    done
    cat >/dev/null
}
END_OF_SHELL
both openssl

# gunicorn's workers accept on a listener that its first process made.
cat >"$work/application.py" <<'END_OF_PYTHON'
import os
def application(environ, start_response):
    body = environ['wsgi.input'].read() or environ['PATH_INFO'].encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body.upper()]
END_OF_PYTHON
script gunicorn <<'END_OF_SHELL'
announced /usr/bin/python3 -m gunicorn --bind "unix:$socket" --workers 3 --pythonpath "$work" \
    --worker-tmp-dir "$folder" application 2>&1 | {
    read -r server
    serving 'Booting worker'
    for number in 1 2 3 4 5 6 7 8 9 10; do
        curl -sS --max-time 60 --unix-socket "$socket" http://example.com/path$number
        curl -sS --max-time 60 --unix-socket "$socket" -H 'Expect:' --data-binary @"$data" \
            http://example.com/ | cksum
    done
    kill $server
    cat >/dev/null
}
ls "$socket" 2>/dev/null
echo ended
END_OF_SHELL
both gunicorn

# The agent holds a name; each of gpg's programs is a client.
script gpg <<'END_OF_SHELL'
GNUPGHOME=$folder/home
export GNUPGHOME
mkdir -m 700 "$GNUPGHOME"
gpg-agent --daemon --allow-preset-passphrase 2>/dev/null || exit 1
gpg-connect-agent --no-autostart 'getinfo version' 'nop' 'no_such_command' /bye
gpg --batch --quiet --passphrase '' --quick-generate-key tester default default never 2>/dev/null
gpg --batch --quiet --sign --local-user tester <"$data" >signed
gpg --batch --quiet --status-fd 1 --decrypt signed 2>/dev/null | grep -c GOODSIG
gpg-connect-agent --no-autostart 'keyinfo --list' /bye | wc -l
gpg-connect-agent --no-autostart killagent /bye
gpg-connect-agent --no-autostart nop /bye 2>/dev/null
echo "without an agent: $?"
END_OF_SHELL
objects=any # the agent ends by itself, after killagent was answered
both gpg
objects=none

# Calls, answers and signals over a message bus.
script dbus <<'END_OF_SHELL'
cat >bus.conf <<END_OF_CONFIG
<busconfig>
<type>session</type><listen>unix:path=$socket</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy>
</busconfig>
END_OF_CONFIG
announced dbus-daemon --config-file=bus.conf --nofork --nopidfile --print-address | {
    read -r server
    serving unix:path
    object=org/freedesktop/DBus
    call() {
        method=org.freedesktop.DBus.$1
        shift
        dbus-send "--bus=unix:path=$socket" --print-reply=literal --dest=org.freedesktop.DBus \
            "/$object" "$method" "$@" 2>&1
    }
    call ListNames
    call GetNameOwner string:org.example.Nobody
    call NameHasOwner string:org.freedesktop.DBus
    call GetConnectionUnixUser string:org.freedesktop.DBus
    kill $server
}
dbus-send "--bus=unix:path=$socket" --dest=org.example.X / org.example.X.Y 2>/dev/null
echo "without a bus: $?"
END_OF_SHELL
both dbus

# ssh-agent is setgid, so it isn't preloaded, and its listener is the kernel's: a client of the
# session gets through to it.
ssh-keygen -q -t ed25519 -N '' -C tester -f "$work/key"
script ssh_agent <<'END_OF_SHELL'
eval "$(ssh-agent -a "$socket")" >/dev/null
ssh-add -q "$work/key"
ssh-add -l
ssh-add -T "$work/key.pub"
echo "test: $?"
ssh-add -q -D
ssh-add -l
ssh-agent -k >/dev/null
ssh-add -l 2>/dev/null
echo "without an agent: $?"
END_OF_SHELL
same 'ssh-agent' sh "$work/ssh_agent.sh"

# tmux passes its terminal's descriptors to its server: such a connection goes native.
script tmux <<'END_OF_SHELL'
tm() { TMUX='' TERM=xterm tmux -S "$socket" -f /dev/null "$@"; }
tm new-session -d -s first -x 80 -y 24 'echo "in the first"; tmux wait-for -S said; exec cat'
tm wait-for said
tm capture-pane -p -t first | head -n 1
tm new-session -d -s second 'exec cat'
tm list-sessions -F '#{session_name} #{session_windows} #{window_width}'
tm set-buffer 'some words'
tm show-buffer; echo
tm split-window -t second 'exec cat'
tm list-panes -t second -F '#{pane_index} #{pane_dead}'
tm kill-server
tm list-sessions 2>/dev/null
echo "without a server: $?"
END_OF_SHELL
objects=any # nobody waits for the server's end
same 'tmux' sh "$work/tmux.sh"
finish
