#!/bin/sh
# archives.sh - `xz | tar` and back: by hand, by tar's own children, with xz's threads, and when the
# stream is cut or damaged. Also with a bare preload.
. "${0%/*}/compare.inc"

messages=same
preload=yes
tree=$work/tree
mkdir -p "$tree/empty folder" "$tree/deep/deeper"
for number in 1 2 3 4 5 6; do
    seq "$number" "$number" 150000 >"$tree/numbers $number"
    head -c "${number}00000" /dev/zero >"$tree/deep/zeros.$number"
    ln -s "../numbers $number" "$tree/deep/link.$number"
done
head -c 1000000 "$(command -v git)" >"$tree/deep/deeper/program"
chmod 640 "$tree/numbers 2"
find "$tree" -exec touch -hd @1000000000 {} +
export tree work

# Everything is packed the same way each time, so that archives are the same, byte by byte.
cat >"$work/functions" <<'END_OF_SHELL'
pack() { tar -C "$tree" --sort=name --owner=0 --group=0 --numeric-owner -cf - "$@" .; }
unpacked() { # COMMAND...: unpacks into a fresh folder, says what is different
    rm -rf "$work/copy"
    mkdir "$work/copy"
    "$@"
    echo "unpacked: $?"
    diff -r --no-dereference "$tree" "$work/copy" && echo same
}
set -o pipefail
END_OF_SHELL
archive() { # LABEL SCRIPT
    same "$1" bash -c '. "$work/functions"; eval "$1"' bash "$2"
}
archive 'tar, xz' 'pack | xz -1 | cksum'
archive 'tar, xz with threads' 'pack | xz -1 -T2 --block-size=1MiB | tee "$work/blocks.xz" | cksum'
archive 'tar, xz, xz, tar' 'unpacked eval "pack | xz -0 | xz -dc | tar -C \"\$work/copy\" -xf -"'
archive 'xz with threads, tar' \
    'unpacked eval "xz -dcT2 <\"\$work/blocks.xz\" | tar -C \"\$work/copy\" -xf -"'
archive "tar's own xz, both ways" 'XZ_OPT=-0 pack -J | cksum
    XZ_OPT=-0 pack -J >"$work/own.tar.xz"
    unpacked tar -C "$work/copy" -xJf "$work/own.tar.xz"
    tar -tvf "$work/own.tar.xz"'
archive 'tar finds out what it reads' 'cat "$work/own.tar.xz" | tar -tJf - | cksum
    cat "$work/own.tar.xz" | tar -xOf - ./deep; echo "no xz: $?"'
archive 'one member, the rest is not wanted' \
    'xz -dc "$work/own.tar.xz" | tar -xOf - --occurrence=1 "./numbers 1" | cksum
    echo "${PIPESTATUS[@]}"'
archive 'tar with a filter for each member' \
    'tar -xf "$work/own.tar.xz" --to-command="cksum; echo \"\$TAR_FILENAME\""'
# The end comes too early, or in the middle something is wrong: by messages and by exit codes.
archive 'a stream that is cut' 'head -c 100000 "$work/own.tar.xz" | xz -dc | tar -tf - | cksum
    echo "${PIPESTATUS[@]}"'
objects=any # tar doesn't wait for its children then
archive 'a stream that is cut, its own xz' '
    head -c 100000 "$work/own.tar.xz" | tar -C / -tJf - | cksum
    echo "${PIPESTATUS[@]}"'
objects=none
archive 'a stream that is damaged' '{ head -c 100000 "$work/own.tar.xz"; echo damage
        tail -c +100008 "$work/own.tar.xz"; } | xz -dc | tar -tf - >/dev/null
    echo "${PIPESTATUS[@]}"'
archive 'no archive' 'seq 1 100000 | tar -tf -; echo "${PIPESTATUS[@]}"
    echo "no xz either" | xz -dc | tar -tf -; echo "${PIPESTATUS[@]}"'
# Whether tar has filled the pipe when its reader ends is chance.
normal='s/^tar: -: (Cannot write: Broken pipe|Wrote only .*)/tar: -: .../'
archive 'a program that is not there' 'pack -I no-such-program | cat; echo "${PIPESTATUS[@]}"'
finish
