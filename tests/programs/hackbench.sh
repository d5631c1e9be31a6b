#!/bin/sh
# hackbench.sh - hackbench (rt-tests): pipes and socket pairs, threads and processes
# The only thing that may differ is the time it took.
. "${0%/*}/compare.inc"

normal='s/^Time: [0-9.]+$/Time: T/'
for mode in -T -P; do
    same "pipes $mode" hackbench -p $mode -l 50 -g 2
    same "sockets $mode" hackbench $mode -l 50 -g 2
    same "pipes $mode, 4000 bytes" hackbench -p $mode -l 20 -g 1 -s 4000
    same "sockets $mode, few descriptors" hackbench $mode -l 50 -g 1 -f 4
done
finish
