#!/bin/sh
# run_signals.sh - signals and the terminal: `sockrig run` behaves as if it weren't there
. "${0%/*}/compare.inc"

cat >"$work/signals.py" <<'END'
import os, pty, select, signal, subprocess, sys, termios, time
sockrig = sys.argv[1]
failures = []

def check(label, holds):
    print(('ok ' if holds else 'FAILED ') + label)
    if not holds:
        failures.append(label)

def run(*command, **options):
    return subprocess.Popen([sockrig, 'run', *command], stdout=subprocess.PIPE, **options)

child = r'''
import os, signal, sys
def note(number, frame):
    print('got', signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM: sys.exit(7)
for name in ('SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGINT', 'SIGCONT', 'SIGWINCH'):
    signal.signal(getattr(signal, name), note)
print('ready', flush=True)
while True: signal.pause()
'''

# What is sent to run alone is passed on, and only that.
p = run(sys.executable, '-c', child)
check('ready', p.stdout.readline() == b'ready\n')
for name in ('SIGHUP', 'SIGUSR1', 'SIGINT', 'SIGWINCH'):
    p.send_signal(getattr(signal, name))
    check('passes on ' + name, p.stdout.readline() == b'got %s\n' % name.encode())
p.send_signal(signal.SIGTERM)
check('SIGTERM is the program\'s', p.stdout.read() == b'got SIGTERM\n' and p.wait() == 7)

# A killed run leaves the program alone.
p = run('sh', '-c', 'echo $$; read x; echo "read $x"; echo more | cat', stdin=subprocess.PIPE)
p.stdout.readline()
p.kill()
check('SIGKILL of run', p.wait() == -signal.SIGKILL)
p.stdin.write(b'on\n')
p.stdin.close()
check('SIGKILL of run is not the program\'s', p.stdout.read() == b'read on\nmore\n')

# Mask and dispositions are the program's own.
status = ['sh', '-c', 'exec grep -E "^Sig(Blk|Ign|Cgt)" /proc/self/status']
def odd():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for setup in (None, odd):
    options = dict(preexec_fn=setup, restore_signals=False)
    native = subprocess.run(status, stdout=subprocess.PIPE, **options).stdout.split(b'\n')
    emulated = run(*status, **options).communicate()[0].split(b'\n')
    check('mask and ignored signals, %s' % (setup and 'odd'), native[:2] == emulated[:2])
p = run('sh', '-c', 'exit 6', preexec_fn=odd)
check('exit code though SIGCHLD was ignored', p.wait() == 6)

# Run holds no end of the pipes it was started with: the reader sees the program's own close.
p = run('sh', '-c', 'exec >&-; read x; exit 4', stdin=subprocess.PIPE)
ready = select.select([p.stdout], [], [], 30)[0]
check('standard output ends with the program\'s', ready != [] and p.stdout.read() == b'')
p.stdin.close()
check('... and standard input', p.wait() == 4)

# A terminal: ^C reaches the program once; ^Z stops the job, and it goes on.
def on_terminal(*command):
    pid, master = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    return pid, master

def read_until(master, text, seconds=30):
    seen = b''
    end = time.monotonic() + seconds
    while text not in seen and time.monotonic() < end:
        if select.select([master], [], [], 0.5)[0]:
            try:
                seen += os.read(master, 4096)
            except OSError:
                break
    return seen

pid, master = on_terminal(sockrig, 'run', sys.executable, '-c', child)
read_until(master, b'ready')
os.write(master, b'\x03')
seen = read_until(master, b'got SIGINT')
os.kill(pid, signal.SIGTERM)
seen += read_until(master, b'got SIGTERM')
check('^C arrives once', seen.count(b'got SIGINT') == 1)
check('exit code on a terminal', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7)
os.close(master)

pid, master = on_terminal('/bin/bash', '--norc', '-i')
os.write(master, b'PS1="PROMPT "\n')
read_until(master, b'PROMPT ')
os.write(master, b"%s run sh -c 'trap \"\" CONT; echo up; read x; echo line $x; exit 5'\n"
         % sockrig.encode())
read_until(master, b'\nup')
os.write(master, b'\x1a')
check('^Z stops the job', b'Stopped' in read_until(master, b'PROMPT '))
os.write(master, b'fg\n')
read_until(master, b'run sh')
os.write(master, b'typed\n')
check('it goes on', b'line typed' in read_until(master, b'line typed'))
os.write(master, b'echo code $?\n')
check('its exit code', b'code 5' in read_until(master, b'code 5'))
os.write(master, b"%s run sh -c 'kill -STOP $$; echo continued; exit 6'\n" % sockrig.encode())
check('a program that stops itself stops the job', b'Stopped' in read_until(master, b'Stopped'))
os.write(master, b'fg\n')
check('and continues', b'\ncontinued' in read_until(master, b'\ncontinued'))
os.write(master, b'exit 0\n')
os.close(master)
os.waitpid(pid, 0)
sys.exit(len(failures))
END
timeout "$limit" /usr/bin/python3 "$work/signals.py" "$SOCKRIG" >"$work/log" 2>&1
code=$?
if [ "$code" -eq 0 ] && [ "$(grep -c '^ok ' "$work/log")" -ge 20 ]; then
    passes=$(grep -c '^ok ' "$work/log")
else
    cat "$work/log"
    failed "signals.py: exit code $code"
fi
finish
