#!/bin/bash
# allocators.sh - other allocators, which call us while they start: preloaded, and linked
. "${0%/*}/compare.inc"

guests=${0%/*}/../guest
libraries=(libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2)

# The program is python3, which allocates much; its allocator is malloc.
python='
import os, socket, subprocess, threading
a, b = socket.socketpair()
thread = threading.Thread(target=lambda: a.sendall(b"x" * 1000000))
thread.start()
got = b.recv(1000000, socket.MSG_WAITALL)
thread.join()
print(len(got), subprocess.run(["cat"], input=got, capture_output=True).stdout == got)
print(os.popen("echo from a shell").read())
print(os.environ["LIBRARY"] in open("/proc/self/maps").read())'

for library in "${libraries[@]}"; do
    path=$(PATH=$PATH:/sbin ldconfig -p | sed -n "s/.*$library .*=> //p" | head -n 1)
    if [ -z "$path" ]; then
        failed "$library is missing"
        continue
    fi
    same "$library, python" env "LD_PRELOAD=$path" "LIBRARY=$library" PYTHONMALLOC=malloc \
        /usr/bin/python3 -c "$python"
    says "$library, python" 'True' "$work/emulated"
    # Before ours in the list, and behind it.
    for guest in pipe_many_threads_one_fd fork_from_threads popen_pclose self_pipe_handler; do
        if ! gcc -std=gnu17 -D_GNU_SOURCE -g -O1 -pthread -iquote "$guests" -o "$work/guest" \
            "$guests/$guest.c" -Wl,--no-as-needed "$path"; then
            failed "$guest doesn't build with $library"
            continue
        fi
        same "$library, linked with $guest" "$work/guest"
        if [ -n "${SOCKRIG_LIB-}" ]; then
            same "$library before, $guest" env "LD_PRELOAD=$path $SOCKRIG_LIB" "$work/guest"
        fi
    done
done
finish
