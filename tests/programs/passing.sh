#!/bin/sh
# passing.sh - descriptors in messages: Python's library, tmux, and that no channel becomes native
. "${0%/*}/compare.inc"

: "${SOCKRIG_GUESTS:?names the folder of the built guests}"

# What is passed between processes of the session over emulated sockets stays emulated.
stays_emulated() { # GUEST
    expect "$1" 0 --verify --report="$work/report" -- "$SOCKRIG_GUESTS/$1"
    if grep -E 'made native|left to the kernel' "$work/report"; then
        failed "$1: something became native"
    else
        passed
    fi
}

for guest in rights_closed_meanwhile rights_cycles rights_full_buffers rights_in_the_stream \
    rights_killed rights_kinds rights_let_go rights_limit rights_many rights_mmsg \
    rights_no_number rights_processes rights_races rights_threads rights_used; do
    stays_emulated "$guest"
done

objects=any # a fork server and tmux's server outlive the command by a moment
same 'Python passes descriptors' python3 "${0%/*}/passing.py"

# A client of tmux passes its standard input and output to the server, which uses them itself.
cat >"$work/tmux.sh" <<'END'
TMUX_TMPDIR=$(mktemp -d) && export TMUX_TMPDIR && unset TMUX
tmux -f /dev/null new-session -d -x 80 -y 24 -s one 'echo in the pane; tmux wait-for -S said; cat'
tmux wait-for said
tmux capture-pane -p -t one | head -n 1
tmux list-sessions -F '#{session_name} #{session_windows}'
printf 'rename-session -t one two\nlist-sessions -F "#{session_name}"\n' |
    tmux -C attach -t one | sed -n '/^two$/p'
tmux kill-server
rm -rf "$TMUX_TMPDIR"
END
same 'tmux' sh "$work/tmux.sh"
finish
