#!/bin/sh
# run_exit.sh - exit codes of `sockrig run`, and what it says when it can't run a program
. "${0%/*}/compare.inc"

expect 'exit 0' 0 true
expect 'exit 3' 3 sh -c 'exit 3'
expect 'exit 255' 255 -- sh -c 'exit 255'
expect 'silence when there is nothing to say' 0 sh -c 'echo x | cat'
[ -s "$err" ] && failed 'something was said on stderr' || passed

# A death by a signal is repeated: the shell sees 128 + its number, and run's own parent the signal.
for signal in 1 2 6 9 11 13 15; do
    expect "death by signal $signal" "$((128 + signal))" sh -c "kill -$signal \$\$"
done
/usr/bin/python3 - "$SOCKRIG" <<'END' && passed || failed 'the signal itself'
import signal, subprocess, sys
run = lambda *command: subprocess.run([sys.argv[1], 'run', *command]).returncode
sys.exit(run('sh', '-c', 'kill -9 $$') != -signal.SIGKILL or
         run('sh', '-c', 'kill -USR1 $$') != -signal.SIGUSR1)
END

expect 'not found' 127 no-such-program-anywhere
says 'not found' 'sockrig: no-such-program-anywhere: No such file or directory' "$err"
expect 'not found, a path' 127 ./nonexistent/program
expect 'a directory' 126 /
says 'a directory' 'sockrig: /: Permission denied' "$err"
printf 'text\n' >"$work/plain"
expect 'not executable' 126 "$work/plain"
printf '#!/nonexistent/interpreter\n' >"$work/lost"
chmod +x "$work/lost"
expect 'interpreter missing' 127 --allow-native "$work/lost"

expect 'no program' 125
says 'no program' 'which program?' "$err"
expect 'unknown option' 125 --no-such-option true
says 'unknown option' "unknown option --no-such-option" "$err"
expect 'shortened option' 125 --js true
expect 'bad value' 125 --net=sideways true
says 'bad value' '--net=sideways' "$err"
expect 'bad policy' 125 --policy nonsense true
expect 'option without its value' 125 --policy
expect 'options end at the program' 0 echo --no-such-option
expect 'version' 0 --version
expect 'help' 0 --help
says 'help' 'usage: sockrig run' "$work/out"

SOCKRIG_OPTIONS='net=off v' expect 'SOCKRIG_OPTIONS' 0 true
says 'SOCKRIG_OPTIONS' 'objects left: 0' "$err"
SOCKRIG_OPTIONS='nonsense' expect 'bad SOCKRIG_OPTIONS' 125 true
says 'bad SOCKRIG_OPTIONS' 'SOCKRIG_OPTIONS: unknown option' "$err"
SOCKRIG_OPTIONS='net=off' expect 'the command line wins' 0 --net=redirect true

SOCKRIG_LIB=/nonexistent/library.so expect 'no library' 125 true
says 'no library' '/nonexistent/library.so: No such file' "$err"
printf 'int x;' >"$work/x.c"
if cc -shared -o "$work/other.so" "$work/x.c" 2>/dev/null; then
    SOCKRIG_LIB=$work/other.so expect 'a library that does nothing' 125 true
    says 'a library that does nothing' "wasn't loaded into it" "$err"
fi

# A static program (ldconfig is one in Debian), by itself and at the end of a #! chain.
printf '#!/sbin/ldconfig\n' >"$work/script"
printf '#!%s\n' "$work/script" >"$work/chain"
chmod +x "$work/script" "$work/chain"
for program in /sbin/ldconfig "$work/script" "$work/chain"; do
    expect "static: $program" 125 "$program" --version
    says "static: $program" "can't be followed" "$err"
    says "static: $program" '--allow-native' "$err"
done
expect '--allow-native' 0 --allow-native /sbin/ldconfig --version
says '--allow-native' ldconfig "$work/out"

# Inside a session run just becomes the program: the outer one supervises and reports.
expect 'run inside run' 4 -v "$SOCKRIG" run sh -c 'echo inner | cat; exit 4'
says 'run inside run' inner "$work/out"
says 'run inside run' 'objects left: 0' "$err"
expect 'a pipe into the inner run' 0 sh -c "echo across | '$SOCKRIG' run cat"
says 'a pipe into the inner run' across "$work/out"
expect 'options of the inner run' 125 "$SOCKRIG" run -v true
says 'options of the inner run' 'inside a session' "$err"
finish
