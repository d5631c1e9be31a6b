#!/bin/bash
# gdb.sh - gdb on the guest: breakpoints, threads, children, a crash, attaching to a blocked call;
# nothing of the library's stops it in normal use, and a core file leaves the arena out
. "${0%/*}/compare.inc"
. "${0%/*}/loops.inc"

compile debugged
normal='s/0x[0-9a-f]+/ADDRESS/g; s/(LWP|process) [0-9]+/\1 N/g; /^\[(New|Switching|Thread|Detach)/d
    /on_signal \(number=/d'

# gdb's words, then the program's. Both into one file would put one into the other's lines: gdb
# tells of a thread that ends while the program prints.
cat >"$work/debug" <<'END_OF_SCRIPT'
#!/bin/sh
work=${0%/*}
: >"$work/printed"
gdb -q -nx -batch -ex 'set confirm off' -ex 'set debuginfod enabled off' \
    -ex "set inferior-tty $work/printed" "$@" >"$work/gdb"
code=$?
cat "$work/gdb"
echo 'The program:'
cat "$work/printed"
exit $code
END_OF_SCRIPT
chmod +x "$work/debug"

cat >"$work/breaks" <<'COMMANDS'
break reached
commands
silent
printf "value %d\n", value
backtrace
continue
end
handle SIGUSR1 nostop print pass
run
info breakpoints
COMMANDS
same 'breakpoints' "$work/debug" -x "$work/breaks" --args "$work/debugged" works
says 'breakpoints' 'value 2' "$work/emulated"
says 'breakpoints' 'exited with code 05' "$work/emulated"
says 'breakpoints' 'done 3 1' "$work/emulated"
if grep -q -e SIGSEGV -e SIGSYS -e SIGTRAP "$work/emulated"; then
    failed 'breakpoints: a signal of ours stopped it'
else
    passed
fi
same 'a watchpoint' "$work/debug" -ex 'break reached' -ex 'handle SIGUSR1 nostop noprint' -ex run \
    -ex 'delete' -ex 'watch handled' -ex continue -ex 'print handled' -ex 'delete' -ex continue \
    --args "$work/debugged" works
same 'a crash' "$work/debug" -ex 'handle SIGUSR1 nostop noprint' -ex run -ex backtrace -ex 'kill' \
    --args "$work/debugged" crashes
says 'a crash' 'crash (at=' "$work/emulated"
# The parent runs on by itself, and may print when gdb has ended.
same 'following a child' "$work/debug" -ex 'set inferior-tty /dev/null' \
    -ex 'handle SIGUSR1 nostop noprint' -ex 'catch fork' -ex run \
    -ex 'delete' -ex 'set follow-fork-mode child' -ex continue \
    --args "$work/debugged" works

# gdb around the command: it follows into the program.
timeout "$limit" "$work/debug" -ex 'set follow-fork-mode child' -ex 'set detach-on-fork on' \
    -ex 'set breakpoint pending on' -ex 'break reached' -ex run -ex 'backtrace 1' \
    -ex 'handle SIGUSR1 nostop noprint' -ex 'delete' -ex 'set follow-fork-mode parent' \
    -ex continue --args "$SOCKRIG" run -- "$work/debugged" works \
    </dev/null >"$work/out" 2>&1
says 'gdb around the command' 'reached (value=value@entry=0)' "$work/out"
says 'gdb around the command' 'done 3 1' "$work/out"

# Attaches to a read that sleeps, looks, takes a core, and leaves; then a signal ends the read.
mkfifo "$work/pid"
"$SOCKRIG" run -- "$work/debugged" waits "$work/pid" &
run=$!
read -r pid <"$work/pid"
timeout "$limit" gdb -q -nx -batch -ex 'set confirm off' -ex 'set debuginfod enabled off' \
    -p "$pid" -ex backtrace -ex "gcore $work/core" -ex detach \
    </dev/null >"$work/out" 2>&1
says 'attached' 'waits (path=' "$work/out"
says 'attached' 'detached' "$work/out"
size=$(du -m "$work/core" | cut -f 1)
apparent=$(stat -c %s "$work/core")
if [ "$size" -gt 100 ] || [ "$apparent" -gt 1000000000 ]; then
    failed "the core file has $apparent bytes, $size MiB of them on disk"
else
    passed
fi
kill -USR1 "$pid"
wait "$run"
result=$?
if [ "$result" -eq 6 ]; then passed; else failed "after gdb: exit code $result, not 6"; fi
finish
