#!/bin/sh
# make.sh - `make -j4` with its jobserver: a small C project, tokens that cross between makes, other
# clients of the jobserver (gcc's link-time optimiser, a program's own), failures, make's own end.
# The same output, messages, exit code and files as natively; also with a bare preload.
. "${0%/*}/compare.inc"

messages=same
preload=yes
project=$work/project
mkdir -p "$project/lib"
export project work

# A program of many files, and a library that a make of its own builds. Each build is in a folder of
# its own, always of the same name, so that messages and files are the same.
for number in 1 2 3 4 5 6 7 8; do
    cat >"$project/part$number.c" <<END_OF_C
#include "parts.h"
int part$number(int n) { return n * $number + twice(n); }
END_OF_C
    echo "int part$number(int n);" >>"$project/parts.h"
    echo "int twice(int n);" >"$project/lib/twice.h"
done
sed -i '1i #include "lib/twice.h"' "$project/parts.h"
cat >"$project/lib/twice.c" <<'END_OF_C'
#include "twice.h"
int twice(int n) { return n + n; }
END_OF_C
cat >"$project/main.c" <<'END_OF_C'
#include "parts.h"
#include "words.h"
#include <stdio.h>
int main(void)
{
    int sum = part1(1) + part2(2) + part3(3) + part4(4) + part5(5) + part6(6) + part7(7) + part8(8);
    return printf("%d %s\n", sum, WORDS) < 0;
}
END_OF_C
cat >"$project/lib/Makefile" <<'END_OF_MAKE'
libtwice.a: twice.o
	$(AR) rcD $@ $^
%.o: %.c
	$(CC) $(CFLAGS) -c -o $@ $<
END_OF_MAKE
cat >"$project/Makefile" <<'END_OF_MAKE'
CFLAGS = -O1 -pipe -MMD -Wall -Werror
PARTS := $(shell ls part*.c | sort | sed 's/c$$/o/')
check: program
	./program | tr a-z A-Z
program: main.o $(PARTS) lib/libtwice.a
	+$(CC) $(LINK) -o $@ $^
lib/libtwice.a:
	$(MAKE) -C lib CFLAGS="$(CFLAGS)"
main.o: words.h
words.h: Makefile
	printf '#define WORDS "%s"\n' "$$(seq 1 1000 | awk '{ n += $$1 } END { print n, "words" }')" >$@
-include $(wildcard *.d)
.PHONY: check
END_OF_MAKE

# The output's order is chance with four jobs, so it is sorted; then the files, by checksum.
cat >"$work/build.sh" <<'END_OF_SHELL'
set -o pipefail
rm -rf "$work/build"
cp -r "$project" "$work/build"
cd "$work/build" || exit 1
"$@" 2>&1 | sort
echo "make ends with $?"
find . -type f ! -name '*.d' -print0 | sort -z | xargs -0 cksum
END_OF_SHELL
build() { # LABEL COMMAND...
    building=$1
    shift
    same "$building" bash "$work/build.sh" "$@"
}
build 'make -j4' make -j4
build 'make -j4, output by targets' make -j4 -Otarget
build 'make -j4, link-time optimiser' make -j4 'CFLAGS=-O1 -flto -frandom-seed=1 -pipe' \
    'LINK=-O1 -flto=jobserver -flto-partition=max -frandom-seed=1'
# Makes with fifos for a jobserver (4.4 and later) are told to use pipes as well, and the other way.
for style in $(make --help | grep -q jobserver-style && echo pipe fifo); do
    build "make -j4, jobserver is a $style" make -j4 "--jobserver-style=$style"
done

# Two makes below one share four tokens. Two jobs of each must run at a time, or nobody is let
# through the door; and never do five.
mkdir "$work/tokens"
cat >"$work/tokens/Makefile" <<'END_OF_MAKE'
all: left right
left right:
	+@$(MAKE) --no-print-directory -f side SIDE=$@
.PHONY: left right
END_OF_MAKE
cat >"$work/tokens/side" <<'END_OF_MAKE'
JOBS := $(foreach n,1 2 3 4 5 6 7 8 9 10 11 12,$(SIDE).$n)
all: $(JOBS)
$(SIDE).first $(SIDE).second:
	@echo $@ >ring; read -r answer <open.$@; echo $$answer
$(JOBS): $(SIDE).first $(SIDE).second
	@mkdir running/$@; set -- running/*; [ $$# -le 4 ] || echo "$$# at a time"; rmdir running/$@
.PHONY: all $(JOBS) $(SIDE).first $(SIDE).second
END_OF_MAKE
cat >"$work/tokens/meet.sh" <<'END_OF_SHELL'
cd "$work/tokens" || exit 1
rm -rf ring open.* running
mkdir running
mkfifo ring open.left.first open.left.second open.right.first open.right.second
{
    exec 3<>ring
    read -r a <&3; read -r b <&3; read -r c <&3; read -r d <&3
    for job in $a $b $c $d; do echo "$job may go" >open.$job; done
} &
door=$!
make -j4 2>&1 | sort
kill $door 2>/dev/null
wait $door
echo "the door: $?"
END_OF_SHELL
same 'four tokens' sh "$work/tokens/meet.sh"

# The tokens are there again after jobs that fail, are killed, or end make.
mkdir "$work/ends"
cat >"$work/ends/Makefile" <<'END_OF_MAKE'
all: $(foreach n,1 2 3 4 5 6,ok.$n fails.$n) killed
ok.%: ; @echo $@ | cat | cat
fails.%: ; @echo $@ | cat; exit $*
killed: ; @kill -KILL $$$$
below: ; +@for n in 1 2 3; do $(MAKE) -k --no-print-directory all; done; true
# What a recipe runs is make's child. Make takes its children and the half-made file with it.
ended: sleeps half
half: ; @echo half >$@; kill -TERM $$PPID; exec sleep 60
sleeps: ; @exec sleep 60
END_OF_MAKE
end() { # LABEL CODE ARG...
    label=$1 code=$2
    shift 2
    same "$label" bash -c 'set -o pipefail; make -C "$work/ends" -j4 "$@" 2>&1 | sort
        code=$?; ls "$work/ends"; exit $code' bash "$@"
}
end 'make -k, jobs fail' 2 -k all
end 'make, a job fails' 2 fails.4
end 'makes below, jobs fail' 0 below
end 'make is ended' 143 ended
code=0

# Clients of the jobserver that are no makes: they read tokens from the descriptors that MAKEFLAGS
# names, without blocking and after poll(), and give them back.
cat >"$work/client.py" <<'END_OF_PYTHON'
import os, re, select, subprocess, sys, threading

def jobserver():
    flags = os.environ["MAKEFLAGS"]
    fifo = re.search(r"--jobserver-auth=fifo:(\S+)", flags)
    if fifo:
        fd = os.open(fifo[1], os.O_RDWR)
        return fd, fd
    return map(int, re.search(r"--jobserver-auth=(\d+),(\d+)", flags).groups())

def job(number, reads, writes, seen, lock):
    token = None
    while not token:
        select.select([reads], [], [])
        try:
            token = os.read(reads, 1)
        except BlockingIOError: # somebody else was quicker
            pass
    with lock:
        seen.append(subprocess.run(["sh", "-c", f"echo {number} | tr 0-9 a-j"],
                                   capture_output=True, text=True).stdout.strip())
    os.write(writes, token)

def client():
    reads, writes = jobserver()
    seen, lock = [], threading.Lock()
    threads = [threading.Thread(target=job, args=(n, reads, writes, seen, lock)) for n in range(20)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(*sorted(seen))

def server(path, tokens, count):
    """As a make with a fifo would: a pipe is the emulator's, the fifo is the kernel's."""
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    os.write(fd, b"+" * tokens)
    environment = dict(os.environ, MAKEFLAGS=f" -j{tokens} --jobserver-auth=fifo:{path}")
    clients = [subprocess.Popen([sys.executable, __file__], env=environment,
                                stdout=subprocess.PIPE) for _ in range(count)]
    print(*[client.communicate()[0].decode() for client in clients])
    print(os.read(fd, 100))
    os.unlink(path)

client() if len(sys.argv) == 1 else server(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
END_OF_PYTHON
mkdir "$work/clients"
cat >"$work/clients/Makefile" <<'END_OF_MAKE'
all: 1 2 3
1 2 3: ; +@/usr/bin/python3 "$(work)/client.py"
END_OF_MAKE
same 'clients of a pipe' make -C "$work/clients" -j4
same 'clients of a fifo' /usr/bin/python3 "$work/client.py" "$work/fifo" 3 4
finish
