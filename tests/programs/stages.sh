#!/bin/sh
# stages.sh - pipelines of five stages in sh, bash and dash that move 100 MB; a checksum at the end
# tells a byte that is wrong, lost, or out of its place. Also with a bare preload.
. "${0%/*}/compare.inc"

messages=same
preload=yes
cat >"$work/five" <<'END_OF_SHELL'
seq 1 20000000 | head -c 100000000 | tr 0-9 a-j | cat | cksum
END_OF_SHELL
# Blocks that fit neither pages nor the pipe; a writer that is told of the end; a shell in between.
cat >"$work/blocks" <<'END_OF_SHELL'
seq 1 20000000 | dd bs=77777 2>/dev/null | { head -c 50000000; cat; } | head -c 100000000 |
    dd bs=4095 iflag=fullblock 2>/dev/null | cksum
echo "status $?"
END_OF_SHELL
cat >"$work/bashisms" <<'END_OF_SHELL'
set -o pipefail
seq 1 13000000 | head -c 100000000 | tee >(md5sum >&2) | tr 0-9 a-j | cat | cksum
echo "${PIPESTATUS[@]}"
wait
END_OF_SHELL
for shell in sh bash dash; do
    same "$shell, five stages" "$shell" "$work/five"
done
same 'bash, its own' bash "$work/bashisms"
same 'dash, odd blocks' dash "$work/blocks"
input=$work/five
preload=no
same 'sh, from stdin' sh
finish
