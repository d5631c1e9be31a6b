#!/bin/bash
# valgrind.sh - valgrind on the guest: it finds what it finds natively and nothing more, and what is
# emulated works; the net is off there, since translated code doesn't notice a redirection
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

compile debugged
# Numbers of processes, addresses, and sizes of what libc and the loader allocated.
errors() { # FILE: what valgrind says of errors
    sed -nE 's/^==[0-9]+== *//; s/0x[0-9a-fA-F]+/ADDRESS/g; s/ in loss record [0-9]+ of [0-9]+//
        /^(Invalid|Address|Conditional|Use of|Syscall param|.* are definitely lost)/p' "$1"
}

checked() { # LABEL WAY CODE ERRORS: like natively, with so many lines about errors
    local label=$1 way=$2 lines
    code=$3 same "$label" \
        valgrind --leak-check=full --child-silent-after-fork=yes --show-leak-kinds=definite \
        --errors-for-leak-kinds=definite --error-exitcode=9 "$work/debugged" "$way"
    errors "$work/native.err" >"$work/native.errors"
    errors "$work/emulated.err" >"$work/emulated.errors"
    lines=$(wc -l <"$work/native.errors")
    if [ "$lines" -ne "$4" ]; then
        failed "$label: $lines lines about errors natively, not $4"
        cat "$work/native.errors"
    elif ! diff -u "$work/native.errors" "$work/emulated.errors"; then
        failed "$label: other errors than natively"
    else
        passed
    fi
}

checked 'no error' works 5 0
checked 'a wrong write' wrong 9 2
checked 'a leak' leaks 9 1

# What was served by whom: the net is off, and says so; the pair is emulated all the same.
if grep -q '^sockrig: made native' "$work/report"; then
    failed "a channel went native"
fi
says 'the net is off' 'did without the net' "$work/report"

# The leak check reads all memory; the arena, of 4 GiB and sparse, must not be a part of it.
cat >"$work/arena" <<'SCRIPT'
valgrind -q --leak-check=full "$1" leaks >/dev/null 2>&1
for fd in /proc/$PPID/fd/*; do
    case $(readlink "$fd") in *sockrig-arena*) echo $(($(stat -L -c %b "$fd") / 2048)) ;; esac
done
SCRIPT
expect 'the arena after a leak check' 0 -- sh "$work/arena" "$work/debugged"
if [ "$(cat "$work/out")" -lt 200 ]; then
    passed
else
    failed "the arena has $(cat "$work/out") MiB after a leak check"
fi

code=5 same 'none' valgrind --tool=none -q "$work/debugged" works
finish
