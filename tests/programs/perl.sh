#!/bin/sh
# perl.sh - Perl: pipe, fork, socketpair, open '-|', select, its own buffered handles
. "${0%/*}/compare.inc"

cat >"$work/pipes.pl" <<'END'
use strict; use warnings; use IO::Handle; use POSIX ();
$| = 1;
pipe(my $r, my $w) or die;
my $pid = fork;
if (!$pid) {
    close $r;
    print $w "line $_\n" for 1 .. 5000;
    close $w;
    POSIX::_exit(4);
}
close $w;
my @lines = <$r>;
waitpid $pid, 0;
print scalar(@lines), " $lines[-1]", $? >> 8, "\n";
close $r;
open my $from, '-|', 'seq', '1', '3000' or die;
my $sum = 0; $sum += $_ while <$from>;
close $from; print "$sum $?\n";
open my $to, '|-', 'sort', '-rn' or die;
print $to "$_\n" for 1 .. 5;
close $to; print "sort $?\n";
my $kid = open my $self, '-|';
if (!$kid) { print "from myself\n"; exit 0 }
print <$self>; close $self;
print `echo backticks; exit 3`, $? >> 8, "\n";
print system('exit 9') >> 8, "\n";
local $SIG{PIPE} = sub { print "SIGPIPE\n" };
pipe($r, $w); close $r; $w->autoflush(1);
print {$w} 'x'; close $w;
sysopen my $null, '/dev/null', 0;
print -p STDIN ? "stdin is a pipe\n" : "stdin is no pipe\n";
END
cat >"$work/sockets.pl" <<'END'
use strict; use warnings; use Socket; use IO::Handle; use POSIX ();
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
$_->autoflush(1) for $a, $b;
my $pid = fork;
if (!$pid) {
    close $a;
    while (my $line = <$b>) { chomp $line; print $b scalar(reverse $line), "\n" }
    POSIX::_exit(0);
}
close $b;
for my $word (qw(stressed drawer live), 'x' x 10000 . 'y') {
    print $a "$word\n";
    my $answer = <$a>;
    print length($answer), ' ', substr($answer, 0, 10), "\n";
}
shutdown $a, 1;
print defined(<$a>) ? "more\n" : "end\n";
waitpid $pid, 0; print "$?\n";
close $a;
socketpair($a, $b, AF_UNIX, SOCK_SEQPACKET, PF_UNSPEC) or die $!;
send $a, $_, 0 for qw(one three five);
for (1 .. 3) { recv $b, my $data, 3, 0; print "$data\n" }
my $bits = ''; vec($bits, fileno $b, 1) = 1;
print scalar(select(my $ready = $bits, undef, undef, 0.05)), "\n";
send $a, 'x', 0;
print scalar(select($ready = $bits, undef, undef, 5)), "\n";
END
cat >"$work/alarm.pl" <<'END'
use strict; use warnings;
pipe(my $r, my $w);
my $got = eval {
    local $SIG{ALRM} = sub { die "alarm\n" };
    alarm 1;
    sysread $r, my $data, 1;
    alarm 0;
    1;
};
print defined $got ? "read\n" : "died of $@";
END
for script in pipes sockets alarm; do
    same "$script" perl "$work/$script.pl"
done
same 'one-liner in a pipeline' sh -c "seq 1 100000 | perl -ne '\$s += \$_; END { print \"\$s\n\" }'"
same 'kill a child in the middle' perl -e \
    'pipe(R, W); my $p = fork; if (!$p) { close R; syswrite W, "x"; sleep 100 } close W;
     sysread R, $_, 1; kill 9, $p; print sysread(R, $_, 1), "\n"; waitpid $p, 0; print "$?\n"'
finish
