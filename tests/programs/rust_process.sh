#!/bin/sh
# rust_process.sh - a Rust program over std::process (processes.rs), built by Debian's rustc: its
# children at the ends of pipes, by posix_spawn and by fork
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

if ! env -u RUSTFLAGS PATH=/usr/bin:/bin rustc --edition 2021 -D warnings -o "$work/processes" \
    "${0%/*}/processes.rs" 2>"$err"; then
    failed "processes.rs doesn't build"
    cat "$err"
    finish
fi
messages=same
loop 'std::process' "$work/processes"
finish
