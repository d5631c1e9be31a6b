#!/bin/sh
# verify.sh - `sockrig run --verify` finds an end that was closed behind the emulator's back
. "${0%/*}/compare.inc"

: "${SOCKRIG_GUESTS:?names the folder of the built guests}"
closer=$SOCKRIG_GUESTS/helper_raw_close

silent() {
    if grep -F disagreed "$err"; then
        failed "$1: a disagreement where there is none"
    else
        passed
    fi
}

expect 'closed by hand' 125 --verify -v "$closer"
says 'closed by hand' 'disagreed with the kernel about 1 end' "$err"
says 'closed by hand' 'objects left: 0' "$err"
expect 'closed by hand, unverified' 0 -v "$closer"
silent 'closed by hand, unverified'
expect 'closed by libc' 0 --verify -v "$closer" libc
says 'closed by libc' 'objects left: 0' "$err"
silent 'closed by libc'
expect 'a pipeline' 0 --verify -v sh -c 'seq 1 20000 | sort -rn | head -n 1'
says 'a pipeline' 20000 "$work/out"
silent 'a pipeline'
expect 'each closer of a pipeline' 125 --verify -v sh -c "'$closer' | '$closer'"
says 'each closer of a pipeline' 'disagreed with the kernel about 2 ends' "$err"
finish
