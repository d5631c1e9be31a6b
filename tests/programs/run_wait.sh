#!/bin/sh
# run_wait.sh - `sockrig run --wait=child|all`: whom run waits for, whose exit code it has
. "${0%/*}/compare.inc"

fifo=$work/fifo
mkfifo "$fifo" "$work/end"

# A process that PROG leaves behind: it goes on once somebody has opened the FIFO.
late='( read -r word <"$0"; (echo "$word"; echo done) | cat >"$1" ) >/dev/null 2>&1 &'

# child: run ends with PROG, the other one is still there and works afterwards.
expect 'child' 4 sh -c "$late exit 4" "$fifo" "$work/end"
echo later >"$fifo"
timeout 20 cat "$work/end" >"$work/late"
says 'child: who stays behind works' 'done' "$work/late"

# all: run ends after it, with PROG's exit code; the writer below is outside of the run.
rm -f "$work/late"
(echo later >"$fifo") &
expect 'all' 4 --wait=all sh -c "$late exit 4" "$fifo" "$work/late"
says 'all: it has ended' 'done' "$work/late"
wait

# ... also one that nobody can follow, below two others that have gone.
rm -f "$work/late"
(echo later >"$fifo") &
expect 'all, a daemon' 0 --wait=all sh -c "setsid sh -c '$late' \"\$0\" \"\$1\" & exit 0" \
    "$fifo" "$work/late"
says 'all, a daemon: it has ended' 'done' "$work/late"
wait

expect 'all, nobody is left' 3 --wait=all sh -c 'exit 3'
expect 'all, killed' 137 --wait=all sh -c 'kill -9 $$'

# The time limit holds for those as well, and a signal reaches them.
expect 'all, the time limit' 124 --wait=all --timeout 300ms sh -c 'sleep 100 & exit 0'
"$SOCKRIG" run --wait=all -- sh -c 'sleep 100 & echo $! >"$0"; exit 5' "$work/pid" &
run=$!
for _ in $(seq 200); do # until PROG has ended and the other one is run's
    [ -s "$work/pid" ] && [ "$(ps -o ppid= -p "$(cat "$work/pid")" | tr -d ' ')" = "$run" ] && break
    sleep 0.05
done
kill -TERM "$run"
wait "$run"
[ $? -eq 5 ] && passed || failed 'all, SIGTERM: the exit code'
kill -0 "$(cat "$work/pid")" 2>/dev/null && failed 'all, SIGTERM: somebody is left' || passed

expect 'a bad value' 125 --wait=nobody true
says 'a bad value' 'give child or all' "$err"
finish
