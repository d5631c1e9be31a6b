#!/bin/bash
# sanitizers.sh - programs built with sanitizers, by gcc (shared run time, which goes before our
# library) and clang (in the program): what they report under sockrig is what they report natively,
# also in children and after exec, and nothing else
. "${0%/*}/compare.inc"

# Whoever runs this may have said where reports go: here they are what is compared.
unset ASAN_OPTIONS LSAN_OPTIONS TSAN_OPTIONS UBSAN_OPTIONS
guests=${0%/*}/../guest
flags='-std=gnu17 -D_GNU_SOURCE -g -O1 -pthread'

# The kinds of error, without addresses and stacks.
found() { # FILE
    sed -nE 's/^(SUMMARY: [A-Za-z]+Sanitizer: [a-z0-9 ()-]*[a-z]).*/\1/p
        s/.*(runtime error: .*)/\1/p
        s/.*(ERROR: [A-Za-z]+: [a-z -]+) .*/\1/p' "$1" | sort | uniq
}

reports() { # LABEL CODE TEXT PROGRAM ARG...: TEXT is in what it found; "" for nothing
    local label=$1 text=$3
    code=$2
    shift 3
    same "$label" "$@"
    found "$work/native.err" >"$work/native.found"
    found "$work/emulated.err" >"$work/emulated.found"
    if ! diff -u "$work/native.found" "$work/emulated.found"; then
        failed "$label: it found something else than natively"
        head -n 40 "$work/emulated.err"
    elif [ -z "$text" ] && [ -s "$work/native.found" ]; then
        failed "$label: it found something"
    elif [ -n "$text" ]; then
        says "$label" "$text" "$work/emulated.found"
    else
        passed
    fi
}

build() { # COMPILER SANITIZER SOURCE PROGRAM
    # shellcheck disable=SC2086 # flags are words
    "$1" $flags "-fsanitize=$2" -iquote "$guests" -o "$4" "$3" && return
    failed "$3 doesn't build with $1 -fsanitize=$2"
    return 1
}

for compiler in gcc clang; do
    for sanitizer in address undefined thread leak; do
        program=$work/$compiler.$sanitizer
        build "$compiler" "$sanitizer" "${0%/*}/sanitizers.c" "$program" || continue
        label="$compiler, $sanitizer"
        reports "$label, clean" 0 '' "$program" clean
        reports "$label, in a shell" 0 '' sh -c "true; '$program' clean; echo \$?"
        reports "$label, exec" 0 '' "$program" exec "$program" exec sh -c "'$program' clean; echo"
        case $sanitizer in
        address) reports "$label, overflow" 1 heap-buffer-overflow "$program" overflow ;;&
        address) reports "$label, leak" 1 leaked "$program" leak ;;
        leak) reports "$label, leak" 23 leaked "$program" leak ;;
        undefined) reports "$label, overflow" 0 'signed integer' "$program" undefined ;;
        thread) reports "$label, race" 66 'data race' "$program" race ;;
        esac
        [ "$sanitizer" != leak ] || continue
        for guest in pipe_many_threads_one_fd stdio_fdopen sock_shutdown_wakes_writer \
            thread_cancel_blocked_read own_sigsegv_handler; do
            build "$compiler" "$sanitizer" "$guests/$guest.c" "$work/guest" || continue
            code=0 same "$label, $guest" "$work/guest"
        done
    done
done

# What is preloaded by hand stays the first, as these libraries demand.
runtime=$(gcc -print-file-name=libasan.so.8)
code=0
if [ -e "$runtime" ]; then
    # shellcheck disable=SC2016 # for the inner shell
    LD_PRELOAD=$runtime ASAN_OPTIONS=detect_leaks=0 timeout "$limit" "$SOCKRIG" run -- \
        sh -c 'echo "$LD_PRELOAD"' >"$work/out"
    if grep -qE "^${runtime}[: ].*libsockrig" "$work/out"; then
        passed
    else
        failed "preloaded by hand: $(cat "$work/out")"
    fi
fi
finish
