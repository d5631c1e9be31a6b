#!/bin/sh
# bare_machine.sh - /dev/shm full, read-only or missing; /proc or /tmp read-only; no /proc
#
# Each in a mount namespace of its own. Either all works as natively, or sockrig says what is wrong
# and ends with 125 before the program starts.
. "${0%/*}/compare.inc"

cat >"$work/program.py" <<'END'
import os
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(r)
    os.write(w, b'child')
    os._exit(7)
os.close(w)
print(os.read(r, 10), os.read(r, 10), os.waitpid(pid, 0)[1] >> 8)
END

if ! unshare -m true 2>"$work/why"; then
    echo "bare_machine.sh: no mount namespace here: $(cat "$work/why")"
    exit 1
fi

# Does something to the machine, then runs the command.
within() { # PREPARATION COMMAND...
    preparation=$1
    shift
    timeout "$limit" unshare -m sh -c "{ $preparation; } >/dev/null && exec \"\$@\"" sh "$@" \
        >"$work/out" 2>"$work/err"
}

# The program does there what it does here.
works() { # LABEL PREPARATION COMMAND...
    label=$1
    shift
    if within "$@" && [ "$(cat "$work/out")" = "b'child' b'' 7" ]; then
        passed
    else
        failed "$label: $(cat "$work/out" "$work/err")"
    fi
}

on() { # LABEL PREPARATION
    python="/usr/bin/python3 $work/program.py"
    # shellcheck disable=SC2086
    works "$1: natively" "$2" $python
    # shellcheck disable=SC2086
    works "$1: run" "$2" "$SOCKRIG" run --verify -- $python
    # shellcheck disable=SC2086
    works "$1: bare preload" "$2" env LD_PRELOAD="$library" $python
}

on 'full /dev/shm' 'mount -t tmpfs -o size=4k tmpfs /dev/shm
    head -c 8192 /dev/zero 2>/dev/null >/dev/shm/all; test -s /dev/shm/all'
on 'read-only /dev/shm' 'mount -t tmpfs -o ro tmpfs /dev/shm'
on 'no /dev/shm' 'mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3'
on 'read-only /proc' 'mount -t proc -o ro proc /proc'
on 'read-only /tmp' 'mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp'

# Without /proc nothing can be learnt of a process: said before the program starts.
within 'umount -l /proc' "$SOCKRIG" run -- /bin/echo started
if [ $? -eq 125 ] && [ ! -s "$work/out" ] && grep -q /proc "$work/err"; then
    passed
else
    failed "no /proc: $(cat "$work/out" "$work/err")"
fi
finish
