#!/bin/sh
# python_tests.sh - Python's own tests of its event loops, selectors and signals (Debian's
# libpython3.11-testsuite): as many run, as many are skipped, and none fails
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

modules='selectors epoll poll select eintr asyncore'
for module in selector_events unix_events subprocess streams events sock_lowlevel runners; do
    modules="$modules asyncio.test_$module"
done
# Those that bind to "localhost" need the name.
if ! getent ahostsv4 localhost >/dev/null; then
    echo "no address for localhost (/etc/hosts): eintr, asyncore and three of asyncio are left out"
    modules='selectors epoll poll select'
    for module in selector_events subprocess sock_lowlevel runners; do
        modules="$modules asyncio.test_$module"
    done
fi
cd "$work" || exit 1

suite() { # MODULE [COMMAND...]: runs its tests, below COMMAND
    suite=$1
    shift
    timeout "$limit" "$@" /usr/bin/python3 -m unittest -q "test.test_$suite" </dev/null 2>&1
    echo "exit code $?"
}

summary() { # how many tests ran, failed, were skipped
    sed -E '/^(Ran [0-9]+ tests?|OK|FAILED|exit code)/!d; s/ in [0-9.]+s$//' "$1"
}

# They mostly wait: natively beside the emulated ones.
for module in $modules; do
    suite "$module" >"native.$module"
done &
# Sockets with names and addresses, and datagrams, are the kernel's.
for module in $modules; do
    suite "$module" "$SOCKRIG" run --verify --unmodeled=native --report="report.$module" -- \
        >"emulated.$module"
done
wait
for module in $modules; do
    summary "native.$module" >native
    summary "emulated.$module" >emulated
    if ! grep -q '^Ran [1-9]' native || ! grep -q '^exit code 0' native; then
        failed "$module: fails natively"
        tail -n 20 "native.$module"
    elif ! cmp -s native emulated; then
        failed "$module: ends differently (- native, + emulated)"
        diff -u native emulated
        grep -A 20 -E '^(FAIL|ERROR):' "emulated.$module" | head -n 60
    else
        passed
    fi
    says "$module" 'objects left: 0' "report.$module"
    # A child that opens /dev/stdin asks the kernel for its pipe: once with each child watcher.
    case $module in
    *subprocess) says "$module" 'made native 4 channels' "report.$module" ;;
    *) cp "report.$module" report && waits_emulated "$module" ;;
    esac
done
finish
