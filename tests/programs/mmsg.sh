#!/bin/sh
# mmsg.sh - --mmsg: a vector of 0 messages is no error under OpenBSD's rules, on any descriptor
. "${0%/*}/compare.inc"

calls='import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
a, b = socket.socketpair()
for fd in (a.fileno(), os.pipe()[0], 9999, -1):
    for name, more in (("sendmmsg", ()), ("recvmmsg", (None,))):
        result = getattr(libc, name)(fd, None, 0, 0, *more)
        print(result if result >= 0 else errno.errorcode[ctypes.get_errno()])'

same 'the rules of Linux' /usr/bin/python3 -c "$calls"
says 'a socket' 0 "$work/emulated"
says 'a pipe' ENOTSOCK "$work/emulated"
says 'no descriptor' EBADF "$work/emulated"
expect 'the rules of OpenBSD' 0 --mmsg=openbsd /usr/bin/python3 -c "$calls"
printf '0\n0\n0\n0\n0\n0\n0\n0\n' | cmp -s - "$work/out" && passed || failed 'OpenBSD: all are 0'
finish
