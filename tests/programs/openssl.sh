#!/bin/sh
# openssl.sh - openssl speed -multi: children that report through pipes, read by the parent's stdio
. "${0%/*}/compare.inc"

normal='s/[0-9]+(\.[0-9]+)?k?/N/g; s/ +/ /g'
same 'speed -multi 2' openssl speed -multi 2 -seconds 1 -bytes 1024 sha256
same 'speed -multi 4 -mr' openssl speed -mr -multi 4 -seconds 1 -bytes 64 sha256
normal=
printf 'some text\n' >"$work/text"
same 'dgst through a pipe' sh -c "cat '$work/text' | openssl dgst -sha256"
messages=same
key=00112233445566778899aabbccddeeff
same 'enc there and back' sh -c \
    "head -c 300000 /dev/zero | openssl enc -aes-128-cbc -K $key -iv $key |
     openssl enc -d -aes-128-cbc -K $key -iv $key | cksum"
finish
