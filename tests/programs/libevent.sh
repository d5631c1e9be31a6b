#!/bin/sh
# libevent.sh - a program over libevent (libevent.c), every part with every waiting call of it
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

compile libevent libevent libevent_pthreads
for method in epoll changelist poll select; do
    for part in pairs inside child signals threads mixed; do
        loop "$method, $part" "$work/libevent" "$method" "$part"
    done
done
for method in epoll changelist; do
    loop "$method, edges" "$work/libevent" "$method" edges
done
finish
