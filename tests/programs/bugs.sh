#!/bin/sh
# bugs.sh - the programs of tests/bugs: small capacities bring to light what they can, in one run;
# the fixed twins have nothing to show, natively, under run, and with everything small
. "${0%/*}/compare.inc"

bugs=$(dirname "$(dirname "$library")")/tests/bugs

# NAME RESULT: what `run --squeeze` makes of the program with the bug
struck() {
    expect "$1" "$2" --squeeze --timeout 2s -- "$bugs/$1"
}

struck 01_wait_before_read 124
struck 02_join_before_drain 124
struck 03_both_write 124
struck 04_partial_write 1
struck 05_rights_twice 1
struck 10_handler_blocks 124
struck 16_sendmmsg_partial 1
struck 18_vsock_credit 124
struck 24_close_waits 124

for fixed in "$bugs"/*_fixed; do
    name=${fixed##*/}
    case $name in
    18_*) ;; # the kernel's AF_VSOCK isn't to be had
    *) same "$name" "$fixed" ;;
    esac
    expect "$name, squeezed" 0 --squeeze --timeout 20s -- "$fixed"
done
finish
