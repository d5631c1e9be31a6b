#!/bin/sh
# agents.sh - programs that stay behind and serve others: ssh-agent (a copy that isn't setgid, so it
# is preloaded, around a program and as a daemon), git's credential cache, dbus-run-session with a
# service that the bus starts itself and that passes descriptors. Also with a bare preload.
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

messages=same
preload=yes
export work
HOME=$work/home
export HOME
mkdir "$HOME"
cat >"$work/functions" <<'END_OF_SHELL'
rm -rf "$work/here"
mkdir -m 700 "$work/here"
cd "$work/here" || exit 1
END_OF_SHELL
script() { # LABEL SCRIPT
    same "$1" sh -c '. "$work/functions"; eval "$1"' sh "$2"
}

# ssh-agent forks, keeps its listener, and leaves the session; its clients ask it to sign.
cp "$(command -v ssh-agent)" "$work/agent"
for key in one two; do
    ssh-keygen -q -t ed25519 -N "$([ $key = one ] || echo secret)" -C "$key" -f "$work/$key"
done
printf '#!/bin/sh\necho secret\n' >"$work/askpass"
chmod +x "$work/askpass"
cat >"$work/use_agent" <<'END_OF_SHELL'
ssh-add -q "$work/one"
SSH_ASKPASS=$work/askpass SSH_ASKPASS_REQUIRE=force ssh-add -q "$work/two"
ssh-add -l
for key in one two; do
    ssh-keygen -q -Y sign -n file -f "$work/$key.pub" <"$work/one.pub" >"$key.sig"
    cksum "$key.sig"
    echo "somebody $(cat "$work/$key.pub")" >allowed
    ssh-keygen -Y verify -f allowed -I somebody -n file -s "$key.sig" <"$work/one.pub"
done
pids=
for number in 1 2 3 4 5 6; do
    ssh-add -T "$work/one.pub" "$work/two.pub" & pids="$pids $!"
done
for pid in $pids; do wait "$pid" || echo "a test fails"; done
ssh-add -q -d "$work/one"
ssh-add -D
ssh-add -l
END_OF_SHELL
script 'ssh-agent in the foreground' '"$work/agent" -D -a "$PWD/socket" | {
    SSH_AUTH_SOCK=$PWD/socket
    export SSH_AUTH_SOCK
    read -r line && read -r line
    . "$work/use_agent"
    line=${line%;}
    kill "${line##* }"
    cat
    ssh-add -l
    echo "without an agent: $?"; }'
waits_emulated 'ssh-agent in the foreground'
objects=any # the agent ends after -k was answered, or when it sees that its program has
script 'ssh-agent as a daemon' 'eval "$("$work/agent" -a "$PWD/socket")" >said
    . "$work/use_agent"
    "$work/agent" -k >/dev/null; echo "-k: $?"'
script 'ssh-agent around a program' '
    "$work/agent" -a "$PWD/socket" sh -c ". \"\$work/use_agent\"; kill \$SSH_AGENT_PID; exit 5"
    echo "the program: $?"'

# The cache is a daemon that git starts at the first word to it, and that tells by a pipe that it
# listens.
script "git's credential cache" 'git config --global credential.helper "cache --socket $PWD/socket"
    word() { printf "protocol=https\nhost=%s\nusername=me\n%s" "$2" "${3-}" | git credential "$1"; }
    GIT_TERMINAL_PROMPT=0 word fill one.example.com; echo "unknown: $?"
    word approve one.example.com "password=first
"
    word approve two.example.com "password=second
"
    word fill one.example.com; word fill two.example.com
    word reject one.example.com
    GIT_TERMINAL_PROMPT=0 word fill one.example.com; echo "forgotten: $?"
    git credential-cache --socket "$PWD/socket" exit; echo "exit: $?"'

# The bus says by a pipe where it listens; it is ended with its program, whose exit code counts.
# Nobody waits for its end, and what it says of itself comes earlier or later.
normal='/^dbus-daemon\[/d; s/^dbus\[[0-9]+/dbus[/'
for ending in 'exit 0' 'exit 7' 'kill -KILL $$'; do
    code=0
    [ "$ending" != 'exit 7' ] || code=7
    [ "$ending" != 'kill -KILL $$' ] || code=137
    same "dbus-run-session, $ending" dbus-run-session -- sh -c 'echo "$1"
        object=org/freedesktop/DBus
        dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus \
            "/$object" org.freedesktop.DBus.ListNames
        dbus-send --session --print-reply --dest=org.example.Nobody / org.example.Nobody.Do
        eval "$1"' sh "$ending"
done
code=1
same 'dbus-run-session, no program' dbus-run-session -- "$work/no-program"
code=127
same 'dbus-run-session, no bus' dbus-run-session --dbus-daemon="$work/no-bus" -- true
same 'dbus-run-session, no configuration' dbus-run-session --config-file="$work/none" -- true
code=0
messages=any # of the end of what it kills
same 'dbus-run-session in dbus-run-session' dbus-run-session -- dbus-run-session -- sh -c '
    sh -c "echo \$\$; exec stdbuf -oL dbus-monitor --session --profile" | {
        read -r monitor
        while read -r line; do
            case $line in *NameLost) break ;; esac
        done
        dbus-send --session /one org.example.Said.One
        while read -r kind _ _ _ _ path _ member; do
            [ "$path" != /one ] || break
        done
        echo "$kind $path $member"
        kill "$monitor"
        cat >/dev/null
    }'
messages=same

compile bus_service gio-2.0 gio-unix-2.0
mkdir -p "$work/data/dbus-1/services"
cat >"$work/data/dbus-1/services/org.example.Counter.service" <<END_OF_SERVICE
[D-BUS Service]
Name=org.example.Counter
Exec=$work/bus_service serve
END_OF_SERVICE
XDG_DATA_DIRS=$work/data:/usr/share
export XDG_DATA_DIRS
same 'a service that is started' dbus-run-session -- sh -c '
    "$work/bus_service" serve &
    gdbus wait --session org.example.Counter
    "$work/bus_service" call quit; echo "call: $?"
    wait; echo "serve: $?"'
same 'a service that the bus starts' dbus-run-session -- sh -c '
    "$work/bus_service" call; "$work/bus_service" call quit; echo "call: $?"'
finish
