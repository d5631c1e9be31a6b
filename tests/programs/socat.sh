#!/bin/sh
# socat.sh - socat relays between pipes, named pipes, and programs behind pipes or socket pairs
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

data=$work/data
seq 1 60000 | sed 's/.*/& & & &/' >"$data" # 1.3 MB
export data work

# Between its own processes socat sends datagrams, which aren't modeled yet.
SOCKRIG_OPTIONS='policy=unix/dgram=native'
export SOCKRIG_OPTIONS

# Between two pipes that the shell made.
loop 'pipe to pipe' sh -c 'cat "$data" | socat -u STDIN STDOUT | cksum'
loop 'small blocks' sh -c 'head -c 100000 "$data" | socat -u -b 100 STDIN STDOUT | cksum'
loop 'three in a row' sh -c 'cat "$data" | socat -u - - | socat -u - - | socat -u - - | cksum'
loop 'given descriptors' sh -c 'cat "$data" | { socat -u FD:7 FD:8 7<&0 8>&1; } | cksum'

# Programs behind socket pairs (what EXEC makes unless told otherwise) and pipes. socat's writes
# block: when buffers are small, only small blocks keep both sides from waiting for each other.
for how in '' ,pipes ,socktype=5; do
    loop "EXEC$how" sh -c \
        'head -c 200000 "$data" | socat -b 500 - EXEC:"cat"'"$how"' | cksum'
done
same 'large blocks' sh -c 'cat "$data" | socat - EXEC:"tr 0-9 a-j" | cksum'
waits_emulated 'large blocks'
loop 'no fork' sh -c 'head -c 300000 "$data" | socat -u - EXEC:"cksum",nofork'
loop 'SYSTEM, pipes' sh -c 'socat -u SYSTEM:"cat \"$data\"; seq 1 50000",pipes STDOUT | cksum'
loop 'program to program' sh -c \
    'socat -u EXEC:"seq 1 50000" SYSTEM:"sort -rn | cksum >&3" 3>&1 | cat'
loop 'standard errors too' sh -c 'socat -u SYSTEM:"echo out; echo err >&2",stderr,pipes - | sort'

# An unnamed pipe of its own, with itself at both ends: an echo.
loop 'PIPE' sh -c 'head -c 30000 "$data" | socat -T 0.5 -b 1000 - PIPE | cksum'
loop 'named pipe' sh -c 'rm -f "$work/fifo"; mkfifo "$work/fifo"
    socat -u OPEN:"$data" PIPE:"$work/fifo" & socat -u PIPE:"$work/fifo",rdonly - | cksum; wait'

# Ends: a program that ends early, half-closed, a reader that goes.
loop 'half-close' sh -c 'seq 1 30000 | socat - EXEC:"sort -rn" | cksum'
objects=any # socat doesn't wait for its child any more
loop 'time-out' sh -c '(sleep 1) | socat -T 0.2 - EXEC:cat; echo $?'
loop 'reader goes' sh -c 'socat -u EXEC:yes STDOUT 2>/dev/null | head -n 2'
finish
