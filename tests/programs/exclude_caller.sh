#!/bin/bash
# exclude_caller.sh - --exclude-caller: what harness libraries open is left to the kernel, what the
# program opens isn't; by name, by path, for what dlopen() brought, for libc on their behalf
. "${0%/*}/compare.inc"

flags='-std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror'
folder=${0%/*}
mkdir "$work/harness"
# shellcheck disable=SC2086 # flags are words
gcc $flags -o "$work/who" "$folder/exclude_caller.c" -ldl &&
    gcc $flags -shared -fPIC -o "$work/harness/libcheck.so.3" "$folder/harness.c" || {
    failed "the programs don't build"
    finish
}
cp "$work/harness/libcheck.so.3" "$work/libnanomsg.so.5"
cp "$work/harness/libcheck.so.3" "$work/libcriterion.so.3"
library=$work/harness/libcheck.so.3

served() { # WHO: the harness's and the own channels are served by
    printf 'own %s: emulator\n' pipe pair
    printf "harness %s: $1\n" pipe pipe2 pair syscall
    if [ "$1" = kernel ]; then
        printf 'harness datagrams: kernel\n'
    else
        printf 'harness datagrams: refused\n'
    fi
    printf "harness popen: $1\n"
    printf 'own %s: emulator\n' pipe pair
}

wants() { # LABEL WHO: the last run's output
    served "$2" >"$work/wanted"
    if cmp -s "$work/wanted" "$work/out"; then
        passed
    else
        failed "$1: who served what (- wanted)"
        diff -u "$work/wanted" "$work/out"
    fi
}

run() { # LABEL WHO COMMAND...
    local label=$1 who=$2
    shift 2
    expect "$label" 0 --verify --report="$work/report" "$@"
    wants "$label" "$who"
}

"$work/who" "$library" >"$work/out" || failed 'natively'
sed 's/emulator/kernel/' <<<"$(served kernel)" >"$work/wanted"
if cmp -s "$work/wanted" "$work/out"; then passed; else failed 'natively: the output differs'; fi

run 'not named' emulator -- "$work/who" "$library"
run 'by name' kernel --exclude-caller 'libcheck.so*' -- "$work/who" "$library"
run 'by path' kernel --exclude-caller "$work/harness/*" -- "$work/who" "$library"
run 'another path' emulator --exclude-caller "/other/*/libcheck.so*" -- "$work/who" "$library"
run 'several' kernel --exclude-caller 'x' --exclude-caller 'libcheck.s?.3' -- "$work/who" "$library"
run 'nanomsg' kernel -- "$work/who" "$work/libnanomsg.so.5"
run 'criterion' kernel -- "$work/who" "$work/libcriterion.so.3"
if grep -q 'left to the kernel' "$work/report"; then
    failed "what is left alone is in the report"
fi
SOCKRIG_OPTIONS='exclude-caller=libcheck*' \
    run 'SOCKRIG_OPTIONS' kernel -- "$work/who" "$library"

# The program itself, by the name of its file and by that it was started as.
ln -s who "$work/alias"
for name in who alias "$work/al*"; do
    expect "the program as $name" 0 --exclude-caller "$name" -- "$work/alias" "$library"
    if grep -q 'own.*emulator' "$work/out"; then
        failed "the program as $name: its channels are emulated"
    fi
done

# With a bare preload.
if [ -n "${SOCKRIG_LIB-}" ]; then
    SOCKRIG_OPTIONS='exclude-caller=libcheck*' LD_PRELOAD=$SOCKRIG_LIB \
        timeout "$limit" "$work/who" "$library" >"$work/out" || failed 'bare preload'
    wants 'bare preload' kernel
fi

expect 'no pattern' 125 --exclude-caller '' -- true
says 'no pattern' 'bad value in --exclude-caller' "$err"
finish
