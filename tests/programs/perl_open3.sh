#!/bin/sh
# perl_open3.sh - Perl's IPC::Open3, IPC::Open2 and IPC::Cmd: children at the ends of two or three
# pipes, handles of every kind, what becomes of children that can't be started
. "${0%/*}/compare.inc"

messages=same
cat >"$work/open3.pl" <<'END_OF_PERL'
use strict; use warnings;
use IPC::Open3; use IPC::Open2; use IO::Select; use IO::Handle; use Symbol 'gensym';
use Digest::MD5 'md5_hex'; use POSIX ':sys_wait_h';
$| = 1;
sub code { waitpid shift, 0; return $? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8) }

# Three pipes; both outputs are read as they come.
my $text = join '', map { "line $_\n" } 1 .. 20000;
my $pid = open3(my $in, my $out, my $err = gensym, 'perl', '-e', <<'CHILD');
$| = 1;
while (my $line = <STDIN>) { print $. % 2 ? uc $line : ''; print STDERR $line unless $. % 2 }
exit 3;
CHILD
my $writer = fork // die;
if (!$writer) { close $out; close $err; print $in $text; close $in; POSIX::_exit(0) }
close $in;
my %got = ($out => '', $err => '');
my $select = IO::Select->new($out, $err);
while ($select->count) {
    for my $handle ($select->can_read) {
        $select->remove($handle) unless sysread $handle, $got{$handle}, 4096, length $got{$handle};
    }
}
print length $got{$out}, ' ', md5_hex($got{$out}), ' ', length $got{$err}, ' ',
    md5_hex($got{$err}), ' ', code($pid), ' ', code($writer), "\n";

# Both outputs into one; a question and an answer at a time.
$pid = open3($in, $out, undef, 'sh', '-c', 'while read x; do echo $x$x; echo "($x)" >&2; done');
for my $word (qw(one two three)) {
    print $in "$word\n";
    print scalar(<$out>), scalar(<$out>);
}
close $in;
print defined(<$out>) ? "more\n" : "end\n", code($pid), "\n";

# Handles of ours as the child's: "<&", ">&", and a pipe between two children.
open my $file, '+>', undef or die;
print $file "from a file\n"; $file->flush; seek $file, 0, 0;
$pid = open3('<&' . fileno $file, '>&STDOUT', undef, 'tr', 'a-z', 'A-Z');
print code($pid), "\n";
pipe(my $r, my $w) or die;
open my $null, '<', '/dev/null' or die;
my $first = open3('<&' . fileno $null, '>&' . fileno $w, '>&STDERR', 'seq', '1', '30000');
close $w;
my $second = open2($out, '<&' . fileno $r, 'md5sum');
close $r;
print <$out>, code($first), ' ', code($second), "\n";

# open2: a filter that answers each line, then what it says at its end.
$pid = open2($out, $in, q(perl -ne '$| = 1; $s += $_; print "$s\n"; END { print "last $s\n" }'));
my $sum = 0;
for my $i (1 .. 500) {
    print $in "$i\n";
    my $line = <$out>;
    $sum += $line;
}
close $in;
print "$sum ", <$out>, code($pid), "\n";

# Deaths, and children that are never there.
$pid = open3($in, $out, undef, 'sh', '-c', 'echo begun; exec sleep 60');
print scalar <$out>;
kill 'KILL', $pid;
print defined(<$out>) ? "more\n" : "end\n", code($pid), "\n";
{
    local $SIG{PIPE} = sub { print "SIGPIPE\n" };
    $pid = open3($in, $out, undef, 'true');
    print code($pid), "\n";
    print $in 'x'; $in->flush; close $in;
}
for my $missing ('/nonexistent/program', '/etc/passwd') {
    eval { open3($in, $out, undef, $missing, 'x'); print "started\n" };
    print $@ =~ s/ at .*//sr, "\n";
}
print waitpid(-1, WNOHANG), "\n";
for my $number (1 .. 20) {
    my $pid = open2(my $out, my $in, 'cat');
    print $in $number x 100; close $in;
    my $got = join '', <$out>;
    print $got eq $number x 100 ? '.' : 'X', code($pid) eq 'exit 0' ? '' : 'X';
}
print "\n";
END_OF_PERL
cat >"$work/cmd.pl" <<'END_OF_PERL'
use strict; use warnings; use IPC::Cmd qw(run run_forked can_run); $| = 1;
for my $command ('echo out; echo error >&2; exit 3', 'seq 1 9 | tac', 'cat /nonexistent') {
    my ($good, $message, $all, $out, $err) = run(command => $command, verbose => 0);
    print $good ? 'good' : 'bad', ' ', join('', @$out), '|', join('', @$err), "\n";
}
my $result = run_forked('cat; echo error >&2; exit 5', { child_stdin => "input\n" x 1000 });
print length $result->{stdout}, ' ', $result->{stderr}, $result->{exit_code}, ' ',
    $result->{timeout}, "\n";
$result = run_forked(sub { print "from a function\n"; print STDERR "its error\n"; return 7 });
print "$result->{stdout}$result->{stderr}$result->{exit_code}\n";
$result = run_forked('echo begun; exec sleep 60', { timeout => 1 });
print "$result->{stdout}$result->{timeout}\n";
END_OF_PERL
same 'IPC::Open3, IPC::Open2' perl "$work/open3.pl"
same 'IPC::Cmd' perl "$work/cmd.pl"
finish
