#!/bin/sh
# hybrid.sh - `sockrig run --hybrid`: a guest program, and the host's side of a VMM's vsock device
set -u
: "${SOCKRIG:?names the command sockrig}"
export SOCKRIG PYTHONDONTWRITEBYTECODE=1
exec timeout 250 /usr/bin/python3 "${0%/*}/hybrid.py"
