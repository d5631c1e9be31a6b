#!/bin/sh
# pytest.sh - a suite of pytest over subprocess, multiprocessing and concurrent.futures
#
# The suite is in pytest/. Each test's verdict, in order, is what both runs must print.
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

suite=${0%/*}/pytest
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
normal='s/ in [0-9.]+s( \([0-9:]+\))?( =+)?$/ in T/; s/^=+ //' messages=same
for name in subprocess multiprocessing futures; do
    same "$name" /usr/bin/python3 -m pytest -v --color=no -p no:cacheprovider -p no:faulthandler \
        -W error::pytest.PytestUnraisableExceptionWarning "$suite/test_$name.py"
    waits_emulated "$name"
done
finish
