#!/bin/sh
# glib.sh - a program over GLib's main loop (glib.c), every part natively, emulated and squeezed
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

compile glib glib-2.0
for part in flows children signals threads mixed; do
    loop "$part" "$work/glib" "$part"
done
finish
