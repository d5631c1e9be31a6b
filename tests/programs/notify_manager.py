"""notify_manager.py ADDRESS COUNT FILE COMMAND [ARG...] - a service manager on a unix socket

Binds a datagram socket to ADDRESS (a path, or @name), runs COMMAND with it in NOTIFY_SOCKET, and
writes each datagram to FILE as a line, newlines escaped. Waits for COUNT of them when the command
has ended (it may have relayed them through somebody who lives on), then takes what else is there.
Exits as the command did; 3 when they didn't all come.
"""
import os
import socket
import subprocess
import sys
import threading

LIMIT = 30  # seconds, for what comes after the command
LAST = b'the last one'

address, count, log = sys.argv[1], int(sys.argv[2]), sys.argv[3]
name = '\0' + address[1:] if address[0] == '@' else address
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(name)
enough = threading.Event()


def serve():
    got = 0
    with open(log, 'w', encoding='ascii') as out:
        while True:
            data = listener.recv(1 << 17)
            if data == LAST:
                return
            print(data.decode('latin-1').encode('unicode_escape').decode(), file=out)
            got += 1
            if got >= count:
                enough.set()


if count == 0:
    enough.set()
thread = threading.Thread(target=serve)
thread.start()
code = subprocess.run(sys.argv[4:], env={**os.environ, 'NOTIFY_SOCKET': address}).returncode
complete = enough.wait(LIMIT)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(LAST, name)
thread.join()
sys.exit(code if complete else 3)
