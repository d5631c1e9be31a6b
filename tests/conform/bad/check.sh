#!/usr/bin/env bash
# check.sh - the interpreter finds what it must find
#
#   [SOCKRIG=build/bin/sockrig] tests/conform/bad/check.sh [kernel|emu]
#
# Each NAME.script here is wrong. A line "# expect: CODE TEXT" says with which exit code it ends and
# what is printed. Scripts that pass elsewhere prove nothing unless these fail.
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
sockrig=$(realpath "${SOCKRIG:-$here/../../../build/bin/sockrig}") || exit 1
cd "$here" || exit 1
bad=0 count=0
for script in *.script; do
    expect=$(sed -n 's/^# expect: //p' "$script")
    code=${expect%% *} text=${expect#* }
    output=$("$sockrig" interpret --on "${1:-kernel}" "$script" 2>&1)
    status=$?
    count=$((count + 1))
    if [ "$status" -ne "$code" ] || [[ $output != *"$text"* ]]; then
        printf '%s: expected exit %s and "%s"; exit %s:\n%s\n' "$script" "$code" "$text" \
            "$status" "$output"
        bad=$((bad + 1))
    fi
done
[ "$count" -ge 25 ] || { echo "only $count scripts found"; exit 1; }
echo "$count scripts, $bad not found out"
[ "$bad" -eq 0 ]
