#!/bin/sh
# libuv.sh - a program over libuv (libuv.c), every part natively, emulated and squeezed
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

compile libuv libuv
for part in pipes pairs spawn kill signals threads mixed pong; do
    loop "$part" "$work/libuv" "$part"
done
finish
