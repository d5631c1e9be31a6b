#!/bin/sh
# pipelines.sh - find, xargs, sort, tar, gzip: what people pipe every day, compared by checksum
. "${0%/*}/compare.inc"

messages=same
preload=yes
tree=$work/tree
for d in a b c d e; do
    mkdir -p "$tree/$d/sub"
    for f in 1 2 3 4 5 6 7 8; do
        seq 1 "$((f * 500))" >"$tree/$d/sub/file $f"
    done
done
export tree
same 'find, xargs, sort' sh -c 'find "$tree" -type f -print0 | xargs -0 cksum | sort | cksum'
same 'xargs in parallel' sh -c \
    'find "$tree" -type f -print0 | xargs -0 -P 4 -n 1 cksum | sort | cksum'
same 'find -exec +' sh -c 'find "$tree" -type f -exec cat {} + | sort | cksum'
same 'tar, gzip' sh -c \
    'tar -C "$tree" --sort=name --mtime=@0 -cf - . | gzip -nc | gzip -dc | cksum'
same 'tar -z through its own pipe' sh -c \
    'tar -C "$tree" --sort=name --mtime=@0 -I "gzip -n" -cf - . | cksum'
same 'tar to tar' sh -c \
    'mkdir "$tree/../copy.$$" && tar -C "$tree" -cf - . | tar -C "$tree/../copy.$$" -xf - &&
     diff -r "$tree" "$tree/../copy.$$" && rm -r "$tree/../copy.$$" && echo same'
same 'dd, block by block' sh -c \
    'dd if=/dev/zero bs=1000 count=5000 2>/dev/null |
     dd bs=4096 iflag=fullblock 2>/dev/null | cksum'
same 'head ends a writer' sh -c 'yes 0123456789 | head -c 1000000 | cksum'
same 'sort with a compressor' sh -c 'seq 1 50000 | sort -R --random-source=/dev/zero -S 100k \
    --compress-program=gzip | sort -n | cksum'
same 'split --filter' sh -c 'seq 1 10000 | split -l 1000 --filter="cksum"'
same 'large, through five' sh -c \
    'head -c 20000000 /dev/zero | tr "\000" x | cat | cat | cat | cksum'
same 'tee' sh -c 'seq 1 30000 | tee "$tree/../tee" | sort -n | cksum; cksum <"$tree/../tee"'
same 'timeout kills a writer' sh -c 'timeout -s KILL 0.3 yes | tail -c 2'
finish
