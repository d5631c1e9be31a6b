#!/bin/sh
# faults.sh - --faults=legal: bugs that hide from small buffers alone are found within a few seeds,
# the fixed twins have nothing to show, and each finding says how to repeat it
. "${0%/*}/compare.inc"

bugs=$(dirname "$(dirname "$library")")/tests/bugs

# NAME SEEDS: one of so many seeds makes the program fail, hang or die
found() {
    seed=0
    while [ "$seed" -lt "$2" ]; do
        seed=$((seed + 1))
        timeout "$limit" "$SOCKRIG" run --faults=legal --seed "$seed" --timeout 3s -- "$bugs/$1" \
            >"$work/out" 2>"$err" || break
    done
    if [ "$seed" -eq "$2" ]; then
        failed "$1: not found with seeds 1 to $2"
        return
    fi
    passed
    says "$1" "  repeat: sockrig run --faults=legal --seed $seed --timeout 3s -- $bugs/$1" "$err"
}

found 07_eintr_as_end 100
found 08_edge_not_drained 100
found 15_recv_is_message 100
found 17_backlog_eagain 100
found 22_stale_set 100
found 06_reset_by_unread 100
found 09_lost_wakeup 100
found 11_sigpipe 100
found 19_stale_event 100
found 04_partial_write 10
found 16_sendmmsg_partial 100
found 21_unlink_bind 100
found 23_fork_with_lock 100

for fixed in "$bugs"/*_fixed; do
    for seed in 1 2 3; do
        expect "${fixed##*/}, seed $seed" 0 --faults=legal --seed "$seed" --timeout 30s -- "$fixed"
    done
done

# Programs that are right stay right: every byte arrives.
for seed in 1 2 3; do
    expect "a pipeline, seed $seed" 0 --faults=harsh --seed "$seed" --timeout 60s -- \
        sh -c 'seq 20000 | tee /dev/null | cat | cksum >"$1"' sh "$work/sum"
    says "a pipeline, seed $seed" "$(seq 20000 | cksum)" "$work/sum"
done

# What only a machine in need, or somebody's deed, brings about is never drawn.
if gcc -std=gnu17 -D_GNU_SOURCE -O1 -o "$work/calls" "${0%/*}/injected.c" 2>"$err"; then
    for seed in 1 2 3 4 5 6 7 8 9 10; do
        expect "no error of itself, seed $seed" 0 --faults=harsh --seed "$seed" -- "$work/calls" \
            handle pair w999 r999 dup socket m3000 r4000 v7 r7 W5 R5 many r12 poll pipe w4096 r9999
        if grep -q '[A-Z]' "$work/out"; then
            failed "seed $seed: an error, a signal, or other bytes"
            cat "$work/out"
        fi
    done
else
    failed 'injected.c: not compiled'
    cat "$err"
fi

# The same seed draws the same, another draws something else.
sizes='import fcntl, os
print([fcntl.fcntl(os.pipe()[0], 1032) for i in range(12)])'
drawn=
for seed in 5 5 6; do
    timeout "$limit" "$SOCKRIG" run --faults=legal --seed "$seed" --report="$work/report" -- \
        python3 -c "$sizes" >"$work/out" 2>"$err"
    says "a report names seed $seed" "seed: $seed" "$work/report"
    drawn="$drawn$(cat "$work/out");"
done
if [ "$(echo "$drawn" | tr ';' '\n' | sort -u | grep -c .)" -eq 2 ]; then
    passed
else
    failed "seeds 5, 5 and 6 drew: $drawn"
fi

# Without a seed there is a new one, which a failure names.
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    timeout "$limit" "$SOCKRIG" run --faults=legal --timeout 3s -- "$bugs/07_eintr_as_end" \
        >"$work/out" 2>"$err" || break
done
if grep -qE '^  repeat: sockrig run --seed [0-9]+ --faults=legal' "$err"; then
    passed
else
    failed "no seed in the report of run $try"
    cat "$err"
fi
expect 'a bad preset' 125 --faults=all -- true
expect 'a bad seed' 125 --seed much -- true
finish
