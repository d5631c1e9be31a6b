#!/bin/bash
# criterion.sh - Criterion suites under sockrig: a user's, with tests that fail in every way, and
# our own. Criterion's pipes and nanomsg's sockets are left alone (--exclude-caller); the tests'
# aren't.
. "${0%/*}/compare.inc"

# Times differ from run to run.
normal='s/\([0-9]+\.[0-9]+s\)/(TIME)/; s/time="[0-9.]+"/time=T/g; s/(timestamp|hostname)=.*//'

quiet() { # LABEL: the last `same` had nothing to report but what the tests themselves do
    if grep '^sockrig: ' "$work/report" | grep -v -e 'dropped unread' -e 'died of' -e 'left open' ||
        grep -E '^ {5}(made|closed|again|used) +lib(criterion|nanomsg)' "$work/report"; then
        failed "$1: the report says more"
    else
        passed
    fi
}

# What the program says, with its exit code: Criterion's is the number of nothing but failure.
say_all() { # PROGRAM ARG...
    # shellcheck disable=SC2016 # for the inner shell
    printf '%s\n' sh -c '"$@" 2>&1; echo "exit code $?"' sh "$@"
}

check() { # LABEL PROGRAM ARG...
    local label=$1 line
    shift
    mapfile -t line < <(say_all "$@")
    same "$label" "${line[@]}"
}

suite=$work/suite
if ! gcc -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Wno-format -pthread \
    -o "$suite" "${0%/*}/criterion_suite.c" -lcriterion; then
    failed "criterion_suite.c doesn't build"
    finish
fi
check 'a suite' "$suite" -j1 --verbose
says 'a suite' 'exit code 1' "$work/emulated"
says 'a suite' 'Tested: 22 | Passing: 17 | Failing: 5 | Crashing: 1' "$work/emulated"
quiet 'a suite'
check 'in TAP' "$suite" -j1 --tap=-
check 'in XML' "$suite" -j1 --xml=-
check 'a part' "$suite" -j1 --filter 'channels/*'
says 'a part' 'exit code 0' "$work/emulated"
check 'the list' "$suite" --list
check 'the first failure ends it' "$suite" -j1 --fail-fast --filter 'ends/expect*'

# In parallel: the order is chance.
parallel='"$1" -j4 --tap=- 2>/dev/null | grep -E "^(not )?ok" | sort; echo "exit ${PIPESTATUS[0]}"'
same 'in parallel' bash -c "$parallel" bash "$suite"
SOCKRIG_OPTIONS='squeeze' same 'squeezed' bash -c "$parallel" bash "$suite"
SOCKRIG_OPTIONS='net=sud' same 'with dispatch' bash -c "$parallel" bash "$suite"
SOCKRIG_OPTIONS='net=off' same 'without the net' bash -c "$parallel" bash "$suite"

# Our own; one of its tests sends datagrams, which aren't modeled.
if [ -n "${SOCKRIG_GUESTS-}" ]; then
    unit=$SOCKRIG_GUESTS/../unit/unit_tests
    SOCKRIG_OPTIONS='policy=unix/dgram=native' same 'our suite' bash -c "$parallel" bash "$unit"
    says 'our suite' 'exit 0' "$work/emulated"
    if [ "$(grep -c '^ok' "$work/emulated")" -gt 200 ]; then
        passed
    else
        failed "our suite: fewer than 200 tests"
    fi
fi
finish
