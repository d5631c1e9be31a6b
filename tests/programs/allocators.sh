#!/bin/sh
# allocators.sh - other allocators and sanitizers, which call us while they start
. "${0%/*}/compare.inc"

guests=${0%/*}/../guest
jemalloc=$(ls /usr/lib/*/libjemalloc.so.2 2>/dev/null | head -n 1)
if [ -z "$jemalloc" ]; then
    failed "libjemalloc.so.2 is missing (Debian's libjemalloc2)"
fi

# The program is python3, which allocates much; its allocator is jemalloc's malloc.
same 'jemalloc, python' env "LD_PRELOAD=$jemalloc" PYTHONMALLOC=malloc /usr/bin/python3 -c '
import os, socket, subprocess, threading
a, b = socket.socketpair()
thread = threading.Thread(target=lambda: a.sendall(b"x" * 1000000))
thread.start()
got = b.recv(1000000, socket.MSG_WAITALL)
thread.join()
print(len(got), subprocess.run(["cat"], input=got, capture_output=True).stdout == got)'

for sanitizer in address undefined thread; do
    for guest in pipe_many_threads_one_fd stdio_fdopen sock_shutdown_wakes_writer; do
        if gcc -std=gnu17 -D_GNU_SOURCE -g -O1 -pthread "-fsanitize=$sanitizer" \
            -o "$work/$guest.$sanitizer" "$guests/$guest.c"; then
            same "$sanitizer, $guest" "$work/$guest.$sanitizer"
        else
            failed "$guest doesn't build with -fsanitize=$sanitizer"
        fi
    done
done
finish
