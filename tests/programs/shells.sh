#!/bin/sh
# shells.sh - pipelines, substitutions, here-documents and job control of bash and dash
. "${0%/*}/compare.inc"

messages=same
preload=yes
cat >"$work/posix" <<'END'
seq 1 20000 | sort -rn | head -n 3
seq 1 100000 | wc -l
echo "$(echo one; echo two | tr a-z A-Z)"
x=$(seq 1 5000 | while read -r n; do echo "$n"; done | tail -n 1); echo "$x"
cat <<HERE | rev
a here-document
HERE
yes | head -n 2
false | true; echo "status $?"
( echo sub; exit 7 ) | cat; echo "status $?"
{ echo out; echo err >&2; } 2>&1 | sort
seq 1 1000 | { read -r first; read -r second; echo "$first $second"; cat | wc -l; }
echo background | cat & wait; echo "waited $?"
(sleep 0.05; echo late) | cat
sh -c 'kill -TERM $$' | cat; echo "status $?"
exec 3>&1; echo three | cat >&3; exec 3>&-
for i in 1 2 3 4 5 6 7 8 9 10; do echo "$i" | cat | cat | cat; done
seq 1 300 | sed 's/$/ line/' | awk '{ s += $1 } END { print s }'
END
cat >"$work/bashisms" <<'END'
set -o pipefail
false | true; echo "pipefail $?"
seq 1 10 | tee >(wc -l >&2) | tail -n 1
diff <(seq 1 5) <(seq 2 6) ; echo "diff $?"
mapfile -t lines < <(seq 1 1000); echo "${#lines[@]}"
coproc UP { tr a-z A-Z; }
echo coprocess >&"${UP[1]}"; exec {UP[1]}>&-; cat <&"${UP[0]}"
read -r word < <(echo substitution); echo "$word"
printf '%s\n' a b c |& cat
echo "${PIPESTATUS[*]}"
read -t 0.2 -r nothing < <(sleep 1) ; echo "read timed out: $(( $? > 128 ))"
cat <<< "here-string" | rev
END
cat >"$work/jobs" <<'END'
set -m
seq 1 200000 | sort -rn | sh -c 'kill -STOP 0; head -n 1' &
wait %% 2>/dev/null; echo "stopped: $?"; jobs # it may have stopped before: a warning
kill -CONT %%; wait %%; echo "went on: $?"
yes | { head -c 1000000 >/dev/null; kill -STOP 0; cat >/dev/null; } &
wait %% 2>/dev/null; echo "stopped: $?"; jobs # it may have stopped before: a warning
bg >/dev/null; kill %%; wait %%; echo "ended: $?"
{ sh -c 'kill -STOP $$; cat'; echo "status $?"; } < <(seq 1 3)
fg 2>&1; echo "fg: $?"
trap 'ended=yes' CHLD
x=$(seq 1 10 | tail -n 1); true | true; echo "$x $ended"
trap - CHLD; set +m # with it, jobs that ended early are forgotten
for n in 1 2 3; do sh -c "exit $n" | (exit "$n") & done
codes=0; for n in 1 2 3; do wait -n; codes=$((codes + $?)); done; echo "codes $codes"
END
same 'dash script' dash "$work/posix"
same 'bash script' bash "$work/posix"
same 'bash script with its own' bash "$work/bashisms"
same 'jobs that stop and go on' bash "$work/jobs"
same 'bash -c pipeline' bash -c 'seq 1 200000 | sort | md5sum'
code=3
same 'sh -c exit' sh -c 'echo x | (cat; exit 3)'
code=0
input=$work/posix
same 'dash from stdin' dash
same 'bash from stdin' bash
finish
