#!/bin/sh
# bridge.sh - `sockrig run --bridge`: what guests connect to is a unix socket of the host
set -u
: "${SOCKRIG:?names the command sockrig}"
export SOCKRIG PYTHONDONTWRITEBYTECODE=1
exec timeout 250 /usr/bin/python3 "${0%/*}/bridge.py"
